/* base/crc32c.h: the Castagnoli CRC that guards every frame of the log. */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include "base/span.h"

/* Continue with the result of the previous call; start with 0. Pure; any thread. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
