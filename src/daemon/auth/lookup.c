/* Which user an address belongs to: directories know whole addresses and local parts, with and
 * without a detail. They block, so that workers ask them. */
#include "auth/precis.h"
#include "base/logline.h"
#include "daemon/auth/auth.h"

enum { TRIES_MAX = 4 };

struct lookups {
    struct auth *auth;
    struct channel *ch;
    struct list all; /* under way */
};

struct lookup {
    struct list link;
    struct lookups *of; /* NULL: nobody waits */
    uint64_t id;
    struct directories *directories;
    struct buf tries[TRIES_MAX]; /* in this order; empty ones are not asked for */
    struct buf detail;           /* that the second and the last one leave out */
    bool keep_case;
    bool any; /* the last one is known whoever it is */
    struct directory_entry entry;
    int error;
    size_t found; /* which of them */
    struct err why;
};

static struct span without_detail(const struct conf *c, struct span local)
{
    struct span mark = span_str(c->lmtp_detail_delimiter);
    size_t at = mark.n ? span_find(local, mark) : SPAN_NPOS;
    return at == SPAN_NPOS || at == 0 ? local : span_head(local, at);
}

static bool domain_is_ours(const struct conf *c, struct span domain)
{
    if (!c->lmtp_domains.count || !domain.n)
        return true;
    for (size_t i = 0; i < c->lmtp_domains.count; i++)
        if (span_ieq(domain, span_str(c->lmtp_domains.items[i])))
            return true;
    return false;
}

/* As names are known to directories. */
static void put_try(struct buf *to, const struct conf *c, struct span name)
{
    if (precis_username(name, c->auth_username_case == CONF_CASE_KEEP, to) < 0)
        buf_reset(to);
}

static void lookup_free(struct lookup *k)
{
    list_remove(&k->link);
    for (size_t i = 0; i < TRIES_MAX; i++)
        buf_done(&k->tries[i]);
    buf_done(&k->detail);
    directories_unref(k->directories);
    directory_entry_done(&k->entry);
    free(k);
}

static void look(void *arg)
{
    struct lookup *k = arg;
    k->error = ERR_NOT_FOUND;
    for (size_t i = 0; i < TRIES_MAX && k->error == ERR_NOT_FOUND; i++)
        if (k->tries[k->found = i].n)
            k->error = directories_find(k->directories, buf_span(&k->tries[i]), DIRECTORY_RECEIVE,
                                        &k->entry, &k->why);
}

static void on_looked(void *arg)
{
    struct lookup *k = arg;
    struct message r = {.kind = MESSAGE_USER_FOUND};
    if (k->error == ERR_NOT_FOUND && k->any) { /* for tests: everybody is known */
        buf_put_span(&k->entry.name, buf_span(&k->tries[TRIES_MAX - 1]));
        k->found = TRIES_MAX - 1;
        k->error = 0;
    }
    precis_adopt(&k->entry.name, k->keep_case);
    if (k->error == ERR_BUSY)
        log_event(LOG_WARNING, "lookup-failed", "reason", k->why.text, NULL);
    r.u.user_found.id = k->id;
    r.u.user_found.error = k->error;
    r.u.user_found.user = buf_span(&k->entry.name);
    if (k->error == 0 && (k->found == 1 || k->found == TRIES_MAX - 1))
        r.u.user_found.detail = buf_span(&k->detail);
    if (k->of)
        (void)channel_send(k->of->ch, &r, -1);
    lookup_free(k);
}

/* The whole address, the address without a detail, and if the domain is ours the local part, with
 * and without a detail. */
static void make_tries(struct lookup *k, const struct conf *c, struct span address)
{
    size_t at = address.n;
    while (at > 0 && address.p[at - 1] != '@')
        at--;
    struct span local = at ? span_head(address, at - 1) : address;
    struct span domain = at ? span_skip(address, at) : SPAN_EMPTY;
    struct span shorter = without_detail(c, local);
    bool ours = domain_is_ours(c, domain);
    if (shorter.n < local.n)
        buf_put_span(&k->detail, span_skip(local, shorter.n + strlen(c->lmtp_detail_delimiter)));
    put_try(&k->tries[0], c, address);
    if (domain.n && shorter.n < local.n) {
        autobuf whole = BUF_INIT(USER_NAME_MAX);
        buf_put_span(&whole, shorter);
        buf_put_byte(&whole, '@');
        buf_put_span(&whole, domain);
        put_try(&k->tries[1], c, buf_span(&whole));
    }
    if (ours && domain.n)
        put_try(&k->tries[2], c, local);
    if (ours)
        put_try(&k->tries[3], c, shorter);
    k->keep_case = c->auth_username_case == CONF_CASE_KEEP;
    k->any = *c->auth_any_user_password && k->tries[3].n;
}

void lookup_start(struct lookups *l, const struct message *m)
{
    struct lookup *k = xnew(struct lookup);
    struct auth *a = l->auth;
    k->of = l;
    k->id = m->u.user_lookup.id;
    for (size_t i = 0; i < TRIES_MAX; i++)
        buf_init(&k->tries[i], USER_NAME_MAX);
    buf_init(&k->detail, USER_NAME_MAX);
    directory_entry_init(&k->entry);
    list_push_back(&l->all, &k->link);
    make_tries(k, a->daemon->conf, m->u.user_lookup.name);
    k->directories = directories_ref(a->directories);
    loop_work(a->daemon->loop, look, on_looked, k);
}

struct lookups *lookups_new(struct auth *a, struct channel *ch)
{
    struct lookups *l = xnew(struct lookups);
    l->auth = a;
    l->ch = ch;
    list_init(&l->all);
    return l;
}

void lookups_free(struct lookups *l)
{
    struct lookup *k, *next;
    list_each_safe(k, next, &l->all, link)
    {
        k->of = NULL;
        list_remove(&k->link);
    }
    free(l);
}
