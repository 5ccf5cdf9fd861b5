/* index/index.h: the index of one account: an LMDB environment and its transactions.
 *
 * Derived from the account's log and disposable (DESIGN: "The log is the only truth"). The
 * environment runs with MDB_NOSYNC and never MDB_WRITEMAP: it survives the death of the process,
 * not that of the machine; index_open tells the two apart, index_copy makes the checkpoints from
 * which a lost one comes back. This folder is the only place that sees lmdb.h.
 *
 * Layout of the directory: data.mdb and lock.mdb (LMDB), trust (what the environment can be
 * believed of, see index_open), derived-<n> (blobs, index/derived.h), checkpoint-<seq> (copies of
 * data.mdb).
 *
 * Threads: an index belongs to one thread at a time; opening, copying and closing may happen in a
 * worker while nobody else uses it; index_copy_run beside its use.
 * Failure: every LMDB error becomes ERR_CORRUPT, ERR_IO or ERR_NO_SPACE and sticks (index_failed):
 * the index must then be closed and made anew from the log. Nothing here aborts on bad data.
 * Limits: 64 GiB a data.mdb; keys of 511 octets; values of the row tables below 2 KB. */
#ifndef INDEX_INDEX_H
#define INDEX_INDEX_H

#include "base/err.h"
#include "index/record.h"

struct index;
struct index_txn;

/* Whether what lies in the directory may be used as it is. */
enum index_trust {
    INDEX_MISSING,   /* there is none */
    INDEX_UNTRUSTED, /* written under another boot, moved, copied, or of another format */
    INDEX_TRUSTED,
};

/* Opens the environment in `dir` (made if missing). The environment is believed if the file `trust`
 * names this data.mdb (file system and inode), the same open generation as the environment itself
 * and either this boot of the machine, or a clean close (index_close_clean) after which nothing was
 * written. If it is not to be believed, nothing is opened: *ret is NULL, *ret_trust says why and
 * the caller puts a checkpoint or nothing in its place (index_replace), then opens with `believe`.
 * One process must not open a directory twice. */
int index_open(const char *dir, bool believe, enum index_trust *ret_trust, struct index **ret,
               struct err *err) must_check;
/* Opens the environment that another process has open, for reading only: no write transaction, no
 * copy, and the files stay as they are. `which` is what index_which told there; ERR_CLOSED: another
 * one lies in the directory by now. It stays usable, at the state that it had, when its owner puts
 * another one in its place. The owner must have it open, or have closed it in good order. */
struct index_which {
    uint64_t filesystem, inode, generation;
};
int index_open_reader(const char *dir, const struct index_which *which, struct index **ret,
                      struct err *err) must_check;
int index_which(struct index *index, struct index_which *ret) must_check;
/* Without any sync: trusted as long as the machine runs. NULL allowed. No transaction may be open.
 */
void index_close(struct index *index);
/* Syncs and leaves a mark, so that the index is trusted by another boot, too. Slow: worker. */
int index_close_clean(struct index *index, struct err *err);

/* Puts the file `from` (below dir; NULL: nothing) in the place of data.mdb and removes what
 * belonged to the old one. `from` stays. The index must not be open. */
int index_replace(const char *dir, const char *from, struct err *err) must_check;
/* A copy of the last committed state, for a checkpoint. begin: on the index's thread, at any time,
 * also with a write transaction open; pins the state. run: in a worker, beside readers and the
 * writer; copies, syncs (also what the copy refers to) and gives it the name `name` below the
 * index's directory. free: on any thread; needed after begin whether run or not. The index must
 * stay open until free. */
struct index_copy;
int index_copy_begin(struct index *index, struct index_copy **ret) must_check;
int index_copy_run(struct index_copy *copy, const char *name, struct err *err) must_check;
void index_copy_free(struct index_copy *copy);

/* The first error that a transaction met; 0 if none. */
int index_failed(const struct index *index);
/* Marks it so for another reason (rows that contradict each other). */
void index_fail(struct index *index, int error);

const char *index_dir(const struct index *index);
uint64_t index_size(struct index *index); /* bytes of its file that are in use */

/* Another boot id than the machine's (NULL: the machine's again): tests of lost power. */
void index_set_boot_for_test(const char *boot);

/* --- transactions ---
 *
 * Read transactions are snapshots: cheap (renewed, not made), any number, never across a return to
 * the event loop. There is at most one write transaction; it must be ended by the thread that began
 * it, and sees its own changes through the same functions. */

int index_read_begin(struct index *index, struct index_txn **ret) must_check;
void index_read_end(struct index_txn *txn);

int index_write_begin(struct index *index, struct index_txn **ret) must_check;
/* Before the frames of this transaction are written to the log: does all that can still fail for
 * want of space, and secures the blocks that the commit will write. ERR_NO_SPACE: nothing has
 * happened yet, abort. The transaction may be used further (then prepare it again). */
int index_write_prepare(struct index_txn *txn) must_check;
/* Both end the transaction, whatever they return. */
int index_write_commit(struct index_txn *txn) must_check;
void index_write_abort(struct index_txn *txn);
struct index *index_of(const struct index_txn *txn);
/* 64 octets for the user's own data, zero at the beginning of the transaction. */
void *index_txn_room(struct index_txn *txn);
bool index_txn_writes(const struct index_txn *txn);

/* Frees the reader slots of processes that died; returns how many. Now and then. */
int index_check_readers(struct index *index);

/* --- the account's own numbers --- */

struct index_state {
    uint64_t applied_seq;            /* the last frame of the log that is in here; 0: none */
    uint32_t incarnation;            /* of that log */
    uint64_t applied_time;           /* microseconds: its time */
    uint64_t modseq;                 /* highest given out */
    uint64_t message_id;             /* highest given out */
    uint32_t mailbox_id;             /* highest given out */
    uint32_t keyword_id;             /* number given out: ids are 1.. */
    uint32_t uidvalidity;            /* highest given out */
    uint64_t messages;               /* rows in all mailboxes */
    uint64_t bytes;                  /* their sizes: what a quota counts */
    uint32_t mailboxes;              /* how many there are */
    uint64_t metadata_bytes;         /* of all mailboxes and of the account itself */
    uint64_t metadata_modseq;        /* newest change of the account's own metadata */
    uint64_t bytes_since_checkpoint; /* octets of operations; and their number */
    uint64_t ops_since_checkpoint;
    uint64_t base_segment; /* the first one of the log's base whose locations these are; 0: none */
    bool base;             /* in the middle of a base: worth nothing yet */
};

int index_state_get(struct index_txn *txn, struct index_state *ret) must_check;
int index_state_put(struct index_txn *txn, const struct index_state *state) must_check;

#endif
