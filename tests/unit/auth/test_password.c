#include "support/cmocka.h"

#include "auth/password.h"

static bool fits(const char *secrets, const char *password)
{
    struct err err = {0};
    int r = password_secrets_valid(span_str(secrets), &err);
    assert_string_equal(err.text, "");
    assert_int_equal(r, 0);
    return password_check(span_str(secrets), span_str(password));
}

/* Made by others: OpenSSL, the argon2 program. */
static void test_known(void **state)
{
    (void)state;
    static const char *const known[] = {
        /* openssl passwd -5 and -6 */
        "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        "{SHA256-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5",
        "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJ"
        "uesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        "{crypt}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJ"
        "uesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        assert_true(fits(known[i], "Hello world!"));
        assert_false(fits(known[i], "Hello world"));
        assert_false(fits(known[i], ""));
    }
    /* echo -n password | argon2 somesalt -t 2 -m 16 -p 4 -id, from its README (here -i) */
    static const char argon[] = "$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$"
                                "RdescudvJCsgt3ub+b+dWRWJTmaaJObG";
    assert_true(fits(argon, "password"));
    assert_false(fits(argon, "passwort"));
    assert_true(fits("{ARGON2I}$argon2i$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$"
                     "RdescudvJCsgt3ub+b+dWRWJTmaaJObG",
                     "password"));
}

/* RFC 5802 section 5 and RFC 7677 section 3: user "user", password "pencil". The server's
 * signature there is HMAC(ServerKey, AuthMessage), so the keys are checked by what they sign. */
static void test_scram(void **state)
{
    (void)state;
    autobuf keys = BUF_INIT(500);
    struct password_scram s;
    struct span salt = SPAN("\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81");
    password_scram_make(true, SPAN("pencil"), salt, 4096, &keys);
    assert_string_equal(keys.p, "4096,W22ZaJ0SNY7soEsUEjb6gQ==,"
                                "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
                                "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=");
    assert_int_equal(password_scram_parse(buf_span(&keys), true, &s), 0);
    assert_int_equal(s.iterations, 4096);
    assert_int_equal(s.salt_n, 16);
    assert_int_equal(password_scram_parse(buf_span(&keys), false, &s), ERR_INVALID);
    /* PostgreSQL's form of the same */
    static const char postgresql[] = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$"
                                     "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
                                     "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
    assert_true(fits(postgresql, "pencil"));
    assert_false(fits(postgresql, "Pencil"));
    autobuf same = BUF_INIT(500);
    assert_true(password_scram(span_str(postgresql), true, &same));
    assert_string_equal(same.p, keys.p);
    assert_false(password_scram(span_str(postgresql), false, &same));
    /* {PLAIN} has keys of both kinds */
    buf_reset(&same);
    assert_true(password_scram(SPAN("{PLAIN}pencil"), false, &same));
    assert_int_equal(password_scram_parse(buf_span(&same), false, &s), 0);
    assert_int_equal(s.key_n, 20);
    static const char *const bad[] = {
        "",
        "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
        "0,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "4096,,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "99999999999,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=,"
        "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
        "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(password_scram_parse(span_str(bad[i]), true, &s), ERR_INVALID);
}

static void test_made(void **state)
{
    (void)state;
    static const char *const names[] = {"yescrypt+scram", "yescrypt", "bcrypt",
                                        "sha512",         "argon2id", "scram"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        enum password_kind k;
        struct err err = {0};
        autobuf secrets = BUF_INIT(PASSWORD_SECRETS_MAX), scram = BUF_INIT(500);
        assert_true(password_kind_parse(span_str(names[i]), &k));
        assert_int_equal(password_make(k, SPAN("s\xc3\xa4 same:!"), &secrets, &err), 0);
        assert_null(strchr(secrets.p, ':'));
        assert_true(fits(secrets.p, "s\xc3\xa4 same:!"));
        assert_false(fits(secrets.p, "s\xc3\xa4 same:"));
        bool has = strstr(names[i], "scram") != NULL;
        assert_int_equal(password_scram(buf_span(&secrets), true, &scram), has);
        assert_int_equal(password_scram(buf_span(&secrets), false, &scram), has);
        assert_int_equal(password_make(k, SPAN(""), &secrets, &err), ERR_INVALID);
        assert_int_equal(password_make(k, SPAN("a\0b"), &secrets, &err), ERR_INVALID);
    }
    enum password_kind k;
    assert_false(password_kind_parse(SPAN("md5"), &k));
    struct err err;
    autobuf secrets = BUF_INIT(PASSWORD_SECRETS_MAX);
    char lengthy[80];
    memset(lengthy, 'x', sizeof(lengthy));
    assert_int_equal(
        password_make(PASSWORD_BCRYPT, span_make(lengthy, sizeof(lengthy)), &secrets, &err),
        ERR_INVALID);
}

static void test_several(void **state)
{
    (void)state;
    static const char two[] =
        "$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5 {PLAIN}a b:c";
    assert_true(fits(two, "Hello world!"));
    assert_true(fits(two, "a b:c"));
    assert_false(fits(two, "a"));
    assert_false(password_disabled(span_str(two)));
    assert_true(password_disabled(SPAN("!{PLAIN}x")));
    assert_true(fits("!{PLAIN}x", "x"));
    assert_false(fits("*", "*"));
    assert_false(fits("!", "!"));
    assert_false(fits("", ""));
    static const char *const unknown[] = {
        "hunter22",
        "{SSHA}abcdef",
        "$9$x$abcdefghijklmnopqrstuvw",
        "{SCRAM-SHA-256}x",
        "$argon2id$v=19$t=2$aa$bb",
        "$argon2id$v=19$m=99999999,t=2,p=1$c29tZXNhbHQ$RdescudvJC"};
    for (size_t i = 0; i < ARRAY_LEN(unknown); i++) {
        struct err err = {0};
        assert_int_equal(password_secrets_valid(span_str(unknown[i]), &err), ERR_INVALID);
        assert_null(strstr(err.text, unknown[i])); /* it may be a password */
        assert_false(password_check(span_str(unknown[i]), span_str(unknown[i])));
    }
    char big[PASSWORD_MAX + 1];
    memset(big, 'x', sizeof(big));
    assert_false(password_check(SPAN("{PLAIN}x"), span_make(big, sizeof(big))));
    assert_false(password_check(SPAN("{PLAIN}x"), SPAN("x\0")));
}

/* Of this thread alone: other processes do not count. */
static uint64_t cpu_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t time_of(struct password_examples *x, const char *name, const char *secrets)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 3; i++) {
        uint64_t begin = cpu_us();
        assert_false(password_examples_check(x, span_str(name), span_str(secrets), SPAN("wrong")));
        best = MIN(best, cpu_us() - begin);
    }
    return best;
}

/* Where several kinds of secrets are in use an unknown name costs what one of them does, always
 * the same one. */
static void test_examples(void **state)
{
    (void)state;
    static const char cheap[] = "$5$rounds=30000$saltstring$"
                                "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";
    static const char dear[] = "$5$rounds=300000$saltstring$"
                               "5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5";
    struct password_examples *x = password_examples_new(false);
    assert_true(time_of(x, "nobody", "") < 1000);
    password_examples_learn(x, span_str(cheap));
    password_examples_learn(x, span_str(cheap));
    password_examples_learn(x, span_str(dear));
    password_examples_learn(x, SPAN("{PLAIN}x"));
    uint64_t low = time_of(x, "a", cheap), high = time_of(x, "a", dear);
    assert_true(high > 4 * low);
    int cheap_ones = 0;
    for (int i = 0; i < 24; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        uint64_t t = time_of(x, name, "");
        assert_true(t > low / 2);
        cheap_ones += t < high / 2;
    }
    assert_in_range(cheap_ones, 1, 23);
    uint64_t once = time_of(x, "somebody", ""), again = time_of(x, "somebody", "{PLAIN}y");
    assert_true(once < 2 * again && again < 2 * once);
    password_examples_free(x);
    x = password_examples_new(true);
    assert_true(time_of(x, "nobody", "") > 2000); /* taken for yescrypt */
    password_examples_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),    cmocka_unit_test(test_scram),
        cmocka_unit_test(test_made),     cmocka_unit_test(test_several),
        cmocka_unit_test(test_examples),
    };
    return cmocka_run_group_tests_name("password", tests, NULL, NULL);
}
