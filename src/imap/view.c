/* imap/view.c: what the client has been told of the selected mailbox, and the way between that and
 * the store's newest state.
 *
 * Invariant, at every view_begin: exists = (live messages with UID < uidnext) + |expunged|, where
 * `live` is what the snapshot shows. So a sequence number is a count in the index plus a count in a
 * usually empty set, and nothing per message is kept in memory (DESIGN: an idle session is almost
 * free). */
#include "imap/session_int.h"

static void add_clamped(struct ranges *to, const struct ranges *from, uint32_t below)
{
    for (size_t i = 0; i < from->n && from->v[i].lo < below; i++)
        ranges_add(to, from->v[i].lo, MIN(from->v[i].hi, below - 1));
}

int view_absorb(struct view *v, struct snap *snap)
{
    struct mailbox_info info;
    if (v->gone)
        return 0;
    int rc = snap_mailbox(snap, v->mailbox, &info);
    if (rc == ERR_NOT_FOUND) {
        v->gone = true;
        v->dirty = true; /* until it has been announced */
        return 0;
    }
    if (rc || info.highest_modseq == v->modseq)
        return rc;
    struct changes changes = CHANGES_INIT;
    rc = snap_changes(snap, v->mailbox, v->modseq, &changes);
    if (rc == 0) {
        add_clamped(&v->expunged, &changes.expunged, v->uidnext);
        add_clamped(&v->changed, &changes.changed, v->uidnext);
        contexts_changed(v, &changes.changed, v->uidnext);
        if (!v->told_from)
            v->told_from = v->modseq;
        v->modseq = changes.modseq;
        v->dirty = true;
        if (v->expunged.n == 0)
            watch_set_view(&v->watch, v->modseq);
    }
    changes_done(&changes);
    return rc;
}

int view_begin(struct session *s, struct snap **ret)
{
    struct snap *snap;
    struct account *account = s->view ? s->view->account : s->account;
    int rc = snap_begin_as(account, session_eyes(s, account), &snap);
    if (rc)
        return rc;
    rc = s->view ? view_absorb(s->view, snap) : 0;
    if (rc)
        snap_end(snap);
    else
        *ret = snap;
    return rc;
}

int view_seq_of(struct view *v, struct snap *snap, uint32_t uid, uint32_t *ret_seq)
{
    uint32_t live;
    int rc = snap_count_upto(snap, v->mailbox, uid, &live);
    if (rc)
        return rc;
    *ret_seq = live + (uint32_t)ranges_count_upto(&v->expunged, uid);
    return 0;
}

/* Sequence numbers to UIDs, with the expunged messages that are still shown in between: before[i]
 * counts those in the ranges ahead of expunged.v[i]. Made once for a whole set. */
struct seq_map {
    struct view *view;
    struct snap *snap;
    uint32_t *before;
};

static void cleanup_seq_map(struct seq_map *m)
{
    free(m->before);
}

static void seq_map_init(struct seq_map *m, struct view *v, struct snap *snap)
{
    const struct ranges *ex = &v->expunged;
    *m = (struct seq_map){v, snap, NULL};
    if (ex->n == 0)
        return;
    m->before = xcalloc(ex->n, sizeof(*m->before));
    uint32_t sum = 0;
    for (size_t i = 0; i < ex->n; i++) {
        m->before[i] = sum;
        sum += ex->v[i].hi - ex->v[i].lo + 1;
    }
}

/* The sequence number of the first message of an expunged range. */
static int seq_of_expunged(struct seq_map *m, size_t i, uint32_t *ret)
{
    uint32_t live;
    int rc = snap_count_upto(m->snap, m->view->mailbox, m->view->expunged.v[i].lo, &live);
    if (rc == 0)
        *ret = live + m->before[i] + 1;
    return rc;
}

static int seq_map_uid(struct seq_map *m, uint32_t seq, uint32_t *ret_uid)
{
    const struct ranges *ex = &m->view->expunged;
    size_t lo = 0, hi = ex->n; /* the number of expunged ranges that begin at or before seq */
    uint32_t start = 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        uint32_t at;
        int rc = seq_of_expunged(m, mid, &at);
        if (rc)
            return rc;
        if (at <= seq) {
            lo = mid + 1;
            start = at;
        } else {
            hi = mid;
        }
    }
    if (lo == 0)
        return snap_uid_at(m->snap, m->view->mailbox, seq, ret_uid);
    const struct range *r = &ex->v[lo - 1];
    uint32_t len = r->hi - r->lo + 1;
    if (seq - start < len) {
        *ret_uid = r->lo + (seq - start);
        return 0;
    }
    return snap_uid_at(m->snap, m->view->mailbox, seq - m->before[lo - 1] - len, ret_uid);
}

int view_uid_at(struct view *v, struct snap *snap, uint32_t seq, uint32_t *ret_uid)
{
    if (seq == 0 || seq > v->exists || v->gone)
        return ERR_NOT_FOUND;
    cleanup_with(cleanup_seq_map) struct seq_map map;
    seq_map_init(&map, v, snap);
    return seq_map_uid(&map, seq, ret_uid);
}

uint32_t view_last_uid(struct view *v, struct snap *snap)
{
    uint32_t uid;
    return view_uid_at(v, snap, v->exists, &uid) ? 0 : uid;
}

/* With "*" as max; what is above max is dropped. */
static int resolve_numbers(const struct seqset *set, uint32_t max, struct ranges *ret)
{
    autoarena arena = ARENA_INIT(1 << 24);
    struct seqset plain;
    int rc = seqset_resolve(set, max, &arena, &plain);
    for (size_t i = 0; rc == 0 && i < plain.n; i++)
        ranges_add(ret, plain.r[i].lo, plain.r[i].hi);
    return rc;
}

static int resolve_seqs(struct view *v, struct snap *snap, const struct seqset *set, bool within,
                        struct ranges *ret)
{
    /* RFC 9051 section 9, seq-number: a number above EXISTS, or "*" in an empty mailbox, is BAD. */
    if (!within && (set->highest > v->exists || (set->star && v->exists == 0)))
        return ERR_INVALID;
    autoranges seqs = RANGES_INIT;
    int rc = resolve_numbers(set, v->exists, &seqs);
    if (rc)
        return rc;
    cleanup_with(cleanup_seq_map) struct seq_map map;
    seq_map_init(&map, v, snap);
    for (size_t i = 0; i < seqs.n; i++) {
        uint32_t lo, hi;
        if ((rc = seq_map_uid(&map, seqs.v[i].lo, &lo)) != 0 ||
            (rc = seq_map_uid(&map, seqs.v[i].hi, &hi)) != 0)
            return rc;
        ranges_add(ret, lo, hi);
    }
    return 0;
}

int view_resolve(struct view *v, struct snap *snap, const struct seqset *set, enum resolve how,
                 struct ranges *ret)
{
    int rc = 0;
    if (v->gone) /* every message has been deleted with the mailbox */
        return 0;
    if (how == RESOLVE_UIDS)
        rc = resolve_numbers(set, view_last_uid(v, snap), ret);
    else
        rc = resolve_seqs(v, snap, set, how == RESOLVE_WITHIN, ret);
    /* "$": RFC 9051 section 6.4.4.1; it is about the selected mailbox. */
    if (rc == 0 && set->saved && v == v->session->view)
        ranges_add_all(ret, &v->session->saved);
    return rc;
}

/* --- walking --- */

struct view_cursor {
    struct view_walk *walk;
    struct snap *snap;
    struct row_cursor *rows;
    struct row row; /* the live row at or after the walk's position */
    bool have_row, at_end;
    uint32_t seq; /* of the next message in this range; 0: to be worked out */
};

void view_walk_init(struct view_walk *w, struct view *v, const struct ranges *uids)
{
    *w = (struct view_walk){.view = v, .uids = uids};
}

int view_cursor_open(struct view_walk *w, struct snap *snap, struct view_cursor **ret)
{
    struct view_cursor *c = xnew(struct view_cursor);
    c->walk = w;
    c->snap = snap;
    int rc = row_cursor_open(snap, w->view->mailbox, &c->rows);
    if (rc)
        free(c);
    else
        *ret = c;
    return rc;
}

void view_cursor_close(struct view_cursor *c)
{
    if (!c)
        return;
    row_cursor_close(c->rows);
    free(c);
}

/* Brings c->row to the first live row with a UID >= uid. */
static int advance_row(struct view_cursor *c, uint32_t uid)
{
    if (c->at_end || (c->have_row && c->row.uid >= uid))
        return 0;
    int rc;
    if (c->have_row) { /* usually the very next one */
        rc = row_cursor_next(c->rows, &c->row);
        if (rc == 0 && c->row.uid < uid)
            rc = row_cursor_seek(c->rows, uid, &c->row);
    } else {
        rc = row_cursor_seek(c->rows, uid, &c->row);
    }
    if (rc == ERR_NOT_FOUND) {
        c->at_end = true;
        return 0;
    }
    c->have_row = rc == 0;
    return rc;
}

/* The first expunged message that is still shown, with a UID >= uid; 0 if none. */
static uint32_t next_expunged(const struct view *v, uint32_t uid)
{
    size_t i = ranges_lower(&v->expunged, uid);
    return i == v->expunged.n ? 0 : MAX(v->expunged.v[i].lo, uid);
}

static int fill(struct view_cursor *c, uint32_t uid, bool live, struct shown *ret)
{
    struct view *v = c->walk->view;
    int rc = 0;
    if (c->seq == 0)
        rc = view_seq_of(v, c->snap, uid, &c->seq);
    if (rc)
        return rc;
    ret->seq = c->seq++;
    ret->expunged = !live;
    if (live) {
        ret->row = c->row;
    } else if ((rc = snap_ghost(c->snap, v->mailbox, uid, &ret->row)) == ERR_NOT_FOUND) {
        ret->row = (struct row){.uid = uid};
        rc = 0;
    }
    ret->recent = v->recent.n && ranges_has(&v->recent, uid);
    return rc;
}

int view_cursor_next(struct view_cursor *c, struct shown *ret)
{
    struct view_walk *w = c->walk;
    struct view *v = w->view;
    while (w->range < w->uids->n && !v->gone) {
        const struct range *r = &w->uids->v[w->range];
        uint32_t pos = MAX(w->next_uid, r->lo);
        int rc = advance_row(c, pos);
        if (rc)
            return rc;
        uint32_t live = c->at_end ? 0 : c->row.uid, dead = next_expunged(v, pos);
        uint32_t uid = live && (!dead || live < dead) ? live : dead;
        if (uid == 0 || uid > r->hi || uid >= v->uidnext || pos > r->hi) {
            w->range++;
            c->seq = 0;
            continue;
        }
        w->next_uid = uid + 1;
        return fill(c, uid, uid == live, ret);
    }
    return ERR_NOT_FOUND;
}
