/* N needles against the bytes of one part: transfer decoding, charset, case mapping, matching.
 *
 * Most mail is ASCII that needs none of these: such runs are searched where they lie. Everything
 * else goes through the stages in small blocks. `tail` holds the last mapped bytes passed, one less
 * than the longest needle, so that matches across blocks are found; it is the only thing the two
 * ways share. */
#include "message/casemap.h"
#include "message/charset.h"
#include "message/decode.h"
#include "message/textmatch_int.h"

#define BLOCK     16384 /* stays in the first cache levels between the stages */
#define MIXED     1024  /* how much text is mapped before ASCII is looked for again */
#define ASCII_RUN 128   /* shorter runs are not worth leaving the mapping for */

struct text_search {
    const struct needle **needles;
    struct fuzzy_match *fuzzy; /* one each; NULL if none of them forgives */
    size_t n;
    uint64_t selected, found;
    size_t keep; /* length of the longest needle, minus one */

    bool decodes; /* the transfer encoding is not the identity */
    struct cte_decoder cte;
    struct charset_decoder charset;
    char charset_name[48];
    struct casemap_stream map;
    struct buf tail;
    struct buf decoded, utf8, mapped;
};

struct text_search *text_search_new(const struct needle *const *needles, size_t n)
{
    invariant(n <= 64);
    struct text_search *s = xnew(struct text_search);
    s->needles = xcalloc(n + 1, sizeof(*s->needles));
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        s->needles[i] = needles[i];
        if (needles[i]->mapped.n > s->keep + 1)
            s->keep = needles[i]->mapped.n - 1;
        if (needles[i]->fuzzy && !s->fuzzy)
            s->fuzzy = xcalloc(n, sizeof(*s->fuzzy));
    }
    struct buf *bufs[] = {&s->tail, &s->decoded, &s->utf8, &s->mapped};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_init(bufs[i], BUF_UNLIMITED);
    charset_decoder_init(&s->charset, SPAN_EMPTY);
    text_search_reset(s);
    return s;
}

void text_search_free(struct text_search *s)
{
    if (!s)
        return;
    struct buf *bufs[] = {&s->tail, &s->decoded, &s->utf8, &s->mapped};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_done(bufs[i]);
    charset_decoder_done(&s->charset);
    free(s->needles);
    free(s->fuzzy);
    free(s);
}

static uint64_t all_bits(size_t n)
{
    return n == 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

void text_search_reset(struct text_search *s)
{
    s->selected = all_bits(s->n);
    s->found = 0;
    if (s->fuzzy)
        memset(s->fuzzy, 0, s->n * sizeof(*s->fuzzy));
    for (size_t i = 0; i < s->n; i++)
        if (needle_is_empty(s->needles[i]))
            s->found |= UINT64_C(1) << i;
    text_search_begin(s, CTE_7BIT, SPAN_EMPTY);
}

void text_search_select(struct text_search *s, uint64_t mask)
{
    s->selected = mask & all_bits(s->n);
}

uint64_t text_search_bits(const struct text_search *s)
{
    return s->found;
}

unsigned text_search_score(const struct text_search *s, size_t needle)
{
    if (needle >= s->n)
        return 0;
    if (s->found >> needle & 1)
        return 100;
    const struct fuzzy_key *key = s->needles[needle]->fuzzy;
    return key ? fuzzy_match_score(key, &s->fuzzy[needle]) : 0;
}

bool text_search_found(const struct text_search *s, size_t needle)
{
    return text_search_score(s, needle) > 0;
}

bool text_search_found_all(const struct text_search *s)
{
    return s->found == all_bits(s->n);
}

/* Opening an iconv descriptor is dear, and the parts of a mailbox are mostly alike. */
static void set_charset(struct text_search *s, struct span charset)
{
    size_t n = MIN(charset.n, sizeof(s->charset_name) - 1);
    struct span now = span_str(s->charset_name);
    if (span_eq(now, span_head(charset, n))) {
        buf_reset(&s->utf8);
        charset_decode_finish(&s->charset, &s->utf8);
        return;
    }
    charset_decoder_done(&s->charset);
    charset_decoder_init(&s->charset, charset);
    if (n > 0)
        memcpy(s->charset_name, charset.p, n);
    s->charset_name[n] = '\0';
}

void text_search_begin(struct text_search *s, enum part_cte cte, struct span charset)
{
    s->decodes = cte == CTE_BASE64 || cte == CTE_QUOTED_PRINTABLE;
    if (s->decodes && cte_decoder_init(&s->cte, cte, false) < 0)
        s->decodes = false;
    set_charset(s, charset);
    s->map = (struct casemap_stream)CASEMAP_STREAM_INIT;
    buf_reset(&s->tail);
}

/* --- Matching ----------------------------------------------------------------------------- */

/* The needles still looked for. */
static uint64_t wanted(const struct text_search *s)
{
    return s->selected & ~s->found;
}

static void match_mapped(struct text_search *s, struct span text)
{
    for (uint64_t w = wanted(s); w; w &= w - 1) {
        size_t i = (size_t)__builtin_ctzll(w);
        if (needle_find_mapped(s->needles[i], text))
            s->found |= UINT64_C(1) << i;
    }
}

/* The mapped text at the end of s->mapped becomes the tail. */
static void keep_tail(struct text_search *s)
{
    size_t keep = MIN(s->keep, s->mapped.n);
    buf_reset(&s->tail);
    buf_put(&s->tail, s->mapped.p + s->mapped.n - keep, keep);
}

static void match_ascii(struct text_search *s, struct span text)
{
    for (uint64_t w = wanted(s); w; w &= w - 1) {
        size_t i = (size_t)__builtin_ctzll(w);
        if (needle_find_ascii(s->needles[i], text))
            s->found |= UINT64_C(1) << i;
    }
    /* What spans the end of the text before. */
    size_t head = MIN(s->keep, text.n);
    buf_reset(&s->mapped);
    buf_put_span(&s->mapped, buf_span(&s->tail));
    casemap(span_head(text, head), &s->mapped);
    if (s->tail.n > 0)
        match_mapped(s, buf_span(&s->mapped));
    if (text.n > head) {
        buf_reset(&s->mapped);
        casemap(span_skip(text, text.n - head), &s->mapped);
    }
    keep_tail(s);
}

static void match_mixed(struct text_search *s, struct span text, bool last)
{
    buf_reset(&s->mapped);
    buf_put_span(&s->mapped, buf_span(&s->tail));
    casemap_feed(&s->map, text, &s->mapped);
    if (last)
        casemap_finish(&s->map, &s->mapped);
    match_mapped(s, buf_span(&s->mapped));
    keep_tail(s);
}

/* Those that forgive read the text too, word by word. A NULL text: it ends. */
static void match_fuzzy(struct text_search *s, const struct span *text)
{
    for (uint64_t w = s->fuzzy ? wanted(s) : 0; w; w &= w - 1) {
        size_t i = (size_t)__builtin_ctzll(w);
        const struct fuzzy_key *key = s->needles[i]->fuzzy;
        if (key && text)
            fuzzy_match_feed(key, &s->fuzzy[i], *text);
        else if (key)
            fuzzy_match_break(key, &s->fuzzy[i]);
    }
}

static void match_utf8(struct text_search *s, struct span text)
{
    match_fuzzy(s, &text);
    while (text.n > 0 && wanted(s)) {
        size_t ascii = s->map.held_n == 0 ? ascii_prefix(text) : 0;
        if (ascii == text.n || ascii >= ASCII_RUN) {
            match_ascii(s, span_head(text, ascii));
            text = span_skip(text, ascii);
        } else {
            match_mixed(s, span_head(text, MIXED), false);
            text = span_skip(text, MIXED);
        }
    }
}

/* Bytes in the part's charset. UTF-8 needs no conversion: the mapping passes what is invalid. */
static void match_text(struct text_search *s, struct span text)
{
    bool as_is = charset_decoder_is_ascii_superset(&s->charset) && s->charset.held_n == 0 &&
                 ascii_prefix(text) == text.n;
    if (as_is || s->charset.kind == CHARSET_UTF8) {
        match_utf8(s, text);
        return;
    }
    buf_reset(&s->utf8);
    charset_decode(&s->charset, text, &s->utf8);
    match_utf8(s, buf_span(&s->utf8));
}

void text_search_feed(struct text_search *s, struct span raw)
{
    while (raw.n > 0 && wanted(s)) {
        struct span block = span_head(raw, BLOCK);
        raw = span_skip(raw, BLOCK);
        if (s->decodes) {
            buf_reset(&s->decoded);
            cte_decode(&s->cte, block, &s->decoded);
            block = buf_span(&s->decoded);
        }
        match_text(s, block);
    }
}

void text_search_end(struct text_search *s)
{
    if (s->decodes && wanted(s)) {
        buf_reset(&s->decoded);
        cte_decode_finish(&s->cte, &s->decoded);
        match_text(s, buf_span(&s->decoded));
    }
    if (wanted(s)) {
        buf_reset(&s->utf8);
        charset_decode_finish(&s->charset, &s->utf8);
        match_utf8(s, buf_span(&s->utf8));
        match_mixed(s, SPAN_EMPTY, true);
    }
    match_fuzzy(s, NULL);
    buf_reset(&s->tail);
}
