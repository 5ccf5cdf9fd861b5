/* Accessors of derived records on bytes that are none, or nearly. The input is made the record's
 * inside; magic, version and length are put right, so that more than the first check is reached. */
#include "base/bytes.h"
#include "message/derived.h"
#include "message/textmatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t sink;

/* Reads all of it: the sanitizer sees whether it is there. */
static void touch(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        sink += (unsigned char)s.p[i];
}

static void use_fields(struct span rec)
{
    static const struct span names[] = {{"From", 4}, {"Subject", 7}, {"X-A", 3}};
    struct header_set set;
    autobuf out = BUF_INIT(1 << 20);
    header_set_init(&set, names, ARRAY_LEN(names));
    derived_header_fields(rec, &set, false, &out);
    derived_header_fields(rec, &set, true, &out);
    header_set_done(&set);
    struct span value;
    for (int id = 0; id < HEADER_ID_COUNT; id++)
        for (uint32_t pos = 0; derived_field_next(rec, (enum header_id)id, &pos, &value);)
            touch(value);
    sink += derived_has_field(rec, SPAN("To")) + derived_has_field(rec, SPAN("X-Y"));
}

static void use_parts(struct span rec)
{
    struct mime_part p;
    struct section_range r;
    uint32_t n = derived_part_count(rec);
    for (uint32_t i = 0; i < MIN(n, 100); i++)
        if (derived_part(rec, i, &p) == 0)
            touch(p.charset);
    for (uint32_t i = 0; i < 64; i++) {
        uint32_t section[3] = {i & 3, i >> 2 & 3, i >> 4};
        for (size_t depth = 0; depth <= 3; depth++)
            sink += (size_t)derived_section(rec, section, depth, (enum section_text)(i & 3), &r);
    }
}

static void search(struct span rec, struct span message)
{
    struct needle *n = needle_new(SPAN("a"));
    struct search_term terms[] = {{SEARCH_TEXT, SPAN_EMPTY, n}, {SEARCH_HEADER, SPAN("From"), n}};
    struct message_search *s = message_search_new(terms, 2);
    if (message_search_begin(s, rec, (struct message_source){.bytes = message}) == 0)
        while (message_search_step(s, 1000) > 0)
            ;
    message_search_free(s);
    needle_free(n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 64 || size > 1 << 20)
        return 0;
    autofree char *copy = span_dup(span_make(data, size));
    copy[0] = (char)0xD4;
    copy[1] = DERIVED_VERSION;
    store_le32(copy + 4, (uint32_t)size);
    struct span rec = span_make(copy, size), s;
    struct derived_info info;
    if (derived_envelope(rec, &s) == 0)
        touch(s);
    if (derived_body(rec, &s) == 0)
        touch(s);
    if (derived_bodystructure(rec, &s) == 0)
        touch(s);
    if (derived_preview(rec, &s) == 0)
        touch(s);
    sink += derived_info(rec, &info) == 0;
    use_fields(rec);
    use_parts(rec);
    search(rec, rec);
    return 0;
}
