/* martletctl: the administrator's hand (man/martletctl.1). The command line, and what every command
 * needs. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tools/martletctl/ctl.h"
#include "tools/martletctl/table.h"

static const char default_config[] = MARTLET_SYSCONFDIR "/martlet/martlet.conf";

/* --- complaints --- */

int ctl_fail(struct ctl *c, int exit_code, int error, const char *fmt, ...)
{
    autobuf text = BUF_INIT(BUF_UNLIMITED), shown = BUF_INIT(BUF_UNLIMITED);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    put_printable(&shown, buf_span(&text));
    fflush(stdout);
    fprintf(stderr, "martletctl: %s\n", shown.n ? shown.p : err_name(error));
    if (exit_code == EXIT_USAGE && c->command)
        fprintf(stderr, "Try martletctl help %s.\n", c->command->name);
    else if (exit_code == EXIT_USAGE)
        fputs("Try martletctl --help.\n", stderr);
    if (ctl_has(c, OPTION_JSON) && exit_code != EXIT_USAGE) {
        autobuf json = BUF_INIT(BUF_UNLIMITED);
        buf_printf(&json, "{\"result\":\"failed\",\"error\":\"%s\",\"text\":", err_name(error));
        json_string(&json, buf_span(&text));
        printf("%s}\n", json.p);
        fflush(stdout);
    }
    return exit_code;
}

int ctl_done(struct ctl *c, const char *fmt, ...)
{
    autobuf text = BUF_INIT(BUF_UNLIMITED), shown = BUF_INIT(BUF_UNLIMITED);
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (ctl_has(c, OPTION_JSON)) {
        buf_put_lit(&shown, "{\"result\":\"ok\",\"text\":");
        json_string(&shown, buf_span(&text));
        buf_put_byte(&shown, '}');
        puts(shown.p);
    } else if (!ctl_has(c, OPTION_QUIET)) {
        put_printable(&shown, buf_span(&text));
        puts(shown.p);
    }
    return EXIT_FINE;
}

int ctl_confirm(struct ctl *c, const char *question)
{
    char line[32];
    if (ctl_has(c, OPTION_YES))
        return 0;
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "%s There is nobody to ask: say --yes.",
                        question);
    fprintf(stderr, "%s Type yes to go on: ", question);
    fflush(stderr);
    if (fgets(line, sizeof(line), stdin) && span_ieq(span_trim(span_str(line)), SPAN("yes")))
        return 0;
    return ctl_fail(c, EXIT_FAILED, ERR_DENIED, "nothing was done");
}

/* --- configuration --- */

const char *ctl_config_file(const struct ctl *c, const char *file)
{
    if (!file)
        file = c->values[OPTION_CONFIG];
    return file ? file : default_config;
}

int ctl_load(struct ctl *c, const char *file, struct err *err)
{
    if (!file)
        file = c->values[OPTION_CONFIG];
    bool optional = !file && ctl_has(c, OPTION_DIR) && access(default_config, R_OK);
    struct conf *conf = optional ? conf_new() : conf_load(ctl_config_file(c, file), err);
    for (size_t i = 0; conf && i < c->set_count; i++) {
        if (conf_set(conf, span_str(c->sets[i]), err)) {
            conf_free(conf);
            conf = NULL;
        }
    }
    if (!conf)
        return err->code;
    if (ctl_has(c, OPTION_DIR))
        conf->state_dir = c->values[OPTION_DIR];
    c->conf = conf;
    return 0;
}

int ctl_conf(struct ctl *c)
{
    struct err err = {0};
    if (c->conf || ctl_load(c, NULL, &err) == 0)
        return 0;
    return ctl_fail(c, EXIT_UNREACHABLE, err.code, "%s", err.text);
}

/* --- the command line --- */

enum { LETTER_BASE = 256 };

static void make_getopt(struct option *ret_long, struct buf *ret_short)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_spec *o = &ctl_options[i];
        ret_long[i] = (struct option){o->name, o->argument ? required_argument : no_argument, NULL,
                                      LETTER_BASE + i};
        if (o->letter)
            buf_put_byte(ret_short, o->letter);
        if (o->letter && o->argument)
            buf_put_byte(ret_short, ':');
    }
}

static int option_of(int got)
{
    for (int i = 0; i < OPTION_COUNT; i++)
        if (got == LETTER_BASE + i || (ctl_options[i].letter && got == ctl_options[i].letter))
            return i;
    return -1;
}

/* -1: wrong, and getopt has said so. */
static int read_options(struct ctl *c, int argc, char **argv)
{
    struct option longs[OPTION_COUNT + 1] = {{0}};
    autobuf shorts = BUF_INIT(256);
    make_getopt(longs, &shorts);
    for (int got; (got = getopt_long(argc, argv, shorts.p, longs, NULL)) != -1;) {
        int o = option_of(got);
        if (o < 0)
            return -1;
        c->values[o] = optarg ? optarg : "";
        if (o != OPTION_SET)
            continue;
        if (c->set_count == ARRAY_LEN(c->sets)) {
            fputs("martletctl: too many -o\n", stderr);
            return -1;
        }
        c->sets[c->set_count++] = optarg;
    }
    c->args = (const char *const *)(argv + optind);
    c->arg_count = (size_t)(argc - optind);
    return 0;
}

static int check_options(struct ctl *c)
{
    for (int i = OPTION_GENERAL_END; i < OPTION_COUNT; i++)
        if (c->values[i] && !(c->command->options >> i & 1))
            return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "%s does not take --%s", c->command->name,
                            ctl_options[i].name);
    return 0;
}

static int check_arguments(struct ctl *c)
{
    size_t min, max;
    const struct command *cmd = c->command;
    ctl_arity(cmd, &min, &max);
    if (min && cmd->options & TAKES(ALL)) {
        if (ctl_has(c, OPTION_ALL) != (c->arg_count == 0))
            return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "%s: either names or --all", cmd->name);
        return 0;
    }
    if (c->arg_count < min)
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "%s: an argument is missing: %s", cmd->name,
                        cmd->args);
    if (c->arg_count > max)
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "%s: one argument too many: \"%s\"", cmd->name,
                        c->args[max]);
    return 0;
}

/* A group of commands that a single word begins: "user". */
static bool is_group(const char *word)
{
    size_t n = strlen(word);
    for (size_t i = 0; i < ctl_command_count; i++)
        if (strncmp(ctl_commands[i].name, word, n) == 0 && ctl_commands[i].name[n] == ' ')
            return true;
    return false;
}

static int complain_of_command(struct ctl *c)
{
    if (!c->arg_count)
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "a command is missing");
    if (!is_group(c->args[0]))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "there is no command \"%s\"", c->args[0]);
    autobuf known = BUF_INIT(BUF_UNLIMITED);
    for (size_t i = 0; i < ctl_command_count; i++) {
        size_t n = strlen(c->args[0]);
        const char *name = ctl_commands[i].name;
        if (strncmp(name, c->args[0], n) == 0 && name[n] == ' ')
            buf_printf(&known, "%s%s", known.n ? ", " : "", name);
    }
    return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "which one: %s?", known.p);
}

static int run(struct ctl *c, int argc, char **argv)
{
    size_t words;
    if (read_options(c, argc, argv))
        return ctl_fail(c, EXIT_USAGE, ERR_INVALID, "the command line is wrong");
    if (ctl_has(c, OPTION_VERSION)) {
        puts("martletctl " MARTLET_VERSION);
        return EXIT_FINE;
    }
    c->command = ctl_find(c->args, c->arg_count, &words);
    if (ctl_has(c, OPTION_HELP)) {
        if (c->command)
            ctl_print_help(c->command);
        else
            ctl_print_usage();
        return EXIT_FINE;
    }
    if (!c->command)
        return complain_of_command(c);
    c->args += words;
    c->arg_count -= words;
    int code = check_options(c);
    if (code == 0)
        code = check_arguments(c);
    return code ? code : c->command->run(c);
}

int main(int argc, char **argv)
{
    struct ctl c = {0};
    setlocale(LC_TIME, "C");
    if (argc > 1 && strcmp(argv[1], "--complete") == 0)
        return ctl_complete(argc - 2, argv + 2);
    int code = run(&c, argc, argv);
    if (c.conf)
        conf_free(c.conf);
    free(c.user);
    if (fflush(stdout) || ferror(stdout)) {
        fprintf(stderr, "martletctl: standard output: %s\n", strerror(errno));
        return code ? code : EXIT_FAILED;
    }
    return code;
}
