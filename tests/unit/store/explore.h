/* tests/unit/store/explore.h: what test_explore does to an account, and how the account looks. */
#ifndef TESTS_STORE_EXPLORE_H
#define TESTS_STORE_EXPLORE_H

#include "fixture.h"

/* Below n; a history is the same for the same *rng at its start. */
uint32_t explore_draw(uint64_t *rng, uint32_t n);

/* The next request of a history: any kind that the writer knows but DERIVED, which writes no log.
 * Freed by asked_free. */
struct asked *explore_request(struct fixture *f, uint64_t *rng);

/* All that a client, an administrator or another account can see. exact: with what differs from
 * one run of the same history to the next (UIDVALIDITY, keys). */
void explore_picture(struct fixture *f, bool exact, struct buf *to);

#endif
