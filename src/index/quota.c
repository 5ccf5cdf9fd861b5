/* Quota roots: limits and what is used of them. There are few. */
#include "index/index_int.h"

enum { QUOTA_FIXED = 8 * 2 * QUOTA_RESOURCES };

static void key_quota(struct key *k, uint32_t root)
{
    key_tagged_u32(k, 'q', root);
}

static int decode(struct index_txn *txn, uint32_t root, struct span value, struct index_quota *ret)
{
    if (value.n < QUOTA_FIXED || value.n > QUOTA_FIXED + QUOTA_NAME_MAX)
        return index_corrupt(txn);
    ret->root = root;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        ret->limit[i] = load_le64(value.p + 16 * i);
        ret->used[i] = load_le64(value.p + 16 * i + 8);
    }
    ret->name = span_skip(value, QUOTA_FIXED);
    return 0;
}

int index_quota_get(struct index_txn *txn, uint32_t root, struct index_quota *ret)
{
    struct span value;
    struct key key;
    int rc;

    key_quota(&key, root);
    rc = table_get(txn, TABLE_MISC, &key, &value);
    return rc ? rc : decode(txn, root, value, ret);
}

int index_quota_seek(struct index_txn *txn, uint32_t from, struct index_quota *ret)
{
    struct span k, value;
    struct key key;
    int rc;

    key_quota(&key, from);
    rc = table_seek(txn, TABLE_MISC, &key, &k, &value);
    if (rc)
        return rc;
    if (k.n != 5 || k.p[0] != 'q')
        return ERR_NOT_FOUND;
    return decode(txn, load_be32(k.p + 1), value, ret);
}

int index_quota_put(struct index_txn *txn, const struct index_quota *quota)
{
    unsigned char value[QUOTA_FIXED + QUOTA_NAME_MAX];
    struct key key;

    if (quota->name.n > QUOTA_NAME_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        store_le64(value + 16 * i, quota->limit[i]);
        store_le64(value + 16 * i + 8, quota->used[i]);
    }
    /* The name may lie in the record that is replaced. */
    if (quota->name.n)
        memcpy(value + QUOTA_FIXED, quota->name.p, quota->name.n);
    key_quota(&key, quota->root);
    return table_put(txn, TABLE_MISC, &key, span_make(value, QUOTA_FIXED + quota->name.n));
}

int index_quota_del(struct index_txn *txn, uint32_t root)
{
    struct key key;

    key_quota(&key, root);
    return table_del(txn, TABLE_MISC, &key);
}
