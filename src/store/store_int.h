/* store/store_int.h: what the files of the store share, and their unit tests.
 *
 * Who calls whom: store.c keeps the accounts of a process; account.c opens, wakes and closes one;
 * writer.c changes it, through the evaluations in req_*.c; snapshot.c reads it. Everything here
 * runs on the loop thread unless it says "worker". */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include "store/account.h"

struct index;
struct log;

/* --- account.c: for readers (snapshot.c) --- */

/* The account's open index and log, waking the account if it sleeps. Until account_release they
 * stay open, whatever else is opened. ERR_CLOSED while the account is broken or being rebuilt, else
 * what opening said. *ret_log may be NULL if the caller does not want it. */
int account_hold(struct account *a, struct index **ret_index, struct log **ret_log) must_check;
void account_release(struct account *a);

/* The index of a held account failed (an LMDB error, or rows that cannot be): the account is closed
 * as soon as nobody holds it, its index thrown away and derived anew by the next opening. */
void account_index_failed(struct account *a, int error);

#endif
