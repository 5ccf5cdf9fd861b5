#include "store/request_code.h"

#include "base/bytes.h"

enum { CODE_VERSION = 1, ID_LEN = 16, NAMES_MAX = 65536, MESSAGES_MAX = 65536 };

/* Kinds of fields. FIELD_ID is a pointer to 16 bytes, or NULL. */
enum field_type {
    FIELD_BOOL,
    FIELD_U16,
    FIELD_U32, /* enums, too */
    FIELD_U64,
    FIELD_SPAN,
    FIELD_RANGES,
    FIELD_ID,
};

struct field {
    enum field_type type;
    size_t offset;
};

#define F(type, name)                                                                              \
    {                                                                                              \
        FIELD_##type, offsetof(struct request, name)                                               \
    }
#define R(type, name)                                                                              \
    {                                                                                              \
        FIELD_##type, offsetof(struct request_result, name)                                        \
    }

/* All but done, arg, result, next, and the lists (messages, keywords). */
static const struct field request_fields[] = {
    F(U32, kind),
    F(U32, mailbox),
    F(SPAN, name),
    F(SPAN, new_name),
    F(U32, special_use),
    F(ID, delivery_id),
    F(U32, delivery_window),
    F(RANGES, uids),
    F(U32, mode),
    F(U16, flags),
    F(U64, unchanged_since),
    F(U64, view_modseq),
    F(U64, origin),
    F(U64, message_id),
    F(SPAN, derived),
    F(ID, transfer_id),
    F(BOOL, transfer_done),
    F(ID, object_id),
    F(U64, limits[0]),
    F(U64, limits[1]),
    F(U64, limits[2]),
    F(U64, limits[3]),
    F(U32, entries_max),
    F(BOOL, sets_special_use),
    F(U16, keep),
    F(BOOL, keep_keywords),
    F(SPAN, identifier),
    F(U32, rights),
    F(SPAN, seen_user),
};

static const struct field result_fields[] = {
    R(U32, error),       R(BOOL, duplicate),  R(U64, modseq),   R(U32, mailbox),
    R(U32, uidvalidity), R(U32, first_uid),   R(U32, count),    R(RANGES, uids),
    R(RANGES, missing),  R(RANGES, modified), R(RANGES, raced),
};

static const struct ranges no_ranges = RANGES_INIT;

static void put_field(struct buf *to, const struct field *f, const char *base)
{
    const char *p = base + f->offset;
    const unsigned char *id;
    switch (f->type) {
    case FIELD_BOOL:
        put_u8(to, *(const bool *)p);
        break;
    case FIELD_U16:
        put_u16(to, load_le16(p));
        break;
    case FIELD_U32:
        put_u32(to, load_le32(p));
        break;
    case FIELD_U64:
        put_u64(to, load_le64(p));
        break;
    case FIELD_SPAN:
        put_blob(to, *(const struct span *)(const void *)p);
        break;
    case FIELD_RANGES:
        ranges_encode(to, (const struct ranges *)(const void *)p);
        break;
    case FIELD_ID:
        id = *(const unsigned char *const *)(const void *)p;
        put_blob(to, id ? span_make(id, ID_LEN) : SPAN_EMPTY);
        break;
    }
}

static void get_field(struct reader *r, const struct field *f, char *base)
{
    char *p = base + f->offset;
    struct span blob;
    uint8_t byte;
    switch (f->type) {
    case FIELD_BOOL:
        byte = read_u8(r);
        r->bad |= byte > 1;
        *(bool *)p = byte == 1;
        break;
    case FIELD_U16:
        store_le16(p, read_u16(r));
        break;
    case FIELD_U32:
        store_le32(p, read_u32(r));
        break;
    case FIELD_U64:
        store_le64(p, read_u64(r));
        break;
    case FIELD_SPAN:
        *(struct span *)(void *)p = read_blob(r);
        break;
    case FIELD_RANGES:
        r->bad |= r->bad || !ranges_decode(r, (struct ranges *)(void *)p);
        break;
    case FIELD_ID:
        blob = read_blob(r);
        r->bad |= blob.n != 0 && blob.n != ID_LEN;
        *(const unsigned char **)(void *)p = blob.n ? (const unsigned char *)blob.p : NULL;
        break;
    }
}

/* --- lists of names --- */

static void put_names(struct buf *to, const struct span *names, size_t n)
{
    put_varint(to, n);
    for (size_t i = 0; i < n; i++)
        put_blob(to, names[i]);
}

/* A list of `size` items each, as long as the bytes can hold: NULL if it cannot be. */
static void *list_begin(struct reader *r, struct arena *arena, size_t max, size_t size,
                        size_t *ret_n)
{
    uint64_t n = read_varint(r);
    *ret_n = 0;
    if (n > max || n > reader_left(r))
        r->bad = true;
    if (r->bad || n == 0)
        return NULL;
    void *list = arena_array(arena, (size_t)n, size);
    if (!list)
        r->bad = true;
    else
        *ret_n = (size_t)n;
    return list;
}

static const struct span *get_names(struct reader *r, struct arena *arena, size_t *ret_n)
{
    struct span *names = list_begin(r, arena, NAMES_MAX, sizeof(*names), ret_n);
    for (size_t i = 0; names && i < *ret_n; i++)
        names[i] = read_blob(r);
    return names;
}

/* --- messages --- */

static void put_message(struct buf *to, const struct append_message *m,
                        const struct request_part *part)
{
    put_u16(to, m->flags);
    put_names(to, m->keywords, m->keyword_count);
    put_u64(to, (uint64_t)m->internal_date.seconds);
    put_u16(to, (uint16_t)m->internal_date.zone_minutes);
    put_u32(to, part->file);
    put_u64(to, part->offset);
    put_u64(to, part->size);
}

static void get_message(struct reader *r, struct arena *arena, struct append_message *m,
                        struct request_part *part)
{
    m->flags = read_u16(r);
    m->keywords = get_names(r, arena, &m->keyword_count);
    m->internal_date.seconds = (int64_t)read_u64(r);
    m->internal_date.zone_minutes = (int16_t)read_u16(r);
    part->file = read_u32(r);
    part->offset = read_u64(r);
    part->size = read_u64(r);
    r->bad |= part->offset > INT64_MAX || part->size > INT64_MAX - part->offset;
}

/* --- entries of metadata --- */

static void put_entries(struct buf *to, const struct metadata_change *entries, size_t n)
{
    put_varint(to, n);
    for (size_t i = 0; i < n; i++) {
        put_blob(to, entries[i].owner);
        put_blob(to, entries[i].name);
        put_blob(to, entries[i].value);
        put_u8(to, entries[i].remove);
    }
}

static const struct metadata_change *get_entries(struct reader *r, struct arena *arena,
                                                 size_t *ret_n)
{
    struct metadata_change *entries = list_begin(r, arena, NAMES_MAX, sizeof(*entries), ret_n);
    for (size_t i = 0; i < *ret_n; i++) {
        entries[i].owner = read_blob(r);
        entries[i].name = read_blob(r);
        entries[i].value = read_blob(r);
        uint8_t remove = read_u8(r);
        r->bad |= remove > 1;
        entries[i].remove = remove == 1;
    }
    return entries;
}

/* --- requests --- */

void request_encode(struct buf *to, const struct request *r, const struct request_part *parts)
{
    put_u8(to, CODE_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(request_fields); i++)
        put_field(to, &request_fields[i], (const char *)r);
    put_names(to, r->keywords, r->keyword_count);
    put_entries(to, r->entries, r->entry_count);
    put_varint(to, r->message_count);
    for (size_t i = 0; i < r->message_count; i++)
        put_message(to, &r->messages[i], &parts[i]);
}

static void get_messages(struct reader *r, struct arena *arena, struct request *ret,
                         struct request_part **ret_parts)
{
    size_t n = 0;
    ret->messages = list_begin(r, arena, MESSAGES_MAX, sizeof(*ret->messages), &n);
    *ret_parts = n ? arena_array(arena, n, sizeof(**ret_parts)) : NULL;
    if (n && !*ret_parts)
        r->bad = true;
    for (size_t i = 0; i < n && !r->bad; i++)
        get_message(r, arena, &ret->messages[i], &(*ret_parts)[i]);
    ret->message_count = r->bad ? 0 : n;
}

/* 0, ERR_VERSION or ERR_INVALID. */
static int version_of(struct reader *r)
{
    uint8_t version = read_u8(r);
    if (r->bad)
        return ERR_INVALID;
    return version == CODE_VERSION ? 0 : ERR_VERSION;
}

int request_decode(struct span code, struct arena *arena, struct request *ret,
                   struct request_part **ret_parts)
{
    struct reader r = reader_make(code);
    int error = version_of(&r);
    if (error)
        return error;
    for (size_t i = 0; i < ARRAY_LEN(request_fields); i++)
        get_field(&r, &request_fields[i], (char *)ret);
    ret->keywords = get_names(&r, arena, &ret->keyword_count);
    ret->entries = get_entries(&r, arena, &ret->entry_count);
    get_messages(&r, arena, ret, ret_parts);
    if (!r.bad && reader_left(&r) == 0 && ret->kind < REQUEST_KIND_COUNT)
        return 0;
    request_code_done(ret);
    return arena->spent ? ERR_LIMIT : ERR_INVALID;
}

void request_code_done(struct request *r)
{
    ranges_done(&r->uids);
    r->uids = no_ranges;
}

/* --- results --- */

void request_result_encode(struct buf *to, const struct request_result *result)
{
    put_u8(to, CODE_VERSION);
    for (size_t i = 0; i < ARRAY_LEN(result_fields); i++)
        put_field(to, &result_fields[i], (const char *)result);
}

int request_result_decode(struct span code, struct request_result *ret)
{
    struct reader r = reader_make(code);
    int error = version_of(&r);
    if (error)
        return error;
    for (size_t i = 0; i < ARRAY_LEN(result_fields); i++)
        get_field(&r, &result_fields[i], (char *)ret);
    if (!r.bad && reader_left(&r) == 0)
        return 0;
    ranges_done(&ret->uids);
    ranges_done(&ret->missing);
    ranges_done(&ret->modified);
    ranges_done(&ret->raced);
    *ret = (struct request_result){0};
    return ERR_INVALID;
}
