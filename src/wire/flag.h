/* wire/flag.h: system flags as bits (RFC 9051 2.3.2, RFC 3501 2.3.2). Pure. */
#ifndef WIRE_FLAG_H
#define WIRE_FLAG_H

#include "base/span.h"

enum wire_flag {
    WIRE_FLAG_ANSWERED = 1 << 0,
    WIRE_FLAG_FLAGGED = 1 << 1,
    WIRE_FLAG_DELETED = 1 << 2,
    WIRE_FLAG_SEEN = 1 << 3,
    WIRE_FLAG_DRAFT = 1 << 4,
    WIRE_FLAG_RECENT = 1 << 5, /* rev1 only; never stored by a client */
};

/* Flags as a client named them. */
struct wire_flags {
    uint32_t system;             /* WIRE_FLAG_ */
    unsigned n_keywords;         /* without repetition */
    const struct span *keywords; /* atoms, as spelt by the client; comparison ignores ASCII case */
    struct span unknown;         /* the first "\Name" that is no system flag, else empty: it is in
                                  * no list; the session ignores or refuses it */
};

/* "\Seen" -> WIRE_FLAG_SEEN, any case; 0 if it is none of the six. */
uint32_t wire_flag_bit(struct span name);

#endif
