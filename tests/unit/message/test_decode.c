#include "message_support.h"

#include <utf8proc.h>

#include "message/casemap.h"
#include "message/charset.h"
#include "message/decode.h"

/* --- Transfer encodings ------------------------------------------------------------------- */

static void decode_whole(enum part_cte cte, bool crlf, struct span in, struct buf *out)
{
    struct cte_decoder d;
    assert_int_equal(cte_decoder_init(&d, cte, crlf), 0);
    cte_decode(&d, in, out);
    cte_decode_finish(&d, out);
}

struct cte_case {
    enum part_cte cte;
    bool crlf;
    struct span in, out;
};

/* clang-format off */
static const struct cte_case cte_cases[] = {
    {CTE_7BIT, false, SPAN("a\nb\r\n"), SPAN("a\nb\r\n")},
    {CTE_8BIT, true, SPAN("\na\nb\r\n\n\r"), SPAN("\r\na\r\nb\r\n\r\n\r")},
    {CTE_BINARY, false, SPAN("\0\xff\r"), SPAN("\0\xff\r")},
    {CTE_BASE64, false, SPAN("aGVsbG8gd29ybGQ="), SPAN("hello world")},
    {CTE_BASE64, false, SPAN("aGVs\r\nbG8g\r\nd29y bGQ=\r\n"), SPAN("hello world")},
    {CTE_BASE64, false, SPAN("aGVsbG8"), SPAN("hello")},
    {CTE_BASE64, false, SPAN("aGVsbA"), SPAN("hell")},
    {CTE_BASE64, false, SPAN("aGVsbG8=aGVsbG8="), SPAN("hellohello")},
    {CTE_BASE64, false, SPAN("a"), SPAN("")},
    {CTE_BASE64, false, SPAN("===="), SPAN("")},
    {CTE_BASE64, false, SPAN("a*G(V)s\xff\0bG8="), SPAN("hello")},
    {CTE_BASE64, false, SPAN("+/+/"), SPAN("\xfb\xff\xbf")},
    {CTE_BASE64, true, SPAN("YQpiDQpj"), SPAN("a\r\nb\r\nc")},
    /* RFC 2045 section 6.7 */
    {CTE_QUOTED_PRINTABLE, false,
     SPAN("Now's the time =\r\nfor all folk to come=\r\n to the aid of their country."),
     SPAN("Now's the time for all folk to come to the aid of their country.")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("=C3=A4=c3=b6"), SPAN("\xc3\xa4\xc3\xb6")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("a  \t\r\nb \n c"), SPAN("a\r\nb\n c")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("a= \t \r\nb"), SPAN("ab")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("a=\nb"), SPAN("ab")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("a="), SPAN("a")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("a=4"), SPAN("a=4")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("a=4G=XY==41= x=\rb"), SPAN("a=4G=XY=A= x=\rb")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("a \rb\r\r\nc  "), SPAN("a \rb\r\r\nc")},
    {CTE_QUOTED_PRINTABLE, false, SPAN("a=20\r\nb=09"), SPAN("a \r\nb\t")},
    {CTE_QUOTED_PRINTABLE, true, SPAN("a=\nb\nc=0Ad"), SPAN("ab\r\nc\r\nd")},
    {CTE_QUOTED_PRINTABLE, true, SPAN("a=0D=0Ab=0D\n"), SPAN("a\r\nb\r\n")},
};
/* clang-format on */

static void test_cte(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cte_cases); i++) {
        const struct cte_case *c = &cte_cases[i];
        autobuf out = BUF_INIT(1000);
        decode_whole(c->cte, c->crlf, c->in, &out);
        assert_span_is(buf_span(&out), c->out);
    }
    struct cte_decoder d;
    assert_int_equal(cte_decoder_init(&d, CTE_UNKNOWN, false), ERR_INVALID);
    assert_int_equal(cte_parse(SPAN(" Base64 ")), CTE_BASE64);
    assert_int_equal(cte_parse(SPAN("x-uuencode")), CTE_UNKNOWN);
}

/* Random text of awkward pieces: any chunking gives what the whole gives, and counting counts it.
 */
static void test_cte_chunks(void **state)
{
    (void)state;
    static const char *const pieces[] = {"=",  "=4",   "=41", "\r",   "\n",     "\r\n", " ",
                                         "\t", "aGVs", "b",   "G8==", "=\r\n ", "xyz",  "\xc3\xa4"};
    uint64_t seed = 5;
    for (int round = 0; round < 4000; round++) {
        autobuf in = BUF_INIT(10000), whole = BUF_INIT(20000), parts = BUF_INIT(20000);
        for (uint32_t n = next_random(&seed) % 40; n > 0; n--)
            buf_put_str(&in, pieces[next_random(&seed) % ARRAY_LEN(pieces)]);
        if (round % 50 == 0)
            for (int i = 0; i < 100; i++)
                buf_put_byte(&in, ' ');
        enum part_cte cte = next_random(&seed) % CTE_UNKNOWN;
        bool crlf = next_random(&seed) % 2;
        decode_whole(cte, crlf, buf_span(&in), &whole);
        assert_true(whole.n <= 2 * in.n + 160);
        struct cte_decoder d, counter;
        uint64_t count = 0;
        assert_int_equal(cte_decoder_init(&d, cte, crlf), 0);
        assert_int_equal(cte_decoder_init(&counter, cte, crlf), 0);
        for (struct span rest = buf_span(&in); rest.n > 0;) {
            size_t n = 1 + next_random(&seed) % 5;
            cte_decode(&d, span_head(rest, n), &parts);
            count += cte_count(&counter, span_head(rest, n));
            rest = span_skip(rest, n);
        }
        cte_decode_finish(&d, &parts);
        count += cte_count_finish(&counter);
        assert_span_is(buf_span(&parts), buf_span(&whole));
        assert_int_equal(count, whole.n);
    }
}

/* Base64 of random bytes, in lines, comes back. */
static void test_base64_lines(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint64_t seed = 9;
    for (size_t n = 0; n < 3000; n += 1 + n / 7) {
        autobuf raw = BUF_INIT(10000), enc = BUF_INIT(20000), out = BUF_INIT(10000);
        for (size_t i = 0; i < n; i++)
            buf_put_byte(&raw, (char)next_random(&seed));
        for (size_t i = 0; i < n; i += 3) {
            unsigned char b[3] = {0, 0, 0};
            memcpy(b, raw.p + i, MIN(3, n - i));
            uint32_t v = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
            for (int k = 0; k < 4; k++)
                buf_put_byte(&enc, i + (size_t)k > n ? '=' : digits[v >> (18 - 6 * k) & 63]);
            if (i % 57 == 54)
                buf_put_lit(&enc, "\r\n");
        }
        decode_whole(CTE_BASE64, false, buf_span(&enc), &out);
        assert_span_is(buf_span(&out), buf_span(&raw));
    }
}

/* --- Charsets ----------------------------------------------------------------------------- */

static void to_utf8(const char *charset, struct span in, uint64_t *seed, struct buf *out)
{
    struct charset_decoder d;
    charset_decoder_init(&d, span_str(charset));
    while (in.n > 0) {
        size_t n = seed ? 1 + next_random(seed) % 3 : in.n;
        charset_decode(&d, span_head(in, n), out);
        in = span_skip(in, n);
    }
    charset_decode_finish(&d, out);
    charset_decoder_done(&d);
}

static void test_charsets(void **state)
{
    (void)state;
    static const struct {
        const char *charset;
        struct span in;
        const char *out;
    } cases[] = {
        {"utf-8", SPAN("a\xc3\xa4\xf0\x9f\x98\x80"), "a\xc3\xa4\xf0\x9f\x98\x80"},
        {"\"UTF8\"", SPAN("\xc3\xa4"), "\xc3\xa4"},
        {"utf-8", SPAN("\xff\xc3(\xed\xa0\x80"),
         "\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"utf-8", SPAN("\xc0\x80\xf5"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"utf-8", SPAN("x\xe2\x82"), "x\xef\xbf\xbd"},
        {"us-ascii", SPAN("\xc3\xa4\xe4\x80"), "\xc3\xa4\xc3\xa4\xe2\x82\xac"},
        {"", SPAN("x\xe2\x82"), "x\xc3\xa2\xe2\x80\x9a"},
        {"unknown-8bit", SPAN("\xe4"), "\xc3\xa4"},
        {"../../etc/passwd", SPAN("\xe4"), "\xc3\xa4"},
        {"iso-8859-1//TRANSLIT", SPAN("\xe4"), "\xc3\xa4"},
        {"ISO-8859-1", SPAN("\xe4\x80\x81"), "\xc3\xa4\xe2\x82\xac\xef\xbf\xbd"},
        {"x-cp1252", SPAN("\x93"), "\xe2\x80\x9c"},
        {"iso-8859-2", SPAN("\xb1"), "\xc4\x85"},
        {"iso-8859-15", SPAN("\xa4"), "\xe2\x82\xac"},
        {"koi8-r", SPAN("\xd0\xd2"), "\xd0\xbf\xd1\x80"},
        {"windows-1251", SPAN("\xef\xf0"), "\xd0\xbf\xd1\x80"},
        {"iso-2022-jp", SPAN("a\x1b$BF|K\\\x1b(Bb"),
         "a\xe6\x97\xa5\xe6\x9c\xac"
         "b"},
        {"shift_jis", SPAN("\x93\xfa\x96\x7b"), "\xe6\x97\xa5\xe6\x9c\xac"},
        {"euc-jp", SPAN("\xc6\xfc"), "\xe6\x97\xa5"},
        {"gb2312", SPAN("\xd6\xd0"), "\xe4\xb8\xad"},
        {"big5", SPAN("\xa4\xa4"), "\xe4\xb8\xad"},
        {"ks_c_5601-1987", SPAN("\xc7\xd1"), "\xed\x95\x9c"},
        {"utf-16be", SPAN("\0a\0\xe4"), "a\xc3\xa4"},
        {"utf-7", SPAN("+AOQ-x"), "\xc3\xa4x"},
        {"shift_jis", SPAN("\x93"), "\xef\xbf\xbd"},
        {"utf-16be", SPAN("\xd8\0\0a"), NULL}, /* how much is replaced is up to iconv */
    };
    uint64_t seed = 3;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        autobuf whole = BUF_INIT(1000);
        to_utf8(cases[i].charset, cases[i].in, NULL, &whole);
        if (cases[i].out)
            assert_span(buf_span(&whole), cases[i].out);
        assert_true(utf8_valid(buf_span(&whole)));
        for (int round = 0; round < 10; round++) {
            autobuf parts = BUF_INIT(1000);
            to_utf8(cases[i].charset, cases[i].in, &seed, &parts);
            assert_span_is(buf_span(&parts), buf_span(&whole));
        }
    }
}

/* Random bytes in every charset: always valid UTF-8, whatever the chunks. */
static void test_charsets_random(void **state)
{
    (void)state;
    uint64_t seed = 11;
    for (size_t c = 0; charset_names[c]; c++) {
        assert_true(charset_known(span_str(charset_names[c])));
        for (int round = 0; round < 60; round++) {
            autobuf in = BUF_INIT(1000), whole = BUF_INIT(10000), parts = BUF_INIT(10000);
            for (uint32_t n = next_random(&seed) % 100; n > 0; n--)
                buf_put_byte(&in, (char)(next_random(&seed) >> (next_random(&seed) % 2)));
            to_utf8(charset_names[c], buf_span(&in), NULL, &whole);
            to_utf8(charset_names[c], buf_span(&in), &seed, &parts);
            assert_true(utf8_valid(buf_span(&whole)));
            assert_span_is(buf_span(&parts), buf_span(&whole));
        }
    }
}

static void test_search_keys(void **state)
{
    (void)state;
    static const struct {
        const char *charset, *in;
        int result;
        const char *out;
    } cases[] = {
        {"", "abc", 0, "abc"},
        {"UTF-8", "\xc3\xa4", 0, "\xc3\xa4"},
        {"UTF-8", "\xe4", ERR_INVALID, ""},
        {"US-ASCII", "\xc3\xa4", 0, "\xc3\xa4"},
        {"US-ASCII", "\xe4", ERR_INVALID, ""},
        {"ISO-8859-1", "\xe4", 0, "\xc3\xa4"},
        {"KOI8-R", "\xd0", 0, "\xd0\xbf"},
        {"EUC-JP", "\xc6\xfc", 0, "\xe6\x97\xa5"},
        {"EUC-JP", "\xff\xfc", ERR_INVALID, ""},
        {"SHIFT_JIS", "\x93", ERR_INVALID, ""},
        {"X-NONSENSE", "a", ERR_NOT_FOUND, ""},
        {"UTF-8/x", "a", ERR_NOT_FOUND, ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        autobuf out = BUF_INIT(100);
        assert_int_equal(
            charset_key_to_utf8(span_str(cases[i].charset), span_str(cases[i].in), &out),
            cases[i].result);
        assert_span(buf_span(&out), cases[i].out);
    }
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(utf8_valid(SPAN("")));
    assert_true(utf8_valid(
        SPAN("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")));
    static const char *const bad[] = {"\x80",
                                      "\xc1\xbf",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xc2",
                                      "\xe1\x80",
                                      "\xf1\x80\x80",
                                      "\xf8\x88\x80\x80\x80"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(span_str(bad[i])));
}

/* --- i;unicode-casemap -------------------------------------------------------------------- */

static void test_casemap(void **state)
{
    (void)state;
    /* RFC 5051 section 2. */
    static const char *const cases[][2] = {
        {"abcXYZ019{|", "ABCXYZ019{|"},
        {"a\xc3\xa9", "AE\xcc\x81"},
        {"\xef\xac\x81", "fi"},     /* U+FB01: lower case stays */
        {"\xc3\x9f", "\xc3\x9f"},   /* sharp s */
        {"\xc7\x84", "Dz\xcc\x8c"}, /* U+01C4 */
        {"\xc7\x85", "Dz\xcc\x8c"}, /* U+01C5 */
        {"\xc7\x86", "Dz\xcc\x8c"}, /* U+01C6 */
        {"\xc2\xb2", "2"},          /* superscript two */
        {"\xe2\x84\xaa", "K"},      /* Kelvin sign */
        {"\xc5\xbf", "S"},          /* long s */
        {"\xd0\xbf\xd0\xb9", "\xd0\x9f\xd0\x98\xcc\x86"},
        {"\xe6\x97\xa5", "\xe6\x97\xa5"},
        {"\xed\x95\x9c", "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab"}, /* Hangul: decomposed */
        {"\xce\xb1\xcd\x85", "\xce\x91\xce\x99"},
        {"\xff\xc3x\xe2\x82", "\xff\xc3X\xe2\x82"},
    };
    uint64_t seed = 4;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        autobuf out = BUF_INIT(1000), parts = BUF_INIT(1000);
        casemap(span_str(cases[i][0]), &out);
        assert_span(buf_span(&out), cases[i][1]);
        struct casemap_stream s = CASEMAP_STREAM_INIT;
        for (struct span rest = span_str(cases[i][0]); rest.n > 0;) {
            size_t n = 1 + next_random(&seed) % 2;
            casemap_feed(&s, span_head(rest, n), &parts);
            rest = span_skip(rest, n);
        }
        casemap_finish(&s, &parts);
        assert_span(buf_span(&parts), cases[i][1]);
    }
    assert_true(strlen(casemap_version()) > 0);
}

/* Against utf8proc's own decomposition of every character: the result is fully decomposed, and
 * mapping the lower case of a letter gives what mapping the letter gives. */
static void test_casemap_all(void **state)
{
    (void)state;
    for (int32_t c = 1; c <= 0x10FFFF; c++) {
        if ((c >= 0xD800 && c <= 0xDFFF) || utf8proc_category(c) == UTF8PROC_CATEGORY_CN)
            continue;
        utf8proc_uint8_t in[4];
        size_t n = (size_t)utf8proc_encode_char(c, in);
        autobuf out = BUF_INIT(1000);
        casemap(span_make(in, n), &out);
        assert_true(out.n > 0 && utf8_valid(buf_span(&out)));
        for (size_t at = 0; at < out.n;) {
            utf8proc_int32_t d, parts[32];
            int boundary = 0;
            at += (size_t)utf8proc_iterate((utf8proc_uint8_t *)out.p + at,
                                           (utf8proc_ssize_t)(out.n - at), &d);
            assert_int_equal(utf8proc_decompose_char(
                                 d, parts, 32, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary),
                             1);
            assert_int_equal(parts[0], d);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cte),
        cmocka_unit_test(test_cte_chunks),
        cmocka_unit_test(test_base64_lines),
        cmocka_unit_test(test_charsets),
        cmocka_unit_test(test_charsets_random),
        cmocka_unit_test(test_search_keys),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_casemap),
        cmocka_unit_test(test_casemap_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
