/* Headers in another charset (RFC 5259 section 6): encoded words and encoded parameters only. */
#include "message/convert.h"
#include "message/header.h"
#include "message/header_int.h"
#include "message/param_int.h"
#include "message/utf8_int.h"

enum {
    LINE_CHARS = 76,
    FIRST_MIN = 40, /* room for the first word: not less, however long the field's name is */
    PIECE = 24,     /* characters that are tried at once */
};

struct header_convert {
    struct span charset; /* as it is to be written */
    struct charset_encoder *to;
    struct buf *out;
    size_t line; /* where the line begins in out */
    struct buf text, bytes, coded;
};

static size_t column(const struct header_convert *c)
{
    return c->out->n - c->line;
}

static void put(struct header_convert *c, struct span s)
{
    buf_put_span(c->out, s);
    for (size_t i = s.n; i-- > 0;) {
        if (s.p[i] == '\n') {
            c->line = c->out->n - (s.n - i - 1);
            return;
        }
    }
}

static bool is_plain(unsigned char c, const char *signs)
{
    return ascii_is_alpha(c) || ascii_is_digit(c) || (c && c < 0x80 && strchr(signs, c));
}

static size_t characters(struct span s, size_t n)
{
    size_t at = 0;
    uint32_t c;
    for (; n > 0 && at < s.n; n--) {
        int len = utf8_take(s.p + at, s.n - at, &c);
        at += len > 0 ? (size_t)len : 1;
    }
    return at;
}

/* How text octets are written: "=XX" in words (all signs that need no coding in a phrase, RFC 2047
 * section 5), "%XX" in parameters (RFC 2231 section 7). */
static void code(struct header_convert *c, char escape)
{
    const char *signs = escape == '=' ? "!*+-/" : "!#$&+-.^_`|~";
    buf_reset(&c->coded);
    for (size_t i = 0; i < c->bytes.n; i++) {
        unsigned char b = (unsigned char)c->bytes.p[i];
        if (b == ' ' && escape == '=')
            buf_put_byte(&c->coded, '_');
        else if (is_plain(b, signs))
            buf_put_byte(&c->coded, (char)b);
        else
            buf_printf(&c->coded, "%c%02X", escape, b);
    }
}

/* As many characters from the begin of s as fit into room, at least one, into c->coded. Each piece
 * is a text of its own: shift states do not go on. */
static int next_piece(struct header_convert *c, struct span *s, size_t room, char escape)
{
    for (size_t n = PIECE;; n = n > 4 ? n * 3 / 4 : n - 1) {
        size_t taken = characters(*s, n);
        buf_reset(&c->bytes);
        int rc = charset_encode(c->to, span_head(*s, taken), &c->bytes);
        charset_encode_finish(c->to, &c->bytes);
        if (rc)
            return rc;
        code(c, escape);
        if (c->coded.n <= room || n == 1) {
            *s = span_skip(*s, taken);
            return 0;
        }
    }
}

/* --- encoded words --- */

static int put_words(struct header_convert *c, struct span utf8)
{
    size_t frame = c->charset.n + 7; /* =?charset?Q??= */
    size_t limit = LINE_CHARS - 1 > frame + 12 ? LINE_CHARS - 1 - frame : 12;
    size_t used = MIN(column(c), (size_t)(LINE_CHARS - FIRST_MIN));
    size_t room = limit > used + 12 ? limit - used : 12;
    while (utf8.n > 0) {
        int rc = next_piece(c, &utf8, room, '=');
        if (rc)
            return rc;
        buf_put_lit(c->out, "=?");
        buf_put_span(c->out, c->charset);
        buf_put_lit(c->out, "?Q?");
        buf_put_span(c->out, buf_span(&c->coded));
        buf_put_lit(c->out, "?=");
        if (utf8.n > 0)
            put(c, SPAN("\r\n "));
        room = limit;
    }
    return 0;
}

/* The length of the encoded words that s begins with, white space between them included. */
static size_t word_run(struct span s)
{
    struct span charset;
    size_t end = 0, at = 0;
    for (;;) {
        size_t n = header_word_at(span_skip(s, at), &charset);
        if (n == 0 || !charset_known(charset))
            return end;
        end = at += n;
        while (at < s.n &&
               (s.p[at] == ' ' || s.p[at] == '\t' || s.p[at] == '\r' || s.p[at] == '\n'))
            at++;
    }
}

static int put_field(struct header_convert *c, struct span raw)
{
    while (raw.n > 0) {
        size_t at = span_find(raw, SPAN("=?"));
        put(c, span_head(raw, at));
        if (at == SPAN_NPOS)
            return 0;
        raw = span_skip(raw, at);
        size_t n = word_run(raw);
        if (n == 0) {
            put(c, span_head(raw, 2));
            raw = span_skip(raw, 2);
            continue;
        }
        buf_reset(&c->text);
        header_decode(span_head(raw, n), &c->text);
        int rc = put_words(c, buf_span(&c->text));
        if (rc)
            return rc;
        raw = span_skip(raw, n);
    }
    return 0;
}

/* --- parameters --- */

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_plain((unsigned char)s.p[i], "!#$%&'*+-.^_`{|}~"))
            return false;
    return s.n > 0;
}

static void put_simple_param(struct header_convert *c, struct span name, struct span value)
{
    buf_put_span(c->out, name);
    buf_put_byte(c->out, '=');
    if (is_token(value)) {
        buf_put_span(c->out, value);
        return;
    }
    buf_put_byte(c->out, '"');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\')
            buf_put_byte(c->out, '\\');
        buf_put_byte(c->out, value.p[i]);
    }
    buf_put_byte(c->out, '"');
}

/* name*=utf-8''value, or in pieces name*0*=utf-8''val; name*1*=ue */
static int put_coded_param(struct header_convert *c, struct span name, struct span value)
{
    size_t frame = name.n + c->charset.n + 12;
    size_t room = LINE_CHARS > frame + 12 ? LINE_CHARS - frame : 12;
    struct span rest = value;
    int rc = next_piece(c, &rest, room, '%');
    bool whole = rest.n == 0;
    for (unsigned i = 0; rc == 0; i++) {
        if (i > 0)
            put(c, SPAN(";\r\n "));
        buf_put_span(c->out, name);
        if (!whole)
            buf_printf(c->out, "*%u", i);
        buf_put_lit(c->out, "*=");
        if (i == 0) {
            buf_put_span(c->out, c->charset);
            buf_put_lit(c->out, "''");
        }
        buf_put_span(c->out, buf_span(&c->coded));
        if (rest.n == 0)
            break;
        rc = next_piece(c, &rest, room, '%');
    }
    return rc;
}

/* Content-Type and Content-Disposition with parameters that RFC 2231 has encoded. */
static int put_param_field(struct header_convert *c, const struct header_field *f,
                           const struct param_list *l)
{
    buf_put_span(c->out, f->name);
    buf_put_lit(c->out, ": ");
    buf_put_span(c->out, param_main(l));
    for (size_t i = 0; i < l->n; i++) {
        put(c, SPAN(";\r\n "));
        int rc = 0;
        if (l->v[i].decoded && param_value(l, i).n > 0)
            rc = put_coded_param(c, param_name(l, i), param_value(l, i));
        else
            put_simple_param(c, param_name(l, i), param_value(l, i));
        if (rc)
            return rc;
    }
    put(c, SPAN("\r\n"));
    return 0;
}

static int put_any_field(struct header_convert *c, const struct header_field *f)
{
    enum header_id id = header_id(f->name);
    bool decoded = false;
    if (id != HEADER_CONTENT_TYPE && id != HEADER_CONTENT_DISPOSITION)
        return put_field(c, f->raw);
    struct param_list l;
    param_list_init(&l);
    param_parse(&l, f->value);
    for (size_t i = 0; i < l.n; i++)
        decoded |= l.v[i].decoded;
    int rc = decoded ? put_param_field(c, f, &l) : put_field(c, f->raw);
    param_list_done(&l);
    return rc;
}

int convert_header(struct span header, struct span charset, struct charset_encoder *to,
                   struct buf *out)
{
    struct header_convert c = {.charset = charset,
                               .to = to,
                               .out = out,
                               .line = out->n,
                               .text = BUF_INIT(BUF_UNLIMITED),
                               .bytes = BUF_INIT(BUF_UNLIMITED),
                               .coded = BUF_INIT(BUF_UNLIMITED)};
    struct span rest = header;
    const char *at = header.p;
    struct header_field f;
    int rc = 0;
    while (rc == 0 && header_next(&rest, &f)) {
        put(&c, span_make(at, (size_t)(f.raw.p - at))); /* lines that are no field */
        rc = put_any_field(&c, &f);
        at = f.raw.p + f.raw.n;
    }
    if (rc == 0 && header.n > 0)
        put(&c, span_make(at, (size_t)(header.p + header.n - at)));
    buf_done(&c.text);
    buf_done(&c.bytes);
    buf_done(&c.coded);
    return rc;
}
