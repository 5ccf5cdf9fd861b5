#include "manual_host.h"

static void push(struct list *queue, void (*run)(void *), void (*fn)(void *), void *arg)
{
    struct manual_event *e = xnew(struct manual_event);
    *e = (struct manual_event){.run = run, .fn = fn, .arg = arg};
    list_push_back(queue, &e->link);
}

static struct manual_event *pop(struct list *queue)
{
    struct manual_event *e = list_first(queue, struct manual_event, link);
    if (e)
        list_remove(&e->link);
    return e;
}

static void host_work(void *ctx, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    push(&((struct manual_host *)ctx)->jobs, run, done, arg);
}

static void host_defer(void *ctx, void (*fn)(void *arg), void *arg)
{
    push(&((struct manual_host *)ctx)->deferred, NULL, fn, arg);
}

void manual_host_init(struct manual_host *h)
{
    *h = (struct manual_host){.host = {h, host_work, host_defer}};
    list_init(&h->deferred);
    list_init(&h->jobs);
    list_init(&h->finished);
}

/* After store_free all that waits has lost its owner and only frees itself. */
void manual_host_done(struct manual_host *h)
{
    struct list *queues[] = {&h->deferred, &h->jobs, &h->finished};
    for (size_t i = 0; i < ARRAY_LEN(queues); i++)
        for (struct manual_event *e; (e = pop(queues[i])); free(e))
            e->fn(e->arg);
}

bool manual_host_defer_one(struct manual_host *h)
{
    autofree struct manual_event *e = pop(&h->deferred);
    if (e)
        e->fn(e->arg);
    return e;
}

bool manual_host_work_one(struct manual_host *h)
{
    struct manual_event *e = pop(&h->jobs);
    if (!e)
        return false;
    e->run(e->arg);
    h->jobs_run++;
    list_push_back(&h->finished, &e->link);
    return true;
}

bool manual_host_finish_one(struct manual_host *h)
{
    autofree struct manual_event *e = pop(&h->finished);
    if (e)
        e->fn(e->arg);
    return e;
}

bool manual_host_step(struct manual_host *h)
{
    return manual_host_defer_one(h) || manual_host_finish_one(h) || manual_host_work_one(h);
}

void manual_host_run(struct manual_host *h)
{
    while (manual_host_step(h))
        ;
}
