/* The mechanisms that carry no secret: EXTERNAL (RFC 4422 appendix A), ANONYMOUS (RFC 4505). */
#include "auth/sasl_int.h"
#include "base/utf8.h"

/* The client's message is the authorisation identity, or empty; who he is the certificate says. */
enum sasl_result sasl_external_step(struct sasl *s, struct span data)
{
    enum sasl_result r = sasl_take_authzid(s, data);
    if (r == SASL_ASK)
        r = sasl_take_name(s, buf_span(&s->certificate_user), &s->name);
    return r == SASL_ASK ? sasl_ask(s, SASL_ASK_USER) : r;
}

/* RFC 4505 section 2: at most 255 characters of trace information. */
enum sasl_result sasl_anonymous_step(struct sasl *s, struct span data)
{
    size_t characters = 0;
    for (size_t i = 0; i < data.n; i++)
        characters += (data.p[i] & 0xc0) != 0x80;
    if (characters > 255 || !utf8_valid(data))
        return SASL_MALFORMED;
    buf_put_span(&s->trace, data);
    buf_put_str(&s->name, s->setup->anonymous_user);
    return buf_ok(&s->trace) ? SASL_SUCCESS : SASL_MALFORMED;
}
