/* imap/language.c: LANGUAGE (RFC 5255 section 3). The texts are in wire/language_*.c; respond.c
 * looks them up as they are sent. */
#include "imap/commands.h"

enum step cmd_language(struct task *t)
{
    struct session *s = t->session;
    const struct cmd_language *a = &t->command->language;
    enum language preferred = s->host->settings.language;
    int rc = a->n ? language_choose(a->ranges, a->n, preferred, &s->language) : 0;
    if (rc == ERR_INVALID)
        return task_bad(t, "That is not a language range");
    if (rc)
        return task_no(t, NULL, "None of these languages is spoken here");
    struct buf *b = respond_begin(s);
    if (a->n)
        language_write_one(b, s->language);
    else
        language_write_all(b);
    respond_end(s);
    return task_ok(t, NULL, "LANGUAGE completed");
}
