/* Opening, trusting, copying; mailboxes, names, messages and derived records. */
#include "fixture.h"

#include "index/derived.h"
#include "index/index_int.h"

/* --- trust --- */

static void put_state(struct fixture *f, uint64_t seq)
{
    struct index_txn *txn = fixture_write(f);
    struct index_state s;

    assert_int_equal(index_state_get(txn, &s), 0);
    s.applied_seq = seq;
    assert_int_equal(index_state_put(txn, &s), 0);
    assert_int_equal(index_write_commit(txn), 0);
}

static uint64_t get_state(struct fixture *f)
{
    struct index_txn *txn = fixture_read(f);
    struct index_state s;

    assert_int_equal(index_state_get(txn, &s), 0);
    index_read_end(txn);
    return s.applied_seq;
}

static void expect_trust(struct fixture *f, enum index_trust expected)
{
    fixture_open(f, false, expected);
    if (expected != INDEX_TRUSTED)
        assert_null(f->index);
}

/* What a crash of the process leaves: nothing is synced, nothing is marked. */
static void test_same_boot_is_trusted(void **state)
{
    struct fixture *f = *state;

    for (uint64_t i = 1; i < 5; i++) {
        put_state(f, i);
        index_close(f->index);
        expect_trust(f, INDEX_TRUSTED);
        assert_int_equal(get_state(f), i);
    }
}

static void test_other_boot_is_not(void **state)
{
    struct fixture *f = *state;

    put_state(f, 1);
    index_close(f->index);
    index_set_boot_for_test("one");
    expect_trust(f, INDEX_UNTRUSTED); /* written under the real boot id */
    fixture_open(f, true, INDEX_TRUSTED);
    put_state(f, 2);
    index_close(f->index);
    expect_trust(f, INDEX_TRUSTED);
    index_close(f->index);
    index_set_boot_for_test("two");
    expect_trust(f, INDEX_UNTRUSTED);
    fixture_open(f, true, INDEX_TRUSTED);
}

static void test_clean_close_survives_a_boot(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};

    put_state(f, 5);
    assert_int_equal(index_close_clean(f->index, &err), 0);
    index_set_boot_for_test("next");
    expect_trust(f, INDEX_TRUSTED);
    assert_int_equal(get_state(f), 5);
    /* From here on the mark is void, even if nothing was written. */
    index_close(f->index);
    index_set_boot_for_test("after");
    expect_trust(f, INDEX_UNTRUSTED);
    fixture_open(f, true, INDEX_TRUSTED);
}

static void copy_file(const char *dir, const char *from, const char *to)
{
    autofree char *bytes = xmalloc(1 << 20);
    int d = open(dir, O_RDONLY | O_DIRECTORY), in = openat(d, from, O_RDONLY);
    int out = openat(d, to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n;

    while ((n = read(in, bytes, 1 << 20)) > 0)
        assert_int_equal(write(out, bytes, (size_t)n), n);
    close(in);
    close(out);
    close(d);
}

static void test_another_file_is_not_trusted(void **state)
{
    struct fixture *f = *state;
    char a[100], b[100];

    put_state(f, 1);
    index_close(f->index);
    snprintf(a, sizeof(a), "%s/data.mdb", f->dir);
    snprintf(b, sizeof(b), "%s/old", f->dir);
    copy_file(f->dir, "data.mdb", "old");
    expect_trust(f, INDEX_TRUSTED);
    put_state(f, 2);
    index_close(f->index);
    expect_trust(f, INDEX_TRUSTED);
    put_state(f, 3);
    index_close(f->index);
    /* An older copy over the same inode: its generation lags. */
    copy_file(f->dir, "old", "data.mdb");
    expect_trust(f, INDEX_UNTRUSTED);
    /* Another inode. */
    assert_int_equal(rename(b, a), 0);
    expect_trust(f, INDEX_UNTRUSTED);
    /* No environment at all. */
    assert_int_equal(truncate(a, 0), 0);
    assert_int_equal(truncate(a, 5000), 0);
    expect_trust(f, INDEX_UNTRUSTED);
    unlink(a);
    expect_trust(f, INDEX_MISSING);
    fixture_open(f, true, INDEX_TRUSTED);
}

static void test_an_aborted_first_write_harms_nothing(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn;

    put_state(f, 1);
    index_close(f->index);
    for (int i = 0; i < 3; i++) {
        expect_trust(f, INDEX_TRUSTED);
        txn = fixture_write(f);
        index_write_abort(txn);
        index_close(f->index);
    }
    expect_trust(f, INDEX_TRUSTED);
    assert_int_equal(get_state(f), 1);
}

static void test_damage_is_an_error(void **state)
{
    struct fixture *f = *state;
    char path[100];
    struct err err = {0};
    enum index_trust trust;
    struct index *index = NULL;

    put_state(f, 1);
    index_close(f->index);
    snprintf(path, sizeof(path), "%s/data.mdb", f->dir);
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "garbage garbage garbage", 24, 0), 24);
    assert_int_equal(pwrite(fd, "garbage garbage garbage", 24, 4096), 24);
    close(fd);
    int rc = index_open(f->dir, false, &trust, &index, &err);
    assert_true(rc < 0 || trust == INDEX_UNTRUSTED);
    assert_null(index);
    assert_int_equal(index_replace(f->dir, NULL, &err), 0);
    fixture_open(f, true, INDEX_TRUSTED);
    assert_int_equal(get_state(f), 0);
}

/* --- copies --- */

static void test_copy_is_a_snapshot(void **state)
{
    struct fixture *f = *state;
    struct index_copy *copy;
    struct index_txn *txn;
    struct err err = {0};

    put_state(f, 10);
    txn = fixture_write(f); /* open during the copy, as a writer waiting for its sync would be */
    struct index_state s;
    assert_int_equal(index_state_get(txn, &s), 0);
    s.applied_seq = 11;
    assert_int_equal(index_state_put(txn, &s), 0);
    struct row_appender *a;
    assert_int_equal(rows_append_begin(txn, 1, &a), 0);
    for (uint32_t uid = 1; uid <= 5000; uid++)
        assert_int_equal(rows_append(a, &(struct row){.uid = uid, .modseq = 1}), 0);
    assert_int_equal(rows_append_end(a), 0);
    assert_int_equal(index_copy_begin(f->index, &copy), 0);
    assert_int_equal(index_write_commit(txn), 0);
    for (uint64_t i = 12; i < 40; i++) { /* pages would be used again but for the pin */
        txn = fixture_write(f);
        assert_int_equal(index_name_put(txn, &(struct index_name){SPAN("x"), (uint32_t)i, true}),
                         0);
        assert_int_equal(index_write_commit(txn), 0);
        put_state(f, i);
    }
    assert_int_equal(index_copy_run(copy, "checkpoint-x", &err), 0);
    index_copy_free(copy);
    assert_int_equal(get_state(f), 39);
    index_close(f->index);
    assert_int_equal(index_replace(f->dir, "checkpoint-x", &err), 0);
    expect_trust(f, INDEX_UNTRUSTED);
    fixture_open(f, true, INDEX_TRUSTED);
    assert_int_equal(get_state(f), 10);
    txn = fixture_read(f);
    struct index_name name;
    struct row row;
    assert_int_equal(index_name_get(txn, SPAN("x"), &name), ERR_NOT_FOUND);
    assert_int_equal(rows_get(txn, 1, 1, &row), ERR_NOT_FOUND);
    index_read_end(txn);
}

/* --- mailboxes, names, keywords --- */

static void test_mailboxes(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    struct mailbox_info m;
    char name[20];

    for (uint32_t id = 1; id <= 300; id++) {
        snprintf(name, sizeof(name), "mailbox %u", id);
        m = (struct mailbox_info){.id = id, .name = span_str(name), .uidnext = id * 10};
        assert_int_equal(index_mailbox_put(txn, &m), 0);
    }
    for (int round = 0; round < 2; round++) {
        for (uint32_t id = 1; id <= 300; id++) {
            snprintf(name, sizeof(name), "mailbox %u", id);
            assert_int_equal(index_mailbox_get(txn, id, true, &m), 0);
            assert_true(span_eq(m.name, span_str(name)));
            assert_int_equal(m.uidnext, id * 10);
        }
        if (round == 0) {
            assert_int_equal(index_write_commit(txn), 0);
            txn = fixture_write(f);
        }
    }
    assert_int_equal(index_mailbox_keyword(txn, 7, 5), 0);
    assert_int_equal(index_mailbox_keyword(txn, 7, 8000), 0);
    assert_int_equal(index_mailbox_keyword(txn, 7, 1), 0);
    assert_int_equal(index_mailbox_keyword(txn, 7, 5), 0);
    assert_int_equal(index_mailbox_get(txn, 7, true, &m), 0);
    assert_int_equal(m.keyword_ids.n, 6);
    assert_int_equal(load_le16(m.keyword_ids.p), 1);
    assert_int_equal(load_le16(m.keyword_ids.p + 4), 8000);
    assert_int_equal(index_mailbox_del(txn, 7), 0);
    assert_int_equal(index_mailbox_get(txn, 7, true, &m), ERR_NOT_FOUND);
    assert_int_equal(index_mailbox_get(txn, 0, true, &m), ERR_NOT_FOUND);
    uint32_t count = 0;
    for (int rc = index_mailbox_seek(txn, 1, &m); rc == 0;
         rc = index_mailbox_seek(txn, m.id + 1, &m))
        count++;
    assert_int_equal(count, 299);
    /* Made and removed in one transaction. */
    m = (struct mailbox_info){.id = 1000, .name = SPAN("short life")};
    assert_int_equal(index_mailbox_put(txn, &m), 0);
    assert_int_equal(index_mailbox_del(txn, 1000), 0);
    assert_int_equal(index_write_commit(txn), 0);
    txn = fixture_read(f);
    assert_int_equal(index_mailbox_get(txn, 1000, true, &m), ERR_NOT_FOUND);
    assert_int_equal(index_mailbox_get(txn, 8, true, &m), 0);
    index_read_end(txn);
}

static void test_names_and_keywords(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    struct index_name n;
    struct span s;
    uint16_t id;
    char longest[480];

    memset(longest, 'n', sizeof(longest));
    assert_int_equal(index_name_put(txn, &(struct index_name){SPAN("b"), 2, false}), 0);
    assert_int_equal(index_name_put(txn, &(struct index_name){SPAN("a/b"), 3, true}), 0);
    assert_int_equal(index_name_put(txn, &(struct index_name){SPAN("a"), 0, true}), 0);
    assert_int_equal(index_name_put(txn, &(struct index_name){span_make(longest, 480), 4, false}),
                     0);
    assert_int_equal(index_name_seek(txn, SPAN_EMPTY, false, &n), 0);
    assert_true(span_eq(n.name, SPAN("a")) && n.id == 0 && n.subscribed);
    assert_int_equal(index_name_seek(txn, SPAN("a"), true, &n), 0);
    assert_true(span_eq(n.name, SPAN("a/b")) && n.id == 3);
    assert_int_equal(index_name_seek(txn, SPAN("a/c"), false, &n), 0);
    assert_true(span_eq(n.name, SPAN("b")) && !n.subscribed);
    assert_int_equal(index_name_seek(txn, SPAN("b"), true, &n), 0);
    assert_int_equal(n.name.n, 480);
    assert_int_equal(index_name_seek(txn, span_make(longest, 480), true, &n), ERR_NOT_FOUND);
    assert_int_equal(index_name_put(txn, &(struct index_name){SPAN("a"), 0, false}), 0);
    assert_int_equal(index_name_get(txn, SPAN("a"), &n), ERR_NOT_FOUND);

    assert_int_equal(index_keyword_put(txn, 300, SPAN("$Forwarded")), 0);
    assert_int_equal(index_keyword_id(txn, SPAN("$FORWARDED"), &id), 0);
    assert_int_equal(id, 300);
    assert_int_equal(index_keyword_name(txn, 300, &s), 0);
    assert_true(span_eq(s, SPAN("$Forwarded")));
    assert_int_equal(index_keyword_name(txn, 301, &s), ERR_NOT_FOUND);
    assert_int_equal(index_keyword_id(txn, SPAN_EMPTY, &id), ERR_NOT_FOUND);

    unsigned char a[16] = {1, 2, 3}, b[16];
    assert_int_equal(index_site_put(txn, SPAN("ann@example.org"), a), 0);
    assert_int_equal(index_site_put(txn, SPAN("bob"), a), 0);
    assert_int_equal(index_site_get(txn, SPAN("ann@example.org"), b), 0);
    assert_memory_equal(a, b, 16);
    assert_int_equal(index_site_seek(txn, SPAN("ann@example.org"), true, &s, b), 0);
    assert_true(span_eq(s, SPAN("bob")));
    assert_int_equal(index_site_seek(txn, s, true, &s, b), ERR_NOT_FOUND);
    assert_int_equal(index_site_del(txn, SPAN("bob")), 0);
    assert_int_equal(index_site_del(txn, SPAN("bob")), ERR_NOT_FOUND);
    index_write_abort(txn);
}

/* --- messages and derived records --- */

static void record_make(struct buf *b, uint64_t id, uint32_t version)
{
    uint64_t seed = id * 31 + version;
    size_t n = 20 + rnd(&seed, 3000);

    buf_reset(b);
    put_u64(b, id);
    put_u32(b, version);
    while (b->n < n)
        put_u32(b, rnd(&seed, 1U << 30));
}

enum { MESSAGES = 6000 };

static void test_derived_records(void **state)
{
    struct fixture *f = *state;
    static uint32_t version[MESSAGES + 1]; /* 0: no message */
    uint64_t seed = 5;
    autobuf b = BUF_INIT(1 << 20);
    struct span got;

    memset(version, 0, sizeof(version));
    for (unsigned step = 0; step < 400; step++) {
        struct index_txn *txn = fixture_write(f);
        bool abort = rnd(&seed, 8) == 0;
        uint32_t saved[MESSAGES + 1];

        memcpy(saved, version, sizeof(saved));
        for (unsigned k = rnd(&seed, 60); k > 0; k--) {
            uint32_t id = 1 + rnd(&seed, MESSAGES);

            if (version[id] && rnd(&seed, 3) == 0) {
                assert_int_equal(index_message_ref(txn, id, -1), 0);
                assert_int_equal(index_derived_get(txn, id, &got), ERR_NOT_FOUND);
                version[id] = 0;
                continue;
            }
            if (!version[id]) {
                struct message_location where = {1, id * 100, id, id};

                assert_int_equal(index_message_put(txn, id, &where), 0);
                assert_int_equal(index_message_ref(txn, id, 1), 0);
                assert_int_equal(index_derived_get(txn, id, &got), ERR_NOT_FOUND);
            }
            record_make(&b, id, ++version[id]);
            assert_int_equal(index_derived_put(txn, id, buf_span(&b)), 0);
            if (rnd(&seed, 5) == 0) { /* is seen within the transaction */
                assert_int_equal(index_derived_get(txn, id, &got), 0);
                assert_true(span_eq(got, buf_span(&b)));
            }
        }
        if (abort) {
            index_write_abort(txn);
            memcpy(version, saved, sizeof(saved));
        } else {
            assert_int_equal(index_write_commit(txn), 0);
        }
        if (rnd(&seed, 50) == 0) { /* as after a restart */
            index_close(f->index);
            fixture_open(f, false, INDEX_TRUSTED);
        }
        txn = fixture_read(f);
        for (unsigned k = 0; k < 50; k++) {
            uint32_t id = 1 + rnd(&seed, MESSAGES);
            int rc = index_derived_get(txn, id, &got);

            assert_int_equal(rc, version[id] ? 0 : ERR_NOT_FOUND);
            record_make(&b, id, version[id]);
            if (version[id])
                assert_true(span_eq(got, buf_span(&b)));
        }
        index_read_end(txn);
    }
    struct index_txn *txn = fixture_read(f);
    struct index_message m;
    uint64_t id = 0;
    for (uint64_t want = 1; want <= MESSAGES; want++) {
        if (!version[want])
            continue;
        assert_int_equal(index_message_seek(txn, id + 1, &id, &m), 0);
        assert_int_equal(id, want);
        assert_int_equal(m.where.offset, want * 100);
        assert_int_equal(m.refs, 1);
    }
    assert_int_equal(index_message_seek(txn, id + 1, &id, &m), ERR_NOT_FOUND);
    index_read_end(txn);
}

static unsigned derived_files(const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;
    unsigned n = 0;

    while ((e = readdir(d)) != NULL)
        n += strncmp(e->d_name, "derived-", 8) == 0;
    closedir(d);
    return n;
}

/* Messages come and go for ever: the space of their records does not grow for ever, and what lives
 * through all of it stays readable. */
static void test_derived_space_comes_back(void **state)
{
    struct fixture *f = *state;
    static char record[20000];
    struct span got;
    uint64_t id = 0;

    memset(record, 'r', sizeof(record));
    for (unsigned step = 0; step < 600; step++) { /* 12 MB a hundred steps */
        struct index_txn *txn = fixture_write(f);

        for (unsigned k = 0; k < 6; k++) {
            struct message_location where = {1, 1, 1, 1};

            id++;
            store_le64(record, id);
            assert_int_equal(index_message_put(txn, id, &where), 0);
            assert_int_equal(index_message_ref(txn, id, 1), 0);
            assert_int_equal(index_derived_put(txn, id, span_make(record, sizeof(record))), 0);
            if (id > 60 && (id - 60) % 100 != 0) /* every hundredth stays */
                assert_int_equal(index_message_ref(txn, id - 60, -1), 0);
        }
        assert_int_equal(index_write_commit(txn), 0);
    }
    assert_true(derived_files(f->dir) <= 4);
    struct index_txn *txn = fixture_read(f);
    unsigned seen = 0;
    for (uint64_t k = 100; k <= id - 60; k += 100) {
        assert_int_equal(index_derived_get(txn, k, &got), 0);
        assert_int_equal(got.n, sizeof(record));
        assert_int_equal(load_le64(got.p), k);
        seen++;
    }
    assert_true(seen >= 30);
    index_read_end(txn);
}

static void put_records(struct fixture *f, uint64_t from, uint64_t n, size_t size)
{
    autofree char *record = xcalloc(1, size);
    struct index_txn *txn = fixture_write(f);

    for (uint64_t id = from; id < from + n; id++) {
        struct message_location where = {1, 1, 1, 1};

        store_le64(record, id);
        assert_int_equal(index_message_put(txn, id, &where), 0);
        assert_int_equal(index_message_ref(txn, id, 1), 0);
        assert_int_equal(index_derived_put(txn, id, span_make(record, size)), 0);
    }
    assert_int_equal(index_write_commit(txn), 0);
}

/* A checkpoint comes back together with the records that it refers to, and without later ones. */
static void test_derived_and_checkpoints(void **state)
{
    struct fixture *f = *state;
    struct index_copy *copy;
    struct index_txn *txn;
    struct err err = {0};
    struct span got;

    put_records(f, 1, 70, 1000000); /* two files */
    assert_int_equal(index_copy_begin(f->index, &copy), 0);
    assert_int_equal(index_copy_run(copy, "checkpoint-x", &err), 0);
    index_copy_free(copy);
    put_records(f, 71, 80, 1000000);
    assert_int_equal(derived_files(f->dir), 3);
    index_close(f->index);
    assert_int_equal(index_replace(f->dir, "checkpoint-x", &err), 0);
    fixture_open(f, true, INDEX_TRUSTED);
    assert_int_equal(derived_files(f->dir), 2);
    txn = fixture_read(f);
    for (uint64_t id = 1; id <= 70; id++) {
        assert_int_equal(index_derived_get(txn, id, &got), 0);
        assert_int_equal(load_le64(got.p), id);
    }
    assert_int_equal(index_derived_get(txn, 71, &got), ERR_NOT_FOUND);
    index_read_end(txn);
    put_records(f, 71, 5, 2000);
    txn = fixture_read(f);
    for (uint64_t id = 1; id <= 75; id++) {
        assert_int_equal(index_derived_get(txn, id, &got), 0);
        assert_int_equal(load_le64(got.p), id);
    }
    index_read_end(txn);
}

/* Files that are gone or cut short cost the records, not the process. */
static void test_derived_files_may_vanish(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    char path[100];
    struct span got;

    for (uint64_t id = 1; id <= 100; id++) {
        struct message_location where = {1, 1, 1, 1};
        autobuf b = BUF_INIT(1 << 16);

        record_make(&b, id, 1);
        assert_int_equal(index_message_put(txn, id, &where), 0);
        assert_int_equal(index_message_ref(txn, id, 1), 0);
        assert_int_equal(index_derived_put(txn, id, buf_span(&b)), 0);
    }
    assert_int_equal(index_write_commit(txn), 0);
    index_close(f->index);
    snprintf(path, sizeof(path), "%s/derived-1", f->dir);
    assert_int_equal(truncate(path, 10000), 0);
    fixture_open(f, false, INDEX_TRUSTED);
    txn = fixture_read(f);
    assert_int_equal(index_derived_get(txn, 1, &got), 0);
    assert_int_equal(index_derived_get(txn, 100, &got), ERR_NOT_FOUND);
    index_read_end(txn);
    index_close(f->index);
    unlink(path);
    fixture_open(f, false, INDEX_TRUSTED);
    txn = fixture_read(f);
    assert_int_equal(index_derived_get(txn, 1, &got), ERR_NOT_FOUND);
    index_read_end(txn);
    txn = fixture_write(f);
    assert_int_equal(index_derived_put(txn, 1, SPAN("anew")), 0);
    assert_int_equal(index_derived_put(txn, 999, SPAN("nobody's")), ERR_NOT_FOUND);
    assert_int_equal(index_write_commit(txn), 0);
    txn = fixture_read(f);
    assert_int_equal(index_derived_get(txn, 1, &got), 0);
    assert_true(span_eq(got, SPAN("anew")));
    index_read_end(txn);
}

static void test_references(void **state)
{
    struct fixture *f = *state;
    struct index_txn *txn = fixture_write(f);
    struct message_location where = {7, 1000, 50, 9};
    struct index_message m;
    struct index_dead d;

    assert_int_equal(index_message_put(txn, 64, &where), 0);
    assert_int_equal(index_message_ref(txn, 64, 1), 0);
    assert_int_equal(index_message_ref(txn, 64, 1), 0);
    assert_int_equal(index_message_ref(txn, 64, -1), 0);
    assert_int_equal(index_message_get(txn, 64, &m), 0);
    assert_int_equal(m.refs, 1);
    where.segment = 8; /* moved */
    assert_int_equal(index_message_put(txn, 64, &where), 0);
    assert_int_equal(index_message_get(txn, 64, &m), 0);
    assert_int_equal(m.refs, 1);
    assert_int_equal(m.where.segment, 8);
    assert_int_equal(index_message_ref(txn, 64, -1), 0);
    assert_int_equal(index_message_get(txn, 64, &m), ERR_NOT_FOUND);
    assert_int_equal(index_message_ref(txn, 64, -1), ERR_NOT_FOUND);
    assert_int_equal(index_dead_seek(txn, 0, &d), 0);
    assert_int_equal(d.segment, 8);
    assert_int_equal(d.bytes, 50);
    assert_int_equal(index_dead_del(txn, 8), 0);
    assert_int_equal(index_dead_seek(txn, 0, &d), ERR_NOT_FOUND);
    where.offset = INDEX_LOCATION_MAX + 1;
    assert_int_equal(index_message_put(txn, 64, &where), ERR_INVALID);
    assert_int_equal(index_write_commit(txn), 0);
}

/* Many readers at a time, renewed ones and new ones, each seeing its own state. */
static void test_snapshots(void **state)
{
    struct fixture *f = *state;
    struct index_txn *r[20];
    struct index_state s;

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < ARRAY_LEN(r); i++) {
            put_state(f, i);
            r[i] = fixture_read(f);
        }
        for (size_t i = 0; i < ARRAY_LEN(r); i++) {
            assert_int_equal(index_state_get(r[i], &s), 0);
            assert_int_equal(s.applied_seq, i);
        }
        for (size_t i = 0; i < ARRAY_LEN(r); i++)
            index_read_end(r[i]);
    }
    assert_int_equal(index_check_readers(f->index), 0);
}

#define fixture_test(t) cmocka_unit_test_setup_teardown(t, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        fixture_test(test_same_boot_is_trusted),
        fixture_test(test_other_boot_is_not),
        fixture_test(test_clean_close_survives_a_boot),
        fixture_test(test_another_file_is_not_trusted),
        fixture_test(test_an_aborted_first_write_harms_nothing),
        fixture_test(test_damage_is_an_error),
        fixture_test(test_copy_is_a_snapshot),
        fixture_test(test_mailboxes),
        fixture_test(test_names_and_keywords),
        fixture_test(test_derived_records),
        fixture_test(test_derived_space_comes_back),
        fixture_test(test_derived_and_checkpoints),
        fixture_test(test_derived_files_may_vanish),
        fixture_test(test_references),
        fixture_test(test_snapshots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
