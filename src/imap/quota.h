/* imap/quota.h: what other commands need to know of quotas (quota.c). */
#ifndef IMAP_QUOTA_H
#define IMAP_QUOTA_H

#include "imap/session_int.h"

/* Whether a message of this size could not be added, so that nobody sends it in vain. (The writer
 * decides later, against the state of that moment.) */
bool quota_refuses(struct account *account, struct snap *snap, const struct mailbox_info *info,
                   uint64_t size);
/* The selected mailbox's root is nearly used up, and the client has not been told: an untagged NO
 * [OVERQUOTA] (RFC 9208 section 4.3.1). */
void quota_announce(struct session *s, struct snap *snap, const struct mailbox_info *info);

#endif
