/* wire/parse_append.c: APPEND (RFC 9051 6.3.12) with several messages (RFC 3502), REPLACE (RFC
 * 8508), both with CATENATE (RFC 4469) and UTF8 (RFC 6855). */
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

/* What literals of a command have been counted, and whether its text ends among them. */
struct literals {
    unsigned streamed;
    bool incomplete;
};

static int parse_bytes(struct parse *p, struct literals *seen, struct append_bytes *ret)
{
    struct literal lit;
    int rc = parse_literal(p, "the message", true, &lit);
    if (rc)
        return rc;
    *ret = (struct append_bytes){.streamed = lit.streamed,
                                 .binary = lit.binary,
                                 .size = lit.size,
                                 .data = lit.data,
                                 .index = seen->streamed};
    seen->streamed += lit.streamed;
    p->after = "the message";
    return 0;
}

/* ")" behind a literal. There is nothing yet while that literal is only being asked about. */
static int parse_close(struct parse *p, const struct append_bytes *last, struct literals *seen)
{
    if (last->streamed && parse_at_end(p)) {
        seen->incomplete = true;
        return 0;
    }
    return parse_byte(p, ')', "\")\"");
}

/* "(" literal8 ")", behind "UTF8 " */
static int parse_utf8(struct parse *p, struct literals *seen, struct append_bytes *ret)
{
    int rc = parse_byte(p, '(', "\"(\"");
    if (rc == 0 && !parse_looking_at(p, '~'))
        rc = parse_expected(p, "a literal8");
    if (rc == 0)
        rc = parse_bytes(p, seen, ret);
    ret->utf8 = true;
    return rc ? rc : parse_close(p, ret, seen);
}

static bool take_word(struct parse *p, const char *word)
{
    struct span s = span_str(word);
    if (!span_istarts(span_make(p->p, (size_t)(p->end - p->p)), s))
        return false;
    p->p += s.n;
    return true;
}

static int parse_piece(struct parse *p, struct literals *seen, struct append_piece *ret)
{
    if (take_word(p, "URL ")) {
        p->after = "URL";
        ret->is_url = true;
        int rc = parse_astring(p, "a URL", &ret->url);
        p->after = "the URL";
        return rc;
    }
    if (take_word(p, "UTF8 "))
        return parse_utf8(p, seen, &ret->text);
    if (!take_word(p, "TEXT "))
        return parse_expected(p, "TEXT, URL or UTF8");
    p->after = "TEXT";
    if (!parse_looking_at(p, '{') && !parse_looking_at(p, '~'))
        return parse_expected(p, "a literal");
    return parse_bytes(p, seen, &ret->text);
}

/* RFC 4469 section 5, behind "CATENATE (" */
static int parse_catenate(struct parse *p, struct literals *seen, struct append_part *m)
{
    struct grow pieces = GROW(struct append_piece, p->limits->max_messages, "parts");
    struct append_piece *last;
    m->catenate = true;
    p->after = "CATENATE";
    do {
        last = grow_add(p, &pieces);
        if (!last)
            return ERR_LIMIT;
        int rc = parse_piece(p, seen, last);
        if (rc)
            return rc;
    } while (!seen->incomplete && parse_take(p, ' '));
    m->pieces = pieces.items;
    m->n_pieces = pieces.n;
    return seen->incomplete ? 0 : parse_close(p, &last->text, seen);
}

static int parse_data(struct parse *p, struct literals *seen, struct append_part *m)
{
    if (take_word(p, "CATENATE ("))
        return parse_catenate(p, seen, m);
    if (take_word(p, "UTF8 "))
        return parse_utf8(p, seen, &m->bytes);
    if (!parse_looking_at(p, '{') && !parse_looking_at(p, '~'))
        return parse_expected(p, "flags, a date or a literal");
    return parse_bytes(p, seen, &m->bytes);
}

/* [flag-list SP] [date-time SP] append-data */
static int parse_message(struct parse *p, struct literals *seen, struct append_part *m)
{
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
    return rc ? rc : parse_data(p, seen, m);
}

static int parse_target(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_mailbox(p, &c->append.name);
    if (rc)
        return rc;
    p->after = "the mailbox name";
    return parse_sp(p, "flags, a date or a literal");
}

int parse_append(struct parse *p, struct command *c)
{
    struct grow messages = GROW(struct append_part, p->limits->max_messages, "messages");
    struct literals seen = {0};
    int rc = parse_target(p, c);
    if (rc)
        return rc;
    do {
        if (messages.n && parse_at_trailing(p))
            break;
        struct append_part *m = grow_add(p, &messages);
        if (!m)
            return ERR_LIMIT;
        rc = parse_message(p, &seen, m);
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    c->append.messages = messages.items;
    c->append.n = messages.n;
    c->append.incomplete = seen.incomplete;
    return 0;
}

/* RFC 8508 section 5: seq-number SP mailbox append-message */
int parse_replace(struct parse *p, struct command *c)
{
    struct append_part *m = arena_new(p->a, struct append_part);
    struct seqset *set = &c->append.replaced;
    struct literals seen = {0};
    if (!m)
        return parse_spent(p);
    int rc = parse_sp(p, "a message number");
    if (rc == 0)
        rc = parse_set(p, set);
    if (rc)
        return rc;
    bool one = set->n == 1 && set->r[0].lo == set->r[0].hi && !set->star;
    bool last = set->n == 0 && set->star == UINT32_MAX;
    if ((!one && !last) || set->saved)
        return parse_fail(p, ERR_INVALID, "REPLACE takes the number of one message");
    p->after = "the message number";
    rc = parse_target(p, c);
    if (rc == 0)
        rc = parse_message(p, &seen, m);
    c->append.messages = m;
    c->append.n = 1;
    c->append.incomplete = seen.incomplete;
    return rc;
}

int append_part_parse(struct span part, const struct parse_limits *limits, struct arena *a,
                      struct append_part *ret, struct parse_error *ret_error)
{
    struct append_part m = {0};
    struct literals seen = {0};
    struct parse p = {part.p,    part.p + part.n, a,       limits ? limits : &parse_limits_default,
                      ret_error, "the message",   "APPEND"};
    ret_error->tag = SPAN_EMPTY;
    ret_error->id = CMD_APPEND;
    ret_error->reason[0] = '\0';
    int rc = parse_sp(&p, "flags, a date or a literal");
    if (rc == 0)
        rc = parse_message(&p, &seen, &m);
    if (rc == 0)
        rc = parse_end(&p);
    if (rc == 0)
        *ret = m;
    return rc;
}
