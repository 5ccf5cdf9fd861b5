/* Operations on messages. */
#include "store/apply_int.h"

/* Expunges are remembered for a year and a month (DESIGN: at least a year), as the times in the log
 * tell. */
#define REMEMBER_US (400ULL * 24 * 3600 * 1000000)

static int mailbox_get(struct apply *a, uint32_t id, struct mailbox_info *ret)
{
    return index_mailbox_edit(a->txn, id, ret);
}

/* --- append --- */

/* Where messages come to. */
static int target_get(struct apply *a, uint32_t id, uint64_t modseq, struct mailbox_info *ret)
{
    int rc = mailbox_get(a, id, ret);
    if (rc == ERR_NOT_FOUND)
        rc = apply_found_again(a, id, modseq);
    else
        return rc;
    return rc ? rc : mailbox_get(a, id, ret);
}

int apply_append(struct apply *a, const struct op_append *op)
{
    struct row row = {
        .uid = op->uid,
        .flags = op->flags,
        .keyword_count = op->keyword_count,
        .keywords = op->keywords,
        .message_id = op->message_id,
        .modseq = op->modseq,
        .created_modseq = op->created_modseq,
        .size = op->size,
        .internal_date = op->internal_date,
        .save_date = op->save_date,
    };
    struct row_appender *appender;
    struct message_location where;
    struct mailbox_info m;
    int rc = target_get(a, op->mailbox, op->modseq, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    if (op->uid < m.uidnext || op->uid == UINT32_MAX || op->message_id <= a->state.message_id)
        return apply_contradiction(a, "UID or message id was given out", op->uid);
    rc = apply_location(a, &op->body, &where);
    if (rc == 0)
        rc = index_message_put(a->txn, op->message_id, &where);
    if (rc == 0)
        rc = index_message_ref(a->txn, op->message_id, 1);
    if (rc == 0)
        rc = apply_appender(a, op->mailbox, &appender);
    if (rc == 0)
        rc = rows_append(appender, &row);
    if (rc)
        return apply_error(a, rc, "message cannot be added", op->message_id);
    apply_keywords_note(a, &row);
    a->state.message_id = op->message_id;
    apply_modseq(a, op->modseq);
    apply_count(a, &m, &row, 1);
    m.uidnext = op->uid + 1;
    m.highest_modseq = MAX(m.highest_modseq, op->modseq);
    if (op->uidvalidity != 0) {
        m.uidvalidity = op->uidvalidity;
        a->state.uidvalidity = MAX(a->state.uidvalidity, op->uidvalidity);
    }
    return index_mailbox_put(a->txn, &m);
}

/* --- flags --- */

struct flags_ctx {
    struct apply *a;
    const struct op_flags *op;
    struct mailbox_info *m;
    bool any;
};

/* Both lists ascend. Replaces the row's keywords by the result, in room. False: too many. */
static bool merge_keywords(struct row *row, const struct op_flags *op, unsigned char *room)
{
    bool keep_common = op->keyword_mode == OP_KEYWORDS_ADD, keep_op = keep_common;
    size_t i = 0, j = 0, n = 0;

    while (i < row->keyword_count || j < op->keyword_count) {
        uint32_t x = i < row->keyword_count ? row_keyword(row, i) : UINT32_MAX;
        uint32_t y = j < op->keyword_count ? load_le16(op->keywords + 2 * j) : UINT32_MAX;
        uint32_t v = MIN(x, y);
        bool keep = x < y ? true : x > y ? keep_op : keep_common;

        i += x == v;
        j += y == v;
        if (!keep)
            continue;
        if (n == INDEX_KEYWORDS_MAX)
            return false;
        store_le16(room + 2 * n++, (uint16_t)v);
    }
    row->keyword_count = (uint16_t)n;
    row->keywords = room;
    return true;
}

static bool change_keywords(struct row *row, const struct op_flags *op, unsigned char *room)
{
    switch (op->keyword_mode) {
    case OP_KEYWORDS_KEEP:
        return true;
    case OP_KEYWORDS_REPLACE:
        row->keyword_count = op->keyword_count;
        row->keywords = op->keywords;
        return true;
    case OP_KEYWORDS_ADD:
    case OP_KEYWORDS_REMOVE:
        return op->keyword_count == 0 || merge_keywords(row, op, room);
    }
    return false;
}

static int edit_flags(void *ctx, struct row *row, unsigned char *room)
{
    struct flags_ctx *c = ctx;
    const struct op_flags *op = c->op;

    apply_count(c->a, c->m, row, -1);
    row->flags = (uint16_t)((row->flags & ~op->remove) | op->add);
    row->modseq = op->modseq;
    apply_count(c->a, c->m, row, 1);
    c->any = true;
    return change_keywords(row, op, room) ? ROW_CHANGED : ERR_LIMIT;
}

int apply_flags(struct apply *a, const struct op_flags *op)
{
    struct mailbox_info m;
    struct flags_ctx c = {.a = a, .op = op, .m = &m};
    int rc = mailbox_get(a, op->mailbox, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    rc = rows_edit(a->txn, op->mailbox, op->uids, edit_flags, &c);
    if (rc || !c.any)
        return rc;
    apply_modseq(a, op->modseq);
    m.highest_modseq = MAX(m.highest_modseq, op->modseq);
    if (op->keyword_mode == OP_KEYWORDS_ADD || op->keyword_mode == OP_KEYWORDS_REPLACE) {
        struct row used = {.keyword_count = op->keyword_count, .keywords = op->keywords};

        apply_keywords_note(a, &used);
        rc = apply_keywords_keep(a, op->mailbox);
    }
    return rc ? rc : index_mailbox_put(a->txn, &m);
}

static int edit_modseq(void *ctx, struct row *row, unsigned char *room)
{
    (void)room;
    row->modseq = *(const uint64_t *)ctx;
    return ROW_CHANGED;
}

int apply_seen(struct apply *a, const struct op_seen *op)
{
    autoranges seen = RANGES_INIT;
    uint64_t modseq = op->modseq;
    struct mailbox_info m;
    int rc = mailbox_get(a, op->mailbox, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    rc = index_seen_get(a->txn, op->mailbox, op->user, &seen);
    if (rc)
        return rc;
    if (op->seen)
        ranges_add_all(&seen, op->uids);
    else
        ranges_subtract(&seen, op->uids);
    rc = index_seen_put(a->txn, op->mailbox, op->user, &seen);
    if (rc)
        return apply_error(a, rc, "no such user", op->mailbox);
    if (modseq == 0)
        return 0;
    rc = rows_edit(a->txn, op->mailbox, op->uids, edit_modseq, &modseq);
    if (rc)
        return rc;
    apply_modseq(a, modseq);
    m.highest_modseq = MAX(m.highest_modseq, modseq);
    return index_mailbox_put(a->txn, &m);
}

/* --- copy --- */

struct copy_ctx {
    struct apply *a;
    const struct op_copy *op;
    struct mailbox_info *m; /* the target */
    struct row_appender *appender;
    size_t range;    /* of op->uids, that the last row was in */
    uint64_t before; /* UIDs in the ranges before it */
    uint64_t copied;
};

/* The UID of the copy is told by the place among op->uids, also where one is missing. */
static int edit_copy(void *ctx, struct row *row, unsigned char *room)
{
    struct copy_ctx *c = ctx;
    const struct range *v = c->op->uids->v;
    struct row copy = *row;
    int rc;

    (void)room;
    while (v[c->range].hi < row->uid) {
        c->before += (uint64_t)v[c->range].hi - v[c->range].lo + 1;
        c->range++;
    }
    copy.uid = c->op->first_uid + (uint32_t)(c->before + row->uid - v[c->range].lo);
    copy.modseq = copy.created_modseq = c->op->modseq;
    copy.save_date = c->op->save_date;
    rc = index_message_ref(c->a->txn, row->message_id, 1);
    if (rc == 0)
        rc = rows_append(c->appender, &copy);
    if (rc)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    apply_keywords_note(c->a, &copy);
    apply_count(c->a, c->m, &copy, 1);
    c->copied++;
    return ROW_KEEP;
}

int apply_copy(struct apply *a, const struct op_copy *op)
{
    uint64_t wanted = ranges_count(op->uids);
    struct mailbox_info source, target;
    struct copy_ctx c = {.a = a, .op = op, .m = &target};
    int rc = mailbox_get(a, op->mailbox, &source);

    if (rc == 0)
        rc = target_get(a, op->target, op->modseq, &target);
    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    if (op->first_uid < target.uidnext || wanted > UINT32_MAX - (uint64_t)op->first_uid)
        return apply_contradiction(a, "UID was given out", op->first_uid);
    rc = apply_appender(a, op->target, &c.appender);
    if (rc == 0)
        rc = rows_edit(a->txn, op->mailbox, op->uids, edit_copy, &c);
    if (rc == 0)
        rc = apply_settle(a);
    if (rc)
        return rc;
    if (c.copied != wanted && !a->options->lenient)
        return apply_contradiction(a, "messages to be copied are missing", wanted - c.copied);
    apply_modseq(a, op->modseq);
    target.uidnext = op->first_uid + (uint32_t)wanted;
    target.highest_modseq = MAX(target.highest_modseq, op->modseq);
    return index_mailbox_put(a->txn, &target);
}

/* --- expunge --- */

struct expunge_ctx {
    struct apply *a;
    struct mailbox_info *m;
    uint64_t modseq;
    bool ghosts;
    struct ranges gone;
};

static int edit_expunge(void *ctx, struct row *row, unsigned char *room)
{
    struct expunge_ctx *c = ctx;
    int rc;

    (void)room;
    if (c->ghosts)
        rc = index_ghost_put(c->a->txn, c->m->id, row, c->modseq);
    else
        rc = index_message_ref(c->a->txn, row->message_id, -1);
    if (rc)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    apply_count(c->a, c->m, row, -1);
    ranges_add(&c->gone, row->uid, row->uid);
    return ROW_DELETED;
}

static bool is_watched(struct apply *a, uint32_t mailbox)
{
    return a->options->watched && a->options->watched(a->options->ctx, mailbox);
}

static int expunge(struct apply *a, struct mailbox_info *m, uint64_t modseq,
                   const struct ranges *uids, struct ranges *ret_gone)
{
    struct expunge_ctx c = {
        .a = a, .m = m, .modseq = modseq, .ghosts = is_watched(a, m->id), .gone = RANGES_INIT};
    int rc = rows_edit(a->txn, m->id, uids, edit_expunge, &c);

    *ret_gone = c.gone;
    return rc;
}

int apply_empty(struct apply *a, struct mailbox_info *m, uint64_t modseq)
{
    autoranges gone = RANGES_INIT;

    return expunge(a, m, modseq, NULL, &gone);
}

static int forget_old(struct apply *a, struct mailbox_info *m)
{
    if (a->frame->time < REMEMBER_US)
        return 0;
    return index_gone_forget(a->txn, m->id, a->frame->time - REMEMBER_US, 4, &m->forgotten_modseq);
}

int apply_expunge(struct apply *a, const struct op_expunge *op)
{
    autoranges gone = RANGES_INIT;
    struct mailbox_info m;
    int rc = mailbox_get(a, op->mailbox, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    rc = expunge(a, &m, op->modseq, op->uids, &gone);
    if (rc)
        return rc;
    if (!a->options->lenient && ranges_count(&gone) != ranges_count(op->uids))
        return apply_contradiction(a, "messages to be expunged are missing", op->mailbox);
    if (gone.n == 0)
        return 0;
    rc = index_gone_add(a->txn, op->mailbox, op->modseq, a->frame->time, &gone);
    if (rc == 0)
        rc = forget_old(a, &m);
    apply_modseq(a, op->modseq);
    m.highest_modseq = MAX(m.highest_modseq, op->modseq);
    return rc ? rc : index_mailbox_put(a->txn, &m);
}

/* --- ghosts --- */

int ghosts_purge(struct index_txn *txn, uint32_t mailbox, uint64_t upto_modseq, uint32_t *ret_left)
{
    uint32_t at = mailbox, uid = 0, left = 0;
    uint64_t modseq;
    struct row row;
    int rc;

    while ((rc = index_ghost_seek(txn, at, uid, &at, &row, &modseq)) == 0) {
        if (mailbox != 0 && at != mailbox)
            break;
        uid = row.uid;
        if (modseq <= upto_modseq) {
            rc = index_message_ref(txn, row.message_id, -1);
            if (rc == 0)
                rc = index_ghost_del(txn, at, uid);
            if (rc)
                return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
        } else {
            left++;
        }
        /* UIDs end at UINT32_MAX - 1: apply_append. */
        uid++;
    }
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (ret_left)
        *ret_left = left;
    return 0;
}

bool ghosts_any(struct index_txn *txn)
{
    uint32_t mailbox;
    uint64_t modseq;
    struct row row;

    return index_ghost_seek(txn, 0, 0, &mailbox, &row, &modseq) == 0;
}
