/* Usage and help, from the table of commands. */
#include <stdio.h>

#include "tools/martletctl/ctl.h"

void ctl_arity(const struct command *cmd, size_t *ret_min, size_t *ret_max)
{
    struct span rest = span_str(cmd->args), word;
    *ret_min = *ret_max = 0;
    while (span_split(&rest, ' ', &word)) {
        if (!word.n)
            continue;
        bool many = span_find(word, SPAN("...")) != SPAN_NPOS;
        *ret_min += word.p[0] != '[';
        *ret_max = many ? SIZE_MAX : *ret_max + 1;
    }
}

/* How many words of the command's name stand at the beginning; 0 unless all do. */
static size_t name_matches(const struct command *cmd, const char *const *words, size_t n)
{
    struct span rest = span_str(cmd->name), word;
    size_t i = 0;
    while (span_split(&rest, ' ', &word)) {
        if (i == n || !span_eq(word, span_str(words[i])))
            return 0;
        i++;
    }
    return i;
}

const struct command *ctl_find(const char *const *words, size_t n, size_t *ret_words)
{
    const struct command *best = NULL;
    size_t best_words = 0;
    for (size_t i = 0; i < ctl_command_count; i++) {
        size_t k = name_matches(&ctl_commands[i], words, n);
        if (k > best_words) {
            best = &ctl_commands[i];
            best_words = k;
        }
    }
    *ret_words = best_words;
    return best;
}

static void print_option(const struct option_spec *o)
{
    autobuf b = BUF_INIT(256);
    if (o->letter)
        buf_printf(&b, "-%c, ", o->letter);
    buf_printf(&b, "--%s", o->name);
    if (o->argument)
        buf_printf(&b, " %s", o->argument);
    printf("  %-30s %s\n", b.p, o->help);
}

static void print_general_options(void)
{
    for (int i = 0; i < OPTION_GENERAL_END; i++)
        print_option(&ctl_options[i]);
}

static void put_synopsis(struct buf *b, const struct command *cmd)
{
    size_t min, max;
    ctl_arity(cmd, &min, &max);
    bool either = min && cmd->options & TAKES(ALL); /* else --all goes with arguments */
    buf_put_str(b, cmd->name);
    for (int i = OPTION_GENERAL_END; i < OPTION_COUNT; i++) {
        if ((i == OPTION_ALL && either) || !(cmd->options >> i & 1))
            continue;
        buf_printf(b, " [--%s%s%s]", ctl_options[i].name, ctl_options[i].argument ? " " : "",
                   ctl_options[i].argument ? ctl_options[i].argument : "");
    }
    if (*cmd->args)
        buf_printf(b, " %s%s", cmd->args, either ? " | --all" : "");
}

void ctl_print_usage(void)
{
    puts("martletctl [OPTION...] COMMAND [ARGUMENT...]\n");
    for (size_t i = 0; i < ctl_command_count; i++)
        printf("  %-30s %s\n", ctl_commands[i].name, ctl_commands[i].help);
    puts("\nOptions of all commands:");
    print_general_options();
    puts("\nmartletctl help COMMAND says more; martletctl(1) says all.");
}

void ctl_print_help(const struct command *cmd)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    put_synopsis(&b, cmd);
    printf("martletctl %s\n\n%s.\n", b.p, cmd->help);
    if (cmd->more)
        printf("%s\n", cmd->more);
    putchar('\n');
    for (int i = OPTION_GENERAL_END; i < OPTION_COUNT; i++)
        if (cmd->options >> i & 1)
            print_option(&ctl_options[i]);
    print_general_options();
}

static void print_json_command(const struct command *cmd)
{
    printf("{\"command\":\"%s\",\"arguments\":\"%s\",\"help\":\"%s\"}\n", cmd->name, cmd->args,
           cmd->help);
}

int ctl_run_help(struct ctl *c)
{
    size_t words;
    if (!c->arg_count) {
        if (!ctl_has(c, OPTION_JSON))
            ctl_print_usage();
        for (size_t i = 0; ctl_has(c, OPTION_JSON) && i < ctl_command_count; i++)
            print_json_command(&ctl_commands[i]);
        return EXIT_FINE;
    }
    const struct command *cmd = ctl_find(c->args, c->arg_count, &words);
    if (!cmd || words < c->arg_count) {
        bool any = false;
        for (size_t i = 0; i < ctl_command_count; i++) {
            size_t n = strlen(c->args[0]);
            if (c->arg_count == 1 && strncmp(ctl_commands[i].name, c->args[0], n) == 0 &&
                ctl_commands[i].name[n] == ' ') {
                printf("  %-30s %s\n", ctl_commands[i].name, ctl_commands[i].help);
                any = true;
            }
        }
        return any ? EXIT_FINE
                   : ctl_fail(c, EXIT_USAGE, ERR_NOT_FOUND, "there is no command \"%s\"",
                              c->args[0]);
    }
    if (ctl_has(c, OPTION_JSON))
        print_json_command(cmd);
    else
        ctl_print_help(cmd);
    return EXIT_FINE;
}
