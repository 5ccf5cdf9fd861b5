#include "wire/match.h"

/* Position i of the pattern is bit i: "what is left of the pattern from i on may still match what
 * is left of the name". Bit n: the pattern is used up. */
enum { WORDS = PATTERN_MAX / 64 + 1 };

struct positions {
    uint64_t w[WORDS];
};

static bool is_wildcard(char c)
{
    return c == '*' || c == '%';
}

static bool inbox_first(struct span name, char separator)
{
    return span_istarts(name, SPAN("INBOX")) && (name.n == 5 || name.p[5] == separator);
}

/* Repeated wildcards are folded ("%*%" is "*", "%%" is "%"): the set of names stays the same. */
static int pattern_add(struct pattern *p, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (is_wildcard(c) && p->n && is_wildcard(p->text[p->n - 1])) {
            if (c == '*')
                p->text[p->n - 1] = '*';
            continue;
        }
        if (p->n == PATTERN_MAX)
            return ERR_LIMIT;
        p->text[p->n++] = c;
    }
    return 0;
}

int pattern_init(struct pattern *p, struct span reference, struct span pattern, char separator)
{
    p->n = 0;
    p->separator = separator;
    if (pattern_add(p, reference) || pattern_add(p, pattern))
        return ERR_LIMIT;
    if (inbox_first(span_make(p->text, p->n), separator))
        memcpy(p->text, "INBOX", 5);
    return 0;
}

static bool get_bit(const struct positions *s, unsigned i)
{
    return s->w[i / 64] >> (i % 64) & 1;
}

/* Adds i, and what follows it as long as it can match nothing (a wildcard; never two in a row). */
static void add_position(const struct pattern *p, struct positions *s, unsigned i)
{
    s->w[i / 64] |= 1ULL << (i % 64);
    if (i < p->n && is_wildcard(p->text[i]))
        s->w[(i + 1) / 64] |= 1ULL << ((i + 1) % 64);
}

/* One byte of the name. fold: letters of the pattern are compared without case. False when no
 * position is left. */
static bool step(const struct pattern *p, struct positions *s, unsigned words, char c, bool fold)
{
    struct positions next;
    bool alive = false;
    memset(next.w, 0, words * sizeof(next.w[0]));
    for (unsigned w = 0; w < words; w++) {
        for (uint64_t bits = s->w[w]; bits; bits &= bits - 1) {
            unsigned i = w * 64 + (unsigned)__builtin_ctzll(bits);
            if (i == p->n)
                continue;
            char t = p->text[i];
            if (t == '*' || (t == '%' && c != p->separator))
                add_position(p, &next, i);
            else if (t != '%' && (t == c || (fold && ascii_lower((unsigned char)t) ==
                                                         ascii_lower((unsigned char)c))))
                add_position(p, &next, i + 1);
            else
                continue;
            alive = true;
        }
    }
    memcpy(s->w, next.w, words * sizeof(next.w[0]));
    return alive;
}

unsigned pattern_match(const struct pattern *p, struct span name)
{
    struct positions s;
    unsigned words = p->n / 64u + 1, found = 0;
    bool inbox = inbox_first(name, p->separator);
    memset(s.w, 0, words * sizeof(s.w[0]));
    add_position(p, &s, 0);
    for (size_t i = 0; i < name.n; i++)
        if (!step(p, &s, words, name.p[i], inbox && i < 5))
            return PATTERN_NO;
    if (get_bit(&s, p->n))
        found |= PATTERN_MATCH;
    /* A child has at least one byte after the separator; any position left can be completed by some
     * name, except the used-up pattern alone. */
    if (name.n == 0)
        return p->n ? found | PATTERN_CHILDREN : found;
    if (step(p, &s, words, p->separator, false)) {
        for (unsigned i = 0; i < p->n && !(found & PATTERN_CHILDREN); i++)
            if (get_bit(&s, i))
                found |= PATTERN_CHILDREN;
    }
    return found;
}

bool pattern_is_literal(const struct pattern *p, struct span *ret_name)
{
    struct span s = span_make(p->text, p->n);
    if (span_find_byte(s, '*') != SPAN_NPOS || span_find_byte(s, '%') != SPAN_NPOS)
        return false;
    *ret_name = s;
    return true;
}

struct span pattern_prefix(const struct pattern *p)
{
    size_t n = 0;
    while (n < p->n && !is_wildcard(p->text[n]))
        n++;
    struct span prefix = span_make(p->text, n);
    /* "in*" matches INBOX, which sorts elsewhere. */
    if (span_istarts(SPAN("INBOX"), span_head(prefix, 5)) && !span_starts(prefix, SPAN("INBOX")))
        return span_head(prefix, 0);
    return prefix;
}
