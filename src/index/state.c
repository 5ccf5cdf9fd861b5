/* The state record: what an index knows of itself and of the account as a whole. */
#include "index/index_int.h"

enum { STATE_SIZE = 4 + 8 * 13 + 4 * 6 + 1 };

int state_load(struct index_txn *txn)
{
    struct index_state *s = &txn->state;
    struct reader r;
    struct span value;
    struct key key;
    int rc;

    if (txn->state_loaded)
        return 0;
    key_state(&key);
    rc = table_get(txn, TABLE_MAIN, &key, &value);
    if (rc)
        return rc == ERR_NOT_FOUND ? index_corrupt(txn) : rc;
    r = reader_make(value);
    if (read_u32(&r) != INDEX_FORMAT)
        return index_corrupt(txn);
    txn->own.generation = read_u64(&r);
    txn->own.derived_end = read_u64(&r);
    s->applied_seq = read_u64(&r);
    s->applied_time = read_u64(&r);
    s->modseq = read_u64(&r);
    s->message_id = read_u64(&r);
    s->messages = read_u64(&r);
    s->bytes = read_u64(&r);
    s->ops_since_checkpoint = read_u64(&r);
    s->bytes_since_checkpoint = read_u64(&r);
    txn->own.derived_file = read_u32(&r);
    s->incarnation = read_u32(&r);
    s->mailbox_id = read_u32(&r);
    s->keyword_id = read_u32(&r);
    s->uidvalidity = read_u32(&r);
    s->base_segment = read_u64(&r);
    s->mailboxes = read_u32(&r);
    s->metadata_bytes = read_u64(&r);
    s->metadata_modseq = read_u64(&r);
    s->base = read_u8(&r) != 0;
    if (r.bad)
        return index_corrupt(txn);
    txn->state_loaded = true;
    return 0;
}

int state_flush(struct index_txn *txn)
{
    const struct index_state *s = &txn->state;
    autobuf b = BUF_INIT(STATE_SIZE);
    struct key key;

    if (!txn->state_dirty)
        return 0;
    put_u32(&b, INDEX_FORMAT);
    put_u64(&b, txn->own.generation);
    put_u64(&b, txn->own.derived_end);
    put_u64(&b, s->applied_seq);
    put_u64(&b, s->applied_time);
    put_u64(&b, s->modseq);
    put_u64(&b, s->message_id);
    put_u64(&b, s->messages);
    put_u64(&b, s->bytes);
    put_u64(&b, s->ops_since_checkpoint);
    put_u64(&b, s->bytes_since_checkpoint);
    put_u32(&b, txn->own.derived_file);
    put_u32(&b, s->incarnation);
    put_u32(&b, s->mailbox_id);
    put_u32(&b, s->keyword_id);
    put_u32(&b, s->uidvalidity);
    put_u64(&b, s->base_segment);
    put_u32(&b, s->mailboxes);
    put_u64(&b, s->metadata_bytes);
    put_u64(&b, s->metadata_modseq);
    put_u8(&b, s->base);
    invariant(buf_ok(&b));
    key_state(&key);
    txn->state_dirty = false;
    return table_put(txn, TABLE_MAIN, &key, buf_span(&b));
}

int index_state_get(struct index_txn *txn, struct index_state *ret)
{
    int rc = state_load(txn);

    if (rc == 0)
        *ret = txn->state;
    return rc;
}

int index_state_put(struct index_txn *txn, const struct index_state *state)
{
    int rc = state_load(txn);

    if (rc)
        return rc;
    txn->state = *state;
    txn->state_dirty = true;
    return 0;
}
