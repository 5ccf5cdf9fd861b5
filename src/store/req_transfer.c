/* Moves to another account: store/transfer.h. */
#include "base/bytes.h"
#include "base/random.h"
#include "index/tables.h"
#include "store/eval.h"
#include "store/snapshot_int.h"
#include "store/transfer.h"

/* At the destination an id is known like that of a delivery. Its last bit is 0; with 1 it says that
 * the transfer is refused. */
static void refused_id(const unsigned char *id, unsigned char ret[TRANSFER_ID_LEN])
{
    memcpy(ret, id, TRANSFER_ID_LEN);
    ret[TRANSFER_ID_LEN - 1] |= 1;
}

void transfer_id_new(unsigned char ret[TRANSFER_ID_LEN])
{
    random_bytes(ret, TRANSFER_ID_LEN);
    ret[TRANSFER_ID_LEN - 1] &= 0xfe;
}

/* 0: known; ERR_NOT_FOUND. */
static int known(struct eval *e, const unsigned char *id)
{
    uint64_t until;
    int error = index_delivery_get(e->txn, id, &until);
    return error == 0 && until < e->now_us / 1000000 ? ERR_NOT_FOUND : error;
}

static void remember(struct eval *e, const unsigned char *id)
{
    struct op op = {.kind = OP_DELIVERY, .delivery.until = e->now_us / 1000000 + TRANSFER_WINDOW};
    memcpy(op.delivery.id, id, sizeof(op.delivery.id));
    op_put(e->ops, &op);
}

int eval_transfer_in(struct eval *e)
{
    unsigned char refused[TRANSFER_ID_LEN];
    const unsigned char *id = e->r->transfer_id;
    if (id[TRANSFER_ID_LEN - 1] & 1)
        return ERR_INVALID;
    refused_id(id, refused);
    int error = known(e, refused);
    if (error == 0) /* settled meanwhile, after a break: another move can be made */
        return ERR_BUSY;
    if (error == ERR_NOT_FOUND)
        error = known(e, id);
    if (error == 0)
        return ERR_EXISTS;
    if (error == ERR_NOT_FOUND)
        remember(e, id);
    return error == ERR_NOT_FOUND ? 0 : error;
}

int eval_transfer_settle(struct eval *e)
{
    struct request *r = e->r;
    unsigned char refused[TRANSFER_ID_LEN];
    if (!r->transfer_id || r->transfer_id[TRANSFER_ID_LEN - 1] & 1)
        return ERR_INVALID;
    int error = known(e, r->transfer_id);
    r->result.duplicate = error == 0;
    if (error != ERR_NOT_FOUND)
        return error;
    refused_id(r->transfer_id, refused);
    error = known(e, refused);
    if (error == ERR_NOT_FOUND)
        remember(e, refused);
    return error == ERR_NOT_FOUND ? 0 : error;
}

/* --- the source --- */

static int visit_live(struct eval *e, const struct row *row)
{
    ranges_add(&e->r->result.uids, row->uid, row->uid);
    return 0;
}

/* ERR_BUSY: one of the messages is on its way already. A client whose connection ended in the
 * middle of a move repeats it; what has arrived must not arrive twice. */
static int under_way(struct eval *e)
{
    static const unsigned char lowest[TRANSFER_ID_LEN];
    struct index_transfer t;
    int error = index_transfer_seek(e->txn, lowest, false, &t);
    while (error == 0) {
        autoranges uids = RANGES_INIT;
        struct reader rd = reader_make(t.uids);
        if (!ranges_decode(&rd, &uids))
            return ERR_CORRUPT;
        ranges_intersect(&uids, &e->r->uids);
        if (t.mailbox == e->r->mailbox && uids.n > 0)
            return ERR_BUSY;
        error = index_transfer_seek(e->txn, t.id, true, &t);
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}

int eval_transfer_begin(struct eval *e)
{
    struct request *r = e->r;
    struct index_transfer old;
    int error = r->transfer_id && r->name.n && r->name.n <= SITE_NAME_MAX && r->new_name.n &&
                        r->new_name.n <= MAILBOX_NAME_MAX
                    ? 0
                    : ERR_INVALID;
    if (error == 0 && e->phase == 0) {
        error = snap_mailbox(e->snap, r->mailbox, &e->mailbox);
        if (error == 0 && index_transfer_get(e->txn, r->transfer_id, &old) != ERR_NOT_FOUND)
            error = ERR_EXISTS;
        if (error == 0)
            error = under_way(e);
        e->phase = 1;
    }
    if (error == 0)
        error = eval_visit(e, r->mailbox, &r->uids, &r->result.missing, visit_live);
    if (error || r->result.uids.n == 0)
        return error;
    struct op op = {.kind = OP_TRANSFER,
                    .transfer = {.begins = true,
                                 .mailbox = r->mailbox,
                                 .user = r->name,
                                 .name = r->new_name,
                                 .uids = &r->result.uids}};
    memcpy(op.transfer.id, r->transfer_id, sizeof(op.transfer.id));
    op_put(e->ops, &op);
    return 0;
}

static int find_live(struct eval *e, const struct index_transfer *t)
{
    autoranges uids = RANGES_INIT;
    struct reader rd = reader_make(t->uids);
    int error = ranges_decode(&rd, &uids) ? 0 : ERR_CORRUPT;
    if (error == 0 && e->phase == 0)
        error = snap_mailbox(e->snap, t->mailbox, &e->mailbox);
    if (error) /* the mailbox is gone, and with it what was to be expunged */
        return error == ERR_NOT_FOUND ? 0 : error;
    e->phase = 1;
    return eval_visit(e, t->mailbox, &uids, NULL, visit_live);
}

int eval_transfer_end(struct eval *e)
{
    struct request *r = e->r;
    struct index_transfer t;
    if (!r->transfer_id)
        return ERR_INVALID;
    int error = index_transfer_get(e->txn, r->transfer_id, &t);
    if (error)
        return error == ERR_NOT_FOUND ? 0 : error; /* it has ended before */
    if (r->transfer_done)
        error = find_live(e, &t);
    if (error)
        return error;
    r->result.mailbox = t.mailbox;
    r->result.count = (uint32_t)ranges_count(&r->result.uids);
    if (r->result.count) {
        eval_put_expunge(e, (struct op_expunge){t.mailbox, e->modseq, &r->result.uids});
        eval_touch(e, t.mailbox);
        r->result.modseq = e->modseq;
    }
    struct op op = {.kind = OP_TRANSFER};
    memcpy(op.transfer.id, r->transfer_id, sizeof(op.transfer.id));
    op_put(e->ops, &op);
    return 0;
}

static int take(int error, const struct index_transfer *t, struct transfer *ret)
{
    if (error)
        return error;
    memcpy(ret->id, t->id, sizeof(ret->id));
    ret->user = t->user;
    ret->name = t->name;
    return 0;
}

int snap_transfer(struct snap *snap, const unsigned char *id, struct transfer *ret)
{
    struct index_transfer t;
    return take(index_transfer_get(snap->txn, id, &t), &t, ret);
}

int snap_transfer_seek(struct snap *snap, const unsigned char *after, struct transfer *ret)
{
    static const unsigned char lowest[TRANSFER_ID_LEN];
    struct index_transfer t;
    int error = index_transfer_seek(snap->txn, after ? after : lowest, after != NULL, &t);
    return take(error, &t, ret);
}
