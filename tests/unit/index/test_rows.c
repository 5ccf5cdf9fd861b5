/* Rows against a plain array: random histories, everything compared. */
#include "fixture.h"

enum { MODEL_MAX = 60000, KEYWORDS = 40 };

struct model_row {
    struct row row;
    uint16_t keywords[KEYWORDS];
};

struct model {
    uint32_t mailbox;
    struct model_row *v;
    size_t n;
    uint32_t uidnext;
    uint64_t modseq;
    uint64_t seed;
};

static void model_row_make(struct model *m, struct model_row *r, uint32_t uid)
{
    *r = (struct model_row){0};
    r->row = (struct row){
        .uid = uid,
        .flags = (uint16_t)rnd(&m->seed, 32),
        .message_id = m->seed >> 20,
        .modseq = m->modseq,
        .created_modseq = m->modseq,
        .size = rnd(&m->seed, 1 << 30),
        .internal_date = {(int64_t)rnd(&m->seed, 1U << 31) - (1 << 30),
                          (int16_t)((int)rnd(&m->seed, 1680) - 840)},
        .save_date = rnd(&m->seed, 1U << 31),
    };
    if (rnd(&m->seed, 4) == 0)
        r->row.keyword_count = (uint16_t)rnd(&m->seed, KEYWORDS);
    for (unsigned i = 0; i < r->row.keyword_count; i++)
        r->keywords[i] = (uint16_t)(i * 10 + rnd(&m->seed, 10));
}

static void assert_row(const struct row *got, const struct model_row *want)
{
    assert_int_equal(got->uid, want->row.uid);
    assert_int_equal(got->flags, want->row.flags);
    assert_int_equal(got->message_id, want->row.message_id);
    assert_int_equal(got->modseq, want->row.modseq);
    assert_int_equal(got->created_modseq, want->row.created_modseq);
    assert_int_equal(got->size, want->row.size);
    assert_int_equal(got->internal_date.seconds, want->row.internal_date.seconds);
    assert_int_equal(got->internal_date.zone_minutes, want->row.internal_date.zone_minutes);
    assert_int_equal(got->save_date, want->row.save_date);
    assert_int_equal(got->keyword_count, want->row.keyword_count);
    for (unsigned i = 0; i < got->keyword_count; i++)
        assert_int_equal(row_keyword(got, i), want->keywords[i]);
}

static void step_append(struct model *m, struct index_txn *txn, unsigned n)
{
    struct row_appender *a;

    assert_int_equal(rows_append_begin(txn, m->mailbox, &a), 0);
    for (unsigned i = 0; i < n && m->n < MODEL_MAX; i++) {
        struct model_row *r = &m->v[m->n++];

        m->uidnext += rnd(&m->seed, 8) == 0 ? rnd(&m->seed, 1000) : 0;
        model_row_make(m, r, m->uidnext++);
        r->row.keywords = (const unsigned char *)r->keywords;
        assert_int_equal(rows_append(a, &r->row), 0);
        assert_int_equal(rows_append(a, &r->row), ERR_INVALID);
    }
    assert_int_equal(rows_append_end(a), 0);
}

static void random_uids(struct model *m, struct ranges *uids)
{
    unsigned kind = rnd(&m->seed, 10), n = 1 + rnd(&m->seed, 20);

    if (kind == 0) { /* all */
        ranges_add(uids, 1, UINT32_MAX);
    } else if (kind < 4) { /* a stretch */
        uint32_t lo = rnd(&m->seed, m->uidnext) + 1;

        ranges_add(uids, lo, lo + rnd(&m->seed, m->uidnext));
    } else if (kind < 6) { /* single ones all over, existing or not */
        for (unsigned i = 0; i < n; i++) {
            uint32_t uid = rnd(&m->seed, m->uidnext) + 1;

            ranges_add(uids, uid, uid);
        }
    } else if (kind < 8 && m->n > 0) { /* one that exists */
        uint32_t uid = m->v[rnd(&m->seed, (uint32_t)m->n)].row.uid;

        ranges_add(uids, uid, uid);
    } else { /* every so manieth */
        unsigned step = 2 + rnd(&m->seed, 9);

        for (size_t i = rnd(&m->seed, step); i < m->n; i += step)
            ranges_add(uids, m->v[i].row.uid, m->v[i].row.uid);
    }
}

struct edit_ctx {
    struct model *m;
    struct index_txn *txn;
    size_t at; /* in the model */
    const struct ranges *uids;
    unsigned kind;
};

static int edit(void *arg, struct row *row, unsigned char *room)
{
    struct edit_ctx *c = arg;
    struct model *m = c->m;
    struct model_row *r;

    while (c->at < m->n && !ranges_has(c->uids, m->v[c->at].row.uid))
        c->at++;
    assert_true(c->at < m->n);
    r = &m->v[c->at++];
    assert_row(row, r);
    switch (c->kind < 4 ? c->kind : rnd(&m->seed, 4)) {
    case 0:
        return ROW_KEEP;
    case 1: /* flags */
        r->row.modseq = row->modseq = m->modseq;
        r->row.flags = row->flags = row->flags ^ 1;
        return ROW_CHANGED;
    case 2: /* keywords, also many */
        r->row.modseq = row->modseq = m->modseq;
        r->row.keyword_count = (uint16_t)rnd(&m->seed, KEYWORDS + 1);
        for (unsigned i = 0; i < r->row.keyword_count; i++) {
            r->keywords[i] = (uint16_t)(i * 100 + rnd(&m->seed, 100));
            store_le16(room + 2 * i, r->keywords[i]);
        }
        row->keyword_count = r->row.keyword_count;
        row->keywords = room;
        return ROW_CHANGED;
    default: /* most go */
        if (rnd(&m->seed, 8) == 0)
            return ROW_KEEP;
        r->row.uid = 0;
        return ROW_DELETED;
    }
}

static void step_edit(struct model *m, struct index_txn *txn)
{
    autoranges uids = RANGES_INIT;
    struct edit_ctx c = {m, txn, 0, &uids, rnd(&m->seed, 6)};
    size_t to = 0;

    random_uids(m, &uids);
    assert_int_equal(rows_edit(txn, m->mailbox, &uids, edit, &c), 0);
    while (c.at < m->n) { /* all wanted rows were shown */
        assert_false(m->v[c.at].row.uid != 0 && ranges_has(&uids, m->v[c.at].row.uid));
        c.at++;
    }
    for (size_t i = 0; i < m->n; i++) {
        if (m->v[i].row.uid != 0)
            m->v[to++] = m->v[i];
    }
    m->n = to;
}

static void compare_walk(struct model *m, struct index_txn *txn)
{
    struct row_iter it;
    struct row row;
    size_t i = 0;
    int rc;

    assert_int_equal(rows_begin(&it, txn, m->mailbox), 0);
    for (rc = rows_seek(&it, 1, &row); rc == 0; rc = rows_next(&it, &row)) {
        assert_true(i < m->n);
        assert_row(&row, &m->v[i++]);
    }
    assert_int_equal(rc, ERR_NOT_FOUND);
    assert_int_equal(i, m->n);
    assert_int_equal(rows_next(&it, &row), ERR_NOT_FOUND);
    for (unsigned k = 0; k < 20; k++) {
        uint32_t uid = rnd(&m->seed, m->uidnext + 10);

        for (i = 0; i < m->n && m->v[i].row.uid < uid;)
            i++;
        rc = rows_seek(&it, uid, &row);
        assert_int_equal(rc, i < m->n ? 0 : ERR_NOT_FOUND);
        for (unsigned step = 0; rc == 0 && step < 100; step++) {
            assert_row(&row, &m->v[i++]);
            rc = rows_next(&it, &row);
            assert_int_equal(rc, i < m->n ? 0 : ERR_NOT_FOUND);
        }
    }
    rows_end(&it);
}

static void compare_points(struct model *m, struct index_txn *txn)
{
    for (unsigned k = 0; k < 30; k++) {
        uint32_t uid = rnd(&m->seed, m->uidnext + 10), n;
        size_t i = 0;
        struct row row;

        while (i < m->n && m->v[i].row.uid < uid)
            i++;
        bool there = i < m->n && m->v[i].row.uid == uid;
        assert_int_equal(rows_get(txn, m->mailbox, uid, &row), there ? 0 : ERR_NOT_FOUND);
        if (there)
            assert_row(&row, &m->v[i]);
        assert_int_equal(rows_count_upto(txn, m->mailbox, uid, &n), 0);
        assert_int_equal(n, i + there);
        n = rnd(&m->seed, (uint32_t)m->n + 3);
        uint32_t got = 0;
        assert_int_equal(rows_uid_at(txn, m->mailbox, n, &got),
                         n >= 1 && n <= m->n ? 0 : ERR_NOT_FOUND);
        if (got)
            assert_int_equal(got, m->v[n - 1].row.uid);
    }
    uint32_t n;
    assert_int_equal(rows_count_upto(txn, m->mailbox, UINT32_MAX, &n), 0);
    assert_int_equal(n, m->n);
}

static void compare_changes(struct model *m, struct index_txn *txn)
{
    for (unsigned k = 0; k < 5; k++) {
        uint64_t since = k == 0 ? 0 : rnd(&m->seed, (uint32_t)m->modseq + 2);
        autoranges want = RANGES_INIT, got = RANGES_INIT;

        for (size_t i = 0; i < m->n; i++) {
            if (m->v[i].row.modseq > since)
                ranges_add(&want, m->v[i].row.uid, m->v[i].row.uid);
        }
        assert_int_equal(rows_changed(txn, m->mailbox, since, &got), 0);
        assert_int_equal(got.n, want.n);
        if (got.n)
            assert_memory_equal(got.v, want.v, got.n * sizeof(*got.v));
    }
}

static void compare(struct model *m, struct index_txn *txn)
{
    struct err err = {0};

    if (rows_verify(txn, m->mailbox, &err))
        fail_msg("%s", err.text);
    compare_walk(m, txn);
    compare_points(m, txn);
    compare_changes(m, txn);
}

static void model_init(struct model *m, uint32_t mailbox, uint64_t seed)
{
    *m = (struct model){.mailbox = mailbox, .uidnext = 1, .modseq = 1, .seed = seed};
    m->v = xcalloc(MODEL_MAX, sizeof(*m->v));
}

static void random_history(struct fixture *f, uint64_t seed, unsigned steps, unsigned batch)
{
    struct model m[3];
    uint64_t dice = seed;

    model_init(&m[0], 7, seed + 1);
    model_init(&m[1], 8, seed + 2);
    model_init(&m[2], UINT32_MAX, seed + 3);
    for (unsigned i = 0; i < steps; i++) {
        struct index_txn *txn = fixture_write(f);
        struct model *one = &m[rnd(&dice, 3)];

        one->modseq++;
        if (rnd(&dice, 3) == 0)
            step_append(one, txn, 1 + rnd(&dice, rnd(&dice, 4) ? 3 : batch));
        else
            step_edit(one, txn);
        if (i % 16 == 0)
            compare(one, txn);
        if (rnd(&dice, 10) == 0) { /* what an aborted transaction did is gone: do it to a copy */
            struct model copy = *one;

            copy.v = xcalloc(MODEL_MAX, sizeof(*copy.v));
            memcpy(copy.v, one->v, one->n * sizeof(*one->v));
            assert_int_equal(index_write_commit(txn), 0);
            txn = fixture_write(f);
            copy.modseq++;
            step_append(&copy, txn, 100);
            step_edit(&copy, txn);
            index_write_abort(txn);
            free(copy.v);
        } else {
            assert_int_equal(index_write_commit(txn), 0);
        }
        if (i % 16 == 8 || i + 1 == steps) {
            txn = fixture_read(f);
            for (unsigned k = 0; k < 3; k++)
                compare(&m[k], txn);
            index_read_end(txn);
        }
    }
    for (unsigned k = 0; k < 3; k++)
        free(m[k].v);
}

static void test_small_histories(void **state)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        random_history(*state, seed, 200, 300);
        fixture_teardown(state);
        fixture_setup(state);
    }
}

static void test_large_history(void **state)
{
    random_history(*state, 99, 200, 20000);
}

/* Every message full of keywords: a block holds three rows. */
static int fill_keywords(void *arg, struct row *row, unsigned char *room)
{
    (void)arg;
    row->modseq = 2;
    row->keyword_count = INDEX_KEYWORDS_MAX;
    row->keywords = room;
    for (unsigned i = 0; i < INDEX_KEYWORDS_MAX; i++)
        store_le16(room + 2 * i, (uint16_t)(i + 1));
    return ROW_CHANGED;
}

static int delete_all(void *arg, struct row *row, unsigned char *room)
{
    (void)arg, (void)row, (void)room;
    return ROW_DELETED;
}

static void test_blocks_explode_and_vanish(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    struct row_appender *a;
    struct err err = {0};
    struct row row;
    uint32_t n;

    assert_int_equal(rows_append_begin(txn, 1, &a), 0);
    for (uint32_t uid = 1; uid <= 10000; uid++)
        assert_int_equal(rows_append(a, &(struct row){.uid = uid, .modseq = 1}), 0);
    assert_int_equal(rows_append_end(a), 0);
    assert_int_equal(rows_edit(txn, 1, NULL, fill_keywords, NULL), 0);
    assert_int_equal(rows_verify(txn, 1, &err), 0);
    assert_int_equal(rows_get(txn, 1, 5000, &row), 0);
    assert_int_equal(row.keyword_count, INDEX_KEYWORDS_MAX);
    assert_int_equal(row_keyword(&row, 254), 255);
    assert_int_equal(rows_count_upto(txn, 1, 7777, &n), 0);
    assert_int_equal(n, 7777);
    assert_int_equal(rows_edit(txn, 1, NULL, delete_all, NULL), 0);
    assert_int_equal(rows_verify(txn, 1, &err), 0);
    assert_int_equal(rows_get(txn, 1, 5000, &row), ERR_NOT_FOUND);
    assert_int_equal(rows_count_upto(txn, 1, UINT32_MAX, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(index_write_commit(txn), 0);
}

static int refuse(void *arg, struct row *row, unsigned char *room)
{
    (void)arg, (void)room;
    return row->uid < 50 ? ROW_KEEP : ERR_LIMIT;
}

static void test_errors_come_back(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    struct row_appender *a;

    assert_int_equal(rows_append_begin(txn, 1, &a), 0);
    for (uint32_t uid = 1; uid <= 100; uid++)
        assert_int_equal(rows_append(a, &(struct row){.uid = uid, .modseq = 1}), 0);
    struct row bad = {.uid = 101, .modseq = INDEX_NUMBER_MAX + 1};
    assert_int_equal(rows_append(a, &bad), ERR_INVALID);
    assert_int_equal(rows_append_end(a), 0);
    assert_int_equal(rows_edit(txn, 1, NULL, refuse, NULL), ERR_LIMIT);
    index_write_abort(txn);
    assert_int_equal(index_failed(f->index), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_small_histories, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_large_history, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_blocks_explode_and_vanish, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_errors_come_back, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
