/* message/html_text.h: HTML to plain text, as a stream.
 *
 * For PREVIEW (RFC 8970) and CONVERT (RFC 5259 section 7.2). Any characters are HTML; nothing
 * fails. Tags, attributes, comments and the text of scripts and styles are recognised as HTML's
 * own tokenizer does (WHATWG HTML section 13.2.5); of the tree only a bounded stack of open
 * elements is known, enough to tell what is hidden, quoted, preformatted or part of a list.
 *
 *   - Not shown: what script, style, title, template, svg and the like contain; elements that say
 *     hidden, display:none, visibility:hidden, mso-hide:all, max-height:0 or opacity:0.
 *   - Block elements begin a line, paragraphs, lists and tables stand apart by an empty line, cells
 *     of a row are separated by a TAB, list items begin with "*" or their number, lines of a
 *     blockquote with ">", an image is "[image: its alternative text]".
 *   - White space is collapsed outside of pre. No-break spaces become spaces; characters that only
 *     say where a line may break, or pad a line invisibly, are left out.
 *
 * Time is linear in the input. Memory is below 8 KiB, whatever the input. The input is UTF-8 in
 * whole characters, as charset_decode makes it; any such chunking gives the same output, which is
 * UTF-8 with CRLF line breaks. One thread at a time. */
#ifndef MESSAGE_HTML_TEXT_H
#define MESSAGE_HTML_TEXT_H

#include "base/buf.h"
#include "base/span.h"

enum html_text_option {
    HTML_TEXT_LINKS = 1, /* behind a link its target: "text <https://...>" */
};

struct html_text;

struct html_text *html_text_new(unsigned options);
void html_text_free(struct html_text *h); /* NULL is allowed */

void html_text_feed(struct html_text *h, struct span utf8, struct buf *out);
/* The end of the document; the object is then ready for the next one. */
void html_text_finish(struct html_text *h, struct buf *out);

/* html_entities.c: the character of a name without "&" and ";", or of "#39" or "#x27"; 0 if there
 * is none. *ret_bare: known without ";", too, as those of HTML 2. */
uint32_t html_entity(struct span name, bool *ret_bare);

#endif
