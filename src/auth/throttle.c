#include "auth/throttle.h"

#include "base/buf.h"

struct entry {
    unsigned failures;
    uint64_t last_ms;
};

void throttle_init(struct throttle *t, uint64_t base_ms, uint64_t max_ms)
{
    *t = (struct throttle){.entries = MAP_INIT, .base_ms = base_ms, .max_ms = max_ms};
}

static void forget_all(struct throttle *t)
{
    size_t pos = 0;
    struct span key;
    void *value;
    while (map_next(&t->entries, &pos, &key, &value))
        free(value);
    map_done(&t->entries);
    t->entries = (struct map)MAP_INIT;
}

void throttle_done(struct throttle *t)
{
    forget_all(t);
}

static void make_key(struct buf *key, char kind, struct span what)
{
    buf_put_byte(key, kind);
    buf_put_span(key, what);
}

static unsigned count(struct throttle *t, char kind, struct span what, uint64_t now_ms)
{
    autobuf key = BUF_INIT(1024);
    make_key(&key, kind, what);
    struct entry *e = map_get(&t->entries, buf_span(&key));
    if (!e) {
        if (t->entries.count >= THROTTLE_ENTRIES_MAX)
            forget_all(t);
        e = xnew(struct entry);
        map_put(&t->entries, buf_span(&key), e);
    }
    if (now_ms - e->last_ms > THROTTLE_FORGET_MS)
        e->failures = 0;
    e->last_ms = now_ms;
    return ++e->failures;
}

uint64_t throttle_failed(struct throttle *t, struct span user, struct span address, uint64_t now_ms)
{
    unsigned by_user = count(t, 'u', user, now_ms), by_address = count(t, 'a', address, now_ms);
    unsigned n = MAX(by_user, by_address);
    uint64_t delay = t->base_ms;
    while (--n && delay < t->max_ms)
        delay *= 2;
    return MIN(delay, t->max_ms);
}

static void forget(struct throttle *t, char kind, struct span what)
{
    autobuf key = BUF_INIT(1024);
    make_key(&key, kind, what);
    free(map_remove(&t->entries, buf_span(&key)));
}

void throttle_succeeded(struct throttle *t, struct span user, struct span address)
{
    forget(t, 'u', user);
    forget(t, 'a', address);
}
