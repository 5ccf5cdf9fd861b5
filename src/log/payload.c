/* log/payload.c: reading message bytes, and large payloads in segments of their own. */
#include "log/log_int.h"

#include <errno.h>
#include <fcntl.h>

#include "base/crc32c.h"
#include "base/metrics.h"

int log_read(struct log *log, uint64_t segment, uint64_t offset, size_t n, struct buf *to,
             struct err *err)
{
    struct segment *s = segment_sought(log, segment);
    if (!s)
        return err_set(err, ERR_CORRUPT, "segment %llx does not exist",
                       (unsigned long long)segment);
    int rc = segment_open(log, s, err);
    if (rc)
        return rc;
    char *p = buf_reserve(to, n);
    if (!p)
        return err_set(err, ERR_LIMIT, "buffer too small");
    size_t done = 0;
    while (done < n) {
        int64_t got = log->fs->pread(log->fs->ctx, s->file, p + done, n - done, offset + done);
        if (got == -EINTR)
            continue;
        if (got < 0)
            return log_errno(err, (int)got, "read a message in", log->dir);
        if (got == 0)
            return err_set(err, ERR_CORRUPT, "segment %llx ends too early",
                           (unsigned long long)segment);
        done += (size_t)got;
    }
    buf_commit(to, n);
    return 0;
}

int log_payload_verify(struct log *log, uint64_t segment, uint64_t offset,
                       const struct payload_header *h, struct err *err)
{
    enum { BLOCK = 256 * 1024 };
    autobuf b = BUF_INIT(BLOCK);
    uint32_t crc = 0;
    for (uint64_t left = h->length, n; left; left -= n, offset += n) {
        n = MIN(left, (uint64_t)BLOCK);
        buf_reset(&b);
        int rc = log_read(log, segment, offset, n, &b, err);
        if (rc)
            return rc;
        crc = crc32c(crc, b.p, n);
    }
    if (crc != h->crc)
        metric_add(METRIC_DAMAGED, 1);
    return crc == h->crc ? 0
                         : err_set(err, ERR_CORRUPT, "segment %llx: message bytes are damaged",
                                   (unsigned long long)segment);
}

/* The descriptor is a duplicate, so that it may outlive the log. */
struct log_fd {
    int fd;
};

int log_segment_fd(struct log *log, uint64_t segment, struct log_fd **ret, int *ret_fd,
                   struct err *err)
{
    struct segment *s = segment_sought(log, segment);
    if (!s)
        return err_set(err, ERR_CORRUPT, "segment %llx does not exist",
                       (unsigned long long)segment);
    int rc = segment_open(log, s, err);
    if (rc)
        return rc;
    int fd = log->fs->descriptor(log->fs->ctx, s->file);
    if (fd < 0)
        return err_set(err, ERR_INVALID, "no descriptors here");
    fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return err_set_errno(err, "duplicate a descriptor");
    *ret = xnew(struct log_fd);
    (*ret)->fd = *ret_fd = fd;
    return 0;
}

void log_fd_release(struct log_fd *fd)
{
    if (!fd)
        return;
    close(fd->fd);
    free(fd);
}

/* --- external segments --- */

struct log_external {
    struct log *log;
    struct log_file *file;
    uint64_t number, size;
};

int log_external_begin(struct log *log, struct log_external **ret, struct err *err)
{
    struct segment *s;
    uint64_t number = log->next_number;
    if (log->closed)
        return err_set(err, ERR_CLOSED, "%s was closed by a failed sync", log->dir);
    int rc = segment_create(log, number, SEGMENT_EXTERNAL, 0, &s, err);
    if (rc)
        return rc;
    struct log_external *x = xnew(struct log_external);
    *x = (struct log_external){log, s->file, number, s->size};
    s->held++; /* until it is finished */
    *ret = x;
    return 0;
}

int log_external_write(struct log_external *x, struct span bytes, struct err *err)
{
    struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    int rc = bytes.n ? log_write_at(x->log, x->file, &iov, 1, x->size) : 0;
    if (rc)
        return log_errno(err, rc, "write a large message in", x->log->dir);
    x->size += bytes.n;
    return 0;
}

int log_external_sync_run(struct log_external *x)
{
    struct log_fs *fs = x->log->fs;
    int rc = fs->sync(fs->ctx, x->file);
    if (rc == 0)
        rc = fs->sync_dir(fs->ctx, x->log->dir);
    return rc ? ERR_IO : 0;
}

void log_external_where(const struct log_external *x, uint64_t *ret_segment, uint64_t *ret_offset)
{
    *ret_segment = x->number;
    *ret_offset = SEGMENT_HEADER;
}

void log_external_finish(struct log_external *x, uint64_t *ret_segment, uint64_t *ret_offset)
{
    struct segment *s = segment_find(x->log, x->number);
    s->held--;
    s->size = x->size;
    s->sealed = true;
    *ret_segment = x->number;
    *ret_offset = SEGMENT_HEADER;
    free(x);
}

void log_external_abort(struct log_external *x)
{
    if (!x)
        return;
    struct log *log = x->log;
    struct segment *s = segment_find(log, x->number);
    autofree char *path = segment_path(log, "", x->number);
    segment_remove(log, s);
    log->fs->unlink(log->fs->ctx, path); /* else the next opening finds it: the store drops it */
    free(x);
}
