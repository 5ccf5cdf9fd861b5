#include "support/cmocka.h"

#include <fcntl.h>

#include "base/random.h"
#include "conf/conf.h"

static void test_defaults(void **state)
{
    (void)state;
    struct conf *c = conf_new();
    assert_string_equal(c->state_dir, "/var/lib/martlet");
    assert_int_equal(c->imap_listen.count, 1);
    assert_string_equal(c->imap_listen.items[0], "*:143");
    assert_null(c->imap_listen.items[1]);
    assert_int_equal(c->imap_idle_timeout, 1800);
    assert_int_equal(c->imap_line_max, 65536);
    assert_int_equal(c->auth_failure_delay, 500);
    assert_int_equal(c->imap_literal, CONF_LITERAL_PLUS);
    assert_true(c->imap_side_by_side);
    assert_int_equal(c->mailboxes.count, 10);
    assert_string_equal(c->mailboxes.items[8], "Archive");
    assert_string_equal(c->mailboxes.items[9], "archive");
    assert_string_equal(c->auth_any_user_password, "");
    assert_int_equal(c->log_level, 2);
    conf_free(c);
}

static void test_syntax(void **state)
{
    (void)state;
    static const char text[] = "# a comment\n"
                               "state_dir = \"/tmp/with space\\u00e4\\\\\";\n"
                               "imap { listen = [\"127.0.0.1:1143\", /* in between */\n"
                               "  \"[::1]:1143\"], literal: minus }\n"
                               "imap.side_by_side off\n"
                               "login {\n timeout = 2min\n connections=77;unfinished 5\n}\n"
                               "imap { line_max = 10k; literal_max = 2GB }\n"
                               "lmtp.listen = /run/lmtp.sock\n"
                               "imaps.listen = []\n"
                               "mailboxes { \"Papierkorb \\u00fc\" = trash\n Sent = none }\n"
                               "log { level = debug }";
    struct err err = {0};
    struct conf *c = conf_load_text(span_str(text), "t.conf", &err);
    assert_string_equal(err.text, "");
    assert_non_null(c);
    assert_string_equal(c->state_dir, "/tmp/with space\xc3\xa4\\");
    assert_int_equal(c->imap_listen.count, 2);
    assert_string_equal(c->imap_listen.items[1], "[::1]:1143");
    assert_int_equal(c->imaps_listen.count, 0);
    assert_null(c->imaps_listen.items[0]);
    assert_int_equal(c->imap_literal, CONF_LITERAL_MINUS);
    assert_false(c->imap_side_by_side);
    assert_int_equal(c->login_timeout, 120);
    assert_int_equal(c->login_connections, 77);
    assert_int_equal(c->login_unfinished, 5);
    assert_int_equal(c->imap_line_max, 10000);
    assert_true(c->imap_literal_max == UINT64_C(2) << 30);
    assert_string_equal(c->lmtp_listen.items[0], "/run/lmtp.sock");
    assert_int_equal(c->mailboxes.count, 4);
    assert_string_equal(c->mailboxes.items[0], "Papierkorb \xc3\xbc");
    assert_string_equal(c->mailboxes.items[3], "none");
    assert_int_equal(conf_set(c, SPAN("log.level=error"), &err), 0);
    assert_int_equal(c->log_level, 0);

    autobuf wire = BUF_INIT(65536);
    conf_encode(c, false, &wire);
    struct conf *d = conf_decode(buf_span(&wire), &err);
    assert_non_null(d);
    assert_string_equal(d->state_dir, c->state_dir);
    assert_string_equal(d->mailboxes.items[0], c->mailboxes.items[0]);
    assert_int_equal(d->imap_literal, c->imap_literal);
    assert_false(d->imap_side_by_side);
    assert_null(conf_decode(span_head(buf_span(&wire), wire.n - 1), &err));
    conf_free(d);
    conf_free(c);
}

static void test_secrets(void **state)
{
    (void)state;
    struct err err;
    struct conf *c = conf_load_text(SPAN("auth.any_user_password = hush"), "t", &err), *d;
    autobuf wire = BUF_INIT(65536);
    conf_encode(c, false, &wire);
    assert_null(memmem(wire.p, wire.n, "hush", 4));
    buf_reset(&wire);
    conf_encode(c, true, &wire);
    d = conf_decode(buf_span(&wire), &err);
    assert_string_equal(d->auth_any_user_password, "hush");
    conf_free(c);
    conf_free(d);
}

static void refused(const char *text, const char *why)
{
    struct err err = {0};
    assert_null(conf_load_text(span_str(text), "t.conf", &err));
    assert_int_equal(err.code, ERR_INVALID);
    assert_string_equal(err.text, why);
}

static void test_refusals(void **state)
{
    (void)state;
    refused("\n\nimap {\n  listne = x\n}",
            "t.conf:4: there is no setting \"imap.listne\"; did you mean \"imap.listen\"?");
    refused("imaps.idle_timeout = 1h", "t.conf:1: there is no setting \"imaps.idle_timeout\"; "
                                       "did you mean \"imap.idle_timeout\"?");
    refused("login.timeout = soon",
            "t.conf:1: login.timeout: \"soon\" is not a time (such as 90s, 30min, 500ms)");
    refused("login.timeout = 0s", "t.conf:1: login.timeout: 0s is not between 1 and 86400");
    refused("login.timeout = [1s, 2s]", "t.conf:1: login.timeout takes one value, not a list");
    refused("imap.literal = both", "t.conf:1: imap.literal: \"both\" is not one of: plus minus");
    refused("imap.side_by_side = maybe",
            "t.conf:1: imap.side_by_side: \"maybe\" is not true or false");
    refused("imap.listen = ::1:143", "t.conf:1: imap.listen: \"::1:143\" is not an address with a "
                                     "port (such as 127.0.0.1:143)");
    refused(
        "mailboxes { Sent = outbox }",
        "t.conf:1: mailboxes: \"outbox\" is not one of: none all archive drafts flagged junk sent "
        "trash important");
    refused("mailboxes = Sent", "t.conf:1: mailboxes is a section of names with values");
    refused("imap {\n", "t.conf:1: this section does not end: \"}\" is missing");
    refused("}", "t.conf:1: \"}\" without a section");
    refused("lmtp.domains = [ b", "t.conf:1: this list does not end");
    refused("state_dir = \"b\nc\"", "t.conf:1: this string does not end on its line");
    refused("/* a\n\n", "t.conf:1: this comment does not end");
    refused("log.level = info debug", "t.conf:1: a statement ends with a newline or \";\"; values "
                                      "with spaces need quotes");
    refused("a{b{c{d{e{f=1}}}}}", "t.conf:1: sections are nested too deeply");
    refused("log.level =\n", "t.conf:1: a name or value is missing here");
}

/* Noise never does worse than to be refused. */
static void test_noise(void **state)
{
    (void)state;
    static const char letters[] = "imaplog.lev = {}[],;:\"\\#/*\n 1k\0";
    for (int i = 0; i < 20000; i++) {
        char text[60];
        size_t n = random_u64() % sizeof(text);
        autofree char *copy = xmalloc(n + 1);
        for (size_t k = 0; k < n; k++)
            copy[k] = letters[random_u64() % (sizeof(letters) - 1)];
        struct err err;
        conf_free(conf_load_text(span_make(copy, n), "noise", &err));
    }
}

/* The file that is installed says what the table says. */
static void test_default_file(void **state)
{
    (void)state;
    autobuf want = BUF_INIT(1 << 20), have = BUF_INIT(1 << 20);
    conf_print_default(&want);
    autoclose int fd = open(getenv("MARTLET_CONF"), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t n = read(fd, buf_reserve(&have, 100000), 100000);
    assert_true(n > 0);
    buf_commit(&have, (size_t)n);
    assert_string_equal(have.p, want.p);

    struct err err = {0};
    struct conf *c = conf_load(getenv("MARTLET_CONF"), &err);
    assert_string_equal(err.text, "");
    conf_free(c);
    /* With every setting made active it is still valid, and the same. */
    for (size_t i = 0; i + 1 < have.n; i++)
        if (have.p[i] == '#' && have.p[i + 1] != ' ')
            have.p[i] = ' ';
    c = conf_load_text(buf_span(&have), "active", &err);
    assert_string_equal(err.text, "");
    struct conf *d = conf_new();
    autobuf a = BUF_INIT(65536), b = BUF_INIT(65536);
    conf_encode(c, true, &a);
    conf_encode(d, true, &b);
    assert_true(span_eq(buf_span(&a), buf_span(&b)));
    conf_free(c);
    conf_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_secrets),  cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_noise),    cmocka_unit_test(test_default_file),
    };
    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
