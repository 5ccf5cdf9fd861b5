/* index/index_int.h: what the files of src/index share, and their unit tests.
 *
 * txn.c and env.c call LMDB; all others work on tables through the functions below. */
#ifndef INDEX_INDEX_INT_H
#define INDEX_INDEX_INT_H

#include <lmdb.h>

#include "index/index.h"
#include "index/keys.h"
#include "index/tables.h"

/* Raise with every change of a record or key: older indexes are then derived anew. */
enum { INDEX_FORMAT = 4 };

struct derived_files;

struct index {
    MDB_env *env;
    char *dir;
    MDB_dbi dbi[TABLE_COUNT];
    int failed;
    bool reader;            /* index_open_reader */
    uint64_t generation;    /* of the environment */
    bool generation_raised; /* this opening has written */
    struct index_txn *writer;
    struct index_txn *idle[4]; /* ended readers, to be renewed */
    size_t idle_count, reader_count;
    uint64_t reserved_end; /* octets of data.mdb that have blocks */
    bool space_plenty;     /* at the last look */
    unsigned space_looks;
    struct derived_files *derived;
};

/* What the state record holds beside the store's numbers. */
struct index_own {
    uint64_t generation;
    uint32_t derived_file; /* that grows; 0: none yet */
    uint64_t derived_end;
};

struct table_cursor {
    MDB_cursor *mc;
    enum table table;
    uint64_t epoch; /* of the transaction; others need mdb_cursor_renew */
};

/* A mailbox record on its way: changed many times in a transaction, written once. */
enum { MAILBOX_CACHE = 4 };
struct mailbox_cache {
    struct mailbox_info info; /* id 0: free */
    char name[480];
    bool dirty;
    uint64_t used;
};

/* One bucket of messages (messages.c) in the same way. */
enum { BUCKET_IDS = 64, MESSAGE_SIZE = 31 };
struct bucket_cache {
    bool loaded, dirty;
    uint64_t number;
    uint64_t present; /* bit i: id number * 64 + i */
    unsigned char entries[BUCKET_IDS][MESSAGE_SIZE];
};

struct index_txn {
    struct index *index;
    _Alignas(16) unsigned char room[64]; /* index_txn_room */
    MDB_txn *txn;
    bool writes;
    uint64_t epoch;
    struct table_cursor cursors[TABLE_COUNT];
    MDB_cursor *spare_row; /* of a closed row iterator, for the next */
    uint64_t spare_row_epoch;

    bool state_loaded, state_dirty;
    struct index_state state;
    struct index_own own;

    /* write transactions */
    struct mailbox_cache mailboxes[MAILBOX_CACHE];
    uint64_t mailbox_clock;
    struct bucket_cache bucket;
    struct index_dead dead; /* sums to be added to a segment's record */
    bool dead_waits;
    struct derived_sum {
        uint32_t file;
        uint64_t bytes;
    } derived_sum;               /* the same of a derived file; file 0: none */
    struct buf derived_pending;  /* not yet in the file */
    uint64_t derived_pending_at; /* where it goes */

    /* read transactions: the bucket looked at last */
    uint64_t seen_bucket;
    struct span seen_entries;
    void *user;       /* the store's snapshot */
    uint64_t touched; /* pages that a write transaction may have changed, at most */
};

/* --- txn.c --- */

/* An ERR_ code for what LMDB returned; everything but "not found" sticks to the index. */
int index_error_of(struct index *index, int rc);
static inline int index_lmdb_error(struct index *index, int rc)
{
    int error = index_error_of(index, rc);
    if (rc != 0 && error == 0)
        __builtin_unreachable(); /* said to checkers of the code */
    return error;
}

/* A record that cannot be: ERR_CORRUPT, sticking. */
void index_note_corrupt(struct index_txn *txn);
static inline int index_corrupt(struct index_txn *txn)
{
    index_note_corrupt(txn);
    return ERR_CORRUPT;
}

int table_get(struct index_txn *txn, enum table t, const struct key *k,
              struct span *ret) must_check;
int table_put(struct index_txn *txn, enum table t, const struct key *k,
              struct span value) must_check;
/* Room for n octets, to be filled before anything else is done. */
int table_put_room(struct index_txn *txn, enum table t, const struct key *k, size_t n,
                   unsigned char **ret) must_check;
int table_del(struct index_txn *txn, enum table t,
              const struct key *k) must_check; /* ERR_NOT_FOUND */

/* With the table's own cursor: the first entry >= k, > what is there now, the last one < k. */
int table_seek(struct index_txn *txn, enum table t, const struct key *k, struct span *ret_key,
               struct span *ret) must_check;
int table_next(struct index_txn *txn, enum table t, struct span *ret_key,
               struct span *ret) must_check;
int table_before(struct index_txn *txn, enum table t, const struct key *k, struct span *ret_key,
                 struct span *ret) must_check;
/* The last entry <= k. */
int table_floor(struct index_txn *txn, enum table t, const struct key *k, struct span *ret_key,
                struct span *ret) must_check;

/* A cursor of one's own over rows. */
int row_cursor_take(struct index_txn *txn, MDB_cursor **ret) must_check;
void row_cursor_give(struct index_txn *txn, MDB_cursor *mc);

void index_txn_discard(struct index_txn *txn);

/* --- env.c --- */

/* What the file `trust` says (see index_open). */
int trust_write(struct index *index, uint64_t generation, bool clean) must_check;
/* Room in the file system for so many new pages. */
int index_reserve(struct index *index, uint64_t pages) must_check;

/* --- state.c --- */
int state_load(struct index_txn *txn) must_check;
int state_flush(struct index_txn *txn) must_check;

/* --- tables.c, messages.c: written back before a commit --- */
int mailboxes_flush(struct index_txn *txn) must_check;
int bucket_flush(struct index_txn *txn) must_check;
int dead_flush(struct index_txn *txn) must_check;

/* --- derived.c --- */
struct derived_files *derived_open(const char *dir);
void derived_close(struct derived_files *d);
int derived_flush(struct index_txn *txn) must_check;
void derived_remove_all(const char *dir);
/* Removes files of a future that is lost: after a checkpoint took the place of the index. */
int derived_sweep(struct index *index) must_check;
/* Syncs every derived file in dir: worker. */
int derived_sync(const char *dir, struct err *err);
/* A message with a record there is gone. */
int derived_dead(struct index_txn *txn, uint32_t file, uint32_t length) must_check;

/* Where a message's derived record is; length 0: none. */
struct derived_place {
    uint32_t file, offset, length;
};
int message_derived_get(struct index_txn *txn, uint64_t id, struct derived_place *ret) must_check;
int message_derived_set(struct index_txn *txn, uint64_t id,
                        const struct derived_place *place) must_check;

#endif
