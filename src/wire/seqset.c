#include "wire/seqset.h"

#include "wire/write.h"

/* ---- parsing ---- */

struct scan {
    const char *p, *end;
};

/* nz-number or "*" (which yields 0). */
static bool take_number(struct scan *s, uint32_t *ret)
{
    if (s->p < s->end && *s->p == '*') {
        s->p++;
        *ret = 0;
        return true;
    }
    uint64_t v = 0;
    if (s->p == s->end || *s->p == '0')
        return false;
    const char *start = s->p;
    while (s->p < s->end && ascii_is_digit((unsigned char)*s->p)) {
        v = v * 10 + (uint64_t)(*s->p++ - '0');
        if (v > UINT32_MAX)
            return false;
    }
    *ret = (uint32_t)v;
    return s->p > start;
}

/* One element: into *set if it has a star or is "$", else into *ret_range (lo 0 if none). */
static bool take_element(struct scan *s, struct seqset *set, struct seq_range *ret_range)
{
    uint32_t lo, hi;
    ret_range->lo = 0;
    if (s->p < s->end && *s->p == '$') {
        s->p++;
        set->saved = true;
        return true;
    }
    if (!take_number(s, &lo))
        return false;
    hi = lo;
    if (s->p < s->end && *s->p == ':') {
        s->p++;
        if (!take_number(s, &hi))
            return false;
    }
    set->highest = MAX(set->highest, MAX(lo, hi));
    if (lo && hi) {
        *ret_range = (struct seq_range){MIN(lo, hi), MAX(lo, hi)};
        return true;
    }
    uint32_t star = lo || hi ? MAX(lo, hi) : UINT32_MAX;
    set->star = set->star ? MIN(set->star, star) : star;
    return true;
}

static int compare_ranges(const void *x, const void *y)
{
    const struct seq_range *a = x, *b = y;
    return a->lo < b->lo ? -1 : a->lo > b->lo;
}

/* Sorts if needed, joins what overlaps or touches; returns the number left. */
static size_t merge_ranges(struct seq_range *r, size_t n, bool sorted)
{
    size_t k = 0;
    if (!sorted)
        qsort(r, n, sizeof(*r), compare_ranges);
    for (size_t i = 0; i < n; i++) {
        if (k && r[i].lo - 1 <= r[k - 1].hi)
            r[k - 1].hi = MAX(r[k - 1].hi, r[i].hi);
        else
            r[k++] = r[i];
    }
    return k;
}

static size_t count_elements(struct span s)
{
    size_t n = 1;
    for (size_t i = 0; i < s.n; i++)
        n += s.p[i] == ',';
    return n;
}

int seqset_parse(struct span s, size_t max_ranges, struct arena *a, struct seqset *ret)
{
    struct seqset set = SEQSET_EMPTY;
    struct scan scan = {s.p, s.p + s.n};
    size_t most = count_elements(s), n = 0;
    bool sorted = true;
    if (s.n == 0)
        return ERR_INVALID;
    if (most > max_ranges)
        return ERR_LIMIT;
    struct seq_range *r = arena_array(a, most, sizeof(*r));
    if (!r)
        return ERR_LIMIT;
    for (;;) {
        struct seq_range e;
        if (!take_element(&scan, &set, &e))
            return ERR_INVALID;
        if (e.lo) {
            sorted = sorted && (n == 0 || e.lo >= r[n - 1].lo);
            r[n++] = e;
        }
        if (scan.p == scan.end)
            break;
        if (*scan.p++ != ',')
            return ERR_INVALID;
    }
    set.r = r;
    set.n = merge_ranges(r, n, sorted);
    *ret = set;
    return 0;
}

/* ---- looking at sets ---- */

int seqset_resolve(const struct seqset *set, uint32_t max, struct arena *a, struct seqset *ret)
{
    struct seqset out = SEQSET_EMPTY;
    out.highest = set->highest;
    if (max && set->star == 0 && (set->n == 0 || set->r[set->n - 1].hi <= max)) {
        out.r = set->r;
        out.n = set->n;
    } else if (max) {
        size_t k = 0;
        struct seq_range *r = arena_array(a, set->n + 1, sizeof(*r));
        if (!r)
            return ERR_LIMIT;
        for (size_t i = 0; i < set->n && set->r[i].lo <= max; i++)
            r[k++] = (struct seq_range){set->r[i].lo, MIN(set->r[i].hi, max)};
        if (set->star) {
            struct seq_range tail = {MIN(set->star, max), max};
            for (; k && r[k - 1].hi >= tail.lo - 1; k--)
                tail.lo = MIN(tail.lo, r[k - 1].lo);
            r[k++] = tail;
        }
        out.r = r;
        out.n = k;
    }
    *ret = out;
    return 0;
}

size_t seqset_find(const struct seqset *set, uint32_t v)
{
    size_t lo = 0, hi = set->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (set->r[mid].hi < v)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool seqset_contains(const struct seqset *set, uint32_t v)
{
    size_t i = seqset_find(set, v);
    return i < set->n && v && set->r[i].lo <= v;
}

uint64_t seqset_count(const struct seqset *set)
{
    uint64_t n = 0; /* disjoint ranges of 32-bit numbers: below 2^32 */
    for (size_t i = 0; i < set->n; i++)
        n += (uint64_t)set->r[i].hi - set->r[i].lo + 1;
    return n;
}

int seqset_intersect(const struct seqset *x, const struct seqset *y, struct arena *a,
                     struct seqset *ret)
{
    struct seqset out = SEQSET_EMPTY;
    size_t i = 0, j = 0, k = 0;
    struct seq_range *r = NULL;
    if (x->n && y->n) {
        r = arena_array(a, x->n + y->n, sizeof(*r));
        if (!r)
            return ERR_LIMIT;
    }
    while (i < x->n && j < y->n) {
        uint32_t lo = MAX(x->r[i].lo, y->r[j].lo), hi = MIN(x->r[i].hi, y->r[j].hi);
        if (lo <= hi)
            r[k++] = (struct seq_range){lo, hi};
        if (x->r[i].hi < y->r[j].hi)
            i++;
        else
            j++;
    }
    out.r = r;
    out.n = k;
    out.highest = k ? r[k - 1].hi : 0;
    *ret = out;
    return 0;
}

int seqset_copy(const struct seqset *set, struct arena *a, struct seqset *ret)
{
    struct seqset out = *set;
    struct seq_range *r = arena_array(a, MAX(set->n, (size_t)1), sizeof(*r));
    if (!r)
        return ERR_LIMIT;
    if (set->n)
        memcpy(r, set->r, set->n * sizeof(*r));
    out.r = r;
    *ret = out;
    return 0;
}

bool seqset_next(struct seqset_iter *it, uint32_t *ret)
{
    if (it->i >= it->set->n)
        return false;
    const struct seq_range *r = &it->set->r[it->i];
    uint32_t v = it->next ? it->next : r->lo;
    if (v == r->hi) {
        it->i++;
        it->next = 0;
    } else {
        it->next = v + 1;
    }
    *ret = v;
    return true;
}

/* ---- writing ---- */

enum { RANGE_TEXT_MAX = 10 + 1 + 10 + 1 };

static char *format_range(char *to, const struct seq_range *r)
{
    to = format_u32(to, r->lo);
    if (r->hi != r->lo) {
        *to++ = ':';
        to = format_u32(to, r->hi);
    }
    return to;
}

static void write_ranges(struct buf *b, const struct seq_range *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *start = buf_reserve(b, RANGE_TEXT_MAX), *to = start;
        if (!to)
            return;
        if (i)
            *to++ = ',';
        to = format_range(to, &r[i]);
        buf_commit(b, (size_t)(to - start));
    }
}

void seqset_write(struct buf *b, const struct seqset *set)
{
    write_ranges(b, set->r, set->n);
    if (set->star) {
        if (set->n)
            buf_put_byte(b, ',');
        if (set->star != UINT32_MAX) {
            write_u32(b, set->star);
            buf_put_byte(b, ':');
        }
        buf_put_byte(b, '*');
    }
    if (set->saved) {
        if (set->n || set->star)
            buf_put_byte(b, ',');
        buf_put_byte(b, '$');
    }
}

/* ---- building ---- */

void seqbuild_init(struct seqbuild *b, size_t max_ranges)
{
    *b = (struct seqbuild)SEQBUILD_INIT(max_ranges);
}

void seqbuild_done(struct seqbuild *b)
{
    if (!b)
        return;
    free(b->r);
    *b = (struct seqbuild)SEQBUILD_INIT(b->max_ranges);
}

void seqbuild_reset(struct seqbuild *b)
{
    b->n = 0;
    b->overflow = false;
}

/* Opens a gap for one more range at index i. */
static bool open_gap(struct seqbuild *b, size_t i)
{
    if (b->n >= b->max_ranges) {
        b->overflow = true;
        return false;
    }
    if (b->n == b->cap) {
        b->cap = b->cap ? b->cap * 2 : 8;
        b->r = xrealloc_array(b->r, b->cap, sizeof(*b->r));
    }
    invariant(b->r != NULL);
    if (i < b->n)
        memmove(&b->r[i + 1], &b->r[i], (b->n - i) * sizeof(*b->r));
    b->n++;
    return true;
}

static void append_range(struct seqbuild *b, uint32_t lo, uint32_t hi)
{
    if (open_gap(b, b->n))
        b->r[b->n - 1] = (struct seq_range){lo, hi};
}

/* lo lies before the last range: joins [lo, hi] with all it touches. */
static void insert_range(struct seqbuild *b, uint32_t lo, uint32_t hi)
{
    struct seqset set = seqbuild_set(b);
    size_t i = seqset_find(&set, lo > 1 ? lo - 1 : lo), j = i;
    for (; j < b->n && b->r[j].lo - 1 <= hi; j++) {
        lo = MIN(lo, b->r[j].lo);
        hi = MAX(hi, b->r[j].hi);
    }
    if (i == j) {
        if (!open_gap(b, i))
            return;
    } else {
        memmove(&b->r[i + 1], &b->r[j], (b->n - j) * sizeof(*b->r));
        b->n -= j - i - 1;
    }
    b->r[i] = (struct seq_range){lo, hi};
}

void seqbuild_add_range(struct seqbuild *b, uint32_t lo, uint32_t hi)
{
    lo = MAX(lo, 1u);
    if (lo > hi)
        return;
    struct seq_range *last = b->n ? &b->r[b->n - 1] : NULL;
    if (!last || lo - 1 > last->hi)
        append_range(b, lo, hi);
    else if (lo >= last->lo)
        last->hi = MAX(last->hi, hi);
    else
        insert_range(b, lo, hi);
}

void seqbuild_add(struct seqbuild *b, uint32_t v)
{
    seqbuild_add_range(b, v, v);
}

struct seqset seqbuild_set(const struct seqbuild *b)
{
    return (struct seqset){b->r, b->n, 0, b->n ? b->r[b->n - 1].hi : 0, false};
}

void seqbuild_push(struct seqbuild *b, uint32_t v)
{
    struct seq_range *last = b->n ? &b->r[b->n - 1] : NULL;
    if (v == 0)
        return;
    if (last && v - 1 == last->hi)
        last->hi = v;
    else
        append_range(b, v, v);
}

void seqbuild_write(struct buf *out, const struct seqbuild *b)
{
    write_ranges(out, b->r, b->n);
}
