/* Micro-benchmark of src/message, built and run by hand:
 *
 *     ninja -C build tests/bench/bench_message
 *     build/tests/bench/bench_message [seconds for each line, default 0.5]
 *
 * The corpus is made here: 200 messages of 11 KB on average, 55 % plain, 30 %
 * multipart/alternative, 15 % with a base64 attachment. */
#include <time.h>

#include "base/buf.h"
#include "message/casemap.h"
#include "message/charset.h"
#include "message/decode.h"
#include "message/mime.h"
#include "message/textmatch.h"

#define MESSAGES 200

static struct buf corpus[MESSAGES], records[MESSAGES];
static size_t corpus_bytes;
static double seconds = 0.5;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* --- Corpus -------------------------------------------------------------------------------- */

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)(seed >> 32) % below;
}

static void put_text(struct buf *b, size_t n, bool html)
{
    static const char *const words[] = {
        "the",    "meeting", "schedule", "of",     "about",  "please", "project", "and",
        "report", "will",    "we",       "to",     "is",     "I",      "a",       "thanks",
        "budget", "server",  "attached", "update", "Monday", "review", "for",     "regards"};
    size_t end = b->n + n, line = 0;
    if (html)
        buf_put_lit(b, "<html><body>\r\n");
    while (b->n < end) {
        const char *w = words[draw(ARRAY_LEN(words))];
        buf_put_str(b, w);
        buf_put_str(b, html && draw(9) == 0 ? "<br>" : " ");
        line += strlen(w) + 1;
        if (line > 68) {
            buf_put_lit(b, "\r\n");
            line = 0;
        }
    }
    buf_put_str(b, html ? "\r\n</body></html>\r\n" : "\r\n");
}

static void put_header(struct buf *b, int i)
{
    buf_printf(b, "Return-Path: <sender%d@example.org>\r\n", i % 50);
    for (int k = 0; k < 3; k++)
        buf_printf(b,
                   "Received: from mx%d.example.net (mx%d.example.net [192.0.2.%d])\r\n"
                   "\tby mail.example.org (Postfix) with ESMTPS id 4F%07dX\r\n"
                   "\tfor <user@example.org>; Mon, %d Jan 2024 10:%02d:00 +0100 (CET)\r\n",
                   k, k, i % 250, i * 7 + k, i % 28 + 1, i % 60);
    buf_printf(b,
               "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail;\r\n"
               "\tt=17040%05d; h=from:from:subject:date:message-id:to:cc:mime-version;\r\n"
               "\tbh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;\r\n"
               "\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR\r\n"
               "Date: Mon, %d Jan 2024 10:%02d:00 +0100\r\n"
               "From: \"Sender Number %d\" <sender%d@example.org>\r\n"
               "To: User One <user@example.org>, Another Person <another%d@example.com>\r\n"
               "Cc: list-%d@lists.example.org\r\n",
               i, i % 28 + 1, i % 60, i % 50, i % 50, i % 20, i % 5);
    buf_printf(b,
               "Subject: Re: [list-%d] Report about project %d and the budget\r\n"
               "Message-ID: <%08x.%d@mail.example.org>\r\n"
               "In-Reply-To: <%08x.%d@mail.example.org>\r\n"
               "References: <%08x.1@mail.example.org>\r\n <%08x.%d@mail.example.org>\r\n"
               "User-Agent: Example Mailer 1.0\r\nX-Spam-Status: No, score=-2.1\r\n"
               "MIME-Version: 1.0\r\n",
               i % 5, i, (unsigned)i * 77, i, (unsigned)i * 76, i, (unsigned)i * 75,
               (unsigned)i * 76, i);
}

static void put_base64(struct buf *b, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 76) {
        for (int k = 0; k < 76; k++)
            buf_put_byte(b, digits[draw(64)]);
        buf_put_lit(b, "\r\n");
    }
}

static void make_message(struct buf *b, int i)
{
    uint32_t kind = (uint32_t)i * 37 % 100;
    buf_init(b, BUF_UNLIMITED);
    put_header(b, i);
    if (kind < 55) {
        buf_put_lit(b, "Content-Type: text/plain; charset=utf-8\r\n"
                       "Content-Transfer-Encoding: 7bit\r\n\r\n");
        put_text(b, 1000 + draw(4000), false);
        return;
    }
    buf_printf(b, "Content-Type: multipart/%s; boundary=\"----=_Part_%d\"\r\n\r\n",
               kind < 85 ? "alternative" : "mixed", i);
    buf_printf(b,
               "This is a multi-part message in MIME format.\r\n------=_Part_%d\r\n"
               "Content-Type: text/plain; charset=utf-8\r\n"
               "Content-Transfer-Encoding: 7bit\r\n\r\n",
               i);
    put_text(b, 1500 + draw(3000), false);
    buf_printf(b, "------=_Part_%d\r\n", i);
    if (kind < 85) {
        buf_put_lit(b, "Content-Type: text/html; charset=utf-8\r\n\r\n");
        put_text(b, 3000 + draw(6000), true);
    } else {
        buf_put_lit(b, "Content-Type: application/pdf; name=\"report.pdf\"\r\n"
                       "Content-Disposition: attachment; filename=\"report.pdf\"\r\n"
                       "Content-Transfer-Encoding: base64\r\n\r\n");
        put_base64(b, 35000);
    }
    buf_printf(b, "------=_Part_%d--\r\n", i);
}

/* --- Measurements -------------------------------------------------------------------------- */

typedef void bench_fn(int i);

/* Runs fn over all messages until the time is up; seconds for one message. */
static double run(bench_fn *fn)
{
    size_t rounds = 0;
    double begin = now(), end;
    do {
        for (int i = 0; i < MESSAGES; i++)
            fn(i);
        rounds++;
        end = now();
    } while (end - begin < seconds);
    return (end - begin) / (double)rounds / MESSAGES;
}

static struct mime_parser *parser;
static struct buf scratch, out;
static struct header_set fields;
static struct needle *needle;
static struct message_search *text_term, *from_term;
static size_t sink;

static void bench_parse(int i)
{
    buf_reset(&records[i]);
    mime_parser_feed(parser, buf_span(&corpus[i]));
    mime_parser_finish(parser, &records[i]);
}

static void bench_parse_4k(int i)
{
    buf_reset(&records[i]);
    for (struct span s = buf_span(&corpus[i]); s.n > 0; s = span_skip(s, 4096))
        mime_parser_feed(parser, span_head(s, 4096));
    mime_parser_finish(parser, &records[i]);
}

static void bench_fields(int i)
{
    buf_reset(&out);
    sink += derived_header_fields(buf_span(&records[i]), &fields, false, &out);
}

static void bench_filter(int i)
{
    struct header_filter f;
    buf_reset(&out);
    header_filter_init(&f, &fields, false);
    header_filter_feed(&f, span_head(buf_span(&corpus[i]), 2500), &out);
    header_filter_finish(&f, &out);
}

static void bench_envelope(int i)
{
    struct span s;
    if (derived_envelope(buf_span(&records[i]), &s) == 0)
        sink += s.n;
}

static void bench_from(int i)
{
    uint32_t pos = 0;
    struct span value;
    while (derived_field_next(buf_span(&records[i]), HEADER_FROM, &pos, &value))
        sink += needle_in_addresses(needle, value, &scratch);
}

static void search(struct message_search *s, int i)
{
    struct message_source source = {.bytes = buf_span(&corpus[i])};
    if (message_search_begin(s, buf_span(&records[i]), source) == 0)
        while (message_search_step(s, 1 << 20) > 0)
            ;
    sink += message_search_found(s, 0);
}

static void bench_search_text(int i)
{
    search(text_term, i);
}

static void bench_search_from(int i)
{
    search(from_term, i);
}

/* GB/s of a part of 16 MiB. */
static void bench_stream(const char *what, const char *key, const char *unit, enum part_cte cte,
                         const char *charset)
{
    autobuf part = BUF_INIT(BUF_UNLIMITED);
    size_t n_unit = strlen(unit);
    while (part.n < 16 << 20)
        buf_put(&part, unit, n_unit);
    struct needle *n = needle_new(span_str(key));
    struct text_search *s = text_search_new((const struct needle *const *)&n, 1);
    double begin = now(), end;
    size_t rounds = 0;
    do {
        text_search_begin(s, cte, span_str(charset));
        for (struct span rest = buf_span(&part); rest.n > 0; rest = span_skip(rest, 65536))
            text_search_feed(s, span_head(rest, 65536));
        text_search_end(s);
        rounds++;
        end = now();
    } while (end - begin < seconds);
    sink += text_search_found(s, 0);
    printf("%-46s %8.2f GB/s\n", what, (double)part.n * (double)rounds / (end - begin) / 1e9);
    text_search_free(s);
    needle_free(n);
}

static void bench_streams(void)
{
    static const char ascii[] =
        "Please review the attached report about the budget of the project; thanks "
        "and regards.\r\nWe will meet on Monday to discuss the schedule.\r\n";
    static const char latin[] =
        "Gr\xc3\xbc\xc3\x9f"
        "e aus K\xc3\xb6ln, das Meeting ist am Montag um zehn Uhr im B\xc3\xbcro.\r\n";
    static const char cyrillic[] =
        "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82, \xd0\xba\xd0\xb0\xd0\xba "
        "\xd0\xb4\xd0\xb5\xd0\xbb\xd0\xb0?\r\n";
    static const char base64[] =
        "UGxlYXNlIHJldmlldyB0aGUgYXR0YWNoZWQgcmVwb3J0IGFib3V0IHRoZSBidWRnZXQgb2YgdGhl\r\n";
    static const char qp[] =
        "Please review the attached report about the budget=20\r\nof the project=2E Thanks\r\n";
    bench_stream("text search, ASCII, rare word", "xylophone", ascii, CTE_7BIT, "utf-8");
    bench_stream("text search, ASCII, common letters", "senate", ascii, CTE_7BIT, "utf-8");
    bench_stream("text search, ASCII, near misses", "projects", ascii, CTE_7BIT, "utf-8");
    bench_stream("text search, ASCII text, non-ASCII key", "\xc3\xa4rger", ascii, CTE_7BIT,
                 "utf-8");
    bench_stream("text search, German UTF-8", "xylophone", latin, CTE_8BIT, "utf-8");
    bench_stream("text search, Russian UTF-8", "xylophone", cyrillic, CTE_8BIT, "utf-8");
    bench_stream("text search, base64", "xylophone", base64, CTE_BASE64, "utf-8");
    bench_stream("text search, quoted-printable", "xylophone", qp, CTE_QUOTED_PRINTABLE, "utf-8");
    bench_stream("text search, ASCII as iso-2022-jp", "xylophone", ascii, CTE_7BIT, "iso-2022-jp");
}

static void report(const char *what, double s)
{
    if (s < 2e-6)
        printf("%-46s %8.1f ns/message\n", what, s * 1e9);
    else
        printf("%-46s %8.2f us/message\n", what, s * 1e6);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = strtod(argv[1], NULL);
    size_t record_bytes = 0;
    parser = mime_parser_new(NULL);
    buf_init(&scratch, BUF_UNLIMITED);
    buf_init(&out, BUF_UNLIMITED);
    for (int i = 0; i < MESSAGES; i++) {
        make_message(&corpus[i], i);
        buf_init(&records[i], BUF_UNLIMITED);
        corpus_bytes += corpus[i].n;
        bench_parse(i);
        record_bytes += records[i].n;
    }
    printf("%d messages, mean %zu bytes, record %zu bytes\n", MESSAGES, corpus_bytes / MESSAGES,
           record_bytes / MESSAGES);
    static const struct span names[] = {{"From", 4},       {"To", 2},   {"Cc", 2},
                                        {"Subject", 7},    {"Date", 4}, {"Message-ID", 10},
                                        {"References", 10}};
    header_set_init(&fields, names, ARRAY_LEN(names));
    needle = needle_new(SPAN("someone@nowhere"));
    struct search_term text = {SEARCH_TEXT, SPAN_EMPTY, needle},
                       from = {SEARCH_HEADER, SPAN("From"), needle};
    text_term = message_search_new(&text, 1);
    from_term = message_search_new(&from, 1);

    report("parse, whole", run(bench_parse));
    report("parse, chunks of 4 KiB", run(bench_parse_4k));
    report("HEADER.FIELDS (7) from the record", run(bench_fields));
    report("HEADER.FIELDS (7) from the header", run(bench_filter));
    report("ENVELOPE from the record", run(bench_envelope));
    report("FROM, one needle, by derived_field_next", run(bench_from));
    report("HEADER FROM, by message_search", run(bench_search_from));
    double s = run(bench_search_text);
    report("TEXT, by message_search", s);
    printf("%-46s %8.2f GB/s\n", "  of the messages", (double)corpus_bytes / MESSAGES / s / 1e9);
    bench_streams();

    for (int i = 0; i < MESSAGES; i++) {
        buf_done(&corpus[i]);
        buf_done(&records[i]);
    }
    header_set_done(&fields);
    message_search_free(text_term);
    message_search_free(from_term);
    needle_free(needle);
    mime_parser_free(parser);
    buf_done(&scratch);
    buf_done(&out);
    return sink == 1 ? 1 : 0;
}
