/* imap/sort.h: putting messages in order (RFC 5256 section 3, RFC 5957).
 *
 * Messages are added as they are found; then sorted in slices, so that a large mailbox holds nobody
 * up. What is compared was worked out when the messages came in (message/derived.h). Memory: 24
 * octets a message and its keys. One thread. */
#ifndef IMAP_SORT_H
#define IMAP_SORT_H

#include "imap/session_int.h"

struct sort;

/* criteria must outlive it. max: octets it may use. */
struct sort *sort_new(const struct sort_criterion *criteria, unsigned n, size_t max);
void sort_free(struct sort *s); /* NULL is allowed */
bool sort_needs_derived(const struct sort *s);
/* In mailbox order. derived may be empty if it is not needed, or damaged. ERR_LIMIT. */
int sort_add(struct sort *s, const struct shown *m, struct span derived) must_check;
/* True when everything is in order; false: call again. Nothing is added any more. */
bool sort_step(struct sort *s);
/* After the last sort_step, for one that goes on: sort_add, then sort_settle, which moves the first
 * of those that were added to its place and returns that (from 0). sort_keep: before the first
 * sort_add. */
void sort_keep(struct sort *s);
size_t sort_settle(struct sort *s, size_t settled);
/* Returns where it was, or SIZE_MAX. */
size_t sort_remove(struct sort *s, uint32_t uid);
size_t sort_count(const struct sort *s);
/* The i-th message: its UID, or its number when it was added. */
uint32_t sort_at(const struct sort *s, size_t i, bool uid);

#endif
