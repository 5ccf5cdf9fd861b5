/* EXPUNGE, COPY, MOVE: RFC 9051 sections 6.4.3, 6.4.7, 6.4.8 (RFC 6851). */
#include "store/eval.h"

static const struct ranges *all_uids(void)
{
    static struct range everything = {1, UINT32_MAX};
    static const struct ranges all = {&everything, 1, 1};
    return &all;
}

/* --- EXPUNGE --- */

enum { FOUND_ALL = 1 };

static int visit_deleted(struct eval *e, const struct row *row)
{
    if (!(row->flags & FLAG_DELETED))
        return 0;
    struct request_result *result = &e->r->result;
    ranges_add(&result->uids, row->uid, row->uid);
    /* The mailbox knows how many there are: no need to read on behind the last one. */
    return ++result->count == e->mailbox.deleted ? FOUND_ALL : 0;
}

int eval_expunge(struct eval *e)
{
    struct request *r = e->r;
    int error = 0;
    if (e->phase == 0)
        error = snap_mailbox(e->snap, r->mailbox, &e->mailbox);
    e->phase = 1;
    if (error == 0 && e->mailbox.deleted > 0)
        error = eval_visit(e, r->mailbox, r->uids.n ? &r->uids : all_uids(), NULL, visit_deleted);
    if (error < 0)
        return error;
    r->result.mailbox = r->mailbox;
    r->result.uidvalidity = e->mailbox.uidvalidity;
    if (r->result.uids.n == 0)
        return 0;
    eval_put_expunge(e, (struct op_expunge){r->mailbox, e->modseq, &r->result.uids});
    r->result.modseq = e->modseq;
    eval_touch(e, r->mailbox);
    return 0;
}

/* --- COPY and MOVE --- */

static int visit_live(struct eval *e, const struct row *row)
{
    struct request_result *result = &e->r->result;
    ranges_add(&result->uids, row->uid, row->uid);
    if (e->r->seen_user.n && (row->flags & FLAG_SEEN)) {
        uint32_t uid = result->first_uid + result->count;
        ranges_add(&e->seen, uid, uid);
    }
    result->count++;
    e->copied += row->size;
    return 0;
}

/* A move within a root takes no room. */
static int check_room(struct eval *e)
{
    struct mailbox_info target;
    int error = snap_mailbox(e->snap, e->r->result.mailbox, &target);
    if (error || (e->r->kind == REQUEST_MOVE && target.quota_root == e->mailbox.quota_root))
        return error;
    return eval_room(e, target.quota_root,
                     (uint64_t[QUOTA_RESOURCES]){
                         [QUOTA_STORAGE] = e->copied, [QUOTA_MESSAGE] = e->r->result.count});
}

static int copy_begin(struct eval *e)
{
    struct request *r = e->r;
    struct mailbox_info target;
    int error = eval_name(&e->name, r->name);
    if (error == 0)
        error = snap_mailbox(e->snap, r->mailbox, &e->mailbox);
    if (error == 0)
        error = snap_mailbox_find(e->snap, buf_span(&e->name), &target);
    if (error)
        return error;
    /* A copy needs room in the index for good; a move frees as much as it takes. */
    if (e->space_low && r->kind == REQUEST_COPY)
        return ERR_NO_SPACE;
    r->result.mailbox = target.id;
    r->result.uidvalidity = target.uidvalidity;
    r->result.first_uid = target.uidnext;
    e->phase = 1;
    return 0;
}

int eval_copy(struct eval *e)
{
    struct request *r = e->r;
    struct request_result *result = &r->result;
    int error = e->phase == 0 ? copy_begin(e) : 0;
    if (error == 0)
        error = eval_visit(e, r->mailbox, &r->uids, &result->missing, visit_live);
    if (error)
        return error;
    uint64_t count = ranges_count(&result->uids);
    if (count > UINT32_MAX - result->first_uid)
        return ERR_LIMIT;
    result->count = (uint32_t)count;
    if (count == 0)
        return 0;
    error = check_room(e);
    if (error)
        return error;
    eval_put_copy(e, (struct op_copy){.mailbox = r->mailbox,
                                      .target = result->mailbox,
                                      .first_uid = result->first_uid,
                                      .modseq = e->modseq,
                                      .save_date = (int64_t)(e->now_us / 1000000),
                                      .uids = &result->uids});
    eval_put_seen(e, (struct op_seen){result->mailbox, e->modseq, true, r->seen_user, &e->seen});
    if (r->kind == REQUEST_MOVE) {
        eval_put_expunge(e, (struct op_expunge){r->mailbox, e->modseq, &result->uids});
        eval_touch(e, r->mailbox);
    }
    result->modseq = e->modseq;
    eval_touch(e, result->mailbox);
    return 0;
}
