/* martlet-auth: the only process that sees secrets. Login processes hand it the SASL exchange,
 * mail processes ask whether a recipient exists. What an attempt to log in does is in attempt.c;
 * here are the channels. */
#include "base/logline.h"
#include "base/map.h"
#include "base/random.h"
#include "daemon/auth/auth.h"

/* A login or mail process. */
struct client {
    struct list link;
    struct auth *auth;
    struct channel *ch;
    struct keys_client *signer; /* of a login process */
    enum role role;
    unsigned index;
    struct map dialogues; /* by id */
    struct lookups *lookups;
};

/* One attempt to log in of a login process. */
struct dialogue {
    struct client *client;
    uint64_t id, session;
    struct attempt *attempt;
};

static struct dialogue *find(struct client *c, uint64_t id)
{
    return map_get(&c->dialogues, map_u64_key(&id));
}

static void dialogue_free(struct dialogue *d)
{
    map_remove(&d->client->dialogues, map_u64_key(&d->id));
    free(d);
}

static void on_challenge(void *arg, struct span data)
{
    struct dialogue *d = arg;
    struct message m = {.kind = MESSAGE_AUTH_CHALLENGE};
    m.u.auth_data.id = d->id;
    m.u.auth_data.data = data;
    (void)channel_send(d->client->ch, &m, -1);
}

/* The mail process of the account hears it from us: a login process could say anything. */
static uint64_t vouch(const struct dialogue *d, struct span user)
{
    struct auth *a = d->client->auth;
    struct message m = {.kind = MESSAGE_VOUCHER};
    unsigned index = route_user(user, a->daemon->mail_count);
    struct client *c;
    m.u.voucher.id = random_u64();
    m.u.voucher.session = d->session;
    m.u.voucher.user = user;
    list_each(c, &a->clients, link) if (c->role == ROLE_MAIL && c->index == index)(void)
        channel_send(c->ch, &m, -1);
    return m.u.voucher.id;
}

static void on_ok(void *arg, struct span user, struct span login, struct span data)
{
    struct dialogue *d = arg;
    struct message m = {.kind = MESSAGE_AUTH_OK};
    m.u.auth_ok.id = d->id;
    m.u.auth_ok.user = user;
    m.u.auth_ok.login = login;
    m.u.auth_ok.data = data;
    m.u.auth_ok.voucher = vouch(d, user);
    (void)channel_send(d->client->ch, &m, -1);
    dialogue_free(d);
}

static void send_failed(struct client *c, uint64_t id, enum auth_failure why)
{
    struct message m = {.kind = MESSAGE_AUTH_FAILED};
    m.u.auth_end.id = id;
    m.u.auth_end.failure = why;
    (void)channel_send(c->ch, &m, -1);
}

static void on_failed(void *arg, enum auth_failure why)
{
    struct dialogue *d = arg;
    send_failed(d->client, d->id, why);
    dialogue_free(d);
}

static void on_start(struct client *c, const struct message *m)
{
    static const struct attempt_ops ops = {on_challenge, on_ok, on_failed};
    uint64_t id = m->u.auth_start.id;
    if (find(c, id)) {
        send_failed(c, id, AUTH_FAILURE_UNAVAILABLE);
        return;
    }
    struct attempt_start start = {.mechanism = m->u.auth_start.mechanism,
                                  .service = m->u.auth_start.service,
                                  .has_initial = m->u.auth_start.has_initial,
                                  .initial = m->u.auth_start.initial,
                                  .peer = m->u.auth_start.peer,
                                  .session = m->u.auth_start.session};
    struct dialogue *d = xnew(struct dialogue);
    d->client = c;
    d->id = id;
    d->session = m->u.auth_start.session;
    map_put(&c->dialogues, map_u64_key(&d->id), d);
    d->attempt = attempt_start(c->auth, &start, &ops, d);
}

static void on_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    struct client *c = owner;
    struct dialogue *d;
    (void)ch;
    (void)fd; /* none of these has one */
    switch (m->kind) {
    case MESSAGE_AUTH_START:
        on_start(c, m);
        break;
    case MESSAGE_AUTH_CONTINUE:
        d = find(c, m->u.auth_data.id);
        if (d)
            attempt_continue(d->attempt, m->u.auth_data.data);
        break;
    case MESSAGE_AUTH_CANCEL:
        d = find(c, m->u.auth_end.id);
        if (d) {
            attempt_cancel(d->attempt);
            dialogue_free(d);
        }
        break;
    case MESSAGE_USER_LOOKUP:
        lookup_start(c->lookups, m);
        break;
    case MESSAGE_SIGN:
        keys_client_sign(c->signer, m);
        break;
    default:
        break; /* the permit table lets nothing else through */
    }
}

static void client_free(struct client *c)
{
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&c->dialogues, &pos, &key, &value)) {
        struct dialogue *d = value;
        attempt_cancel(d->attempt);
        dialogue_free(d);
    }
    keys_client_free(c->signer);
    lookups_free(c->lookups);
    list_remove(&c->link);
    map_done(&c->dialogues);
    channel_free(c->ch);
    free(c);
}

static void on_closed(void *owner, struct channel *ch)
{
    (void)ch;
    client_free(owner);
}

static void tell_mechanisms(struct client *c)
{
    struct message m = {.kind = MESSAGE_AUTH_MECHANISMS};
    autobuf list = BUF_INIT(1024);
    if (c->role != ROLE_LOGIN || !c->auth->directories)
        return;
    auth_mechanism_table(c->auth, &list);
    m.u.mechanisms.list = buf_span(&list);
    (void)channel_send(c->ch, &m, -1);
}

static void tell_all_mechanisms(struct auth *a)
{
    struct client *c;
    list_each(c, &a->clients, link) tell_mechanisms(c);
}

/* auth.scram = auto: files change without a reload. */
static bool scram_is_good(const struct auth *a)
{
    switch (a->daemon->conf->auth_scram) {
    case CONF_SCRAM_ON:
        return directories_have_scram(a->directories);
    case CONF_SCRAM_AUTO:
        return directories_have_scram(a->directories) && directories_all_scram(a->directories);
    default:
        return false;
    }
}

static void on_look(struct loop_timer *t)
{
    struct auth *a = container_of(t, struct auth, look);
    bool good = scram_is_good(a);
    loop_timer_set(a->daemon->loop, &a->look, LOOK_MS);
    if (good == a->scram)
        return;
    a->scram = good;
    log_event(LOG_INFO, "scram", "offered", good ? "yes" : "no", NULL);
    tell_all_mechanisms(a);
}

static void on_peer(struct daemon *daemon, enum role role, unsigned index, int fd)
{
    static const struct channel_ops ops = {on_message, on_closed};
    struct auth *a = daemon->owner;
    struct client *c, *next;
    a->daemon = daemon;
    list_each_safe(c, next, &a->clients, link) if (c->role == role && c->index == index)
        client_free(c);
    c = xnew(struct client);
    c->auth = a;
    c->role = role;
    c->index = index;
    c->ch = channel_new(daemon->loop, fd, ROLE_AUTH, role, &ops, c);
    if (!a->keys)
        a->keys = keys_new(daemon->loop);
    c->lookups = lookups_new(a, c->ch);
    if (role == ROLE_LOGIN)
        c->signer = keys_client_new(a->keys, c->ch);
    list_push_back(&a->clients, &c->link);
    tell_mechanisms(c);
}

/* The sockets of MTAs. */

struct mta_port {
    struct list link;
    uint32_t id;
    int fd; /* until the process has started */
    struct mta *mta;
};

static void mta_port_open(struct auth *a, struct mta_port *p)
{
    if (p->fd >= 0)
        p->mta = mta_new(a, a->daemon->loop, take_fd(&p->fd));
}

static void on_listener(struct daemon *daemon, enum listener_kind kind, uint32_t id, int fd)
{
    struct auth *a = daemon->owner;
    struct mta_port *p = xnew(struct mta_port);
    (void)kind; /* the supervisor sends no others */
    a->daemon = daemon;
    p->id = id;
    p->fd = fd;
    list_push_back(&a->mta_ports, &p->link);
    if (a->directories)
        mta_port_open(a, p);
}

static void on_unlisten(struct daemon *daemon, uint32_t id)
{
    struct auth *a = daemon->owner;
    struct mta_port *p, *next;
    list_each_safe(p, next, &a->mta_ports, link)
    {
        if (p->id != id)
            continue;
        list_remove(&p->link);
        mta_free(p->mta);
        if (p->fd >= 0)
            close(p->fd);
        free(p);
    }
}

static int on_start_daemon(struct daemon *daemon, struct err *err)
{
    struct auth *a = daemon->owner;
    a->daemon = daemon;
    if (!a->keys)
        a->keys = keys_new(daemon->loop);
    if (keys_load(a->keys, daemon->conf, err) < 0)
        return err->code;
    a->directories = directories_new(daemon->conf, err);
    if (!a->directories)
        return err->code;
    random_bytes(a->scram_key, sizeof(a->scram_key));
    a->scram = scram_is_good(a);
    loop_timer_set(daemon->loop, &a->look, LOOK_MS);
    tell_all_mechanisms(a);
    throttle_init(&a->throttle, daemon->conf->auth_failure_delay,
                  daemon->conf->auth_failure_delay_max);
    struct mta_port *p;
    list_each(p, &a->mta_ports, link) mta_port_open(a, p);
    daemon_ready(daemon);
    return 0;
}

static void on_reload(struct daemon *daemon)
{
    struct auth *a = daemon->owner;
    struct err err;
    if (keys_load(a->keys, daemon->conf, &err) < 0)
        log_event(LOG_ERROR, "reload-failed", "msg", err.text, NULL);
    struct directories *fresh = directories_new(daemon->conf, &err);
    if (!fresh) {
        log_event(LOG_ERROR, "reload-failed", "msg", err.text, NULL);
        return;
    }
    directories_unref(a->directories);
    a->directories = fresh;
    a->scram = scram_is_good(a);
    tell_all_mechanisms(a);
    a->throttle.base_ms = daemon->conf->auth_failure_delay;
    a->throttle.max_ms = daemon->conf->auth_failure_delay_max;
}

static void on_shutdown(struct daemon *daemon)
{
    daemon_exit(daemon);
}

int main(void)
{
    static const struct daemon_ops ops = {.listener = on_listener,
                                          .unlisten = on_unlisten,
                                          .peer = on_peer,
                                          .start = on_start_daemon,
                                          .reload = on_reload,
                                          .shutdown = on_shutdown};
    static struct auth a; /* reachable until the very end, for leak checkers */
    list_init(&a.clients);
    list_init(&a.mta_ports);
    loop_timer_init(&a.look, on_look);
    return daemon_run(ROLE_AUTH, &ops, &a);
}
