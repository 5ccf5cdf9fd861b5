/* What auth says about TLS: certificates, ticket keys and signatures. The keys stay there. */
#include "base/logline.h"
#include "daemon/login/login.h"

enum { HANDSHAKE_THREADS = 8, CHAIN_LENGTH_MAX = 64, CLIENT_CA_MAX = 256 };

/* The certificates of one list of DER, as control_args_put has put them. */
struct decoded {
    struct span items[CLIENT_CA_MAX];
    struct tls_chain chain;
};

static bool decode(struct span list, size_t max, struct decoded *ret)
{
    ret->chain = (struct tls_chain){ret->items, 0};
    while (ret->chain.count < max && control_args_next(&list, &ret->items[ret->chain.count]))
        ret->chain.count++;
    return !list.n;
}

static void free_set(struct certificate_set *s)
{
    for (size_t i = 0; i < s->count; i++)
        buf_done(&s->chains[i]);
    buf_done(&s->client_ca);
    free(s->chains);
    *s = (struct certificate_set){0};
}

static struct tls_settings settings_of(const struct message *m)
{
    uint32_t ask = m->u.certificates.client_certificates;
    return (struct tls_settings){
        .only_tls13 = m->u.certificates.minimum == CONF_TLS_1_3,
        .ticket_lifetime = m->u.certificates.ticket_lifetime,
        .client_certificates = ask == CONF_CLIENT_NO         ? TLS_CLIENT_NO
                               : ask == CONF_CLIENT_OPTIONAL ? TLS_CLIENT_OPTIONAL
                                                             : TLS_CLIENT_REQUIRED,
        .user_from_common_name = m->u.certificates.client_user == CONF_CLIENT_COMMON_NAME,
    };
}

/* From what auth has told. */
static void make_context(struct login *login)
{
    const struct certificate_set *s = &login->certificates;
    struct tls_context *t = NULL;
    struct err err = {0};
    if (s->count) {
        struct decoded *d = xcalloc(s->count + 1, sizeof(*d));
        struct tls_chain *chains = xcalloc(s->count, sizeof(*chains));
        bool ok = decode(buf_span(&s->client_ca), CLIENT_CA_MAX, &d[s->count]);
        for (size_t i = 0; i < s->count && ok; i++) {
            ok = decode(buf_span(&s->chains[i]), CHAIN_LENGTH_MAX, &d[i]);
            chains[i] = d[i].chain;
        }
        if (ok)
            t = tls_context_new(login->backend, &s->settings, chains, s->count, &d[s->count].chain,
                                &err);
        if (!t)
            log_event(LOG_ERROR, "certificates-refused", "msg", ok ? err.text : "too many", NULL);
        free(chains);
        free(d);
        if (!t)
            return; /* those before go on */
    }
    tls_context_unref(login->tls);
    login->tls = t;
}

static void on_certificates(struct login *login, const struct message *m)
{
    struct certificate_set *s = &login->coming;
    free_set(s);
    s->generation = m->u.certificates.generation;
    s->settings = settings_of(m);
    s->expected = MIN(m->u.certificates.count, (uint32_t)TLS_CERTIFICATES_MAX);
    s->chains = xcalloc(s->expected + 1, sizeof(*s->chains));
    buf_init(&s->client_ca, BUF_UNLIMITED);
    buf_put_span(&s->client_ca, m->u.certificates.client_ca);
}

static void on_certificate(struct login *login, const struct message *m)
{
    struct certificate_set *s = &login->coming;
    if (m->u.certificate.generation != s->generation || s->count >= s->expected)
        return;
    buf_init(&s->chains[s->count], BUF_UNLIMITED);
    buf_put_span(&s->chains[s->count++], m->u.certificate.chain);
}

static void use_when_complete(struct login *login)
{
    if (login->coming.count < login->coming.expected)
        return;
    free_set(&login->certificates);
    login->certificates = login->coming;
    login->coming = (struct certificate_set){0};
    login->certificates_known = true;
    make_context(login);
    login_start_when_ready(login);
}

void certificates_message(struct login *login, const struct message *m)
{
    switch (m->kind) {
    case MESSAGE_TICKET_KEYS:
        tls_backend_set_tickets(login->backend, m->u.ticket_keys.current,
                                m->u.ticket_keys.previous);
        break;
    case MESSAGE_SIGNED:
        tls_backend_answer(login->backend, m->u.signature.id, m->u.signature.error,
                           m->u.signature.signature);
        break;
    case MESSAGE_CERTIFICATES:
        on_certificates(login, m);
        use_when_complete(login);
        break;
    case MESSAGE_CERTIFICATE:
        on_certificate(login, m);
        use_when_complete(login);
        break;
    default:
        break;
    }
}

/* No answer if auth is not there at the moment: it is asked again when it has come back. */
static void ask(void *arg, uint64_t id, struct span key, enum tls_scheme scheme, struct span data)
{
    struct login *login = arg;
    struct message m = {.kind = MESSAGE_SIGN};
    m.u.sign.id = id;
    m.u.sign.key = key;
    m.u.sign.scheme = scheme;
    m.u.sign.data = data;
    if (login->auth.ch && channel_send(login->auth.ch, &m, -1) == ERR_LIMIT)
        tls_backend_answer(login->backend, id, ERR_LIMIT, SPAN_EMPTY);
}

void certificates_init(struct login *login)
{
    if (!login->backend)
        login->backend = tls_backend_new(login->daemon->loop, HANDSHAKE_THREADS, ask, login);
}
