/* tests/unit/store/explore.h: what test_explore does to an account, and how the account looks. */
#ifndef TESTS_STORE_EXPLORE_H
#define TESTS_STORE_EXPLORE_H

#include "fixture.h"

/* Below n; a history is the same for the same *rng at its start. */
uint32_t explore_draw(uint64_t *rng, uint32_t n);

/* The next request of a history: any kind that the writer knows but DERIVED, which writes no log.
 * Freed by asked_free. */
struct asked *explore_request(struct fixture *f, uint64_t *rng);

/* The step with this number: a request, now and then maintenance. Its error; 0 or a refusal that it
 * deserves if the disk does as told. */
int explore_step(struct fixture *f, int i, uint64_t *rng);
/* Refused because of the machine: no space, trouble with a file ... */
bool explore_refused(int error);
/* The log is whole, and the index is what it says. */
bool explore_check(struct fixture *f);

/* All that a client, an administrator or another account can see. exact: with what differs from
 * one run of the same history to the next (UIDVALIDITY, keys). */
void explore_picture(struct fixture *f, bool exact, struct buf *to);

/* Where the index of the account is. */
void explore_index_path(struct fixture *f, struct buf *to);
/* A directory with all that is in it. */
void explore_remove(const char *path);

#endif
