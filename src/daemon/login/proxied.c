/* Connections that come through a proxy: its header says who the client is (wire/proxy.h), and
 * comes before anything else, TLS included. Who connects to such a listener without being a trusted
 * proxy is refused: he could claim any address. */
#include <errno.h>
#include <netinet/in.h>

#include "base/logline.h"
#include "base/metrics.h"
#include "base/network.h"
#include "daemon/login/login.h"
#include "wire/proxy.h"

enum { HEADER_TIMEOUT_MS = 5000 };

struct proxied {
    struct list link;
    struct login *login;
    int fd;
    bool tls;
    struct address proxy;
    struct loop_watch *watch;
    struct loop_timer timeout;
    struct loop_timer retry; /* half a header is there: look again */
};

/* Leaves the descriptor alone. */
static void proxied_free(struct proxied *p)
{
    list_remove(&p->link);
    p->login->proxied_count--;
    loop_watch_free(p->watch);
    loop_timer_cancel(&p->timeout);
    loop_timer_cancel(&p->retry);
    free(p);
}

static void refuse(struct proxied *p, const char *why)
{
    struct login *login = p->login;
    autobuf host = BUF_INIT(128);
    address_format_host(&p->proxy, &host);
    metric_add(METRIC_PROXY_REFUSED, 1);
    log_event(LOG_WARNING, "proxy-refused", "peer", host.p, "reason", why, NULL);
    close(p->fd);
    proxied_free(p);
    login_check_limits(login);
}

static void on_timeout(struct loop_timer *t)
{
    refuse(container_of(t, struct proxied, timeout), "no header in time");
}

void proxied_free_all(struct login *login)
{
    struct proxied *p, *next;
    list_each_safe(p, next, &login->proxied, link)
    {
        close(p->fd);
        proxied_free(p);
    }
}

static void set_address(struct address *to, enum proxy_family family,
                        const struct proxy_address *from)
{
    *to = (struct address){.len = 0};
    if (family == PROXY_IPV4) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(from->port)};
        memcpy(&v4.sin_addr, from->bytes, 4);
        memcpy(&to->ss, &v4, to->len = sizeof(v4));
    } else {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(from->port)};
        memcpy(&v6.sin6_addr, from->bytes, 16);
        memcpy(&to->ss, &v6, to->len = sizeof(v6));
    }
}

static void hand_on(struct proxied *p, const struct proxy_header *h)
{
    struct login *login = p->login;
    struct client client = {.fd = p->fd, .tls = p->tls, .peer = p->proxy};
    if (h->local || h->family == PROXY_UNKNOWN) {
        address_of_socket(p->fd, &client.local);
    } else {
        set_address(&client.peer, h->family, &h->source);
        set_address(&client.local, h->family, &h->destination);
        client.tls_ended = h->tls && !p->tls;
        client.remote = !address_is_loopback(&client.peer);
    }
    proxied_free(p);
    session_new(login, &client);
}

static void on_readable(void *arg, int events)
{
    struct proxied *p = arg;
    struct proxy_header h;
    char bytes[PROXY_HEADER_MAX];
    ssize_t n = recv(p->fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    enum proxy_result r = n <= 0 ? PROXY_BAD : proxy_parse(span_make(bytes, (size_t)n), &h);
    if (r == PROXY_BAD) {
        refuse(p, n <= 0 ? "closed" : "not a PROXY header");
    } else if (r == PROXY_OK) {
        if (recv(p->fd, bytes, h.length, 0) != (ssize_t)h.length)
            refuse(p, "closed");
        else
            hand_on(p, &h);
    } else if (n == sizeof(bytes)) {
        refuse(p, "header too long");
    } else {
        /* What is there was only looked at: the poller would say so again at once. */
        loop_watch_set(p->watch, 0);
        loop_timer_set(p->login->daemon->loop, &p->retry, 20);
    }
}

static void on_retry(struct loop_timer *t)
{
    struct proxied *p = container_of(t, struct proxied, retry);
    loop_watch_set(p->watch, LOOP_READ);
}

static bool trusted(const struct login *login, const struct address *proxy)
{
    const struct conf_list *list = &login->daemon->conf->proxy_trusted;
    autobuf host = BUF_INIT(128);
    address_format_host(proxy, &host);
    for (size_t i = 0; i < list->count; i++) {
        struct network n;
        if (network_parse(span_str(list->items[i]), &n) && network_has(&n, buf_span(&host)))
            return true;
    }
    return false;
}

void proxied_new(struct login *login, int fd, const struct address *proxy, bool tls)
{
    struct proxied *p = xnew(struct proxied);
    p->login = login;
    p->fd = fd;
    p->tls = tls;
    p->proxy = *proxy;
    loop_timer_init(&p->timeout, on_timeout);
    loop_timer_init(&p->retry, on_retry);
    list_push_back(&login->proxied, &p->link);
    login->proxied_count++;
    if (!trusted(login, proxy)) {
        refuse(p, "not in proxy.trusted");
        return;
    }
    p->watch = loop_watch_new(login->daemon->loop, fd, on_readable, p);
    loop_watch_set(p->watch, LOOP_READ);
    loop_timer_set(login->daemon->loop, &p->timeout, HEADER_TIMEOUT_MS);
}
