#include "support/cmocka.h"

#include <crypt.h>
#include <sys/mman.h>

#include "auth/users.h"
#include "base/buf.h"

static struct users *load(const char *text, struct err *err)
{
    char path[64];
    int fd = memfd_create("users", 0);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    struct users *u = users_load(path, true, err);
    close(fd);
    return u;
}

static void test_check(void **state)
{
    (void)state;
    struct err err = {0};
    struct users *u = load(
        "# people\n\nfred:{PLAIN}secret\n  j\xc3\xb6rg:{PLAIN}a:b c \r\nempty:{PLAIN}\n", &err);
    assert_string_equal(err.text, "");
    assert_int_equal(users_count(u), 3);
    assert_true(users_exists(u, SPAN("fred")));
    assert_true(users_check(u, SPAN("fred"), SPAN("secret")));
    assert_false(users_check(u, SPAN("fred"), SPAN("secre")));
    assert_false(users_check(u, SPAN("fred"), SPAN("secrets")));
    assert_false(users_check(u, SPAN("fred"), SPAN("")));
    assert_false(users_check(u, SPAN("Fred"), SPAN("secret")));
    assert_true(users_check(u, SPAN("j\xc3\xb6rg"), SPAN("a:b c")));
    assert_true(users_check(u, SPAN("empty"), SPAN("")));
    assert_false(users_check(u, SPAN("nobody"), SPAN("")));
    users_unref(u);
    assert_null(load("fred\n", &err));
    assert_non_null(strstr(err.text, ":1: not of the form"));
    assert_null(load("a:{PLAIN}x\na:{PLAIN}y\n", &err));
    assert_non_null(strstr(err.text, ":2: user a is there twice"));
}

static void test_crypt(void **state)
{
    (void)state;
    static const char *const methods[] = {"$6$", "$2b$", "$y$"};
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char salt[CRYPT_GENSALT_OUTPUT_SIZE];
        struct crypt_data *data = xnew(struct crypt_data);
        assert_non_null(crypt_gensalt_rn(methods[i], i == 1 ? 4 : 0, NULL, 0, salt, sizeof(salt)));
        autobuf text = BUF_INIT(1000);
        buf_printf(&text, "fred:%s:1000:rest\nmary:{CRYPT}%s\n", crypt_r("secret", salt, data),
                   crypt_r("secret", salt, data));
        struct err err = {0};
        struct users *u = load(text.p, &err);
        assert_string_equal(err.text, "");
        assert_true(users_check(u, SPAN("fred"), SPAN("secret")));
        assert_true(users_check(u, SPAN("mary"), SPAN("secret")));
        assert_false(users_check(u, SPAN("fred"), SPAN("secret2")));
        assert_false(users_check(u, SPAN("nobody"), SPAN("secret")));
        assert_false(users_check(u, SPAN("fred"), SPAN("secret\0")));
        users_unref(u);
        free(data);
    }
    struct err err;
    struct users *u = load("fred:!\nmary:*\nanne:\n", &err); /* locked: no password fits */
    assert_false(users_check(u, SPAN("fred"), SPAN("!")));
    assert_false(users_check(u, SPAN("mary"), SPAN("*")));
    assert_false(users_check(u, SPAN("anne"), SPAN("")));
    users_unref(u);
}

/* Of this thread alone: other processes do not count. */
static uint64_t cpu_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t time_of(struct users *u, struct span name)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        uint64_t begin = cpu_us();
        assert_false(users_check(u, name, SPAN("wrong")));
        best = MIN(best, cpu_us() - begin);
    }
    return best;
}

/* A stranger cannot tell by the time whether a name exists. */
static void test_same_time(void **state)
{
    (void)state;
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *data = xnew(struct crypt_data);
    assert_non_null(crypt_gensalt_rn("$6$", 20000, NULL, 0, salt, sizeof(salt)));
    autobuf text = BUF_INIT(1000);
    buf_printf(&text, "fred:%s\nmary:{PLAIN}x\n", crypt_r("secret", salt, data));
    free(data);
    struct err err;
    struct users *u = load(text.p, &err);
    uint64_t known = time_of(u, SPAN("fred")), unknown = time_of(u, SPAN("nobody")),
             plain = time_of(u, SPAN("mary"));
    assert_true(known > 1000);
    assert_true(unknown > known / 2 && unknown < known * 2);
    assert_true(plain > known / 2 && plain < known * 2);
    users_unref(u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_crypt),
        cmocka_unit_test(test_same_time),
    };
    return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
