/* imap/list_shared.c: the mailboxes of other accounts in LIST: those below "Shared/", and those of
 * each user that a pattern names ("Other Users/mary/..."). What the user has no right `l` to is not
 * there (RFC 4314 section 4). */
#include "base/clock.h"
#include "imap/list_int.h"
#include "imap/place.h"
#include "imap/shares.h"
#include "wire/match.h"

struct shared_walk {
    uint64_t since_us;  /* what is known of who shares must not be older */
    bool found;         /* the sources */
    struct buf sources; /* prefixes of accounts, each followed by '\n' */
    size_t at;
    struct buf from; /* the name where the walk of the source at `at` stands */
    struct buf last; /* the name that was visited last, of whatever source */
    bool started;
    struct buf shown; /* subscribed names, each followed by '\n' */
};

static void add_source(struct shared_walk *w, struct span prefix)
{
    struct span rest = buf_span(&w->sources), one;
    while (span_split(&rest, '\n', &one))
        if (span_eq(one, prefix))
            return;
    buf_put_span(&w->sources, prefix);
    buf_put_byte(&w->sources, '\n');
}

/* "Other Users/mary/" at the beginning of a pattern. */
static bool named_user(struct span pattern, struct span *ret)
{
    if (!span_starts(pattern, SPAN(PLACE_OTHERS)))
        return false;
    size_t head = strlen(PLACE_OTHERS);
    size_t n = span_find_byte(span_skip(pattern, head), MAILBOX_DELIMITER);
    if (n == SPAN_NPOS || n == 0)
        return false;
    *ret = span_head(pattern, head + n + 1);
    return true;
}

static struct shared_walk *shared_begin(struct task *t)
{
    struct shared_walk *w = arena_new(&t->arena, struct shared_walk);
    if (!w)
        return NULL;
    buf_init(&w->sources, BUF_UNLIMITED);
    buf_init(&w->from, MAILBOX_NAME_MAX);
    buf_init(&w->last, 2 * MAILBOX_NAME_MAX);
    buf_init(&w->shown, BUF_UNLIMITED);
    w->since_us = clock_monotonic_us();
    return w;
}

/* Whether a pattern can match "Other Users/mary" or what is below it, or "Other Users", which is
 * there if anything is below it. */
static bool may_match(const struct list_state *st, struct span prefix)
{
    size_t top = span_find_byte(prefix, MAILBOX_DELIMITER);
    return list_match(st, span_head(prefix, prefix.n - 1)) ||
           (list_match(st, span_head(prefix, top)) & PATTERN_MATCH);
}

static int find_sources(struct task *t, struct shared_walk *w)
{
    const struct list_state *st = t->data;
    struct imap_host *host = t->session->host;
    if (!host->account_of)
        return 0;
    int rc = shares_know(t, w->since_us);
    if (rc)
        return rc;
    if (host->public_user && *host->public_user && may_match(st, SPAN(PLACE_SHARED)))
        add_source(w, SPAN(PLACE_SHARED));
    for (size_t i = 0; i < st->n_patterns; i++) {
        struct span prefix;
        if (named_user(pattern_prefix(&st->patterns[i]), &prefix))
            add_source(w, prefix);
    }
    struct span owners = shares_owners(t->session), owner;
    while (span_split(&owners, '\n', &owner)) {
        autobuf prefix = BUF_INIT(BUF_UNLIMITED);
        buf_put_lit(&prefix, PLACE_OTHERS);
        buf_put_span(&prefix, owner);
        buf_put_byte(&prefix, MAILBOX_DELIMITER);
        bool public = host->public_user && span_eq(owner, span_str(host->public_user));
        if (owner.n && !public && may_match(st, buf_span(&prefix)))
            add_source(w, buf_span(&prefix));
    }
    return 0;
}

/* Whether this user may know of a name of that account. */
static int visible(struct task *t, struct snap *snap, const struct place *place, struct span name,
                   struct mailbox_info *info, uint32_t *rights)
{
    int rc = snap_mailbox_find(snap, name, info);
    if (rc == 0)
        rc = place_rights(t->session, snap, place, info->id, rights);
    return rc == 0 && !(*rights & RIGHT_LOOKUP) ? ERR_NOT_FOUND : rc;
}

/* Whether the user may see something below a mailbox. Of very many that he may not see only the
 * first are looked at. */
static bool may_see_below(struct task *t, struct snap *snap, const struct place *place,
                          struct span name)
{
    enum { LOOKED_AT = 200 };
    autobuf at = BUF_INIT(2 * MAILBOX_NAME_MAX);
    struct mailbox_name entry;
    struct mailbox_info info;
    uint32_t rights;
    buf_put_span(&at, name);
    buf_put_byte(&at, MAILBOX_DELIMITER);
    size_t prefix = at.n;
    for (int i = 0; i < LOOKED_AT; i++) {
        if (snap_name_seek(snap, buf_span(&at), i > 0, &entry) ||
            !span_starts(entry.name, span_head(buf_span(&at), prefix)))
            return false;
        if (entry.id && visible(t, snap, place, entry.name, &info, &rights) == 0)
            return true;
        buf_truncate(&at, prefix);
        buf_put_span(&at, span_skip(entry.name, prefix));
    }
    return true;
}

/* The superiors of a visible mailbox that are none themselves ("Other Users", "Other Users/mary",
 * and those for which the user has no right `l`), when the walk enters what is below them. */
static int show_superiors(struct task *t, struct snap *snap, struct shared_walk *w, struct buf *b,
                          const struct place *place, struct span whole)
{
    const struct list_state *st = t->data;
    struct mailbox_info info;
    uint32_t rights;
    for (size_t i = 1; i < whole.n; i++) {
        struct span name = span_head(whole, i);
        if (whole.p[i] != MAILBOX_DELIMITER ||
            span_starts(buf_span(&w->last), span_head(whole, i + 1)) ||
            !(list_match(st, name) & PATTERN_MATCH))
            continue;
        int rc = ERR_NOT_FOUND;
        if (i >= place->prefix.n)
            rc = visible(t, snap, place, span_skip(name, place->prefix.n), &info, &rights);
        if (rc == ERR_NOT_FOUND)
            list_put_superior(t, b, name);
        else if (rc)
            return rc;
    }
    return 0;
}

/* One mailbox, if it is for this user and for this command. ERR_NOT_FOUND: no other one of this
 * account can be for this command. */
static int show(struct task *t, struct snap *snap, struct snap *own, struct shared_walk *w,
                struct buf *b, const struct place *place, struct span name)
{
    struct list_state *st = t->data;
    autobuf whole = BUF_INIT(BUF_UNLIMITED);
    uint32_t rights;
    struct mailbox_info info;
    struct mailbox_name entry;
    int rc = visible(t, snap, place, name, &info, &rights);
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    buf_put_span(&whole, place->prefix);
    buf_put_span(&whole, name);
    rc = show_superiors(t, snap, w, b, place, buf_span(&whole));
    if (rc)
        return rc;
    buf_reset(&w->last);
    buf_put_span(&w->last, buf_span(&whole));
    if (!list_match(st, span_head(place->prefix, place->prefix.n - 1)))
        return ERR_NOT_FOUND;
    if (!(list_match(st, buf_span(&whole)) & PATTERN_MATCH))
        return 0;
    rc = snap_name_seek(own, buf_span(&whole), false, &entry);
    struct list_found found = {.prefix = place->prefix,
                               .info = &info,
                               .rights = rights,
                               .no_children = !may_see_below(t, snap, place, name),
                               .subscribed = rc == 0 && entry.subscribed &&
                                             span_eq(entry.name, buf_span(&whole))};
    if (found.subscribed && list_of_subscribed(st)) {
        buf_put_span(&w->shown, buf_span(&whole));
        buf_put_byte(&w->shown, '\n');
    }
    return rc && rc != ERR_NOT_FOUND ? rc : list_put_found(t, snap, b, &found);
}

bool list_was_shown(const struct list_state *st, struct span name)
{
    struct span rest = st->shared ? buf_span(&st->shared->shown) : SPAN_EMPTY, one;
    while (span_split(&rest, '\n', &one))
        if (span_eq(one, name))
            return true;
    return false;
}

/* ERR_NOT_FOUND: this account has been walked. */
static int walk_source(struct task *t, struct shared_walk *w, const struct place *place)
{
    autosnap *snap = NULL, *own = NULL;
    struct mailbox_name entry;
    int rc = snap_begin_as(place->account, session_eyes(t->session, place->account), &snap);
    if (rc == 0)
        rc = snap_begin(t->session->account, &own);
    if (rc)
        return rc;
    struct buf *b = respond_begin(t->session);
    for (int i = 0; i < 100 && rc == 0; i++) {
        rc = snap_name_seek(snap, buf_span(&w->from), w->started, &entry);
        if (rc)
            break;
        w->started = true;
        buf_reset(&w->from);
        buf_put_span(&w->from, entry.name);
        if (entry.id)
            rc = show(t, snap, own, w, b, place, buf_span(&w->from));
    }
    respond_end(t->session);
    return rc;
}

/* Some name in the account that comes next, for place_of. */
static bool next_source(struct task *t, const struct shared_walk *w, struct span *ret)
{
    struct span rest = span_skip(buf_span(&w->sources), w->at), prefix;
    autobuf name = BUF_INIT(BUF_UNLIMITED);
    if (!rest.n)
        return false;
    (void)!span_split(&rest, '\n', &prefix);
    buf_put_span(&name, prefix);
    buf_put_lit(&name, "INBOX");
    *ret = arena_copy(&t->arena, buf_span(&name));
    return true;
}

/* "Other Users" has been shown, and nothing below this account can match. */
static bool is_done(const struct list_state *st, const struct shared_walk *w, struct span name)
{
    struct span prefix = span_head(name, name.n - strlen("INBOX"));
    size_t top = span_find_byte(prefix, MAILBOX_DELIMITER) + 1;
    return span_starts(buf_span(&w->last), span_head(prefix, top)) &&
           !list_match(st, span_head(prefix, prefix.n - 1));
}

/* The others are listed. But OK would say that this was all: a client that keeps copies would throw
 * away those of the mailboxes that it does not see. */
static void source_ends(struct list_state *st, struct shared_walk *w, int error)
{
    struct span rest = span_skip(buf_span(&w->sources), w->at);
    if (error != ERR_NOT_FOUND)
        st->failed = error == ERR_BUSY ? ERR_CLOSED : error;
    w->at += span_find_byte(rest, '\n') + 1;
    w->started = false;
    buf_reset(&w->from);
}

enum step list_shared(struct task *t)
{
    struct list_state *st = t->data;
    struct shared_walk *w = st->shared;
    struct place place;
    struct span name;
    if (!w)
        w = st->shared = shared_begin(t);
    if (!w)
        return task_no(t, "LIMIT", "The command needs too much memory");
    if (!w->found) {
        int rc = find_sources(t, w);
        if (rc)
            return rc == ERR_AGAIN ? STEP_WAIT : task_store_failed(t, ERR_CLOSED, false);
        w->found = true;
    }
    if (!next_source(t, w, &name))
        return STEP_DONE;
    int rc = is_done(st, w, name) ? ERR_NOT_FOUND : place_of(t, name, &place);
    if (rc == ERR_AGAIN)
        return STEP_WAIT;
    if (rc == 0)
        rc = place.own ? ERR_NOT_FOUND : walk_source(t, w, &place);
    if (rc)
        source_ends(st, w, rc);
    return STEP_AGAIN;
}

void list_shared_done(struct list_state *st)
{
    if (!st->shared)
        return;
    buf_done(&st->shared->sources);
    buf_done(&st->shared->from);
    buf_done(&st->shared->last);
    buf_done(&st->shared->shown);
}
