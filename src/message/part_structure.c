#include "message/part_structure.h"

#include "message/derived.h"

/* Behind a literal "{n}" CRLF at s.p[at]; SPAN_NPOS if it is none. */
static size_t skip_literal(struct span s, size_t at)
{
    struct span rest = span_skip(s, at + 1);
    size_t close = span_find_byte(rest, '}');
    uint64_t n;
    if (close == SPAN_NPOS || !span_to_u64(span_head(rest, close), s.n, &n))
        return SPAN_NPOS;
    size_t begin = at + 1 + close + 3; /* "}" CRLF */
    return begin > s.n || n > s.n - begin ? SPAN_NPOS : begin + (size_t)n;
}

static size_t skip_quoted(struct span s, size_t at)
{
    for (at++; at < s.n; at++) {
        if (s.p[at] == '"')
            return at + 1;
        at += s.p[at] == '\\';
    }
    return SPAN_NPOS;
}

static size_t skip_atom(struct span s, size_t at)
{
    size_t begin = at;
    while (at < s.n && s.p[at] != ' ' && s.p[at] != '(' && s.p[at] != ')')
        at++;
    return at > begin ? at : SPAN_NPOS;
}

/* Behind the value at s.p[at]: a list with all that is in it, a string or an atom. */
static size_t skip_value(struct span s, size_t at)
{
    size_t depth = 0;
    do {
        if (at >= s.n)
            return SPAN_NPOS;
        if (s.p[at] == '(' || s.p[at] == ')' || s.p[at] == ' ') {
            if (s.p[at] != '(' && depth == 0)
                return SPAN_NPOS;
            depth += s.p[at] == '(';
            depth -= s.p[at] == ')';
            at++;
        } else {
            at = s.p[at] == '"'   ? skip_quoted(s, at)
                 : s.p[at] == '{' ? skip_literal(s, at)
                                  : skip_atom(s, at);
            if (at == SPAN_NPOS)
                return SPAN_NPOS;
        }
    } while (depth > 0);
    return at;
}

static bool is_multipart(struct span part)
{
    return part.n > 1 && part.p[1] == '(';
}

/* The value number n of a list. Parts of a multipart follow each other without spaces. */
static int list_value(struct span list, size_t n, struct span *ret)
{
    size_t at = 1, end;
    if (list.n < 2 || list.p[0] != '(')
        return ERR_CORRUPT;
    for (;; n--) {
        if (at < list.n && list.p[at] == ')')
            return ERR_NOT_FOUND;
        end = skip_value(list, at);
        if (end == SPAN_NPOS)
            return ERR_CORRUPT;
        if (n == 0)
            break;
        at = end + (end < list.n && list.p[end] == ' ');
    }
    *ret = span_make(list.p + at, end - at);
    return 0;
}

int structure_field(struct span part, size_t field, struct span *ret)
{
    return is_multipart(part) ? ERR_INVALID : list_value(part, field, ret);
}

static bool is_message(struct span part)
{
    struct span type, subtype;
    return structure_field(part, 0, &type) == 0 && structure_field(part, 1, &subtype) == 0 &&
           span_ieq(type, SPAN("\"message\"")) &&
           (span_ieq(subtype, SPAN("\"rfc822\"")) || span_ieq(subtype, SPAN("\"global\"")));
}

/* From the body of a message to its part of that number. */
static int descend(struct span *part, uint32_t number)
{
    if (!is_multipart(*part))
        return number == 1 ? 0 : ERR_NOT_FOUND;
    int rc = number ? list_value(*part, number - 1, part) : ERR_NOT_FOUND;
    return rc == 0 && part->p[0] != '(' ? ERR_NOT_FOUND : rc; /* behind the last part */
}

int derived_part_structure(struct span rec, const uint32_t *section, size_t depth, struct span *ret)
{
    struct span part;
    int rc = derived_body(rec, &part);
    for (size_t i = 0; i < depth && rc == 0; i++) {
        bool leaf = i > 0 && !is_multipart(part);
        if (leaf && !is_message(part))
            rc = ERR_NOT_FOUND;
        else if (leaf)
            rc = structure_field(part, STRUCTURE_BODY, &part);
        if (rc == 0)
            rc = descend(&part, section[i]);
    }
    if (rc == 0)
        *ret = part;
    return rc;
}
