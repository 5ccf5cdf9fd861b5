/* imap/compress.c: COMPRESS=DEFLATE (RFC 4978). The streams themselves are the connection's
 * (io/conn.h).
 *
 * Until COMPRESS has been answered nobody knows whether what follows it is compressed. A client
 * waits for the answer; one that does not is understood all the same: the input is held
 * (session.input_held) and taken in the form that the answer says. */
#include "imap/commands.h"

static void compress_after(struct task *t)
{
    struct session *s = t->session;
    conn_compress(s->conn, buf_span(&s->unread));
    buf_done(&s->unread);
}

/* Section 3: BAD, not NO, when it is COMPRESS itself that is active already. */
enum step cmd_compress(struct task *t)
{
    struct session *s = t->session;
    s->input_held = false;
    if (conn_compressing(s->conn))
        return task_bad_code(t, "COMPRESSIONACTIVE", "DEFLATE is active already");
    t->after = compress_after;
    return task_ok(t, NULL, "DEFLATE active");
}
