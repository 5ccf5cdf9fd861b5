/* imap/cmd_basic.c: commands that need no mail: CAPABILITY, NOOP, CHECK, LOGOUT, ENABLE, ID,
 * NAMESPACE, IDLE (RFC 9051 sections 6.1, 6.3.1, 6.3.10, 6.3.13; RFC 2971). */
#include "imap/commands.h"
#include "imap/metadata.h"
#include "imap/utf8.h"
#include "wire/capability.h"
#include "wire/write.h"

enum step cmd_capability(struct task *t)
{
    struct session *s = t->session;
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* CAPABILITY ");
    session_put_capabilities(s, b);
    buf_put_lit(b, "\r\n");
    respond_end(s);
    return task_ok(t, NULL, "CAPABILITY completed");
}

enum step cmd_noop(struct task *t)
{
    return task_ok(t, NULL, t->command->id == CMD_CHECK ? "CHECK completed" : "NOOP completed");
}

enum step cmd_logout(struct task *t)
{
    respond_text(t->session, "* BYE Logging out");
    t->session->logged_out = true;
    return task_ok(t, NULL, "LOGOUT completed");
}

enum step cmd_enable(struct task *t)
{
    struct session *s = t->session;
    enum { REV2 = 1, CONDSTORE = 2, QRESYNC = 4, UTF8 = 8, UIDONLY = 16, METADATA = 32 };
    static const struct {
        struct span name;
        unsigned bit;
    } known[] = {{SPAN("IMAP4rev2"), REV2},  {SPAN("CONDSTORE"), CONDSTORE},
                 {SPAN("QRESYNC"), QRESYNC}, {SPAN("UTF8=ACCEPT"), UTF8},
                 {SPAN("UIDONLY"), UIDONLY}, {SPAN("METADATA"), METADATA}};
    unsigned asked = 0;
    for (size_t i = 0; i < t->command->enable.n; i++)
        for (size_t k = 0; k < ARRAY_LEN(known); k++)
            if (span_ieq(t->command->enable.names[i], known[k].name))
                asked |= known[k].bit;
    if ((asked & UTF8) && !utf8_enable(s))
        asked &= ~(unsigned)UTF8;
    /* RFC 9051 section 6.3.1: what is unknown or cannot be enabled is ignored. */
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* ENABLED");
    for (size_t k = 0; k < ARRAY_LEN(known); k++) {
        if (asked & known[k].bit) {
            buf_put_byte(b, ' ');
            buf_put_span(b, known[k].name);
        }
    }
    buf_put_lit(b, "\r\n");
    respond_end(s);
    if ((asked & REV2) && !s->rev2) {
        s->rev2 = true;
        if (s->view)
            ranges_done(&s->view->recent);
    }
    if (asked & UIDONLY)
        s->uidonly = true;
    if (asked & QRESYNC)
        s->qresync = true;
    if (asked & METADATA)
        metadata_enable(s);
    if (asked & (CONDSTORE | QRESYNC))
        condstore_enable(s);
    return task_ok(t, NULL, "ENABLE completed");
}

static bool named_in(const char *const *names, struct span name)
{
    for (; names && *names; names++)
        if (span_ieq(span_str(*names), name))
            return true;
    return false;
}

void session_client_name(struct session *s, struct span name)
{
    free(s->client_name);
    s->client_name = span_dup(name);
    s->in_order =
        !s->host->settings.side_by_side || named_in(s->host->settings.in_order_clients, name);
}

enum step cmd_id(struct task *t)
{
    const struct cmd_id *id = &t->command->idp;
    for (size_t i = 0; i < id->n; i++)
        if (span_ieq(id->pairs[i].field, SPAN("name")) && !id->pairs[i].nil)
            session_client_name(t->session, id->pairs[i].value);
    respond_text(t->session, "* ID (\"name\" \"Martlet\" \"version\" \"%s\")", MARTLET_VERSION);
    return task_ok(t, NULL, "ID completed");
}

enum step cmd_namespace(struct task *t)
{
    put_namespaces(t->session);
    return task_ok(t, NULL, "NAMESPACE completed");
}

/* IDLE (RFC 9051 section 6.3.13): the task waits; the view wakes it for news, the input for DONE.
 */
enum step cmd_idle(struct task *t)
{
    struct session *s = t->session;
    if (!t->data) {
        t->data = t;
        s->reading = t;
        respond_text(s, "+ idling");
    }
    if (s->view)
        s->view->idle = t;
    if (t->idle_ended) {
        if (s->view)
            s->view->idle = NULL;
        if (!t->idle_ended_well)
            return task_bad(t, "Expected DONE");
        return task_ok(t, NULL, "IDLE completed");
    }
    if (!announce(s, ANNOUNCE_EXPUNGE) || !metadata_announce(s))
        return STEP_AGAIN;
    return STEP_WAIT;
}
