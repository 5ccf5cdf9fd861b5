/* The logical content of an index: one line a fact, in an order that does not depend on how it came
 * about. Left out is what the log does not decide (ghosts, derived records, sums for compaction and
 * checkpoints) and what may be forgotten (expunges of more than a year ago, deliveries). */
#include "base/bytes.h"
#include "base/crc32c.h"
#include "index/tables.h"
#include "store/apply.h"
#include "store/recover.h"

#define YEAR_US (365ULL * 24 * 3600 * 1000000)

struct dump {
    struct index_txn *txn;
    struct buf *to; /* may be NULL */
    struct buf line;
    uint64_t hash[2];
    struct index_state state;
};

/* Not a cryptographic hash: it finds differences, it does not withstand forgery. */
static void hash_line(struct dump *d, const char *p, size_t n)
{
    uint64_t a = d->hash[0], b = d->hash[1];

    for (size_t i = 0; i < n; i += 8) {
        uint64_t v = 0;

        memcpy(&v, p + i, MIN(n - i, 8));
        a = (a ^ v) * 0x9e3779b97f4a7c15ULL;
        a ^= a >> 29;
        b = (b + v) * 0xc2b2ae3d27d4eb4fULL;
        b ^= b >> 31 ^ a;
    }
    d->hash[0] = a + n;
    d->hash[1] = b ^ n;
}

static void line_end(struct dump *d)
{
    buf_put_byte(&d->line, '\n');
    hash_line(d, d->line.p, d->line.n);
    if (d->to)
        buf_put_span(d->to, buf_span(&d->line));
    buf_reset(&d->line);
}

#define put_line(d, ...) (buf_printf(&(d)->line, __VA_ARGS__), line_end(d))

static unsigned long long ull(uint64_t v)
{
    return v;
}

static void put_ids(struct dump *d, const unsigned char *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        buf_printf(&d->line, "%s%u", i ? "," : " ", load_le16(ids + 2 * i));
}

static int dump_keywords(struct dump *d)
{
    for (uint32_t id = 1; id <= d->state.keyword_id; id++) {
        struct span name;
        int rc = index_keyword_name(d->txn, (uint16_t)id, &name);

        if (rc == ERR_NOT_FOUND)
            continue;
        if (rc)
            return rc;
        put_line(d, "keyword %u " SPAN_FMT, id, SPAN_ARG(name));
    }
    return 0;
}

static int dump_metadata(struct dump *d)
{
    struct metadata_entry e;
    int rc = index_metadata_seek(d->txn, 0, SPAN_EMPTY, SPAN_EMPTY, false, &e);

    while (rc == 0) {
        buf_printf(&d->line, "metadata %u modseq %llu " SPAN_FMT " " SPAN_FMT " ", e.mailbox,
                   ull(e.modseq), SPAN_ARG(e.owner), SPAN_ARG(e.name));
        buf_put_hex(&d->line, (const unsigned char *)e.value.p, e.value.n);
        if (e.removed)
            buf_reset(&d->line);
        else
            line_end(d);
        rc = index_metadata_seek(d->txn, e.mailbox, e.owner, e.name, true, &e);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_quotas(struct dump *d)
{
    struct index_quota q;
    int rc = index_quota_seek(d->txn, 0, &q);

    while (rc == 0) {
        buf_printf(&d->line, "quota %u", q.root);
        for (size_t i = 0; i < QUOTA_RESOURCES; i++)
            buf_printf(&d->line, " %llu/%lld", ull(q.used[i]), (long long)q.limit[i]);
        put_line(d, " " SPAN_FMT, SPAN_ARG(q.name));
        rc = q.root == UINT32_MAX ? ERR_NOT_FOUND : index_quota_seek(d->txn, q.root + 1, &q);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_names(struct dump *d)
{
    struct index_name name;
    int rc = index_name_seek(d->txn, SPAN_EMPTY, false, &name);

    for (; rc == 0; rc = index_name_seek(d->txn, name.name, true, &name))
        put_line(d, "name %u %d " SPAN_FMT, name.id, name.subscribed, SPAN_ARG(name.name));
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_rows(struct dump *d, uint32_t mailbox)
{
    struct row_iter it;
    struct row r;
    int rc = rows_begin(&it, d->txn, mailbox);

    if (rc)
        return rc;
    for (rc = rows_seek(&it, 1, &r); rc == 0; rc = rows_next(&it, &r)) {
        buf_printf(&d->line, "row %u %u message %llu modseq %llu created %llu flags %x size %llu",
                   mailbox, r.uid, ull(r.message_id), ull(r.modseq), ull(r.created_modseq), r.flags,
                   ull(r.size));
        buf_printf(&d->line, " date %lld %d saved %lld", (long long)r.internal_date.seconds,
                   r.internal_date.zone_minutes, (long long)r.save_date);
        put_ids(d, r.keywords, r.keyword_count);
        line_end(d);
    }
    rows_end(&it);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* All that was expunged with one MODSEQ, however it is cut into entries. */
static int dump_gone(struct dump *d, uint32_t mailbox, uint64_t forgotten)
{
    struct index_gone gone, next;
    int rc = index_gone_seek(d->txn, mailbox, forgotten, &next);

    while (rc == 0) {
        autoranges uids = RANGES_INIT;

        gone = next;
        do {
            rc = index_gone_uids(d->txn, &next, &uids);
            if (rc)
                return rc;
            rc = index_gone_next(d->txn, mailbox, &next);
        } while (rc == 0 && next.modseq == gone.modseq);
        if (gone.time + YEAR_US < d->state.applied_time)
            continue;
        buf_printf(&d->line, "gone %u modseq %llu time %llu ", mailbox, ull(gone.modseq),
                   ull(gone.time));
        ranges_put_text(&d->line, &uids);
        line_end(d);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_mailbox(struct dump *d, const struct mailbox_info *m)
{
    int rc;

    buf_printf(&d->line, "mailbox %u uidvalidity %u uidnext %u recent %u use %x modseq %llu", m->id,
               m->uidvalidity, m->uidnext, m->recent_uid, m->special_use, ull(m->highest_modseq));
    buf_printf(&d->line, " created %llu exists %u unseen %u deleted %u bytes %llu %llu object ",
               ull(m->created_modseq), m->exists, m->unseen, m->deleted, ull(m->bytes),
               ull(m->deleted_bytes));
    buf_put_hex(&d->line, m->object_id, sizeof(m->object_id));
    buf_printf(&d->line, " quota %u metadata %llu", m->quota_root, ull(m->metadata_bytes));
    buf_printf(&d->line, " name " SPAN_FMT " keywords", SPAN_ARG(m->name));
    put_ids(d, (const unsigned char *)m->keyword_ids.p, m->keyword_ids.n / 2);
    line_end(d);
    rc = dump_rows(d, m->id);
    return rc ? rc : dump_gone(d, m->id, m->forgotten_modseq);
}

static int dump_mailboxes(struct dump *d)
{
    struct mailbox_info m;
    int rc = index_mailbox_seek(d->txn, 1, &m);

    while (rc == 0) {
        uint32_t id = m.id;

        rc = dump_mailbox(d, &m);
        if (rc)
            return rc;
        rc = id == UINT32_MAX ? ERR_NOT_FOUND : index_mailbox_seek(d->txn, id + 1, &m);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* Message ids of ghosts, one for each, ascending. */
struct ghost_ids {
    uint64_t *v;
    size_t n, at;
};

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = load_le64(a), y = load_le64(b);

    return x < y ? -1 : x > y;
}

static int ghost_ids_read(struct index_txn *txn, struct ghost_ids *ret)
{
    uint32_t mailbox = 0, uid = 0;
    uint64_t modseq;
    struct row row;
    int rc;

    while ((rc = index_ghost_seek(txn, mailbox, uid, &mailbox, &row, &modseq)) == 0) {
        ret->v = xrealloc_array(ret->v, ret->n + 1, sizeof(*ret->v));
        ret->v[ret->n++] = row.message_id;
        uid = row.uid + 1;
    }
    if (ret->n > 0)
        qsort(ret->v, ret->n, sizeof(*ret->v), compare_ids);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_messages(struct dump *d)
{
    struct ghost_ids ghosts = {0};
    struct index_message m;
    uint64_t id;
    int rc = ghost_ids_read(d->txn, &ghosts);

    if (rc == 0)
        rc = index_message_seek(d->txn, 0, &id, &m);
    for (; rc == 0; rc = index_message_seek(d->txn, id + 1, &id, &m)) {
        uint32_t refs = m.refs;

        while (ghosts.at < ghosts.n && ghosts.v[ghosts.at] <= id)
            refs -= ghosts.v[ghosts.at++] == id;
        if (refs > 0)
            put_line(d, "message %llu segment %llu offset %llu length %llu crc %08x refs %u",
                     ull(id), ull(m.where.segment), ull(m.where.offset), ull(m.where.length),
                     m.where.crc, refs);
    }
    free(ghosts.v);
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_site(struct dump *d)
{
    char name[SITE_NAME_MAX];
    struct span user = SPAN_EMPTY;
    struct account_id id;
    int rc;

    while ((rc = site_index_seek(d->txn, user, user.n > 0, &user, &id)) == 0) {
        if (user.n > sizeof(name))
            return ERR_CORRUPT;
        buf_printf(&d->line, "site " SPAN_FMT " ", SPAN_ARG(user));
        buf_put_hex(&d->line, id.b, sizeof(id.b));
        line_end(d);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_pairs(struct dump *d, enum index_pair kind, const char *what)
{
    struct span first = SPAN_EMPTY, second = SPAN_EMPTY;
    int rc;

    while ((rc = index_pair_walk(d->txn, kind, first, second, &first, &second)) == 0)
        put_line(d, "%s " SPAN_FMT " " SPAN_FMT, what, SPAN_ARG(first), SPAN_ARG(second));
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_transfers(struct dump *d)
{
    static const unsigned char lowest[TRANSFER_ID_SIZE];
    struct index_transfer t;
    int rc = index_transfer_seek(d->txn, lowest, false, &t);

    for (; rc == 0; rc = index_transfer_seek(d->txn, t.id, true, &t)) {
        autoranges uids = RANGES_INIT;
        struct reader r = reader_make(t.uids);
        if (!ranges_decode(&r, &uids))
            return ERR_CORRUPT;
        buf_put_lit(&d->line, "transfer ");
        buf_put_hex(&d->line, t.id, sizeof(t.id));
        buf_printf(&d->line, " from %u to " SPAN_FMT " " SPAN_FMT " ", t.mailbox, SPAN_ARG(t.user),
                   SPAN_ARG(t.name));
        ranges_put_text(&d->line, &uids);
        line_end(d);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

/* Not the keys themselves: whoever reads this has no need of them. */
static int dump_url_keys(struct dump *d)
{
    static const unsigned char lowest[URL_KEY_MAILBOX];
    struct index_url_key k;
    int rc = index_url_key_seek(d->txn, lowest, false, &k);

    for (; rc == 0; rc = index_url_key_seek(d->txn, k.mailbox, true, &k)) {
        buf_printf(&d->line, "url-key %08x ", crc32c(0, k.key, sizeof(k.key)));
        buf_put_hex(&d->line, k.mailbox, sizeof(k.mailbox));
        line_end(d);
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_acl(struct dump *d, uint32_t mailbox)
{
    struct index_acl a = {SPAN_EMPTY, 0};
    int rc;

    while ((rc = index_acl_seek(d->txn, mailbox, a.identifier, &a)) == 0)
        put_line(d, "acl %u %u " SPAN_FMT, mailbox, a.rights, SPAN_ARG(a.identifier));
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_seen(struct dump *d, uint32_t mailbox)
{
    struct span user = SPAN_EMPTY;
    int rc;

    while ((rc = index_seen_seek(d->txn, mailbox, user, &user)) == 0) {
        autoranges uids = RANGES_INIT;
        autobuf text = BUF_INIT(BUF_UNLIMITED);

        rc = index_seen_get(d->txn, mailbox, user, &uids);
        if (rc)
            return rc;
        ranges_put_text(&text, &uids);
        put_line(d, "seen %u " SPAN_FMT " " SPAN_FMT, mailbox, SPAN_ARG(user),
                 SPAN_ARG(buf_span(&text)));
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_acls(struct dump *d)
{
    struct mailbox_info m;
    uint32_t id = 0;
    int rc;

    while ((rc = index_mailbox_seek(d->txn, id + 1, &m)) == 0) {
        id = m.id;
        rc = dump_acl(d, id);
        if (rc == 0)
            rc = dump_seen(d, id);
        if (rc)
            return rc;
    }
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int dump_all(struct dump *d)
{
    int rc = index_state_get(d->txn, &d->state);

    if (rc)
        return rc;
    put_line(d, "account seq %llu modseq %llu message %llu mailbox %u keyword %u uidvalidity %u",
             ull(d->state.applied_seq), ull(d->state.modseq), ull(d->state.message_id),
             d->state.mailbox_id, d->state.keyword_id, d->state.uidvalidity);
    put_line(d, "sums messages %llu bytes %llu mailboxes %u metadata %llu", ull(d->state.messages),
             ull(d->state.bytes), d->state.mailboxes, ull(d->state.metadata_bytes));
    rc = dump_keywords(d);
    if (rc == 0)
        rc = dump_names(d);
    if (rc == 0)
        rc = dump_quotas(d);
    if (rc == 0)
        rc = dump_metadata(d);
    if (rc == 0)
        rc = dump_mailboxes(d);
    if (rc == 0)
        rc = dump_messages(d);
    if (rc == 0)
        rc = dump_transfers(d);
    if (rc == 0)
        rc = dump_url_keys(d);
    if (rc == 0)
        rc = dump_acls(d);
    if (rc == 0)
        rc = dump_site(d);
    if (rc == 0)
        rc = dump_pairs(d, PAIR_MEMBER, "member");
    return rc ? rc : dump_pairs(d, PAIR_GRANT, "grant");
}

int index_dump(struct index_txn *txn, struct buf *to, uint64_t ret_hash[2])
{
    struct dump d = {.txn = txn, .to = to, .hash = {1, 2}};
    int rc;

    buf_init(&d.line, BUF_UNLIMITED);
    rc = dump_all(&d);
    buf_done(&d.line);
    if (rc == 0 && ret_hash)
        memcpy(ret_hash, d.hash, sizeof(d.hash));
    return rc;
}
