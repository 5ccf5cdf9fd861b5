/* io/outq.h: what is to be sent on one connection.
 *
 * Purpose: a queue of bytes, ranges of files and producers, sent in order without blocking.
 * Sessions do not use it directly but through io/conn.h, which flushes it when a turn ends.
 * Ownership: the queue owns the bytes in it and one reference to each file range and producer,
 * given back by `release`, exactly once. An empty queue owns no memory.
 * Failure: outq_send reports it; a queue that failed is only good for outq_done.
 * Limits: the queue never refuses; writers ask outq_full and stop. Full means OUTQ_HIGH bytes of
 * memory, where a file range counts as a small fixed amount whatever its length, or
 * OUTQ_WIRE_HIGH bytes to be sent: what is queued later has to wait for all of it. One thread. */
#ifndef IO_OUTQ_H
#define IO_OUTQ_H

#include "base/buf.h"
#include "base/err.h"
#include "io/codec.h"

enum {
    OUTQ_HIGH = 64 * 1024, /* full from here ... */
    OUTQ_LOW = 16 * 1024,  /* ... until it falls below this */
    OUTQ_WIRE_HIGH = 1024 * 1024,
    OUTQ_WIRE_LOW = 256 * 1024,
};

struct outq_entry;

struct outq {
    struct outq_entry *head, *tail;
    size_t mem;          /* bytes of memory that count towards full */
    uint64_t wire;       /* bytes to be sent; a producer counts nothing here */
    uint64_t sent;       /* bytes that the socket has taken since outq_init */
    size_t begun;        /* between outq_begin and outq_end */
    struct buf coded;    /* compressed, not sent yet: bounded by one piece of what is queued */
    struct codec *codec; /* what is sent is compressed; not owned */
    bool unflushed;      /* the codec has bytes that the peer cannot read yet */
    bool was_full;       /* outq_full has said yes: the owner waits for the low mark */
    bool copy_only;      /* sendfile is not possible on this socket */
};

typedef void outq_release(void *arg);
/* Appends at most `room` bytes to out, at least one unless it is at its end. Returns 1 if there is
 * more, 0 at the end, negative ERR_ if it cannot go on (the connection is then broken off: what was
 * promised cannot be kept). */
typedef int outq_pull(void *arg, struct buf *out, size_t room);

void outq_init(struct outq *q);
void outq_done(struct outq *q); /* drops what was not sent; the queue may be used again */
static inline bool outq_empty(const struct outq *q)
{
    return q->head == NULL && q->coded.n == 0 && !q->unflushed;
}

void outq_put(struct outq *q, struct span bytes); /* copies */
/* A buffer to append to, whose new bytes become part of the queue with outq_end. No other call on
 * the queue in between. Saves a copy for writers that produce text. */
struct buf *outq_begin(struct outq *q);
void outq_end(struct outq *q);
/* len bytes of fd from off. The descriptor is not closed: release(arg) is called when the queue
 * needs it no more, possibly before this returns. If the file turns out to be shorter,
 * outq_send fails with ERR_CORRUPT. */
void outq_put_file(struct outq *q, int fd, uint64_t off, uint64_t len, outq_release *release,
                   void *arg);
/* Bytes made on demand while earlier ones drain. */
void outq_put_producer(struct outq *q, outq_pull *pull, outq_release *release, void *arg);

/* What is queued after this is compressed (RFC 4978). outq_send flushes the stream whenever it has
 * taken everything. The codec must live until outq_done. */
void outq_compress(struct outq *q, struct codec *codec);

/* True when the writer should stop for now; it is told when the queue has drained below OUTQ_LOW
 * and OUTQ_WIRE_LOW (outq_drained turns true, once). */
bool outq_full(struct outq *q);
bool outq_drained(struct outq *q);

/* Sends as much as the socket takes, up to about `budget` bytes. ERR_OK: the queue is empty;
 * ERR_AGAIN: the socket is full; ERR_LIMIT: the budget is spent; ERR_IO and what files and
 * producers return: the connection cannot be used any more. */
int outq_send(struct outq *q, int fd, size_t budget, struct err *err) must_check;

#endif
