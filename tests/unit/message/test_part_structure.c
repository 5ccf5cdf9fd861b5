/* The structure of one part: numbers as in BODY[...], strings that look like structure. */
#include "message_support.h"

#include "message/part_structure.h"

static const char MAIL[] =
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\n\r\none\r\n"
    "--b\r\nContent-Type: image/gif; name=\") (\\\"\"\r\nContent-Transfer-Encoding: base64\r\n"
    "Content-Description: gr\xc3\xbc\xc3\x9f)e\r\n\r\nR0lG\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner) (\r\n"
    "Content-Type: multipart/alternative; boundary=c\r\n\r\n"
    "--c\r\n\r\nx\r\n--c\r\nContent-Type: text/html\r\n\r\ny\r\n--c--\r\n"
    "--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\n\r\ntext\r\n"
    "--b--\r\n";

static void record(const char *text, struct buf *ret)
{
    struct mime_parser *p = mime_parser_new(NULL);
    mime_parser_feed(p, span_str(text));
    mime_parser_finish(p, ret);
    mime_parser_free(p);
}

static void check(struct span rec, const char *numbers, const char *begins)
{
    uint32_t section[8];
    size_t depth = 0;
    for (const char *c = numbers; *c; c++)
        if (*c != '.')
            section[depth++] = (uint32_t)(*c - '0');
    struct span got;
    int rc = derived_part_structure(rec, section, depth, &got);
    if (!begins) {
        assert_int_equal(rc, ERR_NOT_FOUND);
        return;
    }
    assert_int_equal(rc, 0);
    assert_span(span_head(got, strlen(begins)), begins);
    assert_int_equal(got.p[got.n - 1], ')');
}

static void parts(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    record(MAIL, &b);
    struct span rec = buf_span(&b), part, value;
    check(rec, "", "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 ");
    check(rec, "1", "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 ");
    check(rec, "2", "(\"image\" \"gif\" (\"name\" \") (\\\"\") NIL {");
    check(rec, "3", "(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" ");
    check(rec, "3.1", "(\"text\" \"plain\" ");
    check(rec, "3.2", "(\"text\" \"html\" ");
    check(rec, "4.1", "(\"text\" \"plain\" ");
    for (const char *none = "0569"; *none; none++)
        check(rec, (char[]){*none, 0}, NULL);
    check(rec, "1.1", NULL);
    check(rec, "3.3", NULL);
    check(rec, "4.2", NULL);
    assert_int_equal(derived_part_structure(rec, (uint32_t[]){2}, 1, &part), 0);
    assert_int_equal(structure_field(part, STRUCTURE_ENCODING, &value), 0);
    assert_span(value, "\"base64\"");
    assert_int_equal(structure_field(part, STRUCTURE_SIZE, &value), 0);
    assert_span(value, "4");
    assert_int_equal(structure_field(part, 7, &value), ERR_NOT_FOUND);
    assert_int_equal(derived_part_structure(rec, NULL, 0, &part), 0);
    assert_int_equal(structure_field(part, 0, &value), ERR_INVALID);
}

static void plain(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    record("Subject: x\r\n\r\nbody\r\n", &b);
    check(buf_span(&b), "", "(\"text\" \"plain\" ");
    check(buf_span(&b), "1", "(\"text\" \"plain\" ");
    check(buf_span(&b), "2", NULL);
    check(buf_span(&b), "1.1", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(parts), cmocka_unit_test(plain)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
