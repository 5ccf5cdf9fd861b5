#include "message/fuzzy.h"

#include <utf8proc.h>

#include "message/utf8_int.h"

struct key_word {
    uint8_t n, errors; /* letters; how many may be wrong */
    uint32_t letter[FUZZY_LETTERS];
};

struct fuzzy_key {
    size_t n;
    struct key_word word[FUZZY_WORDS];
};

enum {
    SCORE_WHOLE = 100,
    SCORE_BEGIN = 90,  /* "swim" in "swimming" */
    SCORE_WITHIN = 75, /* "work" in "network" */
    SCORE_WRONG = 70,  /* less what is wrong, in proportion */
    LETTERS_MAX = 18,  /* of one character: the longest decomposition */
};

/* --- words --- */

/* The letters and digits of a character without case and marks. 0: it parts words; -1: a mark,
 * which belongs to the letter before it. */
static int letters_of(uint32_t c, uint32_t to[LETTERS_MAX])
{
    if (c < 0x80) {
        to[0] = ascii_lower((unsigned char)c);
        return ascii_is_alpha((unsigned char)c) || ascii_is_digit((unsigned char)c);
    }
    utf8proc_int32_t parts[32];
    int boundary = 0, n = 0;
    utf8proc_ssize_t got = utf8proc_decompose_char(
        (utf8proc_int32_t)c, parts, ARRAY_LEN(parts),
        UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD, &boundary);
    bool mark = got > 0;
    for (utf8proc_ssize_t i = 0; i < got && got <= (utf8proc_ssize_t)ARRAY_LEN(parts); i++) {
        utf8proc_category_t kind = utf8proc_category(parts[i]);
        bool marks = kind >= UTF8PROC_CATEGORY_MN && kind <= UTF8PROC_CATEGORY_ME;
        mark = mark && marks;
        bool letter = (kind >= UTF8PROC_CATEGORY_LU && kind <= UTF8PROC_CATEGORY_LO) ||
                      (kind >= UTF8PROC_CATEGORY_ND && kind <= UTF8PROC_CATEGORY_NO);
        if (letter && n < LETTERS_MAX)
            to[n++] = (uint32_t)parts[i];
    }
    return mark ? -1 : n;
}

static uint8_t errors_of(size_t letters)
{
    return letters <= 3 ? 0 : letters <= 7 ? 1 : 2;
}

struct fuzzy_key *fuzzy_key_new(struct span utf8)
{
    struct fuzzy_key *k = xnew(struct fuzzy_key);
    bool in_word = false, too_many = false;
    while (utf8.n && !too_many) {
        uint32_t c, letter[LETTERS_MAX];
        int len = utf8_take(utf8.p, utf8.n, &c);
        int n = len > 0 ? letters_of(c, letter) : 0;
        utf8 = span_skip(utf8, len > 0 ? (size_t)len : 1);
        if (n < 0)
            continue;
        if (n > 0 && !in_word) {
            too_many = k->n == FUZZY_WORDS;
            k->n += !too_many;
        }
        in_word = n > 0;
        struct key_word *w = &k->word[k->n ? k->n - 1 : 0];
        for (int i = 0; i < n && w->n < FUZZY_LETTERS; i++)
            w->letter[w->n++] = letter[i];
    }
    for (size_t i = 0; i < k->n; i++)
        k->word[i].errors = errors_of(k->word[i].n);
    if (k->n && !too_many)
        return k;
    free(k);
    return NULL;
}

void fuzzy_key_free(struct fuzzy_key *k)
{
    free(k);
}

/* --- one word against another --- */

static bool same(const uint32_t *a, const uint32_t *b, size_t n)
{
    return memcmp(a, b, n * sizeof(*a)) == 0;
}

/* How many letters are wrong, missing, too many, or swapped with their neighbour ("optimal string
 * alignment"); more than `max`: some number greater than that. */
static unsigned distance(const struct key_word *w, const uint32_t *text, size_t n, unsigned max)
{
    uint8_t rows[3][FUZZY_LETTERS + 1];
    uint8_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= n; j++)
        above[j] = (uint8_t)j;
    for (size_t i = 1; i <= w->n; i++) {
        uint8_t least = row[0] = (uint8_t)i;
        for (size_t j = 1; j <= n; j++) {
            bool equal = w->letter[i - 1] == text[j - 1];
            unsigned d = above[j - 1] + !equal;
            d = MIN(d, (unsigned)above[j] + 1);
            d = MIN(d, (unsigned)row[j - 1] + 1);
            if (i > 1 && j > 1 && w->letter[i - 1] == text[j - 2] &&
                w->letter[i - 2] == text[j - 1])
                d = MIN(d, (unsigned)before[j - 2] + 1);
            row[j] = (uint8_t)d;
            least = MIN(least, row[j]);
        }
        if (least > max)
            return least;
        uint8_t *last = before;
        before = above;
        above = row;
        row = last;
    }
    return above[n];
}

static bool within(const struct key_word *w, const uint32_t *text, size_t n)
{
    for (size_t i = 1; i + w->n <= n; i++)
        if (text[i] == w->letter[0] && same(w->letter, text + i, w->n))
            return true;
    return false;
}

static unsigned score_of(const struct key_word *w, const uint32_t *text, size_t n)
{
    if (n >= w->n && same(w->letter, text, w->n))
        return n == w->n ? SCORE_WHOLE : SCORE_BEGIN;
    if (w->n > 2 && n > w->n && within(w, text, n))
        return SCORE_WITHIN;
    if (w->errors == 0 || n > w->n + (size_t)w->errors || n + w->errors < w->n)
        return 0;
    unsigned d = distance(w, text, n, w->errors);
    return d > w->errors ? 0 : SCORE_WRONG - 140 * d / (w->n + 1U);
}

/* --- a text --- */

static void end_word(const struct fuzzy_key *k, struct fuzzy_match *m)
{
    for (size_t i = 0; m->letters && i < k->n; i++) {
        if (m->best[i] == SCORE_WHOLE)
            continue;
        unsigned score = score_of(&k->word[i], m->word, m->letters);
        m->best[i] = (uint8_t)MAX((unsigned)m->best[i], score);
    }
    m->letters = 0;
}

static void take_char(const struct fuzzy_key *k, struct fuzzy_match *m, uint32_t c)
{
    uint32_t letter[LETTERS_MAX];
    int n = letters_of(c, letter);
    if (n == 0)
        end_word(k, m);
    for (int i = 0; i < n; i++) {
        if (m->letters == FUZZY_LETTERS)
            end_word(k, m);
        m->word[m->letters++] = letter[i];
    }
}

/* At the beginning of s. Returns its length; 0: it goes on in the next chunk. */
static size_t take_next(const struct fuzzy_key *k, struct fuzzy_match *m, struct span s)
{
    uint32_t c;
    int len = utf8_take(s.p, s.n, &c);
    if (len == UTF8_SHORT)
        return 0;
    if (len == UTF8_BAD)
        end_word(k, m);
    else
        take_char(k, m, c);
    return len == UTF8_BAD ? 1 : (size_t)len;
}

void fuzzy_match_feed(const struct fuzzy_key *k, struct fuzzy_match *m, struct span s)
{
    while (m->held_n && s.n) { /* a split character is completed octet by octet */
        m->held[m->held_n++] = s.p[0];
        s = span_skip(s, 1);
        size_t n;
        while (m->held_n && (n = take_next(k, m, span_make(m->held, m->held_n))) > 0) {
            m->held_n = (uint8_t)(m->held_n - n);
            memmove(m->held, m->held + n, m->held_n);
        }
    }
    while (s.n) {
        size_t n = take_next(k, m, s);
        if (n == 0) {
            memcpy(m->held, s.p, s.n);
            m->held_n = (uint8_t)s.n;
            return;
        }
        s = span_skip(s, n);
    }
}

void fuzzy_match_break(const struct fuzzy_key *k, struct fuzzy_match *m)
{
    end_word(k, m);
    m->held_n = 0;
}

unsigned fuzzy_match_score(const struct fuzzy_key *k, const struct fuzzy_match *m)
{
    unsigned sum = 0;
    for (size_t i = 0; i < k->n; i++) {
        if (!m->best[i])
            return 0;
        sum += m->best[i];
    }
    return k->n ? MAX(sum / (unsigned)k->n, 1U) : 0;
}

unsigned fuzzy_score(const struct fuzzy_key *k, struct span utf8)
{
    struct fuzzy_match m = {.letters = 0};
    fuzzy_match_feed(k, &m, utf8);
    fuzzy_match_break(k, &m);
    return fuzzy_match_score(k, &m);
}
