/* Every call to the file system fails once, under the whole store, in each way that it may fail.
 *
 * Two accounts get the same history (explore.h): one on a disk where a call fails, the other one
 * on a good disk, which gets only what the first one has acknowledged, or has done although it
 * said that it does not know. After each step both look the same, to the octet; a refused change
 * has left nothing. At the end the account that saw the failure is whole, and is the same again
 * when it is opened anew, with its index and without it, also after a loss of power.
 *
 * Of the calls a seeded sample is taken (MARTLET_EXPLORE=all: each, in each way); MARTLET_EXPLORE=
 * SEED explores another history. */
#include <errno.h>

#include "base/err.h"
#include "base/logline.h"
#include "explore.h"
#include "log/log_fault.h"
#include "store/store_int.h"

enum { STEPS = 96, SEGMENT_SIZE = 4000, SAMPLE = 9 };

static uint64_t seed = 1;
static bool every_call;
static uint64_t refusals, unknowns; /* of all runs */

static const struct fault_plan WAYS[] = {
    {.fail_errno = ENOSPC},
    {.fail_errno = EIO},
    {.fail_errno = EINTR},
    {.fail_errno = EMFILE},
    {.fail_errno = ENOMEM},
    {.short_write = true},
    {.short_write = true, .fail_errno = ENOSPC},
    {.fail_errno = EIO, .fail_for = 3},
};

struct world {
    struct fixture f;
    struct fault *fault;
    struct fault_plan plan; /* fail_at: counted from now on; 0: it is over */
    struct buf picture;
};

static void world_init(struct world *w)
{
    *w = (struct world){.f = {.segment_size = SEGMENT_SIZE}};
    memcpy(w->f.dir, "/tmp/martlet-store-XXXXXX", 26);
    assert_non_null(mkdtemp(w->f.dir));
    w->fault = fault_new();
    w->f.fs = fault_fs(w->fault);
    buf_init(&w->picture, BUF_UNLIMITED);
    fixture_open(&w->f);
    explore_picture(&w->f, false, &w->picture);
}

static void world_done(struct world *w)
{
    fixture_close(&w->f);
    fixture_remove(&w->f);
    fault_free(w->fault);
    buf_done(&w->picture);
}

static void plan_pause(struct world *w)
{
    uint64_t done = fault_calls(w->fault);
    w->plan.fail_at = w->plan.fail_at > done ? w->plan.fail_at - done : 0;
    fault_plan(w->fault, &(struct fault_plan){.fail_at = 0});
}

/* Looking is not a part of the history. An account that could not be opened anew says so until it
 * is closed: then it is tried again. */
static void world_look(struct world *w)
{
    struct snap *snap;
    plan_pause(w);
    if (snap_begin(w->f.account, &snap) == 0)
        snap_end(snap);
    else
        fixture_reopen(&w->f);
    explore_picture(&w->f, false, &w->picture);
    fault_plan(w->fault, w->plan.fail_at ? &w->plan : &(struct fault_plan){.fail_at = 0});
}

static void say(uint64_t at, const struct fault_plan *way, int i, const char *what)
{
    print_message("seed %llu, call %llu, %s%s, step %d: %s\n", (unsigned long long)seed,
                  (unsigned long long)at, way->short_write ? "short write " : "",
                  way->fail_errno ? strerrorname_np(way->fail_errno) : "", i, what);
}

/* One step in both. */
static void step(struct world *hurt, struct world *twin, int i, uint64_t *rng, uint64_t at,
                 const struct fault_plan *way)
{
    autobuf before = BUF_INIT(BUF_UNLIMITED);
    uint64_t same = *rng;
    buf_put_span(&before, buf_span(&hurt->picture));
    int error = explore_step(&hurt->f, i, rng);
    world_look(hurt);
    bool changed = !span_eq(buf_span(&before), buf_span(&hurt->picture));
    refusals += explore_refused(error);
    unknowns += error == ERR_UNKNOWN;
    if (explore_refused(error) && changed && error != ERR_UNKNOWN) {
        say(at, way, i, "a refused change is there");
        fail();
    }
    if (!explore_refused(error) || changed) {
        int expected = explore_step(&twin->f, i, &same);
        if (!explore_refused(error) && error != expected)
            say(at, way, i, err_name(error));
        assert_true(explore_refused(error) || error == expected);
        explore_picture(&twin->f, false, &twin->picture);
    }
    if (!span_eq(buf_span(&hurt->picture), buf_span(&twin->picture))) {
        say(at, way, i, "not what was acknowledged");
        print_message("is:\n%s\nshould be:\n%s\n", hurt->picture.p, twin->picture.p);
        fail();
    }
}

/* Opened on that disk it is what was acknowledged, and whole. */
static void expect_same(struct world *w, struct fault *disk, const struct world *twin)
{
    w->f.fs = fault_fs(disk);
    fixture_open(&w->f);
    explore_picture(&w->f, false, &w->picture);
    assert_string_equal(w->picture.p, twin->picture.p);
    assert_true(explore_check(&w->f));
    fixture_close(&w->f);
}

static void verify_end(struct world *w, const struct world *twin)
{
    fault_plan(w->fault, &(struct fault_plan){.fail_at = 0});
    assert_true(explore_check(&w->f));
    struct fault *lost = fault_crash(w->fault, 0);
    fixture_close(&w->f);
    expect_same(w, w->fault, twin);
    autobuf index = BUF_INIT(4096);
    explore_index_path(&w->f, &index);
    explore_remove(index.p);
    expect_same(w, lost, twin);
    fault_free(lost);
    w->f.fs = fault_fs(w->fault);
    fixture_open(&w->f);
}

static void fail_call(uint64_t at, const struct fault_plan *way)
{
    struct world hurt, twin;
    uint64_t rng = seed;
    world_init(&hurt);
    world_init(&twin);
    hurt.plan = *way;
    hurt.plan.fail_at = at;
    fault_plan(hurt.fault, &hurt.plan);
    for (int i = 0; i < STEPS; i++)
        step(&hurt, &twin, i, &rng, at, way);
    verify_end(&hurt, &twin);
    world_done(&hurt);
    world_done(&twin);
}

static uint64_t calls_of_a_run(void)
{
    struct world w;
    uint64_t rng = seed;
    world_init(&w);
    fault_plan(w.fault, &(struct fault_plan){.fail_at = 0});
    for (int i = 0; i < STEPS; i++)
        assert_false(explore_refused(explore_step(&w.f, i, &rng)));
    uint64_t n = fault_calls(w.fault);
    world_done(&w);
    return n;
}

static void every_failure(void **state)
{
    uint64_t calls = calls_of_a_run(), runs = 0;
    (void)state;
    for (uint64_t at = 1; at <= calls; at++)
        for (size_t way = 0; way < ARRAY_LEN(WAYS); way++)
            if (every_call || (at * ARRAY_LEN(WAYS) + way) % (SAMPLE * ARRAY_LEN(WAYS) + 1) == 0) {
                fail_call(at, &WAYS[way]);
                runs++;
            }
    print_message("seed %llu: %llu calls, %llu failures: %llu refusals, of these %llu unknown\n",
                  (unsigned long long)seed, (unsigned long long)calls, (unsigned long long)runs,
                  (unsigned long long)refusals, (unsigned long long)unknowns);
    assert_true(refusals > 0);
}

int main(void)
{
    const char *how = getenv("MARTLET_EXPLORE");
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_failure)};
    log_set_level(LOG_ERROR);
    every_call = how && strcmp(how, "all") == 0;
    if (how && !every_call)
        seed = strtoull(how, NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
