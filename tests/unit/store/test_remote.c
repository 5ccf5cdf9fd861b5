/* An account that another process owns: this process reads and asks, a child owns and writes. */
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "fixture.h"
#include "io/fdpass.h"
#include "store/maintain.h"
#include "store/remote.h"

/* --- packets through a socket --- */

static int put_packet(int sock, const struct remote_packet *p, int fd)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    put_u32(&b, p->kind);
    put_u64(&b, p->lease);
    put_u64(&b, p->id);
    put_u64(&b, p->modseq);
    put_u32(&b, p->mailbox);
    put_u32(&b, (uint32_t)p->error);
    put_blob(&b, p->body);
    int error;
    while ((error = fdpass_send(sock, buf_span(&b), fd)) == ERR_AGAIN)
        poll(&(struct pollfd){.fd = sock, .events = POLLOUT}, 1, 10);
    if (fd >= 0)
        close(fd);
    return error;
}

static int send_packet(void *ctx, const struct remote_packet *p, int fd)
{
    return put_packet(*(int *)ctx, p, fd);
}

static int get_packet(int sock, char *room, size_t cap, struct remote_packet *ret, int *ret_fd)
{
    size_t n;
    int error = fdpass_recv(sock, room, cap, &n, ret_fd);
    if (error)
        return error;
    struct reader r = reader_make(span_make(room, n));
    ret->kind = (enum remote_kind)read_u32(&r);
    ret->lease = read_u64(&r);
    ret->id = read_u64(&r);
    ret->modseq = read_u64(&r);
    ret->mailbox = read_u32(&r);
    ret->error = (int32_t)read_u32(&r);
    ret->body = read_blob(&r);
    return r.bad ? ERR_INVALID : 0;
}

/* What the parent tells the child beside the protocol. */
#define TELL_ID      ((enum remote_kind)1000)
#define TELL_REBUILD ((enum remote_kind)1001)
#define TELL_SLEEP   ((enum remote_kind)1002)

/* --- the owner --- */

static void finished(struct maintenance *m, int error, const char *text)
{
    (void)m;
    (void)text;
    if (error)
        _exit(3);
}

static void own(const char *dir, int sock)
{
    static char room[64 * 1024];
    static struct maintenance m;
    struct fixture f = {0};
    memcpy(f.dir, dir, strlen(dir));
    fixture_open(&f);
    struct lender *l = lender_new(f.store, send_packet, &sock);
    put_packet(sock,
               &(struct remote_packet){.kind = TELL_ID, .body = span_make(f.id.b, sizeof(f.id.b))},
               -1);
    for (;;) {
        struct remote_packet p;
        int fd = -1, error = get_packet(sock, room, sizeof(room), &p, &fd);
        if (error == ERR_CLOSED)
            break;
        if (error == ERR_AGAIN) {
            manual_host_run(&f.host);
            poll(&(struct pollfd){.fd = sock, .events = POLLIN}, 1, 1000);
        } else if (p.kind == TELL_REBUILD) {
            m = (struct maintenance){.finished = finished};
            account_rebuild(f.account, &m);
        } else if (p.kind == TELL_SLEEP) {
            for (int i = 0; i < 5; i++)
                store_tick(f.store);
        } else {
            lender_packet(l, &p, fd);
        }
    }
    lender_free(l);
    manual_host_run(&f.host);
    fixture_close(&f);
    _exit(0);
}

/* --- the reader --- */

struct world {
    struct fixture f; /* the reader's store, and its account */
    int sock;
    pid_t owner;
    struct remote_owner *remote;
    bool told;
    int opened; /* 0: not yet; 1; or the error */
};

static void start_owner(struct world *w)
{
    int fds[2];
    assert_int_equal(fdpass_pair_packet(fds, NULL), 0);
    w->owner = fork();
    if (w->owner == 0) {
        close(fds[0]);
        own(w->f.dir, fds[1]);
    }
    close(fds[1]);
    w->sock = fds[0];
}

/* One turn of this process's loop; ERR_CLOSED: the owner is gone. */
static int turn(struct world *w)
{
    static char room[64 * 1024];
    struct remote_packet p;
    int fd = -1;
    manual_host_run(&w->f.host);
    int error = get_packet(w->sock, room, sizeof(room), &p, &fd);
    if (error == ERR_AGAIN) {
        poll(&(struct pollfd){.fd = w->sock, .events = POLLIN}, 1, 20);
        return 0;
    }
    if (error)
        return error;
    if (p.kind == TELL_ID) {
        memcpy(w->f.id.b, p.body.p, sizeof(w->f.id.b));
        w->told = true;
    } else {
        remote_owner_packet(w->remote, &p, fd);
    }
    manual_host_run(&w->f.host);
    return 0;
}

#define UNTIL(w, condition)                                                                        \
    do {                                                                                           \
        for (int turns = 0; !(condition); turns++) {                                               \
            assert_true(turns < 1000);                                                             \
            assert_int_equal(turn(w), 0);                                                          \
        }                                                                                          \
    } while (0)

static void opened(void *arg, int error, struct account *account)
{
    struct world *w = arg;
    w->opened = error ? error : 1;
    w->f.account = account;
}

static void open_account(struct world *w)
{
    w->opened = 0;
    account_open_remote(w->f.store, w->remote, &w->f.id, opened, w);
    UNTIL(w, w->opened);
}

static int setup(void **state)
{
    struct world *w = xnew(struct world);
    struct store_options options = {.dir = w->f.dir};
    memcpy(w->f.dir, "/tmp/martlet-remote-XXXXXX", 27);
    assert_non_null(mkdtemp(w->f.dir));
    start_owner(w);
    manual_host_init(&w->f.host);
    assert_int_equal(store_new(&options, &w->f.host.host, &w->f.store, NULL), 0);
    w->remote = remote_owner_new(w->f.store, send_packet, &w->sock);
    remote_owner_connected(w->remote);
    UNTIL(w, w->told);
    open_account(w);
    assert_int_equal(w->opened, 1);
    assert_true(account_is_remote(w->f.account));
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    int status;
    account_unref(w->f.account);
    remote_owner_lost(w->remote);
    store_free(w->f.store);
    remote_owner_free(w->remote);
    manual_host_done(&w->f.host);
    close(w->sock);
    assert_int_equal(waitpid(w->owner, &status, 0), w->owner);
    assert_int_equal(status, 0);
    fixture_remove(&w->f);
    free(w);
    return 0;
}

static void ask_remote(struct world *w, struct asked *a)
{
    account_submit(w->f.account, &a->r);
    UNTIL(w, a->answered);
}

static uint32_t append(struct world *w, const char *text, const char *keywords)
{
    struct asked *a = ask_append(&w->f, "INBOX", text, FLAG_SEEN, keywords);
    ask_remote(w, a);
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.count, 1);
    assert_null(a->messages[0].upload);
    uint32_t uid = a->r.result.first_uid;
    asked_free(a);
    return uid;
}

static void read_message(struct world *w, uint32_t uid, struct buf *to)
{
    struct snap *snap;
    struct mailbox_info info;
    struct row row;
    struct message_location where;
    assert_int_equal(snap_begin(w->f.account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, SPAN("INBOX"), &info), 0);
    assert_int_equal(snap_row(snap, info.id, uid, &row), 0);
    assert_int_equal(snap_message(snap, row.message_id, &where), 0);
    snap_end(snap);
    assert_int_equal(account_read(w->f.account, &where, 0, SIZE_MAX, to), 0);
}

static void appended_and_read(void **state)
{
    struct world *w = *state;
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    uint32_t uid = append(w, "Subject: one\r\n\r\nhello\r\n", "$Forwarded");
    read_message(w, uid, &got);
    assert_true(span_eq(buf_span(&got), SPAN("Subject: one\r\n\r\nhello\r\n")));
    struct snap *snap;
    struct row row;
    struct span derived;
    assert_int_equal(snap_begin(w->f.account, &snap), 0);
    assert_int_equal(snap_row(snap, 1, uid, &row), 0);
    assert_int_equal(row.flags, FLAG_SEEN);
    assert_int_equal(snap_derived(snap, row.message_id, &derived), 0); /* the owner parsed it */
    snap_end(snap);
}

/* Beyond what is kept in memory, and beyond what fits a packet. */
static void large_ones(void **state)
{
    struct world *w = *state;
    autobuf text = BUF_INIT(BUF_UNLIMITED), got = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&text, "Subject: large\r\n\r\n");
    while (text.n < 5 << 20)
        buf_printf(&text, "line %zu\r\n", text.n);
    uint32_t uid = append(w, text.p, "");
    read_message(w, uid, &got);
    assert_true(span_eq(buf_span(&got), buf_span(&text)));
    struct asked *a = ask_store(1, "1", STORE_ADD, FLAG_FLAGGED, "");
    for (uint32_t i = 1; i < 50000; i++) /* a request of more than a packet, and such a result */
        ranges_add(&a->r.uids, 2 * i + 1000, 2 * i + 1000);
    ask_remote(w, a);
    assert_int_equal(a->r.result.error, 0);
    assert_true(ranges_count(&a->r.result.missing) >= 49999);
    assert_true(ranges_has(&a->r.result.uids, 1));
    asked_free(a);
}

static void errors_come_back(void **state)
{
    struct world *w = *state;
    struct asked *a = ask_append(&w->f, "Missing", "x", 0, "");
    ask_remote(w, a);
    assert_int_equal(a->r.result.error, ERR_NOT_FOUND);
    assert_non_null(a->messages[0].upload); /* still the requester's */
    asked_free(a);
    a = ask_name(REQUEST_CREATE, "A/B", "");
    ask_remote(w, a);
    assert_int_equal(a->r.result.error, 0);
    asked_free(a);
    a = ask_name(REQUEST_CREATE, "A/B", "");
    ask_remote(w, a);
    assert_int_equal(a->r.result.error, ERR_EXISTS);
    asked_free(a);
    a = ask_append(&w->f, "A/B", "x", 0, "");
    a->r.delivery_id = (const unsigned char *)"0123456789abcdef";
    a->r.delivery_window = 60;
    ask_remote(w, a);
    assert_int_equal(a->r.result.error, 0);
    asked_free(a);
    a = ask_append(&w->f, "A/B", "x", 0, "");
    a->r.delivery_id = (const unsigned char *)"0123456789abcdef";
    a->r.delivery_window = 60;
    ask_remote(w, a);
    assert_true(a->r.result.duplicate);
    assert_non_null(a->messages[0].upload);
    asked_free(a);
}

/* --- watches and ghosts --- */

struct seen {
    struct watch w;
    int changes;
};

static void changed(struct watch *w)
{
    container_of(w, struct seen, w)->changes++;
}

static int ghost(struct world *w, uint32_t uid)
{
    struct snap *snap;
    struct row row;
    assert_int_equal(snap_begin(w->f.account, &snap), 0);
    int error = snap_ghost(snap, 1, uid, &row);
    snap_end(snap);
    return error;
}

static uint64_t modseq(struct world *w)
{
    struct snap *snap;
    assert_int_equal(snap_begin(w->f.account, &snap), 0);
    uint64_t m = snap_modseq(snap);
    snap_end(snap);
    return m;
}

static void expunge(struct world *w, uint32_t uid)
{
    char text[16];
    snprintf(text, sizeof(text), "%u", uid);
    struct asked *a = ask_store(1, text, STORE_ADD, FLAG_DELETED, "");
    ask_remote(w, a);
    asked_free(a);
    a = ask_uids(REQUEST_EXPUNGE, 1, text, "");
    ask_remote(w, a);
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.count, 1);
    asked_free(a);
}

static void ghosts_stay_while_shown(void **state)
{
    struct world *w = *state;
    struct seen seen = {0};
    uint32_t one = append(w, "one", ""), two = append(w, "two", ""), three = append(w, "three", "");
    watch_add(&seen.w, w->f.account, 1, modseq(w), changed);
    expunge(w, one);
    UNTIL(w, seen.changes >= 2);
    assert_int_equal(ghost(w, one), 0);
    expunge(w, two);
    append(w, "another batch, which could sweep", "");
    assert_int_equal(ghost(w, one), 0);
    assert_int_equal(ghost(w, two), 0);
    watch_set_view(&seen.w, modseq(w));
    UNTIL(w, ghost(w, one) == ERR_NOT_FOUND && ghost(w, two) == ERR_NOT_FOUND);
    expunge(w, three);
    assert_int_equal(ghost(w, three), 0);
    watch_remove(&seen.w);
    UNTIL(w, ghost(w, three) == ERR_NOT_FOUND);
}

/* So that an answer to the client already tells what it did itself. */
static void changes_come_before_answers(void **state)
{
    struct world *w = *state;
    struct seen seen = {0};
    watch_add(&seen.w, w->f.account, 1, modseq(w), changed);
    for (int i = 1; i <= 5; i++) {
        append(w, "x", "");
        assert_int_equal(seen.changes, i);
    }
    watch_remove(&seen.w);
}

/* A view that was begun before the commit was heard of finds its ghosts. */
static void ghosts_wait_for_the_reader(void **state)
{
    struct world *w = *state;
    struct seen seen = {0};
    uint32_t uid = append(w, "one", "");
    uint64_t before = modseq(w);
    struct asked *a = ask_store(1, "1", STORE_ADD, FLAG_DELETED, "");
    struct asked *b = ask_uids(REQUEST_EXPUNGE, 1, "1", "");
    account_submit(w->f.account, &a->r);
    account_submit(w->f.account, &b->r);
    for (int i = 0; i < 200; i++) { /* until it is done there; nothing is read here */
        if (ghost(w, uid) == 0)
            break;
        usleep(5000);
    }
    usleep(50000);
    assert_int_equal(ghost(w, uid), 0);
    watch_add(&seen.w, w->f.account, 1, before, changed);
    UNTIL(w, a->answered && b->answered);
    append(w, "a batch that could sweep", "");
    assert_int_equal(ghost(w, uid), 0);
    watch_remove(&seen.w);
    UNTIL(w, ghost(w, uid) == ERR_NOT_FOUND);
    asked_free(a);
    asked_free(b);
}

/* --- events --- */

struct heard {
    struct watch w;
    size_t created, messages;
};

static void on_events(struct watch *w, const struct events *events)
{
    struct heard *h = container_of(w, struct heard, w);
    for (size_t i = 0; i < events_count(events); i++) {
        const struct event *e = events_at(events, i);
        h->created += e->kinds == EVENT_CREATED && span_eq(e->name, SPAN("Made")) && e->origin == 9;
        h->messages += e->kinds == EVENT_NEW && e->mailbox == 1;
    }
}

static void events_arrive(void **state)
{
    struct world *w = *state;
    struct heard h = {0};
    watch_add(&h.w, w->f.account, 0, 0, NULL);
    watch_events(&h.w, on_events);
    manual_host_run(&w->f.host);
    struct asked *a = ask_name(REQUEST_CREATE, "Made", "");
    a->r.origin = 9;
    ask_remote(w, a);
    asked_free(a);
    append(w, "x", "");
    UNTIL(w, h.created == 1 && h.messages == 1);
    watch_remove(&h.w);
}

/* --- ends --- */

static void kill_owner(struct world *w)
{
    int status;
    kill(w->owner, SIGKILL);
    assert_int_equal(waitpid(w->owner, &status, 0), w->owner);
    close(w->sock);
    remote_owner_lost(w->remote);
    manual_host_run(&w->f.host);
}

static void owner_is_killed(void **state)
{
    struct world *w = *state;
    struct seen seen = {0};
    struct snap *snap;
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    uint32_t uid = append(w, "kept", "");
    watch_add(&seen.w, w->f.account, 1, modseq(w), changed);
    kill(w->owner, SIGSTOP);
    struct asked *a = ask_append(&w->f, "INBOX", "perhaps", 0, "");
    account_submit(w->f.account, &a->r);
    manual_host_run(&w->f.host);
    kill_owner(w);
    assert_true(a->answered);
    assert_int_equal(a->r.result.error, ERR_UNKNOWN);
    asked_free(a);
    assert_int_equal(snap_begin(w->f.account, &snap), ERR_CLOSED);
    a = ask_append(&w->f, "INBOX", "no", 0, "");
    account_submit(w->f.account, &a->r);
    manual_host_run(&w->f.host);
    assert_true(a->answered);
    assert_int_equal(a->r.result.error, ERR_CLOSED);
    asked_free(a);
    int changes = seen.changes;
    start_owner(w);
    remote_owner_connected(w->remote); /* its packet waits until it is there */
    UNTIL(w, seen.changes > changes);
    read_message(w, uid, &got);
    assert_true(span_eq(buf_span(&got), SPAN("kept")));
    append(w, "again", "");
    watch_remove(&seen.w);
}

/* What the owner had to say has been heard. */
static bool quiet(struct world *w)
{
    for (int i = 0; i < 5; i++)
        if (poll(&(struct pollfd){.fd = w->sock, .events = POLLIN}, 1, 20) > 0)
            return false;
    return true;
}

static void index_is_made_anew(void **state)
{
    struct world *w = *state;
    struct seen seen = {0};
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    uint32_t uid = append(w, "kept", "");
    watch_add(&seen.w, w->f.account, 1, modseq(w), changed);
    UNTIL(w, quiet(w));
    int changes = seen.changes;
    put_packet(w->sock, &(struct remote_packet){.kind = TELL_REBUILD}, -1);
    UNTIL(w, seen.changes > changes);
    read_message(w, uid, &got);
    assert_true(span_eq(buf_span(&got), SPAN("kept")));
    uint32_t next = append(w, "next", "");
    assert_true(next > uid);
    buf_reset(&got);
    read_message(w, next, &got);
    assert_true(span_eq(buf_span(&got), SPAN("next")));
    watch_remove(&seen.w);
}

/* Both sides close their files when nobody has used them for a while, and come back. */
static void asleep(void **state)
{
    struct world *w = *state;
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    uint32_t uid = append(w, "kept", "");
    for (int i = 0; i < 5; i++)
        store_tick(w->f.store);
    put_packet(w->sock, &(struct remote_packet){.kind = TELL_SLEEP}, -1);
    read_message(w, uid, &got);
    assert_true(span_eq(buf_span(&got), SPAN("kept")));
    append(w, "more", "");
    for (int i = 0; i < 5; i++)
        store_tick(w->f.store);
    append(w, "more", "");
    account_unref(take_ptr(w->f.account)); /* the last user: it is given back */
    for (int i = 0; i < 5; i++)
        store_tick(w->f.store);
    open_account(w);
    assert_int_equal(w->opened, 1);
    append(w, "more", "");
}

static void nobody_there(void **state)
{
    struct world *w = *state;
    account_unref(take_ptr(w->f.account));
    kill_owner(w);
    w->opened = 0;
    account_open_remote(w->f.store, w->remote, &w->f.id, opened, w);
    for (int i = 0; i < 10 && !w->opened; i++) {
        store_tick(w->f.store);
        manual_host_run(&w->f.host);
    }
    assert_int_equal(w->opened, ERR_BUSY);
    start_owner(w);
    remote_owner_connected(w->remote);
    open_account(w);
    assert_int_equal(w->opened, 1);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appended_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(large_ones, setup, teardown),
        cmocka_unit_test_setup_teardown(errors_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(ghosts_stay_while_shown, setup, teardown),
        cmocka_unit_test_setup_teardown(changes_come_before_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(ghosts_wait_for_the_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(events_arrive, setup, teardown),
        cmocka_unit_test_setup_teardown(owner_is_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(index_is_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(asleep, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
