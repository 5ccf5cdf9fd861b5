#include "io/outq.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Ranges below COPY_BELOW are read into memory and go out with their neighbours in one sendmsg:
 * measured with 217 MB in messages of 11 KB over loopback TCP, that costs 2/3 of the CPU of
 * one sendfile each (tests/bench/bench_outq.c); from about 64 KiB on sendfile is as good or better.
 */
enum {
    COPY_BELOW = 64 * 1024,
    CHUNK_FIRST = 2 * 1024,  /* first allocation of a chunk of bytes */
    CHUNK_FULL = 32 * 1024,  /* later output starts another chunk */
    GATHER_MAX = 256 * 1024, /* file bytes in memory at a time */
    GATHER_IOV = 64,
    ENTRY_COST = 256, /* what a range or producer counts towards full */
    PULL_ROOM = 32 * 1024,
};

enum entry_kind { ENTRY_BYTES, ENTRY_FILE, ENTRY_PRODUCER };

struct outq_entry {
    struct outq_entry *next;
    enum entry_kind kind;
    int fd;
    union {
        struct {
            struct buf buf;
            size_t sent;
        } bytes;
        struct {
            uint64_t off, len;
        } file;
        outq_pull *pull;
    } u;
    outq_release *release;
    void *arg;
};

void outq_init(struct outq *q)
{
    *q = (struct outq){0};
}

static void entry_release(struct outq_entry *e)
{
    outq_release *release = e->release;
    e->release = NULL;
    if (release)
        release(e->arg);
}

static void pop(struct outq *q)
{
    struct outq_entry *e = q->head;
    q->head = e->next;
    if (!q->head)
        q->tail = NULL;
    if (e->kind == ENTRY_BYTES)
        buf_done(&e->u.bytes.buf);
    else
        q->mem -= ENTRY_COST;
    entry_release(e);
    free(e);
}

void outq_done(struct outq *q)
{
    while (q->head)
        pop(q);
    outq_init(q);
}

static struct outq_entry *entry_new(enum entry_kind kind)
{
    struct outq_entry *e = xnew(struct outq_entry);
    e->kind = kind;
    e->fd = -1;
    if (kind == ENTRY_BYTES)
        buf_init(&e->u.bytes.buf, BUF_UNLIMITED);
    return e;
}

static struct outq_entry *push(struct outq *q, enum entry_kind kind)
{
    struct outq_entry *e = entry_new(kind);
    if (q->tail)
        q->tail->next = e;
    else
        q->head = e;
    q->tail = e;
    if (kind != ENTRY_BYTES)
        q->mem += ENTRY_COST;
    return e;
}

struct buf *outq_begin(struct outq *q)
{
    struct outq_entry *e = q->tail;
    if (!e || e->kind != ENTRY_BYTES || e->u.bytes.buf.n >= CHUNK_FULL) {
        e = push(q, ENTRY_BYTES);
        buf_reserve(&e->u.bytes.buf, CHUNK_FIRST);
    }
    q->begun = e->u.bytes.buf.n;
    return &e->u.bytes.buf;
}

void outq_end(struct outq *q)
{
    invariant(q->tail && q->tail->kind == ENTRY_BYTES && q->tail->u.bytes.buf.n >= q->begun);
    size_t n = q->tail->u.bytes.buf.n - q->begun;
    q->mem += n;
    q->wire += n;
    if (q->head->kind == ENTRY_BYTES && q->head->u.bytes.buf.n == 0)
        pop(q); /* nothing was written after all */
}

void outq_put(struct outq *q, struct span bytes)
{
    if (!bytes.n)
        return;
    buf_put_span(outq_begin(q), bytes);
    outq_end(q);
}

void outq_put_file(struct outq *q, int fd, uint64_t off, uint64_t len, outq_release *release,
                   void *arg)
{
    if (len == 0) {
        if (release)
            release(arg);
        return;
    }
    struct outq_entry *e = push(q, ENTRY_FILE);
    e->fd = fd;
    e->u.file.off = off;
    e->u.file.len = len;
    e->release = release;
    e->arg = arg;
    q->wire += len;
}

void outq_put_producer(struct outq *q, outq_pull *pull, outq_release *release, void *arg)
{
    struct outq_entry *e = push(q, ENTRY_PRODUCER);
    e->u.pull = pull;
    e->release = release;
    e->arg = arg;
}

bool outq_full(struct outq *q)
{
    if (q->mem >= OUTQ_HIGH)
        q->was_full = true;
    return q->mem >= OUTQ_HIGH;
}

bool outq_drained(struct outq *q)
{
    if (!q->was_full || q->mem >= OUTQ_LOW)
        return false;
    q->was_full = false;
    return true;
}

/* Sending. */

static int file_read(struct outq_entry *e, struct buf *out, size_t n, struct err *err)
{
    char *to = buf_reserve(out, n);
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(e->fd, to + got, n - got, (off_t)(e->u.file.off + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_set_errno(err, "pread");
        if (r == 0)
            return err_set(err, ERR_CORRUPT, "file ends before offset %llu",
                           (unsigned long long)(e->u.file.off + n));
        got += (size_t)r;
    }
    buf_commit(out, n);
    return 0;
}

/* Turns a small file range into bytes, in place. */
static int file_to_bytes(struct outq *q, struct outq_entry *e, struct err *err)
{
    size_t n = (size_t)e->u.file.len;
    struct buf b = BUF_INIT(BUF_UNLIMITED);
    int r = file_read(e, &b, n, err);
    if (r < 0) {
        buf_done(&b);
        return r;
    }
    entry_release(e);
    e->kind = ENTRY_BYTES;
    e->u.bytes.buf = b;
    e->u.bytes.sent = 0;
    q->mem += n;
    q->mem -= ENTRY_COST;
    return 0;
}

/* Where sendfile is impossible: the next piece of a long range becomes an entry before it. */
static int file_head_to_bytes(struct outq *q, struct err *err)
{
    struct outq_entry *e = q->head;
    if (e->u.file.len < COPY_BELOW)
        return file_to_bytes(q, e, err);
    struct outq_entry *piece = entry_new(ENTRY_BYTES);
    int r = file_read(e, &piece->u.bytes.buf, COPY_BELOW, err);
    if (r < 0) {
        buf_done(&piece->u.bytes.buf);
        free(piece);
        return r;
    }
    e->u.file.off += COPY_BELOW;
    e->u.file.len -= COPY_BELOW;
    q->mem += COPY_BELOW;
    piece->next = e;
    q->head = piece;
    return 0;
}

static int producer_to_bytes(struct outq *q, struct err *err)
{
    struct outq_entry *e = q->head;
    struct outq_entry *piece = entry_new(ENTRY_BYTES);
    int r = e->u.pull(e->arg, &piece->u.bytes.buf, PULL_ROOM);
    size_t n = piece->u.bytes.buf.n;
    if (r > 0 && n == 0)
        r = err_set(err, ERR_INVALID, "a producer gave nothing");
    else if (r < 0)
        err_set(err, r, "a producer failed");
    if (r <= 0 && n == 0) {
        free(piece);
        if (r == 0)
            pop(q);
        return r;
    }
    q->mem += n;
    q->wire += n;
    piece->next = e;
    q->head = piece;
    if (r == 0) { /* the producer is used up, its bytes are not */
        piece->next = e->next;
        if (q->tail == e)
            q->tail = piece;
        q->mem -= ENTRY_COST;
        entry_release(e);
        free(e);
    }
    return r < 0 ? r : 0;
}

/* The bytes at the head of the queue, small file ranges among them made into bytes. Says whether a
 * file follows that sendfile will continue with. */
static int gather(struct outq *q, struct iovec *iov, size_t *ret_n, bool *ret_more, struct err *err)
{
    size_t n = 0, bytes = 0;
    struct outq_entry *e = q->head;
    for (; e && n < GATHER_IOV && bytes < GATHER_MAX; e = e->next) {
        if (e->kind == ENTRY_FILE && e->u.file.len < COPY_BELOW) {
            int r = file_to_bytes(q, e, err);
            if (r < 0)
                return r;
        }
        if (e->kind != ENTRY_BYTES)
            break;
        iov[n].iov_base = e->u.bytes.buf.p + e->u.bytes.sent;
        iov[n].iov_len = e->u.bytes.buf.n - e->u.bytes.sent;
        bytes += iov[n++].iov_len;
    }
    *ret_n = n;
    *ret_more = e && e->kind == ENTRY_FILE && bytes < GATHER_MAX;
    return 0;
}

static int socket_error(struct err *err, const char *call)
{
    if (errno == EAGAIN || errno == ENOBUFS)
        return ERR_AGAIN;
    return err_set_errno(err, "%s", call);
}

/* Also drops entries that turned out empty. */
static void account_sent(struct outq *q, size_t n)
{
    q->mem -= n;
    q->wire -= n;
    while (q->head && q->head->kind == ENTRY_BYTES) {
        struct outq_entry *e = q->head;
        size_t left = e->u.bytes.buf.n - e->u.bytes.sent;
        if (n < left) {
            e->u.bytes.sent += n;
            return;
        }
        n -= left;
        pop(q);
    }
}

static int send_bytes(struct outq *q, int fd, size_t *budget, struct err *err)
{
    struct iovec iov[GATHER_IOV];
    struct msghdr msg = {.msg_iov = iov};
    bool more;
    int r = gather(q, iov, &msg.msg_iovlen, &more, err);
    if (r < 0)
        return r;
    size_t want = 0;
    for (size_t i = 0; i < msg.msg_iovlen; i++)
        want += iov[i].iov_len;
    ssize_t n;
    do {
        n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT | (more ? MSG_MORE : 0));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return socket_error(err, "sendmsg");
    account_sent(q, (size_t)n);
    *budget -= MIN(*budget, (size_t)n);
    return (size_t)n < want ? ERR_AGAIN : 0;
}

static int send_file(struct outq *q, int fd, size_t *budget, struct err *err)
{
    struct outq_entry *e = q->head;
    off_t off = (off_t)e->u.file.off;
    size_t want = (size_t)MIN(e->u.file.len, (uint64_t)MAX(*budget, COPY_BELOW));
    ssize_t n;
    do {
        n = sendfile(fd, e->fd, &off, want);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EINVAL || errno == ENOSYS)) {
        q->copy_only = true;
        return 0;
    }
    if (n < 0)
        return socket_error(err, "sendfile");
    if (n == 0)
        return err_set(err, ERR_CORRUPT, "file ends at offset %llu",
                       (unsigned long long)e->u.file.off);
    e->u.file.off += (size_t)n;
    e->u.file.len -= (size_t)n;
    q->wire -= (size_t)n;
    if (e->u.file.len == 0)
        pop(q);
    *budget -= MIN(*budget, (size_t)n);
    return (size_t)n < want ? ERR_AGAIN : 0;
}

int outq_send(struct outq *q, int fd, size_t budget, struct err *err)
{
    while (q->head) {
        if (budget == 0)
            return ERR_LIMIT;
        struct outq_entry *e = q->head;
        int r;
        if (e->kind == ENTRY_PRODUCER)
            r = producer_to_bytes(q, err);
        else if (e->kind == ENTRY_FILE && e->u.file.len >= COPY_BELOW && q->copy_only)
            r = file_head_to_bytes(q, err);
        else if (e->kind == ENTRY_FILE && e->u.file.len >= COPY_BELOW)
            r = send_file(q, fd, &budget, err);
        else
            r = send_bytes(q, fd, &budget, err);
        if (r < 0)
            return r;
    }
    return 0;
}
