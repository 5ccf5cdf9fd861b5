#include "lmtp/session.h"

#include <openssl/evp.h>
#include <time.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/logline.h"
#include "base/metrics.h"
#include "wire/frame.h"
#include "wire/lmtp.h"

enum { HASH_SIZE = 32, DELIVERY_ID_VERSION = 1 };
enum {
    LINE_ARENA = 64 * 1024,
    COMMAND_LINE_MAX = 4096,
    ADDRESS_MAX = 1024,
    HEADER_MAX = 8192,
    MAILBOX_MAX = 512,
    ERRORS_MAX = 50
};

enum state {
    STATE_COMMAND,
    STATE_LOOKUP, /* RCPT: the host looks the address up */
    STATE_DATA,
    STATE_CHUNK,   /* BDAT */
    STATE_DELIVER, /* the host delivers to the recipients */
    STATE_OVER,
};

struct recipient {
    struct session *session;
    const struct recipient *same; /* an earlier one that is the same: it is delivered once */
    char *address, *user, *detail;
    char *mailbox; /* NULL: not asked for */
    int result;
    bool answered, done;
};

struct session {
    struct list link;
    struct lmtp_host *host;
    struct conn *conn;
    struct frame frame;
    struct loop_timer timeout;
    enum state state;
    char *peer, *helo, *sender;
    bool has_sender, bdat; /* MAIL was accepted; the message comes by BDAT */
    bool smtputf8, binary; /* as MAIL said */
    char *mailbox;         /* of the RCPT that is being looked up */
    struct buf address;    /* as well */
    EVP_MD_CTX *content;   /* SHA-256 of what has come of the message */
    struct recipient **recipients;
    size_t recipient_count, pending;
    struct spool *spool;
    struct lmtp_data data;
    uint64_t chunk_left;
    bool chunk_last, too_large, in_deliver, gone;
    struct buf rest; /* input that waits while the host has the word */
    unsigned errors;
};

static const struct frame_limits line_limits = {
    .max_line = COMMAND_LINE_MAX, .max_command = COMMAND_LINE_MAX, .max_discard = 1 << 20};

static void process(struct session *s, struct span in);

/* Replies (RFC 5321 section 4.2, RFC 2034). */

static void reply(struct session *s, unsigned code, const char *enhanced, const char *text)
{
    struct buf *out;
    if (s->gone)
        return;
    out = conn_begin(s->conn);
    buf_printf(out, *enhanced ? "%u %s %s\r\n" : "%u%s %s\r\n", code, enhanced, text);
    conn_end(s->conn);
}

static void finish(struct session *s)
{
    s->state = STATE_OVER;
    conn_finish(s->conn);
}

static void reset_mail(struct session *s)
{
    for (size_t i = 0; i < s->recipient_count; i++) {
        struct recipient *r = s->recipients[i];
        free(r->address);
        free(r->user);
        free(r->detail);
        free(r->mailbox);
        free(r);
    }
    free(s->recipients);
    s->recipients = NULL;
    s->recipient_count = 0;
    free(take_ptr(s->sender));
    s->has_sender = s->bdat = s->too_large = s->smtputf8 = s->binary = false;
    spool_unref(s->spool);
    s->spool = NULL;
    s->chunk_left = 0;
}

static void check_ended(struct lmtp_host *h)
{
    if (!h->stopping || h->session_count || !h->ended)
        return;
    void (*ended)(void *arg) = h->ended;
    h->ended = NULL;
    ended(h->ended_arg);
}

static void session_free(struct session *s)
{
    struct lmtp_host *h = s->host;
    metric_add(METRIC_PAIR(METRIC_CONNECTIONS, TLS, METRIC_STATE_LMTP, METRIC_TLS_NONE),
               (uint64_t)-1);
    list_remove(&s->link);
    loop_timer_cancel(&s->timeout);
    conn_free(s->conn);
    reset_mail(s);
    frame_done(&s->frame);
    buf_done(&s->rest);
    buf_done(&s->address);
    free(s->mailbox);
    EVP_MD_CTX_free(s->content);
    free(s->peer);
    free(s->helo);
    free(s);
    h->session_count--;
    check_ended(h);
}

/* The connection is gone, but the host may still owe us an answer. */
static void lose(struct session *s)
{
    s->gone = true;
    if (s->state != STATE_LOOKUP && s->state != STATE_DELIVER)
        session_free(s);
}

static void on_closed(void *owner, int code)
{
    (void)code;
    lose(owner);
}

static void arm(struct session *s)
{
    loop_timer_set(s->host->loop, &s->timeout, s->host->settings.timeout_s * 1000);
}

static void on_timeout(struct loop_timer *t)
{
    struct session *s = container_of(t, struct session, timeout);
    if (s->state == STATE_LOOKUP || s->state == STATE_DELIVER) {
        arm(s); /* not the client's fault */
    } else if (s->state == STATE_OVER) {
        session_free(s);
    } else {
        reply(s, 421, "4.4.2", "Timeout, closing the connection");
        finish(s);
        arm(s);
    }
}

/* The host has the word: input waits. */
static void hold(struct session *s, enum state state)
{
    s->state = state;
    conn_pause(s->conn);
}

static void go_on(struct session *s)
{
    s->state = STATE_COMMAND;
    if (s->gone) {
        session_free(s);
        return;
    }
    if (s->host->stopping) {
        reply(s, 421, "4.3.2", "Server is shutting down");
        finish(s);
        return;
    }
    autobuf held = BUF_INIT(BUF_UNLIMITED);
    struct buf empty = held;
    held = s->rest;
    s->rest = empty;
    arm(s);
    conn_resume(s->conn);
    process(s, buf_span(&held));
}

/* Delivery. */

static enum metric_delivery metric_of(int error)
{
    switch (error) {
    case 0:
        return METRIC_DELIVERY_STORED;
    case ERR_EXISTS:
        return METRIC_DELIVERY_DUPLICATE;
    case ERR_QUOTA:
        return METRIC_DELIVERY_OVER_QUOTA;
    case ERR_LIMIT:
    case ERR_INVALID:
        return METRIC_DELIVERY_REFUSED;
    default:
        return METRIC_DELIVERY_LATER;
    }
}

static void log_delivery(const struct session *s, const struct recipient *r)
{
    char size[24];
    snprintf(size, sizeof(size), "%llu", (unsigned long long)spool_size(s->spool));
    log_event(r->result == 0 || r->result == ERR_EXISTS ? LOG_INFO : LOG_WARNING, "delivery",
              "result",
              r->result == 0            ? "stored"
              : r->result == ERR_EXISTS ? "duplicate"
                                        : err_name(r->result),
              "user", r->user, "recipient", r->address, "sender", s->sender, "peer", s->peer,
              "size", size, NULL);
}

static void answer(struct session *s, const struct recipient *r)
{
    metric_add(METRIC_DELIVERIES + metric_of(r->result), 1);
    log_delivery(s, r);
    switch (r->result) {
    case 0:
        reply(s, 250, "2.0.0", "Delivered");
        break;
    case ERR_EXISTS:
        reply(s, 250, "2.0.0", "Delivered before");
        break;
    case ERR_QUOTA:
        if (s->host->settings.over_quota_permanent)
            reply(s, 552, "5.2.2", "The mailbox is full");
        else
            reply(s, 452, "4.2.2", "The mailbox is full");
        break;
    case ERR_LIMIT:
        reply(s, 552, "5.3.4", "The message is larger than allowed");
        break;
    case ERR_NO_SPACE:
        reply(s, 452, "4.3.1", "No space left, try again later");
        break;
    case ERR_INVALID:
        reply(s, 554, "5.6.0", "This message cannot be stored");
        break;
    default:
        reply(s, 451, "4.3.0", "Not possible at the moment, try again later");
        break;
    }
}

/* Answers go out in the order of the recipients (RFC 2033 section 4.2). */
static void answer_done(struct session *s)
{
    for (size_t i = 0; i < s->recipient_count; i++) {
        struct recipient *r = s->recipients[i];
        if (r->same) {
            r->done = r->same->done;
            r->result = r->same->result == 0 ? ERR_EXISTS : r->same->result;
        }
        if (!r->done)
            return;
        if (!r->answered)
            answer(s, r);
        r->answered = true;
    }
}

static void on_delivered(void *arg, int error)
{
    struct recipient *r = arg;
    struct session *s = r->session;
    r->result = error;
    r->done = true;
    answer_done(s);
    if (--s->pending == 0 && !s->in_deliver) {
        reset_mail(s);
        go_on(s);
    }
}

static void put_date(struct buf *out)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t t = (time_t)(clock_wall_us() / 1000000);
    struct tm tm = {0};
    localtime_r(&t, &tm);
    long zone = tm.tm_gmtoff / 60;
    buf_printf(out, "%s, %02d %s %04d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday], tm.tm_mday,
               months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
               zone < 0 ? '-' : '+', labs(zone) / 60, labs(zone) % 60);
}

/* What final delivery adds (RFC 5321 section 4.4; RFC 9228; UTF8LMTP: RFC 6531 section 4.3). */
static void make_header(const struct session *s, const struct recipient *r, struct buf *out)
{
    buf_printf(out,
               "Return-Path: <%s>\r\nDelivered-To: %s\r\nReceived: from %s (%s)\r\n"
               "\tby %s with %s\r\n\tfor <%s>; ",
               s->sender, r->address, s->helo, s->peer, s->host->settings.host_name,
               s->smtputf8 ? "UTF8LMTP" : "LMTP", r->address);
    put_date(out);
    buf_put_lit(out, "\r\n");
}

/* The id of a delivery: the same when an MTA repeats it, which sends the message as it did before,
 * and another one for another message, even of the same text, as it has lines of its own. What is
 * added here (make_header) is not part of it. docs/log-format.md says how it is made. */
static void make_id(const struct session *s, const struct recipient *r,
                    const unsigned char content[HASH_SIZE], unsigned char ret[LMTP_DELIVERY_ID])
{
    unsigned char hash[HASH_SIZE];
    autobuf all = BUF_INIT(BUF_UNLIMITED);
    put_u8(&all, DELIVERY_ID_VERSION);
    put_blob(&all, span_str(s->sender));
    put_blob(&all, span_str(r->user));
    put_blob(&all, span_str(r->mailbox ? r->mailbox : r->detail));
    buf_put(&all, content, HASH_SIZE);
    int ok = EVP_Digest(all.p, all.n, hash, NULL, EVP_sha256(), NULL);
    invariant(ok == 1);
    memcpy(ret, hash, LMTP_DELIVERY_ID);
}

static bool same_recipient(const struct recipient *a, const struct recipient *b)
{
    return strcmp(a->user, b->user) == 0 &&
           strcmp(a->mailbox ? a->mailbox : a->detail, b->mailbox ? b->mailbox : b->detail) == 0;
}

static void deliver_to(struct session *s, struct recipient *r,
                       const unsigned char content[HASH_SIZE])
{
    struct lmtp_host *h = s->host;
    autobuf header = BUF_INIT(HEADER_MAX);
    struct lmtp_delivery d = {.user = span_str(r->user), .spool = s->spool};
    make_header(s, r, &header);
    make_id(s, r, content, d.id);
    d.header = buf_span(&header);
    if (r->mailbox)
        d.mailbox = span_str(r->mailbox);
    else if (h->settings.detail_folder)
        d.mailbox = span_str(r->detail);
    h->deliver(h->ctx, &d, on_delivered, r);
}

static void deliver(struct session *s)
{
    int error = s->too_large ? ERR_LIMIT : spool_error(s->spool);
    unsigned char content[HASH_SIZE];
    int ok = EVP_DigestFinal_ex(s->content, content, NULL);
    invariant(ok == 1);
    hold(s, STATE_DELIVER);
    s->pending = 1; /* this function */
    s->in_deliver = true;
    for (size_t i = 0; i < s->recipient_count; i++) {
        struct recipient *r = s->recipients[i];
        if (r->same)
            continue;
        s->pending++;
        if (error)
            on_delivered(r, error);
        else
            deliver_to(s, r, content);
    }
    s->in_deliver = false;
    if (--s->pending == 0) {
        answer_done(s);
        reset_mail(s);
        s->state = STATE_COMMAND;
        conn_resume(s->conn);
    }
}

/* Message bytes. */

static void take(struct session *s, struct span bytes)
{
    if (spool_size(s->spool) + bytes.n > s->host->settings.message_max)
        s->too_large = true;
    if (s->too_large)
        return;
    (void)spool_write(s->spool, bytes); /* the error sticks */
    int ok = EVP_DigestUpdate(s->content, bytes.p, bytes.n);
    invariant(ok == 1);
}

static struct span take_data(struct session *s, struct span in)
{
    struct span piece;
    bool end = false;
    while (in.n && !end) {
        in = span_skip(in, lmtp_data_next(&s->data, in, &piece, &end));
        if (piece.n)
            take(s, piece);
    }
    if (end)
        deliver(s);
    return in;
}

static void end_chunk(struct session *s)
{
    s->state = STATE_COMMAND;
    if (s->chunk_last)
        deliver(s);
    else if (s->too_large)
        reply(s, 552, "5.3.4", "The message is larger than allowed");
    else
        reply(s, 250, "2.0.0", "Chunk received");
}

static struct span take_chunk(struct session *s, struct span in)
{
    size_t n = (size_t)MIN((uint64_t)in.n, s->chunk_left);
    if (s->spool)
        take(s, span_head(in, n));
    s->chunk_left -= n;
    in = span_skip(in, n);
    if (s->chunk_left == 0 && s->spool)
        end_chunk(s);
    else if (s->chunk_left == 0)
        s->state = STATE_COMMAND; /* a refused chunk has been thrown away */
    return in;
}

/* Commands. */

static void do_lhlo(struct session *s, const struct lmtp_command *c)
{
    reset_mail(s);
    free(s->helo);
    s->helo = span_dup(span_head(c->arg, 255));
    for (char *p = s->helo; *p; p++) /* it goes into a header field */
        if (!ascii_is_alpha((unsigned char)*p) && !ascii_is_digit((unsigned char)*p) &&
            !strchr("-._:[]", *p))
            *p = '?';
    struct buf *out = conn_begin(s->conn);
    buf_printf(out,
               "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
               "250-BINARYMIME\r\n250-CHUNKING\r\n250-XMAILBOX\r\n250 ENHANCEDSTATUSCODES\r\n",
               s->host->settings.host_name, (unsigned long long)s->host->settings.message_max);
    conn_end(s->conn);
}

static void do_mail(struct session *s, const struct lmtp_command *c)
{
    if (!s->helo) {
        reply(s, 503, "5.5.1", "LHLO first");
    } else if (s->has_sender) {
        reply(s, 503, "5.5.1", "A message is under way already");
    } else if (c->has_size && c->size > s->host->settings.message_max) {
        reply(s, 552, "5.3.4", "The message is larger than allowed");
    } else if (c->path.text.n > ADDRESS_MAX) {
        reply(s, 501, "5.1.7", "This address is too long");
    } else if (c->path.eightbit && !c->smtputf8) {
        reply(s, 553, "5.6.7", "This address needs SMTPUTF8"); /* RFC 6531 section 3.5 */
    } else {
        s->sender = span_dup(c->path.text);
        s->has_sender = true;
        s->smtputf8 = c->smtputf8;
        s->binary = c->body == LMTP_BODY_BINARYMIME;
        reply(s, 250, "2.1.0", "Sender ok");
    }
}

static void add_recipient(struct session *s, struct span user, struct span detail)
{
    struct recipient *r = xnew(struct recipient);
    r->session = s;
    r->address = span_dup(buf_span(&s->address));
    r->user = span_dup(user);
    r->detail = span_dup(detail);
    r->mailbox = take_ptr(s->mailbox);
    for (size_t i = 0; i < s->recipient_count && !r->same; i++)
        if (!s->recipients[i]->same && same_recipient(s->recipients[i], r))
            r->same = s->recipients[i];
    s->recipients =
        xrealloc_array(s->recipients, s->recipient_count + 1, sizeof(struct recipient *));
    s->recipients[s->recipient_count++] = r;
}

static void on_looked_up(void *arg, int error, struct span user, struct span detail)
{
    struct session *s = arg;
    if (error == 0) {
        add_recipient(s, user, detail);
        reply(s, 250, "2.1.5", "Recipient ok");
    } else if (error == ERR_NOT_FOUND || error == ERR_INVALID) {
        metric_add(METRIC_DELIVERIES + METRIC_DELIVERY_UNKNOWN_USER, 1);
        reply(s, 550, "5.1.1", "There is no such user here");
    } else {
        reply(s, 451, "4.3.0", "Not possible at the moment, try again later");
    }
    go_on(s);
}

static void do_rcpt(struct session *s, const struct lmtp_command *c)
{
    autobuf address = BUF_INIT(ADDRESS_MAX);
    if (!s->has_sender) {
        reply(s, 503, "5.5.1", "MAIL first");
        return;
    }
    if (s->bdat) {
        reply(s, 503, "5.5.1", "The message has begun");
        return;
    }
    if (c->path.eightbit && !s->smtputf8) {
        reply(s, 553, "5.6.7", "This address needs SMTPUTF8");
        return;
    }
    if (c->mailbox.n > MAILBOX_MAX) {
        reply(s, 501, "5.5.4", "This name is too long");
        return;
    }
    if (s->recipient_count >= s->host->settings.recipients_max) {
        reply(s, 452, "4.5.3", "Too many recipients");
        return;
    }
    buf_put_span(&address, c->path.local);
    if (c->path.domain.n) {
        buf_put_byte(&address, '@');
        buf_put_span(&address, c->path.domain);
    }
    if (!buf_ok(&address) || address.n > 255 || c->path.null) {
        metric_add(METRIC_DELIVERIES + METRIC_DELIVERY_UNKNOWN_USER, 1);
        reply(s, 550, "5.1.1", "There is no such user here");
        return;
    }
    free(s->mailbox);
    s->mailbox = c->mailbox.n ? span_dup(c->mailbox) : NULL;
    buf_reset(&s->address);
    buf_put_span(&s->address, c->path.text);
    hold(s, STATE_LOOKUP);
    s->host->lookup(s->host->ctx, buf_span(&address), on_looked_up, s);
}

static bool ready_for_data(struct session *s)
{
    if (!s->has_sender || !s->recipient_count)
        reply(s, 503, "5.5.1", s->has_sender ? "No valid recipients" : "MAIL first");
    return s->has_sender && s->recipient_count;
}

static void begin_message(struct session *s)
{
    s->spool = spool_new(s->host->settings.spool_dir, &s->host->spooled);
    int ok = EVP_DigestInit_ex(s->content, EVP_sha256(), NULL);
    invariant(ok == 1);
}

static void do_data(struct session *s)
{
    if (s->bdat || s->binary) { /* RFC 3030 sections 2 and 3 */
        reply(s, 503, "5.5.1", s->bdat ? "DATA cannot follow BDAT" : "BINARYMIME needs BDAT");
        return;
    }
    if (!ready_for_data(s))
        return;
    begin_message(s);
    s->data = (struct lmtp_data){0};
    s->state = STATE_DATA;
    reply(s, 354, "", "Send the message, end with \".\" on a line by itself");
}

static void do_bdat(struct session *s, const struct lmtp_command *c)
{
    if (c->last && !s->recipient_count) {
        reset_mail(s); /* a reply for each recipient, so none at all (RFC 2033 section 4.3) */
    } else if (ready_for_data(s)) {
        s->bdat = true;
        if (!s->spool)
            begin_message(s);
    }
    s->chunk_left = c->size;
    s->chunk_last = c->last;
    s->state = STATE_CHUNK; /* the bytes come in any case */
    if (s->chunk_left == 0)
        (void)take_chunk(s, SPAN_EMPTY);
}

static void run(struct session *s, const struct lmtp_command *c)
{
    switch (c->verb) {
    case LMTP_LHLO:
        do_lhlo(s, c);
        break;
    case LMTP_MAIL:
        do_mail(s, c);
        break;
    case LMTP_RCPT:
        do_rcpt(s, c);
        break;
    case LMTP_DATA:
        do_data(s);
        break;
    case LMTP_BDAT:
        do_bdat(s, c);
        break;
    case LMTP_RSET:
        reset_mail(s);
        reply(s, 250, "2.0.0", "Ok");
        break;
    case LMTP_NOOP:
        reply(s, 250, "2.0.0", "Ok");
        break;
    case LMTP_VRFY:
        reply(s, 252, "2.5.0", "Send some mail, it may be accepted");
        break;
    case LMTP_HELP:
        reply(s, 214, "2.0.0", "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY QUIT");
        break;
    case LMTP_QUIT:
        reply(s, 221, "2.0.0", "Bye");
        finish(s);
        break;
    case LMTP_HELO:
    case LMTP_EHLO:
        reply(s, 500, "5.5.1", "This is LMTP: use LHLO"); /* RFC 2033 section 4.1 */
        break;
    default:
        reply(s, 502, "5.5.1", "This command is not implemented");
        break;
    }
}

static void on_line(struct session *s, struct span line)
{
    autoarena arena = ARENA_INIT(LINE_ARENA);
    struct lmtp_command c;
    struct lmtp_error error;
    bool parsed = lmtp_parse(line, &arena, &c, &error) == 0;
    if (parsed && !c.n_params) {
        run(s, &c);
        return;
    }
    if (parsed) /* of an extension that is not offered (RFC 5321 section 4.1.1.11) */
        reply(s, 555, "5.5.4", "Unknown parameter");
    else
        reply(s, error.code, error.enhanced, error.text);
    if (++s->errors > ERRORS_MAX) {
        reply(s, 421, "4.7.0", "Too many errors");
        finish(s);
    }
}

static struct span next_line(struct session *s, struct span in, bool *ret_more)
{
    struct frame_event ev;
    frame_expect_line(&s->frame);
    in = span_skip(in, frame_next(&s->frame, in, &ev));
    *ret_more = false;
    if (ev.kind == FRAME_LINE) {
        on_line(s, ev.text);
    } else if (ev.kind == FRAME_ERROR) {
        reply(s, 500, "5.5.2", ev.reason);
    } else if (ev.kind == FRAME_FATAL) {
        reply(s, 421, "4.7.0", ev.reason);
        finish(s);
    } else {
        *ret_more = true;
    }
    return in;
}

static void process(struct session *s, struct span in)
{
    bool more = false;
    while (!more) {
        switch (s->state) {
        case STATE_COMMAND:
            in = next_line(s, in, &more);
            break;
        case STATE_DATA:
            more = !in.n;
            in = take_data(s, in);
            break;
        case STATE_CHUNK:
            more = !in.n;
            in = take_chunk(s, in);
            break;
        case STATE_LOOKUP:
        case STATE_DELIVER:
            buf_put_span(&s->rest, in);
            return;
        case STATE_OVER:
            return;
        }
    }
}

static void on_input(void *owner, struct span bytes)
{
    struct session *s = owner;
    arm(s);
    process(s, bytes);
    if (s->state == STATE_DATA || s->state == STATE_CHUNK)
        conn_acknowledge(s->conn);
}

static void on_eof(void *owner)
{
    finish(owner);
}

void lmtp_session_start(struct lmtp_host *h, int fd, struct span peer)
{
    static const struct conn_ops ops = {.input = on_input, .eof = on_eof, .closed = on_closed};
    struct session *s = xnew(struct session);
    autobuf greeting = BUF_INIT(512);
    s->host = h;
    metric_add(METRIC_PAIR(METRIC_CONNECTIONS, TLS, METRIC_STATE_LMTP, METRIC_TLS_NONE), 1);
    s->peer = span_dup(peer);
    frame_init(&s->frame, &line_limits);
    buf_init(&s->rest, BUF_UNLIMITED);
    buf_init(&s->address, BUF_UNLIMITED);
    s->content = EVP_MD_CTX_new();
    invariant(s->content);
    loop_timer_init(&s->timeout, on_timeout);
    list_push_back(&h->sessions, &s->link);
    h->session_count++;
    s->conn = conn_new(h->loop, fd, &ops, s);
    arm(s);
    buf_printf(&greeting, "%s LMTP Martlet ready", h->settings.host_name);
    reply(s, 220, "", greeting.p);
}

void lmtp_shutdown(struct lmtp_host *h, void (*ended)(void *arg), void *arg)
{
    struct session *s, *next;
    h->stopping = true;
    h->ended = ended;
    h->ended_arg = arg;
    list_each_safe(s, next, &h->sessions, link)
    {
        if (s->state == STATE_LOOKUP || s->state == STATE_DELIVER || s->state == STATE_OVER)
            continue;
        reply(s, 421, "4.3.2", "Server is shutting down");
        finish(s);
    }
    check_ended(h);
}
