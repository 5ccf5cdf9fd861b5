/* imap/cmd_status.c: STATUS (RFC 9051 section 6.3.11). All from the mailbox's counters. */
#include "imap/commands.h"
#include "imap/list.h"
#include "imap/place.h"

int put_status_line(struct session *s, struct snap *snap, struct buf *b, struct span prefix,
                    const struct mailbox_info *info, uint32_t items)
{
    uint32_t old = 0;
    if ((items & STATUS_RECENT) && info->recent_uid) {
        int rc = snap_count_upto(snap, info->id, info->recent_uid, &old);
        if (rc)
            return rc;
    }
    uint32_t unseen = 0;
    if (items & STATUS_UNSEEN) {
        int rc = snap_unseen(snap, info, &unseen);
        if (rc)
            return rc;
    }
    const struct {
        uint32_t item;
        const char *name;
        uint64_t value;
    } values[] = {
        {STATUS_MESSAGES, "MESSAGES", info->exists},
        {STATUS_RECENT, "RECENT", info->exists - old},
        {STATUS_UIDNEXT, "UIDNEXT", info->uidnext},
        {STATUS_UIDVALIDITY, "UIDVALIDITY", info->uidvalidity},
        {STATUS_UNSEEN, "UNSEEN", unseen},
        {STATUS_DELETED, "DELETED", info->deleted},
        {STATUS_DELETED_STORAGE, "DELETED-STORAGE", info->deleted_bytes},
        {STATUS_SIZE, "SIZE", info->bytes},
        {STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ", info->highest_modseq},
        {STATUS_APPENDLIMIT, "APPENDLIMIT", s->host->settings.frame.max_streamed_literal},
    };
    bool first = true;
    buf_put_lit(b, "* STATUS ");
    put_mailbox_name(s, b, prefix, info->name);
    buf_put_lit(b, " (");
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        if (!(items & values[i].item))
            continue;
        if (!first)
            buf_put_byte(b, ' ');
        first = false;
        buf_put_str(b, values[i].name);
        buf_put_byte(b, ' ');
        buf_put_u64(b, values[i].value);
    }
    if (items & STATUS_MAILBOXID) {
        if (!first)
            buf_put_byte(b, ' ');
        put_mailbox_id(b, info);
    }
    buf_put_lit(b, ")\r\n");
    return 0;
}

enum step cmd_status(struct task *t)
{
    struct session *s = t->session;
    struct place place;
    enum step step;
    struct mailbox_info info;
    autosnap *snap = NULL;
    if (!task_place(t, t->command->status.name, false, &place, &step))
        return step;
    int rc = snap_begin_as(place.account, session_eyes(s, place.account), &snap);
    if (rc == 0)
        rc = place_mailbox(s, snap, &place, RIGHT_READ, &info, NULL);
    if (rc == ERR_DENIED)
        return task_no_permission(t);
    if (rc == 0) {
        if (t->command->status.items & STATUS_HIGHESTMODSEQ)
            condstore_enable(s);
        struct buf *b = respond_begin(s);
        rc = put_status_line(s, snap, b, place.prefix, &info, t->command->status.items);
        respond_end(s);
    }
    return rc ? task_store_failed(t, rc, false) : task_ok(t, NULL, "STATUS completed");
}
