/* Accounts that are refused because they crashed their process (quarantine.c). */
#include "daemon/mail/control.h"

static void put_one(void *arg, const struct account_id *id, uint32_t crashes, uint64_t seconds)
{
    autobuf row = BUF_INIT(512), hex = BUF_INIT(64);
    buf_put_hex(&hex, id->b, sizeof(id->b));
    control_put(&row, "account", buf_span(&hex));
    control_put_number(&row, "crashes", crashes);
    control_put_number(&row, "seconds", seconds);
    control_text(arg, buf_span(&row));
}

void control_quarantine(struct control_call *call, struct span args)
{
    (void)args;
    mail_quarantine_each(call->mail, put_one, call);
    control_end(call, 0, NULL);
}

static void on_resolved(void *arg, int error, const struct account_id *id)
{
    struct control_call *call = arg;
    if (!error)
        mail_quarantine_release(call->mail, id);
    control_end(call, error, error == ERR_NOT_FOUND ? "there is no such account" : NULL);
}

void control_release(struct control_call *call, struct span args)
{
    struct span user = SPAN_EMPTY;
    control_args_next(&args, &user);
    mail_resolve(call->mail, user, false, on_resolved, call);
}
