#include "daemon/supervisor/pages.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/logline.h"
#include "base/metrics.h"

enum { PAGES_MEASURE_MS = 5000, PAGES_SOON_MS = 200 };

struct page {
    struct list link;
    enum role role;
    unsigned index;         /* of those of its role */
    pid_t pid;              /* 0: waits for the next process */
    uint64_t cpu_before_us; /* of the processes that had it before */
    int fd;
    _Atomic uint64_t *map;
};

struct pages {
    struct loop *loop;
    const struct pages_ops *ops;
    void *arg;
    struct list list; /* oldest first */
    struct loop_timer timer;
    bool measured;
};

static void announce(struct pages *p, const struct page *page)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", page->fd);
    int fd = open(path, O_RDONLY | O_CLOEXEC); /* a description of its own: not writable */
    if (fd < 0)
        log_text(LOG_WARNING, "no-metrics", "%s cannot be opened", path);
    else
        p->ops->added(p->arg, page->role, page->index, fd);
}

static struct page *page_new(struct pages *p, enum role role, unsigned index)
{
    struct err err;
    int fd = metrics_page_new(&err);
    _Atomic uint64_t *map = fd < 0 ? NULL : metrics_page_map(fd, true);
    if (!map) {
        log_event(LOG_WARNING, "no-metrics", "msg", fd < 0 ? err.text : "mmap", NULL);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    struct page *page = xnew(struct page);
    page->role = role;
    page->index = index;
    page->fd = fd;
    page->map = map;
    list_push_back(&p->list, &page->link);
    announce(p, page);
    return page;
}

static void set(const struct page *page, unsigned slot, uint64_t n)
{
    atomic_store_explicit(&page->map[slot], n, memory_order_relaxed);
}

struct page *pages_take(struct pages *p, enum role role, pid_t pid)
{
    struct page *page, *found = NULL;
    unsigned count = 0;
    list_each(page, &p->list, link)
    {
        count += page->role == role;
        if (page->role == role && !page->pid && !found)
            found = page;
    }
    page = found ? found : page_new(p, role, count);
    if (!page)
        return NULL;
    page->pid = pid;
    set(page, METRIC_STARTED, clock_wall_us());
    if (p->measured)
        loop_timer_set(p->loop, &p->timer, PAGES_SOON_MS);
    return page;
}

int page_fd(const struct page *page)
{
    return fcntl(page->fd, F_DUPFD_CLOEXEC, 0);
}

/* Processor time so far (fields 14 and 15 of /proc/PID/stat, after the name, which may hold
 * anything) and resident memory. */
static void measure(struct page *page)
{
    char path[40], text[1024];
    unsigned long long user, system;
    long pages;
    if (!page->pid)
        return;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)page->pid);
    autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    const char *after = strrchr(text, ')');
    // NOLINTNEXTLINE(cert-err34-c): what the kernel writes fits
    if (!after || sscanf(after + 1,
                         " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d "
                         "%*d %*d %*u %*u %ld",
                         &user, &system, &pages) != 3)
        return;
    uint64_t us = (user + system) * 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
    set(page, METRIC_CPU, page->cpu_before_us + us);
    set(page, METRIC_MEMORY, (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE));
}

void pages_give_back(struct pages *p, struct page *page, int status)
{
    (void)p;
    if (!page)
        return;
    page->cpu_before_us = atomic_load_explicit(&page->map[METRIC_CPU], memory_order_relaxed);
    page->pid = 0;
    metrics_page_reset_gauges(page->map);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
        metric_add(METRIC_SANDBOX_VIOLATIONS + (unsigned)page->role, 1);
}

void pages_announce(struct pages *p)
{
    struct page *page;
    list_each(page, &p->list, link) announce(p, page);
}

static void on_timer(struct loop_timer *t)
{
    struct pages *p = container_of(t, struct pages, timer);
    struct page *page;
    list_each(page, &p->list, link) measure(page);
    p->ops->measure(p->arg);
    loop_timer_set(p->loop, &p->timer, PAGES_MEASURE_MS);
}

void pages_measure(struct pages *p, bool on)
{
    p->measured = on;
    if (on)
        loop_timer_set(p->loop, &p->timer, PAGES_SOON_MS);
    else
        loop_timer_cancel(&p->timer);
}

struct pages *pages_new(struct loop *l, const struct pages_ops *ops, void *arg)
{
    struct pages *p = xnew(struct pages);
    struct err err;
    p->loop = l;
    p->ops = ops;
    p->arg = arg;
    list_init(&p->list);
    loop_timer_init(&p->timer, on_timer);
    struct page *own = pages_take(p, ROLE_SUPERVISOR, getpid());
    if (own && metrics_map(own->fd, &err) < 0)
        log_event(LOG_WARNING, "no-metrics", "msg", err.text, NULL);
    return p;
}

void pages_free(struct pages *p)
{
    struct page *page, *next;
    if (!p)
        return;
    loop_timer_cancel(&p->timer);
    list_each_safe(page, next, &p->list, link)
    {
        metrics_page_unmap(page->map); /* our own one is mapped a second time */
        close(page->fd);
        list_remove(&page->link);
        free(page);
    }
    free(p);
}
