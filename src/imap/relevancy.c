/* imap/relevancy.c: RELEVANCY among the answers of a FUZZY search (RFC 6203 sections 4 and 6). */
#include "base/bytes.h"
#include "imap/context.h"

enum { ENTRY = 5 }; /* u32 UID, u8 score */

void relevancy_note(struct search_state *st, const struct shown *m)
{
    put_u32(&st->scores, m->row.uid);
    put_u8(&st->scores, st->program.relevancy);
}

/* Of the message that was found with this UID. */
static unsigned score_of(const struct search_state *st, uint32_t uid)
{
    size_t lo = 0, hi = st->scores.n / ENTRY;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (load_le32(st->scores.p + mid * ENTRY) < uid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return (unsigned char)st->scores.p[lo * ENTRY + 4];
}

/* Of the messages that the answer names, in its order: those of PARTIAL, or all. */
void relevancy_put(struct buf *b, const struct cmd_search *a, const struct search_state *st)
{
    uint64_t first = 1, last = st->scores.n / ENTRY;
    if ((a->ret & SEARCH_RETURN_PARTIAL) && !partial_places(&a->partial, last, &first, &last))
        first = last + 1;
    buf_put_lit(b, " RELEVANCY (");
    for (uint64_t i = first; i <= last; i++) {
        unsigned score = st->sort ? score_of(st, sort_at(st->sort, i - 1, true))
                                  : (unsigned char)st->scores.p[(i - 1) * ENTRY + 4];
        if (i > first)
            buf_put_byte(b, ' ');
        buf_put_u64(b, score);
    }
    buf_put_byte(b, ')');
}
