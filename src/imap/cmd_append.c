/* imap/cmd_append.c: APPEND and MULTIAPPEND (RFC 9051 section 6.3.12, RFC 3502).
 *
 * Before the bytes of a message are accepted, what can be known is checked, so that a client hears
 * NO before it sends them. The bytes then stream into uploads; the writer takes all or none. */
#include "base/clock.h"
#include "base/metrics.h"
#include "imap/commands.h"

struct append_state {
    struct upload **uploads; /* one for each streamed literal, malloc'd */
    size_t count;
    int error; /* the first trouble while uploading */
    struct append_message *messages;
};

static void append_cleanup(struct task *t)
{
    struct append_state *st = t->data;
    bool taken = t->submitted && t->request.result.error == 0; /* by the writer */
    for (size_t i = 0; i < st->count && !taken; i++)
        upload_free(st->uploads[i]);
    free(st->uploads);
}

/* Whether a command that has not finished may make or take away mailboxes. */
static bool names_may_change(struct session *s)
{
    struct task *t;
    list_each(t, &s->tasks, link)
    {
        if (t->effects.writes & RES_NAMES)
            return true;
    }
    return false;
}

/* Where the first literal is announced, the mailbox must exist. False: refused, with an answer. */
static bool append_check(struct task *t)
{
    struct span name;
    if (!task_mailbox_name(t, t->command->append.name, &name))
        return false;
    if (names_may_change(t->session))
        return true; /* decided at its turn */
    autosnap *snap = NULL;
    struct mailbox_info info;
    int rc = snap_begin(t->session->account, &snap);
    if (rc == 0)
        rc = snap_mailbox_find(snap, name, &info);
    if (rc)
        task_store_failed(t, rc, true);
    return rc == 0;
}

static enum step step_never(struct task *t)
{
    return task_no(t, NULL, "APPEND failed");
}

void append_literal_ask(struct session *s, const struct frame_event *ev)
{
    struct task *t = s->reading;
    struct parse_error error;
    if (t && t->appending) { /* another message of a MULTIAPPEND: parsed as a whole at the end */
        frame_literal_accept(&s->frame);
        return;
    }
    t = task_new(s);
    t->step = step_never;
    t->effects = (struct effects){.no_expunge = true};
    t->data = arena_new(&t->arena, struct append_state);
    if (!t->data ||
        command_parse_copy(ev->text, &s->host->settings.parse, &t->arena, &t->command, &error)) {
        t->data = NULL;
        frame_literal_refuse(&s->frame);
        t->tag = arena_copy(&t->arena, ev->tag);
        task_bad(t, t->arena.spent ? "The command needs too much memory" : error.reason);
        t->ending = true;
        task_queue(t);
        return;
    }
    t->cleanup = append_cleanup;
    if (!append_check(t)) {
        frame_literal_refuse(&s->frame);
        t->ending = true;
        task_queue(t);
        return;
    }
    frame_literal_accept(&s->frame);
    t->appending = true;
    s->reading = t;
}

void append_literal_start(struct session *s, const struct frame_event *ev)
{
    struct append_state *st = s->reading->data;
    (void)ev;
    st->uploads = xrealloc_array(st->uploads, st->count + 1, sizeof(struct upload *));
    st->uploads[st->count++] = upload_new(s->account);
}

void append_literal_data(struct session *s, struct span bytes)
{
    struct append_state *st = s->reading->data;
    int rc = st->error ? 0 : upload_write(st->uploads[st->count - 1], bytes);
    if (rc)
        st->error = rc; /* the rest is read and forgotten; the answer comes with the command */
}

void append_literal_end(struct session *s)
{
    struct append_state *st = s->reading->data;
    int rc = upload_finish(st->uploads[st->count - 1]);
    if (rc && !st->error)
        st->error = rc;
}

/* Messages that came as ordinary literals or quoted strings. */
static int upload_data(struct append_state *st, struct account *account, struct span data)
{
    struct upload *u = upload_new(account);
    int rc = upload_write(u, data);
    if (rc == 0)
        rc = upload_finish(u);
    st->uploads = xrealloc_array(st->uploads, st->count + 1, sizeof(struct upload *));
    st->uploads[st->count++] = u;
    return rc;
}

static int append_fill(struct task *t)
{
    const struct cmd_append *a = &t->command->append;
    struct append_state *st = t->data;
    size_t streamed = st->count;
    st->messages = arena_array(&t->arena, a->n, sizeof(*st->messages));
    if (!st->messages)
        return ERR_LIMIT;
    for (unsigned i = 0; i < a->n; i++) {
        const struct append_part *p = &a->messages[i];
        struct append_message *m = &st->messages[i];
        if (p->size == 0 || (p->streamed && p->index >= streamed))
            return ERR_INVALID;
        if (!p->streamed) {
            int rc = upload_data(st, t->session->account, p->data);
            if (rc)
                return rc;
        }
        m->upload = st->uploads[p->streamed ? p->index : st->count - 1];
        m->flags = store_flags(p->flags.system);
        m->keywords = p->flags.keywords;
        m->keyword_count = p->flags.n_keywords;
        m->internal_date.seconds = p->has_date ? p->date : (int64_t)(clock_wall_us() / 1000000);
        m->internal_date.zone_minutes = (int16_t)(p->has_date ? p->zone : 0);
    }
    return 0;
}

static enum step append_begin(struct task *t)
{
    if (!t->data) { /* no streamed literal at all */
        t->data = arena_new(&t->arena, struct append_state);
        if (!t->data)
            return task_no(t, "LIMIT", "The command needs too much memory");
        t->cleanup = append_cleanup;
    }
    struct append_state *st = t->data;
    request_init(&t->request, REQUEST_APPEND, NULL, NULL);
    if (!task_mailbox_name(t, t->command->append.name, &t->request.name))
        return STEP_DONE;
    int rc = st->error ? st->error : append_fill(t);
    if (rc == ERR_INVALID)
        return task_no(t, NULL, "An empty message cannot be appended");
    if (rc)
        return task_store_failed(t, rc, true);
    t->request.messages = st->messages;
    t->request.message_count = t->command->append.n;
    return task_request(t);
}

enum step cmd_append(struct task *t)
{
    if (!t->submitted)
        return append_begin(t);
    const struct request_result *r = &t->request.result;
    if (r->error)
        return task_store_failed(t, r->error, true);
    autobuf code = BUF_INIT(128);
    buf_printf(&code, "APPENDUID %u %u", r->uidvalidity, r->first_uid);
    if (r->count > 1)
        buf_printf(&code, ":%u", r->first_uid + r->count - 1);
    metric_add(METRIC_APPENDS, t->request.message_count);
    return task_ok(t, code.p, "APPEND completed");
}
