/* tests/unit/store/fault_fs.h: the real file system, counted, failing on demand, and losing what
 * was not synced as a machine does that loses power.
 *
 * A file's bytes survive up to the size it had at its last sync; a file that was made since the
 * last sync of its directory does not survive. (Renames survive at once: the log syncs around
 * them.) */
#ifndef TESTS_FAULT_FS_H
#define TESTS_FAULT_FS_H

#include "base/list.h"
#include "log/log_fs.h"

struct fault_fs {
    struct log_fs fs;
    struct list files;
    unsigned syncs;     /* of files */
    uint64_t calls;     /* writes, syncs, creations, renames, removals */
    uint64_t die_at;    /* from this call on everything fails; 0: never */
    bool fail_sync;     /* of files, until reset */
    bool full;          /* writes say ENOSPC */
    bool torn;          /* with full: after half of the bytes */
    int64_t free_space; /* negative: the truth */
};

void fault_fs_init(struct fault_fs *f);
void fault_fs_done(struct fault_fs *f);
/* What the disk has lost is gone; faults are over. Nothing may be open. */
void fault_fs_power_loss(struct fault_fs *f);
void fault_fs_revive(struct fault_fs *f); /* faults are over, nothing is lost */

#endif
