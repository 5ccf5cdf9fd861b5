/* The administrator's requests (martletctl): state_dir/run/control.N, where N is the mail process
 * that the account belongs to (route_user).
 *
 *     verb        arguments          results (text), before the final one
 *     accounts                       "NAME\tID" each; process 0 only
 *     check       USER               findings: "KIND\tMAILBOX\tUID\tSEGMENT\tOFFSET\tTEXT", where
 *     rebuild     USER                   KIND is info, repaired or damage; and
 *     compact     USER [erase]       "progress\tDONE\tTOTAL"
 *     checkpoint  USER
 *     backup      USER DIR
 *     restore     USER DIR
 *     status                         "KEY\tVALUE" each
 *
 * The final result has error 0, or an ERR_ code and a sentence. */
#include "base/logline.h"
#include "daemon/mail/mail.h"
#include "store/maintain.h"

struct control {
    struct list link;
    struct mail *mail;
    struct channel *ch; /* NULL: the tool has gone */
    struct list jobs;
};

struct job {
    struct list link;
    struct control *control; /* NULL: the tool has gone */
    struct mail *mail;
    uint64_t id;
    char *verb, *dir;
    bool erase, running;
    struct account_id account_id;
    struct account *account;
    struct maintenance maintenance;
};

static void send_result(struct control *c, uint64_t id, bool final, int error, struct span text)
{
    struct message m = {.kind = MESSAGE_CONTROL_RESULT};
    if (!c || !c->ch)
        return;
    m.u.control_result.id = id;
    m.u.control_result.final = final;
    m.u.control_result.error = error;
    m.u.control_result.text = text;
    (void)channel_send(c->ch, &m, -1);
}

static void job_end(struct job *j, int error, const char *text)
{
    send_result(j->control, j->id, true, error, span_str(text ? text : ""));
    list_remove(&j->link);
    if (j->account)
        account_unref(j->account);
    j->mail->openings--;
    mail_check_ended(j->mail);
    free(j->verb);
    free(j->dir);
    free(j);
}

static void on_finding(struct maintenance *m, const struct finding *f)
{
    static const char *const kinds[] = {"info", "repaired", "damage"};
    struct job *j = container_of(m, struct job, maintenance);
    autobuf text = BUF_INIT(1024);
    buf_printf(&text, "%s\t%u\t%u\t%llu\t%llu\t%s", kinds[f->kind], f->mailbox, f->uid,
               (unsigned long long)f->segment, (unsigned long long)f->offset, f->text);
    send_result(j->control, j->id, false, 0, buf_span(&text));
}

static void on_progress(struct maintenance *m, uint64_t done, uint64_t total)
{
    struct job *j = container_of(m, struct job, maintenance);
    autobuf text = BUF_INIT(128);
    buf_printf(&text, "progress\t%llu\t%llu", (unsigned long long)done, (unsigned long long)total);
    send_result(j->control, j->id, false, 0, buf_span(&text));
}

static void on_finished(struct maintenance *m, int error, const char *text)
{
    job_end(container_of(m, struct job, maintenance), error, text);
}

static void run_on_account(struct job *j)
{
    j->running = true;
    if (strcmp(j->verb, "check") == 0)
        account_check(j->account, &j->maintenance);
    else if (strcmp(j->verb, "rebuild") == 0)
        account_rebuild(j->account, &j->maintenance);
    else if (strcmp(j->verb, "compact") == 0)
        account_compact(j->account, j->erase, &j->maintenance);
    else if (strcmp(j->verb, "checkpoint") == 0)
        account_checkpoint(j->account, &j->maintenance);
    else
        account_backup(j->account, j->dir, &j->maintenance);
}

static void on_opened(void *arg, int error, struct account *account)
{
    struct job *j = arg;
    if (error) {
        job_end(j, error, "the account cannot be opened");
        return;
    }
    j->account = account;
    run_on_account(j);
}

static void on_resolved(void *arg, int error, const struct account_id *id)
{
    struct job *j = arg;
    if (error) {
        job_end(j, error, error == ERR_NOT_FOUND ? "there is no such account" : err_name(error));
        return;
    }
    j->account_id = *id;
    if (strcmp(j->verb, "restore") == 0) {
        j->running = true;
        account_restore(j->mail->store, &j->account_id, j->dir, &j->maintenance);
        return;
    }
    account_open(j->mail->store, id, on_opened, j);
}

static const struct verb {
    const char *name;
    bool wants_dir;
} verbs[] = {{"check", false},      {"rebuild", false}, {"compact", false},
             {"checkpoint", false}, {"backup", true},   {"restore", true}};

static void start_job(struct control *c, const struct message *m, const struct verb *v)
{
    struct span args = m->u.control.args, user = SPAN_EMPTY, second = SPAN_EMPTY;
    uint64_t id = m->u.control.id;
    control_args_next(&args, &user);
    control_args_next(&args, &second);
    if (!user.n || (v->wants_dir && (!second.n || second.p[0] != '/'))) {
        send_result(c, id, true, ERR_INVALID, SPAN("an argument is missing, or not absolute"));
        return;
    }
    if (route_user(user, c->mail->daemon->mail_count) != c->mail->daemon->index) {
        send_result(c, id, true, ERR_INVALID, SPAN("this account belongs to another process"));
        return;
    }
    struct job *j = xnew(struct job);
    j->control = c;
    j->mail = c->mail;
    j->id = id;
    j->verb = span_dup(m->u.control.verb);
    j->dir = span_dup(second);
    j->erase = span_eq(second, SPAN("erase"));
    j->maintenance = (struct maintenance){
        .finding = on_finding, .progress = on_progress, .finished = on_finished};
    list_push_back(&c->jobs, &j->link);
    c->mail->openings++;
    mail_resolve(c->mail, user, false, on_resolved, j);
}

struct listing {
    struct control *control;
    uint64_t id;
};

static int list_account(void *ctx, struct span user, const struct account_id *id)
{
    struct listing *l = ctx;
    autobuf text = BUF_INIT(1024);
    buf_put_span(&text, user);
    buf_put_byte(&text, '\t');
    buf_put_hex(&text, id->b, sizeof(id->b));
    send_result(l->control, l->id, false, 0, buf_span(&text));
    return 0;
}

static void list_accounts(struct control *c, uint64_t id)
{
    struct listing l = {c, id};
    if (c->mail->daemon->index != 0) {
        send_result(c, id, true, ERR_INVALID, SPAN("ask process 0"));
        return;
    }
    int r = site_each(c->mail->store, list_account, &l);
    send_result(c, id, true, r, span_str(r ? err_name(r) : ""));
}

static void show_number(struct control *c, uint64_t id, const char *key, uint64_t n)
{
    autobuf text = BUF_INIT(128);
    buf_printf(&text, "%s\t%llu", key, (unsigned long long)n);
    send_result(c, id, false, 0, buf_span(&text));
}

static void show_status(struct control *c, uint64_t id)
{
    struct mail *m = c->mail;
    show_number(c, id, "process", m->daemon->index);
    show_number(c, id, "processes", m->daemon->mail_count);
    show_number(c, id, "imap-sessions", m->imap.session_count);
    show_number(c, id, "lmtp-sessions", m->lmtp.session_count);
    show_number(c, id, "worker-jobs", loop_work_pending(m->daemon->loop));
    send_result(c, id, true, 0, SPAN(""));
}

static void on_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    struct control *c = owner;
    (void)ch;
    if (fd >= 0)
        close(fd);
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        if (span_eq(m->u.control.verb, span_str(verbs[i].name))) {
            start_job(c, m, &verbs[i]);
            return;
        }
    }
    if (span_eq(m->u.control.verb, SPAN("accounts")))
        list_accounts(c, m->u.control.id);
    else if (span_eq(m->u.control.verb, SPAN("status")))
        show_status(c, m->u.control.id);
    else
        send_result(c, m->u.control.id, true, ERR_INVALID, SPAN("unknown request"));
}

/* What was begun for a tool that has gone is broken off. */
static void control_free(struct control *c)
{
    struct job *j, *next;
    list_each_safe(j, next, &c->jobs, link)
    {
        j->control = NULL;
        j->maintenance.cancel = true;
        list_remove(&j->link);
    }
    list_remove(&c->link);
    channel_free(c->ch);
    free(c);
}

static void on_closed(void *owner, struct channel *ch)
{
    (void)ch;
    control_free(owner);
}

void mail_control_accept(struct mail *m, int fd)
{
    static const struct channel_ops ops = {on_message, on_closed};
    struct control *c = xnew(struct control);
    c->mail = m;
    list_init(&c->jobs);
    c->ch = channel_new(m->daemon->loop, fd, ROLE_MAIL, ROLE_CTL, &ops, c);
    list_push_back(&m->controls, &c->link);
}

void mail_control_shutdown(struct mail *m)
{
    struct control *c, *next;
    list_each_safe(c, next, &m->controls, link) control_free(c);
}
