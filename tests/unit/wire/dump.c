#include "dump.h"

#include "wire/date.h"
#include "wire/write.h"

void dump_text(struct buf *b, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '\r')
            buf_put_lit(b, "\\r");
        else if (c == '\n')
            buf_put_lit(b, "\\n");
        else if (c < 0x20 || c >= 0x7f || c == '\\')
            buf_printf(b, "\\x%02x", c);
        else
            buf_put_byte(b, (char)c);
    }
}

static void put_text(struct buf *b, struct span s)
{
    buf_put_lit(b, " [");
    dump_text(b, s);
    buf_put_byte(b, ']');
}

static void put_texts(struct buf *b, const struct span *s, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put_text(b, s[i]);
}

static void put_set(struct buf *b, const struct seqset *set)
{
    buf_put_byte(b, ' ');
    seqset_write(b, set);
}

static void put_bits(struct buf *b, uint32_t bits, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bits >> i & 1)
            buf_printf(b, " %s", names[i]);
}

static void put_flags(struct buf *b, const struct wire_flags *f)
{
    buf_put_byte(b, ' ');
    write_flags(b, f->system, f->keywords, f->n_keywords);
    if (f->unknown.n)
        buf_printf(b, " unknown " SPAN_FMT, SPAN_ARG(f->unknown));
}

static void put_append_bytes(struct buf *b, const struct append_bytes *m)
{
    buf_printf(b, " %s%s%llu", m->utf8 ? "utf8 " : "", m->binary ? "binary " : "",
               (unsigned long long)m->size);
    if (m->streamed)
        buf_printf(b, " stream %u", m->index);
    else
        put_text(b, m->data);
}

static void put_pieces(struct buf *b, const struct append_part *m)
{
    buf_put_lit(b, " catenate");
    for (unsigned i = 0; i < m->n_pieces; i++) {
        buf_put_str(b, m->pieces[i].is_url ? " url" : " text");
        if (m->pieces[i].is_url)
            put_text(b, m->pieces[i].url);
        else
            put_append_bytes(b, &m->pieces[i].text);
    }
}

static void put_notify(struct buf *b, const struct cmd_notify *n)
{
    static const char *const filters[] = {"selected",   "selected-delayed", "inboxes",  "personal",
                                          "subscribed", "subtree",          "mailboxes"};
    buf_put_str(b, n->set ? " set" : " none");
    buf_put_str(b, n->status ? " status" : "");
    buf_put_str(b, n->unknown_event ? " unknown-event" : "");
    for (unsigned i = 0; i < n->n_groups; i++) {
        const struct notify_group *g = &n->groups[i];
        buf_printf(b, " (%s", filters[g->filter]);
        put_texts(b, g->names, g->n_names);
        buf_printf(b, " %x)", g->events);
    }
    if (n->fetch.n)
        put_text(b, n->fetch);
}

static void put_append(struct buf *b, const struct cmd_append *a)
{
    if (a->incomplete)
        buf_put_lit(b, " incomplete");
    put_text(b, a->name);
    for (unsigned i = 0; i < a->n; i++) {
        const struct append_part *m = &a->messages[i];
        buf_put_lit(b, " {");
        if (m->has_flags)
            put_flags(b, &m->flags);
        if (m->has_date)
            buf_printf(b, " at %lld %d", (long long)m->date, m->zone);
        if (m->catenate)
            put_pieces(b, m);
        else
            put_append_bytes(b, &m->bytes);
        buf_put_lit(b, " }");
    }
}

static void put_node(struct buf *b, const struct search_node *node)
{
    static const char *const names[] = {
        "AND",         "OR",
        "ALL",         "FLAG",
        "KEYWORD",     "BCC",
        "BODY",        "CC",
        "FROM",        "SUBJECT",
        "TEXT",        "TO",
        "HEADER",      "BEFORE",
        "ON",          "SINCE",
        "SENTBEFORE",  "SENTON",
        "SENTSINCE",   "LARGER",
        "SMALLER",     "SEQ",
        "UID",         "MODSEQ",
        "OLDER",       "YOUNGER",
        "EMAILID",     "THREADID",
        "SAVEDBEFORE", "SAVEDON",
        "SAVEDSINCE",  "UIDAFTER",
        "UIDBEFORE",   [KEY_FILTER] = "FILTER",
    };
    buf_printf(b, " %s%s%s", node->negated ? "!" : "", node->fuzzy ? "~" : "", names[node->key]);
    switch (node->key) {
    case KEY_FLAG:
        buf_put_byte(b, ' ');
        write_flags(b, (uint32_t)node->number, NULL, 0);
        break;
    case KEY_LARGER:
    case KEY_SMALLER:
    case KEY_MODSEQ:
    case KEY_OLDER:
    case KEY_YOUNGER:
        buf_printf(b, " %llu", (unsigned long long)node->number);
        break;
    case KEY_HEADER:
        put_text(b, node->field);
        put_text(b, node->text);
        break;
    case KEY_BEFORE:
    case KEY_ON:
    case KEY_SINCE:
    case KEY_SENTBEFORE:
    case KEY_SENTON:
    case KEY_SENTSINCE:
    case KEY_SAVEDBEFORE:
    case KEY_SAVEDON:
    case KEY_SAVEDSINCE:
        buf_put_byte(b, ' ');
        date_write(b, node->day);
        break;
    case KEY_SEQ:
    case KEY_UID:
    case KEY_UIDAFTER:
    case KEY_UIDBEFORE:
        put_set(b, &node->set);
        break;
    case KEY_AND:
    case KEY_OR:
    case KEY_ALL:
        break;
    default:
        put_text(b, node->text);
    }
}

static void put_sources(struct buf *b, const struct cmd_search *s)
{
    static const char *const filters[] = {"SELECTED", "DELAYED", "INBOXES",   "PERSONAL",
                                          "SUBSCR",   "SUBTREE", "MAILBOXES", "SUBTREE-ONE"};
    for (unsigned i = 0; i < s->n_sources; i++) {
        buf_printf(b, "%s%s", i ? " " : " IN ", filters[s->sources[i].filter]);
        for (unsigned k = 0; k < s->sources[i].n_names; k++)
            put_text(b, s->sources[i].names[k]);
    }
    if (s->n_sources)
        buf_put_lit(b, ";");
}

static void put_order(struct buf *b, const struct cmd_search *s)
{
    static const char *const keys[] = {"ARRIVAL", "CC", "DATE",        "FROM",      "SIZE",
                                       "SUBJECT", "TO", "DISPLAYFROM", "DISPLAYTO", "RELEVANCY"};
    static const char *const algorithms[] = {"", "ORDEREDSUBJECT", "REFERENCES", "REFS"};
    if (s->thread)
        buf_printf(b, " %s", algorithms[s->thread]);
    for (unsigned i = 0; i < s->n_sort; i++)
        buf_printf(b, " %s%s", s->sort[i].reverse ? "!" : "", keys[s->sort[i].key]);
}

/* Depth first along child and next; parents come before their children in the array. */
static void put_search(struct buf *b, const struct cmd_search *s)
{
    static const char *const options[] = {"MIN",     "MAX",    "ALL",     "COUNT",    "SAVE",
                                          "PARTIAL", "UPDATE", "CONTEXT", "RELEVANCY"};
    if (s->has_return) {
        buf_put_lit(b, " RETURN");
        put_bits(b, s->ret, options, ARRAY_LEN(options));
        if (s->ret & SEARCH_RETURN_PARTIAL)
            buf_printf(b, " %s%u-%u " SPAN_FMT, s->partial.from_end ? "end " : "", s->partial.first,
                       s->partial.last, SPAN_ARG(s->partial.text));
        if (s->update.n)
            put_text(b, s->update);
        buf_put_lit(b, ";");
    }
    if (s->charset.n)
        put_text(b, s->charset);
    uint32_t stack[256], depth = 0, i = 0;
    for (;;) {
        const struct search_node *node = &s->nodes[i];
        invariant(i < s->n_nodes);
        put_node(b, node);
        if (node->child && (node->key == KEY_AND || node->key == KEY_OR)) {
            invariant(depth < ARRAY_LEN(stack) && node->child > i);
            stack[depth++] = i;
            buf_put_lit(b, " (");
            i = node->child;
            continue;
        }
        while (i && s->nodes[i].next == 0) {
            buf_put_lit(b, " )");
            i = stack[--depth];
        }
        if (i == 0)
            break;
        i = s->nodes[i].next;
    }
}

static void put_fetch(struct buf *b, const struct cmd_fetch *f)
{
    static const char *const atts[] = {
        "UID",           "FLAGS",    "INTERNALDATE",  "RFC822.SIZE",  "ENVELOPE", "BODY",
        "BODYSTRUCTURE", "RFC822",   "RFC822.HEADER", "RFC822.TEXT",  "MODSEQ",   "EMAILID",
        "THREADID",      "SAVEDATE", "PREVIEW",       "PREVIEW-LAZY",
    };
    put_set(b, &f->set);
    put_bits(b, f->atts, atts, ARRAY_LEN(atts));
    for (unsigned i = 0; i < f->n_sections; i++) {
        buf_put_str(b, f->sections[i].peek ? " peek " : " ");
        write_section_name(b, &f->sections[i], true);
        if (f->sections[i].has_partial)
            buf_printf(b, "%llu", (unsigned long long)f->sections[i].length);
    }
    buf_put_str(b, f->sets_seen ? " seen" : "");
}

static void put_convert(struct buf *b, const struct cmd_convert *a)
{
    static const char *const kinds[] = {"STRUCTURE", "BINARY", "SIZE",
                                        "AVAILABLE", "HEADER", "MIME"};
    put_set(b, &a->set);
    buf_put_str(b, a->type.n ? " " : " NIL");
    buf_put_span(b, a->type);
    for (unsigned i = 0; i < a->n_params; i++)
        buf_printf(b, " [" SPAN_FMT "=" SPAN_FMT "]", SPAN_ARG(a->params[i].name),
                   SPAN_ARG(a->params[i].value));
    buf_put_str(b, a->uid ? " UID" : "");
    for (unsigned i = 0; i < a->n_items; i++) {
        buf_printf(b, " %s:", kinds[a->items[i].kind]);
        write_section_name(b, &a->items[i].section, true);
        if (a->items[i].section.has_partial)
            buf_put_u64(b, a->items[i].section.length);
    }
}

static void put_list(struct buf *b, const struct cmd_list *l)
{
    static const char *const select[] = {"SUBSCRIBED", "REMOTE", "RECURSIVEMATCH", "SPECIAL-USE"};
    static const char *const ret[] = {"SUBSCRIBED", "CHILDREN", "SPECIAL-USE", "STATUS"};
    buf_put_str(b, l->extended ? " extended" : "");
    put_bits(b, l->select, select, ARRAY_LEN(select));
    put_text(b, l->reference);
    put_texts(b, l->patterns, l->n_patterns);
    put_bits(b, l->ret, ret, ARRAY_LEN(ret));
    if (l->status_items)
        buf_printf(b, " %x", l->status_items);
}

static void put_arguments(struct buf *b, const struct command *c)
{
    static const char *const modes[] = {"=", "+", "-"};
    switch (c->id) {
    case CMD_AUTHENTICATE:
        put_text(b, c->authenticate.mechanism);
        if (c->authenticate.has_initial)
            put_text(b, c->authenticate.initial);
        break;
    case CMD_LOGIN:
        put_text(b, c->login.user);
        put_text(b, c->login.password);
        break;
    case CMD_COMPARATOR:
        for (unsigned i = 0; i < c->comparator.n; i++)
            put_text(b, c->comparator.orders[i]);
        break;
    case CMD_LANGUAGE:
        put_texts(b, c->language.ranges, c->language.n);
        break;
    case CMD_ENABLE:
        put_texts(b, c->enable.names, c->enable.n);
        break;
    case CMD_ID:
        for (unsigned i = 0; i < c->idp.n; i++) {
            put_text(b, c->idp.pairs[i].field);
            if (c->idp.pairs[i].nil)
                buf_put_lit(b, " NIL");
            else
                put_text(b, c->idp.pairs[i].value);
        }
        break;
    case CMD_CREATE:
        put_text(b, c->create.name);
        if (c->create.has_use)
            buf_printf(b, " use %x", c->create.use);
        if (c->create.unknown_use.n)
            put_text(b, c->create.unknown_use);
        break;
    case CMD_RENAME:
        put_text(b, c->rename.from);
        put_text(b, c->rename.to);
        break;
    case CMD_GETMETADATA:
        put_text(b, c->metadata.name);
        buf_printf(b, " depth %d", c->metadata.depth);
        if (c->metadata.has_max_size)
            buf_printf(b, " max %llu", (unsigned long long)c->metadata.max_size);
        for (unsigned i = 0; i < c->metadata.n; i++)
            put_text(b, c->metadata.entries[i]);
        break;
    case CMD_SETMETADATA:
        put_text(b, c->metadata.name);
        for (unsigned i = 0; i < c->metadata.n; i++) {
            put_text(b, c->metadata.values[i].entry);
            if (c->metadata.values[i].nil)
                buf_put_lit(b, " NIL");
            else
                put_text(b, c->metadata.values[i].value);
        }
        break;
    case CMD_GETQUOTA:
    case CMD_SETQUOTA:
        put_text(b, c->quota.root);
        for (unsigned i = 0; i < c->quota.n; i++) {
            put_text(b, c->quota.limits[i].resource);
            buf_printf(b, " %llu", (unsigned long long)c->quota.limits[i].limit);
        }
        break;
    case CMD_STATUS:
        put_text(b, c->status.name);
        buf_printf(b, " %x", c->status.items);
        break;
    case CMD_LIST:
    case CMD_LSUB:
        put_list(b, &c->list);
        break;
    case CMD_GENURLAUTH:
    case CMD_URLFETCH:
        for (unsigned i = 0; i < c->urls.n; i++) {
            put_text(b, c->urls.urls[i].url);
            if (c->urls.urls[i].mechanism.n)
                put_text(b, c->urls.urls[i].mechanism);
            if (c->urls.urls[i].items)
                buf_printf(b, " items %x", c->urls.urls[i].items);
        }
        break;
    case CMD_RESETKEY:
        if (c->resetkey.has_name)
            put_text(b, c->resetkey.name);
        for (unsigned i = 0; i < c->resetkey.n; i++)
            put_text(b, c->resetkey.mechanisms[i]);
        break;
    case CMD_REPLACE:
        put_set(b, &c->append.replaced);
        /* fall through */
    case CMD_APPEND:
        put_append(b, &c->append);
        break;
    case CMD_EXPUNGE:
        if (c->uid)
            put_set(b, &c->expunge.set);
        break;
    case CMD_SORT:
    case CMD_THREAD:
        put_order(b, &c->search);
        put_search(b, &c->search);
        break;
    case CMD_ESEARCH:
        put_sources(b, &c->search);
        put_search(b, &c->search);
        break;
    case CMD_SEARCH:
        put_search(b, &c->search);
        break;
    case CMD_FETCH:
        put_fetch(b, &c->fetch);
        break;
    case CMD_CONVERSIONS:
        put_text(b, c->conversions.from);
        put_text(b, c->conversions.to);
        break;
    case CMD_CONVERT:
        put_convert(b, &c->convert);
        break;
    case CMD_STORE:
        put_set(b, &c->store.set);
        buf_printf(b, " %s%s", modes[c->store.mode], c->store.silent ? " silent" : "");
        put_flags(b, &c->store.flags);
        break;
    case CMD_COPY:
    case CMD_MOVE:
        put_set(b, &c->copy.set);
        put_text(b, c->copy.name);
        break;
    case CMD_LISTRIGHTS:
    case CMD_DELETEACL:
        put_text(b, c->acl.name);
        put_text(b, c->acl.identifier);
        break;
    case CMD_SETACL:
        put_text(b, c->acl.name);
        put_text(b, c->acl.identifier);
        buf_printf(b, " %c", c->acl.modify ? c->acl.modify : '=');
        put_text(b, c->acl.rights);
        break;
    case CMD_CANCELUPDATE:
        put_texts(b, c->cancel.tags, c->cancel.n);
        break;
    case CMD_NOTIFY:
        put_notify(b, &c->notify);
        break;
    case CMD_SELECT:
    case CMD_EXAMINE:
    case CMD_DELETE:
    case CMD_SUBSCRIBE:
    case CMD_GETQUOTAROOT:
    case CMD_GETACL:
    case CMD_MYRIGHTS:
    case CMD_UNSUBSCRIBE:
        put_text(b, c->mailbox.name);
        break;
    default:
        break;
    }
}

void dump_command(struct buf *b, const struct command *c)
{
    buf_printf(b, SPAN_FMT " %s%s", SPAN_ARG(c->tag), c->uid ? "UID " : "", c->desc->name);
    put_arguments(b, c);
}

/* ---- frames ---- */

struct frames {
    struct frame f;
    struct buf *out;
    bool accept, in_data;
    struct span line_after;
};

static void put_event(struct frames *t, const struct frame_event *ev)
{
    struct buf *out = t->out;
    if (ev->kind == FRAME_LITERAL_DATA) {
        if (!t->in_data)
            buf_put_lit(out, "DATA ");
        t->in_data = true;
        dump_text(out, ev->data);
        return;
    }
    if (t->in_data)
        buf_put_byte(out, '\n');
    t->in_data = false;
    switch (ev->kind) {
    case FRAME_COMMAND:
    case FRAME_LINE:
        buf_put_str(out, ev->kind == FRAME_LINE ? "LINE" : "COMMAND");
        buf_printf(out, " " SPAN_FMT ":", SPAN_ARG(ev->tag));
        put_text(out, ev->text);
        break;
    case FRAME_CONTINUE:
        buf_put_lit(out, "CONTINUE");
        break;
    case FRAME_LITERAL_ASK:
        buf_printf(out, "ASK " SPAN_FMT ": %llu%s%s #%u", SPAN_ARG(ev->tag),
                   (unsigned long long)ev->size, ev->sync ? " sync" : "",
                   ev->binary ? " binary" : "", ev->index);
        put_text(out, ev->text);
        put_text(out, ev->part);
        break;
    case FRAME_LITERAL_START:
        buf_printf(out, "START %llu #%u", (unsigned long long)ev->size, ev->index);
        break;
    case FRAME_LITERAL_END:
        buf_printf(out, "END #%u", ev->index);
        break;
    case FRAME_ERROR:
        buf_printf(out, "ERROR " SPAN_FMT ": %s%s", SPAN_ARG(ev->tag), ev->reason,
                   ev->streamed ? " (message)" : "");
        break;
    case FRAME_FATAL:
        buf_printf(out, "FATAL %s", ev->reason);
        break;
    default:
        buf_put_lit(out, "?");
    }
    buf_put_byte(out, '\n');
}

static void answer(struct frames *t, const struct frame_event *ev)
{
    struct frame_event hold;
    if (ev->kind == FRAME_LITERAL_ASK) {
        size_t used = frame_next(&t->f, SPAN("x"), &hold);
        invariant(used == 0 && hold.kind == FRAME_HOLD);
        if (t->accept)
            frame_literal_accept(&t->f);
        else
            frame_literal_refuse(&t->f);
    }
    if (ev->kind == FRAME_COMMAND && t->line_after.n &&
        span_find(ev->text, t->line_after) != SPAN_NPOS)
        frame_expect_line(&t->f);
}

/* The chunk is a heap block of exactly its size, so that a sanitizer sees any read beyond. */
static bool feed(struct frames *t, struct span chunk)
{
    autofree char *copy = xmalloc(chunk.n);
    struct span in = span_make(copy, chunk.n);
    memcpy(copy, chunk.p, chunk.n);
    for (;;) {
        struct frame_event ev;
        size_t used = frame_next(&t->f, in, &ev);
        invariant(used <= in.n);
        in = span_skip(in, used);
        if (ev.kind == FRAME_MORE) {
            invariant(in.n == 0);
            invariant(frame_buffered(&t->f) || t->f.buf.p == NULL);
            return true;
        }
        put_event(t, &ev);
        answer(t, &ev);
        if (ev.kind == FRAME_FATAL)
            return false;
    }
}

void dump_frames(struct buf *out, struct span input, size_t chunk, bool accept,
                 struct span line_after, const struct frame_limits *limits)
{
    struct frames t = {.out = out, .accept = accept, .line_after = line_after};
    frame_init(&t.f, limits);
    if (chunk == 0)
        chunk = input.n;
    bool more = true;
    while (more && input.n) {
        more = feed(&t, span_head(input, chunk));
        input = span_skip(input, chunk);
    }
    if (t.in_data)
        buf_put_byte(out, '\n');
    buf_printf(out, "left %zu\n", frame_buffered(&t.f));
    frame_done(&t.f);
}
