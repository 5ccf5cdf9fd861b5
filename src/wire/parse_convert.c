/* wire/parse_convert.c: CONVERSIONS and CONVERT (RFC 5259 section 10). */
#include "wire/parse_int.h"

/* type-name and subtype-name (RFC 6838 section 4.2). */
static bool is_type_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && !(c < 0x7F && c && strchr("!#$&-^_.+", c)))
            return false;
    }
    return s.n > 0 && s.n <= 127;
}

/* "type/subtype"; if wild is allowed, "*" too, as a whole or as the subtype. */
static bool is_type(struct span s, bool wild)
{
    size_t slash = span_find_byte(s, '/');
    if (wild && span_eq(s, SPAN("*")))
        return true;
    if (slash == SPAN_NPOS || !is_type_name(span_head(s, slash)))
        return false;
    struct span sub = span_skip(s, slash + 1);
    return (wild && span_eq(sub, SPAN("*"))) || is_type_name(sub);
}

static int parse_type_pattern(struct parse *p, struct span *ret)
{
    struct span s;
    int rc = parse_sp(p, "a media type");
    if (rc == 0)
        rc = parse_astring(p, "a media type", &s);
    if (rc)
        return rc;
    if (!is_type(s, true))
        return parse_fail(p, ERR_INVALID, "\"%s\" is no media type", parse_excerpt(s).text);
    p->after = "a media type";
    *ret = s;
    return 0;
}

int parse_conversions(struct parse *p, struct command *c)
{
    int rc = parse_type_pattern(p, &c->conversions.from);
    return rc ? rc : parse_type_pattern(p, &c->conversions.to);
}

/* "(" name SP value *(SP name SP value) ")" */
static int parse_params(struct parse *p, struct cmd_convert *a)
{
    struct grow params = GROW(struct convert_param, p->limits->max_args, "conversion parameters");
    int rc = parse_byte(p, '(', "conversion parameters");
    if (rc)
        return rc;
    do {
        struct convert_param *param = grow_add(p, &params);
        if (!param)
            return ERR_LIMIT;
        rc = parse_astring(p, "a conversion parameter", &param->name);
        p->after = "a conversion parameter";
        if (rc == 0)
            rc = parse_sp(p, "its value");
        if (rc == 0)
            rc = parse_astring(p, "its value", &param->value);
        if (rc)
            return rc;
        p->after = "a value";
    } while (parse_take(p, ' '));
    a->params = params.items;
    a->n_params = params.n;
    return parse_byte(p, ')', "\")\"");
}

/* "(" ("type/subtype" / NIL) [SP "(" params ")"] ")" */
static int parse_target(struct parse *p, struct cmd_convert *a)
{
    int rc = parse_byte(p, '(', "a target");
    if (rc)
        return rc;
    if (parse_looking_at(p, '"') || parse_looking_at(p, '{')) {
        rc = parse_string(p, "a media type or NIL", &a->type);
        if (rc == 0 && !is_type(a->type, false))
            rc = parse_fail(p, ERR_INVALID, "\"%s\" is no media type", parse_excerpt(a->type).text);
    } else if (!span_ieq(parse_run(p, CH_NAME), SPAN("NIL"))) {
        rc = parse_expected(p, "a quoted media type or NIL");
    }
    p->after = "the target";
    if (rc == 0 && parse_take(p, ' '))
        rc = parse_params(p, a);
    return rc ? rc : parse_byte(p, ')', "\")\"");
}

static int find_item(struct span name)
{
    static const struct {
        struct span name;
        enum convert_kind kind;
    } items[] = {
        {{"BINARY", 6}, CONVERT_BINARY},
        {{"BINARY.SIZE", 11}, CONVERT_SIZE},
        {{"BODY", 4}, CONVERT_HEADER},
        {{"BODYPARTSTRUCTURE", 17}, CONVERT_STRUCTURE},
        {{"AVAILABLECONVERSIONS", 20}, CONVERT_AVAILABLE},
    };
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        if (span_ieq(name, items[i].name))
            return (int)items[i].kind;
    return -1;
}

/* BODY[HEADER], BODY[1.HEADER], BODY[1.MIME], and nothing else. */
static int check_body(struct parse *p, struct convert_item *item)
{
    const struct fetch_section *s = &item->section;
    if ((s->text != SPEC_HEADER && s->text != SPEC_MIME) || s->has_partial)
        return parse_fail(p, ERR_INVALID, "CONVERT has BODY of HEADER and MIME only");
    item->kind = s->text == SPEC_MIME ? CONVERT_MIME : CONVERT_HEADER;
    return 0;
}

static int parse_convert_item(struct parse *p, struct cmd_convert *a, struct grow *items)
{
    struct span name = parse_run(p, CH_NAME);
    if (name.n == 0)
        return parse_expected(p, "a CONVERT item");
    if (span_ieq(name, SPAN("UID"))) {
        a->uid = true;
        p->after = "a CONVERT item";
        return 0;
    }
    int kind = find_item(name);
    if (kind < 0)
        return parse_fail(p, ERR_INVALID, "unknown CONVERT item \"%s\"", parse_excerpt(name).text);
    struct convert_item *item = grow_add(p, items);
    if (!item)
        return ERR_LIMIT;
    item->kind = (enum convert_kind)kind;
    item->section.peek = true;
    item->section.kind = kind == CONVERT_HEADER   ? SECTION_BODY
                         : kind == CONVERT_BINARY ? SECTION_BINARY
                                                  : SECTION_BINARY_SIZE;
    int rc = parse_byte(p, '[', "a section");
    if (rc == 0)
        rc = parse_section(p, &item->section);
    if (rc == 0 && kind == CONVERT_HEADER)
        rc = check_body(p, item);
    p->after = "a CONVERT item";
    return rc;
}

static int parse_convert_items(struct parse *p, struct cmd_convert *a)
{
    struct grow items = GROW(struct convert_item, p->limits->max_sections, "CONVERT items");
    bool list = parse_take(p, '(');
    int rc;
    do {
        rc = parse_convert_item(p, a, &items);
    } while (rc == 0 && list && parse_take(p, ' '));
    a->items = items.items;
    a->n_items = items.n;
    return rc == 0 && list ? parse_byte(p, ')', "\")\"") : rc;
}

int parse_convert(struct parse *p, struct command *c)
{
    struct cmd_convert *a = &c->convert;
    int rc = parse_sp(p, "a sequence set");
    if (rc == 0)
        rc = parse_set(p, &a->set);
    p->after = "the sequence set";
    if (rc == 0)
        rc = parse_sp(p, "a target");
    if (rc == 0)
        rc = parse_target(p, a);
    p->after = "the target";
    if (rc == 0)
        rc = parse_sp(p, "CONVERT items");
    return rc ? rc : parse_convert_items(p, a);
}
