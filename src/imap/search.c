/* imap/search.c: judging one message. */
#include "imap/search.h"

static enum verdict truth(bool b)
{
    return b ? VERDICT_YES : VERDICT_NO;
}

static bool has_keyword(const struct row *row, uint32_t id)
{
    for (size_t i = 0; i < row->keyword_count; i++)
        if (row_keyword(row, i) == id)
            return true;
    return false;
}

/* RFC 9051 section 6.4.4: dates are compared "disregarding time and timezone": as written. */
static int64_t day_of(const struct internal_date *d)
{
    int64_t local = d->seconds + (int64_t)d->zone_minutes * 60;
    return local >= 0 ? local / 86400 : -((-local + 86399) / 86400);
}

static enum verdict judge_sent(const struct judge_key *k, struct span derived)
{
    struct derived_info info;
    if (!derived.n)
        return VERDICT_MAYBE;
    if (derived_info(derived, &info) || !info.sent_valid)
        return VERDICT_NO;
    return truth(info.sent_day >= k->from && info.sent_day < k->to);
}

static enum verdict judge_field(const struct judge_key *k, struct span derived, bool bytes,
                                const struct search_program *p, struct buf *scratch)
{
    uint32_t pos = 0;
    struct span value;
    if (!derived.n)
        return VERDICT_MAYBE;
    while (derived_field_next(derived, k->field, &pos, &value))
        if (needle_in_header(k->needle, value, scratch))
            return VERDICT_YES;
    /* Not among the kept fields: certain, unless the record could not keep them all; then the same
     * key stands among the terms. */
    if (derived_has_field(derived, header_id_name(k->field)) != DERIVED_UNKNOWN)
        return VERDICT_NO;
    return bytes ? truth(message_search_found(p->bytes, k->number)) : VERDICT_MAYBE;
}

static enum verdict judge_key(struct search_program *p, const struct judge_key *k,
                              const struct shown *m, struct span derived, bool bytes,
                              struct buf *scratch)
{
    switch (k->op) {
    case SEARCH_TRUE:
        return VERDICT_YES;
    case SEARCH_FLAGS:
        return truth((m->row.flags & k->mask) == k->want);
    case SEARCH_RECENT:
        return truth(m->recent);
    case SEARCH_KEYWORD:
        return truth(has_keyword(&m->row, k->number));
    case SEARCH_UIDS:
        return truth(ranges_has(&k->uids, m->row.uid));
    case SEARCH_LARGER:
        return truth(m->row.size > k->size);
    case SEARCH_SMALLER:
        return truth(m->row.size < k->size);
    case SEARCH_MODSEQ:
        return truth(m->row.modseq >= k->size);
    case SEARCH_WITHIN:
        return truth(m->row.internal_date.seconds >= k->from &&
                     m->row.internal_date.seconds < k->to);
    case SEARCH_MESSAGE:
        return truth(m->row.message_id == k->size);
    case SEARCH_DAY: {
        int64_t day = day_of(&m->row.internal_date);
        return truth(day >= k->from && day < k->to);
    }
    case SEARCH_SAVED_DAY: { /* as FETCH SAVEDATE writes it */
        const struct internal_date saved = {.seconds = m->row.save_date};
        int64_t day = day_of(&saved);
        return truth(day >= k->from && day < k->to);
    }
    case SEARCH_SENT_DAY:
        return judge_sent(k, derived);
    case SEARCH_FIELD:
        return judge_field(k, derived, bytes, p, scratch);
    case SEARCH_TERM:
        return bytes ? truth(message_search_found(p->bytes, k->number)) : VERDICT_MAYBE;
    default:
        return VERDICT_NO;
    }
}

static enum verdict both(enum verdict a, enum verdict b)
{
    if (a == VERDICT_NO || b == VERDICT_NO)
        return VERDICT_NO;
    return a == VERDICT_YES ? b : VERDICT_MAYBE;
}

static enum verdict negate(enum verdict v)
{
    return v == VERDICT_MAYBE ? v : truth(v == VERDICT_NO);
}

enum verdict search_judge(struct search_program *p, const struct shown *m, struct span derived,
                          bool bytes, struct buf *scratch)
{
    signed char *top = p->stack; /* one past the newest value */
    for (size_t i = 0; i < p->count; i++) {
        const struct judge_key *k = &p->keys[i];
        if (k->op == SEARCH_AND) {
            top--;
            top[-1] = (signed char)both((enum verdict)top[-1], (enum verdict)top[0]);
        } else if (k->op == SEARCH_OR) {
            top--;
            top[-1] = (signed char)negate(
                both(negate((enum verdict)top[-1]), negate((enum verdict)top[0])));
        } else if (k->op == SEARCH_NOT) {
            top[-1] = (signed char)negate((enum verdict)top[-1]);
        } else {
            *top++ = (signed char)judge_key(p, k, m, derived, bytes, scratch);
        }
    }
    return (enum verdict)p->stack[0];
}

void search_program_done(struct search_program *p)
{
    for (size_t i = 0; i < p->count; i++) {
        ranges_done(&p->keys[i].uids);
        needle_free(p->keys[i].needle);
    }
    ranges_done(&p->scope);
    message_search_free(p->bytes);
    p->count = p->term_count = 0;
    p->bytes = NULL;
    p->needs_derived = p->has_modseq = false;
}
