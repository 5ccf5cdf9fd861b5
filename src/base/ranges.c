#include "base/ranges.h"

#include "base/bytes.h"

void ranges_done(struct ranges *r)
{
    free(r->v);
    *r = (struct ranges)RANGES_INIT;
}

void ranges_reset(struct ranges *r)
{
    r->n = 0;
}

static void reserve(struct ranges *r, size_t n)
{
    if (n <= r->cap)
        return;
    size_t cap = r->cap ? r->cap : 4;
    while (cap < n)
        cap *= 2;
    r->v = xrealloc_array(r->v, cap, sizeof(*r->v));
    r->cap = cap;
}

void ranges_copy(struct ranges *to, const struct ranges *from)
{
    reserve(to, from->n);
    if (from->n)
        memcpy(to->v, from->v, from->n * sizeof(*from->v));
    to->n = from->n;
}

size_t ranges_lower(const struct ranges *r, uint32_t v)
{
    size_t lo = 0, hi = r->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->v[mid].hi < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void add_inside(struct ranges *r, uint32_t lo, uint32_t hi)
{
    /* [from, to) are the ranges that touch or overlap lo..hi. */
    size_t from = ranges_lower(r, lo ? lo - 1 : 0), to = from;
    while (to < r->n && (r->v[to].lo <= hi || r->v[to].lo - 1 == hi)) {
        lo = MIN(lo, r->v[to].lo);
        hi = MAX(hi, r->v[to].hi);
        to++;
    }
    if (from == to) {
        reserve(r, r->n + 1);
        memmove(r->v + from + 1, r->v + from, (r->n - from) * sizeof(*r->v));
        r->n++;
    } else {
        memmove(r->v + from + 1, r->v + to, (r->n - to) * sizeof(*r->v));
        r->n -= to - from - 1;
    }
    r->v[from] = (struct range){lo, hi};
}

void ranges_add(struct ranges *r, uint32_t lo, uint32_t hi)
{
    invariant(lo <= hi);
    if (r->n && lo <= r->v[r->n - 1].hi) {
        add_inside(r, lo, hi);
        return;
    }
    if (r->n && r->v[r->n - 1].hi + 1 == lo) {
        r->v[r->n - 1].hi = hi;
        return;
    }
    reserve(r, r->n + 1);
    r->v[r->n++] = (struct range){lo, hi};
}

void ranges_add_all(struct ranges *r, const struct ranges *other)
{
    for (size_t i = 0; i < other->n; i++)
        ranges_add(r, other->v[i].lo, other->v[i].hi);
}

void ranges_remove(struct ranges *r, uint32_t lo, uint32_t hi)
{
    size_t i = ranges_lower(r, lo);
    if (i < r->n && r->v[i].lo < lo && r->v[i].hi > hi) { /* splits one range */
        reserve(r, r->n + 1);
        memmove(r->v + i + 1, r->v + i, (r->n - i) * sizeof(*r->v));
        r->n++;
        r->v[i].hi = lo - 1;
        r->v[i + 1].lo = hi + 1;
        return;
    }
    if (i < r->n && r->v[i].lo < lo)
        r->v[i++].hi = lo - 1;
    size_t to = i;
    while (to < r->n && r->v[to].hi <= hi)
        to++;
    if (to < r->n && r->v[to].lo <= hi)
        r->v[to].lo = hi + 1;
    if (to > i) /* never on the NULL of an empty set */
        memmove(r->v + i, r->v + to, (r->n - to) * sizeof(*r->v));
    r->n -= to - i;
}

bool ranges_has(const struct ranges *r, uint32_t v)
{
    size_t i = ranges_lower(r, v);
    return i < r->n && r->v[i].lo <= v;
}

uint64_t ranges_count(const struct ranges *r)
{
    return ranges_count_upto(r, UINT32_MAX);
}

uint64_t ranges_count_upto(const struct ranges *r, uint32_t v)
{
    uint64_t n = 0;
    for (size_t i = 0; i < r->n && r->v[i].lo <= v; i++)
        n += (uint64_t)MIN(r->v[i].hi, v) - r->v[i].lo + 1;
    return n;
}

void ranges_intersect(struct ranges *r, const struct ranges *with)
{
    struct ranges out = RANGES_INIT;
    size_t i = 0, j = 0;
    while (i < r->n && j < with->n) {
        uint32_t lo = MAX(r->v[i].lo, with->v[j].lo), hi = MIN(r->v[i].hi, with->v[j].hi);
        if (lo <= hi)
            ranges_add(&out, lo, hi);
        if (r->v[i].hi < with->v[j].hi)
            i++;
        else
            j++;
    }
    ranges_done(r);
    *r = out;
}

void ranges_subtract(struct ranges *r, const struct ranges *minus)
{
    struct ranges out = RANGES_INIT;
    size_t j = 0;
    for (size_t i = 0; i < r->n; i++) {
        uint64_t lo = r->v[i].lo, hi = r->v[i].hi;
        while (j < minus->n && minus->v[j].hi < lo)
            j++;
        for (size_t k = j; k < minus->n && minus->v[k].lo <= hi && lo <= hi; k++) {
            if (minus->v[k].lo > lo)
                ranges_add(&out, (uint32_t)lo, minus->v[k].lo - 1);
            lo = (uint64_t)minus->v[k].hi + 1;
        }
        if (lo <= hi)
            ranges_add(&out, (uint32_t)lo, (uint32_t)hi);
    }
    ranges_done(r);
    *r = out;
}

void ranges_put_text(struct buf *b, const struct ranges *r)
{
    for (size_t i = 0; i < r->n; i++) {
        if (i)
            buf_put_byte(b, ',');
        buf_put_u64(b, r->v[i].lo);
        if (r->v[i].hi != r->v[i].lo) {
            buf_put_byte(b, ':');
            buf_put_u64(b, r->v[i].hi);
        }
    }
}

void ranges_encode(struct buf *b, const struct ranges *r)
{
    put_varint(b, r->n);
    uint32_t last = 0;
    for (size_t i = 0; i < r->n; i++) {
        put_varint(b, r->v[i].lo - last);
        put_varint(b, r->v[i].hi - r->v[i].lo);
        last = r->v[i].hi;
    }
}

bool ranges_decode(struct reader *rd, struct ranges *ret)
{
    uint64_t n = read_varint(rd), last = 0;
    struct ranges out = RANGES_INIT;
    for (uint64_t i = 0; i < n && !rd->bad; i++) {
        uint64_t lo = read_varint(rd), len = read_varint(rd);
        if (lo > UINT32_MAX || len > UINT32_MAX || last + lo + len > UINT32_MAX ||
            (i > 0 && lo == 0)) {
            rd->bad = true;
            break;
        }
        ranges_add(&out, (uint32_t)(last + lo), (uint32_t)(last + lo + len));
        last += lo + len;
    }
    if (rd->bad) {
        ranges_done(&out);
        return false;
    }
    ranges_done(ret);
    *ret = out;
    return true;
}
