#include "daemon/login/login.h"

#include "base/clock.h"
#include "base/logline.h"
#include "base/metrics.h"
#include "io/fdpass.h"

static void on_input(void *owner, struct span bytes);
static void on_eof(void *owner);
static void on_closed(void *owner, int code);

static const struct conn_ops conn_ops = {.input = on_input, .eof = on_eof, .closed = on_closed};

bool session_plaintext_allowed(const struct session *s)
{
    return s->tls || s->tls_ended || s->local || s->login->daemon->conf->login_plaintext;
}

static void pump_leave(struct session *s);

static void set_reason(struct session *s, const char *why)
{
    if (!*s->reason)
        snprintf(s->reason, sizeof(s->reason), "%s", why);
}

/* One that has logged in says more, in its mail process. */
static void log_end(struct session *s)
{
    uint64_t in, out;
    if (s->handed_over || !log_enabled(LOG_DEBUG))
        return;
    conn_bytes(s->conn, &in, &out);
    log_event(LOG_DEBUG, "disconnect", LOG_SESSION(s->id), "peer", s->peer, "reason",
              *s->reason ? s->reason : "closed", "seconds",
              LOG_NUMBER((clock_monotonic_us() - s->since_us) / 1000000), "in", LOG_NUMBER(in),
              "out", LOG_NUMBER(out), NULL);
}

static void count_state(struct session *s)
{
    enum metric_state state = s->state == STATE_SASL || s->state == STATE_CHECK
                                  ? METRIC_STATE_LOGIN
                                  : METRIC_STATE_GREETING;
    enum metric_tls tls =
        s->pump ? metric_tls(span_str(tls_pump_version(s->pump))) : METRIC_TLS_NONE;
    unsigned slot = METRIC_PAIR(METRIC_CONNECTIONS, TLS, state, tls);
    if (slot == s->counted_as)
        return;
    if (s->counted_as)
        metric_add(s->counted_as, (uint64_t)-1);
    metric_add(slot, 1);
    s->counted_as = slot;
}

void session_free(struct session *s)
{
    struct login *login = s->login;
    session_auth_cancel(s);
    log_end(s);
    metric_add(s->counted_as, (uint64_t)-1);
    if (s->pump && !tls_pump_established(s->pump)) { /* a handshake that nobody waits for */
        tls_pump_free(take_ptr(s->pump));
        login->pump_count--;
    } else if (s->pump) {
        pump_leave(s);
    }
    list_remove(&s->link);
    login->session_count--;
    login->tls_session_count -= s->tls;
    loop_timer_cancel(&s->timeout);
    conn_free(s->conn);
    frame_done(&s->frame);
    loop_task_cancel(&s->hand_over);
    buf_done(&s->granted);
    buf_done(&s->granted_to);
    buf_done(&s->tag);
    buf_done(&s->rest);
    free(s->peer);
    free(s->client_name);
    free(s);
    login_check_limits(login);
}

void session_bye(struct session *s, const char *text)
{
    if (s->state == STATE_OVER)
        return;
    session_auth_cancel(s);
    set_reason(s, text);
    session_status(s, SPAN("*"), "BYE", NULL, text);
    s->state = STATE_OVER;
    conn_finish(s->conn);
}

void session_drop(struct session *s, const char *text)
{
    set_reason(s, text);
    if (s->state != STATE_OVER)
        session_status(s, SPAN("*"), "BYE", NULL, text);
    conn_flush(s->conn);
    session_free(s);
}

static void on_timeout(struct loop_timer *t)
{
    struct session *s = container_of(t, struct session, timeout);
    if (s->state == STATE_OVER) { /* it does not even take our BYE */
        session_free(s);
        return;
    }
    session_bye(s, "Login timeout");
    loop_timer_set(s->login->daemon->loop, t, 5000);
}

static void on_closed(void *owner, int code)
{
    struct session *s = owner;
    set_reason(s, s->tls && !s->pump ? "TLS ended" : err_name(code));
    session_free(s);
}

static void on_eof(void *owner)
{
    struct session *s = owner;
    session_auth_cancel(s);
    s->state = STATE_OVER;
    conn_finish(s->conn);
}

/* Auth has the word: what the client sends meanwhile waits, at most one read of INPUT_MAX. */
static void hold(struct session *s, struct span in)
{
    conn_pause(s->conn);
    buf_put_span(&s->rest, in);
}

/* Feeds the framer until the input is used up, or something else has the word. */
static void process(struct session *s, struct span in)
{
    struct frame_event ev;
    s->drop_input = false;
    for (;;) {
        in = span_skip(in, frame_next(&s->frame, in, &ev));
        switch (ev.kind) {
        case FRAME_MORE:
            return;
        case FRAME_COMMAND:
            session_command(s, ev.text);
            break;
        case FRAME_LINE:
            session_sasl_line(s, ev.text);
            break;
        case FRAME_CONTINUE:
            conn_put_lit(s->conn, "+ OK\r\n");
            break;
        case FRAME_LITERAL_ASK:
            frame_literal_refuse(&s->frame);
            session_bad(s, ev.tag, "Log in first");
            break;
        case FRAME_ERROR:
            session_bad(s, ev.tag, ev.reason);
            break;
        case FRAME_FATAL:
            session_bye(s, ev.reason);
            break;
        default:
            break; /* no literal is streamed before login */
        }
        if (s->state == STATE_OVER || s->drop_input)
            return;
        if (s->state == STATE_CHECK) {
            hold(s, in);
            return;
        }
    }
}

static void on_input(void *owner, struct span bytes)
{
    struct session *s = owner;
    process(s, bytes);
    count_state(s);
    if (s->state == STATE_COMMAND && !frame_idle(&s->frame))
        conn_acknowledge(s->conn);
}

void session_go_on(struct session *s)
{
    autobuf held = BUF_INIT(BUF_UNLIMITED);
    struct buf empty = held;
    held = s->rest;
    s->rest = empty;
    conn_resume(s->conn);
    process(s, buf_span(&held));
    count_state(s);
}

static void pump_over(struct login *login)
{
    login->pump_count--;
    login_check_limits(login);
}

/* What stays here of a TLS connection whose session has moved on to its mail process. */
struct left_pump {
    struct login *login;
    struct tls_pump *pump;
    uint64_t session;
};

static void on_left_done(void *arg, const char *failure)
{
    struct left_pump *left = arg;
    struct login *login = left->login;
    (void)failure;
    map_remove(&login->left, map_u64_key(&left->session));
    free(left);
    pump_over(login);
}

static void pump_leave(struct session *s)
{
    struct left_pump *left = xnew(struct left_pump);
    *left = (struct left_pump){s->login, s->pump, s->id};
    map_put(&s->login->left, map_u64_key(&left->session), left);
    tls_pump_set_done(s->pump, on_left_done, left);
}

/* The conn on its plain side will hear of it. */
static void on_session_pump_done(void *arg, const char *failure)
{
    struct session *s = arg;
    s->pump = NULL;
    if (failure) {
        log_event(LOG_INFO, "tls-failed", LOG_SESSION(s->id), "peer", s->peer, "msg", failure,
                  NULL);
        set_reason(s, "TLS handshake failed");
    }
    pump_over(s->login);
}

void session_start_tls(struct session *s, int tls_fd, const int pair[2])
{
    struct login *login = s->login;
    s->pump =
        tls_pump_new(login->daemon->loop, login->tls, tls_fd, pair[0], on_session_pump_done, s);
    login->pump_count++;
    login->tls_session_count++;
    s->tls = true;
    s->conn = conn_new(login->daemon->loop, pair[1], &conn_ops, s);
    conn_set_input_max(s->conn, INPUT_MAX);
}

/* Whether a client has a certificate the handshake will tell, which has not come to its end yet:
 * then it asks for the capabilities itself. */
static void greet(struct session *s)
{
    if (s->pump && s->login->daemon->conf->tls_client_certificates != CONF_CLIENT_NO) {
        session_status(s, SPAN("*"), "OK", NULL, "Martlet ready");
        return;
    }
    autobuf code = BUF_INIT(1024);
    buf_put_lit(&code, "CAPABILITY ");
    session_capabilities(s, &code);
    session_status(s, SPAN("*"), "OK", code.p, "Martlet ready");
}

static struct session *session_make(struct login *login, uint64_t id)
{
    struct session *s = xnew(struct session);
    s->login = login;
    s->id = id;
    buf_init(&s->tag, 2 * INPUT_MAX);
    buf_init(&s->rest, BUF_UNLIMITED);
    session_auth_init(s);
    frame_init(&s->frame, &login->limits);
    loop_timer_init(&s->timeout, on_timeout);
    list_push_back(&login->sessions, &s->link);
    login->session_count++;
    loop_timer_set(login->daemon->loop, &s->timeout, login->daemon->conf->login_timeout * 1000);
    s->since_us = clock_monotonic_us();
    return s;
}

void session_new(struct login *login, const struct client *client)
{
    int pair[2];
    if (client->tls && (!login->tls || fdpass_pair_stream(pair, NULL) < 0)) {
        close(client->fd);
        return;
    }
    struct session *s = session_make(login, login->next_session++);
    autobuf host = BUF_INIT(128);
    address_format_host(&client->peer, &host);
    s->peer = buf_take(&host);
    s->local = address_is_loopback(&client->local) && !client->remote;
    s->tls_ended = client->tls_ended;
    if (client->tls) {
        session_start_tls(s, client->fd, pair);
    } else {
        s->conn = conn_new(login->daemon->loop, client->fd, &conn_ops, s);
        conn_set_input_max(s->conn, INPUT_MAX);
    }
    metric_add(METRIC_ACCEPTED + (client->tls ? METRIC_LISTENER_IMAPS : METRIC_LISTENER_IMAP), 1);
    count_state(s);
    log_event(LOG_DEBUG, "connect", LOG_SESSION(s->id), "peer", s->peer, "service",
              client->tls ? "imaps" : "imap", NULL);
    greet(s);
}

void session_return(struct login *login, const struct message *m, int fd)
{
    uint64_t id = m->u.give_back.session;
    struct left_pump *left = NULL;
    if (m->u.give_back.tls) {
        left = map_remove(&login->left, map_u64_key(&id));
        if (!left) { /* the client went away at this moment */
            close(fd);
            return;
        }
    }
    struct session *s = session_make(login, id);
    s->peer = span_dup(m->u.give_back.peer);
    if (m->u.give_back.client_name.n)
        s->client_name = span_dup(m->u.give_back.client_name);
    s->local = m->u.give_back.local;
    s->tls_ended = m->u.give_back.tls_ended;
    if (left) {
        s->tls = true;
        login->tls_session_count++;
        s->pump = left->pump;
        tls_pump_set_done(s->pump, on_session_pump_done, s);
        free(left);
    }
    s->conn = conn_new(login->daemon->loop, fd, &conn_ops, s);
    conn_set_input_max(s->conn, INPUT_MAX);
    count_state(s);
    on_input(s, m->u.give_back.input);
}
