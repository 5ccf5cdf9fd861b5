/* HTML's tokenizer (WHATWG HTML section 13.2.5), as far as text is concerned. */
#include "message/html_int.h"
#include "message/utf8_int.h"

void html_tokenizer_init(struct html_tokenizer *t)
{
    *t = (struct html_tokenizer){.state = HTML_TEXT};
    for (size_t i = 0; i < HTML_ATTRIBUTES; i++)
        buf_init(&t->tag.value[i], HTML_VALUE_MAX);
}

void html_tokenizer_done(struct html_tokenizer *t)
{
    for (size_t i = 0; i < HTML_ATTRIBUTES; i++)
        buf_done(&t->tag.value[i]);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

/* --- entities --- */

static bool is_entity_char(char c)
{
    return ascii_is_alpha((unsigned char)c) || ascii_is_digit((unsigned char)c) || c == '#';
}

/* What stands behind "&" ended, by ";" or otherwise. */
static void entity_end(struct html_text *h, bool semicolon, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    bool bare;
    uint32_t c = html_entity(span_make(t->entity, t->entity_n), &bare);
    t->state = HTML_TEXT;
    if (c && (semicolon || bare)) {
        html_on_char(h, c, out);
        return;
    }
    html_on_text(h, SPAN("&"), out);
    html_on_text(h, span_make(t->entity, t->entity_n), out);
    if (semicolon)
        html_on_text(h, SPAN(";"), out);
}

/* Bytes used. */
static size_t in_entity(struct html_text *h, struct span s, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    char c = s.p[0];
    if (is_entity_char(c) && t->entity_n < sizeof(t->entity)) {
        t->entity[t->entity_n++] = c;
        return 1;
    }
    entity_end(h, c == ';', out);
    return c == ';';
}

void html_decode_value(struct span value, struct buf *out)
{
    while (value.n > 0) {
        size_t n = span_find_byte(value, '&');
        buf_put_span(out, span_head(value, n));
        if (n == SPAN_NPOS)
            return;
        value = span_skip(value, n);
        for (n = 1; n < value.n && n <= HTML_ENTITY_MAX && is_entity_char(value.p[n]);)
            n++;
        bool bare;
        uint32_t c = 0;
        /* In URLs "&copy=1" is no sign: only with ";". */
        if (n < value.n && value.p[n] == ';')
            c = html_entity(span_make(value.p + 1, n - 1), &bare);
        if (c) {
            char utf8[4];
            buf_put(out, utf8, utf8_write(utf8, c));
            n++;
        } else {
            buf_put_span(out, span_head(value, n));
        }
        value = span_skip(value, n);
    }
}

/* --- tags --- */

static size_t in_text(struct html_text *h, struct span s, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    size_t n = 0;
    while (n < s.n && s.p[n] != '<' && s.p[n] != '&')
        n++;
    if (n > 0) {
        html_on_text(h, span_head(s, n), out);
        return n;
    }
    t->entity_n = 0;
    t->state = s.p[0] == '<' ? HTML_LT : HTML_ENTITY;
    return 1;
}

static void tag_begin(struct html_tokenizer *t, bool end)
{
    t->tag.end = end;
    t->tag.name_n = 0;
    t->tag.present = 0;
    for (size_t i = 0; i < HTML_ATTRIBUTES; i++)
        buf_reset(&t->tag.value[i]);
    t->state = HTML_TAG_NAME;
}

static size_t after_lt(struct html_text *h, struct span s, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    char c = s.p[0];
    if (ascii_is_alpha((unsigned char)c)) {
        tag_begin(t, false);
        return 0;
    }
    t->state = c == '/' ? HTML_LT_SLASH : c == '!' ? HTML_MARKUP : HTML_BOGUS;
    t->dashes = 0;
    t->bang = false;
    if (c == '/' || c == '!' || c == '?')
        return 1;
    t->state = HTML_TEXT;
    html_on_text(h, SPAN("<"), out);
    return 0;
}

static size_t after_lt_slash(struct html_tokenizer *t, char c)
{
    if (ascii_is_alpha((unsigned char)c)) {
        tag_begin(t, true);
        return 0;
    }
    t->state = c == '>' ? HTML_TEXT : HTML_BOGUS;
    return 1;
}

static void tag_end(struct html_text *h, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    t->state = HTML_TEXT;
    if (!html_on_tag(h, &t->tag, out))
        return;
    t->raw_n = t->tag.name_n;
    memcpy(t->raw, t->tag.name, t->raw_n);
    t->state = HTML_RAW;
}

static size_t in_tag_name(struct html_tokenizer *t, char c)
{
    if (is_space(c) || c == '/' || c == '>') {
        t->state = HTML_BEFORE_NAME;
        return 0;
    }
    if (t->tag.name_n < HTML_NAME_MAX)
        t->tag.name[t->tag.name_n] = (char)ascii_lower((unsigned char)c);
    if (t->tag.name_n <= HTML_NAME_MAX)
        t->tag.name_n++;
    return 1;
}

/* --- attributes --- */

static enum html_attribute attribute_of(struct span name)
{
    static const struct span names[] = {
        [HTML_STYLE] = {"style", 5},
        [HTML_HIDDEN] = {"hidden", 6},
        [HTML_HREF] = {"href", 4},
        [HTML_ALT] = {"alt", 3},
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (span_eq(name, names[i]))
            return (enum html_attribute)i;
    return HTML_NO_ATTRIBUTE;
}

/* The first of a name counts. */
static void attribute_named(struct html_tokenizer *t)
{
    t->at = t->attr_n <= sizeof(t->attr) ? attribute_of(span_make(t->attr, t->attr_n))
                                         : HTML_NO_ATTRIBUTE;
    if (t->at == HTML_NO_ATTRIBUTE)
        return;
    if (t->tag.present & 1u << t->at)
        t->at = HTML_NO_ATTRIBUTE;
    else
        t->tag.present |= (uint8_t)(1u << t->at);
}

static size_t before_name(struct html_text *h, struct span s, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    char c = s.p[0];
    if (c == '>') {
        tag_end(h, out);
        return 1;
    }
    if (is_space(c) || c == '/')
        return 1;
    t->attr_n = 0;
    t->state = HTML_ATTR_NAME;
    if (c != '=') /* at its begin it is part of the name */
        return 0;
    t->attr[t->attr_n++] = c;
    return 1;
}

static size_t in_attr_name(struct html_tokenizer *t, char c)
{
    if (is_space(c) || c == '/' || c == '>' || c == '=') {
        attribute_named(t);
        t->state = HTML_AFTER_NAME;
        return 0;
    }
    if (t->attr_n < sizeof(t->attr))
        t->attr[t->attr_n] = (char)ascii_lower((unsigned char)c);
    if (t->attr_n <= sizeof(t->attr))
        t->attr_n++;
    return 1;
}

static size_t after_name(struct html_tokenizer *t, char c)
{
    if (is_space(c))
        return 1;
    t->state = c == '=' ? HTML_BEFORE_VALUE : HTML_BEFORE_NAME;
    return c == '=';
}

static size_t before_value(struct html_text *h, struct span s, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    char c = s.p[0];
    if (is_space(c))
        return 1;
    if (c == '>') {
        tag_end(h, out);
        return 1;
    }
    t->quote = c == '"' || c == '\'' ? c : 0;
    t->state = HTML_VALUE;
    return t->quote != 0;
}

static bool value_ends(const struct html_tokenizer *t, char c)
{
    return t->quote ? c == t->quote : is_space(c) || c == '>';
}

static size_t in_value(struct html_tokenizer *t, struct span s)
{
    size_t n = 0;
    while (n < s.n && !value_ends(t, s.p[n]))
        n++;
    if (t->at != HTML_NO_ATTRIBUTE)
        buf_put_span(&t->tag.value[t->at], span_head(s, n));
    if (n == s.n)
        return n;
    t->state = HTML_BEFORE_NAME;
    return t->quote ? n + 1 : n;
}

/* --- comments, raw text --- */

static size_t in_markup(struct html_tokenizer *t, char c)
{
    if (c != '-') {
        t->state = HTML_BOGUS;
        return 0;
    }
    if (++t->dashes == 2)
        t->state = HTML_COMMENT; /* "<!-->" is a whole one: the dashes count */
    return 1;
}

static size_t in_comment(struct html_tokenizer *t, struct span s)
{
    if (t->dashes == 0 && !t->bang) {
        size_t n = span_find_byte(s, '-');
        if (n != 0)
            return MIN(n, s.n);
    }
    char c = s.p[0];
    if (c == '>' && (t->dashes >= 2 || t->bang)) {
        t->state = HTML_TEXT;
        return 1;
    }
    t->bang = c == '!' && t->dashes >= 2;
    t->dashes = c != '-' ? 0 : t->dashes < 2 ? (uint8_t)(t->dashes + 1) : t->dashes;
    return 1;
}

static size_t in_bogus(struct html_tokenizer *t, struct span s)
{
    size_t n = span_find_byte(s, '>');
    if (n == SPAN_NPOS)
        return s.n;
    t->state = HTML_TEXT;
    return n + 1;
}

static size_t in_raw(struct html_tokenizer *t, struct span s)
{
    size_t n = span_find_byte(s, '<');
    if (n == SPAN_NPOS)
        return s.n;
    t->state = HTML_RAW_END;
    t->raw_at = 0;
    return n + 1;
}

/* Behind "<" of raw text: "/", the name, and a character that ends it. */
static size_t in_raw_end(struct html_tokenizer *t, char c)
{
    bool fits = t->raw_at == 0 ? c == '/'
                : t->raw_at <= t->raw_n
                    ? (char)ascii_lower((unsigned char)c) == t->raw[t->raw_at - 1]
                    : is_space(c) || c == '/' || c == '>';
    if (!fits) {
        t->state = HTML_RAW;
        return 0;
    }
    if (t->raw_at++ <= t->raw_n)
        return 1;
    tag_begin(t, true);
    t->tag.name_n = t->raw_n;
    memcpy(t->tag.name, t->raw, t->raw_n);
    t->state = HTML_BEFORE_NAME;
    return 0;
}

static size_t step(struct html_text *h, struct span s, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    switch (t->state) {
    case HTML_TEXT:
        return in_text(h, s, out);
    case HTML_ENTITY:
        return in_entity(h, s, out);
    case HTML_LT:
        return after_lt(h, s, out);
    case HTML_LT_SLASH:
        return after_lt_slash(t, s.p[0]);
    case HTML_TAG_NAME:
        return in_tag_name(t, s.p[0]);
    case HTML_BEFORE_NAME:
        return before_name(h, s, out);
    case HTML_ATTR_NAME:
        return in_attr_name(t, s.p[0]);
    case HTML_AFTER_NAME:
        return after_name(t, s.p[0]);
    case HTML_BEFORE_VALUE:
        return before_value(h, s, out);
    case HTML_VALUE:
        return in_value(t, s);
    case HTML_MARKUP:
        return in_markup(t, s.p[0]);
    case HTML_COMMENT:
        return in_comment(t, s);
    case HTML_BOGUS:
        return in_bogus(t, s);
    case HTML_RAW:
        return in_raw(t, s);
    case HTML_RAW_END:
        return in_raw_end(t, s.p[0]);
    }
    return s.n;
}

void html_tokenize(struct html_text *h, struct span s, struct buf *out)
{
    while (s.n > 0)
        s = span_skip(s, step(h, s, out));
}

/* A tag that was begun is dropped, as browsers do. */
void html_tokenize_finish(struct html_text *h, struct buf *out)
{
    struct html_tokenizer *t = html_tokens(h);
    if (t->state == HTML_ENTITY)
        entity_end(h, false, out);
    else if (t->state == HTML_LT)
        html_on_text(h, SPAN("<"), out);
    else if (t->state == HTML_LT_SLASH)
        html_on_text(h, SPAN("</"), out);
    t->state = HTML_TEXT;
}
