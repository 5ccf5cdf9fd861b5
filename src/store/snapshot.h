/* store/snapshot.h: reading an account.
 *
 * A snapshot is one short LMDB read transaction: a consistent state of the whole account, taken
 * without a lock and without copying. Everything it returns as a span or pointer lies in mapped
 * pages and is valid until snap_end. A snapshot must not outlive one slice of work (never across a
 * return to the event loop). Any number may be open, on the account's loop thread.
 *
 * Functions return 0, ERR_NOT_FOUND where a thing may be absent, ERR_CORRUPT or ERR_IO on trouble
 * with the index (the account then closes itself for a rebuild). */
#ifndef STORE_SNAPSHOT_H
#define STORE_SNAPSHOT_H

#include "base/buf.h"
#include "store/types.h"

struct account;
struct snap;

int snap_begin(struct account *account, struct snap **ret) must_check;
/* With the eyes of a user who is not the owner: \Seen of the rows is his. user stays as it is until
 * snap_end; empty: the owner. */
int snap_begin_as(struct account *account, struct span user, struct snap **ret) must_check;
void snap_end(struct snap *snap);
static inline void cleanup_snap(struct snap **snap)
{
    if (*snap)
        snap_end(*snap);
}
#define autosnap cleanup_with(cleanup_snap) struct snap

uint64_t snap_modseq(const struct snap *snap); /* newest change of the account that it shows */

/* --- mailboxes --- */

int snap_mailbox(struct snap *snap, uint32_t id, struct mailbox_info *ret) must_check;
int snap_mailbox_find(struct snap *snap, struct span name, struct mailbox_info *ret) must_check;

/* Messages that whoever reads has not seen: info->unseen is the owner's. */
int snap_unseen(struct snap *snap, const struct mailbox_info *info, uint32_t *ret) must_check;

/* An entry of the name table. A name may be subscribed without existing (RFC 9051 section 6.3.7)
 * and may exist only as a superior of others. */
struct mailbox_name {
    struct span name;
    uint32_t id; /* 0: no such mailbox (only subscribed) */
    bool subscribed;
};

/* The first entry with name >= from in byte order (strictly after it if `after`); ERR_NOT_FOUND at
 * the end. Walk with the returned name as the next `from`; the name must be copied if the walk goes
 * on in another snapshot. */
int snap_name_seek(struct snap *snap, struct span from, bool after,
                   struct mailbox_name *ret) must_check;
/* Whether an existing mailbox lies below name (name + '/' + ...). */
bool snap_has_children(struct snap *snap, struct span name);

/* The existing mailbox that a word from outside means, such as the detail of an address: the one
 * with this name, else with '/' where the word has '.', else either without regard to case (RFC
 * 5051; the first of several). Its name replaces *ret. ERR_NOT_FOUND. Costs a walk over the names.
 */
int snap_mailbox_like(struct snap *snap, struct span word, struct buf *ret) must_check;

/* --- keys of URLAUTH --- */

/* With which the account's user signs URLs of the mailbox with that object id; ERR_NOT_FOUND: never
 * did, or all are void. */
int snap_url_key(struct snap *snap, const unsigned char object_id[16],
                 unsigned char ret[32]) must_check;

/* --- access control lists (store/rights.h) --- */

struct identity;
struct acl_entry {
    struct span identifier;
    uint32_t rights;
};
/* The first entry of a mailbox's list after `from` (SPAN_EMPTY: the first). ERR_NOT_FOUND. */
int snap_acl(struct snap *snap, uint32_t mailbox, struct span from,
             struct acl_entry *ret) must_check;
/* What somebody who is not the owner may do. */
int snap_rights(struct snap *snap, uint32_t mailbox, const struct identity *who,
                uint32_t *ret) must_check;

/* --- keywords: account-wide ids --- */

int snap_keyword(struct snap *snap, uint16_t id, struct span *ret_name) must_check;
int snap_keyword_find(struct snap *snap, struct span name,
                      uint16_t *ret_id) must_check; /* ASCII case-insensitive */

/* --- messages --- */

/* A cursor over the rows of a mailbox in UID order. Cheap to make and to advance (tens of ns). */
struct row_cursor;
int row_cursor_open(struct snap *snap, uint32_t mailbox, struct row_cursor **ret) must_check;
void row_cursor_close(struct row_cursor *c);
/* The first row with UID >= uid / the next one. ERR_NOT_FOUND at the end. */
int row_cursor_seek(struct row_cursor *c, uint32_t uid, struct row *ret) must_check;
int row_cursor_next(struct row_cursor *c, struct row *ret) must_check;

int snap_row(struct snap *snap, uint32_t mailbox, uint32_t uid, struct row *ret) must_check;
/* A row that was expunged but that some session may still show; ERR_NOT_FOUND otherwise. */
int snap_ghost(struct snap *snap, uint32_t mailbox, uint32_t uid, struct row *ret) must_check;

/* Live messages with a UID <= uid; the UID of the n-th live message (1-based). From counted chunks:
 * logarithmic, whatever the size of the mailbox. */
int snap_count_upto(struct snap *snap, uint32_t mailbox, uint32_t uid, uint32_t *ret) must_check;
int snap_uid_at(struct snap *snap, uint32_t mailbox, uint32_t n, uint32_t *ret_uid) must_check;

int snap_message(struct snap *snap, uint64_t message_id, struct message_location *ret) must_check;
/* The derived record (message/derived.h). ERR_NOT_FOUND: not made yet or of an older parser; make
 * it with account_derive and go on in a later slice. Sequential ids are found faster than random
 * ones. */
int snap_derived(struct snap *snap, uint64_t message_id, struct span *ret) must_check;

/* --- changes --- */

struct changes {
    uint64_t modseq;  /* state described: the mailbox's highest modseq in this snapshot */
    uint32_t uidnext; /* in this snapshot */
    uint32_t exists;
    struct ranges changed;  /* live messages with modseq > since, new ones included */
    struct ranges expunged; /* UIDs that were live at or after `since` and are not any more; may
                               include UIDs that came and went after `since` */
    bool complete;          /* false: expunges that old are forgotten; compare UID by UID */
    bool gone;              /* the mailbox was deleted */
};
#define CHANGES_INIT                                                                               \
    {                                                                                              \
        0, 0, 0, RANGES_INIT, RANGES_INIT, true, false                                             \
    }
void changes_done(struct changes *c);

/* What happened in a mailbox after modseq `since`. Costs what has changed, not what is there. */
int snap_changes(struct snap *snap, uint32_t mailbox, uint64_t since,
                 struct changes *ret) must_check;

#endif
