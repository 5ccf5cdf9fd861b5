/* imap/utf8.h: UTF8=ACCEPT and UTF8=ONLY (RFC 9755, which succeeds RFC 6855).
 *
 * IMAP4rev2 has UTF-8 built in: a session that has enabled either speaks UTF-8 in mailbox names. */
#ifndef IMAP_UTF8_H
#define IMAP_UTF8_H

#include "imap/session_int.h"

/* What ENABLE UTF8=ACCEPT brings; false: it is not offered. */
bool utf8_enable(struct session *s);
/* Under UTF8=ONLY a client that has not said that it understands UTF-8 can do next to nothing
 * (section 6): false after NO [CANNOT]. */
bool utf8_command_allowed(struct task *t);
/* SEARCH and SORT in a session with UTF-8 take no other charset: false after BAD. */
bool utf8_charset_allowed(struct task *t);
/* A message for a mailbox: section 4 refuses one with octets above 0x7f in its header from a client
 * that has not enabled UTF-8. False after NO. */
bool utf8_message_allowed(struct task *t, const struct upload *u);

#endif
