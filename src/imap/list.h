/* imap/list.h: LIST lines, as LIST and SELECT send them. */
#ifndef IMAP_LIST_H
#define IMAP_LIST_H

#include "imap/session_int.h"

/* "* LIST (attributes) "/" name" CRLF for an existing mailbox. */
int put_list_line(struct session *s, struct snap *snap, struct buf *b, struct span name) must_check;
/* A name in the form of the session: modified UTF-7, or UTF-8 in rev2. */
void put_mailbox_name(struct session *s, struct buf *b, struct span name);

#endif
