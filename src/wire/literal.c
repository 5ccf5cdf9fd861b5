#include "wire/literal_int.h"

enum { DIGITS_MAX = 19 }; /* of a 63-bit number */

bool literal_header_find(struct span line, struct literal_header *ret)
{
    struct literal_header h = {.sync = true};
    size_t end = line.n;
    if (end < 3 || line.p[end - 1] != '}')
        return false;
    end--;
    if (line.p[end - 1] == '+') {
        h.sync = false;
        end--;
    }
    size_t start = end;
    while (start && ascii_is_digit((unsigned char)line.p[start - 1]))
        start--;
    if (start == end || start == 0 || line.p[start - 1] != '{')
        return false;
    struct span digits = span_make(line.p + start, end - start);
    while (digits.n > DIGITS_MAX && digits.p[0] == '0')
        digits = span_skip(digits, 1);
    h.overflow = digits.n > DIGITS_MAX || !span_to_u64(digits, INT64_MAX, &h.size);
    h.start = start - 1;
    if (h.start && line.p[h.start - 1] == '~') {
        h.binary = true;
        h.start--;
    }
    *ret = h;
    return true;
}
