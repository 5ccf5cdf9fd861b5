/* store/apply.h: the one way from operations to the index.
 *
 * apply_frame is used for live changes and for replay alike; it decides nothing and draws nothing
 * from clock, disk or chance, so that index = replay(log) holds. It checks what it is given: an
 * operation that contradicts the state is ERR_CORRUPT, and the caller aborts the transaction.
 *
 * A writer's batch is one write transaction: for each request evaluate against snap_of_txn(),
 * encode the result, apply_frame it, go on with the next; write the frames, sync, commit. After an
 * error of apply_frame the whole transaction is void (requests are checked before, so it means a
 * bug or a damaged index, not a bad request).
 *
 * Loop thread for live changes, worker for replay. */
#ifndef STORE_APPLY_H
#define STORE_APPLY_H

#include "index/index.h"
#include "store/ops.h"

struct apply_options {
    /* Whether a session shows the mailbox: its expunged rows then stay as ghosts. NULL: none. */
    bool (*watched)(void *ctx, uint32_t mailbox);
    void *ctx;
    /* Replay after damage: what refers to something that is not there is left out, gaps in the
     * sequence numbers are allowed. */
    bool lenient;
};

/* `frame` as log_stage or log_replay gave it; its sequence number must follow the applied one (base
 * frames: an empty index). */
int apply_frame(struct index_txn *txn, const struct apply_options *options,
                const struct log_frame *frame, struct span ops, struct err *err) must_check;

/* The same, an operation at a time, so that a large change need not hold up everything else. ops
 * and err must stay; nothing else may change the transaction meanwhile. apply_step: ERR_AGAIN until
 * it returns what apply_frame would; then, or by apply_cancel, the object is freed. */
struct applying;
struct applying *apply_begin(struct index_txn *txn, const struct apply_options *options,
                             const struct log_frame *frame, struct span ops, struct err *err);
int apply_step(struct applying *p) must_check;
void apply_cancel(struct applying *p); /* the transaction is void; NULL is allowed */

/* Forget the ghosts of a mailbox (0: of all) that were expunged at or before upto_modseq. Their
 * messages lose a reference. *ret_left (may be NULL): ghosts that remain in the mailbox. Index
 * only, no operation. */
int ghosts_purge(struct index_txn *txn, uint32_t mailbox, uint64_t upto_modseq,
                 uint32_t *ret_left) must_check;

bool ghosts_any(struct index_txn *txn);

/* Keep a derived record (of an appended message, or a recomputed one). Index only; of a message
 * that is not (any more) there it is dropped silently. */
int apply_derived(struct index_txn *txn, uint64_t message_id, struct span derived) must_check;

/* Dead octets of a segment: of messages nobody refers to any more. For compaction. */
struct segment_dead {
    uint64_t segment, messages, bytes;
};
/* The first with segment >= from; ERR_NOT_FOUND at the end. */
int segment_dead_seek(struct index_txn *txn, uint64_t from, struct segment_dead *ret) must_check;
/* A dropped segment needs no accounts. */
int segment_dead_forget(struct index_txn *txn, uint64_t segment) must_check;

/* --- snapshots of a transaction (the public snap_begin makes one of an account) --- */

struct snap;
/* Reads through the transaction, sees its changes; lives as long as it. For a write transaction:
 * what a snap_ function returned is valid until the next change. */
struct snap *snap_of_txn(struct index_txn *txn);

/* --- the site log's index: which account a name has --- */
int site_index_find(struct index_txn *txn, struct span user, struct account_id *ret) must_check;
/* The first name >= from (after it if `after`). */
int site_index_seek(struct index_txn *txn, struct span from, bool after, struct span *ret_user,
                    struct account_id *ret) must_check;

#endif
