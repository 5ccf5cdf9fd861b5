#include "support/cmocka.h"

#include "daemon/supervisor/quarantine.h"

static const uint8_t ann[WORKNOTE_ID] = "ann's account", bob[WORKNOTE_ID] = "bob's account";

static void crash(struct quarantine *q, uint64_t now_ms, const uint8_t *first,
                  const uint8_t *second)
{
    struct worknotes page;
    memset((void *)&page, 0, sizeof(page));
    page.threads = 2;
    memcpy((char *)&page + offsetof(struct worknotes, thread[0]), first, WORKNOTE_ID);
    if (second)
        memcpy((char *)&page + offsetof(struct worknotes, thread[1]), second, WORKNOTE_ID);
    quarantine_crashed(q, &page, now_ms);
}

struct seen {
    const uint8_t *account;
    uint32_t seconds, crashes;
};

static void on_message(void *arg, const struct message *m)
{
    struct seen *s = arg;
    if (memcmp(m->u.quarantine.account.p, s->account, WORKNOTE_ID) != 0)
        return;
    s->seconds = m->u.quarantine.seconds;
    s->crashes = m->u.quarantine.crashes;
}

static uint32_t seconds(struct quarantine *q, uint64_t now_ms, const uint8_t *account)
{
    struct seen s = {.account = account};
    quarantine_each(q, now_ms, on_message, &s);
    return s.seconds;
}

static void test_twice_within_the_window(void **state)
{
    (void)state;
    struct quarantine q;
    quarantine_init(&q);
    q.first_s = 60;
    crash(&q, 1000, ann, bob);
    assert_int_equal(seconds(&q, 1000, ann), 0);
    crash(&q, 2000, ann, NULL);
    assert_int_equal(seconds(&q, 2000, ann), 60);
    assert_int_equal(seconds(&q, 2000, bob), 0);
    assert_int_equal(seconds(&q, 61000, ann), 1);
    assert_int_equal(seconds(&q, 62000, ann), 0);
    crash(&q, 70000, ann, NULL);
    assert_int_equal(seconds(&q, 70000, ann), 120);
    uint64_t later = 70000 + 120000 + QUARANTINE_WINDOW_MS + 1;
    crash(&q, later, ann, NULL); /* long ago: it begins anew */
    assert_int_equal(seconds(&q, later, ann), 0);
    crash(&q, later, ann, NULL);
    assert_int_equal(seconds(&q, later, ann), 60);
    quarantine_release(&q, span_make(ann, WORKNOTE_ID));
    assert_int_equal(seconds(&q, later, ann), 0);
    quarantine_done(&q);
}

static void test_limits(void **state)
{
    (void)state;
    struct quarantine q;
    quarantine_init(&q);
    q.first_s = 60;
    for (int i = 0; i < 100; i++)
        crash(&q, 1000, ann, NULL);
    assert_int_equal(seconds(&q, 1000, ann), QUARANTINE_MAX_S);
    for (uint64_t i = 0; i < 2 * QUARANTINE_ACCOUNTS_MAX; i++) {
        uint8_t account[WORKNOTE_ID] = {1};
        memcpy(account + 8, &i, sizeof(i));
        crash(&q, 2000, account, NULL);
    }
    assert_int_equal(q.count, QUARANTINE_ACCOUNTS_MAX);
    assert_int_equal(seconds(&q, 2000, ann), 0); /* the oldest are forgotten */
    quarantine_done(&q);
    quarantine_init(&q); /* mail.quarantine = 0 */
    crash(&q, 1000, ann, NULL);
    crash(&q, 1000, ann, NULL);
    assert_int_equal(seconds(&q, 1000, ann), 0);
    quarantine_done(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_twice_within_the_window),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
