/* store/snapshot_int.h: what a snapshot is. Private to the store. */
#ifndef STORE_SNAPSHOT_INT_H
#define STORE_SNAPSHOT_INT_H

struct account;
struct index_txn;

/* Lives in its transaction's room (index_txn_room). */
struct snap {
    struct index_txn *txn;
    struct account *account; /* that is held for it; NULL: the transaction is somebody else's */
};

#endif
