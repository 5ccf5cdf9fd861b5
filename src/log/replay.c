/* log/replay.c: all frames after a given one, and the check of all of them. */
#include "log/log_int.h"

uint64_t log_first_seq(const struct log *log)
{
    return log->replay_seq ? log->replay_seq : 1;
}

typedef int replay_fn(void *ctx, const struct log_frame *frame, struct span ops);
typedef void damage_fn(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq);

static int replay_segment(struct log *log, struct segment *s, uint64_t *from, uint64_t start,
                          replay_fn *each, damage_fn *damage, void *ctx, struct err *err)
{
    struct scan scan;
    struct log_frame f;
    struct span ops;
    enum scan_result r;
    int rc = segment_open(log, s, err);
    if (rc)
        return rc;
    scan_init(&scan, log, s, start, s->size);
    for (;;) {
        r = scan_next(&scan, &f, &ops, NULL, err);
        if (r == SCAN_BAD) {
            if (damage)
                damage(ctx, s->number, scan.at, *from + 1);
            if (scan_resync(&scan, err))
                continue;
            r = SCAN_END;
        }
        if (r != SCAN_FRAME)
            break;
        f.base = s->kind == SEGMENT_BASE;
        if (!f.base && f.seq <= *from)
            continue;
        rc = each(ctx, &f, ops);
        if (rc)
            break;
        if (!f.base)
            *from = f.seq;
    }
    scan_done(&scan);
    return r == SCAN_FAILED ? ERR_IO : rc;
}

/* Whether all frames of segment i are at or below seq: the next log segment begins there. */
static bool is_before(const struct log *log, size_t i, uint64_t seq)
{
    for (size_t k = i + 1; k < log->segment_count; k++) {
        const struct segment *s = &log->segments[k];
        if (s->kind == SEGMENT_LOG && s->role == LOG_SEGMENT_REPLAY)
            return s->first_seq <= seq + 1;
    }
    return seq >= log->last_seq;
}

int log_replay(struct log *log, uint64_t from, replay_fn *each, damage_fn *damage, void *ctx,
               struct err *err)
{
    int rc = 0;
    if (log->replay_seq && from < log->replay_seq) {
        for (size_t i = 0; i < log->segment_count && rc == 0; i++)
            if (log->segments[i].kind == SEGMENT_BASE &&
                log->segments[i].role == LOG_SEGMENT_REPLAY)
                rc = replay_segment(log, &log->segments[i], &from, SEGMENT_HEADER, each, damage,
                                    ctx, err);
        from = log->replay_seq;
    }
    for (size_t i = 0; i < log->segment_count && rc == 0; i++) {
        struct segment *s = &log->segments[i];
        if (s->kind != SEGMENT_LOG || s->role != LOG_SEGMENT_REPLAY || is_before(log, i, from))
            continue;
        uint64_t start = SEGMENT_HEADER;
        if (s->number == log->tail_segment && from >= log->tail_seq)
            start = log->tail_size; /* everything before it is older */
        rc = replay_segment(log, s, &from, start, each, damage, ctx, err);
    }
    return rc;
}

/* --- check --- */

struct check {
    void (*damage)(void *ctx, const struct log_damage *d);
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
    uint64_t done, total;
};

static void report(struct check *c, const struct segment *s, uint64_t at, uint64_t seq,
                   const char *what)
{
    struct log_damage d = {s->number, at, seq, what};
    c->damage(c->ctx, &d);
}

static int check_header(struct log *log, struct segment *s, struct check *c, struct err *err)
{
    char bytes[SEGMENT_HEADER];
    struct segment_header h;
    int rc = segment_open(log, s, err);
    if (rc)
        return rc;
    int64_t n = log->fs->pread(log->fs->ctx, s->file, bytes, sizeof(bytes), 0);
    if (n < 0)
        return log_errno(err, (int)n, "read a segment in", log->dir);
    if (n < SEGMENT_HEADER || !segment_header_get(bytes, &h) || h.number != s->number)
        report(c, s, 0, 0, "segment header");
    return 0;
}

static int check_frames(struct log *log, struct segment *s, struct check *c, struct err *err)
{
    struct scan scan;
    struct log_frame f;
    struct span ops;
    enum scan_result r;
    uint64_t seq = s->first_seq;
    const char *what;
    scan_init(&scan, log, s, SEGMENT_HEADER, s->size);
    scan.payloads = true;
    while ((r = scan_next(&scan, &f, &ops, &what, err)) == SCAN_FRAME || r == SCAN_BAD) {
        if (r == SCAN_FRAME) {
            seq = f.seq + 1;
        } else {
            report(c, s, scan.at, seq, what);
            if (!scan_resync(&scan, err))
                break;
        }
        if (c->progress)
            c->progress(c->ctx, c->done + scan.at, c->total);
    }
    scan_done(&scan);
    return r == SCAN_FAILED ? ERR_IO : 0;
}

int log_check(struct log *log, void (*damage)(void *ctx, const struct log_damage *d),
              void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
              struct err *err)
{
    struct check c = {damage, progress, ctx, 0, log_total_size(log)};
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = &log->segments[i];
        if (s->role == LOG_SEGMENT_DROPPED)
            continue;
        int rc = check_header(log, s, &c, err);
        if (rc == 0 && s->kind != SEGMENT_EXTERNAL)
            rc = check_frames(log, s, &c, err);
        if (rc)
            return rc;
        c.done += s->size;
    }
    return 0;
}
