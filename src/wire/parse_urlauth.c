/* wire/parse_urlauth.c: GENURLAUTH, URLFETCH, RESETKEY (RFC 4467 section 9, RFC 5524 section 6). */
#include "wire/parse_int.h"

/* 1*(SP url-rump SP mechanism) */
int parse_genurlauth(struct parse *p, struct command *c)
{
    struct grow urls = GROW(struct url_request, p->limits->max_args, "URLs");
    do {
        struct url_request *u = grow_add(p, &urls);
        if (!u)
            return ERR_LIMIT;
        int rc = parse_sp(p, "a URL");
        if (rc == 0)
            rc = parse_astring(p, "a URL", &u->url);
        if (rc)
            return rc;
        p->after = "the URL";
        rc = parse_sp(p, "a mechanism");
        if (rc == 0)
            rc = parse_atom(p, "a mechanism", &u->mechanism);
        if (rc)
            return rc;
        p->after = "the mechanism";
    } while (!parse_at_trailing(p));
    c->urls.urls = urls.items;
    c->urls.n = urls.n;
    return 0;
}

static const struct {
    struct span name;
    unsigned item;
} fetch_params[] = {
    {{"BODY", 4}, URLFETCH_BODY},
    {{"BINARY", 6}, URLFETCH_BINARY},
    {{"BODYPARTSTRUCTURE", 17}, URLFETCH_STRUCTURE}, /* too long for a struct keyword */
};

static unsigned find_item(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(fetch_params); i++)
        if (span_ieq(name, fetch_params[i].name))
            return fetch_params[i].item;
    return 0;
}

/* *(SP url-fetch-param) ")": each at most once, and not both forms of the data (section 3.1). */
static int parse_fetch_params(struct parse *p, struct url_request *u)
{
    while (parse_take(p, ' ')) {
        struct span name;
        int rc = parse_atom(p, "BODY, BINARY or BODYPARTSTRUCTURE", &name);
        if (rc)
            return rc;
        unsigned item = find_item(name);
        if (!item)
            return parse_fail(p, ERR_INVALID, "unknown item \"%s\" of URLFETCH",
                              parse_excerpt(name).text);
        if (u->items & item)
            return parse_fail(p, ERR_INVALID, "%s is asked for twice", parse_excerpt(name).text);
        u->items |= item;
        p->after = "an item";
    }
    if ((u->items & URLFETCH_BODY) && (u->items & URLFETCH_BINARY))
        return parse_fail(p, ERR_INVALID, "BODY and BINARY cannot be asked for together");
    return parse_byte(p, ')', "\")\"");
}

/* 1*(SP url-fetch-arg) */
int parse_urlfetch(struct parse *p, struct command *c)
{
    struct grow urls = GROW(struct url_request, p->limits->max_args, "URLs");
    do {
        struct url_request *u = grow_add(p, &urls);
        if (!u)
            return ERR_LIMIT;
        int rc = parse_sp(p, "a URL");
        bool list = rc == 0 && parse_take(p, '(');
        if (rc == 0)
            rc = parse_astring(p, "a URL", &u->url);
        if (rc)
            return rc;
        p->after = "the URL";
        rc = list ? parse_fetch_params(p, u) : 0;
        if (rc)
            return rc;
    } while (!parse_at_trailing(p));
    c->urls.urls = urls.items;
    c->urls.n = urls.n;
    return 0;
}

/* [SP mailbox *(SP mechanism)] */
int parse_resetkey(struct parse *p, struct command *c)
{
    struct grow mechanisms = GROW(struct span, p->limits->max_args, "mechanisms");
    if (parse_at_trailing(p))
        return 0;
    int rc = parse_sp(p, "a mailbox name");
    if (rc == 0)
        rc = parse_mailbox(p, &c->resetkey.name);
    c->resetkey.has_name = true;
    p->after = "the mailbox name";
    while (rc == 0 && !parse_at_trailing(p)) {
        struct span *m = grow_add(p, &mechanisms);
        if (!m)
            return ERR_LIMIT;
        rc = parse_sp(p, "a mechanism");
        if (rc == 0)
            rc = parse_atom(p, "a mechanism", m);
    }
    c->resetkey.mechanisms = mechanisms.items;
    c->resetkey.n = mechanisms.n;
    return rc;
}
