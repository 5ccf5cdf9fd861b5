#include "io/outq.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Ranges below COPY_BELOW are read into memory and go out with their neighbours in one sendmsg:
 * 217 MB in messages of 11 KB over loopback TCP cost half the CPU that way of one sendfile each
 * (tests/bench/bench_outq.c). From about 64 KiB on sendfile is the cheaper one. */
enum {
    COPY_BELOW = 64 * 1024,
    CHUNK_FIRST = 2 * 1024,  /* first allocation of a chunk of bytes */
    CHUNK_FULL = 32 * 1024,  /* later output starts another chunk */
    GATHER_MAX = COPY_BELOW, /* file bytes in memory at a time */
    GATHER_IOV = 64,
    ENTRY_COST = 256, /* what a range or producer counts towards full */
    PULL_ROOM = 32 * 1024,
};

enum entry_kind { ENTRY_BYTES, ENTRY_FILE, ENTRY_PRODUCER, ENTRY_COMPRESS };

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
        struct codec *codec;
    } u;
    outq_release *release;
    void *arg;
};

void outq_init(struct outq *q)
{
    *q = (struct outq){0};
    buf_init(&q->coded, BUF_UNLIMITED);
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
    buf_done(&q->coded);
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

void outq_compress(struct outq *q, struct codec *codec)
{
    push(q, ENTRY_COMPRESS)->u.codec = codec;
}

bool outq_full(struct outq *q)
{
    bool full = q->mem >= OUTQ_HIGH || q->wire >= OUTQ_WIRE_HIGH;
    if (full)
        q->was_full = true;
    return full;
}

bool outq_drained(struct outq *q)
{
    if (!q->was_full || q->mem >= OUTQ_LOW || q->wire >= OUTQ_WIRE_LOW)
        return false;
    q->was_full = false;
    return true;
}

/* Sending. */

static int file_read(const struct outq_entry *e, char *to, size_t n, struct err *err)
{
    size_t got = 0;
    while (got < n) {
        ssize_t r = pread(e->fd, to + got, n - got, (off_t)(e->u.file.off + got));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return err_set_errno(err, "pread");
        if (r == 0)
            return err_set(err, ERR_CORRUPT, "file ends before offset %llu",
                           (unsigned long long)e->u.file.off + n);
        got += (size_t)r;
    }
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

/* Small ranges are read here, at most GATHER_MAX bytes for one sendmsg. What the socket does not
 * take is read again later: cheaper than memory of their own for all of them, which would also have
 * to come from the kernel anew again and again. */
static _Thread_local char scratch[GATHER_MAX];

/* How much of a file range is to be read now: 0 if sendfile is to send it. */
static size_t readable_part(const struct outq *q, const struct outq_entry *e, size_t room)
{
    if (e->u.file.len >= COPY_BELOW && !q->copy_only)
        return 0;
    return (size_t)MIN(e->u.file.len, (uint64_t)room);
}

/* What goes out next with one sendmsg. Says whether a file follows that sendfile will continue
 * with. */
static int gather(struct outq *q, struct iovec *iov, size_t *ret_n, bool *ret_more, struct err *err)
{
    size_t n = 0, fill = 0;
    struct outq_entry *e = q->head;
    bool whole = true;
    for (; e && n < GATHER_IOV && whole; e = e->next) {
        if (e->kind == ENTRY_BYTES) {
            iov[n].iov_base = e->u.bytes.buf.p + e->u.bytes.sent;
            iov[n++].iov_len = e->u.bytes.buf.n - e->u.bytes.sent;
            continue;
        }
        size_t part = e->kind == ENTRY_FILE ? readable_part(q, e, GATHER_MAX - fill) : 0;
        if (!part)
            break;
        int r = file_read(e, scratch + fill, part, err);
        if (r < 0)
            return r;
        iov[n].iov_base = scratch + fill;
        iov[n++].iov_len = part;
        fill += part;
        whole = part == e->u.file.len;
    }
    *ret_n = n;
    *ret_more = whole && e && e->kind == ENTRY_FILE && fill < GATHER_MAX;
    return 0;
}

static int socket_error(struct err *err, const char *call)
{
    if (errno == EAGAIN || errno == ENOBUFS)
        return ERR_AGAIN;
    return err_set_errno(err, "%s", call);
}

/* n bytes from the head on have gone out. Also drops entries that turned out empty. */
static void account_sent(struct outq *q, size_t n)
{
    q->wire -= n;
    while (q->head) {
        struct outq_entry *e = q->head;
        if (e->kind == ENTRY_BYTES) {
            size_t part = MIN(n, e->u.bytes.buf.n - e->u.bytes.sent);
            e->u.bytes.sent += part;
            q->mem -= part;
            n -= part;
            if (e->u.bytes.sent < e->u.bytes.buf.n)
                return;
        } else {
            if (e->kind != ENTRY_FILE || !n)
                return;
            size_t part = (size_t)MIN((uint64_t)n, e->u.file.len);
            e->u.file.off += part;
            e->u.file.len -= part;
            n -= part;
            if (e->u.file.len)
                return;
        }
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
    q->sent += (size_t)n;
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
    q->sent += (size_t)n;
    if (e->u.file.len == 0)
        pop(q);
    *budget -= MIN(*budget, (size_t)n);
    return (size_t)n < want ? ERR_AGAIN : 0;
}

/* Compresses at most GATHER_MAX bytes from the head on. That takes the processor about four times
 * as long as sending them. */
static int encode(struct outq *q, size_t *budget, struct err *err)
{
    struct outq_entry *e = q->head;
    struct span piece;
    if (e->kind == ENTRY_FILE) {
        piece = span_make(scratch, (size_t)MIN(e->u.file.len, (uint64_t)GATHER_MAX));
        int r = file_read(e, scratch, piece.n, err);
        if (r < 0)
            return r;
    } else {
        piece = span_head(span_skip(buf_span(&e->u.bytes.buf), e->u.bytes.sent), GATHER_MAX);
    }
    codec_deflate(q->codec, piece, false, &q->coded);
    q->unflushed = true;
    *budget -= MIN(*budget, 4 * piece.n);
    account_sent(q, piece.n);
    return 0;
}

static int send_coded(struct outq *q, int fd, size_t *budget, struct err *err)
{
    while (q->coded.n) {
        ssize_t n;
        do {
            n = send(fd, q->coded.p, q->coded.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        } while (n < 0 && errno == EINTR);
        if (n < 0)
            return socket_error(err, "send");
        q->sent += (size_t)n;
        *budget -= MIN(*budget, (size_t)n);
        if ((size_t)n < q->coded.n) {
            buf_consume(&q->coded, (size_t)n);
            return ERR_AGAIN;
        }
        buf_done(&q->coded);
    }
    return 0;
}

/* Compressed bytes are collected until there are enough of them, or no more. */
static int send_compressing(struct outq *q, int fd, size_t *budget, struct err *err)
{
    if (!q->head && q->unflushed) {
        codec_deflate(q->codec, SPAN_EMPTY, true, &q->coded);
        q->unflushed = false;
    }
    if (q->coded.n >= CHUNK_FULL || !q->head)
        return send_coded(q, fd, budget, err);
    return encode(q, budget, err);
}

int outq_send(struct outq *q, int fd, size_t budget, struct err *err)
{
    while (!outq_empty(q)) {
        if (budget == 0)
            return ERR_LIMIT;
        struct outq_entry *e = q->head;
        int r = 0;
        if (e && e->kind == ENTRY_COMPRESS) {
            q->codec = e->u.codec;
            pop(q);
        } else if (e && e->kind == ENTRY_PRODUCER)
            r = producer_to_bytes(q, err);
        else if (q->codec)
            r = send_compressing(q, fd, &budget, err);
        else if (e->kind == ENTRY_FILE && !readable_part(q, e, 1))
            r = send_file(q, fd, &budget, err);
        else
            r = send_bytes(q, fd, &budget, err);
        if (r < 0)
            return r;
    }
    return 0;
}
