/* imap/uidbatches.c: UIDBATCHES (RFC 10022): ranges of UIDs that hold so many messages each, from
 * the newest down. They are looked up by position in the counted index, without reading a row. */
#include "imap/commands.h"

enum {
    BATCH_MIN = 500,    /* the smallest size that a client may ask for */
    BATCHES_MAX = 4096, /* of one answer: at least two million messages */
};

/* The same question again, although not even half of a batch has come or gone since. */
static bool too_soon(const struct view *v, const struct cmd_uidbatches *a)
{
    if (v->batches.size != a->size || v->batches.first != a->first || v->batches.last != a->last)
        return false;
    uint32_t arrived = v->uidnext - v->batches.uidnext; /* at most */
    uint32_t gone = v->batches.exists + arrived - v->exists;
    return arrived <= a->size / 2 && gone <= a->size / 2;
}

/* Batch k (from 0), of messages shown: " 88012:61200", or "," before it. The last one goes down to
 * 1. */
static int put_batch(struct session *s, struct snap *snap, struct buf *b, uint64_t k, uint32_t size,
                     bool begin)
{
    struct view *v = s->view;
    uint64_t from_end = k * size;
    uint32_t hi, lo = 1;
    int rc = view_uid_at(v, snap, (uint32_t)(v->exists - from_end), &hi);
    if (rc == 0 && v->exists > from_end + size)
        rc = view_uid_at(v, snap, (uint32_t)(v->exists - from_end - size + 1), &lo);
    if (rc)
        return rc;
    buf_put_byte(b, begin ? ' ' : ',');
    buf_put_u64(b, hi);
    buf_put_byte(b, ':');
    buf_put_u64(b, lo);
    return 0;
}

static int put_batches(struct task *t, struct snap *snap)
{
    const struct cmd_uidbatches *a = &t->command->uidbatches;
    struct session *s = t->session;
    uint64_t total = s->view->gone ? 0 : ((uint64_t)s->view->exists + a->size - 1) / a->size;
    uint64_t last = MIN((uint64_t)a->last, total);
    if (last >= a->first && last - a->first >= BATCHES_MAX)
        return ERR_LIMIT;
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&b, "* UIDBATCHES (TAG \"");
    buf_put_span(&b, t->command->tag);
    buf_put_lit(&b, "\")");
    for (uint64_t k = a->first; k <= last; k++) {
        int rc = put_batch(s, snap, &b, k - 1, a->size, k == a->first);
        if (rc)
            return rc;
    }
    buf_put_lit(&b, "\r\n");
    struct buf *out = respond_begin(s);
    buf_put_span(out, buf_span(&b));
    respond_end(s);
    return 0;
}

enum step cmd_uidbatches(struct task *t)
{
    const struct cmd_uidbatches *a = &t->command->uidbatches;
    struct view *v = t->session->view;
    if (a->first > a->last)
        return task_bad_code(t, "CLIENTBUG", "A range of batches begins with the lower number");
    if (a->size < BATCH_MIN)
        return task_no(t, "TOOFEW", "A batch has at least 500 messages");
    autosnap *snap = NULL;
    if (!task_view(t, &snap))
        return STEP_DONE;
    if (too_soon(v, a))
        return task_no(t, "LIMIT", "The batches are still what they were");
    int rc = put_batches(t, snap);
    if (rc == ERR_LIMIT)
        return task_no(t, "TOOMANY", "Please ask for fewer batches at a time");
    if (rc)
        return task_store_failed(t, rc, false);
    v->batches.size = a->size;
    v->batches.first = a->first;
    v->batches.last = a->last;
    v->batches.exists = v->exists;
    v->batches.uidnext = v->uidnext;
    return task_ok(t, NULL, "UIDBATCHES completed");
}
