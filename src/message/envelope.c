/* ENVELOPE (RFC 9051 section 7.5.2). */
#include "message/imapstr_int.h"
#include "message/mime_int.h"

/* All address lists of one envelope together; a header of 64 KiB could otherwise become more than a
 * megabyte, as "a," is an address and From may count three times. */
#define ADDRESS_BYTES_MAX 131072

static void put_string(struct mime_parser *p, struct span value, struct buf *out)
{
    if (value.p)
        imapstr_put_field(out, value, &p->scratch);
    else
        buf_put_lit(out, "NIL");
}

static void put_nstring(struct buf *out, bool present, struct span s)
{
    if (present)
        imapstr_put(out, s);
    else
        buf_put_lit(out, "NIL");
}

static void put_address(struct buf *out, const struct address *a)
{
    bool end = a->kind == ADDRESS_GROUP_END;
    buf_put_byte(out, '(');
    put_nstring(out, a->has_name, a->name);
    buf_put_byte(out, ' ');
    put_nstring(out, a->has_route, a->route);
    buf_put_byte(out, ' ');
    put_nstring(out, !end, a->mailbox);
    buf_put_byte(out, ' ');
    put_nstring(out, a->kind == ADDRESS_MAILBOX, a->host);
    buf_put_byte(out, ')');
}

/* The addresses of one field. A group that is cut short by the limit still gets its end. */
static void put_addresses(struct mime_parser *p, struct span value, struct buf *out, size_t limit)
{
    struct address a;
    address_iter_restart(&p->addresses, value);
    while (address_next(&p->addresses, &a)) {
        if (out->n < limit) {
            put_address(out, &a);
            continue;
        }
        if (p->addresses.in_group)
            put_address(out, &(struct address){.kind = ADDRESS_GROUP_END});
        p->limited = true;
        return;
    }
}

/* A parenthesized list, or NIL if there is no address. Several destination fields count as one
 * (RFC 5322 section 4.5.3). */
static void put_list(struct mime_parser *p, const struct envelope_fields *f, enum header_id slot,
                     struct span header, struct buf *out, size_t limit)
{
    size_t before = out->n;
    if (f->first[slot].p) {
        buf_put_byte(out, '(');
        put_addresses(p, f->first[slot], out, limit);
        struct header_field field;
        bool join = f->again[slot] && slot >= HEADER_TO && slot <= HEADER_BCC;
        while (join && header_next(&header, &field))
            if (header_id(field.name) == slot && field.value.p != f->first[slot].p)
                put_addresses(p, field.value, out, limit);
        if (out->n > before + 1) {
            buf_put_byte(out, ')');
            return;
        }
        buf_truncate(out, before);
    }
    buf_put_lit(out, "NIL");
}

/* Sender and Reply-To that are absent or empty are what From is. */
static void put_list_or_from(struct mime_parser *p, const struct envelope_fields *f,
                             enum header_id slot, struct span header, struct buf *out, size_t limit,
                             struct text_ref from)
{
    size_t before = out->n;
    put_list(p, f, slot, header, out, limit);
    if (span_eq(span_skip(buf_span(out), before), SPAN("NIL"))) {
        buf_truncate(out, before);
        char *to = buf_reserve(out, from.n); /* may move what is copied */
        if (to) {
            memcpy(to, out->p + from.at, from.n);
            buf_commit(out, from.n);
        }
    }
}

void envelope_put(struct mime_parser *p, const struct envelope_fields *f, struct span header,
                  struct buf *out)
{
    size_t limit = out->n + ADDRESS_BYTES_MAX;
    buf_put_byte(out, '(');
    put_string(p, f->first[HEADER_DATE], out);
    buf_put_byte(out, ' ');
    put_string(p, f->first[HEADER_SUBJECT], out);
    buf_put_byte(out, ' ');
    struct text_ref from = {(uint32_t)out->n, 0};
    put_list(p, f, HEADER_FROM, header, out, limit);
    from.n = (uint32_t)out->n - from.at;
    buf_put_byte(out, ' ');
    put_list_or_from(p, f, HEADER_SENDER, header, out, limit, from);
    buf_put_byte(out, ' ');
    put_list_or_from(p, f, HEADER_REPLY_TO, header, out, limit, from);
    for (enum header_id slot = HEADER_TO; slot <= HEADER_BCC; slot++) {
        buf_put_byte(out, ' ');
        put_list(p, f, slot, header, out, limit);
    }
    buf_put_byte(out, ' ');
    put_string(p, f->first[HEADER_IN_REPLY_TO], out);
    buf_put_byte(out, ' ');
    put_string(p, f->first[HEADER_MESSAGE_ID], out);
    buf_put_byte(out, ')');
}
