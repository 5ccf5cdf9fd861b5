/* log/segments.c: the files of a log and their descriptors. */
#include "log/log_int.h"

#include <errno.h>

#include "base/clock.h"

char *segment_path(const struct log *log, const char *prefix, uint64_t number)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&b, "%s/%s%016llx", log->dir, prefix, (unsigned long long)number);
    return buf_take(&b);
}

struct segment *segment_find(struct log *log, uint64_t number)
{
    size_t lo = 0, hi = log->segment_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (log->segments[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < log->segment_count && log->segments[lo].number == number ? &log->segments[lo]
                                                                         : NULL;
}

struct segment *segment_add(struct log *log, uint64_t number, uint16_t kind)
{
    size_t i = log->segment_count;
    log->segments = xrealloc_array(log->segments, log->segment_count + 1, sizeof(struct segment));
    for (; i > 0 && log->segments[i - 1].number > number; i--)
        log->segments[i] = log->segments[i - 1];
    log->segment_count++;
    log->segments[i] = (struct segment){.number = number, .kind = kind};
    log->segments[i].role = kind == SEGMENT_EXTERNAL ? LOG_SEGMENT_EXTERNAL : LOG_SEGMENT_REPLAY;
    if (number >= log->next_number)
        log->next_number = number + 1;
    return &log->segments[i];
}

struct segment *segment_current(struct log *log)
{
    for (size_t i = log->segment_count; i-- > 0;)
        if (log->segments[i].kind == SEGMENT_LOG && log->segments[i].role == LOG_SEGMENT_REPLAY)
            return &log->segments[i];
    return NULL;
}

void segment_close(struct log *log, struct segment *s)
{
    if (s->file)
        log->fs->close(log->fs->ctx, s->file);
    s->file = NULL;
}

static bool is_unsynced(const struct log *log, uint64_t number)
{
    for (int i = 0; i < log->unsynced_count; i++)
        if (log->unsynced[i] == number)
            return true;
    return false;
}

/* Old segments' descriptors are a small cache. */
static void close_unused(struct log *log)
{
    struct segment *current = segment_current(log), *oldest = NULL;
    size_t open = 0;
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = &log->segments[i];
        if (!s->file || s == current || s->held || is_unsynced(log, s->number))
            continue;
        open++;
        if (!oldest || s->used_at < oldest->used_at)
            oldest = s;
    }
    if (open > LOG_FDS_MAX && oldest)
        segment_close(log, oldest);
}

int segment_open(struct log *log, struct segment *s, struct err *err)
{
    s->used_at = ++log->clock;
    if (s->file)
        return 0;
    autofree char *path = segment_path(log, "", s->number);
    int rc = log->fs->open(log->fs->ctx, path, LOG_FS_WRITE, &s->file);
    if (rc)
        return rc == -ENOENT ? err_set(err, ERR_CORRUPT, "segment %s is missing", path)
                             : log_errno(err, rc, "open", path);
    close_unused(log);
    return 0;
}

static int write_header(struct log *log, struct log_file *file, const struct segment_header *h)
{
    char bytes[SEGMENT_HEADER];
    segment_header_put(bytes, h);
    struct iovec iov = {bytes, sizeof(bytes)};
    int64_t n = log->fs->pwritev(log->fs->ctx, file, &iov, 1, 0);
    return n < 0 ? (int)n : n != SEGMENT_HEADER ? -ENOSPC : 0;
}

int segment_create(struct log *log, uint64_t number, uint16_t kind, uint64_t first_seq,
                   struct segment **ret, struct err *err)
{
    struct segment_header h = {.kind = kind,
                               .incarnation = log->incarnation,
                               .number = number,
                               .first_seq = first_seq,
                               .created = clock_wall_us()};
    memcpy(h.id, log->id, LOG_ID_LEN);
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
    rc = write_header(log, file, &h);
    if (rc) {
        log->fs->close(log->fs->ctx, file);
        log->fs->unlink(log->fs->ctx, path);
        return log_errno(err, rc, "write", path);
    }
    struct segment *s = segment_add(log, number, kind);
    s->file = file;
    s->first_seq = first_seq;
    s->size = SEGMENT_HEADER;
    log->dirty_dir = true;
    *ret = s;
    return 0;
}

int log_segments(struct log *log, int (*each)(void *ctx, const struct log_segment *s), void *ctx)
{
    int rc = 0;
    for (size_t i = 0; i < log->segment_count && rc == 0; i++) {
        const struct segment *s = &log->segments[i];
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
        n += log->segments[i].size;
    return n;
}

int64_t log_free_space(struct log *log)
{
    return log->fs->free_space(log->fs->ctx, log->dir);
}

void log_idle(struct log *log)
{
    for (size_t i = 0; i < log->segment_count; i++)
        if (!log->segments[i].held && !is_unsynced(log, log->segments[i].number) &&
            log->durable_seq == log->last_seq)
            segment_close(log, &log->segments[i]);
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
    s->role = LOG_SEGMENT_DROPPED;
    s->dropped_at = clock_wall_us() / 1000000 + grace_seconds;
    int rc = manifest_write(log, err);
    return rc ? rc : log_sweep(log, err);
}

int log_sweep(struct log *log, struct err *err)
{
    uint64_t now = clock_wall_us() / 1000000;
    bool removed = false;
    for (size_t i = 0; i < log->segment_count && !log->leases;) {
        struct segment *s = &log->segments[i];
        if (s->role != LOG_SEGMENT_DROPPED || s->dropped_at > now || s->held) {
            i++;
            continue;
        }
        autofree char *path = segment_path(log, "", s->number);
        segment_close(log, s);
        int rc = log->fs->unlink(log->fs->ctx, path);
        if (rc && rc != -ENOENT)
            return log_errno(err, rc, "remove", path);
        memmove(s, s + 1, (log->segment_count - i - 1) * sizeof(*s));
        log->segment_count--;
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
