/* Charsets to UTF-8: own conversions for what most mail uses, iconv for the rest. */
#include "message/charset.h"

#include <errno.h>
#include <iconv.h>

#include "message/utf8_int.h"

const char *const charset_names[] = {
    "UTF-8",        "US-ASCII",     "ISO-8859-1", "ISO-8859-2",  "ISO-8859-15", "WINDOWS-1250",
    "WINDOWS-1251", "WINDOWS-1252", "KOI8-R",     "ISO-2022-JP", "SHIFT_JIS",   "EUC-JP",
    "EUC-KR",       "GB18030",      "BIG5",       NULL,
};

#define REPLACEMENT 0xFFFD

/* Bytes 0x80 to 0x9F of windows-1252; 0 where it defines nothing. */
static const uint16_t cp1252_high[32] = {
    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178,
};

/* --- UTF-8 -------------------------------------------------------------------------------- */

int utf8_take(const char *s, size_t n, uint32_t *ret_c)
{
    const unsigned char *p = (const unsigned char *)s;
    if (p[0] < 0x80) {
        *ret_c = p[0];
        return 1;
    }
    int len = p[0] >= 0xC2 && p[0] < 0xE0   ? 2
              : (p[0] & 0xF0) == 0xE0       ? 3
              : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                            : UTF8_BAD;
    if (len == UTF8_BAD)
        return UTF8_BAD;
    if (n < 2)
        return UTF8_SHORT;
    /* The second byte alone tells overlong forms, surrogates and too large numbers. */
    unsigned char low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
    if (p[1] < low || p[1] > high)
        return UTF8_BAD;
    uint32_t c = ((uint32_t)p[0] & (0xFFu >> (len + 1))) << 6 | (p[1] & 0x3F);
    for (int i = 2; i < len; i++) {
        if ((size_t)i >= n)
            return UTF8_SHORT;
        if ((p[i] & 0xC0) != 0x80)
            return UTF8_BAD;
        c = c << 6 | (p[i] & 0x3F);
    }
    *ret_c = c;
    return len;
}

size_t utf8_write(char *to, uint32_t c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xC0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3F));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xE0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3F));
        to[2] = (char)(0x80 | (c & 0x3F));
        return 3;
    }
    to[0] = (char)(0xF0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3F));
    to[2] = (char)(0x80 | (c >> 6 & 0x3F));
    to[3] = (char)(0x80 | (c & 0x3F));
    return 4;
}

/* --- Names -------------------------------------------------------------------------------- */

#define NAME_MAX 40

/* Lower case without quotes and white space; false if it cannot be the name of a charset. Letters,
 * digits and a few signs only: iconv gives "/" and "," a meaning of its own. */
static bool clean_name(struct span s, char to[NAME_MAX + 1])
{
    s = span_trim(s);
    while (s.n && (s.p[0] == '"' || s.p[0] == '\''))
        s = span_skip(s, 1);
    while (s.n && (s.p[s.n - 1] == '"' || s.p[s.n - 1] == '\'' || s.p[s.n - 1] == ';'))
        s.n--;
    if (s.n > 2 && (s.p[0] == 'x' || s.p[0] == 'X') && s.p[1] == '-')
        s = span_skip(s, 2);
    if (s.n == 0 || s.n > NAME_MAX)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && !strchr("-_.:+", c))
            return false;
        to[i] = (char)ascii_lower(c);
    }
    to[s.n] = '\0';
    return true;
}

/* Names as found in mail, and what iconv should be asked for: often the superset that the sender's
 * software really uses. */
static const struct {
    const char *name, *to;
} aliases[] = {
    {"utf8", "utf-8"},
    {"unicode-1-1-utf-8", "utf-8"},
    {"unicode-2-0-utf-8", "utf-8"},
    {"utf-8n", "utf-8"},
    {"ascii", "us-ascii"},
    {"ansi_x3.4-1968", "us-ascii"},
    {"ansi_x3.4-1986", "us-ascii"},
    {"iso646-us", "us-ascii"},
    {"iso_646.irv:1991", "us-ascii"},
    {"us", "us-ascii"},
    {"iso_8859-1", "iso-8859-1"},
    {"iso_8859-1:1987", "iso-8859-1"},
    {"iso8859-1", "iso-8859-1"},
    {"iso88591", "iso-8859-1"},
    {"8859-1", "iso-8859-1"},
    {"latin1", "iso-8859-1"},
    {"latin-1", "iso-8859-1"},
    {"l1", "iso-8859-1"},
    {"cp819", "iso-8859-1"},
    {"ibm819", "iso-8859-1"},
    {"cp1252", "windows-1252"},
    {"cp-1252", "windows-1252"},
    {"windows1252", "windows-1252"},
    {"ansi", "windows-1252"},
    {"iso-8859-8-i", "iso-8859-8"},
    {"iso-8859-8-e", "iso-8859-8"},
    {"iso-8859-6-i", "iso-8859-6"},
    {"iso-8859-11", "cp874"},
    {"tis-620", "cp874"},
    {"sjis", "cp932"},
    {"shift_jis", "cp932"},
    {"shift-jis", "cp932"},
    {"ms_kanji", "cp932"},
    {"windows-31j", "cp932"},
    {"cp932", "cp932"},
    {"gb2312", "gb18030"},
    {"gbk", "gb18030"},
    {"cp936", "gb18030"},
    {"gb_2312-80", "gb18030"},
    {"euc-cn", "gb18030"},
    {"ks_c_5601-1987", "cp949"},
    {"ks_c_5601-1989", "cp949"},
    {"ksc5601", "cp949"},
    {"euc-kr", "cp949"},
    {"mac-roman", "macintosh"},
    {"macroman", "macintosh"},
    {"mac", "macintosh"},
    {"unicode-1-1-utf-7", "utf-7"},
    {"cn-big5", "big5"},
};

/* Charsets of one byte a character, and EUC, in which bytes < 0x80 are nothing but ASCII. */
static bool keeps_ascii(const char *name)
{
    static const char *const prefixes[] = {"iso-8859-", "windows-12", "cp125", "koi8-",
                                           "euc-",      "cp874",      "cp437", "cp85",
                                           "cp866",     "ibm437",     "ibm85", "macintosh"};
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

/* The kind, and for the iconv kinds an open descriptor; false for an unknown name. */
static bool resolve(struct span charset, enum charset_kind *ret_kind, void **ret_iconv)
{
    char name[NAME_MAX + 1];
    *ret_iconv = NULL;
    if (!clean_name(charset, name))
        return false;
    const char *to = name;
    bool usual = strcmp(name, "utf-8") == 0 || strcmp(name, "us-ascii") == 0;
    for (size_t i = 0; i < ARRAY_LEN(aliases) && !usual; i++)
        if (strcmp(name, aliases[i].name) == 0)
            to = aliases[i].to;
    if (strcmp(to, "us-ascii") == 0) {
        *ret_kind = CHARSET_GUESS;
        return true;
    }
    if (strcmp(to, "utf-8") == 0) {
        *ret_kind = CHARSET_UTF8;
        return true;
    }
    if (strcmp(to, "iso-8859-1") == 0 || strcmp(to, "windows-1252") == 0) {
        *ret_kind = CHARSET_CP1252;
        return true;
    }
    iconv_t cd = iconv_open("UTF-8", to);
    if (cd == (iconv_t)-1)
        return false;
    *ret_iconv = cd;
    *ret_kind = keeps_ascii(to) ? CHARSET_ICONV_8 : CHARSET_ICONV;
    return true;
}

bool charset_known(struct span charset)
{
    enum charset_kind kind;
    void *cd;
    bool known = resolve(charset, &kind, &cd);
    if (cd)
        iconv_close(cd);
    return known;
}

/* --- The decoder -------------------------------------------------------------------------- */

void charset_decoder_init(struct charset_decoder *d, struct span charset)
{
    *d = (struct charset_decoder){.kind = CHARSET_GUESS};
    if (!resolve(charset, &d->kind, &d->iconv))
        d->kind = CHARSET_GUESS;
}

void charset_decoder_done(struct charset_decoder *d)
{
    if (d->iconv)
        iconv_close(d->iconv);
    *d = (struct charset_decoder){.kind = CHARSET_GUESS};
}

static void put_char(struct buf *out, uint32_t c)
{
    char tmp[4];
    buf_put(out, tmp, utf8_write(tmp, c));
}

static void put_cp1252(struct buf *out, unsigned char c)
{
    if (c >= 0x80 && c < 0xA0)
        put_char(out, cp1252_high[c - 0x80] ? cp1252_high[c - 0x80] : REPLACEMENT);
    else
        put_char(out, c);
}

static void put_invalid(const struct charset_decoder *d, struct buf *out, char c)
{
    if (d->kind == CHARSET_GUESS)
        put_cp1252(out, (unsigned char)c);
    else
        put_char(out, REPLACEMENT);
}

/* Copies valid characters; stops at an incomplete one at the end. Returns the bytes consumed. */
static size_t decode_utf8(const struct charset_decoder *d, struct span s, struct buf *out)
{
    size_t done = 0, copied = 0;
    while (done < s.n) {
        done += ascii_prefix(span_skip(s, done));
        if (done == s.n)
            break;
        uint32_t c;
        int len = utf8_take(s.p + done, s.n - done, &c);
        if (len == UTF8_SHORT)
            break;
        if (len > 0) {
            done += (size_t)len;
            continue;
        }
        buf_put(out, s.p + copied, done - copied);
        put_invalid(d, out, s.p[done]);
        copied = ++done;
    }
    buf_put(out, s.p + copied, done - copied);
    return done;
}

static void decode_cp1252(struct span s, struct buf *out)
{
    while (s.n > 0) {
        size_t ascii = ascii_prefix(s);
        buf_put(out, s.p, ascii);
        s = span_skip(s, ascii);
        for (; s.n > 0 && (unsigned char)s.p[0] >= 0x80; s = span_skip(s, 1))
            put_cp1252(out, (unsigned char)s.p[0]);
    }
}

/* Returns the bytes consumed; what is left is an incomplete character. strict stops at the first
 * invalid byte and says so. */
static size_t decode_iconv(iconv_t cd, struct span s, struct buf *out, bool *ret_invalid)
{
    char *in = (char *)(uintptr_t)s.p; /* iconv's prototype lacks a const */
    size_t left = s.n;
    while (left > 0) {
        size_t room = MIN(left, 16384) * 2 + 32;
        char *to = buf_reserve(out, room);
        if (!to)
            return s.n;
        char *at = to;
        size_t free_n = room, before = left;
        size_t r = iconv(cd, &in, &left, &at, &free_n);
        int reason = r == (size_t)-1 ? errno : 0;
        buf_commit(out, room - free_n);
        if (reason == EINVAL && left < 16)
            break;
        if (reason == EILSEQ || reason == EINVAL ||
            (reason == E2BIG && left == before && free_n == room)) {
            if (ret_invalid) {
                *ret_invalid = true;
                return s.n;
            }
            put_char(out, REPLACEMENT);
            in++;
            left--;
        }
    }
    return s.n - left;
}

static size_t decode_some(struct charset_decoder *d, struct span s, struct buf *out)
{
    switch (d->kind) {
    case CHARSET_CP1252:
        decode_cp1252(s, out);
        return s.n;
    case CHARSET_ICONV_8:
    case CHARSET_ICONV:
        return decode_iconv(d->iconv, s, out, NULL);
    default:
        return decode_utf8(d, s, out);
    }
}

void charset_decode(struct charset_decoder *d, struct span chunk, struct buf *out)
{
    /* A held begin of a character is completed byte by byte, then the rest goes at once. */
    while (d->held_n > 0 && chunk.n > 0) {
        d->held[d->held_n++] = chunk.p[0];
        chunk = span_skip(chunk, 1);
        size_t used = decode_some(d, span_make(d->held, d->held_n), out);
        d->held_n = (uint8_t)(d->held_n - used);
        memmove(d->held, d->held + used, d->held_n);
    }
    if (chunk.n == 0)
        return;
    size_t used = decode_some(d, chunk, out);
    struct span rest = span_skip(chunk, used);
    invariant(rest.n < sizeof(d->held));
    if (rest.n)
        memcpy(d->held, rest.p, rest.n);
    d->held_n = (uint8_t)rest.n;
}

void charset_decode_finish(struct charset_decoder *d, struct buf *out)
{
    if (d->kind == CHARSET_GUESS)
        for (size_t i = 0; i < d->held_n; i++)
            put_cp1252(out, (unsigned char)d->held[i]);
    else if (d->held_n)
        put_char(out, REPLACEMENT);
    d->held_n = 0;
    if (!d->iconv)
        return;
    /* Some encodings hold a base character back until they see whether a mark follows. */
    char *to = buf_reserve(out, 64);
    size_t room = 64;
    if (to && iconv(d->iconv, NULL, NULL, &to, &room) != (size_t)-1)
        buf_commit(out, 64 - room);
    iconv(d->iconv, NULL, NULL, NULL, NULL);
}

int charset_key_to_utf8(struct span charset, struct span key, struct buf *out)
{
    struct charset_decoder d = {.kind = CHARSET_UTF8};
    if (span_trim(charset).n > 0 && !resolve(charset, &d.kind, &d.iconv))
        return ERR_NOT_FOUND;
    size_t before = out->n;
    bool invalid = false;
    if (d.iconv) {
        size_t used = decode_iconv(d.iconv, key, out, &invalid);
        if (used < key.n)
            invalid = true;
        else
            charset_decode_finish(&d, out);
    } else if (d.kind == CHARSET_CP1252) {
        decode_cp1252(key, out);
    } else if (utf8_valid(key)) {
        buf_put_span(out, key);
    } else {
        invalid = true;
    }
    charset_decoder_done(&d);
    if (invalid)
        buf_truncate(out, before);
    return invalid ? ERR_INVALID : buf_ok(out) ? 0 : ERR_LIMIT;
}
