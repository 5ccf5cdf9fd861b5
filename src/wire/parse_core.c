/* wire/parse_core.c: tokens and reasons, shared by all command parsers. */
#include "base/utf8.h"
#include "wire/literal_int.h"
#include "wire/parse_int.h"

/* ---- tables of words ---- */

bool keyword_key(struct span s, struct keyword_key *ret)
{
    char name[16] = {0};
    if (s.n == 0 || s.n > sizeof(name))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        name[i] = (char)((unsigned char)(c - 'a') < 26 ? c - 0x20 : c);
    }
    memcpy(ret->w, name, sizeof(name));
    return true;
}

int keyword_find(const void *table, size_t n, size_t stride, struct span s)
{
    struct keyword_key key;
    const char *row = table;
    if (!keyword_key(s, &key))
        return -1;
    for (size_t i = 0; i < n; i++, row += stride) {
        uint64_t w[2];
        memcpy(w, row, sizeof(w));
        if (w[0] == key.w[0] && w[1] == key.w[1])
            return (int)i;
    }
    return -1;
}

/* ---- failing ---- */

int parse_fail(struct parse *p, int code, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(p->err->reason, sizeof(p->err->reason), fmt, ap);
    va_end(ap);
    return code;
}

struct excerpt parse_excerpt(struct span s)
{
    struct excerpt e;
    size_t n = MIN(s.n, sizeof(e.text) - 4);
    for (size_t i = 0; i < n; i++)
        e.text[i] = s.p[i] >= 0x20 && s.p[i] < 0x7f ? s.p[i] : '?';
    if (n < s.n) {
        memcpy(e.text + n, "...", 3);
        n += 3;
    }
    e.text[n] = '\0';
    return e;
}

int parse_expected(struct parse *p, const char *what)
{
    if (parse_at_end(p))
        return parse_fail(p, ERR_INVALID, "expected %s after %s", what, p->after);
    struct span rest = span_make(p->p, (size_t)(p->end - p->p));
    size_t n = 1;
    while (n < rest.n && rest.p[n] != ' ' && rest.p[n] != '\r')
        n++;
    return parse_fail(p, ERR_INVALID, "expected %s after %s, found \"%s\"", what, p->after,
                      parse_excerpt(span_head(rest, n)).text);
}

int parse_spent(struct parse *p)
{
    return parse_fail(p, ERR_LIMIT, "the command needs too much memory");
}

int parse_too_many(struct parse *p, const char *what, unsigned limit)
{
    return parse_fail(p, ERR_LIMIT, "too many %s (at most %u)", what, limit);
}

void *grow_add(struct parse *p, struct grow *g)
{
    if (g->n >= g->limit) {
        parse_too_many(p, g->what, g->limit);
        return NULL;
    }
    if (g->n == g->cap) {
        unsigned cap = MIN(g->cap ? g->cap * 2 : 4, g->limit);
        void *items = arena_array(p->a, cap, g->size);
        if (!items) {
            parse_spent(p);
            return NULL;
        }
        if (g->n)
            memcpy(items, g->items, g->n * g->size);
        g->items = items;
        g->cap = cap;
    }
    return (char *)g->items + g->n++ * g->size;
}

/* ---- punctuation ---- */

int parse_byte(struct parse *p, char c, const char *what)
{
    return parse_take(p, c) ? 0 : parse_expected(p, what);
}

int parse_sp(struct parse *p, const char *what)
{
    if (!parse_looking_at(p, ' '))
        return parse_expected(p, what);
    p->p++;
    if (parse_at_end(p))
        return parse_expected(p, what);
    return 0;
}

int parse_end(struct parse *p)
{
    if (parse_at_trailing(p))
        return 0;
    struct span rest = span_make(p->p, (size_t)(p->end - p->p));
    return parse_fail(p, ERR_INVALID, "unexpected \"%s\" at the end of %s",
                      parse_excerpt(rest).text, p->command);
}

/* ---- strings ---- */

int parse_atom(struct parse *p, const char *what, struct span *ret)
{
    struct span s = parse_run(p, CH_ATOM);
    if (s.n == 0)
        return parse_expected(p, what);
    *ret = s;
    return 0;
}

/* Behind the opening quote. Escapes are rare: without any, the span points into the text. */
static int parse_quoted(struct parse *p, const char *what, struct span *ret)
{
    const char *start = p->p;
    size_t escapes = 0;
    for (;;) {
        parse_run(p, CH_QUOTED);
        if (!parse_looking_at(p, '\\'))
            break;
        if (p->end - p->p < 2 || (p->p[1] != '"' && p->p[1] != '\\'))
            return parse_fail(p, ERR_INVALID,
                              "in %s after %s: only \\\" and \\\\ may follow a backslash", what,
                              p->after);
        p->p += 2;
        escapes++;
    }
    struct span s = span_make(start, (size_t)(p->p - start));
    if (!parse_take(p, '"'))
        return parse_fail(p, ERR_INVALID, "%s after %s: the quoted string does not end", what,
                          p->after);
    /* RFC 9051 section 4.3, RFC 9755 section 3; passwords have been any octets from of old. */
    if (p->err->id != CMD_LOGIN && !span_is_ascii(s) && !utf8_valid(s))
        return parse_fail(p, ERR_INVALID, "%s after %s: the quoted string is not UTF-8", what,
                          p->after);
    if (escapes) {
        char *to = arena_alloc(p->a, s.n);
        if (!to)
            return parse_spent(p);
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++) {
            i += s.p[i] == '\\';
            to[n++] = s.p[i];
        }
        s = span_make(to, n);
    }
    *ret = s;
    return 0;
}

/* "{n}", "{n+}", "~{n}", "{n*}" and CRLF at the point. */
static int parse_literal_header(struct parse *p, const char *what, struct literal *ret)
{
    struct literal lit = {.binary = parse_take(p, '~')};
    uint64_t v = 0;
    bool digits = false, overflow = false;
    int rc = parse_byte(p, '{', what);
    if (rc)
        return rc;
    for (; p->p < p->end && ascii_is_digit((unsigned char)*p->p); p->p++) {
        digits = true;
        overflow = overflow || mul_overflow(v, (uint64_t)10, &v) ||
                   add_overflow(v, (uint64_t)(*p->p - '0'), &v);
    }
    if (!parse_take(p, '+'))
        lit.streamed = parse_take(p, '*');
    if (!digits || overflow || v > INT64_MAX || !parse_take(p, '}') || p->end - p->p < 2 ||
        p->p[0] != '\r' || p->p[1] != '\n')
        return parse_fail(p, ERR_INVALID, "malformed literal for %s after %s", what, p->after);
    p->p += 2;
    lit.size = v;
    *ret = lit;
    return 0;
}

int parse_literal(struct parse *p, const char *what, bool streamed_allowed, struct literal *ret)
{
    struct literal lit = {0};
    int rc = parse_literal_header(p, what, &lit);
    if (rc)
        return rc;
    if (lit.streamed) {
        if (!streamed_allowed)
            return parse_fail(p, ERR_INVALID, "malformed literal for %s after %s", what, p->after);
    } else {
        if (lit.size > (uint64_t)(p->end - p->p))
            return parse_fail(p, ERR_INVALID, "the literal for %s is incomplete", what);
        lit.data = span_make(p->p, (size_t)lit.size);
        p->p += lit.size;
        if (!lit.binary && span_find_byte(lit.data, '\0') != SPAN_NPOS)
            return parse_fail(p, ERR_INVALID, "NUL byte in %s after %s", what, p->after);
    }
    *ret = lit;
    return 0;
}

int parse_string(struct parse *p, const char *what, struct span *ret)
{
    if (parse_take(p, '"'))
        return parse_quoted(p, what, ret);
    if (!parse_looking_at(p, '{'))
        return parse_expected(p, what);
    struct literal lit;
    int rc = parse_literal(p, what, false, &lit);
    if (rc == 0)
        *ret = lit.data;
    return rc;
}

static int parse_run_or_string(struct parse *p, enum char_class class, const char *what,
                               struct span *ret)
{
    struct span s = parse_run(p, class);
    if (s.n == 0)
        return parse_string(p, what, ret);
    *ret = s;
    return 0;
}

int parse_astring(struct parse *p, const char *what, struct span *ret)
{
    return parse_run_or_string(p, CH_ASTRING, what, ret);
}

int parse_mailbox(struct parse *p, struct span *ret)
{
    return parse_astring(p, "a mailbox name", ret);
}

int parse_list_mailbox(struct parse *p, struct span *ret)
{
    return parse_run_or_string(p, CH_LIST, "a mailbox pattern", ret);
}

/* ---- numbers and sets ---- */

int parse_number64(struct parse *p, const char *what, uint64_t *ret)
{
    const char *start = p->p;
    while (p->p < p->end && ascii_is_digit((unsigned char)*p->p))
        p->p++;
    struct span s = span_make(start, (size_t)(p->p - start));
    if (s.n == 0)
        return parse_expected(p, what);
    uint64_t v;
    if (!span_to_u64(s, INT64_MAX, &v))
        return parse_fail(p, ERR_INVALID, "the number %s after %s is too large",
                          parse_excerpt(s).text, p->after);
    *ret = v;
    return 0;
}

int parse_set(struct parse *p, struct seqset *ret)
{
    struct span s = parse_run(p, CH_NUMSET);
    if (s.n == 0)
        return parse_expected(p, "a sequence set");
    int rc = seqset_parse(s, p->limits->max_ranges, p->a, ret);
    if (rc == ERR_INVALID)
        return parse_fail(p, rc, "\"%s\" is not a sequence set", parse_excerpt(s).text);
    if (rc)
        return p->a->spent ? parse_spent(p)
                           : parse_too_many(p, "ranges in a sequence set", p->limits->max_ranges);
    return 0;
}

/* ---- flags ---- */

static bool has_keyword(const struct grow *keywords, struct span name)
{
    const struct span *k = keywords->items;
    for (unsigned i = 0; i < keywords->n; i++)
        if (span_ieq(k[i], name))
            return true;
    return false;
}

static int parse_flag(struct parse *p, struct wire_flags *flags, struct grow *keywords)
{
    const char *start = p->p;
    bool system = parse_take(p, '\\');
    struct span atom;
    int rc = parse_atom(p, "a flag", &atom);
    if (rc)
        return rc;
    struct span name = span_make(start, (size_t)(p->p - start));
    if (system) {
        uint32_t bit = wire_flag_bit(name);
        flags->system |= bit;
        if (!bit && flags->unknown.n == 0)
            flags->unknown = name;
    } else if (!has_keyword(keywords, name)) {
        struct span *k = grow_add(p, keywords);
        if (!k)
            return ERR_LIMIT;
        *k = name;
    }
    return 0;
}

int parse_flags(struct parse *p, bool bare_allowed, struct wire_flags *ret)
{
    struct wire_flags flags = {0};
    struct grow keywords = GROW(struct span, p->limits->max_flags, "flags");
    bool list = parse_take(p, '(');
    if (!list && !bare_allowed)
        return parse_expected(p, "a list of flags");
    if (!list || !parse_take(p, ')')) {
        do {
            int rc = parse_flag(p, &flags, &keywords);
            if (rc)
                return rc;
            p->after = "a flag";
            if (!list && parse_at_trailing(p))
                break;
        } while (parse_take(p, ' '));
        int rc = list ? parse_byte(p, ')', "\")\"") : 0;
        if (rc)
            return rc;
    }
    flags.keywords = keywords.items;
    flags.n_keywords = keywords.n;
    *ret = flags;
    return 0;
}
