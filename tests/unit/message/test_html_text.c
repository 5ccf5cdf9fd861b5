/* HTML to plain text. */
#include "message/html_text.h"

#include "base/utf8.h"
#include "unit/message/message_support.h"

/* Whole and in every chunking of whole characters: the same text. */
static void check_at(unsigned options, const char *html, const char *want, const char *file,
                     int line)
{
    struct html_text *h = html_text_new(options);
    struct span all = span_str(html);
    for (size_t chunk = all.n + 1; chunk > 0; chunk = chunk > 5 ? 5 : chunk - 1) {
        autobuf out = BUF_INIT(BUF_UNLIMITED);
        for (struct span rest = all; rest.n > 0;) {
            size_t n = MIN(chunk, rest.n);
            while (n < rest.n && ((unsigned char)rest.p[n] & 0xC0) == 0x80)
                n++;
            html_text_feed(h, span_head(rest, n), &out);
            rest = span_skip(rest, n);
        }
        html_text_finish(h, &out);
        assert_span_at(buf_span(&out), span_str(want), file, line);
    }
    html_text_free(h);
}

#define IS(html, want)    check_at(0, html, want, __FILE__, __LINE__)
#define LINKS(html, want) check_at(HTML_TEXT_LINKS, html, want, __FILE__, __LINE__)

static void test_tokens(void **state)
{
    (void)state;
    IS("", "");
    IS("a", "a\r\n");
    IS("<p>Hello <b>big</b>\n  world</p>", "Hello big world\r\n");
    IS("a<!-- x > y -- > <b> -->b<!-->c<!--->d<!-- e --!>f", "abcdf\r\n");
    IS("a<![endif]>b<?xml version='1'?>c<!DOCTYPE html>d</3>e", "abcde\r\n");
    IS("1 < 2 <3 & 4 <", "1 < 2 <3 & 4 <\r\n");
    IS("a</", "a</\r\n");
    IS("a<b title='x > y' alt=\"</b>\" c = d>b</b >c", "abc\r\n");
    IS("a<img alt='x'src=y/>b", "a[image: x]b\r\n");
    IS("a<script>if (a<b) '</scrip' </SCRIPT  x=1>b", "ab\r\n");
    IS("<style>p{}</styles></style>b<title>t<b></title>c<textarea><p></textarea>d", "bcd\r\n");
    IS("a<script>never ends", "a\r\n");
    IS("a<b never ends", "a\r\n");
    IS("a<!-- never ends", "a\r\n");
    IS("a<o:p></o:p>b<averyveryverylongnameofatag x>c", "abc\r\n");
}

static void test_entities(void **state)
{
    (void)state;
    IS("&lt;&amp;&gt;&quot;&apos;&copy;&euro;&hearts;",
       "<&>\"'\xc2\xa9\xe2\x82\xac\xe2\x99\xa5\r\n");
    IS("&#65;&#x42;&#X43;&#68 &#128;&#0;&#xD800;&#x110000;&#99999999999;",
       "ABCD \xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\r\n");
    IS("&copy 1 &ampamp; &AMP &unknown; &; & &#; &#x; &#xg; &euro 2",
       "\xc2\xa9 1 &ampamp; & &unknown; &; & &#; &#x; &#xg; &euro 2\r\n");
    IS("&auml", "\xc3\xa4\r\n");
    IS("&averyveryverylongname;&lt", "&averyveryverylongname;<\r\n");
    IS("a&nbsp;&nbsp;b", "a b\r\n");
    IS("<img alt='a &amp; b&copy=c'>", "[image: a & b&copy=c]\r\n");
}

static void test_lines(void **state)
{
    (void)state;
    IS("<div>a</div><div>b</div>c", "a\r\nb\r\nc\r\n");
    IS("<p>a<p>b", "a\r\n\r\nb\r\n");
    IS("a<br>b<br/><br>c<br><br><br><br>d", "a\r\nb\r\n\r\nc\r\n\r\nd\r\n");
    IS("<div>a</div><div><br></div><div>b</div>", "a\r\n\r\nb\r\n");
    IS("<h1>T</h1><p>a</p><hr>b",
       "T\r\n\r\na\r\n\r\n----------------------------------------\r\nb\r\n");
    IS("<ul><li>a<li>b<ul><li>c</li></ul></li></ul><ol><li>x</li><li>y</li></ol>z",
       "* a\r\n* b\r\n  * c\r\n\r\n1. x\r\n2. y\r\n\r\nz\r\n");
    IS("<ul><li></li></ul>a", "a\r\n");
    IS("<table><tr><td>a<td>b<tr><td>c</td><td></td><th>d</th></tr></table>e",
       "a\tb\r\nc\td\r\n\r\ne\r\n");
    IS("<table><tr><td><table><tr><td>a</td></tr></table></td><td>b</td></tr></table>",
       "a\r\n\r\nb\r\n");
    IS("<pre>a  b\n c</pre>d  e", "a  b\r\n c\r\n\r\nd e\r\n");
    IS("Hi<blockquote>a<br>b<p>c<blockquote>d</blockquote></blockquote>e",
       "Hi\r\n\r\n> a\r\n> b\r\n>\r\n> c\r\n>\r\n>> d\r\n\r\ne\r\n");
}

static void test_hidden(void **state)
{
    (void)state;
    IS("<div style='display:none'>x</div>a", "a\r\n");
    IS("<div STYLE=\"color: red; Display : None !important\">x<div>y</div>z</div>a", "a\r\n");
    IS("<span hidden>x</span>a<p style='visibility:hidden'>b</p>c", "ac\r\n");
    IS("<div style='max-height:0;overflow:hidden'>x</div><i style='opacity:0'>y</i>a", "a\r\n");
    IS("<div style='mso-hide:all'>x</div>a", "a\r\n");
    IS("<div style='opacity:0.9;max-height:0.5em'>a</div>", "a\r\n");
    /* Means nothing: frames of tables have it so that no gaps are between their pictures. */
    IS("<td style='font-size:0px'><div style='font-size:14px'>a</div></td>", "a\r\n");
    IS("<p style='display:none-of-these'>a</p>", "a\r\n");
    IS("<svg><title>x</title><text>y</text></svg><select><option>z</select>a", "a\r\n");
    IS("<table><tr><td style='display:none'>x<td>a</table>", "a\r\n");
    IS("<div style='display:none'><table><tr><td>x</div>y</td></tr></table></div>a", "a\r\n");
    /* Padding of mass mail, and what is no padding. */
    IS("a&#847;&zwnj;&nbsp;&#8203;&shy;&#xFEFF; b", "a b\r\n");
    IS("\xd9\x85\xdb\x8c&zwnj;\xd8\xae", "\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae\r\n");
}

static void test_links(void **state)
{
    (void)state;
    LINKS("<a href='https://x.example/?a=1&amp;b=2'>there</a>!",
          "there <https://x.example/?a=1&b=2>!\r\n");
    LINKS("<a href='https://x.example/'>https://x.example</a> <a "
          "href=http://y.example/>y.example</a>",
          "https://x.example y.example\r\n");
    LINKS("<a href='javascript:alert(1)'>a</a><a href='mailto:b'>b</a><a>c</a>", "abc\r\n");
    LINKS("<a href='https://x.example/'><img src=x></a>a", "a\r\n");
    LINKS("<a href='https://x.example/ y'>a</a>", "a\r\n");
    LINKS("<a href='https://x.example/'>a<a href='https://y.example/'>b",
          "a <https://x.example/>b <https://y.example/>\r\n");
    IS("<a href='https://x.example/'>a</a>", "a\r\n");
}

/* Tags without end, and ends without begin: no memory, no time. */
static void test_depth(void **state)
{
    (void)state;
    static const char *const tags[] = {"<div>", "<p>",  "<li>",       "<b>",          "</div>",
                                       "<td>",  "<ul>", "<a href=x>", "<blockquote>", "<table>",
                                       "&",     "<",    "<!--",       "<x y=",        "</"};
    for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
        struct html_text *h = html_text_new(HTML_TEXT_LINKS);
        autobuf out = BUF_INIT(4 << 20);
        for (int k = 0; k < 20000; k++)
            html_text_feed(h, span_str(tags[i]), &out);
        html_text_feed(h, SPAN(" x"), &out);
        html_text_finish(h, &out);
        assert_true(buf_ok(&out) && utf8_valid(buf_span(&out)));
        html_text_feed(h, SPAN("<p>again"), &out);
        html_text_finish(h, &out);
        assert_true(span_ends(buf_span(&out), SPAN("again\r\n")));
        html_text_free(h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tokens), cmocka_unit_test(test_entities),
        cmocka_unit_test(test_lines),  cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_links),  cmocka_unit_test(test_depth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
