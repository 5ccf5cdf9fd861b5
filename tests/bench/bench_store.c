/* What requests cost the store: CPU (this thread's, and the syncing worker's beside it) and wall
 * time.
 *
 *     bench_store [DIR]
 *
 * One account below DIR (default: a new directory in /tmp), a host with one worker thread, as the
 * mail process has. Every figure is the mean over `n`. */
#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/account.h"

/* --- a host: a queue, one worker, an eventfd to come back with --- */

struct call {
    struct call *next;
    void (*run)(void *arg);
    void (*fn)(void *arg);
    void *arg;
};

struct queue {
    struct call *first, **end;
};

static struct queue deferred = {NULL, &deferred.first}, jobs = {NULL, &jobs.first},
                    finished = {NULL, &finished.first};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static int event;
static clockid_t worker_clock;

static void push(struct queue *q, struct call *c)
{
    c->next = NULL;
    *q->end = c;
    q->end = &c->next;
}

static struct call *pop(struct queue *q)
{
    struct call *c = q->first;
    if (c) {
        q->first = c->next;
        if (!q->first)
            q->end = &q->first;
    }
    return c;
}

static struct call *call_new(void (*run)(void *), void (*fn)(void *), void *arg)
{
    struct call *c = xnew(struct call);
    *c = (struct call){.run = run, .fn = fn, .arg = arg};
    return c;
}

static void host_work(void *ctx, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    (void)ctx;
    pthread_mutex_lock(&lock);
    push(&jobs, call_new(run, done, arg));
    pthread_cond_signal(&wake);
    pthread_mutex_unlock(&lock);
}

static void host_defer(void *ctx, void (*fn)(void *arg), void *arg)
{
    (void)ctx;
    push(&deferred, call_new(NULL, fn, arg));
}

static void *worker(void *arg)
{
    uint64_t one = 1;
    (void)arg;
    pthread_getcpuclockid(pthread_self(), &worker_clock);
    for (;;) {
        struct call *c;
        pthread_mutex_lock(&lock);
        while (!(c = pop(&jobs)))
            pthread_cond_wait(&wake, &lock);
        pthread_mutex_unlock(&lock);
        c->run(c->arg);
        pthread_mutex_lock(&lock);
        push(&finished, c);
        pthread_mutex_unlock(&lock);
        if (write(event, &one, 8) != 8)
            abort();
    }
    return NULL;
}

static void turn(void)
{
    struct call *c;
    uint64_t n;
    if (!deferred.first && read(event, &n, 8) == 8)
        for (;;) {
            pthread_mutex_lock(&lock);
            c = pop(&finished);
            pthread_mutex_unlock(&lock);
            if (!c)
                break;
            c->fn(c->arg);
            free(c);
        }
    while ((c = pop(&deferred))) {
        c->fn(c->arg);
        free(c);
    }
}

/* --- measuring --- */

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct measure {
    double cpu, sync, wall;
};

static struct measure start(void)
{
    return (struct measure){seconds(CLOCK_THREAD_CPUTIME_ID), seconds(worker_clock),
                            seconds(CLOCK_MONOTONIC)};
}

static void stop(struct measure m, const char *what, int n, int messages)
{
    double cpu = seconds(CLOCK_THREAD_CPUTIME_ID) - m.cpu, sync = seconds(worker_clock) - m.sync,
           wall = seconds(CLOCK_MONOTONIC) - m.wall;
    printf("%-32s %9.1f us CPU  %8.1f us in the worker  %9.1f us wall", what, cpu * 1e6 / n,
           sync * 1e6 / n, wall * 1e6 / n);
    if (messages > 1)
        printf("  %6.0f ns CPU a message", cpu * 1e9 / n / messages);
    putchar('\n');
}

/* --- requests --- */

static struct store *store;
static struct account *account;
static int waiting;

static void done(struct request *r)
{
    if (r->result.error) {
        fprintf(stderr, "request failed: %s\n", err_name(r->result.error));
        exit(1);
    }
    waiting--;
}

static void run_all(void)
{
    while (waiting > 0)
        turn();
}

static void submit(struct request *r)
{
    waiting++;
    account_submit(account, r);
}

static void append(int n, int at_once, size_t size, const char *what)
{
    struct append_message *m = xcalloc((size_t)at_once, sizeof(*m));
    struct request *r = xcalloc((size_t)at_once, sizeof(*r));
    autofree char *text = xmalloc(size);
    memset(text, 'x', size);
    for (size_t i = 76; i + 1 < size; i += 78)
        memcpy(text + i, "\r\n", 2);
    memcpy(text, "Subject: a message\r\nFrom: a@example.org\r\nTo: b@example.org\r\n\r\n", 62);
    struct measure start_at = start();
    for (int i = 0; i < n; i += at_once) {
        for (int k = 0; k < at_once; k++) {
            m[k] = (struct append_message){.upload = upload_new(account)};
            if (upload_write(m[k].upload, span_make(text, size)) || upload_finish(m[k].upload))
                abort();
            request_init(&r[k], REQUEST_APPEND, done, NULL);
            r[k].name = SPAN("INBOX");
            r[k].messages = &m[k];
            r[k].message_count = 1;
            submit(&r[k]);
        }
        run_all();
    }
    stop(start_at, what, n, 1);
    free(m);
    free(r);
}

static void change(enum request_kind kind, const char *what, int n, uint32_t lo, uint32_t hi,
                   const char *target, bool alternate)
{
    struct measure m = start();
    for (int i = 0; i < n; i++) {
        struct request r;
        request_init(&r, kind, done, NULL);
        r.mailbox = 1;
        r.name = span_str(target);
        if (hi)
            ranges_add(&r.uids, alternate ? lo + (uint32_t)i : lo,
                       alternate ? lo + (uint32_t)i : hi);
        r.mode = i % 2 && !alternate ? STORE_REMOVE : STORE_ADD;
        r.flags = FLAG_DELETED;
        submit(&r);
        run_all();
        ranges_done(&r.uids);
        request_result_done(&r);
    }
    stop(m, what, n, alternate ? 1 : (int)(hi - lo + 1));
}

static void on_account(void *arg, int error, struct account *a)
{
    (void)arg;
    if (error)
        abort();
    account = a;
}

static void on_id(void *arg, int error, const struct account_id *id)
{
    (void)arg;
    if (error)
        abort();
    account_open(store, id, on_account, NULL);
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/bench-store-XXXXXX";
    static const struct default_mailbox defaults[] = {{"Trash", USE_TRASH}};
    struct store_options options = {
        .dir = argc > 1 ? argv[1] : mkdtemp(dir), .defaults = defaults, .default_count = 1};
    struct store_host host = {NULL, host_work, host_defer};
    struct err err = {0};
    pthread_t thread;
    event = eventfd(0, EFD_CLOEXEC);
    pthread_create(&thread, NULL, worker, NULL);
    if (store_new(&options, &host, &store, &err) || site_open(store, &err)) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    site_find_or_create(store, SPAN("bench"), on_id, NULL);
    while (!account)
        turn();
    printf("below %s\n", options.dir);
    append(2000, 1, 8192, "APPEND, 8 KB, alone");
    append(18000, 64, 8192, "APPEND, 8 KB, 64 at once");
    change(REQUEST_STORE, "STORE, one message", 2000, 1, 1, "", true);
    change(REQUEST_STORE, "STORE, 20,000 messages", 10, 1, 20000, "", false);
    change(REQUEST_COPY, "COPY, 20,000 messages", 3, 1, 20000, "Trash", false);
    change(REQUEST_STORE, "STORE, 10,000 messages", 1, 1, 10000, "", false);
    change(REQUEST_EXPUNGE, "EXPUNGE, 10,000 messages", 1, 1, 10000, "", false);
    change(REQUEST_MOVE, "MOVE, 10,000 messages", 1, 10001, 20000, "Trash", false);
    account_unref(account);
    store_free(store);
    return 0;
}
