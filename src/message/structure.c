/* What the header of a part means: kind, encoding, the texts of BODYSTRUCTURE; for the message
 * itself also what a derived record keeps of the header. */
#include "message/decode.h"
#include "message/imapstr_int.h"
#include "message/mime_int.h"

#define CHARSET_MAX 40

struct mime_fields {
    struct span type, cte, id, description, disposition, language, location, md5;
};

static struct text_ref text_since(const struct mime_parser *p, size_t before)
{
    return (struct text_ref){(uint32_t)before, (uint32_t)(p->texts.n - before)};
}

static struct text_ref put_text(struct mime_parser *p, struct span s)
{
    size_t before = p->texts.n;
    buf_put_span(&p->texts, s);
    return text_since(p, before);
}

/* --- Texts -------------------------------------------------------------------------------- */

static void put_field(struct mime_parser *p, struct span value)
{
    if (value.p)
        imapstr_put_field(&p->texts, value, &p->scratch);
    else
        buf_put_lit(&p->texts, "NIL");
}

/* ("name" "value" ...) of p->params, or NIL; with a default charset if there is none. */
static void put_params(struct mime_parser *p, bool default_charset)
{
    struct buf *out = &p->texts;
    if (default_charset && param_find(&p->params, SPAN("charset")) != SIZE_MAX)
        default_charset = false;
    if (p->params.n == 0 && !default_charset) {
        buf_put_lit(out, "NIL");
        return;
    }
    buf_put_byte(out, '(');
    for (size_t i = 0; i < p->params.n; i++) {
        if (i > 0)
            buf_put_byte(out, ' ');
        imapstr_put(out, param_name(&p->params, i));
        buf_put_byte(out, ' ');
        imapstr_put(out, param_value(&p->params, i));
    }
    if (default_charset) /* RFC 2045 section 5.2 */
        buf_put_str(out,
                    p->params.n > 0 ? " \"charset\" \"us-ascii\"" : "\"charset\" \"us-ascii\"");
    buf_put_byte(out, ')');
}

static void put_disposition(struct mime_parser *p, struct span value)
{
    if (value.p)
        param_parse(&p->params, value);
    if (!value.p || param_main(&p->params).n == 0) {
        buf_put_lit(&p->texts, "NIL");
        return;
    }
    buf_put_byte(&p->texts, '(');
    imapstr_put(&p->texts, param_main(&p->params));
    buf_put_byte(&p->texts, ' ');
    put_params(p, false);
    buf_put_byte(&p->texts, ')');
}

/* Content-Language (RFC 3282): a list of tags. */
static void put_language(struct mime_parser *p, struct span value)
{
    struct span list = value, tag;
    size_t before = p->texts.n;
    while (list.p && span_split(&list, ',', &tag)) {
        tag = span_trim(tag);
        if (tag.n == 0)
            continue;
        buf_put_byte(&p->texts, p->texts.n == before ? '(' : ' ');
        imapstr_put_field(&p->texts, tag, &p->scratch);
    }
    if (p->texts.n == before)
        buf_put_lit(&p->texts, "NIL");
    else
        buf_put_byte(&p->texts, ')');
}

/* The extension data behind MD5 (leaf) or the parameters (multipart). */
static void put_ext_tail(struct mime_parser *p, const struct mime_fields *f)
{
    buf_put_byte(&p->texts, ' ');
    put_disposition(p, f->disposition);
    buf_put_byte(&p->texts, ' ');
    put_language(p, f->language);
    buf_put_byte(&p->texts, ' ');
    put_field(p, f->location);
}

/* --- Type and encoding -------------------------------------------------------------------- */

/* "type/subtype", white space allowed around the slash. False if it is not that. */
static bool split_type(struct span s, struct span *ret_type, struct span *ret_subtype)
{
    size_t slash = span_find_byte(s, '/');
    if (slash == SPAN_NPOS)
        return false;
    struct span type = span_trim(span_head(s, slash)), sub = span_trim(span_skip(s, slash + 1));
    for (size_t i = 0; i < type.n; i++)
        if ((unsigned char)type.p[i] <= ' ')
            return false;
    size_t n = 0;
    while (n < sub.n && (unsigned char)sub.p[n] > ' ' && sub.p[n] != ',')
        n++;
    *ret_type = type;
    *ret_subtype = span_head(sub, n);
    return type.n > 0 && n > 0;
}

static enum part_kind kind_of(struct span type, struct span sub)
{
    if (span_ieq(type, SPAN("text")))
        return PART_TEXT;
    if (span_ieq(type, SPAN("multipart")))
        return PART_MULTIPART;
    if (!span_ieq(type, SPAN("message")))
        return PART_OTHER;
    return span_ieq(sub, SPAN("rfc822")) || span_ieq(sub, SPAN("global")) ? PART_MESSAGE
                                                                          : PART_MESSAGE_OTHER;
}

/* The first word of Content-Transfer-Encoding, without comments. */
static struct span encoding_token(struct span value)
{
    struct span s = span_trim(value);
    size_t n = 0;
    while (n < s.n && (unsigned char)s.p[n] > ' ' && s.p[n] != ';' && s.p[n] != '(')
        n++;
    return span_head(s, n);
}

static void note_charset(struct mime_parser *p, struct node *n)
{
    size_t i = param_find(&p->params, SPAN("charset"));
    if (i == SIZE_MAX)
        return;
    struct span s = span_trim(param_value(&p->params, i));
    if (s.n > CHARSET_MAX)
        return;
    char lower[CHARSET_MAX];
    for (size_t k = 0; k < s.n; k++)
        lower[k] = (char)ascii_lower((unsigned char)s.p[k]);
    n->charset = put_text(p, span_make(lower, s.n));
}

static void note_boundary(struct mime_parser *p, struct buf *ret_boundary)
{
    size_t i = param_find(&p->params, SPAN("boundary"));
    if (i == SIZE_MAX)
        return;
    struct span b = span_head(param_value(&p->params, i), BOUNDARY_MAX);
    while (b.n > 0 && (b.p[b.n - 1] == ' ' || b.p[b.n - 1] == '\t'))
        b.n--; /* no boundary ends so, and the line may have lost it */
    buf_put_span(ret_boundary, b);
}

/* --- Parts -------------------------------------------------------------------------------- */

/* Reads the type into p->params and tells kind, type and subtype. No or an unreadable type is
 * text/plain (RFC 2045 section 5.2), within multipart/digest message/rfc822 (RFC 2046 section
 * 5.1.5). */
static enum part_kind read_type(struct mime_parser *p, const struct node *n, struct span value,
                                struct span *ret_type, struct span *ret_sub)
{
    bool digest = n->parent != NODE_NONE && p->nodes[n->parent].digest;
    param_parse(&p->params, value);
    if (value.p && split_type(param_main(&p->params), ret_type, ret_sub))
        return kind_of(*ret_type, *ret_sub);
    bool message = digest && !value.p;
    *ret_type = message ? SPAN("message") : SPAN("text");
    *ret_sub = message ? SPAN("rfc822") : SPAN("plain");
    return message ? PART_MESSAGE : PART_TEXT;
}

static void describe_multipart(struct mime_parser *p, struct node *n, struct span sub,
                               const struct mime_fields *f)
{
    size_t before = p->texts.n;
    n->digest = span_ieq(sub, SPAN("digest"));
    n->alternative = span_ieq(sub, SPAN("alternative"));
    imapstr_put(&p->texts, sub);
    n->basic = text_since(p, before);
    before = p->texts.n;
    buf_put_byte(&p->texts, ' ');
    put_params(p, false);
    put_ext_tail(p, f);
    n->ext = text_since(p, before);
}

static void describe_leaf(struct mime_parser *p, struct node *n, struct span type, struct span sub,
                          const struct mime_fields *f)
{
    size_t before = p->texts.n;
    struct span cte = f->cte.p ? encoding_token(f->cte) : SPAN_EMPTY;
    imapstr_put(&p->texts, type);
    buf_put_byte(&p->texts, ' ');
    imapstr_put(&p->texts, sub);
    buf_put_byte(&p->texts, ' ');
    put_params(p, n->kind == PART_TEXT);
    buf_put_byte(&p->texts, ' ');
    put_field(p, f->id);
    buf_put_byte(&p->texts, ' ');
    put_field(p, f->description);
    buf_put_byte(&p->texts, ' ');
    imapstr_put(&p->texts, cte.n > 0 ? cte : SPAN("7bit"));
    n->basic = text_since(p, before);
    n->cte = cte.n > 0 ? (uint8_t)cte_parse(cte) : CTE_7BIT;
    before = p->texts.n;
    buf_put_byte(&p->texts, ' ');
    put_field(p, f->md5);
    put_ext_tail(p, f);
    n->ext = text_since(p, before);
}

/* Texts beyond max_structure are dropped again and replaced by the shortest that say the same of
 * the structure. */
static void describe_minimally(struct mime_parser *p, struct node *n, size_t before)
{
    buf_truncate(&p->texts, before);
    p->limited = true;
    n->charset = (struct text_ref){0, 0};
    if (n->message_root)
        n->envelope = put_text(p, SPAN("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"));
    switch (n->kind) {
    case PART_MULTIPART:
        n->basic = put_text(p, SPAN("\"mixed\""));
        break;
    case PART_MESSAGE:
        n->basic = put_text(p, SPAN("\"message\" \"rfc822\" NIL NIL NIL \"7bit\""));
        break;
    case PART_TEXT:
        n->basic = put_text(p, SPAN("\"text\" \"plain\" NIL NIL NIL \"7bit\""));
        break;
    default:
        n->basic = put_text(p, SPAN("\"application\" \"octet-stream\" NIL NIL NIL \"7bit\""));
    }
    n->ext = put_text(p, SPAN(" NIL NIL NIL NIL"));
}

void structure_make_opaque(struct mime_parser *p, uint32_t i)
{
    struct node *n = &p->nodes[i];
    n->kind = PART_OTHER;
    n->opaque = true;
    n->cte = CTE_7BIT;
    n->charset = (struct text_ref){0, 0};
    n->digest = false;
    n->basic = put_text(p, SPAN("\"application\" \"octet-stream\" NIL NIL NIL \"7bit\""));
    n->ext = put_text(p, SPAN(" NIL NIL NIL NIL"));
}

void structure_make_empty_text(struct mime_parser *p, uint32_t i)
{
    struct node *n = &p->nodes[i];
    n->kind = PART_TEXT;
    n->cte = CTE_7BIT;
    n->basic = put_text(p, SPAN("\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\""));
    n->ext = put_text(p, SPAN(" NIL NIL NIL NIL"));
}

/* --- The message header ------------------------------------------------------------------- */

static void keep_field(struct mime_parser *p, enum header_id id, const struct header_field *f)
{
    size_t value_at = (size_t)(f->value.p - f->raw.p);
    bool room = p->kept.n + f->raw.n <= p->limits.max_kept && value_at <= UINT8_MAX;
    if (!room) {
        p->missing[id / 64] |= UINT64_C(1) << (id % 64);
        p->limited = true;
        return;
    }
    struct kept_field k = {(uint16_t)p->kept.n, (uint8_t)id, (uint8_t)value_at};
    buf_put(&p->kept_index, &k, sizeof(k));
    buf_put_span(&p->kept, f->raw);
}

static void keep_other(struct mime_parser *p, struct span name)
{
    struct name_bits b = header_name_bits(name);
    p->others.w[0] |= b.w[0];
    p->others.w[1] |= b.w[1];
    p->has_others = true;
}

/* --- All fields --------------------------------------------------------------------------- */

static void first(struct span *slot, struct span value)
{
    if (!slot->p)
        *slot = value;
}

static void note_mime_field(struct mime_fields *m, enum header_id id, struct span value)
{
    switch (id) {
    case HEADER_CONTENT_TYPE:
        first(&m->type, value);
        break;
    case HEADER_CONTENT_TRANSFER_ENCODING:
        first(&m->cte, value);
        break;
    case HEADER_CONTENT_ID:
        first(&m->id, value);
        break;
    case HEADER_CONTENT_DESCRIPTION:
        first(&m->description, value);
        break;
    case HEADER_CONTENT_DISPOSITION:
        first(&m->disposition, value);
        break;
    case HEADER_CONTENT_LANGUAGE:
        first(&m->language, value);
        break;
    case HEADER_CONTENT_LOCATION:
        first(&m->location, value);
        break;
    case HEADER_CONTENT_MD5:
        first(&m->md5, value);
        break;
    default:
        break;
    }
}

static void note_envelope_field(struct envelope_fields *e, enum header_id id, struct span value)
{
    if (id == HEADER_OTHER || id >= ARRAY_LEN(e->first))
        return;
    if (e->first[id].p)
        e->again[id] = true;
    else
        e->first[id] = value;
}

/* keep: for the message itself. */
static void read_fields(struct mime_parser *p, bool keep, struct mime_fields *m,
                        struct envelope_fields *e)
{
    struct span rest = buf_span(&p->header);
    struct header_field f;
    size_t used = 0;
    while (header_next(&rest, &f)) {
        enum header_id id = header_id(f.name);
        note_mime_field(m, id, f.value);
        note_envelope_field(e, id, f.value);
        if (!keep)
            continue;
        used += f.raw.n;
        if (id == HEADER_OTHER)
            keep_other(p, f.name);
        else
            keep_field(p, id, &f);
        if (id == HEADER_DATE && !p->sent_valid)
            p->sent_valid = header_date(f.value, &p->sent);
    }
    /* Lines that are no field belong to HEADER.FIELDS.NOT, which the record then cannot answer. */
    if (keep && used + (p->blank == DERIVED_BLANK_NONE ? 0 : p->blank) != p->header.n)
        p->has_others = true;
}

/* The first word of Content-Disposition. */
static bool is_attachment(struct span disposition)
{
    struct span s = span_trim(disposition);
    size_t n = 0;
    while (n < s.n && ascii_is_alpha((unsigned char)s.p[n]))
        n++;
    return span_ieq(span_head(s, n), SPAN("attachment"));
}

static enum preview_kind preview_kind_of(struct span sub)
{
    return span_ieq(sub, SPAN("plain"))  ? PREVIEW_PLAIN
           : span_ieq(sub, SPAN("html")) ? PREVIEW_HTML
                                         : PREVIEW_NONE;
}

void structure_read_header(struct mime_parser *p, uint32_t i, struct buf *ret_boundary)
{
    struct node *n = &p->nodes[i];
    struct mime_fields m = {0};
    struct span type, sub;
    size_t before = p->texts.n;
    struct envelope_fields env = {0};
    read_fields(p, i == 0, &m, &env);
    if (n->message_root) {
        envelope_put(p, &env, buf_span(&p->header), &p->texts);
        n->envelope = text_since(p, before);
    }
    if (i == 0)
        sortkeys_put(p, &env, &p->sort);
    n->kind = (uint8_t)read_type(p, n, m.type, &type, &sub);
    if (n->kind == PART_TEXT || n->kind == PART_MESSAGE_OTHER)
        note_charset(p, n);
    if (n->kind == PART_TEXT && !is_attachment(m.disposition))
        n->preview = (uint8_t)preview_kind_of(sub);
    if (n->kind == PART_MULTIPART) {
        note_boundary(p, ret_boundary);
        describe_multipart(p, n, sub, &m);
    } else {
        describe_leaf(p, n, type, sub, &m);
    }
    if (i == 0)
        p->texts_base = p->texts.n;
    else if (p->texts.n - p->texts_base > p->limits.max_structure)
        describe_minimally(p, n, before);
}

/* --- BODY and BODYSTRUCTURE --------------------------------------------------------------- */

static void put_ref(const struct mime_parser *p, struct text_ref t, struct buf *out)
{
    buf_put(out, p->texts.p + t.at, t.n);
}

static void put_begin(const struct mime_parser *p, const struct node *n, struct buf *out)
{
    buf_put_byte(out, '(');
    if (n->kind == PART_MULTIPART)
        return;
    put_ref(p, n->basic, out);
    buf_put_byte(out, ' ');
    buf_put_u64(out, n->body_length);
    if (n->kind == PART_MESSAGE) {
        buf_put_byte(out, ' ');
        put_ref(p, p->nodes[n->first_child].envelope, out);
        buf_put_byte(out, ' ');
    }
}

static void put_end(const struct mime_parser *p, const struct node *n, bool ext, struct buf *out)
{
    if (n->kind == PART_MULTIPART) {
        buf_put_byte(out, ' ');
        put_ref(p, n->basic, out);
    } else if (n->kind == PART_TEXT || n->kind == PART_MESSAGE) {
        buf_put_byte(out, ' ');
        buf_put_u64(out, n->body_lines);
    }
    if (ext)
        put_ref(p, n->ext, out);
    buf_put_byte(out, ')');
}

void structure_put(const struct mime_parser *p, bool ext, struct buf *out)
{
    uint32_t i = 0;
    for (;;) {
        const struct node *n = &p->nodes[i];
        put_begin(p, n, out);
        if (n->first_child != NODE_NONE) {
            i = n->first_child;
            continue;
        }
        put_end(p, n, ext, out);
        while (n->next == NODE_NONE) { /* up, ending what is complete */
            if (n->parent == NODE_NONE)
                return;
            n = &p->nodes[n->parent];
            put_end(p, n, ext, out);
        }
        i = n->next;
    }
}
