#include "message/convert.h"

int convert_text_init(struct convert_text *c, enum part_cte cte, struct span charset, bool html,
                      struct charset_encoder *to)
{
    *c = (struct convert_text){.decoded = BUF_INIT(BUF_UNLIMITED),
                               .utf8 = BUF_INIT(BUF_UNLIMITED),
                               .text = BUF_INIT(BUF_UNLIMITED)};
    if (cte_decoder_init(&c->cte, cte, false))
        return ERR_INVALID;
    charset_decoder_init(&c->from, charset);
    c->to = *to;
    *to = (struct charset_encoder){.replacement = BUF_INIT(0)};
    if (html)
        c->html = html_text_new(HTML_TEXT_LINKS);
    return 0;
}

void convert_text_done(struct convert_text *c)
{
    charset_decoder_done(&c->from);
    charset_encoder_done(&c->to);
    html_text_free(c->html);
    c->html = NULL;
    buf_done(&c->decoded);
    buf_done(&c->utf8);
    buf_done(&c->text);
}

/* Bare LF becomes CRLF (RFC 2046 section 4.1.1). */
static void put_crlf(struct convert_text *c, struct span s)
{
    while (s.n > 0) {
        size_t lf = span_find_byte(s, '\n');
        struct span line = span_head(s, lf);
        buf_put_span(&c->text, line);
        if (line.n > 0)
            c->last_cr = line.p[line.n - 1] == '\r';
        if (lf == SPAN_NPOS)
            return;
        buf_put_str(&c->text, c->last_cr ? "\n" : "\r\n");
        c->last_cr = false;
        s = span_skip(s, lf + 1);
    }
}

static int pass_on(struct convert_text *c, bool end, struct buf *out)
{
    buf_reset(&c->utf8);
    buf_reset(&c->text);
    charset_decode(&c->from, buf_span(&c->decoded), &c->utf8);
    if (end)
        charset_decode_finish(&c->from, &c->utf8);
    if (c->html)
        html_text_feed(c->html, buf_span(&c->utf8), &c->text);
    else
        put_crlf(c, buf_span(&c->utf8));
    if (c->html && end)
        html_text_finish(c->html, &c->text);
    int rc = charset_encode(&c->to, buf_span(&c->text), out);
    if (end)
        charset_encode_finish(&c->to, out);
    return rc;
}

int convert_text_feed(struct convert_text *c, struct span s, struct buf *out)
{
    buf_reset(&c->decoded);
    cte_decode(&c->cte, s, &c->decoded);
    return pass_on(c, false, out);
}

int convert_text_finish(struct convert_text *c, struct buf *out)
{
    buf_reset(&c->decoded);
    cte_decode_finish(&c->cte, &c->decoded);
    return pass_on(c, true, out);
}
