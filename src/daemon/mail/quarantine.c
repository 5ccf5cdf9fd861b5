/* Accounts that this process is to refuse for a while, because it crashed working for them, and
 * notes about whom it works for (base/worknote.h). */
#include "base/logline.h"
#include "base/worknote.h"
#include "daemon/mail/mail.h"

struct quarantined {
    struct account_id account;
    uint64_t until_ms;
    uint32_t crashes;
};

static void take_page(int fd)
{
    struct err err;
    if (worknote_attach(fd, &err) < 0)
        log_event(LOG_WARNING, "no-worknotes", "msg", err.text, NULL);
}

static void take_quarantine(struct mail *m, struct loop *l, const struct message *msg)
{
    struct span account = msg->u.quarantine.account;
    if (account.n != sizeof(struct account_id))
        return;
    struct quarantined *q = map_get(&m->quarantined, account);
    if (!msg->u.quarantine.seconds) {
        map_remove(&m->quarantined, account);
        free(q);
        return;
    }
    if (!q) {
        q = xnew(struct quarantined);
        memcpy(q->account.b, account.p, sizeof(q->account.b));
        map_put(&m->quarantined, span_make(q->account.b, sizeof(q->account.b)), q);
    }
    q->until_ms = loop_now_ms(l) + (uint64_t)msg->u.quarantine.seconds * 1000;
    q->crashes = msg->u.quarantine.crashes;
}

void mail_supervisor_message(struct daemon *d, const struct message *msg, int fd)
{
    struct mail *m = d->owner;
    if (msg->kind == MESSAGE_WORKNOTES)
        take_page(fd);
    else if (fd >= 0)
        close(fd);
    if (msg->kind == MESSAGE_QUARANTINE)
        take_quarantine(m, d->loop, msg);
}

static uint64_t seconds_left(const struct mail *m, const struct quarantined *q)
{
    uint64_t now = loop_now_ms(m->daemon->loop);
    return q->until_ms > now ? (q->until_ms - now + 999) / 1000 : 0;
}

uint64_t mail_quarantined(const struct mail *m, const struct account_id *id)
{
    const struct quarantined *q = map_get(&m->quarantined, span_make(id->b, sizeof(id->b)));
    return q ? seconds_left(m, q) : 0;
}

void mail_quarantine_each(const struct mail *m,
                          void (*each)(void *arg, const struct account_id *id, uint32_t crashes,
                                       uint64_t seconds),
                          void *arg)
{
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&m->quarantined, &pos, &key, &value)) {
        const struct quarantined *q = value;
        if (seconds_left(m, q))
            each(arg, &q->account, q->crashes, seconds_left(m, q));
    }
}

void mail_quarantine_release(struct mail *m, const struct account_id *id)
{
    struct message msg = {.kind = MESSAGE_RELEASE};
    msg.u.quarantine.account = span_make(id->b, sizeof(id->b));
    daemon_tell_supervisor(m->daemon, &msg); /* it tells all mail processes, this one too */
}
