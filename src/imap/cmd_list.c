/* imap/cmd_list.c: LIST with all of LIST-EXTENDED, and LSUB (RFC 9051 section 6.3.9, RFC 5258, RFC
 * 5819, RFC 6154; RFC 3501 section 6.3.9).
 *
 * One walk over the names in their order. Names that exist only as a superior of others are met
 * when the walk enters what lies below them, since everything below "a" stands together ("a/...").
 */
#include "imap/list_int.h"
#include "imap/metadata.h"
#include "imap/place.h"
#include "wire/mutf7.h"
#include "wire/write.h"

enum { NAMES_PER_SLICE = 200 };

struct listed {
    struct span prefix, name; /* of the account, and within it */
    bool exists, subscribed;
    bool no_children; /* that this user may see */
    uint32_t special_use;
    bool child_info;
    uint32_t select;      /* the criteria of the command */
    struct span old_name; /* RFC 5465 section 5.4 */
};

void put_mailbox_name(struct session *s, struct buf *b, struct span prefix, struct span name)
{
    autobuf whole = BUF_INIT(BUF_UNLIMITED);
    if (prefix.n) {
        buf_put_span(&whole, prefix);
        buf_put_span(&whole, name);
        name = buf_span(&whole);
    }
    write_mailbox(b, name, session_utf8(s));
}

static void put_attribute(struct buf *b, bool *first, const char *name)
{
    if (!*first)
        buf_put_byte(b, ' ');
    *first = false;
    buf_put_str(b, name);
}

static const struct {
    uint32_t use;
    const char *name;
} special_uses[] = {
    {USE_ALL, "\\All"},         {USE_ARCHIVE, "\\Archive"},     {USE_DRAFTS, "\\Drafts"},
    {USE_FLAGGED, "\\Flagged"}, {USE_JUNK, "\\Junk"},           {USE_SENT, "\\Sent"},
    {USE_TRASH, "\\Trash"},     {USE_IMPORTANT, "\\Important"},
};

/* RFC 9051 section 6.3.9.6: which criteria a descendant meets. */
static void put_child_info(struct buf *b, uint32_t select)
{
    bool first = true;
    buf_put_lit(b, " (\"CHILDINFO\" (");
    if (select & LIST_SELECT_SUBSCRIBED)
        put_attribute(b, &first, "\"SUBSCRIBED\"");
    if (select & LIST_SELECT_SPECIAL_USE)
        put_attribute(b, &first, "\"SPECIAL-USE\"");
    buf_put_lit(b, "))");
}

static void put_line(struct session *s, struct snap *snap, struct buf *b, const struct listed *m,
                     bool show_subscribed, bool plain_rev1)
{
    bool first = true;
    buf_put_lit(b, "* LIST (");
    if (!m->exists) /* RFC 3501 knows only \Noselect */
        put_attribute(b, &first, plain_rev1 ? "\\Noselect" : "\\NonExistent");
    put_attribute(b, &first,
                  !m->no_children && snap_has_children(snap, m->name) ? "\\HasChildren"
                                                                      : "\\HasNoChildren");
    if (m->subscribed && show_subscribed)
        put_attribute(b, &first, "\\Subscribed");
    for (size_t i = 0; i < ARRAY_LEN(special_uses); i++)
        if (m->special_use & special_uses[i].use)
            put_attribute(b, &first, special_uses[i].name);
    buf_put_lit(b, ") \"/\" ");
    put_mailbox_name(s, b, m->prefix, m->name);
    if (m->child_info)
        put_child_info(b, m->select);
    if (m->old_name.n) {
        buf_put_lit(b, " (\"OLDNAME\" (");
        put_mailbox_name(s, b, m->prefix, m->old_name);
        buf_put_lit(b, "))");
    }
    buf_put_lit(b, "\r\n");
}

static int lookup(struct snap *snap, struct span name, struct listed *ret,
                  struct mailbox_info *info)
{
    struct mailbox_name entry;
    *ret = (struct listed){.name = name};
    int rc = snap_name_seek(snap, name, false, &entry);
    if (rc == ERR_NOT_FOUND || (rc == 0 && !span_eq(entry.name, name)))
        return 0;
    if (rc)
        return rc;
    ret->subscribed = entry.subscribed;
    ret->exists = entry.id != 0;
    if (ret->exists && (rc = snap_mailbox(snap, entry.id, info)) == 0)
        ret->special_use = info->special_use;
    return rc;
}

int put_list_line(struct session *s, struct snap *snap, struct buf *b, struct span prefix,
                  struct span name)
{
    struct listed m;
    struct mailbox_info info;
    int rc = lookup(snap, name, &m, &info);
    if (rc == 0) {
        m.prefix = prefix;
        put_line(s, snap, b, &m, false, false);
    }
    return rc;
}

int put_list_news(struct session *s, struct snap *snap, struct buf *b, struct span prefix,
                  struct span name, struct span old_name)
{
    struct listed m;
    struct mailbox_info info;
    int rc = lookup(snap, name, &m, &info);
    m.prefix = prefix;
    m.old_name = old_name;
    if (prefix.n) /* those are the subscriptions of somebody else */
        m.subscribed = false;
    if (rc == 0)
        put_line(s, snap, b, &m, true, false);
    return rc;
}

/* --- selection --- */

unsigned list_match(const struct list_state *st, struct span name)
{
    unsigned bits = 0;
    for (size_t i = 0; i < st->n_patterns; i++)
        bits |= pattern_match(&st->patterns[i], name);
    return bits;
}

static bool selected(const struct list_state *st, const struct listed *m)
{
    uint32_t select = st->args->select;
    if ((select & LIST_SELECT_SUBSCRIBED) && !m->subscribed)
        return false;
    if ((select & LIST_SELECT_SPECIAL_USE) && !m->special_use)
        return false;
    return m->exists || (select & LIST_SELECT_SUBSCRIBED);
}

/* RFC 9051 section 6.3.9.3, B: a descendant that is selected but does not match the pattern. For
 * LSUB (RFC 3501 section 6.3.9) any subscribed descendant does. */
static int hidden_child(struct task *t, struct snap *snap, struct span name, bool *ret)
{
    struct list_state *st = t->data;
    autobuf from = BUF_INIT(2 * MAILBOX_NAME_MAX);
    buf_put_span(&from, name);
    buf_put_byte(&from, MAILBOX_DELIMITER);
    size_t prefix = from.n;
    struct mailbox_name entry;
    struct listed child;
    struct mailbox_info info;
    for (bool after = false;; after = true) {
        int rc = snap_name_seek(snap, buf_span(&from), after, &entry);
        if (rc == ERR_NOT_FOUND ||
            (rc == 0 && !span_starts(entry.name, span_head(buf_span(&from), prefix))))
            return 0;
        if (rc == 0)
            rc = lookup(snap, entry.name, &child, &info);
        if (rc)
            return rc;
        if (selected(st, &child) && !(list_match(st, child.name) & PATTERN_MATCH)) {
            *ret = true;
            return 0;
        }
        buf_truncate(&from, prefix);
        buf_put_span(&from, span_skip(entry.name, prefix));
    }
}

static int show_status(struct session *s, struct snap *snap, struct buf *b,
                       const struct list_state *st, const struct listed *m,
                       const struct mailbox_info *info)
{
    if (!m->exists || !(st->args->ret & LIST_RETURN_STATUS))
        return 0;
    return put_status_line(s, snap, b, m->prefix, info, st->args->status_items);
}

/* RFC 9590 section 3: of mailboxes that exist and were selected themselves. */
static int show_metadata(struct session *s, struct snap *snap, struct buf *b,
                         const struct list_state *st, const struct listed *m,
                         const struct mailbox_info *info)
{
    if (!m->exists || !st->entries)
        return 0;
    return metadata_put_entries(s, snap, b, info, m->prefix, m->name, st->entries,
                                st->args->n_entries);
}

static void put_lsub(struct session *s, struct buf *b, const struct listed *m)
{
    buf_put_str(b, m->subscribed ? "* LSUB () \"/\" " : "* LSUB (\\Noselect) \"/\" ");
    put_mailbox_name(s, b, m->prefix, m->name);
    buf_put_lit(b, "\r\n");
}

/* One name of the hierarchy, whether it is a mailbox or only leads to some. */
static int visit(struct task *t, struct snap *snap, struct buf *b, struct span name)
{
    struct session *s = t->session;
    struct list_state *st = t->data;
    struct listed m;
    struct mailbox_info info;
    uint32_t select = st->args->select;
    if (!(list_match(st, name) & PATTERN_MATCH) || list_was_shown(st, name))
        return 0;
    int rc = lookup(snap, name, &m, &info);
    m.select = select;
    bool show =
        rc == 0 && (selected(st, &m) || (!select && !m.exists && snap_has_children(snap, name)));
    if (rc == 0 && (select & LIST_SELECT_RECURSIVEMATCH))
        rc = hidden_child(t, snap, name, &m.child_info);
    if (rc || !(show || m.child_info))
        return rc;
    if (st->lsub) {
        put_lsub(s, b, &m);
        return 0;
    }
    bool subscribed = (select & LIST_SELECT_SUBSCRIBED) || (st->args->ret & LIST_RETURN_SUBSCRIBED);
    put_line(s, snap, b, &m, subscribed, !s->rev2 && !st->args->extended);
    /* RFC 9051 section 6.3.9.8, example 11: none for a name that stands there for its children. */
    if (show && m.exists && (st->args->ret & LIST_RETURN_MYRIGHTS))
        put_my_rights(s, b, m.prefix, m.name, RIGHTS_ALL);
    if (show)
        rc = show_metadata(s, snap, b, st, &m, &info);
    return show && rc == 0 ? show_status(s, snap, b, st, &m, &info) : rc;
}

int list_put_found(struct task *t, struct snap *snap, struct buf *b, const struct list_found *found)
{
    struct session *s = t->session;
    struct list_state *st = t->data;
    uint32_t select = st->args->select;
    struct listed m = {.prefix = found->prefix,
                       .name = found->info->name,
                       .exists = true,
                       .subscribed = found->subscribed,
                       .no_children = found->no_children,
                       .select = select};
    if (!selected(st, &m))
        return 0;
    if (st->lsub) {
        put_lsub(s, b, &m);
        return 0;
    }
    bool subscribed = (select & LIST_SELECT_SUBSCRIBED) || (st->args->ret & LIST_RETURN_SUBSCRIBED);
    put_line(s, snap, b, &m, subscribed, false);
    if (st->args->ret & LIST_RETURN_MYRIGHTS)
        put_my_rights(s, b, m.prefix, m.name, found->rights);
    return found->rights & RIGHT_READ ? show_status(s, snap, b, st, &m, found->info) : 0;
}

void list_put_superior(struct task *t, struct buf *b, struct span name)
{
    struct session *s = t->session;
    struct list_state *st = t->data;
    if (st->lsub || st->args->select)
        return;
    bool plain_rev1 = !s->rev2 && !st->args->extended;
    buf_put_str(b, plain_rev1 ? "* LIST (\\Noselect" : "* LIST (\\NonExistent");
    buf_put_lit(b, " \\HasChildren) \"/\" ");
    put_mailbox_name(s, b, SPAN_EMPTY, name);
    buf_put_lit(b, "\r\n");
}

/* --- the walk --- */

/* The superiors of `name` that the walk has not been below before, then `name`. *ret_skip: nothing
 * below this superior can match, so all of it can be jumped over. */
static int visit_with_superiors(struct task *t, struct snap *snap, struct buf *b, struct span name,
                                struct span *ret_skip)
{
    struct list_state *st = t->data;
    struct span before = st->started ? buf_span(&st->at) : SPAN_EMPTY;
    for (size_t i = 1; i < name.n; i++) {
        if (name.p[i] != MAILBOX_DELIMITER)
            continue;
        struct span superior = span_head(name, i);
        struct mailbox_name entry;
        bool entered = span_starts(before, span_head(name, i + 1));
        int rc = 0;
        if (!entered) {
            rc = snap_name_seek(snap, superior, false, &entry);
            if (rc == 0 && !span_eq(entry.name, superior))
                rc = visit(t, snap, b, superior);
        }
        if (rc)
            return rc;
        if (!(list_match(st, superior) & PATTERN_CHILDREN)) {
            *ret_skip = superior;
            return 0;
        }
    }
    return visit(t, snap, b, name);
}

static struct span walk_prefix(const struct list_state *st)
{
    return st->n_patterns == 1 ? pattern_prefix(&st->patterns[0]) : SPAN_EMPTY;
}

static int walk(struct task *t, struct snap *snap, struct buf *b)
{
    struct list_state *st = t->data;
    struct span prefix = walk_prefix(st);
    struct mailbox_name entry;
    bool after = st->started;
    if (!st->started)
        buf_put_span(&st->at, prefix);
    /* Each name is compared with each pattern. */
    for (size_t i = 0; i < MAX(NAMES_PER_SLICE / MAX(st->n_patterns, 1), 1); i++) {
        int rc = snap_name_seek(snap, buf_span(&st->at), after, &entry);
        if (rc == 0 && !span_starts(entry.name, prefix))
            rc = ERR_NOT_FOUND;
        struct span skip = SPAN_EMPTY;
        if (rc == 0)
            rc = visit_with_superiors(t, snap, b, entry.name, &skip);
        if (rc)
            return rc;
        st->started = after = true;
        buf_reset(&st->at);
        buf_put_span(&st->at, skip.n ? skip : entry.name);
        if (skip.n) { /* "a/..." ends before "a0" */
            buf_put_byte(&st->at, MAILBOX_DELIMITER + 1);
            after = false;
        }
    }
    return 0;
}

static void list_cleanup(struct task *t)
{
    struct list_state *st = t->data;
    buf_done(&st->at);
    list_shared_done(st);
}

/* As task_mailbox_name: UTF-8 is understood before it was enabled, too. */
static int decode_pattern(struct session *s, struct span given, struct buf *to, const char **why)
{
    return mailbox_pattern_decode(given, session_utf8(s) || !span_is_ascii(given), to, why);
}

/* False: the task has ended. */
static bool take_entries(struct task *t)
{
    const struct cmd_list *a = &t->command->list;
    struct list_state *st = t->data;
    if (!(a->ret & LIST_RETURN_METADATA))
        return true;
    struct span *entries = arena_array(&t->arena, a->n_entries, sizeof(*entries));
    if (!entries) {
        task_no(t, "LIMIT", "The command needs too much memory");
        return false;
    }
    for (unsigned i = 0; i < a->n_entries; i++) {
        if (!metadata_entry_name(t, a->entries[i], &entries[i])) {
            task_bad(t, "An entry begins with /shared or /private");
            return false;
        }
    }
    st->entries = entries;
    return true;
}

static enum step list_begin(struct task *t, bool lsub)
{
    const struct cmd_list *a = &t->command->list;
    struct list_state *st = arena_new(&t->arena, struct list_state);
    if (!st)
        return task_no(t, "LIMIT", "The command needs too much memory");
    t->data = st;
    t->cleanup = list_cleanup;
    st->args = a;
    st->lsub = lsub;
    buf_init(&st->at, 4096);
    if (!take_entries(t))
        return STEP_DONE;
    st->patterns = arena_array(&t->arena, a->n_patterns, sizeof(*st->patterns));
    if (!st->patterns)
        return task_no(t, "LIMIT", "Too many patterns");
    autobuf reference = BUF_INIT(PATTERN_MAX), pattern = BUF_INIT(PATTERN_MAX);
    const char *why = "the pattern is too long";
    int rc = decode_pattern(t->session, a->reference, &reference, &why);
    for (unsigned i = 0; i < a->n_patterns && rc == 0; i++) {
        buf_reset(&pattern);
        rc = decode_pattern(t->session, a->patterns[i], &pattern, &why);
        if (rc == 0)
            rc = pattern_init(&st->patterns[st->n_patterns++], buf_span(&reference),
                              buf_span(&pattern), MAILBOX_DELIMITER);
    }
    if (rc)
        return task_no(t, rc == ERR_LIMIT ? "LIMIT" : "CANNOT", why);
    return STEP_AGAIN;
}

/* A slice of the own account. STEP_DONE: all of it has been walked. */
static enum step list_own(struct task *t)
{
    autosnap *snap = NULL;
    int rc = snap_begin(t->session->account, &snap);
    if (rc == 0) {
        struct buf *b = respond_begin(t->session);
        rc = walk(t, snap, b);
        respond_end(t->session);
    }
    if (rc == ERR_NOT_FOUND)
        return STEP_DONE;
    return rc ? task_store_failed(t, rc, false) : STEP_AGAIN;
}

static enum step list_step(struct task *t, bool lsub, const char *done)
{
    if (!t->data && list_begin(t, lsub) == STEP_DONE)
        return STEP_DONE;
    if (t->command->list.status_items & STATUS_HIGHESTMODSEQ)
        condstore_enable(t->session);
    struct list_state *st = t->data;
    while (!st->own_done || !st->others_done) {
        /* Subscriptions to mailboxes of others that are not there any more come last, with the own.
         */
        bool others = st->own_done || (list_of_subscribed(st) && !st->others_done);
        enum step step = others ? list_shared(t) : list_own(t);
        if (step != STEP_DONE || t->tagged)
            return step;
        *(others ? &st->others_done : &st->own_done) = true;
    }
    return st->failed ? task_store_failed(t, st->failed, false) : task_ok(t, NULL, done);
}

enum step cmd_list(struct task *t)
{
    const struct cmd_list *a = &t->command->list;
    if (!a->extended && a->n_patterns == 1 && a->patterns[0].n == 0) {
        /* RFC 9051 section 6.3.9: the question for the hierarchy delimiter. */
        respond_text(t->session, "* LIST (\\Noselect) \"/\" \"\"");
        return task_ok(t, NULL, "LIST completed");
    }
    return list_step(t, false, "LIST completed");
}

enum step cmd_lsub(struct task *t)
{
    if (!t->data) {
        struct cmd_list *a = &t->command->list;
        a->select = LIST_SELECT_SUBSCRIBED | LIST_SELECT_RECURSIVEMATCH;
    }
    return list_step(t, true, "LSUB completed");
}
