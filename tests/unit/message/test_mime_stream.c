#include "message_support.h"

#include "imap_check.h"
#include "message/header.h"

static void assert_record(struct span rec, struct span message, const struct mime_limits *limits)
{
    const char *wrong = check_record(rec, message);
    if (wrong)
        print_message("record: %s\nmessage: " SPAN_FMT "\n", wrong, SPAN_ARG(message));
    assert_null(wrong);
    assert_true(rec.n <= mime_record_max(limits));
}

/* --- Messages made together with what the parser must find --------------------------------- */

struct expected {
    enum part_kind kind;
    uint32_t parent, number;
    uint64_t header_offset, header_length, body_length;
};

struct maker {
    uint64_t seed;
    struct buf out;
    struct expected want[200];
    uint32_t n;
    uint32_t boundaries;
};

static const char *line_break(struct maker *m)
{
    return next_random(&m->seed) % 4 ? "\r\n" : "\n";
}

static void put_lines(struct maker *m, uint32_t max)
{
    static const char *const texts[] = {"",  "text",  "--",       "-- ",  "--no",
                                        "-", " --b1", "\xc3\xa4", "a\rb", "From: x"};
    for (uint32_t n = next_random(&m->seed) % max; n > 0; n--) {
        buf_put_str(&m->out, texts[next_random(&m->seed) % ARRAY_LEN(texts)]);
        buf_put_str(&m->out, line_break(m));
    }
    if (next_random(&m->seed) % 2)
        buf_put_lit(&m->out, "end");
}

static void put_part(struct maker *m, uint32_t parent, uint32_t number, int depth);

static void put_multipart(struct maker *m, uint32_t self, int depth)
{
    uint32_t b = ++m->boundaries; /* fixed width: none is the begin of another */
    buf_printf(&m->out, "Content-Type: multipart/mixed; boundary=b%05u%s%s", b, line_break(m),
               line_break(m));
    struct expected *e = &m->want[self];
    e->header_length = m->out.n - e->header_offset;
    size_t begin = m->out.n;
    if (next_random(&m->seed) % 2) {
        put_lines(m, 4);
        buf_put_str(&m->out, line_break(m));
    }
    for (uint32_t i = 1, n = 1 + next_random(&m->seed) % 4; i <= n; i++) {
        buf_printf(&m->out, "--b%05u%s", b, line_break(m));
        put_part(m, self, i, depth + 1);
        buf_put_str(&m->out, line_break(m));
    }
    buf_printf(&m->out, "--b%05u--", b);
    if (next_random(&m->seed) % 2) {
        buf_put_str(&m->out, line_break(m));
        put_lines(m, 4);
    }
    m->want[self].body_length = m->out.n - begin;
}

static void put_part(struct maker *m, uint32_t parent, uint32_t number, int depth)
{
    uint32_t self = m->n++;
    struct expected *e = &m->want[self];
    *e = (struct expected){PART_TEXT, parent, number, m->out.n, 0, 0};
    uint32_t what = depth > 5 || m->n > 150 ? 0 : next_random(&m->seed) % 6;
    if (next_random(&m->seed) % 2)
        buf_printf(&m->out, "X-Field: folded%s value%s", line_break(m), line_break(m));
    if (what == 1 || what == 2) {
        e->kind = PART_MULTIPART;
        put_multipart(m, self, depth);
    } else if (what == 3) {
        e->kind = PART_MESSAGE;
        buf_printf(&m->out, "Content-Type: message/rfc822%s%s", line_break(m), line_break(m));
        e->header_length = m->out.n - e->header_offset;
        size_t begin = m->out.n;
        put_part(m, self, 1, depth + 1);
        m->want[self].body_length = m->out.n - begin;
    } else {
        e->kind = what == 4 ? PART_OTHER : PART_TEXT;
        if (what == 4)
            buf_printf(&m->out, "Content-Type: image/png%s", line_break(m));
        buf_put_str(&m->out, line_break(m));
        e->header_length = m->out.n - e->header_offset;
        size_t begin = m->out.n;
        put_lines(m, 8);
        m->want[self].body_length = m->out.n - begin;
    }
}

static void test_reference(void **state)
{
    (void)state;
    struct mime_parser *p = mime_parser_new(NULL);
    struct maker m = {.seed = 42};
    buf_init(&m.out, 1 << 20);
    for (int round = 0; round < 2000; round++) {
        autobuf rec = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
        buf_reset(&m.out);
        m.n = m.boundaries = 0;
        put_part(&m, PART_NONE, 1, 0);
        mime_parser_feed(p, buf_span(&m.out));
        mime_parser_finish(p, &rec);
        assert_record(buf_span(&rec), buf_span(&m.out), NULL);
        assert_int_equal(derived_part_count(buf_span(&rec)), m.n);
        for (uint32_t i = 0; i < m.n; i++) {
            struct mime_part part;
            assert_int_equal(derived_part(buf_span(&rec), i, &part), 0);
            assert_int_equal(part.kind, m.want[i].kind);
            assert_int_equal(part.parent, m.want[i].parent);
            assert_int_equal(part.number, m.want[i].number);
            assert_int_equal(part.header_offset, m.want[i].header_offset);
            assert_int_equal(part.header_length, m.want[i].header_length);
            assert_int_equal(part.body_length, m.want[i].body_length);
        }
        parse_in_chunks(p, buf_span(&m.out), &m.seed, 1 + round % 40, &again);
        assert_span_is(buf_span(&again), buf_span(&rec));
    }
    buf_done(&m.out);
    mime_parser_free(p);
}

/* --- Noise: any bytes, any chunking --------------------------------------------------------- */

static const char *const noise[] = {
    "\r\n",
    "\n",
    "\r",
    "--",
    "--a",
    "--b",
    "--a--",
    "--b--",
    "\n--a\n",
    "\n--b--\n",
    "\n\n",
    "-",
    "Content-Type: multipart/mixed; boundary=a\n",
    "Content-Type: multipart/digest; boundary=b\r\n",
    "Content-Type: message/rfc822\n",
    "Content-Type: text/plain; charset=utf-8\n",
    "Content-Type: multipart/mixed; boundary=ab\n",
    "Subject: x\n",
    " folded\n",
    "From: a@b, c:;\n",
    "To: \"\n",
    "Date: 1 Jan 2000 00:00\n",
    "Content-Transfer-Encoding: base64\n",
    "\xff\xfe",
    "text",
    "Content-Disposition: attachment; filename*0=a; filename*1*=%41\n",
    ":",
    "(",
    "X: ",
    "Content-Language: a, b\n",
};

static void test_noise(void **state)
{
    (void)state;
    static const struct mime_limits tight = {
        .max_header = 200, .max_parts = 5, .max_depth = 3, .max_structure = 300, .max_kept = 60};
    struct mime_parser *p = mime_parser_new(NULL), *small = mime_parser_new(&tight);
    uint64_t seed = 6;
    for (int round = 0; round < 20000; round++) {
        autobuf m = BUF_INIT(100000), rec = BUF_INIT(1 << 20), again = BUF_INIT(1 << 20);
        for (uint32_t n = next_random(&seed) % 40; n > 0; n--) {
            uint32_t k = next_random(&seed) % (ARRAY_LEN(noise) + 1);
            if (k == ARRAY_LEN(noise))
                buf_put_byte(&m, '\0');
            else
                buf_put_str(&m, noise[k]);
        }
        struct mime_parser *use = round % 2 ? p : small;
        mime_parser_feed(use, buf_span(&m));
        mime_parser_finish(use, &rec);
        assert_record(buf_span(&rec), buf_span(&m), round % 2 ? NULL : &tight);
        parse_in_chunks(use, buf_span(&m), &seed, 1 + round % 7, &again);
        assert_span_is(buf_span(&again), buf_span(&rec));
    }
    mime_parser_free(p);
    mime_parser_free(small);
}

/* --- Limits --------------------------------------------------------------------------------- */

static struct derived_info info_of(struct span rec)
{
    struct derived_info info;
    assert_int_equal(derived_info(rec, &info), 0);
    return info;
}

static void parse_limited(struct span message, const struct mime_limits *limits, struct buf *rec)
{
    struct mime_parser *p = mime_parser_new(limits);
    buf_reset(rec);
    mime_parser_feed(p, message);
    mime_parser_finish(p, rec);
    mime_parser_free(p);
    assert_record(buf_span(rec), message, limits);
}

/* 10,000 multiparts, one in the other; then the same with messages. */
static void test_deep(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(10 << 20), rec = BUF_INIT(4 << 20);
    for (int i = 0; i < 10000; i++)
        buf_printf(&m, "Content-Type: multipart/mixed; boundary=b%05d\r\n\r\n--b%05d\r\n", i, i);
    buf_put_lit(&m, "\r\ninnermost\r\n");
    for (int i = 10000; i-- > 0;)
        buf_printf(&m, "--b%05d--\r\n", i);
    parse_limited(buf_span(&m), NULL, &rec);
    assert_int_equal(derived_part_count(buf_span(&rec)), 101);
    assert_true(info_of(buf_span(&rec)).limited);
    struct mime_part p;
    assert_int_equal(derived_part(buf_span(&rec), 100, &p), 0);
    assert_true(p.opaque);
    assert_int_equal(p.kind, PART_OTHER);

    buf_reset(&m);
    for (int i = 0; i < 10000; i++)
        buf_put_lit(&m, "Content-Type: message/rfc822\n\n");
    parse_limited(buf_span(&m), NULL, &rec);
    assert_int_equal(derived_part_count(buf_span(&rec)), 101);
}

static void test_many_parts(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(10 << 20), rec = BUF_INIT(4 << 20);
    buf_put_lit(&m, "Content-Type: multipart/mixed; boundary=b\n\n");
    for (int i = 0; i < 10000; i++)
        buf_printf(&m, "--b\n\npart %d\n", i);
    buf_put_lit(&m, "--b--\n");
    parse_limited(buf_span(&m), NULL, &rec);
    assert_int_equal(derived_part_count(buf_span(&rec)), 1000);
    struct mime_part p;
    assert_int_equal(derived_part(buf_span(&rec), 998, &p), 0);
    assert_int_equal(p.kind, PART_TEXT);
    assert_false(p.opaque);
    assert_int_equal(derived_part(buf_span(&rec), 999, &p), 0);
    assert_true(p.opaque); /* has all that follows */
    assert_int_equal(p.body_offset + p.body_length, m.n);

    static const struct mime_limits one = {.max_header = 1000,
                                           .max_parts = 1,
                                           .max_depth = 10,
                                           .max_structure = 1000,
                                           .max_kept = 1000};
    parse_limited(buf_span(&m), &one, &rec);
    assert_int_equal(derived_part_count(buf_span(&rec)), 1);
    assert_int_equal(derived_part(buf_span(&rec), 0, &p), 0);
    assert_true(p.opaque);
}

static void test_long_lines(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(10 << 20), rec = BUF_INIT(4 << 20);
    /* 1 MB header line: what follows it is not interpreted, but the header ends where it ends. */
    buf_put_lit(&m, "From: a@b\r\nSubject: ");
    for (int i = 0; i < 1 << 17; i++)
        buf_put_lit(&m, "12345678");
    buf_put_lit(&m, "\r\nTo: c@d\r\n\r\nbody\r\n");
    parse_limited(buf_span(&m), NULL, &rec);
    struct derived_info info = info_of(buf_span(&rec));
    assert_true(info.limited);
    assert_int_equal(info.size - info.header_length, 6);
    assert_int_equal(info.blank, DERIVED_BLANK_CRLF);
    assert_int_equal(derived_has_field(buf_span(&rec), SPAN("To")), DERIVED_UNKNOWN);
    struct span env;
    assert_int_equal(derived_envelope(buf_span(&rec), &env), 0);
    assert_true(span_starts(env, SPAN("(NIL {655"))); /* the first 64 KiB are there */

    /* A long line in a body, with a boundary at its begin, and long boundaries. */
    buf_reset(&m);
    buf_put_lit(&m, "Content-Type: multipart/mixed; boundary=\"");
    for (int i = 0; i < 3000; i++)
        buf_put_byte(&m, 'b');
    buf_put_lit(&m, "\"\n\n--");
    for (int i = 0; i < 3000; i++)
        buf_put_byte(&m, 'b');
    for (int i = 0; i < 100000; i++)
        buf_put_byte(&m, 'x');
    buf_put_lit(&m, "\n\nfirst\n--bbb\n");
    parse_limited(buf_span(&m), NULL, &rec);
    assert_int_equal(derived_part_count(buf_span(&rec)), 2);
}

static void test_structure_limit(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(10 << 20), rec = BUF_INIT(4 << 20);
    buf_put_lit(&m, "Content-Type: multipart/mixed; boundary=b\n\n");
    for (int i = 0; i < 500; i++) {
        buf_put_lit(&m, "--b\nContent-Description: ");
        for (int k = 0; k < 1000; k++)
            buf_put_lit(&m, "d");
        buf_put_lit(&m, "\nContent-Type: message/rfc822\n\nFrom: ");
        for (int k = 0; k < 300; k++)
            buf_put_lit(&m, "a,");
        buf_put_lit(&m, "\n\nx\n");
    }
    parse_limited(buf_span(&m), NULL, &rec);
    assert_true(info_of(buf_span(&rec)).limited);
    assert_int_equal(derived_part_count(buf_span(&rec)), 1000);
    assert_true(rec.n < 2 * (mime_limits_default.max_structure + 400000));
    struct span s;
    assert_int_equal(derived_body(buf_span(&rec), &s), 0);
    assert_true(span_find(s, SPAN("(\"message\" \"rfc822\" NIL NIL NIL \"7bit\"")) != SPAN_NPOS);
}

/* Addresses that fill the header: the lists are cut, the envelope stays well formed. */
static void test_many_addresses(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a,", "g:a;,", "\"\" <>,", "g:a,"};
    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        autobuf m = BUF_INIT(1 << 20), rec = BUF_INIT(4 << 20);
        buf_put_lit(&m, "From: ");
        while (m.n < 65000)
            buf_put_str(&m, pieces[i]);
        buf_put_lit(&m, "\n\n");
        parse_limited(buf_span(&m), NULL, &rec);
        assert_true(info_of(buf_span(&rec)).limited);
    }
}

/* Input that would be slow if any reader looked at the same bytes again and again: each of these
 * takes milliseconds, but minutes if something were quadratic (the test runner's timeout then). */
static void test_hostile(void **state)
{
    (void)state;
    static const char *const units[] = {
        "[",  "(",      "<@a",   "\"", "=?a?q?", "a,",  "g:;", "@", "\\", "((a)", "a@b(c)", "a:",
        ";a", ";a*0=b", ";a=\"", "=;", "?=",     "\n ", ",",   "<", "--", "\n--", "%",      "'"};
    static const char *const fields[] = {"From: ",
                                         "Content-Type: text/plain",
                                         "Content-Language: ",
                                         "Content-Type: multipart/mixed; boundary=",
                                         "Date: ",
                                         ""};
    for (size_t u = 0; u < ARRAY_LEN(units); u++)
        for (size_t f = 0; f < ARRAY_LEN(fields); f++) {
            autobuf m = BUF_INIT(10 << 20), rec = BUF_INIT(4 << 20);
            buf_put_lit(&m, "Content-Type: multipart/digest; boundary=xyz\n\n");
            for (int i = 0; i < 3; i++) {
                size_t end = m.n + 65000;
                buf_put_str(&m, i % 2 ? "--xyz\n" : "--xyz\n\n");
                buf_put_str(&m, fields[f]);
                while (m.n < end)
                    buf_put_str(&m, units[u]);
                buf_put_lit(&m, "\n\nbody\n");
            }
            parse_limited(buf_span(&m), NULL, &rec);
        }
    /* Deep nesting and lines that look at every boundary. */
    autobuf m = BUF_INIT(10 << 20), rec = BUF_INIT(4 << 20);
    for (int i = 0; i < 99; i++)
        buf_printf(&m, "Content-Type: multipart/mixed; boundary=b%05d\n\n--b%05d\n", i, i);
    buf_put_lit(&m, "\n");
    while (m.n < 1 << 20)
        buf_put_lit(&m, "--\n--b0\n");
    parse_limited(buf_span(&m), NULL, &rec);
    assert_int_equal(derived_part_count(buf_span(&rec)), 100);
}

/* --- The record as the index sees it -------------------------------------------------------- */

static const char header_message[] = "Return-Path: <a@b>\r\n"
                                     "Received: from x by y;\r\n"
                                     " Mon, 1 Jan 2024 00:30:00 +1400\r\n"
                                     "From: =?utf-8?Q?=C3=84?= <a@b>\r\n"
                                     "To: one@x,\r\n"
                                     "\ttwo@y\r\n"
                                     "Subject : hi\r\n"
                                     "DATE: Mon, 1 Jan 2024 00:30:00 +1400\r\n"
                                     "X-Mine: 1\r\n"
                                     "to: three@z\r\n"
                                     "\r\n"
                                     "body\r\n";

static bool header_fields(struct span rec, bool invert, const char *names, struct buf *out)
{
    struct span v[10], rest = span_str(names), f;
    size_t n = 0;
    while (span_split(&rest, ' ', &f))
        v[n++] = f;
    struct header_set set;
    header_set_init(&set, v, n);
    bool ok = derived_header_fields(rec, &set, invert, out);
    header_set_done(&set);
    return ok;
}

static void test_fields(void **state)
{
    (void)state;
    autobuf buf = BUF_INIT(1 << 20), out = BUF_INIT(10000);
    mime_parse(span_str(header_message), &buf);
    struct span rec = buf_span(&buf);
    assert_true(rec.n < 2048);
    assert_true(header_fields(rec, false, "SUBJECT From TO", &out));
    assert_span(buf_span(&out), "From: =?utf-8?Q?=C3=84?= <a@b>\r\nTo: one@x,\r\n\ttwo@y\r\n"
                                "Subject : hi\r\nto: three@z\r\n\r\n");
    buf_reset(&out);
    assert_true(header_fields(rec, false, "Cc X-Not-There", &out));
    assert_span(buf_span(&out), "\r\n");
    /* Names that are not kept: only the message knows. */
    assert_false(header_fields(rec, false, "From X-Mine", &out));
    assert_false(header_fields(rec, false, "received", &out));
    assert_false(header_fields(rec, true, "From", &out));
    assert_span(buf_span(&out), "\r\n");
    assert_int_equal(derived_has_field(rec, SPAN("to")), DERIVED_KEPT);
    assert_int_equal(derived_has_field(rec, SPAN("Cc")), DERIVED_ABSENT);
    assert_int_equal(derived_has_field(rec, SPAN("X-Not-There")), DERIVED_ABSENT);
    assert_int_equal(derived_has_field(rec, SPAN("X-Mine")), DERIVED_UNKNOWN);
    uint32_t pos = 0;
    struct span value;
    assert_true(derived_field_next(rec, HEADER_TO, &pos, &value));
    assert_span(value, " one@x,\r\n\ttwo@y");
    assert_true(derived_field_next(rec, HEADER_TO, &pos, &value));
    assert_span(value, " three@z");
    assert_false(derived_field_next(rec, HEADER_TO, &pos, &value));
    struct derived_info info = info_of(rec);
    assert_true(info.sent_valid);
    assert_int_equal(info.sent_utc, 1704018600);
    assert_int_equal(info.sent_day, 19723);
    assert_int_equal(info.sent_zone, 840);
    assert_false(info.limited || info.has_nul || info.has_8bit_header || info.has_8bit_body);
}

/* A header all of whose fields are kept answers HEADER.FIELDS.NOT too. */
static void test_fields_not(void **state)
{
    (void)state;
    autobuf rec = BUF_INIT(1 << 20), out = BUF_INIT(10000);
    mime_parse(SPAN("From: a\nTo: b\nSubject: c\n\n"), &rec);
    assert_true(header_fields(buf_span(&rec), true, "To X-Y", &out));
    assert_span(buf_span(&out), "From: a\nSubject: c\n\n");
    buf_reset(&rec);
    buf_reset(&out);
    mime_parse(SPAN("From: a\nnot a field\n\n"), &rec);
    assert_false(header_fields(buf_span(&rec), true, "To", &out));
    assert_true(header_fields(buf_span(&rec), false, "From", &out));
    assert_span(buf_span(&out), "From: a\n\n");
    /* No blank line (RFC 9051 section 6.4.5.1). */
    buf_reset(&rec);
    buf_reset(&out);
    mime_parse(SPAN("From: a\nTo: b"), &rec);
    assert_true(header_fields(buf_span(&rec), false, "To", &out));
    assert_span(buf_span(&out), "To: b");
    buf_reset(&rec);
    buf_reset(&out);
    mime_parse(SPAN(""), &rec);
    assert_true(header_fields(buf_span(&rec), true, "To", &out));
    assert_int_equal(out.n, 0);
}

/* Fields beyond max_kept: other names are still answered. */
static void test_fields_cut(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(1 << 20), rec = BUF_INIT(1 << 20), out = BUF_INIT(100000);
    buf_put_lit(&m, "From: a\r\nTo: ");
    for (int i = 0; i < 2000; i++)
        buf_printf(&m, "user%d@x,\r\n ", i);
    buf_put_lit(&m, "z\r\nSubject: s\r\n\r\n");
    mime_parse(buf_span(&m), &rec);
    assert_true(header_fields(buf_span(&rec), false, "From Subject", &out));
    assert_span(buf_span(&out), "From: a\r\nSubject: s\r\n\r\n");
    assert_false(header_fields(buf_span(&rec), false, "From To", &out));
    assert_false(header_fields(buf_span(&rec), true, "From", &out));
    assert_int_equal(derived_has_field(buf_span(&rec), SPAN("To")), DERIVED_UNKNOWN);
    buf_reset(&out);
    assert_true(header_fields(buf_span(&rec), true, "To", &out));
    assert_span(buf_span(&out), "From: a\r\nSubject: s\r\n\r\n");
}

static void test_flags(void **state)
{
    (void)state;
    autobuf rec = BUF_INIT(1 << 20);
    mime_parse(SPAN("Subject: \xc3\xa4\n\nb"), &rec);
    assert_true(info_of(buf_span(&rec)).has_8bit_header);
    assert_false(info_of(buf_span(&rec)).has_8bit_body);
    buf_reset(&rec);
    mime_parse(SPAN("Subject: a\n\n0123456789012345678901234567890123456789012345678901234567890\0"
                    "\xe4 0123456789012345678901234567890123456789012345678901234567890123456789"),
               &rec);
    assert_false(info_of(buf_span(&rec)).has_8bit_header);
    assert_true(info_of(buf_span(&rec)).has_8bit_body);
    assert_true(info_of(buf_span(&rec)).has_nul);
    assert_int_equal(info_of(buf_span(&rec)).blank, DERIVED_BLANK_LF);
    assert_false(info_of(buf_span(&rec)).sent_valid);
}

/* Calls every accessor; must not crash, and what it returns must lie within the record. */
static void use_record(struct span rec)
{
    struct span s;
    struct derived_info info;
    struct mime_part p;
    struct section_range r;
    autobuf out = BUF_INIT(1 << 20);
    (void)!derived_envelope(rec, &s);
    (void)!derived_body(rec, &s);
    (void)!derived_bodystructure(rec, &s);
    (void)!derived_info(rec, &info);
    header_fields(rec, false, "From To Subject X-A", &out);
    header_fields(rec, true, "From", &out);
    for (int id = 0; id < HEADER_ID_COUNT; id++)
        for (uint32_t pos = 0; derived_field_next(rec, (enum header_id)id, &pos, &s);)
            assert_true(s.n == 0 || (s.p >= rec.p && s.p + s.n <= rec.p + rec.n));
    derived_has_field(rec, SPAN("X-B"));
    for (uint32_t i = 0; i < derived_part_count(rec); i++)
        if (derived_part(rec, i, &p) == 0)
            assert_true(p.charset.n == 0 ||
                        (p.charset.p >= rec.p && p.charset.p + p.charset.n <= rec.p + rec.n));
    for (uint32_t a = 0; a < 4; a++)
        for (uint32_t b = 0; b < 4; b++) {
            uint32_t section[2] = {a, b};
            (void)!derived_section(rec, section, 2, SECTION_ALL, &r);
            (void)!derived_section(rec, section, 1, SECTION_HEADER, &r);
        }
}

static void test_corrupt(void **state)
{
    (void)state;
    autobuf rec = BUF_INIT(1 << 20), bad = BUF_INIT(1 << 20);
    uint64_t seed = 8;
    mime_parse(SPAN("From: a@b\nTo: c\nContent-Type: multipart/mixed; boundary=x\n\n--x\n"
                    "Content-Type: text/plain; charset=utf-8\n\nhi\n--x\n"
                    "Content-Type: message/rfc822\n\nSubject: y\n\nz\n--x--\n"),
               &rec);
    assert_false(derived_usable(SPAN_EMPTY));
    assert_false(derived_usable(SPAN("\xd4\x02")));
    for (size_t n = 0; n < rec.n; n++) { /* cut short, with an exact copy for the sanitizer */
        char *copy = span_dup(span_head(buf_span(&rec), n));
        assert_false(derived_usable(span_make(copy, n)));
        free(copy);
    }
    for (int round = 0; round < 30000; round++) {
        buf_reset(&bad);
        buf_put_span(&bad, buf_span(&rec));
        for (uint32_t n = 1 + next_random(&seed) % 3; n > 0; n--) {
            size_t at = next_random(&seed) % (next_random(&seed) % 2 ? rec.n : 64);
            bad.p[at] = (char)next_random(&seed);
        }
        bad.p[0] = rec.p[0];
        bad.p[1] = rec.p[1];
        memcpy(bad.p + 4, rec.p + 4, 4);
        use_record(buf_span(&bad));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),      cmocka_unit_test(test_noise),
        cmocka_unit_test(test_deep),           cmocka_unit_test(test_many_parts),
        cmocka_unit_test(test_long_lines),     cmocka_unit_test(test_structure_limit),
        cmocka_unit_test(test_many_addresses), cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_fields),         cmocka_unit_test(test_fields_not),
        cmocka_unit_test(test_fields_cut),     cmocka_unit_test(test_flags),
        cmocka_unit_test(test_corrupt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
