/* imap/notify_int.h: what the files of NOTIFY share. */
#ifndef IMAP_NOTIFY_INT_H
#define IMAP_NOTIFY_INT_H

#include "imap/commands.h"
#include "imap/place.h"

enum { NOTIFY_SOURCES_MAX = 32 };

/* SUBTREE and MAILBOXES, one name each. */
struct rule {
    uint32_t at, n; /* the name, in the text behind the rules */
    uint8_t events;
    bool subtree, none; /* none: nothing of these, whatever other rules say */
};

/* One block of memory: the rules, sorted by name, and their text. */
struct rules {
    size_t n;
    struct rule v[];
};

/* An account that is watched: the session's own, or one in which others share. */
struct source {
    struct list link; /* notify.sources; the own one is the first */
    struct notify *notify;
    struct watch watch; /* of the whole account */
    struct account *account;
    char *prefix;                /* "Other Users/mary/"; of the own account "" */
    struct ranges counts, flags; /* mailboxes with news of these kinds */
};

struct pending_name {
    struct list link;
    struct source *source;
    uint32_t event;   /* EVENT_ */
    uint32_t mailbox; /* EVENT_METADATA, where the name is the entry's; 0: of the server */
    uint16_t n, old_n;
    char text[]; /* name, old name */
};

struct notify {
    struct session *session;
    uint8_t selected, personal, subscribed; /* NOTIFY_ events */
    uint8_t any;                            /* all but those of the selected mailbox */
    bool delayed, overflow;
    struct rules *rules; /* NULL: none */
    char *fetch;         /* "(UID FLAGS)", or NULL */
    struct list sources; /* none: NOTIFY NONE */
    struct list names;   /* struct pending_name */
    size_t names_count;
};

static inline bool is_own(const struct source *from)
{
    return from->prefix[0] == '\0';
}

struct span notify_rule_name(const struct rules *r, const struct rule *rule);
/* snap is of the source's account; name within that. Subscriptions are the user's own. */
int notify_wanted(const struct source *from, struct snap *snap, struct span name,
                  uint32_t *ret) must_check;
int notify_rights(const struct source *from, struct snap *snap, uint32_t mailbox,
                  uint32_t *ret) must_check;
/* As if NOTIFY NONE had been said. */
void notify_become_none(struct notify *n);
/* The mailbox is the selected one. */
bool notify_source_selected(const struct source *from, uint32_t mailbox);
/* False: there are NOTIFY_SOURCES_MAX already. */
bool notify_source_add(struct notify *n, struct account *account, struct span prefix);
void notify_put_lost(struct session *s, const struct source *from, struct span name,
                     const char *attributes);

#endif
