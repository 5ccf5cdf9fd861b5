/* daemon/auth/mta.h: authenticating senders for an MTA, by the Dovecot authentication protocol on a
 * UNIX socket (Postfix: smtpd_sasl_type = dovecot; Exim: driver = dovecot).
 *
 * Whether a password may be sent without TLS is the MTA's to say; mechanisms, directories,
 * application passwords, throttling and the log are those of IMAP (attempt.h).
 * Limits: MTA_CONNECTIONS_MAX connections, MTA_ATTEMPTS_MAX attempts under way in each. One loop
 * thread. */
#ifndef DAEMON_AUTH_MTA_H
#define DAEMON_AUTH_MTA_H

#include "io/loop.h"

enum { MTA_CONNECTIONS_MAX = 1000, MTA_ATTEMPTS_MAX = 1000 };

struct auth;
struct mta;

/* Takes the listening descriptor. */
struct mta *mta_new(struct auth *a, struct loop *l, int listen_fd);
void mta_free(struct mta *m); /* closes everything; NULL is allowed */

#endif
