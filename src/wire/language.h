/* wire/language.h: languages of the texts for people (LANGUAGE, RFC 5255 section 3).
 *
 * The source has the English texts; a table per language (language_ru.c) has what they are in
 * another one, looked up by the English text itself. What is not in the table stays English: texts
 * made at run time, such as the reasons of BAD, which are for programmers. No state; any thread. */
#ifndef WIRE_LANGUAGE_H
#define WIRE_LANGUAGE_H

#include "base/buf.h"
#include "base/span.h"

enum language {
    LANGUAGE_DEFAULT, /* "i-default" (RFC 2277): what everybody gets who has not chosen; English */
    LANGUAGE_ENGLISH,
    LANGUAGE_RUSSIAN,
    LANGUAGE_COUNT,
};

/* "en", in the spelling of RFC 5646 section 2.1.1. */
const char *language_tag(enum language language);

/* The first range that fits a language, by RFC 4647 section 3.4 (lookup: "ru-RU" finds "ru");
 * "default" and "*" stand for `preferred`. ERR_INVALID: one is no language range; ERR_NOT_FOUND. */
int language_choose(const struct span *ranges, unsigned n, enum language preferred,
                    enum language *ret) must_check;

/* The text in that language: the one of the table, or itself. */
const char *language_text(enum language language, const char *text);
struct span language_span(enum language language, struct span text);

/* A status response that stands in b from `from` on, not yet its CRLF: what follows the code is
 * replaced. Other responses stay as they are. */
void language_translate(enum language language, struct buf *b, size_t from);

/* "* LANGUAGE (en ru i-default)\r\n"; of one language with language_write_one. */
void language_write_all(struct buf *b);
void language_write_one(struct buf *b, enum language language);

/* A namespace's prefix as people of that language are to see it, in UTF-8 (section 3.4); NULL if
 * there is no other name for it. */
const char *language_namespace(enum language language, struct span prefix);

/* For language.c and its tests: sorted by `text`. */
struct language_row {
    const char *text, *translated;
};
extern const struct language_row language_russian[];
extern const size_t language_russian_count;

#endif
