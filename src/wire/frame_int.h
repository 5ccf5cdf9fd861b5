/* wire/frame_int.h: between frame.c and frame_append.c. */
#ifndef WIRE_FRAME_INT_H
#define WIRE_FRAME_INT_H

#include "wire/frame.h"

/* Does the literal announced at offset `header` of the buffer stand where APPEND or REPLACE has
 * (a part of) a message? Asked once for each literal of a command, in their order; looks at every
 * byte of the command once. */
bool frame_scan(struct frame *f, size_t header);
void frame_scan_reset(struct frame *f); /* a new command */
/* The literal that frame_scan has just found is one part of a message that CATENATE makes. */
bool frame_scan_in_message(const struct frame *f);

#endif
