#include "fault_fs.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

struct log_file; /* the real engine's; ours are wrapped in struct tracked */

struct tracked {
    struct list link; /* fault_fs.files, also when closed */
    struct log_file *real;
    char *path;
    uint64_t size, synced;
    bool new; /* its directory entry is not durable */
    bool is_lock;
};

static bool dead(struct fault_fs *f)
{
    f->calls++;
    return f->die_at && f->calls >= f->die_at;
}

static bool is_dead(const struct fault_fs *f)
{
    return f->die_at && f->calls >= f->die_at;
}

static struct tracked *find(struct fault_fs *f, const char *path)
{
    struct tracked *t;
    list_each(t, &f->files, link)
    {
        if (strcmp(t->path, path) == 0)
            return t;
    }
    return NULL;
}

static void forget(struct tracked *t)
{
    list_remove(&t->link);
    free(t->path);
    free(t);
}

static int f_make_dir(void *ctx, const char *path)
{
    return dead(ctx) ? -EIO : log_fs_file.make_dir(NULL, path);
}

static int f_list(void *ctx, const char *dir, int (*each)(void *arg, const char *name), void *arg)
{
    return is_dead(ctx) ? -EIO : log_fs_file.list(NULL, dir, each, arg);
}

static struct tracked *track(struct fault_fs *f, const char *path, bool new)
{
    struct tracked *t = find(f, path);
    struct stat st;
    if (t)
        return t;
    t = xnew(struct tracked);
    t->path = xstrndup(path, strlen(path));
    t->new = new;
    t->size = t->synced = !new &&stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
    list_init(&t->link);
    list_push_back(&f->files, &t->link);
    return t;
}

/* Handles of the log are our struct, cast: the engine's type is opaque to it. */
struct handle {
    struct log_file *real;
    struct tracked *t;
};

static struct handle *handle(struct log_file *f)
{
    return (struct handle *)(void *)f;
}

static int f_open(void *ctx, const char *path, unsigned flags, struct log_file **ret)
{
    struct log_file *real;
    bool create = flags & LOG_FS_CREATE;
    if (create ? dead(ctx) : is_dead(ctx))
        return -EIO;
    if (create && ((struct fault_fs *)ctx)->full)
        return -ENOSPC;
    int rc = log_fs_file.open(NULL, path, flags, &real);
    if (rc)
        return rc;
    struct handle *h = xnew(struct handle);
    h->real = real;
    if (create) {
        struct tracked *old = find(ctx, path);
        if (old)
            forget(old);
    }
    h->t = track(ctx, path, create);
    *ret = (struct log_file *)(void *)h;
    return 0;
}

static void f_close(void *ctx, struct log_file *f)
{
    (void)ctx;
    log_fs_file.close(NULL, handle(f)->real);
    free(f);
}

static int64_t f_pwritev(void *ctx, struct log_file *f, const struct iovec *iov, int n,
                         uint64_t off)
{
    struct fault_fs *ff = ctx;
    struct tracked *t = handle(f)->t;
    if (dead(ff))
        return -EIO;
    if (ff->full) {
        struct iovec half = {iov[0].iov_base, iov[0].iov_len / 2};
        if (!ff->torn || half.iov_len == 0)
            return -ENOSPC;
        ff->torn = false; /* the rest is refused whole */
        return log_fs_file.pwritev(NULL, handle(f)->real, &half, 1, off);
    }
    int64_t w = log_fs_file.pwritev(NULL, handle(f)->real, iov, n, off);
    if (w > 0)
        t->size = MAX(t->size, off + (uint64_t)w);
    return w;
}

static int64_t f_pread(void *ctx, struct log_file *f, void *to, size_t n, uint64_t off)
{
    return is_dead(ctx) ? -EIO : log_fs_file.pread(NULL, handle(f)->real, to, n, off);
}

static int64_t f_size(void *ctx, struct log_file *f)
{
    return is_dead(ctx) ? -EIO : log_fs_file.size(NULL, handle(f)->real);
}

static int f_truncate(void *ctx, struct log_file *f, uint64_t size)
{
    struct tracked *t = handle(f)->t;
    if (dead(ctx))
        return -EIO;
    t->size = size;
    t->synced = MIN(t->synced, size);
    return log_fs_file.truncate(NULL, handle(f)->real, size);
}

static int f_sync(void *ctx, struct log_file *f)
{
    struct fault_fs *ff = ctx;
    if (dead(ff) || ff->fail_sync)
        return -EIO;
    ff->syncs++;
    handle(f)->t->synced = handle(f)->t->size;
    return 0;
}

static int f_sync_dir(void *ctx, const char *dir)
{
    struct fault_fs *ff = ctx;
    struct tracked *t;
    if (dead(ff) || ff->fail_sync)
        return -EIO;
    list_each(t, &ff->files, link)
    {
        size_t n = strlen(dir);
        if (strncmp(t->path, dir, n) == 0 && t->path[n] == '/' && !strchr(t->path + n + 1, '/'))
            t->new = false;
    }
    return 0;
}

static int f_rename(void *ctx, const char *from, const char *to)
{
    if (dead(ctx))
        return -EIO;
    struct tracked *t = find(ctx, from), *old = find(ctx, to);
    int rc = log_fs_file.rename(NULL, from, to);
    if (rc)
        return rc;
    if (old)
        forget(old);
    if (t) {
        free(t->path);
        t->path = xstrndup(to, strlen(to));
        t->new = false;
    }
    return 0;
}

static int f_unlink(void *ctx, const char *path)
{
    if (dead(ctx))
        return -EIO;
    struct tracked *t = find(ctx, path);
    if (t)
        t->new = false; /* gone anyway */
    return log_fs_file.unlink(NULL, path);
}

static int f_lock(void *ctx, const char *path, struct log_file **ret)
{
    struct log_file *real;
    if (is_dead(ctx))
        return -EIO;
    int rc = log_fs_file.lock(NULL, path, &real);
    if (rc)
        return rc;
    struct handle *h = xnew(struct handle);
    h->real = real;
    h->t = track(ctx, path, false);
    *ret = (struct log_file *)(void *)h;
    return 0;
}

static int64_t f_free_space(void *ctx, const char *dir)
{
    struct fault_fs *ff = ctx;
    return ff->free_space >= 0 ? ff->free_space : log_fs_file.free_space(NULL, dir);
}

static int f_descriptor(void *ctx, struct log_file *f)
{
    (void)ctx;
    return log_fs_file.descriptor(NULL, handle(f)->real);
}

void fault_fs_init(struct fault_fs *f)
{
    *f = (struct fault_fs){.free_space = -1};
    f->fs = (struct log_fs){f,        f_make_dir, f_list,       f_open,      f_close,    f_pwritev,
                            f_pread,  f_size,     f_truncate,   f_sync,      f_sync_dir, f_rename,
                            f_unlink, f_lock,     f_free_space, f_descriptor};
    list_init(&f->files);
}

void fault_fs_done(struct fault_fs *f)
{
    struct tracked *t;
    while ((t = list_first(&f->files, struct tracked, link)))
        forget(t);
}

void fault_fs_revive(struct fault_fs *f)
{
    f->die_at = 0;
    f->fail_sync = f->full = f->torn = false;
    f->free_space = -1;
}

void fault_fs_power_loss(struct fault_fs *f)
{
    struct tracked *t;
    list_each(t, &f->files, link)
    {
        struct stat st;
        if (stat(t->path, &st))
            continue;
        if (t->new)
            unlink(t->path);
        else if ((uint64_t)st.st_size > t->synced && truncate(t->path, (off_t)t->synced))
            abort();
    }
    fault_fs_done(f);
    fault_fs_revive(f);
}
