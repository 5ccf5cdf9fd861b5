/* The Dovecot authentication protocol as Postfix and Exim speak it. */
#include "support/cmocka.h"
#include "wire/mta_auth.h"

static struct mta_request parse_ok(struct arena *a, struct span line)
{
    struct mta_request r;
    const char *reason;
    if (mta_parse(line, a, &r, &reason) < 0)
        fail_msg("%.*s: %s", (int)line.n, line.p, reason);
    return r;
}

static void requests(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(10000);
    assert_int_equal(parse_ok(&a, SPAN("VERSION\t1\t2")).verb, MTA_VERSION);
    assert_int_equal(parse_ok(&a, SPAN("CPID\t4711")).verb, MTA_CPID);
    assert_int_equal(parse_ok(&a, SPAN("NEWTHING\t1")).verb, MTA_OTHER);
    assert_int_equal(parse_ok(&a, SPAN("")).verb, MTA_OTHER);
    struct mta_request r =
        parse_ok(&a, SPAN("AUTH\t7\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.1\trip=2001:db8::1"
                          "\tsecured\tresp=AGEAYg=="));
    assert_int_equal(r.verb, MTA_AUTH);
    assert_int_equal(r.id, 7);
    assert_true(span_eq(r.mechanism, SPAN("PLAIN")) && span_eq(r.service, SPAN("smtp")));
    assert_true(span_eq(r.local, SPAN("192.0.2.1")) && span_eq(r.remote, SPAN("2001:db8::1")));
    assert_true(r.secured && r.has_response && span_eq(r.response, SPAN("AGEAYg==")));
    r = parse_ok(&a, SPAN("AUTH\t8\tLOGIN\tservice=smtp\tsecured=tls"));
    assert_true(r.secured && !r.has_response);
    r = parse_ok(&a, SPAN("AUTH\t9\tEXTERNAL\tcert_username=a\001tb\0011\tresp="));
    assert_true(span_eq(r.client_certificate, SPAN("a\tb\001")));
    assert_true(r.has_response && !r.response.n);
    r = parse_ok(&a, SPAN("CONT\t4294967295\tZnJlZA=="));
    assert_true(r.id == UINT32_MAX && span_eq(r.response, SPAN("ZnJlZA==")));
    assert_int_equal(parse_ok(&a, SPAN("CONT\t1")).response.n, 0);
    assert_int_equal(parse_ok(&a, SPAN("CANCEL\t3")).id, 3);
}

static void malformed(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(10000);
    const struct span bad[] = {
        SPAN("VERSION\t2\t0"),
        SPAN("VERSION"),
        SPAN("AUTH"),
        SPAN("AUTH\t1"),
        SPAN("AUTH\tx\tPLAIN"),
        SPAN("AUTH\t1\t"),
        SPAN("AUTH\t4294967296\tP"),
        SPAN("CONT\t-1\tx"),
        SPAN("CANCEL\t"),
        SPAN("AUTH\t1\tPLAIN\tresp=a\tservice=smtp"),
        SPAN("AUTH\t1\tPLAIN\trip=a\001x"),
        SPAN("AUTH\t1\tPLAIN\trip=a\001"),
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct mta_request r;
        const char *reason;
        if (mta_parse(bad[i], &a, &r, &reason) != ERR_INVALID)
            fail_msg("accepted: number %zu", i);
    }
}

static void fields(void **state)
{
    (void)state;
    autobuf out = BUF_INIT(1000);
    mta_put_field(&out, SPAN("user"), SPAN("a\tb\nc\r\001\0d"));
    mta_put_field(&out, SPAN("temp"), SPAN_EMPTY);
    mta_put_field(&out, SPAN_EMPTY, SPAN("x"));
    assert_true(span_eq(buf_span(&out), SPAN("\tuser=a\001tb\001nc\001r\0011\0010d\ttemp\tx")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(requests), cmocka_unit_test(malformed),
                                       cmocka_unit_test(fields)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
