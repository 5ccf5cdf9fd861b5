/* auth/edit_int.h: replacing a small file as a whole, under a lock.
 *
 * begin waits for the lock (FILE.lock) and reads the file, commit renames a new one over it, with
 * the old one's owner and mode; end lets go. One thread at a time for one struct edit. */
#ifndef AUTH_EDIT_INT_H
#define AUTH_EDIT_INT_H

#include <sys/stat.h>

#include "base/buf.h"
#include "base/err.h"

struct edit {
    char *file; /* what a symbolic link leads to */
    int lock_fd;
    bool existed;
    struct stat old;
    struct buf text; /* as it was; empty if there was no file */
};

/* On failure there is nothing to end. */
int edit_begin(struct edit *e, const char *file, struct err *err) must_check;
int edit_commit(struct edit *e, struct span text, struct err *err) must_check;
void edit_end(struct edit *e);

/* Calls each for every line of the text with its number from 1; non-zero ends it. */
int edit_each_line(struct span text, int (*each)(void *arg, struct span line, unsigned number),
                   void *arg);

#endif
