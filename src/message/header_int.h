/* message/header_int.h: what src/message shares about names of fields. */
#ifndef MESSAGE_HEADER_INT_H
#define MESSAGE_HEADER_INT_H

#include "message/header.h"

/* Two of 128 bits stand for a name without an id. Records keep the union over all such names of a
 * header (a Bloom filter): if a name's bits are not all in it, the header has no such field. */
struct name_bits {
    uint64_t w[2];
};

struct name_bits header_name_bits(struct span name);

struct header_set_name {
    struct span name; /* owned */
    struct name_bits bits;
};

/* encword.c: the length of the encoded word (RFC 2047) that s begins with, on one line and of usual
 * length, and its charset without a language; 0 if it is none. */
size_t header_word_at(struct span s, struct span *ret_charset);

#endif
