/* imap/announce.c: telling the client what changed (RFC 9051 sections 5.2 and 7.4, 7.5).
 *
 * One function serves every command's end and IDLE. It is resumable: whatever has been said leaves
 * the view's sets, so that it can stop when the output is full and be called again. The order is
 * EXPUNGE, EXISTS, RECENT, FLAGS, FETCH: numbers in what follows an EXPUNGE are the new ones. */
#include "imap/place.h"
#include "imap/quota.h"

enum { ANNOUNCE_CHUNK = 256 };

static void put_expunge(struct buf *b, uint32_t seq)
{
    buf_put_lit(b, "* ");
    buf_put_u64(b, seq);
    buf_put_lit(b, " EXPUNGE\r\n");
}

/* The mailbox was deleted: to the client all its messages are. */
static bool announce_gone(struct session *s)
{
    struct view *v = s->view;
    if (s->qresync || s->uidonly) { /* VANISHED needs UIDs, which went with the mailbox */
        session_bye(s, "The selected mailbox has been deleted");
        return true;
    }
    while (v->exists > 0) {
        if (session_full(s))
            return false;
        struct buf *b = respond_begin(s);
        for (int i = 0; i < ANNOUNCE_CHUNK && v->exists > 0; i++)
            put_expunge(b, v->exists--);
        respond_end(s);
    }
    ranges_reset(&v->expunged);
    ranges_reset(&v->changed);
    v->dirty = false;
    return true;
}

/* From the last message to the first, so that no number shifts one that is still to come. */
static int announce_expunges(struct session *s, struct snap *snap, bool *ret_more)
{
    struct view *v = s->view;
    uint64_t total = ranges_count(&v->expunged);
    int told = contexts_expunged(s, snap);
    if (told)
        return told;
    if ((s->qresync || s->uidonly) && total) {
        condstore_announce_vanished(s);
        return 0;
    }
    while (v->expunged.n) {
        if (session_full(s)) {
            *ret_more = true;
            return 0;
        }
        struct range r = v->expunged.v[v->expunged.n - 1];
        uint32_t live, first, chunk = MIN(r.hi - r.lo + 1, (uint32_t)ANNOUNCE_CHUNK);
        int rc = snap_count_upto(snap, v->mailbox, r.lo, &live);
        if (rc)
            return rc;
        first = live + (uint32_t)(total - (r.hi - r.lo + 1)) + 1;
        struct buf *b = respond_begin(s);
        for (uint32_t i = 0; i < chunk; i++)
            put_expunge(b, first + (r.hi - r.lo) - i);
        respond_end(s);
        ranges_remove(&v->expunged, r.hi - chunk + 1, r.hi);
        ranges_remove(&v->changed, r.hi - chunk + 1, r.hi);
        if (v->recent.n)
            ranges_remove(&v->recent, r.hi - chunk + 1, r.hi);
        v->exists -= chunk;
        total -= chunk;
    }
    watch_set_view(&v->watch, v->modseq);
    return 0;
}

int recent_count(struct session *s, struct snap *snap, uint32_t *ret)
{
    struct view *v = s->view;
    uint32_t n = 0;
    for (size_t i = 0; i < v->recent.n; i++) {
        uint32_t upto, before = 0;
        int rc = view_seq_of(v, snap, v->recent.v[i].hi, &upto);
        if (rc == 0 && v->recent.v[i].lo > 1)
            rc = view_seq_of(v, snap, v->recent.v[i].lo - 1, &before);
        if (rc)
            return rc;
        n += upto - before;
    }
    *ret = n;
    return 0;
}

/* New messages: EXISTS, and in a session of rev1 RECENT for those that nobody was shown before. */
static int announce_exists(struct session *s, struct snap *snap, const struct mailbox_info *info)
{
    struct view *v = s->view;
    if (info->uidnext == v->uidnext)
        return 0;
    if (notify_fetches(s)) {
        ranges_add(&v->to_push, v->uidnext, info->uidnext - 1);
        ranges_subtract(&v->to_push, &v->own);
    }
    ranges_done(&v->own);
    contexts_arrived(v, v->uidnext, info->uidnext - 1);
    uint32_t exists = info->exists + (uint32_t)ranges_count(&v->expunged);
    bool more = exists != v->exists;
    v->exists = exists;
    v->uidnext = info->uidnext;
    if (!more)
        return 0;
    respond_text(s, "* %u EXISTS", exists);
    uint32_t lo;
    if (s->rev2 || v->read_only || account_claim_recent(v->account, v->mailbox, v->uidnext, &lo) ||
        lo >= v->uidnext)
        return 0;
    ranges_add(&v->recent, lo, v->uidnext - 1);
    uint32_t recent;
    int rc = recent_count(s, snap, &recent);
    if (rc == 0)
        respond_text(s, "* %u RECENT", recent);
    return rc;
}

void announce_keywords(struct session *s, struct snap *snap, const struct mailbox_info *info)
{
    struct view *v = s->view;
    size_t n = info->keyword_ids.n / 2;
    struct buf *b = respond_begin(s);
    for (int permanent = 0; permanent < 2; permanent++) {
        buf_put_str(b, permanent ? "* OK [PERMANENTFLAGS (" : "* FLAGS (");
        if (!permanent || !v->read_only) {
            /* RFC 4314 section 5.1.1: those that this user may change. */
            uint32_t rights = permanent ? v->rights : RIGHTS_ALL;
            char text[64];
            char *end = format_flags(text, rights_flags(rights), false);
            buf_put(b, text, (size_t)(end - text));
            for (size_t i = 0; i < n && rights & RIGHT_WRITE; i++) {
                uint16_t id;
                struct span name;
                memcpy(&id, info->keyword_ids.p + 2 * i, 2);
                if (snap_keyword(snap, id, &name) == 0) {
                    buf_put_byte(b, ' ');
                    buf_put_span(b, name);
                }
            }
            if (permanent && rights & RIGHT_WRITE)
                buf_put_lit(b, " \\*");
        }
        buf_put_lit(b, ")");
        if (permanent) {
            buf_put_lit(b, "] ");
            buf_put_str(b, language_text(s->language, "Flags permitted"));
        }
        buf_put_lit(b, "\r\n");
    }
    respond_end(s);
    v->keywords_told = n;
}

static int announce_flags(struct session *s, struct snap *snap, bool *ret_more)
{
    struct view *v = s->view;
    while (v->changed.n) {
        if (session_full(s)) {
            *ret_more = true;
            return 0;
        }
        uint32_t from = v->changed.v[0].lo,
                 upto = MIN(v->changed.v[0].hi, from + ANNOUNCE_CHUNK - 1);
        struct ranges set = {&(struct range){from, upto}, 1, 1};
        struct view_walk walk;
        struct view_cursor *cursor;
        view_walk_init(&walk, s->view, &set);
        int rc = view_cursor_open(&walk, snap, &cursor);
        if (rc)
            return rc;
        struct buf *b = respond_begin(s);
        struct shown m;
        while ((rc = view_cursor_next(cursor, &m)) == 0) {
            if (m.expunged)
                continue;
            put_fetch_flags(s, b, snap, &m, true);
        }
        respond_end(s);
        view_cursor_close(cursor);
        if (rc != ERR_NOT_FOUND)
            return rc;
        ranges_remove(&v->changed, from, upto);
    }
    return 0;
}

static int announce_news(struct session *s, struct snap *snap, uint32_t events, bool with_expunge,
                         bool *ret_more)
{
    struct view *v = s->view;
    struct mailbox_info info;
    int rc = snap_mailbox(snap, v->mailbox, &info);
    if (rc == 0 && with_expunge)
        rc = announce_expunges(s, snap, ret_more);
    if (rc || *ret_more)
        return rc;
    if (events & NOTIFY_MESSAGE_NEW)
        rc = announce_exists(s, snap, &info);
    bool shows_flags = (events & NOTIFY_FLAG_CHANGE) || notify_fetches(s);
    if (rc == 0 && shows_flags && info.keyword_ids.n / 2 > v->keywords_told)
        announce_keywords(s, snap, &info);
    if (rc == 0 && (events & NOTIFY_FLAG_CHANGE))
        rc = announce_flags(s, snap, ret_more);
    if (rc == 0 && !*ret_more && v->changed.n == 0 && info.uidnext == v->uidnext)
        v->told_from = 0;
    if (rc == 0 && !*ret_more)
        quota_announce(s, snap, &info);
    return rc;
}

bool announce(struct session *s, enum announce what)
{
    struct view *v = s->view;
    uint32_t events = what == ANNOUNCE_ALL ? NOTIFY_MESSAGE_EVENTS : notify_selected(s);
    bool with_expunge = what >= ANNOUNCE_OWN_EXPUNGE ||
                        (what == ANNOUNCE_EXPUNGE && (events & NOTIFY_MESSAGE_EXPUNGE));
    if (!v || (!v->dirty && what != ANNOUNCE_ALL && (v->expunged.n == 0 || !with_expunge)))
        return true;
    struct snap *snap;
    bool more = false;
    int rc = view_begin(s, &snap);
    if (rc == 0) {
        if (v->gone) {
            snap_end(snap);
            return with_expunge ? announce_gone(s) : true;
        }
        v->dirty = false;
        rc = announce_news(s, snap, events, with_expunge, &more);
        snap_end(snap);
    }
    if (more)
        v->dirty = true;
    if (rc) {
        session_bye(s, "The mailbox cannot be read right now; please try again");
        return true;
    }
    return !more;
}
