/* imap/partial.c: UID FETCH (PARTIAL) (RFC 9394 section 3.3): of the messages in a set only those
 * at some places. Counted in the index; no row is read. PARTIAL of SEARCH is in context.c. */
#include "imap/session_int.h"

/* How many messages that the client is shown have UIDs up to this one. */
static int shown_upto(struct session *s, struct snap *snap, uint32_t uid, uint32_t *ret)
{
    *ret = 0;
    return uid ? view_seq_of(s->view, snap, uid, ret) : 0;
}

static int shown_between(struct session *s, struct snap *snap, struct range r, uint32_t *ret_before,
                         uint32_t *ret_count)
{
    uint32_t upto;
    int rc = shown_upto(s, snap, r.lo - 1, ret_before);
    if (rc == 0)
        rc = shown_upto(s, snap, r.hi, &upto);
    if (rc == 0)
        *ret_count = upto - *ret_before;
    return rc;
}

/* Places [first, last], from 1, of the messages in uids. */
static int pick(struct session *s, struct snap *snap, const struct ranges *uids, uint64_t first,
                uint64_t last, struct ranges *ret)
{
    uint64_t place = 0; /* of the last message before the range */
    for (size_t i = 0; i < uids->n && place < last; i++) {
        uint32_t before, n, lo, hi;
        int rc = shown_between(s, snap, uids->v[i], &before, &n);
        if (rc)
            return rc;
        if (n && place + n >= first) {
            uint32_t skip = first > place + 1 ? (uint32_t)(first - place - 1) : 0;
            uint32_t take = (uint32_t)MIN((uint64_t)n, last - place);
            rc = view_uid_at(s->view, snap, before + skip + 1, &lo);
            if (rc == 0)
                rc = view_uid_at(s->view, snap, before + take, &hi);
            if (rc)
                return rc;
            ranges_add(ret, lo, hi);
        }
        place += n;
    }
    return 0;
}

int partial_fetch(struct session *s, struct snap *snap, const struct wire_partial *p,
                  struct ranges *uids)
{
    uint64_t first = p->first, last = p->last, total = 0;
    autoranges picked = RANGES_INIT;
    for (size_t i = 0; p->from_end && i < uids->n; i++) {
        uint32_t before, n;
        int rc = shown_between(s, snap, uids->v[i], &before, &n);
        if (rc)
            return rc;
        total += n;
    }
    if (p->from_end) {
        if (p->first > total) {
            ranges_reset(uids);
            return 0;
        }
        last = total - p->first + 1;
        first = p->last < total ? total - p->last + 1 : 1;
    }
    int rc = pick(s, snap, uids, first, last, &picked);
    if (rc == 0)
        ranges_copy(uids, &picked);
    return rc;
}
