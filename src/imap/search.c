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

/* --- RFC 6203: how well --- */

enum { DAYS_AROUND = 7, SIZE_PARTS = 4 };

/* Section 5: within a week around the days that were asked for, the farther the less. */
static unsigned score_day(const struct judge_key *k, int64_t day)
{
    int64_t off = day < k->from ? k->from - day : day >= k->to ? day - k->to + 1 : 0;
    return off > DAYS_AROUND ? 0 : (unsigned)(100 - off * 100 / (DAYS_AROUND + 1));
}

/* Not larger, or not smaller, by up to a quarter. */
static unsigned score_size(const struct judge_key *k, uint64_t size)
{
    bool larger = k->op == SEARCH_LARGER;
    if (larger ? size > k->size : size < k->size)
        return 100;
    uint64_t off = larger ? k->size - size : size - k->size, around = k->size / SIZE_PARTS;
    return off >= around ? 0 : (unsigned)MAX(100 - off * 100 / around, (uint64_t)1);
}

static enum verdict scored(const struct judge_key *k, unsigned score, unsigned *ret_score)
{
    if (k->fuzzy)
        *ret_score = score;
    return truth(k->fuzzy ? score > 0 : score == 100);
}

static enum verdict judge_sent(const struct judge_key *k, struct span derived, unsigned *ret_score)
{
    struct derived_info info;
    if (!derived.n)
        return VERDICT_MAYBE;
    if (derived_info(derived, &info) || !info.sent_valid)
        return VERDICT_NO;
    return scored(k, score_day(k, info.sent_day), ret_score);
}

static enum verdict judge_term(const struct search_program *p, const struct judge_key *k,
                               unsigned *ret_score)
{
    unsigned score = message_search_score(p->bytes, k->number);
    if (k->fuzzy)
        *ret_score = score;
    return truth(score > 0);
}

static enum verdict judge_field(const struct judge_key *k, struct span derived, bool bytes,
                                const struct search_program *p, struct buf *scratch,
                                unsigned *ret_score)
{
    uint32_t pos = 0;
    struct span value;
    if (!derived.n)
        return VERDICT_MAYBE;
    unsigned best = 0;
    while (best < 100 && derived_field_next(derived, k->field, &pos, &value)) {
        unsigned score = needle_score_in_header(k->needle, value, scratch);
        best = MAX(best, score);
    }
    if (k->fuzzy)
        *ret_score = best;
    if (best)
        return VERDICT_YES;
    /* Not among the kept fields: certain, unless the record could not keep them all; then the same
     * key stands among the terms. */
    if (derived_has_field(derived, header_id_name(k->field)) != DERIVED_UNKNOWN)
        return VERDICT_NO;
    return bytes ? judge_term(p, k, ret_score) : VERDICT_MAYBE;
}

static enum verdict judge_key(struct search_program *p, const struct judge_key *k,
                              const struct shown *m, struct span derived, bool bytes,
                              struct buf *scratch, unsigned *ret_score)
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
        return scored(k, score_size(k, m->row.size), ret_score);
    case SEARCH_SMALLER:
        return scored(k, score_size(k, m->row.size), ret_score);
    case SEARCH_MODSEQ:
        return truth(m->row.modseq >= k->size);
    case SEARCH_WITHIN:
        return truth(m->row.internal_date.seconds >= k->from &&
                     m->row.internal_date.seconds < k->to);
    case SEARCH_MESSAGE:
        return truth(m->row.message_id == k->size);
    case SEARCH_DAY: {
        int64_t day = day_of(&m->row.internal_date);
        return scored(k, score_day(k, day), ret_score);
    }
    case SEARCH_SAVED_DAY: { /* as FETCH SAVEDATE writes it */
        const struct internal_date saved = {.seconds = m->row.save_date};
        int64_t day = day_of(&saved);
        return scored(k, score_day(k, day), ret_score);
    }
    case SEARCH_SENT_DAY:
        return judge_sent(k, derived, ret_score);
    case SEARCH_FIELD:
        return judge_field(k, derived, bytes, p, scratch, ret_score);
    case SEARCH_TERM:
        return bytes ? judge_term(p, k, ret_score) : VERDICT_MAYBE;
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

/* Of two keys that both have to match, the mean; of two that are alternatives, the better one. What
 * does not match, or was not asked to be forgiving, says nothing. */
static unsigned char join_scores(unsigned a, unsigned b, bool both_needed)
{
    if (!a || !b)
        return (unsigned char)MAX(a, b);
    return (unsigned char)(both_needed ? (a + b) / 2 : MAX(a, b));
}

enum verdict search_judge(struct search_program *p, const struct shown *m, struct span derived,
                          bool bytes, struct buf *scratch)
{
    signed char *top = p->stack; /* one past the newest value */
    unsigned char *score = p->scores;
    for (size_t i = 0; i < p->count; i++) {
        const struct judge_key *k = &p->keys[i];
        if (k->op == SEARCH_AND) {
            top--;
            score--;
            top[-1] = (signed char)both((enum verdict)top[-1], (enum verdict)top[0]);
            score[-1] = join_scores(score[-1], score[0], true);
        } else if (k->op == SEARCH_OR) {
            top--;
            score--;
            top[-1] = (signed char)negate(
                both(negate((enum verdict)top[-1]), negate((enum verdict)top[0])));
            score[-1] = join_scores(score[-1], score[0], false);
        } else if (k->op == SEARCH_NOT) {
            top[-1] = (signed char)negate((enum verdict)top[-1]);
            score[-1] = 0;
        } else {
            unsigned found = 0;
            *top++ = (signed char)judge_key(p, k, m, derived, bytes, scratch, &found);
            *score++ = (unsigned char)found;
        }
    }
    p->relevancy = p->scores[0] ? p->scores[0] : 100;
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
    p->needs_derived = p->has_modseq = p->fuzzy = false;
}
