/* base/network.h: blocks of IP addresses, as "192.0.2.0/24", "2001:db8::/32" or one address.
 *
 * IPv4-mapped IPv6 addresses count as the IPv4 addresses they stand for. Pure; any thread. */
#ifndef BASE_NETWORK_H
#define BASE_NETWORK_H

#include "base/span.h"

struct network {
    unsigned char address[16]; /* IPv4: mapped into IPv6 */
    unsigned bits;             /* that count, of 128 */
};

/* False: not a network. Bits beyond the prefix must be zero. */
bool network_parse(struct span text, struct network *ret);
/* host: an address as text; what is none ("unix") is in no network. */
bool network_has(const struct network *n, struct span host);

#endif
