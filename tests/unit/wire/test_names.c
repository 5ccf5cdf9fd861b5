#include "support/cmocka.h"
#include "wire/match.h"
#include "wire/mutf7.h"

/* ---- UTF-8 ---- */

static void utf8(void **state)
{
    (void)state;
    assert_true(utf8_valid(SPAN("")));
    assert_true(utf8_valid(SPAN("plain ascii, longer than eight\0")));
    assert_true(
        utf8_valid(SPAN("\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf")));
    assert_true(utf8_valid(SPAN("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")));
    static const struct span bad[] = {
        {"\x80", 1},
        {"\xc1\xbf", 2},
        {"\xc0\x80", 2},
        {"\xe0\x9f\xbf", 3},
        {"\xed\xa0\x80", 3},
        {"\xed\xbf\xbf", 3},
        {"\xf0\x8f\xbf\xbf", 4},
        {"\xf4\x90\x80\x80", 4},
        {"\xf5\x80\x80\x80", 4},
        {"\xff", 1},
        {"\xc3", 1},
        {"\xe2\x82", 2},
        {"\xf0\x9f\x98", 3},
        {"aaaaaaaa\xc3(", 10},
        {"\xe2\x82\x28", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(bad[i]));
}

/* ---- modified UTF-7 ---- */

static void check_mutf7(const char *wire, const char *utf8_text)
{
    autobuf b = BUF_INIT(1000);
    autobuf c = BUF_INIT(1000);
    assert_int_equal(mutf7_decode(span_str(wire), &b), 0);
    assert_true(span_eq(buf_span(&b), span_str(utf8_text)));
    assert_int_equal(mutf7_encode(span_str(utf8_text), &c), 0);
    assert_true(span_eq(buf_span(&c), span_str(wire)));
}

static void mutf7(void **state)
{
    (void)state;
    check_mutf7("", "");
    check_mutf7("INBOX/x", "INBOX/x");
    /* RFC 3501 5.1.3 */
    check_mutf7("~peter/mail/&U,BTFw-/&ZeVnLIqe-",
                "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
    check_mutf7("&Jjo-!", "\xe2\x98\xba!");
    check_mutf7("&U,BTF2XlZyyKng-", "\xe5\x8f\xb0\xe5\x8c\x97\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e");
    check_mutf7("Entw&APw-rfe", "Entw\xc3\xbcrfe");
    check_mutf7("a&-b", "a&b");
    check_mutf7("&-&-&AOQ-&-", "&&\xc3\xa4&");
    check_mutf7("&2D3eAA-", "\xf0\x9f\x98\x80");
    check_mutf7("&AAE-", "\x01");
    check_mutf7("&AH8-", "\x7f");
    static const char *const bad[] = {
        "&Jjo!",              /* RFC 3501: no end of the shift */
        "&U,BTFw-&ZeVnLIqe-", /* RFC 3501: superfluous shift */
        "&",
        "&A",
        "&AOQ", /* no end */
        "&AOQ",
        "a&",
        "&A-",    /* no unit */
        "&AO-",   /* half a unit */
        "&AOR-",  /* unused bits set */
        "&AOQA-", /* too many digits */
        "&AGE-",  /* printable ASCII encoded */
        "&ACY-",  /* "&" encoded */
        "&2D0-",
        "&3gA-",
        "&2D0A4Q-",
        "&2D3YPQ-", /* surrogates alone or in the wrong order */
        "&AO/-",
        "&AO=-",
        "& -",      /* not in the alphabet */
        "\xc3\xa4", /* 8-bit */
        "a\tb",
        "\x7f", /* control characters as they are */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        autobuf b = BUF_INIT(1000);
        buf_put_lit(&b, "keep");
        if (mutf7_decode(span_str(bad[i]), &b) != ERR_INVALID)
            fail_msg("\"%s\" accepted", bad[i]);
        assert_string_equal(b.p, "keep");
    }
    autobuf b = BUF_INIT(3);
    assert_int_equal(mutf7_decode(SPAN("abcd"), &b), ERR_LIMIT);
    autobuf c = BUF_INIT(100);
    assert_int_equal(mutf7_encode(SPAN("a\xc3"), &c), ERR_INVALID);
    assert_int_equal(c.n, 0);
}

/* Every code point comes back. */
static void mutf7_round_trip(void **state)
{
    (void)state;
    for (uint32_t c = 1; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
        char text[8] = "x";
        size_t n = 1;
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        if (c < 0x80) {
            text[n++] = (char)c;
        } else if (c < 0x800) {
            text[n++] = (char)(0xc0 | c >> 6);
            text[n++] = (char)(0x80 | (c & 63));
        } else {
            if (c < 0x10000) {
                text[n++] = (char)(0xe0 | c >> 12);
            } else {
                text[n++] = (char)(0xf0 | c >> 18);
                text[n++] = (char)(0x80 | (c >> 12 & 63));
            }
            text[n++] = (char)(0x80 | (c >> 6 & 63));
            text[n++] = (char)(0x80 | (c & 63));
        }
        autobuf wire = BUF_INIT(100);
        autobuf back = BUF_INIT(100);
        assert_int_equal(mutf7_encode(span_make(text, n), &wire), 0);
        assert_int_equal(mutf7_decode(buf_span(&wire), &back), 0);
        assert_true(span_eq(buf_span(&back), span_make(text, n)));
    }
}

/* ---- mailbox names ---- */

static void check_name(struct span wire, bool utf8_session, const char *expect)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    const char *why = NULL;
    buf_put_lit(&b, ">");
    int rc = mailbox_name_decode(wire, utf8_session, &b, &why);
    if (rc == 0) {
        assert_string_equal(b.p + 1, expect);
        assert_null(mailbox_name_problem(span_skip(buf_span(&b), 1)));
    } else {
        assert_int_equal(rc, ERR_INVALID);
        assert_string_equal(why, expect);
        assert_string_equal(b.p, ">");
    }
}

static void names(void **state)
{
    (void)state;
    check_name(SPAN("iNbOx"), false, "INBOX");
    check_name(SPAN("inbox/Child"), true, "INBOX/Child");
    check_name(SPAN("inboxes/x"), true, "inboxes/x");
    check_name(SPAN("inbox/"), true, "INBOX");
    check_name(SPAN("foo/"), false, "foo");
    check_name(SPAN("Entw&APw-rfe"), false, "Entw\xc3\xbcrfe");
    check_name(SPAN("Entw&APw-rfe"), true, "Entw&APw-rfe");
    check_name(SPAN("Entw\xc3\xbcrfe"), true, "Entw\xc3\xbcrfe");
    check_name(SPAN("Entw\xc3\xbcrfe"), false, "the name is not valid modified UTF-7");
    check_name(SPAN("Entw\xfcrfe"), true, "the name is not valid UTF-8");
    check_name(SPAN(""), true, "the name is empty");
    check_name(SPAN("/"), true, "the name begins with the hierarchy separator");
    check_name(SPAN("/x"), true, "the name begins with the hierarchy separator");
    check_name(SPAN("x//"), true, "the name ends with the hierarchy separator");
    check_name(SPAN("x//y"), true, "the name has an empty level");
    check_name(SPAN("x\ny"), true, "the name contains a control character");
    check_name(SPAN("x\0y"), true, "the name contains a control character");
    check_name(SPAN("x&AAo-y"), false, "the name contains a control character");
    check_name(SPAN("x\xc2\x85"), true, "the name contains a control character");
    check_name(SPAN("x\xe2\x80\xa8"), true, "the name contains a control character");
    check_name(SPAN("100%*"), true, "100%*");
    autobuf longest = BUF_INIT(BUF_UNLIMITED);
    while (longest.n < WIRE_NAME_MAX)
        buf_put_byte(&longest, 'x');
    check_name(buf_span(&longest), true, longest.p);
    buf_put_byte(&longest, 'x');
    check_name(buf_span(&longest), true, "the name is too long");
    while (longest.n < 100000)
        buf_put_byte(&longest, 'x');
    check_name(buf_span(&longest), false, "the name is too long");
    assert_true(mailbox_is_inbox(SPAN("inboX")));
    assert_false(mailbox_is_inbox(SPAN("inbox/")));
}

static void patterns_decode(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    const char *why;
    assert_int_equal(mailbox_pattern_decode(SPAN("inbox/%/"), false, &b, &why), 0);
    assert_string_equal(b.p, "INBOX/%/");
    buf_reset(&b);
    assert_int_equal(mailbox_pattern_decode(SPAN(""), false, &b, NULL), 0);
    assert_int_equal(b.n, 0);
    assert_int_equal(mailbox_pattern_decode(SPAN("a\tb"), true, &b, &why), ERR_INVALID);
}

/* ---- patterns ---- */

static void check_match(const char *reference, const char *pattern, const char *name,
                        unsigned expect)
{
    struct pattern p;
    assert_int_equal(pattern_init(&p, span_str(reference), span_str(pattern), '/'), 0);
    unsigned got = pattern_match(&p, span_str(name));
    if (got != expect)
        print_message("%s %s %s\n", reference, pattern, name);
    assert_int_equal(got, expect);
}

static void match(void **state)
{
    (void)state;
    enum { NO = PATTERN_NO, M = PATTERN_MATCH, C = PATTERN_CHILDREN, MC = M | C };
    check_match("", "*", "a", MC);
    check_match("", "*", "a/b/c", MC);
    check_match("", "%", "a", M);
    check_match("", "%", "a/b", NO);
    check_match("", "%/%", "a", C);
    check_match("", "%/%", "a/b", M);
    check_match("", "a", "a", M);
    check_match("", "a", "b", NO);
    check_match("", "a", "A", NO);
    check_match("", "a/b", "a", C);
    check_match("", "a/", "a", NO); /* no name ends with the separator */
    check_match("", "a*", "a", MC);
    check_match("", "a*", "abc/d", MC);
    check_match("", "a%", "abc", M);
    check_match("", "a%", "abc/d", NO);
    check_match("", "a%c", "abc", M);
    check_match("", "*c", "abc", MC);
    check_match("", "*c", "ab", C);
    check_match("", "%b*", "ab/c", MC);
    check_match("", "%*%", "a/b", MC);
    check_match("a/", "%", "a/b", M);
    check_match("a/", "%", "a", C);
    check_match("a", "%", "ab", M);
    check_match("", "", "a", NO);
    check_match("", "", "", M);
    check_match("", "%", "", MC);
    check_match("", "x/%/z", "x/y", C);
    check_match("", "x/%/z", "x/y/z", M);
    check_match("", "x/%/z", "x/y/w", NO);
    /* INBOX in any case, other names exactly */
    check_match("", "inbox", "INBOX", M);
    check_match("", "InB%", "INBOX", M);
    check_match("", "inbox/%", "INBOX/x", M);
    check_match("", "inbox/X", "INBOX/x", NO);
    check_match("", "*box", "INBOX", MC);
    check_match("in", "box", "INBOX", M);
    check_match("", "inboxes", "INBOXES", NO);
    check_match("", "%\xc3\xbc%", "Entw\xc3\xbcrfe", M);
}

static bool slow_match(const char *p, const char *n)
{
    if (*p == '\0')
        return *n == '\0';
    if (*p != '*' && *p != '%')
        return *p == *n && slow_match(p + 1, n + 1);
    if (slow_match(p + 1, n))
        return true;
    return *n && (*p == '*' || *n != '/') && slow_match(p, n + 1);
}

/* Against the obvious recursion, over all short patterns and names. */
static void match_against_a_model(void **state)
{
    (void)state;
    static const char alphabet[] = "a/*%";
    for (unsigned i = 0; i < 1024; i++) {
        char text[6] = {0};
        for (unsigned k = 0, v = i; k < 5; k++, v /= 4)
            text[k] = alphabet[v % 4];
        for (unsigned j = 0; j < 64; j++) {
            char name[8] = {0};
            unsigned len = j % 7;
            for (unsigned k = 0; k < len; k++)
                name[k] = (j >> k) & 1 ? '/' : 'a';
            struct pattern p;
            assert_int_equal(pattern_init(&p, SPAN_EMPTY, span_str(text), '/'), 0);
            bool got = pattern_match(&p, span_str(name)) & PATTERN_MATCH;
            assert_int_equal(got, slow_match(text, name));
        }
    }
}

static void match_is_not_exponential(void **state)
{
    (void)state;
    autobuf pattern = BUF_INIT(BUF_UNLIMITED);
    autobuf name = BUF_INIT(BUF_UNLIMITED);
    struct pattern p;
    while (pattern.n < PATTERN_MAX - 2)
        buf_put_lit(&pattern, "*a");
    buf_put_byte(&pattern, 'b');
    while (name.n < 1024)
        buf_put_byte(&name, 'a');
    assert_int_equal(pattern_init(&p, SPAN_EMPTY, buf_span(&pattern), '/'), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(pattern_match(&p, buf_span(&name)), PATTERN_CHILDREN);
    buf_reset(&pattern);
    while (pattern.n < 100000)
        buf_put_lit(&pattern, "%*");
    assert_int_equal(pattern_init(&p, SPAN_EMPTY, buf_span(&pattern), '/'), 0);
    assert_int_equal(p.n, 1);
    buf_reset(&pattern);
    while (pattern.n <= PATTERN_MAX)
        buf_put_byte(&pattern, 'x');
    assert_int_equal(pattern_init(&p, SPAN_EMPTY, buf_span(&pattern), '/'), ERR_LIMIT);
}

static void prefixes(void **state)
{
    (void)state;
    struct pattern p;
    struct span name;
    assert_int_equal(pattern_init(&p, SPAN("a/"), SPAN("b%c"), '/'), 0);
    assert_true(span_eq(pattern_prefix(&p), SPAN("a/b")));
    assert_false(pattern_is_literal(&p, &name));
    assert_int_equal(pattern_init(&p, SPAN("in"), SPAN("box"), '/'), 0);
    assert_true(pattern_is_literal(&p, &name) && span_eq(name, SPAN("INBOX")));
    assert_int_equal(pattern_init(&p, SPAN(""), SPAN("in*"), '/'), 0);
    assert_int_equal(pattern_prefix(&p).n, 0);
    assert_int_equal(pattern_init(&p, SPAN(""), SPAN("inbox/*"), '/'), 0);
    assert_true(span_eq(pattern_prefix(&p), SPAN("INBOX/")));
    assert_int_equal(pattern_init(&p, SPAN(""), SPAN("inbox*"), '/'), 0);
    assert_int_equal(pattern_prefix(&p).n, 0);
    assert_int_equal(pattern_init(&p, SPAN(""), SPAN("x*"), '/'), 0);
    assert_true(span_eq(pattern_prefix(&p), SPAN("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8),
        cmocka_unit_test(mutf7),
        cmocka_unit_test(mutf7_round_trip),
        cmocka_unit_test(names),
        cmocka_unit_test(patterns_decode),
        cmocka_unit_test(match),
        cmocka_unit_test(match_against_a_model),
        cmocka_unit_test(match_is_not_exponential),
        cmocka_unit_test(prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
