/* Reads derived records. Layout: derived_int.h. Nothing in a record is believed before it is
 * checked against the record's length. */
#include "message/derived.h"

#include "base/bytes.h"
#include "message/derived_int.h"
#include "message/header_int.h"

enum {
    SEC_ENVELOPE,
    SEC_BODY,
    SEC_STRUCTURE,
    SEC_FIELDS,
    SEC_PARTS,
    SEC_SORT,
    SEC_CHARSETS,
    SEC_PREVIEW
};

bool derived_usable(struct span rec)
{
    if (rec.n < REC_HEADER || (uint8_t)rec.p[0] != REC_MAGIC || rec.p[1] != DERIVED_VERSION ||
        load_le32(rec.p + 4) != rec.n)
        return false;
    uint32_t at = REC_HEADER;
    for (size_t i = SEC_ENVELOPE; i < SEC_PREVIEW; i++) {
        uint32_t end = load_le32(rec.p + 40 + 4 * i);
        if (end < at || end > rec.n)
            return false;
        at = end;
    }
    return true;
}

static bool section(struct span rec, size_t which, struct span *ret)
{
    if (!derived_usable(rec))
        return false;
    size_t at = which == SEC_ENVELOPE ? REC_HEADER : load_le32(rec.p + 36 + 4 * which);
    size_t end = which == SEC_PREVIEW ? rec.n : load_le32(rec.p + 40 + 4 * which);
    *ret = span_make(rec.p + at, end - at);
    return true;
}

int derived_envelope(struct span rec, struct span *ret)
{
    return section(rec, SEC_ENVELOPE, ret) ? 0 : ERR_CORRUPT;
}

int derived_body(struct span rec, struct span *ret)
{
    return section(rec, SEC_BODY, ret) ? 0 : ERR_CORRUPT;
}

int derived_bodystructure(struct span rec, struct span *ret)
{
    return section(rec, SEC_STRUCTURE, ret) ? 0 : ERR_CORRUPT;
}

int derived_preview(struct span rec, struct span *ret)
{
    return section(rec, SEC_PREVIEW, ret) ? 0 : ERR_CORRUPT;
}

int derived_info(struct span rec, struct derived_info *ret)
{
    if (!derived_usable(rec))
        return ERR_CORRUPT;
    uint16_t flags = load_le16(rec.p + 2);
    if ((flags & REC_BLANK) > DERIVED_BLANK_CRLF)
        return ERR_CORRUPT;
    *ret = (struct derived_info){
        .size = load_le64(rec.p + 8),
        .header_length = load_le64(rec.p + 16),
        .blank = flags & REC_BLANK,
        .has_nul = flags & REC_NUL,
        .has_8bit_header = flags & REC_8BIT_HEAD,
        .has_8bit_body = flags & REC_8BIT_BODY,
        .limited = flags & REC_LIMITED,
        .sent_valid = flags & REC_SENT,
        .sent_utc = (int64_t)load_le64(rec.p + 24),
        .sent_day = (int32_t)load_le32(rec.p + 32),
        .sent_zone = (int16_t)load_le16(rec.p + 36),
    };
    return ret->header_length <= ret->size ? 0 : ERR_CORRUPT;
}

int derived_sort(struct span rec, struct derived_sort *ret)
{
    struct span s;
    struct derived_sort d = {0};
    if (!section(rec, SEC_SORT, &s) || s.n < SORT_HEADER)
        return ERR_CORRUPT;
    d.reply_or_forward = load_le16(s.p) & SORT_REPLY;
    d.n_references = load_le16(s.p + 2);
    struct span rest = span_skip(s, SORT_HEADER);
    for (size_t i = 0; i < SORTKEY_COUNT; i++) {
        size_t n = load_le16(s.p + 4 + 2 * i);
        if (n > rest.n)
            return ERR_CORRUPT;
        d.key[i] = span_head(rest, n);
        rest = span_skip(rest, n);
    }
    if (rest.n != 8 + 8 * d.n_references)
        return ERR_CORRUPT;
    d.message_id = load_le64(rest.p);
    d.references = rest.p + 8;
    *ret = d;
    return 0;
}

uint64_t derived_reference(const struct derived_sort *s, size_t i)
{
    return load_le64(s->references + 8 * i);
}

/* --- Fields ------------------------------------------------------------------------------- */

struct fields {
    uint16_t flags;
    uint32_t count;
    struct name_bits others;
    uint64_t missing[2];
    const char *entries; /* count + 1 of them */
    struct span data;
};

static bool fields_open(struct span rec, struct fields *f)
{
    struct span s;
    if (!section(rec, SEC_FIELDS, &s) || s.n < 20)
        return false;
    f->flags = load_le16(rec.p + 2);
    f->count = load_le16(s.p);
    f->others = (struct name_bits){{load_le64(s.p + 4), load_le64(s.p + 12)}};
    f->missing[0] = f->missing[1] = 0;
    size_t at = 20;
    if (f->flags & REC_MISSING) {
        if (s.n < 36)
            return false;
        f->missing[0] = load_le64(s.p + 20);
        f->missing[1] = load_le64(s.p + 28);
        at = 36;
    }
    size_t need = at + ((size_t)f->count + 1) * FIELD_ENTRY;
    if (s.n < need)
        return false;
    f->entries = s.p + at;
    f->data = span_skip(s, need);
    return load_le16(f->entries + f->count * FIELD_ENTRY) == f->data.n;
}

/* The raw field i; false if the table is damaged. */
static bool field_at(const struct fields *f, uint32_t i, unsigned *ret_id, unsigned *ret_value_at,
                     struct span *ret_raw)
{
    const char *e = f->entries + (size_t)i * FIELD_ENTRY;
    size_t at = load_le16(e), end = load_le16(e + FIELD_ENTRY);
    *ret_id = (uint8_t)e[2];
    *ret_value_at = (uint8_t)e[3];
    if (at > end || end > f->data.n || *ret_id >= 128)
        return false;
    *ret_raw = span_make(f->data.p + at, end - at);
    return true;
}

static bool may_be_other(const struct fields *f, struct name_bits b)
{
    return (f->others.w[0] & b.w[0]) == b.w[0] && (f->others.w[1] & b.w[1]) == b.w[1];
}

/* Whether the record has everything that the question is about. */
static bool can_answer(const struct fields *f, const struct header_set *set, bool invert)
{
    if (f->flags & REC_HEADER_CUT)
        return false;
    if (invert) /* all the fields that are not in the set have to be here */
        return !(f->flags & REC_OTHERS) &&
               !((f->missing[0] & ~set->known[0]) | (f->missing[1] & ~set->known[1]));
    if ((f->missing[0] & set->known[0]) | (f->missing[1] & set->known[1]))
        return false;
    for (size_t i = 0; i < set->n_other; i++)
        if (may_be_other(f, set->other[i].bits))
            return false;
    return true;
}

bool derived_header_fields(struct span rec, const struct header_set *set, bool invert,
                           struct buf *out)
{
    struct fields f;
    if (!fields_open(rec, &f) || !can_answer(&f, set, invert))
        return false;
    size_t before = out->n;
    uint64_t known[2] = {set->known[0], set->known[1]};
    if (invert) {
        known[0] = ~known[0];
        known[1] = ~known[1];
    }
    for (uint32_t i = 0; i < f.count; i++) {
        unsigned id, value_at;
        struct span raw;
        if (!field_at(&f, i, &id, &value_at, &raw)) {
            buf_truncate(out, before);
            return false;
        }
        if (known[id / 64] >> (id % 64) & 1)
            buf_put_span(out, raw);
    }
    unsigned blank = f.flags & REC_BLANK;
    if (blank == DERIVED_BLANK_LF)
        buf_put_byte(out, '\n');
    else if (blank == DERIVED_BLANK_CRLF)
        buf_put_lit(out, "\r\n");
    return true;
}

bool derived_field_next(struct span rec, enum header_id id, uint32_t *pos, struct span *ret_value)
{
    struct fields f;
    if (!fields_open(rec, &f))
        return false;
    while (*pos < f.count) {
        unsigned this_id, value_at;
        struct span raw;
        if (!field_at(&f, (*pos)++, &this_id, &value_at, &raw))
            return false;
        if (this_id != (unsigned)id)
            continue;
        struct span v = span_skip(raw, value_at);
        if (v.n && v.p[v.n - 1] == '\n')
            v.n--;
        if (v.n && v.p[v.n - 1] == '\r')
            v.n--;
        *ret_value = v;
        return true;
    }
    return false;
}

enum derived_has derived_has_field(struct span rec, struct span name)
{
    struct fields f;
    if (!fields_open(rec, &f) || (f.flags & REC_HEADER_CUT))
        return DERIVED_UNKNOWN;
    enum header_id id = header_id(name);
    if (id == HEADER_OTHER)
        return may_be_other(&f, header_name_bits(name)) ? DERIVED_UNKNOWN : DERIVED_ABSENT;
    if (f.missing[id / 64] >> (id % 64) & 1)
        return DERIVED_UNKNOWN;
    uint32_t pos = 0;
    struct span value;
    return derived_field_next(rec, id, &pos, &value) ? DERIVED_KEPT : DERIVED_ABSENT;
}

/* --- Parts -------------------------------------------------------------------------------- */

static bool parts_open(struct span rec, struct span *ret_table, size_t *ret_size, uint32_t *ret_n)
{
    if (!section(rec, SEC_PARTS, ret_table))
        return false;
    *ret_size = load_le16(rec.p + 2) & REC_WIDE ? PART_SIZE_W : PART_SIZE;
    *ret_n = load_le16(rec.p + 38);
    return *ret_n > 0 && *ret_n < PART_NONE16 && ret_table->n == *ret_n * *ret_size;
}

uint32_t derived_part_count(struct span rec)
{
    struct span table;
    size_t size;
    uint32_t n;
    return parts_open(rec, &table, &size, &n) ? n : 0;
}

static uint32_t index32(const char *p)
{
    uint16_t v = load_le16(p);
    return v == PART_NONE16 ? PART_NONE : v;
}

static bool charset_at(struct span rec, uint16_t at, struct span *ret)
{
    struct span pool;
    *ret = SPAN_EMPTY;
    if (at == PART_NONE16)
        return true;
    if (!section(rec, SEC_CHARSETS, &pool) || at >= pool.n)
        return false;
    struct reader r = reader_make(span_skip(pool, at));
    size_t n = read_u8(&r);
    *ret = read_bytes(&r, n);
    return !r.bad;
}

/* The sums must hold within the message, so that callers can read without checking. */
static bool ranges_sane(const struct mime_part *p, uint64_t size)
{
    uint64_t end;
    return !add_overflow(p->header_offset, p->header_length, &end) && end == p->body_offset &&
           !add_overflow(end, p->body_length, &end) && end <= size;
}

int derived_part(struct span rec, uint32_t index, struct mime_part *ret)
{
    struct span table;
    size_t size;
    uint32_t n;
    if (!parts_open(rec, &table, &size, &n))
        return ERR_CORRUPT;
    if (index >= n)
        return ERR_NOT_FOUND;
    const char *e = table.p + index * size;
    uint64_t v[5];
    for (size_t i = 0; i < 5; i++)
        v[i] = size == PART_SIZE_W ? load_le64(e + PART_FIXED + 8 * i)
                                   : load_le32(e + PART_FIXED + 4 * i);
    struct mime_part p = {
        .index = index,
        .parent = index32(e + 4),
        .first_child = index32(e + 6),
        .next_sibling = index32(e + 8),
        .number = load_le16(e + 10),
        .kind = (uint8_t)e[0],
        .cte = (uint8_t)e[1],
        .opaque = load_le16(e + 2) & PART_F_OPAQUE,
        .header_offset = v[0],
        .header_length = v[1],
        .body_offset = v[0] + v[1],
        .body_length = v[2],
        .header_lines = v[3],
        .body_lines = v[4],
    };
    /* Parents come before their children and siblings follow one another: walks end. */
    bool links = (p.parent == PART_NONE) == (index == 0) && (index == 0 || p.parent < index) &&
                 (p.first_child == PART_NONE || (p.first_child > index && p.first_child < n)) &&
                 (p.next_sibling == PART_NONE || (p.next_sibling > index && p.next_sibling < n));
    if (!links || p.kind > PART_MESSAGE_OTHER || p.cte > CTE_UNKNOWN ||
        !ranges_sane(&p, load_le64(rec.p + 8)) || !charset_at(rec, load_le16(e + 12), &p.charset))
        return ERR_CORRUPT;
    *ret = p;
    return 0;
}

/* Child number want of the part. */
static int child(struct span rec, const struct mime_part *of, uint32_t want, struct mime_part *ret)
{
    struct mime_part p;
    for (uint32_t i = of->first_child; i != PART_NONE; i = p.next_sibling) {
        int r = derived_part(rec, i, &p);
        if (r < 0)
            return ERR_CORRUPT;
        if (p.number == want) {
            *ret = p;
            return 0;
        }
    }
    return ERR_NOT_FOUND;
}

/* One number of a section specification (RFC 9051 section 6.4.5.1). *as_message: the part p stands
 * for the message whose header it has; otherwise for a body part. */
static int descend(struct span rec, uint32_t number, bool *as_message, struct mime_part *p)
{
    if (!*as_message && p->kind == PART_MESSAGE) {
        int r = child(rec, p, 1, p);
        if (r < 0)
            return r;
        *as_message = true;
    }
    bool message = *as_message;
    *as_message = false;
    if (p->kind == PART_MULTIPART)
        return child(rec, p, number, p);
    return message && number == 1 ? 0 : ERR_NOT_FOUND; /* 1 is the body of a simple message */
}

int derived_find_part(struct span rec, const uint32_t *numbers, size_t depth, struct mime_part *ret)
{
    struct mime_part p;
    bool as_message = true;
    int r = derived_part(rec, 0, &p);
    for (size_t i = 0; i < depth && r == 0; i++)
        r = descend(rec, numbers[i], &as_message, &p);
    if (r == 0)
        *ret = p;
    return r;
}

int derived_section(struct span rec, const uint32_t *numbers, size_t depth, enum section_text text,
                    struct section_range *ret)
{
    struct mime_part p, message;
    int r = derived_find_part(rec, numbers, depth, &p);
    if (r != 0)
        return r;
    if (text == SECTION_MIME && depth == 0)
        return ERR_NOT_FOUND;
    message = p;
    if (depth > 0 && (text == SECTION_HEADER || text == SECTION_TEXT)) {
        if (p.kind != PART_MESSAGE)
            return ERR_NOT_FOUND;
        r = child(rec, &p, 1, &message);
        if (r < 0)
            return r;
    }
    struct section_range range = {p.body_offset, p.body_length, p};
    if (text == SECTION_ALL && depth == 0)
        range = (struct section_range){0, load_le64(rec.p + 8), p};
    else if (text == SECTION_HEADER || text == SECTION_MIME)
        range = (struct section_range){message.header_offset, message.header_length, p};
    else if (text == SECTION_TEXT)
        range = (struct section_range){message.body_offset, message.body_length, p};
    *ret = range;
    return 0;
}
