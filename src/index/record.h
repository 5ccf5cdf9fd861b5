/* index/record.h: the plain data that the tables of an index hold.
 *
 * The index stores and finds these; what they mean is the store's business (store/types.h, which
 * includes this file). Spans and pointers in a record that was read point into mapped pages and are
 * valid until the transaction ends or, in a write transaction, until its next change. */
#ifndef INDEX_RECORD_H
#define INDEX_RECORD_H

#include "base/bytes.h"
#include "base/ranges.h"

/* Bounds that the compact formats set; whoever makes operations keeps to them. */
enum {
    INDEX_KEYWORDS_MAX = 255, /* keywords of one message */
    INDEX_KEYWORD_IDS = 8192, /* ids are 1..this */
};
#define INDEX_NUMBER_MAX ((1ULL << 47) - 1) /* MODSEQs, message ids, sizes, seconds */
#define INDEX_LOCATION_MAX                                                                         \
    ((1ULL << 40) - 1) /* offset and length; segment numbers have 32 bits                          \
                        */

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
    uint32_t crc; /* CRC32C of the bytes */
};

/* What a quota root counts and limits (RFC 9208 section 5). */
enum quota_resource {
    QUOTA_STORAGE, /* octets of messages */
    QUOTA_MESSAGE,
    QUOTA_MAILBOX,
    QUOTA_ANNOTATION, /* octets of metadata */
    QUOTA_RESOURCES,
};
/* Limits that are no numbers. */
#define QUOTA_NONE    UINT64_MAX       /* there is no limit */
#define QUOTA_DEFAULT (UINT64_MAX - 1) /* what the configuration says */

enum { QUOTA_NAME_MAX = 255 };

enum {
    METADATA_ENTRY_MAX = 230, /* octets of an entry's name; with its owner's it is part of a key */
    METADATA_OWNER_MAX = 255,
    METADATA_VALUE_MAX = 1 << 20,
};

/* An entry of a mailbox's metadata, or (mailbox 0) of the account's own (RFC 5464). */
struct metadata_entry {
    uint32_t mailbox;
    struct span owner; /* whose private entry it is; empty: shared */
    struct span name;  /* lower case, with "/shared" or "/private" */
    struct span value;
    uint64_t modseq;
    bool removed; /* kept for a while, so that others can be told */
};

/* A mailbox as a snapshot shows it. Spans point into the snapshot. */
struct mailbox_info {
    uint32_t id;      /* 1..; never reused within the account */
    struct span name; /* UTF-8, normalised; "INBOX" in capitals */
    uint32_t uidvalidity;
    uint32_t uidnext;
    uint64_t highest_modseq;          /* of its newest visible change; >= 1 */
    uint32_t exists, unseen, deleted; /* messages; without \Seen; with \Deleted */
    uint64_t bytes, deleted_bytes;    /* sum of RFC822.SIZE; of those with \Deleted */
    uint32_t recent_uid; /* messages with a higher UID are recent to the next rev1 session */
    uint32_t special_use;
    uint64_t created_modseq;
    uint64_t forgotten_modseq;   /* expunges up to here may be forgotten */
    uint32_t quota_root;         /* which of the account's quota roots counts it; 0: its own one */
    uint64_t metadata_bytes;     /* entries and values of its metadata (RFC 5464) */
    uint64_t metadata_modseq;    /* of their newest change; 0: never had any */
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
    return load_le16(row->keywords + 2 * i);
}

#endif
