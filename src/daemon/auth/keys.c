#include "daemon/auth/keys.h"

#include "auth/key_set.h"
#include "base/list.h"
#include "base/logline.h"
#include "base/random.h"
#include "io/workers.h"

struct keys {
    struct loop *loop;
    struct workers *workers;
    struct key_set *set, *former; /* NULL: none */
    struct loop_timer forget;     /* former */
    struct list clients;
    uint32_t generation;
    uint64_t ticket_lifetime;                           /* seconds; 0: no tickets */
    uint32_t minimum, client_certificates, client_user; /* enums of conf.h */
    char current[TICKET_KEY_SIZE], previous[TICKET_KEY_SIZE];
    bool has_current, has_previous;
    struct loop_timer rotate;
};

struct keys_client {
    struct list link, jobs;
    struct keys *keys;
    struct channel *ch;
    unsigned pending;
    bool complained;
};

struct job {
    struct list link; /* of the client; alone: nobody waits any more */
    struct worker_job job;
    struct keys_client *client; /* NULL: gone */
    struct key_set *set;
    const struct key *key;
    uint64_t id;
    uint32_t scheme;
    int error;
    struct buf data, signature;
};

/* Telling. */

static void tell_tickets(struct keys_client *c)
{
    struct keys *k = c->keys;
    struct message m = {.kind = MESSAGE_TICKET_KEYS};
    if (k->has_current)
        m.u.ticket_keys.current = span_make(k->current, sizeof(k->current));
    if (k->has_previous)
        m.u.ticket_keys.previous = span_make(k->previous, sizeof(k->previous));
    (void)channel_send(c->ch, &m, -1);
}

static void tell_certificates(struct keys_client *c)
{
    const struct key_set *s = c->keys->set;
    struct message m = {.kind = MESSAGE_CERTIFICATES};
    m.u.certificates.generation = c->keys->generation;
    m.u.certificates.count = (uint32_t)key_set_count(s);
    m.u.certificates.client_ca = s ? key_set_client_ca(s) : SPAN_EMPTY;
    m.u.certificates.minimum = c->keys->minimum;
    m.u.certificates.client_certificates = c->keys->client_certificates;
    m.u.certificates.client_user = c->keys->client_user;
    m.u.certificates.ticket_lifetime = c->keys->ticket_lifetime;
    (void)channel_send(c->ch, &m, -1);
    for (size_t i = 0; i < key_set_count(s); i++) {
        m = (struct message){.kind = MESSAGE_CERTIFICATE};
        m.u.certificate.generation = c->keys->generation;
        m.u.certificate.chain = key_set_chain(s, i);
        (void)channel_send(c->ch, &m, -1);
    }
}

/* Tickets. */

static void new_ticket_key(struct keys *k)
{
    memcpy(k->previous, k->current, sizeof(k->current));
    k->has_previous = k->has_current;
    random_bytes(k->current, sizeof(k->current));
    k->has_current = true;
}

static void on_rotate(struct loop_timer *t)
{
    struct keys *k = container_of(t, struct keys, rotate);
    struct keys_client *c;
    new_ticket_key(k);
    list_each(c, &k->clients, link) tell_tickets(c);
    loop_timer_set(k->loop, t, k->ticket_lifetime * 1000);
}

/* Those that there are stay over a reload: so do the sessions that may be resumed with them. */
static void set_tickets(struct keys *k, uint64_t lifetime)
{
    if (!lifetime) {
        k->has_current = k->has_previous = false;
        loop_timer_cancel(&k->rotate);
    } else if (!k->has_current || lifetime != k->ticket_lifetime) {
        if (!k->has_current)
            new_ticket_key(k);
        loop_timer_set(k->loop, &k->rotate, lifetime * 1000);
    }
    k->ticket_lifetime = lifetime;
}

/* Loading. */

static void on_forget(struct loop_timer *t)
{
    struct keys *k = container_of(t, struct keys, forget);
    key_set_unref(k->former);
    k->former = NULL;
}

/* There may be a listener for STARTTLS only, and no certificate: then it is not offered. */
static bool may_go_without(const struct conf *c)
{
    return !c->imaps_listen.count && !c->tls_certificates.count &&
           (access(c->tls_certificate, F_OK) < 0 || access(c->tls_key, F_OK) < 0);
}

int keys_load(struct keys *k, const struct conf *conf, struct err *err)
{
    struct keys_client *c;
    struct key_set *set = NULL;
    if (may_go_without(conf)) {
        log_text(LOG_WARNING, "no-certificate", "%s and %s: STARTTLS is not offered",
                 conf->tls_certificate, conf->tls_key);
    } else {
        set = key_set_load(conf, err);
        if (!set)
            return err->code;
    }
    key_set_unref(k->former);
    k->former = k->set;
    k->set = set;
    k->generation++;
    loop_timer_set(k->loop, &k->forget, KEYS_KEPT_MS);
    set_tickets(k, conf->tls_ticket_lifetime);
    k->minimum = (uint32_t)conf->tls_minimum;
    k->client_certificates = (uint32_t)conf->tls_client_certificates;
    k->client_user = (uint32_t)conf->tls_client_user;
    list_each(c, &k->clients, link)
    {
        tell_tickets(c);
        tell_certificates(c);
    }
    return 0;
}

/* Signing. */

static void sign_in_worker(struct worker_job *job)
{
    struct job *j = container_of(job, struct job, job);
    j->error = key_sign(j->key, j->scheme, buf_span(&j->data), &j->signature);
}

static void answer(struct keys_client *c, uint64_t id, int error, struct span signature)
{
    struct message m = {.kind = MESSAGE_SIGNED};
    m.u.signature.id = id;
    m.u.signature.error = error;
    m.u.signature.signature = signature;
    (void)channel_send(c->ch, &m, -1);
}

static void on_signed(struct worker_job *job)
{
    struct job *j = container_of(job, struct job, job);
    if (j->client) {
        j->client->pending--;
        answer(j->client, j->id, j->error, j->error ? SPAN_EMPTY : buf_span(&j->signature));
    }
    list_remove(&j->link);
    key_set_unref(j->set);
    buf_done(&j->data);
    buf_done(&j->signature);
    free(j);
}

/* Once a process: one that was taken over could fill the log. */
static void refuse(struct keys_client *c, uint64_t id, int error)
{
    if (error == ERR_DENIED && !c->complained) {
        c->complained = true;
        log_text(LOG_ERROR, "signature-refused",
                 "a login process wants something signed that is no TLS handshake");
    }
    answer(c, id, error, SPAN_EMPTY);
}

void keys_client_sign(struct keys_client *c, const struct message *m)
{
    struct keys *k = c->keys;
    struct key_set *set = k->set;
    const struct key *key = key_set_find(set, m->u.sign.key);
    if (!key) {
        set = k->former;
        key = key_set_find(set, m->u.sign.key);
    }
    if (!key || c->pending >= SIGNS_PER_CLIENT) {
        refuse(c, m->u.sign.id, key ? ERR_BUSY : ERR_NOT_FOUND);
        return;
    }
    if (!key_may_sign(m->u.sign.scheme, m->u.sign.data)) {
        refuse(c, m->u.sign.id, ERR_DENIED);
        return;
    }
    struct job *j = xnew(struct job);
    j->client = c;
    j->set = key_set_ref(set);
    j->key = key;
    j->id = m->u.sign.id;
    j->scheme = m->u.sign.scheme;
    buf_init(&j->data, SIGN_DATA_MAX);
    buf_init(&j->signature, SIGNATURE_MAX);
    buf_put_span(&j->data, m->u.sign.data);
    j->job.work = sign_in_worker;
    j->job.done = on_signed;
    list_push_back(&c->jobs, &j->link);
    c->pending++;
    workers_run(k->workers, &j->job);
}

/* Life. */

struct keys_client *keys_client_new(struct keys *k, struct channel *ch)
{
    struct keys_client *c = xnew(struct keys_client);
    c->keys = k;
    c->ch = ch;
    list_init(&c->jobs);
    list_push_back(&k->clients, &c->link);
    if (k->generation) { /* else keys_load is still to come */
        tell_tickets(c);
        tell_certificates(c);
    }
    return c;
}

void keys_client_free(struct keys_client *c)
{
    struct job *j, *next;
    if (!c)
        return;
    list_each_safe(j, next, &c->jobs, link)
    {
        list_remove(&j->link);
        j->client = NULL;
    }
    list_remove(&c->link);
    free(c);
}

struct keys *keys_new(struct loop *l)
{
    struct keys *k = xnew(struct keys);
    k->loop = l;
    k->workers = workers_new(l, SIGN_THREADS);
    list_init(&k->clients);
    loop_timer_init(&k->forget, on_forget);
    loop_timer_init(&k->rotate, on_rotate);
    return k;
}

void keys_free(struct keys *k)
{
    if (!k)
        return;
    workers_free(k->workers);
    loop_timer_cancel(&k->forget);
    loop_timer_cancel(&k->rotate);
    key_set_unref(k->set);
    key_set_unref(k->former);
    explicit_bzero(k, sizeof(*k));
    free(k);
}
