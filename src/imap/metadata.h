/* imap/metadata.h: what other commands need to know of metadata (metadata.c). */
#ifndef IMAP_METADATA_H
#define IMAP_METADATA_H

#include "imap/session_int.h"

/* ENABLE METADATA: the client wants to be told what others change (RFC 5464 section 4.1). */
void metadata_enable(struct session *s);
void metadata_free(struct session *s);
/* Tells what others have changed since. False: there is no room for it yet. */
bool metadata_announce(struct session *s);

/* An entry as clients name it: in lower case, in the arena. False if it cannot be one. */
bool metadata_entry_name(struct task *t, struct span given, struct span *ret);
/* The METADATA response for these entries of an existing mailbox (RFC 9590), if the user may see
 * them. prefix: of the mailbox's account. */
int metadata_put_entries(struct session *s, struct snap *snap, struct buf *b,
                         const struct mailbox_info *info, struct span prefix, struct span name,
                         const struct span *entries, unsigned n) must_check;

/* The value of an entry of the account's own (mailbox ""), private or of the server. */
int metadata_of_server(struct session *s, struct snap *snap, struct span entry,
                       struct span *ret) must_check;

#endif
