/* store/store_int.h: what the files of the store share, and their unit tests.
 *
 * Who calls whom: store.c keeps the accounts of a process; account.c opens, wakes and closes one;
 * writer.c changes it, through the evaluations in req_*.c; snapshot.c reads it. Everything here
 * runs on the loop thread unless it says "worker". */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "base/map.h"
#include "store/account.h"
#include "store/apply.h"
#include "store/quota.h"

struct index;
struct log;
struct batch;

/* --- store.c: jobs ---
 *
 * The host's worker jobs and deferred calls, made cancellable: after store_free none of them
 * touches the store any more. */

struct store_job;
typedef void job_fn(void *arg);
/* run(arg) in a worker, then done(arg) on the loop. */
struct store_job *store_work(struct store *store, job_fn *run, job_fn *done, void *arg);
void store_defer(struct store *store, job_fn *fn, void *arg);

/* Take a job back from the host: run it here, or wait until the worker is through, and complete
 * it. */
void store_job_await(struct store_job *job);
/* All that are out, and those that they begin. */
void store_jobs_finish(struct store *store);

struct mime_parser;
struct site;

struct store {
    struct store_options options;
    char *dir;
    struct log_fs *fs;
    struct store_host host;
    struct map accounts; /* id -> struct account */
    struct list awake;   /* accounts with an open index, least recently used first */
    size_t awake_count, open_max;
    uint64_t tick;       /* of store_tick */
    size_t slept;        /* accounts that fell asleep since the last one */
    uint64_t reserve;    /* bytes of free space that appends leave alone */
    struct list jobs;    /* all that the host still has */
    struct list remotes; /* remote.c */
    bool closing;
    struct quota_defaults quota;
    struct site *site;                /* NULL unless this process owns it */
    struct mime_parser *spare_parser; /* saves allocations */
};

/* DIR/accounts/ab/abcd...: the account's directory, and what is below it. */
void store_account_path(const struct store *store, const struct account_id *id, const char *below,
                        struct buf *to);

/* --- account.c --- */

enum account_state {
    ACCOUNT_OPENING, /* a worker opens, recovers or rebuilds it; nothing of it is visible */
    ACCOUNT_AWAKE,
    ACCOUNT_CLOSING, /* a worker closes it: it falls asleep */
    ACCOUNT_ASLEEP,  /* index and log are closed, nothing is lost by opening them again in place */
    ACCOUNT_FAILED,  /* could not be opened; the next account_open tries again */
};

enum writer_state {
    WRITER_IDLE,      /* no batch, no call under way */
    WRITER_SCHEDULED, /* a deferred call begins or goes on with a batch */
    WRITER_SYNCING,   /* the batch is written; a worker syncs it */
};

/* The expunged rows of a mailbox that sessions may still show. */
struct ghost_mailbox {
    uint32_t mailbox;
    uint64_t newest; /* MODSEQ of the last expunge that left ghosts */
    uint64_t purged; /* MODSEQ up to which they are gone */
};

/* Recent messages that were claimed; logged with the next batch. */
struct recent_claim {
    uint32_t mailbox, recent_uid;
};

struct account {
    struct account_id id;
    struct store *store;
    enum account_state state;
    unsigned refs;         /* sessions and other users */
    unsigned holds;        /* snapshots, uploads, jobs: the index and the log stay open ... */
    unsigned externals;    /* ... of which so many are uploads to segments of their own */
    unsigned upload_syncs; /* requests whose uploads are being synced */
    int failed;            /* index or log broke: reopen as soon as nobody holds it */
    bool fresh;            /* the next opening derives the index anew */
    struct list awake;     /* store.awake */
    uint64_t tick;         /* store.tick when it was last used */
    struct list waiters;   /* account_open */
    struct store_job *job; /* that closes it */
    struct index *index;
    struct log *log;

    enum writer_state writer;
    bool paused;               /* maintenance has the writer's place */
    bool maintained;           /* a check, compaction or backup is under way */
    void (*resume)(void *arg); /* called once the writer rests, if paused */
    void *resume_arg;
    struct request *queue, **queue_end;
    struct batch *batch; /* NULL unless one is under way */
    bool flush;          /* log the recent claims even without other changes */
    uint64_t space_checked_us;
    bool space_low;
    struct checkpoint *checkpoint; /* being made, or made and not yet noted in the index */
    bool checkpointing;

    struct remote *remote; /* another process owns it (remote.c); NULL: this one does */
    struct list leases;    /* of processes that read it (lend.c) */
    struct list watches;
    size_t event_watches; /* those that want events */
    struct buf ghosts;    /* struct ghost_mailbox */
    bool purge_wanted;
    struct buf recents; /* struct recent_claim */
    struct list uploads;
    size_t upload_bytes; /* in memory */
};

struct account *account_find_or_make(struct store *store, const struct account_id *id);
/* A reference or a hold is gone, a batch or a job has ended: close, reopen or free the account if
 * that is due. The account may be gone afterwards. */
void account_settle(struct account *a);
/* Somebody who may have been at work on moves from here to other accounts is gone. */
void account_settle_transfers(struct account *a);
/* Index or log cannot be used any more. */
void account_fail(struct account *a, int error, bool fresh);
/* As account_open, but of an account that is about to be reopened the state after it. */
void account_await(struct store *store, const struct account_id *id,
                   void (*done)(void *arg, int error, struct account *account), void *arg);
void account_close_now(struct account *a, bool clean); /* store_free */
/* It was closed for a restore and is not to be opened now: all that wait are told `error`. Takes
 * the caller's reference. */
void account_abandon(struct account *a, int error);
void store_evict(struct store *store);
/* Closes an account without users and keeps others from opening it. */
int account_close_for_restore(struct account *a) must_check;

/* The account's open index and log, waking the account if it sleeps. Until account_release they
 * stay open, whatever else is opened. ERR_CLOSED while the account is broken or being rebuilt, else
 * what opening said. The results may be NULL if the caller does not want them. */
int account_hold(struct account *a, struct index **ret_index, struct log **ret_log) must_check;
void account_release(struct account *a);

/* The index of a held account failed (an LMDB error, or rows that cannot be): the account is closed
 * as soon as nobody holds it, its index thrown away and derived anew by the next opening. */
void account_index_failed(struct account *a, int error);

void site_close(struct store *store); /* site.c */

/* What a crash left undone of discarding accounts; site_open calls it (discard.c). */
void store_finish_discards(struct store *store);

/* --- compact.c --- */

/* More than half of the log is dead, and it is worth it. */
bool compact_is_due(struct index_txn *txn, struct log *log);
void compact_by_itself(struct account *a);

/* --- watch.c --- */

bool watches_any(const struct account *a, uint32_t mailbox);
/* Tell the watchers of these mailboxes, and those of the whole account. */
void watches_notify(struct account *a, const struct ranges *mailboxes, const struct events *events);
/* An expunge at `modseq` has left ghosts in a watched mailbox. */
void ghosts_note(struct account *a, uint32_t mailbox, uint64_t modseq);
/* Purge what no watch needs any more; then, whether that was committed or not. */
int ghosts_sweep(struct account *a, struct index_txn *txn) must_check;
void ghosts_swept(struct account *a);
void ghosts_unswept(struct account *a);

/* --- writer.c --- */

/* Something waits: begin a batch soon, unless one is under way. */
void writer_kick(struct account *a);
/* No batch is under way and none is about to begin. */
bool writer_rests(const struct account *a);
/* Calls fn(arg), later, when nothing is staged or unsynced; then no batch begins until
 * writer_unpause. ERR_BUSY: paused already. */
int writer_pause(struct account *a, void (*fn)(void *arg), void *arg) must_check;
void writer_unpause(struct account *a);
/* Answer all that waits, without having done it. */
void writer_refuse(struct account *a, int error);

#endif
