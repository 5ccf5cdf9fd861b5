/* The codec of operations: every kind there and back; whatever else the bytes are, an error. */
#include "support/cmocka.h"

#include "store/ops.h"

static const unsigned char KEYWORDS[] = {1, 0, 7, 0, 0, 32}; /* 1, 7, 8192 */

static struct range RANGES[] = {{1, 1}, {5, 900}, {70000, 0xfffffffe}};
static const struct ranges UIDS = {RANGES, 3, 3};

/* Macros, as clang takes no constant object in a constant initializer. */
#define BODY                                                                                       \
    {                                                                                              \
        .payload = {.offset = 3, .length = 5000, .crc = 0x12345678 }                               \
    }
#define EXTERNAL                                                                                   \
    {                                                                                              \
        .external = true, .segment = 77,                                                           \
        .payload = {.offset = 64,                                                                  \
                    .length = INDEX_LOCATION_MAX,                                                  \
                    .crc = 1,                                                                      \
                    .has_hash = true,                                                              \
                    .hash = {1, 2, 3}},                                                            \
    }

static const struct op SAMPLES[] = {
    {.kind = OP_KEYWORD, .keyword = {8192, {"$Junk", 5}}},
    {.kind = OP_MAILBOX_CREATE,
     .mailbox_create = {0xffffffff, INDEX_NUMBER_MAX, 4, USE_SENT, {9, 8, 7}, {"Sent/a", 6}}},
    {.kind = OP_MAILBOX_DELETE, .mailbox_delete = {3, 4}},
    {.kind = OP_MAILBOX_RENAME, .mailbox_rename = {3, 4, {"x", 1}}},
    {.kind = OP_SPECIAL_USE, .special_use = {3, 4, 0}},
    {.kind = OP_SUBSCRIBE, .subscribe = {4, true, {"not there", 9}}},
    {.kind = OP_APPEND,
     .append = {.mailbox = 1,
                .uid = 2,
                .message_id = 3,
                .modseq = 4,
                .flags = FLAG_ALL,
                .keyword_count = 3,
                .keywords = KEYWORDS,
                .internal_date = {-5, -720},
                .save_date = 1700000000,
                .size = 6,
                .body = BODY,
                .created_modseq = 4}},
    {.kind = OP_IMPORT,
     .append = {.mailbox = 1,
                .uid = 2,
                .message_id = 3,
                .modseq = 4,
                .internal_date = {5, 840},
                .save_date = -1,
                .size = 6,
                .body = EXTERNAL,
                .uidvalidity = 9,
                .created_modseq = 2}},
    {.kind = OP_FLAGS,
     .flags = {1, 2, FLAG_SEEN, FLAG_DRAFT, OP_KEYWORDS_REPLACE, 3, KEYWORDS, &UIDS}},
    {.kind = OP_COPY, .copy = {1, 2, 3, 4, -5, &UIDS}},
    {.kind = OP_EXPUNGE, .expunge = {1, 2, &UIDS}},
    {.kind = OP_RECENT, .recent = {1, 0}},
    {.kind = OP_RELOCATE, .relocate = {1, BODY}},
    {.kind = OP_BASE_BEGIN, .base_begin = {1, 2, 3, 4}},
    {.kind = OP_BASE_MAILBOX,
     .base_mailbox = {1, 2, 3, 4, 5, 6, 7, 8, {1}, {"name", 4}, {(const char *)KEYWORDS, 6}}},
    {.kind = OP_BASE_MESSAGE, .base_message = {1, EXTERNAL}},
    {.kind = OP_BASE_ROW, .base_row = {1, {2, 3, 3, KEYWORDS, 5, 6, 7, 8, {9, 10}, 11}}},
    {.kind = OP_BASE_EXPUNGED, .base_expunged = {1, 2, 1ULL << 60, &UIDS}},
    {.kind = OP_BASE_END, .base_end = {1, 1ULL << 63}},
    {.kind = OP_BASE_SEGMENT, .base_segment = {1, 2, 3}},
    {.kind = OP_SITE_NAME, .site_name = {{{1, 2}}, {"ann", 3}}},
    {.kind = OP_SITE_GONE, .site_name = {{{0}}, {"ann", 3}}},
    {.kind = OP_SITE_MEMBER, .site_member = {true, {"staff", 5}, {"ann", 3}}},
    {.kind = OP_SITE_MEMBER, .site_member = {false, {"s", 1}, {"bob", 3}}},
    {.kind = OP_SITE_GRANT, .site_grant = {{"ann", 3}, {"group:staff", 11}}},
    {.kind = OP_TRANSFER, .transfer = {.id = {1, 255}}},
    {.kind = OP_ACL, .acl = {1, 7, {"anyone", 6}, 3}},
    {.kind = OP_ACL, .acl = {4000000, 70000, {"-group:staff", 12}, 0}},
    {.kind = OP_SEEN, .seen = {4000000, 70000, true, {"bob", 3}, &UIDS}},
    {.kind = OP_SEEN, .seen = {1, 0, false, {"ann", 3}, &UIDS}},
    {.kind = OP_URLAUTH_KEY},
    {.kind = OP_URLAUTH_KEY, .urlauth_key = {true, {1, 255}, {2, 0, 3}}},
    {.kind = OP_DELIVERY, .delivery = {{1, 2, 255}, 4000000000}},
    {.kind = OP_METADATA,
     .metadata = {3, {"ann", 3}, {"/private/comment", 16}, {"a\0b", 3}, 9, false}},
    {.kind = OP_METADATA, .metadata = {0, {0}, {"/shared/x", 9}, {0}, 9, true}},
    {.kind = OP_QUOTA, .quota = {0, true, {QUOTA_DEFAULT, QUOTA_NONE, 0, 1ULL << 40}, {0}}},
    {.kind = OP_QUOTA, .quota = {7, false, {1, 2, 3, 4}, {"root", 4}}},
    {.kind = OP_QUOTA_ROOT, .quota_root = {3, 7}},
    {.kind = OP_BASE_SETTLED, .base_settled = {70000}},
};

/* Encodes what was decoded: equal bytes mean that nothing was lost. */
static void test_there_and_back(void **state)
{
    autobuf all = BUF_INIT(1 << 20);
    struct op_reader r;
    struct op op;
    struct err err = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SAMPLES); i++)
        op_put(&all, &SAMPLES[i]);
    assert_int_equal(ops_count(buf_span(&all)), ARRAY_LEN(SAMPLES));
    autobuf again = BUF_INIT(1 << 20);
    op_reader_init(&r, buf_span(&all));
    for (size_t i = 0; i < ARRAY_LEN(SAMPLES); i++) {
        if (op_next(&r, &op, &err))
            fail_msg("%zu: %s", i, err.text);
        assert_int_equal(op.kind, SAMPLES[i].kind);
        op_put(&again, &op);
    }
    assert_int_equal(op_next(&r, &op, &err), ERR_NOT_FOUND);
    op_reader_done(&r);
    assert_true(span_eq(buf_span(&all), buf_span(&again)));
}

static void test_fields(void **state)
{
    autobuf b = BUF_INIT(1 << 16);
    struct op_reader r;
    struct op op;

    (void)state;
    op_put(&b, &SAMPLES[6]);
    op_put(&b, &SAMPLES[8]);
    op_reader_init(&r, buf_span(&b));
    assert_int_equal(op_next(&r, &op, NULL), 0);
    assert_int_equal(op.append.internal_date.seconds, -5);
    assert_int_equal(op.append.internal_date.zone_minutes, -720);
    assert_int_equal(op.append.keyword_count, 3);
    assert_int_equal(load_le16(op.append.keywords + 4), 8192);
    assert_int_equal(op.append.body.payload.length, 5000);
    assert_int_equal(op.append.created_modseq, 4);
    assert_int_equal(op_next(&r, &op, NULL), 0);
    assert_int_equal(op.flags.keyword_mode, OP_KEYWORDS_REPLACE);
    assert_int_equal(op.flags.uids->n, 3);
    assert_int_equal(op.flags.uids->v[2].hi, 0xfffffffe);
    op_reader_done(&r);
}

static int decode_all(struct span ops)
{
    struct op_reader r;
    struct op op;
    int rc;

    op_reader_init(&r, ops);
    while ((rc = op_next(&r, &op, NULL)) == 0)
        ;
    op_reader_done(&r);
    return rc;
}

/* The bytes in a block of their own size, so that a sanitizer sees the first one too many. */
static int decode_copy(struct span ops)
{
    char *copy = xmalloc(ops.n ? ops.n : 1);
    int rc;

    memcpy(copy, ops.p, ops.n);
    rc = decode_all(span_make(copy, ops.n));
    free(copy);
    return rc;
}

static void test_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(SAMPLES); i++) {
        autobuf b = BUF_INIT(1 << 16);

        op_put(&b, &SAMPLES[i]);
        for (size_t n = 1; n < b.n; n++) {
            assert_int_equal(decode_copy(span_make(b.p, n)), ERR_CORRUPT);
            if (n >= 6) { /* also where the length agrees */
                autobuf c = BUF_INIT(1 << 16);

                buf_put(&c, b.p, n);
                store_le32(c.p + 2, (uint32_t)(n - 6));
                assert_int_equal(decode_copy(buf_span(&c)), ERR_CORRUPT);
            }
        }
        put_u8(&b, 0);
        store_le32(b.p + 2, (uint32_t)(b.n - 6));
        assert_int_equal(decode_copy(buf_span(&b)), ERR_CORRUPT); /* a byte too many */
    }
}

static void test_changed_bytes(void **state)
{
    uint64_t seed = 1;
    unsigned refused = 0;

    (void)state;
    for (unsigned step = 0; step < 60000; step++) {
        autobuf b = BUF_INIT(1 << 16);

        op_put(&b, &SAMPLES[step % ARRAY_LEN(SAMPLES)]);
        for (unsigned k = 0; k < 1 + step % 3; k++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            b.p[(seed >> 33) % b.n] = (char)(seed >> 20);
        }
        int rc = decode_copy(buf_span(&b));

        assert_true(rc == ERR_NOT_FOUND || rc == ERR_CORRUPT || rc == ERR_VERSION);
        refused += rc != ERR_NOT_FOUND;
    }
    assert_true(refused > 10000);
}

static void expect_refused(struct op op)
{
    autobuf b = BUF_INIT(1 << 16);

    op_put(&b, &op);
    assert_int_equal(decode_copy(buf_span(&b)), ERR_CORRUPT);
}

static void test_impossible_values(void **state)
{
    struct op op = SAMPLES[6];
    static const unsigned char descending[] = {7, 0, 1, 0}, zero[] = {0, 0};
    struct range from_zero = {0, 3};
    struct ranges bad = {&from_zero, 1, 1}, none = RANGES_INIT;

    (void)state;
    op.append.modseq = INDEX_NUMBER_MAX + 1;
    expect_refused(op);
    op = SAMPLES[6];
    op.append.uid = 0;
    expect_refused(op);
    op.append.uid = 1;
    op.append.keywords = descending;
    op.append.keyword_count = 2;
    expect_refused(op);
    op.append.keywords = zero;
    op.append.keyword_count = 1;
    expect_refused(op);
    op = SAMPLES[6];
    op.append.body.payload.length = INDEX_LOCATION_MAX + 1;
    expect_refused(op);
    op = SAMPLES[10];
    op.expunge.uids = &bad;
    expect_refused(op);
    op.expunge.uids = &none;
    expect_refused(op);
    expect_refused((struct op){.kind = OP_KEYWORD, .keyword = {8193, {"k", 1}}});
    expect_refused((struct op){.kind = OP_KEYWORD, .keyword = {1, {NULL, 0}}});
}

static void test_unknown_kinds(void **state)
{
    autobuf b = BUF_INIT(1 << 16);
    struct op_reader r;
    struct op op;

    (void)state;
    buf_put(&b,
            "\xc8\x09\x03\x00\x00\x00"
            "abc",
            9); /* optional: skipped */
    op_put(&b, &SAMPLES[2]);
    op_reader_init(&r, buf_span(&b));
    assert_int_equal(op_next(&r, &op, NULL), 0);
    assert_int_equal(op.kind, 200);
    assert_int_equal(op_next(&r, &op, NULL), 0);
    assert_int_equal(op.kind, OP_MAILBOX_DELETE);
    op_reader_done(&r);
    b.p[0] = 100;
    assert_int_equal(decode_all(buf_span(&b)), ERR_VERSION);
    buf_reset(&b);
    op_put(&b, &SAMPLES[2]);
    b.p[1] = 2; /* a later version of a known one */
    assert_int_equal(decode_all(buf_span(&b)), ERR_VERSION);
    assert_int_equal(ops_count(span_make(b.p, b.n - 1)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_and_back),    cmocka_unit_test(test_fields),
        cmocka_unit_test(test_cut_short),         cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_impossible_values), cmocka_unit_test(test_unknown_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
