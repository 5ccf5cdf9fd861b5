/* martletctl deliver: what comes on standard input goes to Martlet by LMTP (RFC 2033), for pipes
 * and .forward-like use. Exit codes are those of sysexits.h, which mailers understand: what may
 * pass is EX_TEMPFAIL, and the mailer tries again. */
#include <errno.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "io/listen.h"
#include "tools/martletctl/ctl.h"

enum { TIMEOUT_S = 300, INPUT_MAX = 1 << 30, REPLY_MAX = 64 * 1024 };

struct delivery {
    struct ctl *c;
    int fd;
    struct buf in; /* what the server said and nobody has read yet */
    struct buf line;
    bool utf8; /* it offers SMTPUTF8 */
};

/* --- the connection --- */

static int connect_to(const char *where, struct err *err)
{
    struct address a;
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct span host;
    uint16_t port;
    if (where[0] == '/') {
        if (strlen(where) >= sizeof(un.sun_path))
            return err_set(err, ERR_INVALID, "%s: too long a name for a socket", where);
        memcpy(un.sun_path, where, strlen(where) + 1);
        memcpy(&a.ss, &un, sizeof(un));
        a.len = sizeof(un);
    } else if (!conf_split_listen(span_str(where), &host, &port)) {
        return err_set(err, ERR_INVALID, "%s is not an address", where);
    } else {
        int r = address_parse(span_eq(host, SPAN("*")) ? SPAN("127.0.0.1") : host, port, &a, err);
        if (r)
            return r;
    }
    autoclose int fd = socket(a.ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = TIMEOUT_S};
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
        return err_set_errno(err, "socket");
    if (connect(fd, (const struct sockaddr *)&a.ss, a.len) < 0)
        return err_set_errno(err, "%s", where);
    return take_fd(&fd);
}

/* UNIX sockets first: who may use them is said by their permissions. */
static int open_connection(const struct conf *conf, struct err *err)
{
    int fd = err_set(err, ERR_NOT_FOUND, "lmtp.listen is empty");
    for (int path = 1; path >= 0; path--)
        for (size_t i = 0; i < conf->lmtp_listen.count && fd < 0; i++)
            if ((conf->lmtp_listen.items[i][0] == '/') == path)
                fd = connect_to(conf->lmtp_listen.items[i], err);
    return fd;
}

static bool send_all(struct delivery *d, struct span bytes)
{
    while (bytes.n) {
        ssize_t n = send(d->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = span_skip(bytes, (size_t)n);
    }
    return true;
}

static bool read_line(struct delivery *d)
{
    char more[4096];
    for (;;) {
        size_t lf = span_find_byte(buf_span(&d->in), '\n');
        if (lf != SPAN_NPOS) {
            buf_reset(&d->line);
            buf_put_span(&d->line, span_trim(span_head(buf_span(&d->in), lf)));
            buf_consume(&d->in, lf + 1);
            return true;
        }
        ssize_t n = recv(d->fd, more, sizeof(more), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0 || d->in.n > REPLY_MAX)
            return false;
        buf_put(&d->in, more, (size_t)n);
    }
}

/* The code of a whole reply, its last line in d->line; 0: the connection is lost. */
static unsigned read_reply(struct delivery *d)
{
    uint64_t code;
    for (;;) {
        if (!read_line(d))
            return 0;
        struct span line = buf_span(&d->line);
        if (line.n < 3 || !span_to_u64(span_head(line, 3), 999, &code))
            return 0;
        if (span_eq(span_skip(line, 4), SPAN("SMTPUTF8")))
            d->utf8 = true;
        if (line.n == 3 || line.p[3] != '-')
            return (unsigned)code;
    }
}

static unsigned say(struct delivery *d, const struct buf *command)
{
    return buf_ok(command) && send_all(d, buf_span(command)) ? read_reply(d) : 0;
}

static unsigned say_line(struct delivery *d, struct span line)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    buf_put_span(&b, line);
    buf_put_lit(&b, "\r\n");
    return say(d, &b);
}

/* --- exit codes --- */

static int exit_of(unsigned code, int permanent)
{
    if (code >= 200 && code < 400)
        return EX_OK;
    return code >= 500 && code < 600 ? permanent : EX_TEMPFAIL;
}

static int complain(struct delivery *d, const char *who, unsigned code, int permanent)
{
    if (code == 0)
        return ctl_fail(d->c, EX_TEMPFAIL, ERR_IO, "%s: the connection to the server is lost", who);
    return ctl_fail(d->c, exit_of(code, permanent), code < 500 ? ERR_BUSY : ERR_DENIED, "%s: %.*s",
                    who, SPAN_ARG(buf_span(&d->line)));
}

/* Of several: what can be tried again comes before what cannot. */
static void worse(int *result, int code)
{
    if (*result == EX_OK || code == EX_TEMPFAIL)
        *result = code;
}

/* --- the message --- */

static int read_input(struct ctl *c, struct buf *to)
{
    char piece[65536];
    for (;;) {
        ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ctl_fail(c, EX_IOERR, ERR_IO, "standard input: %s", strerror(errno));
        if (n == 0)
            return to->n ? 0
                         : ctl_fail(c, EX_NOINPUT, ERR_INVALID,
                                    "there is no message on standard input");
        buf_put(to, piece, (size_t)n);
        if (!buf_ok(to))
            return ctl_fail(c, EX_DATAERR, ERR_LIMIT, "the message is too large");
    }
}

/* Lines with CRLF or LF, without the "From " line of a mailbox file, to CRLF with dots doubled
 * (RFC 5321 section 4.5.2). */
static void encode(struct span message, struct buf *to)
{
    struct span line;
    if (span_starts(message, SPAN("From ")))
        (void)span_split(&message, '\n', &line);
    while (message.n) {
        (void)span_split(&message, '\n', &line);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n && line.p[0] == '.')
            buf_put_byte(to, '.');
        buf_put_span(to, line);
        buf_put_lit(to, "\r\n");
    }
    buf_put_lit(to, ".\r\n");
}

/* --- the dialogue --- */

static bool is_ascii(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s >= 0x80)
            return false;
    return true;
}

static void put_xtext(struct buf *to, const char *s)
{
    for (; *s; s++) {
        unsigned char b = (unsigned char)*s;
        if (b > ' ' && b < 0x7f && b != '+' && b != '=')
            buf_put_byte(to, *s);
        else
            buf_printf(to, "+%02X", b);
    }
}

/* Nothing that would end a command or an address. */
static bool address_valid(const char *s)
{
    for (const char *p = s; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f || *p == '<' || *p == '>')
            return false;
    return true;
}

static int say_sender(struct delivery *d, const char *sender)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    bool utf8 = !is_ascii(sender);
    for (size_t i = 0; i < d->c->arg_count; i++)
        utf8 = utf8 || !is_ascii(d->c->args[i]);
    buf_printf(&b, "MAIL FROM:<%s> BODY=8BITMIME%s\r\n", sender, utf8 ? " SMTPUTF8" : "");
    unsigned code = say(d, &b);
    return code == 250 ? EX_OK : complain(d, sender, code, EX_DATAERR);
}

static int say_recipients(struct delivery *d, bool *accepted, size_t *ret_n)
{
    const char *mailbox = d->c->values[OPTION_MAILBOX];
    int result = EX_OK;
    for (size_t i = 0; i < d->c->arg_count; i++) {
        autobuf b = BUF_INIT(BUF_UNLIMITED);
        buf_printf(&b, "RCPT TO:<%s>", d->c->args[i]);
        if (mailbox) {
            buf_put_lit(&b, " XMAILBOX=");
            put_xtext(&b, mailbox);
        }
        buf_put_lit(&b, "\r\n");
        unsigned code = say(d, &b);
        accepted[i] = code == 250;
        *ret_n += accepted[i];
        if (!accepted[i])
            worse(&result, complain(d, d->c->args[i], code, code == 550 ? EX_NOUSER : EX_DATAERR));
        if (!code)
            return result;
    }
    return result;
}

static int deliver(struct delivery *d, const char *sender, struct span message)
{
    bool *accepted = xcalloc(d->c->arg_count, sizeof(*accepted));
    autobuf data = BUF_INIT(BUF_UNLIMITED);
    size_t n = 0;
    unsigned code = read_reply(d);
    if (code == 220)
        code = say_line(d, SPAN("LHLO localhost"));
    int result = code == 250 ? say_sender(d, sender) : complain(d, "LHLO", code, EX_PROTOCOL);
    if (result == EX_OK)
        result = say_recipients(d, accepted, &n);
    if (n) {
        code = say_line(d, SPAN("DATA"));
        if (code != 354)
            worse(&result, complain(d, "DATA", code, EX_PROTOCOL));
        encode(message, &data);
        bool sent = code == 354 && send_all(d, buf_span(&data));
        for (size_t i = 0; code == 354 && i < d->c->arg_count; i++) {
            unsigned answer = !accepted[i] ? 250 : sent ? read_reply(d) : 0;
            if (answer != 250)
                worse(&result, complain(d, d->c->args[i], answer,
                                        answer == 552 ? EX_CANTCREAT : EX_DATAERR));
        }
        (void)send_all(d, SPAN("QUIT\r\n"));
    }
    free(accepted);
    return result;
}

/* As sendmail does: who runs the program. */
static const char *default_sender(void)
{
    const struct passwd *pw = getpwuid(getuid());
    return pw && pw->pw_name ? pw->pw_name : "";
}

int run_deliver(struct ctl *c)
{
    struct err err = {0};
    autobuf message = BUF_INIT(INPUT_MAX);
    const char *sender = ctl_has(c, OPTION_SENDER) ? c->values[OPTION_SENDER] : default_sender();
    if (strcmp(sender, "<>") == 0)
        sender = "";
    for (size_t i = 0; i < c->arg_count; i++)
        if (!address_valid(c->args[i]) || !*c->args[i])
            return ctl_fail(c, EX_USAGE, ERR_INVALID, "\"%s\" is not an address", c->args[i]);
    if (!address_valid(sender))
        return ctl_fail(c, EX_USAGE, ERR_INVALID, "\"%s\" is not an address", sender);
    if (ctl_load(c, NULL, &err))
        return ctl_fail(c, EX_CONFIG, err.code, "%s", err.text);
    int r = read_input(c, &message);
    if (r)
        return r;
    struct delivery d = {.c = c, .fd = open_connection(c->conf, &err)};
    if (d.fd < 0)
        return ctl_fail(c, EX_TEMPFAIL, err.code, "%s", err.text);
    buf_init(&d.in, BUF_UNLIMITED);
    buf_init(&d.line, BUF_UNLIMITED);
    r = deliver(&d, sender, buf_span(&message));
    close(d.fd);
    buf_done(&d.in);
    buf_done(&d.line);
    return r;
}
