#include "explore.h"

#include <ftw.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "index/tables.h"
#include "store/maintain.h"
#include "store/metadata.h"
#include "store/quota.h"
#include "store/rights.h"
#include "store/snapshot_int.h"
#include "store/transfer.h"

uint32_t explore_draw(uint64_t *rng, uint32_t n)
{
    *rng = *rng * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(*rng >> 33) % n;
}

/* --- what the account looks like --- */

static void put_content(struct fixture *f, struct snap *snap, uint64_t id, struct buf *to)
{
    struct message_location where;
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    assert_int_equal(snap_message(snap, id, &where), 0);
    assert_int_equal(account_read(f->account, &where, 0, UINT32_MAX, &text), 0);
    buf_printf(to, "=%08x/%zu", crc32c(0, text.p, text.n), text.n);
}

static void put_row(struct fixture *f, struct snap *snap, const struct row *row, struct buf *to)
{
    buf_printf(to, " %u:%x", row->uid, row->flags);
    for (size_t i = 0; i < row->keyword_count; i++) {
        struct span name;
        assert_int_equal(snap_keyword(snap, row_keyword(row, i), &name), 0);
        buf_printf(to, "," SPAN_FMT, SPAN_ARG(name));
    }
    buf_printf(to, "@%llu", (unsigned long long)row->modseq);
    put_content(f, snap, row->message_id, to);
}

static const char *const OWNERS[] = {"", "ann"};
static const char *const IDENTIFIERS[] = {"anyone", "bob", "-bob", "group:staff"};
static const char *const ENTRIES[] = {"/shared/comment", "/private/x", "/private/y"};
static const char *const ROOTS[] = {"", "archive"};
enum { IDS = 4 }; /* of deliveries and of transfers */

static void put_rights(struct snap *snap, uint32_t mailbox, struct buf *to)
{
    struct acl_entry e = {SPAN_EMPTY, 0};
    int rc;
    while ((rc = snap_acl(snap, mailbox, e.identifier, &e)) == 0)
        buf_printf(to, " " SPAN_FMT "=%x", SPAN_ARG(e.identifier), e.rights);
    assert_int_equal(rc, ERR_NOT_FOUND);
}

static void put_metadata(struct snap *snap, uint32_t mailbox, struct buf *to)
{
    for (size_t i = 0; i < ARRAY_LEN(OWNERS); i++) {
        struct metadata_entry e = {.name = SPAN_EMPTY};
        int rc;
        while ((rc = snap_metadata_seek(snap, mailbox, span_str(OWNERS[i]), e.name, true, &e)) == 0)
            if (!e.removed)
                buf_printf(to, " " SPAN_FMT ":" SPAN_FMT "=" SPAN_FMT "@%llu", SPAN_ARG(e.owner),
                           SPAN_ARG(e.name), SPAN_ARG(e.value), (unsigned long long)e.modseq);
        assert_int_equal(rc, ERR_NOT_FOUND);
    }
}

/* What others than the owner have seen. */
static void put_seen(struct snap *snap, uint32_t mailbox, struct buf *to)
{
    struct span user = SPAN_EMPTY;
    int rc;
    while ((rc = index_seen_seek(snap->txn, mailbox, user, &user)) == 0) {
        autoranges uids = RANGES_INIT;
        assert_int_equal(index_seen_get(snap->txn, mailbox, user, &uids), 0);
        buf_printf(to, " " SPAN_FMT " saw ", SPAN_ARG(user));
        ranges_put_text(to, &uids);
    }
    assert_int_equal(rc, ERR_NOT_FOUND);
}

static void put_url_key(struct snap *snap, const struct mailbox_info *info, struct buf *to)
{
    unsigned char key[32];
    int rc = snap_url_key(snap, info->object_id, key);
    assert_true(rc == 0 || rc == ERR_NOT_FOUND);
    if (rc == 0)
        buf_printf(to, " key %08x", crc32c(0, key, sizeof(key)));
}

static void put_quotas(struct fixture *f, struct snap *snap, struct buf *to)
{
    struct quota_use q;
    int rc = snap_quota_seek(snap, f->account, 0, &q);
    for (; rc == 0; rc = snap_quota_seek(snap, f->account, q.root + 1, &q)) {
        buf_printf(to, "quota %u " SPAN_FMT, q.root, SPAN_ARG(q.name));
        for (size_t i = 0; i < QUOTA_RESOURCES; i++)
            buf_printf(to, " %llu/%lld", (unsigned long long)q.used[i], (long long)q.limit[i]);
        buf_put_byte(to, '\n');
    }
    assert_int_equal(rc, ERR_NOT_FOUND);
}

static void delivery_id(uint32_t n, unsigned char ret[16])
{
    memset(ret, 0xd1, 16);
    ret[0] = (unsigned char)n;
}

static void transfer_id(uint32_t n, unsigned char ret[TRANSFER_ID_LEN])
{
    memset(ret, 0xf0, TRANSFER_ID_LEN);
    ret[0] = (unsigned char)n;
}

static void put_known(struct snap *snap, const unsigned char id[16], struct buf *to)
{
    uint64_t until;
    int rc = index_delivery_get(snap->txn, id, &until);
    assert_true(rc == 0 || rc == ERR_NOT_FOUND);
    buf_put_byte(to, rc == 0 ? 'k' : '-');
}

/* What was delivered or arrived already, and what is still under way. */
static void put_exchanges(struct snap *snap, struct buf *to)
{
    unsigned char id[16];
    struct transfer t;
    for (uint32_t i = 0; i < IDS; i++) {
        delivery_id(i, id);
        put_known(snap, id, to);
        transfer_id(i, id);
        put_known(snap, id, to);
        id[15] |= 1; /* refused */
        put_known(snap, id, to);
    }
    int rc = snap_transfer_seek(snap, NULL, &t);
    for (; rc == 0; rc = snap_transfer_seek(snap, t.id, &t))
        buf_printf(to, " transfer %u " SPAN_FMT " " SPAN_FMT, t.id[0], SPAN_ARG(t.user),
                   SPAN_ARG(t.name));
    assert_int_equal(rc, ERR_NOT_FOUND);
    buf_put_byte(to, '\n');
}

static void put_mailbox(struct fixture *f, struct snap *snap, uint32_t id, bool exact,
                        struct buf *to)
{
    struct mailbox_info info;
    struct row_cursor *c;
    struct row row;
    assert_int_equal(snap_mailbox(snap, id, &info), 0);
    buf_printf(to, " id %u next %u high %llu use %x", id, info.uidnext,
               (unsigned long long)info.highest_modseq, info.special_use);
    if (exact) {
        buf_printf(to, " validity %u", info.uidvalidity);
        put_url_key(snap, &info, to);
    }
    put_rights(snap, id, to);
    put_seen(snap, id, to);
    put_metadata(snap, id, to);
    assert_int_equal(row_cursor_open(snap, id, &c), 0);
    int rc = row_cursor_seek(c, 1, &row);
    for (; rc == 0; rc = row_cursor_next(c, &row))
        put_row(f, snap, &row, to);
    row_cursor_close(c);
    assert_int_equal(rc, ERR_NOT_FOUND);
}

void explore_picture(struct fixture *f, bool exact, struct buf *to)
{
    struct snap *snap;
    struct mailbox_name entry = {SPAN(""), 0, false};
    buf_reset(to);
    assert_int_equal(snap_begin(f->account, &snap), 0);
    while (snap_name_seek(snap, entry.name, true, &entry) == 0) {
        buf_printf(to, SPAN_FMT "%s", SPAN_ARG(entry.name), entry.subscribed ? "+" : "");
        if (entry.id)
            put_mailbox(f, snap, entry.id, exact, to);
        buf_put_byte(to, '\n');
    }
    put_metadata(snap, 0, to);
    put_quotas(f, snap, to);
    put_exchanges(snap, to);
    snap_end(snap);
}

/* --- the history --- */

static const char *draw_name(uint64_t *rng)
{
    static const char *const names[] = {"INBOX", "INBOX", "Trash", "A", "A/b", "C"};
    return names[explore_draw(rng, 6)];
}

static struct asked *draw_append(struct fixture *f, uint64_t *rng)
{
    static const char *const keywords[] = {"", "k1", "k1 K2", "k3"};
    autobuf text = BUF_INIT(BUF_UNLIMITED);
    buf_printf(&text, "Subject: %u\r\n\r\n", explore_draw(rng, 1000000));
    for (uint32_t n = explore_draw(rng, 60); n > 0; n--)
        buf_put_lit(&text, "A line of its text.\r\n");
    const char *name = draw_name(rng), *with = keywords[explore_draw(rng, 4)];
    struct asked *a = ask_append(f, name, text.p, (uint16_t)explore_draw(rng, 32), with);
    for (uint32_t more = explore_draw(rng, 3);
         more == 1 && a->r.message_count < 3;) { /* MULTIAPPEND */
        struct append_message *m = &a->messages[a->r.message_count++];
        *m = a->messages[0];
        m->upload = upload_new(f->account);
        assert_int_equal(upload_write(m->upload, buf_span(&text)), 0);
        assert_int_equal(upload_finish(m->upload), 0);
    }
    return a;
}

/* A delivery that comes once, what arrives from another account, or what replaces others. */
static struct asked *draw_special_append(struct fixture *f, uint64_t *rng)
{
    struct asked *a = draw_append(f, rng);
    char uids[32];
    uint32_t lo = 1 + explore_draw(rng, 12);
    switch (explore_draw(rng, 3)) {
    case 0:
        delivery_id(explore_draw(rng, IDS), a->id);
        a->r.delivery_id = a->id;
        a->r.delivery_window = 1000000000;
        break;
    case 1:
        transfer_id(explore_draw(rng, IDS), a->id);
        a->r.transfer_id = a->id;
        break;
    default:
        snprintf(uids, sizeof(uids), "%u:%u", lo, lo + explore_draw(rng, 2));
        parse_ranges(&a->r.uids, uids);
        a->r.mailbox = 1 + explore_draw(rng, 5);
    }
    return a;
}

static struct asked *draw_transfer(uint64_t *rng, const char *uids, uint32_t mailbox)
{
    static const enum request_kind kinds[] = {REQUEST_TRANSFER_BEGIN, REQUEST_TRANSFER_BEGIN,
                                              REQUEST_TRANSFER_END, REQUEST_TRANSFER_SETTLE};
    struct asked *a = ask_uids(kinds[explore_draw(rng, 4)], mailbox, uids, "bob");
    a->r.new_name = SPAN("INBOX");
    transfer_id(explore_draw(rng, IDS), a->id);
    a->r.transfer_id = a->id;
    a->r.transfer_done = explore_draw(rng, 2);
    return a;
}

static struct asked *draw_rights(uint64_t *rng, const char *name)
{
    struct asked *a = ask_name(REQUEST_ACL, name, NULL);
    a->r.identifier = span_str(IDENTIFIERS[explore_draw(rng, ARRAY_LEN(IDENTIFIERS))]);
    a->r.rights = explore_draw(rng, RIGHTS_ALL + 1);
    a->r.mode = (enum store_mode)explore_draw(rng, 3);
    return a;
}

static struct asked *draw_metadata(uint64_t *rng, const char *name)
{
    struct asked *a = ask_name(REQUEST_METADATA, explore_draw(rng, 4) ? name : "", NULL);
    a->r.entry_count = 1 + explore_draw(rng, ARRAY_LEN(a->entries));
    for (size_t i = 0; i < a->r.entry_count; i++)
        a->entries[i] = (struct metadata_change){
            .owner = span_str(OWNERS[explore_draw(rng, ARRAY_LEN(OWNERS))]),
            .name = span_str(ENTRIES[explore_draw(rng, ARRAY_LEN(ENTRIES))]),
            .value = explore_draw(rng, 2) ? SPAN("a value") : SPAN("another one"),
            .remove = explore_draw(rng, 3) == 0};
    a->r.entries = a->entries;
    a->r.entries_max = 3;
    return a;
}

static struct asked *draw_quota(uint64_t *rng, const char *name)
{
    const char *root = ROOTS[explore_draw(rng, ARRAY_LEN(ROOTS))];
    if (explore_draw(rng, 2))
        return ask_name(REQUEST_QUOTA_ROOT, name, root);
    struct asked *a = ask_name(REQUEST_QUOTA, root, NULL);
    static const uint64_t base[QUOTA_RESOURCES] = {[QUOTA_STORAGE] = 20000,
                                                   [QUOTA_MESSAGE] = 20,
                                                   [QUOTA_MAILBOX] = 6,
                                                   [QUOTA_ANNOTATION] = 60};
    for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
        uint32_t how = explore_draw(rng, 4);
        a->r.limits[i] = how == 0   ? QUOTA_KEEP
                         : how == 1 ? QUOTA_DEFAULT
                         : how == 2 ? QUOTA_NONE
                                    : base[i] + explore_draw(rng, (uint32_t)base[i]);
    }
    return a;
}

static struct asked *draw_url_key(struct fixture *f, uint64_t *rng)
{
    struct asked *a = ask(REQUEST_URL_KEY);
    struct mailbox_info info;
    struct snap *snap;
    a->r.mode = explore_draw(rng, 2) ? STORE_ADD : STORE_REPLACE;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    if (snap_mailbox(snap, 1 + explore_draw(rng, 5), &info) == 0) { /* else: all are void */
        memcpy(a->id, info.object_id, sizeof(a->id));
        a->r.object_id = a->id;
    }
    snap_end(snap);
    return a;
}

static struct asked *draw_request(struct fixture *f, uint64_t *rng)
{
    char uids[32];
    uint32_t lo = 1 + explore_draw(rng, 12), mailbox = 1 + explore_draw(rng, 5),
             kind = explore_draw(rng, 26);
    snprintf(uids, sizeof(uids), "%u:%u", lo, lo + explore_draw(rng, 6));
    const char *name = draw_name(rng);
    switch (kind) {
    case 0:
        return ask_name(REQUEST_CREATE, name, NULL);
    case 1:
        return ask_name(REQUEST_DELETE, name, NULL);
    case 2:
        return ask_name(REQUEST_RENAME, name, draw_name(rng));
    case 3:
        return ask_name(explore_draw(rng, 2) ? REQUEST_SUBSCRIBE : REQUEST_UNSUBSCRIBE, name, NULL);
    case 4:
    case 5:
    case 6:
        return ask_store(mailbox, uids, explore_draw(rng, 3), (uint16_t)explore_draw(rng, 32),
                         explore_draw(rng, 2) ? "k1" : "K2 k4");
    case 7:
        return ask_uids(REQUEST_EXPUNGE, mailbox, explore_draw(rng, 2) ? uids : "", NULL);
    case 8:
    case 9:
        return ask_uids(REQUEST_COPY, mailbox, uids, name);
    case 10:
        return ask_uids(REQUEST_MOVE, mailbox, uids, name);
    case 11:
    case 12:
        return draw_special_append(f, rng);
    case 13:
    case 14:
        return draw_transfer(rng, uids, mailbox);
    case 15:
    case 16:
        return draw_rights(rng, name);
    case 17:
    case 18:
        return draw_metadata(rng, name);
    case 19:
    case 20:
        return draw_quota(rng, name);
    case 21:
        return draw_url_key(f, rng);
    default:
        return draw_append(f, rng);
    }
}

struct asked *explore_request(struct fixture *f, uint64_t *rng)
{
    struct asked *a = draw_request(f, rng);
    if (explore_draw(rng, 3) == 0)
        a->r.seen_user = SPAN("bob");
    return a;
}

/* --- steps --- */

struct done {
    struct maintenance m;
    bool finished;
    int error;
    size_t damages;
};

static void on_finding(struct maintenance *m, const struct finding *f)
{
    struct done *d = container_of(m, struct done, m);
    if (f->kind == FINDING_DAMAGE && d->damages++ < 10)
        print_message("check: %s\n", f->text);
}

static void on_progress(struct maintenance *m, uint64_t done, uint64_t total)
{
    (void)m;
    assert_true(done <= total);
}

static void on_finished(struct maintenance *m, int error, const char *text)
{
    struct done *d = container_of(m, struct done, m);
    (void)text;
    d->finished = true;
    d->error = error;
}

static int maintain(struct fixture *f, void (*what)(struct fixture *f, struct maintenance *m),
                    struct done *d)
{
    *d = (struct done){.m = {on_finding, on_progress, on_finished, NULL, false}};
    what(f, &d->m);
    manual_host_run(&f->host);
    assert_true(d->finished);
    return d->error;
}

static void do_compact(struct fixture *f, struct maintenance *m)
{
    account_compact(f->account, false, m);
}

static void do_erase(struct fixture *f, struct maintenance *m)
{
    account_compact(f->account, true, m);
}

static void do_checkpoint(struct fixture *f, struct maintenance *m)
{
    account_checkpoint(f->account, m);
}

static void do_check(struct fixture *f, struct maintenance *m)
{
    account_check(f->account, m);
}

int explore_step(struct fixture *f, int i, uint64_t *rng)
{
    struct done d;
    if (i % 16 == 9)
        return maintain(f, do_checkpoint, &d);
    if (i % 16 == 14)
        return maintain(f, i > 32 ? do_erase : do_compact, &d);
    struct asked *a = explore_request(f, rng);
    account_submit(f->account, &a->r);
    manual_host_run(&f->host);
    assert_true(a->answered);
    int error = a->r.result.error;
    asked_free(a);
    return error;
}

bool explore_refused(int error)
{
    switch (error) {
    case ERR_UNKNOWN:
    case ERR_CLOSED:
    case ERR_IO:
    case ERR_NO_SPACE:
        return true;
    default:
        return false;
    }
}

bool explore_check(struct fixture *f)
{
    struct done d;
    return maintain(f, do_check, &d) == 0 && d.damages == 0;
}

/* --- files --- */

void explore_index_path(struct fixture *f, struct buf *to)
{
    char hex[2 * ACCOUNT_ID_LEN + 1];
    for (size_t i = 0; i < ACCOUNT_ID_LEN; i++)
        snprintf(hex + 2 * i, 3, "%02x", f->id.b[i]);
    buf_reset(to);
    buf_printf(to, "%s/accounts/%.2s/%s/index", f->dir, hex, hex);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void explore_remove(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}
