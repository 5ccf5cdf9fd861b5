/* wire/parse_metadata.c: GETMETADATA, SETMETADATA (RFC 5464 section 5), and entries in LIST (RFC
 * 9590). */
#include "wire/parse_int.h"

static int parse_entry(struct parse *p, struct span *ret)
{
    int rc = parse_astring(p, "an entry like /shared/comment", ret);
    p->after = "the entry";
    return rc;
}

/* Behind "(". */
int parse_metadata_entries(struct parse *p, const struct span **ret, unsigned *ret_n)
{
    struct grow entries = GROW(struct span, p->limits->max_args, "entries");
    do {
        struct span *entry = grow_add(p, &entries);
        if (!entry)
            return ERR_LIMIT;
        int rc = parse_entry(p, entry);
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    *ret = entries.items;
    *ret_n = entries.n;
    return parse_byte(p, ')', "\")\"");
}

static int parse_depth(struct parse *p, enum metadata_depth *ret)
{
    struct span word;
    int rc = parse_atom(p, "0, 1 or infinity", &word);
    if (rc)
        return rc;
    if (span_eq(word, SPAN("0")))
        *ret = METADATA_DEPTH_0;
    else if (span_eq(word, SPAN("1")))
        *ret = METADATA_DEPTH_1;
    else if (span_ieq(word, SPAN("infinity")))
        *ret = METADATA_DEPTH_INFINITY;
    else
        return parse_fail(p, ERR_INVALID, "unknown DEPTH \"%s\"", parse_excerpt(word).text);
    return 0;
}

/* Behind "(". */
static int parse_options(struct parse *p, struct cmd_metadata *m)
{
    do {
        struct span name;
        int rc = parse_atom(p, "MAXSIZE or DEPTH", &name);
        bool depth = rc == 0 && span_ieq(name, SPAN("DEPTH"));
        if (rc == 0 && !depth && !span_ieq(name, SPAN("MAXSIZE")))
            return parse_fail(p, ERR_INVALID, "unknown GETMETADATA option \"%s\"",
                              parse_excerpt(name).text);
        p->after = depth ? "DEPTH" : "MAXSIZE";
        if (rc == 0)
            rc = parse_sp(p, depth ? "0, 1 or infinity" : "a number");
        if (rc == 0)
            rc = depth ? parse_depth(p, &m->depth) : parse_number64(p, "a number", &m->max_size);
        if (rc)
            return rc;
        m->has_max_size |= !depth;
        p->after = "an option";
    } while (parse_take(p, ' '));
    return parse_byte(p, ')', "\")\"");
}

/* Whether a parenthesis begins options: entries begin with "/", or are strings. */
static bool at_options(const struct parse *p)
{
    return p->end - p->p >= 2 && p->p[0] == '(' && p->p[1] != '/' && p->p[1] != '"' &&
           p->p[1] != '{';
}

/* The grammar has the options before the mailbox, the examples behind it; and one example has
 * several entries without parentheses. Clients follow both. */
int parse_getmetadata(struct parse *p, struct command *c)
{
    struct cmd_metadata *m = &c->metadata;
    struct grow bare = GROW(struct span, p->limits->max_args, "entries");
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0 && parse_take(p, '(')) {
        rc = parse_options(p, m);
        p->after = "the options";
        if (rc == 0)
            rc = parse_sp(p, "a mailbox name");
    }
    if (rc == 0)
        rc = parse_mailbox(p, &m->name);
    p->after = "the mailbox name";
    if (rc == 0)
        rc = parse_sp(p, "an entry");
    if (rc == 0 && at_options(p)) {
        p->p++;
        rc = parse_options(p, m);
        p->after = "the options";
        if (rc == 0)
            rc = parse_sp(p, "an entry");
    }
    if (rc)
        return rc;
    if (parse_take(p, '('))
        return parse_metadata_entries(p, &m->entries, &m->n);
    do {
        struct span *entry = grow_add(p, &bare);
        if (!entry)
            return ERR_LIMIT;
        rc = parse_entry(p, entry);
        if (rc)
            return rc;
    } while (!parse_at_trailing(p) && parse_take(p, ' '));
    m->entries = bare.items;
    m->n = bare.n;
    return 0;
}

/* nstring / literal8 */
static int parse_value(struct parse *p, struct metadata_value *v)
{
    struct span word;
    if (parse_looking_at(p, '~')) {
        struct literal lit;
        int rc = parse_literal(p, "a value", false, &lit);
        if (rc == 0)
            v->value = lit.data;
        return rc;
    }
    if (parse_looking_at(p, '"') || parse_looking_at(p, '{'))
        return parse_string(p, "a value", &v->value);
    int rc = parse_atom(p, "a value", &word);
    if (rc == 0 && !span_ieq(word, SPAN("NIL")))
        rc = parse_fail(p, ERR_INVALID, "the value must be a string or NIL");
    v->nil = true;
    return rc;
}

int parse_setmetadata(struct parse *p, struct command *c)
{
    struct cmd_metadata *m = &c->metadata;
    struct grow values = GROW(struct metadata_value, p->limits->max_args, "entries");
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_mailbox(p, &m->name);
    p->after = "the mailbox name";
    if (rc == 0)
        rc = parse_sp(p, "a list of entries and values");
    if (rc == 0)
        rc = parse_byte(p, '(', "a list of entries and values");
    if (rc)
        return rc;
    do {
        struct metadata_value *v = grow_add(p, &values);
        if (!v)
            return ERR_LIMIT;
        rc = parse_entry(p, &v->entry);
        if (rc == 0)
            rc = parse_sp(p, "a value");
        if (rc == 0)
            rc = parse_value(p, v);
        if (rc)
            return rc;
        p->after = "a value";
    } while (parse_take(p, ' '));
    m->values = values.items;
    m->n = values.n;
    return parse_byte(p, ')', "\")\"");
}
