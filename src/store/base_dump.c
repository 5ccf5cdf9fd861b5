#include "store/base_dump.h"

#include "base/crc32c.h"

enum { OPS_FULL = 1 << 20, PAYLOAD_FULL = 4 << 20 };

static int flush(struct base_dump *d)
{
    struct log_frame frame;
    struct span payload = buf_span(&d->payload);
    if (d->ops.n == 0)
        return 0;
    int rc = log_base_put(d->to, FRAME_BASE, FRAME_VERSION, buf_span(&d->ops), &payload,
                          payload.n ? 1 : 0, &frame, d->err);
    buf_reset(&d->ops);
    buf_reset(&d->payload);
    return rc;
}

static int put(struct base_dump *d, const struct op *op)
{
    op_put(&d->ops, op);
    return d->ops.n >= OPS_FULL ? flush(d) : 0;
}

static bool cancelled(const struct base_dump *d)
{
    return d->cancel && __atomic_load_n(d->cancel, __ATOMIC_RELAXED);
}

static int end_of_walk(int rc)
{
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* --- small things --- */

static int put_begin(struct base_dump *d, struct index_state *s)
{
    struct op op = {.kind = OP_BASE_BEGIN};
    int rc = index_state_get(d->txn, s);
    uint32_t uidvalidity = s->uidvalidity;
    if (d->new_uidvalidity) { /* one for every mailbox that there may be */
        d->new_uidvalidity = MAX(d->new_uidvalidity, uidvalidity + 1);
        uidvalidity = d->new_uidvalidity + s->mailbox_id;
    }
    op.base_begin = (struct op_base_begin){s->modseq, s->message_id, s->mailbox_id, uidvalidity};
    return rc ? rc : put(d, &op);
}

static int put_keywords(struct base_dump *d, const struct index_state *s)
{
    int rc = 0;
    for (uint32_t id = 1; id <= s->keyword_id && rc == 0; id++) {
        struct op op = {.kind = OP_KEYWORD, .keyword.id = (uint16_t)id};
        rc = index_keyword_name(d->txn, (uint16_t)id, &op.keyword.name);
        rc = rc == 0 ? put(d, &op) : end_of_walk(rc);
    }
    return rc;
}

static int put_quotas(struct base_dump *d)
{
    struct index_quota q;
    int rc = index_quota_seek(d->txn, 0, &q);
    while (rc == 0) {
        struct op op = {.kind = OP_QUOTA, .quota = {q.root, true, {0}, q.name}};
        memcpy(op.quota.limit, q.limit, sizeof(q.limit));
        rc = put(d, &op);
        if (rc == 0)
            rc = q.root == UINT32_MAX ? ERR_NOT_FOUND : index_quota_seek(d->txn, q.root + 1, &q);
    }
    return end_of_walk(rc);
}

static int put_metadata(struct base_dump *d)
{
    struct op op = {.kind = OP_METADATA};
    struct metadata_entry *e = &op.metadata;
    int rc = index_metadata_seek(d->txn, 0, SPAN_EMPTY, SPAN_EMPTY, false, e);
    while (rc == 0) {
        if (!e->removed)
            rc = put(d, &op);
        if (rc == 0)
            rc = index_metadata_seek(d->txn, e->mailbox, e->owner, e->name, true, e);
    }
    return end_of_walk(rc);
}

static int put_mailbox(struct base_dump *d, uint32_t id)
{
    struct mailbox_info m;
    int rc = index_mailbox_get(d->txn, id, true, &m);
    if (rc)
        return rc;
    struct op op = {.kind = OP_BASE_MAILBOX};
    op.base_mailbox = (struct op_base_mailbox){
        .mailbox = m.id,
        .uidvalidity = d->new_uidvalidity ? d->new_uidvalidity + m.id : m.uidvalidity,
        .uidnext = m.uidnext,
        .recent_uid = m.recent_uid,
        .special_use = m.special_use,
        .highest_modseq = m.highest_modseq,
        .created_modseq = m.created_modseq,
        .forgotten_modseq = m.forgotten_modseq,
        .name = m.name,
        .keyword_ids = m.keyword_ids,
    };
    memcpy(op.base_mailbox.object_id, m.object_id, sizeof(m.object_id));
    rc = put(d, &op);
    op = (struct op){.kind = OP_QUOTA_ROOT, .quota_root = {m.id, m.quota_root}};
    return rc || m.quota_root == 0 ? rc : put(d, &op);
}

static int put_mailboxes(struct base_dump *d)
{
    struct mailbox_info m;
    int rc = index_mailbox_seek(d->txn, 1, &m);
    while (rc == 0) {
        uint32_t id = m.id;
        rc = put_mailbox(d, id);
        if (rc == 0)
            rc = id == UINT32_MAX ? ERR_NOT_FOUND : index_mailbox_seek(d->txn, id + 1, &m);
    }
    return end_of_walk(rc);
}

static int put_subscriptions(struct base_dump *d, uint64_t modseq)
{
    struct index_name n;
    int rc = index_name_seek(d->txn, SPAN(""), false, &n);
    while (rc == 0) {
        struct op op = {.kind = OP_SUBSCRIBE, .subscribe = {modseq, true, n.name}};
        if (n.subscribed)
            rc = put(d, &op);
        if (rc == 0)
            rc = index_name_seek(d->txn, n.name, true, &n);
    }
    return end_of_walk(rc);
}

/* Those that were too old at the newest frame are left out. */
static int put_deliveries(struct base_dump *d, uint64_t time_us)
{
    struct index_delivery at;
    int rc = index_delivery_seek(d->txn, NULL, time_us / 1000000, &at);
    while (rc == 0) {
        struct op op = {.kind = OP_DELIVERY, .delivery.until = at.until};
        memcpy(op.delivery.id, at.id, sizeof(at.id));
        rc = put(d, &op);
        if (rc == 0)
            rc = index_delivery_seek(d->txn, &at, 0, &at);
    }
    return end_of_walk(rc);
}

static int put_transfers(struct base_dump *d)
{
    static const unsigned char lowest[TRANSFER_ID_SIZE];
    struct index_transfer t;
    int rc = index_transfer_seek(d->txn, lowest, false, &t);
    while (rc == 0) {
        autoranges uids = RANGES_INIT;
        struct reader r = reader_make(t.uids);
        struct op op = {.kind = OP_TRANSFER,
                        .transfer = {.begins = true,
                                     .mailbox = t.mailbox,
                                     .user = t.user,
                                     .name = t.name,
                                     .uids = &uids}};
        memcpy(op.transfer.id, t.id, sizeof(t.id));
        rc = ranges_decode(&r, &uids) ? put(d, &op) : ERR_CORRUPT;
        if (rc == 0)
            rc = index_transfer_seek(d->txn, t.id, true, &t);
    }
    return end_of_walk(rc);
}

/* After the mailboxes. */
static int put_acls(struct base_dump *d)
{
    struct mailbox_info m;
    uint32_t id = 0;
    int rc;
    while ((rc = index_mailbox_seek(d->txn, id + 1, &m)) == 0) {
        struct index_acl a = {SPAN_EMPTY, 0};
        id = m.id;
        while ((rc = index_acl_seek(d->txn, id, a.identifier, &a)) == 0) {
            struct op op = {.kind = OP_ACL, .acl = {id, 0, a.identifier, a.rights}};
            rc = put(d, &op);
            if (rc)
                return rc;
        }
        if (rc != ERR_NOT_FOUND)
            return rc;
    }
    return end_of_walk(rc);
}

/* After the mailboxes. */
static int put_seen(struct base_dump *d)
{
    struct mailbox_info m;
    uint32_t id = 0;
    int rc;
    while ((rc = index_mailbox_seek(d->txn, id + 1, &m)) == 0) {
        struct span user = SPAN_EMPTY;
        id = m.id;
        while ((rc = index_seen_seek(d->txn, id, user, &user)) == 0) {
            autoranges uids = RANGES_INIT;
            struct op op = {.kind = OP_SEEN, .seen = {id, 0, true, user, &uids}};
            rc = index_seen_get(d->txn, id, user, &uids);
            if (rc == 0)
                rc = put(d, &op);
            if (rc)
                return rc;
        }
        if (rc != ERR_NOT_FOUND)
            return rc;
    }
    return end_of_walk(rc);
}

static int put_url_keys(struct base_dump *d)
{
    static const unsigned char lowest[URL_KEY_MAILBOX];
    struct index_url_key at;
    int rc = index_url_key_seek(d->txn, lowest, false, &at);
    while (rc == 0) {
        struct op op = {.kind = OP_URLAUTH_KEY, .urlauth_key.present = true};
        memcpy(op.urlauth_key.mailbox, at.mailbox, sizeof(at.mailbox));
        memcpy(op.urlauth_key.key, at.key, sizeof(at.key));
        rc = put(d, &op);
        if (rc == 0)
            rc = index_url_key_seek(d->txn, at.mailbox, true, &at);
    }
    return end_of_walk(rc);
}

/* --- messages --- */

static bool in_empty(const struct base_dump *d, uint64_t segment)
{
    size_t lo = 0, hi = d->empty_count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (d->empty[mid] < segment)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < d->empty_count && d->empty[lo] == segment;
}

/* One frame with one message's bytes. Damaged ones stay where they are: the segment is then not
 * dropped, and people may still read what is left. */
static int move(struct base_dump *d, uint64_t id, const struct message_location *w, bool *ret_done)
{
    struct op op = {.kind = OP_BASE_MESSAGE};
    struct op_body body = {.payload = {.length = w->length, .crc = w->crc}};
    struct log_frame frame;
    buf_reset(&d->payload);
    *ret_done = false;
    if (log_read(d->from, w->segment, w->offset, (size_t)w->length, &d->payload, NULL) ||
        crc32c(0, d->payload.p, d->payload.n) != w->crc)
        return 0;
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    op.base_message = (struct op_base_message){id, body};
    op_put(&ops, &op);
    struct span payload = buf_span(&d->payload);
    int rc =
        log_base_put(d->to, FRAME_BASE, FRAME_VERSION, buf_span(&ops), &payload, 1, &frame, d->err);
    buf_reset(&d->payload);
    if (rc)
        return rc;
    body.external = true;
    body.segment = frame.segment;
    body.payload.offset = frame.payload_offset;
    buf_put(&d->moved, &(struct moved_message){id, body}, sizeof(struct moved_message));
    *ret_done = true;
    return 0;
}

static int put_message(struct base_dump *d, uint64_t id, const struct message_location *w)
{
    struct op op = {.kind = OP_BASE_MESSAGE};
    bool moved = false;
    int rc = in_empty(d, w->segment) && w->length <= LOG_PAYLOAD_MAX ? move(d, id, w, &moved) : 0;
    if (rc || moved)
        return rc;
    struct op_body body = {.external = true, .segment = w->segment};
    body.payload = (struct payload_header){.offset = w->offset, .length = w->length, .crc = w->crc};
    op.base_message = (struct op_base_message){id, body};
    return put(d, &op);
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return x < y ? -1 : x > y;
}

/* Message ids of ghosts, one for each, ascending. */
static int ghost_ids(struct base_dump *d, struct buf *ret)
{
    uint32_t mailbox = 0, uid = 0;
    uint64_t modseq;
    struct row row;
    int rc;
    while ((rc = index_ghost_seek(d->txn, mailbox, uid, &mailbox, &row, &modseq)) == 0) {
        buf_put(ret, &row.message_id, sizeof(row.message_id));
        uid = row.uid + 1;
    }
    if (ret->n)
        qsort(ret->p, ret->n / 8, 8, compare_ids);
    return end_of_walk(rc);
}

/* Ghosts belong to sessions: a message that only they refer to is not part of the state. */
static int put_messages(struct base_dump *d, const struct index_state *s)
{
    autobuf ghosts = BUF_INIT(BUF_UNLIMITED);
    struct index_message m;
    uint64_t id, n = 0, ghost = 0;
    size_t at = 0;
    int rc = ghost_ids(d, &ghosts);
    if (rc == 0)
        rc = index_message_seek(d->txn, 1, &id, &m);
    while (rc == 0) {
        uint32_t by_ghosts = 0;
        for (; at < ghosts.n; at += 8) {
            memcpy(&ghost, ghosts.p + at, 8);
            if (ghost > id)
                break;
            by_ghosts += ghost == id;
        }
        if (m.refs > by_ghosts)
            rc = put_message(d, id, &m.where);
        if (rc == 0 && ++n % 1024 == 0 && d->progress)
            d->progress(d->ctx, n, s->messages);
        if (rc == 0 && cancelled(d))
            rc = ERR_CLOSED;
        if (rc == 0)
            rc = index_message_seek(d->txn, id + 1, &id, &m);
    }
    return end_of_walk(rc);
}

/* --- rows and memory of expunges --- */

static int put_rows(struct base_dump *d, uint32_t mailbox)
{
    struct op op = {.kind = OP_BASE_ROW, .base_row.mailbox = mailbox};
    struct row_iter it;
    int rc = rows_begin(&it, d->txn, mailbox);
    if (rc)
        return rc;
    for (rc = rows_seek(&it, 1, &op.base_row.row); rc == 0; rc = rows_next(&it, &op.base_row.row)) {
        rc = put(d, &op);
        if (rc)
            break;
    }
    rows_end(&it);
    return end_of_walk(rc);
}

static int put_gone(struct base_dump *d, uint32_t mailbox, uint64_t forgotten)
{
    struct index_gone gone;
    int rc = index_gone_seek(d->txn, mailbox, forgotten, &gone);
    while (rc == 0) {
        autoranges uids = RANGES_INIT;
        rc = index_gone_uids(d->txn, &gone, &uids);
        struct op op = {.kind = OP_BASE_EXPUNGED,
                        .base_expunged = {mailbox, gone.modseq, gone.time, &uids}};
        if (rc == 0)
            rc = put(d, &op);
        if (rc == 0)
            rc = index_gone_next(d->txn, mailbox, &gone);
    }
    return end_of_walk(rc);
}

static int put_contents(struct base_dump *d)
{
    struct mailbox_info m;
    int rc = index_mailbox_seek(d->txn, 1, &m);
    while (rc == 0) {
        uint32_t id = m.id;
        rc = put_rows(d, id);
        if (rc == 0)
            rc = put_gone(d, id, m.forgotten_modseq);
        if (rc == 0)
            rc = id == UINT32_MAX ? ERR_NOT_FOUND : index_mailbox_seek(d->txn, id + 1, &m);
    }
    return end_of_walk(rc);
}

static int put_segments(struct base_dump *d)
{
    struct index_dead dead;
    uint64_t from = 0;
    int rc;
    while ((rc = index_dead_seek(d->txn, from, &dead)) == 0) {
        struct op op = {.kind = OP_BASE_SEGMENT,
                        .base_segment = {dead.segment, dead.messages, dead.bytes}};
        if (!in_empty(d, dead.segment))
            rc = put(d, &op);
        if (rc)
            break;
        from = dead.segment + 1;
    }
    return end_of_walk(rc);
}

int base_dump(struct base_dump *d)
{
    struct index_state s;
    buf_init(&d->ops, BUF_UNLIMITED);
    buf_init(&d->payload, BUF_UNLIMITED);
    buf_init(&d->moved, BUF_UNLIMITED);
    int rc = put_begin(d, &s);
    if (rc == 0)
        rc = put_keywords(d, &s);
    if (rc == 0)
        rc = put_quotas(d);
    if (rc == 0)
        rc = put_mailboxes(d);
    if (rc == 0)
        rc = put_metadata(d);
    if (rc == 0)
        rc = put_subscriptions(d, s.modseq);
    if (rc == 0)
        rc = put_deliveries(d, s.applied_time);
    if (rc == 0)
        rc = put_transfers(d);
    if (rc == 0)
        rc = put_url_keys(d);
    if (rc == 0)
        rc = put_acls(d);
    if (rc == 0)
        rc = put_seen(d);
    if (rc == 0)
        rc = flush(d); /* the frames of moved messages come next */
    if (rc == 0)
        rc = put_messages(d, &s);
    if (rc == 0)
        rc = put_contents(d);
    if (rc == 0)
        rc = put_segments(d);
    struct op end = {.kind = OP_BASE_END, .base_end = {s.messages, s.bytes}};
    if (rc == 0)
        rc = put(d, &end);
    if (rc == 0)
        rc = flush(d);
    buf_done(&d->ops);
    buf_done(&d->payload);
    return rc;
}
