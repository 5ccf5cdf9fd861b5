/* wire/parse_message.c: STORE, COPY, MOVE, EXPUNGE. */
#include "wire/parse_int.h"

static const struct {
    char name[16];
    enum store_action mode;
    bool silent;
} store_items[] = {
    {"FLAGS", STORE_FLAGS_REPLACE, false},    {"+FLAGS", STORE_FLAGS_ADD, false},
    {"-FLAGS", STORE_FLAGS_REMOVE, false},    {"FLAGS.SILENT", STORE_FLAGS_REPLACE, true},
    {"+FLAGS.SILENT", STORE_FLAGS_ADD, true}, {"-FLAGS.SILENT", STORE_FLAGS_REMOVE, true},
};

static int parse_sp_set(struct parse *p, struct seqset *ret)
{
    int rc = parse_sp(p, "a sequence set");
    if (rc == 0)
        rc = parse_set(p, ret);
    p->after = "the sequence set";
    return rc;
}

/* RFC 9051 6.4.6 */
int parse_store(struct parse *p, struct command *c)
{
    struct span item;
    int rc = parse_sp_set(p, &c->store.set);
    if (rc == 0)
        rc = parse_sp(p, "FLAGS, +FLAGS or -FLAGS");
    if (rc == 0)
        rc = parse_store_modifiers(p, &c->store);
    if (rc == 0)
        rc = parse_atom(p, "FLAGS, +FLAGS or -FLAGS", &item);
    if (rc)
        return rc;
    int i = KEYWORD_FIND(store_items, item);
    if (i < 0)
        return parse_fail(p, ERR_INVALID, "expected FLAGS, +FLAGS or -FLAGS, found \"%s\"",
                          parse_excerpt(item).text);
    c->store.mode = store_items[i].mode;
    c->store.silent = store_items[i].silent;
    p->after = store_items[i].name;
    rc = parse_sp(p, "a list of flags");
    return rc ? rc : parse_flags(p, true, &c->store.flags);
}

/* RFC 9051 6.4.7, 6.4.8 */
int parse_copy(struct parse *p, struct command *c)
{
    int rc = parse_sp_set(p, &c->copy.set);
    if (rc == 0)
        rc = parse_sp(p, "a mailbox name");
    return rc ? rc : parse_mailbox(p, &c->copy.name);
}

/* RFC 9051 6.4.3, 6.4.9 */
int parse_expunge(struct parse *p, struct command *c)
{
    return c->uid ? parse_sp_set(p, &c->expunge.set) : parse_no_args(p, c);
}
