#include "base/network.h"

#include <arpa/inet.h>

static bool parse_address(struct span text, unsigned char to[16], bool *ret_v4)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.n == 0 || text.n >= sizeof(copy))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    memset(to, 0, 16);
    *ret_v4 = inet_pton(AF_INET, copy, to + 12) == 1;
    if (!*ret_v4)
        return inet_pton(AF_INET6, copy, to) == 1;
    to[10] = to[11] = 0xff;
    return true;
}

/* The first `bits` bits of both are the same. */
static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(a, b, whole) != 0)
        return false;
    return !rest || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool network_parse(struct span text, struct network *ret)
{
    size_t slash = span_find_byte(text, '/');
    struct network n;
    bool v4;
    uint64_t bits;
    if (!parse_address(span_head(text, slash), n.address, &v4))
        return false;
    bits = v4 ? 32 : 128;
    if (slash != SPAN_NPOS && !span_to_u64(span_skip(text, slash + 1), bits, &bits))
        return false;
    n.bits = (unsigned)bits + (v4 ? 96 : 0);
    for (unsigned i = n.bits; i < 128; i++)
        if (n.address[i / 8] & (0x80 >> (i % 8)))
            return false;
    *ret = n;
    return true;
}

bool network_has(const struct network *n, struct span host)
{
    unsigned char a[16];
    bool v4;
    size_t zone = span_find_byte(host, '%');
    return parse_address(span_head(host, zone), a, &v4) && same_prefix(n->address, a, n->bits);
}
