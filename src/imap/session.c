/* imap/session.c: a session's life, and its input up to parsed commands. */
#include "imap/commands.h"
#include "imap/metadata.h"
#include "imap/place.h"
#include "imap/shares.h"

#include "base/clock.h"
#include "base/logline.h"
#include "base/metrics.h"
#include "base/worknote.h"
#include "imap/trace.h"
#include "imap/utf8.h"
#include "wire/capability.h"

const struct imap_settings imap_settings_default = {
    .frame = {.max_line = 64 * 1024,
              .max_command = 1 << 20,
              .max_buffered_literal = 256 * 1024,
              .max_streamed_literal = (uint64_t)256 << 20,
              .max_discard = 64 << 20,
              .max_literals = 120000},
    .parse = {.max_depth = 50,
              .max_args = 1000,
              .max_search_nodes = 1000,
              .max_flags = 200,
              .max_sections = 200,
              .max_parts = 100,
              .max_ranges = 20000,
              .max_messages = 110000},
    .utf8 = CAPABILITY_UTF8_ACCEPT,
    .save_limit = 10000,
    .side_by_side = true,
    .command_memory = 4 << 20,
    .tasks_max = 64,
    .idle_timeout_s = 30 * 60,
    .progress_ms = 10000,
    .errors_max = 50,
};

/* --- the end --- */

static void session_free(struct session *s)
{
    struct imap_host *host = s->host;
    trace_session_end(s);
    if (s->counted_as)
        metric_add(s->counted_as, (uint64_t)-1);
    if (s->view)
        s->view->idle = NULL;
    struct task *t, *next;
    if (s->reading && list_empty(&s->reading->link)) /* an APPEND that was not complete */
        task_discard(take_ptr(s->reading));
    list_each_safe(t, next, &s->tasks, link) task_discard(t);
    notify_free(s);
    metadata_free(s);
    view_close(s);
    places_done(s);
    shares_done(s);
    buf_done(&s->groups);
    ranges_done(&s->saved);
    loop_timer_cancel(&s->timer);
    loop_task_cancel(&s->run);
    conn_free(s->conn);
    account_unref(s->account);
    frame_done(&s->frame);
    buf_done(&s->unread);
    list_remove(&s->link);
    free(s->user);
    free(s->peer);
    free(s->client_name);
    free(s->login);
    free(s);
    if (--host->session_count == 0 && host->drained) {
        loop_timer_cancel(&host->progress_timer);
        host->drained(host->drained_arg);
    }
}

static void log_end(struct session *s, const char *why)
{
    uint64_t in, out, now = clock_wall_us();
    if (!log_enabled(LOG_INFO))
        return;
    conn_bytes(s->conn, &in, &out);
    log_event(
        LOG_INFO, "disconnect", LOG_SESSION(s->id), "user", s->user, "peer", s->peer, "reason", why,
        "seconds", LOG_NUMBER(now > s->since_us ? (now - s->since_us) / 1000000 : 0), "in",
        LOG_NUMBER(in), "out", LOG_NUMBER(out), "commands", LOG_NUMBER(s->command_count), NULL);
}

static enum metric_state state_of(const struct session *s)
{
    if (s->reading && !s->reading->appending)
        return METRIC_STATE_IDLE;
    return s->view ? METRIC_STATE_SELECTED : METRIC_STATE_AUTHENTICATED;
}

void session_count_state(struct session *s)
{
    unsigned slot =
        METRIC_PAIR(METRIC_CONNECTIONS, TLS, state_of(s), metric_tls(span_str(s->tls_version)));
    if (slot == s->counted_as)
        return;
    if (s->counted_as)
        metric_add(s->counted_as, (uint64_t)-1);
    metric_add(slot, 1);
    s->counted_as = slot;
}

void session_close(struct session *s)
{
    if (!s->closing)
        log_end(s, "dropped");
    s->closing = s->dead = true;
    loop_defer(s->host->loop, &s->run);
}

void session_moved(struct session *s)
{
    log_end(s, "unauthenticated");
    s->closing = s->dead = true;
    loop_defer(s->host->loop, &s->run);
}

void session_bye(struct session *s, const char *text)
{
    if (s->closing)
        return;
    respond_text(s, "* BYE %s", text);
    log_end(s, text);
    s->closing = true;
    conn_finish(s->conn);
}

static void session_logout(struct session *s)
{
    log_end(s, "logout");
    s->closing = true;
    conn_finish(s->conn);
}

/* --- running --- */

static struct worknote_id work_for(const struct session *s)
{
    return worknote_enter(account_get_id(s->account)->b);
}

static void session_run(struct loop_task *run)
{
    struct session *s = container_of(run, struct session, run);
    struct worknote_id before = work_for(s);
    if (s->dead)
        session_free(s);
    else if (s->leaving && !s->closing)
        session_leave(s);
    else if (!s->closing)
        schedule_run(s);
    worknote_leave(before);
}

void session_schedule(struct session *s)
{
    loop_defer(s->host->loop, &s->run);
}

/* --- commands --- */

static enum step step_bad(struct task *t)
{
    return task_bad(t, t->reason);
}

/* An answer that stands already, in the order of the commands. */
static void queue_bad(struct session *s, struct task *t, struct span tag, const char *reason)
{
    t->tag = arena_copy(&t->arena, tag);
    struct span copy = arena_copy(&t->arena, span_make(reason, strlen(reason) + 1));
    t->reason = copy.p ? copy.p : "The command is too long";
    t->step = step_bad;
    t->effects = (struct effects){.no_expunge = true};
    task_queue(t);
    if (++s->errors > s->host->settings.errors_max)
        session_bye(s, "Too many bad commands");
}

static bool parse_into(struct task *t, struct span text)
{
    struct session *s = t->session;
    struct parse_error error;
    if (command_parse_copy(text, &s->host->settings.parse, &t->arena, &t->command, &error)) {
        queue_bad(s, t, error.tag, error.reason);
        return false;
    }
    return true;
}

static enum step step_wrong_state(struct task *t)
{
    if (t->command->desc->states == CMD_IN_NOT_AUTH)
        return task_bad(t, "You are logged in already");
    return task_bad(t, "No mailbox is selected; SELECT or EXAMINE one first");
}

/* RFC 9051 section 3: called when the task starts, since earlier commands change the state. */
void task_check_state(struct task *t)
{
    if (!t->command || t->ending) /* an APPEND may have been answered already */
        return;
    if (!utf8_command_allowed(t)) {
        t->ending = true;
        return;
    }
    unsigned state = t->session->view ? CMD_IN_SELECTED : CMD_IN_AUTH;
    if (!(t->command->desc->states & (state | (state == CMD_IN_SELECTED ? CMD_IN_AUTH : 0))))
        t->step = step_wrong_state;
    else if (t->session->uidonly && uidonly_refuses(t->command))
        t->step = uidonly_refused;
}

static void take_command(struct session *s, struct span text)
{
    struct task *t = s->reading && s->reading->appending ? s->reading : NULL;
    if (t)
        s->reading = NULL;
    else
        t = task_new(s);
    if (!parse_into(t, text))
        return;
    t->step = command_prepare(t, &t->effects);
    if (!t->step)
        t->step = step_wrong_state;
    task_queue(t);
    s->input_held = t->command->id == CMD_COMPRESS || t->command->id == CMD_UNAUTHENTICATE;
    if (t->command->id == CMD_IDLE) {
        s->reading = t;
        frame_expect_line(&s->frame);
    }
}

/* The line after IDLE. */
static void take_line(struct session *s, struct span text)
{
    struct task *t = s->reading;
    s->reading = NULL;
    if (!t)
        return;
    t->idle_ended = true;
    t->idle_ended_well = span_ieq(span_trim(text), SPAN("DONE"));
    task_wake(t);
}

static void take_error(struct session *s, const struct frame_event *ev)
{
    if (s->reading && s->reading->appending) {
        task_discard(take_ptr(s->reading)); /* what has arrived of its messages goes with it */
    } else if (s->reading) {                /* the line that should have been DONE */
        take_line(s, SPAN_EMPTY);
        return;
    }
    struct task *t = task_new(s);
    if (ev->error == FRAME_ERR_LITERAL_TOO_LARGE && ev->streamed && ev->tag.n) {
        autobuf b = BUF_INIT(512);
        buf_put_span(&b, ev->tag);
        buf_put_lit(&b, " NO [TOOBIG] The message is larger than this server takes");
        t->tagged = buf_take(&b);
        t->ending = true;
        t->effects = (struct effects){.no_expunge = true};
        task_queue(t);
        return;
    }
    queue_bad(s, t, ev->tag, ev->reason);
}

/* One event of the framer. False: no more input for now. */
static bool take_event(struct session *s, const struct frame_event *ev)
{
    switch (ev->kind) {
    case FRAME_MORE:
    case FRAME_HOLD:
        return false;
    case FRAME_COMMAND:
        trace_command(s, ev->text);
        take_command(s, ev->text);
        return true;
    case FRAME_LINE:
        trace_note(s, span_ieq(span_trim(ev->text), SPAN("DONE")) ? "DONE" : "a line, not DONE");
        take_line(s, ev->text);
        return true;
    case FRAME_CONTINUE:
        respond_text(s, "+ OK");
        return true;
    case FRAME_LITERAL_ASK:
        append_literal_ask(s, ev);
        return true;
    case FRAME_LITERAL_START:
        trace_note(s, "a literal of %llu bytes arrives", (unsigned long long)ev->size);
        append_literal_start(s, ev);
        return true;
    case FRAME_LITERAL_DATA:
        append_literal_data(s, ev->data);
        return true;
    case FRAME_LITERAL_END:
        append_literal_end(s);
        return true;
    case FRAME_ERROR:
        trace_note(s, "not understood: %s", ev->reason);
        take_error(s, ev);
        return true;
    case FRAME_FATAL:
        session_bye(s, ev->reason);
        return false;
    }
    return false;
}

static bool overloaded(const struct session *s)
{
    if (s->reading && s->reading->appending && s->reading->awaits_place)
        return true; /* where the literal goes is not known yet */
    return s->input_held || s->task_count >= s->host->settings.tasks_max;
}

/* Consumes input as far as there is room for its commands; the rest waits in s->unread. */
static void consume(struct session *s, struct span in)
{
    while (!s->closing && !overloaded(s)) {
        struct frame_event ev;
        in = span_skip(in, frame_next(&s->frame, in, &ev));
        if (!take_event(s, &ev))
            break;
    }
    bool stop = !s->closing && overloaded(s);
    if (stop && in.n)
        buf_put_span(&s->unread, in);
    if (stop != s->input_stopped) {
        s->input_stopped = stop;
        if (stop)
            conn_pause(s->conn);
        else if (!s->closing)
            conn_resume(s->conn);
    }
}

void session_task_ended(struct session *s)
{
    if (s->logged_out && list_empty(&s->tasks)) {
        session_logout(s);
        return;
    }
    if (s->input_stopped && !overloaded(s)) {
        struct buf waiting = s->unread;
        buf_init(&s->unread, BUF_UNLIMITED);
        consume(s, buf_span(&waiting));
        buf_done(&waiting);
        if (!s->closing)
            session_schedule(s);
    }
    if (s->input_ended && list_empty(&s->tasks) && !s->closing)
        session_logout(s);
}

static void on_input(void *owner, struct span bytes)
{
    struct session *s = owner;
    if (s->closing || s->logged_out)
        return;
    struct worknote_id before = work_for(s);
    loop_timer_set(s->host->loop, &s->timer, (uint64_t)s->host->settings.idle_timeout_s * 1000);
    s->input_us = clock_monotonic_us();
    consume(s, bytes);
    if (!s->closing && !frame_idle(&s->frame))
        conn_acknowledge(s->conn);
    if (!s->closing && !list_empty(&s->tasks))
        schedule_run(s);
    worknote_leave(before);
}

static void on_eof(void *owner)
{
    struct session *s = owner;
    s->input_ended = true;
    if (s->reading) { /* an unfinished APPEND, or IDLE without DONE: nobody will end it */
        session_close(s);
        return;
    }
    session_task_ended(s);
}

static void on_drained(void *owner)
{
    struct session *s = owner;
    struct worknote_id before = work_for(s);
    if (s->leaving && !s->closing)
        session_leave(s);
    else if (!s->closing)
        schedule_run(s);
    worknote_leave(before);
}

static void on_closed(void *owner, int code)
{
    struct session *s = owner;
    if (!s->closing)
        log_end(s, err_name(code));
    s->closing = s->dead = true;
    loop_defer(s->host->loop, &s->run);
}

static const struct conn_ops session_ops = {
    .input = on_input, .eof = on_eof, .drained = on_drained, .closed = on_closed};

static void on_timeout(struct loop_timer *timer)
{
    struct session *s = container_of(timer, struct session, timer);
    session_bye(s, "Logged out after a long time without a command");
}

/* --- the beginning --- */

void session_put_capabilities(struct session *s, struct buf *b)
{
    const struct capability_state state = {.authenticated = true,
                                           .utf8 = s->utf8_offered,
                                           .tls = s->tls,
                                           .compressed = conn_compressing(s->conn),
                                           .literal_minus = s->literal_minus,
                                           .save_limit = s->host->settings.save_limit,
                                           .message_limit = s->host->settings.message_limit,
                                           .append_limit =
                                               s->host->settings.frame.max_streamed_literal};
    capability_write(b, &state);
}

static void keep_text(char *to, size_t room, struct span s)
{
    s = span_head(s, room - 1);
    if (s.n)
        memcpy(to, s.p, s.n);
    to[s.n] = '\0';
}

void imap_host_init(struct imap_host *host)
{
    list_init(&host->sessions);
    progress_init(host);
}

void imap_settings_set(struct imap_host *host, const struct imap_settings *settings)
{
    host->settings = *settings;
    for (int minus = 0; minus < 2; minus++) {
        host->frame_limits[minus] = settings->frame;
        host->frame_limits[minus].literal_minus = minus;
    }
}

void imap_session_start(struct imap_host *host, const struct imap_start *start,
                        struct account *account)
{
    struct session *s = xnew(struct session);
    s->host = host;
    s->account = account_ref(account);
    s->user = span_dup(start->user);
    s->peer = span_dup(start->peer);
    s->id = start->session_id;
    s->tls = start->tls;
    s->login_process = start->login_process;
    s->local = start->local;
    s->tls_ended = start->tls_ended;
    if (start->login.n)
        s->login = span_dup(start->login);
    keep_text(s->mechanism, sizeof(s->mechanism), start->mechanism);
    keep_text(s->tls_version, sizeof(s->tls_version), start->tls_version);
    s->since_us = clock_wall_us();
    s->input_us = clock_monotonic_us();
    buf_init(&s->unread, BUF_UNLIMITED); /* bounded by one read of the connection */
    list_init(&s->tasks);
    list_init(&s->foreign);
    buf_init(&s->groups, BUF_UNLIMITED);
    list_push_back(&host->sessions, &s->link);
    host->session_count++;
    session_client_name(s, start->client_name);
    s->language = start->language;
    s->literal_minus = host->settings.frame.literal_minus;
    s->utf8_offered = host->settings.utf8;
    frame_init(&s->frame, &host->frame_limits[s->literal_minus]);
    loop_task_init(&s->run, session_run);
    loop_timer_init(&s->timer, on_timeout);
    loop_timer_set(host->loop, &s->timer, (uint64_t)host->settings.idle_timeout_s * 1000);
    s->conn = conn_new(host->loop, start->fd, &session_ops, s);
    session_count_state(s);
    trace_session_start(s);

    struct buf *b = respond_begin(s);
    buf_put_span(b, start->tag);
    buf_put_lit(b, " OK [CAPABILITY ");
    session_put_capabilities(s, b);
    buf_put_lit(b, "] ");
    buf_put_str(b, language_text(s->language, "Logged in"));
    buf_put_lit(b, "\r\n");
    respond_end(s);
    if (start->input.n)
        on_input(s, start->input);
}

void imap_shutdown(struct imap_host *host, void (*done)(void *arg), void *arg)
{
    struct session *s, *next;
    host->drained = done;
    host->drained_arg = arg;
    if (host->session_count == 0) {
        loop_timer_cancel(&host->progress_timer);
        done(arg);
        return;
    }
    list_each_safe(s, next, &host->sessions, link)
        session_bye(s, "The server is shutting down; please reconnect");
}
