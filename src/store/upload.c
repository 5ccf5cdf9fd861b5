#include "store/upload_int.h"

#include "base/crc32c.h"
#include "message/derived.h"
#include "message/mime.h"
#include "store/remote_int.h"
#include "store/store_int.h"

/* Together, the uploads of an account keep no more in memory; beyond it, they go to segments. */
enum { UPLOADS_MEMORY_MAX = 16 << 20 };

struct upload {
    struct list link; /* account.uploads */
    struct account *account;
    struct mime_parser *parser; /* until finished */
    struct buf bytes;           /* while in memory */
    struct buf derived;
    uint64_t size;
    uint32_t crc;
    int error;
    bool part;                     /* never finished: it is no message */
    bool header_8bit, header_over; /* of the message's own header, whoever parses it */
    unsigned char line_ends;       /* line feeds since the last other octet */
    bool finished;
    /* In a segment: being written (external), then waiting for its link. */
    struct log_external *external;
    bool syncing, synced;
    int spool;     /* of an upload to another process's account: the bytes; -1: in memory */
    bool forsaken; /* freed while a worker syncs it */
    int sync_error;
    uint64_t segment, offset;
};

struct upload *upload_new_part(struct account *account)
{
    struct upload *u = xnew(struct upload);
    u->account = account_ref(account);
    u->part = true;
    u->spool = -1;
    u->line_ends = 1; /* an empty line may be the first */
    buf_init(&u->bytes, BUF_UNLIMITED);
    buf_init(&u->derived, BUF_UNLIMITED);
    list_init(&u->link);
    list_push_back(&account->uploads, &u->link);
    return u;
}

struct upload *upload_new(struct account *account)
{
    struct upload *u = upload_new_part(account);
    u->part = false;
    if (!account->remote) /* its owner parses */
        u->parser = take_ptr(account->store->spare_parser);
    if (!u->parser && !account->remote)
        u->parser = mime_parser_new(NULL);
    return u;
}

static void parser_release(struct upload *u)
{
    struct store *store = u->account->store;
    if (!u->parser)
        return;
    if (!store->spare_parser) {
        mime_parser_reset(u->parser);
        store->spare_parser = take_ptr(u->parser);
    }
    mime_parser_free(take_ptr(u->parser));
}

static void bytes_release(struct upload *u)
{
    u->account->upload_bytes -= u->bytes.n;
    buf_done(&u->bytes);
}

/* An external segment keeps the log open. */
static void external_drop(struct upload *u)
{
    if (!u->external)
        return;
    log_external_abort(take_ptr(u->external));
    u->account->externals--;
    account_release(u->account);
}

void upload_free(struct upload *u)
{
    if (!u)
        return;
    if (u->syncing) { /* upload_synced comes back to it */
        u->forsaken = true;
        return;
    }
    parser_release(u);
    bytes_release(u);
    external_drop(u);
    if (u->spool >= 0)
        close(u->spool);
    buf_done(&u->derived);
    list_remove(&u->link);
    account_unref(u->account);
    free(u);
}

static int spill(struct upload *u)
{
    struct log *log;
    struct err err;
    int error = account_hold(u->account, NULL, &log);
    if (error)
        return error;
    error = log_external_begin(log, &u->external, &err);
    if (error == 0)
        error = log_external_write(u->external, buf_span(&u->bytes), &err);
    if (error && u->external)
        log_external_abort(take_ptr(u->external));
    if (error)
        account_release(u->account);
    else
        u->account->externals++;
    bytes_release(u);
    return error;
}

/* The same for another process's account: its owner gets the file with the request. */
static int spool(struct upload *u)
{
    int fd = remote_file_disk(u->account->store);
    int error = fd < 0 ? fd : remote_file_write(fd, buf_span(&u->bytes));
    if (error && fd >= 0)
        close(fd);
    else
        u->spool = fd;
    bytes_release(u);
    return error;
}

static int keep(struct upload *u, struct span bytes)
{
    struct account *a = u->account;
    if (!u->external && u->spool < 0 &&
        (bytes.n > UPLOAD_MEMORY_MAX - u->bytes.n ||
         bytes.n + a->upload_bytes > UPLOADS_MEMORY_MAX)) {
        int error = a->remote || u->part ? spool(u) : spill(u);
        if (error)
            return error;
    }
    if (u->spool >= 0)
        return remote_file_write(u->spool, bytes);
    if (u->external)
        return log_external_write(u->external, bytes, NULL);
    buf_put_span(&u->bytes, bytes);
    a->upload_bytes += bytes.n;
    return 0;
}

/* What the parser would tell of the header's octets. */
static void look_at_header(struct upload *u, struct span bytes)
{
    for (size_t i = 0; i < bytes.n && !u->header_over; i++) {
        unsigned char c = (unsigned char)bytes.p[i];
        u->header_8bit |= c >= 0x80;
        if (c != '\r')
            u->line_ends = c == '\n' ? u->line_ends + 1 : 0;
        u->header_over = u->line_ends == 2;
    }
}

int upload_write(struct upload *u, struct span bytes)
{
    if (u->finished && !u->error)
        u->error = ERR_INVALID;
    if (u->error || bytes.n == 0)
        return u->error;
    if (bytes.n > INDEX_NUMBER_MAX - u->size)
        return u->error = ERR_LIMIT;
    u->error = keep(u, bytes);
    if (u->error)
        return u->error;
    u->size += bytes.n;
    u->crc = crc32c(u->crc, bytes.p, bytes.n);
    if (u->parser)
        mime_parser_feed(u->parser, bytes);
    else
        look_at_header(u, bytes);
    return 0;
}

int upload_finish(struct upload *u)
{
    if (u->error || u->finished)
        return u->error;
    if (u->part)
        return 0;
    if (u->parser)
        mime_parser_finish(u->parser, &u->derived);
    parser_release(u);
    u->finished = true;
    return 0;
}

uint64_t upload_size(const struct upload *u)
{
    return u->size;
}

int upload_read(struct upload *u, uint64_t off, size_t n, struct buf *to)
{
    if (u->error || off > u->size || n > u->size - off)
        return u->error ? u->error : ERR_INVALID;
    if (u->external)
        return ERR_INVALID; /* a whole message: not to be read again */
    if (u->spool < 0) {
        buf_put(to, u->bytes.p + off, n);
        return 0;
    }
    ssize_t got = pread(u->spool, buf_reserve(to, n), n, (off_t)off);
    if (got < 0 || (size_t)got != n)
        return u->error = ERR_IO;
    buf_commit(to, n);
    return 0;
}

bool upload_has_8bit_header(const struct upload *u)
{
    struct derived_info info;
    return u->header_8bit ||
           (derived_info(buf_span(&u->derived), &info) == 0 && info.has_8bit_header);
}

/* --- for the writer --- */

bool upload_ready(const struct upload *u)
{
    return u->finished && !u->error && (!u->external || u->synced);
}

int upload_error(const struct upload *u)
{
    return u->error ? u->error : ERR_INVALID;
}

bool upload_needs_sync(const struct upload *u)
{
    return u->finished && !u->error && u->external && !u->synced;
}

void upload_sync(struct upload *u)
{
    u->sync_error = log_external_sync_run(u->external);
}

void upload_synced(struct upload *u)
{
    u->syncing = false;
    /* A sync is never repeated on the same descriptor: its bytes may be gone. */
    if (u->sync_error && !u->error)
        u->error = u->sync_error;
    u->synced = u->error == 0;
    if (u->forsaken)
        upload_free(u);
}

void upload_syncing(struct upload *u)
{
    u->syncing = true;
}

void upload_body(const struct upload *u, struct op_body *ret)
{
    *ret = (struct op_body){.payload = {.length = u->size, .crc = u->crc}};
    if (u->external) {
        ret->external = true;
        log_external_where(u->external, &ret->segment, &ret->payload.offset);
    }
}

struct span upload_bytes(const struct upload *u)
{
    return buf_span(&u->bytes);
}

struct span upload_derived(const struct upload *u)
{
    return buf_span(&u->derived);
}

int upload_spool(const struct upload *u)
{
    return u->spool;
}

void upload_linked(struct upload *u)
{
    if (!u->external)
        return;
    log_external_finish(take_ptr(u->external), &u->segment, &u->offset);
    u->account->externals--;
    account_release(u->account);
}

void uploads_abort(struct account *a)
{
    struct upload *u;
    list_each(u, &a->uploads, link)
    {
        if (!u->external)
            continue;
        external_drop(u);
        u->error = ERR_CLOSED;
    }
}

void uploads_in_flight(const struct account *a, struct ranges *to)
{
    struct upload *u;
    list_each(u, &a->uploads, link)
    {
        uint64_t segment, offset;
        if (!u->external)
            continue;
        log_external_where(u->external, &segment, &offset);
        ranges_add(to, (uint32_t)segment, (uint32_t)segment);
    }
}
