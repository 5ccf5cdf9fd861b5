/* Reading an account: the public functions over the tables of the index. */
#include "store/snapshot.h"

#include "index/tables.h"
#include "message/derived.h"
#include "store/apply.h"
#include "store/rights.h"
#include "store/snapshot_int.h"

struct snap *snap_of_txn(struct index_txn *txn)
{
    struct snap *s = index_txn_room(txn);

    s->txn = txn;
    return s;
}

uint64_t snap_modseq(const struct snap *snap)
{
    struct index_state state;

    return index_state_get(snap->txn, &state) == 0 ? state.modseq : 0;
}

/* --- mailboxes --- */

int snap_mailbox(struct snap *snap, uint32_t id, struct mailbox_info *ret)
{
    return index_mailbox_get(snap->txn, id, true, ret);
}

int snap_mailbox_find(struct snap *snap, struct span name, struct mailbox_info *ret)
{
    struct index_name entry;
    int rc = index_name_get(snap->txn, name, &entry);

    if (rc == 0 && entry.id == 0)
        rc = ERR_NOT_FOUND;
    return rc ? rc : snap_mailbox(snap, entry.id, ret);
}

int snap_url_key(struct snap *snap, const unsigned char object_id[16], unsigned char ret[32])
{
    return index_url_key_get(snap->txn, object_id, ret);
}

int snap_name_seek(struct snap *snap, struct span from, bool after, struct mailbox_name *ret)
{
    struct index_name entry;
    int rc = index_name_seek(snap->txn, from, after, &entry);

    if (rc == 0)
        *ret = (struct mailbox_name){entry.name, entry.id, entry.subscribed};
    return rc;
}

bool snap_has_children(struct snap *snap, struct span name)
{
    char prefix[MAILBOX_NAME_MAX + 1];
    struct index_name entry;
    struct span below;
    int rc;

    if (name.n > MAILBOX_NAME_MAX)
        return false;
    memcpy(prefix, name.p, name.n);
    prefix[name.n] = MAILBOX_DELIMITER;
    below = span_make(prefix, name.n + 1);
    rc = index_name_seek(snap->txn, below, false, &entry);
    while (rc == 0 && span_starts(entry.name, below)) {
        if (entry.id != 0)
            return true;
        rc = index_name_seek(snap->txn, entry.name, true, &entry);
    }
    return false;
}

/* --- keywords --- */

int snap_keyword(struct snap *snap, uint16_t id, struct span *ret_name)
{
    return index_keyword_name(snap->txn, id, ret_name);
}

int snap_keyword_find(struct snap *snap, struct span name, uint16_t *ret_id)
{
    return index_keyword_id(snap->txn, name, ret_id);
}

/* --- messages --- */

void snap_eyes_done(struct snap_eyes *eyes)
{
    ranges_done(&eyes->seen);
}

static int eyes_open(struct snap *snap, uint32_t mailbox, const struct ranges **ret)
{
    struct snap_eyes *eyes = snap->eyes;
    int rc = 0;

    *ret = NULL;
    if (!eyes)
        return 0;
    if (eyes->mailbox != mailbox)
        rc = index_seen_get(snap->txn, mailbox, eyes->user, &eyes->seen);
    eyes->mailbox = rc ? 0 : mailbox;
    *ret = &eyes->seen;
    return rc;
}

static void look(const struct ranges *seen, struct row *row)
{
    if (!seen)
        return;
    row->flags &= (uint16_t)~FLAG_SEEN;
    if (ranges_has(seen, row->uid))
        row->flags |= FLAG_SEEN;
}

int snap_unseen(struct snap *snap, const struct mailbox_info *info, uint32_t *ret)
{
    const struct ranges *seen;
    uint32_t unseen = info->exists, below, upto;
    int rc = eyes_open(snap, info->id, &seen);

    if (rc == 0 && !seen)
        unseen = info->unseen;
    for (size_t i = 0; rc == 0 && seen && i < seen->n; i++) {
        rc = rows_count_upto(snap->txn, info->id, seen->v[i].lo - 1, &below);
        if (rc == 0)
            rc = rows_count_upto(snap->txn, info->id, seen->v[i].hi, &upto);
        if (rc == 0)
            unseen -= upto - below;
    }
    if (rc == 0)
        *ret = unseen;
    return rc;
}

/* With whose eyes: one mailbox at a time; the cursors of a snapshot must be of the same one. */
struct row_cursor {
    struct row_iter it;
    const struct ranges *seen; /* NULL: the row's flag counts */
};

int row_cursor_open(struct snap *snap, uint32_t mailbox, struct row_cursor **ret)
{
    struct row_cursor *c = xmalloc(sizeof(*c));
    int rc = eyes_open(snap, mailbox, &c->seen);

    if (rc == 0)
        rc = rows_begin(&c->it, snap->txn, mailbox);
    if (rc) {
        free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

void row_cursor_close(struct row_cursor *c)
{
    if (!c)
        return;
    rows_end(&c->it);
    free(c);
}

int row_cursor_seek(struct row_cursor *c, uint32_t uid, struct row *ret)
{
    int rc = rows_seek(&c->it, uid, ret);

    if (rc == 0)
        look(c->seen, ret);
    return rc;
}

int row_cursor_next(struct row_cursor *c, struct row *ret)
{
    int rc = rows_next(&c->it, ret);

    if (rc == 0)
        look(c->seen, ret);
    return rc;
}

int snap_row(struct snap *snap, uint32_t mailbox, uint32_t uid, struct row *ret)
{
    const struct ranges *seen;
    int rc = eyes_open(snap, mailbox, &seen);

    if (rc == 0)
        rc = rows_get(snap->txn, mailbox, uid, ret);
    if (rc == 0)
        look(seen, ret);
    return rc;
}

int snap_ghost(struct snap *snap, uint32_t mailbox, uint32_t uid, struct row *ret)
{
    const struct ranges *seen;
    int rc = eyes_open(snap, mailbox, &seen);

    if (rc == 0)
        rc = index_ghost_get(snap->txn, mailbox, uid, ret);
    if (rc == 0)
        look(seen, ret);
    return rc;
}

int snap_count_upto(struct snap *snap, uint32_t mailbox, uint32_t uid, uint32_t *ret)
{
    return rows_count_upto(snap->txn, mailbox, uid, ret);
}

int snap_uid_at(struct snap *snap, uint32_t mailbox, uint32_t n, uint32_t *ret_uid)
{
    return rows_uid_at(snap->txn, mailbox, n, ret_uid);
}

int snap_message(struct snap *snap, uint64_t message_id, struct message_location *ret)
{
    struct index_message m;
    int rc = index_message_get(snap->txn, message_id, &m);

    if (rc == 0)
        *ret = m.where;
    return rc;
}

int snap_derived(struct snap *snap, uint64_t message_id, struct span *ret)
{
    struct span record;
    int rc = index_derived_get(snap->txn, message_id, &record);

    if (rc == 0 && !derived_usable(record))
        rc = ERR_NOT_FOUND;
    if (rc == 0)
        *ret = record;
    return rc;
}

/* --- changes --- */

void changes_done(struct changes *c)
{
    ranges_done(&c->changed);
    ranges_done(&c->expunged);
}

static int expunged_since(struct index_txn *txn, uint32_t mailbox, uint64_t since,
                          struct ranges *ret)
{
    struct index_gone gone;
    int rc = index_gone_seek(txn, mailbox, since, &gone);

    while (rc == 0) {
        rc = index_gone_uids(txn, &gone, ret);
        if (rc == 0)
            rc = index_gone_next(txn, mailbox, &gone);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int snap_changes(struct snap *snap, uint32_t mailbox, uint64_t since, struct changes *ret)
{
    struct mailbox_info m;
    int rc = index_mailbox_get(snap->txn, mailbox, false, &m);

    ranges_reset(&ret->changed);
    ranges_reset(&ret->expunged);
    ret->complete = true;
    ret->gone = rc == ERR_NOT_FOUND;
    if (rc)
        return ret->gone ? 0 : rc;
    ret->modseq = m.highest_modseq;
    ret->uidnext = m.uidnext;
    ret->exists = m.exists;
    ret->complete = since >= m.forgotten_modseq;
    if (since >= m.highest_modseq)
        return 0;
    rc = rows_changed(snap->txn, mailbox, since, &ret->changed);
    return rc ? rc : expunged_since(snap->txn, mailbox, since, &ret->expunged);
}

int snap_acl(struct snap *snap, uint32_t mailbox, struct span from, struct acl_entry *ret)
{
    struct index_acl a;
    int rc = index_acl_seek(snap->txn, mailbox, from, &a);
    if (rc == 0)
        *ret = (struct acl_entry){a.identifier, a.rights};
    return rc;
}

int snap_rights(struct snap *snap, uint32_t mailbox, const struct identity *who, uint32_t *ret)
{
    struct rights_sum sum = {0, 0};
    struct acl_entry a = {SPAN_EMPTY, 0};
    int rc;
    while ((rc = snap_acl(snap, mailbox, a.identifier, &a)) == 0)
        rights_add(&sum, who, a.identifier, a.rights);
    if (rc != ERR_NOT_FOUND)
        return rc;
    *ret = rights_of(&sum);
    return 0;
}
