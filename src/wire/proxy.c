#include "wire/proxy.h"

#include <arpa/inet.h>

enum {
    V1_MAX = 107, /* with CRLF; section 2.1 */
    V2_PREFIX = 16,
    V2_COMMAND_LOCAL = 0,
    V2_COMMAND_PROXY = 1,
    V2_TCP4 = 0x11,
    V2_UDP4 = 0x12,
    V2_TCP6 = 0x21,
    V2_UDP6 = 0x22,
    TLV_SSL = 0x20,
    TLV_SSL_CLIENT_SSL = 0x01,
};

static const char v2_signature[12] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                      '\n', 'Q',  'U',  'I',  'T', '\n'};

/* Version 1: one line of text. */

static bool parse_address(struct span text, enum proxy_family family, struct proxy_address *ret)
{
    char copy[INET6_ADDRSTRLEN];
    if (text.n >= sizeof(copy) || span_find_byte(text, '\0') != SPAN_NPOS)
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    return inet_pton(family == PROXY_IPV4 ? AF_INET : AF_INET6, copy, ret->bytes) == 1;
}

static bool parse_port(struct span text, uint16_t *ret)
{
    uint64_t v;
    if (!span_to_u64(text, UINT16_MAX, &v) || (text.n > 1 && text.p[0] == '0'))
        return false;
    *ret = (uint16_t)v;
    return true;
}

static enum proxy_result parse_line(struct span line, struct proxy_header *h)
{
    struct span word[7], rest = line; /* one more than there may be */
    size_t n = 0;
    while (n < ARRAY_LEN(word) && span_split(&rest, ' ', &word[n]))
        n++;
    if (n >= 2 && span_eq(word[1], SPAN("UNKNOWN"))) /* whatever follows is to be ignored */
        return PROXY_OK;
    if (n != 6)
        return PROXY_BAD;
    if (span_eq(word[1], SPAN("TCP4")))
        h->family = PROXY_IPV4;
    else if (span_eq(word[1], SPAN("TCP6")))
        h->family = PROXY_IPV6;
    else
        return PROXY_BAD;
    bool good = parse_address(word[2], h->family, &h->source) &&
                parse_address(word[3], h->family, &h->destination) &&
                parse_port(word[4], &h->source.port) && parse_port(word[5], &h->destination.port);
    return good ? PROXY_OK : PROXY_BAD;
}

static enum proxy_result parse_v1(struct span in, struct proxy_header *h)
{
    struct span head = span_head(in, V1_MAX);
    size_t end = span_find(head, SPAN("\r\n"));
    if (end == SPAN_NPOS)
        return head.n == V1_MAX ? PROXY_BAD : PROXY_MORE;
    h->length = end + 2;
    return parse_line(span_head(head, end), h);
}

/* Version 2: binary. */

static unsigned u16_at(struct span s, size_t at)
{
    return (unsigned)((unsigned char)s.p[at] << 8 | (unsigned char)s.p[at + 1]);
}

/* Both addresses, then both ports. False if the header is too short for them. */
static bool take_addresses(struct span *s, enum proxy_family family, struct proxy_header *h)
{
    size_t n = family == PROXY_IPV4 ? 4 : 16;
    if (s->n < 2 * n + 4)
        return false;
    h->family = family;
    memcpy(h->source.bytes, s->p, n);
    memcpy(h->destination.bytes, s->p + n, n);
    h->source.port = (uint16_t)u16_at(*s, 2 * n);
    h->destination.port = (uint16_t)u16_at(*s, 2 * n + 2);
    *s = span_skip(*s, 2 * n + 4);
    return true;
}

/* What follows the addresses: type, length, value. Types that we do not know are skipped (section
 * 2.2), but what does not add up makes the header invalid. */
static bool take_tlvs(struct span s, struct proxy_header *h)
{
    while (s.n) {
        if (s.n < 3 || s.n - 3 < u16_at(s, 1))
            return false;
        struct span value = span_head(span_skip(s, 3), u16_at(s, 1));
        if ((unsigned char)s.p[0] == TLV_SSL) {
            if (value.n < 5)
                return false;
            h->tls = (unsigned char)value.p[0] & TLV_SSL_CLIENT_SSL;
        }
        s = span_skip(s, 3 + value.n);
    }
    return true;
}

static enum proxy_result parse_v2(struct span in, struct proxy_header *h)
{
    if (in.n < V2_PREFIX)
        return PROXY_MORE;
    unsigned version = (unsigned char)in.p[12] >> 4, command = (unsigned char)in.p[12] & 15;
    size_t n = u16_at(in, 14);
    if (version != 2 || command > V2_COMMAND_PROXY || n > PROXY_HEADER_MAX - V2_PREFIX)
        return PROXY_BAD;
    if (in.n - V2_PREFIX < n)
        return PROXY_MORE;
    h->length = V2_PREFIX + n;
    h->local = command == V2_COMMAND_LOCAL;
    if (h->local) /* the rest is to be skipped whatever it is */
        return PROXY_OK;
    struct span s = span_head(span_skip(in, V2_PREFIX), n);
    switch ((unsigned char)in.p[13]) {
    case V2_TCP4:
    case V2_UDP4:
        return take_addresses(&s, PROXY_IPV4, h) && take_tlvs(s, h) ? PROXY_OK : PROXY_BAD;
    case V2_TCP6:
    case V2_UDP6:
        return take_addresses(&s, PROXY_IPV6, h) && take_tlvs(s, h) ? PROXY_OK : PROXY_BAD;
    default: /* UNIX sockets and what is not known: the connection's own addresses count */
        return PROXY_OK;
    }
}

enum proxy_result proxy_parse(struct span in, struct proxy_header *ret)
{
    struct proxy_header h = {0};
    struct span v1 = SPAN("PROXY "), v2 = span_make(v2_signature, sizeof(v2_signature));
    enum proxy_result r = PROXY_BAD;
    if (!in.n)
        return PROXY_MORE;
    struct span magic = in.p[0] == 'P' ? v1 : v2;
    if (!span_eq(span_head(in, magic.n), span_head(magic, in.n)))
        return PROXY_BAD;
    if (in.n < magic.n)
        return PROXY_MORE;
    r = in.p[0] == 'P' ? parse_v1(in, &h) : parse_v2(in, &h);
    if (r == PROXY_OK)
        *ret = h;
    return r;
}
