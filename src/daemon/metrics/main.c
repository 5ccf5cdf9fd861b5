/* martlet-metrics: tells a monitoring system on this host what the processes have counted.
 *
 * HTTP (libmicrohttpd) on loopback sockets that the supervisor opened; GET /metrics. It has the
 * other processes' pages (base/metrics.h) read-only, and nothing else. libmicrohttpd runs on our
 * loop: its epoll descriptor is one more descriptor to watch. */
#include <microhttpd.h>

#include "base/list.h"
#include "base/logline.h"
#include "daemon/metrics/exposition.h"
#include "daemon/skeleton.h"

enum {
    CONNECTIONS_MAX = 32, /* one listening socket */
    CONNECTION_TIMEOUT_S = 10,
    CONNECTION_MEMORY = 16 * 1024,
    PAGES_MAX = 4096,
    TEXT_MAX_BYTES = 4 * 1024 * 1024,
};

struct port {
    struct list link;
    struct metrics *metrics;
    uint32_t id;
    int fd; /* until the server is made */
    struct MHD_Daemon *server;
    struct loop_watch *watch;
    struct loop_timer timer;
};

struct metrics {
    struct daemon *daemon;
    struct list ports;
    struct exposition_page *pages;
    size_t page_count;
};

/* Answers. */

static enum MHD_Result answer(struct MHD_Connection *c, unsigned status, const char *type,
                              struct span body)
{
    struct MHD_Response *r =
        MHD_create_response_from_buffer(body.n, (void *)(uintptr_t)body.p, MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return result;
}

static enum MHD_Result answer_metrics(const struct metrics *m, struct MHD_Connection *c)
{
    const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    bool open = accept && strstr(accept, "application/openmetrics-text");
    autobuf text = BUF_INIT(TEXT_MAX_BYTES);
    exposition_write(&text, open ? EXPOSITION_OPENMETRICS : EXPOSITION_PROMETHEUS, m->pages,
                     m->page_count);
    if (!buf_ok(&text))
        return answer(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8",
                      SPAN("Too many metrics.\n"));
    return answer(c, MHD_HTTP_OK,
                  open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                       : "text/plain; version=0.0.4; charset=utf-8",
                  buf_span(&text));
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **state)
{
    static int seen; /* its address says that the head of the request has been seen */
    (void)version;
    (void)data;
    if (!*state) {
        *state = &seen;
        return MHD_YES;
    }
    if (*data_size) { /* a body: read, and thrown away */
        *data_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return answer(c, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain; charset=utf-8",
                      SPAN("Only GET.\n"));
    if (strcmp(url, "/metrics") == 0)
        return answer_metrics(arg, c);
    if (strcmp(url, "/") == 0)
        return answer(c, MHD_HTTP_OK, "text/html; charset=utf-8",
                      SPAN("<!DOCTYPE html><title>Martlet</title>"
                           "<p>Martlet " MARTLET_VERSION ": <a href=\"/metrics\">metrics</a>\n"));
    return answer(c, MHD_HTTP_NOT_FOUND, "text/plain; charset=utf-8", SPAN("Not found.\n"));
}

/* The server on the loop. */

static void run_server(struct port *p)
{
    MHD_UNSIGNED_LONG_LONG ms;
    MHD_run(p->server);
    if (MHD_get_timeout(p->server, &ms) == MHD_YES)
        loop_timer_set(p->metrics->daemon->loop, &p->timer, MIN(ms, 1000 * CONNECTION_TIMEOUT_S));
    else
        loop_timer_cancel(&p->timer);
}

static void on_event(void *arg, int events)
{
    (void)events;
    run_server(arg);
}

static void on_timer(struct loop_timer *t)
{
    run_server(container_of(t, struct port, timer));
}

static int start_server(struct port *p, struct err *err)
{
    p->server = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, on_request, p->metrics,
                                 MHD_OPTION_LISTEN_SOCKET, p->fd, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)CONNECTION_TIMEOUT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                                 (size_t)CONNECTION_MEMORY, MHD_OPTION_END);
    if (!p->server)
        return err_set(err, ERR_IO, "the HTTP server cannot be started");
    p->fd = -1; /* the server's */
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(p->server, MHD_DAEMON_INFO_EPOLL_FD);
    if (!info)
        return err_set(err, ERR_IO, "the HTTP server has no epoll descriptor");
    p->watch = loop_watch_new(p->metrics->daemon->loop, info->epoll_fd, on_event, p);
    loop_watch_set(p->watch, LOOP_READ);
    run_server(p);
    return 0;
}

static void port_free(struct port *p)
{
    loop_timer_cancel(&p->timer);
    loop_watch_free(p->watch);
    if (p->server)
        MHD_stop_daemon(p->server);
    if (p->fd >= 0)
        close(p->fd);
    list_remove(&p->link);
    free(p);
}

/* Life. */

static void on_listener(struct daemon *d, enum listener_kind kind, uint32_t id, int fd)
{
    struct metrics *m = d->owner;
    struct port *p = xnew(struct port);
    struct err err;
    (void)kind;
    p->metrics = m;
    p->id = id;
    p->fd = fd;
    loop_timer_init(&p->timer, on_timer);
    list_push_back(&m->ports, &p->link);
    if (m->daemon && start_server(p, &err) < 0) /* came with new settings */
        log_event(LOG_ERROR, "listener-failed", "msg", err.text, NULL);
}

static void on_unlisten(struct daemon *d, uint32_t id)
{
    struct metrics *m = d->owner;
    struct port *p, *next;
    list_each_safe(p, next, &m->ports, link) if (p->id == id) port_free(p);
}

static void on_message(struct daemon *d, const struct message *msg, int fd)
{
    struct metrics *m = d->owner;
    if (msg->kind == MESSAGE_METRICS && m->page_count < PAGES_MAX) {
        _Atomic uint64_t *page = metrics_page_map(fd, false);
        if (page) {
            autobuf name = BUF_INIT(64);
            buf_printf(&name, "%s.%u", role_name((enum role)msg->u.metrics.role),
                       msg->u.metrics.index);
            m->pages = xrealloc_array(m->pages, m->page_count + 1, sizeof(*m->pages));
            m->pages[m->page_count++] = (struct exposition_page){buf_take(&name), page};
        } else {
            log_event(LOG_WARNING, "no-metrics", "msg", "a page of another version", NULL);
        }
    }
    if (fd >= 0)
        close(fd);
}

static void on_peer(struct daemon *d, enum role role, unsigned index, int fd)
{
    (void)d;
    (void)role;
    (void)index;
    close(fd); /* it talks to nobody */
}

static int on_start(struct daemon *d, struct err *err)
{
    struct metrics *m = d->owner;
    struct port *p;
    m->daemon = d;
    list_each(p, &m->ports, link)
    {
        int r = start_server(p, err);
        if (r < 0)
            return r;
    }
    daemon_ready(d);
    return 0;
}

static void on_shutdown(struct daemon *d)
{
    struct metrics *m = d->owner;
    struct port *p, *next;
    list_each_safe(p, next, &m->ports, link) port_free(p);
    daemon_exit(d);
}

int main(void)
{
    static const struct daemon_ops ops = {.listener = on_listener,
                                          .unlisten = on_unlisten,
                                          .peer = on_peer,
                                          .start = on_start,
                                          .message = on_message,
                                          .shutdown = on_shutdown};
    static struct metrics m; /* reachable until the very end, for leak checkers */
    list_init(&m.ports);
    return daemon_run(ROLE_METRICS, &ops, &m);
}
