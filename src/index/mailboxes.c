/* Mailbox records, names, keywords, and the site's user names.
 *
 * A mailbox record holds what a change of one message changes, and the name. In a write transaction
 * the records in use are kept decoded and written once, however many requests share the commit. */
#include "index/index_int.h"

enum { MAILBOX_FIXED = 4 * 8 + 8 * 7 + 16, NAME_MAX_OCTETS = 480 };

/* --- mailbox records --- */

static bool mailbox_decode(uint32_t id, struct span value, struct mailbox_info *ret)
{
    const char *p = value.p;

    if (value.n < MAILBOX_FIXED || value.n > MAILBOX_FIXED + NAME_MAX_OCTETS)
        return false;
    *ret = (struct mailbox_info){
        .id = id,
        .uidvalidity = load_le32(p),
        .uidnext = load_le32(p + 4),
        .exists = load_le32(p + 8),
        .unseen = load_le32(p + 12),
        .deleted = load_le32(p + 16),
        .recent_uid = load_le32(p + 20),
        .special_use = load_le32(p + 24),
        .highest_modseq = load_le64(p + 28),
        .bytes = load_le64(p + 36),
        .deleted_bytes = load_le64(p + 44),
        .created_modseq = load_le64(p + 52),
        .forgotten_modseq = load_le64(p + 60),
    };
    memcpy(ret->object_id, p + 68, 16);
    ret->quota_root = load_le32(p + 84);
    ret->metadata_bytes = load_le64(p + 88);
    ret->metadata_modseq = load_le64(p + 96);
    ret->name = span_skip(value, MAILBOX_FIXED);
    return true;
}

static int mailbox_write(struct index_txn *txn, const struct mailbox_info *info)
{
    struct key key;
    unsigned char *p;
    int rc;

    key_mailbox(&key, info->id);
    rc = table_put_room(txn, TABLE_MAIN, &key, MAILBOX_FIXED + info->name.n, &p);
    if (rc)
        return rc;
    store_le32(p, info->uidvalidity);
    store_le32(p + 4, info->uidnext);
    store_le32(p + 8, info->exists);
    store_le32(p + 12, info->unseen);
    store_le32(p + 16, info->deleted);
    store_le32(p + 20, info->recent_uid);
    store_le32(p + 24, info->special_use);
    store_le64(p + 28, info->highest_modseq);
    store_le64(p + 36, info->bytes);
    store_le64(p + 44, info->deleted_bytes);
    store_le64(p + 52, info->created_modseq);
    store_le64(p + 60, info->forgotten_modseq);
    memcpy(p + 68, info->object_id, 16);
    store_le32(p + 84, info->quota_root);
    store_le64(p + 88, info->metadata_bytes);
    store_le64(p + 96, info->metadata_modseq);
    memcpy(p + MAILBOX_FIXED, info->name.p, info->name.n);
    return 0;
}

static int mailbox_read(struct index_txn *txn, uint32_t id, struct mailbox_info *ret)
{
    struct span value;
    struct key key;
    int rc;

    key_mailbox(&key, id);
    rc = table_get(txn, TABLE_MAIN, &key, &value);
    if (rc == 0 && !mailbox_decode(id, value, ret))
        rc = index_corrupt(txn);
    return rc;
}

static struct mailbox_cache *cache_find(struct index_txn *txn, uint32_t id)
{
    for (size_t i = 0; i < MAILBOX_CACHE; i++) {
        if (txn->mailboxes[i].info.id == id)
            return &txn->mailboxes[i];
    }
    return NULL;
}

static void cache_fill(struct index_txn *txn, struct mailbox_cache *c,
                       const struct mailbox_info *info)
{
    size_t n = MIN(info->name.n, sizeof(c->name));

    memmove(c->name, info->name.p, n);
    c->info = *info;
    c->info.name = span_make(c->name, n);
    c->info.keyword_ids = SPAN_EMPTY;
    c->used = ++txn->mailbox_clock;
}

/* The slot unused for longest, written back. */
static int cache_room(struct index_txn *txn, struct mailbox_cache **ret)
{
    struct mailbox_cache *c = &txn->mailboxes[0];
    int rc = 0;

    for (size_t i = 1; i < MAILBOX_CACHE; i++) {
        if (txn->mailboxes[i].used < c->used)
            c = &txn->mailboxes[i];
    }
    if (c->dirty)
        rc = mailbox_write(txn, &c->info);
    c->dirty = false;
    c->info.id = 0;
    *ret = c;
    return rc;
}

int mailboxes_flush(struct index_txn *txn)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < MAILBOX_CACHE; i++) {
        if (txn->mailboxes[i].dirty)
            rc = mailbox_write(txn, &txn->mailboxes[i].info);
        txn->mailboxes[i].dirty = false;
    }
    return rc;
}

static int mailbox_get(struct index_txn *txn, uint32_t id, struct mailbox_info *ret)
{
    struct mailbox_cache *c = txn->writes && id != 0 ? cache_find(txn, id) : NULL;

    if (id == 0)
        return ERR_NOT_FOUND;
    if (!c)
        return mailbox_read(txn, id, ret);
    *ret = c->info;
    return 0;
}

int index_mailbox_edit(struct index_txn *txn, uint32_t id, struct mailbox_info *ret)
{
    struct mailbox_cache *c = id != 0 ? cache_find(txn, id) : NULL;
    struct mailbox_info info;
    char name[NAME_MAX_OCTETS];
    int rc;

    if (!c) {
        rc = mailbox_get(txn, id, &info);
        if (rc)
            return rc;
        /* Making room may write, and move the name that was just read. */
        memcpy(name, info.name.p, info.name.n);
        info.name.p = name;
        rc = cache_room(txn, &c);
        if (rc)
            return rc;
        cache_fill(txn, c, &info);
    }
    c->used = ++txn->mailbox_clock;
    *ret = c->info;
    return 0;
}

static int mailbox_keywords(struct index_txn *txn, uint32_t id, struct span *ret)
{
    struct key key;
    int rc;

    key_mailbox_keywords(&key, id);
    rc = table_get(txn, TABLE_MISC, &key, ret);
    if (rc == ERR_NOT_FOUND)
        *ret = SPAN_EMPTY;
    return rc == ERR_NOT_FOUND ? 0 : rc;
}

int index_mailbox_get(struct index_txn *txn, uint32_t id, bool with_keywords,
                      struct mailbox_info *ret)
{
    struct mailbox_info info;
    int rc = mailbox_get(txn, id, &info);

    if (rc == 0 && with_keywords)
        rc = mailbox_keywords(txn, id, &info.keyword_ids);
    if (rc == 0)
        *ret = info;
    return rc;
}

int index_mailbox_put(struct index_txn *txn, const struct mailbox_info *info)
{
    struct mailbox_cache *c = cache_find(txn, info->id);
    int rc = 0;

    if (info->id == 0 || info->name.n > NAME_MAX_OCTETS)
        return index_corrupt(txn);
    if (!c)
        rc = cache_room(txn, &c);
    if (rc)
        return rc;
    cache_fill(txn, c, info);
    c->dirty = true;
    return 0;
}

static int gone_drop(struct index_txn *txn, uint32_t mailbox)
{
    struct span k, value;
    struct key key;
    int rc;

    for (;;) {
        key_gone(&key, mailbox, 0, 0);
        rc = table_seek(txn, TABLE_GONE, &key, &k, &value);
        if (rc || key_gone_mailbox(k) != mailbox)
            return rc == ERR_NOT_FOUND ? 0 : rc;
        memcpy(key.b, k.p, KEY_GONE_SIZE);
        rc = table_del(txn, TABLE_GONE, &key);
        if (rc)
            return rc;
    }
}

int index_mailbox_del(struct index_txn *txn, uint32_t id)
{
    struct mailbox_cache *c = cache_find(txn, id);
    struct key key;
    int rc;

    if (c) {
        c->info.id = 0;
        c->dirty = false;
        c->used = 0;
    }
    key_mailbox(&key, id);
    rc = table_del(txn, TABLE_MAIN, &key);
    if (rc && rc != ERR_NOT_FOUND) /* made in this transaction: only in the cache */
        return rc;
    key_mailbox_keywords(&key, id);
    rc = table_del(txn, TABLE_MISC, &key);
    if (rc && rc != ERR_NOT_FOUND)
        return rc;
    return gone_drop(txn, id);
}

int index_mailbox_seek(struct index_txn *txn, uint32_t from, struct mailbox_info *ret)
{
    struct span k, value;
    struct key key;
    int rc = txn->writes ? mailboxes_flush(txn) : 0;

    key_mailbox(&key, from);
    if (rc == 0)
        rc = table_seek(txn, TABLE_MAIN, &key, &k, &value);
    if (rc)
        return rc;
    if (k.n != 5 || (unsigned char)k.p[0] != MAIN_MAILBOX)
        return ERR_NOT_FOUND;
    return index_mailbox_get(txn, load_be32(k.p + 1), true, ret);
}

int index_mailbox_keyword(struct index_txn *txn, uint32_t id, uint16_t keyword)
{
    struct key key;
    struct span old;
    unsigned char ids[2 * (INDEX_KEYWORD_IDS + 1)], *to;
    size_t at = 0;
    int rc = mailbox_keywords(txn, id, &old);

    if (rc)
        return rc;
    if (old.n % 2 != 0 || old.n > sizeof(ids) - 2)
        return index_corrupt(txn);
    while (at < old.n && load_le16(old.p + at) < keyword)
        at += 2;
    if (at < old.n && load_le16(old.p + at) == keyword)
        return 0;
    if (old.n) /* memcpy wants no NULL */
        memcpy(ids, old.p, at);
    store_le16(ids + at, keyword);
    if (old.n)
        memcpy(ids + at + 2, old.p + at, old.n - at);
    key_mailbox_keywords(&key, id);
    rc = table_put_room(txn, TABLE_MISC, &key, old.n + 2, &to);
    if (rc == 0)
        memcpy(to, ids, old.n + 2);
    return rc;
}

/* --- names --- */

static int name_decode(struct index_txn *txn, struct span name, struct span value,
                       struct index_name *ret)
{
    if (value.n != 5)
        return index_corrupt(txn);
    *ret = (struct index_name){name, load_le32(value.p), value.p[4] != 0};
    return 0;
}

int index_name_get(struct index_txn *txn, struct span name, struct index_name *ret)
{
    struct span value;
    struct key key;
    int rc;

    if (!key_text(&key, 0, name, false))
        return ERR_NOT_FOUND;
    rc = table_get(txn, TABLE_NAME, &key, &value);
    return rc ? rc : name_decode(txn, name, value, ret);
}

int index_name_put(struct index_txn *txn, const struct index_name *name)
{
    struct key key;
    unsigned char *to;
    int rc;

    if (!key_text(&key, 0, name->name, false))
        return index_corrupt(txn);
    if (name->id == 0 && !name->subscribed) {
        rc = table_del(txn, TABLE_NAME, &key);
        return rc == ERR_NOT_FOUND ? 0 : rc;
    }
    rc = table_put_room(txn, TABLE_NAME, &key, 5, &to);
    if (rc)
        return rc;
    store_le32(to, name->id);
    to[4] = name->subscribed;
    return 0;
}

/* Seek in a table of text keys, tag (0: none) before the text. */
static int text_seek(struct index_txn *txn, enum table t, char tag, struct span from, bool after,
                     struct span *ret_key, struct span *ret)
{
    struct key key;
    int rc;

    if (from.n == 0 && !tag) {
        key.b[0] = 0;
        key.n = 1;
    } else if (from.n == 0) {
        key.b[0] = (unsigned char)tag;
        key.n = 1;
    } else if (!key_text(&key, tag, from, false)) {
        return ERR_INVALID;
    }
    rc = table_seek(txn, t, &key, ret_key, ret);
    if (rc == 0 && after && span_eq(*ret_key, key_span(&key)))
        rc = table_next(txn, t, ret_key, ret);
    if (rc == 0 && tag && (ret_key->n < 2 || ret_key->p[0] != tag))
        rc = ERR_NOT_FOUND;
    return rc;
}

int index_name_seek(struct index_txn *txn, struct span from, bool after, struct index_name *ret)
{
    struct span k, value;
    int rc = text_seek(txn, TABLE_NAME, 0, from, after, &k, &value);

    return rc ? rc : name_decode(txn, k, value, ret);
}

/* --- keywords --- */

int index_keyword_name(struct index_txn *txn, uint16_t id, struct span *ret)
{
    struct key key;

    key_keyword_id(&key, id);
    return table_get(txn, TABLE_MISC, &key, ret);
}

int index_keyword_id(struct index_txn *txn, struct span name, uint16_t *ret)
{
    struct span value;
    struct key key;
    int rc;

    if (!key_text(&key, 'k', name, true))
        return ERR_NOT_FOUND;
    rc = table_get(txn, TABLE_MISC, &key, &value);
    if (rc)
        return rc;
    if (value.n != 2)
        return index_corrupt(txn);
    *ret = load_le16(value.p);
    return 0;
}

int index_keyword_put(struct index_txn *txn, uint16_t id, struct span name)
{
    struct key key;
    unsigned char value[2];
    int rc;

    if (!key_text(&key, 'k', name, true))
        return index_corrupt(txn);
    store_le16(value, id);
    rc = table_put(txn, TABLE_MISC, &key, span_make(value, 2));
    if (rc)
        return rc;
    key_keyword_id(&key, id);
    return table_put(txn, TABLE_MISC, &key, name);
}

/* --- site --- */

int index_site_get(struct index_txn *txn, struct span user, unsigned char ret[16])
{
    struct span value;
    struct key key;
    int rc;

    if (!key_text(&key, 's', user, false))
        return ERR_NOT_FOUND;
    rc = table_get(txn, TABLE_MISC, &key, &value);
    if (rc)
        return rc;
    if (value.n != 16)
        return index_corrupt(txn);
    memcpy(ret, value.p, 16);
    return 0;
}

int index_site_put(struct index_txn *txn, struct span user, const unsigned char account[16])
{
    struct key key;

    if (!key_text(&key, 's', user, false))
        return index_corrupt(txn);
    return table_put(txn, TABLE_MISC, &key, span_make(account, 16));
}

int index_site_del(struct index_txn *txn, struct span user)
{
    struct key key;

    if (!key_text(&key, 's', user, false))
        return ERR_NOT_FOUND;
    return table_del(txn, TABLE_MISC, &key);
}

int index_site_seek(struct index_txn *txn, struct span from, bool after, struct span *ret_user,
                    unsigned char ret[16])
{
    struct span k, value;
    int rc = text_seek(txn, TABLE_MISC, 's', from, after, &k, &value);

    if (rc)
        return rc;
    if (value.n != 16)
        return index_corrupt(txn);
    memcpy(ret, value.p, 16);
    *ret_user = span_skip(k, 1);
    return 0;
}
