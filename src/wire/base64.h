/* wire/base64.h: base64 (RFC 4648 section 4), strict: padding required, no white space, unused bits
 * zero. For SASL. Pure functions, any thread. */
#ifndef WIRE_BASE64_H
#define WIRE_BASE64_H

#include "base/buf.h"
#include "base/err.h"

/* Appends; ERR_INVALID (out as it was), ERR_LIMIT if out is full. */
int base64_decode(struct span s, struct buf *out) must_check;
void base64_encode(struct span s, struct buf *out);

#endif
