/* Random histories of operations, and a plain model of what they come to. */
#ifndef TEST_STORE_HISTORY_H
#define TEST_STORE_HISTORY_H

#include "unit/index/fixture.h"

#include "index/tables.h"
#include "store/apply.h"
#include "store/recover.h"
#include "store/snapshot.h"

enum { HISTORY_MAILBOXES = 6, HISTORY_KEYWORDS = 30, MESSAGE_KEYWORDS = 8 };

struct model_message {
    uint32_t uid;
    uint16_t flags, keyword_count, keywords[MESSAGE_KEYWORDS];
    uint64_t id, modseq, created, size;
    struct internal_date date;
    int64_t save_date;
};

struct model_gone {
    uint64_t modseq;
    uint32_t uid;
};

struct model_mailbox {
    uint32_t id; /* 0: free */
    char name[40];
    uint32_t uidvalidity, uidnext, recent, special_use;
    uint64_t modseq, created;
    struct model_message *v;
    size_t n, cap;
    struct model_gone *gone;
    size_t gone_n, gone_cap;
};

struct history_frame {
    struct log_frame frame;
    struct buf ops;
};

struct history {
    uint64_t seed;
    uint64_t seq, time, modseq, message_id, payload_at;
    uint32_t mailbox_id, uidvalidity, keyword_id;
    struct model_mailbox m[HISTORY_MAILBOXES];
    struct {
        struct message_location where;
        uint32_t refs;
    } * messages; /* by id */
    size_t message_cap;
    struct history_frame *frames;
    size_t frame_count;
    uint32_t size_max; /* of messages */
    uint64_t dead;     /* messages that went, or moved */
    uint64_t *placed;  /* ids whose bytes are in the payload of the last frame */
    size_t placed_n, placed_cap;
};

static inline uint32_t hrnd(struct history *h, uint32_t below)
{
    return rnd(&h->seed, below);
}

static inline void history_init(struct history *h, uint64_t seed)
{
    *h = (struct history){.seed = seed, .time = 1700000000000000ULL, .size_max = 5000};
}

static inline void history_done(struct history *h)
{
    for (size_t i = 0; i < HISTORY_MAILBOXES; i++) {
        free(h->m[i].v);
        free(h->m[i].gone);
    }
    for (size_t i = 0; i < h->frame_count; i++)
        buf_done(&h->frames[i].ops);
    free(h->frames);
    free(h->messages);
    free(h->placed);
}

static inline void *grow(void *v, size_t n, size_t *cap, size_t size)
{
    if (n < *cap)
        return v;
    *cap = *cap ? *cap * 2 : 64;
    return xrealloc_array(v, *cap, size);
}

static inline struct model_mailbox *history_mailbox(struct history *h)
{
    struct model_mailbox *m = &h->m[hrnd(h, HISTORY_MAILBOXES)];

    return m->id ? m : NULL;
}

static inline struct model_message *mailbox_add(struct model_mailbox *m)
{
    m->v = grow(m->v, m->n, &m->cap, sizeof(*m->v));
    return &m->v[m->n++];
}

static inline void mailbox_gone(struct model_mailbox *m, uint64_t modseq, uint32_t uid)
{
    m->gone = grow(m->gone, m->gone_n, &m->gone_cap, sizeof(*m->gone));
    m->gone[m->gone_n++] = (struct model_gone){modseq, uid};
}

static inline void message_placed(struct history *h, uint64_t id)
{
    h->placed = grow(h->placed, h->placed_n, &h->placed_cap, sizeof(*h->placed));
    h->placed[h->placed_n++] = id;
}

static inline void message_ref(struct history *h, uint64_t id, int delta)
{
    h->messages[id].refs += (uint32_t)delta;
    h->dead += h->messages[id].refs == 0;
}

/* --- operations --- */

static inline void do_keyword(struct history *h, struct buf *ops)
{
    char name[20];
    struct op op = {.kind = OP_KEYWORD};

    if (h->keyword_id == HISTORY_KEYWORDS)
        return;
    snprintf(name, sizeof(name), "$Key%u", ++h->keyword_id);
    op.keyword = (struct op_keyword){(uint16_t)h->keyword_id, span_str(name)};
    op_put(ops, &op);
}

static inline void do_create(struct history *h, struct buf *ops)
{
    struct op op = {.kind = OP_MAILBOX_CREATE};
    struct model_mailbox *m = &h->m[hrnd(h, HISTORY_MAILBOXES)];

    if (m->id)
        return;
    *m = (struct model_mailbox){.id = h->mailbox_id += 1 + hrnd(h, 3), .uidnext = 1};
    snprintf(m->name, sizeof(m->name), "box/%u", m->id);
    m->uidvalidity = h->uidvalidity += 1 + hrnd(h, 100);
    m->modseq = m->created = ++h->modseq;
    m->special_use = hrnd(h, 4);
    op.mailbox_create = (struct op_mailbox_create){
        .mailbox = m->id,
        .modseq = m->modseq,
        .uidvalidity = m->uidvalidity,
        .special_use = m->special_use,
        .object_id = {(unsigned char)m->id, 7},
        .name = span_str(m->name),
    };
    op_put(ops, &op);
}

static inline void do_delete(struct history *h, struct buf *ops)
{
    struct model_mailbox *m = history_mailbox(h);
    struct op op = {.kind = OP_MAILBOX_DELETE};

    if (!m || hrnd(h, 6))
        return;
    op.mailbox_delete = (struct op_mailbox_delete){m->id, ++h->modseq};
    op_put(ops, &op);
    for (size_t i = 0; i < m->n; i++)
        message_ref(h, m->v[i].id, -1);
    free(m->v);
    free(m->gone);
    *m = (struct model_mailbox){0};
}

static inline void do_rename(struct history *h, struct buf *ops)
{
    struct model_mailbox *m = history_mailbox(h);
    struct op op = {.kind = OP_MAILBOX_RENAME};

    if (!m)
        return;
    snprintf(m->name, sizeof(m->name), "renamed/%u/%u", m->id, hrnd(h, 1000000));
    op.mailbox_rename = (struct op_mailbox_rename){m->id, ++h->modseq, span_str(m->name)};
    op_put(ops, &op);
}

static inline void random_keywords(struct history *h, uint16_t *ret_n, uint16_t *ret)
{
    uint16_t n = 0, id = 0;

    while (n < MESSAGE_KEYWORDS && hrnd(h, 3) > 0) {
        id = (uint16_t)(id + 1 + hrnd(h, 6));
        if (id > h->keyword_id)
            break;
        ret[n++] = id;
    }
    *ret_n = n;
}

static inline void do_append(struct history *h, struct buf *ops, uint64_t *payload)
{
    struct model_mailbox *m = history_mailbox(h);
    uint32_t count = hrnd(h, 20) == 0 ? hrnd(h, 3000) : 1 + hrnd(h, 3);

    if (!m)
        return;
    h->modseq++;
    while (count-- > 0) {
        struct model_message *x = mailbox_add(m);
        struct op op = {.kind = hrnd(h, 5) ? OP_APPEND : OP_IMPORT};
        size_t cap = h->message_cap;

        *x = (struct model_message){
            .uid = m->uidnext + (hrnd(h, 10) ? 0 : hrnd(h, 50)),
            .flags = (uint16_t)hrnd(h, 32),
            .id = h->message_id += 1 + (hrnd(h, 30) == 0),
            .modseq = h->modseq,
            .created = h->modseq,
            .size = 1 + hrnd(h, h->size_max),
            .date = {(int64_t)hrnd(h, 1U << 31), (int16_t)((int)hrnd(h, 1440) - 720)},
            .save_date = (int64_t)(h->time / 1000000),
        };
        random_keywords(h, &x->keyword_count, x->keywords);
        h->messages = grow(h->messages, h->message_id, &h->message_cap, sizeof(*h->messages));
        if (cap < h->message_cap)
            memset(h->messages + cap, 0, (h->message_cap - cap) * sizeof(*h->messages));
        h->messages[x->id].where =
            (struct message_location){1, h->payload_at + *payload, x->size, (uint32_t)x->size};
        h->messages[x->id].refs = 1;
        op.append = (struct op_append){
            .mailbox = m->id,
            .uid = x->uid,
            .message_id = x->id,
            .modseq = x->modseq,
            .flags = x->flags,
            .keyword_count = x->keyword_count,
            .keywords = (const unsigned char *)x->keywords,
            .internal_date = x->date,
            .save_date = x->save_date,
            .size = x->size,
            .body.payload = {.offset = *payload, .length = x->size, .crc = (uint32_t)x->size},
            .created_modseq = x->modseq,
        };
        if (hrnd(h, 10) == 0) {
            op.append.body.external = true;
            op.append.body.segment = 5 + hrnd(h, 5);
            op.append.body.payload.offset = 64;
            h->messages[x->id].where.segment = op.append.body.segment;
            h->messages[x->id].where.offset = 64;
        } else {
            *payload += x->size;
            message_placed(h, x->id);
        }
        if (op.kind == OP_IMPORT && hrnd(h, 20) == 0)
            op.append.uidvalidity = m->uidvalidity = h->uidvalidity += 5;
        op_put(ops, &op);
        m->uidnext = x->uid + 1;
        m->modseq = h->modseq;
    }
}

/* Live UIDs, some or many. */
static inline void random_live(struct history *h, struct model_mailbox *m, struct ranges *ret)
{
    uint32_t kind = hrnd(h, 8), step = kind == 0 ? 1 : kind < 3 ? 2 + hrnd(h, 20) : 0;
    size_t i;

    if (m->n == 0)
        return;
    if (step > 0) {
        for (i = hrnd(h, step); i < m->n; i += step)
            ranges_add(ret, m->v[i].uid, m->v[i].uid);
    } else if (kind < 5) {
        i = hrnd(h, (uint32_t)m->n);
        for (size_t end = i + hrnd(h, 200); i < m->n && i < end; i++)
            ranges_add(ret, m->v[i].uid, m->v[i].uid);
    } else {
        i = hrnd(h, (uint32_t)m->n);
        ranges_add(ret, m->v[i].uid, m->v[i].uid);
    }
}

static inline void set_keywords(struct model_message *x, const struct op_flags *op,
                                const uint16_t *ids)
{
    bool has[HISTORY_KEYWORDS + 1] = {false};

    for (size_t i = 0; i < x->keyword_count; i++)
        has[x->keywords[i]] = op->keyword_mode != OP_KEYWORDS_REPLACE;
    for (size_t i = 0; i < op->keyword_count && op->keyword_mode != OP_KEYWORDS_KEEP; i++)
        has[ids[i]] = op->keyword_mode != OP_KEYWORDS_REMOVE;
    x->keyword_count = 0;
    for (uint16_t id = 1; id <= HISTORY_KEYWORDS; id++) {
        if (has[id] && x->keyword_count < MESSAGE_KEYWORDS)
            x->keywords[x->keyword_count++] = id;
    }
}

static inline void do_flags(struct history *h, struct buf *ops)
{
    struct model_mailbox *m = history_mailbox(h);
    struct op op = {.kind = OP_FLAGS};
    autoranges uids = RANGES_INIT;
    uint16_t ids[MESSAGE_KEYWORDS], count;
    bool any = false;

    if (!m)
        return;
    random_live(h, m, &uids);
    if (hrnd(h, 4) == 0) /* a range over numbers without a message */
        ranges_add(&uids, 1 + hrnd(h, m->uidnext), m->uidnext + hrnd(h, 100));
    if (uids.n == 0)
        return;
    random_keywords(h, &count, ids);
    h->modseq++;
    op.flags = (struct op_flags){
        .mailbox = m->id,
        .modseq = h->modseq,
        .add = (uint16_t)hrnd(h, 32),
        .remove = (uint16_t)hrnd(h, 32),
        .keyword_mode = (enum op_keyword_mode)hrnd(h, 4),
        .keyword_count = count,
        .keywords = (const unsigned char *)ids,
        .uids = &uids,
    };
    for (size_t i = 0; i < m->n; i++) { /* the model holds few keywords a message */
        if (ranges_has(&uids, m->v[i].uid) && op.flags.keyword_mode == OP_KEYWORDS_ADD &&
            m->v[i].keyword_count + count > MESSAGE_KEYWORDS)
            op.flags.keyword_mode = OP_KEYWORDS_REPLACE;
    }
    for (size_t i = 0; i < m->n; i++) {
        struct model_message *x = &m->v[i];

        if (!ranges_has(&uids, x->uid))
            continue;
        x->flags = (uint16_t)((x->flags & ~op.flags.remove) | op.flags.add);
        set_keywords(x, &op.flags, ids);
        x->modseq = h->modseq;
        any = true;
    }
    if (any)
        m->modseq = h->modseq;
    else
        h->modseq--;
    op_put(ops, &op);
}

static inline void expunge_in_model(struct history *h, struct model_mailbox *m,
                                    const struct ranges *uids, uint64_t modseq)
{
    size_t to = 0;

    for (size_t i = 0; i < m->n; i++) {
        if (!ranges_has(uids, m->v[i].uid)) {
            m->v[to++] = m->v[i];
            continue;
        }
        message_ref(h, m->v[i].id, -1);
        mailbox_gone(m, modseq, m->v[i].uid);
    }
    m->n = to;
    m->modseq = modseq;
}

static inline void do_expunge(struct history *h, struct buf *ops)
{
    struct model_mailbox *m = history_mailbox(h);
    struct op op = {.kind = OP_EXPUNGE};
    autoranges uids = RANGES_INIT;

    if (!m)
        return;
    random_live(h, m, &uids);
    if (uids.n == 0)
        return;
    h->modseq++;
    op.expunge = (struct op_expunge){m->id, h->modseq, &uids};
    op_put(ops, &op);
    expunge_in_model(h, m, &uids, h->modseq);
}

static inline void do_copy(struct history *h, struct buf *ops)
{
    struct model_mailbox *from = history_mailbox(h), *to = history_mailbox(h);
    struct op op = {.kind = OP_COPY};
    autoranges uids = RANGES_INIT;
    size_t n;

    if (!from || !to)
        return;
    random_live(h, from, &uids);
    if (uids.n == 0 || to->n > 20000)
        return;
    h->modseq++;
    op.copy = (struct op_copy){
        .mailbox = from->id,
        .target = to->id,
        .first_uid = to->uidnext + hrnd(h, 3),
        .modseq = h->modseq,
        .save_date = (int64_t)h->time / 1000000,
        .uids = &uids,
    };
    op_put(ops, &op);
    to->uidnext = op.copy.first_uid;
    n = from->n;
    for (size_t i = 0; i < n; i++) {
        struct model_message x = from->v[i];

        if (!ranges_has(&uids, x.uid))
            continue;
        x.uid = to->uidnext++;
        x.modseq = x.created = h->modseq;
        x.save_date = op.copy.save_date;
        message_ref(h, x.id, 1);
        *mailbox_add(to) = x;
    }
    to->modseq = h->modseq;
    if (hrnd(h, 2)) { /* a move */
        op = (struct op){.kind = OP_EXPUNGE,
                         .expunge = {.mailbox = from->id, .modseq = h->modseq, .uids = &uids}};
        op_put(ops, &op);
        expunge_in_model(h, from, &uids, h->modseq);
    }
}

static inline void do_small(struct history *h, struct buf *ops, uint64_t *payload)
{
    struct model_mailbox *m = history_mailbox(h);
    struct op op = {0};

    if (!m)
        return;
    switch (hrnd(h, 4)) {
    case 3:
        op.kind = OP_SUBSCRIBE;
        op.subscribe = (struct op_subscribe){++h->modseq, hrnd(h, 3) > 0,
                                             hrnd(h, 2) ? span_str(m->name) : SPAN("not there")};
        break;
    case 0:
        op.kind = OP_RECENT;
        op.recent = (struct op_recent){m->id, hrnd(h, m->uidnext)};
        m->recent = MAX(m->recent, op.recent.recent_uid);
        break;
    case 1:
        op.kind = OP_SPECIAL_USE;
        op.special_use = (struct op_special_use){m->id, ++h->modseq, hrnd(h, 256)};
        m->special_use = op.special_use.special_use;
        break;
    default:
        if (m->n == 0)
            return;
        struct model_message *x = &m->v[hrnd(h, (uint32_t)m->n)];

        op.kind = OP_RELOCATE;
        op.relocate = (struct op_relocate){
            .message_id = x->id,
            .body.payload = {.offset = *payload, .length = x->size, .crc = 17},
        };
        h->messages[x->id].where =
            (struct message_location){1, h->payload_at + *payload, x->size, 17};
        h->dead++;
        *payload += x->size;
        message_placed(h, x->id);
    }
    op_put(ops, &op);
}

/* One more frame, with the model carried along. The caller applies it. */
static inline struct history_frame *history_step(struct history *h)
{
    struct history_frame f = {.ops = BUF_INIT(BUF_UNLIMITED)};
    uint64_t payload = 0;
    uint32_t n = 1 + hrnd(h, 3);

    h->time += hrnd(h, 1000000);
    h->placed_n = 0;
    if (h->seq == 0)
        do_create(h, &f.ops);
    for (uint32_t i = 0; i < n || f.ops.n == 0; i++) {
        switch (hrnd(h, 14)) {
        case 0:
            do_keyword(h, &f.ops);
            break;
        case 1:
            do_create(h, &f.ops);
            break;
        case 2:
            do_delete(h, &f.ops);
            break;
        case 3:
            do_rename(h, &f.ops);
            break;
        case 4:
        case 5:
        case 6:
            do_append(h, &f.ops, &payload);
            break;
        case 7:
        case 8:
        case 9:
            do_flags(h, &f.ops);
            break;
        case 10:
            do_copy(h, &f.ops);
            break;
        case 11:
        case 12:
            do_expunge(h, &f.ops);
            break;
        default:
            do_small(h, &f.ops, &payload);
        }
    }
    f.frame = (struct log_frame){
        .seq = ++h->seq,
        .time = h->time,
        .type = FRAME_CHANGE,
        .version = FRAME_VERSION,
        .segment = 1,
        .offset = h->payload_at - 64,
        .payload_offset = h->payload_at,
        .payload_length = payload,
        .ops_length = f.ops.n,
    };
    h->payload_at += payload + 64;
    h->frames = xrealloc_array(h->frames, h->frame_count + 1, sizeof(*h->frames));
    h->frames[h->frame_count] = f;
    return &h->frames[h->frame_count++];
}

/* Where a real log put the last frame. */
static inline void history_place(struct history *h, const struct log_frame *frame)
{
    uint64_t was = h->frames[h->frame_count - 1].frame.payload_offset, last = 0;

    for (size_t i = 0; i < h->placed_n; i++) {
        struct message_location *where = &h->messages[h->placed[i]].where;

        if (h->placed[i] == last) /* relocated in the frame that brought it */
            continue;
        where->segment = frame->segment;
        where->offset += frame->payload_offset - was;
        last = h->placed[i];
    }
    h->frames[h->frame_count - 1].frame = *frame;
}

/* --- comparing --- */

static inline void compare_row(const struct row *r, const struct model_message *x)
{
    assert_int_equal(r->uid, x->uid);
    assert_int_equal(r->flags, x->flags);
    assert_int_equal(r->message_id, x->id);
    assert_int_equal(r->modseq, x->modseq);
    assert_int_equal(r->created_modseq, x->created);
    assert_int_equal(r->size, x->size);
    assert_int_equal(r->internal_date.seconds, x->date.seconds);
    assert_int_equal(r->internal_date.zone_minutes, x->date.zone_minutes);
    assert_int_equal(r->save_date, x->save_date);
    assert_int_equal(r->keyword_count, x->keyword_count);
    for (size_t i = 0; i < r->keyword_count; i++)
        assert_int_equal(row_keyword(r, i), x->keywords[i]);
}

static inline void compare_info(const struct mailbox_info *i, const struct model_mailbox *m)
{
    struct mailbox_info want = {0};

    for (size_t k = 0; k < m->n; k++) {
        want.unseen += !(m->v[k].flags & FLAG_SEEN);
        want.deleted += m->v[k].flags & FLAG_DELETED ? 1 : 0;
        want.bytes += m->v[k].size;
        want.deleted_bytes += m->v[k].flags & FLAG_DELETED ? m->v[k].size : 0;
    }
    assert_int_equal(i->id, m->id);
    assert_true(span_eq(i->name, span_str(m->name)));
    assert_int_equal(i->uidvalidity, m->uidvalidity);
    assert_int_equal(i->uidnext, m->uidnext);
    assert_int_equal(i->recent_uid, m->recent);
    assert_int_equal(i->special_use, m->special_use);
    assert_int_equal(i->highest_modseq, m->modseq);
    assert_int_equal(i->created_modseq, m->created);
    assert_int_equal(i->exists, m->n);
    assert_int_equal(i->unseen, want.unseen);
    assert_int_equal(i->deleted, want.deleted);
    assert_int_equal(i->bytes, want.bytes);
    assert_int_equal(i->deleted_bytes, want.deleted_bytes);
    for (size_t k = 0; k < m->n; k++) { /* every keyword is among the mailbox's */
        for (size_t j = 0; j < m->v[k].keyword_count; j++) {
            bool found = false;

            for (size_t at = 0; at < i->keyword_ids.n; at += 2)
                found |= load_le16(i->keyword_ids.p + at) == m->v[k].keywords[j];
            assert_true(found);
        }
    }
}

static inline void compare_rows(struct history *h, struct snap *snap, const struct model_mailbox *m)
{
    struct row_cursor *c;
    struct row r;
    uint32_t uid, n;
    size_t i = 0;
    int rc;

    assert_int_equal(row_cursor_open(snap, m->id, &c), 0);
    for (rc = row_cursor_seek(c, 1, &r); rc == 0; rc = row_cursor_next(c, &r)) {
        assert_true(i < m->n);
        compare_row(&r, &m->v[i++]);
    }
    row_cursor_close(c);
    assert_int_equal(rc, ERR_NOT_FOUND);
    assert_int_equal(i, m->n);
    for (unsigned k = 0; k < 5 && m->n > 0; k++) {
        i = hrnd(h, (uint32_t)m->n);
        assert_int_equal(snap_row(snap, m->id, m->v[i].uid, &r), 0);
        compare_row(&r, &m->v[i]);
        assert_int_equal(snap_count_upto(snap, m->id, m->v[i].uid, &n), 0);
        assert_int_equal(n, i + 1);
        assert_int_equal(snap_uid_at(snap, m->id, (uint32_t)i + 1, &uid), 0);
        assert_int_equal(uid, m->v[i].uid);
    }
    assert_int_equal(snap_uid_at(snap, m->id, (uint32_t)m->n + 1, &uid), ERR_NOT_FOUND);
}

static inline void compare_changes(struct history *h, struct snap *snap,
                                   const struct model_mailbox *m)
{
    for (unsigned k = 0; k < 3; k++) {
        uint64_t since = k == 0   ? 0
                         : k == 1 ? h->modseq - hrnd(h, (uint32_t)MIN(h->modseq, 5))
                                  : hrnd(h, (uint32_t)h->modseq + 1);
        autoranges changed = RANGES_INIT, gone = RANGES_INIT;
        struct changes c = CHANGES_INIT;

        for (size_t i = 0; i < m->n; i++) {
            if (m->v[i].modseq > since)
                ranges_add(&changed, m->v[i].uid, m->v[i].uid);
        }
        for (size_t i = 0; i < m->gone_n; i++) {
            if (m->gone[i].modseq > since)
                ranges_add(&gone, m->gone[i].uid, m->gone[i].uid);
        }
        assert_int_equal(snap_changes(snap, m->id, since, &c), 0);
        assert_false(c.gone);
        assert_true(c.complete);
        assert_int_equal(c.modseq, m->modseq);
        assert_int_equal(c.uidnext, m->uidnext);
        assert_int_equal(c.exists, m->n);
        assert_int_equal(c.changed.n, changed.n);
        assert_int_equal(c.expunged.n, gone.n);
        if (changed.n)
            assert_memory_equal(c.changed.v, changed.v, changed.n * sizeof(*changed.v));
        if (gone.n)
            assert_memory_equal(c.expunged.v, gone.v, gone.n * sizeof(*gone.v));
        changes_done(&c);
    }
}

static inline void compare_messages(struct history *h, struct index_txn *txn)
{
    struct index_message x;
    uint64_t id = 0, dead = 0;
    struct segment_dead d = {0};
    int rc = index_message_seek(txn, 0, &id, &x);

    for (uint64_t want = 1; want <= h->message_id; want++) {
        if (h->messages[want].refs == 0)
            continue;
        assert_int_equal(rc, 0);
        assert_int_equal(id, want);
        assert_int_equal(x.refs, h->messages[want].refs);
        assert_int_equal(x.where.segment, h->messages[want].where.segment);
        assert_int_equal(x.where.offset, h->messages[want].where.offset);
        assert_int_equal(x.where.length, h->messages[want].where.length);
        assert_int_equal(x.where.crc, h->messages[want].where.crc);
        rc = index_message_seek(txn, id + 1, &id, &x);
    }
    assert_int_equal(rc, ERR_NOT_FOUND);
    for (rc = segment_dead_seek(txn, 0, &d); rc == 0;
         rc = segment_dead_seek(txn, d.segment + 1, &d))
        dead += d.messages;
    assert_int_equal(rc, ERR_NOT_FOUND);
    assert_int_equal(dead, h->dead);
}

static inline void history_compare(struct history *h, struct index_txn *txn)
{
    struct snap *snap = snap_of_txn(txn);
    struct index_state state;
    struct mailbox_info info;
    uint64_t messages = 0, bytes = 0;
    struct err err = {0};

    for (size_t i = 0; i < HISTORY_MAILBOXES; i++) {
        struct model_mailbox *m = &h->m[i];

        if (m->id == 0)
            continue;
        assert_int_equal(snap_mailbox_find(snap, span_str(m->name), &info), 0);
        compare_info(&info, m);
        assert_int_equal(rows_verify(txn, m->id, &err), 0);
        compare_rows(h, snap, m);
        compare_changes(h, snap, m);
        messages += m->n;
        for (size_t k = 0; k < m->n; k++)
            bytes += m->v[k].size;
    }
    compare_messages(h, txn);
    assert_int_equal(index_state_get(txn, &state), 0);
    assert_int_equal(state.applied_seq, h->seq);
    assert_int_equal(state.modseq, h->modseq);
    assert_int_equal(snap_modseq(snap), h->modseq);
    assert_int_equal(state.message_id, h->message_id);
    assert_int_equal(state.mailbox_id, h->mailbox_id);
    assert_int_equal(state.uidvalidity, h->uidvalidity);
    assert_int_equal(state.messages, messages);
    assert_int_equal(state.bytes, bytes);
}

#endif
