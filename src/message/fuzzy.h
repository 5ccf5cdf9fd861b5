/* message/fuzzy.h: matching that forgives (RFC 6203): case, diacritics, the order and the distance
 * of words, a few wrong letters.
 *
 * A key is a set of words. It matches a text in which each of them is found somewhere: as it is, at
 * the beginning of a longer word, within one, or with as many letters wrong, missing, too many or
 * swapped with their neighbour as its length allows (none up to 3 letters, one up to 7, else two).
 * The score, 1 to 100, is the mean of how well each word was found.
 *
 * Bounds: a key has at most FUZZY_WORDS words; only the first FUZZY_LETTERS letters of a word count
 * in a key, and a longer word of a text is taken for several. So a letter of text costs at most
 * FUZZY_WORDS * FUZZY_LETTERS steps, mostly two or three. One thread at a time. */
#ifndef MESSAGE_FUZZY_H
#define MESSAGE_FUZZY_H

#include "base/buf.h"

enum { FUZZY_WORDS = 8, FUZZY_LETTERS = 32 };

struct fuzzy_key;

/* NULL: no words, or too many to be forgiving about. */
struct fuzzy_key *fuzzy_key_new(struct span utf8);
void fuzzy_key_free(struct fuzzy_key *k); /* NULL is allowed */

/* What has been found of a key so far; zeroed is nothing. */
struct fuzzy_match {
    uint8_t best[FUZZY_WORDS];
    uint8_t letters; /* of the word at hand */
    uint8_t held_n;
    char held[4]; /* the begin of a character */
    uint32_t word[FUZZY_LETTERS];
};

/* Chunks of a text; a character may be split between them. What is not UTF-8 parts words. */
void fuzzy_match_feed(const struct fuzzy_key *k, struct fuzzy_match *m, struct span utf8);
void fuzzy_match_break(const struct fuzzy_key *k, struct fuzzy_match *m); /* the text ends */
/* 0: some word was not found. */
unsigned fuzzy_match_score(const struct fuzzy_key *k, const struct fuzzy_match *m);
/* Of a text at hand. */
unsigned fuzzy_score(const struct fuzzy_key *k, struct span utf8);

#endif
