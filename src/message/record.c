/* Writes the derived record of a message that was parsed. Layout: derived_int.h. */
#include "base/bytes.h"
#include "message/derived_int.h"
#include "message/imapstr_int.h"
#include "message/mime_int.h"

/* See envelope.c: the limit on addresses, one address beyond it, From up to three times, and the
 * strings. */
static size_t envelope_max(const struct mime_limits *l)
{
    return 3 * ((size_t)131072 + 2 * (size_t)l->max_header) + 2 * (size_t)l->max_header + 1024;
}

size_t mime_record_max(const struct mime_limits *limits)
{
    const struct mime_limits *l = limits ? limits : &mime_limits_default;
    size_t root = envelope_max(l) + 8 * (size_t)l->max_header;
    size_t part = 512 + PART_SIZE_W + 42;
    return REC_HEADER + root + 2 * ((size_t)l->max_structure + 8 * (size_t)l->max_header) +
           l->max_parts * part + 2 * (size_t)l->max_kept + SORTKEYS_MAX + 8 * PREVIEW_CHARS_MAX +
           4096;
}

static void put_fields(const struct mime_parser *p, bool missing, struct buf *out)
{
    size_t count = p->kept_index.n / sizeof(struct kept_field);
    put_u16(out, (uint16_t)count);
    put_u16(out, 0);
    put_u64(out, p->others.w[0]);
    put_u64(out, p->others.w[1]);
    if (missing) {
        put_u64(out, p->missing[0]);
        put_u64(out, p->missing[1]);
    }
    for (size_t i = 0; i < count; i++) {
        struct kept_field k;
        memcpy(&k, p->kept_index.p + i * sizeof(k), sizeof(k));
        put_u16(out, k.at);
        put_u8(out, k.id);
        put_u8(out, k.value_at);
    }
    put_u16(out, (uint16_t)p->kept.n);
    put_u16(out, 0);
    buf_put_span(out, buf_span(&p->kept));
}

static uint16_t index16(uint32_t i)
{
    return i == NODE_NONE ? PART_NONE16 : (uint16_t)i;
}

static void put_number(struct buf *out, bool wide, uint64_t v)
{
    if (wide)
        put_u64(out, v);
    else
        put_u32(out, (uint32_t)v);
}

/* The offset of the charset's name in the pool, which is added unless it is the last one there. */
static uint16_t pool_charset(const struct mime_parser *p, struct text_ref ref, struct buf *pool,
                             uint16_t *last)
{
    if (ref.n == 0)
        return PART_NONE16;
    struct span name = span_make(p->texts.p + ref.at, ref.n);
    if (*last != PART_NONE16 && span_eq(span_skip(buf_span(pool), *last + 1u), name))
        return *last;
    if (pool->n + 1 + name.n >= PART_NONE16)
        return PART_NONE16;
    *last = (uint16_t)pool->n;
    put_blob(pool, name); /* shorter than 128: the length is one byte */
    return *last;
}

static void put_part(const struct node *n, bool wide, uint16_t charset, struct buf *out)
{
    put_u8(out, n->kind);
    put_u8(out, n->cte);
    put_u16(out, (uint16_t)((n->opaque ? PART_F_OPAQUE : 0) | (n->message_root ? PART_F_ROOT : 0)));
    put_u16(out, index16(n->parent));
    put_u16(out, index16(n->first_child));
    put_u16(out, index16(n->next));
    put_u16(out, (uint16_t)n->number);
    put_u16(out, charset);
    put_u16(out, 0);
    put_number(out, wide, n->header_offset);
    put_number(out, wide, n->header_length);
    put_number(out, wide, n->body_length);
    put_number(out, wide, n->header_lines);
    put_number(out, wide, n->body_lines);
}

static void put_parts(const struct mime_parser *p, bool wide, struct buf *pool, struct buf *out)
{
    uint16_t last = PART_NONE16;
    for (uint32_t i = 0; i < p->n_nodes; i++) {
        const struct node *n = &p->nodes[i];
        put_part(n, wide, pool_charset(p, n->charset, pool, &last), out);
    }
}

static uint16_t flags_of(const struct mime_parser *p, bool wide, bool missing)
{
    uint32_t f = p->blank;
    f |= p->st.nul ? REC_NUL : 0;
    f |= p->high_header ? REC_8BIT_HEAD : 0;
    f |= p->high_body ? REC_8BIT_BODY : 0;
    f |= p->limited || p->root_cut ? REC_LIMITED : 0;
    f |= p->sent_valid ? REC_SENT : 0;
    f |= wide ? REC_WIDE : 0;
    f |= missing ? REC_MISSING : 0;
    f |= p->root_cut ? REC_HEADER_CUT : 0;
    f |= p->has_others ? REC_OTHERS : 0;
    return (uint16_t)f;
}

void record_put(struct mime_parser *p, struct buf *out)
{
    bool wide = p->pos > UINT32_MAX;
    bool missing = (p->missing[0] | p->missing[1]) != 0;
    size_t base = out->n;
    struct text_ref envelope = p->nodes[0].envelope;
    autobuf pool = BUF_INIT(65536);
    uint32_t ends[7];

    put_u8(out, REC_MAGIC);
    put_u8(out, DERIVED_VERSION);
    put_u16(out, flags_of(p, wide, missing));
    put_u32(out, 0);
    put_u64(out, p->pos);
    put_u64(out, p->nodes[0].header_length);
    put_u64(out, (uint64_t)p->sent.utc);
    put_u32(out, (uint32_t)p->sent.day);
    put_u16(out, (uint16_t)p->sent.zone);
    put_u16(out, (uint16_t)p->n_nodes);
    buf_put(out, (const char[REC_HEADER - 40]){0}, REC_HEADER - 40);
    buf_put(out, p->texts.p + envelope.at, envelope.n);
    ends[0] = (uint32_t)(out->n - base);
    structure_put(p, false, out);
    ends[1] = (uint32_t)(out->n - base);
    structure_put(p, true, out);
    ends[2] = (uint32_t)(out->n - base);
    put_fields(p, missing, out);
    ends[3] = (uint32_t)(out->n - base);
    put_parts(p, wide, &pool, out);
    ends[4] = (uint32_t)(out->n - base);
    if (p->sort.n)
        buf_put_span(out, buf_span(&p->sort));
    else /* there was no header to read */
        sortkeys_put(p, &(struct envelope_fields){0}, out);
    ends[5] = (uint32_t)(out->n - base);
    buf_put_span(out, buf_span(&pool));
    ends[6] = (uint32_t)(out->n - base);
    imapstr_put(out, p->preview ? preview_result(p->preview) : SPAN_EMPTY);
    if (!buf_ok(out))
        return;
    store_le32(out->p + base + 4, (uint32_t)(out->n - base));
    for (size_t i = 0; i < ARRAY_LEN(ends); i++)
        store_le32(out->p + base + 40 + 4 * i, ends[i]);
}
