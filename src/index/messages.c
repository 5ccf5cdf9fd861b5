/* Stored messages: where their bytes are, how many rows hold them, where their derived record is.
 *
 * 64 consecutive ids share a bucket: a bit map of those that exist and 31 octets for each. A COPY
 * or EXPUNGE of thousands of messages then touches hundreds of records instead of thousands.
 * Entries:
 *
 *     segment(4) offset(5) length(5) crc(4) references(4) derived file(3) offset / 8(3) length(3)
 *
 * In a write transaction the bucket in use is kept unpacked and written back when another is
 * needed. */
#include "index/index_int.h"

enum {
    AT_SEGMENT = 0,
    AT_OFFSET = 4,
    AT_LENGTH = 9,
    AT_CRC = 14,
    AT_REFS = 18,
    AT_FILE = 22,
    AT_FILE_OFFSET = 25,
    AT_FILE_LENGTH = 28,
};

static uint64_t load_le40(const unsigned char *p)
{
    return load_le32(p) | (uint64_t)p[4] << 32;
}

static void store_le40(unsigned char *p, uint64_t v)
{
    store_le32(p, (uint32_t)v);
    p[4] = (unsigned char)(v >> 32);
}

static uint32_t load_le24(const unsigned char *p)
{
    return load_le16(p) | (uint32_t)p[2] << 16;
}

static void store_le24(unsigned char *p, uint32_t v)
{
    store_le16(p, (uint16_t)v);
    p[2] = (unsigned char)(v >> 16);
}

/* --- buckets --- */

static bool bucket_parse(struct span value, uint64_t *ret_present)
{
    if (value.n < 8)
        return false;
    *ret_present = load_le64(value.p);
    return *ret_present != 0 &&
           value.n == 8 + (size_t)__builtin_popcountll(*ret_present) * MESSAGE_SIZE;
}

int bucket_flush(struct index_txn *txn)
{
    struct bucket_cache *c = &txn->bucket;
    struct key key;
    unsigned char *to;
    int rc;

    if (!c->loaded || !c->dirty)
        return 0;
    c->dirty = false;
    key_number(&key, c->number);
    if (c->present == 0) {
        rc = table_del(txn, TABLE_MESSAGE, &key);
        return rc == ERR_NOT_FOUND ? 0 : rc;
    }
    rc = table_put_room(txn, TABLE_MESSAGE, &key,
                        8 + (size_t)__builtin_popcountll(c->present) * MESSAGE_SIZE, &to);
    if (rc)
        return rc;
    store_le64(to, c->present);
    to += 8;
    for (uint64_t left = c->present; left; left &= left - 1) {
        memcpy(to, c->entries[__builtin_ctzll(left)], MESSAGE_SIZE);
        to += MESSAGE_SIZE;
    }
    return 0;
}

/* Write transactions: the bucket of an id, unpacked. */
static int bucket_load(struct index_txn *txn, uint64_t id)
{
    struct bucket_cache *c = &txn->bucket;
    uint64_t number = id / BUCKET_IDS;
    struct span value;
    struct key key;
    const char *from;
    int rc;

    if (c->loaded && c->number == number)
        return 0;
    rc = bucket_flush(txn);
    if (rc)
        return rc;
    c->loaded = false;
    key_number(&key, number);
    rc = table_get(txn, TABLE_MESSAGE, &key, &value);
    if (rc == ERR_NOT_FOUND)
        c->present = 0;
    else if (rc)
        return rc;
    else if (!bucket_parse(value, &c->present))
        return index_corrupt(txn);
    from = rc ? NULL : value.p + 8;
    for (uint64_t left = rc ? 0 : c->present; left; left &= left - 1) {
        memcpy(c->entries[__builtin_ctzll(left)], from, MESSAGE_SIZE);
        from += MESSAGE_SIZE;
    }
    c->number = number;
    c->loaded = true;
    return 0;
}

/* Read transactions: the packed bucket, remembered for the next id. */
static int bucket_see(struct index_txn *txn, uint64_t number)
{
    uint64_t present;
    struct span value;
    struct key key;
    int rc;

    if (txn->seen_entries.n > 0 && txn->seen_bucket == number)
        return 0;
    key_number(&key, number);
    rc = table_get(txn, TABLE_MESSAGE, &key, &value);
    if (rc)
        return rc;
    if (!bucket_parse(value, &present))
        return index_corrupt(txn);
    txn->seen_bucket = number;
    txn->seen_entries = value;
    return 0;
}

/* The entry of an id; in a write transaction it may be changed (bucket.dirty). */
static int entry_find(struct index_txn *txn, uint64_t id, unsigned char **ret)
{
    uint64_t bit = 1ULL << (id % BUCKET_IDS), present;
    int rc;

    if (txn->writes) {
        rc = bucket_load(txn, id);
        if (rc)
            return rc;
        if (!(txn->bucket.present & bit))
            return ERR_NOT_FOUND;
        *ret = txn->bucket.entries[id % BUCKET_IDS];
        return 0;
    }
    rc = bucket_see(txn, id / BUCKET_IDS);
    if (rc)
        return rc;
    present = load_le64(txn->seen_entries.p);
    if (!(present & bit))
        return ERR_NOT_FOUND;
    *ret = (unsigned char *)(uintptr_t)txn->seen_entries.p + 8 +
           (size_t)__builtin_popcountll(present & (bit - 1)) * MESSAGE_SIZE;
    return 0;
}

static void entry_decode(const unsigned char *e, struct index_message *ret)
{
    ret->where.segment = load_le32(e + AT_SEGMENT);
    ret->where.offset = load_le40(e + AT_OFFSET);
    ret->where.length = load_le40(e + AT_LENGTH);
    ret->where.crc = load_le32(e + AT_CRC);
    ret->refs = load_le32(e + AT_REFS);
}

/* --- messages --- */

int index_message_get(struct index_txn *txn, uint64_t id, struct index_message *ret)
{
    unsigned char *e;
    int rc = entry_find(txn, id, &e);

    if (rc == 0)
        entry_decode(e, ret);
    return rc;
}

int index_message_put(struct index_txn *txn, uint64_t id, const struct message_location *where)
{
    struct bucket_cache *c = &txn->bucket;
    uint64_t bit = 1ULL << (id % BUCKET_IDS);
    unsigned char *e = c->entries[id % BUCKET_IDS];
    int rc;

    if (where->segment > UINT32_MAX || where->offset > INDEX_LOCATION_MAX ||
        where->length > INDEX_LOCATION_MAX)
        return ERR_INVALID;
    rc = bucket_load(txn, id);
    if (rc)
        return rc;
    if (!(c->present & bit))
        memset(e, 0, MESSAGE_SIZE);
    c->present |= bit;
    c->dirty = true;
    store_le32(e + AT_SEGMENT, (uint32_t)where->segment);
    store_le40(e + AT_OFFSET, where->offset);
    store_le40(e + AT_LENGTH, where->length);
    store_le32(e + AT_CRC, where->crc);
    return 0;
}

static int message_drop(struct index_txn *txn, uint64_t id, const unsigned char *e)
{
    struct index_message m;
    uint32_t file = load_le24(e + AT_FILE), length = load_le24(e + AT_FILE_LENGTH);
    int rc;

    entry_decode(e, &m);
    txn->bucket.present &= ~(1ULL << (id % BUCKET_IDS));
    rc = index_dead_add(txn, m.where.segment, 1, m.where.length);
    if (rc == 0 && length > 0)
        rc = derived_dead(txn, file, length);
    return rc;
}

int index_message_ref(struct index_txn *txn, uint64_t id, int delta)
{
    unsigned char *e;
    uint32_t refs;
    int rc = entry_find(txn, id, &e);

    if (rc)
        return rc;
    refs = load_le32(e + AT_REFS);
    if ((delta > 0 && refs == UINT32_MAX) || (delta < 0 && refs == 0))
        return index_corrupt(txn);
    refs = delta > 0 ? refs + 1 : refs - 1;
    txn->bucket.dirty = true;
    store_le32(e + AT_REFS, refs);
    return refs == 0 ? message_drop(txn, id, e) : 0;
}

int index_message_seek(struct index_txn *txn, uint64_t from, uint64_t *ret_id,
                       struct index_message *ret)
{
    struct span k, value;
    struct key key;
    uint64_t present, number, mask = ~0ULL << (from % BUCKET_IDS);
    int rc = txn->writes ? bucket_flush(txn) : 0;

    key_number(&key, from / BUCKET_IDS);
    if (rc == 0)
        rc = table_seek(txn, TABLE_MESSAGE, &key, &k, &value);
    for (; rc == 0; rc = table_next(txn, TABLE_MESSAGE, &k, &value)) {
        if (!bucket_parse(value, &present))
            return index_corrupt(txn);
        number = load_le64(k.p);
        mask = number == from / BUCKET_IDS ? mask : ~0ULL;
        if (present & mask) {
            unsigned bit = (unsigned)__builtin_ctzll(present & mask);

            *ret_id = number * BUCKET_IDS + bit;
            return index_message_get(txn, *ret_id, ret);
        }
    }
    return rc;
}

int message_derived_get(struct index_txn *txn, uint64_t id, struct derived_place *ret)
{
    unsigned char *e;
    int rc = entry_find(txn, id, &e);

    if (rc)
        return rc;
    ret->file = load_le24(e + AT_FILE);
    ret->offset = load_le24(e + AT_FILE_OFFSET) * 8;
    ret->length = load_le24(e + AT_FILE_LENGTH);
    return 0;
}

int message_derived_set(struct index_txn *txn, uint64_t id, const struct derived_place *place)
{
    unsigned char *e;
    int rc = entry_find(txn, id, &e);

    if (rc)
        return rc;
    store_le24(e + AT_FILE, place->file);
    store_le24(e + AT_FILE_OFFSET, place->offset / 8); /* records begin at multiples of 8 */
    store_le24(e + AT_FILE_LENGTH, place->length);
    txn->bucket.dirty = true;
    return 0;
}

/* --- dead octets ---
 *
 * Sums of one segment (and one derived file) at a time wait in the transaction: an expunge of
 * thousands adds thousands of times to the same. */

int dead_flush(struct index_txn *txn)
{
    struct index_dead *d = &txn->dead;
    struct span value;
    struct key key;
    unsigned char *to;
    uint64_t messages = d->messages, bytes = d->bytes;
    int rc;

    if (!txn->dead_waits)
        return 0;
    txn->dead_waits = false;
    key_segment(&key, d->segment);
    rc = table_get(txn, TABLE_MAIN, &key, &value);
    if (rc == 0 && value.n == 16) {
        messages += load_le64(value.p);
        bytes += load_le64(value.p + 8);
    } else if (rc != ERR_NOT_FOUND) {
        return rc ? rc : index_corrupt(txn);
    }
    rc = table_put_room(txn, TABLE_MAIN, &key, 16, &to);
    if (rc)
        return rc;
    store_le64(to, messages);
    store_le64(to + 8, bytes);
    return 0;
}

int index_dead_add(struct index_txn *txn, uint64_t segment, uint64_t messages, uint64_t bytes)
{
    int rc = 0;

    if (txn->dead_waits && txn->dead.segment != segment)
        rc = dead_flush(txn);
    if (rc)
        return rc;
    if (!txn->dead_waits)
        txn->dead = (struct index_dead){.segment = segment};
    txn->dead_waits = true;
    txn->dead.messages += messages;
    txn->dead.bytes += bytes;
    return 0;
}

int index_dead_seek(struct index_txn *txn, uint64_t from, struct index_dead *ret)
{
    struct span k, value;
    struct key key;
    int rc = txn->writes ? dead_flush(txn) : 0;

    key_segment(&key, from);
    if (rc == 0)
        rc = table_seek(txn, TABLE_MAIN, &key, &k, &value);
    if (rc)
        return rc;
    if (k.n != 9 || (unsigned char)k.p[0] != MAIN_SEGMENT)
        return ERR_NOT_FOUND;
    if (value.n != 16)
        return index_corrupt(txn);
    ret->segment = load_be64(k.p + 1);
    ret->messages = load_le64(value.p);
    ret->bytes = load_le64(value.p + 8);
    return 0;
}

int index_dead_del(struct index_txn *txn, uint64_t segment)
{
    struct key key;
    int rc = dead_flush(txn);

    key_segment(&key, segment);
    if (rc == 0)
        rc = table_del(txn, TABLE_MAIN, &key);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}
