#include "imap/place.h"

#include "base/clock.h"
#include "imap/commands.h"
#include "imap/shares.h"

enum { FOREIGN_MAX = 64, FORGET_FAILURE_MS = 1000 };

/* The account of somebody else, as a session uses it. */
struct foreign {
    struct list link;        /* session.foreign */
    struct session *session; /* NULL: it has ended, while the account was being opened */
    char *user;
    enum { FOREIGN_OPENING, FOREIGN_OPEN, FOREIGN_FAILED } state;
    int error;
    uint64_t failed_us;
    struct account *account;
};

static void foreign_free(struct foreign *f)
{
    list_remove(&f->link);
    account_unref(f->account);
    free(f->user);
    free(f);
}

void places_wake(struct session *s)
{
    struct task *t;
    if (s->closing)
        return;
    list_each(t, &s->tasks, link)
    {
        if (t->awaits_place) {
            t->awaits_place = false;
            task_wake(t);
        }
    }
    if (s->reading && s->reading->appending && s->reading->awaits_place)
        append_ask_again(s);
}

static void on_opened(void *arg, int error, struct account *account)
{
    struct foreign *f = arg;
    f->state = error ? FOREIGN_FAILED : FOREIGN_OPEN;
    f->error = error;
    f->failed_us = clock_monotonic_us();
    f->account = account;
    if (!f->session)
        foreign_free(f);
    else
        places_wake(f->session);
}

static struct foreign *foreign_find(struct session *s, struct span user)
{
    struct foreign *f;
    list_each(f, &s->foreign, link) if (span_eq(span_str(f->user), user)) return f;
    return NULL;
}

static struct foreign *foreign_open(struct session *s, struct span user)
{
    struct foreign *f = xnew(struct foreign);
    f->session = s;
    f->user = span_dup(user);
    list_push_back(&s->foreign, &f->link);
    s->foreign_count++;
    s->host->account_of(s->host->account_ctx, user, on_opened, f);
    return f;
}

static int foreign_of(struct task *t, struct span user, struct account **ret)
{
    struct session *s = t->session;
    struct foreign *f = foreign_find(s, user);
    if (f && f->state == FOREIGN_FAILED &&
        clock_monotonic_us() - f->failed_us > FORGET_FAILURE_MS * 1000) {
        foreign_free(f);
        s->foreign_count--;
        f = NULL;
    }
    if (!f && s->foreign_count == FOREIGN_MAX)
        places_settle(s);
    if (!f)
        f = s->foreign_count < FOREIGN_MAX ? foreign_open(s, user) : NULL;
    if (!f)
        return ERR_LIMIT;
    if (f->state == FOREIGN_OPENING) {
        t->awaits_place = true;
        return ERR_AGAIN;
    }
    if (f->state == FOREIGN_OPEN)
        *ret = f->account;
    return f->error;
}

void places_settle(struct session *s)
{
    struct foreign *f, *next;
    list_each_safe(f, next, &s->foreign, link)
    {
        if (f->state == FOREIGN_OPENING || (s->view && s->view->account == f->account))
            continue;
        s->foreign_count--;
        foreign_free(f);
    }
}

void places_done(struct session *s)
{
    struct foreign *f, *next;
    list_each_safe(f, next, &s->foreign, link)
    {
        if (f->state == FOREIGN_OPENING) {
            list_remove(&f->link);
            f->session = NULL;
        } else {
            foreign_free(f);
        }
    }
}

/* --- names --- */

/* "Other Users/mary/box": mary, and box. */
static bool split_other(struct span name, struct span *ret_user, struct span *ret_rest)
{
    struct span rest = span_skip(name, strlen(PLACE_OTHERS));
    size_t at = span_find_byte(rest, MAILBOX_DELIMITER);
    *ret_user = at == SPAN_NPOS ? rest : span_head(rest, at);
    *ret_rest = at == SPAN_NPOS ? SPAN_EMPTY : span_skip(rest, at + 1);
    return ret_user->n > 0;
}

static bool names_shared(const struct session *s, struct span name)
{
    return s->host->public_user && *s->host->public_user && span_starts(name, SPAN(PLACE_SHARED));
}

int place_of(struct task *t, struct span name, struct place *ret)
{
    struct session *s = t->session;
    struct span user = SPAN_EMPTY, rest = name;
    *ret = (struct place){s->account, name, span_str(s->user), SPAN_EMPTY, true};
    if (!s->host->account_of)
        return 0;
    if (names_shared(s, name)) {
        user = span_str(s->host->public_user);
        rest = span_skip(name, strlen(PLACE_SHARED));
    } else if (span_starts(name, SPAN(PLACE_OTHERS))) {
        if (!split_other(name, &user, &rest))
            return ERR_NOT_FOUND;
    } else {
        return 0;
    }
    if (!rest.n) /* what only holds others: there is no such mailbox */
        return ERR_NOT_FOUND;
    ret->prefix = span_head(name, name.n - rest.n);
    ret->name = rest;
    if (span_ieq(rest, SPAN("INBOX")))
        ret->name = SPAN("INBOX");
    if (span_eq(user, span_str(s->user)))
        return 0;
    ret->own = false;
    ret->user = arena_copy(&t->arena, user);
    if (t->arena.spent)
        return ERR_LIMIT;
    ret->account = NULL;
    uint64_t now = clock_monotonic_us();
    int rc = shares_know(t, now > SHARES_FRESH_US ? now - SHARES_FRESH_US : 0);
    return rc ? rc : foreign_of(t, user, &ret->account);
}

bool task_place(struct task *t, struct span given, bool target, struct place *ret,
                enum step *ret_step)
{
    struct span name;
    *ret_step = STEP_DONE;
    if (!task_mailbox_name(t, given, &name))
        return false;
    int rc = place_of(t, name, ret);
    if (rc == ERR_AGAIN)
        *ret_step = STEP_WAIT;
    else if (rc)
        *ret_step = task_store_failed(t, rc == ERR_BUSY ? ERR_CLOSED : rc, target);
    return rc == 0;
}

void place_put_prefix(struct session *s, const struct account *account, struct buf *to)
{
    const struct foreign *f;
    list_each(f, &s->foreign, link)
    {
        if (f->account != account || account == s->account)
            continue;
        if (s->host->public_user && strcmp(f->user, s->host->public_user) == 0) {
            buf_put_lit(to, PLACE_SHARED);
        } else {
            buf_put_lit(to, PLACE_OTHERS);
            buf_put_str(to, f->user);
            buf_put_byte(to, MAILBOX_DELIMITER);
        }
        return;
    }
}

/* --- rights --- */

int place_rights(struct session *s, struct snap *snap, const struct place *place, uint32_t mailbox,
                 uint32_t *ret)
{
    struct identity who = {.user = span_str(s->user), .groups = buf_span(&s->groups)};
    *ret = RIGHTS_ALL;
    return place->own ? 0 : snap_rights(snap, mailbox, &who, ret);
}

int place_mailbox(struct session *s, struct snap *snap, const struct place *place, uint32_t needs,
                  struct mailbox_info *ret, uint32_t *ret_rights)
{
    uint32_t rights = 0;
    int rc = snap_mailbox_find(snap, place->name, ret);
    if (rc == 0)
        rc = place_rights(s, snap, place, ret->id, &rights);
    if (rc)
        return rc;
    if (!(rights & RIGHT_LOOKUP))
        return ERR_NOT_FOUND;
    if (ret_rights)
        *ret_rights = rights;
    return (rights & needs) == needs ? 0 : ERR_DENIED;
}

int place_may_create(struct session *s, struct snap *snap, const struct place *place)
{
    struct mailbox_info info;
    if (place->own)
        return 0;
    for (struct span name = place->name;;) {
        size_t at = name.n;
        while (at > 0 && name.p[at - 1] != MAILBOX_DELIMITER)
            at--;
        if (at == 0)
            return ERR_DENIED;
        name = span_head(name, at - 1);
        struct place above = *place;
        above.name = name;
        int rc = snap_mailbox_find(snap, name, &info);
        if (rc != ERR_NOT_FOUND)
            return rc ? rc : place_mailbox(s, snap, &above, RIGHT_CREATE, &info, NULL);
    }
}

uint16_t rights_flags(uint32_t rights)
{
    return (uint16_t)((rights & RIGHT_SEEN ? FLAG_SEEN : 0) |
                      (rights & RIGHT_DELETE_MESSAGES ? FLAG_DELETED : 0) |
                      (rights & RIGHT_WRITE ? FLAG_ANSWERED | FLAG_FLAGGED | FLAG_DRAFT : 0));
}

enum step task_no_permission(struct task *t)
{
    return task_no(t, "NOPERM", "You do not have the right to do that");
}
