/* mailbox list, stat, create, rename, delete: through the mail process of the account. */
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

static const struct column mailbox_columns[] = {
    {"mailbox", "MAILBOX", COLUMN_TEXT, true},        {"exists", NULL, COLUMN_FLAG, false},
    {"messages", "MESSAGES", COLUMN_NUMBER, false},   {"unseen", "UNSEEN", COLUMN_NUMBER, false},
    {"deleted", NULL, COLUMN_NUMBER, false},          {"size", "SIZE", COLUMN_SIZE, false},
    {"subscribed", "SUBSCRIBED", COLUMN_FLAG, false}, {"special_use", "USE", COLUMN_LIST, true},
    {"uidvalidity", NULL, COLUMN_NUMBER, false},      {"uidnext", NULL, COLUMN_NUMBER, false},
    {"highestmodseq", NULL, COLUMN_NUMBER, false},    {"id", NULL, COLUMN_TEXT, false},
};

static const struct column stat_columns[] = {
    {"mailbox", "mailbox", COLUMN_TEXT, true},
    {"exists", "exists", COLUMN_FLAG, false},
    {"messages", "messages", COLUMN_NUMBER, false},
    {"unseen", "unseen", COLUMN_NUMBER, false},
    {"deleted", "deleted", COLUMN_NUMBER, false},
    {"size", "size", COLUMN_SIZE, false},
    {"subscribed", "subscribed", COLUMN_FLAG, false},
    {"special_use", "special use", COLUMN_LIST, true},
    {"uidvalidity", "UIDVALIDITY", COLUMN_NUMBER, false},
    {"uidnext", "UIDNEXT", COLUMN_NUMBER, false},
    {"highestmodseq", "HIGHESTMODSEQ", COLUMN_NUMBER, false},
    {"id", "id", COLUMN_TEXT, false},
};

static int ask(struct ctl *c, const char *verb, struct table *t)
{
    struct server *s;
    struct span why = SPAN_EMPTY, user = span_str(c->args[0]);
    autobuf args = BUF_INIT(MESSAGE_MAX);
    int code = server_open(c, &s);
    if (code)
        return code;
    for (size_t i = 0; i < c->arg_count; i++)
        control_args_put(&args, span_str(c->args[i]));
    unsigned process = server_process_of(s, user);
    int rc = t ? server_ask_table(s, process, verb, buf_span(&args), t, &why)
               : server_ask(s, process, verb, buf_span(&args), NULL, NULL, &why, SERVER_ANSWER_MS);
    if (rc)
        code = ctl_fail(c, EXIT_FAILED, rc, "%s: " SPAN_FMT,
                        c->arg_count > 1 ? c->args[1] : c->args[0], SPAN_ARG(why));
    server_close(s);
    return code;
}

int run_mailbox_list(struct ctl *c)
{
    struct table *t =
        table_new(mailbox_columns, ARRAY_LEN(mailbox_columns), ctl_has(c, OPTION_JSON));
    int code = ask(c, "mailboxes", t);
    table_end(t, NULL);
    return code;
}

int run_mailbox_stat(struct ctl *c)
{
    struct table *t = table_new(stat_columns, ARRAY_LEN(stat_columns), ctl_has(c, OPTION_JSON));
    int code = ask(c, "mailboxes", t);
    table_end_as_record(t);
    return code;
}

static int change(struct ctl *c, const char *verb, const char *done)
{
    int code = ask(c, verb, NULL);
    return code ? code : ctl_done(c, "mailbox %s %s", c->args[1], done);
}

int run_mailbox_create(struct ctl *c)
{
    return change(c, "mailbox-create", "created");
}

int run_mailbox_rename(struct ctl *c)
{
    return change(c, "mailbox-rename", "renamed");
}

int run_mailbox_delete(struct ctl *c)
{
    autobuf question = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&question, "The mailbox \"%s\" of %s and its messages will be deleted.", c->args[1],
               c->args[0]);
    int code = ctl_confirm(c, question.p);
    return code ? code : change(c, "mailbox-delete", "deleted");
}
