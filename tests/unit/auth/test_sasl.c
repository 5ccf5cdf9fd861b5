#include "support/cmocka.h"

#include "auth/password.h"
#include "auth/sasl.h"

static const unsigned char key[SASL_KEY_SIZE] = {1, 2, 3};

static struct sasl_setup setup = {
    .offer = {.passwords = true, .scram = true, .tokens = true, .secure = true},
    .nonce = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    .key = key,
    .anonymous_user = "guest",
    .oauth_scope = "",
    .oauth_configuration = ""};
static struct auth_peer peer;

static void begin(struct sasl *s, const char *mechanism)
{
    const struct sasl_mechanism *m = sasl_find(span_str(mechanism));
    assert_non_null(m);
    sasl_init(s, m, &setup, &peer);
}

static enum sasl_result one(const char *mechanism, struct span data, const char *authzid,
                            const char *name, const char *secret)
{
    struct sasl s;
    begin(&s, mechanism);
    enum sasl_result r = sasl_step(&s, true, data);
    if (r == SASL_ASK) {
        assert_string_equal(s.authzid.n ? s.authzid.p : "", authzid);
        assert_string_equal(s.name.n ? s.name.p : "", name);
        assert_string_equal(s.secret.n ? s.secret.p : "", secret);
    }
    sasl_done(&s);
    return r;
}

static void test_plain(void **state)
{
    (void)state;
    assert_null(sasl_find(SPAN("GSSAPI")));
    assert_int_equal(one("PLAIN", SPAN("\0fred\0secret"), "", "fred", "secret"), SASL_ASK);
    assert_int_equal(one("PLAIN", SPAN("fred\0fred\0x"), "fred", "fred", "x"), SASL_ASK);
    assert_int_equal(one("PLAIN", SPAN("mary\0fred\0secret"), "mary", "fred", "secret"), SASL_ASK);
    /* prepared: RFC 8265 */
    assert_int_equal(
        one("PLAIN", SPAN("\0\xef\xbc\xab\xef\xbd\x89M\0a\xc2\xa0z"), "", "kim", "a z"), SASL_ASK);
    assert_int_equal(one("PLAIN", SPAN("fred\0secret"), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN("\0fred\0secret\0"), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN("\0\0secret"), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN(""), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("PLAIN", SPAN("\0fred\0"), "", "", ""), SASL_DENIED);
    assert_int_equal(one("PLAIN", SPAN("\0fr\ned\0x"), "", "", ""), SASL_DENIED);
    assert_int_equal(one("PLAIN", SPAN("\0fr\xff\0x"), "", "", ""), SASL_DENIED);
}

static void test_login(void **state)
{
    (void)state;
    struct sasl s;
    begin(&s, "LOGIN");
    assert_int_equal(sasl_step(&s, false, SPAN_EMPTY), SASL_CHALLENGE);
    assert_string_equal(s.out.p, "Username:");
    assert_int_equal(sasl_step(&s, true, SPAN("fred")), SASL_CHALLENGE);
    assert_string_equal(s.out.p, "Password:");
    assert_int_equal(sasl_step(&s, true, SPAN("secret")), SASL_ASK);
    assert_int_equal(s.ask, SASL_ASK_PASSWORD);
    assert_string_equal(s.name.p, "fred");
    assert_string_equal(s.secret.p, "secret");
    assert_int_equal(sasl_answer(&s, ERR_DENIED, NULL), SASL_DENIED);
    sasl_done(&s);
}

static void test_offer(void **state)
{
    (void)state;
    autobuf list = BUF_INIT(1000), table = BUF_INIT(1000);
    struct sasl_offer offer = {.passwords = true};
    sasl_list(&offer, &list);
    assert_int_equal(list.n, 0);
    assert_true(sasl_wants_privacy(sasl_find(SPAN("PLAIN")), &offer));
    assert_false(sasl_wants_privacy(sasl_find(SPAN("XOAUTH2")), &offer));
    sasl_table(&offer, &table);
    assert_string_equal(table.p, "4EXTERNAL 1PLAIN 1LOGIN");
    offer.secure = offer.scram = offer.binding = true;
    sasl_list(&offer, &list);
    assert_string_equal(list.p, "SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-1 "
                                "PLAIN LOGIN");
}

/* SCRAM. */

static void entry_for(struct directory_entry *e, const char *password, const char *salt, size_t n,
                      bool sha256)
{
    *e = (struct directory_entry){.disabled = false};
    buf_init(&e->name, 100);
    buf_init(&e->scram[0], 1000);
    buf_init(&e->scram[1], 1000);
    buf_put_str(&e->name, "user");
    password_scram_make(sha256, span_str(password), span_make(salt, n), 4096, &e->scram[sha256]);
}

static void entry_done(struct directory_entry *e)
{
    buf_done(&e->name);
    buf_done(&e->scram[0]);
    buf_done(&e->scram[1]);
}

struct exchange {
    const char *mechanism, *nonce, *first, *server, *final, *signature;
};

static const char salt1[] = "\x41\x25\xc2\x47\xe4\x3a\xb1\xe9\x3c\x6d\xff\x76";
static const char salt256[] = "\x5b\x6d\x99\x68\x9d\x12\x35\x8e\xec\xa0\x4b\x14\x12\x36\xfa\x81";

static const struct exchange rfc5802 = {
    "SCRAM-SHA-1",
    "3rfcNHYJY1ZVvWVs7j",
    "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="};
static const struct exchange rfc7677 = {
    "SCRAM-SHA-256",
    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="};

static enum sasl_result run(const struct exchange *x, struct span final, bool known, bool disabled)
{
    struct sasl s;
    struct directory_entry e;
    bool sha256 = strstr(x->mechanism, "256") != NULL;
    setup.nonce = x->nonce;
    begin(&s, x->mechanism);
    assert_int_equal(sasl_step(&s, false, SPAN_EMPTY), SASL_CHALLENGE);
    assert_int_equal(s.out.n, 0);
    assert_int_equal(sasl_step(&s, true, span_str(x->first)), SASL_ASK);
    assert_int_equal(s.ask, SASL_ASK_KEYS);
    assert_string_equal(s.name.p, "user");
    entry_for(&e, "pencil", sha256 ? salt256 : salt1, sha256 ? 16 : 12, sha256);
    e.disabled = disabled;
    assert_int_equal(sasl_answer(&s, known ? 0 : ERR_NOT_FOUND, &e), SASL_CHALLENGE);
    if (known)
        assert_string_equal(s.out.p, x->server);
    enum sasl_result r = sasl_step(&s, true, final);
    if (r == SASL_SUCCESS) {
        assert_string_equal(s.out.p, x->signature);
        assert_string_equal(s.name.p, "user");
    }
    entry_done(&e);
    sasl_done(&s);
    return r;
}

static void test_scram_rfc(void **state)
{
    (void)state;
    const struct exchange *all[] = {&rfc5802,
                                    &rfc7677}; /* RFC 5802 section 5, RFC 7677 section 3 */
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct span final = span_str(all[i]->final);
        assert_int_equal(run(all[i], final, true, false), SASL_SUCCESS);
        assert_int_equal(run(all[i], final, true, true), SASL_DENIED);
        assert_int_equal(run(all[i], final, false, false), SASL_DENIED);
    }
    assert_int_equal(run(&rfc5802,
                         SPAN("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                              "p=v0X8v3Bz2T0CJGbJQyF0X+HI4T4="),
                         true, false),
                     SASL_DENIED);
    assert_int_equal(run(&rfc5802,
                         SPAN("c=eSws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,"
                              "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
                         true, false),
                     SASL_DENIED);
    assert_int_equal(run(&rfc5802,
                         SPAN("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7jX,"
                              "p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="),
                         true, false),
                     SASL_MALFORMED);
    assert_int_equal(
        run(&rfc5802, SPAN("c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j"), true, false),
        SASL_MALFORMED);
    assert_int_equal(run(&rfc5802, SPAN(""), true, false), SASL_MALFORMED);
}

static enum sasl_result first_of(const char *mechanism, const char *first, struct buf *out)
{
    struct sasl s;
    begin(&s, mechanism);
    enum sasl_result r = sasl_step(&s, true, span_str(first));
    if (out && r == SASL_ASK) {
        assert_int_equal(sasl_answer(&s, ERR_NOT_FOUND, NULL), SASL_CHALLENGE);
        buf_put_span(out, buf_span(&s.out));
    }
    sasl_done(&s);
    return r;
}

static void test_scram_first(void **state)
{
    (void)state;
    setup.nonce = "NONCE";
    static const char *const bad[] = {"",
                                      "n",
                                      "n,,",
                                      "n,,n=user",
                                      "n,,r=x,n=user",
                                      "x,,n=user,r=x",
                                      "n,,m=x,n=user,r=x",
                                      "n,,n=us=er,r=x",
                                      "n,b=x,n=user,r=x",
                                      "n,,n=user,r=",
                                      "n,x=,n=u,r=x",
                                      "p=,,n=u,r=x",
                                      "p=tls-unique,,n=user,r=x"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(first_of("SCRAM-SHA-256", bad[i], NULL), SASL_MALFORMED);
    assert_int_equal(first_of("SCRAM-SHA-256", "n,a=adm=2Cin,n=us=3Der,r=x,ext=1", NULL), SASL_ASK);
    assert_int_equal(first_of("SCRAM-SHA-256", "y,,n=user,r=x", NULL), SASL_ASK);
    /* Unknown names have salts that stay, and differ. */
    autobuf a = BUF_INIT(1000), b = BUF_INIT(1000), c = BUF_INIT(1000);
    first_of("SCRAM-SHA-256", "n,,n=nobody,r=x", &a);
    first_of("SCRAM-SHA-256", "n,,n=nobody,r=x", &b);
    first_of("SCRAM-SHA-256", "n,,n=noone,r=x", &c);
    assert_string_equal(a.p, b.p);
    assert_string_not_equal(a.p, c.p);
}

static void test_scram_plus(void **state)
{
    (void)state;
    setup.nonce = "NONCE";
    setup.offer.binding = true;
    peer.binding_unique = SPAN("unique");
    assert_int_equal(first_of("SCRAM-SHA-256", "y,,n=user,r=x", NULL), SASL_DENIED); /* downgrade */
    assert_int_equal(first_of("SCRAM-SHA-256", "n,,n=user,r=x", NULL), SASL_ASK);
    assert_int_equal(first_of("SCRAM-SHA-256-PLUS", "n,,n=user,r=x", NULL), SASL_MALFORMED);
    assert_int_equal(first_of("SCRAM-SHA-256-PLUS", "y,,n=user,r=x", NULL), SASL_MALFORMED);
    assert_int_equal(first_of("SCRAM-SHA-256-PLUS", "p=tls-unique,,n=user,r=x", NULL), SASL_ASK);
    assert_int_equal(first_of("SCRAM-SHA-256-PLUS", "p=tls-exporter,,n=user,r=x", NULL),
                     SASL_MALFORMED);
    setup.offer.binding = false;
    peer.binding_unique = SPAN_EMPTY;
}

/* Tokens. */

static void test_oauthbearer(void **state)
{
    (void)state;
    struct sasl s;
    struct directory_entry e = {.name = BUF_INIT(100)};
    buf_put_str(&e.name, "user@example.com");
    /* RFC 7628 section 4.1 */
    static const char good[] = "n,a=user@example.com,\1host=server.example.com\1port=143\1"
                               "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1";
    begin(&s, "OAUTHBEARER");
    assert_int_equal(sasl_step(&s, true, span_str(good)), SASL_ASK);
    assert_int_equal(s.ask, SASL_ASK_TOKEN);
    assert_string_equal(s.secret.p, "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==");
    assert_string_equal(s.authzid.p, "user@example.com");
    assert_int_equal(sasl_answer(&s, 0, &e), SASL_SUCCESS);
    assert_int_equal(s.out.n, 0);
    assert_string_equal(s.name.p, "user@example.com");
    sasl_done(&s);
    /* section 4.3: what is the scope? */
    setup.oauth_scope = "example_scope";
    setup.oauth_configuration = "https://example.com/.well-known/openid-configuration";
    static const char asked[] = "{\"status\":\"invalid_token\",\"scope\":\"example_scope\","
                                "\"openid-configuration\":"
                                "\"https://example.com/.well-known/openid-configuration\"}";
    begin(&s, "OAUTHBEARER");
    assert_int_equal(sasl_step(&s, true,
                               SPAN("n,a=user@example.com,\1host=server.example.com\1port=143\1"
                                    "auth=\1\1")),
                     SASL_CHALLENGE);
    assert_string_equal(s.out.p, asked);
    assert_int_equal(sasl_step(&s, true, SPAN("\1")), SASL_MALFORMED);
    sasl_done(&s);
    begin(&s, "OAUTHBEARER"); /* a wrong one */
    assert_int_equal(sasl_step(&s, true, span_str(good)), SASL_ASK);
    assert_int_equal(sasl_answer(&s, ERR_DENIED, NULL), SASL_CHALLENGE);
    assert_true(s.refused);
    assert_string_equal(s.out.p, asked);
    assert_int_equal(sasl_step(&s, true, SPAN("\1")), SASL_DENIED);
    sasl_done(&s);
    setup.oauth_scope = setup.oauth_configuration = "";
    buf_done(&e.name);
    static const char *const bad[] = {"",
                                      "n,,",
                                      "n,,\1\1",
                                      "n,,\1auth=Basic x\1\1",
                                      "n,,\1auth=Bearer x\1",
                                      "n,,\1auth=Bearer a b\1\1",
                                      "n,,\1auth=Bearer a\1auth=Bearer b\1\1",
                                      "n,,\1noequals\1\1",
                                      "p=tls-unique,,\1auth=Bearer x\1\1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        begin(&s, "OAUTHBEARER");
        assert_int_equal(sasl_step(&s, true, span_str(bad[i])), SASL_CHALLENGE);
        assert_string_equal(s.out.p, "{\"status\":\"invalid_request\"}");
        assert_int_equal(sasl_step(&s, true, SPAN("\1")), SASL_MALFORMED);
        sasl_done(&s);
    }
}

static void test_xoauth2(void **state)
{
    (void)state;
    struct sasl s;
    assert_int_equal(
        one("XOAUTH2", SPAN("user=Fred\1auth=Bearer t0ken\1\1"), "fred", "fred", "t0ken"),
        SASL_ASK);
    assert_int_equal(one("XOAUTH2", SPAN("auth=Bearer t0ken\1\1"), "", "", ""), SASL_MALFORMED);
    assert_int_equal(one("XOAUTH2", SPAN("user=fred\1auth=\1\1"), "", "", ""), SASL_MALFORMED);
    begin(&s, "XOAUTH2");
    assert_int_equal(sasl_step(&s, true, SPAN("user=fred\1auth=Bearer t0ken\1\1")), SASL_ASK);
    assert_int_equal(sasl_answer(&s, ERR_NOT_FOUND, NULL), SASL_CHALLENGE);
    assert_string_equal(s.out.p, "{\"status\":\"401\",\"schemes\":\"bearer\"}");
    assert_int_equal(sasl_step(&s, true, SPAN("")), SASL_DENIED);
    sasl_done(&s);
}

static void test_simple(void **state)
{
    (void)state;
    struct sasl s;
    peer.certificate_user = SPAN("Fred@Example.com");
    assert_int_equal(one("EXTERNAL", SPAN(""), "", "fred@example.com", ""), SASL_ASK);
    assert_int_equal(one("EXTERNAL", SPAN("mary"), "mary", "fred@example.com", ""), SASL_ASK);
    assert_int_equal(one("EXTERNAL", SPAN("m\0ry"), "", "", ""), SASL_MALFORMED);
    peer.certificate_user = SPAN_EMPTY;
    assert_int_equal(one("EXTERNAL", SPAN("mary"), "", "", ""), SASL_MALFORMED);
    begin(&s, "ANONYMOUS"); /* RFC 4505 section 3 */
    assert_int_equal(sasl_step(&s, false, SPAN_EMPTY), SASL_CHALLENGE);
    assert_int_equal(s.out.n, 0);
    assert_int_equal(sasl_step(&s, true, SPAN("sirhc")), SASL_SUCCESS);
    assert_string_equal(s.name.p, "guest");
    assert_string_equal(s.trace.p, "sirhc");
    sasl_done(&s);
    assert_int_equal(one("ANONYMOUS", SPAN("\xff"), "", "", ""), SASL_MALFORMED);
    char longest[257];
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(one("ANONYMOUS", span_make(longest, 255), "", "", ""), SASL_SUCCESS);
    assert_int_equal(one("ANONYMOUS", span_make(longest, 256), "", "", ""), SASL_MALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),       cmocka_unit_test(test_login),
        cmocka_unit_test(test_offer),       cmocka_unit_test(test_scram_rfc),
        cmocka_unit_test(test_scram_first), cmocka_unit_test(test_scram_plus),
        cmocka_unit_test(test_oauthbearer), cmocka_unit_test(test_xoauth2),
        cmocka_unit_test(test_simple),
    };
    return cmocka_run_group_tests_name("sasl", tests, NULL, NULL);
}
