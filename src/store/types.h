/* store/types.h: the words of the mail model that every part of the store shares.
 *
 * Plain data. The store knows accounts, mailboxes, messages and changes, and nothing of IMAP's text. */
#ifndef STORE_TYPES_H
#define STORE_TYPES_H

#include "base/ranges.h"
#include "base/span.h"

#define ACCOUNT_ID_LEN 16

/* The random name of an account's directory; never used again after a deletion. */
struct account_id {
    unsigned char b[ACCOUNT_ID_LEN];
};

/* System flags (RFC 9051 section 2.3.2) as they stand in rows and operations. \Recent is not among
 * them: it belongs to a session (RFC 3501 section 2.3.2). */
enum message_flag {
    FLAG_SEEN = 1 << 0,
    FLAG_ANSWERED = 1 << 1,
    FLAG_FLAGGED = 1 << 2,
    FLAG_DELETED = 1 << 3,
    FLAG_DRAFT = 1 << 4,
    FLAG_ALL = 0x1f,
};

/* Special uses (RFC 6154) as a bit set. */
enum special_use {
    USE_ALL = 1 << 0,
    USE_ARCHIVE = 1 << 1,
    USE_DRAFTS = 1 << 2,
    USE_FLAGGED = 1 << 3,
    USE_JUNK = 1 << 4,
    USE_SENT = 1 << 5,
    USE_TRASH = 1 << 6,
    USE_IMPORTANT = 1 << 7, /* RFC 8457 */
};

enum {
    MAILBOX_NAME_MAX = 480,      /* octets of UTF-8; an index key has room for no more */
    MAILBOX_DELIMITER = '/',
    KEYWORD_NAME_MAX = 128,      /* octets */
    KEYWORDS_PER_MESSAGE = 255,  /* more: the change is refused with ERR_LIMIT */
    KEYWORDS_PER_ACCOUNT = 8192, /* distinct names ever used; more: ERR_LIMIT */
};

/* When a message entered, as given or received: seconds since 1970 UTC and the zone in which it was
 * expressed, so that INTERNALDATE returns what APPEND was given. */
struct internal_date {
    int64_t seconds;
    int16_t zone_minutes;
};

/* Where bytes lie in the account's log. Opaque outside store and log; stable until compaction moves
 * them, so look it up anew (snap_message) for every use that spans a slice of work. */
struct message_location {
    uint64_t segment, offset, length;
};

/* A mailbox as a snapshot shows it. Spans point into the snapshot. */
struct mailbox_info {
    uint32_t id;         /* 1..; never reused within the account */
    struct span name;    /* UTF-8, normalised; "INBOX" in capitals */
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint64_t highest_modseq; /* of its newest visible change; >= 1 */
    uint32_t exists, unseen, deleted; /* messages; without \Seen; with \Deleted */
    uint64_t bytes, deleted_bytes;    /* sum of RFC822.SIZE; of those with \Deleted */
    uint32_t recent_uid; /* messages with a higher UID are recent to the next rev1 session */
    uint32_t special_use;
    uint64_t created_modseq;
    unsigned char object_id[16]; /* survives RENAME (RFC 8474) */
    struct span keyword_ids;     /* u16 each: keywords ever used in this mailbox */
};

/* A message in a mailbox. `keywords` (ids, ascending) points into the snapshot. */
struct row {
    uint32_t uid;
    uint16_t flags; /* enum message_flag */
    uint16_t keyword_count;
    const unsigned char *keywords; /* keyword_count times u16 little-endian: row_keyword() */
    uint64_t message_id;           /* the stored bytes; shared by copies */
    uint64_t modseq;               /* of its last change */
    uint64_t created_modseq;       /* of its appearance in this mailbox */
    uint64_t size;                 /* RFC822.SIZE */
    struct internal_date internal_date;
    int64_t save_date; /* seconds: RFC 8514 */
};

static inline uint16_t row_keyword(const struct row *row, size_t i)
{
    uint16_t v;
    memcpy(&v, row->keywords + 2 * i, 2);
    return v;
}

#endif
