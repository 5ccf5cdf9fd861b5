/* What a shell may complete: commands, options, and arguments by what the table calls them. The
 * shells' own parts (share/completion) only pass the words and show the answer. */
#include <stdio.h>

#include "auth/app_password.h"
#include "auth/users_edit.h"
#include "ipc/messages.h"
#include "tools/martletctl/access.h"
#include "tools/martletctl/ctl.h"

struct completion {
    const char *prefix;
    const char *const *words; /* without options; the command's name, then arguments */
    size_t count;
    struct ctl ctl;
    struct buf last; /* of several in order that are the same one is enough */
};

/* Lines cannot have what would end them. */
static void offer(struct completion *k, struct span candidate)
{
    bool again = k->last.n && span_eq(candidate, buf_span(&k->last));
    if (again || !span_starts(candidate, span_str(k->prefix)) ||
        span_find_byte(candidate, '\n') != SPAN_NPOS)
        return;
    printf("%.*s\n", (int)candidate.n, candidate.p);
    buf_reset(&k->last);
    buf_put_span(&k->last, candidate);
}

static const struct option_spec *find_option(const char *word)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_spec *o = &ctl_options[i];
        if (word[0] == '-' && word[1] == '-' && strcmp(word + 2, o->name) == 0)
            return o;
        if (word[0] == '-' && o->letter && word[1] == o->letter && !word[2])
            return o;
    }
    return NULL;
}

/* The next word of the names that begin with what is there. */
static void offer_commands(struct completion *k)
{
    for (size_t i = 0; i < ctl_command_count; i++) {
        struct span rest = span_str(ctl_commands[i].name), word = SPAN_EMPTY;
        bool fits = true;
        for (size_t n = 0; fits && n < k->count; n++)
            fits = span_split(&rest, ' ', &word) && span_eq(word, span_str(k->words[n]));
        if (fits && span_split(&rest, ' ', &word))
            offer(k, word);
    }
}

static void offer_options(struct completion *k, const struct command *cmd)
{
    for (int i = 0; i < OPTION_COUNT; i++) {
        autobuf b = BUF_INIT(128);
        if (i >= OPTION_GENERAL_END && (!cmd || !(cmd->options >> i & 1)))
            continue;
        buf_printf(&b, "--%s", ctl_options[i].name);
        offer(k, buf_span(&b));
    }
}

static void offer_setting(void *arg, const char *name, const char *type, const char *def,
                          const char *help)
{
    (void)type;
    (void)def;
    (void)help;
    offer(arg, span_str(name));
}

static void offer_account(void *arg, struct span text)
{
    struct span name;
    if (span_split(&text, '\t', &name))
        offer(arg, name);
}

static void offer_accounts(struct completion *k)
{
    struct server *s;
    struct err err;
    struct span text;
    if (!k->ctl.conf || server_connect(&k->ctl, &s, &err))
        return;
    (void)server_ask(s, 0, "accounts", SPAN_EMPTY, offer_account, k, &text, 1000);
    server_close(s);
}

struct keys {
    struct completion *completion;
    struct span first, second; /* their values are offered */
};

static void offer_values(void *arg, struct span text)
{
    struct keys *keys = arg;
    struct span key, value;
    while (control_args_next(&text, &key) && control_args_next(&text, &value))
        if (span_eq(key, keys->first) || span_eq(key, keys->second))
            offer(keys->completion, value);
}

/* Mailboxes of the user that is the word before, or sessions and their users. */
static void offer_key(struct completion *k, bool mailboxes)
{
    struct server *s;
    struct err err;
    struct span text;
    autobuf args = BUF_INIT(MESSAGE_MAX);
    struct keys keys = {k, mailboxes ? SPAN("mailbox") : SPAN("session"), SPAN("user")};
    if (!k->ctl.conf || k->count == 0 || server_connect(&k->ctl, &s, &err))
        return;
    struct span user = span_str(k->words[k->count - 1]);
    if (mailboxes)
        control_args_put(&args, user);
    for (unsigned i = 0; i < server_processes(s); i++)
        if (!mailboxes || i == server_process_of(s, user))
            (void)server_ask(s, i, mailboxes ? "mailboxes" : "sessions", buf_span(&args),
                             offer_values, &keys, &text, 1000);
    server_close(s);
}

static int offer_user(void *arg, const struct users_listed *u)
{
    offer(arg, u->name);
    return 0;
}

static int offer_app_password(void *arg, const struct app_password *p)
{
    offer(arg, p->id);
    return 0;
}

/* Those of the users file, whether they have mail or not. */
static void offer_users(struct completion *k)
{
    struct err err;
    if (k->ctl.conf && *k->ctl.conf->auth_users_file)
        (void)!users_edit_each(k->ctl.conf->auth_users_file, offer_user, k, &err);
}

static void offer_app_passwords(struct completion *k)
{
    struct err err;
    if (k->ctl.conf && *k->ctl.conf->auth_app_passwords_file && k->count)
        (void)!app_password_each(k->ctl.conf->auth_app_passwords_file,
                                 span_str(k->words[k->count - 1]), offer_app_password, k, &err);
}

static void offer_kind(struct completion *k, struct span kind)
{
    if (span_eq(kind, SPAN("DIR")))
        puts("@dir");
    else if (span_eq(kind, SPAN("FILE")))
        puts("@file");
    else if (span_eq(kind, SPAN("SETTING")))
        conf_each(offer_setting, k);
    else if (span_eq(kind, SPAN("MAILBOX")) || span_eq(kind, SPAN("SESSION")))
        offer_key(k, span_eq(kind, SPAN("MAILBOX")));
    else if (span_eq(kind, SPAN("APP-PASSWORD")))
        offer_app_passwords(k);
    else if (span_eq(kind, SPAN("ACCOUNT")))
        offer_accounts(k);
    else if (span_eq(kind, SPAN("USER"))) {
        offer_accounts(k);
        offer_users(k);
    }
}

/* What the n-th argument of the command is. */
static struct span kind_of(const struct command *cmd, size_t n)
{
    struct span rest = span_str(cmd->args), word = SPAN_EMPTY;
    for (size_t i = 0; span_split(&rest, ' ', &word); i++) {
        bool many = span_ends(word, SPAN("...")) || span_ends(word, SPAN("...]"));
        if (i == n || many)
            break;
    }
    size_t from = word.n && word.p[0] == '[', to = from;
    while (to < word.n && (ascii_is_alpha((unsigned char)word.p[to]) || word.p[to] == '-'))
        to++;
    return span_make(word.p + from, to - from);
}

static void offer_arguments(struct completion *k, const struct command *cmd, size_t words)
{
    size_t min, max;
    ctl_arity(cmd, &min, &max);
    if (k->count - words >= max)
        return;
    struct span kind = kind_of(cmd, k->count - words);
    if (span_eq(kind, SPAN("COMMAND"))) {
        k->words += words;
        k->count -= words;
        offer_commands(k);
        return;
    }
    offer_kind(k, kind);
}

static void load_conf(struct completion *k)
{
    struct err err;
    const char *file = k->ctl.values[OPTION_CONFIG];
    k->ctl.conf = conf_load(file ? file : MARTLET_SYSCONFDIR "/martlet/martlet.conf", &err);
    if (!k->ctl.conf && ctl_has(&k->ctl, OPTION_DIR))
        k->ctl.conf = conf_new();
    if (k->ctl.conf && ctl_has(&k->ctl, OPTION_DIR))
        k->ctl.conf->state_dir = k->ctl.values[OPTION_DIR];
}

int ctl_complete(int argc, char **argv)
{
    uint64_t at;
    if (argc < 2 || !span_to_u64(span_str(argv[0]), 10000, &at))
        return EXIT_USAGE;
    const char *const *words = (const char *const *)argv + 1;
    size_t n = (size_t)argc - 1;
    autofree const char **plain = xcalloc(n + 1, sizeof(*plain));
    struct completion k = {
        .prefix = at < n ? words[at] : "", .words = plain, .last = BUF_INIT(BUF_UNLIMITED)};
    const struct option_spec *open = NULL; /* waits for its argument */
    for (size_t i = 1; i < at && i < n; i++) {
        if (open)
            k.ctl.values[open - ctl_options] = words[i];
        const struct option_spec *o = open ? NULL : find_option(words[i]);
        if (!open && words[i][0] != '-')
            plain[k.count++] = words[i];
        open = o && o->argument ? o : NULL;
    }
    size_t named;
    const struct command *cmd = ctl_find(plain, k.count, &named);
    load_conf(&k);
    if (open) {
        offer_kind(&k,
                   open == &ctl_options[OPTION_SET] ? SPAN("SETTING") : span_str(open->argument));
    } else if (k.prefix[0] == '-') {
        offer_options(&k, cmd);
    } else {
        if (!cmd || named == k.count)
            offer_commands(&k);
        if (cmd)
            offer_arguments(&k, cmd, named);
    }
    if (k.ctl.conf)
        conf_free(k.ctl.conf);
    buf_done(&k.last);
    return EXIT_FINE;
}
