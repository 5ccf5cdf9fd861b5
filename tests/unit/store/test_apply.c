/* apply against a plain model; dump(replay) == dump(live); ghosts; what apply refuses. */
#include "history.h"

#include "base_emit.h"

static void apply_ok(struct index_txn *txn, const struct apply_options *o,
                     const struct history_frame *f)
{
    struct err err = {0};

    if (apply_frame(txn, o, &f->frame, buf_span(&f->ops), &err))
        fail_msg("%s", err.text);
}

static void assert_same_dump(struct index *a, struct index *b)
{
    autobuf x = BUF_INIT(BUF_UNLIMITED), y = BUF_INIT(BUF_UNLIMITED);
    struct index_txn *txn;
    uint64_t hx[2], hy[2];

    assert_int_equal(index_read_begin(a, &txn), 0);
    assert_int_equal(index_dump(txn, &x, hx), 0);
    index_read_end(txn);
    assert_int_equal(index_read_begin(b, &txn), 0);
    assert_int_equal(index_dump(txn, &y, hy), 0);
    index_read_end(txn);
    assert_true(x.n > 50);
    assert_int_equal(x.n, y.n);
    assert_memory_equal(x.p, y.p, x.n);
    assert_memory_equal(hx, hy, sizeof(hx));
}

/* The frames once more, in other batches, into another index. */
static void replay_and_compare(struct history *h, struct index *live, uint32_t batch)
{
    struct fixture *f;
    struct index_txn *txn = NULL;

    fixture_setup((void **)&f);
    for (size_t i = 0; i < h->frame_count; i++) {
        if (!txn)
            txn = fixture_write(f);
        apply_ok(txn, NULL, &h->frames[i]);
        if (i % batch == 0 || i + 1 == h->frame_count) {
            assert_int_equal(index_write_commit(txn), 0);
            txn = NULL;
        }
    }
    txn = fixture_read(f);
    history_compare(h, txn);
    index_read_end(txn);
    assert_same_dump(live, f->index);
    fixture_teardown((void **)&f);
}

static void random_history(struct fixture *f, uint64_t seed, unsigned steps)
{
    struct history h;
    struct index_txn *txn;

    history_init(&h, seed);
    for (unsigned i = 0; i < steps; i++) {
        txn = fixture_write(f);
        for (uint32_t n = 1 + hrnd(&h, 4); n > 0; n--)
            apply_ok(txn, NULL, history_step(&h));
        if (hrnd(&h, 20) == 0)
            history_compare(&h, txn);
        assert_int_equal(index_write_prepare(txn), 0);
        assert_int_equal(index_write_commit(txn), 0);
        if (hrnd(&h, 20) == 0 || i + 1 == steps) {
            txn = fixture_read(f);
            history_compare(&h, txn);
            index_read_end(txn);
        }
    }
    replay_and_compare(&h, f->index, 1);
    replay_and_compare(&h, f->index, 50);
    history_done(&h);
}

static void test_random_histories(void **state)
{
    for (uint64_t seed = 1; seed <= 6; seed++) {
        random_history(*state, seed, 200);
        fixture_teardown(state);
        fixture_setup(state);
    }
}

static void test_long_history(void **state)
{
    random_history(*state, 1234, 1500);
}

/* --- ghosts --- */

static bool watched(void *ctx, uint32_t mailbox)
{
    return mailbox == *(uint32_t *)ctx;
}

static void test_ghosts(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    struct history h;
    uint32_t one = 1, left;
    struct apply_options o = {.watched = watched, .ctx = &one};
    struct op op = {.kind = OP_MAILBOX_CREATE};
    struct index_message message;
    struct row row;
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    struct log_frame frame = {
        .type = FRAME_CHANGE, .version = FRAME_VERSION, .payload_length = 1000};
    struct err err = {0};
    struct ranges uids = RANGES_INIT;

    history_init(&h, 1);
    for (uint32_t id = 1; id <= 2; id++) {
        op = (struct op){.kind = OP_MAILBOX_CREATE,
                         .mailbox_create = {.mailbox = id,
                                            .modseq = id,
                                            .uidvalidity = id,
                                            .name = id == 1 ? SPAN("a") : SPAN("b")}};
        op_put(&ops, &op);
        for (uint32_t uid = 1; uid <= 10; uid++) {
            op = (struct op){.kind = OP_APPEND,
                             .append = {.mailbox = id,
                                        .uid = uid,
                                        .message_id = id * 100 + uid,
                                        .modseq = 2 + id,
                                        .size = 10,
                                        .flags = FLAG_FLAGGED,
                                        .body.payload.length = 10}};
            op_put(&ops, &op);
        }
    }
    frame.seq = 1;
    assert_int_equal(apply_frame(txn, &o, &frame, buf_span(&ops), &err), 0);
    for (uint32_t step = 1; step <= 3; step++) { /* UIDs 1, 2, 3 go with MODSEQs 11, 12, 13 */
        buf_reset(&ops);
        ranges_reset(&uids);
        ranges_add(&uids, step, step);
        for (uint32_t id = 1; id <= 2; id++) {
            op = (struct op){.kind = OP_EXPUNGE, .expunge = {id, 10 + step, &uids}};
            op_put(&ops, &op);
        }
        frame.seq++;
        assert_int_equal(apply_frame(txn, &o, &frame, buf_span(&ops), &err), 0);
    }
    assert_int_equal(index_ghost_get(txn, 1, 2, &row), 0);
    assert_int_equal(row.message_id, 102);
    assert_int_equal(row.flags, FLAG_FLAGGED);
    assert_int_equal(index_message_get(txn, 102, &message), 0);
    assert_int_equal(index_ghost_get(txn, 2, 2, &row), ERR_NOT_FOUND); /* nobody looked */
    assert_int_equal(index_message_get(txn, 202, &message), ERR_NOT_FOUND);
    assert_int_equal(rows_get(txn, 1, 2, &row), ERR_NOT_FOUND);

    assert_int_equal(ghosts_purge(txn, 1, 12, &left), 0);
    assert_int_equal(left, 1);
    assert_int_equal(index_ghost_get(txn, 1, 2, &row), ERR_NOT_FOUND);
    assert_int_equal(index_message_get(txn, 102, &message), ERR_NOT_FOUND);
    assert_int_equal(index_ghost_get(txn, 1, 3, &row), 0);
    assert_true(ghosts_any(txn));

    buf_reset(&ops); /* with the mailbox gone, its ghosts stay */
    op = (struct op){.kind = OP_MAILBOX_DELETE, .mailbox_delete = {1, 20}};
    op_put(&ops, &op);
    frame.seq++;
    assert_int_equal(apply_frame(txn, &o, &frame, buf_span(&ops), &err), 0);
    assert_int_equal(index_ghost_get(txn, 1, 9, &row), 0);
    assert_int_equal(ghosts_purge(txn, 0, UINT64_MAX, &left), 0);
    assert_int_equal(left, 0);
    assert_false(ghosts_any(txn));
    assert_int_equal(index_message_get(txn, 109, &message), ERR_NOT_FOUND);
    assert_int_equal(index_message_get(txn, 209, &message), 0);
    struct segment_dead dead = {0};
    assert_int_equal(segment_dead_seek(txn, 0, &dead), 0);
    assert_int_equal(dead.messages, 13);
    assert_int_equal(dead.bytes, 130);
    assert_int_equal(index_write_commit(txn), 0);
    ranges_done(&uids);
    history_done(&h);
}

/* Ghosts change nothing of what the log decides. */
static void test_ghosts_are_not_in_the_dump(void **state)
{
    struct fixture *f = *state;
    struct history h;
    uint32_t one;

    history_init(&h, 77);
    for (unsigned i = 0; i < 300; i++) {
        struct index_txn *txn = fixture_write(f);

        one = h.m[0].id;
        struct apply_options o = {.watched = watched, .ctx = &one};
        apply_ok(txn, &o, history_step(&h));
        if (i % 50 == 20)
            assert_int_equal(ghosts_purge(txn, 0, h.modseq - 10, NULL), 0);
        assert_int_equal(index_write_commit(txn), 0);
    }
    struct fixture *g;
    struct index_txn *txn;
    fixture_setup((void **)&g);
    txn = fixture_write(g);
    for (size_t i = 0; i < h.frame_count; i++)
        apply_ok(txn, NULL, &h.frames[i]);
    assert_int_equal(index_write_commit(txn), 0);
    assert_same_dump(f->index, g->index);
    fixture_teardown((void **)&g);
    txn = fixture_write(f);
    assert_int_equal(ghosts_purge(txn, 0, UINT64_MAX, NULL), 0);
    history_compare(&h, txn);
    assert_int_equal(index_write_commit(txn), 0);
    history_done(&h);
}

/* --- memory of expunges --- */

static void test_old_expunges_are_forgotten(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    struct log_frame frame = {.seq = 1,
                              .type = FRAME_CHANGE,
                              .version = FRAME_VERSION,
                              .payload_length = 10,
                              .time = 1000ULL * 24 * 3600 * 1000000};
    struct op op = {
        .kind = OP_MAILBOX_CREATE,
        .mailbox_create = {.mailbox = 1, .modseq = 1, .uidvalidity = 1, .name = SPAN("INBOX")}};
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    struct ranges uids = RANGES_INIT;
    struct changes c = CHANGES_INIT;
    struct err err = {0};

    op_put(&ops, &op);
    for (uint32_t uid = 1; uid <= 40; uid++) {
        op = (struct op){.kind = OP_APPEND,
                         .append = {.mailbox = 1, .uid = uid, .message_id = uid, .modseq = 2}};
        op_put(&ops, &op);
    }
    assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), 0);
    for (uint32_t uid = 1; uid <= 30; uid++) { /* one every 30 days */
        frame.seq++;
        frame.time += 30ULL * 24 * 3600 * 1000000;
        buf_reset(&ops);
        ranges_reset(&uids);
        ranges_add(&uids, uid, uid);
        op = (struct op){.kind = OP_EXPUNGE, .expunge = {1, 100 + uid, &uids}};
        op_put(&ops, &op);
        assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), 0);
    }
    assert_int_equal(snap_changes(snap_of_txn(txn), 1, 116, &c), 0);
    assert_true(c.complete);
    assert_int_equal(c.expunged.n, 1);
    assert_int_equal(c.expunged.v[0].lo, 17);
    assert_int_equal(c.expunged.v[0].hi, 30);
    assert_int_equal(snap_changes(snap_of_txn(txn), 1, 50, &c), 0);
    assert_false(c.complete);
    assert_int_equal(ranges_count(&c.expunged), 14); /* 400 days of them */
    changes_done(&c);
    ranges_done(&uids);
    index_write_abort(txn);
}

/* --- what is refused --- */

static void refuse(struct fixture *f, const struct op *op, int expected)
{
    struct index_txn *txn = fixture_write(f);
    struct log_frame frame = {.seq = 2, .type = FRAME_CHANGE, .version = FRAME_VERSION};
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    struct err err = {0};

    op_put(&ops, op);
    assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), expected);
    if (expected)
        assert_true(err.text[0] != '\0');
    index_write_abort(txn);
    assert_int_equal(index_failed(f->index), 0); /* the index itself is well */
    txn = fixture_write(f);
    struct apply_options lenient = {.lenient = true};
    int rc = apply_frame(txn, &lenient, &frame, buf_span(&ops), &err);
    assert_true(rc == 0 || (rc == expected && (rc == ERR_VERSION || op->kind == OP_APPEND ||
                                               op->kind >= OP_BASE_BEGIN)));
    index_write_abort(txn);
}

static void test_contradictions(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    struct range v[] = {{1, 3}};
    struct ranges uids = {v, 1, 1};
    struct log_frame frame = {
        .seq = 1, .type = FRAME_CHANGE, .version = FRAME_VERSION, .payload_length = 10};
    struct err err = {0};
    struct op op = {
        .kind = OP_MAILBOX_CREATE,
        .mailbox_create = {.mailbox = 1, .modseq = 1, .uidvalidity = 1, .name = SPAN("INBOX")}};

    op_put(&ops, &op);
    struct op append = {.kind = OP_APPEND,
                        .append = {.mailbox = 1, .uid = 2, .message_id = 5, .modseq = 2}};
    op_put(&ops, &append);
    struct op site = {.kind = OP_SITE_NAME, .site_name = {.user = SPAN("ann")}};
    op_put(&ops, &site);
    assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), 0);
    assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), ERR_CORRUPT); /* again */
    index_write_abort(txn);
    txn = fixture_write(f);
    assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), 0);
    assert_int_equal(index_write_commit(txn), 0);

    refuse(f, &op, ERR_CORRUPT);
    refuse(f, &append, ERR_CORRUPT);
    append.append.message_id = 6;
    refuse(f, &append, ERR_CORRUPT); /* the UID */
    append.append.uid = 3;
    append.append.body.payload.length = 1; /* outside of the payload */
    refuse(f, &append, ERR_CORRUPT);
    append.append.body.payload = (struct payload_header){.codec = 1};
    refuse(f, &append, ERR_VERSION);
    append.append.body.payload.codec = 0;
    append.append.mailbox = 9;
    refuse(f, &append, ERR_CORRUPT);
    append.append.mailbox = 1;
    refuse(f, &append, 0);
    refuse(f, &(struct op){.kind = OP_MAILBOX_DELETE, .mailbox_delete = {7, 3}}, ERR_CORRUPT);
    refuse(f, &(struct op){.kind = OP_MAILBOX_RENAME, .mailbox_rename = {1, 3, SPAN("INBOX")}},
           ERR_CORRUPT);
    refuse(f, &(struct op){.kind = OP_EXPUNGE, .expunge = {1, 3, &uids}}, ERR_CORRUPT);
    refuse(f,
           &(struct op){
               .kind = OP_COPY,
               .copy = {.mailbox = 1, .target = 1, .first_uid = 10, .modseq = 3, .uids = &uids}},
           ERR_CORRUPT);
    refuse(f,
           &(struct op){
               .kind = OP_COPY,
               .copy = {.mailbox = 1, .target = 1, .first_uid = 2, .modseq = 3, .uids = &uids}},
           ERR_CORRUPT);
    refuse(f, &(struct op){.kind = OP_SITE_GONE, .site_name = {.user = SPAN("bob")}}, ERR_CORRUPT);
    refuse(f, &(struct op){.kind = OP_SITE_GONE, .site_name = {.user = SPAN("ann")}}, 0);
    refuse(f, &(struct op){.kind = OP_BASE_BEGIN}, ERR_CORRUPT);
    refuse(f, &(struct op){.kind = OP_FLAGS, .flags = {.mailbox = 1, .modseq = 3, .uids = &uids}},
           0);
}

/* COPY that lost some of its source to damage keeps the UIDs of the others. */
static void test_lenient_copy(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    struct range v[] = {{1, 3}, {5, 6}};
    struct ranges uids = {v, 2, 2};
    struct log_frame frame = {.seq = 9, .type = FRAME_CHANGE, .version = FRAME_VERSION};
    struct apply_options lenient = {.lenient = true};
    struct mailbox_info info;
    struct err err = {0};
    struct row row;
    struct op op = {
        .kind = OP_MAILBOX_CREATE,
        .mailbox_create = {.mailbox = 1, .modseq = 1, .uidvalidity = 1, .name = SPAN("INBOX")}};

    op_put(&ops, &op);
    for (uint32_t uid = 2; uid <= 6; uid += 2) { /* 2, 4, 6 */
        op = (struct op){.kind = OP_APPEND,
                         .append = {.mailbox = 1, .uid = uid, .message_id = uid, .modseq = 2}};
        op_put(&ops, &op);
    }
    op = (struct op){
        .kind = OP_COPY,
        .copy = {.mailbox = 1, .target = 1, .first_uid = 11, .modseq = 3, .uids = &uids}};
    op_put(&ops, &op);
    assert_int_equal(apply_frame(txn, &lenient, &frame, buf_span(&ops), &err), 0);
    assert_int_equal(rows_get(txn, 1, 12, &row), 0);
    assert_int_equal(row.message_id, 2);
    assert_int_equal(rows_get(txn, 1, 15, &row), 0);
    assert_int_equal(row.message_id, 6);
    assert_int_equal(index_mailbox_get(txn, 1, false, &info), 0);
    assert_int_equal(info.exists, 5);
    assert_int_equal(info.uidnext, 16);
    index_write_abort(txn);
}

/* --- bases --- */

struct base_ctx {
    struct index_txn *txn;
    struct log_frame frame;
    unsigned frames;
};

static int base_frame(void *ctx, struct span ops)
{
    struct base_ctx *c = ctx;
    struct err err = {0};

    c->frames++;
    if (apply_frame(c->txn, NULL, &c->frame, ops, &err))
        fail_msg("%s", err.text);
    return 0;
}

/* An index made from the base of another one has the same content, and goes on as the other does.
 */
static void test_base(void **state)
{
    struct fixture *f = *state, *g;
    struct base_ctx c = {.frame = {.type = FRAME_BASE, .version = FRAME_VERSION, .base = true}};
    struct index_txn *txn;
    struct history h;
    uint32_t one;

    history_init(&h, 5);
    for (unsigned i = 0; i < 500; i++) {
        txn = fixture_write(f);
        one = h.m[2].id;
        apply_ok(txn, &(struct apply_options){.watched = watched, .ctx = &one}, history_step(&h));
        assert_int_equal(index_write_commit(txn), 0);
    }
    fixture_setup((void **)&g);
    c.frame.seq = h.seq;
    c.frame.time = h.time;
    c.txn = fixture_write(g);
    txn = fixture_write(f);
    assert_true(ghosts_any(txn));
    assert_int_equal(ghosts_purge(txn, 0, UINT64_MAX, NULL), 0);
    assert_int_equal(index_write_commit(txn), 0);
    txn = fixture_read(f);
    assert_int_equal(base_emit(txn, base_frame, &c), 0);
    index_read_end(txn);
    assert_true(c.frames > 2);
    assert_int_equal(index_write_commit(c.txn), 0);
    assert_same_dump(f->index, g->index);
    for (unsigned i = 0; i < 300; i++) {
        struct history_frame *step = history_step(&h);

        txn = fixture_write(f);
        apply_ok(txn, NULL, step);
        assert_int_equal(index_write_commit(txn), 0);
        txn = fixture_write(g);
        apply_ok(txn, NULL, step);
        assert_int_equal(index_write_commit(txn), 0);
    }
    assert_same_dump(f->index, g->index);
    txn = fixture_read(g);
    history_compare(&h, txn);
    index_read_end(txn);
    fixture_teardown((void **)&g);
    history_done(&h);
}

/* Until its end has been read, a base is worth nothing. */
static void test_unfinished_base(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    struct log_frame frame = {.seq = 7, .type = FRAME_BASE, .version = FRAME_VERSION, .base = true};
    struct op op = {.kind = OP_BASE_BEGIN, .base_begin = {9, 9, 9, 9}};
    autobuf ops = BUF_INIT(1000);
    struct index_state s;
    struct err err = {0};

    op_put(&ops, &op);
    assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), 0);
    assert_int_equal(index_state_get(txn, &s), 0);
    assert_true(s.base);
    assert_int_equal(s.applied_seq, 0);
    frame.seq = 8;
    frame.type = FRAME_CHANGE;
    frame.base = false;
    assert_int_equal(apply_frame(txn, NULL, &frame, SPAN_EMPTY, &err), ERR_CORRUPT);
    frame.seq = 7;
    frame.type = FRAME_BASE;
    frame.base = true;
    buf_reset(&ops);
    op = (struct op){.kind = OP_BASE_END, .base_end = {1, 0}};
    op_put(&ops, &op);
    assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), ERR_CORRUPT); /* sums */
    buf_reset(&ops);
    op.base_end.messages = 0;
    op_put(&ops, &op);
    assert_int_equal(apply_frame(txn, NULL, &frame, buf_span(&ops), &err), 0);
    assert_int_equal(index_state_get(txn, &s), 0);
    assert_false(s.base);
    assert_int_equal(s.applied_seq, 7);
    index_write_abort(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_random_histories, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_long_history, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ghosts, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_ghosts_are_not_in_the_dump, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_old_expunges_are_forgotten, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_contradictions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_lenient_copy, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_base, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_unfinished_base, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
