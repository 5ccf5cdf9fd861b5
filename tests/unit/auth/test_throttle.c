/* Guessing is slowed by account and by network; forgetful people, offices and known clients are
 * not. */
#include "auth/throttle.h"
#include "base/buf.h"
#include "support/cmocka.h"

enum { BASE = 500, WIDEST = 8000 };

static struct span name_of(struct buf *b, const char *prefix, unsigned i)
{
    buf_reset(b);
    buf_printf(b, "%s%u", prefix, i);
    return buf_span(b);
}

static void by_account(void **state)
{
    (void)state;
    struct throttle t;
    autobuf wrong = BUF_INIT(100), from = BUF_INIT(100);
    uint64_t now = 1000, last = 0;
    throttle_init(&t, BASE, WIDEST);
    for (unsigned i = 0; i < 40; i++) { /* from everywhere at one account */
        struct span address = name_of(&from, "203.0.", i);
        buf_put_lit(&from, ".1");
        address = buf_span(&from);
        uint64_t wait = throttle_enter(&t, SPAN("fred"), address, now);
        if (i < THROTTLE_FREE_ACCOUNT)
            assert_int_equal(wait, 0);
        else
            assert_true(wait >= last || wait >= WIDEST);
        assert_true(wait <= WIDEST);
        last = wait;
        now += wait;
        assert_true(throttle_failed(&t, SPAN("fred"), address, name_of(&wrong, "guess", i), now));
    }
    assert_int_equal(last, WIDEST);
    assert_int_equal(throttle_enter(&t, SPAN("mary"), SPAN("203.0.1.1"), now), 0);
    throttle_done(&t);
}

static void in_parallel(void **state)
{
    (void)state;
    struct throttle t;
    autobuf b = BUF_INIT(100);
    uint64_t now = 5;
    unsigned let_in = 0;
    throttle_init(&t, BASE, WIDEST);
    for (unsigned i = 0; i < 30; i++) /* one network, many names */
        throttle_failed(&t, name_of(&b, "user", i), SPAN("192.0.2.7"), SPAN("x"), now);
    for (unsigned i = 0; i < 1000; i++)
        if (throttle_enter(&t, name_of(&b, "other", i), SPAN("192.0.2.200"), now) !=
            THROTTLE_REFUSE)
            let_in++;
    /* one at a time with the widest gap between: what fits into the longest wait */
    assert_in_range(let_in, 1, THROTTLE_WAIT_MAX_MS / WIDEST + 1);
    assert_int_equal(throttle_enter(&t, SPAN("other1"), SPAN("192.0.3.7"), now), 0);
    throttle_done(&t);
}

static void office(void **state)
{
    (void)state;
    struct throttle t;
    autobuf b = BUF_INIT(100);
    throttle_init(&t, BASE, WIDEST);
    for (unsigned i = 0; i < 1000; i++) { /* a phone with the old password */
        assert_int_equal(throttle_failed(&t, SPAN("fred"), SPAN("192.0.2.7"), SPAN("old"), i), !i);
        assert_int_equal(throttle_enter(&t, SPAN("fred"), SPAN("192.0.2.7"), i), 0);
    }
    assert_int_equal(throttle_enter(&t, SPAN("mary"), SPAN("192.0.2.8"), 1000), 0);
    /* a known client is waved through whatever others do */
    throttle_succeeded(&t, SPAN("mary"), SPAN("192.0.2.8"), 1000);
    for (unsigned i = 0; i < 50; i++) {
        throttle_failed(&t, SPAN("mary"), SPAN("198.51.100.1"), name_of(&b, "m", i), 1000);
        throttle_failed(&t, name_of(&b, "user", i), SPAN("192.0.2.9"), SPAN("x"), 1000);
    }
    assert_int_equal(throttle_enter(&t, SPAN("mary"), SPAN("192.0.2.8"), 1000), 0);
    assert_true(throttle_enter(&t, SPAN("mary"), SPAN("203.0.113.1"), 1000) > 0);
    assert_true(throttle_enter(&t, SPAN("carol"), SPAN("192.0.2.8"), 1000) > 0);
    /* not for ever */
    uint64_t later = 1000 + THROTTLE_TRUST_MS + 1;
    for (unsigned i = 0; i < 50; i++)
        throttle_failed(&t, SPAN("mary"), SPAN("198.51.100.1"), name_of(&b, "n", i), later);
    assert_true(throttle_enter(&t, SPAN("mary"), SPAN("192.0.2.8"), later) > 0);
    throttle_done(&t);
}

static void networks(void **state)
{
    (void)state;
    struct throttle t;
    autobuf b = BUF_INIT(100);
    throttle_init(&t, BASE, WIDEST);
    for (unsigned i = 0; i < 20; i++)
        throttle_failed(&t, name_of(&b, "u", i), SPAN("2001:db8:1:2::7"), SPAN("x"), 0);
    assert_true(throttle_enter(&t, SPAN("z"), SPAN("2001:db8:1:2:ffff::1"), 0) > 0);
    assert_int_equal(throttle_enter(&t, SPAN("z"), SPAN("2001:db8:1:3::7"), 0), 0);
    for (unsigned i = 0; i < 20; i++)
        throttle_failed(&t, name_of(&b, "v", i), SPAN("::ffff:192.0.2.1"), SPAN("x"), 0);
    assert_true(throttle_enter(&t, SPAN("z"), SPAN("192.0.2.99"), 0) > 0);
    throttle_done(&t);
}

static void wears_off(void **state)
{
    (void)state;
    struct throttle t;
    autobuf b = BUF_INIT(100);
    throttle_init(&t, BASE, WIDEST);
    for (unsigned i = 0; i < 10; i++)
        throttle_failed(&t, SPAN("a"), SPAN("192.0.2.1"), name_of(&b, "x", i), 0);
    assert_true(throttle_enter(&t, SPAN("a"), SPAN("192.0.2.1"), 0) > 0);
    assert_int_equal(throttle_enter(&t, SPAN("a"), SPAN("192.0.2.1"), 20 * THROTTLE_WEAR_MS), 0);
    /* a success ends it for the account at once */
    for (unsigned i = 0; i < 10; i++)
        throttle_failed(&t, SPAN("b"), SPAN("192.0.5.1"), name_of(&b, "x", i), 0);
    throttle_succeeded(&t, SPAN("b"), SPAN("192.0.9.1"), 1);
    assert_int_equal(throttle_enter(&t, SPAN("b"), SPAN("192.0.7.1"), 1), 0);
    throttle_done(&t);
}

static void bounded(void **state)
{
    (void)state;
    struct throttle t;
    autobuf b = BUF_INIT(100);
    throttle_init(&t, BASE, WIDEST);
    for (unsigned i = 0; i < 3 * THROTTLE_ENTRIES_MAX; i++) {
        throttle_failed(&t, name_of(&b, "user", i), SPAN("192.0.2.1"), SPAN("x"), i);
        assert_true(t.entries.count <= THROTTLE_ENTRIES_MAX);
    }
    /* the busy network was not pushed out by the names */
    assert_true(throttle_enter(&t, SPAN("z"), SPAN("192.0.2.1"), 3 * THROTTLE_ENTRIES_MAX) > 0);
    throttle_done(&t);
    throttle_init(&t, 0, 0); /* switched off */
    for (unsigned i = 0; i < 100; i++)
        throttle_failed(&t, SPAN("a"), SPAN("192.0.2.1"), name_of(&b, "x", i), 0);
    assert_int_equal(throttle_enter(&t, SPAN("a"), SPAN("192.0.2.1"), 0), 0);
    throttle_done(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_account), cmocka_unit_test(in_parallel), cmocka_unit_test(office),
        cmocka_unit_test(networks),   cmocka_unit_test(wears_off),   cmocka_unit_test(bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
