/* io/loop_int.h: what the files of this folder share about the loop. */
#ifndef IO_LOOP_INT_H
#define IO_LOOP_INT_H

#include <uv.h>

#include "io/loop.h"

enum {
    LOOP_INPUT_SIZE = 128 * 1024,
    WHEEL_LEVELS = 6, /* 64^6 ticks of 10 ms: 21 years */
    WHEEL_SLOTS = 64,
    TICK_MS = 10,
};

struct wheel {
    uint64_t cur;                /* the tick up to which everything has fired */
    uint64_t busy[WHEEL_LEVELS]; /* slots that may have timers */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

struct loop {
    uv_loop_t uv;
    uv_timer_t timer;
    uint64_t timer_tick; /* what `timer` is set to; UINT64_MAX: not at all */
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    bool in_timers, stopped;
    unsigned patience_ms; /* conn_set_patience; 0: the defaults */
    struct list deferred, slices;
    struct wheel wheel;
    struct loop_job *free_jobs;
    size_t jobs;
    struct list codecs; /* of compressing connections that are not at rest, oldest use first ... */
    size_t codec_count;
    bool codec_trim; /* some have been put to rest since libc gave memory back */
    uint64_t codec_trimmed_ms;
    struct loop_timer codec_timer; /* ... and set while there are some (conn_compress.c) */
    char *input; /* LOOP_INPUT_SIZE bytes, for whoever is reading at this moment */
};

uv_loop_t *loop_uv(struct loop *l);

#endif
