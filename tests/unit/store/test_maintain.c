/* Check, rebuild, compaction, backup and restore, while the account is in use. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "fixture.h"
#include "log/log.h"
#include "store/maintain.h"
#include "store/store_int.h"

struct ran {
    struct maintenance m;
    bool finished;
    int error;
    char text[256];
    size_t findings, damages;
    uint64_t done, total;
};

static void on_finding(struct maintenance *m, const struct finding *f)
{
    struct ran *r = container_of(m, struct ran, m);
    r->findings++;
    r->damages += f->kind == FINDING_DAMAGE;
    if (r->findings == 1)
        snprintf(r->text, sizeof(r->text), "%s", f->text);
}

static void on_progress(struct maintenance *m, uint64_t done, uint64_t total)
{
    struct ran *r = container_of(m, struct ran, m);
    assert_true(done <= total);
    r->done = done;
    r->total = total;
}

static void on_finished(struct maintenance *m, int error, const char *text)
{
    struct ran *r = container_of(m, struct ran, m);
    assert_false(r->finished);
    r->finished = true;
    r->error = error;
    if (error)
        snprintf(r->text, sizeof(r->text), "%s", text);
}

static struct ran ran_new(void)
{
    return (struct ran){.m = {on_finding, on_progress, on_finished, NULL, false}};
}

static void finish(struct fixture *f, struct ran *r, int error)
{
    manual_host_run(&f->host);
    assert_true(r->finished);
    if (r->error != error)
        fail_msg("%s: %s", err_name(r->error), r->text);
}

static void check_clean(struct fixture *f)
{
    struct ran r = ran_new();
    account_check(f->account, &r.m);
    finish(f, &r, 0);
    if (r.findings)
        fail_msg("check: %s", r.text);
    assert_int_equal(r.done, r.total);
}

/* Messages of 3 to 60 KB with contents that follow from the number. */
static void message_text(struct buf *b, unsigned n)
{
    buf_reset(b);
    buf_printf(b, "Subject: message %u\r\n\r\n", n);
    for (unsigned i = 0; i < 50 + n * 37 % 1000; i++)
        buf_printf(b, "line %u of message %u, and %u\r\n", i, n, i * n);
}

static void append_many(struct fixture *f, unsigned from, unsigned to)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    for (unsigned n = from; n < to; n++) {
        message_text(&b, n);
        expect(f, ask_append(f, "INBOX", b.p, n % 3 ? FLAG_SEEN : 0, n % 5 ? "" : "$five"), 0);
    }
}

/* Every live message of the mailbox reads as message_text(uid - 1 + offset). */
static unsigned verify_bytes(struct fixture *f, uint32_t mailbox, unsigned offset)
{
    autobuf got = BUF_INIT(BUF_UNLIMITED), expected = BUF_INIT(BUF_UNLIMITED);
    unsigned count = 0;
    for (uint32_t uid = 1;; uid++) {
        struct snap *snap;
        struct row_cursor *c;
        struct row row;
        struct message_location where;
        assert_int_equal(snap_begin(f->account, &snap), 0);
        assert_int_equal(row_cursor_open(snap, mailbox, &c), 0);
        int error = row_cursor_seek(c, uid, &row);
        row_cursor_close(c);
        if (error == 0)
            assert_int_equal(snap_message(snap, row.message_id, &where), 0);
        snap_end(snap);
        if (error)
            return count;
        uid = row.uid;
        buf_reset(&got);
        assert_int_equal(account_read(f->account, &where, 0, SIZE_MAX, &got), 0);
        message_text(&expected, uid - 1 + offset);
        assert_true(span_eq(buf_span(&got), buf_span(&expected)));
        count++;
    }
}

static void make_history(struct fixture *f)
{
    uint32_t inbox = mailbox_id(f, "INBOX");
    append_many(f, 0, 60);
    expect(f, ask_name(REQUEST_CREATE, "a/b", NULL), 0);
    expect(f, ask_name(REQUEST_SUBSCRIBE, "not-there", NULL), 0);
    expect(f, ask_uids(REQUEST_COPY, inbox, "3:9", "a/b"), 0);
    expect(f, ask_store(inbox, "10:60", STORE_ADD, FLAG_DELETED, "gone"), 0);
    expect(f, ask_uids(REQUEST_EXPUNGE, inbox, "20:60", NULL), 0);
    expect(f, ask_name(REQUEST_CREATE, "dead", NULL), 0);
    expect(f, ask_name(REQUEST_DELETE, "dead", NULL), 0);
}

static uint64_t log_bytes(struct fixture *f)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    uint64_t sum = 0;
    store_account_path(f->store, &f->id, "/log", &path);
    DIR *d = opendir(path.p);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, 0) == 0 && S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_size;
    }
    closedir(d);
    return sum;
}

static void expect_same(struct fixture *f, const struct buf *before)
{
    autobuf now = BUF_INIT(BUF_UNLIMITED);
    describe(f, &now);
    assert_string_equal(before->p, now.p);
}

/* --- check and rebuild --- */

static void check_finds_nothing(void **state)
{
    struct fixture *f = *state;
    make_history(f);
    check_clean(f);
    check_clean(f);
}

static void check_while_in_use(void **state)
{
    struct fixture *f = *state;
    struct ran r = ran_new(), second = ran_new();
    make_history(f);
    account_check(f->account, &r.m);
    account_check(f->account, &second.m); /* one at a time */
    struct asked *a = ask_append(f, "INBOX", "x", 0, "");
    submit(f, a);
    finish(f, &r, 0);
    assert_true(second.finished);
    assert_int_equal(second.error, ERR_BUSY);
    assert_int_equal(r.findings, 0);
    assert_true(a->answered);
    assert_int_equal(a->r.result.error, 0);
    asked_free(a);
}

static void first_segment(struct fixture *f, struct buf *path)
{
    store_account_path(f->store, &f->id, "/log/0000000000000001", path);
}

static void check_finds_damage(void **state)
{
    struct fixture *f = *state;
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    struct ran r = ran_new();
    char byte;
    make_history(f);
    first_segment(f, &path);
    int fd = open(path.p, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, 20000), 1);
    byte ^= 0x40;
    assert_int_equal(pwrite(fd, &byte, 1, 20000), 1);
    close(fd);
    account_check(f->account, &r.m);
    finish(f, &r, 0);
    assert_true(r.damages > 0);
}

static void rebuild_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct ran r = ran_new();
    autobuf before = BUF_INIT(BUF_UNLIMITED);
    make_history(f);
    describe(f, &before);
    account_rebuild(f->account, &r.m);
    struct asked *a = ask_name(REQUEST_SUBSCRIBE, "while-it-is-closed", NULL);
    submit(f, a); /* waits */
    finish(f, &r, 0);
    assert_true(a->answered);
    assert_int_equal(a->r.result.error, 0);
    asked_free(a);
    expect(f, ask_name(REQUEST_UNSUBSCRIBE, "while-it-is-closed", NULL), 0);
    expect_same(f, &before);
    check_clean(f);
    append_many(f, 60, 62);
}

static void checkpoint_by_hand(void **state)
{
    struct fixture *f = *state;
    struct ran r = ran_new();
    make_history(f);
    account_checkpoint(f->account, &r.m);
    finish(f, &r, 0);
    append_many(f, 60, 62);
    check_clean(f);
    fixture_reopen(f);
    check_clean(f);
}

/* --- compaction --- */

static void compaction_frees_space(void **state)
{
    struct fixture *f = *state;
    struct ran r = ran_new();
    autobuf before = BUF_INIT(BUF_UNLIMITED);
    make_history(f);
    describe(f, &before);
    uint64_t full = log_bytes(f);
    account_compact(f->account, true, &r.m);
    finish(f, &r, 0);
    expect_same(f, &before);
    assert_true(log_bytes(f) < full / 2);
    assert_int_equal(verify_bytes(f, mailbox_id(f, "INBOX"), 0), 19);
    assert_int_equal(verify_bytes(f, mailbox_id(f, "a/b"), 2), 7);
    check_clean(f);
    /* Life goes on, also after a replay that begins with the base. */
    append_many(f, 60, 63);
    describe(f, &before);
    check_clean(f);
    struct ran rebuilt = ran_new();
    account_rebuild(f->account, &rebuilt.m);
    finish(f, &rebuilt, 0);
    expect_same(f, &before);
    fixture_reopen(f);
    expect_same(f, &before);
    check_clean(f);
    struct ran again = ran_new();
    account_compact(f->account, true, &again.m);
    finish(f, &again, 0);
    expect_same(f, &before);
    check_clean(f);
}

static void compaction_meets_changes(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    struct ran r = ran_new();
    make_history(f);
    account_compact(f->account, true, &r.m);
    while (manual_host_defer_one(&f->host))
        ;
    /* The dump waits in its worker: these come after the state that it dumps. */
    struct asked *a = ask_append(f, "INBOX", "late", 0, "");
    struct asked *b = ask_store(inbox, "1:4", STORE_ADD, FLAG_DELETED, "late");
    struct asked *c = ask_uids(REQUEST_EXPUNGE, inbox, "1:2", NULL);
    submit(f, a);
    submit(f, b);
    submit(f, c);
    finish(f, &r, 0);
    assert_true(a->answered && b->answered && c->answered);
    assert_int_equal(c->r.result.error, 0);
    expect_ranges(&c->r.result.uids, "1:2");
    asked_free(a);
    asked_free(b);
    asked_free(c);
    check_clean(f);
    autobuf before = BUF_INIT(BUF_UNLIMITED);
    describe(f, &before);
    struct ran rebuilt = ran_new();
    account_rebuild(f->account, &rebuilt.m);
    finish(f, &rebuilt, 0);
    expect_same(f, &before);
}

static void compaction_with_grace_keeps_files(void **state)
{
    struct fixture *f = *state;
    struct ran r = ran_new();
    make_history(f);
    uint64_t full = log_bytes(f);
    account_compact(f->account, false, &r.m);
    finish(f, &r, 0);
    assert_true(log_bytes(f) >= full);
    check_clean(f);
    fixture_reopen(f);
    assert_int_equal(verify_bytes(f, mailbox_id(f, "INBOX"), 0), 19);
}

static void mostly_dead_logs_are_compacted_by_themselves(void **state)
{
    struct fixture *f = *state;
    enum { BIG = 900 * 1024, COUNT = 84 };
    autofree char *text = xmalloc(BIG + 1);
    memset(text, 'x', BIG);
    text[BIG] = '\0';
    for (int i = 0; i < COUNT; i++)
        expect(f, ask_append(f, "INBOX", text, i < 4 ? 0 : FLAG_DELETED, ""), 0);
    assert_int_equal(log_first_seq(f->account->log), 1);
    expect(f, ask_uids(REQUEST_EXPUNGE, mailbox_id(f, "INBOX"), "", NULL), 0);
    assert_true(log_first_seq(f->account->log) > 1); /* a base was made */
    expect(f, ask_append(f, "INBOX", "x", 0, ""), 0);
    check_clean(f);
    /* And it does not begin again. */
    uint64_t first = log_first_seq(f->account->log);
    expect(f, ask_store(mailbox_id(f, "INBOX"), "1", STORE_ADD, FLAG_DELETED, ""), 0);
    expect(f, ask_uids(REQUEST_EXPUNGE, mailbox_id(f, "INBOX"), "", NULL), 0);
    assert_int_equal(log_first_seq(f->account->log), first);
}

/* Applied in slices, with the loop and other requests between them. */
static void large_changes_come_in_slices(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX"), trash = mailbox_id(f, "Trash");
    append_many(f, 0, 50);
    for (int i = 0; i < 10; i++)
        expect(f, ask_uids(REQUEST_COPY, inbox, "1:60000", "INBOX"), 0);
    struct asked *a = ask_store(inbox, "1:60000", STORE_ADD, FLAG_DELETED, "new"),
                 *b = ask_uids(REQUEST_MOVE, inbox, "1:60000", "Trash"),
                 *c = ask_append(f, "INBOX", "x", 0, "");
    submit(f, a);
    submit(f, b);
    submit(f, c);
    manual_host_run(&f->host);
    assert_int_equal(ranges_count(&a->r.result.uids), 51200);
    assert_int_equal(b->r.result.count, 51200);
    assert_int_equal(c->r.result.first_uid, 51201);
    asked_free(a);
    asked_free(b);
    asked_free(c);
    struct asked *e = run(f, ask_uids(REQUEST_EXPUNGE, trash, "1000:50000", NULL));
    assert_int_equal(ranges_count(&e->r.result.uids), 49001);
    asked_free(e);
    check_clean(f);
    autobuf before = BUF_INIT(BUF_UNLIMITED);
    describe(f, &before);
    fixture_reopen(f);
    expect_same(f, &before);
}

/* --- backup and restore --- */

static uint32_t uidvalidity(struct fixture *f, const char *name)
{
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, span_str(name), &info), 0);
    snap_end(snap);
    return info.uidvalidity;
}

static void backup(struct fixture *f, const char *dir)
{
    struct ran r = ran_new();
    account_backup(f->account, dir, &r.m);
    finish(f, &r, 0);
}

static void restore(struct fixture *f, const char *dir)
{
    struct ran r = ran_new();
    account_unref(take_ptr(f->account));
    account_restore(f->store, &f->id, dir, &r.m);
    finish(f, &r, 0);
    fixture_reopen(f);
}

static void backup_and_restore(void **state)
{
    struct fixture *f = *state;
    char dir[96];
    autobuf first = BUF_INIT(BUF_UNLIMITED), second = BUF_INIT(BUF_UNLIMITED);
    snprintf(dir, sizeof(dir), "%s/backup", f->dir);
    make_history(f);
    backup(f, dir);
    append_many(f, 60, 70);
    describe(f, &first);
    backup(f, dir); /* adds what is new */
    uint32_t validity = uidvalidity(f, "INBOX");
    /* Nothing was lost: the same state, the same UIDVALIDITY. */
    restore(f, dir);
    expect_same(f, &first);
    assert_int_equal(uidvalidity(f, "INBOX"), validity);
    check_clean(f);
    /* Clients have seen more than the backup has: the same messages, but no client believes its
     * cache. */
    append_many(f, 70, 75);
    describe(f, &second);
    restore(f, dir);
    expect_same(f, &first);
    assert_true(uidvalidity(f, "INBOX") > validity);
    assert_true(uidvalidity(f, "a/b") > validity);
    check_clean(f);
    append_many(f, 70, 72);
    check_clean(f);
    fixture_reopen(f);
    check_clean(f);
}

static void backup_after_compaction(void **state)
{
    struct fixture *f = *state;
    char dir[96];
    autobuf before = BUF_INIT(BUF_UNLIMITED);
    struct ran r = ran_new();
    snprintf(dir, sizeof(dir), "%s/backup", f->dir);
    make_history(f);
    backup(f, dir);
    account_compact(f->account, true, &r.m);
    finish(f, &r, 0);
    backup(f, dir);
    describe(f, &before);
    restore(f, dir);
    expect_same(f, &before);
    assert_int_equal(verify_bytes(f, mailbox_id(f, "INBOX"), 0), 19);
    check_clean(f);
}

static void restore_is_refused_while_in_use(void **state)
{
    struct fixture *f = *state;
    char dir[96];
    struct ran r = ran_new();
    snprintf(dir, sizeof(dir), "%s/backup", f->dir);
    backup(f, dir);
    account_restore(f->store, &f->id, dir, &r.m);
    finish(f, &r, ERR_BUSY);
    struct ran missing = ran_new();
    account_unref(take_ptr(f->account));
    account_restore(f->store, &f->id, "/nonexistent", &missing.m);
    manual_host_run(&f->host);
    assert_true(missing.finished);
    assert_int_not_equal(missing.error, 0);
    fixture_reopen(f); /* as it was */
    check_clean(f);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(check_finds_nothing),
        TEST(check_while_in_use),
        TEST(check_finds_damage),
        TEST(rebuild_changes_nothing),
        TEST(checkpoint_by_hand),
        TEST(compaction_frees_space),
        TEST(compaction_meets_changes),
        TEST(compaction_with_grace_keeps_files),
        TEST(mostly_dead_logs_are_compacted_by_themselves),
        TEST(large_changes_come_in_slices),
        TEST(backup_and_restore),
        TEST(backup_after_compaction),
        TEST(restore_is_refused_while_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
