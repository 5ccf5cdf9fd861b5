/* The DEFLATE streams of COMPRESS in any chunking, with rests between, against zlib itself. */
#include "support/cmocka.h"

#include <sys/socket.h>
#include <zlib.h>

#include "base/random.h"
#include "io/codec.h"
#include "io/conn.h"

/* The other end: one zlib stream for the whole connection. */
struct peer {
    z_stream in, out;
};

static void peer_init(struct peer *p)
{
    *p = (struct peer){0};
    assert_int_equal(inflateInit2(&p->in, -15), Z_OK);
    assert_int_equal(deflateInit2(&p->out, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
}

static void peer_done(struct peer *p)
{
    inflateEnd(&p->in);
    deflateEnd(&p->out);
}

static void peer_read(struct peer *p, struct span coded, struct buf *out)
{
    p->in.next_in = (unsigned char *)(uintptr_t)coded.p;
    p->in.avail_in = (unsigned)coded.n;
    do {
        p->in.next_out = (unsigned char *)buf_reserve(out, 4096);
        p->in.avail_out = 4096;
        int r = inflate(&p->in, Z_SYNC_FLUSH);
        assert_true(r == Z_OK || r == Z_BUF_ERROR);
        buf_commit(out, 4096 - p->in.avail_out);
    } while (p->in.avail_out == 0);
}

static void peer_write(struct peer *p, struct span plain, int flush, struct buf *out)
{
    p->out.next_in = (unsigned char *)(uintptr_t)plain.p;
    p->out.avail_in = (unsigned)plain.n;
    do {
        p->out.next_out = (unsigned char *)buf_reserve(out, 4096);
        p->out.avail_out = 4096;
        deflate(&p->out, flush);
        buf_commit(out, 4096 - p->out.avail_out);
    } while (p->out.avail_out == 0);
}

/* Words that come back, and now and then bytes that cannot be compressed. */
static void put_text(struct buf *b, size_t n)
{
    static const char *const words[] = {"FETCH ", "(UID FLAGS) ", "a17 ", "\r\n", "BODY.PEEK[]"};
    size_t end = b->n + n;
    while (b->n < end) {
        if (random_u64() % 20 == 0) {
            uint64_t noise = random_u64();
            buf_put(b, &noise, sizeof(noise));
        } else {
            buf_put_str(b, words[random_u64() % ARRAY_LEN(words)]);
        }
    }
}

static void test_deflate(void **state)
{
    (void)state;
    struct codec *c = codec_new();
    struct peer peer;
    peer_init(&peer);
    autobuf all = BUF_INIT(BUF_UNLIMITED), got = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < 300; i++) {
        autobuf text = BUF_INIT(BUF_UNLIMITED), coded = BUF_INIT(BUF_UNLIMITED);
        put_text(&text, (size_t)(random_u64() % (i % 50 ? 2000 : 200000)));
        buf_put_span(&all, buf_span(&text));
        bool flush = random_u64() % 2;
        size_t half = text.n / 2;
        codec_deflate(c, span_head(buf_span(&text), half), false, &coded);
        codec_deflate(c, span_skip(buf_span(&text), half), flush, &coded);
        peer_read(&peer, buf_span(&coded), &got);
        if (flush)
            assert_true(span_eq(buf_span(&got), buf_span(&all)));
        if (random_u64() % 3 == 0)
            codec_rest(c); /* without effect while something is unflushed */
    }
    autobuf last = BUF_INIT(BUF_UNLIMITED);
    codec_deflate(c, SPAN_EMPTY, true, &last);
    peer_read(&peer, buf_span(&last), &got);
    assert_true(span_eq(buf_span(&got), buf_span(&all)));
    codec_rest(c);
    assert_true(codec_resting(c));
    size_t n = last.n;
    codec_deflate(c, SPAN_EMPTY, true, &last); /* nothing to flush */
    assert_int_equal(last.n, n);
    assert_true(codec_resting(c));
    peer_done(&peer);
    codec_free(c);
}

/* How the client flushes decides whether a rest is possible; all of them must come through. */
static void inflate_with(int flush, bool must_rest)
{
    struct codec *c = codec_new();
    struct peer peer;
    peer_init(&peer);
    autobuf all = BUF_INIT(BUF_UNLIMITED), got = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < 300; i++) {
        autobuf text = BUF_INIT(BUF_UNLIMITED), coded = BUF_INIT(BUF_UNLIMITED);
        put_text(&text, (size_t)(1 + random_u64() % (i % 50 ? 1000 : 100000)));
        buf_put_span(&all, buf_span(&text));
        peer_write(&peer, buf_span(&text), flush, &coded);
        struct span rest = buf_span(&coded);
        while (rest.n) {
            struct span part = span_head(rest, (size_t)(1 + random_u64() % 500));
            rest = span_skip(rest, part.n);
            size_t n, room = (size_t)(1 + random_u64() % 3000);
            do {
                assert_int_equal(codec_inflate(c, &part, buf_reserve(&got, room), room, &n), 0);
                buf_commit(&got, n);
                if (random_u64() % 4 == 0)
                    codec_rest(c);
            } while (part.n || n == room);
        }
        assert_true(span_eq(buf_span(&got), buf_span(&all)));
        codec_rest(c);
        if (must_rest)
            assert_true(codec_resting(c));
    }
    /* The client ends its stream. */
    autobuf coded = BUF_INIT(BUF_UNLIMITED);
    peer_write(&peer, SPAN("bye"), Z_FINISH, &coded);
    struct span in = buf_span(&coded);
    char to[16];
    size_t n;
    assert_int_equal(codec_inflate(c, &in, to, sizeof(to), &n), ERR_CLOSED);
    assert_int_equal(n, 3);
    assert_int_equal(codec_inflate(c, &in, to, sizeof(to), &n), ERR_CLOSED);
    peer_done(&peer);
    codec_free(c);
}

static void test_inflate(void **state)
{
    (void)state;
    inflate_with(Z_SYNC_FLUSH, true);
    inflate_with(Z_FULL_FLUSH, true);
    inflate_with(Z_PARTIAL_FLUSH, false);
    inflate_with(Z_BLOCK, false);
}

static void test_garbage(void **state)
{
    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct codec *c = codec_new();
        char bytes[200], to[100];
        random_bytes(bytes, sizeof(bytes));
        struct span in = span_make(bytes, sizeof(bytes));
        int r = 0;
        size_t n = 0;
        for (int k = 0; r == 0 && (in.n || n == sizeof(to)) && k < 100000; k++) {
            struct span part = span_head(in, (size_t)(1 + random_u64() % 20));
            size_t had = part.n;
            r = codec_inflate(c, &part, to, sizeof(to), &n);
            in = span_skip(in, had - part.n);
            if (k % 3 == 0)
                codec_rest(c);
        }
        assert_true(r == 0 || r == ERR_INVALID || r == ERR_CLOSED);
        codec_free(c);
    }
}

/* Two connections, each compressing what the other reads; one pauses now and then. */
struct end {
    struct conn *conn;
    struct buf got;
    int closed;
    bool eof, pauses;
};

static void end_input(void *owner, struct span bytes)
{
    struct end *e = owner;
    assert_true(bytes.n <= 64 * 1024);
    buf_put_span(&e->got, bytes);
    if (e->pauses)
        conn_pause(e->conn);
}

static void end_eof(void *owner)
{
    struct end *e = owner;
    e->eof = true;
}

static void end_closed(void *owner, int code)
{
    struct end *e = owner;
    e->closed = code;
}

static const struct conn_ops end_ops = {.input = end_input, .eof = end_eof, .closed = end_closed};

struct resumer {
    struct loop_timer timer;
    struct loop *loop;
    struct end *end;
    size_t want;
};

static void on_resume(struct loop_timer *t)
{
    struct resumer *r = container_of(t, struct resumer, timer);
    if (r->end->got.n >= r->want || r->end->closed) {
        loop_stop(r->loop);
        return;
    }
    conn_resume(r->end->conn);
    loop_timer_set(r->loop, t, 1);
}

static void test_conn(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct end a = {0}, b = {.pauses = true};
    buf_init(&a.got, BUF_UNLIMITED);
    buf_init(&b.got, BUF_UNLIMITED);
    a.conn = conn_new(l, fd[0], &end_ops, &a);
    b.conn = conn_new(l, fd[1], &end_ops, &b);
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    conn_put_lit(a.conn, "plain\r\n"); /* queued before: not compressed */
    conn_compress(a.conn, SPAN_EMPTY);
    put_text(&text, 3 << 20); /* much more than a slice */
    conn_put(a.conn, buf_span(&text));
    struct resumer r = {.loop = l, .end = &b, .want = 7};
    loop_timer_init(&r.timer, on_resume);
    conn_set_input_max(b.conn, 7);
    loop_timer_set(l, &r.timer, 1);
    loop_run(l);
    assert_true(span_eq(buf_span(&b.got), SPAN("plain\r\n")));
    conn_set_input_max(b.conn, 1 << 20);
    buf_reset(&b.got);
    conn_compress(b.conn, SPAN_EMPTY);
    conn_resume(b.conn);
    r.want = text.n;
    loop_timer_set(l, &r.timer, 1);
    loop_run(l);
    assert_true(span_eq(buf_span(&b.got), buf_span(&text)));
    uint64_t in, out;
    conn_bytes(a.conn, &in, &out);
    assert_true(out < text.n / 2);
    conn_free(a.conn);
    conn_free(b.conn);
    buf_done(&a.got);
    buf_done(&b.got);
    loop_free(l);
}

static void test_conn_garbage(void **state)
{
    (void)state;
    struct loop *l = loop_new();
    int fd[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
    struct end b = {0};
    buf_init(&b.got, BUF_UNLIMITED);
    b.conn = conn_new(l, fd[1], &end_ops, &b);
    conn_compress(b.conn, SPAN("\x07 not deflate"));
    struct resumer r = {.loop = l, .end = &b, .want = SIZE_MAX};
    loop_timer_init(&r.timer, on_resume);
    loop_timer_set(l, &r.timer, 1);
    loop_run(l);
    assert_int_equal(b.closed, ERR_INVALID);
    conn_free(b.conn);
    close(fd[0]);
    buf_done(&b.got);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deflate),      cmocka_unit_test(test_inflate),
        cmocka_unit_test(test_garbage),      cmocka_unit_test(test_conn),
        cmocka_unit_test(test_conn_garbage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
