/* store/events.h: what a commit did, for sessions that want to hear of it (RFC 5465).
 *
 * A watch of the whole account may ask for events besides "something changed" (watch_events). They
 * are derived from the operations of the frames, in one place, and only while somebody asks: a
 * change costs what it changed, however many mailboxes the account has. Those of messages say which
 * mailbox and what kind, no more; who wants to know the state looks it up.
 *
 * Ownership: an event's spans lie in its struct events. Limits: EVENTS_MAX a commit; beyond that
 * `overflow` is set and the rest is not listed. One loop thread. */
#ifndef STORE_EVENTS_H
#define STORE_EVENTS_H

#include "base/arena.h"
#include "store/snapshot.h"

enum event_kind {
    EVENT_NEW = 1 << 0, /* of messages: may be together in one event */
    EVENT_EXPUNGE = 1 << 1,
    EVENT_FLAGS = 1 << 2,
    EVENT_CREATED = 1 << 3, /* of mailboxes, with name */
    EVENT_DELETED = 1 << 4,
    EVENT_RENAMED = 1 << 5, /* with old_name; not for the inferiors that went with it */
    EVENT_SUBSCRIPTION = 1 << 6,
    EVENT_METADATA =
        1 << 7, /* of an entry, which is the name; old_name is its owner, empty: shared */
    EVENT_GRANTED = 1 << 8, /* the right l to a mailbox, with its name; old_name is to whom */
    EVENT_REVOKED = 1 << 9,
    EVENT_OF_RIGHTS = EVENT_GRANTED | EVENT_REVOKED,
    EVENT_OF_MESSAGES = EVENT_NEW | EVENT_EXPUNGE | EVENT_FLAGS,
    EVENT_OF_NAMES = EVENT_CREATED | EVENT_DELETED | EVENT_RENAMED,
};

enum { EVENTS_MAX = 2000 };

struct event {
    uint32_t mailbox;           /* 0: a name without a mailbox, or the account */
    uint32_t kinds;             /* EVENT_ */
    uint64_t origin;            /* request.origin of who did it; 0: nobody knows */
    struct span name, old_name; /* as far as the kind has them */
};

struct events {
    struct arena arena;
    struct buf list; /* struct event */
    bool overflow;
};

void events_init(struct events *e);
void events_done(struct events *e);
static inline size_t events_count(const struct events *e)
{
    return e->list.n / sizeof(struct event);
}
const struct event *events_at(const struct events *e, size_t i);
/* Copies the names. Events of messages are joined with an earlier one of the same mailbox and
 * origin. */
void events_add(struct events *e, const struct event *event);
/* The operations of a frame that is about to be applied to what snap shows. */
int events_note(struct events *e, struct snap *snap, struct span ops, uint64_t origin) must_check;

#endif
