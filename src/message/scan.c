/* Byte scanning. The vector forms are compiled for AVX2 by attribute and chosen at run time, so one
 * binary serves every x86-64; other processors use the portable forms. */
#include "message/scan_int.h"

#include "message/charset.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2_FORM 1
#define target_avx2    __attribute__((target("avx2,bmi,popcnt")))
static bool have_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("popcnt");
}
#else
#define HAVE_AVX2_FORM 0
#endif

/* --- Lines -------------------------------------------------------------------------------- */

#define WORD_ONES UINT64_C(0x0101010101010101)
#define WORD_HIGH UINT64_C(0x8080808080808080)

static uint64_t load_word(const char *p)
{
    uint64_t w;
    memcpy(&w, p, sizeof(w));
    return w;
}

/* NUL bytes and bytes >= 0x80. */
static void note_bytes(const char *p, size_t n, struct scan_stats *st)
{
    uint64_t high = 0, nul = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t w = load_word(p + i);
        high |= w & WORD_HIGH;
        nul |= (w - WORD_ONES) & ~w & WORD_HIGH;
    }
    for (; i < n; i++) {
        high |= (unsigned char)p[i] & 0x80;
        nul |= p[i] == '\0';
    }
    st->high |= high != 0;
    st->nul |= nul != 0;
}

size_t scan_body_portable(struct span s, bool stop_at_dash, struct scan_stats *st)
{
    size_t pos = 0;
    while (pos < s.n) {
        const char *lf = memchr(s.p + pos, '\n', s.n - pos);
        if (!lf) {
            pos = s.n;
            break;
        }
        st->lines++;
        pos = (size_t)(lf - s.p) + 1;
        if (stop_at_dash && pos < s.n && s.p[pos] == '-')
            break;
    }
    note_bytes(s.p, pos, st);
    return pos;
}

#if HAVE_AVX2_FORM
/* Blocks of 32 bytes as long as there is one byte behind each (the one after a possible LF). */
target_avx2 static size_t scan_body_avx2(struct span s, bool stop_at_dash, struct scan_stats *st)
{
    const __m256i lf = _mm256_set1_epi8('\n'), zero = _mm256_setzero_si256();
    const __m256i dash = stop_at_dash ? _mm256_set1_epi8('-') : zero;
    __m256i any = zero, least = _mm256_set1_epi8(-1);
    uint64_t lines = 0;
    size_t pos = 0;
    bool stopped = false;
    while (s.n - pos > 32) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)(s.p + pos));
        __m256i is_lf = _mm256_cmpeq_epi8(v, lf);
        uint32_t mask = (uint32_t)_mm256_movemask_epi8(is_lf);
        if (mask && stop_at_dash) {
            __m256i next = _mm256_loadu_si256((const __m256i *)(const void *)(s.p + pos + 1));
            uint32_t hit = mask & (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(next, dash));
            if (hit) {
                unsigned at = (unsigned)__builtin_ctz(hit) + 1;
                lines += (unsigned)__builtin_popcountll(mask & ((UINT64_C(1) << at) - 1));
                struct scan_stats rest = {0, false, false};
                note_bytes(s.p + pos, at, &rest);
                st->nul |= rest.nul;
                st->high |= rest.high;
                pos += at;
                stopped = true;
                break;
            }
        }
        lines += (unsigned)__builtin_popcount(mask);
        any = _mm256_or_si256(any, v);
        least = _mm256_min_epu8(least, v);
        pos += 32;
    }
    st->lines += lines;
    st->high |= _mm256_movemask_epi8(any) != 0;
    st->nul |= _mm256_movemask_epi8(_mm256_cmpeq_epi8(least, zero)) != 0;
    if (!stopped)
        pos += scan_body_portable(span_skip(s, pos), stop_at_dash, st);
    return pos;
}
#endif

size_t scan_body(struct span s, bool stop_at_dash, struct scan_stats *st)
{
#if HAVE_AVX2_FORM
    if (s.n > 64 && have_avx2())
        return scan_body_avx2(s, stop_at_dash, st);
#endif
    return scan_body_portable(s, stop_at_dash, st);
}

/* --- ASCII -------------------------------------------------------------------------------- */

size_t ascii_prefix_portable(struct span s)
{
    size_t i = 0;
    while (i + 8 <= s.n && !(load_word(s.p + i) & WORD_HIGH))
        i += 8;
    while (i < s.n && !((unsigned char)s.p[i] & 0x80))
        i++;
    return i;
}

#if HAVE_AVX2_FORM
target_avx2 static size_t ascii_prefix_avx2(struct span s)
{
    size_t i = 0;
    for (; i + 32 <= s.n; i += 32) {
        uint32_t high = (uint32_t)_mm256_movemask_epi8(
            _mm256_loadu_si256((const __m256i *)(const void *)(s.p + i)));
        if (high)
            return i + (unsigned)__builtin_ctz(high);
    }
    return i + ascii_prefix_portable(span_skip(s, i));
}
#endif

size_t ascii_prefix(struct span s)
{
#if HAVE_AVX2_FORM
    if (s.n >= 64 && have_avx2())
        return ascii_prefix_avx2(s);
#endif
    return ascii_prefix_portable(s);
}

void scan_upper(char *dst, const char *src, size_t n)
{
    /* A form that compilers turn into vector code. */
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)src[i];
        dst[i] = (char)(c - ((unsigned char)(c - 'a') < 26 ? 0x20 : 0));
    }
}

/* --- Substrings --------------------------------------------------------------------------- */

/* How common a byte is in mail, roughly: 0 rare to 255. Letters count for both cases. */
static unsigned commonness(unsigned char c)
{
    static const char by_frequency[] = " ETAOINSRHLDCUMFPGWYBVKXJQZ";
    static const char punctuation[] = ".,-=0123456789\r\n:/<>\"_;@()'";
    if (c >= 'a' && c <= 'z')
        c -= 0x20;
    const char *hit = c ? strchr(by_frequency, c) : NULL;
    if (hit)
        return 255 - 6 * (unsigned)(hit - by_frequency);
    hit = c ? strchr(punctuation, c) : NULL;
    return hit ? 150 - 2 * (unsigned)(hit - punctuation) : c >= 0x80 ? 60 : 20;
}

struct scan_key scan_key_make(const char *p, size_t n, bool fold)
{
    invariant(n > 0);
    struct scan_key k = {p, n, 0, n - 1, fold};
    /* Only the first bytes compete, so that the window loaded at b stays near. */
    size_t look = MIN(n, 256);
    size_t a = 0, b = look - 1;
    for (size_t i = 0; i < look; i++)
        if (commonness((unsigned char)p[i]) < commonness((unsigned char)p[a]))
            a = i;
    if (a == b)
        b = 0;
    for (size_t i = 0; i < look; i++)
        if (i != a && p[i] != p[a] &&
            commonness((unsigned char)p[i]) < commonness((unsigned char)p[b]))
            b = i;
    k.a = MIN(a, b);
    k.b = MAX(a, b);
    return k;
}

static unsigned char fold_byte(unsigned char c)
{
    return (unsigned char)(c - 'a') < 26 ? (unsigned char)(c - 0x20) : c;
}

/* Compares at one place; *work counts the bytes compared. */
static bool matches_at(const struct scan_key *k, const char *text, uint64_t *work)
{
    size_t i = 0;
    if (k->fold)
        while (i < k->n && fold_byte((unsigned char)text[i]) == (unsigned char)k->p[i])
            i++;
    else
        while (i < k->n && text[i] == k->p[i])
            i++;
    *work += i + 1;
    return i == k->n;
}

/* Linear in the worst case, thanks to memmem; used when candidates turn out to be many. */
static bool find_linear(const struct scan_key *k, struct span text)
{
    if (!k->fold)
        return memmem(text.p, text.n, k->p, k->n) != NULL;
    autofree char *folded = xmalloc(text.n);
    scan_upper(folded, text.p, text.n);
    return memmem(folded, text.n, k->p, k->n) != NULL;
}

/* Verifying candidates may cost this many bytes compared before find_linear takes over: text that
 * repeats the key's begin would otherwise cost text times key. */
static uint64_t work_limit(struct span text)
{
    return 1024 + 2 * (uint64_t)text.n;
}

bool scan_find_portable(const struct scan_key *k, struct span text)
{
    if (text.n < k->n)
        return false;
    uint64_t work = 0;
    unsigned char first = (unsigned char)k->p[k->a];
    for (size_t i = 0; i <= text.n - k->n; i++) {
        unsigned char c = (unsigned char)text.p[i + k->a];
        if ((k->fold ? fold_byte(c) : c) != first)
            continue;
        if (matches_at(k, text.p + i, &work))
            return true;
        if (work > work_limit(text))
            return find_linear(k, span_skip(text, i));
    }
    return false;
}

#if HAVE_AVX2_FORM
/* OR with 0x20 folds a letter and, as only letters have a partner there, confuses nothing when the
 * key byte is a letter; other key bytes are compared as they are. */
static char fold_mask(const struct scan_key *k, size_t i)
{
    return k->fold && ascii_is_alpha((unsigned char)k->p[i]) ? 0x20 : 0;
}

target_avx2 static bool scan_find_avx2(const struct scan_key *k, struct span text)
{
    const __m256i mask_a = _mm256_set1_epi8(fold_mask(k, k->a));
    const __m256i mask_b = _mm256_set1_epi8(fold_mask(k, k->b));
    const __m256i want_a = _mm256_or_si256(_mm256_set1_epi8(k->p[k->a]), mask_a);
    const __m256i want_b = _mm256_or_si256(_mm256_set1_epi8(k->p[k->b]), mask_b);
    uint64_t work = 0, limit = work_limit(text);
    size_t i = 0;
    size_t places = text.n - k->n + 1;
    for (; i + 32 <= places; i += 32) {
        const char *at = text.p + i;
        __m256i va = _mm256_loadu_si256((const __m256i *)(const void *)(at + k->a));
        __m256i vb = _mm256_loadu_si256((const __m256i *)(const void *)(at + k->b));
        __m256i hit = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_or_si256(va, mask_a), want_a),
                                       _mm256_cmpeq_epi8(_mm256_or_si256(vb, mask_b), want_b));
        uint32_t bits = (uint32_t)_mm256_movemask_epi8(hit);
        while (__builtin_expect(bits != 0, 0)) {
            if (matches_at(k, at + __builtin_ctz(bits), &work))
                return true;
            bits &= bits - 1;
        }
        if (__builtin_expect(work > limit, 0))
            return find_linear(k, span_skip(text, i));
    }
    return scan_find_portable(k, span_skip(text, i));
}
#endif

bool scan_find(const struct scan_key *k, struct span text)
{
    if (text.n < k->n)
        return false;
#if HAVE_AVX2_FORM
    if (text.n - k->n >= 32 && have_avx2())
        return scan_find_avx2(k, text);
#endif
    return scan_find_portable(k, text);
}
