/* imap/fetch.c: the response for one message (RFC 9051 section 7.5.2).
 *
 * What is asked for often was made at append (message/derived.h) in the bytes that go out; here it
 * is copied. A response is always queued whole, so that other commands' answers can follow at any
 * time. */
#include "imap/fetch.h"
#include "base/metrics.h"

#include "wire/date.h"
#include "wire/write.h"

static void put_label(struct buf *b, const struct fetch_item *item)
{
    buf_put_span(b, item->label);
    buf_put_byte(b, ' ');
}

int fetch_derived(struct session *s, struct snap *snap, uint64_t message_id, struct buf *made,
                  struct span *ret)
{
    int rc = snap_derived(snap, message_id, ret);
    metric_add(METRIC_DERIVED + (rc ? METRIC_CACHE_MISS : METRIC_CACHE_HIT), 1);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = account_derive(s->view->account, message_id, made);
    if (rc == 0)
        *ret = buf_span(made);
    return rc;
}

static int find_derived_lazily(struct snap *snap, uint64_t message_id, struct span *ret)
{
    int rc = snap_derived(snap, message_id, ret);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* No such part: NIL for BODY[...] and BINARY[...], 0 for BINARY.SIZE. */
static void put_absent(struct buf *b, const struct fetch_item *item)
{
    put_label(b, item);
    buf_put_str(b, item->kind == ITEM_BINARY_SIZE ? "0" : "NIL");
}

/* BODY[], and BINARY[], which has nothing to decode but may hold NUL. */
static int put_whole(struct session *s, struct buf **b, struct message_access *m,
                     const struct fetch_item *item)
{
    put_label(*b, item);
    if (item->kind == ITEM_BINARY_SIZE)
        buf_put_u64(*b, m->where.length);
    else if (item->kind == ITEM_BINARY)
        return put_bytes8(s, b, m, item, 0, m->where.length);
    else
        return put_section(s, b, m, item, 0, m->where.length);
    return 0;
}

static int put_part(struct session *s, struct buf **b, struct message_access *m,
                    const struct fetch_item *item, struct span derived,
                    struct fetch_trouble *trouble)
{
    struct section_range r;
    int rc;
    if (item->depth == 0 && item->text == SECTION_ALL)
        return put_whole(s, b, m, item);
    rc = derived_section(derived, item->section, item->depth, item->text, &r);
    if (rc == ERR_NOT_FOUND) {
        put_absent(*b, item);
        return 0;
    }
    if (rc)
        return rc;
    if (item->kind == ITEM_SECTION) {
        put_label(*b, item);
        return put_section(s, b, m, item, r.offset, r.length);
    }
    rc = put_binary(s, b, m, item, &r.part);
    if (rc == ERR_INVALID) { /* RFC 9051 section 6.4.5, UNKNOWN-CTE */
        trouble->unknown_cte = true;
        put_absent(*b, item);
        rc = 0;
    }
    return rc;
}

static int put_derived_item(struct buf *b, const struct fetch_item *item, struct span derived)
{
    struct span text = SPAN_EMPTY;
    int rc = item->kind == ITEM_ENVELOPE  ? derived_envelope(derived, &text)
             : item->kind == ITEM_BODY    ? derived_body(derived, &text)
             : item->kind >= ITEM_PREVIEW ? derived_preview(derived, &text)
                                          : derived_bodystructure(derived, &text);
    if (rc)
        return rc;
    put_label(b, item);
    buf_put_span(b, text);
    return 0;
}

static int put_item(struct session *s, struct buf **b, struct snap *snap, const struct shown *m,
                    struct message_access *access, struct span derived,
                    const struct fetch_item *item, struct fetch_trouble *trouble)
{
    switch (item->kind) {
    case ITEM_UID:
        buf_put_lit(*b, "UID ");
        buf_put_u64(*b, m->row.uid);
        return 0;
    case ITEM_FLAGS:
        buf_put_lit(*b, "FLAGS ");
        put_flags(*b, snap, &m->row, m->recent);
        return 0;
    case ITEM_INTERNALDATE:
        buf_put_lit(*b, "INTERNALDATE ");
        date_time_write(*b, m->row.internal_date.seconds, m->row.internal_date.zone_minutes);
        return 0;
    case ITEM_MODSEQ:
        buf_put_lit(*b, "MODSEQ (");
        buf_put_u64(*b, m->row.modseq);
        buf_put_byte(*b, ')');
        return 0;
    case ITEM_SIZE:
        buf_put_lit(*b, "RFC822.SIZE ");
        buf_put_u64(*b, m->row.size);
        return 0;
    case ITEM_EMAILID:
        put_email_id(*b, m->row.message_id);
        return 0;
    case ITEM_SAVEDATE: /* RFC 8514 */
        buf_put_lit(*b, "SAVEDATE ");
        date_time_write(*b, m->row.save_date, 0);
        return 0;
    case ITEM_THREADID:
        buf_put_lit(*b, "THREADID NIL");
        return 0;
    case ITEM_ENVELOPE:
    case ITEM_BODY:
    case ITEM_BODYSTRUCTURE:
    case ITEM_PREVIEW:
        return put_derived_item(*b, item, derived);
    case ITEM_PREVIEW_LAZY: /* RFC 8970 section 4.1: without reading the message */
        if (derived.n)
            return put_derived_item(*b, item, derived);
        buf_put_lit(*b, "PREVIEW NIL");
        return 0;
    case ITEM_HEADER_FIELDS:
        return put_header_fields(*b, access, item, derived);
    case ITEM_SECTION:
    case ITEM_BINARY:
    case ITEM_BINARY_SIZE:
        return put_part(s, b, access, item, derived, trouble);
    }
    return ERR_INVALID;
}

static bool is_plain(const struct fetch_item *item)
{
    return item->kind <= ITEM_THREADID;
}

static int open_access(struct session *s, struct snap *snap, const struct fetch_plan *plan,
                       const struct shown *m, struct buf *made, struct span *ret_derived,
                       struct message_access *ret)
{
    int rc = 0;
    *ret = (struct message_access){.account = s->view->account};
    if (plan->needs_message)
        rc = snap_message(snap, m->row.message_id, &ret->where);
    if (rc == 0 && plan->needs_derived)
        rc = fetch_derived(s, snap, m->row.message_id, made, ret_derived);
    else if (rc == 0 && plan->lazy)
        rc = find_derived_lazily(snap, m->row.message_id, ret_derived);
    struct derived_info info;
    if (rc == 0 && plan->needs_message && derived_info(*ret_derived, &info) == 0)
        ret->has_nul = info.has_nul;
    return rc;
}

/* Nothing but what the row has: the fast path of FETCH (UID FLAGS ...) over a whole mailbox. One
 * reservation holds a whole response. */
enum { PLAIN_MAX = 256 };

static void put_plain(struct session *s, struct buf *b, const struct fetch_plan *plan,
                      const struct shown *m)
{
    char *start = buf_reserve(b, PLAIN_MAX), *to = format_message_start(start, s, m);
    for (size_t i = 0; i < plan->count; i++) {
        if (i)
            *to++ = ' ';
        switch (plan->items[i].kind) {
        case ITEM_UID:
            memcpy(to, "UID ", 4);
            to = format_u32(to + 4, m->row.uid);
            break;
        case ITEM_FLAGS:
            memcpy(to, "FLAGS (", 7);
            to = format_flags(to + 7, m->row.flags, m->recent);
            *to++ = ')';
            break;
        case ITEM_INTERNALDATE:
            memcpy(to, "INTERNALDATE ", 13);
            to += 13;
            date_time_format(m->row.internal_date.seconds, m->row.internal_date.zone_minutes, to);
            to += DATE_TIME_LEN;
            break;
        case ITEM_MODSEQ:
            memcpy(to, "MODSEQ (", 8);
            to = format_u64(to + 8, m->row.modseq);
            *to++ = ')';
            break;
        default: /* ITEM_SIZE */
            memcpy(to, "RFC822.SIZE ", 12);
            to = format_u64(to + 12, m->row.size);
        }
    }
    memcpy(to, ")\r\n", 3);
    buf_commit(b, (size_t)(to + 3 - start));
}

static bool is_fast(const struct fetch_plan *plan, const struct shown *m, bool with_flags)
{
    return plan->plain && !m->row.keyword_count && m->row.message_id && !with_flags;
}

/* The flags where FETCH has set \Seen; for a CONDSTORE-aware client with UID and MODSEQ (RFC 7162
 * section 3.2.4). */
static void put_unasked(struct session *s, const struct fetch_plan *plan, struct snap *snap,
                        const struct shown *m, struct buf *b, bool *any)
{
    if (s->condstore && !plan->has_uid && !s->uidonly) {
        buf_printf(b, "%sUID %u", *any ? " " : "", m->row.uid);
        *any = true;
    }
    if (!plan->has_flags) {
        buf_put_str(b, *any ? " FLAGS " : "FLAGS ");
        put_flags(b, snap, &m->row, m->recent);
        *any = true;
    }
    if (s->condstore && !plan->has_modseq) {
        buf_put_lit(b, " MODSEQ (");
        buf_put_u64(b, m->row.modseq);
        buf_put_byte(b, ')');
        s->modseq_sent = true;
    }
}

/* "* 5 FETCH (item item ...": false if no item could be given. */
static int put_items(struct session *s, const struct fetch_plan *plan, struct snap *snap,
                     const struct shown *m, bool with_flags, bool usable,
                     struct message_access *access, struct span derived,
                     struct fetch_trouble *trouble, struct buf **b, bool *ret_any)
{
    bool any = false;
    int rc = 0;
    put_message_start(s, *b, m);
    for (size_t i = 0; i < plan->count && rc == 0; i++) {
        const struct fetch_item *item = &plan->items[i];
        if (!usable && item->kind != ITEM_UID && !(m->row.message_id && is_plain(item)))
            continue;
        if (any)
            buf_put_byte(*b, ' ');
        any = true;
        rc = put_item(s, b, snap, m, access, derived, item, trouble);
    }
    if (rc == 0 && with_flags && m->row.message_id)
        put_unasked(s, plan, snap, m, *b, &any);
    *ret_any = any;
    return rc;
}

/* Of a message that is shown although it has been expunged, an administrator may have erased the
 * octets (martletctl compact --erase): that is no damage. */
static void unreadable(const struct shown *m, struct fetch_trouble *trouble)
{
    if (m->expunged)
        trouble->expunged = true;
    else
        trouble->corrupt = true;
}

int fetch_message(struct task *t, const struct fetch_plan *plan, struct snap *snap,
                  const struct shown *m, bool with_flags, struct fetch_trouble *trouble,
                  struct buf **b)
{
    struct session *s = t->session;
    if (is_fast(plan, m, with_flags)) {
        put_plain(s, *b, plan, m);
        return 0;
    }
    autobuf made = BUF_INIT(BUF_UNLIMITED);
    struct span derived = SPAN_EMPTY;
    struct message_access access = {.account = s->view->account};
    bool usable = m->row.message_id != 0, any;
    int rc = usable ? open_access(s, snap, plan, m, &made, &derived, &access) : 0;
    if (rc == ERR_CORRUPT || rc == ERR_NOT_FOUND) {
        unreadable(m, trouble);
        usable = false;
    } else if (rc) {
        return rc;
    }
    if (m->row.message_id == 0)
        trouble->expunged = true;
    size_t start = (*b)->n;
    rc = put_items(s, plan, snap, m, with_flags, usable, &access, derived, trouble, b, &any);
    if (rc == 0 && any)
        buf_put_lit(*b, ")\r\n");
    else if (!access.queued)
        buf_truncate(*b, start);
    if (rc && access.queued) /* a response that was begun cannot be taken back */
        session_close(s);
    else if (rc == ERR_CORRUPT || rc == ERR_NOT_FOUND)
        unreadable(m, trouble);
    else
        return rc;
    return access.queued ? rc : 0;
}
