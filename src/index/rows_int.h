/* index/rows_int.h: blocks of rows and groups of blocks.
 *
 * The rows of a mailbox stand in blocks of up to 2 KB (some 45 rows), so that walking 20,000 rows
 * is 450 steps in LMDB and changing all of them 450 writes. Key: a number not above the block's
 * first UID and above the last UID of the block before.
 *
 *     block   rows(2) octets of keywords(2) rows(44 each, rowcode.h) keyword ids(2 each)
 *
 * Up to GROUP_MAX blocks have their counts and newest MODSEQs in a group, in the table `chunk`.
 * Key: a number not above the first block's key.
 *
 *     group   rows(4) blocks(2) 0(2) newest MODSEQ(8), then for each block: key UID(4) rows(2)
 * newest(6)
 *
 * So the n-th message, the number of a message and the changes since a MODSEQ are found by walking
 * the groups (140 for a million messages), then one group, then one block. A group's and a block's
 * newest MODSEQ is at least that of its rows (exact after every change of the block).
 *
 * Invariants (rows_verify): no block and no group is empty; UIDs ascend; every block is in exactly
 * one group; sums hold. */
#ifndef INDEX_ROWS_INT_H
#define INDEX_ROWS_INT_H

#include "index/index_int.h"
#include "index/rowcode.h"

enum {
    BLOCK_MAX = 2016, /* two fit a page of LMDB */
    BLOCK_HEAD = 4,
    BLOCK_ROWS = (BLOCK_MAX - BLOCK_HEAD) / ROW_SIZE,
    GROUP_MAX = 160,
    GROUP_HEAD = 16,
    GROUP_ENTRY = 12,
};

struct block {
    const unsigned char *rows, *keywords;
    uint32_t count, keyword_octets;
};

static inline bool block_parse(struct span value, struct block *ret)
{
    const unsigned char *p = (const unsigned char *)value.p;

    if (value.n < BLOCK_HEAD)
        return false;
    ret->count = load_le16(p);
    ret->keyword_octets = load_le16(p + 2);
    ret->rows = p + BLOCK_HEAD;
    ret->keywords = ret->rows + (size_t)ret->count * ROW_SIZE;
    return ret->count > 0 &&
           value.n == BLOCK_HEAD + (size_t)ret->count * ROW_SIZE + ret->keyword_octets;
}

/* Index of the first row with a UID >= uid; count if there is none. */
static inline uint32_t block_lower(const struct block *b, uint32_t uid)
{
    uint32_t lo = 0, hi = b->count;

    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (row_raw_uid(b->rows + (size_t)mid * ROW_SIZE) < uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Octets of keywords before row i. */
static inline uint32_t block_keywords_before(const struct block *b, uint32_t i)
{
    uint32_t n = 0;

    for (uint32_t k = 0; b->keyword_octets > 0 && k < i; k++)
        n += 2 * row_raw_keywords(b->rows + (size_t)k * ROW_SIZE);
    return n;
}

struct group_entry {
    uint32_t uid, count;
    uint64_t newest;
};

static inline uint32_t group_total(const unsigned char *g)
{
    return load_le32(g);
}

static inline uint32_t group_count(const unsigned char *g)
{
    return load_le16(g + 4);
}

static inline uint64_t group_newest(const unsigned char *g)
{
    return load_le64(g + 8);
}

static inline const unsigned char *group_at(const unsigned char *g, uint32_t i)
{
    return g + GROUP_HEAD + (size_t)i * GROUP_ENTRY;
}

static inline uint32_t entry_uid(const unsigned char *e)
{
    return load_le32(e);
}

static inline uint32_t entry_count(const unsigned char *e)
{
    return load_le16(e + 4);
}

static inline uint64_t entry_newest(const unsigned char *e)
{
    return row_load48(e + 6);
}

static inline bool group_valid(struct span value)
{
    return value.n >= GROUP_HEAD + GROUP_ENTRY &&
           value.n ==
               GROUP_HEAD + (size_t)GROUP_ENTRY * group_count((const unsigned char *)value.p);
}

/* Index of the last entry with a key <= uid; 0 if all are above. */
static inline uint32_t group_floor(const unsigned char *g, uint32_t uid)
{
    uint32_t lo = 0, hi = group_count(g);

    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (entry_uid(group_at(g, mid)) <= uid)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* --- rows_build.c: making blocks and groups --- */

struct block_builder {
    uint32_t count, keyword_octets;
    uint64_t newest;
    unsigned char rows[BLOCK_ROWS * ROW_SIZE];
    unsigned char keywords[BLOCK_MAX];
};

static inline size_t builder_size(const struct block_builder *b)
{
    return BLOCK_HEAD + (size_t)b->count * ROW_SIZE + b->keyword_octets;
}

void builder_reset(struct block_builder *b);
bool builder_fits(const struct block_builder *b, const struct row *row);
void builder_add(struct block_builder *b, const struct row *row);
bool builder_load(struct block_builder *b, const struct block *from);
/* Writes the block under a key. */
int builder_put(const struct block_builder *b, struct index_txn *txn, uint32_t mailbox,
                uint32_t key_uid) must_check;

/* A group being changed; may hold more entries than a stored one until group_write cuts it up. */
enum { GROUP_WORK_MAX = GROUP_MAX * 16 };
struct group_work {
    uint32_t mailbox, key_uid;
    bool stored; /* under key_uid */
    uint32_t count;
    unsigned char
        raw[GROUP_HEAD + GROUP_WORK_MAX * GROUP_ENTRY]; /* the head is made when written */
};

void group_load(struct group_work *g, uint32_t mailbox, uint32_t key_uid, struct span value);
void group_entry_set(struct group_work *g, uint32_t i, const struct group_entry *e);
void group_splice(struct group_work *g, uint32_t at, uint32_t removed,
                  const struct group_entry *with, uint32_t n);
/* Stores it: deleted when empty, cut up when too large, joined to the one before when small. */
int group_write(struct group_work *g, struct index_txn *txn) must_check;

static inline const unsigned char *group_work_at(const struct group_work *g, uint32_t i)
{
    return group_at(g->raw, i);
}

#endif
