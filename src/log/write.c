/* log/write.c: staging, writing and syncing frames. */
#include "log/log_int.h"

#include <errno.h>

#include "base/clock.h"
#include "base/crc32c.h"

bool log_has_staged(const struct log *log)
{
    return log->stage_size > 0;
}

void log_unstage(struct log *log)
{
    buf_reset(&log->stage_bytes);
    if (log->stage_bytes.cap > (1 << 20))
        buf_done(&log->stage_bytes);
    log->piece_count = 0;
    log->stage_size = 0;
}

static void add_piece(struct log *log, struct stage_piece piece)
{
    if (log->piece_count == log->piece_cap) {
        log->piece_cap = log->piece_cap ? log->piece_cap * 2 : 16;
        log->pieces = xrealloc_array(log->pieces, log->piece_cap, sizeof(*log->pieces));
    }
    log->pieces[log->piece_count++] = piece;
}

/* A batch stays in one segment; a new one begins only between batches. */
static int rotate(struct log *log, struct err *err)
{
    struct segment *s = log->current, *next;
    if (s->size < log->segment_size)
        return 0;
    bool unsynced = log->last_seq != log->durable_seq;
    if (unsynced && log->unsynced_count == (int)ARRAY_LEN(log->unsynced)) {
        /* A caller that writes segments full without ever syncing. */
        int rc = log->fs->sync(log->fs->ctx, s->file);
        if (rc) {
            log->closed = true;
            log_errno(err, rc, "sync a segment in", log->dir);
            return ERR_UNKNOWN;
        }
        unsynced = false;
    }
    int rc = segment_create(log, log->next_number, SEGMENT_LOG, log->last_seq + 1, &next, err);
    if (rc == 0 && unsynced)
        log->unsynced[log->unsynced_count++] = s->number;
    return rc;
}

static int begin_stage(struct log *log, struct err *err)
{
    int rc = rotate(log, err);
    struct segment *s = log->current;
    if (rc == 0)
        rc = segment_open(log, s, err);
    if (rc)
        return rc;
    log->stage_segment = s->number;
    log->stage_offset = s->size;
    log->staged_seq = log->last_seq;
    return 0;
}

static void make_header(struct log *log, uint16_t type, uint16_t version, struct span ops,
                        const struct span *payload, size_t count, struct frame_header *h)
{
    *h = (struct frame_header){.seq = ++log->staged_seq,
                               .time = clock_wall_us(),
                               .durable = log->durable_seq,
                               .type = type,
                               .version = version,
                               .ops_crc = crc32c(0, ops.p, ops.n),
                               .ops_length = ops.n};
    for (size_t i = 0; i < count; i++) {
        h->payload_length += payload[i].n;
        h->payload_crc = crc32c(h->payload_crc, payload[i].p, payload[i].n);
    }
}

static void stage_frame(struct log *log, const struct frame_header *h, struct span ops,
                        const struct span *payload, size_t count)
{
    static const char zeros[FRAME_ALIGN];
    char header[FRAME_HEADER];
    size_t at = log->stage_bytes.n,
           pad = frame_padding(FRAME_HEADER + h->ops_length + h->payload_length);
    struct frame_place place = {log->key, log->stage_segment, log->stage_offset + log->stage_size};
    frame_header_put(header, h, &place);
    buf_put(&log->stage_bytes, header, sizeof(header));
    buf_put_span(&log->stage_bytes, ops);
    add_piece(log, (struct stage_piece){.at = at, .n = log->stage_bytes.n - at});
    for (size_t i = 0; i < count; i++)
        if (payload[i].n)
            add_piece(log, (struct stage_piece){.payload = payload[i]});
    if (pad) {
        at = log->stage_bytes.n;
        buf_put(&log->stage_bytes, zeros, pad);
        add_piece(log, (struct stage_piece){.at = at, .n = pad});
    }
    log->stage_size += frame_size(h);
}

int log_stage(struct log *log, uint16_t type, uint16_t version, struct span ops,
              const struct span *payload, size_t payload_count, struct log_frame *ret)
{
    struct frame_header h;
    uint64_t total = 0;
    if (log->closed)
        return ERR_CLOSED;
    for (size_t i = 0; i < payload_count; i++)
        total += payload[i].n;
    if (ops.n > LOG_OPS_MAX || total > LOG_PAYLOAD_MAX)
        return ERR_LIMIT;
    if (!log_has_staged(log)) {
        int rc = begin_stage(log, NULL);
        if (rc)
            return rc;
    }
    make_header(log, type, version, ops, payload, payload_count, &h);
    uint64_t offset = log->stage_offset + log->stage_size;
    stage_frame(log, &h, ops, payload, payload_count);
    *ret = (struct log_frame){.seq = h.seq,
                              .time = h.time,
                              .type = type,
                              .version = version,
                              .ops_crc = h.ops_crc,
                              .segment = log->stage_segment,
                              .offset = offset,
                              .payload_offset = offset + FRAME_HEADER + h.ops_length,
                              .payload_length = h.payload_length,
                              .ops_length = h.ops_length,
                              .durable = h.durable};
    return 0;
}

/* One piece after the other in memory becomes one element. */
static size_t gather(struct log *log, struct iovec *iov)
{
    size_t n = 0;
    for (size_t i = 0; i < log->piece_count; i++) {
        const struct stage_piece *p = &log->pieces[i];
        const char *from = p->payload.p ? p->payload.p : log->stage_bytes.p + p->at;
        size_t len = p->payload.p ? p->payload.n : p->n;
        if (n && (const char *)iov[n - 1].iov_base + iov[n - 1].iov_len == from && !p->payload.p)
            iov[n - 1].iov_len += len;
        else
            iov[n++] = (struct iovec){(void *)(uintptr_t)from, len};
    }
    return n;
}

/* Nothing of a refused write may remain: what is written next may happen to be so long that the
 * rest would follow it as an intact frame, if the disk forgot the truncation in a crash. Hence the
 * sync. */
static int take_back(struct log *log, struct segment *s)
{
    struct log_fs *fs = log->fs;
    int rc = fs->truncate(fs->ctx, s->file, log->stage_offset);
    return rc ? rc : fs->sync(fs->ctx, s->file);
}

int log_write(struct log *log, struct err *err)
{
    if (log->closed)
        return err_set(err, ERR_CLOSED, "%s was closed by a failed sync", log->dir);
    if (!log_has_staged(log))
        return 0;
    struct segment *s = segment_find(log, log->stage_segment);
    if (log->piece_count > log->iov_cap) {
        log->iov_cap = log->piece_cap;
        log->iov = xrealloc_array(log->iov, log->iov_cap, sizeof(*log->iov));
    }
    int rc = log_write_at(log, s->file, log->iov, gather(log, log->iov), log->stage_offset);
    if (rc) {
        int saved = log_errno(err, rc, "write to the log in", log->dir);
        if (take_back(log, s)) {
            log->closed = true;
            saved = ERR_UNKNOWN;
            err_set(err, saved, "%s: a failed write could not be undone", log->dir);
        }
        log_unstage(log);
        return saved;
    }
    s->size = log->stage_offset + log->stage_size;
    log->last_seq = log->staged_seq;
    log->tail_moved = true;
    log_unstage(log);
    return 0;
}

/* --- sync --- */

bool log_needs_sync(const struct log *log)
{
    return !log->closed && log->last_seq != log->durable_seq;
}

static void sync_file(struct log_sync *s, struct segment *segment)
{
    segment->held++;
    s->files[s->file_count++] = segment->file;
}

void log_sync_begin(struct log *log, struct log_sync *ret)
{
    invariant(!log->syncing);
    log->syncing = true;
    *ret = (struct log_sync){.log = log, .seq = log->last_seq, .dir = log->dirty_dir};
    if (log->current->file) /* else nothing was written since it was synced */
        sync_file(ret, log->current);
    for (int i = 0; i < log->unsynced_count; i++)
        sync_file(ret, segment_find(log, log->unsynced[i]));
    log->unsynced_count = 0;
    log->dirty_dir = false;
}

void log_sync_run(struct log_sync *s)
{
    struct log_fs *fs = s->log->fs;
    for (int i = 0; i < s->file_count && s->result == 0; i++)
        s->result = fs->sync(fs->ctx, s->files[i]);
    if (s->dir && s->result == 0)
        s->result = fs->sync_dir(fs->ctx, s->log->dir);
}

int log_sync_end(struct log *log, struct log_sync *s, struct err *err)
{
    log->syncing = false;
    for (struct list *l = log->used.next; l != &log->used; l = l->next) {
        struct segment *segment = list_entry(l, struct segment, used);
        for (int i = 0; i < s->file_count; i++)
            segment->held -= segment->file == s->files[i];
    }
    if (s->result) {
        /* What the kernel still has of it is unknown; it is never asked again. */
        log->closed = true;
        errno = -s->result;
        err_set_errno(err, "sync the log in %s", log->dir);
        return ERR_UNKNOWN;
    }
    log->durable_seq = MAX(log->durable_seq, s->seq);
    return 0;
}
