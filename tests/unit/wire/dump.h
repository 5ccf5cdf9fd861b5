/* tests/unit/wire/dump.h: parsed commands and framer events as text, for tests and fuzzers. */
#ifndef TESTS_WIRE_DUMP_H
#define TESTS_WIRE_DUMP_H

#include "wire/command.h"
#include "wire/frame.h"

/* Printable ASCII as it is, the rest and '\\' as \r, \n, \xHH. */
void dump_text(struct buf *b, struct span s);

/* "FETCH uid 1:3 FLAGS UID BODY.PEEK[1.TEXT]<0.10>": every field of the command, in a fixed order.
 */
void dump_command(struct buf *b, const struct command *c);

/* Runs a framer over input in chunks of `chunk` bytes (0: all at once) and writes one line per
 * event; LITERAL_DATA of one literal is joined. accept: what is answered to FRAME_LITERAL_ASK.
 * line_after (may be empty): after a command whose name this is, a raw line is expected. */
void dump_frames(struct buf *out, struct span input, size_t chunk, bool accept,
                 struct span line_after, const struct frame_limits *limits);

#endif
