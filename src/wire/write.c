#include "wire/write.h"

#include "wire/chars_int.h"
#include "wire/command.h"
#include "wire/mutf7.h"

/* ---- numbers ---- */

static const char digit_pairs[201] = "00010203040506070809"
                                     "10111213141516171819"
                                     "20212223242526272829"
                                     "30313233343536373839"
                                     "40414243444546474849"
                                     "50515253545556575859"
                                     "60616263646566676869"
                                     "70717273747576777879"
                                     "80818283848586878889"
                                     "90919293949596979899";

static unsigned decimal_length(uint32_t v)
{
    unsigned n = 1;
    for (; v >= 100; v /= 100)
        n += 2;
    return v >= 10 ? n + 1 : n;
}

char *format_u32(char *to, uint32_t v)
{
    char *end = to + decimal_length(v), *p = end;
    for (; v >= 100; v /= 100) {
        p -= 2;
        memcpy(p, digit_pairs + (size_t)2 * (v % 100), 2);
    }
    if (v >= 10)
        memcpy(p - 2, digit_pairs + (size_t)2 * v, 2);
    else
        p[-1] = (char)('0' + v);
    return end;
}

char *format_u64(char *to, uint64_t v)
{
    const uint64_t billion = 1000000000;
    if (v <= UINT32_MAX)
        return format_u32(to, (uint32_t)v);
    char *end = format_u64(to, v / billion); /* at most two levels deep */
    uint32_t low = (uint32_t)(v % billion);
    for (int i = 8; i >= 0; i--, low /= 10)
        end[i] = (char)('0' + low % 10);
    return end + 9;
}

void write_u32(struct buf *b, uint32_t v)
{
    char *to = buf_reserve(b, 10);
    if (to)
        buf_commit(b, (size_t)(format_u32(to, v) - to));
}

void write_u64(struct buf *b, uint64_t v)
{
    char *to = buf_reserve(b, 20);
    if (to)
        buf_commit(b, (size_t)(format_u64(to, v) - to));
}

/* ---- strings: the one place where their form is chosen ---- */

enum { QUOTED_MAX = 1024 }; /* longer ones as literals: clients parse those without limits */

enum string_form { FORM_QUOTED, FORM_QUOTED_ESCAPED, FORM_LITERAL };

static enum string_form choose_form(struct span s, bool utf8)
{
    bool escape = false, eightbit = false;
    if (s.n > QUOTED_MAX)
        return FORM_LITERAL;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c & 0x80)
            eightbit = true;
        else if (c == '"' || c == '\\')
            escape = true;
        else if (c == '\0' || c == '\r' || c == '\n')
            return FORM_LITERAL;
    }
    if (eightbit && !(utf8 && utf8_valid(s)))
        return FORM_LITERAL;
    return escape ? FORM_QUOTED_ESCAPED : FORM_QUOTED;
}

static void write_quoted(struct buf *b, struct span s, bool escape)
{
    char *start = buf_reserve(b, 2 * s.n + 2), *to = start;
    if (!to)
        return;
    *to++ = '"';
    if (!escape && s.n) {
        memcpy(to, s.p, s.n);
        to += s.n;
    }
    for (size_t i = 0; escape && i < s.n; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            *to++ = '\\';
        *to++ = s.p[i];
    }
    *to++ = '"';
    buf_commit(b, (size_t)(to - start));
}

void write_atom(struct buf *b, struct span s)
{
    buf_put_span(b, s);
}

void write_string(struct buf *b, struct span s, bool utf8)
{
    enum string_form form = choose_form(s, utf8);
    if (form == FORM_LITERAL)
        write_literal(b, s);
    else
        write_quoted(b, s, form == FORM_QUOTED_ESCAPED);
}

void write_astring(struct buf *b, struct span s, bool utf8)
{
    if (s.n && s.n <= QUOTED_MAX && chars_all(s, CH_ASTRING) && !span_ieq(s, SPAN("NIL")))
        buf_put_span(b, s);
    else
        write_string(b, s, utf8);
}

void write_nstring(struct buf *b, struct span s, bool utf8)
{
    if (s.p)
        write_string(b, s, utf8);
    else
        buf_put_lit(b, "NIL");
}

static void literal_header(struct buf *b, const char *open, uint64_t n)
{
    char *start = buf_reserve(b, 2 + 20 + 3), *to = start;
    if (!to)
        return;
    while (*open)
        *to++ = *open++;
    to = format_u64(to, n);
    memcpy(to, "}\r\n", 3);
    buf_commit(b, (size_t)(to + 3 - start));
}

void write_literal_header(struct buf *b, uint64_t n)
{
    literal_header(b, "{", n);
}

void write_literal8_header(struct buf *b, uint64_t n)
{
    literal_header(b, "~{", n);
}

void write_literal(struct buf *b, struct span s)
{
    write_literal_header(b, s.n);
    buf_put_span(b, s);
}

void write_literal8(struct buf *b, struct span s)
{
    write_literal8_header(b, s.n);
    buf_put_span(b, s);
}

void write_mailbox(struct buf *b, struct span utf8_name, bool utf8)
{
    autobuf tmp = BUF_INIT(BUF_UNLIMITED);
    if (!utf8 && mutf7_encode(utf8_name, &tmp) == 0)
        utf8_name = buf_span(&tmp);
    write_astring(b, utf8_name, utf8);
}

/* ---- flags ---- */

char *format_system_flags(char *to, uint32_t system)
{
    static const struct {
        uint32_t bit;
        uint8_t n;
        char text[11];
    } flags[] = {
        {WIRE_FLAG_ANSWERED, 10, "\\Answered "}, {WIRE_FLAG_FLAGGED, 9, "\\Flagged "},
        {WIRE_FLAG_DELETED, 9, "\\Deleted "},    {WIRE_FLAG_SEEN, 6, "\\Seen "},
        {WIRE_FLAG_DRAFT, 7, "\\Draft "},        {WIRE_FLAG_RECENT, 8, "\\Recent "},
    };
    char *start = to;
    for (size_t i = 0; system && i < ARRAY_LEN(flags); i++) {
        if (system & flags[i].bit) {
            memcpy(to, flags[i].text, 10); /* fixed length: the rest is overwritten */
            to += flags[i].n;
            system &= ~flags[i].bit;
        }
    }
    return to > start ? to - 1 : to;
}

void write_flags(struct buf *b, uint32_t system, const struct span *keywords, size_t n)
{
    char *start = buf_reserve(b, 1 + WIRE_FLAGS_TEXT_MAX), *to = start;
    if (!to)
        return;
    *to++ = '(';
    to = format_system_flags(to, system);
    bool any = to - start > 1;
    buf_commit(b, (size_t)(to - start));
    for (size_t i = 0; i < n; i++) {
        if (any)
            buf_put_byte(b, ' ');
        buf_put_span(b, keywords[i]);
        any = true;
    }
    buf_put_byte(b, ')');
}

static char *put_text(char *to, struct span s)
{
    if (s.n)
        memcpy(to, s.p, s.n);
    return to + s.n;
}

void write_fetch_flags(struct buf *b, uint32_t seq, uint32_t uid, uint32_t system,
                       struct span keywords)
{
    enum { FIXED = 2 + 10 + 8 + 4 + 10 + 8 + WIRE_FLAGS_TEXT_MAX + 1 + 4 };
    char *start = buf_reserve(b, FIXED + keywords.n), *to = start;
    if (!to)
        return;
    memcpy(to, "* ", 2);
    to = format_u32(to + 2, seq);
    memcpy(to, " FETCH (", 8);
    to += 8;
    if (uid) {
        memcpy(to, "UID ", 4);
        to = format_u32(to + 4, uid);
        *to++ = ' ';
    }
    memcpy(to, "FLAGS (", 7);
    char *flags = to + 7;
    to = format_system_flags(flags, system);
    if (keywords.n) {
        if (to > flags)
            *to++ = ' ';
        to = put_text(to, keywords);
    }
    memcpy(to, "))\r\n", 4);
    buf_commit(b, (size_t)(to + 4 - start));
}

/* ---- FETCH item names ---- */

static void write_section_text(struct buf *b, const struct fetch_section *s, bool utf8)
{
    static const char *const names[] = {
        [SPEC_ALL] = "",
        [SPEC_HEADER] = "HEADER",
        [SPEC_HEADER_FIELDS] = "HEADER.FIELDS ",
        [SPEC_HEADER_FIELDS_NOT] = "HEADER.FIELDS.NOT ",
        [SPEC_TEXT] = "TEXT",
        [SPEC_MIME] = "MIME",
    };
    if (s->n_part && s->text != SPEC_ALL)
        buf_put_byte(b, '.');
    buf_put_str(b, names[s->text]);
    if (s->text != SPEC_HEADER_FIELDS && s->text != SPEC_HEADER_FIELDS_NOT)
        return;
    struct write_list l = {false};
    for (unsigned i = 0; i < s->n_fields; i++) {
        write_list_item(b, &l);
        write_astring(b, s->fields[i], utf8);
    }
    write_list_end(b, &l);
}

void write_section_name(struct buf *b, const struct fetch_section *s, bool utf8)
{
    static const char *const kinds[] = {
        [SECTION_BODY] = "BODY[",
        [SECTION_BINARY] = "BINARY[",
        [SECTION_BINARY_SIZE] = "BINARY.SIZE[",
    };
    buf_put_str(b, kinds[s->kind]);
    for (unsigned i = 0; i < s->n_part; i++) {
        if (i)
            buf_put_byte(b, '.');
        write_u32(b, s->part[i]);
    }
    write_section_text(b, s, utf8);
    buf_put_byte(b, ']');
    if (s->has_partial) {
        buf_put_byte(b, '<');
        write_u64(b, s->offset);
        buf_put_byte(b, '>');
    }
}

/* ---- lists and response lines ---- */

void write_list_item(struct buf *b, struct write_list *l)
{
    buf_put_byte(b, l->open ? ' ' : '(');
    l->open = true;
}

void write_list_end(struct buf *b, struct write_list *l)
{
    if (!l->open)
        buf_put_byte(b, '(');
    buf_put_byte(b, ')');
    l->open = false;
}

static void write_safe_text(struct buf *b, struct span text, bool utf8)
{
    bool keep_8bit = utf8 && utf8_valid(text);
    char *to = buf_reserve(b, text.n);
    if (!to)
        return;
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool bad = c < 0x20 || c == 0x7f || (c >= 0x80 && !keep_8bit);
        to[i] = bad ? '?' : (char)c;
    }
    buf_commit(b, text.n);
}

void write_status(struct buf *b, struct span tag, const char *status, const char *code,
                  struct span text, bool utf8)
{
    bool coded = code && *code;
    if (tag.n)
        buf_put_span(b, tag);
    else
        buf_put_byte(b, '*');
    buf_put_byte(b, ' ');
    buf_put_str(b, status);
    buf_put_byte(b, ' ');
    if (coded) {
        buf_put_byte(b, '[');
        buf_put_str(b, code);
        buf_put_lit(b, "] ");
    }
    /* Without a code, a leading '[' would begin one. */
    if (!coded && text.n && text.p[0] == '[')
        buf_put_byte(b, '-');
    write_safe_text(b, text.n ? text : SPAN("Done."), utf8);
    buf_put_lit(b, "\r\n");
}

void write_continue(struct buf *b, struct span text)
{
    buf_put_lit(b, "+ ");
    write_safe_text(b, text, false);
    buf_put_lit(b, "\r\n");
}
