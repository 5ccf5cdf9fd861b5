/* message/mime_int.h: the parser's inside, shared by mime.c (lines, boundaries, parts), structure.c
 * (what headers mean, the IMAP texts) and record.c (the derived record). */
#ifndef MESSAGE_MIME_INT_H
#define MESSAGE_MIME_INT_H

#include "message/derived.h"
#include "message/header_int.h"
#include "message/mime.h"
#include "message/param_int.h"
#include "message/preview_int.h"
#include "message/scan_int.h"

#define NODE_NONE PART_NONE

/* Longer boundaries are illegal (RFC 2046 section 5.1.1: 70); of one that is cut only the begin is
 * compared. */
#define BOUNDARY_MAX 1000

struct text_ref {
    uint32_t at, n; /* in mime_parser.texts */
};

/* A part while the message is parsed. Until it has ended, body_lines is the number of lines of the
 * message before its body and body_length is meaningless. */
struct node {
    uint32_t parent, first_child, last_child, next, number, depth;
    uint8_t kind, cte; /* enum part_kind, enum part_cte */
    bool opaque;
    bool message_root; /* the message itself or the inside of a message/rfc822 */
    bool digest;       /* multipart/digest: its parts are message/rfc822 by default */
    bool alternative;  /* multipart/alternative */
    uint8_t preview;   /* enum preview_kind: its text may be the preview */
    uint64_t header_offset, header_length, body_length;
    uint64_t header_lines, body_lines;
    /* BODYSTRUCTURE without what is known only later (sizes, children). Of a multipart: basic is
     * the subtype. ext: the extension data, with a space before each. */
    struct text_ref basic, ext, envelope, charset;
};

/* A multipart whose parts are being read, innermost last. */
struct frame {
    uint32_t node;
    uint32_t boundary, boundary_n; /* in mime_parser.boundaries */
};

struct mime_parser {
    struct mime_limits limits;

    uint64_t pos;         /* of the next byte fed */
    struct scan_stats st; /* of the bytes before pos */
    char last[2];         /* the two bytes before pos */
    bool in_header;
    bool line_start; /* pos is at the begin of a line */
    bool full;       /* max_parts is reached: boundaries count no more */
    bool limited;    /* some limit was reached */
    bool high_header, high_body;

    /* The line that is being gathered to see whether it is a boundary or blank. */
    struct buf line;      /* its first bytes */
    uint64_t line_n;      /* bytes gathered; 0: none */
    uint64_t line_offset; /* where it begins */
    uint64_t line_lines;  /* line feeds before it */
    bool line_after_crlf; /* the line break before it was CRLF, not LF */

    struct buf header;  /* of the part whose header is being read, as far as it is kept */
    size_t header_line; /* begin of the last line in it */
    bool header_cut;    /* bytes are missing in it */

    struct node *nodes;
    uint32_t n_nodes, cap_nodes;
    uint32_t cur; /* innermost open part */
    struct frame *frames;
    uint32_t n_frames, cap_frames;
    struct buf boundaries;

    struct buf texts;
    size_t texts_base; /* the root's texts do not count against max_structure */

    /* Kept fields. */
    struct buf kept;
    struct buf kept_index; /* struct kept_field */
    uint64_t missing[2];   /* by id: some field of that name was not kept */
    struct name_bits others;
    bool has_others; /* fields without an id, or lines that are no field */
    bool root_cut;   /* the message header was longer than max_header */
    uint8_t blank;   /* enum derived_blank */
    bool sent_valid;
    struct header_date sent;

    struct param_list params;
    struct address_iter addresses;
    struct buf scratch;
    struct buf sort; /* sort keys of the message */

    struct preview *preview; /* NULL: no text so far */
    uint32_t preview_node;   /* the part it reads; NODE_NONE */
    bool preview_on;         /* and of which it wants more */
};

struct kept_field {
    uint16_t at; /* in kept */
    uint8_t id, value_at;
};

/* structure.c: reads p->header for node i: kind, encoding, texts; of a message root the envelope
 * too, of the message itself the kept fields and the date. Appends the boundary of a multipart to
 * ret_boundary (nothing if there is none). */
void structure_read_header(struct mime_parser *p, uint32_t i, struct buf *ret_boundary);
/* Makes node i an opaque leaf, or the empty text part that stands for no part at all. */
void structure_make_opaque(struct mime_parser *p, uint32_t i);
void structure_make_empty_text(struct mime_parser *p, uint32_t i);
/* Appends BODY or BODYSTRUCTURE of the whole message. */
void structure_put(const struct mime_parser *p, bool ext, struct buf *out);

/* envelope.c: appends the ENVELOPE made of these fields of a header. */
struct envelope_fields {
    struct span first[HEADER_REFERENCES + 1]; /* by id; p NULL: absent */
    bool again[HEADER_REFERENCES + 1];        /* there is more than one */
};

void envelope_put(struct mime_parser *p, const struct envelope_fields *f, struct span header,
                  struct buf *out);

/* Six keys with a checksum each, and a thousand references. */
#define SORTKEYS_MAX (16 + 6 * 1008 + 8 * 1001)

/* sortkeys.c: appends the sort keys of the message itself. */
void sortkeys_put(struct mime_parser *p, const struct envelope_fields *f, struct buf *out);

/* record.c */
void record_put(struct mime_parser *p, struct buf *out);

#endif
