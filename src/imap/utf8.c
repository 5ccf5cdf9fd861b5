#include "imap/utf8.h"

bool utf8_enable(struct session *s)
{
    if (s->utf8_offered == CAPABILITY_UTF8_NONE)
        return false;
    s->utf8 = true;
    return true;
}

/* Commands in which there is no text of a mailbox or a message. */
static bool is_plain(enum command_id id)
{
    switch (id) {
    case CMD_CAPABILITY:
    case CMD_NOOP:
    case CMD_LOGOUT:
    case CMD_ID:
    case CMD_ENABLE:
    case CMD_IDLE:
    case CMD_COMPRESS:
    case CMD_UNAUTHENTICATE:
    case CMD_LANGUAGE:
    case CMD_COMPARATOR:
    case CMD_CONVERSIONS:
        return true;
    default:
        return false;
    }
}

bool utf8_command_allowed(struct task *t)
{
    struct session *s = t->session;
    if (s->utf8_offered != CAPABILITY_UTF8_ONLY || session_utf8(s) || is_plain(t->command->id))
        return true;
    task_no(t, "CANNOT", "This server speaks UTF-8 only: ENABLE UTF8=ACCEPT first");
    return false;
}

bool utf8_charset_allowed(struct task *t)
{
    const struct cmd_search *a = &t->command->search;
    if (!t->session->utf8 || a->charset.n == 0)
        return true;
    bool required = a->sort || a->thread;
    if (required && span_ieq(a->charset, SPAN("UTF-8")))
        return true;
    task_bad(t, required ? "The charset is UTF-8 after ENABLE UTF8=ACCEPT"
                         : "There is no CHARSET after ENABLE UTF8=ACCEPT");
    return false;
}

bool utf8_message_allowed(struct task *t, const struct upload *u)
{
    struct session *s = t->session;
    if (s->utf8_offered == CAPABILITY_UTF8_NONE || session_utf8(s) || !upload_has_8bit_header(u))
        return true;
    task_no(t, "CANNOT", "The header is not ASCII; that needs ENABLE UTF8=ACCEPT");
    return false;
}
