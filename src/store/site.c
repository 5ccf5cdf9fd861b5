/* The site log: which account a name has, who belongs to which group, who shares with whom. Same
 * format and machinery as an account's log.
 *
 * Changes are taken in batches: a worker makes the accounts (each complete and durable before any
 * name leads to it), then one frame a name goes to the site log with one sync. A crash in between
 * leaves an account that nobody has, which harms nobody. All other changes go the same way. */
#include <errno.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/logline.h"
#include "base/random.h"
#include "index/tables.h"
#include "store/discard.h"
#include "store/recover.h"
#include "store/rights.h"
#include "store/store_int.h"

enum change_kind { CHANGE_NAME, CHANGE_GONE, CHANGE_MEMBER, CHANGE_NO_MEMBER, CHANGE_GRANT };

struct site_change {
    struct list link;
    struct site *site;
    enum change_kind kind;
    char *user;
    size_t user_len;
    char *other; /* a group, or an identifier */
    size_t other_len;
    struct account_id id; /* of a removal: the one that must have the name */
    int error;
    void (*done)(void *arg, int error, const struct account_id *id);
    void *arg;
};

struct site {
    struct store *store;
    struct log *log;
    struct index *index;
    struct list waiting, batch; /* struct site_change */
    bool busy;
    bool broken;
    struct index_txn *txn;
    struct log_sync sync;
    struct checkpoint *checkpoint; /* a worker makes it */
};

/* --- making an account --- */

static int make_dirs(struct store *store, const struct account_id *id, struct err *err)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    store_account_path(store, id, "", &path);
    size_t ends[] = {strlen(store->dir) + strlen("/accounts"),
                     strlen(store->dir) + strlen("/accounts/ab"), path.n};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        autofree char *part = xstrndup(path.p, ends[i]);
        int rc = store->fs->make_dir(store->fs->ctx, part);
        errno = -rc;
        if (rc && rc != -EEXIST)
            return err_set_errno(err, "make directory %s", part);
        if (mkdir(part, 0700) && errno != EEXIST) /* the index's, whatever the log's engine */
            return err_set_errno(err, "make directory %s", part);
    }
    return 0;
}

static int sync_dirs(struct store *store, const struct account_id *id, struct err *err)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    store_account_path(store, id, "", &path);
    size_t ends[] = {path.n, strlen(store->dir) + strlen("/accounts/ab"),
                     strlen(store->dir) + strlen("/accounts")};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        autofree char *part = xstrndup(path.p, ends[i]);
        int rc = store->fs->sync_dir(store->fs->ctx, part);
        errno = -rc;
        if (rc)
            return err_set_errno(err, "sync directory %s", part);
    }
    return 0;
}

static void put_mailbox(struct buf *ops, uint32_t id, const char *name, uint32_t special_use)
{
    struct op op = {.kind = OP_MAILBOX_CREATE};
    op.mailbox_create = (struct op_mailbox_create){
        .mailbox = id,
        .modseq = 1,
        .uidvalidity = (uint32_t)(clock_wall_us() / 1000000) + id,
        .special_use = special_use,
        .name = span_str(name),
    };
    random_bytes(op.mailbox_create.object_id, sizeof(op.mailbox_create.object_id));
    op_put(ops, &op);
    op_put(ops, &(struct op){.kind = OP_SUBSCRIBE, .subscribe = {1, true, span_str(name)}});
}

/* The first frame: INBOX, which always exists, and the mailboxes that new accounts get. */
static int write_first(struct store *store, struct log *log, struct err *err)
{
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    const struct default_mailbox *m = store->options.defaults;
    struct log_frame frame;
    struct log_sync sync;
    put_mailbox(&ops, 1, "INBOX", 0);
    for (size_t i = 0; i < store->options.default_count; i++)
        put_mailbox(&ops, (uint32_t)i + 2, m[i].name, m[i].special_use);
    int error = log_stage(log, FRAME_CHANGE, FRAME_VERSION, buf_span(&ops), NULL, 0, &frame);
    if (error == 0)
        error = log_write(log, err);
    if (error)
        return error;
    log_sync_begin(log, &sync);
    log_sync_run(&sync);
    return log_sync_end(log, &sync, err);
}

static int make_account(struct store *store, const struct account_id *id, struct err *err)
{
    struct log_options options = {.fs = store->fs};
    struct log *log = NULL;
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    store_account_path(store, id, "/log", &path);
    int error = make_dirs(store, id, err);
    if (error == 0)
        error = log_create(&options, path.p, id->b, err);
    if (error == 0)
        error = log_open(&options, path.p, &log, NULL, err);
    if (error == 0)
        error = write_first(store, log, err);
    log_close(log);
    return error ? error : sync_dirs(store, id, err);
}

/* --- batches of changes --- */

static struct site_change *
change_new(struct store *store, enum change_kind kind, struct span user,
           void (*done)(void *arg, int error, const struct account_id *id), void *arg)
{
    struct site_change *c = xnew(struct site_change);
    *c = (struct site_change){.site = store->site, .kind = kind, .done = done, .arg = arg};
    list_init(&c->link);
    c->user = xstrndup(user.p, user.n);
    c->user_len = user.n;
    return c;
}

static void change_free(struct site_change *c)
{
    free(c->user);
    free(c->other);
    free(c);
}

static void begin(struct site *site);

static void finish(struct site *site, int error)
{
    struct list done;
    struct site_change *c;
    list_init(&done);
    while ((c = list_first(&site->batch, struct site_change, link))) {
        list_remove(&c->link);
        list_push_back(&done, &c->link);
    }
    site->busy = false;
    while ((c = list_first(&done, struct site_change, link))) {
        list_remove(&c->link);
        int e = c->error ? c->error : error;
        c->done(c->arg, e, e ? NULL : &c->id);
        change_free(c);
    }
    if (!list_empty(&site->waiting))
        begin(site);
}

static void sync_run(void *arg)
{
    log_sync_run(&((struct site *)arg)->sync);
}

/* --- checkpoints: they bound the replay here, too --- */

static void checkpoint_work(void *arg)
{
    checkpoint_run(((struct site *)arg)->checkpoint);
}

static void checkpoint_made(void *arg)
{
    struct site *site = arg;
    struct index_txn *txn = NULL;
    bool noted = !site->broken && !site->busy && index_write_begin(site->index, &txn) == 0;
    (void)!checkpoint_end(take_ptr(site->checkpoint), noted ? txn : NULL, NULL);
    if (noted && index_write_commit(txn))
        site->broken = true;
}

static void begin_checkpoint(struct site *site)
{
    if (site->checkpoint || site->store->closing)
        return;
    if (checkpoint_begin(site->index, &site->checkpoint, NULL) == 0)
        store_work(site->store, checkpoint_work, checkpoint_made, site);
}

static void sync_done(void *arg)
{
    struct site *site = arg;
    struct err err = {0};
    int error = log_sync_end(site->log, &site->sync, &err);
    bool due = checkpoint_due(site->txn);
    if (error)
        index_write_abort(site->txn);
    else
        error = index_write_commit(site->txn);
    site->txn = NULL;
    if (due && !error)
        begin_checkpoint(site);
    if (error) {
        /* The next start of the process opens it anew. */
        log_text(LOG_ERROR, "site-log-failed", "%s", err.code ? err.text : err_name(error));
        site->broken = true;
    }
    finish(site, error);
}

/* 0: there is something to write; ERR_EXISTS: it is so already; others: it cannot be. */
static int op_of(struct site *site, struct site_change *c, struct op *ret)
{
    struct span user = span_make(c->user, c->user_len), other = span_make(c->other, c->other_len);
    struct account_id id;
    int error;
    switch (c->kind) {
    case CHANGE_NAME:
    case CHANGE_GONE:
        error = site_index_find(site->txn, user, &id);
        if (error && error != ERR_NOT_FOUND)
            return error;
        *ret = (struct op){.kind = c->kind == CHANGE_GONE ? OP_SITE_GONE : OP_SITE_NAME,
                           .site_name = {c->id, user}};
        if (c->kind == CHANGE_GONE)
            return error == 0 && memcmp(id.b, c->id.b, sizeof(id.b)) == 0 ? 0 : ERR_NOT_FOUND;
        if (error == 0) /* asked for twice at the same time */
            c->id = id;
        return error == 0 ? ERR_EXISTS : 0;
    case CHANGE_MEMBER:
    case CHANGE_NO_MEMBER:
        *ret = (struct op){.kind = OP_SITE_MEMBER,
                           .site_member = {c->kind == CHANGE_MEMBER, other, user}};
        if (index_pair_has(site->txn, PAIR_MEMBER, other, user))
            return c->kind == CHANGE_MEMBER ? ERR_EXISTS : 0;
        return c->kind == CHANGE_MEMBER ? 0 : ERR_NOT_FOUND;
    case CHANGE_GRANT:
        *ret = (struct op){.kind = OP_SITE_GRANT, .site_grant = {user, other}};
        return index_pair_has(site->txn, PAIR_GRANT, other, user) ? ERR_EXISTS : 0;
    }
    return ERR_INVALID;
}

static int put_changes(struct site *site, size_t *ret_count, struct err *err)
{
    struct site_change *c;
    *ret_count = 0;
    list_each(c, &site->batch, link)
    {
        struct log_frame frame;
        struct op op;
        autobuf ops = BUF_INIT(BUF_UNLIMITED);
        if (c->error)
            continue;
        int error = op_of(site, c, &op);
        if (error == ERR_EXISTS)
            continue;
        if (error == ERR_NOT_FOUND) {
            c->error = error;
            continue;
        }
        if (error)
            return error;
        op_put(&ops, &op);
        error = log_stage(site->log, FRAME_CHANGE, FRAME_VERSION, buf_span(&ops), NULL, 0, &frame);
        if (error == 0)
            error = apply_frame(site->txn, NULL, &frame, buf_span(&ops), err);
        if (error)
            return error;
        ++*ret_count;
    }
    return 0;
}

static void made(void *arg)
{
    struct site *site = arg;
    struct err err = {0};
    size_t count;
    int error = site->broken ? ERR_CLOSED : index_write_begin(site->index, &site->txn);
    if (error) {
        finish(site, error);
        return;
    }
    error = put_changes(site, &count, &err);
    if (error == 0 && count)
        error = index_write_prepare(site->txn);
    if (error == 0 && count)
        error = log_write(site->log, &err);
    if (error || count == 0) {
        if (error)
            log_text(LOG_ERROR, "site-log-failed", "%s", err.code ? err.text : err_name(error));
        log_unstage(site->log);
        index_write_abort(take_ptr(site->txn));
        finish(site, error);
        return;
    }
    log_sync_begin(site->log, &site->sync);
    store_work(site->store, sync_run, sync_done, site);
}

/* Worker. */
static void make_all(void *arg)
{
    struct site *site = arg;
    struct site_change *c;
    list_each(c, &site->batch, link)
    {
        struct err err = {0};
        if (c->kind != CHANGE_NAME)
            continue;
        c->error = make_account(site->store, &c->id, &err);
        if (c->error)
            log_text(LOG_ERROR, "account-create-failed", "%s", err.text);
    }
}

static void begin(struct site *site)
{
    struct site_change *c;
    if (site->busy)
        return;
    site->busy = true;
    while ((c = list_first(&site->waiting, struct site_change, link))) {
        list_remove(&c->link);
        list_push_back(&site->batch, &c->link);
    }
    store_work(site->store, make_all, made, site);
}

/* --- the interface --- */

static int open_log(struct store *store, const char *dir, struct log **ret, struct err *err)
{
    struct log_options options = {.fs = store->fs};
    unsigned char id[LOG_ID_LEN];
    int error = log_open(&options, dir, ret, NULL, err);
    if (error != ERR_NOT_FOUND)
        return error;
    random_bytes(id, sizeof(id));
    error = log_create(&options, dir, id, err);
    return error ? error : log_open(&options, dir, ret, NULL, err);
}

int site_open(struct store *store, struct err *err)
{
    autobuf dir = BUF_INIT(BUF_UNLIMITED), log_dir = BUF_INIT(BUF_UNLIMITED),
            index_dir = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&dir, "%s/site", store->dir);
    buf_printf(&log_dir, "%s/log", dir.p);
    buf_printf(&index_dir, "%s/index", dir.p);
    if ((mkdir(dir.p, 0700) && errno != EEXIST))
        return err_set_errno(err, "make directory %s", dir.p);
    for (int i = 0; i < 2; i++) {
        const char *path = i == 0 ? dir.p : log_dir.p;
        int rc = store->fs->make_dir(store->fs->ctx, path);
        errno = -rc;
        if (rc && rc != -EEXIST)
            return err_set_errno(err, "make directory %s", path);
    }
    struct site *site = xnew(struct site);
    site->store = store;
    list_init(&site->waiting);
    list_init(&site->batch);
    int error = open_log(store, log_dir.p, &site->log, err);
    if (error == 0)
        error = recover_index(index_dir.p, site->log, false, &site->index, NULL, err);
    if (error) {
        log_close(site->log);
        free(site);
        return error;
    }
    store->site = site;
    store_finish_discards(store);
    return 0;
}

void site_close(struct store *store)
{
    struct site *site = take_ptr(store->site);
    if (!site)
        return;
    if (store->options.no_checkpoint_on_close || index_failed(site->index))
        index_close(site->index);
    else
        (void)!index_close_clean(site->index, NULL);
    log_close(site->log);
    free(site);
}

int site_find(struct store *store, struct span user, struct account_id *ret)
{
    struct index_txn *txn;
    if (!store->site || store->site->broken)
        return ERR_CLOSED;
    int error = index_read_begin(store->site->index, &txn);
    if (error)
        return error;
    error = site_index_find(txn, user, ret);
    index_read_end(txn);
    return error;
}

static void answer_change(void *arg)
{
    struct site_change *c = arg;
    c->done(c->arg, c->error, c->error ? NULL : &c->id);
    change_free(c);
}

static void submit(struct store *store, struct site_change *c)
{
    if (!store->site || store->closing)
        c->error = ERR_CLOSED;
    if (c->error) {
        store_defer(store, answer_change, c);
        return;
    }
    list_push_back(&store->site->waiting, &c->link);
    begin(store->site);
}

static bool good_name(struct span name)
{
    return name.n > 0 && name.n <= SITE_NAME_MAX;
}

void site_find_or_create(struct store *store, struct span user,
                         void (*done)(void *arg, int error, const struct account_id *id), void *arg)
{
    struct site_change *c = change_new(store, CHANGE_NAME, user, done, arg);
    int error = site_find(store, user, &c->id);
    if (error != ERR_NOT_FOUND) {
        c->error = error;
        store_defer(store, answer_change, c);
        return;
    }
    c->error = good_name(user) ? 0 : ERR_INVALID;
    random_bytes(c->id.b, sizeof(c->id.b));
    submit(store, c);
}

void site_forget(struct store *store, struct span user, const struct account_id *id,
                 void (*done)(void *arg, int error, const struct account_id *id), void *arg)
{
    struct site_change *c = change_new(store, CHANGE_GONE, user, done, arg);
    c->id = *id;
    submit(store, c);
}

static void submit_pair(struct store *store, struct site_change *c, struct span other, size_t max)
{
    c->other = xstrndup(other.p, other.n);
    c->other_len = other.n;
    if (!good_name(span_make(c->user, c->user_len)) || other.n == 0 || other.n > max)
        c->error = ERR_INVALID;
    submit(store, c);
}

void site_set_member(struct store *store, struct span group, struct span user, bool present,
                     void (*done)(void *arg, int error, const struct account_id *id), void *arg)
{
    enum change_kind kind = present ? CHANGE_MEMBER : CHANGE_NO_MEMBER;
    submit_pair(store, change_new(store, kind, user, done, arg), group, SITE_NAME_MAX);
}

void site_grant(struct store *store, struct span owner, struct span identifier,
                void (*done)(void *arg, int error, const struct account_id *id), void *arg)
{
    submit_pair(store, change_new(store, CHANGE_GRANT, owner, done, arg), identifier,
                IDENTIFIER_MAX);
}

/* --- groups, and who shares what --- */

static int put_groups(struct index_txn *txn, struct span user, struct buf *groups)
{
    struct span group = SPAN_EMPTY;
    int error;
    while ((error = index_pair_seek(txn, PAIR_GROUP, user, group, &group)) == 0) {
        buf_put_span(groups, group);
        buf_put_byte(groups, '\n');
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}

static bool has_line(struct span lines, struct span line)
{
    struct span one;
    while (span_split(&lines, '\n', &one))
        if (span_eq(one, line))
            return true;
    return false;
}

static int put_owners(struct index_txn *txn, struct span identifier, struct span user,
                      struct buf *owners)
{
    struct account_id id;
    struct span owner = SPAN_EMPTY;
    int error;
    while ((error = index_pair_seek(txn, PAIR_GRANT, identifier, owner, &owner)) == 0) {
        if (span_eq(owner, user) || has_line(buf_span(owners), owner) ||
            site_index_find(txn, owner, &id))
            continue;
        if (owners->n + owner.n + 1 > SITE_OWNERS_MAX)
            return 0;
        buf_put_span(owners, owner);
        buf_put_byte(owners, '\n');
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}

int site_shares(struct store *store, struct span user, struct buf *groups, struct buf *owners)
{
    struct index_txn *txn;
    struct span group;
    if (!store->site || store->site->broken)
        return ERR_CLOSED;
    int error = index_read_begin(store->site->index, &txn);
    if (error)
        return error;
    error = put_groups(txn, user, groups);
    if (error == 0)
        error = put_owners(txn, user, user, owners);
    if (error == 0)
        error = put_owners(txn, SPAN("anyone"), user, owners);
    for (struct span rest = buf_span(groups); error == 0 && span_split(&rest, '\n', &group);) {
        autobuf identifier = BUF_INIT(BUF_UNLIMITED);
        buf_put_lit(&identifier, "group:");
        buf_put_span(&identifier, group);
        error = put_owners(txn, buf_span(&identifier), user, owners);
    }
    index_read_end(txn);
    return error;
}

int site_members_each(struct store *store,
                      void (*each)(void *ctx, struct span group, struct span user), void *ctx)
{
    struct span group = SPAN_EMPTY, user = SPAN_EMPTY;
    struct index_txn *txn;
    if (!store->site || store->site->broken)
        return ERR_CLOSED;
    int error = index_read_begin(store->site->index, &txn);
    if (error)
        return error;
    while ((error = index_pair_walk(txn, PAIR_MEMBER, group, user, &group, &user)) == 0)
        each(ctx, group, user);
    index_read_end(txn);
    return error == ERR_NOT_FOUND ? 0 : error;
}

static int next_name(struct site *site, struct buf *name, bool after, struct account_id *id)
{
    struct index_txn *txn;
    struct span found;
    int error = index_read_begin(site->index, &txn);
    if (error)
        return error;
    error = site_index_seek(txn, buf_span(name), after, &found, id);
    if (error == 0) {
        autofree char *copy = xstrndup(found.p, found.n);
        buf_reset(name);
        buf_put(name, copy, found.n);
    }
    index_read_end(txn);
    return error;
}

int site_each(struct store *store,
              int (*each)(void *ctx, struct span user, const struct account_id *id), void *ctx)
{
    autobuf name = BUF_INIT(BUF_UNLIMITED);
    struct account_id id;
    int error;
    if (!store->site || store->site->broken)
        return ERR_CLOSED;
    for (bool after = false; (error = next_name(store->site, &name, after, &id)) == 0;
         after = true) {
        error = each(ctx, buf_span(&name), &id);
        if (error)
            return error;
    }
    return error == ERR_NOT_FOUND ? 0 : error;
}
