/* log/manifest.c: what the log consists of, replaced as a whole.
 *
 * Segments begun after the manifest was written are found by their files: log segments with numbers
 * above all listed ones continue the log. */
#include "base/crc32c.h"
#include "log/log_int.h"

#include <errno.h>

static const char manifest_magic[8] = "MARTMAN1";

enum { MANIFEST_MAX = 64 << 20 };

static char *path_of(const struct log *log, const char *name)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&b, "%s/%s", log->dir, name);
    return buf_take(&b);
}

static void encode(const struct log *log, struct buf *b)
{
    buf_put(b, manifest_magic, sizeof(manifest_magic));
    put_u32(b, LOG_VERSION);
    put_u32(b, log->incarnation);
    buf_put(b, log->id, LOG_ID_LEN);
    put_u64(b, log->replay_segment);
    put_u64(b, log->replay_seq);
    put_u64(b, log->next_number);
    put_u64(b, log->tail_segment);
    put_u64(b, log->tail_size);
    put_u64(b, log->tail_seq);
    put_u32(b, (uint32_t)log->segment_count);
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct segment *s = &log->segments[i];
        put_u64(b, s->number);
        put_u64(b, s->first_seq);
        put_u16(b, s->kind);
        put_u16(b, s->role);
        put_u64(b, s->dropped_at);
    }
    put_u32(b, crc32c(0, b->p, b->n));
}

/* What is durable now need not be looked at by the next opening. */
static void note_tail(struct log *log)
{
    struct segment *s = segment_current(log);
    if (!s || log->durable_seq != log->last_seq || log->closed)
        return;
    log->tail_segment = s->number;
    log->tail_size = s->size;
    log->tail_seq = log->last_seq;
    log->tail_moved = false;
}

int manifest_write(struct log *log, struct err *err)
{
    note_tail(log);
    autobuf b = BUF_INIT(MANIFEST_MAX);
    encode(log, &b);
    autofree char *temp = path_of(log, "manifest.new"), *path = path_of(log, "manifest");
    struct log_file *f;
    void *ctx = log->fs->ctx;
    log->fs->unlink(ctx, temp);
    int rc = log->fs->open(ctx, temp, LOG_FS_WRITE | LOG_FS_CREATE, &f);
    if (rc)
        return log_errno(err, rc, "create", temp);
    struct iovec iov = {b.p, b.n};
    int64_t n = log->fs->pwritev(ctx, f, &iov, 1, 0);
    rc = n < 0 ? (int)n : (size_t)n != b.n ? -ENOSPC : log->fs->sync(ctx, f);
    log->fs->close(ctx, f);
    if (rc == 0)
        rc = log->fs->rename(ctx, temp, path);
    if (rc == 0)
        rc = log->fs->sync_dir(ctx, log->dir);
    return rc ? log_errno(err, rc, "replace", path) : 0;
}

static int decode(struct log *log, struct span bytes, struct err *err)
{
    if (bytes.n < 16 || memcmp(bytes.p, manifest_magic, 8) != 0)
        return err_set(err, ERR_CORRUPT, "%s/manifest is not a manifest", log->dir);
    if (load_le32(bytes.p + bytes.n - 4) != crc32c(0, bytes.p, bytes.n - 4))
        return err_set(err, ERR_CORRUPT, "%s/manifest: checksum does not match", log->dir);
    struct reader r = reader_make(span_head(span_skip(bytes, 8), bytes.n - 12));
    if (read_u32(&r) != LOG_VERSION)
        return err_set(err, ERR_VERSION, "%s/manifest is of another version", log->dir);
    log->incarnation = read_u32(&r);
    struct span id = read_bytes(&r, LOG_ID_LEN);
    if (!r.bad)
        memcpy(log->id, id.p, LOG_ID_LEN);
    log->replay_segment = read_u64(&r);
    log->replay_seq = read_u64(&r);
    uint64_t next = read_u64(&r);
    log->tail_segment = read_u64(&r);
    log->tail_size = read_u64(&r);
    log->tail_seq = read_u64(&r);
    for (uint32_t n = read_u32(&r); n > 0 && !r.bad; n--) {
        uint64_t number = read_u64(&r), first = read_u64(&r);
        struct segment *s = segment_add(log, number, read_u16(&r));
        s->first_seq = first;
        s->role = read_u16(&r);
        s->dropped_at = read_u64(&r);
    }
    log->next_number = MAX(log->next_number, next);
    return r.bad ? err_set(err, ERR_CORRUPT, "%s/manifest is cut short", log->dir) : 0;
}

int manifest_read(struct log *log, struct err *err)
{
    autofree char *path = path_of(log, "manifest");
    struct log_file *f;
    void *ctx = log->fs->ctx;
    int rc = log->fs->open(ctx, path, LOG_FS_READ, &f);
    if (rc == -ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
    if (rc)
        return log_errno(err, rc, "open", path);
    autobuf b = BUF_INIT(MANIFEST_MAX);
    int64_t size = log->fs->size(ctx, f);
    char *to = size >= 0 ? buf_reserve(&b, (size_t)size) : NULL;
    int64_t n = to ? log->fs->pread(ctx, f, to, (size_t)size, 0) : size;
    log->fs->close(ctx, f);
    if (n < 0)
        return log_errno(err, (int)n, "read", path);
    if (to)
        buf_commit(&b, (size_t)n);
    return decode(log, buf_span(&b), err);
}
