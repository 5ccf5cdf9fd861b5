/* imap/context.c: contexts that are kept up to date (RFC 5267 section 4), and PARTIAL.
 *
 * What changes or comes goes into `pending`; judged, it is compared with `members`, and the
 * difference is told. Expunged messages are taken off at once, before EXPUNGE says that they are
 * gone, as their numbers are valid until then (section 4.3.4). Invariant of a SORT: the first
 * |members| items of `sort` are the members in order; further ones were found while judging. */
#include "imap/context.h"

#include <inttypes.h>

#include "imap/commands.h"

enum {
    CONTEXTS_MAX = 32,       /* of a session */
    SORTED_CONTEXTS_MAX = 4, /* they keep the keys of every message */
};

struct context {
    struct list link; /* view.contexts */
    struct session *session;
    struct task *task; /* what is left of the SEARCH; NULL until it has been answered */
    char *tag;
    bool uid, sorted;
    char *fetch;                  /* items for new messages (RFC 5465 section 7), or NULL */
    struct ranges members;        /* UIDs, as the client knows */
    struct ranges pending;        /* to be judged (again) */
    struct ranges fresh;          /* among them: new messages */
    struct ranges judging;        /* what the walk of the task is about, if `judges` */
    struct ranges gone;           /* expunged before the SEARCH was answered */
    struct ranges added, removed; /* to be told, if `waits` for a FETCH that must come first */
    bool judges, waits;
};

/* --- PARTIAL --- */

bool partial_places(const struct wire_partial *p, uint64_t n, uint64_t *ret_first,
                    uint64_t *ret_last)
{
    uint64_t first = p->first, last = MIN((uint64_t)p->last, n);
    if (first > n)
        return false;
    *ret_first = p->from_end ? n - last + 1 : first;
    *ret_last = p->from_end ? n - first + 1 : last;
    return true;
}

void partial_slice(const struct wire_partial *p, const struct ranges *all, struct ranges *ret)
{
    uint64_t first, last, at = 1;
    if (!partial_places(p, ranges_count(all), &first, &last))
        return;
    for (size_t i = 0; i < all->n && at <= last; i++) {
        struct range r = all->v[i];
        uint64_t len = (uint64_t)r.hi - r.lo + 1, end = at + len - 1;
        if (end >= first)
            ranges_add(ret, r.lo + (uint32_t)(MAX(first, at) - at),
                       r.lo + (uint32_t)(MIN(last, end) - at));
        at += len;
    }
}

/* Ascending runs are joined: "2:4,9" (section 3.2). */
void put_sorted_part(struct buf *b, const struct sort *s, bool uid, size_t from, size_t to)
{
    for (size_t i = from; i < to;) {
        uint32_t first = sort_at(s, i, uid), last = first;
        bool begin = i == from;
        while (++i < to && sort_at(s, i, uid) == last + 1)
            last++;
        buf_printf(b, "%s%" PRIu32, begin ? "" : ",", first);
        if (last != first)
            buf_printf(b, ":%" PRIu32, last);
    }
}

void put_partial(struct buf *b, const struct cmd_search *a, const struct search_state *st, bool uid,
                 const struct ranges *numbers)
{
    uint64_t first, last;
    buf_put_lit(b, " PARTIAL (");
    buf_put_span(b, a->partial.text);
    buf_put_byte(b, ' ');
    if (!partial_places(&a->partial, ranges_count(numbers), &first, &last)) {
        buf_put_lit(b, "NIL");
    } else if (st->sort) {
        put_sorted_part(b, st->sort, uid, first - 1, last);
    } else {
        autoranges part = RANGES_INIT;
        partial_slice(&a->partial, numbers, &part);
        ranges_put_text(b, &part);
    }
    buf_put_byte(b, ')');
}

void partial_save(const struct cmd_search *a, const struct search_state *st, struct ranges *to)
{
    uint64_t first, last;
    if (!st->sort) {
        partial_slice(&a->partial, &st->uids, to);
        return;
    }
    if (!partial_places(&a->partial, sort_count(st->sort), &first, &last))
        return;
    for (uint64_t i = first - 1; i < last; i++)
        ranges_add(to, sort_at(st->sort, i, true), sort_at(st->sort, i, true));
}

/* --- a context's life --- */

struct context *context_new(struct task *t, bool *ret_reused)
{
    const struct cmd_search *a = &t->command->search;
    struct view *v = t->session->view;
    struct context *c;
    size_t n = 0, sorted = 0;
    list_each(c, &v->contexts, link)
    {
        if (span_eq(span_str(c->tag), t->command->tag)) {
            *ret_reused = true;
            return NULL;
        }
        n++;
        sorted += c->sorted;
    }
    if (n == CONTEXTS_MAX || (a->sort && sorted == SORTED_CONTEXTS_MAX))
        return NULL;
    c = xnew(struct context);
    list_init(&c->link);
    list_push_back(&v->contexts, &c->link);
    c->session = t->session;
    c->tag = span_dup(t->command->tag);
    c->uid = t->command->uid;
    c->sorted = a->sort != NULL;
    if (a->update.n)
        c->fetch = span_dup(a->update);
    return c;
}

void context_free(struct context *c)
{
    if (!c)
        return;
    list_remove(&c->link);
    if (c->task)
        task_discard(take_ptr(c->task));
    struct ranges *all[] = {&c->members, &c->pending, &c->fresh,  &c->judging,
                            &c->gone,    &c->added,   &c->removed};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        ranges_done(all[i]);
    free(c->tag);
    free(c->fetch);
    free(c);
}

void contexts_free(struct view *v)
{
    struct context *c, *next;
    list_each_safe(c, next, &v->contexts, link) context_free(c);
}

/* The SEARCH goes on to its tagged answer with a copy of what that needs. */
static struct task *take_over(struct task *t)
{
    struct task *kept = task_new(t->session);
    arena_done(&kept->arena);
    kept->arena = t->arena;
    kept->command = t->command;
    kept->data = t->data;
    kept->cleanup = t->cleanup;
    t->data = NULL;
    t->cleanup = NULL;
    arena_init(&t->arena, t->session->host->settings.command_memory);
    struct command *copy = arena_new(&t->arena, struct command);
    if (copy) {
        *copy = *kept->command;
        copy->tag = arena_copy(&t->arena, copy->tag);
        t->command = copy;
    }
    return kept;
}

void context_start(struct context *c, struct task *t)
{
    struct search_state *st = t->data;
    c->task = take_over(t);
    ranges_copy(&c->members, &st->uids);
    st->sorted = &c->members;
    if (st->sort)
        sort_keep(st->sort);
    ranges_copy(&c->removed, &c->gone);
    ranges_intersect(&c->removed, &c->members);
    ranges_done(&c->gone);
    ranges_done(&st->uids);
    ranges_done(&st->seqs);
    c->waits = true;
    session_schedule(c->session);
}

/* --- news --- */

void contexts_changed(struct view *v, const struct ranges *changed, uint32_t below)
{
    struct context *c;
    list_each(c, &v->contexts, link)
    {
        for (size_t i = 0; i < changed->n && changed->v[i].lo < below; i++)
            ranges_add(&c->pending, changed->v[i].lo, MIN(changed->v[i].hi, below - 1));
    }
}

void contexts_arrived(struct view *v, uint32_t lo, uint32_t hi)
{
    struct context *c;
    list_each(c, &v->contexts, link)
    {
        ranges_add(&c->pending, lo, hi);
        if (c->fetch)
            ranges_add(&c->fresh, lo, hi);
    }
}

bool contexts_busy(const struct view *v)
{
    struct context *c;
    list_each(c, &v->contexts, link)
    {
        if (c->task && (c->pending.n || c->judges || c->waits))
            return true;
    }
    return false;
}

/* --- telling --- */

/* Of messages that are shown: what follows each other as UIDs does so as numbers. */
static int numbers_of(struct context *c, struct snap *snap, const struct ranges *uids,
                      struct ranges *ret)
{
    for (size_t i = 0; i < uids->n; i++) {
        uint32_t lo, hi;
        int rc = view_seq_of(c->session->view, snap, uids->v[i].lo, &lo);
        if (rc == 0)
            rc = view_seq_of(c->session->view, snap, uids->v[i].hi, &hi);
        if (rc)
            return rc;
        ranges_add(ret, lo, hi);
    }
    return 0;
}

/* "ADDTO (0 1:3)": of a SEARCH the order is the mailbox's, place 0 says so. */
static int put_unsorted(struct context *c, struct snap *snap, struct buf *b, const char *what,
                        const struct ranges *uids)
{
    autoranges numbers = RANGES_INIT;
    int rc = c->uid || uids->n == 0 ? 0 : numbers_of(c, snap, uids, &numbers);
    if (rc || uids->n == 0)
        return rc;
    buf_printf(b, " %s (0 ", what);
    ranges_put_text(b, c->uid ? uids : &numbers);
    buf_put_byte(b, ')');
    return 0;
}

/* Pairs of place and number; those that follow each other in both become one. */
struct pairs {
    struct buf *out;
    const char *what;
    uint64_t place;
    uint32_t first, last;
    bool any, removes;
};

static void pairs_flush(struct pairs *p)
{
    if (!p->first)
        return;
    if (p->any)
        buf_put_byte(p->out, ' ');
    else
        buf_printf(p->out, " %s (", p->what);
    p->any = true;
    buf_printf(p->out, "%" PRIu64 " %" PRIu32, p->place, p->first);
    if (p->last != p->first)
        buf_printf(p->out, ":%" PRIu32, p->last);
    p->first = 0;
}

static void pairs_add(struct pairs *p, uint64_t place, uint32_t number)
{
    uint64_t next = p->removes ? p->place : p->place + (p->last - p->first) + 1;
    if (p->first && number == p->last + 1 && place == next) {
        p->last = number;
        return;
    }
    pairs_flush(p);
    p->place = place;
    p->first = p->last = number;
}

static void pairs_end(struct pairs *p)
{
    pairs_flush(p);
    if (p->any)
        buf_put_byte(p->out, ')');
}

static int number_of(struct context *c, struct snap *snap, uint32_t uid, uint32_t *ret)
{
    *ret = uid;
    return c->uid ? 0 : view_seq_of(c->session->view, snap, uid, ret);
}

static int put_sorted_removed(struct context *c, struct snap *snap, struct buf *b,
                              const struct ranges *uids)
{
    struct sort *sort = ((struct search_state *)c->task->data)->sort;
    struct pairs p = {.out = b, .what = "REMOVEFROM", .removes = true};
    int rc = 0;
    for (size_t i = 0; i < uids->n && rc == 0; i++) {
        for (uint32_t uid = uids->v[i].lo;; uid++) {
            uint32_t number;
            size_t at = sort_remove(sort, uid);
            if (at != SIZE_MAX) {
                rc = number_of(c, snap, uid, &number);
                pairs_add(&p, at + 1, number);
            }
            if (rc || uid == uids->v[i].hi)
                break;
        }
    }
    pairs_end(&p);
    return rc;
}

/* Those behind the settled items that were not added after all have been removed before. */
static int put_sorted_added(struct context *c, struct snap *snap, struct buf *b, size_t settled)
{
    struct sort *sort = ((struct search_state *)c->task->data)->sort;
    struct pairs p = {.out = b, .what = "ADDTO"};
    int rc = 0;
    for (; settled < sort_count(sort) && rc == 0; settled++) {
        uint32_t number, uid = sort_at(sort, settled, true);
        size_t at = sort_settle(sort, settled);
        rc = number_of(c, snap, uid, &number);
        pairs_add(&p, at + 1, number);
    }
    pairs_end(&p);
    return rc;
}

/* One line about what leaves and what comes; then it is so. `whole`: all that was found while
 * judging is told by it. */
static int tell(struct context *c, struct snap *snap, const struct ranges *removed,
                const struct ranges *added, bool whole)
{
    struct session *s = c->session;
    if (removed->n == 0 && added->n == 0)
        return 0;
    struct buf *b = respond_begin(s);
    size_t start = b->n;
    buf_printf(b, "* ESEARCH (TAG \"%s\")%s", c->tag, c->uid ? " UID" : "");
    int rc;
    if (c->sorted) {
        rc = put_sorted_removed(c, snap, b, removed);
        ranges_subtract(&c->members, removed);
        if (rc == 0 && whole)
            rc = put_sorted_added(c, snap, b, ranges_count(&c->members));
    } else {
        rc = put_unsorted(c, snap, b, "REMOVEFROM", removed);
        if (rc == 0)
            rc = put_unsorted(c, snap, b, "ADDTO", added);
        ranges_subtract(&c->members, removed);
    }
    ranges_add_all(&c->members, added);
    buf_put_lit(b, "\r\n");
    if (rc)
        buf_truncate(b, start);
    respond_end(s);
    return rc;
}

/* Section 4.3.1: nothing more of this one. */
static void refuse(struct context *c)
{
    respond_text(c->session, "* NO [NOUPDATE \"%s\"] That cannot be kept up to date", c->tag);
    context_free(c);
}

/* Found, but expunged before it could be told. */
static void drop_found(struct context *c, const struct ranges *dead)
{
    struct search_state *st = c->task->data;
    autoranges lost = RANGES_INIT;
    ranges_copy(&lost, &c->added);
    ranges_intersect(&lost, dead);
    for (size_t i = 0; c->sorted && i < lost.n; i++)
        for (uint32_t uid = lost.v[i].lo;; uid++) {
            sort_remove(st->sort, uid);
            if (uid == lost.v[i].hi)
                break;
        }
    ranges_subtract(&c->added, &lost);
}

int contexts_expunged(struct session *s, struct snap *snap)
{
    struct view *v = s->view;
    struct context *c, *next;
    static const struct ranges none = RANGES_INIT;
    if (v->expunged.n == 0)
        return 0;
    list_each_safe(c, next, &v->contexts, link)
    {
        if (!c->task) {
            ranges_add_all(&c->gone, &v->expunged);
            continue;
        }
        autoranges left = RANGES_INIT;
        ranges_copy(&left, &c->members);
        ranges_intersect(&left, &v->expunged);
        ranges_subtract(&c->removed, &v->expunged);
        drop_found(c, &v->expunged);
        if (c->judges) /* it may have been looked at already */
            ranges_add_all(&c->gone, &v->expunged);
        int rc = tell(c, snap, &left, &none, false);
        if (rc)
            return rc;
    }
    return 0;
}

/* --- judging --- */

static void judge_begin(struct context *c, struct snap *snap)
{
    struct search_state *st = c->task->data;
    ranges_copy(&c->judging, &c->pending);
    ranges_done(&c->pending);
    ranges_reset(&st->uids);
    ranges_reset(&st->seqs);
    search_program_refresh(&st->program, snap);
    view_walk_init(&st->walk, c->session->view, &c->judging);
    c->judges = true;
}

/* All of `judging` has been looked at. */
static void judge_end(struct context *c)
{
    struct search_state *st = c->task->data;
    autoranges fresh = RANGES_INIT;
    ranges_copy(&c->added, &st->uids);
    ranges_subtract(&c->added, &c->members);
    ranges_add_all(&c->gone, &c->session->view->expunged);
    drop_found(c, &c->gone);
    ranges_done(&c->gone);
    ranges_copy(&c->removed, &c->judging);
    ranges_intersect(&c->removed, &c->members);
    ranges_subtract(&c->removed, &st->uids);
    ranges_copy(&fresh, &c->fresh);
    ranges_intersect(&fresh, &c->added);
    ranges_subtract(&c->fresh, &c->judging);
    ranges_done(&c->judging);
    ranges_done(&st->uids);
    ranges_done(&st->seqs);
    c->judges = false;
    c->waits = true;
    if (fresh.n) /* RFC 5465 section 7: FETCH precedes ESEARCH */
        notify_push(c->session, &fresh, c->fetch);
}

/* True: it did something. */
static bool run_one(struct context *c, struct snap *snap, int *ret_rc)
{
    if (c->waits) {
        if (notify_is_pushing(c->session->view))
            return false;
        c->waits = false;
        *ret_rc = tell(c, snap, &c->removed, &c->added, true);
        ranges_done(&c->removed);
        ranges_done(&c->added);
        return true;
    }
    if (!c->judges && c->pending.n == 0)
        return false;
    if (!c->judges)
        judge_begin(c, snap);
    int rc = search_slice(c->task, snap);
    if (rc == ERR_NOT_FOUND) {
        judge_end(c);
        rc = 0;
    }
    *ret_rc = rc;
    return true;
}

bool contexts_run(struct session *s)
{
    struct view *v = s->view;
    struct context *c, *next;
    autosnap *snap = NULL;
    bool worked = false;
    if (!v || v->gone || list_empty(&v->contexts))
        return true;
    if (view_begin(s, &snap))
        return true; /* whatever comes next finds out why */
    if (v->gone)
        return true;
    if (contexts_expunged(s, snap)) {
        contexts_free(v);
        return true;
    }
    list_each_safe(c, next, &v->contexts, link)
    {
        int rc = 0;
        if (session_full(s))
            return false;
        if (!c->task || !run_one(c, snap, &rc))
            continue;
        worked = true;
        if (rc)
            refuse(c);
        break; /* one slice */
    }
    return !worked;
}

/* --- CANCELUPDATE (section 4.3.5) --- */

enum step cmd_cancel_update(struct task *t)
{
    const struct cmd_cancel *a = &t->command->cancel;
    struct view *v = t->session->view;
    bool missing = false;
    for (unsigned i = 0; i < a->n; i++) {
        struct context *c, *found = NULL;
        list_each(c, &v->contexts, link)
        {
            if (span_eq(span_str(c->tag), a->tags[i]))
                found = c;
        }
        missing = missing || !found;
        context_free(found);
    }
    return missing ? task_no(t, NULL, "There are no updates for some of these tags")
                   : task_ok(t, NULL, "CANCELUPDATE completed");
}
