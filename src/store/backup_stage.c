#include "store/backup_stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/buf.h"

enum { CHUNK = 1 << 20, SIZES_MAX = 64 << 20 };

static int read_whole(int dir, const char *name, struct buf *to, struct err *err)
{
    autofree char *chunk = xmalloc(CHUNK);
    autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t n = -1;
    while (fd >= 0 && (n = read(fd, chunk, CHUNK)) > 0)
        buf_put(to, chunk, (size_t)n);
    return n < 0 ? err_set_errno(err, "read %s", name) : 0;
}

static void advance(struct backup_progress *p, uint64_t n)
{
    p->done += n;
    if (p->show)
        p->show(p->arg, p->done, p->total);
}

/* Bytes of `name` up to size; what `to` has already is right but for its end, which may be torn. */
static int copy(int from_dir, int to_dir, const char *name, uint64_t size,
                struct backup_progress *progress, struct err *err)
{
    autofree char *chunk = xmalloc(CHUNK);
    struct stat st;
    autoclose int in = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    autoclose int out = openat(to_dir, name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (in < 0 || out < 0 || fstat(out, &st) < 0)
        return err_set_errno(err, "open %s", name);
    uint64_t have = (uint64_t)st.st_size;
    if (have == size) {
        advance(progress, size);
        return 0;
    }
    uint64_t at = have > size ? 0 : have - MIN(have, (uint64_t)CHUNK);
    advance(progress, at);
    while (at < size) {
        ssize_t n = pread(in, chunk, (size_t)MIN(size - at, (uint64_t)CHUNK), (off_t)at);
        if (n == 0)
            return err_set(err, ERR_CORRUPT, "%s is shorter than it should be", name);
        for (ssize_t done = 0; done < n;) {
            ssize_t w = pwrite(out, chunk + done, (size_t)(n - done), (off_t)at + done);
            if (w < 0)
                return err_set_errno(err, "write %s", name);
            done += w;
        }
        if (n < 0)
            return err_set_errno(err, "read %s", name);
        at += (uint64_t)n;
        advance(progress, (uint64_t)n);
    }
    if (ftruncate(out, (off_t)size) < 0 || fdatasync(out) < 0)
        return err_set_errno(err, "sync %s", name);
    return 0;
}

static bool is_segment_name(const char *name)
{
    return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
}

/* The manifest comes last and takes the place of the old one at once: an interrupted backup is the
 * earlier one, with some files more. */
static int put_manifest(int from, int to, struct err *err)
{
    struct stat st;
    if (fstatat(from, "manifest", &st, AT_SYMLINK_NOFOLLOW) < 0 || fsync(to) < 0)
        return err_set_errno(err, "manifest");
    autobuf text = BUF_INIT(SIZES_MAX);
    int r = read_whole(from, "manifest", &text, err);
    if (r < 0)
        return r;
    autoclose int fd = openat(to, "manifest.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, text.p, text.n) != (ssize_t)text.n || fdatasync(fd) < 0 ||
        renameat(to, "manifest.new", to, "manifest") < 0 || fsync(to) < 0)
        return err_set_errno(err, "write manifest");
    return 0;
}

static bool is_named(struct span sizes, const char *name)
{
    struct span line, first;
    while (span_split(&sizes, '\n', &line))
        if (span_split(&line, ' ', &first) && span_eq(first, span_str(name)))
            return true;
    return false;
}

static void remove_others(int to, struct span sizes)
{
    DIR *d = fdopendir(fcntl(to, F_DUPFD_CLOEXEC, 0));
    const struct dirent *e;
    while (d && (e = readdir(d)))
        if (is_segment_name(e->d_name) && !is_named(sizes, e->d_name))
            unlinkat(to, e->d_name, 0);
    if (d)
        closedir(d);
}

static uint64_t sum_of(struct span sizes)
{
    struct span line, name;
    uint64_t sum = 0, n;
    while (span_split(&sizes, '\n', &line))
        if (span_split(&line, ' ', &name) && span_to_u64(line, INT64_MAX, &n))
            sum += n;
    return sum;
}

int backup_collect(const char *stage, const char *to, struct backup_progress *progress,
                   struct err *err)
{
    autobuf sizes = BUF_INIT(SIZES_MAX);
    struct span rest, line, name;
    if (mkdir(to, 0700) < 0 && errno != EEXIST)
        return err_set_errno(err, "make directory %s", to);
    autoclose int from = open(stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    autoclose int dir = open(to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (from < 0 || dir < 0)
        return err_set_errno(err, "open %s", from < 0 ? stage : to);
    int r = read_whole(from, "sizes", &sizes, err);
    rest = buf_span(&sizes);
    progress->total = sum_of(rest);
    while (r == 0 && span_split(&rest, '\n', &line)) {
        uint64_t size;
        if (!line.n)
            continue;
        span_split(&line, ' ', &name);
        autofree char *file = span_dup(name);
        if (!is_segment_name(file) || !span_to_u64(line, INT64_MAX, &size))
            return err_set(err, ERR_CORRUPT, "%s/sizes is malformed", stage);
        r = copy(from, dir, file, size, progress, err);
    }
    if (r == 0)
        r = put_manifest(from, dir, err);
    if (r == 0)
        remove_others(dir, buf_span(&sizes));
    return r;
}

static int bring_file(int from, int stage, const char *name, const struct stat *owner,
                      struct backup_progress *progress, struct err *err)
{
    struct stat st;
    if (fstatat(from, name, &st, 0) < 0)
        return err_set_errno(err, "%s", name);
    int r = copy(from, stage, name, (uint64_t)st.st_size, progress, err);
    if (r == 0 && geteuid() == 0 && fchownat(stage, name, owner->st_uid, owner->st_gid, 0) < 0)
        r = err_set_errno(err, "giving %s to the server's user", name);
    return r;
}

static bool is_part(const char *name)
{
    return is_segment_name(name) || strcmp(name, "manifest") == 0;
}

static uint64_t sum_in(DIR *d)
{
    const struct dirent *e;
    struct stat st;
    uint64_t sum = 0;
    while ((e = readdir(d)))
        if (is_part(e->d_name) && fstatat(dirfd(d), e->d_name, &st, 0) == 0)
            sum += (uint64_t)st.st_size;
    rewinddir(d);
    return sum;
}

int backup_bring(const char *from, const char *stage, const char *state_dir,
                 struct backup_progress *progress, struct err *err)
{
    struct stat owner;
    int r = 0;
    if (stat(state_dir, &owner) < 0 || mkdir(stage, 0700) < 0)
        return err_set_errno(err, "make directory %s", stage);
    autoclose int to = open(stage, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0 || (geteuid() == 0 && fchown(to, owner.st_uid, owner.st_gid) < 0))
        return err_set_errno(err, "open %s", stage);
    DIR *d = opendir(from);
    const struct dirent *e;
    if (!d)
        return err_set_errno(err, "open the backup %s", from);
    progress->total = sum_in(d);
    while (r == 0 && (e = readdir(d)))
        if (is_part(e->d_name))
            r = bring_file(dirfd(d), to, e->d_name, &owner, progress, err);
    closedir(d);
    return r;
}

void backup_unstage(const char *stage)
{
    DIR *d = opendir(stage);
    const struct dirent *e;
    if (!d)
        return;
    while ((e = readdir(d)))
        unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    rmdir(stage);
}
