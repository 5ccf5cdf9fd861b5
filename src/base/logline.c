#include "base/logline.h"

#include <stdarg.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/clock.h"

static const char *program = "martlet";
static enum log_level threshold = LOG_INFO;

void log_set_program(const char *name)
{
    program = name;
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

static bool needs_quotes(const char *s)
{
    if (!*s)
        return true;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == '\\' || *s == 0x7f)
            return true;
    return false;
}

static void put_value(struct buf *b, const char *s)
{
    if (!needs_quotes(s)) {
        buf_put_str(b, s);
        return;
    }
    buf_put_byte(b, '"');
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '"' || c == '\\')
            buf_printf(b, "\\%c", c);
        else if (c < ' ' || c == 0x7f)
            buf_printf(b, "\\x%02x", c);
        else
            buf_put_byte(b, (char)c);
    }
    buf_put_byte(b, '"');
}

static void start_line(struct buf *b, enum log_level level, const char *event)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    uint64_t now = clock_wall_us();
    time_t sec = (time_t)(now / 1000000);
    struct tm tm;
    gmtime_r(&sec, &tm);
    char stamp[32];
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(b, "t=%s.%03uZ level=%s prog=%s event=%s", stamp, (unsigned)(now / 1000 % 1000),
               names[level], program, event);
}

static void finish_line(struct buf *b)
{
    buf_put_byte(b, '\n');
    ssize_t n = write(STDERR_FILENO, b->p, b->n);
    (void)n; /* nowhere left to complain */
}

void log_event(enum log_level level, const char *event, ...)
{
    if (level > threshold)
        return;
    autobuf b = BUF_INIT(8192);
    start_line(&b, level, event);
    va_list ap;
    va_start(ap, event);
    for (const char *key; (key = va_arg(ap, const char *));) {
        const char *value = va_arg(ap, const char *);
        buf_printf(&b, " %s=", key);
        put_value(&b, value ? value : "");
    }
    va_end(ap);
    finish_line(&b);
}

void log_text(enum log_level level, const char *event, const char *fmt, ...)
{
    if (level > threshold)
        return;
    autobuf text = BUF_INIT(4096);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    log_event(level, event, "msg", text.p ? text.p : "", NULL);
}
