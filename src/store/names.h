/* store/names.h: which names a mailbox can have.
 *
 * Names are UTF-8 in normalization form C, levels separated by '/', without empty levels (RFC 9051
 * section 5.1; Net-Unicode, RFC 5198). A first level INBOX is folded to capitals, whatever follows
 * it, so that no second "Inbox" can stand beside it. Other names are case-sensitive. Every name
 * that comes from outside goes through mailbox_name_normalise before it is looked up or stored; the
 * writer does it for the names in requests, readers do it for theirs. Pure functions, any thread.
 */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include "base/buf.h"
#include "store/types.h"

enum { MAILBOX_LEVELS_MAX = 64 }; /* every level may become a mailbox of its own */

/* Replace the content of `to` by the name in its stored form. One trailing delimiter is ignored
 * (RFC 9051 section 6.3.4). ERR_INVALID: not UTF-8, control characters, empty levels; ERR_LIMIT:
 * longer than MAILBOX_NAME_MAX or deeper than MAILBOX_LEVELS_MAX. `to` and `given` must not
 * overlap. */
int mailbox_name_normalise(struct buf *to, struct span given) must_check;

static inline bool mailbox_name_is_inbox(struct span name)
{
    return span_ieq(name, SPAN("INBOX"));
}

/* The name of the superior; SPAN_EMPTY for a name of one level. */
struct span mailbox_name_superior(struct span name);
/* Whether name is root + '/' + something. */
bool mailbox_name_is_inferior(struct span name, struct span root);

/* Whether a keyword may be stored: an atom (RFC 9051 section 9, flag-keyword) that is neither
 * empty, too long, nor begins with a backslash. */
bool keyword_name_valid(struct span name);

#endif
