/* store/base_dump.h: the whole state of an account as operations (docs/log-format.md, "base").
 * Private to the store; worker. */
#ifndef STORE_BASE_DUMP_H
#define STORE_BASE_DUMP_H

#include "index/tables.h"
#include "store/ops.h"

struct moved_message {
    uint64_t message_id;
    struct op_body body; /* external: where it is now */
};

struct base_dump {
    struct index_txn *txn;
    struct log *from; /* payloads are read here */
    struct log_base *to;
    const uint64_t *empty; /* ascending numbers of segments whose live messages move */
    size_t empty_count;
    uint32_t new_uidvalidity; /* not 0: every mailbox gets a new one, from here on */
    void (*progress)(void *ctx, uint64_t done, uint64_t total);
    void *ctx;
    const bool *cancel; /* may be NULL */

    struct buf moved; /* struct moved_message each; buf_done after use */
    struct err *err;

    /* Its own. */
    struct buf ops, payload;
};

/* ERR_CLOSED: cancelled. */
int base_dump(struct base_dump *d) must_check;

#endif
