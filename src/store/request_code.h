/* store/request_code.h: requests and their results as bytes, for the way to another process.
 *
 * The message bytes of an APPEND travel beside them, in files: each message names its file and
 * where in it it lies. What is decoded points into the bytes and the arena, except the sets of
 * UIDs, which request_code_done releases.
 *
 * Pure functions, any thread. Decoding never reads outside the bytes, allocates within the arena's
 * budget and no more than the bytes allow, and refuses whatever encoding would not have made:
 * ERR_INVALID, ERR_VERSION, ERR_LIMIT (the arena is spent). A new field of struct request needs a
 * line in request_code.c. */
#ifndef STORE_REQUEST_CODE_H
#define STORE_REQUEST_CODE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "store/request.h"

/* Where the bytes of an appended message are. */
struct request_part {
    uint32_t file; /* of those that travel with the request, in order */
    uint64_t offset, size;
};

/* parts: one for each of r->messages. `done`, `arg`, `result` and the uploads stay here. */
void request_encode(struct buf *to, const struct request *r, const struct request_part *parts);
/* Into a request of request_init. messages[].upload are NULL. */
int request_decode(struct span code, struct arena *arena, struct request *ret,
                   struct request_part **ret_parts) must_check;
void request_code_done(struct request *r);

void request_result_encode(struct buf *to, const struct request_result *result);
/* Into an empty one. */
int request_result_decode(struct span code, struct request_result *ret) must_check;

#endif
