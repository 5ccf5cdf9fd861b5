/* A delivery that is asked for again takes effect once: in one batch, while the first waits for its
 * sync, after a crash at any call, after a rebuild and a compaction; within its window. */
#include "base/err.h"
#include "base/logline.h"
#include "fault_fs.h"
#include "fixture.h"
#include "index/index.h"
#include "index/tables.h"
#include "store/maintain.h"
#include "store/store_int.h"

static const unsigned char ONE[16] = {1, 2, 3}, TWO[16] = {1, 2, 4};

static struct asked *ask_delivery(struct fixture *f, const unsigned char *id, uint32_t window)
{
    struct asked *a = ask_append(f, "INBOX", "Subject: x\r\n\r\nmail\r\n", 0, "");
    a->r.delivery_id = id;
    a->r.delivery_window = window;
    return a;
}

static uint32_t inbox_count(struct fixture *f)
{
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, SPAN("INBOX"), &info), 0);
    snap_end(snap);
    return info.exists;
}

static void deliver(struct fixture *f, const unsigned char *id, uint32_t window, bool duplicate)
{
    struct asked *a = run(f, ask_delivery(f, id, window));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.duplicate, duplicate);
    assert_int_equal(a->messages[0].upload != NULL, duplicate); /* still the caller's */
    asked_free(a);
}

static void the_second_is_a_duplicate(void **state)
{
    struct fixture *f = *state;
    deliver(f, ONE, 3600, false);
    deliver(f, ONE, 3600, true);
    deliver(f, TWO, 3600, false);
    deliver(f, TWO, 3600, true);
    expect(f, ask_append(f, "INBOX", "x", 0, ""), 0); /* appends have no id */
    assert_int_equal(inbox_count(f), 3);
    fixture_reopen(f);
    deliver(f, ONE, 3600, true);
    assert_int_equal(inbox_count(f), 3);
}

static void simultaneous_ones(void **state)
{
    struct fixture *f = *state;
    struct asked *a = ask_delivery(f, ONE, 60), *b = ask_delivery(f, ONE, 60),
                 *c = ask_delivery(f, ONE, 60);
    submit(f, a);
    submit(f, b); /* in one batch */
    while (manual_host_defer_one(&f->host))
        ;
    submit(f, c); /* the first is written, but not durable */
    assert_false(a->answered || b->answered);
    manual_host_run(&f->host);
    assert_true(a->answered && b->answered && c->answered);
    assert_int_equal(a->r.result.error + b->r.result.error + c->r.result.error, 0);
    assert_false(a->r.result.duplicate);
    assert_true(b->r.result.duplicate && c->r.result.duplicate);
    asked_free(a);
    asked_free(b);
    asked_free(c);
    assert_int_equal(inbox_count(f), 1);
}

static void what_fails_leaves_no_id(void **state)
{
    struct fixture *f = *state;
    struct asked *a = ask_delivery(f, ONE, 60);
    a->r.name = SPAN("nowhere");
    expect(f, a, ERR_NOT_FOUND);
    deliver(f, ONE, 60, false);
}

static void a_deleted_message_does_not_come_back(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    deliver(f, ONE, 60, false);
    expect(f, ask_store(inbox, "1", STORE_ADD, FLAG_DELETED, ""), 0);
    expect(f, ask_uids(REQUEST_EXPUNGE, inbox, "", NULL), 0);
    deliver(f, ONE, 60, true);
    assert_int_equal(inbox_count(f), 0);
}

/* How many are remembered. */
static unsigned remembered(struct fixture *f)
{
    struct index_txn *txn;
    struct index_delivery d;
    unsigned n = 0;
    assert_int_equal(index_read_begin(f->account->index, &txn), 0);
    int rc = index_delivery_seek(txn, NULL, 0, &d);
    for (; rc == 0; rc = index_delivery_seek(txn, &d, 0, &d))
        n++;
    index_read_end(txn);
    assert_int_equal(rc, ERR_NOT_FOUND);
    return n;
}

static void old_ones_are_forgotten(void **state)
{
    struct fixture *f = *state;
    unsigned char id[16] = {0};
    for (id[0] = 0; id[0] < 20; id[0]++)
        deliver(f, id, 1, false);
    deliver(f, ONE, 3600, false);
    assert_int_equal(remembered(f), 21);
    usleep(2100000);
    id[0] = 7;
    deliver(f, id, 3600, false); /* too long ago: a message of its own */
    deliver(f, id, 3600, true);
    for (id[0] = 20; id[0] < 30; id[0]++)
        deliver(f, id, 3600, false);
    assert_int_equal(remembered(f), 12);
    deliver(f, ONE, 3600, true);
}

static void on_finding(struct maintenance *m, const struct finding *finding)
{
    (void)m;
    fail_msg("finding: %s", finding->text);
}

static void on_progress(struct maintenance *m, uint64_t done, uint64_t total)
{
    (void)m;
    assert_true(done <= total);
}

static void on_finished(struct maintenance *m, int error, const char *text)
{
    if (error)
        fail_msg("maintenance: %s", text);
    *(bool *)m->arg = true;
}

static void maintain(struct fixture *f, void (*start)(struct account *, struct maintenance *))
{
    bool finished = false;
    struct maintenance m = {
        .finding = on_finding, .progress = on_progress, .finished = on_finished, .arg = &finished};
    start(f->account, &m);
    manual_host_run(&f->host);
    assert_true(finished);
}

static void compact(struct account *a, struct maintenance *m)
{
    account_compact(a, true, m);
}

static void ids_survive_maintenance(void **state)
{
    struct fixture *f = *state;
    unsigned char id[16] = {0};
    for (id[1] = 0; id[1] < 40; id[1]++)
        deliver(f, id, 3600, false);
    maintain(f, account_rebuild);
    deliver(f, ONE, 3600, false);
    maintain(f, compact);
    maintain(f, account_check);
    deliver(f, TWO, 3600, false);
    maintain(f, account_rebuild); /* replays the base */
    assert_int_equal(remembered(f), 42);
    for (id[1] = 0; id[1] < 40; id[1]++)
        deliver(f, id, 3600, true);
    deliver(f, ONE, 3600, true);
    deliver(f, TWO, 3600, true);
    assert_int_equal(inbox_count(f), 42);
}

static void expect_like(struct fixture *f, const char *word, const char *name)
{
    struct snap *snap;
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    assert_int_equal(snap_begin(f->account, &snap), 0);
    int error = snap_mailbox_like(snap, span_str(word), &got);
    snap_end(snap);
    assert_int_equal(error, name ? 0 : ERR_NOT_FOUND);
    if (name)
        assert_string_equal(got.p, name);
}

static void words_that_mean_a_mailbox(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"lists/a", "lists.a", "Lists/B", "Kn\xc3\xb6pfe", "x", "X"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        expect(f, ask_name(REQUEST_CREATE, names[i], NULL), 0);
    expect(f, ask_name(REQUEST_SUBSCRIBE, "only-subscribed", NULL), 0);
    expect_like(f, "inbox", "INBOX");
    expect_like(f, "lists/a", "lists/a");
    expect_like(f, "lists.a", "lists.a"); /* as it is spelled comes first */
    expect_like(f, "lists.b", "Lists/B");
    expect_like(f, "LISTS/b", "Lists/B");
    expect_like(f, "x", "x");
    expect_like(f, "X", "X");
    expect_like(f, "KN\xc3\x96PFE", "Kn\xc3\xb6pfe");
    expect_like(f, "kno\xcc\x88pfe", "Kn\xc3\xb6pfe"); /* decomposed */
    expect_like(f, "trash", "Trash");
    expect_like(f, "lists", "lists"); /* made as a superior */
    expect_like(f, "only-subscribed", NULL);
    expect_like(f, "lists/", "lists");
    expect_like(f, "", NULL);
    expect_like(f, "a//b", NULL);
    expect_like(f, "\xff", NULL);
    expect_like(f, "nothing", NULL);
}

/* The MTA repeats what was not answered with success, as it was. */
static void crash_once(uint64_t die_after, bool power)
{
    struct fixture fx = {0}, *f = &fx;
    struct fault_fs fs;
    unsigned char id[16] = {0};
    bool acknowledged[6] = {false};
    struct asked *asked[6];
    memcpy(f->dir, "/tmp/martlet-store-XXXXXX", 26);
    assert_non_null(mkdtemp(f->dir));
    fault_fs_init(&fs);
    f->fs = &fs.fs;
    fixture_open(f);
    fs.die_at = fs.calls + die_after;
    for (int i = 0; i < 6; i++) {
        asked[i] = NULL;
        if (f->account->state != ACCOUNT_AWAKE || f->account->failed)
            break;
        asked[i] = ask_delivery(f, NULL, 3600);
        asked[i]->r.delivery_id = (unsigned char *)asked[i]->new_name;
        id[0] = (unsigned char)(i + 1);
        memcpy(asked[i]->new_name, id, sizeof(id));
        account_submit(f->account, &asked[i]->r);
        for (int n = 0; n < i; n++)
            manual_host_step(&f->host);
    }
    manual_host_run(&f->host);
    for (int i = 0; i < 6 && asked[i]; i++) {
        assert_true(asked[i]->answered);
        acknowledged[i] = asked[i]->r.result.error == 0;
        asked_free(asked[i]);
    }
    account_unref(take_ptr(f->account));
    store_free(take_ptr(f->store));
    manual_host_done(&f->host);
    if (power) {
        fault_fs_power_loss(&fs);
        index_set_boot_for_test("another boot");
    } else {
        fault_fs_revive(&fs);
    }
    fixture_open(f);
    for (int i = 0; i < 6; i++) {
        id[0] = (unsigned char)(i + 1);
        struct asked *a = run(f, ask_delivery(f, id, 3600));
        assert_int_equal(a->r.result.error, 0);
        if (acknowledged[i])
            assert_true(a->r.result.duplicate);
        asked_free(a);
    }
    assert_int_equal(inbox_count(f), 6);
    fixture_close(f);
    index_set_boot_for_test(NULL);
    fault_fs_done(&fs);
    fixture_remove(f);
}

static void crashes_deliver_once(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    for (uint64_t die = 1; die < 40; die++) {
        crash_once(die, false);
        crash_once(die, true);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_second_is_a_duplicate), TEST(simultaneous_ones),
        TEST(what_fails_leaves_no_id),   TEST(a_deleted_message_does_not_come_back),
        TEST(old_ones_are_forgotten),    TEST(ids_survive_maintenance),
        TEST(words_that_mean_a_mailbox), cmocka_unit_test(crashes_deliver_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
