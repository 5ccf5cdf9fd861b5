/* daemon/metrics/exposition.h: pages to text, in both forms. */
#include "daemon/metrics/exposition.h"

#include "support/cmocka.h"

static _Atomic uint64_t first[METRIC_SLOTS], second[METRIC_SLOTS];
static const struct exposition_page pages[] = {{"mail.0", first}, {"mail.1", second}};

static void write_down(struct buf *out, enum exposition_form form)
{
    buf_init(out, 1 << 20);
    exposition_write(out, form, pages, 2);
    assert_true(buf_ok(out));
}

static void assert_has(const struct buf *b, const char *text)
{
    if (!strstr(b->p, text))
        fail_msg("missing: %s\n%s", text, b->p);
}

/* Counters and gauges are added up; what one process opened another one may have closed. */
static void test_sums(void **state)
{
    (void)state;
    first[METRIC_APPENDS] = 3;
    second[METRIC_APPENDS] = 4;
    first[METRIC_ACCOUNTS_OPEN] = 5;
    second[METRIC_ACCOUNTS_OPEN] = (uint64_t)-2;
    second[METRIC_LOG_BYTES] = (uint64_t)-1;
    unsigned slot = METRIC_PAIR(METRIC_CONNECTIONS, TLS, METRIC_STATE_IDLE, METRIC_TLS_1_3);
    first[slot] = 7;
    autobuf b;
    write_down(&b, EXPOSITION_OPENMETRICS);
    assert_has(&b, "# TYPE martlet_appended_messages counter\n");
    assert_has(&b, "\nmartlet_appended_messages_total 7\n");
    assert_has(&b, "\nmartlet_accounts_open 3\n");
    assert_has(&b, "\nmartlet_log_bytes 0\n");
    assert_has(&b, "\nmartlet_connections{state=\"idle\",tls=\"TLSv1.3\"} 7\n");
    assert_has(&b, "# UNIT martlet_log_bytes bytes\n");
    assert_string_equal(b.p + b.n - 6, "# EOF\n");
}

static void test_process_label(void **state)
{
    (void)state;
    first[METRIC_CPU] = 1500000;
    second[METRIC_CPU] = 20;
    autobuf b;
    write_down(&b, EXPOSITION_PROMETHEUS);
    assert_has(&b, "# TYPE martlet_process_cpu_seconds_total counter\n");
    assert_has(&b, "\nmartlet_process_cpu_seconds_total{process=\"mail.0\"} 1.500000\n");
    assert_has(&b, "\nmartlet_process_cpu_seconds_total{process=\"mail.1\"} 0.000020\n");
    assert_null(strstr(b.p, "# EOF"));
    assert_null(strstr(b.p, "# UNIT"));
}

/* Buckets are cumulative, the last one and the count are all of them. */
static void test_histogram(void **state)
{
    (void)state;
    unsigned fetch = 0;
    while (strcmp(metric_command_name(fetch), "FETCH") != 0)
        fetch++;
    unsigned slot = METRIC_COMMAND_TIME + fetch * METRIC_WIDTH_HISTOGRAM;
    first[slot] = 2;
    second[slot + 1] = 3;
    second[slot + METRIC_BOUNDS] = 1;
    first[slot + METRIC_SUM] = 2000001;
    first[METRIC_BATCH + 1] = 4;
    autobuf b;
    write_down(&b, EXPOSITION_OPENMETRICS);
#define NAME "martlet_command_duration_seconds"
    assert_has(&b, NAME "_bucket{command=\"FETCH\",le=\"0.000016\"} 2\n");
    assert_has(&b, NAME "_bucket{command=\"FETCH\",le=\"0.000064\"} 5\n");
    assert_has(&b, NAME "_bucket{command=\"FETCH\",le=\"67.108864\"} 5\n");
    assert_has(&b, NAME "_bucket{command=\"FETCH\",le=\"+Inf\"} 6\n");
    assert_has(&b, NAME "_count{command=\"FETCH\"} 6\n");
    assert_has(&b, NAME "_sum{command=\"FETCH\"} 2.000001\n");
    assert_null(strstr(b.p, "command=\"STORE\"")); /* never used */
    assert_has(&b, "martlet_commit_batch_requests_bucket{le=\"1.0\"} 0\n");
    assert_has(&b, "martlet_commit_batch_requests_bucket{le=\"4.0\"} 4\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),
        cmocka_unit_test(test_process_label),
        cmocka_unit_test(test_histogram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
