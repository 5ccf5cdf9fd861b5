/* store/types.h: the words of the mail model that every part of the store shares.
 *
 * Plain data. The store knows accounts, mailboxes, messages and changes, and nothing of IMAP's
 * text. */
#ifndef STORE_TYPES_H
#define STORE_TYPES_H

#include "index/record.h" /* struct mailbox_info, row, message_location, internal_date */

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
    MAILBOX_NAME_MAX = 480, /* octets of UTF-8; an index key has room for no more */
    MAILBOX_DELIMITER = '/',
    KEYWORD_NAME_MAX = 128,      /* octets */
    KEYWORDS_PER_MESSAGE = 255,  /* more: the change is refused with ERR_LIMIT */
    KEYWORDS_PER_ACCOUNT = 8192, /* distinct names ever used; more: ERR_LIMIT */
};

#endif
