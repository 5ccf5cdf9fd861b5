/* base/metrics.h: the table, pages in memory shared between processes, buckets. */
#include "base/metrics_table.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "support/cmocka.h"

static uint64_t load(_Atomic uint64_t *page, unsigned slot)
{
    return atomic_load_explicit(&page[slot], memory_order_relaxed);
}

/* Every slot belongs to exactly one row, names are distinct and in the form Prometheus asks for. */
static void test_table(void **state)
{
    (void)state;
    unsigned next = METRIC_LAYOUT + 1;
    for (unsigned i = 0; i < metric_row_count; i++) {
        const struct metric_row *r = &metric_rows[i];
        assert_int_equal(r->first, next);
        next += r->labels[0].count * r->labels[1].count * r->width;
        for (const char *p = r->name; *p; p++)
            assert_true((*p >= 'a' && *p <= 'z') || *p == '_');
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(metric_rows[k].name, r->name);
        assert_int_equal(r->help[strlen(r->help) - 1], '.');
        size_t n = strlen(r->name);
        assert_true(n < 6 || strcmp(r->name + n - 6, "_total") != 0);
        if (r->unit == METRIC_UNIT_SECONDS)
            assert_string_equal(r->name + n - 8, "_seconds");
        if (r->unit == METRIC_UNIT_BYTES)
            assert_string_equal(r->name + n - 6, "_bytes");
    }
    assert_int_equal(next, METRIC_SLOTS);
}

static void test_buckets(void **state)
{
    (void)state;
    for (unsigned shift = 0; shift <= 8; shift += 4) {
        assert_int_equal(metric_bucket(shift, 0), 0);
        uint64_t bound = UINT64_C(1) << shift;
        for (unsigned i = 0; i < METRIC_BOUNDS; i++, bound *= 4) {
            assert_int_equal(metric_bucket(shift, bound), i);
            assert_int_equal(metric_bucket(shift, bound + 1), i + 1);
        }
        assert_int_equal(metric_bucket(shift, UINT64_MAX), METRIC_BOUNDS);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(metric_mechanism(SPAN("scram-sha-256")), METRIC_MECHANISM_SCRAM_SHA_256);
    assert_int_equal(metric_mechanism(SPAN("SCRAM-SHA-256-PLUS")),
                     METRIC_MECHANISM_SCRAM_SHA_256_PLUS);
    assert_int_equal(metric_mechanism(SPAN("X")), METRIC_MECHANISM_OTHER);
    assert_int_equal(metric_tls(SPAN("TLSv1.3")), METRIC_TLS_1_3);
    assert_int_equal(metric_tls(SPAN("none")), METRIC_TLS_NONE);
    assert_int_equal(metric_tls(SPAN_EMPTY), METRIC_TLS_NONE);
}

static void *count(void *arg)
{
    (void)arg;
    for (int i = 0; i < 10000; i++) {
        metric_add(METRIC_APPENDS, 1);
        metric_observe(METRIC_COMMAND_TIME, METRIC_COMMAND(3), 17);
    }
    return NULL;
}

/* What was counted before the page came goes along; a successor goes on; gauges start anew. */
static void test_pages(void **state)
{
    (void)state;
    struct err err;
    int fd = metrics_page_new(&err);
    assert_true(fd >= 0);
    assert_int_not_equal(ftruncate(fd, 0), 0); /* a child cannot make readers fault */
    metric_add(METRIC_APPENDS, 5);
    pid_t pid = fork();
    if (pid == 0) {
        int r = metrics_map(fd, &err);
        pthread_t t[2];
        metric_add(METRIC_PAIR(METRIC_CONNECTIONS, TLS, METRIC_STATE_IDLE, METRIC_TLS_1_3), 3);
        for (int i = 0; i < 2; i++)
            pthread_create(&t[i], NULL, count, NULL);
        for (int i = 0; i < 2; i++)
            pthread_join(t[i], NULL);
        _exit(r == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    _Atomic uint64_t *page = metrics_page_map(fd, true);
    assert_non_null(page);
    assert_int_equal(load(page, METRIC_APPENDS), 20005);
    unsigned hist = METRIC_COMMAND_TIME + 3 * METRIC_WIDTH_HISTOGRAM;
    assert_int_equal(load(page, hist + 1), 20000); /* 16 < 17 <= 64 */
    assert_int_equal(load(page, hist + METRIC_SUM), 20000 * 17);
    assert_int_equal(load(page, METRIC_CONNECTIONS + METRIC_STATE_IDLE * METRIC_N_TLS + 2), 3);
    metrics_page_reset_gauges(page);
    assert_int_equal(load(page, METRIC_CONNECTIONS + METRIC_STATE_IDLE * METRIC_N_TLS + 2), 0);
    assert_int_equal(load(page, METRIC_APPENDS), 20005);
    metrics_page_unmap(page);
    close(fd);
}

static void test_wrong_page(void **state)
{
    (void)state;
    struct err err;
    int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(metrics_map(fd, &err), ERR_VERSION); /* too short */
    assert_int_equal(ftruncate(fd, 1 << 20), 0);
    assert_int_equal(metrics_map(fd, &err), ERR_VERSION); /* may become short */
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    assert_int_equal(metrics_map(fd, &err), ERR_VERSION); /* of another table */
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),      cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_names),      cmocka_unit_test(test_pages),
        cmocka_unit_test(test_wrong_page),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
