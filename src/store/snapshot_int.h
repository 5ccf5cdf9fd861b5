/* store/snapshot_int.h: what a snapshot is. Private to the store. */
#ifndef STORE_SNAPSHOT_INT_H
#define STORE_SNAPSHOT_INT_H

#include "base/bytes.h"
#include "store/types.h"

struct account;
struct index_txn;

/* With whose eyes it is read: of a user who is not the owner. */
struct snap_eyes {
    struct span user;
    uint32_t mailbox; /* `seen` is of; 0: none yet */
    struct ranges seen;
};
void snap_eyes_done(struct snap_eyes *eyes);

/* Lives in its transaction's room (index_txn_room). */
struct snap {
    struct index_txn *txn;
    struct account *account; /* that is held for it; NULL: the transaction is somebody else's */
    struct snap_eyes *eyes;  /* NULL: the owner's */
};

#endif
