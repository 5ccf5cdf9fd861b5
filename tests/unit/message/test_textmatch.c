#include "message_support.h"

#include "message/casemap.h"
#include "message/charset.h"
#include "message/decode.h"
#include "message/scan_int.h"
#include "message/textmatch.h"

/* --- Scanning: vector and portable forms agree --------------------------------------------- */

static void test_scan(void **state)
{
    (void)state;
    uint64_t seed = 12;
    for (int round = 0; round < 20000; round++) {
        size_t n = next_random(&seed) % 300;
        char *text = xmalloc(n + 1); /* exact size, for the sanitizer */
        for (size_t i = 0; i < n; i++)
            text[i] = "\n-ab\r\nAB\xe4"[next_random(&seed) % (next_random(&seed) % 4 ? 8 : 9)];
        if (n > 0 && next_random(&seed) % 8 == 0)
            text[next_random(&seed) % n] = '\0';
        struct span s = span_make(text, n);
        struct scan_stats a = {0, false, false}, b = {0, false, false};
        bool stop = round % 2;
        size_t at = scan_body(s, stop, &a);
        assert_int_equal(at, scan_body_portable(s, stop, &b));
        assert_int_equal(a.lines, b.lines);
        assert_int_equal(a.nul, b.nul);
        assert_int_equal(a.high, b.high);
        assert_int_equal(a.nul, memchr(text, '\0', at) != NULL);
        assert_int_equal(ascii_prefix(s), ascii_prefix_portable(s));
        size_t key_n = 1 + next_random(&seed) % 6;
        char key[6];
        for (size_t i = 0; i < key_n; i++)
            key[i] = "\n-ABAB"[next_random(&seed) % 6];
        struct scan_key fold = scan_key_make(key, key_n, true);
        struct scan_key exact = scan_key_make(key, key_n, false);
        char upper[301];
        scan_upper(upper, text, n);
        assert_int_equal(scan_find(&exact, s), memmem(text, n, key, key_n) != NULL);
        assert_int_equal(scan_find(&fold, s), memmem(upper, n, key, key_n) != NULL);
        assert_int_equal(scan_find_portable(&fold, s), scan_find(&fold, s));
        assert_int_equal(scan_find_portable(&exact, s), scan_find(&exact, s));
        free(text);
    }
}

/* Text made to defeat the choice of rare bytes: still found, still linear. */
static void test_scan_worst(void **state)
{
    (void)state;
    enum { N = 1 << 20, K = 5000 };
    char *text = xmalloc(N), *key = xmalloc(K);
    memset(text, 'a', N);
    memset(key, 'A', K);
    key[K - 1] = 'B';
    struct scan_key k = scan_key_make(key, K, true);
    assert_false(scan_find(&k, span_make(text, N)));
    text[N - 1] = 'b';
    assert_true(scan_find(&k, span_make(text, N)));
    assert_true(scan_find_portable(&k, span_make(text, N)));
    free(text);
    free(key);
}

/* --- One key ------------------------------------------------------------------------------- */

static bool in_header(const char *key, const char *value)
{
    struct needle *n = needle_new(span_str(key));
    autobuf scratch = BUF_INIT(10);
    bool found = needle_in_header(n, span_str(value), &scratch);
    needle_free(n);
    return found;
}

static bool in_addresses(const char *key, const char *value)
{
    struct needle *n = needle_new(span_str(key));
    autobuf scratch = BUF_INIT(10);
    bool found = needle_in_addresses(n, span_str(value), &scratch);
    needle_free(n);
    return found;
}

static void test_needle(void **state)
{
    (void)state;
    assert_true(in_header("", ""));
    assert_true(in_header("eautiful WORL", " hello Beautiful world"));
    assert_true(in_header("hello world", " hello\r\n world"));
    assert_false(in_header("x", ""));
    assert_true(in_header("\xc3\x84"
                          "rger",
                          "=?iso-8859-1?Q?=E4rger?="));
    assert_true(in_header("a\xcc\x88rger", "=?iso-8859-1?Q?=E4rger?="));
    assert_false(in_header("\xc3\x84", "plain ASCII"));
    assert_false(in_header("utf-8", "=?utf-8?Q?x?="));
    assert_true(in_header("kelvin", "\xe2\x84\xaa"
                                    "elvin"));
    assert_true(in_header("\xe2\x84\xaa", "k"));
    assert_true(in_header("one two", "=?utf-8?Q?one_?= =?utf-8?Q?two?="));
    assert_true(in_header("fi", "\xef\xac\x81") ==
                false); /* U+FB01 stays lower case, "fi" does not */
    assert_true(
        in_addresses("user-from@domain.org", "<user-from (comment)@ (comment) domain.org>"));
    assert_true(in_addresses("doe, john <j", "\"Doe, John\" <j@x>"));
    assert_true(in_addresses("\"doe", "\"Doe, John\" <j@x>"));
    assert_true(in_addresses("comment", "a@b (comment)"));
    assert_false(in_addresses("other", "a@b (comment)"));
}

/* --- Parts, streamed ----------------------------------------------------------------------- */

static void encode_base64(struct span s, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < s.n; i += 3) {
        unsigned char b[3] = {0, 0, 0};
        memcpy(b, s.p + i, MIN(3, s.n - i));
        uint32_t v = (uint32_t)b[0] << 16 | (uint32_t)b[1] << 8 | b[2];
        for (int k = 0; k < 4; k++)
            buf_put_byte(out, i + (size_t)k > s.n ? '=' : digits[v >> (18 - 6 * k) & 63]);
        if (i % 54 == 51)
            buf_put_lit(out, "\r\n");
    }
}

/* What text_search does, stage by stage and at once. */
static void reference_text(enum part_cte cte, struct span charset, struct span raw,
                           struct buf *mapped)
{
    autobuf decoded = BUF_INIT(BUF_UNLIMITED), utf8 = BUF_INIT(BUF_UNLIMITED);
    struct cte_decoder d;
    assert_int_equal(cte_decoder_init(&d, cte, false), 0);
    cte_decode(&d, raw, &decoded);
    cte_decode_finish(&d, &decoded);
    struct charset_decoder c;
    charset_decoder_init(&c, charset);
    charset_decode(&c, buf_span(&decoded), &utf8);
    charset_decode_finish(&c, &utf8);
    charset_decoder_done(&c);
    casemap(buf_span(&utf8), mapped);
}

static const char *const words[] = {
    "alpha", "Beta", "GAMMA",    " ",     "\r\n", "\xc3\xa4", "\xc3\x84", "\xe2\x84\xaa",
    "k",     "s",    "\xc5\xbf", "delta", "x",    "y",        "\xd0\xbf"};

static void test_parts(void **state)
{
    (void)state;
    static const char *const keys[] = {"ALPHAbeta", "k",   "\xc3\xa4", "gamma delta",
                                       "S\xc3\x84", "zzz", "\r\nx",    "\xd0\x9f\xd0\xbf",
                                       "xyxy",      "ab",  "as",       "ssss"};
    static const char *const charsets[] = {"",           "utf-8",    "us-ascii",  "iso-8859-1",
                                           "iso-8859-5", "utf-16be", "shift_jis", "koi8-r"};
    struct needle *needles[ARRAY_LEN(keys)];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        needles[i] = needle_new(span_str(keys[i]));
    struct text_search *s = text_search_new((const struct needle *const *)needles, ARRAY_LEN(keys));
    uint64_t seed = 31;
    for (int round = 0; round < 4000; round++) {
        autobuf text = BUF_INIT(BUF_UNLIMITED), raw = BUF_INIT(BUF_UNLIMITED),
                want = BUF_INIT(BUF_UNLIMITED);
        uint32_t ascii = next_random(&seed) % 3;
        for (uint32_t n = next_random(&seed) % (round % 50 ? 60 : 6000); n > 0; n--) {
            const char *w = words[next_random(&seed) % ARRAY_LEN(words)];
            if (ascii == 0 || (unsigned char)w[0] < 0x80)
                buf_put_str(&text, w);
        }
        enum part_cte cte = next_random(&seed) % CTE_UNKNOWN;
        if (cte == CTE_BASE64)
            encode_base64(buf_span(&text), &raw);
        else
            buf_put_span(&raw, buf_span(&text));
        struct span charset = span_str(charsets[next_random(&seed) % ARRAY_LEN(charsets)]);
        reference_text(cte, charset, buf_span(&raw), &want);
        text_search_reset(s);
        text_search_begin(s, cte, charset);
        size_t max = round % 3 ? 1 + next_random(&seed) % 300 : 20000;
        for (struct span rest = buf_span(&raw); rest.n > 0;) {
            size_t n = 1 + next_random(&seed) % max;
            text_search_feed(s, span_head(rest, n));
            rest = span_skip(rest, n);
        }
        text_search_end(s);
        for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
            autobuf key = BUF_INIT(1000);
            casemap(span_str(keys[i]), &key);
            bool there = want.n > 0 && memmem(want.p, want.n, key.p, key.n);
            assert_int_equal(text_search_found(s, i), there);
        }
    }
    text_search_free(s);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        needle_free(needles[i]);
}

/* --- Messages ------------------------------------------------------------------------------ */

static const char message[] = "From: Alice <alice@example.org>\r\n"
                              "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= from\r\n"
                              " the header\r\n"
                              "X-Own: own value\r\n"
                              "Content-Type: multipart/mixed; boundary=A\r\n"
                              "\r\n"
                              "preamble-word\r\n"
                              "--A\r\n"
                              "Content-Type: text/plain; charset=iso-8859-1\r\n"
                              "Content-Transfer-Encoding: quoted-printable\r\n"
                              "X-Part: part-header-word\r\n"
                              "\r\n"
                              "Caf=E9 soft=\r\nbreak\r\n"
                              "--A\r\n"
                              "Content-Type: application/octet-stream\r\n"
                              "Content-Disposition: attachment; filename=attached-name\r\n"
                              "\r\n"
                              "binary-word\r\n"
                              "--A\r\n"
                              "Content-Type: message/rfc822\r\n"
                              "\r\n"
                              "Subject: inner-subject\r\n"
                              "Content-Type: text/plain; charset=utf-8\r\n"
                              "Content-Transfer-Encoding: base64\r\n"
                              "\r\n"
                              "aW5uZXItYm9keS13b3Jk\r\n"
                              "--A\r\n"
                              "Content-Type: message/delivery-status\r\n"
                              "\r\n"
                              "Final-Recipient: status-word\r\n"
                              "--A--\r\n"
                              "epilogue-word\r\n";

struct wanted {
    enum search_where where;
    const char *field, *key;
    bool found;
};

static const struct wanted wanted[] = {
    {SEARCH_BODY, NULL, "caf\xc3\xa9 softbreak", true},
    {SEARCH_BODY, NULL, "inner-BODY-word", true},
    {SEARCH_BODY, NULL, "status-word", true},
    {SEARCH_BODY, NULL, "inner-subject", false},
    {SEARCH_BODY, NULL, "part-header-word", false},
    {SEARCH_BODY, NULL, "alice", false},
    {SEARCH_BODY, NULL, "preamble-word", false},
    {SEARCH_BODY, NULL, "epilogue-word", false},
    {SEARCH_BODY, NULL, "binary-word", false},
    {SEARCH_TEXT, NULL, "caf\xc3\xa9 softbreak", true},
    {SEARCH_TEXT, NULL, "inner-body-word", true},
    {SEARCH_TEXT, NULL, "inner-subject", true},
    {SEARCH_TEXT, NULL, "PART-header-word", true},
    {SEARCH_TEXT, NULL, "attached-name", true},
    {SEARCH_TEXT, NULL, "from: alice <alice@", true},
    {SEARCH_TEXT, NULL,
     "subject: gr\xc3\xbc\xc3\x9f"
     "e from the header",
     true},
    {SEARCH_TEXT, NULL, "binary-word", false},
    {SEARCH_TEXT, NULL, "iso-8859-1?Q", false},
    {SEARCH_HEADER, "Subject",
     "gr\xc3\xbc\xc3\x9f"
     "e from the",
     true},
    {SEARCH_HEADER, "subject", "inner-subject", false},
    {SEARCH_HEADER, "x-own", "OWN val", true},
    {SEARCH_HEADER, "x-own", "", true},
    {SEARCH_HEADER, "x-own", "alice", false},
    {SEARCH_HEADER, "x-absent", "", false},
    {SEARCH_HEADER, "Cc", "", false},
    {SEARCH_BODY, NULL, "", true},
    {SEARCH_TEXT, NULL, "absent-everywhere", false},
};

struct reading {
    struct span bytes;
    uint64_t seed;
    size_t reads;
    int fail;
    char copy[64]; /* valid until the next call only */
};

static int read_some(void *arg, uint64_t offset, size_t max, struct span *ret)
{
    struct reading *r = arg;
    r->reads++;
    if (r->fail)
        return r->fail;
    size_t n = 1 + next_random(&r->seed) % MIN(max, sizeof(r->copy));
    struct span s = span_head(span_skip(r->bytes, (size_t)offset), n);
    memcpy(r->copy, s.p, s.n);
    *ret = span_make(r->copy, s.n);
    return 0;
}

static void assert_wanted(const struct message_search *s)
{
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        if (message_search_found(s, i) != wanted[i].found)
            print_message("key: %s\n", wanted[i].key);
        assert_int_equal(message_search_found(s, i), wanted[i].found);
    }
}

static void test_message(void **state)
{
    (void)state;
    struct search_term terms[ARRAY_LEN(wanted)];
    struct needle *needles[ARRAY_LEN(wanted)];
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        needles[i] = needle_new(span_str(wanted[i].key));
        terms[i] = (struct search_term){wanted[i].where, span_str(wanted[i].field), needles[i]};
    }
    struct message_search *s = message_search_new(terms, ARRAY_LEN(wanted));
    autobuf rec = BUF_INIT(1 << 20);
    mime_parse(span_str(message), &rec);
    struct message_source whole = {.bytes = span_str(message)};
    assert_int_equal(message_search_begin(s, buf_span(&rec), whole), 0);
    assert_int_equal(message_search_step(s, SIZE_MAX), 0);
    assert_wanted(s);
    struct reading r = {.bytes = span_str(message), .seed = 3};
    struct message_source stream = {.read = read_some, .arg = &r};
    for (size_t slice = 1; slice < 100; slice += 3) {
        assert_int_equal(message_search_begin(s, buf_span(&rec), stream), 0);
        int e;
        size_t steps = 0;
        while ((e = message_search_step(s, slice)) == 1)
            steps++;
        assert_int_equal(e, 0);
        assert_true(steps >= 300 / slice);
        assert_wanted(s);
    }
    r.fail = ERR_IO;
    assert_int_equal(message_search_begin(s, buf_span(&rec), stream), 0);
    assert_int_equal(message_search_step(s, 100), ERR_IO);
    whole.bytes.n = 100; /* the record of another message */
    assert_int_equal(message_search_begin(s, buf_span(&rec), whole), 0);
    assert_int_equal(message_search_step(s, SIZE_MAX), ERR_CORRUPT);
    assert_int_equal(message_search_begin(s, SPAN("x"), whole), ERR_CORRUPT);
    message_search_free(s);
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
        needle_free(needles[i]);
}

/* Terms that the record decides are answered without a read. */
static void test_record_only(void **state)
{
    (void)state;
    struct needle *n = needle_new(SPAN("alice"));
    struct search_term terms[] = {{SEARCH_HEADER, SPAN("From"), n}, {SEARCH_HEADER, SPAN("To"), n}};
    struct message_search *s = message_search_new(terms, 2);
    autobuf rec = BUF_INIT(1 << 20);
    mime_parse(span_str(message), &rec);
    struct reading r = {.bytes = span_str(message), .seed = 3};
    assert_int_equal(message_search_begin(s, buf_span(&rec),
                                          (struct message_source){.read = read_some, .arg = &r}),
                     0);
    assert_int_equal(message_search_step(s, 1000), 0);
    assert_int_equal(r.reads, 0);
    assert_true(message_search_found(s, 0));
    assert_false(message_search_found(s, 1));
    message_search_free(s);
    needle_free(n);
}

static bool search(const char *m, enum search_where where, const char *field, const char *key)
{
    struct needle *n = needle_new(span_str(key));
    struct search_term t = {where, span_str(field), n};
    struct message_search *s = message_search_new(&t, 1);
    autobuf rec = BUF_INIT(1 << 20);
    mime_parse(span_str(m), &rec);
    assert_int_equal(
        message_search_begin(s, buf_span(&rec), (struct message_source){.bytes = span_str(m)}), 0);
    assert_int_equal(message_search_step(s, SIZE_MAX), 0);
    bool found = message_search_found(s, 0);
    message_search_free(s);
    needle_free(n);
    return found;
}

static void test_broken_messages(void **state)
{
    (void)state;
    assert_true(search("Content-Type: multipart/mixed; boundary=x\n\nno parts here\n", SEARCH_BODY,
                       NULL, "parts here"));
    assert_true(
        search("Content-Transfer-Encoding: x-odd\n\nodd text\n", SEARCH_BODY, NULL, "odd text"));
    assert_true(search("From: <a (c)@ b>\n\n", SEARCH_HEADER, "from", "a@b"));
    assert_true(search("no header at all", SEARCH_TEXT, NULL, "header at"));
    assert_true(search("\nbody only", SEARCH_BODY, NULL, "only"));
    assert_false(search("", SEARCH_TEXT, NULL, "x"));
    assert_true(search("", SEARCH_TEXT, NULL, ""));
    assert_false(search("", SEARCH_HEADER, "From", ""));
    /* A header field of a megabyte: found by TEXT, by HEADER in its first 64 KiB. */
    autobuf m = BUF_INIT(2 << 20);
    buf_put_lit(&m, "X-Long: near ");
    for (int i = 0; i < 100000; i++)
        buf_put_lit(&m, "0123456789");
    buf_put_lit(&m, " far\n\nbody\n");
    assert_true(search(m.p, SEARCH_HEADER, "X-Long", "near"));
    assert_false(search(m.p, SEARCH_HEADER, "X-Long", "far"));
    assert_true(search(m.p, SEARCH_TEXT, NULL, "789 far"));
    assert_true(
        search(m.p, SEARCH_TEXT, NULL, "90123456789012345678901234567890123456789012345678"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scan),
        cmocka_unit_test(test_scan_worst),
        cmocka_unit_test(test_needle),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_record_only),
        cmocka_unit_test(test_broken_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
