/* imap/list.h: LIST lines, as LIST and SELECT send them, and STATUS lines. */
#ifndef IMAP_LIST_H
#define IMAP_LIST_H

#include "imap/session_int.h"

/* "* LIST (attributes) "/" name" CRLF for an existing mailbox. prefix: what comes before the names
 * of its account ("", "Other Users/mary/"). */
int put_list_line(struct session *s, struct snap *snap, struct buf *b, struct span prefix,
                  struct span name) must_check;
/* As NOTIFY tells it: also of a name that is not there (any more), with \Subscribed, and with
 * OLDNAME unless that is empty. */
int put_list_news(struct session *s, struct snap *snap, struct buf *b, struct span prefix,
                  struct span name, struct span old_name) must_check;
/* A name in the form of the session: modified UTF-7, or UTF-8 (session_utf8). */
void put_mailbox_name(struct session *s, struct buf *b, struct span prefix, struct span name);
/* "* STATUS name (items)" CRLF; items: STATUS_ bits of wire/command.h. */
int put_status_line(struct session *s, struct snap *snap, struct buf *b, struct span prefix,
                    const struct mailbox_info *info, uint32_t items) must_check;

/* "* MYRIGHTS name rights" CRLF (RFC 4314 section 3.5). */
void put_my_rights(struct session *s, struct buf *b, struct span prefix, struct span name,
                   uint32_t rights);

#endif
