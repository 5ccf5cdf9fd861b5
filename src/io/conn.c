#include "io/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/metrics.h"
#include "io/conn_compress.h"
#include "io/fdpass.h"
#include "io/loop_int.h"

enum {
    SEND_FIRST = 128 * 1024,  /* at once, at the end of the turn in which it was queued */
    SEND_SLICE = 1024 * 1024, /* of what is left, in its turn among the slices */
    LINGER_MS = 2000,
    STALL_MS = 60 * 1000,
    COMPRESSED_READ = 16 * 1024, /* at once: it may become a thousand times as much */
};

struct conn_linger {
    struct loop_timer timer;
    struct conn *owner;
};

struct conn {
    uv_poll_t poll;
    struct loop *loop;
    const struct conn_ops *ops;
    void *owner;
    struct outq out;
    uint64_t bytes_in;
    struct loop_task task;      /* end of turn: send, report */
    struct conn_linger *linger; /* only after conn_finish */
    struct conn_compress *z;    /* NULL: not compressing */
    int fd;
    int input_max;
    int failure;        /* to be reported through `closed` */
    unsigned char have; /* the UV_ events that the watcher looks for */
    bool paused : 1;
    bool ended : 1;     /* the peer sent its end of input */
    bool finishing : 1; /* conn_finish was called */
    bool shut : 1;      /* our sending half is shut down */
    bool blocked : 1;   /* waiting for the socket to take more */
    bool sliced : 1;    /* SEND_FIRST was not enough: the rest goes in slices */
    bool reported : 1;  /* `closed` was called */
    bool dead : 1;      /* conn_free was called */
    bool in_call : 1;   /* a callback is running: the struct must outlive it */
};

static void on_event(uv_poll_t *handle, int status, int events);

static bool may_read(const struct conn *c)
{
    if (c->ended)
        return false;
    return c->finishing || (!c->paused && !(c->z && conn_compress_waiting(c->z)));
}

static void watch(struct conn *c)
{
    unsigned char want = 0;
    if (!c->reported && !c->failure) {
        if (may_read(c))
            want |= UV_READABLE;
        if (c->blocked)
            want |= UV_WRITABLE;
    }
    if (want == c->have)
        return;
    c->have = want;
    if (want)
        uv_poll_start(&c->poll, want, on_event);
    else
        uv_poll_stop(&c->poll);
}

/* Nothing is reported from inside a call of the owner: it hears of it at the end of the turn. */
static void fail(struct conn *c, int code)
{
    if (c->failure || c->reported)
        return;
    c->failure = code;
    outq_done(&c->out);
    c->blocked = false;
    watch(c);
    loop_defer(c->loop, &c->task);
}

static void finish_sending(struct conn *c)
{
    if (c->shut)
        return;
    c->shut = true;
    shutdown(c->fd, SHUT_WR);
    if (c->ended) {
        fail(c, ERR_CLOSED);
        return;
    }
    loop_timer_cancel(&c->linger->timer);
    loop_timer_set(c->loop, &c->linger->timer,
                   c->loop->patience_ms ? c->loop->patience_ms : LINGER_MS);
}

static void send_some(struct conn *c)
{
    if (c->failure || c->reported || c->blocked)
        return;
    uint64_t before = c->out.sent;
    if (c->z)
        conn_compress_used(c->z);
    int r = outq_send(&c->out, c->fd, c->sliced ? SEND_SLICE : SEND_FIRST, NULL);
    metric_add(METRIC_SENT, c->out.sent - before);
    if (c->finishing && !c->shut) /* a peer that takes nothing for so long is given up */
        loop_timer_set(c->loop, &c->linger->timer,
                       c->loop->patience_ms ? c->loop->patience_ms : STALL_MS);
    c->sliced = r == ERR_LIMIT;
    if (r == ERR_AGAIN)
        c->blocked = true;
    else if (r == ERR_LIMIT)
        loop_slice(c->loop, &c->task);
    else if (r < 0)
        fail(c, r);
    else if (c->finishing)
        finish_sending(c);
    watch(c);
}

static void conn_destroyed(uv_handle_t *handle)
{
    struct conn *c = handle->data;
    free(c);
}

/* Runs a callback of the owner, which may free the conn. Returns false if it did. */
#define CALL(c, call)                                                                              \
    __extension__({                                                                                \
        (c)->in_call = true;                                                                       \
        call;                                                                                      \
        (c)->in_call = false;                                                                      \
        if ((c)->dead)                                                                             \
            uv_close((uv_handle_t *)&(c)->poll, conn_destroyed);                                   \
        !(c)->dead;                                                                                \
    })

static void on_task(struct loop_task *t)
{
    struct conn *c = container_of(t, struct conn, task);
    if (!c->failure)
        send_some(c);
    if (c->failure && !c->reported) {
        c->reported = true;
        if (c->linger)
            loop_timer_cancel(&c->linger->timer);
        watch(c);
        (void)CALL(c, c->ops->closed(c->owner, c->failure));
        return;
    }
    if (!c->reported && outq_drained(&c->out) && c->ops->drained)
        (void)CALL(c, c->ops->drained(c->owner));
}

static void on_ended(struct conn *c)
{
    c->ended = true;
    watch(c);
    if (c->finishing) {
        if (c->shut)
            fail(c, ERR_CLOSED);
    } else if (c->ops->eof) {
        (void)CALL(c, c->ops->eof(c->owner));
    } else {
        fail(c, ERR_CLOSED);
    }
}

/* A slice of what was compressed. The rest comes in the next turn, after other connections. */
static void input_compressed(struct conn *c)
{
    if (c->ended || c->finishing || c->failure || c->reported)
        return;
    struct span bytes;
    int r = conn_compress_next(c->z, &bytes);
    if (r && r != ERR_CLOSED) {
        fail(c, r);
        return;
    }
    if (bytes.n && !CALL(c, c->ops->input(c->owner, bytes)))
        return;
    if (r)
        on_ended(c);
    else if (conn_compress_waiting(c->z) && !c->paused)
        loop_slice(c->loop, &c->z->task);
    watch(c);
}

static void on_more(struct loop_task *t)
{
    struct conn_compress *z = container_of(t, struct conn_compress, task);
    struct conn *c = z->owner;
    if (!c->paused)
        input_compressed(c);
}

static void read_some(struct conn *c)
{
    size_t room = c->z ? MIN((size_t)c->input_max, (size_t)COMPRESSED_READ) : (size_t)c->input_max;
    ssize_t n;
    do {
        n = recv(c->fd, c->loop->input, room, MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        if (errno != EAGAIN)
            fail(c, ERR_IO);
        return;
    }
    c->bytes_in += (uint64_t)n;
    metric_add(METRIC_RECEIVED, (uint64_t)n);
    if (n == 0) {
        on_ended(c);
    } else if (c->z && !c->finishing) {
        buf_put(&c->z->pending, c->loop->input, (size_t)n);
        input_compressed(c);
    } else if (!c->finishing)
        (void)CALL(c, c->ops->input(c->owner, span_make(c->loop->input, (size_t)n)));
}

static void on_event(uv_poll_t *handle, int status, int events)
{
    struct conn *c = handle->data;
    if (status < 0) {
        /* libuv stopped watching because of EPOLLERR: reading or writing tells the reason. */
        c->have = 0;
        watch(c);
        events = UV_READABLE | UV_WRITABLE;
        int error = 0;
        socklen_t len = sizeof(error);
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error) {
            fail(c, ERR_IO);
            return;
        }
    }
    if (events & UV_WRITABLE && c->blocked) {
        /* Whose output fills a socket is in no hurry; many at a time must not make a turn long. */
        c->blocked = false;
        c->sliced = true;
        loop_slice(c->loop, &c->task);
    }
    if (events & UV_READABLE && may_read(c))
        read_some(c);
    else
        watch(c);
}

struct conn *conn_new(struct loop *l, int fd, const struct conn_ops *ops, void *owner)
{
    struct conn *c = xnew(struct conn);
    c->loop = l;
    c->fd = fd;
    c->input_max = LOOP_INPUT_SIZE;
    c->ops = ops;
    c->owner = owner;
    outq_init(&c->out);
    loop_task_init(&c->task, on_task);
    int r = uv_poll_init(loop_uv(l), &c->poll, fd); /* makes it non-blocking */
    invariant(r == 0);
    c->poll.data = c;
    watch(c);
    return c;
}

/* Everything but the descriptor. */
static void conn_end_watch(struct conn *c)
{
    uv_poll_stop(&c->poll);
    loop_task_cancel(&c->task);
    if (c->linger) {
        loop_timer_cancel(&c->linger->timer);
        free(c->linger);
        c->linger = NULL;
    }
    outq_done(&c->out);
    conn_compress_free(take_ptr(c->z));
    c->dead = true;
    if (!c->in_call)
        uv_close((uv_handle_t *)&c->poll, conn_destroyed);
}

void conn_free(struct conn *c)
{
    if (!c)
        return;
    conn_end_watch(c);
    close(c->fd);
}

int conn_detach(struct conn *c)
{
    int fd = c->fd;
    conn_flush(c);
    conn_end_watch(c);
    return fd;
}

void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *owner)
{
    c->ops = ops;
    c->owner = owner;
}

int conn_fd(const struct conn *c)
{
    return c->fd;
}

struct loop *conn_loop(const struct conn *c)
{
    return c->loop;
}

void conn_pause(struct conn *c)
{
    c->paused = true;
    watch(c);
}

void conn_resume(struct conn *c)
{
    c->paused = false;
    if (c->z && conn_compress_waiting(c->z))
        loop_slice(c->loop, &c->z->task);
    watch(c);
}

void conn_set_input_max(struct conn *c, size_t n)
{
    c->input_max = (int)MIN(n, (size_t)LOOP_INPUT_SIZE);
}

/* After something was queued. */
static void queued(struct conn *c)
{
    if (c->failure || c->reported || c->shut) {
        outq_done(&c->out);
        return;
    }
    if (c->blocked)
        return;
    if (c->out.wire >= CONN_FLUSH)
        send_some(c);
    else
        loop_defer(c->loop, &c->task);
}

void conn_put(struct conn *c, struct span bytes)
{
    outq_put(&c->out, bytes);
    queued(c);
}

struct buf *conn_begin(struct conn *c)
{
    return outq_begin(&c->out);
}

void conn_end(struct conn *c)
{
    outq_end(&c->out);
    queued(c);
}

void conn_put_file(struct conn *c, int fd, uint64_t off, uint64_t len, outq_release *release,
                   void *arg)
{
    outq_put_file(&c->out, fd, off, len, release, arg);
    queued(c);
}

void conn_put_producer(struct conn *c, outq_pull *pull, outq_release *release, void *arg)
{
    outq_put_producer(&c->out, pull, release, arg);
    queued(c);
}

void conn_acknowledge(struct conn *c)
{
    int one = 1; /* without effect on UNIX sockets */
    setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof(one));
}

void conn_compress(struct conn *c, struct span waiting)
{
    if (c->failure || c->reported || c->shut || c->z)
        return;
    c->z = conn_compress_new(c->loop, c, on_more);
    buf_put_span(&c->z->pending, waiting);
    outq_compress(&c->out, c->z->codec);
    queued(c);
    if (waiting.n && !c->paused)
        loop_slice(c->loop, &c->z->task);
    watch(c);
}

bool conn_compressing(const struct conn *c)
{
    return c->z;
}

bool conn_full(struct conn *c)
{
    bool full = outq_full(&c->out);
    if (!full && c->out.was_full)
        loop_defer(c->loop, &c->task); /* it drained within this turn: say so once */
    return full;
}

void conn_bytes(const struct conn *c, uint64_t *ret_in, uint64_t *ret_out)
{
    *ret_in = c->bytes_in;
    *ret_out = c->out.sent;
}

bool conn_pending(const struct conn *c)
{
    return !outq_empty(&c->out);
}

void conn_flush(struct conn *c)
{
    if (!outq_empty(&c->out))
        send_some(c);
}

static void on_linger(struct loop_timer *t)
{
    struct conn_linger *g = container_of(t, struct conn_linger, timer);
    fail(g->owner, ERR_CLOSED);
}

void conn_finish(struct conn *c)
{
    if (c->finishing || c->failure || c->reported)
        return;
    c->finishing = true;
    c->linger = xnew(struct conn_linger);
    c->linger->owner = c;
    loop_timer_init(&c->linger->timer, on_linger);
    watch(c);
    loop_defer(c->loop, &c->task);
}

void conn_set_patience(struct loop *l, unsigned ms)
{
    l->patience_ms = ms;
}
