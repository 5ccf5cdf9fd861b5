/* store/ops.h: the operations in a frame.
 *
 * A frame of the account's log is one atomic change: a list of operations, each of which states a
 * result (UIDs, MODSEQs, ids, times), never a wish. The catalogue, byte by byte, is in
 * docs/log-format.md; apply.h turns operations into changes of the index.
 *
 * Encoding appends to a buf and cannot fail except by its bound. Decoding never reads outside the
 * span, allocates no more than the bytes of the operation allow, and refuses numbers beyond
 * INDEX_NUMBER_MAX. Pure; any thread. */
#ifndef STORE_OPS_H
#define STORE_OPS_H

#include "base/err.h"
#include "log/log.h"
#include "store/types.h"

/* Kinds below 128 must be understood by a reader; unknown ones from 128 on may be skipped. */
enum op_kind {
    OP_KEYWORD = 1, /* a keyword gets an id */
    OP_MAILBOX_CREATE = 2,
    OP_MAILBOX_DELETE = 3, /* with its messages */
    OP_MAILBOX_RENAME = 4, /* one mailbox; inferiors have operations of their own */
    OP_SPECIAL_USE = 5,
    OP_SUBSCRIBE = 6, /* or unsubscribe */
    OP_APPEND = 7,
    OP_IMPORT = 8, /* append with given UID, UIDVALIDITY, MODSEQ and dates */
    OP_FLAGS = 9,
    OP_COPY = 10,
    OP_EXPUNGE = 11,
    OP_RECENT = 12,
    OP_RELOCATE = 13,
    OP_METADATA = 16,   /* an entry of a mailbox, or of the account, gets a value or goes */
    OP_QUOTA = 17,      /* a quota root and its limits; or it goes */
    OP_QUOTA_ROOT = 18, /* the root that counts a mailbox */
    OP_TRANSFER = 19,   /* messages are about to go to another account, or that is over */
    OP_ACL = 14,        /* what an identifier may do with a mailbox */
    OP_SEEN = 15,       /* messages that somebody else than the owner has seen, or not */
    OP_URLAUTH_KEY = 20,

    /* The full state, as compaction writes it at the beginning of a base. */
    OP_BASE_BEGIN = 32, /* everything before is void; account-wide counters */
    OP_BASE_MAILBOX = 33,
    OP_BASE_MESSAGE = 34,
    OP_BASE_ROW = 35,
    OP_BASE_EXPUNGED = 36,
    OP_BASE_END = 37,     /* sums, to be compared */
    OP_BASE_SEGMENT = 38, /* dead octets of a segment that stays */

    /* The site log. */
    OP_SITE_NAME = 64, /* a user name belongs to an account */
    OP_SITE_GONE = 65,
    OP_SITE_MEMBER = 66, /* a user belongs to a group, or no longer */
    OP_SITE_GRANT = 67,  /* a user may have given rights to an identifier */

    OP_OPTIONAL = 128,
    OP_DELIVERY = 128, /* what the appends of this frame came by; in a base, what is still known */
    OP_BASE_SETTLED = 129, /* where the base in force has put messages has been said by RELOCATEs */
};

/* Types of the log's frames. A base frame holds BASE operations alone. */
enum frame_type { FRAME_CHANGE = 1, FRAME_BASE = 2 };
enum { FRAME_VERSION = 1 };

enum { SITE_NAME_MAX = 255 }; /* octets of a user name */

/* Where the bytes of a message are: in the payload of the same frame (payload.offset counts from
 * its beginning), or elsewhere in the log: a segment of their own, or where a base found them. */
struct op_body {
    bool external;
    uint64_t segment; /* external only; payload.offset is then that in the segment */
    struct payload_header payload;
};

struct op_keyword {
    uint16_t id; /* above all that were given out */
    struct span name;
};

struct op_mailbox_create {
    uint32_t mailbox; /* above all that were given out */
    uint64_t modseq;
    uint32_t uidvalidity;
    uint32_t special_use;
    unsigned char object_id[16];
    struct span name;
};

struct op_mailbox_delete {
    uint32_t mailbox;
    uint64_t modseq;
};

struct op_mailbox_rename {
    uint32_t mailbox;
    uint64_t modseq;
    struct span name;
};

struct op_special_use {
    uint32_t mailbox;
    uint64_t modseq;
    uint32_t special_use;
};

struct op_subscribe {
    uint64_t modseq;
    bool subscribed;
    struct span name;
};

/* OP_APPEND and OP_IMPORT, which adds uidvalidity and created_modseq. */
struct op_append {
    uint32_t mailbox;
    uint32_t uid; /* >= uidnext, which becomes uid + 1 */
    uint64_t message_id;
    uint64_t modseq;
    uint16_t flags;
    uint16_t keyword_count;
    const unsigned char *keywords; /* ids, u16 little-endian, ascending */
    struct internal_date internal_date;
    int64_t save_date;
    uint64_t size; /* RFC822.SIZE */
    struct op_body body;
    uint32_t uidvalidity;    /* IMPORT: what the mailbox shall have; 0: as it is */
    uint64_t created_modseq; /* IMPORT; APPEND: the same as modseq */
};

enum op_keyword_mode { OP_KEYWORDS_KEEP, OP_KEYWORDS_ADD, OP_KEYWORDS_REMOVE, OP_KEYWORDS_REPLACE };

/* Every live message of `uids` gets the modseq. uids may cover numbers without a message. */
struct op_flags {
    uint32_t mailbox;
    uint64_t modseq;
    uint16_t add, remove; /* system flags; remove first */
    enum op_keyword_mode keyword_mode;
    uint16_t keyword_count;
    const unsigned char *keywords; /* ids, u16 little-endian, ascending */
    const struct ranges *uids;
};

/* Exactly the messages `uids` (all live), in ascending order, become first_uid, first_uid + 1 ...
 * of the target. A move is OP_COPY and then OP_EXPUNGE in one frame. */
struct op_copy {
    uint32_t mailbox, target;
    uint32_t first_uid; /* >= the target's uidnext */
    uint64_t modseq;
    int64_t save_date;
    const struct ranges *uids;
};

/* Exactly the messages `uids` (all live) go. */
struct op_expunge {
    uint32_t mailbox;
    uint64_t modseq;
    const struct ranges *uids;
};

struct op_recent {
    uint32_t mailbox;
    uint32_t recent_uid; /* never falls */
};

struct op_relocate {
    uint64_t message_id;
    struct op_body body;
};

struct op_base_begin {
    uint64_t modseq, message_id;
    uint32_t mailbox_id, uidvalidity;
};

struct op_base_mailbox {
    uint32_t mailbox, uidvalidity, uidnext, recent_uid, special_use;
    uint64_t highest_modseq, created_modseq, forgotten_modseq;
    unsigned char object_id[16];
    struct span name;
    struct span keyword_ids; /* u16 each: mailbox_info */
};

struct op_base_message {
    uint64_t message_id;
    struct op_body body;
};

/* Rows of a mailbox come in ascending UID order, after its OP_BASE_MAILBOX and the messages. */
struct op_base_row {
    uint32_t mailbox;
    struct row row;
};

struct op_base_expunged {
    uint32_t mailbox;
    uint64_t modseq;
    uint64_t time; /* microseconds */
    const struct ranges *uids;
};

struct op_base_segment {
    uint64_t segment, messages, bytes;
};

struct op_base_end {
    uint64_t messages, bytes;
};

/* A delivery that happened; known until then, in seconds since 1970. */
struct op_delivery {
    unsigned char id[16];
    uint64_t until;
};

struct op_base_settled {
    uint64_t segment; /* the first one of the base */
};

/* The messages `uids` are about to go into the mailbox `name` of the account of `user`; or, not
 * begins: whether they went or not, that is over (an OP_EXPUNGE says that they went). */
struct op_transfer {
    bool begins;
    unsigned char id[16];
    uint32_t mailbox;
    struct span user, name;
    const struct ranges *uids;
};

/* A key of URLAUTH, for the mailbox with that object id. Not present: all keys are void. */
struct op_acl {
    uint32_t mailbox;
    uint64_t modseq;
    struct span identifier;
    uint32_t rights; /* enum right; 0: the entry goes */
};

/* \Seen of a user who is not the owner. The messages get the MODSEQ, so that everybody who looks
 * for changes finds them; 0, in a base: they keep theirs. */
struct op_seen {
    uint32_t mailbox;
    uint64_t modseq;
    bool seen;
    struct span user;
    const struct ranges *uids;
};

struct op_urlauth_key {
    bool present;
    unsigned char mailbox[16];
    unsigned char key[32];
};

/* Limits are QUOTA_NONE, QUOTA_DEFAULT or numbers. */
struct op_quota {
    uint32_t root; /* 0: the account's own */
    bool exists;   /* false: no mailbox has it any more, and it goes */
    uint64_t limit[QUOTA_RESOURCES];
    struct span name; /* of others than root 0 */
};

struct op_quota_root {
    uint32_t mailbox, root;
};

struct op_site_name {
    struct account_id account;
    struct span user;
};

struct op_site_member {
    bool present;
    struct span group, user;
};

struct op_site_grant {
    struct span owner, identifier;
};

struct op {
    enum op_kind kind;
    union {
        struct op_keyword keyword;
        struct op_mailbox_create mailbox_create;
        struct op_mailbox_delete mailbox_delete;
        struct op_mailbox_rename mailbox_rename;
        struct op_special_use special_use;
        struct op_subscribe subscribe;
        struct op_append append; /* and IMPORT */
        struct op_flags flags;
        struct op_copy copy;
        struct op_expunge expunge;
        struct op_recent recent;
        struct op_relocate relocate;
        struct op_base_begin base_begin;
        struct op_base_mailbox base_mailbox;
        struct op_base_message base_message;
        struct op_base_row base_row;
        struct op_base_expunged base_expunged;
        struct op_base_segment base_segment;
        struct op_base_end base_end;
        struct op_site_name site_name; /* and GONE: user alone */
        struct op_site_member site_member;
        struct op_site_grant site_grant;
        struct op_delivery delivery;
        struct op_transfer transfer;
        struct op_acl acl;
        struct op_seen seen;
        struct op_urlauth_key urlauth_key;
        struct op_base_settled base_settled;
        struct metadata_entry metadata;
        struct op_quota quota;
        struct op_quota_root quota_root;
    };
};

/* Appends one operation. */
void op_put(struct buf *to, const struct op *op);

/* Walks the operations of a frame. What an op points to lies in the span or in the decoder and is
 * valid until the next call. */
struct op_reader {
    struct span left;
    struct ranges uids; /* the decoder's own */
};

void op_reader_init(struct op_reader *r, struct span ops);
void op_reader_done(struct op_reader *r);
/* 0 with an operation; ERR_NOT_FOUND at the end; ERR_CORRUPT; ERR_VERSION for an operation that
 * this version must but does not understand. Unknown optional ones (kind >= OP_OPTIONAL) are
 * returned with their kind alone. */
int op_next(struct op_reader *r, struct op *ret, struct err *err) must_check;

/* How many operations (0 for malformed ones): what replay will cost. */
size_t ops_count(struct span ops);

#endif
