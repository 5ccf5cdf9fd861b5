#include "base/arena.h"

struct arena_block {
    struct arena_block *next;
    size_t size;
    _Alignas(16) char data[];
};

enum { ARENA_FIRST_BLOCK = 1024, ARENA_MAX_BLOCK = 65536 };

void arena_init(struct arena *a, size_t budget)
{
    *a = (struct arena)ARENA_INIT(budget);
}

void arena_done(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *b = a->blocks;
        a->blocks = b->next;
        free(b);
    }
    *a = (struct arena)ARENA_INIT(a->budget);
}

static void arena_grow(struct arena *a, size_t n)
{
    size_t size = a->blocks ? MIN(a->blocks->size * 2, (size_t)ARENA_MAX_BLOCK) : ARENA_FIRST_BLOCK;
    size = MAX(size, n);
    struct arena_block *b = xmalloc(sizeof(*b) + size);
    b->size = size;
    b->next = a->blocks;
    a->blocks = b;
    a->next = b->data;
    a->end = b->data + size;
}

void *arena_alloc(struct arena *a, size_t n)
{
    size_t rounded;
    if (add_overflow(n, (size_t)15, &rounded))
        rounded = SIZE_MAX;
    else
        rounded &= ~(size_t)15;
    if (rounded > a->budget - a->used) {
        a->spent = true;
        return NULL;
    }
    a->used += rounded;
    if (rounded > (size_t)(a->end - a->next))
        arena_grow(a, rounded);
    void *p = a->next;
    a->next += rounded;
    memset(p, 0, rounded);
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t total;
    if (mul_overflow(n, size, &total))
        total = SIZE_MAX;
    return arena_alloc(a, total);
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *p = arena_alloc(a, s.n ? s.n : 1);
    if (!p)
        return SPAN_EMPTY;
    if (s.n)
        memcpy(p, s.p, s.n);
    return (struct span){p, s.n};
}
