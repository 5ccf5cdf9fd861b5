/* base/logline.h: whatever a value holds, a line is one line of the format, and says what it
 * should.
 */
#include "base/logline.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/utf8.h"
#include "support/cmocka.h"

static int saved_stderr, out;

static int begin(void **state)
{
    (void)state;
    int fds[2];
    if (pipe(fds) < 0)
        return -1;
    saved_stderr = dup(STDERR_FILENO);
    dup2(fds[1], STDERR_FILENO);
    close(fds[1]);
    out = fds[0];
    fcntl(out, F_SETFL, O_NONBLOCK);
    clock_set_for_test(UINT64_C(1700000000123456));
    log_set_program("mail.1");
    log_set_level(LOG_INFO);
    log_set_output(LOG_LOGFMT, LOG_STDERR);
    return 0;
}

static int end(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    close(out);
    clock_set_for_test(0);
    return 0;
}

static const char *line(void)
{
    static char text[65536];
    ssize_t n = read(out, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

#define HEAD "t=2023-11-14T22:13:20.123Z level=info prog=mail.1 "

static void test_logfmt(void **state)
{
    (void)state;
    log_event(LOG_INFO, "login", LOG_SESSION(0xabc), "user", "joe", "n", LOG_NUMBER(42), NULL);
    assert_string_equal(line(), HEAD "event=login session=0000000000000abc user=joe n=42\n");
    log_event(LOG_INFO, "x", "a", "", "b", NULL, "c", "a b", "d", "q\"\\", NULL);
    assert_string_equal(line(), HEAD "event=x a=\"\" b=\"\" c=\"a b\" d=\"q\\\"\\\\\"\n");
    log_event(LOG_INFO, "x", "a", "1\nt=2 event=login user=root", "b", "\x1b[2J\x7f", NULL);
    assert_string_equal(line(),
                        HEAD "event=x a=\"1\\nt=2 event=login user=root\" b=\"\\x1b[2J\\x7f\"\n");
    /* UTF-8 stays; broken bytes, C1 controls and what reorders text do not */
    log_event(LOG_INFO, "x", "a", "J\xc3\xb6rg", "b", "\xff\xc3", "c", "\xc2\x9b", "d",
              "\xe2\x80\xae", NULL);
    assert_string_equal(line(), HEAD "event=x a=J\xc3\xb6rg b=\"\\xff\\xc3\" c=\"\\x9b\" "
                                     "d=\"\\u202e\"\n");
    log_text(LOG_INFO, "y", "%d of %s", 1, "two");
    assert_string_equal(line(), HEAD "event=y msg=\"1 of two\"\n");
}

static void test_json(void **state)
{
    (void)state;
    log_set_output(LOG_JSON, LOG_STDERR);
    log_event(LOG_INFO, "login", "user", "J\xc3\xb6rg \"x\"\\\n\x01", "b", "\xff", NULL);
    assert_string_equal(line(), "{\"t\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\","
                                "\"prog\":\"mail.1\",\"event\":\"login\","
                                "\"user\":\"J\xc3\xb6rg \\\"x\\\"\\\\\\n\\u0001\",\"b\":"
                                "\"\\ufffd\"}\n");
}

static void test_level(void **state)
{
    (void)state;
    log_event(LOG_DEBUG, "x", NULL);
    assert_string_equal(line(), "");
    assert_false(log_enabled(LOG_DEBUG));
    log_set_level(LOG_DEBUG);
    assert_true(log_enabled(LOG_DEBUG));
    log_event(LOG_DEBUG, "x", NULL);
    assert_non_null(strstr(line(), "level=debug"));
}

/* A JSON string: no raw controls, only the escapes of RFC 8259 section 7. Returns what follows. */
static const char *json_string(const char *p)
{
    assert_int_equal(*p, '"');
    for (p++; *p != '"'; p++) {
        assert_true((unsigned char)*p >= ' ');
        if (*p != '\\')
            continue;
        p++;
        if (*p == 'u') {
            for (int i = 1; i <= 4; i++)
                assert_true((p[i] >= '0' && p[i] <= '9') || (p[i] >= 'a' && p[i] <= 'f'));
            p += 4;
        } else {
            assert_non_null(strchr("\"\\nrt", *p));
        }
    }
    return p + 1;
}

static void test_anything(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < 5000; round++) {
        char value[64];
        size_t n = 0, len = (seed = seed * 1664525 + 1013904223) >> 27;
        for (; n < len; n++) {
            seed = seed * 1664525 + 1013904223;
            value[n] = (char)((seed >> 24) ? seed >> 24 : 1);
        }
        value[n] = '\0';
        bool json = round % 2;
        log_set_output(json ? LOG_JSON : LOG_LOGFMT, LOG_STDERR);
        log_event(LOG_INFO, "x", "a", value, "z", "end", NULL);
        const char *text = line();
        size_t total = strlen(text);
        assert_int_equal(text[total - 1], '\n');
        assert_true(utf8_valid(span_make(text, total)));
        for (size_t i = 0; i + 1 < total; i++)
            assert_true((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
        if (json) {
            const char *p = text;
            for (int i = 0; i < 6; i++) {
                assert_int_equal(*p, i ? ',' : '{');
                p = json_string(p + 1);
                assert_int_equal(*p, ':');
                p = json_string(p + 1);
            }
            assert_string_equal(p, "}\n");
        } else {
            assert_string_equal(text + total - 7, " z=end\n");
        }
    }
}

static void test_long(void **state)
{
    (void)state;
    char value[3001];
    for (int i = 0; i < 3000; i += 2)
        memcpy(value + i, "\xc3\xb6", 2);
    value[3000] = '\0';
    log_event(LOG_INFO, "x", "a", value + 0, "z", "end", NULL);
    const char *text = line();
    assert_int_equal(strlen(text), strlen(HEAD "event=x a= z=end\n") + LOG_VALUE_MAX);
    assert_true(utf8_valid(span_str(text)));
}

static int listening(char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    snprintf(path, sizeof(un.sun_path), "/tmp/test-logline-%d", (int)getpid());
    unlink(path);
    memcpy(un.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
    return fd;
}

static void test_syslog(void **state)
{
    (void)state;
    char path[108], text[4096] = "";
    struct err err;
    int fd = listening(path);
    int sock = log_socket_open(LOG_SYSLOG, path, &err);
    assert_true(sock >= 0);
    log_set_socket(sock);
    log_set_output(LOG_LOGFMT, LOG_SYSLOG);
    log_event(LOG_WARNING, "x", "user", "a\nb", NULL);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    assert_memory_equal(text, "<20>Nov ", 8); /* mail.warning */
    assert_non_null(strstr(text, " martlet["));
    assert_non_null(strstr(text, "]: level=warning prog=mail.1 event=x user=\"a\\nb\""));
    assert_null(strchr(text, '\n'));
    close(fd); /* the syslog daemon went away: standard error has it */
    log_event(LOG_WARNING, "y", NULL);
    assert_non_null(strstr(line(), "event=y"));
    fd = listening(path); /* and came back: a new socket takes the place of the old one */
    log_set_socket(log_socket_open(LOG_SYSLOG, path, &err));
    log_event(LOG_WARNING, "z", NULL);
    assert_true(read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    unlink(path);
    assert_true(log_socket_open(LOG_SYSLOG, path, &err) < 0);
}

static void test_journal(void **state)
{
    (void)state;
    char path[108], text[4096];
    struct err err;
    int fd = listening(path);
    log_set_socket(log_socket_open(LOG_JOURNALD, path, &err));
    log_set_output(LOG_LOGFMT, LOG_JOURNALD);
    log_event(LOG_ERROR, "x", "user-name", "a\nPRIORITY=7", NULL);
    ssize_t n = read(fd, text, sizeof(text));
    assert_true(n > 0);
    struct span all = span_make(text, (size_t)n);
    autobuf user = BUF_INIT(100);
    buf_put_lit(&user, "MARTLET_USER_NAME\n");
    put_u64(&user, 12);
    buf_put_lit(&user, "a\nPRIORITY=7\n");
    assert_true(span_find(all, buf_span(&user)) != SPAN_NPOS);
    assert_true(span_find(all, SPAN("PRIORITY=3\n")) != SPAN_NPOS);
    assert_true(span_find(all, SPAN("MARTLET_EVENT\n")) != SPAN_NPOS);
    assert_true(span_find(all, SPAN("MESSAGE\n")) == 0);
    close(fd);
    unlink(path);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_logfmt), TEST(test_json),   TEST(test_level),   TEST(test_anything),
        TEST(test_long),   TEST(test_syslog), TEST(test_journal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
