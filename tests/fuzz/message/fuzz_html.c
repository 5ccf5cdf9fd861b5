/* HTML to text, and the lines of a text to a preview. The first byte of the input chooses options
 * and the size of chunks. */
#include "base/utf8.h"
#include "message/charset.h"
#include "message/html_text.h"
#include "message/preview_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(cond)                                                                              \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The begin of s, not ending within a character. */
static struct span characters(struct span s, size_t n)
{
    while (n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
        n++;
    return span_head(s, n);
}

static void to_text(struct html_text *h, struct span html, size_t chunk, struct buf *out)
{
    while (html.n > 0) {
        struct span c = characters(html, MIN(chunk, html.n));
        html_text_feed(h, c, out);
        html = span_skip(html, c.n);
    }
    html_text_finish(h, out);
}

static void to_lines(struct preview_lines *l, struct span text, size_t chunk)
{
    preview_lines_begin(l);
    while (text.n > 0) {
        struct span c = characters(text, MIN(chunk, text.n));
        preview_lines_feed(l, c);
        text = span_skip(text, c.n);
    }
    preview_lines_end(l);
}

static bool same(const struct preview_text *a, const struct preview_text *b)
{
    return span_eq(span_make(a->p, a->n), span_make(b->p, b->n));
}

static void check_lines(struct span text, size_t chunk)
{
    struct preview_lines a, b;
    to_lines(&a, text, SIZE_MAX);
    to_lines(&b, text, chunk);
    REQUIRE(same(&a.text, &b.text) && (a.text.n > 0 || same(&a.other, &b.other)));
    REQUIRE(a.text.chars <= PREVIEW_CHARS_MAX && a.other.chars <= PREVIEW_CHARS_MAX);
    REQUIRE(utf8_valid(span_make(a.text.p, a.text.n)) &&
            utf8_valid(span_make(a.other.p, a.other.n)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct charset_decoder d;
    autobuf html = BUF_INIT(BUF_UNLIMITED), a = BUF_INIT(BUF_UNLIMITED),
            b = BUF_INIT(BUF_UNLIMITED);
    size_t chunk = 1 + (data[0] >> 1);
    charset_decoder_init(&d, SPAN("utf-8"));
    charset_decode(&d, span_make(data + 1, size - 1), &html);
    charset_decode_finish(&d, &html);
    charset_decoder_done(&d);
    struct html_text *h = html_text_new(data[0] & 1 ? HTML_TEXT_LINKS : 0);
    to_text(h, buf_span(&html), SIZE_MAX, &a);
    to_text(h, buf_span(&html), chunk, &b);
    html_text_free(h);
    REQUIRE(span_eq(buf_span(&a), buf_span(&b)) && utf8_valid(buf_span(&a)));
    for (size_t i = 0; i < a.n; i++)
        REQUIRE((unsigned char)a.p[i] >= ' ' || strchr("\r\n\t", a.p[i]));
    check_lines(buf_span(&a), chunk);
    check_lines(buf_span(&html), chunk);
    return 0;
}
