/* Directories by themselves, for tests/e2e/test_directories.py.
 *
 *     directory_probe SETTING=VALUE ...
 *
 * Lines on standard input, fields separated by tabs: "find NAME", "login NAME" (find, in order to
 * log in), "check NAME PASSWORD [SERVICE]", "token TOKEN". Each is answered with one line:
 * code, name, directory, disabled, the two SCRAM keys, application password, text of err. */
#include <signal.h>

#include "auth/directory.h"

static void print(int r, const struct directory_entry *e, const struct err *err)
{
    static const char empty[] = "";
    printf("%s\t" SPAN_FMT "\t%s\t%d\t" SPAN_FMT "\t" SPAN_FMT "\t%s\t%s\n", r ? err_name(r) : "ok",
           SPAN_ARG(buf_span(&e->name)), e->directory ? e->directory : empty, e->disabled,
           SPAN_ARG(buf_span(&e->scram[0])), SPAN_ARG(buf_span(&e->scram[1])),
           e->app_password ? e->app_password : empty, r ? err->text : empty);
    fflush(stdout);
}

static void answer(struct directories *d, struct span line)
{
    struct span field[4] = {SPAN_EMPTY, SPAN_EMPTY, SPAN_EMPTY, SPAN("imap")};
    struct directory_entry e;
    struct err err = {0};
    int r = ERR_INVALID;
    for (size_t i = 0; i < ARRAY_LEN(field) && span_split(&line, '\t', &field[i]); i++)
        ;
    directory_entry_init(&e);
    if (span_eq(field[0], SPAN("find")))
        r = directories_find(d, field[1], DIRECTORY_RECEIVE, &e, &err);
    else if (span_eq(field[0], SPAN("login")))
        r = directories_find(d, field[1], DIRECTORY_LOGIN, &e, &err);
    else if (span_eq(field[0], SPAN("check")))
        r = directories_check(d, field[1], field[2], field[3], &e, &err);
    else if (span_eq(field[0], SPAN("token")))
        r = directories_token(d, field[1], &e, &err);
    print(r, &e, &err);
    directory_entry_done(&e);
}

int main(int argc, char **argv)
{
    static char line[70000];
    struct err err = {0};
    struct conf *c = conf_new();
    struct directories *d = NULL;
    int r = 0;
    signal(SIGPIPE, SIG_IGN); /* as in every process of Martlet */
    for (int i = 1; i < argc && r == 0; i++)
        r = conf_set(c, span_str(argv[i]), &err);
    if (r == 0)
        d = directories_new(c, &err);
    conf_free(c);
    if (!d) {
        printf("%s\n", err.text);
        return 1;
    }
    printf("ready\n");
    fflush(stdout);
    while (fgets(line, sizeof(line), stdin))
        answer(d, span_head(span_str(line), span_find_byte(span_str(line), '\n')));
    directories_unref(d);
    return 0;
}
