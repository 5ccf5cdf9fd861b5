#include "support/cmocka.h"

#include <sys/socket.h>

#include "base/logline.h"
#include "base/random.h"
#include "io/fdpass.h"
#include "lmtp/session.h"

/* A host that knows the users "a...", with details, and keeps what it is given. */
struct host {
    struct lmtp_host lmtp;
    struct buf mail; /* "user\n" or "user/mailbox\n" and the message, for each delivery */
    struct buf ids, header;
    int deliveries, fail_with;
    bool ended;
};

struct later {
    struct loop_task task;
    struct host *host;
    lmtp_lookup_done *lookup;
    lmtp_deliver_done *deliver;
    void *arg;
    int error;
    char user[64], detail[64];
};

static void on_later(struct loop_task *t)
{
    struct later *l = container_of(t, struct later, task);
    if (l->lookup)
        l->lookup(l->arg, l->error, span_str(l->user), span_str(l->detail));
    else
        l->deliver(l->arg, l->error);
    free(l);
}

static struct later *later(struct host *h, void *arg)
{
    struct later *l = xnew(struct later);
    loop_task_init(&l->task, on_later);
    l->host = h;
    l->arg = arg;
    loop_slice(h->lmtp.loop, &l->task);
    return l;
}

static void lookup(void *ctx, struct span address, lmtp_lookup_done *done, void *arg)
{
    struct later *l = later(ctx, arg);
    l->lookup = done;
    l->error = address.n && address.p[0] == 'a'   ? 0
               : address.n && address.p[0] == 't' ? ERR_BUSY
                                                  : ERR_NOT_FOUND;
    size_t at = span_find_byte(address, '@');
    struct span local = span_head(address, MIN(at == SPAN_NPOS ? address.n : at, (size_t)63)), user;
    (void)span_split(&local, '+', &user);
    memcpy(l->user, user.p, user.n);
    if (local.n)
        memcpy(l->detail, local.p, local.n);
}

static void deliver(void *ctx, const struct lmtp_delivery *d, lmtp_deliver_done *done, void *arg)
{
    struct host *h = ctx;
    struct later *l = later(h, arg);
    l->deliver = done;
    l->error = span_eq(d->user, SPAN("afull"))    ? ERR_NO_SPACE
               : span_eq(d->user, SPAN("aquota")) ? ERR_QUOTA
               : span_eq(d->user, SPAN("aagain")) ? ERR_EXISTS
                                                  : h->fail_with;
    assert_true(span_starts(d->header, SPAN("Return-Path: <")));
    assert_true(span_ends(d->header, SPAN("\r\n")));
    h->deliveries++;
    buf_put(&h->ids, d->id, sizeof(d->id));
    buf_reset(&h->header);
    buf_put_span(&h->header, d->header);
    buf_put_span(&h->mail, d->user);
    if (d->mailbox.n) {
        buf_put_byte(&h->mail, '/');
        buf_put_span(&h->mail, d->mailbox);
    }
    buf_put_lit(&h->mail, "\n");
    for (uint64_t off = 0; off < spool_size(d->spool); off += 100000)
        assert_int_equal(spool_read(d->spool, off, 100000, &h->mail), 0);
}

static void on_ended(void *arg)
{
    struct host *h = arg;
    h->ended = true;
}

static void host_init(struct host *h)
{
    *h = (struct host){.mail = BUF_INIT(BUF_UNLIMITED),
                       .ids = BUF_INIT(BUF_UNLIMITED),
                       .header = BUF_INIT(BUF_UNLIMITED)};
    log_set_level(LOG_ERROR);
    h->lmtp.loop = loop_new();
    h->lmtp.ctx = h;
    h->lmtp.lookup = lookup;
    h->lmtp.deliver = deliver;
    h->lmtp.settings = (struct lmtp_settings){.host_name = "mx.example",
                                              .spool_dir = "/tmp",
                                              .message_max = 4000000,
                                              .recipients_max = 100,
                                              .timeout_s = 60,
                                              .detail_folder = true};
    list_init(&h->lmtp.sessions);
}

static void host_done(struct host *h)
{
    assert_int_equal(h->lmtp.session_count, 0);
    buf_done(&h->mail);
    buf_done(&h->ids);
    buf_done(&h->header);
    loop_free(h->lmtp.loop);
}

/* The other end: writes all it has, at most `step` bytes a turn, and collects what comes back. */
struct client {
    struct loop_watch *watch;
    struct span out;
    size_t step;
    struct buf in;
    int fd;
};

static void on_socket(void *arg, int events)
{
    struct client *c = arg;
    char in[4096];
    if (events & LOOP_WRITE && c->out.n) {
        ssize_t n = send(c->fd, c->out.p, MIN(c->out.n, c->step), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0)
            c->out = span_skip(c->out, (size_t)n);
        if (!c->out.n)
            loop_watch_set(c->watch, LOOP_READ);
    }
    if (events & LOOP_READ) {
        ssize_t n = recv(c->fd, in, sizeof(in), MSG_DONTWAIT);
        if (n > 0)
            buf_put(&c->in, in, (size_t)n);
        else if (n == 0) {
            loop_watch_free(c->watch);
            close(c->fd);
        }
    }
}

/* Runs one whole dialogue; returns what the server said, greeting and LHLO answer removed. */
static void dialogue(struct host *h, struct span script, size_t step, struct buf *ret)
{
    int fds[2];
    struct client c = {.out = script, .step = step};
    assert_int_equal(fdpass_pair_stream(fds, NULL), 0);
    buf_init(&c.in, BUF_UNLIMITED);
    c.fd = fds[0];
    c.watch = loop_watch_new(h->lmtp.loop, fds[0], on_socket, &c);
    loop_watch_set(c.watch, LOOP_READ | LOOP_WRITE);
    lmtp_session_start(&h->lmtp, fds[1], SPAN("192.0.2.1"));
    loop_run(h->lmtp.loop);
    buf_reset(ret);
    size_t at = span_find(buf_span(&c.in), SPAN("250 ENHANCEDSTATUSCODES\r\n"));
    assert_true(at != SPAN_NPOS);
    buf_put_span(ret, span_skip(buf_span(&c.in), at + 25));
    buf_done(&c.in);
}

/* The same dialogue in pieces of any size gives the same answers and deliveries. */
static void test_pieces(void **state)
{
    (void)state;
    static const char script[] =
        "LHLO there\r\nMAIL FROM:<s@example.org>\r\nRCPT TO:<anna@x>\r\nRCPT TO:<nobody@x>\r\n"
        "RCPT TO:<temporary@x>\r\nRCPT TO:<afull@x>\r\nRCPT TO:<abel@x>\r\nDATA\r\n"
        "Subject: t\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<anna@x>\r\nBDAT 5\r\nab\r\nc"
        "BDAT 4 LAST\r\ndefgDATA\r\nRSET\r\nNOOP\r\nQUIT\r\n";
    static const char answers[] =
        "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n550 5.1.1 There is no such user here\r\n"
        "451 4.3.0 Not possible at the moment, try again later\r\n250 2.1.5 Recipient ok\r\n"
        "250 2.1.5 Recipient ok\r\n354 Send the message, end with \".\" on a line by itself\r\n"
        "250 2.0.0 Delivered\r\n452 4.3.1 No space left, try again later\r\n250 2.0.0 Delivered\r\n"
        "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n250 2.0.0 Chunk received\r\n"
        "250 2.0.0 Delivered\r\n503 5.5.1 MAIL first\r\n250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n"
        "221 2.0.0 Bye\r\n";
    static const char mail[] = "anna\nSubject: t\r\n\r\n.dot\r\nafull\nSubject: t\r\n\r\n.dot\r\n"
                               "abel\nSubject: t\r\n\r\n.dot\r\nanna\nab\r\ncdefg";
    for (size_t step = 1; step < sizeof(script); step += step < 10 ? 1 : 37) {
        struct host h;
        autobuf got = BUF_INIT(BUF_UNLIMITED);
        host_init(&h);
        dialogue(&h, span_str(script), step, &got);
        assert_string_equal(got.p, answers);
        assert_string_equal(h.mail.p, mail);
        host_done(&h);
    }
}

static void test_large(void **state)
{
    (void)state;
    struct host h;
    autobuf script = BUF_INIT(BUF_UNLIMITED), got = BUF_INIT(BUF_UNLIMITED);
    host_init(&h);
    buf_put_lit(&script, "LHLO x\r\nMAIL FROM:<s@x> SIZE=5000000\r\nMAIL FROM:<s@x>\r\n"
                         "RCPT TO:<anna@x>\r\nRCPT TO:<abel@x>\r\nDATA\r\n");
    for (int i = 0; i < 50000; i++)
        buf_put_lit(&script, "01234567890123456789012345678901234567890123456789\r\n");
    buf_put_lit(&script, ".\r\nMAIL FROM:<s@x>\r\nRCPT TO:<anna@x>\r\nDATA\r\n");
    for (int i = 0; i < 100000; i++)
        buf_put_lit(&script, "01234567890123456789012345678901234567890123456789\r\n");
    buf_put_lit(&script, ".\r\nQUIT\r\n");
    dialogue(&h, buf_span(&script), 60000, &got);
    assert_int_equal(h.deliveries, 2);
    assert_int_equal(h.mail.n, 2 * (5 + 50000 * 52));
    assert_true(span_starts(buf_span(&got), SPAN("552 5.3.4 ")));
    assert_true(span_ends(buf_span(&got), SPAN("552 5.3.4 The message is larger than allowed\r\n"
                                               "221 2.0.0 Bye\r\n")));
    host_done(&h);
}

static void expect_dialogue(struct host *h, const char *script, const char *answers)
{
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    h->deliveries = 0;
    buf_reset(&h->mail);
    buf_reset(&h->ids);
    dialogue(h, span_str(script), 4096, &got);
    assert_string_equal(got.p, answers);
}

#define BEGIN   "LHLO there\r\nMAIL FROM:<s@x>\r\n"
#define BEGUN   "250 2.1.0 Sender ok\r\n"
#define RCPT_OK "250 2.1.5 Recipient ok\r\n"
#define BYE     "221 2.0.0 Bye\r\n"
#define GO      "354 Send the message, end with \".\" on a line by itself\r\n"

/* The same user twice: one delivery, as many answers as RCPTs (RFC 2033 section 4.2). */
static void test_same_recipient(void **state)
{
    (void)state;
    struct host h;
    host_init(&h);
    expect_dialogue(&h,
                    BEGIN "RCPT TO:<anna@x>\r\nRCPT TO:<anna@x>\r\nRCPT TO:<anna+a@x>\r\n"
                          "RCPT TO:<anna@y>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
                    BEGUN RCPT_OK RCPT_OK RCPT_OK RCPT_OK GO
                    "250 2.0.0 Delivered\r\n250 2.0.0 Delivered before\r\n250 2.0.0 Delivered\r\n"
                    "250 2.0.0 Delivered before\r\n" BYE);
    assert_string_equal(h.mail.p, "anna\nhi\r\nanna/a\nhi\r\n");
    /* What fails fails for both, too. */
    expect_dialogue(&h,
                    BEGIN "RCPT TO:<afull@x>\r\nRCPT TO:<afull@x>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
                    BEGUN RCPT_OK RCPT_OK GO "452 4.3.1 No space left, try again later\r\n"
                                             "452 4.3.1 No space left, try again later\r\n" BYE);
    assert_int_equal(h.deliveries, 1);
    host_done(&h);
}

static void test_codes(void **state)
{
    (void)state;
    struct host h;
    static const char script[] = BEGIN "RCPT TO:<aquota@x>\r\nRCPT TO:<aagain@x>\r\nDATA\r\nhi\r\n"
                                       ".\r\nQUIT\r\n";
    host_init(&h);
    expect_dialogue(&h, script,
                    BEGUN RCPT_OK RCPT_OK GO
                    "452 4.2.2 The mailbox is full\r\n250 2.0.0 Delivered before\r\n" BYE);
    h.lmtp.settings.over_quota_permanent = true;
    expect_dialogue(&h, script,
                    BEGUN RCPT_OK RCPT_OK GO
                    "552 5.2.2 The mailbox is full\r\n250 2.0.0 Delivered before\r\n" BYE);
    h.fail_with = ERR_UNKNOWN; /* nobody knows: it is to come again */
    expect_dialogue(&h, BEGIN "RCPT TO:<anna@x>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
                    BEGUN RCPT_OK GO
                    "451 4.3.0 Not possible at the moment, try again later\r\n" BYE);
    h.lmtp.settings.recipients_max = 1;
    expect_dialogue(&h, BEGIN "RCPT TO:<anna@x>\r\nRCPT TO:<anton@x>\r\nQUIT\r\n",
                    BEGUN RCPT_OK "452 4.5.3 Too many recipients\r\n" BYE);
    host_done(&h);
}

/* RFC 6531, RFC 3030, RFC 2033 section 4.3. */
static void test_extensions(void **state)
{
    (void)state;
    struct host h;
    host_init(&h);
    expect_dialogue(&h,
                    "LHLO there\r\nMAIL FROM:<j\xc3\xb6@x>\r\nMAIL FROM:<s@x>\r\n"
                    "RCPT TO:<a\xc3\xb6@x>\r\nRSET\r\nMAIL FROM:<j\xc3\xb6@x> SMTPUTF8\r\n"
                    "RCPT TO:<a\xc3\xb6@x>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
                    "553 5.6.7 This address needs SMTPUTF8\r\n" BEGUN
                    "553 5.6.7 This address needs SMTPUTF8\r\n250 2.0.0 Ok\r\n" BEGUN RCPT_OK GO
                    "250 2.0.0 Delivered\r\n" BYE);
    assert_true(span_find(buf_span(&h.header), SPAN("with UTF8LMTP\r\n")) != SPAN_NPOS);
    assert_true(span_starts(buf_span(&h.header),
                            SPAN("Return-Path: <j\xc3\xb6@x>\r\nDelivered-To: a\xc3\xb6@x\r\n"
                                 "Received: from there (192.0.2.1)\r\n")));
    expect_dialogue(&h,
                    "LHLO there\r\nMAIL FROM:<s@x> BODY=BINARYMIME\r\nRCPT TO:<anna@x>\r\nDATA\r\n"
                    "BDAT 2\r\nhiRCPT TO:<anton@x>\r\nDATA\r\nBDAT 0 LAST\r\nQUIT\r\n",
                    BEGUN RCPT_OK
                    "503 5.5.1 BINARYMIME needs BDAT\r\n250 2.0.0 Chunk received\r\n"
                    "503 5.5.1 The message has begun\r\n"
                    "503 5.5.1 DATA cannot follow BDAT\r\n250 2.0.0 Delivered\r\n" BYE);
    /* Nobody to answer for: no answer. */
    expect_dialogue(&h, BEGIN "RCPT TO:<nobody@x>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\nQUIT\r\n",
                    BEGUN "550 5.1.1 There is no such user here\r\n250 2.0.0 Ok\r\n" BYE);
    h.lmtp.settings.message_max = 4;
    expect_dialogue(&h,
                    BEGIN "RCPT TO:<anna@x>\r\nBDAT 3\r\nabcBDAT 3\r\ndefBDAT 1 LAST\r\ngQUIT\r\n",
                    BEGUN RCPT_OK "250 2.0.0 Chunk received\r\n"
                                  "552 5.3.4 The message is larger than allowed\r\n"
                                  "552 5.3.4 The message is larger than allowed\r\n" BYE);
    assert_int_equal(h.deliveries, 0);
    host_done(&h);
}

static void test_mailbox(void **state)
{
    (void)state;
    struct host h;
    host_init(&h);
    expect_dialogue(
        &h,
        BEGIN "RCPT TO:<anna+x> XMAILBOX=Sent+20Mail+2Fa\r\nRCPT TO:<anna> XMAILBOX=+0A\r\n"
              "RCPT TO:<anna> XMAILBOX=+A\r\nRCPT TO:<anna> XMAILBOX=+FF\r\n"
              "RCPT TO:<anna> NOTIFY=NEVER\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
        BEGUN RCPT_OK "501 5.5.4 Malformed XMAILBOX\r\n501 5.5.4 Malformed XMAILBOX\r\n"
                      "501 5.5.4 Malformed XMAILBOX\r\n555 5.5.4 Unknown parameter\r\n" GO
                      "250 2.0.0 Delivered\r\n" BYE);
    assert_string_equal(h.mail.p, "anna/Sent Mail/a\nhi\r\n");
    h.lmtp.settings.detail_folder = false;
    expect_dialogue(&h, BEGIN "RCPT TO:<anna+x@x>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n",
                    BEGUN RCPT_OK GO "250 2.0.0 Delivered\r\n" BYE);
    assert_string_equal(h.mail.p, "anna\nhi\r\n");
    host_done(&h);
}

/* The same envelope and content, however they come: the same id; anything else: another one. */
static void test_ids(void **state)
{
    (void)state;
    struct host h;
    unsigned char ids[8][LMTP_DELIVERY_ID];
    static const char *const scripts[] = {
        BEGIN "RCPT TO:<anna@x>\r\nDATA\r\nhi\r\n..\r\n.\r\nQUIT\r\n",
        BEGIN "RCPT TO:<anna@x>\r\nDATA\r\nhi\r\n..\r\n.\r\nQUIT\r\n",
        "LHLO other\r\nMAIL FROM:<s@x>\r\nRCPT TO:<anna@x>\r\nBDAT 3\r\nhi\rBDAT 4 "
        "LAST\r\n\n.\r\nQUIT\r\n",
        BEGIN "RCPT TO:<anna@x>\r\nDATA\r\nho\r\n..\r\n.\r\nQUIT\r\n",
        BEGIN "RCPT TO:<abel@x>\r\nDATA\r\nhi\r\n..\r\n.\r\nQUIT\r\n",
        BEGIN "RCPT TO:<anna+d@x>\r\nDATA\r\nhi\r\n..\r\n.\r\nQUIT\r\n",
        "LHLO there\r\nMAIL FROM:<t@x>\r\nRCPT TO:<anna@x>\r\nDATA\r\nhi\r\n..\r\n.\r\nQUIT\r\n",
        "LHLO there\r\nMAIL FROM:<>\r\nRCPT TO:<anna@x>\r\nDATA\r\nhi\r\n..\r\n.\r\nQUIT\r\n",
    };
    host_init(&h);
    for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
        autobuf got = BUF_INIT(BUF_UNLIMITED);
        buf_reset(&h.ids);
        dialogue(&h, span_str(scripts[i]), 4096, &got);
        assert_int_equal(h.ids.n, LMTP_DELIVERY_ID);
        memcpy(ids[i], h.ids.p, LMTP_DELIVERY_ID);
        for (size_t k = 0; k < i; k++)
            assert_int_equal(memcmp(ids[i], ids[k], LMTP_DELIVERY_ID) == 0, i < 3);
    }
    host_done(&h);
}

/* Nothing that is sent makes it do worse than answer. */
static void test_noise(void **state)
{
    (void)state;
    static const char *const words[] = {"MAIL FROM:<a@b>\r\n",
                                        "RCPT TO:<anna@x>\r\n",
                                        "DATA\r\n",
                                        ".\r\n",
                                        "BDAT 3\r\n",
                                        "BDAT 0 LAST\r\n",
                                        "abc",
                                        "RSET\r\n",
                                        "LHLO x\r\n",
                                        "\r\n",
                                        "BDAT 99999999999999999999\r\n",
                                        "RCPT TO:<no>\r\n",
                                        "\x80\xff\r\n",
                                        "VRFY x\r\n",
                                        "HELP\r\n"};
    for (int i = 0; i < 300; i++) {
        struct host h;
        autobuf script = BUF_INIT(BUF_UNLIMITED);
        host_init(&h);
        h.fail_with = i % 3 ? 0 : ERR_IO;
        buf_put_lit(&script, "LHLO x\r\n");
        for (int k = 0; k < 30; k++)
            buf_put_str(&script, words[random_u64() % ARRAY_LEN(words)]);
        buf_put_lit(&script, "\r\n.\r\nQUIT\r\n.\r\nQUIT\r\n");
        int fds[2];
        assert_int_equal(fdpass_pair_stream(fds, NULL), 0);
        assert_int_equal(send(fds[0], script.p, script.n, MSG_NOSIGNAL), (ssize_t)script.n);
        shutdown(fds[0], SHUT_WR);
        lmtp_session_start(&h.lmtp, fds[1], SPAN("192.0.2.1"));
        if (i % 2)
            close(fds[0]); /* gone before the first answer */
        loop_run(h.lmtp.loop);
        if (i % 2 == 0)
            close(fds[0]);
        host_done(&h);
    }
}

static void test_shutdown(void **state)
{
    (void)state;
    struct host h;
    int fds[2];
    char in[1000];
    host_init(&h);
    conn_set_patience(h.lmtp.loop, 10);
    assert_int_equal(fdpass_pair_stream(fds, NULL), 0);
    lmtp_session_start(&h.lmtp, fds[1], SPAN("192.0.2.1"));
    lmtp_shutdown(&h.lmtp, on_ended, &h);
    assert_false(h.ended);
    loop_run(h.lmtp.loop);
    assert_true(h.ended);
    ssize_t n = recv(fds[0], in, sizeof(in), MSG_DONTWAIT);
    assert_true(n > 0);
    assert_true(span_find(span_make(in, (size_t)n), SPAN("421 4.3.2 ")) != SPAN_NPOS);
    close(fds[0]);
    host_done(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_same_recipient),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_extensions),
        cmocka_unit_test(test_mailbox),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_shutdown),
    };
    return cmocka_run_group_tests_name("lmtp", tests, NULL, NULL);
}
