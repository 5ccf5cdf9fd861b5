/* martlet-login: greets strangers. It speaks TLS and IMAP before authentication, asks martlet-auth
 * about passwords, and hands authenticated connections to the mail process of their account. No
 * code that can open mail is linked into it. */
#include "daemon/login/login.h"

#include <malloc.h>

#include "base/logline.h"
#include "base/random.h"

enum { TRIM_MS = 5000 };

static bool full(const struct login *login)
{
    return login_connections(login) + login->elsewhere >= login->daemon->conf->login_connections;
}

/* What handshakes needed lies between the pumps that stay: the C library keeps it unless told. */
static void on_trim(struct loop_timer *t)
{
    (void)t;
    malloc_trim(0);
}

void login_check_limits(struct login *login)
{
    struct port *p;
    if (!loop_timer_is_set(&login->trim))
        loop_timer_set(login->daemon->loop, &login->trim, TRIM_MS);
    bool pause = full(login) || generation_spent(login);
    if ((login->stopping || login->retired) && !login->session_count && !login->pump_count &&
        !login->proxied_count) {
        daemon_exit(login->daemon);
        return;
    }
    if (pause == login->paused)
        return;
    login->paused = pause;
    if (pause && full(login))
        log_text(LOG_WARNING, "connection-limit", "%llu connections: accepting no more",
                 (unsigned long long)login_connections(login) + login->elsewhere);
    list_each(p, &login->ports, link)
    {
        if (pause)
            listener_pause(p->listener);
        else
            listener_resume(p->listener);
    }
}

static void on_accept(void *arg, int fd, const struct address *peer)
{
    struct port *p = arg;
    struct login *login = p->login;
    if (login->session_count >= login->daemon->conf->login_unfinished) {
        struct session *oldest = list_first(&login->sessions, struct session, link);
        session_drop(oldest, "Too many connections that have not logged in");
    }
    login->taken++;
    if (p->proxied) {
        if (login->proxied_count >= login->daemon->conf->login_unfinished)
            proxied_free_all(login);
        proxied_new(login, fd, peer, p->tls);
    } else {
        struct client client = {.fd = fd, .peer = *peer, .tls = p->tls};
        address_of_socket(fd, &client.local);
        session_new(login, &client);
    }
    generation_check(login);
    login_check_limits(login);
}

/* Channels. */

static void on_mechanisms(struct login *login, const struct message *m)
{
    buf_reset(&login->mechanisms);
    buf_put_span(&login->mechanisms, m->u.mechanisms.list);
    login->mechanisms_known = true;
    login_start_when_ready(login);
}

static void on_auth_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    struct peer *peer = owner;
    uint64_t id = m->kind == MESSAGE_AUTH_OK          ? m->u.auth_ok.id
                  : m->kind == MESSAGE_AUTH_CHALLENGE ? m->u.auth_data.id
                  : m->kind == MESSAGE_AUTH_FAILED    ? m->u.auth_end.id
                                                      : 0;
    (void)ch;
    (void)fd;
    certificates_message(peer->login, m);
    if (m->kind == MESSAGE_AUTH_MECHANISMS)
        on_mechanisms(peer->login, m);
    struct session *s = map_get(&peer->login->by_auth, map_u64_key(&id));
    if (s)
        session_auth_message(s, m);
}

static void on_auth_closed(void *owner, struct channel *ch)
{
    struct peer *peer = owner;
    struct session *s, *next;
    channel_free(ch);
    peer->ch = NULL;
    list_each_safe(s, next, &peer->login->sessions, link) if (s->auth_id) session_auth_lost(s);
}

/* The permit table lets them say this alone. */
static void on_mail_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    struct peer *peer = owner;
    (void)ch;
    if (m->kind == MESSAGE_RETURN)
        session_return(peer->login, m, fd);
}

static void on_mail_closed(void *owner, struct channel *ch)
{
    struct peer *peer = owner;
    channel_free(ch);
    peer->ch = NULL;
}

static void on_peer(struct daemon *d, enum role role, unsigned index, int fd)
{
    static const struct channel_ops auth_ops = {on_auth_message, on_auth_closed};
    static const struct channel_ops mail_ops = {on_mail_message, on_mail_closed};
    struct login *login = d->owner;
    bool auth = role == ROLE_AUTH;
    if ((!auth && role != ROLE_MAIL) || index >= PEERS_MAX) {
        close(fd);
        return;
    }
    struct peer *peer = auth ? &login->auth : &login->mail[index];
    if (peer->ch && auth)
        on_auth_closed(peer, peer->ch);
    else
        channel_free(peer->ch);
    peer->login = login;
    peer->ch = channel_new(d->loop, fd, ROLE_LOGIN, role, auth ? &auth_ops : &mail_ops, peer);
    login->daemon = d;
    certificates_init(login);
    if (auth)
        tls_backend_again(login->backend);
}

/* Life. */

static void open_port(struct port *p)
{
    p->listener = listener_new(p->login->daemon->loop, take_fd(&p->fd), on_accept, p);
    if (p->login->paused)
        listener_pause(p->listener);
}

void login_port_free(struct port *p)
{
    list_remove(&p->link);
    listener_free(p->listener);
    if (p->fd >= 0)
        close(p->fd);
    free(p);
}

static void on_listener(struct daemon *d, enum listener_kind kind, uint32_t id, int fd)
{
    struct login *login = d->owner;
    struct port *p = xnew(struct port);
    p->login = login;
    p->id = id;
    p->fd = fd;
    p->tls = kind == LISTENER_IMAPS || kind == LISTENER_IMAPS_PROXY;
    p->proxied = kind == LISTENER_IMAP_PROXY || kind == LISTENER_IMAPS_PROXY;
    list_push_back(&login->ports, &p->link);
    if (login->retired)
        login_port_free(p);
    else if (login->started)
        open_port(p);
}

static void on_unlisten(struct daemon *d, uint32_t id)
{
    struct login *login = d->owner;
    struct port *p, *next;
    list_each_safe(p, next, &login->ports, link) if (p->id == id) login_port_free(p);
}

static void on_message(struct daemon *d, const struct message *m, int fd)
{
    struct login *login = d->owner;
    if (fd >= 0)
        close(fd);
    login->daemon = d;
    generation_message(login, m);
}

void login_start_when_ready(struct login *login)
{
    struct daemon *d = login->daemon;
    struct port *p;
    if (!login->settled || !login->certificates_known || !login->mechanisms_known ||
        login->stopping)
        return;
    login->settled = false; /* once */
    login->started = true;
    list_each(p, &login->ports, link) open_port(p);
    daemon_ready(d);
}

static int on_start(struct daemon *d, struct err *err)
{
    struct login *login = d->owner;
    (void)err;
    login->daemon = d;
    generation_init(login);
    /* One arena for the threads that shake hands as well: for shrinking another one the C library
     * reads a file in /proc, which the sandbox would refuse and report. */
    mallopt(M_ARENA_MAX, 1);
    login->limits =
        (struct frame_limits){.max_line = INPUT_MAX,
                              .max_command = 2 * INPUT_MAX,
                              .max_buffered_literal = 4096,
                              .max_streamed_literal = UINT64_MAX, /* refused when asked */

                              .max_discard = 1024 * 1024,
                              .max_literals = 8,
                              .literal_minus = d->conf->imap_literal == CONF_LITERAL_MINUS};
    login->settled = true;
    login_start_when_ready(login);
    return 0;
}

/* Settings are read from d->conf where they are used; these are not. */
static void on_reload(struct daemon *d)
{
    struct login *login = d->owner;
    login->limits.literal_minus = d->conf->imap_literal == CONF_LITERAL_MINUS;
    generation_check(login);
    login_check_limits(login);
}

static void on_shutdown(struct daemon *d)
{
    struct login *login = d->owner;
    struct session *s, *next;
    struct port *p, *next_port;
    login->daemon = d;
    login->stopping = true;
    if (login->backend)
        tls_backend_stop(login->backend);
    list_each_safe(p, next_port, &login->ports, link) login_port_free(p);
    loop_timer_cancel(&login->tell);
    list_each_safe(s, next, &login->sessions, link) session_bye(s, "Server is shutting down");
    proxied_free_all(login);
    login_check_limits(login);
}

int main(void)
{
    static const struct daemon_ops ops = {.listener = on_listener,
                                          .unlisten = on_unlisten,
                                          .message = on_message,
                                          .peer = on_peer,
                                          .start = on_start,
                                          .reload = on_reload,
                                          .shutdown = on_shutdown};
    static struct login login; /* reachable until the very end, for leak checkers */
    list_init(&login.ports);
    buf_init(&login.mechanisms, 1024);
    list_init(&login.sessions);
    login.left = (struct map)MAP_INIT;
    loop_timer_init(&login.trim, on_trim);
    list_init(&login.proxied);
    login.next_session = random_u64() << 24; /* distinct among processes and restarts */
    login.next_auth = 1;
    return daemon_run(ROLE_LOGIN, &ops, &login);
}
