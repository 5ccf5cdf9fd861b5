#include "daemon/supervisor/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/logline.h"
#include "daemon/skeleton.h"
#include "io/fdpass.h"

enum {
    KILL_AFTER_MS = 1700,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 10000,
    STABLE_MS = 30000, /* after so long a death starts the backoff anew */
};

struct child {
    struct children *all;
    enum role role;
    unsigned index;
    pid_t pid; /* 0: not running */
    struct channel *ch;
    bool ready;
    uint64_t started_ms;
    unsigned backoff_ms;
    struct loop_timer restart;
};

struct children {
    struct loop *loop;
    const struct conf *conf;
    char *programs;
    int lock_fd;
    struct listening *listening;
    size_t listening_count;
    const struct children_ops *ops;
    void *arg;
    struct child *child;
    size_t count;
    unsigned mail_count;
    bool was_ready, stopping, ended;
    struct loop_timer kill_timer;
};

unsigned children_process_count(uint64_t configured)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (configured)
        return (unsigned)configured;
    return (unsigned)(cpus < 1 ? 1 : MIN(cpus, 8));
}

static void child_name(const struct child *c, char *to, size_t n)
{
    snprintf(to, n, "%s.%u", role_name(c->role), c->index);
}

static void log_child(enum log_level level, const char *event, const struct child *c,
                      const char *text)
{
    char name[32];
    child_name(c, name, sizeof(name));
    log_event(level, event, "process", name, "msg", text, NULL);
}

/* In the forked child: nothing but async-signal-safe calls until exec. */
static _Noreturn void become(const char *program, int channel, int lock_fd)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_IGN);
    if (channel == SUPERVISOR_FD)
        fcntl(channel, F_SETFD, 0);
    else if (dup2(channel, SUPERVISOR_FD) < 0)
        _exit(127);
    if (lock_fd >= 0)
        fcntl(lock_fd, F_SETFD, 0);
    execl(program, program, (char *)NULL);
    _exit(127);
}

static void on_message(void *owner, struct channel *ch, const struct message *m, int fd);
static void on_closed(void *owner, struct channel *ch);

static int spawn(struct child *c, struct err *err)
{
    static const struct channel_ops ops = {on_message, on_closed};
    int fds[2];
    autobuf program = BUF_INIT(4096);
    buf_printf(&program, "%s/martlet-%s", c->all->programs, role_name(c->role));
    if (access(program.p, X_OK) < 0)
        return err_set_errno(err, "%s", program.p);
    int r = fdpass_pair_packet(fds, err);
    if (r < 0)
        return r;
    pid_t pid = fork();
    if (pid == 0)
        become(program.p, fds[1], c->role == ROLE_MAIL ? c->all->lock_fd : -1);
    close(fds[1]);
    if (pid < 0) {
        close(fds[0]);
        return err_set_errno(err, "fork");
    }
    c->pid = pid;
    c->ready = false;
    c->started_ms = loop_now_ms(c->all->loop);
    c->ch = channel_new(c->all->loop, fds[0], ROLE_SUPERVISOR, c->role, &ops, c);
    return 0;
}

static void send_config(struct child *c)
{
    autobuf text = BUF_INIT(MESSAGE_MAX);
    struct message m = {.kind = MESSAGE_CONFIG};
    conf_encode(c->all->conf, c->role == ROLE_AUTH, &text);
    m.u.config.settings = buf_span(&text);
    m.u.config.index = c->index;
    m.u.config.mail_count = c->all->mail_count;
    if (channel_send(c->ch, &m, -1) < 0)
        log_child(LOG_ERROR, "settings-not-sent", c, "settings are too large");
}

static bool wants(const struct child *c, const struct listening *l)
{
    bool imap = l->kind == LISTENER_IMAP || l->kind == LISTENER_IMAPS;
    if (c->role != (imap ? ROLE_LOGIN : ROLE_MAIL))
        return false;
    return l->only_index < 0 || (unsigned)l->only_index == c->index;
}

static void send_listeners(struct child *c)
{
    for (size_t i = 0; i < c->all->listening_count; i++) {
        const struct listening *l = &c->all->listening[i];
        struct message m = {.kind = MESSAGE_LISTENER};
        if (!wants(c, l))
            continue;
        m.u.listener.kind = l->kind;
        (void)channel_send(c->ch, &m, fcntl(l->fd, F_DUPFD_CLOEXEC, 0));
    }
}

static bool talk(const struct child *a, const struct child *b)
{
    if (a->role == ROLE_MAIL && b->role == ROLE_MAIL)
        return true;
    if (a->role == b->role)
        return false;
    return a->role == ROLE_AUTH || b->role == ROLE_AUTH || a->role == ROLE_LOGIN ||
           b->role == ROLE_LOGIN;
}

static void send_peer(struct child *to, const struct child *peer, int fd)
{
    struct message m = {.kind = MESSAGE_PEER};
    m.u.peer.role = peer->role;
    m.u.peer.index = peer->index;
    (void)channel_send(to->ch, &m, fd);
}

static void connect_children(struct child *a, struct child *b)
{
    int fds[2];
    struct err err;
    if (!talk(a, b) || !a->ch || !b->ch)
        return;
    if (fdpass_pair_packet(fds, &err) < 0) {
        log_child(LOG_ERROR, "channel-failed", a, err.text);
        return;
    }
    send_peer(a, b, fds[0]);
    send_peer(b, a, fds[1]);
}

static void send_start(struct child *c)
{
    struct message m = {.kind = MESSAGE_START};
    (void)channel_send(c->ch, &m, -1);
}

static void restart_later(struct child *c)
{
    struct children *all = c->all;
    if (loop_now_ms(all->loop) - c->started_ms > STABLE_MS || !c->backoff_ms)
        c->backoff_ms = BACKOFF_FIRST_MS;
    else
        c->backoff_ms = MIN(c->backoff_ms * 2, BACKOFF_MAX_MS);
    loop_timer_set(all->loop, &c->restart, c->backoff_ms);
}

static void on_restart(struct loop_timer *t)
{
    struct child *c = container_of(t, struct child, restart);
    struct err err;
    if (c->all->stopping)
        return;
    if (spawn(c, &err) < 0) {
        log_child(LOG_ERROR, "restart-failed", c, err.text);
        restart_later(c);
        return;
    }
    log_child(LOG_INFO, "restarted", c, "");
    send_config(c);
    send_listeners(c);
    for (size_t i = 0; i < c->all->count; i++)
        if (&c->all->child[i] != c)
            connect_children(c, &c->all->child[i]);
    send_start(c);
}

static void on_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    struct child *c = owner;
    struct children *all = c->all;
    (void)ch;
    (void)fd;
    if (m->kind != MESSAGE_READY)
        return;
    c->ready = true;
    for (size_t i = 0; i < all->count; i++)
        if (!all->child[i].ready)
            return;
    if (!all->was_ready) {
        all->was_ready = true;
        all->ops->all_ready(all->arg);
    }
}

/* The process is about to end, or misbehaves: either way children_reap goes on. */
static void on_closed(void *owner, struct channel *ch)
{
    struct child *c = owner;
    channel_free(ch);
    c->ch = NULL;
    if (c->pid && !c->all->stopping)
        kill(c->pid, SIGTERM);
}

static void check_ended(struct children *all)
{
    if (!all->stopping || all->ended)
        return;
    for (size_t i = 0; i < all->count; i++)
        if (all->child[i].pid)
            return;
    all->ended = true;
    loop_timer_cancel(&all->kill_timer);
    all->ops->all_ended(all->arg);
}

static void on_death(struct child *c, int status)
{
    struct children *all = c->all;
    char text[64];
    c->pid = 0;
    c->ready = false;
    channel_free(c->ch);
    c->ch = NULL;
    if (all->stopping)
        return;
    if (WIFSIGNALED(status))
        snprintf(text, sizeof(text), "killed by signal %d", WTERMSIG(status));
    else
        snprintf(text, sizeof(text), "exit code %d", WEXITSTATUS(status));
    log_child(LOG_ERROR, "process-ended", c, text);
    if (!all->was_ready)
        all->ops->start_failed(all->arg);
    else
        restart_later(c);
}

void children_reap(struct children *all)
{
    for (;;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            break;
        for (size_t i = 0; i < all->count; i++)
            if (all->child[i].pid == pid)
                on_death(&all->child[i], status);
    }
    check_ended(all);
}

static void on_kill(struct loop_timer *t)
{
    struct children *all = container_of(t, struct children, kill_timer);
    for (size_t i = 0; i < all->count; i++) {
        if (all->child[i].pid) {
            log_child(LOG_WARNING, "killed", &all->child[i], "did not end in time");
            kill(all->child[i].pid, SIGKILL);
        }
    }
}

void children_stop(struct children *all)
{
    struct message m = {.kind = MESSAGE_SHUTDOWN};
    if (all->stopping)
        return;
    all->stopping = true;
    for (size_t i = 0; i < all->count; i++) {
        struct child *c = &all->child[i];
        loop_timer_cancel(&c->restart);
        if (c->ch)
            (void)channel_send(c->ch, &m, -1);
        else if (c->pid)
            kill(c->pid, SIGTERM);
    }
    loop_timer_set(all->loop, &all->kill_timer, KILL_AFTER_MS);
    check_ended(all);
}

void children_reload(struct children *all, const struct conf *conf)
{
    struct message m = {.kind = MESSAGE_RELOAD};
    all->conf = conf;
    for (size_t i = 0; i < all->count; i++) {
        if (!all->child[i].ch)
            continue;
        send_config(&all->child[i]);
        (void)channel_send(all->child[i].ch, &m, -1);
    }
}

int children_start(struct children *all, struct err *err)
{
    for (size_t i = 0; i < all->count; i++) {
        int r = spawn(&all->child[i], err);
        if (r < 0)
            return r;
        send_config(&all->child[i]);
        send_listeners(&all->child[i]);
    }
    for (size_t i = 0; i < all->count; i++)
        for (size_t k = i + 1; k < all->count; k++)
            connect_children(&all->child[i], &all->child[k]);
    for (size_t i = 0; i < all->count; i++)
        send_start(&all->child[i]);
    return 0;
}

static void add_child(struct children *all, enum role role, unsigned index)
{
    struct child *c = &all->child[all->count++];
    c->all = all;
    c->role = role;
    c->index = index;
    loop_timer_init(&c->restart, on_restart);
}

struct children *children_new(struct loop *l, const struct conf *conf, const char *programs,
                              int lock_fd, const struct listening *listening, size_t count,
                              const struct children_ops *ops, void *arg)
{
    struct children *all = xnew(struct children);
    unsigned logins = children_process_count(conf->login_processes);
    all->loop = l;
    all->conf = conf;
    all->programs = span_dup(span_str(programs));
    all->lock_fd = lock_fd;
    all->listening = xcalloc(count ? count : 1, sizeof(*listening));
    if (count)
        memcpy(all->listening, listening, count * sizeof(*listening));
    all->listening_count = count;
    all->ops = ops;
    all->arg = arg;
    all->mail_count = children_process_count(conf->mail_processes);
    all->child = xcalloc(1 + logins + all->mail_count, sizeof(*all->child));
    loop_timer_init(&all->kill_timer, on_kill);
    add_child(all, ROLE_AUTH, 0);
    for (unsigned i = 0; i < all->mail_count; i++)
        add_child(all, ROLE_MAIL, i);
    for (unsigned i = 0; i < logins; i++)
        add_child(all, ROLE_LOGIN, i);
    return all;
}

void children_free(struct children *all)
{
    if (!all)
        return;
    for (size_t i = 0; i < all->count; i++) {
        loop_timer_cancel(&all->child[i].restart);
        channel_free(all->child[i].ch);
    }
    for (size_t i = 0; i < all->listening_count; i++)
        close(all->listening[i].fd);
    loop_timer_cancel(&all->kill_timer);
    free(all->listening);
    free(all->child);
    free(all->programs);
    free(all);
}
