/* wire/match.h: LIST patterns (RFC 9051 6.3.9): '*' matches anything, '%' all but the separator.
 *
 * Matching runs all positions of the pattern side by side as a bit set: at most
 * pattern/64 * name steps, whatever the wildcards. Pattern and name are both UTF-8 (decode first);
 * a first component INBOX of the name matches in any case. Pure functions, any thread.
 * Limits: PATTERN_MAX bytes after folding repeated wildcards. */
#ifndef WIRE_MATCH_H
#define WIRE_MATCH_H

#include "base/err.h"
#include "base/span.h"

enum { PATTERN_MAX = 1024 };

enum pattern_result {
    PATTERN_NO = 0,
    PATTERN_MATCH = 1,    /* the name itself matches */
    PATTERN_CHILDREN = 2, /* some name below it (name, separator, more) could match */
};

struct pattern {
    uint16_t n;
    char separator;
    char text[PATTERN_MAX];
};

/* Reference and pattern are joined by concatenation (RFC 9051 6.3.9 leaves it to the server).
 * ERR_LIMIT if too long. */
int pattern_init(struct pattern *p, struct span reference, struct span pattern,
                 char separator) must_check;

/* A set of PATTERN_ bits. */
unsigned pattern_match(const struct pattern *p, struct span name);

/* No wildcards: only one name can match, and *ret_name is it. */
bool pattern_is_literal(const struct pattern *p, struct span *ret_name);
/* What every matching name starts with (up to the first wildcard): where a sorted walk begins.
 * Empty when the name may start with INBOX in another case. */
struct span pattern_prefix(const struct pattern *p);

#endif
