/* Every point at which the machine may die, every disk state that this may leave (as far as
 * log_fault.h enumerates them); every call failing once; a disk that fills up. With LOG_TRACE in
 * the environment each state is named before it is tried. */
#include "support/cmocka.h"

#include "workload.h"

static uint64_t changes_of_a_run(uint64_t *calls)
{
    struct fault *f = fault_new();
    struct workload w;
    workload_init(&w, f, false);
    workload_run(&w);
    assert_false(w.dead);
    assert_true(w.model.acked > 20);
    assert_int_equal(w.model.external_count, 1);
    assert_true(w.model.base_seq > 0);
    assert_true(w.model.dropped_count > 0);
    uint64_t n = fault_changes(f);
    if (calls)
        *calls = fault_calls(f);
    workload_done(&w);
    model_verify(&w.model, f, false);
    fault_free(f);
    return n;
}

/* Dies before change number `stop`; false if there was nothing to open yet. */
static bool run_until(struct workload *w, struct fault *f, uint64_t stop)
{
    struct fault_plan plan = {.stop_at = stop};
    workload_init(w, f, false);
    fault_plan(f, &plan);
    workload_run(w);
    workload_done(w);
    return true;
}

static bool has_log(struct fault *disk)
{
    struct span s;
    return fault_file(disk, WORKLOAD_DIR "/manifest", &s);
}

static void test_every_crash(void **state)
{
    uint64_t n = changes_of_a_run(NULL), states = 0;
    (void)state;
    for (uint64_t stop = 1; stop <= n + 1; stop++) {
        struct fault *f = fault_new();
        struct workload w;
        run_until(&w, f, stop);
        for (unsigned i = 0; i < fault_states(f); i++, states++) {
            if (getenv("LOG_TRACE"))
                print_message("stop %u state %u\n", (unsigned)stop, i);
            struct fault *disk = fault_crash(f, i);
            /* Before log_create succeeded there may be nothing. */
            if (w.model.acked == 0 && w.model.nonces == 0 && !has_log(disk)) {
                fault_free(disk);
                continue;
            }
            model_verify(&w.model, disk, true);
            fault_free(disk);
        }
        fault_free(f);
    }
    print_message("%u crash points, %u disk states\n", (unsigned)n + 1, (unsigned)states);
}

/* The machine dies again while the log recovers. */
static void test_crash_in_recovery(void **state)
{
    uint64_t n = changes_of_a_run(NULL), states = 0;
    (void)state;
    for (uint64_t stop = 20; stop <= n; stop += 3) {
        struct fault *f = fault_new();
        struct workload w;
        run_until(&w, f, stop);
        for (unsigned i = 0; i < fault_states(f); i += 3) {
            for (uint64_t second = 1;; second++, states++) {
                struct fault *disk = fault_crash(f, i);
                struct fault_plan plan = {.stop_at = second};
                struct log_options o = {.fs = fault_fs(disk), .segment_size = 1500};
                struct log *log = NULL;
                fault_plan(disk, &plan);
                int rc = log_open(&o, WORKLOAD_DIR, &log, NULL, NULL);
                bool finished = fault_changes(disk) < second;
                if (rc == 0) {
                    log->closed = true;
                    log_close(log);
                }
                for (unsigned k = 0; k < 2 && !finished; k++) {
                    if (getenv("LOG_TRACE"))
                        print_message("stop %u state %u second %u %u\n", (unsigned)stop, i,
                                      (unsigned)second, k);
                    struct fault *again = fault_crash(disk, k);
                    model_verify(&w.model, again, true);
                    fault_free(again);
                }
                fault_free(disk);
                if (finished)
                    break;
            }
        }
        fault_free(f);
    }
    print_message("%u crashes in recovery\n", (unsigned)states);
}

static void fail_every_call(const struct fault_plan *kind)
{
    uint64_t calls, refusals = 0, unknowns = 0;
    changes_of_a_run(&calls);
    for (uint64_t at = 1; at <= calls; at++) {
        struct fault *f = fault_new();
        struct workload w;
        struct fault_plan plan = *kind;
        plan.fail_at = at;
        workload_init(&w, f, true);
        fault_plan(f, &plan);
        workload_run(&w);
        assert_false(w.dead);
        workload_done(&w);
        refusals += w.model.refusals;
        unknowns += w.model.unknowns;
        struct fault_plan none = {0};
        fault_plan(f, &none);
        struct fault *crashed = fault_crash(f, 0);
        model_verify(&w.model, crashed, true);
        fault_free(crashed);
        model_verify(&w.model, f, false);
        fault_free(f);
    }
    print_message("%u calls: %u refusals, %u unknown outcomes\n", (unsigned)calls,
                  (unsigned)refusals, (unsigned)unknowns);
}

static void test_no_space(void **state)
{
    (void)state;
    fail_every_call(&(struct fault_plan){.fail_errno = 28 /* ENOSPC */});
}

static void test_io_error(void **state)
{
    (void)state;
    fail_every_call(&(struct fault_plan){.fail_errno = 5 /* EIO */});
}

static void test_interrupted(void **state)
{
    (void)state;
    fail_every_call(&(struct fault_plan){.fail_errno = 4 /* EINTR */});
}

static void test_no_descriptors(void **state)
{
    (void)state;
    fail_every_call(&(struct fault_plan){.fail_errno = 24 /* EMFILE */});
}

static void test_short_write(void **state)
{
    (void)state;
    fail_every_call(&(struct fault_plan){.short_write = true});
}

/* Two in a row: what undoes the first failure fails as well. */
static void test_two_failures(void **state)
{
    (void)state;
    fail_every_call(&(struct fault_plan){.fail_errno = 5, .fail_for = 2});
}

/* The disk is full from some byte on: appends are refused, the log opens, and goes on with room. */
static void test_full_disk(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (uint64_t capacity = 5600; capacity < 17600; capacity += 149) {
        struct fault *f = fault_new();
        struct workload w;
        workload_init(&w, f, true);
        fault_set_capacity(f, capacity);
        workload_run(&w);
        assert_false(w.dead);
        refused += w.model.refusals > 0;
        workload_done(&w);
        struct log_report report;
        struct log *log;
        assert_int_equal(log_open(&w.options, WORKLOAD_DIR, &log, &report, NULL), 0);
        assert_true(report.last_seq >= w.model.acked);
        log_close(log);
        fault_set_capacity(f, 0);
        model_verify(&w.model, f, false);
        fault_free(f);
    }
    assert_true(refused > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_crash), cmocka_unit_test(test_crash_in_recovery),
        cmocka_unit_test(test_no_space),    cmocka_unit_test(test_io_error),
        cmocka_unit_test(test_interrupted), cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_short_write), cmocka_unit_test(test_two_failures),
        cmocka_unit_test(test_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
