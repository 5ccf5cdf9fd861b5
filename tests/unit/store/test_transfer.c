/* A move to another account: the steps and their refusals; a death at any call, with and without
 * lost power: after settling, each message is in exactly one of the two accounts. */
#include "base/err.h"
#include "base/logline.h"
#include "fault_fs.h"
#include "fixture.h"
#include "index/index.h"
#include "store/maintain.h"
#include "store/store_int.h"
#include "store/transfer.h"

/* The fixture's account is the source; it has a neighbour. */
struct pair {
    struct fixture f;
    struct account_id other_id;
    struct account *other;
};

static void other_found(void *arg, int error, const struct account_id *id)
{
    struct pair *p = arg;
    assert_int_equal(error, 0);
    p->other_id = *id;
}

static void other_opened(void *arg, int error, struct account *account)
{
    struct pair *p = arg;
    assert_int_equal(error, 0);
    p->other = account;
}

static void pair_open(struct pair *p)
{
    fixture_open(&p->f);
    site_find_or_create(p->f.store, SPAN("other"), other_found, p);
    manual_host_run(&p->f.host);
    account_open(p->f.store, &p->other_id, other_opened, p);
    manual_host_run(&p->f.host);
    assert_non_null(p->other);
}

static void pair_close(struct pair *p)
{
    account_unref(take_ptr(p->other));
    fixture_close(&p->f);
}

static int pair_setup(void **state)
{
    struct pair *p = xnew(struct pair);
    memcpy(p->f.dir, "/tmp/martlet-store-XXXXXX", 26);
    assert_non_null(mkdtemp(p->f.dir));
    pair_open(p);
    *state = p;
    return 0;
}

static int pair_teardown(void **state)
{
    struct pair *p = *state;
    pair_close(p);
    fixture_remove(&p->f);
    free(p);
    return 0;
}

static struct asked *ask_begin(const unsigned char *id, uint32_t mailbox, const char *uids)
{
    struct asked *a = ask_uids(REQUEST_TRANSFER_BEGIN, mailbox, uids, NULL);
    a->r.name = SPAN("other");
    a->r.new_name = SPAN("INBOX");
    a->r.transfer_id = id;
    return a;
}

static struct asked *ask_end(const unsigned char *id, bool done)
{
    struct asked *a = ask(REQUEST_TRANSFER_END);
    a->r.transfer_id = id;
    a->r.transfer_done = done;
    return a;
}

static struct asked *ask_settle(const unsigned char *id)
{
    struct asked *a = ask(REQUEST_TRANSFER_SETTLE);
    a->r.transfer_id = id;
    return a;
}

/* An APPEND to the other account. */
static struct asked *ask_arrive(struct pair *p, const unsigned char *id)
{
    struct fixture f = p->f;
    f.account = p->other;
    struct asked *a = ask_append(&f, "INBOX", "Subject: x\r\n\r\nmail\r\n", FLAG_SEEN, "");
    a->r.transfer_id = id;
    return a;
}

static struct asked *run_on(struct pair *p, struct account *account, struct asked *a)
{
    account_submit(account, &a->r);
    manual_host_run(&p->f.host);
    assert_true(a->answered);
    return a;
}

static void expect_on(struct pair *p, struct account *account, struct asked *a, int error,
                      bool duplicate)
{
    run_on(p, account, a);
    assert_int_equal(a->r.result.error, error);
    assert_int_equal(a->r.result.duplicate, duplicate);
    asked_free(a);
}

static uint32_t count(struct account *account)
{
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, SPAN("INBOX"), &info), 0);
    snap_end(snap);
    return info.exists;
}

static int pending(struct account *account)
{
    struct snap *snap;
    struct transfer t;
    int n = 0;
    assert_int_equal(snap_begin(account, &snap), 0);
    int rc = snap_transfer_seek(snap, NULL, &t);
    for (; rc == 0; rc = snap_transfer_seek(snap, t.id, &t))
        n++;
    snap_end(snap);
    assert_int_equal(rc, ERR_NOT_FOUND);
    return n;
}

/* --- settling --- */

static void open_user(void *ctx, struct span user, transfer_opened *opened, void *arg)
{
    struct pair *p = ctx;
    if (span_eq(user, SPAN("other")))
        account_open(p->f.store, &p->other_id, opened, arg);
    else
        opened(arg, ERR_NOT_FOUND, NULL);
}

static void settled(void *arg, int error)
{
    assert_int_equal(error, 0);
    *(bool *)arg = true;
}

static void settle(struct pair *p)
{
    bool done = false;
    transfers_settle(p->f.account, NULL, open_user, p, settled, &done);
    manual_host_run(&p->f.host);
    assert_true(done);
    assert_int_equal(pending(p->f.account), 0);
}

static void fill_inbox(struct pair *p, int n)
{
    while (n-- > 0)
        expect(&p->f, ask_append(&p->f, "INBOX", "Subject: x\r\n\r\nmail\r\n", 0, ""), 0);
}

/* --- the steps --- */

static void all_goes_well(void **state)
{
    struct pair *p = *state;
    unsigned char id[TRANSFER_ID_LEN];
    transfer_id_new(id);
    fill_inbox(p, 3);
    struct asked *a = run(&p->f, ask_begin(id, mailbox_id(&p->f, "INBOX"), "1,3,7"));
    assert_int_equal(a->r.result.error, 0);
    expect_ranges(&a->r.result.uids, "1,3");
    expect_ranges(&a->r.result.missing, "7");
    asked_free(a);
    assert_int_equal(pending(p->f.account), 1);
    assert_int_equal(count(p->f.account), 3);
    expect_on(p, p->other, ask_arrive(p, id), 0, false);
    expect_on(p, p->other, ask_arrive(p, id), 0, true);
    a = run(&p->f, ask_end(id, true));
    assert_int_equal(a->r.result.error, 0);
    expect_ranges(&a->r.result.uids, "1,3");
    assert_true(a->r.result.modseq > 0);
    asked_free(a);
    assert_int_equal(pending(p->f.account), 0);
    assert_int_equal(count(p->f.account), 1);
    assert_int_equal(count(p->other), 1);
    expect(&p->f, ask_end(id, true), 0); /* again */
    assert_int_equal(count(p->f.account), 1);
}

static void nothing_to_move(void **state)
{
    struct pair *p = *state;
    unsigned char id[TRANSFER_ID_LEN];
    transfer_id_new(id);
    expect(&p->f, ask_begin(id, mailbox_id(&p->f, "INBOX"), "1:9"), 0);
    assert_int_equal(pending(p->f.account), 0);
    expect(&p->f, ask_begin(id, 999, "1:9"), ERR_NOT_FOUND);
    struct asked *a = ask_begin(id, mailbox_id(&p->f, "INBOX"), "1");
    a->r.name = SPAN_EMPTY;
    expect(&p->f, a, ERR_INVALID);
    expect(&p->f, ask_end(NULL, true), ERR_INVALID);
}

static void given_up(void **state)
{
    struct pair *p = *state;
    unsigned char id[TRANSFER_ID_LEN];
    transfer_id_new(id);
    fill_inbox(p, 1);
    expect(&p->f, ask_begin(id, mailbox_id(&p->f, "INBOX"), "1"), 0);
    expect(&p->f, ask_begin(id, mailbox_id(&p->f, "INBOX"), "1"), ERR_EXISTS);
    unsigned char other[TRANSFER_ID_LEN];
    transfer_id_new(other); /* the client tries it again */
    expect(&p->f, ask_begin(other, mailbox_id(&p->f, "INBOX"), "1:2"), ERR_BUSY);
    expect(&p->f, ask_end(id, false), 0);
    assert_int_equal(pending(p->f.account), 0);
    assert_int_equal(count(p->f.account), 1);
    expect(&p->f, ask_begin(other, mailbox_id(&p->f, "INBOX"), "1:2"), 0);
}

/* Who settles first decides. */
static void settled_before_it_arrived(void **state)
{
    struct pair *p = *state;
    unsigned char id[TRANSFER_ID_LEN];
    transfer_id_new(id);
    fill_inbox(p, 1);
    expect(&p->f, ask_begin(id, mailbox_id(&p->f, "INBOX"), "1"), 0);
    settle(p);
    expect_on(p, p->other, ask_arrive(p, id), ERR_BUSY, false);
    expect_on(p, p->other, ask_settle(id), 0, false);
    assert_int_equal(count(p->f.account), 1);
    assert_int_equal(count(p->other), 0);
}

static void settled_after_it_arrived(void **state)
{
    struct pair *p = *state;
    unsigned char id[TRANSFER_ID_LEN];
    transfer_id_new(id);
    fill_inbox(p, 2);
    expect(&p->f, ask_begin(id, mailbox_id(&p->f, "INBOX"), "2"), 0);
    expect_on(p, p->other, ask_arrive(p, id), 0, false);
    pair_close(p);
    pair_open(p);
    assert_int_equal(pending(p->f.account), 1);
    settle(p);
    assert_int_equal(count(p->f.account), 1);
    assert_int_equal(count(p->other), 1);
}

static void the_other_user_is_gone(void **state)
{
    struct pair *p = *state;
    unsigned char id[TRANSFER_ID_LEN];
    transfer_id_new(id);
    fill_inbox(p, 1);
    struct asked *a = ask_begin(id, mailbox_id(&p->f, "INBOX"), "1");
    a->r.name = SPAN("nobody");
    expect(&p->f, a, 0);
    settle(p);
    assert_int_equal(count(p->f.account), 1);
}

static void the_mailbox_is_gone(void **state)
{
    struct pair *p = *state;
    unsigned char id[TRANSFER_ID_LEN];
    transfer_id_new(id);
    struct asked *a = ask_append(&p->f, "Trash", "x", 0, "");
    expect(&p->f, a, 0);
    expect(&p->f, ask_begin(id, mailbox_id(&p->f, "Trash"), "1"), 0);
    expect_on(p, p->other, ask_arrive(p, id), 0, false);
    expect(&p->f, ask_name(REQUEST_DELETE, "Trash", NULL), 0);
    settle(p);
    assert_int_equal(count(p->other), 1);
}

/* --- what rewrites log and index --- */

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

static void maintain(struct pair *p, struct account *a,
                     void (*start)(struct account *, struct maintenance *))
{
    bool finished = false;
    struct maintenance m = {
        .finding = on_finding, .progress = on_progress, .finished = on_finished, .arg = &finished};
    start(a, &m);
    manual_host_run(&p->f.host);
    assert_true(finished);
}

static void compact(struct account *a, struct maintenance *m)
{
    account_compact(a, true, m);
}

static void kept_through_maintenance(void **state)
{
    struct pair *p = *state;
    unsigned char here[TRANSFER_ID_LEN], there[TRANSFER_ID_LEN], refused[TRANSFER_ID_LEN];
    transfer_id_new(here);
    transfer_id_new(there);
    transfer_id_new(refused);
    fill_inbox(p, 3);
    expect(&p->f, ask_begin(here, mailbox_id(&p->f, "INBOX"), "1"), 0);
    expect(&p->f, ask_begin(there, mailbox_id(&p->f, "INBOX"), "2"), 0);
    expect(&p->f, ask_begin(refused, mailbox_id(&p->f, "INBOX"), "3"), 0);
    expect_on(p, p->other, ask_arrive(p, there), 0, false);
    expect_on(p, p->other, ask_settle(refused), 0, false);
    for (int i = 0; i < 2; i++) {
        struct account *a = i ? p->other : p->f.account;
        maintain(p, a, account_rebuild);
        maintain(p, a, compact);
        maintain(p, a, account_check);
        maintain(p, a, account_rebuild);
    }
    assert_int_equal(pending(p->f.account), 3);
    expect_on(p, p->other, ask_arrive(p, there), 0, true);
    expect_on(p, p->other, ask_arrive(p, refused), ERR_BUSY, false);
    settle(p);
    assert_int_equal(count(p->f.account), 2);
    assert_int_equal(count(p->other), 1);
}

/* --- deaths --- */

/* The three steps, as far as they get. true: all of them. */
static bool move(struct pair *p, const unsigned char *id)
{
    struct asked *a = run_on(p, p->f.account, ask_begin(id, 1, "1:2"));
    int error = a->r.result.error;
    asked_free(a);
    if (error)
        return false;
    a = run_on(p, p->other, ask_arrive(p, id));
    error = a->r.result.error;
    asked_free(a);
    if (error)
        return false;
    a = run_on(p, p->f.account, ask_end(id, true));
    error = a->r.result.error;
    asked_free(a);
    return error == 0;
}

/* Two messages go; they arrive as one, which is simpler to count. */
static bool die_once(uint64_t die_after, bool power)
{
    struct pair px = {0}, *p = &px;
    struct fault_fs fs;
    unsigned char id[TRANSFER_ID_LEN];
    transfer_id_new(id);
    memcpy(p->f.dir, "/tmp/martlet-store-XXXXXX", 26);
    assert_non_null(mkdtemp(p->f.dir));
    fault_fs_init(&fs);
    p->f.fs = &fs.fs;
    pair_open(p);
    fill_inbox(p, 2);
    fs.die_at = fs.calls + die_after;
    bool moved = move(p, id), died = fs.calls >= fs.die_at;
    account_unref(take_ptr(p->other));
    account_unref(take_ptr(p->f.account));
    store_free(take_ptr(p->f.store));
    manual_host_done(&p->f.host);
    if (power) {
        fault_fs_power_loss(&fs);
        index_set_boot_for_test("another boot");
    } else {
        fault_fs_revive(&fs);
    }
    pair_open(p);
    uint32_t here = count(p->f.account), there = count(p->other);
    assert_true(here + there > 0); /* never in neither */
    if (moved)
        assert_true(here == 0 && there == 1);
    settle(p);
    here = count(p->f.account);
    there = count(p->other);
    assert_true((here == 2 && there == 0) || (here == 0 && there == 1));
    settle(p);
    struct asked *a = run_on(p, p->other, ask_arrive(p, id)); /* nor does it come later */
    assert_true(there == 1 ? a->r.result.duplicate : true);
    asked_free(a);
    pair_close(p);
    index_set_boot_for_test(NULL);
    fault_fs_done(&fs);
    fixture_remove(&p->f);
    return died;
}

static void deaths_at_any_call(void **state)
{
    (void)state;
    uint64_t die = 1;
    log_set_level(LOG_ERROR);
    for (bool died = true; died; die++) {
        died = die_once(die, false);
        died = die_once(die, true) || died;
    }
    assert_true(die > 6); /* each of three frames has a write and a sync at least */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_goes_well),
        TEST(nothing_to_move),
        TEST(given_up),
        TEST(settled_before_it_arrived),
        TEST(settled_after_it_arrived),
        TEST(the_other_user_is_gone),
        TEST(the_mailbox_is_gone),
        TEST(kept_through_maintenance),
        cmocka_unit_test(deaths_at_any_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
