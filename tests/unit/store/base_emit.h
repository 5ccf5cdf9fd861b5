/* The whole state as the operations of a base, in the simplest way. */
#ifndef TEST_STORE_BASE_EMIT_H
#define TEST_STORE_BASE_EMIT_H

#include "index/tables.h"
#include "store/apply.h"

enum { FRAME_OPS = 100000 }; /* octets of operations after which a frame ends */

struct emit {
    struct index_txn *txn;
    int (*frame)(void *ctx, struct span ops);
    void *ctx;
    struct buf ops;
    struct index_state state;
};

static inline int emit_flush(struct emit *e)
{
    int rc = e->ops.n > 0 ? e->frame(e->ctx, buf_span(&e->ops)) : 0;

    buf_reset(&e->ops);
    return rc;
}

static inline int emit(struct emit *e, const struct op *op)
{
    op_put(&e->ops, op);
    return e->ops.n >= FRAME_OPS ? emit_flush(e) : 0;
}

static inline int emit_keywords(struct emit *e)
{
    int rc = 0;

    for (uint32_t id = 1; rc == 0 && id <= e->state.keyword_id; id++) {
        struct op op = {.kind = OP_KEYWORD, .keyword.id = (uint16_t)id};

        rc = index_keyword_name(e->txn, (uint16_t)id, &op.keyword.name);
        if (rc == 0)
            rc = emit(e, &op);
        else if (rc == ERR_NOT_FOUND)
            rc = 0;
    }
    return rc;
}

static inline int emit_subscriptions(struct emit *e)
{
    struct index_name name;
    int rc = index_name_seek(e->txn, SPAN_EMPTY, false, &name);

    for (; rc == 0; rc = index_name_seek(e->txn, name.name, true, &name)) {
        struct op op = {.kind = OP_SUBSCRIBE, .subscribe = {0, true, name.name}};

        rc = name.subscribed ? emit(e, &op) : 0;
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static inline int emit_mailbox(struct emit *e, const struct mailbox_info *m)
{
    struct op op = {.kind = OP_BASE_MAILBOX,
                    .base_mailbox = {
                        .mailbox = m->id,
                        .uidvalidity = m->uidvalidity,
                        .uidnext = m->uidnext,
                        .recent_uid = m->recent_uid,
                        .special_use = m->special_use,
                        .highest_modseq = m->highest_modseq,
                        .created_modseq = m->created_modseq,
                        .forgotten_modseq = m->forgotten_modseq,
                        .name = m->name,
                        .keyword_ids = m->keyword_ids,
                    }};

    memcpy(op.base_mailbox.object_id, m->object_id, sizeof(m->object_id));
    return emit(e, &op);
}

/* Where they are. Messages that only ghosts hold must have been purged. */
static inline int emit_messages(struct emit *e)
{
    struct index_message m;
    uint64_t id;
    int rc = index_message_seek(e->txn, 0, &id, &m);

    for (; rc == 0; rc = index_message_seek(e->txn, id + 1, &id, &m)) {
        struct op op = {.kind = OP_BASE_MESSAGE,
                        .base_message = {id,
                                         {.external = true,
                                          .segment = m.where.segment,
                                          .payload = {.offset = m.where.offset,
                                                      .length = m.where.length,
                                                      .crc = m.where.crc}}}};

        rc = emit(e, &op);
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static inline int emit_rows(struct emit *e, uint32_t mailbox)
{
    struct op op = {.kind = OP_BASE_ROW, .base_row.mailbox = mailbox};
    struct row_iter it;
    int rc = rows_begin(&it, e->txn, mailbox);

    if (rc)
        return rc;
    for (rc = rows_seek(&it, 1, &op.base_row.row); rc == 0; rc = rows_next(&it, &op.base_row.row)) {
        rc = emit(e, &op);
        if (rc)
            break;
    }
    rows_end(&it);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static inline int emit_gone(struct emit *e, uint32_t mailbox)
{
    struct index_gone gone;
    int rc = index_gone_seek(e->txn, mailbox, 0, &gone);

    for (; rc == 0; rc = index_gone_next(e->txn, mailbox, &gone)) {
        autoranges uids = RANGES_INIT;
        struct op op = {.kind = OP_BASE_EXPUNGED,
                        .base_expunged = {mailbox, gone.modseq, gone.time, &uids}};

        rc = index_gone_uids(e->txn, &gone, &uids);
        if (rc == 0)
            rc = emit(e, &op);
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static inline int emit_mailbox_rows(struct emit *e, const struct mailbox_info *m)
{
    int rc = emit_rows(e, m->id);

    return rc ? rc : emit_gone(e, m->id);
}

static inline int each_mailbox(struct emit *e,
                               int (*each)(struct emit *, const struct mailbox_info *))
{
    struct mailbox_info m;
    int rc = index_mailbox_seek(e->txn, 1, &m);

    while (rc == 0) {
        uint32_t id = m.id;

        rc = each(e, &m);
        if (rc)
            return rc;
        rc = id == UINT32_MAX ? ERR_NOT_FOUND : index_mailbox_seek(e->txn, id + 1, &m);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static inline int emit_segments(struct emit *e)
{
    struct segment_dead d;
    int rc = segment_dead_seek(e->txn, 0, &d);

    for (; rc == 0; rc = segment_dead_seek(e->txn, d.segment + 1, &d)) {
        struct op op = {.kind = OP_BASE_SEGMENT, .base_segment = {d.segment, d.messages, d.bytes}};

        rc = emit(e, &op);
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static inline int emit_all(struct emit *e)
{
    const struct index_state *s = &e->state;
    struct op begin = {.kind = OP_BASE_BEGIN,
                       .base_begin = {s->modseq, s->message_id, s->mailbox_id, s->uidvalidity}};
    struct op end = {.kind = OP_BASE_END, .base_end = {s->messages, s->bytes}};
    int rc = emit(e, &begin);

    if (rc == 0)
        rc = emit_keywords(e);
    if (rc == 0)
        rc = emit_subscriptions(e);
    if (rc == 0)
        rc = each_mailbox(e, emit_mailbox);
    if (rc == 0)
        rc = emit_messages(e);
    if (rc == 0)
        rc = each_mailbox(e, emit_mailbox_rows);
    if (rc == 0)
        rc = emit_segments(e);
    if (rc == 0)
        rc = emit(e, &end);
    return rc ? rc : emit_flush(e);
}

static inline int base_emit(struct index_txn *txn, int (*frame)(void *ctx, struct span ops),
                            void *ctx)
{
    struct emit e = {.txn = txn, .frame = frame, .ctx = ctx};
    int rc = index_state_get(txn, &e.state);

    if (rc)
        return rc;
    buf_init(&e.ops, BUF_UNLIMITED);
    rc = emit_all(&e);
    buf_done(&e.ops);
    return rc;
}

#endif
