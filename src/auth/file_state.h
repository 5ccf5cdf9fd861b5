/* auth/file_state.h: has a file been replaced or changed since the last look?
 *
 * By device, inode, size, mtime and ctime. A file that changes while it is read, within the
 * granularity of the file system's clock, could be missed; those who edit it rename a new one into
 * place (users_edit.h). One thread at a time. */
#ifndef AUTH_FILE_STATE_H
#define AUTH_FILE_STATE_H

#include "base/span.h"

struct file_state {
    uint64_t device, inode, size;
    int64_t mtime[2], changed[2];
    uint64_t there; /* no padding: states are compared as octets */
};

/* True if it is not what it was at the last call (the first: as if there had been none). */
bool file_state_changed(struct file_state *s, const char *path);

#endif
