#include "daemon/auth/mta.h"

#include "base/arena.h"
#include "base/logline.h"
#include "base/map.h"
#include "base/random.h"
#include "daemon/auth/attempt.h"
#include "io/conn.h"
#include "io/listen.h"
#include "wire/base64.h"
#include "wire/mta_auth.h"

struct mta {
    struct auth *auth;
    struct loop *loop;
    struct listener *listener;
    struct list clients;
    size_t count;
    unsigned next_id;
};

/* A connection of the MTA: usually one of each of its processes. */
struct mta_client {
    struct list link;
    struct mta *mta;
    struct conn *conn;
    struct buf line; /* the beginning of one */
    struct map requests;
};

struct mta_request_state {
    struct mta_client *client;
    uint64_t id;
    struct attempt *attempt;
    /* The mechanism's last words went out as a challenge; success follows the client's empty
     * answer: the protocol's OK has no place for them. */
    bool proven;
    char *user, *login;
};

static void request_free(struct mta_request_state *r)
{
    map_remove(&r->client->requests, map_u64_key(&r->id));
    free(r->user);
    free(r->login);
    free(r);
}

static void client_free(struct mta_client *c)
{
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&c->requests, &pos, &key, &value)) {
        struct mta_request_state *r = value;
        if (r->attempt)
            attempt_cancel(r->attempt);
        request_free(r);
    }
    map_done(&c->requests);
    list_remove(&c->link);
    c->mta->count--;
    listener_resume(c->mta->listener);
    conn_free(c->conn);
    buf_done(&c->line);
    free(c);
}

/* Answers. */

static struct buf *begin(struct mta_client *c, const char *word, uint64_t id)
{
    struct buf *out = conn_begin(c->conn);
    buf_put_str(out, word);
    buf_put_byte(out, '\t');
    buf_put_u64(out, id);
    return out;
}

static void end(struct mta_client *c, struct buf *out)
{
    buf_put_byte(out, '\n');
    conn_end(c->conn);
}

static void fail(struct mta_client *c, uint64_t id, enum auth_failure why)
{
    struct buf *out = begin(c, "FAIL", id);
    if (why == AUTH_FAILURE_UNAVAILABLE)
        mta_put_field(out, SPAN("temp"), SPAN_EMPTY);
    else if (why == AUTH_FAILURE_AUTHORIZATION)
        mta_put_field(out, SPAN("authz"), SPAN_EMPTY);
    else if (why == AUTH_FAILURE_EXPIRED)
        mta_put_field(out, SPAN("code"), SPAN("pass_expired"));
    else if (why == AUTH_FAILURE_MECHANISM)
        mta_put_field(out, SPAN("reason"), SPAN("Mechanism is not offered"));
    else if (why == AUTH_FAILURE_SYNTAX)
        mta_put_field(out, SPAN("reason"), SPAN("Malformed response"));
    end(c, out);
}

static void put_challenge(struct mta_client *c, uint64_t id, struct span data)
{
    struct buf *out = begin(c, "CONT", id);
    buf_put_byte(out, '\t');
    base64_encode(data, out);
    end(c, out);
}

static void succeed(struct mta_request_state *r)
{
    struct buf *out = begin(r->client, "OK", r->id);
    mta_put_field(out, SPAN("user"), span_str(r->user));
    if (strcmp(r->user, r->login) != 0)
        mta_put_field(out, SPAN("original_user"), span_str(r->login));
    end(r->client, out);
    request_free(r);
}

static void on_challenge(void *arg, struct span data)
{
    struct mta_request_state *r = arg;
    put_challenge(r->client, r->id, data);
}

static void on_ok(void *arg, struct span user, struct span login, struct span data)
{
    struct mta_request_state *r = arg;
    r->attempt = NULL;
    r->user = span_dup(user);
    r->login = span_dup(login);
    if (data.n) {
        r->proven = true;
        put_challenge(r->client, r->id, data);
    } else {
        succeed(r);
    }
}

static void on_failed(void *arg, enum auth_failure why)
{
    struct mta_request_state *r = arg;
    r->attempt = NULL;
    fail(r->client, r->id, why);
    request_free(r);
}

/* Requests. */

static void start_attempt(struct mta_client *c, const struct mta_request *q, struct span initial)
{
    static const struct attempt_ops ops = {on_challenge, on_ok, on_failed};
    uint64_t id = q->id;
    if (map_get(&c->requests, map_u64_key(&id)) || c->requests.count >= MTA_ATTEMPTS_MAX) {
        fail(c, id, AUTH_FAILURE_UNAVAILABLE);
        return;
    }
    struct mta_request_state *r = xnew(struct mta_request_state);
    struct attempt_start start = {
        .mechanism = q->mechanism,
        .service = q->service.n ? q->service : SPAN("smtp"),
        .has_initial = q->has_response,
        .initial = initial,
        .peer = {.address = q->remote.n ? q->remote : SPAN("unix"),
                 .local = q->local,
                 .tls = q->secured,
                 .secure = true,
                 .certificate_user = q->client_certificate},
        .session = random_u64(),
    };
    r->client = c;
    r->id = id;
    map_put(&c->requests, map_u64_key(&r->id), r);
    r->attempt = attempt_start(c->mta->auth, &start, &ops, r);
}

static void go_on(struct mta_client *c, uint64_t id, struct span data)
{
    struct mta_request_state *r = map_get(&c->requests, map_u64_key(&id));
    if (!r) /* it has ended meanwhile */
        return;
    if (!r->proven) {
        attempt_continue(r->attempt, data);
    } else if (data.n) {
        fail(c, id, AUTH_FAILURE_SYNTAX);
        request_free(r);
    } else {
        succeed(r);
    }
}

static void cancel(struct mta_client *c, uint64_t id)
{
    struct mta_request_state *r = map_get(&c->requests, map_u64_key(&id));
    if (!r)
        return;
    if (r->attempt)
        attempt_cancel(r->attempt);
    request_free(r);
}

/* False: this is not the protocol; the connection ends. */
static bool take_line(struct mta_client *c, struct span line)
{
    autoarena arena = ARENA_INIT(2 * MTA_LINE_MAX);
    autobuf data = BUF_INIT(MTA_LINE_MAX);
    struct mta_request q;
    const char *reason;
    if (mta_parse(line, &arena, &q, &reason) < 0) {
        log_event(LOG_WARNING, "mta-protocol-error", "msg", reason, NULL);
        return false;
    }
    bool decoded = !q.has_response || base64_decode(q.response, &data) == 0;
    if (q.verb == MTA_CANCEL) {
        cancel(c, q.id);
    } else if (q.verb == MTA_AUTH && decoded) {
        start_attempt(c, &q, buf_span(&data));
    } else if (q.verb == MTA_CONT && decoded) {
        go_on(c, q.id, buf_span(&data));
    } else if (q.verb == MTA_AUTH || q.verb == MTA_CONT) {
        cancel(c, q.id);
        fail(c, q.id, AUTH_FAILURE_SYNTAX);
    }
    if (data.p)
        explicit_bzero(data.p, data.n);
    return true;
}

static void end_client(struct mta_client *c)
{
    conn_pause(c->conn);
    conn_finish(c->conn);
}

static void on_input(void *owner, struct span in)
{
    struct mta_client *c = owner;
    size_t at;
    while ((at = span_find_byte(in, '\n')) != SPAN_NPOS) {
        buf_put_span(&c->line, span_head(in, at));
        in = span_skip(in, at + 1);
        bool good = buf_ok(&c->line) && take_line(c, buf_span(&c->line));
        if (c->line.p)
            explicit_bzero(c->line.p, c->line.n);
        buf_reset(&c->line);
        if (!good) {
            end_client(c);
            return;
        }
    }
    buf_put_span(&c->line, in);
    if (!buf_ok(&c->line))
        end_client(c);
    else if (!c->line.n)
        buf_done(&c->line);
}

static void on_closed(void *owner, int code)
{
    (void)code;
    client_free(owner);
}

/* What the MTA may offer to its clients, and with which security properties. */
static void put_mechanisms(struct mta *m, struct buf *out)
{
    static const struct {
        const char *name, *properties;
    } known[] = {{"PLAIN", "\tplaintext"},
                 {"LOGIN", "\tplaintext"},
                 {"ANONYMOUS", "\tanonymous"},
                 {"SCRAM-SHA-1", "\tmutual-auth"},
                 {"SCRAM-SHA-256", "\tmutual-auth"}};
    autobuf names = BUF_INIT(4096);
    const struct auth_peer peer = {.secure = true};
    struct span rest, name;
    auth_mechanisms(m->auth, SPAN("smtp"), &peer, &names);
    rest = buf_span(&names);
    while (span_split(&rest, ' ', &name)) {
        if (!name.n)
            continue;
        buf_put_lit(out, "MECH\t");
        buf_put_span(out, name);
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
            if (span_eq(name, span_str(known[i].name)))
                buf_put_str(out, known[i].properties);
        buf_put_byte(out, '\n');
    }
}

static void greet(struct mta_client *c)
{
    unsigned char cookie[16];
    random_bytes(cookie, sizeof(cookie));
    struct buf *out = conn_begin(c->conn);
    buf_put_lit(out, "VERSION\t1\t2\n");
    put_mechanisms(c->mta, out);
    buf_printf(out, "SPID\t%d\nCUID\t%u\nCOOKIE\t", (int)getpid(), ++c->mta->next_id);
    buf_put_hex(out, cookie, sizeof(cookie));
    buf_put_lit(out, "\nDONE\n");
    conn_end(c->conn);
}

static void on_accept(void *arg, int fd, const struct address *peer)
{
    static const struct conn_ops ops = {.input = on_input, .closed = on_closed};
    struct mta *m = arg;
    struct mta_client *c = xnew(struct mta_client);
    (void)peer;
    c->mta = m;
    buf_init(&c->line, MTA_LINE_MAX);
    list_push_back(&m->clients, &c->link);
    if (++m->count >= MTA_CONNECTIONS_MAX)
        listener_pause(m->listener);
    c->conn = conn_new(m->loop, fd, &ops, c);
    greet(c);
}

struct mta *mta_new(struct auth *a, struct loop *l, int listen_fd)
{
    struct mta *m = xnew(struct mta);
    m->auth = a;
    m->loop = l;
    list_init(&m->clients);
    m->listener = listener_new(l, listen_fd, on_accept, m);
    return m;
}

void mta_free(struct mta *m)
{
    struct mta_client *c, *next;
    if (!m)
        return;
    list_each_safe(c, next, &m->clients, link) client_free(c);
    listener_free(m->listener);
    free(m);
}
