/* COMPRESS: whatever comes expands to the same bytes in any chunking, with rests between, and ends
 * in the same way; and what is compressed expands to what it was. */
#include "io/codec.h"

enum { CAP = 256 << 10 };

/* Steps are drawn from the input, so that they are the same for the same input. */
struct steps {
    uint32_t rng;
};

static uint32_t step(struct steps *s, uint32_t n)
{
    s->rng = s->rng * 1664525 + 1013904223;
    return (s->rng >> 8) % n;
}

static void maybe_rest(struct codec *c, struct steps *s)
{
    if (s->rng && step(s, 5) == 0)
        codec_rest(c);
}

/* At most CAP bytes; the end: 0, ERR_CLOSED or ERR_INVALID. Steps of 0: all at once. */
static int expand(struct codec *c, struct span in, struct steps *s, struct buf *out)
{
    while (out->n < CAP) {
        size_t n = in.n, room = CAP, got;
        if (s->rng) { /* MIN looks at its arguments twice */
            n = 1 + step(s, 40);
            room = 1 + step(s, 999);
        }
        n = MIN(n, in.n);
        struct span piece = span_head(in, n);
        room = MIN(room, CAP - out->n);
        int rc = codec_inflate(c, &piece, buf_reserve(out, room), room, &got);
        if (got > room || piece.n > n)
            __builtin_trap();
        buf_commit(out, got);
        in = span_skip(in, n - piece.n);
        if (rc)
            return rc;
        if (in.n == 0 && got < room)
            return 0;
        maybe_rest(c, s);
    }
    return 0;
}

static int expand_new(struct span in, struct steps s, struct buf *out)
{
    struct codec *c = codec_new();
    int rc = expand(c, in, &s, out);
    codec_free(c);
    return rc;
}

static void check_hostile(struct span in, struct steps s)
{
    autobuf whole = BUF_INIT(CAP), parts = BUF_INIT(CAP);
    int a = expand_new(in, (struct steps){0}, &whole), b = expand_new(in, s, &parts);
    if (whole.n < CAP && a != b)
        __builtin_trap();
    if (!span_eq(buf_span(&whole), buf_span(&parts)))
        __builtin_trap();
}

static void check_round(struct span in, struct steps s)
{
    autobuf coded = BUF_INIT(BUF_UNLIMITED), back = BUF_INIT(BUF_UNLIMITED);
    struct codec *c = codec_new(), *peer = codec_new();
    struct span rest = in;
    while (rest.n) {
        size_t n = 1 + step(&s, 200);
        n = MIN(n, rest.n);
        codec_deflate(c, span_head(rest, n), step(&s, 3) == 0, &coded);
        rest = span_skip(rest, n);
        maybe_rest(c, &s);
    }
    codec_deflate(c, SPAN_EMPTY, true, &coded);
    if (expand(peer, buf_span(&coded), &s, &back) || !span_eq(buf_span(&back), in))
        __builtin_trap();
    codec_free(c);
    codec_free(peer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    struct steps s = {(data[0] | 1u) * 2654435761u};
    struct span in = span_make(data + 2, MIN(n - 2, 64 << 10));
    if (data[1] & 1)
        check_round(in, s);
    else
        check_hostile(in, s);
    return 0;
}
