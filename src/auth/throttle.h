/* auth/throttle.h: how long the answer to a failed login waits.
 *
 * Counts failures by name and by address; the delay doubles with each, up to a maximum, and is
 * forgotten after some time without one, or with a success. Limits: a bounded number of entries;
 * when it is reached all are forgotten. One thread. */
#ifndef AUTH_THROTTLE_H
#define AUTH_THROTTLE_H

#include "base/map.h"

enum { THROTTLE_ENTRIES_MAX = 20000, THROTTLE_FORGET_MS = 10 * 60 * 1000 };

struct throttle {
    struct map entries;
    uint64_t base_ms, max_ms;
};

void throttle_init(struct throttle *t, uint64_t base_ms, uint64_t max_ms);
void throttle_done(struct throttle *t);
/* Another failure: the milliseconds to wait. */
uint64_t throttle_failed(struct throttle *t, struct span user, struct span address,
                         uint64_t now_ms);
void throttle_succeeded(struct throttle *t, struct span user, struct span address);

#endif
