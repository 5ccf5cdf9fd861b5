#include "daemon/skeleton.h"

#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/logline.h"
#include "base/metrics.h"
#include "daemon/sandbox.h"
#include "io/conn.h"

/* Standard descriptors exist, so that no socket of ours becomes one of them. */
static void open_standard_fds(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

void daemon_prepare(void)
{
    struct rlimit files;
    open_standard_fds();
    signal(SIGPIPE, SIG_IGN);
    umask(077);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    /* Worker threads free what the loop allocated and the other way round: arenas of their own
     * would only hold memory. */
    mallopt(M_ARENA_MAX, 2);
    /* LMDB keeps two tables of 1 and 2 MB for every open account and touches little of them. That
     * costs little while they are fresh from the kernel. Left to itself the C library raises this
     * threshold when such a table is freed, and makes the next ones of used memory: after an hour
     * of accounts that come and go each had all of its 3 MB. */
    mallopt(M_MMAP_THRESHOLD, 512 << 10);
    mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

static void begin_shutdown(struct daemon *d)
{
    if (d->stopping)
        return;
    d->stopping = true;
    conn_set_patience(d->loop, 300);
    loop_timer_set(d->loop, &d->limit, SHUTDOWN_LIMIT_MS);
    d->ops->shutdown(d);
}

static void on_limit(struct loop_timer *t)
{
    struct daemon *d = container_of(t, struct daemon, limit);
    log_text(LOG_WARNING, "shutdown-incomplete", "ending all the same");
    loop_stop(d->loop);
}

static void on_signal(int signum, void *arg)
{
    (void)signum;
    begin_shutdown(arg);
}

static void give_up(struct daemon *d, const char *event, const struct err *err)
{
    log_event(LOG_ERROR, event, "msg", err->text, NULL);
    d->failed = true;
    loop_stop(d->loop);
}

static void set_name(const struct daemon *d)
{
    static char name[40]; /* the logger keeps the pointer */
    bool many = d->role == ROLE_MAIL || d->role == ROLE_LOGIN;
    if (d->generation)
        snprintf(name, sizeof(name), "%s.%u.%u", role_name(d->role), d->index, d->generation);
    else
        snprintf(name, sizeof(name), many ? "%s.%u" : "%s", role_name(d->role), d->index);
    log_set_program(name);
}

void daemon_set_log(const struct conf *c)
{
    log_set_level((enum log_level)c->log_level);
    log_set_output((enum log_format)c->log_format, (enum log_to)c->log_to);
}

/* The first settings count at once, later ones with the RELOAD that follows: until then what points
 * into the old ones stays valid. */
static int take_config(struct daemon *d, const struct message *m, struct err *err)
{
    struct conf *c = conf_decode(m->u.config.settings, err);
    if (!c)
        return err->code;
    if (d->conf) {
        conf_free(d->next_conf);
        d->next_conf = c;
        return 0;
    }
    d->conf = c;
    d->index = m->u.config.index;
    d->mail_count = m->u.config.mail_count;
    d->generation = m->u.config.generation;
    daemon_set_log(c);
    set_name(d);
    return 0;
}

static void reload(struct daemon *d)
{
    struct message m = {.kind = MESSAGE_RELOADED};
    struct conf *old = d->conf, *next = take_ptr(d->next_conf);
    if (!next)
        return;
    if (!sandbox_fits(d->role, next)) { /* what was given away does not come back */
        log_text(LOG_INFO, "restarting", "the new settings need more than the sandbox allows");
        conf_free(next); /* until its successor is ready it serves as before */
        m.kind = MESSAGE_REPLACE;
        daemon_tell_supervisor(d, &m);
        return;
    }
    d->conf = next;
    daemon_set_log(d->conf);
    if (d->ops->reload)
        d->ops->reload(d);
    conf_free(old);
    daemon_tell_supervisor(d, &m);
}

static void count_in(int fd)
{
    struct err err;
    if (metrics_map(fd, &err) < 0)
        log_event(LOG_WARNING, "no-metrics", "msg", err.text, NULL);
    close(fd);
}

/* Somebody tried what no code of ours does. */
static void on_violation(void *arg, int events)
{
    const struct daemon *d = arg;
    const char *call;
    (void)events;
    while ((call = sandbox_violation())) {
        metric_add(METRIC_SANDBOX_VIOLATIONS + d->role, 1);
        log_event(LOG_ERROR, "sandbox-violation", "call", call, NULL);
    }
}

static void start(struct daemon *d)
{
    struct err err = {0};
    if (d->ops->confine_first) {
        if (sandbox_confine(d->role, d->conf, &err) < 0) {
            give_up(d, "sandbox-failed", &err);
            return;
        }
        d->confined = true;
    }
    if (d->ops->start(d, &err) < 0)
        give_up(d, "start-failed", &err);
}

/* The last thing before the first byte from outside. */
static int enter_sandbox(struct daemon *d, struct err *err)
{
    int r = d->confined ? 0 : sandbox_confine(d->role, d->conf, err);
    if (r < 0)
        return r;
    d->confined = true;
    if (d->role == ROLE_MAIL)
        loop_work_start(d->loop);
    r = sandbox_filter(d->role, d->conf, err);
    if (r < 0)
        return r;
    if (sandbox_violation_fd() >= 0)
        loop_watch_set(loop_watch_new(d->loop, sandbox_violation_fd(), on_violation, d), LOOP_READ);
    return 0;
}

static void on_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    struct daemon *d = owner;
    struct err err = {0};
    (void)ch;
    if (m->kind == MESSAGE_CONFIG) {
        if (take_config(d, m, &err) < 0)
            give_up(d, "bad-settings", &err);
        return;
    }
    if (m->kind == MESSAGE_SHUTDOWN) {
        begin_shutdown(d);
        return;
    }
    if (!d->conf || d->stopping) { /* settings come first; what comes after the end is too late */
        if (fd >= 0)
            close(fd);
        return;
    }
    if (m->kind == MESSAGE_METRICS && d->role != ROLE_METRICS)
        count_in(fd);
    else if (m->kind == MESSAGE_LOG)
        log_set_socket(fd);
    else if (m->kind == MESSAGE_LISTENER && d->ops->listener)
        d->ops->listener(d, (enum listener_kind)m->u.listener.kind, m->u.listener.id, fd);
    else if (m->kind == MESSAGE_UNLISTEN && d->ops->unlisten)
        d->ops->unlisten(d, m->u.listener.id);
    else if (m->kind == MESSAGE_PEER)
        d->ops->peer(d, (enum role)m->u.peer.role, m->u.peer.index, fd);
    else if (m->kind == MESSAGE_RELOAD)
        reload(d);
    else if (m->kind == MESSAGE_START)
        start(d);
    else if (d->ops->message)
        d->ops->message(d, m, fd);
    else if (fd >= 0)
        close(fd);
}

static void on_closed(void *owner, struct channel *ch)
{
    struct daemon *d = owner;
    channel_free(ch);
    d->supervisor = NULL;
    begin_shutdown(d); /* the supervisor is gone */
}

void daemon_tell_supervisor(struct daemon *d, const struct message *m)
{
    if (d->supervisor)
        (void)channel_send(d->supervisor, m, -1);
}

void daemon_ready(struct daemon *d)
{
    struct message m = {.kind = MESSAGE_READY};
    struct err err = {0};
    if (!d->sandboxed && enter_sandbox(d, &err) < 0) {
        give_up(d, "sandbox-failed", &err);
        return;
    }
    d->sandboxed = true;
    daemon_tell_supervisor(d, &m);
}

void daemon_exit(struct daemon *d)
{
    loop_stop(d->loop);
}

int daemon_run(enum role role, const struct daemon_ops *ops, void *owner)
{
    static const struct channel_ops channel_ops = {on_message, on_closed};
    static struct daemon d; /* reachable until the very end, for leak checkers */
    struct stat st;
    d.role = role;
    d.ops = ops;
    d.owner = owner;
    log_set_program(role_name(role));
    if (fstat(SUPERVISOR_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
        fprintf(stderr, "martlet-%s is started by martlet, not by hand.\n", role_name(role));
        return 1;
    }
    fcntl(SUPERVISOR_FD, F_SETFD, FD_CLOEXEC);
    daemon_prepare();
    signal(SIGINT, SIG_IGN); /* from a terminal; the supervisor gets it as well and tells us */
    signal(SIGHUP, SIG_IGN);
    d.loop = loop_new();
    loop_timer_init(&d.limit, on_limit);
    d.supervisor = channel_new(d.loop, SUPERVISOR_FD, role, ROLE_SUPERVISOR, &channel_ops, &d);
    struct loop_signal *term = loop_signal_new(d.loop, SIGTERM, on_signal, &d);
    loop_run(d.loop);
    loop_signal_free(term);
    /* Sessions may be left over when time was up, and the loop cannot be freed under them: the
     * process ends here. Nothing unsaved is in memory: what is acknowledged is durable. */
    return d.failed ? 1 : 0;
}
