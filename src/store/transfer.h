/* store/transfer.h: moves to another account (RFC 6851 across accounts).
 *
 * Nothing is one frame across two logs. A move has an id and three steps:
 *   1. at the source, REQUEST_TRANSFER_BEGIN: which messages are to go where (ERR_BUSY: one of them
 *      is on its way already). Durable, before
 *   2. at the destination, REQUEST_APPEND with transfer_id, all messages or none; the id is
 *      remembered there for TRANSFER_WINDOW seconds, in the same frame;
 *   3. at the source, REQUEST_TRANSFER_END: the messages are expunged and the intention is
 *      forgotten, in one frame; or only forgotten, where step 2 failed.
 * After a death between 1 and 3 whoever opens the source settles what it still intends:
 * REQUEST_TRANSFER_SETTLE at the destination says whether step 2 happened, and if it did not it
 * makes sure that it never will; then step 3. Each may be repeated. So a message is never in
 * neither account, and in both at most until then. */
#ifndef STORE_TRANSFER_H
#define STORE_TRANSFER_H

#include "base/ranges.h"
#include "store/account.h"

enum { TRANSFER_ID_LEN = 16, TRANSFER_WINDOW = 30 * 24 * 3600 };

/* Random. */
void transfer_id_new(unsigned char ret[TRANSFER_ID_LEN]);

/* What the source still intends. */
struct transfer {
    unsigned char id[TRANSFER_ID_LEN];
    struct span user, name; /* to whom, into which mailbox; in the snapshot */
};
int snap_transfer(struct snap *snap, const unsigned char *id, struct transfer *ret) must_check;
/* The first one, or the first after *after; ERR_NOT_FOUND at the end. */
int snap_transfer_seek(struct snap *snap, const unsigned char *after,
                       struct transfer *ret) must_check;

/* Settles what the source intends: the transfer `only` (NULL: all of them). `open` finds the
 * account of a user, with a counted reference, and calls back later; ERR_NOT_FOUND: there is none
 * any more. done(arg, error) is called later: 0, or an error if something is left, to be tried
 * again. A transfer that somebody is at work on is settled, too: he is refused at the destination,
 * or finds that all is done. */
typedef void transfer_opened(void *arg, int error, struct account *account);
typedef void transfer_open(void *ctx, struct span user, transfer_opened *opened, void *arg);
void transfers_settle(struct account *source, const unsigned char *only, transfer_open *open,
                      void *ctx, void (*done)(void *arg, int error), void *arg);

#endif
