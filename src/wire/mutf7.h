/* wire/mutf7.h: mailbox names: modified UTF-7 (RFC 3501 5.1.3), UTF-8, and what a name may be.
 *
 * Inside Martlet a mailbox name is valid UTF-8 with '/' as hierarchy separator; modified UTF-7
 * exists only on the wire of sessions that have not enabled IMAP4rev2. Pure functions, any thread.
 */
#ifndef WIRE_MUTF7_H
#define WIRE_MUTF7_H

#include "base/buf.h"
#include "base/err.h"
#include "base/utf8.h"

enum { WIRE_NAME_MAX = 1024 }; /* bytes of UTF-8 */

/* Appends UTF-8 to out. Strict: only the canonical encoding is accepted (so that a name has one
 * spelling). ERR_INVALID, with out as it was; ERR_LIMIT if out is full. */
int mutf7_decode(struct span s, struct buf *out) must_check;

/* Appends modified UTF-7. ERR_INVALID if s is not valid UTF-8; ERR_LIMIT if out is full. */
int mutf7_encode(struct span utf8, struct buf *out) must_check;

/* Is it "INBOX" in any case? */
bool mailbox_is_inbox(struct span name);

/* From the wire to the store: decodes (utf8 = session speaks UTF-8 names; a rev1 name that is not
 * modified UTF-7 but valid UTF-8 is refused), turns a first component INBOX of any case into
 * "INBOX", drops one trailing separator (RFC 9051 6.3.4: "foo/" declares intent to create children)
 * and checks the name. On ERR_INVALID *ret_why (may be NULL) says why, for people. */
int mailbox_name_decode(struct span wire, bool utf8, struct buf *out,
                        const char **ret_why) must_check;

/* The check alone, on the store's form: 1 to WIRE_NAME_MAX bytes, valid UTF-8, no control
 * characters (C0, DEL, C1, U+2028, U+2029; RFC 9051 5.1), no empty component. NULL if good, else
 * why not. */
const char *mailbox_name_problem(struct span utf8);

/* LIST patterns and references: as mailbox_name_decode without the checks that only names need
 * (empty, separators and wildcards are fine). */
int mailbox_pattern_decode(struct span wire, bool utf8, struct buf *out,
                           const char **ret_why) must_check;

#endif
