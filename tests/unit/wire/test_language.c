/* Choosing a language, and texts in it (RFC 5255 section 3, RFC 4647 section 3.4). */
#include "base/err.h"
#include "support/cmocka.h"
#include "wire/language.h"

static void test_table_is_sorted(void **state)
{
    (void)state;
    for (size_t i = 1; i < language_russian_count; i++)
        assert_true(span_cmp(span_str(language_russian[i - 1].text),
                             span_str(language_russian[i].text)) < 0);
}

static int choose(const char *list, enum language preferred, enum language *ret)
{
    struct span rest = span_str(list), ranges[8];
    unsigned n = 0;
    while (n < ARRAY_LEN(ranges) && span_split(&rest, ' ', &ranges[n]))
        n++;
    return language_choose(ranges, n, preferred, ret);
}

static void test_choose(void **state)
{
    (void)state;
    static const struct {
        const char *list;
        int expected;
    } cases[] = {
        {"ru", LANGUAGE_RUSSIAN},
        {"RU-ru", LANGUAGE_RUSSIAN},
        {"en-GB", LANGUAGE_ENGLISH},
        {"i-default", LANGUAGE_DEFAULT},
        {"fr de-CH ru", LANGUAGE_RUSSIAN},
        {"default", LANGUAGE_RUSSIAN},
        {"*", LANGUAGE_RUSSIAN},
        {"en-a-bbb-x-a-ccc", LANGUAGE_ENGLISH},
        {"fr", ERR_NOT_FOUND},
        {"rus", ERR_NOT_FOUND},
        {"i-klingon", ERR_NOT_FOUND},
        {"ru abcdefghi", ERR_INVALID},
        {"", ERR_INVALID},
        {"ru-", ERR_INVALID},
        {"ru-*", ERR_INVALID},
        {"8", ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        enum language got = LANGUAGE_COUNT;
        int rc = choose(cases[i].list, LANGUAGE_RUSSIAN, &got);
        assert_int_equal(rc ? rc : (int)got, cases[i].expected);
        if (rc)
            assert_int_equal(got, LANGUAGE_COUNT); /* untouched */
    }
}

static void check_translate(enum language language, const char *line, const char *expected)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&b, "* OK NOOP completed\r\n");
    size_t from = b.n;
    buf_put_str(&b, line);
    language_translate(language, &b, from);
    assert_true(span_eq(span_skip(buf_span(&b), from), span_str(expected)));
}

static void test_translate(void **state)
{
    (void)state;
    const char *ready = "Martlet готов";
    assert_string_equal(language_text(LANGUAGE_RUSSIAN, "Martlet ready"), ready);
    assert_string_equal(language_text(LANGUAGE_ENGLISH, "Martlet ready"), "Martlet ready");
    assert_string_equal(language_text(LANGUAGE_RUSSIAN, "Martlet"), "Martlet");
    assert_string_equal(language_text(LANGUAGE_RUSSIAN, ""), "");
    assert_string_equal(language_namespace(LANGUAGE_RUSSIAN, SPAN("Shared/")), "Общие/");
    assert_null(language_namespace(LANGUAGE_RUSSIAN, SPAN_EMPTY));
    assert_null(language_namespace(LANGUAGE_ENGLISH, SPAN("Shared/")));
    check_translate(LANGUAGE_RUSSIAN, "* OK Martlet ready", "* OK Martlet готов");
    check_translate(LANGUAGE_RUSSIAN, "* BYE [X (1 2)] Martlet ready",
                    "* BYE [X (1 2)] Martlet готов");
    check_translate(LANGUAGE_DEFAULT, "* OK Martlet ready", "* OK Martlet ready");
    check_translate(LANGUAGE_RUSSIAN, "* LIST () NIL Shared/", "* LIST () NIL Shared/");
    check_translate(LANGUAGE_RUSSIAN, "* OK [UIDNEXT 1", "* OK [UIDNEXT 1");
    check_translate(LANGUAGE_RUSSIAN, "* OK ", "* OK ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table_is_sorted),
        cmocka_unit_test(test_choose),
        cmocka_unit_test(test_translate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
