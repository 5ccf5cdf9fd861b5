#include "support/cmocka.h"
#include "wire/base64.h"
#include "wire/command.h"
#include "wire/date.h"
#include "wire/write.h"

/* ---- base64 ---- */

static void base64(void **state)
{
    (void)state;
    static const struct {
        struct span plain;
        const char *text;
    } pairs[] = {
        /* RFC 4648 section 10 */
        {{"", 0}, ""},
        {{"f", 1}, "Zg=="},
        {{"fo", 2}, "Zm8="},
        {{"foo", 3}, "Zm9v"},
        {{"foob", 4}, "Zm9vYg=="},
        {{"fooba", 5}, "Zm9vYmE="},
        {{"foobar", 6}, "Zm9vYmFy"},
        {{"\0\xff\xfe", 3}, "AP/+"},
    };
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        autobuf b = BUF_INIT(100);
        autobuf c = BUF_INIT(100);
        base64_encode(pairs[i].plain, &b);
        assert_true(span_eq(buf_span(&b), span_str(pairs[i].text)));
        assert_int_equal(base64_decode(span_str(pairs[i].text), &c), 0);
        assert_true(span_eq(buf_span(&c), pairs[i].plain));
    }
    static const char *const bad[] = {
        "Z", "Zg",   "Zg=",  "Zg===", "Zh==", "Zm9=", "Zm9vZg", "Z g=", "Zg==Zg==",
        "=", "====", "===A", "A===",  "Zm-v", "Zm_v", "Zm9v\n", "AA=A",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        autobuf b = BUF_INIT(100);
        if (base64_decode(span_str(bad[i]), &b) != ERR_INVALID)
            fail_msg("\"%s\" accepted", bad[i]);
        assert_int_equal(b.n, 0);
    }
    autobuf full = BUF_INIT(2);
    assert_int_equal(base64_decode(SPAN("Zm9v"), &full), ERR_LIMIT);
}

/* ---- dates ---- */

static void check_time(const char *text, int64_t seconds, int zone, const char *written)
{
    int64_t s;
    int z;
    autobuf b = BUF_INIT(100);
    assert_int_equal(date_time_parse(span_str(text), &s, &z), 0);
    assert_true(s == seconds);
    assert_int_equal(z, zone);
    date_time_write(&b, s, z);
    assert_string_equal(b.p, written);
}

static void date_times(void **state)
{
    (void)state;
    check_time("17-Jul-1996 02:44:25 -0700", 837596665, -420, "\"17-Jul-1996 02:44:25 -0700\"");
    check_time(" 7-Feb-1994 21:52:25 -0800", 760686745, -480, "\" 7-Feb-1994 21:52:25 -0800\"");
    check_time("07-feb-1994 21:52:25 -0800", 760686745, -480, "\" 7-Feb-1994 21:52:25 -0800\"");
    check_time("7-Feb-1994 21:52:25 -0800", 760686745, -480, "\" 7-Feb-1994 21:52:25 -0800\"");
    check_time("01-Jan-1970 00:00:00 +0000", 0, 0, "\" 1-Jan-1970 00:00:00 +0000\"");
    check_time("31-Dec-1969 23:59:59 +0000", -1, 0, "\"31-Dec-1969 23:59:59 +0000\"");
    check_time("29-Feb-2000 12:00:00 +0530", 951805800, 330, "\"29-Feb-2000 12:00:00 +0530\"");
    check_time("19-Jan-2038 03:14:08 +0000", 2147483648, 0, "\"19-Jan-2038 03:14:08 +0000\"");
    check_time("31-Dec-2016 23:59:60 +0000", 1483228800, 0, "\" 1-Jan-2017 00:00:00 +0000\"");
    check_time("01-Jan-0000 00:00:00 +0000", -62167219200, 0, "\" 1-Jan-0000 00:00:00 +0000\"");
    check_time("31-Dec-9999 23:59:59 +0000", 253402300799, 0, "\"31-Dec-9999 23:59:59 +0000\"");
    static const char *const bad[] = {
        "",
        "17-Jul-1996 02:44:25",
        "17-Jul-1996 02:44:25 -070",
        "17-Jul-1996 02:44:25 -07000",
        "17-Jul-1996 02:44:25 0700",
        "17-Jul-1996 24:44:25 +0000",
        "17-Jul-1996 02:60:25 +0000",
        "17-Jul-1996 02:44:61 +0000",
        "17-Jul-1996 02:44:25 +2400",
        "17-Jul-1996 02:44:25 +0060",
        "31-Jun-1996 02:44:25 +0000",
        "29-Feb-1900 02:44:25 +0000",
        "00-Jun-1996 02:44:25 +0000",
        "17-Jux-1996 02:44:25 +0000",
        "17-Jul-96 02:44:25 +0000",
        "17 Jul 1996 02:44:25 +0000",
        "17-Jul-1996  2:44:25 +0000",
        "  7-Jul-1996 02:44:25 +0000",
        " 17-Jul-1996 02:44:25 +0000",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t s;
        int z;
        if (date_time_parse(span_str(bad[i]), &s, &z) != ERR_INVALID)
            fail_msg("\"%s\" accepted", bad[i]);
    }
}

static void out_of_range(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(1000);
    date_time_write(&b, INT64_MAX, 0);
    date_time_write(&b, INT64_MIN, -100000);
    date_time_write(&b, INT64_MAX, 100000);
    date_write(&b, INT32_MAX);
    date_write(&b, INT32_MIN);
    assert_string_equal(b.p, "\"31-Dec-9999 23:59:59 +0000\"\" 1-Jan-0000 00:00:00 -2359\""
                             "\"31-Dec-9999 23:59:59 +2359\"31-Dec-99991-Jan-0000");
}

static void dates(void **state)
{
    (void)state;
    int32_t d;
    assert_int_equal(date_parse(SPAN("1-Feb-1994"), &d), 0);
    assert_int_equal(d, 8797);
    assert_int_equal(date_parse(SPAN("01-FEB-1994"), &d), 0);
    assert_int_equal(d, 8797);
    static const char *const bad[] = {
        "",         " 1-Feb-1994",  "1-Feb-1994 ", "1-Feb-94", "30-Feb-1994",
        "1-2-1994", "001-Feb-1994", "Feb-1-1994"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (date_parse(span_str(bad[i]), &d) != ERR_INVALID)
            fail_msg("\"%s\" accepted", bad[i]);
    /* RFC 9051 6.4.4: the zone is disregarded */
    int64_t s;
    int zone;
    assert_int_equal(date_time_parse(SPAN("02-Feb-1994 00:30:00 +0200"), &s, &zone), 0);
    assert_int_equal(date_day_of(s, zone), 8798);
    assert_int_equal(date_day_of(s, 0), 8797);
    assert_int_equal(date_day_of(-1, 0), -1);
}

/* Every day of 10,000 years, there and back. */
static void calendar(void **state)
{
    (void)state;
    struct civil last = {-1, 12, 31};
    for (int64_t d = -719528; d < 2932897; d++) {
        struct civil c = date_civil_from_days(d);
        assert_true(date_days_from_civil(c) == d);
        bool next = (c.day == last.day + 1 && c.month == last.month && c.year == last.year) ||
                    (c.day == 1 && c.month == last.month + 1 && c.year == last.year) ||
                    (c.day == 1 && c.month == 1 && last.month == 12 && c.year == last.year + 1);
        assert_true(next);
        last = c;
    }
    assert_int_equal(last.year, 9999);
}

/* ---- writing ---- */

static void numbers(void **state)
{
    (void)state;
    static const uint64_t v[] = {0,
                                 1,
                                 9,
                                 10,
                                 11,
                                 99,
                                 100,
                                 101,
                                 999,
                                 1000,
                                 9999,
                                 10000,
                                 99999,
                                 100000,
                                 999999,
                                 1000000,
                                 9999999,
                                 10000000,
                                 99999999,
                                 100000000,
                                 999999999,
                                 1000000000,
                                 UINT32_MAX,
                                 4294967296,
                                 9999999999,
                                 10000000000,
                                 999999999999999999,
                                 1000000000000000000,
                                 UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        autobuf b = BUF_INIT(100);
        autobuf expect = BUF_INIT(100);
        buf_printf(&expect, "%llu", (unsigned long long)v[i]);
        write_u64(&b, v[i]);
        assert_string_equal(b.p, expect.p);
        if (v[i] <= UINT32_MAX) {
            buf_reset(&b);
            write_u32(&b, (uint32_t)v[i]);
            assert_string_equal(b.p, expect.p);
        }
    }
}

typedef void writer(struct buf *, struct span, bool);

static void check_write(writer *w, struct span s, bool utf8, struct span expect)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    w(&b, s, utf8);
    if (!span_eq(buf_span(&b), expect))
        fail_msg("wrote %s", b.p);
}

static void strings(void **state)
{
    (void)state;
    check_write(write_string, SPAN(""), false, SPAN("\"\""));
    check_write(write_string, SPAN("a b"), false, SPAN("\"a b\""));
    check_write(write_string, SPAN("a\"\\b"), false, SPAN("\"a\\\"\\\\b\""));
    check_write(write_string, SPAN("a\tb"), false, SPAN("\"a\tb\""));
    check_write(write_string, SPAN("a\r\nb"), true, SPAN("{4}\r\na\r\nb"));
    check_write(write_string, SPAN("\xc3\xbc"), false, SPAN("{2}\r\n\xc3\xbc"));
    check_write(write_string, SPAN("\xc3\xbc"), true, SPAN("\"\xc3\xbc\""));
    check_write(write_string, SPAN("\xfc"), true, SPAN("{1}\r\n\xfc"));
    check_write(write_string, SPAN("\0"), true, SPAN("{1}\r\n\0"));
    check_write(write_astring, SPAN("INBOX"), false, SPAN("INBOX"));
    check_write(write_astring, SPAN("a]b"), false, SPAN("a]b"));
    check_write(write_astring, SPAN("nil"), false, SPAN("\"nil\""));
    check_write(write_astring, SPAN(""), false, SPAN("\"\""));
    check_write(write_astring, SPAN("a*"), false, SPAN("\"a*\""));
    check_write(write_astring, SPAN("\xc3\xbc"), true, SPAN("\"\xc3\xbc\""));
    check_write(write_nstring, SPAN_EMPTY, false, SPAN("NIL"));
    check_write(write_nstring, SPAN(""), false, SPAN("\"\""));
    check_write(write_nstring, SPAN("NIL"), false, SPAN("\"NIL\""));
    check_write(write_mailbox, SPAN("Entw\xc3\xbcrfe"), false, SPAN("Entw&APw-rfe"));
    check_write(write_mailbox, SPAN("Entw\xc3\xbcrfe"), true, SPAN("\"Entw\xc3\xbcrfe\""));
    check_write(write_mailbox, SPAN("A & B"), false, SPAN("\"A &- B\""));
    check_write(write_mailbox, SPAN("A & B"), true, SPAN("\"A & B\""));
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    while (text.n < 1025)
        buf_put_byte(&text, 'x');
    write_astring(&b, buf_span(&text), false);
    assert_memory_equal(b.p, "{1025}\r\nxxx", 11);
    buf_reset(&b);
    write_literal8(&b, SPAN("\0x"));
    write_literal_header(&b, UINT64_MAX);
    assert_true(span_eq(buf_span(&b), SPAN("~{2}\r\n\0x{18446744073709551615}\r\n")));
}

static void flags(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    const struct span keywords[] = {SPAN("$Junk"), SPAN("work")};
    write_flags(&b, 0, NULL, 0);
    write_flags(&b, WIRE_FLAG_SEEN, NULL, 0);
    write_flags(&b, 0x3f, keywords, 2);
    write_flags(&b, 0, keywords, 1);
    assert_string_equal(b.p,
                        "()(\\Seen)(\\Answered \\Flagged \\Deleted \\Seen \\Draft \\Recent $Junk "
                        "work)($Junk)");
    for (uint32_t bits = 0; bits < 64; bits++) {
        char text[WIRE_FLAGS_TEXT_MAX];
        char *end = format_system_flags(text, bits);
        struct span rest = span_make(text, (size_t)(end - text)), name;
        uint32_t back = 0;
        while (span_split(&rest, ' ', &name))
            back |= wire_flag_bit(name);
        assert_int_equal(back, bits);
    }
    assert_int_equal(wire_flag_bit(SPAN("\\sEEN")), WIRE_FLAG_SEEN);
    assert_int_equal(wire_flag_bit(SPAN("Seen")), 0);
    assert_int_equal(wire_flag_bit(SPAN("\\*")), 0);
}

static void fetch_flags(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    write_fetch_flags(&b, 1, 0, 0, SPAN_EMPTY);
    write_fetch_flags(&b, 12, 4294967295, WIRE_FLAG_SEEN, SPAN("$Junk work"));
    write_fetch_flags(&b, 4294967295, 4294967295, 0x3f, SPAN("x"));
    assert_string_equal(b.p,
                        "* 1 FETCH (FLAGS ())\r\n"
                        "* 12 FETCH (UID 4294967295 FLAGS (\\Seen $Junk work))\r\n"
                        "* 4294967295 FETCH (UID 4294967295 FLAGS (\\Answered \\Flagged \\Deleted "
                        "\\Seen \\Draft \\Recent x))\r\n");
    autobuf full = BUF_INIT(64);
    write_fetch_flags(&full, 1, 0, 0, SPAN_EMPTY);
    assert_false(buf_ok(&full));
    assert_int_equal(full.n, 0);
}

static void sections(void **state)
{
    (void)state;
    static const uint32_t part[] = {1, 2};
    const struct span fields[] = {SPAN("From"), SPAN("X Y")};
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    struct fetch_section s = {.kind = SECTION_BODY};
    write_section_name(&b, &s, false);
    s = (struct fetch_section){
        .kind = SECTION_BINARY, .part = part, .n_part = 2, .has_partial = true, .offset = 7};
    write_section_name(&b, &s, false);
    s.kind = SECTION_BINARY_SIZE;
    s.has_partial = false;
    write_section_name(&b, &s, false);
    s = (struct fetch_section){
        .text = SPEC_HEADER_FIELDS_NOT, .part = part, .n_part = 2, .fields = fields, .n_fields = 2};
    write_section_name(&b, &s, false);
    s = (struct fetch_section){.text = SPEC_TEXT};
    write_section_name(&b, &s, false);
    assert_string_equal(
        b.p, "BODY[]BINARY[1.2]<7>BINARY.SIZE[1.2]BODY[1.2.HEADER.FIELDS.NOT (From \"X Y\")]"
             "BODY[TEXT]");
}

static void lines(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    write_status(&b, SPAN("a1"), "OK", "READ-WRITE", SPAN("SELECT completed"), false);
    write_status(&b, SPAN_EMPTY, "BAD", NULL, SPAN("x\r\ny\xc3\xbc"), false);
    write_status(&b, SPAN_EMPTY, "NO", "", SPAN("[x] \xc3\xbc"), true);
    write_status(&b, SPAN("a"), "OK", NULL, SPAN_EMPTY, true);
    write_continue(&b, SPAN_EMPTY);
    write_continue(&b, SPAN("OK"));
    assert_string_equal(b.p, "a1 OK [READ-WRITE] SELECT completed\r\n* BAD x??y??\r\n"
                             "* NO -[x] \xc3\xbc\r\na OK Done.\r\n+ \r\n+ OK\r\n");
    buf_reset(&b);
    struct write_list l = {false};
    write_list_end(&b, &l);
    write_list_item(&b, &l);
    write_u32(&b, 1);
    write_list_item(&b, &l);
    write_atom(&b, SPAN("x"));
    write_list_end(&b, &l);
    assert_string_equal(b.p, "()(1 x)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64),   cmocka_unit_test(date_times), cmocka_unit_test(out_of_range),
        cmocka_unit_test(dates),    cmocka_unit_test(calendar),   cmocka_unit_test(numbers),
        cmocka_unit_test(strings),  cmocka_unit_test(flags),      cmocka_unit_test(fetch_flags),
        cmocka_unit_test(sections), cmocka_unit_test(lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
