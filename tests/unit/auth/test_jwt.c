/* Tokens of every algorithm made by another implementation are in tests/e2e/test_directories.py. */
#include "support/cmocka.h"

#include "auth/jwt_int.h"
#include "base/random.h"

/* RFC 7515 appendix A.3 */
#define HEADER "eyJhbGciOiJFUzI1NiJ9"
#define CLAIMS                                                                                     \
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl" \
    "fQ"
#define SIGNATURE                                                                                  \
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
#define KEY                                                                                        \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","      \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""

static int verify(const char *token, const char *keys)
{
    struct jwt t;
    struct jwt_keys *k = NULL;
    struct err err;
    int r = jwt_parse(span_str(token), &t, &err);
    if (r == 0)
        r = jwt_keys_parse(span_str(keys), &k, &err);
    if (r == 0)
        r = jwt_verify(&t, k, &err);
    jwt_keys_unref(k);
    jwt_done(&t);
    return r;
}

static void test_verify(void **state)
{
    (void)state;
    static const char good[] = HEADER "." CLAIMS "." SIGNATURE;
    assert_int_equal(verify(good, "{\"keys\":[{" KEY "}]}"), 0);
    assert_int_equal(verify(good, "{\"keys\":[{\"kty\":\"x\"},{" KEY ",\"kid\":\"1\"}]}"), 0);
    assert_int_equal(verify(good, "{\"keys\":[{" KEY ",\"alg\":\"ES384\"}]}"), ERR_NOT_FOUND);
    assert_int_equal(verify(good, "{\"keys\":[{" KEY ",\"use\":\"enc\"}]}"), ERR_INVALID);
    assert_int_equal(verify(good, "{\"keys\":[]}"), ERR_INVALID);
    assert_int_equal(verify(good, "[]"), ERR_INVALID);
    assert_int_equal(verify(good, ""), ERR_INVALID);
    /* a point that is not on the curve */
    assert_int_equal(verify(good, "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
                                  "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
                                  "\"y\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\"}]}"),
                     ERR_INVALID);
    char other[] = HEADER "." CLAIMS "." SIGNATURE;
    other[sizeof(HEADER) + 5] ^= 1;
    assert_int_not_equal(verify(other, "{\"keys\":[{" KEY "}]}"), 0);
    other[sizeof(HEADER) + 5] ^= 1;
    other[sizeof(HEADER) + sizeof(CLAIMS) + 21] = 'A';
    assert_int_equal(verify(other, "{\"keys\":[{" KEY "}]}"), ERR_DENIED);
}

static void test_malformed(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        ".",
        "..",
        "...",
        HEADER "." CLAIMS,
        HEADER "." CLAIMS "." SIGNATURE ".",
        HEADER "." CLAIMS "." SIGNATURE "=",
        HEADER "=." CLAIMS "." SIGNATURE,
        "eyJhbGciOiJFUzI1NiIsImFsZyI6Im5vbmUifQ." CLAIMS "." SIGNATURE, /* alg twice */
        "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsieCJdfQ." CLAIMS "." SIGNATURE, /* crit */
        "W10." CLAIMS "." SIGNATURE,                                    /* [] */
        HEADER ".W10." SIGNATURE,
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(verify(bad[i], "{\"keys\":[{" KEY "}]}"), ERR_INVALID);
    /* no signature, by an algorithm that says so */
    assert_int_equal(verify("eyJhbGciOiJub25lIn0." CLAIMS ".", "{\"keys\":[{" KEY "}]}"),
                     ERR_DENIED);
}

static void test_noise(void **state)
{
    (void)state;
    static const char letters[] = "eyJhbGciOiJFUzI1NiJ9.W10_-{}";
    for (int i = 0; i < 20000; i++) {
        struct jwt t;
        size_t n = random_u64() % 60;
        autofree char *text = xmalloc(n + 1);
        for (size_t k = 0; k < n; k++)
            text[k] = letters[random_u64() % (sizeof(letters) - 1)];
        int r = jwt_parse(span_make(text, n), &t, NULL);
        assert_true(r == 0 || r == ERR_INVALID);
        jwt_done(&t);
    }
}

static int claims(const char *text, const struct claims_wanted *w)
{
    struct err err;
    autobuf user = BUF_INIT(255);
    json_t *c = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(c);
    int r = claims_check(c, w, &user, &err);
    if (r == 0)
        assert_string_equal(user.p, "fred");
    json_decref(c);
    return r;
}

static void test_claims(void **state)
{
    (void)state;
    struct claims_wanted w = {.issuer = "me",
                              .audience = "mail",
                              .scope = "imap openid",
                              .user_claim = "sub",
                              .now = 1000,
                              .leeway = 10,
                              .must_expire = true};
#define REST ",\"scope\":\"openid imap x\",\"sub\":\"fred\"}"
    assert_int_equal(claims("{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":1001" REST, &w), 0);
    assert_int_equal(
        claims("{\"iss\":\"me\",\"aud\":[\"x\",\"mail\"],\"exp\":991,\"nbf\":1010" REST, &w), 0);
    assert_int_equal(claims("{\"iss\":\"you\",\"aud\":\"mail\",\"exp\":1001" REST, &w),
                     ERR_NOT_FOUND);
    assert_int_equal(claims("{\"iss\":[\"me\"],\"aud\":\"mail\",\"exp\":1001" REST, &w),
                     ERR_NOT_FOUND);
    static const char *const denied[] = {
        "{\"iss\":\"me\",\"exp\":1001" REST,
        "{\"iss\":\"me\",\"aud\":\"mail2\",\"exp\":1001" REST,
        "{\"iss\":\"me\",\"aud\":\"mail x\",\"exp\":1001" REST,
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":990" REST,
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":\"1001\"" REST,
        "{\"iss\":\"me\",\"aud\":\"mail\"" REST,
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":1001,\"nbf\":1011" REST,
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":1001,\"nbf\":\"0\"" REST,
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":1001,\"scope\":\"openid\",\"sub\":\"fred\"}",
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":1001,\"sub\":\"fred\"}",
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":1001,\"scope\":\"openid imap\"}",
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":1001,\"scope\":\"openid imap\",\"sub\":7}",
        "{\"iss\":\"me\",\"aud\":\"mail\",\"exp\":1001,\"scope\":\"openid "
        "imap\",\"sub\":\"a\\nb\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(denied); i++)
        assert_int_equal(claims(denied[i], &w), ERR_DENIED);
    w = (struct claims_wanted){.issuer = "", .audience = "", .scope = "", .user_claim = "email"};
    assert_int_equal(claims("{\"email\":\"fred\",\"email_verified\":true}", &w), 0);
    assert_int_equal(claims("{\"email\":\"fred\",\"email_verified\":false}", &w), ERR_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_claims),
    };
    return cmocka_run_group_tests_name("jwt", tests, NULL, NULL);
}
