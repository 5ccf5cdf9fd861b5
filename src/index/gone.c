/* What is no longer there: ghosts (rows that a session still shows) and the memory of expunges. */
#include "index/index_int.h"
#include "index/rowcode.h"

/* --- ghosts: MODSEQ of the expunge(8), row, keyword ids --- */

static bool ghost_decode(struct span value, struct row *ret, uint64_t *ret_modseq)
{
    const unsigned char *raw = (const unsigned char *)value.p + 8;

    if (value.n < 8 + ROW_SIZE || value.n != 8 + ROW_SIZE + 2 * (size_t)row_raw_keywords(raw))
        return false;
    if (ret_modseq)
        *ret_modseq = load_le64(value.p);
    row_decode(raw, raw + ROW_SIZE, ret);
    return true;
}

int index_ghost_put(struct index_txn *txn, uint32_t mailbox, const struct row *row,
                    uint64_t expunge_modseq)
{
    unsigned char value[8 + ROW_SIZE + 2 * INDEX_KEYWORDS_MAX];
    size_t keywords = 2 * (size_t)row->keyword_count;
    struct key key;

    if (!row_fits(row))
        return index_corrupt(txn);
    store_le64(value, expunge_modseq);
    row_encode(value + 8, row);
    if (keywords > 0)
        memcpy(value + 8 + ROW_SIZE, row->keywords, keywords);
    key_row(&key, mailbox, row->uid);
    return table_put(txn, TABLE_GHOST, &key, span_make(value, 8 + ROW_SIZE + keywords));
}

int index_ghost_get(struct index_txn *txn, uint32_t mailbox, uint32_t uid, struct row *ret)
{
    struct span value;
    struct key key;
    int rc;

    key_row(&key, mailbox, uid);
    rc = table_get(txn, TABLE_GHOST, &key, &value);
    if (rc == 0 && !ghost_decode(value, ret, NULL))
        rc = index_corrupt(txn);
    return rc;
}

int index_ghost_seek(struct index_txn *txn, uint32_t mailbox, uint32_t uid, uint32_t *ret_mailbox,
                     struct row *ret, uint64_t *ret_expunge_modseq)
{
    struct span k, value;
    struct key key;
    int rc;

    key_row(&key, mailbox, uid);
    rc = table_seek(txn, TABLE_GHOST, &key, &k, &value);
    if (rc)
        return rc;
    if (!ghost_decode(value, ret, ret_expunge_modseq))
        return index_corrupt(txn);
    *ret_mailbox = key_row_mailbox(k);
    return 0;
}

int index_ghost_del(struct index_txn *txn, uint32_t mailbox, uint32_t uid)
{
    struct key key;

    key_row(&key, mailbox, uid);
    return table_del(txn, TABLE_GHOST, &key);
}

/* --- expunges: time(8), then the UIDs as ranges_encode writes them. A large set is cut into parts.
 * --- */

enum { GONE_RANGES = 8000 };

static int gone_put(struct index_txn *txn, struct key *key, uint64_t time,
                    const struct ranges *uids)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);

    put_u64(&b, time);
    ranges_encode(&b, uids);
    return table_put(txn, TABLE_GONE, key, buf_span(&b));
}

/* The first part number that the entry has not used yet. */
static int gone_free_part(struct index_txn *txn, uint32_t mailbox, uint64_t modseq, uint16_t *ret)
{
    struct span k, value;
    struct key key;
    int rc;

    key_gone(&key, mailbox, modseq + 1, 0);
    rc = table_before(txn, TABLE_GONE, &key, &k, &value);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    *ret = 0;
    if (rc == 0 && key_gone_mailbox(k) == mailbox && key_gone_modseq(k) == modseq) {
        uint16_t last = (uint16_t)load_be64(k.p + 4);

        if (last == UINT16_MAX)
            return index_corrupt(txn);
        *ret = (uint16_t)(last + 1);
    }
    return 0;
}

int index_gone_add(struct index_txn *txn, uint32_t mailbox, uint64_t modseq, uint64_t time,
                   const struct ranges *uids)
{
    uint16_t part;
    int rc = gone_free_part(txn, mailbox, modseq, &part);

    for (size_t at = 0; rc == 0 && at < uids->n; at += GONE_RANGES) {
        struct ranges piece = {uids->v + at, MIN(uids->n - at, GONE_RANGES), 0};
        struct key key;

        key_gone(&key, mailbox, modseq, part);
        rc = gone_put(txn, &key, time, &piece);
        if (rc == 0 && ++part == 0)
            rc = index_corrupt(txn);
    }
    return rc;
}

static int gone_decode(struct index_txn *txn, struct span k, struct span value,
                       struct index_gone *ret)
{
    if (k.n != KEY_GONE_SIZE || value.n < 8)
        return index_corrupt(txn);
    *ret = (struct index_gone){
        .mailbox = key_gone_mailbox(k),
        .modseq = key_gone_modseq(k),
        .time = load_le64(value.p),
        .uids = span_skip(value, 8),
    };
    return 0;
}

int index_gone_forget(struct index_txn *txn, uint32_t mailbox, uint64_t time, unsigned limit,
                      uint64_t *ret_modseq)
{
    while (limit-- > 0) {
        struct index_gone gone = {0};
        struct span k, value;
        struct key key;
        int rc;

        key_gone(&key, mailbox, 0, 0);
        rc = table_seek(txn, TABLE_GONE, &key, &k, &value);
        if (rc || key_gone_mailbox(k) != mailbox)
            return rc == ERR_NOT_FOUND ? 0 : rc;
        rc = gone_decode(txn, k, value, &gone);
        if (rc || gone.time >= time)
            return rc;
        memcpy(key.b, k.p, KEY_GONE_SIZE);
        rc = table_del(txn, TABLE_GONE, &key);
        if (rc)
            return rc;
        *ret_modseq = gone.modseq;
    }
    return 0;
}

int index_gone_seek(struct index_txn *txn, uint32_t mailbox, uint64_t since, struct index_gone *ret)
{
    struct span k, value;
    struct key key;
    int rc;

    if (since >= INDEX_NUMBER_MAX)
        return ERR_NOT_FOUND;
    key_gone(&key, mailbox, since + 1, 0);
    rc = table_seek(txn, TABLE_GONE, &key, &k, &value);
    if (rc)
        return rc;
    if (key_gone_mailbox(k) != mailbox)
        return ERR_NOT_FOUND;
    return gone_decode(txn, k, value, ret);
}

int index_gone_next(struct index_txn *txn, uint32_t mailbox, struct index_gone *ret)
{
    struct span k, value;
    int rc = table_next(txn, TABLE_GONE, &k, &value);

    if (rc)
        return rc;
    if (key_gone_mailbox(k) != mailbox)
        return ERR_NOT_FOUND;
    return gone_decode(txn, k, value, ret);
}

int index_gone_uids(struct index_txn *txn, const struct index_gone *gone, struct ranges *ret)
{
    struct reader r = reader_make(gone->uids);
    autoranges uids = RANGES_INIT;

    if (!ranges_decode(&r, &uids) || reader_left(&r) > 0)
        return index_corrupt(txn);
    ranges_add_all(ret, &uids);
    return 0;
}
