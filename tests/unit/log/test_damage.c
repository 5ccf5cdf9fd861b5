/* Rotten bytes anywhere, lost files, forged frames, bad sectors, interrupted incarnations; refused
 * writes that a crash brings back; views in a worker thread. */
#include "support/cmocka.h"

#include <pthread.h>

#include "base/crc32c.h"
#include "workload.h"

enum { FRAMES = 12, PAYLOAD = 200 };

static const unsigned char id[LOG_ID_LEN] = "an account's id";

struct disk {
    struct fault *fault;
    struct log_options options;
    struct log *log;
};

static void disk_new(struct disk *d, uint64_t segment_size)
{
    struct log_fs *fs;
    *d = (struct disk){.fault = fault_new()};
    fs = fault_fs(d->fault);
    d->options = (struct log_options){.fs = fs, .segment_size = segment_size};
    assert_int_equal(fs->make_dir(fs->ctx, "account"), 0);
    assert_int_equal(log_create(&d->options, WORKLOAD_DIR, id, NULL), 0);
    assert_int_equal(log_open(&d->options, WORKLOAD_DIR, &d->log, NULL, NULL), 0);
}

static void kill_log(struct log *log)
{
    if (log)
        log->closed = true;
    log_close(log);
}

static void disk_done(struct disk *d)
{
    kill_log(d->log);
    fault_free(d->fault);
}

static struct log *open_again(struct disk *d, struct log_report *report)
{
    struct err err = {0};
    kill_log(d->log);
    d->log = NULL;
    if (log_open(&d->options, WORKLOAD_DIR, &d->log, report, &err))
        fail_msg("open: %s", err.text);
    return d->log;
}

static void sync_log(struct log *log)
{
    struct log_sync s;
    log_sync_begin(log, &s);
    log_sync_run(&s);
    assert_int_equal(log_sync_end(log, &s, NULL), 0);
}

static struct log_frame put(struct log *log, struct span payload)
{
    struct log_frame f;
    char ops[32];
    snprintf(ops, sizeof(ops), "op %u", (unsigned)log_last_seq(log) + 1);
    assert_int_equal(log_stage(log, 1, 1, span_str(ops), &payload, 1, &f), 0);
    assert_int_equal(log_write(log, NULL), 0);
    return f;
}

/* Frames, each with its own sync, so that every one knows that those before are durable. */
static void put_many(struct disk *d, int n, struct log_frame *frames)
{
    char payload[PAYLOAD];
    for (int i = 0; i < n; i++) {
        memset(payload, 'a' + i, sizeof(payload));
        struct log_frame f = put(d->log, span_make(payload, sizeof(payload)));
        if (frames)
            frames[i] = f;
        sync_log(d->log);
    }
}

struct seen {
    bool seq[512];
    unsigned n, damaged;
};

static int see(void *ctx, const struct log_frame *f, struct span ops)
{
    struct seen *s = ctx;
    char expected[32];
    snprintf(expected, sizeof(expected), "op %u", (unsigned)f->seq);
    assert_true(span_eq(ops, span_str(expected)));
    assert_true(f->seq < 512 && !s->seq[f->seq]);
    s->seq[f->seq] = true;
    s->n++;
    return 0;
}

static void see_damage(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq)
{
    (void)segment;
    (void)offset;
    (void)seq;
    ((struct seen *)ctx)->damaged++;
}

static struct seen replay(struct log *log)
{
    struct seen s = {0};
    assert_int_equal(log_replay(log, 0, see, see_damage, &s, NULL), 0);
    return s;
}

struct found {
    unsigned n;
    struct log_damage last;
};

static void find(void *ctx, const struct log_damage *d)
{
    struct found *f = ctx;
    f->n++;
    f->last = *d;
}

static char *path_of(struct log *log, uint64_t number)
{
    return segment_path(log, "", number);
}

/* One byte of one durable frame flips, anywhere, and the process had been killed: the opening finds
 * damage or (payloads) leaves it to the check; never is anything cut, all others can be read. */
static void flip_everywhere(uint64_t segment_size, bool clean)
{
    struct disk d;
    struct log_frame frames[FRAMES];
    struct log_report report;
    disk_new(&d, segment_size);
    put_many(&d, FRAMES, frames);
    if (clean) {
        log_close(d.log);
        d.log = NULL;
        open_again(&d, &report);
    }
    for (int i = 0; i < FRAMES - 1; i++) {
        uint64_t end = frames[i].payload_offset + PAYLOAD;
        autofree char *path = path_of(d.log, frames[i].segment);
        for (uint64_t at = frames[i].offset; at < end; at += 3) {
            struct fault *copy = fault_crash(d.fault, 0);
            struct disk c = {copy, d.options, NULL};
            struct found found = {0};
            c.options.fs = fault_fs(copy);
            assert_true(fault_flip(copy, path, at, 0x10));
            open_again(&c, &report);
            bool payload = at >= frames[i].payload_offset;
            assert_int_equal(report.last_seq, FRAMES);
            assert_int_equal(report.torn_bytes, 0);
            assert_int_equal(report.damaged_frames, clean || payload ? 0 : 1);
            struct seen s = replay(c.log);
            assert_int_equal(s.n, payload ? FRAMES : FRAMES - 1);
            assert_int_equal(s.damaged, payload ? 0 : 1);
            assert_int_equal(s.seq[i + 1], payload);
            assert_int_equal(log_check(c.log, find, NULL, &found, NULL), 0);
            assert_int_equal(found.n, 1);
            assert_int_equal(found.last.segment, frames[i].segment);
            assert_int_equal(found.last.offset, frames[i].offset);
            assert_int_equal(found.last.seq, frames[i].seq);
            disk_done(&c);
        }
    }
    disk_done(&d);
}

static void test_flip_after_kill(void **state)
{
    (void)state;
    flip_everywhere(1 << 20, false);
}

static void test_flip_in_many_segments(void **state)
{
    (void)state;
    flip_everywhere(700, false);
}

static void test_flip_after_close(void **state)
{
    (void)state;
    flip_everywhere(700, true);
}

/* Two neighbours rot, and the frame that proves that they were durable is itself torn: their
 * numbers are never given again. */
static void test_damage_before_torn_tail(void **state)
{
    (void)state;
    struct disk d;
    struct log_frame frames[FRAMES], last;
    struct log_report report;
    char payload[PAYLOAD] = {0};
    disk_new(&d, 1 << 20);
    put_many(&d, FRAMES, frames);
    last = put(d.log, span_make(payload, sizeof(payload)));
    autofree char *path = path_of(d.log, last.segment);
    assert_true(fault_flip(d.fault, path, frames[FRAMES - 2].offset + 10, 1));
    assert_true(fault_flip(d.fault, path, frames[FRAMES - 1].offset + 10, 1));
    assert_true(fault_flip(d.fault, path, last.payload_offset + 7, 1));
    open_again(&d, &report);
    assert_int_equal(report.last_seq, FRAMES);
    assert_true(report.torn_bytes > 0);
    assert_true(report.damaged_frames > 0);
    put_many(&d, 1, NULL);
    open_again(&d, &report);
    assert_int_equal(report.last_seq, FRAMES + 1);
    struct seen s = replay(d.log);
    assert_int_equal(s.n, FRAMES - 1);
    assert_true(s.seq[FRAMES + 1] && !s.seq[FRAMES] && !s.seq[FRAMES - 1]);
    disk_done(&d);
}

/* A message that contains what looks like a frame of this log, in every respect that its sender can
 * know, is never taken for one. */
static void test_forged_frame(void **state)
{
    (void)state;
    struct disk d;
    struct log_frame outer;
    struct log_report report;
    disk_new(&d, 1 << 20);
    put_many(&d, 3, NULL);
    autobuf payload = BUF_INIT(1 << 20);
    uint64_t at = d.log->current->size + FRAME_HEADER + 4; /* "op 4" */
    buf_put(&payload, "\0\0\0\0", 4);
    at += 4;
    for (int i = 0; i < 50; i++) {
        char header[FRAME_HEADER];
        struct frame_header h = {
            .seq = 4 + (uint64_t)i, .durable = 1000000, .type = 1, .version = 1};
        struct frame_place place = {d.log->key ^ (1ULL << (i % 64)), 1, at};
        frame_header_put(header, &h, &place);
        buf_put(&payload, header, sizeof(header));
        at += FRAME_HEADER;
    }
    outer = put(d.log, buf_span(&payload));
    autofree char *path = path_of(d.log, 1);
    /* The tail is torn in the outer header ... */
    assert_true(fault_flip(d.fault, path, outer.offset + 20, 1));
    open_again(&d, &report);
    assert_int_equal(report.last_seq, 3);
    assert_int_equal(replay(d.log).n, 3);
    /* ... or the header rots later. */
    outer = put(d.log, buf_span(&payload));
    sync_log(d.log);
    put_many(&d, 2, NULL);
    assert_true(fault_flip(d.fault, path, outer.offset + 20, 1));
    open_again(&d, &report);
    assert_int_equal(report.last_seq, 6);
    assert_int_equal(report.damaged_frames, 1);
    assert_int_equal(replay(d.log).n, 5);
    disk_done(&d);
}

/* A frame's copy at another place of the same log is not a frame either. */
static void test_copied_frame(void **state)
{
    (void)state;
    struct disk d;
    struct log_frame frames[3];
    struct span bytes;
    disk_new(&d, 1 << 20);
    put_many(&d, 3, frames);
    autofree char *path = path_of(d.log, 1);
    assert_true(fault_file(d.fault, path, &bytes));
    struct frame_header h;
    struct frame_place here = {d.log->key, 1, frames[1].offset};
    assert_true(frame_header_get(bytes.p + frames[1].offset, &here, &h));
    here.offset += 8;
    assert_false(frame_header_get(bytes.p + frames[1].offset, &here, &h));
    here.offset -= 8;
    here.segment++;
    assert_false(frame_header_get(bytes.p + frames[1].offset, &here, &h));
    disk_done(&d);
}

static void test_lost_segment(void **state)
{
    (void)state;
    for (int clean = 0; clean < 2; clean++)
        for (uint64_t lost = 1; lost <= 3; lost++) {
            struct disk d;
            struct log_report report;
            struct found found = {0};
            disk_new(&d, 700); /* 2 or 3 frames each */
            put_many(&d, FRAMES, NULL);
            if (clean) {
                log_close(d.log);
                d.log = NULL;
                open_again(&d, &report);
            }
            autofree char *path = path_of(d.log, lost);
            uint64_t last = d.log->current->number;
            assert_true(last > lost);
            assert_true(fault_remove(d.fault, path));
            open_again(&d, &report);
            assert_int_equal(report.last_seq, FRAMES);
            struct seen s = replay(d.log);
            assert_true(s.n < FRAMES && s.n >= FRAMES - 3);
            assert_true(s.damaged >= 1);
            if (clean || lost == 1) { /* the manifest knows of it */
                assert_int_equal(log_check(d.log, find, NULL, &found, NULL), 0);
                assert_int_equal(found.n, 1);
                assert_string_equal(found.last.what, "file");
            }
            put_many(&d, 2, NULL);
            open_again(&d, &report);
            assert_int_equal(report.last_seq, FRAMES + 2);
            disk_done(&d);
        }
}

/* An old segment lost its end, at a frame's boundary or not. */
static void test_cut_segment(void **state)
{
    (void)state;
    struct disk d;
    struct log_frame frames[FRAMES];
    struct log_report report;
    disk_new(&d, 1200);
    put_many(&d, FRAMES, frames);
    log_close(d.log);
    d.log = NULL;
    open_again(&d, &report);
    for (uint64_t cut = frames[1].offset - 8; cut <= frames[1].offset + 80; cut += 8) {
        struct fault *copy = fault_crash(d.fault, 0);
        struct disk c = {copy, d.options, NULL};
        struct found found = {0};
        c.options.fs = fault_fs(copy);
        autofree char *path = path_of(d.log, 1);
        assert_true(fault_cut(copy, path, cut));
        open_again(&c, &report);
        assert_int_equal(report.last_seq, FRAMES);
        struct seen s = replay(c.log);
        assert_int_equal(s.seq[1], cut >= frames[1].offset);
        assert_true(s.seq[FRAMES] && !s.seq[2]);
        assert_true(s.damaged >= 1);
        assert_int_equal(log_check(c.log, find, NULL, &found, NULL), 0);
        assert_true(found.n >= 1);
        disk_done(&c);
    }
    disk_done(&d);
}

/* A sector that cannot be read costs the frames in it: later, not at the end, where it proves
 * nothing. */
static void test_bad_sector(void **state)
{
    (void)state;
    struct disk d;
    struct log_frame frames[60], last;
    struct log_report report;
    struct found found = {0};
    char big[PAYLOAD];
    disk_new(&d, 1 << 20);
    memset(big, 'x', sizeof(big));
    for (int i = 0; i < 60; i++)
        frames[i] = put(d.log, span_make(big, sizeof(big)));
    sync_log(d.log);
    log_close(d.log);
    d.log = NULL;
    open_again(&d, &report);
    autofree char *path = path_of(d.log, 1);
    assert_true(fault_bad_sector(d.fault, path, 4096, 8192));
    struct seen s = replay(d.log);
    assert_true(s.n >= 60 - 17 && s.n < 60);
    assert_true(s.damaged >= 1);
    assert_true(s.seq[1] && s.seq[60]);
    assert_int_equal(log_check(d.log, find, NULL, &found, NULL), 0);
    assert_true(found.n >= 1);
    autobuf back = BUF_INIT(1000);
    assert_int_equal(log_read(d.log, 1, 5000, 100, &back, NULL), ERR_IO);
    assert_int_equal(log_read(d.log, 1, frames[50].payload_offset, PAYLOAD, &back, NULL), 0);
    last = put(d.log, span_make(big, sizeof(big)));
    sync_log(d.log);
    assert_true(fault_bad_sector(d.fault, path, last.offset + 70, last.offset + 71));
    kill_log(d.log);
    d.log = NULL;
    assert_int_equal(log_open(&d.options, WORKLOAD_DIR, &d.log, NULL, NULL), ERR_IO);
    disk_done(&d);
}

/* The segment header rots: frames stay, it is reported, also when the manifest does not know the
 * segment yet. */
static void test_segment_header(void **state)
{
    (void)state;
    for (unsigned at = 0; at < 68; at += 3) {
        struct disk d;
        struct log_report report;
        disk_new(&d, 700);
        put_many(&d, FRAMES, NULL);
        for (uint64_t n = 2; n <= 3; n++) {
            autofree char *path = path_of(d.log, n);
            assert_true(fault_flip(d.fault, path, at, 4));
        }
        open_again(&d, &report);
        assert_int_equal(report.last_seq, FRAMES);
        assert_int_equal(report.torn_bytes, 0);
        assert_int_equal(report.damaged_frames, 2);
        assert_int_equal(replay(d.log).n, FRAMES);
        disk_done(&d);
    }
}

static void set_le16(struct fault *f, const char *path, unsigned at, unsigned char from,
                     unsigned char to)
{
    assert_true(fault_flip(f, path, at, from ^ to));
}

/* Written by a newer version: not opened, not touched. */
static void test_newer_version(void **state)
{
    (void)state;
    struct disk d;
    struct span bytes;
    char header[SEGMENT_HEADER];
    disk_new(&d, 700);
    put_many(&d, FRAMES, NULL);
    autofree char *path = path_of(d.log, 2);
    set_le16(d.fault, path, 8, LOG_VERSION, LOG_VERSION + 1);
    assert_true(fault_file(d.fault, path, &bytes));
    memcpy(header, bytes.p, sizeof(header));
    uint32_t crc = crc32c(0, header, 64), old = load_le32(header + 64);
    for (unsigned i = 0; i < 4; i++)
        assert_true(fault_flip(d.fault, path, 64 + i, (unsigned char)((crc ^ old) >> (8 * i))));
    kill_log(d.log);
    d.log = NULL;
    assert_int_equal(log_open(&d.options, WORKLOAD_DIR, &d.log, NULL, NULL), ERR_VERSION);
    disk_done(&d);
}

static void note_manifest(void *ctx, const struct log_damage *d)
{
    assert_string_equal(d->what, "manifest");
    ++*(int *)ctx;
}

/* It is there twice: a damaged copy is told, and does no harm. Both damaged are not guessed at. */
static void test_manifest(void **state)
{
    enum { SECOND = 4096 };
    (void)state;
    struct disk d;
    struct span bytes;
    const char *path = WORKLOAD_DIR "/manifest";
    disk_new(&d, 700);
    put_many(&d, FRAMES, NULL);
    log_close(d.log);
    d.log = NULL;
    assert_true(fault_file(d.fault, path, &bytes));
    assert_true(bytes.n > SECOND && bytes.n < 2 * (size_t)SECOND);
    for (size_t at = 0, n = bytes.n - SECOND; at < n; at++) {
        for (size_t copy = 0; copy <= SECOND; copy += SECOND) {
            int told = 0;
            assert_true(fault_flip(d.fault, path, copy + at, 1));
            assert_int_equal(log_open(&d.options, WORKLOAD_DIR, &d.log, NULL, NULL), 0);
            assert_int_equal(log_last_seq(d.log), FRAMES);
            assert_int_equal(log_check(d.log, note_manifest, NULL, &told, NULL), 0);
            assert_int_equal(told, 1);
            kill_log(d.log);
            d.log = NULL;
            assert_true(fault_flip(d.fault, path, copy + at, 1));
        }
        assert_true(fault_flip(d.fault, path, at, 1));
        assert_true(fault_flip(d.fault, path, SECOND + at, 1));
        assert_int_equal(log_open(&d.options, WORKLOAD_DIR, &d.log, NULL, NULL), ERR_CORRUPT);
        assert_true(fault_flip(d.fault, path, at, 1));
        assert_true(fault_flip(d.fault, path, SECOND + at, 1));
    }
    disk_done(&d);
}

/* A refused write that was on its way to the disk, whose undoing the disk forgets in a crash. */
static void test_refused_stays_refused(void **state)
{
    (void)state;
    struct disk d;
    struct log_frame f;
    struct span payload = SPAN("0123456789abcdef");
    disk_new(&d, 1 << 20);
    put_many(&d, 1, NULL);
    for (int i = 0; i < 4; i++)
        assert_int_equal(log_stage(d.log, 1, 1, SPAN("no!!"), &payload, 1, &f), 0);
    struct fault_plan plan = {.fail_at = 1, .short_write = true, .fail_errno = 28};
    fault_plan(d.fault, &plan);
    assert_int_equal(log_write(d.log, NULL), ERR_NO_SPACE);
    put(d.log, payload);
    for (unsigned i = 0; i < fault_states(d.fault); i++) {
        struct fault *copy = fault_crash(d.fault, i);
        struct disk c = {copy, d.options, NULL};
        struct log_report report;
        c.options.fs = fault_fs(copy);
        open_again(&c, &report);
        assert_true(report.last_seq <= 2);
        replay(c.log); /* compares operations */
        disk_done(&c);
    }
    disk_done(&d);
}

/* A segment begun for frames that were then not written, and the log is closed. */
static void test_empty_segment(void **state)
{
    (void)state;
    struct disk d;
    struct log_frame f;
    struct log_report report;
    disk_new(&d, 700);
    put_many(&d, 3, NULL);
    assert_int_equal(log_stage(d.log, 1, 1, SPAN("op 4"), NULL, 0, &f), 0);
    assert_int_equal(f.segment, 2);
    log_unstage(d.log);
    log_close(d.log);
    d.log = NULL;
    for (unsigned i = 0; i < 2; i++) {
        struct fault *copy = fault_crash(d.fault, i);
        struct disk c = {copy, d.options, NULL};
        c.options.fs = fault_fs(copy);
        open_again(&c, &report);
        assert_int_equal(report.last_seq, 3);
        assert_int_equal(report.damaged_frames, 0);
        put_many(&c, 2, NULL);
        open_again(&c, &report);
        assert_int_equal(replay(c.log).n, 5);
        disk_done(&c);
    }
    disk_done(&d);
}

/* The machine dies while a new incarnation begins, at every point. */
static void test_incarnation_interrupted(void **state)
{
    (void)state;
    for (uint64_t stop = 1;; stop++) {
        struct disk d;
        struct log_report report;
        disk_new(&d, 700);
        put_many(&d, 5, NULL);
        kill_log(d.log);
        d.log = NULL;
        struct fault_plan plan = {.stop_at = stop};
        fault_plan(d.fault, &plan);
        d.options.known_seq = 9;
        int rc = log_open(&d.options, WORKLOAD_DIR, &d.log, &report, NULL);
        bool finished = fault_changes(d.fault) < stop;
        assert_true(finished == (rc == 0));
        for (unsigned i = 0; i < fault_states(d.fault) && !finished; i++) {
            struct disk c = {fault_crash(d.fault, i), d.options, NULL};
            c.options.fs = fault_fs(c.fault);
            open_again(&c, &report);
            assert_true(log_incarnation(c.log) >= 2);
            assert_int_equal(log_last_seq(c.log), 9);
            put_many(&c, 3, NULL);
            c.options.known_seq = 0;
            open_again(&c, &report);
            assert_true(log_incarnation(c.log) >= 2);
            assert_int_equal(log_last_seq(c.log), 12);
            struct seen s = replay(c.log);
            assert_int_equal(s.n, 8);
            assert_int_equal(s.damaged, 0); /* the gap is explained */
            struct found found = {0};
            assert_int_equal(log_check(c.log, find, NULL, &found, NULL), 0);
            assert_int_equal(found.n, 0);
            disk_done(&c);
        }
        disk_done(&d);
        if (finished)
            break;
    }
}

/* Descriptors are a bounded cache, and come back by themselves. */
static void test_many_segments(void **state)
{
    (void)state;
    struct disk d;
    struct log_report report;
    struct {
        uint64_t segment, offset;
    } x[100];
    disk_new(&d, 1 << 20);
    for (int i = 0; i < 100; i++) {
        struct log_external *e;
        char byte = (char)i;
        assert_int_equal(log_external_begin(d.log, &e, NULL), 0);
        assert_int_equal(log_external_write(e, span_make(&byte, 1), NULL), 0);
        assert_int_equal(log_external_sync_run(e), 0);
        log_external_finish(e, &x[i].segment, &x[i].offset);
        put_many(&d, 1, NULL);
    }
    assert_true(d.log->open_count <= LOG_FDS_MAX + 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 100; i++) {
            autobuf b = BUF_INIT(10);
            struct payload_header h = {.length = 1, .crc = crc32c(0, &(char){(char)i}, 1)};
            assert_int_equal(log_read(d.log, x[i].segment, x[i].offset, 1, &b, NULL), 0);
            assert_int_equal((unsigned char)b.p[0], i);
            assert_int_equal(log_payload_verify(d.log, x[i].segment, x[i].offset, &h, NULL), 0);
            h.crc ^= 1;
            assert_int_equal(log_payload_verify(d.log, x[i].segment, x[i].offset, &h, NULL),
                             ERR_CORRUPT);
        }
        assert_true(d.log->open_count <= LOG_FDS_MAX + 1);
        log_idle(d.log);
        assert_int_equal(d.log->open_count, 0);
        log_close(d.log);
        d.log = NULL;
        open_again(&d, &report); /* opens none of those that are final */
        assert_true(d.log->open_count <= 1);
    }
    disk_done(&d);
}

/* --- a view, while the loop goes on --- */

struct worker {
    struct log *view;
    unsigned rounds;
    struct seen seen;
    struct found found;
};

static void *read_view(void *arg)
{
    struct worker *w = arg;
    for (unsigned i = 0; i < w->rounds; i++) {
        w->seen = replay(w->view);
        w->found = (struct found){0};
        if (log_check(w->view, find, NULL, &w->found, NULL))
            w->found.n = 1000;
    }
    return NULL;
}

static void test_view(void **state)
{
    (void)state;
    struct disk d;
    disk_new(&d, 700);
    put_many(&d, FRAMES, NULL);
    put(d.log, SPAN("not durable yet"));
    struct worker w = {.view = log_view_open(d.log), .rounds = 20};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_view, &w), 0);
    put_many(&d, 20, NULL);
    pthread_join(thread, NULL);
    assert_int_equal(w.seen.n, FRAMES);
    assert_int_equal(w.seen.damaged, 0);
    assert_int_equal(w.found.n, 0);
    assert_int_equal(d.log->leases, 1);
    log_view_close(w.view);
    assert_int_equal(d.log->leases, 0);
    disk_done(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_flip_after_kill),
        cmocka_unit_test(test_flip_in_many_segments),
        cmocka_unit_test(test_flip_after_close),
        cmocka_unit_test(test_damage_before_torn_tail),
        cmocka_unit_test(test_forged_frame),
        cmocka_unit_test(test_copied_frame),
        cmocka_unit_test(test_lost_segment),
        cmocka_unit_test(test_cut_segment),
        cmocka_unit_test(test_bad_sector),
        cmocka_unit_test(test_segment_header),
        cmocka_unit_test(test_newer_version),
        cmocka_unit_test(test_manifest),
        cmocka_unit_test(test_refused_stays_refused),
        cmocka_unit_test(test_empty_segment),
        cmocka_unit_test(test_incarnation_interrupted),
        cmocka_unit_test(test_many_segments),
        cmocka_unit_test(test_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
