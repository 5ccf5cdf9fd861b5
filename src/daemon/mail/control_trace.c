/* Looking at what a user's sessions say and are told. */
#include "daemon/mail/control.h"
#include "imap/trace.h"

/* USER MINUTES; 0: no longer. */
void control_trace(struct control_call *call, struct span args)
{
    struct span user = SPAN_EMPTY, text = SPAN_EMPTY;
    uint64_t minutes;
    struct err err = {0};
    autobuf dir = BUF_INIT(4096);
    control_args_next(&args, &user);
    control_args_next(&args, &text);
    if (!span_to_u64(text, TRACE_MINUTES_MAX, &minutes)) {
        control_end(call, ERR_INVALID, "the number of minutes is 1 to 1440");
        return;
    }
    buf_printf(&dir, "%s/trace", call->mail->daemon->conf->state_dir);
    int r = imap_trace_set(&call->mail->imap, user, dir.p, (unsigned)minutes, &err);
    control_end(call, r, r ? err.text : NULL);
}

static void show(void *arg, const struct trace_info *info)
{
    autobuf row = BUF_INIT(MESSAGE_MAX / 2);
    control_put(&row, "user", info->user);
    control_put_number(&row, "seconds_left", info->seconds_left);
    control_put_number(&row, "files", info->files);
    control_put_number(&row, "bytes", info->bytes);
    control_put(&row, "directory", info->dir);
    control_text(arg, buf_span(&row));
}

void control_traces(struct control_call *call, struct span args)
{
    (void)args;
    imap_trace_each(&call->mail->imap, show, call);
    control_end(call, 0, NULL);
}
