/* store/backup_stage.h: backups of a running server.
 *
 * A mail process reaches nothing but the state directory (SECURITY.md). So it leaves a backup there
 * as hard links, which cost nothing and outlive a compaction (account_backup_links), and whoever
 * asked for the backup copies it to where it shall be; a backup to restore goes the other way.
 * Blocking; for tools. Failure: 0 or an ERR_ code with a sentence. */
#ifndef STORE_BACKUP_STAGE_H
#define STORE_BACKUP_STAGE_H

#include "base/err.h"

/* How far it is: octets. NULL functions are allowed. */
struct backup_progress {
    void (*show)(void *arg, uint64_t done, uint64_t total);
    void *arg;
    uint64_t done, total; /* begin with 0 */
};

/* Copies what is new in a backup of links to a directory, which is made if it is not there, and
 * may have an earlier backup. */
int backup_collect(const char *stage, const char *to, struct backup_progress *progress,
                   struct err *err) must_check;
/* Copies a backup into the state directory, for account_restore there. */
int backup_bring(const char *from, const char *stage, const char *state_dir,
                 struct backup_progress *progress, struct err *err) must_check;
/* Removes a stage; nothing happens if there is none. */
void backup_unstage(const char *stage);

#endif
