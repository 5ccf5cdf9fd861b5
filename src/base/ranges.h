/* base/ranges.h: a set of 32-bit numbers as sorted, disjoint, merged ranges.
 *
 * The form in which UIDs and sequence numbers travel between layers. Appending in ascending order
 * is O(1); membership is a binary search. Zero-initialised is the empty set; release with
 * ranges_done. One thread at a time. A set holds at most 2^32 - 1 numbers; callers that take sets
 * from outside bound the number of ranges themselves. */
#ifndef BASE_RANGES_H
#define BASE_RANGES_H

#include "base/buf.h"

struct range {
    uint32_t lo, hi; /* inclusive, lo <= hi */
};

struct ranges {
    struct range *v;
    size_t n, cap;
};

#define RANGES_INIT                                                                                \
    {                                                                                              \
        NULL, 0, 0                                                                                 \
    }
#define autoranges cleanup_with(ranges_done) struct ranges

void ranges_done(struct ranges *r);
void ranges_reset(struct ranges *r); /* empties, keeps the memory */
void ranges_copy(struct ranges *to, const struct ranges *from);

/* Add lo..hi. Cheap where lo is above everything in the set; correct in any order. */
void ranges_add(struct ranges *r, uint32_t lo, uint32_t hi);
void ranges_add_all(struct ranges *r, const struct ranges *other);
void ranges_remove(struct ranges *r, uint32_t lo, uint32_t hi);

bool ranges_has(const struct ranges *r, uint32_t v);
uint64_t ranges_count(const struct ranges *r);                  /* numbers in the set */
uint64_t ranges_count_upto(const struct ranges *r, uint32_t v); /* numbers <= v */
void ranges_intersect(struct ranges *r, const struct ranges *with);
void ranges_subtract(struct ranges *r, const struct ranges *minus);
/* Index of the first range that contains or follows v; r->n if none. */
size_t ranges_lower(const struct ranges *r, uint32_t v);

void ranges_put_text(struct buf *b, const struct ranges *r); /* "1:3,7" */
void ranges_encode(struct buf *b, const struct ranges *r);   /* binary: count, then delta varints */
struct reader;
bool ranges_decode(struct reader *rd, struct ranges *ret); /* false on malformed input */

#endif
