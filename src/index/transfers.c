/* Messages that are on their way to another account: what was to go where, by the transfer's id,
 * until it is known that they have arrived, or that they never will. */
#include "index/index_int.h"

static void key_of(struct key *k, const unsigned char id[TRANSFER_ID_SIZE])
{
    k->b[0] = 't';
    memcpy(k->b + 1, id, TRANSFER_ID_SIZE);
    k->n = 1 + TRANSFER_ID_SIZE;
}

static int value_read(struct index_txn *txn, struct span value, struct index_transfer *ret)
{
    struct reader r = reader_make(value);

    ret->mailbox = read_u32(&r);
    ret->user = read_blob(&r);
    ret->name = read_blob(&r);
    ret->uids = read_bytes(&r, reader_left(&r));
    return r.bad ? index_corrupt(txn) : 0;
}

int index_transfer_get(struct index_txn *txn, const unsigned char id[TRANSFER_ID_SIZE],
                       struct index_transfer *ret)
{
    struct span value;
    struct key key;
    int rc;

    key_of(&key, id);
    rc = table_get(txn, TABLE_MISC, &key, &value);
    if (rc)
        return rc;
    memcpy(ret->id, id, TRANSFER_ID_SIZE);
    return value_read(txn, value, ret);
}

int index_transfer_put(struct index_txn *txn, const struct index_transfer *t)
{
    autobuf value = BUF_INIT(BUF_UNLIMITED);
    struct key key;

    put_u32(&value, t->mailbox);
    put_blob(&value, t->user);
    put_blob(&value, t->name);
    buf_put_span(&value, t->uids);
    key_of(&key, t->id);
    return table_put(txn, TABLE_MISC, &key, buf_span(&value));
}

int index_transfer_del(struct index_txn *txn, const unsigned char id[TRANSFER_ID_SIZE])
{
    struct key key;

    key_of(&key, id);
    return table_del(txn, TABLE_MISC, &key);
}

int index_transfer_seek(struct index_txn *txn, const unsigned char from[TRANSFER_ID_SIZE],
                        bool after, struct index_transfer *ret)
{
    struct span k, value;
    struct key key;
    int rc;

    key_of(&key, from);
    rc = table_seek(txn, TABLE_MISC, &key, &k, &value);
    if (rc == 0 && after && span_eq(k, key_span(&key)))
        rc = table_next(txn, TABLE_MISC, &k, &value);
    if (rc)
        return rc;
    if (k.n != 1 + TRANSFER_ID_SIZE || k.p[0] != 't')
        return ERR_NOT_FOUND;
    memcpy(ret->id, k.p + 1, TRANSFER_ID_SIZE);
    return value_read(txn, value, ret);
}
