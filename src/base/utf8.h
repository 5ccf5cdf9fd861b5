/* base/utf8.h: UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF.
 * NUL is a character like others. Pure functions, any thread. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include "base/span.h"

bool utf8_valid(struct span s);
/* The character at *pos, which must be before the end; advances *pos. False if it is malformed. */
bool utf8_next(struct span s, size_t *pos, uint32_t *ret);

#endif
