#include "message_support.h"

#include "imap_check.h"
#include "message/header.h"

static void assert_record(struct span rec, struct span message)
{
    const char *wrong = check_record(rec, message);
    if (wrong)
        print_message("record: %s\nmessage: " SPAN_FMT "\n", wrong, SPAN_ARG(message));
    assert_null(wrong);
    assert_true(rec.n <= mime_record_max(NULL));
}

static void parse(struct span message, struct buf *rec)
{
    buf_reset(rec);
    mime_parse(message, rec);
    assert_true(buf_ok(rec));
    assert_record(buf_span(rec), message);
}

static void assert_envelope(const char *message, const char *want)
{
    autobuf rec = BUF_INIT(1 << 20);
    struct span s;
    parse(span_str(message), &rec);
    assert_int_equal(derived_envelope(buf_span(&rec), &s), 0);
    assert_span(s, want);
}

static void assert_structure(const char *message, const char *want_body, const char *want_structure)
{
    autobuf rec = BUF_INIT(1 << 20);
    struct span s;
    parse(span_str(message), &rec);
    assert_int_equal(derived_body(buf_span(&rec), &s), 0);
    if (want_body)
        assert_span(s, want_body);
    assert_int_equal(derived_bodystructure(buf_span(&rec), &s), 0);
    if (want_structure)
        assert_span(s, want_structure);
}

/* --- ENVELOPE ----------------------------------------------------------------------------- */

/* The message of RFC 9051 section 8 (its answer breaks lines for print only). */
static void test_envelope_rfc9051(void **state)
{
    (void)state;
    assert_envelope("Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
                    "From: Terry Gray <gray@cac.washington.edu>\r\n"
                    "Subject: IMAP4rev2 WG mtg summary and minutes\r\n"
                    "To: imap@cac.washington.edu\r\n"
                    "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
                    "Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
                    "MIME-Version: 1.0\r\n"
                    "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
                    "\r\n",
                    "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" "
                    "\"IMAP4rev2 WG mtg summary and minutes\" "
                    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                    "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                    "((NIL NIL \"imap\" \"cac.washington.edu\")) "
                    "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
                    "(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
                    "\"<B27397-0100000@cac.washington.edu>\")");
}

static void test_envelope_forms(void **state)
{
    (void)state;
    assert_envelope("\r\n", "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)");
    /* Present but empty strings; Sender and Reply-To empty: as From. */
    assert_envelope(
        "Subject:\r\nFrom: a@b\r\nSender: \r\nReply-To:,\r\nIn-Reply-To: \r\nTo: \r\n\r\n",
        "(NIL \"\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
        "((NIL NIL \"a\" \"b\")) NIL NIL NIL \"\" NIL)");
    /* Groups; no host; route; several To fields are one list (RFC 5322 section 4.5.3). */
    assert_envelope(
        "To: g: x@y;, z\r\nTo: <@r:u@v>\r\nSubject: one\r\nSubject: two\r\n\r\n",
        "(NIL \"one\" NIL NIL NIL ((NIL NIL \"g\" NIL)(NIL NIL \"x\" \"y\")"
        "(NIL NIL NIL NIL)(NIL NIL \"z\" \"\")(NIL \"@r\" \"u\" \"v\")) NIL NIL NIL NIL)");
    /* Folding, quoting, encoded words untouched, 8 bit and controls as literals, NUL dropped. */
    assert_envelope(
        "Subject: a\r\n \"b\" \\ =?utf-8?Q?=C3=A4?=\r\n\r\n",
        "(NIL \"a \\\"b\\\" \\\\ =?utf-8?Q?=C3=A4?=\" NIL NIL NIL NIL NIL NIL NIL NIL)");
    assert_envelope("Subject: \xc3\xa4\r\nMessage-ID: a\x01z\r\n\r\n",
                    "(NIL {2}\r\n\xc3\xa4 NIL NIL NIL NIL NIL NIL NIL {3}\r\na\x01z)");
    autobuf rec = BUF_INIT(1 << 20);
    struct span s;
    parse(SPAN("Subject: n\0ul\n\n"), &rec);
    assert_int_equal(derived_envelope(buf_span(&rec), &s), 0);
    assert_span(s, "(NIL \"nul\" NIL NIL NIL NIL NIL NIL NIL NIL)");
}

/* --- BODYSTRUCTURE ------------------------------------------------------------------------ */

/* The two examples of RFC 9051 section 7.5.2, with headers and bodies that fit them. */
static void test_structure_rfc9051(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(10000);
    buf_put_lit(&m, "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
                    "Content-Transfer-Encoding: 7BIT\r\n\r\n");
    for (int i = 0; i < 48; i++) /* 2279 octets in 48 lines */
        buf_printf(&m, "%.*s\r\n", i < 23 ? 46 : 45,
                   "The quick brown fox jumps over the lazy dog 12");
    assert_structure(m.p,
                     "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 2279 48)",
                     "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 2279 48 "
                     "NIL NIL NIL NIL)");
    buf_reset(&m);
    buf_put_lit(&m, "Content-Type: multipart/MIXED; boundary=x\r\n\r\n--x\r\n"
                    "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
                    "Content-Transfer-Encoding: 7BIT\r\n\r\n");
    for (int i = 0; i < 23; i++) /* 1152 octets in 23 lines */
        buf_printf(&m, "%.*s\r\n", i < 2 ? 49 : 48,
                   "The quick brown fox jumps over the lazy dog 123456");
    buf_put_lit(&m, "\r\n--x\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; NAME=cc.diff\r\n"
                    "Content-ID: <960723163407.20117h@cac.washington.edu>\r\n"
                    "Content-Description: Compiler diff\r\n"
                    "Content-Transfer-Encoding: BASE64\r\n\r\n");
    for (int i = 0; i < 73; i++) /* 4554 octets in 73 lines */
        buf_printf(&m, "%.*s\r\n", i < 28 ? 61 : 60,
                   "VGhlIHF1aWNrIGJyb3duIGZveCBqdW1wcyBvdmVyIHRoZSBsYXp5IGRvZzEyMzQ1");
    buf_put_lit(&m, "\r\n--x--\r\n");
    assert_structure(
        m.p,
        "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 1152 23)"
        "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") "
        "\"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" \"BASE64\" 4554 73) "
        "\"MIXED\")",
        NULL);
}

static void test_structure_forms(void **state)
{
    (void)state;
    /* Defaults of RFC 2045 section 5.2. */
    assert_structure("hello", NULL,
                     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 "
                     "NIL NIL NIL NIL)");
    assert_structure("Content-Type: nonsense\n\nx\ny",
                     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)", NULL);
    assert_structure(
        "Content-Type: text/html; x=1\n\n",
        "(\"text\" \"html\" (\"x\" \"1\" \"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)", NULL);
    /* Extension data; RFC 2231 parameters. */
    assert_structure(
        "Content-Type: application/pdf; name*0*=utf-8''%C3%A4; name*1=\" b\"\n"
        "Content-Transfer-Encoding: base64 (really)\n"
        "Content-Disposition: attachment; filename=\"x y\"; size=3\n"
        "Content-MD5: abc==\n"
        "Content-Language: de, en-us\n"
        "Content-Location: http://x/\n y\n\nAAAA\n",
        "(\"application\" \"pdf\" (\"name\" {4}\r\n\xc3\xa4 b) NIL NIL \"base64\" 5)",
        "(\"application\" \"pdf\" (\"name\" {4}\r\n\xc3\xa4 b) NIL NIL \"base64\" 5 \"abc==\" "
        "(\"attachment\" (\"filename\" \"x y\" \"size\" \"3\")) (\"de\" \"en-us\") \"http://x/ "
        "y\")");
    assert_structure("Content-Type: a/b; t*0*=us-ascii'en'a%20; t*1=\"isn't it!\"; n*0=x; n*1=y\n"
                     "Content-Disposition: attachment; filename=u; filename*=utf-8''%22%5C%00\n\n",
                     "(\"a\" \"b\" (\"t\" \"a isn't it!\" \"n\" \"xy\") NIL NIL \"7bit\" 0)",
                     "(\"a\" \"b\" (\"t\" \"a isn't it!\" \"n\" \"xy\") NIL NIL \"7bit\" 0 NIL "
                     "(\"attachment\" (\"filename\" \"\\\"\\\\\")) NIL NIL)");
    assert_structure(
        "Content-Type: multipart/mixed; boundary=b\nContent-Disposition: inline\n\n"
        "--b\n\nx\n--b--\n",
        "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0) \"mixed\")",
        "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 "
        "NIL NIL NIL NIL) \"mixed\" (\"boundary\" \"b\") (\"inline\" NIL) NIL NIL)");
    /* Multiparts without any part. */
    const char *empty =
        "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")";
    assert_structure("Content-Type: multipart/mixed\n\nno boundary\n", empty, NULL);
    assert_structure("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n", empty, NULL);
    assert_structure("Content-Type: multipart/mixed; boundary=x\n\nnever\n", empty, NULL);
    assert_structure("Content-Type: multipart/mixed; boundary=x\n\n--x--\n", empty, NULL);
    assert_structure("Content-Type: multipart/mixed; boundary=x\n", empty, NULL);
    /* message/rfc822, also as the default within multipart/digest (RFC 2046 section 5.1.5). */
    assert_structure(
        "Content-Type: multipart/digest; boundary=x\n\n--x\n\nSubject: s\n\nb\n\n--x--",
        "((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 14 "
        "(NIL \"s\" NIL NIL NIL NIL NIL NIL NIL NIL) "
        "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 2 1) 3) "
        "\"digest\")",
        NULL);
    assert_structure("Content-Type: message/rfc822\n",
                     "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 0 "
                     "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
                     "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) 0)",
                     NULL);
    assert_structure("Content-Type: message/delivery-status\n\nx",
                     "(\"message\" \"delivery-status\" NIL NIL NIL \"7bit\" 1)", NULL);
}

/* --- Boundaries --------------------------------------------------------------------------- */

/* The bodies of the leaves, one after the other, with "|" behind each. */
static void list_bodies(struct span message, struct buf *out)
{
    autobuf rec = BUF_INIT(1 << 20);
    parse(message, &rec);
    for (uint32_t i = 0; i < derived_part_count(buf_span(&rec)); i++) {
        struct mime_part p;
        assert_int_equal(derived_part(buf_span(&rec), i, &p), 0);
        if (p.kind == PART_MULTIPART || p.kind == PART_MESSAGE)
            continue;
        buf_put(out, message.p + p.body_offset, (size_t)p.body_length);
        buf_put_byte(out, '|');
    }
}

static void test_boundaries(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\n\n1\n--a\n\n2\n--a--\n\n--a\n\n3\n",
         "1|2|"},
        /* Transport padding; what follows white space or "--" does not count. */
        {"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a  "
         "\r\n\r\n1\r\n--a\tx\r\n\r\n2\r\n--a--x",
         "1|2|"},
        /* A line that merely begins like a boundary is none. */
        {"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\n1\r\n--ax\r\n--a-\r\n--a--",
         "1\r\n--ax\r\n--a-|"},
        /* Not at the begin of a line; the blank line and the boundary. */
        {"Content-Type: multipart/mixed; boundary=a\n\n --a\n--a\n\n--a\n\nx --a\n -\n-\n--b\n--a",
         "|x --a\n -\n-\n--b||"},
        /* Missing end; a boundary within a header; a header without blank line. */
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\nX: y\n--a\n\n2", "|2|"},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\nX: y", "|"},
        /* The inner end is missing; the outer boundary ends both. */
        {"Content-Type: multipart/mixed; boundary=out\n\n--out\n"
         "Content-Type: multipart/mixed; "
         "boundary=in\n\n--in\n\n1\n--out\n\n2\n--in\n\n3\n--out--\n",
         "1|2\n--in\n\n3|"},
        /* One boundary is the begin of the other, both ways round; and both are the same. */
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\n"
         "Content-Type: multipart/mixed; boundary=ab\n\n--ab\n\n1\n--ab--\n--a\n\n2\n--a--\n",
         "1|2|"},
        {"Content-Type: multipart/mixed; boundary=ab\n\n--ab\n"
         "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n1\n--a--\n--ab\n\n2\n--ab--\n",
         "1|2|"},
        {"Content-Type: multipart/mixed; boundary=b1\n\n--b1\n"
         "Content-Type: multipart/mixed; boundary=b10\n\n--b10\n\n1\n--b10\n\n2\n--b10--\n"
         "--b1\n\n3\n--b10\n--b1--\n",
         "1|2|3\n--b10|"},
        {"Content-Type: multipart/mixed; boundary=b10\n\n--b10\n"
         "Content-Type: multipart/mixed; boundary=b1\n\n--b1\n\n1\n--b10\n\n2\n--b1\n--b10--\n",
         "1|2\n--b1|"},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\n"
         "Content-Type: multipart/mixed; boundary=\"a--b c\"\n\n--a--b c\n\n1\n--a--b "
         "c--\n--a\n\n2",
         "1|2|"},
        /* The inner boundary is not known: its part is not a multipart. */
        {"Content-Type: multipart/mixed; boundary=b1\n\n--b1\nContent-Type: x/y; boundary=b10\n\n"
         "--b10\n\n1\n--b10--\n--b1--",
         "--b10\n\n1\n--b10--|"},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\n"
         "Content-Type: multipart/mixed; boundary=a\n\n--a\n\n1\n--a\n\n2\n--a--\n--a\n\n3\n",
         "1|2|3\n|"},
        /* A message whose multipart ends with the part that holds it. */
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n\n"
         "Content-Type: multipart/mixed; boundary=b\n\n--b\n\n1\n--a\n\n2\n--a--\n",
         "1|2|"},
        {"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: message/rfc822\n--a\n\n2",
         "|2|"},
        {"Content-Type: multipart/mixed; boundary=\"a b \"\n\n--a b\n\n1\n--a b--\n", "1|"},
        {"Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\n1\n--ab--", "1|"},
        {"Content-Type: multipart/mixed; boundary=\"a\n b\"\n\n--a b\n\n1\n--a b--\n", "1|"},
        /* Mixed line breaks: what belongs to the boundary is the break before it. */
        {"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\n1\r\r\n--a\n\r\n2\n\n--a--",
         "1\r|2\n|"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        autobuf out = BUF_INIT(1000);
        list_bodies(span_str(cases[i][0]), &out);
        assert_span(buf_span(&out), cases[i][1]);
    }
}

static void test_long_boundary(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(100000), out = BUF_INIT(100000), name = BUF_INIT(10000);
    for (int i = 0; i < 1500; i++)
        buf_put_byte(&name, (char)('a' + i % 26));
    buf_printf(&m,
               "Content-Type: multipart/mixed; boundary=%.1500s\n\n--%.1500s\n\n1\n--%.1500s\n\n2",
               name.p, name.p, name.p);
    list_bodies(buf_span(&m), &out);
    assert_span(buf_span(&out), "1|2|");
}

/* The part beyond the limit is opaque with all its octets, although its boundaries begin with those
 * of the parts around it. */
static void test_nesting_beyond_limit(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(1 << 20), rec = BUF_INIT(1 << 20);
    size_t inside = 0;
    for (uint32_t i = 0; i < 2000; i++) {
        buf_printf(&m, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n", i);
        if (i == mime_limits_default.max_depth)
            inside = m.n;
        buf_printf(&m, "--b%u\r\n", i);
    }
    buf_put_lit(&m, "\r\nleaf\r\n");
    parse(buf_span(&m), &rec);
    struct mime_part p;
    uint32_t n = derived_part_count(buf_span(&rec));
    assert_int_equal(n, mime_limits_default.max_depth + 1);
    assert_int_equal(derived_part(buf_span(&rec), n - 1, &p), 0);
    assert_int_equal(p.body_offset, inside);
    assert_int_equal(p.body_length, m.n - inside);
    struct span s;
    assert_int_equal(derived_body(buf_span(&rec), &s), 0);
    autobuf want = BUF_INIT(1000);
    buf_printf(&want, "(\"application\" \"octet-stream\" NIL NIL NIL \"7bit\" %zu)", m.n - inside);
    assert_non_null(memmem(s.p, s.n, want.p, want.n));
}

/* --- Sections ----------------------------------------------------------------------------- */

/* The tree of RFC 9051 section 6.4.5.1. */
static const char section_message[] = "From: root\r\n"
                                      "Content-Type: multipart/mixed; boundary=A\r\n"
                                      "\r\n"
                                      "preamble\r\n"
                                      "--A\r\n"
                                      "\r\n"
                                      "one\r\n"
                                      "--A\r\n"
                                      "Content-Type: application/octet-stream\r\n"
                                      "\r\n"
                                      "two\r\n"
                                      "--A\r\n"
                                      "Content-Type: message/rfc822\r\n"
                                      "\r\n"
                                      "From: three\r\n"
                                      "Content-Type: multipart/mixed; boundary=B\r\n"
                                      "\r\n"
                                      "--B\r\n"
                                      "\r\n"
                                      "three.one\r\n"
                                      "--B\r\n"
                                      "Content-Type: application/octet-stream\r\n"
                                      "\r\n"
                                      "three.two\r\n"
                                      "--B--\r\n"
                                      "--A\r\n"
                                      "Content-Type: multipart/mixed; boundary=C\r\n"
                                      "\r\n"
                                      "--C\r\n"
                                      "Content-Type: image/gif\r\n"
                                      "\r\n"
                                      "four.one\r\n"
                                      "--C\r\n"
                                      "Content-Type: message/rfc822\r\n"
                                      "\r\n"
                                      "From: four.two\r\n"
                                      "\r\n"
                                      "four.two.one\r\n"
                                      "--C--\r\n"
                                      "--A--\r\n";

static void assert_section(struct span rec, const char *message, enum section_text text,
                           const char *numbers, const char *want)
{
    uint32_t section[8];
    size_t depth = 0;
    struct span rest = span_str(numbers), f;
    while (rest.n > 0 && span_split(&rest, '.', &f)) {
        uint64_t v;
        assert_true(span_to_u64(f, UINT32_MAX, &v));
        section[depth++] = (uint32_t)v;
    }
    struct section_range r;
    int e = derived_section(rec, section, depth, text, &r);
    if (!want) {
        assert_int_equal(e, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(e, 0);
    assert_span(span_make(message + r.offset, (size_t)r.length), want);
}

static void test_sections(void **state)
{
    (void)state;
    autobuf buf = BUF_INIT(1 << 20);
    const char *m = section_message;
    parse(span_str(m), &buf);
    struct span rec = buf_span(&buf);
    assert_section(rec, m, SECTION_ALL, "", m);
    assert_section(rec, m, SECTION_HEADER, "",
                   "From: root\r\nContent-Type: multipart/mixed; boundary=A\r\n\r\n");
    assert_section(rec, m, SECTION_TEXT, "", strstr(m, "preamble"));
    assert_section(rec, m, SECTION_MIME, "", NULL);
    assert_section(rec, m, SECTION_ALL, "1", "one");
    assert_section(rec, m, SECTION_MIME, "1", "\r\n");
    assert_section(rec, m, SECTION_HEADER, "1", NULL);
    assert_section(rec, m, SECTION_TEXT, "1", NULL);
    assert_section(rec, m, SECTION_ALL, "1.1", NULL);
    assert_section(rec, m, SECTION_ALL, "2", "two");
    assert_section(rec, m, SECTION_MIME, "2", "Content-Type: application/octet-stream\r\n\r\n");
    assert_section(rec, m, SECTION_MIME, "3", "Content-Type: message/rfc822\r\n\r\n");
    assert_section(rec, m, SECTION_HEADER, "3",
                   "From: three\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n");
    assert_section(rec, m, SECTION_TEXT, "3",
                   "--B\r\n\r\nthree.one\r\n--B\r\nContent-Type: application/octet-stream\r\n\r\n"
                   "three.two\r\n--B--");
    assert_section(rec, m, SECTION_ALL, "3.1", "three.one");
    assert_section(rec, m, SECTION_ALL, "3.2", "three.two");
    assert_section(rec, m, SECTION_ALL, "3.3", NULL);
    assert_section(
        rec, m, SECTION_ALL, "4",
        "--C\r\nContent-Type: image/gif\r\n\r\nfour.one\r\n--C\r\n"
        "Content-Type: message/rfc822\r\n\r\nFrom: four.two\r\n\r\nfour.two.one\r\n--C--");
    assert_section(rec, m, SECTION_ALL, "4.1", "four.one");
    assert_section(rec, m, SECTION_MIME, "4.1", "Content-Type: image/gif\r\n\r\n");
    assert_section(rec, m, SECTION_ALL, "4.2", "From: four.two\r\n\r\nfour.two.one");
    assert_section(rec, m, SECTION_HEADER, "4.2", "From: four.two\r\n\r\n");
    assert_section(rec, m, SECTION_TEXT, "4.2", "four.two.one");
    assert_section(rec, m, SECTION_ALL, "4.2.1", "four.two.one");
    assert_section(rec, m, SECTION_ALL, "4.2.1.1", NULL);
    assert_section(rec, m, SECTION_ALL, "4.2.2", NULL);
    assert_section(rec, m, SECTION_HEADER, "4", NULL);
    assert_section(rec, m, SECTION_ALL, "0", NULL);
    assert_section(rec, m, SECTION_ALL, "5", NULL);

    m = "From: x\n\nbody";
    parse(span_str(m), &buf);
    rec = buf_span(&buf);
    assert_section(rec, m, SECTION_ALL, "1", "body");
    assert_section(rec, m, SECTION_MIME, "1", "From: x\n\n");
    assert_section(rec, m, SECTION_ALL, "2", NULL);
    assert_section(rec, m, SECTION_ALL, "1.1", NULL);

    /* A message that is a message that is a message. */
    m = "Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\nFrom: z\n\nhello";
    parse(span_str(m), &buf);
    rec = buf_span(&buf);
    assert_section(rec, m, SECTION_ALL, "1", "Content-Type: message/rfc822\n\nFrom: z\n\nhello");
    assert_section(rec, m, SECTION_HEADER, "1", "Content-Type: message/rfc822\n\n");
    assert_section(rec, m, SECTION_ALL, "1.1", "From: z\n\nhello");
    assert_section(rec, m, SECTION_HEADER, "1.1", "From: z\n\n");
    assert_section(rec, m, SECTION_TEXT, "1.1", "hello");
    assert_section(rec, m, SECTION_ALL, "1.1.1", "hello");
    assert_section(rec, m, SECTION_ALL, "1.1.1.1", NULL);

    m = "Content-Type: multipart/mixed; boundary=x\n\nnone";
    parse(span_str(m), &buf);
    assert_section(buf_span(&buf), m, SECTION_ALL, "1", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_envelope_rfc9051),  cmocka_unit_test(test_envelope_forms),
        cmocka_unit_test(test_structure_rfc9051), cmocka_unit_test(test_structure_forms),
        cmocka_unit_test(test_boundaries),        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_long_boundary),     cmocka_unit_test(test_nesting_beyond_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
