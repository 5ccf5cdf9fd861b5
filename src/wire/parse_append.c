/* wire/parse_append.c: APPEND (RFC 9051 6.3.12) with several messages (RFC 3502). */
#include "wire/date.h"
#include "wire/parse_int.h"

/* Behind the opening quote: date-time in quotes. */
static int parse_date_time(struct parse *p, struct append_part *m)
{
    struct span rest = span_make(p->p, (size_t)(p->end - p->p));
    size_t close = span_find_byte(rest, '"');
    struct span text = span_head(rest, close == SPAN_NPOS ? rest.n : close);
    if (close == SPAN_NPOS || date_time_parse(text, &m->date, &m->zone))
        return parse_fail(p, ERR_INVALID, "\"%s\" is not a date and time",
                          parse_excerpt(text).text);
    m->has_date = true;
    p->p += close + 1;
    return 0;
}

/* [flag-list SP] [date-time SP] literal. `index` counts the streamed literals so far. */
static int parse_message(struct parse *p, unsigned index, struct append_part *m)
{
    struct literal lit;
    int rc = 0;
    if (parse_looking_at(p, '(')) {
        rc = parse_flags(p, false, &m->flags);
        m->has_flags = true;
        p->after = "the flags";
        if (rc == 0)
            rc = parse_sp(p, "a literal");
    }
    if (rc == 0 && parse_take(p, '"')) {
        rc = parse_date_time(p, m);
        p->after = "the date";
        if (rc == 0)
            rc = parse_sp(p, "a literal");
    }
    if (rc == 0 && !parse_looking_at(p, '{') && !parse_looking_at(p, '~'))
        rc = parse_expected(p, "flags, a date or a literal");
    if (rc == 0)
        rc = parse_literal(p, "the message", true, &lit);
    if (rc)
        return rc;
    m->streamed = lit.streamed;
    m->binary = lit.binary;
    m->size = lit.size;
    m->data = lit.data;
    m->index = index;
    p->after = "the message";
    return 0;
}

int parse_append(struct parse *p, struct command *c)
{
    struct grow messages = GROW(struct append_part, p->limits->max_messages, "messages");
    unsigned streamed = 0;
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_mailbox(p, &c->append.name);
    if (rc)
        return rc;
    p->after = "the mailbox name";
    rc = parse_sp(p, "flags, a date or a literal");
    if (rc)
        return rc;
    do {
        if (messages.n && parse_at_trailing(p))
            break;
        struct append_part *m = grow_add(p, &messages);
        if (!m)
            return ERR_LIMIT;
        rc = parse_message(p, streamed, m);
        if (rc)
            return rc;
        streamed += m->streamed;
    } while (parse_take(p, ' '));
    c->append.messages = messages.items;
    c->append.n = messages.n;
    return 0;
}

int append_part_parse(struct span part, const struct parse_limits *limits, struct arena *a,
                      struct append_part *ret, struct parse_error *ret_error)
{
    struct append_part m = {0};
    struct parse p = {part.p,    part.p + part.n, a,       limits ? limits : &parse_limits_default,
                      ret_error, "the message",   "APPEND"};
    ret_error->tag = SPAN_EMPTY;
    ret_error->id = CMD_APPEND;
    ret_error->reason[0] = '\0';
    int rc = parse_sp(&p, "flags, a date or a literal");
    if (rc == 0)
        rc = parse_message(&p, 0, &m);
    if (rc == 0)
        rc = parse_end(&p);
    if (rc == 0)
        *ret = m;
    return rc;
}
