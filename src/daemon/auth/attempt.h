/* daemon/auth/attempt.h: one try to log in, whoever asks.
 *
 * A login process (by its channel) and an MTA (by the Dovecot auth socket) both make attempts;
 * mechanisms, directories, throttling, application passwords and the log are behind this.
 * Ownership: an attempt belongs to auth and frees itself after `ok` or `failed`; attempt_cancel
 * ends the caller's interest: no callback comes after it. Callbacks never come from within
 * attempt_start or attempt_continue. Spans are copied. One loop thread (checks run in workers). */
#ifndef DAEMON_AUTH_ATTEMPT_H
#define DAEMON_AUTH_ATTEMPT_H

#include "ipc/messages.h"

struct auth;
struct attempt;

struct attempt_ops {
    /* What the client is to be sent (decoded); its answer comes by attempt_continue. */
    void (*challenge)(void *arg, struct span data);
    /* user: the account; login: who proved it (differs when an administrator acts as a user);
     * data: what the mechanism sends along with success, may be empty. */
    void (*ok)(void *arg, struct span user, struct span login, struct span data);
    void (*failed)(void *arg, enum auth_failure why);
};

struct attempt_start {
    struct span mechanism; /* in capitals */
    struct span service;   /* "imap", "smtp", ...: what application passwords are restricted to */
    bool has_initial;
    struct span initial;
    struct auth_peer peer; /* where the client is, and what its TLS vouches for */
    uint64_t session;      /* for the log */
};

struct attempt *attempt_start(struct auth *a, const struct attempt_start *start,
                              const struct attempt_ops *ops, void *arg);
void attempt_continue(struct attempt *t, struct span data);
void attempt_cancel(struct attempt *t);

/* The mechanisms that may be offered to such a client of such a service, separated by spaces
 * ("SCRAM-SHA-256 ..."). */
void auth_mechanisms(const struct auth *a, struct span service, const struct auth_peer *peer,
                     struct buf *out);
/* All that clients of IMAP may be offered, for MESSAGE_AUTH_MECHANISMS. */
void auth_mechanism_table(const struct auth *a, struct buf *out);

#endif
