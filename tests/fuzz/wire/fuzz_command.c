/* Framer and command parser. The first byte chooses chunk size, answer and limits; the rest is what
 * a client sends. The events must not depend on the chunking, whatever comes must not crash, and
 * what parses must be printable (every span points to memory). */
#include "dump.h"

static const struct frame_limits small = {
    .max_line = 64,
    .max_command = 200,
    .max_buffered_literal = 50,
    .max_streamed_literal = 500,
    .max_discard = 300,
    .max_literals = 5,
    .literal_minus = false,
};

static void parse_command(struct span text, bool whole)
{
    autoarena a = ARENA_INIT(256 << 10);
    autobuf out = BUF_INIT(BUF_UNLIMITED);
    struct command *c;
    struct parse_error err;
    int rc = whole ? command_parse(text, NULL, &a, &c, &err)
                   : command_parse_copy(text, NULL, &a, &c, &err);
    if (rc == 0) {
        dump_command(&out, c);
    } else {
        invariant(rc == ERR_INVALID || rc == ERR_LIMIT);
        invariant(err.reason[0] != '\0');
        for (const char *p = err.reason; *p; p++)
            invariant(*p >= 0x20 && *p < 0x7f);
        dump_text(&out, err.tag);
    }
}

static void parse_stream(struct span in, const struct frame_limits *limits)
{
    struct frame f;
    struct frame_event ev = {.kind = FRAME_COMMAND};
    frame_init(&f, limits);
    while (ev.kind != FRAME_MORE && ev.kind != FRAME_FATAL) {
        in = span_skip(in, frame_next(&f, in, &ev));
        if (ev.kind == FRAME_COMMAND)
            parse_command(ev.text, true);
        if (ev.kind == FRAME_LITERAL_ASK) {
            parse_command(ev.text, false);
            frame_literal_accept(&f);
        }
    }
    frame_done(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0)
        return 0;
    struct span in = span_make(data + 1, n - 1);
    struct frame_limits limits = data[0] & 1 ? small : frame_limits_default;
    limits.literal_minus = data[0] & 2;
    bool accept = data[0] & 4;
    size_t chunk = 1 + (data[0] >> 3);
    autobuf whole = BUF_INIT(BUF_UNLIMITED);
    autobuf pieces = BUF_INIT(BUF_UNLIMITED);
    dump_frames(&whole, in, 0, accept, SPAN("IDLE"), &limits);
    dump_frames(&pieces, in, chunk, accept, SPAN("IDLE"), &limits);
    invariant(span_eq(buf_span(&whole), buf_span(&pieces)));
    parse_stream(in, &limits);
    parse_command(in, true); /* texts no framer would make */
    return 0;
}
