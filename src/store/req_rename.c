/* RENAME: RFC 9051 section 6.3.6. Subscriptions stay with the names. */
#include "store/eval.h"
#include "store/names.h"

/* --- INBOX: its messages move to a new mailbox, itself and its inferiors stay --- */

static int visit_live(struct eval *e, const struct row *row)
{
    ranges_add(&e->r->result.uids, row->uid, row->uid);
    e->copied += row->size;
    return 0;
}

/* The messages may come into another quota root. */
static int check_room(struct eval *e, uint32_t *ret_root)
{
    int error = eval_root_of_new(e, buf_span(&e->name2), ret_root);
    if (error || *ret_root == e->mailbox.quota_root)
        return error;
    return eval_room(
        e, *ret_root,
        (uint64_t[QUOTA_RESOURCES]){
            [QUOTA_STORAGE] = e->copied, [QUOTA_MESSAGE] = ranges_count(&e->r->result.uids)});
}

/* Of a set of UIDs of INBOX those that move, with their new numbers: counted from 1. */
static void renumber(const struct ranges *moving, const struct ranges *seen, struct ranges *ret)
{
    autoranges both = RANGES_INIT;
    ranges_copy(&both, seen);
    ranges_intersect(&both, moving);
    for (size_t i = 0; i < both.n; i++)
        ranges_add(ret, (uint32_t)ranges_count_upto(moving, both.v[i].lo),
                   (uint32_t)ranges_count_upto(moving, both.v[i].hi));
}

/* What others than the owner have seen there, they have seen in the new mailbox. */
static int move_seen(struct eval *e, uint32_t target)
{
    struct span user = SPAN_EMPTY;
    int error;
    while ((error = index_seen_seek(e->txn, e->mailbox.id, user, &user)) == 0) {
        autoranges seen = RANGES_INIT, moved = RANGES_INIT;
        error = index_seen_get(e->txn, e->mailbox.id, user, &seen);
        if (error)
            return error;
        renumber(&e->r->result.uids, &seen, &moved);
        eval_put_seen(e, (struct op_seen){target, e->modseq, true, user, &moved});
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}

static int rename_inbox(struct eval *e)
{
    struct request *r = e->r;
    struct request_result *result = &r->result;
    struct range everything = {1, UINT32_MAX};
    const struct ranges all = {&everything, 1, 1};
    uint32_t root = 0;
    int error = eval_visit(e, e->mailbox.id, &all, NULL, visit_live);
    if (error == 0)
        error = check_room(e, &root);
    if (error == 0)
        error = eval_create(e, buf_span(&e->name2), 0, &result->mailbox, &result->uidvalidity);
    if (error == 0) /* RFC 5464 section 4.1: INBOX keeps them, too */
        error = eval_metadata_copy(e, e->mailbox.id, result->mailbox, root);
    if (error)
        return error;
    result->first_uid = 1;
    result->count = (uint32_t)ranges_count(&result->uids);
    result->modseq = e->modseq;
    if (result->count == 0)
        return 0;
    eval_put_copy(e, (struct op_copy){.mailbox = e->mailbox.id,
                                      .target = result->mailbox,
                                      .first_uid = 1,
                                      .modseq = e->modseq,
                                      .save_date = (int64_t)(e->now_us / 1000000),
                                      .uids = &result->uids});
    error = move_seen(e, result->mailbox);
    eval_put_expunge(e, (struct op_expunge){e->mailbox.id, e->modseq, &result->uids});
    eval_touch(e, e->mailbox.id);
    return error;
}

/* --- any other name, with its inferiors --- */

struct moved {
    uint32_t id, uidvalidity;
    struct span name; /* in the snapshot */
};

/* Entries of `from` and below that are mailboxes, as struct moved; ERR_NOT_FOUND if there is none.
 */
static int collect(struct eval *e, struct span from, struct buf *ret)
{
    struct mailbox_info info;
    int error = snap_mailbox_find(e->snap, from, &info);
    if (error == 0)
        buf_put(ret, &(struct moved){info.id, info.uidvalidity, info.name}, sizeof(struct moved));
    if (error && error != ERR_NOT_FOUND)
        return error;
    autobuf at = BUF_INIT(BUF_UNLIMITED);
    buf_put_span(&at, from);
    buf_put_byte(&at, MAILBOX_DELIMITER);
    struct mailbox_name entry = {buf_span(&at), 0, false};
    for (bool after = false;; after = true) {
        error = snap_name_seek(e->snap, entry.name, after, &entry);
        if (error == ERR_NOT_FOUND || (error == 0 && !mailbox_name_is_inferior(entry.name, from)))
            break;
        if (error)
            return error;
        if (entry.id != 0)
            buf_put(ret, &(struct moved){entry.id, 0, entry.name}, sizeof(struct moved));
    }
    return ret->n > 0 ? 0 : ERR_NOT_FOUND;
}

static int by_length(const void *a, const void *b)
{
    const struct moved *x = a, *y = b;
    return x->name.n < y->name.n ? -1 : x->name.n > y->name.n;
}

static int by_id(const void *a, const void *b)
{
    const struct moved *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool moves(const struct moved *sorted, size_t n, uint32_t id)
{
    struct moved key = {.id = id};
    return bsearch(&key, sorted, n, sizeof(*sorted), by_id);
}

static void new_name(struct buf *to, struct eval *e, struct span old)
{
    buf_reset(to);
    buf_put_span(to, buf_span(&e->name2));
    buf_put_span(to, span_skip(old, e->name.n));
}

/* Every new name must be possible and free, or become free by this very request. */
static int check_targets(struct eval *e, const struct moved *sorted, size_t n)
{
    autobuf name = BUF_INIT(BUF_UNLIMITED), form = BUF_INIT(BUF_UNLIMITED);
    for (size_t i = 0; i < n; i++) {
        struct mailbox_info info;
        new_name(&name, e, sorted[i].name);
        int error = mailbox_name_normalise(&form, buf_span(&name));
        if (error == 0)
            error = snap_mailbox_find(e->snap, buf_span(&form), &info);
        if (error == 0 && !moves(sorted, n, info.id))
            return ERR_EXISTS;
        if (error && error != ERR_NOT_FOUND)
            return error;
    }
    return 0;
}

/* The superiors of the new name, as CREATE would make them. */
static int put_superiors(struct eval *e)
{
    struct span superior = mailbox_name_superior(buf_span(&e->name2));
    struct mailbox_info info;
    uint32_t id, uidvalidity;
    if (superior.n == 0)
        return 0;
    int error = snap_mailbox_find(e->snap, superior, &info);
    return error == ERR_NOT_FOUND ? eval_create(e, superior, 0, &id, &uidvalidity) : error;
}

static void put_renames(struct eval *e, struct moved *m, size_t n)
{
    autobuf name = BUF_INIT(BUF_UNLIMITED);
    /* A new name that another of them still has belongs to a shorter old name (the new name is not
     * below the old one, so names can only meet where they shrink): shortest first. */
    qsort(m, n, sizeof(*m), by_length);
    for (size_t i = 0; i < n; i++) {
        new_name(&name, e, m[i].name);
        struct op_mailbox_rename op = {m[i].id, e->modseq, buf_span(&name)};
        op_put(e->ops, &(struct op){.kind = OP_MAILBOX_RENAME, .mailbox_rename = op});
        eval_touch(e, m[i].id);
    }
}

static int rename_tree(struct eval *e)
{
    autobuf list = BUF_INIT(BUF_UNLIMITED);
    struct span from = buf_span(&e->name), to = buf_span(&e->name2);
    int error = collect(e, from, &list);
    if (error == 0 && (span_eq(from, to) || mailbox_name_is_inferior(to, from)))
        error = ERR_INVALID;
    if (error)
        return error;
    struct moved *m = (struct moved *)(void *)list.p;
    size_t n = list.n / sizeof(*m);
    bool exists = span_eq(m[0].name, from);
    uint32_t id = exists ? m[0].id : 0, uidvalidity = exists ? m[0].uidvalidity : 0;
    qsort(m, n, sizeof(*m), by_id);
    error = check_targets(e, m, n);
    if (error == 0)
        error = put_superiors(e);
    if (error)
        return error;
    put_renames(e, m, n);
    e->r->result.modseq = e->modseq;
    e->r->result.mailbox = id;
    e->r->result.uidvalidity = uidvalidity;
    return 0;
}

int eval_rename(struct eval *e)
{
    struct request *r = e->r;
    struct mailbox_info info;
    if (e->phase == 0) {
        int error = eval_name(&e->name, r->name);
        if (error == 0)
            error = eval_name(&e->name2, r->new_name);
        if (error)
            return error;
        error = snap_mailbox_find(e->snap, buf_span(&e->name2), &info);
        if (error != ERR_NOT_FOUND)
            return error ? error : ERR_EXISTS;
        if (!mailbox_name_is_inbox(buf_span(&e->name)))
            return rename_tree(e);
        error = snap_mailbox_find(e->snap, buf_span(&e->name), &e->mailbox);
        if (error)
            return error;
        e->phase = 1;
    }
    return rename_inbox(e);
}
