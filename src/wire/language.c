#include "wire/language.h"
#include "base/err.h"

#include <string.h>

static const char *const tags[LANGUAGE_COUNT] = {
    [LANGUAGE_DEFAULT] = "i-default",
    [LANGUAGE_ENGLISH] = "en",
    [LANGUAGE_RUSSIAN] = "ru",
};

const char *language_tag(enum language language)
{
    return tags[language];
}

static bool is_alnum(char c, bool letters_only)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!letters_only && c >= '0' && c <= '9');
}

/* RFC 4647 section 2.1: (1*8ALPHA *("-" 1*8alphanum)) / "*" */
static bool range_valid(struct span range)
{
    struct span part;
    if (span_eq(range, SPAN("*")))
        return true;
    if (range.n == 0 || range.p[range.n - 1] == '-')
        return false;
    for (bool first = true; span_split(&range, '-', &part); first = false) {
        if (part.n == 0 || part.n > 8)
            return false;
        for (size_t i = 0; i < part.n; i++)
            if (!is_alnum(part.p[i], first))
                return false;
    }
    return true;
}

/* RFC 4647 section 3.4: subtags are taken away from the end, single letters with what followed. */
static struct span shorter(struct span range)
{
    while (range.n && range.p[range.n - 1] != '-')
        range.n--;
    if (range.n)
        range.n--;
    if (range.n >= 2 && range.p[range.n - 2] == '-')
        range.n -= 2;
    return range;
}

static bool find(struct span range, enum language preferred, enum language *ret)
{
    if (span_ieq(range, SPAN("default")) || span_eq(range, SPAN("*"))) {
        *ret = preferred;
        return true;
    }
    for (; range.n; range = shorter(range)) {
        for (int i = 0; i < LANGUAGE_COUNT; i++) {
            if (span_ieq(range, span_str(tags[i]))) {
                *ret = (enum language)i;
                return true;
            }
        }
    }
    return false;
}

int language_choose(const struct span *ranges, unsigned n, enum language preferred,
                    enum language *ret)
{
    for (unsigned i = 0; i < n; i++)
        if (!range_valid(ranges[i]))
            return ERR_INVALID;
    for (unsigned i = 0; i < n; i++)
        if (find(ranges[i], preferred, ret))
            return 0;
    return ERR_NOT_FOUND;
}

struct span language_span(enum language language, struct span text)
{
    size_t lo = 0, hi = language == LANGUAGE_RUSSIAN ? language_russian_count : 0;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        int order = span_cmp(span_str(language_russian[mid].text), text);
        if (order == 0)
            return span_str(language_russian[mid].translated);
        if (order < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return text;
}

const char *language_text(enum language language, const char *text)
{
    return language_span(language, span_str(text)).p;
}

void language_translate(enum language language, struct buf *b, size_t from)
{
    static const char *const statuses[] = {"* OK ", "* NO ", "* BAD ", "* BYE "};
    if (language != LANGUAGE_RUSSIAN || !buf_ok(b) || b->n <= from)
        return;
    struct span line = span_skip(buf_span(b), from), text = SPAN_EMPTY;
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        if (span_starts(line, span_str(statuses[i])))
            text = span_skip(line, strlen(statuses[i]));
    if (text.n && text.p[0] == '[') {
        const char *end = memmem(text.p, text.n, "] ", 2);
        text = end ? span_skip(text, (size_t)(end - text.p) + 2) : SPAN_EMPTY;
    }
    struct span translated = language_span(language, text);
    if (text.n == 0 || translated.p == text.p)
        return;
    b->n -= text.n;
    buf_put_span(b, translated);
}

void language_write_all(struct buf *b)
{
    buf_put_lit(b, "* LANGUAGE (en ru i-default)\r\n");
}

void language_write_one(struct buf *b, enum language language)
{
    buf_put_lit(b, "* LANGUAGE (");
    buf_put_str(b, tags[language]);
    buf_put_lit(b, ")\r\n");
}

const char *language_namespace(enum language language, struct span prefix)
{
    struct span translated = language_span(language, prefix);
    return translated.p == prefix.p ? NULL : translated.p;
}
