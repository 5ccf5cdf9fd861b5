/* SCRAM's stored keys: RFC 5802 section 3, RFC 7677. */
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "auth/password_int.h"
#include "base/random.h"
#include "wire/base64.h"

static void hmac(const EVP_MD *md, const unsigned char *key, size_t n, struct span text,
                 unsigned char *ret)
{
    invariant(HMAC(md, key, (int)n, (const unsigned char *)text.p, text.n, ret, NULL));
}

void password_scram_derive(struct password_scram *s, struct span password)
{
    const EVP_MD *md = s->sha256 ? EVP_sha256() : EVP_sha1();
    unsigned char salted[32], client_key[32];
    s->key_n = s->sha256 ? 32 : 20;
    int ok = PKCS5_PBKDF2_HMAC(password.n ? password.p : "", (int)password.n, s->salt,
                               (int)s->salt_n, (int)s->iterations, md, (int)s->key_n, salted);
    invariant(ok == 1);
    hmac(md, salted, s->key_n, SPAN("Client Key"), client_key);
    ok = EVP_Digest(client_key, s->key_n, s->stored_key, NULL, md, NULL);
    invariant(ok == 1);
    hmac(md, salted, s->key_n, SPAN("Server Key"), s->server_key);
    explicit_bzero(salted, sizeof(salted));
    explicit_bzero(client_key, sizeof(client_key));
}

static int decode(struct span text, unsigned char *to, size_t min, size_t max, size_t *ret_n)
{
    autobuf b = BUF_INIT(128);
    if (text.n > 128 || base64_decode(text, &b) < 0 || b.n < min || b.n > max)
        return ERR_INVALID;
    memcpy(to, b.p, b.n);
    explicit_bzero(b.p, b.n);
    *ret_n = b.n;
    return 0;
}

/* Four fields, by RFC 5803 as iterations:salt$StoredKey:ServerKey, else with commas. */
static bool split(struct span keys, struct span field[4])
{
    const char *marks = span_find_byte(keys, ',') == SPAN_NPOS ? ":$:" : ",,,";
    for (int i = 0; i < 3; i++) {
        size_t at = span_find_byte(keys, marks[i]);
        if (at == SPAN_NPOS)
            return false;
        field[i] = span_head(keys, at);
        keys = span_skip(keys, at + 1);
    }
    field[3] = keys;
    return true;
}

int password_scram_parse(struct span keys, bool sha256, struct password_scram *ret)
{
    struct password_scram s = {.sha256 = sha256};
    struct span field[4];
    uint64_t iterations;
    size_t key_n = sha256 ? 32 : 20, n;
    if (!split(keys, field) || !span_to_u64(field[0], PASSWORD_SCRAM_ITERATIONS_MAX, &iterations) ||
        !iterations || decode(field[1], s.salt, 1, sizeof(s.salt), &s.salt_n) < 0 ||
        decode(field[2], s.stored_key, key_n, key_n, &n) < 0 ||
        decode(field[3], s.server_key, key_n, key_n, &n) < 0)
        return ERR_INVALID;
    s.iterations = (uint32_t)iterations;
    s.key_n = key_n;
    *ret = s;
    explicit_bzero(&s, sizeof(s));
    return 0;
}

void password_scram_put(const struct password_scram *s, struct buf *out)
{
    buf_put_u64(out, s->iterations);
    buf_put_byte(out, ',');
    base64_encode(span_make(s->salt, s->salt_n), out);
    buf_put_byte(out, ',');
    base64_encode(span_make(s->stored_key, s->key_n), out);
    buf_put_byte(out, ',');
    base64_encode(span_make(s->server_key, s->key_n), out);
}

void password_scram_make(bool sha256, struct span password, struct span salt, uint32_t iterations,
                         struct buf *ret)
{
    struct password_scram s = {.sha256 = sha256, .iterations = iterations};
    s.salt_n = MIN(salt.n, sizeof(s.salt));
    if (s.salt_n) {
        memcpy(s.salt, salt.p, s.salt_n);
    } else {
        s.salt_n = PASSWORD_SCRAM_SALT;
        random_bytes(s.salt, s.salt_n);
    }
    password_scram_derive(&s, password);
    password_scram_put(&s, ret);
    explicit_bzero(&s, sizeof(s));
}

bool password_has_scram(struct span secrets)
{
    struct span word;
    secrets = span_starts(secrets, SPAN("!")) ? span_skip(secrets, 1) : secrets;
    while (span_split(&secrets, ' ', &word))
        if (span_istarts(word, SPAN("{SCRAM-SHA-256}")) ||
            span_istarts(word, SPAN("SCRAM-SHA-256$")) || span_istarts(word, SPAN("{PLAIN}")))
            return true;
    return false;
}
