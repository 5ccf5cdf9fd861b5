/* log/manifest.c: what the log consists of, replaced as a whole.
 *
 * Segments begun after the manifest was written are found by their files: log segments with numbers
 * from the manifest's next number on continue the log. */
#include "base/crc32c.h"
#include "log/log_int.h"

#include <errno.h>

static const char manifest_magic[8] = "MARTMAN1";

enum {
    MANIFEST_MAX = 64 << 20,
    COPY_ALIGN = 4096, /* the second copy begins in a sector of its own */
    COUNT_AT = 96,     /* number of segments */
    SEGMENTS_AT = COUNT_AT + 4,
    SEGMENT_LEN = 36,
};

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
    put_u64(b, log->key);
    put_u64(b, log->replay_segment);
    put_u64(b, log->replay_seq);
    put_u64(b, log->next_number);
    put_u64(b, log->tail_segment);
    put_u64(b, log->tail_size);
    put_u64(b, log->tail_seq);
    put_u64(b, log->durable_seq);
    put_u32(b, (uint32_t)log->segment_count);
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct segment *s = log->segments[i];
        put_u64(b, s->number);
        put_u64(b, s->first_seq);
        put_u64(b, s->sealed ? s->size : 0);
        put_u16(b, s->kind);
        put_u16(b, s->role);
        put_u64(b, s->dropped_at);
    }
    put_u32(b, crc32c(0, b->p, b->n));
}

/* A log segment is final once the next one begins with durable numbers. */
static void seal_segments(struct log *log)
{
    const struct segment *next = NULL;
    for (size_t i = log->segment_count; i-- > 0;) {
        struct segment *s = log->segments[i];
        if (s->kind != SEGMENT_LOG)
            continue;
        if (next && next->first_seq <= log->durable_seq + 1 && !s->missing)
            s->sealed = true;
        next = s;
    }
}

/* What is durable now need not be looked at by the next opening. */
static void note_tail(struct log *log)
{
    struct segment *s = log->current;
    if (!s || log->durable_seq != log->last_seq || log->closed)
        return;
    if (s->size == SEGMENT_HEADER && !s->header_synced)
        return;
    log->tail_segment = s->number;
    log->tail_size = s->size;
    log->tail_seq = log->last_seq;
    log->tail_moved = false;
}

static int write_synced(struct log *log, const char *path, struct span bytes)
{
    struct log_file *f;
    void *ctx = log->fs->ctx;
    log->fs->unlink(ctx, path);
    int rc = log->fs->open(ctx, path, LOG_FS_WRITE | LOG_FS_CREATE, &f);
    if (rc)
        return rc;
    struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    rc = log_write_at(log, f, &iov, 1, 0);
    if (rc == 0)
        rc = log->fs->sync(ctx, f);
    log->fs->close(ctx, f);
    return rc;
}

int manifest_write(struct log *log, struct err *err)
{
    seal_segments(log);
    note_tail(log);
    autobuf b = BUF_INIT(MANIFEST_MAX), copy = BUF_INIT(MANIFEST_MAX);
    encode(log, &copy);
    buf_put_span(&b, buf_span(&copy));
    while (b.n % COPY_ALIGN && buf_ok(&b))
        buf_put_byte(&b, 0);
    buf_put_span(&b, buf_span(&copy));
    if (!buf_ok(&b) || !buf_ok(&copy))
        return err_set(err, ERR_LIMIT, "%s has too many segments", log->dir);
    autofree char *temp = path_of(log, "manifest.new"), *path = path_of(log, "manifest");
    int rc = write_synced(log, temp, buf_span(&b));
    if (rc)
        return log_errno(err, rc, "write", temp);
    rc = log->fs->rename(log->fs->ctx, temp, path);
    if (rc == -ENOSPC || rc == -EDQUOT)
        return log_errno(err, rc, "replace", path);
    if (rc == 0)
        rc = log->fs->sync_dir(log->fs->ctx, log->dir);
    if (rc == 0)
        return 0;
    log_errno(err, rc, "replace", path);
    return ERR_UNKNOWN;
}

static bool decode_segment(struct log *log, struct reader *r)
{
    uint64_t number = read_u64(r), first = read_u64(r), size = read_u64(r);
    uint16_t kind = read_u16(r), role = read_u16(r);
    uint64_t dropped_at = read_u64(r);
    if (kind < SEGMENT_LOG || kind > SEGMENT_BASE || role > LOG_SEGMENT_DROPPED ||
        number > UINT64_MAX / 2 || (size && size < SEGMENT_HEADER) || size > INT64_MAX ||
        first > LOG_SEQ_MAX || segment_find(log, number))
        r->bad = true;
    if (r->bad)
        return false;
    struct segment *s = segment_add(log, number, kind);
    s->first_seq = first;
    s->size = size;
    s->sealed = size > 0;
    s->role = role;
    s->dropped_at = dropped_at;
    return true;
}

static bool is_intact(struct span bytes)
{
    return bytes.n >= SEGMENTS_AT + 4 && memcmp(bytes.p, manifest_magic, 8) == 0 &&
           load_le32(bytes.p + bytes.n - 4) == crc32c(0, bytes.p, bytes.n - 4);
}

/* The copy that begins here, if it is intact. */
static bool copy_at(struct span bytes, uint64_t at, struct span *ret)
{
    struct span rest = span_skip(bytes, MIN(at, bytes.n));
    if (rest.n < SEGMENTS_AT + 4)
        return false;
    uint64_t n = SEGMENTS_AT + 4 + (uint64_t)load_le32(rest.p + COUNT_AT) * SEGMENT_LEN;
    if (n > rest.n || !is_intact(span_head(rest, n)))
        return false;
    *ret = span_head(rest, n);
    return true;
}

/* Both are the same; either will do. ret_whole: nothing is damaged. */
static bool find_copy(struct span bytes, struct span *ret, bool *ret_whole)
{
    struct span second;
    *ret_whole = true;
    if (is_intact(bytes)) { /* before there were two */
        *ret = bytes;
        return true;
    }
    bool first = copy_at(bytes, 0, ret);
    uint64_t at = first ? (ret->n + COPY_ALIGN - 1) / COPY_ALIGN * COPY_ALIGN : COPY_ALIGN;
    bool found = copy_at(bytes, at, &second);
    while (!first && !found && at < bytes.n)
        found = copy_at(bytes, at += COPY_ALIGN, &second);
    *ret_whole = first && found;
    if (!first && found)
        *ret = second;
    return first || found;
}

static int decode(struct log *log, struct span bytes, struct err *err)
{
    bool whole;
    if (!find_copy(bytes, &bytes, &whole))
        return err_set(err, ERR_CORRUPT, "%s/manifest: checksum does not match", log->dir);
    struct reader r = reader_make(span_head(span_skip(bytes, 8), bytes.n - 12));
    if (read_u32(&r) != LOG_VERSION)
        return err_set(err, ERR_VERSION, "%s/manifest is of another version", log->dir);
    log->incarnation = read_u32(&r);
    struct span id = read_bytes(&r, LOG_ID_LEN);
    if (!r.bad)
        memcpy(log->id, id.p, LOG_ID_LEN);
    log->key = read_u64(&r);
    log->replay_segment = read_u64(&r);
    log->replay_seq = read_u64(&r);
    uint64_t next = read_u64(&r);
    log->tail_segment = read_u64(&r);
    log->tail_size = read_u64(&r);
    log->tail_seq = read_u64(&r);
    log->tail_durable = read_u64(&r);
    for (uint32_t n = read_u32(&r); n > 0 && decode_segment(log, &r); n--)
        ;
    if (r.bad || next > UINT64_MAX / 2 || next < log->next_number || reader_left(&r) > 0 ||
        log->replay_seq > LOG_SEQ_MAX || log->tail_seq > LOG_SEQ_MAX ||
        log->tail_durable > LOG_SEQ_MAX || log->tail_size > LOG_TAIL_MAX ||
        log->tail_size < SEGMENT_HEADER || log->tail_size % FRAME_ALIGN)
        return err_set(err, ERR_CORRUPT, "%s/manifest contradicts itself", log->dir);
    log->next_number = next;
    return 0;
}

int log_manifest_read(struct log *log, struct buf *to, struct err *err)
{
    autofree char *path = path_of(log, "manifest");
    struct log_file *f;
    void *ctx = log->fs->ctx;
    int rc = log->fs->open(ctx, path, LOG_FS_READ, &f);
    if (rc == -ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", path);
    if (rc)
        return log_errno(err, rc, "open", path);
    int64_t size = log->fs->size(ctx, f);
    char *at = size >= 0 ? buf_reserve(to, (size_t)size) : NULL;
    int64_t n = at ? log->fs->pread(ctx, f, at, (size_t)size, 0) : MIN(size, 0);
    log->fs->close(ctx, f);
    if (n < 0)
        return log_errno(err, (int)n, "read", path);
    if (at)
        buf_commit(to, (size_t)n);
    return 0;
}

bool manifest_is_whole(struct log *log)
{
    autobuf b = BUF_INIT(MANIFEST_MAX);
    struct span copy;
    bool whole;
    return log_manifest_read(log, &b, NULL) == 0 && find_copy(buf_span(&b), &copy, &whole) && whole;
}

int manifest_read(struct log *log, struct err *err)
{
    autobuf b = BUF_INIT(MANIFEST_MAX);
    int rc = log_manifest_read(log, &b, err);
    return rc ? rc : decode(log, buf_span(&b), err);
}
