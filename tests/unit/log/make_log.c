/* For test_read_log.py: `make_log write DIR HOW` makes a log with everything in it, `make_log dump
 * DIR` opens one and prints what read_log.py should print. */
#include "base/crc32c.h"
#include "log/log_int.h"

static int fail(const struct err *err)
{
    fprintf(stderr, "%s\n", err->text);
    return 1;
}

static void put(struct log *log, uint32_t size, bool sync)
{
    struct log_frame f;
    struct log_sync s;
    char ops[64];
    autofree char *payload = xmalloc(size + 1);
    snprintf(ops, sizeof(ops), "operation %u", (unsigned)log_last_seq(log) + 1);
    for (uint32_t i = 0; i < size; i++)
        payload[i] = (char)(i * 31 + log_last_seq(log));
    struct span p = span_make(payload, size);
    invariant(log_stage(log, (uint16_t)(size % 5), 1, span_str(ops), &p, 1, &f) == 0);
    invariant(log_write(log, NULL) == 0);
    if (!sync)
        return;
    log_sync_begin(log, &s);
    log_sync_run(&s);
    invariant(log_sync_end(log, &s, NULL) == 0);
}

static void put_base(struct log *log)
{
    struct log_base *b;
    struct log_frame f;
    invariant(log_base_begin(log, log_durable_seq(log), &b, NULL) == 0);
    put(log, 33, true);
    for (int i = 0; i < 30; i++)
        invariant(log_base_put(b, 9, 2, SPAN("a row of the state"), &SPAN("moved"), 1, &f, NULL) ==
                  0);
    invariant(log_base_finish(b, NULL) == 0);
}

static void put_external(struct log *log)
{
    struct log_external *x;
    uint64_t segment, offset;
    invariant(log_external_begin(log, &x, NULL) == 0);
    invariant(log_external_write(x, SPAN("a large message"), NULL) == 0);
    invariant(log_external_sync_run(x) == 0);
    log_external_finish(x, &segment, &offset);
    put(log, 0, true);
}

static int write_log(const char *dir, const char *how)
{
    struct log_options o = {.segment_size = 2000};
    struct log *log;
    struct err err = {0};
    bool base = strchr(how, 'b');
    if (log_create(&o, dir, (const unsigned char *)"an account's id", &err) ||
        log_open(&o, dir, &log, NULL, &err))
        return fail(&err);
    for (uint32_t i = 0; i < 20; i++)
        put(log, i * 29, true);
    put_external(log);
    if (base)
        put_base(log);
    if (strchr(how, 'i')) { /* it was put back from an older copy */
        log_close(log);
        o.known_seq = 100;
        if (log_open(&o, dir, &log, NULL, &err))
            return fail(&err);
    }
    for (uint32_t i = 0; i < 15; i++)
        put(log, i * 17, i % 3 == 0);
    log->closed = strchr(how, 'k'); /* killed */
    if (!log->closed)
        put(log, 1, true);
    log_close(log);
    return 0;
}

static int each(void *ctx, const struct log_frame *f, struct span ops)
{
    autobuf line = BUF_INIT(BUF_UNLIMITED), payload = BUF_INIT(BUF_UNLIMITED);
    if (log_read(ctx, f->segment, f->payload_offset, f->payload_length, &payload, NULL))
        return ERR_IO;
    buf_put_hex(&line, ops.p, ops.n);
    printf("%s %llu at %llu %llu type %u version %u time %llu ops %s payload %llu %08x\n",
           f->base ? "base" : "frame", (unsigned long long)f->seq, (unsigned long long)f->segment,
           (unsigned long long)f->offset, f->type, f->version, (unsigned long long)f->time,
           line.n ? line.p : "", (unsigned long long)f->payload_length,
           crc32c(0, payload.p, payload.n));
    return 0;
}

static void damage(void *ctx, uint64_t segment, uint64_t offset, uint64_t seq)
{
    (void)ctx;
    (void)seq;
    printf("damage %llu %llu\n", (unsigned long long)segment, (unsigned long long)offset);
}

static int dump_log(const char *dir)
{
    struct log_options o = {.segment_size = 2000};
    struct log *log;
    struct log_report report;
    struct err err = {0};
    autobuf id = BUF_INIT(100);
    if (log_open(&o, dir, &log, &report, &err))
        return fail(&err);
    if (log_replay(log, 0, each, damage, log, &err))
        return fail(&err);
    buf_put_hex(&id, log_id(log), LOG_ID_LEN);
    printf("log %s incarnation %u last %llu\n", id.p, log_incarnation(log),
           (unsigned long long)report.last_seq);
    log->closed = true;
    log_close(log);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && span_eq(span_str(argv[1]), SPAN("write")))
        return write_log(argv[2], argv[3]);
    if (argc == 3 && span_eq(span_str(argv[1]), SPAN("dump")))
        return dump_log(argv[2]);
    fprintf(stderr, "usage: make_log write DIR HOW | dump DIR\n");
    return 2;
}
