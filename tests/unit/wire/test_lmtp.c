#include "base/buf.h"
#include "support/cmocka.h"
#include "wire/lmtp.h"

static struct lmtp_command parse_ok(struct arena *a, const char *line)
{
    struct lmtp_command c;
    struct lmtp_error e;
    if (lmtp_parse(span_str(line), a, &c, &e))
        fail_msg("%s: %u %s %s", line, e.code, e.enhanced, e.text);
    return c;
}

static void check_bad(const char *line, unsigned code, const char *enhanced, const char *text)
{
    autoarena a = ARENA_INIT(100000);
    struct lmtp_command c;
    struct lmtp_error e;
    if (lmtp_parse(span_str(line), &a, &c, &e) != ERR_INVALID)
        fail_msg("\"%s\" accepted", line);
    assert_int_equal(e.code, code);
    assert_string_equal(e.enhanced, enhanced);
    assert_string_equal(e.text, text);
}

static void check_path(const char *line, const char *local, const char *domain)
{
    autoarena a = ARENA_INIT(100000);
    struct lmtp_command c = parse_ok(&a, line);
    assert_false(c.path.null);
    assert_true(span_eq(c.path.local, span_str(local)));
    assert_true(span_eq(c.path.domain, span_str(domain)));
}

static void verbs(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(100000);
    struct lmtp_command c = parse_ok(&a, "lhlo mx.example.org ");
    assert_int_equal(c.verb, LMTP_LHLO);
    assert_true(span_eq(c.arg, SPAN("mx.example.org")));
    assert_int_equal(parse_ok(&a, "EHLO x").verb, LMTP_EHLO);
    assert_int_equal(parse_ok(&a, "HELO x").verb, LMTP_HELO);
    assert_int_equal(parse_ok(&a, "DATA").verb, LMTP_DATA);
    assert_int_equal(parse_ok(&a, "rset ").verb, LMTP_RSET);
    assert_int_equal(parse_ok(&a, "QUIT").verb, LMTP_QUIT);
    assert_int_equal(parse_ok(&a, "NOOP").verb, LMTP_NOOP);
    assert_int_equal(parse_ok(&a, "NOOP x y").verb, LMTP_NOOP);
    assert_int_equal(parse_ok(&a, "HELP").verb, LMTP_HELP);
    assert_int_equal(parse_ok(&a, "STARTTLS").verb, LMTP_STARTTLS);
    assert_true(span_eq(parse_ok(&a, "VRFY joe x").arg, SPAN("joe x")));
    c = parse_ok(&a, "BDAT 1000 LAST");
    assert_true(c.verb == LMTP_BDAT && c.size == 1000 && c.last);
    c = parse_ok(&a, "BDAT 0");
    assert_true(c.size == 0 && !c.last);
    check_bad("", 500, "5.5.1", "Command not recognized");
    check_bad("FOO bar", 500, "5.5.1", "Command not recognized");
    check_bad("LHLO", 501, "5.5.4", "Domain expected");
    check_bad("DATA x", 501, "5.5.4", "No arguments expected");
    check_bad("VRFY", 501, "5.5.4", "Argument expected");
    check_bad("BDAT", 501, "5.5.4", "Expected BDAT size [LAST]");
    check_bad("BDAT x", 501, "5.5.4", "Expected BDAT size [LAST]");
    check_bad("BDAT 5 x", 501, "5.5.4", "Expected BDAT size [LAST]");
    check_bad("BDAT 9999999999999999999", 501, "5.5.4", "Expected BDAT size [LAST]");
    check_bad("NOOP \x01", 500, "5.5.2", "Control character in command");
    check_bad("NOOP \xff", 500, "5.5.2", "Command is not valid UTF-8");
}

static void paths(void **state)
{
    (void)state;
    check_path("RCPT TO:<joe@example.org>", "joe", "example.org");
    check_path("rcpt to: <joe@example.org> ", "joe", "example.org");
    check_path("RCPT TO:<Postmaster>", "Postmaster", "");
    check_path("RCPT TO:<\"a b\\\"@\\\\c\"@[192.0.2.1]>", "a b\"@\\c", "[192.0.2.1]");
    check_path("RCPT TO:<\"\"@x>", "", "x");
    check_path("RCPT TO:<@a.b,@c:joe+x=y@example.org>", "joe+x=y", "example.org");
    check_path("RCPT TO:<j..o.e.@sub_1.example-2.org.>", "j..o.e.", "sub_1.example-2.org.");
    check_path("RCPT TO:<j\xc3\xb6@ex\xc3\xa4mple.org>", "j\xc3\xb6", "ex\xc3\xa4mple.org");
    check_path("RCPT TO:<x@[IPv6:2001:db8::1]>", "x", "[IPv6:2001:db8::1]");
    check_path("MAIL FROM:<a@b> SIZE=1", "a", "b");
    autoarena a = ARENA_INIT(100000);
    assert_true(parse_ok(&a, "MAIL FROM:<>").path.null);
    assert_true(parse_ok(&a, "RCPT TO:<\xc3\xb6@x>").path.eightbit);
    assert_false(parse_ok(&a, "RCPT TO:<o@x>").path.eightbit);
    assert_true(span_eq(parse_ok(&a, "RCPT TO:<@r:\"o\"@x>").path.text, SPAN("\"o\"@x")));
    static const char *const bad[] = {
        "RCPT TO:<>",      "RCPT TO:joe@x",      "RCPT TO:<joe@x",    "RCPT TO:<joe@>",
        "RCPT TO:<@x>",    "RCPT TO:<j oe@x>",   "RCPT TO:<\"joe@x>", "RCPT TO:<joe@x>y",
        "RCPT TO:<j@x@y>", "RCPT TO:<j@[>",      "RCPT TO:<j@[]>",    "RCPT TO:",
        "RCPT TO:<",       "RCPT TO:<\"a\\>",    "RCPT TO:<j@[a b]>", "RCPT TO:<(x)j@y>",
        "RCPT TO:<j,k@y>", "RCPT TO:<\"j\"k@y>", "RCPT TO:<j@x y>",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_bad(bad[i], 501, "5.1.3", "Malformed recipient address");
    check_bad("RCPT FROM:<a@b>", 501, "5.5.4", "Expected TO:<address>");
    check_bad("MAIL TO:<a@b>", 501, "5.5.4", "Expected FROM:<address>");
    check_bad("MAIL FROM:<a b>", 501, "5.1.7", "Malformed sender address");
}

static void params(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(100000);
    struct lmtp_command c = parse_ok(
        &a, "MAIL FROM:<a@b>  size=12345 BODY=8bitmime SMTPUTF8 RET=HDRS  ENVID=x AUTH=<> X-Y ");
    assert_true(c.has_size && c.size == 12345 && c.smtputf8);
    assert_int_equal(c.body, LMTP_BODY_8BITMIME);
    assert_int_equal(c.n_params, 4);
    assert_true(span_eq(c.params[0].name, SPAN("RET")) && span_eq(c.params[0].value, SPAN("HDRS")));
    assert_true(span_eq(c.params[2].value, SPAN("<>")));
    assert_true(span_eq(c.params[3].name, SPAN("X-Y")) && !c.params[3].has_value);
    assert_int_equal(parse_ok(&a, "MAIL FROM:<> BODY=BINARYMIME").body, LMTP_BODY_BINARYMIME);
    c = parse_ok(&a, "RCPT TO:<a@b> NOTIFY=NEVER SIZE=x");
    assert_int_equal(c.n_params, 2);
    check_bad("MAIL FROM:<> SIZE", 501, "5.5.4", "Malformed SIZE");
    check_bad("MAIL FROM:<> SIZE=1x", 501, "5.5.4", "Malformed SIZE");
    check_bad("MAIL FROM:<> BODY=9BIT", 501, "5.5.4", "Unknown BODY type");
    check_bad("MAIL FROM:<> BODY", 501, "5.5.4", "Unknown BODY type");
    check_bad("MAIL FROM:<> SMTPUTF8=1", 501, "5.5.4", "SMTPUTF8 takes no value");
    check_bad("MAIL FROM:<> X=", 501, "5.5.4", "Malformed parameter");
    check_bad("MAIL FROM:<> =X", 501, "5.5.4", "Malformed parameter");
    check_bad("MAIL FROM:<> -X", 501, "5.5.4", "Malformed parameter");
    check_bad("MAIL FROM:<> X!", 501, "5.5.4", "Malformed parameter");
    autobuf many = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&many, "MAIL FROM:<>");
    for (int i = 0; i < 65; i++)
        buf_put_lit(&many, " X");
    check_bad(many.p, 501, "5.5.4", "Too many parameters");
    struct lmtp_command spent;
    struct lmtp_error e;
    autoarena small = ARENA_INIT(8);
    assert_int_equal(lmtp_parse(SPAN("MAIL FROM:<\"a b\"@x>"), &small, &spent, &e), ERR_LIMIT);
    assert_int_equal(e.code, 452);
}

static void addresses(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(1000);
    struct lmtp_path p;
    assert_int_equal(lmtp_address_parse(SPAN("joe@x"), &a, &p), 0);
    assert_int_equal(lmtp_address_parse(SPAN("joe"), &a, &p), 0);
    assert_int_equal(lmtp_address_parse(SPAN("joe@x>"), &a, &p), ERR_INVALID);
    assert_int_equal(lmtp_address_parse(SPAN(""), &a, &p), ERR_INVALID);
    assert_int_equal(lmtp_address_parse(SPAN("\xff@x"), &a, &p), ERR_INVALID);
}

/* ---- message data ---- */

/* Feeds exact heap copies of `chunk` bytes; the bytes behind the end go to rest. */
static void run_data(struct span in, size_t chunk, struct buf *out, struct buf *rest,
                     struct lmtp_data *d)
{
    bool end = false;
    *d = (struct lmtp_data){0};
    while (in.n && !end) {
        struct span piece = span_head(in, chunk);
        autofree char *copy = xmalloc(piece.n);
        memcpy(copy, piece.p, piece.n);
        in = span_skip(in, piece.n);
        struct span left = span_make(copy, piece.n);
        while (left.n && !end) {
            struct span data;
            size_t used = lmtp_data_next(d, left, &data, &end);
            assert_true(used > 0 || data.n > 0);
            buf_put_span(out, data);
            left = span_skip(left, used);
        }
        buf_put_span(rest, left);
    }
    buf_put_span(rest, in);
    if (end) {
        struct span data;
        assert_int_equal(lmtp_data_next(d, SPAN("x"), &data, &end), 0);
        assert_true(end && data.n == 0);
    }
}

static void check_data(struct span in, struct span expect, const char *rest_expect, bool bare_lf,
                       bool bare_cr)
{
    for (size_t chunk = 1; chunk <= in.n + 1; chunk++) {
        autobuf out = BUF_INIT(BUF_UNLIMITED);
        autobuf rest = BUF_INIT(BUF_UNLIMITED);
        struct lmtp_data d;
        run_data(in, chunk, &out, &rest, &d);
        if (!span_eq(buf_span(&out), expect))
            fail_msg("chunk %zu of \"" SPAN_FMT "\": \"%s\"", chunk, SPAN_ARG(in), out.p);
        assert_true(span_eq(buf_span(&rest), span_str(rest_expect)));
        assert_int_equal(d.bare_lf, bare_lf);
        assert_int_equal(d.bare_cr, bare_cr);
    }
}

#define DATA(in, expect, rest, lf, cr) check_data(SPAN(in), SPAN(expect), rest, lf, cr)

static void data(void **state)
{
    (void)state;
    DATA(".\r\nQUIT\r\n", "", "QUIT\r\n", false, false);
    DATA("a\r\n.\r\n", "a\r\n", "", false, false);
    DATA("a\r\n.\r\n.\r\n", "a\r\n", ".\r\n", false, false);
    DATA("\r\n\r\nx\r\n.\r\n", "\r\n\r\nx\r\n", "", false, false);
    DATA("..\r\n...\r\n.a\r\nb.\r\nc..d\r\n.\r\n", ".\r\n..\r\na\r\nb.\r\nc..d\r\n", "", false,
         false);
    DATA("a\0b\xff\r\n.\r\n", "a\0b\xff\r\n", "", false, false);
    /* only CRLF "." CRLF ends */
    DATA("a\n.\nb\r\n.\r\n", "a\n.\nb\r\n", "", true, false);
    DATA("a\n.\r\nb\r\n.\r\n", "a\n.\r\nb\r\n", "", true, false);
    DATA("a\r\n.\nb\r\n.\r\n", "a\r\n\nb\r\n", "", true, false);
    DATA("a\r.\r\nb\r\n.\r\n", "a\r.\r\nb\r\n", "", false, true);
    DATA("a\r\n.\rb\r\n.\r\n", "a\r\n\rb\r\n", "", false, true);
    DATA("a\r\n.\r\r\nb\r\n.\r\n", "a\r\n\r\r\nb\r\n", "", false, true);
    DATA("a\r\n.\r.\r\nb\r\n.\r\n", "a\r\n\r.\r\nb\r\n", "", false, true);
    DATA("a\r\r\n.\r\n", "a\r\r\n", "", false, true);
    DATA("\n.\r\n\r\n.\r\n", "\n.\r\n\r\n", "", true, false);
    /* without an end */
    DATA("a\r\n", "a\r\n", "", false, false);
    DATA("a\r\n.", "a\r\n", "", false, false);
    DATA("a\r\n.\r", "a\r\n", "", false, false);
    DATA("a\r", "a\r", "", false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verbs),     cmocka_unit_test(paths), cmocka_unit_test(params),
        cmocka_unit_test(addresses), cmocka_unit_test(data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
