#include "wire/frame.h"

#include "wire/chars_int.h"
#include "wire/frame_int.h"
#include "wire/literal_int.h"

const struct frame_limits frame_limits_default = {
    .max_line = 65536,
    .max_command = 1 << 20,
    .max_buffered_literal = 256 << 10,
    .max_streamed_literal = 2ULL << 30,
    .max_discard = 64 << 20,
    .max_literals = 10000,
    .literal_minus = false,
};

enum { LITERAL_MINUS_MAX = 4096 }; /* RFC 7888 section 5 */

/*
 *             +-------------------------- line complete: COMMAND ---------------------------+
 *             v                                                                             |
 *   start -> LINE -- literal --> [CONTINUE ->] LITERAL -- all bytes --> LINE (same command) |
 *             |  `- in APPEND -> ASK -accept-> [CONTINUE_STREAM ->] START -> STREAM -> END -'
 *             |                   `refuse---+
 *             `- error -> DISCARD_LINE <----+-> DISCARD_LITERAL -> DISCARD_LINE -> LINE (new
 * command)
 */
enum frame_state {
    ST_LINE,
    ST_CONTINUE,
    ST_LITERAL,
    ST_ASK,
    ST_CONTINUE_STREAM,
    ST_START,
    ST_STREAM,
    ST_END,
    ST_DISCARD_LINE,
    ST_DISCARD_LITERAL,
    ST_FATAL,
};

static const char *const reasons[] = {
    [FRAME_ERR_NONE] = "",
    [FRAME_ERR_LINE_TOO_LONG] = "Command line too long",
    [FRAME_ERR_COMMAND_TOO_LONG] = "Command too long",
    [FRAME_ERR_LITERAL_TOO_LARGE] = "Literal too large",
    [FRAME_ERR_LITERAL_MINUS] = "Non-synchronizing literal larger than 4096 bytes",
    [FRAME_ERR_TOO_MANY_LITERALS] = "Too many literals in one command",
    [FRAME_ERR_NUL] = "NUL byte in command line",
    [FRAME_ERR_DISCARD] = "Too much data after a refused command",
};

void frame_init(struct frame *f, const struct frame_limits *limits)
{
    *f = (struct frame){.limits = limits ? limits : &frame_limits_default,
                        .buf = BUF_INIT(BUF_UNLIMITED)};
}

void frame_done(struct frame *f)
{
    if (!f)
        return;
    buf_done(&f->buf);
    frame_init(f, f->limits);
}

/* Forgets the command: the framer is between commands and holds no memory. */
static void frame_clear(struct frame *f)
{
    buf_done(&f->buf);
    f->line_start = f->part_start = 0;
    frame_scan_reset(f);
    f->literals = f->streamed_count = 0;
    f->sync_seen = false;
    f->release = false;
}

void frame_set_limits(struct frame *f, const struct frame_limits *limits)
{
    f->limits = limits ? limits : &frame_limits_default;
}

void frame_expect_line(struct frame *f)
{
    f->expect_line = true;
}

void frame_expect_command(struct frame *f)
{
    f->expect_line = false;
}

size_t frame_buffered(const struct frame *f)
{
    return f->release ? 0 : f->buf.n;
}

bool frame_idle(const struct frame *f)
{
    return f->state == ST_LINE && frame_buffered(f) == 0;
}

int frame_export(struct frame *f, struct buf *out)
{
    bool again = f->state == ST_LINE || f->state == ST_LITERAL;
    if (!again || f->streamed_count || f->sync_seen)
        return ERR_BUSY;
    if (!f->release) {
        size_t before = out->n;
        buf_put_span(out, buf_span(&f->buf));
        if (out->n - before != f->buf.n)
            return ERR_LIMIT;
    }
    frame_clear(f);
    f->state = ST_LINE;
    f->left = 0;
    f->expect_line = false;
    return 0;
}

/* ---- the command text so far ---- */

static struct span tag_of(struct span text, bool complete)
{
    size_t n = text.n ? char_run(text.p, text.p + text.n, CH_TAG) : 0;
    bool ends = n < text.n ? text.p[n] == ' ' : complete;
    return ends ? span_head(text, n) : SPAN_EMPTY;
}

/* ---- errors and resynchronisation ---- */

static void fatal(struct frame *f, struct frame_event *ret)
{
    frame_clear(f);
    f->state = ST_FATAL;
    *ret = (struct frame_event){
        .kind = FRAME_FATAL, .error = FRAME_ERR_DISCARD, .reason = reasons[FRAME_ERR_DISCARD]};
}

static void error_event(struct frame *f, enum frame_error error, struct frame_event *ret)
{
    f->release = true; /* the tag stays valid until the next call */
    *ret = (struct frame_event){.kind = FRAME_ERROR,
                                .error = error,
                                .reason = reasons[error],
                                .tag = tag_of(buf_span(&f->buf), false)};
}

/* Remembers the end of a line that is thrown away. */
static void keep_tail(struct frame *f, struct span s)
{
    if (s.n >= sizeof(f->tail)) {
        memcpy(f->tail, s.p + s.n - sizeof(f->tail), sizeof(f->tail));
        f->tail_n = sizeof(f->tail);
    } else if (s.n) {
        size_t keep = MIN((size_t)f->tail_n, sizeof(f->tail) - s.n);
        memmove(f->tail, f->tail + f->tail_n - keep, keep);
        memcpy(f->tail + keep, s.p, s.n);
        f->tail_n = (uint8_t)(keep + s.n);
    }
}

/* An error in the middle of a line (a raw one announces no literals); its bytes so far are in the
 * buffer. */
static void line_error(struct frame *f, enum frame_error error, struct frame_event *ret)
{
    f->tail_n = 0;
    f->raw = f->expect_line;
    f->expect_line = false;
    if (!f->raw)
        keep_tail(f, span_skip(buf_span(&f->buf), f->line_start));
    f->discarded = 0;
    f->state = ST_DISCARD_LINE;
    error_event(f, error, ret);
}

/* The bytes of a non-synchronising literal come anyway. */
static void discard_literal(struct frame *f, uint64_t size, bool overflow)
{
    if (overflow || size > f->limits->max_discard - MIN(f->discarded, f->limits->max_discard)) {
        f->state = ST_FATAL;
        return;
    }
    f->discarded += size;
    f->left = size;
    f->state = ST_DISCARD_LITERAL;
}

static void literal_error(struct frame *f, const struct literal_header *h, enum frame_error error,
                          struct frame_event *ret)
{
    error_event(f, error, ret);
    f->discarded = 0;
    if (h->sync)
        f->state = ST_LINE; /* the client waits for our answer and will not send the bytes */
    else
        discard_literal(f, h->size, h->overflow);
}

static size_t step_discard_line(struct frame *f, struct span in, struct frame_event *ret)
{
    size_t lf = span_find_byte(in, '\n');
    size_t n = lf == SPAN_NPOS ? in.n : lf;
    uint64_t room = f->limits->max_discard - MIN(f->discarded, f->limits->max_discard);
    if (n > room) {
        fatal(f, ret);
        return in.n;
    }
    f->discarded += n;
    if (!f->raw)
        keep_tail(f, span_head(in, n));
    if (lf == SPAN_NPOS)
        return in.n;
    struct span line = span_make(f->tail, f->tail_n);
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    struct literal_header h;
    f->state = ST_LINE;
    if (literal_header_find(line, &h) && !h.sync)
        discard_literal(f, h.size, h.overflow);
    f->tail_n = 0;
    f->raw = false;
    if (f->state == ST_FATAL) {
        fatal(f, ret);
        return in.n;
    }
    return lf + 1;
}

static size_t step_discard_literal(struct frame *f, struct span in)
{
    size_t n = (size_t)MIN((uint64_t)in.n, f->left);
    f->left -= n;
    if (f->left == 0) {
        f->tail_n = 0;
        f->state = ST_DISCARD_LINE;
    }
    return n;
}

/* ---- lines ---- */

static void literal_event(struct frame *f, enum frame_event_kind kind, struct frame_event *ret)
{
    *ret = (struct frame_event){.kind = kind,
                                .size = f->literal_size,
                                .index = f->streamed_count,
                                .sync = f->sync,
                                .binary = f->binary,
                                .text_part = frame_scan_in_message(f),
                                .message = f->messages - 1};
}

/* The header in the buffer becomes "{n*}CRLF", which says that the bytes are not in the text. */
static void ask(struct frame *f, const struct literal_header *h, struct frame_event *ret)
{
    buf_truncate(&f->buf, f->line_start + h->start);
    buf_printf(&f->buf, "%s{%llu*}\r\n", h->binary ? "~" : "", (unsigned long long)h->size);
    f->literal_size = h->size;
    f->sync = h->sync;
    f->binary = h->binary;
    f->state = ST_ASK;
    literal_event(f, FRAME_LITERAL_ASK, ret);
    ret->text = buf_span(&f->buf);
    ret->part = span_skip(ret->text, f->part_start);
    ret->tag = tag_of(ret->text, true);
}

/* The line just completed (all of it in the buffer) announces a literal. True if there is an event.
 */
static bool begin_literal(struct frame *f, const struct literal_header *h, struct frame_event *ret)
{
    const struct frame_limits *lim = f->limits;
    bool streamed = frame_scan(f, f->line_start + h->start);
    enum frame_error error = FRAME_ERR_NONE;
    if (f->literals >= lim->max_literals)
        error = FRAME_ERR_TOO_MANY_LITERALS;
    else if (lim->literal_minus && !h->sync && (h->overflow || h->size > LITERAL_MINUS_MAX))
        error = FRAME_ERR_LITERAL_MINUS;
    else if (h->overflow ||
             (streamed ? h->size > lim->max_streamed_literal : h->size > lim->max_buffered_literal))
        error = FRAME_ERR_LITERAL_TOO_LARGE;
    else if (!streamed && h->size > lim->max_command - MIN(lim->max_command, f->buf.n))
        error = FRAME_ERR_COMMAND_TOO_LONG;
    if (error) {
        literal_error(f, h, error, ret);
        ret->streamed = streamed;
        ret->size = h->size;
        return true;
    }
    f->literals++;
    if (streamed) {
        ask(f, h, ret);
        return true;
    }
    buf_put_lit(&f->buf, "\r\n");
    f->left = h->size;
    f->sync_seen = f->sync_seen || h->sync;
    f->state = h->sync ? ST_CONTINUE : ST_LITERAL;
    return false;
}

/* How much text the line may still take, and what is wrong if there is more. */
static size_t line_room(const struct frame *f, enum frame_error *ret_error)
{
    size_t line = f->limits->max_line - MIN(f->limits->max_line, f->buf.n - f->line_start);
    size_t command = f->limits->max_command - MIN(f->limits->max_command, f->buf.n);
    *ret_error = line <= command ? FRAME_ERR_LINE_TOO_LONG : FRAME_ERR_COMMAND_TOO_LONG;
    return MIN(line, command);
}

/* A complete line without its end: held in the buffer, or (if that is empty) still in the input.
 * True if there is an event. */
static bool take_line(struct frame *f, struct span line, struct frame_event *ret)
{
    struct literal_header h;
    bool first = f->literals == 0;
    struct span text = f->buf.n ? buf_span(&f->buf) : line;
    if (f->expect_line && first) {
        f->expect_line = false;
        f->release = true;
        *ret = (struct frame_event){.kind = FRAME_LINE, .text = text};
        return true;
    }
    if (literal_header_find(line, &h)) {
        if (f->buf.n == 0)
            buf_put_span(&f->buf, line);
        return begin_literal(f, &h, ret);
    }
    if (first && text.n == 0) { /* an empty line between commands harms nobody */
        frame_clear(f);
        return false;
    }
    f->release = true;
    *ret = (struct frame_event){.kind = FRAME_COMMAND, .text = text, .tag = tag_of(text, true)};
    return true;
}

/* Input in the middle of a line. True if there is an event. */
static bool step_line(struct frame *f, struct span in, size_t *ret_used, struct frame_event *ret)
{
    enum frame_error error;
    size_t lf = span_find_byte(in, '\n');
    size_t n = lf == SPAN_NPOS ? in.n : lf;
    size_t room = line_room(f, &error);
    struct span text = span_head(in, MIN(n, room));
    size_t nul = span_find_byte(text, '\0');
    if (nul != SPAN_NPOS || n > room) {
        text = span_head(text, nul == SPAN_NPOS ? room : nul);
        buf_put_span(&f->buf, text);
        *ret_used = text.n;
        line_error(f, nul == SPAN_NPOS ? error : FRAME_ERR_NUL, ret);
        return true;
    }
    *ret_used = lf == SPAN_NPOS ? in.n : lf + 1;
    if (f->buf.n || lf == SPAN_NPOS) {
        buf_put_span(&f->buf, text);
        if (lf == SPAN_NPOS)
            return false;
        text = span_skip(buf_span(&f->buf), f->line_start);
        if (text.n && text.p[text.n - 1] == '\r') {
            text.n--;
            buf_truncate(&f->buf, f->buf.n - 1);
        }
    } else if (text.n && text.p[text.n - 1] == '\r') {
        text.n--;
    }
    return take_line(f, text, ret);
}

/* ---- literals ---- */

static size_t step_literal(struct frame *f, struct span in)
{
    size_t n = (size_t)MIN((uint64_t)in.n, f->left);
    buf_put_span(&f->buf, span_head(in, n));
    f->left -= n;
    if (f->left == 0) {
        f->line_start = f->buf.n;
        f->state = ST_LINE;
    }
    return n;
}

static size_t step_stream(struct frame *f, struct span in, struct frame_event *ret)
{
    size_t n = (size_t)MIN((uint64_t)in.n, f->left);
    literal_event(f, FRAME_LITERAL_DATA, ret);
    ret->data = span_head(in, n);
    f->left -= n;
    if (f->left == 0)
        f->state = ST_END;
    return n;
}

void frame_literal_accept(struct frame *f)
{
    invariant(f->state == ST_ASK);
    f->sync_seen = f->sync_seen || f->sync;
    f->state = f->sync ? ST_CONTINUE_STREAM : ST_START;
}

void frame_literal_refuse(struct frame *f)
{
    invariant(f->state == ST_ASK);
    f->release = true; /* the event's spans stay valid until the next call */
    f->discarded = 0;
    if (f->sync)
        f->state = ST_LINE;
    else
        discard_literal(f, f->literal_size, false);
}

/* Events that need no input. True if there was one. */
static bool pending_event(struct frame *f, struct frame_event *ret)
{
    switch ((enum frame_state)f->state) {
    case ST_FATAL:
        fatal(f, ret);
        return true;
    case ST_ASK:
        *ret = (struct frame_event){.kind = FRAME_HOLD};
        return true;
    case ST_CONTINUE:
        *ret = (struct frame_event){.kind = FRAME_CONTINUE};
        f->state = ST_LITERAL;
        return true;
    case ST_CONTINUE_STREAM:
        literal_event(f, FRAME_CONTINUE, ret);
        f->state = ST_START;
        return true;
    case ST_START:
        literal_event(f, FRAME_LITERAL_START, ret);
        f->left = f->literal_size;
        f->state = f->left ? ST_STREAM : ST_END;
        return true;
    case ST_END:
        literal_event(f, FRAME_LITERAL_END, ret);
        f->streamed_count++;
        f->line_start = f->part_start = f->scan_start = f->buf.n;
        f->state = ST_LINE;
        return true;
    default:
        return false;
    }
}

size_t frame_next(struct frame *f, struct span in, struct frame_event *ret)
{
    size_t used = 0;
    if (f->release)
        frame_clear(f);
    for (;;) {
        struct span rest = span_skip(in, used);
        size_t n = 0;
        bool event = false;
        if (pending_event(f, ret))
            return f->state == ST_FATAL ? in.n : used;
        if (f->state == ST_LITERAL && f->left == 0) { /* "{0}" */
            f->line_start = f->buf.n;
            f->state = ST_LINE;
        }
        if (rest.n == 0) {
            *ret = (struct frame_event){.kind = FRAME_MORE};
            return used;
        }
        switch ((enum frame_state)f->state) {
        case ST_LITERAL:
            n = step_literal(f, rest);
            break;
        case ST_STREAM:
            n = step_stream(f, rest, ret);
            event = true;
            break;
        case ST_DISCARD_LINE:
            n = step_discard_line(f, rest, ret);
            event = f->state == ST_FATAL;
            break;
        case ST_DISCARD_LITERAL:
            n = step_discard_literal(f, rest);
            break;
        default:
            event = step_line(f, rest, &n, ret);
            break;
        }
        used += n;
        if (event)
            return used;
    }
}
