/* wire/parse_fetch.c: FETCH (RFC 9051 6.4.5, RFC 3501 6.4.5). */
#include "wire/parse_int.h"

static const struct keyword attributes[] = {
    {"FLAGS", FETCH_FLAGS},
    {"UID", FETCH_UID},
    {"ENVELOPE", FETCH_ENVELOPE},
    {"BODYSTRUCTURE", FETCH_BODYSTRUCTURE},
    {"INTERNALDATE", FETCH_INTERNALDATE},
    {"RFC822.SIZE", FETCH_RFC822_SIZE},
    {"BODY", FETCH_BODY},
    {"RFC822", FETCH_RFC822},
    {"RFC822.HEADER", FETCH_RFC822_HEADER},
    {"RFC822.TEXT", FETCH_RFC822_TEXT},
    {"MODSEQ", FETCH_MODSEQ},
    {"EMAILID", FETCH_EMAILID},
    {"THREADID", FETCH_THREADID},
    {"SAVEDATE", FETCH_SAVEDATE},
    {"PREVIEW", FETCH_PREVIEW},
};

static const struct keyword macros[] = {
    {"FAST", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_RFC822_SIZE},
    {"ALL", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_RFC822_SIZE | FETCH_ENVELOPE},
    {"FULL", FETCH_FLAGS | FETCH_INTERNALDATE | FETCH_RFC822_SIZE | FETCH_ENVELOPE | FETCH_BODY},
};

static const struct {
    char name[16];
    enum section_kind kind;
    bool peek;
} sections[] = {
    {"BODY.PEEK", SECTION_BODY, true},          {"BODY", SECTION_BODY, false},
    {"BINARY.PEEK", SECTION_BINARY, true},      {"BINARY", SECTION_BINARY, false},
    {"BINARY.SIZE", SECTION_BINARY_SIZE, true},
};

static const struct {
    struct span name;
    enum section_spec text;
} section_texts[] = {
    {{"HEADER.FIELDS", 13}, SPEC_HEADER_FIELDS},
    {{"HEADER", 6}, SPEC_HEADER},
    {{"TEXT", 4}, SPEC_TEXT},
    {{"MIME", 4}, SPEC_MIME},
    {{"HEADER.FIELDS.NOT", 17}, SPEC_HEADER_FIELDS_NOT},
};

/* ---- sections ---- */

/* section-part = nz-number *("." nz-number); takes the "." before a section-text, too. */
static int parse_part(struct parse *p, struct fetch_section *s, bool *ret_more)
{
    struct grow part = GROW(uint32_t, p->limits->max_parts, "part numbers");
    bool more = false;
    do {
        uint64_t v;
        if (parse_at_end(p) || !ascii_is_digit((unsigned char)*p->p)) {
            more = true; /* "1.MIME" */
            break;
        }
        int rc = parse_number64(p, "a part number", &v);
        if (rc)
            return rc;
        if (v == 0 || v > UINT32_MAX)
            return parse_fail(p, ERR_INVALID, "part numbers are from 1 to 4294967295");
        uint32_t *number = grow_add(p, &part);
        if (!number)
            return ERR_LIMIT;
        *number = (uint32_t)v;
    } while (parse_take(p, '.'));
    s->part = part.items;
    s->n_part = part.n;
    *ret_more = more;
    return 0;
}

/* SP "(" header-fld-name *(SP header-fld-name) ")" */
static int parse_fields(struct parse *p, struct fetch_section *s)
{
    struct grow fields = GROW(struct span, p->limits->max_args, "header fields");
    int rc = parse_sp(p, "a list of header fields");
    if (rc == 0)
        rc = parse_byte(p, '(', "a list of header fields");
    if (rc)
        return rc;
    do {
        struct span *field = grow_add(p, &fields);
        if (!field)
            return ERR_LIMIT;
        rc = parse_astring(p, "a header field name", field);
        if (rc)
            return rc;
        p->after = "a header field name";
    } while (parse_take(p, ' '));
    s->fields = fields.items;
    s->n_fields = fields.n;
    return parse_byte(p, ')', "\")\"");
}

static int parse_section_text(struct parse *p, struct fetch_section *s)
{
    struct span name = parse_run(p, CH_NAME);
    if (name.n == 0)
        return parse_expected(p, "HEADER, HEADER.FIELDS, TEXT or MIME");
    for (size_t i = 0; i < ARRAY_LEN(section_texts); i++) {
        if (!span_ieq(name, section_texts[i].name))
            continue;
        s->text = section_texts[i].text;
        p->after = section_texts[i].name.p;
        if (s->text == SPEC_MIME && s->n_part == 0)
            return parse_fail(p, ERR_INVALID, "MIME needs a part number, as in BODY[1.MIME]");
        bool fields = s->text == SPEC_HEADER_FIELDS || s->text == SPEC_HEADER_FIELDS_NOT;
        return fields ? parse_fields(p, s) : 0;
    }
    return parse_fail(p, ERR_INVALID, "unknown section \"%s\"", parse_excerpt(name).text);
}

/* "<" number64 "." nz-number64 ">" */
static int parse_partial(struct parse *p, struct fetch_section *s)
{
    static const char what[] = "a range like <0.2048>";
    int rc = parse_number64(p, what, &s->offset);
    if (rc == 0)
        rc = parse_byte(p, '.', what);
    if (rc == 0)
        rc = parse_number64(p, what, &s->length);
    if (rc == 0)
        rc = parse_byte(p, '>', what);
    if (rc)
        return rc;
    if (s->length == 0)
        return parse_fail(p, ERR_INVALID, "a range must not be empty");
    s->has_partial = true;
    return 0;
}

/* Behind "BODY[". */
int parse_section(struct parse *p, struct fetch_section *s)
{
    bool text = true;
    int rc = 0;
    p->after = s->kind == SECTION_BODY ? "BODY[" : "BINARY[";
    if (!parse_looking_at(p, ']')) {
        if (!parse_at_end(p) && ascii_is_digit((unsigned char)*p->p))
            rc = parse_part(p, s, &text);
        if (rc == 0 && text && s->kind != SECTION_BODY)
            rc = parse_expected(p, "a part number");
        if (rc == 0 && text)
            rc = parse_section_text(p, s);
    }
    if (rc == 0)
        rc = parse_byte(p, ']', "\"]\"");
    if (rc == 0 && s->kind != SECTION_BINARY_SIZE && parse_take(p, '<'))
        rc = parse_partial(p, s);
    return rc;
}

int section_parse(struct span text, const struct parse_limits *limits, struct arena *a,
                  struct fetch_section *ret, struct parse_error *ret_error)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    struct fetch_section s = {.kind = SECTION_BODY, .peek = true};
    buf_put_span(&b, text);
    buf_put_byte(&b, ']');
    struct span copy = arena_copy(a, buf_span(&b));
    struct parse p = {
        copy.p, copy.p + copy.n, a, limits ? limits : &parse_limits_default, ret_error,
        "[",    "a section"};
    ret_error->reason[0] = '\0';
    if (a->spent)
        return parse_spent(&p);
    if (span_find_byte(text, '{') != SPAN_NPOS || span_find_byte(text, '<') != SPAN_NPOS)
        return parse_fail(&p, ERR_INVALID, "not a section");
    int rc = parse_section(&p, &s);
    if (rc == 0 && !parse_at_end(&p))
        rc = parse_fail(&p, ERR_INVALID, "not a section");
    if (rc == 0)
        *ret = s;
    return rc;
}

static bool same_part(const struct fetch_section *x, const struct fetch_section *y)
{
    return x->n_part == y->n_part &&
           (x->n_part == 0 || memcmp(x->part, y->part, x->n_part * sizeof(*x->part)) == 0);
}

static bool same_section(const struct fetch_section *x, const struct fetch_section *y)
{
    if (x->kind != y->kind || x->text != y->text || x->has_partial != y->has_partial ||
        x->offset != y->offset || x->length != y->length || x->n_fields != y->n_fields ||
        !same_part(x, y))
        return false;
    for (unsigned i = 0; i < x->n_fields; i++)
        if (!span_ieq(x->fields[i], y->fields[i]))
            return false;
    return true;
}

/* Behind "BODY[" and the like: the section is added unless it was asked for already. */
static int parse_section_item(struct parse *p, struct grow *found, enum section_kind kind,
                              bool peek)
{
    struct fetch_section s = {.kind = kind, .peek = peek};
    int rc = parse_section(p, &s);
    if (rc)
        return rc;
    struct fetch_section *have = found->items;
    for (unsigned i = 0; i < found->n; i++) {
        if (same_section(&have[i], &s)) {
            have[i].peek = have[i].peek && peek;
            return 0;
        }
    }
    struct fetch_section *add = grow_add(p, found);
    if (!add)
        return ERR_LIMIT;
    *add = s;
    return 0;
}

/* ---- items ---- */

static int unknown_item(struct parse *p, struct span name)
{
    return parse_fail(p, ERR_INVALID, "unknown FETCH item \"%s\"", parse_excerpt(name).text);
}

/* RFC 8970 section 6: [SP "(" preview-mod *(SP preview-mod) ")"]. Behind a bare "PREVIEW" the
 * parenthesis may also begin the modifiers of FETCH: only "(LAZY" is the item's. */
static int parse_preview(struct parse *p, uint32_t *ret)
{
    const char *start = p->p;
    *ret = FETCH_PREVIEW;
    if (!parse_take(p, ' ') || !parse_take(p, '(') ||
        !span_ieq(parse_run(p, CH_NAME), SPAN("LAZY"))) {
        p->p = start;
        return 0;
    }
    *ret = FETCH_PREVIEW_LAZY;
    p->after = "LAZY";
    while (parse_take(p, ' ')) {
        struct span name = parse_run(p, CH_NAME);
        if (!span_ieq(name, SPAN("LAZY")))
            return parse_fail(p, ERR_INVALID, "unknown modifier \"%s\" of PREVIEW",
                              parse_excerpt(name).text);
    }
    return parse_byte(p, ')', "\")\"");
}

static int parse_item(struct parse *p, struct cmd_fetch *fetch, struct grow *found)
{
    struct span name = parse_run(p, CH_NAME);
    if (name.n == 0)
        return parse_expected(p, "a FETCH item");
    p->after = "a FETCH item";
    if (parse_take(p, '[')) {
        int i = KEYWORD_FIND(sections, name);
        if (i < 0)
            return unknown_item(p, name);
        int rc = parse_section_item(p, found, sections[i].kind, sections[i].peek);
        p->after = "a FETCH item";
        return rc;
    }
    int i = KEYWORD_FIND(attributes, name);
    if (i < 0) {
        if (KEYWORD_FIND(sections, name) >= 0)
            return parse_fail(p, ERR_INVALID, "%s needs a section, as in %s[1]",
                              parse_excerpt(name).text, parse_excerpt(name).text);
        return unknown_item(p, name);
    }
    uint32_t att = attributes[i].value;
    int rc = att == FETCH_PREVIEW ? parse_preview(p, &att) : 0;
    fetch->atts |= att;
    p->after = "a FETCH item";
    return rc;
}

/* A macro stands alone (RFC 9051 6.4.5), but clients put it into parentheses, too: harmless if it
 * is the only item. */
static bool take_macro(struct parse *p, struct cmd_fetch *fetch)
{
    const char *start = p->p;
    int i = KEYWORD_FIND(macros, parse_run(p, CH_NAME));
    if (i < 0) {
        p->p = start;
        return false;
    }
    fetch->atts = macros[i].value;
    p->after = "the macro";
    return true;
}

int parse_fetch_items(struct parse *p, struct cmd_fetch *fetch)
{
    struct grow found = GROW(struct fetch_section, p->limits->max_sections, "FETCH sections");
    bool list = parse_take(p, '(');
    if (!take_macro(p, fetch)) {
        do {
            int rc = parse_item(p, fetch, &found);
            if (rc)
                return rc;
        } while (list && parse_take(p, ' '));
    }
    fetch->sections = found.items;
    fetch->n_sections = found.n;
    fetch->sets_seen = fetch->atts & (FETCH_RFC822 | FETCH_RFC822_TEXT);
    for (unsigned i = 0; i < found.n; i++)
        fetch->sets_seen = fetch->sets_seen || !fetch->sections[i].peek;
    return list ? parse_byte(p, ')', "\")\"") : 0;
}

int parse_fetch(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a sequence set");
    if (rc == 0)
        rc = parse_set(p, &c->fetch.set);
    if (rc)
        return rc;
    p->after = "the sequence set";
    rc = parse_sp(p, "FETCH items");
    if (rc == 0)
        rc = parse_fetch_items(p, &c->fetch);
    p->after = "the FETCH items";
    return rc ? rc : parse_fetch_modifiers(p, c);
}
