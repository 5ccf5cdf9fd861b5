#include "daemon/mail/vouchers.h"

struct voucher {
    uint64_t id, until_ms;
    struct voucher_claim *claim; /* that waits; else: */
    uint64_t session;
    char *user;
};

static struct voucher *find(struct vouchers *v, uint64_t id)
{
    return map_get(&v->map, map_u64_key(&id));
}

static struct voucher *add(struct vouchers *v, uint64_t id, uint64_t now_ms)
{
    struct voucher *w = xnew(struct voucher);
    w->id = id;
    w->until_ms = now_ms + VOUCHER_MS;
    map_put(&v->map, map_u64_key(&w->id), w);
    v->count++;
    return w;
}

static void forget(struct vouchers *v, struct voucher *w)
{
    map_remove(&v->map, map_u64_key(&w->id));
    v->count--;
    free(w->user);
    free(w);
}

void vouchers_add(struct vouchers *v, uint64_t id, uint64_t session, struct span user,
                  uint64_t now_ms)
{
    struct voucher *w = find(v, id);
    if (w && w->claim) {
        struct voucher_claim *c = w->claim;
        forget(v, w);
        c->answer(c, c->session == session && span_eq(c->user, user));
        return;
    }
    if (w || v->count >= VOUCHERS_MAX)
        return;
    w = add(v, id, now_ms);
    w->session = session;
    w->user = span_dup(user);
}

void vouchers_claim(struct vouchers *v, struct voucher_claim *c, uint64_t now_ms)
{
    struct voucher *w = find(v, c->id);
    if (!w && v->count < VOUCHERS_MAX) {
        add(v, c->id, now_ms)->claim = c;
        return;
    }
    bool right = w && !w->claim && w->session == c->session && span_eq(c->user, span_str(w->user));
    if (right)
        forget(v, w);
    c->answer(c, right);
}

static void expire(struct vouchers *v, uint64_t now_ms)
{
    struct voucher_claim *claims = NULL, *c; /* answered when the map is at rest */
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&v->map, &pos, &key, &value)) {
        struct voucher *w = value;
        if (w->until_ms > now_ms)
            continue;
        if (w->claim) {
            w->claim->next = claims;
            claims = w->claim;
        }
        forget(v, w);
    }
    while ((c = claims)) {
        claims = c->next;
        c->answer(c, false);
    }
}

void vouchers_expire(struct vouchers *v, uint64_t now_ms)
{
    expire(v, now_ms);
}

void vouchers_done(struct vouchers *v)
{
    expire(v, UINT64_MAX);
    map_done(&v->map);
}
