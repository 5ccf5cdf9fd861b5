/* Keys of URLAUTH: made once, made anew, void; with the mailbox, through everything that rewrites
 * the log or the index. */
#include "fixture.h"
#include "store/maintain.h"
#include "store/store_int.h"

static const unsigned char ELSEWHERE[16] = {7, 7, 7};

static void object_id(struct fixture *f, const char *name, unsigned char ret[16])
{
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, span_str(name), &info), 0);
    memcpy(ret, info.object_id, 16);
    snap_end(snap);
}

static void change(struct fixture *f, const unsigned char *id, enum store_mode mode)
{
    struct asked *a = ask(REQUEST_URL_KEY);
    a->r.object_id = id;
    a->r.mode = mode;
    expect(f, a, 0);
}

static bool get(struct fixture *f, const unsigned char *id, unsigned char ret[32])
{
    struct snap *snap;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    int rc = snap_url_key(snap, id, ret);
    snap_end(snap);
    assert_true(rc == 0 || rc == ERR_NOT_FOUND);
    return rc == 0;
}

static void expect_key(struct fixture *f, const unsigned char *id, const unsigned char key[32])
{
    unsigned char now[32];
    assert_true(get(f, id, now));
    assert_memory_equal(now, key, 32);
}

static void made_and_reset(void **state)
{
    struct fixture *f = *state;
    unsigned char inbox[16], one[32], two[32];
    object_id(f, "INBOX", inbox);
    assert_false(get(f, inbox, one));
    change(f, inbox, STORE_ADD);
    assert_true(get(f, inbox, one));
    change(f, inbox, STORE_ADD);
    expect_key(f, inbox, one);
    change(f, ELSEWHERE, STORE_ADD);
    change(f, inbox, STORE_REPLACE);
    assert_true(get(f, inbox, two));
    assert_memory_not_equal(one, two, 32);
    change(f, NULL, STORE_REPLACE);
    assert_false(get(f, inbox, one));
    assert_false(get(f, ELSEWHERE, one));
    change(f, NULL, STORE_REPLACE); /* there is none: nothing to do */
}

static void goes_with_the_mailbox(void **state)
{
    struct fixture *f = *state;
    unsigned char id[16], key[32];
    expect(f, ask_name(REQUEST_CREATE, "Out", NULL), 0);
    object_id(f, "Out", id);
    change(f, id, STORE_ADD);
    assert_true(get(f, id, key));
    expect(f, ask_name(REQUEST_RENAME, "Out", "In"), 0);
    expect_key(f, id, key);
    expect(f, ask_name(REQUEST_DELETE, "In", NULL), 0);
    assert_false(get(f, id, key));
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

static void survives_maintenance(void **state)
{
    struct fixture *f = *state;
    unsigned char inbox[16], one[32], two[32];
    object_id(f, "INBOX", inbox);
    change(f, inbox, STORE_ADD);
    change(f, ELSEWHERE, STORE_ADD);
    assert_true(get(f, inbox, one) && get(f, ELSEWHERE, two));
    fixture_reopen(f);
    maintain(f, account_rebuild);
    maintain(f, compact);
    maintain(f, account_check);
    maintain(f, account_rebuild); /* replays the base */
    expect_key(f, inbox, one);
    expect_key(f, ELSEWHERE, two);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(made_and_reset),
        TEST(goes_with_the_mailbox),
        TEST(survives_maintenance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
