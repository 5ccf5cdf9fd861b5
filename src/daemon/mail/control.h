/* daemon/mail/control.h: the administrator's requests, as the files that answer them share it.
 *
 * martletctl connects to state_dir/run/control.N, where N is the mail process that the account
 * belongs to (route_user), and asks by verb (control.c has the table). An answer is any number of
 * results and a last one with an error (0, or an ERR_ code and a sentence).
 *
 * A result is text. Of the verbs that list things it is keys and values in turn (control_args_put);
 * an older tool ignores keys that it does not know. Results that the tool does not take fast enough
 * wait, in order. One thread. */
#ifndef DAEMON_MAIL_CONTROL_H
#define DAEMON_MAIL_CONTROL_H

#include "daemon/mail/mail.h"

struct control;

/* One request, from its arrival to control_end. */
struct control_call {
    struct list link;        /* control.c's */
    struct control *control; /* NULL: the tool has gone; what is said goes nowhere */
    struct mail *mail;
    uint64_t id;
    char *verb;
    struct account *account; /* control_with_account's */
    void (*opened)(struct control_call *call);
    void (*gone)(struct control_call *call);    /* the tool has gone: break off, soon; or NULL */
    void *state;                                /* the verb's own, freed by ... */
    void (*release)(struct control_call *call); /* ... this, at the end; or NULL */
};

/* A verb's function ends the call, now or later, by control_end. args: control_args_next; valid
 * during the call only. */
typedef void control_verb(struct control_call *call, struct span args);

void control_text(struct control_call *call, struct span text);
/* The last result. text: a sentence that says why and what to do; NULL: the error's name. */
void control_end(struct control_call *call, int error, const char *text);

/* Finds and opens the account of a user of this process, then calls opened(call) with call->account
 * set. Where that fails it ends the call by itself. */
void control_with_account(struct control_call *call, struct span user,
                          void (*opened)(struct control_call *call));

/* Keys and values of a result. */
void control_put(struct buf *row, const char *key, struct span value);
void control_put_number(struct buf *row, const char *key, uint64_t value);
void control_put_flag(struct buf *row, const char *key, bool value);

/* control_account.c: check, rebuild, compact, checkpoint, backup, restore */
control_verb control_maintain;
/* control_sessions.c */
control_verb control_status, control_stats, control_accounts, control_sessions, control_kick;
/* control_remove.c */
control_verb control_discard, control_forget, control_erase;
/* control_trace.c */
control_verb control_trace, control_traces;
/* control_mailbox.c */
control_verb control_mailboxes, control_mailbox_change, control_account_stats;
/* control_quota.c */
control_verb control_quota, control_quota_set, control_quota_root;
/* control_sharing.c */
control_verb control_groups, control_group_set, control_acl, control_acl_set;
/* control_quarantine.c */
control_verb control_quarantine, control_release;

#endif
