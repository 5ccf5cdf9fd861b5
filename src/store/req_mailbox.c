/* CREATE, DELETE, RENAME, subscriptions and special uses: RFC 9051 sections 6.3.4 to 6.3.8, RFC
 * 6154. */
#include "store/eval.h"
#include "store/names.h"

static void set_result(struct eval *e, uint32_t mailbox, uint32_t uidvalidity)
{
    e->r->result.modseq = e->modseq;
    e->r->result.mailbox = mailbox;
    e->r->result.uidvalidity = uidvalidity;
}

int eval_create_request(struct eval *e)
{
    struct request *r = e->r;
    struct mailbox_info info;
    int error = eval_name(&e->name, r->name);
    if (error)
        return error;
    struct span name = buf_span(&e->name);
    error = snap_mailbox_find(e->snap, name, &info);
    if (error != ERR_NOT_FOUND)
        return error ? error : ERR_EXISTS;
    if (e->space_low)
        return ERR_NO_SPACE;
    uint32_t id, uidvalidity;
    error = eval_create(e, name, r->special_use, &id, &uidvalidity);
    if (error == 0)
        set_result(e, id, uidvalidity);
    return error;
}

/* Inferiors keep existing; what is left of the name then is a prefix, \NonExistent in LIST. */
int eval_delete(struct eval *e)
{
    struct mailbox_info info;
    int error = eval_name(&e->name, e->r->name);
    if (error)
        return error;
    if (mailbox_name_is_inbox(buf_span(&e->name)))
        return ERR_DENIED;
    error = snap_mailbox_find(e->snap, buf_span(&e->name), &info);
    if (error)
        return error;
    op_put(e->ops, &(struct op){.kind = OP_MAILBOX_DELETE, .mailbox_delete = {info.id, e->modseq}});
    set_result(e, info.id, info.uidvalidity);
    eval_touch(e, info.id);
    return 0;
}

int eval_special_use(struct eval *e)
{
    struct request *r = e->r;
    struct mailbox_info info;
    int error = 0;
    if (r->name.n)
        error = eval_name(&e->name, r->name);
    if (error == 0)
        error = r->name.n ? snap_mailbox_find(e->snap, buf_span(&e->name), &info)
                          : snap_mailbox(e->snap, r->mailbox, &info);
    if (error || info.special_use == r->special_use)
        return error;
    struct op op = {.kind = OP_SPECIAL_USE, .special_use = {info.id, e->modseq, r->special_use}};
    op_put(e->ops, &op);
    set_result(e, info.id, info.uidvalidity);
    eval_touch(e, info.id);
    return 0;
}

int eval_subscribe(struct eval *e)
{
    struct request *r = e->r;
    bool wanted = r->kind == REQUEST_SUBSCRIBE;
    struct mailbox_name entry;
    int error = eval_name(&e->name, r->name);
    if (error)
        return error;
    struct span name = buf_span(&e->name);
    error = snap_name_seek(e->snap, name, false, &entry);
    if (error && error != ERR_NOT_FOUND)
        return error;
    bool subscribed = error == 0 && span_eq(entry.name, name) && entry.subscribed;
    if (subscribed == wanted)
        return 0;
    op_put(e->ops, &(struct op){.kind = OP_SUBSCRIBE, .subscribe = {e->modseq, wanted, name}});
    r->result.modseq = e->modseq;
    eval_touch(e, 0);
    return 0;
}
