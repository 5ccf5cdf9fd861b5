#include "support/cmocka.h"

#include "auth/sasl.h"

static enum sasl_result one(const char *mechanism, struct span data, const char *authzid,
                            const char *name, const char *secret)
{
    struct sasl s;
    sasl_init(&s, sasl_find(span_str(mechanism)));
    enum sasl_result r = sasl_step(&s, true, data);
    if (r == SASL_ASK) {
        assert_int_equal(s.ask, SASL_ASK_PASSWORD);
        assert_string_equal(s.authzid.n ? s.authzid.p : "", authzid);
        assert_string_equal(s.name.p, name);
        assert_string_equal(s.secret.n ? s.secret.p : "", secret);
    }
    sasl_done(&s);
    return r;
}

static void test_plain(void **state)
{
    (void)state;
    assert_null(sasl_find(SPAN("GSSAPI")));
    assert_int_equal(one("PLAIN", SPAN("\0fred\0secret"), "", "fred", "secret"), SASL_ASK);
    assert_int_equal(one("PLAIN", SPAN("fred\0fred\0"), "fred", "fred", ""), SASL_ASK);
    assert_int_equal(one("PLAIN", SPAN("mary\0fred\0secret"), "mary", "fred", "secret"), SASL_ASK);
    assert_int_equal(one("PLAIN", SPAN("fred\0secret"), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN("\0fred\0secret\0"), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN("\0\0secret"), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN(""), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN("\0fr\ned\0x"), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN("\0fr\xff\0x"), "", "", ""), SASL_MALFORMED);
}

static void test_login(void **state)
{
    (void)state;
    struct sasl s;
    sasl_init(&s, sasl_find(SPAN("LOGIN")));
    assert_int_equal(sasl_step(&s, false, SPAN_EMPTY), SASL_CHALLENGE);
    assert_string_equal(s.out.p, "Username:");
    assert_int_equal(sasl_step(&s, true, SPAN("fred")), SASL_CHALLENGE);
    assert_string_equal(s.out.p, "Password:");
    assert_int_equal(sasl_step(&s, true, SPAN("secret")), SASL_ASK);
    assert_string_equal(s.name.p, "fred");
    assert_string_equal(s.secret.p, "secret");
    assert_int_equal(sasl_answer(&s, ERR_DENIED, NULL), SASL_DENIED);
    sasl_done(&s);
}

static void test_offer(void **state)
{
    (void)state;
    autobuf list = BUF_INIT(1000);
    struct sasl_offer offer = {.passwords = true};
    sasl_list(&offer, &list);
    assert_int_equal(list.n, 0);
    offer.secure = true;
    sasl_list(&offer, &list);
    assert_string_equal(list.p, "PLAIN LOGIN");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_offer),
    };
    return cmocka_run_group_tests_name("sasl", tests, NULL, NULL);
}
