/* What tags mean for plain text: lines, lists, quotes, and what is not shown at all. */
#include "message/html_text.h"

#include <stdlib.h>

#include "message/html_int.h"
#include "message/utf8_int.h"

enum tag_flag {
    BLOCK = 1,  /* stands on lines of its own */
    PARA = 2,   /* and apart from others by an empty line */
    VOID = 4,   /* has no end tag */
    RAW = 8,    /* its content is no HTML, and not shown */
    SKIP = 16,  /* its content is not shown */
    QUOTE = 32, /* lines begin with ">" */
    LIST = 64,
    CELL = 128,
    KEEP = 256,    /* white space counts */
    TABLE = 512,   /* part of a table: its end ends what is inside of cells */
    HIDDEN = 1024, /* of an open element */
};

struct tag_row {
    char name[11];
    uint16_t flags;
};

/* Sorted. What is not here is inline and shown. */
static const struct tag_row tags[] = {
    {"address", BLOCK},
    {"area", VOID},
    {"article", BLOCK},
    {"aside", BLOCK},
    {"audio", SKIP},
    {"base", VOID},
    {"blockquote", BLOCK | PARA | QUOTE},
    {"body", BLOCK},
    {"br", VOID},
    {"canvas", SKIP},
    {"caption", BLOCK | CELL},
    {"center", BLOCK},
    {"col", VOID},
    {"dd", BLOCK},
    {"details", BLOCK},
    {"dialog", BLOCK},
    {"dir", BLOCK | PARA | LIST},
    {"div", BLOCK},
    {"dl", BLOCK | PARA},
    {"dt", BLOCK},
    {"embed", VOID},
    {"fieldset", BLOCK},
    {"figcaption", BLOCK},
    {"figure", BLOCK | PARA},
    {"footer", BLOCK},
    {"form", BLOCK},
    {"frame", VOID},
    {"h1", BLOCK | PARA},
    {"h2", BLOCK | PARA},
    {"h3", BLOCK | PARA},
    {"h4", BLOCK | PARA},
    {"h5", BLOCK | PARA},
    {"h6", BLOCK | PARA},
    {"header", BLOCK},
    {"hr", BLOCK | VOID},
    {"html", BLOCK},
    {"iframe", RAW},
    {"img", VOID},
    {"input", VOID},
    {"legend", BLOCK},
    {"li", BLOCK},
    {"link", VOID},
    {"listing", BLOCK | PARA | KEEP},
    {"main", BLOCK},
    {"math", SKIP},
    {"menu", BLOCK | PARA | LIST},
    {"meta", VOID},
    {"nav", BLOCK},
    {"noembed", RAW},
    {"noframes", RAW},
    {"ol", BLOCK | PARA | LIST},
    {"p", BLOCK | PARA},
    {"param", VOID},
    {"pre", BLOCK | PARA | KEEP},
    {"script", RAW},
    {"section", BLOCK},
    {"select", SKIP},
    {"source", VOID},
    {"style", RAW},
    {"summary", BLOCK},
    {"svg", SKIP},
    {"table", BLOCK | PARA | TABLE},
    {"tbody", BLOCK | TABLE},
    {"td", CELL | TABLE},
    {"template", SKIP},
    {"textarea", RAW},
    {"tfoot", BLOCK | TABLE},
    {"th", CELL | TABLE},
    {"thead", BLOCK | TABLE},
    {"title", RAW},
    {"tr", BLOCK | TABLE},
    {"track", VOID},
    {"ul", BLOCK | PARA | LIST},
    {"video", SKIP},
    {"wbr", VOID},
    {"xmp", RAW},
};

/* An open element. */
struct element {
    uint32_t name; /* a hash; 0 is none */
    uint16_t flags;
    uint16_t items; /* LIST: numbered so far; ordered: from 1 */
};

struct html_text {
    struct html_tokenizer tokens;
    unsigned options;
    struct element open[HTML_DEPTH];
    uint32_t n_open;
    uint32_t deeper; /* elements opened beyond HTML_DEPTH */
    uint32_t hidden, keep, quotes, lists;

    /* The output. */
    bool any;        /* something was written */
    bool space, tab; /* to be written before the next text */
    uint32_t joiner; /* likewise, if that stands close */
    uint8_t breaks;  /* likewise */
    uint32_t line_quotes;
    char marker[8]; /* of a list item */
    uint8_t marker_n;
    struct buf href; /* of the link that is open */
    struct buf link; /* its text */
};

enum { LINK_MAX = HTML_VALUE_MAX, INDENT_MAX = 8, BREAKS_MAX = 8 };

struct html_tokenizer *html_tokens(struct html_text *h)
{
    return &h->tokens;
}

struct html_text *html_text_new(unsigned options)
{
    struct html_text *h = xnew(struct html_text);
    h->options = options;
    html_tokenizer_init(&h->tokens);
    buf_init(&h->href, LINK_MAX);
    buf_init(&h->link, LINK_MAX);
    return h;
}

void html_text_free(struct html_text *h)
{
    if (!h)
        return;
    html_tokenizer_done(&h->tokens);
    buf_done(&h->href);
    buf_done(&h->link);
    free(h);
}

/* --- output --- */

static void want_break(struct html_text *h, unsigned n)
{
    if (h->hidden || !h->any)
        return;
    h->breaks = (uint8_t)MAX(h->breaks, n);
}

static void more_break(struct html_text *h, unsigned max)
{
    if (!h->hidden && h->any && h->breaks < max)
        h->breaks++;
}

static void put_quotes(uint32_t n, bool text, struct buf *out)
{
    for (uint32_t i = 0; i < MIN(n, (uint32_t)INDENT_MAX); i++)
        buf_put_byte(out, '>');
    if (n > 0 && text)
        buf_put_byte(out, ' ');
}

static void line_begin(struct html_text *h, struct buf *out)
{
    for (unsigned i = 0; i < h->breaks; i++) {
        if (i > 0)
            put_quotes(MIN(h->line_quotes, h->quotes), false, out);
        buf_put_lit(out, "\r\n");
    }
    h->breaks = 0;
    h->line_quotes = h->quotes;
    put_quotes(h->quotes, true, out);
    for (uint32_t i = 1; i < MIN(h->lists, (uint32_t)INDENT_MAX); i++)
        buf_put_lit(out, "  ");
    buf_put(out, h->marker, h->marker_n);
    if (h->marker_n == 0 && h->lists > 0)
        buf_put_lit(out, "  ");
    h->marker_n = 0;
    h->any = true;
    h->space = h->tab = false;
}

static void put_joiner(struct html_text *h, struct buf *out)
{
    char utf8[4];
    size_t n = utf8_write(utf8, h->joiner);
    buf_put(out, utf8, n);
    if (h->href.n)
        buf_put(&h->link, utf8, n);
}

/* Before each piece of text that is shown. */
static void text_begin(struct html_text *h, struct buf *out)
{
    bool apart = h->breaks || !h->any || h->tab || h->space;
    if (apart && h->link.n)
        buf_put_byte(&h->link, ' ');
    if (h->breaks || !h->any)
        line_begin(h, out);
    else if (apart)
        buf_put_byte(out, h->tab ? '\t' : ' ');
    else if (h->joiner)
        put_joiner(h, out);
    h->space = h->tab = false;
    h->joiner = 0;
}

static void put_text(struct html_text *h, struct span s, struct buf *out)
{
    text_begin(h, out);
    buf_put_span(out, s);
    if (h->href.n)
        buf_put_span(&h->link, s);
}

/* Invisible: soft hyphen, joiners and spaces without width, byte order mark, object replacement. */
static bool is_padding(uint32_t c)
{
    return c == 0xAD || c == 0x34F || c == 0x61C || c == 0x180E || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x2064) || c == 0xFEFF ||
           c == 0xFFFC;
}

static bool is_joiner(uint32_t c)
{
    return c == 0x200C || c == 0x200D;
}

static void put_space(struct html_text *h, char c, struct buf *out)
{
    if (!h->keep)
        h->space = true;
    else if (c == '\n')
        more_break(h, BREAKS_MAX);
    else if (c != '\r' && c != '\f')
        put_text(h, span_make(&c, 1), out);
}

static void put_char(struct html_text *h, uint32_t c, struct span utf8, struct buf *out)
{
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f') {
        put_space(h, (char)c, out);
    } else if (c == 0xA0) {
        put_space(h, ' ', out);
    } else if (is_joiner(c)) { /* has a meaning within a word or an emoji */
        if (h->any)
            h->joiner = c;
    } else if (c >= 0x20 && !(c >= 0x7F && c < 0xA0) && !is_padding(c)) {
        put_text(h, utf8, out);
    }
}

static bool is_simple(char c)
{
    return (unsigned char)c > ' ' && (unsigned char)c < 0x7F;
}

void html_on_text(struct html_text *h, struct span s, struct buf *out)
{
    if (h->hidden)
        return;
    while (s.n > 0) {
        size_t n = 0;
        while (n < s.n && is_simple(s.p[n]))
            n++;
        if (n > 0) {
            put_text(h, span_head(s, n), out);
        } else {
            uint32_t c;
            int len = utf8_take(s.p, s.n, &c);
            n = len > 0 ? (size_t)len : 1;
            if (len > 0)
                put_char(h, c, span_head(s, n), out);
        }
        s = span_skip(s, n);
    }
}

void html_on_char(struct html_text *h, uint32_t c, struct buf *out)
{
    char utf8[4];
    if (!h->hidden)
        put_char(h, c, span_make(utf8, utf8_write(utf8, c)), out);
}

/* --- what is hidden --- */

/* "name:value" in a style whose white space was taken out; value ends there, or goes on with more
 * than a fraction or a unit. */
static bool style_says(struct span style, struct span what, bool number)
{
    while (style.n > 0) {
        size_t at = span_find(style, what);
        if (at == SPAN_NPOS)
            return false;
        bool begins = at == 0 || style.p[at - 1] == ';';
        style = span_skip(style, at + what.n);
        bool fraction = number && style.n > 0 && (style.p[0] == '.' || style.p[0] == '%');
        if (begins && !fraction && (number || style.n == 0 || strchr(";!", style.p[0])))
            return true;
    }
    return false;
}

static bool style_hides(struct span style)
{
    static const struct {
        struct span what;
        bool number;
    } hiding[] = {
        {{"display:none", 12}, false}, {{"visibility:hidden", 17}, false},
        {{"mso-hide:all", 12}, false}, {{"max-height:0", 12}, true},
        {{"opacity:0", 9}, true},
    };
    autobuf plain = BUF_INIT(HTML_VALUE_MAX);
    for (size_t i = 0; i < style.n; i++)
        if ((unsigned char)style.p[i] > ' ')
            buf_put_byte(&plain, (char)ascii_lower((unsigned char)style.p[i]));
    for (size_t i = 0; i < ARRAY_LEN(hiding); i++)
        if (style_says(buf_span(&plain), hiding[i].what, hiding[i].number))
            return true;
    return false;
}

static bool has_value(const struct html_tag *tag, enum html_attribute a)
{
    return tag->present & 1u << a && buf_ok(&tag->value[a]) && tag->value[a].n > 0;
}

static bool is_hidden(const struct html_tag *tag)
{
    return tag->present & 1u << HTML_HIDDEN ||
           (has_value(tag, HTML_STYLE) && style_hides(buf_span(&tag->value[HTML_STYLE])));
}

/* --- elements --- */

static const struct tag_row *row_of(struct span name)
{
    size_t lo = 0, hi = ARRAY_LEN(tags);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        int d = span_cmp(name, span_str(tags[mid].name));
        if (d == 0)
            return &tags[mid];
        if (d < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return NULL;
}

/* FNV-1a; that two unknown names are the same element now and then does no harm. */
static uint32_t hash_name(struct span name)
{
    uint32_t v = 2166136261u;
    for (size_t i = 0; i < name.n; i++)
        v = (v ^ (unsigned char)name.p[i]) * 16777619u;
    return v ? v : 1;
}

static bool name_is(struct span name, const char *s)
{
    return span_eq(name, span_str(s));
}

/* Behind a link its target, unless that is what it reads. */
static void link_end(struct html_text *h, struct buf *out)
{
    struct span url = buf_span(&h->href), text = buf_span(&h->link);
    struct span bare = span_ends(url, SPAN("/")) ? span_head(url, url.n - 1) : url;
    size_t scheme = span_find(bare, SPAN("//"));
    bool same = span_eq(text, url) || span_eq(text, bare) ||
                (scheme != SPAN_NPOS && span_eq(text, span_skip(bare, scheme + 2)));
    if (h->href.n > 0 && text.n > 0 && !same && !h->hidden) {
        h->space = true;
        text_begin(h, out);
        buf_put_byte(out, '<');
        buf_put_span(out, url);
        buf_put_byte(out, '>');
    }
    buf_reset(&h->href);
    buf_reset(&h->link);
}

static void link_begin(struct html_text *h, const struct html_tag *tag, struct buf *out)
{
    link_end(h, out);
    if (!(h->options & HTML_TEXT_LINKS) || h->hidden || !has_value(tag, HTML_HREF))
        return;
    autobuf url = BUF_INIT(LINK_MAX);
    html_decode_value(span_trim(buf_span(&tag->value[HTML_HREF])), &url);
    bool good = buf_ok(&url) && (span_istarts(buf_span(&url), SPAN("http://")) ||
                                 span_istarts(buf_span(&url), SPAN("https://")));
    for (size_t i = 0; i < url.n && good; i++)
        good = (unsigned char)url.p[i] > ' ' && url.p[i] != '<' && url.p[i] != '>';
    if (good)
        buf_put_span(&h->href, buf_span(&url));
}

static void count(struct html_text *h, const struct element *e, int by)
{
    h->hidden += e->flags & HIDDEN ? (uint32_t)by : 0;
    h->keep += e->flags & KEEP ? (uint32_t)by : 0;
    h->quotes += e->flags & QUOTE ? (uint32_t)by : 0;
    h->lists += e->flags & LIST ? (uint32_t)by : 0;
}

/* nested: a list within a list, which stands close. */
static unsigned breaks_of(unsigned flags, bool nested)
{
    if (flags & PARA && !(flags & LIST && nested))
        return 2;
    return flags & BLOCK ? 1 : 0;
}

static void close_to(struct html_text *h, uint32_t n, struct buf *out)
{
    static const struct span a = {"a", 1};
    while (h->n_open > n) {
        struct element e = h->open[h->n_open - 1];
        if (e.name == hash_name(a))
            link_end(h, out);
        want_break(h, breaks_of(e.flags, h->lists > 1));
        h->n_open--;
        count(h, &e, -1);
        if (e.flags & LIST)
            h->marker_n = 0;
    }
}

/* The index of the innermost open element of that name, above one with a flag of `within`;
 * HTML_DEPTH if there is none. */
static uint32_t find_open(const struct html_text *h, uint32_t name, unsigned within)
{
    for (uint32_t i = h->n_open; i-- > 0;) {
        if (h->open[i].name == name)
            return i;
        if (h->open[i].flags & within)
            break;
    }
    return HTML_DEPTH;
}

static void close_named(struct html_text *h, const char *name, unsigned within, struct buf *out)
{
    uint32_t i = find_open(h, hash_name(span_str(name)), within);
    if (i < HTML_DEPTH)
        close_to(h, i, out);
}

/* Elements whose end tag may be left out. */
static void close_implied(struct html_text *h, struct span name, unsigned flags, struct buf *out)
{
    if (flags & (BLOCK | CELL))
        close_named(h, "p", CELL | TABLE, out);
    if (name_is(name, "li")) {
        close_named(h, "li", LIST | CELL, out);
    } else if (name_is(name, "dt") || name_is(name, "dd")) {
        close_named(h, "dt", LIST | CELL | PARA, out);
        close_named(h, "dd", LIST | CELL | PARA, out);
    } else if (name_is(name, "td") || name_is(name, "th")) {
        close_named(h, "td", TABLE, out);
        close_named(h, "th", TABLE, out);
    } else if (flags & TABLE && !(flags & PARA)) { /* tr, tbody, ... */
        close_named(h, "td", TABLE, out);
        close_named(h, "th", TABLE, out);
        close_named(h, "tr", TABLE, out);
        if (!name_is(name, "tr")) {
            close_named(h, "tbody", TABLE, out);
            close_named(h, "thead", TABLE, out);
        }
    }
}

static void item_begin(struct html_text *h)
{
    for (uint32_t i = h->n_open; i-- > 0;) {
        struct element *e = &h->open[i];
        if (!(e->flags & LIST))
            continue;
        if (e->name != hash_name(SPAN("ol")) || e->items == UINT16_MAX)
            break;
        h->marker_n = (uint8_t)snprintf(h->marker, sizeof(h->marker), "%u. ", ++e->items % 10000u);
        return;
    }
    memcpy(h->marker, "* ", 2);
    h->marker_n = 2;
}

static void put_image(struct html_text *h, const struct html_tag *tag, struct buf *out)
{
    autobuf alt = BUF_INIT(HTML_VALUE_MAX);
    if (h->hidden || is_hidden(tag) || !has_value(tag, HTML_ALT))
        return;
    html_decode_value(span_trim(buf_span(&tag->value[HTML_ALT])), &alt);
    if (!buf_ok(&alt) || alt.n == 0)
        return;
    html_on_text(h, SPAN("[image: "), out);
    html_on_text(h, buf_span(&alt), out);
    html_on_text(h, SPAN("]"), out);
}

static void on_void(struct html_text *h, const struct html_tag *tag, struct span name,
                    struct buf *out)
{
    if (name_is(name, "br")) {
        more_break(h, h->keep ? BREAKS_MAX : 2);
    } else if (name_is(name, "img")) {
        put_image(h, tag, out);
    } else if (name_is(name, "hr") && !h->hidden) {
        want_break(h, 1);
        put_text(h, SPAN("----------------------------------------"), out);
        want_break(h, 1);
    }
}

static void on_start(struct html_text *h, const struct html_tag *tag, struct span name,
                     unsigned flags, struct buf *out)
{
    bool hidden = flags & SKIP || is_hidden(tag);
    close_implied(h, name, flags, out);
    if (!hidden)
        want_break(h, breaks_of(flags, h->lists > 0));
    if (flags & VOID) {
        on_void(h, tag, name, out);
        return;
    }
    if (h->n_open == HTML_DEPTH) {
        h->deeper++;
        return;
    }
    if (flags & CELL && h->any && !h->breaks && !h->hidden && !hidden)
        h->tab = true;
    if (name_is(name, "a"))
        link_begin(h, tag, out);
    struct element e = {.name = hash_name(name), .flags = (uint16_t)flags};
    if (hidden)
        e.flags |= HIDDEN;
    h->open[h->n_open++] = e;
    count(h, &e, 1);
    if (name_is(name, "li") && !h->hidden)
        item_begin(h);
}

/* An end tag ends what is open inside, too: but that of an inline element no blocks, and none but
 * those of tables what is around a cell. */
static void on_end(struct html_text *h, struct span name, unsigned flags, struct buf *out)
{
    if (h->deeper > 0) {
        h->deeper--;
        return;
    }
    unsigned within = flags & TABLE ? 0 : flags & BLOCK ? CELL | TABLE : BLOCK | CELL | TABLE;
    if (name_is(name, "body") || name_is(name, "html"))
        within = 0;
    uint32_t i = find_open(h, hash_name(name), within);
    if (i < HTML_DEPTH)
        close_to(h, i, out);
    else if (name_is(name, "br")) /* as browsers take it */
        more_break(h, 2);
}

bool html_on_tag(struct html_text *h, const struct html_tag *tag, struct buf *out)
{
    struct span name = span_make(tag->name, MIN(tag->name_n, HTML_NAME_MAX));
    const struct tag_row *row = tag->name_n <= HTML_NAME_MAX ? row_of(name) : NULL;
    unsigned flags = row ? row->flags : 0;
    if (flags & RAW)
        return !tag->end;
    if (tag->end)
        on_end(h, name, flags, out);
    else
        on_start(h, tag, name, flags, out);
    return false;
}

/* --- public --- */

void html_text_feed(struct html_text *h, struct span utf8, struct buf *out)
{
    html_tokenize(h, utf8, out);
}

void html_text_finish(struct html_text *h, struct buf *out)
{
    html_tokenize_finish(h, out);
    close_to(h, 0, out);
    if (h->any)
        buf_put_lit(out, "\r\n");
    buf_reset(&h->href);
    buf_reset(&h->link);
    h->deeper = h->hidden = h->keep = h->quotes = h->lists = h->line_quotes = 0;
    h->any = h->space = h->tab = false;
    h->breaks = h->marker_n = 0;
    h->joiner = 0;
}
