/* wire/parse_acl.c: SETACL, DELETEACL, LISTRIGHTS (RFC 4314 section 7); GETACL and MYRIGHTS have a
 * mailbox alone. */
#include "wire/parse_int.h"

static int parse_identifier(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_astring(p, "a mailbox name", &c->acl.name);
    p->after = "the mailbox name";
    if (rc == 0)
        rc = parse_sp(p, "an identifier");
    return rc ? rc : parse_astring(p, "an identifier", &c->acl.identifier);
}

int parse_acl_who(struct parse *p, struct command *c)
{
    return parse_identifier(p, c);
}

/* mod-rights: ["+" / "-"] rights; letters alone, which of them are rights is decided later. */
int parse_setacl(struct parse *p, struct command *c)
{
    int rc = parse_identifier(p, c);
    p->after = "the identifier";
    if (rc == 0)
        rc = parse_sp(p, "rights");
    if (rc == 0)
        rc = parse_astring(p, "rights", &c->acl.rights);
    if (rc)
        return rc;
    if (c->acl.rights.n && (c->acl.rights.p[0] == '+' || c->acl.rights.p[0] == '-')) {
        c->acl.modify = c->acl.rights.p[0];
        c->acl.rights = span_skip(c->acl.rights, 1);
    }
    return 0;
}
