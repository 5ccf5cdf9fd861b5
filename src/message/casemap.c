/* i;unicode-casemap with the tables of utf8proc. */
#include "message/casemap.h"

#include <utf8proc.h>

#include "message/charset.h"
#include "message/scan_int.h"
#include "message/utf8_int.h"

const char *casemap_version(void)
{
    return utf8proc_unicode_version();
}

/* The longest decomposition (U+FDFA) has 18 characters. */
#define DECOMPOSED_MAX 32

/* RFC 5051 section 2 step 2: titlecase first, then decompose; to[] has room for the result. */
static size_t map_char(uint32_t c, char *to)
{
    /* Unified ideographs map to themselves and are most of what is not cased. */
    if (c >= 0x4E00 && c <= 0x9FFF)
        return utf8_write(to, c);
    /* UnicodeData.txt has no titlecase for sharp s; utf8proc makes it U+1E9E. */
    utf8proc_int32_t title = c == 0xDF ? 0xDF : utf8proc_totitle((utf8proc_int32_t)c);
    utf8proc_int32_t parts[DECOMPOSED_MAX];
    int boundary = 0;
    utf8proc_ssize_t n = utf8proc_decompose_char(title, parts, DECOMPOSED_MAX,
                                                 UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, &boundary);
    if (n < 1 || n > DECOMPOSED_MAX) {
        parts[0] = title;
        n = 1;
    }
    size_t len = 0;
    for (utf8proc_ssize_t i = 0; i < n; i++)
        len += utf8_write(to + len, (uint32_t)parts[i]);
    return len;
}

/* --- Two-byte characters ------------------------------------------------------------------ */

/* What U+0080 to U+07FF (Latin, Greek, Cyrillic, Hebrew, Arabic) map to, where that is at most two
 * characters below U+10000: the first in the low half, the second or zero in the high half; zero:
 * ask map_char. Filled once before main, read only from then on. */
static uint32_t two_byte[0x800 - 0x80];

__attribute__((constructor)) static void fill_two_byte(void)
{
    for (uint32_t c = 0x80; c < 0x800; c++) {
        char mapped[4 * DECOMPOSED_MAX];
        size_t n = map_char(c, mapped);
        uint32_t first, second = 0;
        int at = utf8_take(mapped, n, &first);
        bool one = (size_t)at == n;
        bool two = !one && utf8_take(mapped + at, n - (size_t)at, &second) == (int)n - at;
        if ((one || two) && first < 0x10000 && second < 0x10000)
            two_byte[c - 0x80] = first | second << 16;
    }
}

static size_t map_two_byte(uint32_t c, char *to)
{
    uint32_t v = two_byte[c - 0x80];
    if (v == 0)
        return map_char(c, to);
    size_t n = utf8_write(to, v & 0xFFFF);
    return v >> 16 ? n + utf8_write(to + n, v >> 16) : n;
}

/* --- Text --------------------------------------------------------------------------------- */

#define WORD_ONES UINT64_C(0x0101010101010101)
#define WORD_HIGH UINT64_C(0x8080808080808080)

/* Eight ASCII bytes at once. */
static uint64_t upper_word(uint64_t w)
{
    uint64_t ge_a = w + (0x80 - 'a') * WORD_ONES;
    uint64_t gt_z = w + (0x7f - 'z') * WORD_ONES;
    return w - (((ge_a ^ gt_z) & WORD_HIGH) >> 2);
}

/* Input mapped before more room is reserved, and the room: three bytes become 33 at most. */
#define STEP      256
#define STEP_ROOM (STEP * 11 + 4 * DECOMPOSED_MAX + 8)

/* Maps from s until at least limit bytes are done (or all, or an incomplete character is met with
 * more). Returns the bytes consumed and made. */
static size_t map_step(struct span s, size_t limit, bool more, char *to, size_t *ret_made)
{
    size_t done = 0, made = 0;
    while (done < limit) {
        uint64_t w;
        while (done + 8 <= limit && (memcpy(&w, s.p + done, 8), !(w & WORD_HIGH))) {
            w = upper_word(w);
            memcpy(to + made, &w, 8);
            done += 8;
            made += 8;
        }
        if (done >= limit)
            break;
        unsigned char first = (unsigned char)s.p[done];
        if (first < 0x80) {
            to[made++] = (char)(first - ((unsigned char)(first - 'a') < 26 ? 0x20 : 0));
            done++;
            continue;
        }
        uint32_t c;
        int len = utf8_take(s.p + done, s.n - done, &c);
        if (len == UTF8_SHORT && more)
            break;
        if (len == 2)
            made += map_two_byte(c, to + made);
        else if (len > 2)
            made += map_char(c, to + made);
        else
            to[made++] = s.p[done];
        done += len > 0 ? (size_t)len : 1;
    }
    *ret_made = made;
    return done;
}

/* Maps whole characters and bytes that are none; with more, stops at an incomplete character at
 * the end. Returns the bytes consumed. */
static size_t map_some(struct span s, bool more, struct buf *out)
{
    size_t done = 0;
    while (done < s.n) {
        struct span rest = span_skip(s, done);
        size_t ascii = ascii_prefix(rest), made = 0, used;
        if (out->max - out->n < ascii + STEP_ROOM) { /* what there is room for shows later */
            char tmp[STEP_ROOM];
            ascii = 0;
            used = map_step(rest, MIN(rest.n, STEP), more, tmp, &made);
            buf_put(out, tmp, made);
        } else {
            char *to = buf_reserve(out, ascii + STEP_ROOM);
            scan_upper(to, rest.p, ascii);
            rest = span_skip(rest, ascii);
            used = map_step(rest, MIN(rest.n, STEP), more, to + ascii, &made);
            buf_commit(out, ascii + made);
        }
        done += ascii + used;
        if (used == 0 && ascii == 0)
            break; /* an incomplete character */
    }
    return done;
}

void casemap(struct span utf8, struct buf *out)
{
    map_some(utf8, false, out);
}

void casemap_feed(struct casemap_stream *st, struct span s, struct buf *out)
{
    while (st->held_n > 0 && s.n > 0) {
        st->held[st->held_n++] = s.p[0];
        s = span_skip(s, 1);
        size_t used = map_some(span_make(st->held, st->held_n), true, out);
        st->held_n = (uint8_t)(st->held_n - used);
        memmove(st->held, st->held + used, st->held_n);
    }
    size_t used = map_some(s, true, out);
    struct span rest = span_skip(s, used);
    invariant(rest.n < sizeof(st->held));
    if (rest.n)
        memcpy(st->held, rest.p, rest.n);
    if (rest.n)
        st->held_n = (uint8_t)rest.n;
}

void casemap_finish(struct casemap_stream *st, struct buf *out)
{
    map_some(span_make(st->held, st->held_n), false, out);
    st->held_n = 0;
}
