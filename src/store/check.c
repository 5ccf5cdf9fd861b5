/* Check: every checksum of the log, and index = replay(log). */
#include <sys/stat.h>

#include "base/crc32c.h"
#include "index/tables.h"
#include "store/frozen.h"
#include "store/recover.h"

enum { FINDINGS_MAX = 1000, LINES_MAX = 20 };

struct check {
    struct maintenance *m;
    struct frozen frozen;
    struct buf findings; /* struct finding; told between the steps */
    struct buf headless; /* struct headless */
    struct buf bad;      /* uint64_t: segments in which something is damaged */
    struct buf lost;     /* struct lost, by message */
    int step, error;
    struct err err;
};

/* A segment whose header is damaged, or never came to the disk. */
struct headless {
    uint64_t segment;
    bool used;
};

/* A message whose octets are damaged. */
struct lost {
    uint64_t message;
    struct message_location where;
};

enum { STEPS = 5 };

static void found(struct check *c, struct finding f)
{
    if (c->findings.n < FINDINGS_MAX * sizeof(f))
        buf_put(&c->findings, &f, sizeof(f));
}

/* --- step 1: the log's own checksums --- */

static void on_damage(void *ctx, const struct log_damage *d)
{
    struct check *c = ctx;
    struct finding f = {.kind = FINDING_DAMAGE, .segment = d->segment, .offset = d->offset};
    if (strcmp(d->what, "segment header") == 0) { /* step 2 knows */
        buf_put(&c->headless, &(struct headless){.segment = d->segment}, sizeof(struct headless));
        return;
    }
    if (strcmp(d->what, "manifest") == 0) {
        snprintf(f.text, sizeof(f.text), "a copy of the manifest is damaged: compact the account");
        found(ctx, f);
        return;
    }
    buf_put(&c->bad, &d->segment, sizeof(d->segment));
    snprintf(f.text, sizeof(f.text), "damaged %s in segment %llx at %llu", d->what,
             (unsigned long long)d->segment, (unsigned long long)d->offset);
    found(ctx, f);
}

static int check_log(struct check *c)
{
    return log_check(c->frozen.view, on_damage, NULL, c, &c->err);
}

/* --- step 2: messages in segments of their own, and all that cannot be read --- */

struct externals {
    uint64_t *v;
    size_t n;
};

static int note_external(void *ctx, const struct log_segment *s)
{
    struct externals *e = ctx;
    if (s->role != LOG_SEGMENT_EXTERNAL)
        return 0;
    e->v = xrealloc_array(e->v, e->n + 1, sizeof(*e->v));
    e->v[e->n++] = s->number;
    return 0;
}

static bool is_external(const struct externals *e, uint64_t segment)
{
    for (size_t i = 0; i < e->n; i++)
        if (e->v[i] == segment)
            return true;
    return false;
}

/* Segments of frames are read again, message by message, where step 1 found something. */
static bool is_bad(const struct check *c, uint64_t segment)
{
    const uint64_t *v = (const uint64_t *)(const void *)c->bad.p;
    for (size_t i = 0; i < c->bad.n / sizeof(*v); i++)
        if (v[i] == segment)
            return true;
    return false;
}

static bool intact(struct check *c, const struct message_location *w)
{
    enum { CHUNK = 1 << 20 };
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    uint32_t crc = 0;
    for (uint64_t off = 0; off < w->length; off += b.n) {
        buf_reset(&b);
        size_t n = (size_t)MIN(w->length - off, (uint64_t)CHUNK);
        if (log_read(c->frozen.view, w->segment, w->offset + off, n, &b, NULL))
            return false;
        crc = crc32c(crc, b.p, b.n);
    }
    return crc == w->crc;
}

static void note_use(struct check *c, uint64_t segment)
{
    struct headless *h = (struct headless *)(void *)c->headless.p;
    for (size_t i = 0; i < c->headless.n / sizeof(*h); i++)
        h[i].used |= h[i].segment == segment;
}

/* One that was begun for a message when the machine died holds nothing that was promised. */
static void tell_headless(struct check *c, const struct externals *e)
{
    const struct headless *h = (const struct headless *)(const void *)c->headless.p;
    for (size_t i = 0; i < c->headless.n / sizeof(*h); i++) {
        struct finding f = {.segment = h[i].segment};
        f.kind = h[i].used || !is_external(e, f.segment) ? FINDING_DAMAGE : FINDING_INFO;
        snprintf(f.text, sizeof(f.text),
                 f.kind == FINDING_DAMAGE
                     ? "damaged segment header in segment %llx"
                     : "segment %llx was begun when the machine died: compaction removes it",
                 (unsigned long long)f.segment);
        found(c, f);
    }
}

static int check_messages(struct check *c)
{
    struct externals externals = {0};
    struct index_txn *txn;
    struct index_message m;
    uint64_t id;
    int rc = frozen_open(&c->frozen, &c->err);
    if (rc == 0)
        rc = index_read_begin(c->frozen.index, &txn);
    if (rc)
        return rc;
    (void)log_segments(c->frozen.view, note_external, &externals);
    for (rc = index_message_seek(txn, 1, &id, &m); rc == 0;
         rc = index_message_seek(txn, id + 1, &id, &m)) {
        note_use(c, m.where.segment);
        if (!is_external(&externals, m.where.segment) && !is_bad(c, m.where.segment))
            continue;
        struct lost lost = {.message = id, .where = m.where};
        if (!intact(c, &m.where))
            buf_put(&c->lost, &lost, sizeof(lost));
    }
    index_read_end(txn);
    tell_headless(c, &externals);
    free(externals.v);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* --- step 3: where they are --- */

static int by_message(const void *a, const void *b)
{
    const struct lost *x = a, *y = b;
    return (x->message > y->message) - (x->message < y->message);
}

static void tell_lost(struct check *c, const struct lost *l, uint32_t mailbox, uint32_t uid,
                      struct span name)
{
    struct finding f = {.kind = FINDING_DAMAGE,
                        .mailbox = mailbox,
                        .uid = uid,
                        .segment = l->where.segment,
                        .offset = l->where.offset};
    if (mailbox)
        snprintf(f.text, sizeof(f.text), "mailbox %.*s, UID %u: the message is damaged",
                 (int)MIN(name.n, 120), name.p, uid);
    else
        snprintf(f.text, sizeof(f.text), "message %llu, which is in no mailbox now, is damaged",
                 (unsigned long long)l->message);
    found(c, f);
}

/* One mailbox's rows; told[i]: lost message i has been found somewhere. */
static int name_in(struct check *c, struct index_txn *txn, const struct mailbox_info *m, bool *told)
{
    const struct lost *lost = (const struct lost *)(const void *)c->lost.p;
    size_t n = c->lost.n / sizeof(*lost);
    autobuf name = BUF_INIT(BUF_UNLIMITED);
    struct row_iter it;
    struct row row;
    buf_put_span(&name, m->name);
    int rc = rows_begin(&it, txn, m->id);
    if (rc)
        return rc;
    for (rc = rows_seek(&it, 1, &row); rc == 0; rc = rows_next(&it, &row)) {
        struct lost key = {.message = row.message_id};
        const struct lost *l = bsearch(&key, lost, n, sizeof(*lost), by_message);
        if (!l)
            continue;
        told[l - lost] = true;
        tell_lost(c, l, m->id, row.uid, buf_span(&name));
    }
    rows_end(&it);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int check_places(struct check *c)
{
    const struct lost *lost = (const struct lost *)(const void *)c->lost.p;
    size_t n = c->lost.n / sizeof(*lost);
    struct index_txn *txn;
    struct mailbox_info m;
    if (n == 0)
        return 0;
    int rc = index_read_begin(c->frozen.index, &txn);
    if (rc)
        return rc;
    bool *told = xcalloc(n, sizeof(*told));
    for (rc = index_mailbox_seek(txn, 1, &m); rc == 0;) {
        uint32_t id = m.id;
        rc = name_in(c, txn, &m, told);
        if (rc == 0)
            rc = index_mailbox_seek(txn, id + 1, &m);
    }
    index_read_end(txn);
    for (size_t i = 0; i < n && rc == ERR_NOT_FOUND; i++)
        if (!told[i])
            tell_lost(c, &lost[i], 0, 0, SPAN_EMPTY);
    free(told);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* --- step 4: counts and chunks of every mailbox --- */

static int check_rows(struct check *c)
{
    struct index_txn *txn;
    struct mailbox_info m;
    int rc = index_read_begin(c->frozen.index, &txn);
    if (rc)
        return rc;
    for (rc = index_mailbox_seek(txn, 1, &m); rc == 0; rc = index_mailbox_seek(txn, m.id + 1, &m)) {
        struct err err = {0};
        uint32_t id = m.id;
        if (rows_verify(txn, id, &err)) {
            struct finding f = {.kind = FINDING_DAMAGE, .mailbox = id};
            snprintf(f.text, sizeof(f.text), "index: %.180s", err.text);
            found(c, f);
        }
        m.id = id;
    }
    index_read_end(txn);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* --- step 5: the index against a replay --- */

static int dump(struct index *index, struct buf *to, uint64_t hash[2])
{
    struct index_txn *txn;
    int rc = index_read_begin(index, &txn);
    if (rc)
        return rc;
    rc = index_dump(txn, to, hash);
    index_read_end(txn);
    return rc;
}

static void tell_line(struct check *c, const char *what, struct span line)
{
    struct finding f = {.kind = FINDING_DAMAGE};
    snprintf(f.text, sizeof(f.text), "%s: %.*s", what, (int)MIN(line.n, 150), line.p);
    found(c, f);
}

/* The first lines in which they differ. */
static void compare_texts(struct check *c, struct span is, struct span ought)
{
    struct span a = SPAN_EMPTY, b = SPAN_EMPTY;
    for (int n = 0; n < LINES_MAX;) {
        bool more_a = span_split(&is, '\n', &a), more_b = span_split(&ought, '\n', &b);
        if (!more_a && !more_b)
            return;
        if (more_a && more_b && span_eq(a, b))
            continue;
        if (more_a && a.n)
            tell_line(c, "only in the index", a);
        if (more_b && b.n)
            tell_line(c, "only in the log", b);
        n++;
    }
}

static int check_replay(struct check *c)
{
    autobuf dir = BUF_INIT(BUF_UNLIMITED), is = BUF_INIT(256 << 20), ought = BUF_INIT(256 << 20);
    uint64_t hash[2][2];
    struct index *replayed;
    frozen_path(&c->frozen, "replay", &dir);
    int rc = recover_index(dir.p, c->frozen.view, true, &replayed, NULL, &c->err);
    if (rc)
        return rc;
    rc = dump(c->frozen.index, NULL, hash[0]);
    if (rc == 0)
        rc = dump(replayed, NULL, hash[1]);
    if (rc == 0 && memcmp(hash[0], hash[1], sizeof(hash[0])) != 0) {
        tell_line(c, "the index is not what the log says",
                  c->bad.n ? SPAN("it may know what cannot be read; compact the account")
                           : SPAN("rebuild it"));
        rc = dump(c->frozen.index, &is, hash[0]);
        if (rc == 0)
            rc = dump(replayed, &ought, hash[1]);
        compare_texts(c, buf_span(&is), buf_span(&ought));
    }
    index_close(replayed);
    return rc;
}

/* --- running --- */

static void step_run(void *arg)
{
    static int (*const steps[STEPS])(struct check *) = {check_log, check_messages, check_places,
                                                        check_rows, check_replay};
    struct check *c = arg;
    c->error = steps[c->step](c);
    if (c->error && !c->err.code)
        err_set(&c->err, c->error, "check: %s", err_name(c->error));
}

static void finish(struct check *c)
{
    struct maintenance *m = c->m;
    int error = c->error;
    struct err err = c->err;
    frozen_done(&c->frozen);
    buf_done(&c->findings);
    buf_done(&c->headless);
    buf_done(&c->bad);
    buf_done(&c->lost);
    free(c);
    m->finished(m, error, error ? err.text : "");
}

static void step_done(void *arg)
{
    struct check *c = arg;
    const struct finding *f = (const struct finding *)(const void *)c->findings.p;
    for (size_t i = 0; i < c->findings.n / sizeof(*f); i++)
        c->m->finding(c->m, &f[i]);
    buf_reset(&c->findings);
    c->step++;
    c->m->progress(c->m, (uint64_t)c->step, STEPS);
    if (c->m->cancel && !c->error)
        c->error = err_set(&c->err, ERR_CLOSED, "cancelled");
    if (c->error || c->step == STEPS)
        finish(c);
    else
        store_work(c->frozen.account->store, step_run, step_done, c);
}

static void taken(void *arg, int error)
{
    struct check *c = arg;
    if (error) {
        c->error = err_set(&c->err, error, "the account is busy or not available");
        finish(c);
        return;
    }
    writer_unpause(c->frozen.account);
    store_work(c->frozen.account->store, step_run, step_done, c);
}

void account_check(struct account *account, struct maintenance *m)
{
    struct check *c = xnew(struct check);
    c->m = m;
    buf_init(&c->findings, BUF_UNLIMITED);
    buf_init(&c->headless, BUF_UNLIMITED);
    buf_init(&c->bad, BUF_UNLIMITED);
    buf_init(&c->lost, BUF_UNLIMITED);
    frozen_take(&c->frozen, account, true, taken, c);
}
