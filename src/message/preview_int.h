/* message/preview_int.h: the preview of a message (RFC 8970), made while the message goes by.
 * Private to src/message; the result is in the derived record.
 *
 * The parser says where a text begins that a reader would see; its bytes are decoded as they come,
 * until there is enough text. So a message pays for the first few lines of one part, seldom for
 * more: at most PREVIEW_INPUT bytes are looked at in vain, and PREVIEW_PARTS parts.
 *
 * Which part: the first text/plain or text/html that has text, in the order of the message and not
 * an attachment; of a multipart/alternative the plain one, unless it says nothing (only that the
 * reader should use something that shows HTML). Texts of enclosed messages count only if there is
 * no other. What is encrypted has no preview.
 *
 * Which text: at most 200 characters (RFC 8970 section 3.3 recommends it; up to 256 where marks
 * belong to the last one), white space as single spaces, nothing invisible. Quoted lines, the line
 * that announces them, pictures and URLs in brackets are used only if there is nothing else; a
 * signature and an original message below the text are not. */
#ifndef MESSAGE_PREVIEW_INT_H
#define MESSAGE_PREVIEW_INT_H

#include "message/charset.h"
#include "message/decode.h"
#include "message/html_text.h"

enum {
    PREVIEW_CHARS = 200,
    PREVIEW_CHARS_MAX = 256,
    PREVIEW_INPUT = 128 << 10,
    PREVIEW_PARTS = 16,
    PREVIEW_LINE = 4096, /* bytes of a line that are looked at as a line */
    PREVIEW_SHORT = 40,  /* a line that may be the rest of a wrapped one */
};

enum preview_kind { PREVIEW_NONE, PREVIEW_PLAIN, PREVIEW_HTML };

/* Text of limited length. */
struct preview_text {
    uint16_t n, chars;
    bool space;      /* before the next character */
    bool full;       /* there is more */
    uint32_t joiner; /* before the next character if that stands close; 0: none */
    char p[4 * PREVIEW_CHARS_MAX];
};

struct preview_mark {
    uint16_t n, chars;
};

enum preview_rest { PREVIEW_REST_NONE, PREVIEW_REST_TEXT, PREVIEW_REST_OTHER };

/* Lines of plain text to a preview: preview_text.c. */
struct preview_lines {
    uint16_t line_n;
    bool within;                  /* behind the begin of a line that was too long */
    enum preview_rest rest;       /* where the rest of that line goes */
    struct preview_mark marks[2]; /* where the last lines begin in text: last, the one before */
    size_t last_n;                /* length of the last line of text */
    bool last_colon;              /* it ended so */
    uint8_t para_lines;           /* of its paragraph so far; 2: or more */
    bool blank;                   /* an empty line since */
    bool after_rule, signed_header, pgp_signed, done;
    struct preview_text text, other; /* other: what is quoted and so on */
    char line[PREVIEW_LINE];
};

void preview_lines_begin(struct preview_lines *l);
void preview_lines_feed(struct preview_lines *l, struct span utf8);
void preview_lines_end(struct preview_lines *l);
bool preview_lines_done(const struct preview_lines *l); /* more would change nothing */

struct preview;

struct preview *preview_new(void);
void preview_free(struct preview *v);  /* NULL is allowed */
void preview_reset(struct preview *v); /* of a new message */

/* A part that is a leaf begins. alternative: the innermost multipart/alternative around it, or
 * PART_NONE. enclosed: in a message/rfc822. True: its bytes are wanted. */
bool preview_part_begin(struct preview *v, enum preview_kind kind, enum part_cte cte,
                        struct span charset, uint32_t alternative, bool enclosed);
/* False: no more of them. */
bool preview_part_feed(struct preview *v, struct span s);
void preview_part_end(struct preview *v); /* also without a begin */
/* More parts could change something. */
bool preview_wants(const struct preview *v, enum preview_kind kind, uint32_t alternative,
                   bool enclosed);

struct span preview_result(const struct preview *v);

#endif
