/* Quota roots of an account: shown from a snapshot, changed through the account's writer. */
#include "daemon/mail/control.h"
#include "store/names.h"
#include "store/quota.h"

static const char *const resources[QUOTA_RESOURCES] = {
    [QUOTA_STORAGE] = "storage",
    [QUOTA_MESSAGE] = "messages",
    [QUOTA_MAILBOX] = "mailboxes",
    [QUOTA_ANNOTATION] = "annotation-storage",
};

struct work {
    struct control_call *call;
    struct buf user, name, root;
    struct request request;
};

static void release(struct control_call *call)
{
    struct work *w = call->state;
    buf_done(&w->user);
    buf_done(&w->name);
    buf_done(&w->root);
    request_result_done(&w->request);
    free(w);
}

static struct work *work_new(struct control_call *call, enum request_kind kind,
                             void (*done)(struct request *r))
{
    struct work *w = xnew(struct work);
    w->call = call;
    buf_init(&w->user, BUF_UNLIMITED);
    buf_init(&w->name, BUF_UNLIMITED);
    buf_init(&w->root, BUF_UNLIMITED);
    request_init(&w->request, kind, done, w);
    call->state = w;
    call->release = release;
    return w;
}

static void take(struct span *args, struct buf *to)
{
    struct span given = SPAN_EMPTY;
    if (control_args_next(args, &given))
        buf_put_span(to, given);
}

/* --- quota --- */

static void show(struct work *w, const struct quota_use *q)
{
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        autobuf row = BUF_INIT(4096);
        control_put(&row, "root", q->name.n ? q->name : buf_span(&w->user));
        control_put(&row, "resource", span_str(resources[i]));
        control_put_number(&row, "used", q->used[i]);
        if (q->limit[i] != QUOTA_NONE)
            control_put_number(&row, "limit", q->limit[i]);
        control_put_flag(&row, "default", !q->own_limit[i]);
        control_text(w->call, buf_span(&row));
    }
}

static void opened_for_show(struct control_call *call)
{
    autosnap *snap = NULL;
    struct quota_use q;
    uint32_t from = 0;
    int rc = snap_begin(call->account, &snap);
    while (rc == 0 && (rc = snap_quota_seek(snap, call->account, from, &q)) == 0) {
        show(call->state, &q);
        from = q.root + 1;
        rc = from == 0 ? ERR_NOT_FOUND : 0;
    }
    control_end(call, rc == ERR_NOT_FOUND ? 0 : rc, NULL);
}

void control_quota(struct control_call *call, struct span args)
{
    struct work *w = work_new(call, REQUEST_QUOTA, NULL);
    take(&args, &w->user);
    control_with_account(call, buf_span(&w->user), opened_for_show);
}

/* --- quota-set, quota-root --- */

static const char *reason(enum request_kind kind, int error)
{
    switch (error) {
    case ERR_NOT_FOUND:
        return kind == REQUEST_QUOTA ? "there is no such quota root" : "there is no such mailbox";
    case ERR_INVALID:
        return "a quota root cannot have that name";
    case ERR_LIMIT:
        return kind == REQUEST_QUOTA ? "that limit is too large"
                                     : "an account cannot have so many quota roots";
    default:
        return NULL;
    }
}

static void on_changed(struct request *r)
{
    int error = r->result.error;
    control_end(((struct work *)r->arg)->call, error, reason(r->kind, error));
}

/* The account's own root is called like its user. */
static struct span root_of(const struct work *w)
{
    return span_eq(buf_span(&w->root), buf_span(&w->user)) ? SPAN_EMPTY : buf_span(&w->root);
}

static void opened_for_change(struct control_call *call)
{
    struct work *w = call->state;
    bool limits = w->request.kind == REQUEST_QUOTA;
    w->request.name = limits ? root_of(w) : buf_span(&w->name);
    w->request.new_name = limits ? SPAN_EMPTY : root_of(w);
    account_submit(call->account, &w->request);
}

static bool parse_limit(struct span text, uint64_t *ret)
{
    uint64_t n;
    if (span_eq(text, SPAN("none")))
        *ret = QUOTA_NONE;
    else if (span_eq(text, SPAN("default")))
        *ret = QUOTA_DEFAULT;
    else if (span_to_u64(text, INDEX_NUMBER_MAX, &n))
        *ret = n;
    else
        return false;
    return true;
}

/* USER ROOT RESOURCE LIMIT */
void control_quota_set(struct control_call *call, struct span args)
{
    struct work *w = work_new(call, REQUEST_QUOTA, on_changed);
    struct span resource = SPAN_EMPTY, limit = SPAN_EMPTY;
    size_t which = 0;
    take(&args, &w->user);
    take(&args, &w->root);
    control_args_next(&args, &resource);
    control_args_next(&args, &limit);
    while (which < QUOTA_RESOURCES && !span_eq(resource, span_str(resources[which])))
        which++;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        w->request.limits[i] = QUOTA_KEEP;
    if (which == QUOTA_RESOURCES)
        control_end(call, ERR_INVALID, "there is no such resource");
    else if (!parse_limit(limit, &w->request.limits[which]))
        control_end(call, ERR_INVALID, "the limit must be a number, \"none\" or \"default\"");
    else
        control_with_account(call, buf_span(&w->user), opened_for_change);
}

/* USER MAILBOX ROOT */
void control_quota_root(struct control_call *call, struct span args)
{
    struct work *w = work_new(call, REQUEST_QUOTA_ROOT, on_changed);
    struct span given = SPAN_EMPTY;
    take(&args, &w->user);
    control_args_next(&args, &given);
    take(&args, &w->root);
    int error = mailbox_name_normalise(&w->name, given);
    if (error)
        control_end(call, error, "a mailbox cannot have that name");
    else
        control_with_account(call, buf_span(&w->user), opened_for_change);
}
