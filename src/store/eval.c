#include "store/eval.h"

#include "base/random.h"
#include "store/names.h"

int eval_begin(struct eval *e, struct request *r)
{
    e->r = r;
    e->phase = 0;
    e->ops_start = e->ops->n;
    e->payload_start = e->payload->n;
    e->payload_bytes = 0;
    e->walk = (struct eval_walk){0, 0};
    buf_init(&e->name, BUF_UNLIMITED);
    buf_init(&e->name2, BUF_UNLIMITED);
    e->new_keywords = (struct map)MAP_INIT;
    e->keywords = NULL;
    e->eyes = (struct snap_eyes){.user = r->seen_user};
    e->seen = (struct ranges)RANGES_INIT;
    e->created = 0;
    e->copied = 0;
    int error = index_state_get(e->txn, &e->state);
    e->modseq = e->state.modseq + 1;
    e->last_mailbox = e->state.mailbox_id;
    e->last_uidvalidity = e->state.uidvalidity;
    e->last_keyword = e->state.keyword_id;
    return error;
}

void eval_done(struct eval *e)
{
    map_done(&e->new_keywords);
    buf_done(&e->name);
    buf_done(&e->name2);
    free(take_ptr(e->keywords));
    snap_eyes_done(&e->eyes);
    ranges_done(&e->seen);
}

int eval_step(struct eval *e)
{
    static int (*const steps[])(struct eval * e) = {
        [REQUEST_APPEND] = eval_append,
        [REQUEST_STORE] = eval_store,
        [REQUEST_EXPUNGE] = eval_expunge,
        [REQUEST_COPY] = eval_copy,
        [REQUEST_MOVE] = eval_copy,
        [REQUEST_CREATE] = eval_create_request,
        [REQUEST_DELETE] = eval_delete,
        [REQUEST_RENAME] = eval_rename,
        [REQUEST_SUBSCRIBE] = eval_subscribe,
        [REQUEST_UNSUBSCRIBE] = eval_subscribe,
        [REQUEST_SPECIAL_USE] = eval_special_use,
        [REQUEST_TRANSFER_BEGIN] = eval_transfer_begin,
        [REQUEST_TRANSFER_END] = eval_transfer_end,
        [REQUEST_TRANSFER_SETTLE] = eval_transfer_settle,
        [REQUEST_URL_KEY] = eval_url_key,
        [REQUEST_METADATA] = eval_metadata,
        [REQUEST_QUOTA] = eval_quota,
        [REQUEST_QUOTA_ROOT] = eval_quota_root,
        [REQUEST_ACL] = eval_acl,
    };
    size_t kind = e->r->kind;
    if (kind >= ARRAY_LEN(steps) || !steps[kind])
        return ERR_INVALID;
    e->snap->eyes = e->eyes.user.n ? &e->eyes : NULL;
    int error = steps[kind](e);
    e->snap->eyes = NULL;
    if (error != 0 && error != ERR_AGAIN) {
        buf_truncate(e->ops, e->ops_start);
        buf_truncate(e->payload, e->payload_start);
    }
    return error;
}

void eval_touch(struct eval *e, uint32_t mailbox)
{
    ranges_add(e->touched, mailbox, mailbox);
}

int eval_name(struct buf *to, struct span given)
{
    return mailbox_name_normalise(to, given);
}

/* --- keywords --- */

/* Ascending, without duplicates. ERR_LIMIT if there is no room for one more. */
static int keywords_insert(struct eval_keywords *k, uint16_t id)
{
    size_t at = k->n;
    while (at > 0 && k->ids[at - 1] >= id)
        at--;
    if (at < k->n && k->ids[at] == id)
        return 0;
    if (k->n == KEYWORDS_PER_MESSAGE)
        return ERR_LIMIT;
    memmove(k->ids + at + 1, k->ids + at, (k->n - at) * sizeof(*k->ids));
    k->ids[at] = id;
    k->n++;
    return 0;
}

/* A keyword that no message of the account had before: spelled as it was first used (RFC 9051
 * section 2.3.2 leaves the case of keywords to the first user), found in any case. */
static int keyword_new(struct eval *e, struct span name, uint16_t *ret_id)
{
    if (!keyword_name_valid(name))
        return ERR_INVALID;
    char lower[KEYWORD_NAME_MAX];
    for (size_t i = 0; i < name.n; i++)
        lower[i] = (char)ascii_lower((unsigned char)name.p[i]);
    struct span key = span_make(lower, name.n);
    uintptr_t id = (uintptr_t)map_get(&e->new_keywords, key);
    if (id == 0) {
        if (e->last_keyword >= KEYWORDS_PER_ACCOUNT)
            return ERR_LIMIT;
        id = ++e->last_keyword;
        /* The map wants pointers; ids begin at 1. */
        map_put(&e->new_keywords, key, (void *)id);
        op_put(e->ops, &(struct op){.kind = OP_KEYWORD, .keyword = {(uint16_t)id, name}});
    }
    *ret_id = (uint16_t)id;
    return 0;
}

int eval_keywords(struct eval *e, const struct span *names, size_t n, enum keyword_policy policy,
                  struct eval_keywords *ret)
{
    ret->n = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t id;
        int error = snap_keyword_find(e->snap, names[i], &id);
        if (error == ERR_NOT_FOUND && policy == KEYWORDS_EXISTING)
            continue;
        if (error == ERR_NOT_FOUND)
            error = keyword_new(e, names[i], &id);
        if (error == 0)
            error = keywords_insert(ret, id);
        if (error)
            return error;
    }
    return 0;
}

/* --- walking messages --- */

/* Moves the cursor to the first row >= from. Sets are often dense: try the next row before a
 * search from the root. */
static int move_to(struct row_cursor *c, uint32_t from, bool *at_row, struct row *row)
{
    if (*at_row && row->uid >= from)
        return 0;
    int error = 0;
    if (*at_row)
        error = row_cursor_next(c, row);
    if (error == 0 && (!*at_row || row->uid < from))
        error = row_cursor_seek(c, from, row);
    *at_row = error == 0;
    return error;
}

static void add_missing(struct ranges *missing, uint32_t lo, uint32_t hi)
{
    if (missing)
        ranges_add(missing, lo, hi);
}

int eval_visit(struct eval *e, uint32_t mailbox, const struct ranges *uids, struct ranges *missing,
               int (*visit)(struct eval *e, const struct row *row))
{
    struct row_cursor *c;
    int error = row_cursor_open(e->snap, mailbox, &c);
    if (error)
        return error;
    struct eval_walk *w = &e->walk;
    struct row row;
    bool at_row = false;
    for (size_t work = 0; w->range < uids->n && error == 0; work++) {
        const struct range *range = &uids->v[w->range];
        uint32_t from = MAX(w->uid, range->lo);
        if (work == EVAL_SLICE_ROWS) {
            error = ERR_AGAIN;
            break;
        }
        error = move_to(c, from, &at_row, &row);
        if (error && error != ERR_NOT_FOUND)
            break;
        bool hit = error == 0 && row.uid <= range->hi;
        error = 0;
        if (!hit || row.uid > from)
            add_missing(missing, from, hit ? row.uid - 1 : range->hi);
        if (hit)
            error = visit(e, &row);
        e->r->progress++;
        if (!hit || row.uid == range->hi)
            *w = (struct eval_walk){w->range + 1, 0};
        else
            w->uid = row.uid + 1;
    }
    row_cursor_close(c);
    return error;
}

/* --- operations on many messages --- */

/* The next up to EVAL_OP_UIDS numbers of a set, from *pos on; false at the end. */
static bool next_piece(const struct ranges *all, struct eval_walk *pos, struct ranges *piece)
{
    ranges_reset(piece);
    uint32_t room = EVAL_OP_UIDS;
    while (pos->range < all->n && room > 0) {
        const struct range *r = &all->v[pos->range];
        uint32_t lo = MAX(pos->uid, r->lo);
        uint32_t hi = r->hi - lo >= room ? lo + room - 1 : r->hi;
        ranges_add(piece, lo, hi);
        room -= hi - lo + 1;
        if (hi == r->hi)
            *pos = (struct eval_walk){pos->range + 1, 0};
        else
            pos->uid = hi + 1;
    }
    return piece->n > 0;
}

void eval_put_flags(struct eval *e, struct op_flags op)
{
    autoranges piece = RANGES_INIT;
    const struct ranges *all = op.uids;
    op.uids = &piece;
    for (struct eval_walk pos = {0, 0}; next_piece(all, &pos, &piece);)
        op_put(e->ops, &(struct op){.kind = OP_FLAGS, .flags = op});
}

void eval_put_seen(struct eval *e, struct op_seen op)
{
    autoranges piece = RANGES_INIT;
    const struct ranges *all = op.uids;
    op.uids = &piece;
    for (struct eval_walk pos = {0, 0}; next_piece(all, &pos, &piece);)
        op_put(e->ops, &(struct op){.kind = OP_SEEN, .seen = op});
}

void eval_put_copy(struct eval *e, struct op_copy op)
{
    autoranges piece = RANGES_INIT;
    const struct ranges *all = op.uids;
    op.uids = &piece;
    for (struct eval_walk pos = {0, 0}; next_piece(all, &pos, &piece);) {
        op_put(e->ops, &(struct op){.kind = OP_COPY, .copy = op});
        op.first_uid += (uint32_t)ranges_count(&piece);
    }
}

void eval_put_expunge(struct eval *e, struct op_expunge op)
{
    autoranges piece = RANGES_INIT;
    const struct ranges *all = op.uids;
    op.uids = &piece;
    for (struct eval_walk pos = {0, 0}; next_piece(all, &pos, &piece);)
        op_put(e->ops, &(struct op){.kind = OP_EXPUNGE, .expunge = op});
}

/* --- mailboxes --- */

/* Never repeated in the account, whatever was deleted or renamed (RFC 9051 section 2.3.1.1): the
 * time, so that even a lost account does not repeat it, but always above the last one. */
static int next_uidvalidity(struct eval *e, uint32_t *ret)
{
    uint64_t now = e->now_us / 1000000;
    uint64_t v = MAX(now, (uint64_t)e->last_uidvalidity + 1);
    if (v > UINT32_MAX)
        v = (uint64_t)e->last_uidvalidity + 1;
    if (v > UINT32_MAX)
        return ERR_LIMIT;
    *ret = e->last_uidvalidity = (uint32_t)v;
    return 0;
}

/* Superiors that are missing are made with it and get the same. */
int eval_root_of_new(struct eval *e, struct span name, uint32_t *ret)
{
    struct mailbox_info info;
    uint32_t root = 0;
    while ((name = mailbox_name_superior(name)).n) {
        int error = snap_mailbox_find(e->snap, name, &info);
        if (error == 0)
            root = info.quota_root;
        if (error == 0)
            break;
        if (error != ERR_NOT_FOUND)
            return error;
    }
    *ret = root;
    return 0;
}

static int put_create(struct eval *e, struct span name, uint32_t special_use, uint32_t *ret_id,
                      uint32_t *ret_uidvalidity)
{
    struct op op = {.kind = OP_MAILBOX_CREATE};
    struct op_mailbox_create *c = &op.mailbox_create;
    if (e->last_mailbox == UINT32_MAX)
        return ERR_LIMIT;
    int error = next_uidvalidity(e, &c->uidvalidity);
    if (error)
        return error;
    c->mailbox = ++e->last_mailbox;
    c->modseq = e->modseq;
    c->special_use = special_use;
    uint32_t root = 0;
    error = eval_root_of_new(e, name, &root);
    if (error == 0)
        error = eval_room(e, root, (uint64_t[QUOTA_RESOURCES]){[QUOTA_MAILBOX] = ++e->created});
    if (error)
        return error;
    c->name = name;
    random_bytes(c->object_id, sizeof(c->object_id));
    op_put(e->ops, &op);
    eval_touch(e, c->mailbox);
    *ret_id = c->mailbox;
    *ret_uidvalidity = c->uidvalidity;
    op = (struct op){.kind = OP_QUOTA_ROOT, .quota_root = {*ret_id, root}};
    if (root != 0)
        op_put(e->ops, &op);
    return 0;
}

int eval_create(struct eval *e, struct span name, uint32_t special_use, uint32_t *ret_id,
                uint32_t *ret_uidvalidity)
{
    uint32_t parent = 0; /* the nearest that exists: what is new has its access control list */
    for (size_t i = 0; i <= name.n; i++) {
        if (i < name.n && name.p[i] != MAILBOX_DELIMITER)
            continue;
        struct mailbox_info info;
        struct span superior = span_head(name, i);
        int error = i < name.n ? snap_mailbox_find(e->snap, superior, &info) : ERR_NOT_FOUND;
        if (error == 0)
            parent = info.id;
        if (error == ERR_NOT_FOUND) {
            error = put_create(e, superior, i < name.n ? 0 : special_use, ret_id, ret_uidvalidity);
            if (error == 0 && parent)
                error = eval_acl_inherit(e, parent, *ret_id);
        }
        if (error)
            return error;
    }
    return 0;
}
