/* imap/notify.c: NOTIFY (RFC 5465).
 *
 * A session that has said NOTIFY SET watches its account once and is told what each commit did
 * (store/events.h). Which mailboxes it cares for is decided when something happens, from the name:
 * the rules are sorted, so this takes a few comparisons whether it watches ten mailboxes or a
 * thousand, and nothing has to be worked out anew when mailboxes come and go. What waits to be said
 * is a set of mailboxes (each is said once, with its newest state) and a short list of names.
 *
 * The selected mailbox goes the usual way, through the view and announce(), which asks
 * notify_selected what the client wants to hear. New messages are fetched by a FETCH of our own
 * that has no tag. */
#include "imap/list.h"
#include "imap/notify_int.h"
#include "store/names.h"
#include "wire/write.h"

enum {
    NAMES_PENDING_MAX = 1000, /* beyond: NOTIFICATIONOVERFLOW */
    LINES_PER_SLICE = 100,
};

/* --- rules --- */

struct span notify_rule_name(const struct rules *r, const struct rule *rule)
{
    return span_make((const char *)&r->v[r->n] + rule->at, rule->n);
}

static void apply_rules(const struct rules *r, struct span name, bool whole, uint32_t *events,
                        bool *none)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (span_cmp(notify_rule_name(r, &r->v[mid]), name) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < r->n && span_eq(notify_rule_name(r, &r->v[lo]), name); lo++) {
        if (!whole && !r->v[lo].subtree)
            continue;
        *events |= r->v[lo].events;
        *none = *none || r->v[lo].none;
    }
}

/* Section 6: which events of a name the client wants; several groups may apply to it. */
static uint32_t wanted_of(const struct notify *n, struct span name, bool subscribed, bool own)
{
    uint32_t events = (own ? n->personal : 0) | (subscribed ? n->subscribed : 0);
    bool none = false;
    if (n->rules) {
        apply_rules(n->rules, name, true, &events, &none);
        for (size_t i = 0; i < name.n; i++)
            if (name.p[i] == MAILBOX_DELIMITER)
                apply_rules(n->rules, span_head(name, i), false, &events, &none);
    }
    return none ? 0 : events;
}

static int is_subscribed(struct snap *snap, struct span name, bool *ret)
{
    struct mailbox_name entry;
    int rc = snap_name_seek(snap, name, false, &entry);
    *ret = rc == 0 && span_eq(entry.name, name) && entry.subscribed;
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* snap is of the source's account; name within that. Subscriptions are the user's own. */
int notify_wanted(const struct source *from, struct snap *snap, struct span name, uint32_t *ret)
{
    const struct notify *n = from->notify;
    autobuf whole = BUF_INIT(BUF_UNLIMITED);
    autosnap *own = NULL;
    bool subscribed = false;
    int rc = 0;
    buf_put_str(&whole, from->prefix);
    buf_put_span(&whole, name);
    if (n->subscribed && !is_own(from))
        rc = snap_begin(n->session->account, &own);
    if (n->subscribed && rc == 0)
        rc = is_subscribed(own ? own : snap, buf_span(&whole), &subscribed);
    *ret = wanted_of(n, buf_span(&whole), subscribed, is_own(from));
    return rc;
}

int notify_rights(const struct source *from, struct snap *snap, uint32_t mailbox, uint32_t *ret)
{
    struct place place = {.account = from->account, .own = is_own(from)};
    return place_rights(from->notify->session, snap, &place, mailbox, ret);
}

/* Section 5: everything needs the rights l and r. */
static int may_hear(const struct source *from, struct snap *snap, uint32_t mailbox, bool *ret)
{
    const uint32_t needed = RIGHT_LOOKUP | RIGHT_READ;
    uint32_t rights;
    int rc = notify_rights(from, snap, mailbox, &rights);
    *ret = rc == 0 && (rights & needed) == needed;
    return rc;
}

/* --- what happened --- */

static void forget_pending(struct notify *n)
{
    struct pending_name *p, *next;
    struct source *from;
    list_each_safe(p, next, &n->names, link) free(p);
    list_init(&n->names);
    n->names_count = 0;
    list_each(from, &n->sources, link)
    {
        ranges_done(&from->counts);
        ranges_done(&from->flags);
    }
}

/* As if NOTIFY NONE had been said. */
void notify_become_none(struct notify *n)
{
    struct source *from, *next;
    forget_pending(n);
    list_each_safe(from, next, &n->sources, link)
    {
        watch_remove(&from->watch);
        account_unref(from->account);
        free(from->prefix);
        free(from);
    }
    list_init(&n->sources);
    free(take_ptr(n->rules));
    free(take_ptr(n->fetch));
    n->selected = n->personal = n->subscribed = n->any = 0;
}

static bool has_pending(const struct notify *n)
{
    struct source *from;
    list_each(from, &n->sources, link)
    {
        if (from->counts.n || from->flags.n)
            return true;
    }
    return n->names_count > 0;
}

/* The mailbox is the selected one. */
bool notify_source_selected(const struct source *from, uint32_t mailbox)
{
    const struct view *v = from->notify->session->view;
    return v && v->mailbox == mailbox && v->account == from->account;
}

static bool is_pending(const struct source *from, uint32_t event, uint32_t mailbox,
                       struct span name)
{
    const struct notify *n = from->notify;
    struct pending_name *p;
    list_each(p, &n->names, link)
    {
        if (p->source == from && p->event == event && p->mailbox == mailbox &&
            span_eq(span_make(p->text, p->n), name))
            return true;
    }
    return false;
}

static void note_name(struct source *from, uint32_t event, uint32_t mailbox, struct span name,
                      struct span old_name)
{
    struct notify *n = from->notify;
    if (event != EVENT_RENAMED && is_pending(from, event, mailbox, name))
        return;
    if (n->names_count == NAMES_PENDING_MAX) {
        n->overflow = true;
        return;
    }
    struct pending_name *p = xmalloc(sizeof(*p) + name.n + old_name.n);
    p->source = from;
    p->event = event;
    p->mailbox = mailbox;
    p->n = (uint16_t)name.n;
    p->old_n = (uint16_t)old_name.n;
    memcpy(p->text, name.p, name.n);
    if (old_name.n)
        memcpy(p->text + name.n, old_name.p, old_name.n);
    list_init(&p->link);
    list_push_back(&n->names, &p->link);
    n->names_count++;
}

static void note_messages(struct source *from, const struct event *e)
{
    const struct notify *n = from->notify;
    if (notify_source_selected(from, e->mailbox)) /* section 3.1: SELECTED alone counts there */
        return;
    if ((e->kinds & (EVENT_NEW | EVENT_EXPUNGE)) && (n->any & NOTIFY_MESSAGE_NEW))
        ranges_add(&from->counts, e->mailbox, e->mailbox);
    if ((e->kinds & EVENT_FLAGS) && (n->any & NOTIFY_FLAG_CHANGE))
        ranges_add(&from->flags, e->mailbox, e->mailbox);
}

/* Section 5.4: to who gets or loses the right l, a mailbox comes or goes. */
static void note_rights(struct source *from, const struct event *e)
{
    const struct session *s = from->notify->session;
    struct identity who = {.user = span_str(s->user), .groups = buf_span(&s->groups)};
    struct span identifier = e->old_name;
    if (identifier.n && identifier.p[0] == '-')
        identifier = span_skip(identifier, 1);
    if (!is_own(from) && identity_is(&who, identifier))
        note_name(from, e->kinds, e->mailbox, e->name, SPAN_EMPTY);
}

static void note(struct source *from, const struct event *e)
{
    const struct notify *n = from->notify;
    if (e->kinds & EVENT_OF_MESSAGES) {
        note_messages(from, e);
    } else if (e->kinds == EVENT_SUBSCRIPTION) {
        if ((n->any & NOTIFY_SUBSCRIPTION_CHANGE) && is_own(from))
            note_name(from, e->kinds, 0, e->name, SPAN_EMPTY);
    } else if (e->kinds == EVENT_METADATA) {
        bool visible = e->old_name.n == 0 || span_eq(e->old_name, span_str(n->session->user));
        if (visible && (n->any & (e->mailbox ? NOTIFY_MAILBOX_METADATA : NOTIFY_SERVER_METADATA)) &&
            (e->mailbox || is_own(from)))
            note_name(from, e->kinds, e->mailbox, e->name, SPAN_EMPTY);
    } else if (n->any & NOTIFY_MAILBOX_NAME) {
        if (e->kinds & EVENT_OF_RIGHTS) {
            note_rights(from, e);
            return;
        }
        note_name(from, e->kinds, 0, e->name, e->old_name);
        /* Section 5.4: what is created or deleted concerns its direct superior. */
        struct span superior = mailbox_name_superior(e->name);
        if (e->kinds != EVENT_RENAMED && superior.n)
            note_name(from, EVENT_CREATED, 0, superior, SPAN_EMPTY);
    }
}

static void on_events(struct watch *w, const struct events *events)
{
    struct source *from = container_of(w, struct source, watch);
    struct notify *n = from->notify;
    n->overflow = n->overflow || events->overflow;
    for (size_t i = 0; i < events_count(events); i++) {
        const struct event *e = events_at(events, i);
        if (e->origin != n->session->id) /* section 5: not what the client did itself */
            note(from, e);
    }
    if (has_pending(n) || n->overflow)
        session_schedule(n->session);
}

bool notify_source_add(struct notify *n, struct account *account, struct span prefix)
{
    struct source *from;
    size_t count = 0;
    list_each(from, &n->sources, link)
    {
        if (from->account == account)
            return true;
        count++;
    }
    if (count == NOTIFY_SOURCES_MAX)
        return false;
    from = xnew(struct source);
    from->notify = n;
    from->account = account_ref(account);
    from->prefix = span_dup(prefix);
    list_init(&from->link);
    list_push_back(&n->sources, &from->link);
    watch_add(&from->watch, account, 0, 0, NULL);
    watch_events(&from->watch, on_events);
    return true;
}

/* --- telling --- */

/* Sections 5.1 to 5.3. */
static uint32_t status_items(const struct session *s, bool counts, bool flags)
{
    uint32_t items = STATUS_UIDVALIDITY | (s->condstore ? STATUS_HIGHESTMODSEQ : 0);
    if (counts)
        items |= STATUS_MESSAGES | STATUS_UIDNEXT;
    if (flags)
        items |= STATUS_UNSEEN;
    return items;
}

static int tell_mailbox(struct source *from, struct snap *snap, uint32_t mailbox, bool counts,
                        bool flags)
{
    struct session *s = from->notify->session;
    struct mailbox_info info;
    uint32_t events;
    bool may = false;
    if (notify_source_selected(from, mailbox)) /* meanwhile */
        return 0;
    int rc = snap_mailbox(snap, mailbox, &info);
    if (rc == 0)
        rc = notify_wanted(from, snap, info.name, &events);
    if (rc == 0)
        rc = may_hear(from, snap, mailbox, &may);
    if (rc || !may)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    counts = counts && (events & NOTIFY_MESSAGE_NEW);
    flags = flags && (events & NOTIFY_FLAG_CHANGE);
    if (!counts && !flags)
        return 0;
    struct buf *b = respond_begin(s);
    rc = put_status_line(s, snap, b, span_str(from->prefix), &info, status_items(s, counts, flags));
    respond_end(s);
    return rc;
}

/* Sections 5.6 and 5.7: the name of the entry, without its value (RFC 5464 section 4.4.2). */
static int tell_metadata(struct snap *snap, const struct pending_name *p)
{
    struct source *from = p->source;
    struct session *s = from->notify->session;
    struct mailbox_info info = {.name = SPAN_EMPTY};
    uint32_t events = NOTIFY_MAILBOX_METADATA;
    bool may = true;
    int rc = p->mailbox ? snap_mailbox(snap, p->mailbox, &info) : 0;
    if (rc == 0 && p->mailbox)
        rc = notify_wanted(from, snap, info.name, &events);
    if (rc == 0 && p->mailbox)
        rc = may_hear(from, snap, p->mailbox, &may);
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (!may || !(events & NOTIFY_MAILBOX_METADATA))
        return 0;
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* METADATA ");
    if (p->mailbox)
        put_mailbox_name(s, b, span_str(from->prefix), info.name);
    else
        buf_put_lit(b, "\"\"");
    buf_put_byte(b, ' ');
    write_astring(b, span_make(p->text, p->n), session_utf8(s));
    buf_put_lit(b, "\r\n");
    respond_end(s);
    return 0;
}

void notify_put_lost(struct session *s, const struct source *from, struct span name,
                     const char *attributes)
{
    struct buf *b = respond_begin(s);
    buf_printf(b, "* LIST (%s) \"/\" ", attributes);
    put_mailbox_name(s, b, span_str(from->prefix), name);
    buf_put_lit(b, "\r\n");
    respond_end(s);
}

/* Of somebody else's mailbox only those hear who may; of one that is gone, nobody (who might have
 * is not known any more), except who has lost the right to it (section 5.9). */
static int may_hear_of_name(const struct pending_name *p, struct snap *snap, struct span name,
                            bool *ret)
{
    struct mailbox_info info;
    struct source *from = p->source;
    uint32_t rights = 0;
    *ret = is_own(from);
    if (*ret)
        return 0;
    int rc = snap_mailbox_find(snap, name, &info);
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    rc = notify_rights(from, snap, info.id, &rights);
    if (rc == 0 && p->event == EVENT_REVOKED && !(rights & RIGHT_LOOKUP))
        notify_put_lost(from->notify->session, from, name, "\\NonExistent \\NoAccess");
    *ret = p->event != EVENT_REVOKED && (rights & RIGHT_LOOKUP) && (rights & RIGHT_READ);
    return rc;
}

/* A name is told as it is now: what was created and deleted again is \NonExistent. */
static int tell_name(struct snap *snap, const struct pending_name *p)
{
    if (p->event == EVENT_METADATA)
        return tell_metadata(snap, p);
    struct source *from = p->source;
    struct session *s = from->notify->session;
    struct span name = span_make(p->text, p->n), old = span_make(p->text + p->n, p->old_n);
    uint32_t needed =
        p->event == EVENT_SUBSCRIPTION ? NOTIFY_SUBSCRIPTION_CHANGE : NOTIFY_MAILBOX_NAME;
    uint32_t events, old_events = 0;
    bool may = false;
    int rc = notify_wanted(from, snap, name, &events);
    if (rc == 0 && old.n)
        rc = notify_wanted(from, snap, old, &old_events);
    if (rc)
        return rc;
    if (p->event == EVENT_SUBSCRIPTION) /* it was, or is now */
        events = wanted_of(from->notify, name, true, true);
    if (!((events | old_events) & needed))
        return 0;
    rc = may_hear_of_name(p, snap, name, &may);
    if (rc || !may)
        return rc;
    struct buf *b = respond_begin(s);
    rc = put_list_news(s, snap, b, span_str(from->prefix), name, old);
    respond_end(s);
    return rc;
}

static int tell_names(struct session *s, struct snap *snap, const struct source *from, int *left)
{
    struct notify *n = s->notify;
    struct pending_name *p, *next;
    int rc = 0;
    list_each_safe(p, next, &n->names, link)
    {
        if (rc || *left <= 0 || session_full(s))
            break;
        if (p->source != from)
            continue;
        rc = tell_name(snap, p);
        list_remove(&p->link);
        free(p);
        n->names_count--;
        --*left;
    }
    return rc;
}

static int tell_mailboxes(struct session *s, struct snap *snap, struct source *from, int *left)
{
    int rc = 0;
    while (rc == 0 && *left > 0 && !session_full(s) && (from->counts.n || from->flags.n)) {
        uint32_t id = from->counts.n ? from->counts.v[0].lo : from->flags.v[0].lo;
        bool flags = ranges_has(&from->flags, id), counts = from->counts.n > 0;
        ranges_remove(&from->counts, id, id);
        ranges_remove(&from->flags, id, id);
        rc = tell_mailbox(from, snap, id, counts, flags);
        --*left;
    }
    if (from->counts.n == 0)
        ranges_done(&from->counts);
    if (from->flags.n == 0)
        ranges_done(&from->flags);
    return rc;
}

static int tell_source(struct session *s, struct source *from, int *left)
{
    autosnap *snap = NULL;
    int rc = snap_begin_as(from->account, session_eyes(s, from->account), &snap);
    if (rc == 0)
        rc = tell_names(s, snap, from, left);
    if (rc == 0)
        rc = tell_mailboxes(s, snap, from, left);
    return rc;
}

/* --- new messages of the selected mailbox --- */

struct push {
    struct list link; /* view.pushes */
    struct ranges uids;
    char *items;
};

static void push_add(struct view *v, const struct ranges *uids, char *items)
{
    struct push *p = xnew(struct push);
    ranges_copy(&p->uids, uids);
    p->items = items;
    list_init(&p->link);
    list_push_back(&v->pushes, &p->link);
}

static void push_free(struct push *p)
{
    list_remove(&p->link);
    ranges_done(&p->uids);
    free(p->items);
    free(p);
}

/* Section 5.2: one FETCH with the items of both. */
void notify_push(struct session *s, const struct ranges *uids, const char *items)
{
    struct view *v = s->view;
    autoranges both = RANGES_INIT, rest = RANGES_INIT;
    ranges_copy(&rest, uids);
    if (s->notify && s->notify->fetch) {
        ranges_copy(&both, uids);
        ranges_intersect(&both, &v->to_push);
        ranges_subtract(&v->to_push, &both);
        ranges_subtract(&rest, &both);
    }
    if (both.n) {
        autobuf joined = BUF_INIT(BUF_UNLIMITED);
        buf_put_str(&joined, s->notify->fetch);
        buf_truncate(&joined, joined.n - 1);
        buf_put_byte(&joined, ' ');
        buf_put_str(&joined, items + 1);
        push_add(v, &both, span_dup(buf_span(&joined)));
    }
    if (rest.n)
        push_add(v, &rest, span_dup(span_str(items)));
}

bool notify_is_pushing(const struct view *v)
{
    return v->push || !list_empty(&v->pushes);
}

static void push_end(struct view *v)
{
    if (v->push)
        task_discard(take_ptr(v->push));
}

void notify_view_closed(struct view *v)
{
    struct push *p, *next;
    push_end(v);
    list_each_safe(p, next, &v->pushes, link) push_free(p);
    ranges_done(&v->own);
    ranges_done(&v->to_push);
}

/* A FETCH as a client would send it. False: there is none to be sent. */
static bool push_begin(struct session *s)
{
    struct view *v = s->view;
    struct push *p = list_first(&v->pushes, struct push, link);
    struct parse_error error;
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    if (!p && (v->to_push.n == 0 || !notify_fetches(s) || contexts_busy(v)))
        return false;
    buf_put_lit(&text, "NOTIFY UID FETCH ");
    ranges_put_text(&text, p ? &p->uids : &v->to_push);
    buf_put_byte(&text, ' ');
    buf_put_str(&text, p ? p->items : s->notify->fetch);
    if (p)
        push_free(p);
    else
        ranges_done(&v->to_push);
    struct task *t = task_new(s);
    if (command_parse_copy(buf_span(&text), &s->host->settings.parse, &t->arena, &t->command,
                           &error)) { /* more ranges than a command may have */
        task_discard(t);
        return false;
    }
    t->step = command_prepare(t, &t->effects);
    t->state = TASK_RUNNABLE;
    t->begun_us = s->input_us;
    v->push = t;
    return true;
}

/* False: there is more to fetch. */
static bool push_run(struct session *s)
{
    struct view *v = s->view;
    if (!v || v->gone || (!v->push && !push_begin(s)))
        return true;
    struct task *t = v->push;
    if (t->state != TASK_RUNNABLE)
        return true; /* the writer wakes it */
    switch (t->step(t)) {
    case STEP_AGAIN:
        return false;
    case STEP_WAIT:
        t->state = TASK_WAITING;
        return true;
    case STEP_DONE:
        push_end(v);
    }
    return false; /* what waited for it can go on */
}

void notify_note_own(struct session *s, const struct account *account, const struct request *r)
{
    const struct request_result *x = &r->result;
    if (s->view && x->error == 0 && x->count && x->mailbox == s->view->mailbox &&
        account == s->view->account && notify_fetches(s))
        ranges_add(&s->view->own, x->first_uid, x->first_uid + x->count - 1);
}

/* What has to be said of other mailboxes. False: there is more. */
static bool tell_others(struct session *s)
{
    struct notify *n = s->notify;
    int left = LINES_PER_SLICE;
    if (n->overflow) { /* section 5.8 */
        notify_become_none(n);
        n->overflow = false;
        respond_text(s, "* OK [NOTIFICATIONOVERFLOW] Too much happens; no more notifications");
    }
    struct source *from;
    list_each(from, &n->sources, link)
    {
        bool any = from->counts.n || from->flags.n || n->names_count;
        if (any && tell_source(s, from, &left)) {
            forget_pending(n);
            n->overflow = true; /* what has been missed is not known */
            return false;
        }
    }
    return !has_pending(n);
}

bool notify_run(struct session *s)
{
    bool done = !s->notify || tell_others(s);
    if (session_full(s))
        return false;
    return push_run(s) && done;
}

/* --- the selected mailbox --- */

uint32_t notify_selected(const struct session *s)
{
    return s->notify ? s->notify->selected : NOTIFY_MESSAGE_EVENTS;
}

/* Without NOTIFY: who has asked for updates of a search hears of their causes as well. */
bool notify_is_immediate(const struct session *s)
{
    return s->notify ? s->notify->selected : !list_empty(&s->view->contexts);
}

bool notify_is_delayed(const struct session *s)
{
    return s->notify && s->notify->delayed;
}

bool notify_fetches(const struct session *s)
{
    return s->notify && s->notify->fetch;
}

void notify_free(struct session *s)
{
    struct notify *n = s->notify;
    if (!n)
        return;
    notify_become_none(n);
    free(n);
    s->notify = NULL;
}
