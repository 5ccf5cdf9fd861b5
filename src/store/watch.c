#include "store/remote_int.h"
#include "store/store_int.h"

/* --- who watches what --- */

bool watches_any(const struct account *a, uint32_t mailbox)
{
    const struct watch *w;
    list_each(w, &a->watches, link)
    {
        if (w->mailbox == mailbox)
            return true;
    }
    return leases_watch(a, mailbox);
}

/* The MODSEQ that every session on the mailbox has told its client; UINT64_MAX without sessions. */
static uint64_t lowest_view(const struct account *a, uint32_t mailbox)
{
    uint64_t lowest = leases_lowest(a, mailbox);
    const struct watch *w;
    list_each(w, &a->watches, link)
    {
        if (w->mailbox == mailbox)
            lowest = MIN(lowest, w->view_modseq);
    }
    return lowest;
}

/* A callback may add, remove and free any watch: each is taken off the walk before it is called,
 * and those added meanwhile are not part of it. */
void watches_notify(struct account *a, const struct ranges *mailboxes, const struct events *events)
{
    struct list walk;
    struct watch *w;
    if (mailboxes->n == 0 || list_empty(&a->watches))
        return;
    list_init(&walk);
    list_insert_between(&walk, a->watches.prev, &a->watches);
    list_remove(&a->watches);
    while ((w = list_first(&walk, struct watch, link))) {
        list_remove(&w->link);
        list_push_back(&a->watches, &w->link);
        if (w->events) {
            if (events_count(events) || events->overflow)
                w->events(w, events);
        } else if (w->mailbox == 0 || ranges_has(mailboxes, w->mailbox))
            w->changed(w);
    }
}

/* --- ghosts --- */

static size_t ghost_count(const struct account *a)
{
    return a->ghosts.n / sizeof(struct ghost_mailbox);
}

static struct ghost_mailbox *ghost_at(const struct account *a, size_t i)
{
    return (struct ghost_mailbox *)(void *)a->ghosts.p + i;
}

static struct ghost_mailbox *ghost_find(const struct account *a, uint32_t mailbox)
{
    for (size_t i = 0; i < ghost_count(a); i++)
        if (ghost_at(a, i)->mailbox == mailbox)
            return ghost_at(a, i);
    return NULL;
}

void ghosts_note(struct account *a, uint32_t mailbox, uint64_t modseq)
{
    struct ghost_mailbox *g = ghost_find(a, mailbox);
    if (g) {
        g->newest = modseq;
        return;
    }
    buf_put(&a->ghosts, &(struct ghost_mailbox){mailbox, modseq, 0}, sizeof(*g));
}

int ghosts_sweep(struct account *a, struct index_txn *txn)
{
    a->purge_wanted = false;
    for (size_t i = 0; i < ghost_count(a); i++) {
        struct ghost_mailbox *g = ghost_at(a, i);
        uint64_t view = lowest_view(a, g->mailbox);
        if (view <= g->purged)
            continue;
        int error = ghosts_purge(txn, g->mailbox, view, NULL);
        if (error)
            return error;
        g->purged = view;
    }
    return 0;
}

void ghosts_swept(struct account *a)
{
    for (size_t i = ghost_count(a); i-- > 0;) {
        struct ghost_mailbox *g = ghost_at(a, i);
        if (g->purged < g->newest)
            continue;
        *g = *ghost_at(a, ghost_count(a) - 1);
        buf_truncate(&a->ghosts, a->ghosts.n - sizeof(*g));
    }
}

void ghosts_unswept(struct account *a)
{
    for (size_t i = 0; i < ghost_count(a); i++)
        ghost_at(a, i)->purged = 0;
}

/* A view of the mailbox rose or went away. When the last ghost is free the writer is woken for it;
 * a few of many wait for its next batch. */
static void view_moved(struct account *a, uint32_t mailbox)
{
    struct ghost_mailbox *g = ghost_find(a, mailbox);
    if (a->remote)
        remote_views_moved(a);
    if (!g)
        return;
    uint64_t view = lowest_view(a, mailbox);
    if (view <= g->purged)
        return;
    a->purge_wanted = true;
    if (view >= g->newest)
        writer_kick(a);
}

void views_moved(struct account *a, uint32_t mailbox)
{
    if (mailbox)
        view_moved(a, mailbox);
    else
        for (size_t i = 0; i < ghost_count(a); i++)
            view_moved(a, ghost_at(a, i)->mailbox);
}

/* --- the interface --- */

void watch_add(struct watch *w, struct account *account, uint32_t mailbox, uint64_t view_modseq,
               void (*changed)(struct watch *w))
{
    *w = (struct watch){
        .account = account, .mailbox = mailbox, .view_modseq = view_modseq, .changed = changed};
    list_init(&w->link);
    list_push_back(&account->watches, &w->link);
    if (account->remote)
        remote_views_moved(account);
}

void watch_events(struct watch *w, void (*events)(struct watch *w, const struct events *events))
{
    invariant(w->account && w->mailbox == 0 && !w->events);
    w->events = events;
    w->account->event_watches++;
    if (w->account->remote)
        remote_views_moved(w->account);
}

void watch_set_view(struct watch *w, uint64_t view_modseq)
{
    if (view_modseq <= w->view_modseq)
        return;
    w->view_modseq = view_modseq;
    view_moved(w->account, w->mailbox);
}

void watch_remove(struct watch *w)
{
    if (!w->account)
        return;
    struct account *a = w->account;
    list_remove(&w->link);
    if (w->events)
        a->event_watches--;
    w->account = NULL;
    view_moved(a, w->mailbox);
}
