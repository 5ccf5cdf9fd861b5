/* imap/cmd_fetch.c: FETCH and UID FETCH (RFC 9051 section 6.4.5).
 *
 * Where an item sets \Seen, messages go in batches: first the writer marks those that are unseen,
 * then their responses follow with FLAGS. So a client that goes away early leaves the rest unread.
 */
#include "imap/commands.h"
#include "imap/fetch.h"
#include "store/rights.h"
#include "wire/write.h"

/* A slice ends after so many rows or octets of messages, so that other commands get their turn. */
enum { SEEN_BATCH = 100, FETCH_ROWS = 1000, FETCH_BYTES = 512 * 1024 };

struct fetch_state {
    struct fetch_plan plan;
    struct ranges uids;
    struct view_walk walk;
    struct fetch_trouble trouble;
    /* \Seen: */
    struct ranges batch, marked; /* UIDs looked at ahead; those that became \Seen */
    uint32_t batch_end;          /* the walk may go up to this UID */
    bool marking;                /* the request is out */
    bool have_batch;
};

void fetch_plan_done(struct fetch_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        header_set_done(&plan->items[i].fields);
}

static void fetch_cleanup(struct task *t)
{
    struct fetch_state *st = t->data;
    fetch_plan_done(&st->plan);
    ranges_done(&st->uids);
    ranges_done(&st->batch);
    ranges_done(&st->marked);
}

/* --- the plan --- */

static const struct {
    uint32_t att;
    enum fetch_kind kind;
    const char *label;
    enum section_text text;
    bool derived, message;
} simple_items[] = {
    {FETCH_UID, ITEM_UID, "", SECTION_ALL, false, false},
    {FETCH_FLAGS, ITEM_FLAGS, "", SECTION_ALL, false, false},
    {FETCH_INTERNALDATE, ITEM_INTERNALDATE, "", SECTION_ALL, false, false},
    {FETCH_MODSEQ, ITEM_MODSEQ, "", SECTION_ALL, false, false},
    {FETCH_RFC822_SIZE, ITEM_SIZE, "", SECTION_ALL, false, false},
    {FETCH_EMAILID, ITEM_EMAILID, "", SECTION_ALL, false, false},
    {FETCH_THREADID, ITEM_THREADID, "", SECTION_ALL, false, false},
    {FETCH_SAVEDATE, ITEM_SAVEDATE, "", SECTION_ALL, false, false},
    {FETCH_ENVELOPE, ITEM_ENVELOPE, "ENVELOPE", SECTION_ALL, true, false},
    {FETCH_BODY, ITEM_BODY, "BODY", SECTION_ALL, true, false},
    {FETCH_BODYSTRUCTURE, ITEM_BODYSTRUCTURE, "BODYSTRUCTURE", SECTION_ALL, true, false},
    {FETCH_PREVIEW, ITEM_PREVIEW, "PREVIEW", SECTION_ALL, true, false},
    {FETCH_PREVIEW_LAZY, ITEM_PREVIEW_LAZY, "PREVIEW", SECTION_ALL, false, false},
    {FETCH_RFC822_HEADER, ITEM_SECTION, "RFC822.HEADER", SECTION_HEADER, true, true},
    {FETCH_RFC822_TEXT, ITEM_SECTION, "RFC822.TEXT", SECTION_TEXT, true, true},
    {FETCH_RFC822, ITEM_SECTION, "RFC822", SECTION_ALL, true, true},
};

static struct fetch_item *add_item(struct fetch_plan *plan, enum fetch_kind kind, bool derived,
                                   bool message)
{
    struct fetch_item *item = &plan->items[plan->count++];
    item->kind = kind;
    plan->needs_derived |= derived;
    plan->needs_message |= message;
    plan->lazy |= kind == ITEM_PREVIEW_LAZY;
    plan->has_uid |= kind == ITEM_UID;
    plan->has_flags |= kind == ITEM_FLAGS;
    plan->has_modseq |= kind == ITEM_MODSEQ;
    return item;
}

static const enum section_text section_texts[] = {
    [SPEC_ALL] = SECTION_ALL,
    [SPEC_HEADER] = SECTION_HEADER,
    [SPEC_HEADER_FIELDS] = SECTION_HEADER,
    [SPEC_HEADER_FIELDS_NOT] = SECTION_HEADER,
    [SPEC_TEXT] = SECTION_TEXT,
    [SPEC_MIME] = SECTION_MIME,
};

static int add_section(struct task *t, struct fetch_plan *plan, const struct fetch_section *sec)
{
    bool fields = sec->text == SPEC_HEADER_FIELDS || sec->text == SPEC_HEADER_FIELDS_NOT;
    enum fetch_kind kind = sec->kind == SECTION_BINARY        ? ITEM_BINARY
                           : sec->kind == SECTION_BINARY_SIZE ? ITEM_BINARY_SIZE
                           : fields                           ? ITEM_HEADER_FIELDS
                                                              : ITEM_SECTION;
    struct fetch_item *item = add_item(plan, kind, true, true);
    autobuf label = BUF_INIT(BUF_UNLIMITED);
    write_section_name(&label, sec, session_utf8(t->session));
    item->label = arena_copy(&t->arena, buf_span(&label));
    item->text = section_texts[sec->text];
    item->section = sec->part;
    item->depth = sec->n_part;
    item->partial = sec->has_partial;
    item->offset = sec->offset;
    item->length = sec->length;
    if (fields) {
        header_set_init(&item->fields, sec->fields, sec->n_fields);
        item->invert = sec->text == SPEC_HEADER_FIELDS_NOT;
    }
    return t->arena.spent ? ERR_LIMIT : 0;
}

int fetch_plan_make(struct task *t, struct fetch_plan *ret)
{
    const struct cmd_fetch *a = &t->command->fetch;
    uint32_t atts = a->atts | (t->command->uid && !t->session->uidonly ? FETCH_UID : 0);
    if (atts & FETCH_PREVIEW)
        atts &= ~(uint32_t)FETCH_PREVIEW_LAZY;
    ret->plain = a->n_sections == 0;
    ret->items =
        arena_array(&t->arena, ARRAY_LEN(simple_items) + a->n_sections, sizeof(*ret->items));
    if (!ret->items)
        return ERR_LIMIT;
    for (size_t i = 0; i < ARRAY_LEN(simple_items); i++) {
        if (!(atts & simple_items[i].att))
            continue;
        struct fetch_item *item =
            add_item(ret, simple_items[i].kind, simple_items[i].derived, simple_items[i].message);
        item->label = span_str(simple_items[i].label);
        item->text = simple_items[i].text;
        ret->plain = ret->plain && simple_items[i].kind <= ITEM_SIZE;
    }
    for (unsigned i = 0; i < a->n_sections; i++) {
        int rc = add_section(t, ret, &a->sections[i]);
        if (rc)
            return rc;
    }
    ret->sets_seen = a->sets_seen;
    return 0;
}

/* --- running --- */

static enum step fetch_begin(struct task *t, struct snap *snap)
{
    struct session *s = t->session;
    const struct cmd_fetch *a = &t->command->fetch;
    if (a->vanished && !s->qresync) /* RFC 7162 section 3.2.6 */
        return task_bad(t, "QRESYNC must be enabled first");
    struct fetch_state *st = arena_new(&t->arena, struct fetch_state);
    if (!st)
        return task_no(t, "LIMIT", "The command needs too much memory");
    t->data = st;
    t->cleanup = fetch_cleanup;
    int rc = fetch_plan_make(t, &st->plan);
    if (rc)
        return task_no(t, "LIMIT", "The command needs too much memory");
    if (s->view->read_only || s->view->gone || !(s->view->rights & RIGHT_SEEN))
        st->plan.sets_seen = false;
    rc = view_resolve(s->view, snap, &a->set, t->command->uid ? RESOLVE_UIDS : RESOLVE_NUMBERS,
                      &st->uids);
    if (rc == ERR_INVALID)
        return task_bad(t, "There is no message with that number");
    if (rc)
        return task_store_failed(t, rc, false);
    if (a->partial.first && !s->view->gone) /* section 3.4: first this, then CHANGEDSINCE */
        rc = partial_fetch(s, snap, &a->partial, &st->uids);
    if (rc)
        return task_store_failed(t, rc, false);
    if (a->has_since) {
        rc = condstore_fetch(t, snap, &st->uids);
        if (rc)
            return task_store_failed(t, rc, false);
    }
    if (st->plan.has_modseq)
        condstore_enable(s);
    view_walk_init(&st->walk, s->view, &st->uids);
    return STEP_AGAIN;
}

static enum step fetch_end(struct task *t)
{
    struct fetch_state *st = t->data;
    if (st->trouble.unknown_cte)
        return task_no(t, "UNKNOWN-CTE", "Some content could not be decoded");
    if (st->trouble.corrupt)
        return task_no(t, "CORRUPTION", "Some messages could not be read; the others are complete");
    if (st->trouble.expunged)
        return task_no(t, "EXPUNGEISSUED", "Some of the messages have been expunged");
    return task_ok(t, NULL, "FETCH completed");
}

/* RFC 9051 section 6.4.5: what cannot be decoded is not shown, so it is not seen either. */
static bool decodable(struct task *t, struct snap *snap, const struct shown *m)
{
    struct fetch_state *st = t->data;
    struct span derived;
    struct section_range r;
    for (size_t i = 0; i < st->plan.count; i++) {
        const struct fetch_item *item = &st->plan.items[i];
        if (item->kind == ITEM_BINARY && item->depth &&
            snap_derived(snap, m->row.message_id, &derived) == 0 &&
            derived_section(derived, item->section, item->depth, item->text, &r) == 0 &&
            r.part.cte == CTE_UNKNOWN)
            return false;
    }
    return true;
}

/* Looks ahead: which of the next messages are unseen? Fills the request if any is. */
static int mark_batch(struct task *t, struct snap *snap)
{
    struct fetch_state *st = t->data;
    struct view_walk ahead = st->walk;
    struct view_cursor *c;
    struct shown m;
    int rc = view_cursor_open(&ahead, snap, &c);
    if (rc)
        return rc;
    ranges_reset(&st->marked);
    st->batch_end = 0;
    request_init(&t->request, REQUEST_STORE, NULL, NULL);
    for (int n = 0; n < SEEN_BATCH && (rc = view_cursor_next(c, &m)) == 0; n++) {
        st->batch_end = m.row.uid;
        if (!m.expunged && !(m.row.flags & FLAG_SEEN) && decodable(t, snap, &m))
            ranges_add(&t->request.uids, m.row.uid, m.row.uid);
    }
    view_cursor_close(c);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (t->request.uids.n == 0)
        return 0;
    task_set_target(t, t->session->view->account);
    t->request.mailbox = t->session->view->mailbox;
    t->request.mode = STORE_ADD;
    t->request.flags = FLAG_SEEN;
    t->request.view_modseq = t->session->view->modseq;
    st->marking = true;
    return 0;
}

/* After the writer's answer: the responses to come tell the new flags. */
static void take_marked(struct task *t)
{
    struct fetch_state *st = t->data;
    st->marking = false;
    if (t->request.result.error == 0)
        ranges_copy(&st->marked, &t->request.result.uids);
    request_result_done(&t->request);
    ranges_done(&t->request.uids);
}

/* Whether the message belongs to a later batch, whose flags are not set yet. */
static bool batch_done(const struct fetch_state *st, uint32_t uid)
{
    return st->plan.sets_seen && uid > st->batch_end;
}

enum { FETCH_CHUNK = 24 * 1024 }; /* how much text is written before asking for room again */

static int fetch_row(struct task *t, struct snap *snap, const struct shown *m, struct buf **b)
{
    struct fetch_state *st = t->data;
    struct view *v = t->session->view;
    bool marked = st->marked.n && ranges_has(&st->marked, m->row.uid);
    int rc = fetch_message(t, &st->plan, snap, m, marked, &st->trouble, b);
    /* Without its mod-sequence the news are not complete for a CONDSTORE-aware client. */
    bool told = marked || (st->plan.has_flags && (st->plan.has_modseq || !t->session->condstore));
    if (st->plan.has_modseq)
        t->session->modseq_sent = true;
    if (rc == 0 && v->changed.n && told && !m->expunged)
        ranges_remove(&v->changed, m->row.uid, m->row.uid);
    return rc;
}

/* Rows until the output is full or the slice is used up. */
static int fetch_rows(struct task *t, struct snap *snap)
{
    struct fetch_state *st = t->data;
    struct session *s = t->session;
    struct view_cursor *c;
    struct shown m;
    uint64_t bytes = 0;
    int rows = 0, rc = view_cursor_open(&st->walk, snap, &c);
    if (rc)
        return rc;
    while (rc == 0 && rows < FETCH_ROWS && bytes < FETCH_BYTES && st->have_batch &&
           !session_full(s)) {
        struct buf *b = respond_begin(s);
        for (size_t start = b->n;
             rc == 0 && bytes < FETCH_BYTES && b->n >= start && b->n - start < FETCH_CHUNK;
             rows++) {
            struct view_walk before = st->walk;
            if ((rc = view_cursor_next(c, &m)) != 0)
                break;
            if (batch_done(st, m.row.uid)) {
                st->walk = before;
                st->have_batch = false;
                break;
            }
            rc = fetch_row(t, snap, &m, &b);
            if (st->plan.needs_message)
                bytes += m.row.size;
        }
        respond_end(s);
    }
    view_cursor_close(c);
    return rc;
}

enum step cmd_fetch(struct task *t)
{
    struct fetch_state *st = t->data;
    autosnap *snap = NULL;
    if (st && st->marking)
        take_marked(t);
    if (!task_view(t, &snap))
        return STEP_DONE;
    if (!st) {
        if (fetch_begin(t, snap) == STEP_DONE)
            return STEP_DONE;
        st = t->data;
    }
    int rc = 0;
    if (!st->have_batch) {
        st->have_batch = true;
        rc = st->plan.sets_seen ? mark_batch(t, snap) : 0;
        if (rc == 0 && st->marking) {
            task_submit(t);
            return STEP_WAIT;
        }
    }
    if (rc == 0)
        rc = fetch_rows(t, snap);
    if (rc == 0)
        return STEP_AGAIN;
    return rc == ERR_NOT_FOUND ? fetch_end(t) : task_store_failed(t, rc, false);
}
