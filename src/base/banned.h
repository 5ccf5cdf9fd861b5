/* base/banned.h: libc calls that cannot be used safely fail to compile.
 *
 * Included by base/span.h, hence by every file. What to use instead: struct buf (base/buf.h) for
 * building strings, struct span for looking at them, bytes.h for numbers in binary data. */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef sprintf /* macros where the libc is fortified */
#undef vsprintf
#pragma GCC poison strcpy strncpy strcat strncat sprintf vsprintf gets strtok
#pragma GCC poison atoi atol atoll gmtime localtime ctime asctime

#endif
