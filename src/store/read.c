/* Reading message bytes, derived records on demand, claims of recent messages. */
#include "base/crc32c.h"
#include "message/mime.h"
#include "store/remote_int.h"
#include "store/store_int.h"

enum { DERIVE_CHUNK = 256 << 10 };

int account_read(struct account *account, const struct message_location *where, uint64_t off,
                 size_t n, struct buf *to)
{
    struct log *log;
    if (off >= where->length)
        return 0;
    if (n > where->length - off)
        n = (size_t)(where->length - off);
    int error = account_hold(account, NULL, &log);
    if (error)
        return error;
    size_t before = to->n;
    error = log_read(log, where->segment, where->offset + off, n, to, NULL);
    account_release(account);
    /* A whole message can be compared with its checksum; parts are trusted. */
    if (error == 0 && n == where->length && crc32c(0, to->p + before, n) != where->crc)
        error = ERR_CORRUPT;
    if (error && to->n > before)
        buf_truncate(to, before);
    return error;
}

struct message_fd {
    struct log_fd *fd;
};

int account_message_fd(struct account *account, const struct message_location *where,
                       struct message_fd **ret, int *ret_fd, uint64_t *ret_off)
{
    struct log *log;
    struct log_fd *fd;
    int error = account_hold(account, NULL, &log);
    if (error)
        return error;
    error = log_segment_fd(log, where->segment, &fd, ret_fd, NULL);
    account_release(account);
    if (error)
        return error;
    *ret = xnew(struct message_fd);
    (*ret)->fd = fd;
    *ret_off = where->offset;
    return 0;
}

void message_fd_release(struct message_fd *fd)
{
    if (!fd)
        return;
    log_fd_release(fd->fd);
    free(fd);
}

/* --- derived records --- */

static int parse_stored(struct account *a, const struct message_location *where, struct buf *ret)
{
    struct mime_parser *p = mime_parser_new(NULL);
    autobuf chunk = BUF_INIT(BUF_UNLIMITED);
    uint32_t crc = 0;
    int error = 0;
    for (uint64_t off = 0; off < where->length && error == 0; off += chunk.n) {
        struct message_location part = *where;
        buf_reset(&chunk);
        error = account_read(a, &part, off, DERIVE_CHUNK, &chunk);
        crc = crc32c(crc, chunk.p, chunk.n);
        mime_parser_feed(p, buf_span(&chunk));
    }
    if (error == 0 && crc != where->crc)
        error = ERR_CORRUPT;
    if (error == 0)
        mime_parser_finish(p, ret);
    mime_parser_free(p);
    return error;
}

struct keeping {
    struct request r;
    struct account *account;
    char *bytes;
};

static void kept(struct request *r)
{
    struct keeping *k = container_of(r, struct keeping, r);
    account_unref(k->account);
    request_result_done(r);
    free(k->bytes);
    free(k);
}

int account_derive(struct account *account, uint64_t message_id, struct buf *ret)
{
    struct snap *snap;
    struct message_location where;
    int error = snap_begin(account, &snap);
    if (error)
        return error;
    error = snap_message(snap, message_id, &where);
    snap_end(snap);
    if (error)
        return error;
    size_t before = ret->n;
    error = parse_stored(account, &where, ret);
    if (error)
        return error;
    struct keeping *k = xnew(struct keeping);
    request_init(&k->r, REQUEST_DERIVED, kept, NULL);
    k->account = account_ref(account);
    k->bytes = xstrndup(ret->p + before, ret->n - before);
    k->r.message_id = message_id;
    k->r.derived = span_make(k->bytes, ret->n - before);
    account_submit(account, &k->r);
    return 0;
}

/* --- \Recent --- */

static struct recent_claim *claim_find(struct account *a, uint32_t mailbox)
{
    struct recent_claim *c = (struct recent_claim *)(void *)a->recents.p;
    for (size_t i = 0; i < a->recents.n / sizeof(*c); i++)
        if (c[i].mailbox == mailbox)
            return &c[i];
    return NULL;
}

int account_claim_recent(struct account *account, uint32_t mailbox, uint32_t uidnext,
                         uint32_t *ret_lo)
{
    struct snap *snap;
    struct mailbox_info info;
    int error = snap_begin(account, &snap);
    if (error)
        return error;
    error = snap_mailbox(snap, mailbox, &info);
    uint32_t claimed = error ? 0 : info.recent_uid;
    snap_end(snap);
    if (error)
        return error;
    struct recent_claim *c = claim_find(account, mailbox);
    if (c)
        claimed = MAX(claimed, c->recent_uid);
    *ret_lo = claimed + 1;
    if (claimed + 1 >= uidnext)
        return 0;
    if (c)
        c->recent_uid = uidnext - 1;
    else
        buf_put(&account->recents, &(struct recent_claim){mailbox, uidnext - 1}, sizeof(*c));
    if (account->remote)
        remote_claim_recent(account, mailbox, uidnext - 1);
    return 0;
}
