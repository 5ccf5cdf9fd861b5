/* log/tail.c: where a log ends, when it is opened.
 *
 * Frames after the tail that the manifest records are scanned. A frame that is not intact is damage
 * if a later intact frame says that it was durable; else it is the torn end of an append that was
 * never acknowledged, is moved aside, and the log ends before it. Frames above the highest durable
 * mark are verified with their payloads, since nothing proves that those reached the disk.
 *
 * Invariants: no number that was acknowledged is ever given again; what stays has no gap above the
 * watermark; nothing at or below the watermark is cut. */
#include "log/log_int.h"

#include <errno.h>

#include "base/clock.h"

struct tail {
    uint64_t segment, end; /* where the log ends */
    uint64_t last_seq;
    uint64_t watermark;                     /* the highest sequence number known durable */
    uint64_t unsure_segment, unsure_offset; /* the first frame above it; segment 0: none */
    uint64_t damaged;
    bool after_damage;    /* which explains that numbers are missing */
    bool new_incarnation; /* begun by an opening that was interrupted */
};

static uint64_t start_of(const struct log *log, const struct segment *s)
{
    return s->number == log->tail_segment ? log->tail_size : SEGMENT_HEADER;
}

/* Of the segments that may hold frames after the recorded tail. */
static bool in_tail(const struct log *log, const struct segment *s)
{
    return segment_is_replayed_log(s) && !s->missing && s->number >= log->tail_segment;
}

/* The highest watermark that any intact frame from the tail on carries. */
static int find_watermark(struct log *log, struct tail *t, struct err *err)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = log->segments[i];
        struct scan scan;
        struct log_frame f;
        struct span ops;
        enum scan_result r = SCAN_FAILED;
        if (!in_tail(log, s) || s->size <= start_of(log, s))
            continue;
        int rc = scan_init(&scan, log, s, start_of(log, s), s->size, err);
        while (rc == 0 && ((r = scan_next(&scan, &f, &ops, NULL, err)) == SCAN_FRAME ||
                           (r == SCAN_BAD && (rc = scan_resync(&scan, err)) == 0)))
            if (r == SCAN_FRAME)
                t->watermark = MAX(t->watermark, f.durable);
        scan_done(&scan);
        if (rc || r == SCAN_FAILED)
            return rc ? rc : ERR_IO;
    }
    return 0;
}

/* Whether a frame of this number may follow; counts what is missing before it. */
static bool accept_seq(struct tail *t, uint64_t seq)
{
    if (seq == t->last_seq + 1)
        return true;
    if (seq <= t->last_seq || seq > t->watermark + 1)
        return false;
    t->damaged += !t->after_damage; /* else durable frames are gone without leaving a trace */
    return true;
}

static void accept_frame(struct tail *t, const struct log_frame *f, uint64_t end)
{
    if (f->seq > t->watermark && !t->unsure_segment) {
        t->unsure_segment = f->segment;
        t->unsure_offset = f->offset;
    }
    t->last_seq = f->seq;
    t->segment = f->segment;
    t->end = end;
    t->after_damage = false;
}

static uint64_t align_up(uint64_t at)
{
    return (at + FRAME_ALIGN - 1) / FRAME_ALIGN * FRAME_ALIGN;
}

/* Walks one segment to where the log ends in it. Returns 1 if that is before the end of the file.
 */
static int walk_segment(struct log *log, struct segment *s, uint64_t at, struct tail *t,
                        struct err *err)
{
    struct scan scan;
    struct log_frame f;
    struct span ops;
    enum scan_result r = SCAN_END;
    int rc = scan_init(&scan, log, s, at, MAX(at, s->size), err);
    scan.verify_from = t->watermark + 1;
    while (rc == 0) {
        uint64_t start = scan.at;
        f.seq = 0;
        r = scan_next(&scan, &f, &ops, NULL, err);
        if (r == SCAN_END || r == SCAN_FAILED)
            break;
        if (r == SCAN_FRAME && accept_seq(t, f.seq)) {
            accept_frame(t, &f, scan.at);
            continue;
        }
        t->segment = s->number;
        t->end = start;
        if (t->last_seq >= t->watermark || f.seq > t->watermark) {
            rc = 1; /* nothing proves that it ever was complete */
            break;
        }
        t->damaged += !t->after_damage;
        t->after_damage = true;
        if (r == SCAN_BAD)
            rc = scan_resync(&scan, err);
        t->end = align_up(scan.at);
    }
    scan_done(&scan);
    return r == SCAN_FAILED ? ERR_IO : rc;
}

/* Whether the log goes on in the next segment. */
static bool enter_segment(struct log *log, const struct segment *s, struct tail *t)
{
    if (s->incarnation > log->incarnation) {
        log->incarnation = s->incarnation;
        t->last_seq = t->watermark = MAX(t->last_seq, s->first_seq - 1);
        t->new_incarnation = true;
    } else if (s->first_seq > t->last_seq + 1) {
        if (s->first_seq > t->watermark + 1)
            return false; /* the end of the segment before was lost, unacknowledged */
        t->damaged += !t->after_damage;
        t->after_damage = true;
        t->last_seq = s->first_seq - 1;
    }
    t->damaged += s->headless && s->first_seq <= t->watermark; /* it had one */
    t->segment = s->number;
    t->end = SEGMENT_HEADER;
    return true;
}

static int find_tail(struct log *log, struct tail *t, struct err *err)
{
    const struct segment *first = segment_find(log, log->tail_segment);
    bool cut = first && !first->missing && first->size < log->tail_size;
    if (cut) /* what was durable is not there; the log goes on where it ends now */
        log->tail_size = MAX((uint64_t)SEGMENT_HEADER, align_up(first->size));
    *t = (struct tail){.segment = log->tail_segment,
                       .end = log->tail_size,
                       .last_seq = log->tail_seq,
                       .watermark = MAX(log->tail_seq, log->tail_durable)};
    t->damaged = cut + (first && first->headless);
    int rc = find_watermark(log, t, err);
    for (size_t i = 0; i < log->segment_count && rc == 0; i++) {
        struct segment *s = log->segments[i];
        if (!in_tail(log, s))
            continue;
        if (s->number != log->tail_segment && !enter_segment(log, s, t))
            break;
        rc = walk_segment(log, s, start_of(log, s), t, err);
    }
    if (t->last_seq < t->watermark) { /* acknowledged ones that are lost: never given again */
        t->damaged++;
        t->last_seq = t->watermark;
    }
    return rc < 0 ? rc : 0;
}

/* --- cutting --- */

static char *torn_path(struct log *log, uint64_t number, unsigned attempt)
{
    autobuf prefix = BUF_INIT(64);
    buf_printf(&prefix, "torn-%llx-", (unsigned long long)clock_wall_us() + attempt);
    return segment_path(log, prefix.p, number);
}

static int copy_bytes(struct log *log, struct segment *s, uint64_t from, struct log_file *to,
                      bool in_place)
{
    enum { BLOCK = 1 << 20 };
    autofree char *block = xmalloc(BLOCK);
    int rc = 0;
    for (uint64_t at = from; at < s->size && rc == 0;) {
        int64_t n =
            log->fs->pread(log->fs->ctx, s->file, block, MIN(s->size - at, (uint64_t)BLOCK), at);
        if (n == -EINTR)
            continue;
        if (n <= 0)
            return (int)n;
        struct iovec iov = {block, (size_t)n};
        rc = log_write_at(log, to, &iov, 1, in_place ? at : at - from);
        at += (uint64_t)n;
    }
    return rc;
}

/* What follows the end is kept for people. A full disk must not keep the account closed: then it is
 * given up, since nobody was ever told that it is there. */
static int copy_aside(struct log *log, struct segment *s, uint64_t from, struct err *err)
{
    struct log_file *f;
    autofree char *path = NULL;
    int rc = -EEXIST;
    for (unsigned attempt = 0; rc == -EEXIST && attempt < 1000; attempt++) {
        free(path);
        path = torn_path(log, s->number, attempt);
        rc = log->fs->open(log->fs->ctx, path, LOG_FS_WRITE | LOG_FS_CREATE, &f);
    }
    if (rc == 0) {
        rc = copy_bytes(log, s, from, f, false);
        if (rc == 0)
            rc = log->fs->sync(log->fs->ctx, f);
        log->fs->close(log->fs->ctx, f);
        if (rc)
            log->fs->unlink(log->fs->ctx, path);
    }
    return rc && rc != -ENOSPC && rc != -EDQUOT ? log_errno(err, rc, "write", path) : 0;
}

static int set_aside(struct log *log, struct segment *s, struct err *err)
{
    autofree char *from = segment_path(log, "", s->number), *to = torn_path(log, s->number, 0);
    segment_remove(log, s);
    int rc = log->fs->rename(log->fs->ctx, from, to);
    return rc ? log_errno(err, rc, "rename", from) : 0;
}

static int cut_segment(struct log *log, struct segment *s, uint64_t end, struct log_report *report,
                       struct err *err)
{
    int rc = segment_open(log, s, err);
    if (rc == 0 && s->size > end) {
        report->torn_bytes += s->size - end;
        rc = copy_aside(log, s, end, err);
    }
    if (rc == 0 && s->size != end) {
        rc = log->fs->truncate(log->fs->ctx, s->file, end);
        if (rc)
            rc = log_errno(err, rc, "truncate a segment in", log->dir);
    }
    s->size = end;
    return rc;
}

static int cut_tail(struct log *log, const struct tail *t, struct log_report *report,
                    struct err *err)
{
    int rc = 0;
    for (size_t i = log->segment_count; i-- > 0 && rc == 0;) {
        struct segment *s = log->segments[i];
        if (!in_tail(log, s) || s->number < t->segment)
            continue;
        if (s->number == t->segment) {
            rc = cut_segment(log, s, t->end, report, err);
            continue;
        }
        report->torn_bytes += s->size > SEGMENT_HEADER ? s->size - SEGMENT_HEADER : 0;
        log->unlisted = true;
        rc = set_aside(log, s, err);
    }
    return rc;
}

/* --- making it durable --- */

/* After a failed sync the kernel may hold bytes that it calls clean though they are not on the disk
 * and no later sync would write them. So what nothing proves to be durable is written again. */
static int rewrite(struct log *log, struct segment *s, const struct tail *t)
{
    char header[SEGMENT_HEADER];
    struct iovec iov = {header, sizeof(header)};
    if (s->headless) { /* the header did not reach the disk, or is rotten */
        segment_header_make(log, s->number, s->kind, s->first_seq, header);
        int rc = log_write_at(log, s->file, &iov, 1, 0);
        if (rc)
            return rc;
        s->headless = false;
        s->size = MAX(s->size, (uint64_t)SEGMENT_HEADER);
    }
    uint64_t from = s->number == t->unsure_segment ? t->unsure_offset : 0;
    if (s->size > SEGMENT_HEADER && (!t->unsure_segment || s->number < t->unsure_segment))
        return 0;
    if (from == SEGMENT_HEADER)
        from = 0;
    int rc = copy_bytes(log, s, from, s->file, true);
    return rc == -ENOSPC || rc == -EDQUOT ? 0 : rc; /* where overwriting needs room */
}

/* A killed process leaves frames behind that were written but not synced: before anything of them
 * is shown, they are made durable. */
static int sync_tail(struct log *log, const struct tail *t, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < log->segment_count && rc == 0; i++) {
        struct segment *s = log->segments[i];
        if (s->missing || s->sealed || s->number < log->tail_segment)
            continue;
        rc = segment_open(log, s, err);
        if (rc)
            return rc;
        if (segment_is_replayed_log(s))
            rc = rewrite(log, s, t);
        if (rc == 0)
            rc = log->fs->sync(log->fs->ctx, s->file);
        s->header_synced = rc == 0;
        s->sealed = rc == 0 && s->kind == SEGMENT_EXTERNAL;
    }
    if (rc == 0)
        rc = log->fs->sync_dir(log->fs->ctx, log->dir);
    return rc ? log_errno(err, rc, "sync", log->dir) : 0;
}

static int recover(struct log *log, struct log_report *report, struct err *err)
{
    struct tail t;
    int rc = find_tail(log, &t, err);
    if (rc == 0)
        rc = cut_tail(log, &t, report, err);
    if (rc == 0)
        rc = sync_tail(log, &t, err);
    if (rc)
        return rc;
    log->last_seq = log->durable_seq = t.last_seq;
    log->tail_moved = true;
    report->damaged_frames = t.damaged;
    report->new_incarnation = t.new_incarnation;
    return 0;
}

/* A log that was recovered, or has no usable segment at its end, gets a new manifest: the next
 * opening does not have to find out again. */
static int settle(struct log *log, struct err *err)
{
    int rc = 0;
    const struct segment *s = log->current;
    if (!s || s->missing || s->sealed || s->number < log->tail_segment)
        rc = segment_create_synced(log, log->last_seq + 1, err);
    if (rc == 0 && log->tail_moved) {
        rc = manifest_write(log, err);
        if (rc == ERR_NO_SPACE && !log->unlisted)
            rc = 0; /* the old one is still true */
    }
    return rc;
}

static int begin_incarnation(struct log *log, struct err *err)
{
    log->incarnation++;
    log->last_seq = log->durable_seq = log->known_seq;
    log->tail_moved = true;
    return segment_create_synced(log, log->known_seq + 1, err);
}

int tail_open(struct log *log, struct log_report *report, struct err *err)
{
    struct segment *current = log->current;
    int rc = 0;
    if (current && !current->missing && !current->headless &&
        current->number == log->tail_segment && current->size == log->tail_size &&
        log->tail_durable <= log->tail_seq) {
        /* Closed cleanly. The manifest itself may be one whose last step failed. */
        if ((rc = log->fs->sync_dir(log->fs->ctx, log->dir)) != 0)
            return log_errno(err, rc, "sync", log->dir);
        log->last_seq = log->durable_seq = log->tail_seq;
        current->header_synced = true;
        log->tail_moved = log->unlisted;
    } else {
        rc = recover(log, report, err);
    }
    report->damaged_frames += log->lost;
    if (rc == 0 && log->known_seq > log->last_seq) {
        rc = begin_incarnation(log, err);
        report->new_incarnation = true;
        log->unlisted = true; /* its manifest must be written */
    }
    return rc ? rc : settle(log, err);
}
