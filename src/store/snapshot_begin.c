/* Snapshots of accounts: a read transaction of an index that is held open. */
#include "index/index.h"
#include "store/apply.h"
#include "store/snapshot_int.h"
#include "store/store_int.h"

int snap_begin(struct account *account, struct snap **ret)
{
    struct index_txn *txn;
    struct index *index;
    struct snap *s;
    int rc = account_hold(account, &index, NULL);

    if (rc)
        return rc;
    rc = index_read_begin(index, &txn);
    if (rc) {
        if (index_failed(index))
            account_index_failed(account, rc);
        account_release(account);
        return rc;
    }
    s = snap_of_txn(txn);
    s->account = account;
    *ret = s;
    return 0;
}

void snap_end(struct snap *snap)
{
    struct account *account = snap->account;
    struct index *index = index_of(snap->txn);
    int failed = index_failed(index);

    index_read_end(snap->txn);
    if (failed)
        account_index_failed(account, failed);
    account_release(account);
}
