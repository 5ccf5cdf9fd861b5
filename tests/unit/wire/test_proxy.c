/* The PROXY protocol: the examples of its specification, every cut, and what must be refused. */
#include <arpa/inet.h>

#include "base/buf.h"
#include "support/cmocka.h"
#include "wire/proxy.h"

static void check_address(const struct proxy_address *a, enum proxy_family family, const char *text,
                          unsigned port)
{
    char shown[INET6_ADDRSTRLEN];
    assert_non_null(
        inet_ntop(family == PROXY_IPV4 ? AF_INET : AF_INET6, a->bytes, shown, sizeof(shown)));
    assert_string_equal(shown, text);
    assert_int_equal(a->port, port);
}

/* Whole, with client bytes behind it, and never before the last byte. */
static struct proxy_header parse_ok(struct span in)
{
    struct proxy_header h;
    autobuf longer = BUF_INIT(4096);
    buf_put_span(&longer, in);
    buf_put_lit(&longer, "a NOOP\r\n");
    if (proxy_parse(buf_span(&longer), &h) != PROXY_OK)
        fail_msg("refused");
    assert_int_equal(h.length, in.n);
    for (size_t i = 0; i < in.n; i++)
        assert_int_equal(proxy_parse(span_head(in, i), &h), PROXY_MORE);
    assert_int_equal(proxy_parse(in, &h), PROXY_OK);
    return h;
}

static void version_1(void **state)
{
    (void)state;
    struct proxy_header h = parse_ok(SPAN("PROXY TCP4 255.255.255.255 192.0.2.1 65535 993\r\n"));
    assert_int_equal(h.family, PROXY_IPV4);
    check_address(&h.source, h.family, "255.255.255.255", 65535);
    check_address(&h.destination, h.family, "192.0.2.1", 993);
    h = parse_ok(SPAN("PROXY TCP6 2001:db8::1 ::1 1 143\r\n"));
    assert_int_equal(h.family, PROXY_IPV6);
    check_address(&h.source, h.family, "2001:db8::1", 1);
    check_address(&h.destination, h.family, "::1", 143);
    assert_int_equal(parse_ok(SPAN("PROXY UNKNOWN\r\n")).family, PROXY_UNKNOWN);
    h = parse_ok(SPAN("PROXY UNKNOWN ffff:f:f:f:f:f:f:ffff ffff:f:f:f:f:f:f:fff 65535 65535\r\n"));
    assert_int_equal(h.family, PROXY_UNKNOWN);
    assert_false(h.local);
}

static void version_1_bad(void **state)
{
    (void)state;
    static const char *const bad[] = {"a LOGIN x y\r\n",
                                      "PROXY \r\n",
                                      "PROXY TCP4\r\n",
                                      "PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
                                      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
                                      "PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n",
                                      "PROXY TCP4 1.2.3.400 5.6.7.8 1 2\r\n",
                                      "PROXY TCP4 ::1 ::1 1 2\r\n",
                                      "PROXY TCP6 1.2.3.4 ::1 1 2\r\n",
                                      "PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n",
                                      "PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n",
                                      "PROXY TCP4 1.2.3.4  5.6.7.8 1 2\r\n",
                                      "PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
                                      "PROXYTCP4 1.2.3.4 5.6.7.8 1 2\r\n",
                                      "proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
                                      "\r\n\r\n\r\n",
                                      "X"};
    struct proxy_header h;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (proxy_parse(span_str(bad[i]), &h) != PROXY_BAD)
            fail_msg("accepted: %s", bad[i]);
    autobuf endless = BUF_INIT(200);
    buf_put_lit(&endless, "PROXY UNKNOWN ");
    while (endless.n < 107) {
        assert_int_equal(proxy_parse(buf_span(&endless), &h), PROXY_MORE);
        buf_put_byte(&endless, 'x');
    }
    assert_int_equal(proxy_parse(buf_span(&endless), &h), PROXY_BAD);
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define TCP4      "\x21\x11"
#define TCP6      "\x21\x21"
#define ADDRESSES "\xc0\0\x02\x07\x7f\0\0\x01\x9c\x40\x03\xe1"

static void version_2(void **state)
{
    (void)state;
    struct proxy_header h = parse_ok(SPAN(SIGNATURE TCP4 "\0\x0c" ADDRESSES));
    assert_int_equal(h.family, PROXY_IPV4);
    assert_false(h.tls || h.local);
    check_address(&h.source, h.family, "192.0.2.7", 40000);
    check_address(&h.destination, h.family, "127.0.0.1", 993);
    h = parse_ok(SPAN(SIGNATURE TCP6 "\0\x24"
                                     "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x05"
                                     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
                                     "\0\x01\0\x02"));
    check_address(&h.source, PROXY_IPV6, "2001:db8::5", 1);
    check_address(&h.destination, PROXY_IPV6, "::1", 2);
    /* LOCAL: whatever else it says */
    h = parse_ok(SPAN(SIGNATURE "\x20\0\0\0"));
    assert_true(h.local);
    h = parse_ok(SPAN(SIGNATURE "\x20\x11\0\x03"
                                "xyz"));
    assert_true(h.local);
    assert_int_equal(h.family, PROXY_UNKNOWN);
    /* a UNIX socket: no address */
    h = parse_ok(SPAN(SIGNATURE "\x21\x31\0\x01"
                                "x"));
    assert_true(!h.local && h.family == PROXY_UNKNOWN);
}

static void version_2_tlvs(void **state)
{
    (void)state;
    /* an unknown type, then PP2_TYPE_SSL with PP2_CLIENT_SSL and a sub-TLV */
    struct proxy_header h = parse_ok(SPAN(SIGNATURE TCP4 "\0\x1c" ADDRESSES "\xea\0\x02zz"
                                                         "\x20\0\x08\x01\0\0\0\0\x21\0\0"));
    assert_true(h.tls);
    h = parse_ok(SPAN(SIGNATURE TCP4 "\0\x14" ADDRESSES "\x20\0\x05\0\0\0\0\0"));
    assert_false(h.tls);
}

static void version_2_bad(void **state)
{
    (void)state;
    const struct span bad[] = {
        SPAN(SIGNATURE "\x11\x11\0\x0c" ADDRESSES),               /* version 1 */
        SPAN(SIGNATURE "\x22\x11\0\x0c" ADDRESSES),               /* no such command */
        SPAN(SIGNATURE TCP4 "\0\x0b" ADDRESSES),                  /* too short */
        SPAN(SIGNATURE TCP6 "\0\x0c" ADDRESSES),                  /* for the family */
        SPAN(SIGNATURE TCP4 "\0\x0d" ADDRESSES "x"),              /* half a TLV */
        SPAN(SIGNATURE TCP4 "\0\x0f" ADDRESSES "\x01\0\x01"),     /* its value is missing */
        SPAN(SIGNATURE TCP4 "\0\x10" ADDRESSES "\x20\0\x01\x01"), /* SSL too short */
        SPAN(SIGNATURE TCP4 "\xff\xff"),                          /* beyond our limit */
    };
    struct proxy_header h;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (proxy_parse(bad[i], &h) != PROXY_BAD)
            fail_msg("accepted: number %zu", i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_1),     cmocka_unit_test(version_1_bad),
        cmocka_unit_test(version_2),     cmocka_unit_test(version_2_tlvs),
        cmocka_unit_test(version_2_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
