/* tools/martletctl/ctl.h: what the files of martletctl share.
 *
 * Every command is one row of the table in commands.c: usage, `help COMMAND`, the completion of
 * shells and a test of the manual page come from it. A new command is a row there, a function, and
 * a paragraph in man/martletctl.1.
 *
 * A command prints through struct table (table.h: aligned for people, an object a line with
 * --json), complains through ctl_fail, and returns an exit code. One thread. */
#ifndef TOOLS_CTL_H
#define TOOLS_CTL_H

#include "base/buf.h"
#include "base/err.h"
#include "conf/conf.h"

/* Exit codes, a contract: man/martletctl.1. (`deliver` has those of sysexits.h.) */
enum {
    EXIT_FINE = 0,
    EXIT_FINDINGS = 1, /* a check found damage, or a mistake in the configuration */
    EXIT_USAGE = 2,
    EXIT_FAILED = 3,      /* it could not be done, for some account at least */
    EXIT_UNREACHABLE = 4, /* no server, no directory, or in use without answering */
};

/* --- the table of commands --- */

enum option_id {
    OPTION_DIR,
    OPTION_CONFIG,
    OPTION_SET,
    OPTION_JSON,
    OPTION_QUIET,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_GENERAL_END, /* those above go with every command */
    OPTION_ALL = OPTION_GENERAL_END,
    OPTION_ERASE,
    OPTION_TO,
    OPTION_FROM,
    OPTION_YES,
    OPTION_PASSWORD_STDIN,
    OPTION_GENERATE,
    OPTION_SCHEME,
    OPTION_KICK,
    OPTION_WITH_MAIL,
    OPTION_PROTOCOLS,
    OPTION_EXPIRES,
    OPTION_MINUTES,
    OPTION_MAILBOX,
    OPTION_SENDER,
    OPTION_COUNT
};
#define TAKES(name) (UINT64_C(1) << OPTION_##name)

struct option_spec {
    const char *name;     /* "erase" */
    char letter;          /* 'e', or 0 */
    const char *argument; /* "DIR"; NULL: none */
    const char *help;
};
extern const struct option_spec ctl_options[OPTION_COUNT];

struct ctl;

struct command {
    const char *name; /* "accounts", "user add": words and single spaces */
    /* "USER [NAME]", "ACCOUNT...": how many there may be, and how a shell completes them. With
     * TAKES(ALL), either these or --all. Known to the completion: USER, ACCOUNT, MAILBOX, SESSION,
     * SETTING, APP-PASSWORD, FILE, DIR, COMMAND. */
    const char *args;
    uint64_t options; /* TAKES(...) | ... */
    const char *help; /* one line, no full stop */
    const char *more; /* sentences for `help COMMAND`, or NULL */
    int (*run)(struct ctl *c);
};
extern const struct command ctl_commands[];
extern const size_t ctl_command_count;

/* --- one call of the program --- */

struct ctl {
    const struct command *command;
    const char *const *args; /* after the command's name */
    size_t arg_count;
    const char *values[OPTION_COUNT]; /* NULL: not given; "" of one without argument */
    const char *sets[64];             /* -o */
    size_t set_count;
    struct conf *conf; /* see ctl_conf */
    char *user;        /* see ctl_user */
};

static inline bool ctl_has(const struct ctl *c, enum option_id o)
{
    return c->values[o] != NULL;
}

/* The configuration: file, then -o; --dir is state_dir. 0, or an exit code after a complaint. With
 * --dir and no --config, a file that is not there is as if it were empty. */
int ctl_conf(struct ctl *c) must_check;
/* The same without a complaint; file: instead of --config, or NULL. */
int ctl_load(struct ctl *c, const char *file, struct err *err) must_check;
/* Which file that is. */
const char *ctl_config_file(const struct ctl *c, const char *file);

/* Complains: on standard error, and with --json as an object on standard output. Returns exit_code.
 * error: an ERR_ code, for programs. */
int ctl_fail(struct ctl *c, int exit_code, int error, const char *fmt, ...) printf_like(4, 5);
/* It is done: a line for people (not with --quiet), {"result":"ok","text":...} for programs.
 * Returns EXIT_FINE. */
int ctl_done(struct ctl *c, const char *fmt, ...) printf_like(2, 3);
/* "Type yes": 0, or an exit code. Always asks nothing with --yes. */
int ctl_confirm(struct ctl *c, const char *question) must_check;

/* A new password: typed, from --password-stdin, or by --generate. 0 or an exit code. ctl_wipe it.
 */
int ctl_password(struct ctl *c, struct buf *to) must_check;
void ctl_wipe(struct buf *b);
/* A file that root has just made must be readable for martlet-auth. */
void ctl_give_to_auth(struct ctl *c, const char *file);

/* The first argument as the name of a user, prepared: c->user. After ctl_conf; 0 or an exit code.
 */
int ctl_user(struct ctl *c) must_check;

/* --- commands.c, main.c, complete.c --- */
void ctl_arity(const struct command *cmd, size_t *ret_min, size_t *ret_max);
/* The command whose name the words begin with (the longest such); *ret_words: of its name. */
const struct command *ctl_find(const char *const *words, size_t n, size_t *ret_words);
void ctl_print_usage(void);
void ctl_print_help(const struct command *cmd);
int ctl_run_help(struct ctl *c);
/* `martletctl --complete N WORD...`: the candidates for word N (words[0] is the program), a line
 * each; "@file" or "@dir": the shell completes names of files. */
int ctl_complete(int argc, char **argv);

/* --- the functions of the table --- */
int run_accounts_list(struct ctl *c);
int run_status(struct ctl *c);
int run_maintenance(struct ctl *c);
int run_sessions(struct ctl *c);
int run_kick(struct ctl *c);
int run_trace_on(struct ctl *c);
int run_trace_off(struct ctl *c);
int run_trace_list(struct ctl *c);
int run_stats(struct ctl *c);
int run_quarantine_list(struct ctl *c);
int run_quarantine_release(struct ctl *c);
int run_user_add(struct ctl *c);
int run_user_list(struct ctl *c);
int run_user_passwd(struct ctl *c);
int run_user_disable(struct ctl *c);
int run_user_enable(struct ctl *c);
int run_user_delete(struct ctl *c);
int run_app_password_add(struct ctl *c);
int run_app_password_list(struct ctl *c);
int run_app_password_revoke(struct ctl *c);
int run_config_check(struct ctl *c);
int run_config_show(struct ctl *c);
int run_deliver(struct ctl *c);
int run_mailbox_list(struct ctl *c);
int run_mailbox_stat(struct ctl *c);
int run_mailbox_create(struct ctl *c);
int run_mailbox_rename(struct ctl *c);
int run_mailbox_delete(struct ctl *c);
int run_quota_show(struct ctl *c);
int run_quota_set(struct ctl *c);
int run_quota_root(struct ctl *c);
int run_group_list(struct ctl *c);
int run_group_add(struct ctl *c);
int run_group_remove(struct ctl *c);
int run_acl_get(struct ctl *c);
int run_acl_set(struct ctl *c);
int run_acl_delete(struct ctl *c);

#endif
