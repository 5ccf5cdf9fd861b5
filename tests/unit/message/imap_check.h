/* A strict reader of what derived records hold in IMAP syntax (RFC 9051 section 9), written apart
 * from the code that writes it; compares BODYSTRUCTURE with the part table. Used by tests and fuzz
 * targets. Returns NULL, or what is wrong. */
#ifndef IMAP_CHECK_H
#define IMAP_CHECK_H

#include "base/utf8.h"
#include "message/derived.h"

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            return #cond;                                                                          \
    } while (0)

static inline bool ic_take(struct span *s, const char *lit)
{
    struct span l = span_str(lit);
    if (!span_starts(*s, l))
        return false;
    *s = span_skip(*s, l.n);
    return true;
}

static inline bool ic_number(struct span *s, uint64_t *ret)
{
    size_t n = 0;
    while (n < s->n && ascii_is_digit((unsigned char)s->p[n]))
        n++;
    bool ok = span_to_u64(span_head(*s, n), UINT64_MAX, ret);
    *s = span_skip(*s, n);
    return ok;
}

/* string = quoted / literal */
static inline bool ic_string(struct span *s)
{
    uint64_t len;
    if (ic_take(s, "{")) {
        if (!ic_number(s, &len) || !ic_take(s, "}\r\n") || len > s->n)
            return false;
        for (size_t i = 0; i < len; i++)
            if (s->p[i] == '\0')
                return false; /* CHAR8 */
        *s = span_skip(*s, (size_t)len);
        return true;
    }
    if (!ic_take(s, "\""))
        return false;
    for (size_t i = 0; i < s->n; i++) {
        unsigned char c = (unsigned char)s->p[i];
        if (c == '"') {
            *s = span_skip(*s, i + 1);
            return true;
        }
        if (c == '\\') {
            if (++i >= s->n || (s->p[i] != '"' && s->p[i] != '\\'))
                return false;
        } else if (c == 0 || c == '\r' || c == '\n' || c >= 0x80) {
            return false;
        }
    }
    return false;
}

static inline bool ic_nstring(struct span *s)
{
    return ic_take(s, "NIL") || ic_string(s);
}

static inline bool ic_addresses(struct span *s)
{
    if (ic_take(s, "NIL"))
        return true;
    if (!ic_take(s, "(") || !span_starts(*s, SPAN("(")))
        return false;
    bool group = false;
    while (ic_take(s, "(")) {
        if (!ic_nstring(s) || !ic_take(s, " ") || !ic_nstring(s) || !ic_take(s, " "))
            return false;
        bool no_mailbox = span_starts(*s, SPAN("NIL"));
        if (!ic_nstring(s) || !ic_take(s, " "))
            return false;
        bool no_host = span_starts(*s, SPAN("NIL"));
        if (!ic_nstring(s) || !ic_take(s, ")"))
            return false;
        /* Group begin and end alternate (7.5.2). */
        if (no_mailbox && (!no_host || !group))
            return false;
        if (no_host && !no_mailbox && group)
            return false;
        if (no_host)
            group = !no_mailbox;
    }
    return !group && ic_take(s, ")");
}

static inline const char *ic_envelope(struct span *s)
{
    CHECK(ic_take(s, "("));
    CHECK(ic_nstring(s) && ic_take(s, " "));
    CHECK(ic_nstring(s) && ic_take(s, " "));
    for (int i = 0; i < 6; i++)
        CHECK(ic_addresses(s) && ic_take(s, " "));
    CHECK(ic_nstring(s) && ic_take(s, " "));
    CHECK(ic_nstring(s) && ic_take(s, ")"));
    return NULL;
}

static inline bool ic_params(struct span *s)
{
    if (ic_take(s, "NIL"))
        return true;
    if (!ic_take(s, "("))
        return false;
    do {
        if (!ic_string(s) || !ic_take(s, " ") || !ic_string(s))
            return false;
    } while (ic_take(s, " "));
    return ic_take(s, ")");
}

/* disposition, language, location */
static inline bool ic_ext_tail(struct span *s)
{
    if (!ic_take(s, " "))
        return false;
    if (!ic_take(s, "NIL") &&
        !(ic_take(s, "(") && ic_string(s) && ic_take(s, " ") && ic_params(s) && ic_take(s, ")")))
        return false;
    if (!ic_take(s, " "))
        return false;
    if (ic_take(s, "(")) {
        do {
            if (!ic_string(s))
                return false;
        } while (ic_take(s, " "));
        if (!ic_take(s, ")"))
            return false;
    } else if (!ic_nstring(s)) {
        return false;
    }
    return ic_take(s, " ") && ic_nstring(s);
}

static inline const char *ic_body(struct span *s, bool ext, struct span rec, uint32_t index,
                                  uint32_t *seen);

static inline const char *ic_multipart(struct span *s, bool ext, struct span rec,
                                       const struct mime_part *p, uint32_t *seen)
{
    CHECK(p->kind == PART_MULTIPART);
    uint32_t child = p->first_child, number = 1;
    while (span_starts(*s, SPAN("("))) {
        struct mime_part c;
        CHECK(derived_part(rec, child, &c) == 0);
        CHECK(c.parent == p->index && c.number == number++);
        CHECK(c.header_offset >= p->body_offset);
        CHECK(c.body_offset + c.body_length <= p->body_offset + p->body_length);
        const char *e = ic_body(s, ext, rec, child, seen);
        if (e)
            return e;
        child = c.next_sibling;
    }
    CHECK(child == PART_NONE);
    CHECK(ic_take(s, " ") && ic_string(s));
    if (ext)
        CHECK(ic_take(s, " ") && ic_params(s) && ic_ext_tail(s));
    CHECK(ic_take(s, ")"));
    return NULL;
}

static inline bool ic_is(struct span quoted, const char *want)
{
    return quoted.n > 2 && span_ieq(span_make(quoted.p + 1, quoted.n - 2), span_str(want));
}

static inline const char *ic_body(struct span *s, bool ext, struct span rec, uint32_t index,
                                  uint32_t *seen)
{
    struct mime_part p;
    uint64_t n;
    CHECK(derived_part(rec, index, &p) == 0);
    ++*seen;
    CHECK(ic_take(s, "("));
    if (span_starts(*s, SPAN("(")))
        return ic_multipart(s, ext, rec, &p, seen);
    struct span type = *s;
    CHECK(ic_string(s) && ic_take(s, " "));
    type.n = (size_t)(s->p - type.p) - 1;
    struct span sub = *s;
    CHECK(ic_string(s) && ic_take(s, " "));
    sub.n = (size_t)(s->p - sub.p) - 1;
    bool text = ic_is(type, "text");
    bool message = ic_is(type, "message") && (ic_is(sub, "rfc822") || ic_is(sub, "global"));
    CHECK(text == (p.kind == PART_TEXT));
    CHECK(message == (p.kind == PART_MESSAGE));
    CHECK(!ic_is(type, "multipart"));
    CHECK(ic_params(s) && ic_take(s, " "));
    CHECK(ic_nstring(s) && ic_take(s, " "));
    CHECK(ic_nstring(s) && ic_take(s, " "));
    CHECK(ic_string(s) && ic_take(s, " "));
    CHECK(ic_number(s, &n));
    CHECK(n == p.body_length);
    if (message) {
        struct mime_part c;
        CHECK(derived_part(rec, p.first_child, &c) == 0);
        CHECK(c.parent == index && c.number == 1 && c.next_sibling == PART_NONE);
        CHECK(c.header_offset == p.body_offset);
        CHECK(c.body_offset + c.body_length <= p.body_offset + p.body_length);
        CHECK(ic_take(s, " "));
        const char *e = ic_envelope(s);
        if (e)
            return e;
        CHECK(ic_take(s, " "));
        e = ic_body(s, ext, rec, p.first_child, seen);
        if (e)
            return e;
    } else {
        CHECK(p.first_child == PART_NONE);
    }
    if (text || message) {
        CHECK(ic_take(s, " "));
        CHECK(ic_number(s, &n));
        CHECK(n == p.body_lines);
    }
    if (ext)
        CHECK(ic_take(s, " ") && ic_nstring(s) && ic_ext_tail(s));
    CHECK(ic_take(s, ")"));
    return NULL;
}

/* RFC 8970 section 3.3: a string, UTF-8, at most 256 characters; ours has single spaces only. */
static inline bool ic_preview(struct span s)
{
    struct span text = s;
    if (s.n > 0 && s.p[0] == '"')
        text = span_make(s.p + 1, s.n - 2);
    else if (s.n > 0)
        text = span_skip(s, span_find_byte(s, '\n') + 1);
    if (!ic_string(&s) || s.n > 0 || !utf8_valid(text))
        return false;
    size_t chars = 0, pos = 0;
    uint32_t c, last = ' ';
    while (pos < text.n && utf8_next(text, &pos, &c)) {
        if (c < ' ' || (c == ' ' && last == ' ') || (c >= 0x7F && c < 0xA0))
            return false;
        last = c;
        chars++;
    }
    return (chars == 0 || last != ' ') && chars <= 2 * 256; /* quoted: "\\" before some */
}

/* Everything a record says, checked against the message it is of. */
static inline const char *check_record(struct span rec, struct span message)
{
    struct span s;
    struct derived_info info;
    uint32_t seen = 0;
    CHECK(derived_usable(rec));
    CHECK(derived_info(rec, &info) == 0);
    CHECK(info.size == message.n);
    CHECK(derived_envelope(rec, &s) == 0);
    const char *e = ic_envelope(&s);
    if (e)
        return e;
    CHECK(s.n == 0);
    CHECK(derived_body(rec, &s) == 0);
    e = ic_body(&s, false, rec, 0, &seen);
    if (e)
        return e;
    CHECK(s.n == 0);
    CHECK(seen == derived_part_count(rec));
    seen = 0;
    CHECK(derived_bodystructure(rec, &s) == 0);
    e = ic_body(&s, true, rec, 0, &seen);
    if (e)
        return e;
    CHECK(s.n == 0);
    CHECK(derived_preview(rec, &s) == 0);
    CHECK(ic_preview(s));
    for (uint32_t i = 0; i < derived_part_count(rec); i++) {
        struct mime_part p;
        CHECK(derived_part(rec, i, &p) == 0);
        uint64_t head = 0, body = 0;
        for (uint64_t k = 0; k < p.header_length; k++)
            head += message.p[p.header_offset + k] == '\n';
        for (uint64_t k = 0; k < p.body_length; k++)
            body += message.p[p.body_offset + k] == '\n';
        CHECK(head == p.header_lines && body == p.body_lines);
    }
    return NULL;
}

#undef CHECK

#endif
