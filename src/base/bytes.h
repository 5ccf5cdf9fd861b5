/* base/bytes.h: numbers in binary data.
 *
 * Stored and transmitted integers are little-endian, except index keys, which are big-endian so
 * that byte order is numeric order. A `struct reader` walks a span and never reads past it: after a
 * failed read `bad` sticks and every further read yields zero, so a decoder checks once at its end.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/buf.h"
#include "base/span.h"

static inline uint16_t load_le16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint32_t load_le32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline uint64_t load_le64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

static inline void store_le16(void *p, uint16_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void store_le32(void *p, uint32_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline void store_le64(void *p, uint64_t v)
{
    memcpy(p, &v, sizeof(v));
}

static inline uint32_t load_be32(const void *p)
{
    return __builtin_bswap32(load_le32(p));
}

static inline uint64_t load_be64(const void *p)
{
    return __builtin_bswap64(load_le64(p));
}

static inline void store_be32(void *p, uint32_t v)
{
    store_le32(p, __builtin_bswap32(v));
}

static inline void store_be64(void *p, uint64_t v)
{
    store_le64(p, __builtin_bswap64(v));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the loads above assume little-endian");

struct reader {
    const char *p, *end;
    bool bad;
};

struct reader reader_make(struct span s);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
uint64_t read_varint(struct reader *r); /* LEB128, at most 10 bytes */
struct span read_bytes(struct reader *r, size_t n);
struct span read_blob(struct reader *r); /* varint length, then bytes */
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

void put_u8(struct buf *b, uint8_t v);
void put_u16(struct buf *b, uint16_t v);
void put_u32(struct buf *b, uint32_t v);
void put_u64(struct buf *b, uint64_t v);
void put_varint(struct buf *b, uint64_t v);
void put_blob(struct buf *b, struct span s);

#endif
