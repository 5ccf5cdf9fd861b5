/* daemon/sandbox_int.h: shared by sandbox*.c. */
#ifndef DAEMON_SANDBOX_INT_H
#define DAEMON_SANDBOX_INT_H

#include "daemon/sandbox.h"

/* AddressSanitizer and ThreadSanitizer read /proc and the program's files, and the leak check at
 * the end starts a process that traces the others: such builds, which nobody runs in earnest, have
 * holes for that and nothing else. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZER 1
#else
#define SANDBOX_SANITIZER 0
#endif

/* What the directories of users in the configuration want of martlet-auth. */
struct sandbox_needs {
    bool network;  /* sockets of its own: LDAP, SQL servers, OAuth 2 */
    bool database; /* to write where an SQLite database is */
    bool system;   /* the system's files below /etc, /run and /var/lib: PAM, the resolver */
};
void sandbox_auth_needs(const struct conf *c, struct sandbox_needs *ret);

/* False: this kernel has no (or a too old) Landlock, nothing was done. */
int sandbox_files(enum role role, const struct conf *c, bool *ret_done, struct err *err) must_check;

#endif
