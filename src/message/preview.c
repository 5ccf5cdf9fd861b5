/* Which part of a message its preview is made of, and the way from the part's octets to text. */
#include <stdlib.h>

#include "message/preview_int.h"

/* What is decoded at once: at first about as much as a preview needs. */
enum { FEED_MIN = 320, FEED_MAX = 2048 };

/* What the texts seen so far are worth. */
enum worth { WORTH_NOTHING, WORTH_ENCLOSED, WORTH_WEAK, WORTH_HTML, WORTH_PLAIN };

struct preview {
    struct preview_lines lines;
    struct preview_text best;
    enum worth worth;
    uint32_t best_alternative;

    /* The part being read. */
    bool open, more;
    enum preview_kind kind;
    uint32_t alternative;
    bool enclosed;
    struct cte_decoder cte;
    struct charset_decoder charset;
    struct html_text *html; /* kept for later parts */
    struct buf decoded, utf8, text;

    uint32_t parts, feed;
    uint32_t input, left; /* of parts that were read to the end; what this one may still have */
};

struct preview *preview_new(void)
{
    struct preview *v = xnew(struct preview);
    buf_init(&v->decoded, BUF_UNLIMITED);
    buf_init(&v->utf8, BUF_UNLIMITED);
    buf_init(&v->text, BUF_UNLIMITED);
    return v;
}

static void decoders_done(struct preview *v)
{
    if (v->open)
        charset_decoder_done(&v->charset);
    v->open = v->more = false;
}

void preview_free(struct preview *v)
{
    if (!v)
        return;
    decoders_done(v);
    html_text_free(v->html);
    buf_done(&v->decoded);
    buf_done(&v->utf8);
    buf_done(&v->text);
    free(v);
}

void preview_reset(struct preview *v)
{
    if (v->open && v->html) /* it is in the middle of something */
        html_text_free(take_ptr(v->html));
    decoders_done(v);
    v->best.n = 0;
    v->worth = WORTH_NOTHING;
    v->parts = v->input = 0;
}

/* --- which part --- */

bool preview_wants(const struct preview *v, enum preview_kind kind, uint32_t alternative,
                   bool enclosed)
{
    if (kind == PREVIEW_NONE || v->parts == PREVIEW_PARTS || v->input >= PREVIEW_INPUT)
        return false;
    bool same = alternative != PART_NONE && alternative == v->best_alternative;
    switch (v->worth) {
    case WORTH_NOTHING:
        return true;
    case WORTH_ENCLOSED:
        return !enclosed;
    case WORTH_WEAK:
        return same;
    case WORTH_HTML:
        return same && kind == PREVIEW_PLAIN;
    case WORTH_PLAIN:
        break;
    }
    return false;
}

static bool has_letters(const struct preview_text *t)
{
    for (size_t i = 0; i < t->n; i++) {
        unsigned char c = (unsigned char)t->p[i];
        if (c >= 0x80 || ascii_is_alpha(c) || ascii_is_digit(c))
            return true;
    }
    return false;
}

/* "Your mail program cannot show HTML." */
static bool speaks_of_html(const struct preview_text *t)
{
    for (size_t i = 0; i + 4 <= t->n && !t->full; i++)
        if (span_ieq(span_make(t->p + i, 4), SPAN("html")))
            return true;
    return false;
}

static enum worth worth_of(const struct preview *v, const struct preview_text *t)
{
    if (t->n == 0)
        return WORTH_NOTHING;
    if (v->enclosed)
        return WORTH_ENCLOSED;
    if (v->kind == PREVIEW_HTML)
        return WORTH_HTML;
    return has_letters(t) && !speaks_of_html(t) ? WORTH_PLAIN : WORTH_WEAK;
}

/* --- the part --- */

bool preview_part_begin(struct preview *v, enum preview_kind kind, enum part_cte cte,
                        struct span charset, uint32_t alternative, bool enclosed)
{
    preview_part_end(v);
    if (!preview_wants(v, kind, alternative, enclosed) || cte_decoder_init(&v->cte, cte, false))
        return false;
    v->parts++;
    v->kind = kind;
    v->alternative = alternative;
    v->enclosed = enclosed;
    charset_decoder_init(&v->charset, charset);
    preview_lines_begin(&v->lines);
    if (kind == PREVIEW_HTML && !v->html)
        v->html = html_text_new(0);
    v->left = PREVIEW_INPUT - v->input;
    v->feed = FEED_MIN;
    v->open = v->more = true;
    return true;
}

/* What was decoded goes on its way. */
static void pass_on(struct preview *v, bool end)
{
    const struct buf *text = &v->utf8;
    buf_reset(&v->utf8);
    charset_decode(&v->charset, buf_span(&v->decoded), &v->utf8);
    if (end)
        charset_decode_finish(&v->charset, &v->utf8);
    if (v->kind == PREVIEW_HTML) {
        buf_reset(&v->text);
        html_text_feed(v->html, buf_span(&v->utf8), &v->text);
        if (end)
            html_text_finish(v->html, &v->text);
        text = &v->text;
    }
    preview_lines_feed(&v->lines, buf_span(text));
    if (end)
        preview_lines_end(&v->lines);
    v->more = v->more && !preview_lines_done(&v->lines);
}

bool preview_part_feed(struct preview *v, struct span s)
{
    while (v->more && s.n > 0) {
        size_t n = MIN(MIN(s.n, (size_t)v->feed), (size_t)v->left);
        v->feed = FEED_MAX;
        buf_reset(&v->decoded);
        cte_decode(&v->cte, span_head(s, n), &v->decoded);
        pass_on(v, false);
        v->left -= (uint32_t)n;
        s = span_skip(s, n);
        v->more = v->more && v->left > 0;
    }
    return v->more;
}

void preview_part_end(struct preview *v)
{
    if (!v->open)
        return;
    buf_reset(&v->decoded);
    cte_decode_finish(&v->cte, &v->decoded);
    pass_on(v, true);
    decoders_done(v);
    if (!preview_lines_done(&v->lines)) /* otherwise it depends on how the octets came */
        v->input = PREVIEW_INPUT - v->left;
    const struct preview_text *t = v->lines.text.n ? &v->lines.text : &v->lines.other;
    enum worth w = worth_of(v, t);
    if (w > v->worth) {
        memcpy(v->best.p, t->p, t->n);
        v->best.n = t->n;
        v->worth = w;
        v->best_alternative = v->alternative;
    }
}

struct span preview_result(const struct preview *v)
{
    return span_make(v->best.p, v->best.n);
}
