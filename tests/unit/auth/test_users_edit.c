#include "support/cmocka.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "auth/app_password.h"
#include "auth/users_edit.h"
#include "base/clock.h"

static char dir[] = "/tmp/test_users_edit.XXXXXX";
static char file[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(file, sizeof(file), "%s/users", mkdtemp(dir));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char path[80];
    unlink(file);
    snprintf(path, sizeof(path), "%s.lock", file);
    unlink(path);
    return rmdir(dir);
}

static void put(const char *text)
{
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0640);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

static void expect(const char *text)
{
    static char got[70000];
    int fd = open(file, O_RDONLY);
    ssize_t n = read(fd, got, sizeof(got) - 1);
    assert_true(n >= 0);
    got[n] = '\0';
    close(fd);
    assert_string_equal(got, text);
}

static void test_edit(void **state)
{
    (void)state;
    struct err err;
    unlink(file);
    assert_int_equal(users_edit_add(file, SPAN("fred"), SPAN("{PLAIN}a b"), &err), 0);
    assert_int_equal(users_edit_add(file, SPAN("mary"), SPAN(""), &err), 0);
    struct stat st;
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    expect("fred:{PLAIN}a b\nmary:*\n");
    put("# people\n\nfred:{PLAIN}a b\n mary:*:1000:further\n#fred:x\nlast:!{PLAIN}x");
    assert_int_equal(chmod(file, 0640), 0);
    assert_int_equal(users_edit_add(file, SPAN("fred"), SPAN("{PLAIN}c"), &err), ERR_EXISTS);
    assert_int_equal(users_edit_secrets(file, SPAN("mary"), SPAN("{PLAIN}z"), &err), 0);
    assert_int_equal(users_edit_secrets(file, SPAN("last"), SPAN("{PLAIN}y"), &err), 0);
    assert_int_equal(users_edit_disable(file, SPAN("fred"), true, &err), 0);
    assert_int_equal(users_edit_disable(file, SPAN("fred"), true, &err), 0);
    expect("# people\n\nfred:!{PLAIN}a b\n mary:{PLAIN}z:1000:further\n#fred:x\nlast:!{PLAIN}y\n");
    assert_int_equal(users_edit_disable(file, SPAN("fred"), false, &err), 0);
    assert_int_equal(users_edit_disable(file, SPAN("last"), false, &err), 0);
    assert_int_equal(users_edit_remove(file, SPAN("mary"), &err), 0);
    expect("# people\n\nfred:{PLAIN}a b\n#fred:x\nlast:{PLAIN}y\n");
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    assert_int_equal(users_edit_remove(file, SPAN("mary"), &err), ERR_NOT_FOUND);
    assert_int_equal(users_edit_disable(file, SPAN("mary"), true, &err), ERR_NOT_FOUND);
    assert_int_equal(users_edit_secrets(file, SPAN("mary"), SPAN("*"), &err), ERR_NOT_FOUND);
    static const char *const names[] = {"a:b", "", "#x", " x", "a\nb", "\xff"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_int_equal(users_edit_add(file, span_str(names[i]), SPAN("*"), &err), ERR_INVALID);
    static const char *const secrets[] = {"{PLAIN}a\nroot:x", "{PLAIN}a ", "gibberish",
                                          "!{PLAIN}x"};
    for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
        assert_int_equal(users_edit_add(file, SPAN("new"), span_str(secrets[i]), &err),
                         ERR_INVALID);
    expect("# people\n\nfred:{PLAIN}a b\n#fred:x\nlast:{PLAIN}y\n");
}

static int list(void *arg, const struct users_listed *u)
{
    buf_printf(arg, SPAN_FMT "%s%s%s,", SPAN_ARG(u->name), u->disabled ? " disabled" : "",
               u->password ? " password" : "", u->scram ? " scram" : "");
    return 0;
}

static void test_list(void **state)
{
    (void)state;
    struct err err;
    autobuf out = BUF_INIT(1000);
    put("# x\na:{PLAIN}x\nb:!$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/"
        "O817G3uBnIFNjnQJuesI68OTLiQFdcbYEdFCoEOfaS35inz1\nc:*\nd:!\n");
    assert_int_equal(users_edit_each(file, list, &out, &err), 0);
    assert_string_equal(out.p, "a password scram,b disabled password,c,d disabled,");
    unlink(file);
    buf_reset(&out);
    assert_int_equal(users_edit_each(file, list, &out, &err), 0);
    assert_int_equal(out.n, 0);
}

static void *add_many(void *arg)
{
    struct err err;
    for (int i = 0; i < 10; i++) {
        char name[32];
        snprintf(name, sizeof(name), "%s%d", (const char *)arg, i);
        assert_int_equal(users_edit_add(file, span_str(name), SPAN("*"), &err), 0);
    }
    return NULL;
}

/* Two at a time lose nothing. */
static void test_lock(void **state)
{
    (void)state;
    pthread_t t[3];
    char names[][2] = {"a", "b", "c"};
    struct err err;
    put("");
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, add_many, names[i]), 0);
    for (size_t i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    struct users *u = users_load(file, true, &err);
    assert_int_equal(users_count(u), 30);
    users_unref(u);
    unlink(file);
}

/* Application passwords. */

static int list_app(void *arg, const struct app_password *p)
{
    buf_printf(arg, SPAN_FMT "/" SPAN_FMT "/" SPAN_FMT ",", SPAN_ARG(p->user), SPAN_ARG(p->name),
               SPAN_ARG(p->services));
    return 0;
}

static int check(struct app_passwords *a, const char *user, struct span password,
                 const char *service)
{
    char *name = NULL;
    struct err err;
    int r = app_passwords_check(a, span_str(user), password, span_str(service), &name, &err);
    assert_int_equal(r == 0, name != NULL);
    free(name);
    return r;
}

static void test_app_passwords(void **state)
{
    (void)state;
    struct err err;
    unlink(file);
    struct app_passwords *a = app_passwords_new(file);
    autobuf phone = BUF_INIT(100), id = BUF_INIT(100), mta = BUF_INIT(100), old = BUF_INIT(100);
    uint64_t now = clock_wall_us() / 1000000;
    assert_int_equal(check(a, "fred", SPAN("aaaa-bbbb-cccc-dddd-eeee"), "imap"), ERR_NOT_FOUND);
    assert_int_equal(
        app_password_add(file, SPAN("fred"), SPAN("my: phone%"), SPAN(""), 0, &phone, &id, &err),
        0);
    assert_int_equal(phone.n, 24);
    assert_true(app_password_looks_like(buf_span(&phone)));
    assert_int_equal(check(a, "fred", buf_span(&phone), "imap"), 0); /* a new file is noticed */
    for (size_t i = 0; i < phone.n; i++)
        if (phone.p[i] >= 'a')
            phone.p[i] = (char)(phone.p[i] - 32);
    assert_int_equal(check(a, "fred", buf_span(&phone), "smtp"), 0);
    assert_int_equal(check(a, "mary", buf_span(&phone), "imap"), ERR_NOT_FOUND);
    assert_int_equal(
        app_password_add(file, SPAN("fr:ed"), SPAN("x"), SPAN("smtp,imap"), 0, &mta, &id, &err), 0);
    assert_int_equal(check(a, "fr:ed", buf_span(&mta), "smtp"), 0);
    assert_int_equal(check(a, "fr:ed", buf_span(&mta), "sieve"), ERR_NOT_FOUND);
    buf_reset(&id);
    assert_int_equal(
        app_password_add(file, SPAN("fred"), SPAN("old"), SPAN("imap"), now + 100, &old, &id, &err),
        0);
    assert_int_equal(check(a, "fred", buf_span(&old), "imap"), 0);
    clock_set_for_test((now + 101) * 1000000);
    assert_int_equal(check(a, "fred", buf_span(&old), "imap"), ERR_NOT_FOUND);
    clock_set_for_test(0);

    autobuf out = BUF_INIT(1000);
    assert_int_equal(app_password_each(file, SPAN_EMPTY, list_app, &out, &err), 0);
    assert_string_equal(out.p, "fred/my: phone%/,fr:ed/x/smtp,imap,fred/old/imap,");
    struct span none = SPAN_EMPTY;
    assert_int_equal(app_password_add(file, SPAN("fred"), SPAN("old"), none, 0, &old, &id, &err),
                     ERR_EXISTS);
    assert_int_equal(
        app_password_add(file, SPAN("fred"), SPAN("y"), SPAN("imap,,x"), 0, &old, &id, &err),
        ERR_INVALID);
    assert_int_equal(app_password_add(file, SPAN("fred"), SPAN(""), none, 0, &old, &id, &err),
                     ERR_INVALID);
    assert_int_equal(app_password_revoke(file, SPAN("fred"), buf_span(&id), &err), 0);
    assert_int_equal(check(a, "fred", buf_span(&old), "imap"), ERR_NOT_FOUND);
    assert_int_equal(app_password_revoke(file, SPAN("mary"), SPAN("x"), &err), ERR_NOT_FOUND);
    assert_int_equal(app_password_revoke(file, SPAN("fred"), SPAN("my: phone%"), &err), 0);
    assert_int_equal(check(a, "fred", buf_span(&phone), "imap"), ERR_NOT_FOUND);
    assert_int_equal(app_password_revoke_all(file, SPAN("fr:ed"), &err), 1);
    assert_int_equal(app_password_revoke_all(file, SPAN("fr:ed"), &err), 0);
    expect("");
    app_passwords_free(a);
}

static void test_app_passwords_broken(void **state)
{
    (void)state;
    struct err err;
    autobuf secret = BUF_INIT(100), id = BUF_INIT(100);
    unlink(file);
    assert_int_equal(
        app_password_add(file, SPAN("fred"), SPAN("a"), SPAN_EMPTY, 0, &secret, &id, &err), 0);
    struct app_passwords *a = app_passwords_new(file);
    put("fred:half a line\n"); /* the old ones stay */
    assert_int_equal(check(a, "fred", buf_span(&secret), "imap"), 0);
    autobuf more = BUF_INIT(100);
    assert_int_equal(
        app_password_add(file, SPAN("fred"), SPAN("b"), SPAN_EMPTY, 0, &more, &id, &err),
        ERR_INVALID);
    assert_non_null(strstr(err.text, ":1: not an application password"));
    app_passwords_free(a);
    a = app_passwords_new(file); /* there never were any to be read */
    assert_int_equal(check(a, "fred", buf_span(&secret), "imap"), ERR_BUSY);
    app_passwords_free(a);
    static const char *const others[] = {"secret", "aaaa-bbbb-cccc-dddd-eee",
                                         "aaaa-bbbb-cccc-dddd-eee1", "aaaabbbbccccddddeeeef"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_false(app_password_looks_like(span_str(others[i])));
    assert_true(app_password_looks_like(SPAN("AAAA bbbb ccccdddd-eeee")));
    unlink(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edit),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_lock),
        cmocka_unit_test(test_app_passwords),
        cmocka_unit_test(test_app_passwords_broken),
    };
    return cmocka_run_group_tests_name("users_edit", tests, make_dir, remove_dir);
}
