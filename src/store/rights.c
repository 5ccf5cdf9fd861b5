#include "store/rights.h"

static const char letters[] = "lrswipkxtea";

enum { OLD_DELETE = RIGHT_EXPUNGE | RIGHT_DELETE_MESSAGES | RIGHT_DELETE_MAILBOX };

bool rights_parse(struct span text, uint32_t *ret)
{
    uint32_t rights = 0;
    for (size_t i = 0; i < text.n; i++) {
        const char *at = text.p[i] ? strchr(letters, text.p[i]) : NULL;
        if (at)
            rights |= 1u << (at - letters);
        else if (text.p[i] == 'c')
            rights |= RIGHT_CREATE;
        else if (text.p[i] == 'd')
            rights |= OLD_DELETE;
        else
            return false;
    }
    *ret = rights;
    return true;
}

void rights_put(struct buf *b, uint32_t rights)
{
    for (size_t i = 0; letters[i]; i++)
        if (rights & 1u << i)
            buf_put_byte(b, letters[i]);
    if (rights & RIGHT_CREATE)
        buf_put_byte(b, 'c');
    if (rights & OLD_DELETE)
        buf_put_byte(b, 'd');
}

void rights_put_each(struct buf *b, uint32_t rights)
{
    for (size_t i = 0; letters[i]; i++) {
        if (!(rights & 1u << i))
            continue;
        buf_put_byte(b, ' ');
        buf_put_byte(b, letters[i]);
    }
}

bool identifier_good(struct span identifier)
{
    struct span name = span_starts(identifier, SPAN("-")) ? span_skip(identifier, 1) : identifier;
    if (name.n == 0 || identifier.n > IDENTIFIER_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < ' ' || name.p[i] == 0x7f)
            return false;
    return !span_eq(name, SPAN("group:"));
}

bool identity_is(const struct identity *who, struct span identifier)
{
    struct span groups = who->groups, group;
    if (span_eq(identifier, SPAN("anyone")) || span_eq(identifier, who->user))
        return true;
    if (!span_starts(identifier, SPAN("group:")))
        return false;
    identifier = span_skip(identifier, 6);
    while (span_split(&groups, '\n', &group))
        if (group.n && span_eq(group, identifier))
            return true;
    return false;
}

void rights_add(struct rights_sum *sum, const struct identity *who, struct span identifier,
                uint32_t rights)
{
    bool negative = span_starts(identifier, SPAN("-"));
    if (identity_is(who, negative ? span_skip(identifier, 1) : identifier))
        *(negative ? &sum->taken : &sum->given) |= rights;
}
