/* The operations of a base: the whole state, as compaction wrote it. */
#include "store/apply_int.h"

static int base_begin(struct apply *a, const struct op_base_begin *op)
{
    struct index_state *s = &a->state;

    if (s->applied_seq != 0 || s->base || s->mailbox_id != 0 || s->keyword_id != 0)
        return err_set(a->err, ERR_CORRUPT, "a base begins in an index that is not empty");
    s->base = true;
    s->base_segment = a->frame->segment;
    s->modseq = op->modseq;
    s->message_id = op->message_id;
    s->mailbox_id = op->mailbox_id;
    s->uidvalidity = op->uidvalidity;
    return 0;
}

static int base_mailbox(struct apply *a, const struct op_base_mailbox *op)
{
    struct mailbox_info m = {
        .id = op->mailbox,
        .name = op->name,
        .uidvalidity = op->uidvalidity,
        .uidnext = op->uidnext,
        .recent_uid = op->recent_uid,
        .special_use = op->special_use,
        .highest_modseq = op->highest_modseq,
        .created_modseq = op->created_modseq,
        .forgotten_modseq = op->forgotten_modseq,
    };
    struct index_name name;
    int rc = index_name_get(a->txn, op->name, &name);

    if (rc == ERR_NOT_FOUND)
        name = (struct index_name){.name = op->name};
    else if (rc)
        return rc;
    if (name.id != 0 || op->mailbox > a->state.mailbox_id)
        return apply_contradiction(a, "mailbox of the base", op->mailbox);
    memcpy(m.object_id, op->object_id, sizeof(m.object_id));
    name.id = op->mailbox;
    a->state.mailboxes++;
    rc = index_name_put(a->txn, &name);
    for (size_t i = 0; rc == 0 && i < op->keyword_ids.n; i += 2)
        rc = index_mailbox_keyword(a->txn, op->mailbox, load_le16(op->keyword_ids.p + i));
    return rc ? rc : index_mailbox_put(a->txn, &m);
}

static int base_message(struct apply *a, const struct op_base_message *op)
{
    struct message_location where;
    int rc = apply_location(a, &op->body, &where);

    if (rc == 0)
        rc = index_message_put(a->txn, op->message_id, &where);
    return apply_error(a, rc, "impossible location of message", op->message_id);
}

static int base_row(struct apply *a, const struct op_base_row *op)
{
    struct row_appender *appender;
    struct mailbox_info m;
    int rc = index_mailbox_edit(a->txn, op->mailbox, &m);

    if (rc == 0 && op->row.uid >= m.uidnext)
        rc = ERR_INVALID;
    if (rc == 0)
        rc = index_message_ref(a->txn, op->row.message_id, 1);
    if (rc == 0)
        rc = apply_appender(a, op->mailbox, &appender);
    if (rc == 0)
        rc = rows_append(appender, &op->row);
    if (rc)
        return apply_error(a, rc, "row of the base", op->row.uid);
    apply_keywords_note(a, &op->row);
    apply_count(a, &m, &op->row, 1);
    return index_mailbox_put(a->txn, &m);
}

static int base_end(struct apply *a, const struct op_base_end *op)
{
    if (a->state.messages != op->messages || a->state.bytes != op->bytes) {
        int rc = apply_contradiction(a, "sums of the base differ", a->state.messages);

        if (rc)
            return rc;
    }
    a->state.base = false;
    return 0;
}

int apply_base(struct apply *a, const struct op *op)
{
    if (a->frame->type != FRAME_BASE)
        return err_set(a->err, ERR_CORRUPT, "frame %llu: operation %u outside of a base",
                       (unsigned long long)a->frame->seq, op->kind);
    switch (op->kind) {
    case OP_BASE_BEGIN:
        return base_begin(a, &op->base_begin);
    case OP_BASE_MAILBOX:
        return base_mailbox(a, &op->base_mailbox);
    case OP_BASE_MESSAGE:
        return base_message(a, &op->base_message);
    case OP_BASE_ROW:
        return base_row(a, &op->base_row);
    case OP_BASE_EXPUNGED:
        return index_gone_add(a->txn, op->base_expunged.mailbox, op->base_expunged.modseq,
                              op->base_expunged.time, op->base_expunged.uids);
    case OP_BASE_SEGMENT:
        return index_dead_add(a->txn, op->base_segment.segment, op->base_segment.messages,
                              op->base_segment.bytes);
    case OP_BASE_END:
        return base_end(a, &op->base_end);
    default:
        return err_set(a->err, ERR_VERSION, "operation %u is unknown", op->kind);
    }
}
