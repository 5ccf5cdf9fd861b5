/* auth/throttle.h: how fast passwords can be guessed.
 *
 * Every account and every client network (IPv4 /24, IPv6 /64) has a score of failures, which time
 * wears off. With a score above what an office of forgetful people reaches, attempts are looked at
 * one after the other with growing gaps, the right ones among them: parallel connections gain
 * nothing. Who guesses widely is slowed by network, who guesses from everywhere at one account
 * by account. A pair of account and network that logged in lately waits for neither, so that an
 * attacker cannot keep a person out, nor one wrong phone its office.
 * The same wrong password again counts once: a client that was not told of a change is no attack.
 * Memory: THROTTLE_ENTRIES_MAX entries; the one unused for longest goes first. One thread. */
#ifndef AUTH_THROTTLE_H
#define AUTH_THROTTLE_H

#include "base/list.h"
#include "base/map.h"

enum {
    THROTTLE_ENTRIES_MAX = 50000,
    THROTTLE_WEAR_MS = 30 * 1000,         /* a score loses 1 in so long */
    THROTTLE_TRUST_MS = 24 * 3600 * 1000, /* how long a pair that logged in is waved through */
    THROTTLE_FREE_ACCOUNT = 3,            /* failures without a gap ... */
    THROTTLE_FREE_NETWORK = 10,           /* ... of one network */
    THROTTLE_WAIT_MAX_MS = 30 * 1000,     /* attempts that would wait longer are refused */
    THROTTLE_WRONG_KEPT = 4,              /* wrong passwords of an account that are remembered */
};

#define THROTTLE_REFUSE UINT64_MAX

struct throttle {
    struct map entries;
    struct list used;         /* most recently used first */
    uint64_t base_ms, max_ms; /* the first gap and the widest */
};

void throttle_init(struct throttle *t, uint64_t base_ms, uint64_t max_ms);
void throttle_done(struct throttle *t);

/* Takes a place in the queue: milliseconds until the attempt may be looked at (usually 0), or
 * THROTTLE_REFUSE: too many wait already. */
uint64_t throttle_enter(struct throttle *t, struct span user, struct span address, uint64_t now_ms);
/* secret: what was presented, or empty where it cannot be known (SCRAM). True: this counted; false:
 * it was a repetition. */
bool throttle_failed(struct throttle *t, struct span user, struct span address, struct span secret,
                     uint64_t now_ms);
void throttle_succeeded(struct throttle *t, struct span user, struct span address, uint64_t now_ms);

#endif
