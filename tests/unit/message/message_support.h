/* Helpers of the tests of src/message. */
#ifndef MESSAGE_SUPPORT_H
#define MESSAGE_SUPPORT_H

#include "support/cmocka.h"

#include "base/buf.h"
#include "message/derived.h"
#include "message/mime.h"

#define assert_span(s, cstr) assert_span_at((s), span_str(cstr), __FILE__, __LINE__)
#define assert_span_is(s, t) assert_span_at((s), (t), __FILE__, __LINE__)

static inline void assert_span_at(struct span s, struct span want, const char *file, int line)
{
    if (span_eq(s, want))
        return;
    print_message("got:  <" SPAN_FMT ">\nwant: <" SPAN_FMT ">\n", SPAN_ARG(s), SPAN_ARG(want));
    _fail(file, line);
}

/* Deterministic random numbers (xorshift). */
static inline uint32_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return (uint32_t)(x >> 32);
}

static inline void parse_in_chunks(struct mime_parser *p, struct span message, uint64_t *seed,
                                   size_t max_chunk, struct buf *ret)
{
    while (message.n > 0) {
        size_t n = 1 + next_random(seed) % max_chunk;
        mime_parser_feed(p, span_head(message, n));
        message = span_skip(message, n);
    }
    mime_parser_finish(p, ret);
}

#endif
