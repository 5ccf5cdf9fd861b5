/* store/remote_int.h: accounts of other processes, as account.c, writer.c and watch.c see them.
 * Private to the store. */
#ifndef STORE_REMOTE_INT_H
#define STORE_REMOTE_INT_H

#include "index/index.h"
#include "store/remote.h"
#include "store/store_int.h"

enum { REMOTE_FILES_MAX = 256 }; /* descriptors with one request */

/* --- both sides --- */

/* Sends a packet whose body may be long: then in a file, p->modseq is its length. */
int remote_send_long(remote_send *send, void *ctx, struct remote_packet *p, struct span body);
/* The body of such a packet, in *to if it is in a file. Closes fd. */
int remote_body(const struct remote_packet *p, int fd, struct buf *to, struct span *ret) must_check;
/* A file without a name, in memory or below the store's directory; or ERR_IO. */
int remote_file_memory(void);
int remote_file_disk(struct store *store);
int remote_file_write(int fd, struct span bytes) must_check;

/* The body of REMOTE_CHANGED. */
void remote_changed_put(struct buf *to, const struct ranges *mailboxes,
                        const struct events *events);
bool remote_changed_get(struct span body, struct ranges *ret_mailboxes, struct events *ret_events);

/* --- the reader (remote.c) --- */

/* The account is to be opened: asks its owner, now or when it can be reached. */
void remote_connect(struct account *a);
/* Opens index and log as the owner has told; in this call. */
int remote_open_files(struct account *a, struct index **ret_index, struct log **ret_log,
                      struct err *err) must_check;
void remote_detach(struct account *a); /* it is being freed */
void remote_submit(struct account *a, struct request *r);
void remote_claim_recent(struct account *a, uint32_t mailbox, uint32_t uid);
/* A watch came, went, or its view rose. */
void remote_views_moved(struct account *a);
/* store_tick: tries again, gives up. */
void remotes_tick(struct store *store);
/* store_free: whoever waits is told that nobody knows. */
void remotes_end(struct store *store);

/* --- the owner (lend.c) --- */

/* The lowest MODSEQ that readers may still show in the mailbox; UINT64_MAX without readers. */
uint64_t leases_lowest(const struct account *a, uint32_t mailbox);
bool leases_watch(const struct account *a, uint32_t mailbox);
/* A commit changed these mailboxes. */
void leases_changed(struct account *a, const struct ranges *mailboxes, const struct events *events);
/* The index is about to be closed for a failure, or to be given up. error: as of REMOTE_CLOSED. */
void leases_void(struct account *a, int error);
/* It was opened: leases on another index than this are void. */
void leases_check(struct account *a);

/* watch.c: all views of readers may have risen. */
void views_moved(struct account *a, uint32_t mailbox); /* 0: of all mailboxes */

/* account.c: the owner has answered. */
void account_remote_opened(struct account *a, int error);
/* Index and log must not be used any more; nothing is asked for. */
void account_remote_closed(struct account *a);

#endif
