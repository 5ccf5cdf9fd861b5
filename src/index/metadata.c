/* Metadata of mailboxes and of the account: an entry a record. */
#include "index/index_int.h"

enum { HEAD = 5, VALUE_HEAD = 9 };

_Static_assert(HEAD + METADATA_OWNER_MAX + 1 + METADATA_ENTRY_MAX <= KEY_MAX, "a key has room");

static bool key_metadata(struct key *k, uint32_t mailbox, struct span owner, struct span name)
{
    if (owner.n > METADATA_OWNER_MAX || name.n > METADATA_ENTRY_MAX ||
        (owner.n && memchr(owner.p, 0, owner.n)))
        return false;
    key_tagged_u32(k, 'n', mailbox);
    if (owner.n)
        memcpy(k->b + HEAD, owner.p, owner.n);
    k->n = HEAD + owner.n;
    k->b[k->n++] = 0;
    if (name.n)
        memcpy(k->b + k->n, name.p, name.n);
    k->n += name.n;
    return true;
}

static int decode(struct index_txn *txn, struct span k, struct span value,
                  struct metadata_entry *ret)
{
    const char *end = k.n > HEAD ? memchr(k.p + HEAD, 0, k.n - HEAD) : NULL;

    if (!end || value.n < VALUE_HEAD)
        return index_corrupt(txn);
    ret->mailbox = load_be32(k.p + 1);
    ret->owner = span_make(k.p + HEAD, (size_t)(end - k.p) - HEAD);
    ret->name = span_skip(k, (size_t)(end - k.p) + 1);
    ret->modseq = load_le64(value.p);
    ret->removed = value.p[8] != 0;
    ret->value = span_skip(value, VALUE_HEAD);
    return 0;
}

int index_metadata_get(struct index_txn *txn, uint32_t mailbox, struct span owner, struct span name,
                       struct metadata_entry *ret)
{
    struct metadata_entry e = {.mailbox = mailbox, .owner = owner, .name = name};
    struct span value;
    struct key key;
    int rc;

    if (!key_metadata(&key, mailbox, owner, name))
        return ERR_NOT_FOUND;
    rc = table_get(txn, TABLE_MISC, &key, &value);
    if (rc == 0)
        rc = decode(txn, key_span(&key), value, ret);
    if (rc == 0) { /* the key is about to go */
        ret->owner = e.owner;
        ret->name = e.name;
    }
    return rc;
}

int index_metadata_put(struct index_txn *txn, const struct metadata_entry *entry)
{
    unsigned char *p;
    struct key key;
    int rc;

    if (!key_metadata(&key, entry->mailbox, entry->owner, entry->name) ||
        entry->value.n > METADATA_VALUE_MAX)
        return ERR_INVALID;
    rc = table_put_room(txn, TABLE_MISC, &key, VALUE_HEAD + entry->value.n, &p);
    if (rc)
        return rc;
    store_le64(p, entry->modseq);
    p[8] = entry->removed;
    if (entry->value.n)
        memcpy(p + VALUE_HEAD, entry->value.p, entry->value.n);
    return 0;
}

int index_metadata_del(struct index_txn *txn, const struct metadata_entry *entry)
{
    struct key key;

    if (!key_metadata(&key, entry->mailbox, entry->owner, entry->name))
        return ERR_NOT_FOUND;
    return table_del(txn, TABLE_MISC, &key);
}

int index_metadata_seek(struct index_txn *txn, uint32_t mailbox, struct span owner,
                        struct span name, bool after, struct metadata_entry *ret)
{
    struct span k, value;
    struct key key;
    int rc;

    if (!key_metadata(&key, mailbox, owner, name))
        return ERR_NOT_FOUND;
    rc = table_seek(txn, TABLE_MISC, &key, &k, &value);
    if (rc == 0 && after && span_eq(k, key_span(&key)))
        rc = table_next(txn, TABLE_MISC, &k, &value);
    if (rc)
        return rc;
    if (k.n == 0 || k.p[0] != 'n')
        return ERR_NOT_FOUND;
    return decode(txn, k, value, ret);
}
