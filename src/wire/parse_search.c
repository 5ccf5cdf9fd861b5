/* wire/parse_search.c: SEARCH (RFC 9051 6.4.4, RFC 3501 6.4.4, RFC 4731, RFC 5182).
 *
 * The keys nest ("NOT", "OR", parentheses), but the parser does not recurse: open containers are on
 * a stack of max_depth entries. */
#include "wire/date.h"
#include "wire/parse_int.h"

enum argument {
    ARG_NONE,
    ARG_TEXT,
    ARG_HEADER,
    ARG_KEYWORD,
    ARG_DATE,
    ARG_NUMBER,
    ARG_UID,
    ARG_MODSEQ,
    ARG_SECONDS,
    ARG_OBJECTID,
    ARG_ONE_UID,
    ARG_FILTER,
};

static const struct key_row {
    char name[16];
    enum search_key key;
    enum argument argument;
    uint8_t flag; /* KEY_FLAG */
    bool negated;
} keys[] = {
    {"ALL", KEY_ALL},
    {"UID", KEY_UID, ARG_UID},
    {"SEEN", KEY_FLAG, ARG_NONE, WIRE_FLAG_SEEN},
    {"UNSEEN", KEY_FLAG, ARG_NONE, WIRE_FLAG_SEEN, true},
    {"DELETED", KEY_FLAG, ARG_NONE, WIRE_FLAG_DELETED},
    {"UNDELETED", KEY_FLAG, ARG_NONE, WIRE_FLAG_DELETED, true},
    {"FLAGGED", KEY_FLAG, ARG_NONE, WIRE_FLAG_FLAGGED},
    {"UNFLAGGED", KEY_FLAG, ARG_NONE, WIRE_FLAG_FLAGGED, true},
    {"ANSWERED", KEY_FLAG, ARG_NONE, WIRE_FLAG_ANSWERED},
    {"UNANSWERED", KEY_FLAG, ARG_NONE, WIRE_FLAG_ANSWERED, true},
    {"DRAFT", KEY_FLAG, ARG_NONE, WIRE_FLAG_DRAFT},
    {"UNDRAFT", KEY_FLAG, ARG_NONE, WIRE_FLAG_DRAFT, true},
    {"RECENT", KEY_FLAG, ARG_NONE, WIRE_FLAG_RECENT},
    {"OLD", KEY_FLAG, ARG_NONE, WIRE_FLAG_RECENT, true},
    {"FROM", KEY_FROM, ARG_TEXT},
    {"TO", KEY_TO, ARG_TEXT},
    {"CC", KEY_CC, ARG_TEXT},
    {"BCC", KEY_BCC, ARG_TEXT},
    {"SUBJECT", KEY_SUBJECT, ARG_TEXT},
    {"TEXT", KEY_TEXT, ARG_TEXT},
    {"BODY", KEY_BODY, ARG_TEXT},
    {"HEADER", KEY_HEADER, ARG_HEADER},
    {"KEYWORD", KEY_KEYWORD, ARG_KEYWORD},
    {"UNKEYWORD", KEY_KEYWORD, ARG_KEYWORD, 0, true},
    {"SINCE", KEY_SINCE, ARG_DATE},
    {"BEFORE", KEY_BEFORE, ARG_DATE},
    {"ON", KEY_ON, ARG_DATE},
    {"SENTSINCE", KEY_SENTSINCE, ARG_DATE},
    {"SENTBEFORE", KEY_SENTBEFORE, ARG_DATE},
    {"SENTON", KEY_SENTON, ARG_DATE},
    {"LARGER", KEY_LARGER, ARG_NUMBER},
    {"SMALLER", KEY_SMALLER, ARG_NUMBER},
    {"MODSEQ", KEY_MODSEQ, ARG_MODSEQ},
    {"OLDER", KEY_OLDER, ARG_SECONDS},
    {"YOUNGER", KEY_YOUNGER, ARG_SECONDS},
    {"EMAILID", KEY_EMAILID, ARG_OBJECTID},
    {"THREADID", KEY_THREADID, ARG_OBJECTID},
    {"SAVEDBEFORE", KEY_SAVEDBEFORE, ARG_DATE},
    {"SAVEDON", KEY_SAVEDON, ARG_DATE},
    {"SAVEDSINCE", KEY_SAVEDSINCE, ARG_DATE},
    {"UIDAFTER", KEY_UIDAFTER, ARG_ONE_UID},
    {"UIDBEFORE", KEY_UIDBEFORE, ARG_ONE_UID},
    {"FILTER", KEY_FILTER, ARG_FILTER},
};

enum container { IN_ROOT, IN_PAREN, IN_OR };

struct open_node {
    uint32_t node, last; /* last child so far, 0 if none */
    enum container kind;
    unsigned children;
};

struct search_parse {
    struct parse *p;
    struct grow nodes;
    struct open_node *stack;
    unsigned depth;
    bool negated; /* an odd number of NOTs stands before the next key */
    bool fuzzy;   /* FUZZY stands before it */
};

static struct search_node *node_at(struct search_parse *sp, uint32_t i)
{
    return (struct search_node *)sp->nodes.items + i;
}

/* A new last child of the innermost container. 0 after parse_fail. */
static uint32_t add_node(struct search_parse *sp, enum search_key key, bool negated)
{
    struct open_node *in = &sp->stack[sp->depth - 1];
    if (!grow_add(sp->p, &sp->nodes))
        return 0;
    uint32_t i = sp->nodes.n - 1;
    struct search_node *node = node_at(sp, i);
    node->key = key;
    node->negated = negated != sp->negated;
    node->fuzzy = sp->fuzzy || node_at(sp, in->node)->fuzzy;
    sp->negated = sp->fuzzy = false;
    if (in->last)
        node_at(sp, in->last)->next = i;
    else
        node_at(sp, in->node)->child = i;
    in->last = i;
    in->children++;
    return i;
}

static int open_container(struct search_parse *sp, enum container kind)
{
    if (sp->depth > sp->p->limits->max_depth)
        return parse_fail(sp->p, ERR_LIMIT, "SEARCH keys nested too deeply (at most %u levels)",
                          sp->p->limits->max_depth);
    uint32_t i = add_node(sp, kind == IN_OR ? KEY_OR : KEY_AND, false);
    if (i == 0)
        return ERR_LIMIT;
    sp->stack[sp->depth++] = (struct open_node){.node = i, .kind = kind};
    return 0;
}

/* ---- arguments of keys ---- */

static int parse_keyword(struct parse *p, struct span *ret)
{
    struct span s;
    int rc = parse_astring(p, "a keyword", &s);
    if (rc)
        return rc;
    if (s.n == 0 || !chars_all(s, CH_ATOM))
        return parse_fail(p, ERR_INVALID, "\"%s\" is not a keyword", parse_excerpt(s).text);
    *ret = s;
    return 0;
}

static int parse_date(struct parse *p, int32_t *ret)
{
    struct span s;
    int rc = parse_astring(p, "a date like 1-Feb-1994", &s);
    if (rc)
        return rc;
    if (date_parse(s, ret))
        return parse_fail(p, ERR_INVALID, "\"%s\" is not a date like 1-Feb-1994",
                          parse_excerpt(s).text);
    return 0;
}

static int parse_header(struct parse *p, struct search_node *node)
{
    int rc = parse_astring(p, "a header field name", &node->field);
    if (rc)
        return rc;
    p->after = "the header field name";
    rc = parse_sp(p, "a string");
    return rc ? rc : parse_astring(p, "a string", &node->text);
}

/* RFC 5032 section 5: nz-number */
static int parse_seconds(struct parse *p, uint64_t *ret)
{
    uint64_t v;
    int rc = parse_number64(p, "a number of seconds", &v);
    if (rc == 0 && (v == 0 || v > UINT32_MAX))
        rc = parse_fail(p, ERR_INVALID, "expected a number of seconds from 1 to 4294967295");
    if (rc == 0)
        *ret = v;
    return rc;
}

/* RFC 5466 section 4: an atom without "/". */
static int parse_filter(struct parse *p, struct span *ret)
{
    struct span name;
    int rc = parse_atom(p, "the name of a filter", &name);
    if (rc == 0 && memchr(name.p, '/', name.n))
        rc = parse_fail(p, ERR_INVALID, "the name of a filter has no \"/\"");
    if (rc == 0)
        *ret = name;
    return rc;
}

/* RFC 8474 section 7: 1*255(ALPHA / DIGIT / "_" / "-") */
static int parse_objectid(struct parse *p, struct span *ret)
{
    struct span s;
    int rc = parse_atom(p, "an object identifier", &s);
    if (rc)
        return rc;
    bool good = s.n <= 255;
    for (size_t i = 0; i < s.n; i++)
        good = good && (ascii_is_alpha((unsigned char)s.p[i]) ||
                        ascii_is_digit((unsigned char)s.p[i]) || s.p[i] == '_' || s.p[i] == '-');
    if (!good)
        return parse_fail(p, ERR_INVALID, "\"%s\" is not an object identifier",
                          parse_excerpt(s).text);
    *ret = s;
    return 0;
}

/* RFC 9738 section 3.4 has the keys in prose only: a UID, or "$" for what a search has found. */
static int parse_one_uid(struct parse *p, struct seqset *ret)
{
    int rc = parse_set(p, ret);
    if (rc == 0 && !ret->saved && (ret->star || ret->n != 1 || ret->r[0].lo != ret->r[0].hi))
        rc = parse_fail(p, ERR_INVALID, "expected one UID");
    return rc;
}

static int parse_argument(struct parse *p, enum argument argument, struct search_node *node)
{
    if (argument == ARG_NONE)
        return 0;
    static const char *const what[] = {
        [ARG_TEXT] = "a string",
        [ARG_HEADER] = "a header field name",
        [ARG_KEYWORD] = "a keyword",
        [ARG_DATE] = "a date like 1-Feb-1994",
        [ARG_NUMBER] = "a number",
        [ARG_UID] = "a sequence set",
        [ARG_MODSEQ] = "a mod-sequence",
        [ARG_SECONDS] = "a number of seconds",
        [ARG_OBJECTID] = "an object identifier",
        [ARG_ONE_UID] = "a UID",
        [ARG_FILTER] = "the name of a filter",
    };
    int rc = parse_sp(p, what[argument]);
    if (rc)
        return rc;
    switch (argument) {
    case ARG_TEXT:
        return parse_astring(p, what[argument], &node->text);
    case ARG_HEADER:
        return parse_header(p, node);
    case ARG_KEYWORD:
        return parse_keyword(p, &node->text);
    case ARG_DATE:
        return parse_date(p, &node->day);
    case ARG_NUMBER:
        return parse_number64(p, what[argument], &node->number);
    case ARG_SECONDS:
        return parse_seconds(p, &node->number);
    case ARG_OBJECTID:
        return parse_objectid(p, &node->text);
    case ARG_FILTER:
        return parse_filter(p, &node->text);
    case ARG_MODSEQ:
        return parse_search_modseq(p, &node->number);
    case ARG_ONE_UID:
        return parse_one_uid(p, &node->set);
    default:
        return parse_set(p, &node->set);
    }
}

/* ---- keys ---- */

/* NEW means RECENT UNSEEN. */
static int add_new(struct search_parse *sp)
{
    int rc = open_container(sp, IN_PAREN);
    if (rc)
        return rc;
    uint32_t recent = add_node(sp, KEY_FLAG, false);
    uint32_t unseen = recent ? add_node(sp, KEY_FLAG, true) : 0;
    if (!unseen)
        return ERR_LIMIT;
    node_at(sp, recent)->number = WIRE_FLAG_RECENT;
    node_at(sp, unseen)->number = WIRE_FLAG_SEEN;
    sp->depth--;
    return 0;
}

static int add_set(struct search_parse *sp)
{
    struct seqset set;
    int rc = parse_set(sp->p, &set);
    if (rc)
        return rc;
    uint32_t i = add_node(sp, KEY_SEQ, false);
    if (!i)
        return ERR_LIMIT;
    node_at(sp, i)->set = set;
    return 0;
}

/* A key without keys inside. */
static int parse_leaf(struct search_parse *sp, struct span name)
{
    struct parse *p = sp->p;
    if (span_ieq(name, SPAN("NEW")))
        return add_new(sp);
    if (span_ieq(name, SPAN("SAVEDATESUPPORTED"))) /* RFC 8514: here by every mailbox */
        return add_node(sp, KEY_ALL, false) ? 0 : ERR_LIMIT;
    int row = KEYWORD_FIND(keys, name);
    if (row < 0)
        return parse_fail(p, ERR_INVALID, "unknown SEARCH key \"%s\"", parse_excerpt(name).text);
    uint32_t i = add_node(sp, keys[row].key, keys[row].negated);
    if (!i)
        return ERR_LIMIT;
    p->after = keys[row].name;
    struct search_node *node = node_at(sp, i);
    if (keys[row].key == KEY_FLAG)
        node->number = keys[row].flag;
    int rc = parse_argument(p, keys[row].argument, node);
    p->after = "a SEARCH key";
    return rc;
}

/* One step at a place where a key must stand. *ret_complete: a key is complete; otherwise a
 * container was opened or NOT was read, and a key must follow. */
static int parse_key(struct search_parse *sp, bool *ret_complete)
{
    struct parse *p = sp->p;
    *ret_complete = false;
    if (parse_take(p, '(')) {
        p->after = "\"(\"";
        return open_container(sp, IN_PAREN);
    }
    if (!parse_at_end(p) && char_is(*p->p, CH_NUMSET)) {
        *ret_complete = true;
        return add_set(sp);
    }
    struct span name = parse_run(p, CH_ATOM);
    if (name.n == 0)
        return parse_expected(p, "a SEARCH key");
    if (span_ieq(name, SPAN("NOT"))) {
        sp->negated = !sp->negated;
        p->after = "NOT";
        return parse_sp(p, "a SEARCH key");
    }
    if (span_ieq(name, SPAN("FUZZY"))) { /* RFC 6203 section 7 */
        sp->fuzzy = true;
        p->after = "FUZZY";
        return parse_sp(p, "a SEARCH key");
    }
    if (span_ieq(name, SPAN("OR"))) {
        int rc = open_container(sp, IN_OR);
        p->after = "OR";
        return rc ? rc : parse_sp(p, "a SEARCH key");
    }
    *ret_complete = true;
    return parse_leaf(sp, name);
}

/* A key is complete: closes the containers that end with it. *ret_more: another key must follow. */
static int after_key(struct search_parse *sp, bool *ret_more)
{
    struct parse *p = sp->p;
    for (;;) {
        struct open_node *in = &sp->stack[sp->depth - 1];
        if (in->kind == IN_ROOT) {
            *ret_more = !parse_at_trailing(p);
            return *ret_more ? parse_sp(p, "a SEARCH key") : 0;
        }
        if (in->kind == IN_OR && in->children < 2) {
            p->after = "the first key of OR";
            *ret_more = true;
            return parse_sp(p, "a second SEARCH key");
        }
        if (in->kind == IN_PAREN && !parse_take(p, ')')) {
            *ret_more = true;
            return parse_looking_at(p, ' ') ? parse_sp(p, "a SEARCH key")
                                            : parse_expected(p, "\")\"");
        }
        sp->depth--;
    }
}

/* RFC 6203 sections 4 and 6: not without FUZZY, which may stand in a filter. */
static int check_relevancy(struct parse *p, const struct cmd_search *search)
{
    bool asked = search->ret & SEARCH_RETURN_RELEVANCY;
    for (unsigned i = 0; i < search->n_sort; i++)
        asked = asked || search->sort[i].key == SORT_RELEVANCY;
    for (uint32_t i = 0; i < search->n_nodes; i++)
        if (search->nodes[i].fuzzy || search->nodes[i].key == KEY_FILTER)
            return 0;
    return asked ? parse_fail(p, ERR_INVALID, "RELEVANCY needs a FUZZY key") : 0;
}

static int parse_program(struct parse *p, struct cmd_search *search)
{
    struct search_parse sp = {
        .p = p,
        .nodes = GROW(struct search_node, p->limits->max_search_nodes, "SEARCH keys"),
    };
    bool more = true, complete;
    sp.stack = arena_array(p->a, (size_t)p->limits->max_depth + 2, sizeof(*sp.stack));
    if (!sp.stack)
        return parse_spent(p);
    if (!grow_add(p, &sp.nodes)) /* the root, KEY_AND */
        return ERR_LIMIT;
    sp.stack[sp.depth++] = (struct open_node){.node = 0, .kind = IN_ROOT};
    while (more) {
        int rc = parse_key(&sp, &complete);
        if (rc == 0 && complete)
            rc = after_key(&sp, &more);
        if (rc)
            return rc;
    }
    search->nodes = sp.nodes.items;
    search->n_nodes = sp.nodes.n;
    return check_relevancy(p, search);
}

/* ---- what stands before the keys ---- */

static const struct keyword return_options[] = {
    {"MIN", SEARCH_RETURN_MIN},
    {"MAX", SEARCH_RETURN_MAX},
    {"ALL", SEARCH_RETURN_ALL},
    {"COUNT", SEARCH_RETURN_COUNT},
    {"SAVE", SEARCH_RETURN_SAVE},
    {"PARTIAL", SEARCH_RETURN_PARTIAL},
    {"UPDATE", SEARCH_RETURN_UPDATE},
    {"CONTEXT", SEARCH_RETURN_CONTEXT},
    {"RELEVANCY", SEARCH_RETURN_RELEVANCY},
};

/* One number of a range, perhaps negative. */
static int parse_place(struct parse *p, bool *ret_from_end, uint32_t *ret)
{
    uint64_t v;
    bool from_end = parse_take(p, '-');
    int rc = parse_number64(p, "a range like 1:100", &v);
    if (rc == 0 && (v == 0 || v > UINT32_MAX))
        rc = parse_fail(p, ERR_INVALID, "places are from 1 to 4294967295");
    if (rc == 0) {
        *ret_from_end = from_end;
        *ret = (uint32_t)v;
    }
    return rc;
}

int parse_partial_range(struct parse *p, struct wire_partial *ret)
{
    const char *start = p->p;
    bool first_end, last_end;
    uint32_t first, last;
    int rc = parse_place(p, &first_end, &first);
    if (rc == 0)
        rc = parse_byte(p, ':', "a range like 1:100");
    if (rc == 0)
        rc = parse_place(p, &last_end, &last);
    if (rc == 0 && first_end != last_end)
        rc = parse_fail(p, ERR_INVALID, "a range is from the beginning or from the end");
    if (rc)
        return rc;
    ret->from_end = first_end;
    ret->first = MIN(first, last);
    ret->last = MAX(first, last);
    ret->text = span_make(start, (size_t)(p->p - start));
    return 0;
}

/* What follows the name of an option. */
static int parse_return_argument(struct parse *p, struct cmd_search *search, uint32_t option)
{
    int rc = 0;
    if (option == SEARCH_RETURN_PARTIAL) {
        p->after = "PARTIAL";
        rc = parse_sp(p, "a range like 1:100");
        if (rc == 0)
            rc = parse_partial_range(p, &search->partial);
    } else if (option == SEARCH_RETURN_UPDATE && p->end - p->p > 1 && p->p[0] == ' ' &&
               p->p[1] == '(') { /* RFC 5465 section 8 */
        struct cmd_fetch ignored = {0};
        const char *start = ++p->p;
        rc = parse_fetch_items(p, &ignored);
        search->update = span_make(start, (size_t)(p->p - start));
    }
    return rc;
}

/* Behind "RETURN": SP "(" [option *(SP option)] ")" */
static int parse_return(struct parse *p, struct cmd_search *search)
{
    p->after = "RETURN";
    int rc = parse_sp(p, "a list of return options");
    if (rc == 0)
        rc = parse_byte(p, '(', "a list of return options");
    if (rc)
        return rc;
    search->has_return = true;
    search->ret = SEARCH_RETURN_ALL;
    if (parse_take(p, ')'))
        return 0;
    search->ret = 0;
    do {
        struct span name;
        rc = parse_atom(p, "a return option", &name);
        if (rc)
            return rc;
        int i = KEYWORD_FIND(return_options, name);
        if (i < 0)
            return parse_fail(p, ERR_INVALID, "unknown SEARCH return option \"%s\"",
                              parse_excerpt(name).text);
        uint32_t option = return_options[i].value;
        /* RFC 5267 section 4.4: one PARTIAL, or one ALL */
        uint32_t once =
            SEARCH_RETURN_PARTIAL | (option == SEARCH_RETURN_PARTIAL ? SEARCH_RETURN_ALL : 0);
        if ((option & (SEARCH_RETURN_PARTIAL | SEARCH_RETURN_ALL)) && (search->ret & once))
            return parse_fail(p, ERR_INVALID,
                              "PARTIAL goes neither with ALL nor with another PARTIAL");
        search->ret |= option;
        rc = parse_return_argument(p, search, option);
        if (rc)
            return rc;
        p->after = "a return option";
    } while (parse_take(p, ' '));
    return parse_byte(p, ')', "\")\"");
}

/* Takes the word if it stands at the point, followed by a space. */
static bool take_word(struct parse *p, struct span word)
{
    struct span rest = span_make(p->p, (size_t)(p->end - p->p));
    if (!span_istarts(rest, word) || rest.n <= word.n || rest.p[word.n] != ' ')
        return false;
    p->p += word.n;
    return true;
}

int search_keys_parse(struct span text, const struct parse_limits *limits, struct arena *a,
                      struct cmd_search *ret, struct parse_error *ret_error)
{
    struct parse p = {text.p,    text.p + text.n, a,       limits ? limits : &parse_limits_default,
                      ret_error, "the beginning", "SEARCH"};
    ret_error->tag = SPAN_EMPTY;
    ret_error->id = CMD_SEARCH;
    ret_error->reason[0] = '\0';
    int rc = parse_program(&p, ret);
    return rc ? rc : parse_end(&p);
}

/* What SEARCH and ESEARCH share, behind a space. */
static int parse_what_to_search(struct parse *p, struct cmd_search *search)
{
    int rc;
    if (take_word(p, SPAN("RETURN"))) {
        rc = parse_return(p, search);
        p->after = "the return options";
        if (rc == 0)
            rc = parse_sp(p, "a SEARCH key");
        if (rc)
            return rc;
    }
    if (take_word(p, SPAN("CHARSET"))) {
        p->after = "CHARSET";
        rc = parse_sp(p, "a charset");
        if (rc == 0)
            rc = parse_astring(p, "a charset", &search->charset);
        p->after = "the charset";
        if (rc == 0)
            rc = parse_sp(p, "a SEARCH key");
        if (rc)
            return rc;
    }
    return parse_program(p, search);
}

int parse_search(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a SEARCH key");
    return rc ? rc : parse_what_to_search(p, &c->search);
}

/* ---- ESEARCH (RFC 7377 section 4) ---- */

/* "(" filter-mailboxes *(SP filter-mailboxes) ")"; no scope options have been defined. */
static int parse_sources(struct parse *p, struct cmd_search *search)
{
    struct grow sources = GROW(struct notify_group, p->limits->max_args, "mailbox specifiers");
    p->after = "IN";
    int rc = parse_sp(p, "a list of mailboxes");
    if (rc == 0)
        rc = parse_byte(p, '(', "a list of mailboxes like (PERSONAL)");
    if (rc)
        return rc;
    do {
        if (sources.n && parse_looking_at(p, '('))
            return parse_fail(p, ERR_INVALID, "no scope options are known here");
        struct notify_group *g = grow_add(p, &sources);
        if (!g)
            return ERR_LIMIT;
        rc = parse_filter_mailboxes(p, g);
        if (rc == 0 && g->filter == NOTIFY_SELECTED_DELAYED)
            rc = parse_fail(p, ERR_INVALID, "SELECTED-DELAYED is for NOTIFY only");
        if (rc)
            return rc;
    } while (parse_take(p, ' '));
    search->sources = sources.items;
    search->n_sources = sources.n;
    return parse_byte(p, ')', "\")\"");
}

/* Section 2.2: UPDATE and SAVE are about the selected mailbox. */
static int check_save(struct parse *p, const struct cmd_search *search)
{
    for (unsigned i = 0; i < search->n_sources; i++)
        if (search->sources[i].filter != NOTIFY_SELECTED && (search->ret & SEARCH_RETURN_SAVE))
            return parse_fail(p, ERR_INVALID, "SAVE goes with SELECTED alone");
    return 0;
}

int parse_esearch(struct parse *p, struct command *c)
{
    int rc = parse_sp(p, "a SEARCH key");
    if (rc == 0 && take_word(p, SPAN("IN"))) {
        rc = parse_sources(p, &c->search);
        p->after = "the mailboxes";
        if (rc == 0)
            rc = parse_sp(p, "a SEARCH key");
    }
    c->uid = true; /* section 2.1: it is always about UIDs */
    if (rc == 0)
        rc = parse_what_to_search(p, &c->search);
    return rc ? rc : check_save(p, &c->search);
}

/* ---- SORT (RFC 5256 section 5, RFC 5267 section 3, RFC 5957 section 5) ---- */

static const struct keyword sort_keys[] = {
    {"ARRIVAL", SORT_ARRIVAL},
    {"CC", SORT_CC},
    {"DATE", SORT_DATE},
    {"FROM", SORT_FROM},
    {"SIZE", SORT_SIZE},
    {"SUBJECT", SORT_SUBJECT},
    {"TO", SORT_TO},
    {"DISPLAYFROM", SORT_DISPLAYFROM},
    {"DISPLAYTO", SORT_DISPLAYTO},
    {"RELEVANCY", SORT_RELEVANCY},
};

/* "(" ["REVERSE" SP] key *(SP ["REVERSE" SP] key) ")" */
static int parse_criteria(struct parse *p, struct cmd_search *search)
{
    struct grow found = GROW(struct sort_criterion, 2 * ARRAY_LEN(sort_keys), "sort criteria");
    int rc = parse_byte(p, '(', "a list of sort criteria");
    if (rc)
        return rc;
    do {
        struct span name;
        bool reverse = false;
        if ((rc = parse_atom(p, "a sort criterion", &name)) != 0)
            return rc;
        if (span_ieq(name, SPAN("REVERSE"))) {
            reverse = true;
            p->after = "REVERSE";
            if ((rc = parse_sp(p, "a sort criterion")) != 0 ||
                (rc = parse_atom(p, "a sort criterion", &name)) != 0)
                return rc;
        }
        int i = KEYWORD_FIND(sort_keys, name);
        if (i < 0)
            return parse_fail(p, ERR_INVALID, "unknown sort criterion \"%s\"",
                              parse_excerpt(name).text);
        struct sort_criterion *c = grow_add(p, &found);
        if (!c)
            return ERR_LIMIT;
        *c = (struct sort_criterion){(enum sort_key)sort_keys[i].value, reverse, false};
        p->after = "a sort criterion";
    } while (parse_take(p, ' '));
    search->sort = found.items;
    search->n_sort = found.n;
    return parse_byte(p, ')', "\")\"");
}

int parse_sort(struct parse *p, struct command *c)
{
    struct cmd_search *search = &c->search;
    int rc = parse_sp(p, "a list of sort criteria");
    if (rc == 0 && take_word(p, SPAN("RETURN"))) {
        rc = parse_return(p, search);
        p->after = "the return options";
        if (rc == 0)
            rc = parse_sp(p, "a list of sort criteria");
    }
    if (rc == 0)
        rc = parse_criteria(p, search);
    p->after = "the sort criteria";
    if (rc == 0)
        rc = parse_sp(p, "a charset");
    if (rc == 0)
        rc = parse_astring(p, "a charset", &search->charset);
    p->after = "the charset";
    if (rc == 0)
        rc = parse_sp(p, "a SEARCH key");
    return rc ? rc : parse_program(p, search);
}

/* ---- THREAD (RFC 5256 section 5) ---- */

static const struct keyword algorithms[] = {
    {"ORDEREDSUBJECT", THREAD_ORDEREDSUBJECT},
    {"REFERENCES", THREAD_REFERENCES},
    {"REFS", THREAD_REFS},
};

int parse_thread(struct parse *p, struct command *c)
{
    struct cmd_search *search = &c->search;
    struct span name;
    int rc = parse_sp(p, "a threading algorithm");
    if (rc == 0)
        rc = parse_atom(p, "a threading algorithm", &name);
    if (rc)
        return rc;
    int i = KEYWORD_FIND(algorithms, name);
    if (i < 0)
        return parse_fail(p, ERR_INVALID, "unknown threading algorithm \"%s\"",
                          parse_excerpt(name).text);
    search->thread = (enum thread_algorithm)algorithms[i].value;
    p->after = "the threading algorithm";
    rc = parse_sp(p, "a charset");
    if (rc == 0)
        rc = parse_astring(p, "a charset", &search->charset);
    p->after = "the charset";
    if (rc == 0)
        rc = parse_sp(p, "a SEARCH key");
    return rc ? rc : parse_program(p, search);
}
