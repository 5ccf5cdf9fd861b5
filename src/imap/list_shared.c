/* imap/list_shared.c: the mailboxes of other accounts in LIST: those below "Shared/", and those of
 * each user that a pattern names ("Other Users/mary/..."). What the user has no right `l` to is not
 * there (RFC 4314 section 4). */
#include "imap/list_int.h"
#include "imap/place.h"
#include "wire/match.h"

enum { SOURCES_MAX = 64 };

struct shared_source {
    struct span name; /* some name in that account, for place_of */
    bool done;
};

struct shared_walk {
    struct shared_source sources[SOURCES_MAX];
    size_t count, at;
    struct buf from; /* the name where the walk of sources[at] stands */
    bool started;
    int failed; /* an account could not be had now */
};

static void add_source(struct task *t, struct shared_walk *w, struct span prefix)
{
    autobuf name = BUF_INIT(BUF_UNLIMITED);
    buf_put_span(&name, prefix);
    buf_put_lit(&name, "INBOX");
    for (size_t i = 0; i < w->count; i++)
        if (span_eq(w->sources[i].name, buf_span(&name)))
            return;
    if (w->count < SOURCES_MAX)
        w->sources[w->count++].name = arena_copy(&t->arena, buf_span(&name));
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
    const struct list_state *st = t->data;
    struct imap_host *host = t->session->host;
    struct shared_walk *w = arena_new(&t->arena, struct shared_walk);
    if (!w)
        return NULL;
    buf_init(&w->from, MAILBOX_NAME_MAX);
    if (!host->account_of)
        return w;
    if (host->public_user && *host->public_user)
        add_source(t, w, SPAN(PLACE_SHARED));
    for (size_t i = 0; i < st->n_patterns; i++) {
        struct span prefix;
        if (named_user(pattern_prefix(&st->patterns[i]), &prefix))
            add_source(t, w, prefix);
    }
    return w;
}

/* One mailbox, if it is for this user and for this command. */
static int show(struct task *t, struct snap *snap, struct snap *own, struct buf *b,
                const struct place *place, struct span name)
{
    struct list_state *st = t->data;
    autobuf whole = BUF_INIT(BUF_UNLIMITED);
    uint32_t rights;
    struct mailbox_info info;
    struct mailbox_name entry;
    buf_put_span(&whole, place->prefix);
    buf_put_span(&whole, name);
    if (!(list_match(st, buf_span(&whole)) & PATTERN_MATCH))
        return 0;
    int rc = snap_mailbox_find(snap, name, &info);
    if (rc == 0)
        rc = place_rights(t->session, snap, place, info.id, &rights);
    if (rc || !(rights & RIGHT_LOOKUP))
        return rc;
    rc = snap_name_seek(own, buf_span(&whole), false, &entry);
    struct list_found found = {.prefix = place->prefix,
                               .info = &info,
                               .rights = rights,
                               .subscribed = rc == 0 && entry.subscribed &&
                                             span_eq(entry.name, buf_span(&whole))};
    return rc && rc != ERR_NOT_FOUND ? rc : list_put_found(t, snap, b, &found);
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
            rc = show(t, snap, own, b, place, buf_span(&w->from));
    }
    respond_end(t->session);
    return rc;
}

enum step list_shared(struct task *t)
{
    struct list_state *st = t->data;
    struct shared_walk *w = st->shared;
    struct place place;
    if (!w)
        w = st->shared = shared_begin(t);
    if (!w)
        return task_no(t, "LIMIT", "The command needs too much memory");
    if (w->at == w->count)
        return w->failed ? task_store_failed(t, w->failed, false) : STEP_DONE;
    int rc = place_of(t, w->sources[w->at].name, &place);
    if (rc == ERR_AGAIN)
        return STEP_WAIT;
    if (rc == 0 && !place.own)
        rc = walk_source(t, w, &place);
    else if (rc == 0)
        rc = ERR_NOT_FOUND;
    if (rc == 0)
        return STEP_AGAIN;
    /* The others are listed. But OK would say that this was all: a client that keeps copies would
     * throw away those of the mailboxes that it does not see. */
    if (rc != ERR_NOT_FOUND)
        w->failed = rc == ERR_BUSY ? ERR_CLOSED : rc;
    w->at++;
    w->started = false;
    buf_reset(&w->from);
    return STEP_AGAIN;
}

void list_shared_done(struct list_state *st)
{
    if (st->shared)
        buf_done(&st->shared->from);
}
