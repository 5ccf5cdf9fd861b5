/* base/map.h: hash map from bytes or numbers to pointers.
 *
 * Open addressing, seeded at random per process so that clients cannot choose collisions. Keys are
 * copied. Values are not owned. One thread at a time. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/span.h"

struct map_slot;

struct map {
    struct map_slot *slots;
    size_t count, used, cap;
};

#define MAP_INIT                                                                                   \
    {                                                                                              \
        NULL, 0, 0, 0                                                                              \
    }

void map_done(struct map *m);
void *map_get(const struct map *m, struct span key);
/* Returns the previous value, or NULL. value must not be NULL. */
void *map_put(struct map *m, struct span key, void *value);
void *map_remove(struct map *m, struct span key);
/* Walks all entries; start with *pos = 0; false at the end. The map must not change meanwhile,
 * except that the entry just returned may be removed. */
bool map_next(const struct map *m, size_t *pos, struct span *ret_key, void **ret_value);

static inline struct span map_u64_key(const uint64_t *v)
{
    return span_make(v, sizeof(*v));
}

uint64_t hash_bytes(struct span s); /* the seeded hash, for other containers */

#endif
