/* Questions to other processes and their answers. A question that changes nothing when it is asked
 * twice waits for a process that is being started again. */
#include "daemon/mail/mail.h"

enum { WAIT_MS = 10000 };

enum question_kind {
    QUESTION_RESOLVE,
    QUESTION_LOOKUP,
    QUESTION_DELIVER,
    QUESTION_SHARES,
    QUESTION_GRANT,
};

struct question {
    struct mail *mail;
    enum question_kind kind;
    uint64_t id;
    const struct mail_peer *to;
    union {
        mail_resolve_done *resolve;
        mail_lookup_done *lookup;
        mail_deliver_done *deliver;
        mail_shares_done *shares;
        mail_grant_done *grant;
    } done;
    void *arg;
    char *name; /* to ask again: of a user, or an address (LOOKUP) */
    size_t name_n;
    char *identifier; /* GRANT */
    size_t identifier_n;
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
    case QUESTION_SHARES:
        q->done.shares(q->arg, error, user, detail);
        break;
    case QUESTION_GRANT:
        q->done.grant(q->arg, error);
        break;
    }
    free(q->name);
    free(q->identifier);
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
    } else if (q->kind == QUESTION_SHARES || q->kind == QUESTION_GRANT) {
        msg.kind = q->kind == QUESTION_GRANT ? MESSAGE_GRANT : MESSAGE_SHARES;
        msg.u.shares.id = q->id;
        msg.u.shares.user = name;
        msg.u.shares.identifier = span_make(q->identifier, q->identifier_n);
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

/* What an answer is about, in one form. */
struct answer {
    enum question_kind kind;
    uint64_t id;
    int error;
    struct span first, second; /* user and detail, or groups and owners */
    struct span account;
};

static struct answer answer_of(const struct message *msg)
{
    switch (msg->kind) {
    case MESSAGE_RESOLVED:
        return (struct answer){QUESTION_RESOLVE, msg->u.resolved.id, msg->u.resolved.error,
                               .account = msg->u.resolved.account};
    case MESSAGE_USER_FOUND:
        return (struct answer){QUESTION_LOOKUP, msg->u.user_found.id, msg->u.user_found.error,
                               msg->u.user_found.user, msg->u.user_found.detail};
    case MESSAGE_SHARED:
        return (struct answer){QUESTION_SHARES, msg->u.shared.id, msg->u.shared.error,
                               msg->u.shared.groups, msg->u.shared.owners};
    case MESSAGE_GRANTED:
        return (struct answer){QUESTION_GRANT, msg->u.shared.id, msg->u.shared.error};
    default:
        return (struct answer){QUESTION_DELIVER, msg->u.delivered.id, msg->u.delivered.error};
    }
}

void mail_answer(struct mail *m, const struct message *msg)
{
    struct answer a = answer_of(msg);
    struct account_id account;
    struct question *q = map_get(&m->questions, map_u64_key(&a.id));
    if (!q || q->kind != a.kind)
        return;
    if (a.kind == QUESTION_RESOLVE && a.error == 0) {
        if (a.account.n != sizeof(account.b))
            a.error = ERR_INVALID;
        else
            memcpy(account.b, a.account.p, sizeof(account.b));
    }
    finish(q, a.error, a.error ? NULL : &account, a.first, a.second);
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

static struct asked *asked_new(struct mail_peer *from, uint64_t id)
{
    struct asked *a = xnew(struct asked);
    a->from = from;
    a->id = id;
    return a;
}

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
    struct asked *a = asked_new(from, msg->u.resolve.id);
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

/* Groups, and who shares with whom. */

struct local_shares {
    struct loop_task task;
    mail_shares_done *done;
    void *arg;
    int error;
    struct buf groups, owners;
};

static void on_local_shares(struct loop_task *t)
{
    struct local_shares *l = container_of(t, struct local_shares, task);
    l->done(l->arg, l->error, buf_span(&l->groups), buf_span(&l->owners));
    buf_done(&l->groups);
    buf_done(&l->owners);
    free(l);
}

static void shares_here(struct mail *m, struct span user, mail_shares_done *done, void *arg)
{
    struct local_shares *l = xnew(struct local_shares);
    loop_task_init(&l->task, on_local_shares);
    l->done = done;
    l->arg = arg;
    buf_init(&l->groups, SHARED_GROUPS_MAX);
    buf_init(&l->owners, SHARED_OWNERS_MAX);
    l->error = site_shares(m->store, user, &l->groups, &l->owners);
    if (!buf_ok(&l->groups)) /* no rights that are not his */
        l->error = ERR_LIMIT;
    loop_defer(m->daemon->loop, &l->task);
}

void mail_shares(void *mail, struct span user, mail_shares_done *done, void *arg)
{
    struct mail *m = mail;
    if (m->daemon->index == 0) {
        shares_here(m, user, done, arg);
        return;
    }
    struct question *q = question_new(m, QUESTION_SHARES, &m->mail[0], arg);
    q->done.shares = done;
    ask_name(q, user);
}

static void on_shares_for_peer(void *arg, int error, struct span groups, struct span owners)
{
    struct asked *a = arg;
    struct message msg = {.kind = MESSAGE_SHARED};
    msg.u.shared.id = a->id;
    msg.u.shared.error = error;
    msg.u.shared.groups = groups;
    msg.u.shared.owners = owners;
    if (a->from->ch)
        (void)channel_send(a->from->ch, &msg, -1);
    free(a);
}

void mail_on_shares(struct mail_peer *from, const struct message *msg)
{
    struct asked *a = asked_new(from, msg->u.shares.id);
    if (from->mail->daemon->index != 0 || !from->mail->store)
        on_shares_for_peer(a, ERR_BUSY, SPAN_EMPTY, SPAN_EMPTY);
    else
        shares_here(from->mail, msg->u.shares.user, on_shares_for_peer, a);
}

struct local_grant {
    mail_grant_done *done;
    void *arg;
};

static void on_local_grant(void *arg, int error, const struct account_id *id)
{
    struct local_grant *l = arg;
    (void)id;
    l->done(l->arg, error);
    free(l);
}

static void grant_here(struct mail *m, struct span owner, struct span identifier,
                       mail_grant_done *done, void *arg)
{
    struct local_grant *l = xnew(struct local_grant);
    l->done = done;
    l->arg = arg;
    site_grant(m->store, owner, identifier, on_local_grant, l);
}

void mail_grant(void *mail, struct span owner, struct span identifier, mail_grant_done *done,
                void *arg)
{
    struct mail *m = mail;
    if (m->daemon->index == 0) {
        grant_here(m, owner, identifier, done, arg);
        return;
    }
    struct question *q = question_new(m, QUESTION_GRANT, &m->mail[0], arg);
    q->done.grant = done;
    q->identifier = span_dup(identifier);
    q->identifier_n = identifier.n;
    ask_name(q, owner);
}

static void on_grant_for_peer(void *arg, int error)
{
    struct asked *a = arg;
    struct message msg = {.kind = MESSAGE_GRANTED};
    msg.u.shared.id = a->id;
    msg.u.shared.error = error;
    if (a->from->ch)
        (void)channel_send(a->from->ch, &msg, -1);
    free(a);
}

void mail_on_grant(struct mail_peer *from, const struct message *msg)
{
    struct asked *a = asked_new(from, msg->u.shares.id);
    if (from->mail->daemon->index != 0 || !from->mail->store)
        on_grant_for_peer(a, ERR_BUSY);
    else
        grant_here(from->mail, msg->u.shares.user, msg->u.shares.identifier, on_grant_for_peer, a);
}
