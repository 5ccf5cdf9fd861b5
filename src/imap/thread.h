/* imap/thread.h: putting messages into threads (RFC 5256 section 3; REFS of
 * draft-ietf-morg-inthread: REFERENCES without step 5, threads in the order of their newest
 * INTERNALDATE).
 *
 * Messages are added as they are found, linked and ordered in slices, then written while the answer
 * drains. Nothing recurses: a thread may be as deep as the mailbox is large. Memory: below `max`
 * octets, some 160 for a message and 30 more for each Message-ID that only others refer to. One
 * thread. */
#ifndef IMAP_THREAD_H
#define IMAP_THREAD_H

#include "imap/session_int.h"

struct thread;

struct thread *thread_new(enum thread_algorithm algorithm, bool uid, size_t max);
void thread_free(struct thread *t); /* NULL is allowed */
/* In mailbox order. derived may be empty if it is damaged. ERR_LIMIT. */
int thread_add(struct thread *t, const struct shown *m, struct span derived) must_check;
/* 1: call again; 0: all is in order, nothing is added any more; ERR_LIMIT. */
int thread_step(struct thread *t) must_check;
/* A producer of "* THREAD (1)(2 3)" CRLF (io/conn.h), and what ends it. */
int thread_pull(void *thread, struct buf *out, size_t room);
void thread_producer_free(void *thread);

#endif
