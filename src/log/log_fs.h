/* log/log_fs.h: all file-system access of the account log.
 *
 * Purpose: one small interface, so that tests can lose unsynced writes, tear them, fill the disk
 * and fail any call, and so that a log can live elsewhere. Engines: log_fs_file (the real file
 * system) and log_fs_fault (log_fault.h, in memory). Paths are relative or absolute as given,
 * '/'-separated, NUL-terminated. Errors: functions return 0 or a count, or a negative errno value;
 * never partial success except where said. Threads: sync, sync_dir and pread may be called in a
 * worker thread at the same time as others on the loop thread; everything else on one thread at a
 * time per log. */
#ifndef LOG_LOG_FS_H
#define LOG_LOG_FS_H

#include <sys/uio.h>

#include "base/span.h"

struct log_file; /* an open file of an engine */

enum log_fs_open {
    LOG_FS_READ = 0,        /* must exist */
    LOG_FS_WRITE = 1 << 0,  /* read and write */
    LOG_FS_CREATE = 1 << 1, /* make it; fails with -EEXIST if it is there */
};

struct log_fs {
    void *ctx;
    int (*make_dir)(void *ctx, const char *path); /* -EEXIST if there */
    /* each(arg, name) for every entry but "." and ".."; stops at a non-zero result and returns it.
     */
    int (*list)(void *ctx, const char *dir, int (*each)(void *arg, const char *name), void *arg);
    int (*open)(void *ctx, const char *path, unsigned flags, struct log_file **ret);
    void (*close)(void *ctx, struct log_file *f);
    /* Bytes written, possibly fewer than asked. */
    int64_t (*pwritev)(void *ctx, struct log_file *f, const struct iovec *iov, int n, uint64_t off);
    int64_t (*pread)(void *ctx, struct log_file *f, void *to, size_t n, uint64_t off);
    int64_t (*size)(void *ctx, struct log_file *f);
    int (*truncate)(void *ctx, struct log_file *f, uint64_t size);
    int (*sync)(void *ctx, struct log_file *f);                 /* fdatasync; any thread */
    int (*sync_dir)(void *ctx, const char *dir);                /* any thread */
    int (*rename)(void *ctx, const char *from, const char *to); /* replaces */
    int (*unlink)(void *ctx, const char *path);
    /* An exclusive lock on the file (made if missing), held until `close`. -EWOULDBLOCK if taken.
     */
    int (*lock)(void *ctx, const char *path, struct log_file **ret);
    int64_t (*free_space)(void *ctx, const char *dir); /* bytes that an ordinary user may use */
    int (*descriptor)(void *ctx, struct log_file *f);  /* for sendfile; -1 if there is none */
};

extern struct log_fs log_fs_file;

#endif
