/* message/subject.h: the base subject (RFC 5256 section 2.1), by which mail is sorted and threaded.
 *
 * Pure, any thread; nothing fails. */
#ifndef MESSAGE_SUBJECT_H
#define MESSAGE_SUBJECT_H

#include "base/buf.h"

struct base_subject {
    struct span text;      /* within the given text */
    bool reply_or_forward; /* something was taken away that says so: "Re:", "(fwd)", "[fwd: ...]" */
};

/* From a Subject in UTF-8 that was decoded, unfolded and has single spaces (subject_normalise). */
struct base_subject base_subject(struct span subject);
/* Step (1): the raw field value, decoded; runs of white space become one space. Appends. False: as
 * header_decode_known. */
bool subject_normalise(struct span value, struct buf *out);

#endif
