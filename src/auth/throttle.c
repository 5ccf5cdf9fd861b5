#include "auth/throttle.h"

#include <arpa/inet.h>

#include "base/buf.h"

enum { KEY_MAX = 1024 };

struct entry {
    struct list link;
    uint64_t seen_ms; /* when the score was brought up to date, or the pair logged in */
    uint64_t next_ms; /* when the next attempt may be looked at */
    unsigned score;
    uint64_t wrong[THROTTLE_WRONG_KEPT]; /* hashes; 0: none. The latest first */
    struct span key;                     /* follows the struct */
};

enum kind { ACCOUNT = 'a', NETWORK = 'n', PAIR = 'p' };

void throttle_init(struct throttle *t, uint64_t base_ms, uint64_t max_ms)
{
    *t = (struct throttle){.entries = MAP_INIT, .base_ms = base_ms, .max_ms = max_ms};
    list_init(&t->used);
}

static void forget(struct throttle *t, struct entry *e)
{
    map_remove(&t->entries, e->key);
    list_remove(&e->link);
    free(e);
}

void throttle_done(struct throttle *t)
{
    struct entry *e, *next;
    list_each_safe(e, next, &t->used, link) forget(t, e);
    map_done(&t->entries);
}

/* The network of an address as text; what is no address ("unix") stands for itself. */
static void put_network(struct buf *out, struct span address)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char b[16];
    size_t zone = span_find_byte(address, '%');
    address = zone == SPAN_NPOS ? address : span_head(address, zone);
    if (address.n < sizeof(text) && address.n) {
        memcpy(text, address.p, address.n);
        text[address.n] = '\0';
        if (inet_pton(AF_INET, text, b) == 1) {
            buf_put(out, b, 3);
            return;
        }
        if (inet_pton(AF_INET6, text, b) == 1) {
            static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
            if (memcmp(b, mapped, sizeof(mapped)) == 0)
                buf_put(out, b + 12, 3);
            else
                buf_put(out, b, 8);
            return;
        }
    }
    buf_put_span(out, address);
}

static void make_key(struct buf *key, enum kind kind, struct span user, struct span address)
{
    buf_put_byte(key, (char)kind);
    if (kind != ACCOUNT)
        put_network(key, address);
    if (kind == PAIR)
        buf_put_byte(key, '\0');
    if (kind != NETWORK)
        buf_put_span(key, user);
}

static struct entry *find(struct throttle *t, enum kind kind, struct span user, struct span address)
{
    autobuf key = BUF_INIT(KEY_MAX);
    make_key(&key, kind, user, address);
    return map_get(&t->entries, buf_span(&key));
}

static struct entry *find_or_add(struct throttle *t, enum kind kind, struct span user,
                                 struct span address, uint64_t now_ms)
{
    autobuf key = BUF_INIT(KEY_MAX);
    make_key(&key, kind, user, address);
    struct entry *e = map_get(&t->entries, buf_span(&key));
    if (e) {
        list_remove(&e->link);
    } else {
        if (t->entries.count >= THROTTLE_ENTRIES_MAX)
            forget(t, list_entry(t->used.prev, struct entry, link));
        e = xcalloc(1, sizeof(*e) + key.n);
        memcpy(e + 1, key.p, key.n);
        e->key = span_make(e + 1, key.n);
        e->seen_ms = now_ms;
        map_put(&t->entries, e->key, e);
    }
    list_push_front(&t->used, &e->link);
    return e;
}

/* What the score is by now. */
static void wear_off(struct entry *e, uint64_t now_ms)
{
    uint64_t worn = (now_ms - e->seen_ms) / THROTTLE_WEAR_MS;
    e->score -= (unsigned)MIN(worn, e->score);
    e->seen_ms += worn * THROTTLE_WEAR_MS;
}

static uint64_t gap(const struct throttle *t, const struct entry *e, unsigned free_failures)
{
    uint64_t ms = t->base_ms;
    if (e->score < free_failures)
        return 0;
    for (unsigned i = free_failures; i < e->score && ms < t->max_ms; i++)
        ms *= 2;
    return MIN(ms, t->max_ms);
}

static bool trusted(struct throttle *t, struct span user, struct span address, uint64_t now_ms)
{
    const struct entry *e = find(t, PAIR, user, address);
    return e && now_ms - e->seen_ms < THROTTLE_TRUST_MS;
}

/* Until when an attempt must wait for this entry; takes the place if it is not too late. */
static uint64_t queue(struct throttle *t, struct entry *e, unsigned free_failures, uint64_t now_ms)
{
    if (!e)
        return now_ms;
    wear_off(e, now_ms);
    uint64_t between = gap(t, e, free_failures), due = MAX(e->next_ms, now_ms);
    if (between && due - now_ms <= THROTTLE_WAIT_MAX_MS)
        e->next_ms = due + between;
    return between ? due : now_ms;
}

uint64_t throttle_enter(struct throttle *t, struct span user, struct span address, uint64_t now_ms)
{
    if (trusted(t, user, address, now_ms))
        return 0;
    uint64_t a = queue(t, find(t, ACCOUNT, user, address), THROTTLE_FREE_ACCOUNT, now_ms);
    uint64_t n = queue(t, find(t, NETWORK, user, address), THROTTLE_FREE_NETWORK, now_ms);
    uint64_t wait = MAX(a, n) - now_ms;
    return wait > THROTTLE_WAIT_MAX_MS ? THROTTLE_REFUSE : wait;
}

static void count(struct throttle *t, struct entry *e, unsigned free_failures, uint64_t now_ms)
{
    wear_off(e, now_ms);
    if (!e->score)
        e->seen_ms = now_ms;
    if (e->score < 1000)
        e->score++;
    uint64_t between = gap(t, e, free_failures);
    if (between)
        e->next_ms = MAX(e->next_ms, now_ms + between);
}

/* True if it is one of the last wrong ones; else it is from now on. */
static bool repeated(struct entry *account, struct span secret)
{
    uint64_t hash = hash_bytes(secret);
    hash += !hash;
    for (size_t i = 0; i < THROTTLE_WRONG_KEPT; i++)
        if (account->wrong[i] == hash)
            return true;
    memmove(account->wrong + 1, account->wrong, sizeof(account->wrong) - sizeof(hash));
    account->wrong[0] = hash;
    return false;
}

bool throttle_failed(struct throttle *t, struct span user, struct span address, struct span secret,
                     uint64_t now_ms)
{
    struct entry *account = find_or_add(t, ACCOUNT, user, address, now_ms);
    if (secret.n && repeated(account, secret))
        return false;
    count(t, account, THROTTLE_FREE_ACCOUNT, now_ms);
    count(t, find_or_add(t, NETWORK, user, address, now_ms), THROTTLE_FREE_NETWORK, now_ms);
    return true;
}

void throttle_succeeded(struct throttle *t, struct span user, struct span address, uint64_t now_ms)
{
    struct entry *account = find(t, ACCOUNT, user, address);
    if (account)
        forget(t, account);
    /* The network keeps its score: an attacker may have an account of his own. */
    find_or_add(t, PAIR, user, address, now_ms)->seen_ms = now_ms;
}
