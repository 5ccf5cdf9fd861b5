/* imap/schedule.c: commands in progress, side by side where that is unambiguous.
 *
 * RFC 9051 section 5.5: a server may begin a command before an earlier one has finished, unless one
 * could affect the other's results. Each command says in `struct effects` what it reads and
 * changes; a command starts when no earlier unfinished one conflicts with it. Untagged EXPUNGE
 * waits for every command that forbids it and for waiting commands that name messages by number. */
#include "base/clock.h"
#include "base/metrics.h"
#include "imap/metadata.h"
#include "imap/session_int.h"

#include "imap/commands.h"

static bool conflict(const struct effects *a, const struct effects *b)
{
    if (a->barrier || b->barrier)
        return true;
    if ((a->writes & (b->reads | b->writes)) || (a->reads & b->writes))
        return true;
    if (a->answers & b->answers)
        return true;
    /* An EXPUNGE that comes with the earlier command would shift the later one's numbers. FETCH,
     * STORE and SEARCH can keep it back (may_expunge), and are not to hold up what follows. */
    return !a->quiet && b->uses_seq;
}

static bool may_start(struct session *s, struct task *t)
{
    struct task *earlier;
    list_each(earlier, &s->tasks, link)
    {
        if (earlier == t)
            return true;
        if (s->in_order || conflict(&earlier->effects, &t->effects))
            return false;
    }
    return true;
}

/* Whether EXPUNGE may be sent as t ends. */
static bool may_expunge(struct session *s, struct task *t)
{
    if (t->effects.no_expunge)
        return false;
    struct task *other;
    /* REPLACE, whose message is arriving. */
    if (s->reading && s->reading->appending && s->reading->effects.uses_seq &&
        !(t->effects.writes & RES_MESSAGES))
        return false;
    list_each(other, &s->tasks, link)
    {
        if (other == t)
            continue;
        if (other->state != TASK_QUEUED && other->effects.no_expunge)
            return false;
        /* A careless client has sent numbers already; EXPUNGE and MOVE cannot wait for them. */
        if (other->state == TASK_QUEUED && other->effects.uses_seq &&
            !(t->effects.writes & RES_MESSAGES))
            return false;
    }
    return true;
}

/* Between the ends of commands, for a client that has asked for it (RFC 5465 section 6.1.1). */
static bool may_push_expunge(struct session *s)
{
    struct task *t;
    list_each(t, &s->tasks, link)
    {
        if (t->state == TASK_QUEUED ? t->effects.uses_seq : t->effects.no_expunge)
            return false;
    }
    return s->notify && !notify_is_delayed(s);
}

/* Whether a command has the session to itself and would be surprised. */
static bool is_private(struct session *s)
{
    struct task *t = list_first(&s->tasks, struct task, link);
    return t && t->state != TASK_QUEUED && t->effects.barrier && t->command->id != CMD_IDLE;
}

/* What the client wants to hear without asking. False: the output is full. */
static bool push_news(struct session *s)
{
    if (session_full(s))
        return false;
    if (is_private(s))
        return true;
    /* A FETCH for the client tells of what it marks \Seen itself. */
    if (s->view && s->view->dirty && !s->view->push && notify_is_immediate(s) &&
        !announce(s, may_push_expunge(s) ? ANNOUNCE_EXPUNGE : ANNOUNCE_NO_EXPUNGE))
        return false;
    if (s->closing)
        return true;
    bool done = contexts_run(s);
    return (session_full(s) || notify_run(s)) && done;
}

static void task_free(struct task *t)
{
    if (t->cleanup)
        t->cleanup(t);
    request_result_done(&t->request);
    ranges_done(&t->request.uids);
    account_unref(t->target);
    arena_done(&t->arena);
    free(t->tagged);
    free(t);
}

struct task *task_new(struct session *s)
{
    struct task *t = xnew(struct task);
    list_init(&t->link);
    list_init(&t->awaited);
    t->session = s;
    arena_init(&t->arena, s->host->settings.command_memory);
    return t;
}

void task_queue(struct task *t)
{
    struct session *s = t->session;
    t->state = TASK_QUEUED;
    t->begun_us = s->input_us;
    s->command_count++;
    list_push_back(&s->tasks, &t->link);
    s->task_count++;
}

/* A task whose request is out lives on without its session until the writer has answered. */
void task_discard(struct task *t)
{
    if (!list_empty(&t->link))
        t->session->task_count--;
    list_remove(&t->link);
    progress_awaited(t);
    if (t->request_out) {
        t->orphaned = true;
        t->session = NULL;
    } else {
        task_free(t);
    }
}

static void request_done(struct request *r)
{
    struct task *t = r->arg;
    t->request_out = false;
    progress_awaited(t);
    if (!t->orphaned)
        notify_note_own(t->session, t->target ? t->target : t->session->account, r);
    if (t->orphaned)
        task_free(t);
    else
        task_wake(t);
}

void task_set_target(struct task *t, struct account *account)
{
    struct account *before = t->target;
    t->target = account_ref(account);
    account_unref(before);
}

void task_submit(struct task *t)
{
    invariant(!t->request_out);
    t->request.done = request_done;
    t->request.arg = t;
    t->request.origin = t->session->id;
    t->request.seen_user = session_eyes(t->session, t->target);
    t->request_out = true;
    progress_await(t);
    account_submit(t->target ? t->target : t->session->account, &t->request);
}

void task_wake(struct task *t)
{
    if (t->state == TASK_WAITING)
        t->state = TASK_RUNNABLE;
    session_schedule(t->session);
}

static enum announce what_to_announce(struct session *s, struct task *t)
{
    if (!may_expunge(s, t))
        return ANNOUNCE_NO_EXPUNGE;
    if (t->command && t->command->id == CMD_NOTIFY && t->command->notify.set)
        return ANNOUNCE_ALL; /* RFC 5465 section 3.1: an implicit NOOP, before it takes effect */
    return t->effects.writes & RES_MESSAGES ? ANNOUNCE_OWN_EXPUNGE : ANNOUNCE_EXPUNGE;
}

/* The last words of a command. False: there is no room for them yet. */
static bool finish(struct task *t)
{
    struct session *s = t->session;
    if (s->closing)
        return true;
    if (!announce(s, what_to_announce(s, t)))
        return false;
    if (s->closing || t->silent_end)
        return true;
    if (!metadata_announce(s))
        return false;
    condstore_before_tagged(s);
    struct buf *b = respond_begin(s);
    condstore_put_tagged(t, b);
    buf_put_lit(b, "\r\n");
    respond_end(s);
    if (t->after)
        t->after(t);
    metric_observe(METRIC_COMMAND_TIME, t->command ? METRIC_COMMAND(t->command->id) : 0,
                   clock_monotonic_us() - t->begun_us);
    return true;
}

/* One step of one task. True: it has ended and was freed. */
static bool run_task(struct task *t)
{
    struct session *s = t->session;
    if (!t->ending) {
        switch (t->step(t)) {
        case STEP_AGAIN:
            progress_after_slice(t);
            return false;
        case STEP_WAIT:
            if (t->state == TASK_RUNNABLE)
                t->state = TASK_WAITING;
            return false;
        case STEP_DONE:
            t->ending = true;
        }
    }
    if (!finish(t))
        return false;
    if (s->reading == t)
        s->reading = NULL;
    task_discard(t);
    return true;
}

/* One pass over those that have not had their turn, or over those that have. False: no room for
 * more output, `drained` comes back to schedule_run. */
static bool run_pass(struct session *s, bool had_turn, bool *again, bool *ended)
{
    struct task *t, *next;
    list_each_safe(t, next, &s->tasks, link)
    {
        if (s->closing || session_full(s))
            return false;
        if (t->state == TASK_QUEUED && may_start(s, t)) {
            t->state = TASK_RUNNABLE;
            task_check_state(t);
        }
        if (t->state != TASK_RUNNABLE || t->had_turn != had_turn)
            continue;
        t->had_turn = false;
        if (run_task(t)) {
            *ended = true;
        } else if (t->state == TASK_RUNNABLE) {
            *again = true;
            t->had_turn = session_full(s);
        }
    }
    return true;
}

/* A command that fills the output lets the others go first when there is room again: a long FETCH
 * holds up no NOOP. */
void schedule_run(struct session *s)
{
    bool again = false, ended = false;
    if (run_pass(s, false, &again, &ended))
        run_pass(s, true, &again, &ended);
    if (s->closing)
        return;
    if (ended)
        session_task_ended(s);
    bool wants = s->notify || (s->view && !list_empty(&s->view->contexts));
    bool news = wants && !s->closing && !push_news(s);
    session_count_state(s);
    if (s->closing)
        return;
    if ((news || ((again || ended) && !list_empty(&s->tasks))) && !session_full(s))
        loop_slice(s->host->loop, &s->run);
}
