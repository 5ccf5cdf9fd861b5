/* quota show, set, root: through the mail process of the account. */
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

static const struct column columns[] = {
    {"root", "ROOT", COLUMN_TEXT, true},        {"resource", "RESOURCE", COLUMN_TEXT, false},
    {"used", "USED", COLUMN_NUMBER, false},     {"limit", "LIMIT", COLUMN_NUMBER, false},
    {"default", "DEFAULT", COLUMN_FLAG, false},
};

static int ask(struct ctl *c, const char *verb, struct span args, struct table *t)
{
    struct server *s;
    struct span why = SPAN_EMPTY;
    int code = server_open(c, &s);
    if (code)
        return code;
    unsigned process = server_process_of(s, span_str(c->args[0]));
    int rc = t ? server_ask_table(s, process, verb, args, t, &why)
               : server_ask(s, process, verb, args, NULL, NULL, &why, SERVER_ANSWER_MS);
    if (rc)
        code = ctl_fail(c, EXIT_FAILED, rc, "%s: " SPAN_FMT, c->args[0], SPAN_ARG(why));
    server_close(s);
    return code;
}

int run_quota_show(struct ctl *c)
{
    autobuf args = BUF_INIT(MESSAGE_MAX);
    struct table *t = table_new(columns, ARRAY_LEN(columns), ctl_has(c, OPTION_JSON));
    control_args_put(&args, span_str(c->args[0]));
    int code = ask(c, "quota", buf_span(&args), t);
    table_end(t, NULL);
    return code;
}

/* "10gb", "500000", "none", "default": words and plain numbers go as they are. */
static bool put_limit(struct buf *args, const char *text)
{
    static const char *const units[] = {"", "kb", "mb", "gb", "tb"};
    size_t digits = strspn(text, "0123456789");
    uint64_t n;
    if (digits == 0) {
        control_args_put(args, span_str(text));
        return true;
    }
    if (!span_to_u64(span_make(text, digits), UINT64_MAX, &n))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        autobuf number = BUF_INIT(64);
        if (!span_ieq(span_str(text + digits), span_str(units[i])))
            continue;
        if (mul_overflow(n, UINT64_C(1) << 10 * i, &n))
            return false;
        buf_put_u64(&number, n);
        control_args_put(args, buf_span(&number));
        return true;
    }
    return false;
}

int run_quota_set(struct ctl *c)
{
    autobuf args = BUF_INIT(MESSAGE_MAX);
    const char *root = c->arg_count > 3 ? c->args[3] : c->args[0];
    control_args_put(&args, span_str(c->args[0]));
    control_args_put(&args, span_str(root));
    control_args_put(&args, span_str(c->args[1]));
    if (!put_limit(&args, c->args[2]))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "%s: that is no limit", c->args[2]);
    int code = ask(c, "quota-set", buf_span(&args), NULL);
    return code ? code : ctl_done(c, "limit of %s set", root);
}

int run_quota_root(struct ctl *c)
{
    autobuf args = BUF_INIT(MESSAGE_MAX);
    const char *root = c->arg_count > 2 ? c->args[2] : c->args[0];
    control_args_put(&args, span_str(c->args[0]));
    control_args_put(&args, span_str(c->args[1]));
    control_args_put(&args, span_str(root));
    int code = ask(c, "quota-root", buf_span(&args), NULL);
    return code ? code : ctl_done(c, "mailbox %s counts for quota root %s", c->args[1], root);
}
