/* message/decode.h: streaming decoders for Content-Transfer-Encoding (RFC 2045 section 6).
 *
 * Broken input is decoded as far as it goes: characters outside the base64 alphabet are skipped, a
 * "=" that is no escape stays as it is. Any chunking gives the same output. No memory beyond the
 * struct. One thread at a time. */
#ifndef MESSAGE_DECODE_H
#define MESSAGE_DECODE_H

#include "base/buf.h"
#include "message/derived.h"

struct cte_decoder {
    enum part_cte cte;
    bool crlf;         /* text: every line break of the output becomes CRLF */
    bool last_cr;      /* the last octet decoded was CR */
    uint8_t held_n;    /* base64: digits in bits */
    uint8_t n_pending; /* quoted-printable: bytes whose meaning shows later */
    uint32_t bits;
    char pending[76];
};

enum part_cte cte_parse(struct span token); /* the value of Content-Transfer-Encoding */

/* With crlf, bare LF (and nothing else) of the output becomes CRLF, as BINARY requires of text
 * parts (RFC 9051 section 7.5.2). 0, or ERR_INVALID for CTE_UNKNOWN (answer NO [UNKNOWN-CTE]). */
int cte_decoder_init(struct cte_decoder *d, enum part_cte cte, bool crlf) must_check;

/* Appends what the chunk decodes to: at most 2 * chunk.n + 160 bytes. */
void cte_decode(struct cte_decoder *d, struct span chunk, struct buf *out);
void cte_decode_finish(struct cte_decoder *d, struct buf *out);

/* The same without output: how many bytes it would append (for BINARY.SIZE). */
uint64_t cte_count(struct cte_decoder *d, struct span chunk);
uint64_t cte_count_finish(struct cte_decoder *d);

#endif
