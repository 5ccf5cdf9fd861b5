#include "store/metadata.h"

#include "index/tables.h"
#include "store/snapshot_int.h"

int snap_metadata(struct snap *snap, uint32_t mailbox, struct span owner, struct span name,
                  struct span *ret_value)
{
    struct metadata_entry e;
    int rc = index_metadata_get(snap->txn, mailbox, owner, name, &e);
    if (rc == 0 && e.removed)
        rc = ERR_NOT_FOUND;
    if (rc == 0)
        *ret_value = e.value;
    return rc;
}

int snap_metadata_seek(struct snap *snap, uint32_t mailbox, struct span owner, struct span from,
                       bool after, struct metadata_entry *ret)
{
    struct metadata_entry e;
    int rc = index_metadata_seek(snap->txn, mailbox, owner, from, after, &e);
    if (rc == 0 && (e.mailbox != mailbox || !span_eq(e.owner, owner)))
        rc = ERR_NOT_FOUND;
    if (rc == 0)
        *ret = e;
    return rc;
}

uint64_t snap_metadata_modseq(struct snap *snap)
{
    struct index_state state;
    return index_state_get(snap->txn, &state) == 0 ? state.metadata_modseq : 0;
}

int snap_metadata_changed(struct snap *snap, uint32_t from, uint64_t since,
                          struct mailbox_info *ret)
{
    int rc;
    while ((rc = index_mailbox_seek(snap->txn, from, ret)) == 0 && ret->metadata_modseq <= since) {
        if (ret->id == UINT32_MAX)
            return ERR_NOT_FOUND;
        from = ret->id + 1;
    }
    return rc;
}
