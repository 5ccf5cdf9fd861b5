/* Transactions and single records: all of LMDB's data calls.
 *
 * A read transaction is reset, not freed, when it ends, and its cursors stay: renewing both costs
 * tens of nanoseconds where making them costs a microsecond. A reset transaction pins no pages. */
#include <errno.h>

#include "index/derived.h"

enum { TREE_DEPTH = 5 }; /* pages on the way to a record */

int index_error_of(struct index *index, int rc)
{
    int error;

    switch (rc) {
    case 0:
        return 0;
    case MDB_NOTFOUND:
        return ERR_NOT_FOUND;
    case MDB_READERS_FULL: /* passes; nothing is wrong with the data */
        return ERR_BUSY;
    case ENOSPC:
    case EDQUOT:
    case MDB_MAP_FULL:
        error = ERR_NO_SPACE;
        break;
    case MDB_PAGE_NOTFOUND:
    case MDB_CORRUPTED:
    case MDB_VERSION_MISMATCH:
    case MDB_INVALID:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_TXN:
    case MDB_BAD_DBI:
    case MDB_BAD_RSLOT:
    case MDB_BAD_VALSIZE:
    case MDB_CURSOR_FULL:
    case MDB_PAGE_FULL:
        error = ERR_CORRUPT;
        break;
    default:
        error = ERR_IO;
        break;
    }
    index_fail(index, error);
    return error;
}

void index_note_corrupt(struct index_txn *txn)
{
    index_fail(txn->index, ERR_CORRUPT);
}

int index_failed(const struct index *index)
{
    return index->failed;
}

void index_fail(struct index *index, int error)
{
    if (!index->failed)
        index->failed = error;
}

struct index *index_of(const struct index_txn *txn)
{
    return txn->index;
}

void *index_txn_room(struct index_txn *txn)
{
    return txn->room;
}

bool index_txn_writes(const struct index_txn *txn)
{
    return txn->writes;
}

/* --- beginning and ending --- */

int index_read_begin(struct index *index, struct index_txn **ret)
{
    struct index_txn *txn;
    int rc;

    if (index->failed)
        return index->failed;
    if (index->idle_count > 0) {
        txn = index->idle[index->idle_count - 1];
        rc = mdb_txn_renew(txn->txn);
        if (rc)
            return index_lmdb_error(index, rc);
        index->idle_count--;
        txn->epoch++;
        txn->state_loaded = false;
        txn->seen_entries = SPAN_EMPTY;
        memset(txn->room, 0, sizeof(txn->room));
    } else {
        txn = xnew(struct index_txn);
        rc = mdb_txn_begin(index->env, NULL, MDB_RDONLY, &txn->txn);
        if (rc) {
            free(txn);
            return index_lmdb_error(index, rc);
        }
        txn->index = index;
    }
    index->reader_count++;
    *ret = txn;
    return 0;
}

void index_txn_discard(struct index_txn *txn)
{
    for (size_t i = 0; i < TABLE_COUNT; i++) {
        if (txn->cursors[i].mc)
            mdb_cursor_close(txn->cursors[i].mc);
    }
    if (txn->spare_row)
        mdb_cursor_close(txn->spare_row);
    mdb_txn_abort(txn->txn);
    free(txn);
}

void index_read_end(struct index_txn *txn)
{
    struct index *index = txn->index;

    invariant(!txn->writes && index->reader_count > 0);
    index->reader_count--;
    if (index->idle_count == ARRAY_LEN(index->idle)) {
        index_txn_discard(txn);
        return;
    }
    mdb_txn_reset(txn->txn);
    index->idle[index->idle_count++] = txn;
}

/* The environment's open generation and the trust file's rise together, once an opening: the file
 * first, because a file that is one ahead is believed, one that is behind is not. */
static int generation_raise(struct index_txn *txn)
{
    struct index *index = txn->index;
    int rc;

    if (index->generation_raised)
        return 0;
    rc = state_load(txn);
    if (rc == 0)
        rc = trust_write(index, index->generation + 1, false);
    if (rc)
        return rc;
    txn->own.generation = index->generation + 1;
    txn->state_dirty = true;
    return 0;
}

int index_write_begin(struct index *index, struct index_txn **ret)
{
    struct index_txn *txn;
    int rc;

    invariant(!index->writer && !index->reader);
    if (index->failed)
        return index->failed;
    txn = xnew(struct index_txn);
    rc = mdb_txn_begin(index->env, NULL, 0, &txn->txn);
    if (rc) {
        free(txn);
        return index_lmdb_error(index, rc);
    }
    txn->index = index;
    txn->writes = true;
    buf_init(&txn->derived_pending, BUF_UNLIMITED);
    index->writer = txn;
    rc = generation_raise(txn);
    if (rc) {
        index_write_abort(txn);
        return rc;
    }
    *ret = txn;
    return 0;
}

static void write_end(struct index_txn *txn)
{
    txn->index->writer = NULL;
    buf_done(&txn->derived_pending);
    free(txn);
}

/* What waits in the transaction's caches goes into LMDB's pages and the derived file. */
static int write_flush(struct index_txn *txn)
{
    int rc = txn->index->failed;

    if (rc == 0)
        rc = bucket_flush(txn);
    if (rc == 0)
        rc = mailboxes_flush(txn);
    if (rc == 0)
        rc = dead_flush(txn);
    if (rc == 0)
        rc = derived_flush(txn);
    if (rc == 0)
        rc = state_flush(txn);
    return rc;
}

/* No more pages can change than all the trees have, and no more than each record's path; LMDB's own
 * table of free pages comes on top. */
static uint64_t pages_touched(struct index_txn *txn)
{
    uint64_t pages = 0;
    MDB_stat stat;

    for (size_t t = 0; t < TABLE_COUNT; t++) {
        if (mdb_stat(txn->txn, txn->index->dbi[t], &stat) == 0)
            pages += stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
    }
    return MIN(pages, txn->touched) + 16 + MIN(pages, txn->touched) / 64;
}

int index_write_prepare(struct index_txn *txn)
{
    int rc = write_flush(txn);

    return rc ? rc : index_reserve(txn->index, pages_touched(txn));
}

int index_write_commit(struct index_txn *txn)
{
    struct index *index = txn->index;
    uint64_t generation;
    int rc = write_flush(txn);

    if (rc) {
        index_write_abort(txn);
        return rc;
    }
    generation = txn->own.generation;
    rc = index_lmdb_error(index, mdb_txn_commit(txn->txn)); /* frees its cursors */
    if (rc == 0 && !index->generation_raised && txn->state_loaded) {
        index->generation = generation;
        index->generation_raised = true;
    }
    if (rc == 0)
        derived_committed(index);
    else
        derived_aborted(index);
    write_end(txn);
    return rc;
}

void index_write_abort(struct index_txn *txn)
{
    mdb_txn_abort(txn->txn);
    derived_aborted(txn->index);
    write_end(txn);
}

int index_check_readers(struct index *index)
{
    int dead = 0;

    return mdb_reader_check(index->env, &dead) == 0 ? dead : 0;
}

/* --- records --- */

static int cursor_ready(struct index_txn *txn, enum table t, MDB_cursor **ret)
{
    struct table_cursor *c = &txn->cursors[t];
    int rc = 0;

    if (!c->mc)
        rc = mdb_cursor_open(txn->txn, txn->index->dbi[t], &c->mc);
    else if (c->epoch != txn->epoch)
        rc = mdb_cursor_renew(txn->txn, c->mc);
    if (rc)
        return index_lmdb_error(txn->index, rc);
    c->epoch = txn->epoch;
    *ret = c->mc;
    return 0;
}

static MDB_val val_of(struct span s)
{
    return (MDB_val){s.n, (void *)(uintptr_t)s.p};
}

static struct span span_of(MDB_val v)
{
    return span_make(v.mv_data, v.mv_size);
}

int table_get(struct index_txn *txn, enum table t, const struct key *k, struct span *ret)
{
    MDB_val key = val_of(key_span(k)), data;
    MDB_cursor *mc = NULL;
    int rc = cursor_ready(txn, t, &mc);

    if (rc)
        return rc;
    rc = mdb_cursor_get(mc, &key, &data, MDB_SET);
    if (rc)
        return index_lmdb_error(txn->index, rc);
    *ret = span_of(data);
    return 0;
}

int table_put_room(struct index_txn *txn, enum table t, const struct key *k, size_t n,
                   unsigned char **ret)
{
    MDB_val key = val_of(key_span(k)), data = {n, NULL};
    MDB_cursor *mc = NULL;
    int rc = cursor_ready(txn, t, &mc);

    if (rc)
        return rc;
    txn->touched += TREE_DEPTH + n / 4096;
    rc = mdb_cursor_put(mc, &key, &data, MDB_RESERVE);
    if (rc)
        return index_lmdb_error(txn->index, rc);
    *ret = data.mv_data;
    return 0;
}

int table_put(struct index_txn *txn, enum table t, const struct key *k, struct span value)
{
    unsigned char *to = NULL;
    int rc = table_put_room(txn, t, k, value.n, &to);

    if (rc == 0 && value.n > 0)
        memcpy(to, value.p, value.n);
    return rc;
}

int table_del(struct index_txn *txn, enum table t, const struct key *k)
{
    struct span unused;
    int rc = table_get(txn, t, k, &unused);

    if (rc)
        return rc;
    txn->touched += TREE_DEPTH;
    return index_lmdb_error(txn->index, mdb_cursor_del(txn->cursors[t].mc, 0));
}

static int table_move(struct index_txn *txn, enum table t, const struct key *k, MDB_cursor_op op,
                      struct span *ret_key, struct span *ret)
{
    MDB_val key = k ? val_of(key_span(k)) : (MDB_val){0, NULL}, data;
    MDB_cursor *mc = NULL;
    int rc = cursor_ready(txn, t, &mc);

    if (rc)
        return rc;
    rc = mdb_cursor_get(mc, &key, &data, op);
    if (rc)
        return index_lmdb_error(txn->index, rc);
    *ret_key = span_of(key);
    *ret = span_of(data);
    return 0;
}

int table_seek(struct index_txn *txn, enum table t, const struct key *k, struct span *ret_key,
               struct span *ret)
{
    return table_move(txn, t, k, MDB_SET_RANGE, ret_key, ret);
}

int table_next(struct index_txn *txn, enum table t, struct span *ret_key, struct span *ret)
{
    return table_move(txn, t, NULL, MDB_NEXT, ret_key, ret);
}

int table_before(struct index_txn *txn, enum table t, const struct key *k, struct span *ret_key,
                 struct span *ret)
{
    int rc;

    invariant(k != NULL);
    rc = table_move(txn, t, k, MDB_SET_RANGE, ret_key, ret);
    if (rc == ERR_NOT_FOUND)
        return table_move(txn, t, NULL, MDB_LAST, ret_key, ret);
    return rc ? rc : table_move(txn, t, NULL, MDB_PREV, ret_key, ret);
}

int table_floor(struct index_txn *txn, enum table t, const struct key *k, struct span *ret_key,
                struct span *ret)
{
    struct span sought = key_span(k);
    int rc = table_move(txn, t, k, MDB_SET_RANGE, ret_key, ret);

    if (rc == ERR_NOT_FOUND)
        return table_move(txn, t, NULL, MDB_LAST, ret_key, ret);
    if (rc || span_eq(*ret_key, sought))
        return rc;
    return table_move(txn, t, NULL, MDB_PREV, ret_key, ret);
}

/* --- row cursors --- */

int row_cursor_take(struct index_txn *txn, MDB_cursor **ret)
{
    MDB_cursor *mc = txn->spare_row;
    int rc = 0;

    txn->spare_row = NULL;
    if (!mc)
        rc = mdb_cursor_open(txn->txn, txn->index->dbi[TABLE_ROW], &mc);
    else if (txn->spare_row_epoch != txn->epoch)
        rc = mdb_cursor_renew(txn->txn, mc);
    if (rc) {
        if (mc)
            mdb_cursor_close(mc);
        return index_lmdb_error(txn->index, rc);
    }
    *ret = mc;
    return 0;
}

void row_cursor_give(struct index_txn *txn, MDB_cursor *mc)
{
    /* In a write transaction LMDB frees its cursors itself at the end, but an old position in one
     * that is kept would be followed by every change until then. */
    if (txn->writes || txn->spare_row) {
        mdb_cursor_close(mc);
        return;
    }
    txn->spare_row = mc;
    txn->spare_row_epoch = txn->epoch;
}
