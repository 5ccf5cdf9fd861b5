/* wire/parse_session.c: AUTHENTICATE, LOGIN, ENABLE, ID. */
#include "wire/parse_int.h"

/* RFC 9051 6.2.2: "AUTHENTICATE" SP auth-type [SP (base64 / "=")]. The base64 itself is checked by
 * whoever decodes it. */
int parse_authenticate(struct parse *p, struct command *c)
{
    struct cmd_authenticate *auth = &c->authenticate;
    int rc = parse_sp(p, "an authentication mechanism");
    if (rc == 0)
        rc = parse_atom(p, "an authentication mechanism", &auth->mechanism);
    if (rc)
        return rc;
    if (parse_at_trailing(p))
        return 0;
    rc = parse_sp(p, "an initial response");
    if (rc)
        return rc;
    auth->has_initial = true;
    auth->initial = parse_run(p, CH_ASTRING);
    if (auth->initial.n == 0)
        return parse_fail(p, ERR_INVALID, "the initial response is not base64");
    if (span_eq(auth->initial, SPAN("=")))
        auth->initial = SPAN_EMPTY;
    return 0;
}

/* RFC 9051 6.2.3 */
int parse_login(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a user name");
    if (rc == 0)
        rc = parse_astring(p, "a user name", &c->login.user);
    if (rc)
        return rc;
    p->after = "the user name";
    /* Never quote what stands where a password should: reasons end up in logs. */
    if (!parse_take(p, ' ') || parse_at_end(p) ||
        (*p->p != '"' && *p->p != '{' && !char_is(*p->p, CH_ASTRING)))
        return parse_fail(p, ERR_INVALID, "expected a password after the user name");
    rc = parse_astring(p, "a password", &c->login.password);
    if (rc)
        return rc;
    if (!parse_at_trailing(p))
        return parse_fail(p, ERR_INVALID,
                          "LOGIN takes a user name and a password; quote those with spaces or "
                          "special characters");
    return 0;
}

/* RFC 9051 6.3.1: "ENABLE" 1*(SP capability) */
int parse_enable(struct parse *p, struct command *c)
{
    struct grow names = GROW(struct span, p->limits->max_args, "capabilities");
    int rc = parse_sp(p, "a capability");
    if (rc)
        return rc;
    do {
        struct span *name;
        if (names.n && parse_at_trailing(p))
            break;
        if (!(name = grow_add(p, &names)))
            return ERR_LIMIT;
        rc = parse_atom(p, "a capability", name);
        if (rc)
            return rc;
        p->after = "a capability";
    } while (parse_take(p, ' '));
    c->enable = (struct cmd_enable){names.items, names.n};
    return 0;
}

/* *(SP astring) */
static int parse_astrings(struct parse *p, const char *what, struct grow *found)
{
    while (!parse_at_trailing(p)) {
        int rc = parse_sp(p, what);
        struct span *one;
        if (rc)
            return rc;
        if (!(one = grow_add(p, found)))
            return ERR_LIMIT;
        rc = parse_astring(p, what, one);
        if (rc)
            return rc;
        p->after = what;
    }
    return 0;
}

/* RFC 5255 section 3.5: "LANGUAGE" *(SP lang-range-quoted) */
int parse_language(struct parse *p, struct command *c)
{
    struct grow ranges = GROW(struct span, p->limits->max_args, "languages");
    int rc = parse_astrings(p, "a language range", &ranges);
    if (rc == 0)
        c->language = (struct cmd_language){ranges.items, ranges.n};
    return rc;
}

/* RFC 5255 section 4.10: "COMPARATOR" *(SP comp-order-quoted) */
int parse_comparator(struct parse *p, struct command *c)
{
    struct grow orders = GROW(struct span, p->limits->max_args, "comparators");
    int rc = parse_astrings(p, "a comparator", &orders);
    if (rc == 0)
        c->comparator = (struct cmd_comparator){orders.items, orders.n};
    return rc;
}

static bool take_nil(struct parse *p)
{
    struct span rest = span_make(p->p, (size_t)(p->end - p->p));
    if (!span_istarts(rest, SPAN("NIL")) || (rest.n > 3 && char_is(rest.p[3], CH_ASTRING)))
        return false;
    p->p += 3;
    return true;
}

static int parse_id_pair(struct parse *p, struct id_pair *pair)
{
    int rc = parse_astring(p, "a field name", &pair->field);
    if (rc)
        return rc;
    p->after = "a field name";
    rc = parse_sp(p, "a value or NIL");
    if (rc)
        return rc;
    pair->nil = take_nil(p);
    if (!pair->nil)
        rc = parse_astring(p, "a value or NIL", &pair->value);
    p->after = "a value";
    return rc;
}

/* RFC 2971 section 4: "ID" SP ("(" #(string SP nstring) ")" / NIL) */
int parse_id(struct parse *p, struct command *c)
{
    struct grow pairs = GROW(struct id_pair, p->limits->max_args, "fields");
    int rc = parse_sp(p, "NIL or a list of fields");
    if (rc)
        return rc;
    if (take_nil(p))
        return 0;
    rc = parse_byte(p, '(', "NIL or a list of fields");
    if (rc || parse_take(p, ')'))
        return rc;
    do {
        struct id_pair *pair = grow_add(p, &pairs);
        if (!pair)
            return ERR_LIMIT;
        rc = parse_id_pair(p, pair);
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    c->idp = (struct cmd_id){pairs.items, pairs.n};
    return parse_byte(p, ')', "\")\"");
}

/* RFC 4978 section 5: "COMPRESS" SP algorithm */
int parse_compress(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a mechanism");
    if (rc == 0)
        rc = parse_atom(p, "a mechanism", &c->compress);
    if (rc == 0 && !span_ieq(c->compress, SPAN("DEFLATE")))
        return parse_fail(p, ERR_INVALID, "the only mechanism of COMPRESS here is DEFLATE");
    return rc;
}
