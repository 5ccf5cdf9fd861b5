/* imap/cmd_change.c: EXPUNGE, STORE, COPY, MOVE (RFC 9051 sections 6.4.3, 6.4.6 to 6.4.8, 6.4.9).
 */
#include "imap/across.h"
#include "imap/commands.h"
#include "imap/place.h"

enum step task_request(struct task *t)
{
    t->submitted = true;
    task_submit(t);
    return STEP_WAIT;
}

bool task_view(struct task *t, struct snap **ret)
{
    int rc = view_begin(t->session, ret);
    if (rc)
        task_store_failed(t, rc, false);
    return rc == 0;
}

/* The command's set as UIDs into t->request.uids; false after ending the task. */
static bool resolve(struct task *t, const struct seqset *set)
{
    autosnap *snap = NULL;
    if (!task_view(t, &snap))
        return false;
    int rc = view_resolve(t->session->view, snap, set,
                          t->command->uid ? RESOLVE_UIDS : RESOLVE_NUMBERS, &t->request.uids);
    if (rc == ERR_INVALID)
        task_bad(t, "There is no message with that number");
    else if (rc)
        task_store_failed(t, rc, false);
    return rc == 0;
}

static bool writable(struct task *t)
{
    struct view *v = t->session->view;
    if (v->read_only)
        task_no(t, NULL, "The mailbox is open read-only (EXAMINE)");
    else if (v->gone)
        task_no(t, "NONEXISTENT", "The mailbox has been deleted");
    return !v->read_only && !v->gone;
}

/* To the selected mailbox (RFC 4314 section 4). */
static bool has_right(struct task *t, uint32_t rights)
{
    bool has = (t->session->view->rights & rights) == rights;
    if (!has)
        task_no_permission(t);
    return has;
}

enum step cmd_expunge(struct task *t)
{
    struct session *s = t->session;
    if (t->submitted) {
        int error = t->request.result.error;
        s->view->dirty = true;
        if (error)
            return task_store_failed(t, error, false);
        return t->request.result.uids.n ? task_ok_modseq(t, "EXPUNGE completed")
                                        : task_ok(t, NULL, "EXPUNGE completed");
    }
    if (!writable(t))
        return STEP_DONE;
    if (!has_right(t, RIGHT_EXPUNGE))
        return STEP_DONE;
    request_init(&t->request, REQUEST_EXPUNGE, NULL, NULL);
    task_set_target(t, s->view->account);
    t->request.mailbox = s->view->mailbox;
    if (t->command->uid) {
        if (!resolve(t, &t->command->expunge.set))
            return STEP_DONE;
        if (t->request.uids.n == 0)
            return task_ok(t, NULL, "EXPUNGE completed; no such messages");
    }
    return task_request(t);
}

/* --- REPLACE (RFC 8508): the message that goes; the rest is APPEND --- */

bool replace_begin(struct task *t)
{
    if (!writable(t) || !has_right(t, RIGHT_DELETE_MESSAGES | RIGHT_EXPUNGE) ||
        !resolve(t, &t->command->append.replaced))
        return false;
    t->request.mailbox = t->session->view->mailbox;
    if (t->request.uids.n == 0)
        task_no(t, "NONEXISTENT", "There is no message with that UID");
    return t->request.uids.n > 0;
}

/* --- STORE --- */

struct store_state {
    struct ranges asked;
    struct ranges pending_before; /* news that the client was owed when the request went out */
    struct view_walk walk;
    bool walking, told; /* the answers; what others have changed came before them */
};

static void store_cleanup(struct task *t)
{
    struct store_state *st = t->data;
    ranges_done(&st->asked);
    ranges_done(&st->pending_before);
}

/* RFC 4314 section 4: flags that this user may not change stay as they are; NO only if none of
 * those that were named may be. */
static bool store_allowed(struct task *t)
{
    struct request *r = &t->request;
    uint32_t rights = t->session->view->rights;
    uint16_t may = rights_flags(rights), asked = r->mode == STORE_REPLACE ? FLAG_ALL : r->flags;
    bool keywords = r->mode == STORE_REPLACE || r->keyword_count > 0;
    if (!(asked & may) && !(keywords && rights & RIGHT_WRITE) && (asked || keywords)) {
        task_no_permission(t);
        return false;
    }
    r->flags &= may;
    r->keep = FLAG_ALL & (uint16_t)~may;
    if (!(rights & RIGHT_WRITE)) {
        r->keyword_count = 0;
        r->keep_keywords = true;
    }
    return true;
}

static enum step store_begin(struct task *t)
{
    const struct cmd_store *a = &t->command->store;
    struct view *v = t->session->view;
    struct store_state *st = arena_new(&t->arena, struct store_state);
    if (!st)
        return task_no(t, "LIMIT", "The command needs too much memory");
    t->data = st;
    t->cleanup = store_cleanup;
    if (!writable(t))
        return STEP_DONE;
    request_init(&t->request, REQUEST_STORE, NULL, NULL);
    if (!resolve(t, &a->set))
        return STEP_DONE;
    ranges_copy(&st->asked, &t->request.uids);
    ranges_copy(&st->pending_before, &v->changed);
    task_set_target(t, v->account);
    t->request.mailbox = v->mailbox;
    t->request.mode = a->mode == STORE_FLAGS_ADD      ? STORE_ADD
                      : a->mode == STORE_FLAGS_REMOVE ? STORE_REMOVE
                                                      : STORE_REPLACE;
    t->request.flags = store_flags(a->flags.system);
    t->request.keywords = a->flags.keywords;
    t->request.keyword_count = a->flags.n_keywords;
    t->request.view_modseq = v->modseq;
    t->request.unchanged_since = a->unchanged_since;
    if (!store_allowed(t))
        return STEP_DONE;
    if (a->conditional)
        condstore_enable(t->session);
    if (st->asked.n == 0)
        return task_ok(t, NULL, "STORE completed; no such messages");
    return task_request(t);
}

/* The client knows its own change: it is no news, unless someone else changed the same message
 * before or after. */
static int forget_own(struct task *t, struct snap *snap)
{
    struct store_state *st = t->data;
    struct view *v = t->session->view;
    const struct request_result *r = &t->request.result;
    struct mailbox_info info;
    int rc = snap_mailbox(snap, v->mailbox, &info);
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    autoranges own = RANGES_INIT;
    ranges_copy(&own, &r->uids);
    ranges_subtract(&own, &r->raced);
    ranges_subtract(&own, &st->pending_before);
    if (info.highest_modseq == r->modseq) {
        ranges_subtract(&v->changed, &own);
        return 0;
    }
    struct row_cursor *c;
    struct row row;
    rc = row_cursor_open(snap, v->mailbox, &c);
    for (size_t i = 0; rc == 0 && i < own.n; i++)
        for (rc = row_cursor_seek(c, own.v[i].lo, &row); rc == 0 && row.uid <= own.v[i].hi;
             rc = row_cursor_next(c, &row))
            if (row.modseq == r->modseq)
                ranges_remove(&v->changed, row.uid, row.uid);
    row_cursor_close(c);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static enum step store_end(struct task *t, struct snap *snap)
{
    const struct request_result *r = &t->request.result;
    if (r->modified.n) {
        autobuf code = BUF_INIT(BUF_UNLIMITED);
        int rc = condstore_put_modified(t, snap, &code);
        if (rc)
            return task_store_failed(t, rc, false);
        return r->missing.n ? task_no(t, code.p, "Some of the messages have been expunged")
                            : task_ok(t, code.p, "Some of the messages have changed meanwhile");
    }
    if (r->missing.n)
        return task_ok(t, "EXPUNGEISSUED", "Some of the messages have been expunged");
    return task_ok(t, NULL, "STORE completed");
}

/* What a STORE answers for one message: its flags; of a silent one only the mod-sequence, which a
 * CONDSTORE-aware client needs (RFC 7162 section 3.1.3), and the flags where the condition failed.
 */
static void store_answer_row(struct task *t, struct buf *b, struct snap *snap,
                             const struct shown *m)
{
    struct session *s = t->session;
    const struct request_result *r = &t->request.result;
    bool modified = r->modified.n && ranges_has(&r->modified, m->row.uid);
    if (!t->command->store.silent || modified) {
        put_fetch_flags(s, b, snap, m, t->command->uid);
        if (s->view->changed.n)
            ranges_remove(&s->view->changed, m->row.uid, m->row.uid);
    } else if (t->command->store.conditional || ranges_has(&r->uids, m->row.uid)) {
        put_fetch_modseq(s, b, m);
    }
}

/* The untagged FETCH answers. */
static enum step store_answer(struct task *t, struct snap *snap)
{
    struct store_state *st = t->data;
    struct session *s = t->session;
    struct view_cursor *c;
    struct shown m;
    int rc = view_cursor_open(&st->walk, snap, &c), rows = 0;
    if (rc)
        return task_store_failed(t, rc, false);
    struct buf *b = respond_begin(s);
    while ((rc = view_cursor_next(c, &m)) == 0) {
        if (!m.expunged)
            store_answer_row(t, b, snap, &m);
        if (++rows == SLICE_ROWS)
            break;
    }
    respond_end(s);
    view_cursor_close(c);
    if (rc == 0)
        return STEP_AGAIN;
    return rc == ERR_NOT_FOUND ? store_end(t, snap) : task_store_failed(t, rc, false);
}

enum step cmd_store(struct task *t)
{
    struct store_state *st = t->data;
    if (!t->submitted)
        return store_begin(t);
    if (t->request.result.error)
        return task_store_failed(t, t->request.result.error, false);
    autosnap *snap = NULL;
    if (!task_view(t, &snap))
        return STEP_DONE;
    if (!st->walking) {
        int rc = forget_own(t, snap);
        if (rc)
            return task_store_failed(t, rc, false);
        /* A range of numbers has gaps in its UIDs: gone is only what the client still shows. */
        ranges_intersect(&t->request.result.missing, &t->session->view->expunged);
        if (t->command->store.silent && !t->session->condstore)
            return store_end(t, snap);
        st->walking = true;
        view_walk_init(&st->walk, t->session->view, &st->asked);
        struct mailbox_info info; /* a new keyword is made known before it is used */
        if (snap_mailbox(snap, t->session->view->mailbox, &info) == 0 &&
            info.keyword_ids.n / 2 > t->session->view->keywords_told)
            announce_keywords(t->session, snap, &info);
    }
    /* The changes of others have lower mod-sequences: a client that loses the connection in between
     * must not have seen ours only. */
    if (t->session->condstore && !st->told && !announce(t->session, false))
        return STEP_AGAIN;
    st->told = true;
    return store_answer(t, snap);
}

/* --- COPY and MOVE --- */

static void put_copyuid(struct task *t, struct buf *b)
{
    const struct request_result *r = &t->request.result;
    buf_put_lit(b, "COPYUID ");
    buf_put_u64(b, r->uidvalidity);
    buf_put_byte(b, ' ');
    ranges_put_text(b, &r->uids);
    buf_put_byte(b, ' ');
    buf_put_u64(b, r->first_uid);
    if (r->count > 1) {
        buf_put_byte(b, ':');
        buf_put_u64(b, (uint64_t)r->first_uid + r->count - 1);
    }
}

/* RFC 4314 section 4: i at the target. */
static bool copy_allowed(struct task *t, const struct place *to)
{
    autosnap *snap = NULL;
    struct mailbox_info info;
    int rc = to->own ? 0 : snap_begin(to->account, &snap);
    if (rc == 0 && !to->own)
        rc = place_mailbox(t->session, snap, to, RIGHT_INSERT, &info, NULL);
    if (rc == ERR_DENIED)
        task_no_permission(t);
    else if (rc)
        task_store_failed(t, rc, true);
    return rc == 0;
}

/* Nothing across accounts is one change. */
static enum step copy_across(struct task *t, enum request_kind kind, const struct place *to)
{
    struct mailbox_info info;
    uint32_t rights = RIGHTS_ALL;
    struct snap *snap;
    int rc = snap_begin(to->account, &snap);
    if (rc == 0) {
        rc = place_mailbox(t->session, snap, to, RIGHT_INSERT, &info, &rights);
        snap_end(snap);
    }
    if (rc)
        return rc == ERR_DENIED ? task_no_permission(t) : task_store_failed(t, rc, true);
    request_init(&t->request, kind, NULL, NULL);
    if (!resolve(t, &t->command->copy.set))
        return STEP_DONE;
    if (t->session->view->gone)
        return task_no(t, "NONEXISTENT", "The mailbox has been deleted");
    if (t->request.uids.n == 0)
        return task_ok(t, NULL, "No such messages");
    return across_begin(t,
                        &(struct across_target){.account = to->account,
                                                .user = to->user,
                                                .name = to->name,
                                                .flags = rights_flags(rights),
                                                .keywords = rights & RIGHT_WRITE},
                        kind == REQUEST_MOVE);
}

static enum step copy_begin(struct task *t, enum request_kind kind)
{
    struct place to;
    enum step step;
    struct view *v = t->session->view;
    if (!task_place(t, t->command->copy.name, true, &to, &step))
        return step;
    if (to.account != v->account)
        return copy_across(t, kind, &to);
    if (!copy_allowed(t, &to))
        return STEP_DONE;
    request_init(&t->request, kind, NULL, NULL);
    task_set_target(t, to.account);
    t->request.name = to.name;
    if (!resolve(t, &t->command->copy.set))
        return STEP_DONE;
    if (v->gone)
        return task_no(t, "NONEXISTENT", "The mailbox has been deleted");
    t->request.mailbox = v->mailbox;
    if (t->request.uids.n == 0)
        return task_ok(t, NULL, "No such messages");
    return task_request(t);
}

enum step cmd_copy(struct task *t)
{
    if (across_under_way(t))
        return across_step(t);
    if (!t->submitted)
        return copy_begin(t, REQUEST_COPY);
    if (t->request.result.error)
        return task_store_failed(t, t->request.result.error, true);
    if (t->request.result.count == 0)
        return t->request.result.missing.n && !t->command->uid
                   ? task_no(t, "EXPUNGEISSUED", "The messages have been expunged")
                   : task_ok(t, NULL, "No such messages");
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    put_copyuid(t, &code);
    return task_ok(t, code.p, "COPY completed");
}

enum step cmd_move(struct task *t)
{
    struct session *s = t->session;
    if (across_under_way(t))
        return across_step(t);
    if (!t->submitted)
        return writable(t) && has_right(t, RIGHT_DELETE_MESSAGES | RIGHT_EXPUNGE)
                   ? copy_begin(t, REQUEST_MOVE)
                   : STEP_DONE;
    if (t->request.result.error)
        return task_store_failed(t, t->request.result.error, true);
    s->view->dirty = true;
    if (t->request.result.count == 0)
        return task_ok(t, NULL, "No such messages");
    /* RFC 9051 section 6.4.8: COPYUID comes before the EXPUNGE responses. */
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* OK [");
    put_copyuid(t, b);
    buf_put_lit(b, "] ");
    buf_put_str(b, language_text(s->language, "Messages moved"));
    buf_put_lit(b, "\r\n");
    respond_end(s);
    return task_ok_modseq(t, "MOVE completed");
}
