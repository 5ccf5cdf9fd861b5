/* Access control lists (store/rights.h): for each mailbox, what each identifier may do. */
#include "index/index_int.h"

enum { PREFIX = 1 + 4 };

static bool key_of(struct key *k, uint32_t mailbox, struct span identifier)
{
    if (identifier.n > KEY_MAX - PREFIX)
        return false;
    key_tagged_u32(k, 'r', mailbox);
    if (identifier.n)
        memcpy(k->b + PREFIX, identifier.p, identifier.n);
    k->n = PREFIX + identifier.n;
    return true;
}

int index_acl_put(struct index_txn *txn, uint32_t mailbox, struct span identifier, uint32_t rights)
{
    unsigned char value[4];
    struct key key;

    if (identifier.n == 0 || !key_of(&key, mailbox, identifier))
        return ERR_INVALID;
    if (rights == 0) {
        int rc = table_del(txn, TABLE_MISC, &key);

        return rc == ERR_NOT_FOUND ? 0 : rc;
    }
    store_le32(value, rights);
    return table_put(txn, TABLE_MISC, &key, span_make(value, sizeof(value)));
}

int index_acl_seek(struct index_txn *txn, uint32_t mailbox, struct span from, struct index_acl *ret)
{
    struct span k, value;
    struct key key;
    int rc;

    if (!key_of(&key, mailbox, from))
        return ERR_INVALID;
    rc = table_seek(txn, TABLE_MISC, &key, &k, &value);
    if (rc == 0 && from.n && span_eq(k, key_span(&key)))
        rc = table_next(txn, TABLE_MISC, &k, &value);
    if (rc)
        return rc;
    if (k.n < PREFIX || k.p[0] != 'r' || load_be32(k.p + 1) != mailbox)
        return ERR_NOT_FOUND;
    if (value.n != 4 || k.n == PREFIX)
        return index_corrupt(txn);
    *ret = (struct index_acl){span_skip(k, PREFIX), load_le32(value.p)};
    return 0;
}

int index_acl_clear(struct index_txn *txn, uint32_t mailbox)
{
    struct index_acl a;
    int rc;

    while ((rc = index_acl_seek(txn, mailbox, SPAN_EMPTY, &a)) == 0) {
        autobuf identifier = BUF_INIT(KEY_MAX);

        buf_put_span(&identifier, a.identifier);
        rc = index_acl_put(txn, mailbox, buf_span(&identifier), 0);
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}
