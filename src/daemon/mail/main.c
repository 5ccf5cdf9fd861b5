/* martlet-mail: sessions and deliveries of the accounts that belong to this process. */
#include <malloc.h>

#include "base/logline.h"
#include "base/metrics.h"
#include "base/worknote.h"
#include "daemon/mail/mail.h"
#include "io/conn.h"
#include "store/quota.h"

/* What the store needs of an event loop. Jobs and deferred calls are work for the account on whose
 * behalf they were asked for. */

struct job {
    struct worknote_id note;
    void (*run)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void job_run(void *arg)
{
    struct job *j = arg;
    struct worknote_id before = worknote_switch(j->note);
    j->run(j->arg);
    worknote_leave(before);
}

static void job_done(void *arg)
{
    struct job j = *(struct job *)arg;
    free(arg);
    struct worknote_id before = worknote_switch(j.note);
    j.done(j.arg);
    worknote_leave(before);
}

static void host_work(void *ctx, void (*run)(void *arg), void (*done)(void *arg), void *arg)
{
    struct mail *m = ctx;
    struct job *j = xnew(struct job);
    *j = (struct job){worknote_current(), run, done, arg};
    loop_work(m->daemon->loop, job_run, job_done, j);
}

struct deferred {
    struct worknote_id note;
    struct loop_task task;
    void (*fn)(void *arg);
    void *arg;
};

static void on_deferred(struct loop_task *t)
{
    struct deferred *d = container_of(t, struct deferred, task);
    void (*fn)(void *arg) = d->fn;
    void *arg = d->arg;
    struct worknote_id before = worknote_switch(d->note);
    free(d);
    fn(arg);
    worknote_leave(before);
}

static void host_defer(void *ctx, void (*fn)(void *arg), void *arg)
{
    struct mail *m = ctx;
    struct deferred *d = xnew(struct deferred);
    loop_task_init(&d->task, on_deferred);
    d->note = worknote_current();
    d->fn = fn;
    d->arg = arg;
    loop_defer(m->daemon->loop, &d->task);
}

static uint32_t special_use(const char *name)
{
    static const struct {
        const char *name;
        uint32_t use;
    } uses[] = {{"all", USE_ALL},         {"archive", USE_ARCHIVE},    {"drafts", USE_DRAFTS},
                {"flagged", USE_FLAGGED}, {"junk", USE_JUNK},          {"sent", USE_SENT},
                {"trash", USE_TRASH},     {"important", USE_IMPORTANT}};
    for (size_t i = 0; i < ARRAY_LEN(uses); i++)
        if (span_ieq(span_str(name), span_str(uses[i].name)))
            return uses[i].use;
    return 0;
}

/* Points into the settings, like what is below: set anew when they are. */
static size_t default_mailboxes(struct mail *m)
{
    const struct conf *c = m->daemon->conf;
    size_t n = c->mailboxes.count / 2;
    free(m->defaults);
    m->defaults = xcalloc(n ? n : 1, sizeof(*m->defaults));
    for (size_t i = 0; i < n; i++) {
        m->defaults[i].name = c->mailboxes.items[2 * i];
        m->defaults[i].special_use = special_use(c->mailboxes.items[2 * i + 1]);
    }
    return n;
}

static void set_up_quota(struct mail *m)
{
    const struct conf *c = m->daemon->conf;
    struct quota_defaults q = {{[QUOTA_STORAGE] = c->quota_storage,
                                [QUOTA_MESSAGE] = c->quota_messages,
                                [QUOTA_MAILBOX] = c->quota_mailboxes,
                                [QUOTA_ANNOTATION] = c->quota_annotation_storage}};
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        if (q.limit[i] == 0)
            q.limit[i] = QUOTA_NONE;
    store_set_quota(m->store, &q);
}

static int open_store(struct mail *m, struct err *err)
{
    const struct conf *c = m->daemon->conf;
    size_t n = default_mailboxes(m);
    struct store_options options = {.dir = c->state_dir,
                                    .open_max = c->store_open_accounts,
                                    .defaults = m->defaults,
                                    .default_count = n};
    struct store_host host = {m, host_work, host_defer, mail_unsettled};
    int r = store_new(&options, &host, &m->store, err);
    if (r == 0 && m->daemon->index == 0)
        r = site_open(m->store, err);
    return r;
}

/* Settings. */

static void set_up_imap(struct mail *m)
{
    const struct conf *c = m->daemon->conf;
    struct imap_settings settings = imap_settings_default, *s = &settings;
    m->imap.loop = m->daemon->loop;
    m->imap.store = m->store;
    m->imap.account_of = mail_account_of;
    m->imap.shares_of = mail_shares;
    m->imap.grant = mail_grant;
    m->imap.give_back = mail_give_back;
    m->imap.settle = mail_settle;
    m->imap.account_ctx = m;
    m->imap.public_user = c->sharing_public_user;
    s->language = c->imap_language ? LANGUAGE_RUSSIAN : LANGUAGE_ENGLISH;
    s->frame.literal_minus = c->imap_literal == CONF_LITERAL_MINUS;
    s->utf8 = c->imap_utf8 == CONF_UTF8_ONLY  ? CAPABILITY_UTF8_ONLY
              : c->imap_utf8 == CONF_UTF8_OFF ? CAPABILITY_UTF8_NONE
                                              : CAPABILITY_UTF8_ACCEPT;
    s->frame.max_line = c->imap_line_max;
    s->frame.max_command = MAX(s->frame.max_command, c->imap_line_max);
    s->frame.max_streamed_literal = c->imap_literal_max;
    s->parse.max_args = (unsigned)c->imap_arguments_max;
    s->metadata_value_max = c->metadata_value_max;
    s->metadata_entries_max = (uint32_t)c->metadata_entries_max;
    s->server_metadata = (const char *const *)c->metadata_server.items;
    s->quota_warn_percent = (unsigned)c->quota_warn_percent;
    s->parse.max_depth = (unsigned)c->imap_nesting_max;
    s->parse.max_search_nodes = (unsigned)c->imap_search_nodes_max;
    s->submit_users = c->imap_submit_users.items;
    s->stream_users = c->imap_stream_users.items;
    s->side_by_side = c->imap_side_by_side;
    s->in_order_clients = c->imap_in_order_clients.items;
    s->save_limit = c->imap_save_limit;
    s->message_limit = c->imap_message_limit;
    s->command_memory = c->imap_command_memory;
    s->tasks_max = c->imap_tasks_max;
    s->idle_timeout_s = (unsigned)c->imap_idle_timeout;
    s->progress_ms = (unsigned)c->imap_progress_interval;
    s->errors_max = (unsigned)c->imap_bad_commands;
    imap_settings_set(&m->imap, s);
}

static void set_up_lmtp(struct mail *m)
{
    static char host_name[256];
    const struct conf *c = m->daemon->conf;
    if (gethostname(host_name, sizeof(host_name) - 1) < 0 || !host_name[0])
        memcpy(host_name, "localhost", sizeof("localhost"));
    m->lmtp.loop = m->daemon->loop;
    m->lmtp.ctx = m;
    m->lmtp.lookup = mail_lmtp_lookup;
    m->lmtp.deliver = mail_deliver;
    m->lmtp.settings = (struct lmtp_settings){.host_name = host_name,
                                              .spool_dir = c->state_dir,
                                              .message_max = c->lmtp_message_max,
                                              .recipients_max = c->lmtp_recipients_max,
                                              .timeout_s = c->lmtp_timeout,
                                              .detail_folder = c->lmtp_detail_folder,
                                              .over_quota_permanent =
                                                  c->lmtp_over_quota == CONF_OVER_QUOTA_PERMANENT};
}

/* Channels. */

static void on_message(void *owner, struct channel *ch, const struct message *msg, int fd)
{
    struct mail_peer *p = owner;
    (void)ch;
    switch (msg->kind) {
    case MESSAGE_VOUCHER:
        vouchers_add(&p->mail->vouchers, msg->u.voucher.id, msg->u.voucher.session,
                     msg->u.voucher.user, loop_now_ms(p->mail->daemon->loop));
        break;
    case MESSAGE_HANDOVER:
        mail_on_handover(p, msg, fd);
        break;
    case MESSAGE_RESOLVE:
        mail_on_resolve(p, msg);
        break;
    case MESSAGE_DELIVER:
        mail_on_deliver(p, msg, fd);
        break;
    case MESSAGE_SHARES:
        mail_on_shares(p, msg);
        break;
    case MESSAGE_GRANT:
        mail_on_grant(p, msg);
        break;
    case MESSAGE_RESOLVED:
    case MESSAGE_SHARED:
    case MESSAGE_GRANTED:
    case MESSAGE_USER_FOUND:
    case MESSAGE_DELIVERED:
        mail_answer(p->mail, msg);
        break;
    case MESSAGE_REMOTE_OPEN:
    case MESSAGE_REMOTE_FILE:
    case MESSAGE_REMOTE_REQUEST:
    case MESSAGE_REMOTE_WATCH:
    case MESSAGE_REMOTE_RECENT:
    case MESSAGE_REMOTE_RELEASE:
    case MESSAGE_REMOTE_OPENED:
    case MESSAGE_REMOTE_RESULT:
    case MESSAGE_REMOTE_CHANGED:
    case MESSAGE_REMOTE_CLOSED:
        mail_on_remote(p, msg, fd);
        break;
    default:
        break; /* the permit table lets nothing else through */
    }
}

static void on_closed(void *owner, struct channel *ch)
{
    struct mail_peer *p = owner;
    channel_free(ch);
    p->ch = NULL;
    mail_question_lost(p->mail, p);
    mail_remote_lost(p);
}

/* A login process: it may be retired, and share its slot with others. */
static void on_login_closed(void *owner, struct channel *ch)
{
    struct mail_peer *p = owner;
    channel_free(ch);
    list_remove(&p->link);
    free(p);
}

static void on_login_peer(struct mail *m, unsigned index, int fd)
{
    static const struct channel_ops ops = {on_message, on_login_closed};
    struct mail_peer *p = xnew(struct mail_peer);
    p->mail = m;
    p->role = ROLE_LOGIN;
    p->index = index;
    p->ch = channel_new(m->daemon->loop, fd, ROLE_MAIL, ROLE_LOGIN, &ops, p);
    list_push_back(&m->logins, &p->link);
}

static struct mail_peer *find_peer(struct mail *m, enum role role, unsigned index)
{
    if (role == ROLE_AUTH)
        return &m->auth;
    if (index >= MAIL_PEERS_MAX)
        return NULL;
    return role == ROLE_MAIL ? &m->mail[index] : NULL;
}

static void on_peer(struct daemon *d, enum role role, unsigned index, int fd)
{
    static const struct channel_ops ops = {on_message, on_closed};
    struct mail *m = d->owner;
    m->daemon = d;
    if (role == ROLE_LOGIN) {
        on_login_peer(m, index, fd);
        return;
    }
    struct mail_peer *p = find_peer(m, role, index);
    if (!p) {
        close(fd);
        return;
    }
    if (p->ch)
        on_closed(p, p->ch);
    p->mail = m;
    p->role = role;
    p->index = index;
    p->ch = channel_new(d->loop, fd, ROLE_MAIL, role, &ops, p);
    mail_question_again(m, p);
    if (role == ROLE_MAIL)
        mail_remote_connected(p);
}

/* Life. */

static void on_accept(void *arg, int fd, const struct address *peer)
{
    struct mail_port *p = arg;
    autobuf host = BUF_INIT(128);
    if (p->kind == LISTENER_CONTROL) {
        mail_control_accept(p->mail, fd);
        return;
    }
    metric_add(METRIC_ACCEPTED + METRIC_LISTENER_LMTP, 1);
    address_format_host(peer, &host);
    lmtp_session_start(&p->mail->lmtp, fd, buf_span(&host));
}

static void on_listener(struct daemon *d, enum listener_kind kind, uint32_t id, int fd)
{
    struct mail *m = d->owner;
    struct mail_port *p = xnew(struct mail_port);
    p->mail = m;
    p->kind = kind;
    p->id = id;
    p->fd = fd;
    list_push_back(&m->ports, &p->link);
    if (m->store)
        p->listener = listener_new(d->loop, take_fd(&p->fd), on_accept, p);
}

static void port_free(struct mail_port *p)
{
    list_remove(&p->link);
    listener_free(p->listener);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

static void on_unlisten(struct daemon *d, uint32_t id)
{
    struct mail *m = d->owner;
    struct mail_port *p, *next;
    list_each_safe(p, next, &m->ports, link) if (p->id == id) port_free(p);
}

enum { TICK_MS = 5000 };

static void on_tick(struct loop_timer *t)
{
    struct mail *m = container_of(t, struct mail, tick);
    /* What opening needed lies between the sessions' small structs: the C library keeps it unless
     * told. */
    if (m->slept)
        malloc_trim(0);
    m->slept = store_tick(m->store) > 0;
    store_measure(m->store);
    vouchers_expire(&m->vouchers, loop_now_ms(m->daemon->loop));
    loop_timer_set(m->daemon->loop, &m->tick, TICK_MS);
}

static int on_start(struct daemon *d, struct err *err)
{
    struct mail *m = d->owner;
    struct mail_port *p;
    m->daemon = d;
    loop_work_threads((unsigned)d->conf->store_threads);
    int r = open_store(m, err);
    if (r < 0)
        return r;
    set_up_quota(m);
    set_up_imap(m);
    set_up_lmtp(m);
    mail_remote_start(m);
    list_each(p, &m->ports, link) p->listener =
        listener_new(d->loop, take_fd(&p->fd), on_accept, p);
    loop_timer_init(&m->tick, on_tick);
    loop_timer_set(d->loop, &m->tick, TICK_MS);
    daemon_ready(d);
    return 0;
}

/* Limits that were lowered bind what comes from now on. */
static void on_reload(struct daemon *d)
{
    struct mail *m = d->owner;
    size_t n = default_mailboxes(m);
    store_set_options(m->store, d->conf->store_open_accounts, m->defaults, n);
    set_up_quota(m);
    set_up_imap(m);
    set_up_lmtp(m);
}

void mail_check_ended(struct mail *m)
{
    if (!m->stopping || !m->imap_ended || !m->lmtp_ended || m->openings)
        return;
    m->imap_ended = false; /* once */
    mail_remote_end(m);
    store_free(m->store);
    m->store = NULL;
    mail_remote_free(m);
    daemon_exit(m->daemon);
}

static void on_imap_ended(void *arg)
{
    struct mail *m = arg;
    m->imap_ended = true;
    mail_check_ended(m);
}

static void on_lmtp_ended(void *arg)
{
    struct mail *m = arg;
    m->lmtp_ended = true;
    mail_check_ended(m);
}

static void on_shutdown(struct daemon *d)
{
    struct mail *m = d->owner;
    struct mail_port *p, *next;
    m->stopping = true;
    if (!m->store) {
        daemon_exit(d);
        return;
    }
    list_each_safe(p, next, &m->ports, link) port_free(p);
    loop_timer_cancel(&m->tick);
    mail_control_shutdown(m);
    mail_settle_end(m);
    vouchers_done(&m->vouchers);
    imap_shutdown(&m->imap, on_imap_ended, m);
    lmtp_shutdown(&m->lmtp, on_lmtp_ended, m);
}

int main(void)
{
    static const struct daemon_ops ops = {.listener = on_listener,
                                          .unlisten = on_unlisten,
                                          .peer = on_peer,
                                          .start = on_start,
                                          .reload = on_reload,
                                          .message = mail_supervisor_message,
                                          .shutdown = on_shutdown,
                                          .confine_first = true};
    static struct mail m; /* reachable until the very end, for leak checkers */
    list_init(&m.ports);
    list_init(&m.logins);
    list_init(&m.controls);
    list_init(&m.settlements);
    imap_host_init(&m.imap);
    list_init(&m.lmtp.sessions);
    return daemon_run(ROLE_MAIL, &ops, &m);
}
