/* config check and config show. */
#include <stdio.h>

#include "conf/rules.h"
#include "tools/martletctl/ctl.h"
#include "tools/martletctl/table.h"

/* --- check --- */

enum { PROBLEM_SEVERITY, PROBLEM_SETTING, PROBLEM_FILE, PROBLEM_LINE, PROBLEM_TEXT };
static const struct column problem_columns[] = {
    [PROBLEM_SEVERITY] = {"severity", NULL, COLUMN_TEXT, false},
    [PROBLEM_SETTING] = {"setting", NULL, COLUMN_TEXT, false},
    [PROBLEM_FILE] = {"file", NULL, COLUMN_TEXT, false},
    [PROBLEM_LINE] = {"line", NULL, COLUMN_NUMBER, false},
    [PROBLEM_TEXT] = {"text", NULL, COLUMN_TEXT, false},
};

struct checking {
    struct ctl *ctl;
    struct table *table;
    size_t mistakes, warnings;
};

static void show_problem(void *arg, const struct conf_problem *p)
{
    struct checking *k = arg;
    struct table *t = k->table;
    k->mistakes += !p->warning;
    k->warnings += p->warning;
    if (p->warning && ctl_has(k->ctl, OPTION_QUIET))
        return;
    if (!ctl_has(k->ctl, OPTION_JSON))
        printf("%s%s\n", p->warning ? "warning: " : "", p->text);
    table_set(t, PROBLEM_SEVERITY, p->warning ? SPAN("warning") : SPAN("mistake"));
    if (p->setting)
        table_set(t, PROBLEM_SETTING, span_str(p->setting));
    if (p->origin.kind == CONF_FROM_FILE) {
        table_set(t, PROBLEM_FILE, span_str(p->origin.file));
        table_set_number(t, PROBLEM_LINE, p->origin.line);
    }
    table_set(t, PROBLEM_TEXT, span_str(p->text));
    table_row(t);
}

/* A mistake that ended the reading: "FILE:LINE: ..." */
static void show_syntax(struct checking *k, const char *file, const char *text)
{
    struct conf_problem p = {.text = text};
    size_t n = strlen(file);
    struct span rest = span_skip(span_str(text), n + 1), number;
    uint64_t line;
    if (strncmp(text, file, n) == 0 && text[n] == ':' && span_split(&rest, ':', &number) &&
        span_to_u64(number, UINT32_MAX, &line))
        p.origin = (struct conf_origin){CONF_FROM_FILE, file, (unsigned)line};
    show_problem(k, &p);
}

int run_config_check(struct ctl *c)
{
    struct err err = {0};
    struct checking k = {.ctl = c};
    const char *file = c->arg_count ? c->args[0] : NULL;
    k.table = table_new(problem_columns, ARRAY_LEN(problem_columns), ctl_has(c, OPTION_JSON));
    int rc = ctl_load(c, file, &err);
    if (rc == 0)
        (void)conf_check_all(c->conf, show_problem, &k);
    else if (rc == ERR_INVALID || rc == ERR_LIMIT)
        show_syntax(&k, ctl_config_file(c, file), err.text);
    bool fine = rc == 0 && !k.mistakes;
    if (fine && !ctl_has(c, OPTION_JSON) && !ctl_has(c, OPTION_QUIET))
        puts("The configuration is good.");
    table_end(k.table, NULL);
    if (rc && rc != ERR_INVALID && rc != ERR_LIMIT)
        return ctl_fail(c, EXIT_UNREACHABLE, rc, "%s", err.text);
    return fine ? EXIT_FINE : EXIT_FINDINGS;
}

/* --- show --- */

enum {
    SHOW_SETTING,
    SHOW_VALUE,
    SHOW_PLACE, /* for people */
    SHOW_FROM,
    SHOW_FILE,
    SHOW_LINE,
    SHOW_TYPE,
    SHOW_DEFAULT,
    SHOW_RESTART
};
static const struct column show_columns[] = {
    [SHOW_SETTING] = {"setting", "SETTING", COLUMN_TEXT, false},
    [SHOW_VALUE] = {"value", "VALUE", COLUMN_TEXT, true},
    [SHOW_PLACE] = {NULL, "FROM", COLUMN_TEXT, true},
    [SHOW_FROM] = {"from", NULL, COLUMN_TEXT, false},
    [SHOW_FILE] = {"file", NULL, COLUMN_TEXT, false},
    [SHOW_LINE] = {"line", NULL, COLUMN_NUMBER, false},
    [SHOW_TYPE] = {"type", NULL, COLUMN_TEXT, false},
    [SHOW_DEFAULT] = {"default", NULL, COLUMN_TEXT, false},
    [SHOW_RESTART] = {"needs_restart", NULL, COLUMN_FLAG, false},
};

struct showing {
    struct ctl *ctl;
    struct table *table;
    bool *used; /* the arguments that named something */
};

/* "imap" names all of imap.*. */
static bool is_named(const struct showing *w, const char *setting)
{
    bool named = false;
    for (size_t i = 0; i < w->ctl->arg_count; i++) {
        size_t n = strlen(w->ctl->args[i]);
        if (strncmp(setting, w->ctl->args[i], n) == 0 && (!setting[n] || setting[n] == '.'))
            named = w->used[i] = true;
    }
    return named;
}

static void show_setting(void *arg, const struct conf_shown *s)
{
    struct showing *w = arg;
    struct table *t = w->table;
    bool changed = s->origin.kind != CONF_FROM_DEFAULT;
    static const char *const from[] = {"default", "file", "option"};
    if (w->ctl->arg_count ? !is_named(w, s->name) : !changed && !ctl_has(w->ctl, OPTION_ALL))
        return;
    autobuf place = BUF_INIT(BUF_UNLIMITED);
    if (s->origin.kind == CONF_FROM_FILE)
        buf_printf(&place, "%s:%u", s->origin.file, s->origin.line);
    else
        buf_put_str(&place, changed ? s->origin.file : "default");
    table_set(t, SHOW_SETTING, span_str(s->name));
    table_set(t, SHOW_VALUE, span_str(s->value));
    table_set(t, SHOW_PLACE, buf_span(&place));
    table_set(t, SHOW_FROM, span_str(from[s->origin.kind]));
    if (s->origin.kind == CONF_FROM_FILE) {
        table_set(t, SHOW_FILE, span_str(s->origin.file));
        table_set_number(t, SHOW_LINE, s->origin.line);
    }
    table_set(t, SHOW_TYPE, span_str(s->type));
    table_set(t, SHOW_DEFAULT, span_str(s->def));
    table_set(t, SHOW_RESTART, s->fixed ? SPAN("yes") : SPAN("no"));
    table_row(t);
}

int run_config_show(struct ctl *c)
{
    autofree bool *used = xcalloc(c->arg_count + 1, sizeof(*used));
    struct showing w = {c, NULL, used};
    int code = ctl_conf(c);
    if (code)
        return code;
    w.table = table_new(show_columns, ARRAY_LEN(show_columns), ctl_has(c, OPTION_JSON));
    conf_show(c->conf, show_setting, &w);
    table_end(w.table,
              c->arg_count ? NULL : "All settings have their defaults (--all shows them).");
    for (size_t i = 0; i < c->arg_count; i++)
        if (!used[i])
            code =
                ctl_fail(c, EXIT_FAILED, ERR_NOT_FOUND, "there is no setting \"%s\"", c->args[i]);
    return code;
}
