/* wire/frame.h: cuts a stream of bytes into IMAP commands and accounts for literals.
 *
 * Purpose: frame_next() is given input in any chunking and answers with one event at a time. It
 * never writes and never blocks; whoever owns the connection sends what the events ask for.
 *
 *     size_t used = frame_next(&f, input, &ev);
 *     input = span_skip(input, used);            repeat until FRAME_MORE (or FRAME_HOLD,
 * FRAME_FATAL)
 *
 * Call it until FRAME_MORE even with empty input: events may be waiting.
 *
 * Command text: a FRAME_COMMAND carries the whole command in its original form, buffered literals
 * included ("a1 LOGIN {3}\r\njoe secret"), without its final line end. A bare LF is accepted as
 * line end and becomes CRLF inside the text. The bytes of a *streamed* literal are not in the text:
 * its header appears as "{1234*}\r\n" (or "~{1234*}\r\n"), which no client can produce, because
 * outside literals a text never contains LF. command_parse() understands that form.
 *
 * Streamed literals: those in message position of APPEND and REPLACE (RFC 9051 6.3.12, RFC 3502,
 * RFC 8508), the TEXT parts of CATENATE (RFC 4469) and UTF8 parts (RFC 6855) included. For each one
 * the caller first gets FRAME_LITERAL_ASK and answers frame_literal_accept() or _refuse(), now or
 * later (until then: FRAME_HOLD, nothing is consumed). After acceptance follow FRAME_CONTINUE (if
 * synchronising), FRAME_LITERAL_START, FRAME_LITERAL_DATA with spans of the caller's own input, and
 * FRAME_LITERAL_END. All other literals are buffered; if synchronising, they yield FRAME_CONTINUE.
 *
 * Errors: after FRAME_ERROR the framer resynchronises by itself: it drops the command (the caller
 * forgets messages of it already streamed), throws away the rest of its line and the bytes of
 * non-synchronising literals (RFC 7888 section 4), up to max_discard bytes. Beyond that it returns
 * FRAME_FATAL for ever: answer BYE and close.
 *
 * Ownership: spans in events point into the input or the framer's buffer and are valid until the
 * next call on this framer (those into the input as long as that memory lives). Memory: at most
 * max_command bytes, none when no partial command is held; nothing is held at FRAME_MORE unless
 * frame_buffered() > 0. Threads: one at a time. Pure: no I/O. */
#ifndef WIRE_FRAME_H
#define WIRE_FRAME_H

#include "base/buf.h"
#include "base/err.h"

struct frame_limits {
    size_t max_line;             /* bytes of command text between literals */
    size_t max_command;          /* text and buffered literals of one command */
    size_t max_buffered_literal; /* one literal that is kept in the text */
    uint64_t max_streamed_literal;
    uint64_t max_discard;  /* bytes thrown away to resynchronise, then FRAME_FATAL */
    unsigned max_literals; /* literals per command */
    bool literal_minus;    /* LITERAL-: non-synchronising ones only up to 4096 bytes */
};

/* 64 KiB line, 1 MiB command, 256 KiB buffered, 2 GiB streamed, 64 MiB discard, 10,000, LITERAL+ */
extern const struct frame_limits frame_limits_default;

enum frame_event_kind {
    FRAME_MORE,          /* all input used; come back with more */
    FRAME_COMMAND,       /* text (tag is set if it starts with a proper one) */
    FRAME_LINE,          /* text: the raw line asked for with frame_expect_line() */
    FRAME_CONTINUE,      /* send "+ OK\r\n" now */
    FRAME_LITERAL_ASK,   /* tag, text, part, size, sync, binary, index: accept or refuse? */
    FRAME_HOLD,          /* the question is still open; nothing consumed */
    FRAME_LITERAL_START, /* size, binary, index */
    FRAME_LITERAL_DATA,  /* data, never empty */
    FRAME_LITERAL_END,   /* index */
    FRAME_ERROR,         /* answer BAD (tagged if tag.n > 0) with reason; the session goes on */
    FRAME_FATAL,         /* answer BYE with reason and close */
};

enum frame_error {
    FRAME_ERR_NONE,
    FRAME_ERR_LINE_TOO_LONG,
    FRAME_ERR_COMMAND_TOO_LONG,
    FRAME_ERR_LITERAL_TOO_LARGE, /* [TOOBIG] where streamed is true, else [LIMIT] */
    FRAME_ERR_LITERAL_MINUS,     /* over 4096 bytes and LITERAL- */
    FRAME_ERR_TOO_MANY_LITERALS,
    FRAME_ERR_NUL,
    FRAME_ERR_DISCARD, /* FRAME_FATAL: too much to throw away */
};

struct frame_event {
    enum frame_event_kind kind;
    struct span tag;  /* empty if none could be recognised */
    struct span text; /* COMMAND, LINE: the text. LITERAL_ASK: the command up to and including this
                       * literal's header, which command_parse() accepts as a complete APPEND */
    struct span part; /* LITERAL_ASK: only this message's " (flags) date {n*}CRLF", for
                       * append_part_parse() when index > 0 */
    struct span data; /* LITERAL_DATA */
    uint64_t size;    /* LITERAL_*: announced bytes */
    unsigned index;   /* LITERAL_*: number of the streamed literal in its command, from 0 */
    bool sync;        /* LITERAL_ASK: the client waits for an answer before it sends */
    bool binary;      /* LITERAL_*: literal8, may contain NUL */
    bool text_part;   /* LITERAL_*: a part of a message that CATENATE makes */
    unsigned message; /* LITERAL_*: which of a MULTIAPPEND, from 0 */
    bool streamed;    /* ERROR: about a literal in message position */
    enum frame_error error;
    const char *reason; /* ERROR, FATAL: for people, static, no CR or LF */
};

struct frame {
    const struct frame_limits *limits;
    struct buf buf;          /* the partial command; no memory when empty */
    uint64_t left;           /* of the literal being read or thrown away */
    uint64_t discarded;      /* in the present resynchronisation */
    uint64_t literal_size;   /* of the literal asked about or streamed */
    size_t line_start;       /* in buf: where the text after the last literal begins */
    size_t part_start;       /* in buf: where the text after the last streamed literal begins */
    size_t scan_start;       /* in buf: what has not been looked through for message position */
    unsigned messages;       /* of this command that have begun */
    uint8_t scan;            /* enum scan_state in frame_append.c */
    unsigned literals;       /* of this command */
    unsigned streamed_count; /* of this command */
    uint8_t state;           /* enum frame_state in frame.c */
    uint8_t error;           /* enum frame_error, sticky once fatal */
    bool expect_line, sync, binary, release;
    bool raw;       /* the line being thrown away was a raw one */
    bool sync_seen; /* a "+" was asked for in this command: its text cannot be fed again */
    uint8_t tail_n; /* last bytes of a line being thrown away: may announce a literal */
    char tail[30];
};

/* limits must outlive f; NULL for the default. */
void frame_init(struct frame *f, const struct frame_limits *limits);
void frame_done(struct frame *f);

/* Takes bytes from the front of in; returns how many. Exactly one event in *ret. */
size_t frame_next(struct frame *f, struct span in, struct frame_event *ret) must_check;

/* Answers FRAME_LITERAL_ASK. Only while the question is open. After a refusal the caller sends the
 * tagged NO itself; the framer drops the command (a refused non-synchronising literal is read and
 * thrown away together with the rest of the command). */
void frame_literal_accept(struct frame *f);
void frame_literal_refuse(struct frame *f);

/* The next line is not a command: FRAME_LINE (AUTHENTICATE response, DONE of IDLE, LMTP). Counts
 * for one line, also if that ends in FRAME_ERROR; only between commands. */
void frame_expect_line(struct frame *f);
void frame_expect_command(struct frame *f); /* withdraws it */

/* Replaces the limits, between commands (larger ones after login). */
void frame_set_limits(struct frame *f, const struct frame_limits *limits);

/* Bytes of a partial command held, 0 when idle. */
size_t frame_buffered(const struct frame *f);
/* Between commands: nothing buffered, streamed, thrown away or asked. */
bool frame_idle(const struct frame *f);

/* Hands over to another framer: appends to out the bytes which, fed to a fresh framer, bring it to
 * this state, and empties f. ERR_BUSY (f unchanged) in the middle of a streamed or synchronising
 * literal or of a resynchronisation, ERR_LIMIT if out is full. Bytes the caller has not fed yet are
 * the caller's to hand over. Importing is feeding them. */
int frame_export(struct frame *f, struct buf *out) must_check;

#endif
