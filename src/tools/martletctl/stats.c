/* stats: the server and its processes, or accounts. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

/* --- accounts --- */

enum { ACCOUNT_NAME, ACCOUNT_MAILBOXES, ACCOUNT_MESSAGES };
static const struct column account_columns[] = {
    [ACCOUNT_NAME] = {"account", "ACCOUNT", COLUMN_TEXT, true},
    [ACCOUNT_MAILBOXES] = {"mailboxes", "MAILBOXES", COLUMN_NUMBER, false},
    [ACCOUNT_MESSAGES] = {"messages", "MESSAGES", COLUMN_NUMBER, false},
    {"unseen", "UNSEEN", COLUMN_NUMBER, false},
    {"size", "SIZE", COLUMN_SIZE, false},
    {"log_bytes", "LOG", COLUMN_SIZE, false},
    {"index_bytes", "INDEX", COLUMN_SIZE, false},
    {"id", NULL, COLUMN_TEXT, false},
};

struct names {
    char **v;
    size_t n;
};

static void add_name(void *arg, struct span text)
{
    struct names *names = arg;
    struct span name;
    if (!span_split(&text, '\t', &name))
        return;
    names->v = xrealloc_array(names->v, names->n + 1, sizeof(char *));
    names->v[names->n++] = span_dup(name);
}

static int stat_account(struct ctl *c, struct server *s, const char *name, struct table *t)
{
    struct span why = SPAN_EMPTY;
    autobuf args = BUF_INIT(MESSAGE_MAX);
    control_args_put(&args, span_str(name));
    int rc = server_ask_table(s, server_process_of(s, span_str(name)), "account-stats",
                              buf_span(&args), t, &why);
    return rc ? ctl_fail(c, EXIT_FAILED, rc, "%s: " SPAN_FMT, name, SPAN_ARG(why)) : 0;
}

static int stat_accounts(struct ctl *c, struct server *s)
{
    struct names names = {0};
    struct span why = SPAN_EMPTY;
    struct progress progress;
    struct table *t = NULL;
    int code = EXIT_FINE;
    for (size_t i = 0; i < c->arg_count; i++)
        add_name(&names, span_str(c->args[i]));
    if (ctl_has(c, OPTION_ALL)) {
        int rc = server_ask(s, 0, "accounts", SPAN_EMPTY, add_name, &names, &why, SERVER_ANSWER_MS);
        if (rc)
            code = ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why));
    }
    t = table_new(account_columns, ARRAY_LEN(account_columns), ctl_has(c, OPTION_JSON));
    progress_begin(&progress, !ctl_has(c, OPTION_QUIET) && !ctl_has(c, OPTION_JSON));
    for (size_t i = 0; i < names.n; i++) {
        int r = stat_account(c, s, names.v[i], t);
        code = r ? r : code;
        free(names.v[i]);
        progress_show(&progress, "stats", i + 1, names.n);
    }
    progress_clear(&progress);
    free(names.v);
    table_end(t, code ? NULL : "There are no accounts.");
    return code;
}

/* --- the server --- */

struct totals {
    uint64_t sessions, lmtp_sessions, accounts_open, appends, deliveries, duplicates;
    uint64_t bytes_in, bytes_out, supervisor;
    uint64_t accounts, log_bytes, index_bytes, memory;
};

static void add_totals(void *arg, struct span text)
{
    struct totals *t = arg;
    const struct {
        const char *key;
        uint64_t *to;
    } sums[] = {{"sessions", &t->sessions},           {"lmtp_sessions", &t->lmtp_sessions},
                {"accounts_open", &t->accounts_open}, {"appends", &t->appends},
                {"deliveries", &t->deliveries},       {"duplicates", &t->duplicates},
                {"bytes_in", &t->bytes_in},           {"bytes_out", &t->bytes_out}};
    struct span key, value;
    uint64_t n;
    while (control_args_next(&text, &key) && control_args_next(&text, &value)) {
        if (!span_to_u64(value, UINT64_MAX, &n))
            continue;
        if (span_eq(key, SPAN("supervisor")))
            t->supervisor = n;
        for (size_t i = 0; i < ARRAY_LEN(sums); i++)
            if (span_eq(key, span_str(sums[i].key)))
                *sums[i].to += n;
    }
}

static void count_account(void *arg, struct span text)
{
    (void)text;
    ++*(uint64_t *)arg;
}

static uint64_t files_in(const char *dir, const char *below)
{
    autobuf path = BUF_INIT(BUF_UNLIMITED);
    uint64_t sum = 0;
    buf_printf(&path, "%s/%s", dir, below);
    DIR *d = opendir(path.p);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
            sum += (uint64_t)st.st_blocks * 512;
    }
    if (d)
        closedir(d);
    return sum;
}

/* STATE/accounts/ab/ID/{log,index}: read here, since the accounts need not be open for it. */
static int measure_files(struct ctl *c, struct totals *t)
{
    struct progress progress;
    progress_begin(&progress, !ctl_has(c, OPTION_QUIET) && !ctl_has(c, OPTION_JSON));
    autobuf accounts = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&accounts, "%s/accounts", c->conf->state_dir);
    if (access(accounts.p, R_OK | X_OK))
        return errno;
    for (unsigned i = 0; i < 256; i++) {
        autobuf group = BUF_INIT(BUF_UNLIMITED);
        buf_printf(&group, "%s/%02x", accounts.p, i);
        DIR *d = opendir(group.p);
        for (struct dirent *e; d && (e = readdir(d));) {
            autobuf dir = BUF_INIT(BUF_UNLIMITED);
            if (e->d_name[0] == '.')
                continue;
            buf_printf(&dir, "%s/%s", group.p, e->d_name);
            t->log_bytes += files_in(dir.p, "log");
            t->index_bytes += files_in(dir.p, "index");
        }
        if (d)
            closedir(d);
        progress_show(&progress, "stats", i + 1, 256);
    }
    progress_clear(&progress);
    return 0;
}

enum { PROCESS_KIND, PROCESS_NAME, PROCESS_PID, PROCESS_MEMORY, PROCESS_RESIDENT };
static const struct column process_columns[] = {
    [PROCESS_KIND] = {"kind", NULL, COLUMN_TEXT, false},
    [PROCESS_NAME] = {"process", "PROCESS", COLUMN_TEXT, true},
    [PROCESS_PID] = {"pid", "PID", COLUMN_NUMBER, false},
    [PROCESS_MEMORY] = {"memory", "MEMORY", COLUMN_SIZE, false},
    [PROCESS_RESIDENT] = {"resident", "RESIDENT", COLUMN_SIZE, false},
};

struct process {
    char name[64];
    uint64_t parent, anonymous, resident;
};

static uint64_t number_in(const char *line)
{
    return strtoull(strchr(line, ':') + 1, NULL, 10);
}

static bool read_process(uint64_t pid, struct process *ret)
{
    char path[64], line[256];
    snprintf(path, sizeof(path), "/proc/%llu/status", (unsigned long long)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return false;
    *ret = (struct process){0};
    while (fgets(line, sizeof(line), f)) {
        if (strncmp(line, "Name:\t", 6) == 0)
            snprintf(ret->name, sizeof(ret->name), "%.*s", (int)strcspn(line + 6, "\n"), line + 6);
        else if (strncmp(line, "PPid:", 5) == 0)
            ret->parent = number_in(line);
        else if (strncmp(line, "RssAnon:", 8) == 0 || strncmp(line, "RssShmem:", 9) == 0)
            ret->anonymous += number_in(line) * 1024;
        else if (strncmp(line, "VmRSS:", 6) == 0)
            ret->resident = number_in(line) * 1024;
    }
    fclose(f);
    return true;
}

static void add_process(struct table *t, struct totals *sum, uint64_t pid, const struct process *p)
{
    sum->memory += p->anonymous;
    table_set(t, PROCESS_KIND, SPAN("process"));
    table_set(t, PROCESS_NAME, span_str(p->name));
    table_set_number(t, PROCESS_PID, pid);
    table_set_number(t, PROCESS_MEMORY, p->anonymous);
    table_set_number(t, PROCESS_RESIDENT, p->resident);
    table_row(t);
}

static void add_processes(struct table *t, struct totals *sum)
{
    struct process p;
    uint64_t pid;
    if (!sum->supervisor || !read_process(sum->supervisor, &p))
        return;
    add_process(t, sum, sum->supervisor, &p);
    DIR *d = opendir("/proc");
    for (struct dirent *e; d && (e = readdir(d));)
        if (span_to_u64(span_str(e->d_name), UINT32_MAX, &pid) && read_process(pid, &p) &&
            p.parent == sum->supervisor)
            add_process(t, sum, pid, &p);
    if (d)
        closedir(d);
}

static const struct column server_columns[] = {
    {"kind", NULL, COLUMN_TEXT, false},
    {"accounts", "accounts", COLUMN_NUMBER, false},
    {"accounts_open", "accounts open", COLUMN_NUMBER, false},
    {"sessions", "sessions", COLUMN_NUMBER, false},
    {"lmtp_sessions", "LMTP sessions", COLUMN_NUMBER, false},
    {"deliveries", "deliveries", COLUMN_NUMBER, false},
    {"duplicates", "deliveries seen before", COLUMN_NUMBER, false},
    {"appends", "messages appended", COLUMN_NUMBER, false},
    {"bytes_in", "received", COLUMN_SIZE, false},
    {"bytes_out", "sent", COLUMN_SIZE, false},
    {"log_bytes", "logs", COLUMN_SIZE, false},
    {"index_bytes", "indexes", COLUMN_SIZE, false},
    {"memory", "memory", COLUMN_SIZE, false},
};

static void print_totals(struct ctl *c, const struct totals *t, bool files)
{
    struct table *table =
        table_new(server_columns, ARRAY_LEN(server_columns), ctl_has(c, OPTION_JSON));
    const uint64_t values[] = {t->accounts,   t->accounts_open, t->sessions,    t->lmtp_sessions,
                               t->deliveries, t->duplicates,    t->appends,     t->bytes_in,
                               t->bytes_out,  t->log_bytes,     t->index_bytes, t->memory};
    table_set(table, 0, SPAN("server"));
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        if (files || (values + i != &values[9] && values + i != &values[10]))
            table_set_number(table, i + 1, values[i]);
    table_row(table);
    table_end_as_record(table);
}

static int stat_server(struct ctl *c, struct server *s)
{
    struct totals sum = {0};
    struct span why = SPAN_EMPTY;
    int rc = server_ask(s, 0, "accounts", SPAN_EMPTY, count_account, &sum.accounts, &why,
                        SERVER_ANSWER_MS);
    for (unsigned i = 0; rc == 0 && i < server_processes(s); i++)
        rc = server_ask(s, i, "stats", SPAN_EMPTY, add_totals, &sum, &why, SERVER_ANSWER_MS);
    if (rc)
        return ctl_fail(c, EXIT_FAILED, rc, SPAN_FMT, SPAN_ARG(why));
    bool files = measure_files(c, &sum) == 0;
    struct table *t =
        table_new(process_columns, ARRAY_LEN(process_columns), ctl_has(c, OPTION_JSON));
    add_processes(t, &sum);
    print_totals(c, &sum, files);
    if (!ctl_has(c, OPTION_JSON))
        putchar('\n');
    table_end(t, NULL);
    return EXIT_FINE;
}

int run_stats(struct ctl *c)
{
    struct server *s;
    int code = server_open(c, &s);
    if (code)
        return code;
    code = c->arg_count || ctl_has(c, OPTION_ALL) ? stat_accounts(c, s) : stat_server(c, s);
    server_close(s);
    return code;
}
