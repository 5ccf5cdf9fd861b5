#include "store/names.h"

#include <utf8proc.h>

#include "base/err.h"

/* Net-Unicode (RFC 5198 section 2) allows line breaks only as CR LF and discourages all other
 * controls; in a name none of them makes sense. U+FEFF at the start would be an invisible
 * difference between two names. */
static bool codepoint_allowed(int32_t c, bool first)
{
    if (c < 0x20 || (c >= 0x7f && c <= 0x9f))
        return false;
    if (c == 0x2028 || c == 0x2029 || (first && c == 0xfeff))
        return false;
    return (c & 0xfffe) != 0xfffe && !(c >= 0xfdd0 && c <= 0xfdef);
}

static bool utf8_allowed(struct span s, bool *ret_ascii)
{
    bool ascii = true, first = true;
    while (s.n) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n =
            utf8proc_iterate((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &c);
        if (n <= 0 || !codepoint_allowed(c, first))
            return false;
        ascii = ascii && c < 0x80;
        first = false;
        s = span_skip(s, (size_t)n);
    }
    *ret_ascii = ascii;
    return true;
}

static int put_nfc(struct buf *to, struct span s)
{
    utf8proc_uint8_t *nfc = NULL;
    utf8proc_ssize_t n = utf8proc_map((const utf8proc_uint8_t *)s.p, (utf8proc_ssize_t)s.n, &nfc,
                                      UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    if (n < 0)
        return ERR_INVALID;
    buf_put(to, nfc, (size_t)n);
    free(nfc);
    return 0;
}

static int check_levels(struct span name)
{
    struct span rest = name, level;
    size_t levels = 0;
    while (span_split(&rest, MAILBOX_DELIMITER, &level)) {
        if (level.n == 0)
            return ERR_INVALID;
        levels++;
    }
    if (levels == 0 || span_ends(name, SPAN("/")))
        return ERR_INVALID;
    return levels > MAILBOX_LEVELS_MAX ? ERR_LIMIT : 0;
}

static void fold_inbox(struct buf *name)
{
    struct span s = buf_span(name);
    if (span_istarts(s, SPAN("INBOX")) && (s.n == 5 || s.p[5] == MAILBOX_DELIMITER))
        memcpy(name->p, "INBOX", 5);
}

int mailbox_name_normalise(struct buf *to, struct span given)
{
    buf_reset(to);
    if (span_ends(given, SPAN("/")))
        given.n--;
    /* NFC shrinks text by less than a factor of three; beyond that there is no need to try. */
    if (given.n > 3 * MAILBOX_NAME_MAX)
        return ERR_LIMIT;
    bool ascii;
    if (given.n == 0 || !utf8_allowed(given, &ascii))
        return ERR_INVALID;
    int r = 0;
    if (ascii)
        buf_put_span(to, given);
    else
        r = put_nfc(to, given);
    if (r == 0 && (to->n > MAILBOX_NAME_MAX || !buf_ok(to)))
        r = ERR_LIMIT;
    if (r == 0)
        r = check_levels(buf_span(to));
    if (r == 0)
        fold_inbox(to);
    return r;
}

struct span mailbox_name_superior(struct span name)
{
    for (size_t i = name.n; i > 0; i--)
        if (name.p[i - 1] == MAILBOX_DELIMITER)
            return span_head(name, i - 1);
    return SPAN_EMPTY;
}

bool mailbox_name_is_inferior(struct span name, struct span root)
{
    return name.n > root.n + 1 && name.p[root.n] == MAILBOX_DELIMITER && span_starts(name, root);
}

bool keyword_name_valid(struct span name)
{
    if (name.n == 0 || name.n > KEYWORD_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"\\]", c))
            return false;
    }
    return true;
}
