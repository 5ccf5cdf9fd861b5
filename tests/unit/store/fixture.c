#include "fixture.h"

#include <ftw.h>
#include <sys/stat.h>

#include "base/err.h"

/* --- life --- */

static const struct default_mailbox defaults[] = {{"Drafts", USE_DRAFTS}, {"Trash", USE_TRASH}};

static void opened(void *arg, int error, struct account *account)
{
    struct fixture *f = arg;
    assert_int_equal(error, 0);
    f->account = account;
}

static void found(void *arg, int error, const struct account_id *id)
{
    struct fixture *f = arg;
    assert_int_equal(error, 0);
    f->id = *id;
}

void fixture_open(struct fixture *f)
{
    struct err err = {0};
    struct store_options options = {.dir = f->dir,
                                    .fs = f->fs,
                                    .defaults = defaults,
                                    .default_count = ARRAY_LEN(defaults),
                                    .no_checkpoint_on_close = true,
                                    .segment_size = f->segment_size};
    manual_host_init(&f->host);
    if (store_new(&options, &f->host.host, &f->store, &err))
        fail_msg("store_new: %s", err.text);
    if (site_open(f->store, &err))
        fail_msg("site_open: %s", err.text);
    manual_host_run(&f->host);
    site_find_or_create(f->store, SPAN("user"), found, f);
    manual_host_run(&f->host);
    account_open(f->store, &f->id, opened, f);
    manual_host_run(&f->host);
    assert_non_null(f->account);
}

void fixture_close(struct fixture *f)
{
    account_unref(take_ptr(f->account));
    store_free(take_ptr(f->store));
    manual_host_done(&f->host);
}

void fixture_reopen(struct fixture *f)
{
    fixture_close(f);
    fixture_open(f);
}

int fixture_setup(void **state)
{
    struct fixture *f = xnew(struct fixture);
    memcpy(f->dir, "/tmp/martlet-store-XXXXXX", 26);
    assert_non_null(mkdtemp(f->dir));
    *state = f;
    fixture_open(f);
    return 0;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_remove(struct fixture *f)
{
    nftw(f->dir, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    if (f->store)
        fixture_close(f);
    fixture_remove(f);
    free(f);
    return 0;
}

/* --- requests --- */

static void answered(struct request *r)
{
    struct asked *a = container_of(r, struct asked, r);
    assert_false(a->answered);
    a->answered = true;
}

struct asked *ask(enum request_kind kind)
{
    struct asked *a = xnew(struct asked);
    request_init(&a->r, kind, answered, NULL);
    return a;
}

static struct span copy_name(char *to, size_t size, const char *name)
{
    assert_true(strlen(name) < size);
    memcpy(to, name, strlen(name) + 1);
    return span_str(to);
}

struct asked *ask_name(enum request_kind kind, const char *name, const char *new_name)
{
    struct asked *a = ask(kind);
    a->r.name = copy_name(a->name, sizeof(a->name), name);
    if (new_name)
        a->r.new_name = copy_name(a->new_name, sizeof(a->new_name), new_name);
    return a;
}

/* Space-separated; the strings must outlive the request. */
static size_t parse_keywords(struct asked *a, const char *keywords)
{
    struct span rest = span_str(keywords), word;
    size_t n = 0;
    while (keywords && *keywords && span_split(&rest, ' ', &word)) {
        assert_true(n < ARRAY_LEN(a->keywords));
        a->keywords[n++] = word;
    }
    return n;
}

struct asked *ask_append(struct fixture *f, const char *mailbox, const char *text, uint16_t flags,
                         const char *keywords)
{
    struct asked *a = ask_name(REQUEST_APPEND, mailbox, NULL);
    struct append_message *m = &a->messages[0];
    m->upload = upload_new(f->account);
    assert_int_equal(upload_write(m->upload, span_str(text)), 0);
    assert_int_equal(upload_finish(m->upload), 0);
    m->flags = flags;
    m->internal_date = (struct internal_date){1700000000, 60};
    m->keywords = a->keywords;
    m->keyword_count = parse_keywords(a, keywords);
    a->r.messages = a->messages;
    a->r.message_count = 1;
    return a;
}

void parse_ranges(struct ranges *r, const char *text)
{
    struct span rest = span_str(text), part;
    while (*text && span_split(&rest, ',', &part)) {
        struct span lo;
        uint64_t a, b;
        assert_true(span_split(&part, ':', &lo));
        assert_true(span_to_u64(lo, UINT32_MAX, &a));
        b = a;
        if (part.p)
            assert_true(span_to_u64(part, UINT32_MAX, &b));
        ranges_add(r, (uint32_t)a, (uint32_t)b);
    }
}

struct asked *ask_store(uint32_t mailbox, const char *uids, enum store_mode mode, uint16_t flags,
                        const char *keywords)
{
    struct asked *a = ask_uids(REQUEST_STORE, mailbox, uids, NULL);
    a->r.mode = mode;
    a->r.flags = flags;
    a->r.keywords = a->keywords;
    a->r.keyword_count = parse_keywords(a, keywords);
    return a;
}

struct asked *ask_uids(enum request_kind kind, uint32_t mailbox, const char *uids,
                       const char *target)
{
    struct asked *a = target ? ask_name(kind, target, NULL) : ask(kind);
    a->r.mailbox = mailbox;
    parse_ranges(&a->r.uids, uids);
    return a;
}

void asked_free(struct asked *a)
{
    for (size_t i = 0; i < a->r.message_count; i++)
        upload_free(a->messages[i].upload);
    ranges_done(&a->r.uids);
    request_result_done(&a->r);
    free(a);
}

void submit(struct fixture *f, struct asked *a)
{
    account_submit(f->account, &a->r);
    assert_false(a->answered);
}

struct asked *run(struct fixture *f, struct asked *a)
{
    submit(f, a);
    manual_host_run(&f->host);
    assert_true(a->answered);
    return a;
}

void expect(struct fixture *f, struct asked *a, int error)
{
    run(f, a);
    assert_int_equal(a->r.result.error, error);
    asked_free(a);
}

/* --- state --- */

uint32_t mailbox_id(struct fixture *f, const char *name)
{
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    int error = snap_mailbox_find(snap, span_str(name), &info);
    uint32_t id = error == 0 ? info.id : 0;
    assert_true(error == 0 || error == ERR_NOT_FOUND);
    snap_end(snap);
    return id;
}

static void describe_row(struct snap *snap, const struct row *row, struct buf *to)
{
    buf_printf(to, " %u(", row->uid);
    for (size_t i = 0; i < 5; i++)
        if (row->flags & 1u << i)
            buf_put_byte(to, "SAFTD"[i]);
    for (size_t i = 0; i < row->keyword_count; i++) {
        struct span name;
        assert_int_equal(snap_keyword(snap, row_keyword(row, i), &name), 0);
        buf_put_byte(to, ' ');
        buf_put_span(to, name);
    }
    buf_put_byte(to, ')');
}

static void describe_mailbox(struct snap *snap, uint32_t id, struct buf *to)
{
    struct row_cursor *c;
    struct row row;
    struct mailbox_info info;
    uint32_t rows = 0, unseen = 0, deleted = 0;
    assert_int_equal(row_cursor_open(snap, id, &c), 0);
    int error = row_cursor_seek(c, 1, &row);
    for (; error == 0; error = row_cursor_next(c, &row)) {
        describe_row(snap, &row, to);
        rows++;
        unseen += !(row.flags & FLAG_SEEN);
        deleted += !!(row.flags & FLAG_DELETED);
    }
    assert_int_equal(error, ERR_NOT_FOUND);
    row_cursor_close(c);
    assert_int_equal(snap_mailbox(snap, id, &info), 0);
    assert_int_equal(info.exists, rows);
    assert_int_equal(info.unseen, unseen);
    assert_int_equal(info.deleted, deleted);
}

void describe(struct fixture *f, struct buf *to)
{
    struct snap *snap;
    struct mailbox_name entry = {SPAN(""), 0, false};
    buf_reset(to);
    assert_int_equal(snap_begin(f->account, &snap), 0);
    while (snap_name_seek(snap, entry.name, true, &entry) == 0) {
        buf_put_str(to, to->n ? "; " : "");
        buf_put_span(to, entry.name);
        if (entry.subscribed)
            buf_put_byte(to, '+');
        buf_put_byte(to, entry.id ? ':' : '-');
        if (entry.id)
            describe_mailbox(snap, entry.id, to);
    }
    snap_end(snap);
}

void expect_ranges(const struct ranges *r, const char *text)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    ranges_put_text(&b, r);
    assert_string_equal(b.p ? b.p : "", text);
}
