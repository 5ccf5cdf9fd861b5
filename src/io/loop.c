#include "base/clock.h"
#include "io/conn_compress.h"
#include "io/loop_int.h"

enum { SLICES_US = 4000 }; /* of a turn for slices, however many of them there are */

/* Timers: a hierarchical wheel. A timer that is due at tick D stands at the level of the highest
 * group of six bits in which D differs from the current tick, in the slot named by that group of D.
 * So every timer of level n agrees with the current tick in all groups above n, the lowest
 * busy level holds the earliest event, and moving to a slot of level n spreads it over the levels
 * below. A timer that is set to a later time keeps its slot and is moved on when that slot comes
 * up. */

static uint64_t tick_of(uint64_t ms)
{
    return ms / TICK_MS;
}

static unsigned level_of(uint64_t cur, uint64_t due)
{
    return (unsigned)(63 - __builtin_clzll(cur ^ due)) / 6;
}

/* When the wheel has to look at that slot. */
static uint64_t slot_tick(const struct wheel *w, unsigned level, unsigned slot)
{
    uint64_t above = w->cur >> (6 * (level + 1)) << (6 * (level + 1));
    return above | (uint64_t)slot << (6 * level);
}

static uint64_t wheel_insert(struct wheel *w, struct loop_timer *t)
{
    invariant(t->due > w->cur);
    unsigned level = level_of(w->cur, t->due);
    invariant(level < WHEEL_LEVELS);
    unsigned slot = (unsigned)(t->due >> (6 * level)) & (WHEEL_SLOTS - 1);
    w->busy[level] |= UINT64_C(1) << slot;
    list_push_back(&w->slots[level][slot], &t->link);
    return slot_tick(w, level, slot);
}

/* The earliest busy slot and its tick; UINT64_MAX if there is none. */
static uint64_t wheel_next(struct wheel *w, struct list **ret_slot)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        while (w->busy[level]) {
            unsigned slot = (unsigned)__builtin_ctzll(w->busy[level]);
            struct list *l = &w->slots[level][slot];
            if (list_empty(l)) { /* cancelled meanwhile */
                w->busy[level] &= ~(UINT64_C(1) << slot);
                continue;
            }
            *ret_slot = l;
            return slot_tick(w, level, slot);
        }
    }
    return UINT64_MAX;
}

static void move_all(struct list *from, struct list *to)
{
    list_init(to);
    if (list_empty(from))
        return;
    list_insert_between(to, from->prev, from->next);
    list_init(from);
}

static void append_all(struct list *from, struct list *to)
{
    if (list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

static void timer_fire(struct loop *l, struct list *slot)
{
    struct list due;
    move_all(slot, &due);
    while (!list_empty(&due)) {
        struct loop_timer *t = list_first(&due, struct loop_timer, link);
        list_remove(&t->link);
        if (t->due > l->wheel.cur)
            wheel_insert(&l->wheel, t);
        else
            t->cb(t);
    }
}

static void on_timer(uv_timer_t *handle);

static void timer_program(struct loop *l)
{
    struct list *slot;
    uint64_t tick = wheel_next(&l->wheel, &slot);
    if (tick == l->timer_tick)
        return;
    l->timer_tick = tick;
    if (tick == UINT64_MAX) {
        uv_timer_stop(&l->timer);
        return;
    }
    uint64_t now = uv_now(&l->uv), at = tick * TICK_MS;
    uv_timer_start(&l->timer, on_timer, at > now ? at - now : 0, 0);
}

static void on_timer(uv_timer_t *handle)
{
    struct loop *l = handle->data;
    uint64_t now = tick_of(uv_now(&l->uv)), tick;
    struct list *slot;
    l->timer_tick = UINT64_MAX;
    l->in_timers = true;
    while ((tick = wheel_next(&l->wheel, &slot)) <= now) {
        l->wheel.cur = tick;
        timer_fire(l, slot);
    }
    if (l->wheel.cur < now)
        l->wheel.cur = now;
    l->in_timers = false;
    timer_program(l);
}

void loop_timer_init(struct loop_timer *t, loop_timer_cb *cb)
{
    list_init(&t->link);
    t->due = 0;
    t->cb = cb;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, uint64_t ms)
{
    const uint64_t year = UINT64_C(366) * 86400 * 1000;
    uint64_t due = tick_of(uv_now(&l->uv) + MIN(ms, year) + TICK_MS - 1);
    if (due <= l->wheel.cur)
        due = l->wheel.cur + 1;
    if (loop_timer_is_set(t) && due >= t->due) {
        t->due = due;
        return;
    }
    list_remove(&t->link);
    t->due = due;
    uint64_t tick = wheel_insert(&l->wheel, t);
    if (tick < l->timer_tick && !l->in_timers)
        timer_program(l);
}

void loop_timer_cancel(struct loop_timer *t)
{
    list_remove(&t->link);
}

/* Tasks. */

void loop_task_init(struct loop_task *t, loop_task_cb *cb)
{
    list_init(&t->link);
    t->cb = cb;
}

void loop_task_cancel(struct loop_task *t)
{
    list_remove(&t->link);
}

static void run_tasks(struct list *queue)
{
    struct list now;
    move_all(queue, &now);
    while (!list_empty(&now)) {
        struct loop_task *t = list_first(&now, struct loop_task, link);
        list_remove(&t->link);
        t->cb(t);
    }
}

static void run_deferred(struct loop *l)
{
    while (!list_empty(&l->deferred))
        run_tasks(&l->deferred);
}

/* Slices take turns, but a turn does not last longer for there being many: whoever has only little
 * to ask waits for SLICES_US and the last slice, not for one of everybody. */
static void on_idle(uv_idle_t *handle)
{
    struct loop *l = handle->data;
    struct list now;
    move_all(&l->slices, &now);
    uint64_t end = clock_monotonic_us() + SLICES_US;
    while (!list_empty(&now)) {
        struct loop_task *t = list_first(&now, struct loop_task, link);
        list_remove(&t->link);
        t->cb(t);
        if (clock_monotonic_us() >= end)
            break;
    }
    append_all(&l->slices, &now);
    move_all(&now, &l->slices);
    if (list_empty(&l->slices))
        uv_idle_stop(&l->idle);
}

static void on_prepare(uv_prepare_t *handle)
{
    struct loop *l = handle->data;
    struct list *slot;
    run_deferred(l);
    /* Timers are cancelled without a word to the loop: it need not wait for the last one. */
    if (l->timer_tick != UINT64_MAX && wheel_next(&l->wheel, &slot) == UINT64_MAX)
        timer_program(l);
}

static void on_check(uv_check_t *handle)
{
    run_deferred(handle->data);
}

void loop_defer(struct loop *l, struct loop_task *t)
{
    if (!loop_task_queued(t))
        list_push_back(&l->deferred, &t->link);
}

void loop_slice(struct loop *l, struct loop_task *t)
{
    if (loop_task_queued(t))
        return;
    list_push_back(&l->slices, &t->link);
    uv_idle_start(&l->idle, on_idle); /* also keeps the loop from waiting */
}

/* Worker jobs. */

struct loop_job {
    uv_work_t req;
    struct loop *loop;
    struct loop_job *next_free;
    void (*work)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void on_work(uv_work_t *req)
{
    struct loop_job *j = req->data;
    j->work(j->arg);
}

static void on_work_done(uv_work_t *req, int status)
{
    (void)status;
    struct loop_job *j = req->data;
    struct loop *l = j->loop;
    void (*done)(void *arg) = j->done;
    void *arg = j->arg;
    j->next_free = l->free_jobs;
    l->free_jobs = j;
    l->jobs--;
    done(arg);
}

void loop_work(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
    struct loop_job *j = l->free_jobs;
    if (j)
        l->free_jobs = j->next_free;
    else
        j = xnew(struct loop_job);
    j->req.data = j;
    j->loop = l;
    j->work = work;
    j->done = done;
    j->arg = arg;
    l->jobs++;
    int r = uv_queue_work(&l->uv, &j->req, on_work, on_work_done);
    invariant(r == 0);
}

size_t loop_work_pending(const struct loop *l)
{
    return l->jobs;
}

void loop_work_threads(unsigned n)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", n);
    setenv("UV_THREADPOOL_SIZE", text, 1);
}

static void no_work(void *arg)
{
    (void)arg;
}

void loop_work_start(struct loop *l)
{
    loop_work(l, no_work, no_work, NULL); /* libuv starts all of its threads with the first job */
}

/* Descriptors. */

struct loop_watch {
    uv_poll_t poll;
    loop_watch_cb *cb;
    void *arg;
    int have;
};

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct loop_watch *w = handle->data;
    int found = (events & UV_READABLE ? LOOP_READ : 0) | (events & UV_WRITABLE ? LOOP_WRITE : 0);
    if (status < 0) { /* EPOLLERR: libuv watches no more */
        w->have = 0;
        found = LOOP_READ | LOOP_WRITE;
    }
    w->cb(w->arg, found);
}

struct loop_watch *loop_watch_new(struct loop *l, int fd, loop_watch_cb *cb, void *arg)
{
    struct loop_watch *w = xnew(struct loop_watch);
    int r = uv_poll_init(&l->uv, &w->poll, fd);
    invariant(r == 0);
    w->poll.data = w;
    w->cb = cb;
    w->arg = arg;
    return w;
}

void loop_watch_set(struct loop_watch *w, int events)
{
    if (w->have == events)
        return;
    w->have = events;
    if (events)
        uv_poll_start(&w->poll,
                      (events & LOOP_READ ? UV_READABLE : 0) |
                          (events & LOOP_WRITE ? UV_WRITABLE : 0),
                      on_poll);
    else
        uv_poll_stop(&w->poll);
}

static void free_watch(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_watch_free(struct loop_watch *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->poll, free_watch);
}

/* Signals. */

struct loop_signal {
    uv_signal_t handle;
    loop_signal_cb *cb;
    void *arg;
};

static void on_signal(uv_signal_t *handle, int signum)
{
    struct loop_signal *s = handle->data;
    s->cb(signum, s->arg);
}

struct loop_signal *loop_signal_new(struct loop *l, int signum, loop_signal_cb *cb, void *arg)
{
    struct loop_signal *s = xnew(struct loop_signal);
    s->cb = cb;
    s->arg = arg;
    s->handle.data = s;
    int r = uv_signal_init(&l->uv, &s->handle);
    invariant(r == 0);
    r = uv_signal_start(&s->handle, on_signal, signum);
    invariant(r == 0);
    uv_unref((uv_handle_t *)&s->handle);
    return s;
}

static void free_signal(uv_handle_t *handle)
{
    free(handle->data);
}

void loop_signal_free(struct loop_signal *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->handle, free_signal);
}

/* The loop itself. */

uv_loop_t *loop_uv(struct loop *l)
{
    return &l->uv;
}

struct loop *loop_new(void)
{
    struct loop *l = xnew(struct loop);
    int r = uv_loop_init(&l->uv);
    invariant(r == 0);
    uv_timer_init(&l->uv, &l->timer);
    uv_prepare_init(&l->uv, &l->prepare);
    uv_check_init(&l->uv, &l->check);
    uv_idle_init(&l->uv, &l->idle);
    l->timer.data = l->prepare.data = l->check.data = l->idle.data = l;
    uv_prepare_start(&l->prepare, on_prepare);
    uv_check_start(&l->check, on_check);
    uv_unref((uv_handle_t *)&l->prepare);
    uv_unref((uv_handle_t *)&l->check);
    list_init(&l->deferred);
    list_init(&l->codecs);
    loop_timer_init(&l->codec_timer, conn_compress_sweep);
    list_init(&l->slices);
    for (unsigned i = 0; i < WHEEL_LEVELS; i++)
        for (unsigned k = 0; k < WHEEL_SLOTS; k++)
            list_init(&l->wheel.slots[i][k]);
    l->wheel.cur = tick_of(uv_now(&l->uv));
    l->timer_tick = UINT64_MAX;
    l->input = xmalloc(LOOP_INPUT_SIZE);
    return l;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    uv_close((uv_handle_t *)&l->timer, NULL);
    uv_close((uv_handle_t *)&l->prepare, NULL);
    uv_close((uv_handle_t *)&l->check, NULL);
    uv_close((uv_handle_t *)&l->idle, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    int r = uv_loop_close(&l->uv);
    invariant(r == 0);
    for (struct loop_job *j = l->free_jobs, *next; j; j = next) {
        next = j->next_free;
        free(j);
    }
    free(l->input);
    free(l);
}

void loop_run(struct loop *l)
{
    do {
        run_deferred(l);
        uv_run(&l->uv, UV_RUN_DEFAULT);
    } while (!list_empty(&l->deferred) && !l->stopped);
    l->stopped = false;
}

void loop_stop(struct loop *l)
{
    l->stopped = true;
    uv_stop(&l->uv);
}

uint64_t loop_now_ms(const struct loop *l)
{
    return uv_now(&l->uv);
}
