/* SCRAM: RFC 5802, RFC 7677 (SHA-256), channel bindings of RFC 5929 and RFC 9266. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/password_int.h"
#include "auth/sasl_int.h"
#include "wire/base64.h"

enum { DIGEST_MAX = 32, FAKE_SALT = 16, NONCE_MAX = 512 };

enum { SCRAM_FIRST, SCRAM_FINAL };

struct scram {
    const EVP_MD *md;
    size_t n; /* of a digest */
    struct password_scram keys;
    bool fake;          /* there is nobody with such keys: whatever is proven is wrong */
    struct buf header;  /* gs2-header, and the channel binding's data if there is one */
    struct buf nonce;   /* the client's, then both */
    struct buf account; /* as the directory spells it */
    struct buf message; /* AuthMessage, as far as it is known */
};

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->n);
    buf_done(b);
}

void scram_free(struct scram *x)
{
    if (!x)
        return;
    wipe(&x->header);
    wipe(&x->nonce);
    wipe(&x->account);
    wipe(&x->message);
    explicit_bzero(&x->keys, sizeof(x->keys));
    free(x);
}

static struct scram *scram_new(bool sha256)
{
    struct scram *x = xnew(struct scram);
    x->md = sha256 ? EVP_sha256() : EVP_sha1();
    x->n = sha256 ? 32 : 20;
    buf_init(&x->header, SASL_DATA_MAX);
    buf_init(&x->nonce, 2 * NONCE_MAX);
    buf_init(&x->account, SASL_FIELD_MAX);
    buf_init(&x->message, 3 * SASL_DATA_MAX);
    return x;
}

/* "k=value" from the front of *s, up to the next comma. */
static bool attribute(struct span *s, char k, struct span *ret)
{
    struct span field;
    if (!span_split(s, ',', &field) || field.n < 2 || field.p[0] != k || field.p[1] != '=')
        return false;
    *ret = span_skip(field, 2);
    return true;
}

static bool nonce_valid(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x21 || (unsigned char)s.p[i] > 0x7e || s.p[i] == ',')
            return false;
    return s.n > 0 && s.n <= NONCE_MAX;
}

/* The data of the binding the client has chosen; NULL: we have none of that name. */
static const struct buf *binding_of(const struct sasl *s, struct span name)
{
    static const char *const names[] = {"tls-exporter", "tls-unique", "tls-server-end-point"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_eq(name, span_str(names[i])) && s->bindings[i].n)
            return &s->bindings[i];
    return NULL;
}

/* RFC 5802 section 6: a client that would have bound the channel, had it seen that we can ("y"),
 * has been shown another list of mechanisms than ours by somebody in the middle. */
static enum sasl_result check_binding(struct sasl *s, const struct gs2 *g)
{
    bool plus = s->mechanism->flags & SASL_BINDING;
    if (plus != (g->flag == 'p'))
        return SASL_MALFORMED;
    if (g->flag == 'y' && s->setup->offer.binding)
        return SASL_DENIED;
    buf_put_span(&s->scram->header, g->header);
    if (!plus)
        return SASL_ASK;
    const struct buf *data = binding_of(s, g->binding);
    if (!data)
        return SASL_MALFORMED;
    buf_put_span(&s->scram->header, buf_span(data));
    return SASL_ASK;
}

static enum sasl_result take_names(struct sasl *s, struct span authzid, struct span user)
{
    autobuf name = BUF_INIT(SASL_FIELD_MAX), other = BUF_INIT(SASL_FIELD_MAX);
    if (!gs2_name_decode(user, &name) || !gs2_name_decode(authzid, &other))
        return SASL_MALFORMED;
    enum sasl_result r = sasl_take_authzid(s, buf_span(&other));
    return r == SASL_ASK ? sasl_take_name(s, buf_span(&name), &s->name) : r;
}

/* gs2-header n=user,r=nonce; an "m=" before them asks for an extension, and there are none. */
static enum sasl_result first(struct sasl *s, struct span data)
{
    struct gs2 g;
    struct span user, nonce;
    struct scram *x = s->scram = scram_new(s->mechanism->flags & SASL_SHA256);
    if (!gs2_parse(&data, &g))
        return SASL_MALFORMED;
    buf_put_span(&x->message, data);
    if (!attribute(&data, 'n', &user) || !attribute(&data, 'r', &nonce) || !nonce_valid(nonce))
        return SASL_MALFORMED;
    enum sasl_result r = check_binding(s, &g);
    if (r == SASL_ASK)
        r = take_names(s, g.authzid, user);
    if (r != SASL_ASK)
        return r;
    buf_put_span(&x->nonce, nonce);
    buf_put_str(&x->nonce, s->setup->nonce);
    return sasl_ask(s, SASL_ASK_KEYS);
}

/* Whoever is not there has a salt as well, always the same, so that strangers learn nothing. */
static void fake_keys(struct sasl *s)
{
    struct scram *x = s->scram;
    unsigned char digest[EVP_MAX_MD_SIZE];
    x->fake = true;
    x->keys = (struct password_scram){
        .iterations = PASSWORD_SCRAM_ITERATIONS, .salt_n = FAKE_SALT, .key_n = x->n};
    invariant(HMAC(EVP_sha256(), s->setup->key, SASL_KEY_SIZE, (const unsigned char *)s->name.p,
                   s->name.n, digest, NULL));
    memcpy(x->keys.salt, digest, FAKE_SALT);
}

enum sasl_result scram_answer(struct sasl *s, int error, const struct directory_entry *e)
{
    struct scram *x = s->scram;
    bool sha256 = s->mechanism->flags & SASL_SHA256;
    invariant(error != 0 || e != NULL);
    const struct buf *keys =
        error != 0 ? NULL : &e->scram[sha256 ? DIRECTORY_SCRAM_SHA256 : DIRECTORY_SCRAM_SHA1];
    if (!keys || !keys->n || password_scram_parse(buf_span(keys), sha256, &x->keys) < 0)
        fake_keys(s);
    x->fake |= error != 0 || e->disabled;
    if (error == 0)
        buf_put_span(&x->account, buf_span(&e->name));
    buf_put_lit(&s->out, "r=");
    buf_put_span(&s->out, buf_span(&x->nonce));
    buf_put_lit(&s->out, ",s=");
    base64_encode(span_make(x->keys.salt, x->keys.salt_n), &s->out);
    buf_put_lit(&s->out, ",i=");
    buf_put_u64(&s->out, x->keys.iterations);
    buf_put_byte(&x->message, ',');
    buf_put_span(&x->message, buf_span(&s->out));
    s->step = SCRAM_FINAL;
    return SASL_CHALLENGE;
}

static void sign(const struct scram *x, const unsigned char *key, unsigned char *ret)
{
    invariant(
        HMAC(x->md, key, (int)x->n, (const unsigned char *)x->message.p, x->message.n, ret, NULL));
}

/* ClientKey = ClientProof XOR ClientSignature; its hash is what is stored. */
static bool proven(const struct scram *x, const struct buf *proof)
{
    unsigned char key[EVP_MAX_MD_SIZE], digest[EVP_MAX_MD_SIZE];
    sign(x, x->keys.stored_key, key);
    for (size_t i = 0; i < x->n; i++)
        key[i] ^= (unsigned char)proof->p[i];
    int ok = EVP_Digest(key, x->n, digest, NULL, x->md, NULL);
    invariant(ok == 1);
    bool same = CRYPTO_memcmp(digest, x->keys.stored_key, x->n) == 0;
    explicit_bzero(key, sizeof(key));
    return same && !x->fake;
}

/* c=binding,r=nonce[,extensions],p=proof */
static enum sasl_result final(struct sasl *s, struct span data)
{
    struct scram *x = s->scram;
    struct span rest = data, binding, nonce, field = SPAN_EMPTY, last = SPAN_EMPTY;
    autobuf header = BUF_INIT(SASL_DATA_MAX), proof = BUF_INIT(SASL_FIELD_MAX);
    if (!attribute(&rest, 'c', &binding) || !attribute(&rest, 'r', &nonce))
        return SASL_MALFORMED;
    while (span_split(&rest, ',', &field))
        last = field;
    if (!span_starts(last, SPAN("p=")) || base64_decode(span_skip(last, 2), &proof) < 0 ||
        proof.n != x->n || base64_decode(binding, &header) < 0)
        return SASL_MALFORMED;
    if (!span_eq(nonce, buf_span(&x->nonce)))
        return SASL_MALFORMED;
    if (!span_eq(buf_span(&header), buf_span(&x->header))) /* another channel */
        return SASL_DENIED;
    buf_put_byte(&x->message, ',');
    buf_put_span(&x->message, span_head(data, data.n - last.n - 1));
    if (!buf_ok(&x->message) || !proven(x, &proof))
        return SASL_DENIED;
    unsigned char signature[EVP_MAX_MD_SIZE];
    sign(x, x->keys.server_key, signature);
    buf_put_lit(&s->out, "v=");
    base64_encode(span_make(signature, x->n), &s->out);
    buf_reset(&s->name);
    buf_put_span(&s->name, buf_span(&x->account));
    return SASL_SUCCESS;
}

enum sasl_result scram_step(struct sasl *s, struct span data)
{
    return s->step == SCRAM_FIRST ? first(s, data) : final(s, data);
}
