#include "imap/sort.h"

#include "base/bytes.h"
#include "message/derived.h"

enum { STEP_ITEMS = 16 * 1024 };

/* The first eight octets of the first key decide most comparisons without looking elsewhere. */
struct item {
    uint64_t prefix;
    uint32_t keys; /* where they begin in the pool */
    uint32_t seq, uid;
};

struct sort {
    const struct sort_criterion *criteria;
    unsigned n_criteria;
    struct item *items, *other;
    size_t count, cap, max;
    struct buf pool;
    /* The merge sort, bottom up: runs of `width` items are sorted, those before `at` are merged. */
    size_t width, at;
};

struct sort *sort_new(const struct sort_criterion *criteria, unsigned n, size_t max)
{
    struct sort *s = xnew(struct sort);
    s->criteria = criteria;
    s->n_criteria = n;
    s->max = max;
    s->width = 1;
    buf_init(&s->pool, MIN(max, UINT32_MAX));
    return s;
}

void sort_free(struct sort *s)
{
    if (!s)
        return;
    free(s->items);
    free(s->other);
    buf_done(&s->pool);
    free(s);
}

bool sort_needs_derived(const struct sort *s)
{
    for (unsigned i = 0; i < s->n_criteria; i++)
        if (s->criteria[i].key != SORT_ARRIVAL && s->criteria[i].key != SORT_SIZE &&
            s->criteria[i].key != SORT_RELEVANCY)
            return true;
    return false;
}

/* --- keys --- */

static bool is_number(enum sort_key k)
{
    return k == SORT_ARRIVAL || k == SORT_DATE || k == SORT_SIZE || k == SORT_RELEVANCY;
}

/* As a number that sorts like it; section 2.2: the INTERNALDATE where the sent date is not known.
 */
static uint64_t number_of(enum sort_key k, const struct shown *m, struct span derived)
{
    struct derived_info info;
    if (k == SORT_RELEVANCY) /* the highest comes first */
        return 100U - m->relevancy;
    if (k == SORT_SIZE)
        return m->row.size;
    int64_t seconds = m->row.internal_date.seconds;
    if (k == SORT_DATE && derived.n && derived_info(derived, &info) == 0 && info.sent_valid)
        seconds = info.sent_utc;
    return (uint64_t)seconds ^ (UINT64_C(1) << 63);
}

static struct span string_of(enum sort_key k, const struct derived_sort *d)
{
    static const enum derived_key keys[] = {
        [SORT_SUBJECT] = SORTKEY_SUBJECT,
        [SORT_FROM] = SORTKEY_FROM,
        [SORT_TO] = SORTKEY_TO,
        [SORT_CC] = SORTKEY_CC,
        [SORT_DISPLAYFROM] = SORTKEY_DISPLAY_FROM,
        [SORT_DISPLAYTO] = SORTKEY_DISPLAY_TO,
    };
    return d->key[keys[k]];
}

static uint64_t prefix_of(struct span key)
{
    uint64_t v = 0;
    for (size_t i = 0; i < 8; i++)
        v = v << 8 | (i < key.n ? (unsigned char)key.p[i] : 0);
    return v;
}

static int grow(struct sort *s)
{
    size_t cap = s->cap ? 2 * s->cap : 1024;
    if (cap > s->max / (2 * sizeof(*s->items)))
        return ERR_LIMIT;
    s->items = xrealloc_array(s->items, cap, sizeof(*s->items));
    s->cap = cap;
    return 0;
}

int sort_add(struct sort *s, const struct shown *m, struct span derived)
{
    struct derived_sort d = {0};
    struct item item = {.keys = (uint32_t)s->pool.n, .seq = m->seq, .uid = m->row.uid};
    if (s->count == s->cap && grow(s) < 0)
        return ERR_LIMIT;
    if (derived.n && derived_sort(derived, &d) < 0)
        d = (struct derived_sort){0};
    for (unsigned i = 0; i < s->n_criteria; i++) {
        const struct sort_criterion *c = &s->criteria[i];
        uint64_t prefix;
        if (is_number(c->key)) {
            prefix = number_of(c->key, m, derived);
            put_u64(&s->pool, prefix);
        } else {
            struct span key = string_of(c->key, &d);
            prefix = prefix_of(key);
            put_u16(&s->pool, (uint16_t)key.n);
            buf_put_span(&s->pool, key);
        }
        if (i == 0)
            item.prefix = c->inverted ? 0 : c->reverse ? ~prefix : prefix;
    }
    if (!buf_ok(&s->pool))
        return ERR_LIMIT;
    s->items[s->count++] = item;
    return 0;
}

/* --- order --- */

/* What is not text (message/sortkeys.c) is none of the comparator's business. */
static bool is_text(struct span key)
{
    return !key.n || (unsigned char)key.p[0] != 0xff;
}

static int compare_criterion(const struct sort_criterion *c, const char **a, const char **b)
{
    if (is_number(c->key)) {
        uint64_t x = load_le64(*a), y = load_le64(*b);
        *a += 8;
        *b += 8;
        return x < y ? -1 : x > y;
    }
    struct span x = span_make(*a + 2, load_le16(*a)), y = span_make(*b + 2, load_le16(*b));
    *a = x.p + x.n;
    *b = y.p + y.n;
    int r = memcmp(x.p, y.p, MIN(x.n, y.n));
    if (r == 0)
        r = x.n < y.n ? -1 : x.n > y.n;
    return c->inverted && is_text(x) && is_text(y) ? -r : r;
}

/* Whether b comes before a; if they are equal the mailbox's order stays. */
static bool comes_before(const struct sort *s, const struct item *b, const struct item *a)
{
    if (b->prefix != a->prefix)
        return b->prefix < a->prefix;
    const char *pa = s->pool.p + a->keys, *pb = s->pool.p + b->keys;
    for (unsigned i = 0; i < s->n_criteria; i++) {
        int r = compare_criterion(&s->criteria[i], &pb, &pa);
        if (r)
            return s->criteria[i].reverse ? r > 0 : r < 0;
    }
    return false;
}

static void merge(struct sort *s, size_t from, size_t middle, size_t to)
{
    size_t a = from, b = middle;
    for (size_t i = from; i < to; i++) {
        bool right = a == middle || (b < to && comes_before(s, &s->items[b], &s->items[a]));
        s->other[i] = s->items[right ? b++ : a++];
    }
}

bool sort_step(struct sort *s)
{
    size_t done = 0;
    if (s->width >= s->count)
        return true;
    if (!s->other)
        s->other = xcalloc(s->count, sizeof(*s->other));
    while (done < STEP_ITEMS && s->width < s->count) {
        /* The last merges of a large mailbox are longer than a step should be, but each item costs
         * some 20 ns there: a million take 20 ms. */
        size_t middle = MIN(s->at + s->width, s->count), to = MIN(middle + s->width, s->count);
        merge(s, s->at, middle, to);
        done += to - s->at;
        s->at = to;
        if (s->at == s->count) {
            struct item *swap = s->items;
            s->items = s->other;
            s->other = swap;
            s->width *= 2;
            s->at = 0;
        }
    }
    return s->width >= s->count;
}

size_t sort_count(const struct sort *s)
{
    return s->count;
}

uint32_t sort_at(const struct sort *s, size_t i, bool uid)
{
    return uid ? s->items[i].uid : s->items[i].seq;
}

/* --- going on --- */

void sort_keep(struct sort *s)
{
    free(take_ptr(s->other));
    s->items = xrealloc_array(s->items, MAX(s->count, (size_t)1), sizeof(*s->items));
    s->cap = MAX(s->count, (size_t)1);
}

/* Equal ones stand in the mailbox's order. */
static bool belongs_before(const struct sort *s, const struct item *b, const struct item *a)
{
    return comes_before(s, b, a) || (!comes_before(s, a, b) && b->uid < a->uid);
}

size_t sort_settle(struct sort *s, size_t settled)
{
    struct item item = s->items[settled];
    size_t lo = 0, hi = settled;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (belongs_before(s, &item, &s->items[mid]))
            hi = mid;
        else
            lo = mid + 1;
    }
    memmove(&s->items[lo + 1], &s->items[lo], (settled - lo) * sizeof(item));
    s->items[lo] = item;
    return lo;
}

size_t sort_remove(struct sort *s, uint32_t uid)
{
    size_t at = 0;
    while (at < s->count && s->items[at].uid != uid)
        at++;
    if (at == s->count)
        return SIZE_MAX;
    memmove(&s->items[at], &s->items[at + 1], (--s->count - at) * sizeof(*s->items));
    return at;
}
