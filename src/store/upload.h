/* store/upload.h: a message on its way in.
 *
 * Bytes are fed as they come from the network, are parsed on the way (message/mime.h) and kept in
 * memory while small (UPLOAD_MEMORY_MAX); beyond that they stream into a segment file of the
 * account's log of their own, so that a message of any size costs bounded memory. An upload belongs
 * to one account's loop; free it at any time: what was not appended disappears. */
#ifndef STORE_UPLOAD_H
#define STORE_UPLOAD_H

#include "store/types.h"

struct account;
struct upload;

enum { UPLOAD_MEMORY_MAX = 1 << 20 };

struct upload *upload_new(struct account *account);
/* Bytes that will be a part of a message, read back with upload_read: they are kept, but not
 * parsed, and cannot be appended. */
struct upload *upload_new_part(struct account *account);
void upload_free(struct upload *u);
/* 0, ERR_NO_SPACE, ERR_IO or ERR_LIMIT; the error sticks, later bytes are ignored. */
int upload_write(struct upload *u, struct span bytes);
/* No more bytes will come: finishes the parse. */
int upload_finish(struct upload *u) must_check;
uint64_t upload_size(const struct upload *u);
/* The n bytes from off on, which were written to a part; appended to `to`. */
int upload_read(struct upload *u, uint64_t off, size_t n, struct buf *to) must_check;
/* Of one that is finished: octets >= 0x80 in a header (derived_info.has_8bit_header). */
bool upload_has_8bit_header(const struct upload *u);

#endif
