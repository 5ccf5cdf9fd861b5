#include "base/map.h"

#include "base/random.h"

struct map_slot {
    char *key; /* NULL: never used; with a NULL value: removed */
    size_t key_len;
    uint64_t hash;
    void *value;
};

static uint64_t hash_seed(void)
{
    static uint64_t seed;
    uint64_t s = __atomic_load_n(&seed, __ATOMIC_ACQUIRE);
    if (s == 0) {
        uint64_t fresh = random_u64() | 1;
        if (__atomic_compare_exchange_n(&seed, &s, fresh, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE))
            s = fresh;
    }
    return s;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    __uint128_t m = (__uint128_t)(h ^ v) * 0x9e3779b97f4a7c15ULL;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t hash_bytes(struct span s)
{
    uint64_t h = hash_seed() ^ s.n;
    while (s.n >= 8) {
        uint64_t v;
        memcpy(&v, s.p, 8);
        h = mix(h, v);
        s = span_skip(s, 8);
    }
    uint64_t v = 0;
    if (s.n)
        memcpy(&v, s.p, s.n);
    return mix(mix(h, v), hash_seed());
}

void map_done(struct map *m)
{
    for (size_t i = 0; i < m->cap; i++)
        free(m->slots[i].key);
    free(m->slots);
    *m = (struct map)MAP_INIT;
}

static struct map_slot *find(const struct map *m, struct span key, uint64_t hash)
{
    if (m->cap == 0)
        return NULL;
    for (size_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct map_slot *s = &m->slots[i];
        if (!s->key)
            return NULL;
        if (s->hash == hash && s->value && span_eq(span_make(s->key, s->key_len), key))
            return s;
    }
}

void *map_get(const struct map *m, struct span key)
{
    struct map_slot *s = find(m, key, hash_bytes(key));
    return s ? s->value : NULL;
}

static void place(struct map_slot *slots, size_t cap, struct map_slot slot)
{
    size_t i = slot.hash & (cap - 1);
    while (slots[i].key)
        i = (i + 1) & (cap - 1);
    slots[i] = slot;
}

static void rehash(struct map *m)
{
    size_t cap = 8;
    while (cap < m->count * 4)
        cap *= 2;
    struct map_slot *slots = xcalloc(cap, sizeof(*slots));
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].value)
            place(slots, cap, m->slots[i]);
        else
            free(m->slots[i].key);
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    m->used = m->count;
}

void *map_put(struct map *m, struct span key, void *value)
{
    invariant(value);
    uint64_t hash = hash_bytes(key);
    struct map_slot *s = find(m, key, hash);
    if (s) {
        void *old = s->value;
        s->value = value;
        return old;
    }
    if ((m->used + 1) * 2 > m->cap)
        rehash(m);
    char *copy = xstrndup(key.p, key.n);
    place(m->slots, m->cap, (struct map_slot){copy, key.n, hash, value});
    m->count++;
    m->used++;
    return NULL;
}

void *map_remove(struct map *m, struct span key)
{
    struct map_slot *s = find(m, key, hash_bytes(key));
    if (!s)
        return NULL;
    void *old = s->value;
    s->value = NULL; /* the key stays as a tombstone until the next rehash */
    m->count--;
    return old;
}

bool map_next(const struct map *m, size_t *pos, struct span *ret_key, void **ret_value)
{
    while (*pos < m->cap) {
        struct map_slot *s = &m->slots[(*pos)++];
        if (s->value) {
            *ret_key = span_make(s->key, s->key_len);
            *ret_value = s->value;
            return true;
        }
    }
    return false;
}
