#include "base/clock.h"

#include "base/banned.h"

static _Atomic uint64_t test_time;

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

uint64_t clock_wall_us(void)
{
    uint64_t t = test_time;
    return t ? t : read_clock(CLOCK_REALTIME);
}

uint64_t clock_monotonic_us(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

void clock_set_for_test(uint64_t wall_us)
{
    test_time = wall_us;
}
