#include "support/cmocka.h"
#include "wire/seqset.h"

static void check_parse(const char *text, const char *expect)
{
    autoarena a = ARENA_INIT(1 << 16);
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    struct seqset set;
    assert_int_equal(seqset_parse(span_str(text), 100, &a, &set), 0);
    buf_put_str(&b, "");
    seqset_write(&b, &set);
    assert_string_equal(b.p, expect);
}

static void check_bad(const char *text)
{
    autoarena a = ARENA_INIT(1 << 16);
    struct seqset set;
    if (seqset_parse(span_str(text), 100, &a, &set) != ERR_INVALID)
        fail_msg("\"%s\" accepted", text);
}

static void parse(void **state)
{
    (void)state;
    check_parse("1", "1");
    check_parse("4294967295", "4294967295");
    check_parse("2:4", "2:4");
    check_parse("4:2", "2:4");
    check_parse("2,4:7,9,12:*", "2,4:7,9,12:*"); /* RFC 9051 section 9 */
    check_parse("*:4,5:7", "5:7,4:*");
    check_parse("*", "*");
    check_parse("*:*", "*");
    check_parse("*,7:*,9:*", "7:*");
    check_parse("$", "$");
    check_parse("$,5,1:*", "5,1:*,$");
    check_parse("9,7,8,1,3:5,2", "1:5,7:9");
    check_parse("1:10,2:3,5:20,21", "1:21");
    check_parse("5,5,5:5", "5");
    check_parse("4294967294:4294967295,1,4294967295:4294967295", "1,4294967294:4294967295");
    static const char *const bad[] = {
        "",   "0",     "1:0", "01",  ",",  "1,",  ",1", "1,,2",       "1:",
        ":1", "1:2:3", "a",   "1 ",  " 1", "-1",  "+1", "4294967296", "99999999999999999999",
        "**", "1*",    "$1",  "1:$", "*:", "1.5",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_bad(bad[i]);
}

static void limits(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(64);
    struct seqset set;
    assert_int_equal(seqset_parse(SPAN("1,2,3"), 2, &a, &set), ERR_LIMIT);
    assert_false(a.spent);
    assert_int_equal(seqset_parse(SPAN("1,2,3,4,5,6,7,8,9"), 100, &a, &set), ERR_LIMIT);
    assert_true(a.spent);
}

static void check_resolve(const char *text, uint32_t max, const char *expect, uint64_t count)
{
    autoarena a = ARENA_INIT(1 << 16);
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    struct seqset set, got;
    assert_int_equal(seqset_parse(span_str(text), 100, &a, &set), 0);
    assert_int_equal(seqset_resolve(&set, max, &a, &got), 0);
    assert_int_equal(got.star, 0);
    assert_false(got.saved);
    buf_put_str(&b, "");
    seqset_write(&b, &got);
    assert_string_equal(b.p, expect);
    assert_true(seqset_count(&got) == count);
}

static void resolve(void **state)
{
    (void)state;
    check_resolve("2,4:7,9,12:*", 15, "2,4:7,9,12:15", 10); /* RFC 9051 section 9 */
    check_resolve("*:4,5:7", 10, "4:10", 7);
    check_resolve("3291:*", 100, "100", 1);
    check_resolve("*", 1, "1", 1);
    check_resolve("1:*", 4294967295, "1:4294967295", 4294967295);
    check_resolve("*", 4294967295, "4294967295", 1);
    check_resolve("1:5,9:20,30", 12, "1:5,9:12", 9);
    check_resolve("1:5,9:20,30,14:*", 12, "1:5,9:12", 9);
    check_resolve("1:5,9:20,7:*", 12, "1:5,7:12", 11);
    check_resolve("1:5,6:*", 12, "1:12", 12);
    check_resolve("50", 12, "", 0);
    check_resolve("1:*,$", 0, "", 0);
    check_resolve("1:3", 3, "1:3", 3);
    check_resolve("$", 3, "", 0);
    check_resolve("3,11:*", 12, "3,11:12", 3);
}

static void highest(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(1 << 16);
    struct seqset set;
    assert_int_equal(seqset_parse(SPAN("2,17:*,9:3"), 100, &a, &set), 0);
    assert_int_equal(set.highest, 17);
    assert_int_equal(set.star, 17);
    assert_int_equal(seqset_parse(SPAN("*"), 100, &a, &set), 0);
    assert_int_equal(set.highest, 0);
}

static void contains(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(1 << 16);
    struct seqset set, copy;
    assert_int_equal(seqset_parse(SPAN("2:4,8,10:4294967295"), 100, &a, &set), 0);
    assert_int_equal(seqset_copy(&set, &a, &copy), 0);
    assert_ptr_not_equal(copy.r, set.r);
    for (uint32_t v = 0; v < 20; v++)
        assert_int_equal(seqset_contains(&copy, v), (v >= 2 && v <= 4) || v == 8 || v >= 10);
    assert_true(seqset_contains(&set, UINT32_MAX));
    assert_int_equal(seqset_find(&set, 5), 1);
    set = SEQSET_EMPTY;
    assert_false(seqset_contains(&set, 1));
    assert_int_equal(seqset_copy(&set, &a, &copy), 0);
}

static void iterate(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(1 << 16);
    struct seqset set;
    static const uint32_t expect[] = {1, 2, 3, 7, 4294967294u, 4294967295u};
    uint32_t v;
    size_t n = 0;
    assert_int_equal(seqset_parse(SPAN("7,1:3,4294967294:4294967295"), 100, &a, &set), 0);
    for (struct seqset_iter it = {&set, 0, 0}; seqset_next(&it, &v); n++)
        assert_int_equal(v, expect[n]);
    assert_int_equal(n, ARRAY_LEN(expect));
}

/* Against a plain array of flags. */
static void against_a_model(void **state)
{
    (void)state;
    enum { MAX_NUMBER = 64 };
    uint32_t seed = 12345;
    for (int round = 0; round < 3000; round++) {
        bool x[MAX_NUMBER + 2] = {0}, y[MAX_NUMBER + 2] = {0};
        autoarena a = ARENA_INIT(1 << 16);
        autoseqbuild bx = SEQBUILD_INIT(1000);
        autoseqbuild by = SEQBUILD_INIT(1000);
        for (int i = 0; i < 12; i++) {
            seed = seed * 1664525 + 1013904223;
            uint32_t lo = seed >> 8 & 63, hi = lo + (seed >> 20 & 7);
            bool *model = i % 2 ? y : x;
            seqbuild_add_range(i % 2 ? &by : &bx, lo, MIN(hi, (uint32_t)MAX_NUMBER));
            for (uint32_t v = lo; v <= hi && v <= MAX_NUMBER; v++)
                model[v] = v > 0;
        }
        struct seqset sx = seqbuild_set(&bx), sy = seqbuild_set(&by), both;
        assert_int_equal(seqset_intersect(&sx, &sy, &a, &both), 0);
        uint64_t count = 0;
        for (uint32_t v = 0; v <= MAX_NUMBER + 1; v++) {
            assert_int_equal(seqset_contains(&sx, v), x[v]);
            assert_int_equal(seqset_contains(&both, v), x[v] && y[v]);
            count += x[v];
        }
        assert_true(seqset_count(&sx) == count);
        for (size_t i = 1; i < sx.n; i++)
            assert_true(sx.r[i].lo > sx.r[i - 1].hi + 1);
    }
}

static void check_build(const struct seqbuild *b, const char *expect)
{
    autobuf out = BUF_INIT(BUF_UNLIMITED);
    buf_put_str(&out, "");
    seqbuild_write(&out, b);
    assert_string_equal(out.p, expect);
}

static void build(void **state)
{
    (void)state;
    autoseqbuild b = SEQBUILD_INIT(3);
    seqbuild_add(&b, 0);
    check_build(&b, "");
    seqbuild_add(&b, 1);
    seqbuild_add(&b, 2);
    seqbuild_add(&b, 3);
    seqbuild_add(&b, 7);
    seqbuild_add_range(&b, 9, 12);
    check_build(&b, "1:3,7,9:12");
    seqbuild_add(&b, 20);
    assert_true(b.overflow);
    check_build(&b, "1:3,7,9:12");
    seqbuild_reset(&b);
    assert_false(b.overflow);
    seqbuild_add(&b, UINT32_MAX);
    seqbuild_add(&b, UINT32_MAX - 1);
    seqbuild_add_range(&b, 5, 4);
    check_build(&b, "4294967294:4294967295");
    seqbuild_add_range(&b, 1, UINT32_MAX);
    check_build(&b, "1:4294967295");
}

static void build_in_order(void **state)
{
    (void)state;
    autoseqbuild b = SEQBUILD_INIT(100);
    static const uint32_t v[] = {5, 6, 7, 3, 4, 9, 8, 4294967295u, 1, 0, 1};
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        seqbuild_push(&b, v[i]);
    check_build(&b, "5:7,3:4,9,8,4294967295,1,1");
    seqbuild_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse),           cmocka_unit_test(limits),
        cmocka_unit_test(resolve),         cmocka_unit_test(highest),
        cmocka_unit_test(contains),        cmocka_unit_test(iterate),
        cmocka_unit_test(against_a_model), cmocka_unit_test(build),
        cmocka_unit_test(build_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
