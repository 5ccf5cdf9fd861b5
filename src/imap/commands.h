/* imap/commands.h: the commands of a session: one step function each (session_int.h, enum step). */
#ifndef IMAP_COMMANDS_H
#define IMAP_COMMANDS_H

#include "imap/session_int.h"

/* What the command reads and changes, and its first step; NULL if it is not a session's command. */
task_step *command_prepare(struct task *t, struct effects *ret);

/* A mailbox name as the client wrote it, in its stored form; false after ending the task with NO.
 */
bool task_mailbox_name(struct task *t, struct span given, struct span *ret);
/* The same without a task: 0 and the name in *ret; ERR_LIMIT, ERR_INVALID. */
int session_mailbox_name(struct session *s, struct span given, struct buf *ret) must_check;
/* Submit t->request and wait; the step is called again with t->submitted set. */
enum step task_request(struct task *t);
/* The selected mailbox's view at its newest state; false after ending the task. */
bool task_view(struct task *t, struct snap **ret);

/* What REPLACE replaces, into t->request; false after ending the task. */
bool replace_begin(struct task *t);

/* RFC 9738: false after ending the task. */
bool messagelimit_append(struct task *t);

void view_close(struct session *s);

/* The answer of NAMESPACE, prefixes with their translations (RFC 5255 section 3.4). */
void put_namespaces(struct session *s);

enum step cmd_capability(struct task *t);
enum step cmd_noop(struct task *t);
enum step cmd_logout(struct task *t);
enum step cmd_enable(struct task *t);
enum step cmd_id(struct task *t);
enum step cmd_language(struct task *t);
enum step cmd_comparator(struct task *t);
enum step cmd_namespace(struct task *t);
enum step cmd_notify(struct task *t);
enum step cmd_cancel_update(struct task *t);
enum step cmd_idle(struct task *t);
enum step cmd_compress(struct task *t);
enum step cmd_unauthenticate(struct task *t);
enum step cmd_uidbatches(struct task *t);
enum step cmd_select(struct task *t);
enum step cmd_examine(struct task *t);
enum step cmd_unselect(struct task *t);
enum step cmd_close(struct task *t);
enum step cmd_create(struct task *t);
enum step cmd_delete(struct task *t);
enum step cmd_rename(struct task *t);
enum step cmd_subscribe(struct task *t);
enum step cmd_unsubscribe(struct task *t);
enum step cmd_list(struct task *t);
enum step cmd_lsub(struct task *t);
enum step cmd_status(struct task *t);
enum step cmd_getmetadata(struct task *t);
enum step cmd_setmetadata(struct task *t);
enum step cmd_getquota(struct task *t);
enum step cmd_getquotaroot(struct task *t);
enum step cmd_setquota(struct task *t);
enum step cmd_getacl(struct task *t);
enum step cmd_myrights(struct task *t);
enum step cmd_listrights(struct task *t);
enum step cmd_setacl(struct task *t);
enum step cmd_deleteacl(struct task *t);
enum step cmd_append(struct task *t);
enum step cmd_genurlauth(struct task *t);
enum step cmd_urlfetch(struct task *t);
enum step cmd_resetkey(struct task *t);
enum step cmd_expunge(struct task *t);
enum step cmd_store(struct task *t);
enum step cmd_copy(struct task *t);
enum step cmd_move(struct task *t);
enum step cmd_fetch(struct task *t);
enum step cmd_search(struct task *t);
enum step cmd_esearch(struct task *t);
enum step cmd_conversions(struct task *t);
enum step cmd_convert(struct task *t);

#endif
