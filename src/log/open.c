/* log/open.c: making, opening and closing a log; finding its end.
 *
 * The end: frames after the tail that the manifest records are scanned. A frame that is not intact
 * is damage if a later intact frame says that it was durable; else it is the torn end of an append
 * that was never acknowledged, is moved aside, and the log ends before it. Frames above the highest
 * durable mark are verified with their payloads, since nothing proves that those reached the disk.
 */
#include "log/log_int.h"

#include <errno.h>

#include "base/clock.h"

static struct log *log_alloc(const struct log_options *o, const char *dir)
{
    struct log *log = xnew(struct log);
    log->fs = o && o->fs ? o->fs : &log_fs_file;
    log->segment_size = o && o->segment_size ? o->segment_size : 64 << 20;
    log->known_seq = o ? o->known_seq : 0;
    log->dir = xstrndup(dir, strlen(dir));
    log->next_number = 1;
    buf_init(&log->stage_bytes, BUF_UNLIMITED);
    return log;
}

static void log_free(struct log *log)
{
    for (size_t i = 0; i < log->segment_count; i++)
        segment_close(log, &log->segments[i]);
    if (log->lock)
        log->fs->close(log->fs->ctx, log->lock);
    buf_done(&log->stage_bytes);
    free(log->pieces);
    free(log->segments);
    free(log->dir);
    free(log);
}

static int take_lock(struct log *log, struct err *err)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&path, "%s/lock", log->dir);
    int rc = log->fs->lock(log->fs->ctx, path.p, &log->lock);
    if (rc == -ENOENT)
        return err_set(err, ERR_NOT_FOUND, "%s does not exist", log->dir);
    if (rc == -EWOULDBLOCK)
        return err_set(err, ERR_BUSY, "%s is in use by another process", log->dir);
    return rc ? log_errno(err, rc, "lock", path.p) : 0;
}

int log_create(const struct log_options *o, const char *dir, const unsigned char id[LOG_ID_LEN],
               struct err *err)
{
    struct log *log = log_alloc(o, dir);
    struct segment *s;
    int rc = log->fs->make_dir(log->fs->ctx, dir);
    if (rc && rc != -EEXIST)
        rc = log_errno(err, rc, "make directory", dir);
    else
        rc = take_lock(log, err);
    if (rc == 0) {
        rc = manifest_read(log, NULL);
        rc = rc == ERR_NOT_FOUND ? 0 : rc == 0 ? err_set(err, ERR_EXISTS, "%s has a log", dir) : rc;
    }
    if (rc == 0) {
        memcpy(log->id, id, LOG_ID_LEN);
        log->incarnation = 1;
        log->replay_segment = 1;
        rc = segment_create(log, 1, SEGMENT_LOG, 1, &s, err);
    }
    if (rc == 0 && (rc = log->fs->sync(log->fs->ctx, s->file)) != 0)
        rc = log_errno(err, rc, "sync", dir);
    if (rc == 0)
        rc = manifest_write(log, err);
    log_free(log);
    return rc;
}

/* --- files that the manifest does not know --- */

struct found {
    uint64_t *numbers;
    size_t n;
};

static int note_file(void *arg, const char *name)
{
    struct found *f = arg;
    uint64_t v = 0;
    if (strlen(name) != 16)
        return 0;
    for (const char *p = name; *p; p++) {
        const char *digits = "0123456789abcdef", *d = strchr(digits, *p);
        if (!d)
            return 0;
        v = v << 4 | (uint64_t)(d - digits);
    }
    f->numbers = xrealloc_array(f->numbers, f->n + 1, sizeof(uint64_t));
    f->numbers[f->n++] = v;
    return 0;
}

static int set_aside(struct log *log, uint64_t number, struct err *err)
{
    autofree char *from = segment_path(log, "", number);
    autobuf prefix = BUF_INIT(64);
    buf_printf(&prefix, "torn-%llx-", (unsigned long long)clock_wall_us());
    autofree char *to = segment_path(log, prefix.p, number);
    int rc = log->fs->rename(log->fs->ctx, from, to);
    return rc ? log_errno(err, rc, "rename", from) : 0;
}

static int adopt_file(struct log *log, uint64_t number, struct err *err)
{
    char bytes[SEGMENT_HEADER];
    struct segment_header h;
    autofree char *path = segment_path(log, "", number);
    struct log_file *f;
    int rc = log->fs->open(log->fs->ctx, path, LOG_FS_WRITE, &f);
    if (rc)
        return log_errno(err, rc, "open", path);
    int64_t n = log->fs->pread(log->fs->ctx, f, bytes, sizeof(bytes), 0);
    log->fs->close(log->fs->ctx, f);
    if (n < 0)
        return log_errno(err, (int)n, "read", path);
    if (n < SEGMENT_HEADER || !segment_header_get(bytes, &h) || h.number != number ||
        memcmp(h.id, log->id, LOG_ID_LEN) != 0)
        return set_aside(log, number, err); /* made, but its header never reached the disk */
    if (h.kind == SEGMENT_BASE) {           /* a compaction that was not finished */
        rc = log->fs->unlink(log->fs->ctx, path);
        return rc ? log_errno(err, rc, "remove", path) : 0;
    }
    segment_add(log, number, h.kind)->first_seq = h.first_seq;
    return 0;
}

static int adopt_files(struct log *log, struct err *err)
{
    struct found found = {0};
    int rc = log->fs->list(log->fs->ctx, log->dir, note_file, &found);
    if (rc)
        rc = log_errno(err, rc, "list", log->dir);
    for (size_t i = 0; i < found.n && rc == 0; i++) {
        log->next_number = MAX(log->next_number, found.numbers[i] + 1);
        if (!segment_find(log, found.numbers[i]))
            rc = adopt_file(log, found.numbers[i], err);
    }
    free(found.numbers);
    return rc;
}

static int measure_segments(struct log *log, struct err *err)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = &log->segments[i];
        int rc = segment_open(log, s, err);
        if (rc && s->role == LOG_SEGMENT_DROPPED) /* its time had come */
            continue;
        if (rc)
            return rc;
        int64_t size = log->fs->size(log->fs->ctx, s->file);
        if (size < 0)
            return log_errno(err, (int)size, "size of a segment in", log->dir);
        s->size = (uint64_t)size;
    }
    return 0;
}

/* --- the end --- */

struct tail {
    uint64_t segment, end; /* where the log ends */
    uint64_t last_seq;
    uint64_t watermark; /* the highest sequence number known durable */
    uint64_t damaged;
};

static bool is_log(const struct segment *s)
{
    return s->kind == SEGMENT_LOG && s->role == LOG_SEGMENT_REPLAY;
}

/* The highest watermark that any intact frame from the tail on carries. */
static int find_watermark(struct log *log, struct tail *t, struct err *err)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = &log->segments[i];
        if (!is_log(s) || s->number < log->tail_segment || s->size < SEGMENT_HEADER)
            continue;
        struct scan scan;
        struct log_frame f;
        struct span ops;
        enum scan_result r;
        int rc = segment_open(log, s, err);
        if (rc)
            return rc;
        scan_init(&scan, log, s, s->number == log->tail_segment ? log->tail_size : SEGMENT_HEADER,
                  s->size);
        while ((r = scan_next(&scan, &f, &ops, NULL, err)) == SCAN_FRAME ||
               (r == SCAN_BAD && scan_resync(&scan, err)))
            if (r == SCAN_FRAME)
                t->watermark = MAX(t->watermark, f.durable);
        scan_done(&scan);
        if (r == SCAN_FAILED)
            return ERR_IO;
    }
    return 0;
}

/* Walks one segment to where the log ends in it. Returns 1 if it ends before the end of the file.
 */
static int walk_tail(struct log *log, struct segment *s, uint64_t at, struct tail *t,
                     struct err *err)
{
    struct scan scan;
    struct log_frame f;
    struct span ops;
    enum scan_result r;
    int rc = 0;
    scan_init(&scan, log, s, at, s->size);
    for (;;) {
        uint64_t start = scan.at;
        scan.payloads = t->last_seq + 1 > t->watermark;
        r = scan_next(&scan, &f, &ops, NULL, err);
        if (r == SCAN_FRAME && f.seq > t->last_seq) {
            t->last_seq = f.seq;
            t->segment = s->number;
            t->end = scan.at;
            continue;
        }
        if (r == SCAN_END)
            break;
        if (r == SCAN_FAILED) {
            rc = ERR_IO;
            break;
        }
        if (t->last_seq + 1 > t->watermark) { /* nothing proves that it ever was complete */
            t->segment = s->number;
            t->end = start;
            rc = 1;
            break;
        }
        t->damaged++;
        scan.at = start;
        if (!scan_resync(&scan, err))
            break; /* the rest of this segment is damaged; a later one proves that there was more */
    }
    scan_done(&scan);
    return rc;
}

static int find_tail(struct log *log, struct tail *t, struct err *err)
{
    *t = (struct tail){.segment = log->tail_segment,
                       .end = log->tail_size,
                       .last_seq = log->tail_seq,
                       .watermark = log->tail_seq};
    int rc = find_watermark(log, t, err);
    for (size_t i = 0; i < log->segment_count && rc == 0; i++) {
        struct segment *s = &log->segments[i];
        if (!is_log(s) || s->number < log->tail_segment)
            continue;
        if ((rc = segment_open(log, s, err)) != 0)
            break;
        bool first = s->number == log->tail_segment;
        if (!first && s->number > t->segment && s->first_seq > t->last_seq) {
            t->segment = s->number; /* also where it holds no frame yet */
            t->end = SEGMENT_HEADER;
        }
        rc = walk_tail(log, s, first ? log->tail_size : SEGMENT_HEADER, t, err);
    }
    return rc < 0 ? rc : 0;
}

static int copy_aside(struct log *log, struct segment *s, uint64_t from, struct err *err)
{
    autobuf prefix = BUF_INIT(64), bytes = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&prefix, "torn-%llx-", (unsigned long long)clock_wall_us());
    autofree char *path = segment_path(log, prefix.p, s->number);
    void *ctx = log->fs->ctx;
    struct log_file *f;
    size_t n = s->size - from;
    int64_t got = log->fs->pread(ctx, s->file, buf_reserve(&bytes, n), n, from);
    if (got < 0)
        return log_errno(err, (int)got, "read segment in", log->dir);
    int rc = log->fs->open(ctx, path, LOG_FS_WRITE | LOG_FS_CREATE, &f);
    if (rc)
        return log_errno(err, rc, "create", path);
    struct iovec iov = {bytes.p, (size_t)got};
    int64_t put = log->fs->pwritev(ctx, f, &iov, 1, 0);
    rc = put < 0 ? (int)put : log->fs->sync(ctx, f);
    log->fs->close(ctx, f);
    return rc ? log_errno(err, rc, "write", path) : 0;
}

/* What follows the end is moved aside: its bytes are kept for people, not for replay. */
static int cut_tail(struct log *log, const struct tail *t, struct log_report *report,
                    struct err *err)
{
    for (size_t i = log->segment_count; i-- > 0;) {
        struct segment *s = &log->segments[i];
        int rc = 0;
        if (!is_log(s) || s->number < t->segment)
            continue;
        if (s->number > t->segment) {
            report->torn_bytes += s->size > SEGMENT_HEADER ? s->size - SEGMENT_HEADER : 0;
            segment_close(log, s);
            rc = set_aside(log, s->number, err);
            memmove(s, s + 1, (log->segment_count - i - 1) * sizeof(*s));
            log->segment_count--;
        } else if (s->size > t->end) {
            report->torn_bytes += s->size - t->end;
            rc = copy_aside(log, s, t->end, err);
            if (rc == 0 && (rc = log->fs->truncate(log->fs->ctx, s->file, t->end)) != 0)
                rc = log_errno(err, rc, "truncate a segment in", log->dir);
            s->size = t->end;
        }
        if (rc)
            return rc;
    }
    return 0;
}

/* A killed process leaves frames behind that were written but not synced: before anything of them
 * is shown, they are made durable. */
static int sync_tail(struct log *log, struct err *err)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        struct segment *s = &log->segments[i];
        if (s->number < log->tail_segment || !s->file)
            continue;
        int rc = log->fs->sync(log->fs->ctx, s->file);
        if (rc)
            return log_errno(err, rc, "sync a segment in", log->dir);
    }
    int rc = log->fs->sync_dir(log->fs->ctx, log->dir);
    return rc ? log_errno(err, rc, "sync", log->dir) : 0;
}

static int begin_incarnation(struct log *log, struct err *err)
{
    struct segment *s;
    log->incarnation++;
    log->last_seq = log->durable_seq = log->known_seq;
    int rc = segment_create(log, log->next_number, SEGMENT_LOG, log->known_seq + 1, &s, err);
    if (rc == 0 && (rc = log->fs->sync(log->fs->ctx, s->file)) != 0)
        rc = log_errno(err, rc, "sync a segment in", log->dir);
    return rc ? rc : manifest_write(log, err);
}

static int open_tail(struct log *log, struct log_report *report, struct err *err)
{
    struct tail t;
    struct segment *current = segment_current(log);
    if (!current)
        return err_set(err, ERR_CORRUPT, "%s has no segment to write to", log->dir);
    int rc = segment_open(log, current, err);
    if (rc)
        return rc;
    if (current->number == log->tail_segment && current->size == log->tail_size) {
        log->last_seq = log->durable_seq = log->tail_seq; /* closed cleanly */
    } else {
        rc = find_tail(log, &t, err);
        if (rc == 0)
            rc = cut_tail(log, &t, report, err);
        if (rc == 0)
            rc = sync_tail(log, err);
        if (rc)
            return rc;
        log->last_seq = log->durable_seq = t.last_seq;
        log->tail_moved = true;
        report->damaged_frames = t.damaged;
    }
    if (log->known_seq > log->last_seq) {
        rc = begin_incarnation(log, err);
        report->new_incarnation = true;
    }
    return rc;
}

int log_open(const struct log_options *o, const char *dir, struct log **ret,
             struct log_report *report, struct err *err)
{
    struct log_report none;
    if (!report)
        report = &none;
    *report = (struct log_report){0};
    struct log *log = log_alloc(o, dir);
    int rc = take_lock(log, err);
    if (rc == 0)
        rc = manifest_read(log, err);
    if (rc == 0)
        rc = adopt_files(log, err);
    if (rc == 0)
        rc = measure_segments(log, err);
    if (rc == 0)
        rc = open_tail(log, report, err);
    if (rc) {
        log_free(log);
        return rc;
    }
    report->last_seq = log->last_seq;
    report->incarnation = log->incarnation;
    *ret = log;
    return 0;
}

void log_close(struct log *log)
{
    if (!log)
        return;
    log_unstage(log);
    if (log->tail_moved && !log->closed && log->durable_seq == log->last_seq) {
        int rc = manifest_write(log, NULL); /* only saves the next opening a scan */
        (void)rc;
    }
    log_free(log);
}

const unsigned char *log_id(const struct log *log)
{
    return log->id;
}

uint64_t log_last_seq(const struct log *log)
{
    return log_has_staged(log) ? log->staged_seq : log->last_seq;
}

uint64_t log_durable_seq(const struct log *log)
{
    return log->durable_seq;
}

uint32_t log_incarnation(const struct log *log)
{
    return log->incarnation;
}

bool log_is_closed(const struct log *log)
{
    return log->closed;
}
