/* lmtp/spool.h: a message between its arrival and its delivery to the last recipient.
 *
 * Up to SPOOL_MEMORY_MAX bytes of one and SPOOLS_MEMORY_MAX of all stay in memory; what is more
 * goes to a file without a name. Reference-counted, because deliveries to several recipients run at
 * the same time. One thread. */
#ifndef LMTP_SPOOL_H
#define LMTP_SPOOL_H

#include "base/buf.h"
#include "base/err.h"

enum { SPOOL_MEMORY_MAX = 1 << 20, SPOOLS_MEMORY_MAX = 16 << 20 };

struct spool;

/* dir: for large messages. in_memory: the bytes that all spools have there, 0 at first; outlives
 * them. */
struct spool *spool_new(const char *dir, size_t *in_memory);
struct spool *spool_ref(struct spool *s);
void spool_unref(struct spool *s);
/* The error sticks, later bytes are ignored. */
int spool_write(struct spool *s, struct span bytes);
int spool_error(const struct spool *s);
uint64_t spool_size(const struct spool *s);
/* From a file whose descriptor came from elsewhere; takes fd. */
struct spool *spool_from_fd(int fd, uint64_t size);
/* Appends up to n bytes from off on; 0 or ERR_IO, ERR_CORRUPT (shorter than it should be). */
int spool_read(const struct spool *s, uint64_t off, size_t n, struct buf *to) must_check;
/* A descriptor of its own, to be given away, or negative ERR_. */
int spool_dup_fd(struct spool *s) must_check;

#endif
