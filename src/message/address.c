/* Address lists: RFC 5322 section 3.4, the obsolete forms of 4.4, and what else is in the wild. */
#include "message/header.h"

enum { T_PHRASE, T_LOCAL, T_DOMAIN, T_ROUTE, T_COMMENT, T_COUNT };

_Static_assert(T_COUNT == ARRAY_LEN(((struct address_iter *)0)->text), "one buf for each text");

/* How far the end of a domain literal or of a route is looked for: many begins without an end must
 * not cost a search of the whole field each. */
#define LITERAL_MAX 256
#define ROUTE_MAX   1024

/* One address while it is read. */
struct reading {
    struct span s;
    struct buf *t;   /* T_COUNT of them */
    bool any;        /* something other than white space and comments was seen */
    bool at;         /* "@" was seen, the domain follows */
    bool angle;      /* the address stood in angle brackets */
    bool space;      /* white space since the last word of the phrase */
    bool domain_end; /* white space ended the domain */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_special(char c)
{
    return is_space(c) || (c != '\0' && strchr("()<>@,;:\\\"[]", c) != NULL);
}

/* r->s begins with "(". The text of a comment is kept until something follows it: it may be the
 * display name, as in "user@host (Name)". */
static void take_comment(struct reading *r)
{
    struct buf *to = &r->t[T_COMMENT];
    size_t depth = 0, i = 0;
    buf_reset(to);
    for (; i < r->s.n; i++) {
        char c = r->s.p[i];
        if (c == '\r' || c == '\n')
            continue;
        if (c == '\\' && i + 1 < r->s.n) {
            c = r->s.p[++i];
        } else if (c == '(') {
            if (depth++ == 0)
                continue;
        } else if (c == ')' && --depth == 0) {
            i++;
            break;
        }
        buf_put_byte(to, c);
    }
    r->s = span_skip(r->s, i);
}

/* r->s begins with a quote. */
static void take_quoted(struct reading *r, struct buf *to, struct buf *also)
{
    size_t i = 1;
    for (; i < r->s.n && r->s.p[i] != '"'; i++) {
        if (r->s.p[i] == '\r' || r->s.p[i] == '\n')
            continue;
        if (r->s.p[i] == '\\' && i + 1 < r->s.n)
            i++;
        buf_put_byte(to, r->s.p[i]);
        if (also)
            buf_put_byte(also, r->s.p[i]);
    }
    r->s = span_skip(r->s, i + 1);
}

/* True if there was white space or a comment. */
static bool skip_cfws(struct reading *r)
{
    size_t before = r->s.n;
    while (r->s.n > 0 && (is_space(r->s.p[0]) || r->s.p[0] == '(')) {
        if (r->s.p[0] == '(')
            take_comment(r);
        else
            r->s = span_skip(r->s, 1);
    }
    return r->s.n != before;
}

/* The run of ordinary characters that s begins with, at least one byte whatever it is. */
static struct span take_atom(struct reading *r)
{
    size_t n = 1;
    while (n < r->s.n && !is_special(r->s.p[n]))
        n++;
    struct span atom = span_head(r->s, n);
    r->s = span_skip(r->s, n);
    return atom;
}

static struct span take_literal(struct reading *r)
{
    size_t end = span_find_byte(span_head(r->s, LITERAL_MAX), ']');
    struct span lit = span_head(r->s, end == SPAN_NPOS ? 1 : end + 1);
    r->s = span_skip(r->s, lit.n);
    return lit;
}

/* White space goes between two words unless a dot joins them: "a . b" is one local part. */
static void put_space(struct buf *to, struct span next)
{
    if (to->n > 0 && to->p[to->n - 1] != '.' && !span_starts(next, SPAN(".")))
        buf_put_byte(to, ' ');
}

/* --- <...> -------------------------------------------------------------------------------- */

/* "@a,@b:" with the colon; what looks like a route but has no colon is the domain of an address
 * without a local part. */
static void take_route(struct reading *r)
{
    struct span near = span_head(r->s, ROUTE_MAX);
    size_t colon = span_find_byte(near, ':');
    size_t end = span_find_byte(near, '>');
    if (colon == SPAN_NPOS || (end != SPAN_NPOS && colon > end))
        return;
    for (size_t i = 0; i < colon; i++) {
        char c = r->s.p[i];
        struct buf *to = &r->t[T_ROUTE];
        if (is_space(c) || (c == ',' && (to->n == 0 || to->p[to->n - 1] == ',')))
            continue;
        if (c == '@' && to->n > 0 && to->p[to->n - 1] != ',')
            buf_put_byte(to, ',');
        buf_put_byte(to, c);
    }
    r->s = span_skip(r->s, colon + 1);
}

/* Behind "<". An address that lacks its ">" ends at a comma. */
static void take_angle(struct reading *r)
{
    bool in_domain = false;
    r->angle = true;
    for (int i = T_LOCAL; i <= T_ROUTE; i++)
        buf_reset(&r->t[i]);
    skip_cfws(r);
    if (r->s.n > 0 && r->s.p[0] == '@')
        take_route(r);
    while (r->s.n > 0) {
        bool space = skip_cfws(r);
        if (r->s.n == 0 || r->s.p[0] == ',')
            return;
        struct buf *to = &r->t[in_domain ? T_DOMAIN : T_LOCAL];
        char c = r->s.p[0];
        if (c == '>') {
            r->s = span_skip(r->s, 1);
            return;
        }
        if (c == '@' && !in_domain) {
            in_domain = true;
            r->s = span_skip(r->s, 1);
        } else if (c == '"') {
            take_quoted(r, to, NULL);
        } else {
            struct span word = c == '[' ? take_literal(r) : take_atom(r);
            if (space && !in_domain)
                put_space(to, word);
            buf_put_span(to, word);
        }
    }
}

/* --- Without brackets --------------------------------------------------------------------- */

/* A word of the phrase, which is a local part as well until the next character tells. */
static void take_word(struct reading *r)
{
    struct buf *phrase = &r->t[T_PHRASE];
    struct buf *part = &r->t[r->at ? T_DOMAIN : T_LOCAL];
    char c = r->s.p[0];
    buf_reset(&r->t[T_COMMENT]);
    if (r->space && phrase->n > 0)
        buf_put_byte(phrase, ' ');
    if (r->at && r->space && part->n > 0 && part->p[part->n - 1] != '.' && c != '.')
        r->domain_end = true;
    if (c == '"') {
        if (!r->at && r->space)
            put_space(part, SPAN_EMPTY);
        take_quoted(r, phrase, r->at ? NULL : part);
    } else {
        struct span word = c == '[' ? take_literal(r) : take_atom(r);
        buf_put_span(phrase, word);
        if (!r->at && r->space)
            put_space(part, word);
        if (!r->domain_end)
            buf_put_span(part, word);
    }
    r->space = false;
    r->any = true;
}

/* Reads up to the comma or semicolon that ends the address, or the colon that makes it a group.
 * Returns that character, not consumed; 0 at the end. */
static char take_address(struct reading *r, bool in_group)
{
    for (;;) {
        if (skip_cfws(r))
            r->space = true;
        if (r->s.n == 0)
            return '\0';
        char c = r->s.p[0];
        if (c == ',' || c == ';')
            return c;
        if (c == ':' && !in_group && !r->angle && !r->at && r->any)
            return c;
        if (r->angle) {
            take_atom(r); /* something behind the brackets: ignored */
        } else if (c == '<') {
            r->s = span_skip(r->s, 1);
            r->any = true;
            take_angle(r);
            buf_reset(&r->t[T_COMMENT]);
        } else if (c == '@' && !r->at) {
            r->s = span_skip(r->s, 1);
            buf_put_byte(&r->t[T_PHRASE], '@');
            buf_reset(&r->t[T_COMMENT]);
            r->at = r->any = true;
            r->space = false;
        } else {
            take_word(r);
        }
    }
}

/* --- The iterator ------------------------------------------------------------------------- */

void address_iter_init(struct address_iter *it, struct span value)
{
    *it = (struct address_iter){.rest = value};
    for (int i = 0; i < T_COUNT; i++)
        buf_init(&it->text[i], BUF_UNLIMITED);
}

void address_iter_restart(struct address_iter *it, struct span value)
{
    it->rest = value;
    it->in_group = false;
}

void address_iter_done(struct address_iter *it)
{
    for (int i = 0; i < T_COUNT; i++)
        buf_done(&it->text[i]);
}

static void fill(const struct reading *r, struct address *ret)
{
    struct span name = r->angle ? buf_span(&r->t[T_PHRASE]) : SPAN_EMPTY;
    if (name.n == 0)
        name = span_trim(buf_span(&r->t[T_COMMENT]));
    *ret = (struct address){
        .kind = ADDRESS_MAILBOX,
        .has_name = name.n > 0,
        .has_route = r->t[T_ROUTE].n > 0,
        .name = name,
        .route = buf_span(&r->t[T_ROUTE]),
        .mailbox = buf_span(&r->t[T_LOCAL]),
        .host = r->angle || r->at ? buf_span(&r->t[T_DOMAIN]) : SPAN_EMPTY,
    };
}

/* One address, or the begin of a group. False if nothing but separators was left. */
static bool next_entry(struct address_iter *it, struct reading *r, struct address *ret)
{
    while (r->s.n > 0) {
        char end = take_address(r, it->in_group);
        if (end == ':') {
            r->s = span_skip(r->s, 1);
            it->in_group = true;
            *ret =
                (struct address){.kind = ADDRESS_GROUP_START, .mailbox = buf_span(&r->t[T_PHRASE])};
            return true;
        }
        if (r->any) { /* the separator is looked at again by the next call */
            fill(r, ret);
            return true;
        }
        if (end == ';' && it->in_group) {
            r->s = span_skip(r->s, 1);
            it->in_group = false;
            *ret = (struct address){.kind = ADDRESS_GROUP_END};
            return true;
        }
        r->s = span_skip(r->s, 1);
        buf_reset(&r->t[T_COMMENT]);
        r->space = false;
    }
    return false;
}

bool address_next(struct address_iter *it, struct address *ret)
{
    struct reading r = {.s = it->rest, .t = it->text};
    for (int i = 0; i < T_COUNT; i++)
        buf_reset(&it->text[i]);
    bool found = next_entry(it, &r, ret);
    it->rest = r.s;
    if (!found && it->in_group) { /* a group that was not closed */
        it->in_group = false;
        *ret = (struct address){.kind = ADDRESS_GROUP_END};
        return true;
    }
    return found;
}
