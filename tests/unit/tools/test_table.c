/* What martletctl prints: values, widths, JSON, and what must not reach a terminal. */
#include "support/cmocka.h"

#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "tools/martletctl/table.h"

static void expect_text(void (*put)(struct buf *, struct span), struct span in, const char *want)
{
    autobuf b = BUF_INIT(4096);
    put(&b, in);
    assert_string_equal(b.n ? b.p : "", want);
}

static void test_strings(void **state)
{
    (void)state;
    expect_text(json_string, SPAN("a\"b\\c\n\x7f"), "\"a\\\"b\\\\c\\u000a\\u007f\"");
    expect_text(json_string, SPAN("\xc3\xa4\xff\xe2\x82"), "\"\xc3\xa4\\ufffd\\ufffd\\ufffd\"");
    expect_text(json_string, SPAN(""), "\"\"");
    /* ESC, CSI as one character (U+009B), a bell, half of a character. */
    expect_text(put_printable, SPAN("x\x1b[2J\x07\xc2\x9b\xc3\xa4\xc3"),
                "x\\x1b[2J\\x07\\xc2\\x9b\xc3\xa4\\xc3");
}

static void expect_size(uint64_t n, const char *want)
{
    autobuf b = BUF_INIT(64);
    put_size(&b, n);
    assert_string_equal(b.p, want);
}

static void test_numbers(void **state)
{
    (void)state;
    expect_size(0, "0 B");
    expect_size(1023, "1023 B");
    expect_size(1024, "1.0 KB");
    expect_size(1536, "1.5 KB");
    expect_size(200 * 1024, "200 KB");
    expect_size(UINT64_C(5) << 30, "5.0 GB");
    expect_size(UINT64_MAX, "16777215 TB");
    autobuf b = BUF_INIT(64);
    put_time(&b, UINT64_C(1790000000) * 1000000, true);
    assert_string_equal(b.p, "2026-09-21T14:13:20Z");
}

static const struct column columns[] = {
    {"name", "NAME", COLUMN_TEXT, true},  {"n", "N", COLUMN_NUMBER, false},
    {"size", "SIZE", COLUMN_SIZE, false}, {"yes", "YES", COLUMN_FLAG, false},
    {"list", "LIST", COLUMN_LIST, true},  {"hidden", NULL, COLUMN_TEXT, false},
    {NULL, "SHOWN", COLUMN_TEXT, false},  {"age", NULL, COLUMN_SECONDS, false},
    {"when", NULL, COLUMN_TIME, false}};

static void fill(struct table *t)
{
    table_set(t, 0, SPAN("a name of some length \xc3\xa4\xc3\xb6\xc3\xbc \x1b[1m"));
    table_set_number(t, 1, 7);
    table_set_number(t, 2, 2048);
    table_set(t, 3, SPAN("yes"));
    table_set(t, 4, SPAN("one two"));
    table_set_key(t, SPAN("hidden"), SPAN("h"));
    table_set_key(t, SPAN("unknown"), SPAN("x"));
    table_set(t, 6, SPAN("s"));
    table_set_number(t, 7, 125);
    table_set_number(t, 8, 1000000);
    table_row(t);
    table_set(t, 0, SPAN("b"));
    table_row(t);
}

/* What `print` writes to standard output; on a terminal of so many columns, or (0) a file. */
static void capture(struct buf *to, unsigned short width, void (*print)(void))
{
    int master = -1, slave = -1, fds[2];
    struct winsize size = {.ws_row = 24, .ws_col = width};
    if (width) {
        assert_int_equal(openpty(&master, &slave, NULL, NULL, &size), 0);
    } else {
        assert_int_equal(pipe(fds), 0);
        master = fds[0];
        slave = fds[1];
    }
    fflush(stdout);
    fflush(stderr);
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
    dup2(slave, STDOUT_FILENO);
    dup2(slave, STDERR_FILENO);
    print();
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    fcntl(master, F_SETFL, O_NONBLOCK);
    ssize_t n = read(master, buf_reserve(to, 65536), 65536);
    buf_commit(to, n > 0 ? (size_t)n : 0);
    close(slave);
    close(master);
}

static void print_table(void)
{
    struct table *t = table_new(columns, ARRAY_LEN(columns), false);
    fill(t);
    assert_int_equal(table_rows(t), 2);
    table_end(t, NULL);
}

static void print_json(void)
{
    struct table *t = table_new(columns, ARRAY_LEN(columns), true);
    fill(t);
    table_end(t, "never");
}

static void print_empty(void)
{
    table_end(table_new(columns, ARRAY_LEN(columns), false), "There is nothing.");
    table_end(table_new(columns, ARRAY_LEN(columns), true), "There is nothing.");
}

static void test_table(void **state)
{
    (void)state;
    autobuf text = BUF_INIT(1 << 20);
    capture(&text, 0, print_table);
    assert_string_equal(
        text.p,
        "NAME                               N    SIZE  YES  LIST     SHOWN\n"
        "a name of some length \xc3\xa4\xc3\xb6\xc3\xbc \\x1b[1m  7  2.0 KB  yes  one two  s\n"
        "b\n");
}

static void test_json(void **state)
{
    (void)state;
    autobuf text = BUF_INIT(1 << 20);
    capture(&text, 0, print_json);
    assert_string_equal(
        text.p,
        "{\"name\":\"a name of some length \xc3\xa4\xc3\xb6\xc3\xbc "
        "\\u001b[1m\",\"n\":7,\"size\":2048,"
        "\"yes\":true,\"list\":[\"one\",\"two\"],\"hidden\":\"h\",\"age\":125,"
        "\"when\":\"1970-01-01T00:00:01Z\"}\n"
        "{\"name\":\"b\",\"n\":null,\"size\":null,\"yes\":null,\"list\":null,\"hidden\":null,"
        "\"age\":null,\"when\":null}\n");
    buf_reset(&text);
    capture(&text, 0, print_empty);
    assert_string_equal(text.p, "There is nothing.\n");
}

static void test_terminal(void **state)
{
    (void)state;
    autobuf text = BUF_INIT(1 << 20);
    capture(&text, 50, print_table);
    struct span rest = buf_span(&text), line;
    size_t lines = 0;
    while (span_split(&rest, '\n', &line)) {
        size_t width = 0;
        for (size_t i = 0; i < line.n && line.p[i] != '\r'; i++)
            width += (line.p[i] & 0xc0) != 0x80;
        assert_true(width <= 50);
        lines += line.n > 0;
    }
    assert_int_equal(lines, 3);
    assert_non_null(strstr(text.p, "~")); /* something was cut, and one sees it */
}

static void show_progress(void)
{
    struct progress p;
    progress_begin(&p, true);
    progress_show(&p, "early", 1, 2); /* what is done within a second needs no bar */
    usleep(1050000);
    progress_show(&p, "later", 1, 2);
    progress_show(&p, "again", 1, 2); /* not so soon */
    progress_clear(&p);
    progress_begin(&p, false);
    usleep(1050000);
    progress_show(&p, "forbidden", 1, 2);
}

static void test_progress(void **state)
{
    (void)state;
    autobuf text = BUF_INIT(1 << 20);
    capture(&text, 80, show_progress);
    assert_string_equal(text.p, "\r\033[Klater [###############...............]  50 %\r\033[K");
    buf_reset(&text);
    capture(&text, 0, show_progress); /* no terminal */
    assert_int_equal(text.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings),  cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_table),    cmocka_unit_test(test_json),
        cmocka_unit_test(test_terminal), cmocka_unit_test(test_progress),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
