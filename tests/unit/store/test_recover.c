/* Recovery with a real log: crashes, lost power, lost or damaged indexes and checkpoints, damaged
 * logs. After each, the index shows what the model holds. */
#include "history.h"

#include "store/checkpoint_int.h"

struct place {
    char dir[64], log_dir[80], index_dir[80];
    struct log_options options;
    struct log *log;
    struct index *index;
    struct recover_report report;
    struct log_report log_report;
    struct history h;
    unsigned boot;
};

static const char ZEROS[1 << 20];

static void place_open(struct place *p)
{
    struct err err = {0};

    if (log_open(&p->options, p->log_dir, &p->log, &p->log_report, &err))
        fail_msg("%s", err.text);
    if (recover_index(p->index_dir, p->log, false, &p->index, &p->report, &err))
        fail_msg("%s", err.text);
}

static void place_close(struct place *p)
{
    index_close(p->index);
    log_close(p->log);
    p->index = NULL;
    p->log = NULL;
}

static int place_setup(void **state)
{
    struct place *p = xnew(struct place);
    unsigned char id[LOG_ID_LEN] = {1, 2, 3};
    struct err err = {0};

    snprintf(p->dir, sizeof(p->dir), "/tmp/martlet-test-recover-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    snprintf(p->log_dir, sizeof(p->log_dir), "%s/log", p->dir);
    snprintf(p->index_dir, sizeof(p->index_dir), "%s/index", p->dir);
    p->options.segment_size = 1 << 20;
    if (log_create(&p->options, p->log_dir, id, &err))
        fail_msg("%s", err.text);
    history_init(&p->h, 1);
    p->h.size_max = 50;
    place_open(p);
    *state = p;
    return 0;
}

static int place_teardown(void **state)
{
    struct place *p = *state;

    index_set_boot_for_test(NULL);
    place_close(p);
    history_done(&p->h);
    dir_remove(p->log_dir);
    dir_remove(p->index_dir);
    rmdir(p->dir);
    free(p);
    return 0;
}

/* Stages and applies one frame of the history. */
static void stage(struct place *p, struct index_txn *txn)
{
    struct history_frame *f = history_step(&p->h);
    struct log_frame frame;
    struct span payload[64];
    size_t n = 0;
    struct err err = {0};

    for (uint64_t left = f->frame.payload_length; left > 0;) {
        assert_true(n < ARRAY_LEN(payload));
        payload[n] = span_make(ZEROS, MIN(left, sizeof(ZEROS)));
        left -= payload[n++].n;
    }
    assert_int_equal(
        log_stage(p->log, FRAME_CHANGE, FRAME_VERSION, buf_span(&f->ops), payload, n, &frame), 0);
    assert_int_equal(frame.seq, f->frame.seq);
    history_place(&p->h, &frame);
    if (apply_frame(txn, NULL, &frame, buf_span(&f->ops), &err))
        fail_msg("%s", err.text);
}

/* A writer's batch. `crash`: the process dies after the sync, before the index is committed. */
static void batch(struct place *p, unsigned frames, bool crash)
{
    struct index_txn *txn;
    struct log_sync sync;
    struct err err = {0};

    assert_int_equal(index_write_begin(p->index, &txn), 0);
    while (frames-- > 0)
        stage(p, txn);
    assert_int_equal(index_write_prepare(txn), 0);
    assert_int_equal(log_write(p->log, &err), 0);
    log_sync_begin(p->log, &sync);
    log_sync_run(&sync);
    assert_int_equal(log_sync_end(p->log, &sync, &err), 0);
    if (crash)
        index_write_abort(txn);
    else
        assert_int_equal(index_write_commit(txn), 0);
}

static void compare(struct place *p)
{
    struct index_txn *txn;

    assert_int_equal(index_read_begin(p->index, &txn), 0);
    history_compare(&p->h, txn);
    index_read_end(txn);
}

static void checkpoint(struct place *p)
{
    struct checkpoint *c;
    struct index_txn *txn;
    struct err err = {0};

    assert_int_equal(checkpoint_begin(p->index, &c, &err), 0);
    batch(p, 1, false); /* the account goes on */
    checkpoint_run(c);
    assert_int_equal(index_write_begin(p->index, &txn), 0);
    assert_int_equal(checkpoint_end(c, txn, &err), 0);
    assert_int_equal(index_write_commit(txn), 0);
}

static void lose_power(struct place *p)
{
    static char boot[20];

    snprintf(boot, sizeof(boot), "boot %u", ++p->boot);
    index_set_boot_for_test(boot);
}

static uint64_t dump_hash(struct place *p)
{
    struct index_txn *txn;
    uint64_t hash[2];

    assert_int_equal(index_read_begin(p->index, &txn), 0);
    assert_int_equal(index_dump(txn, NULL, hash), 0);
    index_read_end(txn);
    return hash[0];
}

static void test_restarts(void **state)
{
    struct place *p = *state;

    for (unsigned round = 0; round < 40; round++) {
        unsigned kind = hrnd(&p->h, 8);

        for (unsigned i = 0; i < 5; i++)
            batch(p, 1 + hrnd(&p->h, 4), false);
        if (kind == 0)
            checkpoint(p);
        else if (kind < 4)
            batch(p, 3, true);
        else if (kind == 4)
            lose_power(p);
        uint64_t before = kind == 0 || kind >= 4 ? dump_hash(p) : 0;
        place_close(p);
        place_open(p);
        assert_int_equal(p->report.trusted, kind != 4);
        assert_int_equal(p->report.damaged, 0);
        if (kind >= 1 && kind < 4)
            assert_int_equal(p->report.frames, 3);
        compare(p);
        if (before)
            assert_true(before == dump_hash(p));
    }
}

static void test_checkpoint_bounds_replay(void **state)
{
    struct place *p = *state;
    struct checkpoint_list list;
    struct err err = {0};

    for (unsigned i = 0; i < 100; i++)
        batch(p, 2, false);
    checkpoint(p);
    checkpoint(p);
    assert_int_equal(checkpoints_list(p->index_dir, &list, &err), 0);
    assert_int_equal(list.n, 1);
    assert_int_equal(list.seq[0], 201); /* the second one, without what came while it was made */
    checkpoint_list_done(&list);
    batch(p, 4, false);
    lose_power(p);
    place_close(p);
    place_open(p);
    assert_false(p->report.trusted);
    assert_int_equal(p->report.checkpoint_seq, 201);
    assert_int_equal(p->report.frames, 5);
    compare(p);
    /* It is still there for the next time. */
    batch(p, 3, false);
    lose_power(p);
    place_close(p);
    place_open(p);
    assert_int_equal(p->report.checkpoint_seq, 201);
    assert_int_equal(p->report.frames, 8);
    compare(p);
}

static void path_to(struct place *p, const char *name, char ret[200])
{
    snprintf(ret, 200, "%s/%s", p->index_dir, name);
}

static void scribble(const char *path, off_t at, size_t n)
{
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0);
    while (n-- > 0)
        assert_int_equal(pwrite(fd, "\xa5", 1, at++), 1);
    close(fd);
}

static void test_lost_and_damaged_indexes(void **state)
{
    struct place *p = *state;
    char path[200], name[CHECKPOINT_NAME_MAX];

    for (unsigned i = 0; i < 60; i++)
        batch(p, 2, false);
    checkpoint(p);
    uint64_t hash = dump_hash(p);
    checkpoint_name(120, name);

    place_close(p); /* no environment: the checkpoint */
    path_to(p, "data.mdb", path);
    assert_int_equal(unlink(path), 0);
    place_open(p);
    assert_int_equal(p->report.checkpoint_seq, 120);
    assert_int_equal(p->report.frames, 1);
    assert_true(hash == dump_hash(p));

    place_close(p); /* meta pages overwritten, under the same boot */
    scribble(path, 0, 8192);
    place_open(p);
    assert_false(p->report.trusted);
    assert_int_equal(p->report.checkpoint_seq, 120);
    assert_true(hash == dump_hash(p));

    place_close(p); /* neither environment nor checkpoint */
    unlink(path);
    path_to(p, name, path);
    scribble(path, 0, 8192);
    place_open(p);
    assert_int_equal(p->report.checkpoint_seq, 0);
    assert_int_equal(p->report.frames, 121);
    assert_true(hash == dump_hash(p));
    compare(p);

    place_close(p); /* nothing at all */
    dir_remove(p->index_dir);
    place_open(p);
    assert_int_equal(p->report.frames, 121);
    assert_true(hash == dump_hash(p));
}

static void test_rebuild(void **state)
{
    struct place *p = *state;
    struct err err = {0};

    for (unsigned i = 0; i < 50; i++)
        batch(p, 2, false);
    checkpoint(p);
    uint64_t hash = dump_hash(p);
    index_close(p->index);
    assert_int_equal(recover_index(p->index_dir, p->log, true, &p->index, &p->report, &err), 0);
    assert_int_equal(p->report.frames, 101);
    assert_false(p->report.trusted);
    assert_true(hash == dump_hash(p));
    compare(p);
}

/* A page in the middle of a trusted environment is not what it was: LMDB or the tables notice at
 * some time, and the account is rebuilt. */
static void test_sticking_errors(void **state)
{
    struct place *p = *state;
    struct index_txn *txn;
    struct index_state s;

    batch(p, 3, false);
    index_fail(p->index, ERR_CORRUPT);
    assert_int_equal(index_read_begin(p->index, &txn), ERR_CORRUPT);
    assert_int_equal(index_write_begin(p->index, &txn), ERR_CORRUPT);
    place_close(p);
    place_open(p);
    assert_int_equal(index_read_begin(p->index, &txn), 0);
    assert_int_equal(index_state_get(txn, &s), 0);
    index_read_end(txn);
    compare(p);
}

static void test_ghosts_end_with_the_process(void **state)
{
    struct place *p = *state;
    struct index_txn *txn;

    batch(p, 20, false);
    assert_int_equal(index_write_begin(p->index, &txn), 0);
    struct message_location where = {1, 1, 1, 1};
    assert_int_equal(index_message_put(txn, 1 << 20, &where), 0);
    assert_int_equal(index_message_ref(txn, 1 << 20, 1), 0);
    struct row row = {.uid = 5, .message_id = 1 << 20};
    assert_int_equal(index_ghost_put(txn, 1, &row, 3), 0);
    p->h.dead++;
    assert_int_equal(index_write_commit(txn), 0);
    place_close(p);
    place_open(p);
    assert_true(p->report.trusted);
    assert_int_equal(index_read_begin(p->index, &txn), 0);
    assert_false(ghosts_any(txn));
    index_read_end(txn);
    compare(p);
}

/* The log begins a new incarnation: what the index has applied may be what the log has lost. */
static void test_new_incarnation(void **state)
{
    struct place *p = *state;

    for (unsigned i = 0; i < 20; i++)
        batch(p, 1, false);
    place_close(p);
    p->options.known_seq = 30;
    place_open(p);
    assert_true(p->log_report.new_incarnation);
    assert_false(p->report.trusted);
    assert_int_equal(p->report.frames, 20);
    compare(p);
    p->h.seq = 30; /* numbers go on after the gap */
    struct history_frame *f = history_step(&p->h);
    struct index_txn *txn;
    struct log_frame frame;
    struct err err = {0};
    static char payload[1 << 20];
    struct span bytes = span_make(payload, f->frame.payload_length);
    assert_int_equal(
        log_stage(p->log, FRAME_CHANGE, FRAME_VERSION, buf_span(&f->ops), &bytes, 1, &frame), 0);
    assert_int_equal(frame.seq, 31);
    history_place(&p->h, &frame);
    assert_int_equal(log_write(p->log, &err), 0);
    struct log_sync sync;
    log_sync_begin(p->log, &sync);
    log_sync_run(&sync);
    assert_int_equal(log_sync_end(p->log, &sync, &err), 0);
    place_close(p);
    place_open(p);
    assert_true(p->report.trusted);
    assert_int_equal(p->report.frames, 1);
    compare(p);
    assert_int_equal(index_read_begin(p->index, &txn), 0);
    index_read_end(txn);
}

/* One frame in the middle of the log cannot be read: all the others count. */
static void test_damaged_frame(void **state)
{
    struct place *p = *state;
    char path[200];
    struct err err = {0};
    struct index_txn *txn;
    struct index_state s;
    uint64_t seed = 3;

    for (unsigned i = 0; i < 150; i++)
        batch(p, 1, false);
    struct log_frame *f = &p->h.frames[60].frame;
    snprintf(path, sizeof(path), "%s/%016llx", p->log_dir, (unsigned long long)f->segment);
    place_close(p);
    scribble(path, (off_t)f->offset + 64 + rnd(&seed, (uint32_t)f->ops_length), 1);
    dir_remove(p->index_dir);
    place_open(p);
    assert_int_equal(p->report.damaged, 1);
    assert_int_equal(p->report.frames, 149);
    assert_int_equal(index_read_begin(p->index, &txn), 0);
    assert_int_equal(index_state_get(txn, &s), 0);
    assert_int_equal(s.applied_seq, 150);
    struct mailbox_info m;
    unsigned mailboxes = 0;
    for (int rc = index_mailbox_seek(txn, 1, &m); rc == 0;
         rc = index_mailbox_seek(txn, m.id + 1, &m)) {
        assert_int_equal(rows_verify(txn, m.id, &err), 0);
        mailboxes++;
    }
    assert_true(mailboxes > 0);
    uint64_t hash[2];
    assert_int_equal(index_dump(txn, NULL, hash), 0);
    index_read_end(txn);
    place_close(p); /* from then on it is as any other */
    place_open(p);
    assert_true(p->report.trusted);
    assert_int_equal(p->report.damaged, 0);
    assert_true(hash[0] == dump_hash(p));
}

/* A frame that is intact but says what cannot be. */
static void test_impossible_frame(void **state)
{
    struct place *p = *state;
    struct op op = {.kind = OP_MAILBOX_DELETE, .mailbox_delete = {4000000, 1}};
    autobuf ops = BUF_INIT(1000);
    struct log_frame frame;
    struct log_sync sync;
    struct err err = {0};

    for (unsigned i = 0; i < 30; i++)
        batch(p, 1, false);
    op_put(&ops, &op);
    assert_int_equal(
        log_stage(p->log, FRAME_CHANGE, FRAME_VERSION, buf_span(&ops), NULL, 0, &frame), 0);
    assert_int_equal(log_write(p->log, &err), 0);
    log_sync_begin(p->log, &sync);
    log_sync_run(&sync);
    assert_int_equal(log_sync_end(p->log, &sync, &err), 0);
    place_close(p);
    place_open(p);
    p->h.seq++;
    compare(p);
    batch(p, 5, false);
    compare(p);
}

#define place_test(t) cmocka_unit_test_setup_teardown(t, place_setup, place_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        place_test(test_restarts),
        place_test(test_checkpoint_bounds_replay),
        place_test(test_lost_and_damaged_indexes),
        place_test(test_rebuild),
        place_test(test_sticking_errors),
        place_test(test_ghosts_end_with_the_process),
        place_test(test_new_incarnation),
        place_test(test_damaged_frame),
        place_test(test_impossible_frame),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
