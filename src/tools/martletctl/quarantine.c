/* quarantine: accounts that are refused because they crash their mail process. */
#include "base/map.h"
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

static const struct column columns[] = {{"user", "USER", COLUMN_TEXT, true},
                                        {"account", "ACCOUNT", COLUMN_TEXT, true},
                                        {"crashes", "CRASHES", COLUMN_NUMBER, false},
                                        {"seconds", "FOR", COLUMN_SECONDS, false}};

struct listing {
    struct map names; /* account -> user, for those that are refused */
    struct table *table;
};

/* An account by its id in a result of the server's; empty if it is not there. */
static struct span account_of(struct span row)
{
    struct span key, value;
    while (control_args_next(&row, &key) && control_args_next(&row, &value))
        if (span_eq(key, SPAN("account")))
            return value;
    return SPAN_EMPTY;
}

static void on_refused(void *arg, struct span row)
{
    struct listing *l = arg;
    free(map_put(&l->names, account_of(row), span_dup(SPAN(""))));
}

/* "NAME\tID" */
static void on_account(void *arg, struct span text)
{
    struct listing *l = arg;
    struct span name;
    if (span_split(&text, '\t', &name) && map_get(&l->names, text))
        free(map_put(&l->names, text, span_dup(name)));
}

static void on_row(void *arg, struct span row)
{
    struct listing *l = arg;
    const char *name = map_get(&l->names, account_of(row));
    struct span key, value;
    while (control_args_next(&row, &key) && control_args_next(&row, &value))
        table_set_key(l->table, key, value);
    if (name && *name)
        table_set(l->table, 0, span_str(name));
    table_row(l->table);
}

static void free_names(struct listing *l)
{
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&l->names, &pos, &key, &value))
        free(value);
    map_done(&l->names);
}

/* Every process knows all of them; the first one knows the names. */
int run_quarantine_list(struct ctl *c)
{
    struct listing l = {.names = MAP_INIT};
    struct server *s;
    struct span why = SPAN_EMPTY;
    int code = server_open(c, &s);
    if (code)
        return code;
    l.table = table_new(columns, ARRAY_LEN(columns), ctl_has(c, OPTION_JSON));
    int rc = server_ask(s, 0, "quarantine", SPAN_EMPTY, on_refused, &l, &why, SERVER_ANSWER_MS);
    if (rc == 0 && l.names.count)
        rc = server_ask(s, 0, "accounts", SPAN_EMPTY, on_account, &l, &why, SERVER_ANSWER_MS);
    if (rc == 0)
        rc = server_ask(s, 0, "quarantine", SPAN_EMPTY, on_row, &l, &why, SERVER_ANSWER_MS);
    table_end(l.table, rc ? NULL : "No account is refused.");
    code = rc ? ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why)) : EXIT_FINE;
    free_names(&l);
    server_close(s);
    return code;
}

int run_quarantine_release(struct ctl *c)
{
    struct server *s;
    struct span why = SPAN_EMPTY;
    autobuf args = BUF_INIT(MESSAGE_MAX);
    const char *user = c->args[0];
    int code = server_open(c, &s);
    if (code)
        return code;
    control_args_put(&args, span_str(user));
    int rc = server_ask(s, server_process_of(s, span_str(user)), "release", buf_span(&args), NULL,
                        NULL, &why, SERVER_ANSWER_MS);
    code = rc ? ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why))
              : ctl_done(c, "%s may be used again", user);
    server_close(s);
    return code;
}
