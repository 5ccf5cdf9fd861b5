/* Login processes that take each other's place (children.h). */
#include "base/logline.h"
#include "daemon/supervisor/children_int.h"

static bool same_slot(const struct child *a, const struct child *b)
{
    return a != b && a->role == ROLE_LOGIN && b->role == ROLE_LOGIN && a->index == b->index;
}

static struct child *serving(struct children *all, unsigned slot)
{
    struct child *c;
    list_each(c, &all->list, link)
    {
        if (c->role == ROLE_LOGIN && c->index == slot && c->phase == PHASE_SERVING)
            return c;
    }
    return NULL;
}

/* The bound login.connections is the slot's: the one that accepts has to know about the others. */
static void tell_share(struct children *all, unsigned slot)
{
    struct child *current = serving(all, slot), *c;
    struct message m = {.kind = MESSAGE_SHARE};
    if (!current)
        return;
    list_each(c, &all->list, link)
    {
        if (same_slot(current, c) && c->phase != PHASE_SERVING)
            m.u.load.connections += c->connections;
    }
    child_tell(current, &m);
}

static void end(struct child *c, const char *why)
{
    struct message m = {.kind = MESSAGE_SHUTDOWN};
    c->phase = PHASE_ENDING;
    child_log(LOG_WARNING, "generation-ended", c, why);
    child_tell(c, &m);
}

static void bound_retired(struct children *all, unsigned slot)
{
    for (;;) {
        struct child *c, *least = NULL;
        size_t retired = 0;
        list_each(c, &all->list, link)
        {
            if (c->role != ROLE_LOGIN || c->index != slot || c->phase != PHASE_RETIRED)
                continue;
            retired++;
            if (!least || c->sessions < least->sessions)
                least = c;
        }
        if (retired <= all->conf->login_generations)
            return;
        end(least, "more than login.generations of them; its clients have to connect again");
    }
}

static void retire(struct child *c)
{
    struct message m = {.kind = MESSAGE_RETIRE};
    c->phase = PHASE_RETIRED;
    child_tell(c, &m);
}

void generations_on_ready(struct child *c)
{
    struct children *all = c->all;
    struct child *old;
    if (c->phase != PHASE_SERVING)
        return;
    list_each(old, &all->list, link) if (same_slot(c, old) && old->phase == PHASE_LEAVING)
        retire(old);
    bound_retired(all, c->index);
    tell_share(all, c->index);
}

void generations_on_full(struct child *c, const struct message *m)
{
    struct children *all = c->all;
    c->connections = m->u.load.connections;
    c->sessions = m->u.load.sessions;
    if (all->stopping) {
        c->quiet = m->u.load.handshakes == 0;
        children_check_quiet(all);
    } else if (c->phase == PHASE_SERVING) {
        c->phase = PHASE_LEAVING;
        child_launch(child_new(all, ROLE_LOGIN, c->index, c->generation + 1));
    } else {
        tell_share(all, c->index);
    }
}

void generations_on_death(struct child *c)
{
    struct children *all = c->all;
    unsigned slot = c->index;
    bool login = c->role == ROLE_LOGIN;
    child_free(c);
    if (login && !all->stopping)
        tell_share(all, slot);
}

void generations_resize(struct children *all)
{
    unsigned wanted = children_process_count(all->conf->login_processes);
    struct child *c, *next;
    for (unsigned i = 0; i < wanted; i++)
        if (!serving(all, i))
            child_launch(child_new(all, ROLE_LOGIN, i, 0));
    list_each_safe(c, next, &all->list, link)
    {
        if (c->role != ROLE_LOGIN || c->index < wanted || c->phase == PHASE_ENDING)
            continue;
        loop_timer_cancel(&c->restart);
        if (!c->pid)
            child_free(c);
        else if (c->phase != PHASE_RETIRED)
            retire(c);
    }
    for (unsigned i = 0; i < wanted; i++)
        bound_retired(all, i);
}
