/* Texts and headers in other charsets (RFC 5259). */
#include "message/convert.h"

#include "message/header.h"
#include "unit/message/message_support.h"

static struct span replacement_of(const char *s)
{
    return s ? span_str(s) : SPAN_EMPTY;
}

static int encode(const char *charset, const char *replacement, const char *utf8, struct buf *out)
{
    struct charset_encoder e;
    int rc = charset_encoder_init(&e, span_str(charset), replacement_of(replacement));
    if (rc)
        return rc;
    rc = charset_encode(&e, span_str(utf8), out);
    charset_encode_finish(&e, out);
    charset_encoder_done(&e);
    return rc;
}

static void test_encoder(void **state)
{
    (void)state;
    static const struct {
        const char *charset, *replacement, *utf8;
        struct span want;
    } good[] = {
        {"utf-8", NULL, "\xc3\xa9", {"\xc3\xa9", 2}},
        {"ISO-8859-1", NULL, "caf\xc3\xa9", {"caf\xe9", 4}},
        {"koi8-r", NULL, "\xd0\x96", {"\xf6", 1}},
        {"iso-2022-jp", NULL, "\xe3\x81\x93!", {"\x1b$B$3\x1b(B!", 9}},
        {"utf-16be", NULL, "a\xc3\xa9", {"\0a\0\xe9", 4}},
        {"us-ascii",
         "?",
         "a\xc3\xa9\xe2\x82\xac"
         "b",
         {"a??b", 4}},
        {"us-ascii",
         "",
         "a\xc3\xa9"
         "b",
         {"ab", 2}},
        {"iso-2022-jp", "?", "\xe3\x81\x93\xf0\x9f\x98\x80", {"\x1b$B$3\x1b(B?", 9}},
        {"iso-8859-1", "\xc3\xa9", "\xe2\x82\xac", {"\xe9", 1}},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        autobuf out = BUF_INIT(BUF_UNLIMITED);
        assert_int_equal(encode(good[i].charset, good[i].replacement, good[i].utf8, &out), 0);
        assert_span_is(buf_span(&out), good[i].want);
    }
    autobuf out = BUF_INIT(BUF_UNLIMITED);
    /* No superset of what is asked for. */
    assert_int_equal(encode("iso-8859-1", NULL, "\xe2\x82\xac", &out), ERR_INVALID);
    assert_int_equal(encode("us-ascii", NULL, "\xc3\xa9", &out), ERR_INVALID);
    assert_int_equal(encode("us-ascii", "\xc3\xa9", "a", &out), ERR_INVALID);
    assert_int_equal(encode("us-ascii", "\xff", "a", &out), ERR_INVALID);
    assert_int_equal(encode("no-such", NULL, "a", &out), ERR_NOT_FOUND);
    assert_int_equal(encode("us-ascii//TRANSLIT", NULL, "a", &out), ERR_NOT_FOUND);
    assert_int_equal(encode("", NULL, "a", &out), ERR_NOT_FOUND);
}

/* RFC 5259 section 7.1: all these to UTF-8. */
static void test_mandatory(void **state)
{
    (void)state;
    static const char *const from[] = {"iso-8859-1", "iso-8859-2", "iso-8859-3",
                                       "iso-8859-4", "iso-8859-5", "iso-8859-6",
                                       "iso-8859-7", "iso-8859-8", "iso-8859-15"};
    static const char *const want[] = {"\xc3\xa1", "\xc3\xa1", "\xc3\xa1", "\xc3\xa1", "\xd1\x81",
                                       "\xd9\x81", "\xce\xb1", "\xd7\x91", "\xc3\xa1"};
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        struct charset_encoder to;
        struct convert_text c;
        autobuf out = BUF_INIT(BUF_UNLIMITED);
        assert_int_equal(charset_encoder_init(&to, SPAN("utf-8"), SPAN_EMPTY), 0);
        assert_int_equal(convert_text_init(&c, CTE_8BIT, span_str(from[i]), false, &to), 0);
        assert_int_equal(convert_text_feed(&c, SPAN("\xe1"), &out), 0);
        assert_int_equal(convert_text_finish(&c, &out), 0);
        convert_text_done(&c);
        assert_span(buf_span(&out), want[i]);
    }
}

static void check_text(enum part_cte cte, const char *charset, bool html, const char *to_name,
                       struct span raw, struct span want)
{
    for (size_t chunk = raw.n + 1; chunk > 0; chunk = chunk > 4 ? 4 : chunk - 1) {
        struct charset_encoder to;
        struct convert_text c;
        autobuf out = BUF_INIT(BUF_UNLIMITED);
        assert_int_equal(charset_encoder_init(&to, span_str(to_name), SPAN("?")), 0);
        assert_int_equal(convert_text_init(&c, cte, span_str(charset), html, &to), 0);
        for (struct span rest = raw; rest.n > 0; rest = span_skip(rest, chunk))
            assert_int_equal(convert_text_feed(&c, span_head(rest, chunk), &out), 0);
        assert_int_equal(convert_text_finish(&c, &out), 0);
        convert_text_done(&c);
        assert_span_is(buf_span(&out), want);
    }
}

static void test_text(void **state)
{
    (void)state;
    check_text(CTE_7BIT, "", false, "utf-8", SPAN("a\nb\r\nc\r\r\n\n"),
               SPAN("a\r\nb\r\nc\r\r\n\r\n"));
    check_text(CTE_BASE64, "koi8-r", false, "utf-8", SPAN("8Ao="), SPAN("\xd0\x9f\r\n"));
    check_text(CTE_QUOTED_PRINTABLE, "utf-8", true, "us-ascii",
               SPAN("<p>caf=C3=A9<br>=E2=82=AC</p>=\r\n"), SPAN("caf?\r\n?\r\n"));
    check_text(CTE_7BIT, "", true, "utf-8", SPAN("<a href='https://x.example/'>x</a>"),
               SPAN("x <https://x.example/>\r\n"));
    check_text(CTE_BASE64, "utf-16", false, "utf-8", SPAN("//5hAAoAYgA="), SPAN("a\r\nb"));
}

static void check_header(const char *charset, const char *header, const char *want)
{
    struct charset_encoder to;
    autobuf out = BUF_INIT(BUF_UNLIMITED), again = BUF_INIT(BUF_UNLIMITED);
    assert_int_equal(charset_encoder_init(&to, span_str(charset), SPAN_EMPTY), 0);
    assert_int_equal(convert_header(span_str(header), span_str(charset), &to, &out), 0);
    assert_span(buf_span(&out), want);
    /* What was converted means the same. */
    struct span a = span_str(header), b = buf_span(&out);
    struct header_field f, g;
    while (header_next(&a, &f)) {
        assert_true(header_next(&b, &g));
        buf_reset(&out);
        if (!span_istarts(f.name, SPAN("Content-"))) {
            autobuf x = BUF_INIT(BUF_UNLIMITED), y = BUF_INIT(BUF_UNLIMITED);
            header_decode(f.value, &x);
            header_decode(g.value, &y);
            assert_span_is(buf_span(&y), buf_span(&x));
        }
        break;
    }
    charset_encoder_done(&to);
}

static void test_header(void **state)
{
    (void)state;
    /* The example of section 6; its word, with spaces in it, is none that RFC 2047 allows. */
    check_header(
        "utf-8",
        "Date: Mon, 20 Apr 2007 20:05:43 +0200\r\nFrom: Peter <peter@siroe.example.com>\r\n"
        "To: Alexey <alexey@siroe.example.com>\r\nSubject: =?KOI8-R?Q?why encode this?=\r\n\r\n",
        "Date: Mon, 20 Apr 2007 20:05:43 +0200\r\nFrom: Peter <peter@siroe.example.com>\r\n"
        "To: Alexey <alexey@siroe.example.com>\r\nSubject: =?utf-8?Q?why_encode_this?=\r\n\r\n");
    check_header("utf-8", "Subject: =?koi8-r?B?8NLJ18XU?= <x>\r\n",
                 "Subject: =?utf-8?Q?=D0=9F=D1=80=D0=B8=D0=B2=D0=B5=D1=82?= <x>\r\n");
    check_header("koi8-r", "Subject: a =?utf-8?B?0J8=?=\r\n =?utf-8?Q?=D1=80?= b\r\nTo: x\r\n",
                 "Subject: a =?koi8-r?Q?=F0=D2?= b\r\nTo: x\r\n");
    /* What cannot be decoded stays. */
    check_header("utf-8", "Subject: =?x-none?Q?a?= =?utf-8?X?b?= =? =?utf-8?Q?c\r\n",
                 "Subject: =?x-none?Q?a?= =?utf-8?X?b?= =? =?utf-8?Q?c\r\n");
    check_header("utf-8", "no field\r\n\r\n", "no field\r\n\r\n");
    check_header("utf-8", "", "");
    /* RFC 2231: characters are put together; pieces hold whole ones. */
    check_header(
        "utf-8",
        "Content-Disposition: attachment; filename*0*=utf-8''tr%c3;\r\n filename*1*=%a9s; "
        "size=5\r\n\r\n",
        "Content-Disposition: attachment;\r\n filename*=utf-8''tr%C3%A9s;\r\n size=5\r\n\r\n");
    check_header("koi8-r", "Content-Type: text/plain; name*=utf-8''%D0%9F; a=\"b c\"\r\n",
                 "Content-Type: text/plain;\r\n name*=koi8-r''%F0;\r\n a=\"b c\"\r\n");
}

static void test_header_lines(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(BUF_UNLIMITED), out = BUF_INIT(BUF_UNLIMITED);
    struct charset_encoder to;
    buf_put_lit(&m, "Subject: =?utf-8?B?");
    for (int i = 0; i < 100; i++)
        buf_put_lit(&m, "0J/RgNC40LLQtdGC"); /* six letters */
    buf_put_lit(&m, "?=\r\nContent-Type: text/plain; name*=utf-8''");
    for (int i = 0; i < 200; i++)
        buf_put_lit(&m, "%D0%9F");
    buf_put_lit(&m, "\r\n\r\n");
    static const char *const charsets[] = {"utf-8", "koi8-r", "iso-2022-jp", "utf-16be", "gb18030"};
    for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
        buf_reset(&out);
        assert_int_equal(charset_encoder_init(&to, span_str(charsets[i]), SPAN_EMPTY), 0);
        assert_int_equal(convert_header(buf_span(&m), span_str(charsets[i]), &to, &out), 0);
        charset_encoder_done(&to);
        struct span rest = buf_span(&out), line;
        size_t n = 0;
        while (span_split(&rest, '\n', &line)) {
            assert_true(line.n <= 78 + 1);
            n++;
        }
        assert_true(n > 20);
        struct header_field f;
        autobuf text = BUF_INIT(BUF_UNLIMITED);
        assert_true(header_find(buf_span(&out), SPAN("Subject"), &f));
        header_decode(f.value, &text);
        assert_int_equal(text.n, 1200);
        buf_reset(&text);
        assert_true(header_find(buf_span(&out), SPAN("Content-Type"), &f));
        assert_true(header_param(f.value, SPAN("name"), &text));
        assert_int_equal(text.n, 400);
    }
    buf_reset(&out);
    assert_int_equal(charset_encoder_init(&to, SPAN("us-ascii"), SPAN_EMPTY), 0);
    assert_int_equal(convert_header(buf_span(&m), SPAN("us-ascii"), &to, &out), ERR_INVALID);
    charset_encoder_done(&to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encoder),      cmocka_unit_test(test_mandatory),
        cmocka_unit_test(test_text),         cmocka_unit_test(test_header),
        cmocka_unit_test(test_header_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
