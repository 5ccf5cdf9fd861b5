/* The mailbox that a word from outside means, such as the detail of an address. */
#include "base/err.h"
#include "message/casemap.h"
#include "store/names.h"
#include "store/snapshot.h"

/* The hierarchy delimiter cannot stand in every address. */
static bool eq_delimited(struct span name, struct span word)
{
    bool eq = name.n == word.n;
    for (size_t i = 0; i < name.n && eq; i++)
        eq = name.p[i] == word.p[i] || (name.p[i] == '/' && word.p[i] == '.');
    return eq;
}

static unsigned rank(struct span name, struct span word, struct span folded_word)
{
    autobuf folded = BUF_INIT(BUF_UNLIMITED);
    if (span_eq(name, word))
        return 4;
    if (eq_delimited(name, word))
        return 3;
    casemap(name, &folded);
    if (span_eq(buf_span(&folded), folded_word))
        return 2;
    return eq_delimited(buf_span(&folded), folded_word) ? 1 : 0;
}

int snap_mailbox_like(struct snap *snap, struct span word, struct buf *ret)
{
    autobuf name = BUF_INIT(BUF_UNLIMITED), folded = BUF_INIT(BUF_UNLIMITED);
    struct mailbox_name entry = {.name = SPAN("")};
    unsigned best = 0;
    if (mailbox_name_normalise(&name, word))
        return ERR_NOT_FOUND;
    casemap(buf_span(&name), &folded);
    int rc = 0;
    while (best < 4 && (rc = snap_name_seek(snap, entry.name, true, &entry)) == 0) {
        unsigned r = entry.id ? rank(entry.name, buf_span(&name), buf_span(&folded)) : 0;
        if (r <= best)
            continue;
        best = r;
        buf_reset(ret);
        buf_put_span(ret, entry.name);
    }
    if (best)
        return 0;
    return rc;
}
