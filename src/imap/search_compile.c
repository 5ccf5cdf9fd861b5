/* imap/search_compile.c: from the grammar's tree to a program in postfix order. */
#include "base/clock.h"
#include "imap/search.h"
#include "message/charset.h"

struct compiler {
    struct task *task;
    struct view *view;
    struct snap *snap;
    struct search_program *program;
    struct span charset;
    int error;
    bool fuzzy; /* the node at hand */
};

static struct judge_key *emit(struct compiler *c, enum search_op op)
{
    struct judge_key *k = &c->program->keys[c->program->count++];
    *k = (struct judge_key){.op = op, .fuzzy = c->fuzzy};
    c->program->fuzzy |= c->fuzzy;
    return k;
}

static uint32_t add_term(struct compiler *c, enum search_where where, struct span field,
                         const struct needle *needle)
{
    struct search_program *p = c->program;
    if (p->term_count == SEARCH_TERMS_MAX) {
        c->error = ERR_LIMIT;
        return 0;
    }
    p->terms[p->term_count] = (struct search_term){where, field, needle};
    return (uint32_t)p->term_count++;
}

/* A text key: its needle in UTF-8, from the command's charset. */
static void emit_text(struct compiler *c, enum search_where where, struct span field,
                      struct span text)
{
    autobuf utf8 = BUF_INIT(1 << 20);
    if (charset_key_to_utf8(c->charset, text, &utf8)) {
        c->error = ERR_DENIED;
        emit(c, SEARCH_TRUE);
        return;
    }
    enum header_id id = where == SEARCH_HEADER ? header_id(field) : HEADER_OTHER;
    struct judge_key *k = emit(c, id == HEADER_OTHER ? SEARCH_TERM : SEARCH_FIELD);
    k->needle = c->fuzzy ? needle_new_fuzzy(buf_span(&utf8)) : needle_new(buf_span(&utf8));
    k->field = id;
    k->number = add_term(c, where, field, k->needle);
    c->program->needs_derived = true;
}

static void emit_days(struct compiler *c, enum search_op op, int64_t from, int64_t to)
{
    struct judge_key *k = emit(c, op);
    k->from = from;
    k->to = to;
    c->program->needs_derived |= op == SEARCH_SENT_DAY;
}

/* RFC 9738 section 3.4. Of the result of a search, what is outside of all of it. */
static void emit_beyond(struct compiler *c, const struct search_node *n)
{
    struct judge_key *k = emit(c, SEARCH_UIDS);
    const struct ranges *saved = &c->task->session->saved;
    bool after = n->key == KEY_UIDAFTER;
    uint32_t uid;
    if (!n->set.saved)
        uid = n->set.r[0].lo;
    else if (saved->n && c->view == c->task->session->view)
        uid = after ? saved->v[saved->n - 1].hi : saved->v[0].lo;
    else
        return;
    if (after && uid < UINT32_MAX)
        ranges_add(&k->uids, uid + 1, UINT32_MAX);
    else if (!after && uid > 1)
        ranges_add(&k->uids, 1, uid - 1);
}

/* RFC 5032 section 3: by INTERNALDATE, to the second. The moment is fixed once for all messages. */
static void emit_within(struct compiler *c, const struct search_node *n)
{
    struct judge_key *k = emit(c, SEARCH_WITHIN);
    int64_t limit = (int64_t)(clock_wall_us() / 1000000) - (int64_t)n->number;
    bool younger = n->key == KEY_YOUNGER;
    k->from = younger ? limit : INT64_MIN;
    k->to = younger ? INT64_MAX : limit + 1;
}

/* RFC 7377 section 2: for ESEARCH it is no error if message numbers do not exist. */
static enum resolve how_to_resolve(const struct compiler *c, const struct search_node *n)
{
    return n->key == KEY_UID                     ? RESOLVE_UIDS
           : c->task->command->id == CMD_ESEARCH ? RESOLVE_WITHIN
                                                 : RESOLVE_NUMBERS;
}

static void emit_set(struct compiler *c, const struct search_node *n)
{
    struct judge_key *k = emit(c, SEARCH_UIDS);
    int rc = view_resolve(c->view, c->snap, &n->set, how_to_resolve(c, n), &k->uids);
    if (rc)
        c->error = rc;
    /* What is to come is above "5:*"; a lone "*" stays the message that it is now. */
    uint32_t star = n->set.star;
    if (rc == 0 && n->key == KEY_UID && star && star != UINT32_MAX &&
        (c->task->command->search.ret & SEARCH_RETURN_UPDATE))
        ranges_add(&k->uids, MAX(star, c->view->uidnext), UINT32_MAX);
}

static void emit_flag(struct compiler *c, const struct search_node *n)
{
    if (n->number == WIRE_FLAG_RECENT) {
        emit(c, SEARCH_RECENT);
        return;
    }
    struct judge_key *k = emit(c, SEARCH_FLAGS);
    k->mask = k->want = store_flags((uint32_t)n->number);
}

static void emit_keyword(struct compiler *c, const struct search_node *n)
{
    struct judge_key *k = emit(c, SEARCH_KEYWORD);
    uint16_t id;
    k->number = snap_keyword_find(c->snap, n->text, &id) ? UINT32_MAX : id;
    k->name = n->text;
}

void search_program_refresh(struct search_program *p, struct snap *snap)
{
    uint16_t id;
    for (size_t i = 0; i < p->count; i++)
        if (p->keys[i].op == SEARCH_KEYWORD && p->keys[i].number == UINT32_MAX &&
            snap_keyword_find(snap, p->keys[i].name, &id) == 0)
            p->keys[i].number = id;
}

static void emit_leaf(struct compiler *c, const struct search_node *n)
{
    const int64_t ever = INT64_MAX;
    struct judge_key *k;
    switch (n->key) {
    case KEY_FILTER: /* they have been replaced */
    case KEY_ALL:
    case KEY_AND: /* without children */
    case KEY_OR:
        emit(c, SEARCH_TRUE);
        return;
    case KEY_FLAG:
        emit_flag(c, n);
        return;
    case KEY_KEYWORD:
        emit_keyword(c, n);
        return;
    case KEY_BODY:
        emit_text(c, SEARCH_BODY, SPAN_EMPTY, n->text);
        return;
    case KEY_TEXT:
        emit_text(c, SEARCH_TEXT, SPAN_EMPTY, n->text);
        return;
    case KEY_FROM:
        emit_text(c, SEARCH_HEADER, SPAN("From"), n->text);
        return;
    case KEY_TO:
        emit_text(c, SEARCH_HEADER, SPAN("To"), n->text);
        return;
    case KEY_CC:
        emit_text(c, SEARCH_HEADER, SPAN("Cc"), n->text);
        return;
    case KEY_BCC:
        emit_text(c, SEARCH_HEADER, SPAN("Bcc"), n->text);
        return;
    case KEY_SUBJECT:
        emit_text(c, SEARCH_HEADER, SPAN("Subject"), n->text);
        return;
    case KEY_HEADER:
        emit_text(c, SEARCH_HEADER, n->field, n->text);
        return;
    case KEY_BEFORE:
        emit_days(c, SEARCH_DAY, INT64_MIN, n->day);
        return;
    case KEY_ON:
        emit_days(c, SEARCH_DAY, n->day, (int64_t)n->day + 1);
        return;
    case KEY_SINCE:
        emit_days(c, SEARCH_DAY, n->day, ever);
        return;
    case KEY_SENTBEFORE:
        emit_days(c, SEARCH_SENT_DAY, INT64_MIN, n->day);
        return;
    case KEY_SENTON:
        emit_days(c, SEARCH_SENT_DAY, n->day, (int64_t)n->day + 1);
        return;
    case KEY_SENTSINCE:
        emit_days(c, SEARCH_SENT_DAY, n->day, ever);
        return;
    case KEY_SAVEDBEFORE:
        emit_days(c, SEARCH_SAVED_DAY, INT64_MIN, n->day);
        return;
    case KEY_SAVEDON:
        emit_days(c, SEARCH_SAVED_DAY, n->day, (int64_t)n->day + 1);
        return;
    case KEY_SAVEDSINCE:
        emit_days(c, SEARCH_SAVED_DAY, n->day, ever);
        return;
    case KEY_UIDAFTER:
    case KEY_UIDBEFORE:
        emit_beyond(c, n);
        return;
    case KEY_LARGER:
    case KEY_SMALLER:
        k = emit(c, n->key == KEY_LARGER ? SEARCH_LARGER : SEARCH_SMALLER);
        k->size = n->number;
        return;
    case KEY_SEQ:
    case KEY_UID:
        emit_set(c, n);
        return;
    case KEY_OLDER:
    case KEY_YOUNGER:
        emit_within(c, n);
        return;
    case KEY_EMAILID:
        k = emit(c, SEARCH_MESSAGE);
        if (!email_id_parse(n->text, &k->size))
            k->op = SEARCH_NONE;
        return;
    case KEY_THREADID: /* RFC 8474 section 5.2: not offered, so nothing matches */
        emit(c, SEARCH_NONE);
        return;
    case KEY_MODSEQ:
        emit(c, SEARCH_MODSEQ)->size = n->number;
        c->program->has_modseq = true;
        return;
    }
}

/* Depth first without recursion: `stack` holds the nodes between the root and here, with how many
 * of their children have been emitted. */
struct search_open {
    uint32_t node, next_child, done;
};

static void emit_tree(struct compiler *c, const struct search_node *nodes,
                      struct search_open *stack)
{
    size_t depth = 0;
    stack[depth++] = (struct search_open){0, nodes[0].child, 0};
    while (depth && !c->error) {
        struct search_open *top = &stack[depth - 1];
        const struct search_node *n = &nodes[top->node];
        if (top->next_child) { /* descend */
            uint32_t child = top->next_child;
            top->next_child = nodes[child].next;
            stack[depth++] = (struct search_open){child, nodes[child].child, 0};
            continue;
        }
        c->fuzzy = n->fuzzy;
        if (!n->child)
            emit_leaf(c, n);
        if (n->negated)
            emit(c, SEARCH_NOT);
        depth--;
        if (depth && stack[depth - 1].done++ > 0)
            emit(c, nodes[stack[depth - 1].node].key == KEY_OR ? SEARCH_OR : SEARCH_AND);
    }
}

/* Where the search can be confined to some UIDs: sets that stand at the top of the program. */
static void find_scope(struct compiler *c, const struct search_node *nodes)
{
    struct search_program *p = c->program;
    const struct view *v = c->view;
    if (v->uidnext > 1)
        ranges_add(&p->scope, 1, v->uidnext - 1);
    for (uint32_t i = nodes[0].child; i && !c->error; i = nodes[i].next) {
        if (nodes[i].negated || (nodes[i].key != KEY_UID && nodes[i].key != KEY_SEQ))
            continue;
        autoranges set = RANGES_INIT;
        c->error =
            view_resolve(c->view, c->snap, &nodes[i].set, how_to_resolve(c, &nodes[i]), &set);
        ranges_intersect(&p->scope, &set);
    }
}

/* The memory of a program, which the next one of the same command takes over. */
static int take_memory(struct task *t, struct search_program *p)
{
    /* Each node becomes at most itself, a NOT and the operator that joins it to its sibling. */
    size_t nodes = t->command->search.n_nodes, n = nodes * 3;
    if (p->stack)
        return 0;
    p->keys = arena_array(&t->arena, n, sizeof(*p->keys));
    p->open = arena_array(&t->arena, nodes + 1, sizeof(*p->open));
    p->scores = arena_alloc(&t->arena, n + 1);
    p->stack = p->scores ? arena_alloc(&t->arena, n + 1) : NULL;
    return p->keys && p->open && p->stack ? 0 : ERR_LIMIT;
}

int search_compile(struct task *t, struct view *view, struct snap *snap, struct search_program *ret)
{
    const struct cmd_search *a = &t->command->search;
    struct compiler c = {t, view, snap, ret, a->charset, 0, false};
    int rc = take_memory(t, ret);
    if (rc)
        return rc;
    if (c.charset.n == 0)
        c.charset = SPAN("UTF-8"); /* RFC 9051 section 6.4.4; a superset of rev1's US-ASCII */
    else if (!charset_known(c.charset))
        return ERR_DENIED;
    emit_tree(&c, a->nodes, ret->open);
    if (!c.error)
        find_scope(&c, a->nodes);
    if (!c.error && ret->term_count)
        ret->bytes = message_search_new(ret->terms, ret->term_count);
    return c.error;
}
