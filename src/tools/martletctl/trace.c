/* trace: what a user's sessions say and are told, while an administrator looks. */
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

enum { MINUTES_DEFAULT = 15, MINUTES_MAX = 24 * 60 };

static int set(struct ctl *c, uint64_t minutes)
{
    struct server *s;
    struct span why = SPAN_EMPTY;
    autobuf args = BUF_INIT(MESSAGE_MAX), number = BUF_INIT(32);
    const char *user = c->args[0];
    int code = server_open(c, &s);
    if (code)
        return code;
    buf_put_u64(&number, minutes);
    control_args_put(&args, span_str(user));
    control_args_put(&args, buf_span(&number));
    int rc = server_ask(s, server_process_of(s, span_str(user)), "trace", buf_span(&args), NULL,
                        NULL, &why, SERVER_ANSWER_MS);
    if (rc)
        code = ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why));
    else if (minutes)
        code = ctl_done(c, "%s is traced for %llu minutes, into state_dir/trace", user,
                        (unsigned long long)minutes);
    else
        code = ctl_done(c, "%s is no longer traced", user);
    server_close(s);
    return code;
}

int run_trace_on(struct ctl *c)
{
    uint64_t minutes = MINUTES_DEFAULT;
    if (ctl_has(c, OPTION_MINUTES) &&
        (!span_to_u64(span_str(c->values[OPTION_MINUTES]), MINUTES_MAX, &minutes) || !minutes))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "--minutes is a number from 1 to %d",
                        MINUTES_MAX);
    return set(c, minutes);
}

int run_trace_off(struct ctl *c)
{
    return set(c, 0);
}

int run_trace_list(struct ctl *c)
{
    static const struct column columns[] = {{"user", "USER", COLUMN_TEXT, true},
                                            {"seconds_left", "LEFT", COLUMN_SECONDS, false},
                                            {"files", "FILES", COLUMN_NUMBER, false},
                                            {"bytes", "SIZE", COLUMN_SIZE, false},
                                            {"directory", "DIRECTORY", COLUMN_TEXT, true}};
    struct server *s;
    struct span why = SPAN_EMPTY;
    int rc = 0, code = server_open(c, &s);
    if (code)
        return code;
    struct table *t = table_new(columns, ARRAY_LEN(columns), ctl_has(c, OPTION_JSON));
    for (unsigned i = 0; rc == 0 && i < server_processes(s); i++)
        rc = server_ask_table(s, i, "traces", SPAN_EMPTY, t, &why);
    table_end(t, rc ? NULL : "Nobody is traced.");
    code = rc ? ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why)) : EXIT_FINE;
    server_close(s);
    return code;
}
