#include "daemon/supervisor/quarantine.h"

#include "base/buf.h"
#include "base/logline.h"

struct suspect {
    struct list link;
    uint8_t account[WORKNOTE_ID];
    uint32_t crashes;
    uint64_t last_ms, until_ms;
};

struct crash {
    struct quarantine *q;
    uint64_t now_ms;
};

void quarantine_init(struct quarantine *q)
{
    *q = (struct quarantine){0};
    list_init(&q->suspects);
}

static void forget(struct quarantine *q, struct suspect *s)
{
    list_remove(&s->link);
    q->count--;
    free(s);
}

void quarantine_done(struct quarantine *q)
{
    struct suspect *s, *next;
    list_each_safe(s, next, &q->suspects, link) forget(q, s);
}

static struct suspect *find(struct quarantine *q, struct span account)
{
    struct suspect *s;
    list_each(s, &q->suspects, link)
    {
        if (span_eq(account, span_make(s->account, WORKNOTE_ID)))
            return s;
    }
    return NULL;
}

static uint64_t seconds_of(const struct quarantine *q, const struct suspect *s)
{
    uint64_t seconds = q->first_s;
    for (uint32_t i = 2; i < s->crashes && seconds < QUARANTINE_MAX_S; i++)
        seconds *= 2;
    return MIN(seconds, MAX((uint64_t)QUARANTINE_MAX_S, q->first_s));
}

static void log_suspect(const struct suspect *s, uint64_t seconds)
{
    autobuf id = BUF_INIT(64), crashes = BUF_INIT(32), text = BUF_INIT(32);
    buf_put_hex(&id, s->account, sizeof(s->account));
    buf_printf(&crashes, "%u", s->crashes);
    buf_printf(&text, "%llu", (unsigned long long)seconds);
    log_event(LOG_ERROR, seconds ? "quarantine" : "crash-suspect", "account", id.p, "crashes",
              crashes.p, "seconds", text.p, NULL);
}

static void suspect(void *arg, const uint8_t *account)
{
    const struct crash *c = arg;
    struct quarantine *q = c->q;
    struct suspect *s = find(q, span_make(account, WORKNOTE_ID));
    if (!s) {
        struct suspect *oldest = list_last(&q->suspects, struct suspect, link);
        if (oldest && q->count == QUARANTINE_ACCOUNTS_MAX)
            forget(q, oldest);
        s = xnew(struct suspect);
        memcpy(s->account, account, WORKNOTE_ID);
        q->count++;
    } else {
        list_remove(&s->link);
        /* Counted from the end of the last quarantine. */
        if (c->now_ms > MAX(s->last_ms, s->until_ms) + QUARANTINE_WINDOW_MS)
            s->crashes = 0;
    }
    list_push_front(&q->suspects, &s->link);
    s->crashes++;
    s->last_ms = c->now_ms;
    uint64_t seconds = s->crashes > 1 ? seconds_of(q, s) : 0;
    s->until_ms = c->now_ms + seconds * 1000;
    log_suspect(s, seconds);
}

void quarantine_crashed(struct quarantine *q, struct worknotes *w, uint64_t now_ms)
{
    struct crash c = {q, now_ms};
    worknote_suspects(w, suspect, &c);
}

void quarantine_each(struct quarantine *q, uint64_t now_ms,
                     void (*each)(void *arg, const struct message *m), void *arg)
{
    struct suspect *s;
    list_each(s, &q->suspects, link)
    {
        struct message m = {.kind = MESSAGE_QUARANTINE};
        if (s->until_ms <= now_ms)
            continue;
        m.u.quarantine.account = span_make(s->account, WORKNOTE_ID);
        m.u.quarantine.seconds = (uint32_t)((s->until_ms - now_ms + 999) / 1000);
        m.u.quarantine.crashes = s->crashes;
        each(arg, &m);
    }
}

void quarantine_release(struct quarantine *q, struct span account)
{
    struct suspect *s = find(q, account);
    if (s)
        forget(q, s);
}
