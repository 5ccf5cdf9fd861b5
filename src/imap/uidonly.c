/* imap/uidonly.c: UIDONLY (RFC 9586): a client that wants no message numbers, in neither direction.
 *
 * Which commands it may not use is decided here, as they start; how it is told of messages, in
 * put_message_start, with which every response about one begins. Its expunges are VANISHED, as with
 * QRESYNC (announce.c). */
#include "imap/commands.h"
#include "wire/write.h"

/* "$" is the result of an earlier search: no numbers were sent. */
static bool search_has_numbers(const struct cmd_search *a)
{
    for (uint32_t i = 0; i < a->n_nodes; i++)
        if (a->nodes[i].key == KEY_SEQ && !a->nodes[i].set.saved)
            return true;
    return false;
}

bool uidonly_refuses(const struct command *c)
{
    switch (c->id) {
    case CMD_EXPUNGE:
        return false; /* names no messages, or UIDs */
    case CMD_SELECT:
    case CMD_EXAMINE:
        return c->select.match_seqs.n > 0; /* section 3.4 */
    case CMD_CONVERT:                      /* its answers, RFC 5259, have message numbers */
        return true;
    case CMD_SEARCH:
    case CMD_SORT:
    case CMD_THREAD:
        return !c->uid || search_has_numbers(&c->search);
    case CMD_ESEARCH:
        return search_has_numbers(&c->search);
    default:
        return (c->desc->forms & CMD_UID) && !c->uid;
    }
}

enum step uidonly_refused(struct task *t)
{
    return task_bad_code(t, "UIDREQUIRED", "Message numbers are not used after ENABLE UIDONLY");
}

char *format_message_start(char *to, struct session *s, const struct shown *m)
{
    memcpy(to, "* ", 2);
    to = format_u32(to + 2, s->uidonly ? m->row.uid : m->seq);
    if (s->uidonly) {
        memcpy(to, " UIDFETCH (", 11);
        return to + 11;
    }
    memcpy(to, " FETCH (", 8);
    return to + 8;
}

void put_message_start(struct session *s, struct buf *b, const struct shown *m)
{
    char *start = buf_reserve(b, MESSAGE_START_MAX);
    buf_commit(b, (size_t)(format_message_start(start, s, m) - start));
}
