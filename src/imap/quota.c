/* imap/quota.c: QUOTA (RFC 9208).
 *
 * The account's own quota root has the name of its user; others are called as the administrator
 * did. Roots of another one's account have the prefix of its namespace ("Other Users/mary"): who
 * may read a mailbox there is told of its root by GETQUOTAROOT, and by nothing else (RFC 9208
 * section 8). Nobody but an administrator, who logged in as himself and acts for the user
 * (auth.masters), may set limits. */
#include "imap/quota.h"

#include "imap/commands.h"
#include "imap/list.h"
#include "imap/place.h"
#include "store/quota.h"
#include "wire/write.h"

static const struct {
    const char *name;
    uint64_t unit;
} resources[QUOTA_RESOURCES] = {
    [QUOTA_STORAGE] = {"STORAGE", 1024},
    [QUOTA_MESSAGE] = {"MESSAGE", 1},
    [QUOTA_MAILBOX] = {"MAILBOX", 1},
    [QUOTA_ANNOTATION] = {"ANNOTATION-STORAGE", 1024},
};

static uint64_t in_units(uint64_t n, uint64_t unit)
{
    return n / unit + (n % unit != 0);
}

/* prefix: "Other Users/mary/", or empty. */
static void put_root_name(struct session *s, struct buf *b, struct span prefix, struct span name)
{
    autobuf full = BUF_INIT(BUF_UNLIMITED);
    if (prefix.n == 0 && name.n == 0)
        name = span_str(s->user);
    buf_put_span(&full, name.n ? prefix : span_head(prefix, prefix.n - 1));
    buf_put_span(&full, name);
    write_astring(b, buf_span(&full), session_utf8(s));
}

static void put_quota(struct session *s, struct buf *b, struct span prefix,
                      const struct quota_use *q)
{
    struct write_list list = {false};
    buf_put_lit(b, "* QUOTA ");
    put_root_name(s, b, prefix, q->name);
    buf_put_byte(b, ' ');
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        uint64_t unit = resources[i].unit;
        if (q->limit[i] == QUOTA_NONE)
            continue;
        write_list_item(b, &list);
        buf_printf(b, "%s %llu %llu", resources[i].name,
                   (unsigned long long)in_units(q->used[i], unit),
                   (unsigned long long)in_units(q->limit[i], unit));
    }
    write_list_end(b, &list);
    buf_put_lit(b, "\r\n");
}

/* A root as clients call it. */
static int find_root(struct session *s, struct snap *snap, struct span name, struct quota_use *ret)
{
    if (span_eq(name, span_str(s->user)))
        return snap_quota(snap, s->account, 0, ret);
    return name.n ? snap_quota_find(snap, s->account, name, ret) : ERR_NOT_FOUND;
}

static enum step no_root(struct task *t)
{
    return task_no(t, "NONEXISTENT", "There is no such quota root");
}

/* The answer of GETQUOTA, and of SETQUOTA once it has been done. */
static enum step show_root(struct task *t, const char *text)
{
    struct session *s = t->session;
    autosnap *snap = NULL;
    struct quota_use q;
    int rc = snap_begin(s->account, &snap);
    if (rc == 0)
        rc = find_root(s, snap, t->command->quota.root, &q);
    if (rc)
        return rc == ERR_NOT_FOUND ? no_root(t) : task_store_failed(t, rc, false);
    put_quota(s, respond_begin(s), SPAN_EMPTY, &q);
    respond_end(s);
    return task_ok(t, NULL, text);
}

enum step cmd_getquota(struct task *t)
{
    return show_root(t, "GETQUOTA completed");
}

enum step cmd_getquotaroot(struct task *t)
{
    struct session *s = t->session;
    autosnap *snap = NULL;
    struct mailbox_info info;
    struct quota_use q;
    struct place place;
    enum step step;
    if (!task_place(t, t->command->mailbox.name, false, &place, &step))
        return step;
    int rc = snap_begin(place.account, &snap);
    if (rc == 0)
        rc = place_mailbox(s, snap, &place, RIGHT_READ, &info, NULL);
    if (rc == ERR_DENIED)
        return task_no_permission(t);
    if (rc == 0)
        rc = snap_quota(snap, place.account, info.quota_root, &q);
    if (rc)
        return task_store_failed(t, rc, false);
    struct buf *b = respond_begin(s);
    buf_put_lit(b, "* QUOTAROOT ");
    put_mailbox_name(s, b, place.prefix, place.name);
    buf_put_byte(b, ' ');
    put_root_name(s, b, place.prefix, q.name);
    buf_put_lit(b, "\r\n");
    put_quota(s, b, place.prefix, &q);
    respond_end(s);
    return task_ok(t, NULL, "GETQUOTAROOT completed");
}

/* Resources that are not named lose their limit (RFC 9208 section 4.1.3). False: answered. */
static bool take_limits(struct task *t)
{
    const struct cmd_quota *a = &t->command->quota;
    uint64_t *limits = t->request.limits;
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        limits[i] = QUOTA_NONE;
    for (unsigned k = 0; k < a->n; k++) {
        size_t i = 0;
        while (i < QUOTA_RESOURCES && !span_ieq(a->limits[k].resource, span_str(resources[i].name)))
            i++;
        if (i == QUOTA_RESOURCES)
            task_no(t, "CANNOT", "That resource cannot be limited here");
        else if (mul_overflow(a->limits[k].limit, resources[i].unit, &limits[i]) ||
                 limits[i] > INDEX_NUMBER_MAX)
            task_no(t, "LIMIT", "That limit is larger than this server knows");
        else
            continue;
        return false;
    }
    return true;
}

enum step cmd_setquota(struct task *t)
{
    struct session *s = t->session;
    struct span root = t->command->quota.root;
    if (t->submitted) {
        int error = t->request.result.error;
        if (error == ERR_NOT_FOUND)
            return no_root(t);
        return error ? task_store_failed(t, error, false) : show_root(t, "SETQUOTA completed");
    }
    if (!s->login)
        return task_no(t, "NOPERM", "Only an administrator can set limits");
    request_init(&t->request, REQUEST_QUOTA, NULL, NULL);
    if (root.n == 0)
        return no_root(t);
    if (!span_eq(root, span_str(s->user)))
        t->request.name = root;
    return take_limits(t) ? task_request(t) : STEP_DONE;
}

bool quota_refuses(struct account *account, struct snap *snap, const struct mailbox_info *info,
                   uint64_t size)
{
    struct quota_use q;
    return snap_quota(snap, account, info->quota_root, &q) == 0 &&
           (quota_exceeds(&q, QUOTA_STORAGE, size) || quota_exceeds(&q, QUOTA_MESSAGE, 1));
}

/* Without multiplying what may be large. */
static bool nearly_used(const struct quota_use *q, enum quota_resource what, unsigned percent)
{
    if (q->limit[what] == QUOTA_NONE)
        return false;
    return q->used[what] / 100.0 >= (double)q->limit[what] / 10000.0 * percent;
}

void quota_announce(struct session *s, struct snap *snap, const struct mailbox_info *info)
{
    struct view *v = s->view;
    unsigned percent = s->host->settings.quota_warn_percent;
    struct quota_use q;
    if (percent == 0 || snap_quota(snap, v->account, info->quota_root, &q))
        return;
    bool over = nearly_used(&q, QUOTA_STORAGE, percent) || nearly_used(&q, QUOTA_MESSAGE, percent);
    if (over && !v->quota_warned)
        respond_text(s, "* NO [OVERQUOTA] More than %u%% of what this mailbox may hold is used",
                     percent);
    v->quota_warned = over;
}
