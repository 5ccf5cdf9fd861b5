/* Previews (RFC 8970): which part, which text. */
#include "base/utf8.h"
#include "message/charset.h"
#include "unit/message/message_support.h"

static struct span preview_of(struct span message, struct buf *rec)
{
    struct span s = SPAN_EMPTY;
    buf_reset(rec);
    mime_parse(message, rec);
    assert_int_equal(derived_preview(buf_span(rec), &s), 0);
    if (s.n >= 2 && s.p[0] == '"') /* no test has a quote or a backslash in it, but one */
        return span_make(s.p + 1, s.n - 2);
    return span_skip(s, span_find_byte(s, '\n') + 1);
}

static void check_at(struct span message, const char *want, const char *file, int line)
{
    autobuf rec = BUF_INIT(BUF_UNLIMITED), again = BUF_INIT(BUF_UNLIMITED);
    uint64_t seed = 7;
    assert_span_at(preview_of(message, &rec), span_str(want), file, line);
    struct mime_parser *p = mime_parser_new(NULL);
    for (size_t max = 1; max < 5000; max = max * 3 + 1) {
        buf_reset(&again);
        parse_in_chunks(p, message, &seed, max, &again);
        assert_true(span_eq(buf_span(&again), buf_span(&rec)));
    }
    mime_parser_free(p);
}

#define IS(message, want) check_at(span_str(message), want, __FILE__, __LINE__)

/* Of a text/plain message. */
#define TEXT(body, want) IS("Subject: x\r\n\r\n" body, want)

static void test_text(void **state)
{
    (void)state;
    TEXT("", "");
    TEXT("\r\n \t \r\n", "");
    TEXT("Preview text!\r\n", "Preview text!");
    TEXT("Dear  all,\r\n\r\n\tthis\r\nis\r\nit", "Dear all, this is it");
    TEXT("a \"b\" c", "a \\\"b\\\" c");
    TEXT("========\r\nNews\r\n--------\r\n* * * *\r\nText", "News Text");
    TEXT("a\x01"
         "b\x7f"
         "c",
         "a b c");
    TEXT("...\r\n", "...");
}

static void test_quotes(void **state)
{
    (void)state;
    TEXT("Thanks!\r\n\r\nOn Monday Jo wrote:\r\n> a\r\n> b\r\n", "Thanks!");
    TEXT("On Mon, Nov 23, 2026 at 9:00 Jo <jo@example.com>\r\nwrote:\r\n\r\n> a\r\n\r\nYes.\r\n",
         "Yes.");
    TEXT("Hi Jo\r\nOn Monday you wrote that things were going well:\r\n> a\r\n> b\r\nYes.\r\n"
         "> c\r\nNo.\r\n",
         "Hi Jo Yes. No.");
    TEXT("> all\r\n>> of it\r\n> quoted", "all of it quoted");
    TEXT(">From there on", ">From there on");
    TEXT("Bye\r\n-- \r\nJo Smith\r\n", "Bye");
    TEXT("-- \r\nJo Smith\r\n", "");
    TEXT("See below.\r\n\r\n-----Original Message-----\r\nFrom: x\r\n", "See below.");
    TEXT("---------- Forwarded message ---------\r\nFrom: x\r\nSubject: y\r\n\r\nz",
         "From: x Subject: y z");
    TEXT("Ok\r\n________________________________\r\nFrom: x\r\nSent: y\r\n", "Ok");
    TEXT("See <https://example.com/a?b> and (https://example.com/c) [image: Logo] or "
         "https://x.example",
         "See and or https://x.example");
    TEXT("<https://example.com/>\r\n", "https://example.com/");
    TEXT("[cid:image001.png@01D7] (brackets) [stay] <jo@example.com>",
         "(brackets) [stay] <jo@example.com>");
}

static void test_pgp(void **state)
{
    (void)state;
    TEXT("-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: SHA256\r\n\r\nMeet me.\r\n- --\r\nJo\r\n"
         "-----BEGIN PGP SIGNATURE-----\r\nabc\r\n-----END PGP SIGNATURE-----\r\n",
         "Meet me.");
    TEXT("-----BEGIN PGP MESSAGE-----\r\nVersion: 1\r\n\r\nhQEMA\r\n-----END PGP MESSAGE-----\r\n",
         "");
    IS("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; "
       "boundary=b\r\n\r\n"
       "--b\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
       "--b\r\nContent-Type: application/octet-stream\r\n\r\n-----BEGIN PGP "
       "MESSAGE-----\r\n\r\nx\r\n--b--\r\n",
       "");
    IS("Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\r\n"
       "Content-Transfer-Encoding: base64\r\n\r\nMIIB\r\n",
       "");
    IS("Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; "
       "boundary=b\r\n\r\n"
       "--b\r\nContent-Type: text/plain\r\n\r\nSigned text\r\n"
       "--b\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--b--\r\n",
       "Signed text");
}

static void test_length(void **state)
{
    (void)state;
    autobuf m = BUF_INIT(BUF_UNLIMITED), rec = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&m, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    size_t head = m.n;
    for (int i = 0; i < 1000; i++)
        buf_put_lit(&m, "\xd0\x96");
    assert_int_equal(preview_of(buf_span(&m), &rec).n, 400);
    buf_truncate(&m, head); /* a letter keeps its marks, up to 256 characters in all */
    for (int i = 0; i < 199; i++)
        buf_put_byte(&m, 'x');
    buf_put_lit(&m, "e\xcc\x81\xcc\x82z");
    assert_true(span_ends(preview_of(buf_span(&m), &rec), SPAN("xe\xcc\x81\xcc\x82")));
    buf_truncate(&m, head);
    for (int i = 0; i < 5000; i++)
        buf_put_lit(&m, "\xcc\x81");
    assert_int_equal(preview_of(buf_span(&m), &rec).n, 512);
    buf_truncate(&m, head); /* no space at the end */
    for (int i = 0; i < 199; i++)
        buf_put_byte(&m, 'x');
    buf_put_lit(&m, " y");
    assert_int_equal(preview_of(buf_span(&m), &rec).n, 199);
    buf_truncate(&m, head); /* one line that never ends, and nothing in it */
    for (int i = 0; i < 300000; i++)
        buf_put_byte(&m, ' ');
    buf_put_lit(&m, "x");
    assert_int_equal(preview_of(buf_span(&m), &rec).n, 0);
    buf_truncate(&m, head); /* a long line is one line, wherever it is cut */
    for (int i = 0; i < 2047; i++)
        buf_put_lit(&m, "  ");
    buf_put_lit(&m, "a\xe4\xb8\xad"
                    "b word\r\nnext");
    check_at(buf_span(&m),
             "a\xe4\xb8\xad"
             "b word next",
             __FILE__, __LINE__);
    buf_truncate(&m, head);
    buf_put_byte(&m, '>');
    for (int i = 0; i < 5000; i++)
        buf_put_lit(&m, " q");
    buf_put_lit(&m, "\r\nanswer");
    check_at(buf_span(&m), "answer", __FILE__, __LINE__);
}

static void test_charsets(void **state)
{
    (void)state;
#define CODED(charset, cte, body)                                                                  \
    "Content-Type: text/plain; charset=" charset "\r\nContent-Transfer-Encoding: " cte             \
    "\r\n\r\n" body
    IS(CODED("koi8-r", "8bit", "\xf0\xd2\xc9\xd7\xc5\xd4"),
       "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82");
    IS(CODED("gb2312", "base64", "xOO6ww=="), "\xe4\xbd\xa0\xe5\xa5\xbd");
    IS(CODED("iso-2022-jp", "7bit", "\x1b$B$3$s\x1b(B!"), "\xe3\x81\x93\xe3\x82\x93!");
    IS(CODED("utf-16", "base64", "//5hAGIA"), "ab");
    IS(CODED("iso-8859-1", "quoted-printable", "caf=E9 =\r\nbar"), "caf\xc3\xa9 bar");
    /* Cut in the middle of a character, or nothing that UTF-8 could be: never broken UTF-8. */
    IS(CODED("utf-8", "quoted-printable", "caf=C3"), "caf\xef\xbf\xbd");
    IS(CODED("utf-8", "quoted-printable", "=C3=A9=E2=82=\r\n=AC=FF!"),
       "\xc3\xa9\xe2\x82\xac\xef\xbf\xbd!");
    IS(CODED("utf-8", "base64", "w6nDqcM="), "\xc3\xa9\xc3\xa9\xef\xbf\xbd");
    IS(CODED("no-such-charset", "8bit", "caf\xe9"), "caf\xc3\xa9");
    IS(CODED("utf-8", "x-unknown", "abc"), "");
    IS(CODED("utf-8", "8bit",
             "\xef\xbb\xbf\xe2\x80\x8b"
             "a\xe2\x80\xae"
             "b\xe2\x80\x8d c"),
       "ab c");
}

#define PART(type, body)  "--b\r\nContent-Type: " type "\r\n\r\n" body "\r\n"
#define MULTI(sub, parts) "Content-Type: multipart/" sub "; boundary=b\r\n\r\n" parts "--b--\r\n"

static void test_parts(void **state)
{
    (void)state;
    IS(MULTI("alternative", PART("text/plain", "Plain") PART("text/html", "<p>HTML")), "Plain");
    IS(MULTI("alternative", PART("text/html", "<p>HTML") PART("text/plain", "Plain")), "Plain");
    IS(MULTI("alternative", PART("text/plain", "") PART("text/html", "<p>Hello")), "Hello");
    IS(MULTI("alternative",
             PART("text/plain", "This is an HTML message.") PART("text/html", "<p>Hello")),
       "Hello");
    IS(MULTI("alternative", PART("text/plain", "****") PART("text/html", "<p>Hello")), "Hello");
    IS(MULTI("alternative",
             PART("text/plain", "No HTML here") PART("text/html", "<p hidden>Hello")),
       "No HTML here");
    IS(MULTI("alternative", PART("text/calendar", "BEGIN:VCALENDAR") PART("text/html", "<p>Hello")),
       "Hello");
    IS(MULTI("mixed", PART("text/html", "<p>First") PART("text/plain", "Second")), "First");
    IS(MULTI("mixed", PART("text/plain", "\r\n") PART("text/plain", "Second")), "Second");
    IS(MULTI("mixed", PART("application/pdf", "x") PART("image/png", "y")), "");
    IS(MULTI("mixed", PART("text/plain\r\nContent-Disposition: attachment; filename=a", "Attached")
                          PART("text/plain\r\nContent-Disposition: inline", "Inline")),
       "Inline");
    IS("Content-Type: text/plain\r\nContent-Disposition: ATTACHMENT\r\n\r\nx", "");
    IS(MULTI("mixed",
             PART("message/rfc822", "Subject: y\r\n\r\nInner") PART("text/plain", "Outer")),
       "Outer");
    IS(MULTI("mixed", PART("message/rfc822", "Subject: y\r\n\r\nInner")), "Inner");
    IS("Content-Type: multipart/alternative; boundary=c\r\n\r\n--c\r\n\r\nSee the HTML\r\n"
       "--c\r\n" MULTI("related", PART("text/html", "Rich") PART("image/png", "x")) "--c--\r\n",
       "Rich");
    IS(MULTI("mixed",
             PART("text/plain", "-- not a\r\n--boundary\r\n-\r\n--") PART("text/plain", "x")),
       "-- not a --boundary -");
    IS(MULTI("mixed", ""), "");
    IS("Content-Type: text/html\r\n\r\n", "");
    IS("", "");
    /* The first of many that has text; but not for ever. */
    autobuf m = BUF_INIT(BUF_UNLIMITED), rec = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&m, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
    for (int i = 0; i < 500; i++)
        buf_put_lit(&m, PART("text/html; charset=koi8-r", "<p>"));
    buf_put_lit(&m, PART("text/plain", "Late"));
    assert_span(preview_of(buf_span(&m), &rec), "");
}

static void test_html(void **state)
{
    (void)state;
#define HTML(body, want) IS("Content-Type: text/html; charset=utf-8\r\n\r\n" body, want)
    HTML("<html><head><title>T</title><style>p{}</style></head><body><p>Hi&nbsp;Jo,</p><p>news</"
         "p></body></html>",
         "Hi Jo, news");
    /* Mass mail: what is hidden is no more shown here than in the message. */
    HTML("<body><div style=\"display:none;max-height:0\">Only "
         "today&#847;&zwnj;&nbsp;&#847;&zwnj;&nbsp;</div>"
         "<table><tr><td><img src=\"https://t.example/l.png\" alt=\"ACME\"></td></tr>"
         "<tr><td style=\"font-size:0\"><h1 style=\"font-size:20px\">Sale</h1> &#847;&zwnj; "
         "<a href=\"https://t.example/x\">Look</a></td></tr></table></body>",
         "Sale Look");
    HTML("<img alt=\"A picture\">", "A picture");
    /* Outlook */
    HTML("<html xmlns:o=\"urn:schemas-microsoft-com:office:office\"><head><!--[if gte mso "
         "9]><xml><o:x>1</o:x></xml>"
         "<![endif]--><style><!-- p.MsoNormal {} --></style></head><body><div class=WordSection1>"
         "<p class=MsoNormal>Yes, fine.<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p>"
         "<hr><div><b>From:</b> Jo</div></div></body></html>",
         "Yes, fine.");
    /* Gmail */
    HTML("<div dir=\"ltr\">Thanks!</div><br><div class=\"gmail_quote\"><div dir=\"ltr\" "
         "class=\"gmail_attr\">"
         "On Mon, Nov 23, 2026 Jo &lt;<a href=\"mailto:jo@example.com\">jo@example.com</a>&gt; "
         "wrote:<br></div>"
         "<blockquote class=\"gmail_quote\">Question?</blockquote></div>",
         "Thanks!");
    /* What stands behind a long style sheet is still found. */
    autobuf m = BUF_INIT(BUF_UNLIMITED), rec = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&m, "Content-Type: text/html\r\n\r\n<style>");
    for (int i = 0; i < 10000; i++)
        buf_put_lit(&m, "p {a}\r\n");
    buf_put_lit(&m, "</style>Here");
    assert_span(preview_of(buf_span(&m), &rec), "Here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),     cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_pgp),      cmocka_unit_test(test_length),
        cmocka_unit_test(test_charsets), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_html),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
