/* The parser, the record it makes, and a search over both: any bytes are a message. The last byte
 * of the input chooses limits and chunk sizes. */
#include "unit/message/imap_check.h"

#include "message/header.h"
#include "message/mime.h"
#include "message/textmatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static const struct mime_limits tight = {
    .max_header = 500, .max_parts = 6, .max_depth = 4, .max_structure = 500, .max_kept = 100};

static void compare_chunked(struct span m, size_t chunk, const struct mime_limits *limits,
                            struct span rec)
{
    struct mime_parser *p = mime_parser_new(limits);
    autobuf again = BUF_INIT(mime_record_max(limits));
    for (struct span rest = m; rest.n > 0; rest = span_skip(rest, chunk))
        mime_parser_feed(p, span_head(rest, chunk));
    mime_parser_finish(p, &again);
    REQUIRE(buf_ok(&again) && span_eq(buf_span(&again), rec));
    mime_parser_free(p);
}

/* What the record answers is what the header says. */
static void compare_fields(struct span m, struct span rec)
{
    static const struct span names[] = {
        {"From", 4}, {"To", 2}, {"Subject", 7}, {"X-A", 3}, {"Content-Type", 12}};
    struct derived_info info;
    REQUIRE(derived_info(rec, &info) == 0);
    for (size_t n = 0; n <= ARRAY_LEN(names); n++) {
        struct header_set set;
        header_set_init(&set, names, n);
        for (int invert = 0; invert < 2; invert++) {
            autobuf a = BUF_INIT(BUF_UNLIMITED), b = BUF_INIT(BUF_UNLIMITED);
            if (!derived_header_fields(rec, &set, invert, &a))
                continue;
            struct header_filter f;
            header_filter_init(&f, &set, invert);
            header_filter_feed(&f, span_head(m, (size_t)info.header_length), &b);
            header_filter_finish(&f, &b);
            REQUIRE(span_eq(buf_span(&a), buf_span(&b)));
        }
        header_set_done(&set);
    }
}

static int read_bytes_of(void *arg, uint64_t offset, size_t max, struct span *ret)
{
    struct span *m = arg;
    *ret = span_head(span_skip(*m, (size_t)offset), MIN(max, 7));
    return 0;
}

static void compare_search(struct span m, struct span rec, size_t slice)
{
    static const struct span keys[] = {{"ab", 2}, {"\xc3\xa4", 2}, {"K", 1}, {"--a", 3}};
    struct needle *needles[ARRAY_LEN(keys)];
    struct search_term terms[3 * ARRAY_LEN(keys)];
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        needles[i] = needle_new(keys[i]);
        terms[n++] = (struct search_term){SEARCH_BODY, SPAN_EMPTY, needles[i]};
        terms[n++] = (struct search_term){SEARCH_TEXT, SPAN_EMPTY, needles[i]};
        terms[n++] = (struct search_term){SEARCH_HEADER, SPAN("X-A"), needles[i]};
    }
    struct message_search *a = message_search_new(terms, n), *b = message_search_new(terms, n);
    REQUIRE(message_search_begin(a, rec, (struct message_source){.bytes = m}) == 0);
    REQUIRE(message_search_step(a, SIZE_MAX) == 0);
    struct message_source stream = {.read = read_bytes_of, .arg = &m};
    REQUIRE(message_search_begin(b, rec, stream) == 0);
    int e;
    while ((e = message_search_step(b, slice)) == 1)
        ;
    REQUIRE(e == 0);
    for (size_t i = 0; i < n; i++)
        REQUIRE(message_search_found(a, i) == message_search_found(b, i));
    for (size_t i = 0; i < n; i += 3) /* what BODY finds, TEXT finds */
        REQUIRE(!message_search_found(a, i) || message_search_found(a, i + 1));
    message_search_free(a);
    message_search_free(b);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        needle_free(needles[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    uint8_t how = data[size - 1];
    struct span m = span_make(data, size - 1);
    const struct mime_limits *limits = how & 1 ? &tight : NULL;
    struct mime_parser *p = mime_parser_new(limits);
    autobuf rec = BUF_INIT(mime_record_max(limits));
    mime_parser_feed(p, m);
    mime_parser_finish(p, &rec);
    mime_parser_free(p);
    REQUIRE(buf_ok(&rec));
    const char *wrong = check_record(buf_span(&rec), m);
    if (wrong)
        fprintf(stderr, "record: %s\n", wrong);
    REQUIRE(!wrong);
    compare_chunked(m, 1 + (how >> 1), limits, buf_span(&rec));
    compare_fields(m, buf_span(&rec));
    compare_search(m, buf_span(&rec), 1 + (how >> 1));
    return 0;
}
