/* message/utf8_int.h: one character at a time. Private to src/message. */
#ifndef MESSAGE_UTF8_INT_H
#define MESSAGE_UTF8_INT_H

#include "base/buf.h"
#include "base/span.h"

enum { UTF8_BAD = -1, UTF8_SHORT = 0 };

/* The length (1 to 4) of the character at p and the character; UTF8_SHORT if the n bytes are a
 * proper prefix of one; UTF8_BAD if p starts none (RFC 3629: overlong forms, surrogates and more
 * than U+10FFFF are none). n > 0. */
int utf8_take(const char *p, size_t n, uint32_t *ret_c);

/* Writes 1 to 4 bytes, returns how many. c must be a Unicode scalar value. */
size_t utf8_write(char *to, uint32_t c);

#endif
