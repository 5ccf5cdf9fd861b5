/* auth/http_int.h: one HTTP(S) request, for key sets and introspection. Blocks. Any thread.
 *
 * No redirects, at most HTTP_BODY_MAX bytes, the server's certificate is checked. */
#ifndef AUTH_HTTP_INT_H
#define AUTH_HTTP_INT_H

#include "base/buf.h"
#include "base/err.h"

enum { HTTP_BODY_MAX = 1 << 20 };

struct http_request {
    const char *url, *ca_file;   /* "": the system's */
    const char *body;            /* NULL: GET; a form */
    const char *user, *password; /* NULL: none; Basic */
    uint64_t timeout_s;
};

/* Appends the body of a 200 answer. ERR_BUSY: anything else. */
int http_fetch(const struct http_request *q, struct buf *ret, struct err *err) must_check;
/* Appends s as a value of a form. */
void http_put_escaped(struct span s, struct buf *out);

#endif
