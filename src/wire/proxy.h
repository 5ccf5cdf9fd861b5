/* wire/proxy.h: the PROXY protocol, versions 1 and 2, receiver's side (HAProxy's
 * doc/proxy-protocol.txt, sections 2.1 and 2.2).
 *
 * A proxy in front of the server sends one header before the client's bytes and says who the client
 * is. The receiver must know beforehand that it comes: there is no guessing (section 1), so a
 * missing header is an error. Pure functions, any thread. Limits: PROXY_HEADER_MAX bytes. */
#ifndef WIRE_PROXY_H
#define WIRE_PROXY_H

#include "base/span.h"

enum { PROXY_HEADER_MAX = 2048 };

enum proxy_result { PROXY_MORE, PROXY_OK, PROXY_BAD };

enum proxy_family { PROXY_UNKNOWN, PROXY_IPV4, PROXY_IPV6 };

struct proxy_address {
    unsigned char bytes[16]; /* the first 4 for IPv4, in network order */
    uint16_t port;
};

struct proxy_header {
    size_t length;            /* of the header in the input */
    bool local;               /* the proxy itself speaks (health check): its own address counts */
    enum proxy_family family; /* PROXY_UNKNOWN: the real addresses of the connection count */
    struct proxy_address source, destination;
    bool tls; /* the client reached the proxy over TLS, which the proxy ended */
};

/* PROXY_MORE: the header is not complete. With PROXY_OK *ret is filled. */
enum proxy_result proxy_parse(struct span in, struct proxy_header *ret);

#endif
