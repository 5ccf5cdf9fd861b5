#include "support/cmocka.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "auth/key_set.h"
#include "io/tls.h"

static char dir[] = "/tmp/test-keys-XXXXXX";

static const char *path(const char *name)
{
    static char text[4][128];
    static unsigned next;
    char *t = text[next++ % 4];
    snprintf(t, sizeof(text[0]), "%s/%s", dir, name);
    return t;
}

static EVP_PKEY *make(const char *name, EVP_PKEY *k)
{
    char pem[64];
    assert_non_null(k);
    X509 *x = X509_new();
    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, k);
    assert_true(
        X509_sign(x, k,
                  EVP_PKEY_is_a(k, "ED25519") || EVP_PKEY_is_a(k, "ED448") ? NULL : EVP_sha256()) >
        0);
    snprintf(pem, sizeof(pem), "%s.pem", name);
    FILE *f = fopen(path(pem), "w");
    assert_true(f && PEM_write_X509(f, x) == 1);
    fclose(f);
    snprintf(pem, sizeof(pem), "%s.key", name);
    f = fopen(path(pem), "w");
    assert_true(f && PEM_write_PrivateKey(f, k, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(f);
    X509_free(x);
    return k;
}

static int setup(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    EVP_PKEY_free(make("rsa", EVP_RSA_gen(2048)));
    EVP_PKEY_free(make("ec", EVP_EC_gen("P-256")));
    EVP_PKEY_free(make("ed", EVP_PKEY_Q_keygen(NULL, NULL, "ED25519")));
    EVP_PKEY_free(make("ed448", EVP_PKEY_Q_keygen(NULL, NULL, "ED448")));
    return 0;
}

static int teardown(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

/* What a server signs in TLS 1.3. */
static void verify_bytes(struct buf *b, size_t hash)
{
    buf_reset(b);
    for (int i = 0; i < 64; i++)
        buf_put_byte(b, ' ');
    buf_put_str(b, "TLS 1.3, server CertificateVerify");
    buf_put_byte(b, '\0');
    for (size_t i = 0; i < hash; i++)
        buf_put_byte(b, (char)i);
}

/* And in TLS 1.2. */
static void exchange_bytes(struct buf *b, unsigned char group, unsigned char point)
{
    buf_reset(b);
    for (int i = 0; i < 64; i++)
        buf_put_byte(b, (char)(i * 7));
    buf_put(b, (const unsigned char[]){3, 0, group, point}, 4);
    for (int i = 0; i < point; i++)
        buf_put_byte(b, 4);
}

static void test_what_may_be_signed(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(1024);
    static const size_t hashes[] = {32, 48};
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        verify_bytes(&b, hashes[i]);
        assert_true(key_may_sign(TLS_ECDSA_SHA256, buf_span(&b)));
        assert_true(key_may_sign(TLS_RSA_PSS_SHA512, buf_span(&b)));
        assert_true(key_may_sign(TLS_ED25519, buf_span(&b)));
        assert_false(key_may_sign(TLS_RSA_PKCS1_SHA256, buf_span(&b))); /* RFC 8446 4.2.3 */
        for (size_t k = 0; k < 64 + 34; k++) {
            b.p[k] ^= 1;
            assert_false(key_may_sign(TLS_ED25519, buf_span(&b)));
            b.p[k] ^= 1;
        }
    }
    static const size_t wrong[] = {0, 20, 31, 33, 47, 49, 64};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        verify_bytes(&b, wrong[i]);
        assert_false(key_may_sign(TLS_ED25519, buf_span(&b)));
    }
    static const unsigned char groups[][2] = {{23, 65}, {24, 97}, {25, 133}, {29, 32}};
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        exchange_bytes(&b, groups[i][0], groups[i][1]);
        assert_true(key_may_sign(TLS_RSA_PKCS1_SHA256, buf_span(&b)));
        assert_true(key_may_sign(TLS_ECDSA_SHA384, buf_span(&b)));
        buf_put_byte(&b, 'x');
        assert_false(key_may_sign(TLS_ECDSA_SHA384, buf_span(&b)));
        buf_truncate(&b, b.n - 2);
        assert_false(key_may_sign(TLS_ECDSA_SHA384, buf_span(&b)));
        exchange_bytes(&b, groups[i][0], (unsigned char)(groups[i][1] - 1));
        assert_false(key_may_sign(TLS_ECDSA_SHA384, buf_span(&b)));
    }
    exchange_bytes(&b, 22, 65);
    assert_false(key_may_sign(TLS_ECDSA_SHA384, buf_span(&b)));
    exchange_bytes(&b, 23, 65);
    b.p[64] = 1; /* an explicit curve */
    assert_false(key_may_sign(TLS_ECDSA_SHA384, buf_span(&b)));
    static const uint32_t schemes[] = {0, 0x0201, 0x0203, 0x0809, 0x10403, UINT32_MAX};
    exchange_bytes(&b, 23, 65);
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        assert_false(key_may_sign(schemes[i], buf_span(&b)));
    assert_false(key_may_sign(TLS_ED25519, SPAN_EMPTY));
}

static struct conf *conf_of(const char *cert, const char *key)
{
    struct err err;
    autobuf text = BUF_INIT(4096);
    buf_printf(&text, "tls { certificate = \"%s\"; key = \"%s\"; certificates { ", path(cert),
               path(key));
    buf_printf(&text, "\"%s\" = \"%s\"; \"%s\" = \"%s\" } }", path("ec.pem"), path("ec.key"),
               path("ed.pem"), path("ed.key"));
    struct conf *c = conf_load_text(buf_span(&text), "test", &err);
    assert_non_null(c);
    return c;
}

static X509 *leaf_of(const struct key_set *s, size_t i)
{
    struct span chain = key_set_chain(s, i), der;
    assert_true(control_args_next(&chain, &der));
    const unsigned char *p = (const unsigned char *)der.p;
    X509 *x = d2i_X509(NULL, &p, (long)der.n);
    assert_non_null(x);
    return x;
}

static const struct key *key_of(const struct key_set *s, X509 *x)
{
    unsigned char id[KEY_ID_SIZE], *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    assert_true(n > 0 && EVP_Digest(der, (size_t)n, id, NULL, EVP_sha256(), NULL) == 1);
    OPENSSL_free(der);
    return key_set_find(s, span_make(id, sizeof(id)));
}

static bool verifies(X509 *x, const char *digest, bool pss, struct span data, struct span sig)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *p;
    assert_int_equal(EVP_DigestVerifyInit_ex(c, &p, digest, NULL, NULL, X509_get0_pubkey(x), NULL),
                     1);
    if (pss) {
        EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING);
        EVP_PKEY_CTX_set_rsa_pss_saltlen(p, RSA_PSS_SALTLEN_DIGEST);
    }
    bool ok = EVP_DigestVerify(c, (const unsigned char *)sig.p, sig.n,
                               (const unsigned char *)data.p, data.n) == 1;
    EVP_MD_CTX_free(c);
    return ok;
}

static void test_signatures(void **state)
{
    (void)state;
    static const struct {
        size_t cert;
        uint32_t scheme;
        const char *digest;
        bool pss;
    } cases[] = {
        {0, TLS_RSA_PKCS1_SHA256, "SHA256", false},
        {0, TLS_RSA_PKCS1_SHA512, "SHA512", false},
        {0, TLS_RSA_PSS_SHA256, "SHA256", true},
        {0, TLS_RSA_PSS_SHA384, "SHA384", true},
        {1, TLS_ECDSA_SHA256, "SHA256", false},
        {1, TLS_ECDSA_SHA512, "SHA512", false},
        {2, TLS_ED25519, NULL, false},
    };
    struct err err;
    struct conf *c = conf_of("rsa.pem", "rsa.key");
    struct key_set *s = key_set_load(c, &err);
    assert_non_null(s);
    assert_int_equal(key_set_count(s), 3);
    autobuf data = BUF_INIT(1024);
    exchange_bytes(&data, 29, 32);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        autobuf sig = BUF_INIT(SIGNATURE_MAX);
        X509 *x = leaf_of(s, cases[i].cert);
        const struct key *k = key_of(s, x);
        assert_non_null(k);
        assert_int_equal(key_sign(k, cases[i].scheme, buf_span(&data), &sig), 0);
        assert_true(verifies(x, cases[i].digest, cases[i].pss, buf_span(&data), buf_span(&sig)));
        /* Another kind of key, or something that is no handshake. */
        uint32_t other = cases[i].cert == 2 ? TLS_ECDSA_SHA256 : TLS_ED25519;
        assert_int_equal(key_sign(k, other, buf_span(&data), &sig), ERR_DENIED);
        assert_int_equal(key_sign(k, cases[i].scheme, SPAN("any digest"), &sig), ERR_DENIED);
        X509_free(x);
    }
    assert_null(key_set_find(s, SPAN("too short")));
    assert_null(key_set_find(NULL, SPAN("0123456789abcdef0123456789abcdef")));
    key_set_unref(key_set_ref(s));
    key_set_unref(s);
    conf_free(c);
}

static void test_wrong_files(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"rsa.pem", "ec.key", "does not belong"}, {"none.pem", "ec.key", "No such file"},
        {"rsa.pem", "none.key", "No such file"},  {"rsa.key", "rsa.key", "no certificate"},
        {"rsa.pem", "rsa.pem", "no private key"}, {"ed448.pem", "ed448.key", "Ed25519"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err;
        struct conf *c = conf_of(cases[i][0], cases[i][1]);
        assert_null(key_set_load(c, &err));
        assert_non_null(strstr(err.text, cases[i][2]));
        conf_free(c);
    }
}

static void test_client_ca(void **state)
{
    (void)state;
    struct err err;
    struct conf *c = conf_of("rsa.pem", "rsa.key");
    assert_int_equal(conf_set(c, SPAN("tls.client_certificates = optional"), &err), 0);
    assert_null(key_set_load(c, &err));
    assert_non_null(strstr(err.text, "tls.client_ca"));
    autobuf text = BUF_INIT(256);
    buf_printf(&text, "tls.client_ca = \"%s\"", path("ec.pem"));
    assert_int_equal(conf_set(c, buf_span(&text), &err), 0);
    struct key_set *s = key_set_load(c, &err);
    assert_non_null(s);
    assert_true(key_set_client_ca(s).n > 100);
    key_set_unref(s);
    conf_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_may_be_signed), cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_wrong_files), cmocka_unit_test(test_client_ca)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
