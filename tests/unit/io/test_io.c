#include "support/cmocka.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/random.h"
#include "io/conn.h"
#include "io/fdpass.h"
#include "io/listen.h"
#include "io/loop.h"

/* Timers. */

struct ticker {
    struct loop_timer t;
    struct loop *loop;
    uint64_t set_for;
    int *fired, *wrong;
};

static void on_tick(struct loop_timer *t)
{
    struct ticker *k = container_of(t, struct ticker, t);
    uint64_t now = loop_now_ms(k->loop);
    (*k->fired)++;
    if (now + 1 < k->set_for || now > k->set_for + 500)
        (*k->wrong)++;
}

static void test_timers(void **state)
{
    (void)state;
    enum { N = 20000 };
    struct loop *l = loop_new();
    struct ticker *k = xcalloc(N, sizeof(*k));
    int fired = 0, wrong = 0;
    uint64_t now = loop_now_ms(l);
    for (int i = 0; i < N; i++) {
        k[i] = (struct ticker){.loop = l, .fired = &fired, .wrong = &wrong};
        loop_timer_init(&k[i].t, on_tick);
        uint64_t ms = random_u64() % 1500;
        loop_timer_set(l, &k[i].t, ms);
        if (i % 3 == 0) /* moved, either way */
            loop_timer_set(l, &k[i].t, ms = random_u64() % 1500);
        k[i].set_for = now + ms;
        if (i % 5 == 0) {
            loop_timer_cancel(&k[i].t);
            loop_timer_cancel(&k[i].t);
        }
    }
    struct ticker far = {.loop = l};
    loop_timer_init(&far.t, on_tick);
    loop_timer_set(l, &far.t, UINT64_MAX);
    assert_true(loop_timer_is_set(&far.t));
    loop_timer_cancel(&far.t);
    loop_run(l);
    assert_int_equal(fired, N - N / 5);
    assert_int_equal(wrong, 0);
    free(k);
    loop_free(l);
}

struct tasks {
    struct loop_task defer, slice;
    struct loop *loop;
    int slices, defers, jobs;
    char order[64];
};

static void note(struct tasks *t, char c)
{
    size_t n = strlen(t->order);
    if (n + 1 < sizeof(t->order))
        t->order[n] = c;
}

static void on_defer(struct loop_task *task)
{
    struct tasks *t = container_of(task, struct tasks, defer);
    note(t, 'd');
}

static void on_slice(struct loop_task *task)
{
    struct tasks *t = container_of(task, struct tasks, slice);
    note(t, 's');
    loop_defer(t->loop, &t->defer);
    loop_defer(t->loop, &t->defer); /* queued once */
    if (++t->slices < 3)
        loop_slice(t->loop, &t->slice);
}

static void job_work(void *arg)
{
    __atomic_add_fetch((int *)arg, 1, __ATOMIC_SEQ_CST);
}

static void job_done(void *arg)
{
    (void)arg;
}

static void test_tasks(void **state)
{
    (void)state;
    struct tasks t = {.loop = loop_new()};
    loop_task_init(&t.defer, on_defer);
    loop_task_init(&t.slice, on_slice);
    loop_slice(t.loop, &t.slice);
    int done = 0;
    for (int i = 0; i < 100; i++)
        loop_work(t.loop, job_work, job_done, &done);
    assert_int_equal(loop_work_pending(t.loop), 100);
    loop_run(t.loop);
    assert_string_equal(t.order, "sdsdsd");
    assert_int_equal(done, 100);
    assert_int_equal(loop_work_pending(t.loop), 0);
    loop_free(t.loop);
}

/* Many long pieces of work: a turn does not last longer for that, and each gets as much as the
 * others. */

enum { HEAVY = 50, HEAVY_US = 1000, HEAVY_ROUNDS = 4 };

struct crowd {
    struct loop *loop;
    struct loop_watch *watch;
    int ran, looks, pipe[2];
    int longest, since; /* slices between two looks at the descriptor */
    struct heavy {
        struct loop_task slice;
        struct crowd *crowd;
        int ran;
    } heavy[HEAVY];
};

static void on_heavy(struct loop_task *task)
{
    struct heavy *h = container_of(task, struct heavy, slice);
    struct crowd *c = h->crowd;
    uint64_t end = clock_monotonic_us() + HEAVY_US;
    while (clock_monotonic_us() < end)
        ;
    c->ran++;
    c->since++;
    c->longest = MAX(c->longest, c->since);
    /* In order: nobody is a round ahead. */
    assert_int_equal(h->ran, (c->ran - 1) / HEAVY);
    if (++h->ran < HEAVY_ROUNDS)
        loop_slice(c->loop, &h->slice);
    else if (c->ran == HEAVY * HEAVY_ROUNDS)
        loop_watch_free(take_ptr(c->watch));
}

static void on_look(void *arg, int events)
{
    (void)events;
    struct crowd *c = arg;
    c->since = 0;
    c->looks++;
}

static void test_many_slices(void **state)
{
    (void)state;
    struct crowd c = {.loop = loop_new()};
    assert_int_equal(pipe(c.pipe), 0);
    assert_int_equal(write(c.pipe[1], "x", 1), 1); /* always readable */
    c.watch = loop_watch_new(c.loop, c.pipe[0], on_look, &c);
    loop_watch_set(c.watch, LOOP_READ);
    for (int i = 0; i < HEAVY; i++) {
        c.heavy[i].crowd = &c;
        loop_task_init(&c.heavy[i].slice, on_heavy);
        loop_slice(c.loop, &c.heavy[i].slice);
    }
    loop_run(c.loop);
    assert_int_equal(c.ran, HEAVY * HEAVY_ROUNDS);
    assert_in_range(c.longest, 1, 5); /* of 1 ms each; fewer when the machine is busy */
    assert_in_range(c.looks, HEAVY * HEAVY_ROUNDS / 5 - 1, HEAVY * HEAVY_ROUNDS + 10);
    loop_free(c.loop);
    close(c.pipe[0]);
    close(c.pipe[1]);
}

/* Connections: one side is a conn, the other is read and written by hand or is a conn as well. */

struct peer {
    struct conn *c;
    struct buf in;
    int eof, drained, closed, code;
    bool echo, free_in_input, finish_on_eof, pause_after;
    struct loop_timer resume;
    uint64_t to_write; /* goes on with this in `drained` */
};

static void peer_write(struct peer *p)
{
    static const char line[1000] = {'x'};
    while (p->to_write && !conn_full(p->c)) {
        size_t n = (size_t)MIN(p->to_write, sizeof(line));
        conn_put(p->c, span_make(line, n));
        p->to_write -= n;
    }
    if (!p->to_write)
        conn_finish(p->c);
}

static void on_input(void *owner, struct span s)
{
    struct peer *p = owner;
    buf_put_span(&p->in, s);
    if (p->echo)
        conn_put(p->c, s);
    if (p->pause_after) {
        conn_pause(p->c);
        loop_timer_set(conn_loop(p->c), &p->resume, 1);
    }
    if (p->free_in_input) {
        conn_free(p->c);
        p->c = NULL;
    }
}

static void on_eof(void *owner)
{
    struct peer *p = owner;
    p->eof++;
    if (p->finish_on_eof)
        conn_finish(p->c);
}

static void on_drained(void *owner)
{
    struct peer *p = owner;
    p->drained++;
    if (p->to_write)
        peer_write(p);
}

static void on_closed(void *owner, int code)
{
    struct peer *p = owner;
    p->closed++;
    p->code = code;
    conn_free(p->c);
    p->c = NULL;
}

static void on_resume(struct loop_timer *t)
{
    conn_resume(container_of(t, struct peer, resume)->c);
}

static const struct conn_ops ops = {on_input, on_eof, on_drained, on_closed};

static void peer_open(struct peer *p, struct loop *l, int fd)
{
    buf_init(&p->in, BUF_UNLIMITED);
    loop_timer_init(&p->resume, on_resume);
    p->c = conn_new(l, fd, &ops, p);
}

static void test_conn_echo(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    int fds[2];
    assert_int_equal(fdpass_pair_stream(fds, NULL), 0);
    struct peer a = {.echo = true, .finish_on_eof = true}, b = {.finish_on_eof = true};
    peer_open(&a, l, fds[0]);
    peer_open(&b, l, fds[1]);
    conn_put_lit(b.c, "hello ");
    struct buf *out = conn_begin(b.c);
    buf_put_lit(out, "world");
    conn_end(b.c);
    conn_begin(b.c); /* nothing written after all */
    conn_end(b.c);
    conn_finish(b.c);
    loop_run(l);
    assert_string_equal(a.in.p, "hello world");
    assert_int_equal(a.eof, 1);
    assert_int_equal(a.closed, 1);
    assert_int_equal(a.code, ERR_CLOSED);
    assert_int_equal(b.closed, 1);
    assert_int_equal(b.in.n, 0); /* after conn_finish input is thrown away */
    buf_done(&a.in);
    buf_done(&b.in);
    loop_free(l);
}

static void test_conn_free_inside(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    int fds[2];
    assert_int_equal(fdpass_pair_stream(fds, NULL), 0);
    struct peer a = {.free_in_input = true}, b = {0};
    peer_open(&a, l, fds[0]);
    peer_open(&b, l, fds[1]);
    conn_put_lit(b.c, "x");
    loop_run(l); /* b sees the end, and nothing else can happen */
    assert_null(a.c);
    assert_int_equal(a.closed, 0);
    assert_int_equal(b.eof, 1);
    conn_free(b.c);
    buf_done(&a.in);
    buf_done(&b.in);
    loop_free(l);
}

/* A reader that stalls costs the writer a bounded queue; all bytes arrive in the end. */
static void test_conn_backpressure(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    int fds[2];
    assert_int_equal(fdpass_pair_stream(fds, NULL), 0);
    struct peer a = {.to_write = 5000000}, b = {.pause_after = true, .finish_on_eof = true};
    peer_open(&a, l, fds[0]);
    peer_open(&b, l, fds[1]);
    peer_write(&a);
    assert_true(conn_full(a.c));
    assert_true(a.to_write > 4000000);
    loop_run(l);
    assert_int_equal(b.in.n, 5000000);
    assert_int_equal(a.closed, 1);
    assert_true(a.drained > 3);
    buf_done(&a.in);
    buf_done(&b.in);
    loop_free(l);
}

static int releases;

static void count_release(void *arg)
{
    (void)arg;
    releases++;
}

static int pull_digits(void *arg, struct buf *out, size_t room)
{
    int *left = arg;
    for (size_t i = 0; i<room && * left> 0; i++, (*left)--)
        buf_put_byte(out, (char)('0' + *left % 10));
    return *left > 0;
}

static int pull_broken(void *arg, struct buf *out, size_t room)
{
    (void)arg;
    (void)room;
    buf_put_lit(out, "half");
    return ERR_CORRUPT;
}

static int make_file(size_t size, char **ret_content)
{
    char *content = xmalloc(size);
    random_bytes(content, size);
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, size), (ssize_t)size);
    *ret_content = content;
    return fd;
}

/* Bytes, small and large ranges and producers in any order arrive as one exact stream. */
static void queue_mixture(struct outq *q, struct buf *expect, int file, const char *content,
                          int *digits)
{
    for (int i = 0; i < 60; i++) {
        static const size_t lens[] = {0, 1, 11000, 65535, 65536, 300000};
        size_t len = lens[i % 6], off = (size_t)(i * 977);
        outq_put(q, SPAN("* FETCH "));
        buf_put_lit(expect, "* FETCH ");
        outq_put_file(q, file, off, len, count_release, NULL);
        buf_put(expect, content + off, len);
        outq_begin(q);
        outq_end(q);
        if (i % 7 == 0) {
            digits[i / 7] = 100000 + i;
            for (int k = digits[i / 7]; k > 0; k--)
                buf_put_byte(expect, (char)('0' + k % 10));
            outq_put_producer(q, pull_digits, count_release, &digits[i / 7]);
        }
    }
}

static void run_mixture(bool copy_only)
{
    char *content;
    int file = make_file(400000, &content), fds[2], digits[10];
    assert_int_equal(fdpass_pair_stream(fds, NULL), 0);
    struct outq q;
    autobuf expect = BUF_INIT(BUF_UNLIMITED);
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    outq_init(&q);
    q.copy_only = copy_only;
    releases = 0;
    queue_mixture(&q, &expect, file, content, digits);
    int r;
    do {
        r = outq_send(&q, fds[0], 100000, NULL);
        assert_true(r == 0 || r == ERR_AGAIN || r == ERR_LIMIT);
        ssize_t n = read(fds[1], buf_reserve(&got, 50000), 50000);
        if (n > 0)
            buf_commit(&got, (size_t)n);
    } while (r != 0);
    close(fds[0]);
    ssize_t n;
    while ((n = read(fds[1], buf_reserve(&got, 50000), 50000)) > 0)
        buf_commit(&got, (size_t)n);
    assert_int_equal(got.n, expect.n);
    assert_memory_equal(got.p, expect.p, expect.n);
    assert_int_equal(releases, 60 + 9);
    assert_true(outq_empty(&q));
    assert_int_equal(q.mem, 0);
    assert_int_equal(q.wire, 0);
    close(fds[1]);
    close(file);
    free(content);
}

static void test_outq_mixture(void **state)
{
    (void)state;
    run_mixture(false);
    run_mixture(true);
}

static void test_outq_failures(void **state)
{
    (void)state;
    char *content;
    int file = make_file(1000, &content), fds[2];
    free(content);
    assert_int_equal(fdpass_pair_stream(fds, NULL), 0);
    struct outq q;
    releases = 0;
    outq_init(&q);
    outq_put_file(&q, file, 500, 1000, count_release, NULL); /* shorter than promised */
    assert_int_equal(outq_send(&q, fds[0], 100000, NULL), ERR_CORRUPT);
    outq_done(&q);
    outq_put_file(&q, file, 500, 1000000, count_release, NULL);
    assert_int_equal(outq_send(&q, fds[0], 10000000, NULL), ERR_AGAIN);
    assert_int_equal(outq_send(&q, fds[0], 10000000, NULL), ERR_CORRUPT);
    outq_done(&q);
    outq_put_producer(&q, pull_broken, count_release, NULL);
    assert_int_equal(outq_send(&q, fds[0], 100000, NULL), ERR_CORRUPT);
    outq_done(&q);
    assert_int_equal(releases, 3);
    assert_false(outq_full(&q));
    for (int i = 0; i < 300; i++)
        outq_put_file(&q, file, 0, 1000, count_release, NULL);
    assert_true(outq_full(&q)); /* many ranges fill it as well */
    close(fds[1]);
    assert_int_equal(outq_send(&q, fds[0], 100000, NULL), ERR_IO);
    outq_done(&q);
    assert_int_equal(releases, 303);
    close(fds[0]);
    close(file);
}

static void test_fdpass(void **state)
{
    (void)state;
    int fds[2], fd, big = 70000;
    char packet[1000];
    size_t n;
    assert_int_equal(fdpass_pair_packet(fds, NULL), 0);
    assert_int_equal(fdpass_recv(fds[1], packet, sizeof(packet), &n, &fd), ERR_AGAIN);
    char *content;
    int file = make_file(10, &content);
    assert_int_equal(fdpass_send(fds[0], SPAN("one"), file), 0);
    assert_int_equal(fdpass_send(fds[0], SPAN("two"), -1), 0);
    assert_int_equal(fdpass_recv(fds[1], packet, sizeof(packet), &n, &fd), 0);
    assert_int_equal(n, 3);
    assert_true(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
    char back[10];
    assert_int_equal(pread(fd, back, 10, 0), 10);
    assert_memory_equal(back, content, 10);
    close(fd);
    assert_int_equal(fdpass_recv(fds[1], packet, sizeof(packet), &n, &fd), 0);
    assert_int_equal(fd, -1);
    char *large = xcalloc(1, (size_t)big);
    assert_int_equal(fdpass_send(fds[0], span_make(large, (size_t)big), file), 0);
    assert_int_equal(fdpass_recv(fds[1], packet, sizeof(packet), &n, &fd), ERR_INVALID);
    close(fds[0]);
    assert_int_equal(fdpass_recv(fds[1], packet, sizeof(packet), &n, &fd), ERR_CLOSED);
    close(fds[1]);
    close(file);
    free(large);
    free(content);
}

struct accepting {
    struct listener *ln;
    int count;
    bool loopback;
};

static void on_accept(void *arg, int fd, const struct address *peer)
{
    struct accepting *a = arg;
    a->loopback = address_is_loopback(peer);
    close(fd);
    if (++a->count == 3) {
        listener_free(a->ln);
        a->ln = NULL;
    }
}

static void test_listen(void **state)
{
    (void)state;
    struct address any, bound;
    assert_int_equal(address_parse(SPAN("localhost"), 1, &any, NULL), ERR_INVALID);
    assert_int_equal(address_parse(SPAN("*"), 143, &any, NULL), 0);
    assert_false(address_is_loopback(&any));
    assert_int_equal(address_parse(SPAN("::ffff:127.0.0.9"), 143, &any, NULL), 0);
    assert_true(address_is_loopback(&any));
    assert_int_equal(address_parse(SPAN("127.0.0.1"), 0, &any, NULL), 0);
    int fd = listen_tcp(&any, 10, NULL);
    assert_true(fd >= 0);
    address_of_socket(fd, &bound);
    struct err err;
    assert_int_equal(listen_tcp(&bound, 10, &err), ERR_IO); /* taken */
    assert_non_null(strstr(err.text, "cannot listen on 127.0.0.1:"));
    int clients[3];
    for (int i = 0; i < 3; i++) {
        clients[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(clients[i], (struct sockaddr *)&bound.ss, bound.len), 0);
    }
    struct loop *l = loop_new();
    struct accepting a = {0};
    a.ln = listener_new(l, fd, on_accept, &a);
    loop_run(l);
    assert_int_equal(a.count, 3);
    assert_true(a.loopback);
    for (int i = 0; i < 3; i++)
        close(clients[i]);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers),           cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_many_slices),      cmocka_unit_test(test_conn_echo),
        cmocka_unit_test(test_conn_free_inside), cmocka_unit_test(test_conn_backpressure),
        cmocka_unit_test(test_outq_mixture),     cmocka_unit_test(test_outq_failures),
        cmocka_unit_test(test_fdpass),           cmocka_unit_test(test_listen),
    };
    return cmocka_run_group_tests_name("io", tests, NULL, NULL);
}
