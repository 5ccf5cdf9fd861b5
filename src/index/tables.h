/* index/tables.h: the tables of an account's index.
 *
 * Everything works inside a transaction (index/index.h) and sees what the transaction has changed.
 * Results are 0, ERR_NOT_FOUND where a thing may be absent, or an error that sticks to the index.
 * Spans that come out are valid until the transaction's next change or end. How rows, messages and
 * derived records are laid out is said in rows.c, messages.c and derived.c. */
#ifndef INDEX_TABLES_H
#define INDEX_TABLES_H

#include "index/index.h"

/* --- mailboxes --- */

/* keyword_ids are read too (`with_keywords`), they are written by index_mailbox_keyword. */
int index_mailbox_get(struct index_txn *txn, uint32_t id, bool with_keywords,
                      struct mailbox_info *ret) must_check;
/* For a change: name stays valid whatever is written, until two other mailboxes were taken so.
 * Write transactions only; without keywords. */
int index_mailbox_edit(struct index_txn *txn, uint32_t id, struct mailbox_info *ret) must_check;
int index_mailbox_put(struct index_txn *txn, const struct mailbox_info *info) must_check;
/* With keywords and memory of expunges; the rows must be gone. */
int index_mailbox_del(struct index_txn *txn, uint32_t id) must_check;
/* The first mailbox with an id >= `from`. */
int index_mailbox_seek(struct index_txn *txn, uint32_t from, struct mailbox_info *ret) must_check;
/* A keyword was used there. */
int index_mailbox_keyword(struct index_txn *txn, uint32_t id, uint16_t keyword) must_check;

/* --- names --- */

struct index_name {
    struct span name;
    uint32_t id; /* 0: only subscribed */
    bool subscribed;
};

int index_name_get(struct index_txn *txn, struct span name, struct index_name *ret) must_check;
/* Neither id nor subscribed: removes it. */
int index_name_put(struct index_txn *txn, const struct index_name *name) must_check;
/* The first name >= from, or > from if `after`. */
int index_name_seek(struct index_txn *txn, struct span from, bool after,
                    struct index_name *ret) must_check;

/* --- keywords: ids are 1.. --- */

int index_keyword_name(struct index_txn *txn, uint16_t id, struct span *ret) must_check;
int index_keyword_id(struct index_txn *txn, struct span name, uint16_t *ret) must_check;
int index_keyword_put(struct index_txn *txn, uint16_t id, struct span name) must_check;

/* --- rows --- */

/* A walk in UID order. Plain data plus an LMDB cursor: end it with rows_end. */
struct row_iter {
    struct index_txn *txn;
    void *cursor;
    uint32_t mailbox;
    const unsigned char *rows, *keywords; /* of the block at the cursor */
    uint32_t count, at;                   /* rows in it; the next one */
    uint32_t keyword_left;                /* octets from `keywords` on */
};

int rows_begin(struct row_iter *it, struct index_txn *txn, uint32_t mailbox) must_check;
void rows_end(struct row_iter *it);
/* The first row with UID >= uid; the next one. */
int rows_seek(struct row_iter *it, uint32_t uid, struct row *ret) must_check;
int rows_next(struct row_iter *it, struct row *ret) must_check;

int rows_get(struct index_txn *txn, uint32_t mailbox, uint32_t uid, struct row *ret) must_check;
/* Rows with UID <= uid; the UID of the n-th (from 1). */
int rows_count_upto(struct index_txn *txn, uint32_t mailbox, uint32_t uid,
                    uint32_t *ret) must_check;
int rows_uid_at(struct index_txn *txn, uint32_t mailbox, uint32_t n, uint32_t *ret) must_check;
/* Adds the UIDs of rows with modseq > since. Looks only into blocks that have such rows. */
int rows_changed(struct index_txn *txn, uint32_t mailbox, uint64_t since,
                 struct ranges *ret) must_check;

/* Adds rows above all that the mailbox has, ascending. Opens a stream, so that many cost little:
 * nothing else may touch the rows of the mailbox until rows_append_end, which also frees it after
 * an error. */
struct row_appender;
int rows_append_begin(struct index_txn *txn, uint32_t mailbox,
                      struct row_appender **ret) must_check;
int rows_append(struct row_appender *a,
                const struct row *row) must_check; /* ERR_INVALID: not above */
int rows_append_end(struct row_appender *a);

/* Goes through the rows within uids (NULL: all), ascending; `edit` may change all of a row but its
 * UID, or have it deleted. `room` is space for INDEX_KEYWORDS_MAX keyword ids, for row->keywords to
 * point to. `edit` must not touch rows of the mailbox itself (but may append to it where it changes
 * nothing). A negative verdict is an error that ends the walk. */
enum row_verdict { ROW_KEEP, ROW_CHANGED, ROW_DELETED };
typedef int row_edit_fn(void *ctx, struct row *row, unsigned char *room);
int rows_edit(struct index_txn *txn, uint32_t mailbox, const struct ranges *uids, row_edit_fn *edit,
              void *ctx) must_check;

/* Everything about counts and newest MODSEQs compared with the rows: ERR_CORRUPT if it does not
 * hold. For tests and for `check`. */
int rows_verify(struct index_txn *txn, uint32_t mailbox, struct err *err) must_check;

/* --- ghosts: expunged rows that a session still shows --- */

int index_ghost_put(struct index_txn *txn, uint32_t mailbox, const struct row *row,
                    uint64_t expunge_modseq) must_check;
int index_ghost_get(struct index_txn *txn, uint32_t mailbox, uint32_t uid,
                    struct row *ret) must_check;
/* The first ghost at or after (mailbox, uid). */
int index_ghost_seek(struct index_txn *txn, uint32_t mailbox, uint32_t uid, uint32_t *ret_mailbox,
                     struct row *ret, uint64_t *ret_expunge_modseq) must_check;
int index_ghost_del(struct index_txn *txn, uint32_t mailbox, uint32_t uid) must_check;

/* --- memory of expunges --- */

int index_gone_add(struct index_txn *txn, uint32_t mailbox, uint64_t modseq, uint64_t time,
                   const struct ranges *uids) must_check;
/* Forgets at most `limit` entries of a mailbox older than `time` (microseconds), the oldest first.
 * *ret_modseq: of the newest that was forgotten; untouched if none was. */
int index_gone_forget(struct index_txn *txn, uint32_t mailbox, uint64_t time, unsigned limit,
                      uint64_t *ret_modseq) must_check;

struct index_gone {
    uint32_t mailbox;
    uint64_t modseq, time;
    struct span uids; /* ranges_encode: index_gone_uids */
};
/* The first entry of the mailbox with modseq > since / the next one. */
int index_gone_seek(struct index_txn *txn, uint32_t mailbox, uint64_t since,
                    struct index_gone *ret) must_check;
int index_gone_next(struct index_txn *txn, uint32_t mailbox, struct index_gone *ret) must_check;
/* Adds the entry's UIDs. */
int index_gone_uids(struct index_txn *txn, const struct index_gone *gone,
                    struct ranges *ret) must_check;

/* --- messages: stored bytes, shared by copies --- */

struct index_message {
    struct message_location where;
    uint32_t refs; /* rows and ghosts */
};

int index_message_get(struct index_txn *txn, uint64_t id, struct index_message *ret) must_check;
/* With no reference yet; replaces location alone if it exists. */
int index_message_put(struct index_txn *txn, uint64_t id,
                      const struct message_location *where) must_check; /* ERR_INVALID */
/* One more or one less. At none the message goes: its octets are dead in its segment, its derived
 * record is dropped. */
int index_message_ref(struct index_txn *txn, uint64_t id, int delta) must_check;
/* The first message with an id >= from. */
int index_message_seek(struct index_txn *txn, uint64_t from, uint64_t *ret_id,
                       struct index_message *ret) must_check;

/* Dead octets of segments. */
struct index_dead {
    uint64_t segment, messages, bytes;
};
int index_dead_seek(struct index_txn *txn, uint64_t from, struct index_dead *ret) must_check;
int index_dead_add(struct index_txn *txn, uint64_t segment, uint64_t messages,
                   uint64_t bytes) must_check;
int index_dead_del(struct index_txn *txn, uint64_t segment) must_check;

/* --- derived records: blobs outside LMDB --- */

int index_derived_get(struct index_txn *txn, uint64_t message_id, struct span *ret) must_check;
/* ERR_NOT_FOUND: no such message. A record that cannot be kept (disk full) is left out: it can be
 * made again. */
int index_derived_put(struct index_txn *txn, uint64_t message_id, struct span record) must_check;

/* --- deliveries: known until a time, in seconds since 1970 --- */

enum { DELIVERY_ID_SIZE = 16 };

struct index_delivery {
    uint64_t until;
    unsigned char id[DELIVERY_ID_SIZE];
};

int index_delivery_get(struct index_txn *txn, const unsigned char id[DELIVERY_ID_SIZE],
                       uint64_t *ret_until) must_check;
int index_delivery_put(struct index_txn *txn, const unsigned char id[DELIVERY_ID_SIZE],
                       uint64_t until) must_check;
/* In the order of times: the one after `after`; without it, the first that is known at `from`. */
int index_delivery_seek(struct index_txn *txn, const struct index_delivery *after, uint64_t from,
                        struct index_delivery *ret) must_check;
/* Forgets at most `limit` that were known until before that time. */
int index_delivery_forget(struct index_txn *txn, uint64_t before, unsigned limit) must_check;

/* --- messages on their way to another account --- */

enum { TRANSFER_ID_SIZE = 16 };

struct index_transfer {
    unsigned char id[TRANSFER_ID_SIZE];
    uint32_t mailbox;       /* where they come from */
    struct span user, name; /* whose mailbox they go to */
    struct span uids;       /* ranges_encode */
};

int index_transfer_get(struct index_txn *txn, const unsigned char id[TRANSFER_ID_SIZE],
                       struct index_transfer *ret) must_check;
int index_transfer_put(struct index_txn *txn, const struct index_transfer *t) must_check;
int index_transfer_del(struct index_txn *txn, const unsigned char id[TRANSFER_ID_SIZE]) must_check;
/* The first one >= from (strictly after it if `after`). */
int index_transfer_seek(struct index_txn *txn, const unsigned char from[TRANSFER_ID_SIZE],
                        bool after, struct index_transfer *ret) must_check;

/* --- keys of URLAUTH, by the object id of the mailbox --- */

enum { URL_KEY_MAILBOX = 16, URL_KEY_SIZE = 32 };

struct index_url_key {
    unsigned char mailbox[URL_KEY_MAILBOX];
    unsigned char key[URL_KEY_SIZE];
};

int index_url_key_get(struct index_txn *txn, const unsigned char mailbox[URL_KEY_MAILBOX],
                      unsigned char ret[URL_KEY_SIZE]) must_check;
int index_url_key_put(struct index_txn *txn, const unsigned char mailbox[URL_KEY_MAILBOX],
                      const unsigned char value[URL_KEY_SIZE]) must_check;
int index_url_key_del(struct index_txn *txn,
                      const unsigned char mailbox[URL_KEY_MAILBOX]) must_check;
/* The first one >= from (strictly after it if `after`). */
int index_url_key_seek(struct index_txn *txn, const unsigned char from[URL_KEY_MAILBOX], bool after,
                       struct index_url_key *ret) must_check;

/* --- metadata (RFC 5464) --- */

int index_metadata_get(struct index_txn *txn, uint32_t mailbox, struct span owner, struct span name,
                       struct metadata_entry *ret) must_check;
int index_metadata_put(struct index_txn *txn, const struct metadata_entry *entry) must_check;
int index_metadata_del(struct index_txn *txn, const struct metadata_entry *entry) must_check;
/* The first entry at or (`after`) behind this place, in the order of mailbox, owner, name; removed
 * ones, too. ret->mailbox ... tell where it is. */
int index_metadata_seek(struct index_txn *txn, uint32_t mailbox, struct span owner,
                        struct span name, bool after, struct metadata_entry *ret) must_check;

/* --- quota roots (RFC 9208) ---
 *
 * Each mailbox belongs to one root. Root 0 is the account's own one: its usage is that of the state
 * without that of all others, so that an account without other roots counts nothing twice. */

struct index_quota {
    uint32_t root;
    struct span name; /* empty for root 0 */
    uint64_t limit[QUOTA_RESOURCES], used[QUOTA_RESOURCES];
};

int index_quota_get(struct index_txn *txn, uint32_t root, struct index_quota *ret) must_check;
/* The first root with a number >= from. Root 0 has a record only if it has limits of its own; its
 * `used` is 0. */
int index_quota_seek(struct index_txn *txn, uint32_t from, struct index_quota *ret) must_check;
int index_quota_put(struct index_txn *txn, const struct index_quota *quota) must_check;
int index_quota_del(struct index_txn *txn, uint32_t root) must_check;
/* --- access control lists --- */

struct index_acl {
    struct span identifier;
    uint32_t rights;
};

/* No rights: the entry goes. ERR_INVALID: no such identifier can be. */
int index_acl_put(struct index_txn *txn, uint32_t mailbox, struct span identifier,
                  uint32_t rights) must_check;
/* The first entry of the mailbox after `from`; with none, the first. */
int index_acl_seek(struct index_txn *txn, uint32_t mailbox, struct span from,
                   struct index_acl *ret) must_check;
int index_acl_clear(struct index_txn *txn, uint32_t mailbox) must_check;

/* --- \Seen of those who are not the owner (seen.c) --- */

/* Empty, if he has seen nothing. */
int index_seen_get(struct index_txn *txn, uint32_t mailbox, struct span user,
                   struct ranges *ret) must_check;
int index_seen_put(struct index_txn *txn, uint32_t mailbox, struct span user,
                   const struct ranges *uids) must_check;
/* The first user after `from` who has seen something there; with none, the first. */
int index_seen_seek(struct index_txn *txn, uint32_t mailbox, struct span from,
                    struct span *ret_user) must_check;
int index_seen_clear(struct index_txn *txn, uint32_t mailbox) must_check;

/* --- the site log: names that belong together (pairs.c) --- */

enum index_pair {
    PAIR_MEMBER = 1, /* group, user */
    PAIR_GROUP,      /* user, group */
    PAIR_GRANT,      /* identifier of access control lists, user who may have given it rights */
};
int index_pair_put(struct index_txn *txn, enum index_pair kind, struct span first,
                   struct span second, bool present) must_check;
bool index_pair_has(struct index_txn *txn, enum index_pair kind, struct span first,
                    struct span second);
/* The first name that belongs to `first`, behind `from` (SPAN_EMPTY: the first). ERR_NOT_FOUND. */
int index_pair_seek(struct index_txn *txn, enum index_pair kind, struct span first,
                    struct span from, struct span *ret_second) must_check;
/* The pair behind this one (at_second empty: the first of all). Those of one first name stand
 * together, in no order of these. ERR_NOT_FOUND. */
int index_pair_walk(struct index_txn *txn, enum index_pair kind, struct span at_first,
                    struct span at_second, struct span *ret_first,
                    struct span *ret_second) must_check;

/* --- the site log: account ids by user name --- */

int index_site_get(struct index_txn *txn, struct span user, unsigned char ret[16]) must_check;
int index_site_put(struct index_txn *txn, struct span user,
                   const unsigned char account[16]) must_check;
int index_site_del(struct index_txn *txn, struct span user) must_check;
int index_site_seek(struct index_txn *txn, struct span from, bool after, struct span *ret_user,
                    unsigned char ret[16]) must_check;

#endif
