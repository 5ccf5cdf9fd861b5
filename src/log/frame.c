/* log/frame.c: the fixed layouts. */
#include <errno.h>

#include "base/crc32c.h"
#include "log/log_int.h"

static const char segment_magic[8] = "MARTLOG1";

/* Two independent halves of the key: who does not know it guesses 64 bits. */
static uint32_t place_crc(const struct frame_place *place, const char *header)
{
    char bytes[20];
    store_le32(bytes, (uint32_t)(place->key >> 32));
    store_le64(bytes + 4, place->segment);
    store_le64(bytes + 12, place->offset);
    return crc32c(crc32c(0, bytes, sizeof(bytes)), header + 8, FRAME_HEADER - 8);
}

void frame_header_put(char to[FRAME_HEADER], const struct frame_header *h,
                      const struct frame_place *place)
{
    memset(to, 0, FRAME_HEADER);
    store_le32(to, (uint32_t)place->key);
    store_le64(to + 8, h->seq);
    store_le64(to + 16, h->time);
    store_le64(to + 24, h->durable);
    store_le16(to + 32, h->type);
    store_le16(to + 34, h->version);
    store_le32(to + 36, h->ops_crc);
    store_le64(to + 40, h->ops_length);
    store_le64(to + 48, h->payload_length);
    store_le32(to + 56, h->payload_crc);
    store_le32(to + 60, h->flags);
    store_le32(to + 4, place_crc(place, to));
}

bool frame_header_get(const char from[FRAME_HEADER], const struct frame_place *place,
                      struct frame_header *ret)
{
    if (load_le32(from) != (uint32_t)place->key || load_le32(from + 4) != place_crc(place, from))
        return false;
    *ret = (struct frame_header){
        .seq = load_le64(from + 8),
        .time = load_le64(from + 16),
        .durable = load_le64(from + 24),
        .type = load_le16(from + 32),
        .version = load_le16(from + 34),
        .ops_crc = load_le32(from + 36),
        .ops_length = load_le64(from + 40),
        .payload_length = load_le64(from + 48),
        .payload_crc = load_le32(from + 56),
        .flags = load_le32(from + 60),
    };
    return ret->ops_length <= LOG_OPS_MAX && ret->payload_length <= LOG_PAYLOAD_MAX &&
           ret->durable <= ret->seq && ret->seq <= LOG_SEQ_MAX;
}

void segment_header_put(char to[SEGMENT_HEADER], const struct segment_header *h)
{
    memset(to, 0, SEGMENT_HEADER);
    memcpy(to, segment_magic, 8);
    store_le16(to + 8, LOG_VERSION);
    store_le16(to + 10, h->kind);
    store_le32(to + 12, h->incarnation);
    memcpy(to + 16, h->id, LOG_ID_LEN);
    store_le64(to + 32, h->number);
    store_le64(to + 40, h->first_seq);
    store_le64(to + 48, h->created);
    store_le64(to + 56, h->key);
    store_le32(to + 64, crc32c(0, to, 64));
}

int segment_header_get(const char from[SEGMENT_HEADER], struct segment_header *ret)
{
    if (memcmp(from, segment_magic, 8) != 0 || load_le32(from + 64) != crc32c(0, from, 64))
        return ERR_CORRUPT;
    uint16_t kind = load_le16(from + 10);
    if (load_le16(from + 8) != LOG_VERSION || kind < SEGMENT_LOG || kind > SEGMENT_BASE)
        return ERR_VERSION;
    ret->kind = kind;
    ret->incarnation = load_le32(from + 12);
    memcpy(ret->id, from + 16, LOG_ID_LEN);
    ret->number = load_le64(from + 32);
    ret->first_seq = load_le64(from + 40);
    ret->created = load_le64(from + 48);
    ret->key = load_le64(from + 56);
    return ret->first_seq <= LOG_SEQ_MAX ? 0 : ERR_CORRUPT;
}

void payload_header_put(struct buf *b, const struct payload_header *h)
{
    put_varint(b, h->offset);
    put_varint(b, h->length);
    put_u32(b, h->crc);
    put_u8(b, h->codec);
    put_varint(b, h->key_id);
    put_u8(b, h->has_hash);
    if (h->has_hash)
        buf_put(b, h->hash, sizeof(h->hash));
}

bool payload_header_read(struct reader *r, struct payload_header *ret)
{
    struct payload_header h = {0};
    h.offset = read_varint(r);
    h.length = read_varint(r);
    h.crc = read_u32(r);
    h.codec = read_u8(r);
    uint64_t key = read_varint(r);
    h.has_hash = read_u8(r) != 0;
    if (h.has_hash) {
        struct span hash = read_bytes(r, sizeof(h.hash));
        if (!r->bad)
            memcpy(h.hash, hash.p, sizeof(h.hash));
    }
    if (key > UINT32_MAX)
        r->bad = true;
    h.key_id = (uint32_t)key;
    if (!r->bad)
        *ret = h;
    return !r->bad;
}

int log_error_of(struct err *err, int rc, const char *what, const char *path)
{
    errno = -rc;
    return err_set_errno(err, "%s %s", what, path);
}
