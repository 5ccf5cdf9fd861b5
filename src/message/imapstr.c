/* IMAP strings (RFC 9051 section 4.3). */
#include "message/imapstr_int.h"

#include "message/header.h"

/* Long strings are literals, which spares clients with small line buffers. */
#define QUOTED_MAX 1000

static bool fits_quotes(struct span s)
{
    if (s.n > QUOTED_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\t') || c >= 0x7f)
            return false;
    }
    return true;
}

static void put_quoted(struct buf *out, struct span s)
{
    char *to = buf_reserve(out, 2 * s.n + 2);
    if (!to)
        return;
    size_t n = 0;
    to[n++] = '"';
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            to[n++] = '\\';
        to[n++] = s.p[i];
    }
    to[n++] = '"';
    buf_commit(out, n);
}

static void put_literal(struct buf *out, struct span s)
{
    buf_put_byte(out, '{');
    buf_put_u64(out, s.n);
    buf_put_lit(out, "}\r\n");
    buf_put_span(out, s);
}

void imapstr_put(struct buf *out, struct span s)
{
    if (fits_quotes(s)) {
        put_quoted(out, s);
        return;
    }
    if (span_find_byte(s, '\0') == SPAN_NPOS) {
        put_literal(out, s);
        return;
    }
    autobuf clean = BUF_INIT(s.n);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\0')
            buf_put_byte(&clean, s.p[i]);
    imapstr_put(out, buf_span(&clean));
}

void imapstr_put_field(struct buf *out, struct span value, struct buf *scratch)
{
    value = span_trim(value);
    if (span_find_byte(value, '\n') != SPAN_NPOS) {
        buf_reset(scratch);
        header_unfold(value, scratch);
        value = buf_span(scratch);
    }
    imapstr_put(out, value);
}
