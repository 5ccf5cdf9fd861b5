/* io/conn.h: a connected stream socket (TCP or UNIX) on a loop.
 *
 * Purpose: input as spans, output through a bounded queue, nothing ever blocks.
 * Ownership: the conn owns the descriptor, unless conn_detach takes it. The owner frees the conn,
 * also from inside its callbacks; after conn_free no callback comes.
 * Memory: an idle conn is one struct of about 300 bytes. Input is read into one buffer of the
 * loop, so the span of `input` is valid only during the call and what the owner cannot use yet it
 * must keep itself (and should pause).
 * Failure: reported once through `closed`; writing to a conn that failed is harmless.
 *
 * Output that is queued during one turn of the loop goes out together when the turn ends, or
 * at once when CONN_FLUSH bytes are waiting. Writers that produce much ask conn_full and
 * go on in `drained`. */
#ifndef IO_CONN_H
#define IO_CONN_H

#include "io/loop.h"
#include "io/outq.h"

enum { CONN_FLUSH = 32 * 1024 };

struct conn;

struct conn_ops {
    /* Bytes arrived. Never empty. Not called while paused. */
    void (*input)(void *owner, struct span bytes);
    /* The peer will send no more (it may still read). Called once, at most; not while paused.
     * NULL: treated as a close, `closed` is called with ERR_CLOSED. */
    void (*eof)(void *owner);
    /* The queue that conn_full called full has drained. May be NULL. Called from the loop, never
     * from inside a conn_ function. */
    void (*drained)(void *owner);
    /* It is over: ERR_CLOSED after conn_finish or an end of input without `eof`, else what went
     * wrong. Called once, from the loop, never from inside a conn_ function. The owner
     * calls conn_free, now or later. */
    void (*closed)(void *owner, int code);
};

/* Takes fd, makes it non-blocking, starts reading. */
struct conn *conn_new(struct loop *l, int fd, const struct conn_ops *ops, void *owner);
/* Closes at once; what is queued is dropped. NULL is allowed. */
void conn_free(struct conn *c);
/* Ends the conn but keeps the descriptor, which the caller gets. What is queued is sent first as
 * far as the socket takes it; the rest is dropped (see conn_pending). */
int conn_detach(struct conn *c);
/* Another owner from now on, e.g. when a session takes over from the login dialogue. */
void conn_set_owner(struct conn *c, const struct conn_ops *ops, void *owner);

int conn_fd(const struct conn *c);
struct loop *conn_loop(const struct conn *c);

/* No `input` and `eof` until resumed. Inside `input` too: it is the last one then. */
void conn_pause(struct conn *c);
void conn_resume(struct conn *c);

/* No more than this is read at once (default and maximum: 128 KiB). Before login it is small, so
 * that what was read beyond the login command fits into one message to the next process. */
void conn_set_input_max(struct conn *c, size_t n);

void conn_put(struct conn *c, struct span bytes); /* copies */
#define conn_put_lit(c, lit) conn_put((c), SPAN(lit))
/* A buffer to append to; the bytes belong to the output from conn_end on. No other conn_ call on c
 * in between. The buffer may already contain earlier output, which must stay untouched. */
struct buf *conn_begin(struct conn *c);
void conn_end(struct conn *c);
/* See outq_put_file and outq_put_producer. */
void conn_put_file(struct conn *c, int fd, uint64_t off, uint64_t len, outq_release *release,
                   void *arg);
void conn_put_producer(struct conn *c, outq_pull *pull, outq_release *release, void *arg);

/* The client is in the middle of something and cannot expect an answer yet: its bytes are
 * acknowledged at once, because it may hold the rest back until then (Nagle's algorithm meets
 * delayed acknowledgements: 40 ms). */
void conn_acknowledge(struct conn *c);

/* COMPRESS=DEFLATE (RFC 4978): what is queued from now on is compressed, and what arrives after
 * `waiting` (arrived already, not used by the owner) is decompressed before the owner sees it, in
 * slices, so that a few bytes cannot become very many at once. Once; there is no way back.
 * Also from inside `input`. conn_bytes goes on counting what the socket sees. A stream that
 * is no DEFLATE ends the conn with ERR_INVALID, the end of a stream is the end of input. */
void conn_compress(struct conn *c, struct span waiting);
bool conn_compressing(const struct conn *c);

/* True: stop writing and wait for `drained`. */
bool conn_full(struct conn *c);
/* Bytes read from and taken by the socket so far. */
void conn_bytes(const struct conn *c, uint64_t *ret_in, uint64_t *ret_out);
/* Something has not been sent yet. */
bool conn_pending(const struct conn *c);
/* Send now instead of at the end of the turn. */
void conn_flush(struct conn *c);

/* No more input; when everything queued has been sent, the sending half is shut down, the peer gets
 * a moment to close (so that a last BYE is not lost to a reset), then `closed` is called with
 * ERR_CLOSED. */
void conn_finish(struct conn *c);

/* From now on conn_finish, and TLS pumps at their end, give a peer only so long for reading what is
 * left and closing: for a process that is to end (default 2 s, and 60 s while it reads nothing). */
void conn_set_patience(struct loop *l, unsigned ms);

#endif
