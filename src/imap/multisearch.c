/* imap/multisearch.c: ESEARCH (RFC 7377): one search over many mailboxes.
 *
 * The mailboxes are found and searched one after the other, by the code of SEARCH (cmd_search.c):
 * each in a view of its own, which nobody else sees and which is not kept up to date; of a message
 * that goes meanwhile nothing is said. No snapshot outlives a step, and no list of mailboxes is
 * made: there is only a place in the sources. The selected mailbox is looked at through the
 * session's view and comes last, as a context (UPDATE) takes over what has searched it. */
#include "imap/commands.h"
#include "imap/context.h"
#include "imap/filters.h"
#include "imap/list.h"
#include "imap/place.h"
#include "imap/utf8.h"
#include "message/charset.h"
#include "store/names.h"
#include "wire/write.h"

enum {
    ACCOUNTS_MAX = 65, /* as many as a session opens, and its own */
    NAMES_PER_STEP = 200,
    MAILBOXES_PER_STEP = 16,
};

/* What of the names that an account has belongs to the source. */
enum walk_kind {
    WALK_NONE, /* the next source is to be begun */
    WALK_ALL,
    WALK_SUBSCRIBED, /* names of the own account, whosever mailboxes they are */
    WALK_ROOT,       /* one that was named, and then ... */
    WALK_BELOW,      /* ... what is below it */
};

struct looked_into {
    struct account *account; /* a reference */
    struct ranges mailboxes;
};

struct multi_state {
    struct search_state search; /* first: search_slice knows this only */
    struct view view;           /* of a mailbox that is not selected */
    struct looked_into looked_into[ACCOUNTS_MAX];
    size_t accounts;
    unsigned source, name; /* where in the command */
    enum walk_kind walk;
    struct account *account;  /* where it walks */
    struct buf prefix;        /* of names in that account */
    struct buf root, at;      /* WALK_ROOT, WALK_BELOW; where the walk stands */
    struct buf candidate;     /* WALK_SUBSCRIBED: a name of another account */
    struct buf correlators;   /* of the mailbox that is searched */
    bool after, direct;       /* begin behind `at`; only the next level */
    bool selected_too, ended; /* the selected mailbox is meant; all others have been searched */
    bool searching, damaged, limited;
};

static void forget_accounts(struct multi_state *st)
{
    for (size_t i = 0; i < st->accounts; i++) {
        account_unref(st->looked_into[i].account);
        ranges_done(&st->looked_into[i].mailboxes);
    }
    st->accounts = 0;
}

static void multi_cleanup(struct task *t)
{
    struct multi_state *st = t->data;
    struct buf *bufs[] = {&st->prefix, &st->root, &st->at, &st->candidate, &st->correlators};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_done(bufs[i]);
    forget_accounts(st);
    search_cleanup(t);
}

/* True the first time. Section 2.2: sources may name a mailbox more than once. */
static bool is_new(struct multi_state *st, struct account *account, uint32_t mailbox)
{
    size_t i = 0;
    while (i < st->accounts && st->looked_into[i].account != account)
        i++;
    if (i == ACCOUNTS_MAX) {
        st->limited = true;
        return false;
    }
    if (i == st->accounts)
        st->looked_into[st->accounts++].account = account_ref(account);
    struct ranges *done = &st->looked_into[i].mailboxes;
    if (ranges_has(done, mailbox))
        return false;
    ranges_add(done, mailbox, mailbox);
    return true;
}

/* --- one mailbox --- */

static void put_correlators(struct session *s, struct multi_state *st,
                            const struct mailbox_info *info)
{
    buf_reset(&st->correlators);
    buf_put_lit(&st->correlators, " MAILBOX ");
    put_mailbox_name(s, &st->correlators, buf_span(&st->prefix), info->name);
    buf_put_lit(&st->correlators, " UIDVALIDITY ");
    buf_put_u64(&st->correlators, info->uidvalidity);
}

static int start(struct task *t, struct snap *snap, struct view *view,
                 const struct mailbox_info *info)
{
    struct multi_state *st = t->data;
    put_correlators(t->session, st, info);
    search_program_done(&st->search.program);
    ranges_reset(&st->search.uids);
    ranges_reset(&st->search.seqs);
    buf_reset(&st->search.scores);
    st->search.modseq = st->search.first_modseq = st->search.last_modseq = 0;
    st->search.view = view;
    int rc = search_start(t, snap);
    st->searching = rc == 0;
    return rc;
}

/* Section 2.2: the right r; l too, if it was not named. Who lacks them gets no sign of it. */
static int may_search(struct task *t, struct snap *snap, uint32_t mailbox, bool named, bool *ret)
{
    struct session *s = t->session;
    const struct multi_state *st = t->data;
    const struct place place = {.account = st->account, .own = st->account == s->account};
    uint32_t needed = RIGHT_READ | (named ? 0 : RIGHT_LOOKUP), rights;
    int rc = place_rights(s, snap, &place, mailbox, &rights);
    *ret = rc == 0 && (rights & needed) == needed;
    return rc;
}

/* Begins to search a mailbox of the account that is walked, unless it has been, or may not be. */
static int consider(struct task *t, struct snap *snap, uint32_t mailbox, bool named)
{
    struct multi_state *st = t->data;
    const struct view *selected = t->session->view;
    struct mailbox_info info;
    bool may;
    int rc = snap_mailbox(snap, mailbox, &info);
    if (rc == 0)
        rc = may_search(t, snap, mailbox, named, &may);
    if (rc || !may || !is_new(st, st->account, mailbox))
        return rc == ERR_NOT_FOUND ? 0 : rc;
    if (selected && selected->account == st->account && selected->mailbox == mailbox) {
        st->selected_too = true;
        return 0;
    }
    if (info.exists == 0)
        return 0;
    st->view = (struct view){.session = t->session,
                             .account = st->account,
                             .mailbox = mailbox,
                             .uidvalidity = info.uidvalidity,
                             .modseq = info.highest_modseq,
                             .exists = info.exists,
                             .uidnext = info.uidnext};
    return start(t, snap, &st->view, &info);
}

/* --- the sources --- */

static int walk_place(struct task *t, const struct place *place, enum walk_kind kind)
{
    struct multi_state *st = t->data;
    st->account = place->account;
    st->walk = kind;
    st->after = false;
    buf_reset(&st->prefix);
    buf_put_span(&st->prefix, place->prefix);
    buf_reset(&st->root);
    buf_put_span(&st->root, place->name);
    buf_reset(&st->at);
    return 0;
}

/* "Shared" and "Other Users/mary" are not mailboxes, but something is below them. */
static int walk_root(struct task *t, struct span name, bool subtree)
{
    struct place place;
    int rc = place_of(t, name, &place);
    if (rc != ERR_NOT_FOUND || !subtree)
        return rc ? rc : walk_place(t, &place, WALK_ROOT);
    autobuf below = BUF_INIT(BUF_UNLIMITED);
    buf_put_span(&below, name);
    buf_put_lit(&below, "/INBOX");
    rc = place_of(t, buf_span(&below), &place);
    if (rc == 0 && place.prefix.n != name.n + 1)
        rc = ERR_NOT_FOUND;
    return rc ? rc : walk_place(t, &place, WALK_ALL);
}

static int walk_named(struct task *t, const struct notify_group *g)
{
    struct multi_state *st = t->data;
    const struct place own = {.account = t->session->account};
    bool subtree = g->filter != NOTIFY_MAILBOXES;
    struct span given = g->names[st->name];
    autobuf name = BUF_INIT(4 * MAILBOX_NAME_MAX);
    st->direct = g->filter == NOTIFY_SUBTREE_ONE;
    int rc = 0;
    if (given.n == 0 && subtree)
        rc = walk_place(t, &own, WALK_ALL);
    else if (session_mailbox_name(t->session, given, &name) == 0)
        rc = walk_root(t, buf_span(&name), subtree);
    if (rc == ERR_AGAIN)
        return rc;
    if (++st->name == g->n_names) {
        st->name = 0;
        st->source++;
    }
    st->limited = st->limited || rc == ERR_LIMIT;
    return 0; /* what cannot be had is ignored */
}

/* ERR_NOT_FOUND: there are no more; ERR_AGAIN: an account is being opened. */
static int next_source(struct task *t)
{
    struct multi_state *st = t->data;
    const struct cmd_search *a = &t->command->search;
    const struct place own = {.account = t->session->account};
    if (a->n_sources == 0)
        st->selected_too = true;
    if (st->source == a->n_sources)
        return ERR_NOT_FOUND;
    const struct notify_group *g = &a->sources[st->source];
    st->direct = false;
    switch (g->filter) {
    case NOTIFY_SELECTED:
    case NOTIFY_SELECTED_DELAYED:
        st->selected_too = true;
        st->source++;
        return 0;
    case NOTIFY_INBOXES: /* RFC 5465 section 6.3: with a detail in the address, all of them */
    case NOTIFY_PERSONAL:
        st->source++;
        return walk_place(t, &own, WALK_ALL);
    case NOTIFY_SUBSCRIBED:
        st->source++;
        return walk_place(t, &own, WALK_SUBSCRIBED);
    default:
        return walk_named(t, g);
    }
}

/* A subscribed name, which may be that of another account's mailbox. */
static int consider_candidate(struct task *t)
{
    struct multi_state *st = t->data;
    struct place place;
    struct mailbox_info info;
    autosnap *snap = NULL;
    int rc = place_of(t, buf_span(&st->candidate), &place);
    if (rc == ERR_AGAIN)
        return rc;
    if (rc == 0)
        rc = snap_begin(place.account, &snap);
    if (rc == 0)
        rc = snap_mailbox_find(snap, place.name, &info);
    if (rc == 0) {
        st->account = place.account;
        buf_reset(&st->prefix);
        buf_put_span(&st->prefix, place.prefix);
        rc = consider(t, snap, info.id, false);
    } else {
        st->limited = st->limited || rc == ERR_LIMIT;
        rc = 0;
    }
    buf_reset(&st->candidate);
    return rc;
}

static bool belongs(const struct multi_state *st, struct span name)
{
    return st->walk != WALK_BELOW || !st->direct ||
           !memchr(name.p + st->root.n, MAILBOX_DELIMITER, name.n - st->root.n);
}

/* One name further. ERR_NOT_FOUND: that was all. */
static int walk_on(struct task *t, struct snap *snap)
{
    struct multi_state *st = t->data;
    struct mailbox_name entry;
    int rc = snap_name_seek(snap, buf_span(&st->at), st->after, &entry);
    if (rc || (st->walk == WALK_BELOW && !span_starts(entry.name, buf_span(&st->root))))
        return rc ? rc : ERR_NOT_FOUND;
    st->after = true;
    buf_reset(&st->at);
    buf_put_span(&st->at, entry.name);
    if (st->walk == WALK_SUBSCRIBED) {
        if (entry.subscribed)
            buf_put_span(&st->candidate, entry.name);
        return 0;
    }
    return entry.id && belongs(st, entry.name) ? consider(t, snap, entry.id, false) : 0;
}

/* The mailbox that was named; then, of a subtree, what is below it. */
static int walk_from_root(struct task *t, struct snap *snap)
{
    struct multi_state *st = t->data;
    const struct cmd_search *a = &t->command->search;
    /* The source has been stepped over if this was its last name. */
    const struct notify_group *g = &a->sources[st->name ? st->source : st->source - 1];
    struct mailbox_info info;
    st->walk = g->filter == NOTIFY_MAILBOXES ? WALK_NONE : WALK_BELOW;
    int rc = snap_mailbox_find(snap, buf_span(&st->root), &info);
    buf_put_byte(&st->root, MAILBOX_DELIMITER);
    buf_put_span(&st->at, buf_span(&st->root));
    return rc == 0 ? consider(t, snap, info.id, true) : rc == ERR_NOT_FOUND ? 0 : rc;
}

/* Until a mailbox is being searched. 0: that, or go on in the next step; ERR_NOT_FOUND: there are
 * no more. */
static int find_next(struct task *t)
{
    struct multi_state *st = t->data;
    for (int i = 0; i < NAMES_PER_STEP && !st->searching;) {
        int rc;
        if (st->candidate.n) {
            rc = consider_candidate(t);
        } else if (st->walk == WALK_NONE) {
            rc = next_source(t);
            i++;
        } else {
            autosnap *snap = NULL;
            rc = snap_begin(st->walk == WALK_SUBSCRIBED ? t->session->account : st->account, &snap);
            if (rc == 0 && st->walk == WALK_ROOT)
                rc = walk_from_root(t, snap);
            for (; rc == 0 && st->walk != WALK_NONE && i < NAMES_PER_STEP && !st->searching &&
                   !st->candidate.n;
                 i++)
                rc = walk_on(t, snap);
            if (rc == ERR_NOT_FOUND) {
                st->walk = WALK_NONE;
                rc = 0;
            }
        }
        if (rc)
            return rc;
    }
    return 0;
}

static int start_selected(struct task *t)
{
    struct multi_state *st = t->data;
    struct session *s = t->session;
    struct mailbox_info info;
    autosnap *snap = NULL;
    int rc = view_begin(s, &snap);
    if (rc == 0)
        rc = snap_mailbox(snap, s->view->mailbox, &info);
    if (rc) /* it has been deleted */
        return rc;
    buf_reset(&st->prefix);
    place_put_prefix(s, s->view->account, &st->prefix);
    return start(t, snap, s->view, &info);
}

/* --- the command --- */

/* Section 2.1: a mailbox without a match is not mentioned. */
static void answer(struct task *t)
{
    struct multi_state *st = t->data;
    const struct cmd_search *a = &t->command->search;
    const uint32_t shown = SEARCH_RETURN_MIN | SEARCH_RETURN_MAX | SEARCH_RETURN_ALL |
                           SEARCH_RETURN_COUNT | SEARCH_RETURN_PARTIAL | SEARCH_RETURN_RELEVANCY;
    if ((a->ret & SEARCH_RETURN_SAVE) && st->search.view == t->session->view)
        search_save_result(t);
    if (st->search.uids.n && (!a->has_return || (a->ret & shown)))
        search_answer_esearch(t, &st->search.uids, buf_span(&st->correlators));
    st->damaged = st->damaged || st->search.damaged;
    st->searching = false;
}

/* ERR_NOT_FOUND: the mailbox has been searched. */
static int search_on(struct task *t)
{
    const struct multi_state *st = t->data;
    autosnap *snap = NULL;
    bool selected = st->search.view == t->session->view;
    int rc = selected ? view_begin(t->session, &snap)
                      : snap_begin_as(st->search.view->account,
                                      session_eyes(t->session, st->search.view->account), &snap);
    return rc ? rc : search_slice(t, snap);
}

static enum step multi_end(struct task *t)
{
    struct multi_state *st = t->data;
    bool damaged = st->damaged, limited = st->limited;
    forget_accounts(st);
    if (t->command->search.ret & SEARCH_RETURN_UPDATE)
        search_begin_update(t); /* which takes the state */
    if (damaged)
        return task_no(t, "CORRUPTION",
                       "Some messages could not be read; the others were searched");
    if (limited) /* section 2.4 */
        return task_ok(t, "LIMIT", "Mailboxes of too many others; the rest was searched");
    return task_ok(t, NULL, "ESEARCH completed");
}

/* Sections 2 and 2.2: what needs the selected mailbox. */
static bool selection_suffices(struct task *t)
{
    const struct cmd_search *a = &t->command->search;
    bool needed = a->n_sources == 0 || (a->ret & SEARCH_RETURN_UPDATE);
    for (unsigned i = 0; i < a->n_sources; i++)
        needed = needed || a->sources[i].filter == NOTIFY_SELECTED;
    if (needed && !t->session->view)
        task_bad(t, "No mailbox is selected; SELECT or EXAMINE one first");
    return !needed || t->session->view;
}

static enum step multi_begin(struct task *t)
{
    const struct cmd_search *a = &t->command->search;
    if (!selection_suffices(t) || !utf8_charset_allowed(t))
        return STEP_DONE;
    if (a->charset.n && !charset_known(a->charset))
        return search_failed(t, ERR_DENIED);
    struct multi_state *st = arena_new(&t->arena, struct multi_state);
    if (!st)
        return task_no(t, "LIMIT", "The command needs too much memory");
    t->data = st;
    t->cleanup = multi_cleanup;
    search_state_init(&st->search);
    struct buf *bufs[] = {&st->prefix, &st->root, &st->at, &st->candidate, &st->correlators};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_init(bufs[i], BUF_UNLIMITED);
    bool reused = false;
    if (a->ret & SEARCH_RETURN_UPDATE)
        st->search.context = context_new(t, &reused);
    if (reused) /* RFC 5267 section 4.3 */
        return task_bad(t, "That tag is in use with UPDATE");
    if (!filters_expand(t))
        return STEP_DONE;
    if (t->session->uidonly && uidonly_refuses(t->command))
        return uidonly_refused(t);
    return STEP_AGAIN;
}

static int next_mailbox(struct task *t)
{
    struct multi_state *st = t->data;
    int rc = st->ended ? ERR_NOT_FOUND : find_next(t);
    if (rc != ERR_NOT_FOUND || st->ended)
        return rc;
    st->ended = true;
    rc = st->selected_too ? start_selected(t) : ERR_NOT_FOUND;
    if (rc == ERR_NOT_FOUND) { /* UPDATE is about that one only, and so is SAVE */
        context_free(take_ptr(st->search.context));
        if (t->command->search.ret & SEARCH_RETURN_SAVE)
            ranges_reset(&t->session->saved);
    }
    return rc;
}

enum step cmd_esearch(struct task *t)
{
    if (!t->data && multi_begin(t) == STEP_DONE)
        return STEP_DONE;
    struct multi_state *st = t->data;
    for (int i = 0; i < MAILBOXES_PER_STEP && !session_full(t->session); i++) {
        int rc = st->searching ? 0 : next_mailbox(t);
        if (rc == ERR_AGAIN)
            return STEP_WAIT;
        if (rc == ERR_NOT_FOUND)
            return multi_end(t);
        if (rc)
            return search_failed(t, rc);
        if (!st->searching)
            break;
        rc = search_on(t);
        if (rc == 0)
            break;
        if (rc != ERR_NOT_FOUND)
            return search_failed(t, rc);
        answer(t);
    }
    return STEP_AGAIN;
}
