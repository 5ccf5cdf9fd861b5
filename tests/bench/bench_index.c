/* What the index costs, in CPU (user and system), without the log: one line an operation.
 *
 *     build/tests/bench/bench_index [directory [messages]]
 *
 * Uses the directory (default: /tmp) for an index of its own, which it removes. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "index/tables.h"
#include "store/apply.h"
#include "store/snapshot.h"

static struct index *db;
static char dir[256];
static uint64_t seq, modseq, message_id;
static struct buf ops = BUF_INIT(BUF_UNLIMITED);

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

#define must(call)                                                                                 \
    do {                                                                                           \
        int must_rc = (call);                                                                      \
        if (must_rc) {                                                                             \
            fprintf(stderr, "%s: %s\n", #call, err_name(must_rc));                                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static void report(const char *what, double us, unsigned times, const char *unit)
{
    double each = us / times;

    if (each >= 1000)
        printf("%-52s %9.2f ms %s\n", what, each / 1000, unit);
    else
        printf("%-52s %9.2f us %s\n", what, each, unit);
    fflush(stdout);
}

static struct index_txn *write_txn(void)
{
    struct index_txn *txn;

    must(index_write_begin(db, &txn));
    return txn;
}

static void apply(struct index_txn *txn)
{
    struct log_frame frame = {.seq = ++seq,
                              .type = FRAME_CHANGE,
                              .version = FRAME_VERSION,
                              .segment = 1,
                              .payload_offset = 64,
                              .payload_length = 1 << 30};
    struct err err = {0};

    if (apply_frame(txn, NULL, &frame, buf_span(&ops), &err)) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    buf_reset(&ops);
}

static void commit(struct index_txn *txn)
{
    must(index_write_prepare(txn));
    must(index_write_commit(txn));
}

static void make_mailbox(uint32_t id, const char *name)
{
    struct op op = {
        .kind = OP_MAILBOX_CREATE,
        .mailbox_create = {
            .mailbox = id, .modseq = ++modseq, .uidvalidity = id, .name = span_str(name)}};
    struct index_txn *txn = write_txn();

    op_put(&ops, &op);
    apply(txn);
    commit(txn);
}

static void put_append(uint32_t mailbox, uint32_t uid)
{
    struct op op = {.kind = OP_APPEND,
                    .append = {.mailbox = mailbox,
                               .uid = uid,
                               .message_id = ++message_id,
                               .modseq = ++modseq,
                               .internal_date = {1700000000, 60},
                               .save_date = 1700000000,
                               .size = 10000,
                               .body.payload = {.length = 10000, .crc = uid}}};

    op_put(&ops, &op);
}

static char derived[1300];

static void append_batches(uint32_t mailbox, uint32_t from, uint32_t n, uint32_t batch,
                           const char *what)
{
    double start = cpu_us();

    for (uint32_t i = 0; i < n;) {
        struct index_txn *txn = write_txn();
        uint64_t first = message_id + 1;

        for (uint32_t k = 0; k < batch && i < n; k++, i++)
            put_append(mailbox, from + i);
        apply(txn);
        for (uint64_t id = first; id <= message_id; id++)
            must(apply_derived(txn, id, span_make(derived, sizeof(derived))));
        commit(txn);
    }
    if (what)
        report(what, cpu_us() - start, n, "a message");
}

static void store(uint32_t mailbox, uint32_t lo, uint32_t hi, uint16_t add, uint16_t remove)
{
    struct range v = {lo, hi};
    struct ranges uids = {&v, 1, 1};
    struct op op = {
        .kind = OP_FLAGS,
        .flags = {
            .mailbox = mailbox, .modseq = ++modseq, .add = add, .remove = remove, .uids = &uids}};
    struct index_txn *txn = write_txn();

    op_put(&ops, &op);
    apply(txn);
    commit(txn);
}

static void bench_store(uint32_t mailbox, uint32_t n, const char *what_one, const char *what_all)
{
    double start = cpu_us();

    for (uint32_t i = 0; i < 2000; i++)
        store(mailbox, 1 + i * 7919 % n, 1 + i * 7919 % n, FLAG_FLAGGED, 0);
    report(what_one, cpu_us() - start, 2000, "");
    if (!what_all)
        return;
    start = cpu_us();
    for (int i = 0; i < 10; i++)
        store(mailbox, 1, n, i % 2 ? FLAG_SEEN : 0, i % 2 ? 0 : FLAG_SEEN);
    report(what_all, cpu_us() - start, 10, "");
}

static void bench_copy(uint32_t from, uint32_t to, uint32_t n)
{
    struct range v = {1, n};
    struct ranges uids = {&v, 1, 1};
    struct op op = {
        .kind = OP_COPY,
        .copy = {.mailbox = from, .target = to, .first_uid = 1, .modseq = ++modseq, .uids = &uids}};
    double start = cpu_us();
    struct index_txn *txn = write_txn();

    op_put(&ops, &op);
    apply(txn);
    commit(txn);
    report("COPY of 20,000", cpu_us() - start, 1, "");
}

static void bench_expunge(uint32_t mailbox, uint32_t n, uint32_t step, const char *what)
{
    struct ranges uids = RANGES_INIT;
    struct op op = {.kind = OP_EXPUNGE, .expunge = {mailbox, ++modseq, &uids}};
    double start;
    struct index_txn *txn;

    for (uint32_t uid = step; uid <= n; uid += step)
        ranges_add(&uids, uid, uid);
    start = cpu_us();
    txn = write_txn();
    op_put(&ops, &op);
    apply(txn);
    commit(txn);
    report(what, cpu_us() - start, 1, "");
    ranges_done(&uids);
}

static void delete_mailbox(uint32_t mailbox)
{
    struct op op = {.kind = OP_MAILBOX_DELETE, .mailbox_delete = {mailbox, ++modseq}};
    double start = cpu_us();
    struct index_txn *txn = write_txn();

    op_put(&ops, &op);
    apply(txn);
    commit(txn);
    report("DELETE of a large mailbox", cpu_us() - start, 1, "");
}

static struct index_txn *read_txn(void)
{
    struct index_txn *txn;

    must(index_read_begin(db, &txn));
    return txn;
}

static void bench_walk(uint32_t mailbox, const char *what)
{
    struct index_txn *txn = read_txn();
    struct snap *snap = snap_of_txn(txn);
    double start = cpu_us();
    uint64_t sum = 0;

    for (int i = 0; i < 20; i++) {
        struct row_cursor *c;
        struct row r;

        must(row_cursor_open(snap, mailbox, &c));
        for (int rc = row_cursor_seek(c, 1, &r); rc == 0; rc = row_cursor_next(c, &r))
            sum += r.flags + r.modseq;
        row_cursor_close(c);
    }
    report(what, cpu_us() - start, 20, sum ? "" : " ");
    index_read_end(txn);
}

static void bench_derived(uint64_t from, uint32_t n)
{
    struct index_txn *txn = read_txn();
    double start = cpu_us();
    uint64_t sum = 0;
    struct span s;

    for (int i = 0; i < 10; i++)
        for (uint32_t k = 0; k < n; k++) {
            must(index_derived_get(txn, from + k, &s));
            sum += (unsigned char)s.p[0] + s.n;
        }
    report("20,000 derived records, ascending", cpu_us() - start, 10, sum ? "" : " ");
    index_read_end(txn);
}

static void bench_points(uint32_t mailbox, uint32_t n, const char *what)
{
    enum { TIMES = 20000 };
    struct index_txn *txn = read_txn();
    char text[100];
    uint32_t got, sum = 0;
    struct row row;
    double start = cpu_us();

    for (uint32_t i = 0; i < TIMES; i++) {
        must(rows_uid_at(txn, mailbox, 1 + i * 7919 % n, &got));
        sum += got;
    }
    snprintf(text, sizeof(text), "UID of a sequence number%s", what);
    report(text, cpu_us() - start, TIMES, "");
    start = cpu_us();
    for (uint32_t i = 0; i < TIMES; i++) {
        must(rows_count_upto(txn, mailbox, 1 + i * 7919 % n, &got));
        sum += got;
    }
    snprintf(text, sizeof(text), "sequence number of a UID%s", what);
    report(text, cpu_us() - start, TIMES, "");
    start = cpu_us();
    for (uint32_t i = 0; i < TIMES; i++)
        if (rows_get(txn, mailbox, 1 + i * 7919 % n, &row) == 0)
            sum += row.flags;
    snprintf(text, sizeof(text), "row of a UID%s", what);
    report(text, cpu_us() - start, TIMES, sum ? "" : " ");
    index_read_end(txn);
}

static void bench_snapshot(uint32_t mailbox, const char *what)
{
    enum { TIMES = 20000 };
    struct changes c = CHANGES_INIT;
    struct mailbox_info info;
    char text[100];
    double start = cpu_us();

    for (uint32_t i = 0; i < TIMES; i++) {
        struct index_txn *txn = read_txn();

        must(snap_mailbox(snap_of_txn(txn), mailbox, &info));
        index_read_end(txn);
    }
    snprintf(text, sizeof(text), "snapshot and mailbox (STATUS)%s", what);
    report(text, cpu_us() - start, TIMES, "");
    store(mailbox, 5, 5, FLAG_DRAFT, 0);
    start = cpu_us();
    for (uint32_t i = 0; i < TIMES; i++) {
        struct index_txn *txn = read_txn();

        must(snap_changes(snap_of_txn(txn), mailbox, modseq - 1, &c));
        index_read_end(txn);
    }
    snprintf(text, sizeof(text), "snapshot and one change (IDLE wake-up)%s", what);
    report(text, cpu_us() - start, TIMES, "");
    changes_done(&c);
}

/* What waking an account costs. */
static void bench_open(void)
{
    double start = cpu_us();
    enum index_trust trust;
    struct err err = {0};

    for (int i = 0; i < 500; i++) {
        struct mailbox_info info;
        struct index_txn *txn;

        index_close(db);
        must(index_open(dir, false, &trust, &db, &err));
        txn = read_txn();
        must(snap_mailbox(snap_of_txn(txn), 1, &info));
        index_read_end(txn);
    }
    report("close, open, look", cpu_us() - start, 500, "");
    start = cpu_us();
    for (int i = 0; i < 500; i++) {
        index_close(db);
        must(index_open(dir, false, &trust, &db, &err));
        store(1, 1, 1, FLAG_FLAGGED, 0);
    }
    report("close, open, store", cpu_us() - start, 500, "");
}

static void remove_all(void)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(dir);
}

int main(int argc, char **argv)
{
    uint64_t many = 1000000;
    enum index_trust trust;
    struct err err = {0};

    if (argc > 2 && !span_to_u64(span_str(argv[2]), 50000000, &many))
        return 2;
    snprintf(dir, sizeof(dir), "%s/bench-index-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(dir) || index_open(dir, true, &trust, &db, &err)) {
        fprintf(stderr, "%s: %s\n", dir, err.text);
        return 1;
    }
    make_mailbox(1, "INBOX");
    make_mailbox(2, "copies");
    make_mailbox(3, "large");
    append_batches(1, 1, 20000, 200, "APPEND, 200 a commit, with derived records");
    append_batches(1, 20001, 2000, 1, "APPEND, one a commit, with its derived record");
    bench_store(1, 20000, "STORE of one in 22,000", "STORE of 20,000");
    bench_walk(1, "walk over 22,000 rows");
    bench_derived(1, 20000);
    bench_points(1, 20000, "");
    bench_snapshot(1, "");
    bench_copy(1, 2, 20000);
    bench_expunge(2, 20000, 2, "EXPUNGE of every other of 20,000 (copies)");
    bench_expunge(1, 20000, 2, "EXPUNGE of every other of 20,000 (last reference)");
    append_batches(3, 1, (uint32_t)many, 1000, "APPEND to a large mailbox, 1,000 a commit");
    append_batches(3, (uint32_t)many + 1, 2000, 1, "APPEND to a large mailbox, one a commit");
    bench_store(3, (uint32_t)many, "STORE of one in a large mailbox", NULL);
    bench_walk(3, "walk over a large mailbox");
    bench_points(3, (uint32_t)many, ", large mailbox");
    bench_snapshot(3, ", large mailbox");
    delete_mailbox(3);
    bench_store(1, 20000, "STORE of one after that", NULL);
    bench_open();
    index_close(db);
    remove_all();
    buf_done(&ops);
    return 0;
}
