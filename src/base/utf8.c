#include "base/utf8.h"

bool utf8_next(struct span s, size_t *pos, uint32_t *ret)
{
    const unsigned char *p = (const unsigned char *)s.p + *pos;
    size_t left = s.n - *pos, more;
    uint32_t v = p[0], least;
    if (v < 0x80) {
        *ret = v;
        *pos += 1;
        return true;
    }
    if (v >= 0xc2 && v <= 0xdf)
        more = 1, v &= 0x1f, least = 0x80;
    else if ((v & 0xf0) == 0xe0)
        more = 2, v &= 0x0f, least = 0x800;
    else if (v >= 0xf0 && v <= 0xf4)
        more = 3, v &= 0x07, least = 0x10000;
    else
        return false;
    if (left < more + 1)
        return false;
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return false;
        v = v << 6 | (p[i] & 0x3f);
    }
    if (v < least || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return false;
    *ret = v;
    *pos += more + 1;
    return true;
}

bool utf8_valid(struct span s)
{
    size_t i = 0;
    while (i < s.n) {
        uint64_t eight;
        uint32_t c;
        if (s.n - i >= 8) {
            memcpy(&eight, s.p + i, 8);
            if (!(eight & 0x8080808080808080ULL)) {
                i += 8;
                continue;
            }
        }
        if (!utf8_next(s, &i, &c))
            return false;
    }
    return true;
}
