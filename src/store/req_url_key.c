/* Keys of URLAUTH (RFC 4467): made when they are first needed, and made anew by RESETKEY. */
#include "base/random.h"
#include "index/tables.h"
#include "store/eval.h"

/* All keys of the account's user. */
static int forget_all(struct eval *e)
{
    static const unsigned char lowest[URL_KEY_MAILBOX];
    struct index_url_key any;
    int error = index_url_key_seek(e->txn, lowest, false, &any);
    if (error)
        return error == ERR_NOT_FOUND ? 0 : error;
    op_put(e->ops, &(struct op){.kind = OP_URLAUTH_KEY});
    return 0;
}

int eval_url_key(struct eval *e)
{
    const struct request *r = e->r;
    struct op op = {.kind = OP_URLAUTH_KEY, .urlauth_key.present = true};
    if (!r->object_id)
        return forget_all(e);
    int error = index_url_key_get(e->txn, r->object_id, op.urlauth_key.key);
    if (error == 0 && r->mode == STORE_ADD)
        return 0;
    if (error && error != ERR_NOT_FOUND)
        return error;
    memcpy(op.urlauth_key.mailbox, r->object_id, sizeof(op.urlauth_key.mailbox));
    random_bytes(op.urlauth_key.key, sizeof(op.urlauth_key.key));
    op_put(e->ops, &op);
    return 0;
}
