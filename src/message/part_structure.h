/* message/part_structure.h: the body structure of one part, cut out of that of its message.
 *
 * For BODYPARTSTRUCTURE (RFC 5259 section 9, RFC 5524): spans point into the record. Never reads
 * outside of it, no recursion. Any thread. */
#ifndef MESSAGE_PART_STRUCTURE_H
#define MESSAGE_PART_STRUCTURE_H

#include "base/err.h"
#include "base/span.h"

/* "(...)" of the part with this section number as in derived_find_part, without extension data.
 * ERR_NOT_FOUND or ERR_CORRUPT. */
int derived_part_structure(struct span rec, const uint32_t *section, size_t depth,
                           struct span *ret) must_check;

/* The fields of a part that is no multipart, RFC 9051 section 7.5.2: type, subtype, parameters, id,
 * description, encoding, octets. ERR_INVALID if it is one; ERR_CORRUPT. */
enum { STRUCTURE_ENCODING = 5, STRUCTURE_SIZE = 6, STRUCTURE_BODY = 8 };
int structure_field(struct span part, size_t field, struct span *ret) must_check;

#endif
