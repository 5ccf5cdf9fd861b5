#include "base/logline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/buf.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/utf8.h"

enum {
    LINE_MAX_BYTES = 128 * 1024,
    FACILITY_MAIL = 2 << 3, /* RFC 5424 section 6.2.1 */
};

static const char *program = "martlet";
/* Set by the loop's thread while workers may log. */
static _Atomic int threshold = LOG_INFO, format = LOG_LOGFMT, destination = LOG_STDERR;
static _Atomic int sock = -1;

static const char *const level_names[] = {"error", "warning", "info", "debug"};
static const int priorities[] = {3, 4, 6, 7}; /* RFC 5424 section 6.2.1 */

void log_set_program(const char *name)
{
    program = name;
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_enabled(enum log_level level)
{
    return (int)level <= atomic_load_explicit(&threshold, memory_order_relaxed);
}

void log_set_output(enum log_format f, enum log_to to)
{
    format = f;
    destination = to;
}

/* A worker may be writing to the old one: its number stays. */
void log_set_socket(int fd)
{
    int old = sock;
    if (old < 0) {
        sock = fd;
    } else if (fd >= 0) {
        dup3(fd, old, O_CLOEXEC);
        close(fd);
    }
}

int log_socket_open(enum log_to to, const char *path, struct err *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    if (!*path)
        path = to == LOG_SYSLOG ? "/dev/log" : "/run/systemd/journal/socket";
    if (strlen(path) >= sizeof(un.sun_path))
        return err_set(err, ERR_LIMIT, "%s: too long a name for a socket", path);
    memcpy(un.sun_path, path, strlen(path));
    autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0)
        return err_set_errno(err, "%s", path);
    return take_fd(&fd);
}

/* Values. */

/* What is shown as it is: printable, so that no terminal acts on it; C1 controls are U+0080 to
 * U+009F, U+2028 and U+2029 end lines for some, U+202A to U+202E and U+2066 to U+2069 reorder
 * them. */
static bool plain(uint32_t c)
{
    return c >= ' ' && !(c >= 0x7f && c < 0xa0) && !(c >= 0x2028 && c <= 0x202e) &&
           !(c >= 0x2066 && c <= 0x2069);
}

static bool needs_quotes(struct span s)
{
    size_t pos = 0;
    uint32_t c;
    if (!s.n)
        return true;
    while (pos < s.n)
        if (!utf8_next(s, &pos, &c) || c == ' ' || c == '"' || c == '=' || c == '\\' || !plain(c))
            return true;
    return false;
}

static void put_escaped(struct buf *b, struct span s, bool json)
{
    size_t pos = 0, at = 0;
    uint32_t c;
    for (; pos < s.n; at = pos) {
        if (!utf8_next(s, &pos, &c)) {
            if (json)
                buf_put_lit(b, "\\ufffd"); /* JSON has no bytes (RFC 8259 section 8.1) */
            else
                buf_printf(b, "\\x%02x", (unsigned char)s.p[at]);
            pos = at + 1;
        } else if (c == '"' || c == '\\') {
            buf_printf(b, "\\%c", (char)c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            buf_printf(b, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
        } else if (!plain(c)) {
            buf_printf(b, json || c > 0xff ? "\\u%04x" : "\\x%02x", c);
        } else {
            buf_put(b, s.p + at, pos - at);
        }
    }
}

static struct span bounded(const char *s)
{
    size_t n = strlen(s);
    if (n <= LOG_VALUE_MAX)
        return span_make(s, n);
    n = LOG_VALUE_MAX;
    while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    return span_make(s, n);
}

static void put_pair(struct buf *b, bool json, const char *key, const char *value)
{
    struct span s = bounded(value ? value : "");
    bool quotes = json || needs_quotes(s);
    if (json)
        buf_printf(b, "%s\"%s\":", b->n > 1 ? "," : "", key);
    else
        buf_printf(b, "%s%s=", b->n ? " " : "", key);
    if (quotes)
        buf_put_byte(b, '"');
    put_escaped(b, s, json);
    if (quotes)
        buf_put_byte(b, '"');
}

/* Lines. */

static void put_time(struct buf *b, bool json)
{
    uint64_t now = clock_wall_us();
    time_t sec = (time_t)(now / 1000000);
    struct tm tm;
    gmtime_r(&sec, &tm);
    char stamp[32], text[48];
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text, sizeof(text), "%s.%03uZ", stamp, (unsigned)(now / 1000 % 1000));
    put_pair(b, json, "t", text);
}

static void put_pairs(struct buf *b, bool json, va_list ap)
{
    for (const char *key; (key = va_arg(ap, const char *));)
        put_pair(b, json, key, va_arg(ap, const char *));
}

/* with_head: time, level and program, which syslog and journald have by themselves. */
static void make_line(struct buf *b, bool with_head, enum log_level level, const char *event,
                      va_list ap)
{
    bool json = format == LOG_JSON;
    if (json)
        buf_put_byte(b, '{');
    if (with_head)
        put_time(b, json);
    put_pair(b, json, "level", level_names[level]);
    put_pair(b, json, "prog", program);
    put_pair(b, json, "event", event);
    put_pairs(b, json, ap);
    if (json)
        buf_put_byte(b, '}');
}

static void to_stderr(enum log_level level, const char *event, va_list ap)
{
    autobuf b = BUF_INIT(LINE_MAX_BYTES);
    make_line(&b, true, level, event, ap);
    buf_put_byte(&b, '\n');
    ssize_t n = write(STDERR_FILENO, b.p, b.n);
    (void)n; /* nowhere left to complain */
}

/* As the C library's syslog(3) writes to /dev/log (RFC 3164 without a host name). */
static void make_syslog(struct buf *b, enum log_level level, const char *event, va_list ap)
{
    time_t now = (time_t)(clock_wall_us() / 1000000);
    struct tm tm;
    char stamp[32];
    localtime_r(&now, &tm);
    strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &tm);
    buf_printf(b, "<%d>%s martlet[%d]: ", FACILITY_MAIL | priorities[level], stamp, (int)getpid());
    autobuf line = BUF_INIT(LINE_MAX_BYTES);
    make_line(&line, false, level, event, ap);
    buf_put_span(b, buf_span(&line));
}

/* The native protocol of systemd-journald: NAME=value, or, with a newline in it, NAME, its length
 * as 64 bits, value. */
static void put_field(struct buf *b, const char *prefix, const char *key, struct span value)
{
    buf_put_str(b, prefix);
    for (; *key; key++)
        buf_put_byte(b, (char)(*key >= 'a' && *key <= 'z' ? *key - 32 : *key == '-' ? '_' : *key));
    buf_put_byte(b, '\n');
    put_u64(b, value.n);
    buf_put_span(b, value);
    buf_put_byte(b, '\n');
}

static void make_journal(struct buf *b, enum log_level level, const char *event, va_list ap)
{
    autobuf line = BUF_INIT(LINE_MAX_BYTES);
    va_list again;
    va_copy(again, ap);
    make_line(&line, false, level, event, again);
    va_end(again);
    put_field(b, "", "MESSAGE", buf_span(&line));
    buf_printf(b, "PRIORITY=%d\nSYSLOG_IDENTIFIER=martlet\nSYSLOG_FACILITY=%d\n", priorities[level],
               FACILITY_MAIL >> 3);
    put_field(b, "MARTLET_", "prog", span_str(program));
    put_field(b, "MARTLET_", "event", span_str(event));
    for (const char *key; (key = va_arg(ap, const char *));) {
        const char *value = va_arg(ap, const char *);
        put_field(b, "MARTLET_", key, bounded(value ? value : ""));
    }
}

/* False: it was not taken. */
static bool to_socket(enum log_level level, const char *event, va_list ap)
{
    int fd = sock, to = destination;
    if (to == LOG_STDERR || fd < 0)
        return false;
    autobuf b = BUF_INIT(2 * LINE_MAX_BYTES);
    va_list again;
    va_copy(again, ap);
    if (to == LOG_SYSLOG)
        make_syslog(&b, level, event, again);
    else
        make_journal(&b, level, event, again);
    va_end(again);
    return write(fd, b.p, b.n) == (ssize_t)b.n; /* a datagram: all or nothing */
}

static void log_va(enum log_level level, const char *event, va_list ap)
{
    int saved = errno;
    metric_add(METRIC_LOG_LINES + level, 1);
    if (!to_socket(level, event, ap))
        to_stderr(level, event, ap);
    errno = saved;
}

void log_event(enum log_level level, const char *event, ...)
{
    if (!log_enabled(level))
        return;
    va_list ap;
    va_start(ap, event);
    log_va(level, event, ap);
    va_end(ap);
}

void log_text(enum log_level level, const char *event, const char *fmt, ...)
{
    if (!log_enabled(level))
        return;
    autobuf text = BUF_INIT(4096);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    log_event(level, event, "msg", text.p ? text.p : "", NULL);
}

const char *log_session(char to[LOG_SESSION_TEXT], uint64_t id)
{
    snprintf(to, LOG_SESSION_TEXT, "%016llx", (unsigned long long)id);
    return to;
}

const char *log_number(char to[LOG_NUMBER_TEXT], uint64_t n)
{
    snprintf(to, LOG_NUMBER_TEXT, "%llu", (unsigned long long)n);
    return to;
}
