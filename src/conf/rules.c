#include "conf/rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/network.h"
#include "conf/conf_int.h"

struct check {
    const struct conf *conf;
    void (*each)(void *arg, const struct conf_problem *p);
    void *arg;
    size_t mistakes;
};

static void report(struct check *k, bool warning, const char *setting, const char *fmt, va_list ap)
{
    const struct conf_origin *o = conf_origin(k->conf, setting);
    autobuf text = BUF_INIT(4096);
    invariant(o);
    if (o->kind == CONF_FROM_FILE)
        buf_printf(&text, "%s:%u: ", o->file, o->line);
    else
        buf_put_str(&text, o->kind == CONF_FROM_OPTION ? "-o: " : "default: ");
    buf_printf(&text, "%s: ", setting);
    buf_vprintf(&text, fmt, ap);
    k->mistakes += !warning;
    k->each(k->arg, &(struct conf_problem){warning, setting, *o, text.p});
}

static printf_like(3, 4) void mistake(struct check *k, const char *setting, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(k, false, setting, fmt, ap);
    va_end(ap);
}

static printf_like(3, 4) void warn(struct check *k, const char *setting, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    report(k, true, setting, fmt, ap);
    va_end(ap);
}

/* --- listeners --- */

struct endpoint {
    const char *setting, *text;
    bool path, any, loopback, good;
    uint16_t port;
    int family;
    unsigned char address[16];
};

static struct endpoint endpoint_of(const char *setting, const char *text)
{
    struct endpoint e = {.setting = setting, .text = text};
    struct span host;
    if (text[0] == '/') {
        e.path = e.good = e.loopback = true;
        return e;
    }
    if (!conf_split_listen(span_str(text), &host, &e.port))
        return e;
    autofree char *name = span_dup(host);
    e.any = strcmp(name, "*") == 0;
    e.family = e.any ? AF_UNSPEC : strchr(name, ':') ? AF_INET6 : AF_INET;
    e.good = e.any || inet_pton(e.family, name, e.address) == 1;
    static const unsigned char zero[16], one[16] = {[15] = 1};
    if (e.good && !e.any) {
        e.any = memcmp(e.address, zero, e.family == AF_INET ? 4 : 16) == 0;
        e.loopback = e.family == AF_INET ? e.address[0] == 127 : memcmp(e.address, one, 16) == 0;
    }
    return e;
}

static bool overlap(const struct endpoint *a, const struct endpoint *b)
{
    if (a->path || b->path)
        return a->path && b->path && strcmp(a->text, b->text) == 0;
    if (a->port != b->port || a->port == 0)
        return false;
    if ((a->any && a->family == AF_UNSPEC) || (b->any && b->family == AF_UNSPEC))
        return true;
    if (a->family != b->family)
        return false;
    return a->any || b->any || memcmp(a->address, b->address, 16) == 0;
}

static size_t all_endpoints(const struct conf *c, struct endpoint *ret, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < conf_setting_count; i++) {
        const struct setting *s = &conf_settings[i];
        const struct conf_list *l = conf_field(c, s);
        for (size_t k = 0; s->type == CONF_LISTEN && k < l->count && n < max; k++)
            ret[n++] = endpoint_of(s->name, l->items[k]);
    }
    return n;
}

enum { ENDPOINTS_MAX = 256 };

static void check_listeners(struct check *k)
{
    struct endpoint e[ENDPOINTS_MAX];
    size_t n = all_endpoints(k->conf, e, ARRAY_LEN(e));
    for (size_t i = 0; i < n; i++) {
        if (!e[i].good)
            mistake(k, e[i].setting,
                    "\"%s\" does not begin with an IP address; allowed are such as 192.0.2.1:143, "
                    "[2001:db8::1]:143 and *:143",
                    e[i].text);
        for (size_t m = 0; m < i; m++)
            if (e[i].good && e[m].good && overlap(&e[i], &e[m]))
                mistake(k, e[i].setting, "%s is taken already by %s in %s", e[i].text, e[m].text,
                        e[m].setting);
    }
    const struct conf *c = k->conf;
    if (c->imap_listen.count + c->imaps_listen.count + c->lmtp_listen.count +
            c->proxy_imap_listen.count + c->proxy_imaps_listen.count ==
        0)
        mistake(k, "imap.listen",
                "the server would listen nowhere: imap.listen, imaps.listen and lmtp.listen are "
                "all empty");
}

/* A password that opens everything must not be reachable from another host. */
static void check_any_user(struct check *k)
{
    struct endpoint e[ENDPOINTS_MAX];
    size_t n = all_endpoints(k->conf, e, ARRAY_LEN(e));
    for (size_t i = 0; *k->conf->auth_any_user_password && i < n; i++) {
        if (e[i].loopback)
            continue;
        mistake(k, "auth.any_user_password",
                "it is for tests, and refused because %s (%s) is not a loopback address", e[i].text,
                e[i].setting);
        return;
    }
}

/* It asks for no password. */
static void check_metrics(struct check *k)
{
    for (size_t i = 0; i < k->conf->metrics_listen.count; i++) {
        struct endpoint e = endpoint_of("metrics.listen", k->conf->metrics_listen.items[i]);
        if (e.good && !e.loopback)
            mistake(k, "metrics.listen",
                    "%s can be reached from other hosts; allowed are loopback addresses such as "
                    "127.0.0.1:9143",
                    e.text);
    }
}

static void check_mode(struct check *k, const char *setting, const char *mode)
{
    if (strspn(mode, "01234567") != strlen(mode) || strlen(mode) > 4 || !*mode)
        mistake(k, setting, "\"%s\" is not a mode; allowed are such as 0660", mode);
}

/* LMTP trusts whoever connects. */
static void check_lmtp(struct check *k)
{
    check_mode(k, "lmtp.socket_mode", k->conf->lmtp_socket_mode);
    for (size_t i = 0; i < k->conf->lmtp_listen.count; i++) {
        struct endpoint e = endpoint_of("lmtp.listen", k->conf->lmtp_listen.items[i]);
        if (e.good && !e.loopback)
            warn(k, "lmtp.listen",
                 "%s can be reached from other hosts, and whoever connects may deliver mail; a "
                 "firewall has to allow the MTA only",
                 e.text);
    }
}

/* Who may speak for others is never left to a default. */
static void check_proxy(struct check *k)
{
    const struct conf *c = k->conf;
    struct network n;
    for (size_t i = 0; i < c->proxy_trusted.count; i++)
        if (!network_parse(span_str(c->proxy_trusted.items[i]), &n))
            mistake(k, "proxy.trusted",
                    "\"%s\" is not an address or network; allowed are such as 192.0.2.7, "
                    "192.0.2.0/24 and 2001:db8::/32",
                    c->proxy_trusted.items[i]);
    if (c->proxy_imap_listen.count + c->proxy_imaps_listen.count && !c->proxy_trusted.count)
        mistake(k, "proxy.trusted",
                "it is empty, so nobody could use the addresses that are for proxies; name the "
                "proxies, such as [\"192.0.2.7\"]");
}

/* "name host" or "name host:port"; what is put into a URL must need no encoding. */
static bool referral_valid(struct span entry)
{
    struct span name, host, port, end;
    if (!span_split(&entry, ' ', &name) || !name.n || !span_split(&entry, ':', &host) || !host.n)
        return false;
    for (size_t i = 0; i < host.n; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-", host.p[i]))
            return false;
    if (!span_split(&entry, ':', &port))
        return true;
    unsigned value = 0;
    for (size_t i = 0; i < port.n && value < 65536; i++) {
        if (port.p[i] < '0' || port.p[i] > '9')
            return false;
        value = value * 10 + (unsigned)(port.p[i] - '0');
    }
    return value > 0 && value < 65536 && !span_split(&entry, ':', &end);
}

static void check_referrals(struct check *k)
{
    const struct conf_list *list = &k->conf->login_referrals;
    for (size_t i = 0; i < list->count; i++)
        if (!referral_valid(span_str(list->items[i])))
            mistake(k, "login.referrals",
                    "expected \"name host\" or \"name host:port\", not \"%s\"", list->items[i]);
}

static void check_mta(struct check *k)
{
    const struct conf *c = k->conf;
    for (size_t i = 0; i < c->auth_mta_listen.count; i++)
        if (c->auth_mta_listen.items[i][0] != '/')
            mistake(k, "auth.mta_listen",
                    "\"%s\" is not the path of a UNIX socket: who can connect may try passwords "
                    "unseen, so that it is not offered to the network",
                    c->auth_mta_listen.items[i]);
    check_mode(k, "auth.mta_mode", c->auth_mta_mode);
}

static void check_directories(struct check *k)
{
    const char *setting;
    struct err err;
    if (conf_check_directories(k->conf, &setting, &err) < 0)
        mistake(k, setting, "%s", err.text);
}

/* --- TLS --- */

static void check_file(struct check *k, const char *setting, const char *path, const char *why)
{
    if (!*path) {
        mistake(k, setting, "it is empty, but %s; allowed is the path of a PEM file", why);
    } else if (path[0] != '/') {
        mistake(k, setting, "\"%s\" is not an absolute path", path);
    } else if (access(path, F_OK) && errno != EACCES) {
        mistake(k, setting, "%s: %s, but %s", path, strerror(errno), why);
    }
}

static bool is_set(const struct conf *c, const char *name)
{
    return conf_origin(c, name)->kind != CONF_FROM_DEFAULT;
}

static void check_tls(struct check *k)
{
    const struct conf *c = k->conf;
    const char *why = "imaps.listen needs a certificate and its key (or set imaps.listen = [])";
    bool needed = c->imaps_listen.count > 0;
    if (!needed && c->proxy_imaps_listen.count > 0) {
        why = "proxy.imaps_listen needs a certificate and its key";
        needed = true;
    }
    if (!needed && (is_set(c, "tls.certificate") || is_set(c, "tls.key")) &&
        (*c->tls_certificate || *c->tls_key)) {
        why = "a certificate and its key belong together (both empty: no TLS)";
        needed = true;
    }
    if (needed) {
        check_file(k, "tls.certificate", c->tls_certificate, why);
        check_file(k, "tls.key", c->tls_key, why);
    }
    for (size_t i = 0; i < c->tls_certificates.count; i++)
        check_file(k, "tls.certificates", c->tls_certificates.items[i],
                   "each certificate needs its file and that of its key");
    if (c->tls_client_certificates != CONF_CLIENT_NO)
        check_file(
            k, "tls.client_ca", c->tls_client_ca,
            "tls.client_certificates asks for certificates that it must know the issuers of");
    if (c->login_plaintext)
        warn(k, "login.plaintext",
             "passwords cross the network in the clear where clients do not use TLS by themselves");
}

/* --- limits that contradict each other --- */

static void check_limits(struct check *k)
{
    const struct conf *c = k->conf;
    /* Defaults give way to what is set. */
    if (is_set(c, "auth.failure_delay") && c->auth_failure_delay > c->auth_failure_delay_max)
        mistake(k, "auth.failure_delay",
                "%llu ms are more than auth.failure_delay_max, %llu ms: the first delay must not "
                "be longer than the longest",
                (unsigned long long)c->auth_failure_delay,
                (unsigned long long)c->auth_failure_delay_max);
    if (is_set(c, "login.unfinished") && c->login_unfinished > c->login_connections)
        mistake(k, "login.unfinished",
                "%llu are more than login.connections, %llu, which counts them too",
                (unsigned long long)c->login_unfinished, (unsigned long long)c->login_connections);
    if (c->imap_line_max > c->imap_command_memory)
        mistake(k, "imap.line_max",
                "%llu octets are more than imap.command_memory, %llu, which has to hold the line",
                (unsigned long long)c->imap_line_max, (unsigned long long)c->imap_command_memory);
    if (c->imap_idle_timeout < 1800)
        warn(k, "imap.idle_timeout",
             "RFC 9051 section 5.4 wants at least 30min; clients in IDLE will be disconnected");
}

/* --- names and paths --- */

static void check_state_dir(struct check *k)
{
    const char *dir = k->conf->state_dir;
    size_t room = sizeof(((struct sockaddr_un *)0)->sun_path) - sizeof("/run/control.00");
    if (dir[0] != '/')
        mistake(k, "state_dir", "\"%s\" is not an absolute path", dir);
    else if (strlen(dir) > room)
        mistake(k, "state_dir",
                "it has %zu characters; %zu are allowed, since the names of sockets begin with it",
                strlen(dir), room);
}

static void check_mailboxes(struct check *k)
{
    const struct conf_list *l = &k->conf->mailboxes;
    for (size_t i = 0; i < l->count; i += 2) {
        struct span name = span_str(l->items[i]);
        if (!name.n || name.p[0] == '/' || name.p[name.n - 1] == '/' ||
            span_find(name, SPAN("//")) != SPAN_NPOS)
            mistake(k, "mailboxes", "\"%s\" cannot be the name of a mailbox", l->items[i]);
        if (span_ieq(name, SPAN("INBOX")))
            mistake(k, "mailboxes", "INBOX is there by itself, and has no special use");
    }
}

/* The file need not be there before its first user is, but who looks for a mistake wants to know.
 */
static void check_users_file(struct check *k)
{
    const char *file = k->conf->auth_users_file;
    if (conf_has_directory(k->conf, "file") && *file && !*k->conf->auth_any_user_password &&
        access(file, F_OK) && errno == ENOENT)
        warn(k, "auth.users_file",
             "%s is not there, so nobody can log in by it yet; \"martletctl user add\" makes it",
             file);
}

/* What one of them may do must not be what another may do. */
static void check_process_users(struct check *k)
{
    const struct conf *c = k->conf;
    const struct {
        const char *setting, *user;
    } users[] = {{"process.login_user", c->process_login_user},
                 {"process.auth_user", c->process_auth_user},
                 {"process.mail_user", c->process_mail_user},
                 {"process.metrics_user", c->process_metrics_user}};
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        if (!*users[i].user || strcmp(users[i].user, "root") == 0)
            mistake(k, users[i].setting,
                    "\"%s\" cannot be it; allowed is an ordinary user of its own", users[i].user);
        for (size_t m = 0; m < i; m++)
            if (*users[i].user && strcmp(users[i].user, users[m].user) == 0)
                mistake(k, users[i].setting,
                        "%s is %s already, and then could reach what only that one may",
                        users[i].user, users[m].setting);
    }
}

/* --- all of it --- */

static void (*const rules[])(struct check *k) = {
    check_state_dir,   check_listeners,  check_any_user,      check_lmtp,     check_tls,
    check_limits,      check_mailboxes,  check_proxy,         check_mta,      check_metrics,
    check_directories, check_users_file, check_process_users, check_referrals};

size_t conf_check_all(const struct conf *c, void (*each)(void *arg, const struct conf_problem *p),
                      void *arg)
{
    struct check k = {c, each, arg, 0};
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        rules[i](&k);
    return k.mistakes;
}

static void keep_first(void *arg, const struct conf_problem *p)
{
    struct err *err = arg;
    if (!p->warning && !err->code)
        err_set(err, ERR_INVALID, "%s", p->text);
}

int conf_check(const struct conf *c, struct err *err)
{
    struct err first = {0};
    (void)conf_check_all(c, keep_first, &first);
    if (first.code && err)
        *err = first;
    return first.code;
}
