#include "daemon/supervisor/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/logline.h"
#include "daemon/skeleton.h"
#include "io/listen.h"

enum { BACKLOG = 1024, LISTEN_FDS_FIRST = 3 };

/* What the settings can ask for, with the names that sockets from systemd have. */
static const struct kind {
    enum listener_kind kind;
    const char *name;
    size_t setting; /* a struct conf_list in struct conf */
} kinds[] = {
    {LISTENER_IMAP, "imap", offsetof(struct conf, imap_listen)},
    {LISTENER_IMAPS, "imaps", offsetof(struct conf, imaps_listen)},
    {LISTENER_LMTP, "lmtp", offsetof(struct conf, lmtp_listen)},
    {LISTENER_METRICS, "metrics", offsetof(struct conf, metrics_listen)},
    {LISTENER_IMAP_PROXY, "imap-proxy", offsetof(struct conf, proxy_imap_listen)},
    {LISTENER_IMAPS_PROXY, "imaps-proxy", offsetof(struct conf, proxy_imaps_listen)},
    {LISTENER_MTA, "mta-auth", offsetof(struct conf, auth_mta_listen)},
};

static const struct conf_list *wanted_list(const struct conf *c, const struct kind *k)
{
    return (const struct conf_list *)(const void *)((const char *)c + k->setting);
}

void sockets_init(struct sockets *s)
{
    *s = (struct sockets){.next_id = 1};
    list_init(&s->all);
    list_init(&s->strangers);
}

void sockets_remove(struct sockets *s, struct listening *l)
{
    list_remove(&l->link);
    s->count--;
    if (l->fd >= 0)
        close(l->fd);
    if (l->address && l->address[0] == '/' && !l->inherited && l->kind != LISTENER_CONTROL)
        unlink(l->address);
    free(l->address);
    free(l);
}

void sockets_done(struct sockets *s)
{
    struct listening *l, *next;
    list_each_safe(l, next, &s->all, link) sockets_remove(s, l);
    list_each_safe(l, next, &s->strangers, link) sockets_remove(s, l);
}

/* Takes fd, which may be the error of opening it. */
static int add(struct sockets *s, struct list *to, enum listener_kind kind, const char *address,
               int fd, struct listening **ret, struct err *err)
{
    if (fd < 0)
        return fd;
    if (s->count == SOCKETS_MAX) {
        close(fd);
        return err_set(err, ERR_LIMIT, "more than %d listening sockets", SOCKETS_MAX);
    }
    struct listening *l = xnew(struct listening);
    l->id = s->next_id++;
    l->kind = kind;
    l->address = span_dup(span_str(address));
    l->fd = fd;
    l->only_index = -1;
    l->wanted = true;
    list_push_back(to, &l->link);
    s->count++;
    *ret = l;
    return 0;
}

/* systemd. */

static int environment_number(const char *name, uint64_t *ret)
{
    const char *text = getenv(name);
    return text && span_to_u64(span_str(text), INT32_MAX, ret) ? 0 : ERR_NOT_FOUND;
}

static bool is_listening(int fd)
{
    int accepts = 0, type = 0;
    socklen_t n = sizeof(int);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &n) == 0 && accepts &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_STREAM;
}

static void describe(int fd, struct buf *out)
{
    struct address a;
    struct sockaddr_un un;
    socklen_t n = sizeof(un);
    memset(&un, 0, sizeof(un));
    address_of_socket(fd, &a);
    if (a.ss.ss_family == AF_UNIX && getsockname(fd, (struct sockaddr *)&un, &n) == 0)
        buf_put_span(out, span_make(un.sun_path, strnlen(un.sun_path, sizeof(un.sun_path))));
    else
        address_format(&a, out);
}

static int inherit_one(struct sockets *s, int number, struct span name, struct err *err)
{
    autobuf address = BUF_INIT(256);
    enum listener_kind kind = 0;
    struct listening *l;
    if (!is_listening(number))
        return err_set(err, ERR_INVALID, "LISTEN_FDS: descriptor %d is not a listening socket",
                       number);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (span_eq(name, span_str(kinds[i].name)))
            kind = kinds[i].kind;
    describe(number, &address);
    /* Out of the way of what a child gets by number. */
    int fd = fcntl(number, F_DUPFD_CLOEXEC, SUPERVISOR_FD + 7);
    if (fd < 0)
        return err_set_errno(err, "LISTEN_FDS");
    close(number);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    int r = add(s, kind ? &s->all : &s->strangers, kind, address.p ? address.p : "", fd, &l, err);
    if (r < 0)
        return r;
    l->inherited = true;
    s->given[kind] = kind != 0;
    return 0;
}

int sockets_inherit(struct sockets *s, struct err *err)
{
    uint64_t pid, n = 0;
    int r = 0;
    bool ours = environment_number("LISTEN_PID", &pid) == 0 && pid == (uint64_t)getpid() &&
                environment_number("LISTEN_FDS", &n) == 0;
    struct span names = span_str(getenv("LISTEN_FDNAMES") ? getenv("LISTEN_FDNAMES") : "");
    if (ours && n > SOCKETS_MAX)
        return err_set(err, ERR_LIMIT, "LISTEN_FDS: more than %d sockets", SOCKETS_MAX);
    for (int i = 0; ours && i < (int)n && r == 0; i++) {
        struct span name = SPAN_EMPTY;
        span_split(&names, ':', &name);
        r = inherit_one(s, LISTEN_FDS_FIRST + i, name, err);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return r;
}

/* The settings. */

static int parse(const char *text, struct address *ret, struct err *err)
{
    struct span host;
    uint16_t port;
    if (!conf_split_listen(span_str(text), &host, &port))
        return err_set(err, ERR_INVALID, "%s is not an IP address with a port", text);
    return address_parse(host, port, ret, err);
}

static bool bound_to(const struct listening *l, const char *text)
{
    struct address want;
    autobuf have = BUF_INIT(256), wanted = BUF_INIT(256);
    if (text[0] == '/')
        return strcmp(l->address, text) == 0;
    if (parse(text, &want, NULL) < 0)
        return false;
    address_format(&want, &wanted);
    return strcmp(l->address, wanted.p) == 0;
}

static struct listening *find(struct sockets *s, enum listener_kind kind, const char *text)
{
    struct listening *l;
    list_each(l, &s->all, link)
    {
        if (l->kind == kind && (l->inherited ? bound_to(l, text) : strcmp(l->address, text) == 0))
            return l;
    }
    list_each(l, &s->strangers, link)
    {
        if (!bound_to(l, text))
            continue;
        l->kind = kind;
        l->fresh = true;
        list_remove(&l->link);
        list_push_back(&s->all, &l->link);
        return l;
    }
    return NULL;
}

/* Who may connect. */
static int set_owner(const struct conf *c, enum listener_kind kind, const char *path,
                     struct err *err)
{
    bool lmtp = kind == LISTENER_LMTP;
    const char *group = lmtp ? c->lmtp_socket_group : c->auth_mta_group;
    const char *mode = lmtp ? c->lmtp_socket_mode : c->auth_mta_mode;
    struct group *g = NULL;
    if (*group && !(g = getgrnam(group)))
        return err_set(err, ERR_NOT_FOUND, "%s: there is no group \"%s\"",
                       lmtp ? "lmtp.socket_group" : "auth.mta_group", group);
    if (g && chown(path, (uid_t)-1, g->gr_gid) < 0)
        return err_set_errno(err, "%s: chown", path);
    if (chmod(path, (mode_t)strtoul(mode, NULL, 8)) < 0)
        return err_set_errno(err, "%s: chmod", path);
    return 0;
}

/* Of a socket in /run, which is empty after every start of the machine. What fails is told by
 * listen_unix. */
static void make_directory(const char *path)
{
    autofree char *dir = span_dup(span_str(path));
    char *slash = strrchr(dir, '/');
    *slash = 0;
    if (*dir && mkdir(dir, 0755) == 0 && chmod(dir, 0755) == 0) /* whatever the umask */
        log_event(LOG_INFO, "directory-made", "path", dir, NULL);
}

static int want(struct sockets *s, const struct conf *c, enum listener_kind kind, const char *text,
                struct err *err)
{
    struct address a;
    struct listening *l = find(s, kind, text);
    if (l) {
        l->wanted = true;
        return 0;
    }
    if (text[0] == '/')
        make_directory(text);
    int fd = text[0] == '/' ? listen_unix(text, SOCK_STREAM, BACKLOG, err) : parse(text, &a, err);
    if (fd == 0 && text[0] != '/')
        fd = listen_tcp(&a, BACKLOG, err);
    int r = add(s, &s->all, kind, text, fd, &l, err);
    if (r < 0)
        return r;
    l->fresh = true;
    bool path = text[0] == '/' && (kind == LISTENER_MTA || kind == LISTENER_LMTP);
    return path ? set_owner(c, kind, text, err) : 0;
}

/* Takes back what sockets_prepare began. */
static void give_up(struct sockets *s)
{
    struct listening *l, *next;
    list_each_safe(l, next, &s->all, link)
    {
        l->wanted = true;
        if (!l->fresh)
            continue;
        l->fresh = false;
        if (l->inherited) {
            list_remove(&l->link);
            list_push_back(&s->strangers, &l->link);
        } else {
            sockets_remove(s, l);
        }
    }
}

int sockets_prepare(struct sockets *s, const struct conf *c, struct err *err)
{
    struct listening *l;
    int r = 0;
    list_each(l, &s->all, link) l->wanted = l->inherited || l->kind == LISTENER_CONTROL;
    for (size_t i = 0; i < ARRAY_LEN(kinds) && r == 0; i++) {
        const struct conf_list *list = wanted_list(c, &kinds[i]);
        for (size_t k = 0; k < list->count && r == 0 && !s->given[kinds[i].kind]; k++)
            r = want(s, c, kinds[i].kind, list->items[k], err);
    }
    if (r < 0)
        give_up(s);
    return r;
}

int sockets_open_control(struct sockets *s, const char *dir, unsigned n, struct err *err)
{
    for (unsigned i = 0; i < n; i++) {
        autobuf path = BUF_INIT(4096);
        struct listening *l;
        buf_printf(&path, "%s/control.%u", dir, i);
        if (path.n >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
            log_text(LOG_WARNING, "no-control", "%s: too long a name for a socket", path.p);
            return 0;
        }
        int fd = listen_unix(path.p, SOCK_SEQPACKET, 64, err);
        int r = add(s, &s->all, LISTENER_CONTROL, path.p, fd, &l, err);
        if (r < 0)
            return r;
        l->only_index = (int)i;
    }
    return 0;
}

void sockets_report_unused(struct sockets *s)
{
    struct listening *l;
    list_each(l, &s->strangers, link)
        log_text(LOG_WARNING, "socket-unused",
                 "systemd gave a socket on %s, which is neither named imap, imaps or lmtp nor an "
                 "address of the settings",
                 l->address);
}
