#include "store/frozen.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "index/index.h"
#include "store/upload_int.h"

struct taking {
    struct frozen *f;
    bool with_index;
    void (*ready)(void *arg, int error);
    void *arg;
};

static void give_up(void *arg)
{
    autofree struct taking *t = arg;
    t->ready(t->arg, t->f->account ? ERR_IO : ERR_BUSY);
}

static int take(struct frozen *f, bool with_index)
{
    struct account *a = f->account;
    struct index *index;
    int error = account_hold(a, &index, &f->log);
    if (error)
        return error;
    if (with_index)
        error = index_copy_begin(index, &f->copy);
    if (error) {
        account_release(a);
        return error;
    }
    f->view = log_view_open(f->log);
    f->seq = log_durable_seq(f->log);
    uploads_in_flight(a, &f->in_flight);
    return 0;
}

static void rests(void *arg)
{
    autofree struct taking *t = arg;
    struct frozen *f = t->f;
    int error = take(f, t->with_index);
    if (error) {
        writer_unpause(f->account);
        f->account->maintained = false;
        account_unref(take_ptr(f->account));
    }
    t->ready(t->arg, error);
}

void frozen_take(struct frozen *f, struct account *a, bool with_index,
                 void (*ready)(void *arg, int error), void *arg)
{
    autobuf dir = BUF_INIT(BUF_UNLIMITED);
    struct taking *t = xnew(struct taking);
    *f = (struct frozen){0};
    *t = (struct taking){f, with_index, ready, arg};
    if (a->maintained || (with_index && a->checkpointing) || writer_pause(a, rests, t)) {
        store_defer(a->store, give_up, t);
        return;
    }
    a->maintained = true;
    f->account = account_ref(a);
    store_account_path(a->store, &a->id, "/scratch", &dir);
    f->dir = buf_take(&dir);
}

void frozen_path(const struct frozen *f, const char *name, struct buf *to)
{
    buf_reset(to);
    buf_printf(to, "%s/%s", f->dir, name);
}

/* Of what a crash left, and of what is not needed any more: two levels, plain files. */
static void remove_tree(const char *path, int depth)
{
    DIR *d = opendir(path);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        autobuf entry = BUF_INIT(BUF_UNLIMITED);
        if (span_eq(span_str(e->d_name), SPAN(".")) || span_eq(span_str(e->d_name), SPAN("..")))
            continue;
        buf_printf(&entry, "%s/%s", path, e->d_name);
        if (unlink(entry.p) && (errno == EISDIR || errno == EPERM) && depth > 0)
            remove_tree(entry.p, depth - 1);
    }
    if (d)
        closedir(d);
    rmdir(path);
}

int frozen_open(struct frozen *f, struct err *err)
{
    autobuf dir = BUF_INIT(BUF_UNLIMITED);
    enum index_trust trust;
    remove_tree(f->dir, 1);
    if (mkdir(f->dir, 0700))
        return err_set_errno(err, "make directory %s", f->dir);
    frozen_path(f, "state", &dir);
    int error = index_copy_run(f->copy, "../scratch/copy", err);
    if (error == 0)
        error = index_replace(dir.p, "../copy", err);
    if (error == 0)
        error = index_open(dir.p, true, &trust, &f->index, err);
    return error;
}

void frozen_done(struct frozen *f)
{
    struct account *a = f->account;
    if (!a)
        return;
    if (f->index)
        index_close(f->index);
    if (f->copy)
        index_copy_free(f->copy);
    log_view_close(f->view);
    remove_tree(f->dir, 1);
    ranges_done(&f->in_flight);
    free(f->dir);
    f->account = NULL;
    a->maintained = false;
    account_release(a);
    account_settle(a);
    account_unref(a);
}
