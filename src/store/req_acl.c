/* SETACL and DELETEACL (RFC 4314 sections 3.1 and 3.2), and what a new mailbox inherits. */
#include "index/tables.h"
#include "store/eval.h"
#include "store/rights.h"

enum { ENTRIES_MAX = 1000 }; /* of one list */

/* What an identifier has now, and how many entries there are. */
static int look_up(struct eval *e, uint32_t mailbox, uint32_t *ret_rights, unsigned *ret_count)
{
    struct index_acl a = {0};
    autobuf at = BUF_INIT(BUF_UNLIMITED);
    int rc;
    *ret_rights = *ret_count = 0;
    while ((rc = index_acl_seek(e->txn, mailbox, buf_span(&at), &a)) == 0) {
        ++*ret_count;
        if (span_eq(a.identifier, e->r->identifier))
            *ret_rights = a.rights;
        buf_reset(&at);
        buf_put_span(&at, a.identifier);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int eval_acl(struct eval *e)
{
    struct request *r = e->r;
    struct mailbox_info info;
    uint32_t has;
    unsigned count;
    int error = eval_name(&e->name, r->name);
    if (error == 0 && !identifier_good(r->identifier))
        error = ERR_INVALID;
    if (error == 0)
        error = snap_mailbox_find(e->snap, buf_span(&e->name), &info);
    if (error == 0)
        error = look_up(e, info.id, &has, &count);
    if (error)
        return error;
    uint32_t rights = r->mode == STORE_ADD      ? has | r->rights
                      : r->mode == STORE_REMOVE ? has & ~r->rights
                                                : r->rights;
    if (rights == has)
        return 0;
    if (!has && count >= ENTRIES_MAX)
        return ERR_LIMIT;
    struct op op = {.kind = OP_ACL, .acl = {info.id, e->modseq, r->identifier, rights}};
    op_put(e->ops, &op);
    r->result.modseq = e->modseq;
    r->result.mailbox = info.id;
    eval_touch(e, info.id);
    return 0;
}

int eval_acl_inherit(struct eval *e, uint32_t from, uint32_t to)
{
    struct index_acl a;
    autobuf at = BUF_INIT(BUF_UNLIMITED);
    int rc;
    while ((rc = index_acl_seek(e->txn, from, buf_span(&at), &a)) == 0) {
        buf_reset(&at);
        buf_put_span(&at, a.identifier);
        op_put(e->ops,
               &(struct op){.kind = OP_ACL, .acl = {to, e->modseq, buf_span(&at), a.rights}});
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}
