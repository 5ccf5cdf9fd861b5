/* wire/write.h: building responses in a struct buf.
 *
 * Which form a string takes (atom, quoted, literal) is decided in this folder only. All functions
 * append; a full buf sticks in buf_ok(). `utf8` is true for sessions that have enabled IMAP4rev2
 * (or UTF8=ACCEPT): 8-bit text may then stand in quoted strings and response text.
 * Pure functions, any thread. */
#ifndef WIRE_WRITE_H
#define WIRE_WRITE_H

#include "base/buf.h"
#include "wire/flag.h"

struct fetch_section;

/* Decimal digits at to, without NUL; returns the end. At most 10 and 20 bytes. */
char *format_u32(char *to, uint32_t v);
char *format_u64(char *to, uint64_t v);

void write_u32(struct buf *b, uint32_t v);
void write_u64(struct buf *b, uint64_t v);

/* An atom as it stands. The caller knows that it is one. */
void write_atom(struct buf *b, struct span s);
/* Quoted if possible (no CR, LF, NUL; 8-bit only if utf8 and valid; not too long), else literal. */
void write_string(struct buf *b, struct span s, bool utf8);
/* Atom if possible (and not NIL), else as write_string. */
void write_astring(struct buf *b, struct span s, bool utf8);
/* NIL if s.p is NULL, else as write_string. */
void write_nstring(struct buf *b, struct span s, bool utf8);
/* "{n}\r\n" or "~{n}\r\n", the bytes follow by the caller. */
void write_literal_header(struct buf *b, uint64_t n);
void write_literal8_header(struct buf *b, uint64_t n);
void write_literal(struct buf *b, struct span s);
void write_literal8(struct buf *b, struct span s);

/* A mailbox name (UTF-8, as the store has it) in the session's form: modified UTF-7 unless utf8. */
void write_mailbox(struct buf *b, struct span utf8_name, bool utf8);

/* "(\Seen \Deleted work)": system is WIRE_FLAG_ bits, keywords as they are. */
void write_flags(struct buf *b, uint32_t system, const struct span *keywords, size_t n);
/* The system flags alone, without parentheses, separated by SP: at most WIRE_FLAGS_TEXT_MAX bytes
 * at to; returns the end. For formatting many rows into one reservation. */
enum { WIRE_FLAGS_TEXT_MAX = 64 };
char *format_system_flags(char *to, uint32_t system);

/* "* 12 FETCH (UID 40 FLAGS (\Seen work))\r\n"; uid 0 leaves UID out. keywords: text of all of
 * the row's keywords joined by SP (empty if none), made once per distinct set by the caller. */
void write_fetch_flags(struct buf *b, uint32_t seq, uint32_t uid, uint32_t system,
                       struct span keywords);

/* "BODY[1.2.HEADER.FIELDS (From To)]<0>", "BINARY[1]", "BINARY.SIZE[2]": the name of a FETCH item
 * in the response. */
void write_section_name(struct buf *b, const struct fetch_section *s, bool utf8);

/* Lists: write_list_item before each element puts "(" or SP, write_list_end puts ")" (or "()"). */
struct write_list {
    bool open;
};
void write_list_item(struct buf *b, struct write_list *l);
void write_list_end(struct buf *b, struct write_list *l);

/* "tag OK [CODE] text\r\n"; an empty tag becomes "*"; code may be empty. Text is made safe: control
 * characters, and 8-bit ones unless utf8 and valid, become '?'; a text that begins with '[' without
 * a code, or an empty one, is repaired. code is the caller's own and is written as it is. */
void write_status(struct buf *b, struct span tag, const char *status, const char *code,
                  struct span text, bool utf8);
/* "+ text\r\n"; an empty text gives "+ \r\n" (an empty SASL challenge). */
void write_continue(struct buf *b, struct span text);

#endif
