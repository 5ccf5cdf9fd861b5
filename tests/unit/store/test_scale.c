/* A mailbox of a million messages costs what one of a thousand does, wherever the work asked for is
 * not linear. CPU time, compared with generous room for noise: a linear step would be hundreds of
 * times slower. */
#include "unit/index/fixture.h"

#include "store/apply.h"
#include "store/snapshot.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MANY 150000
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MANY 150000
#endif
#endif
#ifndef MANY
#define MANY 1000000
#endif

enum { SMALL = 1, LARGE = 2, FEW = 1000, TIMES = 200 };

struct scale {
    struct fixture *f;
    uint64_t seq, modseq, message_id;
    struct buf ops;
};

static void apply(struct scale *s)
{
    struct index_txn *txn = fixture_write(s->f);
    struct log_frame frame = {.seq = ++s->seq, .type = FRAME_CHANGE, .version = FRAME_VERSION};
    struct err err = {0};

    if (apply_frame(txn, NULL, &frame, buf_span(&s->ops), &err))
        fail_msg("%s", err.text);
    assert_int_equal(index_write_prepare(txn), 0);
    assert_int_equal(index_write_commit(txn), 0);
    buf_reset(&s->ops);
}

static void append(struct scale *s, uint32_t mailbox, uint32_t from, uint32_t n)
{
    s->modseq++;
    for (uint32_t i = 0; i < n; i++) {
        struct op op = {.kind = OP_APPEND,
                        .append = {.mailbox = mailbox,
                                   .uid = 2 * (from + i), /* every other number */
                                   .message_id = ++s->message_id,
                                   .modseq = s->modseq}};
        op_put(&s->ops, &op);
        if ((i + 1) % 5000 == 0)
            apply(s);
    }
    if (s->ops.n)
        apply(s);
}

static void build(struct scale *s, struct fixture *f)
{
    *s = (struct scale){.f = f, .ops = BUF_INIT(BUF_UNLIMITED)};
    for (uint32_t id = SMALL; id <= LARGE; id++) {
        struct op op = {.kind = OP_MAILBOX_CREATE,
                        .mailbox_create = {.mailbox = id,
                                           .modseq = ++s->modseq,
                                           .uidvalidity = id,
                                           .name = id == SMALL ? SPAN("small") : SPAN("large")}};
        op_put(&s->ops, &op);
    }
    apply(s);
    append(s, SMALL, 1, FEW);
    append(s, LARGE, 1, MANY);
}

static void do_append(struct scale *s, uint32_t mailbox, uint32_t n, uint32_t i)
{
    append(s, mailbox, n + 1 + i, 1);
}

static void do_store(struct scale *s, uint32_t mailbox, uint32_t n, uint32_t i)
{
    struct range v = {2 * (1 + i * 7919 % n), 2 * (1 + i * 7919 % n)};
    struct ranges uids = {&v, 1, 1};
    struct op op = {
        .kind = OP_FLAGS,
        .flags = {.mailbox = mailbox, .modseq = ++s->modseq, .add = FLAG_SEEN, .uids = &uids}};

    op_put(&s->ops, &op);
    apply(s);
}

/* SELECT: counts, the first unseen one, the number of a UID and back. */
static void do_select(struct scale *s, uint32_t mailbox, uint32_t n, uint32_t i)
{
    struct index_txn *txn = fixture_read(s->f);
    struct snap *snap = snap_of_txn(txn);
    struct mailbox_info m;
    uint32_t number, uid;

    assert_int_equal(snap_mailbox_find(snap, mailbox == SMALL ? SPAN("small") : SPAN("large"), &m),
                     0);
    assert_true(m.exists >= n);
    assert_int_equal(snap_uid_at(snap, mailbox, 1 + i * 7919 % n, &uid), 0);
    assert_int_equal(uid, 2 * (1 + i * 7919 % n));
    assert_int_equal(snap_count_upto(snap, mailbox, uid, &number), 0);
    assert_int_equal(number, 1 + i * 7919 % n);
    assert_int_equal(snap_count_upto(snap, mailbox, m.uidnext, &number), 0);
    assert_int_equal(number, m.exists);
    index_read_end(txn);
}

/* IDLE wake-up: one change, found by a snapshot. */
static void do_changes(struct scale *s, uint32_t mailbox, uint32_t n, uint32_t i)
{
    struct changes c = CHANGES_INIT;
    struct index_txn *txn;

    do_store(s, mailbox, n, i);
    txn = fixture_read(s->f);
    assert_int_equal(snap_changes(snap_of_txn(txn), mailbox, s->modseq - 1, &c), 0);
    assert_int_equal(ranges_count(&c.changed), 1);
    assert_int_equal(c.changed.v[0].lo, 2 * (1 + i * 7919 % n));
    index_read_end(txn);
    changes_done(&c);
}

static void do_expunge(struct scale *s, uint32_t mailbox, uint32_t n, uint32_t i)
{
    struct range v = {2 * (1 + i * 7919 % n), 2 * (1 + i * 7919 % n)};
    struct ranges uids = {&v, 1, 1};
    struct op op = {.kind = OP_EXPUNGE, .expunge = {mailbox, ++s->modseq, &uids}};

    op_put(&s->ops, &op);
    apply(s);
}

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

typedef void work(struct scale *s, uint32_t mailbox, uint32_t n, uint32_t i);

static double measure(struct scale *s, work *w, uint32_t mailbox, uint32_t n)
{
    double start = cpu_us();

    for (uint32_t i = 0; i < TIMES; i++)
        w(s, mailbox, n, i);
    return (cpu_us() - start) / TIMES;
}

static void test_time_stays_flat(void **state)
{
    static const struct {
        const char *name;
        work *w;
    } works[] = {
        {"append", do_append},  {"select", do_select},   {"store", do_store},
        {"change", do_changes}, {"expunge", do_expunge},
    };
    struct scale s;

    build(&s, *state);
    for (size_t i = 0; i < ARRAY_LEN(works); i++) {
        double few = measure(&s, works[i].w, SMALL, FEW),
               many = measure(&s, works[i].w, LARGE, MANY);

        print_message("%-8s %7.1f us in %d, %7.1f us in %d\n", works[i].name, few, FEW, many, MANY);
        assert_true(many < few * 10 + 100);
    }
    struct index_txn *txn = fixture_read(s.f);
    struct err err = {0};
    assert_int_equal(rows_verify(txn, LARGE, &err), 0);
    index_read_end(txn);
    buf_done(&s.ops);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_time_stays_flat, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
