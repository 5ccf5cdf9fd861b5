/* The owner's side of accounts that other processes use: leases, and requests that come from them.
 *
 * A ghost of an expunged message stays until every reader has said that it took notice of the
 * commit and shows nothing older: a view that was begun just before the commit is told of before
 * that (remote.c). */
#include <errno.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/worknote.h"
#include "store/remote_int.h"
#include "store/request_code.h"
#include "store/upload.h"

enum { SLICE_BYTES = 256 * 1024, SLICE_MESSAGES = 64, REQUEST_MEMORY = 64 << 20 };

struct lender {
    struct store *store;
    remote_send *send;
    void *ctx;
    bool gone;
    unsigned refs;     /* requests and openings under way, and the host's */
    struct map leases; /* number -> struct lease */
};

struct lease {
    struct list link; /* account.leases */
    struct lender *lender;
    uint64_t number;
    struct account *account; /* NULL: being opened */
    bool released;           /* meanwhile */
    uint64_t acked;          /* every commit up to here has been taken notice of */
    struct buf views;        /* struct shown each */
    struct index_which which;
    bool events;        /* wants them */
    uint64_t files_for; /* the request that the files belong to */
    struct buf files;   /* int each */
};

struct shown {
    uint32_t mailbox;
    uint64_t modseq;
};

struct lender *lender_new(struct store *store, remote_send *send, void *ctx)
{
    struct lender *l = xnew(struct lender);
    l->store = store;
    l->send = send;
    l->ctx = ctx;
    l->refs = 1;
    l->leases = (struct map)MAP_INIT;
    return l;
}

static void lender_unref(struct lender *l)
{
    if (--l->refs > 0)
        return;
    map_done(&l->leases);
    free(l);
}

static void say(struct lender *l, const struct remote_packet *p)
{
    if (!l->gone)
        (void)l->send(l->ctx, p, -1);
}

/* --- leases --- */

static void files_close(struct lease *e)
{
    const int *fds = (const int *)(const void *)e->files.p;
    for (size_t i = 0; i < e->files.n / sizeof(*fds); i++)
        close(fds[i]);
    buf_reset(&e->files);
}

static void lease_free(struct lease *e)
{
    struct account *a = take_ptr(e->account);
    if (a)
        a->event_watches -= e->events;
    map_remove(&e->lender->leases, map_u64_key(&e->number));
    files_close(e);
    buf_done(&e->files);
    buf_done(&e->views);
    list_remove(&e->link);
    free(e);
    if (a) {
        views_moved(a, 0);
        account_unref(a);
    }
}

static void lease_release(struct lease *e)
{
    if (e->account)
        lease_free(e);
    else
        e->released = true;
}

static void put_which(struct buf *to, const struct index_which *w)
{
    put_u64(to, w->filesystem);
    put_u64(to, w->inode);
    put_u64(to, w->generation);
}

static int look(struct account *a, struct index_which *ret_which, uint64_t *ret_modseq)
{
    struct index *index;
    struct snap *snap;
    int error = account_hold(a, &index, NULL);
    if (error)
        return error;
    error = index_which(index, ret_which);
    account_release(a);
    if (error == 0)
        error = snap_begin(a, &snap);
    if (error)
        return error;
    *ret_modseq = snap_modseq(snap);
    snap_end(snap);
    return 0;
}

static void on_opened(void *arg, int error, struct account *a)
{
    struct lease *e = arg;
    struct lender *l = e->lender;
    struct remote_packet p = {.kind = REMOTE_OPENED, .lease = e->number};
    autobuf body = BUF_INIT(64);
    if (error == 0)
        error = look(a, &e->which, &e->acked);
    if (error && a)
        account_unref(a);
    if (error == 0) {
        e->account = a;
        list_push_back(&a->leases, &e->link);
        put_which(&body, &e->which);
        p.modseq = e->acked;
        p.body = buf_span(&body);
    }
    p.error = error;
    bool released = e->released;
    if (error || released || l->gone)
        lease_free(e);
    if (!released)
        say(l, &p);
    lender_unref(l);
}

static void on_open(struct lender *l, const struct remote_packet *p)
{
    struct account_id id;
    struct lease *e;
    if (p->body.n != sizeof(id.b) || map_get(&l->leases, map_u64_key(&p->lease))) {
        say(l, &(struct remote_packet){
                   .kind = REMOTE_OPENED, .lease = p->lease, .error = ERR_INVALID});
        return;
    }
    memcpy(id.b, p->body.p, sizeof(id.b));
    e = xnew(struct lease);
    e->lender = l;
    e->number = p->lease;
    list_init(&e->link);
    buf_init(&e->views, BUF_UNLIMITED);
    buf_init(&e->files, BUF_UNLIMITED);
    map_put(&l->leases, map_u64_key(&e->number), e);
    l->refs++;
    struct worknote_id before = worknote_enter(id.b);
    account_open(l->store, &id, on_opened, e);
    worknote_leave(before);
}

void lender_free(struct lender *l)
{
    size_t pos = 0;
    struct span key;
    void *value;
    if (!l)
        return;
    l->gone = true;
    while (map_next(&l->leases, &pos, &key, &value)) {
        struct lease *e = value;
        struct index *index;
        if (!e->account) {
            e->released = true;
            continue;
        }
        /* It may have died with a snapshot, which keeps pages from being used again. */
        if (e->account->state == ACCOUNT_AWAKE && account_hold(e->account, &index, NULL) == 0) {
            index_check_readers(index);
            account_release(e->account);
        }
        account_settle_transfers(e->account);
        lease_free(e);
        pos = 0; /* the map has changed */
    }
    lender_unref(l);
}

void leases_void(struct account *a, int error)
{
    struct lease *e;
    account_ref(a);
    while ((e = list_first(&a->leases, struct lease, link))) {
        say(e->lender,
            &(struct remote_packet){.kind = REMOTE_CLOSED, .lease = e->number, .error = error});
        lease_free(e);
    }
    account_unref(a);
}

void leases_check(struct account *a)
{
    struct index_which now;
    struct lease *e, *next;
    if (list_empty(&a->leases))
        return;
    int error = index_which(a->index, &now);
    list_each_safe(e, next, &a->leases, link)
    {
        if (error == 0 && now.filesystem == e->which.filesystem && now.inode == e->which.inode)
            continue;
        say(e->lender, &(struct remote_packet){.kind = REMOTE_CLOSED, .lease = e->number});
        lease_free(e);
    }
}

/* --- what readers show --- */

uint64_t leases_lowest(const struct account *a, uint32_t mailbox)
{
    uint64_t lowest = UINT64_MAX;
    const struct lease *e;
    list_each(e, &a->leases, link)
    {
        const struct shown *s = (const struct shown *)(const void *)e->views.p;
        lowest = MIN(lowest, e->acked);
        for (size_t i = 0; i < e->views.n / sizeof(*s); i++)
            if (s[i].mailbox == mailbox)
                lowest = MIN(lowest, s[i].modseq);
    }
    return lowest;
}

bool leases_watch(const struct account *a, uint32_t mailbox)
{
    const struct lease *e;
    list_each(e, &a->leases, link)
    {
        const struct shown *s = (const struct shown *)(const void *)e->views.p;
        for (size_t i = 0; i < e->views.n / sizeof(*s); i++)
            if (s[i].mailbox == mailbox)
                return true;
    }
    return false;
}

static void view_set(struct lease *e, uint32_t mailbox, uint64_t modseq)
{
    struct shown *s = (struct shown *)(void *)e->views.p;
    size_t n = e->views.n / sizeof(*s), i = 0;
    while (i < n && s[i].mailbox != mailbox)
        i++;
    if (modseq == UINT64_MAX) {
        if (i == n)
            return;
        s[i] = s[n - 1];
        buf_truncate(&e->views, (n - 1) * sizeof(*s));
    } else if (i == n) {
        buf_put(&e->views, &(struct shown){mailbox, modseq}, sizeof(*s));
    } else {
        s[i].modseq = modseq;
    }
}

static void on_watch(struct lease *e, const struct remote_packet *p)
{
    if (p->mailbox == REMOTE_EVENTS) {
        e->account->event_watches -= e->events;
        e->events = p->modseq != 0;
        e->account->event_watches += e->events;
        return;
    }
    if (p->mailbox == 0)
        e->acked = MAX(e->acked, p->modseq);
    else
        view_set(e, p->mailbox, p->modseq);
    views_moved(e->account, p->mailbox);
}

void leases_changed(struct account *a, const struct ranges *mailboxes, const struct events *events)
{
    struct lease *e;
    struct snap *snap;
    autobuf body = BUF_INIT(BUF_UNLIMITED);
    if (list_empty(&a->leases) || mailboxes->n == 0 || snap_begin(a, &snap))
        return;
    uint64_t modseq = snap_modseq(snap);
    snap_end(snap);
    remote_changed_put(&body, mailboxes, events);
    list_each(e, &a->leases, link) say(e->lender, &(struct remote_packet){.kind = REMOTE_CHANGED,
                                                                          .lease = e->number,
                                                                          .modseq = modseq,
                                                                          .body = buf_span(&body)});
}

/* --- requests --- */

/* A request of a reader. It outlives its lease, and the reader. */
struct lent {
    struct request r;
    struct lender *lender;
    struct account *account;
    uint64_t lease, id;
    struct arena arena;
    struct buf bytes; /* of the request, which points into them */
    struct request_part *parts;
    struct buf files; /* int each */
    size_t at;        /* the message that is being read ... */
    uint64_t off;     /* ... and how much of it has been */
};

static void lent_free(struct lent *n)
{
    const int *fds = (const int *)(const void *)n->files.p;
    struct account *a = n->account;
    for (size_t i = 0; i < n->r.message_count; i++)
        upload_free(n->r.messages[i].upload);
    for (size_t i = 0; i < n->files.n / sizeof(*fds); i++)
        close(fds[i]);
    request_result_done(&n->r);
    request_code_done(&n->r);
    buf_done(&n->files);
    buf_done(&n->bytes);
    arena_done(&n->arena);
    lender_unref(n->lender);
    free(n);
    account_unref(a);
}

static void on_done(struct request *r)
{
    struct lent *n = container_of(r, struct lent, r);
    struct lender *l = n->lender;
    struct remote_packet p = {.kind = REMOTE_RESULT, .lease = n->lease, .id = n->id};
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    if (!l->gone) {
        request_result_encode(&code, &r->result);
        (void)remote_send_long(l->send, l->ctx, &p, buf_span(&code));
    }
    lent_free(n);
}

static void fail(struct lent *n, int error)
{
    n->r.result.error = error;
    on_done(&n->r);
}

/* Up to SLICE_BYTES of the message n->at; *ret_n octets. */
static int read_piece(struct lent *n, struct buf *piece)
{
    const struct request_part *part = &n->parts[n->at];
    const int *fds = (const int *)(const void *)n->files.p;
    uint64_t left = part->size - n->off;
    size_t want = (size_t)MIN(left, (uint64_t)SLICE_BYTES);
    if (part->file >= n->files.n / sizeof(*fds))
        return ERR_INVALID;
    buf_reset(piece);
    char *room = buf_reserve(piece, want);
    ssize_t got;
    do
        got = pread(fds[part->file], room, want, (off_t)(part->offset + n->off));
    while (got < 0 && errno == EINTR);
    if (got < 0 || (got == 0 && want > 0))
        return ERR_IO;
    buf_commit(piece, (size_t)got);
    n->off += (size_t)got;
    return 0;
}

static int read_message(struct lent *n, struct buf *piece)
{
    struct append_message *m = &n->r.messages[n->at];
    if (!m->upload)
        m->upload = upload_new(n->account);
    int error = read_piece(n, piece);
    if (error == 0)
        error = upload_write(m->upload, buf_span(piece));
    if (error || n->off < n->parts[n->at].size)
        return error;
    n->at++;
    n->off = 0;
    return upload_finish(m->upload);
}

static void read_messages(void *arg)
{
    struct lent *n = arg;
    autobuf piece = BUF_INIT(BUF_UNLIMITED);
    uint64_t bytes = 0;
    for (unsigned i = 0; i < SLICE_MESSAGES && bytes < SLICE_BYTES; i++) {
        if (n->at == n->r.message_count) {
            account_submit(n->account, &n->r);
            return;
        }
        int error = read_message(n, &piece);
        if (error) {
            fail(n, error);
            return;
        }
        bytes += piece.n;
    }
    store_defer(n->lender->store, read_messages, n);
}

static void refuse(struct lender *l, const struct remote_packet *request, int error)
{
    struct remote_packet p = {.kind = REMOTE_RESULT, .lease = request->lease, .id = request->id};
    struct request_result result = {.error = error};
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    request_result_encode(&code, &result);
    p.body = buf_span(&code);
    say(l, &p);
}

static void on_request(struct lease *e, const struct remote_packet *p, int fd)
{
    struct lender *l = e->lender;
    struct lent *n = xnew(struct lent);
    struct span code;
    n->lender = l;
    l->refs++;
    n->account = account_ref(e->account);
    n->lease = e->number;
    n->id = p->id;
    arena_init(&n->arena, REQUEST_MEMORY);
    buf_init(&n->bytes, BUF_UNLIMITED);
    buf_init(&n->files, BUF_UNLIMITED);
    request_init(&n->r, REQUEST_STORE, on_done, NULL);
    if (e->files_for == p->id) {
        buf_put_span(&n->files, buf_span(&e->files));
        buf_reset(&e->files);
    }
    files_close(e);
    int error = remote_body(p, fd, &n->bytes, &code);
    if (error == 0 && fd < 0) { /* the packet goes */
        buf_put_span(&n->bytes, code);
        code = buf_span(&n->bytes);
    }
    if (error == 0)
        error = request_decode(code, &n->arena, &n->r, &n->parts);
    if (error)
        fail(n, error);
    else
        read_messages(n);
}

static void on_file(struct lease *e, const struct remote_packet *p, int fd)
{
    if (e->files_for != p->id)
        files_close(e);
    e->files_for = p->id;
    if (fd >= 0 && e->files.n / sizeof(fd) < REMOTE_FILES_MAX)
        buf_put(&e->files, &fd, sizeof(fd));
    else if (fd >= 0)
        close(fd);
}

static void on_leased(struct lease *e, const struct remote_packet *p, int fd)
{
    struct account *a = account_ref(e->account);
    struct worknote_id before = worknote_enter(a->id.b);
    uint32_t lo;
    switch (p->kind) {
    case REMOTE_FILE:
        on_file(e, p, take_fd(&fd));
        break;
    case REMOTE_REQUEST:
        on_request(e, p, take_fd(&fd));
        break;
    case REMOTE_WATCH:
        on_watch(e, p);
        break;
    case REMOTE_RECENT:
        if (p->id < UINT32_MAX)
            (void)!account_claim_recent(a, p->mailbox, (uint32_t)p->id + 1, &lo);
        break;
    default:
        break;
    }
    worknote_leave(before);
    account_unref(a);
    if (fd >= 0)
        close(fd);
}

void lender_packet(struct lender *l, const struct remote_packet *p, int fd)
{
    struct lease *e = map_get(&l->leases, map_u64_key(&p->lease));
    if (p->kind == REMOTE_OPEN) {
        on_open(l, p);
    } else if (p->kind == REMOTE_RELEASE) {
        if (e)
            lease_release(e);
    } else if (e && e->account) {
        on_leased(e, p, take_fd(&fd));
    } else if (p->kind == REMOTE_REQUEST) {
        refuse(l, p, ERR_CLOSED);
    }
    if (fd >= 0)
        close(fd);
}
