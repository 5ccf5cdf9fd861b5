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

/* --- RFC 2231 ----------------------------------------------------------------------------- */

#define PIECE_NAME_MAX 64

/* What the name of a parameter says if it is name*3, name*3* or name*, which stands alone. */
struct piece {
    bool is_piece, encoded, alone;
    uint16_t number;
    uint16_t base_n; /* length of the name before the "*" */
};

static struct piece piece_of(struct span name)
{
    const struct piece none = {false, false, false, 0, 0};
    size_t star = span_find_byte(name, '*');
    if (star == SPAN_NPOS || star == 0 || star > PIECE_NAME_MAX)
        return none;
    struct span rest = span_skip(name, star + 1);
    if (rest.n == 0)
        return (struct piece){true, true, true, 0, (uint16_t)star};
    bool enc = rest.p[rest.n - 1] == '*';
    uint64_t number;
    if (enc)
        rest.n--;
    if (rest.n > 4 || !span_to_u64(rest, 9999, &number))
        return none;
    return (struct piece){true, enc, false, (uint16_t)number, (uint16_t)star};
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

static int hex_digit(char c)
{
    if (ascii_is_digit((unsigned char)c))
        return c - '0';
    unsigned char l = ascii_lower((unsigned char)c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static void put_unpercent(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '%' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 && hex_digit(s.p[i + 2]) >= 0) {
            c = (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]));
            i += 2;
        }
        buf_put_byte(out, c);
    }
}

/* Takes charset'language' off the begin of a value; empty if it is not there. */
static struct span take_charset(struct span *value)
{
    size_t first = span_find_byte(*value, '\'');
    if (first == SPAN_NPOS)
        return SPAN_EMPTY;
    size_t second = span_find_byte(span_skip(*value, first + 1), '\'');
    if (second == SPAN_NPOS)
        return SPAN_EMPTY;
    struct span charset = span_head(*value, first);
    *value = span_skip(*value, first + second + 2);
    return charset;
}

static void to_utf8(struct span charset, struct span bytes, struct buf *out)
{
    struct charset_decoder d;
    charset_decoder_init(&d, charset);
    charset_decode(&d, bytes, out);
    charset_decode_finish(&d, out);
    charset_decoder_done(&d);
}

/* The parameter that begins with piece i, joined in value; returns whether it was decoded. All
 * pieces are joined before they are converted: senders split within a character. */
static bool join_value(const struct param_list *l, const struct piece *pieces, size_t i,
                       struct buf *value)
{
    struct span base = span_head(param_name(l, i), pieces[i].base_n);
    struct span charset = SPAN_EMPTY;
    autobuf bytes = BUF_INIT(BUF_UNLIMITED);
    bool any = false;
    uint16_t number = 0;
    for (size_t at = i; at != SIZE_MAX && number < PARAM_MAX;
         at = pieces[i].alone ? SIZE_MAX : find_piece(l, pieces, base, number)) {
        struct span v = param_value(l, at);
        any |= pieces[at].encoded;
        if (pieces[at].encoded && number == 0) /* section 4.1: only the first has a charset */
            charset = take_charset(&v);
        if (pieces[at].encoded)
            put_unpercent(&bytes, v);
        else
            buf_put_span(&bytes, v);
        number++;
    }
    if (any)
        to_utf8(charset, buf_span(&bytes), value);
    else
        buf_put_span(value, buf_span(&bytes));
    return any;
}

static struct param join_one(struct param_list *l, const struct piece *pieces, size_t i)
{
    autobuf value = BUF_INIT(BUF_UNLIMITED);
    bool decoded = join_value(l, pieces, i, &value);
    struct param p = l->v[i];
    p.decoded = decoded;
    p.name_n = pieces[i].base_n;
    p.value = (uint32_t)l->text.n;
    p.value_n = (uint32_t)value.n;
    buf_put_span(&l->text, buf_span(&value));
    return p;
}

/* A piece is joined to its first one; without that it is lost. A plain parameter of the same name
 * is what the sender has for programs that do not know RFC 2231. */
static bool is_first(const struct param_list *l, const struct piece *pieces, size_t i)
{
    struct span base = span_head(param_name(l, i), pieces[i].base_n);
    return pieces[i].number == 0 && find_piece(l, pieces, base, 0) == i;
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
        if (!pieces[i].is_piece && find_piece(l, pieces, param_name(l, i), 0) == SIZE_MAX)
            joined[n++] = l->v[i];
        else if (pieces[i].is_piece && is_first(l, pieces, i))
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

bool header_param(struct span value, struct span name, struct buf *out)
{
    struct param_list l;
    param_list_init(&l);
    param_parse(&l, value);
    size_t i = param_find(&l, name);
    if (i != SIZE_MAX && l.v[i].decoded)
        buf_put_span(out, param_value(&l, i));
    else if (i != SIZE_MAX)
        header_decode(param_value(&l, i), out);
    param_list_done(&l);
    return i != SIZE_MAX;
}
