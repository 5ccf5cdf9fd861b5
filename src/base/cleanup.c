#include "base/cleanup.h"

#include "base/logline.h"

static void *checked(void *p)
{
    if (!p) {
        log_event(LOG_ERROR, "out-of-memory", NULL);
        abort();
    }
    return p;
}

void *xmalloc(size_t n)
{
    return checked(malloc(n ? n : 1));
}

void *xcalloc(size_t n, size_t size)
{
    return checked(calloc(n ? n : 1, size ? size : 1));
}

void *xrealloc(void *p, size_t n)
{
    return checked(realloc(p, n ? n : 1));
}

void *xrealloc_array(void *p, size_t n, size_t size)
{
    return checked(reallocarray(p, n ? n : 1, size ? size : 1));
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xmalloc(n + 1);
    if (n)
        memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

void invariant_failed(const char *cond, const char *file, int line)
{
    log_text(LOG_ERROR, "invariant", "%s:%d: %s", file, line, cond);
    abort();
}
