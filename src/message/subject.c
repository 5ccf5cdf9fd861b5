#include "message/subject.h"

#include "message/header.h"

static bool is_wsp(char c)
{
    return c == ' ' || c == '\t';
}

bool subject_normalise(struct span value, struct buf *out)
{
    size_t from = out->n, to;
    bool space = false;
    bool known = header_decode_known(value, out);
    to = from;
    for (size_t i = from; i < out->n; i++) {
        char c = out->p[i];
        if (is_wsp(c) || c == '\r' || c == '\n') {
            space = true;
            continue;
        }
        if (space)
            out->p[to++] = ' ';
        space = false;
        out->p[to++] = c;
    }
    if (space)
        out->p[to++] = ' ';
    buf_truncate(out, to);
    return known;
}

static struct span skip_wsp(struct span s)
{
    while (s.n && is_wsp(s.p[0]))
        s = span_skip(s, 1);
    return s;
}

/* subj-blob = "[" *BLOBCHAR "]" *WSP; what follows it. */
static bool take_blob(struct span s, struct span *ret)
{
    size_t i = 1;
    if (!s.n || s.p[0] != '[')
        return false;
    while (i < s.n && s.p[i] != '[' && s.p[i] != ']')
        i++;
    if (i == s.n || s.p[i] != ']')
        return false;
    *ret = skip_wsp(span_skip(s, i + 1));
    return true;
}

/* subj-refwd = ("re" / ("fw" ["d"])) *WSP [subj-blob] ":" */
static bool take_refwd(struct span s, struct span *ret)
{
    if (span_istarts(s, SPAN("re")))
        s = span_skip(s, 2);
    else if (span_istarts(s, SPAN("fwd")))
        s = span_skip(s, 3);
    else if (span_istarts(s, SPAN("fw")))
        s = span_skip(s, 2);
    else
        return false;
    s = skip_wsp(s);
    (void)take_blob(s, &s);
    if (!s.n || s.p[0] != ':')
        return false;
    *ret = span_skip(s, 1);
    return true;
}

/* Step (2): subj-trailer = "(fwd)" / WSP */
static void drop_trailers(struct base_subject *b)
{
    const struct span fwd = SPAN("(fwd)");
    for (;;) {
        struct span *s = &b->text;
        if (s->n && is_wsp(s->p[s->n - 1])) {
            s->n--;
        } else if (s->n >= fwd.n && span_ieq(span_skip(*s, s->n - fwd.n), fwd)) {
            s->n -= fwd.n;
            b->reply_or_forward = true;
        } else {
            return;
        }
    }
}

/* Step (3): subj-leader = (*subj-blob subj-refwd) / WSP. Blobs alone are no leader: they are looked
 * through once, so that a long row of them costs no more than its length. */
static bool drop_leader(struct base_subject *b, size_t *blobs_end)
{
    struct span s = b->text;
    if (s.n && is_wsp(s.p[0])) {
        b->text = skip_wsp(s);
        return true;
    }
    size_t start = s.n;
    if (*blobs_end && *blobs_end <= start) /* the row that begins here was looked through already */
        s = span_skip(s, start - *blobs_end);
    while (take_blob(s, &s))
        ;
    *blobs_end = s.n;
    if (!take_refwd(s, &s))
        return false;
    b->text = s;
    b->reply_or_forward = true;
    *blobs_end = 0;
    return true;
}

/* Step (4) */
static bool drop_blob(struct base_subject *b)
{
    struct span rest;
    if (!take_blob(b->text, &rest) || !rest.n)
        return false;
    b->text = rest;
    return true;
}

struct base_subject base_subject(struct span subject)
{
    struct base_subject b = {.text = subject};
    const struct span header = SPAN("[fwd:");
    for (;;) {
        size_t blobs_end = 0;
        drop_trailers(&b);
        while (drop_leader(&b, &blobs_end) || drop_blob(&b))
            ;
        /* Step (6) */
        if (!span_istarts(b.text, header) || b.text.p[b.text.n - 1] != ']')
            return b;
        b.text = span_head(span_skip(b.text, header.n), b.text.n - header.n - 1);
        b.reply_or_forward = true;
    }
}
