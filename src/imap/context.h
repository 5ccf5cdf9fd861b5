/* imap/context.h: searches that go on after their answer (RFC 5267), and the search behind them.
 *
 * A context belongs to the view of the selected mailbox and takes over what its SEARCH or SORT has
 * compiled. It keeps the UIDs that match (of a SORT: in order, with their keys). What has changed
 * or come is judged again by the same code, in the same slices, and the difference is told as ADDTO
 * and REMOVEFROM. */
#ifndef IMAP_CONTEXT_H
#define IMAP_CONTEXT_H

#include "imap/search.h"
#include "imap/sort.h"
#include "imap/thread.h"

struct context;

struct search_state {
    struct view *view; /* the mailbox that is searched */
    struct search_program program;
    struct view_walk walk;
    struct ranges uids, seqs; /* what was found */
    struct sort *sort;        /* of SORT: the same in order */
    struct thread *thread;    /* of THREAD */
    struct buf scores;        /* FUZZY: u32 UID and u8 relevancy of each, in ascending order */
    bool sorting;             /* all has been found */
    /* Mod-sequences: the greatest, and of the first and the last message found. */
    uint64_t modseq, first_modseq, last_modseq;
    struct buf scratch;
    struct buf chunk; /* bytes of the message being read */
    struct message_location where;
    struct buf made;         /* a derived record that was not in the index */
    struct shown open;       /* the message whose bytes are being searched */
    struct buf open_derived; /* copies: the snapshot they came from is gone by then */
    unsigned char open_keywords[2 * KEYWORDS_PER_MESSAGE];
    bool reading; /* `open` is not decided yet */
    bool damaged;
    struct context *context;     /* UPDATE: that it becomes, or that it is */
    const struct ranges *sorted; /* of a context: these are in `sort` already */
};

/* cmd_search.c: goes on with the walk of t->data. 0: the slice is used up; ERR_NOT_FOUND: all has
 * been looked at. */
int search_slice(struct task *t, struct snap *snap) must_check;
void search_cleanup(struct task *t);
void search_state_init(struct search_state *st);
/* Begins to search st->view. */
int search_start(struct task *t, struct snap *snap) must_check;
/* " MAILBOX x UIDVALIDITY 5", or nothing, goes behind the tag. */
void search_answer_esearch(struct task *t, const struct ranges *numbers, struct span source);
void search_save_result(struct task *t);
/* relevancy.c */
void relevancy_note(struct search_state *st, const struct shown *m);
void relevancy_put(struct buf *b, const struct cmd_search *a, const struct search_state *st);
void search_begin_update(struct task *t); /* after the answer */
/* The tagged answer to one that failed. */
enum step search_failed(struct task *t, int rc);

/* At the beginning of a SEARCH with UPDATE: from now on, changes are noted. NULL: refused (too
 * many). *ret_reused: another context has this tag. */
struct context *context_new(struct task *t, bool *ret_reused);
/* The answer has been given. Takes the memory of the task; `t` keeps its tag and what ends it. */
void context_start(struct context *c, struct task *t);
void context_free(struct context *c); /* of a search that failed; NULL is allowed */

/* The results from..to of a SORT as a set: only ascending runs are joined (RFC 5267 section 3.2).
 */
void put_sorted_part(struct buf *b, const struct sort *s, bool uid, size_t from, size_t to);
/* The places (from 1) that PARTIAL names among n results; false: none of them exist. */
bool partial_places(const struct wire_partial *p, uint64_t n, uint64_t *ret_first,
                    uint64_t *ret_last);
/* " PARTIAL (1:500 7:9)" */
void put_partial(struct buf *b, const struct cmd_search *a, const struct search_state *st, bool uid,
                 const struct ranges *numbers);
/* Of ascending numbers those that PARTIAL names by their places. */
void partial_slice(const struct wire_partial *p, const struct ranges *all, struct ranges *ret);
/* Adds the UIDs of the results that PARTIAL answers with. */
void partial_save(const struct cmd_search *a, const struct search_state *st, struct ranges *to);

#endif
