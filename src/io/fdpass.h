/* io/fdpass.h: descriptors across process borders (SCM_RIGHTS), and pairs of sockets.
 *
 * For SOCK_SEQPACKET sockets, one packet a call. Received descriptors are close-on-exec. Any
 * thread. */
#ifndef IO_FDPASS_H
#define IO_FDPASS_H

#include "base/err.h"

/* Sends one packet with an optional descriptor (-1: none), which stays open here. ERR_OK,
 * ERR_AGAIN, ERR_LIMIT (packet too large), ERR_CLOSED (peer gone), ERR_IO. */
int fdpass_send(int sock, struct span packet, int fd) must_check;

enum { FDPASS_LOST = -2 };

/* Receives one packet into p. ERR_OK with *ret_n and *ret_fd (-1: none; FDPASS_LOST: one came, for
 * which this process has no room, and is closed), ERR_AGAIN, ERR_CLOSED (end
 * of input), ERR_INVALID (the packet was larger than cap, or more than one descriptor came: all of
 * it is thrown away), ERR_IO. */
int fdpass_recv(int sock, void *p, size_t cap, size_t *ret_n, int *ret_fd) must_check;

/* Both ends close-on-exec and non-blocking. */
int fdpass_pair_stream(int ret_fds[2], struct err *err) must_check;
int fdpass_pair_packet(int ret_fds[2], struct err *err) must_check;

int fd_set_nonblocking(int fd) must_check;

#endif
