/* Making blocks and groups; see rows_int.h. */
#include "index/rows_int.h"

void builder_reset(struct block_builder *b)
{
    b->count = b->keyword_octets = 0;
    b->newest = 0;
}

bool builder_fits(const struct block_builder *b, const struct row *row)
{
    return builder_size(b) + ROW_SIZE + 2 * (size_t)row->keyword_count <= BLOCK_MAX;
}

void builder_add(struct block_builder *b, const struct row *row)
{
    size_t keywords = 2 * (size_t)row->keyword_count;

    invariant(builder_fits(b, row));
    row_encode(b->rows + (size_t)b->count * ROW_SIZE, row);
    if (keywords > 0)
        memcpy(b->keywords + b->keyword_octets, row->keywords, keywords);
    b->count++;
    b->keyword_octets += (uint32_t)keywords;
    b->newest = MAX(b->newest, row->modseq);
}

bool builder_load(struct block_builder *b, const struct block *from)
{
    if (from->count > BLOCK_ROWS || from->keyword_octets > sizeof(b->keywords))
        return false;
    b->count = from->count;
    b->keyword_octets = from->keyword_octets;
    memcpy(b->rows, from->rows, (size_t)from->count * ROW_SIZE);
    memcpy(b->keywords, from->keywords, from->keyword_octets);
    b->newest = 0;
    for (uint32_t i = 0; i < b->count; i++)
        b->newest = MAX(b->newest, row_raw_modseq(b->rows + (size_t)i * ROW_SIZE));
    return true;
}

int builder_put(const struct block_builder *b, struct index_txn *txn, uint32_t mailbox,
                uint32_t key_uid)
{
    struct key key;
    unsigned char *to;
    int rc;

    key_row(&key, mailbox, key_uid);
    rc = table_put_room(txn, TABLE_ROW, &key, builder_size(b), &to);
    if (rc)
        return rc;
    store_le16(to, (uint16_t)b->count);
    store_le16(to + 2, (uint16_t)b->keyword_octets);
    memcpy(to + BLOCK_HEAD, b->rows, (size_t)b->count * ROW_SIZE);
    memcpy(to + BLOCK_HEAD + (size_t)b->count * ROW_SIZE, b->keywords, b->keyword_octets);
    return 0;
}

void group_load(struct group_work *g, uint32_t mailbox, uint32_t key_uid, struct span value)
{
    g->mailbox = mailbox;
    g->key_uid = key_uid;
    g->stored = true;
    g->count = group_count((const unsigned char *)value.p);
    invariant(value.n <= sizeof(g->raw));
    memcpy(g->raw, value.p, value.n);
}

static unsigned char *entry_at(struct group_work *g, uint32_t i)
{
    return g->raw + GROUP_HEAD + (size_t)i * GROUP_ENTRY;
}

void group_entry_set(struct group_work *g, uint32_t i, const struct group_entry *e)
{
    unsigned char *p = entry_at(g, i);

    store_le32(p, e->uid);
    store_le16(p + 4, (uint16_t)e->count);
    row_store48(p + 6, e->newest);
}

void group_splice(struct group_work *g, uint32_t at, uint32_t removed,
                  const struct group_entry *with, uint32_t n)
{
    invariant(at + removed <= g->count && g->count - removed + n <= GROUP_WORK_MAX);
    if (n != removed)
        memmove(entry_at(g, at + n), entry_at(g, at + removed),
                (size_t)(g->count - at - removed) * GROUP_ENTRY);
    g->count = g->count - removed + n;
    for (uint32_t i = 0; i < n; i++)
        group_entry_set(g, at + i, &with[i]);
}

/* Writes n entries from `from` on as one group. */
static int group_put(struct index_txn *txn, const struct group_work *g, uint32_t from, uint32_t n,
                     uint32_t key_uid)
{
    struct key key;
    unsigned char *to;
    uint64_t newest = 0;
    uint32_t total = 0;
    int rc;

    key_row(&key, g->mailbox, key_uid);
    rc = table_put_room(txn, TABLE_CHUNK, &key, GROUP_HEAD + (size_t)n * GROUP_ENTRY, &to);
    if (rc)
        return rc;
    for (uint32_t i = from; i < from + n; i++) {
        const unsigned char *e = group_work_at(g, i);

        total += entry_count(e);
        newest = MAX(newest, entry_newest(e));
    }
    store_le32(to, total);
    store_le16(to + 4, (uint16_t)n);
    store_le16(to + 6, 0);
    store_le64(to + 8, newest);
    memcpy(to + GROUP_HEAD, group_work_at(g, from), (size_t)n * GROUP_ENTRY);
    return 0;
}

static int group_del(struct index_txn *txn, const struct group_work *g)
{
    struct key key;

    key_row(&key, g->mailbox, g->key_uid);
    return g->stored ? table_del(txn, TABLE_CHUNK, &key) : 0;
}

/* Moves a small group's entries into the group before, if there is room. */
static int group_join(struct group_work *g, struct index_txn *txn, bool *ret_joined)
{
    struct span k, value;
    struct key key;
    uint32_t n;
    int rc;

    *ret_joined = false;
    key_row(&key, g->mailbox, g->key_uid);
    rc = table_before(txn, TABLE_CHUNK, &key, &k, &value);
    if (rc == ERR_NOT_FOUND || (rc == 0 && key_row_mailbox(k) != g->mailbox))
        return 0;
    if (rc)
        return rc;
    if (!group_valid(value))
        return index_corrupt(txn);
    n = group_count((const unsigned char *)value.p);
    if (n + g->count > GROUP_MAX * 3 / 4)
        return 0;
    memmove(entry_at(g, n), entry_at(g, 0), (size_t)g->count * GROUP_ENTRY);
    memcpy(entry_at(g, 0), value.p + GROUP_HEAD, (size_t)n * GROUP_ENTRY);
    uint32_t before = key_row_uid(k);
    rc = group_del(txn, g);
    g->count += n;
    g->key_uid = before;
    g->stored = true;
    *ret_joined = true;
    return rc ? rc : group_put(txn, g, 0, g->count, before);
}

int group_write(struct group_work *g, struct index_txn *txn)
{
    bool joined = false;
    int rc = 0;

    if (g->count == 0)
        return group_del(txn, g);
    if (g->count < GROUP_MAX / 8)
        rc = group_join(g, txn, &joined);
    if (rc || joined)
        return rc;
    for (uint32_t at = 0; rc == 0 && at < g->count;) {
        uint32_t left = g->count - at, n = left <= GROUP_MAX ? left : MIN(left / 2, GROUP_MAX);

        rc = group_put(txn, g, at, n, at == 0 ? g->key_uid : entry_uid(group_work_at(g, at)));
        at += n;
    }
    return rc;
}
