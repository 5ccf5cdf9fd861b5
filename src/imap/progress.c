/* imap/progress.c: telling how far a long command is (RFC 9585).
 *
 * A command that works in slices keeps t->progress and t->goal; it is asked after each slice
 * whether it is time for a report. One that waits for the account's writer is on a list of the
 * host, which is looked at now and then while it is not empty: an untagged OK costs nothing as long
 * as nothing takes long. */
#include <inttypes.h>

#include "base/clock.h"
#include "imap/session_int.h"

static uint64_t interval_us(const struct session *s)
{
    return (uint64_t)s->host->settings.progress_ms * 1000;
}

static bool is_due(const struct task *t, uint64_t now)
{
    return now - MAX(t->begun_us, t->told_us) >= interval_us(t->session);
}

/* "* OK [INPROGRESS ("a1" 500 2000)] ...": section 4 forbids a tag with "]", a number without its
 * meaning, and a goal that is reached. */
static void report(struct task *t, uint64_t progress, uint64_t goal, uint64_t now)
{
    struct session *s = t->session;
    struct span tag = t->command->tag;
    t->told_us = now;
    if (s->closing || session_full(s))
        return;
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* OK [INPROGRESS (");
    if (memchr(tag.p, ']', tag.n))
        buf_put_lit(b, "NIL");
    else
        buf_printf(b, "\"%.*s\"", (int)tag.n, tag.p);
    if (goal > progress)
        buf_printf(b, " %" PRIu64 " %" PRIu64, progress, goal);
    else if (progress)
        buf_printf(b, " %" PRIu64 " NIL", progress);
    else
        buf_put_lit(b, " NIL NIL");
    buf_printf(b, ")] %s is in progress\r\n", t->command->desc->name);
    respond_end(s);
}

void progress_after_slice(struct task *t)
{
    if (t->goal == 0 || !t->command || t->request_out)
        return;
    uint64_t now = clock_monotonic_us();
    if (is_due(t, now))
        report(t, t->progress, t->goal, now);
}

/* --- waiting for the writer --- */

void progress_await(struct task *t)
{
    struct imap_host *host = t->session->host;
    list_push_back(&host->awaited, &t->awaited);
    if (!loop_timer_is_set(&host->progress_timer))
        loop_timer_set(host->loop, &host->progress_timer, host->settings.progress_ms);
}

void progress_awaited(struct task *t)
{
    list_remove(&t->awaited);
}

static void on_tick(struct loop_timer *timer)
{
    struct imap_host *host = container_of(timer, struct imap_host, progress_timer);
    uint64_t now = clock_monotonic_us();
    struct task *t;
    list_each(t, &host->awaited, awaited)
    {
        if (t->command && is_due(t, now))
            report(t, t->request.progress, 0, now);
    }
    if (!list_empty(&host->awaited))
        loop_timer_set(host->loop, timer, host->settings.progress_ms);
}

void progress_init(struct imap_host *host)
{
    list_init(&host->awaited);
    loop_timer_init(&host->progress_timer, on_tick);
}
