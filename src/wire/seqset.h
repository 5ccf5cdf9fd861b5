/* wire/seqset.h: sequence sets (RFC 9051 section 9, sequence-set; RFC 5182 "$"; uid-set).
 *
 * A struct seqset is a view: sorted, disjoint, non-adjacent ranges that somebody else owns (the
 * arena of a command, or a struct seqbuild). What "*" means depends on the mailbox, so it is kept
 * beside the ranges until seqset_resolve(). Numbers are 1 to 2^32-1; 0 is never a member.
 *
 * Limits: the number of ranges is bounded by the caller. Pure functions, any thread. */
#ifndef WIRE_SEQSET_H
#define WIRE_SEQSET_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct seq_range {
    uint32_t lo, hi; /* 1 <= lo <= hi */
};

struct seqset {
    const struct seq_range *r;
    size_t n;
    uint32_t star;    /* lowest n of all "n:*" in the set; UINT32_MAX for a lone "*"; 0: no star */
    uint32_t highest; /* greatest number the client wrote (even within "n:*"); 0 if none */
    bool saved;       /* contains "$", the saved search result */
};

#define SEQSET_EMPTY ((struct seqset){NULL, 0, 0, 0, false})

/* The whole span. ERR_INVALID: not a sequence set; ERR_LIMIT: more than max_ranges or arena spent.
 */
int seqset_parse(struct span s, size_t max_ranges, struct arena *a, struct seqset *ret) must_check;

/* Puts max for "*" and drops what is above max: afterwards star and saved are 0 ("$" is the
 * caller's to add). With max 0 the result is empty. "7:*" contains max even if max < 7.
 * ERR_LIMIT if the arena is spent. Ranges may be shared with set. */
int seqset_resolve(const struct seqset *set, uint32_t max, struct arena *a,
                   struct seqset *ret) must_check;

/* These look at the ranges only: resolve first where there may be a star. */
bool seqset_contains(const struct seqset *set, uint32_t v);
uint64_t seqset_count(const struct seqset *set);
/* Index of the first range with hi >= v; set->n if none. Where to start walking. */
size_t seqset_find(const struct seqset *set, uint32_t v);
int seqset_intersect(const struct seqset *x, const struct seqset *y, struct arena *a,
                     struct seqset *ret) must_check;
/* Deep copy into a (for a set that outlives its command); all fields. */
int seqset_copy(const struct seqset *set, struct arena *a, struct seqset *ret) must_check;

/* "1:3,7,9:12"; star as "n:*" or "*", saved as "$". Nothing for an empty set (IMAP has no
 * notation for it: the caller leaves the item out). */
void seqset_write(struct buf *b, const struct seqset *set);

/* for (struct seqset_iter it = {&set}; seqset_next(&it, &v);) */
struct seqset_iter {
    const struct seqset *set;
    size_t i;
    uint32_t next; /* 0: start of range i */
};
bool seqset_next(struct seqset_iter *it, uint32_t *ret);

/* Builder, owns its ranges (malloc). Beyond max_ranges additions are dropped and `overflow` sticks.
 */
struct seqbuild {
    struct seq_range *r;
    size_t n, cap, max_ranges;
    bool overflow;
};

#define SEQBUILD_INIT(max)                                                                         \
    {                                                                                              \
        NULL, 0, 0, (max), false                                                                   \
    }
#define autoseqbuild cleanup_with(seqbuild_done) struct seqbuild

void seqbuild_init(struct seqbuild *b, size_t max_ranges);
void seqbuild_done(struct seqbuild *b);
void seqbuild_reset(struct seqbuild *b); /* empties, keeps the memory */

/* Adds to the set. Ascending order costs O(1); any other order is right, but costs O(n). 0 is
 * ignored. */
void seqbuild_add(struct seqbuild *b, uint32_t v);
void seqbuild_add_range(struct seqbuild *b, uint32_t lo, uint32_t hi);
/* The set built so far; valid until the next change of b. */
struct seqset seqbuild_set(const struct seqbuild *b);

/* Appends v in the given order, joining only ascending runs ("5:7,3"): for COPYUID and APPENDUID,
 * where the n-th number of one list belongs to the n-th of the other. A builder is used either with
 * _push or with _add, never with both. Write with seqbuild_write. */
void seqbuild_push(struct seqbuild *b, uint32_t v);
void seqbuild_write(struct buf *out, const struct seqbuild *b);

#endif
