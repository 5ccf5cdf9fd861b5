/* log/scan.c: reading frames one after the other.
 *
 * Payloads are skipped unless asked for: small ones are read through, large ones jumped over.
 * Behind something bad the scan goes on at the next intact header: after a frame whose header is
 * intact that is its end; its length is to be trusted. */
#include <errno.h>

#include "base/crc32c.h"
#include "log/log_int.h"

enum {
    /* Measured over 1 M frames with 10 KB payloads in the page cache: reading them through in
     * blocks of 256 KiB costs as much as one small read each; from a disk it is much cheaper. From
     * about 64 KiB on jumping wins in both cases. */
    WINDOW = 256 * 1024,
    WINDOW_MIN = 4096,
    JUMP = 64 * 1024,
    SECTOR = 4096,
};

int scan_init(struct scan *s, struct log *log, struct segment *segment, uint64_t at, uint64_t end,
              struct err *err)
{
    *s = (struct scan){.log = log, .segment = segment, .at = at, .end = end, .ahead = WINDOW};
    s->verify_from = UINT64_MAX;
    buf_init(&s->window, BUF_UNLIMITED);
    int rc = segment_open(log, segment, err);
    if (rc)
        return rc;
    int64_t size = log->fs->size(log->fs->ctx, segment->file);
    if (size < 0)
        return log_errno(err, (int)size, "size of a segment in", log->dir);
    if ((uint64_t)size < end) {
        s->end = MAX((uint64_t)size, at);
        s->cut = true;
    }
    segment->held++;
    s->holding = true;
    return 0;
}

void scan_done(struct scan *s)
{
    if (s->holding)
        s->segment->held--;
    s->holding = false;
    buf_done(&s->window);
}

static int64_t read_at(struct scan *s, uint64_t at, size_t least, size_t want, struct err *err)
{
    char *to = buf_reserve(&s->window, want);
    size_t done = 0;
    while (done < least) {
        int64_t got =
            s->log->fs->pread(s->log->fs->ctx, s->segment->file, to + done, want - done, at + done);
        if (got == -EINTR)
            continue;
        if (got < 0)
            return got;
        if (got == 0) {
            err_set(err, ERR_IO, "segment %llx is shorter than it was",
                    (unsigned long long)s->segment->number);
            return -ENODATA;
        }
        done += (size_t)got;
    }
    return (int64_t)done;
}

/* n bytes at `at`, which must lie before s->end. NULL: I/O error. */
static const char *need(struct scan *s, uint64_t at, uint64_t n, struct err *err)
{
    uint64_t behind = s->window_at + s->window.n;
    s->unreadable = false;
    if (at >= s->window_at && at + n <= behind)
        return s->window.p + (at - s->window_at);
    s->ahead = at > behind + JUMP ? WINDOW_MIN : MIN(s->ahead * 4, (size_t)WINDOW);
    buf_reset(&s->window);
    s->window_at = at;
    int64_t got = read_at(s, at, n, MIN(MAX(n, (uint64_t)s->ahead), s->end - at), err);
    if (got == -EIO) /* something near it may be bad that is not asked for */
        got = read_at(s, at, n, n, err);
    if (got < 0) {
        s->unreadable = got == -EIO;
        if (got != -ENODATA)
            log_errno(err, (int)got, "read a segment in", s->log->dir);
        return NULL;
    }
    buf_commit(&s->window, (size_t)got);
    return s->window.p;
}

/* 1: intact, 0: not, negative: could not be read. */
static int payload_intact(struct scan *s, const struct frame_header *h, uint64_t at,
                          struct err *err)
{
    uint32_t crc = 0;
    uint64_t left = h->payload_length;
    while (left) {
        uint64_t n = MIN(left, (uint64_t)WINDOW);
        const char *p = need(s, at, n, err);
        if (!p)
            return -1;
        crc = crc32c(crc, p, n);
        at += n;
        left -= n;
    }
    return crc == h->payload_crc;
}

static enum scan_result bad(struct scan *s, uint64_t resume, const char **ret_what,
                            const char *what)
{
    s->resume = MIN(resume, s->end);
    if (ret_what)
        *ret_what = what;
    return SCAN_BAD;
}

static enum scan_result unreadable(struct scan *s, uint64_t resume, const char **ret_what)
{
    return s->unreadable && s->tolerant ? bad(s, resume, ret_what, "unreadable") : SCAN_FAILED;
}

static uint64_t next_sector(uint64_t at)
{
    return (at / SECTOR + 1) * SECTOR;
}

static bool header_at(struct scan *s, const char *p, uint64_t at, struct frame_header *ret)
{
    struct frame_place place = {s->log->key, s->segment->number, at};
    return frame_header_get(p, &place, ret);
}

static void describe(const struct scan *s, const struct frame_header *h, struct log_frame *ret)
{
    *ret = (struct log_frame){.seq = h->seq,
                              .time = h->time,
                              .type = h->type,
                              .version = h->version,
                              .ops_crc = h->ops_crc,
                              .segment = s->segment->number,
                              .offset = s->at,
                              .payload_offset = s->at + FRAME_HEADER + h->ops_length,
                              .payload_length = h->payload_length,
                              .ops_length = h->ops_length,
                              .base = s->segment->kind == SEGMENT_BASE,
                              .durable = h->durable};
}

enum scan_result scan_next(struct scan *s, struct log_frame *ret, struct span *ret_ops,
                           const char **ret_what, struct err *err)
{
    struct frame_header h;
    if (s->at >= s->end) {
        if (!s->cut)
            return SCAN_END;
        s->cut = false;
        return bad(s, s->end, ret_what, "length");
    }
    if (s->end - s->at < FRAME_HEADER)
        return bad(s, s->end, ret_what, "header");
    const char *p = need(s, s->at, FRAME_HEADER, err);
    if (!p)
        return unreadable(s, next_sector(s->at), ret_what);
    if (!header_at(s, p, s->at, &h))
        return bad(s, s->at + FRAME_ALIGN, ret_what, "header");
    describe(s, &h, ret);
    uint64_t after = s->at + frame_size(&h);
    if (after > s->end)
        return bad(s, s->end, ret_what, "length");
    p = need(s, s->at + FRAME_HEADER, h.ops_length, err);
    if (!p)
        return unreadable(s, after, ret_what);
    if (crc32c(0, p, h.ops_length) != h.ops_crc)
        return bad(s, after, ret_what, "operations");
    if (h.seq >= s->verify_from && h.payload_length) {
        int intact = payload_intact(s, &h, ret->payload_offset, err);
        if (intact < 0)
            return unreadable(s, after, ret_what);
        if (!intact)
            return bad(s, after, ret_what, "payload");
        p = need(s, s->at + FRAME_HEADER, h.ops_length, err);
        if (!p)
            return SCAN_FAILED;
    }
    *ret_ops = span_make(p, h.ops_length);
    s->at = after;
    return SCAN_FRAME;
}

int scan_resync(struct scan *s, struct err *err)
{
    struct frame_header h;
    uint64_t at = s->resume;
    while (at + FRAME_HEADER <= s->end) {
        const char *p = need(s, at, FRAME_HEADER, err);
        if (!p && !(s->unreadable && s->tolerant))
            return ERR_IO;
        if (p && load_le32(p) == (uint32_t)s->log->key && header_at(s, p, at, &h)) {
            s->at = at;
            return 0;
        }
        at = p ? at + FRAME_ALIGN : next_sector(at);
    }
    s->at = s->end;
    s->cut = false;
    return 0;
}
