/* Directories by themselves, for tests/e2e/test_directories.py.
 *
 *     directory_probe SETTING=VALUE ...
 *
 * Lines on standard input, fields separated by tabs: "find NAME", "login NAME" (find, in order to
 * log in), "check NAME PASSWORD [SERVICE]", "token TOKEN". Each is answered with one line:
 * code, name, directory, disabled, the two SCRAM keys, application password, text of err. A line
 * "many COUNT ..." does the rest of it so often in each of eight threads and answers with the
 * number of "ok" in place of the name. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

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

static int run(struct directories *d, struct span line, struct directory_entry *e, struct err *err)
{
    struct span field[4] = {SPAN_EMPTY, SPAN_EMPTY, SPAN_EMPTY, SPAN("imap")};
    for (size_t i = 0; i < ARRAY_LEN(field) && span_split(&line, '\t', &field[i]); i++)
        ;
    if (span_eq(field[0], SPAN("find")))
        return directories_find(d, field[1], DIRECTORY_RECEIVE, e, err);
    if (span_eq(field[0], SPAN("login")))
        return directories_find(d, field[1], DIRECTORY_LOGIN, e, err);
    if (span_eq(field[0], SPAN("check")))
        return directories_check(d, field[1], field[2], field[3], e, err);
    if (span_eq(field[0], SPAN("token")))
        return directories_token(d, field[1], e, err);
    return err_set(err, ERR_INVALID, "no such command");
}

struct many {
    struct directories *d;
    struct span line;
    uint64_t count;
    atomic_uint ok;
};

static void *run_many(void *arg)
{
    struct many *m = arg;
    for (uint64_t i = 0; i < m->count; i++) {
        struct directory_entry e;
        struct err err;
        directory_entry_init(&e);
        if (run(m->d, m->line, &e, &err) == 0)
            atomic_fetch_add(&m->ok, 1);
        directory_entry_done(&e);
    }
    return NULL;
}

static void answer(struct directories *d, struct span line)
{
    struct directory_entry e;
    struct err err = {0};
    struct span word, count;
    struct many m = {.d = d, .line = line};
    pthread_t threads[8];
    directory_entry_init(&e);
    if (span_starts(line, SPAN("many\t")) && span_split(&m.line, '\t', &word) &&
        span_split(&m.line, '\t', &count) && span_to_u64(count, 1000, &m.count)) {
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            if (pthread_create(&threads[i], NULL, run_many, &m) != 0)
                abort();
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
            pthread_join(threads[i], NULL);
        buf_put_u64(&e.name, m.ok);
        print(0, &e, &err);
    } else {
        print(run(d, line, &e, &err), &e, &err);
    }
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
