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
    s->eyes = NULL;
    *ret = s;
    return 0;
}

int snap_begin_as(struct account *account, struct span user, struct snap **ret)
{
    int rc = snap_begin(account, ret);

    if (rc == 0 && user.n) {
        (*ret)->eyes = xnew(struct snap_eyes);
        (*ret)->eyes->user = user;
    }
    return rc;
}

void snap_end(struct snap *snap)
{
    struct snap_eyes *eyes = snap->eyes;
    struct account *account = snap->account;
    struct index *index = index_of(snap->txn);
    int failed = index_failed(index);

    if (eyes)
        snap_eyes_done(eyes);
    free(eyes);
    index_read_end(snap->txn);
    if (failed)
        account_index_failed(account, failed);
    account_release(account);
}
