/* Backup and restore: the files of a log, copied.
 *
 * A backup is a directory with the log's segments and manifest, a log that could be opened.
 * Segments only ever grow, so a later backup copies what is new and removes what the log dropped.
 * The manifest comes last and replaces the old one at once: an interrupted backup is the older one,
 * with some files more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "store/base_dump.h"
#include "store/frozen.h"
#include "store/recover.h"
#include "store/remote_int.h"

enum { CHUNK = 1 << 20 };

struct part {
    uint64_t number, size;
    char name[40];
};

struct backup {
    struct maintenance *m;
    struct frozen frozen;
    char *to;
    struct buf manifest;
    struct buf parts; /* struct part */
    size_t at;        /* the next one */
    bool links;
    int error;
    struct err err;
};

static const struct part *parts(const struct backup *b, size_t *ret_n)
{
    *ret_n = b->parts.n / sizeof(struct part);
    return (const struct part *)(const void *)b->parts.p;
}

static void finish(struct backup *b)
{
    struct maintenance *m = b->m;
    int error = b->error;
    struct err err = b->err;
    if (error && !err.code)
        err_set(&err, error, "backup: %s", err_name(error));
    frozen_done(&b->frozen);
    buf_done(&b->manifest);
    buf_done(&b->parts);
    free(b->to);
    free(b);
    m->finished(m, error, error ? err.text : "");
}

/* --- files of the backup: always the real file system --- */

static int write_all(int fd, struct span bytes, uint64_t at, const char *path, struct err *err)
{
    while (bytes.n) {
        ssize_t n = pwrite(fd, bytes.p, bytes.n, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, "write %s", path);
        bytes = span_skip(bytes, (size_t)n);
        at += (uint64_t)n;
    }
    return 0;
}

/* What is there already of a segment is right, and is not copied again; the end of the file may
 * have been torn, so the last chunk is. */
static int copy_segment(struct backup *b, const struct part *p)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED), chunk = BUF_INIT(BUF_UNLIMITED);
    struct stat st;
    buf_printf(&path, "%s/%s", b->to, p->name);
    autoclose int fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st))
        return err_set_errno(&b->err, "open %s", path.p);
    uint64_t have = (uint64_t)st.st_size;
    if (have == p->size)
        return 0;
    uint64_t at = have > p->size ? 0 : have - MIN(have, (uint64_t)CHUNK);
    while (at < p->size) {
        size_t n = (size_t)MIN(p->size - at, (uint64_t)CHUNK);
        buf_reset(&chunk);
        int rc = log_read(b->frozen.view, p->number, at, n, &chunk, &b->err);
        if (rc == 0)
            rc = write_all(fd, buf_span(&chunk), at, path.p, &b->err);
        if (rc)
            return rc;
        at += n;
    }
    if (ftruncate(fd, (off_t)p->size) || fdatasync(fd))
        return err_set_errno(&b->err, "sync %s", path.p);
    return 0;
}

static int link_segment(struct backup *b, const struct part *p)
{
    const struct account *a = b->frozen.account;
    autobuf name = BUF_INIT(BUF_UNLIMITED), from = BUF_INIT(BUF_UNLIMITED),
            to = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&name, "/log/%s", p->name);
    store_account_path(a->store, &a->id, name.p, &from);
    buf_printf(&to, "%s/%s", b->to, p->name);
    if (link(from.p, to.p) < 0)
        return err_set_errno(&b->err, "link %s", to.p);
    return 0;
}

/* How much of each file is part of the backup. */
static int put_sizes(struct backup *b)
{
    size_t n;
    const struct part *p = parts(b, &n);
    autobuf text = BUF_INIT(BUF_UNLIMITED), path = BUF_INIT(BUF_UNLIMITED);
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s %llu\n", p[i].name, (unsigned long long)p[i].size);
    buf_printf(&path, "%s/sizes", b->to);
    autoclose int fd = open(path.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set_errno(&b->err, "make %s", path.p);
    return write_all(fd, buf_span(&text), 0, path.p, &b->err);
}

static int sync_dir(const char *dir, struct err *err)
{
    autoclose int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        return err_set_errno(err, "sync %s", dir);
    return 0;
}

static int put_manifest(struct backup *b)
{
    autobuf temp = BUF_INIT(BUF_UNLIMITED), path = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&temp, "%s/manifest.new", b->to);
    buf_printf(&path, "%s/manifest", b->to);
    int rc = sync_dir(b->to, &b->err);
    if (rc)
        return rc;
    autoclose int fd = open(temp.p, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set_errno(&b->err, "make %s", temp.p);
    rc = write_all(fd, buf_span(&b->manifest), 0, temp.p, &b->err);
    if (rc == 0 && (fdatasync(fd) || rename(temp.p, path.p)))
        rc = err_set_errno(&b->err, "write %s", path.p);
    return rc ? rc : sync_dir(b->to, &b->err);
}

static bool is_segment_name(const char *name)
{
    return strlen(name) == 16 && strspn(name, "0123456789abcdef") == 16;
}

static void remove_dropped(struct backup *b)
{
    size_t n;
    const struct part *p = parts(b, &n);
    DIR *d = opendir(b->to);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        bool kept = !is_segment_name(e->d_name);
        for (size_t i = 0; i < n && !kept; i++)
            kept = strcmp(p[i].name, e->d_name) == 0;
        if (!kept)
            unlinkat(dirfd(d), e->d_name, 0);
    }
    if (d)
        closedir(d);
}

static void copy_run(void *arg)
{
    struct backup *b = arg;
    size_t n;
    const struct part *p = parts(b, &n);
    if (b->at < n) {
        b->error = b->links ? link_segment(b, &p[b->at]) : copy_segment(b, &p[b->at]);
        b->at++;
    } else {
        b->error = put_manifest(b);
        if (b->error == 0 && b->links)
            b->error = put_sizes(b);
        else if (b->error == 0)
            remove_dropped(b);
        b->at++;
    }
}

static void copy_done(void *arg)
{
    struct backup *b = arg;
    size_t n;
    (void)parts(b, &n);
    b->m->progress(b->m, b->at, n + 1);
    if (b->m->cancel && b->error == 0 && b->at <= n)
        b->error = err_set(&b->err, ERR_CLOSED, "cancelled");
    if (b->error || b->at > n)
        finish(b);
    else
        store_work(b->frozen.account->store, copy_run, copy_done, b);
}

static int note_part(void *ctx, const struct log_segment *s)
{
    struct backup *b = ctx;
    struct part p = {.number = s->number, .size = s->size};
    if (s->role == LOG_SEGMENT_DROPPED || ranges_has(&b->frozen.in_flight, (uint32_t)s->number))
        return 0;
    memcpy(p.name, s->name, sizeof(p.name));
    buf_put(&b->parts, &p, sizeof(p));
    return 0;
}

static void taken(void *arg, int error)
{
    struct backup *b = arg;
    if (error) {
        b->error = err_set(&b->err, error, "the account is busy or not available");
        finish(b);
        return;
    }
    b->error = log_manifest_read(b->frozen.log, &b->manifest, &b->err);
    writer_unpause(b->frozen.account);
    (void)log_segments(b->frozen.view, note_part, b);
    if (b->error == 0 && mkdir(b->to, 0700) && errno != EEXIST)
        b->error = err_set_errno(&b->err, "make directory %s", b->to);
    if (b->error)
        finish(b);
    else
        store_work(b->frozen.account->store, copy_run, copy_done, b);
}

static void begin(struct account *account, const char *to_dir, bool links, struct maintenance *m)
{
    struct backup *b = xnew(struct backup);
    b->m = m;
    b->links = links;
    b->to = xstrndup(to_dir, strlen(to_dir));
    buf_init(&b->manifest, BUF_UNLIMITED);
    buf_init(&b->parts, BUF_UNLIMITED);
    frozen_take(&b->frozen, account, false, taken, b);
}

void account_backup(struct account *account, const char *to_dir, struct maintenance *m)
{
    begin(account, to_dir, false, m);
}

void account_backup_links(struct account *account, const char *to_dir, struct maintenance *m)
{
    begin(account, to_dir, true, m);
}

/* --- restore ---
 *
 * The backup's files become log.new, are opened as a log (which finds their end), and take the
 * place of log/, which is kept as log.old-<time>. If the replaced log was longer, clients may have
 * seen what is lost: a new incarnation begins, and a base gives every mailbox a new UIDVALIDITY. */

struct restore {
    struct maintenance *m;
    struct store *store;
    struct account *account;
    char *from, *dir; /* dir: the account's */
    int error;
    struct err err;
};

static int copy_file(struct restore *r, const char *name, const char *to_dir)
{
    autobuf from = BUF_INIT(BUF_UNLIMITED), to = BUF_INIT(BUF_UNLIMITED);
    struct log_fs *fs = r->store->fs;
    struct log_file *out = NULL;
    autofree char *chunk = xmalloc(CHUNK);
    buf_printf(&from, "%s/%s", r->from, name);
    buf_printf(&to, "%s/%s", to_dir, name);
    autoclose int in = open(from.p, O_RDONLY | O_CLOEXEC);
    if (in < 0)
        return err_set_errno(&r->err, "open %s", from.p);
    int rc = fs->open(fs->ctx, to.p, LOG_FS_WRITE | LOG_FS_CREATE, &out);
    for (uint64_t at = 0; rc == 0;) {
        ssize_t n = pread(in, chunk, CHUNK, (off_t)at);
        if (n <= 0) {
            rc = n < 0 ? -errno : fs->sync(fs->ctx, out);
            break;
        }
        for (ssize_t done = 0; done < n && rc == 0;) {
            struct iovec iov = {chunk + done, (size_t)(n - done)};
            int64_t w = fs->pwritev(fs->ctx, out, &iov, 1, at + (uint64_t)done);
            if (w <= 0)
                rc = w < 0 ? (int)w : -ENOSPC;
            else
                done += w;
        }
        at += (uint64_t)n;
    }
    if (out)
        fs->close(fs->ctx, out);
    errno = -rc;
    return rc ? err_set_errno(&r->err, "copy %s", from.p) : 0;
}

static int unlink_entry(void *arg, const char *name)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    struct log_fs *fs = ((struct restore *)arg)->store->fs;
    buf_printf(&path, "%s/log.new/%s", ((struct restore *)arg)->dir, name);
    fs->unlink(fs->ctx, path.p);
    return 0;
}

static int copy_files(struct restore *r, const char *to)
{
    struct log_fs *fs = r->store->fs;
    int rc = fs->make_dir(fs->ctx, to);
    if (rc == -EEXIST)
        (void)fs->list(fs->ctx, to, unlink_entry, r);
    DIR *d = opendir(r->from);
    struct dirent *e;
    if (!d)
        return err_set_errno(&r->err, "open the backup %s", r->from);
    rc = 0;
    while (rc == 0 && (e = readdir(d)))
        if (is_segment_name(e->d_name) || strcmp(e->d_name, "manifest") == 0)
            rc = copy_file(r, e->d_name, to);
    closedir(d);
    return rc;
}

static int last_seq(struct restore *r, const char *log_dir, uint64_t *ret)
{
    struct log_options options = {.fs = r->store->fs};
    struct log *log;
    int rc = log_open(&options, log_dir, &log, NULL, &r->err);
    if (rc)
        return rc;
    *ret = log_last_seq(log);
    log_close(log);
    return 0;
}

/* The last change that clients may have seen. If the log that is replaced cannot tell, it certainly
 * knew of fewer changes than these. */
static int known_seq(struct restore *r, const char *log_dir, const char *new_dir, uint64_t *ret)
{
    enum { UNKNOWN_CHANGES = 1 << 30 };
    uint64_t seq = 0;
    if (last_seq(r, log_dir, ret) == 0)
        return 0;
    int rc = last_seq(r, new_dir, &seq);
    *ret = seq + UNKNOWN_CHANGES;
    return rc;
}

/* New UIDVALIDITYs are the beginning of a new base. */
static int renew(struct restore *r, struct log *log, const char *index_dir)
{
    struct index *index;
    struct index_txn *txn;
    struct log_base *base;
    int rc = recover_index(index_dir, log, true, &index, NULL, &r->err);
    if (rc)
        return rc;
    rc = index_read_begin(index, &txn);
    if (rc == 0)
        rc = log_base_begin(log, log_durable_seq(log), &base, &r->err);
    if (rc == 0) {
        struct base_dump d = {.txn = txn,
                              .from = log,
                              .to = base,
                              .new_uidvalidity = (uint32_t)(clock_wall_us() / 1000000),
                              .err = &r->err};
        rc = base_dump(&d);
        buf_done(&d.moved);
        if (rc == 0)
            rc = log_base_finish(base, &r->err);
        else
            log_base_abort(base);
        index_read_end(txn);
    }
    index_close(index);
    return rc;
}

static int replace_log(struct restore *r)
{
    struct log_fs *fs = r->store->fs;
    autobuf log_dir = BUF_INIT(BUF_UNLIMITED), new_dir = BUF_INIT(BUF_UNLIMITED),
            old_dir = BUF_INIT(BUF_UNLIMITED), index_dir = BUF_INIT(BUF_UNLIMITED);
    struct log_report report = {0};
    struct log *log;
    buf_printf(&log_dir, "%s/log", r->dir);
    buf_printf(&new_dir, "%s/log.new", r->dir);
    buf_printf(&old_dir, "%s/log.old-%llx", r->dir, (unsigned long long)clock_wall_us());
    buf_printf(&index_dir, "%s/index", r->dir);
    struct log_options options = {.fs = fs};
    int rc = copy_files(r, new_dir.p);
    if (rc == 0)
        rc = known_seq(r, log_dir.p, new_dir.p, &options.known_seq);
    if (rc == 0)
        rc = log_open(&options, new_dir.p, &log, &report, &r->err);
    if (rc)
        return rc;
    if (memcmp(log_id(log), r->account->id.b, ACCOUNT_ID_LEN) != 0)
        rc = err_set(&r->err, ERR_INVALID, "%s is the backup of another account", r->from);
    if (rc == 0 && report.new_incarnation)
        rc = renew(r, log, index_dir.p);
    log_close(log);
    if (rc)
        return rc;
    rc = fs->rename(fs->ctx, log_dir.p, old_dir.p);
    if (rc == 0 || rc == -ENOENT)
        rc = fs->rename(fs->ctx, new_dir.p, log_dir.p);
    if (rc == 0)
        rc = fs->sync_dir(fs->ctx, r->dir);
    errno = -rc;
    return rc ? err_set_errno(&r->err, "put the restored log in its place") : 0;
}

static void restore_run(void *arg)
{
    struct restore *r = arg;
    r->error = replace_log(r);
}

static void restore_finish(struct restore *r)
{
    struct maintenance *m = r->m;
    int error = r->error;
    struct err err = r->err;
    if (error && !err.code)
        err_set(&err, error, "restore: %s", err_name(error));
    free(r->from);
    free(r->dir);
    free(r);
    m->finished(m, error, error ? err.text : "");
}

static void restored(void *arg, int error, struct account *account)
{
    struct restore *r = arg;
    if (error && !r->error)
        r->error = err_set(&r->err, error, "the restored account cannot be opened");
    account_unref(account);
    account_unref(take_ptr(r->account));
    restore_finish(r);
}

static void restore_done(void *arg)
{
    struct restore *r = arg;
    struct account *a = r->account;
    a->state = ACCOUNT_FAILED; /* closed; the next opening finds the new log */
    a->fresh = true;
    account_open(r->store, &a->id, restored, r);
}

static void restore_refuse(void *arg)
{
    struct restore *r = arg;
    account_unref(take_ptr(r->account));
    restore_finish(r);
}

void account_restore(struct store *store, const struct account_id *id, const char *from_dir,
                     struct maintenance *m)
{
    struct restore *r = xnew(struct restore);
    struct account *a = account_find_or_make(store, id);
    autobuf dir = BUF_INIT(BUF_UNLIMITED);
    store_account_path(store, id, "", &dir);
    *r = (struct restore){.m = m, .store = store, .account = account_ref(a)};
    r->from = xstrndup(from_dir, strlen(from_dir));
    r->dir = buf_take(&dir);
    leases_void(a, ERR_BUSY);
    bool used = a->refs > 1;
    if (used || account_close_for_restore(a)) {
        r->error = err_set(&r->err, ERR_BUSY, "the account has open sessions");
        store_defer(store, restore_refuse, r);
        return;
    }
    store_work(store, restore_run, restore_done, r);
}
