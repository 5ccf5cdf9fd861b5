/* store/eval.h: what a request comes to.
 *
 * The writer evaluates one request at a time against the newest state, inside its uncommitted write
 * transaction: the evaluation checks every precondition and limit, allocates numbers and encodes
 * operations, and changes nothing itself. The operations of one request become one frame, applied
 * at once, so that the next request of the batch sees them. An evaluation that fails leaves no
 * trace; one that encodes nothing had nothing to change.
 *
 * Long evaluations work in slices: eval_step returns ERR_AGAIN after EVAL_SLICE_ROWS rows, and is
 * called again. Private to the store. */
#ifndef STORE_EVAL_H
#define STORE_EVAL_H

#include "base/map.h"
#include "index/tables.h"
#include "store/apply.h"
#include "store/quota.h"
#include "store/request.h"
#include "store/snapshot.h"
#include "store/snapshot_int.h"

enum {
    EVAL_SLICE_ROWS = 4096,
    EVAL_OP_UIDS = 4096, /* UIDs in one operation at most, so that applying can be sliced, too */
};

/* Position in a walk over the live messages among a set of UIDs. */
struct eval_walk {
    size_t range;
    uint32_t uid; /* the next to look for; 0: the walk has not begun */
};

struct eval {
    struct index_txn *txn;
    struct snap *snap; /* of txn */
    struct request *r;
    uint64_t now_us;
    bool space_low; /* appends and copies are refused */
    const struct quota_defaults *quota;

    struct buf *ops;        /* encoded operations; the request's begin at ops_start */
    struct buf *payload;    /* struct span each: what makes up the frame's payload */
    struct ranges *touched; /* mailboxes whose watchers are to be told */

    struct index_state state; /* before this request */
    uint64_t modseq;          /* of this request */
    uint32_t last_mailbox, last_uidvalidity;
    uint32_t last_keyword;
    uint32_t created; /* mailboxes by this request, all below the same superior */
    uint64_t copied;  /* octets that it copies or replaces */

    /* The evaluation's own. */
    int phase;
    size_t ops_start, payload_start;
    uint64_t payload_bytes;
    struct eval_walk walk;
    struct snap_eyes eyes;   /* of who asks */
    struct ranges seen;      /* COPY, MOVE: new messages that he has seen */
    struct map new_keywords; /* lower-case name -> id */
    struct buf name, name2;  /* normalised names */
    struct eval_keywords *keywords;
    struct mailbox_info mailbox; /* of the source; name and keyword_ids not valid across changes */
};

/* The sorted ids of a list of keywords. */
struct eval_keywords {
    uint16_t n;
    uint16_t ids[KEYWORDS_PER_MESSAGE];
};

/* Prepare for a request of a batch. txn, snap, now_us, space_low, ops, payload and touched are set
 * by the writer. */
int eval_begin(struct eval *e, struct request *r) must_check;
/* 0: evaluated (the operations, if any, begin at ops_start); ERR_AGAIN: call again; other codes:
 * refused. Errors of the index are found out by index_failed. */
int eval_step(struct eval *e) must_check;
void eval_done(struct eval *e); /* memory of the request */

/* --- helpers for the evaluations --- */

void eval_touch(struct eval *e, uint32_t mailbox);
/* The name of a request in its stored form (into `to`). */
int eval_name(struct buf *to, struct span given) must_check;

enum keyword_policy { KEYWORDS_CREATE, KEYWORDS_EXISTING };
/* Names to ids; unknown ones are made (an operation) or left out. */
int eval_keywords(struct eval *e, const struct span *names, size_t n, enum keyword_policy policy,
                  struct eval_keywords *ret) must_check;

/* Visits the live messages of `uids` in ascending order from where the walk stands; UIDs between
 * that have no message go to `missing` (may be NULL). 0 at the end, ERR_AGAIN when the slice is
 * used up, else what `visit` returned. */
int eval_visit(struct eval *e, uint32_t mailbox, const struct ranges *uids, struct ranges *missing,
               int (*visit)(struct eval *e, const struct row *row)) must_check;

/* Encode with at most EVAL_OP_UIDS UIDs an operation. */
void eval_put_flags(struct eval *e, struct op_flags op);
void eval_put_seen(struct eval *e, struct op_seen op);
void eval_put_copy(struct eval *e, struct op_copy op);
void eval_put_expunge(struct eval *e, struct op_expunge op);

/* Encode the creation of a mailbox and of those of its superiors that are missing; allocates ids
 * and UIDVALIDITYs. `name` must be normalised and not exist. */
int eval_create(struct eval *e, struct span name, uint32_t special_use, uint32_t *ret_id,
                uint32_t *ret_uidvalidity) must_check;
/* The quota root that a new mailbox of this name gets: its nearest superior's. */
int eval_root_of_new(struct eval *e, struct span name, uint32_t *ret) must_check;

/* req_metadata.c: all entries of a mailbox for a new one, which counts in this quota root. */
int eval_metadata_copy(struct eval *e, uint32_t from, uint32_t to, uint32_t root) must_check;

/* quota.c: ERR_QUOTA if a root has no room for so much more. */
int eval_room(struct eval *e, uint32_t root, const uint64_t more[QUOTA_RESOURCES]) must_check;
int quota_of_txn(struct index_txn *txn, const struct quota_defaults *defaults, uint32_t root,
                 struct quota_use *ret) must_check;
int quota_seek_txn(struct index_txn *txn, const struct quota_defaults *defaults, uint32_t from,
                   struct quota_use *ret) must_check;
int quota_find_txn(struct index_txn *txn, const struct quota_defaults *defaults, struct span name,
                   struct quota_use *ret) must_check;

/* --- the evaluations, by kind --- */
int eval_append(struct eval *e) must_check;
int eval_store(struct eval *e) must_check;
int eval_expunge(struct eval *e) must_check;
int eval_copy(struct eval *e) must_check; /* and MOVE */
int eval_create_request(struct eval *e) must_check;
int eval_delete(struct eval *e) must_check;
int eval_rename(struct eval *e) must_check;
int eval_subscribe(struct eval *e) must_check; /* and UNSUBSCRIBE */
int eval_transfer_begin(struct eval *e) must_check;
int eval_transfer_end(struct eval *e) must_check;
int eval_transfer_settle(struct eval *e) must_check;
/* An APPEND that is part of a transfer. ERR_EXISTS: it took effect before; ERR_BUSY: it was
 * refused for good, by who settled it. */
int eval_transfer_in(struct eval *e) must_check;
int eval_url_key(struct eval *e) must_check;
int eval_acl(struct eval *e) must_check;
/* The list of one mailbox for another, that is being made. */
int eval_acl_inherit(struct eval *e, uint32_t from, uint32_t to) must_check;
int eval_special_use(struct eval *e) must_check;
int eval_metadata(struct eval *e) must_check;
int eval_quota(struct eval *e) must_check;
int eval_quota_root(struct eval *e) must_check;

#endif
