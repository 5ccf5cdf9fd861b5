#include "io/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/logline.h"
#include "io/loop_int.h"

enum {
    ACCEPT_BURST = 32,
    EXHAUSTED_PAUSE_MS = 200,
};

static struct sockaddr_in *as_v4(struct address *a)
{
    return (struct sockaddr_in *)(void *)&a->ss;
}

static struct sockaddr_in6 *as_v6(struct address *a)
{
    return (struct sockaddr_in6 *)(void *)&a->ss;
}

int address_parse(struct span host, uint16_t port, struct address *ret, struct err *err)
{
    char text[INET6_ADDRSTRLEN + 1];
    struct address a = {.len = 0};
    if (span_eq(host, SPAN("*")))
        host = SPAN("::");
    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        host = span_make(host.p + 1, host.n - 2);
    if (host.n >= sizeof(text))
        return err_set(err, ERR_INVALID, "not an IP address: " SPAN_FMT, SPAN_ARG(host));
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (inet_pton(AF_INET, text, &as_v4(&a)->sin_addr) == 1) {
        a.len = sizeof(struct sockaddr_in);
        as_v4(&a)->sin_family = AF_INET;
        as_v4(&a)->sin_port = htons(port);
    } else if (inet_pton(AF_INET6, text, &as_v6(&a)->sin6_addr) == 1) {
        a.len = sizeof(struct sockaddr_in6);
        as_v6(&a)->sin6_family = AF_INET6;
        as_v6(&a)->sin6_port = htons(port);
    } else {
        return err_set(err, ERR_INVALID, "not an IP address: %s", text);
    }
    *ret = a;
    return 0;
}

bool address_is_loopback(const struct address *a)
{
    const struct sockaddr_in *v4 = (const void *)&a->ss;
    const struct sockaddr_in6 *v6 = (const void *)&a->ss;
    switch (a->ss.ss_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
    default:
        return false;
    }
}

static void format(const struct address *a, struct buf *out, bool with_port)
{
    char text[INET6_ADDRSTRLEN];
    const struct sockaddr_in *v4 = (const void *)&a->ss;
    const struct sockaddr_in6 *v6 = (const void *)&a->ss;
    if (a->ss.ss_family == AF_INET) {
        buf_put_str(out, inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text)));
        if (with_port)
            buf_printf(out, ":%u", ntohs(v4->sin_port));
    } else if (a->ss.ss_family == AF_INET6) {
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
        buf_printf(out, with_port ? "[%s]" : "%s", text);
        if (with_port)
            buf_printf(out, ":%u", ntohs(v6->sin6_port));
    } else {
        buf_put_lit(out, "unix");
    }
}

void address_format(const struct address *a, struct buf *out)
{
    format(a, out, true);
}

void address_format_host(const struct address *a, struct buf *out)
{
    format(a, out, false);
}

/* An IPv4 peer of a socket for both families is shown as the IPv4 address it is. */
static void unmap(struct address *a)
{
    struct sockaddr_in6 *v6 = as_v6(a);
    if (a->ss.ss_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
        return;
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port};
    memcpy(&v4.sin_addr, &v6->sin6_addr.s6_addr[12], 4);
    memcpy(&a->ss, &v4, sizeof(v4));
    a->len = sizeof(v4);
}

void address_of_peer(int fd, struct address *ret)
{
    *ret = (struct address){.len = sizeof(ret->ss)};
    if (getpeername(fd, (struct sockaddr *)&ret->ss, &ret->len) < 0)
        ret->ss.ss_family = AF_UNSPEC;
    unmap(ret);
}

void address_of_socket(int fd, struct address *ret)
{
    *ret = (struct address){.len = sizeof(ret->ss)};
    if (getsockname(fd, (struct sockaddr *)&ret->ss, &ret->len) < 0)
        ret->ss.ss_family = AF_UNSPEC;
    unmap(ret);
}

int listen_tcp(const struct address *a, int backlog, struct err *err)
{
    autoclose int fd = socket(a->ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set_errno(err, "socket");
    int one = 1, v6_only = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (a->ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)&a->ss;
        v6_only = !IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr);
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
    }
    if (bind(fd, (const struct sockaddr *)&a->ss, a->len) < 0 || listen(fd, backlog) < 0) {
        autobuf text = BUF_INIT(128);
        int saved = errno;
        address_format(a, &text);
        errno = saved;
        return err_set_errno(err, "cannot listen on %s", text.p);
    }
    return take_fd(&fd);
}

int listen_unix(const char *path, int type, int backlog, struct err *err)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof(un.sun_path))
        return err_set(err, ERR_LIMIT, "%s: longer than %zu bytes, the limit of UNIX sockets", path,
                       sizeof(un.sun_path) - 1);
    memcpy(un.sun_path, path, n + 1);
    autoclose int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set_errno(err, "socket");
    struct stat st;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(path);
    mode_t old = umask(0177);
    int r = bind(fd, (const struct sockaddr *)&un, sizeof(un));
    umask(old);
    if (r < 0 || listen(fd, backlog) < 0)
        return err_set_errno(err, "cannot listen on %s", path);
    return take_fd(&fd);
}

/* Accepting. */

struct listener {
    uv_poll_t poll;
    struct loop *loop;
    struct loop_timer retry;
    listener_cb *cb;
    void *arg;
    int fd;
    bool paused, exhausted, dead, in_call;
};

static void on_event(uv_poll_t *handle, int status, int events);

static void watch(struct listener *ln)
{
    if (ln->dead)
        return;
    if (ln->paused || ln->exhausted)
        uv_poll_stop(&ln->poll);
    else if (!uv_is_active((uv_handle_t *)&ln->poll))
        uv_poll_start(&ln->poll, UV_READABLE, on_event);
}

static void on_retry(struct loop_timer *t)
{
    struct listener *ln = container_of(t, struct listener, retry);
    ln->exhausted = false;
    watch(ln);
}

static void destroyed(uv_handle_t *handle)
{
    free(handle->data);
}

/* False if nothing is left to accept, or nothing can be. */
static bool accept_one(struct listener *ln)
{
    struct address peer = {.len = sizeof(peer.ss)};
    int fd = accept4(ln->fd, (struct sockaddr *)&peer.ss, &peer.len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        int one = 1;
        if (peer.ss.ss_family == AF_INET || peer.ss.ss_family == AF_INET6)
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        unmap(&peer);
        ln->cb(ln->arg, fd, &peer);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log_text(LOG_WARNING, "accept-paused", "%s", strerror(errno));
        ln->exhausted = true;
        loop_timer_set(ln->loop, &ln->retry, EXHAUSTED_PAUSE_MS);
        return false;
    }
    /* A connection that died in the queue, or a signal, is no reason to stop. */
    return errno == EINTR || errno == ECONNABORTED || errno == EPROTO || errno == EPERM;
}

static void on_event(uv_poll_t *handle, int status, int events)
{
    struct listener *ln = handle->data;
    (void)status;
    (void)events;
    ln->in_call = true;
    for (int i = 0; i < ACCEPT_BURST && !ln->dead && !ln->paused; i++)
        if (!accept_one(ln))
            break;
    ln->in_call = false;
    if (ln->dead)
        uv_close((uv_handle_t *)&ln->poll, destroyed);
    else
        watch(ln);
}

struct listener *listener_new(struct loop *l, int fd, listener_cb *cb, void *arg)
{
    struct listener *ln = xnew(struct listener);
    ln->loop = l;
    ln->fd = fd;
    ln->cb = cb;
    ln->arg = arg;
    loop_timer_init(&ln->retry, on_retry);
    int r = uv_poll_init(loop_uv(l), &ln->poll, fd);
    invariant(r == 0);
    ln->poll.data = ln;
    watch(ln);
    return ln;
}

void listener_free(struct listener *ln)
{
    if (!ln)
        return;
    uv_poll_stop(&ln->poll);
    loop_timer_cancel(&ln->retry);
    ln->dead = true;
    if (!ln->in_call)
        uv_close((uv_handle_t *)&ln->poll, destroyed);
    close(ln->fd);
}

void listener_pause(struct listener *ln)
{
    ln->paused = true;
    watch(ln);
}

void listener_resume(struct listener *ln)
{
    ln->paused = false;
    watch(ln);
}
