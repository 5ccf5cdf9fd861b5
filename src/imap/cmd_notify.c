/* imap/cmd_notify.c: the command NOTIFY (RFC 5465): its rules, the accounts that they are about,
 * the STATUS answers of the beginning. What it then does is in notify.c. */
#include "imap/list.h"
#include "imap/notify_int.h"
#include "imap/shares.h"
#include "store/names.h"

enum { STATUS_PER_SLICE = 200 };

/* What we can tell of; what is missing is answered with BADEVENT. */
enum {
    SUPPORTED = NOTIFY_MESSAGE_NEW | NOTIFY_MESSAGE_EXPUNGE | NOTIFY_FLAG_CHANGE |
                NOTIFY_MAILBOX_NAME | NOTIFY_SUBSCRIPTION_CHANGE | NOTIFY_MAILBOX_METADATA |
                NOTIFY_SERVER_METADATA,
};

struct notify_state {
    struct notify *made;
    struct buf prefixes;    /* of accounts that are to be opened, each followed by NUL */
    size_t opened;          /* so far in it */
    struct source *walking; /* STATUS: this account ... */
    struct buf at;          /* ... and where the walk over its names stands */
    bool started, ready;
};

static void notify_cleanup(struct task *t)
{
    struct notify_state *st = t->data;
    buf_done(&st->at);
    buf_done(&st->prefixes);
    if (st->made) {
        notify_become_none(st->made);
        free(st->made);
    }
}

static enum step bad_event(struct task *t)
{
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&code, "BADEVENT (");
    bool first = true;
    for (uint32_t bit = 1; bit <= SUPPORTED; bit <<= 1) {
        if (!(bit & SUPPORTED))
            continue;
        buf_printf(&code, "%s%s", first ? "" : " ", notify_event_name(bit));
        first = false;
    }
    buf_put_byte(&code, ')');
    buf_put_byte(&code, '\0');
    return task_no(t, code.p, "Such events are not known here");
}

struct rule_maker {
    struct buf rules, text;
};

static int by_name(const void *a, const void *b, void *text)
{
    const struct rule *x = a, *y = b;
    const char *at = text;
    return span_cmp(span_make(at + x->at, x->n), span_make(at + y->at, y->n));
}

static struct rules *rules_take(struct rule_maker *m)
{
    size_t n = m->rules.n / sizeof(struct rule);
    if (n == 0)
        return NULL;
    qsort_r(m->rules.p, n, sizeof(struct rule), by_name, m->text.p);
    struct rules *r = xmalloc(sizeof(*r) + m->rules.n + m->text.n);
    r->n = n;
    memcpy(r->v, m->rules.p, m->rules.n);
    memcpy(&r->v[n], m->text.p, m->text.n);
    return r;
}

/* Section 3.1: names that cannot be are ignored like those that are not there. */
static void add_names(struct session *s, const struct notify_group *g, struct notify *n,
                      struct rule_maker *m)
{
    for (unsigned i = 0; i < g->n_names; i++) {
        autobuf name = BUF_INIT(4 * MAILBOX_NAME_MAX);
        if (g->names[i].n == 0 && g->filter == NOTIFY_SUBTREE) { /* the root: everything */
            n->personal |= (uint8_t)g->events;
            continue;
        }
        if (session_mailbox_name(s, g->names[i], &name))
            continue;
        struct rule rule = {.at = (uint32_t)m->text.n,
                            .n = (uint32_t)name.n,
                            .events = (uint8_t)g->events,
                            .subtree = g->filter == NOTIFY_SUBTREE,
                            .none = g->events == 0};
        buf_put_span(&m->text, buf_span(&name));
        buf_put(&m->rules, &rule, sizeof(rule));
    }
}

static struct notify *notify_make(struct task *t)
{
    const struct cmd_notify *a = &t->command->notify;
    struct notify *n = xnew(struct notify);
    struct rule_maker m;
    n->session = t->session;
    list_init(&n->names);
    list_init(&n->sources);
    buf_init(&m.rules, BUF_UNLIMITED);
    buf_init(&m.text, BUF_UNLIMITED);
    for (unsigned i = 0; i < a->n_groups; i++) {
        const struct notify_group *g = &a->groups[i];
        if (g->filter != NOTIFY_SELECTED && g->filter != NOTIFY_SELECTED_DELAYED)
            n->any |= (uint8_t)g->events;
        switch (g->filter) {
        case NOTIFY_SELECTED:
        case NOTIFY_SELECTED_DELAYED:
            n->selected = (uint8_t)g->events;
            n->delayed = g->filter == NOTIFY_SELECTED_DELAYED;
            break;
        case NOTIFY_INBOXES: /* section 6.3: with a detail in the address, all of them */
        case NOTIFY_PERSONAL:
            n->personal |= (uint8_t)g->events;
            break;
        case NOTIFY_SUBSCRIBED:
            n->subscribed |= (uint8_t)g->events;
            break;
        case NOTIFY_SUBTREE:
        case NOTIFY_MAILBOXES:
        case NOTIFY_SUBTREE_ONE: /* refused by the parser */
            add_names(t->session, g, n, &m);
        }
    }
    n->rules = rules_take(&m);
    buf_done(&m.rules);
    buf_done(&m.text);
    if (a->fetch.n && (n->selected & NOTIFY_MESSAGE_NEW))
        n->fetch = span_dup(a->fetch);
    return n;
}

/* Section 3.1: what STATUS SET has to tell of a mailbox. */
static uint32_t first_items(uint32_t events)
{
    uint32_t items = 0;
    if (events & NOTIFY_MESSAGE_NEW)
        items |= STATUS_MESSAGES | STATUS_UIDNEXT | STATUS_UIDVALIDITY;
    if (events & (NOTIFY_FLAG_CHANGE | NOTIFY_ANNOTATION_CHANGE))
        items |= STATUS_UIDVALIDITY | STATUS_HIGHESTMODSEQ;
    return items;
}

static int first_of(struct task *t, struct snap *snap, const struct mailbox_name *entry)
{
    struct notify_state *st = t->data;
    struct source *from = st->walking;
    struct session *s = t->session;
    struct mailbox_info info;
    uint32_t events, rights;
    int rc = notify_wanted(from, snap, entry->name, &events);
    if (rc || entry->id == 0 || events == 0 || notify_source_selected(from, entry->id))
        return rc;
    rc = notify_rights(from, snap, entry->id, &rights);
    if (rc || !(rights & RIGHT_LOOKUP))
        return rc;
    if (!(rights & RIGHT_READ)) { /* section 3.1 */
        notify_put_lost(s, from, entry->name, "\\NoAccess");
        return 0;
    }
    uint32_t items = t->command->notify.status ? first_items(events) : 0;
    if (items == 0)
        return 0;
    rc = snap_mailbox(snap, entry->id, &info);
    if (rc)
        return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    struct buf *b = respond_begin(s);
    rc = put_status_line(s, snap, b, span_str(from->prefix), &info, items);
    respond_end(s);
    return rc;
}

/* A slice of the walk over the names of st->walking. ERR_NOT_FOUND: that was all. */
static int first_status(struct task *t, struct snap *snap)
{
    struct notify_state *st = t->data;
    struct mailbox_name entry;
    for (int i = 0; i < STATUS_PER_SLICE && !session_full(t->session); i++) {
        int rc = snap_name_seek(snap, buf_span(&st->at), st->started, &entry);
        if (rc)
            return rc;
        st->started = true;
        buf_reset(&st->at);
        buf_put_span(&st->at, entry.name);
        rc = first_of(t, snap, &entry);
        if (rc)
            return rc;
    }
    return 0;
}

/* Own mailboxes only if STATUS is asked for; those of others also for \NoAccess. */
static struct source *next_to_walk(struct task *t, struct source *after)
{
    struct notify_state *st = t->data;
    struct source *from;
    bool passed = !after;
    list_each(from, &st->made->sources, link)
    {
        if (passed && (t->command->notify.status || !is_own(from)))
            return from;
        passed = passed || from == after;
    }
    return NULL;
}

/* --- accounts of others --- */

static void add_prefix(struct notify_state *st, struct span prefix)
{
    for (size_t at = 0; at < st->prefixes.n;) {
        struct span one = span_str(st->prefixes.p + at);
        if (span_eq(one, prefix))
            return;
        at += one.n + 1;
    }
    buf_put_span(&st->prefixes, prefix);
    buf_put_byte(&st->prefixes, '\0');
}

/* "Other Users/mary/box": its account's prefix is "Other Users/mary/". */
static void add_account_of(struct notify_state *st, struct span name)
{
    autobuf below = BUF_INIT(BUF_UNLIMITED);
    buf_put_span(&below, name);
    buf_put_byte(&below, MAILBOX_DELIMITER);
    struct span whole = buf_span(&below);
    if (span_starts(whole, SPAN(PLACE_SHARED))) {
        add_prefix(st, SPAN(PLACE_SHARED));
    } else if (span_starts(whole, SPAN(PLACE_OTHERS))) {
        size_t user = span_find_byte(span_skip(whole, sizeof(PLACE_OTHERS) - 1), MAILBOX_DELIMITER);
        if (user != SPAN_NPOS && user > 0)
            add_prefix(st, span_head(whole, sizeof(PLACE_OTHERS) - 1 + user + 1));
    }
}

static int add_subscribed(struct task *t, struct span below)
{
    struct notify_state *st = t->data;
    struct mailbox_name entry;
    autosnap *snap = NULL;
    autobuf at = BUF_INIT(BUF_UNLIMITED);
    int rc = snap_begin(t->session->account, &snap);
    buf_put_span(&at, below);
    for (int i = 0; rc == 0 && i < NOTIFY_SOURCES_MAX * STATUS_PER_SLICE; i++) {
        rc = snap_name_seek(snap, buf_span(&at), i > 0, &entry);
        if (rc || !span_starts(entry.name, below))
            break;
        if (entry.subscribed)
            add_account_of(st, entry.name);
        buf_reset(&at);
        buf_put_span(&at, entry.name);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int find_accounts(struct task *t)
{
    struct notify_state *st = t->data;
    const struct rules *r = st->made->rules;
    for (size_t i = 0; r && i < r->n; i++)
        if (r->v[i].events)
            add_account_of(st, notify_rule_name(r, &r->v[i]));
    int rc = st->made->subscribed ? add_subscribed(t, SPAN(PLACE_OTHERS)) : 0;
    if (rc == 0 && st->made->subscribed)
        rc = add_subscribed(t, SPAN(PLACE_SHARED));
    return rc;
}

/* Below "Other Users": of those who share something. ERR_AGAIN: wait. */
static int add_sharers(struct task *t)
{
    struct notify_state *st = t->data;
    const struct rules *r = st->made->rules;
    bool all = false;
    for (size_t i = 0; r && i < r->n; i++)
        all =
            all || (r->v[i].events && span_eq(notify_rule_name(r, &r->v[i]), SPAN("Other Users")));
    if (!all)
        return 0;
    int rc = shares_know(t, t->begun_us);
    struct span owners = shares_owners(t->session), owner;
    while (rc == 0 && span_split(&owners, '\n', &owner)) {
        autobuf name = BUF_INIT(BUF_UNLIMITED);
        buf_put_lit(&name, PLACE_OTHERS);
        buf_put_span(&name, owner);
        if (owner.n)
            add_account_of(st, buf_span(&name));
    }
    return rc;
}

/* False: one of them is being opened. Those that cannot be had are ignored (section 3.1). */
static bool open_accounts(struct task *t)
{
    struct notify_state *st = t->data;
    while (st->opened < st->prefixes.n) {
        struct span prefix = span_str(st->prefixes.p + st->opened);
        autobuf name = BUF_INIT(BUF_UNLIMITED);
        struct place place;
        buf_put_span(&name, prefix);
        buf_put_lit(&name, "INBOX");
        int rc = place_of(t, buf_span(&name), &place);
        if (rc == ERR_AGAIN)
            return false;
        if (rc == 0 && !place.own)
            notify_source_add(st->made, place.account, prefix);
        st->opened += prefix.n + 1;
    }
    return true;
}

/* From now on; what happens between this and the tagged answer is announced by it as before. */
static void take_effect(struct task *t)
{
    struct session *s = t->session;
    struct notify_state *st = t->data;
    notify_free(s);
    if (s->view)
        notify_view_closed(s->view);
    s->notify = take_ptr(st->made);
}

static enum step notify_begin(struct task *t)
{
    const struct cmd_notify *a = &t->command->notify;
    struct notify_state *st = arena_new(&t->arena, struct notify_state);
    if (!st)
        return task_no(t, "LIMIT", "The command needs too much memory");
    if (a->unknown_event)
        return bad_event(t);
    for (unsigned i = 0; i < a->n_groups; i++)
        if (a->groups[i].events & ~(uint32_t)SUPPORTED)
            return bad_event(t);
    buf_init(&st->at, 4096);
    buf_init(&st->prefixes, BUF_UNLIMITED);
    t->data = st;
    t->cleanup = notify_cleanup;
    st->made = notify_make(t);
    int rc = st->made->any ? find_accounts(t) : 0;
    /* What changes while the STATUS answers go out must not be missed. */
    if (st->made->any)
        notify_source_add(st->made, t->session->account, SPAN_EMPTY);
    return rc ? task_store_failed(t, rc, false) : STEP_AGAIN;
}

enum step cmd_notify(struct task *t)
{
    if (!t->data && notify_begin(t) == STEP_DONE)
        return STEP_DONE;
    struct notify_state *st = t->data;
    if (!st->ready) {
        if (add_sharers(t) == ERR_AGAIN || !open_accounts(t))
            return STEP_WAIT;
        st->ready = true;
        st->walking = next_to_walk(t, NULL);
    }
    if (st->walking) {
        autosnap *snap = NULL;
        struct account *account = st->walking->account;
        int rc = snap_begin_as(account, session_eyes(t->session, account), &snap);
        if (rc == 0)
            rc = first_status(t, snap);
        if (rc && rc != ERR_NOT_FOUND)
            return task_store_failed(t, rc, false);
        if (rc) {
            st->walking = next_to_walk(t, st->walking);
            st->started = false;
            buf_reset(&st->at);
        }
        return STEP_AGAIN;
    }
    take_effect(t);
    return task_ok(t, NULL, "NOTIFY completed");
}
