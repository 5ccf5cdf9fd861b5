/* wire/literal_int.h: the literal announcement at the end of a line. Private to src/wire. */
#ifndef WIRE_LITERAL_INT_H
#define WIRE_LITERAL_INT_H

#include "base/span.h"

struct literal_header {
    size_t start; /* offset of "{" or "~{" */
    uint64_t size;
    bool sync, binary;
    bool overflow; /* size does not fit 63 bits (or has too many digits to tell) */
};

/* Does this line (without its end) announce a literal? "{5}", "{5+}", "~{5}", "~{5+}". */
bool literal_header_find(struct span line, struct literal_header *ret);

#endif
