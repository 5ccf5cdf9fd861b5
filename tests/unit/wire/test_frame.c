#include "dump.h"
#include "support/cmocka.h"

#define PLUS "+"

static struct frame_limits small_limits(void)
{
    struct frame_limits l = frame_limits_default;
    l.max_line = 60;
    l.max_command = 200;
    l.max_buffered_literal = 50;
    l.max_streamed_literal = 1000;
    l.max_discard = 300;
    l.max_literals = 4;
    return l;
}

struct frame_case {
    struct span input;
    const char *expect;
    bool refuse;
    bool literal_minus;
};

static void check_chunk(const struct frame_case *c, const struct frame_limits *limits, size_t chunk)
{
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    dump_frames(&got, c->input, chunk, !c->refuse, SPAN("IDLE"), limits);
    if (strcmp(got.p, c->expect) != 0)
        print_message("chunk %zu of: " SPAN_FMT "\n", chunk, SPAN_ARG(c->input));
    assert_string_equal(got.p, c->expect);
}

static void check(const struct frame_case *c)
{
    struct frame_limits limits = small_limits();
    limits.literal_minus = c->literal_minus;
    static const size_t chunks[] = {0, 1, 2, 3, 5, 7, 11, 16, 33};
    for (size_t i = 0; i < ARRAY_LEN(chunks); i++)
        check_chunk(c, &limits, chunks[i]);
}

#define IN(s) .input = {"" s, sizeof(s) - 1}
#define CHECK(...)                                                                                 \
    do {                                                                                           \
        struct frame_case case_ = {__VA_ARGS__};                                                   \
        check(&case_);                                                                             \
    } while (0)

static void lines(void **state)
{
    (void)state;
    CHECK(IN("a1 NOOP\r\n"), "COMMAND a1: [a1 NOOP]\nleft 0\n");
    CHECK(IN("a1 NOOP\na2 CHECK\n"), "COMMAND a1: [a1 NOOP]\nCOMMAND a2: [a2 CHECK]\nleft 0\n");
    CHECK(IN("a1 NOOP\r\na2 LOG"), "COMMAND a1: [a1 NOOP]\nleft 6\n");
    CHECK(IN("\r\n\n\r\na1 NOOP\r\n"), "COMMAND a1: [a1 NOOP]\nleft 0\n");
    CHECK(IN("a1\r\n"), "COMMAND a1: [a1]\nleft 0\n");
    CHECK(IN("+ NOOP\r\n"), "COMMAND : [+ NOOP]\nleft 0\n");
    CHECK(IN("a\"b NOOP\r\n"), "COMMAND : [a\"b NOOP]\nleft 0\n");
    /* a CR that does not end the line stays in the text, for the parser to refuse */
    CHECK(IN("a1 NO\rOP\r\r\n"), "COMMAND a1: [a1 NO\\rOP\\r]\nleft 0\n");
    /* not literals */
    CHECK(IN("a1 X {}\r\na2 X {+}\r\na3 X {5 }\r\na4 X 5}\r\n"),
          "COMMAND a1: [a1 X {}]\nCOMMAND a2: [a2 X {+}]\nCOMMAND a3: [a3 X {5 }]\n"
          "COMMAND a4: [a4 X 5}]\nleft 0\n");
    CHECK(IN("a1 X {5*}\r\na2 X {+5}\r\n"),
          "COMMAND a1: [a1 X {5*}]\nCOMMAND a2: [a2 X {+5}]\nleft 0\n");
}

static void buffered_literals(void **state)
{
    (void)state;
    /* RFC 9051 section 4.3 */
    CHECK(IN("A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n"),
          "CONTINUE\nCONTINUE\n"
          "COMMAND A001: [A001 LOGIN {11}\\r\\nFRED FOOBAR {7}\\r\\nfat man]\nleft 0\n");
    /* RFC 7888 section 3 */
    CHECK(IN("A001 LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man\r\nA002 NOOP\r\n"),
          "COMMAND A001: [A001 LOGIN {11+}\\r\\nFRED FOOBAR {7+}\\r\\nfat man]\n"
          "COMMAND A002: [A002 NOOP]\nleft 0\n");
    /* a bare LF becomes CRLF in the text; line ends within literals stay as they are */
    CHECK(IN("a X {3+}\n\n\r\n \"\"\n"), "COMMAND a: [a X {3+}\\r\\n\\n\\r\\n \"\"]\nleft 0\n");
    CHECK(IN("a X {0+}\r\n\r\na NOOP\r\n"), "COMMAND a: [a X {0+}\\r\\n]\nCOMMAND a: [a NOOP]\n"
                                            "left 0\n");
    CHECK(IN("a X {0}\r\n y\r\n"), "CONTINUE\nCOMMAND a: [a X {0}\\r\\n y]\nleft 0\n");
    CHECK(IN("a X ~{2+}\r\n\0b\r\n"), "COMMAND a: [a X ~{2+}\\r\\n\\x00b]\nleft 0\n");
    /* a mailbox name as literal is not a message */
    CHECK(IN("a APPEND {3}\r\nabc"), "CONTINUE\nleft 17\n");
    CHECK(IN("a X {00000000000000000000000000000003+}\r\nabc\r\n"),
          "COMMAND a: [a X {00000000000000000000000000000003+}\\r\\nabc]\nleft 0\n");
}

/* RFC 4469, RFC 6855, RFC 8508: what goes by as a stream, and what stays in the text. */
static void message_parts(void **state)
{
    (void)state;
    CHECK(IN("a APPEND x CATENATE (TEXT {1+}\r\nA URL {2+}\r\nuu TEXT {1+}\r\nB)\r\n"),
          "ASK a: 1 #0 [a APPEND x CATENATE (TEXT {1*}\\r\\n] [a APPEND x CATENATE (TEXT "
          "{1*}\\r\\n]\n"
          "START 1 #0\nDATA A\nEND #0\n"
          "ASK a: 1 #1 [a APPEND x CATENATE (TEXT {1*}\\r\\n URL {2+}\\r\\nuu TEXT {1*}\\r\\n] "
          "[ URL {2+}\\r\\nuu TEXT {1*}\\r\\n]\n"
          "START 1 #1\nDATA B\nEND #1\n"
          "COMMAND a: [a APPEND x CATENATE (TEXT {1*}\\r\\n URL {2+}\\r\\nuu TEXT "
          "{1*}\\r\\n)]\nleft 0\n");
    CHECK(
        IN("a UID REPLACE 7 x UTF8 (~{1+}\r\nA)\r\n"),
        "ASK a: 1 binary #0 [a UID REPLACE 7 x UTF8 (~{1*}\\r\\n] [a UID REPLACE 7 x UTF8 "
        "(~{1*}\\r\\n]\n"
        "START 1 #0\nDATA A\nEND #0\nCOMMAND a: [a UID REPLACE 7 x UTF8 (~{1*}\\r\\n)]\nleft 0\n");
    CHECK(IN("a APPEND x CATENATE (URL y) {1+}\r\nA\r\n"),
          "ASK a: 1 #0 [a APPEND x CATENATE (URL y) {1*}\\r\\n] [a APPEND x CATENATE (URL y) "
          "{1*}\\r\\n]\n"
          "START 1 #0\nDATA A\nEND #0\nCOMMAND a: [a APPEND x CATENATE (URL y) {1*}\\r\\n]\nleft "
          "0\n");
    /* not where a message can stand */
    CHECK(IN("a APPEND x CATENATE (TEXT{1+}\r\nA)\r\n"),
          "COMMAND a: [a APPEND x CATENATE (TEXT{1+}\\r\\nA)]\nleft 0\n");
    CHECK(IN("a UID APPEND x {1+}\r\nA\r\n"), "COMMAND a: [a UID APPEND x {1+}\\r\\nA]\nleft 0\n");
    CHECK(IN("a REPLACE x {1+}\r\nA\r\n"), "COMMAND a: [a REPLACE x {1+}\\r\\nA]\nleft 0\n");
}

static void streamed_literals(void **state)
{
    (void)state;
    CHECK(
        IN("a APPEND x (\\Seen) {5}\r\nhello\r\n"),
        "ASK a: 5 sync #0 [a APPEND x (\\x5cSeen) {5*}\\r\\n] [a APPEND x (\\x5cSeen) {5*}\\r\\n]\n"
        "CONTINUE\nSTART 5 #0\nDATA hello\nEND #0\n"
        "COMMAND a: [a APPEND x (\\x5cSeen) {5*}\\r\\n]\nleft 0\n");
    CHECK(IN("a append x ~{3+}\r\n\0\r\n\r\nb NOOP\r\n"),
          "ASK a: 3 binary #0 [a append x ~{3*}\\r\\n] [a append x ~{3*}\\r\\n]\n"
          "START 3 #0\nDATA \\x00\\r\\n\nEND #0\nCOMMAND a: [a append x ~{3*}\\r\\n]\n"
          "COMMAND b: [b NOOP]\nleft 0\n");
    /* MULTIAPPEND, mailbox name as literal, empty message */
    CHECK(
        IN("a APPEND {1+}\r\nx (a) {1+}\r\nA \"date\" {0}\r\n () \"d\" {2+}\r\nBC\r\n"),
        "ASK a: 1 #0 [a APPEND {1+}\\r\\nx (a) {1*}\\r\\n] [a APPEND {1+}\\r\\nx (a) {1*}\\r\\n]\n"
        "START 1 #0\nDATA A\nEND #0\n"
        "ASK a: 0 sync #1 [a APPEND {1+}\\r\\nx (a) {1*}\\r\\n \"date\" {0*}\\r\\n] "
        "[ \"date\" {0*}\\r\\n]\nCONTINUE\nSTART 0 #1\nEND #1\n"
        "ASK a: 2 #2 [a APPEND {1+}\\r\\nx (a) {1*}\\r\\n \"date\" {0*}\\r\\n () \"d\" {2*}\\r\\n] "
        "[ () \"d\" {2*}\\r\\n]\nSTART 2 #2\nDATA BC\nEND #2\n"
        "COMMAND a: [a APPEND {1+}\\r\\nx (a) {1*}\\r\\n \"date\" {0*}\\r\\n () \"d\" {2*}\\r\\n]\n"
        "left 0\n");
    CHECK(
        IN("a APPEND \"x \\\" y\" {1+}\r\nA\r\n"),
        "ASK a: 1 #0 [a APPEND \"x \\x5c\" y\" {1*}\\r\\n] [a APPEND \"x \\x5c\" y\" {1*}\\r\\n]\n"
        "START 1 #0\nDATA A\nEND #0\nCOMMAND a: [a APPEND \"x \\x5c\" y\" {1*}\\r\\n]\nleft 0\n");
    /* not in message position: buffered */
    CHECK(IN("a APPEND x y {1+}\r\nA\r\n"), "COMMAND a: [a APPEND x y {1+}\\r\\nA]\nleft 0\n");
    CHECK(IN("a APPEND  {1+}\r\nA\r\n"), "COMMAND a: [a APPEND  {1+}\\r\\nA]\nleft 0\n");
    CHECK(IN("a APPENDX x {1+}\r\nA\r\n"), "COMMAND a: [a APPENDX x {1+}\\r\\nA]\nleft 0\n");
    CHECK(IN("a APPEND x (f){1+}\r\nA\r\n"), "COMMAND a: [a APPEND x (f){1+}\\r\\nA]\nleft 0\n");
    CHECK(IN("a APPEND x(f) {1+}\r\nA\r\n"), "COMMAND a: [a APPEND x(f) {1+}\\r\\nA]\nleft 0\n");
    CHECK(IN("a APPEND x (f {1+}\r\nA\r\n"), "COMMAND a: [a APPEND x (f {1+}\\r\\nA]\nleft 0\n");
}

static void refused(void **state)
{
    (void)state;
    CHECK(IN("a APPEND x {5}\r\nb NOOP\r\n"),
          "ASK a: 5 sync #0 [a APPEND x {5*}\\r\\n] [a APPEND x {5*}\\r\\n]\n"
          "COMMAND b: [b NOOP]\nleft 0\n",
          .refuse = true);
    CHECK(IN("a APPEND x {9+}\r\nz NOOP\r\n\n {4+}\r\nq \r\n\r\nb NOOP\r\n"),
          "ASK a: 9 #0 [a APPEND x {9*}\\r\\n] [a APPEND x {9*}\\r\\n]\n"
          "COMMAND b: [b NOOP]\nleft 0\n",
          .refuse = true);
    CHECK(IN("a APPEND x {400+}\r\nb NOOP\r\n"),
          "ASK a: 400 #0 [a APPEND x {400*}\\r\\n] [a APPEND x {400*}\\r\\n]\n"
          "FATAL Too much data after a refused command\nleft 0\n",
          .refuse = true);
    /* a synchronising literal in what is thrown away: the client has its answer and goes on */
    CHECK(IN("a APPEND x {1+}\r\nA {5}\r\nb NOOP\r\n"),
          "ASK a: 1 #0 [a APPEND x {1*}\\r\\n] [a APPEND x {1*}\\r\\n]\n"
          "COMMAND b: [b NOOP]\nleft 0\n",
          .refuse = true);
}

#define TEN   "0123456789"
#define FIFTY TEN TEN TEN TEN TEN

static void errors(void **state)
{
    (void)state;
    CHECK(IN("a " FIFTY "1234567\r\nb NOOP\r\n"),
          "COMMAND a: [a " FIFTY "1234567]\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a " FIFTY "123456789\r\nb NOOP\r\n"),
          "ERROR a: Command line too long\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN(FIFTY FIFTY "\r\nb NOOP\r\n"),
          "ERROR : Command line too long\nCOMMAND b: [b NOOP]\nleft 0\n");
    /* a NUL behind the limit is never looked at, whatever the chunking */
    CHECK(IN("a " FIFTY TEN "\0\r\nb NOOP\r\n"),
          "ERROR a: Command line too long\nCOMMAND b: [b NOOP]\nleft 0\n");
    /* its literals go with it */
    CHECK(IN("a " FIFTY TEN TEN " {9+}\r\nz NOOP\r\n\n {3+}\r\nabc\r\nb NOOP\r\n"),
          "ERROR a: Command line too long\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a " FIFTY TEN TEN " {9}\r\nb NOOP\r\n"),
          "ERROR a: Command line too long\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a " FIFTY TEN TEN " {999999999999999999999+}\r\nb NOOP\r\n"),
          "ERROR a: Command line too long\nFATAL Too much data after a refused command\nleft 0\n");
    CHECK(IN("a NO\0OP {3+}\r\nabc\r\nb NOOP\r\n"),
          "ERROR a: NUL byte in command line\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("\0\r\nb NOOP\r\n"),
          "ERROR : NUL byte in command line\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a X {51}\r\nb NOOP\r\n"),
          "ERROR a: Literal too large\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a X {51+}\r\n" FIFTY "x {2}\r\nb NOOP\r\n"),
          "ERROR a: Literal too large\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a X {301+}\r\n"),
          "ERROR a: Literal too large\nFATAL Too much data after a refused command\nleft 0\n");
    CHECK(IN("a X {99999999999999999999+}\r\n"),
          "ERROR a: Literal too large\nFATAL Too much data after a refused command\nleft 0\n");
    CHECK(IN("a APPEND x {1001}\r\nb NOOP\r\n"),
          "ERROR a: Literal too large (message)\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a X {50+}\r\n" FIFTY " {50+}\r\n" FIFTY " {50+}\r\n" FIFTY " {50+}\r\n" FIFTY
             "\r\nb NOOP\r\n"),
          "ERROR a: Command too long\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a X {1+}\r\n1 {1+}\r\n2 {1+}\r\n3 {1+}\r\n4 {1}\r\nb NOOP\r\n"),
          "ERROR a: Too many literals in one command\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a X {1+}\r\n1 {1+}\r\n2 {1+}\r\n3 {1+}\r\n4 {1+}\r\n5\r\nb NOOP\r\n"),
          "ERROR a: Too many literals in one command\nCOMMAND b: [b NOOP]\nleft 0\n");
    /* an error in the second message of a MULTIAPPEND */
    CHECK(
        IN("a APPEND x {1+}\r\nA\0 {2+}\r\nBC\r\nb NOOP\r\n"),
        "ASK a: 1 #0 [a APPEND x {1*}\\r\\n] [a APPEND x {1*}\\r\\n]\nSTART 1 #0\nDATA A\nEND #0\n"
        "ERROR a: NUL byte in command line\nCOMMAND b: [b NOOP]\nleft 0\n");
}

static void endless_lines(void **state)
{
    (void)state;
    autobuf in = BUF_INIT(BUF_UNLIMITED);
    struct frame_limits limits = small_limits();
    buf_put_lit(&in, "a NOOP ");
    while (in.n < 1000)
        buf_put_byte(&in, 'x');
    struct frame_case c = {buf_span(&in),
                           "ERROR a: Command line too long\n"
                           "FATAL Too much data after a refused command\nleft 0\n",
                           false, false};
    check_chunk(&c, &limits, 0);
    check_chunk(&c, &limits, 1);
    check_chunk(&c, &limits, 97);
}

static void literal_minus(void **state)
{
    (void)state;
    autobuf in = BUF_INIT(BUF_UNLIMITED);
    autobuf got = BUF_INIT(BUF_UNLIMITED);
    struct frame_limits limits = frame_limits_default;
    limits.literal_minus = true;
    buf_put_lit(&in, "a APPEND x {4097+}\r\n");
    for (int i = 0; i < 4097; i++)
        buf_put_byte(&in, '\n');
    buf_put_lit(&in, "\r\nb APPEND x {4096+}\r\n");
    for (int i = 0; i < 4096; i++)
        buf_put_byte(&in, '.');
    buf_put_lit(&in, "\r\nc APPEND x {5000}\r\n");
    dump_frames(&got, buf_span(&in), 1000, true, SPAN_EMPTY, &limits);
    assert_non_null(strstr(got.p, "ERROR a: Non-synchronizing literal larger than 4096 bytes"));
    assert_non_null(strstr(got.p, "COMMAND b: [b APPEND x {4096*}"));
    assert_non_null(strstr(got.p, "ASK c: 5000 sync"));
    assert_null(strstr(got.p, "ASK a"));
}

static void raw_lines(void **state)
{
    (void)state;
    CHECK(IN("a IDLE\r\nDONE\r\nb NOOP\r\n"),
          "COMMAND a: [a IDLE]\nLINE : [DONE]\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a IDLE\r\n\r\nb NOOP\r\n"),
          "COMMAND a: [a IDLE]\nLINE : []\nCOMMAND b: [b NOOP]\nleft 0\n");
    /* what looks like a literal is none here */
    CHECK(IN("a IDLE\r\nx {5+}\nb NOOP\r\n"),
          "COMMAND a: [a IDLE]\nLINE : [x {5+}]\nCOMMAND b: [b NOOP]\nleft 0\n");
    CHECK(IN("a IDLE\r\n*\0\r\nb NOOP\r\n"),
          "COMMAND a: [a IDLE]\nERROR : NUL byte in command line\nCOMMAND b: [b NOOP]\n"
          "left 0\n");
    CHECK(IN("a IDLE\r\n*\0 {9+}\r\nb NOOP\r\n"),
          "COMMAND a: [a IDLE]\nERROR : NUL byte in command line\nCOMMAND b: [b NOOP]\n"
          "left 0\n");
}

static void large_literal_costs_nothing(void **state)
{
    (void)state;
    struct frame f;
    struct frame_event ev;
    const uint64_t size = 50 << 20;
    frame_init(&f, NULL);
    struct span head = SPAN("a APPEND x {52428800+}\r\n");
    assert_int_equal(frame_next(&f, head, &ev), head.n);
    assert_int_equal(ev.kind, FRAME_LITERAL_ASK);
    assert_int_equal(ev.size, size);
    frame_literal_accept(&f);
    assert_int_equal(frame_next(&f, SPAN_EMPTY, &ev), 0);
    assert_int_equal(ev.kind, FRAME_LITERAL_START);
    static const char block[65536];
    uint64_t seen = 0;
    while (seen < size) {
        size_t used = frame_next(&f, span_make(block, sizeof(block)), &ev);
        assert_int_equal(ev.kind, FRAME_LITERAL_DATA);
        assert_ptr_equal(ev.data.p, block); /* not copied */
        assert_int_equal(used, ev.data.n);
        assert_true(f.buf.cap < 256);
        seen += used;
    }
    assert_int_equal(frame_next(&f, SPAN_EMPTY, &ev), 0);
    assert_int_equal(ev.kind, FRAME_LITERAL_END);
    assert_int_equal(frame_next(&f, SPAN("\r\n"), &ev), 2);
    assert_int_equal(ev.kind, FRAME_COMMAND);
    assert_int_equal(frame_next(&f, SPAN_EMPTY, &ev), 0);
    assert_int_equal(ev.kind, FRAME_MORE);
    assert_null(f.buf.p);
    frame_done(&f);
}

static void whole_commands_are_not_copied(void **state)
{
    (void)state;
    struct frame f;
    struct frame_event ev;
    frame_init(&f, NULL);
    struct span in = SPAN("a1 NOOP\r\na2 CHECK\r\n");
    assert_int_equal(frame_next(&f, in, &ev), 9);
    assert_ptr_equal(ev.text.p, in.p);
    assert_null(f.buf.p);
    assert_true(frame_idle(&f));
    frame_done(&f);
}

static void handover(void **state)
{
    (void)state;
    struct frame f, g;
    struct frame_event ev;
    autobuf out = BUF_INIT(1000);
    frame_init(&f, NULL);
    frame_init(&g, NULL);
    struct span in = SPAN("a LOGIN {3+}\r\njoe \"pw");
    assert_int_equal(frame_next(&f, in, &ev), in.n);
    assert_int_equal(ev.kind, FRAME_MORE);
    assert_int_equal(frame_buffered(&f), in.n);
    assert_false(frame_idle(&f));
    assert_int_equal(frame_export(&f, &out), 0);
    assert_int_equal(frame_buffered(&f), 0);
    assert_null(f.buf.p);
    assert_int_equal(frame_next(&g, buf_span(&out), &ev), in.n);
    assert_int_equal(frame_next(&g, SPAN("\"\r\n"), &ev), 3);
    assert_int_equal(ev.kind, FRAME_COMMAND);
    assert_true(span_eq(ev.text, SPAN("a LOGIN {3+}\r\njoe \"pw\"")));
    /* the client was told to send a literal: its text cannot be fed again */
    assert_int_equal(frame_next(&f, SPAN("a LOGIN {3}\r\n"), &ev), 13);
    assert_int_equal(ev.kind, FRAME_CONTINUE);
    assert_int_equal(frame_export(&f, &out), ERR_BUSY);
    frame_done(&f);
    frame_done(&g);
}

static void limits_of_export(void **state)
{
    (void)state;
    struct frame f;
    struct frame_event ev;
    autobuf out = BUF_INIT(3);
    frame_init(&f, NULL);
    (void)!frame_next(&f, SPAN("a NOOP"), &ev);
    assert_int_equal(frame_export(&f, &out), ERR_LIMIT);
    assert_int_equal(frame_buffered(&f), 6);
    frame_done(&f);
    frame_done(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_parts),
        cmocka_unit_test(lines),
        cmocka_unit_test(buffered_literals),
        cmocka_unit_test(streamed_literals),
        cmocka_unit_test(refused),
        cmocka_unit_test(errors),
        cmocka_unit_test(endless_lines),
        cmocka_unit_test(literal_minus),
        cmocka_unit_test(raw_lines),
        cmocka_unit_test(large_literal_costs_nothing),
        cmocka_unit_test(whole_commands_are_not_copied),
        cmocka_unit_test(handover),
        cmocka_unit_test(limits_of_export),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
