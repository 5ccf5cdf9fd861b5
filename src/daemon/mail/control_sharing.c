/* Groups, and the access control lists of mailboxes. */
#include "daemon/mail/control.h"
#include "store/names.h"
#include "store/rights.h"
#include "store/snapshot.h"

struct work {
    struct control_call *call;
    struct buf user, name, identifier, row;
    struct request request;
};

static void release(struct control_call *call)
{
    struct work *w = call->state;
    buf_done(&w->user);
    buf_done(&w->name);
    buf_done(&w->identifier);
    buf_done(&w->row);
    request_result_done(&w->request);
    free(w);
}

static void on_changed(struct request *r)
{
    int error = r->result.error;
    control_end(((struct work *)r->arg)->call, error,
                error == ERR_NOT_FOUND ? "there is no such mailbox"
                : error == ERR_LIMIT   ? "the list is as long as one may be"
                                       : NULL);
}

static struct work *work_new(struct control_call *call)
{
    struct work *w = xnew(struct work);
    w->call = call;
    buf_init(&w->user, BUF_UNLIMITED);
    buf_init(&w->name, BUF_UNLIMITED);
    buf_init(&w->identifier, BUF_UNLIMITED);
    buf_init(&w->row, 4096);
    request_init(&w->request, REQUEST_ACL, on_changed, w);
    call->state = w;
    call->release = release;
    return w;
}

static struct span next(struct span *args)
{
    struct span given = SPAN_EMPTY;
    control_args_next(args, &given);
    return given;
}

/* --- groups --- */

static void show_member(void *ctx, struct span group, struct span user)
{
    struct work *w = ctx;
    if (w->name.n && !span_eq(group, buf_span(&w->name)))
        return;
    buf_reset(&w->row);
    control_put(&w->row, "group", group);
    control_put(&w->row, "user", user);
    control_text(w->call, buf_span(&w->row));
}

void control_groups(struct control_call *call, struct span args)
{
    struct work *w = work_new(call);
    buf_put_span(&w->name, next(&args));
    if (call->mail->daemon->index != 0)
        control_end(call, ERR_INVALID, "ask process 0");
    else
        control_end(call, site_members_each(call->mail->store, show_member, w), NULL);
}

static void on_member(void *arg, int error, const struct account_id *id)
{
    struct control_call *call = arg;
    (void)id;
    control_end(call, error, error == ERR_NOT_FOUND ? "does not belong to that group" : NULL);
}

void control_group_set(struct control_call *call, struct span args)
{
    struct span group = next(&args), user = next(&args), present = next(&args);
    autobuf identifier = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&identifier, "group:");
    buf_put_span(&identifier, group);
    if (call->mail->daemon->index != 0)
        control_end(call, ERR_INVALID, "ask process 0");
    else if (!group.n || !identifier_good(buf_span(&identifier)))
        control_end(call, ERR_INVALID, "a group cannot have that name");
    else
        site_set_member(call->mail->store, group, user, span_eq(present, SPAN("yes")), on_member,
                        call);
}

/* --- lists --- */

static void put_entry(struct work *w, struct span identifier, uint32_t rights)
{
    autobuf letters = BUF_INIT(64);
    rights_put(&letters, rights);
    buf_reset(&w->row);
    control_put(&w->row, "identifier", identifier);
    control_put(&w->row, "rights", buf_span(&letters));
    control_text(w->call, buf_span(&w->row));
}

static void opened_for_list(struct control_call *call)
{
    struct work *w = call->state;
    struct acl_entry e = {SPAN_EMPTY, 0};
    struct mailbox_info info;
    autosnap *snap = NULL;
    int rc = snap_begin(call->account, &snap);
    if (rc == 0)
        rc = snap_mailbox_find(snap, buf_span(&w->name), &info);
    if (rc) {
        control_end(call, rc, rc == ERR_NOT_FOUND ? "there is no such mailbox" : NULL);
        return;
    }
    put_entry(w, buf_span(&w->user), RIGHTS_ALL);
    while ((rc = snap_acl(snap, info.id, e.identifier, &e)) == 0)
        put_entry(w, e.identifier, e.rights);
    control_end(call, rc == ERR_NOT_FOUND ? 0 : rc, NULL);
}

static bool take_mailbox(struct work *w, struct span *args)
{
    buf_put_span(&w->user, next(args));
    int error = mailbox_name_normalise(&w->name, next(args));
    if (error)
        control_end(w->call, error, "a mailbox cannot have that name");
    return error == 0;
}

void control_acl(struct control_call *call, struct span args)
{
    struct work *w = work_new(call);
    if (take_mailbox(w, &args))
        control_with_account(call, buf_span(&w->user), opened_for_list);
}

static void opened_for_change(struct control_call *call)
{
    struct work *w = call->state;
    w->request.name = buf_span(&w->name);
    w->request.identifier = buf_span(&w->identifier);
    account_submit(call->account, &w->request);
}

static void granted(void *arg, int error)
{
    struct work *w = arg;
    if (error)
        control_end(w->call, error, "the process of the site's log is not there now");
    else
        control_with_account(w->call, buf_span(&w->user), opened_for_change);
}

void control_acl_set(struct control_call *call, struct span args)
{
    struct work *w = work_new(call);
    if (!take_mailbox(w, &args))
        return;
    buf_put_span(&w->identifier, next(&args));
    struct span who = buf_span(&w->identifier), rights = next(&args);
    bool plus = span_starts(rights, SPAN("+")), minus = span_starts(rights, SPAN("-"));
    w->request.mode = plus ? STORE_ADD : minus ? STORE_REMOVE : STORE_REPLACE;
    if (!identifier_good(who))
        control_end(call, ERR_INVALID, "that is no identifier");
    else if (span_eq(who, buf_span(&w->user)))
        control_end(call, ERR_DENIED, "the owner has all rights");
    else if (!rights_parse(span_skip(rights, plus || minus), &w->request.rights))
        control_end(call, ERR_INVALID, "rights are letters of lrswipkxtea");
    else if (minus || !w->request.rights || who.p[0] == '-')
        control_with_account(call, buf_span(&w->user), opened_for_change);
    else
        mail_grant(call->mail, buf_span(&w->user), who, granted, w);
}
