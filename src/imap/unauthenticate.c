/* imap/unauthenticate.c: UNAUTHENTICATE (RFC 8437): the connection goes back, with its TLS, to the
 * login process that it came from; nothing of this session stays. What the client sent behind the
 * command goes along.
 *
 * While COMPRESS is active it is not offered (section 3 allows that): where the client's stream
 * ended could not be told from the octets alone. NO is never an answer: who cannot be given back
 * gets BYE. */
#include <fcntl.h>

#include "imap/commands.h"

void session_leave(struct session *s)
{
    conn_flush(s->conn);
    if (conn_pending(s->conn))
        return; /* called again when it has drained */
    int fd = fcntl(conn_fd(s->conn), F_DUPFD_CLOEXEC, 0);
    const struct imap_return r = {
        .session_id = s->id,
        .login_process = s->login_process,
        .tls = s->tls,
        .local = s->local,
        .tls_ended = s->tls_ended,
        .peer = span_str(s->peer),
        .client_name = s->client_name ? span_str(s->client_name) : SPAN_EMPTY,
        .input = buf_span(&s->unread),
    };
    if (fd < 0 || s->host->give_back(s->host->account_ctx, &r, fd)) {
        s->leaving = false;
        session_bye(s, "The connection cannot be used for another login; please reconnect");
        return;
    }
    session_moved(s); /* closes our copy of the descriptor */
}

static void unauthenticate_after(struct task *t)
{
    struct session *s = t->session;
    s->input_held = true;
    s->leaving = true;
    session_schedule(s);
}

enum step cmd_unauthenticate(struct task *t)
{
    struct session *s = t->session;
    if (conn_compressing(s->conn) || !s->host->give_back) {
        s->input_held = false;
        return task_bad(t, "UNAUTHENTICATE is not offered while COMPRESS is active");
    }
    t->after = unauthenticate_after;
    return task_ok(t, NULL, "You are not logged in any more");
}
