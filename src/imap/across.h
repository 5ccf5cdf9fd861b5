/* imap/across.h: COPY and MOVE into another account's mailbox.
 *
 * The bytes are copied, a slice at a time, into uploads of the other account, and appended there in
 * one request: all messages or none, with flags, keywords and internal dates. Memory is bounded:
 * what is small stays in it up to ACROSS_MEMORY_MAX, large messages are spooled, ACROSS_LARGE_MAX
 * at most. More than that at once: COPY is refused (NO [LIMIT], nothing is copied), MOVE goes in
 * parts, each of which is moved or not. How a move survives a death is in store/transfer.h. */
#ifndef IMAP_ACROSS_H
#define IMAP_ACROSS_H

#include "imap/session_int.h"

enum { ACROSS_MEMORY_MAX = 12 << 20, ACROSS_LARGE_MAX = 256, ACROSS_MESSAGES_MAX = 10000 };

struct across_target {
    struct account *account;
    struct span user; /* whose account it is */
    struct span name; /* of the mailbox, in that account */
    uint16_t flags;   /* system flags that this user may set there */
    bool keywords;    /* and whether keywords */
};

/* A step of cmd_copy or cmd_move: t->request.uids are the messages of the selected mailbox. What
 * `to` points to must live as long as the task. Afterwards t->step-like calls go to across_step. */
enum step across_begin(struct task *t, const struct across_target *to, bool move);
bool across_under_way(const struct task *t); /* across_begin has been called */
enum step across_step(struct task *t);

#endif
