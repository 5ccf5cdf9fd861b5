/* store/maintain.h: what an administrator does to one account: check, rebuild, compact, backup,
 * restore.
 *
 * Each of these works in slices or in a worker while the account is in use, and reports through
 * callbacks on the loop. Findings are sentences for people plus machine-readable fields. */
#ifndef STORE_MAINTAIN_H
#define STORE_MAINTAIN_H

#include "store/account.h"

struct finding {
    enum { FINDING_INFO, FINDING_REPAIRED, FINDING_DAMAGE } kind;
    uint32_t mailbox, uid; /* 0 if none */
    uint64_t segment, offset;
    char text[200];
};

struct maintenance {
    void (*finding)(struct maintenance *m, const struct finding *f);
    void (*progress)(struct maintenance *m, uint64_t done, uint64_t total);
    void (*finished)(struct maintenance *m, int error, const char *text);
    void *arg;
    bool cancel; /* set by the caller to stop early */
};

/* Verify every checksum of the log, and that index = replay(log) as a logical dump. Changes
 * nothing. */
void account_check(struct account *account, struct maintenance *m);
/* Throw the index away and derive it anew from the log. */
void account_rebuild(struct account *account, struct maintenance *m);
/* Write live data forward and drop segments that are mostly dead; erase: drop at once, without
 * grace. */
void account_compact(struct account *account, bool erase, struct maintenance *m);
/* Copy the log (not the index) to a directory, incrementally, under a lease. */
void account_backup(struct account *account, const char *to_dir, struct maintenance *m);
/* The same as hard links, in the same file system, for backup_collect (store/backup_stage.h). */
void account_backup_links(struct account *account, const char *to_dir, struct maintenance *m);
/* Replace the account's log by the backup's, as a new incarnation with new UIDVALIDITYs where it
 * lost changes that clients may have seen. The account must have no open sessions (ERR_BUSY). */
void account_restore(struct store *store, const struct account_id *id, const char *from_dir,
                     struct maintenance *m);
void account_checkpoint(struct account *account, struct maintenance *m);

#endif
