#include "base/span.h"

struct span span_str(const char *cstr)
{
    return (struct span){cstr, cstr ? strlen(cstr) : 0};
}

bool span_ieq(struct span a, struct span b)
{
    return a.n == b.n && span_istarts(a, b);
}

int span_cmp(struct span a, struct span b)
{
    size_t n = MIN(a.n, b.n);
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c)
        return c;
    return a.n < b.n ? -1 : a.n > b.n;
}

bool span_is_ascii(struct span s)
{
    unsigned char all = 0;
    for (size_t i = 0; i < s.n; i++)
        all |= (unsigned char)s.p[i];
    return all < 0x80;
}

bool span_starts(struct span s, struct span prefix)
{
    return s.n >= prefix.n && (prefix.n == 0 || memcmp(s.p, prefix.p, prefix.n) == 0);
}

bool span_istarts(struct span s, struct span prefix)
{
    if (s.n < prefix.n)
        return false;
    for (size_t i = 0; i < prefix.n; i++)
        if (ascii_lower((unsigned char)s.p[i]) != ascii_lower((unsigned char)prefix.p[i]))
            return false;
    return true;
}

bool span_ends(struct span s, struct span suffix)
{
    return s.n >= suffix.n && span_eq(span_skip(s, s.n - suffix.n), suffix);
}

size_t span_find_byte(struct span s, char c)
{
    const char *hit = s.n ? memchr(s.p, c, s.n) : NULL;
    return hit ? (size_t)(hit - s.p) : SPAN_NPOS;
}

size_t span_find(struct span s, struct span needle)
{
    if (needle.n == 0)
        return 0;
    const char *hit = s.n ? memmem(s.p, s.n, needle.p, needle.n) : NULL;
    return hit ? (size_t)(hit - s.p) : SPAN_NPOS;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span s)
{
    while (s.n && is_space(s.p[0]))
        s = span_skip(s, 1);
    while (s.n && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

bool span_split(struct span *s, char sep, struct span *ret_field)
{
    if (!s->p)
        return false;
    size_t at = span_find_byte(*s, sep);
    if (at == SPAN_NPOS) {
        *ret_field = *s;
        *s = SPAN_EMPTY;
    } else {
        *ret_field = span_head(*s, at);
        *s = (struct span){s->p + at + 1, s->n - at - 1};
    }
    return true;
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *ret)
{
    uint64_t v = 0;
    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_is_digit((unsigned char)s.p[i]) || mul_overflow(v, 10U, &v) ||
            add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    if (v > max)
        return false;
    *ret = v;
    return true;
}

char *span_dup(struct span s)
{
    return xstrndup(s.p ? s.p : "", s.n);
}
