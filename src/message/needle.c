/* One compiled search key. */
#include "message/casemap.h"
#include "message/charset.h"
#include "message/textmatch_int.h"

struct needle *needle_new(struct span key)
{
    struct needle *n = xnew(struct needle);
    buf_init(&n->mapped, BUF_UNLIMITED);
    casemap(key, &n->mapped);
    for (size_t i = 0; i < key.n; i++) {
        n->has_name_sign |= key.p[i] != '\0' && strchr(" <>,\"", key.p[i]);
        n->has_address_sign |= key.p[i] == '@' || key.p[i] == '.';
    }
    if (n->mapped.n > 0) {
        n->ascii = ascii_prefix(buf_span(&n->mapped)) == n->mapped.n;
        n->exact = scan_key_make(n->mapped.p, n->mapped.n, false);
        n->fold = scan_key_make(n->mapped.p, n->mapped.n, true);
    }
    return n;
}

struct needle *needle_new_fuzzy(struct span key)
{
    struct needle *n = needle_new(key);
    n->fuzzy = fuzzy_key_new(key);
    return n;
}

void needle_free(struct needle *n)
{
    if (!n)
        return;
    buf_done(&n->mapped);
    fuzzy_key_free(n->fuzzy);
    free(n);
}

bool needle_is_empty(const struct needle *n)
{
    return n->mapped.n == 0;
}

bool needle_find_mapped(const struct needle *n, struct span mapped)
{
    return scan_find(&n->exact, mapped);
}

bool needle_find_ascii(const struct needle *n, struct span ascii)
{
    return n->ascii && scan_find(&n->fold, ascii);
}

bool needle_in_text(const struct needle *n, struct span utf8, struct buf *scratch)
{
    if (needle_is_empty(n))
        return true;
    if (ascii_prefix(utf8) == utf8.n)
        return needle_find_ascii(n, utf8);
    size_t max = scratch->max;
    scratch->max = BUF_UNLIMITED;
    buf_reset(scratch);
    casemap(utf8, scratch);
    bool found = needle_find_mapped(n, buf_span(scratch));
    scratch->max = max;
    return found;
}

static bool is_in_header(const struct needle *n, struct span raw, struct buf *scratch)
{
    if (needle_is_empty(n))
        return true;
    raw = span_trim(raw);
    bool words = span_find(raw, SPAN("=?")) != SPAN_NPOS;
    bool folded = span_find_byte(raw, '\n') != SPAN_NPOS;
    if (!words && !folded && ascii_prefix(raw) == raw.n)
        return needle_find_ascii(n, raw);
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    header_decode(raw, &text);
    return needle_in_text(n, buf_span(&text), scratch);
}

unsigned needle_score_in_header(const struct needle *n, struct span raw, struct buf *scratch)
{
    if (is_in_header(n, raw, scratch))
        return 100;
    if (!n->fuzzy)
        return 0;
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    header_decode(raw, &text);
    return fuzzy_score(n->fuzzy, buf_span(&text));
}

bool needle_in_header(const struct needle *n, struct span raw, struct buf *scratch)
{
    return needle_score_in_header(n, raw, scratch) > 0;
}

/* Whether the plain form of the addresses can hold the key although the value as it stands does
 * not: the match would have to span something that the plain form leaves out. */
static bool may_differ(const struct needle *n, struct span raw)
{
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];
        bool space_near = (i > 0 && (unsigned char)raw.p[i - 1] <= ' ') ||
                          (i + 1 < raw.n && (unsigned char)raw.p[i + 1] <= ' ');
        if (c == '\\' || (c == '"' && n->has_name_sign))
            return true;
        if ((c == '(' || ((c == '@' || c == '.') && space_near)) &&
            (n->has_name_sign || n->has_address_sign))
            return true;
    }
    return false;
}

bool needle_in_addresses(const struct needle *n, struct span raw, struct buf *scratch)
{
    if (needle_in_header(n, raw, scratch))
        return true;
    if (!may_differ(n, raw))
        return false;
    autobuf plain = BUF_INIT(BUF_UNLIMITED);
    struct address_iter it;
    struct address a;
    address_iter_init(&it, raw);
    while (address_next(&it, &a)) {
        if (plain.n > 0)
            buf_put_lit(&plain, ", ");
        buf_put_span(&plain, a.name);
        buf_put_str(&plain, a.has_name ? " <" : "");
        buf_put_span(&plain, a.mailbox);
        buf_put_str(&plain, a.host.n > 0 ? "@" : "");
        buf_put_span(&plain, a.host);
        buf_put_str(&plain, a.has_name ? ">" : "");
    }
    address_iter_done(&it);
    return needle_in_header(n, buf_span(&plain), scratch);
}
