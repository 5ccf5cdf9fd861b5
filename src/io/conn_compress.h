/* io/conn_compress.h: the codec of one connection with COMPRESS, for conn.c alone.
 *
 * Keeps what has arrived and could not be decompressed yet, and puts codecs to rest when their
 * connection is quiet, or when too many others are in use. */
#ifndef IO_CONN_COMPRESS_H
#define IO_CONN_COMPRESS_H

#include "io/codec.h"
#include "io/loop_int.h"

struct conn;

struct conn_compress {
    struct list link; /* loop.codecs; alone while at rest */
    struct loop *loop;
    struct conn *owner;
    struct codec *codec;
    struct buf pending; /* arrived, not decompressed */
    bool more;          /* the codec may have more to give without further input */
    struct loop_task task;
    uint64_t used_ms;
};

struct conn_compress *conn_compress_new(struct loop *l, struct conn *owner, loop_task_cb *cb);
void conn_compress_free(struct conn_compress *z); /* NULL is allowed */
/* The loop's codec_timer. */
void conn_compress_sweep(struct loop_timer *t);
/* Its codec is being used now. */
void conn_compress_used(struct conn_compress *z);
/* Decompresses a slice of `pending` into the loop's input buffer. Fails like codec_inflate. */
int conn_compress_next(struct conn_compress *z, struct span *ret) must_check;
static inline bool conn_compress_waiting(const struct conn_compress *z)
{
    return z->more || z->pending.n;
}

#endif
