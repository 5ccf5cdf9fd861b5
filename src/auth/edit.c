#include "auth/edit_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>

#include "auth/users_int.h"
#include "base/random.h"

enum { EDIT_FILE_MAX = 256 << 20, PATH_LIMIT = 4096 };

static int take_lock(struct edit *e, struct err *err)
{
    autobuf path = BUF_INIT(PATH_LIMIT);
    buf_printf(&path, "%s.lock", e->file);
    e->lock_fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (e->lock_fd < 0)
        return err_set_errno(err, "%s", path.p);
    while (flock(e->lock_fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_set_errno(err, "%s", path.p);
    return 0;
}

int edit_begin(struct edit *e, const char *file, struct err *err)
{
    *e = (struct edit){.lock_fd = -1};
    buf_init(&e->text, EDIT_FILE_MAX);
    e->file = realpath(file, NULL);
    if (!e->file)
        e->file = span_dup(span_str(file));
    int r = take_lock(e, err);
    if (r == 0)
        r = users_read_file(e->file, &e->text, err);
    e->existed = r == 0;
    if (r == 0 && stat(e->file, &e->old) < 0)
        r = err_set_errno(err, "%s", e->file);
    if (r == ERR_NOT_FOUND)
        r = 0;
    if (r < 0)
        edit_end(e);
    return r;
}

static int write_all(int fd, struct span text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        text = span_skip(text, (size_t)n);
    }
    return 0;
}

/* The new file has the old one's owner: martlet-auth goes on being able to read it. */
static int write_new(const struct edit *e, const char *path, struct span text, struct err *err)
{
    autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, "%s", path);
    bool own = !e->existed || (e->old.st_uid == geteuid() && e->old.st_gid == getegid());
    if (!own && fchown(fd, e->old.st_uid, e->old.st_gid) < 0)
        return err_set_errno(err, "%s: owner", path);
    if (e->existed && fchmod(fd, e->old.st_mode & 07777) < 0)
        return err_set_errno(err, "%s: mode", path);
    if (write_all(fd, text) < 0 || fsync(fd) < 0)
        return err_set_errno(err, "%s", path);
    return 0;
}

static int sync_dir_of(const char *file, struct err *err)
{
    autofree char *dir = span_dup(span_str(file));
    char *slash = strrchr(dir, '/');
    if (slash)
        *(slash == dir ? slash + 1 : slash) = '\0';
    autoclose int fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_set_errno(err, "%s", dir);
    return 0;
}

int edit_commit(struct edit *e, struct span text, struct err *err)
{
    autobuf path = BUF_INIT(PATH_LIMIT);
    buf_printf(&path, "%s.%016llx", e->file, (unsigned long long)random_u64());
    if (!buf_ok(&path))
        return err_set(err, ERR_LIMIT, "%s: too long", e->file);
    int r = write_new(e, path.p, text, err);
    if (r == 0 && rename(path.p, e->file) < 0)
        r = err_set_errno(err, "%s", e->file);
    if (r < 0)
        (void)unlink(path.p);
    return r < 0 ? r : sync_dir_of(e->file, err);
}

void edit_end(struct edit *e)
{
    if (e->text.p)
        explicit_bzero(e->text.p, e->text.n);
    buf_done(&e->text);
    if (e->lock_fd >= 0)
        close(e->lock_fd);
    free(e->file);
    *e = (struct edit){.lock_fd = -1};
}

int edit_each_line(struct span text, int (*each)(void *arg, struct span line, unsigned number),
                   void *arg)
{
    struct span line;
    for (unsigned number = 1; text.n && span_split(&text, '\n', &line); number++) {
        int r = each(arg, line, number);
        if (r)
            return r;
    }
    return 0;
}
