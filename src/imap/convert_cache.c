#include "imap/convert_cache.h"

#include <stdlib.h>

struct converted {
    struct converted *next; /* used longer ago */
    struct account_id account;
    uint64_t message_id, offset;
    struct buf charset, replacement, text;
    bool replaces;
};

static bool is_key(const struct converted *c, const struct convert_key *key)
{
    if (c->message_id != key->message_id || c->offset != key->offset ||
        memcmp(&c->account, &key->account, sizeof(c->account)) != 0 ||
        !span_ieq(buf_span(&c->charset), key->charset))
        return false;
    if (!key->replacement.p)
        return !c->replaces;
    return c->replaces && span_eq(buf_span(&c->replacement), key->replacement);
}

static void converted_free(struct converted *c)
{
    buf_done(&c->charset);
    buf_done(&c->replacement);
    buf_done(&c->text);
    free(c);
}

bool convert_cache_get(struct imap_host *host, const struct convert_key *key, struct buf *out)
{
    for (struct converted **at = &host->converted; *at; at = &(*at)->next) {
        struct converted *c = *at;
        if (!is_key(c, key))
            continue;
        *at = c->next;
        c->next = host->converted;
        host->converted = c;
        buf_put_span(out, buf_span(&c->text));
        return true;
    }
    return false;
}

/* Those that are too many, or too much. */
static void shrink(struct imap_host *host)
{
    size_t n = 0, octets = 0;
    for (struct converted **at = &host->converted; *at;) {
        struct converted *c = *at;
        if (++n <= CONVERT_CACHE_TEXTS && octets + c->text.n <= CONVERT_CACHE_OCTETS) {
            octets += c->text.n;
            at = &c->next;
            continue;
        }
        *at = c->next;
        converted_free(c);
    }
}

void convert_cache_put(struct imap_host *host, const struct convert_key *key, struct span text)
{
    struct converted *c = xnew(struct converted);
    *c = (struct converted){.next = host->converted,
                            .account = key->account,
                            .message_id = key->message_id,
                            .offset = key->offset,
                            .charset = BUF_INIT(BUF_UNLIMITED),
                            .replacement = BUF_INIT(BUF_UNLIMITED),
                            .text = BUF_INIT(BUF_UNLIMITED),
                            .replaces = key->replacement.p != NULL};
    buf_put_span(&c->charset, key->charset);
    buf_put_span(&c->replacement, key->replacement);
    buf_put_span(&c->text, text);
    host->converted = c;
    shrink(host);
}
