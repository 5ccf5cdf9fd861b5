/* message/textmatch.h: substring matching for SEARCH.
 *
 * Compared under i;unicode-casemap (message/casemap.h) in UTF-8. Three levels:
 *   needle          one compiled key, matched against a header value or a text at hand
 *   text_search     N needles against the raw bytes of one part, streamed
 *   message_search  N terms against a whole message by its derived record, in bounded slices
 *
 * What is looked at (RFC 9051 section 6.4.4; the choice is ours where the RFC leaves it open):
 *   BODY    the decoded contents of text/... and message/... parts at every depth, inner messages
 *           included, and of a multipart in which no part was found; no header field of any kind
 *   TEXT    that, the message header, the header of every part and of every inner message
 *   HEADER  the message header's fields of one name; an empty needle matches if there is one.
 *           Serves FROM, TO, CC, BCC and SUBJECT too: address fields by needle_in_addresses
 * Preambles, epilogues and other content types are not searched; an opaque part (beyond a parser
 * limit) is, as plain text. Header values are unfolded and decoded (header_decode); for TEXT a
 * field is searched as "Name: value". Of a field of more than 64 KiB, HEADER looks at the first 64
 * KiB. HTML is searched as stored.
 *
 * Objects belong to the caller and one thread at a time. */
#ifndef MESSAGE_TEXTMATCH_H
#define MESSAGE_TEXTMATCH_H

#include "message/derived.h"
#include "message/header.h"

/* --- One key ------------------------------------------------------------------------------- */

struct needle;

struct needle *needle_new(struct span utf8_key); /* keys of any length; copied */
/* Forgiving (message/fuzzy.h): the functions below find it in what holds it as it is, and where the
 * words of the key match well enough. */
struct needle *needle_new_fuzzy(struct span utf8_key);
void needle_free(struct needle *n);           /* NULL is allowed */
bool needle_is_empty(const struct needle *n); /* matches everything */

/* In a raw field value. scratch: any buf, contents are lost; saves allocations. */
bool needle_in_header(const struct needle *n, struct span raw_value, struct buf *scratch);
/* How well it is found there: 0 if not at all, 100 as it is. */
unsigned needle_score_in_header(const struct needle *n, struct span raw_value, struct buf *scratch);
bool needle_in_text(const struct needle *n, struct span utf8, struct buf *scratch);

/* For From, To, Cc, Bcc and the like: as above, and also against the addresses without comments,
 * quotes and white space, "Name <local@host>" (SEARCH FROM looks at the envelope's field). */
bool needle_in_addresses(const struct needle *n, struct span raw_value, struct buf *scratch);

/* --- The bytes of one part ----------------------------------------------------------------- */

struct text_search;

/* needles are borrowed for the life of the object; at most 64. */
struct text_search *text_search_new(const struct needle *const *needles, size_t n);
void text_search_free(struct text_search *s);

void text_search_reset(struct text_search *s); /* forgets what was found */

/* Begin a part: matches do not reach from one part into the next. A part with CTE_UNKNOWN is
 * searched as if it were 8bit. */
void text_search_begin(struct text_search *s, enum part_cte cte, struct span charset);
void text_search_feed(struct text_search *s, struct span raw);
void text_search_end(struct text_search *s);

bool text_search_found(const struct text_search *s, size_t needle);
/* 0 if not found; less than 100 for what was forgiven. */
unsigned text_search_score(const struct text_search *s, size_t needle);
bool text_search_found_all(const struct text_search *s); /* nothing left to look for */

/* --- A message ----------------------------------------------------------------------------- */

enum search_where { SEARCH_BODY, SEARCH_TEXT, SEARCH_HEADER };

struct search_term {
    enum search_where where;
    struct span field; /* SEARCH_HEADER: the field name */
    const struct needle *needle;
};

/* Where the bytes of the message come from. read sets *ret_bytes to some bytes of the message from
 * offset on, at least 1 and at most max; they must stay valid until the next call. A message at
 * hand: set bytes and leave read NULL. */
struct message_source {
    struct span bytes;
    int (*read)(void *arg, uint64_t offset, size_t max, struct span *ret_bytes);
    void *arg;
};

struct message_search;

/* Terms are copied, needles and field names borrowed for the life of the object, which serves any
 * number of messages one after the other. At most 64 terms. */
struct message_search *message_search_new(const struct search_term *terms, size_t n);
void message_search_free(struct message_search *s);

/* Begin a message. The record is copied as far as needed, so that a slice may end in between and
 * the index transaction with it. 0 or ERR_CORRUPT. */
int message_search_begin(struct message_search *s, struct span derived,
                         struct message_source source) must_check;

/* Look at up to max_bytes more of the message (at least one read). 1: call again; 0: finished, the
 * results stand; negative: the error of read, or ERR_CORRUPT. Terms that the record alone decides
 * cost no read. Ends early when every term has matched. */
int message_search_step(struct message_search *s, size_t max_bytes) must_check;

bool message_search_found(const struct message_search *s, size_t term);
/* 1 to 100, 0 if not found. */
unsigned message_search_score(const struct message_search *s, size_t term);

#endif
