/* log/base.c: the dump of the state that compaction writes, so that older segments are not replayed
 * any more. Written aside under numbers that were reserved; one manifest switches to it. */
#include "log/log_int.h"

#include "base/clock.h"
#include "base/crc32c.h"

enum {
    BASE_NUMBERS = 4096,
    FLUSH = 1 << 20,
};

struct log_base {
    struct log *log;
    uint64_t as_of, first, next; /* numbers */
    struct log_file *file;       /* of segment next - 1 */
    uint64_t size;               /* of it, with what waits in `out` */
    uint64_t *sizes;             /* of the finished ones */
    struct buf out;
    int failed; /* nothing more can be put */
};

int log_base_begin(struct log *log, uint64_t as_of, struct log_base **ret, struct err *err)
{
    if (log->closed || as_of > log->durable_seq || as_of < log->replay_seq)
        return err_set(err, ERR_INVALID, "the state to dump is not durable");
    /* What is written from now on goes into a segment after which nothing older is needed. */
    if (log->current->size > SEGMENT_HEADER && !log_has_staged(log)) {
        if (log->last_seq != log->durable_seq)
            return err_set(err, ERR_AGAIN, "frames wait for their sync");
        int rc = segment_create_synced(log, log->last_seq + 1, err);
        if (rc)
            return rc;
    }
    struct log_base *b = xnew(struct log_base);
    *b = (struct log_base){.log = log, .as_of = as_of, .first = log->next_number};
    b->next = b->first;
    b->sizes = xcalloc(BASE_NUMBERS, sizeof(uint64_t));
    buf_init(&b->out, BUF_UNLIMITED);
    log->next_number += BASE_NUMBERS;
    *ret = b;
    return 0;
}

static int flush(struct log_base *b, struct err *err)
{
    struct iovec iov = {b->out.p, b->out.n};
    if (!b->out.n)
        return 0;
    int rc = log_write_at(b->log, b->file, &iov, 1, b->size - b->out.n);
    buf_reset(&b->out);
    return rc ? log_errno(err, rc, "write a base segment in", b->log->dir) : 0;
}

static int finish_segment(struct log_base *b, struct err *err)
{
    struct log_fs *fs = b->log->fs;
    if (!b->file)
        return 0;
    int rc = flush(b, err);
    if (rc == 0 && (rc = fs->sync(fs->ctx, b->file)) != 0)
        rc = log_errno(err, rc, "sync a base segment in", b->log->dir);
    fs->close(fs->ctx, b->file);
    b->file = NULL;
    b->sizes[b->next - 1 - b->first] = b->size;
    return rc;
}

static int next_segment(struct log_base *b, struct err *err)
{
    struct log_fs *fs = b->log->fs;
    int rc = finish_segment(b, err);
    if (rc)
        return rc;
    if (b->next - b->first == BASE_NUMBERS)
        return err_set(err, ERR_LIMIT, "the base is too large");
    char bytes[SEGMENT_HEADER];
    autofree char *path = segment_path(b->log, "", b->next);
    rc = fs->open(fs->ctx, path, LOG_FS_WRITE | LOG_FS_CREATE, &b->file);
    if (rc)
        return log_errno(err, rc, "create", path);
    segment_header_make(b->log, b->next, SEGMENT_BASE, b->as_of, bytes);
    b->next++;
    b->size = SEGMENT_HEADER;
    buf_put(&b->out, bytes, sizeof(bytes));
    return 0;
}

static void put_bytes(struct log_base *b, struct span bytes)
{
    buf_put_span(&b->out, bytes);
    b->size += bytes.n;
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
    int rc = b->failed;
    if (rc)
        return rc;
    if (!b->file || b->size >= b->log->segment_size)
        rc = next_segment(b, err);
    if (rc)
        return b->failed = rc;
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
    struct frame_place place = {b->log->key, ret->segment, ret->offset};
    frame_header_put(bytes, &h, &place);
    put_bytes(b, span_make(bytes, sizeof(bytes)));
    put_bytes(b, ops);
    for (size_t i = 0; i < payload_count; i++)
        put_bytes(b, payload[i]);
    put_bytes(b, span_make(zeros, frame_padding(FRAME_HEADER + ops.n + h.payload_length)));
    return b->failed = b->out.n >= FLUSH ? flush(b, err) : 0;
}

static void base_free(struct log_base *b)
{
    buf_done(&b->out);
    free(b->sizes);
    free(b);
}

/* What replay does not need any more is kept for its payloads. */
static void demote(struct log *log, uint64_t as_of, uint64_t first)
{
    const struct segment *next = NULL;
    for (size_t i = log->segment_count; i-- > 0;) {
        struct segment *s = log->segments[i];
        bool over =
            s->kind == SEGMENT_LOG && s != log->current && next && next->first_seq <= as_of + 1;
        if (s->role == LOG_SEGMENT_REPLAY &&
            ((s->kind == SEGMENT_BASE && s->number < first) || over)) {
            s->role = LOG_SEGMENT_PAYLOAD;
            s->demoted = true;
        }
        if (s->kind == SEGMENT_LOG)
            next = s;
    }
}

static void undo_switch(struct log_base *b)
{
    struct log *log = b->log;
    for (uint64_t n = b->first; n < b->next; n++)
        segment_remove(log, segment_find(log, n));
    for (size_t i = 0; i < log->segment_count; i++)
        if (log->segments[i]->demoted)
            log->segments[i]->role = LOG_SEGMENT_REPLAY;
}

int log_base_sync_run(struct log_base *b, struct err *err)
{
    return b->failed ? b->failed : (b->failed = finish_segment(b, err));
}

int log_base_finish(struct log_base *b, struct err *err)
{
    struct log *log = b->log;
    int rc = log->closed           ? err_set(err, ERR_CLOSED, "%s is closed for writing", log->dir)
             : b->failed           ? b->failed
             : b->next == b->first ? err_set(err, ERR_INVALID, "an empty base")
                                   : finish_segment(b, err);
    if (rc == 0 && (rc = log->fs->sync_dir(log->fs->ctx, log->dir)) != 0)
        rc = log_errno(err, rc, "sync", log->dir);
    if (rc) {
        log_base_abort(b);
        return rc;
    }
    uint64_t old_segment = log->replay_segment, old_seq = log->replay_seq;
    for (size_t i = 0; i < log->segment_count; i++)
        log->segments[i]->demoted = false;
    demote(log, b->as_of, b->first);
    for (uint64_t n = b->first; n < b->next; n++) {
        struct segment *s = segment_add(log, n, SEGMENT_BASE);
        s->first_seq = b->as_of;
        s->size = b->sizes[n - b->first];
        s->sealed = true;
    }
    log->replay_segment = b->first;
    log->replay_seq = b->as_of;
    rc = manifest_write(log, err);
    if (rc == 0 || rc == ERR_UNKNOWN) {
        log->closed = log->closed || rc; /* which manifest is on the disk: an opening decides */
        base_free(b);
        return rc;
    }
    log->replay_segment = old_segment;
    log->replay_seq = old_seq;
    undo_switch(b);
    log_base_abort(b);
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
    base_free(b);
}
