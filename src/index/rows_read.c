/* Finding, counting and walking rows; see rows_int.h. */
#include "index/rows_int.h"

/* --- walking --- */

int rows_begin(struct row_iter *it, struct index_txn *txn, uint32_t mailbox)
{
    MDB_cursor *mc;
    int rc = row_cursor_take(txn, &mc);

    *it = (struct row_iter){.txn = txn, .mailbox = mailbox};
    if (rc == 0)
        it->cursor = mc;
    return rc;
}

void rows_end(struct row_iter *it)
{
    if (it->cursor)
        row_cursor_give(it->txn, it->cursor);
    it->cursor = NULL;
}

/* Stands before the first row of the block. */
static int iter_enter(struct row_iter *it, MDB_val key, MDB_val data)
{
    struct block b;

    if (key_row_mailbox(span_make(key.mv_data, key.mv_size)) != it->mailbox)
        return ERR_NOT_FOUND;
    if (!block_parse(span_make(data.mv_data, data.mv_size), &b))
        return index_corrupt(it->txn);
    it->rows = b.rows;
    it->keywords = b.keywords;
    it->keyword_left = b.keyword_octets;
    it->count = b.count;
    it->at = 0;
    return 0;
}

static int iter_take(struct row_iter *it, struct row *ret)
{
    const unsigned char *raw = it->rows + (size_t)it->at * ROW_SIZE;
    uint32_t octets = 2 * row_raw_keywords(raw);

    if (octets > it->keyword_left)
        return index_corrupt(it->txn);
    row_decode(raw, it->keywords, ret);
    it->keywords += octets;
    it->keyword_left -= octets;
    it->at++;
    return 0;
}

static int iter_move(struct row_iter *it, MDB_cursor_op op, MDB_val *key, MDB_val *data)
{
    int rc = mdb_cursor_get(it->cursor, key, data, op);

    return rc ? index_lmdb_error(it->txn->index, rc) : 0;
}

int rows_next(struct row_iter *it, struct row *ret)
{
    if (it->at >= it->count) {
        MDB_val key, data;
        int rc;

        if (it->count == 0)
            return ERR_NOT_FOUND;
        rc = iter_move(it, MDB_NEXT, &key, &data);
        if (rc == 0)
            rc = iter_enter(it, key, data);
        if (rc) {
            it->count = it->at = 0;
            return rc;
        }
    }
    return iter_take(it, ret);
}

int rows_seek(struct row_iter *it, uint32_t uid, struct row *ret)
{
    uint64_t wanted = (uint64_t)it->mailbox << 32 | uid;
    MDB_val key = {sizeof(wanted), &wanted}, data;
    struct block b;
    uint32_t skip;
    int rc = iter_move(it, MDB_SET_RANGE, &key, &data);

    it->count = it->at = 0;
    /* The row may be in the block before the one whose key follows. */
    if (rc == ERR_NOT_FOUND)
        rc = iter_move(it, MDB_LAST, &key, &data);
    else if (rc == 0 && load_le64(key.mv_data) != wanted) {
        rc = iter_move(it, MDB_PREV, &key, &data);
        if (rc == ERR_NOT_FOUND)
            rc = iter_move(it, MDB_FIRST, &key, &data);
    }
    if (rc == 0 && load_le64(key.mv_data) < (uint64_t)it->mailbox << 32)
        rc = iter_move(it, MDB_NEXT, &key, &data);
    if (rc == 0)
        rc = iter_enter(it, key, data);
    if (rc)
        return rc;
    b = (struct block){it->rows, it->keywords, it->count, it->keyword_left};
    it->at = block_lower(&b, uid);
    skip = block_keywords_before(&b, it->at);
    if (skip > it->keyword_left)
        return index_corrupt(it->txn);
    it->keywords += skip;
    it->keyword_left -= skip;
    return rows_next(it, ret);
}

/* --- one row --- */

/* The block that would hold the UID. */
static int block_find(struct index_txn *txn, uint32_t mailbox, uint32_t uid, struct block *ret)
{
    struct span k, value;
    struct key key;
    int rc;

    key_row(&key, mailbox, uid);
    rc = table_floor(txn, TABLE_ROW, &key, &k, &value);
    if (rc)
        return rc;
    if (key_row_mailbox(k) != mailbox)
        return ERR_NOT_FOUND;
    return block_parse(value, ret) ? 0 : index_corrupt(txn);
}

int rows_get(struct index_txn *txn, uint32_t mailbox, uint32_t uid, struct row *ret)
{
    struct block b;
    const unsigned char *raw;
    uint32_t i, before;
    int rc = block_find(txn, mailbox, uid, &b);

    if (rc)
        return rc;
    i = block_lower(&b, uid);
    raw = b.rows + (size_t)i * ROW_SIZE;
    if (i == b.count || row_raw_uid(raw) != uid)
        return ERR_NOT_FOUND;
    before = block_keywords_before(&b, i);
    if (before + 2 * row_raw_keywords(raw) > b.keyword_octets)
        return index_corrupt(txn);
    row_decode(raw, b.keywords + before, ret);
    return 0;
}

/* --- counting --- */

/* Walks the groups of a mailbox: the first / the next one. */
static int group_first(struct index_txn *txn, uint32_t mailbox, uint32_t *ret_uid,
                       const unsigned char **ret)
{
    struct span k, value;
    struct key key;
    int rc;

    key_row(&key, mailbox, 0);
    rc = table_seek(txn, TABLE_CHUNK, &key, &k, &value);
    if (rc)
        return rc;
    if (key_row_mailbox(k) != mailbox)
        return ERR_NOT_FOUND;
    *ret_uid = key_row_uid(k);
    *ret = (const unsigned char *)value.p;
    return group_valid(value) ? 0 : index_corrupt(txn);
}

static int group_next(struct index_txn *txn, uint32_t mailbox, uint32_t *ret_uid,
                      const unsigned char **ret)
{
    struct span k, value;
    int rc = table_next(txn, TABLE_CHUNK, &k, &value);

    if (rc)
        return rc;
    if (key_row_mailbox(k) != mailbox)
        return ERR_NOT_FOUND;
    *ret_uid = key_row_uid(k);
    *ret = (const unsigned char *)value.p;
    return group_valid(value) ? 0 : index_corrupt(txn);
}

/* Rows with UID <= uid in a group that begins at or below it. */
static int group_count_upto(struct index_txn *txn, uint32_t mailbox, const unsigned char *g,
                            uint32_t uid, uint32_t *ret)
{
    uint32_t last = group_floor(g, uid), n = 0;
    struct block b;
    int rc;

    if (entry_uid(group_at(g, last)) > uid) {
        *ret = 0;
        return 0;
    }
    for (uint32_t i = 0; i < last; i++)
        n += entry_count(group_at(g, i));
    rc = block_find(txn, mailbox, uid, &b);
    if (rc)
        return rc == ERR_NOT_FOUND ? index_corrupt(txn) : rc;
    *ret = n + (uid == UINT32_MAX ? b.count : block_lower(&b, uid + 1));
    return 0;
}

int rows_count_upto(struct index_txn *txn, uint32_t mailbox, uint32_t uid, uint32_t *ret)
{
    const unsigned char *g, *last = NULL;
    uint32_t from, n = 0, in_last = 0;
    int rc = group_first(txn, mailbox, &from, &g);

    while (rc == 0 && from <= uid) {
        n += last ? group_total(last) : 0;
        last = g;
        rc = group_next(txn, mailbox, &from, &g);
    }
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (last) {
        rc = group_count_upto(txn, mailbox, last, uid, &in_last);
        if (rc)
            return rc;
    }
    *ret = n + in_last;
    return 0;
}

int rows_uid_at(struct index_txn *txn, uint32_t mailbox, uint32_t n, uint32_t *ret)
{
    const unsigned char *g;
    struct block b;
    uint32_t from, i = 0;
    int rc = n == 0 ? ERR_NOT_FOUND : group_first(txn, mailbox, &from, &g);

    while (rc == 0 && n > group_total(g)) {
        n -= group_total(g);
        rc = group_next(txn, mailbox, &from, &g);
    }
    if (rc)
        return rc;
    while (i < group_count(g) && n > entry_count(group_at(g, i)))
        n -= entry_count(group_at(g, i++));
    if (i == group_count(g))
        return index_corrupt(txn);
    rc = block_find(txn, mailbox, entry_uid(group_at(g, i)), &b);
    if (rc || n > b.count)
        return rc && rc != ERR_NOT_FOUND ? rc : index_corrupt(txn);
    *ret = row_raw_uid(b.rows + (size_t)(n - 1) * ROW_SIZE);
    return 0;
}

/* --- changes --- */

static int group_changed(struct index_txn *txn, uint32_t mailbox, const unsigned char *g,
                         uint64_t since, struct ranges *ret)
{
    for (uint32_t i = 0; i < group_count(g); i++) {
        const unsigned char *e = group_at(g, i);
        struct block b;
        int rc;

        if (entry_newest(e) <= since)
            continue;
        rc = block_find(txn, mailbox, entry_uid(e), &b);
        if (rc)
            return rc == ERR_NOT_FOUND ? index_corrupt(txn) : rc;
        for (uint32_t k = 0; k < b.count; k++) {
            const unsigned char *raw = b.rows + (size_t)k * ROW_SIZE;

            if (row_raw_modseq(raw) > since)
                ranges_add(ret, row_raw_uid(raw), row_raw_uid(raw));
        }
    }
    return 0;
}

int rows_changed(struct index_txn *txn, uint32_t mailbox, uint64_t since, struct ranges *ret)
{
    const unsigned char *g;
    uint32_t from;
    int rc = group_first(txn, mailbox, &from, &g);

    for (; rc == 0; rc = group_next(txn, mailbox, &from, &g)) {
        if (group_newest(g) <= since)
            continue;
        rc = group_changed(txn, mailbox, g, since, ret);
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* --- verifying --- */

struct verify {
    struct index_txn *txn;
    uint32_t mailbox;
    uint32_t last_uid; /* of the block before */
    uint32_t blocks;
};

static int verify_block(struct verify *v, const unsigned char *e, struct err *err)
{
    struct block b;
    uint64_t newest = 0;
    uint32_t keywords = 0;
    int rc = block_find(v->txn, v->mailbox, entry_uid(e), &b);

    if (rc)
        return err_set(err, ERR_CORRUPT, "mailbox %u: no block at %u", v->mailbox, entry_uid(e));
    if (b.count != entry_count(e) || row_raw_uid(b.rows) < entry_uid(e) ||
        (v->blocks > 0 && entry_uid(e) <= v->last_uid))
        return err_set(err, ERR_CORRUPT, "mailbox %u: block at %u has %u rows, not %u, or overlaps",
                       v->mailbox, entry_uid(e), b.count, entry_count(e));
    for (uint32_t i = 0; i < b.count; i++) {
        const unsigned char *raw = b.rows + (size_t)i * ROW_SIZE;

        if (row_raw_uid(raw) <= v->last_uid)
            return err_set(err, ERR_CORRUPT, "mailbox %u: UID %u out of order", v->mailbox,
                           row_raw_uid(raw));
        v->last_uid = row_raw_uid(raw);
        newest = MAX(newest, row_raw_modseq(raw));
        keywords += 2 * row_raw_keywords(raw);
    }
    if (newest != entry_newest(e) || keywords != b.keyword_octets)
        return err_set(err, ERR_CORRUPT, "mailbox %u: block at %u: newest or keywords are wrong",
                       v->mailbox, entry_uid(e));
    v->blocks++;
    return 0;
}

static int verify_group(struct verify *v, uint32_t from, const unsigned char *g, struct err *err)
{
    uint64_t newest = 0;
    uint32_t total = 0;

    if (entry_uid(group_at(g, 0)) < from || group_count(g) > GROUP_MAX)
        return err_set(err, ERR_CORRUPT, "mailbox %u: group at %u", v->mailbox, from);
    for (uint32_t i = 0; i < group_count(g); i++) {
        const unsigned char *e = group_at(g, i);
        int rc = verify_block(v, e, err);

        if (rc)
            return rc;
        total += entry_count(e);
        newest = MAX(newest, entry_newest(e));
    }
    if (total != group_total(g) || newest != group_newest(g))
        return err_set(err, ERR_CORRUPT, "mailbox %u: sums of the group at %u", v->mailbox, from);
    return 0;
}

/* Blocks that no group knows of. */
static int verify_blocks(struct verify *v, struct err *err)
{
    struct span k, value;
    struct key key;
    uint32_t n = 0;
    int rc;

    key_row(&key, v->mailbox, 0);
    rc = table_seek(v->txn, TABLE_ROW, &key, &k, &value);
    for (; rc == 0 && key_row_mailbox(k) == v->mailbox;
         rc = table_next(v->txn, TABLE_ROW, &k, &value))
        n++;
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    return n == v->blocks ? 0
                          : err_set(err, ERR_CORRUPT, "mailbox %u: %u blocks, %u in groups",
                                    v->mailbox, n, v->blocks);
}

int rows_verify(struct index_txn *txn, uint32_t mailbox, struct err *err)
{
    struct verify v = {.txn = txn, .mailbox = mailbox};
    const unsigned char *g;
    uint32_t from;
    int rc = group_first(txn, mailbox, &from, &g);

    for (; rc == 0; rc = group_next(txn, mailbox, &from, &g)) {
        rc = verify_group(&v, from, g, err);
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? verify_blocks(&v, err) : rc;
}
