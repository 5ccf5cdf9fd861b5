/* message/charset.h: streaming conversion of text to UTF-8.
 *
 * us-ascii, utf-8, iso-8859-1 and windows-1252 are converted here, all else by the C library's
 * iconv. Names are cleaned up first (case, quotes, "x-" forms, known aliases). Output is always
 * valid UTF-8 without surrogates; what cannot be converted becomes U+FFFD.
 *   - charset missing, us-ascii or unknown: valid UTF-8 is kept, other bytes >= 0x80 are read as
 *     windows-1252, since that is what such mail contains;
 *   - iso-8859-1 is read as windows-1252, its superset, as every mail program does.
 * Any chunking gives the same output. One thread at a time. */
#ifndef MESSAGE_CHARSET_H
#define MESSAGE_CHARSET_H

#include "base/buf.h"
#include "base/err.h"
#include "base/span.h"
#include "base/utf8.h"

enum charset_kind {
    CHARSET_GUESS, /* us-ascii, missing, unknown */
    CHARSET_UTF8,
    CHARSET_CP1252,  /* iso-8859-1 and windows-1252 */
    CHARSET_ICONV_8, /* iconv, bytes < 0x80 mean ASCII and there are no shift states */
    CHARSET_ICONV,   /* iconv, anything else: UTF-16, ISO-2022-JP, ... */
};

struct charset_decoder {
    enum charset_kind kind;
    void *iconv; /* iconv_t, or NULL */
    uint8_t held_n;
    char held[16]; /* the begin of a character that continues in the next chunk */
};

/* Never fails; an unknown name gives CHARSET_GUESS. */
void charset_decoder_init(struct charset_decoder *d, struct span charset);
void charset_decoder_done(struct charset_decoder *d);

void charset_decode(struct charset_decoder *d, struct span chunk, struct buf *out);
void charset_decode_finish(struct charset_decoder *d, struct buf *out); /* may be used again then */

/* True if bytes < 0x80 of this charset are ASCII, wherever they stand. */
static inline bool charset_decoder_is_ascii_superset(const struct charset_decoder *d)
{
    return d->kind != CHARSET_ICONV;
}

bool charset_known(struct span charset);

/* A search key in the CHARSET of the SEARCH command. 0; ERR_NOT_FOUND if the charset is not known
 * (answer NO [BADCHARSET]); ERR_INVALID if the key is not valid in it. us-ascii with 8-bit bytes is
 * ERR_INVALID too, except that valid UTF-8 is accepted. Appends nothing on failure. */
int charset_key_to_utf8(struct span charset, struct span key, struct buf *out) must_check;

/* Names for the BADCHARSET response code (of all those known, the usual ones). */
extern const char *const charset_names[]; /* ends with NULL */

/* The other way: UTF-8 to a charset, streaming in whole characters. */
struct charset_encoder {
    void *iconv; /* NULL: the target is UTF-8 */
    bool replaces;
    struct buf replacement; /* UTF-8; maybe empty */
};

/* replacement: UTF-8, stands for what the charset does not have (at most 64 octets); p NULL: none.
 * 0; ERR_NOT_FOUND: the charset is not known; ERR_INVALID: it does not have the replacement either.
 * Holds nothing then. */
int charset_encoder_init(struct charset_encoder *e, struct span charset,
                         struct span replacement) must_check;
/* ERR_INVALID: there is a character that the charset does not have, and no replacement. */
int charset_encode(struct charset_encoder *e, struct span utf8, struct buf *out) must_check;
void charset_encode_finish(struct charset_encoder *e, struct buf *out); /* may be used again then */
void charset_encoder_done(struct charset_encoder *e);

size_t ascii_prefix(struct span s); /* length of the prefix of bytes < 0x80 */

#endif
