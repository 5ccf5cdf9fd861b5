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

/* Maps whole characters and bytes that are none; with more, stops at an incomplete character at
 * the end. Returns the bytes consumed. */
static size_t map_some(struct span s, bool more, struct buf *out)
{
    size_t done = 0;
    while (done < s.n) {
        size_t ascii = ascii_prefix(span_skip(s, done));
        char *to = buf_reserve(out, ascii + 4 * DECOMPOSED_MAX);
        if (!to)
            return s.n;
        scan_upper(to, s.p + done, ascii);
        done += ascii;
        size_t made = ascii;
        if (done < s.n) {
            uint32_t c;
            int len = utf8_take(s.p + done, s.n - done, &c);
            if (len == UTF8_SHORT && more) {
                buf_commit(out, made);
                return done;
            }
            if (len > 0)
                made += map_char(c, to + made);
            else
                to[made++] = s.p[done];
            done += len > 0 ? (size_t)len : 1;
        }
        buf_commit(out, made);
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
