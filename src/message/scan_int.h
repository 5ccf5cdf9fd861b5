/* message/scan_int.h: byte scanning, with AVX2 where the processor has it. Private to src/message.
 * Every function gives the same results in its portable and its vector form (tested). */
#ifndef MESSAGE_SCAN_INT_H
#define MESSAGE_SCAN_INT_H

#include "base/span.h"

/* What is known of the bytes passed so far. */
struct scan_stats {
    uint64_t lines; /* line feeds */
    bool nul;       /* a NUL byte */
    bool high;      /* a byte >= 0x80 */
};

/* Passes over s and adds to st. With stop_at_dash it stops behind the first LF that is followed by
 * "-" within s, which is the only place where a MIME boundary can begin. Returns the number of
 * bytes passed. */
size_t scan_body(struct span s, bool stop_at_dash, struct scan_stats *st);

/* Appends nothing, allocates nothing: dst gets s with a-z made A-Z; the areas may be the same. */
void scan_upper(char *dst, const char *src, size_t n);

/* A pattern to find without regard to ASCII case (text folded, key upper case), or exactly. */
struct scan_key {
    const char *p; /* upper case if fold */
    size_t n;      /* > 0 */
    size_t a, b;   /* positions of two rare bytes, a <= b < n */
    bool fold;
};

/* p is borrowed. */
struct scan_key scan_key_make(const char *p, size_t n, bool fold);
bool scan_find(const struct scan_key *key, struct span text);

/* For tests: the portable forms. */
size_t scan_body_portable(struct span s, bool stop_at_dash, struct scan_stats *st);
bool scan_find_portable(const struct scan_key *key, struct span text);
size_t ascii_prefix_portable(struct span s);

#endif
