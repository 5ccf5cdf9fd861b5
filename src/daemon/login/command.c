/* The commands before login (RFC 9051 sections 6.1 and 6.2, RFC 2971). */
#include "wire/command.h"
#include "base/logline.h"
#include "daemon/login/login.h"
#include "io/fdpass.h"
#include "wire/base64.h"
#include "wire/capability.h"
#include "wire/write.h"

enum { COMMAND_MEMORY = 256 * 1024, CLIENT_NAME_MAX = 200 };

void session_status(struct session *s, struct span tag, const char *status, const char *code,
                    const char *text)
{
    write_status(conn_begin(s->conn), tag, status, code ? code : "",
                 language_span(s->language, span_str(text)), s->language == LANGUAGE_RUSSIAN);
    conn_end(s->conn);
}

void session_bad(struct session *s, struct span tag, const char *reason)
{
    session_status(s, tag.n ? tag : SPAN("*"), "BAD", NULL, reason);
    if (++s->bad >= s->login->daemon->conf->login_bad_commands)
        session_bye(s, "Too many errors");
}

/* Before the end of its handshake a TLS connection is taken to have channel bindings, as nearly all
 * have. */
static unsigned has(const struct session *s)
{
    struct tls_bindings b = {0};
    autobuf user = BUF_INIT(USER_NAME_MAX);
    bool known = s->pump && tls_pump_established(s->pump);
    if (known)
        tls_pump_bindings(s->pump, &b);
    bool binding = known ? b.exporter.n || b.unique.n || b.endpoint.n : s->pump != NULL;
    bool certificate = known && tls_pump_certificate_user(s->pump, &user);
    return (session_plaintext_allowed(s) ? NEEDS_SECURE : 0) | (binding ? NEEDS_BINDING : 0) |
           (certificate ? NEEDS_CERTIFICATE : 0);
}

void session_mechanisms(const struct session *s, struct buf *out)
{
    struct span list = buf_span(&s->login->mechanisms), one;
    unsigned there = has(s);
    size_t begin = out->n;
    while (span_split(&list, ' ', &one)) {
        if (!one.n || ((unsigned)(one.p[0] - '0') & ~there))
            continue;
        if (out->n > begin)
            buf_put_byte(out, ' ');
        buf_put_span(out, span_skip(one, 1));
    }
}

static bool includes(struct span list, struct span name)
{
    struct span one;
    while (span_split(&list, ' ', &one))
        if (span_eq(one, name))
            return true;
    return false;
}

void session_capabilities(const struct session *s, struct buf *out)
{
    autobuf mechanisms = BUF_INIT(1024);
    session_mechanisms(s, &mechanisms);
    struct capability_state state = {
        .tls = s->tls || s->tls_ended,
        .starttls = s->login->tls != NULL,
        .plaintext = includes(buf_span(&mechanisms), SPAN("PLAIN")), /* LOGIN is the same */
        .mechanisms = buf_span(&mechanisms),
        .referrals = s->login->daemon->conf->login_referrals.count > 0,
        .literal_minus = s->login->daemon->conf->imap_literal == CONF_LITERAL_MINUS,
    };
    capability_write(out, &state);
}

static void do_capability(struct session *s, struct span tag)
{
    struct buf *out = conn_begin(s->conn);
    buf_put_lit(out, "* CAPABILITY ");
    session_capabilities(s, out);
    buf_put_lit(out, "\r\n");
    conn_end(s->conn);
    session_status(s, tag, "OK", NULL, "CAPABILITY completed");
}

/* The name is kept: some clients need what others do not (imap.in_order_clients). */
static void do_id(struct session *s, const struct command *c)
{
    for (unsigned i = 0; i < c->idp.n; i++) {
        const struct id_pair *p = &c->idp.pairs[i];
        if (!span_ieq(p->field, SPAN("name")) || p->nil)
            continue;
        free(s->client_name);
        s->client_name = span_dup(span_head(p->value, CLIENT_NAME_MAX));
    }
    conn_put_lit(s->conn, "* ID (\"name\" \"Martlet\")\r\n");
    session_status(s, c->tag, "OK", NULL, "ID completed");
}

/* Lives on after the login; a name space has only those who have logged in. */
static void do_language(struct session *s, const struct command *c)
{
    enum language preferred =
        s->login->daemon->conf->imap_language ? LANGUAGE_RUSSIAN : LANGUAGE_ENGLISH;
    int rc = c->language.n
                 ? language_choose(c->language.ranges, c->language.n, preferred, &s->language)
                 : 0;
    if (rc == ERR_INVALID) {
        session_bad(s, c->tag, "That is not a language range");
    } else if (rc) {
        session_status(s, c->tag, "NO", NULL, "None of these languages is spoken here");
    } else {
        if (c->language.n)
            language_write_one(conn_begin(s->conn), s->language);
        else
            language_write_all(conn_begin(s->conn));
        conn_end(s->conn);
        session_status(s, c->tag, "OK", NULL, "LANGUAGE completed");
    }
}

static void do_logout(struct session *s, struct span tag)
{
    session_status(s, SPAN("*"), "BYE", NULL, "Logging out");
    session_status(s, tag, "OK", NULL, "LOGOUT completed");
    s->state = STATE_OVER;
    conn_finish(s->conn);
}

/* What was pipelined behind STARTTLS is thrown away: it may be an attacker's (RFC 9051 section
 * 6.2.1). */
static void do_starttls(struct session *s, struct span tag)
{
    if (s->tls || s->tls_ended || !s->login->tls) {
        session_bad(s, tag,
                    s->tls || s->tls_ended ? "TLS is active already" : "TLS is not available");
        return;
    }
    int pair[2];
    if (fdpass_pair_stream(pair, NULL) < 0) {
        session_status(s, tag, "NO", "UNAVAILABLE", "Not possible at the moment");
        return;
    }
    session_status(s, tag, "OK", NULL, "Begin TLS negotiation now");
    conn_flush(s->conn);
    s->drop_input = true;
    if (conn_pending(s->conn)) { /* a client that does not read its answers */
        close(pair[0]);
        close(pair[1]);
        session_bye(s, "Not now");
        return;
    }
    int fd = conn_detach(s->conn);
    frame_done(&s->frame);
    frame_init(&s->frame, &s->login->limits);
    free(take_ptr(s->client_name));
    s->language = LANGUAGE_DEFAULT; /* it may have been an attacker's (RFC 5255 section 3.1) */
    session_start_tls(s, fd, pair);
}

static void start_login(struct session *s, const struct command *c)
{
    autobuf plain = BUF_INIT(SASL_DATA_MAX);
    s->authenticate = false;
    if (!session_plaintext_allowed(s)) {
        session_status(s, c->tag, "NO", "PRIVACYREQUIRED",
                       "Use STARTTLS first: passwords are not accepted in plain text");
        return;
    }
    buf_put_byte(&plain, '\0');
    buf_put_span(&plain, c->login.user);
    buf_put_byte(&plain, '\0');
    buf_put_span(&plain, c->login.password);
    session_authenticate(s, SPAN("PLAIN"), true, buf_span(&plain));
    explicit_bzero(plain.p, plain.n);
}

static void start_authenticate(struct session *s, const struct command *c)
{
    autobuf initial = BUF_INIT(SASL_DATA_MAX), mechanism = BUF_INIT(32);
    s->authenticate = true;
    if (c->authenticate.has_initial && base64_decode(c->authenticate.initial, &initial) < 0) {
        session_bad(s, c->tag, "The initial response is not base64");
        return;
    }
    for (size_t i = 0; i < c->authenticate.mechanism.n; i++) {
        unsigned char l = (unsigned char)c->authenticate.mechanism.p[i];
        buf_put_byte(&mechanism, (char)(l >= 'a' && l <= 'z' ? l - 32 : l));
    }
    if (!buf_ok(&mechanism)) {
        session_status(s, c->tag, "NO", "CANNOT", "Unknown authentication mechanism");
        return;
    }
    session_authenticate(s, buf_span(&mechanism), c->authenticate.has_initial, buf_span(&initial));
    if (initial.p)
        explicit_bzero(initial.p, initial.n);
}

static void run(struct session *s, const struct command *c)
{
    switch (c->id) {
    case CMD_CAPABILITY:
        do_capability(s, c->tag);
        break;
    case CMD_NOOP:
        session_status(s, c->tag, "OK", NULL, "NOOP completed");
        break;
    case CMD_LOGOUT:
        do_logout(s, c->tag);
        break;
    case CMD_ID:
        do_id(s, c);
        break;
    case CMD_LANGUAGE:
        do_language(s, c);
        break;
    case CMD_STARTTLS:
        do_starttls(s, c->tag);
        break;
    case CMD_LOGIN:
    case CMD_AUTHENTICATE:
        buf_reset(&s->tag);
        buf_put_span(&s->tag, c->tag);
        if (c->id == CMD_LOGIN)
            start_login(s, c);
        else
            start_authenticate(s, c);
        break;
    default:
        session_bad(s, c->tag, "Log in first");
        break;
    }
}

void session_command(struct session *s, struct span text)
{
    autoarena arena = ARENA_INIT(COMMAND_MEMORY);
    struct command *c;
    struct parse_error error;
    if (command_parse(text, NULL, &arena, &c, &error) < 0)
        session_bad(s, error.tag, error.reason);
    else
        run(s, c);
}
