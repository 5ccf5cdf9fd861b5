/* store/quota.h: what an account may hold, and holds (RFC 9208).
 *
 * A mailbox belongs to one quota root: the account's own one, number 0, unless the administrator
 * gave it, or a superior when it was made, to another one of the account. What roots use is counted
 * by apply, in the same transaction as the change itself; the writer refuses what would exceed a
 * limit when it evaluates a request, against the state that has all requests before it. So a limit
 * is exact, however many write at once.
 *
 * Storage is the sum of RFC822.SIZE; annotation storage that of names and values of metadata. */
#ifndef STORE_QUOTA_H
#define STORE_QUOTA_H

#include "store/snapshot.h"

struct store;

/* Limits of an account's own root unless it has others; QUOTA_NONE where there is none. */
struct quota_defaults {
    uint64_t limit[QUOTA_RESOURCES];
};
void store_set_quota(struct store *store, const struct quota_defaults *defaults);

struct quota_use {
    uint32_t root;
    struct span name; /* empty: the account's own root */
    uint64_t used[QUOTA_RESOURCES];
    uint64_t limit[QUOTA_RESOURCES]; /* that counts: a number or QUOTA_NONE */
    bool own_limit[QUOTA_RESOURCES]; /* it is not the default */
};

/* By number; by name; the first with a number >= from (root 0 always exists). ERR_NOT_FOUND. */
int snap_quota(struct snap *snap, const struct account *account, uint32_t root,
               struct quota_use *ret) must_check;
int snap_quota_find(struct snap *snap, const struct account *account, struct span name,
                    struct quota_use *ret) must_check;
int snap_quota_seek(struct snap *snap, const struct account *account, uint32_t from,
                    struct quota_use *ret) must_check;

/* Whether something of it is used up or more than that. */
static inline bool quota_is_full(const struct quota_use *q, enum quota_resource what)
{
    return q->limit[what] != QUOTA_NONE && q->used[what] >= q->limit[what];
}
/* Whether `n` more would exceed the limit. */
static inline bool quota_exceeds(const struct quota_use *q, enum quota_resource what, uint64_t n)
{
    if (n == 0 || q->limit[what] == QUOTA_NONE)
        return false;
    return q->used[what] > q->limit[what] || n > q->limit[what] - q->used[what];
}

#endif
