/* What an account takes on disk. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "store/store_int.h"

/* Blocks, not lengths: an index has holes. */
static int add_files(const char *dir, uint64_t *sum)
{
    DIR *d = opendir(dir);
    if (!d)
        return errno == ENOENT ? 0 : ERR_IO;
    for (struct dirent *e; (e = readdir(d));) {
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            *sum += (uint64_t)st.st_blocks * 512;
    }
    closedir(d);
    return 0;
}

int account_usage(struct account *account, uint64_t *ret_log, uint64_t *ret_index)
{
    autobuf log = BUF_INIT(BUF_UNLIMITED), index = BUF_INIT(BUF_UNLIMITED);
    uint64_t log_sum = 0, index_sum = 0;
    store_account_path(account->store, &account->id, "/log", &log);
    store_account_path(account->store, &account->id, "/index", &index);
    int rc = add_files(log.p, &log_sum);
    if (rc == 0)
        rc = add_files(index.p, &index_sum);
    if (rc == 0) {
        *ret_log = log_sum;
        *ret_index = index_sum;
    }
    return rc;
}
