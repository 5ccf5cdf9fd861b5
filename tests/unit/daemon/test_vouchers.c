/* A connection is believed to be authenticated when martlet-auth has said so, once. */
#include "daemon/mail/vouchers.h"
#include "support/cmocka.h"

struct asked {
    struct voucher_claim claim;
    int answers;
    bool right;
};

static void on_answer(struct voucher_claim *c, bool right)
{
    struct asked *a = container_of(c, struct asked, claim);
    a->answers++;
    a->right = right;
}

static struct asked ask(uint64_t id, uint64_t session, const char *user)
{
    return (struct asked){
        .claim = {.id = id, .session = session, .user = span_str(user), .answer = on_answer}};
}

static void test_in_either_order(void **state)
{
    struct vouchers v = {0};
    struct asked first = ask(1, 7, "fred"), second = ask(2, 8, "ann");
    (void)state;
    vouchers_add(&v, 1, 7, SPAN("fred"), 0);
    vouchers_claim(&v, &first.claim, 5);
    assert_true(first.answers == 1 && first.right);
    vouchers_claim(&v, &second.claim, 5);
    assert_int_equal(second.answers, 0);
    vouchers_add(&v, 2, 8, SPAN("ann"), 6);
    assert_true(second.answers == 1 && second.right);
    assert_int_equal(v.count, 0);
    vouchers_done(&v);
}

static void test_once(void **state)
{
    struct vouchers v = {0};
    struct asked a = ask(1, 7, "fred"), again = ask(1, 7, "fred");
    (void)state;
    vouchers_add(&v, 1, 7, SPAN("fred"), 0);
    vouchers_claim(&v, &a.claim, 0);
    vouchers_claim(&v, &again.claim, 0);
    assert_int_equal(again.answers, 0);
    vouchers_expire(&v, VOUCHER_MS - 1);
    assert_int_equal(again.answers, 0);
    vouchers_expire(&v, VOUCHER_MS);
    assert_true(again.answers == 1 && !again.right);
    vouchers_done(&v);
}

static void test_lies(void **state)
{
    struct vouchers v = {0};
    struct asked user = ask(1, 7, "ann"), session = ask(1, 8, "fred"), early = ask(2, 9, "root"),
                 twin = ask(2, 9, "root");
    (void)state;
    vouchers_add(&v, 1, 7, SPAN("fred"), 0);
    vouchers_claim(&v, &user.claim, 0);
    vouchers_claim(&v, &session.claim, 0);
    assert_true(user.answers == 1 && !user.right);
    assert_true(session.answers == 1 && !session.right);
    vouchers_claim(&v, &early.claim, 0); /* hopes that somebody else's voucher has this number */
    vouchers_claim(&v, &twin.claim, 0);
    assert_true(twin.answers == 1 && !twin.right);
    vouchers_add(&v, 2, 9, SPAN("ann"), 1);
    assert_true(early.answers == 1 && !early.right);
    vouchers_done(&v);
}

static void test_end_and_limit(void **state)
{
    struct vouchers v = {0};
    struct asked waiting = ask(UINT64_C(1) << 40, 7, "fred"),
                 late = ask(UINT64_C(1) << 41, 7, "ann");
    (void)state;
    vouchers_claim(&v, &waiting.claim, 0);
    for (uint64_t i = 0; i < VOUCHERS_MAX + 10; i++)
        vouchers_add(&v, i, i, SPAN("x"), 0);
    assert_int_equal(v.count, VOUCHERS_MAX);
    vouchers_claim(&v, &late.claim, 0);
    assert_true(late.answers == 1 && !late.right);
    vouchers_expire(&v, VOUCHER_MS);
    assert_int_equal(v.count, 0);
    assert_true(waiting.answers == 1 && !waiting.right);
    late = ask(3, 7, "ann");
    vouchers_claim(&v, &late.claim, 0);
    vouchers_done(&v);
    assert_true(late.answers == 1 && !late.right);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_either_order),
        cmocka_unit_test(test_once),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_end_and_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
