/* The verbs, and the connections of the tools that use them. */
#include "daemon/mail/control.h"

#include "base/logline.h"

static const struct verb {
    const char *name;
    control_verb *run;
    bool of_user; /* the first argument is a user whose account belongs to this process */
} verbs[] = {
    /* Results "KEY\tVALUE" each. */
    {"status", control_status, false},
    /* Keys: see control_sessions.c. */
    {"stats", control_stats, false},
    /* Results "NAME\tID" each; process 0 only. */
    {"accounts", control_accounts, false},

    /* USER, or USER "erase", or USER DIR. Results: findings "KIND\tMAILBOX\tUID\tSEGMENT\tOFFSET\t
     * TEXT", where KIND is info, repaired or damage; and "progress\tDONE\tTOTAL". */
    {"check", control_maintain, true},
    {"rebuild", control_maintain, true},
    {"compact", control_maintain, true},
    {"checkpoint", control_maintain, true},
    {"backup", control_maintain, true},
    {"restore", control_maintain, true},

    /* [USER]. Keys: see control_sessions.c. */
    {"sessions", control_sessions, false},
    /* "user" USER, or "session" ID, and optionally the text of the BYE. Key: ended. */
    {"kick", control_kick, false},

    /* USER: ends its sessions, and the account with them. Key: id. */
    {"account-discard", control_discard, true},
    /* USER ID: process 0 frees the name. */
    {"account-forget", control_forget, false},
    /* Removes the files of accounts that were discarded. */
    {"account-erase", control_erase, false},
    /* USER MINUTES (0: no longer). */
    {"trace", control_trace, true},
    /* Keys: see control_trace.c. */
    {"traces", control_traces, false},

    /* USER [NAME]. Keys: see control_mailbox.c. */
    {"mailboxes", control_mailboxes, true},
    /* USER. Keys: account, id, mailboxes, messages, unseen, size, log_bytes, index_bytes. */
    {"account-stats", control_account_stats, true},
    /* USER NAME, or USER NAME NEW_NAME. */
    {"mailbox-create", control_mailbox_change, true},
    {"mailbox-delete", control_mailbox_change, true},
    {"mailbox-rename", control_mailbox_change, true},

    /* USER. Keys: root, resource, used, limit (missing: none), default. */
    {"quota", control_quota, true},
    /* USER ROOT RESOURCE LIMIT */
    {"quota-set", control_quota_set, true},
    /* USER MAILBOX ROOT */
    {"quota-root", control_quota_root, true},

    /* [GROUP]. Keys: group, user. Process 0. */
    {"groups", control_groups, false},
    /* GROUP USER yes|no. Process 0. */
    {"group-set", control_group_set, false},
    /* USER MAILBOX. Keys: identifier, rights. */
    {"acl", control_acl, true},
    /* USER MAILBOX IDENTIFIER RIGHTS */
    {"acl-set", control_acl_set, true},

    /* Every process knows all of them. Keys: account (its ID), crashes, seconds. */
    {"quarantine", control_quarantine, false},
    /* USER: the account is refused no longer. */
    {"release", control_release, true},
};

enum { VALUE_MAX = 4096, BACKLOG_MAX = 64 << 20, RETRY_MS = 5 };

struct result {
    struct list link;
    uint64_t id;
    int error;
    bool final;
    size_t n;
    char text[];
};

struct control {
    struct list link;
    struct mail *mail;
    struct channel *ch;
    struct list calls;
    struct list backlog; /* struct result: the channel's queue is full */
    size_t backlog_bytes;
    struct loop_timer retry;
};

/* --- results --- */

static int send_now(struct control *c, uint64_t id, bool final, int error, struct span text)
{
    struct message m = {.kind = MESSAGE_CONTROL_RESULT};
    m.u.control_result.id = id;
    m.u.control_result.final = final;
    m.u.control_result.error = error;
    m.u.control_result.text = text;
    return channel_send(c->ch, &m, -1);
}

static void drop_result(struct control *c, struct result *r)
{
    list_remove(&r->link);
    c->backlog_bytes -= r->n;
    free(r);
}

static void on_retry(struct loop_timer *t)
{
    struct control *c = container_of(t, struct control, retry);
    struct result *r;
    while ((r = list_first(&c->backlog, struct result, link))) {
        if (send_now(c, r->id, r->final, r->error, span_make(r->text, r->n)) == ERR_LIMIT) {
            loop_timer_set(c->mail->daemon->loop, &c->retry, RETRY_MS);
            return;
        }
        drop_result(c, r);
    }
}

static void send_result(struct control *c, uint64_t id, bool final, int error, struct span text)
{
    text = span_head(text, MESSAGE_MAX / 2);
    if (list_empty(&c->backlog) && send_now(c, id, final, error, text) != ERR_LIMIT)
        return;
    if (c->backlog_bytes + text.n > BACKLOG_MAX && !final)
        return; /* the tool has stopped reading */
    struct result *r = xmalloc(sizeof(*r) + text.n);
    *r = (struct result){.id = id, .error = error, .final = final, .n = text.n};
    if (text.n)
        memcpy(r->text, text.p, text.n);
    list_push_back(&c->backlog, &r->link);
    c->backlog_bytes += r->n;
    loop_timer_set(c->mail->daemon->loop, &c->retry, RETRY_MS);
}

void control_text(struct control_call *call, struct span text)
{
    if (call->control)
        send_result(call->control, call->id, false, 0, text);
}

void control_put(struct buf *row, const char *key, struct span value)
{
    control_args_put(row, span_str(key));
    control_args_put(row, span_head(value, VALUE_MAX));
}

void control_put_number(struct buf *row, const char *key, uint64_t value)
{
    autobuf text = BUF_INIT(32);
    buf_put_u64(&text, value);
    control_put(row, key, buf_span(&text));
}

void control_put_flag(struct buf *row, const char *key, bool value)
{
    control_put(row, key, value ? SPAN("yes") : SPAN("no"));
}

/* --- calls --- */

void control_end(struct control_call *call, int error, const char *text)
{
    struct mail *m = call->mail;
    struct span sentence = span_str(text ? text : error ? err_name(error) : "");
    if (call->control)
        send_result(call->control, call->id, true, error, sentence);
    list_remove(&call->link);
    if (call->release)
        call->release(call);
    account_unref(call->account);
    m->openings--;
    mail_check_ended(m);
    free(call->verb);
    free(call);
}

static void on_opened(void *arg, int error, struct account *account)
{
    struct control_call *call = arg;
    if (error) {
        control_end(call, error, "the account cannot be opened; the server's log says why");
        return;
    }
    call->account = account;
    call->opened(call);
}

static void on_resolved(void *arg, int error, const struct account_id *id)
{
    struct control_call *call = arg;
    if (error)
        control_end(call, error, error == ERR_NOT_FOUND ? "there is no such account" : NULL);
    else
        account_open(call->mail->store, id, on_opened, call);
}

void control_with_account(struct control_call *call, struct span user,
                          void (*opened)(struct control_call *call))
{
    call->opened = opened;
    mail_resolve(call->mail, user, false, on_resolved, call);
}

static const struct verb *find_verb(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
        if (span_eq(name, span_str(verbs[i].name)))
            return &verbs[i];
    return NULL;
}

static void start_call(struct control *c, const struct message *m)
{
    struct span args = m->u.control.args, rest = args, user = SPAN_EMPTY;
    const struct verb *v = find_verb(m->u.control.verb);
    struct control_call *call = xnew(struct control_call);
    call->control = c;
    call->mail = c->mail;
    call->id = m->u.control.id;
    call->verb = span_dup(m->u.control.verb);
    list_push_back(&c->calls, &call->link);
    c->mail->openings++;
    if (v && v->of_user)
        control_args_next(&rest, &user);
    if (!v)
        control_end(call, ERR_INVALID,
                    "unknown request: the server and martletctl are of different versions");
    else if (v->of_user && !user.n)
        control_end(call, ERR_INVALID, "the name of a user is missing");
    else if (v->of_user && route_user(user, c->mail->daemon->mail_count) != c->mail->daemon->index)
        control_end(call, ERR_INVALID, "this account belongs to another process");
    else
        v->run(call, args);
}

/* --- tools --- */

static void on_message(void *owner, struct channel *ch, const struct message *m, int fd)
{
    (void)ch;
    if (fd >= 0)
        close(fd);
    start_call(owner, m);
}

/* What was begun for a tool that has gone is broken off. */
static void control_free(struct control *c)
{
    struct control_call *call, *next;
    struct result *r;
    list_each_safe(call, next, &c->calls, link)
    {
        call->control = NULL;
        list_remove(&call->link);
        if (call->gone)
            call->gone(call);
    }
    while ((r = list_first(&c->backlog, struct result, link)))
        drop_result(c, r);
    loop_timer_cancel(&c->retry);
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
    list_init(&c->calls);
    list_init(&c->backlog);
    loop_timer_init(&c->retry, on_retry);
    c->ch = channel_new(m->daemon->loop, fd, ROLE_MAIL, ROLE_CTL, &ops, c);
    list_push_back(&m->controls, &c->link);
}

void mail_control_shutdown(struct mail *m)
{
    struct control *c, *next;
    list_each_safe(c, next, &m->controls, link) control_free(c);
}
