/* base/arena.h: memory with one lifetime (a command, a request, a batch).
 *
 * Allocations are freed together. An arena has a byte budget: beyond it arena_alloc returns NULL
 * and `spent` sticks, which a command turns into NO [LIMIT]. One thread at a time. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/span.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    char *next, *end;
    size_t used, budget;
    bool spent;
};

#define ARENA_INIT(limit)                                                                          \
    {                                                                                              \
        NULL, NULL, NULL, 0, (limit), false                                                        \
    }
#define autoarena cleanup_with(arena_done) struct arena

void arena_init(struct arena *a, size_t budget);
void arena_done(struct arena *a);
void *arena_alloc(struct arena *a, size_t n) must_check;              /* 16-byte aligned, zeroed */
void *arena_array(struct arena *a, size_t n, size_t size) must_check; /* overflow-checked */
struct span arena_copy(struct arena *a, struct span s); /* SPAN_EMPTY with a.spent if spent */

#define arena_new(a, type) ((type *)arena_alloc((a), sizeof(type)))

#endif
