/* store/metadata.h: metadata of mailboxes and of the account (RFC 5464): small named values, shared
 * or private to a user. Entries belong to the mailbox, not to its name: they follow RENAME and go
 * with DELETE. Changed by REQUEST_METADATA. */
#ifndef STORE_METADATA_H
#define STORE_METADATA_H

#include "store/snapshot.h"

/* One entry; ERR_NOT_FOUND if it has no value. `name` in lower case; mailbox 0: the account's. */
int snap_metadata(struct snap *snap, uint32_t mailbox, struct span owner, struct span name,
                  struct span *ret_value) must_check;
/* A walk over the entries of one mailbox and owner: the first with a name >= from (> from if
 * `after`), removed ones, too. ERR_NOT_FOUND at the end. */
int snap_metadata_seek(struct snap *snap, uint32_t mailbox, struct span owner, struct span from,
                       bool after, struct metadata_entry *ret) must_check;
/* MODSEQ of the newest change of any metadata of the account. */
uint64_t snap_metadata_modseq(struct snap *snap);
/* The first mailbox with an id >= from whose metadata changed after `since`. */
int snap_metadata_changed(struct snap *snap, uint32_t from, uint64_t since,
                          struct mailbox_info *ret) must_check;

#endif
