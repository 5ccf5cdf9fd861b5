/* store/apply_int.h: what the files of apply share. */
#ifndef STORE_APPLY_INT_H
#define STORE_APPLY_INT_H

#include "index/tables.h"
#include "store/apply.h"

/* What an operation adds to a quota root other than the account's own. */
struct apply_quota {
    uint32_t root;
    uint64_t added[QUOTA_RESOURCES]; /* modulo 2^64 */
};
enum { APPLY_QUOTA_SLOTS = 4, APPLY_QUOTA_PER_OP = 2 };

/* One frame being applied. */
struct apply {
    struct index_txn *txn;
    const struct apply_options *options;
    const struct log_frame *frame;
    struct err *err;
    struct index_state state;
    /* Appends to one mailbox share a stream. */
    struct row_appender *appender;
    uint32_t appender_mailbox;
    /* Keywords seen in rows that were added to a mailbox. */
    uint64_t keywords[INDEX_KEYWORD_IDS / 64 + 1];
    bool keywords_seen;
    struct apply_quota quota[APPLY_QUOTA_SLOTS];
    size_t quotas;
};

/* The operation contradicts the state: an error, or (lenient) nothing. */
int apply_contradiction(struct apply *a, const char *what, uint64_t which);
/* The same for an error that may be ERR_NOT_FOUND or ERR_INVALID. */
int apply_error(struct apply *a, int rc, const char *what, uint64_t which);

static inline void apply_modseq(struct apply *a, uint64_t modseq)
{
    a->state.modseq = MAX(a->state.modseq, modseq);
}

/* After damage: messages come to a mailbox of which no readable frame tells. It is there again,
 * with its id, by which later frames know it, as INBOX or under a name that says so, and with
 * another UIDVALIDITY: what clients knew of it may be missing. ERR_NOT_FOUND: not lenient. */
int apply_found_again(struct apply *a, uint32_t mailbox, uint64_t modseq) must_check;

/* One row more or less. */
void apply_count(struct apply *a, struct mailbox_info *m, const struct row *row, int sign);

/* apply_quota.c: a root uses more (less: negative numbers modulo 2^64). Kept until
 * apply_quota_settle; an operation adds to at most APPLY_QUOTA_PER_OP roots. */
void apply_quota_add(struct apply *a, uint32_t root, enum quota_resource what, uint64_t n);
int apply_quota_settle(struct apply *a) must_check;
int apply_quota_op(struct apply *a, const struct op *op) must_check;
/* apply_metadata.c */
int apply_metadata(struct apply *a, const struct metadata_entry *op) must_check;
/* All entries of a mailbox that goes. */
int apply_metadata_drop(struct apply *a, const struct mailbox_info *m) must_check;

/* The mailbox and all that it holds, as it stands, goes to another root. */
void apply_quota_move(struct apply *a, const struct mailbox_info *m, uint32_t from, uint32_t to);

/* The stream that adds rows to a mailbox; ended by apply_settle. */
int apply_appender(struct apply *a, uint32_t mailbox, struct row_appender **ret) must_check;
int apply_settle(struct apply *a) must_check;

void apply_keywords_note(struct apply *a, const struct row *row);
/* Records the noted ones as used in the mailbox, and forgets them. */
int apply_keywords_keep(struct apply *a, uint32_t mailbox) must_check;

/* Where the bytes are. */
int apply_location(struct apply *a, const struct op_body *body,
                   struct message_location *ret) must_check;

/* apply_rows.c */
int apply_append(struct apply *a, const struct op_append *op) must_check;
int apply_flags(struct apply *a, const struct op_flags *op) must_check;
int apply_seen(struct apply *a, const struct op_seen *op) must_check;
int apply_copy(struct apply *a, const struct op_copy *op) must_check;
int apply_expunge(struct apply *a, const struct op_expunge *op) must_check;
/* All rows of a mailbox. */
int apply_empty(struct apply *a, struct mailbox_info *m, uint64_t modseq) must_check;

/* apply_base.c */
int apply_base(struct apply *a, const struct op *op) must_check;

#endif
