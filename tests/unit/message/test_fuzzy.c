/* message/fuzzy.h: what is forgiven, in whatever chunks the text comes. */
#include "message/fuzzy.h"

#include "support/cmocka.h"

static unsigned score(const char *key, const char *text)
{
    struct fuzzy_key *k = fuzzy_key_new(span_str(key));
    assert_non_null(k);
    unsigned whole = fuzzy_score(k, span_str(text));
    for (size_t step = 1; step < 8; step++) {
        struct fuzzy_match m = {.letters = 0};
        for (struct span rest = span_str(text); rest.n; rest = span_skip(rest, step))
            fuzzy_match_feed(k, &m, span_head(rest, step));
        fuzzy_match_break(k, &m);
        assert_int_equal(fuzzy_match_score(k, &m), whole);
    }
    fuzzy_key_free(k);
    return whole;
}

static void words(void **state)
{
    (void)state;
    assert_int_equal(score("hello", "well, HELLO there"), 100);
    assert_int_equal(score("world hello", "Hello, cruel World!"), 100);
    assert_int_equal(score("hello", "goodbye"), 0);
    assert_int_equal(score("hello world", "hello"), 0);
    assert_int_equal(score("swim", "he likes swimming"), 90);
    assert_int_equal(score("work", "the network"), 75);
    assert_int_equal(score("it", "city"), 0); /* too short to be looked for within words */
    assert_int_equal(score("hello swim", "hello swimmer"), 95);
    assert_int_equal(score("2024", "in 2024."), 100);
}

static void letters(void **state)
{
    (void)state;
    assert_int_equal(score("uber", "Über"), 100);
    assert_int_equal(score("Über", "uber"), 100);
    assert_int_equal(score("strasse", "Straße"), 100);
    assert_int_equal(score("angstrom", "A\xcc\x8angstro\xcc\x88m"), 100); /* marks apart */
    assert_int_equal(score("ёлка", "ЕЛКА"), 100);
    assert_int_equal(score("привет", "ПРИВЕТ, мир"), 100);
    assert_int_equal(score("fish", "ﬁsh"), 100);
    assert_int_equal(score("hello", "he\xffllo hello\xff"), 100);
    assert_int_equal(score("hello", "he\xffllo"), 0);
}

static void errors(void **state)
{
    (void)state;
    assert_int_equal(score("Helo", "hello"), 42);       /* RFC 6203 section 4 */
    assert_int_equal(score("Helo", "help"), 42);        /* it, too */
    assert_int_equal(score("hlelo", "hello"), 70 - 23); /* swapped neighbours */
    assert_int_equal(score("helllo", "hello"), 50);     /* one too many */
    assert_int_equal(score("jello", "hello"), 70 - 23); /* one wrong */
    assert_int_equal(score("jelly", "hello"), 0);       /* two, and short */
    assert_int_equal(score("cat", "car"), 0);           /* nothing wrong in three letters */
    assert_true(score("recieved", "received") > score("recievd", "rceived"));
    assert_true(score("acommodation", "accommodaton") > 0); /* two, and long */
    assert_int_equal(score("acomodation", "accommodaton"), 0);
}

static void bounds(void **state)
{
    (void)state;
    assert_null(fuzzy_key_new(SPAN("")));
    assert_null(fuzzy_key_new(SPAN("!?. -")));
    assert_null(fuzzy_key_new(SPAN("a b c d e f g h i")));
    char many[3000];
    memset(many, 'x', sizeof(many) - 1);
    many[sizeof(many) - 1] = '\0';
    assert_int_equal(score(many, many), 100);
    assert_int_equal(score("xxxx", many), 90);
    assert_int_equal(score("yyyy", many), 0);
}

/* Against the plain definition: random words over few letters. */
static unsigned plain_distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned d[12][12];
    for (size_t i = 0; i <= n; i++)
        for (size_t j = 0; j <= m; j++) {
            d[i][j] = i == 0 ? (unsigned)j : j == 0 ? (unsigned)i : UINT32_MAX;
            if (i && j) {
                d[i][j] = MIN(d[i - 1][j - 1] + (a[i - 1] != b[j - 1]),
                              MIN(d[i - 1][j], d[i][j - 1]) + 1);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    d[i][j] = MIN(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    return d[n][m];
}

static void random_words(void **state)
{
    (void)state;
    uint64_t seed = 6203;
    for (int round = 0; round < 20000; round++) {
        char a[12] = "", b[12] = "";
        size_t n = 4 + (size_t)(seed >> 33) % 7, m = 1 + (size_t)(seed >> 40) % 10;
        for (size_t i = 0; i < n + m; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
            *(i < n ? &a[i] : &b[i - n]) = (char)('a' + (seed >> 60) % 3);
        }
        unsigned d = plain_distance(a, n, b, m), allowed = n <= 7 ? 1 : 2;
        unsigned got = score(a, b);
        if (d <= allowed || strstr(b, a))
            assert_true(got > 0);
        else
            assert_int_equal(got, 0);
    }
}

/* Octets that are no text, in chunks of every size. */
static void random_octets(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a",        "b",    "ab", "\xc3", "\xa9",
                                         "\xe2\x82", "\xac", " ",  "\xff", "ё"};
    uint64_t seed = 31;
    for (int round = 0; round < 20000; round++) {
        char text[64] = "";
        for (int i = 0; i < 12; i++) {
            seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
            snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s",
                     pieces[(seed >> 40) % ARRAY_LEN(pieces)]);
        }
        score("abab", text);
        score("aё b", text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),  cmocka_unit_test(letters),      cmocka_unit_test(errors),
        cmocka_unit_test(bounds), cmocka_unit_test(random_words), cmocka_unit_test(random_octets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
