/* APPEND: RFC 9051 section 6.3.12, several messages: RFC 3502, instead of others: RFC 8508. */
#include "index/tables.h"
#include "store/eval.h"
#include "store/upload_int.h"

static int put_message(struct eval *e, const struct append_message *m, struct op_append *a)
{
    struct eval_keywords *k = e->keywords;
    int error = eval_keywords(e, m->keywords, m->keyword_count, KEYWORDS_CREATE, k);
    if (error)
        return error;
    a->flags = m->flags & FLAG_ALL;
    if (e->r->seen_user.n && (m->flags & FLAG_SEEN)) {
        a->flags &= (uint16_t)~FLAG_SEEN;
        ranges_add(&e->seen, a->uid, a->uid);
    }
    a->keyword_count = k->n;
    a->keywords = (const unsigned char *)k->ids;
    a->internal_date = m->internal_date;
    a->size = upload_size(m->upload);
    upload_body(m->upload, &a->body);
    if (!a->body.external) {
        struct span bytes = upload_bytes(m->upload);
        a->body.payload.offset = e->payload_bytes;
        e->payload_bytes += bytes.n;
        if (e->payload_bytes > LOG_PAYLOAD_MAX)
            return ERR_LIMIT;
        buf_put(e->payload, &bytes, sizeof(bytes));
    }
    op_put(e->ops, &(struct op){.kind = OP_APPEND, .append = *a});
    return 0;
}

static int check(struct eval *e, struct mailbox_info *target)
{
    struct request *r = e->r;
    int error = eval_name(&e->name, r->name);
    if (error)
        return error;
    error = snap_mailbox_find(e->snap, buf_span(&e->name), target);
    if (error)
        return error;
    if (r->message_count == 0)
        return ERR_INVALID;
    for (size_t i = 0; i < r->message_count; i++)
        if (!r->messages[i].upload)
            return ERR_INVALID;
        else if (!upload_ready(r->messages[i].upload))
            return upload_error(r->messages[i].upload);
    if (e->space_low)
        return ERR_NO_SPACE;
    return r->message_count > UINT32_MAX - target->uidnext ? ERR_LIMIT : 0;
}

/* What is replaced in the same quota root makes room. */
static int check_room(struct eval *e, const struct mailbox_info *target)
{
    const struct request *r = e->r;
    uint64_t more[QUOTA_RESOURCES] = {[QUOTA_MESSAGE] = r->message_count};
    uint64_t freed = 0, gone = ranges_count(&r->uids);
    struct mailbox_info source;
    for (size_t i = 0; i < r->message_count; i++)
        more[QUOTA_STORAGE] += upload_size(r->messages[i].upload);
    if (gone) {
        int error = snap_mailbox(e->snap, r->mailbox, &source);
        if (error)
            return error;
        if (source.quota_root == target->quota_root)
            freed = e->copied;
        else
            gone = 0;
    }
    more[QUOTA_MESSAGE] -= MIN(more[QUOTA_MESSAGE], gone);
    more[QUOTA_STORAGE] -= MIN(more[QUOTA_STORAGE], freed);
    return eval_room(e, target->quota_root, more);
}

/* ERR_EXISTS: it was delivered before, maybe in this batch; else what is to be known of it. */
static int delivery(struct eval *e)
{
    struct request *r = e->r;
    uint64_t until, now = e->now_us / 1000000;
    int error = index_delivery_get(e->txn, r->delivery_id, &until);
    if (error == 0 && until >= now)
        return ERR_EXISTS;
    if (error && error != ERR_NOT_FOUND)
        return error;
    struct op op = {.kind = OP_DELIVERY, .delivery.until = now + r->delivery_window};
    memcpy(op.delivery.id, r->delivery_id, sizeof(op.delivery.id));
    op_put(e->ops, &op);
    return 0;
}

/* What the messages replace (RFC 8508): all of it must be there. */
static int find_replaced(struct eval *e, struct ranges *found)
{
    struct row row;
    const struct request *r = e->r;
    for (size_t i = 0; i < r->uids.n; i++) {
        for (uint64_t uid = r->uids.v[i].lo; uid <= r->uids.v[i].hi; uid++) {
            int error = snap_row(e->snap, r->mailbox, (uint32_t)uid, &row);
            if (error)
                return error == ERR_NOT_FOUND ? ERR_BUSY : error;
            ranges_add(found, (uint32_t)uid, (uint32_t)uid);
            e->copied += row.size;
        }
    }
    return 0;
}

static void put_replaced(struct eval *e)
{
    struct request *r = e->r;
    if (r->result.uids.n == 0)
        return;
    eval_put_expunge(e, (struct op_expunge){r->mailbox, e->modseq, &r->result.uids});
    eval_touch(e, r->mailbox);
}

int eval_append(struct eval *e)
{
    struct request *r = e->r;
    struct mailbox_info target;
    autoranges replaced = RANGES_INIT;
    int error = r->delivery_id ? delivery(e) : 0;
    if (error == 0 && r->transfer_id)
        error = eval_transfer_in(e);
    if (error == ERR_EXISTS) {
        r->result = (struct request_result){.duplicate = true};
        return 0;
    }
    if (error == 0)
        error = check(e, &target);
    if (error == 0)
        error = find_replaced(e, &replaced);
    if (error == 0)
        error = check_room(e, &target);
    if (error)
        return error;
    struct op_append a = {.mailbox = target.id,
                          .modseq = e->modseq,
                          .created_modseq = e->modseq,
                          .save_date = (int64_t)(e->now_us / 1000000)};
    struct request_result result = {.modseq = e->modseq,
                                    .mailbox = target.id,
                                    .uidvalidity = target.uidvalidity,
                                    .first_uid = target.uidnext,
                                    .count = (uint32_t)r->message_count};
    e->keywords = xnew(struct eval_keywords);
    for (size_t i = 0; i < r->message_count && error == 0; i++) {
        a.uid = result.first_uid + (uint32_t)i;
        a.message_id = e->state.message_id + 1 + i;
        error = put_message(e, &r->messages[i], &a);
    }
    if (error)
        return error;
    eval_put_seen(e, (struct op_seen){target.id, e->modseq, true, r->seen_user, &e->seen});
    r->result = result;
    ranges_copy(&r->result.uids, &replaced);
    put_replaced(e);
    eval_touch(e, target.id);
    return 0;
}
