/* store/request.h: asking the account's writer for a change.
 *
 * A session never writes. It fills a request (plain data), submits it, and `done` is called on the
 * account's loop when the change is durable, applied and visible to new snapshots, or has certainly
 * not happened. Requests of one account take effect in the order of submission, each atomically;
 * those that wait at the same moment share one sync. (An APPEND of large uploads takes its turn
 * when these have become durable on their own; nobody waits for it.) `done` is never called from
 * within account_submit.
 *
 * The requester owns the request and all it points to, and keeps them unchanged until `done`.
 * Strings are UTF-8. Results are in `result`; its ranges are released with request_result_done.
 *
 * result.error: 0; ERR_NOT_FOUND (mailbox missing: TRYCREATE or NONEXISTENT), ERR_EXISTS,
 * ERR_LIMIT, ERR_INVALID (impossible name or request), ERR_NO_SPACE, ERR_QUOTA (a quota root would
 * exceed a limit), ERR_BUSY (APPEND: what it shall replace is not there any more), ERR_DENIED
 * (INBOX cannot be deleted ...), ERR_UNKNOWN (a sync failed: nobody knows whether it took effect;
 * the session must disconnect without a tagged answer), ERR_CLOSED. */
#ifndef STORE_REQUEST_H
#define STORE_REQUEST_H

#include "store/types.h"
#include "store/upload.h"

enum request_kind {
    REQUEST_APPEND,    /* one or several messages, all or none (RFC 3502); with uids, these are
                          expunged from `mailbox` in the same frame (RFC 8508) */
    REQUEST_STORE,     /* flags */
    REQUEST_EXPUNGE,   /* messages with \Deleted, within uids */
    REQUEST_COPY,      /* to mailbox `target`; all or none */
    REQUEST_MOVE,      /* the same, and expunge at the source, in one frame (RFC 6851) */
    REQUEST_CREATE,    /* with missing superiors (RFC 9051 section 6.3.4) */
    REQUEST_DELETE,    /* messages go; inferiors stay (ERR_BUSY never; see request.name) */
    REQUEST_RENAME,    /* with inferiors; INBOX moves its messages (section 6.3.6) */
    REQUEST_SUBSCRIBE, /* also names that do not exist */
    REQUEST_UNSUBSCRIBE,
    REQUEST_SPECIAL_USE, /* set a mailbox's special uses */
    REQUEST_METADATA,    /* all of `entries`, or none; of mailbox `name` (empty: of the account) */
    REQUEST_QUOTA,       /* limits of the quota root `name` (empty: the account's own) */
    REQUEST_QUOTA_ROOT, /* mailbox `name` with its inferiors goes to quota root `new_name`, which is
                           made if it is missing (empty: the account's own); a root without
                           mailboxes goes */
    REQUEST_DERIVED,    /* keep a recomputed derived record; touches the index only, no log */
    /* A move to another account (store/transfer.h), in three steps: at the source; an APPEND with
     * transfer_id at the destination; at the source. */
    REQUEST_TRANSFER_BEGIN,  /* uids of mailbox are about to go to the mailbox new_name of the user
                                `name`: remembered until END */
    REQUEST_TRANSFER_END,    /* transfer_done: they have arrived, and are expunged here */
    REQUEST_TRANSFER_SETTLE, /* at the destination: result.duplicate if they have arrived; if not
                                they never will, an APPEND is refused from now on */
    REQUEST_URL_KEY,         /* the key of URLAUTH for the mailbox object_id: made if there is none
                                (STORE_ADD) or in any case (STORE_REPLACE); NULL: all are void */
    REQUEST_ACL,             /* rights of `identifier` to the mailbox `name`: mode */
    REQUEST_KIND_COUNT
};

#define QUOTA_KEEP (UINT64_MAX - 2) /* the limit that there is */

enum store_mode { STORE_ADD, STORE_REMOVE, STORE_REPLACE };

/* What SETMETADATA asks for. */
struct metadata_change {
    struct span owner, name, value; /* as in struct metadata_entry */
    bool remove;
};

struct append_message {
    struct upload *upload; /* finished; consumed on success, still the caller's otherwise */
    uint16_t flags;
    const struct span *keywords;
    size_t keyword_count;
    struct internal_date internal_date;
};

struct request_result {
    int error;
    bool duplicate;   /* APPEND: done before; nothing changed, the uploads are still the caller's */
    uint64_t modseq;  /* of the change; 0 if nothing changed */
    uint32_t mailbox; /* APPEND, COPY, MOVE: target's id; CREATE, RENAME: the new mailbox */
    uint32_t uidvalidity; /* of that mailbox */
    uint32_t first_uid;   /* APPEND, COPY, MOVE: the first of `count` consecutive new UIDs */
    uint32_t count;
    struct ranges uids; /* STORE: changed; EXPUNGE: expunged; COPY, MOVE: source UIDs, ascending, in
                           the order of the new UIDs; APPEND: replaced */
    struct ranges missing;  /* STORE, COPY, MOVE: asked for, but not live any more */
    struct ranges modified; /* STORE: failed unchanged_since (RFC 7162) */
    struct ranges raced; /* STORE: those of `uids` whose row had a modseq > view_modseq before this
                            change: somebody else's change that the session has not seen yet */
};

struct request {
    enum request_kind kind;
    void (*done)(struct request *r);
    void *arg; /* the requester's */

    uint64_t origin;  /* who asks, so that he can tell his own changes from others' (events.h) */
    uint32_t mailbox; /* source mailbox id, where the request works on one */
    struct span name; /* CREATE, DELETE, RENAME (from), SUBSCRIBE...; also target of APPEND, COPY
                         and MOVE, resolved by the writer at its turn */
    struct span new_name; /* RENAME */
    uint32_t special_use;

    struct append_message *messages;
    size_t message_count;
    /* APPEND: at most once. If a request with the same id (16 bytes) took effect within the window,
     * it has been done: result.duplicate. NULL: as often as it is asked. */
    const unsigned char *delivery_id;
    uint32_t delivery_window; /* seconds */

    struct ranges uids; /* STORE, EXPUNGE (empty: all), COPY, MOVE; APPEND (what it replaces) */
    enum store_mode mode;
    uint16_t flags; /* STORE */
    uint16_t keep;  /* STORE_REPLACE: these stay as they are, with keep_keywords keywords too */
    bool keep_keywords;
    const struct span *keywords;
    size_t keyword_count;
    uint64_t unchanged_since; /* STORE: UINT64_MAX for none */
    uint64_t view_modseq;     /* STORE: what the session has taken note of; see result.raced */

    const unsigned char *transfer_id; /* 16 bytes; TRANSFER_*, and APPEND as a part of one */
    bool transfer_done;
    const struct metadata_change *entries; /* METADATA */
    size_t entry_count;
    uint32_t entries_max;             /* of one owner: more are ERR_LIMIT */
    bool sets_special_use;            /* special_use changes, too */
    uint64_t limits[QUOTA_RESOURCES]; /* QUOTA: numbers, QUOTA_NONE, QUOTA_DEFAULT, QUOTA_KEEP */

    const unsigned char *object_id; /* 16 bytes; URL_KEY */

    struct span seen_user; /* who asks, if he is not the owner: \Seen is his. Empty: the owner */

    struct span identifier; /* ACL */
    uint32_t rights;        /* ACL: enum right */

    uint64_t message_id; /* DERIVED */
    struct span derived;

    uint32_t progress; /* while it is out: messages that were looked at */
    struct request_result result;
    struct request *next; /* the writer's queue */
};

void request_init(struct request *r, enum request_kind kind, void (*done)(struct request *),
                  void *arg);
void request_result_done(struct request *r);

#endif
