/* imap/search.h: SEARCH as a program in postfix order (RFC 9051 section 6.4.4).
 *
 * A message is judged in up to three rounds, each dearer than the one before and entered only if
 * the answer is still open: the row; the kept header fields; the bytes. Values are no, yes or
 * maybe. */
#ifndef IMAP_SEARCH_H
#define IMAP_SEARCH_H

#include "imap/session_int.h"
#include "message/textmatch.h"

enum search_op {
    /* operators on the values before them */
    SEARCH_AND,
    SEARCH_OR,
    SEARCH_NOT,
    /* the row */
    SEARCH_TRUE,
    SEARCH_NONE,
    SEARCH_FLAGS, /* (flags & mask) == want */
    SEARCH_RECENT,
    SEARCH_KEYWORD, /* id; 0xffffffff: a keyword that nobody ever used */
    SEARCH_UIDS,
    SEARCH_LARGER,
    SEARCH_SMALLER,
    SEARCH_MODSEQ,    /* at least `size` */
    SEARCH_WITHIN,    /* INTERNALDATE, in seconds since 1970, within [from, to) */
    SEARCH_MESSAGE,   /* message_id is `size` */
    SEARCH_DAY,       /* INTERNALDATE within [from, to) */
    SEARCH_SAVED_DAY, /* SAVEDATE */
    /* the derived record */
    SEARCH_SENT_DAY,
    SEARCH_FIELD, /* a kept header field against a needle */
    /* the bytes */
    SEARCH_TERM, /* number in terms */
};

struct judge_key {
    enum search_op op;
    uint16_t mask, want;
    uint32_t number;  /* keyword id or term */
    struct span name; /* of a keyword that is not there yet; lives with the command */
    uint64_t size;
    int64_t from, to; /* days since 1970-01-01 */
    struct ranges uids;
    enum header_id field;
    struct needle *needle;
    bool fuzzy; /* how well it matches counts */
};

enum { SEARCH_TERMS_MAX = 64 };

struct search_program {
    struct judge_key *keys;
    size_t count;
    struct ranges scope; /* UIDs that can match at all */
    struct search_term terms[SEARCH_TERMS_MAX];
    size_t term_count;
    struct message_search *bytes; /* NULL without terms */
    signed char *stack;           /* count values */
    unsigned char *scores;        /* and how well each matches; 0: it does not say */
    uint8_t relevancy;            /* of the message that was judged last (RFC 6203); 1 to 100 */
    bool fuzzy;
    struct search_open *open; /* while it is made */
    bool needs_derived;
    bool has_modseq; /* the answer tells the greatest mod-sequence (RFC 7162 section 3.1.5) */
};

/* From the command, for the view (the selected mailbox, or one that ESEARCH looks into) as it is
 * now. After search_program_done *ret can be used again for the same task. 0; ERR_INVALID: a
 * sequence number that does not exist; ERR_DENIED: unknown charset; ERR_LIMIT: too many text keys.
 */
int search_compile(struct task *t, struct view *view, struct snap *snap,
                   struct search_program *ret) must_check;
/* Keywords may have come into being since. */
void search_program_refresh(struct search_program *p, struct snap *snap);
void search_program_done(struct search_program *p);

enum verdict { VERDICT_NO, VERDICT_YES, VERDICT_MAYBE };

/* With what is given: derived may be empty (then header keys are maybe); bytes: the terms of
 * p->bytes stand. */
enum verdict search_judge(struct search_program *p, const struct shown *m, struct span derived,
                          bool bytes, struct buf *scratch);

#endif
