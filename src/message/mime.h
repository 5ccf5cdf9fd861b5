/* message/mime.h: the streaming parser: message bytes in, derived record out (message/derived.h).
 *
 * Every sequence of bytes is a message; the parser never fails. A part that breaks a limit is shown
 * as one opaque leaf (application/octet-stream) and its inside is not looked at. Time is linear in
 * the input, independent of the chunking, and nesting needs no recursion.
 *
 * Memory of one parser: at most max_header for the header being read, about 100 bytes for every
 * part, max_structure for the texts of BODYSTRUCTURE, max_kept for kept fields, 4 KiB for the line
 * being read, and 20 KiB for the preview: with the default limits below 1 MiB, and below 40 KiB for
 * usual mail.
 *
 * One thread at a time. Pure: no clock, no descriptors, no log. Specifications: RFC 5322, RFC 2045,
 * RFC 2046 (5.1 multipart), RFC 9051 sections 7.5.2 and 9. */
#ifndef MESSAGE_MIME_H
#define MESSAGE_MIME_H

#include "base/buf.h"
#include "base/span.h"

struct mime_limits {
    uint32_t max_header;    /* bytes of one header that are interpreted; the rest is only counted */
    uint32_t max_parts;     /* parts of one message, nested ones included; at most 60,000 */
    uint32_t max_depth;     /* levels of multipart and message/rfc822; at most 1,000 */
    uint32_t max_structure; /* bytes of BODYSTRUCTURE texts; parts beyond are described minimally */
    uint32_t max_kept;      /* bytes of kept header fields; at most 60,000 */
};

/* 64 KiB, 1,000 parts, 100 levels, 256 KiB, 8 KiB. */
extern const struct mime_limits mime_limits_default;

struct mime_parser;

struct mime_parser *mime_parser_new(const struct mime_limits *limits); /* NULL: the default */
void mime_parser_free(struct mime_parser *p);                          /* NULL is allowed */

/* The next bytes of the message; borrowed only during the call. */
void mime_parser_feed(struct mime_parser *p, struct span chunk);

/* The end of the message: appends the derived record to ret_derived and makes the parser ready for
 * the next message (its memory is kept). The only failure is a ret_derived that is too small
 * (buf_ok); a record never exceeds mime_record_max(limits). */
void mime_parser_finish(struct mime_parser *p, struct buf *ret_derived);

void mime_parser_reset(struct mime_parser *p); /* forgets the message begun */

size_t mime_record_max(const struct mime_limits *limits);

/* A whole message at once, with the default limits. */
void mime_parse(struct span message, struct buf *ret_derived);

#endif
