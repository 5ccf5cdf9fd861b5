#include "auth/jwt_int.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdatomic.h>

#include "wire/base64.h"

enum kind { KIND_RSA, KIND_P256, KIND_P384, KIND_ED25519 };

static const struct {
    const char *name, *digest;
    enum kind kind;
    bool pss;
} algorithms[] = {
    {"RS256", "SHA256", KIND_RSA, false},  {"RS384", "SHA384", KIND_RSA, false},
    {"RS512", "SHA512", KIND_RSA, false},  {"PS256", "SHA256", KIND_RSA, true},
    {"PS384", "SHA384", KIND_RSA, true},   {"PS512", "SHA512", KIND_RSA, true},
    {"ES256", "SHA256", KIND_P256, false}, {"ES384", "SHA384", KIND_P384, false},
    {"EdDSA", NULL, KIND_ED25519, false},
};

struct key {
    char *id, *algorithm; /* NULL: not said */
    enum kind kind;
    EVP_PKEY *key;
};

struct jwt_keys {
    atomic_uint refs;
    size_t count;
    struct key of[JWT_KEYS_MAX];
};

int base64url_decode(struct span s, struct buf *out)
{
    autobuf plain = BUF_INIT(2 * JWT_KEYS_TEXT_MAX);
    invariant(s.n == 0 || s.p != NULL);
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '+' || s.p[i] == '/' || s.p[i] == '=')
            return ERR_INVALID;
        buf_put_byte(&plain, s.p[i] == '-' ? '+' : s.p[i] == '_' ? '/' : s.p[i]);
    }
    while (plain.n % 4)
        buf_put_byte(&plain, '=');
    return base64_decode(buf_span(&plain), out);
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static struct span string_span(const json_t *s)
{
    return span_make(json_string_value(s), json_string_length(s));
}

/* Keys. */

static int bytes_of(const json_t *jwk, const char *name, struct buf *out)
{
    const json_t *v = json_object_get(jwk, name);
    return json_is_string(v) ? base64url_decode(string_span(v), out) : ERR_INVALID;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) <= 0 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) <= 0)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

static EVP_PKEY *rsa_key(const json_t *jwk)
{
    autobuf n = BUF_INIT(2048), e = BUF_INIT(64);
    if (bytes_of(jwk, "n", &n) < 0 || bytes_of(jwk, "e", &e) < 0)
        return NULL;
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    BIGNUM *modulus = BN_bin2bn((const unsigned char *)n.p, (int)n.n, NULL);
    BIGNUM *exponent = BN_bin2bn((const unsigned char *)e.p, (int)e.n, NULL);
    EVP_PKEY *key = NULL;
    if (BN_num_bits(modulus) >= 2048 && /* RFC 7518 section 3.3 */
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, modulus) &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, exponent))
        key = from_params("RSA", bld);
    BN_free(modulus);
    BN_free(exponent);
    OSSL_PARAM_BLD_free(bld);
    return key;
}

static EVP_PKEY *ec_key(const json_t *jwk, const char *group, size_t size)
{
    autobuf x = BUF_INIT(128), y = BUF_INIT(128), point = BUF_INIT(256);
    if (bytes_of(jwk, "x", &x) < 0 || bytes_of(jwk, "y", &y) < 0 || x.n != size || y.n != size)
        return NULL;
    buf_put_byte(&point, 4); /* uncompressed */
    buf_put_span(&point, buf_span(&x));
    buf_put_span(&point, buf_span(&y));
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    EVP_PKEY *key = NULL;
    if (OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.p, point.n))
        key = from_params("EC", bld);
    OSSL_PARAM_BLD_free(bld);
    return key;
}

static EVP_PKEY *ed25519_key(const json_t *jwk)
{
    autobuf x = BUF_INIT(128);
    if (bytes_of(jwk, "x", &x) < 0)
        return NULL;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)x.p, x.n);
}

static EVP_PKEY *make_key(const json_t *jwk, enum kind *ret_kind)
{
    const char *type = text_of(jwk, "kty"), *curve = text_of(jwk, "crv");
    if (!type)
        return NULL;
    if (strcmp(type, "RSA") == 0) {
        *ret_kind = KIND_RSA;
        return rsa_key(jwk);
    }
    if (!curve)
        return NULL;
    if (strcmp(type, "EC") == 0 && strcmp(curve, "P-256") == 0) {
        *ret_kind = KIND_P256;
        return ec_key(jwk, "P-256", 32);
    }
    if (strcmp(type, "EC") == 0 && strcmp(curve, "P-384") == 0) {
        *ret_kind = KIND_P384;
        return ec_key(jwk, "P-384", 48);
    }
    if (strcmp(type, "OKP") == 0 && strcmp(curve, "Ed25519") == 0) { /* RFC 8037 */
        *ret_kind = KIND_ED25519;
        return ed25519_key(jwk);
    }
    return NULL;
}

static void add_key(struct jwt_keys *k, const json_t *jwk)
{
    const char *use = text_of(jwk, "use"), *id = text_of(jwk, "kid"), *alg = text_of(jwk, "alg");
    if (k->count == JWT_KEYS_MAX || (use && strcmp(use, "sig") != 0))
        return;
    struct key *key = &k->of[k->count];
    key->key = make_key(jwk, &key->kind);
    if (!key->key)
        return;
    key->id = id ? span_dup(span_str(id)) : NULL;
    key->algorithm = alg ? span_dup(span_str(alg)) : NULL;
    k->count++;
}

int jwt_keys_parse(struct span text, struct jwt_keys **ret, struct err *err)
{
    json_t *root = text.n <= JWT_KEYS_TEXT_MAX
                       ? json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;
    const json_t *list = json_object_get(root, "keys");
    struct jwt_keys *k = xnew(struct jwt_keys);
    atomic_init(&k->refs, 1);
    for (size_t i = 0; i < json_array_size(list); i++)
        add_key(k, json_array_get(list, i));
    json_decref(root);
    if (k->count) {
        *ret = k;
        return 0;
    }
    jwt_keys_unref(k);
    return err_set(err, ERR_INVALID, "no key set with a key for signatures");
}

struct jwt_keys *jwt_keys_ref(struct jwt_keys *k)
{
    atomic_fetch_add(&k->refs, 1);
    return k;
}

void jwt_keys_unref(struct jwt_keys *k)
{
    if (!k || atomic_fetch_sub(&k->refs, 1) != 1)
        return;
    for (size_t i = 0; i < k->count; i++) {
        free(k->of[i].id);
        free(k->of[i].algorithm);
        EVP_PKEY_free(k->of[i].key);
    }
    free(k);
}

/* Tokens. */

static json_t *decode_object(struct span part)
{
    autobuf text = BUF_INIT(JWT_MAX);
    if (base64url_decode(part, &text) < 0)
        return NULL;
    json_t *o = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(o)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

int jwt_parse(struct span token, struct jwt *ret, struct err *err)
{
    *ret = (struct jwt){.header = NULL};
    buf_init(&ret->signature, 1024);
    size_t first = span_find_byte(token, '.');
    struct span rest = first == SPAN_NPOS ? SPAN_EMPTY : span_skip(token, first + 1);
    size_t second = span_find_byte(rest, '.');
    if (token.n > JWT_MAX || second == SPAN_NPOS ||
        span_find_byte(span_skip(rest, second + 1), '.') != SPAN_NPOS)
        return err_set(err, ERR_INVALID, "not a signed token (JWT)");
    ret->signed_part = span_head(token, first + 1 + second);
    ret->header = decode_object(span_head(token, first));
    ret->claims = decode_object(span_head(rest, second));
    if (!ret->header || !ret->claims ||
        base64url_decode(span_skip(rest, second + 1), &ret->signature) < 0)
        return err_set(err, ERR_INVALID, "not a well-formed token (JWT)");
    /* RFC 7515 section 4.1.11: extensions that must be understood; none is. */
    if (json_object_get(ret->header, "crit"))
        return err_set(err, ERR_INVALID, "the token has critical extensions");
    return 0;
}

void jwt_done(struct jwt *t)
{
    json_decref(t->header);
    json_decref(t->claims);
    buf_done(&t->signature);
}

/* JWS has r and s side by side (RFC 7518 section 3.4), OpenSSL wants them in DER. */
static int ecdsa_to_der(struct span raw, size_t size, struct buf *out)
{
    unsigned char *der = NULL;
    if (raw.n != 2 * size)
        return ERR_INVALID;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn((const unsigned char *)raw.p, (int)size, NULL);
    BIGNUM *s = BN_bin2bn((const unsigned char *)raw.p + size, (int)size, NULL);
    invariant(sig && r && s && ECDSA_SIG_set0(sig, r, s));
    int n = i2d_ECDSA_SIG(sig, &der);
    if (n > 0)
        buf_put(out, der, (size_t)n);
    OPENSSL_free(der);
    ECDSA_SIG_free(sig);
    return n > 0 ? 0 : ERR_INVALID;
}

static bool signature_good(const struct key *key, const char *digest, bool pss,
                           struct span signature, struct span text)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    autobuf der = BUF_INIT(256);
    if (key->kind == KIND_P256 || key->kind == KIND_P384) {
        if (ecdsa_to_der(signature, key->kind == KIND_P256 ? 32 : 48, &der) < 0) {
            EVP_MD_CTX_free(ctx);
            return false;
        }
        signature = buf_span(&der);
    }
    bool good = EVP_DigestVerifyInit_ex(ctx, &pctx, digest, NULL, NULL, key->key, NULL) == 1;
    if (good && pss) /* RFC 7518 section 3.5: the salt is as long as the hash */
        good = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_DIGEST) > 0;
    good = good && EVP_DigestVerify(ctx, (const unsigned char *)signature.p, signature.n,
                                    (const unsigned char *)text.p, text.n) == 1;
    EVP_MD_CTX_free(ctx);
    return good;
}

static bool is_meant(const struct key *key, const char *id, const char *algorithm)
{
    return (!id || (key->id && strcmp(key->id, id) == 0)) &&
           (!key->algorithm || strcmp(key->algorithm, algorithm) == 0);
}

int jwt_verify(const struct jwt *t, const struct jwt_keys *keys, struct err *err)
{
    const char *name = text_of(t->header, "alg"), *id = text_of(t->header, "kid");
    size_t a = 0;
    bool any = false;
    while (a < ARRAY_LEN(algorithms) && (!name || strcmp(algorithms[a].name, name) != 0))
        a++;
    if (a == ARRAY_LEN(algorithms))
        return err_set(err, ERR_DENIED, "the token is not signed in a way that is accepted");
    for (size_t i = 0; i < keys->count; i++) {
        const struct key *key = &keys->of[i];
        if (!is_meant(key, id, name) || key->kind != algorithms[a].kind)
            continue;
        any = true;
        if (signature_good(key, algorithms[a].digest, algorithms[a].pss, buf_span(&t->signature),
                           t->signed_part))
            return 0;
    }
    return any ? err_set(err, ERR_DENIED, "the token's signature is wrong")
               : err_set(err, ERR_NOT_FOUND, "the token is signed with an unknown key");
}
