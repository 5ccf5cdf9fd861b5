/* group list, add, remove: through the mail process that has the site's log. acl get, set, delete:
 * through that of the account. */
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

static const struct column member_columns[] = {
    {"group", "GROUP", COLUMN_TEXT, true},
    {"user", "USER", COLUMN_TEXT, true},
};
static const struct column entry_columns[] = {
    {"identifier", "IDENTIFIER", COLUMN_TEXT, true},
    {"rights", "RIGHTS", COLUMN_TEXT, true},
};

/* of: whose process; NULL: process 0. */
static int ask(struct ctl *c, const char *of, const char *verb, struct span args, struct table *t)
{
    struct server *s;
    struct span why = SPAN_EMPTY;
    int code = server_open(c, &s);
    if (code)
        return code;
    unsigned process = of ? server_process_of(s, span_str(of)) : 0;
    int rc = t ? server_ask_table(s, process, verb, args, t, &why)
               : server_ask(s, process, verb, args, NULL, NULL, &why, SERVER_ANSWER_MS);
    if (rc)
        code = ctl_fail(c, EXIT_FAILED, rc, "%s: " SPAN_FMT, of ? of : c->args[0], SPAN_ARG(why));
    server_close(s);
    return code;
}

int run_group_list(struct ctl *c)
{
    autobuf args = BUF_INIT(MESSAGE_MAX);
    struct table *t = table_new(member_columns, ARRAY_LEN(member_columns), ctl_has(c, OPTION_JSON));
    if (c->arg_count)
        control_args_put(&args, span_str(c->args[0]));
    int code = ask(c, NULL, "groups", buf_span(&args), t);
    table_end(t, code ? NULL : "Nobody belongs to a group.");
    return code;
}

static int set_members(struct ctl *c, const char *present)
{
    for (size_t i = 1; i < c->arg_count; i++) {
        autobuf args = BUF_INIT(MESSAGE_MAX);
        control_args_put(&args, span_str(c->args[0]));
        control_args_put(&args, span_str(c->args[i]));
        control_args_put(&args, span_str(present));
        int code = ask(c, NULL, "group-set", buf_span(&args), NULL);
        if (code)
            return code;
    }
    return 0;
}

int run_group_add(struct ctl *c)
{
    int code = set_members(c, "yes");
    return code ? code : ctl_done(c, "added to group %s", c->args[0]);
}

int run_group_remove(struct ctl *c)
{
    int code = set_members(c, "no");
    return code ? code : ctl_done(c, "removed from group %s", c->args[0]);
}

int run_acl_get(struct ctl *c)
{
    autobuf args = BUF_INIT(MESSAGE_MAX);
    struct table *t = table_new(entry_columns, ARRAY_LEN(entry_columns), ctl_has(c, OPTION_JSON));
    control_args_put(&args, span_str(c->args[0]));
    control_args_put(&args, span_str(c->args[1]));
    int code = ask(c, c->args[0], "acl", buf_span(&args), t);
    table_end(t, NULL);
    return code;
}

static int set_rights(struct ctl *c, const char *rights)
{
    autobuf args = BUF_INIT(MESSAGE_MAX);
    for (size_t i = 0; i < 3; i++)
        control_args_put(&args, span_str(c->args[i]));
    control_args_put(&args, span_str(rights));
    return ask(c, c->args[0], "acl-set", buf_span(&args), NULL);
}

int run_acl_set(struct ctl *c)
{
    int code = set_rights(c, c->args[3]);
    return code ? code : ctl_done(c, "rights of %s to %s set", c->args[2], c->args[1]);
}

int run_acl_delete(struct ctl *c)
{
    int code = set_rights(c, "");
    return code ? code : ctl_done(c, "%s has no entry for %s", c->args[1], c->args[2]);
}
