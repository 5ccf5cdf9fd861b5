#include "io/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "io/loop_int.h"

enum { LINGER_MS = 2000 };

struct tls_context {
    SSL_CTX *ssl;
};

struct tls_pump {
    uv_poll_t tls_poll, plain_poll;
    struct loop *loop;
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
    bool established, shaking_write;
    bool more; /* tls_read stopped before OpenSSL was empty: no event will come for that */
    bool tls_ended, plain_ended; /* no more input from that side */
    bool tls_shut, plain_shut;   /* told that side that there is no more */
    bool plain_broken;           /* it takes no more: what comes for it is thrown away */
};

static int ssl_error(struct err *err, const char *what)
{
    char text[160];
    unsigned long e = ERR_get_error();
    ERR_error_string_n(e, text, sizeof(text));
    ERR_clear_error();
    return err_set(err, ERR_INVALID, "%s: %s", what, e ? text : "unknown error");
}

struct tls_context *tls_context_new(const char *cert_file, const char *key_file, struct err *err)
{
    ERR_clear_error();
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    invariant(c != NULL);
    SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
    /* No tickets and no cache: IMAP connections live for hours, and processes share no keys. */
    SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                               SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_num_tickets(c, 0);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_read_ahead(c, 1);
    int r = 0;
    /* AES-128 first: a third less work than AES-256, and no less out of reach. */
    if (SSL_CTX_set_cipher_list(c, "ECDHE+AES128+AESGCM:ECDHE+AESGCM:ECDHE+CHACHA20") != 1 ||
        SSL_CTX_set_ciphersuites(c, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                    "TLS_CHACHA20_POLY1305_SHA256") != 1)
        r = ssl_error(err, "cipher list");
    else if (SSL_CTX_use_certificate_chain_file(c, cert_file) != 1)
        r = ssl_error(err, cert_file);
    else if (SSL_CTX_use_PrivateKey_file(c, key_file, SSL_FILETYPE_PEM) != 1)
        r = ssl_error(err, key_file);
    else if (SSL_CTX_check_private_key(c) != 1)
        r = ssl_error(err, "certificate and key do not belong together");
    if (r < 0) {
        SSL_CTX_free(c);
        return NULL;
    }
    struct tls_context *t = xnew(struct tls_context);
    t->ssl = c;
    return t;
}

void tls_context_free(struct tls_context *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->ssl);
    free(t);
}

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
    if (!p->established) {
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
    loop_timer_cancel(&p->linger);
    loop_task_cancel(&p->again);
    SSL_free(p->ssl);
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
    tls_pump_free(p);
    if (done)
        done(arg);
}

/* The functions below return false when the TLS side has broken: the pump is at its end. */

static bool shake(struct tls_pump *p)
{
    ERR_clear_error();
    int r = SSL_accept(p->ssl);
    if (r == 1) {
        p->established = true;
        return true;
    }
    int e = SSL_get_error(p->ssl, r);
    ERR_clear_error();
    p->shaking_write = e == SSL_ERROR_WANT_WRITE;
    return e == SSL_ERROR_WANT_READ || e == SSL_ERROR_WANT_WRITE;
}

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

static void on_tls(uv_poll_t *handle, int status, int events)
{
    struct tls_pump *p = handle->data;
    bool alive = true;
    if (status < 0) { /* EPOLLERR */
        finish(p);
        return;
    }
    if (!p->established) {
        alive = shake(p);
    } else {
        if (events & UV_WRITABLE && p->to_tls.n)
            alive = tls_write(p, buf_span(&p->to_tls));
        if (alive && events & UV_READABLE && !p->to_plain.n && !p->tls_ended)
            alive = tls_read(p);
    }
    /* The last flight of a handshake may carry the first data with it. */
    if (alive && p->established && SSL_has_pending(p->ssl) && !p->to_plain.n && !p->tls_ended)
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
