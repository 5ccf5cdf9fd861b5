/* daemon/supervisor/pages.h: the pages that the processes count in (base/metrics.h).
 *
 * A process gets a page when it is started and gives it back when it has ended; the next one of its
 * role takes it and goes on, so that counters never go back, and there are as many pages as
 * processes at the same time. The supervisor has one as well, and writes processor time and memory
 * of every process into theirs (nothing in a sandbox can read /proc). Failure: without a page a
 * process counts for nobody. One loop thread. */
#ifndef DAEMON_SUPERVISOR_PAGES_H
#define DAEMON_SUPERVISOR_PAGES_H

#include "io/loop.h"
#include "ipc/messages.h"

struct pages;
struct page;

struct pages_ops {
    /* A page that martlet-metrics has not heard of; fd is read-only and the callee's. */
    void (*added)(void *arg, enum role role, unsigned index, int fd);
    /* Time to set the gauges of the supervisor itself. */
    void (*measure)(void *arg);
};

struct pages *pages_new(struct loop *l, const struct pages_ops *ops, void *arg);
void pages_free(struct pages *p);

/* NULL: there is none to be had. */
struct page *pages_take(struct pages *p, enum role role, pid_t pid);
/* A descriptor for the process; the caller's. */
int page_fd(const struct page *page);
/* The process has ended with this status (waitpid). NULL is allowed. */
void pages_give_back(struct pages *p, struct page *page, int status);
/* Calls `added` for all, for a martlet-metrics that is new. */
void pages_announce(struct pages *p);
/* Look at /proc every PAGES_MEASURE_MS; when somebody reads it. */
void pages_measure(struct pages *p, bool on);

#endif
