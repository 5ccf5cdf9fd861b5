#include "imap/url_data.h"

#include "message/part_structure.h"
#include "store/names.h"

int url_place(struct task *t, const struct imap_url *url, struct place *ret)
{
    autobuf name = BUF_INIT(4 * MAILBOX_NAME_MAX);
    if (!url->has_mailbox)
        return ERR_NOT_FOUND;
    int rc = mailbox_name_normalise(&name, url->mailbox);
    if (rc)
        return rc == ERR_LIMIT ? ERR_NOT_FOUND : rc;
    rc = place_of(t, arena_copy(&t->arena, buf_span(&name)), ret);
    return rc == ERR_BUSY || rc == ERR_LIMIT ? ERR_CLOSED : rc;
}

static int same_validity(const struct imap_url *url, const struct mailbox_info *info)
{
    return url->uidvalidity && url->uidvalidity != info->uidvalidity ? ERR_NOT_FOUND : 0;
}

int url_mailbox_find(struct snap *snap, const struct place *place, const struct imap_url *url,
                     struct mailbox_info *ret)
{
    int rc = snap_mailbox_find(snap, place->name, ret);
    return rc ? rc : same_validity(url, ret);
}

int url_mailbox_readable(struct session *s, struct snap *snap, const struct place *place,
                         const struct imap_url *url, struct mailbox_info *ret)
{
    int rc = place_mailbox(s, snap, place, RIGHT_READ, ret, NULL);
    if (rc)
        return rc == ERR_DENIED ? ERR_NOT_FOUND : rc;
    return same_validity(url, ret);
}

static const enum section_text section_texts[] = {
    [SPEC_ALL] = SECTION_ALL,
    [SPEC_HEADER] = SECTION_HEADER,
    [SPEC_HEADER_FIELDS] = SECTION_HEADER,
    [SPEC_HEADER_FIELDS_NOT] = SECTION_HEADER,
    [SPEC_TEXT] = SECTION_TEXT,
    [SPEC_MIME] = SECTION_MIME,
};

/* BODY[HEADER.FIELDS (...)] */
static int choose_fields(struct url_data *d, const struct fetch_section *sec, struct span derived)
{
    struct fetch_item item = {.kind = ITEM_HEADER_FIELDS,
                              .section = sec->part,
                              .depth = sec->n_part,
                              .invert = sec->text == SPEC_HEADER_FIELDS_NOT};
    header_set_init(&item.fields, sec->fields, sec->n_fields);
    d->chosen = true;
    int rc = section_header_fields(&d->fields, &d->access, &item, derived);
    header_set_done(&item.fields);
    d->length = d->fields.n;
    return rc;
}

static int choose_bytes(struct url_data *d, const struct fetch_section *sec, struct span derived)
{
    struct section_range r;
    int rc = derived_section(derived, sec->part, sec->n_part, section_texts[sec->text], &r);
    if (rc)
        return rc;
    d->whole = sec->n_part == 0 && sec->text == SPEC_ALL;
    d->is_part = sec->text == SPEC_ALL;
    d->part = r.part;
    d->offset = d->whole ? 0 : r.offset;
    d->length = d->whole ? d->access.where.length : r.length;
    return 0;
}

/* The record, from the index or made anew. */
static int find_derived(struct url_data *d, struct snap *snap, struct buf *made, struct span *ret)
{
    int rc = snap_derived(snap, d->message_id, ret);
    if (rc != ERR_NOT_FOUND)
        return rc;
    rc = account_derive(d->account, d->message_id, made);
    if (rc == 0)
        *ret = buf_span(made);
    return rc;
}

static int find_message(struct url_data *d, uint32_t mailbox, uint32_t uid, struct buf *made,
                        struct span *ret_derived, struct snap *snap)
{
    struct row row;
    struct derived_info info;
    int rc = snap_row(snap, mailbox, uid, &row);
    if (rc == 0)
        rc = snap_message(snap, row.message_id, &d->access.where);
    if (rc)
        return rc;
    d->message_id = row.message_id;
    rc = find_derived(d, snap, made, ret_derived);
    if (rc == 0 && derived_info(*ret_derived, &info) == 0)
        d->access.has_nul = info.has_nul;
    return rc;
}

int url_data_open(struct account *account, uint32_t mailbox, const struct imap_url *url,
                  struct url_data *ret)
{
    const struct fetch_section *sec = &url->section;
    struct url_data d = {.account = account, .fields = BUF_INIT(BUF_UNLIMITED)};
    autobuf made = BUF_INIT(BUF_UNLIMITED);
    autosnap *snap = NULL;
    struct span derived = SPAN_EMPTY;
    d.access.account = account;
    int rc = snap_begin(account, &snap);
    if (rc == 0)
        rc = find_message(&d, mailbox, url->uid, &made, &derived, snap);
    if (rc == 0)
        rc = sec->n_fields ? choose_fields(&d, sec, derived) : choose_bytes(&d, sec, derived);
    if (rc) {
        buf_done(&d.fields);
        return rc;
    }
    if (sec->has_partial) { /* beyond the end there is nothing, which is no error */
        uint64_t skip = MIN(sec->offset, d.length);
        d.offset += skip;
        d.length = MIN(d.length - skip, sec->length);
    }
    account_ref(account);
    *ret = d;
    return 0;
}

/* A header, or a text without its header, is no MIME part: it is shown as octets. */
static void put_octets_structure(struct url_data *d)
{
    buf_printf(&d->structure, "(\"APPLICATION\" \"OCTET-STREAM\" NIL NIL NIL \"8BIT\" %llu)",
               (unsigned long long)d->length);
}

int url_data_structure(struct url_data *d, const struct imap_url *url)
{
    autobuf made = BUF_INIT(BUF_UNLIMITED);
    autosnap *snap = NULL;
    struct span derived = SPAN_EMPTY, part;
    buf_init(&d->structure, BUF_UNLIMITED);
    if (!d->is_part) {
        put_octets_structure(d);
        return 0;
    }
    int rc = snap_begin(d->account, &snap);
    if (rc == 0)
        rc = find_derived(d, snap, &made, &derived);
    if (rc == 0)
        rc = derived_part_structure(derived, url->section.part, url->section.n_part, &part);
    if (rc == 0)
        buf_put_span(&d->structure, part);
    return rc;
}

void url_data_done(struct url_data *d)
{
    if (!d->account)
        return;
    account_unref(take_ptr(d->account));
    buf_done(&d->fields);
    buf_done(&d->structure);
}

/* Compaction may have moved the message between two slices; one that was expunged meanwhile stays
 * where it was. */
static void follow(struct url_data *d)
{
    autosnap *snap = NULL;
    struct message_location where;
    if (snap_begin(d->account, &snap) == 0 && snap_message(snap, d->message_id, &where) == 0)
        d->access.where = where;
}

int url_data_read(struct url_data *d, uint64_t at, size_t n, struct buf *to)
{
    if (d->chosen) {
        buf_put(to, d->fields.p + d->offset + at, n);
        return 0;
    }
    size_t before = to->n;
    follow(d);
    int rc = account_read(d->account, &d->access.where, d->offset + at, n, to);
    return rc == 0 && to->n - before != n ? ERR_CORRUPT : rc;
}
