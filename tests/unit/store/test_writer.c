/* The writer under load and under fire: group commit, visibility, failures of write and sync, full
 * disks, watches and ghosts, many accounts, random histories with crashes. */
#include "base/err.h"
#include "base/logline.h"
#include "fault_fs.h"
#include "fixture.h"
#include "index/index.h"
#include "store/rights.h"
#include "store/store_int.h"

struct faulty {
    struct fixture f; /* first: the fixture's functions take it */
    struct fault_fs fs;
};

static int setup(void **state)
{
    struct faulty *t = xnew(struct faulty);
    log_set_level(LOG_ERROR);
    memcpy(t->f.dir, "/tmp/martlet-store-XXXXXX", 26);
    assert_non_null(mkdtemp(t->f.dir));
    fault_fs_init(&t->fs);
    t->f.fs = &t->fs.fs;
    *state = t;
    fixture_open(&t->f);
    return 0;
}

static int teardown(void **state)
{
    struct faulty *t = *state;
    struct fault_fs *fs = &t->fs;
    fault_fs_revive(fs);
    if (t->f.store)
        fixture_close(&t->f);
    fault_fs_done(fs);
    fixture_remove(&t->f);
    free(t);
    return 0;
}

static void expect_state(struct fixture *f, const char *text)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    describe(f, &b);
    assert_string_equal(b.p, text);
}

static uint32_t exists(struct fixture *f, uint32_t mailbox)
{
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox(snap, mailbox, &info), 0);
    snap_end(snap);
    return info.exists;
}

/* --- group commit --- */

static void queued_requests_share_a_sync(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    struct asked *a[64];
    for (int i = 0; i < 64; i++)
        submit(f, a[i] = ask_append(f, "INBOX", "Subject: x\r\n\r\n", 0, ""));
    unsigned before = t->fs.syncs;
    manual_host_run(&f->host);
    assert_true(t->fs.syncs - before <= 2);
    for (int i = 0; i < 64; i++) {
        assert_true(a[i]->answered);
        assert_int_equal(a[i]->r.result.error, 0);
        assert_int_equal(a[i]->r.result.first_uid, i + 1);
        asked_free(a[i]);
    }
}

static void later_requests_see_earlier_ones(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    struct asked *a = ask_name(REQUEST_CREATE, "new", NULL), *b = ask_append(f, "new", "x", 0, ""),
                 *c = ask_name(REQUEST_DELETE, "new", NULL), *d = ask_append(f, "new", "x", 0, "");
    submit(f, a);
    submit(f, b);
    submit(f, c);
    submit(f, d);
    unsigned before = t->fs.syncs;
    manual_host_run(&f->host);
    assert_int_equal(t->fs.syncs - before, 1);
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(b->r.result.error, 0);
    assert_int_equal(c->r.result.error, 0);
    assert_int_equal(d->r.result.error, ERR_NOT_FOUND);
    asked_free(a);
    asked_free(b);
    asked_free(c);
    asked_free(d);
}

static void nothing_is_visible_before_it_is_durable(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    uint32_t inbox = mailbox_id(f, "INBOX");
    struct asked *a = ask_append(f, "INBOX", "x", 0, ""), *b = ask_append(f, "INBOX", "y", 0, "");
    submit(f, a);
    while (manual_host_defer_one(&f->host))
        ;
    submit(f, b); /* while the first waits for its sync */
    assert_int_equal(exists(f, inbox), 0);
    assert_true(manual_host_work_one(&f->host));
    assert_int_equal(exists(f, inbox), 0);
    assert_false(a->answered);
    assert_true(manual_host_finish_one(&f->host));
    assert_true(a->answered);
    assert_false(b->answered);
    assert_int_equal(exists(f, inbox), 1);
    manual_host_run(&f->host);
    assert_true(b->answered);
    assert_int_equal(exists(f, inbox), 2);
    asked_free(a);
    asked_free(b);
}

static void no_change_needs_no_sync(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    unsigned before = t->fs.syncs;
    expect(f, ask_name(REQUEST_SUBSCRIBE, "INBOX", NULL), 0);
    expect(f, ask_name(REQUEST_DELETE, "nothing", NULL), ERR_NOT_FOUND);
    expect(f, ask_uids(REQUEST_EXPUNGE, mailbox_id(f, "INBOX"), "", NULL), 0);
    assert_int_equal(t->fs.syncs, before);
}

/* --- failures --- */

static void failed_sync_is_unknown(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    uint32_t inbox = mailbox_id(f, "INBOX");
    expect(f, ask_append(f, "INBOX", "before", 0, ""), 0);
    struct asked *a = ask_append(f, "INBOX", "x", 0, ""), *b = ask_append(f, "INBOX", "y", 0, "");
    t->fs.fail_sync = true;
    submit(f, a);
    while (manual_host_defer_one(&f->host))
        ;
    submit(f, b); /* not part of what failed: waits for the reopened log */
    assert_true(manual_host_work_one(&f->host));
    t->fs.fail_sync = false;
    manual_host_run(&f->host);
    assert_int_equal(a->r.result.error, ERR_UNKNOWN);
    assert_non_null(a->messages[0].upload);
    assert_int_equal(b->r.result.error, 0);
    /* Either way for a; certainly for b. */
    uint32_t n = exists(f, inbox);
    assert_true(n == 2 || n == 3);
    asked_free(a);
    asked_free(b);
    expect(f, ask_append(f, "INBOX", "after", 0, ""), 0);
    autobuf s = BUF_INIT(BUF_UNLIMITED);
    describe(f, &s);
    fixture_reopen(f);
    expect_state(f, s.p);
}

static void full_disk_refuses_and_leaves_nothing(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    uint32_t inbox = mailbox_id(f, "INBOX");
    autobuf before = BUF_INIT(BUF_UNLIMITED);
    expect(f, ask_append(f, "INBOX", "before", FLAG_DELETED, ""), 0);
    describe(f, &before);
    for (int torn = 0; torn < 2; torn++) {
        t->fs.full = true;
        t->fs.torn = torn;
        expect(f, ask_append(f, "INBOX", "x", 0, "keyword"), ERR_NO_SPACE);
        expect(f, ask_store(inbox, "1", STORE_ADD, FLAG_SEEN, ""), ERR_NO_SPACE);
        expect_state(f, before.p);
        t->fs.full = false;
    }
    f->account->space_checked_us = 0;
    expect(f, ask_append(f, "INBOX", "x", 0, ""), 0);
    fixture_reopen(f);
    expect_state(f, "Drafts+:; INBOX+: 1(T) 2(); Trash+:");
}

static void others_go_on_where_appends_are_refused(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    uint32_t inbox = mailbox_id(f, "INBOX");
    expect(f, ask_append(f, "INBOX", "1", FLAG_DELETED, ""), 0);
    expect(f, ask_append(f, "INBOX", "2", 0, ""), 0);
    /* The reserve is reached. */
    t->fs.free_space = 1000;
    f->account->space_checked_us = 0;
    expect(f, ask_append(f, "INBOX", "x", 0, ""), ERR_NO_SPACE);
    expect(f, ask_uids(REQUEST_COPY, inbox, "2", "Trash"), ERR_NO_SPACE);
    expect(f, ask_name(REQUEST_CREATE, "new", NULL), ERR_NO_SPACE);
    expect(f, ask_store(inbox, "2", STORE_ADD, FLAG_SEEN, ""), 0);
    expect(f, ask_uids(REQUEST_MOVE, inbox, "2", "Trash"), 0);
    expect(f, ask_uids(REQUEST_EXPUNGE, inbox, "", NULL), 0);
    expect(f, ask_name(REQUEST_DELETE, "Drafts", NULL), 0);
    expect_state(f, "Drafts+-; INBOX+:; Trash+: 1(S)");
    t->fs.free_space = -1;
    f->account->space_checked_us = 0;
    expect(f, ask_append(f, "INBOX", "x", 0, ""), 0);
}

static void full_disk_in_a_mixed_batch(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    uint32_t inbox = mailbox_id(f, "INBOX");
    expect(f, ask_append(f, "INBOX", "1", 0, ""), 0);
    struct asked *a = ask_append(f, "INBOX", "x", 0, ""),
                 *b = ask_store(inbox, "1", STORE_ADD, FLAG_SEEN, "");
    t->fs.full = true;
    submit(f, a);
    submit(f, b);
    assert_true(manual_host_defer_one(&f->host)); /* the write that fails */
    t->fs.full = false;                           /* what is left suffices for the flags */
    manual_host_run(&f->host);
    assert_int_equal(a->r.result.error, ERR_NO_SPACE);
    assert_int_equal(b->r.result.error, 0);
    expect_ranges(&b->r.result.uids, "1");
    asked_free(a);
    asked_free(b);
    expect_state(f, "Drafts+:; INBOX+: 1(S); Trash+:");
}

static void closed_store_refuses(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    struct asked *a = ask_append(f, "INBOX", "x", 0, "");
    submit(f, a); /* not begun when the store ends: it is done or refused, but answered */
    account_unref(take_ptr(f->account));
    store_free(take_ptr(f->store));
    assert_true(a->answered);
    manual_host_done(&f->host);
    bool done = a->r.result.error == 0;
    assert_true(done || a->r.result.error == ERR_CLOSED);
    fixture_open(f);
    assert_int_equal(exists(f, mailbox_id(f, "INBOX")), done);
    a->messages[0].upload = NULL; /* of the old store */
    asked_free(a);
}

/* --- uploads --- */

static struct asked *ask_big(struct fixture *f, size_t size)
{
    struct asked *a = ask_append(f, "INBOX", "", 0, "");
    autofree char *bytes = xmalloc(size);
    memset(bytes, 'b', size);
    upload_free(a->messages[0].upload);
    struct upload *u = a->messages[0].upload = upload_new(f->account);
    assert_int_equal(upload_write(u, SPAN("Subject: big\r\n\r\n")), 0);
    for (size_t at = 0; at < size; at += 65536)
        assert_int_equal(upload_write(u, span_make(bytes + at, MIN(size - at, 65536))), 0);
    assert_int_equal(upload_finish(u), 0);
    assert_int_equal(upload_size(u), size + 16);
    return a;
}

static void large_upload_delays_nobody(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    struct asked *big = ask_big(f, 3 << 20), *small = ask_append(f, "INBOX", "x", 0, "");
    submit(f, big);
    submit(f, small);
    while (manual_host_defer_one(&f->host))
        ;
    /* Two jobs wait, the large one's sync and the batch's; take the second first. */
    assert_int_equal(f->account->writer, WRITER_SYNCING);
    struct list *first = f->host.jobs.next;
    list_remove(first);
    list_push_back(&f->host.jobs, first);
    assert_true(manual_host_work_one(&f->host));
    assert_true(manual_host_finish_one(&f->host));
    assert_true(small->answered);
    assert_false(big->answered);
    manual_host_run(&f->host);
    assert_true(big->answered);
    assert_int_equal(big->r.result.error, 0);
    assert_int_equal(big->r.result.first_uid, 2);
    asked_free(big);
    asked_free(small);
    fixture_reopen(f);

    struct snap *snap;
    struct row row;
    struct message_location where;
    autobuf bytes = BUF_INIT(BUF_UNLIMITED);
    assert_int_equal(snap_begin(f->account, &snap), 0);
    uint32_t inbox = 1;
    assert_int_equal(snap_row(snap, inbox, 2, &row), 0);
    assert_int_equal(snap_message(snap, row.message_id, &where), 0);
    snap_end(snap);
    assert_int_equal(account_read(f->account, &where, 0, SIZE_MAX, &bytes), 0);
    assert_int_equal(bytes.n, (3 << 20) + 16);
    assert_int_equal(bytes.p[bytes.n - 1], 'b');
}

static void upload_that_fails_is_refused(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    struct upload *u = upload_new(f->account);
    autofree char *bytes = xcalloc(1, UPLOAD_MEMORY_MAX);
    t->fs.full = true;
    assert_int_equal(upload_write(u, span_make(bytes, UPLOAD_MEMORY_MAX)), 0);
    assert_int_equal(upload_write(u, SPAN("more")), ERR_NO_SPACE);
    assert_int_equal(upload_write(u, SPAN("and more")), ERR_NO_SPACE); /* it sticks */
    assert_int_equal(upload_finish(u), ERR_NO_SPACE);
    upload_free(u);
    t->fs.full = false;
    struct asked *big = ask_big(f, 2 << 20);
    t->fs.fail_sync = true;
    submit(f, big);
    while (manual_host_step(&f->host) && !big->answered)
        ;
    assert_true(big->answered);
    assert_int_not_equal(big->r.result.error, 0);
    t->fs.fail_sync = false;
    asked_free(big);
    expect(f, ask_append(f, "INBOX", "x", 0, ""), 0);
    /* Abandoned uploads leave no file. */
    asked_free(ask_big(f, 2 << 20));
}

static void failed_sync_with_an_upload_under_way(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    struct asked *big = ask_big(f, 2 << 20);
    t->fs.fail_sync = true;
    struct asked *a = ask_append(f, "INBOX", "x", 0, "");
    submit(f, a);
    while (!a->answered && manual_host_step(&f->host))
        ;
    assert_int_equal(a->r.result.error, ERR_UNKNOWN);
    t->fs.fail_sync = false;
    manual_host_run(&f->host);
    /* Its segment belonged to the log that was given up. */
    submit(f, big);
    manual_host_run(&f->host);
    assert_true(big->answered);
    assert_int_not_equal(big->r.result.error, 0);
    asked_free(a);
    asked_free(big);
    if (f->account->state != ACCOUNT_AWAKE) { /* the reopening failed, too: somebody opens it */
        fixture_reopen(f);
    }
    expect(f, ask_append(f, "INBOX", "x", 0, ""), 0);
}

/* --- watches and ghosts --- */

struct counted {
    struct watch w;
    unsigned calls;
    bool leaves; /* removes itself when called */
};

static void on_changed(struct watch *w)
{
    struct counted *c = container_of(w, struct counted, w);
    c->calls++;
    if (c->leaves)
        watch_remove(w);
}

/* --- events --- */

struct listener {
    struct watch w;
    struct buf told; /* "new+expunge 2" and the like, a line each */
};

static void on_events(struct watch *w, const struct events *events)
{
    static const char *const kinds[] = {"new",     "expunge", "flags",        "created",
                                        "deleted", "renamed", "subscription", "metadata",
                                        "granted", "revoked"};
    struct listener *l = container_of(w, struct listener, w);
    for (size_t i = 0; i < events_count(events); i++) {
        const struct event *e = events_at(events, i);
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++)
            if (e->kinds >> k & 1)
                buf_printf(&l->told, "%s ", kinds[k]);
        if (e->kinds & EVENT_OF_MESSAGES)
            buf_printf(&l->told, "%u", e->mailbox);
        buf_put_span(&l->told, e->name);
        if (e->old_name.n)
            buf_printf(&l->told, " from " SPAN_FMT, SPAN_ARG(e->old_name));
        if (e->origin)
            buf_printf(&l->told, " by %u", (unsigned)e->origin);
        buf_put_byte(&l->told, '\n');
    }
    buf_put_lit(&l->told, ".");
}

static void expect_told(struct listener *l, const char *text)
{
    buf_put_byte(&l->told, '\0');
    assert_string_equal(l->told.p, text);
    buf_reset(&l->told);
}

/* One call a commit, with what its frames did; inferiors go along with a renaming. */
static void events_tell_what_happened(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    char text[200];
    uint32_t inbox = mailbox_id(f, "INBOX"), trash = mailbox_id(f, "Trash");
    struct listener l = {0};
    buf_init(&l.told, BUF_UNLIMITED);
    watch_add(&l.w, f->account, 0, 0, NULL);
    watch_events(&l.w, on_events);
    struct asked *a = ask_append(f, "INBOX", "x", 0, ""), *b = ask_append(f, "INBOX", "y", 0, "");
    b->r.origin = 7;
    submit(f, a);
    submit(f, b);
    manual_host_run(&f->host);
    asked_free(a);
    asked_free(b);
    snprintf(text, sizeof(text), "new %u\nnew %u by 7\n.", inbox, inbox);
    expect_told(&l, text);
    expect(f, ask_uids(REQUEST_MOVE, inbox, "1:2", "Trash"), 0);
    snprintf(text, sizeof(text), "new %u\nexpunge %u\n.", trash, inbox);
    expect_told(&l, text);
    expect(f, ask_name(REQUEST_CREATE, "a/b/c", NULL), 0);
    expect_told(&l, "created a\ncreated a/b\ncreated a/b/c\n.");
    expect(f, ask_name(REQUEST_RENAME, "a", "d"), 0);
    expect_told(&l, "renamed d from a\n.");
    expect(f, ask_name(REQUEST_SUBSCRIBE, "d", NULL), 0);
    expect(f, ask_name(REQUEST_SUBSCRIBE, "d", NULL), 0); /* no change */
    expect(f, ask_name(REQUEST_DELETE, "d/b", NULL), 0);
    expect_told(&l, "subscription d\n.deleted d/b\n.");
    struct metadata_change note = {
        .owner = SPAN("ann"), .name = SPAN("/private/comment"), .value = SPAN("x")};
    a = ask_name(REQUEST_METADATA, "INBOX", NULL);
    a->r.entries = &note;
    a->r.entry_count = a->r.entries_max = 1;
    expect(f, a, 0);
    expect_told(&l, "metadata /private/comment from ann\n.");
    static const struct {
        const char *identifier, *told;
        enum store_mode mode;
        uint32_t rights;
    } grants[] = {
        {"bob", "granted INBOX from bob\n.", STORE_ADD, RIGHT_LOOKUP | RIGHT_READ},
        {"bob", "", STORE_ADD, RIGHT_SEEN}, /* no matter of l */
        {"-bob", "revoked INBOX from -bob\n.", STORE_ADD, RIGHT_LOOKUP},
        {"-bob", "granted INBOX from -bob\n.", STORE_REPLACE, 0},
        {"bob", "revoked INBOX from bob\n.", STORE_REMOVE, RIGHT_LOOKUP},
    };
    for (size_t i = 0; i < ARRAY_LEN(grants); i++) {
        a = ask_name(REQUEST_ACL, "INBOX", NULL);
        a->r.identifier = span_str(grants[i].identifier);
        a->r.rights = grants[i].rights;
        a->r.mode = grants[i].mode;
        expect(f, a, 0);
        expect_told(&l, grants[i].told);
    }
    watch_remove(&l.w);
    expect(f, ask_name(REQUEST_DELETE, "d/b/c", NULL), 0);
    expect_told(&l, "");
    buf_done(&l.told);
}

static void watches_are_told_once(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    uint32_t inbox = mailbox_id(f, "INBOX"), trash = mailbox_id(f, "Trash");
    struct counted on_inbox = {0}, on_trash = {0}, on_all = {0}, leaver = {.leaves = true};
    watch_add(&on_inbox.w, f->account, inbox, 0, on_changed);
    watch_add(&leaver.w, f->account, inbox, 0, on_changed);
    watch_add(&on_trash.w, f->account, trash, 0, on_changed);
    watch_add(&on_all.w, f->account, 0, 0, on_changed);
    struct asked *a = ask_append(f, "INBOX", "x", 0, ""), *b = ask_append(f, "INBOX", "y", 0, "");
    submit(f, a);
    submit(f, b);
    manual_host_run(&f->host);
    asked_free(a);
    asked_free(b);
    assert_int_equal(on_inbox.calls, 1);
    assert_int_equal(leaver.calls, 1);
    assert_int_equal(on_trash.calls, 0);
    assert_int_equal(on_all.calls, 1);
    expect(f, ask_uids(REQUEST_MOVE, inbox, "1", "Trash"), 0);
    expect(f, ask_name(REQUEST_SUBSCRIBE, "else", NULL), 0);
    expect(f, ask_name(REQUEST_SUBSCRIBE, "else", NULL), 0); /* no change */
    assert_int_equal(on_inbox.calls, 2);
    assert_int_equal(leaver.calls, 1);
    assert_int_equal(on_trash.calls, 1);
    assert_int_equal(on_all.calls, 3);
    watch_remove(&on_inbox.w);
    watch_remove(&on_inbox.w); /* harmless */
    watch_remove(&on_trash.w);
    watch_remove(&on_all.w);
}

static int ghost(struct fixture *f, uint32_t mailbox, uint32_t uid)
{
    struct snap *snap;
    struct row row;
    struct message_location where;
    autobuf bytes = BUF_INIT(BUF_UNLIMITED);
    assert_int_equal(snap_begin(f->account, &snap), 0);
    int error = snap_ghost(snap, mailbox, uid, &row);
    if (error == 0)
        assert_int_equal(snap_message(snap, row.message_id, &where), 0);
    snap_end(snap);
    if (error == 0)
        assert_int_equal(account_read(f->account, &where, 0, 100, &bytes), 0);
    return error;
}

static void ghosts_stay_while_somebody_shows_them(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    uint32_t inbox = mailbox_id(f, "INBOX");
    struct counted one = {0}, two = {0};
    for (int i = 0; i < 3; i++)
        expect(f, ask_append(f, "INBOX", "text", FLAG_DELETED, ""), 0);
    watch_add(&one.w, f->account, inbox, 1, on_changed);
    watch_add(&two.w, f->account, inbox, 1, on_changed);
    struct asked *a = run(f, ask_uids(REQUEST_EXPUNGE, inbox, "1", NULL));
    uint64_t first = a->r.result.modseq;
    asked_free(a);
    a = run(f, ask_uids(REQUEST_EXPUNGE, inbox, "2", NULL));
    uint64_t second = a->r.result.modseq;
    asked_free(a);
    assert_int_equal(ghost(f, inbox, 1), 0);
    assert_int_equal(ghost(f, inbox, 2), 0);
    watch_set_view(&one.w, second);
    manual_host_run(&f->host);
    assert_int_equal(ghost(f, inbox, 1), 0);
    watch_set_view(&two.w, first);
    expect(f, ask_append(f, "INBOX", "text", 0, ""), 0); /* part of them goes with a batch */
    assert_int_equal(ghost(f, inbox, 1), ERR_NOT_FOUND);
    assert_int_equal(ghost(f, inbox, 2), 0);
    watch_remove(&two.w);
    manual_host_run(&f->host); /* the last by themselves */
    assert_int_equal(ghost(f, inbox, 2), ERR_NOT_FOUND);
    watch_remove(&one.w);
    expect(f, ask_uids(REQUEST_EXPUNGE, inbox, "3", NULL), 0); /* nobody looks */
    assert_int_equal(ghost(f, inbox, 3), ERR_NOT_FOUND);
}

static void ghosts_for_those_who_come_meanwhile(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    uint32_t inbox = mailbox_id(f, "INBOX");
    struct counted late = {0};
    struct snap *snap;
    expect(f, ask_append(f, "INBOX", "text", FLAG_DELETED, ""), 0);
    expect(f, ask_append(f, "INBOX", "text", FLAG_DELETED, ""), 0);
    account_ref(f->account); /* another session */
    struct asked *a = ask_uids(REQUEST_EXPUNGE, inbox, "1", NULL);
    submit(f, a);
    while (manual_host_defer_one(&f->host))
        ;
    /* Applied, not yet durable: whoever selects the mailbox now still sees the message. */
    assert_int_equal(exists(f, inbox), 2);
    assert_int_equal(snap_begin(f->account, &snap), 0);
    watch_add(&late.w, f->account, inbox, snap_modseq(snap), on_changed);
    snap_end(snap);
    manual_host_run(&f->host);
    asked_free(a);
    assert_int_equal(late.calls, 1);
    assert_int_equal(ghost(f, inbox, 1), 0);
    watch_remove(&late.w);
    manual_host_run(&f->host);
    assert_int_equal(ghost(f, inbox, 1), ERR_NOT_FOUND);
    expect(f, ask_uids(REQUEST_EXPUNGE, inbox, "2", NULL), 0); /* nobody comes */
    assert_int_equal(ghost(f, inbox, 2), ERR_NOT_FOUND);
    account_unref(f->account);
}

/* --- many accounts --- */

struct opened {
    struct account *account;
    struct account_id id;
};

static void got_id(void *arg, int error, const struct account_id *id)
{
    assert_int_equal(error, 0);
    ((struct opened *)arg)->id = *id;
}

static void got_account(void *arg, int error, struct account *a)
{
    assert_int_equal(error, 0);
    ((struct opened *)arg)->account = a;
}

static void idle_accounts_sleep_and_wake(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    struct opened o[6];
    struct account *own = f->account;
    f->store->open_max = 2;
    for (int i = 0; i < 6; i++) {
        char name[16];
        snprintf(name, sizeof(name), "u%d", i);
        site_find_or_create(f->store, span_str(name), got_id, &o[i]);
    }
    manual_host_run(&f->host);
    for (int i = 0; i < 6; i++)
        account_open(f->store, &o[i].id, got_account, &o[i]);
    manual_host_run(&f->host);
    assert_true(f->store->awake_count <= 2);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 6; i++) {
            f->account = o[i].account;
            expect(f, ask_append(f, "INBOX", "x", 0, ""), 0);
            assert_int_equal(exists(f, 1), round + 1);
            assert_true(f->store->awake_count <= 3);
        }
    }
    /* Woken while it falls asleep. */
    f->account = o[0].account;
    assert_int_equal(exists(f, 1), 3);
    for (int i = 1; i < 6; i++) {
        f->account = o[i].account;
        assert_int_equal(exists(f, 1), 3);
    }
    f->account = o[0].account;
    assert_int_equal(exists(f, 1), 3);
    manual_host_run(&f->host);
    for (int i = 0; i < 6; i++)
        account_unref(o[i].account);
    manual_host_run(&f->host);
    f->account = own;
    expect(f, ask_append(f, "INBOX", "x", 0, ""), 0);
}

static int count_site(void *ctx, struct span user, const struct account_id *id)
{
    (void)id;
    buf_put_span(ctx, user);
    buf_put_byte(ctx, ' ');
    return 0;
}

static void site_remembers_names(void **state)
{
    struct faulty *t = *state;
    struct fixture *f = &t->f;
    struct opened a, b, c;
    struct account_id id;
    autobuf names = BUF_INIT(BUF_UNLIMITED);
    site_find_or_create(f->store, SPAN("zoe"), got_id, &a);
    site_find_or_create(f->store, SPAN("zoe"), got_id, &b); /* at the same time */
    site_find_or_create(f->store, SPAN("adam"), got_id, &c);
    manual_host_run(&f->host);
    assert_memory_equal(&a.id, &b.id, sizeof(id));
    assert_memory_not_equal(&a.id, &c.id, sizeof(id));
    assert_int_equal(site_find(f->store, SPAN("nobody"), &id), ERR_NOT_FOUND);
    fixture_reopen(f);
    assert_int_equal(site_find(f->store, SPAN("zoe"), &id), 0);
    assert_memory_equal(&id, &a.id, sizeof(id));
    assert_int_equal(site_each(f->store, count_site, &names), 0);
    assert_string_equal(names.p, "adam user zoe ");
}

static void failed_open(void *arg, int error, struct account *a)
{
    assert_null(a);
    *(int *)arg = error;
}

static void missing_account_cannot_be_opened(void **state)
{
    struct faulty *t = *state;
    struct account_id id = {{1, 2, 3}};
    int error = 0;
    account_open(t->f.store, &id, failed_open, &error);
    manual_host_run(&t->f.host);
    assert_int_not_equal(error, 0);
}

/* --- random histories --- */

static uint64_t rng;

static uint32_t draw(uint32_t n)
{
    rng = rng * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(rng >> 33) % n;
}

static const char *draw_name(void)
{
    static const char *const names[] = {"INBOX", "Trash", "A", "A/b", "C"};
    return names[draw(5)];
}

static struct asked *draw_request(struct fixture *f)
{
    static const char *const keywords[] = {"", "k1", "k1 K2", "k3"};
    char uids[32];
    uint32_t lo = 1 + draw(12), mailbox = 1 + draw(5);
    snprintf(uids, sizeof(uids), "%u:%u", lo, lo + draw(6));
    switch (draw(12)) {
    case 0:
        return ask_name(REQUEST_CREATE, draw_name(), NULL);
    case 1:
        return ask_name(REQUEST_DELETE, draw_name(), NULL);
    case 2: {
        const char *from = draw_name();
        return ask_name(REQUEST_RENAME, from, draw_name());
    }
    case 3:
        return ask_name(REQUEST_SUBSCRIBE, draw_name(), NULL);
    case 4:
    case 5:
        return ask_store(mailbox, uids, draw(3), (uint16_t)draw(32), keywords[draw(4)]);
    case 6:
        return ask_uids(REQUEST_EXPUNGE, mailbox, draw(2) ? uids : "", NULL);
    case 7:
        return ask_uids(REQUEST_COPY, mailbox, uids, draw_name());
    case 8:
        return ask_uids(REQUEST_MOVE, mailbox, uids, draw_name());
    default:
        return ask_append(f, draw_name(), "Subject: s\r\n\r\ntext", (uint16_t)draw(32),
                          keywords[draw(4)]);
    }
}

enum { HISTORY = 80 };

/* What the account looks like after each request, if nothing fails. */
static void ideal(uint64_t seed, struct buf states[HISTORY + 1])
{
    struct fixture *f;
    void *state;
    assert_int_equal(fixture_setup(&state), 0);
    f = state;
    rng = seed;
    describe(f, &states[0]);
    for (int i = 1; i <= HISTORY; i++) {
        asked_free(run(f, draw_request(f)));
        describe(f, &states[i]);
    }
    fixture_reopen(f); /* and by the way: reopened it is the same */
    autobuf again = BUF_INIT(BUF_UNLIMITED);
    describe(f, &again);
    assert_string_equal(again.p, states[HISTORY].p);
    fixture_teardown(&state);
}

/* Submits in groups, takes events in any order, dies at some call; what comes back must be the
 * state after some request that is not before the last acknowledged one. */
static void crash_once(uint64_t seed, uint64_t die_after, bool power, struct buf *states)
{
    struct faulty t = {0};
    struct fixture *f = &t.f;
    struct asked *asked[HISTORY + 1] = {NULL};
    int submitted = 0, acknowledged = 0;
    memcpy(f->dir, "/tmp/martlet-store-XXXXXX", 26);
    assert_non_null(mkdtemp(f->dir));
    fault_fs_init(&t.fs);
    f->fs = &t.fs.fs;
    fixture_open(f);
    t.fs.die_at = t.fs.calls + die_after;
    rng = seed;
    uint64_t schedule = seed ^ die_after;
    while (submitted < HISTORY && f->account->state == ACCOUNT_AWAKE && !f->account->failed) {
        asked[++submitted] = draw_request(f);
        account_submit(f->account, &asked[submitted]->r);
        schedule = schedule * 6364136223846793005ULL + 1;
        for (uint32_t n = (uint32_t)(schedule >> 40) % 6; n > 0; n--)
            manual_host_step(&f->host);
    }
    while (manual_host_step(&f->host))
        ;
    for (int i = 1; i <= submitted; i++) {
        int error = asked[i]->r.result.error;
        assert_true(asked[i]->answered);
        /* A refusal for reasons of its own is an answer as good as success. */
        if (error != ERR_UNKNOWN && error != ERR_CLOSED && error != ERR_IO && error != ERR_NO_SPACE)
            acknowledged = i;
        asked_free(asked[i]);
    }
    account_unref(take_ptr(f->account));
    store_free(take_ptr(f->store));
    manual_host_done(&f->host);
    if (power) {
        fault_fs_power_loss(&t.fs);
        index_set_boot_for_test("another boot");
    } else {
        fault_fs_revive(&t.fs);
    }
    fixture_open(f);
    autobuf now = BUF_INIT(BUF_UNLIMITED);
    describe(f, &now);
    int match = -1;
    for (int i = submitted; i >= 0 && match < 0; i--)
        if (span_eq(buf_span(&now), buf_span(&states[i])))
            match = i;
    if (match < acknowledged && !span_eq(buf_span(&now), buf_span(&states[acknowledged])))
        fail_msg("seed %llu, death after %llu calls: acknowledged %d of %d, found %d: %s",
                 (unsigned long long)seed, (unsigned long long)die_after, acknowledged, submitted,
                 match, now.p);
    expect(f, ask_append(f, "INBOX", "life goes on", 0, ""), 0);
    fixture_close(f);
    index_set_boot_for_test(NULL);
    fault_fs_done(&t.fs);
    fixture_remove(f);
}

static void crashes_lose_nothing(void **state)
{
    (void)state;
    log_set_level(LOG_ERROR);
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct buf states[HISTORY + 1];
        for (int i = 0; i <= HISTORY; i++)
            buf_init(&states[i], BUF_UNLIMITED);
        ideal(seed, states);
        for (uint64_t die = 1; die < 60; die += 3) {
            crash_once(seed, die, false, states);
            crash_once(seed, die + 1, true, states);
        }
        for (int i = 0; i <= HISTORY; i++)
            buf_done(&states[i]);
    }
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(queued_requests_share_a_sync),
        TEST(later_requests_see_earlier_ones),
        TEST(nothing_is_visible_before_it_is_durable),
        TEST(no_change_needs_no_sync),
        TEST(failed_sync_is_unknown),
        TEST(full_disk_refuses_and_leaves_nothing),
        TEST(others_go_on_where_appends_are_refused),
        TEST(full_disk_in_a_mixed_batch),
        TEST(closed_store_refuses),
        TEST(large_upload_delays_nobody),
        TEST(upload_that_fails_is_refused),
        TEST(failed_sync_with_an_upload_under_way),
        TEST(watches_are_told_once),
        TEST(events_tell_what_happened),
        TEST(ghosts_stay_while_somebody_shows_them),
        TEST(ghosts_for_those_who_come_meanwhile),
        TEST(idle_accounts_sleep_and_wake),
        TEST(site_remembers_names),
        TEST(missing_account_cannot_be_opened),
        cmocka_unit_test(crashes_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
