#include "wire/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct span s, struct buf *out)
{
    size_t groups = s.n / 3 + (s.n % 3 != 0);
    char *to = groups > SIZE_MAX / 8 ? NULL : buf_reserve(out, groups * 4);
    if (!to)
        return;
    const unsigned char *p = (const unsigned char *)s.p;
    char *q = to;
    size_t i = 0;
    for (; s.n - i >= 3; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (uint32_t)p[i + 1] << 8 | p[i + 2];
        *q++ = alphabet[v >> 18];
        *q++ = alphabet[v >> 12 & 63];
        *q++ = alphabet[v >> 6 & 63];
        *q++ = alphabet[v & 63];
    }
    if (s.n - i) {
        uint32_t v = (uint32_t)p[i] << 16 | (s.n - i == 2 ? (uint32_t)p[i + 1] << 8 : 0);
        *q++ = alphabet[v >> 18];
        *q++ = alphabet[v >> 12 & 63];
        *q++ = s.n - i == 2 ? alphabet[v >> 6 & 63] : '=';
        *q++ = '=';
    }
    buf_commit(out, groups * 4);
}

static int digit_value(unsigned char c)
{
    if ((unsigned char)(c - 'A') < 26)
        return c - 'A';
    if ((unsigned char)(c - 'a') < 26)
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* One group of four characters of which the first `digits` are not padding. */
static bool decode_group(const char *p, unsigned digits, char *to)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < 4; i++) {
        int d = i < digits ? digit_value((unsigned char)p[i]) : 0;
        if (d < 0)
            return false;
        v = v << 6 | (uint32_t)d;
    }
    for (unsigned i = 0; i + 1 < digits; i++)
        to[i] = (char)(v >> (16 - 8 * i));
    /* What padding cuts off must be zero, or two texts would mean the same bytes. */
    return (v & ((1u << (24 - 8 * (digits - 1))) - 1)) == 0;
}

int base64_decode(struct span s, struct buf *out)
{
    if (s.n % 4)
        return ERR_INVALID;
    if (s.n == 0)
        return 0;
    unsigned last = s.p[s.n - 1] != '=' ? 4 : s.p[s.n - 2] != '=' ? 3 : 2;
    size_t n = s.n / 4 * 3 - (4 - last);
    char *to = buf_reserve(out, n);
    if (!to)
        return ERR_LIMIT;
    for (size_t i = 0; i < s.n; i += 4, to += 3)
        if (!decode_group(s.p + i, s.n - i == 4 ? last : 4, to))
            return ERR_INVALID;
    buf_commit(out, n);
    return 0;
}
