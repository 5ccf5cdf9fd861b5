/* imap/cmd_search.c: SEARCH, SORT and their UID forms, ESEARCH answers, the saved result (RFC 9051
 * sections 6.4.4 and 7.3.4; RFC 3501 section 7.2.5). */
#include <inttypes.h>

#include "base/metrics.h"
#include "imap/commands.h"
#include "imap/context.h"
#include "imap/filters.h"
#include "imap/search.h"
#include "imap/sort.h"
#include "imap/thread.h"
#include "imap/trace.h"
#include "imap/utf8.h"
#include "store/account.h"

enum {
    SEARCH_BYTES_SLICE = 1024 * 1024,
    SORT_MEMORY = 16, /* times what commands may use: a million messages can be sorted */
};

void search_cleanup(struct task *t)
{
    struct search_state *st = t->data;
    context_free(st->context);
    search_program_done(&st->program);
    ranges_done(&st->uids);
    ranges_done(&st->seqs);
    sort_free(st->sort);
    thread_free(st->thread);
    buf_done(&st->scratch);
    buf_done(&st->scores);
    buf_done(&st->chunk);
    buf_done(&st->made);
    buf_done(&st->open_derived);
}

/* message_source.read */
static int read_message(void *arg, uint64_t offset, size_t max, struct span *ret)
{
    struct task *t = arg;
    struct search_state *st = t->data;
    buf_reset(&st->chunk);
    int rc = account_read(st->view->account, &st->where, offset, max, &st->chunk);
    if (rc == 0)
        *ret = buf_span(&st->chunk);
    return rc == 0 && st->chunk.n == 0 ? ERR_CORRUPT : rc;
}

static int found(struct search_state *st, const struct shown *m, struct span derived)
{
    ranges_add(&st->uids, m->row.uid, m->row.uid);
    ranges_add(&st->seqs, m->seq, m->seq);
    st->modseq = MAX(st->modseq, m->row.modseq);
    st->last_modseq = m->row.modseq;
    if (!st->first_modseq)
        st->first_modseq = m->row.modseq;
    if (st->program.fuzzy && !st->sorted)
        relevancy_note(st, m);
    if (st->thread)
        return thread_add(st->thread, m, derived);
    if (!st->sort || (st->sorted && ranges_has(st->sorted, m->row.uid)))
        return 0;
    struct shown scored = *m;
    scored.relevancy = st->program.relevancy;
    return sort_add(st->sort, &scored, derived);
}

/* Go on with the bytes of st->open. 1: not finished in this slice. */
static int read_on(struct task *t, struct snap *snap)
{
    struct search_state *st = t->data;
    int rc = snap_message(snap, st->open.row.message_id, &st->where);
    if (rc == 0)
        rc = message_search_step(st->program.bytes, SEARCH_BYTES_SLICE);
    if (rc == 1)
        return 1;
    st->reading = false;
    if (rc) { /* one unreadable message is no reason to fail the rest */
        st->damaged = true;
        return 0;
    }
    if (search_judge(&st->program, &st->open, buf_span(&st->open_derived), true, &st->scratch) ==
        VERDICT_YES)
        return found(st, &st->open, buf_span(&st->open_derived));
    return 0;
}

/* The derived record, from the index or made anew. 0 with an empty one: the message cannot be read,
 * which is no reason to fail the rest. */
static int take_derived(struct task *t, struct snap *snap, const struct shown *m, struct span *ret)
{
    struct search_state *st = t->data;
    int rc = snap_derived(snap, m->row.message_id, ret);
    metric_add(METRIC_DERIVED + (rc ? METRIC_CACHE_MISS : METRIC_CACHE_HIT), 1);
    if (rc == ERR_NOT_FOUND) {
        buf_reset(&st->made);
        rc = account_derive(st->view->account, m->row.message_id, &st->made);
        *ret = buf_span(&st->made);
    }
    if (rc == 0)
        return 0;
    st->damaged = true;
    *ret = SPAN_EMPTY;
    return rc == ERR_IO || rc == ERR_CORRUPT || rc == ERR_NOT_FOUND ? 0 : rc;
}

/* One message, as far as the row and the kept header decide; else its bytes are begun. */
static int look_at(struct task *t, struct snap *snap, const struct shown *m)
{
    struct search_state *st = t->data;
    struct search_program *p = &st->program;
    struct span derived = SPAN_EMPTY;
    enum verdict v = search_judge(p, m, derived, false, &st->scratch);
    bool wants_keys = st->thread || (st->sort && sort_needs_derived(st->sort));
    if ((v == VERDICT_MAYBE || (v == VERDICT_YES && wants_keys)) && m->row.message_id) {
        int rc = take_derived(t, snap, m, &derived);
        if (rc || (!derived.n && v == VERDICT_MAYBE))
            return rc;
        if (v == VERDICT_MAYBE)
            v = search_judge(p, m, derived, false, &st->scratch);
    }
    if (v == VERDICT_YES)
        return found(st, m, derived);
    if (v != VERDICT_MAYBE || !derived.n || !p->bytes)
        return 0;
    struct message_source source = {.read = read_message, .arg = t};
    if (message_search_begin(p->bytes, derived, source)) {
        st->damaged = true;
        return 0;
    }
    buf_reset(&st->open_derived);
    buf_put_span(&st->open_derived, derived);
    st->open = *m;
    if (m->row.keyword_count)
        memcpy(st->open_keywords, m->row.keywords, 2 * (size_t)m->row.keyword_count);
    st->open.row.keywords = st->open_keywords;
    st->reading = true;
    return 0;
}

/* --- the answer --- */

/* "* SEARCH 2 84 882": made while it drains, as it may hold a million numbers. */
struct number_source {
    struct ranges numbers;
    uint64_t modseq; /* RFC 7162 section 3.1.6; 0: not asked for, or nothing found */
    size_t range;
    uint32_t next;
    bool begun;
};

static int pull_numbers(void *arg, struct buf *out, size_t room)
{
    struct number_source *src = arg;
    size_t start = out->n;
    if (!src->begun)
        buf_put_lit(out, "* SEARCH");
    src->begun = true;
    while (src->range < src->numbers.n) {
        struct range r = src->numbers.v[src->range];
        uint32_t v = MAX(src->next, r.lo);
        for (;; v++) {
            if (out->n - start + 48 > room) {
                src->next = v;
                return 1;
            }
            buf_put_byte(out, ' ');
            buf_put_u64(out, v);
            if (v == r.hi)
                break;
        }
        src->range++;
    }
    if (src->modseq)
        buf_printf(out, " (MODSEQ %" PRIu64 ")", src->modseq);
    buf_put_lit(out, "\r\n");
    return 0;
}

static void numbers_free(void *arg)
{
    struct number_source *src = arg;
    ranges_done(&src->numbers);
    free(src);
}

static void answer_search(struct session *s, const struct ranges *numbers, uint64_t modseq)
{
    struct number_source *src = xnew(struct number_source);
    ranges_copy(&src->numbers, numbers);
    src->modseq = modseq;
    if (ranges_count(numbers) > 2000) {
        trace_output_produced(s);
        conn_put_producer(s->conn, pull_numbers, numbers_free, src);
        return;
    }
    struct buf *b = respond_begin(s);
    pull_numbers(src, b, SIZE_MAX / 2);
    respond_end(s);
    numbers_free(src);
}

/* "* SORT 5 3 4" in the same way: the task ends before it has drained. */
struct sorted_source {
    struct sort *sort;
    size_t next;
    uint64_t modseq;
    bool begun, uid;
};

static int pull_sorted(void *arg, struct buf *out, size_t room)
{
    struct sorted_source *src = arg;
    size_t start = out->n;
    if (!src->begun)
        buf_put_lit(out, "* SORT");
    src->begun = true;
    for (; src->next < sort_count(src->sort); src->next++) {
        if (out->n - start + 48 > room)
            return 1;
        buf_put_byte(out, ' ');
        buf_put_u64(out, sort_at(src->sort, src->next, src->uid));
    }
    if (src->modseq) /* RFC 7162 section 3.1.9 */
        buf_printf(out, " (MODSEQ %" PRIu64 ")", src->modseq);
    buf_put_lit(out, "\r\n");
    return 0;
}

static void sorted_free(void *arg)
{
    struct sorted_source *src = arg;
    sort_free(src->sort);
    free(src);
}

static void answer_sort(struct task *t)
{
    struct search_state *st = t->data;
    struct sorted_source *src = xnew(struct sorted_source);
    src->sort = take_ptr(st->sort);
    src->uid = t->command->uid;
    src->modseq = st->program.has_modseq ? st->modseq : 0;
    conn_put_producer(t->session->conn, pull_sorted, sorted_free, src);
}

/* RFC 9051 section 6.4.4: without RETURN, all results. */
static unsigned wanted(const struct task *t)
{
    const struct cmd_search *a = &t->command->search;
    return a->has_return ? a->ret : SEARCH_RETURN_ALL;
}

static uint64_t modseq_of(struct task *t, uint32_t uid)
{
    autosnap *snap = NULL;
    struct row row;
    if (snap_begin(t->session->view->account, &snap) ||
        snap_row(snap, t->session->view->mailbox, uid, &row))
        return 0;
    return row.modseq;
}

/* RFC 4731 section 3.2: of the messages that the answer is about. */
static uint64_t answered_modseq(struct task *t, unsigned want)
{
    const struct search_state *st = t->data;
    size_t n = st->sort ? sort_count(st->sort) : 0;
    uint64_t first = st->first_modseq, last = st->last_modseq;
    if (want & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT | SEARCH_RETURN_PARTIAL))
        return st->modseq;
    if (n) {
        first = modseq_of(t, sort_at(st->sort, 0, true));
        last = modseq_of(t, sort_at(st->sort, n - 1, true));
    }
    return MAX(want & SEARCH_RETURN_MIN ? first : 0, want & SEARCH_RETURN_MAX ? last : 0);
}

/* RFC 9051 section 7.3.4. */
void search_answer_esearch(struct task *t, const struct ranges *numbers, struct span source)
{
    const struct search_state *st = t->data;
    struct session *s = t->session;
    unsigned want = wanted(t);
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* ESEARCH (TAG \"");
    buf_put_span(b, t->command->tag); /* no character of a tag needs quoting */
    buf_put_byte(b, '"');
    buf_put_span(b, source);
    buf_put_byte(b, ')');
    if (t->command->uid)
        buf_put_lit(b, " UID");
    /* Of a SORT, MIN is what comes first and MAX what comes last. */
    size_t n = st->sort ? sort_count(st->sort) : 0;
    if ((want & SEARCH_RETURN_MIN) && numbers->n) {
        buf_put_lit(b, " MIN ");
        buf_put_u64(b, n ? sort_at(st->sort, 0, t->command->uid) : numbers->v[0].lo);
    }
    if ((want & SEARCH_RETURN_MAX) && numbers->n) {
        buf_put_lit(b, " MAX ");
        buf_put_u64(b,
                    n ? sort_at(st->sort, n - 1, t->command->uid) : numbers->v[numbers->n - 1].hi);
    }
    if ((want & SEARCH_RETURN_ALL) && numbers->n) {
        buf_put_lit(b, " ALL ");
        if (n)
            put_sorted_part(b, st->sort, t->command->uid, 0, n);
        else
            ranges_put_text(b, numbers);
    }
    if (want & SEARCH_RETURN_PARTIAL)
        put_partial(b, &t->command->search, st, t->command->uid, numbers);
    if (want & SEARCH_RETURN_COUNT) {
        buf_put_lit(b, " COUNT ");
        buf_put_u64(b, ranges_count(numbers));
    }
    if ((want & SEARCH_RETURN_RELEVANCY) && numbers->n)
        relevancy_put(b, &t->command->search, st);
    if (st->program.has_modseq && numbers->n)
        buf_printf(b, " MODSEQ %" PRIu64, answered_modseq(t, want));
    buf_put_lit(b, "\r\n");
    respond_end(s);
}

/* RFC 9051 section 6.4.4.1, the table: MIN and MAX alone save just those; RFC 9394 section 3.2: so
 * does PARTIAL. */
void search_save_result(struct task *t)
{
    struct session *s = t->session;
    const struct cmd_search *a = &t->command->search;
    const struct search_state *st = t->data;
    unsigned want = a->ret;
    const struct ranges *uids = &st->uids;
    ranges_reset(&s->saved);
    if (uids->n == 0)
        return;
    if ((want & (SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_PARTIAL)) &&
        !(want & (SEARCH_RETURN_ALL | SEARCH_RETURN_COUNT))) {
        if (want & SEARCH_RETURN_PARTIAL)
            partial_save(a, st, &s->saved);
        uint32_t min = uids->v[0].lo, max = uids->v[uids->n - 1].hi;
        if (want & SEARCH_RETURN_MIN)
            ranges_add(&s->saved, min, min);
        if (want & SEARCH_RETURN_MAX)
            ranges_add(&s->saved, max, max);
    } else {
        ranges_copy(&s->saved, uids);
    }
}

void search_begin_update(struct task *t)
{
    struct search_state *st = t->data;
    if (st->context)
        context_start(take_ptr(st->context), t);
    else /* RFC 5267 section 4.3.1 */
        respond_text(t->session, "* NO [NOUPDATE \"%.*s\"] Too many contexts",
                     (int)t->command->tag.n, t->command->tag.p);
}

static enum step search_end(struct task *t)
{
    struct search_state *st = t->data;
    struct session *s = t->session;
    const struct cmd_search *a = &t->command->search;
    const struct ranges *numbers = t->command->uid ? &st->uids : &st->seqs;
    if (a->ret & SEARCH_RETURN_SAVE)
        search_save_result(t);
    unsigned shown = SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_ALL |
                     SEARCH_RETURN_COUNT | SEARCH_RETURN_PARTIAL | SEARCH_RETURN_RELEVANCY;
    if (a->thread)
        conn_put_producer(s->conn, thread_pull, thread_producer_free, take_ptr(st->thread));
    else if (a->sort && !a->has_return)
        answer_sort(t);
    else if (!a->has_return && !s->rev2)
        answer_search(s, numbers, st->program.has_modseq ? st->modseq : 0);
    else if (wanted(t) & shown)
        search_answer_esearch(t, numbers, SPAN_EMPTY);
    bool damaged = st->damaged, sorted = a->sort, threaded = a->thread;
    if (a->ret & SEARCH_RETURN_UPDATE)
        search_begin_update(t);
    if (damaged)
        return task_no(t, "CORRUPTION",
                       "Some messages could not be read; the others were searched");
    if (threaded)
        return task_ok(t, NULL, "THREAD completed");
    return task_ok(t, NULL, sorted ? "SORT completed" : "SEARCH completed");
}

/* --- the command --- */

enum step search_failed(struct task *t, int rc)
{
    /* RFC 9051 section 6.4.4.1: a failed SEARCH (SAVE) leaves the empty result, a BAD one does not.
     */
    if (rc == ERR_INVALID)
        return task_bad(t, "There is no message with that number");
    if (t->command->search.ret & SEARCH_RETURN_SAVE)
        ranges_reset(&t->session->saved);
    if (rc == ERR_DENIED)
        return task_no(t, "BADCHARSET (US-ASCII UTF-8)", "That charset is not known here");
    if (rc == ERR_LIMIT)
        return task_no(t, "LIMIT",
                       t->command->id == CMD_THREAD ? "Too many messages or text keys in one THREAD"
                       : t->command->id == CMD_SORT ? "Too many messages or text keys in one SORT"
                                                    : "Too many text keys in one SEARCH");
    return task_store_failed(t, rc, false);
}

void search_state_init(struct search_state *st)
{
    buf_init(&st->scratch, BUF_UNLIMITED);
    buf_init(&st->scores, BUF_UNLIMITED);
    buf_init(&st->chunk, BUF_UNLIMITED);
    buf_init(&st->made, BUF_UNLIMITED);
    buf_init(&st->open_derived, BUF_UNLIMITED);
}

int search_start(struct task *t, struct snap *snap)
{
    struct search_state *st = t->data;
    int rc = search_compile(t, st->view, snap, &st->program);
    if (rc)
        return rc;
    if (st->program.has_modseq)
        condstore_enable(t->session);
    view_walk_init(&st->walk, st->view, &st->program.scope);
    return 0;
}

static enum step search_begin(struct task *t, struct snap *snap)
{
    if (!utf8_charset_allowed(t))
        return STEP_DONE;
    struct search_state *st = arena_new(&t->arena, struct search_state);
    if (!st)
        return task_no(t, "LIMIT", "The command needs too much memory");
    t->data = st;
    t->cleanup = search_cleanup;
    search_state_init(st);
    st->view = t->session->view;
    const struct cmd_search *a = &t->command->search;
    if (a->sort) {
        const struct sort_criterion *criteria = comparator_criteria(t);
        if (!criteria)
            return task_no(t, "LIMIT", "The command needs too much memory");
        st->sort =
            sort_new(criteria, a->n_sort, SORT_MEMORY * t->session->host->settings.command_memory);
    }
    if (a->thread)
        st->thread = thread_new(a->thread, t->command->uid,
                                SORT_MEMORY * t->session->host->settings.command_memory);
    bool reused = false;
    if (a->ret & SEARCH_RETURN_UPDATE)
        st->context = context_new(t, &reused);
    if (reused) /* RFC 5267 section 4.3 */
        return task_bad(t, "That tag is in use with UPDATE");
    if (!filters_expand(t))
        return STEP_DONE;
    if (t->session->uidonly && uidonly_refuses(t->command)) /* numbers in a filter */
        return uidonly_refused(t);
    int rc = search_start(t, snap);
    if (rc)
        return search_failed(t, rc);
    t->goal = t->session->view->exists;
    return STEP_AGAIN;
}

/* Look at messages until the slice is used up: rows are cheap, bytes are not. */
int search_slice(struct task *t, struct snap *snap)
{
    struct search_state *st = t->data;
    struct view_cursor *c;
    struct shown m;
    int64_t bytes = SEARCH_BYTES_SLICE;
    int rc = st->reading ? read_on(t, snap) : 0;
    if (rc)
        return rc == 1 ? 0 : rc;
    rc = view_cursor_open(&st->walk, snap, &c);
    if (rc)
        return rc;
    for (int rows = 0; rows < SLICE_ROWS * 4 && bytes > 0; rows++) {
        rc = view_cursor_next(c, &m);
        if (rc == 0)
            t->progress = m.seq;
        if (rc == 0 && m.row.message_id)
            rc = look_at(t, snap, &m);
        if (rc)
            break;
        if (st->reading) {
            bytes -= (int64_t)m.row.size;
            rc = read_on(t, snap);
            if (rc == 1)
                rc = 0;
            if (rc || st->reading)
                break;
        }
    }
    view_cursor_close(c);
    return rc;
}

enum step cmd_search(struct task *t)
{
    struct search_state *st = t->data;
    if (st && st->sorting && st->thread) {
        int rc = thread_step(st->thread);
        return rc < 0 ? search_failed(t, rc) : rc ? STEP_AGAIN : search_end(t);
    }
    if (st && st->sorting)
        return sort_step(st->sort) ? search_end(t) : STEP_AGAIN;
    autosnap *snap = NULL;
    if (!task_view(t, &snap))
        return STEP_DONE;
    if (!t->data && search_begin(t, snap) == STEP_DONE)
        return STEP_DONE;
    int rc = search_slice(t, snap);
    if (rc == 0)
        return STEP_AGAIN;
    if (rc != ERR_NOT_FOUND)
        return search_failed(t, rc);
    st = t->data;
    st->sorting = st->sort || st->thread;
    return st->sorting ? STEP_AGAIN : search_end(t);
}
