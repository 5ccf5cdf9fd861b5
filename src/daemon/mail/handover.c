/* An authenticated connection arrives from a login process: find its account, open it, start the
 * session, which answers the login command. */
#include "base/logline.h"
#include "base/worknote.h"
#include "daemon/mail/mail.h"
#include "io/conn.h"
#include "wire/write.h"

struct opening {
    struct mail *mail;
    struct voucher_claim claim;
    int fd;
    struct imap_start start;
    struct buf text; /* what the spans of start point into */
};

static void opening_free(struct opening *o)
{
    o->mail->openings--;
    mail_check_ended(o->mail);
    if (o->fd >= 0)
        close(o->fd);
    buf_done(&o->text);
    free(o);
}

/* A NO for the login command, then the end. */
struct refusal {
    struct conn *conn;
};

static void on_refused(void *owner, int code)
{
    struct refusal *r = owner;
    (void)code;
    conn_free(r->conn);
    free(r);
}

static void ignore_input(void *owner, struct span bytes)
{
    (void)owner;
    (void)bytes;
}

static void refuse_with(struct opening *o, int error, const char *code, const char *text)
{
    static const struct conn_ops ops = {.input = ignore_input, .closed = on_refused};
    struct refusal *r = xnew(struct refusal);
    autobuf user = BUF_INIT(USER_NAME_MAX + 1);
    buf_put_span(&user, o->start.user);
    log_event(LOG_ERROR, "account-not-opened", LOG_SESSION(o->start.session_id), "user", user.p,
              "error", err_name(error), NULL);
    r->conn = conn_new(o->mail->daemon->loop, take_fd(&o->fd), &ops, r);
    struct buf *out = conn_begin(r->conn);
    write_status(out, o->start.tag, "NO", code, span_str(text), false);
    write_status(out, SPAN("*"), "BYE", "", SPAN("Closing the connection"), false);
    conn_end(r->conn);
    conn_finish(r->conn);
    opening_free(o);
}

static void refuse(struct opening *o, int error)
{
    if (error == ERR_CORRUPT)
        refuse_with(o, error, "SERVERBUG",
                    "This account cannot be opened; the administrator has to look at it");
    else
        refuse_with(o, error, "UNAVAILABLE",
                    "This account cannot be opened at the moment, try again later");
}

/* It has crashed this process, and with it everybody's sessions, more than once. */
static void refuse_quarantined(struct opening *o, uint64_t seconds)
{
    autobuf text = BUF_INIT(256);
    buf_printf(&text,
               "The server has failed repeatedly while it worked on this account, which is closed "
               "for %llu seconds; please tell the administrator",
               (unsigned long long)seconds);
    refuse_with(o, ERR_BUSY, "UNAVAILABLE", text.p);
}

static void on_opened(void *arg, int error, struct account *account)
{
    struct opening *o = arg;
    struct mail *m = o->mail;
    if (error || m->stopping) {
        if (!error)
            account_unref(account);
        refuse(o, error ? error : ERR_CLOSED);
        return;
    }
    o->start.fd = take_fd(&o->fd);
    imap_session_start(&m->imap, &o->start, account);
    account_unref(account); /* the session has its own */
    opening_free(o);
}

static void on_resolved(void *arg, int error, const struct account_id *id)
{
    struct opening *o = arg;
    uint64_t seconds = error ? 0 : mail_quarantined(o->mail, id);
    if (error || o->mail->stopping) {
        refuse(o, error ? error : ERR_CLOSED);
    } else if (seconds) {
        refuse_quarantined(o, seconds);
    } else {
        struct worknote_id before = worknote_enter(id->b);
        account_open(o->mail->store, id, on_opened, o);
        worknote_leave(before);
    }
}

static void on_vouched(struct voucher_claim *c, bool right)
{
    struct opening *o = container_of(c, struct opening, claim);
    if (!right) { /* a restart of auth or of us came between, or it is a lie */
        log_event(LOG_WARNING, "not-vouched", LOG_SESSION(o->start.session_id), NULL);
        refuse(o, ERR_DENIED);
        return;
    }
    mail_resolve(o->mail, o->start.user, true, on_resolved, o);
}

static struct span keep(struct opening *o, struct span s)
{
    size_t at = o->text.n;
    buf_put_span(&o->text, s);
    return span_make(o->text.p + at, s.n);
}

void mail_on_handover(struct mail_peer *from, const struct message *msg, int fd)
{
    struct mail *m = from->mail;
    if (m->stopping || !m->store) {
        close(fd);
        return;
    }
    if (log_enabled(LOG_DEBUG)) {
        autobuf name = BUF_INIT(USER_NAME_MAX + 1);
        buf_put_span(&name, msg->u.handover.user);
        log_event(LOG_DEBUG, "handover", LOG_SESSION(msg->u.handover.session), "user", name.p,
                  NULL);
    }
    struct opening *o = xnew(struct opening);
    o->mail = m;
    o->fd = fd;
    m->openings++;
    buf_init(&o->text, BUF_UNLIMITED);
    /* Reserved whole, so that the spans stay where they are. */
    buf_reserve(&o->text, msg->u.handover.user.n + msg->u.handover.tag.n + msg->u.handover.peer.n +
                              msg->u.handover.client_name.n + msg->u.handover.input.n +
                              msg->u.handover.tls_version.n + msg->u.handover.mechanism.n +
                              msg->u.handover.login.n);
    o->start = (struct imap_start){
        .fd = -1,
        .user = keep(o, msg->u.handover.user),
        .tag = keep(o, msg->u.handover.tag),
        .authenticate = msg->u.handover.authenticate,
        .session_id = msg->u.handover.session,
        .peer = keep(o, msg->u.handover.peer),
        .tls = msg->u.handover.tls,
        .tls_version = keep(o, msg->u.handover.tls_version),
        .mechanism = keep(o, msg->u.handover.mechanism),
        .login = keep(o, msg->u.handover.login),
        .client_name = keep(o, msg->u.handover.client_name),
        .login_process = from->index,
        .local = msg->u.handover.local,
        .tls_ended = msg->u.handover.tls_ended,
        .input = keep(o, msg->u.handover.input),
        .language = msg->u.handover.language < LANGUAGE_COUNT
                        ? (enum language)msg->u.handover.language
                        : LANGUAGE_DEFAULT,
    };
    o->claim = (struct voucher_claim){.id = msg->u.handover.voucher,
                                      .session = o->start.session_id,
                                      .user = o->start.user,
                                      .answer = on_vouched};
    vouchers_claim(&m->vouchers, &o->claim, loop_now_ms(m->daemon->loop));
}

/* A retired login process still has its connections. */
int mail_give_back(void *mail, const struct imap_return *r, int fd)
{
    struct mail *m = mail;
    struct mail_peer *p;
    struct message msg = {.kind = MESSAGE_RETURN};
    msg.u.give_back.session = r->session_id;
    msg.u.give_back.tls = r->tls && !r->tls_ended;
    msg.u.give_back.local = r->local;
    msg.u.give_back.tls_ended = r->tls_ended;
    msg.u.give_back.peer = r->peer;
    msg.u.give_back.client_name = r->client_name;
    msg.u.give_back.input = r->input;
    list_each(p, &m->logins, link) if (p->index == r->login_process) return channel_send(p->ch,
                                                                                         &msg, fd);
    close(fd);
    return ERR_CLOSED;
}
