/* Fields of a raw header block, unfolding, and the HEADER.FIELDS filter. */
#include "message/header.h"

/* The line at the begin of s, with its LF. */
static size_t line_length(struct span s)
{
    size_t lf = span_find_byte(s, '\n');
    return lf == SPAN_NPOS ? s.n : lf + 1;
}

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_blank_line(struct span line)
{
    return (line.n == 1 && line.p[0] == '\n') ||
           (line.n == 2 && line.p[0] == '\r' && line.p[1] == '\n');
}

/* RFC 5322 section 3.6.8: ftext is any printable ASCII except the colon; section 4.5 allows white
 * space before the colon. */
static bool field_name(struct span line, struct span *ret_name, size_t *ret_value_at)
{
    size_t colon = span_find_byte(line, ':');
    if (colon == SPAN_NPOS || colon == 0)
        return false;
    size_t n = colon;
    while (n > 0 && is_wsp(line.p[n - 1]))
        n--;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)line.p[i] <= ' ' || (unsigned char)line.p[i] >= 0x7f)
            return false;
    if (n == 0)
        return false;
    *ret_name = span_head(line, n);
    *ret_value_at = colon + 1;
    return true;
}

bool header_next(struct span *block, struct header_field *ret)
{
    while (block->n > 0) {
        size_t n = line_length(*block);
        size_t first = n;
        if (is_blank_line(span_head(*block, n))) {
            *block = span_skip(*block, n);
            return false;
        }
        while (n < block->n && is_wsp(block->p[n]))
            n += line_length(span_skip(*block, n));
        struct span raw = span_head(*block, n);
        struct span name;
        size_t at;
        *block = span_skip(*block, n);
        if (!field_name(span_head(raw, first), &name, &at))
            continue;
        struct span value = span_skip(raw, at);
        if (value.n && value.p[value.n - 1] == '\n')
            value.n--;
        if (value.n && value.p[value.n - 1] == '\r')
            value.n--;
        *ret = (struct header_field){name, value, raw};
        return true;
    }
    return false;
}

bool header_find(struct span block, struct span name, struct header_field *ret)
{
    struct header_field f;
    while (header_next(&block, &f))
        if (span_ieq(f.name, name)) {
            *ret = f;
            return true;
        }
    return false;
}

void header_unfold(struct span value, struct buf *out)
{
    value = span_trim(value);
    while (value.n > 0) {
        size_t lf = span_find_byte(value, '\n');
        if (lf == SPAN_NPOS) {
            buf_put_span(out, value);
            return;
        }
        size_t keep = lf > 0 && value.p[lf - 1] == '\r' ? lf - 1 : lf;
        buf_put(out, value.p, keep);
        value = span_skip(value, lf + 1);
    }
}

/* --- The filter --------------------------------------------------------------------------- */

enum filter_state {
    FILTER_LINE,  /* at the begin of a line */
    FILTER_NAME,  /* held: the line so far, without a colon yet */
    FILTER_REST,  /* within a line that is decided */
    FILTER_CR,    /* held: a CR at the begin of a line */
    FILTER_ENDED, /* behind the blank line */
};

void header_filter_init(struct header_filter *f, const struct header_set *set, bool invert)
{
    *f = (struct header_filter){.set = set, .invert = invert, .take = invert, .state = FILTER_LINE};
}

static void filter_decide(struct header_filter *f, struct buf *out)
{
    struct span line = span_make(f->held, f->held_n);
    struct span name;
    size_t at;
    bool in_set = field_name(line, &name, &at) && header_set_has(f->set, name);
    f->take = in_set != f->invert;
    if (f->take)
        buf_put_span(out, line);
    f->held_n = 0;
    f->state = FILTER_REST;
}

/* One byte while the line is not decided. */
static void filter_byte(struct header_filter *f, char c, struct buf *out)
{
    if (f->state == FILTER_CR && c == '\n') {
        buf_put_lit(out, "\r\n");
        f->held_n = 0;
        f->state = FILTER_ENDED;
        return;
    }
    if (f->state == FILTER_LINE) {
        if (c == '\n') {
            buf_put_byte(out, c);
            f->state = FILTER_ENDED;
            return;
        }
        if (is_wsp(c)) { /* a continuation line shares the fate of its field */
            if (f->take)
                buf_put_byte(out, c);
            f->state = FILTER_REST;
            return;
        }
    }
    f->state = f->state == FILTER_LINE && c == '\r' ? FILTER_CR : FILTER_NAME;
    f->held[f->held_n++] = c;
    if (c == ':' || c == '\n' || f->held_n == sizeof(f->held)) {
        filter_decide(f, out);
        if (c == '\n')
            f->state = FILTER_LINE;
    }
}

void header_filter_feed(struct header_filter *f, struct span chunk, struct buf *out)
{
    while (chunk.n > 0 && f->state != FILTER_ENDED) {
        if (f->state != FILTER_REST) {
            filter_byte(f, chunk.p[0], out);
            chunk = span_skip(chunk, 1);
            continue;
        }
        size_t n = line_length(chunk);
        if (f->take)
            buf_put(out, chunk.p, n);
        if (chunk.p[n - 1] == '\n')
            f->state = FILTER_LINE;
        chunk = span_skip(chunk, n);
    }
}

void header_filter_finish(struct header_filter *f, struct buf *out)
{
    if (f->held_n)
        filter_decide(f, out);
    f->state = FILTER_ENDED;
}
