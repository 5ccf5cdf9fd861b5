/* The reader's side of accounts of other processes. */
#include "store/remote.h"

#include "base/bytes.h"
#include "base/logline.h"
#include "log/log.h"
#include "store/remote_int.h"
#include "store/request_code.h"
#include "store/upload_int.h"

enum { GIVE_UP_TICKS = 2 }; /* then those who wait for the owner are told */

struct remote_owner {
    struct store *store;
    remote_send *send;
    void *ctx;
    bool connected;
    uint64_t next_lease, next_request;
    struct map leases;   /* number -> struct remote */
    struct map requests; /* id -> struct asked */
};

/* What a reader has of an account. */
struct remote {
    struct list link; /* store.remotes */
    struct account *account;
    struct remote_owner *owner;
    uint64_t lease; /* 0: none */
    bool opened;    /* the owner has granted it */
    struct index_which which;
    struct buf views; /* struct told each, of mailboxes that are shown */
    bool views_dirty;
    bool events;    /* the owner has been told that they are wanted */
    unsigned ticks; /* waiting for the owner */
};

struct told {
    uint32_t mailbox;
    uint64_t modseq, now;
};

/* A request that the owner has. */
struct asked {
    uint64_t id;
    struct account *account;
    struct request *r;
};

struct remote_owner *remote_owner_new(struct store *store, remote_send *send, void *ctx)
{
    struct remote_owner *o = xnew(struct remote_owner);
    o->store = store;
    o->send = send;
    o->ctx = ctx;
    o->leases = o->requests = (struct map)MAP_INIT;
    return o;
}

void remote_owner_free(struct remote_owner *o)
{
    if (!o)
        return;
    map_done(&o->leases);
    map_done(&o->requests);
    free(o);
}

bool account_is_remote(const struct account *account)
{
    return account->remote != NULL;
}

/* --- leases --- */

static void lease_end(struct remote *r, bool tell)
{
    struct remote_owner *o = r->owner;
    if (r->lease == 0)
        return;
    if (tell && o->connected)
        (void)o->send(o->ctx, &(struct remote_packet){.kind = REMOTE_RELEASE, .lease = r->lease},
                      -1);
    map_remove(&o->leases, map_u64_key(&r->lease));
    r->lease = 0;
    r->opened = false;
    r->events = false;
    buf_reset(&r->views);
}

void remote_connect(struct account *a)
{
    struct remote *r = a->remote;
    struct remote_owner *o = r->owner;
    lease_end(r, true);
    a->state = ACCOUNT_OPENING;
    if (!o->connected)
        return;
    r->lease = ++o->next_lease;
    map_put(&o->leases, map_u64_key(&r->lease), r);
    (void)o->send(o->ctx,
                  &(struct remote_packet){.kind = REMOTE_OPEN,
                                          .lease = r->lease,
                                          .body = span_make(a->id.b, sizeof(a->id.b))},
                  -1);
}

void account_open_remote(struct store *store, struct remote_owner *owner,
                         const struct account_id *id,
                         void (*done)(void *arg, int error, struct account *account), void *arg)
{
    struct account *a = account_find_or_make(store, id);
    if (!a->remote && a->state == ACCOUNT_FAILED) {
        a->remote = xnew(struct remote);
        a->remote->account = a;
        a->remote->owner = owner;
        buf_init(&a->remote->views, BUF_UNLIMITED);
        list_init(&a->remote->link);
        list_push_back(&store->remotes, &a->remote->link);
    }
    if (a->remote)
        a->remote->ticks = 0;
    account_open(store, id, done, arg);
}

int remote_open_files(struct account *a, struct index **ret_index, struct log **ret_log,
                      struct err *err)
{
    struct log_options options = {.fs = a->store->fs};
    autobuf log_dir = BUF_INIT(BUF_UNLIMITED), index_dir = BUF_INIT(BUF_UNLIMITED);
    store_account_path(a->store, &a->id, "/log", &log_dir);
    store_account_path(a->store, &a->id, "/index", &index_dir);
    if (!a->remote->opened)
        return err_set(err, ERR_CLOSED, "its owner has not opened it");
    int error = index_open_reader(index_dir.p, &a->remote->which, ret_index, err);
    if (error == 0)
        *ret_log = log_reader_open(&options, log_dir.p);
    return error;
}

void remote_detach(struct account *a)
{
    struct remote *r = a->remote;
    lease_end(r, true);
    list_remove(&r->link);
    buf_done(&r->views);
    free(r);
    a->remote = NULL;
}

static bool which_read(struct span body, struct index_which *ret)
{
    struct reader rd = reader_make(body);
    ret->filesystem = read_u64(&rd);
    ret->inode = read_u64(&rd);
    ret->generation = read_u64(&rd);
    return !rd.bad && reader_left(&rd) == 0;
}

static void on_opened(struct remote *r, const struct remote_packet *p)
{
    struct account *a = r->account;
    int error = p->error;
    if (a->state != ACCOUNT_OPENING || r->opened)
        return;
    if (error == 0 && !which_read(p->body, &r->which))
        error = ERR_INVALID;
    if (error)
        lease_end(r, false);
    r->opened = error == 0;
    account_remote_opened(a, error);
}

/* --- views --- */

static void view_note(struct remote *r, uint32_t mailbox, uint64_t modseq)
{
    struct told *t = (struct told *)(void *)r->views.p;
    for (size_t i = 0; i < r->views.n / sizeof(*t); i++)
        if (t[i].mailbox == mailbox) {
            t[i].now = MIN(t[i].now, modseq);
            return;
        }
    buf_put(&r->views, &(struct told){mailbox, UINT64_MAX, modseq}, sizeof(*t));
}

static void tell_view(struct remote *r, uint32_t mailbox, uint64_t modseq)
{
    (void)r->owner->send(
        r->owner->ctx,
        &(struct remote_packet){
            .kind = REMOTE_WATCH, .lease = r->lease, .mailbox = mailbox, .modseq = modseq},
        -1);
}

static void views_tell(struct account *a)
{
    struct remote *r = a->remote;
    struct watch *w;
    size_t kept = 0;
    if (!r->opened || !r->owner->connected)
        return;
    if (r->events != (a->event_watches > 0)) {
        r->events = !r->events;
        tell_view(r, REMOTE_EVENTS, r->events);
    }
    struct told *t = (struct told *)(void *)r->views.p;
    for (size_t i = 0; i < r->views.n / sizeof(*t); i++)
        t[i].now = UINT64_MAX;
    list_each(w, &a->watches, link) if (w->mailbox) view_note(r, w->mailbox, w->view_modseq);
    t = (struct told *)(void *)r->views.p;
    for (size_t i = 0; i < r->views.n / sizeof(*t); i++) {
        if (t[i].now != t[i].modseq)
            tell_view(r, t[i].mailbox, t[i].now);
        t[i].modseq = t[i].now;
        if (t[i].now != UINT64_MAX)
            t[kept++] = t[i];
    }
    if (r->views.n)
        buf_truncate(&r->views, kept * sizeof(*t));
}

static void views_later(void *arg)
{
    struct account *a = arg;
    if (a->remote) {
        a->remote->views_dirty = false;
        views_tell(a);
    }
    account_unref(a);
}

void remote_views_moved(struct account *a)
{
    if (a->remote->views_dirty || !a->remote->opened || a->store->closing)
        return;
    a->remote->views_dirty = true;
    store_defer(a->store, views_later, account_ref(a));
}

/* Every view of the index as it was before this commit has been told by now: views are begun and
 * told of within one turn of the loop. */
static void on_changed(struct remote *r, const struct remote_packet *p)
{
    struct account *a = account_ref(r->account);
    autoranges mailboxes = RANGES_INIT;
    struct events events;
    events_init(&events);
    if (remote_changed_get(p->body, &mailboxes, &events))
        watches_notify(a, &mailboxes, &events);
    events_done(&events);
    if (a->remote->lease == p->lease) {
        views_tell(a);
        tell_view(a->remote, 0, p->modseq);
    }
    account_unref(a);
}

void remote_claim_recent(struct account *a, uint32_t mailbox, uint32_t uid)
{
    struct remote *r = a->remote;
    if (r->opened && r->owner->connected)
        (void)r->owner->send(
            r->owner->ctx,
            &(struct remote_packet){
                .kind = REMOTE_RECENT, .lease = r->lease, .mailbox = mailbox, .id = uid},
            -1);
}

/* --- requests --- */

/* The bytes of messages that are in memory go together in one file, the others have their own. */
static int send_files(struct remote *r, uint64_t id, const struct request *q,
                      struct request_part *parts)
{
    struct remote_owner *o = r->owner;
    struct remote_packet p = {.kind = REMOTE_FILE, .lease = r->lease, .id = id};
    uint32_t files = 1;
    uint64_t end = 0;
    int fd = remote_file_memory(), error = fd < 0 ? fd : 0;
    for (size_t i = 0; i < q->message_count && error == 0; i++) {
        const struct upload *u = q->messages[i].upload;
        if (!u || !upload_ready(u)) {
            error = ERR_INVALID;
        } else if (upload_spool(u) < 0) {
            parts[i] = (struct request_part){0, end, upload_size(u)};
            end += upload_size(u);
            error = remote_file_write(fd, upload_bytes(u));
        } else if (files == REMOTE_FILES_MAX) {
            error = ERR_LIMIT;
        } else {
            parts[i] = (struct request_part){files++, 0, upload_size(u)};
        }
    }
    if (error) {
        if (fd >= 0)
            close(fd);
        return error;
    }
    error = o->send(o->ctx, &p, fd);
    for (size_t i = 0; i < q->message_count && error == 0; i++)
        if (parts[i].file > 0) {
            fd = dup(upload_spool(q->messages[i].upload));
            error = fd < 0 ? ERR_IO : o->send(o->ctx, &p, fd);
        }
    return error;
}

static int send_request(struct remote *r, uint64_t id, const struct request *q)
{
    struct remote_owner *o = r->owner;
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    autofree struct request_part *parts =
        q->message_count ? xcalloc(q->message_count, sizeof(*parts)) : NULL;
    int error = q->message_count ? send_files(r, id, q, parts) : 0;
    if (error)
        return error;
    struct remote_packet p = {.kind = REMOTE_REQUEST, .lease = r->lease, .id = id};
    request_encode(&code, q, parts);
    return remote_send_long(o->send, o->ctx, &p, buf_span(&code));
}

struct refusal {
    struct request *r;
    int error;
};

static void refuse_now(void *arg)
{
    autofree struct refusal *refusal = arg;
    refusal->r->result.error = refusal->error;
    refusal->r->done(refusal->r);
}

void remote_submit(struct account *a, struct request *q)
{
    struct remote *r = a->remote;
    int error = ERR_CLOSED;
    if (r->opened && r->owner->connected && !a->store->closing) {
        uint64_t id = ++r->owner->next_request;
        error = send_request(r, id, q);
        if (error == 0) {
            struct asked *asked = xnew(struct asked);
            *asked = (struct asked){id, account_ref(a), q};
            map_put(&r->owner->requests, map_u64_key(&asked->id), asked);
            return;
        }
    }
    struct refusal *refusal = xnew(struct refusal);
    *refusal = (struct refusal){q, error};
    store_defer(a->store, refuse_now, refusal);
}

static void answer(struct remote_owner *o, struct asked *asked)
{
    struct account *a = asked->account;
    struct request *q = asked->r;
    map_remove(&o->requests, map_u64_key(&asked->id));
    free(asked);
    if (q->kind == REQUEST_APPEND && q->result.error == 0 && !q->result.duplicate)
        for (size_t i = 0; i < q->message_count; i++)
            upload_free(take_ptr(q->messages[i].upload));
    q->done(q);
    account_unref(a);
}

static void on_result(struct remote_owner *o, const struct remote_packet *p, int fd)
{
    struct asked *asked = map_get(&o->requests, map_u64_key(&p->id));
    autobuf bytes = BUF_INIT(BUF_UNLIMITED);
    struct span code;
    int error = remote_body(p, fd, &bytes, &code);
    if (!asked)
        return;
    if (error == 0)
        error = request_result_decode(code, &asked->r->result);
    if (error)
        asked->r->result.error = ERR_UNKNOWN;
    answer(o, asked);
}

static void requests_lost(struct remote_owner *o)
{
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&o->requests, &pos, &key, &value)) {
        struct asked *asked = value;
        asked->r->result.error = ERR_UNKNOWN;
        answer(o, asked);
        pos = 0; /* the map has changed */
    }
}

/* --- the owner --- */

/* Calls each(r, arg) for all; it may free any of them. */
static void remotes_each(struct store *store, void (*each)(struct remote *r, void *arg), void *arg)
{
    struct list walk;
    struct remote *r;
    list_init(&walk);
    list_insert_between(&walk, store->remotes.prev, &store->remotes);
    list_remove(&store->remotes);
    while ((r = list_first(&walk, struct remote, link))) {
        list_remove(&r->link);
        list_push_back(&store->remotes, &r->link);
        each(r, arg);
    }
}

/* The account is closed; it opens again at once if somebody uses it. */
static void closed(struct remote *r, bool again)
{
    struct account *a = account_ref(r->account);
    bool opening = a->state == ACCOUNT_OPENING;
    lease_end(r, false);
    if (!opening)
        account_remote_closed(a);
    if (opening || (again && a->refs > 1))
        remote_connect(a);
    account_unref(a);
}

static void on_lost(struct remote *r, void *arg)
{
    if (r->owner == arg)
        closed(r, true);
}

void remote_owner_lost(struct remote_owner *o)
{
    if (!o->connected)
        return;
    o->connected = false;
    remotes_each(o->store, on_lost, o);
    requests_lost(o);
}

static void on_connected(struct remote *r, void *arg)
{
    if (r->owner == arg && r->account->state == ACCOUNT_OPENING)
        remote_connect(r->account);
}

void remote_owner_connected(struct remote_owner *o)
{
    remote_owner_lost(o);
    o->connected = true;
    remotes_each(o->store, on_connected, o);
}

void remote_owner_packet(struct remote_owner *o, const struct remote_packet *p, int fd)
{
    if (p->kind == REMOTE_RESULT) {
        on_result(o, p, fd);
        return;
    }
    struct remote *r = map_get(&o->leases, map_u64_key(&p->lease));
    if (fd >= 0)
        close(fd);
    if (!r)
        return;
    if (p->kind == REMOTE_OPENED)
        on_opened(r, p);
    else if (p->kind == REMOTE_CHANGED && r->opened)
        on_changed(r, p);
    else if (p->kind == REMOTE_CLOSED)
        closed(r, p->error == 0);
}

static void tick(struct remote *r, void *arg)
{
    struct account *a = r->account;
    (void)arg;
    if (a->state == ACCOUNT_FAILED && a->refs > 0) {
        r->ticks = 0;
        remote_connect(a);
    } else if (a->state == ACCOUNT_OPENING && ++r->ticks >= GIVE_UP_TICKS) {
        r->ticks = 0;
        lease_end(r, true);
        account_remote_opened(a, ERR_BUSY);
    }
}

void remotes_tick(struct store *store)
{
    remotes_each(store, tick, NULL);
}

static void end(struct remote *r, void *arg)
{
    (void)arg;
    requests_lost(r->owner);
}

void remotes_end(struct store *store)
{
    remotes_each(store, end, NULL);
}
