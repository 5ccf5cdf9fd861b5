/* What the grammar costs: nanoseconds of one command, framed and parsed, and of one FETCH FLAGS
 * row. Run: meson test --benchmark wire (release build). Prints; judges nothing. */
#include "wire/command.h"
#include "wire/frame.h"
#include "wire/write.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void bench_command(const char *line)
{
    enum { ROUNDS = 200000 };
    struct frame f;
    struct span in = span_str(line);
    size_t sum = 0;
    frame_init(&f, NULL);
    double start = now();
    for (int i = 0; i < ROUNDS; i++) {
        struct frame_event ev;
        struct command *c;
        struct parse_error err;
        autoarena a = ARENA_INIT(1 << 20);
        sum += frame_next(&f, in, &ev);
        if (command_parse(ev.text, NULL, &a, &c, &err))
            abort();
        sum += c->id;
    }
    printf("%7.0f ns  %.*s\n", (now() - start) / ROUNDS, (int)in.n - 2, line);
    if (sum == 0)
        abort();
    frame_done(&f);
}

static void bench_fetch_flags(void)
{
    enum { ROUNDS = 200, ROWS = 20000 };
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    double start = now();
    for (int r = 0; r < ROUNDS; r++) {
        buf_reset(&b);
        for (uint32_t i = 1; i <= ROWS; i++)
            write_fetch_flags(&b, i, i * 7, i & 0x1f, i % 8 ? SPAN_EMPTY : SPAN("$Junk work"));
    }
    double each = (now() - start) / ROUNDS;
    printf("%7.1f ns  a row of FETCH (UID FLAGS): %.2f ms for %d\n", each / ROWS, each / 1e6, ROWS);
}

static void bench_literal(void)
{
    enum { BLOCK = 65536 };
    static char block[BLOCK];
    struct frame f;
    struct frame_event ev;
    const uint64_t size = 1ULL << 31;
    uint64_t seen = 0;
    frame_init(&f, NULL);
    (void)!frame_next(&f, SPAN("a APPEND x {2147483648+}\r\n"), &ev);
    frame_literal_accept(&f);
    (void)!frame_next(&f, SPAN_EMPTY, &ev);
    double start = now();
    while (seen < size)
        seen += frame_next(&f, span_make(block, BLOCK), &ev);
    printf("%7.3f ms  a literal of 50 MB in blocks of 64 KiB\n",
           (now() - start) / 1e6 * 50e6 / (double)size);
    frame_done(&f);
}

int main(void)
{
    bench_command("a1 NOOP\r\n");
    bench_command("a1 UID FETCH 5 (FLAGS)\r\n");
    bench_command(
        "a1 FETCH 1:* (UID FLAGS RFC822.SIZE BODY.PEEK[HEADER.FIELDS (Date From To Subject)])\r\n");
    bench_command("a1 UID STORE 1:5,7 +FLAGS.SILENT (\\Seen $Junk)\r\n");
    bench_command("a1 UID SEARCH RETURN (MIN MAX) OR FROM joe (SUBJECT \"x y\" NOT SEEN) SINCE "
                  "1-Feb-1994\r\n");
    bench_command("a1 LOGIN {3+}\r\njoe \"secret\"\r\n");
    bench_command("a1 LIST (SUBSCRIBED) \"\" \"*\" RETURN (CHILDREN STATUS (MESSAGES UNSEEN))\r\n");
    bench_fetch_flags();
    bench_literal();
    return 0;
}
