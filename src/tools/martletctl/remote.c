/* A running server, through the control sockets of its mail processes (src/daemon/mail/control.c
 * says what they answer). */
#include <errno.h>
#include <limits.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tools/martletctl/ctl.h"
#include "ipc/channel.h"

enum { PROCESSES_MAX = 256, ANSWER_MS = 10000 };

struct remote {
    const struct options *options;
    int socks[PROCESSES_MAX]; /* -1: not connected yet */
    unsigned count;
    uint64_t id;
    struct buf scratch;
};

static int connect_to(const struct options *o, unsigned index, int *ret, struct err *err)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int n = snprintf(a.sun_path, sizeof(a.sun_path), "%s/run/control.%u", o->state_dir, index);
    if (n < 0 || (size_t)n >= sizeof(a.sun_path))
        return err_set(err, ERR_NOT_FOUND, "%s: too long a name for a socket", o->state_dir);
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

static int sock_of(struct remote *r, unsigned index, int *ret, struct err *err)
{
    if (r->socks[index] < 0) {
        int rc = connect_to(r->options, index, &r->socks[index], err);
        if (rc)
            return rc;
    }
    *ret = r->socks[index];
    return 0;
}

typedef void result_fn(void *arg, struct span text);

/* One request; each(arg, text) for all results but the last. *ret_text is valid until the next
 * request. */
static int ask(struct remote *r, unsigned index, const char *verb, struct span args,
               result_fn *each, void *arg, struct span *ret_text, int timeout_ms)
{
    struct message m = {.kind = MESSAGE_CONTROL};
    static struct err err;
    int sock, fd;
    m.u.control.id = ++r->id;
    m.u.control.verb = span_str(verb);
    m.u.control.args = args;
    int rc = sock_of(r, index, &sock, &err);
    if (rc == 0)
        rc = channel_send_blocking(sock, &m, -1);
    while (rc == 0) {
        rc = channel_receive_blocking(sock, ROLE_CTL, ROLE_MAIL, &r->scratch, &m, &fd, timeout_ms);
        if (rc || m.kind != MESSAGE_CONTROL_RESULT || m.u.control_result.id != r->id)
            continue;
        if (m.u.control_result.final) {
            *ret_text = m.u.control_result.text;
            return m.u.control_result.error;
        }
        each(arg, m.u.control_result.text);
    }
    *ret_text = err.text[0] ? span_str(err.text) : SPAN("the server does not answer");
    return rc;
}

/* --- accounts and status --- */

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

static int list_pairs(struct remote *r, const char *verb,
                      void (*each)(void *arg, struct span a, struct span b), void *arg,
                      struct err *err)
{
    struct listing l = {each, arg};
    struct span text;
    int rc = ask(r, 0, verb, SPAN_EMPTY, split_pair, &l, &text, ANSWER_MS);
    return rc ? err_set(err, rc, "%s: " SPAN_FMT, verb, SPAN_ARG(text)) : 0;
}

static int accounts(void *ctx, void (*each)(void *arg, struct span name, struct span id), void *arg,
                    struct err *err)
{
    return list_pairs(ctx, "accounts", each, arg, err);
}

static int status(void *ctx, void (*each)(void *arg, struct span key, struct span value), void *arg,
                  struct err *err)
{
    struct remote *r = ctx;
    struct listing l = {each, arg};
    for (unsigned i = 0; i < r->count; i++) {
        struct span text;
        int rc = ask(r, i, "status", SPAN_EMPTY, split_pair, &l, &text, ANSWER_MS);
        if (rc)
            return err_set(err, rc, "status: " SPAN_FMT, SPAN_ARG(text));
    }
    return 0;
}

static void note_count(void *arg, struct span key, struct span value)
{
    struct remote *r = arg;
    uint64_t n;
    if (span_eq(key, SPAN("processes")) && span_to_u64(value, PROCESSES_MAX, &n) && n > 0)
        r->count = (unsigned)n;
}

/* --- work on one account --- */

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

static void run(void *ctx, const char *account, const char *dir, struct report *report)
{
    struct remote *r = ctx;
    struct span text;
    autobuf args = BUF_INIT(MESSAGE_MAX);
    control_args_put(&args, span_str(account));
    if (dir)
        control_args_put(&args, span_str(dir));
    else if (r->options->erase)
        control_args_put(&args, SPAN("erase"));
    report_begin(report, account);
    int rc = ask(r, route_user(span_str(account), r->count), r->options->verb, buf_span(&args),
                 on_result, report, &text, INT_MAX);
    report_end(report, rc, text);
}

static void close_all(void *ctx)
{
    struct remote *r = ctx;
    for (unsigned i = 0; i < PROCESSES_MAX; i++)
        if (r->socks[i] >= 0)
            close(r->socks[i]);
    buf_done(&r->scratch);
    free(r);
}

int remote_open(const struct options *o, struct access *ret, struct err *err)
{
    struct remote *r = xnew(struct remote);
    int sock;
    r->options = o;
    buf_init(&r->scratch, BUF_UNLIMITED);
    for (unsigned i = 0; i < PROCESSES_MAX; i++)
        r->socks[i] = -1;
    int rc = sock_of(r, 0, &sock, err);
    if (rc == 0)
        rc = list_pairs(r, "status", note_count, r, err);
    if (rc == 0 && r->count == 0)
        rc = err_set(err, ERR_INVALID, "the server does not say how many processes it has");
    if (rc) {
        close_all(r);
        return rc;
    }
    *ret = (struct access){r, accounts, run, status, close_all};
    return 0;
}
