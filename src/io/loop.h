/* io/loop.h: the event loop of a process.
 *
 * Purpose: timers, deferred callbacks, signals and worker jobs around one libuv loop. One loop, one
 * thread; nothing here may be called from another thread, except the `work` function of a job.
 * Ownership: timers and deferred callbacks are embedded in their owner, which cancels them before
 * it dies; they hold no memory of their own. Failure: none; set-up failures abort the process at
 * start. Limits: timers are coarse (10 ms) and cost O(1) to set, move and cancel, so that 100,000
 * idle connections may each have one.
 *
 * A turn of the loop: due timers, some of the slices queued by loop_slice, descriptor events; after
 * each of these groups everything queued by loop_defer runs, until nothing is left. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/list.h"
#include "base/span.h"

struct loop;

struct loop *loop_new(void);
/* Everything that lives on the loop must have been freed; runs what is still closing. */
void loop_free(struct loop *l);
/* Returns after loop_stop, or when nothing is left that could cause an event. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* Monotonic milliseconds, read once a turn. */
uint64_t loop_now_ms(const struct loop *l);

struct loop_timer;
typedef void loop_timer_cb(struct loop_timer *t);

struct loop_timer {
    struct list link; /* private, like due */
    uint64_t due;
    loop_timer_cb *cb;
};

void loop_timer_init(struct loop_timer *t, loop_timer_cb *cb);
/* Runs cb once, about ms after the start of this turn (not less); replaces an earlier setting.
 * Cheapest when the new time is later than the old one, as with an idle timeout that every input
 * pushes away. */
void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t ms);
void loop_timer_cancel(struct loop_timer *t); /* harmless if not set */
static inline bool loop_timer_is_set(const struct loop_timer *t)
{
    return !list_empty(&t->link);
}

struct loop_task;
typedef void loop_task_cb(struct loop_task *t);

struct loop_task {
    struct list link; /* private */
    loop_task_cb *cb;
};

void loop_task_init(struct loop_task *t, loop_task_cb *cb);
/* Run once at the end of this turn's group of events, before the loop waits again. */
void loop_defer(struct loop *l, struct loop_task *t);
/* Run once in a later turn, after other descriptors had their chance: how a long piece of work
 * gives way between its slices. A turn runs them in order for some milliseconds; the others wait.
 */
void loop_slice(struct loop *l, struct loop_task *t);
/* Both of the above leave a task alone that is queued already. */
void loop_task_cancel(struct loop_task *t); /* harmless if not queued */
static inline bool loop_task_queued(const struct loop_task *t)
{
    return !list_empty(&t->link);
}

/* Runs work(arg) in the pool of worker threads (fdatasync, crypt, read-ahead), then done(arg) on
 * the loop. Jobs cannot be cancelled: arg must live until done. Jobs may run in any order. */
void loop_work(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/* How many jobs have not come back yet. */
size_t loop_work_pending(const struct loop *l);
/* Size of the pool; to be called before the first job of the process. */
void loop_work_threads(unsigned n);
/* Starts the pool now instead of with the first job: a process that may make no threads later. */
void loop_work_start(struct loop *l);

/* Any descriptor that can be polled. For stream sockets use io/conn.h. */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_watch;
/* events: LOOP_READ and/or LOOP_WRITE; an error of the descriptor is reported as both. */
typedef void loop_watch_cb(void *arg, int events);
/* Watches for nothing until loop_watch_set; does not own fd. */
struct loop_watch *loop_watch_new(struct loop *l, int fd, loop_watch_cb *cb, void *arg);
void loop_watch_set(struct loop_watch *w, int events);
/* Before fd is closed; also from inside cb. NULL is allowed. */
void loop_watch_free(struct loop_watch *w);

struct loop_signal;
typedef void loop_signal_cb(int signum, void *arg);
struct loop_signal *loop_signal_new(struct loop *l, int signum, loop_signal_cb *cb, void *arg);
void loop_signal_free(struct loop_signal *s);

#endif
