/* martlet: the supervisor. Reads the configuration, opens the sockets, starts the other processes
 * and keeps them running. It never touches a byte that a client sent. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/logline.h"
#include "conf/rules.h"
#include "daemon/sandbox.h"
#include "daemon/skeleton.h"
#include "daemon/supervisor/children.h"
#include "io/listen.h"

enum { LOCK_WAIT_MS = 5000 };

struct supervisor {
    struct loop *loop;
    const char *file;        /* of the configuration; NULL: defaults only */
    const char *options[64]; /* -o */
    size_t option_count;
    struct conf *conf;
    struct children *children;
    struct sockets sockets;
    int lock_fd, log_fd, code;
};

static const char usage[] =
    "Usage: martlet [options]\n"
    "  -c FILE             configuration (default: " MARTLET_SYSCONFDIR "/martlet/martlet.conf)\n"
    "  -o SETTING=VALUE    set one setting, after the file; may be repeated\n"
    "  --check             check the configuration and end\n"
    "  --print-default     print the default configuration file\n"
    "  --version\n";

/* Configuration. */

static struct conf *load_conf(const struct supervisor *s, struct err *err)
{
    struct conf *c = s->file ? conf_load(s->file, err) : conf_new();
    for (size_t i = 0; c && i < s->option_count; i++) {
        if (conf_set(c, span_str(s->options[i]), err) < 0) {
            conf_free(c);
            return NULL;
        }
    }
    return c;
}

/* The state directory. */

static int make_dir(const char *path, struct err *err)
{
    autobuf part = BUF_INIT(4096);
    struct span rest = span_str(path), name;
    while (span_split(&rest, '/', &name)) {
        buf_put_span(&part, name);
        if (name.n && mkdir(part.p, 0700) < 0 && errno != EEXIST)
            return err_set_errno(err, "%s", part.p);
        buf_put_byte(&part, '/');
    }
    return buf_ok(&part) ? 0 : err_set(err, ERR_LIMIT, "%s: too long", path);
}

static void path_in_state(const struct supervisor *s, const char *name, struct buf *out)
{
    buf_printf(out, "%s/%s", s->conf->state_dir, name);
}

/* One Martlet for a directory. The mail processes hold the lock as well: where a supervisor was
 * killed, they need a moment to notice and end. */
static int lock_state(struct supervisor *s, struct err *err)
{
    autobuf path = BUF_INIT(4096);
    uint64_t deadline = clock_monotonic_us() + (uint64_t)LOCK_WAIT_MS * 1000;
    path_in_state(s, "lock", &path);
    autoclose int fd = open(path.p, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0) /* out of the way of SUPERVISOR_FD in a child */
        s->lock_fd = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    if (s->lock_fd < 0)
        return err_set_errno(err, "%s", path.p);
    while (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        if (clock_monotonic_us() > deadline)
            return err_set(err, ERR_BUSY, "%s is in use by another martlet", s->conf->state_dir);
        usleep(20000);
    }
    return 0;
}

/* Listening sockets; martletctl's are DIR/run/control.N. */
static int open_sockets(struct supervisor *s, struct err *err)
{
    struct listening *l;
    autobuf dir = BUF_INIT(4096);
    path_in_state(s, "run", &dir);
    int r = sockets_prepare(&s->sockets, s->conf, err);
    if (r == 0)
        r = make_dir(dir.p, err);
    if (r == 0)
        r = sockets_open_control(&s->sockets, dir.p,
                                 children_process_count(s->conf->mail_processes), err);
    list_each(l, &s->sockets.all, link) l->fresh = false;
    sockets_report_unused(&s->sockets);
    return r;
}

/* What a root that hands its state directory to process.mail_user has made in it itself. */
static int give_state(struct supervisor *s, uid_t uid, gid_t gid, struct err *err)
{
    struct listening *l;
    autobuf run = BUF_INIT(4096);
    path_in_state(s, "run", &run);
    int r = fchown(s->lock_fd, uid, gid);
    if (r == 0)
        r = lchown(run.p, uid, gid);
    list_each(l, &s->sockets.all, link)
    {
        if (l->kind == LISTENER_CONTROL && !l->inherited && r == 0)
            r = lchown(l->address, uid, gid);
    }
    return r < 0 ? err_set_errno(err, "giving %s to its user", s->conf->state_dir) : 0;
}

/* systemd's sd_notify(3), for Type=notify. */
static void notify(const char *text)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(un.sun_path))
        return;
    memcpy(un.sun_path, path, strlen(path));
    if (path[0] == '@')
        un.sun_path[0] = '\0';
    autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        (void)!sendto(fd, text, strlen(text), MSG_NOSIGNAL, (struct sockaddr *)&un,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path)));
}

/* Type=notify-reload wants to know when the reload began. */
static void notify_reloading(void)
{
    char text[64];
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)clock_monotonic_us());
    notify(text);
}

/* The log. Sandboxed processes cannot connect: they get the socket, anew with every reload, since
 * the one who reads it may have been restarted. */
static void set_log(struct supervisor *s, const struct conf *c)
{
    struct err err;
    int fd = -1;
    if (c->log_to != LOG_STDERR) {
        fd = log_socket_open((enum log_to)c->log_to, c->log_socket, &err);
        if (fd < 0)
            log_event(LOG_WARNING, "log-unreachable", "msg", err.text, NULL);
        else
            log_set_socket(fcntl(fd, F_DUPFD_CLOEXEC, 0));
    }
    daemon_set_log(c);
    if (fd < 0)
        return;
    if (s->children)
        children_log_to(s->children, fd);
    else
        s->log_fd = fd;
}

/* Life. */

static void on_all_ready(void *arg)
{
    (void)arg;
    log_event(LOG_INFO, "ready", "version", MARTLET_VERSION, NULL);
    puts("ready");
    fflush(stdout);
    notify("READY=1");
}

static void on_start_failed(void *arg)
{
    struct supervisor *s = arg;
    s->code = 1;
    children_stop(s->children);
}

static void on_all_ended(void *arg)
{
    struct supervisor *s = arg;
    loop_stop(s->loop);
}

/* Reload. */

static void on_reloaded(void *arg)
{
    struct supervisor *s = arg;
    log_text(LOG_INFO, "reloaded", "%s", s->file ? s->file : "");
    notify("READY=1");
}

struct changes {
    size_t fixed;
};

static void on_change(void *arg, const char *name, bool fixed)
{
    struct changes *c = arg;
    c->fixed += fixed;
    if (fixed)
        log_event(LOG_WARNING, "restart-needed", "setting", name, "msg",
                  "a change of this setting needs a restart; it is as it was", NULL);
    else
        log_event(LOG_INFO, "setting-changed", "setting", name, NULL);
}

/* New sockets are opened before anything changes, and old ones are closed after everything has. */
static void change_sockets(struct supervisor *s)
{
    struct listening *l, *next;
    list_each_safe(l, next, &s->sockets.all, link)
    {
        autobuf text = BUF_INIT(512);
        buf_put_str(&text, l->address);
        if (l->fresh) {
            l->fresh = false;
            children_listen(s->children, l);
            log_event(LOG_INFO, "listener-opened", "address", text.p, NULL);
        } else if (!l->wanted) {
            children_unlisten(s->children, l);
            sockets_remove(&s->sockets, l);
            log_event(LOG_INFO, "listener-closed", "address", text.p, NULL);
        }
    }
}

static void log_warning(void *arg, const struct conf_problem *p)
{
    (void)arg;
    if (p->warning)
        log_event(LOG_WARNING, "configuration-warning", "msg", p->text, NULL);
}

static struct conf *load_changed(struct supervisor *s, struct err *err)
{
    struct changes changes = {0};
    struct conf *c = load_conf(s, err);
    if (!c)
        return NULL;
    if (conf_check(c, err) < 0 || sockets_prepare(&s->sockets, c, err) < 0) {
        conf_free(c);
        return NULL;
    }
    (void)conf_check_all(c, log_warning, NULL);
    conf_diff(s->conf, c, on_change, &changes);
    if (changes.fixed && conf_keep_fixed(c, s->conf) < 0)
        log_text(LOG_ERROR, "reload-incomplete", "settings are too large");
    return c;
}

/* A mistake in the new configuration: everything is as before. */
static void reload(struct supervisor *s)
{
    struct err err;
    notify_reloading();
    struct conf *c = load_changed(s, &err);
    if (!c) {
        log_event(LOG_ERROR, "reload-failed", "msg", err.text, NULL);
        notify("READY=1");
        return;
    }
    set_log(s, c);
    children_reload(s->children, c);
    conf_free(s->conf);
    s->conf = c;
    change_sockets(s);
}

static void on_signal(int signum, void *arg)
{
    struct supervisor *s = arg;
    if (signum == SIGCHLD) {
        children_reap(s->children);
    } else if (signum == SIGHUP) {
        reload(s);
    } else {
        notify("STOPPING=1");
        log_event(LOG_INFO, "stopping", "signal", strsignal(signum), NULL);
        children_stop(s->children);
    }
}

static int find_programs(struct buf *out, struct err *err)
{
    char exe[4096];
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    if (n < 0)
        return err_set_errno(err, "/proc/self/exe");
    exe[n] = '\0';
    *strrchr(exe, '/') = '\0';
    buf_printf(out, "%s/martlet-mail", exe);
    bool beside = access(out->p, X_OK) == 0; /* not installed: the build directory */
    buf_reset(out);
    buf_put_str(out, beside ? exe : MARTLET_LIBEXECDIR);
    return 0;
}

static int prepare(struct supervisor *s, struct buf *programs, struct err *err)
{
    uid_t uid = geteuid();
    gid_t gid = getegid();
    int r = conf_check(s->conf, err);
    if (r == 0)
        r = find_programs(programs, err);
    if (r == 0)
        r = make_dir(s->conf->state_dir, err);
    if (r == 0)
        r = sandbox_own_state(s->conf, &uid, &gid, err);
    if (r == 0)
        r = lock_state(s, err);
    if (r == 0)
        r = open_sockets(s, err);
    return r == 0 && uid != geteuid() ? give_state(s, uid, gid, err) : r;
}

static int run(struct supervisor *s)
{
    static const struct children_ops ops = {on_all_ready, on_start_failed, on_reloaded,
                                            on_all_ended};
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
    struct loop_signal *handlers[ARRAY_LEN(signals)];
    struct err err = {0};
    autobuf programs = BUF_INIT(8192);
    sockets_init(&s->sockets);
    daemon_prepare();
    set_log(s, s->conf);
    if (sockets_inherit(&s->sockets, &err) < 0 || prepare(s, &programs, &err) < 0) {
        log_event(LOG_ERROR, "start-failed", "msg", err.text, NULL);
        sockets_done(&s->sockets);
        return 1;
    }
    (void)conf_check_all(s->conf, log_warning, NULL);
    s->loop = loop_new();
    s->children = children_new(s->loop, s->conf, programs.p, s->lock_fd, &s->sockets, &ops, s);
    children_log_to(s->children, take_fd(&s->log_fd));
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        handlers[i] = loop_signal_new(s->loop, signals[i], on_signal, s);
    if (children_start(s->children, &err) < 0) {
        log_event(LOG_ERROR, "start-failed", "msg", err.text, NULL);
        on_start_failed(s);
    }
    loop_run(s->loop);
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        loop_signal_free(handlers[i]);
    children_free(s->children);
    sockets_done(&s->sockets);
    loop_free(s->loop);
    return s->code;
}

enum { OPT_CHECK = 256, OPT_PRINT_DEFAULT, OPT_VERSION, OPT_HELP };

static int print_default(void)
{
    autobuf text = BUF_INIT(1 << 20);
    conf_print_default(&text);
    fwrite(text.p, 1, text.n, stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"check", no_argument, NULL, OPT_CHECK},
                                            {"print-default", no_argument, NULL, OPT_PRINT_DEFAULT},
                                            {"version", no_argument, NULL, OPT_VERSION},
                                            {"help", no_argument, NULL, OPT_HELP},
                                            {NULL, 0, NULL, 0}};
    struct supervisor s = {
        .file = MARTLET_SYSCONFDIR "/martlet/martlet.conf", .lock_fd = -1, .log_fd = -1};
    struct err err;
    bool check = false;
    int o;
    log_set_program("martlet");
    while ((o = getopt_long(argc, argv, "c:o:h", options, NULL)) != -1) {
        if (o == 'c') {
            s.file = optarg;
        } else if (o == 'o' && s.option_count < ARRAY_LEN(s.options)) {
            s.options[s.option_count++] = optarg;
        } else if (o == OPT_CHECK) {
            check = true;
        } else if (o == OPT_PRINT_DEFAULT) {
            return print_default();
        } else if (o == OPT_VERSION) {
            puts("martlet " MARTLET_VERSION);
            return 0;
        } else {
            fputs(usage, o == 'h' || o == OPT_HELP ? stdout : stderr);
            return o == 'h' || o == OPT_HELP ? 0 : 2;
        }
    }
    s.conf = load_conf(&s, &err);
    if (!s.conf || conf_check(s.conf, &err) < 0) {
        fprintf(stderr, "martlet: %s\n", err.text);
        conf_free(s.conf);
        return 2;
    }
    int code = check ? 0 : run(&s);
    conf_free(s.conf);
    if (s.lock_fd >= 0)
        close(s.lock_fd);
    return code;
}
