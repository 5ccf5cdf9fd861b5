/* martlet-auth: the only process that sees secrets. Login processes hand it the SASL exchange,
 * mail processes ask whether a recipient exists. Passwords are checked in worker threads. */
#include "auth/sasl.h"
#include "auth/throttle.h"
#include "auth/users.h"
#include "base/list.h"
#include "base/logline.h"
#include "base/map.h"
#include "daemon/auth/keys.h"
#include "daemon/skeleton.h"

enum { DIALOGUES_MAX = 20000 };

struct auth {
    struct daemon *daemon;
    struct keys *keys; /* of TLS */
    struct users *users;
    struct throttle throttle;
    struct list clients;
    struct list dialogues;
    size_t dialogue_count;
};

/* A login or mail process. */
struct client {
    struct list link;
    struct auth *auth;
    struct channel *ch;
    struct keys_client *signer; /* of a login process */
    enum role role;
    unsigned index;
    struct map dialogues; /* by id */
};

/* One attempt to log in. */
struct dialogue {
    struct list link;
    struct auth *auth;
    struct client *client; /* NULL: nobody waits for the result any more */
    uint64_t id, session;
    struct sasl sasl;
    char *peer;
    struct users *users; /* while a worker checks */
    bool checking, any_user, right;
    struct loop_timer delay;
};

static void dialogue_free(struct dialogue *d)
{
    if (d->client)
        map_remove(&d->client->dialogues, map_u64_key(&d->id));
    list_remove(&d->link);
    d->auth->dialogue_count--;
    loop_timer_cancel(&d->delay);
    sasl_done(&d->sasl);
    users_unref(d->users);
    free(d->peer);
    free(d);
}

/* Nobody wants to hear of it: it goes now, or when the worker comes back. */
static void dialogue_abandon(struct dialogue *d)
{
    map_remove(&d->client->dialogues, map_u64_key(&d->id));
    d->client = NULL;
    if (!d->checking)
        dialogue_free(d);
}

static struct dialogue *find(struct client *c, uint64_t id)
{
    return map_get(&c->dialogues, map_u64_key(&id));
}

static void send_failed(struct client *c, uint64_t id, enum auth_failure why)
{
    struct message m = {.kind = MESSAGE_AUTH_FAILED};
    m.u.auth_end.id = id;
    m.u.auth_end.failure = why;
    (void)channel_send(c->ch, &m, -1);
}

static void on_delay_over(struct loop_timer *t)
{
    struct dialogue *d = container_of(t, struct dialogue, delay);
    if (d->client)
        send_failed(d->client, d->id, AUTH_FAILURE_CREDENTIALS);
    dialogue_free(d);
}

static void succeed(struct dialogue *d)
{
    struct message m = {.kind = MESSAGE_AUTH_OK};
    m.u.auth_ok.id = d->id;
    m.u.auth_ok.user = buf_span(&d->sasl.user);
    m.u.auth_ok.login = buf_span(&d->sasl.user);
    throttle_succeeded(&d->auth->throttle, buf_span(&d->sasl.user), span_str(d->peer));
    if (d->client)
        (void)channel_send(d->client->ch, &m, -1);
    dialogue_free(d);
}

static void check_in_worker(void *arg)
{
    struct dialogue *d = arg;
    d->right = users_check(d->users, buf_span(&d->sasl.user), buf_span(&d->sasl.password));
}

static void on_checked(void *arg)
{
    struct dialogue *d = arg;
    struct loop *l = d->auth->daemon->loop;
    d->checking = false;
    if (d->right || d->any_user) {
        succeed(d);
        return;
    }
    uint64_t ms = throttle_failed(&d->auth->throttle, buf_span(&d->sasl.user), span_str(d->peer),
                                  loop_now_ms(l));
    log_event(LOG_INFO, "login-failed", "user", d->sasl.user.p, "peer", d->peer, NULL);
    if (!d->client)
        dialogue_free(d);
    else
        loop_timer_set(l, &d->delay, ms);
}

static void check(struct dialogue *d)
{
    struct auth *a = d->auth;
    const char *any = a->daemon->conf->auth_any_user_password;
    d->any_user = *any && secret_equal(buf_span(&d->sasl.password), span_str(any));
    if (d->any_user) { /* tests and benchmarks: nothing to compute */
        succeed(d);
        return;
    }
    d->users = users_ref(a->users);
    d->checking = true;
    loop_work(a->daemon->loop, check_in_worker, on_checked, d);
}

static void step(struct dialogue *d, bool has_data, struct span data)
{
    struct message m = {.kind = MESSAGE_AUTH_CHALLENGE};
    m.u.auth_data.id = d->id;
    switch (sasl_step(&d->sasl, has_data, data, &m.u.auth_data.data)) {
    case SASL_CHALLENGE:
        (void)channel_send(d->client->ch, &m, -1);
        break;
    case SASL_READY:
        check(d);
        break;
    case SASL_MALFORMED:
        send_failed(d->client, d->id, AUTH_FAILURE_SYNTAX);
        dialogue_free(d);
        break;
    }
}

static void on_start(struct client *c, const struct message *m)
{
    struct auth *a = c->auth;
    uint64_t id = m->u.auth_start.id;
    if (!m->u.auth_start.peer.secure) { /* both mechanisms show the password to whoever listens */
        send_failed(c, id, AUTH_FAILURE_MECHANISM);
        return;
    }
    if (a->dialogue_count >= DIALOGUES_MAX || find(c, id)) {
        send_failed(c, id, AUTH_FAILURE_UNAVAILABLE);
        return;
    }
    struct dialogue *d = xnew(struct dialogue);
    if (!sasl_init(&d->sasl, m->u.auth_start.mechanism)) {
        free(d);
        send_failed(c, id, AUTH_FAILURE_MECHANISM);
        return;
    }
    d->auth = a;
    d->client = c;
    d->id = id;
    d->session = m->u.auth_start.session;
    d->peer = span_dup(m->u.auth_start.peer.address);
    loop_timer_init(&d->delay, on_delay_over);
    list_push_front(&a->dialogues, &d->link);
    map_put(&c->dialogues, map_u64_key(&d->id), d);
    a->dialogue_count++;
    step(d, m->u.auth_start.has_initial, m->u.auth_start.initial);
}

/* Which user an address belongs to: the users file knows whole addresses and local parts, with and
 * without a detail. */
static struct span without_detail(const struct conf *c, struct span local)
{
    struct span mark = span_str(c->lmtp_detail_delimiter);
    size_t at = mark.n ? span_find(local, mark) : SPAN_NPOS;
    return at == SPAN_NPOS || at == 0 ? local : span_head(local, at);
}

static bool domain_is_ours(const struct conf *c, struct span domain)
{
    if (!c->lmtp_domains.count || !domain.n)
        return true;
    for (size_t i = 0; i < c->lmtp_domains.count; i++)
        if (span_ieq(domain, span_str(c->lmtp_domains.items[i])))
            return true;
    return false;
}

static bool find_user(struct auth *a, struct span address, struct buf *ret)
{
    const struct conf *c = a->daemon->conf;
    size_t at = address.n;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    struct span local = at ? span_head(address, at - 1) : address;
    struct span domain = at ? span_skip(address, at) : SPAN_EMPTY;
    struct span shorter = without_detail(c, local);
    bool ours = domain_is_ours(c, domain);
    autobuf whole = BUF_INIT(1024);
    buf_printf(&whole, SPAN_FMT "@" SPAN_FMT, SPAN_ARG(shorter), SPAN_ARG(domain));
    struct span tries[] = {address, buf_span(&whole), ours ? local : SPAN_EMPTY,
                           ours ? shorter : SPAN_EMPTY};
    for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
        if (tries[i].n && users_exists(a->users, tries[i])) {
            buf_put_span(ret, tries[i]);
            return true;
        }
    }
    if (!*c->auth_any_user_password || !ours || !user_name_valid(shorter))
        return false;
    buf_put_span(ret, shorter);
    return true;
}

static void on_lookup(struct client *c, const struct message *m)
{
    struct message r = {.kind = MESSAGE_USER_FOUND};
    autobuf user = BUF_INIT(USER_NAME_MAX);
    r.u.user_found.id = m->u.user_lookup.id;
    r.u.user_found.error = find_user(c->auth, m->u.user_lookup.name, &user) ? 0 : ERR_NOT_FOUND;
    r.u.user_found.user = buf_span(&user);
    (void)channel_send(c->ch, &r, -1);
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
        if (d && !d->checking && !loop_timer_is_set(&d->delay))
            step(d, true, m->u.auth_data.data);
        break;
    case MESSAGE_AUTH_CANCEL:
        d = find(c, m->u.auth_end.id);
        if (d)
            dialogue_abandon(d);
        break;
    case MESSAGE_USER_LOOKUP:
        on_lookup(c, m);
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
    struct dialogue *d, *next;
    list_each_safe(d, next, &c->auth->dialogues, link) if (d->client == c) dialogue_abandon(d);
    keys_client_free(c->signer);
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
    if (role == ROLE_LOGIN)
        c->signer = keys_client_new(a->keys, c->ch);
    list_push_back(&a->clients, &c->link);
}

static struct users *load_users(struct daemon *daemon, struct err *err)
{
    const char *file = daemon->conf->auth_users_file;
    return *file ? users_load(file, err) : users_none();
}

static int on_start_daemon(struct daemon *daemon, struct err *err)
{
    struct auth *a = daemon->owner;
    a->daemon = daemon;
    if (!a->keys)
        a->keys = keys_new(daemon->loop);
    if (keys_load(a->keys, daemon->conf, err) < 0)
        return err->code;
    a->users = load_users(daemon, err);
    if (!a->users)
        return err->code;
    throttle_init(&a->throttle, daemon->conf->auth_failure_delay,
                  daemon->conf->auth_failure_delay_max);
    daemon_ready(daemon);
    return 0;
}

static void on_reload(struct daemon *daemon)
{
    struct auth *a = daemon->owner;
    struct err err;
    if (keys_load(a->keys, daemon->conf, &err) < 0)
        log_event(LOG_ERROR, "reload-failed", "msg", err.text, NULL);
    struct users *u = load_users(daemon, &err);
    if (!u) {
        log_event(LOG_ERROR, "reload-failed", "msg", err.text, NULL);
        return;
    }
    users_unref(a->users);
    a->users = u;
    log_text(LOG_INFO, "users-loaded", "%zu users", users_count(u));
}

static void on_shutdown(struct daemon *daemon)
{
    daemon_exit(daemon);
}

int main(void)
{
    static const struct daemon_ops ops = {
        .peer = on_peer, .start = on_start_daemon, .reload = on_reload, .shutdown = on_shutdown};
    static struct auth a; /* reachable until the very end, for leak checkers */
    list_init(&a.clients);
    list_init(&a.dialogues);
    return daemon_run(ROLE_AUTH, &ops, &a);
}
