#include "lmtp/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

struct spool {
    unsigned refs;
    const char *dir;
    struct buf memory;
    size_t *in_memory; /* of all spools; NULL: this one is a file from the start */
    int fd;            /* -1: all is in memory */
    uint64_t size;
    int error;
};

struct spool *spool_new(const char *dir, size_t *in_memory)
{
    struct spool *s = xnew(struct spool);
    s->refs = 1;
    s->dir = dir;
    s->in_memory = in_memory;
    s->fd = -1;
    buf_init(&s->memory, SPOOL_MEMORY_MAX);
    return s;
}

struct spool *spool_from_fd(int fd, uint64_t size)
{
    struct spool *s = spool_new("/", NULL);
    s->fd = fd;
    s->size = size;
    return s;
}

struct spool *spool_ref(struct spool *s)
{
    s->refs++;
    return s;
}

static void memory_drop(struct spool *s)
{
    if (s->in_memory)
        *s->in_memory -= s->memory.n;
    buf_done(&s->memory);
}

void spool_unref(struct spool *s)
{
    if (!s || --s->refs)
        return;
    memory_drop(s);
    if (s->fd >= 0)
        close(s->fd);
    free(s);
}

static int write_all(int fd, struct span bytes)
{
    while (bytes.n) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == ENOSPC || errno == EDQUOT ? ERR_NO_SPACE : ERR_IO;
        bytes = span_skip(bytes, (size_t)n);
    }
    return 0;
}

/* The bytes so far move to a file. */
static int to_file(struct spool *s, int fd)
{
    if (fd < 0)
        return errno == ENOSPC ? ERR_NO_SPACE : ERR_IO;
    int r = write_all(fd, buf_span(&s->memory));
    if (r < 0) {
        close(fd);
        return r;
    }
    s->fd = fd;
    memory_drop(s);
    return 0;
}

/* Whoever may connect may begin a message on each of many connections. */
static bool memory_is_full(const struct spool *s, size_t more)
{
    return more > SPOOL_MEMORY_MAX - s->memory.n || *s->in_memory + more > SPOOLS_MEMORY_MAX;
}

int spool_write(struct spool *s, struct span bytes)
{
    if (s->error)
        return s->error;
    if (s->fd < 0 && memory_is_full(s, bytes.n))
        s->error = to_file(s, open(s->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (s->error == 0 && s->fd >= 0)
        s->error = write_all(s->fd, bytes);
    else if (s->error == 0) {
        buf_put_span(&s->memory, bytes);
        *s->in_memory += bytes.n;
    }
    if (s->error == 0)
        s->size += bytes.n;
    return s->error;
}

int spool_error(const struct spool *s)
{
    return s->error;
}

uint64_t spool_size(const struct spool *s)
{
    return s->size;
}

int spool_read(const struct spool *s, uint64_t off, size_t n, struct buf *to)
{
    if (off >= s->size)
        return 0;
    n = (size_t)MIN((uint64_t)n, s->size - off);
    if (s->fd < 0) {
        buf_put(to, s->memory.p + off, n);
        return 0;
    }
    while (n) {
        char *p = buf_reserve(to, n);
        if (!p)
            return ERR_LIMIT;
        ssize_t got = pread(s->fd, p, n, (off_t)off);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? ERR_IO : ERR_CORRUPT;
        buf_commit(to, (size_t)got);
        off += (uint64_t)got;
        n -= (size_t)got;
    }
    return 0;
}

int spool_dup_fd(struct spool *s)
{
    if (s->fd < 0) {
        int r = to_file(s, memfd_create("message", MFD_CLOEXEC));
        if (r < 0)
            return r;
    }
    int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 0);
    return fd < 0 ? ERR_IO : fd;
}
