/* Who is there, and what the process does. */
#include <inttypes.h>

#include "base/metrics.h"
#include "daemon/mail/control.h"

/* --- status and accounts --- */

static void show_number(struct control_call *call, const char *key, uint64_t n)
{
    autobuf text = BUF_INIT(128);
    buf_printf(&text, "%s\t%llu", key, (unsigned long long)n);
    control_text(call, buf_span(&text));
}

void control_status(struct control_call *call, struct span args)
{
    struct mail *m = call->mail;
    (void)args;
    show_number(call, "process", m->daemon->index);
    show_number(call, "processes", m->daemon->mail_count);
    show_number(call, "imap-sessions", m->imap.session_count);
    show_number(call, "lmtp-sessions", m->lmtp.session_count);
    show_number(call, "worker-jobs", loop_work_pending(m->daemon->loop));
    control_end(call, 0, NULL);
}

void control_stats(struct control_call *call, struct span args)
{
    struct mail *m = call->mail;
    autobuf row = BUF_INIT(4096);
    (void)args;
    control_put_number(&row, "process", m->daemon->index);
    control_put_number(&row, "pid", (uint64_t)getpid());
    control_put_number(&row, "supervisor", (uint64_t)getppid());
    control_put_number(&row, "sessions", m->imap.session_count);
    control_put_number(&row, "lmtp_sessions", m->lmtp.session_count);
    control_put_number(&row, "accounts_open", metric_get(METRIC_ACCOUNTS_OPEN));
    control_put_number(&row, "appends", metric_get(METRIC_APPENDS));
    control_put_number(&row, "deliveries", metric_get(METRIC_DELIVERIES + METRIC_DELIVERY_STORED));
    control_put_number(&row, "duplicates",
                       metric_get(METRIC_DELIVERIES + METRIC_DELIVERY_DUPLICATE));
    control_put_number(&row, "bytes_in", metric_get(METRIC_RECEIVED));
    control_put_number(&row, "bytes_out", metric_get(METRIC_SENT));
    control_text(call, buf_span(&row));
    control_end(call, 0, NULL);
}

static int list_account(void *ctx, struct span user, const struct account_id *id)
{
    autobuf text = BUF_INIT(1024);
    buf_put_span(&text, user);
    buf_put_byte(&text, '\t');
    buf_put_hex(&text, id->b, sizeof(id->b));
    control_text(ctx, buf_span(&text));
    return 0;
}

void control_accounts(struct control_call *call, struct span args)
{
    (void)args;
    if (call->mail->daemon->index != 0)
        control_end(call, ERR_INVALID, "ask process 0");
    else
        control_end(call, site_each(call->mail->store, list_account, call), NULL);
}

/* --- sessions --- */

struct listing {
    struct control_call *call;
    struct span user; /* empty: everybody's */
};

static void show_session(void *arg, const struct imap_session_info *i)
{
    struct listing *l = arg;
    autobuf row = BUF_INIT(MESSAGE_MAX / 2), id = BUF_INIT(32);
    if (l->user.n && !span_eq(l->user, i->user))
        return;
    buf_printf(&id, "%016" PRIx64, i->id);
    control_put(&row, "session", buf_span(&id));
    control_put(&row, "user", i->user);
    control_put(&row, "login", i->login);
    control_put(&row, "address", i->peer);
    control_put(&row, "mechanism", i->mechanism);
    control_put(&row, "tls", i->tls_version.n ? i->tls_version : i->tls ? SPAN("yes") : SPAN(""));
    control_put(&row, "client", i->client_name);
    control_put(&row, "mailbox", i->mailbox);
    control_put_flag(&row, "read_only", i->read_only);
    control_put(&row, "command", i->command ? span_str(i->command) : SPAN(""));
    control_put_number(&row, "commands", i->commands);
    control_put_number(&row, "since", i->since_us);
    control_put_number(&row, "idle_seconds", i->idle_us / 1000000);
    control_put_number(&row, "bytes_in", i->bytes_in);
    control_put_number(&row, "bytes_out", i->bytes_out);
    control_put_number(&row, "process", l->call->mail->daemon->index);
    control_text(l->call, buf_span(&row));
}

void control_sessions(struct control_call *call, struct span args)
{
    struct listing l = {call, SPAN_EMPTY};
    control_args_next(&args, &l.user);
    imap_sessions_each(&call->mail->imap, show_session, &l);
    control_end(call, 0, NULL);
}

static bool parse_id(struct span s, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0 || s.n > 16)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = ascii_lower((unsigned char)s.p[i]);
        if (!ascii_is_digit(c) && (c < 'a' || c > 'f'))
            return false;
        v = v << 4 | (uint64_t)(ascii_is_digit(c) ? c - '0' : c - 'a' + 10);
    }
    *ret = v;
    return true;
}

/* A text in a response must not end its line. */
static bool is_line(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || (unsigned char)s.p[i] > 0x7e)
            return false;
    return s.n <= 200;
}

void control_kick(struct control_call *call, struct span args)
{
    struct span what = SPAN_EMPTY, whom = SPAN_EMPTY, text = SPAN_EMPTY;
    uint64_t id = 0;
    control_args_next(&args, &what);
    control_args_next(&args, &whom);
    control_args_next(&args, &text);
    bool user = span_eq(what, SPAN("user"));
    if (!whom.n || !is_line(text) || (!user && !parse_id(whom, &id))) {
        control_end(call, ERR_INVALID, "a user or a session id is missing");
        return;
    }
    autobuf bye = BUF_INIT(256), row = BUF_INIT(256);
    buf_put_span(&bye, text.n ? text : SPAN("The administrator has ended this session"));
    size_t n = imap_sessions_end(&call->mail->imap, user ? whom : SPAN_EMPTY, user ? 0 : id, bye.p);
    control_put_number(&row, "ended", n);
    control_text(call, buf_span(&row));
    control_end(call, 0, NULL);
}
