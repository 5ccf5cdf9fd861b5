/* The account's writer: a state machine without a thread.
 *
 *   IDLE --kick--> SCHEDULED --deferred--> evaluate, apply, stage, log_write --> SYNCING
 *   SYNCING --worker is through--> commit the index, answer, tell watchers --> IDLE
 *
 * All requests that wait form a batch: one index transaction, one write, one sync. Invariants:
 *   1. Nothing is visible that is not durable: the index commits after the sync.
 *   2. A batch that was not written leaves nothing: the transaction is aborted, log_unstage.
 *   3. After a failed sync nobody knows: ERR_UNKNOWN, and the log is opened anew.
 *   4. What is durable is answered with success, even if the index then fails to commit: it is
 *      derived anew. */
#include "base/clock.h"
#include "base/logline.h"
#include "base/metrics.h"
#include "store/eval.h"
#include "store/names.h"
#include "store/recover.h"
#include "store/remote_int.h"
#include "store/store_int.h"
#include "store/upload_int.h"

enum {
    BATCH_REQUESTS = 512,
    BATCH_PAYLOAD = 16 << 20,
    BATCH_US = 4000,   /* then it goes to the disk with what it has */
    SLICE_US = 2000,   /* then the loop gets its turn */
    SPACE_US = 100000, /* how long a look at the free space is believed */
};

struct batch {
    struct account *account;
    struct index *index;
    struct log *log;
    struct index_txn *txn;
    struct request *first, **end; /* evaluated, in order */
    size_t count;
    size_t settled; /* so many of them were refused before anything of the batch changed: whatever
                       becomes of it, their answers stand */
    struct eval eval;
    bool evaluating;           /* eval is in the middle of eval.r, which is not yet in the list */
    struct applying *applying; /* or its operations are being applied */
    struct err apply_err;
    bool expunged;   /* something may have died */
    bool index_only; /* the transaction holds something that needs no frame */
    size_t frames;
    struct buf ops, payload;
    uint64_t payload_bytes, begun_us;
    struct ranges touched;
    struct events events;  /* what it does, if somebody wants to know */
    struct ranges ghosted; /* mailboxes in which it left ghosts */
    struct buf recents;    /* claims that this batch logs */
    struct log_sync sync;
};

bool writer_rests(const struct account *a)
{
    return a->writer == WRITER_IDLE && !a->batch;
}

static void writer_run(void *arg);

void writer_kick(struct account *a)
{
    if (a->writer != WRITER_IDLE || a->paused || a->failed || a->remote)
        return;
    if (a->state == ACCOUNT_OPENING || a->state == ACCOUNT_FAILED)
        return;
    a->writer = WRITER_SCHEDULED;
    a->refs++; /* until writer_run */
    store_defer(a->store, writer_run, a);
}

/* --- submitting --- */

static void enqueue(struct account *a, struct request *r)
{
    r->next = NULL;
    *a->queue_end = r;
    a->queue_end = &r->next;
    writer_kick(a);
}

static struct request *dequeue(struct account *a)
{
    struct request *r = a->queue;
    if (!r)
        return NULL;
    a->queue = r->next;
    if (!a->queue)
        a->queue_end = &a->queue;
    r->next = NULL;
    return r;
}

static void requeue_first(struct account *a, struct request *first, struct request **end)
{
    if (!first)
        return;
    *end = a->queue;
    if (!a->queue)
        a->queue_end = end;
    a->queue = first;
}

struct refusal {
    struct request *r;
    int error;
};

static void refuse_now(void *arg)
{
    autofree struct refusal *refusal = arg;
    refusal->r->result.error = refusal->error;
    refusal->r->done(refusal->r);
}

static void refuse(struct account *a, struct request *r, int error)
{
    struct refusal *refusal = xnew(struct refusal);
    *refusal = (struct refusal){r, error};
    store_defer(a->store, refuse_now, refusal);
}

void writer_refuse(struct account *a, int error)
{
    for (struct request *r; (r = dequeue(a));)
        refuse(a, r, error);
}

/* Large uploads are made durable on their own, before their request takes its turn: nobody waits
 * for them but their session. */
struct upload_job {
    struct account *account;
    struct request *r;
};

static void sync_uploads(void *arg)
{
    struct upload_job *job = arg;
    for (size_t i = 0; i < job->r->message_count; i++)
        if (upload_needs_sync(job->r->messages[i].upload))
            upload_sync(job->r->messages[i].upload);
}

static void uploads_are_synced(void *arg)
{
    autofree struct upload_job *job = arg;
    struct account *a = job->account;
    for (size_t i = 0; i < job->r->message_count; i++)
        if (upload_needs_sync(job->r->messages[i].upload))
            upload_synced(job->r->messages[i].upload);
    a->upload_syncs--;
    if (a->state == ACCOUNT_FAILED || a->store->closing)
        refuse(a, job->r, ERR_CLOSED);
    else
        enqueue(a, job->r);
    account_settle(a);
    account_unref(a);
}

static bool begin_upload_sync(struct account *a, struct request *r)
{
    bool any = false;
    for (size_t i = 0; r->kind == REQUEST_APPEND && i < r->message_count; i++) {
        struct upload *u = r->messages[i].upload;
        if (!u || !upload_needs_sync(u))
            continue;
        upload_syncing(u);
        any = true;
    }
    if (!any)
        return false;
    struct upload_job *job = xnew(struct upload_job);
    *job = (struct upload_job){account_ref(a), r};
    a->upload_syncs++;
    store_work(a->store, sync_uploads, uploads_are_synced, job);
    return true;
}

void account_submit(struct account *account, struct request *r)
{
    struct account *a = account;
    request_result_done(r);
    if (a->remote)
        remote_submit(a, r);
    else if (a->store->closing || a->state == ACCOUNT_FAILED)
        refuse(a, r, ERR_CLOSED);
    else if (!begin_upload_sync(a, r))
        enqueue(a, r);
}

/* --- a batch --- */

/* Whether expunged rows must stay as ghosts: a session shows the mailbox, or another than the
 * requester's could come to show it (as it is without this batch) before the batch is committed. */
static bool watched(void *ctx, uint32_t mailbox)
{
    struct batch *b = ctx;
    struct account *a = b->account;
    enum { WRITER_AND_REQUESTER = 2 };
    if (!watches_any(a, mailbox) && a->refs <= WRITER_AND_REQUESTER)
        return false;
    ranges_add(&b->ghosted, mailbox, mailbox);
    return true;
}

/* Free space below the reserve: what makes the account grow is refused, what makes it shrink goes
 * on. */
static bool space_low(struct account *a, struct log *log)
{
    uint64_t now = clock_monotonic_us();
    if (a->space_checked_us && now - a->space_checked_us < SPACE_US)
        return a->space_low;
    int64_t left = log_free_space(log);
    a->space_low = left >= 0 && (uint64_t)left < a->store->reserve;
    a->space_checked_us = now;
    return a->space_low;
}

static int batch_begin(struct account *a)
{
    struct batch *b = xnew(struct batch);
    int error = account_hold(a, &b->index, &b->log);
    if (error) {
        free(b);
        return error;
    }
    error = index_write_begin(b->index, &b->txn);
    if (error) {
        account_index_failed(a, error);
        account_release(a);
        free(b);
        return error;
    }
    b->account = a;
    b->end = &b->first;
    b->begun_us = clock_monotonic_us();
    buf_init(&b->ops, BUF_UNLIMITED);
    buf_init(&b->payload, BUF_UNLIMITED);
    buf_init(&b->recents, BUF_UNLIMITED);
    events_init(&b->events);
    b->eval = (struct eval){.txn = b->txn,
                            .snap = snap_of_txn(b->txn),
                            .now_us = clock_wall_us(),
                            .space_low = space_low(a, b->log),
                            .quota = &a->store->quota,
                            .ops = &b->ops,
                            .payload = &b->payload,
                            .touched = &b->touched};
    a->batch = b;
    return 0;
}

static void batch_add(struct batch *b, struct request *r)
{
    *b->end = r;
    b->end = &r->next;
    b->count++;
}

/* The memory; the transaction must have been ended, the requests taken over. */
static void batch_free(struct batch *b)
{
    struct account *a = b->account;
    a->batch = NULL;
    buf_done(&b->ops);
    buf_done(&b->payload);
    buf_done(&b->recents);
    ranges_done(&b->touched);
    ranges_done(&b->ghosted);
    events_done(&b->events);
    free(b);
    account_release(a);
}

/* What a refused request filled in besides the error. */
static void clear_result(struct request *r, int error)
{
    request_result_done(r);
    r->result.error = error;
}

static void answer_all(struct request *first)
{
    for (struct request *r = first, *next; r; r = next) {
        next = r->next;
        r->next = NULL;
        r->done(r);
    }
}

/* Nothing of the batch happened (error), or nobody knows (ERR_UNKNOWN). Refusals that may depend on
 * other requests of the batch are void, too. */
static void batch_void(struct batch *b, int error)
{
    struct account *a = b->account;
    struct request *first = b->first;
    apply_cancel(b->applying);
    if (b->evaluating) {
        eval_done(&b->eval);
        batch_add(b, b->eval.r);
        first = b->first;
    }
    size_t i = 0;
    for (struct request *r = first; r; r = r->next)
        if (i++ >= b->settled)
            clear_result(r, error);
    log_unstage(b->log);
    index_write_abort(b->txn);
    ghosts_unswept(a);
    batch_free(b);
    answer_all(first);
    account_settle(a);
}

static bool grows(const struct request *r)
{
    return r->kind == REQUEST_APPEND || r->kind == REQUEST_COPY || r->kind == REQUEST_CREATE;
}

/* The disk is full. If requests that need space met others in this batch, the others are tried
 * again without them: what is left may serve them. */
static void batch_no_space(struct batch *b)
{
    struct account *a = b->account;
    struct request *refused = NULL, **refused_end = &refused, *again = NULL, **again_end = &again;
    bool any = false;
    for (struct request *r = b->first; r; r = r->next)
        any = any || (grows(r) && r->result.error == 0);
    if (!any) {
        batch_void(b, ERR_NO_SPACE);
        return;
    }
    size_t i = 0;
    for (struct request *r = b->first, *next; r; r = next, i++) {
        next = r->next;
        r->next = NULL;
        bool fails = i < b->settled || (grows(r) && r->result.error == 0);
        if (i >= b->settled)
            clear_result(r, fails ? ERR_NO_SPACE : 0);
        struct request ***end = fails ? &refused_end : &again_end;
        **end = r;
        *end = &r->next;
    }
    log_unstage(b->log);
    index_write_abort(b->txn);
    ghosts_unswept(a);
    batch_free(b);
    a->space_low = true;
    a->space_checked_us = clock_monotonic_us();
    requeue_first(a, again, again_end);
    answer_all(refused);
}

/* --- evaluating --- */

/* The appended messages are in the index now: keep what the parser found out about them. */
static int keep_derived(struct batch *b, const struct request *r)
{
    uint64_t id = b->eval.state.message_id + 1;
    int error = 0;
    for (size_t i = 0; i < r->message_count && error == 0; i++)
        error = apply_derived(b->txn, id + i, upload_derived(r->messages[i].upload));
    return error;
}

static int applied(struct batch *b, int error)
{
    if (error && error != ERR_AGAIN) {
        log_text(LOG_ERROR, "apply-failed", "%s", b->apply_err.text);
        index_fail(b->index, error);
    }
    return error;
}

/* Stage and apply the operations of a request (or of none) as one frame. ERR_AGAIN, if `sliced`:
 * b->applying goes on with it. */
static int put_frame(struct batch *b, size_t ops_start, size_t payload_start, bool sliced)
{
    struct apply_options options = {.watched = watched, .ctx = b};
    struct span ops = span_skip(buf_span(&b->ops), ops_start);
    struct span list = span_skip(buf_span(&b->payload), payload_start);
    const struct span *payload = (const struct span *)(const void *)list.p;
    struct log_frame frame;
    int error = log_stage(b->log, FRAME_CHANGE, FRAME_VERSION, ops, payload,
                          list.n / sizeof(*payload), &frame);
    if (error)
        return error;
    b->frames++;
    b->payload_bytes += frame.payload_length;
    if (b->account->event_watches) {
        error = events_note(&b->events, b->eval.snap, ops, b->eval.r ? b->eval.r->origin : 0);
        if (error)
            return error;
    }
    b->apply_err = (struct err){0};
    if (sliced) {
        b->applying = apply_begin(b->txn, &options, &frame, ops, &b->apply_err);
        return ERR_AGAIN;
    }
    return applied(b, apply_frame(b->txn, &options, &frame, ops, &b->apply_err));
}

static bool expunges(const struct request *r)
{
    return r->kind == REQUEST_EXPUNGE || r->kind == REQUEST_MOVE ||
           r->kind == REQUEST_TRANSFER_END || r->kind == REQUEST_DELETE ||
           r->kind == REQUEST_RENAME || (r->kind == REQUEST_APPEND && r->uids.n);
}

/* The request of eval is through, with `refused` (its own fault) or `error` (the batch's, except
 * ERR_LIMIT: a frame too large for the log, nothing was staged). Only errors that end the batch are
 * returned. */
static int conclude(struct batch *b, int refused, int error)
{
    struct eval *e = &b->eval;
    struct request *r = e->r;
    invariant(r != NULL);
    if (error == 0 && refused == 0 && r->kind == REQUEST_APPEND && b->ops.n > e->ops_start)
        error = keep_derived(b, r);
    b->evaluating = false;
    eval_done(e);
    batch_add(b, r);
    b->expunged = b->expunged || expunges(r);
    if (error == ERR_LIMIT)
        refused = error;
    if (refused)
        clear_result(r, refused);
    if (refused && b->frames == 0 && b->settled == b->count - 1)
        b->settled++;
    if (index_failed(b->index))
        return index_failed(b->index);
    return error == ERR_LIMIT ? 0 : error;
}

/* The evaluation of eval.r ended with `refused`: apply what it came to. ERR_AGAIN: b->applying. */
static int evaluated(struct batch *b, int refused)
{
    struct eval *e = &b->eval;
    struct request *r = e->r;
    int error = 0;
    if (refused == 0 && r->kind == REQUEST_DERIVED) {
        error = apply_derived(b->txn, r->message_id, r->derived);
        b->index_only = true;
    } else if (refused == 0 && b->ops.n > e->ops_start) {
        bool sliced = ranges_count(&r->result.uids) > 2 * EVAL_OP_UIDS;
        error = put_frame(b, e->ops_start, e->payload_start, sliced);
    }
    return error == ERR_AGAIN ? error : conclude(b, refused, error);
}

/* A part of the work on eval.r: ERR_AGAIN, or as conclude. */
static int work_on_request(struct batch *b)
{
    int error;
    if (b->applying) {
        error = apply_step(b->applying);
        if (error == ERR_AGAIN)
            return error;
        b->applying = NULL;
        return conclude(b, 0, applied(b, error));
    }
    invariant(b->eval.r != NULL);
    error = b->eval.r->kind == REQUEST_DERIVED ? 0 : eval_step(&b->eval);
    return error == ERR_AGAIN ? error : evaluated(b, error);
}

/* The next request of the batch, if there is room for it and one waits. */
static struct request *next_request(struct batch *b, uint64_t now)
{
    if (b->count >= BATCH_REQUESTS || b->payload_bytes >= BATCH_PAYLOAD ||
        (b->count && now - b->begun_us >= BATCH_US))
        return NULL;
    return dequeue(b->account);
}

/* 0: nothing more for this batch; ERR_AGAIN: the slice is over; other codes: the batch is void. */
static int evaluate(struct batch *b)
{
    uint64_t slice = clock_monotonic_us(), now = slice;
    int error;
    for (;; now = clock_monotonic_us()) {
        if (!b->evaluating) {
            struct request *r = next_request(b, now);
            if (!r)
                return 0;
            b->evaluating = true;
            error = eval_begin(&b->eval, r);
            error = error ? conclude(b, error, 0) : work_on_request(b);
        } else {
            error = work_on_request(b);
        }
        if (error == ERR_AGAIN && now - slice < SLICE_US)
            continue;
        if (error)
            return error;
    }
}

/* Claims of recent messages ride along. */
static int put_recents(struct batch *b)
{
    struct account *a = b->account;
    if (a->recents.n == 0 || (b->frames == 0 && !a->flush))
        return 0;
    const struct recent_claim *c = (const struct recent_claim *)(const void *)a->recents.p;
    size_t start = b->ops.n, payload = b->payload.n;
    for (size_t i = 0; i < a->recents.n / sizeof(*c); i++) {
        struct mailbox_info info;
        int error = snap_mailbox(b->eval.snap, c[i].mailbox, &info);
        if (error == 0)
            op_put(&b->ops,
                   &(struct op){.kind = OP_RECENT, .recent = {c[i].mailbox, c[i].recent_uid}});
        else if (error != ERR_NOT_FOUND)
            return error;
    }
    buf_put_span(&b->recents, buf_span(&a->recents));
    return b->ops.n > start ? put_frame(b, start, payload, false) : 0;
}

/* --- writing, syncing, committing --- */

static void sync_run(void *arg)
{
    struct batch *b = arg;
    uint64_t begin = clock_monotonic_us();
    log_sync_run(&b->sync);
    metric_observe(METRIC_LOG_SYNC, 0, clock_monotonic_us() - begin);
}

/* The claims that are in the index now need not be remembered. */
static void recents_logged(struct account *a, const struct buf *logged)
{
    const struct recent_claim *l = (const struct recent_claim *)(const void *)logged->p;
    struct recent_claim *c = (struct recent_claim *)(void *)a->recents.p;
    size_t n = a->recents.n / sizeof(*c), kept = 0;
    for (size_t i = 0; i < n; i++) {
        bool same = false;
        for (size_t k = 0; k < logged->n / sizeof(*l); k++)
            same = same || (l[k].mailbox == c[i].mailbox && l[k].recent_uid == c[i].recent_uid);
        if (!same)
            c[kept++] = c[i];
    }
    if (n)
        buf_truncate(&a->recents, kept * sizeof(*c));
}

static void consume_uploads(struct request *first)
{
    for (struct request *r = first; r; r = r->next)
        for (size_t i = 0; r->kind == REQUEST_APPEND && r->result.error == 0 &&
                           !r->result.duplicate && i < r->message_count;
             i++) {
            upload_linked(r->messages[i].upload);
            upload_free(take_ptr(r->messages[i].upload));
        }
}

static void note_ghosts(struct batch *b)
{
    struct account *a = b->account;
    uint64_t newest = 0;
    for (struct request *r = b->first; r; r = r->next)
        newest = MAX(newest, r->result.modseq);
    for (size_t i = 0; i < b->ghosted.n; i++)
        for (uint32_t m = b->ghosted.v[i].lo;; m++) {
            ghosts_note(a, m, newest);
            if (!watches_any(a, m))
                a->purge_wanted = true; /* nobody came */
            if (m == b->ghosted.v[i].hi)
                break;
        }
}

static void begin_checkpoint(struct account *a);

/* Durable (or nothing needed to be): show it. The requests are answered whatever the index does. */
static void batch_commit(struct batch *b)
{
    struct account *a = b->account;
    struct request *first = b->first;
    struct ranges touched = b->touched;
    bool due = checkpoint_due(b->txn);
    bool compact = b->expunged && !a->maintained && compact_is_due(b->txn, b->log);
    int error = index_write_commit(b->txn);
    struct events events = b->events;
    b->touched = (struct ranges)RANGES_INIT;
    events_init(&b->events);
    if (error) {
        account_index_failed(a, error);
    } else {
        ghosts_swept(a);
        note_ghosts(b);
        recents_logged(a, &b->recents);
    }
    metric_observe(METRIC_BATCH, 0, b->count);
    consume_uploads(first);
    batch_free(b);
    if (due && !error)
        begin_checkpoint(a);
    if (compact && !error && !a->store->closing)
        compact_by_itself(a);
    leases_changed(a, &touched, &events); /* before they hear of their own requests */
    answer_all(first);
    watches_notify(a, &touched, &events);
    ranges_done(&touched);
    events_done(&events);
    account_settle(a);
}

static void next_batch(struct account *a);

static void sync_done(void *arg)
{
    struct batch *b = arg;
    struct account *a = b->account;
    struct err err = {0};
    a->writer = WRITER_IDLE;
    if (log_sync_end(b->log, &b->sync, &err)) {
        log_text(LOG_ERROR, "sync-failed", "%s", err.text);
        account_fail(a, ERR_IO, false);
        batch_void(b, ERR_UNKNOWN);
    } else {
        batch_commit(b);
    }
    next_batch(a);
    account_unref(a); /* writer_run's */
}

static void batch_failed(struct batch *b, int error)
{
    struct account *a = b->account;
    if (error == ERR_NO_SPACE && !index_failed(b->index)) {
        batch_no_space(b);
        return;
    }
    if (index_failed(b->index))
        account_index_failed(a, error);
    else if (log_is_closed(b->log))
        account_fail(a, ERR_IO, false);
    batch_void(b, error == ERR_UNKNOWN ? ERR_UNKNOWN : ERR_IO);
}

/* true: a worker syncs it, and it goes on in sync_done. */
static bool batch_write(struct batch *b)
{
    struct account *a = b->account;
    struct err err = {0};
    int error = put_recents(b);
    a->flush = false;
    if (error == 0 && b->frames == 0 && !b->index_only && !a->purge_wanted) {
        struct request *first = b->first;
        index_write_abort(b->txn);
        batch_free(b);
        answer_all(first);
        return false;
    }
    if (error == 0)
        error = ghosts_sweep(a, b->txn);
    if (error == 0 && a->checkpoint && !a->checkpointing)
        (void)!checkpoint_end(take_ptr(a->checkpoint), b->txn, NULL);
    if (error == 0)
        error = index_write_prepare(b->txn);
    if (error == 0)
        error = log_write(b->log, &err);
    if (error) {
        log_text(LOG_WARNING, "write-refused", "%s", err.code ? err.text : err_name(error));
        batch_failed(b, error);
        return false;
    }
    if (b->frames == 0) {
        batch_commit(b);
        return false;
    }
    log_sync_begin(b->log, &b->sync);
    a->writer = WRITER_SYNCING;
    store_work(a->store, sync_run, sync_done, b);
    return true;
}

static void next_batch(struct account *a)
{
    if (a->paused && writer_rests(a) && a->resume) {
        void (*resume)(void *) = take_ptr(a->resume);
        resume(a->resume_arg);
        return;
    }
    if (a->queue || a->flush || a->purge_wanted)
        writer_kick(a);
}

static void writer_run(void *arg)
{
    struct account *a = arg;
    int error = 0;
    a->writer = WRITER_IDLE;
    if (!a->batch && !a->paused)
        error = batch_begin(a);
    if (error && a->state == ACCOUNT_FAILED)
        writer_refuse(a, ERR_CLOSED); /* else it opens anew and goes on */
    struct batch *b = a->batch;
    if (b) {
        error = evaluate(b);
        if (error == ERR_AGAIN) {
            a->writer = WRITER_SCHEDULED;
            store_defer(a->store, writer_run, a);
            return;
        }
        if (error)
            batch_failed(b, error);
        else if (batch_write(b))
            return;
    }
    next_batch(a);
    account_unref(a);
}

/* --- pauses --- */

static void pause_begins(void *arg)
{
    struct account *a = arg;
    next_batch(a);
    account_unref(a);
}

int writer_pause(struct account *a, void (*fn)(void *arg), void *arg)
{
    if (a->paused || a->failed)
        return ERR_BUSY;
    a->paused = true;
    a->resume = fn;
    a->resume_arg = arg;
    store_defer(a->store, pause_begins, account_ref(a));
    return 0;
}

void writer_unpause(struct account *a)
{
    a->paused = false;
    next_batch(a);
}

/* --- checkpoints --- */

static void checkpoint_work(void *arg)
{
    checkpoint_run(((struct account *)arg)->checkpoint);
}

static void checkpoint_done(void *arg)
{
    struct account *a = arg;
    a->checkpointing = false; /* noted with the next batch */
    account_release(a);
    account_settle(a);
    account_unref(a);
}

static void begin_checkpoint(struct account *a)
{
    struct index *index;
    if (a->checkpoint || a->maintained || a->store->closing || account_hold(a, &index, NULL))
        return;
    if (checkpoint_begin(index, &a->checkpoint, NULL)) {
        account_release(a);
        return;
    }
    a->checkpointing = true;
    account_ref(a);
    store_work(a->store, checkpoint_work, checkpoint_done, a);
}
