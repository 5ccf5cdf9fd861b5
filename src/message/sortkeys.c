/* Sort and thread keys of a message (RFC 5256, RFC 5957): worked out once, in the form in which
 * they are compared. Layout: derived_int.h. */
#include "base/bytes.h"
#include "base/utf8.h"
#include "message/casemap.h"
#include "message/derived_int.h"
#include "message/mime_int.h"
#include "message/subject.h"

/* Beyond this a key ends with a checksum of the rest: long strings with the same beginning stay
 * apart, if in no particular order. */
enum { KEY_MAX = 1000, REFERENCES_MAX = 1000 };

static uint64_t hash_id(struct span id)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a: stored, so without a seed */
    for (size_t i = 0; i < id.n; i++)
        h = (h ^ (unsigned char)id.p[i]) * UINT64_C(0x100000001b3);
    h ^= h >> 32; /* FNV mixes its last octets little */
    h *= UINT64_C(0xd6e8feb86659fd93);
    h ^= h >> 32;
    return h ? h : 1;
}

/* The form in which i;unicode-casemap compares octets. What is not known to be text comes after all
 * text, as octets (RFC 5255 section 4.6): text has no octet 0xFF. Returns its length. */
static uint16_t put_key(struct buf *out, struct span text, bool known)
{
    size_t from = out->n;
    if (known) {
        casemap(text, out);
    } else {
        buf_put_byte(out, '\xff');
        buf_put_span(out, text);
    }
    size_t n = out->n - from;
    if (n > KEY_MAX) {
        uint64_t rest = hash_id(span_skip(buf_span(out), from + KEY_MAX));
        buf_truncate(out, from + KEY_MAX);
        put_u64(out, rest);
        n = KEY_MAX + 8;
    }
    return (uint16_t)n;
}

/* --- addresses --- */

/* RFC 5957 section 3 */
static bool display_of(const struct address *a, struct buf *out)
{
    bool known = !a->has_name || header_decode_known(a->name, out);
    if (out->n || a->kind == ADDRESS_GROUP_END)
        return known;
    buf_put_span(out, a->mailbox);
    if (a->kind == ADDRESS_MAILBOX && a->host.n) {
        buf_put_byte(out, '@');
        buf_put_span(out, a->host);
    }
    return utf8_valid(buf_span(out));
}

/* The first address of a field: its addr-mailbox (RFC 5256 section 3), or how it is displayed. */
static uint16_t put_first(struct mime_parser *p, struct span field, bool display, struct buf *out)
{
    struct address a;
    autobuf text = BUF_INIT(1 << 20);
    if (!field.p)
        return 0;
    address_iter_restart(&p->addresses, field);
    if (!address_next(&p->addresses, &a))
        return 0;
    if (display) {
        bool known = display_of(&a, &text);
        return put_key(out, buf_span(&text), known);
    }
    return put_key(out, a.mailbox, utf8_valid(a.mailbox));
}

/* --- Message-IDs --- */

/* msg-id = "<" id-left "@" id-right ">", with the quotes of a quoted id-left removed: quoted and
 * unquoted forms are the same Message-ID (RFC 5256 section 3, REFERENCES). Takes the next one off
 * *s, whatever stands between. */
static bool next_id(struct span *s, struct buf *ret)
{
    for (;;) {
        size_t open = span_find_byte(*s, '<'), i = 0, at = SPAN_NPOS;
        bool quoted = false, broken = false;
        if (open == SPAN_NPOS)
            return false;
        struct span t = span_skip(*s, open + 1);
        buf_reset(ret);
        for (; i < t.n && (quoted || t.p[i] != '>') && !broken; i++) {
            char c = t.p[i];
            if (c == '"' && at == SPAN_NPOS) {
                quoted = !quoted;
            } else if (c == '\\' && quoted && i + 1 < t.n) {
                buf_put_byte(ret, t.p[++i]);
            } else if (c == '\r' || c == '\n' || (!quoted && (c == ' ' || c == '\t'))) {
                continue; /* a long one may have been folded */
            } else if (c == '<' && !quoted) {
                broken = true; /* that one never ended */
            } else {
                at = c == '@' && !quoted && at == SPAN_NPOS ? ret->n : at;
                buf_put_byte(ret, c);
            }
        }
        bool whole = i < t.n && !broken && at != SPAN_NPOS && at > 0 && at + 1 < ret->n;
        *s = broken ? span_skip(t, i - 1) : span_skip(t, i);
        if (whole)
            return true;
    }
}

static uint16_t put_ids(struct span field, size_t max, struct buf *scratch, struct buf *out)
{
    uint16_t n = 0;
    if (!field.p)
        return 0;
    while (n < max && next_id(&field, scratch)) {
        put_u64(out, hash_id(buf_span(scratch)));
        n++;
    }
    return n;
}

static void set_u16(struct buf *b, size_t at, uint16_t v)
{
    if (buf_ok(b))
        store_le16(b->p + at, v);
}

void sortkeys_put(struct mime_parser *p, const struct envelope_fields *f, struct buf *out)
{
    autobuf subject = BUF_INIT(1 << 20);
    autobuf ids = BUF_INIT(8 * REFERENCES_MAX + 64), id = BUF_INIT(1 << 20);
    struct base_subject base = {0};
    size_t start = out->n;
    uint16_t lengths[6];
    bool known = true;
    if (f->first[HEADER_SUBJECT].p) {
        known = subject_normalise(f->first[HEADER_SUBJECT], &subject);
        base = base_subject(buf_span(&subject));
    }
    buf_put(out, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", SORT_HEADER);
    lengths[0] = put_key(out, base.text, known);
    lengths[1] = put_first(p, f->first[HEADER_FROM], false, out);
    lengths[2] = put_first(p, f->first[HEADER_TO], false, out);
    lengths[3] = put_first(p, f->first[HEADER_CC], false, out);
    lengths[4] = put_first(p, f->first[HEADER_FROM], true, out);
    lengths[5] = put_first(p, f->first[HEADER_TO], true, out);
    if (put_ids(f->first[HEADER_MESSAGE_ID], 1, &id, &ids) == 0)
        put_u64(&ids, 0);
    uint16_t n = put_ids(f->first[HEADER_REFERENCES], REFERENCES_MAX, &id, &ids);
    if (n == 0)
        n = put_ids(f->first[HEADER_IN_REPLY_TO], 1, &id, &ids);
    buf_put_span(out, buf_span(&ids));
    set_u16(out, start, base.reply_or_forward ? SORT_REPLY : 0);
    set_u16(out, start + 2, n);
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++)
        set_u16(out, start + 4 + 2 * i, lengths[i]);
}
