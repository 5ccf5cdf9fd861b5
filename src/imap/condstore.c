/* imap/condstore.c: CONDSTORE and QRESYNC (RFC 7162), as far as they are not a word in the answers
 * of other commands.
 *
 * Everything comes from the one change index (snap_changes): mod-sequences are the account's change
 * numbers, and expunges are remembered with theirs. A session is CONDSTORE-aware from its first
 * enabling command on (section 3.1), and gets VANISHED instead of EXPUNGE after ENABLE QRESYNC. */
#include <inttypes.h>

#include "imap/commands.h"

/* What the client may take for its HIGHESTMODSEQ: an expunge that it has not been told of yet must
 * be above it (section 3.2, and the example of section 6). */
static uint64_t told_modseq(const struct view *v)
{
    uint64_t told = v->expunged.n ? MIN(v->watch.view_modseq, v->modseq) : v->modseq;
    if (v->told_from && v->session->notify) /* it may hide something */
        told = MIN(told, v->told_from);
    return told;
}

void condstore_put_highest(struct session *s)
{
    respond_text(s, "* OK [HIGHESTMODSEQ %" PRIu64 "] Highest mod-sequence", told_modseq(s->view));
    s->modseq_sent = false;
}

void condstore_enable(struct session *s)
{
    if (s->condstore)
        return;
    s->condstore = true;
    if (s->view && !s->view->gone)
        condstore_put_highest(s);
}

/* Mod-sequences were sent while expunges with lower ones are kept back: a client that took the
 * greatest one for its state would never hear of them. */
void condstore_before_tagged(struct session *s)
{
    if (s->qresync && s->modseq_sent && s->view && s->view->expunged.n)
        condstore_put_highest(s);
    s->modseq_sent = false;
}

void condstore_put_tagged(struct task *t, struct buf *b)
{
    const struct view *v = t->session->view;
    struct span tagged = span_str(t->tagged);
    if (!t->code_at || !v || v->gone) {
        buf_put_span(b, tagged);
        return;
    }
    buf_put_span(b, span_head(tagged, t->code_at));
    buf_printf(b, "[HIGHESTMODSEQ %" PRIu64 "] ", told_modseq(v));
    buf_put_span(b, span_skip(tagged, t->code_at));
}

enum step task_ok_modseq(struct task *t, const char *text)
{
    enum step step = task_ok(t, NULL, text);
    if (t->session->qresync)
        t->code_at = t->command->tag.n + sizeof(" OK ") - 1;
    return step;
}

static void put_vanished(struct session *s, const struct ranges *uids, bool earlier)
{
    if (uids->n == 0)
        return;
    struct buf *b = respond_begin(s);
    buf_put_str(b, earlier ? "* VANISHED (EARLIER) " : "* VANISHED ");
    ranges_put_text(b, uids);
    buf_put_lit(b, "\r\n");
    respond_end(s);
}

void condstore_announce_vanished(struct session *s)
{
    struct view *v = s->view;
    put_vanished(s, &v->expunged, false);
    v->exists -= (uint32_t)ranges_count(&v->expunged);
    ranges_subtract(&v->changed, &v->expunged);
    ranges_subtract(&v->recent, &v->expunged);
    ranges_reset(&v->expunged);
    watch_set_view(&v->watch, v->modseq);
}

/* --- what happened since --- */

static int live_uids(struct snap *snap, uint32_t mailbox, struct ranges *ret)
{
    struct row_cursor *c;
    struct row row;
    int rc = row_cursor_open(snap, mailbox, &c);
    if (rc)
        return rc;
    for (rc = row_cursor_seek(c, 1, &row); rc == 0; rc = row_cursor_next(c, &row))
        ranges_add(ret, row.uid, row.uid);
    row_cursor_close(c);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* Expunges that old are forgotten: whatever of the known UIDs is not there has vanished (section
 * 3.2.6, last note). */
static int vanished_by_comparison(struct snap *snap, uint32_t mailbox, const struct ranges *known,
                                  struct ranges *ret)
{
    autoranges live = RANGES_INIT;
    int rc = live_uids(snap, mailbox, &live);
    ranges_copy(ret, known);
    ranges_subtract(ret, &live);
    return rc;
}

/* Among the known UIDs: those changed after `since`, and those expunged, without the ones that the
 * client is still shown. */
static int changed_since(struct session *s, struct snap *snap, uint64_t since,
                         const struct ranges *known, struct ranges *ret_changed,
                         struct ranges *ret_vanished, bool *ret_complete)
{
    struct changes changes = CHANGES_INIT;
    int rc = snap_changes(snap, s->view->mailbox, since, &changes);
    if (rc == 0) {
        ranges_copy(ret_changed, &changes.changed);
        ranges_intersect(ret_changed, known);
        if (changes.complete) {
            ranges_copy(ret_vanished, &changes.expunged);
            ranges_intersect(ret_vanished, known);
        } else {
            rc = vanished_by_comparison(snap, s->view->mailbox, known, ret_vanished);
        }
        ranges_subtract(ret_vanished, &s->view->expunged);
        *ret_complete = changes.complete;
    }
    changes_done(&changes);
    return rc;
}

/* The set of UID FETCH (VANISHED): here "*" is the last UID that was given, not the last live one,
 * and numbers beyond the last live message count: these are what may have vanished. */
static int known_uids(const struct seqset *set, const struct view *v, struct ranges *ret)
{
    autoarena arena = ARENA_INIT(1 << 24);
    struct seqset plain;
    int rc = seqset_resolve(set, v->uidnext - 1, &arena, &plain);
    for (size_t i = 0; rc == 0 && i < plain.n; i++)
        ranges_add(ret, plain.r[i].lo, plain.r[i].hi);
    return rc;
}

int condstore_fetch(struct task *t, struct snap *snap, struct ranges *uids)
{
    const struct cmd_fetch *a = &t->command->fetch;
    struct session *s = t->session;
    autoranges known = RANGES_INIT, changed = RANGES_INIT, vanished = RANGES_INIT;
    bool complete;
    if (s->view->gone)
        return 0;
    int rc = 0;
    if (a->vanished)
        rc = known_uids(&a->set, s->view, &known);
    ranges_add_all(&known, uids);
    if (rc == 0)
        rc = changed_since(s, snap, a->since, &known, &changed, &vanished, &complete);
    if (rc)
        return rc;
    if (a->vanished)
        put_vanished(s, &vanished, true);
    ranges_intersect(uids, &changed);
    return 0;
}

/* --- SELECT (QRESYNC) --- */

struct qresync_state {
    struct ranges changed;
    struct view_walk walk;
};

static void qresync_cleanup(struct task *t)
{
    struct qresync_state *st = t->data;
    ranges_done(&st->changed);
}

static uint32_t nth_number(const struct seqset *set, uint64_t n)
{
    for (size_t i = 0; i < set->n; i++) {
        uint64_t len = (uint64_t)set->r[i].hi - set->r[i].lo + 1;
        if (n < len)
            return set->r[i].lo + (uint32_t)n;
        n -= len;
    }
    return 0;
}

/* Section 3.2.5.2: up to the last pair of number and UID that still fits, the client knows of all
 * expunges. If one fits, all before it do. */
static void skip_matched(struct session *s, struct snap *snap, const struct cmd_select *a,
                         struct ranges *vanished)
{
    uint64_t lo = 0, hi = seqset_count(&a->match_seqs);
    while (lo < hi) {
        uint64_t mid = lo + (hi - lo) / 2;
        uint32_t uid;
        if (view_uid_at(s->view, snap, nth_number(&a->match_seqs, mid), &uid) == 0 &&
            uid == nth_number(&a->match_uids, mid))
            lo = mid + 1;
        else
            hi = mid;
    }
    if (lo > 0)
        ranges_remove(vanished, 1, nth_number(&a->match_uids, lo - 1));
}

int qresync_begin(struct task *t, struct snap *snap)
{
    const struct cmd_select *a = &t->command->select;
    struct session *s = t->session;
    struct view *v = s->view;
    autoranges known = RANGES_INIT, vanished = RANGES_INIT;
    bool complete = true;
    struct qresync_state *st = arena_new(&t->arena, struct qresync_state);
    if (!st)
        return ERR_LIMIT;
    t->data = st;
    t->cleanup = qresync_cleanup;
    view_walk_init(&st->walk, s->view, &st->changed);
    /* Section 3.2.5: of another incarnation of the mailbox nothing can be said. */
    if (a->uidvalidity != v->uidvalidity || v->uidnext <= 1)
        return 0;
    if (a->has_known) {
        int rc = known_uids(&a->known, v, &known);
        if (rc)
            return rc;
    } else {
        ranges_add(&known, 1, v->uidnext - 1);
    }
    int rc = changed_since(s, snap, a->modseq, &known, &st->changed, &vanished, &complete);
    if (rc)
        return rc;
    if (!complete)
        skip_matched(s, snap, a, &vanished);
    put_vanished(s, &vanished, true);
    return 0;
}

int qresync_rows(struct task *t, struct snap *snap)
{
    struct qresync_state *st = t->data;
    struct session *s = t->session;
    struct view_cursor *c;
    struct shown m;
    int rc = view_cursor_open(&st->walk, snap, &c), rows = 0;
    if (rc)
        return rc;
    struct buf *b = respond_begin(s);
    while (rows++ < SLICE_ROWS && (rc = view_cursor_next(c, &m)) == 0) {
        if (!m.expunged)
            put_fetch_flags(s, b, snap, &m, true);
        if (s->view->changed.n)
            ranges_remove(&s->view->changed, m.row.uid, m.row.uid);
    }
    respond_end(s);
    view_cursor_close(c);
    return rc;
}

/* --- STORE (UNCHANGEDSINCE) --- */

/* "MODIFIED 7,9": UIDs for UID STORE, else numbers (section 3.1.3). */
int condstore_put_modified(struct task *t, struct snap *snap, struct buf *b)
{
    const struct ranges *modified = &t->request.result.modified;
    autoranges seqs = RANGES_INIT;
    int rc = 0;
    if (!t->command->uid) {
        struct view_walk walk;
        struct view_cursor *c;
        struct shown m;
        view_walk_init(&walk, t->session->view, modified);
        rc = view_cursor_open(&walk, snap, &c);
        if (rc)
            return rc;
        while ((rc = view_cursor_next(c, &m)) == 0)
            ranges_add(&seqs, m.seq, m.seq);
        view_cursor_close(c);
    }
    buf_put_lit(b, "MODIFIED ");
    ranges_put_text(b, t->command->uid ? modified : &seqs);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}
