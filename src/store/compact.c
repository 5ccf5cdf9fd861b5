/* Compaction: live bytes move forward, old segments go.
 *
 *   1. freeze a durable state; log_base_begin: later frames go to a new segment
 *   2. worker: dump the state into the base, with the bytes of live messages from segments that are
 *      mostly dead
 *   3. pause the writer; log_base_finish switches the manifest; one frame relocates what moved;
 * sync
 *   4. drop the segments that nobody needs any more
 *
 * A crash before 3 leaves a base that nobody refers to (removed by the next opening); after it, old
 * and new places both hold the bytes. */
#include "base/logline.h"
#include "store/base_dump.h"
#include "store/frozen.h"

enum { GRACE_SECONDS = 24 * 3600, RELOCATE_OPS = 1 << 20 };

struct segment_use {
    uint64_t number, size, live;
    int role;
    bool empty; /* nothing of it will be needed */
};

struct compaction {
    struct maintenance *m;
    struct frozen frozen;
    bool erase;
    struct buf segments; /* struct segment_use */
    struct buf empty;    /* u64: numbers of those that are emptied */
    struct log_base *base;
    bool switched; /* the log begins with the base */
    struct base_dump dump;
    struct index_txn *txn; /* of the relocations */
    struct log_sync sync;
    uint64_t done, total; /* progress, told by the loop */
    int error;
    struct err err;
};

static struct segment_use *uses(struct compaction *c, size_t *ret_n)
{
    *ret_n = c->segments.n / sizeof(struct segment_use);
    return (struct segment_use *)(void *)c->segments.p;
}

static void finish(struct compaction *c)
{
    struct maintenance *m = c->m;
    int error = c->error;
    struct err err = c->err;
    if (error && !err.code)
        err_set(&err, error, "compaction: %s", err_name(error));
    log_base_abort(c->base);
    frozen_done(&c->frozen);
    buf_done(&c->segments);
    buf_done(&c->empty);
    buf_done(&c->dump.moved);
    free(c);
    m->finished(m, error, error ? err.text : "");
}

/* --- 2: the dump --- */

static int note_segment(void *ctx, const struct log_segment *s)
{
    struct compaction *c = ctx;
    if (s->role == LOG_SEGMENT_DROPPED)
        return 0;
    buf_put(&c->segments,
            &(struct segment_use){.number = s->number, .size = s->size, .role = s->role},
            sizeof(struct segment_use));
    return 0;
}

static struct segment_use *find_use(struct segment_use *u, size_t n, uint64_t number)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (u[mid].number < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && u[lo].number == number ? &u[lo] : NULL;
}

static int count_live(struct compaction *c, struct index_txn *txn)
{
    struct index_message m;
    size_t n;
    uint64_t id;
    struct segment_use *u = uses(c, &n);
    int rc;
    for (rc = index_message_seek(txn, 1, &id, &m); rc == 0;
         rc = index_message_seek(txn, id + 1, &id, &m)) {
        struct segment_use *of = find_use(u, n, m.where.segment);
        if (of)
            of->live += m.where.length;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static bool in_flight(const struct compaction *c, uint64_t number)
{
    return ranges_has(&c->frozen.in_flight, (uint32_t)number);
}

/* Segments of their own are kept or dropped whole; of the others it is worth moving what is left
 * if a quarter is dead (operations count as dead: the base has their effect). */
static void choose(struct compaction *c)
{
    size_t n;
    struct segment_use *u = uses(c, &n);
    for (size_t i = 0; i < n; i++) {
        if (u[i].role == LOG_SEGMENT_EXTERNAL)
            u[i].empty = u[i].live == 0 && !in_flight(c, u[i].number);
        else
            u[i].empty = u[i].live < u[i].size / 4 * 3 || (c->erase && u[i].live < u[i].size);
        if (u[i].empty)
            buf_put(&c->empty, &u[i].number, sizeof(u[i].number));
    }
}

/* A message that could not be moved (damaged) keeps its segment. */
static void count_moved(struct compaction *c)
{
    const struct moved_message *moved = (const struct moved_message *)(const void *)c->dump.moved.p;
    size_t n;
    struct segment_use *u = uses(c, &n);
    struct index_txn *txn;
    if (index_read_begin(c->frozen.index, &txn))
        return;
    for (size_t i = 0; i < c->dump.moved.n / sizeof(*moved); i++) {
        struct index_message m;
        if (index_message_get(txn, moved[i].message_id, &m))
            continue;
        struct segment_use *of = find_use(u, n, m.where.segment);
        if (of)
            of->live -= MIN(of->live, m.where.length);
    }
    index_read_end(txn);
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct compaction *c = ctx;
    c->done = done;
    c->total = total;
}

static void dump_run(void *arg)
{
    struct compaction *c = arg;
    struct index_txn *txn;
    int rc = frozen_open(&c->frozen, &c->err);
    if (rc == 0)
        rc = index_read_begin(c->frozen.index, &txn);
    if (rc) {
        c->error = rc;
        return;
    }
    (void)log_segments(c->frozen.view, note_segment, c);
    rc = count_live(c, txn);
    if (rc == 0) {
        choose(c);
        c->dump = (struct base_dump){.txn = txn,
                                     .from = c->frozen.view,
                                     .to = c->base,
                                     .empty = (const uint64_t *)(const void *)c->empty.p,
                                     .empty_count = c->empty.n / sizeof(uint64_t),
                                     .progress = on_progress,
                                     .ctx = c,
                                     .cancel = &c->m->cancel,
                                     .err = &c->err};
        rc = base_dump(&c->dump);
    }
    index_read_end(txn);
    if (rc == 0) {
        count_moved(c);
        rc = log_base_sync_run(c->base, &c->err);
    }
    c->error = rc;
}

/* --- 4: dropping --- */

static void drop_segments(struct compaction *c)
{
    size_t n;
    struct segment_use *u = uses(c, &n);
    struct log *log = c->frozen.log;
    struct err err = {0};
    log_view_close(take_ptr(c->frozen.view)); /* its lease would keep them */
    for (size_t i = 0; i < n && c->error == 0; i++) {
        if (!u[i].empty || u[i].live > 0)
            continue;
        c->error = log_segment_drop(log, u[i].number, c->erase ? 0 : GRACE_SECONDS, &err);
        if (c->error == ERR_INVALID || c->error == ERR_NOT_FOUND)
            c->error = 0;
    }
    if (c->error)
        c->err = err;
}

static int forget_dead(struct compaction *c)
{
    size_t n;
    struct segment_use *u = uses(c, &n);
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (u[i].empty)
            rc = segment_dead_forget(c->txn, u[i].number);
        if (rc == ERR_NOT_FOUND)
            rc = 0;
    }
    return rc;
}

/* --- 3: relocation --- */

static void relocated(struct compaction *c)
{
    struct account *a = c->frozen.account;
    if (c->error == 0)
        drop_segments(c);
    writer_unpause(a);
    c->m->progress(c->m, 1, 1);
    finish(c);
}

static void relocate_failed(struct compaction *c, int error)
{
    struct account *a = c->frozen.account;
    struct log *log = c->frozen.log;
    c->error = error;
    log_unstage(log);
    if (c->txn)
        index_write_abort(take_ptr(c->txn));
    if (log_is_closed(log))
        account_fail(a, ERR_IO, false);
    else if (c->switched || index_failed(a->index)) /* the index does not know of the base */
        account_index_failed(a, error);
    relocated(c);
}

static void sync_run(void *arg)
{
    log_sync_run(&((struct compaction *)arg)->sync);
}

static void sync_done(void *arg)
{
    struct compaction *c = arg;
    int rc = log_sync_end(c->frozen.log, &c->sync, &c->err);
    if (rc) {
        relocate_failed(c, rc);
        return;
    }
    rc = index_write_commit(take_ptr(c->txn));
    if (rc)
        relocate_failed(c, rc);
    else
        relocated(c);
}

static int put_frame(struct compaction *c, struct buf *ops)
{
    struct log_frame frame;
    if (ops->n == 0)
        return 0;
    int rc = log_stage(c->frozen.log, FRAME_CHANGE, FRAME_VERSION, buf_span(ops), NULL, 0, &frame);
    if (rc == 0)
        rc = apply_frame(c->txn, NULL, &frame, buf_span(ops), &c->err);
    buf_reset(ops);
    return rc;
}

static int put_relocations(struct compaction *c)
{
    const struct moved_message *m = (const struct moved_message *)(const void *)c->dump.moved.p;
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    int rc = 0;
    for (size_t i = 0; i < c->dump.moved.n / sizeof(*m) && rc == 0; i++) {
        struct op op = {.kind = OP_RELOCATE, .relocate = {m[i].message_id, m[i].body}};
        op_put(&ops, &op);
        if (ops.n >= RELOCATE_OPS)
            rc = put_frame(c, &ops);
    }
    /* Before these, the process may die with the base in force and an index of before, which looks
     * good: recovery compares the base that each knows. */
    struct op settled = {.kind = OP_BASE_SETTLED,
                         .base_settled.segment = log_base_segment(c->frozen.log)};
    op_put(&ops, &settled);
    return rc ? rc : put_frame(c, &ops);
}

/* The writer rests: switch. */
static void switch_over(void *arg)
{
    struct compaction *c = arg;
    struct log *log = c->frozen.log;
    int rc = log_base_finish(take_ptr(c->base), &c->err);
    c->switched = rc == 0;
    if (rc == 0)
        rc = index_write_begin(c->frozen.account->index, &c->txn);
    if (rc == 0)
        rc = put_relocations(c);
    if (rc == 0)
        rc = forget_dead(c);
    if (rc == 0)
        rc = index_write_prepare(c->txn);
    if (rc == 0)
        rc = log_write(log, &c->err);
    if (rc) {
        relocate_failed(c, rc);
        return;
    }
    if (!log_needs_sync(log)) {
        rc = index_write_commit(take_ptr(c->txn));
        if (rc)
            relocate_failed(c, rc);
        else
            relocated(c);
        return;
    }
    log_sync_begin(log, &c->sync);
    store_work(c->frozen.account->store, sync_run, sync_done, c);
}

static void dump_done(void *arg)
{
    struct compaction *c = arg;
    c->m->progress(c->m, c->done, MAX(c->total, c->done + 1));
    if (c->error == 0)
        c->error = writer_pause(c->frozen.account, switch_over, c);
    if (c->error)
        finish(c);
}

static void taken(void *arg, int error)
{
    struct compaction *c = arg;
    if (error) {
        c->error = err_set(&c->err, error, "the account is busy or not available");
        finish(c);
        return;
    }
    struct account *a = c->frozen.account;
    c->error = log_base_begin(c->frozen.log, c->frozen.seq, &c->base, &c->err);
    writer_unpause(a);
    if (c->error)
        finish(c);
    else
        store_work(a->store, dump_run, dump_done, c);
}

void account_compact(struct account *account, bool erase, struct maintenance *m)
{
    struct compaction *c = xnew(struct compaction);
    c->m = m;
    c->erase = erase;
    buf_init(&c->segments, BUF_UNLIMITED);
    buf_init(&c->empty, BUF_UNLIMITED);
    frozen_take(&c->frozen, account, true, taken, c);
}

/* --- by itself --- */

#define AUTO_DEAD_MIN (64ULL << 20)

bool compact_is_due(struct index_txn *txn, struct log *log)
{
    struct segment_dead dead;
    uint64_t from = 0, sum = 0;
    while (segment_dead_seek(txn, from, &dead) == 0) {
        sum += dead.bytes;
        from = dead.segment + 1;
    }
    return sum > AUTO_DEAD_MIN && sum > log_total_size(log) / 2;
}

static void auto_finding(struct maintenance *m, const struct finding *f)
{
    (void)m;
    (void)f;
}

static void auto_progress(struct maintenance *m, uint64_t done, uint64_t total)
{
    (void)m;
    (void)done;
    (void)total;
}

static void auto_finished(struct maintenance *m, int error, const char *text)
{
    if (error)
        log_text(LOG_WARNING, "compaction-failed", "%s", text);
    free(m);
}

void compact_by_itself(struct account *a)
{
    struct maintenance *m = xnew(struct maintenance);
    *m = (struct maintenance){
        .finding = auto_finding, .progress = auto_progress, .finished = auto_finished};
    account_compact(a, false, m);
}
