/* A running server, through the control sockets of its mail processes. */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/random.h"
#include "ipc/channel.h"
#include "store/backup_stage.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/table.h"

enum { PROCESSES_MAX = 256, DISCARD_MS = 30000 };

struct server {
    struct ctl *ctl;
    int socks[PROCESSES_MAX]; /* -1: not connected yet */
    unsigned count;
    uint64_t id;
    struct buf scratch;
};

static int connect_to(const char *dir, unsigned index, int *ret, struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/run/control.%u", dir, index);
    if (n < 0 || (size_t)n >= sizeof(a.sun_path))
        return err_set(err, ERR_NOT_FOUND, "%s: too long a name for a socket", dir);
    autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(err, "socket");
    if (connect(fd, (struct sockaddr *)&a, sizeof(a))) {
        bool nobody = errno == ENOENT || errno == ECONNREFUSED;
        int rc = err_set_errno(err, "connect to %s", a.sun_path);
        return nobody ? ERR_NOT_FOUND : rc;
    }
    *ret = take_fd(&fd);
    return 0;
}

static int sock_of(struct server *s, unsigned index, int *ret, struct err *err)
{
    if (s->socks[index] < 0) {
        int rc = connect_to(s->ctl->conf->state_dir, index, &s->socks[index], err);
        if (rc)
            return rc;
    }
    *ret = s->socks[index];
    return 0;
}

int server_ask(struct server *s, unsigned process, const char *verb, struct span args,
               server_result *each, void *arg, struct span *ret_text, int timeout_ms)
{
    struct message m = {.kind = MESSAGE_CONTROL};
    struct err err = {0};
    int sock, fd;
    m.u.control.id = ++s->id;
    m.u.control.verb = span_str(verb);
    m.u.control.args = args;
    int rc = sock_of(s, process, &sock, &err);
    if (rc == 0)
        rc = channel_send_blocking(sock, &m, -1);
    while (rc == 0) {
        rc = channel_receive_blocking(sock, ROLE_CTL, ROLE_MAIL, &s->scratch, &m, &fd, timeout_ms);
        if (rc || m.kind != MESSAGE_CONTROL_RESULT || m.u.control_result.id != s->id)
            continue;
        if (m.u.control_result.final) {
            *ret_text = m.u.control_result.text;
            return m.u.control_result.error;
        }
        if (each)
            each(arg, m.u.control_result.text);
    }
    buf_reset(&s->scratch);
    buf_put_str(&s->scratch, err.code ? err.text : "the server does not answer");
    *ret_text = buf_span(&s->scratch);
    return rc;
}

static void add_row(void *arg, struct span text)
{
    struct table *t = arg;
    struct span key, value;
    while (control_args_next(&text, &key) && control_args_next(&text, &value))
        table_set_key(t, key, value);
    table_row(t);
}

int server_ask_table(struct server *s, unsigned process, const char *verb, struct span args,
                     struct table *t, struct span *ret_text)
{
    return server_ask(s, process, verb, args, add_row, t, ret_text, SERVER_ANSWER_MS);
}

/* --- connecting --- */

struct listing {
    void (*each)(void *arg, struct span a, struct span b);
    void *arg;
};

static void split_pair(void *arg, struct span text)
{
    struct listing *l = arg;
    struct span first = SPAN_EMPTY;
    span_split(&text, '\t', &first);
    l->each(l->arg, first, text);
}

static int list_pairs(struct server *s, const char *verb,
                      void (*each)(void *arg, struct span a, struct span b), void *arg,
                      struct err *err)
{
    struct listing l = {each, arg};
    struct span text;
    int rc = server_ask(s, 0, verb, SPAN_EMPTY, split_pair, &l, &text, SERVER_ANSWER_MS);
    return rc ? err_set(err, rc, "%s: " SPAN_FMT, verb, SPAN_ARG(text)) : 0;
}

static void note_count(void *arg, struct span key, struct span value)
{
    struct server *s = arg;
    uint64_t n;
    if (span_eq(key, SPAN("processes")) && span_to_u64(value, PROCESSES_MAX, &n) && n > 0)
        s->count = (unsigned)n;
}

unsigned server_processes(const struct server *s)
{
    return s->count;
}

unsigned server_process_of(const struct server *s, struct span user)
{
    return route_user(user, s->count);
}

void server_close(struct server *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < PROCESSES_MAX; i++)
        if (s->socks[i] >= 0)
            close(s->socks[i]);
    buf_done(&s->scratch);
    free(s);
}

int server_connect(struct ctl *c, struct server **ret, struct err *err)
{
    struct server *s = xnew(struct server);
    int sock;
    s->ctl = c;
    buf_init(&s->scratch, BUF_UNLIMITED);
    for (unsigned i = 0; i < PROCESSES_MAX; i++)
        s->socks[i] = -1;
    int rc = sock_of(s, 0, &sock, err);
    if (rc == 0)
        rc = list_pairs(s, "status", note_count, s, err);
    if (rc == 0 && s->count == 0)
        rc = err_set(err, ERR_INVALID, "the server does not say how many processes it has");
    if (rc) {
        server_close(s);
        return rc;
    }
    *ret = s;
    return 0;
}

int server_open(struct ctl *c, struct server **ret)
{
    struct err err = {0};
    int code = ctl_conf(c);
    if (code)
        return code;
    int rc = server_connect(c, ret, &err);
    if (rc == ERR_NOT_FOUND)
        return ctl_fail(c, EXIT_UNREACHABLE, rc,
                        "no server runs on %s (%s); start it, or say which with --dir or -c",
                        c->conf->state_dir, err.text);
    return rc ? ctl_fail(c, EXIT_UNREACHABLE, rc, "%s", err.text) : 0;
}

/* --- accounts --- */

static int accounts(void *ctx, void (*each)(void *arg, struct span name, struct span id), void *arg,
                    struct err *err)
{
    return list_pairs(ctx, "accounts", each, arg, err);
}

static void on_result(void *arg, struct span text)
{
    struct report *r = arg;
    struct span kind = SPAN_EMPTY, field[4] = {{0}};
    uint64_t n[4] = {0};
    span_split(&text, '\t', &kind);
    bool progress = span_eq(kind, SPAN("progress"));
    for (int i = 0; i < (progress ? 2 : 4); i++)
        if (!span_split(&text, '\t', &field[i]) || !span_to_u64(field[i], UINT64_MAX, &n[i]))
            n[i] = 0;
    if (progress) {
        report_progress(r, n[0], n[1]);
        return;
    }
    const char *kinds[] = {"info", "repaired", "damage"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (span_eq(kind, span_str(kinds[i])))
            report_found(r, &(struct found){kinds[i], n[0], n[1], n[2], n[3], text});
}

/* Backups come and go by way of the state directory, which is all that the server reaches. */
static void stage_path(const struct server *s, struct buf *to)
{
    autofree char *dir = realpath(s->ctl->conf->state_dir, NULL); /* it may be relative to us */
    buf_printf(to, "%s/run/stage-%08x", dir ? dir : "", (unsigned)random_u64());
}

static int ask(struct server *s, const char *account, const char *argument, struct report *report,
               struct span *ret_text)
{
    autobuf args = BUF_INIT(MESSAGE_MAX);
    control_args_put(&args, span_str(account));
    if (argument)
        control_args_put(&args, span_str(argument));
    return server_ask(s, server_process_of(s, span_str(account)), s->ctl->command->name,
                      buf_span(&args), on_result, report, ret_text, INT_MAX);
}

static void show_copied(void *arg, uint64_t done, uint64_t total)
{
    report_progress(arg, done, total);
}

static void run(void *ctx, const char *account, const char *dir, struct report *report)
{
    struct server *s = ctx;
    struct span text = SPAN_EMPTY;
    struct err err = {0};
    int rc = 0;
    autobuf stage = BUF_INIT(BUF_UNLIMITED);
    struct backup_progress progress = {show_copied, report, 0, 0};
    bool restore = strcmp(s->ctl->command->name, "restore") == 0;
    report_begin(report, account);
    if (dir)
        stage_path(s, &stage);
    if (dir && restore)
        rc = backup_bring(dir, stage.p, s->ctl->conf->state_dir, &progress, &err);
    if (rc == 0)
        rc = ask(s, account,
                 dir                             ? stage.p
                 : ctl_has(s->ctl, OPTION_ERASE) ? "erase"
                                                 : NULL,
                 report, &text);
    if (rc == 0 && dir && !restore)
        rc = backup_collect(stage.p, dir, &progress, &err);
    if (dir)
        backup_unstage(stage.p);
    report_end(report, rc, err.code ? span_str(err.text) : text);
}

static void keep_id(void *arg, struct span text)
{
    struct span key, value;
    while (control_args_next(&text, &key) && control_args_next(&text, &value))
        if (span_eq(key, SPAN("id")))
            buf_put_span(arg, value);
}

static int discard(void *ctx, const char *account, struct err *err)
{
    struct server *s = ctx;
    struct span why = SPAN_EMPTY;
    autobuf args = BUF_INIT(MESSAGE_MAX), id = BUF_INIT(256);
    unsigned process = server_process_of(s, span_str(account));
    control_args_put(&args, span_str(account));
    int rc =
        server_ask(s, process, "account-discard", buf_span(&args), keep_id, &id, &why, DISCARD_MS);
    if (rc == 0) {
        control_args_put(&args, buf_span(&id));
        rc =
            server_ask(s, 0, "account-forget", buf_span(&args), NULL, NULL, &why, SERVER_ANSWER_MS);
    }
    if (rc == 0)
        rc = server_ask(s, process, "account-erase", SPAN_EMPTY, NULL, NULL, &why, INT_MAX);
    return rc ? err_set(err, rc, SPAN_FMT, SPAN_ARG(why)) : 0;
}

static void close_server(void *ctx)
{
    server_close(ctx);
}

int access_open_server(struct ctl *c, struct server *s, struct access *ret)
{
    (void)c;
    *ret = (struct access){s, accounts, run, discard, close_server};
    return 0;
}
