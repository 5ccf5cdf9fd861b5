/* Operations applied to an account with some mailboxes and messages. The first octet chooses: 1
 * lenient, 2 a base into an empty index, 4 mailboxes are watched. Whatever the operations say,
 * apply must not crash, not declare the index broken, and leave counters and rows that agree. */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "index/tables.h"
#include "store/apply.h"
#include "store/recover.h"
#include "store/snapshot.h"

static struct index *full, *empty;

static struct index *index_make(void)
{
    char dir[] = "/tmp/martlet-fuzz-apply-XXXXXX";
    enum index_trust trust;
    struct index *index;

    invariant(mkdtemp(dir));
    invariant(index_open(dir, true, &trust, &index, NULL) == 0);
    return index;
}

static void index_remove(struct index *index)
{
    autofree char *path = xstrndup(index_dir(index), strlen(index_dir(index)));
    DIR *d;
    struct dirent *e;

    index_close(index);
    d = opendir(path);
    while (d && (e = readdir(d)) != NULL)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    rmdir(path);
}

static void remove_all(void)
{
    index_remove(full);
    index_remove(empty);
}

static void put_message(struct buf *ops, uint32_t mailbox, uint32_t uid, uint64_t id)
{
    static const unsigned char keywords[] = {1, 0, 2, 0};
    struct op op = {.kind = OP_APPEND,
                    .append = {.mailbox = mailbox,
                               .uid = uid,
                               .message_id = id,
                               .modseq = 4,
                               .flags = (uint16_t)(uid % 32),
                               .keyword_count = (uint16_t)(uid % 3),
                               .keywords = keywords,
                               .size = uid,
                               .body.payload.length = uid}};

    op_put(ops, &op);
}

static void fill(void)
{
    struct log_frame frame = {
        .seq = 1, .type = FRAME_CHANGE, .version = FRAME_VERSION, .payload_length = 1000};
    autobuf ops = BUF_INIT(BUF_UNLIMITED);
    struct index_txn *txn;
    char name[2] = "a";

    for (uint32_t id = 1; id <= 3; id++, name[0]++) {
        struct op op = {
            .kind = OP_MAILBOX_CREATE,
            .mailbox_create = {.mailbox = id, .modseq = id, .uidvalidity = id, .name = {name, 1}}};

        op_put(&ops, &op);
    }
    for (uint16_t id = 1; id <= 2; id++) {
        struct op op = {.kind = OP_KEYWORD, .keyword = {id, {id == 1 ? "x" : "y", 1}}};

        op_put(&ops, &op);
    }
    for (uint32_t uid = 1; uid <= 120; uid++)
        put_message(&ops, 1, uid, uid);
    for (uint32_t uid = 10; uid <= 20; uid += 2)
        put_message(&ops, 2, uid, 200 + uid);
    invariant(index_write_begin(full, &txn) == 0);
    invariant(apply_frame(txn, NULL, &frame, buf_span(&ops), NULL) == 0);
    invariant(index_write_commit(txn) == 0);
}

static bool watched(void *ctx, uint32_t mailbox)
{
    (void)ctx;
    return mailbox % 2 == 1;
}

/* Counters against rows. */
static void check_mailbox(struct index_txn *txn, const struct mailbox_info *m)
{
    uint32_t exists = 0, unseen = 0, deleted = 0;
    uint64_t bytes = 0;
    struct index_message message;
    struct row_iter it;
    struct row r;
    struct err err;

    invariant(rows_verify(txn, m->id, &err) == 0);
    invariant(rows_begin(&it, txn, m->id) == 0);
    for (int rc = rows_seek(&it, 1, &r); rc == 0; rc = rows_next(&it, &r)) {
        exists++;
        unseen += !(r.flags & FLAG_SEEN);
        deleted += r.flags & FLAG_DELETED ? 1 : 0;
        bytes += r.size;
        invariant(r.uid < m->uidnext);
        invariant(index_message_get(txn, r.message_id, &message) == 0 && message.refs > 0);
    }
    rows_end(&it);
    invariant(exists == m->exists && unseen == m->unseen && deleted == m->deleted &&
              bytes == m->bytes);
}

static void check(struct index_txn *txn)
{
    uint64_t hash[2];
    struct mailbox_info m;
    int rc = index_mailbox_seek(txn, 1, &m);

    while (rc == 0) {
        uint32_t id = m.id;

        check_mailbox(txn, &m);
        rc = id == UINT32_MAX ? ERR_NOT_FOUND : index_mailbox_seek(txn, id + 1, &m);
    }
    invariant(rc == ERR_NOT_FOUND);
    invariant(index_dump(txn, NULL, hash) == 0);
    invariant(ghosts_purge(txn, 0, UINT64_MAX, NULL) == 0);
    invariant(!ghosts_any(txn));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct apply_options options = {0};
    struct log_frame frame = {
        .seq = 2, .type = FRAME_CHANGE, .version = FRAME_VERSION, .payload_length = 5000};
    struct index_txn *txn;
    struct index *index;
    struct err err = {0};
    int rc;

    if (!full) {
        full = index_make();
        empty = index_make();
        fill();
        atexit(remove_all);
    }
    if (n == 0)
        return 0;
    options.lenient = data[0] & 1;
    options.watched = data[0] & 4 ? watched : NULL;
    if (data[0] & 2) {
        frame.type = FRAME_BASE;
        frame.base = true;
    }
    index = frame.base ? empty : full;
    invariant(index_write_begin(index, &txn) == 0);
    rc = apply_frame(txn, &options, &frame, span_make(data + 1, n - 1), &err);
    if (rc == 0)
        check(txn);
    else
        invariant(rc == ERR_CORRUPT || rc == ERR_VERSION || rc == ERR_LIMIT || rc == ERR_INVALID);
    index_write_abort(txn);
    invariant(index_failed(index) == 0);
    return 0;
}
