/* sessions and kick. */
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

static const struct column session_columns[] = {
    {"session", "SESSION", COLUMN_TEXT, false}, {"user", "USER", COLUMN_TEXT, true},
    {"login", NULL, COLUMN_TEXT, false},        {"address", "FROM", COLUMN_TEXT, true},
    {"since", "SINCE", COLUMN_TIME, false},     {"command", "DOING", COLUMN_TEXT, false},
    {"commands", NULL, COLUMN_NUMBER, false},   {"idle_seconds", "IDLE", COLUMN_SECONDS, false},
    {"mailbox", "MAILBOX", COLUMN_TEXT, true},  {"read_only", NULL, COLUMN_FLAG, false},
    {"client", "CLIENT", COLUMN_TEXT, true},    {"mechanism", "MECHANISM", COLUMN_TEXT, true},
    {"tls", "TLS", COLUMN_TEXT, false},         {"bytes_in", "IN", COLUMN_SIZE, false},
    {"bytes_out", "OUT", COLUMN_SIZE, false},   {"process", NULL, COLUMN_NUMBER, false},
};

int run_sessions(struct ctl *c)
{
    struct server *s;
    struct span why = SPAN_EMPTY;
    autobuf args = BUF_INIT(MESSAGE_MAX);
    int rc = 0, code = server_open(c, &s);
    if (code)
        return code;
    struct table *t =
        table_new(session_columns, ARRAY_LEN(session_columns), ctl_has(c, OPTION_JSON));
    unsigned from = 0, to = server_processes(s);
    if (c->arg_count) {
        from = server_process_of(s, span_str(c->args[0]));
        to = from + 1;
        control_args_put(&args, span_str(c->args[0]));
    }
    for (unsigned i = from; rc == 0 && i < to; i++)
        rc = server_ask_table(s, i, "sessions", buf_span(&args), t, &why);
    table_end(t, rc ? NULL : "There are no sessions.");
    code = rc ? ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why)) : EXIT_FINE;
    server_close(s);
    return code;
}

/* --- kick --- */

static void add_ended(void *arg, struct span text)
{
    struct span key, value;
    uint64_t n;
    while (control_args_next(&text, &key) && control_args_next(&text, &value))
        if (span_eq(key, SPAN("ended")) && span_to_u64(value, UINT64_MAX, &n))
            *(uint64_t *)arg += n;
}

static bool looks_like_id(const char *s)
{
    return strlen(s) == 16 && strspn(s, "0123456789abcdefABCDEF") == 16;
}

static int kick_in(struct server *s, unsigned process, const char *what, const char *whom,
                   uint64_t *count, struct span *why)
{
    autobuf args = BUF_INIT(MESSAGE_MAX);
    control_args_put(&args, span_str(what));
    control_args_put(&args, span_str(whom));
    return server_ask(s, process, "kick", buf_span(&args), add_ended, count, why, SERVER_ANSWER_MS);
}

int ctl_kick(struct server *s, const char *whom, uint64_t *ret_count, struct span *why)
{
    *ret_count = 0;
    return kick_in(s, server_process_of(s, span_str(whom)), "user", whom, ret_count, why);
}

int run_kick(struct ctl *c)
{
    struct server *s;
    struct span why = SPAN_EMPTY;
    const char *whom = c->args[0];
    uint64_t n = 0;
    int rc = 0, code = server_open(c, &s);
    if (code)
        return code;
    for (unsigned i = 0; looks_like_id(whom) && rc == 0 && n == 0 && i < server_processes(s); i++)
        rc = kick_in(s, i, "session", whom, &n, &why);
    if (rc == 0 && n == 0)
        rc = ctl_kick(s, whom, &n, &why);
    if (rc) {
        code = ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why));
    } else if (n == 0) {
        code = ctl_fail(c, EXIT_FAILED, ERR_NOT_FOUND,
                        "%s has no session, and no session has that id", whom);
    } else {
        code = ctl_done(c, "%llu session%s ended", (unsigned long long)n, n == 1 ? "" : "s");
    }
    server_close(s);
    return code;
}
