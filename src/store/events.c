#include "store/events.h"

#include "store/names.h"
#include "store/ops.h"
#include "store/rights.h"

enum { EVENTS_BYTES = 1 << 20 };

void events_init(struct events *e)
{
    arena_init(&e->arena, EVENTS_BYTES);
    buf_init(&e->list, BUF_UNLIMITED);
    e->overflow = false;
}

void events_done(struct events *e)
{
    arena_done(&e->arena);
    buf_done(&e->list);
}

static struct event *event_at(const struct events *e, size_t i)
{
    return (struct event *)(void *)e->list.p + i;
}

const struct event *events_at(const struct events *e, size_t i)
{
    return event_at(e, i);
}

/* A batch of deliveries to one mailbox is one event; few mailboxes change at a time. */
static bool join(struct events *e, const struct event *event)
{
    enum { LOOK_BACK = 8 };
    size_t n = events_count(e);
    for (size_t i = n; i-- > 0 && n - i <= LOOK_BACK;) {
        struct event *x = event_at(e, i);
        if (x->mailbox == event->mailbox && x->origin == event->origin &&
            (x->kinds & EVENT_OF_MESSAGES)) {
            x->kinds |= event->kinds;
            return true;
        }
    }
    return false;
}

void events_add(struct events *e, const struct event *event)
{
    struct event copy = *event;
    if ((event->kinds & EVENT_OF_MESSAGES) && join(e, event))
        return;
    if (event->name.n)
        copy.name = arena_copy(&e->arena, event->name);
    if (event->old_name.n)
        copy.old_name = arena_copy(&e->arena, event->old_name);
    if (e->arena.spent || events_count(e) >= EVENTS_MAX)
        e->overflow = true;
    else
        buf_put(&e->list, &copy, sizeof(copy));
}

/* RFC 5465 section 5.4: inferiors that are renamed with their superior are no events. They come
 * after it. */
static bool goes_along(const struct events *e, size_t first, struct span old_name)
{
    for (size_t i = first; i < events_count(e); i++) {
        const struct event *x = events_at(e, i);
        if (x->kinds == EVENT_RENAMED && mailbox_name_is_inferior(old_name, x->old_name))
            return true;
    }
    return false;
}

/* Of a mailbox that is there before the operation. */
static int note_mailbox(struct events *e, struct snap *snap, size_t first, struct event event,
                        struct span new_name)
{
    struct mailbox_info info;
    int rc = snap_mailbox(snap, event.mailbox, &info);
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    event.name = info.name;
    if (event.kinds == EVENT_RENAMED) {
        if (goes_along(e, first, info.name))
            return 0;
        event.old_name = info.name;
        event.name = new_name;
    }
    events_add(e, &event);
    return 0;
}

/* An entry of an access control list that gives or takes the right l. */
static int note_acl(struct events *e, struct snap *snap, const struct op_acl *op, uint64_t origin)
{
    struct acl_entry entry = {.identifier = SPAN_EMPTY};
    struct mailbox_info info;
    uint32_t before = 0;
    int rc = snap_mailbox(snap, op->mailbox, &info);
    while (rc == 0 && (rc = snap_acl(snap, op->mailbox, entry.identifier, &entry)) == 0)
        if (span_eq(entry.identifier, op->identifier))
            before = entry.rights;
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    bool negative = op->identifier.n && op->identifier.p[0] == '-';
    bool had = before & RIGHT_LOOKUP, has = op->rights & RIGHT_LOOKUP;
    if (had == has)
        return 0;
    struct event event = {.mailbox = op->mailbox,
                          .kinds = has != negative ? EVENT_GRANTED : EVENT_REVOKED,
                          .origin = origin,
                          .name = info.name,
                          .old_name = op->identifier};
    events_add(e, &event);
    return 0;
}

static int note(struct events *e, struct snap *snap, size_t first, const struct op *op,
                uint64_t origin)
{
    struct event event = {.origin = origin};
    switch ((int)op->kind) {
    case OP_APPEND:
    case OP_IMPORT:
        event.mailbox = op->append.mailbox;
        event.kinds = EVENT_NEW;
        break;
    case OP_COPY:
        event.mailbox = op->copy.target;
        event.kinds = EVENT_NEW;
        break;
    case OP_EXPUNGE:
        event.mailbox = op->expunge.mailbox;
        event.kinds = EVENT_EXPUNGE;
        break;
    case OP_FLAGS:
        event.mailbox = op->flags.mailbox;
        event.kinds = EVENT_FLAGS;
        break;
    case OP_SEEN:
        event.mailbox = op->seen.mailbox;
        event.kinds = EVENT_FLAGS;
        break;
    case OP_MAILBOX_CREATE:
        event.mailbox = op->mailbox_create.mailbox;
        event.kinds = EVENT_CREATED;
        event.name = op->mailbox_create.name;
        break;
    case OP_MAILBOX_DELETE:
        event.mailbox = op->mailbox_delete.mailbox;
        event.kinds = EVENT_DELETED;
        return note_mailbox(e, snap, first, event, SPAN_EMPTY);
    case OP_MAILBOX_RENAME:
        event.mailbox = op->mailbox_rename.mailbox;
        event.kinds = EVENT_RENAMED;
        return note_mailbox(e, snap, first, event, op->mailbox_rename.name);
    case OP_SUBSCRIBE:
        event.kinds = EVENT_SUBSCRIPTION;
        event.name = op->subscribe.name;
        break;
    case OP_ACL:
        return note_acl(e, snap, &op->acl, origin);
    case OP_METADATA:
        event.mailbox = op->metadata.mailbox;
        event.kinds = EVENT_METADATA;
        event.name = op->metadata.name;
        event.old_name = op->metadata.owner;
        break;
    default:
        return 0;
    }
    events_add(e, &event);
    return 0;
}

int events_note(struct events *e, struct snap *snap, struct span ops, uint64_t origin)
{
    struct op_reader r;
    struct op op;
    struct err err = {0};
    size_t first = events_count(e);
    int rc;
    op_reader_init(&r, ops);
    while ((rc = op_next(&r, &op, &err)) == 0 && (rc = note(e, snap, first, &op, origin)) == 0)
        ;
    op_reader_done(&r);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}
