#include "auth/file_state.h"

#include <sys/stat.h>

bool file_state_changed(struct file_state *s, const char *path)
{
    struct file_state now;
    struct stat st;
    memset(&now, 0, sizeof(now)); /* padding too: compared as bytes */
    if (stat(path, &st) == 0) {
        now.there = true;
        now.device = st.st_dev;
        now.inode = st.st_ino;
        now.size = (uint64_t)st.st_size;
        now.mtime[0] = st.st_mtim.tv_sec;
        now.mtime[1] = st.st_mtim.tv_nsec;
        now.changed[0] = st.st_ctim.tv_sec;
        now.changed[1] = st.st_ctim.tv_nsec;
    }
    bool changed = memcmp(s, &now, sizeof(now)) != 0;
    memcpy(s, &now, sizeof(now));
    return changed;
}
