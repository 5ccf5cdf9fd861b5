/* imap/fetch_data.c: the bytes of sections, as literals.
 *
 * Small ones are read straight into the output; large ones go as a file range, which the kernel
 * sends from its page cache. A literal cannot hold NUL (RFC 9051 section 4.3): in messages that
 * have one it is sent as 0x80; BINARY shows it. */
#include "imap/fetch.h"
#include "imap/trace.h"
#include "message/decode.h"

enum { INLINE_MAX = 48 * 1024, READ_CHUNK = 32 * 1024 };

static void put_literal_size(struct buf *b, uint64_t n, bool binary)
{
    buf_put_str(b, binary ? "~{" : "{");
    buf_put_u64(b, n);
    buf_put_lit(b, "}\r\n");
}

static void hide_nul(struct buf *b, size_t from)
{
    for (char *p = b->p + from, *end = b->p + b->n; (p = memchr(p, 0, (size_t)(end - p))); p++)
        *p = (char)0x80;
}

static int put_inline(struct buf *b, struct message_access *m, uint64_t offset, uint64_t length)
{
    size_t from = b->n;
    int rc = account_read(m->account, &m->where, offset, length, b);
    return rc == 0 && b->n - from != length ? ERR_CORRUPT : rc;
}

static void release_fd(void *arg)
{
    message_fd_release(arg);
}

static int put_file(struct session *s, struct buf **b, struct message_access *m, uint64_t offset,
                    uint64_t length)
{
    struct message_fd *held;
    int fd;
    uint64_t base;
    int rc = account_message_fd(m->account, &m->where, &held, &fd, &base);
    if (rc)
        return rc;
    m->queued = true;
    respond_end(s);
    trace_output_skipped(s, length);
    conn_put_file(s->conn, fd, base + offset, length, release_fd, held);
    *b = respond_begin(s);
    return 0;
}

/* The bytes as they are stored. */
static int put_raw(struct session *s, struct buf **b, struct message_access *m, uint64_t offset,
                   uint64_t length)
{
    if (length > INLINE_MAX) {
        int rc = put_file(s, b, m, offset, length);
        if (rc != ERR_INVALID)
            return rc;
    }
    return put_inline(*b, m, offset, length);
}

/* What <offset.length> leaves of a section (RFC 9051 section 6.4.5: beyond its end, nothing). */
static void clip(const struct fetch_item *item, uint64_t *offset, uint64_t *length)
{
    if (!item->partial)
        return;
    uint64_t skip = MIN((uint64_t)item->offset, *length);
    *offset += skip;
    *length = MIN(*length - skip, (uint64_t)item->length);
}

int put_section(struct session *s, struct buf **b, struct message_access *m,
                const struct fetch_item *item, uint64_t offset, uint64_t length)
{
    clip(item, &offset, &length);
    put_literal_size(*b, length, false);
    if (!m->has_nul)
        return put_raw(s, b, m, offset, length);
    size_t from = (*b)->n;
    int rc = put_inline(*b, m, offset, length);
    if (rc == 0)
        hide_nul(*b, from);
    return rc;
}

/* A nested message's header fields are read from its header. */
static int filter_header(struct buf *out, struct message_access *m, const struct fetch_item *item,
                         uint64_t offset, uint64_t length)
{
    struct header_filter f;
    autobuf chunk = BUF_INIT(READ_CHUNK);
    header_filter_init(&f, &item->fields, item->invert);
    while (length) {
        size_t n = (size_t)MIN(length, (uint64_t)READ_CHUNK);
        buf_reset(&chunk);
        int rc = account_read(m->account, &m->where, offset, n, &chunk);
        if (rc || chunk.n != n)
            return rc ? rc : ERR_CORRUPT;
        header_filter_feed(&f, buf_span(&chunk), out);
        offset += n;
        length -= n;
    }
    header_filter_finish(&f, out);
    return 0;
}

int section_header_fields(struct buf *out, struct message_access *m, const struct fetch_item *item,
                          struct span derived)
{
    struct section_range r;
    if (item->depth == 0 && derived_header_fields(derived, &item->fields, item->invert, out))
        return 0;
    int rc = derived_section(derived, item->section, item->depth, SECTION_HEADER, &r);
    return rc ? rc : filter_header(out, m, item, r.offset, r.length);
}

int put_header_fields(struct buf *b, struct message_access *m, const struct fetch_item *item,
                      struct span derived)
{
    autobuf fields = BUF_INIT(BUF_UNLIMITED);
    int rc = section_header_fields(&fields, m, item, derived);
    if (rc == ERR_NOT_FOUND) {
        buf_put_span(b, item->label);
        buf_put_lit(b, " NIL");
        return 0;
    }
    if (rc)
        return rc;
    if (m->has_nul)
        hide_nul(&fields, 0);
    uint64_t offset = 0, length = fields.n;
    clip(item, &offset, &length);
    buf_put_span(b, item->label);
    buf_put_byte(b, ' ');
    put_literal_size(b, length, false);
    buf_put(b, fields.p + offset, length);
    return 0;
}

int put_bytes8(struct session *s, struct buf **b, struct message_access *m,
               const struct fetch_item *item, uint64_t offset, uint64_t length)
{
    clip(item, &offset, &length);
    put_literal_size(*b, length, m->has_nul);
    return put_raw(s, b, m, offset, length);
}

/* --- BINARY (RFC 9051 section 6.4.5) --- */

struct binary_source {
    struct account *account;
    struct message_location where;
    uint64_t at, end; /* still to be read, in the message */
    struct cte_decoder decoder;
    uint64_t skip, left; /* of the decoded bytes */
    struct buf decoded;
    bool finished;
};

static int binary_start(struct binary_source *src, struct message_access *m,
                        const struct mime_part *part)
{
    *src = (struct binary_source){.account = account_ref(m->account),
                                  .where = m->where,
                                  .at = part->body_offset,
                                  .end = part->body_offset + part->body_length,
                                  .decoded = BUF_INIT(BUF_UNLIMITED)};
    return cte_decoder_init(&src->decoder, part->cte,
                            part->kind == PART_TEXT && part->cte > CTE_BINARY);
}

static void binary_free(void *arg)
{
    struct binary_source *src = arg;
    account_unref(src->account);
    buf_done(&src->decoded);
    free(src);
}

static int binary_read(struct binary_source *src, struct buf *raw)
{
    size_t n = (size_t)MIN(src->end - src->at, (uint64_t)READ_CHUNK);
    buf_reset(raw);
    int rc = account_read(src->account, &src->where, src->at, n, raw);
    src->at += n;
    return rc == 0 && raw->n != n ? ERR_CORRUPT : rc;
}

/* outq_pull: more decoded bytes, without those before the partial's start. */
static int binary_pull(void *arg, struct buf *out, size_t room)
{
    struct binary_source *src = arg;
    autobuf raw = BUF_INIT(READ_CHUNK);
    while (src->decoded.n == 0 && !src->finished && src->left) {
        if (src->at < src->end) {
            int rc = binary_read(src, &raw);
            if (rc)
                return rc;
            cte_decode(&src->decoder, buf_span(&raw), &src->decoded);
        } else {
            cte_decode_finish(&src->decoder, &src->decoded);
            src->finished = true;
        }
        size_t drop = (size_t)MIN(src->skip, (uint64_t)src->decoded.n);
        buf_consume(&src->decoded, drop);
        src->skip -= drop;
    }
    size_t n = MIN(MIN(src->decoded.n, room), (size_t)MIN(src->left, (uint64_t)SIZE_MAX));
    buf_put(out, src->decoded.p, n);
    buf_consume(&src->decoded, n);
    src->left -= n;
    if (src->left == 0)
        return 0;
    return src->finished && src->decoded.n == 0 ? ERR_CORRUPT : 1;
}

static int binary_count(struct binary_source *src, uint64_t *ret)
{
    autobuf raw = BUF_INIT(READ_CHUNK);
    uint64_t n = 0;
    while (src->at < src->end) {
        int rc = binary_read(src, &raw);
        if (rc)
            return rc;
        n += cte_count(&src->decoder, buf_span(&raw));
    }
    *ret = n + cte_count_finish(&src->decoder);
    return 0;
}

static bool is_identity(enum part_cte cte)
{
    return cte == CTE_7BIT || cte == CTE_8BIT || cte == CTE_BINARY;
}

int put_binary(struct session *s, struct buf **b, struct message_access *m,
               const struct fetch_item *item, const struct mime_part *part)
{
    uint64_t size = part->body_length;
    struct binary_source *src = xnew(struct binary_source);
    int rc = binary_start(src, m, part);
    if (rc == 0 && !is_identity(part->cte))
        rc = binary_count(src, &size);
    if (rc) {
        binary_free(src);
        return rc;
    }
    buf_put_span(*b, item->label);
    buf_put_byte(*b, ' ');
    if (item->kind == ITEM_BINARY_SIZE) {
        buf_put_u64(*b, size);
        binary_free(src);
        return 0;
    }
    uint64_t offset = 0, length = size;
    clip(item, &offset, &length);
    put_literal_size(*b, length, m->has_nul || !is_identity(part->cte));
    if (length == 0 || is_identity(part->cte)) {
        binary_free(src);
        return put_raw(s, b, m, part->body_offset + offset, length);
    }
    account_unref(src->account);
    buf_done(&src->decoded);
    rc = binary_start(src, m, part); /* it was used up by counting */
    src->skip = offset;
    src->left = length;
    if (rc) {
        binary_free(src);
        return rc;
    }
    m->queued = true;
    respond_end(s);
    trace_output_produced(s);
    conn_put_producer(s->conn, binary_pull, binary_free, src);
    *b = respond_begin(s);
    return 0;
}
