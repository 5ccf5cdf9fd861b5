/* Every command and every option of martletctl. */
#include "tools/martletctl/ctl.h"

const struct option_spec ctl_options[OPTION_COUNT] = {
    [OPTION_DIR] = {"dir", 0, "DIR", "the server's state_dir (else from the configuration)"},
    [OPTION_CONFIG] = {"config", 'c', "FILE", "the configuration file"},
    [OPTION_SET] = {"option", 'o', "SETTING=VALUE", "one more setting, after the file"},
    [OPTION_JSON] = {"json", 0, NULL, "for programs: an object a line"},
    [OPTION_QUIET] = {"quiet", 'q', NULL, "say only what is wrong"},
    [OPTION_HELP] = {"help", 'h', NULL, "this text, or the command's"},
    [OPTION_VERSION] = {"version", 0, NULL, "the version"},
    [OPTION_ALL] = {"all", 0, NULL, "every one"},
    [OPTION_ERASE] = {"erase", 0, NULL, "at once and beyond recovery"},
    [OPTION_TO] = {"to", 0, "DIR", "where backups go"},
    [OPTION_FROM] = {"from", 0, "DIR", "where backups are"},
    [OPTION_YES] = {"yes", 'y', NULL, "do not ask"},
    [OPTION_PASSWORD_STDIN] = {"password-stdin", 0, NULL,
                               "the password is a line of standard input"},
    [OPTION_GENERATE] = {"generate", 0, NULL, "make a password and show it"},
    [OPTION_SCHEME] = {"scheme", 0, "SCHEME", "how it is stored: yescrypt+scram, argon2id, ..."},
    [OPTION_KICK] = {"kick", 0, NULL, "end the user's sessions, too"},
    [OPTION_WITH_MAIL] = {"with-mail", 0, NULL, "delete the account with all its mail, too"},
    [OPTION_PROTOCOLS] = {"protocols", 0, "LIST", "for these only: imap,smtp"},
    [OPTION_EXPIRES] = {"expires", 0, "WHEN", "90d, 12h, 2w, or a day: 2030-12-31"},
    [OPTION_MINUTES] = {"minutes", 0, "N", "for how long (default: 15)"},
    [OPTION_MAILBOX] = {"mailbox", 0, "NAME", "into this mailbox, if there is one"},
    [OPTION_SENDER] = {"sender", 'f', "ADDRESS", "envelope sender (default: your login name)"},
};

const struct command ctl_commands[] = {
    {"help", "[COMMAND...]", 0, "what a command does and takes", NULL, ctl_run_help},

    {"status", "", 0, "what each mail process is doing", NULL, run_status},
    {"accounts", "", 0, "list the accounts", NULL, run_accounts_list},

    {"stats", "[ACCOUNT...]", TAKES(ALL), "the server and its processes, or accounts",
     "Without ACCOUNT or --all: sessions, deliveries, sizes, and the memory of each process.",
     run_stats},

    {"check", "ACCOUNT...", TAKES(ALL), "verify every checksum, and the index against the log",
     "Changes nothing. Damage is told with its place.", run_maintenance},
    {"rebuild", "ACCOUNT...", TAKES(ALL), "throw the index away and derive it anew", NULL,
     run_maintenance},
    {"compact", "ACCOUNT...", TAKES(ALL) | TAKES(ERASE), "free the space of deleted messages",
     "The server does this by itself when more than half of an account's log is dead.",
     run_maintenance},
    {"checkpoint", "ACCOUNT...", TAKES(ALL), "make the next start after a power failure quick",
     NULL, run_maintenance},
    {"backup", "ACCOUNT...", TAKES(ALL) | TAKES(TO), "copy to DIR/ACCOUNT what is new there",
     "The accounts may be in use. An interrupted backup leaves the earlier one usable.",
     run_maintenance},
    {"restore", "ACCOUNT...", TAKES(ALL) | TAKES(FROM), "put back what is in DIR/ACCOUNT",
     "The accounts must not be in use.", run_maintenance},

    {"user add", "NEW-USER", TAKES(PASSWORD_STDIN) | TAKES(GENERATE) | TAKES(SCHEME),
     "add a user to the users file",
     "The password is typed twice, or see --password-stdin and --generate; it is never an "
     "argument.",
     run_user_add},
    {"user list", "", 0, "the users of the users file", NULL, run_user_list},
    {"user passwd", "USER", TAKES(PASSWORD_STDIN) | TAKES(GENERATE) | TAKES(SCHEME) | TAKES(KICK),
     "change a user's password", NULL, run_user_passwd},
    {"user disable", "USER", 0, "let a user log in no more, and end its sessions",
     "Mail is still delivered.", run_user_disable},
    {"user enable", "USER", 0, "let a user log in again", NULL, run_user_enable},
    {"user delete", "USER", TAKES(WITH_MAIL) | TAKES(YES), "remove a user from the users file",
     "Its sessions end, its app passwords go. With --with-mail the account and all its mail go, "
     "too\n"
     "(it asks before, unless --yes is given), also of a user that another directory has.",
     run_user_delete},
    {"user app-password add", "USER NAME", TAKES(PROTOCOLS) | TAKES(EXPIRES),
     "make a password for one program of a user", "It is shown once. NAME says what it is for.",
     run_app_password_add},
    {"user app-password list", "[USER]", 0, "app passwords, without the passwords", NULL,
     run_app_password_list},
    {"user app-password revoke", "USER APP-PASSWORD", 0,
     "make an app password invalid (by its id or name)", NULL, run_app_password_revoke},

    {"config check", "[FILE]", 0, "look for mistakes in the configuration",
     "Without FILE: the one that the server reads.", run_config_check},
    {"config show", "[SETTING...]", TAKES(ALL), "settings in effect, and where each comes from",
     "Those that are not at their defaults; with --all, all. SETTING may be a section.",
     run_config_show},

    {"sessions", "[USER]", 0, "who is logged in, from where, and doing what", NULL, run_sessions},
    {"kick", "SESSION", 0, "end a session, or all of a user (SESSION: its id, or USER)",
     "The client is told with a BYE. It may connect again: disable the user to keep it out.",
     run_kick},

    {"trace on", "USER", TAKES(MINUTES), "write down what a user's sessions say and are told",
     "Into state_dir/trace, a file a session, without messages and passwords.", run_trace_on},
    {"trace off", "USER", 0, "stop writing it down", "The files stay.", run_trace_off},
    {"trace list", "", 0, "whose sessions are being traced", NULL, run_trace_list},

    {"quarantine list", "", 0, "accounts refused because their process crashed repeatedly", NULL,
     run_quarantine_list},
    {"quarantine release", "ACCOUNT", 0, "serve such an account again", NULL,
     run_quarantine_release},

    {"deliver", "USER...", TAKES(MAILBOX) | TAKES(SENDER), "deliver a message from standard input",
     "By LMTP, for pipes and .forward files. Exit codes are those of sysexits.h: 75 (EX_TEMPFAIL) "
     "means\n"
     "to try again. A user may be an address, as user+detail.",
     run_deliver},

    {"mailbox list", "USER", 0, "the mailboxes of a user", NULL, run_mailbox_list},
    {"mailbox stat", "USER MAILBOX", 0, "messages, sizes and numbers of a mailbox", NULL,
     run_mailbox_stat},
    {"mailbox create", "USER MAILBOX", 0, "make a mailbox", "Levels are separated by \"/\".",
     run_mailbox_create},
    {"mailbox rename", "USER MAILBOX NEW-NAME", 0, "rename a mailbox, with those below it", NULL,
     run_mailbox_rename},
    {"mailbox delete", "USER MAILBOX", TAKES(YES), "delete a mailbox and its messages",
     "Mailboxes below it stay. Asks before, unless --yes is given.", run_mailbox_delete},
    {"quota show", "USER", 0, "what a user's mail takes, and may take",
     "Storage is in octets. DEFAULT: the limit is that of the configuration.", run_quota_show},
    {"quota set", "USER RESOURCE LIMIT [ROOT]", 0, "set a limit of a user",
     "RESOURCE is storage, messages, mailboxes or annotation-storage. LIMIT is a number (10gb), "
     "none, or default: what the configuration says. ROOT: of this quota root of the user.",
     run_quota_set},
    {"quota root", "USER MAILBOX [ROOT]", 0, "give a mailbox to a quota root",
     "With those below it. A root that is missing is made, without limits; one that no mailbox "
     "has goes. Without ROOT, or with the user's name: the user's own one.",
     run_quota_root},

    {"group list", "[GROUP]", 0, "who belongs to which group", NULL, run_group_list},
    {"group add", "GROUP USER...", 0, "make users members of a group",
     "Access control lists call it group:GROUP. A group is its members: it needs not be made.",
     run_group_add},
    {"group remove", "GROUP USER...", 0, "members of a group are so no longer", NULL,
     run_group_remove},
    {"acl get", "USER MAILBOX", 0, "who may do what with a mailbox of a user", NULL, run_acl_get},
    {"acl set", "USER MAILBOX IDENTIFIER RIGHTS", 0, "give rights to a mailbox of a user",
     "IDENTIFIER is a user, anyone, or group:GROUP; with \"-\" before it, it takes rights away.\n"
     "RIGHTS are letters of lrswipkxtea; +LETTERS adds to those that there are, -LETTERS takes "
     "away.\n"
     "Where an argument begins with \"-\", -- goes before the first one.",
     run_acl_set},
    {"acl delete", "USER MAILBOX IDENTIFIER", 0, "remove an entry of an access control list", NULL,
     run_acl_delete},
};

const size_t ctl_command_count = ARRAY_LEN(ctl_commands);
