/* A message goes into an INBOX: of an account of this process, or of another one, which gets the
 * spool's descriptor. */
#include "base/clock.h"
#include "base/worknote.h"
#include "daemon/mail/mail.h"
#include "store/request.h"
#include "store/upload.h"

enum { SLICE = 256 * 1024 };

struct delivery {
    struct mail *mail;
    struct spool *spool;
    char *header;
    uint64_t off; /* of the spool: bytes uploaded so far */
    lmtp_deliver_done *done;
    void *arg;
    struct loop_task task;
    int error; /* to be reported by the task */
    struct account *account;
    struct upload *upload;
    struct append_message message;
    struct request request;
};

static void finish(struct delivery *d, int error)
{
    request_result_done(&d->request);
    upload_free(d->upload);
    if (d->account)
        account_unref(d->account);
    loop_task_cancel(&d->task);
    spool_unref(d->spool);
    free(d->header);
    d->done(d->arg, error);
    free(d);
}

static void on_appended(struct request *r)
{
    struct delivery *d = r->arg;
    if (r->result.error == 0)
        d->upload = NULL; /* consumed */
    finish(d, r->result.error);
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
    d->request.name = SPAN("INBOX");
    d->request.messages = &d->message;
    d->request.message_count = 1;
    account_submit(d->account, &d->request);
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

static void deliver_here(struct mail *m, struct span user, struct span header, struct spool *spool,
                         lmtp_deliver_done *done, void *arg)
{
    struct delivery *d = xnew(struct delivery);
    d->mail = m;
    d->spool = spool_ref(spool);
    d->header = span_dup(header);
    d->done = done;
    d->arg = arg;
    loop_task_init(&d->task, on_task);
    request_init(&d->request, REQUEST_APPEND, on_appended, d);
    mail_resolve(m, user, true, on_resolved, d);
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

void mail_deliver(void *ctx, struct span user, struct span header, struct spool *spool,
                  lmtp_deliver_done *done, void *arg)
{
    struct mail *m = ctx;
    unsigned index = route_user(user, m->daemon->mail_count);
    if (index == m->daemon->index) {
        deliver_here(m, user, header, spool, done, arg);
        return;
    }
    int fd = spool_dup_fd(spool);
    if (fd >= 0) {
        mail_deliver_remote(m, index, user, header, spool_size(spool), fd, done, arg);
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
    f->from = from;
    f->id = msg->u.deliver.id;
    m->openings++;
    if (m->stopping || !m->store)
        on_foreign_done(f, ERR_CLOSED);
    else
        deliver_here(m, msg->u.deliver.user, msg->u.deliver.header, spool, on_foreign_done, f);
    spool_unref(spool);
}
