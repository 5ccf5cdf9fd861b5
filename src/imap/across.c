#include "imap/across.h"

#include "imap/commands.h"
#include "store/transfer.h"

enum { SLICE_BYTES = 256 << 10 };

enum phase {
    ACROSS_INTEND, /* MOVE: what is to go is said at the source */
    ACROSS_INTENDED,
    ACROSS_READ, /* the bytes */
    ACROSS_APPENDED,
    ACROSS_ENDED, /* MOVE: expunged at the source, or given up */
};

struct across {
    struct imap_host *host;
    struct across_target to;
    struct account *source, *target;
    uint32_t mailbox; /* of the source */
    bool move;
    enum phase phase;
    struct ranges uids;            /* of all that were asked for */
    struct ranges sought;          /* MOVE: those of the part under way; COPY: all */
    struct ranges part;            /* those of them that have been read */
    struct view_walk choice, walk; /* over uids, over sought */
    struct append_message *messages;
    size_t count, cap;
    size_t memory, large; /* of the uploads */
    bool more;            /* another part follows */

    /* The message that is being read. */
    bool reading;
    struct message_location where;
    uint64_t off;

    bool intended; /* the source has the intention on record */
    unsigned char id[TRANSFER_ID_LEN];
    uint32_t moved;
    int error; /* of the APPEND, told after the intention has been withdrawn */
};

static void message_done(struct append_message *m)
{
    for (size_t i = 0; i < m->keyword_count; i++)
        free((char *)(uintptr_t)m->keywords[i].p);
    free((struct span *)(uintptr_t)m->keywords);
    upload_free(m->upload);
}

static void part_reset(struct across *a)
{
    for (size_t i = 0; i < a->count; i++)
        message_done(&a->messages[i]);
    a->count = a->memory = a->large = 0;
    a->reading = a->more = false;
    ranges_reset(&a->part);
    ranges_reset(&a->sought);
}

static void across_cleanup(struct task *t)
{
    struct across *a = t->data;
    part_reset(a);
    free(a->messages);
    ranges_done(&a->uids);
    ranges_done(&a->part);
    ranges_done(&a->sought);
    /* The session ended in the middle, or nobody knows what became of a request. */
    if (a->intended && a->host->settle)
        a->host->settle(a->host->account_ctx, a->source, a->id);
    account_unref(a->source);
    account_unref(a->target);
}

/* --- reading the messages --- */

static struct append_message *message_new(struct across *a)
{
    if (a->count == a->cap) {
        a->cap = a->cap ? 2 * a->cap : 16;
        a->messages = xrealloc_array(a->messages, a->cap, sizeof(*a->messages));
    }
    struct append_message *m = &a->messages[a->count++];
    *m = (struct append_message){0};
    return m;
}

static void take_keywords(struct across *a, struct snap *snap, const struct row *row,
                          struct append_message *m)
{
    if (!a->to.keywords || row->keyword_count == 0)
        return;
    struct span *names = xcalloc(row->keyword_count, sizeof(*names)), name;
    for (size_t i = 0; i < row->keyword_count; i++)
        if (snap_keyword(snap, row_keyword(row, i), &name) == 0)
            names[m->keyword_count++] = span_make(span_dup(name), name.n);
    m->keywords = names;
}

/* The next message that is still there becomes the one that is read. ERR_NOT_FOUND: none. */
static int next_message(struct across *a, struct snap *snap)
{
    struct view_cursor *c;
    struct shown m;
    int rc = view_cursor_open(&a->walk, snap, &c), looked = 0;
    if (rc)
        return rc;
    while ((rc = view_cursor_next(c, &m)) == 0 && m.expunged && ++looked < SLICE_ROWS)
        ;
    if (rc == 0 && m.expunged)
        rc = ERR_AGAIN;
    if (rc == 0)
        rc = snap_message(snap, m.row.message_id, &a->where);
    if (rc == 0) {
        struct append_message *to = message_new(a);
        to->flags = m.row.flags & a->to.flags;
        to->internal_date = m.row.internal_date;
        take_keywords(a, snap, &m.row, to);
        to->upload = upload_new(a->target);
        ranges_add(&a->part, m.row.uid, m.row.uid);
        a->reading = true;
        a->off = 0;
    }
    view_cursor_close(c);
    return rc;
}

/* A piece of the message; *ret_done: it was the last. */
static int read_piece(struct across *a, size_t *ret_n)
{
    autobuf piece = BUF_INIT(BUF_UNLIMITED);
    struct upload *u = a->messages[a->count - 1].upload;
    int rc = account_read(a->source, &a->where, a->off, SLICE_BYTES, &piece);
    if (rc == 0 && piece.n == 0 && a->off < a->where.length)
        rc = ERR_CORRUPT;
    if (rc == 0)
        rc = upload_write(u, buf_span(&piece));
    if (rc)
        return rc;
    a->off += piece.n;
    *ret_n += piece.n;
    if (a->off < a->where.length)
        return 0;
    a->reading = false;
    if (a->where.length > UPLOAD_MEMORY_MAX)
        a->large++;
    else
        a->memory += a->where.length;
    return upload_finish(u);
}

static bool is_full(const struct across *a)
{
    return a->memory >= ACROSS_MEMORY_MAX || a->large >= ACROSS_LARGE_MAX ||
           a->count >= ACROSS_MESSAGES_MAX;
}

/* A slice: 0 at the end of the part, ERR_AGAIN, ERR_LIMIT: that is too much for one. */
static int read_slice(struct task *t)
{
    struct across *a = t->data;
    autosnap *snap = NULL;
    size_t bytes = 0;
    int rc = view_begin(t->session, &snap);
    for (int n = 0; rc == 0 && bytes < SLICE_BYTES && n < SLICE_ROWS; n++) {
        bool full = is_full(a);
        if (!a->reading)
            rc = next_message(a, snap);
        if (rc == ERR_NOT_FOUND)
            return 0;
        if (rc == 0 && full && !a->move) /* the parts of a move have been chosen so that they fit */
            return ERR_LIMIT;
        if (rc == 0)
            rc = read_piece(a, &bytes);
    }
    return rc ? rc : ERR_AGAIN;
}

/* --- requests --- */

static enum step send(struct task *t, struct account *to, enum phase then)
{
    struct across *a = t->data;
    a->phase = then;
    task_set_target(t, to);
    return task_request(t);
}

static void request_again(struct task *t, enum request_kind kind)
{
    request_result_done(&t->request);
    ranges_done(&t->request.uids);
    request_init(&t->request, kind, NULL, NULL);
}

static enum step send_append(struct task *t)
{
    struct across *a = t->data;
    request_again(t, REQUEST_APPEND);
    t->request.name = a->to.name;
    t->request.messages = a->messages;
    t->request.message_count = a->count;
    if (a->move)
        t->request.transfer_id = a->id;
    return send(t, a->target, ACROSS_APPENDED);
}

/* How many of the messages that are left one part takes: as many as fit, at least one. */
static int choose_part(struct task *t)
{
    struct across *a = t->data;
    autosnap *snap = NULL;
    struct view_cursor *c;
    struct shown m;
    size_t memory = 0, large = 0, count = 0;
    int rc = view_begin(t->session, &snap);
    if (rc == 0)
        rc = view_cursor_open(&a->choice, snap, &c);
    if (rc)
        return rc;
    while (count < SLICE_ROWS && memory < ACROSS_MEMORY_MAX && large < ACROSS_LARGE_MAX &&
           (rc = view_cursor_next(c, &m)) == 0) {
        if (m.expunged)
            continue;
        ranges_add(&a->sought, m.row.uid, m.row.uid);
        count++;
        if (m.row.size > UPLOAD_MEMORY_MAX)
            large++;
        else
            memory += m.row.size;
    }
    view_cursor_close(c);
    a->more = rc == 0;
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static enum step finish(struct task *t)
{
    struct across *a = t->data;
    if (!a->move && !t->command->uid)
        return task_no(t, "EXPUNGEISSUED", "The messages have been expunged");
    if (!a->move)
        return task_ok(t, NULL, "No such messages");
    t->session->view->dirty = true;
    return a->moved ? task_ok_modseq(t, "MOVE completed") : task_ok(t, NULL, "No such messages");
}

/* MOVE: the next part's intention. */
static enum step intend(struct task *t)
{
    struct across *a = t->data;
    part_reset(a);
    int rc = choose_part(t);
    if (rc)
        return task_store_failed(t, rc, false);
    if (a->sought.n == 0)
        return finish(t);
    request_again(t, REQUEST_TRANSFER_BEGIN);
    transfer_id_new(a->id);
    ranges_copy(&t->request.uids, &a->sought);
    t->request.mailbox = a->mailbox;
    t->request.name = a->to.user;
    t->request.new_name = a->to.name;
    t->request.transfer_id = a->id;
    a->intended = true; /* or perhaps: settling it does no harm */
    return send(t, a->source, ACROSS_INTENDED);
}

static enum step send_end(struct task *t, bool arrived)
{
    struct across *a = t->data;
    request_again(t, REQUEST_TRANSFER_END);
    t->request.transfer_id = a->id;
    t->request.transfer_done = arrived;
    return send(t, a->source, ACROSS_ENDED);
}

/* --- the steps --- */

static enum step failed(struct task *t, int error, bool target)
{
    struct across *a = t->data;
    if (error == ERR_UNKNOWN || !a->intended)
        return task_store_failed(t, error, target);
    a->error = error;
    return send_end(t, false);
}

static enum step on_intended(struct task *t)
{
    struct across *a = t->data;
    int error = t->request.result.error;
    if (error) {
        a->intended = error == ERR_UNKNOWN;
        if (error == ERR_BUSY)
            return task_no(t, "INUSE", "An earlier move of these messages is being finished");
        return task_store_failed(t, error, false);
    }
    ranges_copy(&a->sought, &t->request.result.uids);
    a->intended = a->sought.n > 0;
    if (!a->intended)
        return a->more ? intend(t) : finish(t);
    view_walk_init(&a->walk, t->session->view, &a->sought);
    a->phase = ACROSS_READ;
    return STEP_AGAIN;
}

static void put_copyuid(struct buf *b, const struct across *a, const struct request_result *r)
{
    buf_put_lit(b, "COPYUID ");
    buf_put_u64(b, r->uidvalidity);
    buf_put_byte(b, ' ');
    ranges_put_text(b, &a->part);
    buf_put_byte(b, ' ');
    buf_put_u64(b, r->first_uid);
    if (r->count > 1) {
        buf_put_byte(b, ':');
        buf_put_u64(b, (uint64_t)r->first_uid + r->count - 1);
    }
}

static enum step on_appended(struct task *t)
{
    struct across *a = t->data;
    const struct request_result *r = &t->request.result;
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    if (r->error == 0 && !r->duplicate && r->count != ranges_count(&a->part))
        return failed(t, ERR_UNKNOWN, true);
    if (r->error)
        return failed(t, r->error, true);
    if (r->duplicate)
        return send_end(t, true);
    put_copyuid(&code, a, r);
    if (!a->move)
        return task_ok(t, code.p, "COPY completed");
    /* RFC 9051 section 6.4.8: COPYUID comes before the EXPUNGE responses. */
    a->moved += r->count;
    struct buf *b = respond_begin(t->session);
    buf_put_lit(b, "* OK [");
    buf_put_span(b, buf_span(&code));
    buf_put_lit(b, "] ");
    buf_put_str(b, language_text(t->session->language, "Messages moved"));
    buf_put_lit(b, "\r\n");
    respond_end(t->session);
    return send_end(t, true);
}

static enum step on_ended(struct task *t)
{
    struct across *a = t->data;
    int error = t->request.result.error;
    a->intended = error != 0;
    if (a->error)
        return task_store_failed(t, a->error, true);
    /* They have arrived, and will be expunged here when the source can be had again: NO would be a
     * lie, and OK not yet true. */
    if (error)
        return task_store_failed(t, t->request.transfer_done ? ERR_UNKNOWN : error, false);
    t->session->view->dirty = true;
    return a->more ? intend(t) : finish(t);
}

static enum step on_read(struct task *t)
{
    struct across *a = t->data;
    int rc = read_slice(t);
    if (rc == ERR_AGAIN)
        return STEP_AGAIN;
    if (rc == ERR_LIMIT && !a->move)
        return task_no(t, "LIMIT", "That is too much to copy to another account at once");
    if (rc)
        return failed(t, rc, false);
    if (a->count == 0)
        return a->intended ? send_end(t, false) : finish(t);
    return send_append(t);
}

enum step across_step(struct task *t)
{
    struct across *a = t->data;
    switch (a->phase) {
    case ACROSS_INTEND:
        return intend(t);
    case ACROSS_INTENDED:
        return on_intended(t);
    case ACROSS_READ:
        return on_read(t);
    case ACROSS_APPENDED:
        return on_appended(t);
    case ACROSS_ENDED:
        return on_ended(t);
    }
    return STEP_DONE;
}

bool across_under_way(const struct task *t)
{
    return t->cleanup == across_cleanup;
}

enum step across_begin(struct task *t, const struct across_target *to, bool move)
{
    struct session *s = t->session;
    struct across *a = arena_new(&t->arena, struct across);
    if (!a)
        return task_no(t, "LIMIT", "The command needs too much memory");
    t->data = a;
    t->cleanup = across_cleanup;
    a->host = s->host;
    a->to = *to;
    a->source = account_ref(s->view->account);
    a->target = account_ref(to->account);
    a->mailbox = s->view->mailbox;
    a->move = move;
    ranges_copy(&a->uids, &t->request.uids);
    view_walk_init(&a->choice, s->view, &a->uids);
    if (!move)
        ranges_copy(&a->sought, &a->uids);
    view_walk_init(&a->walk, s->view, &a->sought);
    a->phase = move ? ACROSS_INTEND : ACROSS_READ;
    return STEP_AGAIN;
}
