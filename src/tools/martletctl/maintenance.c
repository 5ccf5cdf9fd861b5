/* Work on one account after the other (check, rebuild, compact, checkpoint, backup, restore), and
 * the report of it: a line an account for people, or an object a line for programs. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

struct report {
    struct ctl *ctl;
    struct progress progress;
    size_t width; /* of the longest account name */
    /* The account at work. */
    const char *account;
    uint64_t begun_us;
    size_t findings, damages;
    struct buf json; /* findings so far */
    /* All of them. */
    size_t done, failed, damaged;
};

void report_begin(struct report *r, const char *account)
{
    bool quiet = ctl_has(r->ctl, OPTION_QUIET) || ctl_has(r->ctl, OPTION_JSON);
    r->account = account;
    r->begun_us = clock_monotonic_us();
    r->findings = r->damages = 0;
    buf_reset(&r->json);
    progress_begin(&r->progress, !quiet);
}

void report_found(struct report *r, const struct found *f)
{
    r->findings++;
    r->damages += strcmp(f->kind, "damage") == 0;
    if (ctl_has(r->ctl, OPTION_JSON)) {
        buf_printf(&r->json, "%s{\"kind\":\"%s\",\"mailbox\":%llu,\"uid\":%llu,",
                   r->json.n ? "," : "", f->kind, (unsigned long long)f->mailbox,
                   (unsigned long long)f->uid);
        buf_printf(&r->json,
                   "\"segment\":%llu,\"offset\":%llu,\"text\":", (unsigned long long)f->segment,
                   (unsigned long long)f->offset);
        json_string(&r->json, f->text);
        buf_put_byte(&r->json, '}');
        return;
    }
    progress_clear(&r->progress);
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    put_printable(&text, f->text);
    printf("%s: %s: %s\n", r->account, f->kind, text.n ? text.p : "");
}

void report_progress(struct report *r, uint64_t done, uint64_t total)
{
    autobuf what = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&what, "%s %s", r->ctl->command->name, r->account);
    progress_show(&r->progress, what.p, done, total);
}

static void print_json(struct report *r, int error, struct span text, double seconds)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    buf_put_str(&b, "{\"account\":");
    json_string(&b, span_str(r->account));
    buf_printf(&b, ",\"action\":\"%s\",\"result\":\"%s\",\"error\":", r->ctl->command->name,
               error        ? "failed"
               : r->damages ? "damaged"
                            : "ok");
    json_string(&b, error ? span_str(err_name(error)) : SPAN(""));
    buf_put_str(&b, ",\"text\":");
    json_string(&b, text);
    buf_printf(&b, ",\"seconds\":%.3f,\"findings\":[", seconds);
    buf_put_span(&b, buf_span(&r->json));
    buf_put_str(&b, "]}\n");
    fwrite(b.p, 1, b.n, stdout);
}

void report_end(struct report *r, int error, struct span text)
{
    double seconds = (double)(clock_monotonic_us() - r->begun_us) / 1e6;
    progress_clear(&r->progress);
    r->done++;
    r->failed += error != 0;
    r->damaged += r->damages > 0;
    if (ctl_has(r->ctl, OPTION_JSON)) {
        print_json(r, error, text, seconds);
    } else if (error) {
        printf("%-*s  %-8s %8.2f s  %.*s\n", (int)r->width, r->account, "FAILED", seconds,
               (int)text.n, text.p);
    } else if (!ctl_has(r->ctl, OPTION_QUIET) || r->damages) {
        printf("%-*s  %-8s %8.2f s", (int)r->width, r->account, r->damages ? "DAMAGED" : "ok",
               seconds);
        if (r->findings)
            printf("  %zu finding%s", r->findings, r->findings == 1 ? "" : "s");
        putchar('\n');
    }
    fflush(stdout);
}

static int report_finish(struct report *r)
{
    if (!ctl_has(r->ctl, OPTION_JSON) && !ctl_has(r->ctl, OPTION_QUIET) && r->done != 1)
        printf("%zu accounts, %zu damaged, %zu failed\n", r->done, r->damaged, r->failed);
    buf_done(&r->json);
    return r->failed ? EXIT_FAILED : r->damaged ? EXIT_FINDINGS : EXIT_FINE;
}

/* --- names as directories --- */

/* Letters, digits and @.-_+ as they are, all else as %XX; a leading dot, too. */
static void put_directory(struct buf *to, const char *account)
{
    for (const char *p = account; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain = ascii_is_alpha(c) || ascii_is_digit(c) || strchr("@.-_+", c);
        if (plain && !(c == '.' && p == account))
            buf_put_byte(to, (char)c);
        else
            buf_printf(to, "%%%02X", c);
    }
}

/* The server does not know where we are. */
static void put_absolute(struct buf *to, const char *dir)
{
    if (dir[0] != '/') {
        autofree char *here = getcwd(NULL, 0);
        buf_printf(to, "%s/", here ? here : "");
    }
    buf_put_str(to, dir);
}

/* --- the commands --- */

int access_open(struct ctl *c, struct access *ret)
{
    struct server *s;
    struct err err = {0};
    int code = ctl_conf(c);
    if (code)
        return code;
    int rc = server_connect(c, &s, &err);
    if (rc == 0)
        return access_open_server(c, s, ret);
    if (rc == ERR_NOT_FOUND)
        rc = access_open_local(c, ret, &err);
    return rc ? ctl_fail(c, EXIT_UNREACHABLE, rc, "%s", err.text) : 0;
}

struct names {
    char **v;
    size_t n, width;
};

static void add_name(void *arg, struct span name, struct span id)
{
    struct names *names = arg;
    (void)id;
    names->v = xrealloc_array(names->v, names->n + 1, sizeof(char *));
    names->v[names->n++] = span_dup(name);
    names->width = MAX(names->width, name.n);
}

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

static int open_access(struct ctl *c, struct access *ret)
{
    *ret = (struct access){.run = NULL};
    int code = access_open(c, ret);
    invariant(code != 0 || (ret->run && ret->accounts && ret->close));
    return code;
}

static int work(struct ctl *c, struct access *access, const struct names *names)
{
    struct report report = {.ctl = c, .width = names->width};
    enum option_id where = ctl_has(c, OPTION_TO) ? OPTION_TO : OPTION_FROM;
    buf_init(&report.json, BUF_UNLIMITED);
    for (size_t i = 0; i < names->n; i++) {
        autobuf dir = BUF_INIT(BUF_UNLIMITED);
        if (ctl_has(c, where)) {
            put_absolute(&dir, c->values[where]);
            buf_put_byte(&dir, '/');
            put_directory(&dir, names->v[i]);
        }
        access->run(access->ctx, names->v[i], dir.n ? dir.p : NULL, &report);
    }
    return report_finish(&report);
}

static int check_directory(struct ctl *c)
{
    bool backup = strcmp(c->command->name, "backup") == 0;
    bool restore = strcmp(c->command->name, "restore") == 0;
    const char *to = c->values[OPTION_TO];
    if ((backup && !to) || (restore && !ctl_has(c, OPTION_FROM)))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "%s needs %s DIR", c->command->name,
                        backup ? "--to" : "--from");
    if (backup && mkdir(to, 0700) && errno != EEXIST)
        return ctl_fail(c, EXIT_FAILED, ERR_IO, "%s: %s", to, strerror(errno));
    return 0;
}

int run_maintenance(struct ctl *c)
{
    struct access access;
    struct names names = {0};
    struct err err = {0};
    int code = check_directory(c);
    if (code == 0)
        code = open_access(c, &access);
    if (code)
        return code;
    for (size_t i = 0; i < c->arg_count; i++)
        add_name(&names, span_str(c->args[i]), SPAN_EMPTY);
    int rc = 0;
    if (ctl_has(c, OPTION_ALL))
        rc = access.accounts(access.ctx, add_name, &names, &err);
    code = rc ? ctl_fail(c, EXIT_FAILED, rc, "%s", err.text) : work(c, &access, &names);
    names_done(&names);
    access.close(access.ctx);
    return code;
}

static void add_account(void *arg, struct span name, struct span id)
{
    table_set(arg, 0, name);
    table_set(arg, 1, id);
    table_row(arg);
}

int run_accounts_list(struct ctl *c)
{
    static const struct column columns[] = {{"account", "ACCOUNT", COLUMN_TEXT, true},
                                            {"id", "ID", COLUMN_TEXT, false}};
    struct access access;
    struct err err = {0};
    int code = open_access(c, &access);
    if (code)
        return code;
    struct table *t = table_new(columns, ARRAY_LEN(columns), ctl_has(c, OPTION_JSON));
    int rc = access.accounts(access.ctx, add_account, t, &err);
    table_end(t, rc ? NULL : "There are no accounts.");
    access.close(access.ctx);
    return rc ? ctl_fail(c, EXIT_FAILED, rc, "%s", err.text) : EXIT_FINE;
}

static void add_pair(void *arg, struct span text)
{
    struct span key = SPAN_EMPTY;
    span_split(&text, '\t', &key);
    table_set(arg, 0, key);
    table_set(arg, 1, text);
    table_row(arg);
}

int run_status(struct ctl *c)
{
    static const struct column columns[] = {{"key", "KEY", COLUMN_TEXT, false},
                                            {"value", "VALUE", COLUMN_TEXT, true}};
    struct server *s = NULL;
    struct err err = {0};
    int rc = ctl_conf(c);
    if (rc)
        return rc;
    rc = server_connect(c, &s, &err);
    if (rc && rc != ERR_NOT_FOUND)
        return ctl_fail(c, EXIT_UNREACHABLE, rc, "%s", err.text);
    struct table *t = table_new(columns, ARRAY_LEN(columns), ctl_has(c, OPTION_JSON));
    struct span why = SPAN_EMPTY;
    if (rc)
        add_pair(t, SPAN("server\tdoes not run"));
    for (unsigned i = 0; rc == 0 && i < server_processes(s); i++)
        rc = server_ask(s, i, "status", SPAN_EMPTY, add_pair, t, &why, SERVER_ANSWER_MS);
    table_end(t, NULL);
    int code = s && rc ? ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why)) : EXIT_FINE;
    server_close(s);
    return code;
}
