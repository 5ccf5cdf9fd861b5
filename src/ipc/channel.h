/* ipc/channel.h: a SOCK_SEQPACKET channel between two processes.
 *
 * Ownership: the channel owns its socket; channel_free, also from inside a callback, closes it.
 * Failure: whatever goes wrong (peer gone, malformed or forbidden message) is reported once through
 * `closed`, from the loop. Limits: packets of MESSAGE_MAX bytes; CHANNEL_QUEUE_MAX bytes wait at
 * most, then channel_send fails with ERR_LIMIT. One thread. */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "io/loop.h"
#include "ipc/messages.h"

enum { CHANNEL_QUEUE_MAX = 4 * 1024 * 1024 };

struct channel;

struct channel_ops {
    /* fd is -1 or belongs to the callee. Always within what the permit table allows. */
    void (*message)(void *owner, struct channel *ch, const struct message *m, int fd);
    /* No message comes any more; the owner calls channel_free. */
    void (*closed)(void *owner, struct channel *ch);
};

/* Takes fd. */
struct channel *channel_new(struct loop *l, int fd, enum role self, enum role peer,
                            const struct channel_ops *ops, void *owner);
void channel_free(struct channel *ch); /* NULL is allowed; what was not sent is dropped */

/* Takes fd (-1: none), also on failure. ERR_LIMIT: the queue is full or a field too long;
 * ERR_CLOSED. */
int channel_send(struct channel *ch, const struct message *m, int fd);

/* Blocks; for a process that is at its start or end, or a tool. ERR_CLOSED at the end, ERR_AGAIN
 * after timeout_ms. *ret points into scratch, which is reset. */
int channel_receive_blocking(int sock, enum role self, enum role peer, struct buf *scratch,
                             struct message *ret, int *ret_fd, int timeout_ms) must_check;
int channel_send_blocking(int sock, const struct message *m, int fd) must_check;

#endif
