/* store/account.h: accounts, as sessions and deliveries use them.
 *
 * A `struct store` holds the accounts of one process, all on one event-loop thread. An account is
 * opened once however many sessions use it, and costs a small struct while nobody does anything:
 * the LMDB environment and the log's descriptors are closed when it has been idle (LRU over
 * store_options.open_max) and come back at the next read or write.
 *
 * The store does not know the event loop: its host provides worker jobs and deferred calls. */
#ifndef STORE_ACCOUNT_H
#define STORE_ACCOUNT_H

#include "base/err.h"
#include "base/list.h"

#include "store/events.h"
#include "store/request.h"
#include "store/snapshot.h"

struct store;
struct log_fs; /* log/log_fs.h */

struct store_host {
    void *ctx;
    /* Call run(arg) in a worker thread, then done(arg) on the loop. */
    void (*work)(void *ctx, void (*run)(void *arg), void (*done)(void *arg), void *arg);
    /* Call fn(arg) on the loop, soon, not from within this call. */
    void (*defer)(void *ctx, void (*fn)(void *arg), void *arg);
    /* Moves from this account to others were not brought to their end: transfers_settle
     * (store/transfer.h). NULL: nobody does it. */
    void (*unsettled)(void *ctx, struct account *account);
};

struct default_mailbox {
    const char *name;
    uint32_t special_use;
};

struct store_options {
    const char *dir;   /* accounts are directories below DIR/accounts, the site log is DIR/site */
    struct log_fs *fs; /* NULL: the real file system */
    size_t open_max;   /* LMDB environments open at once; 0: 256 */
    const struct default_mailbox *defaults; /* made and subscribed in a new account, beside INBOX */
    size_t default_count;
    bool no_checkpoint_on_close; /* tests */
    uint64_t segment_size;       /* of logs (log/log.h); 0: as usual; tests */
};

int store_new(const struct store_options *options, const struct store_host *host,
              struct store **ret, struct err *err) must_check;
/* Checkpoints and closes everything; blocks (bounded: skips checkpoints after 1 s). */
void store_free(struct store *store);

/* New values of these options, from now on; defaults is used until the next call. */
void store_set_options(struct store *store, size_t open_max, const struct default_mailbox *defaults,
                       size_t default_count);

/* To be called now and then (every few seconds): files of accounts that have not been used since
 * the call before the last are closed, so that idle sessions cost no mapped pages and no
 * descriptors. Returns how many fell asleep
 * since then, for whatever reason. */
size_t store_tick(struct store *store);
/* Sets the gauges of how large the open accounts are. */
void store_measure(struct store *store);

/* --- the site log: which account a name has. Only in the process that owns it. --- */

int site_open(struct store *store, struct err *err) must_check;
int site_find(struct store *store, struct span user, struct account_id *ret) must_check;
/* As site_find; makes the account (durably) if the name has none. done(arg, error, id) is called
 * later. */
void site_find_or_create(struct store *store, struct span user,
                         void (*done)(void *arg, int error, const struct account_id *id),
                         void *arg);
/* A user belongs to a group, or no longer. done: 0, ERR_NOT_FOUND (he did not), ERR_INVALID (a name
 * that cannot be), or trouble with the log; id means nothing. */
void site_set_member(struct store *store, struct span group, struct span user, bool present,
                     void (*done)(void *arg, int error, const struct account_id *id), void *arg);
/* Before `owner` gives rights to `identifier` (without '-') in a list: so that those whom it means
 * find him. Never taken back: what he shares his lists tell. done as above. */
void site_grant(struct store *store, struct span owner, struct span identifier,
                void (*done)(void *arg, int error, const struct account_id *id), void *arg);
enum { SITE_OWNERS_MAX = 48 * 1024 };
/* Appends the groups of a user and the names of those who may share something with him, each
 * followed by '\n'; of the latter at most SITE_OWNERS_MAX octets. Costs what there is of these. */
int site_shares(struct store *store, struct span user, struct buf *groups,
                struct buf *owners) must_check;
/* All members, group by group, in no order of these. */
int site_members_each(struct store *store,
                      void (*each)(void *ctx, struct span group, struct span user),
                      void *ctx) must_check;
/* Calls each(ctx, name, id) for all accounts, by name. */
int site_each(struct store *store,
              int (*each)(void *ctx, struct span user, const struct account_id *id),
              void *ctx) must_check;

/* --- accounts --- */

/* done(arg, error, account): 0 with a counted reference, ERR_CORRUPT / ERR_IO / ERR_BUSY otherwise.
 * Never from within this call. Recovery and index rebuilds run in a worker. */
void account_open(struct store *store, const struct account_id *id,
                  void (*done)(void *arg, int error, struct account *account), void *arg);
void account_unref(struct account *account);
struct account *account_ref(struct account *account);
const struct account_id *account_get_id(const struct account *account);

void account_submit(struct account *account, struct request *r);

/* The recent messages of a mailbox go to the caller, exactly once (RFC 3501 section 2.3.2): *ret_lo
 * is the first recent UID, and everything up to uidnext-1 is claimed; lo >= uidnext if there are
 * none. Logged without waiting, so after a crash a message may be recent twice. */
int account_claim_recent(struct account *account, uint32_t mailbox, uint32_t uidnext,
                         uint32_t *ret_lo);

/* Recompute a missing derived record from the stored bytes (in this call, reading the message), put
 * it into ret and have it kept. */
int account_derive(struct account *account, uint64_t message_id, struct buf *ret) must_check;

/* Bytes off..off+n of a message, n clamped to its end; appends to `to`. */
int account_read(struct account *account, const struct message_location *where, uint64_t off,
                 size_t n, struct buf *to) must_check;
/* A descriptor for sendfile, held until message_fd_release; *ret_off is where the message begins.
 * ERR_INVALID if the engine has no descriptors: use account_read. */
struct message_fd;
int account_message_fd(struct account *account, const struct message_location *where,
                       struct message_fd **ret, int *ret_fd, uint64_t *ret_off) must_check;
void message_fd_release(struct message_fd *fd);

/* Octets of its files on disk; in this call, a few directories are read. */
int account_usage(struct account *account, uint64_t *ret_log, uint64_t *ret_index) must_check;

/* --- watching --- */

/* A session that shows a mailbox registers a watch. After every commit that changed the mailbox,
 * `changed` is called (once per commit; on the loop; it may add, remove and submit). view_modseq is
 * the MODSEQ up to which the session has told its client; rows expunged after the lowest
 * view_modseq of all watches stay readable through snap_ghost. mailbox 0 watches the whole account.
 */
struct watch {
    struct list link; /* the store's */
    struct account *account;
    uint32_t mailbox;
    uint64_t view_modseq;
    void (*changed)(struct watch *w);
    void (*events)(struct watch *w, const struct events *events); /* watch_events */
};

void watch_add(struct watch *w, struct account *account, uint32_t mailbox, uint64_t view_modseq,
               void (*changed)(struct watch *w));
/* A watch of the whole account that is told what happened, by a call to this instead of `changed`,
 * once per commit in which something did (store/events.h). */
void watch_events(struct watch *w, void (*events)(struct watch *w, const struct events *events));
void watch_set_view(struct watch *w, uint64_t view_modseq); /* raises it; may release ghosts */
void watch_remove(struct watch *w);

#endif
