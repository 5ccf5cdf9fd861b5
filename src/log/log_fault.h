/* log/log_fault.h: a file system in memory that remembers what was synced. For tests.
 *
 * Purpose: fail any call, fill the disk, and produce what a disk may hold after a crash. A file's
 * bytes and a directory's entries are durable only after their own sync; until then each single
 * change (a write, a truncation, a file made, renamed or removed) may have reached the disk or
 * not, a write also in part. A failed sync loses what it should have written, although reads go on
 * showing it and no later sync writes it (as Linux does).
 * Ownership: the caller frees it after all logs on it are closed. Threads: any (one mutex).
 * Failure: as planned. Limits: directories are names only; a rename stays in its directory. */
#ifndef LOG_LOG_FAULT_H
#define LOG_LOG_FAULT_H

#include "log/log_fs.h"

struct fault;

struct fault *fault_new(void);
void fault_free(struct fault *f); /* NULL is allowed */
struct log_fs *fault_fs(struct fault *f);

struct fault_plan {
    uint64_t fail_at;  /* this call fails, counted from 1 from fault_plan on; 0: none */
    uint64_t fail_for; /* so many calls in a row; 0: one */
    int fail_errno;
    bool short_write; /* instead: a write at fail_at writes half its bytes, and the next call fails
                         with fail_errno, if set */
    uint64_t stop_at; /* this change and all later calls fail with EIO, without effect: the machine
                         died before it; 0: never */
};
void fault_plan(struct fault *f, const struct fault_plan *plan); /* and counts anew */
/* Calls of any kind but close and descriptor; those that change something or sync. */
uint64_t fault_calls(struct fault *f);
uint64_t fault_changes(struct fault *f);
uint64_t fault_syncs(struct fault *f);
/* So many bytes fit on the disk; 0: any number. */
void fault_set_capacity(struct fault *f, uint64_t bytes);

/* How many disk states a crash may leave now, as far as they are enumerated: nothing unsynced
 * reached the disk (0), all did (1), and for each unsynced change: all but it; it alone; nothing
 * from it on; half of it with all others, with none after it, or with the rest as
 * zeros; its second half; its size without its bytes. */
unsigned fault_states(struct fault *f);
/* The disk after a crash, as a new file system with no plan and no locks. */
struct fault *fault_crash(struct fault *f, unsigned state);

/* The bytes of a file as read now, valid until the next call; false if there is no such file. */
bool fault_file(struct fault *f, const char *path, struct span *ret);
/* Changes them, on the disk too. ret: the byte exists. */
bool fault_flip(struct fault *f, const char *path, uint64_t offset, unsigned char mask);
/* Reads that touch these bytes fail with EIO. */
bool fault_bad_sector(struct fault *f, const char *path, uint64_t from, uint64_t to);
/* Removes or shortens a file, on the disk too. */
bool fault_remove(struct fault *f, const char *path);
bool fault_cut(struct fault *f, const char *path, uint64_t size);

#endif
