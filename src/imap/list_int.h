/* imap/list_int.h: what the files of LIST share. */
#ifndef IMAP_LIST_INT_H
#define IMAP_LIST_INT_H

#include "imap/commands.h"
#include "imap/list.h"
#include "wire/match.h"

struct shared_walk;

struct list_state {
    const struct cmd_list *args;
    struct pattern *patterns;
    size_t n_patterns;
    struct buf at; /* the name where the walk stands */
    bool started, lsub;
    bool own_done;    /* the session's own account has been walked */
    bool others_done; /* those of others have (list_shared.c) */
    struct shared_walk *shared;
    int failed;                 /* one of them could not be had now */
    const struct span *entries; /* of RETURN (METADATA ...), in lower case */
};

/* PATTERN_ bits. */
unsigned list_match(const struct list_state *st, struct span name);

/* A mailbox of another account that this user may see. */
struct list_found {
    struct span prefix;
    const struct mailbox_info *info;
    uint32_t rights;
    bool subscribed;
    bool no_children; /* RFC 5258 section 4: none that he may see */
};
/* Its line, and what RETURN asks for, if it is one of those that were asked for. */
int list_put_found(struct task *t, struct snap *snap, struct buf *b,
                   const struct list_found *found) must_check;

/* A name that stands there only for what is below it, if the command shows such names. */
void list_put_superior(struct task *t, struct buf *b, struct span name);

/* Only what is subscribed is listed. The subscriptions stand in the own account, those to others'
 * mailboxes too. */
static inline bool list_of_subscribed(const struct list_state *st)
{
    return st->lsub || (st->args->select & LIST_SELECT_SUBSCRIBED);
}
/* It is another's mailbox that is there, and has been listed as subscribed. */
bool list_was_shown(const struct list_state *st, struct span name);

/* The mailboxes of others. STEP_DONE: there are no more (or the command has ended). */
enum step list_shared(struct task *t);
void list_shared_done(struct list_state *st);

#endif
