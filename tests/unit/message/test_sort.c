/* Base subjects (RFC 5256 section 2.1), sort and thread keys. */
#include "message/casemap.h"
#include "message/mime.h"
#include "message/subject.h"
#include "message_support.h"
#include "support/cmocka.h"

static void check(const char *raw, const char *want, bool reply)
{
    autobuf text = BUF_INIT(1 << 20);
    subject_normalise(span_str(raw), &text);
    struct base_subject b = base_subject(buf_span(&text));
    if (!span_eq(b.text, span_str(want)) || b.reply_or_forward != reply)
        fail_msg("\"%s\" gives \"%.*s\"%s", raw, (int)b.text.n, b.text.p ? b.text.p : "",
                 b.reply_or_forward ? ", a reply" : "");
}

static void base_subjects(void **state)
{
    (void)state;
    check("hello", "hello", false);
    check("Re: hello", "hello", true);
    check("RE:hello", "hello", true);
    check("Fw: Fwd: re: hello", "hello", true);
    check("  hello   there \t", "hello there", false);
    check("hello (fwd)", "hello", true);
    check("hello (FWD) (fwd) ", "hello", true);
    check("[list] hello", "hello", false);
    check("[list] Re: hello", "hello", true);
    check("Re: [list] hello", "hello", true);
    check("[a] [b] Re [c] : hello", "hello", true);
    check("re[2]: hello", "hello", true);
    check("[list]", "[list]", false); /* step (4): would leave nothing */
    check("[a] [b]", "[b]", false);
    check("Re: [list]", "[list]", true);
    check("[fwd: hello]", "hello", true); /* step (6) */
    check("[Fwd: [fwd: Re: hello (fwd)]]", "hello", true);
    check("[fwd: hello", "[fwd: hello", false);
    check("Re: [fwd: [list] hello] (fwd)", "hello", true);
    check("", "", false);
    check("Re:", "", true);
    check("Re: Re:", "", true);
    check("(fwd)", "", true);
    check("[fwd:]", "", true);
    check("reply", "reply", false);
    check("re hello", "re hello", false);
    check("Regarding: x", "Regarding: x", false);
    check("hello [x]", "hello [x]", false);
    check("=?utf-8?Q?Re:_gr=C3=BC=C3=9Fe?=",
          "gr\xc3\xbc\xc3\x9f"
          "e",
          true);
    check("a\r\n b", "a b", false);
}

/* The time goes up with the length, not with its square. */
static void long_subject(void **state)
{
    (void)state;
    autobuf text = BUF_INIT(1 << 22);
    for (int i = 0; i < 100000; i++)
        buf_put_lit(&text, "[x] ");
    buf_put_lit(&text, "end");
    assert_true(span_eq(base_subject(buf_span(&text)).text, SPAN("end")));
    buf_reset(&text);
    for (int i = 0; i < 100000; i++)
        buf_put_lit(&text, "[fwd:");
    for (int i = 0; i < 100000; i++)
        buf_put_lit(&text, "]");
    assert_int_equal(base_subject(buf_span(&text)).text.n, 0);
}

static struct derived_sort sort_of(struct buf *record, const char *message)
{
    struct derived_sort s;
    buf_reset(record);
    struct mime_parser *p = mime_parser_new(NULL);
    mime_parser_feed(p, span_str(message));
    mime_parser_finish(p, record);
    mime_parser_free(p);
    assert_int_equal(derived_sort(buf_span(record), &s), 0);
    return s;
}

static void check_key(const struct derived_sort *s, enum derived_key k, const char *want)
{
    autobuf mapped = BUF_INIT(10000);
    casemap(span_str(want), &mapped);
    if (!span_eq(s->key[k], buf_span(&mapped)))
        fail_msg("key %d is \"%.*s\", not \"%s\"", k, (int)s->key[k].n, s->key[k].p, want);
}

static void keys(void **state)
{
    (void)state;
    autobuf r = BUF_INIT(BUF_UNLIMITED);
    struct derived_sort s = sort_of(&r, "Subject: Re: [x] Gr\xc3\xbc\xc3\x9f"
                                        "e\r\n"
                                        "From: =?utf-8?Q?J=C3=B6rg?= <jorg@Example.org>, b@c\r\n"
                                        "To: Team: Anna <ann@x>, bob@y;\r\n"
                                        "Cc: carl@z\r\n\r\nbody");
    check_key(&s, SORTKEY_SUBJECT,
              "gr\xc3\xbc\xc3\x9f"
              "e");
    check_key(&s, SORTKEY_FROM, "JORG");
    check_key(&s, SORTKEY_DISPLAY_FROM, "j\xc3\xb6rg");
    check_key(&s, SORTKEY_TO, "team"); /* a group's start is the first address structure */
    check_key(&s, SORTKEY_DISPLAY_TO, "team");
    check_key(&s, SORTKEY_CC, "carl");
    assert_true(s.reply_or_forward);
    s = sort_of(&r, "From: someone@example.org\n\n");
    check_key(&s, SORTKEY_DISPLAY_FROM, "someone@example.org");
    check_key(&s, SORTKEY_SUBJECT, "");
    assert_false(s.reply_or_forward);
    s = sort_of(&r, "no header at all");
    assert_int_equal(s.key[SORTKEY_FROM].n + s.message_id + s.n_references, 0);
    s = sort_of(&r, "");
    assert_int_equal(s.n_references, 0);
}

static uint64_t id_of(struct buf *r, const char *field)
{
    autobuf m = BUF_INIT(100000);
    buf_printf(&m, "Message-ID: %s\r\n\r\n", field);
    return sort_of(r, m.p).message_id;
}

static void message_ids(void **state)
{
    (void)state;
    autobuf r = BUF_INIT(BUF_UNLIMITED);
    uint64_t a = id_of(&r, "<01KF8JCEOCBS0045PS@xxx.yyy.com>");
    assert_true(a != 0);
    /* RFC 5256 section 3: the same Message-ID */
    assert_true(id_of(&r, "<\"01KF8JCEOCBS0045PS\"@xxx.yyy.com>") == a);
    assert_true(id_of(&r, " (c) <01KF8JCEOCBS0045PS@xxx.yyy.com> (d)") == a);
    assert_true(id_of(&r, "<01kf8jceocbs0045ps@xxx.yyy.com>") != a);
    static const char *const bad[] = {"", "x@y", "<x>", "<@y>", "<x@>", "<x@y", "<>"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (id_of(&r, bad[i]) != 0)
            fail_msg("valid: %s", bad[i]);
    uint64_t b = id_of(&r, "<b@x>"), c = id_of(&r, "<c@x>");
    struct derived_sort s = sort_of(
        &r, "References: <b@x> junk <broken <c@x>\r\n\t<b@x>\r\nIn-Reply-To: <d@x>\r\n\r\n");
    assert_int_equal(s.n_references, 3);
    assert_true(derived_reference(&s, 0) == b && derived_reference(&s, 1) == c &&
                derived_reference(&s, 2) == b);
    s = sort_of(&r, "References: none\r\nIn-Reply-To: your mail <c@x> of <b@x>\r\n\r\n");
    assert_true(s.n_references == 1 && derived_reference(&s, 0) == c);
}

/* Long keys stay apart; the record has room for all of them. */
static void long_keys(void **state)
{
    (void)state;
    autobuf r = BUF_INIT(BUF_UNLIMITED), m = BUF_INIT(1 << 20), other = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&m, "References:");
    for (int i = 0; i < 3000; i++)
        buf_printf(&m, " <%d@x>\r\n", i);
    buf_put_lit(&m, "Subject: ");
    for (int i = 0; i < 3000; i++)
        buf_put_byte(&m, 'a');
    size_t n = m.n;
    buf_put_lit(&m, "b\r\n\r\n");
    struct derived_sort s = sort_of(&r, m.p);
    assert_in_range(s.n_references, 1, 1000);
    buf_truncate(&m, n);
    buf_put_lit(&m, "c\r\n\r\n");
    struct derived_sort t = sort_of(&other, m.p);
    assert_int_equal(s.key[SORTKEY_SUBJECT].n, t.key[SORTKEY_SUBJECT].n);
    assert_false(span_eq(s.key[SORTKEY_SUBJECT], t.key[SORTKEY_SUBJECT]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base_subjects), cmocka_unit_test(long_subject), cmocka_unit_test(keys),
        cmocka_unit_test(message_ids),   cmocka_unit_test(long_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
