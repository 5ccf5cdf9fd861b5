/* wire/chars_int.h: character classes of RFC 9051 section 9. Private to src/wire. */
#ifndef WIRE_CHARS_INT_H
#define WIRE_CHARS_INT_H

#include "base/span.h"

enum char_class {
    CH_ATOM = 1,    /* ATOM-CHAR */
    CH_ASTRING = 2, /* ASTRING-CHAR = ATOM-CHAR / "]" */
    CH_LIST = 4,    /* list-char = ASTRING-CHAR / list-wildcards */
    CH_TAG = 8,     /* ASTRING-CHAR except "+" */
    CH_NUMSET = 16, /* digits and , : * $ of a sequence set */
    CH_NAME = 32,   /* letters, digits and "." of FETCH item names */
    CH_QUOTED = 64, /* accepted unescaped in a quoted string: all but NUL CR LF " and \ */
};

extern const uint8_t char_classes[256];

static inline bool char_is(char c, enum char_class class)
{
    return char_classes[(unsigned char)c] & class;
}

/* Length of the run of that class at the front. */
static inline size_t char_run(const char *p, const char *end, enum char_class class)
{
    const char *q = p;
    while (q < end && char_is(*q, class))
        q++;
    return (size_t)(q - p);
}

static inline bool chars_all(struct span s, enum char_class class)
{
    return char_run(s.p, s.p + s.n, class) == s.n;
}

#endif
