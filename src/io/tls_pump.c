#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/metrics.h"
#include "io/loop_int.h"
#include "io/tls_int.h"

enum { LINGER_MS = 2000 };

/* One step of a handshake. */
struct shake {
    struct worker_job job;
    struct tls_pump *pump;
    const char *failure;
    bool done, failed, write;
};

struct tls_pump {
    uv_poll_t tls_poll, plain_poll;
    struct loop *loop;
    struct tls_context *context;
    SSL *ssl;
    tls_pump_done *done;
    void *arg;
    struct loop_timer linger;
    struct loop_task again; /* tls_read has more inside OpenSSL */
    struct buf to_plain;    /* decrypted, not yet taken by the plain side */
    struct buf to_tls;      /* not yet taken by OpenSSL; a retry must offer it again */
    int tls_fd, plain_fd;
    unsigned char tls_have, plain_have;
    unsigned char closing; /* handles whose close callback is to come */
    struct shake *shaking; /* a step of the handshake is under way: OpenSSL has its hands on ssl */
    bool established, shaking_write;
    bool freed; /* while a thread is shaking */
    const char *failure;
    bool more; /* tls_read stopped before OpenSSL was empty: no event will come for that */
    bool tls_ended, plain_ended; /* no more input from that side */
    bool tls_shut, plain_shut;   /* told that side that there is no more */
    bool plain_broken;           /* it takes no more: what comes for it is thrown away */
};

static void on_tls(uv_poll_t *handle, int status, int events);
static void on_plain(uv_poll_t *handle, int status, int events);

static void watch_one(uv_poll_t *poll, unsigned char want, unsigned char *have, uv_poll_cb cb)
{
    if (*have == want)
        return;
    *have = want;
    if (want)
        uv_poll_start(poll, want, cb);
    else
        uv_poll_stop(poll);
}

static void watch(struct tls_pump *p)
{
    unsigned char tls = 0, plain = 0;
    if (p->shaking) {
        /* nothing until its thread comes back */
    } else if (!p->established) {
        tls = p->shaking_write ? UV_WRITABLE : UV_READABLE;
        plain = UV_DISCONNECT; /* the dialogue has given up waiting for the handshake */
    } else {
        if (!p->to_plain.n && !p->tls_ended)
            tls |= UV_READABLE;
        if (p->to_tls.n)
            tls |= UV_WRITABLE;
        if (!p->to_tls.n && !p->plain_ended)
            plain |= UV_READABLE;
        if (p->to_plain.n)
            plain |= UV_WRITABLE;
    }
    watch_one(&p->tls_poll, tls, &p->tls_have, on_tls);
    watch_one(&p->plain_poll, plain, &p->plain_have, on_plain);
}

static void on_closed(uv_handle_t *handle)
{
    struct tls_pump *p = handle->data;
    if (--p->closing == 0)
        free(p);
}

void tls_pump_free(struct tls_pump *p)
{
    if (!p)
        return;
    if (p->shaking && !workers_cancel(p->context->backend->workers, &p->shaking->job)) {
        p->freed = true;
        p->done = NULL;
        return;
    }
    free(p->shaking);
    loop_timer_cancel(&p->linger);
    loop_task_cancel(&p->again);
    SSL_free(p->ssl);
    tls_context_unref(p->context);
    buf_done(&p->to_plain);
    buf_done(&p->to_tls);
    p->closing = 2;
    uv_close((uv_handle_t *)&p->tls_poll, on_closed);
    uv_close((uv_handle_t *)&p->plain_poll, on_closed);
    close(p->tls_fd);
    close(p->plain_fd);
}

static void finish(struct tls_pump *p)
{
    tls_pump_done *done = p->done;
    void *arg = p->arg;
    const char *failure = p->failure;
    tls_pump_free(p);
    if (done)
        done(arg, failure);
}

/* The functions below return false when the TLS side has broken: the pump is at its end. */

/* Offers bytes to OpenSSL; what it does not take waits in to_tls (where it may be already). */
static bool tls_write(struct tls_pump *p, struct span s)
{
    while (s.n) {
        size_t n = 0;
        ERR_clear_error();
        int r = SSL_write_ex(p->ssl, s.p, s.n, &n);
        if (r == 1) {
            s = span_skip(s, n);
            continue;
        }
        int e = SSL_get_error(p->ssl, r);
        ERR_clear_error();
        if (e != SSL_ERROR_WANT_WRITE && e != SSL_ERROR_WANT_READ)
            return false;
        break;
    }
    if (p->to_tls.n) {
        buf_consume(&p->to_tls, p->to_tls.n - s.n);
        if (!s.n)
            buf_done(&p->to_tls);
    } else if (s.n) {
        buf_put_span(&p->to_tls, s);
    }
    return true;
}

static void plain_write(struct tls_pump *p, struct span s)
{
    while (s.n && !p->plain_broken) {
        ssize_t n = send(p->plain_fd, s.p, s.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0)
            s = span_skip(s, (size_t)n);
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            p->plain_broken = true;
    }
    if (p->plain_broken)
        s.n = 0;
    if (p->to_plain.n) {
        buf_consume(&p->to_plain, p->to_plain.n - s.n);
        if (!s.n)
            buf_done(&p->to_plain);
    } else if (s.n) {
        buf_put_span(&p->to_plain, s);
    }
}

static bool tls_read(struct tls_pump *p)
{
    size_t fill = 0;
    p->more = false;
    do { /* until nothing is left inside OpenSSL: the socket would not wake us for that */
        size_t n = 0;
        ERR_clear_error();
        int r = SSL_read_ex(p->ssl, p->loop->input + fill, LOOP_INPUT_SIZE - fill, &n);
        if (r == 1) {
            fill += n;
            p->more = fill == LOOP_INPUT_SIZE;
            continue;
        }
        int e = SSL_get_error(p->ssl, r);
        ERR_clear_error();
        if (e == SSL_ERROR_ZERO_RETURN)
            p->tls_ended = true;
        else if (e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE)
            return false;
        break;
    } while (!p->more && SSL_has_pending(p->ssl));
    if (fill)
        plain_write(p, span_make(p->loop->input, fill));
    return true;
}

static bool plain_read(struct tls_pump *p)
{
    ssize_t n;
    do {
        n = recv(p->plain_fd, p->loop->input, LOOP_INPUT_SIZE, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return true;
    if (n > 0)
        return tls_write(p, span_make(p->loop->input, (size_t)n));
    p->plain_ended = true; /* an error means the same: nothing more will come from there */
    return true;
}

/* After every event: pass on ends of input, end when both sides are through. */
static void settle(struct tls_pump *p, bool alive)
{
    if (alive && p->established && p->plain_ended && !p->to_tls.n && !p->tls_shut) {
        p->tls_shut = true;
        ERR_clear_error();
        SSL_shutdown(p->ssl);
        ERR_clear_error();
        shutdown(p->tls_fd, SHUT_WR);
        loop_timer_set(p->loop, &p->linger,
                       p->loop->patience_ms ? p->loop->patience_ms : LINGER_MS);
    }
    if (alive && p->tls_ended && !p->to_plain.n && !p->plain_shut) {
        p->plain_shut = true;
        shutdown(p->plain_fd, SHUT_WR);
    }
    if (!alive || (p->tls_shut && p->plain_shut) || (p->tls_shut && p->plain_broken)) {
        finish(p);
        return;
    }
    if (p->more && !p->to_plain.n)
        loop_slice(p->loop, &p->again);
    watch(p);
}

static void on_again(struct loop_task *t)
{
    struct tls_pump *p = container_of(t, struct tls_pump, again);
    settle(p, p->to_plain.n || p->tls_ended || tls_read(p));
}

static void on_linger(struct loop_timer *t)
{
    finish(container_of(t, struct tls_pump, linger));
}

/* The handshake. Its steps run in threads of the backend, because they may wait for a signature. */

static void shake_in_worker(struct worker_job *job)
{
    struct shake *s = container_of(job, struct shake, job);
    tls_provider_use(s->pump->context->backend);
    ERR_clear_error();
    int r = SSL_accept(s->pump->ssl);
    int e = SSL_get_error(s->pump->ssl, r);
    if (r != 1 && e == SSL_ERROR_SSL)
        s->failure = ERR_reason_error_string(ERR_peek_error());
    ERR_clear_error();
    tls_provider_use(NULL);
    s->done = r == 1;
    s->write = e == SSL_ERROR_WANT_WRITE;
    s->failed = r != 1 && e != SSL_ERROR_WANT_READ && e != SSL_ERROR_WANT_WRITE;
}

static void count_handshake(const struct tls_pump *p, const struct shake *s)
{
    enum metric_tls version = metric_tls(span_str(SSL_get_version(p->ssl)));
    if (s->failed)
        metric_add(
            METRIC_PAIR(METRIC_HANDSHAKES, HANDSHAKE, METRIC_TLS_NONE, METRIC_HANDSHAKE_FAILED), 1);
    else if (s->done)
        metric_add(METRIC_PAIR(METRIC_HANDSHAKES, HANDSHAKE, version,
                               SSL_session_reused(p->ssl) ? METRIC_HANDSHAKE_RESUMED
                                                          : METRIC_HANDSHAKE_FULL),
                   1);
}

static void on_shaken(struct worker_job *job)
{
    struct shake *s = container_of(job, struct shake, job);
    struct tls_pump *p = s->pump;
    bool alive = !s->failed;
    p->shaking = NULL;
    p->established = s->done;
    count_handshake(p, s);
    p->shaking_write = s->write;
    p->failure = s->failure;
    free(s);
    if (p->freed) {
        tls_pump_free(p);
        return;
    }
    /* The last flight of a handshake may carry the first data with it. */
    if (alive && p->established && SSL_has_pending(p->ssl))
        alive = tls_read(p);
    settle(p, alive);
}

static void shake(struct tls_pump *p)
{
    struct shake *s = xnew(struct shake);
    s->pump = p;
    s->job.work = shake_in_worker;
    s->job.done = on_shaken;
    p->shaking = s;
    watch(p);
    workers_run(p->context->backend->workers, &s->job);
}

static void on_tls(uv_poll_t *handle, int status, int events)
{
    struct tls_pump *p = handle->data;
    bool alive = true;
    if (status < 0) { /* EPOLLERR */
        finish(p);
        return;
    }
    if (!p->established) {
        shake(p);
        return;
    }
    if (events & UV_WRITABLE && p->to_tls.n)
        alive = tls_write(p, buf_span(&p->to_tls));
    if (alive && events & UV_READABLE && !p->to_plain.n && !p->tls_ended)
        alive = tls_read(p);
    settle(p, alive);
}

static void on_plain(uv_poll_t *handle, int status, int events)
{
    struct tls_pump *p = handle->data;
    bool alive = true;
    if (!p->established) {
        finish(p);
        return;
    }
    if (status < 0) {
        p->plain_have = 0;
        p->plain_broken = p->plain_ended = true;
        buf_done(&p->to_plain);
    }
    if (events & UV_WRITABLE && p->to_plain.n)
        plain_write(p, buf_span(&p->to_plain));
    if (events & UV_READABLE && !p->to_tls.n && !p->plain_ended)
        alive = plain_read(p);
    settle(p, alive);
}

struct tls_pump *tls_pump_new(struct loop *l, struct tls_context *t, int tls_fd, int plain_fd,
                              tls_pump_done *done, void *arg)
{
    struct tls_pump *p = xnew(struct tls_pump);
    p->loop = l;
    p->tls_fd = tls_fd;
    p->plain_fd = plain_fd;
    p->done = done;
    p->arg = arg;
    buf_init(&p->to_plain, BUF_UNLIMITED);
    buf_init(&p->to_tls, BUF_UNLIMITED);
    loop_timer_init(&p->linger, on_linger);
    loop_task_init(&p->again, on_again);
    p->context = tls_context_ref(t);
    p->ssl = SSL_new(t->ssl);
    invariant(p->ssl != NULL && SSL_set_fd(p->ssl, tls_fd) == 1);
    int r = uv_poll_init(loop_uv(l), &p->tls_poll, tls_fd);
    invariant(r == 0);
    r = uv_poll_init(loop_uv(l), &p->plain_poll, plain_fd);
    invariant(r == 0);
    p->tls_poll.data = p->plain_poll.data = p;
    watch(p);
    return p;
}

void tls_pump_set_done(struct tls_pump *p, tls_pump_done *done, void *arg)
{
    p->done = done;
    p->arg = arg;
}

bool tls_pump_established(const struct tls_pump *p)
{
    return p->established;
}

const char *tls_pump_version(const struct tls_pump *p)
{
    return p->established ? SSL_get_version(p->ssl) : "";
}

const char *tls_pump_cipher(const struct tls_pump *p)
{
    return p->established ? SSL_get_cipher_name(p->ssl) : "";
}

static struct span take_binding(struct tls_bindings *b, unsigned i, size_t n)
{
    return span_make(b->store[i], n <= sizeof(b->store[i]) ? n : 0);
}

static size_t endpoint(SSL *ssl, char to[64])
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    void *kept = NULL;
    size_t n = 0;
    if (!SSL_session_reused(ssl)) {
        n = tls_endpoint_hash(SSL_get_certificate(ssl), hash);
        memcpy(to, hash, n);
    } else if (SSL_SESSION_get0_ticket_appdata(SSL_get_session(ssl), &kept, &n) == 1 && n <= 64) {
        memcpy(to, kept, n);
    } else {
        n = 0;
    }
    return n;
}

void tls_pump_bindings(struct tls_pump *p, struct tls_bindings *ret)
{
    static const char label[] = "EXPORTER-Channel-Binding";
    memset(ret, 0, sizeof(*ret));
    if (!p->established)
        return;
    bool tls13 = SSL_version(p->ssl) == TLS1_3_VERSION;
    bool safe = tls13 || SSL_get_extms_support(p->ssl) == 1;
    ERR_clear_error();
    /* The context is present and empty (RFC 9266 section 2); TLS 1.2 makes that a difference. */
    if (safe && SSL_export_keying_material(p->ssl, (unsigned char *)ret->store[0], 32, label,
                                           sizeof(label) - 1, (const unsigned char *)"", 0, 1) == 1)
        ret->exporter = take_binding(ret, 0, 32);
    if (safe && !tls13) { /* the first Finished message of the handshake */
        size_t n = SSL_session_reused(p->ssl)
                       ? SSL_get_finished(p->ssl, ret->store[1], sizeof(ret->store[1]))
                       : SSL_get_peer_finished(p->ssl, ret->store[1], sizeof(ret->store[1]));
        ret->unique = take_binding(ret, 1, n);
    }
    ret->endpoint = take_binding(ret, 2, endpoint(p->ssl, ret->store[2]));
    ERR_clear_error();
}

static bool put_text(const ASN1_STRING *s, struct buf *ret)
{
    unsigned char *utf8 = NULL;
    int n = s ? ASN1_STRING_to_UTF8(&utf8, s) : -1;
    bool ok = n > 0 && !memchr(utf8, '\0', (size_t)n);
    if (ok)
        buf_put(ret, utf8, (size_t)n);
    OPENSSL_free(utf8);
    return ok && buf_ok(ret);
}

static bool put_email(X509 *x, struct buf *ret)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    bool ok = false, found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++) {
        const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
        found = g->type == GEN_EMAIL;
        if (found)
            ok = put_text(g->d.rfc822Name, ret);
    }
    GENERAL_NAMES_free(names);
    return ok;
}

static bool put_common_name(X509 *x, struct buf *ret)
{
    X509_NAME *subject = X509_get_subject_name(x);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    return at >= 0 && put_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)), ret);
}

bool tls_pump_certificate_user(struct tls_pump *p, struct buf *ret)
{
    if (!p->established || SSL_get_verify_result(p->ssl) != X509_V_OK)
        return false;
    X509 *x = SSL_get0_peer_certificate(p->ssl);
    return x && (p->context->user_from_common_name ? put_common_name(x, ret) : put_email(x, ret));
}
