/* log/segments.c: the files of a log and their descriptors. */
#include "log/log_int.h"

#include <errno.h>
#include <limits.h>

#include "base/clock.h"

char *segment_path(const struct log *log, const char *prefix, uint64_t number)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&b, "%s/%s%016llx", log->dir, prefix, (unsigned long long)number);
    return buf_take(&b);
}

static size_t segment_index(const struct log *log, uint64_t number)
{
    size_t lo = 0, hi = log->segment_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (log->segments[mid]->number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

struct segment *segment_find(struct log *log, uint64_t number)
{
    size_t i = segment_index(log, number);
    return i < log->segment_count && log->segments[i]->number == number ? log->segments[i] : NULL;
}

struct segment *segment_sought(struct log *log, uint64_t number)
{
    struct segment *s = segment_find(log, number);
    return s || !log->reader ? s : segment_add(log, number, SEGMENT_EXTERNAL);
}

struct segment *segment_add(struct log *log, uint64_t number, uint16_t kind)
{
    size_t i = segment_index(log, number);
    if (log->segment_count == log->segment_cap) {
        log->segment_cap = log->segment_cap ? log->segment_cap * 2 : 8;
        log->segments = xrealloc_array(log->segments, log->segment_cap, sizeof(*log->segments));
    }
    memmove(log->segments + i + 1, log->segments + i,
            (log->segment_count - i) * sizeof(*log->segments));
    log->segment_count++;
    struct segment *s = xnew(struct segment);
    *s = (struct segment){.number = number, .kind = kind};
    s->role = kind == SEGMENT_EXTERNAL ? LOG_SEGMENT_EXTERNAL : LOG_SEGMENT_REPLAY;
    list_init(&s->used);
    log->segments[i] = s;
    if (number >= log->next_number)
        log->next_number = number + 1;
    return s;
}

void segment_remove(struct log *log, struct segment *s)
{
    size_t i = segment_index(log, s->number);
    segment_close(log, s);
    memmove(log->segments + i, log->segments + i + 1,
            (log->segment_count - i - 1) * sizeof(*log->segments));
    log->segment_count--;
    if (log->current == s)
        segments_find_current(log);
    free(s);
}

bool segment_is_replayed_log(const struct segment *s)
{
    return s->kind == SEGMENT_LOG && s->role == LOG_SEGMENT_REPLAY;
}

void segments_find_current(struct log *log)
{
    log->current = NULL;
    for (size_t i = log->segment_count; i-- > 0 && !log->current;)
        if (segment_is_replayed_log(log->segments[i]))
            log->current = log->segments[i];
}

void segment_close(struct log *log, struct segment *s)
{
    if (!s->file)
        return;
    log->fs->close(log->fs->ctx, s->file);
    s->file = NULL;
    list_remove(&s->used);
    log->open_count--;
}

/* What waits for a sync is synced through the descriptor that wrote it: a descriptor opened later
 * may not be told of an earlier failure. */
static bool is_needed(const struct log *log, const struct segment *s)
{
    if (s->held || (s == log->current && (log->last_seq != log->durable_seq || log->stage_size)))
        return true;
    for (int i = 0; i < log->unsynced_count; i++)
        if (log->unsynced[i] == s->number)
            return true;
    return false;
}

/* Old segments' descriptors are a small cache. */
static void close_unused(struct log *log, const struct segment *keep)
{
    struct segment *s;
    for (struct list *l = log->used.prev; l != &log->used && log->open_count > LOG_FDS_MAX;) {
        s = list_entry(l, struct segment, used);
        l = l->prev;
        if (s != keep && s != log->current && !is_needed(log, s))
            segment_close(log, s);
    }
}

static void segment_opened(struct log *log, struct segment *s, struct log_file *file)
{
    s->file = file;
    list_push_front(&log->used, &s->used);
    log->open_count++;
    close_unused(log, s);
}

int segment_open(struct log *log, struct segment *s, struct err *err)
{
    if (s->file) {
        list_remove(&s->used);
        list_push_front(&log->used, &s->used);
        return 0;
    }
    autofree char *path = segment_path(log, "", s->number);
    struct log_file *file;
    int rc = log->fs->open(log->fs->ctx, path,
                           log->origin || log->reader ? LOG_FS_READ : LOG_FS_WRITE, &file);
    if (rc == -ENOENT && log->reader) { /* compacted away: rows tell where it is now */
        segment_remove(log, s);
        return err_set(err, ERR_BUSY, "segment %s is not there any more", path);
    }
    if (rc == -ENOENT)
        return err_set(err, ERR_CORRUPT, "segment %s is missing", path);
    if (rc)
        return log_errno(err, rc, "open", path);
    segment_opened(log, s, file);
    return 0;
}

int log_write_at(struct log *log, struct log_file *f, struct iovec *iov, size_t n, uint64_t at)
{
    while (n > 0) {
        int64_t w = log->fs->pwritev(log->fs->ctx, f, iov, (int)MIN(n, (size_t)IOV_MAX), at);
        if (w == -EINTR)
            continue;
        if (w < 0)
            return (int)w;
        if (w == 0 && iov->iov_len)
            return -ENOSPC;
        at += (uint64_t)w;
        for (; n > 0 && (uint64_t)w >= iov->iov_len; iov++, n--)
            w -= (int64_t)iov->iov_len;
        if (n > 0 && w > 0) {
            iov->iov_base = (char *)iov->iov_base + w;
            iov->iov_len -= (size_t)w;
        }
    }
    return 0;
}

void segment_header_make(const struct log *log, uint64_t number, uint16_t kind, uint64_t first_seq,
                         char to[SEGMENT_HEADER])
{
    struct segment_header h = {.kind = kind,
                               .incarnation = log->incarnation,
                               .number = number,
                               .first_seq = first_seq,
                               .created = clock_wall_us(),
                               .key = log->key};
    memcpy(h.id, log->id, LOG_ID_LEN);
    segment_header_put(to, &h);
}

int segment_create(struct log *log, uint64_t number, uint16_t kind, uint64_t first_seq,
                   struct segment **ret, struct err *err)
{
    char bytes[SEGMENT_HEADER];
    struct iovec iov = {bytes, sizeof(bytes)};
    autofree char *path = segment_path(log, "", number);
    struct log_file *file;
    int rc = log->fs->open(log->fs->ctx, path, LOG_FS_WRITE | LOG_FS_CREATE, &file);
    if (rc == -EEXIST) { /* left by an attempt that failed; nothing refers to it */
        rc = log->fs->unlink(log->fs->ctx, path);
        if (rc == 0)
            rc = log->fs->open(log->fs->ctx, path, LOG_FS_WRITE | LOG_FS_CREATE, &file);
    }
    if (rc)
        return log_errno(err, rc, "create", path);
    segment_header_make(log, number, kind, first_seq, bytes);
    rc = log_write_at(log, file, &iov, 1, 0);
    if (rc) {
        log->fs->close(log->fs->ctx, file);
        log->fs->unlink(log->fs->ctx, path);
        return log_errno(err, rc, "write", path);
    }
    struct segment *s = segment_add(log, number, kind);
    segment_opened(log, s, file);
    s->first_seq = first_seq;
    s->size = SEGMENT_HEADER;
    s->incarnation = log->incarnation;
    if (kind == SEGMENT_LOG) {
        log->dirty_dir = true; /* external ones sync it themselves */
        log->current = s;
    }
    *ret = s;
    return 0;
}

int segment_create_synced(struct log *log, uint64_t first_seq, struct err *err)
{
    struct segment *s, *before = log->current;
    int rc = segment_create(log, log->next_number, SEGMENT_LOG, first_seq, &s, err);
    if (rc)
        return rc;
    rc = log->fs->sync(log->fs->ctx, s->file);
    if (rc == 0)
        rc = log->fs->sync_dir(log->fs->ctx, log->dir);
    if (rc == 0) {
        s->header_synced = true;
        return 0;
    }
    /* Never to be used: neither this descriptor nor the file. */
    autofree char *path = segment_path(log, "", s->number);
    segment_remove(log, s);
    log->current = before;
    log->fs->unlink(log->fs->ctx, path);
    return log_errno(err, rc, "sync", path);
}

int log_segments(struct log *log, int (*each)(void *ctx, const struct log_segment *s), void *ctx)
{
    int rc = 0;
    for (size_t i = 0; i < log->segment_count && rc == 0; i++) {
        const struct segment *s = log->segments[i];
        struct log_segment out = {
            .number = s->number, .size = s->size, .first_seq = s->first_seq, .role = s->role};
        snprintf(out.name, sizeof(out.name), "%016llx", (unsigned long long)s->number);
        rc = each(ctx, &out);
    }
    return rc;
}

uint64_t log_total_size(struct log *log)
{
    uint64_t n = 0;
    for (size_t i = 0; i < log->segment_count; i++)
        n += log->segments[i]->size;
    return n;
}

int64_t log_free_space(struct log *log)
{
    return log->fs->free_space(log->fs->ctx, log->dir);
}

void log_idle(struct log *log)
{
    for (size_t i = 0; i < log->segment_count; i++)
        if (!is_needed(log, log->segments[i]))
            segment_close(log, log->segments[i]);
}

/* --- dropping --- */

int log_segment_drop(struct log *log, uint64_t number, uint64_t grace_seconds, struct err *err)
{
    struct segment *s = segment_find(log, number);
    if (!s)
        return ERR_NOT_FOUND;
    if (s->role == LOG_SEGMENT_REPLAY)
        return err_set(err, ERR_INVALID, "segment %llx is needed for replay",
                       (unsigned long long)number);
    if (log->closed)
        return err_set(err, ERR_CLOSED, "%s is closed for writing", log->dir);
    uint16_t role = s->role;
    uint64_t dropped_at = s->dropped_at;
    s->role = LOG_SEGMENT_DROPPED;
    s->dropped_at = clock_wall_us() / 1000000 + grace_seconds;
    int rc = manifest_write(log, err);
    if (rc) { /* the file stays; being listed as dropped does not hurt it */
        s->role = role;
        s->dropped_at = dropped_at;
        return rc;
    }
    return log_sweep(log, err);
}

int log_sweep(struct log *log, struct err *err)
{
    uint64_t now = clock_wall_us() / 1000000;
    bool removed = false;
    if (log->closed)
        return err_set(err, ERR_CLOSED, "%s is closed for writing", log->dir);
    for (size_t i = 0; i < log->segment_count && !log->leases;) {
        struct segment *s = log->segments[i];
        if (s->role != LOG_SEGMENT_DROPPED || s->dropped_at > now || s->held) {
            i++;
            continue;
        }
        autofree char *path = segment_path(log, "", s->number);
        int rc = log->fs->unlink(log->fs->ctx, path);
        if (rc && rc != -ENOENT)
            return log_errno(err, rc, "remove", path);
        segment_remove(log, s);
        removed = true;
    }
    return removed ? manifest_write(log, err) : 0;
}

void log_lease_take(struct log *log)
{
    log->leases++;
}

void log_lease_release(struct log *log)
{
    invariant(log->leases > 0);
    log->leases--;
}
