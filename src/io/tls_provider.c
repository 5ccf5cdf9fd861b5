/* An OpenSSL provider whose private keys are elsewhere.
 *
 * libssl signs with an EVP_PKEY. Ours comes from this provider: it has the public part (an EVP_PKEY
 * of the default provider) and signs by tls_backend_sign, which gets the very bytes that the
 * handshake wants signed, not a digest, so that whoever holds the key can see what it is for. The
 * older ways (RSA_METHOD, EC_KEY_METHOD, ENGINE) are deprecated in OpenSSL 3, see digests or padded
 * blocks only, and have none for Ed25519. ASYNC_JOB, which would save the threads, runs the whole
 * handshake of a stranger on a small heap stack without a guard page, and no sanitizer can follow
 * it.
 *
 * The provider has no algorithm that can do without the backend: public keys of peers and
 * everything else stay with the default provider (see tls_provider_load). */
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "io/tls_int.h"

static _Thread_local struct tls_backend *backend_in_use;

struct key {
    const char *type;
    EVP_PKEY *public; /* of the default provider */
    unsigned char id[TLS_KEY_ID_SIZE];
};

struct signing {
    struct key *key;
    unsigned bits; /* of the digest; 0: none (Ed25519) */
    bool pss;
};

typedef void (*function)(void);
#define DISPATCH(id, f)                                                                            \
    {                                                                                              \
        (id), (function)(f)                                                                        \
    }

/* Keys. */

static void *key_new(const char *type)
{
    struct key *k = xnew(struct key);
    k->type = type;
    return k;
}

static void *rsa_new(void *provider)
{
    (void)provider;
    return key_new("RSA");
}

static void *ec_new(void *provider)
{
    (void)provider;
    return key_new("EC");
}

static void *ed25519_new(void *provider)
{
    (void)provider;
    return key_new("ED25519");
}

static void key_free(void *data)
{
    struct key *k = data;
    if (!k)
        return;
    EVP_PKEY_free(k->public);
    free(k);
}

/* The private part is there, in a way. */
static int key_has(const void *data, int selection)
{
    const struct key *k = data;
    (void)selection;
    return k->public != NULL;
}

static int key_match(const void *a, const void *b, int selection)
{
    const struct key *x = a, *y = b;
    (void)selection;
    return x->public && y->public && EVP_PKEY_eq(x->public, y->public) == 1;
}

static int key_identify(struct key *k)
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(k->public, &der);
    bool ok = n > 0 && EVP_Digest(der, (size_t)n, k->id, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
    struct key *k = data;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, k->type, "provider=default");
    /* From const to the prototype of a function that does not change it. */
    OSSL_PARAM *p = (OSSL_PARAM *)(uintptr_t)params;
    (void)selection;
    int ok = c && !k->public && EVP_PKEY_fromdata_init(c) == 1 &&
             EVP_PKEY_fromdata(c, &k->public, EVP_PKEY_PUBLIC_KEY, p) == 1 && key_identify(k);
    EVP_PKEY_CTX_free(c);
    return ok;
}

/* Without this refusal libssl would take the public part to the default provider to sign there. */
static int key_export(void *data, int selection, OSSL_CALLBACK *cb, void *arg)
{
    struct key *k = data;
    if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
        return 0;
    return EVP_PKEY_export(k->public, EVP_PKEY_PUBLIC_KEY, cb, arg);
}

static const OSSL_PARAM *key_types(int selection)
{
    static const OSSL_PARAM types[] = {OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
                                       OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
                                       OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
                                       OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
                                       OSSL_PARAM_END};
    return selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY ? types : NULL;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
    struct key *k = data;
    return k->public && EVP_PKEY_get_params(k->public, params);
}

static const OSSL_PARAM *key_gettable(void *provider)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_MANDATORY_DIGEST, NULL, 0),
        OSSL_PARAM_END};
    (void)provider;
    return params;
}

static const char *ec_operation(int operation)
{
    (void)operation;
    return "ECDSA";
}

#define KEY_FUNCTIONS                                                                              \
    DISPATCH(OSSL_FUNC_KEYMGMT_FREE, key_free), DISPATCH(OSSL_FUNC_KEYMGMT_HAS, key_has),          \
        DISPATCH(OSSL_FUNC_KEYMGMT_MATCH, key_match),                                              \
        DISPATCH(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                                            \
        DISPATCH(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_types),                                       \
        DISPATCH(OSSL_FUNC_KEYMGMT_EXPORT, key_export),                                            \
        DISPATCH(OSSL_FUNC_KEYMGMT_EXPORT_TYPES, key_types),                                       \
        DISPATCH(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                                    \
        DISPATCH(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable)

static const OSSL_DISPATCH rsa_keys[] = {
    DISPATCH(OSSL_FUNC_KEYMGMT_NEW, rsa_new), KEY_FUNCTIONS, {0, NULL}};
static const OSSL_DISPATCH ec_keys[] = {
    DISPATCH(OSSL_FUNC_KEYMGMT_NEW, ec_new),
    DISPATCH(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, ec_operation),
    KEY_FUNCTIONS,
    {0, NULL}};
static const OSSL_DISPATCH ed25519_keys[] = {
    DISPATCH(OSSL_FUNC_KEYMGMT_NEW, ed25519_new), KEY_FUNCTIONS, {0, NULL}};

/* Signatures. */

static void *signing_new(void *provider, const char *query)
{
    (void)provider;
    (void)query;
    return xnew(struct signing);
}

static void signing_free(void *data)
{
    free(data);
}

static bool digest_bits(const char *name, unsigned *ret)
{
    static const struct {
        const char *name;
        unsigned bits;
    } digests[] = {{"SHA256", 256},   {"SHA2-256", 256}, {"SHA384", 384},
                   {"SHA2-384", 384}, {"SHA512", 512},   {"SHA2-512", 512}};
    *ret = 0;
    if (!name || !*name)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(digests); i++)
        if (span_ieq(span_str(name), span_str(digests[i].name)))
            *ret = digests[i].bits;
    return *ret != 0;
}

static int set_pad_mode(struct signing *s, const OSSL_PARAM *p)
{
    int mode = 0;
    if (p->data_type == OSSL_PARAM_UTF8_STRING && p->data) {
        if (strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0)
            mode = RSA_PKCS1_PSS_PADDING;
        else if (strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0)
            mode = RSA_PKCS1_PADDING;
    } else if (!OSSL_PARAM_get_int(p, &mode)) {
        return 0;
    }
    s->pss = mode == RSA_PKCS1_PSS_PADDING;
    return mode == RSA_PKCS1_PSS_PADDING || mode == RSA_PKCS1_PADDING;
}

/* The salt has the digest's length with every scheme of TLS: what is set for it says nothing new.
 */
static int signing_set(void *data, const OSSL_PARAM params[])
{
    const OSSL_PARAM *p =
        params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
    return p ? set_pad_mode(data, p) : 1;
}

static const OSSL_PARAM *signing_settable(void *data, void *provider)
{
    static const OSSL_PARAM params[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_DIGEST, NULL, 0), OSSL_PARAM_END};
    (void)data;
    (void)provider;
    return params;
}

static int signing_init(void *data, const char *digest, void *key, const OSSL_PARAM params[])
{
    struct signing *s = data;
    if (key)
        s->key = key;
    if (!s->key || !digest_bits(digest, &s->bits))
        return 0;
    return signing_set(s, params);
}

static int find_scheme(const struct signing *s, enum tls_scheme *ret)
{
    static const struct {
        const char *type;
        bool pss;
        unsigned bits;
        enum tls_scheme scheme;
    } schemes[] = {
        {"RSA", false, 256, TLS_RSA_PKCS1_SHA256}, {"RSA", false, 384, TLS_RSA_PKCS1_SHA384},
        {"RSA", false, 512, TLS_RSA_PKCS1_SHA512}, {"RSA", true, 256, TLS_RSA_PSS_SHA256},
        {"RSA", true, 384, TLS_RSA_PSS_SHA384},    {"RSA", true, 512, TLS_RSA_PSS_SHA512},
        {"EC", false, 256, TLS_ECDSA_SHA256},      {"EC", false, 384, TLS_ECDSA_SHA384},
        {"EC", false, 512, TLS_ECDSA_SHA512},      {"ED25519", false, 0, TLS_ED25519},
    };
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (strcmp(schemes[i].type, s->key->type) == 0 && schemes[i].pss == s->pss &&
            schemes[i].bits == s->bits) {
            *ret = schemes[i].scheme;
            return 1;
        }
    }
    return 0;
}

static int signing_sign(void *data, unsigned char *sig, size_t *n, size_t max,
                        const unsigned char *tbs, size_t tbs_n)
{
    struct signing *s = data;
    enum tls_scheme scheme;
    int need = s->key ? EVP_PKEY_get_size(s->key->public) : 0;
    if (need <= 0 || !find_scheme(s, &scheme))
        return 0;
    if (!sig) {
        *n = (size_t)need;
        return 1;
    }
    if (max < (size_t)need || !backend_in_use)
        return 0;
    return tls_backend_sign(backend_in_use, s->key->id, scheme, span_make(tbs, tbs_n), sig, max,
                            n) == 0;
}

static const OSSL_DISPATCH signatures[] = {
    DISPATCH(OSSL_FUNC_SIGNATURE_NEWCTX, signing_new),
    DISPATCH(OSSL_FUNC_SIGNATURE_FREECTX, signing_free),
    DISPATCH(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signing_init),
    DISPATCH(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signing_sign),
    DISPATCH(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signing_set),
    DISPATCH(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signing_settable),
    {0, NULL}};

/* The provider. */

#define PROPERTIES "provider=martlet"

static const OSSL_ALGORITHM key_algorithms[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, rsa_keys, NULL},
    {"EC:id-ecPublicKey:1.2.840.10045.2.1", PROPERTIES, ec_keys, NULL},
    {"ED25519:1.3.101.112", PROPERTIES, ed25519_keys, NULL},
    {NULL, NULL, NULL, NULL}};
static const OSSL_ALGORITHM signature_algorithms[] = {
    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", PROPERTIES, signatures, NULL},
    {"ECDSA", PROPERTIES, signatures, NULL},
    {"ED25519:1.3.101.112", PROPERTIES, signatures, NULL},
    {NULL, NULL, NULL, NULL}};

static const OSSL_ALGORITHM *query(void *provider, int operation, int *no_store)
{
    (void)provider;
    *no_store = 0;
    return operation == OSSL_OP_KEYMGMT     ? key_algorithms
           : operation == OSSL_OP_SIGNATURE ? signature_algorithms
                                            : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
                         const OSSL_DISPATCH **out, void **ret_provider)
{
    static const OSSL_DISPATCH functions[] = {DISPATCH(OSSL_FUNC_PROVIDER_QUERY_OPERATION, query),
                                              {0, NULL}};
    static int nothing;
    (void)handle;
    (void)in;
    *out = functions;
    *ret_provider = &nothing;
    return 1;
}

static void load(void)
{
    /* Threads may be in the middle of a handshake when the process ends: nothing is torn down. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    /* Ours is taken only for keys that are ours already. */
    bool ok = OSSL_PROVIDER_load(NULL, "default") &&
              OSSL_PROVIDER_add_builtin(NULL, "martlet", provider_init) == 1 &&
              OSSL_PROVIDER_load(NULL, "martlet") &&
              EVP_set_default_properties(NULL, "?provider=default") == 1;
    invariant(ok);
}

void tls_provider_load(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
}

EVP_PKEY *tls_provider_key(X509 *x509)
{
    static const char *const types[] = {"RSA", "EC", "ED25519"};
    EVP_PKEY *public = X509_get0_pubkey(x509), *ret = NULL;
    OSSL_PARAM *params = NULL;
    const char *type = NULL;
    for (size_t i = 0; public && i < ARRAY_LEN(types); i++)
        if (EVP_PKEY_is_a(public, types[i]))
            type = types[i];
    if (!type || EVP_PKEY_todata(public, EVP_PKEY_PUBLIC_KEY, &params) != 1)
        return NULL;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, PROPERTIES);
    if (!c || EVP_PKEY_fromdata_init(c) != 1 ||
        EVP_PKEY_fromdata(c, &ret, EVP_PKEY_KEYPAIR, params) != 1)
        ret = NULL;
    EVP_PKEY_CTX_free(c);
    OSSL_PARAM_free(params);
    return ret;
}

void tls_provider_use(struct tls_backend *b)
{
    backend_in_use = b;
}
