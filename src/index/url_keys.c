/* Mailbox access keys of URLAUTH (RFC 4467 section 3): with what this account's user signs URLs of
 * a mailbox. By object ids, which are never used again and are the same in whatever account the
 * mailbox is. */
#include "index/index_int.h"

static void key_of(struct key *k, const unsigned char mailbox[URL_KEY_MAILBOX])
{
    k->b[0] = 'u';
    memcpy(k->b + 1, mailbox, URL_KEY_MAILBOX);
    k->n = 1 + URL_KEY_MAILBOX;
}

int index_url_key_get(struct index_txn *txn, const unsigned char mailbox[URL_KEY_MAILBOX],
                      unsigned char ret[URL_KEY_SIZE])
{
    struct span value;
    struct key key;
    int rc;

    key_of(&key, mailbox);
    rc = table_get(txn, TABLE_MISC, &key, &value);
    if (rc)
        return rc;
    if (value.n != URL_KEY_SIZE)
        return index_corrupt(txn);
    memcpy(ret, value.p, URL_KEY_SIZE);
    return 0;
}

int index_url_key_put(struct index_txn *txn, const unsigned char mailbox[URL_KEY_MAILBOX],
                      const unsigned char value[URL_KEY_SIZE])
{
    struct key key;

    key_of(&key, mailbox);
    return table_put(txn, TABLE_MISC, &key, span_make(value, URL_KEY_SIZE));
}

int index_url_key_del(struct index_txn *txn, const unsigned char mailbox[URL_KEY_MAILBOX])
{
    struct key key;

    key_of(&key, mailbox);
    return table_del(txn, TABLE_MISC, &key);
}

int index_url_key_seek(struct index_txn *txn, const unsigned char from[URL_KEY_MAILBOX], bool after,
                       struct index_url_key *ret)
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
    if (k.n != 1 + URL_KEY_MAILBOX || k.p[0] != 'u')
        return ERR_NOT_FOUND;
    if (value.n != URL_KEY_SIZE)
        return index_corrupt(txn);
    memcpy(ret->mailbox, k.p + 1, URL_KEY_MAILBOX);
    memcpy(ret->key, value.p, URL_KEY_SIZE);
    return 0;
}
