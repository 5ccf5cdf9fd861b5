/* Whatever lies in the directory of a log: opening, replaying, checking and appending neither crash
 * nor loop, and what was opened once opens again with the same end.
 *
 * The input is a little program, so that checksums do not keep the fuzzer out: it writes raw bytes,
 * frames with right headers, segments with right headers, and may replace the manifest. */
#include "base/crc32c.h"
#include "log/log_fault.h"
#include "log/log_int.h"

#define DIR "log"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct build {
    struct fault *fault;
    struct log_fs *fs;
    struct reader in;
    struct frame_place place; /* of the next frame; offset: the end of the file */
    uint64_t seq;
};

static void put_file(struct build *b, uint64_t segment, uint64_t at, struct span bytes)
{
    char path[64];
    struct log_file *f;
    struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    snprintf(path, sizeof(path), DIR "/%016llx", (unsigned long long)segment);
    int rc = b->fs->open(b->fs->ctx, path, LOG_FS_WRITE, &f);
    if (rc)
        rc = b->fs->open(b->fs->ctx, path, LOG_FS_WRITE | LOG_FS_CREATE, &f);
    if (rc)
        return;
    b->fs->pwritev(b->fs->ctx, f, &iov, 1, at);
    b->fs->sync(b->fs->ctx, f);
    b->fs->close(b->fs->ctx, f);
}

static void append(struct build *b, struct span bytes)
{
    put_file(b, b->place.segment, b->place.offset, bytes);
    b->place.offset += bytes.n;
}

static void put_frame(struct build *b, uint8_t how)
{
    static const char zeros[512];
    char header[FRAME_HEADER];
    uint8_t ops = read_u8(&b->in), payload = read_u8(&b->in);
    b->seq += how & 1 ? 1 : (uint64_t)(int8_t)read_u8(&b->in);
    struct frame_header h = {.seq = b->seq,
                             .durable =
                                 how & 2 ? b->seq - 1 : b->seq + (uint64_t)(int8_t)read_u8(&b->in),
                             .type = 1,
                             .version = 1,
                             .ops_length = ops,
                             .payload_length = payload};
    if (how & 4)
        h.payload_length = read_u64(&b->in);
    h.ops_crc = crc32c(0, zeros, ops);
    h.payload_crc = crc32c(0, zeros, payload);
    frame_header_put(header, &h, &b->place);
    append(b, span_make(header, sizeof(header)));
    append(b, span_make(zeros, ops + payload + frame_padding(ops + payload)));
}

static void put_segment(struct build *b, struct log *log)
{
    char header[SEGMENT_HEADER];
    uint8_t kind = read_u8(&b->in);
    b->place.segment = 2 + read_u8(&b->in) % 8;
    segment_header_make(log, b->place.segment, kind & 3, b->seq + 1 + (kind >> 6), header);
    b->place.offset = 0;
    append(b, span_make(header, sizeof(header)));
}

static void put_raw(struct build *b, const char *name)
{
    size_t n = read_u8(&b->in);
    struct span bytes = read_bytes(&b->in, MIN(n, reader_left(&b->in)));
    char path[64];
    struct log_file *f;
    struct iovec iov = {(void *)(uintptr_t)bytes.p, bytes.n};
    if (!name) {
        append(b, bytes);
        return;
    }
    snprintf(path, sizeof(path), DIR "/%s", name);
    if (b->fs->open(b->fs->ctx, path, LOG_FS_WRITE, &f))
        return;
    b->fs->pwritev(b->fs->ctx, f, &iov, 1, read_u8(&b->in));
    b->fs->close(b->fs->ctx, f);
}

/* The manifest's checksum is made right, so that its contents are looked at. */
static void fix_manifest(struct build *b)
{
    struct span s;
    if (!fault_file(b->fault, DIR "/manifest", &s) || s.n < 4)
        return;
    uint32_t wrong = load_le32(s.p + s.n - 4) ^ crc32c(0, s.p, s.n - 4);
    for (unsigned i = 0; i < 4; i++)
        fault_flip(b->fault, DIR "/manifest", s.n - 4 + i, (unsigned char)(wrong >> (8 * i)));
}

static void build_disk(struct build *b, struct log *log)
{
    for (unsigned steps = 0; reader_left(&b->in) && steps < 64; steps++) {
        uint8_t op = read_u8(&b->in);
        switch (op & 7) {
        case 0:
            put_raw(b, NULL);
            break;
        case 1:
            put_segment(b, log);
            break;
        case 2:
            put_raw(b, "manifest");
            fix_manifest(b);
            break;
        case 3:
            b->place.offset = SEGMENT_HEADER + 8U * read_u8(&b->in);
            break;
        default:
            put_frame(b, op >> 3);
            break;
        }
    }
}

static int each(void *ctx, const struct log_frame *f, struct span ops)
{
    (void)ctx;
    invariant(ops.n == f->ops_length);
    for (size_t i = 0; i < ops.n; i++)
        invariant(ops.p[i] == 0 || ops.p[i] == 'x');
    return 0;
}

static void damage(void *ctx, const struct log_damage *d)
{
    (void)ctx;
    invariant(d->what);
}

static uint64_t use(struct log *log)
{
    struct log_frame f;
    struct log_sync s;
    int rc = log_replay(log, 0, each, NULL, NULL, NULL);
    rc = log_check(log, damage, NULL, NULL, NULL);
    invariant(rc == 0);
    if (log_stage(log, 1, 1, SPAN("x"), NULL, 0, &f) || log_write(log, NULL))
        return log_last_seq(log);
    log_sync_begin(log, &s);
    log_sync_run(&s);
    invariant(log_sync_end(log, &s, NULL) == 0);
    return f.seq;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct build b = {.fault = fault_new(), .in = reader_make(span_make(data, n))};
    struct log_options o = {.fs = fault_fs(b.fault), .segment_size = 300};
    struct log *log;
    b.fs = o.fs;
    invariant(log_create(&o, DIR, (const unsigned char *)"an account's id", NULL) == 0);
    invariant(log_open(&o, DIR, &log, NULL, NULL) == 0);
    b.place = (struct frame_place){log->key, 1, SEGMENT_HEADER};
    build_disk(&b, log);
    log->closed = true;
    log_close(log);
    if (log_open(&o, DIR, &log, NULL, NULL) == 0) {
        uint64_t seq = use(log);
        log->closed = n % 2; /* killed, or closed */
        log_close(log);
        struct err err = {0};
        if (log_open(&o, DIR, &log, NULL, &err)) {
            fprintf(stderr, "%s\n", err.text);
            invariant(!"opens once, but not twice");
        }
        if (log_last_seq(log) != seq)
            fprintf(stderr, "%llu, now %llu\n", (unsigned long long)seq,
                    (unsigned long long)log_last_seq(log));
        invariant(log_last_seq(log) == seq);
        log_close(log);
    }
    fault_free(b.fault);
    return 0;
}
