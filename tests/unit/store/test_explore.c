/* Every point at which the machine may die under the whole store, and disk states that this may
 * leave (log/log_fault.h), with each fate of the index.
 *
 * A run works off a fixed list of changes, one after another (some of them maintenance: compaction,
 * checkpoint). First without faults: what the account looks like after each step is the reference.
 * Then the machine dies before each file operation in turn; of the disk states that this leaves, a
 * seeded sample is opened (all of them with MARTLET_EXPLORE=all): with the index as a kill of the
 * process leaves it, without one, with that of the moment after a loss of power, with that of the
 * middle of the run. It must look as after the last step that was acknowledged, or as after the one
 * that was under way, to the octet; `check` finds nothing; and life goes on with numbers that were
 * never given out.
 *
 * MARTLET_EXPLORE=SEED explores another history. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/err.h"
#include "base/logline.h"
#include "explore.h"
#include "index/index.h"
#include "log/log_fault.h"
#include "store/store_int.h"

enum { STEPS = 96, SAMPLE = 3, SEGMENT_SIZE = 4000, MIDDLE = 46 };

static uint64_t seed = 1;
static bool all_states;

/* --- a run --- */

struct world {
    struct fixture f;
    struct fault *fault;
    char middle[96]; /* a copy of the index's directory, made in the middle of the run */
    int acked;
    struct buf exact; /* after the last acknowledged step */
};

static void copy_file(const char *from, const char *to)
{
    autoclose int in = open(from, O_RDONLY | O_CLOEXEC);
    autoclose int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    char bytes[65536];
    ssize_t n;
    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, bytes, sizeof(bytes))) > 0)
        assert_int_equal(write(out, bytes, (size_t)n), n);
}

static void copy_dir(const char *from, const char *to)
{
    DIR *d = opendir(from);
    mkdir(to, 0700);
    for (struct dirent *e; d && (e = readdir(d));) {
        autobuf a = BUF_INIT(4096), b = BUF_INIT(4096);
        if (e->d_name[0] == '.')
            continue;
        buf_printf(&a, "%s/%s", from, e->d_name);
        buf_printf(&b, "%s/%s", to, e->d_name);
        struct stat st;
        assert_int_equal(stat(a.p, &st), 0);
        if (S_ISDIR(st.st_mode))
            copy_dir(a.p, b.p);
        else
            copy_file(a.p, b.p);
    }
    if (d)
        closedir(d);
}

static void world_init(struct world *w)
{
    *w = (struct world){.f = {.segment_size = SEGMENT_SIZE}};
    memcpy(w->f.dir, "/tmp/martlet-store-XXXXXX", 26);
    assert_non_null(mkdtemp(w->f.dir));
    w->fault = fault_new();
    w->f.fs = fault_fs(w->fault);
    buf_init(&w->exact, BUF_UNLIMITED);
    fixture_open(&w->f);
    explore_picture(&w->f, true, &w->exact);
}

/* Until the end, or until the machine dies. */
static void world_run(struct world *w, struct buf *reference)
{
    uint64_t rng = seed;
    for (int i = 0; i < STEPS; i++) {
        if (i == MIDDLE) {
            autobuf index = BUF_INIT(4096);
            explore_index_path(&w->f, &index);
            snprintf(w->middle, sizeof(w->middle), "%s/middle", w->f.dir);
            copy_dir(index.p, w->middle);
        }
        if (explore_refused(explore_step(&w->f, i, &rng)))
            return;
        w->acked = i + 1;
        explore_picture(&w->f, true, &w->exact);
        if (reference)
            explore_picture(&w->f, false, &reference[i + 1]);
    }
}

/* --- afterwards --- */

enum fate { INDEX_KEPT, INDEX_LOST, INDEX_AFTER_POWER_LOSS, INDEX_STALE, FATES };
static const char *const fate_names[] = {"kept", "lost", "after power loss", "stale"};

struct place {
    uint64_t stop;
    unsigned state;
    enum fate fate;
};

static void say(const struct place *p, const char *what)
{
    print_message("seed %llu, death before change %llu, disk state %u, index %s: %s\n",
                  (unsigned long long)seed, (unsigned long long)p->stop, p->state,
                  fate_names[p->fate], what);
}

static void verify_going_on(struct fixture *f, const struct place *p)
{
    struct snap *snap;
    struct mailbox_info before, after;
    uint64_t modseq;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    modseq = snap_modseq(snap);
    assert_int_equal(snap_mailbox_find(snap, SPAN("INBOX"), &before), 0);
    uint32_t next = before.uidnext;
    snap_end(snap);
    expect(f, ask_append(f, "INBOX", "Subject: on\r\n\r\n", 0, ""), 0);
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, SPAN("INBOX"), &after), 0);
    if (after.uidnext <= next || after.highest_modseq <= modseq)
        say(p, "numbers went back");
    assert_true(after.uidnext > next && after.highest_modseq > modseq);
    snap_end(snap);
}

static void verify(struct world *w, struct fixture *f, const struct place *p, struct buf *reference)
{
    autobuf now = BUF_INIT(BUF_UNLIMITED);
    fixture_open(f);
    explore_picture(f, true, &now);
    if (!span_eq(buf_span(&now), buf_span(&w->exact))) { /* then what was under way is there */
        explore_picture(f, false, &now);
        if (w->acked == STEPS || !span_eq(buf_span(&now), buf_span(&reference[w->acked + 1]))) {
            say(p, "neither before nor after what was under way");
            print_message("now:\n%s\nacknowledged:\n%s\nreference:\n%s\n", now.p, w->exact.p,
                          w->acked == STEPS ? "" : reference[w->acked + 1].p);
            fail();
        }
    }
    if (!explore_check(f)) {
        say(p, "damaged");
        fail();
    }
    verify_going_on(f, p);
    fixture_close(f);
}

/* In the directory where it died: the process alone was killed, all that it wrote is there. */
static void verify_kept(struct world *w, uint64_t stop, struct buf *reference)
{
    struct place p = {stop, 1, INDEX_KEPT};
    struct fault *disk = fault_crash(w->fault, 1);
    struct fixture f = {.segment_size = SEGMENT_SIZE};
    memcpy(f.dir, w->f.dir, sizeof(f.dir));
    f.fs = fault_fs(disk);
    verify(w, &f, &p, reference);
    fault_free(disk);
}

/* In the same directory, whose name the files of the log have, with another index. */
static void verify_state(struct world *w, const struct place *p, const char *died,
                         struct buf *reference)
{
    struct fixture f = {.segment_size = SEGMENT_SIZE};
    struct fault *disk = fault_crash(w->fault, p->state);
    autobuf index = BUF_INIT(4096), site = BUF_INIT(4096);
    memcpy(f.dir, w->f.dir, sizeof(f.dir));
    f.fs = fault_fs(disk);
    f.id = w->f.id;
    explore_index_path(&f, &index);
    explore_remove(index.p);
    buf_printf(&site, "%s/site/index", f.dir);
    if (p->fate == INDEX_LOST)
        explore_remove(site.p);
    else if (p->fate == INDEX_AFTER_POWER_LOSS)
        copy_dir(died, index.p);
    else if (w->middle[0])
        copy_dir(w->middle, index.p);
    index_set_boot_for_test("another boot");
    verify(w, &f, p, reference);
    index_set_boot_for_test(NULL);
    fault_free(disk);
}

/* The process is dead: nothing of its store is closed or freed, and stays reachable here for leak
 * checkers. */
static struct world **dead;
static size_t dead_count;

static void explore_stop(uint64_t stop, struct buf *reference, uint64_t *states)
{
    struct world *w = xnew(struct world);
    struct fault_plan plan = {.stop_at = stop};
    char died[96];
    autobuf index = BUF_INIT(4096);
    world_init(w);
    fault_plan(w->fault, &plan);
    world_run(w, NULL);
    explore_index_path(&w->f, &index);
    snprintf(died, sizeof(died), "%s/died", w->f.dir);
    copy_dir(index.p, died);
    verify_kept(w, stop, reference);
    unsigned n = fault_states(w->fault);
    uint64_t rng = seed ^ stop << 20;
    for (unsigned i = 0; i < (all_states ? n : MIN(n, SAMPLE)); i++, ++*states) {
        unsigned state = all_states ? i : i < 1 ? 0 : explore_draw(&rng, n);
        struct place p = {stop, state, INDEX_LOST + (enum fate)((stop + i) % (FATES - 1))};
        verify_state(w, &p, died, reference);
    }
    fixture_remove(&w->f);
    dead = xrealloc_array(dead, dead_count + 1, sizeof(struct world *));
    dead[dead_count++] = w;
}

static void every_death(void **state)
{
    struct buf reference[STEPS + 1];
    struct world w;
    uint64_t states = 0;
    (void)state;
    for (int i = 0; i <= STEPS; i++)
        buf_init(&reference[i], BUF_UNLIMITED);
    world_init(&w);
    fault_plan(w.fault, &(struct fault_plan){.stop_at = 0});
    explore_picture(&w.f, false, &reference[0]);
    world_run(&w, reference);
    assert_int_equal(w.acked, STEPS);
    uint64_t n = fault_changes(w.fault);
    fixture_close(&w.f);
    fixture_remove(&w.f);
    fault_free(w.fault);
    buf_done(&w.exact);
    for (uint64_t stop = 1; stop <= n; stop++)
        explore_stop(stop, reference, &states);
    print_message("seed %llu: %llu deaths, %llu disk states\n", (unsigned long long)seed,
                  (unsigned long long)n, (unsigned long long)(states + n));
    for (int i = 0; i <= STEPS; i++)
        buf_done(&reference[i]);
}

int main(void)
{
    const char *how = getenv("MARTLET_EXPLORE");
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_death)};
    struct rlimit files;
    log_set_level(LOG_ERROR);
    getrlimit(RLIMIT_NOFILE, &files); /* of processes that died */
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    all_states = how && strcmp(how, "all") == 0;
    if (how && !all_states)
        seed = strtoull(how, NULL, 10);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
