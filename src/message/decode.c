/* Content-Transfer-Encoding. Decoding and counting run through one sink, so that BINARY.SIZE is by
 * construction the size of what BINARY sends. */
#include "message/decode.h"

enum part_cte cte_parse(struct span token)
{
    static const struct {
        const char *name;
        enum part_cte cte;
    } known[] = {
        {"7bit", CTE_7BIT},
        {"8bit", CTE_8BIT},
        {"binary", CTE_BINARY},
        {"base64", CTE_BASE64},
        {"quoted-printable", CTE_QUOTED_PRINTABLE},
    };
    token = span_trim(token);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        if (span_ieq(token, span_str(known[i].name)))
            return known[i].cte;
    return CTE_UNKNOWN;
}

int cte_decoder_init(struct cte_decoder *d, enum part_cte cte, bool crlf)
{
    if ((unsigned)cte >= CTE_UNKNOWN)
        return ERR_INVALID;
    *d = (struct cte_decoder){.cte = cte, .crlf = crlf};
    return 0;
}

/* --- Output ------------------------------------------------------------------------------- */

/* out NULL: only count. */
struct sink {
    struct buf *out;
    uint64_t n;
};

static void emit_raw(struct sink *to, const char *p, size_t n)
{
    to->n += n;
    if (to->out)
        buf_put(to->out, p, n);
}

static void emit(struct cte_decoder *d, struct sink *to, const char *p, size_t n)
{
    if (n == 0)
        return;
    size_t start = 0;
    while (d->crlf && start < n) {
        const char *lf = memchr(p + start, '\n', n - start);
        if (!lf)
            break;
        size_t at = (size_t)(lf - p);
        bool has_cr = at > 0 ? p[at - 1] == '\r' : d->last_cr;
        emit_raw(to, p + start, at - start);
        if (has_cr)
            emit_raw(to, "\n", 1);
        else
            emit_raw(to, "\r\n", 2);
        start = at + 1;
    }
    emit_raw(to, p + start, n - start);
    d->last_cr = p[n - 1] == '\r';
}

/* --- base64 ------------------------------------------------------------------------------- */

#define B64_SKIP 64
#define B64_PAD  65

/* clang-format off */
static const uint8_t base64_value[256] = {
#define S B64_SKIP
    S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,
    S, S, S, S, S, S, S, S, S, S, S, 62, S, S, S, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, S, S,
    S, B64_PAD, S, S,
    S, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25,
    S, S, S, S, S,
    S, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49,
    50, 51, S, S, S, S, S,
    S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,
    S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,
    S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,
    S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S, S,
#undef S
};
/* clang-format on */

/* Whole quanta without anything to skip, straight into tmp. Returns the digits consumed. */
static size_t base64_fast(const unsigned char *p, size_t n, char *tmp, size_t room,
                          size_t *ret_made)
{
    size_t i = 0, made = 0;
    while (i + 4 <= n && made + 3 <= room) {
        unsigned a = base64_value[p[i]], b = base64_value[p[i + 1]];
        unsigned c = base64_value[p[i + 2]], e = base64_value[p[i + 3]];
        if ((a | b | c | e) & 0xC0)
            break;
        uint32_t v = a << 18 | b << 12 | c << 6 | e;
        tmp[made] = (char)(v >> 16);
        tmp[made + 1] = (char)(v >> 8);
        tmp[made + 2] = (char)v;
        made += 3;
        i += 4;
    }
    *ret_made = made;
    return i;
}

/* The bytes that the digits held make up, at padding or at the end. */
static size_t base64_flush(struct cte_decoder *d, char *to)
{
    size_t n = 0;
    if (d->held_n >= 2)
        to[n++] = (char)(d->bits >> (6 * d->held_n - 8));
    if (d->held_n == 3)
        to[n++] = (char)(d->bits >> 2);
    d->held_n = 0;
    d->bits = 0;
    return n;
}

/* Padding ends a quantum; what follows it is decoded as a further base64 text, as concatenated
 * encodings occur. */
static void decode_base64(struct cte_decoder *d, struct span s, struct sink *to)
{
    char tmp[768];
    size_t made = 0;
    for (size_t i = 0; i < s.n;) {
        if (sizeof(tmp) - made < 4) {
            emit(d, to, tmp, made);
            made = 0;
        }
        if (d->held_n == 0) {
            size_t got;
            i += base64_fast((const unsigned char *)s.p + i, s.n - i, tmp + made,
                             sizeof(tmp) - made, &got);
            made += got;
            if (i == s.n || sizeof(tmp) - made < 4)
                continue;
        }
        unsigned v = base64_value[(unsigned char)s.p[i++]];
        if (v == B64_PAD) {
            made += base64_flush(d, tmp + made);
        } else if (v != B64_SKIP) {
            d->bits = d->bits << 6 | v;
            if (++d->held_n == 4) {
                tmp[made++] = (char)(d->bits >> 16);
                tmp[made++] = (char)(d->bits >> 8);
                tmp[made++] = (char)d->bits;
                d->held_n = 0;
                d->bits = 0;
            }
        }
    }
    emit(d, to, tmp, made);
}

/* --- quoted-printable --------------------------------------------------------------------- */

static int hex_value(char c)
{
    if (ascii_is_digit((unsigned char)c))
        return c - '0';
    unsigned char l = ascii_lower((unsigned char)c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

static bool qp_is_special(char c)
{
    return c == '=' || c == ' ' || c == '\t' || c == '\r';
}

static void qp_emit_pending(struct cte_decoder *d, struct sink *to)
{
    uint8_t n = d->n_pending;
    d->n_pending = 0;
    emit(d, to, d->pending, n);
}

static void qp_push(struct cte_decoder *d, char c, struct sink *to)
{
    if (d->n_pending == sizeof(d->pending))
        qp_emit_pending(d, to); /* longer than any line may be: no padding */
    d->pending[d->n_pending++] = c;
}

/* pending begins with "=": an escape, or a soft line break, which may have white space before its
 * line break (RFC 2045 section 6.7 rule 3). False if it is neither: c is to be looked at anew. */
static bool qp_escape(struct cte_decoder *d, char c, struct sink *to)
{
    char last = d->pending[d->n_pending - 1];
    bool digit = d->n_pending == 2 && hex_value(last) >= 0;
    if (digit && hex_value(c) >= 0) {
        char byte = (char)(hex_value(last) << 4 | hex_value(c));
        d->n_pending = 0;
        emit(d, to, &byte, 1);
        return true;
    }
    if (!digit && c == '\n') {
        d->n_pending = 0;
        return true;
    }
    bool white = c == ' ' || c == '\t' || c == '\r';
    if ((d->n_pending == 1 && hex_value(c) >= 0) || (!digit && last != '\r' && white)) {
        qp_push(d, c, to);
        return true;
    }
    qp_emit_pending(d, to);
    return false;
}

/* pending is white space, perhaps with a CR last. White space that ends a line is dropped. */
static bool qp_space(struct cte_decoder *d, char c, struct sink *to)
{
    bool cr = d->pending[d->n_pending - 1] == '\r';
    if (c == '\n') {
        d->n_pending = 0;
        emit(d, to, cr ? "\r\n" : "\n", cr ? 2 : 1);
        return true;
    }
    if (!cr && (c == ' ' || c == '\t' || c == '\r')) {
        qp_push(d, c, to);
        return true;
    }
    qp_emit_pending(d, to);
    return false;
}

/* A special character that the next one shows to be plain: white space within a line, a line break
 * without white space before it. */
static bool qp_is_plain_here(struct span s, size_t i)
{
    if (s.p[i] == '=' || i + 1 == s.n)
        return false;
    return s.p[i] == '\r' ? s.p[i + 1] == '\n' : (unsigned char)s.p[i + 1] > ' ';
}

/* The end of the run of characters at i that stand for themselves; s.p[i] is one. */
static size_t qp_run(struct span s, size_t i)
{
    do
        i++;
    while (i < s.n && (!qp_is_special(s.p[i]) || qp_is_plain_here(s, i)));
    return i;
}

static void decode_qp(struct cte_decoder *d, struct span s, struct sink *to)
{
    for (size_t i = 0; i < s.n;) {
        char c = s.p[i];
        if (d->n_pending > 0) {
            i += d->pending[0] == '=' ? qp_escape(d, c, to) : qp_space(d, c, to);
            continue;
        }
        if (qp_is_special(c) && !qp_is_plain_here(s, i)) {
            qp_push(d, c, to);
            i++;
            continue;
        }
        size_t run = qp_run(s, i);
        emit(d, to, s.p + i, run - i);
        i = run;
    }
}

/* A "=" at the very end is a soft line break whose line break is missing; white space there ends
 * the last line. */
static void qp_finish(struct cte_decoder *d, struct sink *to)
{
    uint8_t n = d->n_pending;
    d->n_pending = 0;
    if (n == 0)
        return;
    if (d->pending[0] == '=' && n > 1 && hex_value(d->pending[1]) >= 0)
        emit(d, to, d->pending, n);
    else if (d->pending[0] != '=' && d->pending[n - 1] == '\r')
        emit(d, to, "\r", 1);
}

/* --- All ---------------------------------------------------------------------------------- */

static void decode(struct cte_decoder *d, struct span s, struct sink *to)
{
    if (s.n == 0)
        return;
    if (d->cte == CTE_BASE64)
        decode_base64(d, s, to);
    else if (d->cte == CTE_QUOTED_PRINTABLE)
        decode_qp(d, s, to);
    else
        emit(d, to, s.p, s.n);
}

static void finish(struct cte_decoder *d, struct sink *to)
{
    char tmp[4];
    if (d->cte == CTE_BASE64)
        emit(d, to, tmp, base64_flush(d, tmp));
    if (d->cte == CTE_QUOTED_PRINTABLE)
        qp_finish(d, to);
}

void cte_decode(struct cte_decoder *d, struct span chunk, struct buf *out)
{
    struct sink to = {out, 0};
    decode(d, chunk, &to);
}

void cte_decode_finish(struct cte_decoder *d, struct buf *out)
{
    struct sink to = {out, 0};
    finish(d, &to);
}

uint64_t cte_count(struct cte_decoder *d, struct span chunk)
{
    struct sink to = {NULL, 0};
    decode(d, chunk, &to);
    return to.n;
}

uint64_t cte_count_finish(struct cte_decoder *d)
{
    struct sink to = {NULL, 0};
    finish(d, &to);
    return to.n;
}
