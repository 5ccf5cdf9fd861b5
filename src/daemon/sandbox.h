/* daemon/sandbox.h: taking everything away from a process that its role does not need.
 *
 * Two steps, because a thread inherits what confines files only from the thread that made it,
 * while system calls can be filtered for all threads at once:
 *
 *     sandbox_confine   one thread; empty root (as root), own user, no capabilities, no core dumps,
 *                       no_new_privs, files and TCP by Landlock
 *     (worker threads start)
 *     sandbox_filter    system calls by seccomp, for all threads; no more processes
 *
 * What a role may do is written in tables: files in sandbox_files.c, system calls in
 * sandbox_calls.c. A forbidden call fails with EPERM and is reported (sandbox_violation); a call
 * that is in no table, which a newer C library may try, fails with ENOSYS and is left to the
 * kernel's log: nobody dies of it. SECURITY.md says what the whole is for.
 *
 * Failure: what the kernel must give (users, no_new_privs, seccomp) or the process does not start;
 * Landlock is used as far as the kernel has it. process.sandbox = off leaves all but the change of
 * user away, for debuggers. Threads: the loop's, once each. */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include "conf/conf.h"
#include "ipc/messages.h"

int sandbox_confine(enum role role, const struct conf *c, struct err *err) must_check;
int sandbox_filter(enum role role, const struct conf *c, struct err *err) must_check;

/* Whether new settings need no more than the process was left with; else it has to be started
 * anew. */
bool sandbox_fits(enum role role, const struct conf *c);

/* Becomes readable with every forbidden call; -1 before sandbox_filter. */
int sandbox_violation_fd(void);
/* The name of the next forbidden call that was tried; NULL: no more. */
const char *sandbox_violation(void);

/* For the supervisor, when the state directory exists and before anything is in it: root gives a
 * new one to process.mail_user. ret_uid and ret_gid: to whom what is made in it belongs. */
int sandbox_own_state(const struct conf *c, uid_t *ret_uid, gid_t *ret_gid,
                      struct err *err) must_check;

#endif
