/* What was delivered lately, so that it is not delivered again: ids of deliveries, each with the
 * time until which it is to be known. One entry finds the time by the id, the other is in the order
 * of times, so that what is too old is found without a walk. */
#include "index/index_int.h"

enum { BY_TIME_SIZE = 1 + 8 + DELIVERY_ID_SIZE };

static void key_by_id(struct key *k, const unsigned char id[DELIVERY_ID_SIZE])
{
    k->b[0] = 'd';
    memcpy(k->b + 1, id, DELIVERY_ID_SIZE);
    k->n = 1 + DELIVERY_ID_SIZE;
}

static void key_by_time(struct key *k, uint64_t until, const unsigned char id[DELIVERY_ID_SIZE])
{
    k->b[0] = 'e';
    store_be64(k->b + 1, until);
    memcpy(k->b + 9, id, DELIVERY_ID_SIZE);
    k->n = BY_TIME_SIZE;
}

int index_delivery_get(struct index_txn *txn, const unsigned char id[DELIVERY_ID_SIZE],
                       uint64_t *ret_until)
{
    struct span value;
    struct key key;
    int rc;

    key_by_id(&key, id);
    rc = table_get(txn, TABLE_MISC, &key, &value);
    if (rc)
        return rc;
    if (value.n != 8)
        return index_corrupt(txn);
    *ret_until = load_le64(value.p);
    return 0;
}

static int forget(struct index_txn *txn, uint64_t until, const unsigned char id[DELIVERY_ID_SIZE])
{
    struct key key;
    int rc;

    key_by_time(&key, until, id);
    rc = table_del(txn, TABLE_MISC, &key);
    if (rc)
        return rc == ERR_NOT_FOUND ? index_corrupt(txn) : rc;
    key_by_id(&key, id);
    rc = table_del(txn, TABLE_MISC, &key);
    return rc == ERR_NOT_FOUND ? index_corrupt(txn) : rc;
}

int index_delivery_put(struct index_txn *txn, const unsigned char id[DELIVERY_ID_SIZE],
                       uint64_t until)
{
    unsigned char value[8];
    struct key key;
    uint64_t before;
    int rc = index_delivery_get(txn, id, &before);

    if (rc == 0)
        rc = forget(txn, before, id);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    store_le64(value, until);
    key_by_id(&key, id);
    rc = table_put(txn, TABLE_MISC, &key, span_make(value, sizeof(value)));
    if (rc)
        return rc;
    key_by_time(&key, until, id);
    return table_put(txn, TABLE_MISC, &key, SPAN_EMPTY);
}

int index_delivery_seek(struct index_txn *txn, const struct index_delivery *after, uint64_t from,
                        struct index_delivery *ret)
{
    static const unsigned char lowest[DELIVERY_ID_SIZE];
    struct span k, value;
    struct key key;
    int rc;

    key_by_time(&key, after ? after->until : from, after ? after->id : lowest);
    rc = table_seek(txn, TABLE_MISC, &key, &k, &value);
    if (rc == 0 && after && span_eq(k, key_span(&key)))
        rc = table_next(txn, TABLE_MISC, &k, &value);
    if (rc)
        return rc;
    if (k.n != BY_TIME_SIZE || k.p[0] != 'e')
        return ERR_NOT_FOUND;
    ret->until = load_be64(k.p + 1);
    memcpy(ret->id, k.p + 9, DELIVERY_ID_SIZE);
    return 0;
}

int index_delivery_forget(struct index_txn *txn, uint64_t before, unsigned limit)
{
    while (limit-- > 0) {
        struct index_delivery d;
        int rc = index_delivery_seek(txn, NULL, 0, &d);

        if (rc || d.until >= before)
            return rc == ERR_NOT_FOUND ? 0 : rc;
        rc = forget(txn, d.until, d.id);
        if (rc)
            return rc;
    }
    return 0;
}
