/* How fast an account comes back: replay of its whole log, a checkpoint, return from it.
 *
 *     build/tests/bench/bench_recover [directory [messages]]
 *
 * One frame a message, with a flag change for every fourth. Wall time, CPU of the process. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/apply.h"
#include "store/recover.h"

#define must(call)                                                                                 \
    do {                                                                                           \
        int must_rc = (call);                                                                      \
        if (must_rc) {                                                                             \
            fprintf(stderr, "%s: %s\n", #call, err_name(must_rc));                                 \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static double cpu_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static uint64_t wall_start;
static double cpu_start;

static void begin(void)
{
    wall_start = clock_monotonic_us();
    cpu_start = cpu_ms();
}

static void end(const char *what)
{
    double wall = (double)(clock_monotonic_us() - wall_start) / 1e3;

    printf("%-44s %9.1f ms wall, %9.1f ms CPU\n", what, wall, cpu_ms() - cpu_start);
    fflush(stdout);
}

static void frame(struct log *log, const struct op *op, const struct span *payload)
{
    autobuf ops = BUF_INIT(1 << 20);
    struct log_frame f;

    op_put(&ops, op);
    must(log_stage(log, FRAME_CHANGE, FRAME_VERSION, buf_span(&ops), payload, payload ? 1 : 0, &f));
}

static void write_log(struct log *log, uint32_t messages)
{
    static const char text[200] = "From: someone";
    struct span payload = span_make(text, sizeof(text));
    struct op create = {
        .kind = OP_MAILBOX_CREATE,
        .mailbox_create = {.mailbox = 1, .modseq = 1, .uidvalidity = 1, .name = SPAN("INBOX")}};
    uint64_t modseq = 1;

    frame(log, &create, NULL);
    for (uint32_t uid = 1; uid <= messages; uid++) {
        struct op append = {.kind = OP_APPEND,
                            .append = {.mailbox = 1,
                                       .uid = uid,
                                       .message_id = uid,
                                       .modseq = ++modseq,
                                       .internal_date = {1700000000, 60},
                                       .size = payload.n,
                                       .body.payload.length = payload.n}};

        frame(log, &append, &payload);
        if (uid % 4 == 0) {
            struct range v = {1 + uid * 7919ULL % uid, 1 + uid * 7919ULL % uid};
            struct ranges uids = {&v, 1, 1};
            struct op flags = {
                .kind = OP_FLAGS,
                .flags = {.mailbox = 1, .modseq = ++modseq, .add = FLAG_SEEN, .uids = &uids}};

            frame(log, &flags, NULL);
        }
        if (uid % 1000 == 0)
            must(log_write(log, NULL));
    }
    if (log_has_staged(log))
        must(log_write(log, NULL));
    struct log_sync sync;
    log_sync_begin(log, &sync);
    log_sync_run(&sync);
    must(log_sync_end(log, &sync, NULL));
}

static void remove_dir(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(path);
}

int main(int argc, char **argv)
{
    static const unsigned char id[LOG_ID_LEN] = {1};
    char dir[200], log_dir[220], index_dir[220];
    uint64_t messages = 1000000;
    struct checkpoint *c;
    struct index *index;
    struct log *log;
    struct err err = {0};

    if (argc > 2 && !span_to_u64(span_str(argv[2]), 50000000, &messages))
        return 2;
    snprintf(dir, sizeof(dir), "%s/bench-recover-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(dir))
        return 1;
    snprintf(log_dir, sizeof(log_dir), "%s/log", dir);
    snprintf(index_dir, sizeof(index_dir), "%s/index", dir);
    must(log_create(NULL, log_dir, id, &err));
    must(log_open(NULL, log_dir, &log, NULL, &err));
    begin();
    write_log(log, (uint32_t)messages);
    end("write the log");
    begin();
    must(recover_index(index_dir, log, false, &index, NULL, &err));
    end("replay all of it");
    begin();
    must(checkpoint_begin(index, &c, &err));
    checkpoint_run(c);
    must(checkpoint_end(c, NULL, &err));
    end("checkpoint");
    index_close(index);
    begin();
    must(recover_index(index_dir, log, false, &index, NULL, &err));
    end("open, trusted");
    index_close(index);
    index_set_boot_for_test("another");
    begin();
    must(recover_index(index_dir, log, false, &index, NULL, &err));
    end("open after a crash of the machine");
    index_close(index);
    log_close(log);
    remove_dir(index_dir);
    remove_dir(log_dir);
    rmdir(dir);
    return 0;
}
