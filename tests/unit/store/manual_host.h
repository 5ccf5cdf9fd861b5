/* tests/unit/store/manual_host.h: a store_host whose order of events the test chooses.
 *
 * Jobs and deferred calls wait in two queues until the test runs them: manual_host_step takes the
 * oldest event, manual_host_defer_one / work_one / finish_one one of a kind, manual_host_run all. A
 * job runs on the test's thread, so "while the sync is under way" is the time between submitting
 * and manual_host_work_one, and "synced, but the loop has not heard of it" that between work_one
 * and finish_one. */
#ifndef TESTS_MANUAL_HOST_H
#define TESTS_MANUAL_HOST_H

#include "base/list.h"
#include "store/account.h"

struct manual_event {
    struct list link;
    void (*run)(void *arg); /* jobs only */
    void (*fn)(void *arg);
    void *arg;
};

struct manual_host {
    struct store_host host;
    struct list deferred, jobs, finished;
    size_t jobs_run;
};

void manual_host_init(struct manual_host *h);
void manual_host_done(struct manual_host *h); /* after store_free */

bool manual_host_defer_one(struct manual_host *h);  /* false if none waits */
bool manual_host_work_one(struct manual_host *h);   /* runs the oldest job, not its completion */
bool manual_host_finish_one(struct manual_host *h); /* the completion of the oldest job that ran */
bool manual_host_step(struct manual_host *h);       /* deferred first, then finish, then work */
void manual_host_run(struct manual_host *h);        /* until nothing waits */

#endif
