/* The directory itself, while no server runs: the same store, on one thread. Takes the lock that
 * the supervisor takes. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/list.h"
#include "base/random.h"
#include "store/backup_stage.h"
#include "store/discard.h"
#include "store/maintain.h"
#include "tools/martletctl/access.h"

/* Worker jobs and deferred calls, one after the other. */
struct call {
    struct list link;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

struct local {
    struct ctl *ctl;
    struct store *store;
    struct list calls;
    int lock;
    bool borrowed; /* root works as the owner of the directory, so that the server can go on with it
                    */
    uid_t uid;
    gid_t gid;
};

/* The operation at hand. */
struct operation {
    struct local *local;
    struct maintenance maintenance;
    struct report *report;
    const char *dir;
    struct account *account;
    bool finished;
    int error;
    struct err why;
};

static void add_call(struct local *l, void (*run)(void *), void (*done)(void *), void *arg)
{
    struct call *c = xnew(struct call);
    c->run = run;
    c->done = done;
    c->arg = arg;
    list_push_back(&l->calls, &c->link);
}

static void host_work(void *ctx, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    add_call(ctx, run, done, arg);
}

static void host_defer(void *ctx, void (*fn)(void *arg), void *arg)
{
    add_call(ctx, NULL, fn, arg);
}

static void settle(struct local *l)
{
    struct call *c;
    while ((c = list_first(&l->calls, struct call, link))) {
        list_remove(&c->link);
        if (c->run)
            c->run(c->arg);
        c->done(c->arg);
        free(c);
    }
}

/* --- accounts --- */

struct listing {
    void (*each)(void *arg, struct span name, struct span id);
    void *arg;
};

static int list_account(void *ctx, struct span user, const struct account_id *id)
{
    struct listing *l = ctx;
    autobuf hex = BUF_INIT(64);
    buf_put_hex(&hex, id->b, sizeof(id->b));
    l->each(l->arg, user, buf_span(&hex));
    return 0;
}

static int accounts(void *ctx, void (*each)(void *arg, struct span name, struct span id), void *arg,
                    struct err *err)
{
    struct listing l = {each, arg};
    int rc = site_each(((struct local *)ctx)->store, list_account, &l);
    return rc ? err_set(err, rc, "the list of accounts cannot be read") : 0;
}

/* --- work on one account --- */

static void on_finding(struct maintenance *m, const struct finding *f)
{
    static const char *const kinds[] = {"info", "repaired", "damage"};
    struct operation *o = container_of(m, struct operation, maintenance);
    report_found(o->report, &(struct found){kinds[f->kind], f->mailbox, f->uid, f->segment,
                                            f->offset, span_str(f->text)});
}

static void on_progress(struct maintenance *m, uint64_t done, uint64_t total)
{
    report_progress(container_of(m, struct operation, maintenance)->report, done, total);
}

static void finish(struct operation *o, int error, const char *text)
{
    if (o->finished)
        return;
    o->finished = true;
    o->error = error;
    err_set(&o->why, error, "%s", text ? text : "");
}

static void on_finished(struct maintenance *m, int error, const char *text)
{
    finish(container_of(m, struct operation, maintenance), error, text);
}

static void on_opened(void *arg, int error, struct account *account)
{
    struct operation *o = arg;
    const char *verb = o->local->ctl->command->name;
    if (error) {
        finish(o, error, "the account cannot be opened");
        return;
    }
    o->account = account;
    if (strcmp(verb, "check") == 0)
        account_check(account, &o->maintenance);
    else if (strcmp(verb, "rebuild") == 0)
        account_rebuild(account, &o->maintenance);
    else if (strcmp(verb, "compact") == 0)
        account_compact(account, ctl_has(o->local->ctl, OPTION_ERASE), &o->maintenance);
    else if (strcmp(verb, "checkpoint") == 0)
        account_checkpoint(account, &o->maintenance);
    else if (o->local->borrowed)
        account_backup_links(account, o->dir, &o->maintenance);
    else
        account_backup(account, o->dir, &o->maintenance);
}

/* --- root and the owner of the directory --- */

static int become_owner(struct local *l, struct err *err)
{
    if (l->borrowed && (setegid(l->gid) || seteuid(l->uid)))
        return err_set_errno(err, "becoming the owner of %s", l->ctl->conf->state_dir);
    return 0;
}

static int become_root(struct local *l, struct err *err)
{
    if (l->borrowed && (seteuid(0) || setegid(0)))
        return err_set_errno(err, "becoming root again");
    return 0;
}

static int borrow(struct local *l, struct err *err)
{
    struct stat st;
    if (geteuid() != 0 || stat(l->ctl->conf->state_dir, &st) || st.st_uid == 0)
        return 0;
    l->borrowed = true;
    l->uid = st.st_uid;
    l->gid = st.st_gid;
    if (setgroups(0, NULL))
        return err_set_errno(err, "setgroups");
    return become_owner(l, err);
}

static void stage_path(const struct local *l, struct buf *to)
{
    autofree char *dir = realpath(l->ctl->conf->state_dir, NULL);
    buf_printf(to, "%s/run/stage-%08x", dir ? dir : "", (unsigned)random_u64());
}

static void work(struct local *l, struct operation *o, const char *account)
{
    struct account_id id;
    int rc = site_find(l->store, span_str(account), &id);
    if (rc)
        finish(o, rc, rc == ERR_NOT_FOUND ? "there is no such account" : err_name(rc));
    else if (strcmp(l->ctl->command->name, "restore") == 0)
        account_restore(l->store, &id, o->dir, &o->maintenance);
    else
        account_open(l->store, &id, on_opened, o);
    settle(l);
    account_unref(o->account);
    settle(l);
    finish(o, ERR_IO, "no answer");
}

static void show_copied(void *arg, uint64_t done, uint64_t total)
{
    report_progress(arg, done, total);
}

/* Where the backup is the owner of the directory may not get to: it comes and goes by way of the
 * directory (store/backup_stage.h). */
static void run_staged(struct local *l, struct operation *o, const char *account)
{
    const char *dir = o->dir;
    autobuf stage = BUF_INIT(BUF_UNLIMITED);
    struct backup_progress progress = {show_copied, o->report, 0, 0};
    bool restore = strcmp(l->ctl->command->name, "restore") == 0;
    stage_path(l, &stage);
    o->dir = stage.p;
    o->error = become_root(l, &o->why);
    if (o->error == 0 && restore)
        o->error = backup_bring(dir, stage.p, l->ctl->conf->state_dir, &progress, &o->why);
    if (o->error == 0)
        o->error = become_owner(l, &o->why);
    if (o->error == 0)
        work(l, o, account);
    if (become_root(l, &o->why) == 0 && o->error == 0 && !restore)
        o->error = backup_collect(stage.p, dir, &progress, &o->why);
    backup_unstage(stage.p);
    if (become_owner(l, &o->why) && o->error == 0)
        o->error = o->why.code;
}

static void run(void *ctx, const char *account, const char *dir, struct report *report)
{
    struct local *l = ctx;
    struct operation o = {.local = l,
                          .maintenance = {on_finding, on_progress, on_finished, NULL, false},
                          .report = report,
                          .dir = dir};
    report_begin(report, account);
    if (dir && l->borrowed)
        run_staged(l, &o, account);
    else
        work(l, &o, account);
    report_end(report, o.error, span_str(o.why.text));
}

/* --- the end of an account --- */

struct ending {
    struct local *local;
    int error;
};

static void on_step(void *arg, int error)
{
    ((struct ending *)arg)->error = error;
}

static void on_forgotten(void *arg, int error, const struct account_id *id)
{
    (void)id;
    on_step(arg, error);
}

static int discard(void *ctx, const char *account, struct err *err)
{
    struct local *l = ctx;
    struct account_id id;
    struct ending e = {l, 0};
    int rc = site_find(l->store, span_str(account), &id);
    if (rc)
        return err_set(err, rc, "there is no such account");
    account_discard(l->store, &id, on_step, &e);
    settle(l);
    if (e.error == 0) {
        site_forget(l->store, span_str(account), &id, on_forgotten, &e);
        settle(l);
    }
    if (e.error == 0) {
        store_erase_discarded(l->store, on_step, &e);
        settle(l);
    }
    return e.error ? err_set(err, e.error, "%s", err_name(e.error)) : 0;
}

static void close_local(void *ctx)
{
    struct local *l = ctx;
    if (l->store)
        store_free(l->store);
    settle(l);
    if (l->lock >= 0)
        close(l->lock);
    free(l);
}

/* A mistyped directory must not become an empty store. */
static int check_directory(const struct local *l, struct err *err)
{
    autobuf site = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&site, "%s/site", l->ctl->conf->state_dir);
    if (access(site.p, F_OK) == 0)
        return 0;
    return err_set(err, ERR_NOT_FOUND, "%s is not the state directory of a server that has run",
                   l->ctl->conf->state_dir);
}

static int take_lock(struct local *l, struct err *err)
{
    autobuf path = BUF_INIT(4096);
    if (access(l->ctl->conf->state_dir, F_OK))
        return err_set_errno(err, "%s", l->ctl->conf->state_dir);
    buf_printf(&path, "%s/lock", l->ctl->conf->state_dir);
    l->lock = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (l->lock < 0)
        return err_set_errno(err, "%s", path.p);
    if (flock(l->lock, LOCK_EX | LOCK_NB))
        return err_set(err, ERR_BUSY, "%s is in use, but nobody answers there",
                       l->ctl->conf->state_dir);
    return 0;
}

int access_open_local(struct ctl *c, struct access *ret, struct err *err)
{
    struct local *l = xnew(struct local);
    l->ctl = c;
    l->lock = -1;
    list_init(&l->calls);
    struct store_options options = {.dir = c->conf->state_dir, .open_max = 2};
    struct store_host host = {l, host_work, host_defer};
    int rc = check_directory(l, err);
    if (rc == 0)
        rc = borrow(l, err);
    if (rc == 0)
        rc = take_lock(l, err);
    if (rc == 0)
        rc = store_new(&options, &host, &l->store, err);
    if (rc == 0)
        rc = site_open(l->store, err);
    settle(l);
    if (rc) {
        close_local(l);
        return rc;
    }
    *ret = (struct access){l, accounts, run, discard, close_local};
    return 0;
}
