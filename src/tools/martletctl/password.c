/* Passwords from people: typed without echo, from standard input, or made here. Never from the
 * command line, which others can see. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/random.h"
#include "tools/martletctl/ctl.h"

enum { PASSWORD_LINE_MAX = 1024 };

void ctl_wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_reset(b);
}

/* One line without its end. False: there is none. */
static bool read_line(struct buf *to)
{
    char line[PASSWORD_LINE_MAX];
    bool any = fgets(line, sizeof(line), stdin) != NULL;
    if (any)
        buf_put(to, line, strcspn(line, "\r\n"));
    explicit_bzero(line, sizeof(line));
    return any;
}

static int type_once(struct ctl *c, const char *prompt, struct buf *to)
{
    struct termios before, silent;
    if (tcgetattr(STDIN_FILENO, &before))
        return ctl_fail(c, EXIT_FAILED, ERR_IO, "the terminal: %s", strerror(errno));
    silent = before;
    silent.c_lflag &= (tcflag_t)~ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fputs(prompt, stderr);
    fflush(stderr);
    bool any = read_line(to);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    fputc('\n', stderr);
    return any ? 0 : ctl_fail(c, EXIT_FAILED, ERR_INVALID, "nothing was typed");
}

static int type_password(struct ctl *c, struct buf *to)
{
    autobuf again = BUF_INIT(PASSWORD_LINE_MAX);
    int code = type_once(c, "New password: ", to);
    if (code == 0)
        code = type_once(c, "The same again: ", &again);
    if (code == 0 && !span_eq(buf_span(to), buf_span(&again)))
        code = ctl_fail(c, EXIT_FAILED, ERR_INVALID, "the two are not the same; nothing was done");
    ctl_wipe(&again);
    return code;
}

/* 100 bits, in letters and digits that cannot be taken for others. */
static void generate(struct buf *to)
{
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    unsigned char random[20];
    random_bytes(random, sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        if (i && i % 5 == 0)
            buf_put_byte(to, '-');
        buf_put_byte(to, letters[random[i] % (sizeof(letters) - 1)]);
    }
}

int ctl_password(struct ctl *c, struct buf *to)
{
    if (ctl_has(c, OPTION_GENERATE) && ctl_has(c, OPTION_PASSWORD_STDIN))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "either --generate or --password-stdin");
    int code = 0;
    if (ctl_has(c, OPTION_GENERATE))
        generate(to);
    else if (ctl_has(c, OPTION_PASSWORD_STDIN))
        code = read_line(to)
                   ? 0
                   : ctl_fail(c, EXIT_USAGE, ERR_INVALID, "there is no line on standard input");
    else if (isatty(STDIN_FILENO))
        code = type_password(c, to);
    else
        code = ctl_fail(c, EXIT_USAGE, ERR_INVALID,
                        "standard input is not a terminal: say --password-stdin or --generate");
    if (code == 0 && to->n == 0)
        code = ctl_fail(c, EXIT_FAILED, ERR_INVALID, "the password is empty; nothing was done");
    return code;
}
