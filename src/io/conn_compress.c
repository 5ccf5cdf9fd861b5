#include "io/conn_compress.h"

#include <malloc.h>

enum {
    REST_MS = 3000,   /* quiet for so long: memory is given back */
    IN_USE_MAX = 128, /* codecs not at rest in one process: 25 MB */
    TRIM_MS = 5000,
    SLICE = 64 * 1024, /* decompressed at a time */
};

static void rest(struct conn_compress *z)
{
    codec_rest(z->codec);
    list_remove(&z->link);
    z->loop->codec_count--;
    z->loop->codec_trim = true;
}

/* What rested is freed in the middle of a heap, which libc gives back when asked only; it takes a
 * millisecond or so, therefore not often. */
static void trim(struct loop *l)
{
    uint64_t now = loop_now_ms(l), due = l->codec_trimmed_ms + TRIM_MS;
    if (!l->codec_trim)
        return;
    if (now < due) {
        loop_timer_set(l, &l->codec_timer, due - now);
        return;
    }
    l->codec_trim = false;
    l->codec_trimmed_ms = now;
    malloc_trim(0);
}

void conn_compress_sweep(struct loop_timer *t)
{
    struct loop *l = container_of(t, struct loop, codec_timer);
    struct conn_compress *z, *next;
    trim(l);
    list_each_safe(z, next, &l->codecs, link)
    {
        if (z->used_ms + REST_MS > loop_now_ms(l)) {
            loop_timer_set(l, t, z->used_ms + REST_MS - loop_now_ms(l));
            return;
        }
        rest(z);
    }
    trim(l);
}

struct conn_compress *conn_compress_new(struct loop *l, struct conn *owner, loop_task_cb *cb)
{
    struct conn_compress *z = xnew(struct conn_compress);
    list_init(&z->link);
    z->loop = l;
    z->owner = owner;
    z->codec = codec_new();
    buf_init(&z->pending, BUF_UNLIMITED); /* bounded by one read */
    loop_task_init(&z->task, cb);
    return z;
}

void conn_compress_free(struct conn_compress *z)
{
    if (!z)
        return;
    if (!list_empty(&z->link))
        z->loop->codec_count--;
    list_remove(&z->link);
    loop_task_cancel(&z->task);
    codec_free(z->codec);
    buf_done(&z->pending);
    if (z->loop->codec_count == 0 && !z->loop->codec_trim)
        loop_timer_cancel(&z->loop->codec_timer);
    free(z);
}

void conn_compress_used(struct conn_compress *z)
{
    struct loop *l = z->loop;
    if (list_empty(&z->link)) {
        if (l->codec_count++ == 0)
            loop_timer_set(l, &l->codec_timer, REST_MS); /* a trim can wait for that */
    } else {
        list_remove(&z->link);
    }
    list_push_back(&l->codecs, &z->link);
    z->used_ms = loop_now_ms(l);
    struct conn_compress *oldest = list_first(&l->codecs, struct conn_compress, link);
    if (l->codec_count > IN_USE_MAX && oldest)
        rest(oldest);
}

int conn_compress_next(struct conn_compress *z, struct span *ret)
{
    size_t n;
    struct span in = buf_span(&z->pending);
    conn_compress_used(z);
    int r = codec_inflate(z->codec, &in, z->loop->input, SLICE, &n);
    *ret = span_make(z->loop->input, n);
    z->more = n == SLICE;
    if (in.n == 0)
        buf_done(&z->pending);
    else
        buf_consume(&z->pending, z->pending.n - in.n);
    return r;
}
