/* log/base.c: the dump of the state that compaction writes, so that older segments are not replayed
 * any more. Written aside under numbers that were reserved; one manifest switches to it. */
#include "log/log_int.h"

#include <errno.h>

#include "base/clock.h"
#include "base/crc32c.h"

enum { BASE_NUMBERS = 4096 };

struct log_base {
    struct log *log;
    uint64_t as_of, first, next; /* numbers */
    struct log_file *file;       /* of segment next - 1 */
    uint64_t size;
    uint64_t *sizes; /* of the finished ones */
};

int log_base_begin(struct log *log, uint64_t as_of, struct log_base **ret, struct err *err)
{
    struct segment *s, *current = segment_current(log);
    if (log->closed || as_of > log->durable_seq)
        return err_set(err, ERR_INVALID, "the state to dump is not durable");
    /* What is written from now on goes into a segment after which nothing older is needed. */
    if (current->size > SEGMENT_HEADER && !log_has_staged(log)) {
        if (log->last_seq != log->durable_seq)
            return err_set(err, ERR_AGAIN, "frames wait for their sync");
        int rc = segment_create(log, log->next_number, SEGMENT_LOG, log->last_seq + 1, &s, err);
        if (rc)
            return rc;
    }
    struct log_base *b = xnew(struct log_base);
    *b = (struct log_base){.log = log, .as_of = as_of, .first = log->next_number};
    b->next = b->first;
    b->sizes = xcalloc(BASE_NUMBERS, sizeof(uint64_t));
    log->next_number += BASE_NUMBERS;
    *ret = b;
    return 0;
}

static int finish_segment(struct log_base *b, struct err *err)
{
    struct log_fs *fs = b->log->fs;
    if (!b->file)
        return 0;
    int rc = fs->sync(fs->ctx, b->file);
    fs->close(fs->ctx, b->file);
    b->file = NULL;
    b->sizes[b->next - 1 - b->first] = b->size;
    return rc ? log_errno(err, rc, "sync a base segment in", b->log->dir) : 0;
}

static int next_segment(struct log_base *b, struct err *err)
{
    struct log_fs *fs = b->log->fs;
    int rc = finish_segment(b, err);
    if (rc)
        return rc;
    if (b->next - b->first == BASE_NUMBERS)
        return err_set(err, ERR_LIMIT, "the base is too large");
    struct segment_header h = {.kind = SEGMENT_BASE,
                               .incarnation = b->log->incarnation,
                               .number = b->next,
                               .first_seq = b->as_of,
                               .created = clock_wall_us()};
    char bytes[SEGMENT_HEADER];
    struct iovec iov = {bytes, sizeof(bytes)};
    autofree char *path = segment_path(b->log, "", b->next);
    memcpy(h.id, b->log->id, LOG_ID_LEN);
    segment_header_put(bytes, &h);
    rc = fs->open(fs->ctx, path, LOG_FS_WRITE | LOG_FS_CREATE, &b->file);
    if (rc)
        return log_errno(err, rc, "create", path);
    b->next++;
    b->size = SEGMENT_HEADER;
    int64_t n = fs->pwritev(fs->ctx, b->file, &iov, 1, 0);
    return n == SEGMENT_HEADER ? 0 : log_errno(err, n < 0 ? (int)n : -ENOSPC, "write", path);
}

static int put_bytes(struct log_base *b, struct span bytes, struct err *err)
{
    struct log_fs *fs = b->log->fs;
    while (bytes.n) {
        struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
        int64_t n = fs->pwritev(fs->ctx, b->file, &iov, 1, b->size);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return log_errno(err, n < 0 ? (int)n : -ENOSPC, "write a base segment in", b->log->dir);
        b->size += (uint64_t)n;
        bytes = span_skip(bytes, (size_t)n);
    }
    return 0;
}

int log_base_put(struct log_base *b, uint16_t type, uint16_t version, struct span ops,
                 const struct span *payload, size_t payload_count, struct log_frame *ret,
                 struct err *err)
{
    static const char zeros[FRAME_ALIGN];
    struct frame_header h = {.seq = b->as_of,
                             .time = clock_wall_us(),
                             .durable = b->as_of,
                             .type = type,
                             .version = version,
                             .ops_crc = crc32c(0, ops.p, ops.n),
                             .ops_length = ops.n};
    char bytes[FRAME_HEADER];
    int rc = 0;
    if (!b->file || b->size >= b->log->segment_size)
        rc = next_segment(b, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < payload_count; i++) {
        h.payload_length += payload[i].n;
        h.payload_crc = crc32c(h.payload_crc, payload[i].p, payload[i].n);
    }
    *ret = (struct log_frame){.seq = h.seq,
                              .time = h.time,
                              .type = type,
                              .version = version,
                              .ops_crc = h.ops_crc,
                              .segment = b->next - 1,
                              .offset = b->size,
                              .payload_offset = b->size + FRAME_HEADER + ops.n,
                              .payload_length = h.payload_length,
                              .ops_length = ops.n,
                              .base = true,
                              .durable = h.durable};
    frame_header_put(bytes, &h);
    rc = put_bytes(b, span_make(bytes, sizeof(bytes)), err);
    if (rc == 0)
        rc = put_bytes(b, ops, err);
    for (size_t i = 0; i < payload_count && rc == 0; i++)
        rc = put_bytes(b, payload[i], err);
    if (rc == 0)
        rc = put_bytes(b, span_make(zeros, frame_padding(FRAME_HEADER + ops.n + h.payload_length)),
                       err);
    return rc;
}

int log_base_finish(struct log_base *b, struct err *err)
{
    struct log *log = b->log;
    int rc = b->file || b->next > b->first ? finish_segment(b, err)
                                           : err_set(err, ERR_INVALID, "an empty base");
    if (rc == 0 && (rc = log->fs->sync_dir(log->fs->ctx, log->dir)) != 0)
        rc = log_errno(err, rc, "sync", log->dir);
    if (rc) {
        log_base_abort(b);
        return rc;
    }
    uint64_t old_segment = log->replay_segment, old_seq = log->replay_seq;
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = &log->segments[i];
        bool over = i + 1 < log->segment_count && s != segment_current(log);
        for (size_t k = i + 1; over && k < log->segment_count; k++)
            if (log->segments[k].kind == SEGMENT_LOG) {
                over = log->segments[k].first_seq <= b->as_of + 1;
                break;
            }
        if (s->role == LOG_SEGMENT_REPLAY && (s->kind == SEGMENT_BASE || over))
            s->role = LOG_SEGMENT_PAYLOAD;
    }
    for (uint64_t n = b->first; n < b->next; n++) {
        struct segment *s = segment_add(log, n, SEGMENT_BASE);
        s->first_seq = b->as_of;
        s->size = b->sizes[n - b->first];
    }
    log->replay_segment = b->first;
    log->replay_seq = b->as_of;
    rc = manifest_write(log, err);
    if (rc) { /* which manifest is on the disk is unknown: an opening decides */
        log->replay_segment = old_segment;
        log->replay_seq = old_seq;
        log->closed = true;
        rc = ERR_UNKNOWN;
    }
    free(b->sizes);
    free(b);
    return rc;
}

void log_base_abort(struct log_base *b)
{
    if (!b)
        return;
    struct log_fs *fs = b->log->fs;
    if (b->file)
        fs->close(fs->ctx, b->file);
    for (uint64_t n = b->first; n < b->next; n++) {
        autofree char *path = segment_path(b->log, "", n);
        fs->unlink(fs->ctx, path);
    }
    free(b->sizes);
    free(b);
}
