/* Parameters of Content-Type and Content-Disposition: RFC 2045 section 5.1, RFC 2231. */
#include "message/param_int.h"

#include "message/charset.h"
#include "message/header.h"

void param_list_init(struct param_list *l)
{
    *l = (struct param_list){.text = BUF_INIT(BUF_UNLIMITED)};
}

void param_list_done(struct param_list *l)
{
    buf_done(&l->text);
    free(l->v);
    *l = (struct param_list){.text = BUF_INIT(BUF_UNLIMITED)};
}

size_t param_find(const struct param_list *l, struct span name)
{
    for (size_t i = 0; i < l->n; i++)
        if (span_ieq(param_name(l, i), name))
            return i;
    return SIZE_MAX;
}

/* --- Reading ------------------------------------------------------------------------------ */

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* s begins with "(". Comments nest. */
static void skip_comment(struct span *s)
{
    size_t depth = 0, i = 0;
    for (; i < s->n; i++) {
        if (s->p[i] == '\\')
            i++;
        else if (s->p[i] == '(')
            depth++;
        else if (s->p[i] == ')' && --depth == 0) {
            i++;
            break;
        }
    }
    *s = span_skip(*s, i);
}

static void skip_cfws(struct span *s)
{
    while (s->n > 0 && (is_space(s->p[0]) || s->p[0] == '(')) {
        if (s->p[0] == '(')
            skip_comment(s);
        else
            *s = span_skip(*s, 1);
    }
}

/* s begins with a quote; line breaks of folding are dropped. */
static void take_quoted(struct span *s, struct buf *out)
{
    size_t i = 1;
    for (; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\r' || s->p[i] == '\n')
            continue;
        if (s->p[i] == '\\' && i + 1 < s->n)
            i++;
        buf_put_byte(out, s->p[i]);
    }
    *s = span_skip(*s, i + 1);
}

/* Up to ";" or a comment, without white space at the end: values that lack their quotes may hold
 * white space within. */
static void take_bare(struct span *s, struct buf *out)
{
    size_t n = 0;
    while (n < s->n && s->p[n] != ';' && !(s->p[n] == '(' && n > 0 && is_space(s->p[n - 1])))
        n++;
    header_unfold(span_head(*s, n), out);
    *s = span_skip(*s, n);
}

static void skip_to_semicolon(struct span *s)
{
    while (s->n > 0 && s->p[0] != ';') {
        if (s->p[0] == '(')
            skip_comment(s);
        else
            *s = span_skip(*s, 1);
    }
    *s = span_skip(*s, 1);
}

static struct param *add(struct param_list *l)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 8;
        l->v = xrealloc_array(l->v, l->cap, sizeof(*l->v));
    }
    return &l->v[l->n++];
}

/* One "name=value"; anything else is skipped up to the next ";". */
static void take_param(struct param_list *l, struct span *s)
{
    skip_cfws(s);
    size_t n = 0;
    while (n < s->n && s->p[n] != '=' && s->p[n] != ';' && s->p[n] != '(' && !is_space(s->p[n]))
        n++;
    struct span name = span_head(*s, n);
    *s = span_skip(*s, n);
    skip_cfws(s);
    if (name.n == 0 || s->n == 0 || s->p[0] != '=') {
        skip_to_semicolon(s);
        return;
    }
    *s = span_skip(*s, 1);
    skip_cfws(s);
    struct param p = {.name = (uint32_t)l->text.n, .name_n = (uint32_t)name.n};
    buf_put_span(&l->text, name);
    p.value = (uint32_t)l->text.n;
    if (s->n > 0 && s->p[0] == '"')
        take_quoted(s, &l->text);
    else
        take_bare(s, &l->text);
    p.value_n = (uint32_t)l->text.n - p.value;
    skip_to_semicolon(s);
    if (l->n < PARAM_MAX)
        *add(l) = p;
}

/* --- RFC 2231 continuations --------------------------------------------------------------- */

#define PIECE_NAME_MAX 64

/* What the name of a parameter says if it is name*3 or name*3*. */
struct piece {
    bool is_piece, encoded;
    uint16_t number;
    uint16_t base_n; /* length of the name before the "*" */
};

static struct piece piece_of(struct span name)
{
    size_t star = span_find_byte(name, '*');
    if (star == SPAN_NPOS || star == 0 || star > PIECE_NAME_MAX)
        return (struct piece){false, false, 0, 0};
    struct span rest = span_skip(name, star + 1);
    bool enc = rest.n > 0 && rest.p[rest.n - 1] == '*';
    uint64_t number;
    if (enc)
        rest.n--;
    if (rest.n > 4 || !span_to_u64(rest, 9999, &number))
        return (struct piece){false, false, 0, 0};
    return (struct piece){true, enc, (uint16_t)number, (uint16_t)star};
}

static size_t find_piece(const struct param_list *l, const struct piece *pieces, struct span base,
                         uint16_t number)
{
    for (size_t i = 0; i < l->n; i++)
        if (pieces[i].is_piece && pieces[i].number == number &&
            span_ieq(span_head(param_name(l, i), pieces[i].base_n), base))
            return i;
    return SIZE_MAX;
}

/* attribute-char of RFC 2231 section 7 stands for itself. */
static bool needs_percent(unsigned char c)
{
    return c <= ' ' || c >= 0x7f || strchr("*'%()<>@,;:\\\"/[]?=", c) != NULL;
}

static void put_percent(struct buf *out, struct span s)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (needs_percent(c)) {
            char tmp[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_put(out, tmp, 3);
        } else {
            buf_put_byte(out, (char)c);
        }
    }
}

/* The pieces base*0, base*1, ... joined in value; returns whether any was encoded. */
static bool join_value(const struct param_list *l, const struct piece *pieces, struct span base,
                       struct buf *value)
{
    size_t order[PARAM_MAX];
    size_t count = 0;
    bool any = false;
    while (count < PARAM_MAX) {
        size_t at = find_piece(l, pieces, base, (uint16_t)count);
        if (at == SIZE_MAX)
            break;
        order[count++] = at;
        any |= pieces[at].encoded;
    }
    for (size_t i = 0; i < count; i++) {
        bool enc = pieces[order[i]].encoded;
        if (i == 0 && any && !enc)
            buf_put_lit(value, "''");
        if (any && !enc)
            put_percent(value, param_value(l, order[i]));
        else
            buf_put_span(value, param_value(l, order[i]));
    }
    return any;
}

/* Name and value of the parameter that begins with piece i, appended to text. */
static struct param join_one(struct param_list *l, const struct piece *pieces, size_t i)
{
    char name[PIECE_NAME_MAX + 1]; /* text may move while it grows */
    struct span base = span_head(param_name(l, i), pieces[i].base_n);
    memcpy(name, base.p, base.n);
    base.p = name;
    autobuf value = BUF_INIT(BUF_UNLIMITED);
    if (join_value(l, pieces, base, &value))
        name[base.n++] = '*';
    struct param p = {.name = (uint32_t)l->text.n, .name_n = (uint32_t)base.n};
    buf_put_span(&l->text, base);
    p.value = (uint32_t)l->text.n;
    p.value_n = (uint32_t)value.n;
    buf_put_span(&l->text, buf_span(&value));
    return p;
}

static void join_pieces(struct param_list *l)
{
    struct piece pieces[PARAM_MAX];
    bool found = false;
    for (size_t i = 0; i < l->n; i++) {
        pieces[i] = piece_of(param_name(l, i));
        found |= pieces[i].is_piece;
    }
    if (!found)
        return;
    struct param *joined = xcalloc(l->n, sizeof(*joined));
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        if (!pieces[i].is_piece) {
            joined[n++] = l->v[i];
            continue;
        }
        /* A piece is joined to its first one; without that it is lost. */
        struct span base = span_head(param_name(l, i), pieces[i].base_n);
        if (pieces[i].number == 0 && find_piece(l, pieces, base, 0) == i)
            joined[n++] = join_one(l, pieces, i);
    }
    free(l->v);
    l->v = joined;
    l->cap = l->n;
    l->n = n;
}

void param_parse(struct param_list *l, struct span value)
{
    buf_reset(&l->text);
    buf_reserve(&l->text, 64); /* so that text.p is never NULL */
    l->n = 0;
    struct span s = value;
    skip_cfws(&s);
    l->main = (uint32_t)l->text.n;
    size_t n = 0;
    while (n < s.n && s.p[n] != ';' && s.p[n] != '(')
        n++;
    header_unfold(span_head(s, n), &l->text);
    l->main_n = (uint32_t)l->text.n - l->main;
    s = span_skip(s, n);
    skip_to_semicolon(&s);
    while (s.n > 0)
        take_param(l, &s);
    join_pieces(l);
}

/* --- Decoding ----------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    if (ascii_is_digit((unsigned char)c))
        return c - '0';
    unsigned char l = ascii_lower((unsigned char)c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* charset'language'percent-encoded (RFC 2231 section 4). */
static void decode_extended(struct span v, struct buf *out)
{
    struct span charset = SPAN_EMPTY, text = v;
    size_t first = span_find_byte(v, '\'');
    size_t second = first == SPAN_NPOS ? SPAN_NPOS : span_find_byte(span_skip(v, first + 1), '\'');
    if (second != SPAN_NPOS) {
        charset = span_head(v, first);
        text = span_skip(v, first + second + 2);
    }
    autobuf bytes = BUF_INIT(v.n);
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%' && i + 2 < text.n && hex_digit(text.p[i + 1]) >= 0 &&
            hex_digit(text.p[i + 2]) >= 0) {
            c = (char)(hex_digit(text.p[i + 1]) << 4 | hex_digit(text.p[i + 2]));
            i += 2;
        }
        buf_put_byte(&bytes, c);
    }
    struct charset_decoder d;
    charset_decoder_init(&d, charset);
    charset_decode(&d, buf_span(&bytes), out);
    charset_decode_finish(&d, out);
    charset_decoder_done(&d);
}

bool header_param(struct span value, struct span name, struct buf *out)
{
    struct param_list l;
    param_list_init(&l);
    param_parse(&l, value);
    autobuf star = BUF_INIT(BUF_UNLIMITED);
    buf_put_span(&star, name);
    buf_put_byte(&star, '*');
    size_t ext = param_find(&l, buf_span(&star));
    size_t plain = param_find(&l, name);
    if (ext != SIZE_MAX)
        decode_extended(param_value(&l, ext), out);
    else if (plain != SIZE_MAX)
        header_decode(param_value(&l, plain), out);
    param_list_done(&l);
    return ext != SIZE_MAX || plain != SIZE_MAX;
}
