/* A message goes into a mailbox: of an account of this process, or of another one, which gets the
 * spool's descriptor.
 *
 * The mailbox that was asked for is taken if it exists, or can be made where the settings say so;
 * in all other cases, as when it disappears meanwhile, the message goes to INBOX. */
#include "base/clock.h"
#include "base/worknote.h"
#include "daemon/mail/mail.h"
#include "store/request.h"
#include "store/snapshot.h"
#include "store/upload.h"

enum { SLICE = 256 * 1024 };

struct delivery {
    struct mail *mail;
    struct spool *spool;
    char *header;
    char *wanted;       /* the mailbox that was asked for; "": INBOX */
    struct buf mailbox; /* the one that it goes to */
    unsigned char id[LMTP_DELIVERY_ID];
    uint64_t off; /* of the spool: bytes uploaded so far */
    lmtp_deliver_done *done;
    void *arg;
    struct loop_task task;
    int error; /* to be reported by the task */
    struct account *account;
    struct upload *upload;
    struct append_message message;
    struct request request; /* APPEND */
    struct request create;
};

static void finish(struct delivery *d, int error)
{
    request_result_done(&d->request);
    request_result_done(&d->create);
    buf_done(&d->mailbox);
    free(d->wanted);
    upload_free(d->upload);
    if (d->account)
        account_unref(d->account);
    loop_task_cancel(&d->task);
    spool_unref(d->spool);
    free(d->header);
    d->done(d->arg, error);
    free(d);
}

static void submit(struct delivery *d)
{
    d->request.name = buf_span(&d->mailbox);
    account_submit(d->account, &d->request);
}

static void to_inbox(struct delivery *d)
{
    buf_reset(&d->mailbox);
    buf_put_lit(&d->mailbox, "INBOX");
}

static void on_appended(struct request *r)
{
    struct delivery *d = r->arg;
    int error = r->result.error;
    if (error == 0 && r->result.duplicate)
        error = ERR_EXISTS;
    else if (error == 0)
        d->upload = NULL; /* consumed */
    if (error == ERR_NOT_FOUND && !span_eq(buf_span(&d->mailbox), SPAN("INBOX"))) {
        to_inbox(d); /* it was deleted just now */
        submit(d);
        return;
    }
    finish(d, error);
}

/* Whoever was there first has made it, too; and what cannot be made is not there. */
static void on_created(struct request *r)
{
    struct delivery *d = r->arg;
    if (r->result.error && r->result.error != ERR_EXISTS)
        to_inbox(d);
    submit(d);
}

static int find_mailbox(struct delivery *d)
{
    autosnap *snap = NULL;
    int error = snap_begin(d->account, &snap);
    return error ? error : snap_mailbox_like(snap, span_str(d->wanted), &d->mailbox);
}

/* Into d->mailbox, and there. */
static void choose_mailbox(struct delivery *d)
{
    int error = *d->wanted ? find_mailbox(d) : 0;
    if (error == ERR_NOT_FOUND && d->mail->daemon->conf->lmtp_detail_create) {
        buf_put_str(&d->mailbox, d->wanted);
        d->create.name = buf_span(&d->mailbox);
        account_submit(d->account, &d->create);
    } else if (error && error != ERR_NOT_FOUND) {
        finish(d, error);
    } else {
        if (!*d->wanted || error)
            to_inbox(d);
        submit(d);
    }
}

static struct internal_date now(void)
{
    time_t t = (time_t)(clock_wall_us() / 1000000);
    struct tm tm = {0};
    localtime_r(&t, &tm);
    return (struct internal_date){.seconds = t, .zone_minutes = (int16_t)(tm.tm_gmtoff / 60)};
}

static void append(struct delivery *d)
{
    int r = upload_finish(d->upload);
    if (r < 0) {
        finish(d, r);
        return;
    }
    d->message.upload = d->upload;
    d->message.internal_date = now();
    d->request.messages = &d->message;
    d->request.message_count = 1;
    if (d->mail->daemon->conf->lmtp_duplicate_window) {
        d->request.delivery_id = d->id;
        d->request.delivery_window = (uint32_t)d->mail->daemon->conf->lmtp_duplicate_window;
    }
    choose_mailbox(d);
}

static void deliver_slice(struct delivery *d)
{
    autobuf piece = BUF_INIT(SLICE);
    int r = d->error;
    if (r == 0)
        r = spool_read(d->spool, d->off, SLICE, &piece);
    if (r == 0)
        r = upload_write(d->upload, buf_span(&piece));
    if (r < 0) {
        finish(d, r);
        return;
    }
    d->off += piece.n;
    if (d->off < spool_size(d->spool))
        loop_slice(d->mail->daemon->loop, &d->task);
    else
        append(d);
}

/* One slice of a large message a turn. */
static void on_task(struct loop_task *t)
{
    struct delivery *d = container_of(t, struct delivery, task);
    struct worknote_id before = worknote_enter(account_get_id(d->account)->b);
    deliver_slice(d);
    worknote_leave(before);
}

static void on_opened(void *arg, int error, struct account *account)
{
    struct delivery *d = arg;
    if (error) {
        finish(d, error);
        return;
    }
    d->account = account;
    d->upload = upload_new(account);
    d->error = upload_write(d->upload, span_str(d->header));
    loop_defer(d->mail->daemon->loop, &d->task);
}

static void on_resolved(void *arg, int error, const struct account_id *id)
{
    struct delivery *d = arg;
    if (error || mail_quarantined(d->mail, id)) {
        finish(d, error ? error : ERR_BUSY);
        return;
    }
    struct worknote_id before = worknote_enter(id->b);
    account_open(d->mail->store, id, on_opened, d);
    worknote_leave(before);
}

static void deliver_here(struct mail *m, const struct lmtp_delivery *what, lmtp_deliver_done *done,
                         void *arg)
{
    struct delivery *d = xnew(struct delivery);
    d->mail = m;
    d->spool = spool_ref(what->spool);
    d->header = span_dup(what->header);
    d->wanted = span_dup(what->mailbox);
    buf_init(&d->mailbox, BUF_UNLIMITED);
    memcpy(d->id, what->id, sizeof(d->id));
    d->done = done;
    d->arg = arg;
    loop_task_init(&d->task, on_task);
    request_init(&d->request, REQUEST_APPEND, on_appended, d);
    request_init(&d->create, REQUEST_CREATE, on_created, d);
    mail_resolve(m, what->user, true, on_resolved, d);
}

/* The spool has no descriptor to give: answered at the end of the turn. */
struct failing {
    struct loop_task task;
    int error;
    lmtp_deliver_done *done;
    void *arg;
};

static void on_failing(struct loop_task *t)
{
    struct failing *f = container_of(t, struct failing, task);
    f->done(f->arg, f->error);
    free(f);
}

void mail_deliver(void *ctx, const struct lmtp_delivery *d, lmtp_deliver_done *done, void *arg)
{
    struct mail *m = ctx;
    unsigned index = route_user(d->user, m->daemon->mail_count);
    if (index == m->daemon->index) {
        deliver_here(m, d, done, arg);
        return;
    }
    int fd = spool_dup_fd(d->spool);
    if (fd >= 0) {
        mail_deliver_remote(m, index, d, fd, done, arg);
        return;
    }
    struct failing *f = xnew(struct failing);
    loop_task_init(&f->task, on_failing);
    f->error = fd;
    f->done = done;
    f->arg = arg;
    loop_defer(m->daemon->loop, &f->task);
}

void mail_lmtp_lookup(void *ctx, struct span address, lmtp_lookup_done *done, void *arg)
{
    mail_lookup(ctx, address, done, arg);
}

/* For another process. */
struct foreign {
    struct mail_peer *from;
    uint64_t id;
};

static void on_foreign_done(void *arg, int error)
{
    struct foreign *f = arg;
    struct message msg = {.kind = MESSAGE_DELIVERED};
    msg.u.delivered.id = f->id;
    msg.u.delivered.error = error;
    if (f->from->ch)
        (void)channel_send(f->from->ch, &msg, -1);
    f->from->mail->openings--;
    mail_check_ended(f->from->mail);
    free(f);
}

void mail_on_deliver(struct mail_peer *from, const struct message *msg, int fd)
{
    struct mail *m = from->mail;
    struct foreign *f = xnew(struct foreign);
    struct spool *spool = spool_from_fd(fd, msg->u.deliver.size);
    struct lmtp_delivery d = {.user = msg->u.deliver.user,
                              .mailbox = msg->u.deliver.mailbox,
                              .header = msg->u.deliver.header,
                              .spool = spool};
    f->from = from;
    f->id = msg->u.deliver.id;
    m->openings++;
    if (m->stopping || !m->store || msg->u.deliver.delivery.n != sizeof(d.id)) {
        on_foreign_done(f, ERR_CLOSED);
    } else {
        memcpy(d.id, msg->u.deliver.delivery.p, sizeof(d.id));
        deliver_here(m, &d, on_foreign_done, f);
    }
    spool_unref(spool);
}
