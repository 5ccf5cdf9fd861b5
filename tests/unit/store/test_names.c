/* Which mailbox names there may be: RFC 9051 section 5.1, RFC 5198. */
#include "base/err.h"
#include "store/names.h"
#include "support/cmocka.h"

static void expect_name(const char *given, int error, const char *stored)
{
    autobuf to = BUF_INIT(BUF_UNLIMITED);
    int r = mailbox_name_normalise(&to, span_str(given));
    assert_int_equal(r, error);
    if (error == 0)
        assert_string_equal(to.p, stored);
}

static void plain_names_stay(void **state)
{
    (void)state;
    expect_name("Sent", 0, "Sent");
    expect_name("a/b c/d&-e", 0, "a/b c/d&-e");
    expect_name("100%*", 0, "100%*");
    expect_name("trailing/", 0, "trailing");
}

static void inbox_is_one_name(void **state)
{
    (void)state;
    expect_name("inbox", 0, "INBOX");
    expect_name("InBoX/sub", 0, "INBOX/sub");
    expect_name("inboxes", 0, "inboxes");
    expect_name("a/inbox", 0, "a/inbox");
}

static void unicode_is_composed(void **state)
{
    (void)state;
    expect_name("Entwu\xcc\x88rfe", 0, "Entw\xc3\xbcrfe");
    expect_name("Entw\xc3\xbcrfe", 0, "Entw\xc3\xbcrfe");
    expect_name("\xe5\x8f\xb0\xe5\x8c\x97", 0, "\xe5\x8f\xb0\xe5\x8c\x97");
}

static void bad_names_are_refused(void **state)
{
    (void)state;
    expect_name("", ERR_INVALID, NULL);
    expect_name("/", ERR_INVALID, NULL);
    expect_name("/a", ERR_INVALID, NULL);
    expect_name("a//b", ERR_INVALID, NULL);
    expect_name("a//", ERR_INVALID, NULL);
    expect_name("a\tb", ERR_INVALID, NULL);
    expect_name("a\x7f", ERR_INVALID, NULL);
    expect_name("a\xc2\x85", ERR_INVALID, NULL);     /* C1 control */
    expect_name("a\xe2\x80\xa8", ERR_INVALID, NULL); /* line separator */
    expect_name("\xef\xbb\xbfz", ERR_INVALID, NULL); /* byte order mark */
    expect_name("\xed\xa0\x80", ERR_INVALID, NULL);  /* surrogate */
    expect_name("\xc0\xaf", ERR_INVALID, NULL);      /* overlong */
    expect_name("\xff", ERR_INVALID, NULL);
    expect_name("\xe5\x8f", ERR_INVALID, NULL);         /* cut short */
    expect_name("\xf4\x90\x80\x80", ERR_INVALID, NULL); /* above U+10FFFF */
    autobuf to = BUF_INIT(BUF_UNLIMITED);
    assert_int_equal(mailbox_name_normalise(&to, span_make("a\0b", 3)), ERR_INVALID);
}

static void long_and_deep_names_are_limited(void **state)
{
    (void)state;
    autobuf name = BUF_INIT(BUF_UNLIMITED), to = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < MAILBOX_NAME_MAX; i++)
        buf_put_byte(&name, 'x');
    assert_int_equal(mailbox_name_normalise(&to, buf_span(&name)), 0);
    buf_put_byte(&name, 'x');
    assert_int_equal(mailbox_name_normalise(&to, buf_span(&name)), ERR_LIMIT);
    for (int i = 0; i < 100000; i++)
        buf_put_byte(&name, 'x');
    assert_int_equal(mailbox_name_normalise(&to, buf_span(&name)), ERR_LIMIT);
    buf_reset(&name);
    for (int i = 0; i < MAILBOX_LEVELS_MAX; i++)
        buf_put_str(&name, i ? "/x" : "x");
    assert_int_equal(mailbox_name_normalise(&to, buf_span(&name)), 0);
    buf_put_str(&name, "/x");
    assert_int_equal(mailbox_name_normalise(&to, buf_span(&name)), ERR_LIMIT);
}

static void hierarchy(void **state)
{
    (void)state;
    assert_true(span_eq(mailbox_name_superior(SPAN("a/b/c")), SPAN("a/b")));
    assert_int_equal(mailbox_name_superior(SPAN("abc")).n, 0);
    assert_true(mailbox_name_is_inferior(SPAN("a/b"), SPAN("a")));
    assert_false(mailbox_name_is_inferior(SPAN("ab/b"), SPAN("a")));
    assert_false(mailbox_name_is_inferior(SPAN("a"), SPAN("a")));
}

static void keywords(void **state)
{
    (void)state;
    assert_true(keyword_name_valid(SPAN("$Forwarded")));
    assert_true(keyword_name_valid(SPAN("a+b[c")));
    assert_false(keyword_name_valid(SPAN("")));
    assert_false(keyword_name_valid(SPAN("\\Seen")));
    assert_false(keyword_name_valid(SPAN("a b")));
    assert_false(keyword_name_valid(SPAN("a]")));
    assert_false(keyword_name_valid(SPAN("k\xc3\xbc")));
    char big[KEYWORD_NAME_MAX + 1];
    memset(big, 'k', sizeof(big));
    assert_true(keyword_name_valid(span_make(big, KEYWORD_NAME_MAX)));
    assert_false(keyword_name_valid(span_make(big, KEYWORD_NAME_MAX + 1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_names_stay),
        cmocka_unit_test(inbox_is_one_name),
        cmocka_unit_test(unicode_is_composed),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(long_and_deep_names_are_limited),
        cmocka_unit_test(hierarchy),
        cmocka_unit_test(keywords),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
