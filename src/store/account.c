/* Opening, waking, closing and reopening an account. */
#include "base/logline.h"
#include "base/metrics.h"
#include "store/recover.h"
#include "store/remote_int.h"
#include "store/store_int.h"
#include "store/transfer.h"
#include "store/upload_int.h"

struct waiter {
    struct list link;
    struct account *account;
    void (*done)(void *arg, int error, struct account *account);
    void *arg;
};

/* --- references --- */

struct account *account_ref(struct account *account)
{
    account->refs++;
    return account;
}

void account_unref(struct account *account)
{
    if (!account)
        return;
    invariant(account->refs > 0);
    account->refs--;
    account_settle(account);
}

const struct account_id *account_get_id(const struct account *account)
{
    return &account->id;
}

static struct span id_span(const struct account_id *id)
{
    return span_make(id->b, sizeof(id->b));
}

struct account *account_find_or_make(struct store *store, const struct account_id *id)
{
    struct account *a = map_get(&store->accounts, id_span(id));
    if (a)
        return a;
    a = xnew(struct account);
    a->id = *id;
    a->store = store;
    a->state = ACCOUNT_FAILED; /* until somebody opens it */
    a->queue_end = &a->queue;
    list_init(&a->awake);
    list_init(&a->waiters);
    list_init(&a->leases);
    list_init(&a->watches);
    list_init(&a->uploads);
    buf_init(&a->ghosts, BUF_UNLIMITED);
    buf_init(&a->recents, BUF_UNLIMITED);
    map_put(&store->accounts, id_span(id), a);
    return a;
}

static void account_free(struct account *a)
{
    if (a->remote)
        remote_detach(a);
    map_remove(&a->store->accounts, id_span(&a->id));
    buf_done(&a->ghosts);
    buf_done(&a->recents);
    free(a);
}

/* --- opening --- */

struct opening {
    struct account *account;
    struct log *log;
    struct index *index;
    struct recover_report report;
    struct err err;
    int error;
};

/* Worker, or the loop thread for an account that only sleeps. */
static void open_run(void *arg)
{
    struct opening *o = arg;
    struct account *a = o->account;
    struct log_options options = {.fs = a->store->fs,
                                  .segment_size = a->store->options.segment_size};
    autobuf log_dir = BUF_INIT(BUF_UNLIMITED), index_dir = BUF_INIT(BUF_UNLIMITED);
    if (a->remote) {
        o->report.trusted = true;
        o->error = remote_open_files(a, &o->index, &o->log, &o->err);
        return;
    }
    store_account_path(a->store, &a->id, "/log", &log_dir);
    store_account_path(a->store, &a->id, "/index", &index_dir);
    o->error = log_open(&options, log_dir.p, &o->log, NULL, &o->err);
    if (o->error)
        return;
    (void)!log_sweep(o->log, NULL); /* segments whose grace is over; they can wait */
    o->error = recover_index(index_dir.p, o->log, a->fresh, &o->index, &o->report, &o->err);
    if (o->error)
        log_close(take_ptr(o->log));
}

static void wait_over(void *arg)
{
    struct waiter *w = arg;
    struct account *a = w->account;
    bool ok = a->state != ACCOUNT_FAILED;
    if (ok)
        w->done(w->arg, 0, a);
    else
        w->done(w->arg, a->failed ? a->failed : ERR_CLOSED, NULL);
    free(w);
    if (!ok)
        account_unref(a);
}

static void tell_waiters(struct account *a)
{
    struct waiter *w;
    while ((w = list_first(&a->waiters, struct waiter, link))) {
        list_remove(&w->link);
        wait_over(w);
    }
}

static void say_opened(const struct opening *o)
{
    const struct recover_report *r = &o->report;
    autobuf id = BUF_INIT(64);
    buf_put_hex(&id, o->account->id.b, ACCOUNT_ID_LEN);
    if (o->error)
        log_text(LOG_ERROR, "account-open-failed", "%s: %s", id.p, o->err.text);
    else if (r->damaged)
        log_text(LOG_ERROR, "account-damaged", "%s: %llu damaged frames in the log; run check",
                 id.p, (unsigned long long)r->damaged);
    else if (!r->trusted)
        log_text(r->frames < 1000 ? LOG_DEBUG : LOG_INFO, "account-recovered",
                 "%s: %llu frames in %llu ms", id.p, (unsigned long long)r->frames,
                 (unsigned long long)r->microseconds / 1000);
}

static void open_take(struct opening *o)
{
    struct account *a = o->account;
    say_opened(o);
    a->failed = o->error;
    a->state = o->error ? ACCOUNT_FAILED : ACCOUNT_AWAKE;
    if (o->error)
        return;
    a->fresh = false;
    a->log = o->log;
    a->index = o->index;
    buf_reset(&a->ghosts); /* recovery forgot them */
    a->purge_wanted = false;
    a->tick = a->store->tick;
    list_push_back(&a->store->awake, &a->awake);
    a->store->awake_count++;
    metric_add(METRIC_ACCOUNTS_OPEN, 1);
    metric_add(METRIC_ACCOUNT_OPENS + METRIC_CACHE_MISS, 1);
    metric_add(METRIC_DAMAGED, o->report.damaged);
    leases_check(a);
}

void account_settle_transfers(struct account *a)
{
    struct store *store = a->store;
    struct snap *snap;
    struct transfer t;
    if (!store->host.unsettled || store->closing || snap_begin(a, &snap))
        return;
    int error = snap_transfer_seek(snap, NULL, &t);
    snap_end(snap);
    if (error == 0)
        store->host.unsettled(store->host.ctx, a);
}

static void opened(struct account *a)
{
    a->refs++;
    if (a->state == ACCOUNT_FAILED)
        writer_refuse(a, ERR_CLOSED);
    tell_waiters(a);
    if (a->state == ACCOUNT_AWAKE) {
        writer_kick(a);
        if (!a->remote)
            account_settle_transfers(a);
        store_evict(a->store);
    }
    account_unref(a);
}

static void open_done(void *arg)
{
    struct opening *o = arg;
    struct account *a = o->account;
    open_take(o);
    free(o);
    opened(a);
}

void account_remote_opened(struct account *a, int error)
{
    static struct range everything = {1, UINT32_MAX};
    static const struct ranges all = {&everything, 1, 1};
    struct opening o = {.account = a, .error = error};
    if (error == 0)
        open_run(&o);
    else
        err_set(&o.err, error, "its owner says %s", err_name(error));
    open_take(&o);
    account_ref(a);
    opened(a);
    if (a->state == ACCOUNT_AWAKE) {
        struct events nobody_knows;
        events_init(&nobody_knows);
        nobody_knows.overflow = true;
        remote_views_moved(a);
        watches_notify(a, &all, &nobody_knows);
        events_done(&nobody_knows);
    }
    account_unref(a);
}

static void open_start(struct account *a)
{
    if (a->remote) {
        remote_connect(a);
        return;
    }
    struct opening *o = xnew(struct opening);
    o->account = a;
    a->state = ACCOUNT_OPENING;
    store_work(a->store, open_run, open_done, o);
}

/* Quick: the index is trusted, the log was closed in good order. */
static int open_here(struct account *a)
{
    struct opening o = {.account = a};
    open_run(&o);
    open_take(&o);
    if (a->state == ACCOUNT_AWAKE)
        store_evict(a->store);
    return o.error;
}

void account_open(struct store *store, const struct account_id *id,
                  void (*done)(void *arg, int error, struct account *account), void *arg)
{
    struct account *a = account_ref(account_find_or_make(store, id));
    struct waiter *w = xnew(struct waiter);
    *w = (struct waiter){.account = a, .done = done, .arg = arg};
    list_init(&w->link);
    if (a->state == ACCOUNT_AWAKE)
        metric_add(METRIC_ACCOUNT_OPENS + METRIC_CACHE_HIT, 1);
    if (a->state == ACCOUNT_FAILED && !store->closing)
        open_start(a);
    if (a->state == ACCOUNT_OPENING)
        list_push_back(&a->waiters, &w->link);
    else
        store_defer(store, wait_over, w);
}

void account_await(struct store *store, const struct account_id *id,
                   void (*done)(void *arg, int error, struct account *account), void *arg)
{
    struct account *a = account_ref(account_find_or_make(store, id));
    struct waiter *w = xnew(struct waiter);
    *w = (struct waiter){.account = a, .done = done, .arg = arg};
    list_init(&w->link);
    if (a->failed && a->state == ACCOUNT_AWAKE) {
        list_push_back(&a->waiters, &w->link);
        return;
    }
    account_unref(a);
    free(w);
    account_open(store, id, done, arg);
}

/* --- closing --- */

static void leave_awake(struct account *a)
{
    list_remove(&a->awake);
    a->store->awake_count--;
    metric_add(METRIC_ACCOUNTS_OPEN, (uint64_t)-1);
}

struct closing {
    struct account *account;
    struct index *index;
    struct log *log;
};

static void close_run(void *arg)
{
    struct closing *c = arg;
    index_close(c->index);
    log_close(c->log);
}

static void close_done(void *arg)
{
    struct closing *c = arg;
    struct account *a = c->account;
    free(c);
    a->job = NULL;
    a->state = ACCOUNT_ASLEEP;
    account_settle(a);
}

static void close_files(struct account *a)
{
    leave_awake(a);
    index_close(take_ptr(a->index));
    log_close(take_ptr(a->log));
}

void account_remote_closed(struct account *a)
{
    if (a->state == ACCOUNT_AWAKE)
        close_files(a);
    a->state = ACCOUNT_FAILED;
    a->failed = ERR_CLOSED;
}

/* Closing writes the log's manifest, durably: not on the loop. */
static void fall_asleep(struct account *a)
{
    if (a->remote) { /* there is nothing to write */
        close_files(a);
        a->state = ACCOUNT_ASLEEP;
        a->store->slept++;
        account_settle(a);
        return;
    }
    struct closing *c = xnew(struct closing);
    *c = (struct closing){a, take_ptr(a->index), take_ptr(a->log)};
    leave_awake(a);
    a->state = ACCOUNT_CLOSING;
    a->store->slept++;
    a->job = store_work(a->store, close_run, close_done, c);
}

static bool is_idle(const struct account *a)
{
    return a->holds == 0 && writer_rests(a) && !a->queue && !a->checkpointing && !a->paused;
}

/* Puts an account that nobody uses to sleep, or gets it ready for it. */
static void try_sleep(struct account *a)
{
    if (!is_idle(a) || a->failed)
        return;
    if (a->recents.n && !a->remote) {
        a->flush = true;
        writer_kick(a);
        return;
    }
    fall_asleep(a);
}

void store_evict(struct store *store)
{
    struct account *a, *next;
    list_each_safe(a, next, &store->awake, awake)
    {
        if (store->awake_count <= store->open_max)
            return;
        try_sleep(a);
    }
}

size_t store_tick(struct store *store)
{
    struct account *a, *next;
    store->tick++;
    remotes_tick(store);
    list_each_safe(a, next, &store->awake, awake)
    {
        if (a->tick + 2 > store->tick)
            break; /* and so are all that follow: they were used later */
        try_sleep(a);
    }
    size_t n = store->slept;
    store->slept = 0;
    return n;
}

void store_measure(struct store *store)
{
    struct account *a;
    uint64_t log_bytes = 0, index_bytes = 0;
    list_each(a, &store->awake, awake)
    {
        if (a->remote)
            continue;
        log_bytes += log_total_size(a->log);
        index_bytes += index_size(a->index);
    }
    metric_set(METRIC_LOG_BYTES, log_bytes);
    metric_set(METRIC_INDEX_BYTES, index_bytes);
}

/* Everything that was open is given up; uploads to segments of this log are lost. */
static void reopen(struct account *a)
{
    a->state = ACCOUNT_OPENING; /* what is released now must not lead here again */
    leave_awake(a);
    uploads_abort(a);
    leases_void(a, 0);
    if (a->checkpoint)
        (void)!checkpoint_end(take_ptr(a->checkpoint), NULL, NULL);
    index_close(take_ptr(a->index));
    log_close(take_ptr(a->log));
    open_start(a);
}

void account_settle(struct account *a)
{
    if (a->state == ACCOUNT_AWAKE && a->failed && a->holds == a->externals && !a->upload_syncs &&
        !a->batch && !a->checkpointing && !a->store->closing)
        reopen(a);
    if (a->refs > 0 || a->holds > 0 || a->store->closing || !writer_rests(a) || a->queue)
        return;
    if (a->state == ACCOUNT_ASLEEP || a->state == ACCOUNT_FAILED)
        account_free(a);
}

void account_fail(struct account *a, int error, bool fresh)
{
    if (!a->failed && error != ERR_BUSY)
        log_text(LOG_ERROR, "account-failed", "closed and opened anew: %s", err_name(error));
    a->failed = a->failed ? a->failed : error;
    a->fresh = a->fresh || fresh;
}

void account_index_failed(struct account *a, int error)
{
    account_fail(a, error, true);
}

void account_close_now(struct account *a, bool clean)
{
    if (a->state == ACCOUNT_AWAKE) {
        uploads_abort(a);
        leave_awake(a);
        if (a->checkpoint)
            (void)!checkpoint_end(take_ptr(a->checkpoint), NULL, NULL);
        if (clean && !a->failed && !a->remote)
            (void)!index_close_clean(a->index, NULL);
        else
            index_close(a->index);
        log_close(a->log);
    }
    account_free(a);
}

int account_close_for_restore(struct account *a)
{
    if (a->state == ACCOUNT_CLOSING)
        store_job_await(a->job);
    if (a->state == ACCOUNT_OPENING || (a->state == ACCOUNT_AWAKE && !is_idle(a)))
        return ERR_BUSY;
    if (a->state == ACCOUNT_AWAKE) {
        leave_awake(a);
        if (a->checkpoint)
            (void)!checkpoint_end(take_ptr(a->checkpoint), NULL, NULL);
        index_close(take_ptr(a->index));
        log_close(take_ptr(a->log));
    }
    buf_reset(&a->recents);
    a->state = ACCOUNT_OPENING; /* nobody else opens it now */
    return 0;
}

void account_abandon(struct account *a, int error)
{
    a->state = ACCOUNT_FAILED;
    a->failed = error;
    writer_refuse(a, ERR_CLOSED);
    tell_waiters(a);
    account_unref(a);
}

/* --- holding --- */

static int make_awake(struct account *a)
{
    if (a->state == ACCOUNT_CLOSING) {
        a->holds++; /* not to be freed when it sleeps */
        store_job_await(a->job);
        a->holds--;
    }
    if (a->state == ACCOUNT_ASLEEP)
        return open_here(a);
    return a->state == ACCOUNT_AWAKE ? 0 : ERR_CLOSED;
}

int account_hold(struct account *a, struct index **ret_index, struct log **ret_log)
{
    if (a->state != ACCOUNT_AWAKE) {
        a->holds++;
        int error = make_awake(a);
        a->holds--;
        if (error)
            return error;
    }
    if (a->failed)
        return ERR_CLOSED;
    a->holds++;
    a->tick = a->store->tick;
    if (a->store->awake.prev != &a->awake) {
        list_remove(&a->awake);
        list_push_back(&a->store->awake, &a->awake);
    }
    if (ret_index)
        *ret_index = a->index;
    if (ret_log)
        *ret_log = a->log;
    return 0;
}

void account_release(struct account *a)
{
    invariant(a->holds > 0);
    a->holds--;
    if (a->failed)
        account_settle(a);
}
