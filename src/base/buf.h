/* base/buf.h: owned, growing, bounded bytes.
 *
 * A buf never grows beyond its max. An append that would is dropped whole and sets `overflow`,
 * which sticks until buf_reset: build the string, then ask buf_ok() once. Zero-initialised with
 * BUF_INIT(max); holds no memory until the first append; release with buf_done (or `autobuf`).
 * The bytes are always followed by a NUL that does not count. One thread at a time. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/span.h"

struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t max;
    bool overflow;
};

#define BUF_INIT(limit)                                                                            \
    {                                                                                              \
        NULL, 0, 0, (limit), false                                                                 \
    }
#define BUF_UNLIMITED (SIZE_MAX / 2)
#define autobuf       cleanup_with(buf_done) struct buf

void buf_init(struct buf *b, size_t max);
void buf_done(struct buf *b);  /* frees the memory; the buf may be used again */
void buf_reset(struct buf *b); /* empties, keeps the memory */

static inline bool buf_ok(const struct buf *b)
{
    return !b->overflow;
}

static inline struct span buf_span(const struct buf *b)
{
    return (struct span){b->p, b->n};
}

/* Room for n more bytes at the returned address, not yet counted; NULL (and overflow) if that would
 * exceed max. buf_commit counts what was written. */
char *buf_reserve(struct buf *b, size_t n);

static inline void buf_commit(struct buf *b, size_t n)
{
    invariant(n <= b->cap - b->n);
    b->n += n;
    b->p[b->n] = '\0';
}

void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_span(struct buf *b, struct span s);
void buf_put_byte(struct buf *b, char c);
void buf_put_str(struct buf *b, const char *cstr);
void buf_put_u64(struct buf *b, uint64_t v);              /* decimal */
void buf_put_hex(struct buf *b, const void *p, size_t n); /* lower-case */
void buf_printf(struct buf *b, const char *fmt, ...) printf_like(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
#define buf_put_lit(b, lit) buf_put((b), "" lit, sizeof(lit) - 1)

void buf_consume(struct buf *b, size_t n); /* drops the first n bytes */
void buf_truncate(struct buf *b, size_t n);

/* The bytes as a malloc'd NUL-terminated string; the buf is empty afterwards. */
char *buf_take(struct buf *b);

#endif
