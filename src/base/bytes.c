#include "base/bytes.h"

struct reader reader_make(struct span s)
{
    const char *p = s.p ? s.p : "";
    return (struct reader){p, p + s.n, false};
}

static const char *take(struct reader *r, size_t n)
{
    if (r->bad || reader_left(r) < n) {
        r->bad = true;
        return NULL;
    }
    const char *p = r->p;
    r->p += n;
    return p;
}

uint8_t read_u8(struct reader *r)
{
    const char *p = take(r, 1);
    return p ? (uint8_t)*p : 0;
}

uint16_t read_u16(struct reader *r)
{
    const char *p = take(r, 2);
    return p ? load_le16(p) : 0;
}

uint32_t read_u32(struct reader *r)
{
    const char *p = take(r, 4);
    return p ? load_le32(p) : 0;
}

uint64_t read_u64(struct reader *r)
{
    const char *p = take(r, 8);
    return p ? load_le64(p) : 0;
}

uint64_t read_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = read_u8(r);
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return r->bad ? 0 : v;
    }
    r->bad = true;
    return 0;
}

struct span read_bytes(struct reader *r, size_t n)
{
    const char *p = take(r, n);
    return p ? span_make(p, n) : SPAN_EMPTY;
}

struct span read_blob(struct reader *r)
{
    uint64_t n = read_varint(r);
    return read_bytes(r, n);
}

void put_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

void put_u16(struct buf *b, uint16_t v)
{
    buf_put(b, &v, 2);
}

void put_u32(struct buf *b, uint32_t v)
{
    buf_put(b, &v, 4);
}

void put_u64(struct buf *b, uint64_t v)
{
    buf_put(b, &v, 8);
}

void put_varint(struct buf *b, uint64_t v)
{
    char tmp[10];
    size_t n = 0;
    while (v >= 0x80) {
        tmp[n++] = (char)(v | 0x80);
        v >>= 7;
    }
    tmp[n++] = (char)v;
    buf_put(b, tmp, n);
}

void put_blob(struct buf *b, struct span s)
{
    put_varint(b, s.n);
    buf_put_span(b, s);
}
