#include "imap/shares.h"

#include "base/clock.h"
#include "imap/place.h"

enum { RETRY_US = 1000000 };

struct shares {
    struct session *session; /* NULL: it has ended, while the question was out */
    bool asking;
    int error;
    uint64_t asked_us, answered_us; /* of the answer: when it was asked for, when it came */
    struct buf owners;
};

static void shares_free(struct shares *k)
{
    buf_done(&k->owners);
    free(k);
}

static void on_shares(void *arg, int error, struct span groups, struct span owners)
{
    struct shares *k = arg;
    struct session *s = k->session;
    k->asking = false;
    k->error = error;
    k->answered_us = clock_monotonic_us();
    if (!s) {
        shares_free(k);
        return;
    }
    if (error == 0) {
        buf_reset(&s->groups);
        buf_put_span(&s->groups, groups);
        buf_reset(&k->owners);
        buf_put_span(&k->owners, owners);
    }
    places_wake(s);
}

int shares_know(struct task *t, uint64_t since_us)
{
    struct session *s = t->session;
    struct imap_host *host = s->host;
    if (!host->shares_of)
        return 0;
    if (!s->shares) {
        s->shares = xnew(struct shares);
        s->shares->session = s;
        buf_init(&s->shares->owners, BUF_UNLIMITED);
    }
    struct shares *k = s->shares;
    if (!k->asking && k->error && clock_monotonic_us() - k->answered_us < RETRY_US)
        return ERR_BUSY;
    if (!k->asking && !k->error && k->answered_us && k->asked_us >= since_us)
        return 0;
    if (!k->asking) {
        k->asking = true;
        k->error = 0;
        k->asked_us = clock_monotonic_us();
        host->shares_of(host->account_ctx, span_str(s->user), on_shares, k);
    }
    t->awaits_place = true;
    return ERR_AGAIN;
}

struct span shares_owners(const struct session *s)
{
    return s->shares ? buf_span(&s->shares->owners) : SPAN_EMPTY;
}

void shares_done(struct session *s)
{
    struct shares *k = take_ptr(s->shares);
    if (!k)
        return;
    k->session = NULL;
    if (!k->asking)
        shares_free(k);
}

/* --- grants --- */

struct grant {
    struct task *task; /* NULL: it has gone */
    bool answered;
    int error;
};

static void on_granted(void *arg, int error)
{
    struct grant *g = arg;
    g->answered = true;
    g->error = error;
    if (!g->task) {
        free(g);
        return;
    }
    g->task->awaits_place = false;
    task_wake(g->task);
}

static void grant_cleanup(struct task *t)
{
    struct grant *g = t->data;
    g->task = NULL;
    if (g->answered)
        free(g);
}

int shares_grant(struct task *t, struct span owner, struct span identifier)
{
    struct imap_host *host = t->session->host;
    struct grant *g = t->data;
    if (!host->grant)
        return 0;
    if (!g) {
        g = t->data = xnew(struct grant);
        g->task = t;
        t->cleanup = grant_cleanup;
        host->grant(host->account_ctx, owner, identifier, on_granted, g);
    }
    return g->answered ? g->error : ERR_AGAIN;
}
