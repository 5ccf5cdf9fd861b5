/* Sequence sets: what is written parses to the same set, and resolving agrees with the notation. */
#include "wire/seqset.h"

static bool same(const struct seqset *x, const struct seqset *y)
{
    return x->n == y->n && x->star == y->star && x->saved == y->saved &&
           (x->n == 0 || memcmp(x->r, y->r, x->n * sizeof(*x->r)) == 0);
}

static void check_resolved(const struct seqset *set, uint32_t max, struct arena *a)
{
    struct seqset got;
    uint64_t count = 0;
    if (seqset_resolve(set, max, a, &got))
        return;
    for (size_t i = 0; i < got.n; i++) {
        invariant(got.r[i].lo && got.r[i].lo <= got.r[i].hi && got.r[i].hi <= max);
        invariant(i == 0 || got.r[i].lo - 1 > got.r[i - 1].hi);
        count += (uint64_t)got.r[i].hi - got.r[i].lo + 1;
    }
    invariant(count == seqset_count(&got));
    for (uint32_t v = 1; v <= 40 && v <= max; v++) {
        bool want = seqset_contains(set, v) || (set->star && (v >= set->star || v == max));
        invariant(seqset_contains(&got, v) == want);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    autoarena a = ARENA_INIT(1 << 20);
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    struct seqset set, again;
    if (seqset_parse(span_make(data, n), 1000, &a, &set))
        return 0;
    seqset_write(&text, &set);
    invariant(seqset_parse(buf_span(&text), 1002, &a, &again) == 0);
    invariant(same(&set, &again));
    static const uint32_t max[] = {0, 1, 2, 7, 20, 1000, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(max); i++)
        check_resolved(&set, max[i], &a);
    autoseqbuild b = SEQBUILD_INIT(1000);
    for (size_t i = set.n; i-- > 0;)
        seqbuild_add_range(&b, set.r[i].lo, set.r[i].hi);
    struct seqset built = seqbuild_set(&b), both;
    invariant(built.n == set.n &&
              (set.n == 0 || memcmp(built.r, set.r, set.n * sizeof(*set.r)) == 0));
    invariant(seqset_intersect(&set, &built, &a, &both) ||
              seqset_count(&both) == seqset_count(&set));
    return 0;
}
