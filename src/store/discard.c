#include "store/discard.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/logline.h"
#include "store/remote_int.h"
#include "store/store_int.h"

static void put_discarded(const struct store *store, const struct account_id *id, struct buf *to)
{
    buf_printf(to, "%s/accounts/discarded", store->dir);
    if (!id)
        return;
    buf_put_byte(to, '/');
    buf_put_hex(to, id->b, ACCOUNT_ID_LEN);
}

/* --- the move --- */

struct discard {
    struct store *store;
    struct account *account;
    void (*done)(void *arg, int error);
    void *arg;
    int error;
    struct err err;
};

/* The log may lie elsewhere than the index, which is on the real file system. */
static int move(struct log_fs *fs, const char *from, const char *to)
{
    int rc = fs->rename(fs->ctx, from, to);
    if (rename(from, to) && errno != ENOENT && rc == 0)
        rc = -errno;
    return rc;
}

static int make_discarded(struct store *store, const char *dir)
{
    int rc = store->fs->make_dir(store->fs->ctx, dir);
    if (rc && rc != -EEXIST)
        return rc;
    return mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;
}

/* Worker. */
static void discard_run(void *arg)
{
    struct discard *d = arg;
    struct log_fs *fs = d->store->fs;
    autobuf from = BUF_INIT(BUF_UNLIMITED), to = BUF_INIT(BUF_UNLIMITED),
            parent = BUF_INIT(BUF_UNLIMITED), accounts = BUF_INIT(BUF_UNLIMITED);
    store_account_path(d->store, &d->account->id, "", &from);
    put_discarded(d->store, &d->account->id, &to);
    put_discarded(d->store, NULL, &parent);
    buf_printf(&accounts, "%s/accounts", d->store->dir);
    int rc = make_discarded(d->store, parent.p);
    if (rc == 0)
        rc = fs->sync_dir(fs->ctx, accounts.p);
    if (rc == 0)
        rc = move(fs, from.p, to.p);
    if (rc == -ENOENT && access(to.p, F_OK) == 0)
        rc = 0; /* it was moved before */
    if (rc == 0)
        rc = fs->sync_dir(fs->ctx, parent.p);
    if (rc == 0) { /* DIR/accounts/ab */
        *strrchr(from.p, '/') = '\0';
        rc = fs->sync_dir(fs->ctx, from.p);
    }
    errno = -rc;
    if (rc == -ENOENT)
        d->error = err_set(&d->err, ERR_NOT_FOUND, "the account has no directory");
    else if (rc)
        d->error = err_set_errno(&d->err, "move %s", to.p);
}

static void discard_end(void *arg)
{
    struct discard *d = arg;
    if (d->error && d->error != ERR_BUSY)
        log_text(LOG_ERROR, "account-discard-failed", "%s", d->err.text);
    d->done(d->arg, d->error);
    free(d);
}

static void discard_done(void *arg)
{
    struct discard *d = arg;
    account_abandon(take_ptr(d->account), d->error ? d->error : ERR_NOT_FOUND);
    discard_end(d);
}

static void discard_refuse(void *arg)
{
    struct discard *d = arg;
    account_unref(take_ptr(d->account));
    discard_end(d);
}

void account_discard(struct store *store, const struct account_id *id,
                     void (*done)(void *arg, int error), void *arg)
{
    struct discard *d = xnew(struct discard);
    struct account *a = account_find_or_make(store, id);
    *d = (struct discard){.store = store, .account = account_ref(a), .done = done, .arg = arg};
    leases_void(a, ERR_NOT_FOUND);
    bool used = a->refs > 1;
    if (used || account_close_for_restore(a)) {
        d->error = ERR_BUSY;
        store_defer(store, discard_refuse, d);
        return;
    }
    store_work(store, discard_run, discard_done, d);
}

/* --- the files --- */

static int unlink_in_log(void *arg, const char *name)
{
    struct discard *d = arg;
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&path, "%s/%s", d->err.text, name);
    (void)!d->store->fs->unlink(d->store->fs->ctx, path.p);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path) && errno != ENOENT ? errno : 0;
}

/* An account that another process erases at the same moment is no error. */
static int erase_tree(struct discard *d, const char *dir)
{
    enum { DESCRIPTORS = 16 };
    struct err *e = &d->err; /* unlink_in_log's directory */
    if (d->store->fs != &log_fs_file) {
        err_set(e, 0, "%s/log", dir);
        (void)d->store->fs->list(d->store->fs->ctx, e->text, unlink_in_log, d);
    }
    int rc = nftw(dir, remove_entry, DESCRIPTORS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
    if (rc < 0)
        rc = errno;
    errno = rc;
    return rc && rc != ENOENT ? err_set_errno(e, "remove %s", dir) : 0;
}

/* Worker. */
static void erase_run(void *arg)
{
    struct discard *d = arg;
    autobuf dir = BUF_INIT(BUF_UNLIMITED);
    put_discarded(d->store, NULL, &dir);
    DIR *all = opendir(dir.p);
    for (struct dirent *e; all && (e = readdir(all));) {
        autobuf path = BUF_INIT(BUF_UNLIMITED);
        if (e->d_name[0] == '.')
            continue;
        buf_printf(&path, "%s/%s", dir.p, e->d_name);
        int rc = erase_tree(d, path.p);
        d->error = d->error ? d->error : rc;
    }
    if (all)
        closedir(all);
}

void store_erase_discarded(struct store *store, void (*done)(void *arg, int error), void *arg)
{
    struct discard *d = xnew(struct discard);
    *d = (struct discard){.store = store, .done = done, .arg = arg};
    store_work(store, erase_run, discard_end, d);
}

/* --- after a crash --- */

static int unhex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_id(const char *name, struct account_id *ret)
{
    if (strlen(name) != 2 * ACCOUNT_ID_LEN)
        return false;
    for (size_t i = 0; i < ACCOUNT_ID_LEN; i++) {
        int high = unhex(name[2 * i]), low = unhex(name[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        ret->b[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

struct leftovers {
    struct store *store;
    struct account_id *ids;
    size_t n, waiting;
};

static void leftovers_erased(void *arg, int error)
{
    (void)arg;
    (void)error; /* has been logged; the next start tries again */
}

static void leftover_forgotten(void *arg, int error, const struct account_id *id)
{
    struct leftovers *l = arg;
    (void)error;
    (void)id;
    if (--l->waiting)
        return;
    store_erase_discarded(l->store, leftovers_erased, NULL);
    free(l->ids);
    free(l);
}

static int forget_leftover(void *ctx, struct span user, const struct account_id *id)
{
    struct leftovers *l = ctx;
    for (size_t i = 0; i < l->n; i++) {
        if (memcmp(l->ids[i].b, id->b, ACCOUNT_ID_LEN) != 0)
            continue;
        l->waiting++;
        site_forget(l->store, user, id, leftover_forgotten, l);
    }
    return 0;
}

void store_finish_discards(struct store *store)
{
    struct leftovers *l = xnew(struct leftovers);
    autobuf dir = BUF_INIT(BUF_UNLIMITED);
    l->store = store;
    l->waiting = 1;
    put_discarded(store, NULL, &dir);
    DIR *all = opendir(dir.p);
    for (struct dirent *e; all && (e = readdir(all));) {
        struct account_id id;
        if (!parse_id(e->d_name, &id))
            continue;
        l->ids = xrealloc_array(l->ids, l->n + 1, sizeof(*l->ids));
        l->ids[l->n++] = id;
    }
    if (all)
        closedir(all);
    if (l->n == 0) {
        free(l);
        return;
    }
    (void)!site_each(store, forget_leftover, l);
    leftover_forgotten(l, 0, NULL);
}
