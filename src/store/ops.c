/* The codec of operations; docs/log-format.md has every byte. */
#include "store/ops.h"

#include "store/rights.h"

#include "base/bytes.h"

enum { OP_VERSION = 1, OP_HEAD = 6 };

/* --- encoding --- */

static void put_signed(struct buf *b, int64_t v)
{
    put_varint(b, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void put_keywords(struct buf *b, uint16_t n, const unsigned char *ids)
{
    put_varint(b, n);
    if (n > 0)
        buf_put(b, ids, 2 * (size_t)n);
}

static void put_body(struct buf *b, const struct op_body *body)
{
    put_u8(b, body->external);
    if (body->external)
        put_varint(b, body->segment);
    payload_header_put(b, &body->payload);
}

static void put_append(struct buf *b, const struct op_append *o, bool import)
{
    put_varint(b, o->mailbox);
    put_varint(b, o->uid);
    put_varint(b, o->message_id);
    put_varint(b, o->modseq);
    put_varint(b, o->flags);
    put_signed(b, o->internal_date.seconds);
    put_signed(b, o->internal_date.zone_minutes);
    put_signed(b, o->save_date);
    put_varint(b, o->size);
    put_body(b, &o->body);
    put_keywords(b, o->keyword_count, o->keywords);
    if (import) {
        put_varint(b, o->uidvalidity);
        put_varint(b, o->created_modseq);
    }
}

static void put_flags(struct buf *b, const struct op_flags *o)
{
    put_varint(b, o->mailbox);
    put_varint(b, o->modseq);
    put_varint(b, o->add);
    put_varint(b, o->remove);
    put_u8(b, (uint8_t)o->keyword_mode);
    put_keywords(b, o->keyword_count, o->keywords);
    ranges_encode(b, o->uids);
}

static void put_base_mailbox(struct buf *b, const struct op_base_mailbox *o)
{
    put_varint(b, o->mailbox);
    put_varint(b, o->uidvalidity);
    put_varint(b, o->uidnext);
    put_varint(b, o->recent_uid);
    put_varint(b, o->special_use);
    put_varint(b, o->highest_modseq);
    put_varint(b, o->created_modseq);
    put_varint(b, o->forgotten_modseq);
    buf_put(b, o->object_id, sizeof(o->object_id));
    put_blob(b, o->name);
    put_blob(b, o->keyword_ids);
}

static void put_base_row(struct buf *b, const struct op_base_row *o)
{
    const struct row *r = &o->row;

    put_varint(b, o->mailbox);
    put_varint(b, r->uid);
    put_varint(b, r->message_id);
    put_varint(b, r->modseq);
    put_varint(b, r->created_modseq);
    put_varint(b, r->flags);
    put_signed(b, r->internal_date.seconds);
    put_signed(b, r->internal_date.zone_minutes);
    put_signed(b, r->save_date);
    put_varint(b, r->size);
    put_keywords(b, r->keyword_count, r->keywords);
}

static void put_base(struct buf *b, const struct op *op)
{
    switch (op->kind) {
    case OP_BASE_BEGIN:
        put_varint(b, op->base_begin.modseq);
        put_varint(b, op->base_begin.message_id);
        put_varint(b, op->base_begin.mailbox_id);
        put_varint(b, op->base_begin.uidvalidity);
        break;
    case OP_BASE_MAILBOX:
        put_base_mailbox(b, &op->base_mailbox);
        break;
    case OP_BASE_MESSAGE:
        put_varint(b, op->base_message.message_id);
        put_body(b, &op->base_message.body);
        break;
    case OP_BASE_ROW:
        put_base_row(b, &op->base_row);
        break;
    case OP_BASE_EXPUNGED:
        put_varint(b, op->base_expunged.mailbox);
        put_varint(b, op->base_expunged.modseq);
        put_varint(b, op->base_expunged.time);
        ranges_encode(b, op->base_expunged.uids);
        break;
    case OP_BASE_SEGMENT:
        put_varint(b, op->base_segment.segment);
        put_varint(b, op->base_segment.messages);
        put_varint(b, op->base_segment.bytes);
        break;
    case OP_BASE_END:
        put_varint(b, op->base_end.messages);
        put_varint(b, op->base_end.bytes);
        break;
    default:
        invariant(!"an operation of this kind");
    }
}

static void put_mailbox_op(struct buf *b, const struct op *op)
{
    switch (op->kind) {
    case OP_MAILBOX_CREATE:
        put_varint(b, op->mailbox_create.mailbox);
        put_varint(b, op->mailbox_create.modseq);
        put_varint(b, op->mailbox_create.uidvalidity);
        put_varint(b, op->mailbox_create.special_use);
        buf_put(b, op->mailbox_create.object_id, sizeof(op->mailbox_create.object_id));
        put_blob(b, op->mailbox_create.name);
        break;
    case OP_MAILBOX_DELETE:
        put_varint(b, op->mailbox_delete.mailbox);
        put_varint(b, op->mailbox_delete.modseq);
        break;
    case OP_MAILBOX_RENAME:
        put_varint(b, op->mailbox_rename.mailbox);
        put_varint(b, op->mailbox_rename.modseq);
        put_blob(b, op->mailbox_rename.name);
        break;
    case OP_SPECIAL_USE:
        put_varint(b, op->special_use.mailbox);
        put_varint(b, op->special_use.modseq);
        put_varint(b, op->special_use.special_use);
        break;
    case OP_SUBSCRIBE:
        put_varint(b, op->subscribe.modseq);
        put_u8(b, op->subscribe.subscribed);
        put_blob(b, op->subscribe.name);
        break;
    default:
        put_base(b, op);
    }
}

/* 0: the default, 1: none, else the limit and 2. */
static void put_quota(struct buf *b, const struct op_quota *o)
{
    put_varint(b, o->root);
    put_u8(b, o->exists);
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        put_varint(b, o->limit[i] == QUOTA_DEFAULT ? 0
                      : o->limit[i] == QUOTA_NONE  ? 1
                                                   : o->limit[i] + 2);
    put_blob(b, o->name);
}

static void put_fields(struct buf *b, const struct op *op)
{
    switch (op->kind) {
    case OP_KEYWORD:
        put_varint(b, op->keyword.id);
        put_blob(b, op->keyword.name);
        break;
    case OP_APPEND:
    case OP_IMPORT:
        put_append(b, &op->append, op->kind == OP_IMPORT);
        break;
    case OP_FLAGS:
        put_flags(b, &op->flags);
        break;
    case OP_COPY:
        put_varint(b, op->copy.mailbox);
        put_varint(b, op->copy.target);
        put_varint(b, op->copy.first_uid);
        put_varint(b, op->copy.modseq);
        put_signed(b, op->copy.save_date);
        ranges_encode(b, op->copy.uids);
        break;
    case OP_EXPUNGE:
        put_varint(b, op->expunge.mailbox);
        put_varint(b, op->expunge.modseq);
        ranges_encode(b, op->expunge.uids);
        break;
    case OP_RECENT:
        put_varint(b, op->recent.mailbox);
        put_varint(b, op->recent.recent_uid);
        break;
    case OP_RELOCATE:
        put_varint(b, op->relocate.message_id);
        put_body(b, &op->relocate.body);
        break;
    case OP_METADATA:
        put_varint(b, op->metadata.mailbox);
        put_varint(b, op->metadata.modseq);
        put_u8(b, op->metadata.removed);
        put_blob(b, op->metadata.owner);
        put_blob(b, op->metadata.name);
        put_blob(b, op->metadata.value);
        break;
    case OP_QUOTA:
        put_quota(b, &op->quota);
        break;
    case OP_QUOTA_ROOT:
        put_varint(b, op->quota_root.mailbox);
        put_varint(b, op->quota_root.root);
        break;
    case OP_SITE_NAME:
        buf_put(b, op->site_name.account.b, sizeof(op->site_name.account.b));
        put_blob(b, op->site_name.user);
        break;
    case OP_SITE_GONE:
        put_blob(b, op->site_name.user);
        break;
    case OP_SITE_MEMBER:
        put_u8(b, op->site_member.present);
        put_blob(b, op->site_member.group);
        put_blob(b, op->site_member.user);
        break;
    case OP_SITE_GRANT:
        put_blob(b, op->site_grant.owner);
        put_blob(b, op->site_grant.identifier);
        break;
    case OP_TRANSFER:
        put_u8(b, op->transfer.begins);
        buf_put(b, op->transfer.id, sizeof(op->transfer.id));
        if (op->transfer.begins) {
            put_varint(b, op->transfer.mailbox);
            put_blob(b, op->transfer.user);
            put_blob(b, op->transfer.name);
            ranges_encode(b, op->transfer.uids);
        }
        break;
    case OP_ACL:
        put_varint(b, op->acl.mailbox);
        put_varint(b, op->acl.modseq);
        put_blob(b, op->acl.identifier);
        put_varint(b, op->acl.rights);
        break;
    case OP_SEEN:
        put_varint(b, op->seen.mailbox);
        put_varint(b, op->seen.modseq);
        put_u8(b, op->seen.seen);
        put_blob(b, op->seen.user);
        ranges_encode(b, op->seen.uids);
        break;
    case OP_URLAUTH_KEY:
        put_u8(b, op->urlauth_key.present);
        if (op->urlauth_key.present) {
            buf_put(b, op->urlauth_key.mailbox, sizeof(op->urlauth_key.mailbox));
            buf_put(b, op->urlauth_key.key, sizeof(op->urlauth_key.key));
        }
        break;
    case OP_DELIVERY:
        buf_put(b, op->delivery.id, sizeof(op->delivery.id));
        put_varint(b, op->delivery.until);
        break;
    case OP_BASE_SETTLED:
        put_varint(b, op->base_settled.segment);
        break;
    default:
        put_mailbox_op(b, op);
    }
}

void op_put(struct buf *to, const struct op *op)
{
    size_t start = to->n;

    put_u8(to, (uint8_t)op->kind);
    put_u8(to, OP_VERSION);
    put_u32(to, 0);
    put_fields(to, op);
    if (buf_ok(to))
        store_le32(to->p + start + 2, (uint32_t)(to->n - start - OP_HEAD));
}

/* --- decoding --- */

struct decoder {
    struct reader r;
    struct ranges *uids;
};

static uint64_t get_number(struct decoder *d, uint64_t max)
{
    uint64_t v = read_varint(&d->r);

    if (v > max)
        d->r.bad = true;
    return v;
}

static uint32_t get_u32(struct decoder *d)
{
    return (uint32_t)get_number(d, UINT32_MAX);
}

static uint64_t get_long(struct decoder *d)
{
    return get_number(d, INDEX_NUMBER_MAX);
}

/* An id or UID: not 0. */
static uint32_t get_id(struct decoder *d)
{
    uint32_t v = get_u32(d);

    if (v == 0)
        d->r.bad = true;
    return v;
}

static int64_t get_signed(struct decoder *d, uint64_t max)
{
    uint64_t v = read_varint(&d->r);

    if (v >> 1 > max)
        d->r.bad = true;
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static uint16_t get_flags(struct decoder *d)
{
    return (uint16_t)get_number(d, UINT8_MAX);
}

static struct span get_text(struct decoder *d, size_t max)
{
    struct span s = read_blob(&d->r);

    if (s.n == 0 || s.n > max)
        d->r.bad = true;
    return s;
}

static void get_raw(struct decoder *d, void *to, size_t n)
{
    struct span s = read_bytes(&d->r, n);

    if (!d->r.bad)
        memcpy(to, s.p, n);
}

/* Ids are ascending and stand in the span. */
static void get_keywords(struct decoder *d, uint16_t *ret_n, const unsigned char **ret)
{
    uint64_t n = get_number(d, INDEX_KEYWORDS_MAX);
    struct span s = d->r.bad ? SPAN_EMPTY : read_bytes(&d->r, 2 * (size_t)n);
    uint16_t last = 0;

    for (size_t i = 0; !d->r.bad && i < n; i++) {
        uint16_t id = load_le16(s.p + 2 * i);

        if (id <= last || id > INDEX_KEYWORD_IDS)
            d->r.bad = true;
        last = id;
    }
    *ret_n = d->r.bad ? 0 : (uint16_t)n;
    *ret = (const unsigned char *)s.p;
}

static const struct ranges *get_uids(struct decoder *d)
{
    if (!ranges_decode(&d->r, d->uids) || d->uids->n == 0 || d->uids->v[0].lo == 0)
        d->r.bad = true;
    return d->uids;
}

static void get_body(struct decoder *d, struct op_body *body)
{
    uint8_t external = read_u8(&d->r);

    *body = (struct op_body){.external = external == 1};
    if (external > 1)
        d->r.bad = true;
    if (external)
        body->segment = get_u32(d);
    if (!payload_header_read(&d->r, &body->payload) || body->payload.offset > INDEX_LOCATION_MAX ||
        body->payload.length > INDEX_LOCATION_MAX)
        d->r.bad = true;
}

static void get_append(struct decoder *d, struct op_append *o, bool import)
{
    o->mailbox = get_id(d);
    o->uid = get_id(d);
    o->message_id = get_long(d);
    o->modseq = get_long(d);
    o->flags = get_flags(d);
    o->internal_date.seconds = get_signed(d, INDEX_NUMBER_MAX);
    o->internal_date.zone_minutes = (int16_t)get_signed(d, INT16_MAX);
    o->save_date = get_signed(d, INDEX_NUMBER_MAX);
    o->size = get_long(d);
    get_body(d, &o->body);
    get_keywords(d, &o->keyword_count, &o->keywords);
    o->uidvalidity = import ? get_u32(d) : 0;
    o->created_modseq = import ? get_long(d) : o->modseq;
}

static void get_op_flags(struct decoder *d, struct op_flags *o)
{
    uint8_t mode;

    o->mailbox = get_id(d);
    o->modseq = get_long(d);
    o->add = get_flags(d);
    o->remove = get_flags(d);
    mode = read_u8(&d->r);
    if (mode > OP_KEYWORDS_REPLACE)
        d->r.bad = true;
    o->keyword_mode = (enum op_keyword_mode)mode;
    get_keywords(d, &o->keyword_count, &o->keywords);
    o->uids = get_uids(d);
}

static void get_base_mailbox(struct decoder *d, struct op_base_mailbox *o)
{
    o->mailbox = get_id(d);
    o->uidvalidity = get_u32(d);
    o->uidnext = get_id(d);
    o->recent_uid = get_u32(d);
    o->special_use = get_u32(d);
    o->highest_modseq = get_long(d);
    o->created_modseq = get_long(d);
    o->forgotten_modseq = get_long(d);
    get_raw(d, o->object_id, sizeof(o->object_id));
    o->name = get_text(d, MAILBOX_NAME_MAX);
    o->keyword_ids = read_blob(&d->r);
    if (o->keyword_ids.n % 2 != 0 || o->keyword_ids.n > 2 * INDEX_KEYWORD_IDS)
        d->r.bad = true;
}

static void get_base_row(struct decoder *d, struct op_base_row *o)
{
    struct row *r = &o->row;

    o->mailbox = get_id(d);
    r->uid = get_id(d);
    r->message_id = get_long(d);
    r->modseq = get_long(d);
    r->created_modseq = get_long(d);
    r->flags = get_flags(d);
    r->internal_date.seconds = get_signed(d, INDEX_NUMBER_MAX);
    r->internal_date.zone_minutes = (int16_t)get_signed(d, INT16_MAX);
    r->save_date = get_signed(d, INDEX_NUMBER_MAX);
    r->size = get_long(d);
    get_keywords(d, &r->keyword_count, &r->keywords);
}

static void get_metadata(struct decoder *d, struct metadata_entry *o)
{
    o->mailbox = get_u32(d);
    o->modseq = get_long(d);
    o->removed = get_number(d, 1) != 0;
    o->owner = read_blob(&d->r);
    o->name = get_text(d, METADATA_ENTRY_MAX);
    o->value = read_blob(&d->r);
    if (o->owner.n > METADATA_OWNER_MAX || (o->owner.n && memchr(o->owner.p, 0, o->owner.n)) ||
        o->value.n > METADATA_VALUE_MAX || (o->removed && o->value.n))
        d->r.bad = true;
}

static void get_quota(struct decoder *d, struct op_quota *o)
{
    o->root = get_u32(d);
    o->exists = get_number(d, 1) != 0;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        uint64_t v = get_number(d, INDEX_NUMBER_MAX + 2);

        o->limit[i] = v == 0 ? QUOTA_DEFAULT : v == 1 ? QUOTA_NONE : v - 2;
    }
    o->name = read_blob(&d->r);
    if (o->name.n > QUOTA_NAME_MAX || (o->root == 0) != (o->name.n == 0))
        d->r.bad = true;
}

/* Each of the following knows some kinds and passes the others on; false: nobody knows it. */

static bool get_base(struct decoder *d, struct op *op)
{
    switch (op->kind) {
    case OP_BASE_BEGIN:
        op->base_begin.modseq = get_long(d);
        op->base_begin.message_id = get_long(d);
        op->base_begin.mailbox_id = get_u32(d);
        op->base_begin.uidvalidity = get_u32(d);
        return true;
    case OP_BASE_MAILBOX:
        get_base_mailbox(d, &op->base_mailbox);
        return true;
    case OP_BASE_MESSAGE:
        op->base_message.message_id = get_long(d);
        get_body(d, &op->base_message.body);
        return true;
    case OP_BASE_ROW:
        get_base_row(d, &op->base_row);
        return true;
    case OP_BASE_EXPUNGED:
        op->base_expunged.mailbox = get_id(d);
        op->base_expunged.modseq = get_long(d);
        op->base_expunged.time = read_varint(&d->r);
        op->base_expunged.uids = get_uids(d);
        return true;
    case OP_BASE_SEGMENT:
        op->base_segment.segment = get_u32(d);
        op->base_segment.messages = get_long(d);
        op->base_segment.bytes = get_long(d);
        return true;
    case OP_BASE_END:
        op->base_end.messages = get_long(d);
        op->base_end.bytes = read_varint(&d->r);
        return true;
    case OP_SITE_NAME:
        get_raw(d, op->site_name.account.b, sizeof(op->site_name.account.b));
        op->site_name.user = get_text(d, SITE_NAME_MAX);
        return true;
    case OP_SITE_GONE:
        op->site_name.user = get_text(d, SITE_NAME_MAX);
        return true;
    case OP_SITE_MEMBER:
        op->site_member.present = get_number(d, 1) != 0;
        op->site_member.group = get_text(d, SITE_NAME_MAX);
        op->site_member.user = get_text(d, SITE_NAME_MAX);
        return true;
    case OP_SITE_GRANT:
        op->site_grant.owner = get_text(d, SITE_NAME_MAX);
        op->site_grant.identifier = get_text(d, IDENTIFIER_MAX);
        return true;
    case OP_METADATA:
        get_metadata(d, &op->metadata);
        return true;
    case OP_QUOTA:
        get_quota(d, &op->quota);
        return true;
    case OP_QUOTA_ROOT:
        op->quota_root.mailbox = get_id(d);
        op->quota_root.root = get_u32(d);
        return true;
    case OP_TRANSFER:
        op->transfer.begins = get_number(d, 1) != 0;
        get_raw(d, op->transfer.id, sizeof(op->transfer.id));
        if (op->transfer.begins) {
            op->transfer.mailbox = get_id(d);
            op->transfer.user = get_text(d, SITE_NAME_MAX);
            op->transfer.name = get_text(d, MAILBOX_NAME_MAX);
            op->transfer.uids = get_uids(d);
        }
        return true;
    case OP_ACL:
        op->acl.mailbox = (uint32_t)get_number(d, UINT32_MAX);
        op->acl.modseq = get_long(d);
        op->acl.identifier = get_text(d, IDENTIFIER_MAX);
        op->acl.rights = (uint32_t)get_number(d, RIGHTS_ALL);
        return true;
    case OP_SEEN:
        op->seen.mailbox = get_id(d);
        op->seen.modseq = get_long(d);
        op->seen.seen = get_number(d, 1) != 0;
        op->seen.user = get_text(d, SITE_NAME_MAX);
        op->seen.uids = get_uids(d);
        return true;
    case OP_URLAUTH_KEY:
        op->urlauth_key.present = get_number(d, 1) != 0;
        if (op->urlauth_key.present) {
            get_raw(d, op->urlauth_key.mailbox, sizeof(op->urlauth_key.mailbox));
            get_raw(d, op->urlauth_key.key, sizeof(op->urlauth_key.key));
        }
        return true;
    case OP_DELIVERY:
        get_raw(d, op->delivery.id, sizeof(op->delivery.id));
        op->delivery.until = get_long(d);
        return true;
    case OP_BASE_SETTLED:
        op->base_settled.segment = get_long(d);
        return true;
    default:
        return false;
    }
}

static bool get_mailbox_op(struct decoder *d, struct op *op)
{
    switch (op->kind) {
    case OP_MAILBOX_CREATE:
        op->mailbox_create.mailbox = get_id(d);
        op->mailbox_create.modseq = get_long(d);
        op->mailbox_create.uidvalidity = get_id(d);
        op->mailbox_create.special_use = get_u32(d);
        get_raw(d, op->mailbox_create.object_id, sizeof(op->mailbox_create.object_id));
        op->mailbox_create.name = get_text(d, MAILBOX_NAME_MAX);
        return true;
    case OP_MAILBOX_DELETE:
        op->mailbox_delete.mailbox = get_id(d);
        op->mailbox_delete.modseq = get_long(d);
        return true;
    case OP_MAILBOX_RENAME:
        op->mailbox_rename.mailbox = get_id(d);
        op->mailbox_rename.modseq = get_long(d);
        op->mailbox_rename.name = get_text(d, MAILBOX_NAME_MAX);
        return true;
    case OP_SPECIAL_USE:
        op->special_use.mailbox = get_id(d);
        op->special_use.modseq = get_long(d);
        op->special_use.special_use = get_u32(d);
        return true;
    case OP_SUBSCRIBE:
        op->subscribe.modseq = get_long(d);
        op->subscribe.subscribed = get_number(d, 1) != 0;
        op->subscribe.name = get_text(d, MAILBOX_NAME_MAX);
        return true;
    default:
        return get_base(d, op);
    }
}

static bool get_fields(struct decoder *d, struct op *op)
{
    switch (op->kind) {
    case OP_KEYWORD:
        op->keyword.id = (uint16_t)get_number(d, INDEX_KEYWORD_IDS);
        op->keyword.name = get_text(d, KEYWORD_NAME_MAX);
        return true;
    case OP_APPEND:
    case OP_IMPORT:
        get_append(d, &op->append, op->kind == OP_IMPORT);
        return true;
    case OP_FLAGS:
        get_op_flags(d, &op->flags);
        return true;
    case OP_COPY:
        op->copy.mailbox = get_id(d);
        op->copy.target = get_id(d);
        op->copy.first_uid = get_id(d);
        op->copy.modseq = get_long(d);
        op->copy.save_date = get_signed(d, INDEX_NUMBER_MAX);
        op->copy.uids = get_uids(d);
        return true;
    case OP_EXPUNGE:
        op->expunge.mailbox = get_id(d);
        op->expunge.modseq = get_long(d);
        op->expunge.uids = get_uids(d);
        return true;
    case OP_RECENT:
        op->recent.mailbox = get_id(d);
        op->recent.recent_uid = get_u32(d);
        return true;
    case OP_RELOCATE:
        op->relocate.message_id = get_long(d);
        get_body(d, &op->relocate.body);
        return true;
    default:
        return get_mailbox_op(d, op);
    }
}

void op_reader_init(struct op_reader *r, struct span ops)
{
    *r = (struct op_reader){.left = ops};
}

void op_reader_done(struct op_reader *r)
{
    ranges_done(&r->uids);
}

/* The head and the extent of the next operation. */
static bool next_head(struct span *left, uint8_t *ret_kind, uint8_t *ret_version,
                      struct span *ret_body)
{
    uint32_t n;

    if (left->n < OP_HEAD)
        return false;
    *ret_kind = (uint8_t)left->p[0];
    *ret_version = (uint8_t)left->p[1];
    n = load_le32(left->p + 2);
    if (n > left->n - OP_HEAD)
        return false;
    *ret_body = span_make(left->p + OP_HEAD, n);
    *left = span_skip(*left, OP_HEAD + (size_t)n);
    return true;
}

int op_next(struct op_reader *r, struct op *ret, struct err *err)
{
    struct decoder d = {.uids = &r->uids};
    struct span body;
    uint8_t kind, version;

    if (r->left.n == 0)
        return ERR_NOT_FOUND;
    if (!next_head(&r->left, &kind, &version, &body))
        return err_set(err, ERR_CORRUPT, "operations end within one");
    ret->kind = (enum op_kind)kind;
    if (kind >= OP_OPTIONAL && kind != OP_DELIVERY && kind != OP_BASE_SETTLED)
        return 0;
    d.r = reader_make(body);
    if (version != OP_VERSION || !get_fields(&d, ret))
        return err_set(err, ERR_VERSION, "operation %u version %u is unknown", kind, version);
    if (d.r.bad || reader_left(&d.r) > 0)
        return err_set(err, ERR_CORRUPT, "operation %u is malformed", kind);
    return 0;
}

size_t ops_count(struct span ops)
{
    struct span body;
    uint8_t kind, version;
    size_t n = 0;

    while (ops.n > 0 && next_head(&ops, &kind, &version, &body))
        n++;
    return ops.n > 0 ? 0 : n;
}
