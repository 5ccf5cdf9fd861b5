/* base/cleanup.h: release on scope exit, and checked arithmetic.
 *
 *     autofree char *p = xmalloc(n);          freed at the end of the scope
 *     autoclose int fd = open(...);           closed if >= 0
 *     return take_ptr(p);                     ownership leaves the scope
 *
 * A failed allocation aborts the process: an IMAP server cannot go on usefully without memory, and
 * every size that a client controls is bounded before it gets here. */
#ifndef BASE_CLEANUP_H
#define BASE_CLEANUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "base/banned.h"

#define cleanup_with(fn)                __attribute__((cleanup(fn)))
#define must_check                      __attribute__((warn_unused_result))
#define printf_like(f, a)               __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#undef MIN /* sys/param.h has them as well */
#undef MAX
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

static inline void cleanup_free(void *p)
{
    void **pp = p;
    free(*pp);
}

static inline void cleanup_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

#define autofree  cleanup_with(cleanup_free)
#define autoclose cleanup_with(cleanup_close)

#define take_ptr(p)                                                                                \
    __extension__({                                                                                \
        __typeof__(p) take_tmp = (p);                                                              \
        (p) = NULL;                                                                                \
        take_tmp;                                                                                  \
    })

static inline int take_fd(int *fd)
{
    int v = *fd;
    *fd = -1;
    return v;
}

/* Never return NULL; abort on exhaustion or overflow. */
void *xmalloc(size_t n) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t n) __attribute__((returns_nonnull));
void *xrealloc_array(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));

#define xnew(type) ((type *)xcalloc(1, sizeof(type)))

/* True if the result overflowed; *ret is then unspecified. */
#define add_overflow(a, b, ret) __builtin_add_overflow((a), (b), (ret))
#define mul_overflow(a, b, ret) __builtin_mul_overflow((a), (b), (ret))
#define sub_overflow(a, b, ret) __builtin_sub_overflow((a), (b), (ret))

/* A broken invariant of the program (never bad input or bad stored data): aborts, in release builds
 * too, after a line to the log. */
#define invariant(cond)                                                                            \
    do {                                                                                           \
        if (__builtin_expect(!(cond), 0))                                                          \
            invariant_failed(#cond, __FILE__, __LINE__);                                           \
    } while (0)
_Noreturn void invariant_failed(const char *cond, const char *file, int line);

#endif
