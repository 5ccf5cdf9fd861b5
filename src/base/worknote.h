/* base/worknote.h: for which account a thread is working at this moment, in a page that outlives
 * the process, so that after a crash its supervisor knows whose work it was.
 *
 *     struct worknote_id before = worknote_enter(account_id);
 *     ...
 *     worknote_leave(before);
 *
 * Two stores to memory each way: cheap enough for every slice of work. Without a page (other
 * processes, unit tests) each thread writes to memory of its own. A handler for the signals of a
 * crash writes down which thread it was, then lets the signal do what it would have done. */
#ifndef BASE_WORKNOTE_H
#define BASE_WORKNOTE_H

#include <stdatomic.h>

#include "base/err.h"

enum { WORKNOTE_THREADS = 300, WORKNOTE_ID = 16 };

struct worknote {
    _Atomic uint64_t id[2]; /* both 0: nobody's work */
};

/* The shared page. The process writes it; its supervisor reads it when the process has ended. */
struct worknotes {
    _Atomic uint32_t threads; /* that have a note */
    _Atomic uint32_t crashed; /* number of the thread, from 1; 0: not known */
    struct worknote thread[WORKNOTE_THREADS];
};

struct worknote_id {
    uint64_t id[2];
};

extern _Thread_local struct worknote *worknote_mine; /* private; NULL before the first use */
struct worknote *worknote_claim(void);               /* private */

static inline struct worknote_id worknote_current(void)
{
    struct worknote *n = worknote_mine ? worknote_mine : worknote_claim();
    return (struct worknote_id){{atomic_load_explicit(&n->id[0], memory_order_relaxed),
                                 atomic_load_explicit(&n->id[1], memory_order_relaxed)}};
}

static inline void worknote_leave(struct worknote_id before)
{
    struct worknote *n = worknote_mine ? worknote_mine : worknote_claim();
    atomic_store_explicit(&n->id[0], before.id[0], memory_order_relaxed);
    atomic_store_explicit(&n->id[1], before.id[1], memory_order_relaxed);
}

/* Returns what it was before, for worknote_leave. */
static inline struct worknote_id worknote_switch(struct worknote_id to)
{
    struct worknote_id before = worknote_current();
    worknote_leave(to);
    return before;
}

static inline struct worknote_id worknote_enter(const uint8_t account[WORKNOTE_ID])
{
    struct worknote_id to;
    memcpy(to.id, account, WORKNOTE_ID);
    return worknote_switch(to);
}

/* In the process: maps the page and installs the handlers. Takes fd. */
int worknote_attach(int fd, struct err *err) must_check;

/* In the supervisor. */
int worknote_create(struct worknotes **ret, int *ret_fd, struct err *err) must_check;
/* Calls each once for every account that may have crashed the process: the one of the thread that
 * crashed, or all that were worked for when that is not known. */
void worknote_suspects(struct worknotes *w, void (*each)(void *arg, const uint8_t *account),
                       void *arg);
void worknote_clear(struct worknotes *w); /* for the process's successor */
void worknote_destroy(struct worknotes *w);

#endif
