/* log/replay.c: all frames after a given one, and the check of all of them. */
#include "log/log_int.h"

uint64_t log_first_seq(const struct log *log)
{
    return log->replay_seq ? log->replay_seq : 1;
}

typedef int replay_fn(void *ctx, const struct log_frame *frame, struct span ops);
typedef void damage_fn(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq);

struct replay {
    struct log *log;
    uint64_t from; /* the last number that was given, or skipped */
    replay_fn *each;
    damage_fn *damage;
    void *ctx;
    uint32_t incarnation; /* of the last segment that was looked at; 0: not known */
    bool explained;       /* damage was reported: numbers may be missing */
};

static void replay_damage(struct replay *r, const struct segment *s, uint64_t at)
{
    r->explained = true;
    if (r->damage)
        r->damage(r->ctx, s->number, at, r->from + 1);
}

/* A new incarnation leaves out numbers; nothing else may. */
static bool begins_incarnation(struct log *log, struct segment *s, uint32_t before)
{
    char bytes[SEGMENT_HEADER];
    struct segment_header h;
    if (s->incarnation == 0 && s->file &&
        log->fs->pread(log->fs->ctx, s->file, bytes, sizeof(bytes), 0) == SEGMENT_HEADER &&
        segment_header_get(bytes, &h) == 0)
        s->incarnation = h.incarnation;
    return s->incarnation > before;
}

static int replay_frame(struct replay *r, struct segment *s, const struct log_frame *f,
                        struct span ops, uint32_t before)
{
    if (f->base)
        return r->each(r->ctx, f, ops);
    if (f->seq <= r->from || f->seq > r->log->seen_to)
        return 0;
    if (f->seq != r->from + 1 && !r->explained &&
        !(f->seq == s->first_seq && begins_incarnation(r->log, s, before)))
        replay_damage(r, s, f->offset); /* frames are gone without leaving a trace */
    r->explained = false;
    int rc = r->each(r->ctx, f, ops);
    if (rc == 0)
        r->from = f->seq;
    return rc;
}

static int replay_segment(struct replay *r, struct segment *s, uint64_t start, struct err *err)
{
    struct log *log = r->log;
    struct scan scan;
    struct log_frame f;
    struct span ops;
    enum scan_result result = SCAN_END;
    uint32_t before = r->incarnation;
    int rc = scan_init(&scan, log, s, start, s->size, err);
    if (rc == ERR_CORRUPT) { /* the file is missing */
        scan_done(&scan);
        replay_damage(r, s, 0);
        return 0;
    }
    scan.tolerant = true;
    while (rc == 0) {
        result = scan_next(&scan, &f, &ops, NULL, err);
        if (result == SCAN_FRAME) {
            rc = replay_frame(r, s, &f, ops, before);
        } else if (result == SCAN_BAD) {
            replay_damage(r, s, scan.at);
            rc = scan_resync(&scan, err);
        } else {
            break;
        }
    }
    if (begins_incarnation(log, s, 0))
        r->incarnation = s->incarnation;
    scan_done(&scan);
    return result == SCAN_FAILED ? ERR_IO : rc;
}

/* Whether all frames of segment i are at or below seq: the next log segment begins there. */
static bool is_before(const struct log *log, size_t i, uint64_t seq)
{
    for (size_t k = i + 1; k < log->segment_count; k++)
        if (segment_is_replayed_log(log->segments[k]))
            return log->segments[k]->first_seq <= seq + 1;
    return seq >= log->last_seq;
}

int log_replay(struct log *log, uint64_t from, replay_fn *each, damage_fn *damage, void *ctx,
               struct err *err)
{
    /* Nothing comes before the first segment of all; before others, what is not known. */
    uint32_t before = from == 0 && log->replay_seq == 0 ? UINT32_MAX : 0;
    struct replay r = {log, from, each, damage, ctx, before, false};
    int rc = 0;
    if (log->replay_seq && from < log->replay_seq) {
        for (size_t i = 0; i < log->segment_count && rc == 0; i++) {
            struct segment *s = log->segments[i];
            if (s->kind == SEGMENT_BASE && s->role == LOG_SEGMENT_REPLAY)
                rc = replay_segment(&r, s, SEGMENT_HEADER, err);
        }
        r.from = log->replay_seq;
    }
    r.explained = false;
    for (size_t i = 0; i < log->segment_count && rc == 0; i++) {
        struct segment *s = log->segments[i];
        if (!segment_is_replayed_log(s) || is_before(log, i, r.from))
            continue;
        uint64_t start = SEGMENT_HEADER;
        if (s->number == log->tail_segment && r.from >= log->tail_seq)
            start = log->tail_size; /* everything before it is older */
        rc = replay_segment(&r, s, start, err);
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
    if (rc == ERR_CORRUPT) {
        report(c, s, 0, s->first_seq, "file");
        return 1;
    }
    if (rc)
        return rc;
    int64_t n = log->fs->pread(log->fs->ctx, s->file, bytes, sizeof(bytes), 0);
    if (n < SEGMENT_HEADER || segment_header_get(bytes, &h) || h.number != s->number ||
        memcmp(h.id, log->id, LOG_ID_LEN) != 0)
        report(c, s, 0, 0, n < 0 ? "unreadable" : "segment header");
    int64_t size = log->fs->size(log->fs->ctx, s->file);
    if (s->kind == SEGMENT_EXTERNAL && size >= 0 && (uint64_t)size < s->size)
        report(c, s, (uint64_t)size, 0, "length");
    return 0;
}

static int check_frames(struct log *log, struct segment *s, struct check *c, struct err *err)
{
    struct scan scan;
    struct log_frame f;
    struct span ops;
    enum scan_result r = SCAN_FAILED;
    uint64_t seq = s->first_seq;
    const char *what;
    int rc = scan_init(&scan, log, s, SEGMENT_HEADER, s->size, err);
    scan.verify_from = 0;
    scan.tolerant = true;
    while (rc == 0 &&
           ((r = scan_next(&scan, &f, &ops, &what, err)) == SCAN_FRAME || r == SCAN_BAD)) {
        if (r == SCAN_FRAME) {
            /* damage before it has been reported */
            if (!f.base && f.seq > seq)
                report(c, s, f.offset, seq, "gap");
            seq = f.base ? f.seq : f.seq + 1;
        } else {
            report(c, s, scan.at, seq, what);
            seq = UINT64_MAX;
            rc = scan_resync(&scan, err);
        }
        if (c->progress)
            c->progress(c->ctx, c->done + scan.at, c->total);
    }
    scan_done(&scan);
    return rc ? rc : r == SCAN_FAILED ? ERR_IO : 0;
}

int log_check(struct log *log, void (*damage)(void *ctx, const struct log_damage *d),
              void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx,
              struct err *err)
{
    struct check c = {damage, progress, ctx, 0, log_total_size(log)};
    if (!manifest_is_whole(log))
        damage(ctx, &(struct log_damage){.what = "manifest"});
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = log->segments[i];
        if (s->role == LOG_SEGMENT_DROPPED)
            continue;
        int rc = check_header(log, s, &c, err);
        if (rc == 0 && s->kind != SEGMENT_EXTERNAL)
            rc = check_frames(log, s, &c, err);
        if (rc < 0)
            return rc;
        c.done += s->size;
    }
    return 0;
}
