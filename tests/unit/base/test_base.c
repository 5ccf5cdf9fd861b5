#include "support/cmocka.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/list.h"
#include "base/map.h"

static void test_span(void **state)
{
    (void)state;
    struct span rest = SPAN("a,b,,c"), f;
    int n = 0;
    while (span_split(&rest, ',', &f))
        n++;
    assert_int_equal(n, 4);
    assert_true(span_ieq(SPAN("FeTch"), SPAN("fETCH")));
    assert_false(span_ieq(SPAN("fetch"), SPAN("fetc")));
    assert_true(span_cmp(SPAN("ab"), SPAN("abc")) < 0);
    uint64_t v = 7;
    assert_true(span_to_u64(SPAN("18446744073709551615"), UINT64_MAX, &v));
    assert_true(v == UINT64_MAX);
    assert_false(span_to_u64(SPAN("18446744073709551616"), UINT64_MAX, &v));
    assert_false(span_to_u64(SPAN("4294967296"), UINT32_MAX, &v));
    assert_false(span_to_u64(SPAN(""), UINT64_MAX, &v));
    assert_false(span_to_u64(SPAN("-1"), UINT64_MAX, &v));
}

static void test_buf_bound(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(10);
    buf_put_lit(&b, "12345");
    buf_put_u64(&b, 1234567);
    assert_false(buf_ok(&b));
    assert_int_equal(b.n, 5);
    buf_reset(&b);
    buf_printf(&b, "%d-%s", 42, "x");
    assert_true(buf_ok(&b));
    assert_string_equal(b.p, "42-x");
    buf_consume(&b, 3);
    assert_string_equal(b.p, "x");
}

static void test_arena_budget(void **state)
{
    (void)state;
    autoarena a = ARENA_INIT(4096);
    assert_non_null(arena_alloc(&a, 4000));
    assert_null(arena_alloc(&a, 200));
    assert_true(a.spent);
    assert_null(arena_array(&a, SIZE_MAX / 2, 4));
}

static void test_map(void **state)
{
    (void)state;
    struct map m = MAP_INIT;
    static int values[5000];
    for (uint64_t i = 0; i < 5000; i++)
        assert_null(map_put(&m, map_u64_key(&i), &values[i]));
    for (uint64_t i = 0; i < 5000; i += 2)
        assert_ptr_equal(map_remove(&m, map_u64_key(&i)), &values[i]);
    for (uint64_t i = 0; i < 5000; i++)
        assert_ptr_equal(map_get(&m, map_u64_key(&i)), i % 2 ? &values[i] : NULL);
    assert_int_equal(m.count, 2500);
    size_t pos = 0, n = 0;
    struct span key;
    void *value;
    while (map_next(&m, &pos, &key, &value))
        n++;
    assert_int_equal(n, 2500);
    map_done(&m);
}

static void test_bytes(void **state)
{
    (void)state;
    autobuf b = BUF_INIT(1000);
    put_u8(&b, 200);
    put_u32(&b, 0xdeadbeef);
    put_varint(&b, UINT64_MAX);
    put_varint(&b, 127);
    put_blob(&b, SPAN("hello"));
    struct reader r = reader_make(buf_span(&b));
    assert_int_equal(read_u8(&r), 200);
    assert_true(read_u32(&r) == 0xdeadbeef);
    assert_true(read_varint(&r) == UINT64_MAX);
    assert_int_equal(read_varint(&r), 127);
    assert_true(span_eq(read_blob(&r), SPAN("hello")));
    assert_false(r.bad);
    read_u8(&r);
    assert_true(r.bad);
    struct reader bad = reader_make(SPAN("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"));
    read_varint(&bad);
    assert_true(bad.bad);
}

static void test_crc32c(void **state)
{
    (void)state;
    /* RFC 3720, appendix B.4: 32 bytes of zeros. */
    char zeros[32] = {0};
    assert_true(crc32c(0, zeros, sizeof(zeros)) == 0x8a9136aa);
    assert_true(crc32c(crc32c(0, "1234", 4), "56789", 5) == 0xe3069283);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span),         cmocka_unit_test(test_buf_bound),
        cmocka_unit_test(test_arena_budget), cmocka_unit_test(test_map),
        cmocka_unit_test(test_bytes),        cmocka_unit_test(test_crc32c),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
