/* Questions to other processes and their answers. A question that changes nothing when it is asked
 * twice waits for a process that is being started again. */
#include "daemon/mail/mail.h"

enum { WAIT_MS = 10000 };

enum question_kind { QUESTION_RESOLVE, QUESTION_LOOKUP, QUESTION_DELIVER };

struct question {
    struct mail *mail;
    enum question_kind kind;
    uint64_t id;
    const struct mail_peer *to;
    union {
        mail_resolve_done *resolve;
        mail_lookup_done *lookup;
        mail_deliver_done *deliver;
    } done;
    void *arg;
    char *name; /* to ask again: of a user (RESOLVE), or an address (LOOKUP) */
    size_t name_n;
    bool create;
    struct loop_timer wait;  /* set: it has not been asked, or has to be asked again */
    struct loop_task failed; /* says that it failed, but not from within the call */
};

static void finish(struct question *q, int error, const struct account_id *id, struct span user,
                   struct span detail)
{
    map_remove(&q->mail->questions, map_u64_key(&q->id));
    loop_task_cancel(&q->failed);
    loop_timer_cancel(&q->wait);
    switch (q->kind) {
    case QUESTION_RESOLVE:
        q->done.resolve(q->arg, error, id);
        break;
    case QUESTION_LOOKUP:
        q->done.lookup(q->arg, error, user, detail);
        break;
    case QUESTION_DELIVER:
        q->done.deliver(q->arg, error);
        break;
    }
    free(q->name);
    free(q);
}

static void on_waited(struct loop_timer *t)
{
    finish(container_of(t, struct question, wait), ERR_BUSY, NULL, SPAN_EMPTY, SPAN_EMPTY);
}

static void on_failed(struct loop_task *t)
{
    finish(container_of(t, struct question, failed), ERR_BUSY, NULL, SPAN_EMPTY, SPAN_EMPTY);
}

static struct question *question_new(struct mail *m, enum question_kind kind,
                                     const struct mail_peer *to, void *arg)
{
    struct question *q = xnew(struct question);
    q->mail = m;
    q->kind = kind;
    q->id = ++m->next_question;
    q->to = to;
    q->arg = arg;
    loop_task_init(&q->failed, on_failed);
    loop_timer_init(&q->wait, on_waited);
    map_put(&m->questions, map_u64_key(&q->id), q);
    return q;
}

static void ask(struct question *q, const struct message *msg, int fd)
{
    if (q->to->ch) {
        if (channel_send(q->to->ch, msg, fd) == 0)
            return;
    } else if (fd >= 0) {
        close(fd);
    }
    loop_slice(q->mail->daemon->loop, &q->failed);
}

static bool send_name(struct question *q)
{
    struct message msg = {.kind = MESSAGE_RESOLVE};
    struct span name = span_make(q->name, q->name_n);
    if (q->kind == QUESTION_LOOKUP) {
        msg.kind = MESSAGE_USER_LOOKUP;
        msg.u.user_lookup.id = q->id;
        msg.u.user_lookup.name = name;
    } else {
        msg.u.resolve.id = q->id;
        msg.u.resolve.user = name;
        msg.u.resolve.create = q->create;
    }
    return q->to->ch && channel_send(q->to->ch, &msg, -1) == 0;
}

/* Asks about a name, now or when the other process is there again. */
static void ask_name(struct question *q, struct span name)
{
    q->name = span_dup(name);
    q->name_n = name.n;
    if (!send_name(q))
        loop_timer_set(q->mail->daemon->loop, &q->wait, WAIT_MS);
}

void mail_question_again(struct mail *m, const struct mail_peer *peer)
{
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&m->questions, &pos, &key, &value)) {
        struct question *q = value;
        if (q->to == peer && loop_timer_is_set(&q->wait) && send_name(q))
            loop_timer_cancel(&q->wait);
    }
}

void mail_question_lost(struct mail *m, const struct mail_peer *peer)
{
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&m->questions, &pos, &key, &value)) {
        struct question *q = value;
        if (q->to == peer && q->name)
            loop_timer_set(m->daemon->loop, &q->wait, WAIT_MS);
        else if (q->to == peer)
            loop_slice(m->daemon->loop, &q->failed);
    }
}

void mail_answer(struct mail *m, const struct message *msg)
{
    uint64_t id = msg->kind == MESSAGE_RESOLVED     ? msg->u.resolved.id
                  : msg->kind == MESSAGE_USER_FOUND ? msg->u.user_found.id
                                                    : msg->u.delivered.id;
    enum question_kind kind = msg->kind == MESSAGE_RESOLVED     ? QUESTION_RESOLVE
                              : msg->kind == MESSAGE_USER_FOUND ? QUESTION_LOOKUP
                                                                : QUESTION_DELIVER;
    struct question *q = map_get(&m->questions, map_u64_key(&id));
    if (!q || q->kind != kind)
        return;
    struct account_id account;
    int error = kind == QUESTION_RESOLVE  ? msg->u.resolved.error
                : kind == QUESTION_LOOKUP ? msg->u.user_found.error
                                          : msg->u.delivered.error;
    if (kind == QUESTION_RESOLVE && error == 0) {
        if (msg->u.resolved.account.n != sizeof(account.b))
            error = ERR_INVALID;
        else
            memcpy(account.b, msg->u.resolved.account.p, sizeof(account.b));
    }
    finish(q, error, error ? NULL : &account,
           kind == QUESTION_LOOKUP ? msg->u.user_found.user : SPAN_EMPTY,
           kind == QUESTION_LOOKUP ? msg->u.user_found.detail : SPAN_EMPTY);
}

/* Names to accounts. */

/* In the process that has the site log itself. */
struct local_resolve {
    struct loop_task task;
    mail_resolve_done *done;
    void *arg;
    int error;
    struct account_id id;
};

static void on_local(struct loop_task *t)
{
    struct local_resolve *l = container_of(t, struct local_resolve, task);
    l->done(l->arg, l->error, l->error ? NULL : &l->id);
    free(l);
}

static void resolve_here(struct mail *m, struct span user, bool create, mail_resolve_done *done,
                         void *arg)
{
    struct account_id id;
    int r = site_find(m->store, user, &id);
    if (r == ERR_NOT_FOUND && create) {
        site_find_or_create(m->store, user, done, arg);
        return;
    }
    struct local_resolve *l = xnew(struct local_resolve);
    loop_task_init(&l->task, on_local);
    l->done = done;
    l->arg = arg;
    l->error = r;
    if (r == 0)
        l->id = id;
    loop_defer(m->daemon->loop, &l->task);
}

void mail_resolve(struct mail *m, struct span user, bool create, mail_resolve_done *done, void *arg)
{
    if (m->daemon->index == 0) {
        resolve_here(m, user, create, done, arg);
        return;
    }
    struct question *q = question_new(m, QUESTION_RESOLVE, &m->mail[0], arg);
    q->done.resolve = done;
    q->create = create;
    ask_name(q, user);
}

struct asked {
    struct mail_peer *from;
    uint64_t id;
};

static void on_resolved_for_peer(void *arg, int error, const struct account_id *id)
{
    struct asked *a = arg;
    struct message msg = {.kind = MESSAGE_RESOLVED};
    msg.u.resolved.id = a->id;
    msg.u.resolved.error = error;
    if (error == 0)
        msg.u.resolved.account = span_make(id->b, sizeof(id->b));
    if (a->from->ch) /* a successor of the one that asked knows no such id, and ignores it */
        (void)channel_send(a->from->ch, &msg, -1);
    free(a);
}

void mail_on_resolve(struct mail_peer *from, const struct message *msg)
{
    struct asked *a = xnew(struct asked);
    a->from = from;
    a->id = msg->u.resolve.id;
    if (from->mail->daemon->index != 0 || !from->mail->store)
        on_resolved_for_peer(a, ERR_BUSY, NULL);
    else
        resolve_here(from->mail, msg->u.resolve.user, msg->u.resolve.create, on_resolved_for_peer,
                     a);
}

/* Addresses to users. */

void mail_lookup(struct mail *m, struct span address, mail_lookup_done *done, void *arg)
{
    struct question *q = question_new(m, QUESTION_LOOKUP, &m->auth, arg);
    q->done.lookup = done;
    ask_name(q, address);
}

/* Messages for accounts of other processes. */

void mail_deliver_remote(struct mail *m, unsigned index, const struct lmtp_delivery *d, int fd,
                         mail_deliver_done *done, void *arg)
{
    struct question *q = question_new(m, QUESTION_DELIVER, &m->mail[index], arg);
    q->done.deliver = done;
    struct message msg = {.kind = MESSAGE_DELIVER};
    msg.u.deliver.id = q->id;
    msg.u.deliver.user = d->user;
    msg.u.deliver.mailbox = d->mailbox;
    msg.u.deliver.header = d->header;
    msg.u.deliver.delivery = span_make(d->id, sizeof(d->id));
    msg.u.deliver.size = spool_size(d->spool);
    ask(q, &msg, fd);
}
