/* The SASL exchange between client and auth process, and what follows when it succeeds. */
#include <fcntl.h>

#include "base/logline.h"
#include "daemon/login/login.h"
#include "wire/base64.h"

static const char unavailable[] = "Logging in is not possible at the moment, try again later";

static void end_dialogue(struct session *s)
{
    map_remove(&s->login->by_auth, map_u64_key(&s->auth_id));
    s->auth_id = 0;
}

void session_auth_cancel(struct session *s)
{
    struct message m = {.kind = MESSAGE_AUTH_CANCEL};
    if (!s->auth_id)
        return;
    m.u.auth_end.id = s->auth_id;
    end_dialogue(s);
    if (s->login->auth.ch)
        (void)channel_send(s->login->auth.ch, &m, -1);
}

static bool tell_auth(struct session *s, const struct message *m)
{
    s->state = STATE_CHECK;
    if (s->login->auth.ch && channel_send(s->login->auth.ch, m, -1) == 0)
        return true;
    end_dialogue(s);
    s->state = STATE_COMMAND;
    session_status(s, buf_span(&s->tag), "NO", "UNAVAILABLE", unavailable);
    return false;
}

void session_authenticate(struct session *s, struct span mechanism, bool has_initial,
                          struct span initial)
{
    struct message m = {.kind = MESSAGE_AUTH_START};
    struct tls_bindings bindings = {0};
    autobuf user = BUF_INIT(USER_NAME_MAX);
    s->auth_id = s->login->next_auth++;
    map_put(&s->login->by_auth, map_u64_key(&s->auth_id), s);
    m.u.auth_start.id = s->auth_id;
    m.u.auth_start.session = s->id;
    m.u.auth_start.mechanism = mechanism;
    snprintf(s->mechanism, sizeof(s->mechanism), SPAN_FMT, SPAN_ARG(mechanism));
    m.u.auth_start.has_initial = has_initial;
    m.u.auth_start.initial = initial;
    m.u.auth_start.service = SPAN("imap");
    m.u.auth_start.peer.address = span_str(s->peer);
    m.u.auth_start.peer.tls = s->tls || s->tls_ended;
    m.u.auth_start.peer.secure = session_plaintext_allowed(s);
    if (s->pump) {
        tls_pump_bindings(s->pump, &bindings);
        m.u.auth_start.peer.binding_exporter = bindings.exporter;
        m.u.auth_start.peer.binding_unique = bindings.unique;
        m.u.auth_start.peer.binding_endpoint = bindings.endpoint;
        if (tls_pump_certificate_user(s->pump, &user))
            m.u.auth_start.peer.certificate_user = buf_span(&user);
    }
    tell_auth(s, &m);
}

static void hand_over_task(struct loop_task *task);

void session_auth_init(struct session *s)
{
    buf_init(&s->granted, USER_NAME_MAX);
    buf_init(&s->granted_to, USER_NAME_MAX);
    loop_task_init(&s->hand_over, hand_over_task);
}

/* What IMAP has no room for in a tagged OK went as a challenge: the answer must be empty (RFC 9051
 * section 6.2.2). Here the session may not go: it does as soon as the loop has control. */
static void acknowledge(struct session *s, struct span line)
{
    if (line.n) {
        buf_reset(&s->granted);
        s->state = STATE_COMMAND;
        session_bad(s, buf_span(&s->tag), "AUTHENTICATE cancelled");
        return;
    }
    s->state = STATE_CHECK;
    loop_defer(s->login->daemon->loop, &s->hand_over);
}

void session_sasl_line(struct session *s, struct span line)
{
    if (s->granted.n) {
        acknowledge(s, line);
        return;
    }
    struct message m = {.kind = MESSAGE_AUTH_CONTINUE};
    autobuf data = BUF_INIT(SASL_DATA_MAX);
    bool cancelled = span_eq(line, SPAN("*"));
    if (cancelled || base64_decode(line, &data) < 0) {
        session_auth_cancel(s);
        s->state = STATE_COMMAND;
        session_bad(s, buf_span(&s->tag),
                    cancelled ? "AUTHENTICATE cancelled" : "The response is not base64");
        return;
    }
    m.u.auth_data.id = s->auth_id;
    m.u.auth_data.data = buf_span(&data);
    tell_auth(s, &m);
    if (data.p)
        explicit_bzero(data.p, data.n);
}

static void on_challenge(struct session *s, struct span challenge)
{
    struct buf *out = conn_begin(s->conn);
    buf_put_lit(out, "+ ");
    base64_encode(challenge, out);
    buf_put_lit(out, "\r\n");
    conn_end(s->conn);
    s->state = STATE_SASL;
    frame_expect_line(&s->frame);
    session_go_on(s);
}

static void on_failed(struct session *s, enum auth_failure why)
{
    static const struct {
        const char *status, *code, *text;
    } answers[] = {
        [AUTH_FAILURE_CREDENTIALS] = {"NO", "AUTHENTICATIONFAILED", "Wrong user name or password"},
        [AUTH_FAILURE_MECHANISM] = {"NO", "CANNOT", "This mechanism is not offered here"},
        [AUTH_FAILURE_SYNTAX] = {"NO", "AUTHENTICATIONFAILED",
                                 "The mechanism does not allow this response"},
        [AUTH_FAILURE_UNAVAILABLE] = {"NO", "UNAVAILABLE", unavailable},
        [AUTH_FAILURE_EXPIRED] = {"NO", "EXPIRED", "That was valid once, and is no longer"},
        [AUTH_FAILURE_AUTHORIZATION] = {"NO", "AUTHORIZATIONFAILED",
                                        "You may not act as this user"},
        [AUTH_FAILURE_PRIVACY] = {"NO", "PRIVACYREQUIRED",
                                  "Use TLS first: secrets are not accepted in plain text"},
    };
    if ((unsigned)why >= ARRAY_LEN(answers) || !answers[why].status)
        why = AUTH_FAILURE_UNAVAILABLE;
    end_dialogue(s);
    s->state = STATE_COMMAND;
    session_status(s, buf_span(&s->tag), answers[why].status, answers[why].code, answers[why].text);
    if (++s->bad >= s->login->daemon->conf->login_bad_commands)
        session_bye(s, "Too many errors");
    else
        session_go_on(s);
}

/* The mail process answers the command. What is queued here must be with the client before. */
static int give_to_mail(struct session *s, struct span user, struct span who, uint64_t voucher)
{
    struct login *login = s->login;
    struct message m = {.kind = MESSAGE_HANDOVER};
    struct peer *mail = &login->mail[route_user(user, login->daemon->mail_count)];
    if (!mail->ch)
        return ERR_CLOSED;
    m.u.handover.session = s->id;
    m.u.handover.voucher = voucher;
    m.u.handover.user = user;
    m.u.handover.tag = buf_span(&s->tag);
    m.u.handover.authenticate = s->authenticate;
    m.u.handover.tls = s->tls || s->tls_ended;
    m.u.handover.tls_version = s->pump ? span_str(tls_pump_version(s->pump)) : SPAN_EMPTY;
    m.u.handover.peer = span_str(s->peer);
    m.u.handover.login = span_eq(who, user) ? SPAN_EMPTY : who;
    m.u.handover.mechanism = span_str(s->mechanism);
    m.u.handover.client_name = s->client_name ? span_str(s->client_name) : SPAN_EMPTY;
    m.u.handover.language = s->language;
    m.u.handover.local = s->local;
    m.u.handover.tls_ended = s->tls_ended;
    m.u.handover.input = buf_span(&s->rest);
    int fd = fcntl(conn_fd(s->conn), F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? ERR_IO : channel_send(mail->ch, &m, fd);
}

/* who: proved it; another one than the user where that is allowed. */
static void log_login(const struct session *s, struct span user, struct span who)
{
    autobuf name = BUF_INIT(USER_NAME_MAX + 1), other = BUF_INIT(USER_NAME_MAX + 1);
    bool same = span_eq(user, who);
    if (!log_enabled(LOG_INFO))
        return;
    buf_put_span(&name, user);
    buf_put_span(&other, who);
    log_event(LOG_INFO, "login", LOG_SESSION(s->id), "user", name.p, "peer", s->peer, "service",
              "imap", "mechanism", s->mechanism, "tls",
              s->pump        ? tls_pump_version(s->pump)
              : s->tls_ended ? "proxy"
                             : "none",
              same ? NULL : "login", other.p, NULL);
}

static void hand_over(struct session *s, struct span user, struct span who, uint64_t voucher)
{
    struct login *login = s->login;
    autobuf referral = BUF_INIT(BUF_UNLIMITED);
    if (referral_find(&login->daemon->conf->login_referrals, user, &referral)) {
        s->state = STATE_COMMAND;
        session_status(s, buf_span(&s->tag), "NO", referral.p, "Your mail is on another server");
        session_go_on(s);
        return;
    }
    conn_flush(s->conn);
    if (conn_pending(s->conn) || give_to_mail(s, user, who, voucher) < 0) {
        s->state = STATE_COMMAND;
        session_status(s, buf_span(&s->tag), "NO", "UNAVAILABLE", unavailable);
        session_go_on(s);
        return;
    }
    log_login(s, user, who);
    s->handed_over = true;
    login->served++;
    generation_check(login);
    session_free(s); /* closes our copy of the descriptor only */
}

static void hand_over_task(struct loop_task *task)
{
    struct session *s = container_of(task, struct session, hand_over);
    autobuf user = BUF_INIT(USER_NAME_MAX), who = BUF_INIT(USER_NAME_MAX);
    if (s->state != STATE_CHECK)
        return;
    buf_put_span(&user, buf_span(&s->granted));
    buf_put_span(&who, buf_span(&s->granted_to));
    buf_reset(&s->granted);
    hand_over(s, buf_span(&user), buf_span(&who), s->voucher);
}

static void on_ok(struct session *s, const struct message *m)
{
    if (!m->u.auth_ok.data.n) {
        end_dialogue(s);
        hand_over(s, m->u.auth_ok.user, m->u.auth_ok.login, m->u.auth_ok.voucher);
        return;
    }
    buf_reset(&s->granted_to);
    buf_put_span(&s->granted, m->u.auth_ok.user);
    buf_put_span(&s->granted_to, m->u.auth_ok.login);
    s->voucher = m->u.auth_ok.voucher;
    end_dialogue(s);
    on_challenge(s, m->u.auth_ok.data);
}

void session_auth_message(struct session *s, const struct message *m)
{
    if (s->state != STATE_CHECK)
        return;
    switch (m->kind) {
    case MESSAGE_AUTH_CHALLENGE:
        on_challenge(s, m->u.auth_data.data);
        break;
    case MESSAGE_AUTH_OK:
        on_ok(s, m);
        break;
    case MESSAGE_AUTH_FAILED:
        on_failed(s, (enum auth_failure)m->u.auth_end.failure);
        break;
    default:
        break;
    }
}

void session_auth_lost(struct session *s)
{
    if (s->state == STATE_CHECK) {
        on_failed(s, AUTH_FAILURE_UNAVAILABLE);
        return;
    }
    end_dialogue(s); /* the client owes a response: it will hear then */
    frame_expect_command(&s->frame);
    s->state = STATE_COMMAND;
    session_status(s, buf_span(&s->tag), "NO", "UNAVAILABLE", unavailable);
}
