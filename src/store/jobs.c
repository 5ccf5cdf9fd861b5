/* Worker jobs and deferred calls that the end of the store can take back.
 *
 * The host keeps calling us back after store_free: each call carries a struct store_job that by
 * then has lost its owner. A job that already runs in a worker is waited for. */
#include <pthread.h>

#include "store/store_int.h"

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_RAN, JOB_CANCELLED };

struct store_job {
    struct list link; /* store.jobs; empty once the store let go of it */
    job_fn *run, *done;
    void *arg;
    enum job_state state; /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t ran;
};

static enum job_state job_state(struct store_job *job)
{
    pthread_mutex_lock(&job->lock);
    enum job_state state = job->state;
    pthread_mutex_unlock(&job->lock);
    return state;
}

/* Worker. */
static void job_run(void *arg)
{
    struct store_job *job = arg;
    pthread_mutex_lock(&job->lock);
    bool go = job->state == JOB_QUEUED;
    if (go)
        job->state = JOB_RUNNING;
    pthread_mutex_unlock(&job->lock);
    if (!go)
        return;
    job->run(job->arg);
    pthread_mutex_lock(&job->lock);
    job->state = JOB_RAN;
    pthread_cond_broadcast(&job->ran);
    pthread_mutex_unlock(&job->lock);
}

static void job_done(void *arg)
{
    struct store_job *job = arg;
    if (job->done) {
        list_remove(&job->link);
        job->done(job->arg);
    }
    pthread_cond_destroy(&job->ran);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static struct store_job *job_new(struct store *store, job_fn *run, job_fn *done, void *arg)
{
    struct store_job *job = xnew(struct store_job);
    *job = (struct store_job){.run = run, .done = done, .arg = arg, .state = JOB_QUEUED};
    pthread_mutex_init(&job->lock, NULL);
    pthread_cond_init(&job->ran, NULL);
    list_init(&job->link);
    list_push_back(&store->jobs, &job->link);
    return job;
}

struct store_job *store_work(struct store *store, job_fn *run, job_fn *done, void *arg)
{
    struct store_job *job = job_new(store, run, done, arg);
    store->host.work(store->host.ctx, job_run, job_done, job);
    return job;
}

void store_defer(struct store *store, job_fn *fn, void *arg)
{
    store->host.defer(store->host.ctx, job_done, job_new(store, NULL, fn, arg));
}

static void wait_for(struct store_job *job)
{
    pthread_mutex_lock(&job->lock);
    while (job->state == JOB_RUNNING)
        pthread_cond_wait(&job->ran, &job->lock);
    pthread_mutex_unlock(&job->lock);
}

void store_job_await(struct store_job *job)
{
    list_remove(&job->link);
    if (job->run && job_state(job) == JOB_QUEUED)
        job_run(job);
    if (job->run)
        wait_for(job);
    job_fn *done = take_ptr(job->done);
    done(job->arg);
}

void store_jobs_finish(struct store *store)
{
    struct store_job *job;
    while ((job = list_first(&store->jobs, struct store_job, link)))
        store_job_await(job);
}
