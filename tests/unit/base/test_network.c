#include "base/network.h"
#include "support/cmocka.h"

static bool has(const char *network, const char *host)
{
    struct network n;
    if (!network_parse(span_str(network), &n))
        fail_msg("%s refused", network);
    return network_has(&n, span_str(host));
}

static void membership(void **state)
{
    (void)state;
    assert_true(has("192.0.2.0/24", "192.0.2.255"));
    assert_false(has("192.0.2.0/24", "192.0.3.0"));
    assert_true(has("192.0.2.128/25", "192.0.2.200"));
    assert_false(has("192.0.2.128/25", "192.0.2.127"));
    assert_true(has("192.0.2.7", "192.0.2.7"));
    assert_false(has("192.0.2.7", "192.0.2.8"));
    assert_true(has("192.0.2.7", "::ffff:192.0.2.7"));
    assert_true(has("0.0.0.0/0", "203.0.113.9"));
    assert_false(has("0.0.0.0/0", "2001:db8::1"));
    assert_true(has("::/0", "2001:db8::1"));
    assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
    assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
    assert_true(has("fe80::/10", "fe80::1%eth0"));
    assert_false(has("127.0.0.0/8", "unix"));
    assert_false(has("127.0.0.0/8", ""));
}

static void malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "/8",          "192.0.2.0/33", "192.0.2.1/24",
                                      "192.0.2.0/", "192.0.2.0/x", "192.0.2/24",   "::1/129",
                                      "::1/64",     "localhost",   "192.0.2.0/-1"};
    struct network n;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (network_parse(span_str(bad[i]), &n))
            fail_msg("accepted: %s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(membership), cmocka_unit_test(malformed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
