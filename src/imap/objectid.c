/* imap/objectid.c: OBJECTID (RFC 8474): identifiers as they are written.
 *
 * A mailbox has 16 random octets of its own that survive RENAME. Copies of a message share the
 * stored bytes and so the account's number for them, which is never used again. THREADID is not
 * offered: it would have to be right for ever at the moment a message arrives (section 5.2). */
#include <inttypes.h>

#include "imap/session_int.h"

void put_mailbox_id(struct buf *b, const struct mailbox_info *info)
{
    buf_put_lit(b, "MAILBOXID (F");
    buf_put_hex(b, info->object_id, sizeof(info->object_id));
    buf_put_byte(b, ')');
}

void put_email_id(struct buf *b, uint64_t message_id)
{
    buf_printf(b, "EMAILID (M%" PRIx64 ")", message_id);
}

bool email_id_parse(struct span text, uint64_t *ret)
{
    uint64_t v = 0;
    if (text.n < 2 || text.n > 17 || text.p[0] != 'M')
        return false;
    for (size_t i = 1; i < text.n; i++) {
        char c = text.p[i];
        unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                         : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                                                : 16;
        if (digit == 16 || (i == 1 && digit == 0)) /* exactly as it is written, or not at all */
            return false;
        v = v << 4 | digit;
    }
    *ret = v;
    return true;
}
