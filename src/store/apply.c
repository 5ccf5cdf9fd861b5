#include "store/apply_int.h"

/* --- shared --- */

int apply_contradiction(struct apply *a, const char *what, uint64_t which)
{
    if (a->options->lenient)
        return 0;
    return err_set(a->err, ERR_CORRUPT, "frame %llu: %s (%llu)", (unsigned long long)a->frame->seq,
                   what, (unsigned long long)which);
}

int apply_error(struct apply *a, int rc, const char *what, uint64_t which)
{
    return rc == ERR_NOT_FOUND || rc == ERR_INVALID ? apply_contradiction(a, what, which) : rc;
}

void apply_count(struct apply *a, struct mailbox_info *m, const struct row *row, int sign)
{
    uint32_t one = (uint32_t)sign;
    uint64_t size = sign > 0 ? row->size : -row->size;

    m->exists += one;
    m->bytes += size;
    if (!(row->flags & FLAG_SEEN))
        m->unseen += one;
    if (row->flags & FLAG_DELETED) {
        m->deleted += one;
        m->deleted_bytes += size;
    }
    a->state.messages += (uint64_t)(int64_t)sign;
    a->state.bytes += size;
    apply_quota_add(a, m->quota_root, QUOTA_STORAGE, size);
    apply_quota_add(a, m->quota_root, QUOTA_MESSAGE, (uint64_t)(int64_t)sign);
}

int apply_appender(struct apply *a, uint32_t mailbox, struct row_appender **ret)
{
    int rc = 0;

    if (a->appender && a->appender_mailbox != mailbox)
        rc = apply_settle(a);
    if (rc == 0 && !a->appender) {
        a->appender_mailbox = mailbox;
        rc = rows_append_begin(a->txn, mailbox, &a->appender);
    }
    if (rc == 0)
        *ret = a->appender;
    return rc;
}

int apply_settle(struct apply *a)
{
    struct row_appender *appender = take_ptr(a->appender);
    int rc = appender ? rows_append_end(appender) : 0;

    return rc || !appender ? rc : apply_keywords_keep(a, a->appender_mailbox);
}

void apply_keywords_note(struct apply *a, const struct row *row)
{
    for (size_t i = 0; i < row->keyword_count; i++) {
        uint16_t id = row_keyword(row, i);

        if (id <= INDEX_KEYWORD_IDS)
            a->keywords[id / 64] |= 1ULL << id % 64;
        a->keywords_seen = true;
    }
}

int apply_keywords_keep(struct apply *a, uint32_t mailbox)
{
    int rc = 0;

    if (!a->keywords_seen)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(a->keywords); i++) {
        for (uint64_t left = a->keywords[i]; rc == 0 && left; left &= left - 1)
            rc = index_mailbox_keyword(a->txn, mailbox,
                                       (uint16_t)(i * 64 + (unsigned)__builtin_ctzll(left)));
    }
    memset(a->keywords, 0, sizeof(a->keywords));
    a->keywords_seen = false;
    return rc;
}

int apply_location(struct apply *a, const struct op_body *body, struct message_location *ret)
{
    const struct payload_header *p = &body->payload;
    const struct log_frame *f = a->frame;

    if (p->codec != 0 || p->key_id != 0)
        return err_set(a->err, ERR_VERSION, "frame %llu: codec %u, key %u",
                       (unsigned long long)f->seq, p->codec, p->key_id);
    if (body->external) {
        *ret = (struct message_location){body->segment, p->offset, p->length, p->crc};
        return 0;
    }
    if (p->offset > f->payload_length || p->length > f->payload_length - p->offset)
        return err_set(a->err, ERR_CORRUPT, "frame %llu: message outside of the payload",
                       (unsigned long long)f->seq);
    *ret = (struct message_location){f->segment, f->payload_offset + p->offset, p->length, p->crc};
    return 0;
}

/* --- keywords and mailboxes --- */

static int apply_keyword(struct apply *a, const struct op_keyword *op)
{
    if (op->id <= a->state.keyword_id)
        return apply_contradiction(a, "keyword id was given out", op->id);
    a->state.keyword_id = op->id;
    return index_keyword_put(a->txn, op->id, op->name);
}

/* An entry of the name table, empty if there is none. */
static int name_get(struct apply *a, struct span name, struct index_name *ret)
{
    int rc = index_name_get(a->txn, name, ret);

    if (rc == ERR_NOT_FOUND) {
        *ret = (struct index_name){.name = name};
        rc = 0;
    }
    return rc;
}

static int apply_create(struct apply *a, const struct op_mailbox_create *op)
{
    struct mailbox_info m = {
        .id = op->mailbox,
        .name = op->name,
        .uidvalidity = op->uidvalidity,
        .uidnext = 1,
        .highest_modseq = op->modseq,
        .created_modseq = op->modseq,
        .special_use = op->special_use,
    };
    struct index_name name;
    int rc = name_get(a, op->name, &name);

    if (rc)
        return rc;
    if (op->mailbox <= a->state.mailbox_id || name.id != 0)
        return apply_contradiction(a, "mailbox exists", op->mailbox);
    memcpy(m.object_id, op->object_id, sizeof(m.object_id));
    a->state.mailbox_id = op->mailbox;
    a->state.mailboxes++;
    a->state.uidvalidity = MAX(a->state.uidvalidity, op->uidvalidity);
    apply_modseq(a, op->modseq);
    name.id = op->mailbox;
    rc = index_name_put(a->txn, &name);
    return rc ? rc : index_mailbox_put(a->txn, &m);
}

int apply_found_again(struct apply *a, uint32_t mailbox, uint64_t modseq)
{
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    struct index_name name;
    uint64_t seconds = a->frame->time / 1000000;
    if (!a->options->lenient || mailbox == 0)
        return ERR_NOT_FOUND;
    int rc = name_get(a, SPAN("INBOX"), &name);
    if (rc)
        return rc;
    if (mailbox == 1 && name.id == 0) /* the first one of every account */
        buf_put_lit(&text, "INBOX");
    else
        buf_printf(&text, "Recovered-%u", mailbox);
    struct op_mailbox_create op = {.mailbox = mailbox,
                                   .modseq = modseq,
                                   .uidvalidity = a->state.uidvalidity + 1,
                                   .name = buf_span(&text)};
    if (seconds > op.uidvalidity && seconds < UINT32_MAX)
        op.uidvalidity = (uint32_t)seconds;
    memcpy(op.object_id, "recovered", 9);
    store_le32((char *)op.object_id + 12, mailbox);
    uint32_t highest = a->state.mailbox_id;
    a->state.mailbox_id = mailbox - 1;
    rc = apply_create(a, &op);
    a->state.mailbox_id = MAX(a->state.mailbox_id, highest);
    return rc;
}

static int name_release(struct apply *a, struct span old)
{
    struct index_name name;
    int rc = name_get(a, old, &name);

    name.id = 0;
    return rc ? rc : index_name_put(a->txn, &name);
}

static int apply_delete(struct apply *a, const struct op_mailbox_delete *op)
{
    struct mailbox_info m;
    int rc = index_mailbox_edit(a->txn, op->mailbox, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    apply_modseq(a, op->modseq);
    a->state.mailboxes--;
    apply_quota_add(a, m.quota_root, QUOTA_MAILBOX, (uint64_t)-1);
    rc = apply_empty(a, &m, op->modseq);
    if (rc == 0)
        rc = apply_metadata_drop(a, &m);
    if (rc == 0)
        rc = name_release(a, m.name);
    if (rc)
        return rc;
    rc = index_acl_clear(a->txn, op->mailbox);
    if (rc == 0)
        rc = index_seen_clear(a->txn, op->mailbox);
    if (rc)
        return rc;
    rc = index_url_key_del(a->txn, m.object_id);
    return rc && rc != ERR_NOT_FOUND ? rc : index_mailbox_del(a->txn, op->mailbox);
}

static int apply_rename(struct apply *a, const struct op_mailbox_rename *op)
{
    struct mailbox_info m;
    struct index_name name;
    int rc = index_mailbox_edit(a->txn, op->mailbox, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    rc = name_get(a, op->name, &name);
    if (rc)
        return rc;
    if (name.id != 0)
        return apply_contradiction(a, "name is taken", name.id);
    apply_modseq(a, op->modseq);
    rc = name_release(a, m.name);
    name.id = op->mailbox;
    if (rc == 0)
        rc = index_name_put(a->txn, &name);
    m.name = op->name;
    return rc ? rc : index_mailbox_put(a->txn, &m);
}

static int apply_special_use(struct apply *a, const struct op_special_use *op)
{
    struct mailbox_info m;
    int rc = index_mailbox_edit(a->txn, op->mailbox, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    apply_modseq(a, op->modseq);
    m.special_use = op->special_use;
    return index_mailbox_put(a->txn, &m);
}

static int apply_subscribe(struct apply *a, const struct op_subscribe *op)
{
    struct index_name name;
    int rc = name_get(a, op->name, &name);

    if (rc)
        return rc;
    apply_modseq(a, op->modseq);
    name.subscribed = op->subscribed;
    return index_name_put(a->txn, &name);
}

static int apply_recent(struct apply *a, const struct op_recent *op)
{
    struct mailbox_info m;
    int rc = index_mailbox_edit(a->txn, op->mailbox, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    m.recent_uid = MAX(m.recent_uid, op->recent_uid);
    return index_mailbox_put(a->txn, &m);
}

/* A message may have gone since compaction decided to move it. */
static int apply_relocate(struct apply *a, const struct op_relocate *op)
{
    struct message_location where;
    struct index_message m = {.refs = 0};
    int rc = index_message_get(a->txn, op->message_id, &m);

    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    rc = apply_location(a, &op->body, &where);
    /* A replay that began with the base that the message moved into. */
    if (rc == 0 && where.segment == m.where.segment && where.offset == m.where.offset)
        return 0;
    if (rc == 0)
        rc = index_dead_add(a->txn, m.where.segment, 1, m.where.length);
    if (rc == 0)
        rc = index_message_put(a->txn, op->message_id, &where);
    return apply_error(a, rc, "impossible location of message", op->message_id);
}

/* More than one for each that comes, so that there are never many that are too old. */
enum { FORGET_DELIVERIES = 4 };

static int apply_delivery(struct apply *a, const struct op_delivery *op)
{
    int rc = index_delivery_forget(a->txn, a->frame->time / 1000000, FORGET_DELIVERIES);

    return rc ? rc : index_delivery_put(a->txn, op->id, op->until);
}

static int apply_url_key(struct apply *a, const struct op_urlauth_key *op)
{
    static const unsigned char lowest[URL_KEY_MAILBOX];
    struct index_url_key k;

    if (op->present)
        return index_url_key_put(a->txn, op->mailbox, op->key);
    int rc = index_url_key_seek(a->txn, lowest, false, &k);
    while (rc == 0) {
        rc = index_url_key_del(a->txn, k.mailbox);
        if (rc == 0)
            rc = index_url_key_seek(a->txn, k.mailbox, true, &k);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int apply_transfer(struct apply *a, const struct op_transfer *op)
{
    struct index_transfer t = {.mailbox = op->mailbox, .user = op->user, .name = op->name};
    autobuf uids = BUF_INIT(BUF_UNLIMITED);
    int rc;

    if (op->begins) {
        memcpy(t.id, op->id, sizeof(t.id));
        ranges_encode(&uids, op->uids);
        t.uids = buf_span(&uids);
        return index_transfer_put(a->txn, &t);
    }
    rc = index_transfer_del(a->txn, op->id);
    return apply_error(a, rc, "no such transfer", 0);
}

static int apply_member(struct apply *a, const struct op_site_member *op)
{
    int rc = index_pair_put(a->txn, PAIR_MEMBER, op->group, op->user, op->present);
    if (rc == 0)
        rc = index_pair_put(a->txn, PAIR_GROUP, op->user, op->group, op->present);
    return apply_error(a, rc, "no such member", 0);
}

/* Whoever gets the name next is somebody else. */
static int leave_groups(struct apply *a, struct span user)
{
    struct span group;
    int rc;
    while ((rc = index_pair_seek(a->txn, PAIR_GROUP, user, SPAN_EMPTY, &group)) == 0) {
        autobuf name = BUF_INIT(BUF_UNLIMITED);
        buf_put_span(&name, group);
        rc = apply_member(a, &(struct op_site_member){false, buf_span(&name), user});
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int apply_site(struct apply *a, const struct op *op)
{
    int rc;

    if (op->kind == OP_SITE_NAME)
        return index_site_put(a->txn, op->site_name.user, op->site_name.account.b);
    rc = index_site_del(a->txn, op->site_name.user);
    if (rc == 0)
        rc = leave_groups(a, op->site_name.user);
    return apply_error(a, rc, "no such user", 0);
}

static int apply_grant(struct apply *a, const struct op_site_grant *op)
{
    int rc = index_pair_put(a->txn, PAIR_GRANT, op->identifier, op->owner, true);
    return apply_error(a, rc, "no such identifier", 0);
}

/* --- frames --- */

static int apply_op(struct apply *a, const struct op *op)
{
    int rc = op->kind == OP_APPEND || op->kind == OP_IMPORT || op->kind == OP_BASE_ROW
                 ? 0
                 : apply_settle(a);

    if (rc == 0 && a->quotas > APPLY_QUOTA_SLOTS - APPLY_QUOTA_PER_OP)
        rc = apply_quota_settle(a);
    if (rc)
        return rc;
    switch (op->kind) {
    case OP_KEYWORD:
        return apply_keyword(a, &op->keyword);
    case OP_MAILBOX_CREATE:
        return apply_create(a, &op->mailbox_create);
    case OP_MAILBOX_DELETE:
        return apply_delete(a, &op->mailbox_delete);
    case OP_MAILBOX_RENAME:
        return apply_rename(a, &op->mailbox_rename);
    case OP_SPECIAL_USE:
        return apply_special_use(a, &op->special_use);
    case OP_SUBSCRIBE:
        return apply_subscribe(a, &op->subscribe);
    case OP_APPEND:
    case OP_IMPORT:
        return apply_append(a, &op->append);
    case OP_FLAGS:
        return apply_flags(a, &op->flags);
    case OP_COPY:
        return apply_copy(a, &op->copy);
    case OP_EXPUNGE:
        return apply_expunge(a, &op->expunge);
    case OP_RECENT:
        return apply_recent(a, &op->recent);
    case OP_RELOCATE:
        return apply_relocate(a, &op->relocate);
    case OP_TRANSFER:
        return apply_transfer(a, &op->transfer);
    case OP_ACL:
        apply_modseq(a, op->acl.modseq);
        return apply_error(
            a, index_acl_put(a->txn, op->acl.mailbox, op->acl.identifier, op->acl.rights),
            "no such identifier", op->acl.mailbox);
    case OP_SEEN:
        return apply_seen(a, &op->seen);
    case OP_URLAUTH_KEY:
        return apply_url_key(a, &op->urlauth_key);
    case OP_DELIVERY:
        return apply_delivery(a, &op->delivery);
    case OP_BASE_SETTLED:
        a->state.base_segment = op->base_settled.segment;
        return 0;
    case OP_METADATA:
        return apply_metadata(a, &op->metadata);
    case OP_QUOTA:
    case OP_QUOTA_ROOT:
        return apply_quota_op(a, op);
    case OP_SITE_NAME:
    case OP_SITE_GONE:
        return apply_site(a, op);
    case OP_SITE_MEMBER:
        return apply_member(a, &op->site_member);
    case OP_SITE_GRANT:
        return apply_grant(a, &op->site_grant);
    default:
        return apply_base(a, op);
    }
}

/* A base begins an empty index and leaves it at its own sequence number, all other frames follow.
 */
static int apply_order(struct apply *a)
{
    const struct index_state *s = &a->state;
    const struct log_frame *f = a->frame;

    if (f->type == FRAME_BASE && f->base && (s->base || s->applied_seq == 0))
        return 0;
    if (f->type == FRAME_CHANGE && !s->base && f->version == FRAME_VERSION &&
        (f->seq == s->applied_seq + 1 || (a->options->lenient && f->seq > s->applied_seq)))
        return 0;
    if (f->type != FRAME_CHANGE && f->type != FRAME_BASE)
        return err_set(a->err, ERR_VERSION, "frame %llu has the unknown type %u",
                       (unsigned long long)f->seq, f->type);
    return err_set(a->err, ERR_CORRUPT, "frame %llu (type %u, version %u) does not follow %llu",
                   (unsigned long long)f->seq, f->type, f->version,
                   (unsigned long long)s->applied_seq);
}

/* One operation: ERR_AGAIN, or at the end 0. */
static int apply_one(struct apply *a, struct op_reader *reader)
{
    struct op op;
    int rc = op_next(reader, &op, a->err);

    if (rc == ERR_NOT_FOUND) {
        rc = apply_settle(a);
        return rc ? rc : apply_quota_settle(a);
    }
    if (rc == 0 && (op.kind < OP_OPTIONAL || op.kind == OP_DELIVERY || op.kind == OP_BASE_SETTLED))
        rc = apply_op(a, &op);
    if (rc)
        return rc;
    a->state.ops_since_checkpoint++;
    return ERR_AGAIN;
}

/* Before the first operation. */
static int frame_begin(struct apply *a)
{
    static const struct apply_options plain;
    int rc = index_state_get(a->txn, &a->state);

    if (!a->options)
        a->options = &plain;
    return rc ? rc : apply_order(a);
}

/* After the last one, or an error. */
static int frame_end(struct apply *a, struct span ops, int rc)
{
    /* After an error the stream is void, as is the whole transaction. */
    if (a->appender)
        (void)!rows_append_end(take_ptr(a->appender));
    if (rc) {
        if (a->err && a->err->code != rc)
            err_set(a->err, rc, "frame %llu: %s", (unsigned long long)a->frame->seq, err_name(rc));
        return rc;
    }
    if (!a->state.base)
        a->state.applied_seq = a->frame->seq;
    a->state.applied_time = a->frame->time;
    a->state.bytes_since_checkpoint += ops.n;
    return index_state_put(a->txn, &a->state);
}

/* Of a later version, which said that it may be skipped. */
static int frame_skip(struct index_txn *txn, const struct log_frame *frame)
{
    struct index_state state;
    int rc = index_state_get(txn, &state);

    state.applied_seq = frame->seq;
    return rc ? rc : index_state_put(txn, &state);
}

int apply_frame(struct index_txn *txn, const struct apply_options *options,
                const struct log_frame *frame, struct span ops, struct err *err)
{
    struct apply a = {.txn = txn, .options = options, .frame = frame, .err = err};
    struct op_reader reader;
    int rc;

    if (frame->type & LOG_FRAME_OPTIONAL)
        return frame_skip(txn, frame);
    op_reader_init(&reader, ops);
    rc = frame_begin(&a);
    if (rc == 0)
        do
            rc = apply_one(&a, &reader);
        while (rc == ERR_AGAIN);
    op_reader_done(&reader);
    return frame_end(&a, ops, rc);
}

struct applying {
    struct apply a;
    struct apply_options options;
    struct log_frame frame;
    struct op_reader reader;
    struct span ops;
    bool begun;
};

struct applying *apply_begin(struct index_txn *txn, const struct apply_options *options,
                             const struct log_frame *frame, struct span ops, struct err *err)
{
    struct applying *p = xnew(struct applying);

    p->frame = *frame;
    if (options)
        p->options = *options;
    p->a = (struct apply){.txn = txn, .options = &p->options, .frame = &p->frame, .err = err};
    p->ops = ops;
    op_reader_init(&p->reader, ops);
    return p;
}

int apply_step(struct applying *p)
{
    int rc = p->begun ? 0 : frame_begin(&p->a);

    p->begun = true;
    if (rc == 0)
        rc = apply_one(&p->a, &p->reader);
    if (rc == ERR_AGAIN)
        return rc;
    rc = frame_end(&p->a, p->ops, rc);
    op_reader_done(&p->reader);
    free(p);
    return rc;
}

void apply_cancel(struct applying *p)
{
    if (!p)
        return;
    if (p->a.appender)
        (void)!rows_append_end(take_ptr(p->a.appender));
    op_reader_done(&p->reader);
    free(p);
}

/* --- what needs no operation --- */

int apply_derived(struct index_txn *txn, uint64_t message_id, struct span derived)
{
    int rc = index_derived_put(txn, message_id, derived);

    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int segment_dead_seek(struct index_txn *txn, uint64_t from, struct segment_dead *ret)
{
    struct index_dead d;
    int rc = index_dead_seek(txn, from, &d);

    if (rc == 0)
        *ret = (struct segment_dead){d.segment, d.messages, d.bytes};
    return rc;
}

int segment_dead_forget(struct index_txn *txn, uint64_t segment)
{
    return index_dead_del(txn, segment);
}

int site_index_find(struct index_txn *txn, struct span user, struct account_id *ret)
{
    return index_site_get(txn, user, ret->b);
}

int site_index_seek(struct index_txn *txn, struct span from, bool after, struct span *ret_user,
                    struct account_id *ret)
{
    return index_site_seek(txn, from, after, ret_user, ret->b);
}
