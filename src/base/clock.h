/* base/clock.h: the one place that time comes from.
 *
 * Wall time may step back: it is shown to people and stored with messages, never used for ordering.
 * Tests set it. Any thread. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

uint64_t clock_wall_us(void);              /* microseconds since 1970 UTC */
uint64_t clock_monotonic_us(void);         /* for durations and deadlines */
void clock_set_for_test(uint64_t wall_us); /* 0 returns to the real clock */

#endif
