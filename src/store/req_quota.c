/* Limits and roots of quotas: SETQUOTA (RFC 9208 section 4.1.3) and the administrator's hand. */
#include "base/utf8.h"
#include "store/eval.h"
#include "store/names.h"

enum { ROOTS_MAX = 64 };

static void put_quota(struct eval *e, const struct op_quota *op)
{
    op_put(e->ops, &(struct op){.kind = OP_QUOTA, .quota = *op});
    e->r->result.modseq = e->modseq;
    eval_touch(e, 0);
}

int eval_quota(struct eval *e)
{
    const struct request *r = e->r;
    struct quota_use q;
    int rc = quota_find_txn(e->txn, e->quota, r->name, &q);
    if (rc)
        return rc;
    struct op_quota op = {.root = q.root, .exists = true, .name = q.name};
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        uint64_t kept = q.own_limit[i] ? q.limit[i] : QUOTA_DEFAULT, wanted = r->limits[i];
        if (wanted < QUOTA_KEEP && wanted > INDEX_NUMBER_MAX)
            return ERR_LIMIT;
        op.limit[i] = wanted == QUOTA_KEEP ? kept : wanted;
    }
    put_quota(e, &op);
    return 0;
}

static bool name_is_fit(struct span name)
{
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f)
            return false;
    return name.n > 0 && name.n <= QUOTA_NAME_MAX && utf8_valid(name);
}

/* The root that is asked for; a new one has no limits yet. */
static int find_or_make(struct eval *e, struct span name, uint32_t *ret)
{
    struct quota_use q;
    uint32_t last = 0, n = 0;
    int rc = quota_find_txn(e->txn, e->quota, name, &q);
    if (rc == 0)
        *ret = q.root;
    if (rc != ERR_NOT_FOUND)
        return rc;
    if (!name_is_fit(name))
        return ERR_INVALID;
    for (rc = 0; n <= ROOTS_MAX && (rc = quota_seek_txn(e->txn, e->quota, last + 1, &q)) == 0; n++)
        last = q.root;
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (n >= ROOTS_MAX || last >= UINT32_MAX - 1)
        return ERR_LIMIT;
    struct op_quota op = {.root = last + 1, .exists = true, .name = name};
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        op.limit[i] = QUOTA_NONE;
    put_quota(e, &op);
    *ret = op.root;
    return 0;
}

/* A root that this request leaves without mailboxes goes. */
struct leaving {
    uint32_t root, mailboxes;
};

static void leave(struct buf *list, uint32_t root)
{
    struct leaving *l = (struct leaving *)(void *)list->p;
    size_t n = list->n / sizeof(*l), i = 0;
    while (i < n && l[i].root != root)
        i++;
    if (i == n)
        buf_put(list, &(struct leaving){root, 0}, sizeof(*l));
    ((struct leaving *)(void *)list->p)[i].mailboxes++;
}

static int drop_empty(struct eval *e, const struct buf *list)
{
    const struct leaving *l = (const struct leaving *)(const void *)list->p;
    for (size_t i = 0; i < list->n / sizeof(*l); i++) {
        struct quota_use q;
        int rc = l[i].root ? quota_of_txn(e->txn, e->quota, l[i].root, &q) : ERR_NOT_FOUND;
        if (rc == 0 && q.used[QUOTA_MAILBOX] == l[i].mailboxes)
            put_quota(e, &(struct op_quota){.root = q.root, .name = q.name});
        if (rc && rc != ERR_NOT_FOUND)
            return rc;
    }
    return 0;
}

static int give(struct eval *e, const struct mailbox_info *m, uint32_t root, struct buf *list)
{
    if (m->quota_root == root)
        return 0;
    leave(list, m->quota_root);
    op_put(e->ops, &(struct op){.kind = OP_QUOTA_ROOT, .quota_root = {m->id, root}});
    e->r->result.modseq = e->modseq;
    return 0;
}

/* Those below `name`. */
static int give_inferiors(struct eval *e, struct span name, uint32_t root, struct buf *left)
{
    autobuf below = BUF_INIT(BUF_UNLIMITED);
    struct mailbox_info m;
    buf_put_span(&below, name);
    buf_put_byte(&below, MAILBOX_DELIMITER);
    struct mailbox_name at = {buf_span(&below), 0, false};
    for (bool after = false;; after = true) {
        int rc = snap_name_seek(e->snap, at.name, after, &at);
        if (rc == ERR_NOT_FOUND || (rc == 0 && !mailbox_name_is_inferior(at.name, name)))
            return 0;
        if (rc == 0 && at.id)
            rc = snap_mailbox(e->snap, at.id, &m);
        if (rc == 0 && at.id)
            rc = give(e, &m, root, left);
        if (rc)
            return rc;
    }
}

/* The administrator decides: a root may have more than its limit afterwards, and then takes no
 * more. */
int eval_quota_root(struct eval *e)
{
    autobuf left = BUF_INIT(BUF_UNLIMITED);
    struct mailbox_info m;
    uint32_t root = 0;
    int rc = eval_name(&e->name, e->r->name);
    if (rc == 0)
        rc = snap_mailbox_find(e->snap, buf_span(&e->name), &m);
    if (rc == 0)
        rc = find_or_make(e, e->r->new_name, &root);
    if (rc == 0)
        rc = give(e, &m, root, &left);
    if (rc == 0)
        rc = give_inferiors(e, buf_span(&e->name), root, &left);
    return rc ? rc : drop_empty(e, &left);
}
