/* What travels between processes: long bodies and message bytes in files, changes. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "store/remote_int.h"

#define LONG_MAX_BYTES (64ULL << 20)

int remote_file_memory(void)
{
    int fd = memfd_create("martlet", MFD_CLOEXEC);
    return fd < 0 ? ERR_IO : fd;
}

int remote_file_disk(struct store *store)
{
    int fd = open(store->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd < 0 ? remote_file_memory() : fd; /* file systems without O_TMPFILE */
}

int remote_file_write(int fd, struct span bytes)
{
    while (bytes.n > 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 && (errno == ENOSPC || errno == EDQUOT) ? ERR_NO_SPACE : ERR_IO;
        bytes = span_skip(bytes, (size_t)n);
    }
    return 0;
}

int remote_send_long(remote_send *send, void *ctx, struct remote_packet *p, struct span body)
{
    if (body.n <= REMOTE_BODY_MAX) {
        p->body = body;
        return send(ctx, p, -1);
    }
    int fd = remote_file_memory();
    if (fd < 0)
        return fd;
    int error = remote_file_write(fd, body);
    if (error) {
        close(fd);
        return error;
    }
    p->modseq = body.n;
    return send(ctx, p, fd);
}

int remote_body(const struct remote_packet *p, int fd, struct buf *to, struct span *ret)
{
    autoclose int file = fd;
    if (file < 0) {
        *ret = p->body;
        return 0;
    }
    if (p->modseq > LONG_MAX_BYTES)
        return ERR_LIMIT;
    char *room = buf_reserve(to, (size_t)p->modseq);
    for (size_t at = 0; at < p->modseq;) {
        ssize_t n = pread(file, room + at, (size_t)p->modseq - at, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return ERR_IO;
        at += (size_t)n;
    }
    buf_commit(to, (size_t)p->modseq);
    *ret = buf_span(to);
    return 0;
}

/* --- changes --- */

static void put_event(struct buf *to, const struct event *e)
{
    put_u32(to, e->mailbox);
    put_u32(to, e->kinds);
    put_u64(to, e->origin);
    put_blob(to, e->name);
    put_blob(to, e->old_name);
}

void remote_changed_put(struct buf *to, const struct ranges *mailboxes, const struct events *events)
{
    autobuf ids = BUF_INIT(BUF_UNLIMITED), list = BUF_INIT(BUF_UNLIMITED);
    ranges_encode(&ids, mailboxes);
    if (ids.n > REMOTE_BODY_MAX / 2) { /* thousands of mailboxes at once: say "all" */
        autoranges all = RANGES_INIT;
        ranges_add(&all, 1, UINT32_MAX);
        buf_reset(&ids);
        ranges_encode(&ids, &all);
    }
    for (size_t i = 0; i < events_count(events) && list.n <= REMOTE_BODY_MAX; i++)
        put_event(&list, events_at(events, i));
    bool fits = ids.n + list.n < REMOTE_BODY_MAX - 32;
    put_blob(to, buf_span(&ids));
    put_u8(to, events->overflow || !fits);
    if (fits)
        buf_put_span(to, buf_span(&list));
}

bool remote_changed_get(struct span body, struct ranges *ret_mailboxes, struct events *ret_events)
{
    struct reader r = reader_make(body);
    struct reader ids = reader_make(read_blob(&r));
    if (r.bad || !ranges_decode(&ids, ret_mailboxes))
        return false;
    ret_events->overflow = read_u8(&r) != 0;
    while (!r.bad && reader_left(&r) > 0) {
        struct event e = {.mailbox = read_u32(&r), .kinds = read_u32(&r)};
        e.origin = read_u64(&r);
        e.name = read_blob(&r);
        e.old_name = read_blob(&r);
        if (!r.bad)
            events_add(ret_events, &e);
    }
    return !r.bad;
}
