#include "base/metrics.h"
#include "imap/session_int.h"
#include "imap/trace.h"

#include <stdarg.h>

struct buf *respond_begin(struct session *s)
{
    struct buf *b = conn_begin(s->conn);
    if (s->trace) {
        s->traced = b;
        s->traced_from = b->n;
    }
    return b;
}

void respond_end(struct session *s)
{
    if (s->traced) {
        trace_output(s, span_skip(buf_span(s->traced), s->traced_from));
        s->traced = NULL;
    }
    conn_end(s->conn);
}

void respond_text(struct session *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    struct buf *b = respond_begin(s);
    size_t from = b->n;
    buf_vprintf(b, fmt, ap);
    language_translate(s->language, b, from);
    buf_put_lit(b, "\r\n");
    respond_end(s);
    va_end(ap);
}

static enum step task_end(struct task *t, const char *kind, const char *code, const char *text)
{
    metric_add(METRIC_ANSWERS + (*kind == 'O'   ? METRIC_ANSWER_OK
                                 : *kind == 'N' ? METRIC_ANSWER_NO
                                                : METRIC_ANSWER_BAD),
               1);
    struct span tag = t->command ? t->command->tag : t->tag;
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    if (tag.n == 0)
        buf_put_byte(&b, '*');
    buf_put_span(&b, tag);
    buf_put_byte(&b, ' ');
    buf_put_str(&b, kind);
    if (code) {
        buf_put_lit(&b, " [");
        buf_put_str(&b, code);
        buf_put_byte(&b, ']');
    }
    buf_put_byte(&b, ' ');
    buf_put_str(&b, language_text(t->session->language, text));
    t->tagged = buf_take(&b);
    return STEP_DONE;
}

enum step task_ok(struct task *t, const char *code, const char *text)
{
    t->session->errors = 0;
    return task_end(t, "OK", code, text);
}

enum step task_no(struct task *t, const char *code, const char *text)
{
    return task_end(t, "NO", code, text);
}

enum step task_bad(struct task *t, const char *text)
{
    return task_end(t, "BAD", NULL, text);
}

enum step task_bad_code(struct task *t, const char *code, const char *text)
{
    return task_end(t, "BAD", code, text);
}

enum step task_store_failed(struct task *t, int error, bool target)
{
    switch (error) {
    case ERR_UNKNOWN:
        /* Whether the change took effect is unknown: saying OK or NO could be a lie. */
        t->silent_end = true;
        session_close(t->session);
        return STEP_DONE;
    case ERR_NOT_FOUND:
        return task_no(t, target ? "TRYCREATE" : "NONEXISTENT", "There is no such mailbox");
    case ERR_EXISTS:
        return task_no(t, "ALREADYEXISTS", "A mailbox of that name exists");
    case ERR_LIMIT:
        return task_no(t, "LIMIT", "That is more than this server keeps");
    case ERR_INVALID:
        return task_no(t, "CANNOT", "That is not possible");
    case ERR_DENIED:
        return task_no(t, "CANNOT", "That is not allowed");
    case ERR_QUOTA:
        return task_no(t, "OVERQUOTA", "That is more than the quota allows; nothing was changed");
    case ERR_NO_SPACE:
        return task_no(t, "OVERQUOTA", "The disk is full; nothing was changed");
    case ERR_CORRUPT:
        return task_no(t, "CORRUPTION", "Stored data is damaged; the administrator can check it");
    case ERR_BUSY:
        return task_no(t, "INUSE", "Something else is using that; please try again");
    default:
        return task_no(t, "UNAVAILABLE", "The mail store cannot do that right now");
    }
}
