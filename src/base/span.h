/* base/span.h: borrowed bytes.
 *
 * A span points into memory that somebody else owns and never contains a promise about NUL bytes.
 * Passed by value. Every parser in Martlet takes spans; whatever must outlive its source is copied
 * into an arena or a buf. Pure functions, any thread. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/banned.h"
#include "base/cleanup.h"

struct span {
    const char *p; /* may be NULL if n is 0 */
    size_t n;
};

#define SPAN(lit)   ((struct span){"" lit, sizeof(lit) - 1}) /* a string literal */
#define SPAN_EMPTY  ((struct span){NULL, 0})
#define SPAN_FMT    "%.*s" /* printf("%s" of a span): SPAN_FMT with SPAN_ARG(s) */
#define SPAN_ARG(s) (int)((s).n > 4096 ? 4096 : (s).n), (s).p ? (s).p : ""

static inline struct span span_make(const void *p, size_t n)
{
    return (struct span){p, n};
}

struct span span_str(const char *cstr);

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_ieq(struct span a, struct span b); /* ASCII case-insensitive */
int span_cmp(struct span a, struct span b);  /* memcmp order, shorter first */
bool span_is_ascii(struct span s);
bool span_starts(struct span s, struct span prefix);
bool span_istarts(struct span s, struct span prefix);
bool span_ends(struct span s, struct span suffix);

/* The first n bytes / what is left after them; n is clamped to the length. */
static inline struct span span_head(struct span s, size_t n)
{
    return (struct span){s.p, n < s.n ? n : s.n};
}

static inline struct span span_skip(struct span s, size_t n)
{
    return n < s.n ? (struct span){s.p + n, s.n - n} : (struct span){s.p, 0};
}

#define SPAN_NPOS SIZE_MAX
size_t span_find_byte(struct span s, char c);        /* SPAN_NPOS if absent */
size_t span_find(struct span s, struct span needle); /* exact bytes */
struct span span_trim(struct span s);                /* SP, HTAB, CR, LF at both ends */

/* Takes what stands before sep out of *s (and sep itself); false if *s was exhausted. */
bool span_split(struct span *s, char sep, struct span *ret_field);

/* The whole span as an unsigned decimal number <= max; false on anything else. */
bool span_to_u64(struct span s, uint64_t max, uint64_t *ret);

char *span_dup(struct span s); /* NUL-terminated copy to free() */

static inline unsigned char ascii_lower(unsigned char c)
{
    return (unsigned char)(c - 'A') < 26 ? (unsigned char)(c | 0x20) : c;
}

static inline bool ascii_is_digit(unsigned char c)
{
    return (unsigned char)(c - '0') < 10;
}

static inline bool ascii_is_alpha(unsigned char c)
{
    return (unsigned char)((c | 0x20) - 'a') < 26;
}

#endif
