/* store/frozen.h: one durable state of an account, held still for a worker.
 *
 * A copy of the index and a view of the log that belong together, while the account goes on. For
 * checks, compaction and backups, of which an account has one at a time. Private to the store. */
#ifndef STORE_FROZEN_H
#define STORE_FROZEN_H

#include "store/maintain.h"
#include "store/store_int.h"

struct frozen {
    struct account *account;
    struct log *log;  /* the account's */
    struct log *view; /* the log as it was */
    struct index_copy *copy;
    struct index *index;     /* the index as it was, once frozen_open ran */
    uint64_t seq;            /* of the last frame in it */
    struct ranges in_flight; /* external segments that no frame links yet (the low 32 bits) */
    char *dir;               /* for scratch indexes */
};

/* Loop thread. Calls ready(arg, error) later; the writer is paused then, if error is 0, until
 * writer_unpause. Keeps the account open and takes a lease. */
void frozen_take(struct frozen *f, struct account *a, bool with_index,
                 void (*ready)(void *arg, int error), void *arg);
/* Worker: opens the copy of the index. */
int frozen_open(struct frozen *f, struct err *err) must_check;
/* A scratch directory below f->dir. */
void frozen_path(const struct frozen *f, const char *name, struct buf *to);
/* Loop thread; also after a failed take. */
void frozen_done(struct frozen *f);

#endif
