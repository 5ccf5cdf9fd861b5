/* message/imapstr_int.h: IMAP strings, for ENVELOPE and BODYSTRUCTURE. Private to src/message. */
#ifndef MESSAGE_IMAPSTR_INT_H
#define MESSAGE_IMAPSTR_INT_H

#include "base/buf.h"
#include "base/span.h"

/* A quoted string if s is printable ASCII (TAB included) and not long, otherwise a literal. NUL
 * bytes are left out: no string of RFC 3501 or RFC 9051 can hold one. */
void imapstr_put(struct buf *out, struct span s);

/* A raw field value: unfolded and trimmed first. scratch loses its contents. */
void imapstr_put_field(struct buf *out, struct span value, struct buf *scratch);

#endif
