/* IMAP URLs: whatever comes must not crash, and what parses keeps its promises. */
#include "base/utf8.h"
#include "wire/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    autoarena a = ARENA_INIT(64 << 10);
    struct span in = span_make(data, n);
    struct imap_url u;
    const char *why = NULL;
    int rc = imap_url_parse(in, NULL, &a, &u, &why);
    if (rc) {
        invariant((rc == ERR_INVALID || rc == ERR_LIMIT) && why && *why);
        return 0;
    }
    invariant(u.uid != 0 && n <= URL_MAX);
    invariant(u.has_mailbox || !u.absolute);
    invariant(utf8_valid(u.mailbox) && utf8_valid(u.user) && utf8_valid(u.access_user));
    invariant((u.access == URL_ACCESS_NONE) == (u.rump.n == 0));
    invariant(u.mechanism.n == 0 || (u.token.n >= 32 && span_starts(in, u.rump)));
    invariant(!u.section.has_partial || u.section.length > 0);
    return 0;
}
