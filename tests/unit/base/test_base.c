#include "support/cmocka.h"

#include "base/arena.h"
#include "base/bytes.h"
#include "base/crc32c.h"
#include "base/list.h"
#include "base/map.h"
#include "base/ranges.h"

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

/* Every operation against a plain array of membership, at random. */
static void test_ranges(void **state)
{
    (void)state;
    enum { N = 64 };
    bool a[N] = {0}, b[N] = {0};
    autoranges ra = RANGES_INIT;
    autoranges rb = RANGES_INIT;
    uint32_t seed = 12345;
    for (int step = 0; step < 20000; step++) {
        seed = seed * 1664525 + 1013904223;
        uint32_t lo = (seed >> 8) % N, hi = lo + (seed >> 16) % (N - lo), op = (seed >> 28) % 6;
        if (op == 4)
            ranges_intersect(&ra, &rb);
        else if (op == 5)
            ranges_subtract(&ra, &rb);
        else if (op == 1)
            ranges_remove(&ra, lo, hi);
        else
            ranges_add(op == 2 ? &rb : &ra, lo, hi);
        if (op == 3)
            ranges_remove(&rb, lo, hi);
        uint64_t count = 0;
        for (uint32_t i = 0; i < N; i++) {
            bool in = i >= lo && i <= hi;
            if (op == 4)
                a[i] = a[i] && b[i];
            else if (op == 5)
                a[i] = a[i] && !b[i];
            else if (op == 1)
                a[i] = a[i] && !in;
            else if (op == 2)
                b[i] = b[i] || in;
            else
                a[i] = a[i] || in;
            if (op == 3)
                b[i] = b[i] && !in;
            count += a[i];
            assert_int_equal(ranges_has(&ra, i), a[i]);
            assert_int_equal(ranges_count_upto(&ra, i), count);
        }
        for (size_t i = 1; i < ra.n; i++)
            assert_true(ra.v[i].lo > ra.v[i - 1].hi + 1);
        autobuf enc = BUF_INIT(1000);
        ranges_encode(&enc, &ra);
        struct reader r = reader_make(buf_span(&enc));
        autoranges back = RANGES_INIT;
        assert_true(ranges_decode(&r, &back));
        assert_int_equal(back.n, ra.n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span),         cmocka_unit_test(test_buf_bound),
        cmocka_unit_test(test_arena_budget), cmocka_unit_test(test_map),
        cmocka_unit_test(test_bytes),        cmocka_unit_test(test_crc32c),
        cmocka_unit_test(test_ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
