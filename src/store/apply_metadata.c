/* Metadata: values, what they take, and memory of those that were removed. */
#include "store/apply_int.h"

/* So many removed entries of one mailbox and owner are remembered: sessions that look now and then
 * are told, and names that come and go do not pile up. */
enum { REMOVED_MAX = 16 };

static uint64_t taken(const struct metadata_entry *e)
{
    return e->removed ? 0 : (uint64_t)e->name.n + e->value.n;
}

static int forget_oldest(struct apply *a, const struct metadata_entry *like)
{
    char name[METADATA_ENTRY_MAX];
    struct metadata_entry at = *like, oldest = {.modseq = UINT64_MAX};
    size_t n = 0;
    int rc;

    at.name = SPAN_EMPTY;
    while ((rc = index_metadata_seek(a->txn, like->mailbox, like->owner, at.name, at.name.n > 0,
                                     &at)) == 0) {
        if (at.mailbox != like->mailbox || !span_eq(at.owner, like->owner))
            break;
        if (at.removed && n++ == 0) {
            oldest = at;
        } else if (at.removed && at.modseq < oldest.modseq) {
            oldest = at;
        }
    }
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (n <= REMOVED_MAX)
        return 0;
    memcpy(name, oldest.name.p, oldest.name.n);
    oldest.name = span_make(name, oldest.name.n);
    oldest.owner = like->owner;
    return index_metadata_del(a->txn, &oldest);
}

int apply_metadata(struct apply *a, const struct metadata_entry *op)
{
    struct metadata_entry before = {.removed = true};
    struct mailbox_info m;
    uint64_t more;
    int rc = op->mailbox ? index_mailbox_edit(a->txn, op->mailbox, &m) : 0;

    if (rc)
        return apply_error(a, rc, "no such mailbox", op->mailbox);
    rc = index_metadata_get(a->txn, op->mailbox, op->owner, op->name, &before);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    more = taken(op) - taken(&before);
    rc = index_metadata_put(a->txn, op);
    if (rc == 0 && op->removed)
        rc = forget_oldest(a, op);
    if (rc)
        return apply_error(a, rc, "metadata", op->mailbox);
    apply_modseq(a, op->modseq);
    a->state.metadata_bytes += more;
    a->state.metadata_modseq = MAX(a->state.metadata_modseq, op->modseq);
    if (op->mailbox == 0)
        return 0;
    apply_quota_add(a, m.quota_root, QUOTA_ANNOTATION, more);
    m.metadata_bytes += more;
    m.metadata_modseq = MAX(m.metadata_modseq, op->modseq);
    return index_mailbox_put(a->txn, &m);
}

int apply_metadata_drop(struct apply *a, const struct mailbox_info *m)
{
    int rc;

    for (;;) {
        char owner[METADATA_OWNER_MAX], name[METADATA_ENTRY_MAX];
        struct metadata_entry e;

        rc = index_metadata_seek(a->txn, m->id, SPAN_EMPTY, SPAN_EMPTY, false, &e);
        if (rc || e.mailbox != m->id)
            break;
        if (e.owner.n > sizeof(owner) || e.name.n > sizeof(name))
            return ERR_CORRUPT;
        memcpy(owner, e.owner.p, e.owner.n);
        memcpy(name, e.name.p, e.name.n);
        e.owner.p = owner;
        e.name.p = name;
        rc = index_metadata_del(a->txn, &e);
        if (rc)
            return rc == ERR_NOT_FOUND ? ERR_CORRUPT : rc;
    }
    a->state.metadata_bytes -= m->metadata_bytes;
    apply_quota_add(a, m->quota_root, QUOTA_ANNOTATION, -m->metadata_bytes);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}
