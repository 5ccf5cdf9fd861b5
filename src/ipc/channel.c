#include "ipc/channel.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"
#include "base/logline.h"
#include "base/metrics.h"
#include "io/fdpass.h"

enum { RECEIVE_BURST = 64 };

struct packet {
    struct packet *next;
    int fd;
    size_t n;
    char bytes[];
};

struct channel {
    struct loop *loop;
    struct loop_watch *watch;
    struct loop_task broken;
    const struct channel_ops *ops;
    void *owner;
    struct packet *head, *tail;
    size_t queued;
    enum role self, peer;
    int sock;
    bool failed, dead, in_call;
};

static void drop_queue(struct channel *ch)
{
    while (ch->head) {
        struct packet *p = ch->head;
        ch->head = p->next;
        if (p->fd >= 0)
            close(p->fd);
        free(p);
    }
    ch->tail = NULL;
    ch->queued = 0;
}

static void fail(struct channel *ch)
{
    if (ch->failed)
        return;
    ch->failed = true;
    drop_queue(ch);
    loop_watch_set(ch->watch, 0);
    loop_defer(ch->loop, &ch->broken);
}

static void on_broken(struct loop_task *t)
{
    struct channel *ch = container_of(t, struct channel, broken);
    ch->ops->closed(ch->owner, ch);
}

static void set_watch(struct channel *ch)
{
    if (!ch->failed)
        loop_watch_set(ch->watch, LOOP_READ | (ch->head ? LOOP_WRITE : 0));
}

static void send_queue(struct channel *ch)
{
    while (ch->head && !ch->failed) {
        struct packet *p = ch->head;
        int r = fdpass_send(ch->sock, span_make(p->bytes, p->n), p->fd);
        if (r == ERR_AGAIN)
            break;
        if (r < 0) {
            fail(ch);
            return;
        }
        ch->head = p->next;
        if (!ch->head)
            ch->tail = NULL;
        ch->queued -= p->n;
        if (p->fd >= 0)
            close(p->fd);
        free(p);
    }
    set_watch(ch);
}

/* Is this packet something that the peer may say? ERR_AGAIN: yes, but it cannot be used. */
static int check(enum role self, enum role peer, struct span packet, int fd, struct message *ret)
{
    struct message m;
    int r = message_decode(packet, &m);
    if (r < 0) {
        metric_add(METRIC_IPC_VIOLATIONS, 1);
        log_text(LOG_ERROR, "channel-malformed", "from %s: %s", role_name(peer), err_name(r));
        return r;
    }
    if (fd == FDPASS_LOST && m.kind == MESSAGE_HANDOVER && message_permitted(peer, self, m.kind)) {
        /* No descriptors: that connection ends. It is no reason to take no others later. */
        log_text(LOG_ERROR, "descriptor-lost", "%s from %s", message_name(m.kind), role_name(peer));
        return ERR_AGAIN;
    }
    enum fd_rule rule = message_fd_rule(m.kind);
    bool fd_ok = fd != FDPASS_LOST &&
                 (rule == MESSAGE_FD_OPTIONAL || (rule == MESSAGE_FD_REQUIRED) == (fd >= 0));
    if (!message_permitted(peer, self, m.kind) || !fd_ok) {
        metric_add(METRIC_IPC_VIOLATIONS, 1);
        log_text(LOG_ERROR, "channel-forbidden", "%s from %s%s", message_name(m.kind),
                 role_name(peer), fd_ok ? "" : " (descriptor)");
        return ERR_DENIED;
    }
    *ret = m;
    return 0;
}

static bool receive_one(struct channel *ch)
{
    char packet[MESSAGE_MAX];
    struct message m;
    size_t n;
    int fd;
    int r = fdpass_recv(ch->sock, packet, sizeof(packet), &n, &fd);
    if (r == ERR_AGAIN)
        return false;
    if (r < 0) {
        fail(ch);
        return false;
    }
    r = check(ch->self, ch->peer, span_make(packet, n), fd, &m);
    if (r == ERR_AGAIN)
        return true;
    if (r < 0) {
        if (fd >= 0)
            close(fd);
        fail(ch);
        return false;
    }
    ch->ops->message(ch->owner, ch, &m, fd);
    return !ch->dead && !ch->failed;
}

static void on_socket(void *arg, int events)
{
    struct channel *ch = arg;
    ch->in_call = true;
    if (events & LOOP_WRITE)
        send_queue(ch);
    if (events & LOOP_READ && !ch->failed)
        for (int i = 0; i < RECEIVE_BURST; i++)
            if (!receive_one(ch))
                break;
    ch->in_call = false;
    if (ch->dead)
        free(ch);
    else
        set_watch(ch);
}

struct channel *channel_new(struct loop *l, int fd, enum role self, enum role peer,
                            const struct channel_ops *ops, void *owner)
{
    struct channel *ch = xnew(struct channel);
    ch->loop = l;
    ch->sock = fd;
    ch->self = self;
    ch->peer = peer;
    ch->ops = ops;
    ch->owner = owner;
    loop_task_init(&ch->broken, on_broken);
    ch->watch = loop_watch_new(l, fd, on_socket, ch);
    set_watch(ch);
    return ch;
}

void channel_free(struct channel *ch)
{
    if (!ch)
        return;
    drop_queue(ch);
    loop_task_cancel(&ch->broken);
    loop_watch_free(ch->watch);
    close(ch->sock);
    ch->dead = true;
    if (!ch->in_call)
        free(ch);
}

static int enqueue(struct channel *ch, struct span bytes, int fd)
{
    if (ch->queued + bytes.n > CHANNEL_QUEUE_MAX)
        return ERR_LIMIT;
    struct packet *p = xmalloc(sizeof(*p) + bytes.n);
    p->next = NULL;
    p->fd = fd;
    p->n = bytes.n;
    memcpy(p->bytes, bytes.p, bytes.n);
    if (ch->tail)
        ch->tail->next = p;
    else
        ch->head = p;
    ch->tail = p;
    ch->queued += bytes.n;
    set_watch(ch);
    return 0;
}

static int send_encoded(struct channel *ch, const struct message *m, int *fd)
{
    autobuf b = BUF_INIT(MESSAGE_MAX);
    invariant(message_permitted(ch->self, ch->peer, m->kind));
    if (ch->failed)
        return ERR_CLOSED;
    int r = message_encode(m, &b);
    if (r < 0)
        return r;
    r = ch->head ? ERR_AGAIN : fdpass_send(ch->sock, buf_span(&b), *fd);
    if (r == ERR_AGAIN) {
        r = enqueue(ch, buf_span(&b), *fd);
        if (r == 0)
            *fd = -1; /* the queue's now */
        return r;
    }
    if (r < 0) {
        fail(ch);
        return ERR_CLOSED;
    }
    return 0;
}

int channel_send(struct channel *ch, const struct message *m, int fd)
{
    int r = send_encoded(ch, m, &fd);
    if (fd >= 0)
        close(fd);
    return r;
}

/* For processes without a loop. */

static int wait_for(int sock, short events, uint64_t deadline)
{
    for (;;) {
        uint64_t now = clock_monotonic_us();
        int left = now >= deadline ? 0 : (int)MIN((deadline - now + 999) / 1000, (uint64_t)1 << 30);
        struct pollfd p = {.fd = sock, .events = events};
        int r = poll(&p, 1, left);
        if (r > 0)
            return 0;
        if (r < 0 && errno != EINTR)
            return ERR_IO;
        if (r == 0 && left == 0)
            return ERR_AGAIN;
    }
}

int channel_receive_blocking(int sock, enum role self, enum role peer, struct buf *scratch,
                             struct message *ret, int *ret_fd, int timeout_ms)
{
    uint64_t deadline = clock_monotonic_us() + (uint64_t)timeout_ms * 1000;
    buf_reset(scratch);
    char *to = buf_reserve(scratch, MESSAGE_MAX);
    if (!to)
        return ERR_LIMIT;
    for (;;) {
        size_t n;
        int fd, r = fdpass_recv(sock, to, MESSAGE_MAX, &n, &fd);
        if (r == ERR_AGAIN) {
            r = wait_for(sock, POLLIN, deadline);
            if (r < 0)
                return r;
            continue;
        }
        if (r < 0)
            return r;
        buf_commit(scratch, n);
        r = check(self, peer, buf_span(scratch), fd, ret);
        if (r < 0 && fd >= 0)
            close(fd);
        else
            *ret_fd = fd;
        return r;
    }
}

int channel_send_blocking(int sock, const struct message *m, int fd)
{
    autobuf b = BUF_INIT(MESSAGE_MAX);
    int r = message_encode(m, &b);
    while (r == 0) {
        r = fdpass_send(sock, buf_span(&b), fd);
        if (r != ERR_AGAIN)
            return r;
        r = wait_for(sock, POLLOUT, UINT64_MAX);
    }
    return r;
}
