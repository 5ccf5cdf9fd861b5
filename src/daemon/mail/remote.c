/* Accounts of other mail processes (store/remote.h): packets as messages, and who is asked. */
#include "base/worknote.h"
#include "daemon/mail/mail.h"

_Static_assert(MESSAGE_REMOTE_CLOSED - MESSAGE_REMOTE_OPEN == REMOTE_CLOSED - REMOTE_OPEN,
               "packets and messages are in the same order");

/* --- packets --- */

/* A packet must not get lost while the connection stands: what the channel's queue has no room for
 * waits here. */
struct waiting {
    struct list link;
    struct remote_packet p;
    int fd;
    char body[];
};

enum { AGAIN_MS = 10 };

static void put_waiting(struct mail_peer *peer, const struct remote_packet *p, int fd)
{
    struct waiting *w = xmalloc(sizeof(*w) + p->body.n);
    w->p = *p;
    w->fd = fd;
    if (p->body.n)
        memcpy(w->body, p->body.p, p->body.n);
    w->p.body = span_make(w->body, p->body.n);
    list_init(&w->link);
    list_push_back(&peer->waiting, &w->link);
    if (!loop_timer_is_set(&peer->again))
        loop_timer_set(peer->mail->daemon->loop, &peer->again, AGAIN_MS);
}

static void drop_waiting(struct mail_peer *peer)
{
    struct waiting *w;
    loop_timer_cancel(&peer->again);
    while ((w = list_first(&peer->waiting, struct waiting, link))) {
        list_remove(&w->link);
        if (w->fd >= 0)
            close(w->fd);
        free(w);
    }
}

static int send_now(struct mail_peer *peer, const struct remote_packet *p, int fd)
{
    struct message msg = {.kind = MESSAGE_REMOTE_OPEN + (unsigned)p->kind};
    msg.u.remote.lease = p->lease;
    msg.u.remote.id = p->id;
    msg.u.remote.modseq = p->modseq;
    msg.u.remote.mailbox = p->mailbox;
    msg.u.remote.error = p->error;
    msg.u.remote.body = p->body;
    return channel_send(peer->ch, &msg, fd);
}

/* Sends a copy of the descriptor, so that it is still there if the queue is full. */
static int try_send(struct mail_peer *peer, const struct remote_packet *p, int fd)
{
    int copy = fd < 0 ? -1 : dup(fd);
    if (fd >= 0 && copy < 0)
        return ERR_LIMIT;
    return send_now(peer, p, copy);
}

static void on_again(struct loop_timer *t)
{
    struct mail_peer *peer = container_of(t, struct mail_peer, again);
    struct waiting *w;
    while (peer->ch && (w = list_first(&peer->waiting, struct waiting, link))) {
        if (try_send(peer, &w->p, w->fd) == ERR_LIMIT) {
            loop_timer_set(peer->mail->daemon->loop, &peer->again, AGAIN_MS);
            return;
        }
        list_remove(&w->link);
        if (w->fd >= 0)
            close(w->fd);
        free(w);
    }
}

static int send_packet(void *ctx, const struct remote_packet *p, int fd)
{
    struct mail_peer *peer = ctx;
    int error = !peer->ch                    ? ERR_CLOSED
                : list_empty(&peer->waiting) ? try_send(peer, p, fd)
                                             : ERR_LIMIT;
    if (error == ERR_LIMIT) {
        put_waiting(peer, p, fd);
        return 0;
    }
    if (fd >= 0)
        close(fd);
    return error;
}

/* A process that opens an account for another one runs the same risk with it. */
static bool refused(struct mail_peer *peer, const struct remote_packet *p)
{
    struct mail *m = peer->mail;
    struct account_id id;
    int error = 0;
    if (p->kind != REMOTE_OPEN)
        return false;
    if (p->body.n == sizeof(id.b))
        memcpy(id.b, p->body.p, sizeof(id.b));
    else
        error = ERR_INVALID;
    if (error == 0 && (m->stopping || mail_quarantined(m, &id)))
        error = ERR_BUSY;
    if (error)
        (void)send_packet(
            peer, &(struct remote_packet){.kind = REMOTE_OPENED, .lease = p->lease, .error = error},
            -1);
    return error != 0;
}

void mail_on_remote(struct mail_peer *peer, const struct message *msg, int fd)
{
    struct remote_packet p = {.kind = (enum remote_kind)(msg->kind - MESSAGE_REMOTE_OPEN),
                              .lease = msg->u.remote.lease,
                              .id = msg->u.remote.id,
                              .modseq = msg->u.remote.modseq,
                              .mailbox = msg->u.remote.mailbox,
                              .error = msg->u.remote.error,
                              .body = msg->u.remote.body};
    bool to_reader = p.kind >= REMOTE_OPENED;
    if (!peer->owner || !peer->lender || !peer->mail->store) { /* not yet, or no more */
        if (p.kind == REMOTE_OPEN && peer->ch)
            (void)send_now(
                peer,
                &(struct remote_packet){.kind = REMOTE_OPENED, .lease = p.lease, .error = ERR_BUSY},
                -1);
        if (fd >= 0)
            close(fd);
    } else if (to_reader) {
        remote_owner_packet(peer->owner, &p, fd);
    } else if (!refused(peer, &p)) {
        lender_packet(peer->lender, &p, fd);
    }
}

/* --- peers --- */

void mail_remote_connected(struct mail_peer *peer)
{
    struct mail *m = peer->mail;
    if (!m->store || !peer->ch)
        return;
    if (!peer->owner) {
        list_init(&peer->waiting);
        loop_timer_init(&peer->again, on_again);
    }
    if (!peer->owner)
        peer->owner = remote_owner_new(m->store, send_packet, peer);
    if (!peer->lender)
        peer->lender = lender_new(m->store, send_packet, peer);
    remote_owner_connected(peer->owner);
}

void mail_remote_lost(struct mail_peer *peer)
{
    if (peer->owner)
        drop_waiting(peer);
    lender_free(take_ptr(peer->lender));
    if (peer->owner && peer->mail->store)
        remote_owner_lost(peer->owner);
}

void mail_remote_start(struct mail *m)
{
    for (size_t i = 0; i < MAIL_PEERS_MAX; i++)
        if (m->mail[i].ch)
            mail_remote_connected(&m->mail[i]);
}

void mail_remote_end(struct mail *m)
{
    for (size_t i = 0; i < MAIL_PEERS_MAX; i++)
        mail_remote_lost(&m->mail[i]);
}

void mail_remote_free(struct mail *m)
{
    for (size_t i = 0; i < MAIL_PEERS_MAX; i++)
        remote_owner_free(take_ptr(m->mail[i].owner));
}

/* --- by name --- */

struct search {
    struct mail *mail;
    unsigned owner;
    mail_account_done *done;
    void *arg;
};

static void on_opened(void *arg, int error, struct account *account)
{
    struct search s = *(struct search *)arg;
    free(arg);
    s.done(s.arg, error, account);
    s.mail->openings--;
    mail_check_ended(s.mail);
}

static void on_resolved(void *arg, int error, const struct account_id *id)
{
    struct search *s = arg;
    struct mail *m = s->mail;
    bool here = s->owner == m->daemon->index;
    if (error == 0 && (m->stopping || mail_quarantined(m, id)))
        error = ERR_BUSY;
    if (error == 0 && !here && !m->mail[s->owner].owner)
        error = ERR_BUSY; /* it has not been there yet */
    if (error) {
        on_opened(s, error, NULL);
        return;
    }
    struct worknote_id before = worknote_enter(id->b);
    if (here)
        account_open(m->store, id, on_opened, s);
    else
        account_open_remote(m->store, m->mail[s->owner].owner, id, on_opened, s);
    worknote_leave(before);
}

void mail_account_of(void *ctx, struct span user, mail_account_done *done, void *arg)
{
    struct mail *m = ctx;
    struct search *s = xnew(struct search);
    *s = (struct search){m, route_user(user, m->daemon->mail_count), done, arg};
    m->openings++;
    mail_resolve(m, user, false, on_resolved, s);
}
