#include "auth/pool_int.h"

#include <errno.h>
#include <pthread.h>

#include "base/clock.h"

enum { POOL_MAX = 64, PAUSE_US = 1000000 };

struct pool {
    const struct pool_ops *ops;
    void *arg;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    size_t max, made, idle_count;
    void *idle[POOL_MAX];
    uint64_t timeout_us, down_until;
    char why[sizeof(((struct err *)0)->text)];
};

struct pool *pool_new(const struct pool_ops *ops, void *arg, size_t max, uint64_t timeout_s)
{
    struct pool *p = xnew(struct pool);
    p->ops = ops;
    p->arg = arg;
    p->max = MIN(max, POOL_MAX);
    p->timeout_us = timeout_s * 1000000;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&p->freed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&p->lock, NULL);
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    while (p->idle_count)
        p->ops->close(p->idle[--p->idle_count]);
    pthread_cond_destroy(&p->freed);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

/* With the lock. True: there may be one, or room for one. */
static bool wait_turn(struct pool *p)
{
    uint64_t until = clock_monotonic_us() + p->timeout_us;
    struct timespec ts = {(time_t)(until / 1000000), (long)(until % 1000000) * 1000};
    while (!p->idle_count && p->made >= p->max)
        if (pthread_cond_timedwait(&p->freed, &p->lock, &ts) == ETIMEDOUT)
            return false;
    return true;
}

static void *make(struct pool *p, struct err *err)
{
    struct err why = {0};
    void *c = p->ops->open(p->arg, &why); /* without the lock */
    if (c)
        return c;
    pthread_mutex_lock(&p->lock);
    p->made--;
    p->down_until = clock_monotonic_us() + PAUSE_US;
    memcpy(p->why, why.text, sizeof(p->why));
    pthread_cond_signal(&p->freed);
    pthread_mutex_unlock(&p->lock);
    err_set(err, ERR_BUSY, "%s", why.text);
    return NULL;
}

void *pool_take(struct pool *p, bool *ret_fresh, struct err *err)
{
    void *c = NULL;
    bool room = false;
    pthread_mutex_lock(&p->lock);
    if (!wait_turn(p)) {
        err_set(err, ERR_BUSY, "all connections are in use");
    } else if (p->idle_count) {
        c = p->idle[--p->idle_count];
    } else if (clock_monotonic_us() < p->down_until) {
        err_set(err, ERR_BUSY, "%s", p->why);
    } else {
        room = true;
        p->made++;
    }
    pthread_mutex_unlock(&p->lock);
    *ret_fresh = room;
    return room ? make(p, err) : c;
}

void pool_give(struct pool *p, void *connection, bool good)
{
    if (!good)
        p->ops->close(connection);
    pthread_mutex_lock(&p->lock);
    if (good)
        p->idle[p->idle_count++] = connection;
    else
        p->made--;
    pthread_cond_signal(&p->freed);
    pthread_mutex_unlock(&p->lock);
}
