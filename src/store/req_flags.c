/* STORE: RFC 9051 section 6.4.6, conditional: RFC 7162 section 3.1.3. */
#include "store/eval.h"

/* How many of the set's ids the row has. */
static unsigned common_keywords(const struct row *row, const struct eval_keywords *k)
{
    unsigned n = 0;
    for (unsigned i = 0, j = 0; i < row->keyword_count && j < k->n;) {
        uint16_t a = row_keyword(row, i), b = k->ids[j];
        n += a == b;
        i += a <= b;
        j += b <= a;
    }
    return n;
}

/* Whether the request changes this message; ERR_LIMIT if it would have too many keywords. */
static int changes_row(const struct eval *e, const struct row *row, bool *ret)
{
    const struct request *r = e->r;
    const struct eval_keywords *k = e->keywords;
    unsigned common = common_keywords(row, k);
    switch (r->mode) {
    case STORE_ADD:
        if (row->keyword_count + k->n - common > KEYWORDS_PER_MESSAGE)
            return ERR_LIMIT;
        *ret = (r->flags & FLAG_ALL & ~row->flags) || common < k->n;
        return 0;
    case STORE_REMOVE:
        *ret = (r->flags & row->flags) || common > 0;
        return 0;
    case STORE_REPLACE:
        *ret = (r->flags & FLAG_ALL & ~r->keep) != (row->flags & ~r->keep) ||
               (!r->keep_keywords && (common < k->n || common < row->keyword_count));
        return 0;
    }
    return ERR_INVALID;
}

static int visit(struct eval *e, const struct row *row)
{
    struct request *r = e->r;
    if (row->modseq > r->unchanged_since) {
        ranges_add(&r->result.modified, row->uid, row->uid);
        return 0;
    }
    bool changes;
    int error = changes_row(e, row, &changes);
    if (error || !changes)
        return error;
    ranges_add(&r->result.uids, row->uid, row->uid);
    if (row->modseq > r->view_modseq)
        ranges_add(&r->result.raced, row->uid, row->uid);
    return 0;
}

static int begin(struct eval *e)
{
    struct request *r = e->r;
    e->keywords = xnew(struct eval_keywords);
    int error = snap_mailbox(e->snap, r->mailbox, &e->mailbox);
    if (error == 0)
        error = eval_keywords(e, r->keywords, r->keyword_count,
                              r->mode == STORE_REMOVE ? KEYWORDS_EXISTING : KEYWORDS_CREATE,
                              e->keywords);
    e->phase = 1;
    return error;
}

/* \Seen of somebody else than the owner is no flag of the messages. */
static void put_seen(struct eval *e, struct op_flags *op)
{
    struct request *r = e->r;
    if ((op->add | op->remove) & FLAG_SEEN)
        eval_put_seen(e, (struct op_seen){.mailbox = r->mailbox,
                                          .modseq = e->modseq,
                                          .seen = op->add & FLAG_SEEN,
                                          .user = r->seen_user,
                                          .uids = &r->result.uids});
    op->add &= (uint16_t)~FLAG_SEEN;
    op->remove &= (uint16_t)~FLAG_SEEN;
}

static void put(struct eval *e)
{
    static const enum op_keyword_mode modes[] = {[STORE_ADD] = OP_KEYWORDS_ADD,
                                                 [STORE_REMOVE] = OP_KEYWORDS_REMOVE,
                                                 [STORE_REPLACE] = OP_KEYWORDS_REPLACE};
    struct request *r = e->r;
    const struct eval_keywords *k = e->keywords;
    struct op_flags op = {.mailbox = r->mailbox, .modseq = e->modseq, .uids = &r->result.uids};
    uint16_t flags = r->flags & FLAG_ALL;
    op.add = r->mode == STORE_REMOVE ? 0 : flags;
    op.remove = r->mode == STORE_REMOVE ? flags : 0;
    if (r->mode == STORE_REPLACE) {
        op.add &= (uint16_t)~r->keep;
        op.remove = FLAG_ALL & (uint16_t)~flags & (uint16_t)~r->keep;
    }
    if (k->n > 0 || (r->mode == STORE_REPLACE && !r->keep_keywords)) {
        op.keyword_mode = modes[r->mode];
        op.keyword_count = k->n;
        op.keywords = (const unsigned char *)k->ids;
    }
    if (r->seen_user.n)
        put_seen(e, &op);
    if (op.add || op.remove || op.keyword_mode)
        eval_put_flags(e, op);
}

int eval_store(struct eval *e)
{
    struct request *r = e->r;
    int error = e->phase == 0 ? begin(e) : 0;
    if (error == 0)
        error = eval_visit(e, r->mailbox, &r->uids, &r->result.missing, visit);
    if (error)
        return error;
    if (r->result.uids.n == 0) {
        buf_truncate(e->ops, e->ops_start); /* keywords that nobody uses after all */
        return 0;
    }
    put(e);
    r->result.modseq = e->modseq;
    r->result.mailbox = r->mailbox;
    r->result.uidvalidity = e->mailbox.uidvalidity;
    eval_touch(e, r->mailbox);
    return 0;
}
