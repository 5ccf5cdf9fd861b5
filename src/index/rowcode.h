/* index/rowcode.h: a row as octets, the same in blocks and as a ghost. Private to src/index.
 *
 *     uid(4) flags(1) keywords(1) zone(2) modseq(6) created modseq(6) message id(6) size(6)
 *     internal date(6) save date(6)
 *
 * 44 octets; the keyword ids (2 each) are elsewhere. */
#ifndef INDEX_ROWCODE_H
#define INDEX_ROWCODE_H

#include "index/record.h"

enum { ROW_SIZE = 44 };

/* 48 bits with one load; nothing is ever read outside the row, as p - 2 is in it. */
static inline uint64_t row_load48(const unsigned char *p)
{
    return load_le64(p - 2) >> 16;
}

static inline void row_store48(unsigned char *p, uint64_t v)
{
    store_le32(p, (uint32_t)v);
    store_le16(p + 4, (uint16_t)(v >> 32));
}

static inline uint32_t row_raw_uid(const unsigned char *raw)
{
    return load_le32(raw);
}

static inline uint64_t row_raw_modseq(const unsigned char *raw)
{
    return row_load48(raw + 8);
}

static inline unsigned row_raw_keywords(const unsigned char *raw)
{
    return raw[5];
}

static inline void row_decode(const unsigned char *raw, const unsigned char *keywords,
                              struct row *ret)
{
    ret->uid = row_raw_uid(raw);
    ret->flags = raw[4];
    ret->keyword_count = raw[5];
    ret->keywords = keywords;
    ret->internal_date.zone_minutes = (int16_t)load_le16(raw + 6);
    ret->modseq = row_raw_modseq(raw);
    ret->created_modseq = row_load48(raw + 14);
    ret->message_id = row_load48(raw + 20);
    ret->size = row_load48(raw + 26);
    ret->internal_date.seconds = (int64_t)load_le64(raw + 30) >> 16;
    ret->save_date = (int64_t)load_le64(raw + 36) >> 16;
}

static inline void row_encode(unsigned char *raw, const struct row *row)
{
    store_le32(raw, row->uid);
    raw[4] = (unsigned char)row->flags;
    raw[5] = (unsigned char)row->keyword_count;
    store_le16(raw + 6, (uint16_t)row->internal_date.zone_minutes);
    row_store48(raw + 8, row->modseq);
    row_store48(raw + 14, row->created_modseq);
    row_store48(raw + 20, row->message_id);
    row_store48(raw + 26, row->size);
    row_store48(raw + 32, (uint64_t)row->internal_date.seconds);
    row_store48(raw + 38, (uint64_t)row->save_date);
}

/* Whether the row fits the format. */
static inline bool row_fits(const struct row *row)
{
    const int64_t date = row->internal_date.seconds, save = row->save_date;

    return row->uid != 0 && row->flags <= UINT8_MAX && row->keyword_count <= INDEX_KEYWORDS_MAX &&
           row->modseq <= INDEX_NUMBER_MAX && row->created_modseq <= INDEX_NUMBER_MAX &&
           row->message_id <= INDEX_NUMBER_MAX && row->size <= INDEX_NUMBER_MAX &&
           date <= (int64_t)INDEX_NUMBER_MAX && date >= -(int64_t)INDEX_NUMBER_MAX &&
           save <= (int64_t)INDEX_NUMBER_MAX && save >= -(int64_t)INDEX_NUMBER_MAX;
}

#endif
