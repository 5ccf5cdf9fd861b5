/* wire/parse_mailbox.c: CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, STATUS. */
#include "wire/parse_int.h"

int parse_one_mailbox(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a mailbox name");
    return rc ? rc : parse_mailbox(p, &c->mailbox.name);
}

/* RFC 9051 6.3.6 */
int parse_rename(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_mailbox(p, &c->rename.from);
    if (rc)
        return rc;
    p->after = "the old name";
    rc = parse_sp(p, "the new name");
    return rc ? rc : parse_mailbox(p, &c->rename.to);
}

/* ---- CREATE ---- */

static const struct keyword uses[] = {
    {"ALL", WIRE_USE_ALL},   {"ARCHIVE", WIRE_USE_ARCHIVE}, {"DRAFTS", WIRE_USE_DRAFTS},
    {"JUNK", WIRE_USE_JUNK}, {"FLAGGED", WIRE_USE_FLAGGED}, {"IMPORTANT", WIRE_USE_IMPORTANT},
    {"SENT", WIRE_USE_SENT}, {"TRASH", WIRE_USE_TRASH},
};

/* RFC 6154 section 6: "USE" SP "(" [use-attr *(SP use-attr)] ")", behind "USE". */
static int parse_use(struct parse *p, struct cmd_create *create)
{
    int rc = parse_sp(p, "a list of special uses");
    if (rc == 0)
        rc = parse_byte(p, '(', "a list of special uses");
    if (rc)
        return rc;
    create->has_use = true;
    if (parse_take(p, ')'))
        return 0;
    do {
        const char *start = p->p;
        struct span name;
        rc = parse_byte(p, '\\', "a special use like \\Sent");
        if (rc == 0)
            rc = parse_atom(p, "a special use like \\Sent", &name);
        if (rc)
            return rc;
        int i = KEYWORD_FIND(uses, name);
        if (i >= 0)
            create->use |= uses[i].value;
        else if (create->unknown_use.n == 0)
            create->unknown_use = span_make(start, (size_t)(p->p - start));
    } while (parse_take(p, ' '));
    return parse_byte(p, ')', "\")\"");
}

/* RFC 4466 2.2: "CREATE" SP mailbox [SP "(" create-param *(SP create-param) ")"] */
int parse_create(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_mailbox(p, &c->create.name);
    if (rc)
        return rc;
    p->after = "the mailbox name";
    if (p->end - p->p < 2 || p->p[0] != ' ' || p->p[1] != '(')
        return 0;
    p->p += 2;
    do {
        struct span name;
        p->after = "CREATE (";
        rc = parse_atom(p, "USE", &name);
        if (rc)
            return rc;
        if (!span_ieq(name, SPAN("USE")))
            return parse_fail(p, ERR_INVALID, "unknown CREATE parameter \"%s\"",
                              parse_excerpt(name).text);
        p->after = "USE";
        rc = parse_use(p, &c->create);
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    return parse_byte(p, ')', "\")\"");
}

/* ---- STATUS ---- */

static const struct keyword status_items[] = {
    {"MESSAGES", STATUS_MESSAGES},
    {"UNSEEN", STATUS_UNSEEN},
    {"UIDNEXT", STATUS_UIDNEXT},
    {"UIDVALIDITY", STATUS_UIDVALIDITY},
    {"RECENT", STATUS_RECENT},
    {"SIZE", STATUS_SIZE},
    {"DELETED", STATUS_DELETED},
    {"HIGHESTMODSEQ", STATUS_HIGHESTMODSEQ},
    {"MAILBOXID", STATUS_MAILBOXID},
    {"APPENDLIMIT", STATUS_APPENDLIMIT},
    {"DELETED-STORAGE", STATUS_DELETED_STORAGE},
};

int parse_status_items(struct parse *p, uint32_t *ret)
{
    uint32_t items = 0;
    int rc = parse_byte(p, '(', "a list of status items");
    if (rc)
        return rc;
    do {
        struct span name;
        rc = parse_atom(p, "a status item", &name);
        if (rc)
            return rc;
        int i = KEYWORD_FIND(status_items, name);
        if (i < 0)
            return parse_fail(p, ERR_INVALID, "unknown status item \"%s\"",
                              parse_excerpt(name).text);
        items |= status_items[i].value;
        p->after = "a status item";
    } while (parse_take(p, ' '));
    rc = parse_byte(p, ')', "\")\"");
    if (rc == 0)
        *ret = items;
    return rc;
}

/* RFC 9051 6.3.11 */
int parse_status(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_mailbox(p, &c->status.name);
    if (rc)
        return rc;
    p->after = "the mailbox name";
    rc = parse_sp(p, "a list of status items");
    return rc ? rc : parse_status_items(p, &c->status.items);
}
