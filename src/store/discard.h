/* store/discard.h: the end of an account.
 *
 * Three steps, which may happen in different processes and be repeated:
 *   account_discard         in the account's process: its directory is moved, durably, to
 *                           DIR/accounts/discarded/ID. From then on the account is gone.
 *   site_forget             in the owner of the site log: the name is free again.
 *   store_erase_discarded   anywhere: the files are removed.
 * What a crash leaves undone of the last two, site_open does. Until the name is free its user gets
 * errors that pass, never an empty account. Ids are never used again.
 *
 * done(arg, error) comes on the loop, never from within the call. */
#ifndef STORE_DISCARD_H
#define STORE_DISCARD_H

#include "store/account.h"

/* ERR_BUSY: somebody uses it (sessions, deliveries); ERR_NOT_FOUND; 0 also if it was done already.
 */
void account_discard(struct store *store, const struct account_id *id,
                     void (*done)(void *arg, int error), void *arg);
/* ERR_NOT_FOUND: the name has no account, or another one than `id`. */
void site_forget(struct store *store, struct span user, const struct account_id *id,
                 void (*done)(void *arg, int error, const struct account_id *id), void *arg);
/* All accounts that were discarded. */
void store_erase_discarded(struct store *store, void (*done)(void *arg, int error), void *arg);

#endif
