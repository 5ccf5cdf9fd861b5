#include "store/quota.h"

#include "store/eval.h"
#include "store/snapshot_int.h"
#include "store/store_int.h"

void store_set_quota(struct store *store, const struct quota_defaults *defaults)
{
    store->quota = *defaults;
}

/* What mailboxes of other roots use is in their records; the rest of the account is root 0's. */
static int own_usage(struct index_txn *txn, uint64_t used[QUOTA_RESOURCES])
{
    struct index_state s;
    struct index_quota q;
    int rc = index_state_get(txn, &s);
    if (rc)
        return rc;
    used[QUOTA_STORAGE] = s.bytes;
    used[QUOTA_MESSAGE] = s.messages;
    used[QUOTA_MAILBOX] = s.mailboxes;
    used[QUOTA_ANNOTATION] = s.metadata_bytes;
    for (rc = index_quota_seek(txn, 1, &q); rc == 0;
         rc = q.root == UINT32_MAX ? ERR_NOT_FOUND : index_quota_seek(txn, q.root + 1, &q))
        for (size_t i = 0; i < QUOTA_RESOURCES; i++)
            used[i] -= q.used[i];
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int quota_of_txn(struct index_txn *txn, const struct quota_defaults *defaults, uint32_t root,
                 struct quota_use *ret)
{
    struct index_quota q = {.root = root};
    int rc = index_quota_get(txn, root, &q);
    if (rc == ERR_NOT_FOUND && root == 0) {
        for (size_t i = 0; i < QUOTA_RESOURCES; i++)
            q.limit[i] = QUOTA_DEFAULT;
        rc = 0;
    }
    if (rc == 0 && root == 0)
        rc = own_usage(txn, q.used);
    if (rc)
        return rc;
    *ret = (struct quota_use){.root = root, .name = q.name};
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        uint64_t by_default = root == 0 ? defaults->limit[i] : QUOTA_NONE;
        ret->used[i] = q.used[i];
        ret->own_limit[i] = q.limit[i] != QUOTA_DEFAULT;
        ret->limit[i] = ret->own_limit[i] ? q.limit[i] : by_default;
    }
    return 0;
}

int quota_seek_txn(struct index_txn *txn, const struct quota_defaults *defaults, uint32_t from,
                   struct quota_use *ret)
{
    struct index_quota q = {.root = 0};
    int rc = from ? index_quota_seek(txn, from, &q) : 0;
    return rc ? rc : quota_of_txn(txn, defaults, q.root, ret);
}

int quota_find_txn(struct index_txn *txn, const struct quota_defaults *defaults, struct span name,
                   struct quota_use *ret)
{
    struct quota_use q;
    uint32_t from = 0;
    int rc;
    while ((rc = quota_seek_txn(txn, defaults, from, &q)) == 0) {
        if (span_eq(q.name, name)) {
            *ret = q;
            return 0;
        }
        if (q.root == UINT32_MAX)
            return ERR_NOT_FOUND;
        from = q.root + 1;
    }
    return rc;
}

int snap_quota(struct snap *snap, const struct account *account, uint32_t root,
               struct quota_use *ret)
{
    return quota_of_txn(snap->txn, &account->store->quota, root, ret);
}

int snap_quota_find(struct snap *snap, const struct account *account, struct span name,
                    struct quota_use *ret)
{
    return quota_find_txn(snap->txn, &account->store->quota, name, ret);
}

int snap_quota_seek(struct snap *snap, const struct account *account, uint32_t from,
                    struct quota_use *ret)
{
    return quota_seek_txn(snap->txn, &account->store->quota, from, ret);
}

int eval_room(struct eval *e, uint32_t root, const uint64_t more[QUOTA_RESOURCES])
{
    struct quota_use q;
    int rc = quota_of_txn(e->txn, e->quota, root, &q);
    if (rc)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        if (quota_exceeds(&q, (enum quota_resource)i, more[i]))
            return ERR_QUOTA;
    return 0;
}
