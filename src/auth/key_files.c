/* Certificates and private keys from their files. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "auth/key_set_int.h"

enum { CLIENT_CA_MAX = 256 };

static int complain(struct err *err, const char *file, const char *what)
{
    char text[120];
    unsigned long e = ERR_peek_last_error();
    ERR_error_string_n(e, text, sizeof(text));
    ERR_clear_error();
    return err_set(err, ERR_INVALID, "%s: %s%s%s", file, what, e ? ": " : "", e ? text : "");
}

static BIO *open_file(const char *file, struct err *err)
{
    BIO *b = BIO_new_file(file, "re");
    if (!b)
        err_set_errno(err, "%s", file);
    ERR_clear_error();
    return b;
}

/* Appends the DER of every certificate of the file; *ret_first is the first of them. */
static int read_certificates(const char *file, size_t max, struct buf *out, X509 **ret_first,
                             struct err *err)
{
    BIO *b = open_file(file, err);
    X509 *x;
    size_t count = 0;
    if (!b)
        return err->code;
    while (count < max && (x = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
        unsigned char *der = NULL;
        int n = i2d_X509(x, &der);
        if (n > 0)
            control_args_put(out, span_make(der, (size_t)n));
        OPENSSL_free(der);
        if (count++ == 0 && ret_first)
            *ret_first = x;
        else
            X509_free(x);
    }
    BIO_free(b);
    if (!count)
        return complain(err, file, "there is no certificate in PEM form");
    ERR_clear_error(); /* "no start line" says that it was the last one */
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "%s: larger than %d bytes", file, CHAIN_MAX);
}

/* Nobody is there who could type a password. */
static int no_password(char *to, int max, int writing, void *arg)
{
    (void)to;
    (void)max;
    (void)writing;
    (void)arg;
    return -1;
}

static EVP_PKEY *read_key(const char *file, struct err *err)
{
    BIO *b = open_file(file, err);
    if (!b)
        return NULL;
    EVP_PKEY *k = PEM_read_bio_PrivateKey(b, NULL, no_password, NULL);
    BIO_free(b);
    if (!k)
        complain(err, file, "this is no private key in PEM form without a password");
    return k;
}

static bool identify(X509 *x, unsigned char id[KEY_ID_SIZE])
{
    unsigned char *der = NULL;
    int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &der);
    bool ok = n > 0 && EVP_Digest(der, (size_t)n, id, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

static int add_key(struct key_set *s, const char *cert_file, const char *key_file, struct err *err)
{
    if (s->count == KEYS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d certificates", KEYS_MAX);
    struct key *k = &s->keys[s->count++];
    X509 *leaf = NULL;
    buf_init(&k->chain, CHAIN_MAX);
    int r = read_certificates(cert_file, SIZE_MAX, &k->chain, &leaf, err);
    if (r == 0) {
        k->private = read_key(key_file, err);
        if (!k->private)
            r = err->code;
        else if (X509_check_private_key(leaf, k->private) != 1 || !identify(leaf, k->id))
            r = complain(err, key_file, "this key does not belong to the certificate");
        else if (!EVP_PKEY_is_a(k->private, "RSA") && !EVP_PKEY_is_a(k->private, "EC") &&
                 !EVP_PKEY_is_a(k->private, "ED25519"))
            r = err_set(err, ERR_INVALID, "%s: neither an RSA, ECDSA nor Ed25519 key", key_file);
    }
    X509_free(leaf);
    return r;
}

static int load_all(struct key_set *s, const struct conf *c, struct err *err)
{
    const struct conf_list *more = &c->tls_certificates;
    s->keys = xcalloc(1 + more->count / 2, sizeof(*s->keys));
    int r = add_key(s, c->tls_certificate, c->tls_key, err);
    for (size_t i = 0; i + 1 < more->count && r == 0; i += 2)
        r = add_key(s, more->items[i], more->items[i + 1], err);
    if (r == 0 && c->tls_client_certificates != CONF_CLIENT_NO) {
        if (!*c->tls_client_ca)
            r = err_set(err, ERR_INVALID, "tls.client_certificates needs tls.client_ca");
        else
            r = read_certificates(c->tls_client_ca, CLIENT_CA_MAX, &s->client_ca, NULL, err);
    }
    return r;
}

struct key_set *key_set_load(const struct conf *conf, struct err *err)
{
    struct key_set *s = xnew(struct key_set);
    s->refs = 1;
    buf_init(&s->client_ca, CHAIN_MAX);
    ERR_clear_error();
    if (load_all(s, conf, err) == 0)
        return s;
    key_set_unref(s);
    return NULL;
}

struct key_set *key_set_ref(struct key_set *s)
{
    s->refs++;
    return s;
}

void key_set_unref(struct key_set *s)
{
    if (!s || --s->refs > 0)
        return;
    for (size_t i = 0; i < s->count; i++) {
        EVP_PKEY_free(s->keys[i].private);
        buf_done(&s->keys[i].chain);
    }
    free(s->keys);
    buf_done(&s->client_ca);
    free(s);
}

const struct key *key_set_find(const struct key_set *s, struct span id)
{
    for (size_t i = 0; s && i < s->count; i++)
        if (id.n == KEY_ID_SIZE && memcmp(s->keys[i].id, id.p, KEY_ID_SIZE) == 0)
            return &s->keys[i];
    return NULL;
}

size_t key_set_count(const struct key_set *s)
{
    return s ? s->count : 0;
}

struct span key_set_chain(const struct key_set *s, size_t i)
{
    return buf_span(&s->keys[i].chain);
}

struct span key_set_client_ca(const struct key_set *s)
{
    return buf_span(&s->client_ca);
}
