/* io/codec.h: the two DEFLATE streams of a connection with COMPRESS (RFC 4978, RFC 1951).
 *
 * Purpose: bytes to bytes, no I/O. io/outq.c compresses what is sent, io/conn.c decompresses what
 * arrives, in slices, so that what a few bytes expand to is bounded by whoever asks.
 * Ownership: the caller's; one thread.
 * Memory: in use about 200 KiB. codec_rest leaves of it what is needed to go on: of the compressor
 * nothing (what it sent last ends at a byte, and a new one needs no earlier bytes), of the
 * decompressor the last 32 KiB that it gave, which the peer may refer to, deflated: about a
 * kilobyte of commands.
 * Failure: codec_inflate reports what is no DEFLATE. */
#ifndef IO_CODEC_H
#define IO_CODEC_H

#include "base/buf.h"
#include "base/err.h"

struct codec;

struct codec *codec_new(void);
void codec_free(struct codec *c); /* NULL is allowed */

/* Appends to out what becomes of the bytes. flush: so that the peer can make use of all of them
 * (Z_SYNC_FLUSH); without bytes since the last one, nothing happens. */
void codec_deflate(struct codec *c, struct span bytes, bool flush, struct buf *out);

/* Takes bytes from the front of *in and gives at most `room` at `to`. Call again while there is
 * input left or the room was used up. ERR_CLOSED: the peer has ended its stream (with these
 * bytes, if any); ERR_INVALID: not DEFLATE. */
int codec_inflate(struct codec *c, struct span *in, char *to, size_t room,
                  size_t *ret_n) must_check;

/* To be called when the connection is quiet: gives back memory (see above). Harmless at any time;
 * output that has not been flushed, or input in the middle of a block, keeps what it needs. */
void codec_rest(struct codec *c);
bool codec_resting(const struct codec *c);

#endif
