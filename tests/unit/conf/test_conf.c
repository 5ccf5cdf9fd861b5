#include "support/cmocka.h"

#include <fcntl.h>

#include "base/random.h"
#include "conf/conf.h"
#include "conf/rules.h"

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
    refused(
        "login.timeout = soon",
        "t.conf:1: login.timeout: \"soon\" is not a time (a number with ms, s, min, h, d or w)");
    refused("login.timeout = 0s", "t.conf:1: login.timeout: 0s is not between 1s and 1d");
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
    refused("mailboxes = Sent",
            "t.conf:1: mailboxes is a section of names with values: mailboxes { name = value }");
    refused("imap {\n", "t.conf:1: this section does not end: \"}\" is missing");
    refused("}", "t.conf:1: \"}\" without a section");
    refused("lmtp.domains = [ b", "t.conf:1: this list does not end");
    refused("state_dir = \"b\nc\"", "t.conf:1: this string does not end on its line");
    refused("/* a\n\n", "t.conf:1: this comment does not end");
    refused("log.level = info debug", "t.conf:1: a statement ends with a newline or \";\"; values "
                                      "with spaces need quotes");
    /* What was meant, where that can be told. */
    refused("login.timeout = 5minutes",
            "t.conf:1: login.timeout: \"5minutes\" is not a time (a number "
            "with ms, s, min, h, d or w); did you mean \"5min\"?");
    refused("imap.idle_timeout = 30m",
            "t.conf:1: imap.idle_timeout: \"30m\" is not a time (a number "
            "with ms, s, min, h, d or w); did you mean \"30min\"?");
    refused("imap.line_max = 64kib",
            "t.conf:1: imap.line_max: \"64kib\" is not a size (a number with "
            "kb, mb or gb); did you mean \"64kb\"?");
    refused("imap.line_max = 5min",
            "t.conf:1: imap.line_max: \"5min\" is not a size (a number with kb, mb or gb)");
    refused("imap.line_max = 17mb", "t.conf:1: imap.line_max: 17mb is not between 1kb and 16mb");
    refused("imap.tasks_max = 10s",
            "t.conf:1: imap.tasks_max: \"10s\" is not a number without a unit");
    refused("imap.tasks_max = -1", "t.conf:1: imap.tasks_max: \"-1\" is not a number");
    refused("imap.tasks_max = 99999999999999999999",
            "t.conf:1: imap.tasks_max: 99999999999999999999 is not between 1 and 10000");
    refused("log.level = inf",
            "t.conf:1: log.level: \"inf\" is not one of: error warning info debug; "
            "did you mean \"info\"?");
    refused("tls.certificat = x",
            "t.conf:1: there is no setting \"tls.certificat\"; did you mean \"tls.certificate\"?");
    /* Twice in one file: which one is meant nobody knows. */
    refused("log.level = info\n\nlog { level = debug }",
            "t.conf:3: log.level is set already in line 1; one of the two has to go");
    refused("imap.listen = [\"*:1\"]\nimap.listen = [\"*:2\"]",
            "t.conf:2: imap.listen is set already in line 1; one of the two has to go");
    refused("mailboxes {\n Sent = sent\n Sent = none\n}",
            "t.conf:3: mailboxes.Sent is set already, in or after line 2");
    /* What UCL has and Martlet does not. */
    refused("\n.include \"x.conf\"",
            "t.conf:2: macros such as .include are not read: one file has all settings");
    refused("state_dir = '/var/x'", "t.conf:1: strings have double quotes here: \"...\"");
    refused("state_dir = <<EOD\nx\nEOD",
            "t.conf:1: here-documents (<<) are not read; write a \"string\" on one line");
    refused("a{b{c{d{e{f=1}}}}}", "t.conf:1: sections are nested too deeply");
    refused("log.level =\n", "t.conf:1: a name or value is missing here");
}

static void option_refused(const char *statement, const char *why)
{
    struct err err = {0};
    struct conf *c = conf_new();
    assert_int_equal(conf_set(c, span_str(statement), &err), ERR_INVALID);
    assert_string_equal(err.text, why);
    conf_free(c);
}

static void show(void *arg, const struct conf_shown *s)
{
    buf_printf(arg, "%s=%s@%d:%s:%u\n", s->name, s->value, (int)s->origin.kind,
               s->origin.file ? s->origin.file : "", s->origin.line);
}

/* Options change what the file says; where each value comes from can be told. */
static void test_origins(void **state)
{
    (void)state;
    struct err err = {0};
    autobuf all = BUF_INIT(1 << 20);
    struct conf *c = conf_load_text(SPAN("log.level = debug\n"
                                         "imap {\n line_max = 2000\n listen = [\"127.0.0.1:1\",\n"
                                         "\"[::1]:1\"] }\nauth.any_user_password = hush\n"
                                         "login.timeout = 90s\nmailboxes { A = none }\n"),
                                    "a.conf", &err);
    assert_string_equal(err.text, "");
    assert_int_equal(conf_set(c, SPAN("log.level=error"), &err), 0);
    assert_int_equal(conf_set(c, SPAN("log.level=warning"), &err), 0);
    conf_show(c, show, &all);
    const char *lines[] = {"log.level=warning@2:-o:0\n",
                           "imap.line_max=2000@1:a.conf:3\n",
                           "imap.listen=[\"127.0.0.1:1\", \"[::1]:1\"]@1:a.conf:4\n",
                           "auth.any_user_password=\"(secret)\"@1:a.conf:6\n",
                           "login.timeout=90s@1:a.conf:7\n",
                           "mailboxes={ \"A\" = \"none\" }@1:a.conf:8\n",
                           "imap.idle_timeout=30min@0::0\n",
                           "imap.literal_max=128mb@0::0\n",
                           "auth.failure_delay=500ms@0::0\n",
                           "state_dir=\"/var/lib/martlet\"@0::0\n"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(all.p, lines[i]))
            fail_msg("%s not in\n%s", lines[i], all.p);
    conf_free(c);
    option_refused("log.levle=info",
                   "-o: there is no setting \"log.levle\"; did you mean \"log.level\"?");
    option_refused("log.level=x", "-o: log.level: \"x\" is not one of: error warning info debug");
    option_refused("log.level", "-o: unexpected end");
}

/* What is shown can be written into a file, and means the same. */
static void put_line(void *arg, const struct conf_shown *s)
{
    buf_printf(arg, s->value[0] == '{' ? "%s %s\n" : "%s = %s\n", s->name, s->value);
}

static void test_shown_is_read_back(void **state)
{
    (void)state;
    struct err err = {0};
    autobuf text = BUF_INIT(1 << 20), a = BUF_INIT(65536), b = BUF_INIT(65536);
    struct conf *c = conf_load_text(
        SPAN("state_dir = \"/a \\\"\\u0007\\\\b\"; imap.line_max = 1025"), "x", &err);
    assert_string_equal(err.text, "");
    conf_show(c, put_line, &text);
    struct conf *d = conf_load_text(buf_span(&text), "y", &err);
    assert_string_equal(err.text, "");
    conf_encode(c, true, &a);
    conf_encode(d, true, &b);
    assert_true(span_eq(buf_span(&a), buf_span(&b)));
    conf_free(c);
    conf_free(d);
}

static void check_rule(const char *text, const char *why)
{
    struct err err = {0};
    struct conf *c = conf_load_text(span_str(text), "t.conf", &err);
    assert_string_equal(err.text, "");
    int error = conf_check(c, &err);
    if (error != (*why ? ERR_INVALID : 0))
        fail_msg("%s: %d %s", text, error, err.text);
    if (strncmp(err.text, why, strlen(why)) != 0 || (!*why && *err.text))
        fail_msg("\"%s\" does not begin with \"%s\"", err.text, why);
    conf_free(c);
}

static void test_rules(void **state)
{
    (void)state;
    static const char no_tls[] = "imaps.listen = []\n";
    char text[500];
    check_rule("imaps.listen = []", "");
    check_rule("\nimaps.listen = [\"*:993\"]\ntls { certificate = /nowhere/c.pem }",
               "t.conf:3: tls.certificate: /nowhere/c.pem: No such file or directory, but "
               "imaps.listen needs a certificate and its key (or set imaps.listen = [])");
    check_rule("tls.certificate = cert.pem", "t.conf:1: tls.certificate: \"cert.pem\" is not an "
                                             "absolute path");
    check_rule("imaps.listen = []; tls { certificate = /bin/sh; key = \"\" }",
               "t.conf:1: tls.key: it is empty, but a certificate and its key belong together");
    check_rule("imaps.listen = []; tls.client_certificates = required",
               "default: tls.client_ca: it is empty, but tls.client_certificates asks");
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"auth.any_user_password = x", "t.conf:2: auth.any_user_password: it is for tests, and "
                                       "refused because *:143 (imap.listen) is not a loopback"},
        {"auth.any_user_password = x; imap.listen = \"127.0.0.1:143\"", ""},
        {"auth.any_user_password = x; imap.listen = \"[::1]:143\"; lmtp.listen = /run/lmtp", ""},
        {"imap.listen = \"localhost:143\"",
         "t.conf:2: imap.listen: \"localhost:143\" does not begin with an IP address"},
        {"imap.listen = [\"127.0.0.1:24\"]",
         "default: lmtp.listen: 127.0.0.1:24 is taken already by 127.0.0.1:24 in imap.listen"},
        {"imap.listen = [\"*:143\", \"[::1]:143\"]",
         "t.conf:2: imap.listen: [::1]:143 is taken already by *:143 in imap.listen"},
        {"imap.listen = [\"127.0.0.1:143\", \"[::1]:143\", \"127.0.0.2:143\"]", ""},
        {"imap.listen = []; lmtp.listen = []",
         "t.conf:2: imap.listen: the server would listen nowhere"},
        {"auth { failure_delay = 10s }", "t.conf:2: auth.failure_delay: 10000 ms are more than"},
        {"login.unfinished = 20000", "t.conf:2: login.unfinished: 20000 are more than"},
        {"imap.line_max = 1mb\nimap.command_memory = 512kb",
         "t.conf:2: imap.line_max: 1048576 octets are more than imap.command_memory"},
        {"state_dir = mail", "t.conf:2: state_dir: \"mail\" is not an absolute path"},
        {"state_dir = /a123456789012345678901234567890123456789012345678901234567890123456789012345"
         "67890123456789012345678",
         "t.conf:2: state_dir: it has 100 characters; "},
        {"imap.listen = []; lmtp.listen = []; proxy { imap_listen = \"*:1143\"; trusted = "
         "192.0.2.7 }",
         ""},
        {"proxy { imaps_listen = \"*:1993\"; trusted = 192.0.2.7 }",
         "default: tls.certificate: /etc/martlet/cert.pem: No such file or directory, but "
         "proxy.imaps_listen needs a certificate"},
        {"process.mail_user = martlet-auth",
         "t.conf:2: process.mail_user: martlet-auth is process.auth_user already"},
        {"process.login_user = root", "t.conf:2: process.login_user: \"root\" cannot be it"},
        {"mailboxes { inbox = sent }", "t.conf:2: mailboxes: INBOX is there by itself"},
        {"mailboxes { \"a//b\" = sent }",
         "t.conf:2: mailboxes: \"a//b\" cannot be the name of a mailbox"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(text, sizeof(text), "%s%s", no_tls, cases[i].text);
        check_rule(text, cases[i].why);
    }
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

struct differences {
    struct buf fixed, changeable;
};

static void on_difference(void *arg, const char *name, bool fixed)
{
    struct differences *d = arg;
    buf_printf(fixed ? &d->fixed : &d->changeable, "%s ", name);
}

static void test_reload(void **state)
{
    (void)state;
    struct err err;
    struct differences d = {BUF_INIT(1024), BUF_INIT(1024)};
    struct conf *a = conf_new();
    struct conf *b = conf_load_text(SPAN("state_dir = /elsewhere; mail.processes = 7\n"
                                         "imap.listen = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n"
                                         "login { plaintext = true; timeout = 5s }\n"
                                         "mailboxes { Mine = none }\n"),
                                    "b", &err);
    assert_non_null(b);
    conf_diff(a, a, on_difference, &d);
    assert_int_equal(d.fixed.n + d.changeable.n, 0);
    conf_diff(a, b, on_difference, &d);
    assert_string_equal(d.fixed.p, "state_dir mail.processes ");
    assert_non_null(strstr(d.changeable.p, "imap.listen "));
    assert_non_null(strstr(d.changeable.p, "login.plaintext "));
    assert_non_null(strstr(d.changeable.p, "login.timeout "));
    assert_non_null(strstr(d.changeable.p, "mailboxes "));
    assert_int_equal(conf_keep_fixed(b, a), 0);
    assert_string_equal(b->state_dir, a->state_dir);
    assert_int_equal(b->mail_processes, a->mail_processes);
    assert_int_equal(b->login_timeout, 5);
    buf_reset(&d.fixed);
    conf_diff(a, b, on_difference, &d);
    assert_int_equal(d.fixed.n, 0);
    conf_free(a);
    conf_free(b);
    buf_done(&d.fixed);
    buf_done(&d.changeable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_default_file),
        cmocka_unit_test(test_origins),
        cmocka_unit_test(test_shown_is_read_back),
        cmocka_unit_test(test_rules),
    };
    return cmocka_run_group_tests_name("conf", tests, NULL, NULL);
}
