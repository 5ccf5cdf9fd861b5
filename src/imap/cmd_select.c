/* imap/cmd_select.c: SELECT, EXAMINE, CLOSE, UNSELECT (RFC 9051
 * sections 6.3.2, 6.3.3, 6.4.1, 6.4.2; with CONDSTORE and QRESYNC: RFC 7162 sections 3.1.8, 3.2.5).
 */
#include "imap/commands.h"
#include "imap/list.h"
#include "imap/place.h"
#include "imap/quota.h"

enum { UNSEEN_SCAN = 1024 };

static void view_changed(struct watch *w)
{
    struct view *v = container_of(w, struct view, watch);
    v->dirty = true;
    if (v->idle)
        task_wake(v->idle);
    if (v->session->notify || !list_empty(&v->contexts))
        session_schedule(v->session);
}

void view_close(struct session *s)
{
    struct view *v = s->view;
    if (!v)
        return;
    watch_remove(&v->watch);
    contexts_free(v);
    notify_view_closed(v);
    ranges_done(&v->expunged);
    ranges_done(&v->changed);
    ranges_done(&v->recent);
    free(v->name);
    account_unref(v->account);
    free(v);
    s->view = NULL;
    places_settle(s);
    ranges_done(&s->saved);
}

/* The UNSEEN code is optional and costs a search: it is left out where the first messages do not
 * show it (RFC 3501 section 7.1), so that SELECT costs the same in every mailbox. */
static int put_first_unseen(struct session *s, struct snap *snap, const struct mailbox_info *info)
{
    if (s->rev2 || s->uidonly || (info->unseen == 0 && s->view->account == s->account))
        return 0;
    struct row_cursor *c;
    struct row row;
    int rc = row_cursor_open(snap, info->id, &c);
    if (rc)
        return rc;
    rc = row_cursor_seek(c, 1, &row);
    for (uint32_t seq = 1; rc == 0 && seq <= UNSEEN_SCAN; seq++) {
        if (!(row.flags & FLAG_SEEN)) {
            respond_text(s, "* OK [UNSEEN %u] First unseen message", seq);
            break;
        }
        rc = row_cursor_next(c, &row);
    }
    row_cursor_close(c);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* RFC 3501 section 2.3.2: the first session that is told of a message sees it as recent. EXAMINE
 * looks without taking (section 6.3.2). */
static int take_recent(struct session *s, struct snap *snap, const struct mailbox_info *info)
{
    struct view *v = s->view;
    uint32_t lo = info->recent_uid + 1, n = 0;
    if (s->rev2)
        return 0;
    int rc = v->read_only ? 0 : account_claim_recent(v->account, v->mailbox, v->uidnext, &lo);
    if (rc == 0 && lo < v->uidnext) {
        ranges_add(&v->recent, lo, v->uidnext - 1);
        rc = recent_count(s, snap, &n);
    }
    respond_text(s, "* %u RECENT", n);
    return rc;
}

static int open_view(struct session *s, struct snap *snap, const struct place *place,
                     const struct mailbox_info *info, uint32_t rights, bool read_only)
{
    struct view *v = s->view = xnew(struct view);
    v->session = s;
    list_init(&v->contexts);
    list_init(&v->pushes);
    v->account = account_ref(place->account);
    v->rights = rights;
    v->mailbox = info->id;
    v->name = span_dup(info->name);
    v->uidvalidity = info->uidvalidity;
    v->read_only = read_only;
    v->modseq = info->highest_modseq;
    v->exists = info->exists;
    v->uidnext = info->uidnext;
    watch_add(&v->watch, v->account, v->mailbox, v->modseq, view_changed);

    announce_keywords(s, snap, info);
    respond_text(s, "* %u EXISTS", v->exists);
    int rc = take_recent(s, snap, info);
    if (rc == 0)
        rc = put_first_unseen(s, snap, info);
    respond_text(s, "* OK [UIDVALIDITY %u] UIDs are valid", v->uidvalidity);
    respond_text(s, "* OK [UIDNEXT %u] Predicted next UID", v->uidnext);
    respond_text(s, "* OK [URLMECH INTERNAL] URLs can be signed"); /* RFC 4467 section 6 */
    condstore_put_highest(s);
    struct buf *id = respond_begin(s);
    buf_put_lit(id, "* OK [");
    put_mailbox_id(id, info);
    buf_put_lit(id, "] ");
    buf_put_str(id, language_text(s->language, "Mailbox identifier"));
    buf_put_lit(id, "\r\n");
    respond_end(s);
    if (s->rev2 && rc == 0) { /* RFC 9051 section 6.3.2 */
        struct buf *b = respond_begin(s);
        rc = put_list_line(s, snap, b, place->prefix, info->name);
        respond_end(s);
    }
    quota_announce(s, snap, info);
    return rc;
}

static enum step select_end(struct task *t)
{
    bool read_only = t->session->view->read_only;
    return task_ok(t, read_only ? "READ-ONLY" : "READ-WRITE",
                   t->command->id == CMD_EXAMINE ? "EXAMINE completed" : "SELECT completed");
}

static enum step select_mailbox(struct task *t, bool read_only)
{
    struct session *s = t->session;
    const struct cmd_select *a = &t->command->select;
    if (a->qresync && !s->qresync) /* RFC 7162 section 3.2.5 */
        return task_bad(t, "QRESYNC must be enabled first");
    struct place place;
    enum step step;
    if (s->view) {
        view_close(s);
        if (s->rev2 || s->qresync) /* RFC 9051 section 7.1, CLOSED; RFC 7162 section 3.2.11 */
            respond_text(s, "* OK [CLOSED] Previous mailbox closed");
    }
    if (!task_place(t, a->name, false, &place, &step))
        return step;
    s->condstore |= a->condstore || a->qresync; /* HIGHESTMODSEQ comes anyway */
    autosnap *snap = NULL;
    struct mailbox_info info;
    uint32_t rights = 0;
    int rc = snap_begin_as(place.account, session_eyes(s, place.account), &snap);
    if (rc == 0)
        rc = place_mailbox(s, snap, &place, RIGHT_READ, &info, &rights);
    if (rc == 0) /* RFC 4314 section 5.2: nothing can be changed there */
        rc = open_view(s, snap, &place, &info, rights, read_only || !(rights & RIGHTS_CHANGE));
    if (rc == 0 && a->qresync)
        rc = qresync_begin(t, snap);
    if (rc) {
        view_close(s);
        return rc == ERR_DENIED ? task_no_permission(t) : task_store_failed(t, rc, false);
    }
    return a->qresync ? STEP_AGAIN : select_end(t);
}

/* Goes on with the FETCH answers of QRESYNC. */
static enum step select_rows(struct task *t)
{
    autosnap *snap = NULL;
    if (!task_view(t, &snap))
        return STEP_DONE;
    int rc = qresync_rows(t, snap);
    if (rc == 0)
        return STEP_AGAIN;
    return rc == ERR_NOT_FOUND ? select_end(t) : task_store_failed(t, rc, false);
}

enum step cmd_select(struct task *t)
{
    return t->data ? select_rows(t) : select_mailbox(t, false);
}

enum step cmd_examine(struct task *t)
{
    return t->data ? select_rows(t) : select_mailbox(t, true);
}

enum step cmd_unselect(struct task *t)
{
    view_close(t->session);
    return task_ok(t, NULL, "UNSELECT completed");
}

enum step cmd_close(struct task *t)
{
    struct view *v = t->session->view;
    if (!t->submitted && !v->read_only && !v->gone) {
        request_init(&t->request, REQUEST_EXPUNGE, NULL, NULL);
        t->request.mailbox = v->mailbox;
        task_set_target(t, v->account);
        return task_request(t);
    }
    if (t->submitted && t->request.result.error && t->request.result.error != ERR_NOT_FOUND)
        return task_store_failed(t, t->request.result.error, false);
    view_close(t->session);
    return task_ok(t, NULL, "CLOSE completed");
}
