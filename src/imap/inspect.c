/* Sessions as the administrator sees them. */
#include "base/clock.h"
#include "imap/session_int.h"

static struct span span_or_none(const char *s)
{
    return s ? span_str(s) : SPAN_EMPTY;
}

static void describe(const struct session *s, uint64_t now_us, struct imap_session_info *ret)
{
    const struct task *t = list_first(&s->tasks, struct task, link);
    *ret = (struct imap_session_info){
        .id = s->id,
        .user = span_or_none(s->user),
        .login = span_or_none(s->login ? s->login : s->user),
        .peer = span_or_none(s->peer),
        .client_name = span_or_none(s->client_name),
        .mechanism = span_str(s->mechanism),
        .tls_version = span_str(s->tls_version),
        .tls = s->tls,
        .mailbox = s->view ? span_or_none(s->view->name) : SPAN_EMPTY,
        .read_only = s->view && s->view->read_only,
        .command = t && t->command ? t->command->desc->name : NULL,
        .commands = s->task_count,
        .since_us = s->since_us,
        .idle_us = now_us - s->input_us,
    };
    if (!ret->command && s->reading && s->reading->appending)
        ret->command = "APPEND"; /* its messages are arriving */
    conn_bytes(s->conn, &ret->bytes_in, &ret->bytes_out);
}

void imap_sessions_each(struct imap_host *host,
                        void (*each)(void *arg, const struct imap_session_info *info), void *arg)
{
    struct session *s;
    uint64_t now_us = clock_monotonic_us();
    list_each(s, &host->sessions, link)
    {
        struct imap_session_info info;
        if (s->closing)
            continue;
        describe(s, now_us, &info);
        each(arg, &info);
    }
}

size_t imap_sessions_end(struct imap_host *host, struct span user, uint64_t id, const char *text)
{
    struct session *s, *next;
    size_t n = 0;
    list_each_safe(s, next, &host->sessions, link)
    {
        if (s->closing || (user.n ? !span_eq(span_str(s->user), user) : s->id != id))
            continue;
        session_bye(s, text);
        n++;
    }
    return n;
}

void imap_sessions_drop(struct imap_host *host, struct span user)
{
    struct session *s;
    list_each(s, &host->sessions, link) if (span_eq(span_str(s->user), user)) session_close(s);
}
