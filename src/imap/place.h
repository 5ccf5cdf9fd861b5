/* imap/place.h: which account and which mailbox a name means, and what this user may do there.
 *
 * "" is the personal namespace: the mailboxes of the session's own account. "Other Users/NAME/..."
 * are those of the account NAME, "Shared/..." those of the account that the setting
 * sharing.public_user names (RFC 2342, RFC 4314). Another account is opened when it is first meant;
 * meanwhile the task waits. The session keeps it for as long as it uses it.
 *
 * A mailbox to which the user has no right `l` does not exist for him (RFC 4314 section 6). */
#ifndef IMAP_PLACE_H
#define IMAP_PLACE_H

#include "imap/session_int.h"
#include "store/rights.h"

#define PLACE_OTHERS "Other Users/"
#define PLACE_SHARED "Shared/"

struct place {
    struct account *account; /* the session's reference, which lasts as long as the task */
    struct span name;        /* within that account; lives in the task's arena */
    struct span user;        /* whose account it is; in the arena, or the session's */
    struct span prefix;      /* what the client's name has before it: "Other Users/mary/" */
    bool own;
};

/* A name in stored form (task_mailbox_name). 0; ERR_AGAIN: the account is being opened, return
 * STEP_WAIT and ask again when the step is called again; ERR_NOT_FOUND: no such account, or one
 * that shows this user nothing; others: it cannot be had now. */
int place_of(struct task *t, struct span name, struct place *ret) must_check;
/* The same of a name as the client wrote it. False: return *ret_step (STEP_WAIT, or the task has
 * ended with NO; target: with TRYCREATE). */
bool task_place(struct task *t, struct span given, bool target, struct place *ret,
                enum step *ret_step);

/* The rights of this session's user to a mailbox of that account; all of them in the own one. */
int place_rights(struct session *s, struct snap *snap, const struct place *place, uint32_t mailbox,
                 uint32_t *ret) must_check;
/* The mailbox, if the user has these rights. ERR_NOT_FOUND: not there, or not for him. ERR_DENIED:
 * a right is missing. ret_rights may be NULL. */
int place_mailbox(struct session *s, struct snap *snap, const struct place *place, uint32_t needs,
                  struct mailbox_info *ret, uint32_t *ret_rights) must_check;
/* The mailbox that a new one of this name would be below, and so whose right k it needs: the
 * nearest that exists. ERR_DENIED. In the own account always 0. */
int place_may_create(struct session *s, struct snap *snap, const struct place *place) must_check;

/* The system flags that these rights let somebody change, as the store has them. */
uint16_t rights_flags(uint32_t rights);

/* What names of that account begin with: "", "Shared/", "Other Users/mary/". Appends. */
void place_put_prefix(struct session *s, const struct account *account, struct buf *to);

/* NO [NOPERM]. */
enum step task_no_permission(struct task *t);

/* Tasks that wait for an account, or for what shares.h knows, look again. */
void places_wake(struct session *s);
/* With the session: accounts of others are let go. */
void places_done(struct session *s);
/* Between commands: those that nothing uses. */
void places_settle(struct session *s);

#endif
