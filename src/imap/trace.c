#include "imap/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/logline.h"
#include "imap/session_int.h"

enum { LINE_KEPT = 1024 * 1024 };

struct trace_rule {
    struct trace_rule *next;
    char *user, *dir;
    uint64_t until_us; /* monotonic */
    uint64_t bytes;
    unsigned files;
};

struct trace {
    struct trace_rule *rule;
    int fd;
    uint64_t left; /* bytes that the file may still grow */
    struct buf line;
    uint64_t skip; /* of the output: bytes of a literal */
};

/* Writing. */

static void trace_stop(struct session *s, const char *why)
{
    struct trace *t = s->trace;
    s->trace = NULL;
    log_event(LOG_INFO, "trace-ended", LOG_SESSION(s->id), "user", s->user, "reason", why, NULL);
    buf_done(&t->line);
    close(t->fd);
    free(t);
}

static void put_stamp(struct buf *b)
{
    uint64_t now = clock_wall_us();
    time_t sec = (time_t)(now / 1000000);
    struct tm tm;
    char stamp[32];
    gmtime_r(&sec, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_printf(b, "%s.%03uZ ", stamp, (unsigned)(now / 1000 % 1000));
}

/* who: "C: ", "S: " or "# ". */
static void put_line(struct session *s, const char *who, struct span text)
{
    struct trace *t = s->trace;
    autobuf b = BUF_INIT(8 * TRACE_LINE_MAX);
    struct span shown = span_head(text, TRACE_LINE_MAX);
    if (clock_monotonic_us() > t->rule->until_us) {
        trace_stop(s, "time");
        return;
    }
    put_stamp(&b);
    buf_put_str(&b, who);
    for (size_t i = 0; i < shown.n; i++) {
        unsigned char c = (unsigned char)shown.p[i];
        if (c < ' ' || c == 0x7f)
            buf_printf(&b, "\\x%02x", c);
        else
            buf_put_byte(&b, (char)c);
    }
    if (shown.n < text.n)
        buf_printf(&b, " <%zu more>", text.n - shown.n);
    buf_put_byte(&b, '\n');
    if (b.n > t->left) {
        trace_stop(s, "size");
        return;
    }
    if (write(t->fd, b.p, b.n) != (ssize_t)b.n) {
        trace_stop(s, strerror(errno));
        return;
    }
    t->left -= b.n;
    t->rule->bytes += b.n;
}

/* Literals. */

/* Does a line (without its CRLF) end with {n}, {n+} or, as the framer marks a streamed one, {n*}?
 * The number of bytes that follow. */
static uint64_t literal_after(struct span line)
{
    uint64_t n = 0, unit = 1;
    size_t i = line.n;
    if (i == 0 || line.p[--i] != '}')
        return 0;
    if (i && line.p[i - 1] == '*')
        return 0;
    if (i && line.p[i - 1] == '+')
        i--;
    size_t end = i;
    for (; i > 0 && line.p[i - 1] >= '0' && line.p[i - 1] <= '9' && end - i < 19; i--) {
        n += (uint64_t)(line.p[i - 1] - '0') * unit;
        unit *= 10;
    }
    return i > 0 && i < end && line.p[i - 1] == '{' ? n : 0;
}

static struct span without_end(struct span s)
{
    if (s.n && s.p[s.n - 1] == '\n')
        s.n--;
    if (s.n && s.p[s.n - 1] == '\r')
        s.n--;
    return s;
}

/* BAD repeats in quotes what it did not understand, which may have been a password. */
static struct span without_echo(struct span line)
{
    struct span rest = line, word;
    span_split(&rest, ' ', &word);
    span_split(&rest, ' ', &word);
    size_t quote = span_find(rest, SPAN("\""));
    if (!span_eq(word, SPAN("BAD")) || quote == SPAN_NPOS)
        return line;
    return span_head(line, line.n - rest.n + quote);
}

/* Lines of the protocol out of pieces; a literal's bytes vanish, its line goes on. */
static void feed(struct session *s, const char *who, struct buf *line, uint64_t *skip,
                 struct span bytes)
{
    while (bytes.n && s->trace) {
        if (*skip) {
            uint64_t n = MIN(*skip, bytes.n);
            *skip -= n;
            bytes = span_skip(bytes, (size_t)n);
            continue;
        }
        const char *lf = memchr(bytes.p, '\n', bytes.n);
        size_t n = lf ? (size_t)(lf - bytes.p) + 1 : bytes.n;
        buf_put(line, bytes.p, n);
        bytes = span_skip(bytes, n);
        if (!lf)
            continue;
        if (!buf_ok(line)) { /* not to be understood any more */
            trace_stop(s, "a line is too long");
            return;
        }
        struct span whole = without_end(buf_span(line));
        *skip = literal_after(whole);
        buf_truncate(line, whole.n);
        if (*skip || (whole.n > 1 && memcmp(whole.p + whole.n - 2, "*}", 2) == 0))
            continue; /* the line goes on behind the literal */
        put_line(s, who, without_echo(whole));
        if (!s->trace) /* it ended, and line may have been its */
            return;
        buf_reset(line);
    }
}

/* What sessions tell. */

/* Whether a command may be shown: one that is known and has no password in it. What is not a
 * command may be anything, such as a response to an AUTHENTICATE that was refused. */
static bool may_show(struct span text)
{
    struct span rest = text, tag, word;
    if (!span_split(&rest, ' ', &tag) || !span_split(&rest, ' ', &word))
        return false;
    word = without_end(word);
    if (span_ieq(word, SPAN("LOGIN")) || span_ieq(word, SPAN("AUTHENTICATE")))
        return false;
    return span_ieq(word, SPAN("UID")) || command_lookup(word);
}

void trace_command(struct session *s, struct span text)
{
    if (!s->trace)
        return;
    if (!may_show(text)) {
        trace_note(s, "LOGIN, AUTHENTICATE or no command: %zu bytes, not shown", text.n);
        return;
    }
    autobuf line = BUF_INIT(LINE_KEPT);
    uint64_t skip = 0;
    feed(s, "C: ", &line, &skip, text);
    if (s->trace && line.n) /* a command's text has no line end */
        put_line(s, "C: ", buf_span(&line));
}

void trace_note(struct session *s, const char *fmt, ...)
{
    autobuf b = BUF_INIT(1024);
    va_list ap;
    if (!s->trace)
        return;
    va_start(ap, fmt);
    buf_vprintf(&b, fmt, ap);
    va_end(ap);
    put_line(s, "# ", buf_span(&b));
}

void trace_output(struct session *s, struct span bytes)
{
    if (s->trace)
        feed(s, "S: ", &s->trace->line, &s->trace->skip, bytes);
}

void trace_output_skipped(struct session *s, uint64_t bytes)
{
    if (s->trace)
        s->trace->skip -= MIN(s->trace->skip, bytes);
}

void trace_output_produced(struct session *s)
{
    if (!s->trace)
        return;
    if (s->trace->skip)
        s->trace->skip = 0; /* it is the whole literal */
    else
        put_line(s, "S: ", SPAN("(a long list of numbers: not shown)"));
}

/* Files. */

/* Letters, digits and a few others as they are, so that a name is never a path. */
static void put_name(struct buf *b, const char *user)
{
    for (size_t i = 0; i < 60 && user[i]; i++) {
        unsigned char c = (unsigned char)user[i];
        if (ascii_is_alpha(c) || ascii_is_digit(c) || c == '_' || c == '-' ||
            (i && (c == '.' || c == '@')))
            buf_put_byte(b, (char)c);
        else
            buf_printf(b, "%%%02x", c);
    }
}

static int open_file(const struct session *s, const struct trace_rule *r)
{
    autobuf path = BUF_INIT(4096);
    time_t now = (time_t)(clock_wall_us() / 1000000);
    struct tm tm;
    char stamp[32];
    gmtime_r(&now, &tm);
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
    buf_printf(&path, "%s/", r->dir);
    put_name(&path, s->user);
    buf_printf(&path, "-%s-%016" PRIx64 ".log", stamp, s->id);
    if (!buf_ok(&path))
        return -1;
    return open(path.p, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static void trace_begin(struct session *s, struct trace_rule *r)
{
    if (s->trace || r->files >= TRACE_FILES_MAX || s->closing)
        return;
    int fd = open_file(s, r);
    if (fd < 0) {
        log_event(LOG_WARNING, "trace-failed", LOG_SESSION(s->id), "user", s->user, "msg",
                  strerror(errno), NULL);
        return;
    }
    struct trace *t = xnew(struct trace);
    t->rule = r;
    t->fd = fd;
    t->left = TRACE_FILE_MAX;
    buf_init(&t->line, LINE_KEPT);
    s->trace = t;
    r->files++;
    log_event(LOG_INFO, "trace-started", LOG_SESSION(s->id), "user", s->user, NULL);
    trace_note(s, "session %016" PRIx64 " user %s peer %s", s->id, s->user, s->peer);
}

/* Rules. */

static void rule_free(struct imap_host *host, struct trace_rule *r, const char *why)
{
    struct session *s;
    struct trace_rule **at = &host->traces;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    list_each(s, &host->sessions, link) if (s->trace && s->trace->rule == r) trace_stop(s, why);
    free(r->user);
    free(r->dir);
    free(r);
}

static void drop_expired(struct imap_host *host)
{
    struct trace_rule *r, *next;
    for (r = host->traces; r; r = next) {
        next = r->next;
        if (clock_monotonic_us() > r->until_us)
            rule_free(host, r, "time");
    }
}

static struct trace_rule *find_rule(struct imap_host *host, struct span user)
{
    if (!host->traces)
        return NULL;
    drop_expired(host);
    for (struct trace_rule *r = host->traces; r; r = r->next)
        if (span_eq(span_str(r->user), user))
            return r;
    return NULL;
}

void trace_session_start(struct session *s)
{
    struct trace_rule *r = find_rule(s->host, span_str(s->user));
    if (r)
        trace_begin(s, r);
}

void trace_session_end(struct session *s)
{
    if (s->trace)
        trace_stop(s, "session");
}

int imap_trace_set(struct imap_host *host, struct span user, const char *dir, unsigned minutes,
                   struct err *err)
{
    struct trace_rule *r = find_rule(host, user);
    struct session *s;
    unsigned count = 0;
    if (!minutes) {
        if (!r)
            return err_set(err, ERR_NOT_FOUND, "this user is not traced");
        rule_free(host, r, "off");
        return 0;
    }
    for (struct trace_rule *o = host->traces; o; o = o->next)
        count++;
    if (!r && count >= TRACE_RULES_MAX)
        return err_set(err, ERR_LIMIT, "%u users are traced already", count);
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set_errno(err, "%s", dir);
    if (!r) {
        r = xnew(struct trace_rule);
        r->user = span_dup(user);
        r->dir = span_dup(span_str(dir));
        r->next = host->traces;
        host->traces = r;
    }
    r->until_us =
        clock_monotonic_us() + (uint64_t)MIN(minutes, (unsigned)TRACE_MINUTES_MAX) * 60000000;
    list_each(s, &host->sessions, link) if (span_eq(span_str(s->user), user)) trace_begin(s, r);
    return 0;
}

void imap_trace_each(struct imap_host *host, void (*each)(void *arg, const struct trace_info *info),
                     void *arg)
{
    drop_expired(host);
    for (struct trace_rule *r = host->traces; r; r = r->next) {
        struct trace_info info = {.user = span_str(r->user),
                                  .dir = span_str(r->dir),
                                  .seconds_left = (r->until_us - clock_monotonic_us()) / 1000000,
                                  .bytes = r->bytes,
                                  .files = r->files};
        each(arg, &info);
    }
}
