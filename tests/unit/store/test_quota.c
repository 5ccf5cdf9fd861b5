/* Quota roots and metadata: limits are exact within a batch, what is counted is what is there, and
 * all of it survives everything that rewrites the log or the index. */
#include "fixture.h"
#include "store/maintain.h"
#include "store/metadata.h"
#include "store/quota.h"
#include "store/store_int.h"

static void set_limit(struct fixture *f, const char *root, enum quota_resource what, uint64_t limit,
                      int error)
{
    struct asked *a = ask_name(REQUEST_QUOTA, root, NULL);
    for (size_t i = 0; i < QUOTA_RESOURCES; i++)
        a->r.limits[i] = QUOTA_KEEP;
    a->r.limits[what] = limit;
    expect(f, a, error);
}

static struct quota_use use(struct fixture *f, const char *root)
{
    struct snap *snap;
    struct quota_use q;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    assert_int_equal(snap_quota_find(snap, f->account, span_str(root), &q), 0);
    snap_end(snap);
    q.name = SPAN_EMPTY;
    return q;
}

static void expect_used(struct fixture *f, const char *root, uint64_t messages, uint64_t mailboxes,
                        uint64_t annotation)
{
    struct quota_use q = use(f, root);
    assert_int_equal(q.used[QUOTA_MESSAGE], messages);
    assert_int_equal(q.used[QUOTA_MAILBOX], mailboxes);
    assert_int_equal(q.used[QUOTA_ANNOTATION], annotation);
}

static void note(struct fixture *f, const char *mailbox, const char *owner, const char *name,
                 const char *value, int error)
{
    struct asked *a = ask_name(REQUEST_METADATA, mailbox, NULL);
    struct metadata_change change = {.owner = span_str(owner),
                                     .name = span_str(name),
                                     .value = value ? span_str(value) : SPAN_EMPTY,
                                     .remove = !value};
    a->r.entries = &change;
    a->r.entry_count = 1;
    a->r.entries_max = 20;
    expect(f, a, error);
}

static void expect_note(struct fixture *f, const char *mailbox, const char *owner, const char *name,
                        const char *value)
{
    struct snap *snap;
    struct span got;
    assert_int_equal(snap_begin(f->account, &snap), 0);
    struct mailbox_info m = {.id = 0};
    if (*mailbox)
        assert_int_equal(snap_mailbox_find(snap, span_str(mailbox), &m), 0);
    int rc = snap_metadata(snap, m.id, span_str(owner), span_str(name), &got);
    assert_int_equal(rc, value ? 0 : ERR_NOT_FOUND);
    if (value)
        assert_true(span_eq(got, span_str(value)));
    snap_end(snap);
}

/* All in one batch: each is counted before the next is looked at. */
static void exact_within_a_batch(void **state)
{
    struct fixture *f = *state;
    enum { N = 64, ROOM = 17 };
    struct asked *a[N];
    unsigned taken = 0;
    struct asked *first = run(f, ask_append(f, "INBOX", "x", 0, ""));
    asked_free(first);
    uint64_t size = use(f, "").used[QUOTA_STORAGE];
    assert_true(size > 0);
    set_limit(f, "", QUOTA_STORAGE, (ROOM + 1) * size + size - 1, 0);
    for (size_t i = 0; i < N; i++) {
        a[i] = ask_append(f, "INBOX", "x", 0, "");
        submit(f, a[i]);
    }
    manual_host_run(&f->host);
    for (size_t i = 0; i < N; i++) {
        assert_true(a[i]->answered);
        assert_int_equal(a[i]->r.result.error, i < ROOM ? 0 : ERR_QUOTA);
        taken += a[i]->r.result.error == 0;
        asked_free(a[i]);
    }
    assert_int_equal(taken, ROOM);
    assert_int_equal(use(f, "").used[QUOTA_STORAGE], (ROOM + 1) * size);
    set_limit(f, "", QUOTA_STORAGE, 1, 0); /* below what is used: nothing more, but less */
    expect(f, ask_uids(REQUEST_COPY, mailbox_id(f, "INBOX"), "1", "Trash"), ERR_QUOTA);
    expect(f, ask_uids(REQUEST_MOVE, mailbox_id(f, "INBOX"), "1", "Trash"), 0);
    expect(f, ask_name(REQUEST_DELETE, "Trash", NULL), 0);
    assert_int_equal(use(f, "").used[QUOTA_STORAGE], ROOM * size);
    set_limit(f, "", QUOTA_STORAGE, QUOTA_DEFAULT, 0);
    expect(f, ask_uids(REQUEST_COPY, mailbox_id(f, "INBOX"), "2:4", "INBOX"), 0);
}

static void metadata_of_mailboxes(void **state)
{
    struct fixture *f = *state;
    char name[40];
    expect(f, ask_name(REQUEST_CREATE, "a", NULL), 0);
    note(f, "a", "", "/shared/comment", "of a", 0);
    note(f, "a", "ann", "/private/comment", "ann's", 0);
    note(f, "missing", "", "/shared/comment", "x", ERR_NOT_FOUND);
    note(f, "", "ann", "/private/x", "own", 0);
    expect(f, ask_name(REQUEST_RENAME, "a", "b"), 0);
    expect_note(f, "b", "", "/shared/comment", "of a");
    expect_note(f, "b", "ann", "/private/comment", "ann's");
    expect_note(f, "b", "bob", "/private/comment", NULL);
    expect_note(f, "", "ann", "/private/x", "own");
    note(f, "b", "", "/shared/comment", NULL, 0);
    expect_note(f, "b", "", "/shared/comment", NULL);
    assert_int_equal(use(f, "").used[QUOTA_ANNOTATION],
                     strlen("/private/commentann's/private/xown"));
    for (int i = 0; i < 100; i++) { /* names that come and go */
        snprintf(name, sizeof(name), "/shared/n%d", i);
        note(f, "b", "", name, "v", 0);
        if (i >= 10)
            note(f, "b", "", name, NULL, 0);
    }
    for (int i = 0; i < 11; i++) {
        snprintf(name, sizeof(name), "/shared/m%d", i);
        note(f, "b", "", name, "v", i < 10 ? 0 : ERR_LIMIT);
    }
    expect(f, ask_name(REQUEST_DELETE, "b", NULL), 0);
    assert_int_equal(use(f, "").used[QUOTA_ANNOTATION], strlen("/private/xown"));
}

/* --- maintenance --- */

static void on_finding(struct maintenance *m, const struct finding *finding)
{
    (void)m;
    fail_msg("finding: %s", finding->text);
}

static void on_progress(struct maintenance *m, uint64_t done, uint64_t total)
{
    (void)m;
    assert_true(done <= total);
}

static void on_finished(struct maintenance *m, int error, const char *text)
{
    if (error)
        fail_msg("maintenance: %s", text);
    *(bool *)m->arg = true;
}

static void maintain(struct fixture *f, void (*start)(struct account *, struct maintenance *))
{
    bool finished = false;
    struct maintenance m = {
        .finding = on_finding, .progress = on_progress, .finished = on_finished, .arg = &finished};
    start(f->account, &m);
    manual_host_run(&f->host);
    assert_true(finished);
}

static void compact(struct account *a, struct maintenance *m)
{
    account_compact(a, true, m);
}

static void expect_all(struct fixture *f, uint64_t own_mailboxes)
{
    expect_used(f, "", 2, own_mailboxes, strlen("/private/xown"));
    expect_used(f, "archive", 1, 3, strlen("/shared/commentof a"));
    assert_int_equal(use(f, "archive").limit[QUOTA_MESSAGE], 1);
    assert_int_equal(use(f, "").limit[QUOTA_MAILBOX], 50);
    expect_note(f, "a", "", "/shared/comment", "of a");
    expect_note(f, "", "ann", "/private/x", "own");
}

static void survives_maintenance(void **state)
{
    struct fixture *f = *state;
    expect(f, ask_name(REQUEST_CREATE, "a/b", NULL), 0);
    uint64_t all = use(f, "").used[QUOTA_MAILBOX];
    expect(f, ask_name(REQUEST_QUOTA_ROOT, "a", "archive"), 0);
    expect(f, ask_name(REQUEST_QUOTA_ROOT, "missing", "archive"), ERR_NOT_FOUND);
    set_limit(f, "", QUOTA_MAILBOX, 50, 0);
    set_limit(f, "archive", QUOTA_MESSAGE, 1, 0);
    set_limit(f, "missing", QUOTA_MESSAGE, 1, ERR_NOT_FOUND);
    expect(f, ask_name(REQUEST_CREATE, "a/b/c", NULL), 0); /* inherits the root */
    for (int i = 0; i < 3; i++)
        asked_free(run(f, ask_append(f, "INBOX", "x", 0, "")));
    expect(f, ask_uids(REQUEST_MOVE, mailbox_id(f, "INBOX"), "1", "a/b"), 0);
    expect(f, ask_uids(REQUEST_MOVE, mailbox_id(f, "INBOX"), "2", "a/b"), ERR_QUOTA);
    note(f, "a", "", "/shared/comment", "of a", 0);
    note(f, "", "ann", "/private/x", "own", 0);
    note(f, "INBOX", "", "/shared/gone", "x", 0);
    note(f, "INBOX", "", "/shared/gone", NULL, 0);
    expect_all(f, all - 2);
    fixture_reopen(f);
    expect_all(f, all - 2);
    maintain(f, account_rebuild);
    expect_all(f, all - 2);
    maintain(f, compact);
    maintain(f, account_check);
    maintain(f, account_rebuild); /* replays the base */
    expect_all(f, all - 2);
    expect(f, ask_uids(REQUEST_MOVE, mailbox_id(f, "INBOX"), "2", "a/b"), ERR_QUOTA);
    expect(f, ask_name(REQUEST_QUOTA_ROOT, "a", ""), 0); /* nobody has it any more: it goes */
    set_limit(f, "archive", QUOTA_MESSAGE, 1, ERR_NOT_FOUND);
    expect_used(f, "", 3, all + 1, strlen("/private/xown/shared/commentof a"));
    maintain(f, account_check);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(exact_within_a_batch),
        TEST(metadata_of_mailboxes),
        TEST(survives_maintenance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
