/* The lines of a plain text that say what a message is about. */
#include <utf8proc.h>

#include "message/preview_int.h"
#include "message/utf8_int.h"

/* --- characters --- */

static bool is_space(uint32_t c)
{
    return c <= ' ' || (c >= 0x7F && c <= 0xA0) || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
           c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000 || c == 0x2800 ||
           c == 0x3164 || c == 0x115F || c == 0x1160 || c == 0xFFA0;
}

/* Nothing that is seen: padding of mass mail, directions, which would turn what stands around the
 * preview. */
static bool is_ignored(uint32_t c)
{
    return c == 0xAD || c == 0x34F || c == 0x61C || c == 0x180E || c == 0x200B || c == 0x200E ||
           c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) ||
           c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFC);
}

static bool is_mark(uint32_t c)
{
    utf8proc_category_t cat = utf8proc_category((utf8proc_int32_t)c);
    return cat == UTF8PROC_CATEGORY_MN || cat == UTF8PROC_CATEGORY_MC ||
           cat == UTF8PROC_CATEGORY_ME;
}

static void text_put(struct preview_text *t, uint32_t c)
{
    if (t->chars >= PREVIEW_CHARS_MAX) {
        t->full = true;
        return;
    }
    t->n += (uint16_t)utf8_write(t->p + t->n, c);
    t->chars++;
}

static void text_char(struct preview_text *t, uint32_t c)
{
    if (t->full || is_ignored(c))
        return;
    if (is_space(c)) {
        t->space = t->n > 0;
        t->joiner = 0;
        return;
    }
    if (c == 0x200C || c == 0x200D) {
        t->joiner = t->space || t->n == 0 ? 0 : c;
        return;
    }
    /* A base character is not parted from its marks. */
    if (t->chars + t->space >= PREVIEW_CHARS && !(is_mark(c) && !t->space)) {
        t->full = true;
        return;
    }
    if (t->space)
        text_put(t, ' ');
    if (t->joiner)
        text_put(t, t->joiner);
    t->space = false;
    t->joiner = 0;
    text_put(t, c);
}

/* ASCII letters and signs at once. */
static size_t text_add_word(struct preview_text *t, struct span s)
{
    size_t room = t->chars + 1u < PREVIEW_CHARS ? PREVIEW_CHARS - t->chars - 1u : 0, n = 0;
    while (n < s.n && n < room && (unsigned char)s.p[n] > ' ' && (unsigned char)s.p[n] < 0x7F)
        n++;
    if (n == 0 || t->joiner)
        return 0;
    if (t->space)
        t->p[t->n++] = ' ';
    memcpy(t->p + t->n, s.p, n);
    t->chars = (uint16_t)(t->chars + n + t->space);
    t->n = (uint16_t)(t->n + n);
    t->space = false;
    return n;
}

static void text_add(struct preview_text *t, struct span s)
{
    while (s.n > 0 && !t->full) {
        size_t word = text_add_word(t, s);
        s = span_skip(s, word);
        if (s.n == 0)
            break;
        uint32_t c;
        int len = utf8_take(s.p, s.n, &c);
        if (len > 0)
            text_char(t, c);
        s = span_skip(s, len > 0 ? (size_t)len : 1);
    }
}

/* --- lines --- */

/* What a bracket holds that is no text: an address, a picture. Its length with the brackets, or
 * 0. */
static size_t bracketed(struct span s)
{
    static const struct span begins[] = {
        {"http://", 7}, {"https://", 8}, {"mailto:", 7}, {"image:", 6}, {"cid:", 4}};
    char close = s.p[0] == '<' ? '>' : s.p[0] == '(' ? ')' : ']';
    struct span inside = span_skip(s, s.n > 1 && s.p[1] == ' ' ? 2 : 1);
    for (size_t i = 0; i < ARRAY_LEN(begins); i++) {
        if (!span_istarts(inside, begins[i]))
            continue;
        size_t end = span_find_byte(s, close);
        return end == SPAN_NPOS ? s.n : end + 1;
    }
    return 0;
}

static void line_text(struct preview_lines *l, struct span s)
{
    while (s.n > 0) {
        size_t n = 0;
        while (n < s.n && s.p[n] != '<' && s.p[n] != '(' && s.p[n] != '[')
            n++;
        size_t skip = n < s.n ? bracketed(span_skip(s, n)) : 0;
        if (n < s.n && skip == 0)
            n++;
        text_add(&l->text, span_head(s, n));
        s = span_skip(s, n);
        if (skip > 2) {
            struct span inside = span_trim(span_make(s.p + 1, skip - 2));
            if (span_istarts(inside, SPAN("image:")))
                inside = span_skip(inside, 6);
            text_add(&l->other, inside);
            text_char(&l->other, ' ');
        }
        s = span_skip(s, skip);
    }
}

/* Four or more times the same sign, perhaps with spaces: a line drawn. */
static bool is_rule(struct span s)
{
    size_t n = 0;
    if (s.n < 4 || !strchr("-_=*~#+.", s.p[0]) || s.p[0] == '\0')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == s.p[0])
            n++;
        else if (s.p[i] != ' ')
            return false;
    }
    return n >= 4;
}

/* "-----Original Message-----", in any language. */
static bool is_original(struct span s)
{
    return s.n > 10 && span_starts(s, SPAN("---")) && span_ends(s, SPAN("---"));
}

/* "-----BEGIN PGP ...": true if the line was one of those. */
static bool line_of_pgp(struct preview_lines *l, struct span s)
{
    if (span_starts(s, SPAN("-----BEGIN PGP SIGNED MESSAGE-----"))) {
        l->signed_header = l->pgp_signed = true;
    } else if (span_starts(s, SPAN("-----BEGIN PGP "))) {
        l->done = true;            /* a signature, or what nobody can read */
    } else if (l->signed_header) { /* Hash: SHA256 (RFC 9580 section 7) */
        l->signed_header = s.n > 0;
    } else {
        return false;
    }
    return true;
}

/* Back to where the line began that announces a quote ("On Monday Jo wrote:"), or to the one before
 * it if that is where the announcement was wrapped. */
static void drop_announcement(struct preview_lines *l)
{
    struct preview_mark m = l->marks[l->para_lines > 1 && l->last_n < PREVIEW_SHORT];
    l->text.n = m.n;
    l->text.chars = m.chars;
    l->text.space = l->text.n > 0;
    l->text.joiner = 0;
}

static void quoted(struct preview_lines *l, struct span s)
{
    if (l->last_colon)
        drop_announcement(l);
    l->last_colon = false;
    l->blank = true;
    while (s.n > 0 && (s.p[0] == '>' || s.p[0] == ' '))
        s = span_skip(s, 1);
    text_add(&l->other, s);
    l->rest = PREVIEW_REST_OTHER;
}

static void plain(struct preview_lines *l, struct span s)
{
    l->marks[1] = l->marks[0];
    l->marks[0] = (struct preview_mark){l->text.n, l->text.chars};
    l->para_lines = l->blank ? 1 : (uint8_t)MIN(l->para_lines + 1, 2);
    l->blank = false;
    line_text(l, s);
    l->last_n = s.n;
    l->last_colon = s.p[s.n - 1] == ':';
    l->rest = PREVIEW_REST_TEXT;
}

/* A whole line, or as much of it as there is room for. */
static void take_line(struct preview_lines *l, struct span raw)
{
    struct span s = span_trim(raw);
    bool after_rule = l->after_rule, some = l->text.n > 0;
    l->rest = PREVIEW_REST_NONE;
    if (line_of_pgp(l, s))
        return;
    if (s.n == 0) {
        l->blank = true;
        return;
    }
    l->after_rule = false;
    if (l->pgp_signed && span_starts(s, SPAN("- ")))
        s = span_skip(s, 2);
    if (s.p[0] == '>' && !span_starts(s, SPAN(">From "))) {
        quoted(l, s);
    } else if (span_eq(s, SPAN("--")) || (some && is_original(s)) ||
               (some && after_rule && span_istarts(s, SPAN("From:")))) {
        l->done = true;
    } else if (is_rule(s) || is_original(s)) {
        l->after_rule = l->blank = true;
        l->last_colon = false;
    } else {
        plain(l, s);
    }
}

void preview_lines_begin(struct preview_lines *l)
{
    /* Not the texts and the line, which are large. */
    memset(l, 0, offsetof(struct preview_lines, text));
    memset(&l->text, 0, offsetof(struct preview_text, p));
    memset(&l->other, 0, offsetof(struct preview_text, p));
}

bool preview_lines_done(const struct preview_lines *l)
{
    return l->done || l->text.full;
}

/* A line, or a further piece of one. */
static void piece(struct preview_lines *l, size_t n)
{
    struct span s = span_make(l->line, n);
    if (!l->within)
        take_line(l, s);
    else if (l->rest != PREVIEW_REST_NONE)
        text_add(l->rest == PREVIEW_REST_TEXT ? &l->text : &l->other, s);
    l->line_n = (uint16_t)(l->line_n - n);
    memmove(l->line, l->line + n, l->line_n);
}

static void line_end(struct preview_lines *l)
{
    if (l->within)
        l->last_colon = false;
    piece(l, l->line_n);
    l->within = false;
    text_char(&l->text, ' ');
    text_char(&l->other, ' ');
}

/* There is no more room; a character is not cut. */
static void line_full(struct preview_lines *l)
{
    size_t n = l->line_n, cut = n;
    uint32_t c;
    while (cut > n - 4 && ((unsigned char)l->line[cut - 1] & 0xC0) == 0x80)
        cut--;
    if ((unsigned char)l->line[cut - 1] >= 0xC0 &&
        utf8_take(l->line + cut - 1, n - cut + 1, &c) == UTF8_SHORT)
        n = cut - 1;
    bool space = l->line[n - 1] == ' '; /* the begin of a line is trimmed */
    piece(l, n);
    l->within = true;
    if (space) {
        text_char(&l->text, ' ');
        text_char(&l->other, ' ');
    }
}

void preview_lines_feed(struct preview_lines *l, struct span utf8)
{
    while (utf8.n > 0 && !preview_lines_done(l)) {
        size_t lf = span_find_byte(utf8, '\n');
        size_t n = MIN(lf == SPAN_NPOS ? utf8.n : lf, sizeof(l->line) - l->line_n);
        memcpy(l->line + l->line_n, utf8.p, n);
        l->line_n = (uint16_t)(l->line_n + n);
        utf8 = span_skip(utf8, n);
        if (utf8.n > 0 && utf8.p[0] == '\n' && n == lf) {
            utf8 = span_skip(utf8, 1);
            line_end(l);
        } else if (l->line_n == sizeof(l->line)) {
            line_full(l);
        }
    }
}

void preview_lines_end(struct preview_lines *l)
{
    if (!preview_lines_done(l) && l->line_n > 0)
        line_end(l);
}
