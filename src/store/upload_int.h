/* store/upload_int.h: uploads, as the writer and the account see them. */
#ifndef STORE_UPLOAD_INT_H
#define STORE_UPLOAD_INT_H

#include "store/ops.h"
#include "store/upload.h"

/* Finished without an error, and durable if it lies in a segment of its own. */
bool upload_ready(const struct upload *u);
/* Why it is not. */
int upload_error(const struct upload *u);
/* Finished, but its segment is not durable yet: the writer syncs it (upload_sync in a worker, then
 * upload_synced on the loop) before the request takes its turn. */
bool upload_needs_sync(const struct upload *u);
void upload_sync(struct upload *u); /* worker */
void upload_synced(struct upload *u);
void upload_syncing(struct upload *u); /* from now on a worker has it */

/* Where the bytes will be. In memory: upload_bytes is for the frame's payload, and the caller sets
 * payload.offset. */
void upload_body(const struct upload *u, struct op_body *ret);
struct span upload_bytes(const struct upload *u);
struct span upload_derived(const struct upload *u);
/* The file with its bytes, of an upload to another process's account; -1: they are in memory. */
int upload_spool(const struct upload *u);
/* A durable frame links the upload's segment: it stays. */
void upload_linked(struct upload *u);

/* Adds the numbers (their low 32 bits) of segments that are being written. */
void uploads_in_flight(const struct account *a, struct ranges *to);
/* The account's log is about to be closed for a failure: what lies in segments of it is lost. */
void uploads_abort(struct account *a);

#endif
