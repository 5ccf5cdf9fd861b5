#include "daemon/supervisor/children_int.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/logline.h"
#include "base/metrics.h"
#include "daemon/skeleton.h"
#include "io/fdpass.h"

enum {
    QUIET_MS = 300,
    KILL_AFTER_MS = 1700,
    BACKOFF_FIRST_MS = 100,
    BACKOFF_MAX_MS = 10000,
    STABLE_MS = 30000, /* after so long a death starts the backoff anew */
};

unsigned children_process_count(uint64_t configured)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    if (configured)
        return (unsigned)configured;
    return (unsigned)(cpus < 1 ? 1 : MIN(cpus, 8));
}

static void name_of(const struct child *c, char *to, size_t n)
{
    if (c->generation)
        snprintf(to, n, "%s.%u.%u", role_name(c->role), c->index, c->generation);
    else
        snprintf(to, n, "%s.%u", role_name(c->role), c->index);
}

void child_log(enum log_level level, const char *event, const struct child *c, const char *text)
{
    char name[40];
    name_of(c, name, sizeof(name));
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
    if (c->role == ROLE_LOGIN)
        c->serial = c->all->next_serial++;
    c->page = pages_take(c->all->pages, c->role, pid);
    c->ch = channel_new(c->all->loop, fds[0], ROLE_SUPERVISOR, c->role, &ops, c);
    return 0;
}

/* What it is told. */

void child_tell(struct child *c, const struct message *m)
{
    if (c->ch)
        (void)channel_send(c->ch, m, -1);
}

static void send_config(struct child *c)
{
    autobuf text = BUF_INIT(MESSAGE_MAX);
    struct message m = {.kind = MESSAGE_CONFIG};
    conf_encode(c->all->conf, c->role == ROLE_AUTH, &text);
    m.u.config.settings = buf_span(&text);
    m.u.config.index = c->index;
    m.u.config.mail_count = c->all->mail_count;
    m.u.config.generation = c->generation;
    if (channel_send(c->ch, &m, -1) < 0)
        child_log(LOG_ERROR, "settings-not-sent", c, "settings are too large");
}

static void send_log_socket(struct child *c)
{
    struct message m = {.kind = MESSAGE_LOG};
    if (c->all->log_fd >= 0 && c->ch)
        (void)channel_send(c->ch, &m, fcntl(c->all->log_fd, F_DUPFD_CLOEXEC, 0));
}

void children_log_to(struct children *all, int fd)
{
    struct child *c;
    if (all->log_fd >= 0)
        close(all->log_fd);
    all->log_fd = fd;
    list_each(c, &all->list, link) send_log_socket(c);
}

/* martlet-metrics reads all pages, the others count in theirs. */
static void send_pages(struct child *c)
{
    struct message m = {.kind = MESSAGE_METRICS};
    m.u.metrics.role = c->role;
    if (c->role == ROLE_METRICS)
        pages_announce(c->all->pages);
    else if (c->page)
        (void)channel_send(c->ch, &m, page_fd(c->page));
}

static void on_page(void *arg, enum role role, unsigned index, int fd)
{
    struct children *all = arg;
    struct message m = {.kind = MESSAGE_METRICS};
    struct child *c;
    m.u.metrics.role = role;
    m.u.metrics.index = index;
    list_each(c, &all->list, link)
    {
        if (c->role == ROLE_METRICS && c->ch) {
            (void)channel_send(c->ch, &m, fd);
            return;
        }
    }
    close(fd);
}

static void count_one(void *arg, const struct message *m)
{
    (void)m;
    ++*(uint64_t *)arg;
}

static void on_measure(void *arg)
{
    struct children *all = arg;
    uint64_t n = 0;
    quarantine_each(&all->quarantine, loop_now_ms(all->loop), count_one, &n);
    metric_set(METRIC_QUARANTINED, n);
}

static bool wants(const struct child *c, const struct listening *l)
{
    static const enum role takers[LISTENER_KIND_COUNT] = {
        [LISTENER_IMAP] = ROLE_LOGIN,       [LISTENER_IMAPS] = ROLE_LOGIN,
        [LISTENER_IMAP_PROXY] = ROLE_LOGIN, [LISTENER_IMAPS_PROXY] = ROLE_LOGIN,
        [LISTENER_LMTP] = ROLE_MAIL,        [LISTENER_CONTROL] = ROLE_MAIL,
        [LISTENER_METRICS] = ROLE_METRICS,  [LISTENER_MTA] = ROLE_AUTH,
    };
    if (c->role != takers[l->kind] || c->phase >= PHASE_RETIRED || !c->ch)
        return false;
    return l->only_index < 0 || (unsigned)l->only_index == c->index;
}

static void send_listener(struct child *c, const struct listening *l)
{
    struct message m = {.kind = MESSAGE_LISTENER};
    if (!wants(c, l))
        return;
    m.u.listener.kind = l->kind;
    m.u.listener.id = l->id;
    (void)channel_send(c->ch, &m, fcntl(l->fd, F_DUPFD_CLOEXEC, 0));
}

static void send_listeners(struct child *c)
{
    const struct listening *l;
    list_each(l, &c->all->sockets->all, link) send_listener(c, l);
}

/* martlet-metrics runs when somebody can ask it. True: it did not run. */
static bool add_metrics(struct children *all)
{
    struct child *c;
    list_each(c, &all->list, link) if (c->role == ROLE_METRICS) return false;
    child_new(all, ROLE_METRICS, 0, 0);
    pages_measure(all->pages, true);
    return true;
}

void children_listen(struct children *all, const struct listening *l)
{
    struct child *c;
    if (l->kind == LISTENER_METRICS && add_metrics(all)) {
        c = list_last(&all->list, struct child, link);
        invariant(c != NULL);
        child_launch(c);
        return;
    }
    list_each(c, &all->list, link) send_listener(c, l);
}

void children_unlisten(struct children *all, const struct listening *l)
{
    struct message m = {.kind = MESSAGE_UNLISTEN};
    struct child *c;
    m.u.listener.id = l->id;
    list_each(c, &all->list, link) if (wants(c, l)) child_tell(c, &m);
}

static void send_quarantined(void *arg, const struct message *m)
{
    child_tell(arg, m);
}

static void send_notes(struct child *c)
{
    struct message m = {.kind = MESSAGE_WORKNOTES};
    struct children *all = c->all;
    struct err err;
    if (c->role != ROLE_MAIL)
        return;
    if (!all->notes[c->index] &&
        worknote_create(&all->notes[c->index], &all->notes_fd[c->index], &err) < 0) {
        child_log(LOG_WARNING, "no-worknotes", c, err.text);
        return;
    }
    (void)channel_send(c->ch, &m, fcntl(all->notes_fd[c->index], F_DUPFD_CLOEXEC, 0));
    quarantine_each(&all->quarantine, loop_now_ms(all->loop), send_quarantined, c);
}

static bool talk(const struct child *a, const struct child *b)
{
    if (a->role == ROLE_MAIL && b->role == ROLE_MAIL)
        return true;
    if (a->role == b->role || a->role == ROLE_METRICS || b->role == ROLE_METRICS)
        return false;
    return a->role == ROLE_AUTH || b->role == ROLE_AUTH || a->role == ROLE_LOGIN ||
           b->role == ROLE_LOGIN;
}

static void send_peer(struct child *to, const struct child *peer, int fd)
{
    struct message m = {.kind = MESSAGE_PEER};
    m.u.peer.role = peer->role;
    m.u.peer.index = peer->serial;
    (void)channel_send(to->ch, &m, fd);
}

static void connect_children(struct child *a, struct child *b)
{
    int fds[2];
    struct err err;
    if (!talk(a, b) || !a->ch || !b->ch || a->replacing || b->replacing)
        return;
    if (a->phase == PHASE_ENDING || b->phase == PHASE_ENDING)
        return;
    if (fdpass_pair_packet(fds, &err) < 0) {
        child_log(LOG_ERROR, "channel-failed", a, err.text);
        return;
    }
    send_peer(a, b, fds[0]);
    send_peer(b, a, fds[1]);
}

static void send_start(struct child *c)
{
    struct message m = {.kind = MESSAGE_START};
    child_tell(c, &m);
}

/* Starting again. */

static void restart_later(struct child *c)
{
    struct children *all = c->all;
    if (loop_now_ms(all->loop) - c->started_ms > STABLE_MS || !c->backoff_ms)
        c->backoff_ms = BACKOFF_FIRST_MS;
    else
        c->backoff_ms = MIN(c->backoff_ms * 2, BACKOFF_MAX_MS);
    loop_timer_set(all->loop, &c->restart, c->backoff_ms);
}

static void connect_all(struct child *c)
{
    struct child *other;
    list_each(other, &c->all->list, link) if (other != c) connect_children(c, other);
}

void child_launch(struct child *c)
{
    struct err err;
    if (spawn(c, &err) < 0) {
        child_log(LOG_ERROR, "restart-failed", c, err.text);
        restart_later(c);
        return;
    }
    child_log(LOG_INFO, "started", c, "");
    send_config(c);
    send_log_socket(c);
    send_pages(c);
    send_listeners(c);
    send_notes(c);
    if (!c->replacing)
        connect_all(c);
    send_start(c);
}

static void on_restart(struct loop_timer *t)
{
    struct child *c = container_of(t, struct child, restart);
    if (c->all->stopping)
        return;
    metric_add(METRIC_RESTARTS + (unsigned)c->role, 1);
    child_launch(c);
}

/* What it says. */

static void check_reloaded(struct children *all)
{
    struct child *c;
    if (!all->reloading)
        return;
    list_each(c, &all->list, link) if (c->reloading || c->replacing) return;
    all->reloading = false;
    all->ops->reloaded(all->arg);
}

/* A process that cannot follow the new settings goes on with the old ones until a fresh one is
 * ready, which only then gets its channels: nobody notices, even if the fresh one cannot start. */
static void on_replace(struct child *c)
{
    c->reloading = 0;
    if (c->phase == PHASE_SERVING && !c->all->stopping) {
        struct child *fresh = child_new(c->all, c->role, c->index, 0);
        c->phase = PHASE_LEAVING;
        fresh->replacing = true;
        child_launch(fresh);
    }
    check_reloaded(c->all);
}

static void take_place(struct child *c)
{
    struct message m = {.kind = MESSAGE_SHUTDOWN};
    struct child *old;
    c->replacing = false;
    connect_all(c);
    list_each(old, &c->all->list, link)
    {
        if (old->role != c->role || old->index != c->index || old->phase != PHASE_LEAVING)
            continue;
        old->phase = PHASE_ENDING;
        child_tell(old, &m);
    }
    check_reloaded(c->all);
}

static void on_reloaded(struct child *c)
{
    if (c->reloading)
        c->reloading--;
    check_reloaded(c->all);
}

static void on_ready(struct child *c)
{
    struct children *all = c->all;
    struct child *other;
    bool first = !c->ready;
    c->ready = true;
    if (first && c->role == ROLE_LOGIN)
        generations_on_ready(c);
    if (c->replacing)
        take_place(c);
    if (all->was_ready)
        return;
    list_each(other, &all->list, link) if (!other->ready) return;
    all->was_ready = true;
    all->ops->all_ready(all->arg);
}

/* An administrator's word, through whichever mail process was asked. */
static void on_release(struct children *all, struct span account)
{
    struct message m = {.kind = MESSAGE_QUARANTINE};
    struct child *c;
    quarantine_release(&all->quarantine, account);
    m.u.quarantine.account = account;
    list_each(c, &all->list, link) if (c->role == ROLE_MAIL) child_tell(c, &m);
}

static void on_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    struct child *c = owner;
    (void)ch;
    (void)fd;
    if (m->kind == MESSAGE_RELOADED)
        on_reloaded(c);
    else if (m->kind == MESSAGE_REPLACE)
        on_replace(c);
    else if (m->kind == MESSAGE_READY)
        on_ready(c);
    else if (m->kind == MESSAGE_FULL)
        generations_on_full(c, m);
    else if (m->kind == MESSAGE_RELEASE)
        on_release(c->all, m->u.quarantine.account);
}

/* The process is about to end, or misbehaves: either way children_reap goes on. */
static void on_closed(void *owner, struct channel *ch)
{
    struct child *c = owner;
    channel_free(ch);
    c->ch = NULL;
    if (c->all->stopping)
        children_check_quiet(c->all);
    else if (c->pid)
        kill(c->pid, SIGTERM);
}

/* Ending. */

static void check_ended(struct children *all)
{
    struct child *c;
    if (!all->told_to_end || all->ended)
        return;
    list_each(c, &all->list, link) if (c->pid) return;
    all->ended = true;
    loop_timer_cancel(&all->kill_timer);
    all->ops->all_ended(all->arg);
}

/* SIGKILL and SIGTERM come from outside: they say nothing about what it worked on. */
static bool crashed(int status)
{
    if (WIFSIGNALED(status))
        return WTERMSIG(status) != SIGKILL && WTERMSIG(status) != SIGTERM;
    return WEXITSTATUS(status) != 0;
}

static void log_death(const struct child *c, int status)
{
    char text[64];
    if (WIFSIGNALED(status))
        snprintf(text, sizeof(text), "killed by signal %d", WTERMSIG(status));
    else
        snprintf(text, sizeof(text), "exit code %d", WEXITSTATUS(status));
    child_log(LOG_ERROR, "process-ended", c, text);
}

static void on_death(struct child *c, int status)
{
    struct children *all = c->all;
    bool was_ready = c->ready;
    c->pid = 0;
    c->ready = false;
    c->reloading = 0;
    pages_give_back(all->pages, take_ptr(c->page), status);
    channel_free(c->ch);
    c->ch = NULL;
    if (all->stopping) {
        children_check_quiet(all);
        return;
    }
    if (c->phase == PHASE_SERVING || c->phase == PHASE_LEAVING || status)
        log_death(c, status);
    if (c->role == ROLE_MAIL && all->notes[c->index]) {
        if (was_ready && crashed(status))
            quarantine_crashed(&all->quarantine, all->notes[c->index], loop_now_ms(all->loop));
        worknote_clear(all->notes[c->index]);
    }
    if (c->phase != PHASE_SERVING)
        generations_on_death(c);
    else if (!all->was_ready)
        all->ops->start_failed(all->arg);
    else
        restart_later(c);
    check_reloaded(all);
}

void children_reap(struct children *all)
{
    for (;;) {
        int status;
        struct child *c, *next;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            break;
        list_each_safe(c, next, &all->list, link)
        {
            if (c->pid == pid) {
                on_death(c, status);
                break;
            }
        }
    }
    check_ended(all);
}

static void on_kill(struct loop_timer *t)
{
    struct children *all = container_of(t, struct children, kill_timer);
    struct child *c;
    list_each(c, &all->list, link)
    {
        if (c->pid) {
            child_log(LOG_WARNING, "killed", c, "did not end in time");
            kill(c->pid, SIGKILL);
        }
    }
}

static void tell_to_end(struct children *all)
{
    struct message m = {.kind = MESSAGE_SHUTDOWN};
    struct child *c;
    if (all->told_to_end)
        return;
    all->told_to_end = true;
    loop_timer_cancel(&all->quiet_timer);
    list_each(c, &all->list, link)
    {
        if (c->ch)
            (void)channel_send(c->ch, &m, -1);
        else if (c->pid)
            kill(c->pid, SIGTERM);
    }
    loop_timer_set(all->loop, &all->kill_timer, KILL_AFTER_MS);
    check_ended(all);
}

void children_check_quiet(struct children *all)
{
    struct child *c;
    list_each(c, &all->list, link) if (c->role == ROLE_LOGIN && c->ch && !c->quiet) return;
    tell_to_end(all);
}

static void on_quiet(struct loop_timer *t)
{
    tell_to_end(container_of(t, struct children, quiet_timer));
}

/* First no new connections, while all that a handshake needs is still there: who has connected gets
 * his greeting, whoever comes later waits in the sockets, if somebody keeps them. Then the end. */
void children_stop(struct children *all)
{
    struct message m = {.kind = MESSAGE_RETIRE};
    struct child *c;
    if (all->stopping)
        return;
    all->stopping = true;
    list_each(c, &all->list, link)
    {
        loop_timer_cancel(&c->restart);
        c->quiet = false;
        if (c->role == ROLE_LOGIN)
            child_tell(c, &m);
    }
    loop_timer_set(all->loop, &all->quiet_timer, QUIET_MS);
    children_check_quiet(all);
}

void children_reload(struct children *all, const struct conf *conf)
{
    struct message m = {.kind = MESSAGE_RELOAD};
    struct child *c;
    all->conf = conf;
    if (all->stopping)
        return;
    all->quarantine.first_s = conf->mail_quarantine;
    all->reloading = true;
    list_each(c, &all->list, link)
    {
        if (!c->ch || c->phase == PHASE_ENDING)
            continue;
        c->reloading++;
        send_config(c);
        child_tell(c, &m);
    }
    generations_resize(all);
}

/* The beginning. */

int children_start(struct children *all, struct err *err)
{
    struct child *c, *other;
    list_each(c, &all->list, link)
    {
        int r = spawn(c, err);
        if (r < 0)
            return r;
        send_config(c);
        send_log_socket(c);
        send_pages(c);
        send_listeners(c);
        send_notes(c);
        list_each(other, &all->list, link)
        {
            if (other == c)
                break;
            connect_children(other, c);
        }
    }
    list_each(c, &all->list, link) send_start(c);
    return 0;
}

struct child *child_new(struct children *all, enum role role, unsigned index, uint32_t generation)
{
    struct child *c = xnew(struct child);
    c->all = all;
    c->role = role;
    c->index = c->serial = index;
    c->generation = generation;
    loop_timer_init(&c->restart, on_restart);
    list_push_back(&all->list, &c->link);
    return c;
}

void child_free(struct child *c)
{
    list_remove(&c->link);
    loop_timer_cancel(&c->restart);
    channel_free(c->ch);
    free(c);
}

struct children *children_new(struct loop *l, const struct conf *conf, const char *programs,
                              int lock_fd, const struct sockets *sockets,
                              const struct children_ops *ops, void *arg)
{
    struct children *all = xnew(struct children);
    unsigned logins = children_process_count(conf->login_processes);
    static const struct pages_ops page_ops = {on_page, on_measure};
    const struct listening *listening;
    all->loop = l;
    all->conf = conf;
    all->programs = span_dup(span_str(programs));
    all->lock_fd = lock_fd;
    all->sockets = sockets;
    all->ops = ops;
    all->arg = arg;
    all->mail_count = children_process_count(conf->mail_processes);
    all->notes = xcalloc(all->mail_count, sizeof(struct worknotes *));
    all->notes_fd = xcalloc(all->mail_count, sizeof(int));
    list_init(&all->list);
    loop_timer_init(&all->quiet_timer, on_quiet);
    loop_timer_init(&all->kill_timer, on_kill);
    all->log_fd = -1;
    all->pages = pages_new(l, &page_ops, all);
    quarantine_init(&all->quarantine);
    all->quarantine.first_s = conf->mail_quarantine;
    child_new(all, ROLE_AUTH, 0, 0);
    for (unsigned i = 0; i < all->mail_count; i++)
        child_new(all, ROLE_MAIL, i, 0);
    for (unsigned i = 0; i < logins; i++)
        child_new(all, ROLE_LOGIN, i, 0);
    list_each(listening, &sockets->all, link) if (listening->kind == LISTENER_METRICS)
        add_metrics(all);
    return all;
}

void children_free(struct children *all)
{
    struct child *c, *next;
    if (!all)
        return;
    list_each_safe(c, next, &all->list, link) child_free(c);
    for (unsigned i = 0; i < all->mail_count; i++) {
        if (all->notes[i])
            close(all->notes_fd[i]);
        worknote_destroy(all->notes[i]);
    }
    loop_timer_cancel(&all->quiet_timer);
    loop_timer_cancel(&all->kill_timer);
    pages_free(all->pages);
    if (all->log_fd >= 0)
        close(all->log_fd);
    quarantine_done(&all->quarantine);
    free(all->notes);
    free(all->notes_fd);
    free(all->programs);
    free(all);
}
