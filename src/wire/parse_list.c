/* wire/parse_list.c: LIST (RFC 9051 6.3.9, RFC 5258, RFC 5819, RFC 6154) and LSUB (RFC 3501). */
#include "wire/parse_int.h"

static const struct keyword select_options[] = {
    {"SUBSCRIBED", LIST_SELECT_SUBSCRIBED},
    {"REMOTE", LIST_SELECT_REMOTE},
    {"RECURSIVEMATCH", LIST_SELECT_RECURSIVEMATCH},
    {"SPECIAL-USE", LIST_SELECT_SPECIAL_USE},
};

static const struct keyword return_options[] = {
    {"CHILDREN", LIST_RETURN_CHILDREN},       {"SUBSCRIBED", LIST_RETURN_SUBSCRIBED},
    {"SPECIAL-USE", LIST_RETURN_SPECIAL_USE}, {"STATUS", LIST_RETURN_STATUS},
    {"MYRIGHTS", LIST_RETURN_MYRIGHTS},       {"METADATA", LIST_RETURN_METADATA},
};

static int unknown_option(struct parse *p, struct span name)
{
    return parse_fail(p, ERR_INVALID, "unknown LIST option \"%s\"", parse_excerpt(name).text);
}

/* Behind "(". */
static int parse_select_options(struct parse *p, struct cmd_list *list)
{
    list->extended = true;
    if (parse_take(p, ')'))
        return 0;
    do {
        struct span name;
        int rc = parse_atom(p, "a selection option", &name);
        if (rc)
            return rc;
        int i = KEYWORD_FIND(select_options, name);
        if (i < 0)
            return unknown_option(p, name);
        list->select |= select_options[i].value;
        p->after = "a selection option";
    } while (parse_take(p, ' '));
    const uint32_t base = LIST_SELECT_SUBSCRIBED | LIST_SELECT_SPECIAL_USE;
    if ((list->select & LIST_SELECT_RECURSIVEMATCH) && !(list->select & base))
        return parse_fail(p, ERR_INVALID, "RECURSIVEMATCH needs another option like SUBSCRIBED");
    return parse_byte(p, ')', "\")\"");
}

/* At the point: list-mailbox or "(" list-mailbox *(SP list-mailbox) ")". */
static int parse_patterns(struct parse *p, struct cmd_list *list)
{
    struct grow patterns = GROW(struct span, p->limits->max_args, "patterns");
    bool several = parse_take(p, '(');
    list->extended = list->extended || several;
    do {
        struct span *pattern = grow_add(p, &patterns);
        if (!pattern)
            return ERR_LIMIT;
        int rc = parse_list_mailbox(p, pattern);
        if (rc)
            return rc;
        p->after = "a pattern";
    } while (several && parse_take(p, ' '));
    list->patterns = patterns.items;
    list->n_patterns = patterns.n;
    return several ? parse_byte(p, ')', "\")\"") : 0;
}

static int parse_return_option(struct parse *p, struct cmd_list *list)
{
    struct span name;
    int rc = parse_atom(p, "a return option", &name);
    if (rc)
        return rc;
    int i = KEYWORD_FIND(return_options, name);
    if (i < 0)
        return unknown_option(p, name);
    list->ret |= return_options[i].value;
    p->after = return_options[i].name;
    if (return_options[i].value == LIST_RETURN_METADATA) {
        rc = parse_sp(p, "a list of entries");
        if (rc == 0)
            rc = parse_byte(p, '(', "a list of entries");
        return rc ? rc : parse_metadata_entries(p, &list->entries, &list->n_entries);
    }
    if (return_options[i].value != LIST_RETURN_STATUS)
        return 0;
    rc = parse_sp(p, "a list of status items");
    return rc ? rc : parse_status_items(p, &list->status_items);
}

/* "RETURN" SP "(" [option *(SP option)] ")" */
static int parse_return_options(struct parse *p, struct cmd_list *list)
{
    struct span name;
    int rc = parse_atom(p, "RETURN", &name);
    if (rc)
        return rc;
    if (!span_ieq(name, SPAN("RETURN")))
        return parse_fail(p, ERR_INVALID, "unexpected \"%s\" after the pattern",
                          parse_excerpt(name).text);
    p->after = "RETURN";
    list->extended = true;
    rc = parse_sp(p, "a list of return options");
    if (rc == 0)
        rc = parse_byte(p, '(', "a list of return options");
    if (rc || parse_take(p, ')'))
        return rc;
    do {
        rc = parse_return_option(p, list);
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    return parse_byte(p, ')', "\")\"");
}

int parse_list(struct parse *p, struct command *c)
{
    struct cmd_list *list = &c->list;
    int rc = parse_sp(p, "a reference name");
    if (rc == 0 && parse_take(p, '(')) {
        rc = parse_select_options(p, list);
        p->after = "the selection options";
        if (rc == 0)
            rc = parse_sp(p, "a reference name");
    }
    if (rc == 0)
        rc = parse_astring(p, "a reference name", &list->reference);
    if (rc)
        return rc;
    p->after = "the reference name";
    rc = parse_sp(p, "a mailbox pattern");
    if (rc == 0)
        rc = parse_patterns(p, list);
    if (rc)
        return rc;
    p->after = "the pattern";
    if (parse_at_trailing(p))
        return 0;
    rc = parse_sp(p, "RETURN");
    return rc ? rc : parse_return_options(p, list);
}

/* RFC 3501 6.3.9 */
int parse_lsub(struct parse *p, struct command *c)
{
    struct span *pattern = arena_new(p->a, struct span);
    if (!pattern)
        return parse_spent(p);
    int rc = parse_sp(p, "a reference name");
    if (rc == 0)
        rc = parse_astring(p, "a reference name", &c->list.reference);
    if (rc)
        return rc;
    p->after = "the reference name";
    rc = parse_sp(p, "a mailbox pattern");
    if (rc == 0)
        rc = parse_list_mailbox(p, pattern);
    c->list.patterns = pattern;
    c->list.n_patterns = 1;
    return rc;
}
