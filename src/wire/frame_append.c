/* wire/frame_append.c: which literals of a command are the bytes of messages.
 *
 *     tag ("APPEND" / ["UID"] "REPLACE" number) mailbox 1*message       (RFC 3502, RFC 8508)
 *     message  = SP [flags SP] [date SP] data                           (RFC 9051 section 6.3.12)
 *     data     = literal / "UTF8 (" literal ")" / "CATENATE (" part *(SP part) ")"
 *     part     = "URL" SP astring / "TEXT" SP literal / "UTF8 (" literal ")"   (RFC 4469, RFC 6855)
 *
 * Only where literals can stand is looked at; whether the command is right is for the parser. */
#include "wire/chars_int.h"
#include "wire/frame_int.h"
#include "wire/literal_int.h"

enum scan_state {
    SCAN_COMMAND,    /* nothing has been looked at */
    SCAN_NO,         /* no such command, or one that the parser will refuse */
    SCAN_MAILBOX,    /* before the mailbox name */
    SCAN_MESSAGE,    /* between messages */
    SCAN_CLOSE,      /* behind the literal of "UTF8 (" */
    SCAN_PART,       /* before a part of CATENATE */
    SCAN_URL,        /* before the astring of one */
    SCAN_PART_END,   /* behind one */
    SCAN_PART_CLOSE, /* behind the literal of its "UTF8 (" */
};

void frame_scan_reset(struct frame *f)
{
    f->scan = SCAN_COMMAND;
    f->scan_start = 0;
    f->messages = 0;
}

bool frame_scan_in_message(const struct frame *f)
{
    return f->scan == SCAN_PART_END || f->scan == SCAN_PART_CLOSE;
}

static bool take_word(struct span *s, struct span word)
{
    if (!span_istarts(*s, word))
        return false;
    *s = span_skip(*s, word.n);
    return true;
}

/* Behind a quoted string, a buffered literal or an atom at the front of s; false if there is none
 * that is complete. */
static bool take_astring(struct span *s)
{
    if (s->n && s->p[0] == '"') {
        for (size_t i = 1; i < s->n; i++) {
            if (s->p[i] == '"') {
                *s = span_skip(*s, i + 1);
                return true;
            }
            i += s->p[i] == '\\';
        }
        return false;
    }
    if (s->n && s->p[0] == '{') {
        struct literal_header h;
        size_t lf = span_find_byte(*s, '\n');
        if (lf == SPAN_NPOS || lf == 0 || !literal_header_find(span_head(*s, lf - 1), &h) ||
            h.size > s->n - lf - 1)
            return false;
        *s = span_skip(*s, lf + 1 + (size_t)h.size);
        return true;
    }
    size_t n = s->n ? char_run(s->p, s->p + s->n, CH_ASTRING) : 0;
    *s = span_skip(*s, n);
    return n > 0;
}

static enum scan_state scan_command(struct span *s)
{
    size_t sp = span_find_byte(*s, ' ');
    *s = sp == SPAN_NPOS ? SPAN_EMPTY : span_skip(*s, sp + 1);
    if (take_word(s, SPAN("APPEND ")))
        return SCAN_MAILBOX;
    take_word(s, SPAN("UID "));
    if (!take_word(s, SPAN("REPLACE ")))
        return SCAN_NO;
    *s = span_skip(*s, char_run(s->p, s->p + s->n, CH_NUMSET));
    return take_word(s, SPAN(" ")) ? SCAN_MAILBOX : SCAN_NO;
}

/* " (flags) "date" ", each of the two optional; what they say is for the parser. */
static enum scan_state scan_message(struct frame *f, struct span *s)
{
    static const char pairs[2][2] = {{'(', ')'}, {'"', '"'}};
    if (!take_word(s, SPAN(" ")))
        return SCAN_NO;
    for (int i = 0; i < 2; i++) {
        if (s->n == 0 || s->p[0] != pairs[i][0])
            continue;
        size_t close = span_find_byte(span_skip(*s, 1), pairs[i][1]);
        if (close == SPAN_NPOS || close + 2 >= s->n || s->p[close + 2] != ' ')
            return SCAN_NO;
        *s = span_skip(*s, close + 3);
    }
    f->messages++;
    if (s->n == 0)
        return SCAN_MESSAGE;
    if (take_word(s, SPAN("UTF8 (")))
        return SCAN_CLOSE;
    return take_word(s, SPAN("CATENATE (")) ? SCAN_PART : SCAN_NO;
}

static enum scan_state scan_part(struct span *s)
{
    if (take_word(s, SPAN("URL ")))
        return SCAN_URL;
    if (take_word(s, SPAN("TEXT ")))
        return s->n ? SCAN_NO : SCAN_PART_END;
    return take_word(s, SPAN("UTF8 (")) && s->n == 0 ? SCAN_PART_CLOSE : SCAN_NO;
}

static enum scan_state scan_one(struct frame *f, struct span *s)
{
    switch ((enum scan_state)f->scan) {
    case SCAN_COMMAND:
        return scan_command(s);
    case SCAN_MAILBOX:
        return take_astring(s) ? SCAN_MESSAGE : SCAN_NO;
    case SCAN_MESSAGE:
        return scan_message(f, s);
    case SCAN_CLOSE:
        return take_word(s, SPAN(")")) ? SCAN_MESSAGE : SCAN_NO;
    case SCAN_PART:
        return scan_part(s);
    case SCAN_URL:
        return take_astring(s) ? SCAN_PART_END : SCAN_NO;
    case SCAN_PART_END:
        if (take_word(s, SPAN(" ")))
            return SCAN_PART;
        return take_word(s, SPAN(")")) ? SCAN_MESSAGE : SCAN_NO;
    case SCAN_PART_CLOSE:
        return take_word(s, SPAN(")")) ? SCAN_PART_END : SCAN_NO;
    case SCAN_NO:
        break;
    }
    return SCAN_NO;
}

bool frame_scan(struct frame *f, size_t header)
{
    struct span text = span_head(buf_span(&f->buf), header);
    struct span s = span_skip(text, f->scan_start);
    while (f->scan != SCAN_NO) {
        /* The literal itself is the string that stands here: it is buffered, and looked at when the
         * next one comes. */
        bool is_string = s.n == 0 && (f->scan == SCAN_MAILBOX || f->scan == SCAN_URL);
        if (is_string)
            break;
        unsigned before = f->scan;
        f->scan = (uint8_t)scan_one(f, &s);
        bool found = f->scan == SCAN_MESSAGE    ? before == SCAN_MESSAGE
                     : f->scan == SCAN_CLOSE    ? true
                     : f->scan == SCAN_PART_END ? before == SCAN_PART
                                                : f->scan == SCAN_PART_CLOSE;
        if (found && s.n == 0)
            return true;
        if (found)
            f->scan = SCAN_NO;
    }
    f->scan_start = header - s.n;
    return false;
}
