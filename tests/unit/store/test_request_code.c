/* A request and its result on the way to another process: everything arrives, cut or altered bytes
 * are refused. TEST_SEEDS: a directory into which seeds for the fuzzer are written. */
#include <stdio.h>
#include <stdlib.h>

#include "store/request_code.h"
#include "support/cmocka.h"

static void write_seed(const char *name, char kind, struct span code)
{
    const char *dir = getenv("TEST_SEEDS");
    char path[512];
    if (!dir)
        return;
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(&kind, 1, 1, f);
    fwrite(code.p, 1, code.n, f);
    fclose(f);
}

static const unsigned char DELIVERY[16] = "delivery-------", TRANSFER[16] = "transfer-------";
static const struct span KEYWORDS[] = {{"$Forwarded", 10}, {"x", 1}};

static void fill(struct request *r, struct append_message messages[2])
{
    request_init(r, REQUEST_APPEND, NULL, NULL);
    r->mailbox = 7;
    r->name = SPAN("INBOX");
    r->new_name = SPAN("Other/Name");
    r->special_use = USE_SENT;
    r->delivery_id = DELIVERY;
    r->delivery_window = 99;
    ranges_add(&r->uids, 3, 9);
    ranges_add(&r->uids, 4000000000u, UINT32_MAX);
    r->mode = STORE_REPLACE;
    r->flags = FLAG_SEEN | FLAG_DRAFT;
    r->keywords = KEYWORDS;
    r->keyword_count = 2;
    r->unchanged_since = 77;
    r->view_modseq = 1ULL << 62;
    r->origin = 1ULL << 63;
    r->message_id = 12345678901ULL;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        r->limits[i] = 1000 + i;
    r->derived = SPAN("record");
    r->transfer_id = TRANSFER;
    r->transfer_done = true;
    r->object_id = TRANSFER;
    messages[0] = (struct append_message){.flags = FLAG_FLAGGED,
                                          .keywords = KEYWORDS + 1,
                                          .keyword_count = 1,
                                          .internal_date = {-5, -720}};
    messages[1] = (struct append_message){.internal_date = {1234567890123LL, 840}};
    r->messages = messages;
    r->message_count = 2;
}

static const struct request_part PARTS[2] = {{0, 0, 100}, {3, 1ULL << 40, 1ULL << 33}};

static void everything_arrives(void **state)
{
    (void)state;
    struct request r, got;
    struct append_message messages[2];
    struct request_part *parts;
    autoarena arena = ARENA_INIT(1 << 16);
    autobuf code = BUF_INIT(BUF_UNLIMITED), again = BUF_INIT(BUF_UNLIMITED);
    fill(&r, messages);
    request_encode(&code, &r, PARTS);
    write_seed("append", 1, buf_span(&code));
    request_init(&got, REQUEST_STORE, NULL, NULL);
    assert_int_equal(request_decode(buf_span(&code), &arena, &got, &parts), 0);
    assert_int_equal(got.kind, REQUEST_APPEND);
    assert_int_equal(got.mailbox, 7);
    assert_true(span_eq(got.name, r.name) && span_eq(got.new_name, r.new_name));
    assert_int_equal(got.special_use, USE_SENT);
    assert_memory_equal(got.delivery_id, DELIVERY, 16);
    assert_memory_equal(got.object_id, TRANSFER, 16);
    assert_memory_equal(got.transfer_id, TRANSFER, 16);
    assert_true(got.transfer_done);
    assert_memory_equal(got.limits, r.limits, sizeof(r.limits));
    assert_int_equal(got.delivery_window, 99);
    assert_int_equal(got.uids.n, 2);
    assert_int_equal(got.uids.v[1].hi, UINT32_MAX);
    assert_int_equal(got.mode, STORE_REPLACE);
    assert_int_equal(got.flags, r.flags);
    assert_int_equal(got.keyword_count, 2);
    assert_true(span_eq(got.keywords[0], KEYWORDS[0]));
    assert_true(got.unchanged_since == 77 && got.view_modseq == 1ULL << 62);
    assert_true(got.origin == 1ULL << 63);
    assert_true(got.message_id == 12345678901ULL && span_eq(got.derived, r.derived));
    assert_int_equal(got.message_count, 2);
    assert_int_equal(got.messages[0].internal_date.seconds, -5);
    assert_int_equal(got.messages[0].internal_date.zone_minutes, -720);
    assert_int_equal(got.messages[0].keyword_count, 1);
    assert_true(got.messages[1].internal_date.seconds == 1234567890123LL);
    assert_true(parts[1].file == 3 && parts[1].offset == 1ULL << 40 && parts[1].size == 1ULL << 33);
    request_encode(&again, &got, parts);
    assert_true(span_eq(buf_span(&code), buf_span(&again)));
    request_code_done(&got);
    ranges_done(&r.uids);
}

static void small_ones(void **state)
{
    (void)state;
    for (unsigned kind = 0; kind < REQUEST_KIND_COUNT; kind++) {
        struct request r, got;
        struct request_part *parts;
        autoarena arena = ARENA_INIT(1 << 16);
        autobuf code = BUF_INIT(BUF_UNLIMITED);
        request_init(&r, kind, NULL, NULL);
        request_encode(&code, &r, NULL);
        request_init(&got, REQUEST_STORE, NULL, NULL);
        assert_int_equal(request_decode(buf_span(&code), &arena, &got, &parts), 0);
        assert_int_equal(got.kind, kind);
        assert_null(got.delivery_id);
        assert_null(got.object_id);
        assert_null(got.messages);
        assert_true(got.unchanged_since == UINT64_MAX);
        if (kind == REQUEST_STORE)
            write_seed("empty", 1, buf_span(&code));
    }
}

static void cut_or_altered(void **state)
{
    (void)state;
    struct request r;
    struct append_message messages[2];
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    fill(&r, messages);
    request_encode(&code, &r, PARTS);
    for (size_t n = 0; n < code.n; n++) {
        struct request got;
        struct request_part *parts;
        autoarena arena = ARENA_INIT(1 << 16);
        request_init(&got, REQUEST_STORE, NULL, NULL);
        assert_int_not_equal(request_decode(span_head(buf_span(&code), n), &arena, &got, &parts),
                             0);
    }
    for (size_t i = 0; i < code.n * 8; i++) {
        struct request got;
        struct request_part *parts;
        autoarena arena = ARENA_INIT(1 << 16);
        code.p[i / 8] = (char)(code.p[i / 8] ^ (1 << i % 8));
        request_init(&got, REQUEST_STORE, NULL, NULL);
        if (request_decode(buf_span(&code), &arena, &got, &parts) == 0)
            request_code_done(&got);
        code.p[i / 8] = (char)(code.p[i / 8] ^ (1 << i % 8));
    }
    struct request got;
    struct request_part *parts;
    autoarena arena = ARENA_INIT(64);
    request_init(&got, REQUEST_STORE, NULL, NULL);
    assert_int_equal(request_decode(buf_span(&code), &arena, &got, &parts), ERR_LIMIT);
    code.p[0] = 9;
    assert_int_equal(request_decode(buf_span(&code), &arena, &got, &parts), ERR_VERSION);
    ranges_done(&r.uids);
}

static void results(void **state)
{
    (void)state;
    struct request r, got;
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    request_init(&r, REQUEST_STORE, NULL, NULL);
    r.result = (struct request_result){.error = ERR_LIMIT,
                                       .duplicate = true,
                                       .modseq = 5,
                                       .mailbox = 6,
                                       .uidvalidity = 7,
                                       .first_uid = 8,
                                       .count = 9};
    ranges_add(&r.result.uids, 1, 2);
    ranges_add(&r.result.missing, 3, 4);
    ranges_add(&r.result.modified, 5, 6);
    ranges_add(&r.result.raced, 7, 8);
    request_result_encode(&code, &r.result);
    write_seed("result", 0, buf_span(&code));
    request_init(&got, REQUEST_STORE, NULL, NULL);
    assert_int_equal(request_result_decode(buf_span(&code), &got.result), 0);
    assert_int_equal(got.result.error, ERR_LIMIT);
    assert_true(got.result.duplicate);
    assert_int_equal(got.result.modseq, 5);
    assert_int_equal(got.result.mailbox, 6);
    assert_int_equal(got.result.uidvalidity, 7);
    assert_int_equal(got.result.first_uid, 8);
    assert_int_equal(got.result.count, 9);
    assert_true(ranges_has(&got.result.uids, 2) && ranges_has(&got.result.missing, 4));
    assert_true(ranges_has(&got.result.modified, 6) && ranges_has(&got.result.raced, 8));
    for (size_t n = 0; n < code.n; n++) {
        struct request_result none = {0};
        assert_int_equal(request_result_decode(span_head(buf_span(&code), n), &none), ERR_INVALID);
    }
    request_result_done(&got);
    request_result_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everything_arrives),
        cmocka_unit_test(small_ones),
        cmocka_unit_test(cut_or_altered),
        cmocka_unit_test(results),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
