#include "support/cmocka.h"

#include "auth/precis.h"

static void name_is(const char *in, const char *fold, const char *keep)
{
    for (int i = 0; i < 2; i++) {
        const char *want = i ? keep : fold;
        autobuf out = BUF_INIT(1000);
        int r = precis_username(span_str(in), i, &out);
        if (want) {
            assert_int_equal(r, 0);
            assert_string_equal(out.p, want);
        } else {
            assert_int_equal(r, ERR_INVALID);
            assert_int_equal(out.n, 0);
        }
    }
}

/* RFC 8265 section 3.5, tables 1 and 2. */
static void test_names_of_rfc(void **state)
{
    (void)state;
    name_is("juliet@example.com", "juliet@example.com", "juliet@example.com");
    name_is("fussball", "fussball", "fussball");
    name_is("fu\xc3\x9f"
            "ball",
            "fu\xc3\x9f"
            "ball",
            "fu\xc3\x9f"
            "ball");
    name_is("\xcf\x80", "\xcf\x80", "\xcf\x80"); /* small pi */
    name_is("\xce\xa3", "\xcf\x83", "\xce\xa3"); /* capital sigma */
    name_is("\xcf\x83", "\xcf\x83", "\xcf\x83"); /* small sigma */
    name_is("\xcf\x82", "\xcf\x82", "\xcf\x82"); /* final sigma */
    name_is("henry\xe2\x85\xa3", NULL, NULL);    /* roman numeral four */
    name_is("\xe2\x99\x9a", NULL, NULL);         /* black chess king */
    name_is("", NULL, NULL);
}

static void test_names(void **state)
{
    (void)state;
    name_is("Fred", "fred", "Fred");
    name_is("Fred Miller", "fred miller", "Fred Miller"); /* section 3.1: parts */
    name_is("fred  miller", NULL, NULL);
    name_is(" fred", NULL, NULL);
    name_is("fr\ted", NULL, NULL);
    name_is("fr\xff", NULL, NULL);
    name_is("\xef\xbc\xab\xef\xbd\x89\xef\xbd\x8d", "kim", "Kim"); /* fullwidth */
    name_is("A\xcc\x8a", "\xc3\xa5", "\xc3\x85");                  /* NFC */
    name_is("\xe2\x84\xab", NULL, NULL); /* angstrom sign: compatibility */
    name_is("a\xc2\xad"
            "b",
            NULL, NULL);                 /* soft hyphen */
    name_is("\xee\x80\x80", NULL, NULL); /* private use */
    name_is("a\xc2\xa0"
            "b",
            NULL, NULL);                             /* another space */
    name_is("\xe1\x84\x80\xe1\x85\xa1", NULL, NULL); /* conjoining jamo */
}

/* RFC 5892 appendix A. */
static void test_context(void **state)
{
    (void)state;
    name_is("l\xc2\xb7l", "l\xc2\xb7l", "l\xc2\xb7l"); /* middle dot */
    name_is("a\xc2\xb7"
            "b",
            NULL, NULL);
    name_is("\xe3\x82\xa2\xe3\x83\xbb", "\xe3\x82\xa2\xe3\x83\xbb", "\xe3\x82\xa2\xe3\x83\xbb");
    name_is("a\xe3\x83\xbb", NULL, NULL); /* katakana middle dot */
    name_is("\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d", "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d",
            "\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d"); /* virama, joiner */
    name_is("a\xe2\x80\x8d", NULL, NULL);
    name_is("\xd7\x90\xd7\xb3", "\xd7\x90\xd7\xb3", "\xd7\x90\xd7\xb3"); /* alef geresh */
    name_is("a\xd7\xb3", NULL, NULL);
    name_is("\xcd\xb5\xce\xb1", "\xcd\xb5\xce\xb1", "\xcd\xb5\xce\xb1"); /* keraia, alpha */
    name_is("\xcd\xb5"
            "a",
            NULL, NULL);
    name_is("\xd8\xa8\xd9\xa1", "\xd8\xa8\xd9\xa1", "\xd8\xa8\xd9\xa1"); /* Arabic digits */
    name_is("\xd8\xa8\xd9\xa1\xdb\xb1", NULL, NULL);                     /* of two kinds */
    /* zero width non-joiner between joining letters, and elsewhere */
    name_is("\xd8\xa8\xe2\x80\x8c\xd8\xa8", "\xd8\xa8\xe2\x80\x8c\xd8\xa8",
            "\xd8\xa8\xe2\x80\x8c\xd8\xa8");
    name_is("a\xe2\x80\x8c"
            "b",
            NULL, NULL);
}

/* RFC 5893 section 2. */
static void test_direction(void **state)
{
    (void)state;
    name_is("\xd7\x90\xd7\x91\x31", "\xd7\x90\xd7\x91\x31", "\xd7\x90\xd7\x91\x31");
    name_is("\xd7\x90\xd7\x91@example.com", "\xd7\x90\xd7\x91@example.com",
            "\xd7\x90\xd7\x91@example.com");
    name_is("a\xd7\x90", NULL, NULL);
    name_is("\xd7\x90"
            "a",
            NULL, NULL);
    name_is("1\xd7\x90", NULL, NULL);
    name_is("\xd7\x90-", NULL, NULL);
}

static void password_is(const char *in, const char *want)
{
    autobuf out = BUF_INIT(1000);
    int r = precis_password(span_str(in), &out);
    assert_int_equal(r, want ? 0 : ERR_INVALID);
    if (want)
        assert_string_equal(out.p, want);
}

/* RFC 8265 section 4.3. */
static void test_passwords_of_rfc(void **state)
{
    (void)state;
    password_is("correct horse battery staple", "correct horse battery staple");
    password_is("Correct Horse Battery Staple", "Correct Horse Battery Staple");
    password_is("\xcf\x80\xc3\x9f\xc3\xa5", "\xcf\x80\xc3\x9f\xc3\xa5");
    password_is("Jack of \xe2\x99\xa6s", "Jack of \xe2\x99\xa6s");
    password_is("foo\xe1\x9a\x80"
                "bar",
                "foo bar"); /* OGHAM SPACE MARK */
    password_is("", NULL);
    password_is("my cat is a \tby", NULL);
    password_is("A\xcc\x8a", "\xc3\x85");
    password_is("\xef\xbc\xab", "\xef\xbc\xab"); /* widths stay */
    password_is("\xff", NULL);
}

static void test_limits(void **state)
{
    (void)state;
    static char longest[PRECIS_MAX + 2];
    autobuf out = BUF_INIT(10 * PRECIS_MAX), small = BUF_INIT(3);
    memset(longest, 'a', sizeof(longest));
    assert_int_equal(precis_username(span_make(longest, PRECIS_MAX), false, &out), 0);
    assert_int_equal(precis_username(span_make(longest, PRECIS_MAX + 1), false, &out), ERR_INVALID);
    assert_int_equal(precis_password(span_make(longest, PRECIS_MAX + 1), &out), ERR_INVALID);
    /* what grows most when normalised: U+0390 decomposed stays two characters, U+1D160 becomes 3 */
    for (size_t i = 0; i + 4 <= PRECIS_MAX; i += 4)
        memcpy(longest + i, "\xf0\x9d\x85\xa0", 4);
    (void)!precis_password(span_make(longest, PRECIS_MAX), &out);
    assert_int_equal(precis_username(SPAN("abcdef"), false, &small), ERR_INVALID);
    assert_int_equal(small.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_rfc),     cmocka_unit_test(test_names),
        cmocka_unit_test(test_context),          cmocka_unit_test(test_direction),
        cmocka_unit_test(test_passwords_of_rfc), cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests_name("precis", tests, NULL, NULL);
}
