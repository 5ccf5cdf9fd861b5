/* imap/cmd_mailbox.c: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 sections 6.3.4 to
 * 6.3.8, RFC 6154). */
#include "imap/commands.h"
#include "imap/place.h"
#include "store/names.h"
#include "wire/mutf7.h"

int session_mailbox_name(struct session *s, struct span given, struct buf *ret)
{
    autobuf utf8 = BUF_INIT(4 * MAILBOX_NAME_MAX);
    /* RFC 3501 section 5.1.3; a client of rev1 that sends UTF-8 all the same is understood. */
    if (session_utf8(s) || !span_is_ascii(given))
        buf_put_span(&utf8, given);
    else if (mutf7_decode(given, &utf8) != 0)
        return ERR_INVALID;
    return buf_ok(&utf8) ? mailbox_name_normalise(ret, buf_span(&utf8)) : ERR_LIMIT;
}

bool task_mailbox_name(struct task *t, struct span given, struct span *ret)
{
    autobuf name = BUF_INIT(4 * MAILBOX_NAME_MAX);
    int rc = session_mailbox_name(t->session, given, &name);
    if (rc == ERR_LIMIT)
        task_no(t, "LIMIT", "The mailbox name is too long");
    else if (rc)
        task_no(t, "CANNOT", "That cannot be the name of a mailbox");
    else
        *ret = arena_copy(&t->arena, buf_span(&name));
    return rc == 0;
}

static enum step name_done(struct task *t, const char *text)
{
    int error = t->request.result.error;
    return error ? task_store_failed(t, error, false) : task_ok(t, NULL, text);
}

_Static_assert((int)WIRE_USE_ALL == (int)USE_ALL && (int)WIRE_USE_ARCHIVE == (int)USE_ARCHIVE &&
                   (int)WIRE_USE_DRAFTS == (int)USE_DRAFTS &&
                   (int)WIRE_USE_FLAGGED == (int)USE_FLAGGED &&
                   (int)WIRE_USE_JUNK == (int)USE_JUNK && (int)WIRE_USE_SENT == (int)USE_SENT &&
                   (int)WIRE_USE_TRASH == (int)USE_TRASH &&
                   (int)WIRE_USE_IMPORTANT == (int)USE_IMPORTANT,
               "special uses have the same bits on the wire and in the store");

/* RFC 8474 section 4.1. The mailbox may be gone again: then there is nothing to tell. */
static enum step create_done(struct task *t)
{
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    autosnap *snap = NULL;
    struct mailbox_info info;
    if (t->request.result.error)
        return task_store_failed(t, t->request.result.error, false);
    if (snap_begin(t->target, &snap) == 0 &&
        snap_mailbox(snap, t->request.result.mailbox, &info) == 0)
        put_mailbox_id(&code, &info);
    return task_ok(t, code.p, "CREATE completed");
}

/* What CREATE, DELETE and RENAME need of another one's account. False: return *ret_step. */
static bool place_for_change(struct task *t, struct span given, uint32_t needs, struct place *ret,
                             enum step *ret_step)
{
    autosnap *snap = NULL;
    struct mailbox_info info;
    if (!task_place(t, given, false, ret, ret_step))
        return false;
    if (ret->own)
        return true;
    int rc = snap_begin(ret->account, &snap);
    if (rc == 0)
        rc = needs ? place_mailbox(t->session, snap, ret, needs, &info, NULL)
                   : place_may_create(t->session, snap, ret);
    *ret_step = rc == ERR_DENIED ? task_no_permission(t)
                : rc             ? task_store_failed(t, rc, false)
                                 : STEP_DONE;
    return rc == 0;
}

enum step cmd_create(struct task *t)
{
    struct place place;
    enum step step;
    if (t->submitted)
        return create_done(t);
    const struct cmd_create *a = &t->command->create;
    if (a->unknown_use.n) /* RFC 6154 section 3 */
        return task_no(t, "USEATTR", "That special use is not known here");
    if (!place_for_change(t, a->name, 0, &place, &step))
        return step;
    if (a->use && !place.own)
        return task_no(t, "USEATTR", "Special uses are for mailboxes of one's own");
    request_init(&t->request, REQUEST_CREATE, NULL, NULL);
    task_set_target(t, place.account);
    t->request.name = place.name;
    t->request.special_use = a->use; /* the same bits: see the assertions below */
    return task_request(t);
}

enum step cmd_delete(struct task *t)
{
    struct place place;
    enum step step;
    if (t->submitted)
        return name_done(t, "DELETE completed");
    if (!place_for_change(t, t->command->mailbox.name, RIGHT_DELETE_MAILBOX, &place, &step))
        return step;
    request_init(&t->request, REQUEST_DELETE, NULL, NULL);
    task_set_target(t, place.account);
    t->request.name = place.name;
    return task_request(t);
}

enum step cmd_rename(struct task *t)
{
    struct place from, to;
    enum step step;
    if (t->submitted)
        return name_done(t, "RENAME completed");
    if (!place_for_change(t, t->command->rename.from, RIGHT_DELETE_MAILBOX, &from, &step) ||
        !place_for_change(t, t->command->rename.to, 0, &to, &step))
        return step;
    if (from.account != to.account) /* nothing across accounts is one change */
        return task_no(t, "CANNOT", "A mailbox cannot be moved to another account");
    request_init(&t->request, REQUEST_RENAME, NULL, NULL);
    task_set_target(t, from.account);
    t->request.name = from.name;
    t->request.new_name = to.name;
    return task_request(t);
}

/* Names of others' mailboxes are kept in the own account, as they are. */
static enum step subscribe(struct task *t, enum request_kind kind)
{
    request_init(&t->request, kind, NULL, NULL);
    if (!task_mailbox_name(t, t->command->mailbox.name, &t->request.name))
        return STEP_DONE;
    return task_request(t);
}

enum step cmd_subscribe(struct task *t)
{
    if (t->submitted)
        return name_done(t, "SUBSCRIBE completed");
    return subscribe(t, REQUEST_SUBSCRIBE);
}

enum step cmd_unsubscribe(struct task *t)
{
    if (t->submitted)
        return name_done(t, "UNSUBSCRIBE completed");
    return subscribe(t, REQUEST_UNSUBSCRIBE);
}
