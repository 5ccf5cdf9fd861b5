/* message/textmatch_int.h: shared by needle.c, text_search.c and message_search.c. */
#ifndef MESSAGE_TEXTMATCH_INT_H
#define MESSAGE_TEXTMATCH_INT_H

#include "message/fuzzy.h"
#include "message/scan_int.h"
#include "message/textmatch.h"

struct needle {
    struct buf mapped; /* by casemap */
    bool ascii;        /* mapped is ASCII: it can be found in unmapped ASCII text */
    bool has_name_sign, has_address_sign; /* signs that can be next to what addresses leave out */
    struct scan_key exact, fold;
    struct fuzzy_key *fuzzy; /* NULL: it does not forgive */
};

/* In text that casemap has mapped / in ASCII text as it is. The needle is not empty. */
bool needle_find_mapped(const struct needle *n, struct span mapped);
bool needle_find_ascii(const struct needle *n, struct span ascii);

/* Which of the needles are looked for from now on (bit = index). */
void text_search_select(struct text_search *s, uint64_t mask);
uint64_t text_search_bits(const struct text_search *s); /* those found */

/* Appends the header lines as text to search: unfolded and decoded. */
void header_lines_decode(struct span lines, struct buf *out);

#endif
