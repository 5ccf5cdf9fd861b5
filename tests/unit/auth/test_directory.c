#include "support/cmocka.h"

#include <fcntl.h>

#include "auth/app_password.h"
#include "auth/directory.h"
#if MARTLET_WITH_LDAP
#include "auth/ldap_filter.h"
#endif
#if MARTLET_WITH_SQLITE
#include "auth/sql_int.h"
#endif

static char dir[] = "/tmp/test_directory.XXXXXX";
static char users[64], apps[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(users, sizeof(users), "%s/users", mkdtemp(dir));
    snprintf(apps, sizeof(apps), "%s/apps", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char path[80];
    snprintf(path, sizeof(path), "%s.lock", apps);
    unlink(path);
    unlink(users);
    unlink(apps);
    return rmdir(dir);
}

static void put(const char *file, const char *text)
{
    char next[80];
    snprintf(next, sizeof(next), "%s.new", file);
    int fd = open(next, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    assert_int_equal(rename(next, file), 0);
}

static struct directories *make(const char *text, struct err *err)
{
    struct conf *c = conf_load_text(span_str(text), "test", err);
    assert_non_null(c);
    struct directories *d = directories_new(c, err);
    conf_free(c);
    return d;
}

static struct directories *make_file(struct err *err)
{
    char text[300];
    snprintf(text, sizeof(text), "auth { users_file = \"%s\"; app_passwords_file = \"%s\" }", users,
             apps);
    return make(text, err);
}

static int check(struct directories *d, const char *name, const char *password)
{
    struct directory_entry e;
    struct err err;
    directory_entry_init(&e);
    int r = directories_check(d, span_str(name), span_str(password), SPAN("imap"), &e, &err);
    if (r == 0) {
        assert_true(span_eq(buf_span(&e.name), span_str(name)));
        assert_string_equal(e.directory, "file");
    } else {
        assert_int_equal(e.name.n, 0);
        assert_null(strstr(err.text, password));
    }
    directory_entry_done(&e);
    return r;
}

static void test_file(void **state)
{
    (void)state;
    struct err err = {0};
    struct directory_entry e;
    assert_null(make_file(&err)); /* not there */
    put(users, "fred:{PLAIN}secret\nmary:!{PLAIN}hush\nanne:*\n");
    struct directories *d = make_file(&err);
    assert_non_null(d);
    assert_int_equal(directories_count(d), 1);
    assert_string_equal(directory_name(directories_at(d, 0)), "file");
    assert_true(directories_have_passwords(d) && directories_have_scram(d));
    assert_false(directories_have_tokens(d));
    assert_int_equal(check(d, "fred", "secret"), 0);
    assert_int_equal(check(d, "fred", "wrong-one"), ERR_DENIED);
    assert_int_equal(check(d, "mary", "hush"), ERR_DENIED);
    assert_int_equal(check(d, "anne", "*-nothing"), ERR_DENIED);
    assert_int_equal(check(d, "nobody", "secret"), ERR_NOT_FOUND);
    directory_entry_init(&e);
    assert_int_equal(directories_find(d, SPAN("mary"), DIRECTORY_RECEIVE, &e, &err), 0);
    assert_true(e.disabled);
    directory_entry_done(&e);
    directory_entry_init(&e);
    assert_int_equal(directories_find(d, SPAN("fred"), DIRECTORY_LOGIN, &e, &err), 0);
    assert_false(e.disabled);
    assert_true(e.scram[0].n && e.scram[1].n);
    assert_int_equal(directories_token(d, SPAN("x"), &e, &err), ERR_NOT_FOUND);
    directory_entry_done(&e);

    /* A changed file counts at once, a broken one not at all. */
    put(users, "fred:{PLAIN}changed\n");
    assert_int_equal(check(d, "fred", "changed"), 0);
    assert_int_equal(check(d, "mary", "hush"), ERR_NOT_FOUND);
    put(users, "fred:{PLAIN}other\nno line\n");
    assert_int_equal(check(d, "fred", "changed"), 0);
    unlink(users);
    assert_int_equal(check(d, "fred", "changed"), 0);
    put(users, "fred:{PLAIN}again\n");
    assert_int_equal(check(d, "fred", "again"), 0);
    directories_unref(d);
}

static void test_app_passwords(void **state)
{
    (void)state;
    struct err err = {0};
    struct directory_entry e;
    put(users, "fred:{PLAIN}secret\nmary:!{PLAIN}hush\nlong:{PLAIN}abcd-abcd-abcd-abcd-abcd\n");
    autobuf fred = BUF_INIT(64), mary = BUF_INIT(64), ghost = BUF_INIT(64), id = BUF_INIT(64);
    struct span name = SPAN("phone"), all = SPAN_EMPTY;
    assert_int_equal(app_password_add(apps, SPAN("fred"), name, all, 0, &fred, &id, &err), 0);
    assert_int_equal(app_password_add(apps, SPAN("mary"), name, all, 0, &mary, &id, &err), 0);
    assert_int_equal(app_password_add(apps, SPAN("ghost"), name, all, 0, &ghost, &id, &err), 0);
    struct directories *d = make_file(&err);
    assert_int_equal(check(d, "fred", fred.p), 0);
    assert_int_equal(check(d, "fred", "secret"), 0);
    assert_int_equal(check(d, "fred", mary.p), ERR_DENIED);
    assert_int_equal(check(d, "mary", mary.p), ERR_DENIED);            /* disabled */
    assert_int_equal(check(d, "ghost", ghost.p), ERR_NOT_FOUND);       /* in no directory */
    assert_int_equal(check(d, "long", "abcd-abcd-abcd-abcd-abcd"), 0); /* only looks like one */
    directory_entry_init(&e);
    assert_int_equal(directories_check(d, SPAN("fred"), buf_span(&fred), SPAN("imap"), &e, &err),
                     0);
    assert_string_equal(e.app_password, "phone");
    directory_entry_done(&e);
    directories_unref(d);
}

static void refused(const char *text, const char *why)
{
    struct err err = {0};
    assert_null(make(text, &err));
    assert_string_equal(err.text, why);
}

static void test_settings(void **state)
{
    (void)state;
    refused("auth.directories = [flie]", "auth.directories: \"flie\" is not known; allowed are "
                                         "file, pam, ldap, sql, oauth2");
    refused("auth.directories = [file, file]", "auth.directories: file is there twice");
#if !MARTLET_WITH_LDAP
    refused("auth { directories = [ldap] }",
            "auth.directories: this Martlet was built without ldap");
#endif
#if MARTLET_WITH_LDAP
    refused("auth { directories = [ldap] }",
            "auth.ldap.url: it is empty, but auth.directories has ldap");
    refused("auth { directories = [ldap]; ldap { url = \"ldap://x\"; base = x; filter = a } }",
            "auth.ldap.filter: without %u it fits any user");
    refused(
        "auth { directories = [ldap]; ldap { url = \"ldap://x\"; base = x; bind_dn = \"cn=a\" } }",
        "auth.ldap.bind_password: it is empty: servers would take auth.ldap.bind_dn for "
        "anonymous");
    refused("auth { directories = [ldap]; ldap { url = \"http://x\"; base = x } }",
            "auth.ldap.url: http://x is not an LDAP URL");
#endif
#if MARTLET_WITH_SQLITE
    refused("auth { directories = [sql]; sql { database = /x; query = \"SELECT 1\" } }",
            "auth.sql.query: without :user it gives any user");
    refused("auth { directories = [sql]; sql { database = /x; query = \"SELECT ':user'\" } }",
            "auth.sql.query: no :user outside of quotes");
#endif
#if MARTLET_WITH_OAUTH2
    refused("auth { directories = [oauth2] }",
            "auth.oauth2.keys: auth.directories has oauth2: either this or "
            "auth.oauth2.introspection_url must be set");
    refused("auth { directories = [oauth2]; oauth2 { keys = \"http://example.org/\"; issuer = x; "
            "audience = x } }",
            "auth.oauth2.keys: not an https:// address nor an absolute path");
    refused("auth { directories = [oauth2]; oauth2 { keys = /x; issuer = x } }",
            "auth.oauth2.audience: it is empty, but auth.directories has oauth2");
#endif
}

#if MARTLET_WITH_LDAP
static void test_filter(void **state)
{
    (void)state;
    autobuf out = BUF_INIT(200);
    ldap_filter_put("(&(a=100%%)(uid=%u))", SPAN("*)(uid=\\j\xc3\xb6 "), &out);
    assert_string_equal(out.p, "(&(a=100%)(uid=\\2a\\29\\28uid\\3d\\5cj\\c3\\b6\\20))");
}
#endif

#if MARTLET_WITH_SQLITE
static void placeholders(const char *query, const char *want)
{
    autobuf out = BUF_INIT(200);
    assert_int_equal(sql_placeholders(span_str(query), '$', &out), want ? 0 : ERR_INVALID);
    if (want)
        assert_string_equal(out.p, want);
}

static void test_placeholders(void **state)
{
    (void)state;
    placeholders("SELECT a FROM b WHERE c = :user", "SELECT a FROM b WHERE c = $1");
    placeholders("c = %u OR d = :user", "c = $1 OR d = $1");
    placeholders("c = ':user' AND d=\"%u\" AND e=:user;", "c = ':user' AND d=\"%u\" AND e=$1;");
    placeholders("c::user", NULL);
    placeholders(":users", NULL);
    placeholders("':user'", NULL);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_app_passwords),
        cmocka_unit_test(test_settings),
#if MARTLET_WITH_LDAP
        cmocka_unit_test(test_filter),
#endif
#if MARTLET_WITH_SQLITE
        cmocka_unit_test(test_placeholders),
#endif
    };
    return cmocka_run_group_tests_name("directory", tests, make_dir, remove_dir);
}
