/* io/listen.h: listening sockets.
 *
 * listen_* functions open sockets (the supervisor does that), a struct listener accepts from one
 * (in the process that serves it). Several processes may accept from one socket.
 * Limits: a bounded number of connections is accepted a turn; at its connection limit, or when the
 * process runs out of descriptors, a listener pauses and the kernel's queue holds the rest. */
#ifndef IO_LISTEN_H
#define IO_LISTEN_H

#include <sys/socket.h>

#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

struct address {
    struct sockaddr_storage ss;
    socklen_t len;
};

/* "127.0.0.1", "::1", "*" (all of IPv6 and IPv4) with a port. */
int address_parse(struct span host, uint16_t port, struct address *ret, struct err *err) must_check;
bool address_is_loopback(const struct address *a); /* UNIX sockets count as loopback */
/* "192.0.2.1:993", "[::1]:993" or "unix". */
void address_format(const struct address *a, struct buf *out);
/* Without the port. */
void address_format_host(const struct address *a, struct buf *out);
/* Of a connected socket. */
void address_of_peer(int fd, struct address *ret);
void address_of_socket(int fd, struct address *ret);

/* A listening descriptor, close-on-exec and non-blocking, or negative ERR_. */
int listen_tcp(const struct address *a, int backlog, struct err *err) must_check;
/* type is SOCK_STREAM or SOCK_SEQPACKET; a stale socket file is replaced. */
int listen_unix(const char *path, int type, int backlog, struct err *err) must_check;

struct listener;
/* A connection, non-blocking, close-on-exec, TCP_NODELAY; the callee owns fd. */
typedef void listener_cb(void *arg, int fd, const struct address *peer);

/* Takes fd. */
struct listener *listener_new(struct loop *l, int fd, listener_cb *cb, void *arg);
void listener_free(struct listener *ln);
/* The owner's limits: while paused nothing is accepted. */
void listener_pause(struct listener *ln);
void listener_resume(struct listener *ln);

#endif
