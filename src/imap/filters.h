/* imap/filters.h: FILTERS (RFC 5466): named searches, which are entries of the server's metadata.
 */
#ifndef IMAP_FILTERS_H
#define IMAP_FILTERS_H

#include "imap/session_int.h"

/* Puts the criteria of filters in the place of the command's FILTER keys. False after ending the
 * task: NO [UNDEFINED-FILTER name], BAD [BADCHARSET]. */
bool filters_expand(struct task *t);
/* Whether this may be the value of a private entry: that of a filter must be a search. False after
 * ending the task. */
bool filter_value_allowed(struct task *t, struct span entry, struct span value);

#endif
