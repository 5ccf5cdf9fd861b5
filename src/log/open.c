/* log/open.c: making, opening and closing a log; which files belong to it. */
#include "log/log_int.h"

#include <errno.h>

#include "base/random.h"

struct log *log_alloc(const struct log_options *o, const char *dir)
{
    struct log *log = xnew(struct log);
    log->fs = o && o->fs ? o->fs : &log_fs_file;
    log->segment_size = o && o->segment_size ? o->segment_size : 64 << 20;
    log->known_seq = o ? o->known_seq : 0;
    log->dir = xstrndup(dir, strlen(dir));
    log->next_number = 1;
    log->seen_to = UINT64_MAX;
    list_init(&log->used);
    buf_init(&log->stage_bytes, BUF_UNLIMITED);
    return log;
}

void log_free(struct log *log)
{
    for (size_t i = 0; i < log->segment_count; i++) {
        segment_close(log, log->segments[i]);
        free(log->segments[i]);
    }
    if (log->lock)
        log->fs->close(log->fs->ctx, log->lock);
    buf_done(&log->stage_bytes);
    free(log->pieces);
    free(log->iov);
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

/* The directory's own entry. */
static int sync_parent(struct log *log)
{
    const char *slash = strrchr(log->dir, '/');
    autofree char *parent = !slash              ? xstrndup(".", 1)
                            : slash == log->dir ? xstrndup("/", 1)
                                                : xstrndup(log->dir, (size_t)(slash - log->dir));
    return log->fs->sync_dir(log->fs->ctx, parent);
}

static int create_files(struct log *log, struct err *err)
{
    int rc = manifest_read(log, NULL);
    if (rc != ERR_NOT_FOUND)
        return rc ? rc : err_set(err, ERR_EXISTS, "%s has a log", log->dir);
    log->incarnation = 1;
    log->replay_segment = 1;
    rc = segment_create_synced(log, 1, err);
    if (rc == 0 && (rc = sync_parent(log)) != 0)
        rc = log_errno(err, rc, "sync what holds", log->dir);
    return rc ? rc : manifest_write(log, err);
}

int log_create(const struct log_options *o, const char *dir, const unsigned char id[LOG_ID_LEN],
               struct err *err)
{
    struct log *log = log_alloc(o, dir);
    memcpy(log->id, id, LOG_ID_LEN);
    random_bytes(&log->key, sizeof(log->key));
    int rc = log->fs->make_dir(log->fs->ctx, dir);
    if (rc && rc != -EEXIST)
        rc = log_errno(err, rc, "make directory", dir);
    else
        rc = take_lock(log, err);
    if (rc == 0)
        rc = create_files(log, err);
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

static int remove_file(struct log *log, uint64_t number, struct err *err)
{
    autofree char *path = segment_path(log, "", number);
    int rc = log->fs->unlink(log->fs->ctx, path);
    return rc && rc != -ENOENT ? log_errno(err, rc, "remove", path) : 0;
}

/* The first intact frame in a segment; seq 0 if there is none. */
static int first_frame(struct log *log, struct segment *s, struct log_frame *ret, struct err *err)
{
    struct scan scan;
    struct log_frame f = {0};
    struct span ops;
    enum scan_result r = SCAN_END;
    *ret = f;
    int rc = scan_init(&scan, log, s, SEGMENT_HEADER, s->size, err);
    if (rc == 0)
        r = scan_next(&scan, &f, &ops, NULL, err);
    while (r == SCAN_BAD && (rc = scan_resync(&scan, err)) == 0)
        r = scan_next(&scan, &f, &ops, NULL, err);
    if (r == SCAN_FRAME)
        *ret = f;
    scan_done(&scan);
    return r == SCAN_FAILED ? ERR_IO : rc;
}

/* A segment whose header is not intact. Begun but never synced: then it holds nothing that was
 * acknowledged. Or rotten: then its contents are as good as ever. */
static int load_headless(struct log *log, struct segment *s, bool listed, struct err *err)
{
    struct log_frame f;
    if (listed && s->kind == SEGMENT_LOG) { /* what it should hold is known elsewhere */
        s->headless = true;
        return 0;
    }
    int rc = first_frame(log, s, &f, err);
    if (rc)
        return rc;
    bool base = f.seq && f.durable == f.seq; /* of a compaction that was not finished */
    if (f.seq && !base && s->kind == SEGMENT_LOG) {
        s->first_seq = s->first_seq ? s->first_seq : f.seq;
        s->headless = true;
        return 0;
    }
    if (s->size > SEGMENT_HEADER && !base) { /* if nothing refers to it, the store will drop it */
        s->kind = SEGMENT_EXTERNAL;
        s->role = LOG_SEGMENT_EXTERNAL;
        return 0;
    }
    log->unlisted = log->unlisted || listed;
    uint64_t number = s->number;
    segment_remove(log, s);
    return remove_file(log, number, err);
}

/* Looks at a segment that may have changed since the manifest was written. */
static int load_segment(struct log *log, struct segment *s, bool listed, struct err *err)
{
    char bytes[SEGMENT_HEADER];
    struct segment_header h;
    int rc = segment_open(log, s, err);
    if (rc == ERR_CORRUPT && listed) { /* the rest stays readable */
        s->missing = s->sealed = true;
        s->size = SEGMENT_HEADER;
        log->lost += s->role != LOG_SEGMENT_DROPPED;
        return 0;
    }
    if (rc)
        return rc;
    int64_t size = log->fs->size(log->fs->ctx, s->file);
    int64_t n = size < 0 ? size : log->fs->pread(log->fs->ctx, s->file, bytes, sizeof(bytes), 0);
    if (n < 0)
        return log_errno(err, (int)n, "read a segment in", log->dir);
    s->size = (uint64_t)size;
    rc = n < SEGMENT_HEADER ? ERR_CORRUPT : segment_header_get(bytes, &h);
    if (rc == ERR_VERSION)
        return err_set(err, rc, "segment %llx in %s was written by a newer version",
                       (unsigned long long)s->number, log->dir);
    if (rc || h.number != s->number || memcmp(h.id, log->id, LOG_ID_LEN) != 0)
        return load_headless(log, s, listed, err);
    s->incarnation = h.incarnation;
    if (listed)
        return 0;
    s->kind = h.kind;
    s->first_seq = h.first_seq;
    if (h.kind == SEGMENT_EXTERNAL)
        s->role = LOG_SEGMENT_EXTERNAL;
    if (h.kind == SEGMENT_BASE) { /* of a compaction that was not finished */
        segment_remove(log, s);
        return remove_file(log, h.number, err);
    }
    return 0;
}

/* Files from the manifest's next number on were begun after it. Others that it does not list were
 * removed before: their directory entry came back. */
static int adopt_file(struct log *log, uint64_t number, uint64_t next_number, struct err *err)
{
    if (number < next_number)
        return remove_file(log, number, err);
    return load_segment(log, segment_add(log, number, SEGMENT_LOG), false, err);
}

static int compare_numbers(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

static int load_listed(struct log *log, struct err *err)
{
    for (size_t i = 0; i < log->segment_count;) {
        struct segment *s = log->segments[i];
        size_t count = log->segment_count;
        int rc = s->sealed ? 0 : load_segment(log, s, true, err);
        if (rc)
            return rc;
        i += log->segment_count == count; /* unless it is gone */
    }
    return 0;
}

static int load_segments(struct log *log, struct err *err)
{
    struct found found = {0};
    uint64_t next_number = log->next_number;
    int rc = log->fs->list(log->fs->ctx, log->dir, note_file, &found);
    rc = rc ? log_errno(err, rc, "list", log->dir) : load_listed(log, err);
    if (found.n)
        qsort(found.numbers, found.n, sizeof(*found.numbers), compare_numbers);
    for (size_t i = 0; i < found.n && rc == 0; i++)
        if (found.numbers[i] >= UINT64_MAX / 2)
            continue;
        else if (!segment_find(log, found.numbers[i]))
            rc = adopt_file(log, found.numbers[i], next_number, err);
    free(found.numbers);
    segments_find_current(log);
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
        rc = load_segments(log, err);
    if (rc == 0)
        rc = tail_open(log, report, err);
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
    invariant(!log->syncing);
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

uint64_t log_base_segment(struct log *log)
{
    const struct segment *s = segment_find(log, log->replay_segment);
    return s && s->kind == SEGMENT_BASE ? s->number : 0;
}

uint32_t log_incarnation(const struct log *log)
{
    return log->incarnation;
}

struct log *log_reader_open(const struct log_options *o, const char *dir)
{
    struct log *log = log_alloc(o, dir);
    log->reader = log->closed = true;
    return log;
}

struct log *log_view_open(struct log *log)
{
    struct log_options o = {.fs = log->fs, .segment_size = log->segment_size};
    struct log *view = log_alloc(&o, log->dir);
    memcpy(view->id, log->id, LOG_ID_LEN);
    view->key = log->key;
    view->incarnation = log->incarnation;
    view->replay_segment = log->replay_segment;
    view->replay_seq = log->replay_seq;
    view->last_seq = view->durable_seq = view->seen_to = log->durable_seq;
    for (size_t i = 0; i < log->segment_count; i++) {
        const struct segment *s = log->segments[i];
        struct segment *copy = segment_add(view, s->number, s->kind);
        copy->first_seq = s->first_seq;
        copy->size = s->size;
        copy->role = s->role;
        copy->sealed = s->sealed;
        copy->missing = s->missing;
    }
    view->closed = true;
    view->origin = log;
    log_lease_take(log);
    return view;
}

void log_view_close(struct log *view)
{
    if (!view)
        return;
    log_lease_release(view->origin);
    log_free(view);
}

bool log_is_closed(const struct log *log)
{
    return log->closed;
}
