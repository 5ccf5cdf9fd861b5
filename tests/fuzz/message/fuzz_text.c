/* Transfer decoders, charsets, case mapping, matching, and the readers of header values. The first
 * two bytes of the input choose encoding, charset, chunk size and needle. */
#include "message/casemap.h"
#include "message/charset.h"
#include "message/convert.h"
#include "message/decode.h"
#include "message/fuzzy.h"
#include "message/header.h"
#include "message/textmatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static const char *const charsets[] = {
    "",      "utf-8",     "iso-8859-1", "koi8-r",      "euc-jp", "iso-2022-jp", "utf-16", "gb18030",
    "utf-7", "shift_jis", "big5",       "iso-2022-kr", "euc-kr", "utf-16le",    "x-user", "cp1255"};

static void decode(enum part_cte cte, bool crlf, struct span in, size_t chunk, struct buf *out)
{
    struct cte_decoder d, counter;
    uint64_t count = 0;
    REQUIRE(cte_decoder_init(&d, cte, crlf) == 0 && cte_decoder_init(&counter, cte, crlf) == 0);
    for (; in.n > 0; in = span_skip(in, chunk)) {
        cte_decode(&d, span_head(in, chunk), out);
        count += cte_count(&counter, span_head(in, chunk));
    }
    cte_decode_finish(&d, out);
    count += cte_count_finish(&counter);
    REQUIRE(count == out->n);
}

static void convert(const char *charset, struct span in, size_t chunk, struct buf *out)
{
    struct charset_decoder d;
    charset_decoder_init(&d, span_str(charset));
    for (; in.n > 0; in = span_skip(in, chunk))
        charset_decode(&d, span_head(in, chunk), out);
    charset_decode_finish(&d, out);
    charset_decoder_done(&d);
    REQUIRE(utf8_valid(buf_span(out)));
}

static void map(struct span in, size_t chunk, struct buf *out)
{
    struct casemap_stream s = CASEMAP_STREAM_INIT;
    for (; in.n > 0; in = span_skip(in, chunk))
        casemap_feed(&s, span_head(in, chunk), out);
    casemap_finish(&s, out);
}

static void forgiving(struct span in, struct span key, size_t chunk)
{
    struct fuzzy_key *k = fuzzy_key_new(key);
    struct fuzzy_match m = {.letters = 0};
    if (!k)
        return;
    for (struct span rest = in; rest.n > 0; rest = span_skip(rest, chunk))
        fuzzy_match_feed(k, &m, span_head(rest, chunk));
    fuzzy_match_break(k, &m);
    REQUIRE(fuzzy_match_score(k, &m) == fuzzy_score(k, in) && fuzzy_score(k, in) <= 100);
    REQUIRE(!utf8_valid(key) || fuzzy_score(k, key) == 100);
    fuzzy_key_free(k);
}

/* Whole, in chunks, and by the streaming search: all the same. */
static void texts(enum part_cte cte, const char *charset, struct span in, size_t chunk,
                  struct span key)
{
    autobuf d1 = BUF_INIT(BUF_UNLIMITED), d2 = BUF_INIT(BUF_UNLIMITED);
    autobuf u1 = BUF_INIT(BUF_UNLIMITED), u2 = BUF_INIT(BUF_UNLIMITED);
    autobuf m1 = BUF_INIT(BUF_UNLIMITED), m2 = BUF_INIT(BUF_UNLIMITED);
    autobuf k = BUF_INIT(BUF_UNLIMITED);
    decode(cte, chunk & 1, in, SIZE_MAX, &d1);
    decode(cte, chunk & 1, in, chunk, &d2);
    REQUIRE(span_eq(buf_span(&d1), buf_span(&d2)));
    buf_reset(&d1);
    decode(cte, false, in, SIZE_MAX, &d1);
    convert(charset, buf_span(&d1), SIZE_MAX, &u1);
    convert(charset, buf_span(&d1), chunk, &u2);
    REQUIRE(span_eq(buf_span(&u1), buf_span(&u2)));
    map(buf_span(&u1), SIZE_MAX, &m1);
    map(buf_span(&u1), chunk, &m2);
    REQUIRE(span_eq(buf_span(&m1), buf_span(&m2)));
    casemap(key, &k);
    struct needle *n = needle_new(key);
    struct text_search *s = text_search_new((const struct needle *const *)&n, 1);
    text_search_begin(s, cte, span_str(charset));
    for (; in.n > 0; in = span_skip(in, chunk))
        text_search_feed(s, span_head(in, chunk));
    text_search_end(s);
    bool there = k.n == 0 || (m1.n > 0 && memmem(m1.p, m1.n, k.p, k.n));
    /* Invalid UTF-8 is searched as it is there, not as replacement characters. */
    if (strcmp(charset, "utf-8") != 0 || utf8_valid(buf_span(&d1)))
        REQUIRE(text_search_found(s, 0) == there);
    text_search_free(s);
    needle_free(n);
    forgiving(buf_span(&d1), key, chunk);
}

static void header_values(struct span in)
{
    autobuf out = BUF_INIT(BUF_UNLIMITED);
    header_decode(in, &out);
    REQUIRE(utf8_valid(buf_span(&out)));
    buf_reset(&out);
    header_param(in, SPAN("name"), &out);
    REQUIRE(utf8_valid(buf_span(&out)));
    struct address_iter it;
    struct address a;
    int open = 0;
    address_iter_init(&it, in);
    while (address_next(&it, &a)) {
        open += a.kind == ADDRESS_GROUP_START ? 1 : a.kind == ADDRESS_GROUP_END ? -1 : 0;
        REQUIRE(open == 0 || open == 1);
    }
    REQUIRE(open == 0);
    address_iter_done(&it);
    struct header_date date;
    if (header_date(in, &date))
        REQUIRE(date.utc / 86400 - date.day <= 5 && date.day - date.utc / 86400 <= 5);
    struct needle *n = needle_new(SPAN("ab"));
    needle_in_addresses(n, in, &out);
    needle_free(n);
}

/* To another charset, as CONVERT does it; lines that are made are not long. */
static void converted(enum part_cte cte, const char *charset, struct span in, size_t chunk)
{
    static const char *const targets[] = {"utf-8", "koi8-r", "iso-2022-jp", "utf-16", "gb18030"};
    const char *name = targets[chunk % ARRAY_LEN(targets)];
    struct charset_encoder to;
    struct convert_text c;
    autobuf whole = BUF_INIT(BUF_UNLIMITED), pieces = BUF_INIT(BUF_UNLIMITED);
    for (int k = 0; k < 2; k++) {
        size_t n = k ? chunk : SIZE_MAX;
        struct buf *out = k ? &pieces : &whole;
        REQUIRE(charset_encoder_init(&to, span_str(name), SPAN("?")) == 0);
        REQUIRE(convert_text_init(&c, cte, span_str(charset), chunk & 2, &to) == 0);
        for (struct span rest = in; rest.n > 0; rest = span_skip(rest, n))
            REQUIRE(convert_text_feed(&c, span_head(rest, n), out) == 0);
        REQUIRE(convert_text_finish(&c, out) == 0);
        convert_text_done(&c);
    }
    REQUIRE(span_eq(buf_span(&whole), buf_span(&pieces)));
    buf_reset(&whole);
    REQUIRE(charset_encoder_init(&to, span_str(name), SPAN("?")) == 0);
    REQUIRE(convert_header(in, span_str(name), &to, &whole) == 0);
    charset_encoder_done(&to);
    REQUIRE(whole.n < 64 * in.n + 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct span in = span_make(data + 2, size - 2);
    size_t chunk = 1 + (data[1] & 15);
    size_t key = MIN((size_t)(data[1] >> 4), in.n);
    texts((data[0] & 15) % CTE_UNKNOWN, charsets[data[0] >> 4], in, chunk, span_head(in, key));
    converted((data[0] & 15) % CTE_UNKNOWN, charsets[data[0] >> 4], in, chunk);
    header_values(in);
    return 0;
}
