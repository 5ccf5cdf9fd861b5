/* io/workers.h: worker threads of one's own.
 *
 * loop_work has one pool for the whole process; a job that waits long for somebody else there (a
 * directory that does not answer) would hold up all others. What must not be held up has a pool
 * of its own: threads start with the first jobs (so after a process has dropped its privileges) and
 * stay. Ownership: jobs are embedded in their owner and live until `done`. Limits: any number of
 * jobs wait, in order. Everything but `work` is called from the loop's thread. */
#ifndef IO_WORKERS_H
#define IO_WORKERS_H

#include "base/list.h"
#include "io/loop.h"

struct workers;

struct worker_job {
    struct list link; /* private, like begun */
    bool begun;
    void (*work)(struct worker_job *job); /* in a thread */
    void (*done)(struct worker_job *job); /* then on the loop */
};

struct workers *workers_new(struct loop *l, unsigned threads);
void workers_run(struct workers *w, struct worker_job *job);
/* True: it had not begun, and neither `work` nor `done` will be called. */
bool workers_cancel(struct workers *w, struct worker_job *job);
/* Waits for jobs under way; `done` is not called for anything any more. */
void workers_free(struct workers *w);

#endif
