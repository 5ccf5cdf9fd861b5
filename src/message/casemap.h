/* message/casemap.h: i;unicode-casemap (RFC 5051).
 *
 * Each character is replaced by its simple titlecase mapping, then decomposed fully (compatibility
 * decompositions included, Hangul syllables too; no reordering of marks). Two strings are equal, or
 * one contains the other, if that holds for the bytes of their mapped forms. ASCII maps to upper
 * case. Bytes that are not UTF-8 are passed through as they are. A new version of the Unicode
 * tables may change results: CASEMAP_VERSION is to be stored with what is stored of them. */
#ifndef MESSAGE_CASEMAP_H
#define MESSAGE_CASEMAP_H

#include "base/buf.h"
#include "base/span.h"

const char *casemap_version(void); /* of the Unicode tables, "14.0.0" */

/* Appends the mapped form of a whole string. */
void casemap(struct span utf8, struct buf *out);

/* Streaming: a character may be split between chunks. */
struct casemap_stream {
    uint8_t held_n;
    char held[4];
};

#define CASEMAP_STREAM_INIT                                                                        \
    {                                                                                              \
        0,                                                                                         \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
void casemap_feed(struct casemap_stream *st, struct span s, struct buf *out);
void casemap_finish(struct casemap_stream *s, struct buf *out);

#endif
