/* imap/fetch.h: FETCH as a plan that is made once and run for every message. */
#ifndef IMAP_FETCH_H
#define IMAP_FETCH_H

#include "imap/session_int.h"
#include "message/derived.h"

enum fetch_kind {
    ITEM_UID,
    ITEM_FLAGS,
    ITEM_INTERNALDATE,
    ITEM_MODSEQ,
    ITEM_SIZE,
    ITEM_EMAILID,
    ITEM_SAVEDATE,
    ITEM_THREADID,
    ITEM_ENVELOPE,
    ITEM_BODY,
    ITEM_BODYSTRUCTURE,
    ITEM_PREVIEW,
    ITEM_PREVIEW_LAZY,  /* NIL if it is not at hand */
    ITEM_SECTION,       /* BODY[...], RFC822, RFC822.HEADER, RFC822.TEXT */
    ITEM_HEADER_FIELDS, /* BODY[HEADER.FIELDS ...] and .NOT */
    ITEM_BINARY,
    ITEM_BINARY_SIZE,
};

struct fetch_item {
    enum fetch_kind kind;
    struct span label; /* "BODY[1.MIME]<0>" */
    enum section_text text;
    const uint32_t *section; /* part numbers */
    size_t depth;
    struct header_set fields; /* ITEM_HEADER_FIELDS */
    bool invert;              /* .NOT */
    bool partial;
    uint64_t offset, length; /* <offset.length> */
};

struct fetch_plan {
    struct fetch_item *items;
    size_t count;
    bool needs_derived, needs_message;
    bool lazy; /* wants the derived record if it is there */
    bool sets_seen;
    bool has_uid, has_flags, has_modseq;
    bool plain; /* nothing but what rows have */
};

/* Compiles the command's items into the task's arena. 0 or ERR_LIMIT. */
int fetch_plan_make(struct task *t, struct fetch_plan *ret) must_check;
void fetch_plan_done(struct fetch_plan *plan);

/* What went wrong with some message; the command goes on and says so in its tagged answer. */
struct fetch_trouble {
    bool expunged, corrupt, unknown_cte;
};

/* One message's FETCH response, whole, to *b, which is between respond_begin and _end (and may be
 * another one afterwards). with_flags: FLAGS although not
 * asked for. 0, or a store error that ends the command. */
int fetch_message(struct task *t, const struct fetch_plan *plan, struct snap *snap,
                  const struct shown *m, bool with_flags, struct fetch_trouble *trouble,
                  struct buf **b) must_check;

/* The derived record, from the index or recomputed into `made`. */
int fetch_derived(struct session *s, struct snap *snap, uint64_t message_id, struct buf *made,
                  struct span *ret) must_check;

/* fetch_data.c: the bytes of a section. */
struct message_access {
    struct account *account;
    struct message_location where;
    bool has_nul;
    bool queued; /* something of this response is in the output for good */
};
int put_section(struct session *s, struct buf **b, struct message_access *m,
                const struct fetch_item *item, uint64_t offset, uint64_t length) must_check;
/* As a literal8 if there is a NUL, undecoded. */
int put_bytes8(struct session *s, struct buf **b, struct message_access *m,
               const struct fetch_item *item, uint64_t offset, uint64_t length) must_check;
/* The bytes of BODY[HEADER.FIELDS ...]; ERR_NOT_FOUND if there is no such header. */
int section_header_fields(struct buf *out, struct message_access *m, const struct fetch_item *item,
                          struct span derived) must_check;
/* With the label; NIL if there is no such header. */
int put_header_fields(struct buf *b, struct message_access *m, const struct fetch_item *item,
                      struct span derived) must_check;
int put_binary(struct session *s, struct buf **b, struct message_access *m,
               const struct fetch_item *item, const struct mime_part *part) must_check;

#endif
