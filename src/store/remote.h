/* store/remote.h: accounts that belong to another process.
 *
 * The other process ("owner") has the account's writer; this one ("reader") opens its index and log
 * for reading only and sends requests to the owner. Such an account is a struct account like any
 * other: snapshots, watches, uploads and requests work unchanged (store/account.h), and it closes
 * when nobody has used it for a while. What differs:
 *   - a request whose owner dies ends with ERR_UNKNOWN: nobody knows what became of it;
 *   - while the owner is away, is being restored or has thrown its index away, snapshots and
 *     requests fail with ERR_CLOSED; when it is back the account opens again by itself as long as
 *     somebody refers to it, and all its watches are called.
 *
 * Lending: for each reader the owner keeps a lease on the account. It tells of every commit
 * (CHANGED); the reader says which MODSEQ of which mailboxes it still shows (WATCH) and when it has
 * taken notice of a commit, so that ghosts of expunged messages stay as long as they may be needed.
 *
 * How packets get from one process to the other is the host's business (daemon/mail/remote.c): in
 * order, each once, or the connection counts as lost. One loop thread. */
#ifndef STORE_REMOTE_H
#define STORE_REMOTE_H

#include "store/account.h"

enum remote_kind {
    /* Reader to owner. The lease's number is the reader's choice. */
    REMOTE_OPEN,    /* body: the account's id */
    REMOTE_FILE,    /* fd: message bytes for the request `id`, which follows */
    REMOTE_REQUEST, /* `id`; body, or fd if it is long (modseq: its length): request_encode */
    REMOTE_WATCH,   /* mailbox, modseq: the oldest view of it, UINT64_MAX: none; mailbox 0: every
                       commit up to modseq has been taken notice of;
                       mailbox REMOTE_EVENTS: whether events are wanted (modseq 1 or 0) */
    REMOTE_RECENT,  /* mailbox, id: recent messages up to this UID have been claimed */
    REMOTE_RELEASE, /* the lease ends */
    /* Owner to reader. */
    REMOTE_OPENED,  /* error; id, body: which index it is; modseq: that it shows already */
    REMOTE_RESULT,  /* `id`; body, or fd if it is long: request_result_encode */
    REMOTE_CHANGED, /* a commit; body: mailboxes that changed, and events; modseq of the account */
    REMOTE_CLOSED,  /* the lease is void, the index must not be used any more; error 0: open it
                       again now, else not so soon */
    REMOTE_KIND_COUNT
};

enum { REMOTE_BODY_MAX = 8 * 1024 };
#define REMOTE_EVENTS UINT32_MAX

struct remote_packet {
    enum remote_kind kind;
    uint64_t lease, id, modseq;
    uint32_t mailbox;
    int32_t error;
    struct span body;
};

/* Takes fd (-1: none). An error means that the connection is or will be reported lost. */
typedef int remote_send(void *ctx, const struct remote_packet *p, int fd);

/* --- the reader --- */

/* Another process that owns accounts. */
struct remote_owner;
struct remote_owner *remote_owner_new(struct store *store, remote_send *send, void *ctx);
/* After store_free; NULL is allowed. */
void remote_owner_free(struct remote_owner *o);
/* It can be reached (again: it may be another process by now), or cannot any more. */
void remote_owner_connected(struct remote_owner *o);
void remote_owner_lost(struct remote_owner *o);
void remote_owner_packet(struct remote_owner *o, const struct remote_packet *p,
                         int fd); /* takes fd */

/* As account_open, of an account that `owner` owns. ERR_BUSY: it cannot be reached. */
void account_open_remote(struct store *store, struct remote_owner *owner,
                         const struct account_id *id,
                         void (*done)(void *arg, int error, struct account *account), void *arg);
bool account_is_remote(const struct account *account);

/* --- the owner --- */

/* Everything that one reader has borrowed. */
struct lender;
struct lender *lender_new(struct store *store, remote_send *send, void *ctx);
/* The reader is gone: what it asked for goes on, its leases end. NULL is allowed. Before
 * store_free. */
void lender_free(struct lender *l);
void lender_packet(struct lender *l, const struct remote_packet *p, int fd); /* takes fd */

#endif
