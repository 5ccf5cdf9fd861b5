/* Quota roots: what they use is counted here, by the operations themselves. */
#include "store/apply_int.h"

void apply_quota_add(struct apply *a, uint32_t root, enum quota_resource what, uint64_t n)
{
    size_t i = 0;

    if (root == 0)
        return; /* in the state */
    while (i < a->quotas && a->quota[i].root != root)
        i++;
    invariant(i < APPLY_QUOTA_SLOTS);
    if (i == a->quotas)
        a->quota[a->quotas++] = (struct apply_quota){.root = root};
    a->quota[i].added[what] += n;
}

int apply_quota_settle(struct apply *a)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < a->quotas; i++) {
        struct index_quota q;

        rc = index_quota_get(a->txn, a->quota[i].root, &q);
        for (size_t k = 0; rc == 0 && k < QUOTA_RESOURCES; k++)
            q.used[k] += a->quota[i].added[k];
        if (rc == 0)
            rc = index_quota_put(a->txn, &q);
        rc = apply_error(a, rc, "no such quota root", a->quota[i].root);
    }
    a->quotas = 0;
    return rc;
}

void apply_quota_move(struct apply *a, const struct mailbox_info *m, uint32_t from, uint32_t to)
{
    const uint64_t has[QUOTA_RESOURCES] = {
        [QUOTA_STORAGE] = m->bytes,
        [QUOTA_MESSAGE] = m->exists,
        [QUOTA_MAILBOX] = 1,
        [QUOTA_ANNOTATION] = m->metadata_bytes,
    };

    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        apply_quota_add(a, from, (enum quota_resource)i, -has[i]);
        apply_quota_add(a, to, (enum quota_resource)i, has[i]);
    }
}

static int root_of_mailbox(struct apply *a, const struct op_quota_root *op)
{
    struct mailbox_info m;
    struct index_quota q;
    int rc = index_mailbox_edit(a->txn, op->mailbox, &m);

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    if (op->root != 0)
        rc = index_quota_get(a->txn, op->root, &q);
    if (rc)
        return apply_error(a, rc, "no such quota root", op->root);
    apply_quota_move(a, &m, m.quota_root, op->root);
    m.quota_root = op->root;
    return index_mailbox_put(a->txn, &m);
}

static int root_limits(struct apply *a, const struct op_quota *op)
{
    struct index_quota q = {.used = {0}};
    int rc = apply_quota_settle(a);

    if (rc == 0)
        rc = index_quota_get(a->txn, op->root, &q);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (!op->exists) {
        if (rc || q.used[QUOTA_MAILBOX])
            return apply_contradiction(a, "quota root cannot go", op->root);
        return index_quota_del(a->txn, op->root);
    }
    q.root = op->root;
    q.name = op->name;
    memcpy(q.limit, op->limit, sizeof(q.limit));
    return index_quota_put(a->txn, &q);
}

int apply_quota_op(struct apply *a, const struct op *op)
{
    return op->kind == OP_QUOTA ? root_limits(a, &op->quota) : root_of_mailbox(a, &op->quota_root);
}
