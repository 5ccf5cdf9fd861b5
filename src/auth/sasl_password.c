/* The mechanisms that carry a password: PLAIN (RFC 4616), and LOGIN
 * (draft-murchison-sasl-login) for old clients. */
#include "auth/precis.h"
#include "auth/sasl_int.h"

enum { LOGIN_NAME, LOGIN_PASSWORD };

static enum sasl_result check(struct sasl *s, struct span user, struct span password)
{
    if (password.n > SASL_FIELD_MAX)
        return SASL_MALFORMED;
    enum sasl_result r = sasl_take_name(s, user, &s->name);
    if (r != SASL_ASK)
        return r;
    if (precis_password(password, &s->secret) < 0)
        return SASL_DENIED;
    return sasl_ask(s, SASL_ASK_PASSWORD);
}

/* [authzid] NUL authcid NUL passwd */
enum sasl_result sasl_plain_step(struct sasl *s, struct span data)
{
    struct span authzid, authcid;
    if (!span_split(&data, '\0', &authzid) || !span_split(&data, '\0', &authcid) || !data.p ||
        (data.n && memchr(data.p, '\0', data.n)))
        return SASL_MALFORMED;
    enum sasl_result r = sasl_take_authzid(s, authzid);
    return r == SASL_ASK ? check(s, authcid, data) : r;
}

enum sasl_result sasl_login_step(struct sasl *s, struct span data)
{
    if (s->step == LOGIN_PASSWORD) {
        autobuf user = BUF_INIT(SASL_FIELD_MAX);
        buf_put_span(&user, buf_span(&s->trace));
        return check(s, buf_span(&user), data);
    }
    buf_put_span(&s->trace, data);
    s->step = LOGIN_PASSWORD;
    return buf_ok(&s->trace) ? sasl_challenge(s, SPAN("Password:")) : SASL_MALFORMED;
}
