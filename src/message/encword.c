/* RFC 2047 encoded words. */
#include "message/charset.h"
#include "message/decode.h"
#include "message/header.h"
#include "message/header_int.h"

struct word {
    struct span charset;
    char encoding; /* 'b' or 'q' */
    struct span text;
    size_t length; /* of the whole word */
};

/* s begins with "=?". *no_end remembers that there is no further "?=", so that many begins without
 * an end cost one search only. Words of any length and, for Q, with spaces are taken: mail has
 * them. */
static bool word_at(struct span s, bool *no_end, struct word *ret)
{
    size_t i = 2;
    while (i < s.n && s.p[i] != '?' && (unsigned char)s.p[i] > ' ' && i < 100)
        i++;
    if (i + 2 >= s.n || s.p[i] != '?' || s.p[i + 2] != '?' || i == 2)
        return false;
    char enc = (char)ascii_lower((unsigned char)s.p[i + 1]);
    if ((enc != 'b' && enc != 'q') || *no_end)
        return false;
    size_t text = i + 3;
    size_t end = span_find(span_skip(s, text), SPAN("?="));
    if (end == SPAN_NPOS) {
        *no_end = true;
        return false;
    }
    struct span charset = span_make(s.p + 2, i - 2);
    size_t star = span_find_byte(charset, '*'); /* RFC 2231 section 5: a language */
    *ret = (struct word){star == SPAN_NPOS ? charset : span_head(charset, star), enc,
                         span_make(s.p + text, end), text + end + 2};
    return true;
}

size_t header_word_at(struct span s, struct span *ret_charset)
{
    bool no_end = false;
    struct word w;
    s = span_head(s, 4096);
    if (!span_starts(s, SPAN("=?")) || !word_at(s, &no_end, &w) ||
        span_find_byte(span_head(s, w.length), '\n') != SPAN_NPOS)
        return 0;
    *ret_charset = w.charset;
    return w.length;
}

static int hex_digit(char c)
{
    if (ascii_is_digit((unsigned char)c))
        return c - '0';
    unsigned char l = ascii_lower((unsigned char)c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/* Section 4.2. */
static void decode_q(struct span s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '_') {
            c = ' ';
        } else if (c == '=' && i + 2 < s.n && hex_digit(s.p[i + 1]) >= 0 &&
                   hex_digit(s.p[i + 2]) >= 0) {
            c = (char)((unsigned)hex_digit(s.p[i + 1]) << 4 | (unsigned)hex_digit(s.p[i + 2]));
            i += 2;
        }
        buf_put_byte(out, c);
    }
}

struct decoding {
    struct buf *out;
    struct buf bytes; /* of the run of adjacent words in one charset */
    struct span run;  /* its charset */
    bool in_run;
    bool octets, failed; /* nothing is converted; something could not be */
};

static void end_run(struct decoding *d)
{
    if (!d->in_run)
        return;
    if (d->octets) {
        autobuf converted = BUF_INIT(BUF_UNLIMITED);
        d->failed |= charset_key_to_utf8(d->run, buf_span(&d->bytes), &converted) != 0;
        buf_put_span(d->out, buf_span(&d->bytes));
        buf_reset(&d->bytes);
        d->in_run = false;
        return;
    }
    struct charset_decoder dec;
    charset_decoder_init(&dec, d->run);
    charset_decode(&dec, buf_span(&d->bytes), d->out);
    charset_decode_finish(&dec, d->out);
    charset_decoder_done(&dec);
    buf_reset(&d->bytes);
    d->in_run = false;
}

static void put_plain(struct decoding *d, struct span s)
{
    if (s.n == 0)
        return;
    end_run(d);
    if (d->octets || ascii_prefix(s) == s.n) {
        d->failed |= d->octets && !utf8_valid(s);
        buf_put_span(d->out, s);
        return;
    }
    struct charset_decoder dec = {.kind = CHARSET_GUESS};
    charset_decode(&dec, s, d->out);
    charset_decode_finish(&dec, d->out);
}

static void put_word(struct decoding *d, const struct word *w)
{
    if (d->in_run && !span_ieq(d->run, w->charset))
        end_run(d);
    d->run = w->charset;
    d->in_run = true;
    if (w->encoding == 'q') {
        decode_q(w->text, &d->bytes);
        return;
    }
    struct cte_decoder dec;
    if (cte_decoder_init(&dec, CTE_BASE64, false) < 0)
        return;
    cte_decode(&dec, w->text, &d->bytes);
    cte_decode_finish(&dec, &d->bytes);
}

static bool decode_unfolded(struct span s, bool octets, struct buf *out)
{
    struct decoding d = {.out = out, .bytes = BUF_INIT(s.n + 16), .octets = octets};
    bool no_end = false;
    size_t plain = 0, at = 0;
    while (at < s.n) {
        size_t hit = span_find(span_skip(s, at), SPAN("=?"));
        if (hit == SPAN_NPOS)
            break;
        at += hit;
        struct word w;
        if (!word_at(span_skip(s, at), &no_end, &w)) {
            at += 2;
            continue;
        }
        struct span between = span_make(s.p + plain, at - plain);
        /* White space between adjacent words is no text (section 6.2). */
        if (!d.in_run || span_trim(between).n > 0)
            put_plain(&d, between);
        put_word(&d, &w);
        at += w.length;
        plain = at;
    }
    end_run(&d);
    put_plain(&d, span_skip(s, plain));
    buf_done(&d.bytes);
    return !d.failed;
}

static bool decode(struct span value, bool octets, struct buf *out)
{
    value = span_trim(value);
    if (span_find_byte(value, '\n') == SPAN_NPOS)
        return decode_unfolded(value, octets, out);
    autobuf flat = BUF_INIT(value.n);
    header_unfold(value, &flat);
    return decode_unfolded(buf_span(&flat), octets, out);
}

void header_decode(struct span value, struct buf *out)
{
    decode(value, false, out);
}

bool header_decode_known(struct span value, struct buf *out)
{
    size_t from = out->n;
    bool plain = ascii_prefix(value) == value.n && span_find(value, SPAN("=?")) == SPAN_NPOS;
    if (!plain && !decode(value, true, out))
        return false;
    buf_truncate(out, from);
    header_decode(value, out);
    return true;
}
