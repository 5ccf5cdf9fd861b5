#include "base/random.h"

#include <errno.h>
#include <sys/random.h>

#include "base/cleanup.h"

void random_bytes(void *p, size_t n)
{
    char *to = p;
    while (n) {
        ssize_t got = getrandom(to, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        invariant(got > 0);
        to += got;
        n -= (size_t)got;
    }
}

uint64_t random_u64(void)
{
    uint64_t v;
    random_bytes(&v, sizeof(v));
    return v;
}
