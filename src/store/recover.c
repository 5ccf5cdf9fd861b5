#include "store/recover.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "index/tables.h"
#include "store/apply.h"
#include "store/checkpoint_int.h"

enum {
    BATCH_OPS = 20000,      /* operations of one transaction of a replay ... */
    BATCH_BYTES = 16 << 20, /* ... or octets */
};

struct recovery {
    struct index *index;
    struct log *log;
    struct apply_options options;
    struct recover_report *report;
    struct err *err;
    struct index_txn *txn; /* the batch */
    uint64_t applied_seq;  /* with the batch */
    size_t batch_ops, batch_bytes;
    bool careful; /* one frame a batch; what cannot be applied is left out */
};

/* --- which index to begin with --- */

static int state_of(struct index *index, struct index_state *ret)
{
    struct index_txn *txn;
    int rc = index_read_begin(index, &txn);

    if (rc)
        return rc;
    rc = index_state_get(txn, ret);
    index_read_end(txn);
    return rc;
}

/* Whether replay can go on from what is in the index. */
static bool state_fits(const struct index_state *s, const struct log *log)
{
    if (s->base)
        return false;
    if (s->applied_seq == 0)
        return true;
    return s->incarnation == log_incarnation(log) && s->applied_seq <= log_last_seq(log) &&
           s->applied_seq >= log_first_seq(log);
}

/* The index as it lies there, if it can be believed; *ret is NULL otherwise. */
static int open_trusted(const char *dir, struct log *log, struct index **ret, struct err *err)
{
    struct index_state state;
    enum index_trust trust;
    struct index *index;
    int rc = index_open(dir, false, &trust, &index, err);

    *ret = NULL;
    if (rc || !index)
        return rc;
    if (state_of(index, &state) == 0 && state_fits(&state, log))
        *ret = index;
    else
        index_close(index);
    return 0;
}

/* A copy of a checkpoint in its place. */
static int open_checkpoint(const char *dir, struct log *log, uint64_t seq, struct index **ret,
                           struct err *err)
{
    char name[CHECKPOINT_NAME_MAX];
    struct index_state state;
    enum index_trust trust;
    struct index *index;
    int rc;

    *ret = NULL;
    checkpoint_name(seq, name);
    rc = index_replace(dir, name, err);
    if (rc)
        return rc;
    if (index_open(dir, true, &trust, &index, NULL))
        return 0; /* not usable: the next one, or none */
    if (state_of(index, &state) == 0 && state_fits(&state, log) && state.applied_seq == seq)
        *ret = index;
    else
        index_close(index);
    return 0;
}

static int open_empty(const char *dir, struct index **ret, struct err *err)
{
    enum index_trust trust;
    int rc = index_replace(dir, NULL, err);

    return rc ? rc : index_open(dir, true, &trust, ret, err);
}

static int open_any(const char *dir, struct log *log, bool fresh, struct index **ret,
                    struct recover_report *report, struct err *err)
{
    struct checkpoint_list list = {0};
    int rc = 0;

    *ret = NULL;
    if (fresh)
        return checkpoints_remove(dir, UINT64_MAX, err) ? err->code : open_empty(dir, ret, err);
    rc = open_trusted(dir, log, ret, err);
    report->trusted = *ret != NULL;
    if (rc || *ret)
        return rc;
    rc = checkpoints_list(dir, &list, err);
    for (size_t i = list.n; rc == 0 && !*ret && i > 0; i--) {
        report->checkpoint_seq = list.seq[i - 1];
        rc = open_checkpoint(dir, log, list.seq[i - 1], ret, err);
    }
    checkpoint_list_done(&list);
    if (rc || *ret)
        return rc;
    report->checkpoint_seq = 0;
    return open_empty(dir, ret, err);
}

/* --- replay --- */

static int batch_begin(struct recovery *r)
{
    int rc = r->txn ? 0 : index_write_begin(r->index, &r->txn);

    return rc ? err_set(r->err, rc, "replay: %s", err_name(rc)) : 0;
}

static int batch_end(struct recovery *r)
{
    struct index_txn *txn = take_ptr(r->txn);
    int rc = txn ? index_write_commit(txn) : 0;

    r->batch_ops = r->batch_bytes = 0;
    return rc ? err_set(r->err, rc, "replay: %s", err_name(rc)) : 0;
}

static void batch_abort(struct recovery *r)
{
    struct index_txn *txn = take_ptr(r->txn);

    if (txn)
        index_write_abort(txn);
}

/* A frame that cannot be applied counts as applied from here on. */
static int frame_skip(struct recovery *r, const struct log_frame *frame)
{
    struct index_state state;
    int rc = batch_begin(r);

    if (rc)
        return rc;
    rc = index_state_get(r->txn, &state);
    state.applied_seq = frame->seq;
    if (rc == 0)
        rc = index_state_put(r->txn, &state);
    r->report->damaged++;
    r->applied_seq = frame->seq;
    return rc ? rc : batch_end(r);
}

static int replay_frame(void *ctx, const struct log_frame *frame, struct span ops)
{
    struct recovery *r = ctx;
    size_t n = ops_count(ops);
    int rc = batch_begin(r);

    if (rc)
        return rc;
    /* After damage, or where an older copy of the log was put back, numbers are missing. */
    if (!frame->base && frame->seq != r->applied_seq + 1)
        r->options.lenient = true;
    rc = apply_frame(r->txn, &r->options, frame, ops, r->err);
    if (rc && r->careful && rc != ERR_VERSION && !index_failed(r->index) && !frame->base) {
        batch_abort(r);
        return frame_skip(r, frame);
    }
    if (rc)
        return rc;
    r->report->frames++;
    r->report->ops += n;
    r->applied_seq = frame->seq;
    r->batch_ops += n;
    r->batch_bytes += ops.n;
    if (r->careful || r->batch_ops >= BATCH_OPS || r->batch_bytes >= BATCH_BYTES)
        return batch_end(r);
    return 0;
}

static void replay_damage(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq)
{
    struct recovery *r = ctx;

    (void)segment, (void)offset, (void)seq; /* log_check tells the administrator */
    r->report->damaged++;
    r->options.lenient = true;
}

static int replay_once(struct recovery *r)
{
    struct index_state state;
    int rc = state_of(r->index, &state);

    if (rc)
        return err_set(r->err, rc, "read the index's state: %s", err_name(rc));
    r->applied_seq = state.applied_seq;
    rc = log_replay(r->log, state.applied_seq, replay_frame, replay_damage, r, r->err);
    if (rc == 0)
        rc = batch_end(r);
    batch_abort(r);
    return rc;
}

/* An index of before the base, whose process died between the switch to it and the RELOCATEs:
 * what it says is true, but the log says it in other places. */
static int check_base(struct recovery *r)
{
    struct index_state state;
    int rc = state_of(r->index, &state);

    if (rc == 0 && state.base_segment != log_base_segment(r->log))
        rc = err_set(r->err, ERR_CORRUPT, "the index knows the base at segment %llu, not %llu",
                     (unsigned long long)state.base_segment,
                     (unsigned long long)log_base_segment(r->log));
    return rc;
}

/* What the log says is applied even where it contradicts itself: then frame by frame, leaving out
 * what is impossible, so that all else stays readable. */
static int replay(struct recovery *r)
{
    int rc = replay_once(r);

    if (rc == ERR_CORRUPT && !index_failed(r->index)) {
        r->careful = r->options.lenient = true;
        rc = replay_once(r);
    }
    return rc;
}

/* Ghosts belong to sessions, of which there are none yet. Writes only if there is something to. */
static int settle(struct recovery *r)
{
    struct index_state state;
    struct index_txn *txn;
    uint32_t ghosts;
    int rc = index_read_begin(r->index, &txn);

    if (rc)
        return rc;
    rc = index_state_get(txn, &state);
    if (rc == 0)
        rc = ghosts_any(txn) ? 1 : 0;
    index_read_end(txn);
    if (rc < 0 || (rc == 0 && state.incarnation == log_incarnation(r->log)))
        return rc;
    rc = index_write_begin(r->index, &txn);
    if (rc)
        return rc;
    rc = ghosts_purge(txn, 0, UINT64_MAX, &ghosts);
    if (rc == 0)
        rc = index_state_get(txn, &state);
    state.incarnation = log_incarnation(r->log);
    if (rc == 0)
        rc = index_state_put(txn, &state);
    if (rc) {
        index_write_abort(txn);
        return rc;
    }
    return index_write_commit(txn);
}

static int recover_once(const char *dir, struct log *log, bool fresh, struct index **ret,
                        struct recover_report *report, struct err *err)
{
    struct recovery r = {.log = log, .report = report, .err = err};
    int rc = open_any(dir, log, fresh, &r.index, report, err);

    if (rc)
        return rc;
    rc = replay(&r);
    if (rc == 0 && !fresh) /* else that is damage in the base, and all that can be had */
        rc = check_base(&r);
    if (rc == 0) {
        rc = settle(&r);
        if (rc)
            err_set(err, rc, "settle the index: %s", err_name(rc));
    }
    if (rc) {
        index_close(r.index);
        return rc;
    }
    *ret = r.index;
    return 0;
}

/* --- what a damaged log does not tell any more --- */

static int pass(void *ctx, const struct log_frame *frame, struct span ops)
{
    (void)ctx, (void)frame, (void)ops;
    return 0;
}

static void count_damage(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq)
{
    (void)segment, (void)offset, (void)seq;
    ++*(uint64_t *)ctx;
}

static bool is_whole(struct index *index)
{
    struct index_txn *txn;
    struct mailbox_info m;
    struct err err;
    int rc = index_read_begin(index, &txn);
    if (rc)
        return false;
    for (rc = index_mailbox_seek(txn, 1, &m); rc == 0;) {
        uint32_t id = m.id;
        rc = rows_verify(txn, id, &err);
        if (rc == 0)
            rc = index_mailbox_seek(txn, id + 1, &m);
    }
    index_read_end(txn);
    return rc == ERR_NOT_FOUND;
}

/* Operations that cannot be read are still in an index that was derived when they could. It is kept
 * then, also by who asked for a new one; compaction writes them to the log again. */
static bool index_knows_more(const char *dir, struct log *log)
{
    struct index *index = NULL;
    struct err err;
    uint64_t damaged = 0;
    if (log_replay(log, 0, pass, count_damage, &damaged, &err) || damaged == 0)
        return false;
    if (open_trusted(dir, log, &index, &err) || !index)
        return false;
    bool whole = is_whole(index);
    index_close(index);
    return whole;
}

int recover_index(const char *index_dir, struct log *log, bool fresh, struct index **ret,
                  struct recover_report *report, struct err *err)
{
    uint64_t start = clock_monotonic_us();
    struct recover_report own;
    struct err none;
    int rc;

    report = report ? report : &own;
    err = err ? err : &none;
    *report = (struct recover_report){0};
    fresh = fresh && !index_knows_more(index_dir, log);
    rc = recover_once(index_dir, log, fresh, ret, report, err);
    /* Whatever is wrong with the index, the log has it all. */
    if ((rc == ERR_CORRUPT || rc == ERR_IO) && !fresh) {
        *report = (struct recover_report){0};
        rc = recover_once(index_dir, log, true, ret, report, err);
    }
    report->microseconds = clock_monotonic_us() - start;
    return rc;
}
