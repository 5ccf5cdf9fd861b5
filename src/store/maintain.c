/* Checkpoints and rebuilds on demand. */
#include "store/maintain.h"

#include "base/logline.h"
#include "store/recover.h"
#include "store/store_int.h"

/* --- checkpoint --- */

struct checkpoint_job {
    struct account *account;
    struct maintenance *m;
    struct checkpoint *checkpoint;
    int error;
};

static void checkpoint_work(void *arg)
{
    checkpoint_run(((struct checkpoint_job *)arg)->checkpoint);
}

static void checkpoint_finished(void *arg)
{
    autofree struct checkpoint_job *job = arg;
    struct account *a = job->account;
    struct err err = {0};
    if (job->checkpoint)
        job->error = checkpoint_end(job->checkpoint, NULL, &err);
    if (job->checkpoint) {
        a->checkpointing = false;
        account_release(a);
    }
    job->m->finished(job->m, job->error,
                     err.code     ? err.text
                     : job->error ? err_name(job->error)
                                  : "");
    account_unref(a);
}

void account_checkpoint(struct account *account, struct maintenance *m)
{
    struct checkpoint_job *job = xnew(struct checkpoint_job);
    struct index *index;
    *job = (struct checkpoint_job){.account = account_ref(account), .m = m};
    job->error =
        account->checkpoint || account->maintained ? ERR_BUSY : account_hold(account, &index, NULL);
    if (job->error == 0) {
        job->error = checkpoint_begin(index, &job->checkpoint, NULL);
        if (job->error)
            account_release(account);
    }
    if (job->error) {
        store_defer(account->store, checkpoint_finished, job);
        return;
    }
    account->checkpointing = true;
    store_work(account->store, checkpoint_work, checkpoint_finished, job);
}

/* --- rebuild --- */

static void rebuilt(void *arg, int error, struct account *account)
{
    struct maintenance *m = arg;
    m->finished(m, error, error ? "the index could not be derived from the log" : "");
    account_unref(account);
}

/* The account is closed and opened anew without its index; what is asked for meanwhile waits or is
 * told that it is not available. */
void account_rebuild(struct account *account, struct maintenance *m)
{
    struct store *store = account->store;
    struct account_id id = account->id;
    int error = account_hold(account, NULL, NULL);
    if (error == 0) {
        account_fail(account, ERR_BUSY, true);
        account_release(account);
    }
    account_await(store, &id, rebuilt, m);
}
