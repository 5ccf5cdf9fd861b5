/* quarantine list and release: accounts that are refused because they crashed their process. */
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

int run_quarantine_list(struct ctl *c)
{
    static const struct column columns[] = {{"account", "ACCOUNT ID", COLUMN_TEXT, false},
                                            {"crashes", "CRASHES", COLUMN_NUMBER, false},
                                            {"seconds", "REFUSED FOR", COLUMN_SECONDS, false}};
    struct server *s;
    struct span why = SPAN_EMPTY;
    int rc = 0, code = server_open(c, &s);
    if (code)
        return code;
    struct table *t = table_new(columns, ARRAY_LEN(columns), ctl_has(c, OPTION_JSON));
    for (unsigned i = 0; rc == 0 && i < server_processes(s); i++)
        rc = server_ask_table(s, i, "quarantine", SPAN_EMPTY, t, &why);
    table_end(t, rc ? NULL : "No account is in quarantine.");
    code = rc ? ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why)) : EXIT_FINE;
    server_close(s);
    return code;
}

int run_quarantine_release(struct ctl *c)
{
    struct server *s;
    struct span why = SPAN_EMPTY, user = span_str(c->args[0]);
    autobuf args = BUF_INIT(MESSAGE_MAX);
    int code = server_open(c, &s);
    if (code)
        return code;
    control_args_put(&args, user);
    int rc = server_ask(s, server_process_of(s, user), "release", buf_span(&args), NULL, NULL, &why,
                        SERVER_ANSWER_MS);
    code = rc ? ctl_fail(c, EXIT_FAILED, rc, "%s: " SPAN_FMT, c->args[0], SPAN_ARG(why))
              : ctl_done(c, "%s is not in quarantine", c->args[0]);
    server_close(s);
    return code;
}
