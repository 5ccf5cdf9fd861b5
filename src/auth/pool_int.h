/* auth/pool_int.h: connections to a directory's server, each used by one thread at a time.
 *
 * Made when needed, up to a bound; more callers wait, for the timeout at most. After a connection
 * could not be made nobody tries again for a second, so that a server that is down does not hold up
 * every worker thread for the whole timeout. Any thread. */
#ifndef AUTH_POOL_INT_H
#define AUTH_POOL_INT_H

#include "base/err.h"

struct pool_ops {
    void *(*open)(void *arg, struct err *err); /* NULL: err says why */
    void (*close)(void *connection);
};

struct pool;

struct pool *pool_new(const struct pool_ops *ops, void *arg, size_t max, uint64_t timeout_s);
void pool_free(struct pool *p); /* all are back */
/* NULL: ERR_BUSY. ret_fresh: it was made for this call. */
void *pool_take(struct pool *p, bool *ret_fresh, struct err *err) must_check;
void pool_give(struct pool *p, void *connection, bool good);

#endif
