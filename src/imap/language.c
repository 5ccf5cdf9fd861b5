/* imap/language.c: LANGUAGE (RFC 5255 section 3). The texts are in wire/language_*.c; respond.c
 * looks them up as they are sent. */
#include "imap/commands.h"
#include "imap/place.h"
#include "wire/mutf7.h"

static void put_namespace(struct session *s, struct buf *b, const char *prefix, bool there)
{
    autobuf name = BUF_INIT(BUF_UNLIMITED);
    const char *translated = language_namespace(s->language, span_str(prefix));
    if (!there) {
        buf_put_lit(b, " NIL");
        return;
    }
    buf_printf(b, " ((\"%s\" \"/\"", prefix);
    if (translated && mutf7_encode(span_str(translated), &name) == 0) {
        buf_put_lit(b, " \"TRANSLATION\" (\"");
        buf_put_span(b, buf_span(&name));
        buf_put_lit(b, "\")");
    }
    buf_put_lit(b, "))");
}

void put_namespaces(struct session *s)
{
    const struct imap_host *host = s->host;
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* NAMESPACE");
    put_namespace(s, b, "", true);
    put_namespace(s, b, PLACE_OTHERS, host->account_of != NULL);
    put_namespace(s, b, PLACE_SHARED, host->account_of && host->public_user && *host->public_user);
    buf_put_lit(b, "\r\n");
    respond_end(s);
}

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
    if (a->n && s->host->account_of) /* names for people, which may differ now */
        put_namespaces(s);
    return task_ok(t, NULL, "LANGUAGE completed");
}
