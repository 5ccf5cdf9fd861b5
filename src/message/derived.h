/* message/derived.h: what the parser found out about a message, as one flat binary record.
 *
 * Kept in the index by message id and rebuilt from the message when missing, corrupt or of another
 * version (derived_usable). Records are self-contained bytes: accessors take the record as a span,
 * check every offset and return ERR_CORRUPT, never crash, on bytes that are no record. Returned
 * spans point into the record. Any thread. The layout is private to derived.c; a plain message
 * takes 1 to 2 KB.
 *
 * ENVELOPE, BODY and BODYSTRUCTURE are in the bytes that IMAP sends (RFC 9051 section 7.5.2), the
 * same for IMAP4rev1 and IMAP4rev2: strings are quoted if they are printable ASCII (and short
 * enough), otherwise literals ("{n}" CRLF bytes); NUL bytes are left out (no IMAP string can hold
 * one). Header texts are raw: unfolded, encoded words untouched.
 *   - Address without a host: the host is "" (NIL would mean a group).
 *   - RFC 2231 parameters are decoded: name*0, name*1* and so on, and name* alone, become "name"
 * with the joined value, in UTF-8 if any of it was encoded, and replace a plain "name". RFC 9051
 * calls one that was encoded "name*"; but what RFC 2231 has clients expect there, charset'language'
 *     and percent signs, it is no more.
 *   - A multipart without any part shows one empty text/plain part.
 *   - message/global is shown like message/rfc822 (RFC 9051 section 7.5.2). One that has a transfer
 *     encoding, which RFC 2046 section 5.2.1 forbids, is read as it lies there.
 *   - Text without a charset shows ("charset" "us-ascii") (RFC 2045 section 5.2). */
#ifndef MESSAGE_DERIVED_H
#define MESSAGE_DERIVED_H

#include "base/buf.h"
#include "base/err.h"
#include "message/header.h"

#define DERIVED_VERSION 5 /* raise with every change of layout or of what the parser finds */

/* A complete record of this version? (Bounds of the sections are checked, contents are not.) */
bool derived_usable(struct span rec);

/* Wire bytes; 0 or ERR_CORRUPT. */
int derived_envelope(struct span rec, struct span *ret) must_check;
int derived_body(struct span rec, struct span *ret) must_check;
int derived_bodystructure(struct span rec, struct span *ret) must_check;
/* PREVIEW (RFC 8970): a string in UTF-8, empty if there is nothing to show. */
int derived_preview(struct span rec, struct span *ret) must_check;

enum derived_blank { DERIVED_BLANK_NONE, DERIVED_BLANK_LF, DERIVED_BLANK_CRLF };

struct derived_info {
    uint64_t size;            /* octets of the message */
    uint64_t header_length;   /* of the message header with its blank line = offset of the body */
    enum derived_blank blank; /* how the header ends */
    bool has_nul;             /* a NUL octet somewhere */
    bool has_8bit_header;     /* octets >= 0x80 in the message header or in a part's */
    bool has_8bit_body;       /* octets >= 0x80 in a body */
    bool limited;             /* a parser limit was reached somewhere */
    bool sent_valid;          /* there is a Date field that could be read */
    int64_t sent_utc;         /* its time, seconds since 1970 UTC */
    int32_t sent_day;         /* its date as written, without regard to the zone: days since
                                 1970-01-01 (SENTBEFORE, SENTON, SENTSINCE) */
    int16_t sent_zone;        /* minutes east of UTC */
};

int derived_info(struct span rec, struct derived_info *ret) must_check;

/* --- Sort and thread keys (RFC 5256, RFC 5957) ---------------------------------------------- */

enum derived_key {
    SORTKEY_SUBJECT,
    SORTKEY_FROM,
    SORTKEY_TO,
    SORTKEY_CC,
    SORTKEY_DISPLAY_FROM,
    SORTKEY_DISPLAY_TO,
    SORTKEY_COUNT
};

struct derived_sort {
    struct span key[SORTKEY_COUNT]; /* compare as octets: i;unicode-casemap (RFC 5051) */
    bool reply_or_forward;          /* the subject says so */
    uint64_t message_id;            /* a hash of the Message-ID; 0: none that is valid */
    const char *references;         /* n of them, oldest first, 8 octets each: derived_reference */
    size_t n_references;
};

int derived_sort(struct span rec, struct derived_sort *ret) must_check;
uint64_t derived_reference(const struct derived_sort *s, size_t i);

/* --- Header fields ------------------------------------------------------------------------- */

/* BODY[HEADER.FIELDS (set)] or, with invert, BODY[HEADER.FIELDS.NOT (set)] of the message, blank
 * line included, appended to out. False if the record alone cannot tell (a name that is not kept
 * but may be present, fields that were too long to keep): then read the message header and use
 * header_filter. out is untouched in that case. */
bool derived_header_fields(struct span rec, const struct header_set *set, bool invert,
                           struct buf *out);

/* Walks the kept fields with this id in order. Start with *pos = 0. */
bool derived_field_next(struct span rec, enum header_id id, uint32_t *pos, struct span *ret_value);

enum derived_has { DERIVED_ABSENT, DERIVED_KEPT, DERIVED_UNKNOWN };

/* Whether fields of that name exist: ABSENT certainly not, KEPT all of them are in the record
 * (derived_field_next), UNKNOWN read the message. */
enum derived_has derived_has_field(struct span rec, struct span name);

/* --- Parts --------------------------------------------------------------------------------- */

enum part_kind {
    PART_OTHER,
    PART_TEXT,          /* text/anything; also no or unreadable Content-Type */
    PART_MULTIPART,     /* children are its parts, in order */
    PART_MESSAGE,       /* message/rfc822 or message/global; its one child is the inner message */
    PART_MESSAGE_OTHER, /* message/delivery-status and so on: a leaf made of text */
};

enum part_cte {
    CTE_7BIT,
    CTE_8BIT,
    CTE_BINARY,
    CTE_BASE64,
    CTE_QUOTED_PRINTABLE,
    CTE_UNKNOWN, /* BINARY answers NO [UNKNOWN-CTE] */
};

#define PART_NONE UINT32_MAX

struct mime_part {
    uint32_t index;  /* 0 is the message itself */
    uint32_t parent; /* PART_NONE for the message */
    uint32_t first_child, next_sibling;
    uint32_t number; /* 1 for the first child */
    enum part_kind kind;
    enum part_cte cte;
    bool opaque;            /* a multipart or message beyond a parser limit, shown as a leaf */
    uint64_t header_offset; /* in the message; the header ends where the body begins */
    uint64_t header_length; /* with the blank line */
    uint64_t body_offset, body_length;
    uint64_t header_lines, body_lines; /* line feeds */
    struct span charset;               /* lower-case, as declared; empty if not */
};

uint32_t derived_part_count(struct span rec); /* 0 if corrupt */
int derived_part(struct span rec, uint32_t index, struct mime_part *ret) must_check;

/* The part with this section number, RFC 9051 section 6.4.5.1 (depth 0: the message itself):
 * 1 of a message that is no multipart is its body; numbers below a message/rfc822 count in its
 * inner message. 0, ERR_NOT_FOUND or ERR_CORRUPT. */
int derived_find_part(struct span rec, const uint32_t *section, size_t depth,
                      struct mime_part *ret) must_check;

enum section_text {
    SECTION_ALL,    /* BODY[] (depth 0) or the body of the part, BODY[1.2] */
    SECTION_HEADER, /* BODY[HEADER], BODY[3.HEADER]; also for HEADER.FIELDS */
    SECTION_TEXT,   /* BODY[TEXT], BODY[3.TEXT] */
    SECTION_MIME,   /* BODY[1.MIME]; depth > 0 */
};

struct section_range {
    uint64_t offset, length; /* in the message */
    struct mime_part part;   /* the part the numbers name */
};

/* The bytes that a section specification means. ERR_NOT_FOUND if there is no such part, or if
 * HEADER or TEXT is asked of a part that is no message/rfc822. */
int derived_section(struct span rec, const uint32_t *section, size_t depth, enum section_text text,
                    struct section_range *ret) must_check;

#endif
