/* imap/messagelimit.c: MESSAGELIMIT and SAVELIMIT (RFC 9738).
 *
 * The limits are an invitation to clients to work in pieces. Nothing here needs them: a command
 * that goes beyond them is done whole, since a client that does not know of them would take a part
 * for everything (the specification lets a server enforce a higher limit than it announces, or
 * none). Only an APPEND of more messages is refused, as a whole. Its search keys are in
 * search_compile.c. */
#include <inttypes.h>

#include "imap/commands.h"

bool messagelimit_append(struct task *t)
{
    const struct imap_settings *set = &t->session->host->settings;
    uint64_t limit = set->message_limit ? set->message_limit : set->save_limit;
    if (t->command->append.n <= limit)
        return true;
    autobuf code = BUF_INIT(64);
    buf_printf(&code, "MESSAGELIMIT %" PRIu64, limit);
    task_no(t, code.p, "Too many messages in one APPEND; nothing was added");
    return false;
}
