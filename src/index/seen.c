/* \Seen of each user of a mailbox who is not its owner: the UIDs that he has seen. The owner's is
 * in the rows. */
#include "index/index_int.h"

enum { PREFIX = 1 + 4 };

static bool key_of(struct key *k, uint32_t mailbox, struct span user)
{
    if (user.n > KEY_MAX - PREFIX)
        return false;
    key_tagged_u32(k, 'v', mailbox);
    if (user.n)
        memcpy(k->b + PREFIX, user.p, user.n);
    k->n = PREFIX + user.n;
    return true;
}

int index_seen_get(struct index_txn *txn, uint32_t mailbox, struct span user, struct ranges *ret)
{
    struct span value;
    struct key key;
    int rc;

    ranges_reset(ret);
    if (user.n == 0 || !key_of(&key, mailbox, user))
        return 0;
    rc = table_get(txn, TABLE_MISC, &key, &value);
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    struct reader r = reader_make(value);
    if (!ranges_decode(&r, ret) || reader_left(&r) > 0)
        return index_corrupt(txn);
    return 0;
}

int index_seen_put(struct index_txn *txn, uint32_t mailbox, struct span user,
                   const struct ranges *uids)
{
    autobuf value = BUF_INIT(BUF_UNLIMITED);
    struct key key;

    if (user.n == 0 || !key_of(&key, mailbox, user))
        return ERR_INVALID;
    if (uids->n == 0) {
        int rc = table_del(txn, TABLE_MISC, &key);

        return rc == ERR_NOT_FOUND ? 0 : rc;
    }
    ranges_encode(&value, uids);
    return table_put(txn, TABLE_MISC, &key, buf_span(&value));
}

int index_seen_seek(struct index_txn *txn, uint32_t mailbox, struct span from,
                    struct span *ret_user)
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
    if (k.n < PREFIX || k.p[0] != 'v' || load_be32(k.p + 1) != mailbox)
        return ERR_NOT_FOUND;
    if (k.n == PREFIX)
        return index_corrupt(txn);
    *ret_user = span_skip(k, PREFIX);
    return 0;
}

int index_seen_clear(struct index_txn *txn, uint32_t mailbox)
{
    static const struct ranges none = RANGES_INIT;
    struct span at;
    int rc;

    while ((rc = index_seen_seek(txn, mailbox, SPAN_EMPTY, &at)) == 0) {
        autobuf user = BUF_INIT(KEY_MAX);

        buf_put_span(&user, at);
        rc = index_seen_put(txn, mailbox, buf_span(&user), &none);
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}
