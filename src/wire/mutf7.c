#include "wire/mutf7.h"

#include "base/utf8.h"

/* ---- UTF-8 ---- */

static void put_utf8(struct buf *b, uint32_t c)
{
    char t[4];
    size_t n;
    if (c < 0x80) {
        t[0] = (char)c;
        n = 1;
    } else if (c < 0x800) {
        t[0] = (char)(0xc0 | c >> 6);
        n = 2;
    } else if (c < 0x10000) {
        t[0] = (char)(0xe0 | c >> 12);
        n = 3;
    } else {
        t[0] = (char)(0xf0 | c >> 18);
        n = 4;
    }
    for (size_t i = 1; i < n; i++)
        t[i] = (char)(0x80 | (c >> (6 * (n - 1 - i)) & 0x3f));
    buf_put(b, t, n);
}

/* ---- modified UTF-7 ---- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int digit_value(unsigned char c)
{
    if ((unsigned char)(c - 'A') < 26)
        return c - 'A';
    if ((unsigned char)(c - 'a') < 26)
        return c - 'a' + 26;
    if (ascii_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == ',' ? 63 : -1;
}

static bool stands_for_itself(uint32_t c)
{
    return c >= 0x20 && c <= 0x7e;
}

/* UTF-16 units as they come out of the base64; pairs surrogates. */
struct units {
    struct buf *out;
    uint32_t high; /* waiting for its low surrogate */
};

static bool take_unit(struct units *u, uint32_t unit)
{
    if (u->high) {
        if (unit < 0xdc00 || unit > 0xdfff)
            return false;
        put_utf8(u->out, 0x10000 + ((u->high - 0xd800) << 10) + (unit - 0xdc00));
        u->high = 0;
        return true;
    }
    if (unit >= 0xdc00 && unit <= 0xdfff)
        return false;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        u->high = unit;
        return true;
    }
    /* Printable ASCII must not be encoded (RFC 3501 5.1.3). */
    if (stands_for_itself(unit))
        return false;
    put_utf8(u->out, unit);
    return true;
}

/* What stands between "&" and "-"; *pos at its first character, afterwards behind the "-". */
static bool decode_shifted(struct span s, size_t *pos, struct buf *out)
{
    struct units units = {out, 0};
    uint32_t bits = 0;
    unsigned n = 0;
    size_t i = *pos;
    bool any = false;
    for (; i < s.n && s.p[i] != '-'; i++) {
        int d = digit_value((unsigned char)s.p[i]);
        if (d < 0)
            return false;
        bits = bits << 6 | (uint32_t)d;
        n += 6;
        if (n >= 16) {
            n -= 16;
            if (!take_unit(&units, bits >> n & 0xffff))
                return false;
            bits &= (1u << n) - 1;
            any = true;
        }
    }
    if (i == s.n || !any || n >= 6 || bits || units.high)
        return false;
    *pos = i + 1;
    /* "&...-&...-" is a superfluous shift (RFC 3501 5.1.3); "&-" is an ampersand. */
    return !(s.n - *pos >= 2 && s.p[*pos] == '&' && s.p[*pos + 1] != '-');
}

int mutf7_decode(struct span s, struct buf *out)
{
    size_t start = out->n;
    for (size_t i = 0; i < s.n;) {
        unsigned char c = (unsigned char)s.p[i++];
        bool good = stands_for_itself(c);
        if (c != '&') {
            if (good)
                buf_put_byte(out, (char)c);
        } else if (i < s.n && s.p[i] == '-') {
            buf_put_byte(out, '&');
            i++;
        } else {
            good = decode_shifted(s, &i, out);
        }
        if (!good) {
            buf_truncate(out, start);
            return ERR_INVALID;
        }
    }
    return buf_ok(out) ? 0 : ERR_LIMIT;
}

/* Base64 digits of a run, as UTF-16 units go in. */
struct shift {
    struct buf *out;
    uint32_t bits;
    unsigned n;
    bool open;
};

static void put_unit(struct shift *sh, uint32_t unit)
{
    if (!sh->open) {
        buf_put_byte(sh->out, '&');
        sh->open = true;
    }
    sh->bits = sh->bits << 16 | unit;
    sh->n += 16;
    for (; sh->n >= 6; sh->n -= 6)
        buf_put_byte(sh->out, alphabet[sh->bits >> (sh->n - 6) & 63]);
    sh->bits &= (1u << sh->n) - 1;
}

static void close_shift(struct shift *sh)
{
    if (!sh->open)
        return;
    if (sh->n)
        buf_put_byte(sh->out, alphabet[sh->bits << (6 - sh->n) & 63]);
    buf_put_byte(sh->out, '-');
    *sh = (struct shift){sh->out, 0, 0, false};
}

int mutf7_encode(struct span utf8, struct buf *out)
{
    struct shift sh = {out, 0, 0, false};
    size_t start = out->n;
    for (size_t i = 0; i < utf8.n;) {
        uint32_t c;
        if (!utf8_next(utf8, &i, &c)) {
            buf_truncate(out, start);
            return ERR_INVALID;
        }
        if (stands_for_itself(c)) {
            close_shift(&sh);
            buf_put_byte(out, (char)c);
            if (c == '&')
                buf_put_byte(out, '-');
        } else if (c < 0x10000) {
            put_unit(&sh, c);
        } else {
            put_unit(&sh, 0xd800 + ((c - 0x10000) >> 10));
            put_unit(&sh, 0xdc00 + ((c - 0x10000) & 0x3ff));
        }
    }
    close_shift(&sh);
    return buf_ok(out) ? 0 : ERR_LIMIT;
}

/* ---- mailbox names ---- */

bool mailbox_is_inbox(struct span name)
{
    return span_ieq(name, SPAN("INBOX"));
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

static const char *control_problem(struct span utf8)
{
    for (size_t i = 0; i < utf8.n;) {
        uint32_t c;
        if (!utf8_next(utf8, &i, &c))
            return "the name is not valid UTF-8";
        if (is_control(c))
            return "the name contains a control character";
    }
    return NULL;
}

const char *mailbox_name_problem(struct span utf8)
{
    if (utf8.n == 0)
        return "the name is empty";
    if (utf8.n > WIRE_NAME_MAX)
        return "the name is too long";
    if (utf8.p[0] == '/')
        return "the name begins with the hierarchy separator";
    if (utf8.p[utf8.n - 1] == '/')
        return "the name ends with the hierarchy separator";
    if (span_find(utf8, SPAN("//")) != SPAN_NPOS)
        return "the name has an empty level";
    return control_problem(utf8);
}

static void upcase_inbox(struct buf *b, size_t start)
{
    struct span name = span_skip(buf_span(b), start);
    if (span_istarts(name, SPAN("INBOX")) && (name.n == 5 || name.p[5] == '/'))
        memcpy(b->p + start, "INBOX", 5);
}

/* Charset only. Names of this length are refused anyway, so that a long one costs nothing. */
static int decode(struct span wire, bool utf8, struct buf *out, const char **ret_why)
{
    if (wire.n > (size_t)4 * WIRE_NAME_MAX) {
        *ret_why = "the name is too long";
        return ERR_INVALID;
    }
    int rc;
    if (utf8) {
        rc = utf8_valid(wire) ? 0 : ERR_INVALID;
        if (rc == 0)
            buf_put_span(out, wire);
    } else {
        rc = mutf7_decode(wire, out);
    }
    if (rc == ERR_INVALID)
        *ret_why = utf8 ? "the name is not valid UTF-8" : "the name is not valid modified UTF-7";
    return rc ? rc : buf_ok(out) ? 0 : ERR_LIMIT;
}

int mailbox_name_decode(struct span wire, bool utf8, struct buf *out, const char **ret_why)
{
    const char *why = "the name is too long";
    size_t start = out->n;
    int rc = decode(wire, utf8, out, &why);
    if (rc == 0) {
        if (out->n - start > 1 && out->p[out->n - 1] == '/')
            buf_truncate(out, out->n - 1);
        const char *problem = mailbox_name_problem(span_skip(buf_span(out), start));
        if (!problem) {
            upcase_inbox(out, start);
            return 0;
        }
        buf_truncate(out, start);
        why = problem;
        rc = ERR_INVALID;
    }
    if (ret_why)
        *ret_why = why;
    return rc;
}

int mailbox_pattern_decode(struct span wire, bool utf8, struct buf *out, const char **ret_why)
{
    const char *why = "the name is too long";
    size_t start = out->n;
    int rc = decode(wire, utf8, out, &why);
    if (rc == 0) {
        const char *problem = control_problem(span_skip(buf_span(out), start));
        if (!problem) {
            upcase_inbox(out, start);
            return 0;
        }
        buf_truncate(out, start);
        why = problem;
        rc = ERR_INVALID;
    }
    if (ret_why)
        *ret_why = why;
    return rc;
}
