/* martletctl: the administrator's hand (man/martletctl.1). */
#include <errno.h>
#include <getopt.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "conf/conf.h"
#include "tools/martletctl/ctl.h"

static const char usage_text[] =
    "martletctl [--dir DIR | -c FILE] COMMAND [OPTIONS] [ACCOUNT... | --all]\n"
    "\n"
    "  accounts               list the accounts\n"
    "  status                 what the server is doing\n"
    "  check                  verify every checksum, and the index against the log\n"
    "  rebuild                throw the index away and derive it anew\n"
    "  compact [--erase]      free the space of deleted messages (at once, beyond recovery)\n"
    "  checkpoint             make the next start after a power failure quick\n"
    "  backup --to DIR        copy to DIR/ACCOUNT, what is new since the last time\n"
    "  restore --from DIR     put back what is in DIR/ACCOUNT\n"
    "\n"
    "  --dir DIR              the server's state_dir (else from martlet.conf)\n"
    "  -c, --config FILE      martlet.conf\n"
    "  --all                  every account\n"
    "  --json                 an object a line, for programs\n"
    "  -q, --quiet            only what is wrong\n";

static const struct command {
    const char *name;
    bool on_accounts, wants_dir;
} commands[] = {{"accounts", false, false}, {"status", false, false}, {"check", true, false},
                {"rebuild", true, false},   {"compact", true, false}, {"checkpoint", true, false},
                {"backup", true, true},     {"restore", true, true}};

static int usage(const char *why)
{
    fprintf(stderr, "martletctl: %s\nTry martletctl --help.\n", why);
    return EXIT_USAGE;
}

/* --- names as directories --- */

/* Letters, digits and @.-_+ as they are, all else as %XX; a leading dot, too. */
static void put_directory(struct buf *to, const char *account)
{
    for (const char *p = account; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain = ascii_is_alpha(c) || ascii_is_digit(c) || strchr("@.-_+", c);
        if (plain && !(c == '.' && p == account))
            buf_put_byte(to, (char)c);
        else
            buf_printf(to, "%%%02X", c);
    }
}

/* --- lists --- */

struct names {
    char **v;
    size_t n, width;
};

static void add_name(struct names *names, struct span name)
{
    names->v = xrealloc_array(names->v, names->n + 1, sizeof(char *));
    names->v[names->n++] = span_dup(name);
    names->width = MAX(names->width, name.n);
}

static void collect_name(void *arg, struct span name, struct span id)
{
    (void)id;
    add_name(arg, name);
}

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->v[i]);
    free(names->v);
}

struct printing {
    const struct options *options;
    const char *first, *second;
    size_t count;
};

static void print_pair(void *arg, struct span a, struct span b)
{
    struct printing *p = arg;
    autobuf line = BUF_INIT(BUF_UNLIMITED);
    p->count++;
    if (!p->options->json) {
        printf("%-32.*s  %.*s\n", (int)a.n, a.p, (int)b.n, b.p);
        return;
    }
    buf_printf(&line, "{\"%s\":", p->first);
    json_string(&line, a);
    buf_printf(&line, ",\"%s\":", p->second);
    json_string(&line, b);
    printf("%s}\n", line.p);
}

/* --- running --- */

static int run_accounts(struct access *access, const struct options *o)
{
    struct names names = {0};
    struct report report;
    struct err err = {0};
    for (size_t i = 0; i < o->account_count; i++)
        add_name(&names, span_str(o->accounts[i]));
    if (o->all && access->accounts(access->ctx, collect_name, &names, &err)) {
        fprintf(stderr, "martletctl: %s\n", err.text);
        names_done(&names);
        return EXIT_FAILED;
    }
    report_init(&report, o, names.width);
    for (size_t i = 0; i < names.n; i++) {
        autobuf dir = BUF_INIT(BUF_UNLIMITED);
        if (o->dir) {
            buf_printf(&dir, "%s/", o->dir);
            put_directory(&dir, names.v[i]);
        }
        access->run(access->ctx, names.v[i], o->dir ? dir.p : NULL, &report);
    }
    names_done(&names);
    return report_finish(&report);
}

static int run_list(struct access *access, const struct options *o)
{
    bool accounts = strcmp(o->verb, "accounts") == 0;
    struct printing p = {o, accounts ? "account" : "key", accounts ? "id" : "value", 0};
    struct err err = {0};
    int rc = accounts ? access->accounts(access->ctx, print_pair, &p, &err)
                      : access->status(access->ctx, print_pair, &p, &err);
    if (rc == 0)
        return EXIT_FINE;
    fprintf(stderr, "martletctl: %s\n", err.text);
    return EXIT_FAILED;
}

static int open_access(const struct options *o, struct access *ret)
{
    struct err err = {0};
    int rc = remote_open(o, ret, &err);
    if (rc == ERR_NOT_FOUND)
        rc = local_open(o, ret, &err);
    if (rc)
        fprintf(stderr, "martletctl: %s\n", err.text);
    return rc;
}

static int run(const struct options *o, const struct command *c)
{
    struct access access;
    if (o->dir && strcmp(o->verb, "backup") == 0 && mkdir(o->dir, 0700) && errno != EEXIST) {
        fprintf(stderr, "martletctl: %s: %s\n", o->dir, strerror(errno));
        return EXIT_FAILED;
    }
    if (open_access(o, &access))
        return EXIT_UNREACHABLE;
    int code = c->on_accounts ? run_accounts(&access, o) : run_list(&access, o);
    access.close(access.ctx);
    return code;
}

/* --- the command line --- */

static int parse(int argc, char **argv, struct options *o, const char **config)
{
    static const struct option longs[] = {
        {"dir", required_argument, NULL, 'd'},  {"config", required_argument, NULL, 'c'},
        {"all", no_argument, NULL, 'a'},        {"json", no_argument, NULL, 'j'},
        {"erase", no_argument, NULL, 'e'},      {"to", required_argument, NULL, 't'},
        {"from", required_argument, NULL, 't'}, {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},       {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "c:qh", longs, NULL)) != -1;) {
        switch (c) {
        case 'd':
            o->state_dir = optarg;
            break;
        case 'c':
            *config = optarg;
            break;
        case 'a':
            o->all = true;
            break;
        case 'j':
            o->json = true;
            break;
        case 'e':
            o->erase = true;
            break;
        case 't':
            o->dir = optarg;
            break;
        case 'q':
            o->quiet = true;
            break;
        case 'h':
            fputs(usage_text, stdout);
            exit(EXIT_FINE);
        default:
            return EXIT_USAGE;
        }
    }
    if (optind < argc)
        o->verb = argv[optind++];
    o->accounts = (const char *const *)(argv + optind);
    o->account_count = (size_t)(argc - optind);
    return 0;
}

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; name && i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static const char *complaint(const struct options *o, const struct command *c)
{
    if (!c)
        return o->verb ? "unknown command" : "a command is missing";
    if (c->on_accounts && o->all == (o->account_count > 0))
        return "either accounts or --all";
    if (!c->on_accounts && (o->all || o->account_count))
        return "this command takes no accounts";
    if (c->wants_dir != (o->dir != NULL))
        return c->wants_dir ? "a directory is missing (--to, --from)"
                            : "--to and --from are for backup and restore";
    if (o->erase && strcmp(c->name, "compact") != 0)
        return "--erase is for compact";
    return NULL;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    struct err err = {0};
    const char *config = MARTLET_SYSCONFDIR "/martlet/martlet.conf";
    if (parse(argc, argv, &o, &config))
        return EXIT_USAGE;
    const struct command *c = find_command(o.verb);
    const char *why = complaint(&o, c);
    if (why)
        return usage(why);
    struct conf *conf = NULL;
    if (!o.state_dir) {
        conf = conf_load(config, &err);
        if (!conf) {
            fprintf(stderr, "martletctl: %s\n", err.text);
            return EXIT_UNREACHABLE;
        }
        o.state_dir = conf->state_dir;
    }
    autobuf dir = BUF_INIT(BUF_UNLIMITED);
    if (o.dir && o.dir[0] != '/') { /* the server does not know where we are */
        autofree char *here = getcwd(NULL, 0);
        buf_printf(&dir, "%s/%s", here ? here : "", o.dir);
        o.dir = dir.p;
    }
    int code = run(&o, c);
    conf_free(conf);
    return code;
}
