#include "support/cmocka.h"

#include <fcntl.h>

#include "base/bytes.h"
#include "base/random.h"
#include "io/fdpass.h"
#include "ipc/channel.h"

static struct message handover(void)
{
    struct message m = {.kind = MESSAGE_HANDOVER};
    m.u.handover.session = UINT64_C(0x1122334455667788);
    m.u.handover.user = SPAN("fred");
    m.u.handover.tag = SPAN("a1");
    m.u.handover.authenticate = true;
    m.u.handover.language = 2;
    m.u.handover.peer = SPAN("127.0.0.1");
    m.u.handover.input = SPAN("a2 NOOP\r\n");
    return m;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct message m = handover(), back;
    autobuf b = BUF_INIT(MESSAGE_MAX);
    assert_int_equal(message_encode(&m, &b), 0);
    assert_int_equal(message_decode(buf_span(&b), &back), 0);
    assert_int_equal(back.kind, MESSAGE_HANDOVER);
    assert_true(back.u.handover.session == m.u.handover.session);
    assert_int_equal(back.u.handover.language, 2);
    assert_true(span_eq(back.u.handover.user, SPAN("fred")));
    assert_true(back.u.handover.authenticate);
    assert_false(back.u.handover.tls);
    assert_true(span_eq(back.u.handover.input, SPAN("a2 NOOP\r\n")));

    m = (struct message){.kind = MESSAGE_RESOLVED};
    m.u.resolved.error = ERR_NOT_FOUND;
    buf_reset(&b);
    assert_int_equal(message_encode(&m, &b), 0);
    assert_int_equal(message_decode(buf_span(&b), &back), 0);
    assert_int_equal(back.u.resolved.error, ERR_NOT_FOUND);
}

/* Every kind survives its own encoding, has a name, and is permitted somewhere. */
static void test_every_kind(void **state)
{
    (void)state;
    for (unsigned k = 1; k < MESSAGE_KIND_COUNT; k++) {
        struct message m = {.kind = (enum message_kind)k}, back;
        autobuf b = BUF_INIT(MESSAGE_MAX);
        assert_int_equal(message_encode(&m, &b), 0);
        assert_int_equal(message_decode(buf_span(&b), &back), 0);
        assert_int_equal(back.kind, k);
        assert_string_not_equal(message_name(m.kind), "unknown");
        int permitted = 0;
        for (int from = 0; from < ROLE_COUNT; from++)
            for (int to = 0; to < ROLE_COUNT; to++)
                permitted += message_permitted((enum role)from, (enum role)to, m.kind);
        assert_true(permitted > 0);
    }
    assert_false(message_permitted(ROLE_LOGIN, ROLE_MAIL, MESSAGE_DELIVER));
    assert_false(message_permitted(ROLE_LOGIN, ROLE_MAIL, (enum message_kind)0));
    assert_false(message_permitted(ROLE_MAIL, ROLE_LOGIN, MESSAGE_HANDOVER));
}

/* Cut anywhere, extended, or with any byte changed: refused or decoded, never worse. */
static void test_malformed(void **state)
{
    (void)state;
    struct message m = handover(), back;
    autobuf b = BUF_INIT(MESSAGE_MAX);
    assert_int_equal(message_encode(&m, &b), 0);
    for (size_t n = 0; n < b.n; n++) {
        autofree char *cut = xmalloc(n + 1);
        memcpy(cut, b.p, n);
        assert_int_equal(message_decode(span_make(cut, n), &back), ERR_INVALID);
    }
    for (size_t i = 0; i < b.n; i++)
        for (int v = 0; v < 256; v++) {
            autofree char *changed = xmalloc(b.n);
            memcpy(changed, b.p, b.n);
            changed[i] = (char)v;
            (void)!message_decode(span_make(changed, b.n), &back);
        }
    b.p[0] = MESSAGE_VERSION + 1;
    assert_int_equal(message_decode(buf_span(&b), &back), ERR_VERSION);
    b.p[0] = MESSAGE_VERSION;
    put_u8(&b, 0);
    assert_int_equal(message_decode(buf_span(&b), &back), ERR_INVALID);
    for (int i = 0; i < 20000; i++) {
        char noise[64];
        random_bytes(noise, sizeof(noise));
        noise[0] = MESSAGE_VERSION;
        (void)!message_decode(span_make(noise, (size_t)i % sizeof(noise)), &back);
    }
}

static void test_limits(void **state)
{
    (void)state;
    autofree char *big = xcalloc(1, HANDOVER_INPUT_MAX + 1);
    struct message m = handover(), back;
    autobuf b = BUF_INIT(2 * MESSAGE_MAX);
    m.u.handover.input = span_make(big, HANDOVER_INPUT_MAX + 1);
    assert_int_equal(message_encode(&m, &b), ERR_LIMIT);
    assert_int_equal(b.n, 0);
    m.u.handover.input.n--;
    assert_int_equal(message_encode(&m, &b), 0);
    assert_int_equal(message_decode(buf_span(&b), &back), 0);

    autobuf args = BUF_INIT(1000);
    control_args_put(&args, SPAN("one"));
    control_args_put(&args, SPAN(""));
    struct span rest = buf_span(&args), arg;
    assert_true(control_args_next(&rest, &arg));
    assert_true(span_eq(arg, SPAN("one")));
    assert_true(control_args_next(&rest, &arg));
    assert_int_equal(arg.n, 0);
    assert_false(control_args_next(&rest, &arg));
    rest = SPAN("\x7f");
    assert_false(control_args_next(&rest, &arg));
}

/* Channels. */

struct side {
    struct channel *ch;
    int messages, closed, fds, stop_after;
    struct loop *loop;
};

static void on_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    struct side *s = owner;
    assert_ptr_equal(ch, s->ch);
    assert_int_equal(m->kind, MESSAGE_HANDOVER);
    assert_true(span_eq(m->u.handover.user, SPAN("fred")));
    s->messages++;
    s->fds += fd >= 0;
    if (fd >= 0)
        close(fd);
    if (s->messages == s->stop_after) {
        channel_free(s->ch);
        s->ch = NULL;
    }
}

static void on_closed(void *owner, struct channel *ch)
{
    struct side *s = owner;
    s->closed++;
    channel_free(ch);
    s->ch = NULL;
}

static const struct channel_ops ops = {on_message, on_closed};

/* More than the socket holds waits in the queue, in order, with its descriptors; the queue is
 * bounded. */
static void test_queue(void **state)
{
    (void)state;
    int fds[2], sent = 0, r;
    assert_int_equal(fdpass_pair_packet(fds, NULL), 0);
    struct loop *l = loop_new();
    struct side login = {0}, mail = {0};
    login.ch = channel_new(l, fds[0], ROLE_LOGIN, ROLE_MAIL, &ops, &login);
    mail.ch = channel_new(l, fds[1], ROLE_MAIL, ROLE_LOGIN, &ops, &mail);
    autofree char *big = xcalloc(1, HANDOVER_INPUT_MAX);
    struct message m = handover();
    m.u.handover.input = span_make(big, HANDOVER_INPUT_MAX);
    while ((r = channel_send(login.ch, &m, open("/dev/null", O_RDONLY | O_CLOEXEC))) == 0)
        sent++;
    assert_int_equal(r, ERR_LIMIT);
    assert_true(sent > 100 && sent < 200);
    mail.stop_after = sent;
    loop_run(l);
    assert_int_equal(mail.messages, sent);
    assert_int_equal(mail.fds, sent);
    assert_int_equal(login.closed, 1); /* the peer freed its end */
    loop_free(l);
}

static void closes_on(const void *p, size_t n, int fd)
{
    int fds[2];
    assert_int_equal(fdpass_pair_packet(fds, NULL), 0);
    struct loop *l = loop_new();
    struct side mail = {0};
    mail.ch = channel_new(l, fds[1], ROLE_MAIL, ROLE_LOGIN, &ops, &mail);
    assert_int_equal(fdpass_send(fds[0], span_make(p, n), fd), 0);
    loop_run(l);
    assert_int_equal(mail.closed, 1);
    assert_int_equal(mail.messages, 0);
    close(fds[0]);
    loop_free(l);
}

static void test_refusals(void **state)
{
    (void)state;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    closes_on("garbage", 7, -1);
    closes_on("garbage", 7, null);
    autofree char *huge = xcalloc(1, MESSAGE_MAX + 1);
    closes_on(huge, MESSAGE_MAX + 1, -1);
    autobuf b = BUF_INIT(MESSAGE_MAX);
    struct message m = handover();
    assert_int_equal(message_encode(&m, &b), 0);
    closes_on(b.p, b.n, -1); /* a handover needs its descriptor */
    buf_reset(&b);
    m = (struct message){.kind = MESSAGE_DELIVER};
    assert_int_equal(message_encode(&m, &b), 0);
    closes_on(b.p, b.n, null); /* not from a login process */
    close(null);
}

static void test_blocking(void **state)
{
    (void)state;
    int fds[2], fd = -1;
    assert_int_equal(fdpass_pair_packet(fds, NULL), 0);
    autobuf scratch = BUF_INIT(MESSAGE_MAX);
    struct message m = {.kind = MESSAGE_CONTROL}, got;
    m.u.control.verb = SPAN("check");
    assert_int_equal(channel_receive_blocking(fds[1], ROLE_MAIL, ROLE_CTL, &scratch, &got, &fd, 20),
                     ERR_AGAIN);
    assert_int_equal(channel_send_blocking(fds[0], &m, -1), 0);
    assert_int_equal(channel_receive_blocking(fds[1], ROLE_MAIL, ROLE_CTL, &scratch, &got, &fd, 20),
                     0);
    assert_true(span_eq(got.u.control.verb, SPAN("check")));
    assert_int_equal(fd, -1);
    close(fds[0]);
    assert_int_equal(channel_receive_blocking(fds[1], ROLE_MAIL, ROLE_CTL, &scratch, &got, &fd, 20),
                     ERR_CLOSED);
    close(fds[1]);
}

static void test_route(void **state)
{
    (void)state;
    int count[3] = {0};
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "user%d", i);
        unsigned at = route_user(span_str(name), 3);
        assert_int_equal(at, route_user(span_str(name), 3));
        count[at]++;
    }
    for (int i = 0; i < 3; i++)
        assert_true(count[i] > 800);
    assert_int_equal(route_user(SPAN("x"), 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_malformed),  cmocka_unit_test(test_limits),
        cmocka_unit_test(test_queue),      cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_blocking),   cmocka_unit_test(test_route),
    };
    return cmocka_run_group_tests_name("ipc", tests, NULL, NULL);
}
