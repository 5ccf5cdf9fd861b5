/* imap/shares.h: which groups the session's user belongs to, and who may share something with him;
 * telling that somebody is about to be given rights.
 *
 * The owner of the site log knows it, maybe in another process: a task asks, waits (STEP_WAIT), and
 * asks again when its step is called again. One question at a time for all tasks of a session; its
 * answer is used for SHARES_FRESH_US, so that somebody who has left a group loses its rights soon.
 */
#ifndef IMAP_SHARES_H
#define IMAP_SHARES_H

#include "imap/session_int.h"

enum { SHARES_FRESH_US = 5000000 };

/* 0: session.groups and shares_owners are of `since_us` (monotonic) or later. ERR_AGAIN: wait.
 * ERR_BUSY: nobody can tell now. */
int shares_know(struct task *t, uint64_t since_us) must_check;
/* Names of users, each followed by '\n'. */
struct span shares_owners(const struct session *s);
/* With the session. */
void shares_done(struct session *s);

/* 0: everybody whom the identifier means can find out that `owner` shares something. ERR_AGAIN:
 * wait; t->data is its own until then. */
int shares_grant(struct task *t, struct span owner, struct span identifier) must_check;

#endif
