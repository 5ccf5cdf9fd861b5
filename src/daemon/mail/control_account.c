/* Maintenance of one account (store/maintain.h), and its findings. */
#include "daemon/mail/control.h"
#include "store/maintain.h"

struct job {
    struct control_call *call;
    struct maintenance maintenance;
    char *dir;
    bool erase;
};

static void job_end(struct job *j, int error, const char *text)
{
    struct control_call *call = j->call;
    autobuf copy = BUF_INIT(BUF_UNLIMITED); /* it may be the job's own */
    buf_put_str(&copy, text ? text : "");
    free(j->dir);
    free(j);
    control_end(call, error, copy.n ? copy.p : NULL);
}

static void on_finding(struct maintenance *m, const struct finding *f)
{
    static const char *const kinds[] = {"info", "repaired", "damage"};
    struct job *j = container_of(m, struct job, maintenance);
    autobuf text = BUF_INIT(1024);
    buf_printf(&text, "%s\t%u\t%u\t%llu\t%llu\t%s", kinds[f->kind], f->mailbox, f->uid,
               (unsigned long long)f->segment, (unsigned long long)f->offset, f->text);
    control_text(j->call, buf_span(&text));
}

static void on_progress(struct maintenance *m, uint64_t done, uint64_t total)
{
    struct job *j = container_of(m, struct job, maintenance);
    autobuf text = BUF_INIT(128);
    buf_printf(&text, "progress\t%llu\t%llu", (unsigned long long)done, (unsigned long long)total);
    control_text(j->call, buf_span(&text));
}

static void on_finished(struct maintenance *m, int error, const char *text)
{
    job_end(container_of(m, struct job, maintenance), error, text);
}

static void on_gone(struct control_call *call)
{
    struct job *j = call->state;
    j->maintenance.cancel = true;
}

static void run(struct job *j)
{
    const char *verb = j->call->verb;
    struct account *account = j->call->account;
    if (strcmp(verb, "check") == 0)
        account_check(account, &j->maintenance);
    else if (strcmp(verb, "rebuild") == 0)
        account_rebuild(account, &j->maintenance);
    else if (strcmp(verb, "compact") == 0)
        account_compact(account, j->erase, &j->maintenance);
    else if (strcmp(verb, "checkpoint") == 0)
        account_checkpoint(account, &j->maintenance);
    else
        account_backup_links(account, j->dir, &j->maintenance);
}

static void on_opened(void *arg, int error, struct account *account)
{
    struct job *j = arg;
    j->call->account = account;
    if (error)
        job_end(j, error, "the account cannot be opened; the server's log says why");
    else
        run(j);
}

static void on_resolved(void *arg, int error, const struct account_id *id)
{
    struct job *j = arg;
    if (error)
        job_end(j, error, error == ERR_NOT_FOUND ? "there is no such account" : err_name(error));
    else if (strcmp(j->call->verb, "restore") == 0)
        account_restore(j->call->mail->store, id, j->dir, &j->maintenance);
    else
        account_open(j->call->mail->store, id, on_opened, j);
}

void control_maintain(struct control_call *call, struct span args)
{
    struct span user = SPAN_EMPTY, second = SPAN_EMPTY;
    bool wants_dir = strcmp(call->verb, "backup") == 0 || strcmp(call->verb, "restore") == 0;
    control_args_next(&args, &user);
    control_args_next(&args, &second);
    if (wants_dir && (!second.n || second.p[0] != '/')) {
        control_end(call, ERR_INVALID, "a directory is missing, or not absolute");
        return;
    }
    struct job *j = xnew(struct job);
    j->call = call;
    j->dir = span_dup(second);
    j->erase = span_eq(second, SPAN("erase"));
    j->maintenance = (struct maintenance){
        .finding = on_finding, .progress = on_progress, .finished = on_finished};
    call->state = j;
    call->gone = on_gone;
    mail_resolve(call->mail, user, false, on_resolved, j);
}
