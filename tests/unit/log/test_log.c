/* The log over the real file system: writing, reopening, torn tails, damage, rotation, bases,
 * externals. */
#include "support/cmocka.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "log/log_int.h"

static const unsigned char id[LOG_ID_LEN] = "0123456789abcde";

struct fixture {
    char dir[64];
    struct log_options options;
};

static int setup(void **state)
{
    struct fixture *f = xnew(struct fixture);
    snprintf(f->dir, sizeof(f->dir), "/tmp/martlet-log-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    f->options.segment_size = 16 * 1024;
    assert_int_equal(log_create(&f->options, f->dir, id, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf %s", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static struct log *reopen(struct fixture *f, struct log *log, struct log_report *report)
{
    struct err err = {0};
    log_close(log);
    int rc = log_open(&f->options, f->dir, &log, report, &err);
    if (rc)
        fail_msg("open: %s", err.text);
    return log;
}

static void sync_log(struct log *log)
{
    struct log_sync s;
    log_sync_begin(log, &s);
    log_sync_run(&s);
    assert_int_equal(log_sync_end(log, &s, NULL), 0);
}

/* n frames with the operations "op <seq>" and a payload of `size` bytes of the letter (seq % 26).
 */
static void put_frames(struct log *log, int n, size_t size, bool sync)
{
    char *payload = xmalloc(size + 1);
    for (int i = 0; i < n; i++) {
        struct log_frame frame;
        char ops[32];
        uint64_t seq = log_last_seq(log) + 1;
        snprintf(ops, sizeof(ops), "op %llu", (unsigned long long)seq);
        memset(payload, 'a' + (int)(seq % 26), size);
        struct span p = span_make(payload, size);
        assert_int_equal(log_stage(log, 7, 1, span_str(ops), &p, 1, &frame), 0);
        assert_int_equal(frame.seq, seq);
        assert_int_equal(log_write(log, NULL), 0);
        autobuf back = BUF_INIT(1 << 24);
        assert_int_equal(
            log_read(log, frame.segment, frame.payload_offset, frame.payload_length, &back, NULL),
            0);
        assert_true(span_eq(buf_span(&back), p));
    }
    free(payload);
    if (sync)
        sync_log(log);
}

struct seen {
    uint64_t first, last, n, bases, damaged;
};

static int see(void *ctx, const struct log_frame *frame, struct span ops)
{
    struct seen *s = ctx;
    char expected[32];
    if (frame->base) {
        s->bases++;
        return 0;
    }
    snprintf(expected, sizeof(expected), "op %llu", (unsigned long long)frame->seq);
    assert_true(span_eq(ops, span_str(expected)));
    if (s->n++ == 0)
        s->first = frame->seq;
    assert_true(frame->seq > s->last);
    s->last = frame->seq;
    return 0;
}

static void see_damage(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq)
{
    (void)segment;
    (void)offset;
    (void)seq;
    ((struct seen *)ctx)->damaged++;
}

static struct seen replay(struct log *log, uint64_t from)
{
    struct seen s = {0};
    assert_int_equal(log_replay(log, from, see, see_damage, &s, NULL), 0);
    return s;
}

static void test_write_and_reopen(void **state)
{
    struct fixture *f = *state;
    struct log_report report;
    struct log *log = reopen(f, NULL, &report);
    put_frames(log, 100, 1000, true); /* several segments */
    assert_int_equal(log_durable_seq(log), 100);
    log = reopen(f, log, &report);
    assert_int_equal(report.last_seq, 100);
    assert_int_equal(report.torn_bytes, 0);
    put_frames(log, 5, 10, true);
    struct seen s = replay(log, 0);
    assert_int_equal(s.n, 105);
    s = replay(log, 103);
    assert_int_equal(s.first, 104);
    assert_int_equal(s.n, 2);
    assert_int_equal(replay(log, 105).n, 0);
    log_close(log);
}

static char *current_path(struct log *log)
{
    return segment_path(log, "", log->current->number);
}

/* A process dies while the last frames are not durable, and any number of their bytes is lost. */
static void test_torn_tail(void **state)
{
    struct fixture *f = *state;
    for (off_t cut = 1; cut < 350; cut += 7) {
        struct log_report report;
        struct log *log = reopen(f, NULL, &report);
        uint64_t before = log_last_seq(log);
        put_frames(log, 3, 40, true);
        put_frames(log, 2, 100, false);
        autofree char *path = current_path(log);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        off_t size = st.st_size - cut;
        log->closed = true; /* it dies: no manifest */
        log_close(log);
        assert_int_equal(truncate(path, size), 0);
        log = reopen(f, NULL, &report);
        assert_true(report.last_seq >= before + 3);
        assert_true(report.last_seq < before + 5);
        assert_int_equal(report.damaged_frames, 0);
        struct seen s = replay(log, 0);
        assert_int_equal(s.last, report.last_seq);
        assert_int_equal(s.n, report.last_seq);
        log_close(log);
    }
}

static void flip(const char *path, off_t at)
{
    unsigned char c;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &c, 1, at), 1);
    c ^= 0x40;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void count_damage(void *ctx, const struct log_damage *d)
{
    (void)d;
    ++*(int *)ctx;
}

/* A flipped byte anywhere in a durable frame is found, and every other frame stays readable. */
static void test_damage(void **state)
{
    struct fixture *f = *state;
    struct log_report report;
    struct log *log = reopen(f, NULL, &report);
    put_frames(log, 10, 200, true);
    autofree char *path = current_path(log);
    off_t size = (off_t)log->current->size;
    for (off_t at = SEGMENT_HEADER; at < size; at += 5) {
        flip(path, at);
        int damage = 0;
        assert_int_equal(log_check(log, count_damage, NULL, &damage, NULL), 0);
        struct seen s = replay(log, 0);
        assert_true(s.n >= 9);
        assert_int_equal(s.n, 10 - s.damaged);
        flip(path, at);
        bool padding = (at - SEGMENT_HEADER) % 272 >= 64 + 4 + 200; /* "op N" */
        assert_true(damage == 1 || (damage == 0 && (padding || at > size - 16)));
    }
    log_close(log);
}

/* Damage before frames whose watermark covers it is damage at the opening too, not a torn tail. */
static void test_damage_at_open(void **state)
{
    struct fixture *f = *state;
    struct log_report report;
    struct log *log = reopen(f, NULL, &report);
    for (int i = 0; i < 10; i++)
        put_frames(log, 1, 200, true);
    autofree char *path = current_path(log);
    log->closed = true;
    log_close(log);
    flip(path, SEGMENT_HEADER + 272 * 4 + 9);
    log = reopen(f, NULL, &report);
    assert_int_equal(report.last_seq, 10);
    assert_int_equal(report.damaged_frames, 1);
    assert_int_equal(report.torn_bytes, 0);
    struct seen s = replay(log, 0);
    assert_int_equal(s.n, 9);
    assert_int_equal(s.damaged, 1);
    log_close(log);
}

static void test_lock(void **state)
{
    struct fixture *f = *state;
    struct log *log = reopen(f, NULL, NULL), *second;
    assert_int_equal(log_open(&f->options, f->dir, &second, NULL, NULL), ERR_BUSY);
    log_close(log);
}

static void test_external(void **state)
{
    struct fixture *f = *state;
    struct log_report report;
    struct log *log = reopen(f, NULL, &report);
    struct log_external *x, *dropped;
    uint64_t segment, offset;
    char *large = xcalloc(1, 3000000);
    for (size_t i = 0; i < 3000000; i++)
        large[i] = (char)(i * 7);
    assert_int_equal(log_external_begin(log, &x, NULL), 0);
    assert_int_equal(log_external_begin(log, &dropped, NULL), 0);
    assert_int_equal(log_external_write(x, span_make(large, 1000000), NULL), 0);
    assert_int_equal(log_external_write(dropped, span_make(large, 10), NULL), 0);
    put_frames(log, 40, 1000, true); /* the log goes on meanwhile */
    assert_int_equal(log_external_write(x, span_make(large + 1000000, 2000000), NULL), 0);
    assert_int_equal(log_external_sync_run(x), 0);
    log_external_finish(x, &segment, &offset);
    log_external_abort(dropped);
    log = reopen(f, log, &report);
    autobuf back = BUF_INIT(1 << 24);
    assert_int_equal(log_read(log, segment, offset, 3000000, &back, NULL), 0);
    assert_memory_equal(back.p, large, 3000000);
    assert_int_equal(replay(log, 0).n, 40);
    free(large);
    log_close(log);
}

static void test_base(void **state)
{
    struct fixture *f = *state;
    struct log_report report;
    struct log *log = reopen(f, NULL, &report);
    put_frames(log, 50, 1000, true);
    struct log_base *b;
    struct log_frame frame;
    assert_int_equal(log_base_begin(log, 50, &b, NULL), 0);
    put_frames(log, 3, 100, true); /* frames after the state that is dumped */
    for (int i = 0; i < 40; i++)
        assert_int_equal(
            log_base_put(b, 9, 1, SPAN("state"), &SPAN("moved bytes"), 1, &frame, NULL), 0);
    assert_int_equal(log_base_finish(b, NULL), 0);
    put_frames(log, 2, 100, true);
    log = reopen(f, log, &report);
    assert_int_equal(report.last_seq, 55);
    struct seen s = replay(log, 0);
    assert_int_equal(s.bases, 40);
    assert_int_equal(s.n, 5);
    assert_int_equal(s.first, 51);
    assert_int_equal(replay(log, 50).bases, 0);
    autobuf back = BUF_INIT(100);
    assert_int_equal(log_read(log, frame.segment, frame.payload_offset, 11, &back, NULL), 0);
    assert_string_equal(back.p, "moved bytes");
    uint64_t before = log_total_size(log);
    for (uint64_t n = 1; n < frame.segment; n++)
        if (segment_find(log, n) && segment_find(log, n)->role == LOG_SEGMENT_PAYLOAD)
            assert_int_equal(log_segment_drop(log, n, 0, NULL), 0);
    assert_true(log_total_size(log) + 40000 < before);
    log = reopen(f, log, &report);
    assert_int_equal(replay(log, 0).n, 5);
    log_close(log);
}

static void test_new_incarnation(void **state)
{
    struct fixture *f = *state;
    struct log_report report;
    struct log *log = reopen(f, NULL, &report);
    put_frames(log, 5, 10, true);
    log_close(log);
    f->options.known_seq = 9; /* the log was restored from an older copy */
    log = reopen(f, NULL, &report);
    assert_true(report.new_incarnation);
    f->options.known_seq = 0;
    put_frames(log, 1, 10, true);
    assert_int_equal(log_last_seq(log), 10);
    log->closed = true;
    log = reopen(f, log, &report);
    assert_int_equal(report.last_seq, 10);
    assert_int_equal(replay(log, 0).n, 6);
    log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_and_reopen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_torn_tail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_at_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lock, setup, teardown),
        cmocka_unit_test_setup_teardown(test_external, setup, teardown),
        cmocka_unit_test_setup_teardown(test_base, setup, teardown),
        cmocka_unit_test_setup_teardown(test_new_incarnation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
