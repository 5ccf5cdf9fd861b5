/* store/recover.h: getting an index that shows exactly what the log says, and keeping that cheap.
 *
 * recover_index returns a trusted index that has applied every frame of the log: the one that is
 * there if it can be believed, else the last checkpoint or an empty one; what is missing is
 * replayed (operations, not message bytes). All ghosts are gone. Blocking: worker.
 *
 * Checkpoints bound the replay: as soon as one is due (checkpoint_due), make one in a worker while
 * the account goes on. */
#ifndef STORE_RECOVER_H
#define STORE_RECOVER_H

#include "base/err.h"
#include "index/index.h"
#include "log/log.h"

struct recover_report {
    bool trusted;            /* the index was usable as it was */
    uint64_t checkpoint_seq; /* began from this checkpoint; 0: none */
    uint64_t frames, ops;    /* replayed */
    uint64_t damaged;        /* frames of the log that could not be read */
    uint64_t microseconds;
};

/* index_dir: the account's index/ (made if missing). The log is open and synced. `fresh`: throw
 * away index and checkpoints first and derive all from the log. *report may be NULL. */
int recover_index(const char *index_dir, struct log *log, bool fresh, struct index **ret,
                  struct recover_report *report, struct err *err) must_check;

/* Replay of more than so much is bounded by checkpoints. */
#define CHECKPOINT_OPS_BYTES (64ULL << 20)
#define CHECKPOINT_OPS       200000ULL

bool checkpoint_due(struct index_txn *txn);
/* Is it worth one when the account closes? */
bool checkpoint_worthwhile(struct index_txn *txn);
/* begin: loop thread, at any time. run: worker; copies, syncs, removes older checkpoints. end: loop
 * thread, frees it; after a successful run notes in the given write transaction how far replay is
 * now bounded (txn may be NULL: then the next one is due earlier than necessary). The index must
 * stay open until end. */
struct checkpoint;
int checkpoint_begin(struct index *index, struct checkpoint **ret, struct err *err) must_check;
void checkpoint_run(struct checkpoint *c);
int checkpoint_end(struct checkpoint *c, struct index_txn *txn, struct err *err);

/* The logical content, for comparison: index = replay(log). Text (one line a fact, in canonical
 * order) to `to` if not NULL, and a hash of it. Without ghosts, derived records, and what may be
 * forgotten. */
int index_dump(struct index_txn *txn, struct buf *to, uint64_t ret_hash[2]) must_check;

#endif
