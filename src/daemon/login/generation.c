/* A login process serves a bounded group (login.group): then a fresh one takes its place, and it
 * goes on with what it has until that ends.
 *
 * Logins count, not connections: strangers that never log in leave after login.timeout, so a flood
 * of them neither uses a group up nor makes processes (a wide bound on connections remains, so that
 * no process lives for ever). The successor is asked for a little early, and accepts before this
 * one stops: no connection waits. */
#include "base/logline.h"
#include "daemon/login/login.h"

enum { CONNECTIONS_PER_LOGIN = 64, TELL_MS = 1000, TELL_BUSY_MS = 20 };

static bool beyond(const struct login *login, uint64_t part, uint64_t whole)
{
    uint64_t group = login->daemon->conf->login_group;
    return login->served * whole >= group * part ||
           login->taken * whole >= group * part * CONNECTIONS_PER_LOGIN;
}

bool generation_spent(const struct login *login)
{
    return beyond(login, 1, 1);
}

/* Those that have not logged in are sessions; of TLS connections a pump is there before and after.
 */
uint64_t login_connections(const struct login *login)
{
    return login->session_count - login->tls_session_count + login->pump_count +
           login->proxied_count;
}

static uint32_t handshakes(const struct login *login)
{
    struct session *s;
    uint32_t n = 0;
    list_each(s, &login->sessions, link) n += s->pump && !tls_pump_established(s->pump);
    return n;
}

static uint32_t tell(struct login *login)
{
    struct message m = {.kind = MESSAGE_FULL};
    m.u.load.connections = (uint32_t)login_connections(login);
    m.u.load.sessions =
        (uint32_t)(login->pump_count - MIN(login->tls_session_count, login->pump_count));
    m.u.load.handshakes = handshakes(login);
    if (login->told && m.u.load.connections == login->told_connections &&
        m.u.load.handshakes == login->told_handshakes)
        return m.u.load.handshakes;
    login->told = true;
    login->told_connections = m.u.load.connections;
    login->told_handshakes = m.u.load.handshakes;
    daemon_tell_supervisor(login->daemon, &m);
    return m.u.load.handshakes;
}

static void on_tell(struct loop_timer *t)
{
    struct login *login = container_of(t, struct login, tell);
    bool busy = tell(login) > 0;
    loop_timer_set(login->daemon->loop, t, busy ? TELL_BUSY_MS : TELL_MS);
}

void generation_init(struct login *login)
{
    loop_timer_init(&login->tell, on_tell);
}

void generation_check(struct login *login)
{
    if (login->full || login->retired || login->stopping || !beyond(login, 7, 8))
        return;
    login->full = true;
    (void)tell(login);
}

static void retire(struct login *login)
{
    struct port *p, *next;
    if (!login->retired)
        log_text(LOG_INFO, "retired", "goes on with %llu connections",
                 (unsigned long long)login_connections(login));
    login->retired = true;
    login->told = false;
    list_each_safe(p, next, &login->ports, link) login_port_free(p);
    on_tell(&login->tell);
    login_check_limits(login);
}

void generation_message(struct login *login, const struct message *m)
{
    if (m->kind == MESSAGE_RETIRE && !login->stopping) {
        retire(login);
    } else if (m->kind == MESSAGE_SHARE) {
        login->elsewhere = m->u.load.connections;
        login_check_limits(login);
    }
}
