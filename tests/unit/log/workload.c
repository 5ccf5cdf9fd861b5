#include "workload.h"

#include "support/cmocka.h"

static const unsigned char id[LOG_ID_LEN] = "an account's id";

char *payload_of(uint32_t nonce, uint32_t size)
{
    char *p = xmalloc(size + 1);
    uint32_t x = nonce * 2654435761U + 1;
    for (uint32_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (char)(x >> 24);
    }
    return p;
}

void workload_init(struct workload *w, struct fault *f, bool retry)
{
    *w = (struct workload){.fault = f, .retry = retry};
    w->options = (struct log_options){.fs = fault_fs(f), .segment_size = 1500};
}

/* The process dies: nothing is tidied up, only memory is released. */
void workload_done(struct workload *w)
{
    log_base_abort(w->base);
    w->base = NULL;
    if (w->log) {
        w->log->closed = true;
        log_close(w->log);
    }
    w->log = NULL;
}

/* What an opening showed is a promise, too. */
static int note_shown(void *ctx, const struct log_frame *f, struct span ops)
{
    struct model *m = ctx;
    unsigned seq, nonce;
    if (f->base)
        return 0;
    char text[64];
    snprintf(text, sizeof(text), SPAN_FMT, SPAN_ARG(ops));
    assert_int_equal(sscanf(text, "op %u %u", &seq, &nonce), 2);
    assert_int_equal(seq, f->seq);
    m->definite[seq] = nonce;
    return 0;
}

static void open_log(struct workload *w)
{
    struct log_report report;
    struct err err = {0};
    int rc = ERR_IO;
    workload_done(w);
    for (int i = 0; i < (w->retry ? 3 : 1) && rc; i++)
        rc = log_open(&w->options, WORKLOAD_DIR, &w->log, &report, &err);
    if (rc && w->retry)
        fail_msg("open: %s", err.text);
    if (rc) {
        w->log = NULL;
        w->dead = true;
        return;
    }
    struct model *m = &w->model;
    assert_int_equal(report.damaged_frames, 0);
    assert_true(report.last_seq >= m->acked);
    assert_true(report.last_seq <= m->written);
    m->acked = m->written = report.last_seq;
    rc = ERR_IO;
    for (int i = 0; i < (w->retry ? 3 : 1) && rc; i++)
        rc = log_replay(w->log, 0, note_shown, NULL, m, NULL);
    assert_true(rc == 0 || !w->retry);
    w->dead = rc != 0;
}

static void after_failure(struct workload *w, int rc)
{
    if (rc == ERR_UNKNOWN || rc == ERR_CLOSED || log_is_closed(w->log)) {
        w->model.unknowns++;
        if (w->retry)
            open_log(w);
        else
            w->dead = true;
    } else {
        w->model.refusals++;
    }
}

/* n frames in one write. */
static void write_frames(struct workload *w, int n, uint32_t size)
{
    struct model *m = &w->model;
    char *payloads[16];
    uint32_t first = m->nonces + 1;
    int rc = 0, staged = 0;
    if (w->dead)
        return;
    for (int i = 0; i < n && rc == 0; i++) {
        struct log_frame f;
        uint32_t nonce = ++m->nonces;
        char ops[64];
        assert_true(nonce < NONCE_MAX);
        snprintf(ops, sizeof(ops), "op %u %u", (unsigned)log_last_seq(w->log) + 1, nonce);
        payloads[staged] = payload_of(nonce, size);
        struct span p[2] = {{payloads[staged], size / 3}, {payloads[staged] + size / 3, 0}};
        p[1].n = size - size / 3;
        m->attempts[nonce].refused = true; /* until it was tried */
        rc = log_stage(w->log, 1, 1, span_str(ops), p, 2, &f);
        staged++;
        if (rc == 0)
            m->attempts[nonce] = (struct attempt){f.seq, size, false, f.segment, f.payload_offset};
    }
    if (rc == 0) {
        m->written = MAX(m->written, log_last_seq(w->log));
        rc = log_write(w->log, NULL);
    } else {
        log_unstage(w->log);
        for (uint32_t i = first; i <= m->nonces; i++)
            m->attempts[i].refused = true;
    }
    if (rc && rc != ERR_UNKNOWN)
        for (uint32_t i = first; i <= m->nonces; i++)
            m->attempts[i].refused = true;
    for (int i = 0; i < staged; i++)
        free(payloads[i]);
    if (rc) {
        if (rc != ERR_UNKNOWN)
            m->written = log_last_seq(w->log);
        after_failure(w, rc);
    }
}

static void acknowledge(struct workload *w, uint64_t seq)
{
    struct model *m = &w->model;
    for (uint32_t i = 1; i <= m->nonces; i++) {
        struct attempt *a = &m->attempts[i];
        if (a->seq > m->acked && a->seq <= seq && !a->refused)
            m->definite[a->seq] = i; /* the last attempt wins */
    }
    m->acked = MAX(m->acked, seq);
}

static void end_sync(struct workload *w, struct log_sync *s)
{
    int rc = log_sync_end(w->log, s, NULL);
    if (rc)
        after_failure(w, rc);
    else
        acknowledge(w, s->seq);
}

static void sync_log(struct workload *w)
{
    struct log_sync s;
    if (w->dead || !log_needs_sync(w->log))
        return;
    log_sync_begin(w->log, &s);
    log_sync_run(&s);
    end_sync(w, &s);
}

/* Frames are written while a sync runs: it promises only those before. */
static void overlapping_sync(struct workload *w)
{
    struct log_sync s;
    write_frames(w, 2, 100);
    if (w->dead || !log_needs_sync(w->log))
        return;
    log_sync_begin(w->log, &s);
    struct log *before = w->log;
    int rc = 0;
    struct log_frame f;
    uint32_t nonce = ++w->model.nonces;
    char ops[64], *payload = payload_of(nonce, 900);
    struct span p = {payload, 900};
    snprintf(ops, sizeof(ops), "op %u %u", (unsigned)log_last_seq(w->log) + 1, nonce);
    w->model.attempts[nonce].refused = true;
    rc = log_stage(w->log, 1, 1, span_str(ops), &p, 1, &f);
    if (rc == 0) {
        w->model.attempts[nonce] = (struct attempt){f.seq, 900, false, f.segment, f.payload_offset};
        w->model.written = MAX(w->model.written, f.seq);
        rc = log_write(w->log, NULL);
        if (rc && rc != ERR_UNKNOWN) {
            w->model.attempts[nonce].refused = true;
            w->model.written = log_last_seq(w->log);
        }
    }
    free(payload);
    assert_ptr_equal(before, w->log);
    log_sync_run(&s);
    if (rc == ERR_UNKNOWN) {
        int end = log_sync_end(w->log, &s, NULL);
        (void)end;
        after_failure(w, rc);
    } else {
        end_sync(w, &s);
    }
}

static void external(struct workload *w, uint32_t size, bool give_up)
{
    struct log_external *x;
    struct model *m = &w->model;
    if (w->dead)
        return;
    uint32_t nonce = ++m->nonces;
    m->attempts[nonce].refused = true;
    int rc = log_external_begin(w->log, &x, NULL);
    if (rc) {
        after_failure(w, rc);
        return;
    }
    autofree char *p = payload_of(nonce, size);
    rc = log_external_write(x, span_make(p, size / 2), NULL);
    if (rc == 0)
        rc = log_external_write(x, span_make(p + size / 2, size - size / 2), NULL);
    if (rc == 0)
        rc = log_external_sync_run(x);
    if (rc || give_up) {
        log_external_abort(x);
        return;
    }
    struct log *before = w->log;
    uint64_t segment, offset, acked = m->acked;
    log_external_finish(x, &segment, &offset);
    write_frames(w, 1, 0); /* the link */
    sync_log(w);
    if (w->log == before && m->acked > acked) {
        m->externals[m->external_count].segment = segment;
        m->externals[m->external_count].offset = offset;
        m->externals[m->external_count++].size = size << 12 | nonce;
    }
}

static void base(struct workload *w)
{
    struct log_base *b;
    struct log_frame f;
    if (w->dead)
        return;
    uint64_t as_of = log_durable_seq(w->log);
    int rc = log_base_begin(w->log, as_of, &b, NULL);
    if (rc) {
        after_failure(w, rc);
        return;
    }
    w->base = b;
    write_frames(w, 2, 200);
    sync_log(w);
    if (w->dead || !w->base) /* the log was opened anew */
        return;
    for (int i = 0; i < BASE_FRAMES && rc == 0; i++)
        rc = log_base_put(b, 2, 1, SPAN("state"), &SPAN("moved bytes of a message"), 1, &f, NULL);
    if (rc == 0)
        rc = log_base_sync_run(b, NULL);
    w->model.base_tried = true;
    w->base = NULL;
    if (rc) {
        log_base_abort(b);
        after_failure(w, rc);
        return;
    }
    rc = log_base_finish(b, NULL);
    if (rc == 0)
        w->model.base_seq = as_of;
    else
        after_failure(w, rc);
}

static void drop_some(struct workload *w)
{
    struct model *m = &w->model;
    for (uint64_t n = 1; n <= 2 && !w->dead; n++) {
        struct segment *s = segment_find(w->log, n);
        if (!s || s->role != LOG_SEGMENT_PAYLOAD)
            continue;
        m->dropped[m->dropped_count++] = n;
        int rc = log_segment_drop(w->log, n, 0, NULL);
        if (rc)
            after_failure(w, rc);
    }
}

static void create(struct workload *w)
{
    struct log_fs *fs = fault_fs(w->fault);
    int rc = fs->make_dir(fs->ctx, "account");
    if (rc && w->retry)
        rc = fs->make_dir(fs->ctx, "account");
    if (rc == 0)
        rc = fs->sync_dir(fs->ctx, ".");
    if (rc && w->retry)
        rc = fs->sync_dir(fs->ctx, ".");
    for (int i = 0; i < (w->retry ? 3 : 1); i++) {
        rc = log_create(&w->options, WORKLOAD_DIR, id, NULL);
        if (rc == 0 || rc == ERR_EXISTS)
            break;
    }
    if (rc && rc != ERR_EXISTS)
        w->dead = true;
}

void workload_run(struct workload *w)
{
    create(w);
    if (!w->dead)
        open_log(w);
    write_frames(w, 3, 50);
    sync_log(w);
    for (int i = 0; i < 3; i++) {
        write_frames(w, 1, 300 + 8 * (uint32_t)i);
        sync_log(w);
    }
    overlapping_sync(w);
    write_frames(w, 2, 700); /* the segment is full before anything of it is synced */
    write_frames(w, 2, 700);
    write_frames(w, 1, 10);
    sync_log(w);
    external(w, 3000, false);
    external(w, 100, true);
    write_frames(w, 1, 20);
    sync_log(w);
    base(w);
    write_frames(w, 1, 20);
    sync_log(w);
    drop_some(w);
    if (!w->dead) {
        log_close(w->log);
        w->log = NULL;
        open_log(w);
    }
    write_frames(w, 2, 64);
    sync_log(w);
    write_frames(w, 2, 64);
}

/* --- verification --- */

struct seen {
    const struct model *m;
    struct log *log;
    uint64_t last, bases, base_seq;
};

static bool is_dropped(const struct model *m, uint64_t segment)
{
    for (unsigned i = 0; i < m->dropped_count; i++)
        if (m->dropped[i] == segment)
            return true;
    return false;
}

static void verify_bytes(struct log *log, uint64_t segment, uint64_t offset, uint32_t nonce,
                         uint32_t size)
{
    autobuf back = BUF_INIT(1 << 20);
    struct err err = {0};
    autofree char *expected = payload_of(nonce, size);
    if (log_read(log, segment, offset, size, &back, &err))
        fail_msg("read of %u bytes: %s", size, err.text);
    if (size)
        assert_memory_equal(back.p, expected, size);
}

static int verify_frame(void *ctx, const struct log_frame *f, struct span ops)
{
    struct seen *s = ctx;
    unsigned seq, nonce;
    char text[64];
    if (f->base) {
        assert_int_equal(s->last, 0);
        assert_true(span_eq(ops, SPAN("state")));
        s->bases++;
        s->base_seq = f->seq;
        return 0;
    }
    if (s->last == 0 && s->bases)
        s->last = s->base_seq;
    snprintf(text, sizeof(text), SPAN_FMT, SPAN_ARG(ops));
    assert_int_equal(sscanf(text, "op %u %u", &seq, &nonce), 2);
    assert_int_equal(seq, f->seq);
    assert_int_equal(f->seq, s->last + 1);
    s->last = f->seq;
    const struct attempt *a = &s->m->attempts[nonce];
    assert_false(a->refused);
    assert_int_equal(a->seq, f->seq);
    if (s->m->definite[seq] && f->seq <= s->m->acked)
        assert_int_equal(s->m->definite[seq], nonce);
    assert_int_equal(f->payload_length, a->size);
    verify_bytes(s->log, f->segment, f->payload_offset, nonce, a->size);
    return 0;
}

static void no_damage(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq)
{
    (void)ctx;
    fail_msg("damage in segment %u at %u, frame %u", (unsigned)segment, (unsigned)offset,
             (unsigned)seq);
}

static void check_damage(void *ctx, const struct log_damage *d)
{
    struct seen *s = ctx;
    struct segment *segment = segment_find(s->log, d->segment);
    /* An upload that was never finished nor referred to may be in any state. */
    if (segment->kind == SEGMENT_EXTERNAL) {
        for (unsigned i = 0; i < s->m->external_count; i++)
            assert_int_not_equal(s->m->externals[i].segment, d->segment);
        return;
    }
    fail_msg("%s damaged in segment %u at %u", d->what, (unsigned)d->segment, (unsigned)d->offset);
}

static struct log *open_disk(struct fault *disk, struct log_report *report)
{
    struct log_options o = {.fs = fault_fs(disk), .segment_size = 1500};
    struct log *log;
    struct err err = {0};
    int rc = log_open(&o, WORKLOAD_DIR, &log, report, &err);
    if (rc)
        fail_msg("open after a crash: %s", err.text);
    return log;
}

static void verify_promises(const struct model *m, struct log *log, const struct log_report *report)
{
    struct seen s = {.m = m, .log = log};
    if (report->damaged_frames)
        no_damage(NULL, 0, 0, report->damaged_frames);
    assert_false(report->new_incarnation);
    assert_true(report->last_seq >= m->acked);
    assert_int_equal(log_replay(log, 0, verify_frame, no_damage, &s, NULL), 0);
    assert_int_equal(MAX(s.last, s.base_seq), report->last_seq);
    assert_int_equal(s.bases, s.bases ? BASE_FRAMES : 0);
    if (m->base_seq)
        assert_int_equal(s.base_seq, m->base_seq);
    else if (!m->base_tried)
        assert_int_equal(s.bases, 0);
    /* Payloads of frames before the base too. */
    for (uint64_t seq = 1; seq <= m->acked; seq++) {
        const struct attempt *a = &m->attempts[m->definite[seq]];
        assert_int_not_equal(m->definite[seq], 0);
        if (!is_dropped(m, a->segment))
            verify_bytes(log, a->segment, a->payload_offset, m->definite[seq], a->size);
    }
    for (unsigned i = 0; i < m->external_count; i++)
        verify_bytes(log, m->externals[i].segment, m->externals[i].offset,
                     m->externals[i].size & 0xfff, m->externals[i].size >> 12);
    assert_int_equal(log_check(log, check_damage, NULL, &s, NULL), 0);
}

static void append_one(struct log *log)
{
    struct log_frame f;
    struct log_sync s;
    assert_int_equal(log_stage(log, 1, 1, SPAN("more"), NULL, 0, &f), 0);
    assert_int_equal(f.seq, log_durable_seq(log) + 1);
    assert_int_equal(log_write(log, NULL), 0);
    log_sync_begin(log, &s);
    log_sync_run(&s);
    assert_int_equal(log_sync_end(log, &s, NULL), 0);
}

static int count_more(void *ctx, const struct log_frame *f, struct span ops)
{
    (void)f;
    *(int *)ctx += span_eq(ops, SPAN("more"));
    return 0;
}

void model_verify(const struct model *m, struct fault *disk, bool crashed)
{
    struct log_report report;
    struct log *log = open_disk(disk, &report);
    (void)crashed;
    verify_promises(m, log, &report);
    uint64_t last = report.last_seq;
    /* Killed at once: the next opening shows the same, even where the disk kept only what is
     * synced. */
    log->closed = true;
    log_close(log);
    struct fault *again = fault_crash(disk, 0);
    log = open_disk(again, &report);
    assert_int_equal(report.last_seq, last);
    verify_promises(m, log, &report);
    append_one(log);
    append_one(log);
    log->closed = true;
    log_close(log);
    struct fault *third = fault_crash(again, 0);
    log = open_disk(third, &report);
    int more = 0;
    assert_int_equal(report.last_seq, last + 2);
    assert_int_equal(report.damaged_frames, 0);
    assert_int_equal(log_replay(log, last, count_more, no_damage, &more, NULL), 0);
    assert_int_equal(more, 2);
    log_close(log);
    fault_free(third);
    fault_free(again);
}
