/* Mailboxes of an account: shown from a snapshot, changed through the account's writer like any
 * session's change, so that sessions are told. */
#include "daemon/mail/control.h"
#include "store/names.h"

enum { SLICE_NAMES = 200 };

struct work {
    struct control_call *call;
    struct buf user;
    struct buf name, new_name; /* normalised; empty: all / none */
    struct buf at;             /* the walk goes on after it */
    bool begun;
    size_t found;
    bool sum; /* only the totals of the account */
    uint64_t mailboxes, messages, unseen, bytes;
    struct loop_task slice;
    struct request request;
};

static void release(struct control_call *call)
{
    struct work *w = call->state;
    loop_task_cancel(&w->slice);
    buf_done(&w->user);
    buf_done(&w->name);
    buf_done(&w->new_name);
    buf_done(&w->at);
    request_result_done(&w->request);
    free(w);
}

/* --- list and stat --- */

static void put_special_use(struct buf *row, uint32_t uses)
{
    static const char *const names[] = {"\\All",  "\\Archive", "\\Drafts", "\\Flagged",
                                        "\\Junk", "\\Sent",    "\\Trash",  "\\Important"};
    autobuf text = BUF_INIT(256);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (uses & 1u << i)
            buf_printf(&text, "%s%s", text.n ? " " : "", names[i]);
    control_put(row, "special_use", buf_span(&text));
}

static void show(struct work *w, const struct mailbox_name *n, const struct mailbox_info *i)
{
    autobuf row = BUF_INIT(MESSAGE_MAX / 2), id = BUF_INIT(64);
    control_put(&row, "mailbox", n->name);
    control_put_flag(&row, "exists", n->id != 0);
    control_put_flag(&row, "subscribed", n->subscribed);
    if (n->id) {
        buf_put_hex(&id, i->object_id, sizeof(i->object_id));
        control_put(&row, "id", buf_span(&id));
        control_put_number(&row, "messages", i->exists);
        control_put_number(&row, "unseen", i->unseen);
        control_put_number(&row, "deleted", i->deleted);
        control_put_number(&row, "size", i->bytes);
        control_put_number(&row, "uidvalidity", i->uidvalidity);
        control_put_number(&row, "uidnext", i->uidnext);
        control_put_number(&row, "highestmodseq", i->highest_modseq);
        put_special_use(&row, i->special_use);
    }
    control_text(w->call, buf_span(&row));
    w->found++;
}

static void note(struct work *w, const struct mailbox_name *n, const struct mailbox_info *i)
{
    if (!w->sum) {
        show(w, n, i);
        return;
    }
    w->mailboxes += n->id != 0;
    w->messages += i->exists;
    w->unseen += i->unseen;
    w->bytes += i->bytes;
}

static int show_totals(struct work *w)
{
    autobuf row = BUF_INIT(4096), id = BUF_INIT(64);
    uint64_t log, index;
    int rc = account_usage(w->call->account, &log, &index);
    if (rc)
        return rc;
    buf_put_hex(&id, account_get_id(w->call->account)->b, ACCOUNT_ID_LEN);
    control_put(&row, "account", buf_span(&w->user));
    control_put(&row, "id", buf_span(&id));
    control_put_number(&row, "mailboxes", w->mailboxes);
    control_put_number(&row, "messages", w->messages);
    control_put_number(&row, "unseen", w->unseen);
    control_put_number(&row, "size", w->bytes);
    control_put_number(&row, "log_bytes", log);
    control_put_number(&row, "index_bytes", index);
    control_text(w->call, buf_span(&row));
    return 0;
}

static int show_slice(struct work *w)
{
    autosnap *snap = NULL;
    int rc = snap_begin(w->call->account, &snap);
    for (int k = 0; rc == 0 && k < SLICE_NAMES; k++) {
        struct mailbox_name n;
        struct mailbox_info info = {0};
        rc = snap_name_seek(snap, buf_span(&w->at), w->begun, &n);
        if (rc == 0 && n.id)
            rc = snap_mailbox(snap, n.id, &info);
        if (rc)
            break;
        if (w->name.n == 0 || span_eq(n.name, buf_span(&w->name)))
            note(w, &n, &info);
        else
            return ERR_NOT_FOUND;
        w->begun = true;
        buf_reset(&w->at);
        buf_put_span(&w->at, n.name);
        if (w->name.n)
            return ERR_NOT_FOUND; /* there is no more than this one */
    }
    return rc;
}

static void on_slice(struct loop_task *t)
{
    struct work *w = container_of(t, struct work, slice);
    int rc = w->call->control ? show_slice(w) : ERR_CLOSED;
    if (rc == 0)
        loop_slice(w->call->mail->daemon->loop, &w->slice);
    else if (rc != ERR_NOT_FOUND)
        control_end(w->call, rc, NULL);
    else if (w->name.n && !w->found)
        control_end(w->call, ERR_NOT_FOUND, "there is no such mailbox");
    else
        control_end(w->call, w->sum ? show_totals(w) : 0, NULL);
}

static void on_opened_for_list(struct control_call *call)
{
    struct work *w = call->state;
    on_slice(&w->slice);
}

/* --- create, delete, rename --- */

static const char *reason(int error)
{
    switch (error) {
    case ERR_NOT_FOUND:
        return "there is no such mailbox";
    case ERR_EXISTS:
        return "a mailbox of that name exists already";
    case ERR_DENIED:
        return "INBOX cannot be deleted";
    case ERR_INVALID:
        return "a mailbox cannot have that name, or not be moved there";
    case ERR_NO_SPACE:
        return "the disk is full";
    default:
        return NULL;
    }
}

static void on_changed(struct request *r)
{
    control_end(((struct work *)r->arg)->call, r->result.error, reason(r->result.error));
}

static void on_opened_for_change(struct control_call *call)
{
    struct work *w = call->state;
    enum request_kind kind = strcmp(call->verb, "mailbox-create") == 0   ? REQUEST_CREATE
                             : strcmp(call->verb, "mailbox-delete") == 0 ? REQUEST_DELETE
                                                                         : REQUEST_RENAME;
    request_init(&w->request, kind, on_changed, w);
    w->request.name = buf_span(&w->name);
    w->request.new_name = buf_span(&w->new_name);
    account_submit(call->account, &w->request);
}

/* --- both --- */

static struct work *work_new(struct control_call *call)
{
    struct work *w = xnew(struct work);
    w->call = call;
    buf_init(&w->user, BUF_UNLIMITED);
    buf_init(&w->name, BUF_UNLIMITED);
    buf_init(&w->new_name, BUF_UNLIMITED);
    buf_init(&w->at, BUF_UNLIMITED);
    loop_task_init(&w->slice, on_slice);
    call->state = w;
    call->release = release;
    return w;
}

static int take_name(struct span *args, struct buf *to)
{
    struct span given = SPAN_EMPTY;
    if (!control_args_next(args, &given))
        return ERR_NOT_FOUND;
    return mailbox_name_normalise(to, given);
}

static void begin(struct work *w, struct span user, int error,
                  void (*opened)(struct control_call *call))
{
    if (error == ERR_NOT_FOUND)
        control_end(w->call, ERR_INVALID, "the name of a mailbox is missing");
    else if (error)
        control_end(w->call, error, "a mailbox cannot have that name");
    else
        control_with_account(w->call, user, opened);
}

void control_mailboxes(struct control_call *call, struct span args)
{
    struct work *w = work_new(call);
    struct span user = SPAN_EMPTY;
    control_args_next(&args, &user);
    int error = take_name(&args, &w->name);
    if (error == ERR_NOT_FOUND)
        error = 0;
    buf_put_span(&w->at, buf_span(&w->name));
    begin(w, user, error, on_opened_for_list);
}

void control_account_stats(struct control_call *call, struct span args)
{
    struct work *w = work_new(call);
    struct span user = SPAN_EMPTY;
    control_args_next(&args, &user);
    w->sum = true;
    buf_put_span(&w->user, user);
    begin(w, user, 0, on_opened_for_list);
}

void control_mailbox_change(struct control_call *call, struct span args)
{
    struct work *w = work_new(call);
    struct span user = SPAN_EMPTY;
    control_args_next(&args, &user);
    int error = take_name(&args, &w->name);
    if (error == 0 && strcmp(call->verb, "mailbox-rename") == 0)
        error = take_name(&args, &w->new_name);
    begin(w, user, error, on_opened_for_change);
}
