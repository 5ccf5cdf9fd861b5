/* imap/convert_cache.h: texts that were converted lately, so that a client that takes one piece by
 * piece does not have it converted for each piece (RFC 5259 section 8.5).
 *
 * One per process, for all its sessions: CONVERT_CACHE_TEXTS texts of CONVERT_CACHE_OCTETS together
 * at most, those that were used last. A message never changes, so nothing in it gets stale; who may
 * read the message is asked before. One thread. */
#ifndef IMAP_CONVERT_CACHE_H
#define IMAP_CONVERT_CACHE_H

#include "imap/session.h"
#include "store/types.h"

enum {
    CONVERT_CACHE_TEXTS = 8,
    CONVERT_CACHE_OCTETS = 8 << 20,
    CONVERT_CACHE_SOURCE = 16 << 10, /* what is smaller is as quickly converted again */
};

struct convert_key {
    struct account_id account;
    uint64_t message_id, offset;      /* of the part's body in the message */
    struct span charset, replacement; /* replacement.p NULL: none */
};

/* Appends the text to out; false if it is not there. */
bool convert_cache_get(struct imap_host *host, const struct convert_key *key, struct buf *out);
void convert_cache_put(struct imap_host *host, const struct convert_key *key, struct span text);

#endif
