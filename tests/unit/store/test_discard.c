/* The end of an account: busy, done, done twice, and what a crash between its steps leaves. */
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "store/discard.h"

enum { NOT_ANSWERED = 1 };

static void done(void *arg, int error)
{
    *(int *)arg = error;
}

static void forgotten(void *arg, int error, const struct account_id *id)
{
    (void)id;
    *(int *)arg = error;
}

static void opened_fails(void *arg, int error, struct account *account)
{
    assert_null(account);
    *(int *)arg = error;
}

static void found(void *arg, int error, const struct account_id *id)
{
    assert_int_equal(error, 0);
    *(struct account_id *)arg = *id;
}

static bool exists(struct fixture *f, bool discarded)
{
    autobuf path = BUF_INIT(4096);
    buf_printf(&path, "%s/accounts/", f->dir);
    if (discarded)
        buf_put_str(&path, "discarded");
    else
        buf_put_hex(&path, f->id.b, 1);
    buf_put_byte(&path, '/');
    buf_put_hex(&path, f->id.b, ACCOUNT_ID_LEN);
    return access(path.p, F_OK) == 0;
}

static int discard(struct fixture *f)
{
    int error = NOT_ANSWERED;
    account_discard(f->store, &f->id, done, &error);
    assert_int_equal(error, NOT_ANSWERED); /* never from within the call */
    manual_host_run(&f->host);
    return error;
}

static int forget(struct fixture *f, const struct account_id *id)
{
    int error = NOT_ANSWERED;
    site_forget(f->store, SPAN("user"), id, forgotten, &error);
    assert_int_equal(error, NOT_ANSWERED);
    manual_host_run(&f->host);
    return error;
}

static void leave(struct fixture *f)
{
    account_unref(take_ptr(f->account));
    manual_host_run(&f->host);
}

static void test_all_steps(void **state)
{
    struct fixture *f = *state;
    struct account_id old = f->id, id, other = {{1}};
    int error = NOT_ANSWERED;
    assert_int_equal(discard(f), ERR_BUSY);
    assert_true(exists(f, false));
    expect(f, ask_name(REQUEST_CREATE, "a", NULL), 0); /* it goes on as if nothing had happened */
    leave(f);
    assert_int_equal(discard(f), 0);
    assert_true(!exists(f, false) && exists(f, true));
    /* Until the name is free its user gets errors. */
    account_open(f->store, &f->id, opened_fails, &error);
    manual_host_run(&f->host);
    assert_true(error < 0);
    assert_int_equal(discard(f), 0); /* repeated after a lost answer */
    assert_int_equal(forget(f, &other), ERR_NOT_FOUND);
    assert_int_equal(site_find(f->store, SPAN("user"), &id), 0);
    assert_int_equal(forget(f, &old), 0);
    assert_int_equal(site_find(f->store, SPAN("user"), &id), ERR_NOT_FOUND);
    assert_int_equal(forget(f, &old), ERR_NOT_FOUND);
    store_erase_discarded(f->store, done, &error);
    manual_host_run(&f->host);
    assert_int_equal(error, 0);
    assert_true(!exists(f, true));
    /* The name may be used again, with an account of its own. */
    site_find_or_create(f->store, SPAN("user"), found, &id);
    manual_host_run(&f->host);
    assert_memory_not_equal(id.b, old.b, ACCOUNT_ID_LEN);
    fixture_reopen(f);
    assert_memory_equal(f->id.b, id.b, ACCOUNT_ID_LEN);
    autobuf text = BUF_INIT(65536);
    describe(f, &text);
    assert_null(strstr(text.p, "a:"));
}

/* The process dies after the move: the next owner of the site log finishes. */
static void test_crash_after_the_move(void **state)
{
    struct fixture *f = *state;
    struct account_id old = f->id;
    leave(f);
    assert_int_equal(discard(f), 0);
    fixture_reopen(f);
    assert_memory_not_equal(f->id.b, old.b, ACCOUNT_ID_LEN);
    f->id = old;
    assert_true(!exists(f, false) && !exists(f, true));
}

static void test_crash_before_the_files_go(void **state)
{
    struct fixture *f = *state;
    struct account_id old = f->id;
    leave(f);
    assert_int_equal(discard(f), 0);
    assert_int_equal(forget(f, &old), 0);
    fixture_reopen(f);
    f->id = old;
    assert_true(!exists(f, true));
}

static void waiter(void *arg, int error, struct account *account)
{
    assert_null(account);
    assert_true(error < 0);
    ++*(int *)arg;
}

/* Whoever wants to open the account meanwhile is told, not left waiting. */
static void test_openers_meanwhile(void **state)
{
    struct fixture *f = *state;
    int error = NOT_ANSWERED, told = 0;
    leave(f);
    account_discard(f->store, &f->id, done, &error);
    account_open(f->store, &f->id, waiter, &told);
    manual_host_run(&f->host);
    assert_int_equal(error, 0);
    assert_int_equal(told, 1);
    struct account_id none = {{9, 9}};
    f->id = none;
    assert_int_equal(discard(f), ERR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_steps, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_crash_after_the_move, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_crash_before_the_files_go, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_openers_meanwhile, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests_name("discard", tests, NULL, NULL);
}
