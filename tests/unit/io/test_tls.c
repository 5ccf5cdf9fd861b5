#include "support/cmocka.h"

#include <openssl/ec.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <sys/socket.h>

#include "base/random.h"
#include "io/conn.h"
#include "io/fdpass.h"
#include "io/tls.h"

/* Whoever has the keys: here. */
struct signer {
    struct tls_backend *backend;
    EVP_PKEY *key;
    enum { ANSWER, SILENT, REFUSE, NONSENSE, LATE } how;
    unsigned asked;
    uint64_t last_id;
};

static EVP_PKEY *key;
static X509 *cert;
static unsigned char *der;
static int der_n;

static void answer(struct signer *s, uint64_t id, enum tls_scheme scheme, struct span data)
{
    unsigned char sig[256];
    size_t n = sizeof(sig);
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    assert_int_equal(scheme, TLS_ECDSA_SHA256);
    assert_int_equal(EVP_DigestSignInit_ex(c, NULL, "SHA256", NULL, NULL, key, NULL), 1);
    assert_int_equal(EVP_DigestSign(c, sig, &n, (const unsigned char *)data.p, data.n), 1);
    EVP_MD_CTX_free(c);
    tls_backend_answer(s->backend, id, 0, span_make(sig, n));
    tls_backend_answer(s->backend, id, 0, span_make(sig, n)); /* once more: ignored */
    tls_backend_answer(s->backend, id + 1000, ERR_IO, SPAN_EMPTY);
}

static void ask(void *arg, uint64_t id, struct span key_id, enum tls_scheme scheme,
                struct span data)
{
    struct signer *s = arg;
    assert_int_equal(key_id.n, TLS_KEY_ID_SIZE);
    s->asked++;
    s->last_id = id;
    if (s->how == ANSWER || (s->how == LATE && s->asked > 1))
        answer(s, id, scheme, data);
    else if (s->how == REFUSE)
        tls_backend_answer(s->backend, id, ERR_DENIED, SPAN_EMPTY);
    else if (s->how == NONSENSE)
        tls_backend_answer(s->backend, id, 0, SPAN("this is no signature"));
}

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    assert_non_null(e);
    X509_add_ext(x, e, -1);
    X509_EXTENSION_free(e);
}

static int setup(void **state)
{
    (void)state;
    /* As the library does, which comes too late here: for leak checkers. */
    OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
    key = EVP_EC_gen("P-256");
    cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"Mary", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    add_extension(cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(cert, NID_subject_alt_name, "DNS:mail.example.org,email:mary@example.org");
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    der_n = i2d_X509(cert, &der);
    return der_n > 0 ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    OPENSSL_free(der);
    X509_free(cert);
    EVP_PKEY_free(key);
    return 0;
}

/* A client in a thread of its own: says "hello", reads "world", tells what it knows. */
struct client {
    pthread_t thread;
    int fd, version;
    bool certificate; /* presents one */
    SSL_SESSION *resume, *session;
    bool connected, reused, got_world, got_close;
    unsigned char exporter[32], unique[64], endpoint[EVP_MAX_MD_SIZE];
    size_t unique_n;
    unsigned endpoint_n;
};

static void *client_main(void *arg)
{
    struct client *c = arg;
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    static const char label[] = "EXPORTER-Channel-Binding";
    char text[16] = "";
    SSL_CTX_set_max_proto_version(ctx, c->version);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (c->certificate) {
        SSL_CTX_use_certificate(ctx, cert);
        SSL_CTX_use_PrivateKey(ctx, key);
    }
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, c->fd);
    SSL_set_tlsext_host_name(ssl, "mail.example.org");
    if (c->resume)
        SSL_set_session(ssl, c->resume);
    c->connected = SSL_connect(ssl) == 1;
    if (c->connected) {
        c->reused = SSL_session_reused(ssl) == 1;
        SSL_write(ssl, "hello", 5);
        c->got_world = SSL_read(ssl, text, 5) == 5 && memcmp(text, "world", 5) == 0;
        SSL_export_keying_material(ssl, c->exporter, 32, label, sizeof(label) - 1, NULL, 0,
                                   c->version == TLS1_2_VERSION);
        c->unique_n = c->reused ? SSL_get_peer_finished(ssl, c->unique, sizeof(c->unique))
                                : SSL_get_finished(ssl, c->unique, sizeof(c->unique));
        X509_digest(cert, EVP_sha256(), c->endpoint, &c->endpoint_n);
        c->session = SSL_get1_session(ssl);
        SSL_shutdown(ssl);
        c->got_close = SSL_read(ssl, text, 5) <= 0 && SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN;
    }
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(c->fd);
    return NULL;
}

/* The server: one pump, and who is on its plain side. */
struct server {
    struct loop *loop;
    struct tls_pump *pump;
    struct conn *conn;
    struct tls_bindings bindings;
    char user[64];
    struct loop_timer timer;
    unsigned done;
    bool named, free_early, failed;
};

static void on_input(void *owner, struct span bytes)
{
    struct server *s = owner;
    assert_true(span_eq(bytes, SPAN("hello")));
    assert_true(tls_pump_established(s->pump));
    tls_pump_bindings(s->pump, &s->bindings);
    autobuf user = BUF_INIT(sizeof(s->user) - 1);
    s->named = tls_pump_certificate_user(s->pump, &user);
    snprintf(s->user, sizeof(s->user), "%s", s->named ? user.p : "");
    conn_put_lit(s->conn, "world");
}

static void on_closed(void *owner, int code)
{
    struct server *s = owner;
    (void)code;
    conn_free(s->conn);
    s->conn = NULL;
}

static void on_done(void *arg, const char *failure)
{
    struct server *s = arg;
    s->failed = failure != NULL;
    s->pump = NULL;
    s->done++;
    loop_stop(s->loop);
}

static void on_timer(struct loop_timer *t)
{
    struct server *s = container_of(t, struct server, timer);
    if (s->free_early)
        tls_pump_free(s->pump);
    if (s->free_early)
        s->pump = NULL;
    s->free_early = false;
    loop_stop(s->loop);
}

struct setup {
    struct signer signer;
    struct tls_settings settings;
    char tickets[2][TLS_TICKET_KEY_SIZE];
    unsigned timer_ms; /* 0: none */
    bool free_early, again, stop;
};

struct later {
    struct loop_timer timer;
    struct setup *setup;
};

static void on_later(struct loop_timer *t)
{
    struct setup *u = container_of(t, struct later, timer)->setup;
    if (u->again)
        tls_backend_again(u->signer.backend);
    if (u->stop)
        tls_backend_stop(u->signer.backend);
}

static void serve(struct setup *u, struct client *c, struct server *s)
{
    static const struct conn_ops ops = {.input = on_input, .closed = on_closed};
    struct span leaf = span_make(der, (size_t)der_n);
    struct tls_chain chain = {&leaf, 1};
    struct err err;
    int net[2], plain[2];
    s->loop = loop_new();
    u->signer.backend = tls_backend_new(s->loop, 2, ask, &u->signer);
    tls_backend_set_tickets(u->signer.backend, span_make(u->tickets[0], TLS_TICKET_KEY_SIZE),
                            span_make(u->tickets[1], TLS_TICKET_KEY_SIZE));
    struct tls_context *t =
        tls_context_new(u->signer.backend, &u->settings, &chain, 1, &chain, &err);
    assert_non_null(t);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, net), 0);
    assert_int_equal(fdpass_pair_stream(plain, &err), 0);
    c->fd = net[1];
    assert_int_equal(fd_set_nonblocking(net[0]), 0);
    s->pump = tls_pump_new(s->loop, t, net[0], plain[0], on_done, s);
    s->conn = conn_new(s->loop, plain[1], &ops, s);
    tls_context_unref(t);
    assert_int_equal(pthread_create(&c->thread, NULL, client_main, c), 0);
    s->free_early = u->free_early;
    loop_timer_init(&s->timer, on_timer);
    if (u->timer_ms)
        loop_timer_set(s->loop, &s->timer, u->timer_ms);
    struct later later = {.setup = u};
    loop_timer_init(&later.timer, on_later);
    if (u->again || u->stop)
        loop_timer_set(s->loop, &later.timer, 200);
    loop_run(s->loop);
    if (u->free_early) { /* the thread that waits has to come back first */
        tls_backend_stop(u->signer.backend);
        loop_timer_set(s->loop, &s->timer, 200);
        loop_run(s->loop);
    }
    pthread_join(c->thread, NULL);
    conn_free(s->conn);
    tls_pump_free(s->pump);
    tls_backend_free(u->signer.backend);
    loop_free(s->loop);
}

static void check_bindings(const struct server *s, const struct client *c)
{
    assert_true(span_eq(s->bindings.exporter, span_make(c->exporter, sizeof(c->exporter))));
    assert_true(span_eq(s->bindings.endpoint, span_make(c->endpoint, c->endpoint_n)));
    if (c->version == TLS1_2_VERSION)
        assert_true(c->unique_n > 0 &&
                    span_eq(s->bindings.unique, span_make(c->unique, c->unique_n)));
    else
        assert_int_equal(s->bindings.unique.n, 0);
}

/* Full and resumed, with what both sides know of it afterwards. */
static void test_handshake_and_bindings(void **state)
{
    (void)state;
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_LEN(versions); i++) {
        struct setup u = {.settings.ticket_lifetime = 100};
        struct client a = {.version = versions[i]}, b = a, d = a;
        struct server s = {0}, r = {0}, f = {0};
        random_bytes(u.tickets, sizeof(u.tickets));
        serve(&u, &a, &s);
        assert_true(a.connected && a.got_world && a.got_close && !a.reused && !s.failed);
        assert_int_equal(u.signer.asked, 1);
        assert_int_equal(s.done, 1);
        check_bindings(&s, &a);
        assert_false(s.named);

        b.resume = a.session;
        serve(&u, &b, &r);
        assert_true(b.connected && b.got_world && b.reused);
        assert_int_equal(u.signer.asked, 1); /* nothing to sign */
        check_bindings(&r, &b);
        assert_memory_not_equal(a.exporter, b.exporter, 32);

        random_bytes(u.tickets, sizeof(u.tickets)); /* keys that nobody had: a full handshake */
        d.resume = b.session;
        serve(&u, &d, &f);
        assert_true(d.connected && d.got_world && !d.reused);
        SSL_SESSION_free(a.session);
        SSL_SESSION_free(b.session);
        SSL_SESSION_free(d.session);
    }
}

static void test_previous_ticket_key(void **state)
{
    (void)state;
    struct setup u = {.settings.ticket_lifetime = 100};
    struct client a = {.version = TLS1_3_VERSION}, b = a;
    struct server s = {0}, r = {0};
    random_bytes(u.tickets, sizeof(u.tickets));
    serve(&u, &a, &s);
    memcpy(u.tickets[1], u.tickets[0], TLS_TICKET_KEY_SIZE);
    random_bytes(u.tickets[0], TLS_TICKET_KEY_SIZE);
    b.resume = a.session;
    serve(&u, &b, &r);
    assert_true(b.connected && b.reused);
    SSL_SESSION_free(a.session);
    SSL_SESSION_free(b.session);
}

static void test_client_certificate(void **state)
{
    (void)state;
    for (int common = 0; common < 2; common++) {
        struct setup u = {.settings = {.client_certificates = TLS_CLIENT_REQUIRED,
                                       .user_from_common_name = common}};
        struct client a = {.version = TLS1_3_VERSION, .certificate = true};
        struct server s = {0};
        serve(&u, &a, &s);
        assert_true(a.connected && a.got_world);
        assert_true(s.named);
        assert_string_equal(s.user, common ? "Mary" : "mary@example.org");
        SSL_SESSION_free(a.session);
    }
    struct setup u = {.settings.client_certificates = TLS_CLIENT_REQUIRED};
    struct client a = {.version = TLS1_2_VERSION};
    struct server s = {0};
    serve(&u, &a, &s);
    assert_false(a.connected);
    assert_int_equal(s.done, 1);
    SSL_SESSION_free(a.session);
}

static void test_signature_refused(void **state)
{
    (void)state;
    static const int hows[] = {REFUSE, NONSENSE};
    for (size_t i = 0; i < ARRAY_LEN(hows); i++) {
        struct setup u = {.signer.how = hows[i]};
        struct client a = {.version = TLS1_3_VERSION};
        struct server s = {0};
        serve(&u, &a, &s);
        assert_false(a.connected);
        /* A client that is shown nonsense may be gone before its alert has been read. */
        assert_true(s.failed || hows[i] == NONSENSE);
        assert_int_equal(s.done, 1);
    }
}

/* Whoever signs is away, and comes back. */
static void test_asked_again(void **state)
{
    (void)state;
    struct setup u = {.signer.how = LATE, .again = true};
    struct client a = {.version = TLS1_3_VERSION};
    struct server s = {0};
    serve(&u, &a, &s);
    assert_true(a.connected && a.got_world);
    assert_int_equal(u.signer.asked, 2);
    SSL_SESSION_free(a.session);
}

static void test_stopped_while_waiting(void **state)
{
    (void)state;
    struct setup u = {.signer.how = SILENT, .stop = true};
    struct client a = {.version = TLS1_3_VERSION};
    struct server s = {0};
    serve(&u, &a, &s);
    assert_false(a.connected);
    assert_int_equal(s.done, 1);
}

static void test_freed_while_waiting(void **state)
{
    (void)state;
    struct setup u = {.signer.how = SILENT, .timer_ms = 200, .free_early = true};
    struct client a = {.version = TLS1_3_VERSION};
    struct server s = {0};
    serve(&u, &a, &s);
    assert_false(a.connected);
    assert_int_equal(s.done, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_handshake_and_bindings),
                                       cmocka_unit_test(test_previous_ticket_key),
                                       cmocka_unit_test(test_client_certificate),
                                       cmocka_unit_test(test_signature_refused),
                                       cmocka_unit_test(test_asked_again),
                                       cmocka_unit_test(test_stopped_while_waiting),
                                       cmocka_unit_test(test_freed_while_waiting)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
