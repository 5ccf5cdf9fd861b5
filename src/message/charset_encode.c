/* UTF-8 to other charsets, by iconv. Nothing is transliterated: a character is there or it is not.
 */
#include <errno.h>
#include <iconv.h>

#include "message/charset.h"
#include "message/utf8_int.h"

enum { NAME_MAX = 40, REPLACEMENT_MAX = 64 };

/* Letters, digits and a few signs: "/" and "," mean something to iconv. Unlike for decoding, the
 * charset is what its name says, not the superset that mail programs use under that name. */
static bool iconv_name(struct span s, char to[NAME_MAX + 1])
{
    if (s.n == 0 || s.n > NAME_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && (!c || !strchr("-_.:+", c)))
            return false;
        to[i] = (char)ascii_lower(c);
    }
    to[s.n] = '\0';
    return true;
}

int charset_encoder_init(struct charset_encoder *e, struct span charset, struct span replacement)
{
    char name[NAME_MAX + 1];
    *e = (struct charset_encoder){.replacement = BUF_INIT(REPLACEMENT_MAX)};
    if (!iconv_name(charset, name))
        return ERR_NOT_FOUND;
    if (strcmp(name, "utf-8") != 0 && strcmp(name, "utf8") != 0) {
        iconv_t cd = iconv_open(name, "UTF-8");
        if (cd == (iconv_t)-1)
            return ERR_NOT_FOUND;
        e->iconv = cd;
    }
    if (!replacement.p)
        return 0;
    /* Kept as UTF-8: shift states make its form depend on where it stands. */
    autobuf trial = BUF_INIT(BUF_UNLIMITED);
    bool good = replacement.n <= REPLACEMENT_MAX && utf8_valid(replacement) &&
                charset_encode(e, replacement, &trial) == 0;
    charset_encode_finish(e, &trial);
    if (good) {
        buf_put_span(&e->replacement, replacement);
        e->replaces = true;
        return 0;
    }
    charset_encoder_done(e);
    return ERR_INVALID;
}

void charset_encoder_done(struct charset_encoder *e)
{
    if (e->iconv)
        iconv_close(e->iconv);
    e->iconv = NULL;
    buf_done(&e->replacement);
}

/* What can be converted, to the first character that cannot. Returns the bytes used. */
static size_t encode_run(iconv_t cd, struct span s, struct buf *out, bool *ret_absent)
{
    char *in = (char *)(uintptr_t)s.p; /* iconv's prototype lacks a const */
    size_t left = s.n;
    *ret_absent = false;
    while (left > 0 && !*ret_absent) {
        size_t room = MIN(left, 16384) * 4 + 32;
        char *to = buf_reserve(out, room);
        if (!to)
            return s.n;
        char *at = to;
        size_t free_n = room;
        size_t r = iconv(cd, &in, &left, &at, &free_n);
        int reason = r == (size_t)-1 ? errno : 0;
        buf_commit(out, room - free_n);
        *ret_absent = reason == EILSEQ || reason == EINVAL;
    }
    return s.n - left;
}

int charset_encode(struct charset_encoder *e, struct span utf8, struct buf *out)
{
    if (!e->iconv) {
        buf_put_span(out, utf8);
        return 0;
    }
    for (;;) {
        bool absent;
        utf8 = span_skip(utf8, encode_run(e->iconv, utf8, out, &absent));
        if (!absent)
            return 0;
        if (!e->replaces)
            return ERR_INVALID;
        encode_run(e->iconv, buf_span(&e->replacement), out, &absent);
        uint32_t c;
        int len = utf8_take(utf8.p, utf8.n, &c);
        utf8 = span_skip(utf8, len > 0 ? (size_t)len : 1);
    }
}

void charset_encode_finish(struct charset_encoder *e, struct buf *out)
{
    if (!e->iconv)
        return;
    char *to = buf_reserve(out, 64);
    size_t room = 64;
    if (to && iconv(e->iconv, NULL, NULL, &to, &room) != (size_t)-1)
        buf_commit(out, 64 - room);
}
