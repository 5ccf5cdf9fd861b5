/* The string classes of RFC 8264 and the profiles of RFC 8265, on ICU's data. */
#include "auth/precis.h"

#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uscript.h>
#include <unicode/ustring.h>

#include "base/utf8.h"

enum { UNITS_MAX = 3 * PRECIS_MAX }; /* UTF-16; normalising to NFC lengthens at most threefold */

struct text {
    UChar32 c[UNITS_MAX];
    size_t n;
};

/* In the order of RFC 8264 section 8. */
enum property { PVALID, FREE_PVAL, CONTEXT, DISALLOWED };

/* RFC 8264 section 9.6, as RFC 5892 section 2.6 lists them. */
static bool exception(UChar32 c, enum property *ret)
{
    static const struct {
        UChar32 first, last;
        enum property is;
    } table[] = {
        {0x00b7, 0x00b7, CONTEXT},    {0x00df, 0x00df, PVALID},     {0x0375, 0x0375, CONTEXT},
        {0x03c2, 0x03c2, PVALID},     {0x05f3, 0x05f4, CONTEXT},    {0x0640, 0x0640, DISALLOWED},
        {0x0660, 0x0669, CONTEXT},    {0x06f0, 0x06f9, CONTEXT},    {0x06fd, 0x06fe, PVALID},
        {0x07fa, 0x07fa, DISALLOWED}, {0x0f0b, 0x0f0b, PVALID},     {0x3007, 0x3007, PVALID},
        {0x302e, 0x302f, DISALLOWED}, {0x3031, 0x3035, DISALLOWED}, {0x303b, 0x303b, DISALLOWED},
        {0x30fb, 0x30fb, CONTEXT},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        if (c < table[i].first || c > table[i].last)
            continue;
        *ret = table[i].is;
        return true;
    }
    return false;
}

static bool old_hangul_jamo(UChar32 c)
{
    int32_t t = u_getIntPropertyValue(c, UCHAR_HANGUL_SYLLABLE_TYPE);
    return t == U_HST_LEADING_JAMO || t == U_HST_VOWEL_JAMO || t == U_HST_TRAILING_JAMO;
}

static bool has_compatibility(UChar32 c)
{
    UErrorCode e = U_ZERO_ERROR;
    const UNormalizer2 *nfkc = unorm2_getNFKCInstance(&e);
    UChar in[2], out[64];
    int32_t n = 0;
    U16_APPEND_UNSAFE(in, n, c);
    int32_t m = unorm2_normalize(nfkc, in, n, out, ARRAY_LEN(out), &e);
    return U_FAILURE(e) || m != n || u_memcmp(in, out, n) != 0;
}

/* RFC 8264 section 8, first match. */
static enum property property_of(UChar32 c)
{
    enum property is;
    if (exception(c, &is))
        return is;
    int8_t category = u_charType(c);
    if (category == U_UNASSIGNED && !u_hasBinaryProperty(c, UCHAR_NONCHARACTER_CODE_POINT))
        return DISALLOWED;
    if (c >= 0x21 && c <= 0x7e)
        return PVALID;
    if (u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL))
        return CONTEXT;
    if (old_hangul_jamo(c) || u_hasBinaryProperty(c, UCHAR_DEFAULT_IGNORABLE_CODE_POINT) ||
        u_hasBinaryProperty(c, UCHAR_NONCHARACTER_CODE_POINT) || category == U_CONTROL_CHAR)
        return DISALLOWED;
    if (has_compatibility(c))
        return FREE_PVAL;
    uint32_t mask = U_MASK(category);
    if (mask & (U_GC_LL_MASK | U_GC_LU_MASK | U_GC_LO_MASK | U_GC_ND_MASK | U_GC_LM_MASK |
                U_GC_MN_MASK | U_GC_MC_MASK))
        return PVALID;
    if (mask & (U_GC_LT_MASK | U_GC_NL_MASK | U_GC_NO_MASK | U_GC_ME_MASK | U_GC_ZS_MASK |
                U_GC_S_MASK | U_GC_P_MASK))
        return FREE_PVAL;
    return DISALLOWED;
}

/* The rules in context: RFC 5892 appendix A. */

static bool script_is(UChar32 c, UScriptCode script)
{
    UErrorCode e = U_ZERO_ERROR;
    return uscript_getScript(c, &e) == script && U_SUCCESS(e);
}

static bool joins(const struct text *t, size_t i, int step, UJoiningType one)
{
    while (step < 0 ? i > 0 : i + 1 < t->n) {
        i = step < 0 ? i - 1 : i + 1;
        int32_t type = u_getIntPropertyValue(t->c[i], UCHAR_JOINING_TYPE);
        if (type != U_JT_TRANSPARENT)
            return type == (int32_t)one || type == U_JT_DUAL_JOINING;
    }
    return false;
}

static bool any(const struct text *t, bool (*fits)(UChar32 c))
{
    for (size_t i = 0; i < t->n; i++)
        if (fits(t->c[i]))
            return true;
    return false;
}

static bool is_japanese(UChar32 c)
{
    return script_is(c, USCRIPT_HIRAGANA) || script_is(c, USCRIPT_KATAKANA) ||
           script_is(c, USCRIPT_HAN);
}

static bool is_arabic_digit(UChar32 c)
{
    return c >= 0x0660 && c <= 0x0669;
}

static bool is_extended_digit(UChar32 c)
{
    return c >= 0x06f0 && c <= 0x06f9;
}

static bool context_allows(const struct text *t, size_t i)
{
    UChar32 c = t->c[i], before = i ? t->c[i - 1] : 0, after = i + 1 < t->n ? t->c[i + 1] : 0;
    bool virama = before && u_getCombiningClass(before) == 9;
    switch (c) {
    case 0x200c:
        return virama || (joins(t, i, -1, U_JT_LEFT_JOINING) && joins(t, i, 1, U_JT_RIGHT_JOINING));
    case 0x200d:
        return virama;
    case 0x00b7:
        return before == 'l' && after == 'l';
    case 0x0375:
        return after && script_is(after, USCRIPT_GREEK);
    case 0x05f3:
    case 0x05f4:
        return before && script_is(before, USCRIPT_HEBREW);
    case 0x30fb:
        return any(t, is_japanese);
    default:
        return !any(t, is_arabic_digit(c) ? is_extended_digit : is_arabic_digit);
    }
}

static bool class_allows(const struct text *t, bool identifier)
{
    for (size_t i = 0; i < t->n; i++) {
        enum property is = property_of(t->c[i]);
        if (is == DISALLOWED || (is == FREE_PVAL && identifier) ||
            (is == CONTEXT && !context_allows(t, i)))
            return false;
    }
    return t->n > 0;
}

/* RFC 5893 section 2, of what has something in it that is written from right to left. */

enum {
    RTL = U_MASK(U_RIGHT_TO_LEFT) | U_MASK(U_RIGHT_TO_LEFT_ARABIC),
    NEUTRAL = U_MASK(U_EUROPEAN_NUMBER) | U_MASK(U_EUROPEAN_NUMBER_SEPARATOR) |
              U_MASK(U_COMMON_NUMBER_SEPARATOR) | U_MASK(U_EUROPEAN_NUMBER_TERMINATOR) |
              U_MASK(U_OTHER_NEUTRAL) | U_MASK(U_BOUNDARY_NEUTRAL) | U_MASK(U_DIR_NON_SPACING_MARK),
};

static bool direction_good(const UChar32 *c, size_t n)
{
    uint32_t all = 0, last = 0, first = n ? U_MASK(u_charDirection(c[0])) : 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t d = U_MASK(u_charDirection(c[i]));
        all |= d;
        if (d != U_MASK(U_DIR_NON_SPACING_MARK))
            last = d;
    }
    if (!(all & (RTL | U_MASK(U_ARABIC_NUMBER))))
        return true;
    if (first & RTL) {
        uint32_t digits = U_MASK(U_EUROPEAN_NUMBER) | U_MASK(U_ARABIC_NUMBER);
        return !(all & ~(RTL | U_MASK(U_ARABIC_NUMBER) | NEUTRAL)) && (last & (RTL | digits)) &&
               (all & digits) != digits;
    }
    return false; /* from left to right: neither RTL nor Arabic numbers may be in it */
}

static bool directions_good(const struct text *t)
{
    size_t at = t->n;
    while (at > 0 && t->c[at - 1] != '@')
        at--;
    if (!at)
        return direction_good(t->c, t->n);
    return direction_good(t->c, at - 1) && direction_good(t->c + at, t->n - at);
}

/* Mappings. */

static bool decode(struct span s, struct text *ret)
{
    size_t pos = 0;
    uint32_t c;
    ret->n = 0;
    if (s.n > PRECIS_MAX)
        return false;
    while (pos < s.n) {
        if (!utf8_next(s, &pos, &c))
            return false;
        ret->c[ret->n++] = (UChar32)c;
    }
    return true;
}

/* Fullwidth and halfwidth forms become their decompositions, which are one character each. */
static void map_width(struct text *t)
{
    for (size_t i = 0; i < t->n; i++) {
        int32_t type = u_getIntPropertyValue(t->c[i], UCHAR_DECOMPOSITION_TYPE);
        if (type != U_DT_WIDE && type != U_DT_NARROW)
            continue;
        UErrorCode e = U_ZERO_ERROR;
        UChar to[4];
        int32_t n = unorm2_getRawDecomposition(unorm2_getNFKCInstance(&e), t->c[i], to, 4, &e);
        if (U_SUCCESS(e) && n > 0)
            t->c[i] = to[0]; /* all are in the first plane */
    }
}

static void map_spaces(struct text *t)
{
    for (size_t i = 0; i < t->n; i++)
        if (u_charType(t->c[i]) == U_SPACE_SEPARATOR)
            t->c[i] = ' ';
}

struct units {
    UChar u[UNITS_MAX];
    int32_t n;
};

static bool lower(struct units *s, struct units *to)
{
    UErrorCode e = U_ZERO_ERROR;
    to->n = u_strToLower(to->u, UNITS_MAX, s->u, s->n, "", &e);
    return U_SUCCESS(e) && to->n <= UNITS_MAX;
}

static bool normalize(struct units *s, struct units *to)
{
    UErrorCode e = U_ZERO_ERROR;
    to->n = unorm2_normalize(unorm2_getNFCInstance(&e), s->u, s->n, to->u, UNITS_MAX, &e);
    return U_SUCCESS(e);
}

static bool map_case_and_form(struct text *t, bool keep_case)
{
    struct units *a = xnew(struct units), *b = xnew(struct units);
    UErrorCode e = U_ZERO_ERROR;
    int32_t n = 0;
    u_strFromUTF32(a->u, UNITS_MAX, &a->n, t->c, (int32_t)t->n, &e);
    bool good = U_SUCCESS(e) && (keep_case ? normalize(a, b) : lower(a, b) && normalize(b, a));
    const struct units *done = keep_case ? b : a;
    if (good)
        u_strToUTF32(t->c, UNITS_MAX, &n, done->u, done->n, &e);
    t->n = (size_t)n;
    explicit_bzero(a, sizeof(*a)); /* it may be a password */
    explicit_bzero(b, sizeof(*b));
    free(a);
    free(b);
    return good && U_SUCCESS(e);
}

static void encode(const struct text *t, struct buf *ret)
{
    for (size_t i = 0; i < t->n; i++) {
        uint8_t bytes[4];
        int32_t n = 0;
        U8_APPEND_UNSAFE(bytes, n, t->c[i]);
        buf_put(ret, bytes, (size_t)n);
    }
}

/* Profiles. */

static bool is_plain(struct span s, unsigned char from)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < from || (unsigned char)s.p[i] > 0x7e)
            return false;
    return s.n > 0 && s.n <= PRECIS_MAX;
}

static int put_userpart(struct span part, bool keep_case, struct buf *ret)
{
    if (is_plain(part, 0x21)) {
        for (size_t i = 0; i < part.n; i++)
            buf_put_byte(ret, keep_case ? part.p[i] : (char)ascii_lower((unsigned char)part.p[i]));
        return 0;
    }
    autofree struct text *t = xnew(struct text);
    if (!decode(part, t))
        return ERR_INVALID;
    map_width(t);
    if (!class_allows(t, true) || !map_case_and_form(t, keep_case) || !class_allows(t, true) ||
        !directions_good(t))
        return ERR_INVALID;
    encode(t, ret);
    return 0;
}

int precis_username(struct span name, bool keep_case, struct buf *ret)
{
    size_t begin = ret->n;
    struct span part;
    int r = name.n ? 0 : ERR_INVALID;
    for (bool first = true; r == 0 && span_split(&name, ' ', &part); first = false) {
        if (!first)
            buf_put_byte(ret, ' ');
        r = put_userpart(part, keep_case, ret);
    }
    if (r == 0 && !buf_ok(ret))
        r = ERR_INVALID;
    if (r < 0)
        buf_truncate(ret, begin);
    return r;
}

void precis_adopt(struct buf *name, bool keep_case)
{
    autobuf prepared = BUF_INIT(name->max);
    if (precis_username(buf_span(name), keep_case, &prepared) < 0)
        return;
    buf_reset(name);
    buf_put_span(name, buf_span(&prepared));
}

int precis_password(struct span password, struct buf *ret)
{
    size_t begin = ret->n;
    if (is_plain(password, 0x20)) {
        buf_put_span(ret, password);
    } else {
        struct text *t = xnew(struct text);
        bool good = decode(password, t);
        if (good)
            map_spaces(t);
        good = good && class_allows(t, false) && map_case_and_form(t, true) && t->n;
        if (good)
            encode(t, ret);
        explicit_bzero(t, sizeof(*t));
        free(t);
        if (!good)
            return ERR_INVALID;
    }
    if (buf_ok(ret))
        return 0;
    buf_truncate(ret, begin);
    return ERR_INVALID;
}
