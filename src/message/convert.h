/* message/convert.h: a text in another charset, HTML as plain text (RFC 5259).
 *
 * Pure: bytes in, bytes out; the caller's buffers bound what is made. Results depend on nothing but
 * the input. One thread at a time. */
#ifndef MESSAGE_CONVERT_H
#define MESSAGE_CONVERT_H

#include "message/charset.h"
#include "message/decode.h"
#include "message/html_text.h"

/* --- The body of a part, streamed ---------------------------------------------------------- */

struct convert_text {
    struct cte_decoder cte;
    struct charset_decoder from;
    struct charset_encoder to;
    struct html_text *html; /* NULL: the source is no HTML */
    bool last_cr;
    struct buf decoded, utf8, text;
};

/* to: an encoder, which it takes over. ERR_INVALID: the transfer encoding is not known (nothing is
 * taken over then). */
int convert_text_init(struct convert_text *c, enum part_cte cte, struct span charset, bool html,
                      struct charset_encoder *to) must_check;
void convert_text_done(struct convert_text *c);

/* ERR_INVALID: a character that the target charset does not have. Line breaks become CRLF. */
int convert_text_feed(struct convert_text *c, struct span s, struct buf *out) must_check;
int convert_text_finish(struct convert_text *c, struct buf *out) must_check;

/* --- Headers -------------------------------------------------------------------------------- */

/* A header with its encoded words (RFC 2047) in another charset, and so the parameters of
 * Content-Type and Content-Disposition that RFC 2231 has encoded. Words whose charset or encoding
 * is not known stay as they are, and so does everything else. Lines that are made have at most 78
 * characters. ERR_INVALID as charset_encode. */
int convert_header(struct span header, struct span charset, struct charset_encoder *to,
                   struct buf *out) must_check;

#endif
