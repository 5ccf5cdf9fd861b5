/* wire/parse_notify.c: NOTIFY (RFC 5465 section 8) and CANCELUPDATE (RFC 5267 section 5). */
#include "wire/parse_int.h"

static const struct keyword filters[] = {
    {"SELECTED", NOTIFY_SELECTED},     {"SELECTED-DELAYED", NOTIFY_SELECTED_DELAYED},
    {"INBOXES", NOTIFY_INBOXES},       {"PERSONAL", NOTIFY_PERSONAL},
    {"SUBSCRIBED", NOTIFY_SUBSCRIBED}, {"SUBTREE", NOTIFY_SUBTREE},
    {"MAILBOXES", NOTIFY_MAILBOXES},   {"SUBTREE-ONE", NOTIFY_SUBTREE_ONE},
};

/* The names are longer than those of tables. */
static const struct {
    const char *name;
    uint32_t bit;
} events[] = {
    {"MessageNew", NOTIFY_MESSAGE_NEW},
    {"MessageExpunge", NOTIFY_MESSAGE_EXPUNGE},
    {"FlagChange", NOTIFY_FLAG_CHANGE},
    {"AnnotationChange", NOTIFY_ANNOTATION_CHANGE},
    {"MailboxName", NOTIFY_MAILBOX_NAME},
    {"SubscriptionChange", NOTIFY_SUBSCRIPTION_CHANGE},
    {"MailboxMetadataChange", NOTIFY_MAILBOX_METADATA},
    {"ServerMetadataChange", NOTIFY_SERVER_METADATA},
};

const char *notify_event_name(uint32_t bit)
{
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (events[i].bit == bit)
            return events[i].name;
    return NULL;
}

static bool of_selected(enum notify_filter filter)
{
    return filter == NOTIFY_SELECTED || filter == NOTIFY_SELECTED_DELAYED;
}

/* "(" fetch-att *(SP fetch-att) ")": looked at, and kept as it is for the day it is needed. */
static int parse_attributes(struct parse *p, bool allowed, struct span *ret)
{
    const char *start = p->p;
    struct cmd_fetch ignored = {0};
    int rc = parse_fetch_items(p, &ignored);
    if (rc == 0 && !allowed)
        rc = parse_fail(p, ERR_INVALID, "FETCH items go with SELECTED and SELECTED-DELAYED only");
    if (rc == 0)
        *ret = span_make(start, (size_t)(p->p - start));
    p->after = "the FETCH items";
    return rc;
}

/* An atom that is no event of ours is remembered: the answer is NO [BADEVENT], not BAD. */
static int parse_event(struct parse *p, struct cmd_notify *n, struct notify_group *g)
{
    struct span name;
    int rc = parse_atom(p, "an event", &name);
    if (rc)
        return rc;
    uint32_t bit = 0;
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (span_ieq(name, span_str(events[i].name)))
            bit = events[i].bit;
    g->events |= bit;
    n->unknown_event |= bit == 0;
    p->after = "an event";
    if (bit == NOTIFY_MESSAGE_NEW && p->end - p->p > 1 && p->p[0] == ' ' && p->p[1] == '(') {
        p->p++;
        rc = parse_attributes(p, of_selected(g->filter), &n->fetch);
    }
    return rc;
}

/* "(" event *(SP event) ")" / "NONE". The specification's examples leave the parentheses out. */
static int parse_events(struct parse *p, struct cmd_notify *n, struct notify_group *g)
{
    struct span rest = span_make(p->p, (size_t)(p->end - p->p));
    if (span_istarts(rest, SPAN("NONE")) && rest.n > 4 && rest.p[4] == ')') {
        p->p += 4;
        return 0;
    }
    bool list = parse_take(p, '(');
    do {
        int rc = parse_event(p, n, g);
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    return list ? parse_byte(p, ')', "\")\"") : 0;
}

/* Sections 5 and 6.1: what belongs together, and what cannot be. */
static int check_group(struct parse *p, const struct notify_group *g)
{
    bool added = g->events & NOTIFY_MESSAGE_NEW, removed = g->events & NOTIFY_MESSAGE_EXPUNGE;
    if (added != removed)
        return parse_fail(p, ERR_INVALID, "MessageNew and MessageExpunge go together");
    if ((g->events & (NOTIFY_FLAG_CHANGE | NOTIFY_ANNOTATION_CHANGE)) && !added)
        return parse_fail(p, ERR_INVALID,
                          "FlagChange and AnnotationChange need MessageNew and MessageExpunge");
    if (of_selected(g->filter) && (g->events & ~(uint32_t)NOTIFY_MESSAGE_EVENTS))
        return parse_fail(p, ERR_INVALID, "SELECTED takes events of messages only");
    return 0;
}

/* SP (mailbox / "(" mailbox *(SP mailbox) ")") */
static int parse_names(struct parse *p, struct notify_group *g)
{
    struct grow names = GROW(struct span, p->limits->max_args, "mailboxes");
    int rc = parse_sp(p, "a mailbox name");
    bool list = rc == 0 && parse_take(p, '(');
    do {
        struct span *name = rc ? NULL : grow_add(p, &names);
        if (!name)
            return rc ? rc : ERR_LIMIT;
        rc = parse_mailbox(p, name);
        p->after = "a mailbox name";
    } while (rc == 0 && list && parse_take(p, ' '));
    g->names = names.items;
    g->n_names = names.n;
    if (rc == 0 && list)
        rc = parse_byte(p, ')', "\")\"");
    return rc;
}

int parse_filter_mailboxes(struct parse *p, struct notify_group *g)
{
    struct span name;
    int rc = parse_atom(p, "SELECTED, PERSONAL or the like", &name);
    if (rc)
        return rc;
    int i = KEYWORD_FIND(filters, name);
    if (i < 0)
        return parse_fail(p, ERR_INVALID, "unknown mailbox specifier \"%s\"",
                          parse_excerpt(name).text);
    g->filter = (enum notify_filter)filters[i].value;
    p->after = "the mailbox specifier";
    if (g->filter == NOTIFY_SUBTREE || g->filter == NOTIFY_SUBTREE_ONE ||
        g->filter == NOTIFY_MAILBOXES)
        rc = parse_names(p, g);
    return rc;
}

static int parse_group(struct parse *p, struct cmd_notify *n, struct notify_group *g)
{
    int rc = parse_byte(p, '(', "a group of events like (SELECTED (MessageNew MessageExpunge))");
    if (rc == 0)
        rc = parse_filter_mailboxes(p, g);
    if (rc == 0 && g->filter == NOTIFY_SUBTREE_ONE)
        rc = parse_fail(p, ERR_INVALID, "SUBTREE-ONE is for ESEARCH only");
    if (rc == 0)
        rc = parse_sp(p, "a list of events");
    if (rc == 0)
        rc = parse_events(p, n, g);
    if (rc == 0)
        rc = parse_byte(p, ')', "\")\"");
    p->after = "a group of events";
    return rc ? rc : check_group(p, g);
}

static int parse_groups(struct parse *p, struct cmd_notify *n)
{
    struct grow groups = GROW(struct notify_group, p->limits->max_args, "groups of events");
    bool selected = false;
    do {
        struct notify_group *g = grow_add(p, &groups);
        if (!g)
            return ERR_LIMIT;
        int rc = parse_group(p, n, g);
        if (rc)
            return rc;
        if (of_selected(g->filter) && selected)
            return parse_fail(p, ERR_INVALID, "SELECTED can be specified only once");
        selected = selected || of_selected(g->filter);
    } while (parse_take(p, ' '));
    n->groups = groups.items;
    n->n_groups = groups.n;
    return 0;
}

int parse_notify(struct parse *p, struct command *c)
{
    struct cmd_notify *n = &c->notify;
    struct span word;
    int rc = parse_sp(p, "SET or NONE");
    if (rc == 0)
        rc = parse_atom(p, "SET or NONE", &word);
    if (rc)
        return rc;
    if (span_ieq(word, SPAN("NONE")))
        return 0;
    if (!span_ieq(word, SPAN("SET")))
        return parse_fail(p, ERR_INVALID, "expected SET or NONE, found \"%s\"",
                          parse_excerpt(word).text);
    n->set = true;
    p->after = "SET";
    rc = parse_sp(p, "a group of events");
    if (rc == 0 && !parse_looking_at(p, '(')) {
        rc = parse_atom(p, "STATUS or a group of events", &word);
        if (rc == 0 && !span_ieq(word, SPAN("STATUS")))
            rc = parse_fail(p, ERR_INVALID, "expected STATUS or a group of events, found \"%s\"",
                            parse_excerpt(word).text);
        n->status = true;
        p->after = "STATUS";
        if (rc == 0)
            rc = parse_sp(p, "a group of events");
    }
    return rc ? rc : parse_groups(p, n);
}

/* 1*(SP quoted) */
int parse_cancel_update(struct parse *p, struct command *c)
{
    struct grow tags = GROW(struct span, p->limits->max_args, "tags");
    do {
        int rc = parse_sp(p, "a tag in quotes");
        struct span *tag = rc ? NULL : grow_add(p, &tags);
        if (!tag)
            return rc ? rc : ERR_LIMIT;
        rc = parse_string(p, "a tag in quotes", tag);
        if (rc)
            return rc;
        p->after = "a tag";
    } while (!parse_at_trailing(p));
    c->cancel.tags = tags.items;
    c->cancel.n = tags.n;
    return 0;
}
