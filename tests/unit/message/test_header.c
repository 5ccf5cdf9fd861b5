#include "message_support.h"

#include "message/header.h"
#include "message/param_int.h"

/* --- Fields ------------------------------------------------------------------------------- */

static void test_fields(void **state)
{
    (void)state;
    struct span block = SPAN("From: a@b\r\n"
                             "no colon here\r\n"
                             " its continuation: x\r\n"
                             "Subject : folded\r\n"
                             "\tvalue\n"
                             "Bad name: x\r\n"
                             "Empty:\r\n"
                             ": nameless\r\n"
                             "X\x80: eight bit\r\n"
                             "Last: y\r\n"
                             "\r\n"
                             "Body: z\r\n");
    struct header_field f;
    assert_true(header_next(&block, &f));
    assert_span(f.name, "From");
    assert_span(f.value, " a@b");
    assert_span(f.raw, "From: a@b\r\n");
    assert_true(header_next(&block, &f));
    assert_span(f.name, "Subject");
    assert_span(f.value, " folded\r\n\tvalue");
    assert_span(f.raw, "Subject : folded\r\n\tvalue\n");
    assert_true(header_next(&block, &f));
    assert_span(f.name, "Empty");
    assert_int_equal(f.value.n, 0);
    assert_true(header_next(&block, &f));
    assert_span(f.name, "Last");
    assert_false(header_next(&block, &f));
    assert_span(block, "Body: z\r\n");
    struct span nothing = SPAN_EMPTY;
    assert_false(header_next(&nothing, &f));
}

static void test_unfold(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {" plain ", "plain"}, {" a\r\n b", "a b"},      {"a\n\tb\r\n  c\r\n", "a\tb  c"}, {"", ""},
        {"\r\n", ""},         {"lone\rCR", "lone\rCR"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        autobuf out = BUF_INIT(100);
        header_unfold(span_str(cases[i][0]), &out);
        assert_span(buf_span(&out), cases[i][1]);
    }
}

static void test_ids(void **state)
{
    (void)state;
    for (int id = HEADER_OTHER + 1; id < HEADER_ID_COUNT; id++) {
        struct span name = header_id_name(id);
        assert_true(name.n > 0);
        assert_int_equal(header_id(name), id); /* also: the table by length is complete */
        char upper[64];
        assert_true(name.n < sizeof(upper));
        for (size_t i = 0; i < name.n; i++)
            upper[i] =
                ascii_is_alpha((unsigned char)name.p[i]) ? (char)(name.p[i] ^ 0x20) : name.p[i];
        assert_int_equal(header_id(span_make(upper, name.n)), id);
    }
    assert_int_equal(header_id(SPAN("Received")), HEADER_OTHER);
    assert_int_equal(header_id(SPAN("")), HEADER_OTHER);
    assert_int_equal(header_id(SPAN("X-A-Name-Much-Longer-Than-Any-That-Is-Known")), HEADER_OTHER);
}

static void test_set(void **state)
{
    (void)state;
    struct span names[] = {SPAN("FROM"), SPAN("x-foo"), SPAN("X-FOO"), SPAN("Subject")};
    struct header_set set;
    header_set_init(&set, names, ARRAY_LEN(names));
    assert_int_equal(set.n_other, 1);
    assert_true(header_set_has(&set, SPAN("from")));
    assert_true(header_set_has(&set, SPAN("X-Foo")));
    assert_true(header_set_has(&set, SPAN("subject")));
    assert_false(header_set_has(&set, SPAN("To")));
    assert_false(header_set_has(&set, SPAN("X-Fo")));
    header_set_done(&set);
}

static void filter(const struct header_set *set, bool invert, struct span block, uint64_t *seed,
                   size_t max_chunk, struct buf *out)
{
    struct header_filter f;
    header_filter_init(&f, set, invert);
    while (block.n > 0) {
        size_t n = 1 + next_random(seed) % max_chunk;
        header_filter_feed(&f, span_head(block, n), out);
        block = span_skip(block, n);
    }
    header_filter_finish(&f, out);
}

static void test_filter(void **state)
{
    (void)state;
    struct span names[] = {SPAN("from"), SPAN("X-List")};
    struct header_set set;
    header_set_init(&set, names, 2);
    struct span block = SPAN("X-List: 1\r\n"
                             "Received: by x\r\n"
                             " with y\r\n"
                             "junk\r\n"
                             "FROM : a@b,\r\n"
                             "\tc@d\r\n"
                             "From-Not: x\n"
                             "x-list: 2\n"
                             "\r\n"
                             "From: body\r\n");
    uint64_t seed = 1;
    for (int round = 0; round < 200; round++) {
        autobuf out = BUF_INIT(1000), rest = BUF_INIT(1000);
        filter(&set, false, block, &seed, 1 + round % 20, &out);
        assert_span(buf_span(&out), "X-List: 1\r\nFROM : a@b,\r\n\tc@d\r\nx-list: 2\n\r\n");
        filter(&set, true, block, &seed, 1 + round % 20, &rest);
        assert_span(buf_span(&rest), "Received: by x\r\n with y\r\njunk\r\nFrom-Not: x\n\r\n");
    }
    /* No blank line, no line break at the end; RFC 9051 section 6.4.5.1. */
    autobuf out = BUF_INIT(1000);
    filter(&set, false, SPAN("To: x\r\nFrom: y"), &seed, 3, &out);
    assert_span(buf_span(&out), "From: y");
    header_set_done(&set);
}

/* The filter against header_next on random blocks made of awkward pieces. */
static void test_filter_random(void **state)
{
    (void)state;
    static const char *const pieces[] = {"From", ":",  " ",  "\r\n", "\n",  "x",          "\t",
                                         "X-A",  ": ", "\r", "To",   "a:b", "From: q\r\n"};
    struct span names[] = {SPAN("from"), SPAN("X-A")};
    struct header_set set;
    header_set_init(&set, names, 2);
    uint64_t seed = 77;
    for (int round = 0; round < 3000; round++) {
        autobuf block = BUF_INIT(1000), want = BUF_INIT(1000), got = BUF_INIT(1000);
        for (uint32_t n = next_random(&seed) % 20; n > 0; n--)
            buf_put_str(&block, pieces[next_random(&seed) % ARRAY_LEN(pieces)]);
        struct span rest = buf_span(&block);
        struct header_field f;
        while (header_next(&rest, &f))
            if (header_set_has(&set, f.name))
                buf_put_span(&want, f.raw);
        size_t head = block.n - rest.n;
        if (head >= 2 && memcmp(block.p + head - 2, "\r\n", 2) == 0 &&
            (head == 2 || block.p[head - 3] == '\n'))
            buf_put_lit(&want, "\r\n");
        else if (head >= 1 && block.p[head - 1] == '\n' && (head == 1 || block.p[head - 2] == '\n'))
            buf_put_lit(&want, "\n");
        filter(&set, false, buf_span(&block), &seed, 4, &got);
        assert_span_is(buf_span(&got), buf_span(&want));
    }
    header_set_done(&set);
}

/* --- RFC 2047 ----------------------------------------------------------------------------- */

static void test_encoded_words(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        /* RFC 2047 section 8 */
        {"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"},
        {"=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>",
         "Keld J\xc3\xb8rn Simonsen <keld@dkuug.dk>"},
        {"=?ISO-8859-1?Q?Andr=E9?= Pirard <PIRARD@vm1.ulg.ac.be>",
         "Andr\xc3\xa9 Pirard <PIRARD@vm1.ulg.ac.be>"},
        {"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n"
         "    =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."},
        {"Nathaniel Borenstein <nsb@thumper.bellcore.com>\r\n "
         "(=?iso-8859-8?b?7eXs+SDv4SDp7Oj08A==?=)",
         "Nathaniel Borenstein <nsb@thumper.bellcore.com> "
         "(\xd7\x9d\xd7\x95\xd7\x9c\xd7\xa9 \xd7\x9f\xd7\x91 "
         "\xd7\x99\xd7\x9c\xd7\x98\xd7\xa4\xd7\xa0)"},
        {"(=?ISO-8859-1?Q?a?=)", "(a)"},
        {"(=?ISO-8859-1?Q?a?= b)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=)", "(ab)"},
        {"(=?ISO-8859-1?Q?a_b?=)", "(a b)"},
        {"(=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=)", "(a b)"},
        /* A character split between two words; RFC 2231 section 5 language. */
        {"=?utf-8?B?w4TD?= =?utf-8?B?lg==?=", "\xc3\x84\xc3\x96"},
        {"=?utf-8*de?Q?=C3=84?=", "\xc3\x84"},
        /* What cannot be decoded stays; what is broken is read as far as it goes. */
        {"=?utf-8?X?abc?=", "=?utf-8?X?abc?="},
        {"=?utf-8?Q?abc", "=?utf-8?Q?abc"},
        {"=? =? ?=", "=? =? ?="},
        {"=?utf-8?Q?a b=3?= c", "a b=3 c"},
        {"=?x-unknown?Q?=C3=84=E4?=", "\xc3\x84\xc3\xa4"},
        {"a=?utf-8?Q?b?=c", "abc"},
        {"=?utf-8?Q?"
         "?=",
         ""},
        {"=?utf-8?Q?=41?= =?utf-8?Q?"
         "?= x",
         "A x"},
        {"=?utf-8?Q?=FF?=", "\xef\xbf\xbd"},
        {"raw \xc3\xa4 and \xe4", "raw \xc3\xa4 and \xc3\xa4"},
        {"=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "\xe6\x97\xa5\xe6\x9c\xac"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        autobuf out = BUF_INIT(1000);
        header_decode(span_str(cases[i][0]), &out);
        assert_span(buf_span(&out), cases[i][1]);
    }
}

/* --- RFC 2231 ----------------------------------------------------------------------------- */

static void assert_param(const char *value, const char *name, const char *want)
{
    autobuf out = BUF_INIT(1000);
    bool found = header_param(span_str(value), span_str(name), &out);
    if (!want) {
        assert_false(found);
        return;
    }
    assert_true(found);
    assert_span(buf_span(&out), want);
}

static void test_params(void **state)
{
    (void)state;
    /* RFC 2231 sections 3 to 4.1. */
    assert_param("message/external-body; access-type=URL;\r\n URL*0=\"ftp://\";\r\n"
                 " URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
                 "url", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar");
    assert_param("application/x-stuff;\r\n title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
                 "title", "This is ***fun***");
    assert_param("application/x-stuff\r\n ;title*0*=us-ascii'en'This%20is%20even%20more%20\r\n"
                 " ;title*1*=%2A%2A%2Afun%2A%2A%2A%20\r\n ;title*2=\"isn't it!\"",
                 "title", "This is even more ***fun*** isn't it!");
    assert_param("attachment; filename*1=b; filename*0=a; filename*2=c", "FILENAME", "abc");
    assert_param("attachment; filename=\"=?utf-8?Q?=C3=A4?=.txt\"", "filename", "\xc3\xa4.txt");
    assert_param("attachment; filename=two words.pdf ; x=y", "filename", "two words.pdf");
    assert_param("text/plain; charset=us-ascii (Plain text)", "charset", "us-ascii");
    assert_param("text/plain (a;b) ; (c) charset (d) = (e) \"utf\\-8\" (f)", "charset", "utf-8");
    assert_param("text/plain; a; b=; c=\"unterminated", "c", "unterminated");
    assert_param("text/plain; a; b=; c=x", "b", "");
    assert_param("text/plain; a", "a", NULL);
    assert_param("", "a", NULL);
    assert_param("x; a*1=no-first", "a", NULL);
    assert_param("x; a*=broken", "a", "broken");
    assert_param("x; a*=iso-8859-1''%E4%ZZ%4", "a", "\xc3\xa4%ZZ%4");
    /* A character split between pieces; the pieces out of order; the plain form for other programs,
     * before and behind; only the first piece has a charset. */
    assert_param("x; a*1*=%A4b; a*0*=utf-8'de'%C3", "a",
                 "\xc3\xa4"
                 "b");
    assert_param("x; a=plain; a*=utf-8''%C3%A4", "a", "\xc3\xa4");
    assert_param("x; a*0=lo; a*1=ng; a=short", "a", "long");
    assert_param("x; a*0=\"it's \"; a*1*='b'%21", "a", "it's 'b'!");
    assert_param("x; a*=koi8-r''%C1; a*0=y; a*1=z", "a", "\xd0\xb0");
    assert_param("x; a*=x-unknown''%C3%A4%E4", "a", "\xc3\xa4\xc3\xa4");
    assert_param("x; a*=utf-8''%FF", "a", "\xef\xbf\xbd");
    assert_param("x; a*=iso-2022-jp'ja'%1B$BF%7CK%5C%1B(B", "a", "\xe6\x97\xa5\xe6\x9c\xac");
    assert_param("x; a*=utf-8''", "a", "");
    /* What was decoded has no encoded words any more. */
    assert_param("x; a*=utf-8''%3D%3Futf-8%3FQ%3Fb%3F%3D", "a", "=?utf-8?Q?b?=");
    assert_param("multipart/mixed; boundary=\"foo\r\n bar\"", "boundary", "foo bar");
}

static void test_param_lists(void **state)
{
    (void)state;
    struct param_list l;
    param_list_init(&l);
    param_parse(&l,
                SPAN("text/plain; Name*0*=utf-8''a%20; name*1=\"b %20\"; x=1; name=plain; x=2"));
    assert_span(param_main(&l), "text/plain");
    assert_int_equal(l.n, 3);
    assert_span(param_name(&l, 0), "Name");
    assert_span(param_value(&l, 0), "a b %20");
    assert_span(param_name(&l, 1), "x");
    assert_span(param_name(&l, 2), "x");
    /* Names that only look like it. */
    param_parse(&l, SPAN("a/b; c*''=1; d**=2; *=3; *0=4; e*99999=5; f*1*=6"));
    assert_int_equal(l.n, 5);
    assert_span(param_name(&l, 0), "c*''");
    /* More parameters than are kept, all pieces of one. */
    autobuf many = BUF_INIT(100000);
    buf_put_lit(&many, "a/b");
    for (int i = 0; i < 1000; i++)
        buf_printf(&many, ";n*%d=%d", i, i % 10);
    param_parse(&l, buf_span(&many));
    assert_int_equal(l.n, 1);
    assert_int_equal(param_value(&l, 0).n, PARAM_MAX);
    param_list_done(&l);
}

/* --- Addresses ---------------------------------------------------------------------------- */

/* One line for each address: name|route|mailbox|host; "-" for what is absent; "{name" and "}". */
static void list_addresses(struct span value, struct buf *out)
{
    struct address_iter it;
    struct address a;
    address_iter_init(&it, value);
    while (address_next(&it, &a)) {
        if (a.kind == ADDRESS_GROUP_START)
            buf_printf(out, "{" SPAN_FMT "\n", SPAN_ARG(a.mailbox));
        else if (a.kind == ADDRESS_GROUP_END)
            buf_put_lit(out, "}\n");
        else
            buf_printf(out, "%.*s|%.*s|" SPAN_FMT "|" SPAN_FMT "\n", a.has_name ? (int)a.name.n : 1,
                       a.has_name ? a.name.p : "-", a.has_route ? (int)a.route.n : 1,
                       a.has_route ? a.route.p : "-", SPAN_ARG(a.mailbox), SPAN_ARG(a.host));
    }
    address_iter_done(&it);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"user@domain", "-|-|user|domain\n"},
        {"<user@domain>", "-|-|user|domain\n"},
        {"foo  bar <user@domain>", "foo bar|-|user|domain\n"},
        {"\"foo \\\"x\\\" bar\" <user@domain>", "foo \"x\" bar|-|user|domain\n"},
        {"<@route:user@domain>", "-|@route|user|domain\n"},
        {"<@route@route2:user@domain>", "-|@route,@route2|user|domain\n"},
        {"hello <@route ,@route2:user@domain>", "hello|@route,@route2|user|domain\n"},
        {"user (hello)", "hello|-|user|\n"},
        {"hello <user>", "hello|-|user|\n"},
        {"@domain", "-|-||domain\n"},
        {"user@domain (Real Name)", "Real Name|-|user|domain\n"},
        {"<user@domain> (Real Name)", "Real Name|-|user|domain\n"},
        /* RFC 5322 appendix A.1.2, A.1.3, A.5, A.6.1, A.6.3 */
        {"\"Joe Q. Public\" <john.q.public@example.com>",
         "Joe Q. Public|-|john.q.public|example.com\n"},
        {"Mary Smith <mary@x.test>, jdoe@example.org, Who? <one@y.test>",
         "Mary Smith|-|mary|x.test\n-|-|jdoe|example.org\nWho?|-|one|y.test\n"},
        {"<boss@nil.test>, \"Giant; \\\"Big\\\" Box\" <sysservices@example.net>",
         "-|-|boss|nil.test\nGiant; \"Big\" Box|-|sysservices|example.net\n"},
        {"A Group:Ed Jones <c@a.test>,joe@where.test,John <jdoe@one.test>;",
         "{A Group\nEd Jones|-|c|a.test\n-|-|joe|where.test\nJohn|-|jdoe|one.test\n}\n"},
        {"Undisclosed recipients:;", "{Undisclosed recipients\n}\n"},
        {"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>",
         "Pete|-|pete|silly.test\n"},
        {"A Group(Some people)\r\n     :Chris Jones <c@(Chris's host.)public.example>,\r\n"
         "         joe@example.org,\r\n  John <jdoe@one.test> (my dear friend); (the end of the "
         "group)",
         "{A Group\nChris "
         "Jones|-|c|public.example\n-|-|joe|example.org\nJohn|-|jdoe|one.test\n}\n"},
        {"(Empty list)(start)Hidden recipients  :(nobody(that I know))  ;",
         "{Hidden recipients\n}\n"},
        {"Joe Q. Public <john.q.public@example.com>",
         "Joe Q. Public|-|john.q.public|example.com\n"},
        {"Mary Smith <@node.test:mary@example.net>, , jdoe@test  . example",
         "Mary Smith|@node.test|mary|example.net\n-|-|jdoe|test.example\n"},
        {"John Doe <jdoe@machine(comment).  example>", "John Doe|-|jdoe|machine.example\n"},
        /* Broken ones. */
        {"a@b; c@d", "-|-|a|b\n-|-|c|d\n"},
        {"group: g1@d1.org, g2@d2.org;, group2: g3@d3.org;",
         "{group\n-|-|g1|d1.org\n-|-|g2|d2.org\n}\n{group2\n-|-|g3|d3.org\n}\n"},
        {"group: a@b", "{group\n-|-|a|b\n}\n"},
        {"user@host <user@host>", "user@host|-|user|host\n"},
        {"Foo Bar", "-|-|Foo Bar|\n"},
        {"Foo <a@b, c@d", "Foo|-|a|b\n-|-|c|d\n"},
        {"\"quoted local\"@x.test", "-|-|quoted local|x.test\n"},
        {"user@[192.168.1.1], v6@[IPv6:::1]", "-|-|user|[192.168.1.1]\n-|-|v6|[IPv6:::1]\n"},
        {"", ""},
        {" , ,; ,", ""},
        {"(only a comment)", ""},
        {"<>", "-|-||\n"},
        {"=?utf-8?Q?=C3=A4?= <a@b>", "=?utf-8?Q?=C3=A4?=|-|a|b\n"},
        {"J\xc3\xb6rg <j@b>", "J\xc3\xb6rg|-|j|b\n"},
        {"a@b junk, c@d", "-|-|a|b\n-|-|c|d\n"},
        {"a@b@c", "-|-|a|b@c\n"},
        {"<user-from (comment)@ (comment) domain.org>", "-|-|user-from|domain.org\n"},
        {"\"unterminated, a@b", "-|-|unterminated, a@b|\n"},
        {"(unterminated a@b", ""},
        {"\"\" <a@b>", "-|-|a|b\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        autobuf out = BUF_INIT(10000);
        list_addresses(span_str(cases[i][0]), &out);
        assert_span(buf_span(&out), cases[i][1]);
    }
}

/* --- Dates -------------------------------------------------------------------------------- */

static void test_dates(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t utc;
        int32_t day;
        int16_t zone;
    } good[] = {
        {"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)", 837595405, 9694, -420},
        {"Thu, 1 Jan 1970 00:00:00 +0000", 0, 0, 0},
        {"31 Dec 1969 23:59:59 GMT", -1, -1, 0},
        {"Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880127706, 10186, -360},
        {"21 Nov 97 09:55:06 GMT", 880106106, 10186, 0},
        {"Sat, 01 Feb 2007 01:02:03 +0200", 1170284523, 13545, 120},
        {"Mon, 1 Jan 2024 00:30:00 +1400", 1704018600, 19723, 840},
        {"Tue, 29 Feb 2000 12:00:00 EST", 951843600, 11016, -300},
        {"1 Jan 03 00:00", 1041379200, 12053, 0},
        {"1 Jan 103 00:00", 1041379200, 12053, 0},
        {"Thu Feb  1 01:02:03 2007", 1170291723, 13545, 0},
        {"Thu Feb  1 01:02:03 EST 2007", 1170309723, 13545, -300},
        {"\r\n Thu,\r\n 1-Feb-2007 01:02 Z", 1170291720, 13545, 0},
        {"1 February 2007 01:02:03 +02:00", 1170284523, 13545, 120},
        {"Sun, 31 Dec 2006 23:59:60 +0000", 1167609600, 13513, 0},
        {"Sun, 6 Nov 1994 08:49:37 XYZ", 784111777, 9075, 0},
    };
    static const char *const bad[] = {
        "",
        "x",
        "Mon",
        "1",
        "1 Foo 2000 00:00",
        "30 Feb 2000 00:00",
        "29 Feb 1900 00:00",
        "1 Jan 2000",
        "1 Jan 2000 25:00",
        "1 Jan 2000 00:61",
        "0 Jan 2000 00:00",
        "2000-01-01T00:00:00Z",
        "1 Jan 0 00:00 +0000 and more",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct header_date d;
        if (!header_date(span_str(good[i].text), &d) || d.utc != good[i].utc)
            print_message("date: %s\n", good[i].text);
        assert_true(header_date(span_str(good[i].text), &d));
        assert_int_equal(d.utc, good[i].utc);
        assert_int_equal(d.day, good[i].day);
        assert_int_equal(d.zone, good[i].zone);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct header_date d;
        assert_false(header_date(span_str(bad[i]), &d));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),        cmocka_unit_test(test_unfold),
        cmocka_unit_test(test_ids),           cmocka_unit_test(test_set),
        cmocka_unit_test(test_filter),        cmocka_unit_test(test_filter_random),
        cmocka_unit_test(test_encoded_words), cmocka_unit_test(test_params),
        cmocka_unit_test(test_param_lists),   cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_dates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
