/* Moves to other accounts that were not brought to their end (store/transfer.h): settled as soon as
 * the other account's process is there. */
#include "base/worknote.h"
#include "daemon/mail/mail.h"
#include "store/transfer.h"

enum { AGAIN_MS = 1000 };

struct settlement {
    struct list link; /* mail.settlements */
    struct mail *mail;
    struct account *account;
    bool one;
    unsigned char id[TRANSFER_ID_LEN];
    bool under_way;
    struct loop_timer again;
};

static void settlement_free(struct settlement *s)
{
    struct account *account = s->account;
    loop_timer_cancel(&s->again);
    list_remove(&s->link);
    free(s);
    account_unref(account);
}

static void on_settled(void *arg, int error)
{
    struct settlement *s = arg;
    struct mail *m = s->mail;
    s->under_way = false;
    if (error && !m->stopping)
        loop_timer_set(m->daemon->loop, &s->again, AGAIN_MS);
    else
        settlement_free(s);
    m->openings--;
    mail_check_ended(m);
}

static void begin(struct settlement *s)
{
    struct worknote_id before = worknote_enter(account_get_id(s->account)->b);
    s->under_way = true;
    s->mail->openings++;
    transfers_settle(s->account, s->one ? s->id : NULL, mail_account_of, s->mail, on_settled, s);
    worknote_leave(before);
}

static void on_again(struct loop_timer *t)
{
    begin(container_of(t, struct settlement, again));
}

void mail_settle(void *ctx, struct account *account, const unsigned char *only)
{
    struct mail *m = ctx;
    if (m->stopping) /* it will be settled when it is opened again */
        return;
    struct settlement *s = xnew(struct settlement);
    s->mail = m;
    s->account = account_ref(account);
    loop_timer_init(&s->again, on_again);
    list_init(&s->link);
    list_push_back(&m->settlements, &s->link);
    if (only) {
        s->one = true;
        memcpy(s->id, only, sizeof(s->id));
    }
    begin(s);
}

void mail_unsettled(void *ctx, struct account *account)
{
    mail_settle(ctx, account, NULL);
}

void mail_settle_end(struct mail *m)
{
    struct settlement *s, *next;
    list_each_safe(s, next, &m->settlements, link) if (!s->under_way) settlement_free(s);
}
