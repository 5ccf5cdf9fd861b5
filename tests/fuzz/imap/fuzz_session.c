/* A whole session: what a client sends after its login, to a session with a store whose log is in
 * memory. The first octet chooses chunk size and whether the client reads while it writes. Nothing
 * may crash, hang or leak; whatever is answered has the form of responses (RFC 9051 section 2.2):
 * lines that end in CRLF, literals as long as they say, and the tagged answer to the login first.
 */
#include <fcntl.h>
#include <ftw.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/logline.h"
#include "imap/session.h"
#include "io/conn.h"
#include "log/log_fault.h"

enum { INPUT_MAX = 16384, ACCOUNTS = 64, OUTPUT_MAX = 64 << 20 };

struct world {
    char dir[64];
    struct loop *loop;
    struct fault *fault;
    struct store *store;
    struct imap_host imap;
    unsigned accounts;
};

struct client {
    struct world *world;
    struct account_id id;
    struct span input;
    size_t chunk;
    struct conn *conn;
    struct buf got;
    struct loop_task send;
    struct loop_task end;
    bool closed;
};

static struct world *world;

struct deferred {
    struct loop_task task;
    void (*fn)(void *arg);
    void *arg;
};

static void run_deferred(struct loop_task *t)
{
    struct deferred *d = container_of(t, struct deferred, task);
    void (*fn)(void *arg) = d->fn;
    void *arg = d->arg;
    free(d);
    fn(arg);
}

static void defer(void *ctx, void (*fn)(void *arg), void *arg)
{
    struct world *w = ctx;
    struct deferred *d = xnew(struct deferred);
    d->fn = fn;
    d->arg = arg;
    loop_task_init(&d->task, run_deferred);
    loop_defer(w->loop, &d->task);
}

/* Workers are called in turn: the same input does the same. */
static void work(void *ctx, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    run(arg);
    defer(ctx, done, arg);
}

/* --- the world --- */

static struct world *world_new(void)
{
    struct world *w = xnew(struct world);
    struct err err = {0};
    log_set_level(LOG_ERROR);
    snprintf(w->dir, sizeof(w->dir), "%s/martlet-fuzz-session-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    invariant(mkdtemp(w->dir));
    w->loop = loop_new();
    w->fault = fault_new();
    struct store_options options = {
        .dir = w->dir, .fs = fault_fs(w->fault), .no_checkpoint_on_close = true};
    struct store_host host = {w, work, defer};
    invariant(store_new(&options, &host, &w->store, &err) == 0);
    invariant(site_open(w->store, &err) == 0);
    imap_host_init(&w->imap);
    w->imap.loop = w->loop;
    w->imap.store = w->store;
    struct imap_settings settings = imap_settings_default;
    settings.frame.max_streamed_literal = 100000;
    settings.idle_timeout_s = 1800;
    imap_settings_set(&w->imap, &settings);
    return w;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void world_free(struct world *w)
{
    store_free(w->store);
    loop_run(w->loop); /* what was deferred */
    fault_free(w->fault);
    loop_free(w->loop);
    nftw(w->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(w);
}

static void world_end(void)
{
    if (world)
        world_free(take_ptr(world));
}

/* --- the client --- */

static void on_input(void *owner, struct span bytes)
{
    struct client *c = owner;
    buf_put_span(&c->got, bytes);
    invariant(c->got.n < OUTPUT_MAX);
}

static void on_closed(void *owner, int code)
{
    struct client *c = owner;
    (void)code;
    conn_free(take_ptr(c->conn));
    c->closed = true;
    loop_slice(c->world->loop, &c->end);
}

/* When the session has freed itself. */
static void on_end(struct loop_task *t)
{
    struct client *c = container_of(t, struct client, end);
    if (c->world->imap.session_count)
        loop_slice(c->world->loop, &c->end);
    else
        loop_stop(c->world->loop);
}

static void send_some(struct loop_task *t)
{
    struct client *c = container_of(t, struct client, send);
    if (!c->conn)
        return;
    struct span now = span_head(c->input, c->chunk);
    c->input = span_skip(c->input, now.n);
    if (now.n)
        conn_put(c->conn, now);
    conn_flush(c->conn);
    if (c->input.n || conn_pending(c->conn))
        loop_slice(c->world->loop, &c->send);
    else
        shutdown(conn_fd(c->conn), SHUT_WR);
}

static void opened(void *arg, int error, struct account *account)
{
    static const struct conn_ops ops = {.input = on_input, .closed = on_closed};
    struct client *c = arg;
    int fds[2];
    invariant(error == 0);
    invariant(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
    int size = 1 << 20;
    setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    c->conn = conn_new(c->world->loop, fds[1], &ops, c);
    struct imap_start start = {.fd = fds[0],
                               .user = SPAN("user"),
                               .tag = SPAN("login"),
                               .session_id = 1,
                               .peer = SPAN("127.0.0.1"),
                               .mechanism = SPAN("PLAIN"),
                               .login = SPAN("user")};
    imap_session_start(&c->world->imap, &start, account);
    account_unref(account);
    loop_task_init(&c->send, send_some);
    loop_slice(c->world->loop, &c->send);
}

static void found(void *arg, int error, const struct account_id *id)
{
    struct client *c = arg;
    invariant(error == 0);
    c->id = *id;
    account_open(c->world->store, id, opened, c);
}

/* --- what came back --- */

/* "... {12}": a literal follows. */
static bool literal_at_end(struct span line, uint64_t *ret)
{
    if (!line.n || line.p[line.n - 1] != '}')
        return false;
    size_t i = line.n - 1;
    while (i > 0 && line.p[i - 1] >= '0' && line.p[i - 1] <= '9')
        i--;
    return i > 0 && line.p[i - 1] == '{' && i < line.n - 1 &&
           span_to_u64(span_make(line.p + i, line.n - 1 - i), UINT32_MAX, ret);
}

static void check_responses(struct span got)
{
    invariant(span_starts(got, SPAN("login OK ")));
    while (got.n) {
        uint64_t literal = 0;
        invariant(got.p[0] != ' ');
        do { /* one response */
            const char *end = memmem(got.p, got.n, "\r\n", 2);
            invariant(end != NULL);
            struct span line = span_make(got.p, (size_t)(end - got.p));
            invariant(!memchr(line.p, '\0', line.n) && !memchr(line.p, '\n', line.n));
            got = span_skip(got, line.n + 2);
            if (!literal_at_end(line, &literal))
                break;
            invariant(literal <= got.n);
            got = span_skip(got, literal);
        } while (true);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char name[32];
    if (n < 2 || n > INPUT_MAX)
        return 0;
    if (world && world->accounts == ACCOUNTS)
        world_free(take_ptr(world));
    else if (!world)
        atexit(world_end);
    if (!world)
        world = world_new();
    struct client c = {.world = world,
                       .input = span_make(data + 1, n - 1),
                       .chunk = data[0] < 128 ? SIZE_MAX : 1 + (size_t)(data[0] & 127)};
    buf_init(&c.got, BUF_UNLIMITED);
    loop_task_init(&c.end, on_end);
    snprintf(name, sizeof(name), "user%u", world->accounts++);
    site_find_or_create(world->store, span_str(name), found, &c);
    loop_run(world->loop);
    invariant(c.closed && world->imap.session_count == 0);
    /* What is answered when the client has closed its half in the middle of a command is a BYE. */
    check_responses(buf_span(&c.got));
    buf_done(&c.got);
    return 0;
}
