/* Adding and changing rows; see rows_int.h. */
#include "index/rows_int.h"

/* --- appending --- */

struct row_appender {
    struct index_txn *txn;
    struct block_builder builder; /* the mailbox's last block */
    uint32_t block_key;
    uint32_t last_uid;
    bool dirty; /* the builder has rows that are not stored */
    bool failed;
    struct group_work group; /* the last group; its last entry is the builder's */
};

static int appender_load(struct row_appender *a)
{
    struct group_work *g = &a->group;
    struct span k, value;
    struct block b;
    struct key key;
    int rc;

    key_row(&key, g->mailbox, UINT32_MAX);
    rc = table_floor(a->txn, TABLE_CHUNK, &key, &k, &value);
    if (rc == ERR_NOT_FOUND || (rc == 0 && key_row_mailbox(k) != g->mailbox))
        return 0;
    if (rc)
        return rc;
    if (!group_valid(value))
        return index_corrupt(a->txn);
    group_load(g, g->mailbox, key_row_uid(k), value);
    a->block_key = entry_uid(group_work_at(g, g->count - 1));
    key_row(&key, g->mailbox, a->block_key);
    rc = table_get(a->txn, TABLE_ROW, &key, &value);
    if (rc)
        return rc == ERR_NOT_FOUND ? index_corrupt(a->txn) : rc;
    if (!block_parse(value, &b) || !builder_load(&a->builder, &b))
        return index_corrupt(a->txn);
    a->last_uid = row_raw_uid(b.rows + (size_t)(b.count - 1) * ROW_SIZE);
    return 0;
}

int rows_append_begin(struct index_txn *txn, uint32_t mailbox, struct row_appender **ret)
{
    struct row_appender *a = xmalloc(sizeof(*a)); /* big; what counts is set here */
    int rc;

    a->txn = txn;
    builder_reset(&a->builder);
    a->block_key = a->last_uid = 0;
    a->dirty = a->failed = false;
    a->group.mailbox = mailbox;
    a->group.key_uid = a->group.count = 0;
    a->group.stored = false;
    rc = appender_load(a);
    if (rc) {
        free(a);
        return rc;
    }
    *ret = a;
    return 0;
}

static int appender_put_block(struct row_appender *a)
{
    struct group_work *g = &a->group;
    struct group_entry e = {a->block_key, a->builder.count, a->builder.newest};
    int rc;

    if (!a->dirty)
        return 0;
    rc = builder_put(&a->builder, a->txn, g->mailbox, a->block_key);
    group_entry_set(g, g->count - 1, &e);
    a->dirty = false;
    return rc;
}

static int appender_new_block(struct row_appender *a, uint32_t uid)
{
    struct group_work *g = &a->group;
    struct group_entry e = {uid, 0, 0};
    int rc = appender_put_block(a);

    if (rc == 0 && g->count == GROUP_MAX) {
        rc = group_write(g, a->txn);
        g->count = 0;
    }
    if (g->count == 0) {
        g->key_uid = uid;
        g->stored = false;
    }
    group_splice(g, g->count, 0, &e, 1);
    builder_reset(&a->builder);
    a->block_key = uid;
    return rc;
}

int rows_append(struct row_appender *a, const struct row *row)
{
    int rc = 0;

    if (row->uid <= a->last_uid || !row_fits(row))
        return ERR_INVALID;
    if (a->group.count == 0 || !builder_fits(&a->builder, row))
        rc = appender_new_block(a, row->uid);
    if (rc) {
        a->failed = true;
        return rc;
    }
    builder_add(&a->builder, row);
    a->last_uid = row->uid;
    a->dirty = true;
    return 0;
}

int rows_append_end(struct row_appender *a)
{
    bool changed = a->dirty;
    int rc = 0;

    if (!a->failed)
        rc = appender_put_block(a);
    if (rc == 0 && changed && !a->failed)
        rc = group_write(&a->group, a->txn);
    free(a);
    return rc;
}

/* --- changing --- */

enum { RUN_ENTRIES = 64 };

/* An edit goes group by group, and in a group block by block. Where rows only change in place, the
 * block is overwritten. Otherwise a run begins: the rows that stay go through a builder, which
 * makes new blocks, until the rest is large enough to stand alone. A new block takes the key of the
 * block that its first row was in, if that is free, so that most runs overwrite one record. */
struct edit {
    struct index_txn *txn;
    uint32_t mailbox;
    const struct ranges *uids; /* NULL: all */
    size_t range;              /* the first one that may still matter */
    row_edit_fn *fn;
    void *ctx;

    struct group_work group;
    bool group_changed;
    uint32_t seen_uid; /* the last row looked at */

    /* the block at hand, copied: its page may move */
    unsigned char bytes[BLOCK_MAX];
    struct block block;
    struct row rows[BLOCK_ROWS];
    unsigned char verdict[BLOCK_ROWS];
    unsigned char room[BLOCK_ROWS][2 * INDEX_KEYWORDS_MAX];
    bool changed, rebuild; /* some row; more than in place */

    /* the run */
    struct block_builder builder;
    uint32_t builder_key;
    uint32_t source_key; /* of the block at hand */
    bool source_claimed; /* by a block that begins with its first row */
    bool source_begun;   /* a row of it is in a block */
    struct group_entry out[RUN_ENTRIES];
    uint32_t out_count;
};

/* Whether a UID of lo..hi is wanted; moves on to the range that tells. */
static bool edit_wants(struct edit *e, uint32_t lo, uint32_t hi)
{
    if (!e->uids)
        return true;
    while (e->range < e->uids->n && e->uids->v[e->range].hi < lo)
        e->range++;
    return e->range < e->uids->n && e->uids->v[e->range].lo <= hi;
}

static int block_read(struct edit *e, uint32_t key_uid)
{
    struct span value;
    struct key key;
    int rc;

    key_row(&key, e->mailbox, key_uid);
    rc = table_get(e->txn, TABLE_ROW, &key, &value);
    if (rc)
        return rc == ERR_NOT_FOUND ? index_corrupt(e->txn) : rc;
    if (value.n > sizeof(e->bytes))
        return index_corrupt(e->txn);
    memcpy(e->bytes, value.p, value.n);
    if (!block_parse(span_make(e->bytes, value.n), &e->block) || e->block.count > BLOCK_ROWS)
        return index_corrupt(e->txn);
    e->source_key = key_uid;
    return 0;
}

/* Has every wanted row of the block edited. */
static int block_judge(struct edit *e)
{
    uint32_t at = 0;

    e->changed = e->rebuild = false;
    for (uint32_t i = 0; i < e->block.count; i++) {
        const unsigned char *raw = e->block.rows + (size_t)i * ROW_SIZE;
        struct row *row = &e->rows[i];
        uint32_t uid = row_raw_uid(raw), octets = 2 * row_raw_keywords(raw);
        int verdict = ROW_KEEP;

        if (at + octets > e->block.keyword_octets)
            return index_corrupt(e->txn);
        row_decode(raw, e->block.keywords + at, row);
        if (edit_wants(e, uid, uid))
            verdict = e->fn(e->ctx, row, e->room[i]);
        if (verdict < 0)
            return verdict;
        if (verdict == ROW_CHANGED && (row->uid != uid || !row_fits(row)))
            return ERR_INVALID;
        e->verdict[i] = (unsigned char)verdict;
        e->changed |= verdict != ROW_KEEP;
        e->rebuild |= verdict == ROW_DELETED || 2U * row->keyword_count != octets;
        at += octets;
        e->seen_uid = uid;
    }
    return 0;
}

static int block_overwrite(struct edit *e, uint32_t entry)
{
    struct group_entry changed = {e->source_key, e->block.count, 0};
    unsigned char *rows = e->bytes + BLOCK_HEAD, *keywords;
    struct key key;

    keywords = rows + (size_t)e->block.count * ROW_SIZE;
    for (uint32_t i = 0; i < e->block.count; i++) {
        const struct row *row = &e->rows[i];
        size_t octets = 2 * (size_t)row->keyword_count;

        if (e->verdict[i] == ROW_CHANGED) {
            row_encode(rows + (size_t)i * ROW_SIZE, row);
            if (octets > 0 && row->keywords != keywords)
                memcpy(keywords, row->keywords, octets);
        }
        keywords += octets;
        changed.newest = MAX(changed.newest, row->modseq);
    }
    group_entry_set(&e->group, entry, &changed);
    e->group_changed = true;
    key_row(&key, e->mailbox, e->source_key);
    return table_put(e->txn, TABLE_ROW, &key, span_make(e->bytes, (size_t)(keywords - e->bytes)));
}

/* --- runs --- */

static int run_emit(struct edit *e)
{
    int rc;

    if (e->builder.count == 0)
        return 0;
    invariant(e->out_count < RUN_ENTRIES);
    e->out[e->out_count++] =
        (struct group_entry){e->builder_key, e->builder.count, e->builder.newest};
    rc = builder_put(&e->builder, e->txn, e->mailbox, e->builder_key);
    builder_reset(&e->builder);
    return rc;
}

/* Sends the block's remaining rows through the builder. */
static int run_block(struct edit *e)
{
    struct key key;
    int rc = 0;

    e->source_claimed = e->source_begun = false;
    for (uint32_t i = 0; rc == 0 && i < e->block.count; i++) {
        if (e->verdict[i] == ROW_DELETED)
            continue;
        if (!builder_fits(&e->builder, &e->rows[i]))
            rc = run_emit(e);
        if (e->builder.count == 0) {
            e->builder_key = e->source_begun ? e->rows[i].uid : e->source_key;
            e->source_claimed |= !e->source_begun;
        }
        e->source_begun = true;
        builder_add(&e->builder, &e->rows[i]);
    }
    if (rc == 0 && !e->source_claimed) {
        key_row(&key, e->mailbox, e->source_key);
        rc = table_del(e->txn, TABLE_ROW, &key);
    }
    return rc;
}

/* Whether the run should swallow the next block too: what is left is small, and the next one is
 * changed anyway or small as well. */
static bool run_goes_on(struct edit *e, uint32_t next)
{
    const unsigned char *entry;

    if (e->builder.count == 0 || next >= e->group.count || e->out_count > RUN_ENTRIES / 2 ||
        builder_size(&e->builder) > BLOCK_MAX / 4)
        return false;
    entry = group_work_at(&e->group, next);
    return (e->builder.count + entry_count(entry)) * ROW_SIZE <= BLOCK_MAX * 3 / 4;
}

/* From the block at `entry`, already judged. *ret_next: the entry after the run. */
static int run(struct edit *e, uint32_t entry, uint32_t *ret_next)
{
    uint32_t consumed = 0;
    int rc;

    e->out_count = 0;
    builder_reset(&e->builder);
    for (;;) {
        rc = run_block(e);
        consumed++;
        if (rc || !run_goes_on(e, entry + consumed))
            break;
        rc = block_read(e, entry_uid(group_work_at(&e->group, entry + consumed)));
        if (rc == 0)
            rc = block_judge(e);
        if (rc)
            break;
    }
    if (rc == 0)
        rc = run_emit(e);
    if (rc)
        return rc;
    group_splice(&e->group, entry, consumed, e->out, e->out_count);
    e->group_changed = true;
    *ret_next = entry + e->out_count;
    return 0;
}

/* --- groups --- */

/* The last UID that the block of an entry can have. */
static uint32_t entry_reach(const struct group_work *g, uint32_t i)
{
    return i + 1 < g->count ? entry_uid(group_work_at(g, i + 1)) - 1 : UINT32_MAX;
}

static int edit_entry(struct edit *e, uint32_t entry, uint32_t *ret_next)
{
    int rc = block_read(e, entry_uid(group_work_at(&e->group, entry)));

    *ret_next = entry + 1;
    if (rc == 0)
        rc = block_judge(e);
    if (rc || !e->changed)
        return rc;
    return e->rebuild ? run(e, entry, ret_next) : block_overwrite(e, entry);
}

/* The group that may hold uid, or the next one, but none below `bound`. */
static int edit_group_find(struct edit *e, uint32_t uid, uint32_t bound)
{
    struct span k, value;
    struct key key;
    int rc;

    key_row(&key, e->mailbox, uid);
    rc = table_floor(e->txn, TABLE_CHUNK, &key, &k, &value);
    if (rc == ERR_NOT_FOUND ||
        (rc == 0 && (key_row_mailbox(k) != e->mailbox || key_row_uid(k) < bound))) {
        key_row(&key, e->mailbox, bound);
        rc = table_seek(e->txn, TABLE_CHUNK, &key, &k, &value);
        if (rc == 0 && key_row_mailbox(k) != e->mailbox)
            rc = ERR_NOT_FOUND;
    }
    if (rc)
        return rc;
    if (!group_valid(value) || group_count((const unsigned char *)value.p) > GROUP_MAX)
        return index_corrupt(e->txn);
    group_load(&e->group, e->mailbox, key_row_uid(k), value);
    e->group_changed = false;
    return 0;
}

static int edit_group(struct edit *e)
{
    struct group_work *g = &e->group;
    uint32_t i = 0, next;
    int rc = 0;

    e->seen_uid = entry_uid(group_work_at(g, g->count - 1));
    while (rc == 0 && i < g->count) {
        if (!edit_wants(e, entry_uid(group_work_at(g, i)), UINT32_MAX))
            break;
        if (!edit_wants(e, entry_uid(group_work_at(g, i)), entry_reach(g, i))) {
            i++;
            continue;
        }
        rc = edit_entry(e, i, &next);
        i = next;
    }
    if (rc == 0 && e->group_changed)
        rc = group_write(g, e->txn);
    return rc;
}

static int edit_all(struct edit *e)
{
    uint32_t bound = 0, last;
    int rc;

    while (edit_wants(e, bound, UINT32_MAX)) {
        rc = edit_group_find(e, e->uids ? MAX(bound, e->uids->v[e->range].lo) : bound, bound);
        if (rc)
            return rc == ERR_NOT_FOUND ? 0 : rc;
        last = entry_uid(group_work_at(&e->group, e->group.count - 1));
        rc = edit_group(e);
        if (rc)
            return rc;
        /* Blocks that were cut may have keys above the last one there was, but none above the last
         * row. */
        last = MAX(last, e->seen_uid);
        if (last == UINT32_MAX)
            return 0;
        bound = last + 1;
    }
    return 0;
}

int rows_edit(struct index_txn *txn, uint32_t mailbox, const struct ranges *uids, row_edit_fn *edit,
              void *ctx)
{
    struct edit *e = xmalloc(sizeof(*e)); /* big; what counts is set here and in edit_group_find */
    int rc;

    e->txn = txn;
    e->mailbox = mailbox;
    e->uids = uids;
    e->range = 0;
    e->fn = edit;
    e->ctx = ctx;
    e->seen_uid = 0;
    rc = edit_all(e);
    free(e);
    return rc;
}
