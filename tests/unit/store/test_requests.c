/* Every kind of request: what it does, and that a refused one leaves no trace. */
#include "base/err.h"
#include "fixture.h"

#define DEFAULTS "Drafts+:; INBOX+:"
#define TRASH    "; Trash+:"

static void expect_state(struct fixture *f, const char *text)
{
    autobuf b = BUF_INIT(BUF_UNLIMITED);
    describe(f, &b);
    assert_string_equal(b.p, text);
}

static void append_n(struct fixture *f, const char *mailbox, int n)
{
    for (int i = 0; i < n; i++)
        expect(f, ask_append(f, mailbox, "Subject: x\r\n\r\nbody\r\n", 0, ""), 0);
}

static void new_account_has_its_mailboxes(void **state)
{
    struct fixture *f = *state;
    expect_state(f, DEFAULTS TRASH);
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, SPAN("Trash"), &info), 0);
    assert_int_equal(info.special_use, USE_TRASH);
    assert_int_equal(info.uidnext, 1);
    snap_end(snap);
}

/* --- APPEND --- */

static void append_stores(void **state)
{
    struct fixture *f = *state;
    struct asked *a = run(f, ask_append(f, "inbox", "A: b\r\n\r\nxyz", FLAG_SEEN, "$k Two $K two"));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.first_uid, 1);
    assert_int_equal(a->r.result.count, 1);
    assert_int_equal(a->r.result.mailbox, mailbox_id(f, "INBOX"));
    assert_true(a->r.result.uidvalidity > 0);
    assert_true(a->r.result.modseq > 0);
    assert_null(a->messages[0].upload); /* consumed */
    asked_free(a);
    expect_state(f, "Drafts+:; INBOX+: 1(S $k Two)" TRASH);

    struct snap *snap;
    struct row row;
    struct message_location where;
    autobuf bytes = BUF_INIT(BUF_UNLIMITED);
    uint32_t inbox = mailbox_id(f, "INBOX");
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_row(snap, inbox, 1, &row), 0);
    assert_int_equal(row.size, 11);
    assert_int_equal(row.internal_date.seconds, 1700000000);
    assert_int_equal(row.internal_date.zone_minutes, 60);
    assert_int_equal(snap_message(snap, row.message_id, &where), 0);
    struct span derived;
    assert_int_equal(snap_derived(snap, row.message_id, &derived), 0);
    assert_true(derived.n > 0);
    snap_end(snap);
    assert_int_equal(account_read(f->account, &where, 0, 1000, &bytes), 0);
    assert_string_equal(bytes.p, "A: b\r\n\r\nxyz");
    buf_reset(&bytes);
    assert_int_equal(account_read(f->account, &where, 3, 2, &bytes), 0);
    assert_string_equal(bytes.p, "b\r");
}

static void append_refused(void **state)
{
    struct fixture *f = *state;
    struct asked *a = run(f, ask_append(f, "Missing", "x", 0, ""));
    assert_int_equal(a->r.result.error, ERR_NOT_FOUND);
    assert_non_null(a->messages[0].upload); /* still the caller's */
    asked_free(a);
    expect(f, ask_append(f, "a//b", "x", 0, ""), ERR_INVALID);
    expect(f, ask_append(f, "INBOX", "x", 0, "good b[d( again"), ERR_INVALID);
    expect_state(f, DEFAULTS TRASH);
    /* The keyword of the refused request was not made. */
    struct snap *snap;
    uint16_t id;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_keyword_find(snap, SPAN("good"), &id), ERR_NOT_FOUND);
    snap_end(snap);
}

static void append_keyword_limit(void **state)
{
    struct fixture *f = *state;
    autobuf words = BUF_INIT(BUF_UNLIMITED);
    for (int i = 0; i < KEYWORDS_PER_MESSAGE; i++)
        buf_printf(&words, "%sk%d", i ? " " : "", i);
    expect(f, ask_append(f, "INBOX", "x", 0, words.p), 0);
    buf_put_str(&words, " one-more");
    expect(f, ask_append(f, "INBOX", "x", 0, words.p), ERR_LIMIT);
    expect(f, ask_store(mailbox_id(f, "INBOX"), "1", STORE_ADD, 0, "one-more"), ERR_LIMIT);
    expect(f, ask_store(mailbox_id(f, "INBOX"), "1", STORE_ADD, 0, "k7"), 0);
}

static void multiappend_is_atomic(void **state)
{
    struct fixture *f = *state;
    struct asked *a = ask_append(f, "INBOX", "first", FLAG_SEEN, ""), *b, *c;
    b = ask_append(f, "INBOX", "second", 0, "bad[(");
    c = ask_append(f, "INBOX", "second", FLAG_DRAFT, "k");
    a->messages[1] = b->messages[0];
    a->r.message_count = 2;
    run(f, a);
    assert_int_equal(a->r.result.error, ERR_INVALID);
    expect_state(f, DEFAULTS TRASH);

    a->messages[1] = c->messages[0];
    a->answered = false;
    request_result_done(&a->r);
    run(f, a);
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.count, 2);
    assert_int_equal(a->r.result.first_uid, 1);
    expect_state(f, "Drafts+:; INBOX+: 1(S) 2(D k)" TRASH);
    asked_free(a);
    asked_free(b);
    c->messages[0].upload = NULL; /* consumed through a */
    asked_free(c);
}

/* --- STORE --- */

static void store_flags(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    append_n(f, "INBOX", 3);
    expect(f, ask_store(inbox, "1:2", STORE_ADD, FLAG_SEEN, "k"), 0);
    expect_state(f, "Drafts+:; INBOX+: 1(S k) 2(S k) 3()" TRASH);
    expect(f, ask_store(inbox, "2:3", STORE_REPLACE, FLAG_FLAGGED, "j"), 0);
    expect_state(f, "Drafts+:; INBOX+: 1(S k) 2(F j) 3(F j)" TRASH);
    expect(f, ask_store(inbox, "1:3", STORE_REMOVE, FLAG_SEEN | FLAG_FLAGGED, "J never-seen"), 0);
    expect_state(f, "Drafts+:; INBOX+: 1( k) 2() 3()" TRASH);
    expect(f, ask_store(inbox, "1", STORE_REPLACE, 0, ""), 0);
    expect_state(f, "Drafts+:; INBOX+: 1() 2() 3()" TRASH);
    expect(f, ask_store(9999, "1", STORE_ADD, FLAG_SEEN, ""), ERR_NOT_FOUND);
}

static void store_tells_what_changed(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    append_n(f, "INBOX", 5);
    expect(f, ask_store(inbox, "2,5", STORE_ADD, FLAG_DELETED, ""), 0);
    expect(f, ask_uids(REQUEST_EXPUNGE, inbox, "5", NULL), 0);
    struct asked *a = run(f, ask_store(inbox, "1:6", STORE_ADD, FLAG_DELETED, ""));
    expect_ranges(&a->r.result.uids, "1,3:4");
    expect_ranges(&a->r.result.missing, "5:6");
    uint64_t modseq = a->r.result.modseq;
    asked_free(a);
    /* Nothing to change: no modseq is used up, no keyword made. */
    a = run(f, ask_store(inbox, "9:12", STORE_ADD, 0, "unused"));
    assert_int_equal(a->r.result.modseq, 0);
    expect_ranges(&a->r.result.missing, "9:12");
    asked_free(a);
    struct snap *snap;
    uint16_t id;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_modseq(snap), modseq);
    assert_int_equal(snap_keyword_find(snap, SPAN("unused"), &id), ERR_NOT_FOUND);
    snap_end(snap);
}

static void store_unchanged_since(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    append_n(f, "INBOX", 3);
    struct asked *a = run(f, ask_store(inbox, "2", STORE_ADD, FLAG_FLAGGED, ""));
    uint64_t modseq = a->r.result.modseq;
    asked_free(a);
    a = ask_store(inbox, "1:3", STORE_ADD, FLAG_SEEN, "");
    a->r.unchanged_since = modseq - 1;
    a->r.view_modseq = modseq - 2;
    run(f, a);
    assert_int_equal(a->r.result.error, 0);
    expect_ranges(&a->r.result.uids, "1,3");
    expect_ranges(&a->r.result.modified, "2");
    expect_ranges(&a->r.result.raced, "3");
    asked_free(a);
    expect_state(f, "Drafts+:; INBOX+: 1(S) 2(F) 3(S)" TRASH);
}

/* --- EXPUNGE, COPY, MOVE --- */

static void expunge(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    append_n(f, "INBOX", 5);
    struct asked *a = run(f, ask_uids(REQUEST_EXPUNGE, inbox, "", NULL));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.modseq, 0);
    asked_free(a);
    expect(f, ask_store(inbox, "1:2,4", STORE_ADD, FLAG_DELETED, ""), 0);
    a = run(f, ask_uids(REQUEST_EXPUNGE, inbox, "2:3", NULL));
    expect_ranges(&a->r.result.uids, "2");
    asked_free(a);
    expect_state(f, "Drafts+:; INBOX+: 1(T) 3() 4(T) 5()" TRASH);
    a = run(f, ask_uids(REQUEST_EXPUNGE, inbox, "", NULL));
    expect_ranges(&a->r.result.uids, "1,4");
    asked_free(a);
    append_n(f, "INBOX", 1);
    expect_state(f, "Drafts+:; INBOX+: 3() 5() 6()" TRASH);
    expect(f, ask_uids(REQUEST_EXPUNGE, 4711, "", NULL), ERR_NOT_FOUND);
}

static void copy(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    append_n(f, "INBOX", 3);
    append_n(f, "Trash", 1);
    expect(f, ask_store(inbox, "3", STORE_ADD, FLAG_FLAGGED, "k"), 0);
    struct asked *a = run(f, ask_uids(REQUEST_COPY, inbox, "2:9", "Trash"));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.mailbox, mailbox_id(f, "Trash"));
    assert_int_equal(a->r.result.first_uid, 2);
    assert_int_equal(a->r.result.count, 2);
    expect_ranges(&a->r.result.uids, "2:3");
    expect_ranges(&a->r.result.missing, "4:9");
    asked_free(a);
    expect_state(f, "Drafts+:; INBOX+: 1() 2() 3(F k); Trash+: 1() 2() 3(F k)");
    expect(f, ask_uids(REQUEST_COPY, inbox, "1", "INBOX"), 0); /* to itself */
    expect_state(f, "Drafts+:; INBOX+: 1() 2() 3(F k) 4(); Trash+: 1() 2() 3(F k)");
    expect(f, ask_uids(REQUEST_COPY, inbox, "1", "Nowhere"), ERR_NOT_FOUND);
    expect(f, ask_uids(REQUEST_COPY, 999, "1", "Trash"), ERR_NOT_FOUND);
    a = run(f, ask_uids(REQUEST_COPY, inbox, "100", "Trash"));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.count, 0);
    asked_free(a);
}

/* RFC 8508: in one frame, or not at all. */
static void replace(void **state)
{
    struct fixture *f = *state;
    append_n(f, "INBOX", 3);
    struct asked *a = ask_append(f, "Trash", "x", 0, "");
    a->r.mailbox = mailbox_id(f, "INBOX");
    parse_ranges(&a->r.uids, "2");
    run(f, a);
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.count, 1);
    expect_ranges(&a->r.result.uids, "2");
    asked_free(a);
    expect_state(f, "Drafts+:; INBOX+: 1() 3(); Trash+: 1()");
    a = ask_append(f, "INBOX", "x", 0, "");
    a->r.mailbox = mailbox_id(f, "INBOX");
    parse_ranges(&a->r.uids, "2");
    expect(f, a, ERR_BUSY); /* it is gone */
    expect_state(f, "Drafts+:; INBOX+: 1() 3(); Trash+: 1()");
    a = ask_append(f, "INBOX", "x", FLAG_SEEN, "");
    a->r.mailbox = mailbox_id(f, "INBOX");
    parse_ranges(&a->r.uids, "3");
    expect(f, a, 0);
    expect_state(f, "Drafts+:; INBOX+: 1() 4(S); Trash+: 1()");
    fixture_reopen(f);
    expect_state(f, "Drafts+:; INBOX+: 1() 4(S); Trash+: 1()");
}

static void move(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    append_n(f, "INBOX", 3);
    struct asked *a = run(f, ask_uids(REQUEST_MOVE, inbox, "1,3,7", "Trash"));
    assert_int_equal(a->r.result.error, 0);
    expect_ranges(&a->r.result.uids, "1,3");
    expect_ranges(&a->r.result.missing, "7");
    asked_free(a);
    expect_state(f, "Drafts+:; INBOX+: 2(); Trash+: 1() 2()");
    expect(f, ask_uids(REQUEST_MOVE, inbox, "2", "inbox"), 0);
    expect_state(f, "Drafts+:; INBOX+: 4(); Trash+: 1() 2()");
}

/* --- mailboxes --- */

static void create(void **state)
{
    struct fixture *f = *state;
    struct asked *a = run(f, ask_name(REQUEST_CREATE, "a/b/c/", NULL));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.mailbox, mailbox_id(f, "a/b/c"));
    asked_free(a);
    expect_state(f, DEFAULTS TRASH "; a:; a/b:; a/b/c:");
    expect(f, ask_name(REQUEST_CREATE, "a/b", NULL), ERR_EXISTS);
    expect(f, ask_name(REQUEST_CREATE, "inBOX", NULL), ERR_EXISTS);
    expect(f, ask_name(REQUEST_CREATE, "", NULL), ERR_INVALID);
    expect(f, ask_name(REQUEST_CREATE, "x/\x01", NULL), ERR_INVALID);
    a = ask_name(REQUEST_CREATE, "u/uses", NULL);
    a->r.special_use = USE_SENT | USE_ARCHIVE;
    expect(f, a, 0);
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, SPAN("u"), &info), 0);
    assert_int_equal(info.special_use, 0);
    assert_int_equal(snap_mailbox_find(snap, SPAN("u/uses"), &info), 0);
    assert_int_equal(info.special_use, USE_SENT | USE_ARCHIVE);
    snap_end(snap);
}

static uint32_t uidvalidity(struct fixture *f, const char *name)
{
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, span_str(name), &info), 0);
    snap_end(snap);
    return info.uidvalidity;
}

static void delete (void **state)
{
    struct fixture *f = *state;
    expect(f, ask_name(REQUEST_CREATE, "a/b", NULL), 0);
    append_n(f, "a", 2);
    uint32_t before = uidvalidity(f, "a");
    expect(f, ask_name(REQUEST_DELETE, "a", NULL), 0);
    expect_state(f, DEFAULTS TRASH "; a/b:");
    expect(f, ask_name(REQUEST_DELETE, "a", NULL), ERR_NOT_FOUND);
    expect(f, ask_name(REQUEST_DELETE, "Inbox", NULL), ERR_DENIED);
    /* Made again it is another mailbox, whatever the clock says. */
    for (int i = 0; i < 3; i++) {
        expect(f, ask_name(REQUEST_CREATE, "a", NULL), 0);
        assert_true(uidvalidity(f, "a") > before);
        before = uidvalidity(f, "a");
        expect(f, ask_name(REQUEST_DELETE, "a", NULL), 0);
    }
    expect(f, ask_name(REQUEST_SUBSCRIBE, "a/b", NULL), 0);
    expect(f, ask_name(REQUEST_DELETE, "a/b", NULL), 0);
    expect_state(f, DEFAULTS TRASH "; a/b+-");
}

static void rename_tree(void **state)
{
    struct fixture *f = *state;
    expect(f, ask_name(REQUEST_CREATE, "foo/bar/baz", NULL), 0);
    expect(f, ask_name(REQUEST_CREATE, "foo!", NULL), 0); /* sorts between foo and foo/bar */
    expect(f, ask_name(REQUEST_SUBSCRIBE, "foo/bar", NULL), 0);
    append_n(f, "foo/bar", 2);
    uint32_t id = mailbox_id(f, "foo"), validity = uidvalidity(f, "foo/bar");
    struct asked *a = run(f, ask_name(REQUEST_RENAME, "foo", "new/zap"));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.mailbox, id);
    asked_free(a);
    assert_int_equal(uidvalidity(f, "new/zap/bar"), validity);
    expect_state(f, DEFAULTS TRASH "; foo!:; foo/bar+-; new:; new/zap:; new/zap/bar: 1() 2(); "
                                   "new/zap/bar/baz:");
}

static void rename_refused(void **state)
{
    struct fixture *f = *state;
    expect(f, ask_name(REQUEST_CREATE, "a/b", NULL), 0);
    expect(f, ask_name(REQUEST_CREATE, "z/b", NULL), 0);
    expect(f, ask_name(REQUEST_DELETE, "z", NULL), 0);
    expect(f, ask_name(REQUEST_RENAME, "none", "x"), ERR_NOT_FOUND);
    expect(f, ask_name(REQUEST_RENAME, "a", "a"), ERR_EXISTS);
    expect(f, ask_name(REQUEST_RENAME, "a", "Trash"), ERR_EXISTS);
    expect(f, ask_name(REQUEST_RENAME, "a", "inbox"), ERR_EXISTS);
    expect(f, ask_name(REQUEST_RENAME, "a", "a/c"), ERR_INVALID);
    expect(f, ask_name(REQUEST_RENAME, "a", "z"), ERR_EXISTS); /* z/b is in the way of a/b */
    expect(f, ask_name(REQUEST_RENAME, "a", "x//y"), ERR_INVALID);
    expect_state(f, DEFAULTS TRASH "; a:; a/b:; z/b:");
    /* A name that is only a superior can be renamed, too. */
    expect(f, ask_name(REQUEST_RENAME, "z", "y"), 0);
    expect_state(f, DEFAULTS TRASH "; a:; a/b:; y/b:");
}

static void rename_into_freed_names(void **state)
{
    struct fixture *f = *state;
    expect(f, ask_name(REQUEST_CREATE, "a/b/b/c", NULL), 0);
    expect(f, ask_name(REQUEST_CREATE, "a/b/c", NULL), 0);
    expect(f, ask_name(REQUEST_DELETE, "a", NULL), 0);
    uint32_t bc = mailbox_id(f, "a/b/c"), bbc = mailbox_id(f, "a/b/b/c");
    expect(f, ask_name(REQUEST_RENAME, "a/b", "a"), 0);
    expect_state(f, DEFAULTS TRASH "; a:; a/b:; a/b/c:; a/c:");
    assert_int_equal(mailbox_id(f, "a/c"), bc);
    assert_int_equal(mailbox_id(f, "a/b/c"), bbc);
}

static void rename_inbox(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    expect(f, ask_name(REQUEST_CREATE, "INBOX/sub", NULL), 0);
    append_n(f, "INBOX", 3);
    struct asked *a = run(f, ask_name(REQUEST_RENAME, "inbox", "old/mail"));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.count, 3);
    assert_int_equal(a->r.result.mailbox, mailbox_id(f, "old/mail"));
    asked_free(a);
    assert_int_equal(mailbox_id(f, "INBOX"), inbox);
    expect_state(f, "Drafts+:; INBOX+:; INBOX/sub:; Trash+:; old:; old/mail: 1() 2() 3()");
    expect(f, ask_name(REQUEST_RENAME, "INBOX", "empty"), 0);
    append_n(f, "INBOX", 1);
    expect_state(f,
                 "Drafts+:; INBOX+: 4(); INBOX/sub:; Trash+:; empty:; old:; old/mail: 1() 2() 3()");
}

static void subscriptions(void **state)
{
    struct fixture *f = *state;
    expect(f, ask_name(REQUEST_SUBSCRIBE, "later", NULL), 0);
    struct asked *a = run(f, ask_name(REQUEST_SUBSCRIBE, "later", NULL));
    assert_int_equal(a->r.result.error, 0);
    assert_int_equal(a->r.result.modseq, 0);
    asked_free(a);
    expect_state(f, DEFAULTS TRASH "; later+-");
    expect(f, ask_name(REQUEST_UNSUBSCRIBE, "later", NULL), 0);
    expect(f, ask_name(REQUEST_UNSUBSCRIBE, "never", NULL), 0);
    expect(f, ask_name(REQUEST_UNSUBSCRIBE, "Trash", NULL), 0);
    expect(f, ask_name(REQUEST_SUBSCRIBE, "a//b", NULL), ERR_INVALID);
    expect_state(f, DEFAULTS "; Trash:");
}

static void special_use(void **state)
{
    struct fixture *f = *state;
    struct asked *a = ask_name(REQUEST_SPECIAL_USE, "Trash", NULL);
    a->r.special_use = USE_JUNK;
    expect(f, a, 0);
    a = ask_name(REQUEST_SPECIAL_USE, "None", NULL);
    expect(f, a, ERR_NOT_FOUND);
    struct snap *snap;
    struct mailbox_info info;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_mailbox_find(snap, SPAN("Trash"), &info), 0);
    assert_int_equal(info.special_use, USE_JUNK);
    snap_end(snap);
}

/* --- the rest of the interface --- */

static void recent_is_claimed_once(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX"), lo;
    append_n(f, "INBOX", 3);
    assert_int_equal(account_claim_recent(f->account, inbox, 3, &lo), 0);
    assert_int_equal(lo, 1); /* 1 and 2; the session did not see 3 */
    assert_int_equal(account_claim_recent(f->account, inbox, 4, &lo), 0);
    assert_int_equal(lo, 3);
    assert_int_equal(account_claim_recent(f->account, inbox, 4, &lo), 0);
    assert_true(lo >= 4);
    append_n(f, "INBOX", 1);
    fixture_reopen(f);
    assert_int_equal(account_claim_recent(f->account, inbox, 5, &lo), 0);
    assert_int_equal(lo, 4);
    fixture_reopen(f);
    assert_int_equal(account_claim_recent(f->account, inbox, 5, &lo), 0);
    assert_true(lo >= 5);
}

static void reopened_it_is_the_same(void **state)
{
    struct fixture *f = *state;
    uint32_t inbox = mailbox_id(f, "INBOX");
    append_n(f, "INBOX", 4);
    expect(f, ask_store(inbox, "1:3", STORE_ADD, FLAG_DELETED, "k"), 0);
    expect(f, ask_uids(REQUEST_EXPUNGE, inbox, "2", NULL), 0);
    expect(f, ask_uids(REQUEST_COPY, inbox, "1", "Trash"), 0);
    autobuf before = BUF_INIT(BUF_UNLIMITED);
    describe(f, &before);
    fixture_reopen(f);
    expect_state(f, before.p);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(new_account_has_its_mailboxes),
        TEST(append_stores),
        TEST(append_refused),
        TEST(append_keyword_limit),
        TEST(multiappend_is_atomic),
        TEST(store_flags),
        TEST(store_tells_what_changed),
        TEST(store_unchanged_since),
        TEST(expunge),
        TEST(copy),
        TEST(move),
        TEST(replace),
        TEST(create),
        TEST(delete),
        TEST(rename_tree),
        TEST(rename_refused),
        TEST(rename_into_freed_names),
        TEST(rename_inbox),
        TEST(subscriptions),
        TEST(special_use),
        TEST(recent_is_claimed_once),
        TEST(reopened_it_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
