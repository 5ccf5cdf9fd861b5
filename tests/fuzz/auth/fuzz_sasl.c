/* Any mechanism, any client, any directory. The first byte chooses the mechanism, the second what
 * directories say; messages of the client are separated by 0xff. */
#include "auth/precis.h"
#include "auth/sasl.h"

static const char *const names[] = {
    "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1",
    "OAUTHBEARER",        "XOAUTH2",          "PLAIN",         "LOGIN",
    "EXTERNAL",           "ANONYMOUS"};
static const unsigned char key[SASL_KEY_SIZE];
/* RFC 7677 section 3 and RFC 5802 section 5 */
static const char keys256[] = "4096,W22ZaJ0SNY7soEsUEjb6gQ==,WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtb"
                              "sT4qY=,wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

static void directory(struct sasl *s, unsigned char says, struct directory_entry *e)
{
    buf_reset(&e->name);
    buf_put_str(&e->name, "user");
    buf_reset(&e->scram[1]);
    buf_put_str(&e->scram[1], says & 4 ? keys256 : "nonsense");
    e->disabled = says & 8;
    invariant(s->name.n <= SASL_FIELD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    static const struct auth_peer peer = {.binding_unique = {"unique", 6},
                                          .certificate_user = {"user", 4}};
    const struct sasl_setup setup = {.offer = {.binding = data[1] & 16},
                                     .nonce = "nonce",
                                     .key = key,
                                     .keep_case = data[1] & 32,
                                     .anonymous_user = "guest",
                                     .oauth_scope = "scope \"x\"",
                                     .oauth_configuration = ""};
    struct sasl s;
    struct directory_entry e = {.name = BUF_INIT(255), .scram = {BUF_INIT(4096), BUF_INIT(4096)}};
    struct span rest = span_make(data + 2, n - 2), message;
    sasl_init(&s, sasl_find(span_str(names[data[0] % ARRAY_LEN(names)])), &setup, &peer);
    enum sasl_result r = sasl_step(&s, false, SPAN_EMPTY);
    while (r == SASL_CHALLENGE && span_split(&rest, '\xff', &message)) {
        r = sasl_step(&s, true, message);
        if (r != SASL_ASK)
            continue;
        invariant(buf_ok(&s.name) && buf_ok(&s.authzid) && buf_ok(&s.secret));
        directory(&s, data[1], &e);
        r = sasl_answer(&s, data[1] & 1 ? ERR_NOT_FOUND : data[1] & 2 ? ERR_DENIED : 0, &e);
        invariant(r != SASL_ASK);
    }
    invariant(r != SASL_SUCCESS || s.name.n);
    sasl_done(&s);
    buf_done(&e.name);
    buf_done(&e.scram[0]);
    buf_done(&e.scram[1]);

    /* What is prepared once stays as it is: RFC 8264 section 7 wants idempotence. */
    autobuf once = BUF_INIT(4 * PRECIS_MAX), twice = BUF_INIT(4 * PRECIS_MAX);
    if (precis_username(span_make(data, n), false, &once) == 0 && once.n <= PRECIS_MAX) {
        invariant(precis_username(buf_span(&once), false, &twice) == 0);
        invariant(span_eq(buf_span(&once), buf_span(&twice)));
    }
    return 0;
}
