#include "auth/sasl_int.h"

/* Best first: the order in which they are offered. */
static const struct sasl_mechanism mechanisms[] = {
    {"PLAIN", true, true, sasl_plain_step, sasl_plain_answer},
    {"LOGIN", true, true, sasl_login_step, sasl_plain_answer},
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

bool sasl_needs_secure(const struct sasl_mechanism *m)
{
    return m->secure;
}

bool sasl_offered(const struct sasl_mechanism *m, const struct sasl_offer *offer)
{
    return (!m->secure || offer->secure) && (!m->passwords || offer->passwords);
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

void sasl_init(struct sasl *s, const struct sasl_mechanism *m)
{
    *s = (struct sasl){.mechanism = m};
    buf_init(&s->name, SASL_FIELD_MAX);
    buf_init(&s->authzid, SASL_FIELD_MAX);
    buf_init(&s->secret, SASL_FIELD_MAX);
    buf_init(&s->out, SASL_DATA_MAX);
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
}

enum sasl_result sasl_step(struct sasl *s, bool has_data, struct span data)
{
    buf_reset(&s->out);
    return s->mechanism->step(s, has_data, data);
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

enum sasl_result sasl_succeed(struct sasl *s, const struct directory_entry *e)
{
    buf_reset(&s->name);
    buf_put_span(&s->name, buf_span(&e->name));
    return SASL_SUCCESS;
}
