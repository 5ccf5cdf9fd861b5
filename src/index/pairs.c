/* What the site log knows of names that belong together: members of groups, groups of users, and
 * which accounts may have given rights to an identifier. The first name stands in the key as a
 * hash, since both together can be longer than a key may be, and in the value as it is. */
#include "index/index_int.h"

enum { HASH = 16, PREFIX = 2 + HASH };

/* FNV-1a twice, with different beginnings: two names with one hash are told apart by the value. */
static void put_hash(unsigned char *to, struct span name)
{
    uint64_t a = UINT64_C(0xcbf29ce484222325), b = UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < name.n; i++) {
        a = (a ^ (unsigned char)name.p[i]) * UINT64_C(0x100000001b3);
        b = (b ^ (unsigned char)name.p[i]) * UINT64_C(0x100000001b3);
    }
    store_be64(to, a);
    store_be64(to + 8, b);
}

static bool key_of(struct key *k, enum index_pair kind, struct span first, struct span second)
{
    if (second.n > KEY_MAX - PREFIX)
        return false;
    k->b[0] = 'p';
    k->b[1] = (unsigned char)kind;
    put_hash(k->b + 2, first);
    if (second.n)
        memcpy(k->b + PREFIX, second.p, second.n);
    k->n = PREFIX + second.n;
    return true;
}

int index_pair_put(struct index_txn *txn, enum index_pair kind, struct span first,
                   struct span second, bool present)
{
    struct key key;
    if (!second.n || !key_of(&key, kind, first, second))
        return ERR_INVALID;
    return present ? table_put(txn, TABLE_MISC, &key, first) : table_del(txn, TABLE_MISC, &key);
}

bool index_pair_has(struct index_txn *txn, enum index_pair kind, struct span first,
                    struct span second)
{
    struct span value;
    struct key key;
    return key_of(&key, kind, first, second) && table_get(txn, TABLE_MISC, &key, &value) == 0 &&
           span_eq(value, first);
}

int index_pair_seek(struct index_txn *txn, enum index_pair kind, struct span first,
                    struct span from, struct span *ret_second)
{
    struct span k, value;
    struct key key;
    if (!key_of(&key, kind, first, from))
        return ERR_INVALID;
    int rc = table_seek(txn, TABLE_MISC, &key, &k, &value);
    if (rc == 0 && from.n && span_eq(k, key_span(&key)))
        rc = table_next(txn, TABLE_MISC, &k, &value);
    while (rc == 0 && k.n > PREFIX && memcmp(k.p, key.b, PREFIX) == 0 && !span_eq(value, first))
        rc = table_next(txn, TABLE_MISC, &k, &value);
    if (rc)
        return rc;
    if (k.n <= PREFIX || memcmp(k.p, key.b, PREFIX) != 0)
        return ERR_NOT_FOUND;
    *ret_second = span_skip(k, PREFIX);
    return 0;
}

int index_pair_walk(struct index_txn *txn, enum index_pair kind, struct span at_first,
                    struct span at_second, struct span *ret_first, struct span *ret_second)
{
    struct span k, value;
    struct key key;
    if (!at_second.n) { /* the beginning */
        key.b[0] = 'p';
        key.b[1] = (unsigned char)kind;
        key.n = 2;
    } else if (!key_of(&key, kind, at_first, at_second)) {
        return ERR_INVALID;
    }
    int rc = table_seek(txn, TABLE_MISC, &key, &k, &value);
    if (rc == 0 && span_eq(k, key_span(&key)))
        rc = table_next(txn, TABLE_MISC, &k, &value);
    if (rc)
        return rc;
    if (k.n <= PREFIX || k.p[0] != 'p' || (unsigned char)k.p[1] != (unsigned char)kind)
        return ERR_NOT_FOUND;
    *ret_first = value;
    *ret_second = span_skip(k, PREFIX);
    return 0;
}
