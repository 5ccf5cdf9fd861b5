/* imap/convert.c: CONVERT and CONVERSIONS (RFC 5259): texts in another charset, HTML as plain text,
 * headers with their encoded words in another charset.
 *
 * All that is asked of one message is worked out before the first octet of its response: what goes
 * wrong is said item by item (section 9). A conversion is made once for all the items of a command
 * that are about it, and the last ones are kept for a while (convert_cache.h); made anew it is the
 * same. Memory: of one message at a time, CONVERT_PARTS texts of CONVERT_RESULT octets at most. */
#include "message/convert.h"
#include "imap/commands.h"
#include "imap/convert_cache.h"
#include "imap/fetch.h"
#include "message/part_structure.h"
#include "wire/language.h"
#include "wire/write.h"

enum {
    CONVERT_PARTS = 4,        /* of a message in one command */
    CONVERT_SOURCE = 2 << 20, /* octets of a part, as it is stored */
    CONVERT_RESULT = 4 << 20,
    CONVERT_HEADERS = 256 << 10,
    CONVERT_READ = 32 << 10,
    CONVERT_SLICE = 512 << 10, /* octets read before other commands get their turn */
    REPLACEMENT_MAX = 16,
};

/* What can be converted to what. Sorted by source; the target of the default conversion, too. */
static const struct conversion {
    struct span from, to;
    bool html;
} conversions[] = {
    {{"text/csv", 8}, {"text/plain", 10}, false},
    {{"text/html", 9}, {"text/plain", 10}, true},
    {{"text/markdown", 13}, {"text/plain", 10}, false},
    {{"text/plain", 10}, {"text/plain", 10}, false},
};

static const struct span target = {"text/plain", 10};

/* --- CONVERSIONS (section 5.1) --- */

static bool matches(struct span pattern, struct span type)
{
    if (span_eq(pattern, SPAN("*")))
        return true;
    if (span_ends(pattern, SPAN("/*")))
        return span_istarts(type, span_head(pattern, pattern.n - 1));
    return span_ieq(pattern, type);
}

enum step cmd_conversions(struct task *t)
{
    const struct cmd_conversions *a = &t->command->conversions;
    for (size_t i = 0; i < ARRAY_LEN(conversions); i++) {
        if (matches(a->from, conversions[i].from) && matches(a->to, conversions[i].to))
            respond_text(t->session,
                         "* CONVERSION \"" SPAN_FMT "\" \"" SPAN_FMT
                         "\" (\"charset\" \"unknown-character-replacement\")",
                         SPAN_ARG(conversions[i].from), SPAN_ARG(conversions[i].to));
    }
    return task_ok(t, NULL, "CONVERSIONS completed");
}

/* --- CONVERT --- */

enum outcome {
    OUTCOME_DONE,
    OUTCOME_NO_PART,
    OUTCOME_IMPOSSIBLE,
    OUTCOME_PARAMETERS, /* those that are bad, or the charset if none is */
    OUTCOME_MISSING,
    OUTCOME_NIL, /* a header that is not there */
};

/* What one item came to. */
struct result {
    enum outcome outcome;
    const char *why;
    char from[130]; /* "text/html" */
    size_t same_as; /* an earlier item with the same data; its own index: none */
    struct buf data, structure;
};

struct convert_state {
    struct ranges uids;
    struct view_walk walk;
    struct result *results; /* one for each item */
    const struct conversion_params *params;
    struct shown shown; /* the message at hand, if busy */
    bool busy;
    unsigned next; /* its item that is to be worked out */
    bool expunged, corrupt, some, failed;
    uint64_t bytes; /* read in this slice */
};

/* The parameters, once for the command. */
struct conversion_params {
    struct span charset, replacement; /* p NULL: not given */
    uint64_t bad;                     /* bits: which are unknown, twice there or not valid */
    const char *why;
};

static void convert_cleanup(struct task *t)
{
    struct convert_state *st = t->data;
    for (unsigned i = 0; i < t->command->convert.n_items; i++) {
        buf_done(&st->results[i].data);
        buf_done(&st->results[i].structure);
    }
    ranges_done(&st->uids);
}

/* The last parameter counts in nothing: one that is there twice is bad. */
static void read_param(struct conversion_params *p, const struct convert_param *param, uint64_t bit)
{
    static const struct span charset = {"charset", 7},
                             replacement = {"unknown-character-replacement", 29};
    bool is_charset = span_ieq(param->name, charset);
    struct span *to = is_charset ? &p->charset : &p->replacement;
    if (!is_charset && !span_ieq(param->name, replacement)) {
        p->bad |= bit;
        p->why = "There is no such parameter of this conversion";
    } else if (to->p) {
        p->bad |= bit;
        p->why = "A parameter is there twice";
    } else {
        *to = span_make(param->value.p ? param->value.p : "", param->value.n);
        if (!is_charset && param->value.n > REPLACEMENT_MAX) {
            p->bad |= bit;
            p->why = "The replacement has at most 16 octets";
        }
    }
}

/* Whether the charset exists, and has what the replacement is made of (section 7.1). */
static void check_params(struct conversion_params *p, const struct cmd_convert *a)
{
    struct charset_encoder e;
    int rc = p->charset.p ? charset_encoder_init(&e, p->charset, p->replacement) : 0;
    if (rc == 0 && p->charset.p)
        charset_encoder_done(&e);
    if (rc == 0 || p->bad)
        return;
    const char *about = rc == ERR_NOT_FOUND ? p->charset.p : p->replacement.p;
    p->why = rc == ERR_NOT_FOUND ? "The charset is not known"
                                 : "The charset does not have the replacement";
    for (unsigned i = 0; i < a->n_params; i++)
        if (a->params[i].value.p == about)
            p->bad |= UINT64_C(1) << i;
    if (!p->bad) /* an empty one, which has no octets of its own */
        p->bad = 1;
}

/* Finds out which items are about the same text. */
static bool too_many(const struct cmd_convert *a, struct result *results)
{
    unsigned parts = 0, texts = 0;
    for (unsigned i = 0; i < a->n_items; i++) {
        const struct fetch_section *s = &a->items[i].section;
        bool text = a->items[i].kind <= CONVERT_SIZE;
        results[i].same_as = i;
        for (unsigned k = 0; k < i && text; k++) {
            const struct fetch_section *o = &a->items[k].section;
            if (a->items[k].kind <= CONVERT_SIZE && o->n_part == s->n_part &&
                (s->n_part == 0 || memcmp(o->part, s->part, s->n_part * sizeof(*s->part)) == 0)) {
                results[i].same_as = k;
                break;
            }
        }
        parts += text && results[i].same_as == i;
        texts += a->items[i].kind == CONVERT_BINARY;
    }
    return parts > CONVERT_PARTS || texts > CONVERT_PARTS;
}

static bool has_headers(const struct cmd_convert *a)
{
    for (unsigned i = 0; i < a->n_items; i++)
        if (a->items[i].kind == CONVERT_HEADER || a->items[i].kind == CONVERT_MIME)
            return true;
    return false;
}

static enum step convert_begin(struct task *t, struct snap *snap)
{
    const struct cmd_convert *a = &t->command->convert;
    struct session *s = t->session;
    if (a->type.n && has_headers(a)) /* section 6 */
        return task_bad(t, "Headers have the default conversion (NIL) only");
    if (a->n_params > 64)
        return task_bad(t, "Too many conversion parameters");
    struct convert_state *st = arena_new(&t->arena, struct convert_state);
    struct conversion_params *p = arena_new(&t->arena, struct conversion_params);
    struct result *results = arena_array(&t->arena, MAX(a->n_items, 1u), sizeof(*results));
    if (!st || !p || !results)
        return task_no(t, "LIMIT", "The command needs too much memory");
    for (unsigned i = 0; i < a->n_items; i++) {
        results[i] =
            (struct result){.data = BUF_INIT(CONVERT_RESULT), .structure = BUF_INIT(BUF_UNLIMITED)};
    }
    st->results = results;
    st->params = p;
    t->data = st;
    t->cleanup = convert_cleanup;
    for (unsigned i = 0; i < a->n_params; i++)
        read_param(p, &a->params[i], UINT64_C(1) << i);
    check_params(p, a);
    if (too_many(a, results))
        return task_no(t, "MAXCONVERTPARTS 4", "Too many body parts at once");
    int rc = view_resolve(s->view, snap, &a->set, t->command->uid ? RESOLVE_UIDS : RESOLVE_NUMBERS,
                          &st->uids);
    if (rc == ERR_INVALID)
        return task_bad(t, "There is no message with that number");
    if (rc)
        return task_store_failed(t, rc, false);
    view_walk_init(&st->walk, s->view, &st->uids);
    return STEP_AGAIN;
}

/* --- what a part is --- */

/* A string of a body structure, if it can be part of a media type. */
static struct span type_word(struct span s)
{
    if (s.n < 3 || s.n > 64 || s.p[0] != '"')
        return SPAN_EMPTY;
    s = span_make(s.p + 1, s.n - 2);
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (!ascii_is_alpha(c) && !ascii_is_digit(c) && (!c || !strchr("!#$&-^_.+", c)))
            return SPAN_EMPTY;
    }
    return s;
}

/* "text/html", lower case. */
static void media_type(const struct mime_part *part, struct span structure, struct result *r)
{
    struct span type = SPAN_EMPTY, sub = SPAN_EMPTY, s;
    if (part->kind == PART_MULTIPART) {
        size_t end = structure.n;
        while (end > 0 && structure.p[end - 1] != '"')
            end--;
        size_t begin = end > 0 ? end - 1 : 0;
        while (begin > 0 && structure.p[begin - 1] != '"')
            begin--;
        type = SPAN("multipart");
        if (begin > 0)
            sub = type_word(span_make(structure.p + begin - 1, end - begin + 1));
    } else {
        if (structure_field(structure, 0, &s) == 0)
            type = type_word(s);
        if (structure_field(structure, 1, &s) == 0)
            sub = type_word(s);
    }
    if (type.n == 0 || sub.n == 0) {
        type = SPAN("application");
        sub = SPAN("octet-stream");
    }
    size_t n = 0;
    for (size_t i = 0; i < type.n; i++)
        r->from[n++] = (char)ascii_lower((unsigned char)type.p[i]);
    r->from[n++] = '/';
    for (size_t i = 0; i < sub.n; i++)
        r->from[n++] = (char)ascii_lower((unsigned char)sub.p[i]);
    r->from[n] = '\0';
}

static const struct conversion *conversion_of(const char *from, struct span to)
{
    for (size_t i = 0; i < ARRAY_LEN(conversions); i++)
        if (span_eq(conversions[i].from, span_str(from)) &&
            (to.n == 0 || span_ieq(to, conversions[i].to)))
            return &conversions[i];
    return NULL;
}

/* Finds the part of an item, its structure and media type. */
static int find_part(const struct fetch_section *s, struct span derived, struct result *r,
                     struct mime_part *ret, struct span *ret_structure)
{
    int rc = derived_find_part(derived, s->part, s->n_part, ret);
    if (rc == 0 && s->n_part == 0) { /* BINARY[]: the message as such */
        memcpy(r->from, "message/rfc822", 15);
        *ret_structure = SPAN_EMPTY;
        return 0;
    }
    if (rc == 0)
        rc = derived_part_structure(derived, s->part, s->n_part, ret_structure);
    if (rc == 0)
        media_type(ret, *ret_structure, r);
    return rc;
}

static void fail(struct result *r, enum outcome outcome, const char *why)
{
    r->outcome = outcome;
    r->why = why;
}

/* Whether the conversion can be: what needs no look at the text itself. */
static const struct conversion *check_conversion(const struct cmd_convert *a,
                                                 const struct conversion_params *p,
                                                 const struct mime_part *part, struct result *r)
{
    const struct conversion *c = conversion_of(r->from, a->type);
    if (!c)
        fail(r, OUTCOME_IMPOSSIBLE, "There is no such conversion");
    else if (p->bad)
        fail(r, OUTCOME_PARAMETERS, p->why);
    else if (part->charset.n > 0 && !charset_known(part->charset))
        fail(r, OUTCOME_IMPOSSIBLE, "The charset of the text is not known");
    else if (part->cte == CTE_UNKNOWN)
        fail(r, OUTCOME_IMPOSSIBLE, "The transfer encoding of the text is not known");
    else
        return c;
    return NULL;
}

/* --- the text --- */

static int read_text(struct convert_state *st, struct message_access *m, struct convert_text *c,
                     const struct mime_part *part, struct result *r)
{
    autobuf raw = BUF_INIT(CONVERT_READ);
    int rc = 0;
    for (uint64_t at = 0; at < part->body_length && rc == 0;) {
        size_t n = (size_t)MIN(part->body_length - at, (uint64_t)CONVERT_READ);
        buf_reset(&raw);
        int error = account_read(m->account, &m->where, part->body_offset + at, n, &raw);
        if (error || raw.n != n)
            return error ? error : ERR_CORRUPT;
        rc = convert_text_feed(c, buf_span(&raw), &r->data);
        at += n;
        st->bytes += n;
        if (!buf_ok(&r->data))
            break;
    }
    if (rc == 0)
        rc = convert_text_finish(c, &r->data);
    if (rc == ERR_INVALID)
        fail(r, OUTCOME_PARAMETERS, "The text has characters that the charset does not have");
    else if (!buf_ok(&r->data))
        fail(r, OUTCOME_IMPOSSIBLE, "The text is too large");
    return 0;
}

static int convert_part(struct task *t, struct message_access *m, const struct conversion *how,
                        const struct mime_part *part, struct result *r)
{
    struct convert_state *st = t->data;
    struct convert_text c;
    struct charset_encoder to;
    if (!st->params->charset.p) { /* as section 9 has it in an example */
        fail(r, OUTCOME_MISSING, "CHARSET must be specified for text conversions");
        return 0;
    }
    if (part->body_length > CONVERT_SOURCE) {
        fail(r, OUTCOME_IMPOSSIBLE, "The text is too large");
        return 0;
    }
    struct convert_key key = {
        .account = *account_get_id(m->account),
        .message_id = st->shown.row.message_id,
        .offset = part->body_offset,
        .charset = st->params->charset,
        .replacement = st->params->replacement,
    };
    bool cached = part->body_length >= CONVERT_CACHE_SOURCE;
    if (cached && convert_cache_get(t->session->host, &key, &r->data))
        return 0;
    if (charset_encoder_init(&to, st->params->charset, st->params->replacement)) {
        fail(r, OUTCOME_PARAMETERS, "The charset is not known");
        return 0;
    }
    if (convert_text_init(&c, part->cte, part->charset, how->html, &to)) {
        charset_encoder_done(&to);
        fail(r, OUTCOME_IMPOSSIBLE, "The transfer encoding of the text is not known");
        return 0;
    }
    int rc = read_text(st, m, &c, part, r);
    convert_text_done(&c);
    if (rc == 0 && r->outcome == OUTCOME_DONE && cached)
        convert_cache_put(t->session->host, &key, buf_span(&r->data));
    return rc;
}

/* The parameters of plain text go on meaning what they say (format, delsp); those of HTML do not.
 */
static void put_params(struct buf *b, struct span charset, struct span old)
{
    struct span name, value;
    buf_put_lit(b, "(\"charset\" ");
    write_string(b, charset, false);
    for (size_t i = 0; old.n > 0 && old.p[0] == '(' && structure_field(old, i, &name) == 0 &&
                       structure_field(old, i + 1, &value) == 0;
         i += 2) {
        if (span_ieq(name, SPAN("\"charset\"")))
            continue;
        buf_put_byte(b, ' ');
        buf_put_span(b, name);
        buf_put_byte(b, ' ');
        buf_put_span(b, value);
    }
    buf_put_byte(b, ')');
}

static bool has_nul(const struct buf *b)
{
    return b->n > 0 && memchr(b->p, 0, b->n);
}

/* BODYPARTSTRUCTURE (section 8.2), as the part is after the conversion. */
static int put_structure(const struct conversion_params *p, const struct conversion *how,
                         struct span structure, struct result *r)
{
    struct span params = SPAN_EMPTY, id, description;
    if ((!how->html && structure_field(structure, 2, &params)) ||
        structure_field(structure, 3, &id) || structure_field(structure, 4, &description))
        return ERR_CORRUPT;
    uint64_t lines = 0;
    for (size_t i = 0; i < r->data.n; i++)
        lines += r->data.p[i] == '\n';
    buf_put_lit(&r->structure, "(\"text\" \"plain\" ");
    put_params(&r->structure, p->charset, params);
    buf_put_byte(&r->structure, ' ');
    buf_put_span(&r->structure, id);
    buf_put_byte(&r->structure, ' ');
    buf_put_span(&r->structure, description);
    buf_printf(&r->structure, " \"%s\" %zu %llu NIL NIL NIL NIL)",
               has_nul(&r->data) ? "binary" : "8bit", r->data.n, (unsigned long long)lines);
    return 0;
}

static int work_out_text(struct task *t, struct message_access *m, struct span derived, unsigned i)
{
    const struct cmd_convert *a = &t->command->convert;
    struct convert_state *st = t->data;
    struct result *r = &st->results[i];
    struct mime_part part;
    struct span structure;
    int rc = find_part(&a->items[i].section, derived, r, &part, &structure);
    if (rc == ERR_NOT_FOUND)
        fail(r, OUTCOME_NO_PART, "There is no such body part");
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    const struct conversion *how = check_conversion(a, st->params, &part, r);
    if (!how || a->items[i].kind == CONVERT_AVAILABLE)
        return 0;
    rc = convert_part(t, m, how, &part, r);
    if (rc == 0 && r->outcome == OUTCOME_DONE)
        rc = put_structure(st->params, how, structure, r);
    return rc;
}

/* --- headers --- */

static int read_header(struct convert_state *st, struct message_access *m,
                       const struct section_range *range, struct span charset, struct result *r)
{
    autobuf raw = BUF_INIT(CONVERT_HEADERS);
    struct charset_encoder to;
    int rc = account_read(m->account, &m->where, range->offset, (size_t)range->length, &raw);
    if (rc || raw.n != range->length)
        return rc ? rc : ERR_CORRUPT;
    st->bytes += raw.n;
    for (size_t i = 0; i < raw.n; i++)
        if (raw.p[i] == '\0') /* no literal can hold it */
            raw.p[i] = (char)0x80;
    if (charset_encoder_init(&to, charset, st->params->replacement)) {
        fail(r, OUTCOME_PARAMETERS, "The charset is not known");
        return 0;
    }
    if (convert_header(buf_span(&raw), charset, &to, &r->data))
        fail(r, OUTCOME_PARAMETERS, "The header has characters that the charset does not have");
    else if (!buf_ok(&r->data))
        fail(r, OUTCOME_IMPOSSIBLE, "The header is too large");
    charset_encoder_done(&to);
    return 0;
}

/* Section 6: with CHARSET; its example of a MIME header has none, which is taken for UTF-8. */
static int work_out_header(struct task *t, struct message_access *m, struct span derived,
                           unsigned i)
{
    const struct convert_item *item = &t->command->convert.items[i];
    struct convert_state *st = t->data;
    struct result *r = &st->results[i];
    struct section_range range;
    struct span charset = st->params->charset;
    bool mime = item->kind == CONVERT_MIME;
    int rc = derived_section(derived, item->section.part, item->section.n_part,
                             mime ? SECTION_MIME : SECTION_HEADER, &range);
    memcpy(r->from, "message/rfc822", 15);
    if (rc == ERR_NOT_FOUND) {
        fail(r, OUTCOME_NIL, NULL);
        return 0;
    }
    if (rc)
        return rc;
    if (st->params->bad)
        fail(r, OUTCOME_PARAMETERS, st->params->why);
    else if (!charset.p && !mime)
        fail(r, OUTCOME_MISSING, "CHARSET must be specified for headers");
    else if (range.length > CONVERT_HEADERS)
        fail(r, OUTCOME_IMPOSSIBLE, "The header is too large");
    if (r->outcome != OUTCOME_DONE)
        return 0;
    return read_header(st, m, &range, charset.p ? charset : SPAN("utf-8"), r);
}

/* --- the response --- */

static void put_label(struct session *s, struct buf *b, const struct convert_item *item)
{
    autobuf name = BUF_INIT(BUF_UNLIMITED);
    write_section_name(&name, &item->section, session_utf8(s));
    struct span bracket = span_skip(buf_span(&name), span_find_byte(buf_span(&name), '['));
    buf_put_str(b, item->kind == CONVERT_STRUCTURE   ? "BODYPARTSTRUCTURE"
                   : item->kind == CONVERT_AVAILABLE ? "AVAILABLECONVERSIONS"
                   : item->kind == CONVERT_BINARY    ? "BINARY"
                   : item->kind == CONVERT_SIZE      ? "BINARY.SIZE"
                                                     : "BODY");
    buf_put_span(b, bracket);
    buf_put_byte(b, ' ');
}

/* The parameters that are to blame: the bad ones; if none is, the charset. */
static void put_blamed(struct session *s, struct buf *b, const struct cmd_convert *a,
                       const struct conversion_params *p)
{
    struct write_list l = {false};
    buf_put_byte(b, ' ');
    for (unsigned i = 0; i < a->n_params; i++) {
        bool blamed = p->bad ? p->bad >> i & 1 : span_ieq(a->params[i].name, SPAN("charset"));
        if (!blamed)
            continue;
        write_list_item(b, &l);
        write_string(b, a->params[i].name, session_utf8(s));
        buf_put_byte(b, ' ');
        write_string(b, a->params[i].value, session_utf8(s));
    }
    write_list_end(b, &l);
}

/* converterror-phrase (section 10) */
static void put_error(struct task *t, struct buf *b, const struct result *r)
{
    const struct cmd_convert *a = &t->command->convert;
    struct convert_state *st = t->data;
    struct session *s = t->session;
    buf_put_lit(b, "(ERROR ");
    write_string(b, span_str(language_text(s->language, r->why)), session_utf8(s));
    buf_put_str(b, r->outcome == OUTCOME_MISSING ? " MISSINGPARAMETERS " : " BADPARAMETERS ");
    if (r->outcome == OUTCOME_NO_PART)
        buf_put_lit(b, "NIL");
    else
        write_string(b, span_str(r->from), false);
    buf_put_byte(b, ' ');
    write_string(b, a->type.n ? a->type : target, false);
    if (r->outcome == OUTCOME_MISSING)
        buf_put_lit(b, " (\"charset\")");
    else if (r->outcome == OUTCOME_PARAMETERS)
        put_blamed(s, b, a, st->params);
    buf_put_byte(b, ')');
}

/* All of it, or what <offset.length> wants. */
static void put_data(struct buf *b, const struct fetch_section *s, const struct buf *data)
{
    struct span bytes = buf_span(data);
    if (s->has_partial) {
        bytes = s->offset < bytes.n ? span_skip(bytes, (size_t)s->offset) : SPAN_EMPTY;
        bytes = span_head(bytes, (size_t)MIN(s->length, (uint64_t)bytes.n));
    }
    if (has_nul(data))
        write_literal8_header(b, bytes.n);
    else
        write_literal_header(b, bytes.n);
    buf_put_span(b, bytes);
}

static void put_result(struct task *t, struct buf *b, const struct convert_item *item,
                       const struct result *own, const struct result *r)
{
    const struct cmd_convert *a = &t->command->convert;
    struct convert_state *st = t->data;
    put_label(t->session, b, item);
    if (r->outcome == OUTCOME_NIL) {
        buf_put_lit(b, "NIL");
        return;
    }
    /* Section 8.4: a list may be empty if the target was not given. */
    bool nothing =
        item->kind == CONVERT_AVAILABLE && r->outcome == OUTCOME_IMPOSSIBLE && !a->type.n;
    if (r->outcome != OUTCOME_DONE && !nothing) {
        put_error(t, b, r);
        st->failed = true;
        return;
    }
    st->some = true;
    switch (item->kind) {
    case CONVERT_STRUCTURE:
        buf_put_span(b, buf_span(&r->structure));
        break;
    case CONVERT_SIZE:
        buf_put_u64(b, r->data.n);
        break;
    case CONVERT_AVAILABLE:
        buf_put_str(b, nothing ? "(())" : "((\"text/plain\"))");
        break;
    case CONVERT_BINARY:
    case CONVERT_HEADER:
    case CONVERT_MIME:
        put_data(b, &item->section, item->kind == CONVERT_BINARY ? &r->data : &own->data);
    }
}

/* UID first; structures before texts (section 8). */
static void put_converted(struct task *t, const struct shown *m)
{
    const struct cmd_convert *a = &t->command->convert;
    struct convert_state *st = t->data;
    struct session *s = t->session;
    struct write_list l = {false};
    struct buf *b = respond_begin(s);
    buf_printf(b, "* %u CONVERTED (TAG ", m->seq);
    write_string(b, t->command->tag, false);
    buf_put_lit(b, ") ");
    if (t->command->uid || a->uid) {
        write_list_item(b, &l);
        buf_printf(b, "UID %u", m->row.uid);
        st->some |= a->n_items == 0;
    }
    for (int texts = 0; texts < 2; texts++) {
        for (unsigned i = 0; i < a->n_items; i++) {
            if ((a->items[i].kind != CONVERT_STRUCTURE) != texts)
                continue;
            write_list_item(b, &l);
            put_result(t, b, &a->items[i], &st->results[i], &st->results[st->results[i].same_as]);
        }
    }
    write_list_end(b, &l);
    buf_put_lit(b, "\r\n");
    respond_end(s);
}

/* --- messages --- */

/* Goes on with the items of the message at hand, until the slice is used up. */
static int work_out(struct task *t, struct snap *snap)
{
    const struct cmd_convert *a = &t->command->convert;
    struct convert_state *st = t->data;
    struct message_access access = {.account = t->session->view->account};
    autobuf made = BUF_INIT(BUF_UNLIMITED);
    struct span derived;
    int rc = snap_message(snap, st->shown.row.message_id, &access.where);
    if (rc == 0)
        rc = fetch_derived(t->session, snap, st->shown.row.message_id, &made, &derived);
    for (; rc == 0 && st->next < a->n_items && st->bytes < CONVERT_SLICE; st->next++) {
        struct result *r = &st->results[st->next];
        buf_reset(&r->data);
        buf_reset(&r->structure);
        r->outcome = OUTCOME_DONE;
        r->from[0] = '\0';
        if (a->items[st->next].kind >= CONVERT_HEADER)
            rc = work_out_header(t, &access, derived, st->next);
        else if (r->same_as == st->next)
            rc = work_out_text(t, &access, derived, st->next);
    }
    return rc;
}

/* The number of the message may be another one by now, if EXPUNGE was said in between (UID CONVERT
 * allows that). */
static int say(struct task *t, struct snap *snap)
{
    struct convert_state *st = t->data;
    int rc = view_seq_of(t->session->view, snap, st->shown.row.uid, &st->shown.seq);
    if (rc)
        return rc;
    if (st->shown.seq == 0)
        st->expunged = true;
    else
        put_converted(t, &st->shown);
    return 0;
}

/* The message at hand, as far as this slice goes. Damage and absence concern one message only. */
static int convert_message(struct task *t, struct snap *snap)
{
    struct convert_state *st = t->data;
    int rc = st->shown.row.message_id ? work_out(t, snap) : ERR_NOT_FOUND;
    if (rc == 0 && st->next < t->command->convert.n_items)
        return 0;
    st->busy = false;
    if (rc == ERR_NOT_FOUND || rc == ERR_CORRUPT) {
        /* What was expunged may have been erased since: no damage. */
        bool gone = st->shown.expunged || !st->shown.row.message_id;
        st->expunged |= gone;
        st->corrupt |= !gone;
        return 0;
    }
    return rc ? rc : say(t, snap);
}

static enum step convert_end(struct task *t)
{
    const struct convert_state *st = t->data;
    if (st->corrupt)
        return task_no(t, "CORRUPTION", "Some messages could not be read; the others are complete");
    if (st->expunged)
        return task_no(t, "EXPUNGEISSUED", "Some of the messages have been expunged");
    if (st->failed && !st->some)
        return task_no(t, NULL, "All conversions failed");
    return task_ok(t, NULL, st->failed ? "Some conversions failed" : "CONVERT completed");
}

/* Messages until the slice is used up. ERR_NOT_FOUND: there are no more. */
static int convert_messages(struct task *t, struct snap *snap)
{
    struct convert_state *st = t->data;
    struct view_cursor *c;
    int rc = view_cursor_open(&st->walk, snap, &c);
    if (rc)
        return rc;
    st->bytes = 0;
    for (int n = 0;
         rc == 0 && n < SLICE_ROWS && st->bytes < CONVERT_SLICE && !session_full(t->session); n++) {
        if (!st->busy) {
            rc = view_cursor_next(c, &st->shown);
            st->next = 0;
            st->busy = rc == 0;
        }
        if (rc == 0)
            rc = convert_message(t, snap);
    }
    view_cursor_close(c);
    return rc;
}

enum step cmd_convert(struct task *t)
{
    autosnap *snap = NULL;
    if (!task_view(t, &snap))
        return STEP_DONE;
    if (!t->data && convert_begin(t, snap) == STEP_DONE)
        return STEP_DONE;
    int rc = convert_messages(t, snap);
    if (rc == 0)
        return STEP_AGAIN;
    return rc == ERR_NOT_FOUND ? convert_end(t) : task_store_failed(t, rc, false);
}
