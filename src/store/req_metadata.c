/* SETMETADATA (RFC 5464 section 4.3): all entries or none. */
#include "store/eval.h"
#include "store/metadata.h"

static bool allowed(const struct metadata_change *c)
{
    return c->owner.n <= METADATA_OWNER_MAX && c->name.n > 0 && c->name.n <= METADATA_ENTRY_MAX &&
           c->value.n <= METADATA_VALUE_MAX &&
           (c->owner.n == 0 || !memchr(c->owner.p, 0, c->owner.n));
}

/* Entries with a value that an owner has in the mailbox. */
static int count(struct eval *e, uint32_t mailbox, struct span owner, uint32_t *ret)
{
    struct metadata_entry at = {.name = SPAN_EMPTY};
    uint32_t n = 0;
    int rc;
    while ((rc = snap_metadata_seek(e->snap, mailbox, owner, at.name, at.name.n > 0, &at)) == 0)
        n += !at.removed;
    if (rc == ERR_NOT_FOUND)
        *ret = n;
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* Later changes of the same entry win, as if they came one after the other. */
static bool overridden(const struct request *r, size_t i)
{
    for (size_t k = i + 1; k < r->entry_count; k++)
        if (span_eq(r->entries[k].owner, r->entries[i].owner) &&
            span_eq(r->entries[k].name, r->entries[i].name))
            return true;
    return false;
}

struct sums {
    uint64_t added, freed; /* octets */
    uint32_t shared, own;  /* entries more */
};

static int put_change(struct eval *e, uint32_t mailbox, const struct metadata_change *c,
                      struct sums *sums)
{
    struct span old;
    int rc = snap_metadata(e->snap, mailbox, c->owner, c->name, &old);
    bool had = rc == 0;
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    if (c->remove ? !had : had && span_eq(old, c->value))
        return 0;
    sums->freed += had ? c->name.n + old.n : 0;
    sums->added += c->remove ? 0 : c->name.n + c->value.n;
    uint32_t *n = c->owner.n ? &sums->own : &sums->shared;
    *n += (uint32_t)!had;
    *n -= (uint32_t)c->remove;
    struct op op = {.kind = OP_METADATA,
                    .metadata = {.mailbox = mailbox,
                                 .owner = c->owner,
                                 .name = c->name,
                                 .value = c->remove ? SPAN_EMPTY : c->value,
                                 .modseq = e->modseq,
                                 .removed = c->remove}};
    op_put(e->ops, &op);
    e->r->result.modseq = e->modseq;
    return 0;
}

/* `sums` may be negative modulo 2^32. */
static int check_count(struct eval *e, uint32_t mailbox, struct span owner, uint32_t more)
{
    uint32_t now = 0;
    if (more == 0 || more > INT32_MAX)
        return 0;
    int rc = count(e, mailbox, owner, &now);
    if (rc == 0 && (now > e->r->entries_max || more > e->r->entries_max - now))
        rc = ERR_LIMIT;
    return rc;
}

static int put_special_use(struct eval *e, const struct mailbox_info *m)
{
    const struct request *r = e->r;
    if (!r->sets_special_use || r->special_use == m->special_use)
        return 0;
    if (m->id == 0)
        return ERR_INVALID;
    struct op op = {.kind = OP_SPECIAL_USE, .special_use = {m->id, e->modseq, r->special_use}};
    op_put(e->ops, &op);
    e->r->result.modseq = e->modseq;
    return 0;
}

int eval_metadata(struct eval *e)
{
    const struct request *r = e->r;
    struct mailbox_info m = {.id = 0};
    struct span owner = SPAN_EMPTY;
    struct sums sums = {0};
    int rc = r->name.n ? eval_name(&e->name, r->name) : 0;
    if (rc == 0 && r->name.n)
        rc = snap_mailbox_find(e->snap, buf_span(&e->name), &m);
    if (rc == 0 && e->space_low)
        rc = ERR_NO_SPACE;
    for (size_t i = 0; rc == 0 && i < r->entry_count; i++) {
        if (!allowed(&r->entries[i]))
            return ERR_INVALID;
        if (r->entries[i].owner.n)
            owner = r->entries[i].owner;
        if (!overridden(r, i))
            rc = put_change(e, m.id, &r->entries[i], &sums);
    }
    if (rc == 0)
        rc = check_count(e, m.id, SPAN_EMPTY, sums.shared);
    if (rc == 0)
        rc = check_count(e, m.id, owner, sums.own);
    if (rc == 0 && sums.added > sums.freed)
        rc = eval_room(e, m.quota_root,
                       (uint64_t[QUOTA_RESOURCES]){[QUOTA_ANNOTATION] = sums.added - sums.freed});
    if (rc == 0)
        rc = put_special_use(e, &m);
    if (rc == 0 && r->result.modseq)
        eval_touch(e, m.id);
    return rc;
}

int eval_metadata_copy(struct eval *e, uint32_t from, uint32_t to, uint32_t root)
{
    struct metadata_entry at = {.mailbox = from};
    uint64_t taken = 0;
    int rc = index_metadata_seek(e->txn, from, SPAN_EMPTY, SPAN_EMPTY, false, &at);
    while (rc == 0 && at.mailbox == from) {
        struct op op = {.kind = OP_METADATA, .metadata = at};
        op.metadata.mailbox = to;
        op.metadata.modseq = e->modseq;
        if (!at.removed) {
            op_put(e->ops, &op);
            taken += at.name.n + at.value.n;
        }
        rc = index_metadata_seek(e->txn, at.mailbox, at.owner, at.name, true, &at);
    }
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    return eval_room(e, root, (uint64_t[QUOTA_RESOURCES]){[QUOTA_ANNOTATION] = taken});
}
