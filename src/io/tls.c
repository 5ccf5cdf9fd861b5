/* Contexts: certificates and who gets which, tickets, ALPN, client certificates. */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "io/tls_int.h"

enum { NAME_MAX_LEN = 253, KINDS = 3, VERIFY_DEPTH = 8 };

struct tls_cert {
    X509 *leaf;
    STACK_OF(X509) * chain; /* without the leaf */
    EVP_PKEY *key;          /* the provider's */
    unsigned kind;          /* of key */
};

struct tls_name {
    char *name; /* in lower case; "*.example.org" */
    size_t cert;
};

static int ssl_error(struct err *err, const char *what)
{
    char text[160];
    unsigned long e = ERR_get_error();
    ERR_error_string_n(e, text, sizeof(text));
    ERR_clear_error();
    return err_set(err, ERR_INVALID, "%s: %s", what, e ? text : "unknown error");
}

static X509 *decode(struct span der)
{
    const unsigned char *p = (const unsigned char *)der.p;
    return der.n && der.n <= LONG_MAX ? d2i_X509(NULL, &p, (long)der.n) : NULL;
}

/* Names. */

static void add_name(struct tls_context *t, size_t cert, const unsigned char *p, int n)
{
    if (n <= 0 || n > NAME_MAX_LEN || memchr(p, '\0', (size_t)n))
        return;
    t->names = xrealloc(t->names, (t->name_count + 1) * sizeof(*t->names));
    char *name = span_dup(span_make(p, (size_t)n));
    for (char *c = name; *c; c++)
        *c = (char)ascii_lower((unsigned char)*c);
    t->names[t->name_count++] = (struct tls_name){name, cert};
}

/* The common name counts only where there are no DNS names (RFC 6125 section 6.4.4). */
static void add_names(struct tls_context *t, size_t cert)
{
    X509 *x = t->certs[cert].leaf;
    size_t before = t->name_count;
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        if (g->type == GEN_DNS)
            add_name(t, cert, ASN1_STRING_get0_data(g->d.dNSName),
                     ASN1_STRING_length(g->d.dNSName));
    }
    GENERAL_NAMES_free(names);
    int at = X509_NAME_get_index_by_NID(X509_get_subject_name(x), NID_commonName, -1);
    if (t->name_count == before && at >= 0) {
        const ASN1_STRING *s =
            X509_NAME_ENTRY_get_data(X509_NAME_get_entry(X509_get_subject_name(x), at));
        add_name(t, cert, ASN1_STRING_get0_data(s), ASN1_STRING_length(s));
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct tls_name *x = a, *y = b;
    int r = strcmp(x->name, y->name);
    return r ? r : x->cert < y->cert ? -1 : x->cert > y->cert;
}

/* Sets what is found where nothing is yet; certificates that come first win. */
static void find_name(const struct tls_context *t, const char *name,
                      const struct tls_cert *found[KINDS])
{
    size_t low = 0, high = t->name_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (strcmp(t->names[mid].name, name) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    for (; low < t->name_count && strcmp(t->names[low].name, name) == 0; low++) {
        const struct tls_cert *c = &t->certs[t->names[low].cert];
        if (!found[c->kind])
            found[c->kind] = c;
    }
}

/* A wildcard stands for exactly one label (RFC 6125 section 6.4.3). */
static bool find_certs(const struct tls_context *t, const char *asked,
                       const struct tls_cert *found[KINDS])
{
    char name[NAME_MAX_LEN + 2];
    size_t n = strlen(asked);
    while (n > 0 && asked[n - 1] == '.')
        n--;
    if (!n || n > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i < n; i++)
        name[i] = (char)ascii_lower((unsigned char)asked[i]);
    name[n] = '\0';
    find_name(t, name, found);
    char *dot = strchr(name, '.');
    if (dot && dot > name) {
        dot[-1] = '*';
        find_name(t, dot - 1, found);
    }
    return found[0] || found[1] || found[2];
}

/* For clients that ask for nothing that we know. */
static void find_default(const struct tls_context *t, const struct tls_cert *found[KINDS])
{
    found[t->certs[0].kind] = &t->certs[0];
    for (size_t i = 0; i < t->name_count; i++)
        if (t->names[i].cert == 0)
            find_name(t, t->names[i].name, found);
}

/* Callbacks of a handshake, in worker threads; the context does not change any more. */

static int on_server_name(SSL *ssl, int *alert, void *arg)
{
    const struct tls_context *t = arg;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const struct tls_cert *found[KINDS] = {NULL};
    (void)alert;
    if (!name)
        return SSL_TLSEXT_ERR_NOACK;
    if (!find_certs(t, name, found))
        return SSL_TLSEXT_ERR_OK; /* rather the default certificate than no explanation */
    SSL_certs_clear(ssl);
    for (size_t i = 0; i < KINDS; i++)
        if (found[i] &&
            SSL_use_cert_and_key(ssl, found[i]->leaf, found[i]->key, found[i]->chain, 1) != 1)
            return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

/* RFC 7301 section 3.2: a client that names protocols, but not ours, is at the wrong door. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
                   const unsigned char *in, unsigned in_n, void *arg)
{
    (void)ssl;
    (void)arg;
    for (unsigned i = 0; i < in_n && in[i] < in_n - i; i += 1u + in[i]) {
        if (in[i] == 4 && memcmp(in + i + 1, "imap", 4) == 0) {
            *out = in + i + 1;
            *out_n = 4;
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int ticket_crypt(const struct tls_ticket_key *k, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                        EVP_MAC_CTX *mac, int enc)
{
    OSSL_PARAM params[3];
    params[0] = OSSL_PARAM_construct_octet_string(
        OSSL_MAC_PARAM_KEY, (unsigned char *)(uintptr_t)k->hmac, sizeof(k->hmac));
    params[1] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0);
    params[2] = OSSL_PARAM_construct_end();
    return EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), NULL, k->aes, iv, enc) == 1 &&
           EVP_MAC_CTX_set_params(mac, params) == 1;
}

/* 1: done; 2: done, and the client gets a newer ticket; 0: unknown key; -1: failed. */
static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher,
                     EVP_MAC_CTX *mac, int enc)
{
    const struct tls_context *t = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct tls_ticket_key k;
    bool current = false;
    if (!tls_backend_ticket_key(t->backend, enc ? NULL : name, &k, &current))
        return 0;
    bool ok = true;
    if (enc) {
        memcpy(name, k.name, sizeof(k.name));
        ok = RAND_bytes(iv, EVP_MAX_IV_LENGTH) == 1;
    }
    ok = ok && ticket_crypt(&k, iv, cipher, mac, enc);
    explicit_bzero(&k, sizeof(k));
    return !ok ? -1 : current ? 1 : 2;
}

/* A resumed session shows no certificate: the binding to the first one travels in the ticket. */
static int on_ticket_made(SSL *ssl, void *arg)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    size_t n;
    (void)arg;
    if (SSL_session_reused(ssl))
        return 1; /* it is there already */
    n = tls_endpoint_hash(SSL_get_certificate(ssl), hash);
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), hash, n);
}

static SSL_TICKET_RETURN on_ticket_seen(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                        size_t name_n, SSL_TICKET_STATUS status, void *arg)
{
    (void)ssl;
    (void)session;
    (void)name;
    (void)name_n;
    (void)arg;
    switch (status) {
    case SSL_TICKET_SUCCESS:
        return SSL_TICKET_RETURN_USE;
    case SSL_TICKET_SUCCESS_RENEW:
        return SSL_TICKET_RETURN_USE_RENEW;
    default:
        return SSL_TICKET_RETURN_IGNORE_RENEW;
    }
}

size_t tls_endpoint_hash(X509 *x509, unsigned char to[EVP_MAX_MD_SIZE])
{
    int digest;
    unsigned n = 0;
    if (!x509 || X509_get_signature_info(x509, &digest, NULL, NULL, NULL) != 1)
        return 0;
    if (digest == NID_md5 || digest == NID_sha1)
        digest = NID_sha256;
    const EVP_MD *md = EVP_get_digestbynid(digest);
    return md && X509_digest(x509, md, to, &n) == 1 ? n : 0;
}

/* Making one. */

static int add_chain(struct tls_context *t, const struct tls_chain *chain, struct err *err)
{
    struct tls_cert *c = &t->certs[t->cert_count++];
    c->chain = sk_X509_new_null();
    invariant(c->chain != NULL);
    for (size_t i = 0; i < chain->count; i++) {
        X509 *x = decode(chain->certificates[i]);
        if (!x)
            return ssl_error(err, "certificate");
        if (i == 0)
            c->leaf = x;
        else
            sk_X509_push(c->chain, x);
    }
    c->key = c->leaf ? tls_provider_key(c->leaf) : NULL;
    if (!c->key)
        return ssl_error(err, "certificate: its kind of key is not supported");
    c->kind = EVP_PKEY_is_a(c->key, "RSA") ? 0 : EVP_PKEY_is_a(c->key, "EC") ? 1 : 2;
    add_names(t, t->cert_count - 1);
    return 0;
}

static int set_defaults(struct tls_context *t, struct err *err)
{
    const struct tls_cert *found[KINDS] = {NULL};
    qsort(t->names, t->name_count, sizeof(*t->names), compare_names);
    find_default(t, found);
    for (size_t i = 0; i < KINDS; i++)
        if (found[i] && SSL_CTX_use_cert_and_key(t->ssl, found[i]->leaf, found[i]->key,
                                                 found[i]->chain, 1) != 1)
            return ssl_error(err, "certificate");
    return 0;
}

static int set_client_ca(SSL_CTX *c, const struct tls_settings *s, const struct tls_chain *ca,
                         struct err *err)
{
    if (s->client_certificates == TLS_CLIENT_NO)
        return 0;
    for (size_t i = 0; i < ca->count; i++) {
        X509 *x = decode(ca->certificates[i]);
        bool ok = x && X509_STORE_add_cert(SSL_CTX_get_cert_store(c), x) == 1 &&
                  SSL_CTX_add_client_CA(c, x) == 1;
        X509_free(x);
        if (!ok)
            return ssl_error(err, "tls.client_ca");
    }
    SSL_CTX_set_verify_depth(c, VERIFY_DEPTH);
    SSL_CTX_set_verify(
        c,
        SSL_VERIFY_PEER |
            (s->client_certificates == TLS_CLIENT_REQUIRED ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
        NULL);
    return 0;
}

/* What sessions may be resumed under: not those with a client certificate that would be refused
 * today. */
static int set_session_context(SSL_CTX *c, const struct tls_settings *s, const struct tls_chain *ca)
{
    unsigned char id[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *h = EVP_MD_CTX_new();
    unsigned char mode = (unsigned char)s->client_certificates;
    bool ok = h && EVP_DigestInit_ex(h, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(h, &mode, 1);
    for (size_t i = 0; i < ca->count && ok && mode; i++)
        ok = EVP_DigestUpdate(h, ca->certificates[i].p, ca->certificates[i].n) == 1;
    ok = ok && EVP_DigestFinal_ex(h, id, NULL) == 1 &&
         SSL_CTX_set_session_id_context(c, id, 32) == 1;
    EVP_MD_CTX_free(h);
    return ok;
}

static bool set_algorithms(SSL_CTX *c)
{
    /* AES-128 first: a third less work than AES-256, and no less out of reach. */
    return SSL_CTX_set_cipher_list(c, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20") == 1 &&
           SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                       "TLS_CHACHA20_POLY1305_SHA256") == 1 &&
           SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384:P-521") == 1 &&
           SSL_CTX_set1_sigalgs_list(
               c, "ed25519:ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA256:RSA-PSS+SHA384:"
                  "RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512") == 1;
}

/* An end without close_notify is an end: no command is complete without its line end, nor a message
 * without its last byte, so nobody gains by cutting a connection off. */
static bool configure(struct tls_context *t, const struct tls_settings *s,
                      const struct tls_chain *ca)
{
    SSL_CTX *c = t->ssl;
    SSL_CTX_set_app_data(c, t);
    SSL_CTX_set_min_proto_version(c, s->only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION);
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(c, 1);
    SSL_CTX_set_max_early_data(c, 0);
    SSL_CTX_set_alpn_select_cb(c, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(c, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(c, t);
    if (s->ticket_lifetime) {
        SSL_CTX_set_num_tickets(c, 1);
        SSL_CTX_set_timeout(c, (long)MIN(s->ticket_lifetime, (uint64_t)7 * 86400));
        SSL_CTX_set_tlsext_ticket_key_evp_cb(c, on_ticket);
        SSL_CTX_set_session_ticket_cb(c, on_ticket_made, on_ticket_seen, NULL);
    } else {
        SSL_CTX_set_options(c, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(c, 0);
    }
    return set_algorithms(c) && set_session_context(c, s, ca);
}

static int fill(struct tls_context *t, const struct tls_settings *settings,
                const struct tls_chain *chains, size_t count, const struct tls_chain *client_ca,
                struct err *err)
{
    if (!configure(t, settings, client_ca))
        return ssl_error(err, "TLS");
    if (!count || count > TLS_CERTIFICATES_MAX)
        return err_set(err, ERR_LIMIT, "there must be 1 to %d certificates", TLS_CERTIFICATES_MAX);
    t->certs = xcalloc(count, sizeof(*t->certs));
    int r = 0;
    for (size_t i = 0; i < count && r == 0; i++)
        r = add_chain(t, &chains[i], err);
    if (r == 0)
        r = set_defaults(t, err);
    return r == 0 ? set_client_ca(t->ssl, settings, client_ca, err) : r;
}

struct tls_context *tls_context_new(struct tls_backend *b, const struct tls_settings *settings,
                                    const struct tls_chain *chains, size_t count,
                                    const struct tls_chain *client_ca, struct err *err)
{
    struct tls_context *t = xnew(struct tls_context);
    t->backend = b;
    t->refs = 1;
    t->user_from_common_name = settings->user_from_common_name;
    ERR_clear_error();
    t->ssl = SSL_CTX_new(TLS_server_method());
    invariant(t->ssl != NULL);
    if (fill(t, settings, chains, count, client_ca, err) == 0)
        return t;
    tls_context_unref(t);
    return NULL;
}

struct tls_context *tls_context_ref(struct tls_context *t)
{
    t->refs++;
    return t;
}

void tls_context_unref(struct tls_context *t)
{
    if (!t || --t->refs > 0)
        return;
    SSL_CTX_free(t->ssl);
    for (size_t i = 0; i < t->cert_count; i++) {
        X509_free(t->certs[i].leaf);
        sk_X509_pop_free(t->certs[i].chain, X509_free);
        EVP_PKEY_free(t->certs[i].key);
    }
    for (size_t i = 0; i < t->name_count; i++)
        free(t->names[i].name);
    free(t->names);
    free(t->certs);
    free(t);
}
