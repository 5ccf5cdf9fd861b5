#include "io/codec.h"

#include <zlib.h>

/* Raw DEFLATE (RFC 4978 section 4). Level 3 halves what IMAP sends at a third of the CPU of
 * zlib's default. */
enum {
    LEVEL = 3,
    WINDOW_BITS = 15,
    MEMORY_LEVEL = 7,
    WINDOW = 1 << WINDOW_BITS,
    PIECE = 16 * 1024, /* output room at a time */
};

struct codec {
    z_stream *deflate; /* NULL: nothing sent since the last rest */
    bool unflushed;
    z_stream *inflate; /* NULL: nothing received since the last rest */
    bool ended;
    bool aligned;               /* the decompressor stands between two blocks ... */
    unsigned char bits_n, bits; /* ... with these bits of the last byte not taken yet */
    struct buf window;          /* while at rest: what the peer may refer to, deflated */
};

struct codec *codec_new(void)
{
    struct codec *c = xnew(struct codec);
    buf_init(&c->window, BUF_UNLIMITED);
    c->aligned = true;
    return c;
}

static void deflate_drop(struct codec *c)
{
    if (c->deflate)
        deflateEnd(c->deflate);
    free(c->deflate);
    c->deflate = NULL;
}

static void inflate_drop(struct codec *c)
{
    if (c->inflate)
        inflateEnd(c->inflate);
    free(c->inflate);
    c->inflate = NULL;
}

void codec_free(struct codec *c)
{
    if (!c)
        return;
    deflate_drop(c);
    inflate_drop(c);
    buf_done(&c->window);
    free(c);
}

static void *allocate(void *arg, unsigned n, unsigned size)
{
    (void)arg;
    return xcalloc(n, size); /* zlib need not know what happens when there is no memory */
}

static void release(void *arg, void *p)
{
    (void)arg;
    free(p);
}

static void stream_init(z_stream *z)
{
    *z = (z_stream){.zalloc = allocate, .zfree = release};
}

static void deflate_init(z_stream *z)
{
    stream_init(z);
    int r = deflateInit2(z, LEVEL, Z_DEFLATED, -WINDOW_BITS, MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    invariant(r == Z_OK);
}

static void inflate_init(z_stream *z)
{
    stream_init(z);
    int r = inflateInit2(z, -WINDOW_BITS);
    invariant(r == Z_OK);
}

/* Everything that z takes or has pending; zlib counts in unsigned int. */
static void deflate_all(z_stream *z, struct span bytes, int flush, struct buf *out)
{
    z->next_in = (unsigned char *)(uintptr_t)bytes.p;
    do {
        size_t n = MIN(bytes.n, (size_t)1 << 30);
        z->avail_in = (unsigned)n;
        bytes = span_skip(bytes, n);
        do {
            buf_reserve(out, PIECE);
            z->next_out = (unsigned char *)out->p + out->n;
            z->avail_out = PIECE;
            int r = deflate(z, bytes.n ? Z_NO_FLUSH : flush);
            invariant(r == Z_OK || r == Z_BUF_ERROR || r == Z_STREAM_END);
            out->n += PIECE - z->avail_out;
        } while (z->avail_out == 0);
    } while (bytes.n);
}

void codec_deflate(struct codec *c, struct span bytes, bool flush, struct buf *out)
{
    if (!bytes.n && !(flush && c->unflushed))
        return;
    if (!c->deflate) {
        c->deflate = xnew(z_stream);
        deflate_init(c->deflate);
    }
    deflate_all(c->deflate, bytes, flush ? Z_SYNC_FLUSH : Z_NO_FLUSH, out);
    c->unflushed = !flush;
}

/* --- what has arrived --- */

/* The window of a decompressor that rests, deflated and back. */
static void window_pack(struct codec *c, struct span window)
{
    z_stream z;
    deflate_init(&z);
    autobuf packed = BUF_INIT(BUF_UNLIMITED);
    deflate_all(&z, window, Z_FINISH, &packed);
    deflateEnd(&z);
    buf_done(&c->window);
    buf_put_span(&c->window, buf_span(&packed)); /* not with the room that PIECE reserved */
}

static void window_unpack(struct codec *c)
{
    z_stream z;
    inflate_init(&z);
    unsigned char *window = xmalloc(WINDOW);
    z.next_in = (unsigned char *)c->window.p;
    z.avail_in = (unsigned)c->window.n;
    z.next_out = window;
    z.avail_out = WINDOW;
    int r = inflate(&z, Z_FINISH);
    invariant(r == Z_STREAM_END);
    r = inflateSetDictionary(c->inflate, window, WINDOW - z.avail_out);
    invariant(r == Z_OK);
    inflateEnd(&z);
    free(window);
    buf_done(&c->window);
}

static void inflate_begin(struct codec *c)
{
    c->inflate = xnew(z_stream);
    inflate_init(c->inflate);
    if (c->window.n)
        window_unpack(c);
    if (c->bits_n) {
        int r = inflatePrime(c->inflate, c->bits_n, c->bits);
        invariant(r == Z_OK);
    }
}

/* Where the decompressor stands: Z_BLOCK makes it stop between blocks, and data_type tell of it
 * (zlib.h, at inflate). */
static void note_position(struct codec *c, const unsigned char *begin)
{
    int state = c->inflate->data_type;
    c->bits_n = (unsigned char)(state & 7);
    c->aligned = (state & ~7) == 128; /* after a block that is not the last one */
    if (!c->aligned || !c->bits_n)
        return;
    if (c->inflate->next_in == begin) /* the byte with these bits is not here any more */
        c->aligned = false;
    else
        c->bits = (unsigned char)(c->inflate->next_in[-1] >> (8 - c->bits_n));
}

int codec_inflate(struct codec *c, struct span *in, char *to, size_t room, size_t *ret_n)
{
    *ret_n = 0;
    if (c->ended)
        return ERR_CLOSED;
    if (!c->inflate) {
        if (!in->n)
            return 0;
        inflate_begin(c);
    }
    z_stream *z = c->inflate;
    z->next_out = (unsigned char *)to;
    z->avail_out = (unsigned)MIN(room, (size_t)1 << 30);
    size_t given = z->avail_out;
    int r = Z_OK;
    do {
        unsigned char *begin = (unsigned char *)(uintptr_t)in->p;
        z->next_in = begin;
        z->avail_in = (unsigned)MIN(in->n, (size_t)1 << 30);
        r = inflate(z, Z_BLOCK);
        if (r == Z_OK || r == Z_BUF_ERROR)
            note_position(c, begin);
        *in = span_skip(*in, (size_t)(z->next_in - begin));
    } while (r == Z_OK && in->n && z->avail_out);
    *ret_n = given - z->avail_out;
    /* Z_BLOCK stops after the last block too, before it is called the end of the stream. */
    if (r == Z_STREAM_END || (r == Z_OK && (z->data_type & 192) == 192)) {
        c->ended = true;
        inflate_drop(c);
        return ERR_CLOSED;
    }
    return r == Z_OK || r == Z_BUF_ERROR ? 0 : ERR_INVALID;
}

static void inflate_rest(struct codec *c)
{
    if (!c->inflate || !c->aligned)
        return;
    unsigned char *window = xmalloc(WINDOW);
    unsigned n = 0;
    int r = inflateGetDictionary(c->inflate, window, &n);
    invariant(r == Z_OK);
    inflate_drop(c);
    if (n)
        window_pack(c, span_make((char *)window, n));
    free(window);
}

void codec_rest(struct codec *c)
{
    if (!c->unflushed)
        deflate_drop(c);
    inflate_rest(c);
}

bool codec_resting(const struct codec *c)
{
    return !c->deflate && !c->inflate;
}
