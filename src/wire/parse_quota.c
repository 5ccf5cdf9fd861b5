/* wire/parse_quota.c: GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 section 7). */
#include "wire/parse_int.h"

static int parse_root(struct parse *p, struct span *ret)
{
    int rc = parse_sp(p, "the name of a quota root");
    return rc ? rc : parse_astring(p, "the name of a quota root", ret);
}

int parse_getquota(struct parse *p, struct command *c)
{
    return parse_root(p, &c->quota.root);
}

/* "(" [resource-name SP resource-limit *(SP resource-name SP resource-limit)] ")" */
int parse_setquota(struct parse *p, struct command *c)
{
    struct grow limits = GROW(struct quota_limit, p->limits->max_args, "limits");
    int rc = parse_root(p, &c->quota.root);
    if (rc)
        return rc;
    p->after = "the name of the quota root";
    rc = parse_sp(p, "a list of limits");
    if (rc == 0)
        rc = parse_byte(p, '(', "a list of limits");
    if (rc || parse_take(p, ')'))
        return rc;
    do {
        struct quota_limit *l = grow_add(p, &limits);
        if (!l)
            return ERR_LIMIT;
        rc = parse_atom(p, "a resource like STORAGE", &l->resource);
        p->after = "the resource";
        if (rc == 0)
            rc = parse_sp(p, "a limit");
        if (rc == 0)
            rc = parse_number64(p, "a limit", &l->limit);
        if (rc)
            return rc;
        p->after = "a limit";
    } while (parse_take(p, ' '));
    c->quota.limits = limits.items;
    c->quota.n = limits.n;
    return parse_byte(p, ')', "\")\"");
}
