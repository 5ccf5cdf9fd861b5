#include "io/workers.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

enum { STACK_SIZE = 512 * 1024, THREADS_MAX = 64 };

struct workers {
    struct loop *loop;
    struct loop_watch *watch;
    int wake; /* eventfd: something is in `finished` */
    unsigned max, count;
    pthread_t threads[THREADS_MAX];

    pthread_mutex_t lock; /* for all below */
    pthread_cond_t more;
    struct list waiting, finished;
    unsigned idle;
    bool stop;
};

static void *thread_main(void *arg)
{
    struct workers *w = arg;
    pthread_mutex_lock(&w->lock);
    for (;;) {
        w->idle++;
        while (list_empty(&w->waiting) && !w->stop)
            pthread_cond_wait(&w->more, &w->lock);
        w->idle--;
        if (w->stop)
            break;
        struct worker_job *job = list_entry(w->waiting.next, struct worker_job, link);
        list_remove(&job->link);
        job->begun = true;
        pthread_mutex_unlock(&w->lock);
        job->work(job);
        pthread_mutex_lock(&w->lock);
        bool first = list_empty(&w->finished);
        list_push_back(&w->finished, &job->link);
        if (first)
            (void)eventfd_write(w->wake, 1);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static void on_wake(void *arg, int events)
{
    struct workers *w = arg;
    eventfd_t ignored;
    (void)events;
    (void)eventfd_read(w->wake, &ignored);
    for (;;) {
        pthread_mutex_lock(&w->lock);
        struct worker_job *job = list_first(&w->finished, struct worker_job, link);
        if (job)
            list_remove(&job->link);
        pthread_mutex_unlock(&w->lock);
        if (!job)
            return;
        job->done(job);
    }
}

struct workers *workers_new(struct loop *l, unsigned threads)
{
    struct workers *w = xnew(struct workers);
    w->loop = l;
    w->max = MIN(threads, (unsigned)THREADS_MAX);
    w->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    invariant(w->wake >= 0 && w->max > 0);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->more, NULL);
    list_init(&w->waiting);
    list_init(&w->finished);
    w->watch = loop_watch_new(l, w->wake, on_wake, w);
    loop_watch_set(w->watch, LOOP_READ);
    return w;
}

/* Signals are for the loop's thread, but for those that a thread brings upon itself: with them
 * blocked the process would end without a word, or a report of the sandbox (SIGSYS) be its end. */
static void start_thread(struct workers *w)
{
    sigset_t all, old;
    pthread_attr_t attr;
    static const int own[] = {SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};
    sigfillset(&all);
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        sigdelset(&all, own[i]);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_SIZE);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&w->threads[w->count], &attr, thread_main, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    w->count += r == 0; /* else the next job tries again */
}

void workers_run(struct workers *w, struct worker_job *job)
{
    pthread_mutex_lock(&w->lock);
    job->begun = false;
    list_push_back(&w->waiting, &job->link);
    unsigned waiting = 0;
    struct worker_job *j;
    list_each(j, &w->waiting, link) if (++waiting > w->idle) break;
    bool enough = waiting <= w->idle;
    pthread_cond_signal(&w->more);
    pthread_mutex_unlock(&w->lock);
    if (!enough && w->count < w->max)
        start_thread(w);
}

bool workers_cancel(struct workers *w, struct worker_job *job)
{
    pthread_mutex_lock(&w->lock);
    bool waits = !job->begun;
    if (waits)
        list_remove(&job->link);
    pthread_mutex_unlock(&w->lock);
    return waits;
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_broadcast(&w->more);
    pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->count; i++)
        pthread_join(w->threads[i], NULL);
    loop_watch_free(w->watch);
    close(w->wake);
    pthread_mutex_destroy(&w->lock);
    pthread_cond_destroy(&w->more);
    free(w);
}
