/* message/header.h: header fields of RFC 5322 messages and MIME parts.
 *
 * A raw header block is the bytes from the first field up to and including the blank line (or up to
 * its end if there is none); lines end with LF, with or without CR. All spans returned point into
 * the caller's bytes unless the contract names a scratch buf. Nothing here fails on bad input: what
 * cannot be understood is passed through. Any thread; no state beyond the objects passed.
 *
 * Specifications: RFC 5322 (2.2 fields, 3.4 addresses, 4 obsolete syntax), RFC 2047, RFC 2231,
 * RFC 9051 section 6.4.5.1 (HEADER.FIELDS). */
#ifndef MESSAGE_HEADER_H
#define MESSAGE_HEADER_H

#include "base/buf.h"
#include "base/span.h"

/* --- Fields ------------------------------------------------------------------------------- */

struct header_field {
    struct span name;  /* without the colon and without white space before it */
    struct span value; /* after the colon, still folded, without the final line break */
    struct span raw;   /* everything, with continuation lines and final line break */
};

/* Takes the next field off *block. Lines that are no field (no colon, or a name with characters
 * other than printable ASCII) are skipped with their continuation lines. False at the blank line or
 * the end; *block is then what follows the header. */
bool header_next(struct span *block, struct header_field *ret_field);

/* First field of that name; false if there is none. */
bool header_find(struct span block, struct span name, struct header_field *ret_field);

/* Appends the value without its line breaks (RFC 5322 section 2.2.3) and without white space at
 * both ends. */
void header_unfold(struct span value, struct buf *out);

/* --- Known names and sets of names -------------------------------------------------------- */

/* Names that derived records keep (message/derived.h). The numbers are stored: only append. */
enum header_id {
    HEADER_OTHER = 0,
    HEADER_DATE,
    HEADER_FROM,
    HEADER_SENDER,
    HEADER_REPLY_TO,
    HEADER_TO,
    HEADER_CC,
    HEADER_BCC,
    HEADER_SUBJECT,
    HEADER_MESSAGE_ID,
    HEADER_IN_REPLY_TO,
    HEADER_REFERENCES,
    HEADER_NEWSGROUPS,
    HEADER_FOLLOWUP_TO,
    HEADER_CONTENT_TYPE,
    HEADER_CONTENT_TRANSFER_ENCODING,
    HEADER_CONTENT_DISPOSITION,
    HEADER_CONTENT_ID,
    HEADER_CONTENT_DESCRIPTION,
    HEADER_CONTENT_LANGUAGE,
    HEADER_CONTENT_LOCATION,
    HEADER_CONTENT_MD5,
    HEADER_CONTENT_CLASS,
    HEADER_MIME_VERSION,
    HEADER_PRIORITY,
    HEADER_X_PRIORITY,
    HEADER_IMPORTANCE,
    HEADER_X_MAILER,
    HEADER_USER_AGENT,
    HEADER_LIST_ID,
    HEADER_LIST_POST,
    HEADER_LIST_UNSUBSCRIBE,
    HEADER_LIST_UNSUBSCRIBE_POST,
    HEADER_DISPOSITION_NOTIFICATION_TO,
    HEADER_RETURN_PATH,
    HEADER_DELIVERED_TO,
    HEADER_X_ORIGINAL_TO,
    HEADER_RESENT_DATE,
    HEADER_RESENT_FROM,
    HEADER_RESENT_SENDER,
    HEADER_RESENT_TO,
    HEADER_RESENT_CC,
    HEADER_RESENT_BCC,
    HEADER_RESENT_MESSAGE_ID,
    HEADER_MAIL_FOLLOWUP_TO,
    HEADER_MAIL_REPLY_TO,
    HEADER_X_SPAM_FLAG,
    HEADER_X_SPAM_STATUS,
    HEADER_AUTO_SUBMITTED,
    HEADER_PRECEDENCE,
    HEADER_ORGANIZATION,
    HEADER_ERRORS_TO,
    HEADER_THREAD_TOPIC,
    HEADER_THREAD_INDEX,
    HEADER_SENSITIVITY,
    HEADER_X_MS_HAS_ATTACH,
    HEADER_X_UNIFORM_TYPE_IDENTIFIER,
    HEADER_X_UNIVERSALLY_UNIQUE_IDENTIFIER,
    HEADER_ID_COUNT, /* at most 128 */
};

enum header_id header_id(struct span name);    /* HEADER_OTHER if not known */
struct span header_id_name(enum header_id id); /* as usually written, "Message-ID" */

/* A set of field names, compiled once for many messages. Owns copies of the names. */
struct header_set {
    uint64_t known[2]; /* bit = enum header_id */
    size_t n_other;    /* names that have no id */
    struct header_set_name *other;
};

void header_set_init(struct header_set *set, const struct span *names, size_t n);
void header_set_done(struct header_set *set);
bool header_set_has(const struct header_set *set, struct span name);

/* Streaming BODY[HEADER.FIELDS (...)] and, with invert, BODY[HEADER.FIELDS.NOT (...)]: feed the raw
 * header block in any chunking, in the end call finish. Appends the selected fields byte for byte
 * and the blank line if the block has one. Keeps at most the name of one field (a name of more than
 * 256 bytes matches nothing). Lines that are no field count as having a name outside every set. */
struct header_filter {
    const struct header_set *set; /* borrowed */
    bool invert;
    uint8_t state;
    bool take;
    uint16_t held_n;
    char held[260];
};

void header_filter_init(struct header_filter *f, const struct header_set *set, bool invert);
void header_filter_feed(struct header_filter *f, struct span chunk, struct buf *out);
void header_filter_finish(struct header_filter *f, struct buf *out);

/* --- Encoded words, parameters ------------------------------------------------------------ */

/* Appends the value as UTF-8: unfolded, encoded words (RFC 2047) decoded, white space between
 * adjacent ones dropped; characters split between adjacent words of one charset are joined. Words
 * that cannot be decoded stay as they are. 8-bit bytes outside of words: valid UTF-8 is kept, other
 * bytes are read as windows-1252. Never fails; what out cannot hold is lost (buf_ok). */
void header_decode(struct span value, struct buf *out);
/* The same where all of it is valid in its charset; else false, and what was appended are the
 * octets as they are once the encoding has been removed (RFC 5255 section 4.6). */
bool header_decode_known(struct span value, struct buf *out);

/* A parameter of Content-Type or Content-Disposition, decoded to UTF-8 by RFC 2231 (continuations,
 * charsets), and tolerantly by RFC 2047 where mail programs wrongly did that. value is the whole
 * raw field value. False if there is no such parameter; appends nothing then. */
bool header_param(struct span value, struct span name, struct buf *out);

/* --- Dates -------------------------------------------------------------------------------- */

struct header_date {
    int64_t utc;  /* seconds since 1970 */
    int32_t day;  /* days since 1970-01-01 of the date as written, whatever the zone */
    int16_t zone; /* minutes east of UTC */
};

/* A Date field (RFC 5322 section 3.3, obsolete forms of 4.3, and the order of asctime). An unknown
 * zone counts as UTC. False if no valid date and time can be read. */
bool header_date(struct span value, struct header_date *ret);

/* --- Addresses ---------------------------------------------------------------------------- */

enum address_kind { ADDRESS_MAILBOX, ADDRESS_GROUP_START, ADDRESS_GROUP_END };

struct address {
    enum address_kind kind;
    bool has_name, has_route;
    struct span name;    /* display name, quotes removed, encoded words left as they are */
    struct span route;   /* obsolete source route "@a,@b" */
    struct span mailbox; /* local part; or the name of the group */
    struct span host;    /* empty if the address had none */
};

/* Walks an address list (RFC 5322 section 3.4 with the obsolete forms). Tolerant: everything that
 * is not empty yields some address. A group end follows every group start. */
struct address_iter {
    struct span rest;
    bool in_group;
    struct buf text[5]; /* the strings of the address returned last */
};

void address_iter_init(struct address_iter *it, struct span value);
/* Begin another list, keeping memory; the iterator was initialised before. */
void address_iter_restart(struct address_iter *it, struct span value);
/* False at the end. Spans in *ret are valid until the next call. */
bool address_next(struct address_iter *it, struct address *ret);
void address_iter_done(struct address_iter *it);

#endif
