/* log/scan.c: reading frames one after the other.
 *
 * Payloads are skipped unless asked for: small ones are read through, large ones jumped over. */
#include "base/crc32c.h"
#include "log/log_int.h"

enum { WINDOW = 256 * 1024 };

void scan_init(struct scan *s, struct log *log, struct segment *segment, uint64_t at, uint64_t end)
{
    *s = (struct scan){.log = log, .segment = segment, .at = at, .end = end};
    buf_init(&s->window, BUF_UNLIMITED);
}

void scan_done(struct scan *s)
{
    buf_done(&s->window);
}

/* n bytes at `at`, which must lie before s->end. NULL: I/O error. */
static const char *need(struct scan *s, uint64_t at, uint64_t n, struct err *err)
{
    if (at >= s->window_at && at + n <= s->window_at + s->window.n)
        return s->window.p + (at - s->window_at);
    uint64_t want = MIN(MAX(n, (uint64_t)WINDOW), s->end - at);
    buf_reset(&s->window);
    char *to = buf_reserve(&s->window, want);
    int64_t got = s->log->fs->pread(s->log->fs->ctx, s->segment->file, to, want, at);
    if (got < 0 || (uint64_t)got < n) {
        if (got >= 0)
            err_set(err, ERR_IO, "segment %llx is shorter than it was",
                    (unsigned long long)s->segment->number);
        else
            log_errno(err, (int)got, "read segment", s->log->dir);
        return NULL;
    }
    buf_commit(&s->window, (size_t)got);
    s->window_at = at;
    return s->window.p;
}

static bool payload_intact(struct scan *s, const struct frame_header *h, uint64_t at,
                           struct err *err)
{
    uint32_t crc = 0;
    uint64_t left = h->payload_length;
    while (left) {
        uint64_t n = MIN(left, (uint64_t)WINDOW);
        const char *p = need(s, at, n, err);
        if (!p)
            return false;
        crc = crc32c(crc, p, n);
        at += n;
        left -= n;
    }
    return crc == h->payload_crc;
}

static enum scan_result bad(const char **ret_what, const char *what)
{
    if (ret_what)
        *ret_what = what;
    return SCAN_BAD;
}

enum scan_result scan_next(struct scan *s, struct log_frame *ret, struct span *ret_ops,
                           const char **ret_what, struct err *err)
{
    struct frame_header h;
    if (s->at >= s->end)
        return SCAN_END;
    if (s->end - s->at < FRAME_HEADER)
        return bad(ret_what, "header");
    const char *p = need(s, s->at, FRAME_HEADER, err);
    if (!p)
        return SCAN_FAILED;
    if (!frame_header_get(p, &h))
        return bad(ret_what, "header");
    *ret = (struct log_frame){.seq = h.seq,
                              .time = h.time,
                              .type = h.type,
                              .version = h.version,
                              .ops_crc = h.ops_crc,
                              .segment = s->segment->number,
                              .offset = s->at,
                              .payload_offset = s->at + FRAME_HEADER + h.ops_length,
                              .payload_length = h.payload_length,
                              .ops_length = h.ops_length,
                              .durable = h.durable};
    if (s->end - s->at < frame_size(&h))
        return bad(ret_what, "length");
    if (s->payloads) {
        struct err none = {0};
        if (!payload_intact(s, &h, ret->payload_offset, &none)) {
            if (none.code)
                *err = none;
            return none.code ? SCAN_FAILED : bad(ret_what, "payload");
        }
    }
    p = need(s, s->at + FRAME_HEADER, h.ops_length, err);
    if (!p)
        return SCAN_FAILED;
    if (crc32c(0, p, h.ops_length) != h.ops_crc)
        return bad(ret_what, "operations");
    *ret_ops = span_make(p, h.ops_length);
    s->at += frame_size(&h);
    return SCAN_FRAME;
}

bool scan_resync(struct scan *s, struct err *err)
{
    struct frame_header h;
    for (uint64_t at = s->at + FRAME_ALIGN; at + FRAME_HEADER <= s->end; at += FRAME_ALIGN) {
        const char *p = need(s, at, FRAME_HEADER, err);
        if (!p)
            return false;
        if (load_le32(p) == FRAME_MAGIC && frame_header_get(p, &h)) {
            s->at = at;
            return true;
        }
    }
    return false;
}
