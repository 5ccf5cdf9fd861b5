#include "auth/sasl_int.h"

#include "auth/precis.h"

/* Best first: the order in which they are offered. */
static const struct sasl_mechanism mechanisms[] = {
    {"EXTERNAL", SASL_CERTIFICATE, sasl_external_step, sasl_believe, NULL},
    {"SCRAM-SHA-256-PLUS", SASL_SCRAM | SASL_BINDING | SASL_SHA256, scram_step, scram_answer, NULL},
    {"SCRAM-SHA-1-PLUS", SASL_SCRAM | SASL_BINDING, scram_step, scram_answer, NULL},
    {"SCRAM-SHA-256", SASL_SCRAM | SASL_SHA256, scram_step, scram_answer, NULL},
    {"SCRAM-SHA-1", SASL_SCRAM, scram_step, scram_answer, NULL},
    {"OAUTHBEARER", SASL_SECURE | SASL_TOKENS, sasl_oauthbearer_step, sasl_oauthbearer_answer,
     NULL},
    {"XOAUTH2", SASL_SECURE | SASL_TOKENS, sasl_xoauth2_step, sasl_xoauth2_answer, NULL},
    {"PLAIN", SASL_SECURE | SASL_PASSWORDS, sasl_plain_step, sasl_believe, NULL},
    {"LOGIN", SASL_SECURE | SASL_PASSWORDS | SASL_SERVER_FIRST, sasl_login_step, sasl_believe,
     "Username:"},
    {"ANONYMOUS", SASL_ANONYMOUS, sasl_anonymous_step, NULL, NULL},
};

const struct sasl_mechanism *sasl_find(struct span name)
{
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
        if (span_eq(name, span_str(mechanisms[i].name)))
            return &mechanisms[i];
    return NULL;
}

const char *sasl_name(const struct sasl_mechanism *m)
{
    return m->name;
}

static unsigned missing(const struct sasl_mechanism *m, const struct sasl_offer *offer)
{
    unsigned there = (offer->secure ? SASL_SECURE : 0) | (offer->passwords ? SASL_PASSWORDS : 0) |
                     (offer->scram ? SASL_SCRAM : 0) | (offer->tokens ? SASL_TOKENS : 0) |
                     (offer->binding ? SASL_BINDING : 0) |
                     (offer->certificate ? SASL_CERTIFICATE : 0) |
                     (offer->anonymous ? SASL_ANONYMOUS : 0) | SASL_SHA256 | SASL_SERVER_FIRST;
    return m->flags & ~there;
}

bool sasl_wants_privacy(const struct sasl_mechanism *m, const struct sasl_offer *offer)
{
    return missing(m, offer) == SASL_SECURE;
}

bool sasl_offered(const struct sasl_mechanism *m, const struct sasl_offer *offer)
{
    return missing(m, offer) == 0;
}

void sasl_list(const struct sasl_offer *offer, struct buf *out)
{
    size_t begin = out->n;
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
        if (!sasl_offered(&mechanisms[i], offer))
            continue;
        if (out->n > begin)
            buf_put_byte(out, ' ');
        buf_put_str(out, mechanisms[i].name);
    }
}

void sasl_table(const struct sasl_offer *offer, struct buf *out)
{
    struct sasl_offer all = *offer;
    size_t begin = out->n;
    all.secure = all.binding = all.certificate = true;
    for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++) {
        unsigned flags = mechanisms[i].flags;
        if (!sasl_offered(&mechanisms[i], &all))
            continue;
        if (out->n > begin)
            buf_put_byte(out, ' ');
        buf_put_u64(out, (flags & SASL_SECURE ? NEEDS_SECURE : 0) |
                             (flags & SASL_BINDING ? NEEDS_BINDING : 0) |
                             (flags & SASL_CERTIFICATE ? NEEDS_CERTIFICATE : 0));
        buf_put_str(out, mechanisms[i].name);
    }
}

void sasl_init(struct sasl *s, const struct sasl_mechanism *m, const struct sasl_setup *setup,
               const struct auth_peer *peer)
{
    *s = (struct sasl){.mechanism = m, .setup = setup};
    buf_init(&s->name, SASL_FIELD_MAX);
    buf_init(&s->authzid, SASL_FIELD_MAX);
    buf_init(&s->secret, SASL_DATA_MAX);
    buf_init(&s->out, SASL_DATA_MAX);
    buf_init(&s->trace, SASL_FIELD_MAX);
    buf_init(&s->certificate_user, SASL_FIELD_MAX);
    for (size_t i = 0; i < ARRAY_LEN(s->bindings); i++)
        buf_init(&s->bindings[i], SASL_FIELD_MAX);
    buf_put_span(&s->bindings[0], peer->binding_exporter);
    buf_put_span(&s->bindings[1], peer->binding_unique);
    buf_put_span(&s->bindings[2], peer->binding_endpoint);
    buf_put_span(&s->certificate_user, peer->certificate_user);
}

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->n);
    buf_done(b);
}

void sasl_done(struct sasl *s)
{
    wipe(&s->name);
    wipe(&s->authzid);
    wipe(&s->secret);
    wipe(&s->out);
    wipe(&s->trace);
    wipe(&s->certificate_user);
    for (size_t i = 0; i < ARRAY_LEN(s->bindings); i++)
        wipe(&s->bindings[i]);
    scram_free(s->scram);
    s->scram = NULL;
}

/* The server's word comes first in some; in the others the client's, for which an empty challenge
 * asks where it did not come along (RFC 4422 section 5). */
enum sasl_result sasl_step(struct sasl *s, bool has_data, struct span data)
{
    const char *first = s->mechanism->first;
    buf_reset(&s->out);
    if (!has_data)
        return sasl_challenge(s, first ? span_str(first) : SPAN_EMPTY);
    return s->mechanism->step(s, data);
}

enum sasl_result sasl_answer(struct sasl *s, int error, const struct directory_entry *e)
{
    buf_reset(&s->out);
    return s->mechanism->answer(s, error, e);
}

enum sasl_result sasl_ask(struct sasl *s, enum sasl_ask what)
{
    s->ask = what;
    return SASL_ASK;
}

enum sasl_result sasl_challenge(struct sasl *s, struct span data)
{
    buf_put_span(&s->out, data);
    return SASL_CHALLENGE;
}

enum sasl_result sasl_believe(struct sasl *s, int error, const struct directory_entry *e)
{
    if (error < 0 || e->disabled)
        return SASL_DENIED;
    buf_reset(&s->name);
    buf_put_span(&s->name, buf_span(&e->name));
    return SASL_SUCCESS;
}

enum sasl_result sasl_take_name(const struct sasl *s, struct span name, struct buf *to)
{
    buf_reset(to);
    if (!name.n || name.n > SASL_FIELD_MAX || memchr(name.p, '\0', name.n))
        return SASL_MALFORMED;
    if (precis_username(name, s->setup->keep_case, to) == 0 && to->n <= USER_NAME_MAX)
        return SASL_ASK;
    buf_reset(to);
    return SASL_DENIED;
}

enum sasl_result sasl_take_authzid(struct sasl *s, struct span authzid)
{
    return authzid.n ? sasl_take_name(s, authzid, &s->authzid) : SASL_ASK;
}

bool gs2_parse(struct span *s, struct gs2 *ret)
{
    struct span rest = *s, flag, authzid;
    if (!span_split(&rest, ',', &flag) || !span_split(&rest, ',', &authzid) || !rest.p || !flag.n)
        return false;
    *ret = (struct gs2){.flag = flag.p[0], .header = span_make(s->p, (size_t)(rest.p - s->p))};
    if (ret->flag == 'p' && span_starts(flag, SPAN("p=")) && flag.n > 2)
        ret->binding = span_skip(flag, 2);
    else if (flag.n != 1 || (ret->flag != 'n' && ret->flag != 'y'))
        return false;
    if (authzid.n && !span_starts(authzid, SPAN("a="))) /* GNU SASL sends "a=" for none */
        return false;
    ret->authzid = span_skip(authzid, 2);
    *s = rest;
    return true;
}

bool gs2_name_decode(struct span s, struct buf *ret)
{
    while (s.n) {
        size_t at = span_find_byte(s, '=');
        buf_put_span(ret, span_head(s, at));
        if (at == SPAN_NPOS)
            break;
        s = span_skip(s, at);
        if (span_starts(s, SPAN("=2C")))
            buf_put_byte(ret, ',');
        else if (span_starts(s, SPAN("=3D")))
            buf_put_byte(ret, '=');
        else
            return false;
        s = span_skip(s, 3);
    }
    return buf_ok(ret);
}
