#include "imap/filters.h"

#include "imap/metadata.h"

/* Filters may name filters: so many times what is named is looked at. Whoever still finds a FILTER
 * then has found a loop, or what is as good as one (RFC 5466 section 3.1: at least 3). */
enum { PASSES_MAX = 10 };

#define VALUES_PRIVATE "/private/filters/values/"
#define VALUES_SHARED  "/shared/filters/values/"

static bool undefined(struct task *t, struct span name)
{
    autobuf code = BUF_INIT(BUF_UNLIMITED);
    buf_put_lit(&code, "UNDEFINED-FILTER ");
    buf_put_span(&code, name);
    buf_put_byte(&code, '\0');
    task_no(t, code.p, "There is no such filter, or it is no search");
    return false;
}

/* The private one goes before the shared one. */
static int find_value(struct task *t, struct snap *snap, struct span name, struct span *ret)
{
    static const char *const roots[] = {VALUES_PRIVATE, VALUES_SHARED};
    int rc = ERR_NOT_FOUND;
    for (size_t i = 0; i < ARRAY_LEN(roots) && rc == ERR_NOT_FOUND; i++) {
        autobuf text = BUF_INIT(1024);
        struct span entry;
        buf_put_str(&text, roots[i]);
        buf_put_span(&text, name);
        if (buf_ok(&text) && metadata_entry_name(t, buf_span(&text), &entry))
            rc = metadata_of_server(t->session, snap, entry, ret);
    }
    return rc;
}

/* The nodes of `found` behind those of the command, as children of node `at`. */
static bool graft(struct task *t, uint32_t at, const struct cmd_search *found)
{
    struct cmd_search *a = &t->command->search;
    uint32_t base = a->n_nodes;
    if (found->n_nodes > t->session->host->settings.parse.max_search_nodes - base) {
        task_no(t, "LIMIT", "The filters have too many SEARCH keys");
        return false;
    }
    struct search_node *nodes =
        arena_array(&t->arena, (size_t)base + found->n_nodes, sizeof(*nodes));
    if (!nodes) {
        task_no(t, "LIMIT", "The command needs too much memory");
        return false;
    }
    memcpy(nodes, a->nodes, base * sizeof(*nodes));
    for (uint32_t i = 0; i < found->n_nodes; i++) {
        struct search_node *n = &nodes[base + i];
        *n = found->nodes[i];
        n->fuzzy = n->fuzzy || nodes[at].fuzzy;
        n->child += n->child ? base : 0;
        n->next += n->next ? base : 0;
    }
    nodes[at].key = KEY_AND;
    nodes[at].child = nodes[base].child;
    a->nodes = nodes;
    a->n_nodes = base + found->n_nodes;
    return true;
}

static bool expand_one(struct task *t, struct snap *snap, uint32_t at)
{
    const struct span name = t->command->search.nodes[at].text;
    struct cmd_search found = {.nodes = NULL};
    struct parse_error error;
    struct span value;
    int rc = find_value(t, snap, name, &value);
    if (rc == 0)
        rc = search_keys_parse(arena_copy(&t->arena, value), &t->session->host->settings.parse,
                               &t->arena, &found, &error);
    if (rc == ERR_NOT_FOUND || rc == ERR_INVALID)
        return undefined(t, name);
    if (rc)
        task_no(t, "LIMIT", "The filter cannot be used now");
    return rc == 0 && graft(t, at, &found);
}

static uint32_t next_filter(const struct cmd_search *a, uint32_t from)
{
    while (from < a->n_nodes && a->nodes[from].key != KEY_FILTER)
        from++;
    return from;
}

bool filters_expand(struct task *t)
{
    struct cmd_search *a = &t->command->search;
    autosnap *snap = NULL; /* of the user's own account, whatever is searched */
    uint32_t at = next_filter(a, 0);
    if (at == a->n_nodes)
        return true;
    if (a->charset.n && !span_ieq(a->charset, SPAN("UTF-8")) &&
        !span_ieq(a->charset, SPAN("US-ASCII"))) {
        task_bad_code(t, "BADCHARSET (UTF-8 US-ASCII)", "FILTER is UTF-8");
        return false;
    }
    a->charset = SPAN("UTF-8");
    int rc = snap_begin(t->session->account, &snap);
    if (rc) {
        task_store_failed(t, rc, false);
        return false;
    }
    for (int pass = 0; pass < PASSES_MAX; pass++) {
        uint32_t end = a->n_nodes;
        for (at = next_filter(a, 0); at < end; at = next_filter(a, at + 1))
            if (!expand_one(t, snap, at))
                return false;
        at = next_filter(a, 0);
        if (at == a->n_nodes)
            return true;
    }
    return undefined(t, a->nodes[at].text);
}

bool filter_value_allowed(struct task *t, struct span entry, struct span value)
{
    struct cmd_search found = {.nodes = NULL};
    struct parse_error error;
    if (!span_starts(entry, SPAN(VALUES_PRIVATE)))
        return true;
    int rc = search_keys_parse(value, &t->session->host->settings.parse, &t->arena, &found, &error);
    if (rc)
        task_no(t, "CANNOT", "The value of a filter must be SEARCH keys");
    return rc == 0;
}
