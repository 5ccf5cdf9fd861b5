/* imap/cmd_append.c: APPEND and MULTIAPPEND (RFC 9051 section 6.3.12, RFC 3502), REPLACE (RFC
 * 8508).
 *
 * Before the bytes of a message are accepted, what can be known is checked, so that a client hears
 * NO before it sends them. The bytes then stream into uploads; the writer takes all or none. */
#include "base/clock.h"
#include "base/metrics.h"
#include "imap/catenate.h"
#include "imap/commands.h"
#include "imap/place.h"
#include "imap/quota.h"
#include "imap/utf8.h"

struct append_state {
    struct upload **arrived; /* one for each streamed literal, malloc'd; NULL: moved to a message */
    size_t count;
    int error;          /* the first trouble while uploading */
    unsigned message;   /* the one that the latest literal belongs to ... */
    uint64_t announced; /* ... and the octets of its literals so far */
    struct append_message *messages;
    unsigned filled;           /* messages that are complete */
    struct catenate *catenate; /* of the next one, where it is made of parts */
    uint32_t rights;           /* to the mailbox; 0: its owner's */
};

static void append_cleanup(struct task *t)
{
    struct append_state *st = t->data;
    for (size_t i = 0; i < st->count; i++)
        upload_free(st->arrived[i]);
    free(st->arrived);
    if (st->catenate)
        catenate_done(st->catenate);
    /* Those that were appended are gone from here: the writer has taken them. */
    for (unsigned i = 0; st->messages && i < t->command->append.n; i++)
        upload_free(st->messages[i].upload);
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

/* What was sent before may make room. */
static bool others_work(const struct task *t)
{
    const struct task *o;
    list_each(o, &t->session->tasks, link)
    {
        if (o != t)
            return true;
    }
    return false;
}

/* The mailbox is there, and RFC 4314 section 4 lets this user append to it. size: of what is
 * announced; 0: that is no question any more. */
static int append_place(struct task *t, const struct place *place, uint64_t size)
{
    struct append_state *st = t->data;
    autosnap *snap = NULL;
    struct mailbox_info info;
    int rc = snap_begin(place->account, &snap);
    if (rc == 0)
        rc = place_mailbox(t->session, snap, place, RIGHT_INSERT, &info, &st->rights);
    if (rc == 0 && size && t->command->id == CMD_APPEND && !others_work(t) &&
        quota_refuses(place->account, snap, &info, size))
        rc = ERR_QUOTA;
    return rc;
}

static enum step append_refused(struct task *t, int rc)
{
    return rc == ERR_DENIED ? task_no_permission(t) : task_store_failed(t, rc, true);
}

/* Where the first literal is announced, the mailbox must exist. STEP_AGAIN: it does. STEP_WAIT: not
 * known yet. STEP_DONE: refused, with an answer. */
static enum step append_check(struct task *t)
{
    struct append_state *st = t->data;
    struct place place;
    enum step step;
    if (!task_place(t, t->command->append.name, true, &place, &step))
        return step;
    task_set_target(t, place.account);
    if (names_may_change(t->session))
        return STEP_AGAIN; /* decided at its turn */
    int rc = append_place(t, &place, st->announced);
    return rc ? append_refused(t, rc) : STEP_AGAIN;
}

static enum step step_never(struct task *t)
{
    return task_no(t, NULL, "APPEND failed");
}

static void refuse(struct session *s, struct task *t)
{
    frame_literal_refuse(&s->frame);
    t->appending = false;
    t->ending = true;
    task_queue(t);
}

/* A literal more. Parts of one message may each be small enough, but not together. */
static bool too_big(struct session *s, struct append_state *st, const struct frame_event *ev)
{
    if (ev->message != st->message)
        st->announced = 0;
    st->message = ev->message;
    return add_overflow(st->announced, ev->size, &st->announced) ||
           st->announced > s->host->settings.frame.max_streamed_literal;
}

static enum step no_too_big(struct task *t)
{
    return task_no(t, "TOOBIG", "The message is larger than this server takes");
}

/* Another message of a MULTIAPPEND, or another part: parsed as a whole at the end. */
static void ask_again(struct session *s, const struct frame_event *ev)
{
    struct task *t = s->reading;
    if (!too_big(s, t->data, ev)) {
        frame_literal_accept(&s->frame);
        return;
    }
    s->reading = NULL;
    no_too_big(t);
    refuse(s, t);
}

/* The first literal: taken, refused, or held back until it is known where it goes. */
static void append_decide(struct session *s, struct task *t)
{
    switch (append_check(t)) {
    case STEP_AGAIN:
        frame_literal_accept(&s->frame);
        break;
    case STEP_WAIT:
        break;
    case STEP_DONE:
        s->reading = NULL;
        refuse(s, t);
    }
}

void append_literal_ask(struct session *s, const struct frame_event *ev)
{
    struct task *t = s->reading;
    struct parse_error error;
    if (t && t->appending) {
        ask_again(s, ev);
        return;
    }
    t = task_new(s);
    t->step = step_never;
    t->effects = (struct effects){.no_expunge = true};
    t->data = arena_new(&t->arena, struct append_state);
    if (!t->data ||
        command_parse_copy(ev->text, &s->host->settings.parse, &t->arena, &t->command, &error)) {
        t->data = NULL;
        t->tag = arena_copy(&t->arena, ev->tag);
        task_bad(t, t->arena.spent ? "The command needs too much memory" : error.reason);
        refuse(s, t);
        return;
    }
    t->cleanup = append_cleanup;
    /* EXPUNGE would make another message of the number that REPLACE was given. */
    t->effects.uses_seq = t->command->id == CMD_REPLACE && !t->command->uid;
    (void)too_big(s, t->data, ev); /* alone it is not: the framer has looked */
    if (!utf8_command_allowed(t)) {
        refuse(s, t);
        return;
    }
    t->appending = true;
    s->reading = t;
    append_decide(s, t);
}

void append_ask_again(struct session *s)
{
    s->reading->awaits_place = false;
    append_decide(s, s->reading);
    session_task_ended(s);
}

static struct upload *add_arrived(struct append_state *st, struct upload *u)
{
    st->arrived = xrealloc_array(st->arrived, st->count + 1, sizeof(struct upload *));
    return st->arrived[st->count++] = u;
}

void append_literal_start(struct session *s, const struct frame_event *ev)
{
    add_arrived(s->reading->data, ev->text_part ? upload_new_part(s->reading->target)
                                                : upload_new(s->reading->target));
}

void append_literal_data(struct session *s, struct span bytes)
{
    struct append_state *st = s->reading->data;
    int rc = st->error ? 0 : upload_write(st->arrived[st->count - 1], bytes);
    if (rc)
        st->error = rc; /* the rest is read and forgotten; the answer comes with the command */
}

void append_literal_end(struct session *s)
{
    struct append_state *st = s->reading->data;
    int rc = upload_finish(st->arrived[st->count - 1]);
    if (rc && !st->error)
        st->error = rc;
}

/* --- the messages --- */

/* One that came as an ordinary literal. */
static int upload_data(struct upload *u, struct span data)
{
    int rc = upload_write(u, data);
    return rc ? rc : upload_finish(u);
}

static int fill_upload(struct task *t, const struct append_part *p, struct append_message *m)
{
    struct append_state *st = t->data;
    if (p->catenate) {
        if (!st->catenate) {
            m->upload = upload_new(t->target);
            st->catenate = arena_new(&t->arena, struct catenate);
            if (!st->catenate)
                return ERR_LIMIT;
            *st->catenate = (struct catenate){.to = m->upload, .arrived = st->arrived};
        }
        int rc = catenate_step(t, st->catenate, p);
        if (rc == 0)
            st->catenate = NULL;
        return rc;
    }
    if (!p->bytes.streamed) {
        m->upload = upload_new(t->target);
        return upload_data(m->upload, p->bytes.data);
    }
    if (p->bytes.index >= st->count)
        return ERR_INVALID;
    m->upload = take_ptr(st->arrived[p->bytes.index]);
    return 0;
}

static int fill_message(struct task *t, const struct append_part *p, struct append_message *m)
{
    int rc = fill_upload(t, p, m);
    if (rc)
        return rc;
    if (upload_size(m->upload) == 0)
        return ERR_INVALID;
    /* RFC 4314 section 4: flags that may not be set are left out. */
    const struct append_state *st = t->data;
    uint32_t rights = st->rights ? st->rights : RIGHTS_ALL;
    m->flags = store_flags(p->flags.system) & rights_flags(rights);
    m->keywords = p->flags.keywords;
    m->keyword_count = rights & RIGHT_WRITE ? p->flags.n_keywords : 0;
    m->internal_date.seconds = p->has_date ? p->date : (int64_t)(clock_wall_us() / 1000000);
    m->internal_date.zone_minutes = (int16_t)(p->has_date ? p->zone : 0);
    return 0;
}

static enum step fill_failed(struct task *t, int error)
{
    struct append_state *st = t->data;
    if (st->catenate && st->catenate->bad_url.p)
        return task_bad_url(t, st->catenate->bad_url);
    if (st->catenate && error == ERR_LIMIT)
        return no_too_big(t);
    if (error == ERR_INVALID)
        return task_no(t, NULL, "An empty message cannot be appended");
    return task_store_failed(t, error, true);
}

/* Message by message, in slices; then they are the writer's. */
static enum step append_fill(struct task *t)
{
    const struct cmd_append *a = &t->command->append;
    struct append_state *st = t->data;
    while (st->filled < a->n) {
        int rc = fill_message(t, &a->messages[st->filled], &st->messages[st->filled]);
        if (rc == ERR_AGAIN)
            return t->awaits_place ? STEP_WAIT : STEP_AGAIN;
        if (rc)
            return fill_failed(t, rc);
        if (!utf8_message_allowed(t, st->messages[st->filled].upload))
            return STEP_DONE;
        st->filled++;
    }
    t->request.messages = st->messages;
    t->request.message_count = a->n;
    return task_request(t);
}

static enum step append_begin(struct task *t)
{
    const struct cmd_append *a = &t->command->append;
    if (!t->data) { /* no streamed literal at all */
        t->data = arena_new(&t->arena, struct append_state);
        if (!t->data)
            return task_no(t, "LIMIT", "The command needs too much memory");
        t->cleanup = append_cleanup;
    }
    struct append_state *st = t->data;
    if (a->incomplete)
        return task_bad(t, "The parenthesis behind a literal is missing");
    if (!messagelimit_append(t))
        return STEP_DONE;
    struct place place;
    enum step step;
    if (!task_place(t, a->name, true, &place, &step))
        return step;
    task_set_target(t, place.account);
    if (!place.own) {
        int rc = append_place(t, &place, 0);
        if (rc)
            return append_refused(t, rc);
    }
    request_init(&t->request, REQUEST_APPEND, NULL, NULL);
    t->request.name = place.name;
    if (t->command->id == CMD_REPLACE && place.account != t->session->view->account)
        return task_no(t, "CANNOT", "REPLACE works within one account");
    if (t->command->id == CMD_REPLACE && !replace_begin(t))
        return STEP_DONE;
    if (st->error)
        return task_store_failed(t, st->error, true);
    st->messages = arena_array(&t->arena, a->n, sizeof(*st->messages));
    if (!st->messages)
        return task_no(t, "LIMIT", "The command needs too much memory");
    return append_fill(t);
}

static void put_appenduid(struct buf *b, const struct request_result *r)
{
    buf_printf(b, "APPENDUID %u %u", r->uidvalidity, r->first_uid);
    if (r->count > 1)
        buf_printf(b, ":%u", r->first_uid + r->count - 1);
}

static enum step append_end(struct task *t)
{
    const struct request_result *r = &t->request.result;
    autobuf code = BUF_INIT(128);
    put_appenduid(&code, r);
    metric_add(METRIC_APPENDS, t->request.message_count);
    if (t->command->id == CMD_APPEND)
        return task_ok(t, code.p, "APPEND completed");
    /* RFC 8508 section 4.3: before the EXPUNGE of what it replaces. */
    if (t->session->view)
        t->session->view->dirty = true;
    respond_text(t->session, "* OK [%s] Replacement message ready", code.p);
    return task_ok_modseq(t, "REPLACE completed");
}

enum step cmd_append(struct task *t)
{
    struct append_state *st = t->data;
    if (!st || !st->messages)
        return append_begin(t);
    if (!t->submitted)
        return append_fill(t);
    int error = t->request.result.error;
    if (error == ERR_BUSY && t->command->id == CMD_REPLACE)
        return task_no(t, "EXPUNGEISSUED", "The message to be replaced has been expunged");
    return error ? task_store_failed(t, error, true) : append_end(t);
}
