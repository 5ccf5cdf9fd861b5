/* log/fs_file.c: the real file system. */
#include "log/log_fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

struct log_file {
    int fd;
};

static int make_dir(void *ctx, const char *path)
{
    (void)ctx;
    return mkdir(path, 0700) ? -errno : 0;
}

static int list_dir(void *ctx, const char *dir, int (*each)(void *arg, const char *name), void *arg)
{
    (void)ctx;
    DIR *d = opendir(dir);
    if (!d)
        return -errno;
    int rc = 0;
    for (struct dirent *e; rc == 0 && (e = readdir(d));)
        if (!span_eq(span_str(e->d_name), SPAN(".")) && !span_eq(span_str(e->d_name), SPAN("..")))
            rc = each(arg, e->d_name);
    closedir(d);
    return rc;
}

static int wrap(int fd, struct log_file **ret)
{
    if (fd < 0)
        return -errno;
    *ret = xnew(struct log_file);
    (*ret)->fd = fd;
    return 0;
}

static int open_file(void *ctx, const char *path, unsigned flags, struct log_file **ret)
{
    (void)ctx;
    int mode = (flags & LOG_FS_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC |
               (flags & LOG_FS_CREATE ? O_CREAT | O_EXCL : 0);
    return wrap(open(path, mode, 0600), ret);
}

static void close_file(void *ctx, struct log_file *f)
{
    (void)ctx;
    close(f->fd);
    free(f);
}

static int64_t write_file(void *ctx, struct log_file *f, const struct iovec *iov, int n,
                          uint64_t off)
{
    (void)ctx;
    ssize_t w = pwritev(f->fd, iov, n, (off_t)off);
    return w < 0 ? -errno : w;
}

static int64_t read_file(void *ctx, struct log_file *f, void *to, size_t n, uint64_t off)
{
    (void)ctx;
    ssize_t r;
    do
        r = pread(f->fd, to, n, (off_t)off);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static int64_t file_size(void *ctx, struct log_file *f)
{
    (void)ctx;
    struct stat st;
    return fstat(f->fd, &st) ? -errno : st.st_size;
}

static int truncate_file(void *ctx, struct log_file *f, uint64_t size)
{
    (void)ctx;
    return ftruncate(f->fd, (off_t)size) ? -errno : 0;
}

static int sync_file(void *ctx, struct log_file *f)
{
    (void)ctx;
    return fdatasync(f->fd) ? -errno : 0;
}

static int sync_dir(void *ctx, const char *dir)
{
    (void)ctx;
    autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) ? -errno : 0;
}

static int rename_file(void *ctx, const char *from, const char *to)
{
    (void)ctx;
    return rename(from, to) ? -errno : 0;
}

static int unlink_file(void *ctx, const char *path)
{
    (void)ctx;
    return unlink(path) ? -errno : 0;
}

static int lock_file(void *ctx, const char *path, struct log_file **ret)
{
    (void)ctx;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB)) {
        int saved = errno;
        close(fd);
        return -saved;
    }
    return wrap(fd, ret);
}

static int64_t free_space(void *ctx, const char *dir)
{
    (void)ctx;
    struct statvfs st;
    return statvfs(dir, &st) ? -errno : (int64_t)(st.f_bavail * st.f_frsize);
}

static int descriptor(void *ctx, struct log_file *f)
{
    (void)ctx;
    return f->fd;
}

struct log_fs log_fs_file = {
    .make_dir = make_dir,
    .list = list_dir,
    .open = open_file,
    .close = close_file,
    .pwritev = write_file,
    .pread = read_file,
    .size = file_size,
    .truncate = truncate_file,
    .sync = sync_file,
    .sync_dir = sync_dir,
    .rename = rename_file,
    .unlink = unlink_file,
    .lock = lock_file,
    .free_space = free_space,
    .descriptor = descriptor,
};
