/* From a handshake in a worker thread to whoever signs, and back; the keys of session tickets. */
#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>

#include "io/tls_int.h"

struct wait {
    struct list link;
    uint64_t id;
    unsigned char key[TLS_KEY_ID_SIZE];
    enum tls_scheme scheme;
    struct span data;
    pthread_cond_t answered;
    bool asked, done;
    int error;
    unsigned char *sig;
    size_t max, n;
};

static void deadline_after(unsigned ms, struct timespec *ret)
{
    clock_gettime(CLOCK_MONOTONIC, ret);
    ret->tv_sec += ms / 1000;
    ret->tv_nsec += (long)(ms % 1000) * 1000000;
    if (ret->tv_nsec >= 1000000000) {
        ret->tv_sec++;
        ret->tv_nsec -= 1000000000;
    }
}

static void wait_init(struct wait *w)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->answered, &attr);
    pthread_condattr_destroy(&attr);
}

int tls_backend_sign(struct tls_backend *b, const unsigned char key[TLS_KEY_ID_SIZE],
                     enum tls_scheme scheme, struct span data, unsigned char *sig, size_t max,
                     size_t *ret_n)
{
    struct wait w = {.scheme = scheme, .data = data, .sig = sig, .max = max, .error = ERR_CLOSED};
    struct timespec deadline;
    if (data.n > TLS_SIGN_DATA_MAX)
        return ERR_LIMIT;
    memcpy(w.key, key, sizeof(w.key));
    wait_init(&w);
    deadline_after(TLS_SIGN_WAIT_MS, &deadline);
    pthread_mutex_lock(&b->lock);
    w.id = b->next_id++;
    list_push_back(&b->waits, &w.link);
    (void)eventfd_write(b->wake, 1);
    while (!w.done && !b->stopped)
        if (pthread_cond_timedwait(&w.answered, &b->lock, &deadline) == ETIMEDOUT)
            break;
    list_remove(&w.link);
    pthread_mutex_unlock(&b->lock);
    pthread_cond_destroy(&w.answered);
    if (!w.error)
        *ret_n = w.n;
    return w.error;
}

/* One that nobody has been asked for yet; copied, because its thread may give up any time. */
static bool next_to_ask(struct tls_backend *b, struct wait *ret, unsigned char data[])
{
    struct wait *w;
    bool found = false;
    pthread_mutex_lock(&b->lock);
    list_each(w, &b->waits, link)
    {
        if (w->asked)
            continue;
        w->asked = true;
        memcpy(data, w->data.p, w->data.n);
        ret->id = w->id;
        memcpy(ret->key, w->key, sizeof(ret->key));
        ret->scheme = w->scheme;
        ret->data = span_make(data, w->data.n);
        found = true;
        break;
    }
    pthread_mutex_unlock(&b->lock);
    return found;
}

static void ask_all(struct tls_backend *b)
{
    unsigned char data[TLS_SIGN_DATA_MAX];
    struct wait w;
    while (next_to_ask(b, &w, data))
        b->ask(b->arg, w.id, span_make(w.key, sizeof(w.key)), w.scheme, w.data);
}

static void on_wake(void *arg, int events)
{
    struct tls_backend *b = arg;
    eventfd_t ignored;
    (void)events;
    (void)eventfd_read(b->wake, &ignored);
    ask_all(b);
}

void tls_backend_answer(struct tls_backend *b, uint64_t id, int error, struct span signature)
{
    struct wait *w;
    pthread_mutex_lock(&b->lock);
    list_each(w, &b->waits, link)
    {
        if (w->id != id || w->done)
            continue;
        w->done = true;
        w->error = error ? error : signature.n && signature.n <= w->max ? 0 : ERR_INVALID;
        if (!w->error) {
            memcpy(w->sig, signature.p, signature.n);
            w->n = signature.n;
        }
        pthread_cond_signal(&w->answered);
        break;
    }
    pthread_mutex_unlock(&b->lock);
}

void tls_backend_again(struct tls_backend *b)
{
    struct wait *w;
    pthread_mutex_lock(&b->lock);
    list_each(w, &b->waits, link) w->asked = w->done;
    pthread_mutex_unlock(&b->lock);
    ask_all(b);
}

void tls_backend_stop(struct tls_backend *b)
{
    struct wait *w;
    pthread_mutex_lock(&b->lock);
    b->stopped = true;
    list_each(w, &b->waits, link) pthread_cond_signal(&w->answered);
    pthread_mutex_unlock(&b->lock);
}

static void take_key(struct tls_ticket_key *to, struct span from)
{
    struct tls_ticket_key k = {.there = from.n == TLS_TICKET_KEY_SIZE};
    if (k.there) {
        memcpy(k.name, from.p, sizeof(k.name));
        memcpy(k.aes, from.p + sizeof(k.name), sizeof(k.aes));
        memcpy(k.hmac, from.p + sizeof(k.name) + sizeof(k.aes), sizeof(k.hmac));
    }
    *to = k;
    explicit_bzero(&k, sizeof(k));
}

void tls_backend_set_tickets(struct tls_backend *b, struct span current, struct span previous)
{
    pthread_mutex_lock(&b->lock);
    take_key(&b->current, current);
    take_key(&b->previous, previous);
    pthread_mutex_unlock(&b->lock);
}

bool tls_backend_ticket_key(struct tls_backend *b, const unsigned char *name,
                            struct tls_ticket_key *ret, bool *ret_current)
{
    const struct tls_ticket_key *k = NULL;
    pthread_mutex_lock(&b->lock);
    if (b->current.there && (!name || memcmp(name, b->current.name, sizeof(b->current.name)) == 0))
        k = &b->current;
    else if (name && b->previous.there &&
             memcmp(name, b->previous.name, sizeof(b->previous.name)) == 0)
        k = &b->previous;
    if (k) {
        *ret = *k;
        *ret_current = k == &b->current;
    }
    pthread_mutex_unlock(&b->lock);
    return k != NULL;
}

struct tls_backend *tls_backend_new(struct loop *l, unsigned threads, tls_ask *ask, void *arg)
{
    struct tls_backend *b = xnew(struct tls_backend);
    tls_provider_load();
    b->loop = l;
    b->ask = ask;
    b->arg = arg;
    b->next_id = 1;
    list_init(&b->waits);
    pthread_mutex_init(&b->lock, NULL);
    b->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    invariant(b->wake >= 0);
    b->watch = loop_watch_new(l, b->wake, on_wake, b);
    loop_watch_set(b->watch, LOOP_READ);
    b->workers = workers_new(l, threads);
    return b;
}

void tls_backend_free(struct tls_backend *b)
{
    if (!b)
        return;
    tls_backend_stop(b);
    workers_free(b->workers);
    loop_watch_free(b->watch);
    close(b->wake);
    pthread_mutex_destroy(&b->lock);
    explicit_bzero(b, sizeof(*b));
    free(b);
}
